// How pointwise ops walk strided tensors: the axes of all operands are reordered, dropped and merged until few remain.
// Plain data, so that both devices use it. It reads and writes no elements. Called by the pointwise and copy kernels.
#pragma once

#include <cstdint>

#include "runtime/half.h"
#include "runtime/tensor_view.h"

namespace hadal {

inline constexpr int kMaxOperands = 4;

// A loop nest over `count` elements, shape[rank - 1] innermost; rank is at least 1. Operand 0 is the output.
struct Strides {
  int rank = 1;
  int operands = 0;
  int64_t count = 1;
  int64_t shape[kMaxRank] = {1};
  int64_t strides[kMaxOperands][kMaxRank] = {};  // in elements

  int64_t inner_size() const { return shape[rank - 1]; }
  int64_t inner_stride(int operand) const { return strides[operand][rank - 1]; }
  // Whether element i of the walk lies at data + i.
  bool contiguous(int operand) const {
    int64_t expected = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (shape[axis] != 1 && strides[operand][axis] != expected) return false;
      expected *= shape[axis];
    }
    return true;
  }
  // Whether the operand is the same row for every inner loop.
  bool repeats_rows(int operand) const {
    for (int axis = 0; axis < rank - 1; ++axis) {
      if (strides[operand][axis] != 0) return false;
    }
    return true;
  }
};

// Merges the axes of views of one shape. With `reorder` the axes are first sorted by the output's strides, so that it is
// written in the order of its memory; without, element i of the walk is element i in logical row-major order.
inline Strides collapse(const TensorView* const* views, int count, bool reorder) {
  Strides out;
  out.operands = count;
  int axes[kMaxRank], rank = 0;
  for (int axis = 0; axis < views[0]->rank; ++axis) {
    out.count *= views[0]->shape[axis];
    if (views[0]->shape[axis] != 1) axes[rank++] = axis;
  }
  if (reorder) {
    for (int i = 1; i < rank; ++i) {
      for (int j = i; j > 0 && views[0]->strides[axes[j - 1]] < views[0]->strides[axes[j]]; --j) {
        const int swapped = axes[j];
        axes[j] = axes[j - 1];
        axes[j - 1] = swapped;
      }
    }
  }
  int kept = 0;
  for (int i = 0; i < rank; ++i) {
    const int axis = axes[i];
    bool merges = kept > 0;
    for (int k = 0; k < count && merges; ++k) {
      merges = out.strides[k][kept - 1] == views[k]->strides[axis] * views[0]->shape[axis];
    }
    if (!merges) out.shape[kept++] = 1;
    out.shape[kept - 1] *= views[0]->shape[axis];
    for (int k = 0; k < count; ++k) out.strides[k][kept - 1] = views[k]->strides[axis];
  }
  if (kept == 0) {  // one element
    out.shape[0] = 1;
    for (int k = 0; k < count; ++k) out.strides[k][0] = 1;
  }
  out.rank = kept == 0 ? 1 : kept;
  return out;
}

}  // namespace hadal
