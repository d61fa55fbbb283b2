// Parts of views by their axes, as indexing sees them on every device: a 0-d tensor counts as one element along any axis.
#pragma once

#include "runtime/tensor_view.h"

namespace hadal {

// The first `count` axes, or those from `first` on.
inline TensorView leading(TensorView view, int count) {
  view.rank = count;
  return view;
}
inline TensorView trailing(const TensorView& view, int first) {
  TensorView rest = view;
  rest.rank = view.rank - first;
  for (int axis = 0; axis < rest.rank; ++axis) {
    rest.shape[axis] = view.shape[first + axis];
    rest.strides[axis] = view.strides[first + axis];
  }
  return rest;
}
inline int64_t size_along(const TensorView& view, int axis) { return view.rank > 0 ? view.shape[axis] : 1; }
inline int64_t stride_along(const TensorView& view, int axis) { return view.rank > 0 ? view.strides[axis] : 0; }

}  // namespace hadal
