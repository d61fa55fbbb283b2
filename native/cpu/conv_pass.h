// What a convolution's kernels have in common: its geometry, taps, weights and grid of pixels, and how the grid is cut into units whose windows
// stay in the cache. Called by conv.cc and conv_pairs.cc.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/conv_layout.h"
#include "runtime/kernel_context.h"
#include "runtime/registry.h"

namespace hadal::cpu {

// Multiply-adds worth a task of their own: 10 µs at the 10^11 per second of one core.
inline constexpr int64_t kTaskWork = int64_t{1} << 20;
// Bytes of channels-last windows a task holds at once: with a panel of weights they share an L2 cache of 1 MiB.
inline constexpr int64_t kWindowBytes = 384 << 10;
// Tasks that a convolution is cut into where its size allows: enough for sixteen threads.
inline constexpr int64_t kTasks = 16;

inline int64_t floor_mod(int64_t a, int64_t b) { return ((a % b) + b) % b; }

struct Geometry {
  int64_t stride_d = 1, stride_h, stride_w, pad_d = 0, pad_h, pad_w, dilation_d = 1, dilation_h, dilation_w, groups;

  explicit Geometry(const Command& cmd) {
    const int axes = (cmd.attribute_count - 1) / 3;
    stride_h = cmd.integer(axes - 2);
    stride_w = cmd.integer(axes - 1);
    pad_h = cmd.integer(2 * axes - 2);
    pad_w = cmd.integer(2 * axes - 1);
    dilation_h = cmd.integer(3 * axes - 2);
    dilation_w = cmd.integer(3 * axes - 1);
    groups = cmd.integer(3 * axes);
    if (axes == 2) return;
    stride_d = cmd.integer(0);
    pad_d = cmd.integer(axes);
    dilation_d = cmd.integer(2 * axes);
  }
};

// The taps along one axis: where each reads, from the pixel p · step, and which row or column of the kernel it is.
struct Taps {
  std::vector<int64_t> shifts;  // ascending
  std::vector<int64_t> kernel;

  int64_t count() const { return static_cast<int64_t>(shifts.size()); }
  int64_t first() const { return shifts.front(); }
  int64_t reach() const { return shifts.back() - shifts.front(); }
  bool adjacent() const { return reach() == count() - 1; }
};

inline Taps forward_taps(int64_t size, int64_t dilation, int64_t pad) {
  Taps taps;
  for (int64_t i = 0; i < size; ++i) {
    taps.shifts.push_back(i * dilation - pad);
    taps.kernel.push_back(i);
  }
  return taps;
}
// The input's positions phase, phase + stride, …: which kernel rows reach them, and from which output's gradient.
inline Taps backward_taps(int64_t size, int64_t dilation, int64_t pad, int64_t stride, int64_t phase) {
  Taps taps;
  for (int64_t i = size - 1; i >= 0; --i) {
    const int64_t from = phase + pad - i * dilation;
    if (floor_mod(from, stride) != 0) continue;
    taps.shifts.push_back((from - floor_mod(from, stride)) / stride);
    taps.kernel.push_back(i);
  }
  return taps;
}

// The kernel of weight[o, c, kh, kw] or [o, c, kd, kh, kw]: sizes and strides with a depth of 1 where it has none.
struct KernelAxes {
  int64_t depth, height, width;
  int64_t slice_stride, row_stride, column_stride;

