// sort, topk and kthValue along an axis, and searchSorted. All lines are sorted together: by unsigned keys whose order is the wanted
// one, then by line; both sorts are stable, so equal elements keep their order. NaN counts as larger than every number, -0 as 0.
#include "cuda/device/axes.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/radix_sort.cuh"
#include "cuda/registry.h"
#include "kernels/sort_key.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// Keys of one byte or two are sorted as 32-bit numbers, by the bits they have.
template <class T>
using SortKey = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

// Of lines [first_line, …) of n elements each.
template <class T>
__global__ void __launch_bounds__(kBlock)
    element_keys(const T* x, Axes<1> lines, int64_t first_line, uint32_t n, int64_t stride, bool descending,
                 uint32_t count, SortKey<T>* keys) {
  const uint32_t i = blockIdx.x * kBlock + threadIdx.x;
  if (i >= count) return;
  int64_t at[1];
  lines.offsets(first_line + i / n, at);
  const KeyOf<T> key = key_of(x[at[0] + static_cast<int64_t>(i % n) * stride]);
  keys[i] = descending ? static_cast<KeyOf<T>>(~key) : key;
}
__global__ void __launch_bounds__(kBlock)
    line_keys(const uint32_t* positions, uint32_t n, uint32_t count, uint32_t* keys) {
  const uint32_t i = blockIdx.x * kBlock + threadIdx.x;
  if (i < count) keys[i] = positions[i] / n;
}

// Element first + i of each sorted line becomes element i of the outputs, i < k; the strides are those of x, y and index along the axis. What is
// given is written in the last pass, so that sorted pairs need not be.

// Of one line, sorted by its elements' keys, which tell what most of them are.
template <class T>
struct LineWriter {
  using W = UnsignedOf<sizeof(T)>;
  const W* x;
  W* y;
  int64_t* index;
  int64_t strides[3];
  uint32_t first, k;
  bool descending;

  __device__ void operator()(uint32_t place, SortKey<T> key, uint32_t position) const {
    const uint32_t rank = place - first;
    if (rank >= k) return;
    const KeyOf<T> own = static_cast<KeyOf<T>>(descending ? ~key : key);
    W bits;
    if (!bits_of_key<T>(own, bits)) bits = x[position * strides[0]];
    y[rank * strides[1]] = bits;
    index[rank * strides[2]] = position;
  }
};
// Of lines [first_line, …) of n elements, sorted by line, with positions from the first line's first element.
template <class W>
struct LinesWriter {
  const W* x;
  W* y;
  int64_t* index;
  Axes<3> lines;
  int64_t strides[3];
  int64_t first_line;
  uint32_t first, n, k;

  __device__ void operator()(uint32_t place, uint32_t line, uint32_t position) const {
    const uint32_t rank = place - line * n - first;
    if (rank >= k) return;
    const int64_t own = position - line * n;
    int64_t at[3];
    lines.offsets(first_line + line, at);
    y[at[1] + rank * strides[1]] = x[at[0] + own * strides[0]];
    index[at[2] + rank * strides[2]] = own;
  }
};

