// Reading and writing at places that a tensor of indices names: embedding, gather, indexSelect, oneHot, nonzero, and scatter,
// indexAdd and embedding's gradient, which combine what falls on one place. For these the positions are first sorted by
// place, stably, and each place is then written by one thread, in the order of the index: no atomics, so the same bits each time.
// Indices are checked as they are read; the error names one that is out of range, and 0 is read in its stead.
#include <cstring>
#include <limits>

#include "cuda/device/axes.cuh"
#include "cuda/device/indices.cuh"
#include "cuda/device/pointwise.cuh"
#include "cuda/device/radix_sort.cuh"
#include "cuda/registry.h"
#include "kernels/view_axes.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

__device__ __forceinline__ int64_t this_thread() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// Threads side by side for `count` things, the rest of a block for rows of them.
dim3 block_for(int64_t count) {
  const int lanes = static_cast<int>(std::bit_ceil(static_cast<uint64_t>(std::clamp<int64_t>(count, 1, kBlock))));
  return dim3(lanes, kBlock / lanes);
}

// --- Reading -----------------------------------------------------------------------------------------------------------

// y [outer…, index…, inner…] = x [outer…, index[…], inner…].
template <class W>
struct SelectArguments {
  const W* x;
  W* y;
  Indices index;
  Axes<2> outer, places, inner;  // y and x; y and the index; y and x, in units
  int64_t size, stride;          // of the axis in x
  FaultSite site;
};

// Block (lanes, rows): a row for every pair of an outer place and an index, in units of kPack elements.
template <class W, int kPack>
__global__ void __launch_bounds__(kBlock) select_kernel(SelectArguments<W> args) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= args.outer.count * args.places.count) return;
  const int64_t outer = args.outer.count == 1 ? 0 : row / args.places.count;
  const int64_t position = row - outer * args.places.count;
  int64_t at_outer[2], at_place[2];
  args.outer.offsets(outer, at_outer);
  args.places.offsets(position, at_place);
  int64_t place = args.index[at_place[1]];
  if (is_outside(place, args.size)) {
    if (threadIdx.x == 0) args.site.index_out_of_range(place, position, args.size);
    if (args.size == 0) return;
    place = 0;
  }
  const W* x = args.x + at_outer[1] + place * args.stride;
  W* y = args.y + at_outer[0] + at_place[0];
  for (int64_t unit = threadIdx.x; unit < args.inner.count; unit += blockDim.x) {
    int64_t at[2];
    args.inner.offsets(unit, at);
    store_pack(y + at[0], load_pack<kPack>(x + at[1]));
  }
}

void select_rows(CudaContext& ctx, const Command& cmd, int axis, const char* what) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.input(1);
  const TensorView& y = cmd.output(0);
  if (y.numel() == 0) return;
  const TensorView y_outer = leading(y, axis), x_outer = leading(x, axis);
  const TensorView y_places = leading(trailing(y, axis), index.rank);
  const TensorView y_inner = trailing(y, axis + index.rank), x_inner = trailing(x, axis + 1);
  visit_width(y.dtype, [&]<class W>() {
    constexpr int kPack = kPackSize<W>;
    SelectArguments<W> args{x.as<const W>(),
                            y.as<W>(),
                            Indices(index),
                            axes_of<2>({&y_outer, &x_outer}, all_axes(y_outer)),
                            axes_of<2>({&y_places, &index}, all_axes(y_places)),
                            axes_of<2>({&y_inner, &x_inner}, all_axes(y_inner)),
                            x.shape[axis],
                            x.strides[axis],
                            ctx.fault_site(cmd, what)};
    const bool packs = args.inner.is_packed() && args.inner.shape[0] % kPack == 0 && is_aligned<W>(x.data, kPack) &&
                       is_aligned<W>(y.data, kPack) && args.stride % kPack == 0 &&
                       args.places.keeps_alignment(0, kPack) && args.outer.keeps_alignment(0, kPack) &&
                       args.outer.keeps_alignment(1, kPack) && args.inner.keeps_alignment(0, kPack, 1) &&
                       args.inner.keeps_alignment(1, kPack, 1);
    if (packs) args.inner.step_inner(kPack);
    const dim3 block = block_for(args.inner.count);
    const unsigned grid = blocks_for(args.outer.count * args.places.count, block.y);
    if (packs) ctx.launch(cmd, select_kernel<W, kPack>, grid, block, 0, args);
    else ctx.launch(cmd, select_kernel<W, 1>, grid, block, 0, args);
  });
}

