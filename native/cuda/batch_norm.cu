// Batch norm of x [n, c, …] over all axes but the channels, with the statistics of the batch, and its gradient: a reduction for
// what each channel needs, which moves the running statistics too, then a pass over the elements, which adds a residual and
// applies ReLU as well. Group norm is the same with statistics of groups of channels of an image, each of whose channels then is one of its own. 16-bit floats compute in float, sums of several blocks are taken in double; mean and rstd are kept in
// the compute type. All write with `=`.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/device/floating.cuh"
#include "cuda/device/moments.cuh"
#include "cuda/device/reduction.cuh"
#include "cuda/device/row.cuh"
#include "cuda/registry.h"
#include "kernels/activation.h"
#include "kernels/functors.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// What the passes over the elements need of each channel: y = (x − mean) · factor + bias, and
// gx = (g − shift − (x − mean) · slope) · factor.
template <class C>
struct Channel {
  C mean, factor, bias, shift, slope;
};

// kRelu: g is that of ReLU's result, and counts where what ReLU was given, which is computed again, is positive.
template <bool kRelu, class C>
__device__ __forceinline__ C through_relu(C g, C centred, C factor, C bias) {
  if constexpr (kRelu) return functors::ReluBackward()(g, centred * factor + bias);
  else return g;
}

uint32_t channel_axis() { return 1u << 1; }

// The statistics are laid out by number of channel, whatever the axes.
TensorView per_channel(const TensorView& x) {
  TensorView view = x;
  for (int axis = 0; axis < view.rank; ++axis) {
    view.strides[axis] = axis == 1 ? 1 : 0;
    if (axis != 1) view.shape[axis] = 1;
  }
  return view;
}

// --- Statistics ----------------------------------------------------------------------------------------------------------

template <class T>
struct StatisticsReducer {
  static constexpr int kInputs = 1;
  static constexpr bool kLean = true;
  using Element = T;
  using C = Compute<T>;
  using State = Moments<C>;
  using Running = State;
  using Total = JoinedMoments;
  static constexpr int kLongest = kLongestMoments;

  C* mean;
  C* rstd;
  int64_t mean_stride, rstd_stride;
  FloatingVector<C> weight, bias;
  FloatingVector<C> momentum, running_mean, running_variance;  // moved towards the batch's
  double epsilon, rate;                                        // the momentum where there is no tensor
  int64_t* batches;                                            // counted, or null
  Channel<C>* channels;

  __device__ Running running() const { return {}; }
  __device__ void sample(Running& running, C a, C b, C c) const { running.shift_to(a, b, c); }
  __device__ State state(const Running& running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const C (&x)[1][n], int64_t, int64_t) const {
    running.add(x[0]);
  }
  __device__ State combine(const State& a, const State& b) const { return a + b; }
  __device__ Total total(const State& state) const { return Total::of(state); }
  __device__ Total combine(const Total& a, const Total& b) const { return Total::join(a, b); }
  __device__ void finish(const Total& total, int64_t channel, int64_t) const {
    const C r = static_cast<C>(1 / ::sqrt(total.deviations() / max(total.count, 1.0) + epsilon));
    const C m = static_cast<C>(total.mean());
    mean[channel * mean_stride] = m;
    rstd[channel * rstd_stride] = r;
    channels[channel] = {m, weight.load(channel, C(1)) * r, bias.load(channel, C(0)), C(0), C(0)};
    const C by = momentum.load(0, static_cast<C>(rate));
    const C variance = static_cast<C>(total.deviations() / (total.count - 1));
    running_mean.store(channel, functors::Lerp()(running_mean.load(channel, C(0)), m, by));
    running_variance.store(channel, functors::Lerp()(running_variance.load(channel, C(0)), variance, by));
    if (channel == 0 && batches != nullptr) ++*batches;
  }
};

// Σ g and Σ g · (x − mean) · rstd.
template <class T, bool kRelu>
struct GradientReducer {
  static constexpr int kInputs = 2;
  static constexpr bool kLean = true;
  using Element = T;
  using C = Compute<T>;
  struct alignas(2 * sizeof(C)) State {
    C total, products;
  };
  struct Total {
    double total, products;
  };
  struct Running {
    C total, products, mean, factor, bias;
  };

  const C* mean;
  const C* rstd;
  int64_t mean_stride, rstd_stride;
  FloatingVector<C> weight, bias, gw, gb;
  double count;
  Channel<C>* channels;

