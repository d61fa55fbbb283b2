// Stands in for cuBLASLt on the emulated device: the functions that cuda/blas_lt.cc opens, which libraries.cc hands out with
// HADAL_EMULATED_CUBLASLT set. What is described to it is checked as cuBLASLt's header and manual demand, and products are loops, on the
// stream. Of double precision it knows products alone. With HADAL_EMULATED_CUBLASLT=log it writes the epilogues that it runs.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "cuda/library_search.h"
#include "runtime/half.h"

using namespace hadal;
using hadal::cuda::variable;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Status : int { kSuccess = 0, kNotInitialized = 1, kInvalidValue = 7, kNotSupported = 15 };
enum DataType : int { kReal32 = 0, kReal64 = 1, kReal16 = 2, kRealB16 = 14 };
enum Epilogue : uint32_t {
  kDefault = 1,
  kRelu = 2,
  kBias = 4,
  kGelu = 32,
  kGeluSlope = 64,
  kAux = 128,
  kSumsOfB = 512
};

struct Stop {
  int status;
};
void require(bool holds, int status = kInvalidValue) {
  if (!holds) throw Stop{status};
}
template <class F>
int answer(F&& body) {
  try {
    body();
    return kSuccess;
  } catch (const Stop& stop) {
    return stop.status;
  }
}

// Any descriptor: what it was made with, and its attributes, whose sizes are those of the header.
struct Object {
  std::map<int, size_t> sizes;
  std::map<int, std::vector<std::byte>> values;

  template <class T>
  T get(int attribute, T otherwise) const {
    const auto found = values.find(attribute);
    if (found == values.end()) return otherwise;
    T value;
    require(found->second.size() == sizeof value);
    std::memcpy(&value, found->second.data(), sizeof value);
    return value;
  }
};
enum { kTransA = 3, kTransB = 4, kEpilogue = 7, kBiasPointer = 8, kAuxPointer = 11, kAuxLine = 12, kBiasType = 26 };
const std::map<int, size_t> kDescSizes = {{kTransA, 4},     {kTransB, 4},  {kEpilogue, 4}, {kBiasPointer, 8},
                                          {kAuxPointer, 8}, {kAuxLine, 8}, {kBiasType, 4}};
struct Desc : Object {
  int compute, scale;
};
enum { kBatchCount = 5, kBatchDistance = 6 };
struct Layout : Object {
  int type;
  int64_t rows, columns, line;

  int64_t batch() const { return get<int32_t>(kBatchCount, 1); }
  int64_t distance() const { return get<int64_t>(kBatchDistance, 0); }
};
enum { kMostWorkspace = 1, kReductionSchemes = 3, kAlignmentA = 5, kAlignmentD = 8 };
const std::map<int, size_t> kPreferenceSizes = {
    {kMostWorkspace, 8}, {kReductionSchemes, 4}, {5, 4}, {6, 4}, {7, 4}, {8, 4}};

constexpr uint64_t kWorkspaceBytes = 1 << 12;

struct Algorithm {
  uint64_t alignments[4];  // of A, B, C, D: what was promised
  uint64_t description;
  uint64_t rest[3];
};
struct Result {
  Algorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};

double load(int type, const void* data, int64_t at) {
  switch (type) {
    case kReal32: return static_cast<const float*>(data)[at];
    case kReal64: return static_cast<const double*>(data)[at];
    case kReal16: return static_cast<float>(static_cast<const Float16*>(data)[at]);
    default: return static_cast<float>(static_cast<const BFloat16*>(data)[at]);
  }
}
void store(int type, void* data, int64_t at, double value) {
  switch (type) {
    case kReal32: static_cast<float*>(data)[at] = static_cast<float>(value); break;
    case kReal64: static_cast<double*>(data)[at] = value; break;
    case kReal16: static_cast<Float16*>(data)[at] = Float16(static_cast<float>(value)); break;
    default: static_cast<BFloat16*>(data)[at] = BFloat16(static_cast<float>(value));
  }
}
uint64_t size_of(int type) { return type == kReal64 ? 8 : type == kReal32 ? 4 : 2; }

// The tanh form of GELU, and its slope.
double gelu(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) {
  const double t = std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
}

// A product as it is described: columns lie side by side.
struct Product {
  Layout a, b, c;
  bool turns_a, turns_b;
  uint32_t epilogue;
  void *vector, *aux;
  int64_t aux_line;
  int64_t m, n, k;