  explicit KernelAxes(const TensorView& weight)
      : depth(weight.rank == 5 ? weight.shape[2] : 1),
        height(weight.size(-2)),
        width(weight.size(-1)),
        slice_stride(weight.rank == 5 ? weight.strides[2] : 0),
        row_stride(weight.stride(-2)),
        column_stride(weight.stride(-1)) {}
  int64_t count() const { return depth * height * width; }
};

// The weight as a pass sees it: `out` and `in` are its channels, whichever axes of the tensor those are.
template <class E>
struct Weights {
  const E* data = nullptr;
  int64_t group_stride = 0, out_stride = 0, in_stride = 0;
  KernelAxes axes;
};

template <class E>
struct Pass {
  using T = Compute<E>;
  Images<E> image;
  Images<E> out;
  Taps taps_d, taps_h, taps_w;
  int64_t step_d = 1, step_h = 1, step_w = 1;
  int64_t in = 0, channels = 0;  // channels of a group: summed over, written
  int64_t groups = 1;
  // The grid of pixels written: every out_step-th from (out_slice, out_row, out_column) on.
  int64_t slices = 1, rows = 0, columns = 0;
  int64_t out_slice = 0, out_row = 0, out_column = 0, out_step_d = 1, out_step_h = 1, out_step_w = 1;
  const E* bias = nullptr;
  int64_t bias_stride = 0;

  int64_t taps() const { return taps_d.count() * taps_h.count() * taps_w.count(); }
  // Where a tap's weights lie.
  int64_t tap_offset(const KernelAxes& axes, int64_t d, int64_t i, int64_t j) const {
    return taps_d.kernel[d] * axes.slice_stride + taps_h.kernel[i] * axes.row_stride +
           taps_w.kernel[j] * axes.column_stride;
  }
  // Slices of the grid, of all images.
  int64_t planes() const { return image.count * slices; }
  int64_t work() const { return planes() * groups * rows * columns * channels * in * taps(); }
  // Where the window of `rows` × `columns` of the grid from (row, column) on lies in a slice of the image.
  Window window(int64_t row, int64_t column, int64_t grid_rows, int64_t grid_columns) const {
    return {row * step_h + taps_h.first(), column * step_w + taps_w.first(),
            (grid_rows - 1) * step_h + taps_h.reach() + 1, (grid_columns - 1) * step_w + taps_w.reach() + 1};
  }
  E* target(int64_t n, int64_t slice, int64_t channel, int64_t row, int64_t column) const {
    return out.at(n, channel, out_slice + slice * out_step_d) + (out_row + row * out_step_h) * out.row_stride +
           (out_column + column * out_step_w) * out.pixel_stride;
  }
};

// A piece of the grid whose windows, one per tap in depth, are in the cache together: of one slice and one group (or one
// block of groups).
struct Unit {
  int64_t image, slice, group;
  int64_t row, rows, column, columns;
};

// The grid cut into units: bands of rows, and of columns where rows are long.
struct Cut {
  int64_t groups, slices, rows, columns;  // of the grid
  int64_t band, piece;                    // rows and columns of a unit
  int64_t bands, pieces;
  int64_t units;

