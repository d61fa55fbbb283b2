// Operations on boxes (x1, y1, x2, y2): features of regions (roiAlign) with their gradient, and which boxes are left when those that
// overlap a better one are dropped. Factors of regions are worked out once, into tables: what each bin of a box weighs along each
// axis. Sums of 16-bit floats run in float. Writes `=`.
#include <cmath>

#include "cuda/channel_shape.h"
#include "cuda/device/coordinates.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/indices.cuh"
#include "cuda/device/radix_sort.cuh"
#include "cuda/registry.h"
#include "kernels/boxes.h"
#include "kernels/roi_align.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// --- Regions -----------------------------------------------------------------------------------------------------------------

// Elements [first, last) of an axis.
struct Span {
  int32_t first, last;
  __device__ bool holds(int64_t element) const { return element >= first && element < last; }
  __device__ bool meets(int64_t begin, int64_t end) const { return first < end && last > begin; }
};

// What the bins of all boxes weigh along one axis.
template <class C>
struct RegionTable {
  int64_t bins, size, room;
  Span* elements;   // [box][bin]
  Span* extents;    // [box]: of all of its bins
  C* factors;       // [box][room]
  int64_t* begins;  // [box][bin]: where the factor of a bin's first element is

  RegionTable(CudaContext& ctx, int64_t boxes, int64_t bins, int64_t size)
      : bins(bins),
        size(size),
        room(RegionAxis::room(bins, size)),
        elements(ctx.scratch<Span>(boxes * bins)),
        extents(ctx.scratch<Span>(boxes)),
        factors(ctx.scratch<C>(boxes * room)),
        begins(ctx.scratch<int64_t>(boxes * bins)) {}
};
template <class C>
struct Regions {
  int32_t* images;  // of the boxes; -1: the box cannot be used
  RegionTable<C> rows, columns;
};

template <class T>
struct RegionArguments {
  const T* boxes;
  int64_t box_stride, side_stride, count, images, samples;
  double scale;
  bool aligned;
  FaultSite image_site, corner_site;
};

// A warp for each box and axis, a bin for each lane at a time.
template <class T>
__global__ void __launch_bounds__(kBlock) fill_regions(RegionArguments<T> args, Regions<Compute<T>> regions) {
  using C = Compute<T>;
  const int64_t warp = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t k = warp / 2;
  if (k >= args.count) return;
  const bool is_row = warp % 2 == 0;
  const RegionTable<C>& table = is_row ? regions.rows : regions.columns;
  double box[5];
  bool is_finite = true;
  for (int i = 0; i < 5; ++i) {
    box[i] = static_cast<double>(load_element(args.boxes[k * args.box_stride + i * args.side_stride]));
    if (i == 0) continue;
    box[i] = box[i] * args.scale - (args.aligned ? 0.5 : 0.0);
    is_finite &= std::fabs(box[i]) < kLargestCorner;
  }
  const bool has_image = box[0] >= 0 && box[0] < static_cast<double>(args.images) && box[0] == std::floor(box[0]);
  if (is_row && lane == 0) {
    if (!has_image) args.image_site.unusable(k, args.images);
    else if (!is_finite) args.corner_site.unusable(k);
    regions.images[k] = has_image && is_finite ? static_cast<int32_t>(box[0]) : -1;
  }
  if (!has_image || !is_finite) return;
  const RegionAxis axis(box[is_row ? 2 : 1], box[is_row ? 4 : 3], args.aligned, table.bins, args.samples, table.size);
  Span extent{INT32_MAX, 0};
  for (int64_t bin = lane; bin < table.bins; bin += kWarp) {
    const auto [first, count] = axis.elements(bin);
    const Span elements{static_cast<int32_t>(first), static_cast<int32_t>(first + count)};
    const int64_t begin = k * table.room + axis.place_of_factors(bin, first);
    for (int64_t i = 0; i < count; ++i) table.factors[begin + i] = 0;
    axis.add_factors(bin, first, table.factors + begin);
    table.elements[k * table.bins + bin] = elements;
    table.begins[k * table.bins + bin] = begin;
    if (count > 0) extent = {min(extent.first, elements.first), max(extent.last, elements.last)};
  }
  extent = warp_reduce(extent, [](Span a, Span b) { return Span{min(a.first, b.first), max(a.last, b.last)}; });
  if (lane == 0) table.extents[k] = extent;
}