  Product(const Desc& desc, const Layout& a, const Layout& b, const Layout& c, const Layout& d)
      : a(a),
        b(b),
        c(c),
        turns_a(desc.get<int32_t>(kTransA, 0) == 1),
        turns_b(desc.get<int32_t>(kTransB, 0) == 1),
        epilogue(desc.get<uint32_t>(kEpilogue, kDefault)),
        vector(desc.get<void*>(kBiasPointer, nullptr)),
        aux(desc.get<void*>(kAuxPointer, nullptr)),
        aux_line(desc.get<int64_t>(kAuxLine, 0)),
        m(c.rows),
        n(c.columns),
        k(turns_a ? a.rows : a.columns) {
    require(m > 0 && n > 0 && k > 0);
    require((turns_a ? a.columns : a.rows) == m && (turns_b ? b.columns : b.rows) == k);
    require((turns_b ? b.rows : b.columns) == n && d.rows == m && d.columns == n && d.line == c.line);
    for (const Layout* layout : {&a, &b, &c}) {
      require(layout->line >= layout->rows && layout->batch() == c.batch() && layout->batch() < 65536);
    }
    require(c.batch() == 1 || c.distance() != 0);
    require(a.type == b.type && d.type == c.type && (c.type == a.type || (c.type == kReal32 && size_of(a.type) == 2)),
            kNotSupported);
    require(desc.compute == (a.type == kReal64 ? 70 : 68) || (desc.compute == 77 && a.type == kReal32));
    require(desc.scale == (a.type == kReal64 ? kReal64 : kReal32));
    if (epilogue == kDefault) return;
    require(a.type != kReal64, kNotSupported);
    const bool has_vector = (epilogue & kBias) != 0 || epilogue == kSumsOfB;
    require(!has_vector || (is_aligned(vector, size_of(c.type)) && desc.get<int32_t>(kBiasType, c.type) == c.type));
    switch (epilogue) {
      case kBias:
      case kRelu:
      case kRelu | kBias:
      case kGelu:
      case kGelu | kBias: break;
      case kGelu | kAux:
      case kGelu | kAux | kBias:
      case kGeluSlope | kAux: {
        require(c.batch() == 1 && is_aligned(aux, 16) && aux_line >= m && aux_line % 8 == 0);
        break;
      }
      case kSumsOfB: require(c.batch() == 1); break;
      default: require(false);
    }
  }
  static bool is_aligned(const void* address, uint64_t bytes) {
    return address != nullptr && reinterpret_cast<uintptr_t>(address) % bytes == 0;
  }

  // All that an algorithm depends on.
  uint64_t description() const {
    uint64_t hash = 0;
    for (const Layout* layout : {&a, &b, &c}) {
      for (const int64_t part :
           {int64_t{layout->type}, layout->rows, layout->columns, layout->line, layout->batch(), layout->distance()}) {
        hash = (hash ^ static_cast<uint64_t>(part)) * 0x9e3779b97f4a7c15 + (hash >> 29);
      }
    }
    return hash * 4096 + epilogue * 4 + turns_a * 2u + turns_b;
  }
};

struct Run {
  Product product;
  double alpha, beta;
  const void *a, *b;
  void *c, *workspace;

  void operator()() const {
    std::memset(workspace, 0x7f, kWorkspaceBytes);
    const Product& p = product;
    const int type = p.c.type;
    for (int64_t matrix = 0; matrix < p.c.batch(); ++matrix) {
      const auto at = [&](const Layout& layout, int64_t row, int64_t column) {
        return matrix * layout.distance() + column * layout.line + row;
      };
      const auto b_at = [&](int64_t p_at, int64_t j) {
        return load(p.b.type, b, p.turns_b ? at(p.b, j, p_at) : at(p.b, p_at, j));
      };
      for (int64_t j = 0; j < p.n; ++j) {
        for (int64_t i = 0; i < p.m; ++i) {
          double sum = 0;
          for (int64_t q = 0; q < p.k; ++q) {
            sum += load(p.a.type, a, p.turns_a ? at(p.a, q, i) : at(p.a, i, q)) * b_at(q, j);
          }
          double value = alpha * sum;
          if (beta != 0) value += beta * load(type, c, at(p.c, i, j));
          if ((p.epilogue & kBias) != 0) value += load(type, p.vector, i);
          if ((p.epilogue & kRelu) != 0) value = value < 0 ? 0 : value;
          if ((p.epilogue & kGelu) != 0) {
            if ((p.epilogue & kAux) != 0) store(type, p.aux, j * p.aux_line + i, value);
            value = gelu(value);
          }
          if ((p.epilogue & kGeluSlope) != 0) value *= gelu_slope(load(type, p.aux, j * p.aux_line + i));
          store(type, c, at(p.c, i, j), value);
        }
        if (p.epilogue == kSumsOfB) {
          double sum = 0;
          for (int64_t q = 0; q < p.k; ++q) sum += b_at(q, j);
          store(type, p.vector, j, sum);
        }
      }
    }
  }
};
// Graphs run them again, so that they stay.
std::mutex mutex;
std::deque<Run>& all_runs = *new std::deque<Run>;

int set(void* object, int attribute, const void* value, size_t bytes, const std::map<int, size_t>& sizes) {
  return answer([&] {
    const auto known = sizes.find(attribute);
    require(value != nullptr && known != sizes.end() && known->second == bytes);
    const auto* from = static_cast<const std::byte*>(value);
    static_cast<Object*>(object)->values[attribute] = {from, from + bytes};
  });
}

}  // namespace

