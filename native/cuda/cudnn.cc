#include "cuda/cudnn.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "cuda/cudnn_api.h"
#include "cuda/quickest.h"

namespace hadal::cuda {

using namespace dnn;

namespace {

// Opened once in a process; null where there is none, or none is wanted.
const Library* library() {
  static Library library;
  static const bool found = variable("HADAL_CUDNN") != "0" && library.open();
  return found ? &library : nullptr;
}

// Plans are kept for so many convolutions; a program that meets more, with sizes that never repeat, starts over.
constexpr size_t kMaxPlans = 4096;
constexpr size_t kTunedEngines = 8;
// What an engine may use beside copies of the tensors.
constexpr int64_t kWorkspaceBytes = int64_t{512} << 20;
// cuDNN asks for no more.
constexpr int64_t kMostAlignment = 16;

constexpr uint32_t bit(NumericalNote note) { return 1u << note; }
constexpr uint32_t kLessExact = bit(kTensorCore) | bit(kDownConvertInputs);  // of float32
constexpr uint32_t kUnwanted = bit(kReducedPrecisionReduction) | bit(kFourier) | bit(kNondeterministic) |
                               bit(kWinograd) | bit(kWinograd4x4) | bit(kWinograd6x6) | bit(kWinograd13x13);

// Descriptors that are made one after the other of each other, and end together. After a failure nothing more is done.
class Descriptors {
 public:
  int status = kSuccess;

  Descriptors() = default;
  Descriptors(Descriptors&& other) noexcept : status(other.status), made_(std::move(other.made_)) {}
  Descriptors& operator=(Descriptors&& other) noexcept {
    std::swap(made_, other.made_);
    status = other.status;
    return *this;
  }
  ~Descriptors() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) library()->destroy_descriptor(*made);
  }

  Descriptor make(DescriptorType type) {
    Descriptor descriptor = nullptr;
    if (status == kSuccess) status = library()->create_descriptor(type, &descriptor);
    if (descriptor != nullptr) made_.push_back(descriptor);
    return descriptor;
  }
  template <class T>
  void set(Descriptor descriptor, Attribute attribute, AttributeType type, const T* values, int64_t count) {
    if (status == kSuccess) status = library()->set_attribute(descriptor, attribute, type, count, values);
  }
  template <class T>
  void set(Descriptor descriptor, Attribute attribute, AttributeType type, const T& value) {
    set(descriptor, attribute, type, &value, 1);
  }
  // How many there are.
  template <class T>
  int64_t get(Descriptor descriptor, Attribute attribute, AttributeType type, T* values, int64_t wanted) {
    int64_t count = 0;
    if (status == kSuccess) status = library()->get_attribute(descriptor, attribute, type, wanted, &count, values);
    return status == kSuccess ? count : 0;
  }
  void finalize(Descriptor descriptor) {
    if (status == kSuccess) status = library()->finalize(descriptor);
  }

 private:
  std::vector<Descriptor> made_;
};

DataType type_of(DType dtype) {
  return dtype == DType::kFloat16 ? kReal16 : dtype == DType::kBFloat16 ? kRealB16 : kReal32;
}

int64_t alignment_of(const TensorView& view) {
  const auto bits = reinterpret_cast<uintptr_t>(view.data) | kMostAlignment;
  return static_cast<int64_t>(bits & (~bits + 1));
}

int64_t bytes_of(const TensorView& view) { return view.numel() * static_cast<int64_t>(size_of(view.dtype)); }

template <class C>
auto& result_of(C& c) {
  return c.result == DnnConvolution::kY ? c.y : c.result == DnnConvolution::kGradX ? c.x : c.weight;
}

// The padding behind an axis with which its windows are as many as y has: the same as before it, where that is right. None where even
// without any there would be more.
std::optional<int64_t> padding_after(const DnnConvolution& c, int axis) {
  const int64_t needed = (c.y.shape[2 + axis] - 1) * c.stride[axis] +
                         (c.weight.shape[2 + axis] - 1) * c.dilation[axis] + 1 - c.x.shape[2 + axis] - c.pad[axis];
  const int64_t most = needed + c.stride[axis] - 1;
  if (most < 0) return std::nullopt;
  return std::clamp(c.pad[axis], std::max<int64_t>(needed, 0), most);
}

