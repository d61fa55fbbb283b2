// Convolution of images and its two gradients. Owns the reduction of each to passes over channels-last windows and the cut
// into tasks; layouts are conv_layout.h, the inner loop is gemm_tile.h, and 1 × 1 kernels are plain products (gemm.h).
//
// A pass computes out[p, o] = bias[o] + Σ_tap Σ_c image[p · step + tap, c] · weight[tap][c, o] for a grid of pixels p. Rows of a
// tile are neighbouring pixels, its columns output channels; for each tap the tile reads the padded image where it lies, so
// nothing is unfolded. Taps that neighbour along a row are one segment, since their channels are adjacent. The forward
// convolution is one pass; the gradient of the input is one pass per remainder of the stride, over the output's gradient
// with the weights turned. The gradient of the weights sums over pixels instead: rows are (tap, channel), columns output
// channels, both read as they lie.
#include <algorithm>
#include <vector>

#include "cpu/conv_layout.h"
#include "cpu/gemm.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Multiply-adds worth a task of their own: 10 µs at the 10^11 per second of one core.
constexpr int64_t kTaskWork = int64_t{1} << 20;
// Bytes of channels-last windows a task holds at once: with a panel of weights they share an L2 cache of 1 MiB.
constexpr int64_t kWindowBytes = 384 << 10;
// Tasks that a convolution is cut into where its size allows: enough for sixteen threads.
constexpr int64_t kTasks = 16;

int64_t floor_mod(int64_t a, int64_t b) { return ((a % b) + b) % b; }

struct Geometry {
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;

  explicit Geometry(const Command& cmd)
      : stride_h(cmd.integer(0)),
        stride_w(cmd.integer(1)),
        pad_h(cmd.integer(2)),
        pad_w(cmd.integer(3)),
        dilation_h(cmd.integer(4)),
        dilation_w(cmd.integer(5)),
        groups(cmd.integer(6)) {}
};

// The taps along one axis: where each reads, from the pixel p · step, and which row or column of the kernel it is.
struct Taps {
  std::vector<int64_t> shifts;  // ascending
  std::vector<int64_t> kernel;

  int64_t count() const { return static_cast<int64_t>(shifts.size()); }
  int64_t first() const { return shifts.empty() ? 0 : shifts.front(); }
  int64_t reach() const { return shifts.empty() ? 0 : shifts.back() - shifts.front(); }
  bool adjacent() const { return reach() == count() - 1; }
};

Taps forward_taps(int64_t size, int64_t dilation, int64_t pad) {
  Taps taps;
  for (int64_t i = 0; i < size; ++i) {
    taps.shifts.push_back(i * dilation - pad);
    taps.kernel.push_back(i);
  }
  return taps;
}
// The input's positions phase, phase + stride, …: which kernel rows reach them, and from which output's gradient.
Taps backward_taps(int64_t size, int64_t dilation, int64_t pad, int64_t stride, int64_t phase) {
  Taps taps;
  for (int64_t i = size - 1; i >= 0; --i) {
    const int64_t from = phase + pad - i * dilation;
    if (floor_mod(from, stride) != 0) continue;
    taps.shifts.push_back((from - floor_mod(from, stride)) / stride);
    taps.kernel.push_back(i);
  }
  return taps;
}

// weight[o, c, kh, kw] as a pass sees it: `out` and `in` are its channels, whichever axes of the tensor those are.
template <class E>
struct Weights {
  const E* data = nullptr;
  int64_t group_stride = 0, out_stride = 0, in_stride = 0, row_stride = 0, column_stride = 0;
};

// The panels of all groups, [group][panel][tap][in][columns of the panel].
template <class T>
struct PackedWeights {
  const T* data = nullptr;
  int64_t vectors = 0;  // of a pixel's output channels
  int64_t panels = 0;
  int64_t group_size = 0;

  int64_t begin(int64_t panel) const { return vectors * panel / panels * kLanes<T>; }
};

// The widest panel for so many vectors of columns; as in gemm.cc.
int panel_width(int64_t vectors) {
  if (vectors <= 2) return static_cast<int>(vectors);
  return kMaxVectors < 3 || vectors == 4 ? 2 : 3;
}

template <class E>
struct Pass {
  using T = Compute<E>;
  Images<E> image;
  Images<E> out;
  Taps taps_h, taps_w;
  int64_t step_h = 1, step_w = 1;
  int64_t in = 0, channels = 0;  // channels of a group: summed over, written
  int64_t groups = 1;
  // The grid of pixels written: every out_step-th from (out_row, out_column) on.
  int64_t rows = 0, columns = 0;
  int64_t out_row = 0, out_column = 0, out_step_h = 1, out_step_w = 1;
  const E* bias = nullptr;
  int64_t bias_stride = 0;