// Writes elements [first, first + k) of each sorted line, where k is y's size along the axis.
void sort_lines(CudaContext& ctx, const Command& cmd, int64_t first) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const TensorView& index = cmd.output(1);
  const bool descending = cmd.flag(1);
  const int axis = x.rank > 0 ? static_cast<int>(cmd.integer(0)) : 0;
  const auto along = [&](const TensorView& view) { return x.rank > 0 ? view.strides[axis] : 0; };
  const uint32_t line_axes = all_axes(x) & ~(x.rank > 0 ? 1u << axis : 0u);
  const Axes<1> x_lines = axes_of<1>({&x}, line_axes);
  const Axes<3> lines = axes_of<3>({&x, &y, &index}, line_axes);
  const int64_t n = x.rank > 0 ? x.shape[axis] : 1, k = y.rank > 0 ? y.shape[axis] : 1;
  if (lines.count == 0 || k == 0) return;
  require_sortable(cmd, n);
  // As many lines at once as 32 bits and a GiB of keys count.
  const int64_t at_once = std::clamp<int64_t>((int64_t{1} << 27) / n, 1, lines.count);
  visit_any(cmd.name(), x.dtype, [&]<class T>() {
    using Key = SortKey<T>;
    using W = UnsignedOf<sizeof(T)>;
    auto by_element = sort_scratch<Key, uint32_t>(ctx, at_once * n);
    SortedPairs<uint32_t, uint32_t> by_line{};
    if (lines.count > 1) {
      by_line.keys = ctx.scratch<uint32_t>(at_once * n);
      by_line.other_keys = ctx.scratch<uint32_t>(at_once * n);
    }
    for (int64_t line = 0; line < lines.count; line += at_once) {
      const int64_t here = std::min(at_once, lines.count - line), count = here * n;
      const unsigned grid = blocks_for(count, kBlock);
      ctx.launch(cmd, element_keys<T>, grid, kBlock, 0, x.as<const T>(), x_lines, line, static_cast<uint32_t>(n),
                 along(x), descending, static_cast<uint32_t>(count), by_element.keys);
      const int bits = 8 * static_cast<int>(sizeof(T));
      if (here == 1) {
        int64_t at[3];
        lines.offsets(line, at);
        const LineWriter<T> last{x.as<const W>() + at[0],
                                 y.as<W>() + at[1],
                                 index.as<int64_t>() + at[2],
                                 {along(x), along(y), along(index)},
                                 static_cast<uint32_t>(first),
                                 static_cast<uint32_t>(k),
                                 descending};
        radix_sort(ctx, cmd, by_element, count, bits, true, &last);
        continue;
      }
      radix_sort(ctx, cmd, by_element, count, bits, true);
      by_line.values = by_element.values;
      by_line.other_values = by_element.other_values;
      ctx.launch(cmd, line_keys, grid, kBlock, 0, by_element.values, static_cast<uint32_t>(n),
                 static_cast<uint32_t>(count), by_line.keys);
      const LinesWriter<W> last{x.as<const W>(),
                                y.as<W>(),
                                index.as<int64_t>(),
                                lines,
                                {along(x), along(y), along(index)},
                                line,
                                static_cast<uint32_t>(first),
                                static_cast<uint32_t>(n),
                                static_cast<uint32_t>(k)};
      radix_sort(ctx, cmd, by_line, count, std::bit_width(static_cast<uint64_t>(here - 1)), false, &last);
    }
  });
}

HADAL_CUDA_KERNEL(sort) { sort_lines(ctx, cmd, 0); }
HADAL_CUDA_KERNEL(topk) { sort_lines(ctx, cmd, 0); }
HADAL_CUDA_KERNEL(kthValue) { sort_lines(ctx, cmd, cmd.integer(2) - 1); }

// --- searchSorted --------------------------------------------------------------------------------------------------------

// index = how many elements of the line are below x (`right`: not above it). A line is expected in the order that sort gives it.
template <class T>
__global__ void __launch_bounds__(kBlock)
    search_kernel(const T* sorted, Axes<1> lines, int64_t n, int64_t stride, int64_t width, bool right, const T* x,
                  int64_t* index, Axes<2> axes) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= axes.count) return;
  int64_t at[2], line[1];
  axes.offsets(i, at);
  lines.offsets(lines.count == 1 ? 0 : i / width, line);
  const KeyOf<T> key = key_of(x[at[0]]);
  int64_t low = 0;
  for (int64_t left = n; left > 0;) {
    const int64_t half = (left + 1) / 2;
    const KeyOf<T> probe = key_of(sorted[line[0] + (low + half - 1) * stride]);
    if (right ? probe <= key : probe < key) low += half;
    left -= half;
  }
  index[at[1]] = low;
}

HADAL_CUDA_KERNEL(searchSorted) {
  const TensorView& sorted = cmd.input(0);
  const TensorView& x = cmd.input(1);
  const TensorView& index = cmd.output(0);
  const Axes<2> axes = axes_of<2>({&x, &index}, all_axes(x));
  const Axes<1> lines = axes_of<1>({&sorted}, all_axes(sorted) & ~(1u << (sorted.rank - 1)));
  visit_any(cmd.name(), sorted.dtype, [&]<class T>() {
    ctx.launch(cmd, search_kernel<T>, blocks_for(axes.count, kBlock), kBlock, 0, sorted.as<const T>(), lines,
               sorted.size(-1), sorted.stride(-1), x.rank > 0 ? x.size(-1) : 1, cmd.flag(0), x.as<const T>(),
               index.as<int64_t>(), axes);
  });
}

}  // namespace
}  // namespace hadal::cuda
