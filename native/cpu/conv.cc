// Convolution of images and volumes and its two gradients. Owns the reduction of each to passes over channels-last windows and the cut
// into tasks; layouts are conv_layout.h, the inner loop is gemm_tile.h, 1 × 1 kernels are plain products (gemm.h), and most 3 × 3 and 5 × 5
// kernels of float are run by conv_winograd.h.
//
// A pass computes out[p, o] = bias[o] + Σ_tap Σ_c image[p · step + tap, c] · weight[tap][c, o] for a grid of pixels p. Rows of a
// tile are neighbouring pixels, its columns output channels; for each tap the tile reads the padded image where it lies, so
// nothing is unfolded. Taps that neighbour along a row are one segment, since their channels are adjacent. The forward
// convolution is one pass; the gradient of the input is one pass per remainder of the stride, over the output's gradient
// with the weights turned. The gradient of the weights sums over pixels instead: rows are (tap, channel), columns output
// channels, both read as they lie. A volume is its slices: a pass over it has taps in depth too, which read windows of
// several slices; the gradient of its weights is taken for one tap in depth after the other. An image has one slice.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "cpu/conv_one_tap.h"
#include "cpu/conv_pairs.h"
#include "cpu/conv_pass.h"
#include "cpu/conv_patches.h"
#include "cpu/conv_unfolded.h"
#include "cpu/conv_winograd.h"
#include "cpu/gemm.h"
#include "cpu/pair_tiles.h"

namespace hadal::cpu {
namespace {

template <class E>
void run_pass(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  using T = Compute<E>;
  constexpr bool kConverts = !std::is_same_v<E, T>;
  const PackedWeights<T> packed = pack_weights(ctx, pass, weights);
  const T* bias = gather_bias(ctx, pass, packed.vectors * kLanes<T>);

  // Units hold as many rows as the window budget allows, fewer where that leaves too few tasks; small units share a task.
  const Window whole = pass.window(0, 0, pass.rows, pass.columns);
  const bool inside = whole.row >= 0 && whole.column >= 0 && whole.row + whole.rows <= pass.image.height &&
                      whole.column + whole.columns <= pass.image.width && pass.taps_d.first() >= 0 &&
                      (pass.slices - 1) * pass.step_d + pass.taps_d.first() + pass.taps_d.reach() < pass.image.slices;
  const bool in_place = !kConverts && (pass.image.channel_stride == 1 || pass.in == 1) && inside;
  // A distance between pixels of a multiple of 4 KiB would put a tile's rows into the same set of the L1 cache.
  const bool aliases = pass.in * pass.step_w * int64_t{sizeof(T)} % 4096 == 0;
  const int64_t pixel = in_place ? pass.image.pixel_stride : pass.in + (aliases ? 16 : 0);
  const int64_t images = pass.planes() * pass.groups;
  const int64_t wanted = std::min(ceil_div(kTasks, images), std::max<int64_t>(1, pass.work() / images / kTaskWork));
  const Cut cut(pass, pass.groups, pass.in * int64_t{sizeof(T)}, wanted);
  const int64_t units = cut.units;
  const Window unit_window = pass.window(0, 0, cut.band, cut.piece);
  const int64_t slice_size = unit_window.rows * unit_window.columns * pixel;
  const int64_t window_size = in_place ? 0 : pass.taps_d.count() * slice_size + kPackSlack;
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
  const int64_t segments_h = pass.taps_h.count();
  const int64_t segments = pass.taps_d.count() * segments_h * segments_w;
  const int64_t depth = pass.taps() * pass.in / segments;
  const int64_t image_row = in_place ? pass.image.row_stride : unit_window.columns * pixel;
  std::vector<int64_t> offsets(segments);
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t d = s / (segments_h * segments_w), i = s / segments_w % segments_h, j = s % segments_w;
    const int64_t slice =
        in_place ? (pass.taps_d.shifts[d] - pass.taps_d.first()) * pass.image.slice_stride : d * slice_size;
    offsets[s] = slice + (pass.taps_h.shifts[i] - pass.taps_h.first()) * image_row +
                 (pass.taps_w.shifts[j] - pass.taps_w.first()) * pixel;
  }
  const bool writes_out = !kConverts && pass.out.channel_stride == 1;

