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

  __device__ __forceinline__ Row(T* data, int64_t n, int64_t stride)
      : data(data), n(n), stride(kPack > 1 ? 1 : stride), head(0) {
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
  for (int i = 0; i < kPack; ++i) values[i] = pack.number(i);
}

// A barrier for all threads of a block, and one for each group of threads with the same threadIdx.y, beside the block's: a kernel
// with those has all 16 barriers, of which a multiprocessor of an H100 has 64, so that four such blocks are all it takes.
struct BlockBarrier {
  __device__ __forceinline__ void operator()() const { __syncthreads(); }
};
struct GroupBarrier {
  __device__ __forceinline__ void operator()() const { __barrier_sync_count(threadIdx.y + 1, blockDim.x); }
};

template <class C>
struct SumPair {
  C first, second;
};

// The blockDim.x threads with the same threadIdx.y, that share a row: 32, or more, a multiple of 32, then the whole block unless
// they have a barrier of their own.
struct RowGroup {
  static constexpr int kMaxWarps = 32;
  static constexpr int kMaxGroups = 15;

  // combine over the group, the same for all its threads, in a fixed order. `partial` is room for the warps of the whole block:
  // another reduction has to lie between two that use the same.
  template <class T, class F>
  static __device__ __forceinline__ T reduce(T value, T identity, T* partial, F&& combine) {
    value = warp_reduce(value, combine);
    if (blockDim.x <= kWarp) return value;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    return reduce_warps<BlockBarrier>(value, lane, kWarp, identity, partial, combine);
  }
  // Both sums over a group of at most 16 warps, each of one half of a warp's threads: by half as many exchanges.
  template <class Barrier, class C>
  static __device__ __forceinline__ SumPair<C> add(SumPair<C> sums, C (&partial)[2][kMaxWarps]) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, half = lane / (kWarp / 2);
    C own = half == 0 ? sums.first : sums.second;
    own += move_lanes(half == 0 ? sums.second : sums.first, kWarp / 2);
    own = warp_reduce(own, Plus(), kWarp / 2);
    if (blockDim.x > kWarp)
      own = reduce_warps<Barrier>(own, lane % (kWarp / 2), kWarp / 2, C(0), partial[half], Plus());
    const C other = move_lanes(own, kWarp / 2);
    return half == 0 ? SumPair<C>{own, other} : SumPair<C>{other, own};
  }

 private:
  template <class T>
  static __device__ __forceinline__ T move_lanes(T value, int distance) {
    return shuffle(value, [&](uint32_t word) { return __shfl_xor_sync(kAllThreads, word, distance); });
  }
  // Of the warps' values, each the same in `lanes` neighbours. `lane` is the place among these.
  template <class Barrier, class T, class F>
  static __device__ __forceinline__ T reduce_warps(T value, int lane, int lanes, T identity, T* partial, F&& combine) {
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    T* mine = partial + static_cast<int>(threadIdx.y) * warps;
    if (lane == 0) mine[threadIdx.x / kWarp] = value;
    Barrier()();
    const int needed = min(lanes, 1 << (32 - __clz(warps - 1))), place = lane & (needed - 1);
    return warp_reduce(place < warps ? mine[place] : identity, combine, needed);
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
      : own_(static_cast<uint32_t>(__cvta_generic_to_shared(shared + threadIdx.y * blockDim.x + threadIdx.x))),
        unit_(blockDim.x * blockDim.y * sizeof(uint4)),
        stage_(own_) {}

  static __device__ __forceinline__ int first(int u) {
    return (static_cast<int>(threadIdx.x) + u * static_cast<int>(blockDim.x)) * kPack;
  }
  // Starts to copy rows of n elements; with n = 0, where there is none left, nothing.
  __device__ __forceinline__ void push(const T* const (&rows)[kTensors], int n) {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (first(u) >= n) break;
#pragma unroll
      for (int k = 0; k < kTensors; ++k) copy_async(place(k, u), rows[k] + first(u), true);
    }
    copies_commit();
    stage_ += kTensors * kUnits * unit_;
    if (stage_ == own_ + kStages * kTensors * kUnits * unit_) stage_ = own_;
  }
  // Waits for the oldest of kStages rows, whose place the next one pushed takes.
  __device__ __forceinline__ void wait() const { copies_wait<kStages - 1>(); }
  __device__ __forceinline__ Pack<T, kPack> load(int tensor, int u) const {
    const uint4 words = load_shared<uint4>(place(tensor, u));
    Pack<T, kPack> pack;
    memcpy(&pack, &words, sizeof pack);
    return pack;
  }

 private:
  __device__ __forceinline__ uint32_t place(int tensor, int u) const {
    return stage_ + static_cast<uint32_t>(tensor * kUnits + u) * unit_;
  }

  uint32_t own_, unit_, stage_;  // addresses in shared memory, and their distance
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