HADAL_CUDA_KERNEL(embedding) { select_rows(ctx, cmd, 0, "rows"); }
HADAL_CUDA_KERNEL(indexSelect) { select_rows(ctx, cmd, static_cast<int>(cmd.integer(0)), "elements of the axis"); }

// The axes are the index's, y's and x's, x's in place along the gathered axis.
template <class W>
__global__ void __launch_bounds__(kBlock)
    gather_kernel(const W* x, Indices index, W* y, Axes<3> axes, int64_t size, int64_t stride, FaultSite site) {
  const int64_t i = this_thread();
  if (i >= axes.count) return;
  int64_t at[3];
  axes.offsets(i, at);
  int64_t place = index[at[0]];
  if (is_outside(place, size)) {
    site.index_out_of_range(place, i, size);
    if (size == 0) return;
    place = 0;
  }
  y[at[1]] = x[at[2] + place * stride];
}

HADAL_CUDA_KERNEL(gather) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.input(1);
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  TensorView held = x;
  if (x.rank > 0) held.strides[axis] = 0;
  const Axes<3> axes = axes_of<3>({&index, &y, &held}, all_axes(index));
  visit_width(y.dtype, [&]<class W>() {
    ctx.launch(cmd, gather_kernel<W>, blocks_for(axes.count, kBlock), kBlock, 0, x.as<const W>(), Indices(index),
               y.as<W>(), axes, size_along(x, axis), stride_along(x, axis),
               ctx.fault_site(cmd, "elements of the axis"));
  });
}

template <class T>
struct BagArguments {
  const T* weight;
  T* y;
  Indices index, offsets;
  bool has_offsets, is_mean;
  int64_t bags, width, rows, places, row_stride, bag_stride, y_stride, index_step, offset_step;
  FaultSite row_site, offset_site;
};

// y [bags, :] = the sum or mean of the rows that the index names; 0 without any. Block (lanes, bags): a column to each lane.
template <class T>
__global__ void __launch_bounds__(kBlock) bag_kernel(BagArguments<T> args) {
  const int64_t bag = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (bag >= args.bags) return;
  int64_t first = bag * args.places, end = first + args.places, start = bag * args.bag_stride;
  if (args.has_offsets) {
    first = args.offsets[bag * args.offset_step];
    end = bag + 1 < args.bags ? args.offsets[(bag + 1) * args.offset_step] : args.places;
    for (const int64_t offset : {first, end}) {
      if (offset >= 0 && offset <= args.places) continue;
      if (threadIdx.x == 0) args.offset_site.index_out_of_range(offset, offset == first ? bag : bag + 1, args.places);
      return;
    }
    start = first * args.index_step;
  }
  for (int64_t column = blockIdx.y * blockDim.x + threadIdx.x; column < args.width; column += gridDim.y * blockDim.x) {
    Compute<T> sum = 0;
    for (int64_t i = 0; i < end - first; ++i) {
      const int64_t row = args.index[start + i * args.index_step];
      if (is_outside(row, args.rows)) {
        args.row_site.index_out_of_range(row, first + i, args.rows);
        break;
      }
      sum += load_element(args.weight[row * args.row_stride + column]);
    }
    const int64_t count = args.is_mean && end > first ? end - first : 1;
    args.y[bag * args.y_stride + column] = to_element<T>(sum / static_cast<Compute<T>>(count));
  }
}