  __device__ Running running() const { return {}; }
  __device__ void prepare(Running& running, int64_t channel) const {
    running.mean = mean[channel * mean_stride];
    if constexpr (kRelu) {
      running.factor = weight.load(channel, C(1)) * rstd[channel * rstd_stride];
      running.bias = bias.load(channel, C(0));
    }
  }
  __device__ State state(const Running& running) const { return {running.total, running.products}; }
  template <int n>
  __device__ void add(Running& running, const C (&x)[2][n], int64_t, int64_t) const {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const C centred = x[1][i] - running.mean;
      const C g = through_relu<kRelu>(x[0][i], centred, running.factor, running.bias);
      running.total += g;
      running.products += g * centred;
    }
  }
  __device__ State combine(const State& a, const State& b) const {
    return {a.total + b.total, a.products + b.products};
  }
  __device__ Total total(const State& state) const { return {state.total, state.products}; }
  __device__ Total combine(const Total& a, const Total& b) const {
    return {a.total + b.total, a.products + b.products};
  }
  __device__ void finish(const Total& sums, int64_t channel, int64_t) const {
    const C r = rstd[channel * rstd_stride];
    const double products = sums.products * r;
    gb.store(channel, static_cast<C>(sums.total));
    gw.store(channel, static_cast<C>(products));
    channels[channel] = {mean[channel * mean_stride], weight.load(channel, C(1)) * r, bias.load(channel, C(0)),
                         static_cast<C>(sums.total / count), static_cast<C>(products / count) * r};
  }
};

// --- Elements --------------------------------------------------------------------------------------------------------------

// From a thread's unit to its next: in the nest of units, and in the output and the inputs.
template <int kTensors>
struct Advance {
  int64_t units, by[kTensors];
};

// The axes are those of the output, the inputs and the channels' numbers. A unit is kPack neighbours, of one channel or (kAcross) of
// neighbouring ones. All units of a thread are of the same channels, whose numbers it reads once; the next is read while one
// is worked on. Three blocks at least on a multiprocessor, so that 48 KB of two inputs are under way.
template <int kInputs, class T, int kPack, bool kAcross, class F>
__global__ void __launch_bounds__(kBlock, 3)
    apply_kernel(F f, Axes<kInputs + 2> axes, Advance<kInputs + 1> advance, T* y, const T* first, const T* second,
                 const Channel<Compute<T>>* channels) {
  int64_t unit = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (unit >= axes.count) return;
  int64_t at[kInputs + 2];
  axes.offsets(unit, at);
  Channel<Compute<T>> own[kAcross ? kPack : 1];
#pragma unroll
  for (int i = 0; i < (kAcross ? kPack : 1); ++i) own[i] = channels[at[kInputs + 1] + i];
  y += at[0];
  first += at[1];
  if constexpr (kInputs == 2) second += at[2];
  Pack<T, kPack> next[kInputs];
  const auto load = [&] {
    next[0] = load_pack<kPack>(first);
    if constexpr (kInputs == 2) next[1] = load_pack<kPack>(second);
  };
  load();
  while (true) {
    Pack<T, kPack> packs[kInputs], result;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) packs[k] = next[k];
    unit += advance.units;
    const bool goes_on = unit < axes.count;
    if (goes_on) {
      first += advance.by[1];
      if constexpr (kInputs == 2) second += advance.by[2];
      load();
    }
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const Compute<T> last = kInputs == 2 ? load_element(packs[kInputs - 1].at[i]) : Compute<T>(0);
      result.at[i] = to_element<T>(f(own[kAcross ? i : 0], packs[0].number(i), last));
    }
    store_pack(y, result);
    if (!goes_on) return;
    y += advance.by[0];
  }
}

