// Rows: the lines of tensors along one axis, shared out to groups of threads that read them 16 bytes at a time. Called by
// the kernels that normalise along an axis: softmax, layer norm, cross entropy.
//
// A row of n neighbouring elements is read in units of kPack, which are aligned in memory. Where it begins or ends in the middle of
// a unit (vocabularies and sequences have odd sizes), the elements there are its edges: fewer than two units, of which each of the
// first threads takes one. Rows whose elements are no neighbours are read with kPack = 1 and a stride.
#pragma once

#include "cuda/cuda_context.h"
#include "cuda/device/axes.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/instructions.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/launch_shape.h"

namespace hadal::cuda {

// One row of one tensor.
template <class T, int kPack>
struct Row {
  using Element = std::remove_const_t<T>;

  T* data;
  int64_t n;
  int64_t stride;  // 1 unless kPack is
  int head;        // elements before the first unit
  int64_t units;

  __device__ __forceinline__ Row(T* data, int64_t n, int64_t stride) : data(data), n(n), stride(stride), head(0) {
    if constexpr (kPack > 1) {
      const int lead = static_cast<int>(reinterpret_cast<uintptr_t>(data) / sizeof(T) % kPack);
      head = static_cast<int>(n < (kPack - lead) % kPack ? n : (kPack - lead) % kPack);
    }
    units = (n - head) / kPack;
  }
  // The place in the row of a unit's first element.
  __device__ __forceinline__ int64_t first(int64_t unit) const { return head + unit * kPack; }
  __device__ __forceinline__ Pack<Element, kPack> load(int64_t unit) const {
    return load_pack<kPack, Element>(data + first(unit) * stride);
  }
  __device__ __forceinline__ void store(int64_t unit, const Pack<T, kPack>& pack) const {
    store_pack(data + first(unit) * stride, pack);
  }
  // Whether the thread has an edge, and its place in the row.
  __device__ __forceinline__ bool has_edge(unsigned thread) const {
    return kPack > 1 && thread < static_cast<unsigned>(n - units * kPack);
  }
  __device__ __forceinline__ int64_t edge(unsigned thread) const {
    return thread < static_cast<unsigned>(head) ? thread : thread + units * kPack;
  }
};
template <class T, int kPack>
__device__ __forceinline__ void unpack(const Pack<T, kPack>& pack, Compute<T> (&values)[kPack]) {
#pragma unroll
  for (int i = 0; i < kPack; ++i) values[i] = load_element(pack.at[i]);
}

// A barrier for all threads of a block, and one for each group of threads with the same threadIdx.y, beside the block's: a kernel
// with those has all 16 barriers, of which a multiprocessor of an H100 has 64, so that four such blocks are all it takes.
struct BlockBarrier {
  __device__ __forceinline__ void operator()() const { __syncthreads(); }
};
struct GroupBarrier {
  __device__ __forceinline__ void operator()() const { __barrier_sync_count(threadIdx.y + 1, blockDim.x); }
};

// The blockDim.x threads with the same threadIdx.y, that share a row: 32, or more, a multiple of 32, then the whole block unless
// they have a barrier of their own.
struct RowGroup {
  static constexpr int kMaxWarps = 32;
  static constexpr int kMaxGroups = 15;

  // combine over the group, the same for all its threads, in a fixed order. `partial` is room for the warps of the whole block:
  // another reduction has to lie between two that use the same.
  template <class Barrier = BlockBarrier, class T, class F>
  static __device__ __forceinline__ T reduce(T value, T identity, T* partial, F&& combine) {
    value = warp_reduce(value, combine);
    if (blockDim.x <= kWarp) return value;
    const unsigned warps = blockDim.x / kWarp, lane = threadIdx.x % kWarp;
    T* mine = partial + threadIdx.y * warps;
    if (lane == 0) mine[threadIdx.x / kWarp] = value;
    Barrier()();
    return warp_reduce(lane < warps ? mine[lane] : identity, combine);
  }
};

// Rows of kTensors tensors that are on their way to shared memory, kStages of them, in order. Rows are made of whole units, of which
// thread x of a group has x, x + blockDim.x, …, kUnits of them; it copies itself what it reads, so that nothing is synchronised.
template <class T, int kPack, int kTensors, int kUnits, int kStages>
class RowQueue {
  static_assert(sizeof(Pack<T, kPack>) == sizeof(uint4));

 public:
  static constexpr int kDepth = kStages;
  static size_t bytes(int threads) {
    return static_cast<size_t>(threads) * kStages * kTensors * kUnits * sizeof(uint4);
  }

  __device__ __forceinline__ explicit RowQueue(uint4* shared)
      : own_(shared + threadIdx.y * blockDim.x + threadIdx.x), threads_(blockDim.x * blockDim.y) {}

  static __device__ __forceinline__ int first(int u) {
    return (static_cast<int>(threadIdx.x) + u * static_cast<int>(blockDim.x)) * kPack;
  }
  // Starts to copy rows of n elements; with n = 0, where there is none left, nothing.
  __device__ __forceinline__ void push(const T* const (&rows)[kTensors], int n) {
#pragma unroll
    for (int k = 0; k < kTensors; ++k) {
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
        if (first(u) >= n) break;
        copy_async(static_cast<uint32_t>(__cvta_generic_to_shared(slot(k, u))), rows[k] + first(u), true);
      }
    }
    copies_commit();
    stage_ = stage_ + 1 < kStages ? stage_ + 1 : 0;
  }
  // Waits for the oldest of kStages rows, whose place the next one pushed takes.
  __device__ __forceinline__ void wait() const { copies_wait<kStages - 1>(); }
  __device__ __forceinline__ Pack<T, kPack> load(int tensor, int u) const {
    return load_pack<kPack>(reinterpret_cast<const T*>(slot(tensor, u)));
  }

 private:
  __device__ __forceinline__ uint4* slot(int tensor, int u) const {
    return own_ + ((stage_ * kTensors + tensor) * kUnits + u) * threads_;
  }

  uint4* own_;
  unsigned threads_;
  int stage_ = 0;
};

// How the rows of some tensors of one shape lie: where each begins, and the strides along the axis.
template <int kTensors>
struct Lines {
  Axes<kTensors> rows;
  int64_t n = 1;
  int64_t strides[kTensors];
};
// The lines along `axis` (of a scalar: one, of one element).
template <int kTensors>
Lines<kTensors> lines_along(int axis, const TensorView* const (&views)[kTensors]) {
  Lines<kTensors> lines;
  const bool scalar = views[0]->rank == 0;
  if (!scalar) lines.n = views[0]->shape[axis];
  lines.rows = axes_of(views, all_axes(*views[0]) & ~(scalar ? 0u : 1u << axis));
  for (int k = 0; k < kTensors; ++k) lines.strides[k] = scalar || lines.n == 1 ? 1 : views[k]->strides[axis];
  return lines;
}
// Whether every row is made of neighbours, and units begin at the same place in all tensors' rows.
template <class T, int kTensors>
bool can_pack(const Lines<kTensors>& lines, const TensorView* const (&views)[kTensors]) {
  constexpr int kPack = kPackSize<T>;
  const auto lead = [&](int k) { return reinterpret_cast<uintptr_t>(views[k]->data) / sizeof(T) % kPack; };
  for (int k = 0; k < kTensors; ++k) {
    if (lines.strides[k] != 1 || lead(k) != lead(0)) return false;
    for (int axis = 0; axis < lines.rows.rank; ++axis) {
      if ((lines.rows.strides[k][axis] - lines.rows.strides[0][axis]) % kPack != 0) return false;
    }
  }
  return true;
}

}  // namespace hadal::cuda
