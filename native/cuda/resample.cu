// Resampling of x [n, c, d, h, w] and its adjoint. The factors of each axis (kernels/resample.h) are first written into tables, by
// the device; then each output is a sum over what goes into it, the adjoint's over the outputs that an input went into. Factors of
// zero are left out, so that what they would meet need not be finite. Sums of 16-bit floats run in float. Writes `=`.
#include "cuda/device/coordinates.cuh"
#include "cuda/device/element.cuh"
#include "cuda/registry.h"
#include "kernels/resample.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// The factors of one axis: output i is Σ_k weights[i · taps + k] · input[first[i] + k] for k < count[i]. The inputs of one output
// begin and end no later than those of the next.
template <class C>
struct Table {
  int64_t in, out, taps;
  int32_t* first;
  int32_t* count;
  C* weights;
};

template <class C>
__global__ void __launch_bounds__(kBlock)
    fill_table(Table<C> table, Resampling mode, bool align_corners, double ratio) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= table.out) return;
  const Factors f = factors(mode, align_corners, ratio, table.in, table.out, i);
  table.first[i] = static_cast<int32_t>(f.first);
  table.count[i] = static_cast<int32_t>(f.count);
  for (int64_t k = 0; k < f.count; ++k) table.weights[i * table.taps + k] = static_cast<C>(f.at(k));
}

// What is summed for one place along one axis: terms [begin, end), each a place of the other tensor and its factor.
template <class C, bool kAdjoint>
struct Terms {
  const Table<C>& table;
  int64_t place, begin, end;

  __device__ Terms(const Table<C>& table, int64_t place) : table(table), place(place) {
    if constexpr (kAdjoint) {
      // The outputs whose inputs end behind the place, and begin at it or before.
      begin = search([&](int64_t o) { return table.first[o] + table.count[o] > place; });
      end = search([&](int64_t o) { return table.first[o] > place; });
    } else {
      begin = table.first[place];
      end = begin + table.count[place];
    }
  }
  __device__ C factor(int64_t other) const {
    const int64_t output = kAdjoint ? other : place, input = kAdjoint ? place : other;
    const int64_t k = input - table.first[output];
    return k >= 0 && k < table.count[output] ? table.weights[output * table.taps + k] : C(0);
  }

 private:
  // The first output from which on a property holds.
  template <class F>
  __device__ int64_t search(F&& holds) const {
    int64_t low = 0, high = table.out;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (holds(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
};

template <class T>
struct ResampleArguments {
  const T* from;
  T* to;
  int64_t from_strides[5], to_strides[5];
  Table<Compute<T>> d, h, w;
  Coordinates places;  // of `to`
};

template <class T, bool kAdjoint>
__global__ void __launch_bounds__(kBlock) resample_kernel(ResampleArguments<T> args) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= args.places.count) return;
  int64_t place[kMaxRank];
  args.places.find(i, place);  // w, h, d, c, n
  const T* from = args.from + place[4] * args.from_strides[0] + place[3] * args.from_strides[1];
  int64_t to = 0;
  for (int axis = 0; axis < 5; ++axis) to += place[4 - axis] * args.to_strides[axis];
  const Terms<C, kAdjoint> d(args.d, place[2]), h(args.h, place[1]), w(args.w, place[0]);
  C sum = 0;
  for (int64_t a = d.begin; a < d.end; ++a) {
    const C factor_d = d.factor(a);
    for (int64_t b = h.begin; b < h.end; ++b) {
      const C factor = factor_d * h.factor(b);
      if (factor == C(0)) continue;
      const T* row = from + a * args.from_strides[2] + b * args.from_strides[3];
      C row_sum = 0;
      for (int64_t c = w.begin; c < w.end; ++c) {
        const C weight = w.factor(c);
        if (weight != C(0)) row_sum += weight * load_element(row[c * args.from_strides[4]]);
      }
      sum += factor * row_sum;
    }
  }
  args.to[to] = to_element<T>(sum);
}

template <bool kAdjoint>
void resample(CudaContext& ctx, const Command& cmd) {
  const TensorView &from = cmd.input(0), &to = cmd.output(0);
  if (to.numel() == 0) return;
  // The sizes of the op whose adjoint the backward is.
  const TensorView &x = kAdjoint ? to : from, &y = kAdjoint ? from : to;
  const auto mode = static_cast<Resampling>(cmd.integer(0));
  visit_floating(cmd.name(), to.dtype, [&]<class T>() {
    using C = Compute<T>;
    Table<C> tables[3];
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t in = x.shape[2 + axis], out = y.shape[2 + axis];
      const double ratio = cmd.attribute(2 + axis);
      const int64_t taps = most_taps(mode, ratio, in, out);
      tables[axis] = {in, out, taps, ctx.scratch<int32_t>(out), ctx.scratch<int32_t>(out), ctx.scratch<C>(out * taps)};
      ctx.launch(cmd, fill_table<C>, blocks_for(out, kBlock), kBlock, 0, tables[axis], mode, cmd.flag(1), ratio);
    }
    ResampleArguments<T> args{from.as<const T>(), to.as<T>(), {}, {}, tables[0], tables[1], tables[2], Coordinates(to)};
    std::copy_n(from.strides, 5, args.from_strides);
    std::copy_n(to.strides, 5, args.to_strides);
    ctx.launch(cmd, resample_kernel<T, kAdjoint>, blocks_for(args.places.count, kBlock), kBlock, 0, args);
  });
}

HADAL_CUDA_KERNEL(resample) { resample<false>(ctx, cmd); }
HADAL_CUDA_KERNEL(resampleBackward) { resample<true>(ctx, cmd); }

}  // namespace
}  // namespace hadal::cuda