  // Units of `band` rows and `piece` columns.
  template <class E>
  static Cut of(const Pass<E>& pass, int64_t band, int64_t piece) {
    Cut cut;
    cut.groups = pass.groups;
    cut.slices = pass.slices;
    cut.rows = pass.rows;
    cut.columns = pass.columns;
    cut.band = band;
    cut.piece = piece;
    cut.bands = ceil_div(pass.rows, band);
    cut.pieces = ceil_div(pass.columns, piece);
    cut.units = pass.planes() * pass.groups * cut.bands * cut.pieces;
    return cut;
  }
  Cut() = default;
  // `pixel` is the bytes of one pixel of a window.
  template <class E>
  Cut(const Pass<E>& pass, int64_t group_count, int64_t pixel, int64_t wanted)
      : groups(group_count), slices(pass.slices), rows(pass.rows), columns(pass.columns) {
    const int64_t depth = pass.taps_d.count();
    const int64_t budget = kWindowBytes / std::max<int64_t>(1, pixel * depth);
    // A quarter of the budget for one row of windows, and at least 128 columns, so that the halo stays small beside them.
    const int64_t reach = pass.taps_w.reach();
    piece = std::clamp<int64_t>((budget / (4 * (pass.taps_h.reach() + 1)) - reach) / pass.step_w,
                                std::min<int64_t>(columns, 128), columns);
    if (wanted > rows) {
      piece = std::min(piece, std::max(ceil_div(columns, ceil_div(wanted, rows)), std::min<int64_t>(columns, 128)));
    }
    pieces = ceil_div(columns, piece);
    piece = ceil_div(columns, pieces);
    const int64_t row_pixels = std::max<int64_t>(1, pass.window(0, 0, 1, piece).columns);
    const int64_t halo = std::max<int64_t>(0, pass.window(0, 0, rows, piece).rows - rows * pass.step_h);
    band = std::clamp<int64_t>((budget / row_pixels - halo) / pass.step_h, 1, rows);
    band = std::min(band, ceil_div(rows, std::max<int64_t>(1, ceil_div(wanted, pieces))));
    bands = ceil_div(rows, band);
    pieces = ceil_div(columns, piece);
    units = pass.planes() * groups * bands * pieces;
  }
  Unit at(int64_t index) const {
    const int64_t column = index % pieces * piece, row = index / pieces % bands * band;
    const int64_t plane = index / (pieces * bands);
    return {plane / groups / slices,
            plane / groups % slices,
            plane % groups,
            row,
            std::min(band, rows - row),
            column,
            std::min(piece, columns - column)};
  }
};

// The window of a unit for one tap in depth. It is as wide as that of a whole piece, so that all have one layout.
template <class E>
Window window_of(const Pass<E>& pass, const Unit& unit, int64_t piece, int64_t tap) {
  Window window = pass.window(unit.row, unit.column, unit.rows, piece);
  window.slice = unit.slice * pass.step_d + pass.taps_d.shifts[tap];
  return window;
}

// The gradient of the weights for one tap in depth: it connects slice s of g with slice s · stride + shift of x, for `slices` of them
// from first_slice on. `out` is the gradient's first element for that tap.
template <class E>
struct WeightTap {
  Geometry geometry;
  Images<E> g;
  Images<E> x;
  KernelAxes axes;
  E* out;
  int64_t out_stride, in_stride;
  int64_t groups, in, channels;  // channels of a group: of x, of g
  int64_t shift, first_slice, slices;

  WeightTap(const Command& cmd, int64_t tap) : geometry(cmd), g(cmd.input(0)), x(cmd.input(1)), axes(cmd.output(0)) {
    const TensorView& gw = cmd.output(0);
    out = gw.as<E>() + tap * axes.slice_stride;
    out_stride = gw.strides[0];
    in_stride = gw.strides[1];
    groups = geometry.groups;
    in = gw.shape[1];
    channels = gw.shape[0] / std::max<int64_t>(1, groups);
    shift = tap * geometry.dilation_d - geometry.pad_d;
    first_slice = shift >= 0 ? 0 : ceil_div(-shift, geometry.stride_d);
    const int64_t room = x.slices - shift;
    slices = room <= 0 ? 0 : std::max<int64_t>(0, std::min(g.slices, ceil_div(room, geometry.stride_d)) - first_slice);
  }
  E* at(int64_t o, int64_t c, int64_t i, int64_t j) const {
    return out + o * out_stride + c * in_stride + i * axes.row_stride + j * axes.column_stride;
  }
};

// bias as T, a group after the other, each padded with zeros; null where there is none.
template <class E>
const Compute<E>* gather_bias(KernelContext& ctx, const Pass<E>& pass, int64_t padded) {
  if (pass.bias == nullptr) return nullptr;
  Compute<E>* to = ctx.scratch<Compute<E>>(pass.groups * padded);
  for (int64_t group = 0; group < pass.groups; ++group) {
    for (int64_t c = 0; c < padded; ++c) {
      to[group * padded + c] =
          c < pass.channels ? static_cast<Compute<E>>(pass.bias[(group * pass.channels + c) * pass.bias_stride]) : 0;
    }
  }
  return to;
}

// The panels of all groups, [group][panel][tap][in][columns of the panel].
template <class T>
struct PackedWeights {
  const T* data = nullptr;
  int64_t vectors = 0;  // of a pixel's output channels
  int64_t panels = 0;
  int64_t group_size = 0;