// The convolution as a graph of one operation, whose tensors are 0, 1 and 2: x, weight and y.
Descriptor describe(Descriptors& all, Handle handle, const DnnConvolution& c) {
  const int axes = c.x.rank - 2;
  const auto tensor = [&](const TensorView& view, int64_t id) {
    const Descriptor made = all.make(kTensor);
    all.set(made, kTensorId, kTypeInt64, id);
    all.set(made, kTensorDataType, kTypeDataType, type_of(view.dtype));
    all.set(made, kTensorAlignment, kTypeInt64, alignment_of(view));
    all.set(made, kTensorShape, kTypeInt64, view.shape, view.rank);
    all.set(made, kTensorStrides, kTypeInt64, view.strides, view.rank);
    all.finalize(made);
    return made;
  };
  int64_t after[3];
  for (int axis = 0; axis < axes; ++axis) {
    const std::optional<int64_t> padding = padding_after(c, axis);
    if (!padding) all.status = kNotSupported;
    after[axis] = padding.value_or(0);
  }
  const Descriptor x = tensor(c.x, 0), weight = tensor(c.weight, 1), y = tensor(c.y, 2);
  const Descriptor convolution = all.make(kConvolution);
  all.set(convolution, kConvolutionComputeType, kTypeDataType, kReal32);
  all.set(convolution, kConvolutionModeOf, kTypeConvolutionMode, kCrossCorrelation);
  all.set(convolution, kConvolutionAxes, kTypeInt64, int64_t{axes});
  all.set(convolution, kConvolutionDilations, kTypeInt64, c.dilation, axes);
  all.set(convolution, kConvolutionStrides, kTypeInt64, c.stride, axes);
  all.set(convolution, kConvolutionPaddingBefore, kTypeInt64, c.pad, axes);
  all.set(convolution, kConvolutionPaddingAfter, kTypeInt64, after, axes);
  all.finalize(convolution);
  const auto [type, first] = c.result == DnnConvolution::kY       ? std::pair(kForward, kForwardFirst)
                             : c.result == DnnConvolution::kGradX ? std::pair(kBackwardData, kBackwardDataFirst)
                                                                  : std::pair(kBackwardFilter, kBackwardFilterFirst);
  const Descriptor operation = all.make(type);
  int place = first;
  for (const float scale : {1.0f, c.accumulate ? 1.0f : 0.0f}) {
    all.set(operation, static_cast<Attribute>(place++), kTypeFloat, scale);
  }
  for (const Descriptor part : {convolution, weight, x, y}) {
    all.set(operation, static_cast<Attribute>(place++), kTypeDescriptor, part);
  }
  all.finalize(operation);
  const Descriptor graph = all.make(kOperationGraph);
  all.set(graph, kGraphHandle, kTypeHandle, handle);
  all.set(graph, kGraphOperations, kTypeDescriptor, operation);
  all.finalize(graph);
  return graph;
}

uint32_t notes_of(Descriptors& all, Descriptor config) {
  Descriptor engine = all.make(kEngine);
  NumericalNote notes[32];
  uint32_t bits = 0;
  all.get(config, kEngineConfigEngine, kTypeDescriptor, &engine, 1);
  const int64_t count = all.get(engine, kEngineNotes, kTypeNumericalNote, notes, std::size(notes));
  for (int64_t i = 0; i < count; ++i) bits |= bit(notes[i]);
  return bits;
}

[[noreturn]] void fail(const Command& cmd, const DnnConvolution& c, int status) {
  const auto shape = [](const TensorView& view) {
    std::string text = "[";
    for (int axis = 0; axis < view.rank; ++axis) text += (axis > 0 ? ", " : "") + std::to_string(view.shape[axis]);
    return text + "]";
  };
  char why[512] = "";
  library()->last_error(why, sizeof why);
  throw Error(ErrorCode::kDevice, std::string(cmd.name()) + ": cuDNN failed: got " + library()->status_string(status) +
                                      " for " + shape(c.x) + " and windows " + shape(c.weight) + " of " +
                                      name_of(c.x.dtype) + " (" + why + "); HADAL_CUDNN=0 does without it");
}

}  // namespace

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
  return "cuDNN was not found, so convolutions are slow: install cuDNN 9 or run `pip install nvidia-cudnn-cu13` "
         "(-cu12), or "
         "name the folder of libcudnn.so.9 in HADAL_CUDA_LIBS";
}