// The tables of the boxes of a command between x [n, c, h, w] and y [k, c, ph, pw].
template <class T>
Regions<Compute<T>> make_regions(CudaContext& ctx, const Command& cmd, const TensorView& x, const TensorView& y) {
  const TensorView& boxes = cmd.input(1);
  const int64_t count = boxes.shape[0];
  const Regions<Compute<T>> regions{ctx.scratch<int32_t>(count),
                                    RegionTable<Compute<T>>(ctx, count, y.shape[2], x.shape[2]),
                                    RegionTable<Compute<T>>(ctx, count, y.shape[3], x.shape[3])};
  const RegionArguments<T> args{boxes.as<const T>(),
                                boxes.strides[0],
                                boxes.strides[1],
                                count,
                                x.shape[0],
                                cmd.integer(1),
                                cmd.attribute(0),
                                cmd.flag(2),
                                ctx.fault_site(cmd, "names no image of", "box"),
                                ctx.fault_site(cmd, "is not finite", "box")};
  ctx.launch(cmd, fill_regions<T>, blocks_for(2 * count * kWarp, kBlock), kBlock, 0, args, regions);
  return regions;
}

// Strides of [n, c, h, w].
struct Planes {
  int64_t n, c, h, w;
  explicit Planes(const TensorView& view)
      : n(view.strides[0]), c(view.strides[1]), h(view.strides[2]), w(view.strides[3]) {}
};

// y[k, c, i, j] = Σ rows[i] columns[j] x[image, c]. Block (places, groups of channels).
template <class T>
__global__ void __launch_bounds__(kChannelBlock)
    align_kernel(Regions<Compute<T>> regions, const T* x, Planes x_view, T* y, Planes y_view, Coordinates places,
                 int64_t channels) {
  using C = Compute<T>;
  const int64_t number = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (number >= places.count) return;
  int64_t place[kMaxRank];
  places.find(number, place);
  const int64_t j = place[0], i = place[1], k = place[2];
  const int64_t row = k * regions.rows.bins + i, column = k * regions.columns.bins + j;
  const bool is_used = regions.images[k] >= 0;
  const Span down = is_used ? regions.rows.elements[row] : Span{0, 0};
  const Span across = is_used ? regions.columns.elements[column] : Span{0, 0};
  const C* down_factors = is_used ? regions.rows.factors + regions.rows.begins[row] : nullptr;
  const C* across_factors = is_used ? regions.columns.factors + regions.columns.begins[column] : nullptr;
  x += is_used ? regions.images[k] * x_view.n : 0;
  y += k * y_view.n + i * y_view.h + j * y_view.w;
  for (int64_t channel = threadIdx.y; channel < channels; channel += blockDim.y) {
    C sum = 0;
    for (int32_t a = down.first; a < down.last; ++a) {
      const T* line = x + channel * x_view.c + a * x_view.h;
      C part = 0;
      for (int32_t b = across.first; b < across.last; ++b) {
        part += across_factors[b - across.first] * load_element(line[b * x_view.w]);
      }
      sum += down_factors[a - down.first] * part;
    }
    y[channel * y_view.c] = to_element<T>(sum);
  }
}

HADAL_CUDA_KERNEL(roiAlign) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  if (y.numel() == 0) return;
  TensorView bins = y;  // [k, ph, pw]
  bins.rank = 3;
  std::copy_n(y.shape + 2, 2, bins.shape + 1);
  const Coordinates places(bins);
  const auto [side, groups] = shape_channels(places.count, x.shape[1], ctx.device().multiprocessors);
  visit_floating(cmd.name(), y.dtype, [&]<class T>() {
    ctx.launch(cmd, align_kernel<T>, blocks_for(places.count, side), dim3(side, groups), 0,
               make_regions<T>(ctx, cmd, x, y), x.as<const T>(), Planes(x), y.as<T>(), Planes(y), places, x.shape[1]);
  });
}

// A block has a tile of elements of an image, and each thread some channels of one of them.
constexpr int kTileRows = kSortBlock / kWarp, kTileColumns = kWarp, kChannels = 8;

