// Distances of rows: cdist and what it gives back to its first operand, float32 and float64. Both write with `=` and read rows whose elements are
// neighbours; distances and their gradients have any strides.
#include "cuda/device/axes.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/registry.h"
#include "kernels/distance.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

template <class T>
struct Distances {
  const T *a, *b;
  T* y;
  Axes<3> places;  // of each pair: its row of a and of b, and its distance
  int64_t size;
};

// A warp for each pair.
template <class T, class Norm>
__global__ void __launch_bounds__(kBlock) distances(Norm norm, Distances<T> args) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * (kBlock / kWarp) + threadIdx.x / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (pair >= args.places.count) return;
  int64_t at[3];
  args.places.offsets(pair, at);
  T total = 0;
  for (int64_t k = lane; k < args.size; k += kWarp) total = norm.add(total, args.a[at[0] + k] - args.b[at[1] + k]);
  total = warp_reduce(total, [&](T v, T w) { return norm.join(v, w); });
  if (lane == 0) args.y[at[2]] = norm.root(total);
}

template <class T>
struct DistancesBackward {
  const T *g, *a, *b, *y;
  T* ga;
  Axes<5> rows;  // of ga: where each and what belongs to it begins
  int64_t columns, size, g_column, y_column, b_row;
};

// A thread for each element of ga, which sums in the order of the rows of b.
template <class T, class Norm>
__global__ void __launch_bounds__(kBlock) distances_backward(Norm norm, DistancesBackward<T> args) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x, row = i / args.size, k = i % args.size;
  if (row >= args.rows.count) return;
  int64_t at[5];
  args.rows.offsets(row, at);
  const T left = args.a[at[1] + k];
  T sum = 0;
  for (int64_t j = 0; j < args.columns; ++j) {
    const T length = args.y[at[3] + j * args.y_column];
    const T factor = norm.factor(args.g[at[0] + j * args.g_column], length);
    sum += norm.slope(left - args.b[at[2] + j * args.b_row + k], length) * factor;
  }
  args.ga[at[4] + k] = sum;
}

template <class F>
void with_norm(const Command& cmd, F&& body) {
  distance::visit_norm(cmd.attribute(0), [&](const auto& norm) {
    if (cmd.output(0).dtype == DType::kFloat32) body.template operator()<float>(norm);
    else body.template operator()<double>(norm);
  });
}
// A view that is the same along an axis.
TensorView repeated(TensorView view, int axis, int64_t size) {
  view.shape[axis] = size;
  view.strides[axis] = 0;
  return view;
}

}  // namespace

HADAL_CUDA_KERNEL(cdist) {
  const TensorView &a = cmd.input(0), &b = cmd.input(1), &y = cmd.output(0);
  const int last = y.rank - 1;
  if (y.numel() == 0) return;
  // Both seen at the pairs: rows of a do not depend on the last axis, those of b, which lie along it, not on the one before.
  const TensorView left = repeated(a, last, y.shape[last]);
  TensorView right = repeated(b, last - 1, y.shape[last - 1]);
  right.shape[last] = y.shape[last];
  right.strides[last] = b.strides[last - 1];
  const Axes<3> places = axes_of<3>({&left, &right, &y}, all_axes(y));
  with_norm(cmd, [&]<class T>(const auto& norm) {
    const Distances<T> args{a.as<const T>(), b.as<const T>(), y.as<T>(), places, a.shape[last]};
    ctx.launch(cmd, distances<T, std::decay_t<decltype(norm)>>, blocks_for(places.count, kBlock / kWarp), kBlock, 0,
               norm, args);
  });
}

HADAL_CUDA_KERNEL(cdistBackward) {
  const TensorView &g = cmd.input(0), &a = cmd.input(1), &b = cmd.input(2), &y = cmd.input(3), &ga = cmd.output(0);
  const int last = a.rank - 1;
  if (ga.numel() == 0) return;
  const TensorView right = repeated(b, last - 1, a.shape[last - 1]);
  const Axes<5> rows = axes_of<5>({&g, &a, &right, &y, &ga}, all_axes(a) & ~(1u << last));
  with_norm(cmd, [&]<class T>(const auto& norm) {
    const DistancesBackward<T> args{
        g.as<const T>(),   a.as<const T>(), b.as<const T>(), y.as<const T>(), ga.as<T>(),         rows,
        b.shape[last - 1], a.shape[last],   g.strides[last], y.strides[last], b.strides[last - 1]};
    ctx.launch(cmd, distances_backward<T, std::decay_t<decltype(norm)>>, blocks_for(ga.numel(), kBlock), kBlock, 0,
               norm, args);
  });
}

}  // namespace hadal::cuda
