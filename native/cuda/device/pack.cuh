// Contiguous copies of strided tensors in scratch memory, for kernels and libraries that want lines whose elements lie side by
// side. Called by the matrix products and attention.
#pragma once

#include "cuda/device/pointwise.cuh"

namespace hadal::cuda {

// x, copied. Axes before `first_whole` along which x is broadcast stay so (stride 0, one element); those after are written out.
// Lines, along the last axis, begin at multiples of `line` elements; what lies between them is not written.
inline TensorView packed(CudaContext& ctx, const Command& cmd, const TensorView& x, int first_whole, int64_t line = 1) {
  TensorView from = x, to = x;
  int64_t count = 1;
  for (int axis = x.rank - 1; axis >= 0; --axis) {
    if (axis < first_whole && x.strides[axis] == 0) from.shape[axis] = 1;
    to.strides[axis] = axis < first_whole && from.shape[axis] == 1 ? 0 : count;
    count *= from.shape[axis];
    if (axis == x.rank - 1) count = (count + line - 1) / line * line;
  }
  visit_width(x.dtype, [&]<class W>() {
    to.data = reinterpret_cast<std::byte*>(ctx.scratch<W>(count));
    TensorView target = to;
    for (int axis = 0; axis < x.rank; ++axis) target.shape[axis] = from.shape[axis];
    run_pointwise_views<false, W, W>(ctx, cmd, Move(), target, std::index_sequence<0>(), &from);
  });
  return to;
}

}  // namespace hadal::cuda