HADAL_CUDA_KERNEL(embeddingBag) {
  const TensorView &weight = cmd.input(0), &index = cmd.input(1), &offsets = cmd.input(2), &y = cmd.output(0);
  const bool has_offsets = offsets.present();
  const dim3 block = block_for(y.shape[1]);
  const dim3 grid(blocks_for(y.shape[0], block.y), blocks_for(y.shape[1], block.x));
  visit_floating(cmd.name(), y.dtype, [&]<class T>() {
    const BagArguments<T> args{weight.as<const T>(),
                               y.as<T>(),
                               Indices(index),
                               Indices(offsets),
                               has_offsets,
                               cmd.flag(0),
                               y.shape[0],
                               y.shape[1],
                               weight.shape[0],
                               has_offsets ? index.shape[0] : index.shape[1],
                               weight.strides[0],
                               index.strides[0],
                               y.strides[0],
                               index.strides[index.rank - 1],
                               has_offsets ? offsets.strides[0] : 0,
                               ctx.fault_site(cmd, "rows"),
                               ctx.fault_site(cmd, "places", "offset")};
    ctx.launch(cmd, bag_kernel<T>, grid, block, 0, args);
  });
}

// The axes are y's and the index's, repeated for every class.
template <class W>
__global__ void __launch_bounds__(kBlock)
    one_hot_kernel(Indices index, W* y, W one, Axes<2> axes, int64_t classes, FaultSite site) {
  const int64_t i = this_thread();
  if (i >= axes.count) return;
  int64_t at[2];
  axes.offsets(i, at);
  const int64_t row = i / classes, hot = index[at[1]];
  if (is_outside(hot, classes)) site.index_out_of_range(hot, row, classes);
  y[at[0]] = i - row * classes == hot ? one : W(0);
}

// Of a table without classes: every index is out of range.
__global__ void refuse_index(Indices index, Axes<1> axes, FaultSite site) {
  int64_t at[1];
  axes.offsets(0, at);
  site.index_out_of_range(index[at[0]], 0, 0);
}

HADAL_CUDA_KERNEL(oneHot) {
  const TensorView& index = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const int64_t classes = y.size(-1);
  const FaultSite site = ctx.fault_site(cmd, "classes");
  if (classes == 0) {
    if (index.numel() != 0) {
      ctx.launch(cmd, refuse_index, 1, 1, 0, Indices(index), axes_of<1>({&index}, all_axes(index)), site);
    }
    return;
  }
  TensorView repeated = y;
  std::copy_n(index.strides, index.rank, repeated.strides);
  repeated.strides[y.rank - 1] = 0;
  const Axes<2> axes = axes_of<2>({&y, &repeated}, all_axes(y));
  uint64_t one = 0;
  visit_any(cmd.name(), y.dtype, [&]<class T>() {
    const T value = static_cast<T>(Compute<T>(1));
    std::memcpy(&one, &value, sizeof value);
  });
  visit_width(y.dtype, [&]<class W>() {
    ctx.launch(cmd, one_hot_kernel<W>, blocks_for(axes.count, kBlock), kBlock, 0, Indices(index), y.as<W>(),
               static_cast<W>(one), axes, classes, site);
  });
}

// --- nonzero -----------------------------------------------------------------------------------------------------------

// Elements by their width, without the sign of floats, whose -0 is zero.
template <class W>
struct Nonzero {
  const W* x;
  Axes<1> axes;
  W mask;
  __device__ bool operator()(int64_t i) const {
    if (i >= axes.count) return false;
    int64_t at[1];
    axes.offsets(i, at);
    return (x[at[0]] & mask) != 0;
  }
};