template <int kInputs, class T, class F>
void apply(CudaContext& ctx, const Command& cmd, const F& f, const TensorView& y,
           const TensorView* const (&inputs)[kInputs], const Channel<Compute<T>>* channels) {
  constexpr int kPack = kPackSize<T>;
  TensorView numbers = y;
  for (int axis = 0; axis < y.rank; ++axis) numbers.strides[axis] = axis == 1 ? 1 : 0;
  const TensorView* views[kInputs + 2] = {&y};
  for (int k = 0; k < kInputs; ++k) views[1 + k] = inputs[k];
  views[kInputs + 1] = &numbers;
  Axes<kInputs + 2> axes = axes_of(views, all_axes(y), true);
  const bool across = axes.count > 0 && axes.inner_stride(kInputs + 1) != 0;
  bool packs = axes.rank > 0 && axes.shape[0] % kPack == 0;
  for (int k = 0; k <= kInputs; ++k) {
    packs =
        packs && axes.strides[k][0] == 1 && is_aligned<T>(views[k]->data, kPack) && axes.keeps_alignment(k, kPack, 1);
  }
  if (packs) axes.step_inner(kPack);
  unsigned grid = blocks_for(axes.count, kBlock);
  Advance<kInputs + 1> advance{axes.count, {}};  // one unit a thread
  if (across && axes.rank == 2) {
    // As many blocks as run at once, and whole rows of channels.
    const auto rows = static_cast<unsigned>(axes.inner_size() / std::gcd(axes.inner_size(), int64_t{kBlock}));
    const unsigned wanted = std::min(grid, static_cast<unsigned>(ctx.device().multiprocessors * (2048 / kBlock)));
    grid = (wanted + rows - 1) / rows * rows;
    advance.units = int64_t{grid} * kBlock;
    for (int k = 0; k <= kInputs; ++k) advance.by[k] = advance.units / axes.inner_size() * axes.strides[k][1];
  }
  const T* second = kInputs == 2 ? inputs[kInputs - 1]->template as<const T>() : nullptr;
  const auto launch = [&](auto kernel) {
    ctx.launch(cmd, kernel, grid, kBlock, 0, f, axes, advance, y.as<T>(), inputs[0]->template as<const T>(), second,
               channels);
  };
  if (packs && across) launch(apply_kernel<kInputs, T, kPack, true, F>);
  else if (packs) launch(apply_kernel<kInputs, T, kPack, false, F>);
  else if (across) launch(apply_kernel<kInputs, T, 1, true, F>);
  else launch(apply_kernel<kInputs, T, 1, false, F>);
}

// `residual` is 0 where there is none.
template <class C, bool kRelu>
struct Normalise {
  __device__ C operator()(const Channel<C>& channel, C x, C residual) const {
    const C y = (x - channel.mean) * channel.factor + channel.bias + residual;
    if constexpr (kRelu) return functors::Relu()(y);
    else return y;
  }
};
template <class C, bool kRelu>
struct NormaliseBackward {
  __device__ C operator()(const Channel<C>& channel, C g, C x) const {
    const C centred = x - channel.mean;
    const C through = through_relu<kRelu>(g, centred, channel.factor, channel.bias);
    return (through - channel.shift - centred * channel.slope) * channel.factor;
  }
};

// Calls body.operator()<kRelu>().
template <class F>
void with_activation(double activation, F&& body) {
  if (activation == static_cast<double>(Activation::kRelu)) body.template operator()<true>();
  else body.template operator()<false>();
}

HADAL_CUDA_KERNEL(batchNorm) {
  const TensorView& x = cmd.input(0);
  const TensorView &mean = cmd.output(1), &rstd = cmd.output(2);
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    using C = Compute<T>;
    auto* channels = ctx.scratch<Channel<C>>(x.shape[1]);
    const StatisticsReducer<T> reducer{mean.as<C>(),
                                       rstd.as<C>(),
                                       mean.strides[0],
                                       rstd.strides[0],
                                       FloatingVector<C>(cmd.input(1)),
                                       FloatingVector<C>(cmd.input(2)),
                                       FloatingVector<C>(cmd.input(4)),
                                       FloatingVector<C>(cmd.output(3)),
                                       FloatingVector<C>(cmd.output(4)),
                                       cmd.attribute(0),
                                       cmd.attribute(2),
                                       cmd.output(5).as<int64_t>(),
                                       channels};
    const TensorView layout = per_channel(x);
    run_reduction(ctx, cmd, reducer, {&x}, layout, all_axes(x) & ~channel_axis(), true, false);
    with_activation(cmd.attribute(1), [&]<bool kRelu>() {
      const TensorView& residual = cmd.input(3);
      if (residual.present()) apply<2, T>(ctx, cmd, Normalise<C, kRelu>(), cmd.output(0), {&x, &residual}, channels);
      else apply<1, T>(ctx, cmd, Normalise<C, kRelu>(), cmd.output(0), {&x}, channels);
    });
  });
}

