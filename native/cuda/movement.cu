// Movement of elements without arithmetic: cat, pad and its gradient, flip, tril, triu. All write every element of the output, with `=`.
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

// --- Concatenation -----------------------------------------------------------------------------------------------------

// Of one input: rows of `pieces` 16 bytes each, that lie one after the other, and where in the rows of the output they go.
struct CatPart {
  const uint4* from;
  int64_t to;
  uint32_t pieces;  // of all rows
  Divider row;      // pieces of one
};
constexpr int kCatParts = 16;  // of a launch: 512 of the 4,096 bytes of arguments that there may be
struct CatParts {
  CatPart at[kCatParts];
};
// Loads a thread has in flight, of 16 bytes; an estimate, to be measured. 2,048 threads have 64 KiB.
constexpr int kCatUnroll = 2;

// blockIdx.y is the part.
__global__ void __launch_bounds__(kBlock)
    cat_rows(const __grid_constant__ CatParts parts, uint4* __restrict__ y, int64_t y_row) {
  const CatPart& part = parts.at[blockIdx.y];
  const uint32_t first = blockIdx.x * (kBlock * kCatUnroll) + threadIdx.x;
  uint4 pieces[kCatUnroll];
#pragma unroll
  for (int u = 0; u < kCatUnroll; ++u) {
    if (first + u * kBlock < part.pieces) pieces[u] = part.from[first + u * kBlock];
  }
#pragma unroll
  for (int u = 0; u < kCatUnroll; ++u) {
    uint32_t row = first + u * kBlock;
    if (row >= part.pieces) break;
    const uint32_t column = part.row.pop(row);
    y[row * y_row + part.to + column] = pieces[u];
  }
}

// In one launch for every kCatParts inputs, where all tensors are contiguous and their rows whole pieces; false where not.
bool cat_in_pieces(CudaContext& ctx, const Command& cmd, int axis) {
  constexpr int64_t kPiece = sizeof(uint4), kMaxPieces = int64_t{1} << 30;
  const TensorView& y = cmd.output(0);
  const int64_t size = static_cast<int64_t>(size_of(y.dtype));
  int64_t rows = 1, inner = size;
  for (int i = 0; i < axis; ++i) rows *= y.shape[i];
  for (int i = axis + 1; i < y.rank; ++i) inner *= y.shape[i];
  const auto in_pieces = [&](const TensorView& view) {
    const int64_t row = view.shape[axis] * inner;
    return view.is_contiguous() && row % kPiece == 0 && rows * (row / kPiece) <= kMaxPieces &&
           is_aligned<uint4>(view.data, 1);
  };
  if (!y.is_contiguous() || !is_aligned<uint4>(y.data, 1)) return false;
  for (int i = 0; i < cmd.input_count; ++i) {
    if (cmd.is_immediate(i) || !in_pieces(cmd.input(i))) return false;
  }
  const int64_t y_row = y.shape[axis] * inner / kPiece;
  int64_t to = 0;
  for (int begin = 0; begin < cmd.input_count; begin += kCatParts) {
    CatParts parts{};
    unsigned count = 0, blocks = 0;
    for (int i = begin; i < std::min(begin + kCatParts, cmd.input_count); ++i) {
      const TensorView& x = cmd.input(i);
      const int64_t row = x.shape[axis] * inner / kPiece;
      if (row * rows == 0) continue;
      parts.at[count++] = {x.as<const uint4>(), to, static_cast<uint32_t>(row * rows),
                           Divider(static_cast<uint32_t>(row))};
      blocks = std::max(blocks, blocks_for(row * rows, kBlock * kCatUnroll));
      to += row;
    }
    ctx.launch(cmd, cat_rows, dim3(blocks, count), kBlock, 0, parts, y.as<uint4>(), y_row);
  }
  return true;
}

HADAL_CUDA_KERNEL(cat) {
  const int axis = static_cast<int>(cmd.integer(0));
  if (cat_in_pieces(ctx, cmd, axis)) return;
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
  int64_t before[kMaxRank], size[kMaxRank], padded[kMaxRank], x_stride[kMaxRank], y_stride[kMaxRank];

  // x padded to y; what is added before each axis are the attributes from `first` on.
  PaddedAxes(const TensorView& x, const TensorView& y, const Command& cmd, int first) {
    for (int axis = 0; axis < y.rank; ++axis) {
      const int from = y.rank - 1 - axis;
      before[axis] = cmd.integer(first + from);
      size[axis] = x.shape[from];
      padded[axis] = y.shape[from];
      x_stride[axis] = x.strides[from];
      y_stride[axis] = y.strides[from];
    }
  }
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
  const PaddedAxes axes(x, y, cmd, 2);
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

// gx = the sum of g over the places that each element was padded to.
template <class T>
__global__ void __launch_bounds__(kBlock)
    pad_backward_kernel(const T* g, T* gx, PadMode mode, Coordinates places, PaddedAxes axes) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  int64_t place[kMaxRank];
  places.find(i, place);
  PadPlaces copies[kMaxRank];
  int64_t counts[kMaxRank], combinations = 1, to = 0;
  for (int axis = 0; axis < places.rank; ++axis) {
    copies[axis] = pad_places(mode, place[axis], axes.before[axis], axes.size[axis], axes.padded[axis], &counts[axis]);
    combinations *= counts[axis];
    to += place[axis] * axes.x_stride[axis];
  }
  Compute<T> sum = 0;
  for (int64_t combination = 0; combination < combinations; ++combination) {
    int64_t from = 0, left = combination;
    for (int axis = places.rank - 1; axis >= 0; --axis) {
      from += copies[axis][left % counts[axis]] * axes.y_stride[axis];
      left /= counts[axis];
    }
    sum += load_element(g[from]);
  }
  gx[to] = to_element<T>(sum);
}

HADAL_CUDA_KERNEL(padBackward) {
  const TensorView& g = cmd.input(0);
  const TensorView& gx = cmd.output(0);
  const Coordinates places(gx);
  const PaddedAxes axes(gx, g, cmd, 1);
  visit_floating(cmd.name(), gx.dtype, [&]<class T>() {
    ctx.launch(cmd, pad_backward_kernel<T>, blocks_for(places.count, kBlock), kBlock, 0, g.as<const T>(), gx.as<T>(),
               static_cast<PadMode>(cmd.integer(0)), places, axes);
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