// A block for each tile of kSortTile elements, kSortBlock at a time.
template <class W>
__global__ void __launch_bounds__(kSortBlock) count_nonzero(Nonzero<W> is_set, uint32_t* counts) {
  uint32_t count = 0;
  for (int i = 0; i < kSortItems; ++i) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * kSortTile + i * kSortBlock + threadIdx.x;
    count += static_cast<uint32_t>(__syncthreads_count(is_set(at)));
  }
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}
// Counts become sums over the tiles before, by one block.
__global__ void __launch_bounds__(kSortBlock) scan_counts(uint32_t* counts, uint32_t tiles) {
  __shared__ uint32_t chunk_total;
  uint32_t carry = 0;
  for (uint32_t first = 0; first < tiles; first += kSortBlock) {
    const uint32_t tile = first + threadIdx.x;
    const uint32_t value = tile < tiles ? counts[tile] : 0;
    const uint32_t before = sum_of_threads_before(value);
    if (tile < tiles) counts[tile] = carry + before;
    if (threadIdx.x == kSortBlock - 1) chunk_total = before + value;
    __syncthreads();
    carry += chunk_total;  // written again only after the synchronisations of the next sum
  }
}
// `before` has the counts of the tiles before each; only the first `room` places are written.
template <class W>
__global__ void __launch_bounds__(kSortBlock)
    write_nonzero(Nonzero<W> is_set, const uint32_t* before, int64_t* index, int64_t room) {
  int64_t next = before[blockIdx.x];
  for (int i = 0; i < kSortItems; ++i) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * kSortTile + i * kSortBlock + threadIdx.x;
    const bool set = is_set(at);
    const int64_t to = next + sum_of_threads_before(set ? 1 : 0);
    if (set && to < room) index[to] = at;
    next += __syncthreads_count(set);
  }
}

// The places, in row-major order, of the elements that are not 0. The output has room for as many as there were when it was
// made; what x may hold more by now is left out, and what it holds less are places 0.
HADAL_CUDA_KERNEL(nonzero) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.output(0);
  const int64_t room = index.shape[0];
  if (room == 0) return;
  const Axes<1> axes = axes_of<1>({&x}, all_axes(x));
  require_sortable(cmd, axes.count);
  const unsigned tiles = blocks_for(axes.count, kSortTile);
  uint32_t* counts = ctx.scratch<uint32_t>(tiles);
  ctx.check(cmd, cudaMemsetAsync(index.data, 0, static_cast<size_t>(room) * sizeof(int64_t), ctx.stream()));
  visit_width(x.dtype, [&]<class W>() {
    const W mask = is_floating(x.dtype) ? static_cast<W>(static_cast<W>(~W{0}) >> 1) : static_cast<W>(~W{0});
    const Nonzero<W> is_set{x.as<const W>(), axes, mask};
    ctx.launch(cmd, count_nonzero<W>, tiles, kSortBlock, 0, is_set, counts);
    ctx.launch(cmd, scan_counts, 1, kSortBlock, 0, counts, tiles);
    ctx.launch(cmd, write_nonzero<W>, tiles, kSortBlock, 0, is_set, counts, index.as<int64_t>(), room);
  });
}

// --- scatter -----------------------------------------------------------------------------------------------------------

enum class ScatterMode : int64_t { kAssign, kAdd, kMultiply, kMax, kMin };

// What T is combined in: floats in their compute type, integers in 64 bits, where sums and products wrap.
template <class T>
using Combined = std::conditional_t<std::is_integral_v<T>, int64_t, Compute<T>>;

template <class A>
struct Combine {
  ScatterMode mode;

  __device__ A identity() const {
    using Limits = std::numeric_limits<A>;
    switch (mode) {
      case ScatterMode::kMultiply: return A(1);
      case ScatterMode::kMax: return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
      case ScatterMode::kMin: return Limits::has_infinity ? Limits::infinity() : Limits::max();
      default: return A(0);
    }
  }
  // A NaN stays, and replaces anything.
  __device__ A operator()(A a, A b) const {
    switch (mode) {
      case ScatterMode::kMax: return b > a || b != b ? b : a;
      case ScatterMode::kMin: return b < a || b != b ? b : a;
      default: break;
    }
    if constexpr (std::is_integral_v<A>) {
      const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
      return static_cast<A>(mode == ScatterMode::kMultiply ? x * y : x + y);
    } else {
      return mode == ScatterMode::kMultiply ? a * b : a + b;
    }
  }
};