  int64_t taps() const { return taps_h.count() * taps_w.count(); }
  int64_t work() const { return image.count * groups * rows * columns * channels * in * std::max<int64_t>(1, taps()); }
  // Where the window of rows [begin, begin + count) of the grid lies in the image.
  Window window(int64_t begin, int64_t count) const {
    return {begin * step_h + taps_h.first(), taps_w.first(), (count - 1) * step_h + taps_h.reach() + 1,
            (columns - 1) * step_w + taps_w.reach() + 1};
  }
  E* target(int64_t n, int64_t channel, int64_t row, int64_t column) const {
    return out.at(n, channel) + (out_row + row * out_step_h) * out.row_stride +
           (out_column + column * out_step_w) * out.pixel_stride;
  }
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
  const int64_t chunk = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, pass.taps() * widest));
  const int64_t chunks = std::max<int64_t>(1, ceil_div(pass.in, chunk));
  ctx.parallel(pass.groups * packed.panels * chunks, [&](int64_t task) {
    const int64_t group = task / (packed.panels * chunks), panel = task / chunks % packed.panels;
    const int64_t first = task % chunks * chunk, last = std::min(pass.in, first + chunk);
    const int64_t begin = packed.begin(panel), width = packed.begin(panel + 1) - begin;
    const int64_t lanes = std::min(width, pass.channels - begin);
    const E* from = weights.data + group * weights.group_stride + begin * weights.out_stride;
    T* to = data + group * packed.group_size + depth * begin;
    const int64_t kernel_h = pass.taps_h.count(), kernel_w = pass.taps_w.count();
    const bool whole = weights.column_stride == 1 && weights.row_stride == kernel_w && kernel_h * kernel_w > 1 &&
                       *std::max_element(pass.taps_w.kernel.begin(), pass.taps_w.kernel.end()) == kernel_w - 1 &&
                       *std::max_element(pass.taps_h.kernel.begin(), pass.taps_h.kernel.end()) == kernel_h - 1;
    if (whole) {  // The kernel's elements are adjacent and all wanted: squares of them are turned in registers.
      // [taps][width] of one input channel at a time, or of all where they continue each other, then rows to their places.
      const int64_t taps = kernel_h * kernel_w;
      const bool joined = weights.in_stride == taps;
      const int64_t count = joined ? last - first : 1;
      T* turned = ctx.thread_scratch<T>(count * taps * width + kPackSlack);
      for (int64_t c = first; c < last; c += count) {
        pack(from + c * weights.in_stride, weights.out_stride, 1, lanes, width, count * taps, turned, width);
        for (int64_t i = 0; i < kernel_h; ++i) {
          for (int64_t j = 0; j < kernel_w; ++j) {
            const int64_t tap = pass.taps_h.kernel[i] * kernel_w + pass.taps_w.kernel[j];
            T* row = to + ((i * kernel_w + j) * pass.in + c) * width;
            for (int64_t q = 0; q < count; ++q) std::copy_n(turned + (q * taps + tap) * width, width, row + q * width);
          }
        }
      }
      return;
    }
    for (int64_t i = 0; i < kernel_h; ++i) {
      for (int64_t j = 0; j < kernel_w; ++j) {
        pack(from + pass.taps_h.kernel[i] * weights.row_stride + pass.taps_w.kernel[j] * weights.column_stride +
                 first * weights.in_stride,
             weights.out_stride, weights.in_stride, lanes, width, last - first,
             to + ((i * kernel_w + j) * pass.in + first) * width, width);
      }
    }
  });
  return packed;
}

// bias as T, a group after the other, each padded to whole vectors; zeros where there is none and `always`.
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