// --- The library -------------------------------------------------------------------------------------------------------------

EXPORT int cublasLtCreate(void** handle) {
  *handle = new int;
  return variable("HADAL_EMULATED_CUBLASLT") == "broken" ? kNotInitialized : kSuccess;
}
EXPORT int cublasLtDestroy(void* handle) {
  delete static_cast<int*>(handle);
  return kSuccess;
}
EXPORT const char* cublasLtGetStatusString(int status) {
  return status == kNotInitialized ? "CUBLAS_STATUS_NOT_INITIALIZED" : "another status";
}
EXPORT int cublasLtMatmulDescCreate(void** desc, int compute, int scale) {
  *desc = new Desc{{}, compute, scale};
  return kSuccess;
}
EXPORT int cublasLtMatmulDescDestroy(void* desc) {
  delete static_cast<Desc*>(desc);
  return kSuccess;
}
EXPORT int cublasLtMatmulDescSetAttribute(void* desc, int attribute, const void* value, size_t bytes) {
  return set(static_cast<Desc*>(desc), attribute, value, bytes, kDescSizes);
}
EXPORT int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns, int64_t line) {
  *layout = new Layout{{}, type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), line};
  return kSuccess;
}
EXPORT int cublasLtMatrixLayoutDestroy(void* layout) {
  delete static_cast<Layout*>(layout);
  return kSuccess;
}
EXPORT int cublasLtMatrixLayoutSetAttribute(void* layout, int attribute, const void* value, size_t bytes) {
  return set(static_cast<Layout*>(layout), attribute, value, bytes, {{kBatchCount, 4}, {kBatchDistance, 8}});
}
EXPORT int cublasLtMatmulPreferenceCreate(void** preference) {
  *preference = new Object;
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceDestroy(void* preference) {
  delete static_cast<Object*>(preference);
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value, size_t bytes) {
  return set(preference, attribute, value, bytes, kPreferenceSizes);
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(void*, void* desc, void* a, void* b, void* c, void* d, void* preference,
                                          int wanted, Result* results, int* found) {
  return answer([&] {
    const Product product(*static_cast<Desc*>(desc), *static_cast<Layout*>(a), *static_cast<Layout*>(b),
                          *static_cast<Layout*>(c), *static_cast<Layout*>(d));
    const auto& wishes = *static_cast<Object*>(preference);
    require(wishes.get<uint64_t>(kMostWorkspace, 0) >= kWorkspaceBytes, kNotSupported);
    // Parts of a sum are not to be rounded to 16 bits.
    require(size_of(product.c.type) != 2 || wishes.get<uint32_t>(kReductionSchemes, 7) == 2);
    Result result{};
    for (int i = 0; i < 4; ++i) result.algorithm.alignments[i] = wishes.get<uint32_t>(kAlignmentA + i, 256);
    result.algorithm.description = product.description();
    result.workspace_bytes = kWorkspaceBytes;
    // Of several the first cannot run.
    *found = std::min(wanted, 3);
    for (int i = 0; i < *found; ++i) {
      results[i] = result;
      if (wanted > 1 && i == 0) results[i].state = kNotSupported;
    }
  });
}

EXPORT int cublasLtMatmul(void*, void* desc, const void* alpha, const void* a, void* a_layout, const void* b,
                          void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout,
                          const Algorithm* algorithm, void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  return answer([&] {
    const Product product(*static_cast<Desc*>(desc), *static_cast<Layout*>(a_layout), *static_cast<Layout*>(b_layout),
                          *static_cast<Layout*>(c_layout), *static_cast<Layout*>(d_layout));
    require(algorithm->description == product.description());
    const void* const addresses[] = {a, b, c, d};
    for (int i = 0; i < 4; ++i) require(Product::is_aligned(addresses[i], algorithm->alignments[i]));
    require(c == d && workspace != nullptr && workspace_bytes >= kWorkspaceBytes);
    const int scale = product.a.type == kReal64 ? kReal64 : kReal32;
    if (variable("HADAL_EMULATED_CUBLASLT") == "log") {
      std::fprintf(stderr, "cuBLASLt: runs %s with epilogue %u\n",
                   product.c.type == kReal32   ? "float32"
                   : product.c.type == kReal64 ? "float64"
                   : product.c.type == kReal16 ? "float16"
                                               : "bfloat16",
                   product.epilogue);
    }
    std::lock_guard lock(mutex);
    all_runs.push_back({product, load(scale, alpha, 0), load(scale, beta, 0), a, b, d, workspace});
    const auto function = [](void* run) { (*static_cast<Run*>(run))(); };
    require(cudaLaunchHostFunc(stream, function, &all_runs.back()) == cudaSuccess, kNotInitialized);
  });
}