template <class T>
struct AlignGradient {
  Regions<Compute<T>> regions;
  int64_t boxes, channels, tile_rows, tile_columns;
  const T* g;
  Planes g_view;
  T* gx;
  Planes gx_view;
};

// gx = Σ over the boxes of an image, in their order, and over their bins. The boxes that meet the tile are looked for together.
template <class T>
__global__ void __launch_bounds__(kSortBlock) align_backward(AlignGradient<T> args) {
  using C = Compute<T>;
  __shared__ int32_t met[kSortBlock];
  const RegionTable<C>&rows = args.regions.rows, &columns = args.regions.columns;
  const int64_t tile_column = blockIdx.x % args.tile_columns, tile = blockIdx.x / args.tile_columns;
  const int64_t image = tile / args.tile_rows;
  const int64_t top = tile % args.tile_rows * kTileRows, left = tile_column * kTileColumns;
  const int64_t h = top + threadIdx.x / kTileColumns, w = left + threadIdx.x % kTileColumns;
  const int64_t channel = static_cast<int64_t>(blockIdx.y) * kChannels;
  const int here = static_cast<int>(min(args.channels - channel, int64_t{kChannels}));
  C sums[kChannels] = {};
  for (int64_t first = 0; first < args.boxes; first += kSortBlock) {
    const int64_t candidate = first + threadIdx.x;
    const bool meets = candidate < args.boxes && args.regions.images[candidate] == image &&
                       rows.extents[candidate].meets(top, top + kTileRows) &&
                       columns.extents[candidate].meets(left, left + kTileColumns);
    const uint32_t before = sum_of_threads_before(meets ? 1 : 0);
    if (meets) met[before] = static_cast<int32_t>(candidate);
    const int count = __syncthreads_count(meets);
    for (int m = 0; m < count; ++m) {
      const int64_t k = met[m];
      if (!rows.extents[k].holds(h) || !columns.extents[k].holds(w)) continue;
      for (int64_t i = 0; i < rows.bins; ++i) {
        const Span down = rows.elements[k * rows.bins + i];
        if (!down.holds(h)) continue;
        const C down_factor = rows.factors[rows.begins[k * rows.bins + i] + h - down.first];
        for (int64_t j = 0; j < columns.bins; ++j) {
          const Span across = columns.elements[k * columns.bins + j];
          if (!across.holds(w)) continue;
          const C factor = down_factor * columns.factors[columns.begins[k * columns.bins + j] + w - across.first];
          const T* from = args.g + k * args.g_view.n + channel * args.g_view.c + i * args.g_view.h + j * args.g_view.w;
#pragma unroll
          for (int c = 0; c < kChannels; ++c) {
            if (c < here) sums[c] += factor * load_element(from[c * args.g_view.c]);
          }
        }
      }
    }
  }
  if (h >= rows.size || w >= columns.size) return;
  T* to = args.gx + image * args.gx_view.n + channel * args.gx_view.c + h * args.gx_view.h + w * args.gx_view.w;
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
    if (c < here) to[c * args.gx_view.c] = to_element<T>(sums[c]);
  }
}

HADAL_CUDA_KERNEL(roiAlignBackward) {
  const TensorView &g = cmd.input(0), &gx = cmd.output(0);
  if (gx.numel() == 0) return;
  visit_floating(cmd.name(), gx.dtype, [&]<class T>() {
    const AlignGradient<T> args{make_regions<T>(ctx, cmd, gx, g),
                                g.shape[0],
                                gx.shape[1],
                                blocks_for(gx.shape[2], kTileRows),
                                blocks_for(gx.shape[3], kTileColumns),
                                g.as<const T>(),
                                Planes(g),
                                gx.as<T>(),
                                Planes(gx)};
    const dim3 grid(static_cast<unsigned>(gx.shape[0] * args.tile_rows * args.tile_columns),
                    blocks_for(gx.shape[1], kChannels));
    ctx.launch(cmd, align_backward<T>, grid, kSortBlock, 0, args);
  });
}

// --- Suppression -------------------------------------------------------------------------------------------------------------