HADAL_CUDA_KERNEL(batchNormBackward) {
  const TensorView &g = cmd.input(0), &x = cmd.input(1);
  const TensorView &mean = cmd.input(4), &rstd = cmd.input(5);
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    using C = Compute<T>;
    const int64_t channel_count = x.shape[1];
    auto* channels = ctx.scratch<Channel<C>>(channel_count);
    const double count = static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(channel_count, 1));
    with_activation(cmd.attribute(0), [&]<bool kRelu>() {
      const GradientReducer<T, kRelu> reducer{mean.as<const C>(),
                                              rstd.as<const C>(),
                                              mean.strides[0],
                                              rstd.strides[0],
                                              FloatingVector<C>(cmd.input(2)),
                                              FloatingVector<C>(cmd.input(3)),
                                              FloatingVector<C>(cmd.output(1)),
                                              FloatingVector<C>(cmd.output(2)),
                                              std::max(count, 1.0),
                                              channels};
      const TensorView layout = per_channel(x);
      run_reduction(ctx, cmd, reducer, {&g, &x}, layout, all_axes(x) & ~channel_axis(), true, false);
      apply<2, T>(ctx, cmd, NormaliseBackward<C, kRelu>(), cmd.output(0), {&g, &x}, channels);
    });
  });
}

// --- Group norm ------------------------------------------------------------------------------------------------------------

// A row-major tensor seen as `rows` rows, or with them as channels of one image.
TensorView as_rows(TensorView x, int64_t rows) {
  const int64_t count = x.numel();
  x.rank = 2;
  x.shape[0] = rows;
  x.shape[1] = rows > 0 ? count / rows : 0;
  x.strides[0] = x.shape[1];
  x.strides[1] = 1;
  return x;
}
TensorView as_channels(const TensorView& x, int64_t rows) {
  TensorView view = as_rows(x, rows);
  view.rank = 3;
  std::copy_backward(view.shape, view.shape + 2, view.shape + 3);
  std::copy_backward(view.strides, view.strides + 2, view.strides + 3);
  view.shape[0] = 1;
  view.strides[0] = x.numel();
  return view;
}
template <class C>
FloatingVector<C> vector_of(C* data) {
  FloatingVector<C> vector;
  vector.data = reinterpret_cast<std::byte*>(data);
  vector.dtype = sizeof(C) == sizeof(double) ? DType::kFloat64 : DType::kFloat32;
  return vector;
}

// What the channels of all images need, from the statistics of their groups of `size` channels; a thread for each of `count`.
template <class C>
__global__ void spread_groups(const C* mean, const C* rstd, int64_t size, int64_t count, int64_t channels_of_image,
                              FloatingVector<C> weight, FloatingVector<C> bias, Channel<C>* channels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const int64_t channel = i % channels_of_image, group = i / size;
  channels[i] = {mean[group], weight.load(channel, C(1)) * rstd[group], bias.load(channel, C(0)), C(0), C(0)};
}

// The sums of groups, from those of their channels, Σ g and Σ g · n: what the gradient takes off. A thread for each of `count` groups.
template <class C>
__global__ void gather_groups(const C* rstd, const C* totals, const C* products, int64_t size, int64_t count,
                              int64_t channels_of_image, double elements, FloatingVector<C> weight,
                              Channel<C>* channels) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (group >= count) return;
  double total = 0, product = 0;
  for (int64_t i = group * size; i < (group + 1) * size; ++i) {
    const double factor = weight.load(i % channels_of_image, C(1));
    total += factor * totals[i];
    product += factor * products[i];
  }
  const double r = rstd[group];
  for (int64_t i = group * size; i < (group + 1) * size; ++i) {
    channels[i].shift = static_cast<C>(r * total / elements);
    channels[i].slope = static_cast<C>(r * r * product / elements);
  }
}

// gx = g · factor − shift − (x − mean) · slope.
template <class C>
struct GroupNormBackward {
  __device__ C operator()(const Channel<C>& channel, C g, C x) const {
    return g * channel.factor - channel.shift - (x - channel.mean) * channel.slope;
  }
};

// gb and gw, sums over the images; a thread for each channel.
template <class C>
__global__ void sum_images(const C* totals, const C* products, int64_t images, int64_t channels, FloatingVector<C> gw,
                           FloatingVector<C> gb) {
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (channel >= channels) return;
  double total = 0, product = 0;
  for (int64_t image = 0; image < images; ++image) {
    total += totals[image * channels + channel];
    product += products[image * channels + channel];
  }
  gw.store(channel, static_cast<C>(product));
  gb.store(channel, static_cast<C>(total));
}