// keys = the number in y, in row-major order, of the place that each element of the index names. The axes are the index's and
// those of y's numbers, in place along the axis.
template <class Key>
__global__ void __launch_bounds__(kBlock) scatter_keys(Indices index, Axes<2> axes, int64_t size, int64_t step,
                                                       FaultSite site, Key* keys, uint32_t* positions) {
  const int64_t i = this_thread();
  if (i >= axes.count) return;
  int64_t at[2];
  axes.offsets(i, at);
  int64_t place = index[at[0]];
  if (is_outside(place, size)) {
    site.index_out_of_range(place, i, size);
    place = 0;
  }
  keys[i] = static_cast<Key>(at[1] + place * step);
  positions[i] = static_cast<uint32_t>(i);
}

// The last of each run of equal keys is written.
template <class W, class Key>
__global__ void __launch_bounds__(kBlock) assign_runs(const Key* keys, const uint32_t* positions, int64_t count,
                                                      const W* source, Axes<1> source_axes, W* y, Axes<1> y_axes) {
  const int64_t i = this_thread();
  if (i >= count || (i + 1 < count && keys[i + 1] == keys[i])) return;
  int64_t from[1], to[1];
  source_axes.offsets(positions[i], from);
  y_axes.offsets(static_cast<int64_t>(keys[i]), to);
  y[to[0]] = source[from[0]];
}

// y combined with each run of equal keys: a run of up to kShortRun by one thread, what is left of longer ones by its warp.
constexpr int kShortRun = 32;

template <class T, class Key>
__global__ void __launch_bounds__(kBlock)
    combine_runs(Combine<Combined<T>> combine, const Key* keys, const uint32_t* positions, int64_t count,
                 const T* source, Axes<1> source_axes, T* y, Axes<1> y_axes) {
  using A = Combined<T>;
  const int64_t i = this_thread();
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const auto load = [&](int64_t at) {
    int64_t from[1];
    source_axes.offsets(positions[at], from);
    return static_cast<A>(load_element(source[from[0]]));
  };
  const Key key = i < count ? keys[i] : Key(0);
  const bool is_first = i < count && (i == 0 || keys[i - 1] != key);
  int64_t next = i, to[1] = {0};
  A total = combine.identity();
  if (is_first) {
    y_axes.offsets(static_cast<int64_t>(key), to);
    total = static_cast<A>(load_element(y[to[0]]));
    for (; next < i + kShortRun && next < count && keys[next] == key; ++next) total = combine(total, load(next));
  }
  unsigned unfinished = __ballot_sync(kAllThreads, is_first && next < count && keys[next] == key);
  for (; unfinished != 0; unfinished &= unfinished - 1) {
    const int owner = __ffs(static_cast<int>(unfinished)) - 1;
    const Key run = __shfl_sync(kAllThreads, key, owner);
    const int64_t begin = __shfl_sync(kAllThreads, next, owner);
    A part = combine.identity();
    for (int64_t at = begin + lane; at < count && keys[at] == run; at += kWarp) part = combine(part, load(at));
    part = warp_reduce(part, combine);
    if (lane == owner) total = combine(total, part);
  }
  if (is_first) y[to[0]] = to_element<T>(static_cast<Compute<T>>(total));
}

void copy_unless_same(CudaContext& ctx, const Command& cmd, const TensorView& to, const TensorView& from) {
  bool is_same = to.data == from.data;
  for (int axis = 0; axis < to.rank; ++axis) is_same &= to.strides[axis] == from.strides[axis];
  if (is_same) return;
  visit_width(to.dtype, [&]<class W>() {
    run_pointwise_views<false, W, W>(ctx, cmd, Move(), to, std::index_sequence<0>(), &from);
  });
}