template <class E>
void run_pass(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  using T = Compute<E>;
  constexpr bool kConverts = !std::is_same_v<E, T>;
  const PackedWeights<T> packed = pack_weights(ctx, pass, weights);
  const T* bias = gather_bias(ctx, pass, packed.vectors * kLanes<T>);

  // A unit is a band of rows of one image's grid and one group. Bands hold as many rows as the window budget allows, fewer
  // where that leaves too few tasks; small units share a task.
  const Window whole = pass.window(0, pass.rows);
  const bool inside = whole.row >= 0 && whole.column >= 0 && whole.row + whole.rows <= pass.image.height &&
                      whole.column + whole.columns <= pass.image.width;
  const bool in_place = !kConverts && (pass.image.channel_stride == 1 || pass.in == 1) && inside;
  // A distance between pixels of a multiple of 4 KiB would put a tile's rows into the same set of the L1 cache.
  const bool aliases = pass.in * pass.step_w * int64_t{sizeof(T)} % 4096 == 0;
  const int64_t pixel = in_place ? pass.image.pixel_stride : pass.in + (aliases ? 16 : 0);
  const int64_t row_bytes = std::max<int64_t>(1, whole.columns * pass.in * int64_t{sizeof(T)});
  const int64_t halo = std::max<int64_t>(0, whole.rows - pass.rows * pass.step_h);
  int64_t band = std::clamp<int64_t>((kWindowBytes / row_bytes - halo) / pass.step_h, 1, pass.rows);
  const int64_t images = pass.image.count * pass.groups;
  const int64_t wanted_bands =
      std::min(ceil_div(kTasks, images), std::max<int64_t>(1, pass.work() / images / kTaskWork));
  band = std::min(band, ceil_div(pass.rows, wanted_bands));
  const int64_t bands = ceil_div(pass.rows, band);
  const int64_t units = images * bands;
  const int64_t window_rows = pass.window(0, band).rows;
  const int64_t window_size = in_place ? 0 : window_rows * whole.columns * pixel + kPackSlack;
  const int64_t unit_work = std::max<int64_t>(1, pass.work() / units);
  int64_t share = ceil_div(kTaskWork, unit_work);
  if (window_size > 0) {
    // Several small images pass by each panel of weights, which is then read from L3 once for all of them.
    const int64_t fitting = std::max<int64_t>(1, kWindowBytes / int64_t{sizeof(T)} / window_size);
    share = std::min(std::max(share, units / kTasks), fitting);
  }
  share = std::clamp<int64_t>(share, 1, units);

  const bool joins_taps = pixel == pass.in && pass.taps_w.adjacent();
  const int64_t segments_w = joins_taps ? 1 : pass.taps_w.count();
  const int64_t segments = pass.taps() == 0 ? 0 : pass.taps_h.count() * segments_w;
  const int64_t depth = pass.taps() == 0 ? 0 : pass.taps() * pass.in / segments;
  const int64_t image_row = in_place ? pass.image.row_stride : whole.columns * pixel;
  std::vector<int64_t> offsets(2 * segments);
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t i = s / segments_w, j = s % segments_w;
    offsets[s] = (pass.taps_h.shifts[i] - pass.taps_h.first()) * image_row +
                 (pass.taps_w.shifts[j] - pass.taps_w.first()) * pixel;
  }
  const bool writes_out = !kConverts && pass.out.channel_stride == 1;

  ctx.parallel(ceil_div(units, share), [&](int64_t task) {
    const int64_t first = task * share, last = std::min(units, first + share);
    T* windows = in_place ? nullptr : ctx.thread_scratch<T>(window_size * (last - first));
    struct Unit {
      int64_t image, group, row, rows;
    };
    const auto unit_at = [&](int64_t index) {
      const int64_t row = index % bands * band;
      return Unit{index / bands / pass.groups, index / bands % pass.groups, row, std::min(band, pass.rows - row)};
    };
    for (int64_t index = first; !in_place && index < last; ++index) {
      const Unit unit = unit_at(index);
      to_channels_last(pass.image, unit.image, unit.group * pass.in, pass.in, pass.window(unit.row, unit.rows),
                       windows + (index - first) * window_size, pixel);
    }
    alignas(64) T small[kMaxRows * kMaxVectors * kLanes<T>];
    for (int64_t panel = 0; panel < packed.panels; ++panel) {
      const int64_t begin = packed.begin(panel), width = packed.begin(panel + 1) - begin;
      const int64_t channels = std::min(width, pass.channels - begin);
      const int vectors = static_cast<int>(width / kLanes<T>);
      const int64_t pieces = ceil_div(pass.columns, max_rows(vectors));
      std::vector<int64_t> panel_offsets(segments);
      for (int64_t s = 0; s < segments; ++s) panel_offsets[s] = s * depth * width;
      Tile<T> tile;
      tile.k = depth;
      tile.segments = segments;
      tile.a_offsets = offsets.data();
      tile.b_offsets = panel_offsets.data();
      tile.a_row = pass.step_w * pixel;
      tile.a_step = 1;
      tile.b_step = width;
      tile.columns = static_cast<int>(channels);
      for (int64_t index = first; index < last; ++index) {
        const Unit unit = unit_at(index);
        tile.b = packed.data + unit.group * packed.group_size + pass.taps() * pass.in * begin;
        if (bias != nullptr) {
          tile.start = Start::kColumnBias;
          tile.bias = bias + unit.group * packed.vectors * kLanes<T> + begin;
        }
        const T* origin = windows + (index - first) * window_size;
        if constexpr (!kConverts) {
          if (in_place) {
            const Window window = pass.window(unit.row, unit.rows);
            origin = pass.image.at(unit.image, unit.group * pass.in) + window.row * image_row + window.column * pixel;
          }
        }
        for (int64_t row = 0; row < unit.rows; ++row) {
          for (int64_t piece = 0; piece < pieces; ++piece) {
            const int64_t column = pass.columns * piece / pieces, pixels = pass.columns * (piece + 1) / pieces - column;
            tile.a = origin + row * pass.step_h * image_row + column * tile.a_row;
            E* to = pass.target(unit.image, unit.group * pass.channels + begin, unit.row + row, column);
            const int64_t to_pixel = pass.out_step_w * pass.out.pixel_stride;
            tile.c = small;
            tile.c_row = width;
            if constexpr (!kConverts) {
              if (writes_out) {
                tile.c = to;
                tile.c_row = to_pixel;
              }
            }
            tile_kernel<T>(static_cast<int>(pixels), vectors, false)(tile);
            if (!writes_out) store_tile(small, width, pixels, channels, to, to_pixel, pass.out.channel_stride);
          }
        }
      }
    }
  });
}

