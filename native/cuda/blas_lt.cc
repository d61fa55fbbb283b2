#include "cuda/blas_lt.h"

#include <algorithm>
#include <vector>

#include "cuda/library_search.h"
#include "cuda/quickest.h"

namespace hadal::cuda {
namespace {

// --- cuBLASLt 12 and 13, as far as it is used. The values are those of its headers. ---------------------------------------

using Handle = void*;
using Descriptor = void*;

enum Status : int { kSuccess = 0, kInvalidValue = 7, kNotSupported = 15 };
enum DataType : int { kReal32 = 0, kReal64 = 1, kReal16 = 2, kRealB16 = 14 };
enum ComputeType : int { kCompute32 = 68, kCompute64 = 70, kCompute32Tf32 = 77 };
enum Transpose : int32_t { kAsItIs = 0, kTransposed = 1 };
enum DescAttribute : int {
  kTransA = 3,
  kTransB = 4,
  kEpilogue = 7,
  kBiasPointer = 8,
  kAuxPointer = 11,
  kAuxLine = 12,
  kBiasDataType = 26,
};
enum LayoutAttribute : int { kBatchCount = 5, kStridedBatchOffset = 6 };
enum PreferenceAttribute : int {
  kMaxWorkspaceBytes = 1,
  kReductionSchemeMask = 3,
  kMinAlignmentA = 5,
  kMinAlignmentB = 6,
  kMinAlignmentC = 7,
  kMinAlignmentD = 8,
};
enum ReductionScheme : uint32_t { kInPlace = 1, kInComputeType = 2 };
enum Epilogue : uint32_t {
  kDefault = 1,
  kRelu = 2,
  kBias = 4,
  kGelu = 32,
  kGeluSlope = 64,
  kAux = 128,
  kSumsOfB = 512,
};

struct Algorithm {
  uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(HeuristicResult) == 96);

struct Library {
  int (*create)(Handle*);
  int (*destroy)(Handle);
  const char* (*status_string)(int);
  int (*desc_create)(Descriptor*, ComputeType, DataType scale);
  int (*desc_destroy)(Descriptor);
  int (*desc_set)(Descriptor, DescAttribute, const void*, size_t);
  int (*layout_create)(Descriptor*, DataType, uint64_t rows, uint64_t columns, int64_t line);
  int (*layout_destroy)(Descriptor);
  int (*layout_set)(Descriptor, LayoutAttribute, const void*, size_t);
  int (*preference_create)(Descriptor*);
  int (*preference_destroy)(Descriptor);
  int (*preference_set)(Descriptor, PreferenceAttribute, const void*, size_t);
  int (*heuristic)(Handle, Descriptor desc, Descriptor a, Descriptor b, Descriptor c, Descriptor d,
                   Descriptor preference, int wanted, HeuristicResult* results, int* found);
  int (*matmul)(Handle, Descriptor desc, const void* alpha, const void* a, Descriptor, const void* b, Descriptor,
                const void* beta, const void* c, Descriptor, void* d, Descriptor, const Algorithm*, void* workspace,
                size_t workspace_bytes, cudaStream_t);

  // Opened once in a process; null where there is none.
  static const Library* get() {
    static Library library;
    static const bool found = library.open();
    return found ? &library : nullptr;
  }

 private:
  bool open() {
    void* file = open_library({"libcublasLt.so.13", "libcublasLt.so.12"});
    return file != nullptr && find_function(file, "cublasLtCreate", create) &&
           find_function(file, "cublasLtDestroy", destroy) &&
           find_function(file, "cublasLtGetStatusString", status_string) &&
           find_function(file, "cublasLtMatmulDescCreate", desc_create) &&
           find_function(file, "cublasLtMatmulDescDestroy", desc_destroy) &&
           find_function(file, "cublasLtMatmulDescSetAttribute", desc_set) &&
           find_function(file, "cublasLtMatrixLayoutCreate", layout_create) &&
           find_function(file, "cublasLtMatrixLayoutDestroy", layout_destroy) &&
           find_function(file, "cublasLtMatrixLayoutSetAttribute", layout_set) &&
           find_function(file, "cublasLtMatmulPreferenceCreate", preference_create) &&
           find_function(file, "cublasLtMatmulPreferenceDestroy", preference_destroy) &&
           find_function(file, "cublasLtMatmulPreferenceSetAttribute", preference_set) &&
           find_function(file, "cublasLtMatmulAlgoGetHeuristic", heuristic) &&
           find_function(file, "cublasLtMatmul", matmul);
  }
};

DataType type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64: return kReal64;
    case DType::kFloat16: return kReal16;
    case DType::kBFloat16: return kRealB16;
    default: return kReal32;
  }
}