template <class Key>
void scatter(CudaContext& ctx, const Command& cmd, const TensorView& index, const TensorView& source,
             const TensorView& y, int axis, ScatterMode mode) {
  TensorView numbers = index, source_part = source;
  int64_t step = 1;
  for (int i = y.rank - 1, stride = 1; i >= 0; stride = 0, --i) {
    numbers.strides[i] = stride == 1 ? 1 : numbers.strides[i + 1] * y.shape[i + 1];
    source_part.shape[i] = index.shape[i];
  }
  if (y.rank > 0) {
    step = numbers.strides[axis];
    numbers.strides[axis] = 0;
  }
  const Axes<2> axes = axes_of<2>({&index, &numbers}, all_axes(index));
  const Axes<1> source_axes = axes_of<1>({&source_part}, all_axes(source_part));
  const Axes<1> y_axes = axes_of<1>({&y}, all_axes(y));
  const int64_t count = axes.count;
  require_sortable(cmd, count);
  auto pairs = sort_scratch<Key, uint32_t>(ctx, count);
  ctx.launch(cmd, scatter_keys<Key>, blocks_for(count, kBlock), kBlock, 0, Indices(index), axes, size_along(y, axis),
             step, ctx.fault_site(cmd, "elements of the axis"), pairs.keys, pairs.values);
  if (y_axes.count == 0) return;
  radix_sort(ctx, cmd, pairs, count, std::bit_width(static_cast<uint64_t>(y_axes.count - 1)));
  const unsigned grid = blocks_for(count, kBlock);
  if (mode == ScatterMode::kAssign) {
    visit_width(y.dtype, [&]<class W>() {
      ctx.launch(cmd, assign_runs<W, Key>, grid, kBlock, 0, pairs.keys, pairs.values, count, source.as<const W>(),
                 source_axes, y.as<W>(), y_axes);
    });
  } else {
    visit_any(cmd.name(), y.dtype, [&]<class T>() {
      ctx.launch(cmd, combine_runs<T, Key>, grid, kBlock, 0, Combine<Combined<T>>{mode}, pairs.keys, pairs.values,
                 count, source.as<const T>(), source_axes, y.as<T>(), y_axes);
    });
  }
}

HADAL_CUDA_KERNEL(scatter) {
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  const auto mode = static_cast<ScatterMode>(cmd.integer(1));
  copy_unless_same(ctx, cmd, y, cmd.input(0));
  if (y.numel() <= int64_t{UINT32_MAX}) scatter<uint32_t>(ctx, cmd, cmd.input(1), cmd.input(2), y, axis, mode);
  else scatter<uint64_t>(ctx, cmd, cmd.input(1), cmd.input(2), y, axis, mode);
}

// --- Sums of rows --------------------------------------------------------------------------------------------------------

// keys = the row that each position of the index names, or `rows` for one that is left out.
__global__ void __launch_bounds__(kBlock) row_keys(Indices index, Axes<1> axes, int64_t rows, int64_t left_out,
                                                   FaultSite site, uint32_t* keys, uint32_t* positions) {
  const int64_t i = this_thread();
  if (i >= axes.count) return;
  int64_t at[1];
  axes.offsets(i, at);
  int64_t row = index[at[0]];
  if (is_outside(row, rows)) {
    site.index_out_of_range(row, i, rows);
    row = left_out = rows;
  }
  keys[i] = static_cast<uint32_t>(row == left_out ? rows : row);
  positions[i] = static_cast<uint32_t>(i);
}

template <class T>
struct RowSumArguments {
  const uint32_t* keys;
  const uint32_t* positions;
  int64_t count, rows;
  bool adds;  // to what y holds
  const T* source;
  Axes<1> source_rows;  // by position
  T* y;
  int64_t y_row;
  Axes<2> columns;  // y and source
};

// Block (lanes, positions): the first of each run of equal keys sums its rows, in order, a column to each lane. Floats are summed
// in their compute type.
template <class T>
__global__ void __launch_bounds__(kBlock) sum_rows(RowSumArguments<T> args) {
  using A = std::conditional_t<std::is_integral_v<T>, uint64_t, Compute<T>>;
  constexpr int kUnroll = 4;
  const int64_t column = this_thread();
  if (column >= args.columns.count) return;
  int64_t at[2];
  args.columns.offsets(column, at);
  const auto load = [&](int64_t i) {
    int64_t from[1];
    args.source_rows.offsets(args.positions[i], from);
    return args.source[from[0] + at[1]];
  };
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.y;
  for (int64_t first = blockIdx.y * blockDim.y + threadIdx.y; first < args.count; first += step) {
    const uint32_t key = args.keys[first];
    if (key >= args.rows || (first > 0 && args.keys[first - 1] == key)) continue;
    T* to = args.y + key * args.y_row + at[0];
    A total = args.adds ? static_cast<A>(load_element(*to)) : A(0);
    int64_t i = first;
    // Keys are sorted: if the last of them is of the run, all are.
    for (; i + kUnroll <= args.count && args.keys[i + kUnroll - 1] == key; i += kUnroll) {
      T loaded[kUnroll];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) loaded[u] = load(i + u);
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) total += static_cast<A>(load_element(loaded[u]));
    }
    for (; i < args.count && args.keys[i] == key; ++i) total += static_cast<A>(load_element(load(i)));
    *to = to_element<T>(static_cast<Compute<T>>(total));
  }
}