Cudnn::Cudnn(cudaStream_t stream) : tf32_(variable("HADAL_TF32") == "1"), tunes_(variable("HADAL_CUDA_TUNE") == "1") {
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

bool Cudnn::convolve(CudaContext& ctx, const Command& cmd, const DnnConvolution& c) {
  Key key{};
  int64_t* word = key.data();
  for (const TensorView* view : {&c.x, &c.weight, &c.y}) {
    word = std::copy_n(view->shape, view->rank, word);
    word = std::copy_n(view->strides, view->rank, word);
    *word++ = alignment_of(*view);
  }
  for (const auto* of_axes : {&c.stride, &c.pad, &c.dilation}) word = std::copy_n(*of_axes, c.x.rank - 2, word);
  key.back() = c.result | static_cast<int64_t>(c.x.dtype) << 8 | c.x.rank << 16 | c.accumulate << 24;
  if (!plans_.contains(key)) {
    if (plans_.size() >= kMaxPlans) plans_.clear();
    plans_[key] = make_plan(ctx, cmd, c);
  }
  Plan& plan = *plans_[key];
  if (plan.plan == nullptr) return false;
  const int status = run(c, plan.plan, ctx.scratch<std::byte>(plan.workspace_bytes));
  if (status / 1000 == kNotSupported / 1000) plan = Plan();
  else if (status != kSuccess) fail(cmd, c, status);
  return status == kSuccess;
}

std::unique_ptr<Cudnn::Plan> Cudnn::make_plan(CudaContext& ctx, const Command& cmd, const DnnConvolution& c) const {
  Descriptors graph;
  const Descriptor convolution = describe(graph, handle_, c);
  const uint32_t unwanted =
      kUnwanted | (c.x.dtype == DType::kFloat32 ? tf32_ ? 0 : kLessExact : bit(kDownConvertInputs));
  const int64_t most_bytes = kWorkspaceBytes + bytes_of(c.x) + bytes_of(c.weight) + bytes_of(c.y);
  std::vector<Plan> plans;
  int status = graph.status;
  // An engine may turn out not to serve what it was proposed for.
  const auto add = [&](Descriptors&& descriptors, Descriptor config) {
    if ((notes_of(descriptors, config) & unwanted) != 0) return;
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
    if (graph.status != kSuccess || !plans.empty()) break;
    Descriptors heuristic;
    const Descriptor proposals = heuristic.make(kHeuristic);
    heuristic.set(proposals, kHeuristicGraph, kTypeDescriptor, convolution);
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
  if (plans.empty() && status / 1000 == 1) fail(cmd, c, status);
  if (plans.empty()) return std::make_unique<Plan>();
  DnnConvolution measured = c;
  std::byte* workspace = nullptr;
  if (plans.size() > 1) {
    int64_t bytes = 0;
    for (const Plan& plan : plans) bytes = std::max(bytes, plan.workspace_bytes);
    workspace = ctx.scratch<std::byte>(bytes);
    // What the result holds is still needed.
    result_of(measured).data = ctx.scratch<std::byte>(bytes_of(result_of(c)));
  }
  Plan& best = plans[find_quickest(ctx, cmd, plans.size(),
                                   [&](size_t i) { return run(measured, plans[i].plan, workspace) == kSuccess; })];
  best.graph = std::move(graph);
  return std::make_unique<Plan>(std::move(best));
}

int Cudnn::run(const DnnConvolution& c, void* plan, void* workspace) const {
  const int64_t ids[] = {0, 1, 2};
  const void* const pointers[] = {c.x.data, c.weight.data, c.y.data};
  Descriptors all;
  const Descriptor pack = all.make(kVariantPack);
  all.set(pack, kPackIds, kTypeInt64, ids, std::size(ids));
  all.set(pack, kPackPointers, kTypePointer, pointers, std::size(pointers));
  all.set(pack, kPackWorkspace, kTypePointer, workspace);
  all.finalize(pack);
  return all.status == kSuccess ? library()->execute(handle_, plan, pack) : all.status;
}

}  // namespace hadal::cuda