// What cuBLASLt can do as it writes: bias, then ReLU or the tanh form of GELU, of which it also writes what it is applied to, or
// multiplies by its slope there; or the sums of a, which is its B. 0 for what it does not know, and for GELU of more than 16 bits,
// whose last digits it gets wrong (relative errors of 5e-6 on an H200).
uint32_t epilogue_of(const BlasProduct& product) {
  if (product.row_sums != nullptr) return kSumsOfB;
  const uint32_t bias = product.bias == nullptr ? 0u : uint32_t{kBias};
  if (product.activation == Activation::kGeluTanh && size_of(product.c_dtype) > 2) return 0;
  if (product.pre != nullptr) {
    if (product.activation != Activation::kGeluTanh || product.c_layout.line % 8 != 0) return 0;
    return (product.is_slope ? kGeluSlope : kGelu | bias) | kAux;
  }
  switch (product.activation) {
    case Activation::kNone: return bias == 0 ? kDefault : kBias;
    case Activation::kRelu: return kRelu | bias;
    case Activation::kGeluTanh: return kGelu | bias;
    default: return 0;
  }
}

// The largest power of two that divides the address, at most what allocations have.
uint32_t alignment_of(const void* address) {
  const auto bits = reinterpret_cast<uintptr_t>(address) | 256;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

[[noreturn]] void fail(const Command& cmd, const BlasProduct& product, int status) {
  throw Error(ErrorCode::kDevice, std::string(cmd.name()) + ": cuBLASLt failed: got " +
                                      Library::get()->status_string(status) + " for [" + std::to_string(product.m) +
                                      ", " + std::to_string(product.k) + "] · [" + std::to_string(product.k) + ", " +
                                      std::to_string(product.n) + "] of " + name_of(product.dtype) + ", batch of " +
                                      std::to_string(product.batch));
}

// Sets an attribute of any kind of descriptor; the library takes them all alike.
template <class Attribute, class T>
void set(int (*setter)(Descriptor, Attribute, const void*, size_t), Descriptor descriptor, Attribute attribute, T value,
         int& status) {
  if (status == kSuccess) status = setter(descriptor, attribute, &value, sizeof value);
}

// The bias or the sums, which take its place.
const void* vector_of(const BlasProduct& product) {
  return product.row_sums != nullptr ? product.row_sums : product.bias;
}

// The addresses that are part of a description.
void set_pointers(Descriptor desc, const BlasProduct& product, int& status) {
  const auto setter = Library::get()->desc_set;
  if (vector_of(product) != nullptr) set(setter, desc, kBiasPointer, vector_of(product), status);
  if (product.pre != nullptr) set(setter, desc, kAuxPointer, product.pre, status);
}

// Plans are kept for so many products; a program that meets more, with sizes that never repeat, starts over.
constexpr size_t kMaxPlans = 4096;
constexpr int kTunedAlgorithms = 16;

// What algorithms may use beside the operands: what NVIDIA recommends from Hopper on, and half of it before.
size_t workspace_limit(const CudaContext& ctx) { return size_t{ctx.device().capability >= 90 ? 64u : 32u} << 20; }

}  // namespace

// cuBLASLt thinks in columns: it is given cᵀ = bᵀ · aᵀ, so that its A is our b.
struct BlasLt::Plan {
  Descriptor desc = nullptr, a = nullptr, b = nullptr, c = nullptr;
  bool found = false;
  Algorithm algorithm{};
  size_t workspace_bytes = 0;

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    const Library& library = *Library::get();
    for (const Descriptor layout : {a, b, c}) {
      if (layout != nullptr) library.layout_destroy(layout);
    }
    if (desc != nullptr) library.desc_destroy(desc);
  }
};

size_t BlasLt::Hash::operator()(const Key& key) const {
  uint64_t words[sizeof(Key) / sizeof(uint64_t)];
  std::memcpy(words, &key, sizeof key);
  uint64_t hash = 0;
  for (const uint64_t word : words) hash = (hash ^ word) * 0x9e3779b97f4a7c15 + (hash >> 29);
  return static_cast<size_t>(hash ^ hash >> 32);
}