HADAL_CUDA_KERNEL(groupNorm) {
  const TensorView &x = cmd.input(0), &mean = cmd.output(1), &rstd = cmd.output(2);
  if (x.numel() == 0) return;
  const int64_t groups = mean.numel(), count = x.shape[0] * x.shape[1], size = count / groups;
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    using C = Compute<T>;
    StatisticsReducer<T> reducer{};
    reducer.mean = mean.as<C>();
    reducer.rstd = rstd.as<C>();
    reducer.mean_stride = reducer.rstd_stride = 1;
    reducer.epsilon = cmd.attribute(0);
    reducer.channels = ctx.scratch<Channel<C>>(groups);
    const TensorView rows = as_channels(x, groups);
    run_reduction(ctx, cmd, reducer, {&rows}, per_channel(rows), all_axes(rows) & ~channel_axis(), true, false);
    auto* channels = ctx.scratch<Channel<C>>(count);
    ctx.launch(cmd, spread_groups<C>, blocks_for(count, kBlock), kBlock, 0, mean.as<const C>(), rstd.as<const C>(),
               size, count, x.shape[1], FloatingVector<C>(cmd.input(1)), FloatingVector<C>(cmd.input(2)), channels);
    const TensorView from = as_channels(x, count), to = as_channels(cmd.output(0), count);
    apply<1, T>(ctx, cmd, Normalise<C, false>(), to, {&from}, channels);
  });
}

HADAL_CUDA_KERNEL(groupNormBackward) {
  const TensorView &g = cmd.input(0), &x = cmd.input(1), &mean = cmd.input(3), &rstd = cmd.input(4);
  const int64_t groups = mean.numel(), count = x.shape[0] * x.shape[1];
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    using C = Compute<T>;
    C* totals = ctx.scratch<C>(count);
    C* products = ctx.scratch<C>(count);
    if (x.numel() > 0) {
      const int64_t size = count / groups;
      const FloatingVector<C> weight(cmd.input(2));
      // Mean and rstd of each channel's group, as statistics of its own.
      auto* channels = ctx.scratch<Channel<C>>(count);
      ctx.launch(cmd, spread_groups<C>, blocks_for(count, kBlock), kBlock, 0, mean.as<const C>(), rstd.as<const C>(),
                 size, count, x.shape[1], FloatingVector<C>(), FloatingVector<C>(), channels);
      GradientReducer<T, false> reducer{};
      constexpr int64_t kStride = sizeof(Channel<C>) / sizeof(C);
      reducer.mean = &channels->mean;
      reducer.rstd = &channels->factor;
      reducer.mean_stride = reducer.rstd_stride = kStride;
      reducer.gw = vector_of(products);
      reducer.gb = vector_of(totals);
      reducer.count = 1;
      reducer.channels = ctx.scratch<Channel<C>>(count);
      const TensorView gs = as_channels(g, count), xs = as_channels(x, count), to = as_channels(cmd.output(0), count);
      run_reduction(ctx, cmd, reducer, {&gs, &xs}, per_channel(xs), all_axes(xs) & ~channel_axis(), true, false);
      ctx.launch(cmd, spread_groups<C>, blocks_for(count, kBlock), kBlock, 0, mean.as<const C>(), rstd.as<const C>(),
                 size, count, x.shape[1], weight, FloatingVector<C>(), channels);
      ctx.launch(cmd, gather_groups<C>, blocks_for(groups, kBlock), kBlock, 0, rstd.as<const C>(),
                 static_cast<const C*>(totals), static_cast<const C*>(products), size, groups, x.shape[1],
                 static_cast<double>(x.numel()) / static_cast<double>(groups), weight, channels);
      apply<2, T>(ctx, cmd, GroupNormBackward<C>(), to, {&gs, &xs}, static_cast<const Channel<C>*>(channels));
    }
    const int64_t images = x.numel() > 0 ? x.shape[0] : 0;
    if (x.shape[1] == 0) return;
    ctx.launch(cmd, sum_images<C>, blocks_for(x.shape[1], kBlock), kBlock, 0, static_cast<const C*>(totals),
               static_cast<const C*>(products), images, x.shape[1], FloatingVector<C>(cmd.output(1)),
               FloatingVector<C>(cmd.output(2)));
  });
}

}  // namespace
}  // namespace hadal::cuda