// Boxes that are settled at a time, best first: which of them are left, and then which of all later ones these drop.
constexpr int kRound = 512;

template <class T>
struct Suppression {
  const T* boxes;
  int64_t box_stride, side_stride, count;
  Indices classes;
  int64_t class_stride;
  Compute<T> threshold;
  uint8_t* dropped;

  __device__ Box<Compute<T>> box(int64_t k) const {
    const auto side = [&](int i) { return load_element(boxes[k * box_stride + i * side_stride]); };
    return make_box(side(0), side(1), side(2), side(3));
  }
  __device__ int64_t label(int64_t k) const { return classes.data == nullptr ? 0 : classes[k * class_stride]; }
};

// Boxes first … first + kRound - 1, by one block. kept = those that no kept one before them drops.
template <class T>
__global__ void __launch_bounds__(kRound)
    settle_round(Suppression<T> args, int64_t first, bool* kept, int64_t kept_stride) {
  using C = Compute<T>;
  __shared__ Box<C> boxes[kRound];
  __shared__ int64_t labels[kRound];
  __shared__ uint8_t dropped[kRound];
  const int own = static_cast<int>(threadIdx.x);
  const int count = static_cast<int>(min(args.count - first, int64_t{kRound}));
  if (own < count) {
    boxes[own] = args.box(first + own);
    labels[own] = args.label(first + own);
    dropped[own] = args.dropped[first + own];
  }
  __syncthreads();
  for (int k = 0; k < count; ++k) {
    // The same for all threads: what is still written is about later boxes.
    if (dropped[k] != 0) continue;
    if (own > k && own < count && labels[own] == labels[k] && overlap(boxes[k], boxes[own]) > args.threshold) {
      dropped[own] = 1;
    }
    __syncthreads();
  }
  if (own >= count) return;
  args.dropped[first + own] = dropped[own];
  kept[(first + own) * kept_stride] = dropped[own] == 0;
}

// What the boxes of a settled round drop of those after it.
template <class T>
__global__ void __launch_bounds__(kRound) drop_later(Suppression<T> args, int64_t first) {
  using C = Compute<T>;
  __shared__ Box<C> boxes[kRound];
  __shared__ int64_t labels[kRound];
  __shared__ uint8_t dropped[kRound];
  boxes[threadIdx.x] = args.box(first + threadIdx.x);
  labels[threadIdx.x] = args.label(first + threadIdx.x);
  dropped[threadIdx.x] = args.dropped[first + threadIdx.x];
  __syncthreads();
  const int64_t own = first + (static_cast<int64_t>(blockIdx.x) + 1) * kRound + threadIdx.x;
  if (own >= args.count || args.dropped[own] != 0) return;
  const Box<C> box = args.box(own);
  const int64_t label = args.label(own);
  for (int k = 0; k < kRound; ++k) {
    if (dropped[k] == 0 && labels[k] == label && overlap(boxes[k], box) > args.threshold) {
      args.dropped[own] = 1;
      return;
    }
  }
}

HADAL_CUDA_KERNEL(nonMaxSuppression) {
  const TensorView &boxes = cmd.input(0), &classes = cmd.input(1), &kept = cmd.output(0);
  const int64_t count = boxes.shape[0];
  if (count == 0) return;
  uint8_t* dropped = ctx.scratch<uint8_t>(count);
  ctx.check(cmd, cudaMemsetAsync(dropped, 0, static_cast<size_t>(count), ctx.stream()));
  visit_floating(cmd.name(), boxes.dtype, [&]<class T>() {
    const Suppression<T> args{boxes.as<const T>(),
                              boxes.strides[0],
                              boxes.strides[1],
                              count,
                              Indices(classes),
                              classes.strides[0],
                              static_cast<Compute<T>>(cmd.attribute(0)),
                              dropped};
    for (int64_t first = 0; first < count; first += kRound) {
      ctx.launch(cmd, settle_round<T>, 1, kRound, 0, args, first, kept.as<bool>(), kept.strides[0]);
      ctx.launch(cmd, drop_later<T>, blocks_for(std::max<int64_t>(count - first - kRound, 0), kRound), kRound, 0, args,
                 first);
    }
  });
}

}  // namespace
}  // namespace hadal::cuda
