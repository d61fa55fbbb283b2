// What the attention kernels have in common: their operands, what is done to a score before its exponential (mask, causality),
// dropout, and what serves a command: for 16-bit floats cuDNN (attention_cudnn.cu), or tensor cores (attention_tiles.cuh) with heads of up
// to 256; for everything else plain tiles (attention.cu, attention_backward.cu). Scores are in units of ln 2, so that the
// exponential is a power of two.
#pragma once

#include <cmath>

#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "runtime/philox.h"

namespace hadal::cuda {

inline constexpr double kLog2E = 1.4426950408889634;
inline constexpr double kLn2 = 0.6931471805599453;

template <class C>
__device__ __forceinline__ constexpr C negative_infinity() {
  return -std::numeric_limits<C>::infinity();
}

// A tensor [b, heads, rows, columns] of any strides; null: none.
template <class T>
struct Heads {
  T* data = nullptr;
  int64_t batch = 0, head = 0, row = 0, column = 0;

  Heads() = default;
  explicit Heads(const TensorView& view)
      : data(view.as<T>()),
        batch(view.strides[0]),
        head(view.strides[1]),
        row(view.strides[2]),
        column(view.rank > 3 ? view.strides[3] : 0) {}
  __device__ __forceinline__ T* at(int64_t b, int64_t h) const { return data + b * batch + h * head; }
};

struct AttentionSizes {
  int64_t b, h, hk, t, s, d, dv;

  AttentionSizes(const TensorView& q, const TensorView& k, const TensorView& v)
      : b(q.shape[0]), h(q.shape[1]), hk(k.shape[1]), t(q.shape[2]), s(k.shape[2]), d(q.shape[3]), dv(v.shape[3]) {}
};

// Which keys a query sees, with what added to their scores, and which of the probabilities are dropped: those of the elements of
// [b, h, t, s] that the op `dropout` would drop with the same probability and Philox stream (runtime/philox.h).
struct ScoreRules {
  TensorView mask;
  bool causal;
  double scale;  // of the scores
  uint64_t threshold;
  double kept_scale;
  PhiloxKey key;
  uint64_t offset;

  // Attributes are those of both ops; `mask` is the input that holds it.
  ScoreRules(const Command& cmd, int mask)
      : mask(cmd.input(mask)),
        causal(cmd.flag(1)),
        scale(cmd.attribute(0)),
        threshold(static_cast<uint64_t>(cmd.attribute(2) * 4294967296.0)),
        kept_scale(1 / (1 - cmd.attribute(2))),
        key{static_cast<uint32_t>(cmd.attribute(3)), static_cast<uint32_t>(cmd.attribute(4))},
        offset(static_cast<uint64_t>(static_cast<int64_t>(cmd.attribute(5)))) {}

  bool drops() const { return threshold != 0; }
};

// The same on the device, for scores of type C.
template <class C>
struct ScoreKernelRules {
  Heads<const std::byte> mask;  // strides in elements; data is only an address
  DType mask_dtype;
  bool causal;
  bool drops;
  C scale;  // of the scores, times log2 e
  C kept_scale;
  uint64_t threshold;
  PhiloxKey key;
  uint64_t offset;

  explicit ScoreKernelRules(const ScoreRules& rules)
      : mask(rules.mask.present() ? Heads<const std::byte>(rules.mask) : Heads<const std::byte>()),
        mask_dtype(rules.mask.dtype),
        causal(rules.causal),
        drops(rules.drops()),
        scale(static_cast<C>(rules.scale * kLog2E)),
        kept_scale(static_cast<C>(rules.kept_scale)),
        threshold(rules.threshold),
        key(rules.key),
        offset(rules.offset) {}

  // A scaled score under the mask. The place is where the mask's element is, see mask_place.
  __device__ __forceinline__ int64_t mask_place(int64_t batch, int64_t head) const {
    return batch * mask.batch + head * mask.head;
  }
  __device__ C masked(C score, int64_t place, int64_t query, int64_t key_index) const {
    const int64_t at = place + query * mask.row + key_index * mask.column;
    switch (mask_dtype) {
      case DType::kBool: return reinterpret_cast<const bool*>(mask.data)[at] ? score : negative_infinity<C>();
      case DType::kFloat64: return score + added<double>(at);
      case DType::kFloat32: return score + added<float>(at);
      case DType::kFloat16: return score + added<Float16>(at);
      default: return score + added<BFloat16>(at);
    }
  }
  // What the probability of element (row of [b, h, t]) · s + key is multiplied with.
  __device__ C kept(int64_t element) const {
    uint32_t words[4];
    philox(offset + static_cast<uint64_t>(element / 4), key, words);
    const int word = static_cast<int>(element % 4);
    const uint32_t low = word % 2 == 0 ? words[0] : words[1], high = word % 2 == 0 ? words[2] : words[3];
    return (word < 2 ? low : high) >= threshold ? kept_scale : C(0);
  }

 private:
  template <class M>
  __device__ __forceinline__ C added(int64_t at) const {
    return static_cast<C>(load_element(reinterpret_cast<const M*>(mask.data)[at])) * static_cast<C>(kLog2E);
  }
};

inline constexpr int64_t kQueryPadding = 128, kQueryTile = 64;

// Of every query, what the gradient's exponentials and differences need, [b · h, t padded to whole tiles]: the log-sum-exp in
// units of ln 2, +inf for a query that sees nothing or is padding, so that its probabilities are 0; and D = Σ g·y. And counters, all
// 0: one of blocks, and after it one of each kQueryTile queries.
template <class C>
struct QueryStatistics {
  C* lse;
  C* dot;
  unsigned* turns;
  int64_t padded;

  __device__ __forceinline__ unsigned* turns_of(int64_t head) const { return turns + 1 + head * (padded / kQueryTile); }
};

// Serve 16-bit floats by cuDNN; false where it is not there, or not for them.
bool attention_by_cudnn(CudaContext& ctx, const Command& cmd);
bool attention_backward_by_cudnn(CudaContext& ctx, const Command& cmd);

// Serve 16-bit floats by tensor cores; false where the shapes are not for them.
template <class T>
bool attention_on_tensor_cores(CudaContext& ctx, const Command& cmd);
template <class T>
bool attention_backward_on_tensor_cores(CudaContext& ctx, const Command& cmd, const QueryStatistics<float>& statistics);

}  // namespace hadal::cuda