  ctx.parallel(ceil_div(units, share), [&](int64_t task) {
    const int64_t first = task * share, last = std::min(units, first + share);
    T* windows = in_place ? nullptr : ctx.thread_scratch<T>(window_size * (last - first));
    for (int64_t index = first; !in_place && index < last; ++index) {
      const Unit unit = cut.at(index);
      for (int64_t d = 0; d < pass.taps_d.count(); ++d) {
        to_channels_last(pass.image, unit.image, unit.group * pass.in, pass.in, window_of(pass, unit, cut.piece, d),
                         windows + (index - first) * window_size + d * slice_size, pixel);
      }
    }
    alignas(64) T small[kMaxRows * kMaxVectors * kLanes<T>];
    for (int64_t panel = 0; panel < packed.panels; ++panel) {
      const int64_t begin = packed.begin(panel), width = packed.begin(panel + 1) - begin;
      const int64_t channels = std::min(width, pass.channels - begin);
      const int vectors = static_cast<int>(width / kLanes<T>);
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
        const Unit unit = cut.at(index);
        tile.b = packed.data + unit.group * packed.group_size + pass.taps() * pass.in * begin;
        if (bias != nullptr) {
          tile.start = Start::kColumnBias;
          tile.bias = bias + unit.group * packed.vectors * kLanes<T> + begin;
        }
        const T* origin = windows + (index - first) * window_size;
        if constexpr (!kConverts) {
          if (in_place) {
            const Window window = window_of(pass, unit, cut.piece, 0);
            origin = pass.image.at(unit.image, unit.group * pass.in, window.slice) + window.row * image_row +
                     window.column * pixel;
          }
        }
        const int64_t pieces = ceil_div(unit.columns, max_rows(vectors));
        for (int64_t row = 0; row < unit.rows; ++row) {
          for (int64_t piece = 0; piece < pieces; ++piece) {
            const int64_t column = unit.columns * piece / pieces, pixels = unit.columns * (piece + 1) / pieces - column;
            tile.a = origin + row * pass.step_h * image_row + column * tile.a_row;
            E* to = pass.target(unit.image, unit.slice, unit.group * pass.channels + begin, unit.row + row,
                                unit.column + column);
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
  const int64_t rows = pass.channels, taps_d = pass.taps_d.count(), taps_h = pass.taps_h.count(),
                taps_w = pass.taps_w.count();
  const int64_t segments = along_taps ? pass.in * taps_d * taps_h : pass.taps();
  const int64_t depth = along_taps ? taps_w : pass.in;
  T* packed = ctx.scratch<T>(pass.groups * segments * depth * rows + kPackSlack);
  const Cut cut(pass, pass.groups, pass.in * int64_t{sizeof(T)}, 1);
  const Window unit_window = pass.window(0, 0, cut.band, cut.piece);
  const int64_t plane = unit_window.rows * unit_window.columns + kWidth;

  std::vector<int64_t> a_offsets(segments), b_offsets(segments);
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t c = along_taps ? s / (taps_d * taps_h) : 0;
    const int64_t row_of_taps = along_taps ? s % (taps_d * taps_h) : s / taps_w;
    const int64_t d = row_of_taps / taps_h, i = row_of_taps % taps_h, j = along_taps ? 0 : s % taps_w;
    a_offsets[s] = s * depth * rows;
    b_offsets[s] = (d * pass.in + c) * plane + (pass.taps_h.shifts[i] - pass.taps_h.first()) * unit_window.columns +
                   (pass.taps_w.shifts[j] - pass.taps_w.first());
    for (int64_t group = 0; group < pass.groups; ++group) {
      for (int64_t p = 0; p < depth; ++p) {
        const E* from = weights.data + group * weights.group_stride +
                        pass.tap_offset(weights.axes, d, i, along_taps ? p : j) +
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

  // Up to three vectors of pixels at once; one channel keeps enough sums in flight by splitting them.
  const int64_t most = rows <= max_rows(kMaxVectors) ? kMaxVectors : 1;
  const bool writes_out = !kConverts && pass.out.pixel_stride == 1 && pass.out_step_w == 1;
  ctx.parallel_ranges(cut.units, ceil_div(kTaskWork / 2, std::max<int64_t>(1, pass.work() / cut.units)),
                      [&](int64_t begin, int64_t end) {
                        T* window = ctx.thread_scratch<T>(taps_d * pass.in * plane + kPackSlack);
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
                        for (int64_t index = begin; index < end; ++index) {
                          const Unit unit = cut.at(index);
                          for (int64_t d = 0; d < taps_d; ++d) {
                            to_planes(pass.image, unit.image, unit.group * pass.in, pass.in,
                                      window_of(pass, unit, cut.piece, d), window + d * pass.in * plane, plane);
                          }
                          tile.a = packed + unit.group * segments * depth * rows;
                          tile.bias = bias + unit.group * rows;
                          const int64_t columns = ceil_div(unit.columns, kWidth), pieces = ceil_div(columns, most);
                          for (int64_t row = 0; row < unit.rows; ++row) {
                            for (int64_t piece = 0; piece < pieces; ++piece) {
                              const int64_t first = columns * piece / pieces * kWidth,
                                            width = columns * (piece + 1) / pieces * kWidth - first;
                              tile.columns = static_cast<int>(std::min(width, unit.columns - first));
                              tile.b = window + row * pass.step_h * unit_window.columns + first;
                              E* to = pass.target(unit.image, unit.slice, unit.group * rows, unit.row + row,
                                                  unit.column + first);
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
  const auto tap_at = [&](int64_t tap) {
    const int64_t taps_h = pass.taps_h.count(), taps_w = pass.taps_w.count();
    return std::array{tap / (taps_h * taps_w), tap / taps_w % taps_h, tap % taps_w};
  };
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t lane = 0; lane < kWidth; ++lane) {
      const int64_t c = block * kWidth + lane;
      const bool valid = c < pass.groups;
      bias[c] = valid && pass.bias != nullptr ? static_cast<T>(pass.bias[c * pass.bias_stride]) : T(0);
      for (int64_t tap = 0; tap < taps; ++tap) {
        const auto [d, i, j] = tap_at(tap);
        packed[(block * taps + tap) * kWidth + lane] =
            valid ? static_cast<T>(weights.data[c * weights.group_stride + pass.tap_offset(weights.axes, d, i, j)])
                  : T(0);
      }
    }
  }
  const Cut cut(pass, blocks, kWidth * int64_t{sizeof(T)}, 1);
  const Window unit_window = pass.window(0, 0, cut.band, cut.piece);
  const int64_t image_row = unit_window.columns * kWidth;
  const int64_t slice_size = unit_window.rows * image_row;
  // Some 2^17 multiply-adds and as many elements moved: 20 to 50 µs.
  const int64_t share = ceil_div(int64_t{1} << 17, std::max<int64_t>(1, cut.piece * cut.band * kWidth * (taps + 8)));
  std::vector<int64_t> offsets(taps);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const auto [d, i, j] = tap_at(tap);
    offsets[tap] = d * slice_size + (pass.taps_h.shifts[i] - pass.taps_h.first()) * image_row +
                   (pass.taps_w.shifts[j] - pass.taps_w.first()) * kWidth;
  }
  ctx.parallel_ranges(cut.units, share, [&](int64_t begin, int64_t end) {
    const int64_t window_size = pass.taps_d.count() * slice_size + kPackSlack;
    T* window = ctx.thread_scratch<T>(window_size + (cut.piece + kPixels) * kWidth);
    T* line = window + window_size;
    for (int64_t index = begin; index < end; ++index) {
      const Unit unit = cut.at(index);
      const int64_t block = unit.group;
      const int64_t channels = std::min<int64_t>(kWidth, pass.groups - block * kWidth);
      for (int64_t d = 0; d < pass.taps_d.count(); ++d) {
        to_channels_last(pass.image, unit.image, block * kWidth, channels, window_of(pass, unit, cut.piece, d),
                         window + d * slice_size, kWidth);
      }
      const T* factors = packed + block * taps * kWidth;
      const Vec<T> start = load(bias + block * kWidth);
      for (int64_t row = 0; row < unit.rows; ++row) {
        const T* origin = window + row * pass.step_h * image_row;
        const int64_t step = pass.step_w * kWidth;
        int64_t column = 0;
        for (; column + kPixels <= unit.columns; column += kPixels) {
          Vec<T> sums[kPixels];
          unroll<kPixels>([&](auto p) __attribute__((always_inline)) {
            sums[p] = start;
#if defined(__aarch64__)
            asm("" : "+w"(sums[p]));  // a copy of its own: GCC 12 keeps sums that begin as one value in memory
#endif
          });
          for (int64_t tap = 0; tap < taps; ++tap) {
            const Vec<T> factor = load(factors + tap * kWidth);
            const T* from = origin + offsets[tap] + column * step;
            unroll<kPixels>([&](auto p) __attribute__((always_inline)) { sums[p] += factor * load(from + p * step); });
          }
          unroll<kPixels>([&](auto p) __attribute__((always_inline)) { store(line + (column + p) * kWidth, sums[p]); });
        }
        for (; column < unit.columns; ++column) {
          Vec<T> sum = start;
          for (int64_t tap = 0; tap < taps; ++tap) {
            sum += load(factors + tap * kWidth) * load(origin + offsets[tap] + column * step);
          }
          store(line + column * kWidth, sum);
        }
        store_tile(line, kWidth, unit.columns, channels,
                   pass.target(unit.image, unit.slice, block * kWidth, unit.row + row, unit.column),
                   pass.out_step_w * pass.out.pixel_stride, pass.out.channel_stride);
      }
    }
  });
}

// A quarter of the multiply-adds, in float: more than pairs of bfloat16 save, but for AMX. Of 5 × 5 taps a third, as good as pairs.
template <class E>
bool prefers_winograd(const Pass<E>& pass) {
  const bool pairs = std::is_same_v<E, BFloat16> && (has_amx() || (pass.taps_h.count() == 5 && has_pair_tiles()));
  return suits_winograd(pass) && !pairs;
}

template <class E>
void run_any(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  if (pass.planes() * pass.rows * pass.columns * pass.channels * pass.groups == 0) return;
  if (pass.in == 1 && pass.channels == 1 && pass.groups > 1) return run_depthwise(ctx, pass, weights);
  if constexpr (std::is_same_v<Compute<E>, float>) {
    if (prefers_winograd(pass)) return convolve_winograd(ctx, pass, weights);
  }
  if constexpr (std::is_same_v<E, BFloat16>) {
    if (has_pair_tiles()) return convolve_pairs(ctx, pass, weights);
  }
  // Lanes in use, of a row of pixels against those of a pixel's channels.
  const auto share = [](int64_t count) {
    return static_cast<double>(count) / static_cast<double>(ceil_div(count, kLanes<Compute<E>>) * kLanes<Compute<E>>);
  };
  if (pass.step_w == 1 && pass.channels <= max_rows(1) && share(pass.columns) > share(pass.channels)) {
    return run_planar(ctx, pass, weights);
  }
  run_pass(ctx, pass, weights);
}

// A kernel of one tap without stride and padding is a product per image, or one for all of them when channels are last.
template <class E>
bool run_product(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  constexpr bool kPairs = std::is_same_v<E, BFloat16>;
  if constexpr (kPairs || std::is_same_v<E, Compute<E>>) {
    if ((!kPairs || (has_pair_kernels() && pass.step_w == 1)) && suits_one_tap(pass)) {
      convolve_one_tap(ctx, pass, weights);
      return true;
    }
  }
  if (std::is_same_v<E, BFloat16> && pass.image.channel_stride != 1 && has_amx()) return false;
  if (pass.taps() != 1 || pass.groups != 1 || pass.step_d != 1 || pass.step_h != 1 || pass.step_w != 1 ||
      pass.out_step_d != 1 || pass.out_step_h != 1 || pass.out_step_w != 1 || pass.taps_d.first() != 0 ||
      pass.taps_h.first() != 0 || pass.taps_w.first() != 0 || pass.slices != pass.image.slices ||
      pass.rows != pass.image.height || pass.columns != pass.image.width || !pass.image.joins_pixels() ||
      !pass.out.joins_pixels()) {
    return false;
  }
  const int64_t pixels = pass.slices * pass.rows * pass.columns;
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

template <class E>
void run(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  if (suits_unfolded(pass, weights)) return convolve_unfolded(ctx, pass, weights);
  if (!run_product(ctx, pass, weights)) run_any(ctx, pass, weights);
}

// The gradient of the weights for one tap in depth: gw[o, c, kh, kw] = Σ_n Σ_p g[n, o, p] · x[n, c, p · stride + tap], where n
// counts the pairs of slices of g and x that the tap connects. Sums are kept in T as [share][group][tap, c][o]; a share adds
// up a fixed part of the slices, and shares are added in order. Writes =.
template <class E>
class WeightGradient {
 public:
  using T = Compute<E>;
  static constexpr int kWidth = kLanes<T>;

  WeightGradient(const Command& cmd, int64_t tap)
      : tap_(cmd, tap),
        geometry_(tap_.geometry),
        g_(tap_.g),
        x_(tap_.x),
        axes_(tap_.axes),
        groups_(tap_.groups),
        in_(tap_.in),
        channels_(tap_.channels),
        kernel_h_(axes_.height),
        kernel_w_(axes_.width),
        first_slice_(tap_.first_slice),
        slices_(tap_.slices) {}

  void run(KernelContext& ctx) {
    if (groups_ * channels_ * in_ * axes_.count() == 0) return;
    if (g_.count * slices_ * g_.height * g_.width == 0) return fill_zero();
    if (in_ == 1 && channels_ == 1 && groups_ > 1) return run_depthwise(ctx);
    if (run_product(ctx)) return;
    taps_h_ = forward_taps(kernel_h_, geometry_.dilation_h, geometry_.pad_h);
    taps_w_ = forward_taps(kernel_w_, geometry_.dilation_w, geometry_.pad_w);
    vectors_ = ceil_div(channels_, kWidth);
    const int64_t depth = kernel_h_ * kernel_w_ * in_;  // rows of a group's sums
    const int64_t columns = vectors_ * kWidth;
    if constexpr (std::is_same_v<T, float>) {
      const Pass<E> pass = as_pass();
      if (kernel_h_ == 3 && prefers_winograd(pass))
        return write_out(ctx, kernel_sums_winograd(ctx, pass), 1, depth, columns);
    }
    if (run_one_tap(ctx)) return;
    if constexpr (std::is_same_v<E, BFloat16>) {
      if (has_pair_tiles()) return weight_gradient_pairs(ctx, tap_);
    }
    const int widest = panel_width(vectors_);
    panels_ = ceil_div(vectors_, widest);
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
    const int64_t units = g_.count * slices_ * bands;
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
          const int64_t plane = (start + i) / bands, row = (start + i) % bands * band,
                        rows = std::min(band, g_.height - row);
          const int64_t n = plane / slices_, slice = first_slice_ + plane % slices_;
          const Window window{row * geometry_.stride_h + taps_h_.first(), taps_w_.first(),
                              (rows - 1) * geometry_.stride_h + taps_h_.reach() + 1, window_columns,
                              slice * geometry_.stride_d + tap_.shift};
          to_channels_last(x_, n, group * in_, in_, window, xs + i * x_size, in_);
          to_channels_last(g_, n, group * channels_ + begin, channels, {row, 0, rows, g_.width, slice}, gs + i * g_size,
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
  // A kernel of one tap over images whose channels are last and whose pixels continue each other: gw = gᵀ · x.
  bool run_product(KernelContext& ctx) const {
    const bool whole = axes_.count() == 1 && groups_ == 1 && geometry_.stride_d == 1 && geometry_.stride_h == 1 &&
                       geometry_.stride_w == 1 && geometry_.pad_d == 0 && geometry_.pad_h == 0 &&
                       geometry_.pad_w == 0 && g_.slices == x_.slices && g_.height == x_.height && g_.width == x_.width;
    if (!whole) return false;
    for (const Images<E>* side : {&g_, &x_}) {
      if (side->channel_stride != 1 || !side->joins_pixels() ||
          (side->count > 1 && side->image_stride != side->slices * side->height * side->width * side->pixel_stride)) {
        return false;
      }
    }
    Gemm<E> product;
    product.m = channels_;
    product.n = in_;
    product.k = g_.count * g_.slices * g_.height * g_.width;
    product.a = g_.data;
    product.a_row = 1;
    product.a_column = g_.pixel_stride;
    product.b = x_.data;
    product.b_row = x_.pixel_stride;
    product.b_column = 1;
    product.c = tap_.out;
    product.c_row = tap_.out_stride;
    product.c_column = tap_.in_stride;
    gemm(ctx, product);
    return true;
  }

  // A kernel of one tap without padding: rows of a tile are channels of x, read where they lie, columns output channels. Of bfloat16 in pairs of
  // pixels, where those are multiplied and all pixels of g are a line.
  bool run_one_tap(KernelContext& ctx) const {
    constexpr bool kPairs = std::is_same_v<E, BFloat16>;
    if constexpr (!kPairs && !std::is_same_v<E, T>) {
      return false;
    } else {
      if (axes_.height * axes_.width != 1 || geometry_.pad_h != 0 || geometry_.pad_w != 0) return false;
      if (kPairs && (has_amx() || !has_pair_kernels() || !g_.joins_pixels() || x_.slices != 1)) return false;
      // Pixels that the kernel meets, in lines.
      Images<E> x = x_;
      int64_t step_h = geometry_.stride_h, step_w = geometry_.stride_w;
      bool joins = step_h == 1 && step_w == 1 && g_.joins_pixels() && x.joins_pixels();
      if constexpr (kPairs) {
        if (!joins || !holds_pairs(x)) {
          x = in_lines(ctx);
          step_h = step_w = 1;
          joins = true;
        }
      }
      const int64_t height = joins ? 1 : g_.height, width = joins ? g_.height * g_.width : g_.width;
      constexpr int64_t kStep = kPairs ? 2 : 1;  // pixels of an element of a tile
      // Pieces of a line: a panel of so many pixels and a strip of x share the L1 cache.
      constexpr int64_t kDepth = kStep * 1024 / static_cast<int64_t>(sizeof(T));
      const int64_t piece = ceil_div(ceil_div(width, ceil_div(width, kDepth)), kStep) * kStep,
                    pieces = ceil_div(width, piece);
      const int64_t units = g_.count * slices_ * height * pieces;
      const int64_t columns = vectors_ * kWidth, panels = ceil_div(vectors_, panel_width(vectors_));
      const int64_t together = std::max<int64_t>(1, kDepth / piece);
      // Tasks are (share of the units, group, block of panels, block of rows): shares while their sums stay within 6 MiB, panels of 256 KiB.
      const int64_t sums_size = groups_ * in_ * columns;
      const int64_t work = std::max<int64_t>(1, units * piece * sums_size / kTaskWork);
      const int64_t shares = std::clamp<int64_t>((6 << 20) / (sums_size * static_cast<int64_t>(sizeof(T))), 1,
                                                 std::min({kTasks, work, ceil_div(units, together)}));
      const int64_t widths = ceil_div(columns, 256);
      const int64_t heights =
          std::clamp<int64_t>(ceil_div(std::min(kTasks, work), shares * groups_ * widths), 1, ceil_div(in_, 28));
      T* sums = ctx.scratch<T>(shares * sums_size);
      ctx.parallel(shares * groups_ * widths * heights, [&](int64_t task) {
        const int64_t share = task / (groups_ * widths * heights), group = task / (widths * heights) % groups_;
        const int64_t first = units * share / shares, last = units * (share + 1) / shares;
        const int64_t wide = task / heights % widths, high = task % heights;
        const int64_t row_begin = in_ * high / heights, row_end = in_ * (high + 1) / heights;
        const int64_t panel_begin = panels * wide / widths, panel_end = panels * (wide + 1) / widths;
        const int64_t panel_size = together * piece / kStep * panel_width(vectors_) * kWidth + kPackSlack;
        T* packed = ctx.thread_scratch<T>((panel_end - panel_begin) * panel_size);
        std::vector<int64_t> a_offsets, b_offsets;
        [[maybe_unused]] const FlushSubnormals flush;
        Tile<T> tile;
        tile.a_row = x.channel_stride / kStep;
        tile.a_step = kPairs ? 1 : step_w * x.pixel_stride;
        tile.c_row = columns;
        for (int64_t start = first; start < last;) {
          // As many units as fit, all of one length.
          const auto length_at = [&](int64_t unit) { return std::min(piece, width - unit % pieces * piece); };
          const int64_t length = length_at(start);
          int64_t end = start + 1;
          while (end < last && end - start < together && length_at(end) == length) ++end;
          a_offsets.clear();
          for (int64_t unit = start; unit < end; ++unit) {
            const int64_t line = unit / pieces, column = unit % pieces * piece, row = line % height;
            const int64_t n = line / height / slices_, slice = first_slice_ + line / height % slices_;
            a_offsets.push_back((x.at(n, group * in_, slice * geometry_.stride_d + tap_.shift) - x.data +
                                 row * step_h * x.row_stride + column * step_w * x.pixel_stride) /
                                kStep);
            for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
              const int64_t begin = vectors_ * panel / panels * kWidth,
                            lanes = vectors_ * (panel + 1) / panels * kWidth - begin;
              const E* from =
                  g_.at(n, group * channels_ + begin, slice) + row * g_.row_stride + column * g_.pixel_stride;
              const int64_t channels = std::min(lanes, channels_ - begin);
              T* to = packed + (panel - panel_begin) * panel_size + (unit - start) * ceil_div(length, kStep) * lanes;
              if constexpr (kPairs) {
                pack_pairs(from, g_.channel_stride, g_.pixel_stride, channels, lanes, length, to, lanes);
              } else {
                pack(from, g_.channel_stride, g_.pixel_stride, channels, lanes, length, to, lanes);
              }
            }
          }
          tile.k = ceil_div(length, kStep);
          tile.segments = end - start;
          tile.a_offsets = a_offsets.data();
          tile.start = start == first ? Start::kZero : Start::kAccumulate;
          for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
            const int64_t begin = vectors_ * panel / panels, vectors = vectors_ * (panel + 1) / panels - begin;
            b_offsets.clear();
            for (int64_t s = 0; s < tile.segments; ++s) b_offsets.push_back(s * tile.k * vectors * kWidth);
            tile.b = packed + (panel - panel_begin) * panel_size;
            tile.b_offsets = b_offsets.data();
            tile.b_step = tile.columns = static_cast<int>(vectors * kWidth);
            const int64_t strips = ceil_div(row_end - row_begin, max_rows(static_cast<int>(vectors)));
            for (int64_t strip = 0; strip < strips; ++strip) {
              const int64_t row = row_begin + (row_end - row_begin) * strip / strips,
                            rows = row_begin + (row_end - row_begin) * (strip + 1) / strips - row;
              tile.a = reinterpret_cast<const T*>(x.data + row * x.channel_stride);
              tile.c = sums + share * sums_size + (group * in_ + row) * columns + begin * kWidth;
              find_kernel<kPairs>(static_cast<int>(rows), static_cast<int>(vectors))(tile);
            }
          }
          start = end;
        }
      });
      write_out(ctx, sums, shares, in_, columns);
      return true;
    }
  }

  template <bool kPairs>
  static TileKernel<T> find_kernel(int rows, int vectors) {
    if constexpr (kPairs) {
      return pair_kernel(rows, vectors, false);
    } else {
      return tile_kernel<T>(rows, vectors, false);
    }
  }
  // Whether pairs of neighbouring pixels lie where floats may.
  static bool holds_pairs(const Images<E>& x) {
    return x.pixel_stride == 1 && x.height * x.width % 2 == 0 && x.channel_stride % 2 == 0 && x.image_stride % 2 == 0 &&
           reinterpret_cast<uintptr_t>(x.data) % sizeof(float) == 0;
  }
  // The pixels that the kernel meets, a line for each channel: of an even number, with a zero behind them where there are an odd one.
  Images<E> in_lines(KernelContext& ctx) const {
    const int64_t count = g_.height * g_.width, channels = groups_ * in_;
    Images<E> lines = x_;
    lines.height = 1;
    lines.width = lines.row_stride = lines.channel_stride = ceil_div(count, 2) * 2;
    lines.pixel_stride = 1;
    lines.image_stride = channels * lines.channel_stride;
    lines.data = ctx.scratch<E>(x_.count * lines.image_stride);
    ctx.parallel_ranges(x_.count * channels, ceil_div(int64_t{1} << 15, count), [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const E* from = x_.at(index / channels, index % channels);
        E* to = lines.at(index / channels, index % channels);
        to[lines.width - 1] = E(0.0f);
        const int64_t step = geometry_.stride_w * x_.pixel_stride;
        for (int64_t row = 0; row < g_.height; ++row, from += geometry_.stride_h * x_.row_stride, to += g_.width) {
          for (int64_t i = 0; i < g_.width; ++i) to[i] = from[i * step];
        }
      }
    });
    return lines;
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
    const int64_t units = g_.count * slices_ * bands;
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
        const int64_t n = unit / bands / slices_, slice = first_slice_ + unit / bands % slices_;
        const int64_t row = unit % bands * band, rows = std::min(band, g_.height - row);
        to_channels_last(
            x_, n, block * kWidth, channels,
            {row * geometry_.stride_h - geometry_.pad_h, -geometry_.pad_w,
             (rows - 1) * geometry_.stride_h + reach_h + 1, window_columns, slice * geometry_.stride_d + tap_.shift},
            xs, kWidth);
        to_channels_last(g_, n, block * kWidth, channels, {row, 0, rows, g_.width, slice}, gs, kWidth);
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

  // The pass whose weights these are; `out` is g.
  Pass<E> as_pass() const {
    Pass<E> pass{.image = x_, .out = g_, .taps_d = {}, .taps_h = taps_h_, .taps_w = taps_w_};
    pass.taps_d = {{first_slice_ * geometry_.stride_d + tap_.shift}, {0}};
    pass.step_d = geometry_.stride_d;
    pass.step_h = geometry_.stride_h;
    pass.step_w = geometry_.stride_w;
    pass.in = in_;
    pass.channels = channels_;
    pass.groups = groups_;
    pass.slices = slices_;
    pass.rows = g_.height;
    pass.columns = g_.width;
    pass.out_slice = first_slice_;
    return pass;
  }

  void fill_zero() const {
    for (int64_t o = 0; o < groups_ * channels_; ++o) {
      for (int64_t row = 0; row < in_ * kernel_h_ * kernel_w_; ++row) *at(o, row) = static_cast<E>(T(0));
    }
  }
  // Element `row` of output channel o, counted in the order c, kh, kw.
  E* at(int64_t o, int64_t row) const {
    const int64_t taps = kernel_h_ * kernel_w_;
    return tap_.at(o, row / taps, row / kernel_w_ % kernel_h_, row % kernel_w_);
  }

  // gw = the slices' sums, turned from [tap, c][o] to [o][c, tap] in squares.
  void write_out(KernelContext& ctx, const T* sums, int64_t slices, int64_t depth, int64_t columns) const {
    const int64_t taps = kernel_h_ * kernel_w_, squares = ceil_div(depth, kWidth);
    const bool adjacent = axes_.column_stride == 1 && axes_.row_stride == kernel_w_ && tap_.in_stride == taps;
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

  WeightTap<E> tap_;
  const Geometry& geometry_;
  const Images<E>& g_;
  const Images<E>& x_;
  const KernelAxes& axes_;
  int64_t groups_, in_, channels_, kernel_h_, kernel_w_, first_slice_, slices_;
  int64_t vectors_ = 0, panels_ = 0;
  Taps taps_h_, taps_w_;
};

template <class E>
void convolve(KernelContext& ctx, const Command& cmd) {
  const Geometry geometry(cmd);
  const TensorView &weight = cmd.input(1), &bias = cmd.input(2);
  const KernelAxes axes(weight);
  Pass<E> pass{
      .image = Images<E>(cmd.input(0)), .out = Images<E>(cmd.output(0)), .taps_d = {}, .taps_h = {}, .taps_w = {}};
  pass.groups = geometry.groups;
  pass.in = weight.shape[1];
  pass.channels = weight.shape[0] / geometry.groups;
  pass.taps_d = forward_taps(axes.depth, geometry.dilation_d, geometry.pad_d);
  pass.taps_h = forward_taps(axes.height, geometry.dilation_h, geometry.pad_h);
  pass.taps_w = forward_taps(axes.width, geometry.dilation_w, geometry.pad_w);
  pass.step_d = geometry.stride_d;
  pass.step_h = geometry.stride_h;
  pass.step_w = geometry.stride_w;
  pass.slices = pass.out.slices;
  pass.rows = pass.out.height;
  pass.columns = pass.out.width;
  if (bias.present()) {
    pass.bias = bias.as<E>();
    pass.bias_stride = bias.strides[0];
  }
  const Weights<E> weights{weight.as<E>(), pass.channels * weight.strides[0], weight.strides[0], weight.strides[1],
                           axes};
  run(ctx, pass, weights);
}

template <class E>
void fill_zero(KernelContext& ctx, const Images<E>& images) {
  // 2^16 elements to a task.
  const int64_t plane = images.slices * images.height * images.width;
  ctx.parallel_ranges(images.count * images.channels, ceil_div(int64_t{1} << 16, std::max<int64_t>(1, plane)),
                      [&](int64_t begin, int64_t end) {
                        for (int64_t index = begin; index < end; ++index) {
                          for (int64_t row = 0; row < images.slices * images.height; ++row) {
                            E* to = images.at(index / images.channels, index % images.channels, row / images.height) +
                                    row % images.height * images.row_stride;
                            if (images.pixel_stride == 1) {
                              std::fill_n(to, images.width, static_cast<E>(0.0f));
                            } else {
                              for (int64_t c = 0; c < images.width; ++c) {
                                to[c * images.pixel_stride] = static_cast<E>(0.0f);
                              }
                            }
                          }
                        }
                      });
}

// One pass per remainder of the stride: the input's rows phase, phase + stride, … meet the same rows of the kernel.
template <class E>
void input_gradient(KernelContext& ctx, const Command& cmd) {
  if (patch_input_gradient<E>(ctx, cmd)) return;
  const Geometry geometry(cmd);
  const TensorView& weight = cmd.input(1);
  const KernelAxes axes(weight);
  const int64_t out_channels = weight.shape[0] / geometry.groups;
  const Images<E> gx(cmd.output(0));
  const Weights<E> weights{weight.as<E>(), out_channels * weight.strides[0], weight.strides[1], weight.strides[0],
                           axes};
  if constexpr (std::is_same_v<E, BFloat16>) {
    if (has_pair_tiles() && spread_pairs(ctx, geometry, Images<E>(cmd.input(0)), weights, gx)) return;
  }
  const int64_t phases_h = std::min(geometry.stride_h, gx.height), phases_w = std::min(geometry.stride_w, gx.width);
  const int64_t phases = std::min(geometry.stride_d, gx.slices) * phases_h * phases_w;
  std::vector<Pass<E>> passes;
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t phase_d = phase / (phases_h * phases_w), phase_h = phase / phases_w % phases_h,
                  phase_w = phase % phases_w;
    Pass<E> pass{.image = Images<E>(cmd.input(0)), .out = gx, .taps_d = {}, .taps_h = {}, .taps_w = {}};
    pass.groups = geometry.groups;
    pass.in = out_channels;
    pass.channels = weight.shape[1];
    pass.taps_d = backward_taps(axes.depth, geometry.dilation_d, geometry.pad_d, geometry.stride_d, phase_d);
    pass.taps_h = backward_taps(axes.height, geometry.dilation_h, geometry.pad_h, geometry.stride_h, phase_h);
    pass.taps_w = backward_taps(axes.width, geometry.dilation_w, geometry.pad_w, geometry.stride_w, phase_w);
    pass.slices = ceil_div(gx.slices - phase_d, geometry.stride_d);
    pass.rows = ceil_div(gx.height - phase_h, geometry.stride_h);
    pass.columns = ceil_div(gx.width - phase_w, geometry.stride_w);
    pass.out_slice = phase_d;
    pass.out_row = phase_h;
    pass.out_column = phase_w;
    pass.out_step_d = geometry.stride_d;
    pass.out_step_h = geometry.stride_h;
    pass.out_step_w = geometry.stride_w;
    if (pass.taps() > 0) passes.push_back(std::move(pass));
  }
  if (static_cast<int64_t>(passes.size()) < phases) fill_zero(ctx, gx);  // some positions are in no window
  for (const Pass<E>& pass : passes) run(ctx, pass, weights);
}

template <class E>
void weight_gradient(KernelContext& ctx, const Command& cmd) {
  if (patch_weight_gradient<E>(ctx, cmd)) return;
  const int64_t depth = KernelAxes(cmd.output(0)).depth;
  for (int64_t tap = 0; tap < depth; ++tap) WeightGradient<E>(cmd, tap).run(ctx);
}

}  // namespace

HADAL_CPU_KERNEL(conv2d) {
  visit_floating("conv2d", cmd.output(0).dtype, [&]<class E>() { convolve<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(conv2dInputGrad) {
  visit_floating("conv2dInputGrad", cmd.output(0).dtype, [&]<class E>() { input_gradient<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(conv2dWeightGrad) {
  visit_floating("conv2dWeightGrad", cmd.output(0).dtype, [&]<class E>() { weight_gradient<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(conv3d) {
  visit_floating("conv3d", cmd.output(0).dtype, [&]<class E>() { convolve<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(conv3dInputGrad) {
  visit_floating("conv3dInputGrad", cmd.output(0).dtype, [&]<class E>() { input_gradient<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(conv3dWeightGrad) {
  visit_floating("conv3dWeightGrad", cmd.output(0).dtype, [&]<class E>() { weight_gradient<E>(ctx, cmd); });
}

}  // namespace hadal::cpu
