// Sampling of volumes x [n, c, d, h, w] (images have d = 1) at the places of a grid [n, od, oh, ow, axes] and its gradients. What a place
// weighs (kernels/grid_sample.h) is worked out by each thread, for all of its channels. For the gradient by x the weights are sorted by
// the element they belong to, stably, and each element adds up what the outputs that weigh it give, in their order: no atomics, so
// the same bits each time. Sums of 16-bit floats run in float. Writes `=`.
#include <bit>

#include "cuda/channel_shape.h"
#include "cuda/device/axes.cuh"
#include "cuda/device/coordinates.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/radix_sort.cuh"
#include "cuda/registry.h"
#include "kernels/grid_sample.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// Strides of [n, c, d, h, w].
struct Volume {
  int64_t n, c, d, h, w;
  explicit Volume(const TensorView& view)
      : n(view.strides[0]), c(view.strides[1]), d(view.strides[2]), h(view.strides[3]), w(view.strides[4]) {}
};

template <class C, GridMode kMode>
__device__ GridTaps<C> taps_along(GridPadding padding, int64_t size, bool align_corners, C coordinate) {
  switch (padding) {
    case GridPadding::kZeros: return GridAxis<C, kMode, GridPadding::kZeros>(size, align_corners)(coordinate);
    case GridPadding::kBorder: return GridAxis<C, kMode, GridPadding::kBorder>(size, align_corners)(coordinate);
    case GridPadding::kReflection: break;
  }
  return GridAxis<C, kMode, GridPadding::kReflection>(size, align_corners)(coordinate);
}

// Weighed elements along the depth: cubic sampling is of images.
template <GridMode kMode>
inline constexpr int kDepths = kMode == GridMode::kCubic ? 1 : grid_taps(kMode);

// What one place weighs along each axis. Along the depth of an image it is element 0 alone.
template <class C, GridMode kMode>
struct Weights {
  GridTaps<C> w, h, d;

  // body(tap, i, j, k) for every element that counts, k being its place among the taps along the depth.
  template <class F>
  __device__ void each(F&& body) const {
    constexpr int kTaps = grid_taps(kMode);
#pragma unroll
    for (int k = 0; k < kDepths<kMode>; ++k) {
#pragma unroll
      for (int j = 0; j < kTaps; ++j) {
#pragma unroll
        for (int i = 0; i < kTaps; ++i) {
          if ((w.place[i] | h.place[j] | d.place[k]) >= 0) body((k * kTaps + j) * kTaps + i, i, j, k);
        }
      }
    }
  }
  __device__ int64_t offset(const Volume& x, int i, int j, int k) const {
    return d.place[k] * x.d + h.place[j] * x.h + w.place[i] * x.w;
  }
  __device__ C factor(int i, int j, int k) const { return w.factor[i] * h.factor[j] * d.factor[k]; }
};

// The places of a grid and the sizes they are scaled to.
template <class T>
struct Grid {
  const T* data;
  int64_t strides[5];
  Coordinates places;  // [n, od, oh, ow]
  bool is_volume;
  int64_t depth, height, width;  // of x
  GridPadding padding;
  bool align_corners;

  Grid(const Command& cmd, const TensorView& grid, const TensorView& x)
      : data(grid.as<const T>()),
        places(without_axes(grid)),
        is_volume(grid.shape[4] == 3),
        depth(x.shape[2]),
        height(x.shape[3]),
        width(x.shape[4]),
        padding(static_cast<GridPadding>(cmd.integer(1))),
        align_corners(cmd.flag(2)) {
    std::copy_n(grid.strides, 5, strides);
  }
  // The offset of a place, which `place` has with the innermost axis first.
  __device__ int64_t offset(const int64_t (&place)[kMaxRank]) const {
    return place[3] * strides[0] + place[2] * strides[1] + place[1] * strides[2] + place[0] * strides[3];
  }
  template <GridMode kMode>
  __device__ Weights<Compute<T>, kMode> weights(const int64_t (&place)[kMaxRank]) const {
    using C = Compute<T>;
    const T* at = data + offset(place);
    const auto taps = [&](int axis, int64_t size) {
      return taps_along<C, kMode>(padding, size, align_corners, load_element(at[axis * strides[4]]));
    };
    Weights<C, kMode> all{taps(0, width), taps(1, height), {{0, -1, -1, -1}, {1, 0, 0, 0}, {}}};
    if (is_volume) all.d = taps(2, depth);
    return all;
  }

