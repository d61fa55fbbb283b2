// Movement of elements without arithmetic: cat, pad, flip, tril, triu. All write every element of the output, with `=`.
#include <cstring>

#include "cuda/device/coordinates.cuh"
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"
#include "kernels/pad.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

template <class W>
void copy_view(CudaContext& ctx, const Command& cmd, const TensorView& to, const TensorView& from) {
  run_pointwise_views<false, W, W>(ctx, cmd, Move(), to, std::index_sequence<0>(), &from);
}

HADAL_CUDA_KERNEL(cat) {
  const int axis = static_cast<int>(cmd.integer(0));
  visit_width(cmd.output(0).dtype, [&]<class W>() {
    TensorView part = cmd.output(0);
    for (int i = 0; i < cmd.input_count; ++i) {
      part.shape[axis] = cmd.input(i).shape[axis];
      copy_view<W>(ctx, cmd, part, cmd.input(i));
      part.data += part.shape[axis] * part.strides[axis] * static_cast<int64_t>(sizeof(W));
    }
  });
}

HADAL_CUDA_KERNEL(flip) {
  TensorView x = cmd.input(0);
  const int64_t axes = cmd.integer(0);
  if (x.numel() == 0) return;
  for (int axis = 0; axis < x.rank; ++axis) {
    if ((axes >> axis & 1) == 0) continue;
    x.data += (x.shape[axis] - 1) * x.strides[axis] * static_cast<int64_t>(size_of(x.dtype));
    x.strides[axis] = -x.strides[axis];
  }
  visit_width(x.dtype, [&]<class W>() { copy_view<W>(ctx, cmd, cmd.output(0), x); });
}

// --- Padding -----------------------------------------------------------------------------------------------------------

// The innermost axis first.
struct PaddedAxes {
  int64_t before[kMaxRank], size[kMaxRank], x_stride[kMaxRank], y_stride[kMaxRank];
};

template <class W>
__global__ void __launch_bounds__(kBlock)
    pad_kernel(const W* x, W* y, W constant, PadMode mode, Coordinates places, PaddedAxes axes) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  int64_t place[kMaxRank];
  places.find(i, place);
  int64_t from = 0, to = 0;
  bool inside = true;
  for (int axis = 0; axis < places.rank; ++axis) {
    const int64_t source = pad_source(mode, place[axis], axes.before[axis], axes.size[axis]);
    inside = inside && source >= 0;
    from += source * axes.x_stride[axis];
    to += place[axis] * axes.y_stride[axis];
  }
  y[to] = inside ? x[from] : constant;
}

HADAL_CUDA_KERNEL(pad) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const Coordinates places(y);
  PaddedAxes axes{};
  for (int axis = 0; axis < y.rank; ++axis) {
    const int from = y.rank - 1 - axis;
    axes.before[axis] = cmd.integer(2 + from);
    axes.size[axis] = x.shape[from];
    axes.x_stride[axis] = x.strides[from];
    axes.y_stride[axis] = y.strides[from];
  }
  uint64_t bits = 0;
  visit_any(cmd.name(), y.dtype, [&]<class T>() {
    T value;
    if constexpr (std::is_same_v<T, bool>) value = cmd.flag(1);
    else if constexpr (std::is_integral_v<T>) value = static_cast<T>(cmd.integer(1));
    else value = T(static_cast<Compute<T>>(cmd.attribute(1)));
    std::memcpy(&bits, &value, sizeof value);
  });
  visit_width(y.dtype, [&]<class W>() {
    ctx.launch(cmd, pad_kernel<W>, blocks_for(places.count, kBlock), kBlock, 0, x.as<const W>(), y.as<W>(),
               static_cast<W>(bits), static_cast<PadMode>(cmd.integer(0)), places, axes);
  });
}

// --- Triangles ---------------------------------------------------------------------------------------------------------

// Keeps the elements of each row up to (tril) or from (triu) its diagonal on; the others become 0.
template <class W>
struct Triangle {
  bool lower;
  int64_t diagonal;
  int64_t rows, columns;
  __device__ W operator()(int64_t i, const W& x) const {
    const int64_t row = i / columns, cut = row % rows + diagonal, column = i - row * columns;
    return (lower ? column <= cut : column >= cut) ? x : W(0);
  }
};
void triangle(CudaContext& ctx, const Command& cmd, bool lower) {
  const TensorView& y = cmd.output(0);
  if (y.numel() == 0) return;
  visit_width(y.dtype, [&]<class W>() {
    run_indexed<W, W>(ctx, cmd, Triangle<W>{lower, cmd.integer(0), y.size(-2), y.size(-1)});
  });
}

HADAL_CUDA_KERNEL(tril) { triangle(ctx, cmd, true); }
HADAL_CUDA_KERNEL(triu) { triangle(ctx, cmd, false); }

}  // namespace
}  // namespace hadal::cuda
