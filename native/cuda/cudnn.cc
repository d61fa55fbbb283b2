#include "cuda/cudnn.h"

#include <algorithm>

#include "cuda/cudnn_graph.h"
#include "cuda/quickest.h"

namespace hadal::cuda {

using namespace dnn;

namespace {

// Plans are kept for so many problems; a program that meets more, with sizes that never repeat, starts over.
constexpr size_t kMaxPlans = 4096;
constexpr size_t kTunedEngines = 8;
constexpr int kMostCompiled = 16;
// cuDNN asks for no more.
constexpr int64_t kMostAlignment = 16;

constexpr uint32_t kUnwanted = bit(kReducedPrecisionReduction) | bit(kFourier) | bit(kNondeterministic) |
                               bit(kWinograd) | bit(kWinograd4x4) | bit(kWinograd6x6) | bit(kWinograd13x13);

int64_t alignment_of(const TensorView& view) {
  const auto bits = reinterpret_cast<uintptr_t>(view.data) | kMostAlignment;
  return static_cast<int64_t>(bits & (~bits + 1));
}

int64_t bytes_of(const TensorView& view) { return view.numel() * static_cast<int64_t>(size_of(view.dtype)); }

uint32_t notes_of(Descriptors& all, Descriptor config) {
  Descriptor engine = all.make(kEngine);
  NumericalNote notes[32];
  uint32_t bits = 0;
  all.get(config, kEngineConfigEngine, kTypeDescriptor, &engine, 1);
  const int64_t count = all.get(engine, kEngineNotes, kTypeNumericalNote, notes, std::size(notes));
  for (int64_t i = 0; i < count; ++i) bits |= bit(notes[i]);
  return bits;
}

[[noreturn]] void fail(const Command& cmd, const Problem& problem, int status) {
  std::string tensors;
  for (const TensorView& view : problem.tensors) {
    tensors += tensors.empty() ? "[" : ", [";
    for (int axis = 0; axis < view.rank; ++axis) tensors += (axis > 0 ? ", " : "") + std::to_string(view.shape[axis]);
    tensors += "]";
  }
  char why[512] = "";
  library()->last_error(why, sizeof why);
  throw Error(ErrorCode::kDevice, std::string(cmd.name()) + ": cuDNN failed: got " + library()->status_string(status) +
                                      " for tensors " + tensors + " of " + name_of(problem.tensors[0].dtype) + " (" +
                                      why + "); HADAL_CUDNN=0 does without it");
}

}  // namespace

const Library* dnn::library() {
  static Library library;
  static const bool found = variable("HADAL_CUDNN") != "0" && library.open();
  return found ? &library : nullptr;
}

DataType dnn::type_of(DType dtype) {
  return dtype == DType::kFloat16 ? kReal16 : dtype == DType::kBFloat16 ? kRealB16 : kReal32;
}

Descriptor dnn::describe_tensor(Descriptors& all, int64_t id, DataType type, int rank, const int64_t* shape,
                                const int64_t* strides, int64_t alignment, TensorKind kind) {
  const Descriptor made = all.make(kTensor);
  all.set(made, kTensorId, kTypeInt64, id);
  all.set(made, kTensorDataType, kTypeDataType, type);
  all.set(made, kTensorAlignment, kTypeInt64, alignment);
  all.set(made, kTensorShape, kTypeInt64, shape, rank);
  all.set(made, kTensorStrides, kTypeInt64, strides, rank);
  if (kind == TensorKind::kVirtual) all.set(made, kTensorIsVirtual, kTypeBoolean, true);
  if (kind == TensorKind::kValue) all.set(made, kTensorIsByValue, kTypeBoolean, true);
  all.finalize(made);
  return made;
}
Descriptor dnn::describe_tensor(Descriptors& all, int64_t id, const TensorView& view) {
  return describe_tensor(all, id, type_of(view.dtype), view.rank, view.shape, view.strides, alignment_of(view),
                         TensorKind::kInMemory);
}

// An engine that is ready to run.
struct Cudnn::Plan {
  Descriptors graph, descriptors;
  Descriptor plan = nullptr;  // null: there is none
  int64_t workspace_bytes = 0;
};

size_t Cudnn::Hash::operator()(const Key& key) const {
  uint64_t hash = 0;
  for (const int64_t word : key) hash = (hash ^ static_cast<uint64_t>(word)) * 0x9e3779b97f4a7c15 + (hash >> 29);
  return static_cast<size_t>(hash ^ hash >> 32);
}

std::unique_ptr<Cudnn> Cudnn::open(cudaStream_t stream) {
  return library() == nullptr ? nullptr : std::unique_ptr<Cudnn>(new Cudnn(stream));
}

std::string Cudnn::remedy() {
  if (library() != nullptr || variable("HADAL_CUDNN") == "0") return "";
  return "cuDNN was not found, so convolutions are slow and attention may be: install cuDNN 9 or run `pip install "
         "nvidia-cudnn-cu13` (-cu12), or name the folder of libcudnn.so.9 in HADAL_CUDA_LIBS";
}

Cudnn::Cudnn(cudaStream_t stream)
    : tf32_(variable("HADAL_TF32") == "1"),
      tunes_(variable("HADAL_CUDA_TUNE") == "1"),
      always_(variable("HADAL_CUDNN") == "all") {
  int status = library()->create(&handle_);
  if (status == kSuccess) status = library()->set_stream(handle_, stream);
  if (status != kSuccess) {
    throw Error(ErrorCode::kDevice, std::string("cuDNN did not start: got ") + library()->status_string(status) +
                                        "; mend it, or do without it by HADAL_CUDNN=0");
  }
}

Cudnn::~Cudnn() {
  plans_.clear();
  library()->destroy(handle_);
}

bool Cudnn::solve(CudaContext& ctx, const Command& cmd, Problem problem, int64_t count) {
  Key key{static_cast<int64_t>(problem.tensors.size())};
  for (const TensorView& view : problem.tensors) {
    key.push_back(view.rank | static_cast<int64_t>(view.dtype) << 8 | alignment_of(view) << 16);
    key.insert(key.end(), view.shape, view.shape + view.rank);
    key.insert(key.end(), view.strides, view.strides + view.rank);
  }
  key.insert(key.end(), problem.details.begin(), problem.details.end());
  auto found = plans_.find(key);
  if (found == plans_.end()) {
    if (problem.compiles && !always_ && compiled_++ >= kMostCompiled) return false;
    if (plans_.size() >= kMaxPlans) plans_.clear();
    found = plans_.emplace(std::move(key), make_plan(ctx, cmd, problem)).first;
  }
  Plan& plan = *found->second;
  if (plan.plan == nullptr) return false;
  void* workspace = ctx.scratch<std::byte>(plan.workspace_bytes);
  int status = kSuccess;
  for (int64_t i = 0; i < count && status == kSuccess; ++i) {
    status = run(problem, plan.plan, workspace);
    for (TensorView& view : problem.tensors) {
      view.data += view.shape[0] * view.strides[0] * static_cast<int64_t>(size_of(view.dtype));
    }
  }
  if (status / 1000 == kNotSupported / 1000) plan = Plan();
  else if (status != kSuccess) fail(cmd, problem, status);
  return status == kSuccess;
}

std::unique_ptr<Cudnn::Plan> Cudnn::make_plan(CudaContext& ctx, const Command& cmd, const Problem& problem) const {
  Descriptors parts;
  const std::vector<Descriptor> operations = problem.describe(parts, problem);
  const Descriptor graph = parts.make(kOperationGraph);
  parts.set(graph, kGraphHandle, kTypeHandle, handle_);
  parts.set(graph, kGraphOperations, kTypeDescriptor, operations.data(), static_cast<int64_t>(operations.size()));
  parts.finalize(graph);
  int64_t most_bytes = kWorkspaceBytes;
  for (const TensorView& view : problem.tensors) most_bytes += bytes_of(view);
  std::vector<Plan> plans;
  int status = parts.status;
  // An engine may turn out not to serve what it was proposed for.
  const auto add = [&](Descriptors&& descriptors, Descriptor config) {
    if ((notes_of(descriptors, config) & (kUnwanted | problem.unwanted)) != 0) return;
    Plan plan;
    plan.plan = descriptors.make(kExecutionPlan);
    descriptors.set(plan.plan, kPlanHandle, kTypeHandle, handle_);
    descriptors.set(plan.plan, kPlanEngineConfig, kTypeDescriptor, config);
    descriptors.finalize(plan.plan);
    descriptors.get(plan.plan, kPlanWorkspaceBytes, kTypeInt64, &plan.workspace_bytes, 1);
    if (status == kSuccess) status = descriptors.status;
    if (descriptors.status != kSuccess || plan.workspace_bytes > most_bytes) return;
    plan.descriptors = std::move(descriptors);
    plans.push_back(std::move(plan));
  };
  const size_t wanted = tunes_ ? kTunedEngines : 1;
  for (const HeuristicMode mode : {kQuick, kFallback}) {
    if (parts.status != kSuccess || !plans.empty()) break;
    Descriptors heuristic;
    const Descriptor proposals = heuristic.make(kHeuristic);
    heuristic.set(proposals, kHeuristicGraph, kTypeDescriptor, graph);
    heuristic.set(proposals, kHeuristicModeOf, kTypeHeuristicMode, mode);
    heuristic.finalize(proposals);
    const int64_t most =
        heuristic.get(proposals, kHeuristicResults, kTypeDescriptor, static_cast<Descriptor*>(nullptr), 0);
    std::vector<Descriptors> owners(static_cast<size_t>(most));
    std::vector<Descriptor> configs;
    for (Descriptors& owner : owners) configs.push_back(owner.make(kEngineConfig));
    const int64_t count = heuristic.get(proposals, kHeuristicResults, kTypeDescriptor, configs.data(), most);
    if (status == kSuccess) status = heuristic.status;
    for (size_t i = 0; i < static_cast<size_t>(count) && plans.size() < wanted; ++i) {
      add(std::move(owners[i]), configs[i]);
    }
  }
  if (plans.empty() && status / 1000 == 1) fail(cmd, problem, status);
  if (plans.empty()) return std::make_unique<Plan>();
  Problem measured = problem;
  std::byte* workspace = nullptr;
  if (plans.size() > 1) {
    int64_t bytes = 0;
    for (const Plan& plan : plans) bytes = std::max(bytes, plan.workspace_bytes);
    workspace = ctx.scratch<std::byte>(bytes);
    // What is added to is still needed.
    if (problem.accumulated >= 0) {
      TensorView& sum = measured.tensors[static_cast<size_t>(problem.accumulated)];
      sum.data = ctx.scratch<std::byte>(bytes_of(sum));
    }
  }
  Plan& best = plans[find_quickest(ctx, cmd, plans.size(),
                                   [&](size_t i) { return run(measured, plans[i].plan, workspace) == kSuccess; })];
  best.graph = std::move(parts);
  return std::make_unique<Plan>(std::move(best));
}

int Cudnn::run(const Problem& problem, void* plan, void* workspace) const {
  std::vector<int64_t> ids;
  std::vector<const void*> pointers;
  for (const TensorView& view : problem.tensors) pointers.push_back(view.data);
  for (const float& value : problem.values) pointers.push_back(&value);
  for (size_t id = 0; id < pointers.size(); ++id) ids.push_back(static_cast<int64_t>(id));
  Descriptors all;
  const Descriptor pack = all.make(kVariantPack);
  all.set(pack, kPackIds, kTypeInt64, ids.data(), static_cast<int64_t>(ids.size()));
  all.set(pack, kPackPointers, kTypePointer, pointers.data(), static_cast<int64_t>(pointers.size()));
  all.set(pack, kPackWorkspace, kTypePointer, workspace);
  all.finalize(pack);
  return all.status == kSuccess ? library()->execute(handle_, plan, pack) : all.status;
}

}  // namespace hadal::cuda