// Few output channels would leave most lanes of run_pass idle. Here rows of a tile are output channels and its columns
// neighbouring pixels of one row, read from the padded planes of the image where they lie.
template <class E>
void run_planar(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  using T = Compute<E>;
  constexpr bool kConverts = !std::is_same_v<E, T>;
  constexpr int kWidth = kLanes<T>;
  // A segment runs over the input channels of a tap, or over a row of taps of one channel, whichever is longer.
  const bool along_taps = pass.taps_w.adjacent() && pass.taps_w.count() > pass.in;
  const int64_t rows = pass.channels, taps_w = pass.taps_w.count();
  const int64_t segments = along_taps ? pass.in * pass.taps_h.count() : pass.taps();
  const int64_t depth = along_taps ? taps_w : pass.in;
  T* packed = ctx.scratch<T>(pass.groups * segments * depth * rows + kPackSlack);
  const Window whole = pass.window(0, pass.rows);
  const int64_t row_size = std::max<int64_t>(1, pass.in * whole.columns);
  const int64_t halo = std::max<int64_t>(0, whole.rows - pass.rows * pass.step_h);
  const int64_t band =
      std::clamp<int64_t>((kWindowBytes / int64_t{sizeof(T)} / row_size - halo) / pass.step_h, 1, pass.rows);
  const int64_t bands = ceil_div(pass.rows, band);
  const int64_t plane = pass.window(0, band).rows * whole.columns + kWidth;

  std::vector<int64_t> a_offsets(segments), b_offsets(segments);
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t c = along_taps ? s / pass.taps_h.count() : 0;
    const int64_t i = along_taps ? s % pass.taps_h.count() : s / taps_w, j = along_taps ? 0 : s % taps_w;
    a_offsets[s] = s * depth * rows;
    b_offsets[s] = c * plane + (pass.taps_h.shifts[i] - pass.taps_h.first()) * whole.columns +
                   (pass.taps_w.shifts[j] - pass.taps_w.first());
    for (int64_t group = 0; group < pass.groups; ++group) {
      for (int64_t p = 0; p < depth; ++p) {
        const E* from = weights.data + group * weights.group_stride + pass.taps_h.kernel[i] * weights.row_stride +
                        pass.taps_w.kernel[along_taps ? p : j] * weights.column_stride +
                        (along_taps ? c : p) * weights.in_stride;
        for (int64_t o = 0; o < rows; ++o) {
          packed[((group * segments + s) * depth + p) * rows + o] = static_cast<T>(from[o * weights.out_stride]);
        }
      }
    }
  }
  T* bias = pass.bias == nullptr ? nullptr : ctx.scratch<T>(pass.groups * rows);
  for (int64_t i = 0; bias != nullptr && i < pass.groups * rows; ++i)
    bias[i] = static_cast<T>(pass.bias[i * pass.bias_stride]);

  const int64_t columns = ceil_div(pass.columns, kWidth);
  // Up to three vectors of pixels at once; one channel keeps enough sums in flight by splitting them.
  const int64_t pieces = ceil_div(columns, rows <= max_rows(kMaxVectors) ? kMaxVectors : 1);
  const bool writes_out = !kConverts && pass.out.pixel_stride == 1 && pass.out_step_w == 1;
  const int64_t units = pass.image.count * pass.groups * bands;
  ctx.parallel_ranges(
      units, ceil_div(kTaskWork / 2, std::max<int64_t>(1, pass.work() / units)), [&](int64_t begin, int64_t end) {
        T* window = ctx.thread_scratch<T>(pass.in * plane + kPackSlack);
        alignas(64) T small[kMaxRows * kMaxVectors * kWidth];
        Tile<T> tile;
        tile.k = depth;
        tile.segments = segments;
        tile.a_offsets = a_offsets.data();
        tile.b_offsets = b_offsets.data();
        tile.a_row = 1;
        tile.a_step = rows;
        tile.b_step = along_taps ? 1 : plane;
        tile.start = bias != nullptr ? Start::kRowBias : Start::kZero;
        for (int64_t unit = begin; unit < end; ++unit) {
          const int64_t n = unit / bands / pass.groups, group = unit / bands % pass.groups;
          const int64_t first_row = unit % bands * band, unit_rows = std::min(band, pass.rows - first_row);
          to_planes(pass.image, n, group * pass.in, pass.in, pass.window(first_row, unit_rows), window, plane);
          tile.a = packed + group * segments * depth * rows;
          tile.bias = bias + group * rows;
          for (int64_t row = 0; row < unit_rows; ++row) {
            for (int64_t piece = 0; piece < pieces; ++piece) {
              const int64_t first = columns * piece / pieces * kWidth,
                            width = columns * (piece + 1) / pieces * kWidth - first;
              tile.columns = static_cast<int>(std::min(width, pass.columns - first));
              tile.b = window + row * pass.step_h * whole.columns + first;
              E* to = pass.target(n, group * rows, first_row + row, first);
              tile.c = small;
              tile.c_row = width;
              if constexpr (!kConverts) {
                if (writes_out) {
                  tile.c = to;
                  tile.c_row = pass.out.channel_stride;
                }
              }
              tile_kernel<T>(static_cast<int>(rows), static_cast<int>(width / kWidth), true)(tile);
              if (!writes_out) {
                store_tile(small, width, rows, tile.columns, to, pass.out.channel_stride,
                           pass.out_step_w * pass.out.pixel_stride);
              }
            }
          }
        }
      });
}

// One channel in, one out per group: nothing to sum over but taps. Vector lanes are channels; eight pixels at a time keep
// enough sums in flight.
template <class E>
void run_depthwise(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  using T = Compute<E>;
  constexpr int kWidth = kLanes<T>, kPixels = 8;
  const int64_t blocks = ceil_div(pass.groups, kWidth), taps = pass.taps();
  T* packed = ctx.scratch<T>(blocks * taps * kWidth);
  T* bias = ctx.scratch<T>(blocks * kWidth);
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t lane = 0; lane < kWidth; ++lane) {
      const int64_t c = block * kWidth + lane;
      const bool valid = c < pass.groups;
      bias[c] = valid && pass.bias != nullptr ? static_cast<T>(pass.bias[c * pass.bias_stride]) : T(0);
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t i = pass.taps_h.kernel[tap / pass.taps_w.count()],
                      j = pass.taps_w.kernel[tap % pass.taps_w.count()];
        packed[(block * taps + tap) * kWidth + lane] =
            valid ? static_cast<T>(
                        weights.data[c * weights.group_stride + i * weights.row_stride + j * weights.column_stride])
                  : T(0);
      }
    }
  }
  const Window whole = pass.window(0, pass.rows);
  const int64_t image_row = whole.columns * kWidth;
  const int64_t halo = std::max<int64_t>(0, whole.rows - pass.rows * pass.step_h);
  const int64_t band =
      std::clamp<int64_t>((kWindowBytes / int64_t{sizeof(T)} / image_row - halo) / pass.step_h, 1, pass.rows);
  const int64_t bands = ceil_div(pass.rows, band);
  const int64_t units = pass.image.count * blocks * bands;
  // Some 2^17 multiply-adds and as many elements moved: 20 to 50 µs.
  const int64_t share = ceil_div(int64_t{1} << 17, std::max<int64_t>(1, pass.columns * band * kWidth * (taps + 8)));
  std::vector<int64_t> offsets(taps);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t i = tap / pass.taps_w.count(), j = tap % pass.taps_w.count();
    offsets[tap] = (pass.taps_h.shifts[i] - pass.taps_h.first()) * image_row +
                   (pass.taps_w.shifts[j] - pass.taps_w.first()) * kWidth;
  }
  ctx.parallel_ranges(units, share, [&](int64_t begin, int64_t end) {
    const int64_t window_size = pass.window(0, band).rows * image_row + kPackSlack;
    T* window = ctx.thread_scratch<T>(window_size + (pass.columns + kPixels) * kWidth);
    T* line = window + window_size;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t block = unit / bands % blocks, n = unit / bands / blocks;
      const int64_t first_row = unit % bands * band, rows = std::min(band, pass.rows - first_row);
      const int64_t channels = std::min<int64_t>(kWidth, pass.groups - block * kWidth);
      to_channels_last(pass.image, n, block * kWidth, channels, pass.window(first_row, rows), window, kWidth);
      const T* factors = packed + block * taps * kWidth;
      const Vec<T> start = load(bias + block * kWidth);
      for (int64_t row = 0; row < rows; ++row) {
        const T* origin = window + row * pass.step_h * image_row;
        const int64_t step = pass.step_w * kWidth;
        int64_t column = 0;
        for (; column + kPixels <= pass.columns; column += kPixels) {
          Vec<T> sums[kPixels];
          unroll<kPixels>([&](auto p) __attribute__((always_inline)) { sums[p] = start; });
          for (int64_t tap = 0; tap < taps; ++tap) {
            const Vec<T> factor = load(factors + tap * kWidth);
            const T* from = origin + offsets[tap] + column * step;
            unroll<kPixels>([&](auto p) __attribute__((always_inline)) { sums[p] += factor * load(from + p * step); });
          }
          unroll<kPixels>([&](auto p) __attribute__((always_inline)) { store(line + (column + p) * kWidth, sums[p]); });
        }
        for (; column < pass.columns; ++column) {
          Vec<T> sum = start;
          for (int64_t tap = 0; tap < taps; ++tap) {
            sum += load(factors + tap * kWidth) * load(origin + offsets[tap] + column * step);
          }
          store(line + column * kWidth, sum);
        }
        store_tile(line, kWidth, pass.columns, channels, pass.target(n, block * kWidth, first_row + row, 0),
                   pass.out_step_w * pass.out.pixel_stride, pass.out.channel_stride);
      }
    }
  });
}