 private:
  static TensorView without_axes(TensorView grid) {
    grid.rank = 4;
    return grid;
  }
};

// A place of [n, c, od, oh, ow], channel 0.
__device__ __forceinline__ int64_t offset_of(const Volume& view, const int64_t (&place)[kMaxRank]) {
  return place[3] * view.n + place[2] * view.d + place[1] * view.h + place[0] * view.w;
}

template <class F>
void visit_mode(const Command& cmd, F&& body) {
  switch (static_cast<GridMode>(cmd.integer(0))) {
    case GridMode::kNearest: return body.template operator()<GridMode::kNearest>();
    case GridMode::kLinear: return body.template operator()<GridMode::kLinear>();
    case GridMode::kCubic: return body.template operator()<GridMode::kCubic>();
  }
}

// y = Σ weights · x. Block (places, groups of channels).
template <class T, GridMode kMode>
__global__ void __launch_bounds__(kChannelBlock)
    sample_kernel(Grid<T> grid, const T* x, Volume x_view, T* y, Volume y_view, int64_t channels) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= grid.places.count) return;
  int64_t place[kMaxRank];
  grid.places.find(i, place);
  const Weights<C, kMode> weights = grid.template weights<kMode>(place);
  x += place[3] * x_view.n;
  y += offset_of(y_view, place);
  for (int64_t channel = threadIdx.y; channel < channels; channel += blockDim.y) {
    const T* from = x + channel * x_view.c;
    C sum = 0;
    weights.each([&](int, int a, int b, int c) {
      sum += weights.factor(a, b, c) * load_element(from[weights.offset(x_view, a, b, c)]);
    });
    y[channel * y_view.c] = to_element<T>(sum);
  }
}

HADAL_CUDA_KERNEL(gridSample) {
  const TensorView &x = cmd.input(0), &grid = cmd.input(1), &y = cmd.output(0);
  if (y.numel() == 0) return;
  visit_floating(cmd.name(), y.dtype, [&]<class T>() {
    const Grid<T> places(cmd, grid, x);
    const auto [side, groups] = shape_channels(places.places.count, x.shape[1], ctx.device().multiprocessors);
    visit_mode(cmd, [&]<GridMode kMode>() {
      ctx.launch(cmd, sample_kernel<T, kMode>, blocks_for(places.places.count, side), dim3(side, groups), 0, places,
                 x.as<const T>(), Volume(x), y.as<T>(), Volume(y), x.shape[1]);
    });
  });
}

// ggrid = Σ over the channels of g · the slope of x there. Block (places, groups of channels); the sums of the groups are added up in their order.
template <class T, GridMode kMode>
__global__ void __launch_bounds__(kChannelBlock)
    grid_grad_kernel(Grid<T> grid, const T* g, Volume g_view, const T* x, Volume x_view, T* ggrid, Axes<1> ggrid_places,
                     int64_t ggrid_axis, int64_t channels) {
  using C = Compute<T>;
  __shared__ C partial[3][kChannelBlock];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  C sums[3] = {};
  if (i < grid.places.count) {
    int64_t place[kMaxRank];
    grid.places.find(i, place);
    const Weights<C, kMode> weights = grid.template weights<kMode>(place);
    x += place[3] * x_view.n;
    g += offset_of(g_view, place);
    for (int64_t channel = threadIdx.y; channel < channels; channel += blockDim.y) {
      const T* from = x + channel * x_view.c;
      const C gradient = load_element(g[channel * g_view.c]);
      weights.each([&](int, int a, int b, int c) {
        const C value = gradient * load_element(from[weights.offset(x_view, a, b, c)]);
        const auto& [w, h, d] = weights;
        sums[0] += w.slope[a] * h.factor[b] * d.factor[c] * value;
        sums[1] += w.factor[a] * h.slope[b] * d.factor[c] * value;
        sums[2] += w.factor[a] * h.factor[b] * d.slope[c] * value;
      });
    }
  }
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) partial[axis][thread] = sums[axis];
  __syncthreads();
  if (threadIdx.y > 0 || i >= grid.places.count) return;
  int64_t at[1];
  ggrid_places.offsets(i, at);
  for (int axis = 0; axis < (grid.is_volume ? 3 : 2); ++axis) {
    C sum = partial[axis][threadIdx.x];
    for (unsigned group = 1; group < blockDim.y; ++group) sum += partial[axis][group * blockDim.x + threadIdx.x];
    ggrid[at[0] + axis * ggrid_axis] = to_element<T>(sum);
  }
}