std::unique_ptr<BlasLt> BlasLt::open() {
  return Library::get() == nullptr ? nullptr : std::unique_ptr<BlasLt>(new BlasLt());
}

std::string BlasLt::remedy() {
  if (Library::get() != nullptr) return "";
  return "cuBLASLt was not found, so matrix products are slow: install the CUDA toolkit or run `pip install "
         "nvidia-cublas`, or "
         "name the folder of libcublasLt.so.13 or .12 in HADAL_CUDA_LIBS";
}

BlasLt::BlasLt() : tf32_(variable("HADAL_TF32") == "1"), tunes_(variable("HADAL_CUDA_TUNE") == "1") {
  if (const int status = Library::get()->create(&handle_); status != kSuccess) {
    throw Error(ErrorCode::kDevice,
                std::string("cuBLASLt did not start: got ") + Library::get()->status_string(status));
  }
}

BlasLt::~BlasLt() {
  plans_.clear();
  Library::get()->destroy(handle_);
}

bool BlasLt::multiply(CudaContext& ctx, const Command& cmd, const BlasProduct& product) {
  const uint32_t epilogue = epilogue_of(product);
  if (epilogue == 0) return false;
  const Plan& plan = plan_for(ctx, cmd, product, epilogue);
  if (!plan.found) return false;
  void* workspace =
      plan.workspace_bytes == 0 ? nullptr : ctx.scratch<std::byte>(static_cast<int64_t>(plan.workspace_bytes));
  const int status = run(ctx, plan, product, &plan.algorithm, workspace, plan.workspace_bytes);
  if (status != kSuccess) fail(cmd, product, status);
  return true;
}

BlasLt::Plan& BlasLt::plan_for(CudaContext& ctx, const Command& cmd, const BlasProduct& p, uint32_t epilogue) {
  const Key key{{p.m, p.n, p.k, p.batch},
                {p.a_layout.line, p.b_layout.line, p.c_layout.line},
                {p.a_batch, p.b_batch, p.c_batch},
                // 256 does not fit a byte; half of each does.
                {static_cast<uint8_t>(alignment_of(p.a) / 2), static_cast<uint8_t>(alignment_of(p.b) / 2),
                 static_cast<uint8_t>(alignment_of(p.c) / 2), static_cast<uint8_t>(alignment_of(vector_of(p)) / 2),
                 static_cast<uint8_t>(alignment_of(p.pre) / 2)},
                static_cast<uint8_t>(static_cast<int>(p.dtype) << 4 | static_cast<int>(p.c_dtype)),
                static_cast<uint8_t>(p.a_layout.by_columns + 2 * p.b_layout.by_columns),
                static_cast<uint8_t>(tf32_),
                epilogue};
  if (const auto known = plans_.find(key); known != plans_.end()) return *known->second;
  if (plans_.size() >= kMaxPlans) plans_.clear();
  return *(plans_[key] = make_plan(ctx, cmd, p, key, epilogue));
}