template <class E>
void run_any(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  if (pass.image.count * pass.rows * pass.columns * pass.channels * pass.groups == 0) return;
  if (pass.in == 1 && pass.channels == 1 && pass.groups > 1) return run_depthwise(ctx, pass, weights);
  // Lanes in use, of a row of pixels against those of a pixel's channels.
  const auto share = [](int64_t count) {
    return static_cast<double>(count) / static_cast<double>(ceil_div(count, kLanes<Compute<E>>) * kLanes<Compute<E>>);
  };
  if (pass.step_w == 1 && pass.channels <= max_rows(1) && pass.taps() > 0 &&
      share(pass.columns) > share(pass.channels)) {
    return run_planar(ctx, pass, weights);
  }
  run_pass(ctx, pass, weights);
}

// A 1 × 1 kernel without stride and padding is a product per image, or one for all of them when channels are last.
template <class E>
bool run_product(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  if (pass.taps() != 1 || pass.groups != 1 || pass.step_h != 1 || pass.step_w != 1 || pass.out_step_h != 1 ||
      pass.out_step_w != 1 || pass.taps_h.first() != 0 || pass.taps_w.first() != 0 || pass.rows != pass.image.height ||
      pass.columns != pass.image.width) {
    return false;
  }
  for (const Images<E>* side : {&pass.image, &pass.out}) {
    if (side->row_stride != side->width * side->pixel_stride && side->height != 1) return false;
  }
  const int64_t pixels = pass.rows * pass.columns;
  Gemm<E> g;
  g.k = pass.in;
  g.bias = pass.bias;
  GemmBatch batch;
  batch.rank = 1;
  batch.shape[0] = pass.image.count;
  batch.c[0] = pass.out.image_stride;
  if (pass.image.channel_stride == 1 && pass.out.channel_stride == 1) {
    g.m = pixels;
    g.n = pass.channels;
    g.a = pass.image.data;
    g.a_row = pass.image.pixel_stride;
    g.a_column = 1;
    g.b = weights.data;
    g.b_row = weights.in_stride;
    g.b_column = weights.out_stride;
    g.c_row = pass.out.pixel_stride;
    g.c_column = 1;
    g.bias_column = pass.bias_stride;
    batch.a[0] = pass.image.image_stride;
    if (batch.a[0] == pixels * g.a_row && batch.c[0] == pixels * g.c_row) {
      g.m *= batch.shape[0];
      batch.rank = 0;
    }
  } else {
    g.m = pass.channels;
    g.n = pixels;
    g.a = weights.data;
    g.a_row = weights.out_stride;
    g.a_column = weights.in_stride;
    g.b = pass.image.data;
    g.b_row = pass.image.channel_stride;
    g.b_column = pass.image.pixel_stride;
    g.c_row = pass.out.channel_stride;
    g.c_column = pass.out.pixel_stride;
    g.bias_row = pass.bias_stride;
    batch.b[0] = pass.image.image_stride;
  }
  g.c = pass.out.data;
  gemm_batch(ctx, g, batch);
  return true;
}

// The gradient of the weights: gw[o, c, kh, kw] = Σ_n Σ_p g[n, o, p] · x[n, c, p · stride + tap]. Sums are kept in T as
// [slice][group][tap, c][o]; a slice adds up a fixed share of the images, and slices are added in order. Writes =.
template <class E>
class WeightGradient {
 public:
  using T = Compute<E>;
  static constexpr int kWidth = kLanes<T>;

  WeightGradient(const Command& cmd)
      : geometry_(cmd), g_(cmd.input(0)), x_(cmd.input(1)), gw_(cmd.output(0)), out_(gw_.as<E>()) {
    groups_ = geometry_.groups;
    in_ = gw_.shape[1];
    channels_ = gw_.shape[0] / std::max<int64_t>(1, groups_);
    kernel_h_ = gw_.shape[2];
    kernel_w_ = gw_.shape[3];
  }