HADAL_CUDA_KERNEL(gridSampleGridGrad) {
  const TensorView &g = cmd.input(0), &x = cmd.input(1), &grid = cmd.input(2), &ggrid = cmd.output(0);
  if (ggrid.numel() == 0) return;
  visit_floating(cmd.name(), ggrid.dtype, [&]<class T>() {
    const Grid<T> places(cmd, grid, x);
    const auto [side, groups] = shape_channels(places.places.count, x.shape[1], ctx.device().multiprocessors);
    visit_mode(cmd, [&]<GridMode kMode>() {
      ctx.launch(cmd, grid_grad_kernel<T, kMode>, blocks_for(places.places.count, side), dim3(side, groups), 0, places,
                 g.as<const T>(), Volume(g), x.as<const T>(), Volume(x), ggrid.as<T>(), axes_of<1>({&ggrid}, 0b1111),
                 ggrid.strides[4], x.shape[1]);
    });
  });
}

// --- The gradient by x -----------------------------------------------------------------------------------------------------

// Of the places of some images, the first of which is `image`: the element that each tap weighs, counted over these images, or `elements` for one
// that lies outside, and its factor. Taps are numbered by place, 1 << shift of them each.
template <class T, GridMode kMode>
__global__ void __launch_bounds__(kBlock)
    weigh_kernel(Grid<T> grid, int64_t image, int64_t first, int64_t count, int shift, uint32_t elements,
                 uint32_t* keys, uint32_t* numbers, Compute<T>* factors) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  int64_t place[kMaxRank];
  grid.places.find(first + i, place);
  const Weights<Compute<T>, kMode> weights = grid.template weights<kMode>(place);
  const int64_t begin = i << shift;
  for (int64_t at = begin; at < begin + (int64_t{1} << shift); ++at) {
    keys[at] = elements;
    numbers[at] = static_cast<uint32_t>(at);
  }
  weights.each([&](int tap, int a, int b, int c) {
    const int64_t row = ((place[3] - image) * grid.depth + weights.d.place[c]) * grid.height + weights.h.place[b];
    keys[begin + tap] = static_cast<uint32_t>(row * grid.width + weights.w.place[a]);
    factors[begin + tap] = weights.factor(a, b, c);
  });
}

// begins[e] = how many of the sorted keys are below e, for 0 <= e <= elements.
__global__ void __launch_bounds__(kBlock)
    find_runs(const uint32_t* keys, int64_t count, int64_t elements, uint32_t* begins) {
  const int64_t e = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (e > elements) return;
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (keys[middle] < e) low = middle + 1;
    else high = middle;
  }
  begins[e] = static_cast<uint32_t>(low);
}

// Channels that a thread adds up at a time, so that it looks up their numbers and factors once.
constexpr int kChannels = 4;
// The terms of an element that one thread adds up; what is left of longer runs its warp does together.
constexpr int kShortRun = 32;

template <class T>
struct ElementSums {
  const uint32_t* begins;
  const uint32_t* numbers;
  const Compute<T>* factors;
  int shift;
  int64_t elements, size, outputs, channels;  // elements of all images, of one; places of one
  const T* g;                                 // of the first image
  Volume g_view;
  Axes<1> g_places;
  T* gx;
  Volume gx_view;
  Axes<1> gx_places;
};