// y[index[i]] += source[i] for rows along an axis of y. `source_rows` are the source's axes that the index's positions stand for.
void add_rows(CudaContext& ctx, const Command& cmd, const TensorView& index, const TensorView& source,
              const TensorView& source_rows, const TensorView& source_columns, const TensorView& y,
              const TensorView& y_columns, int64_t rows, int64_t y_row, int64_t left_out, bool adds, const char* what) {
  const Axes<1> index_axes = axes_of<1>({&index}, all_axes(index));
  const int64_t count = index_axes.count;
  require_sortable(cmd, std::max(count, rows + 1));
  auto pairs = sort_scratch<uint32_t, uint32_t>(ctx, count);
  ctx.launch(cmd, row_keys, blocks_for(count, kBlock), kBlock, 0, Indices(index), index_axes, rows, left_out,
             ctx.fault_site(cmd, what), pairs.keys, pairs.values);
  radix_sort(ctx, cmd, pairs, count, std::bit_width(static_cast<uint64_t>(rows)));
  visit_any(cmd.name(), y.dtype, [&]<class T>() {
    const RowSumArguments<T> args{pairs.keys,
                                  pairs.values,
                                  count,
                                  rows,
                                  adds,
                                  source.as<const T>(),
                                  axes_of<1>({&source_rows}, all_axes(source_rows)),
                                  y.as<T>(),
                                  y_row,
                                  axes_of<2>({&y_columns, &source_columns}, all_axes(y_columns))};
    const dim3 block = block_for(args.columns.count);
    const dim3 grid(blocks_for(args.columns.count, block.x),
                    static_cast<unsigned>(std::min<int64_t>((count + block.y - 1) / block.y, 65535)));
    ctx.launch(cmd, sum_rows<T>, grid, block, 0, args);
  });
}

HADAL_CUDA_KERNEL(indexAdd) {
  const TensorView& index = cmd.input(1);
  const TensorView& source = cmd.input(2);
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  copy_unless_same(ctx, cmd, y, cmd.input(0));
  TensorView source_rows = index, source_columns = source, y_columns = y;
  source_rows.strides[0] = source.strides[axis];
  source_columns.shape[axis] = y_columns.shape[axis] = 1;
  add_rows(ctx, cmd, index, source, source_rows, source_columns, y, y_columns, y.shape[axis], y.strides[axis], -1, true,
           "elements of the axis");
}

// gw [rows, …] = the sum of the rows of g whose index names each row; rows that no index names become 0.
HADAL_CUDA_KERNEL(embeddingBackward) {
  const TensorView& g = cmd.input(0);
  const TensorView& index = cmd.input(1);
  const TensorView& gw = cmd.output(0);
  const int64_t elements = gw.numel();
  if (elements != 0) {
    ctx.check(cmd, cudaMemsetAsync(gw.data, 0, static_cast<size_t>(elements) * size_of(gw.dtype), ctx.stream()));
  }
  add_rows(ctx, cmd, index, g, leading(g, index.rank), trailing(g, index.rank), gw, trailing(gw, 1), gw.shape[0],
           gw.rank > 1 && gw.shape[0] > 0 ? elements / gw.shape[0] : 1, cmd.integer(0), false, "rows");
}

}  // namespace
}  // namespace hadal::cuda