  void run(KernelContext& ctx) {
    if (gw_.numel() == 0) return;
    if (g_.count * g_.height * g_.width == 0) return fill_zero();
    if (in_ == 1 && channels_ == 1 && groups_ > 1) return run_depthwise(ctx);
    if (run_product(ctx)) return;
    vectors_ = ceil_div(channels_, kWidth);
    const int widest = panel_width(vectors_);
    panels_ = ceil_div(vectors_, widest);
    taps_h_ = forward_taps(kernel_h_, geometry_.dilation_h, geometry_.pad_h);
    taps_w_ = forward_taps(kernel_w_, geometry_.dilation_w, geometry_.pad_w);
    const int64_t window_columns = (g_.width - 1) * geometry_.stride_w + taps_w_.reach() + 1;

    // Bands of rows whose windows of x and g fit the budget.
    const int64_t row_bytes =
        (geometry_.stride_h * window_columns * in_ + g_.width * widest * kWidth) * static_cast<int64_t>(sizeof(T));
    const int64_t band =
        std::clamp<int64_t>(kWindowBytes / row_bytes - taps_h_.reach() / geometry_.stride_h, 1, g_.height);
    const int64_t bands = ceil_div(g_.height, band);
    const int64_t window_rows = (band - 1) * geometry_.stride_h + taps_h_.reach() + 1;
    const int64_t x_size = window_rows * window_columns * in_ + kPackSlack;
    const int64_t g_size = band * g_.width * widest * kWidth + kPackSlack;
    const int64_t units = g_.count * bands;
    const int64_t depth = kernel_h_ * kernel_w_ * in_;  // rows of a group's sums
    const int64_t columns = vectors_ * kWidth;
    const int64_t work = units * band * g_.width * depth * channels_ * groups_;
    // Tasks are (slice, group, panel). More slices than the other two need cost memory and a longer last sum.
    const int64_t slices =
        std::clamp<int64_t>(std::min(ceil_div(kTasks, groups_ * panels_), work / kTaskWork), 1, units);
    T* sums = ctx.scratch<T>(slices * groups_ * depth * columns);
    // As many units at once as the budget holds: the sums come from memory once for all of them.
    const int64_t together = std::max<int64_t>(1, kWindowBytes / int64_t{sizeof(T)} / (x_size + g_size));

    ctx.parallel(slices * groups_ * panels_, [&](int64_t task) {
      const int64_t slice = task / (groups_ * panels_), group = task / panels_ % groups_, panel = task % panels_;
      const int64_t first = units * slice / slices, last = units * (slice + 1) / slices;
      const int64_t begin = vectors_ * panel / panels_ * kWidth,
                    width = vectors_ * (panel + 1) / panels_ * kWidth - begin;
      const int64_t channels = std::min(width, channels_ - begin);
      const int vectors = static_cast<int>(width / kWidth);
      T* xs = ctx.thread_scratch<T>(together * (x_size + g_size));
      T* gs = xs + together * x_size;
      std::vector<int64_t> x_offsets, g_offsets;
      const int64_t x_row = window_columns * in_;
      // Rows of a tile run over channels and, where the next tap's channels follow, over a row of taps.
      const bool joins = taps_w_.adjacent();
      const int64_t run = joins ? kernel_w_ * in_ : in_;
      const int64_t runs = depth / run;
      const int64_t pieces = ceil_div(run, max_rows(vectors));
      Tile<T> tile;
      tile.k = g_.width;
      tile.a_row = 1;
      tile.a_step = geometry_.stride_w * in_;
      tile.b = gs;
      tile.b_step = width;
      tile.c_row = columns;
      tile.columns = static_cast<int>(width);
      for (int64_t start = first; start < last; start += together) {
        x_offsets.clear();
        g_offsets.clear();
        for (int64_t i = 0; i < together && start + i < last; ++i) {
          const int64_t n = (start + i) / bands, row = (start + i) % bands * band,
                        rows = std::min(band, g_.height - row);
          const Window window{row * geometry_.stride_h + taps_h_.first(), taps_w_.first(),
                              (rows - 1) * geometry_.stride_h + taps_h_.reach() + 1, window_columns};
          to_channels_last(x_, n, group * in_, in_, window, xs + i * x_size, in_);
          to_channels_last(g_, n, group * channels_ + begin, channels, {row, 0, rows, g_.width}, gs + i * g_size,
                           width);
          for (int64_t r = 0; r < rows; ++r) {
            x_offsets.push_back(i * x_size + r * geometry_.stride_h * x_row);
            g_offsets.push_back(i * g_size + r * g_.width * width);
          }
        }
        tile.segments = static_cast<int64_t>(x_offsets.size());
        tile.a_offsets = x_offsets.data();
        tile.b_offsets = g_offsets.data();
        tile.start = start == first ? Start::kZero : Start::kAccumulate;
        for (int64_t r = 0; r < runs; ++r) {
          const int64_t i = joins ? r : r / kernel_w_, j = joins ? 0 : r % kernel_w_;
          const T* origin = xs + i * geometry_.dilation_h * x_row + j * geometry_.dilation_w * in_;
          T* to = sums + ((slice * groups_ + group) * depth + r * run) * columns + begin;
          for (int64_t piece = 0; piece < pieces; ++piece) {
            const int64_t row = run * piece / pieces, rows = run * (piece + 1) / pieces - row;
            tile.a = origin + row;
            tile.c = to + row * columns;
            tile_kernel<T>(static_cast<int>(rows), vectors, true)(tile);
          }
        }
      }
    });
    write_out(ctx, sums, slices, depth, columns);
  }