std::unique_ptr<BlasLt::Plan> BlasLt::make_plan(CudaContext& ctx, const Command& cmd, const BlasProduct& p,
                                                const Key& key, uint32_t epilogue) {
  const Library& library = *Library::get();
  auto plan = std::make_unique<Plan>();
  const DataType type = type_of(p.dtype), c_type = type_of(p.c_dtype);
  const bool is_double = p.dtype == DType::kFloat64;
  const bool rounds = size_of(p.c_dtype) == 2;
  const ComputeType compute = is_double                             ? kCompute64
                              : tf32_ && p.dtype == DType::kFloat32 ? kCompute32Tf32
                                                                    : kCompute32;
  const auto require = [&](int status) {
    if (status != kSuccess) fail(cmd, p, status);
  };
  require(library.desc_create(&plan->desc, compute, is_double ? kReal64 : kReal32));
  int status = kSuccess;
  set(library.desc_set, plan->desc, kTransA, p.b_layout.by_columns ? kTransposed : kAsItIs, status);
  set(library.desc_set, plan->desc, kTransB, p.a_layout.by_columns ? kTransposed : kAsItIs, status);
  set(library.desc_set, plan->desc, kEpilogue, epilogue, status);
  if (vector_of(p) != nullptr) set(library.desc_set, plan->desc, kBiasDataType, static_cast<int32_t>(c_type), status);
  if (p.pre != nullptr) set(library.desc_set, plan->desc, kAuxLine, p.c_layout.line, status);
  set_pointers(plan->desc, p, status);
  require(status);

  const auto make_layout = [&](Descriptor& layout, DataType of, int64_t rows, int64_t columns, const BlasLayout& lies,
                               int64_t distance) {
    // A matrix by rows is its transpose by columns.
    const int64_t length = lies.by_columns ? rows : columns, lines = lies.by_columns ? columns : rows;
    require(library.layout_create(&layout, of, static_cast<uint64_t>(length), static_cast<uint64_t>(lines), lies.line));
    int outcome = kSuccess;
    set(library.layout_set, layout, kBatchCount, static_cast<int32_t>(p.batch), outcome);
    set(library.layout_set, layout, kStridedBatchOffset, distance, outcome);
    require(outcome);
  };
  make_layout(plan->a, type, p.k, p.n, p.b_layout, p.b_batch);
  make_layout(plan->b, type, p.m, p.k, p.a_layout, p.a_batch);
  make_layout(plan->c, c_type, p.m, p.n, p.c_layout, p.c_batch);

  Descriptor preference = nullptr;
  require(library.preference_create(&preference));
  set(library.preference_set, preference, kMaxWorkspaceBytes, uint64_t{workspace_limit(ctx)}, status);
  // Parts of a sum are never rounded to 16 bits.
  set(library.preference_set, preference, kReductionSchemeMask,
      static_cast<uint32_t>(rounds ? kInComputeType : kInComputeType | kInPlace), status);
  set(library.preference_set, preference, kMinAlignmentA, uint32_t{key.alignments[1]} * 2, status);
  set(library.preference_set, preference, kMinAlignmentB, uint32_t{key.alignments[0]} * 2, status);
  set(library.preference_set, preference, kMinAlignmentC, uint32_t{key.alignments[2]} * 2, status);
  set(library.preference_set, preference, kMinAlignmentD, uint32_t{key.alignments[2]} * 2, status);
  HeuristicResult results[kTunedAlgorithms];
  int count = 0;
  if (status == kSuccess) {
    status = library.heuristic(handle_, plan->desc, plan->a, plan->b, plan->c, plan->c, preference,
                               tunes_ ? kTunedAlgorithms : 1, results, &count);
  }
  library.preference_destroy(preference);
  if (status == kNotSupported || status == kInvalidValue) return plan;  // it knows no algorithm
  require(status);
  count = static_cast<int>(
      std::remove_if(results, results + count, [](const HeuristicResult& result) { return result.state != kSuccess; }) -
      results);
  if (count == 0) return plan;
  plan->found = true;

  void* workspace = nullptr;
  if (count > 1) {
    size_t most = 0;
    for (int i = 0; i < count; ++i) most = std::max(most, results[i].workspace_bytes);
    workspace = ctx.scratch<std::byte>(static_cast<int64_t>(most));
  }
  // Running a product again does no harm where it is only written.
  const size_t best = find_quickest(ctx, cmd, p.accumulate ? 1 : static_cast<size_t>(count), [&](size_t i) {
    return run(ctx, *plan, p, &results[i].algorithm, workspace, results[i].workspace_bytes) == kSuccess;
  });
  plan->algorithm = results[best].algorithm;
  plan->workspace_bytes = results[best].workspace_bytes;
  return plan;
}

int BlasLt::run(CudaContext& ctx, const Plan& plan, const BlasProduct& p, const void* algorithm, void* workspace,
                size_t workspace_bytes) const {
  const Library& library = *Library::get();
  const float one = 1, beta = p.accumulate ? 1 : 0;
  const double double_one = 1, double_beta = beta;
  const bool is_double = p.dtype == DType::kFloat64;
  int status = kSuccess;
  set_pointers(plan.desc, p, status);
  if (status != kSuccess) return status;
  return library.matmul(handle_, plan.desc, is_double ? static_cast<const void*>(&double_one) : &one, p.b, plan.a, p.a,
                        plan.b, is_double ? static_cast<const void*>(&double_beta) : &beta, p.c, plan.c, p.c, plan.c,
                        static_cast<const Algorithm*>(algorithm), workspace, workspace_bytes, ctx.stream());
}

}  // namespace hadal::cuda
