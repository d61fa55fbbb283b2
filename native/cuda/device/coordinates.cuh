// The place of an element along each axis, from its number in row-major order. Built on the host; called by the kernels whose
// results depend on places: padding, triangles, convolution.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/device/divider.cuh"
#include "runtime/tensor_view.h"

namespace hadal::cuda {

// All arrays have the innermost axis first.
struct Coordinates {
  int rank = 0;
  int64_t count = 1;
  int64_t shape[kMaxRank];
  Divider dividers[kMaxRank];

  explicit Coordinates(const TensorView& view) : rank(view.rank) {
    for (int axis = 0; axis < rank; ++axis) {
      shape[axis] = view.shape[rank - 1 - axis];
      count *= shape[axis];
      dividers[axis] = Divider(static_cast<uint32_t>(std::clamp<int64_t>(shape[axis], 1, kNarrow)));
    }
  }
  // 0 <= i < count.
  HADAL_HD void find(int64_t i, int64_t (&place)[kMaxRank]) const {
    if (count <= kNarrow) {
      uint32_t rest = static_cast<uint32_t>(i);
      for (int axis = 0; axis < rank; ++axis) place[axis] = dividers[axis].pop(rest);
    } else {
      for (int axis = 0; axis < rank; ++axis) {
        place[axis] = i % shape[axis];
        i /= shape[axis];
      }
    }
  }

 private:
  // Up to here indices are divided as 32-bit numbers.
  static constexpr int64_t kNarrow = int64_t{1} << 30;
};

}  // namespace hadal::cuda