 private:
  // A 1 × 1 kernel over images whose channels are last and whose pixels continue each other: gw = gᵀ · x.
  bool run_product(KernelContext& ctx) const {
    const bool whole = kernel_h_ * kernel_w_ == 1 && groups_ == 1 && geometry_.stride_h == 1 &&
                       geometry_.stride_w == 1 && geometry_.pad_h == 0 && geometry_.pad_w == 0 &&
                       g_.height == x_.height && g_.width == x_.width;
    if (!whole) return false;
    for (const Images<E>* side : {&g_, &x_}) {
      if (side->channel_stride != 1 || side->row_stride != side->width * side->pixel_stride ||
          (side->count > 1 && side->image_stride != side->height * side->row_stride)) {
        return false;
      }
    }
    Gemm<E> product;
    product.m = channels_;
    product.n = in_;
    product.k = g_.count * g_.height * g_.width;
    product.a = g_.data;
    product.a_row = 1;
    product.a_column = g_.pixel_stride;
    product.b = x_.data;
    product.b_row = x_.pixel_stride;
    product.b_column = 1;
    product.c = out_;
    product.c_row = gw_.strides[0];
    product.c_column = gw_.strides[1];
    gemm(ctx, product);
    return true;
  }

  // One channel in, one out per group: lanes are channels, one sum per tap.
  void run_depthwise(KernelContext& ctx) const {
    const int64_t taps = kernel_h_ * kernel_w_, blocks = ceil_div(groups_, kWidth);
    const int64_t reach_h = (kernel_h_ - 1) * geometry_.dilation_h, reach_w = (kernel_w_ - 1) * geometry_.dilation_w;
    const int64_t window_columns = (g_.width - 1) * geometry_.stride_w + reach_w + 1;
    const int64_t row_size = geometry_.stride_h * window_columns + g_.width;
    const int64_t band = std::clamp<int64_t>(
        kWindowBytes / (row_size * kWidth * int64_t{sizeof(T)}) - reach_h / geometry_.stride_h, 1, g_.height);
    const int64_t bands = ceil_div(g_.height, band);
    const int64_t units = g_.count * bands;
    const int64_t x_size = ((band - 1) * geometry_.stride_h + reach_h + 1) * window_columns * kWidth + kPackSlack;
    const int64_t g_size = band * g_.width * kWidth + kPackSlack;
    const int64_t work = units * band * g_.width * kWidth * (taps + 8);
    const int64_t slices = std::clamp<int64_t>(std::min(ceil_div(kTasks, blocks), blocks * work >> 18), 1, units);
    T* sums = ctx.scratch<T>(blocks * slices * taps * kWidth);
    ctx.parallel(blocks * slices, [&](int64_t task) {
      const int64_t block = task / slices, slice = task % slices;
      const int64_t channels = std::min<int64_t>(kWidth, groups_ - block * kWidth);
      T* xs = ctx.thread_scratch<T>(x_size + g_size);
      T* gs = xs + x_size;
      T* to = sums + task * taps * kWidth;
      std::fill_n(to, taps * kWidth, T(0));
      for (int64_t unit = units * slice / slices; unit < units * (slice + 1) / slices; ++unit) {
        const int64_t n = unit / bands, row = unit % bands * band, rows = std::min(band, g_.height - row);
        to_channels_last(x_, n, block * kWidth, channels,
                         {row * geometry_.stride_h - geometry_.pad_h, -geometry_.pad_w,
                          (rows - 1) * geometry_.stride_h + reach_h + 1, window_columns},
                         xs, kWidth);
        to_channels_last(g_, n, block * kWidth, channels, {row, 0, rows, g_.width}, gs, kWidth);
        for (int64_t tap = 0; tap < taps; ++tap) {
          const T* origin =
              xs + (tap / kernel_w_ * geometry_.dilation_h * window_columns + tap % kernel_w_ * geometry_.dilation_w) *
                       kWidth;
          constexpr int kSums = 8;
          Vec<T> partial[kSums] = {};
          for (int64_t r = 0; r < rows; ++r) {
            const T* x = origin + r * geometry_.stride_h * window_columns * kWidth;
            const T* g = gs + r * g_.width * kWidth;
            const int64_t step = geometry_.stride_w * kWidth;
            int64_t column = 0;
            for (; column + kSums <= g_.width; column += kSums) {
              unroll<kSums>([&](auto i) __attribute__((always_inline)) {
                partial[i] += load(g + (column + i) * kWidth) * load(x + (column + i) * step);
              });
            }
            for (; column < g_.width; ++column) partial[0] += load(g + column * kWidth) * load(x + column * step);
          }
          Vec<T> sum = load(to + tap * kWidth);
          unroll<kSums>([&](auto i) __attribute__((always_inline)) { sum += partial[i]; });
          store(to + tap * kWidth, sum);
        }
      }
    });
    for (int64_t c = 0; c < groups_; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const T* from = sums + (c / kWidth * slices * taps + tap) * kWidth + c % kWidth;
        T sum = *from;
        for (int64_t slice = 1; slice < slices; ++slice) sum += from[slice * taps * kWidth];
        *at(c, tap) = static_cast<E>(sum);
      }
    }
  }

  void fill_zero() const {
    for (int64_t o = 0; o < gw_.shape[0]; ++o) {
      for (int64_t row = 0; row < in_ * kernel_h_ * kernel_w_; ++row) *at(o, row) = static_cast<E>(T(0));
    }
  }
  // Element `row` of output channel o, counted in the order c, kh, kw.
  E* at(int64_t o, int64_t row) const {
    const int64_t taps = kernel_h_ * kernel_w_;
    return out_ + o * gw_.strides[0] + row / taps * gw_.strides[1] + row / kernel_w_ % kernel_h_ * gw_.strides[2] +
           row % kernel_w_ * gw_.strides[3];
  }

  // gw = the slices' sums, turned from [tap, c][o] to [o][c, tap] in squares.
  void write_out(KernelContext& ctx, const T* sums, int64_t slices, int64_t depth, int64_t columns) const {
    const int64_t taps = kernel_h_ * kernel_w_, squares = ceil_div(depth, kWidth);
    const bool adjacent = gw_.strides[3] == 1 && gw_.strides[2] == kernel_w_ && gw_.strides[1] == taps;
    // 2^15 sums to a task, some 20 µs.
    const int64_t grain = std::max<int64_t>(1, (1 << 15) / (slices * kWidth * kWidth));
    ctx.parallel_ranges(groups_ * vectors_ * squares, grain, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const int64_t group = index / (vectors_ * squares), column = index / squares % vectors_ * kWidth;
        const int64_t row = index % squares * kWidth;
        const int rows = static_cast<int>(std::min<int64_t>(kWidth, depth - row));
        const int64_t channels = std::min<int64_t>(kWidth, channels_ - column);
        Vec<T> square[kWidth];
        for (int i = 0; i < kWidth; ++i) {
          square[i] = Vec<T>{};
          if (i >= rows) continue;
          const int64_t c = (row + i) / taps, tap = (row + i) % taps;
          const T* from = sums + (group * depth + tap * in_ + c) * columns + column;
          square[i] = load(from);
          for (int64_t slice = 1; slice < slices; ++slice) square[i] += load(from + slice * groups_ * depth * columns);
        }
        transpose<T>(square);
        for (int64_t lane = 0; lane < channels; ++lane) {
          const int64_t o = group * channels_ + column + lane;
          if (adjacent) {
            store_columns(at(o, row), square[lane], rows);
          } else {
            for (int i = 0; i < rows; ++i) *at(o, row + i) = static_cast<E>(square[lane][i]);
          }
        }
      }
    });
  }

  Geometry geometry_;
  Images<E> g_;
  Images<E> x_;
  const TensorView& gw_;
  E* out_;
  int64_t groups_, in_, channels_, kernel_h_, kernel_w_;
  int64_t vectors_ = 0, panels_ = 0;
  Taps taps_h_, taps_w_;
};

}  // namespace

