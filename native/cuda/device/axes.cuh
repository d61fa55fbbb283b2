// A loop nest over some axes of a few tensors: a flat index is taken apart into offsets, in elements. Axes of size 1 are dropped
// and neighbours merged, so that the usual nest has one axis and costs a multiplication. Built on the host; called by the
// kernels that reduce, scan or normalise along axes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/device/divider.cuh"
#include "runtime/tensor_view.h"

namespace hadal::cuda {

template <int kTensors>
struct Axes {
  int rank = 0;             // 0: one element
  int64_t count = 1;        // of the whole nest
  int64_t shape[kMaxRank];  // innermost first, as all arrays here
  int64_t strides[kTensors][kMaxRank];
  Divider dividers[kMaxRank];

  // Puts an axis around those that are there.
  void add(int64_t size, const int64_t (&stride)[kTensors]) {
    count *= size;
    if (size == 1) return;
    bool merges = rank > 0;
    for (int k = 0; k < kTensors && merges; ++k) merges = stride[k] == shape[rank - 1] * strides[k][rank - 1];
    if (!merges) {
      shape[rank] = 1;
      for (int k = 0; k < kTensors; ++k) strides[k][rank] = stride[k];
      ++rank;
    }
    shape[rank - 1] *= size;
    set_divider(rank - 1);
  }
  // Walks the innermost axis, a multiple of `elements` long, in steps of as many.
  void step_inner(int64_t elements) {
    if (elements == 1) return;
    count /= elements;
    shape[0] /= elements;
    for (int k = 0; k < kTensors; ++k) strides[k][0] *= elements;
    set_divider(0);
  }
  int64_t inner_size() const { return rank > 0 ? shape[0] : 1; }
  int64_t inner_stride(int tensor) const { return rank > 0 ? strides[tensor][0] : 0; }
  // Whether every tensor's neighbours along the innermost axis lie side by side.
  bool is_packed() const {
    bool packed = rank > 0;
    for (int k = 0; k < kTensors && packed; ++k) packed = strides[k][0] == 1;
    return packed;
  }
  // Whether a tensor's offset stays a multiple of `elements` along the axes from `first` on.
  bool keeps_alignment(int tensor, int64_t elements, int first = 0) const {
    for (int axis = first; axis < rank; ++axis) {
      if (strides[tensor][axis] % elements != 0) return false;
    }
    return true;
  }

  // 0 <= i < count.
  HADAL_HD void offsets(int64_t i, int64_t (&at)[kTensors]) const {
    if (rank <= 1) {
      for (int k = 0; k < kTensors; ++k) at[k] = i * strides[k][0];  // without axes i is 0
      return;
    }
    for (int k = 0; k < kTensors; ++k) at[k] = 0;
    // Not unrolled, which would only be code to load: nests of many axes are rare.
    if (count <= kNarrow) {
      uint32_t rest = static_cast<uint32_t>(i);
#pragma unroll 1
      for (int axis = 0; axis < rank - 1; ++axis) {
        const int64_t place = dividers[axis].pop(rest);
        for (int k = 0; k < kTensors; ++k) at[k] += place * strides[k][axis];
      }
      for (int k = 0; k < kTensors; ++k) at[k] += rest * strides[k][rank - 1];
    } else {
#pragma unroll 1
      for (int axis = 0; axis < rank - 1; ++axis) {
        const int64_t place = i % shape[axis];
        i /= shape[axis];
        for (int k = 0; k < kTensors; ++k) at[k] += place * strides[k][axis];
      }
      for (int k = 0; k < kTensors; ++k) at[k] += i * strides[k][rank - 1];
    }
  }

 private:
  // Up to here indices are divided as 32-bit numbers.
  static constexpr int64_t kNarrow = int64_t{1} << 30;

  void set_divider(int axis) {
    dividers[axis] = Divider(static_cast<uint32_t>(std::clamp<int64_t>(shape[axis], 1, kNarrow)));
  }
};

// The axes of views[0] with a bit in `axes`, of all views: in row-major order, or with `by_memory` the smallest stride of
// views[0] innermost and what is broadcast outermost.
template <int kTensors>
Axes<kTensors> axes_of(const TensorView* const (&views)[kTensors], uint32_t axes, bool by_memory = false) {
  int order[kMaxRank], chosen = 0;
  for (int axis = views[0]->rank - 1; axis >= 0; --axis) {
    if ((axes >> axis & 1u) != 0) order[chosen++] = axis;
  }
  if (by_memory) {
    const auto key = [&](int axis) { return static_cast<uint64_t>(views[0]->strides[axis]) - 1; };
    std::stable_sort(order, order + chosen, [&](int a, int b) { return key(a) < key(b); });
  }
  Axes<kTensors> nest;
  for (int i = 0; i < chosen; ++i) {
    int64_t strides[kTensors];
    for (int k = 0; k < kTensors; ++k) strides[k] = views[k]->strides[order[i]];
    nest.add(views[0]->shape[order[i]], strides);
  }
  return nest;
}
inline uint32_t all_axes(const TensorView& view) { return (1u << view.rank) - 1; }

}  // namespace hadal::cuda