template <class T>
__global__ void __launch_bounds__(kBlock) add_up_elements(ElementSums<T> args) {
  using C = Compute<T>;
  const int64_t element = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool inside = element < args.elements;
  const uint32_t begin = inside ? args.begins[element] : 0, end = inside ? args.begins[element + 1] : 0;
  const uint32_t middle = min(end, begin + kShortRun);
  for (int64_t channel = blockIdx.y * kChannels; channel < args.channels; channel += gridDim.y * kChannels) {
    const int here = static_cast<int>(min(args.channels - channel, int64_t{kChannels}));
    const auto add = [&](C(&sums)[kChannels], int64_t image, uint32_t at) {
      const uint32_t number = args.numbers[at];
      const C factor = args.factors[number];
      int64_t place[1];
      args.g_places.offsets(static_cast<int64_t>(number >> args.shift) - image * args.outputs, place);
      const T* from = args.g + image * args.g_view.n + channel * args.g_view.c + place[0];
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        if (c < here) sums[c] += factor * load_element(from[c * args.g_view.c]);
      }
    };
    const int64_t image = element / args.size;
    C sums[kChannels] = {};
    for (uint32_t at = begin; at < middle; ++at) add(sums, image, at);
    unsigned unfinished = __ballot_sync(kAllThreads, middle < end);
    for (; unfinished != 0; unfinished &= unfinished - 1) {
      const int owner = __ffs(static_cast<int>(unfinished)) - 1;
      const uint32_t from = __shfl_sync(kAllThreads, middle, owner), to = __shfl_sync(kAllThreads, end, owner);
      const int64_t of_image = (element - lane + owner) / args.size;
      C parts[kChannels] = {};
      for (uint32_t at = from + static_cast<uint32_t>(lane); at < to; at += kWarp) add(parts, of_image, at);
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        const C part = warp_reduce(parts[c], Plus());
        if (lane == owner) sums[c] += part;
      }
    }
    if (!inside) continue;
    int64_t place[1];
    args.gx_places.offsets(element - image * args.size, place);
    T* to = args.gx + image * args.gx_view.n + channel * args.gx_view.c + place[0];
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      if (c < here) to[c * args.gx_view.c] = to_element<T>(sums[c]);
    }
  }
}

// Weights that are sorted at a time: as many images as have so many, or one.
constexpr int64_t kSortedWeights = int64_t{1} << 24;

HADAL_CUDA_KERNEL(gridSampleInputGrad) {
  const TensorView &g = cmd.input(0), &grid = cmd.input(1), &gx = cmd.output(0);
  if (gx.numel() == 0) return;
  constexpr uint32_t kSpace = 0b11100;
  const int64_t images = gx.shape[0], size = gx.shape[2] * gx.shape[3] * gx.shape[4];
  const int64_t outputs = grid.shape[1] * grid.shape[2] * grid.shape[3];
  const int each = grid_taps(static_cast<GridMode>(cmd.integer(0)));
  const int taps = grid.shape[4] == 3 ? each * each * each : each * each,
            shift = std::countr_zero(static_cast<unsigned>(taps));
  const int64_t round = std::clamp<int64_t>(kSortedWeights / std::max({outputs * taps, size, int64_t{1}}), 1, images);
  require_sortable(cmd, std::max(round * outputs * taps, round * size + 1));
  visit_floating(cmd.name(), gx.dtype, [&]<class T>() {
    const Grid<T> places(cmd, grid, gx);
    auto pairs = sort_scratch<uint32_t, uint32_t>(ctx, round * outputs * taps);
    auto* factors = ctx.scratch<Compute<T>>(round * outputs * taps);
    uint32_t* begins = ctx.scratch<uint32_t>(round * size + 1);
    for (int64_t first = 0; first < images; first += round) {
      const int64_t here = std::min(round, images - first), weights = here * outputs * taps, elements = here * size;
      visit_mode(cmd, [&]<GridMode kMode>() {
        ctx.launch(cmd, weigh_kernel<T, kMode>, blocks_for(here * outputs, kBlock), kBlock, 0, places, first,
                   first * outputs, here * outputs, shift, static_cast<uint32_t>(elements), pairs.keys, pairs.values,
                   factors);
      });
      radix_sort(ctx, cmd, pairs, weights, std::bit_width(static_cast<uint64_t>(elements)));
      ctx.launch(cmd, find_runs, blocks_for(elements + 1, kBlock), kBlock, 0, pairs.keys, weights, elements, begins);
      const ElementSums<T> sums{begins,
                                pairs.values,
                                factors,
                                shift,
                                elements,
                                size,
                                outputs,
                                gx.shape[1],
                                g.as<const T>() + first * g.strides[0],
                                Volume(g),
                                axes_of<1>({&g}, kSpace),
                                gx.as<T>() + first * gx.strides[0],
                                Volume(gx),
                                axes_of<1>({&gx}, kSpace)};
      const auto groups = static_cast<unsigned>(std::min<int64_t>((gx.shape[1] + kChannels - 1) / kChannels, 65535));
      ctx.launch(cmd, add_up_elements<T>, dim3(blocks_for(elements, kBlock), groups), kBlock, 0, sums);
    }
  });
}

}  // namespace
}  // namespace hadal::cuda