  int64_t begin(int64_t panel) const { return vectors * panel / panels * kLanes<T>; }
};

template <class E>
PackedWeights<Compute<E>> pack_weights(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  using T = Compute<E>;
  PackedWeights<T> packed;
  packed.vectors = ceil_div(pass.channels, kLanes<T>);
  packed.panels = ceil_div(packed.vectors, panel_width(packed.vectors));
  const int64_t depth = pass.taps() * pass.in;
  packed.group_size = depth * packed.vectors * kLanes<T>;
  T* data = ctx.scratch<T>(pass.groups * packed.group_size + kPackSlack);
  packed.data = data;
  // Tasks of one panel; the input channels are cut as well, 2^15 elements to a task.
  const int64_t widest = panel_width(packed.vectors) * kLanes<T>;
  const int64_t chunk = std::max<int64_t>(1, (1 << 15) / (pass.taps() * widest));
  const int64_t chunks = std::max<int64_t>(1, ceil_div(pass.in, chunk));
  ctx.parallel(pass.groups * packed.panels * chunks, [&](int64_t task) {
    const int64_t group = task / (packed.panels * chunks), panel = task / chunks % packed.panels;
    const int64_t first = task % chunks * chunk, last = std::min(pass.in, first + chunk);
    const int64_t begin = packed.begin(panel), width = packed.begin(panel + 1) - begin;
    const int64_t lanes = std::min(width, pass.channels - begin);
    const E* from = weights.data + group * weights.group_stride + begin * weights.out_stride;
    T* to = data + group * packed.group_size + depth * begin;
    const KernelAxes& axes = weights.axes;
    const int64_t kernel_d = pass.taps_d.count(), kernel_h = pass.taps_h.count(), kernel_w = pass.taps_w.count();
    const bool whole = pass.taps() == axes.count() && pass.taps() > 1 && axes.column_stride == 1 &&
                       axes.row_stride == axes.width &&
                       (axes.depth == 1 || axes.slice_stride == axes.height * axes.width);
    if (whole) {  // The kernel's elements are adjacent and all wanted: squares of them are turned in registers.
      // [taps][width] of one input channel at a time, or of all where they continue each other, then rows to their places.
      const int64_t taps = pass.taps();
      const bool joined = weights.in_stride == taps;
      const int64_t count = joined ? last - first : 1;
      T* turned = ctx.thread_scratch<T>(count * taps * width + kPackSlack);
      for (int64_t c = first; c < last; c += count) {
        pack(from + c * weights.in_stride, weights.out_stride, 1, lanes, width, count * taps, turned, width);
        for (int64_t at = 0; at < taps; ++at) {
          const int64_t d = at / (kernel_h * kernel_w), i = at / kernel_w % kernel_h, j = at % kernel_w;
          const int64_t tap =
              (pass.taps_d.kernel[d] * kernel_h + pass.taps_h.kernel[i]) * kernel_w + pass.taps_w.kernel[j];
          T* row = to + (at * pass.in + c) * width;
          for (int64_t q = 0; q < count; ++q) std::copy_n(turned + (q * taps + tap) * width, width, row + q * width);
        }
      }
      return;
    }
    for (int64_t at = 0; at < kernel_d * kernel_h * kernel_w; ++at) {
      const int64_t d = at / (kernel_h * kernel_w), i = at / kernel_w % kernel_h, j = at % kernel_w;
      pack(from + pass.tap_offset(axes, d, i, j) + first * weights.in_stride, weights.out_stride, weights.in_stride,
           lanes, width, last - first, to + (at * pass.in + first) * width, width);
    }
  });
  return packed;
}

}  // namespace hadal::cpu