HADAL_CPU_KERNEL(conv2d) {
  visit_floating("conv2d", cmd.output(0).dtype, [&]<class E>() {
    const Geometry geometry(cmd);
    const TensorView &weight = cmd.input(1), &bias = cmd.input(2);
    Pass<E> pass{.image = Images<E>(cmd.input(0)), .out = Images<E>(cmd.output(0)), .taps_h = {}, .taps_w = {}};
    pass.groups = geometry.groups;
    pass.in = weight.shape[1];
    pass.channels = weight.shape[0] / geometry.groups;
    pass.taps_h = forward_taps(weight.shape[2], geometry.dilation_h, geometry.pad_h);
    pass.taps_w = forward_taps(weight.shape[3], geometry.dilation_w, geometry.pad_w);
    pass.step_h = geometry.stride_h;
    pass.step_w = geometry.stride_w;
    pass.rows = pass.out.height;
    pass.columns = pass.out.width;
    if (bias.present()) {
      pass.bias = bias.as<E>();
      pass.bias_stride = bias.strides[0];
    }
    const Weights<E> weights{weight.as<E>(),    pass.channels * weight.strides[0],
                             weight.strides[0], weight.strides[1],
                             weight.strides[2], weight.strides[3]};
    if (!run_product(ctx, pass, weights)) run_any(ctx, pass, weights);
  });
}

// One pass per remainder of the stride: the input's rows phase, phase + stride, … meet the same rows of the kernel.
HADAL_CPU_KERNEL(conv2dInputGrad) {
  visit_floating("conv2dInputGrad", cmd.output(0).dtype, [&]<class E>() {
    const Geometry geometry(cmd);
    const TensorView& weight = cmd.input(1);
    const int64_t out_channels = weight.shape[0] / geometry.groups;
    const Images<E> gx(cmd.output(0));
    const Weights<E> weights{weight.as<E>(),    out_channels * weight.strides[0],
                             weight.strides[1], weight.strides[0],
                             weight.strides[2], weight.strides[3]};
    for (int64_t phase_h = 0; phase_h < std::min(geometry.stride_h, gx.height); ++phase_h) {
      for (int64_t phase_w = 0; phase_w < std::min(geometry.stride_w, gx.width); ++phase_w) {
        Pass<E> pass{.image = Images<E>(cmd.input(0)), .out = gx, .taps_h = {}, .taps_w = {}};
        pass.groups = geometry.groups;
        pass.in = out_channels;
        pass.channels = weight.shape[1];
        pass.taps_h = backward_taps(weight.shape[2], geometry.dilation_h, geometry.pad_h, geometry.stride_h, phase_h);
        pass.taps_w = backward_taps(weight.shape[3], geometry.dilation_w, geometry.pad_w, geometry.stride_w, phase_w);
        pass.rows = ceil_div(gx.height - phase_h, geometry.stride_h);
        pass.columns = ceil_div(gx.width - phase_w, geometry.stride_w);
        pass.out_row = phase_h;
        pass.out_column = phase_w;
        pass.out_step_h = geometry.stride_h;
        pass.out_step_w = geometry.stride_w;
        if (!run_product(ctx, pass, weights)) run_any(ctx, pass, weights);
      }
    }
  });
}

HADAL_CPU_KERNEL(conv2dWeightGrad) {
  visit_floating("conv2dWeightGrad", cmd.output(0).dtype, [&]<class E>() { WeightGradient<E>(cmd).run(ctx); });
}

}  // namespace hadal::cpu
