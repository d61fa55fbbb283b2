// The place of an element along each axis, from its number in row-major order or, where the channels of [n, c, …] lie side by side, in
// that of [n, …, c], so that neighbours in number are neighbours in memory. Built on the host; called by the kernels whose results depend
// on places: padding, pooling, resampling, convolution.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/device/divider.cuh"
#include "runtime/tensor_view.h"

namespace hadal::cuda {

struct Coordinates {
  int rank = 0;
  int64_t count = 1;
  bool channels_last = false;
  int64_t shape[kMaxRank];  // in the order of numbers, the innermost axis first
  Divider dividers[kMaxRank];

  explicit Coordinates(const TensorView& view) : rank(view.rank) {
    channels_last = rank > 2 && view.shape[1] > 1 && view.strides[1] == 1 && view.strides[rank - 1] != 1;
    for (int axis = 0; axis < rank; ++axis) {
      shape[axis] = view.shape[rank - 1 - from_last(axis)];
      count *= shape[axis];
      dividers[axis] = Divider(static_cast<uint32_t>(std::clamp<int64_t>(shape[axis], 1, kNarrow)));
    }
  }
  // The place along the view's axes, the last one first. 0 <= i < count.
  HADAL_HD void find(int64_t i, int64_t (&place)[kMaxRank]) const {
    if (count <= kNarrow) {
      uint32_t rest = static_cast<uint32_t>(i);
      for (int axis = 0; axis < rank; ++axis) place[from_last(axis)] = dividers[axis].pop(rest);
    } else {
      for (int axis = 0; axis < rank; ++axis) {
        place[from_last(axis)] = i % shape[axis];
        i /= shape[axis];
      }
    }
  }

 private:
  // Which axis of the view, counted from its last, is at `axis` in the order of numbers.
  HADAL_HD int from_last(int axis) const {
    if (!channels_last || axis == rank - 1) return axis;
    return axis == 0 ? rank - 2 : axis - 1;
  }

  // Up to here indices are divided as 32-bit numbers.
  static constexpr int64_t kNarrow = int64_t{1} << 30;
};

}  // namespace hadal::cuda
