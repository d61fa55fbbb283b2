// Packing weights costs as much as some fifty pixels that are multiplied by them. Where there are not many more, weights are read as they lie: a
// row of a matrix for each output channel, whose columns are its taps, and the windows of all pixels are unfolded into another (im2col).
#include "cpu/conv_unfolded.h"

#include "cpu/gemm.h"
#include "cpu/pair_tiles.h"

namespace hadal::cpu {
namespace {

// Pixels of all images together, more where there is nothing to unfold and no quicker form, and least weights of a group.
constexpr int64_t kFewPixels = 128;
constexpr int64_t kFewPixelsOfOneTap = 256;
constexpr int64_t kManyWeights = int64_t{1} << 18;

// Whether an output channel's weights are one row, in the order of the pass's taps.
template <class E>
bool are_rows(const Pass<E>& pass, const Weights<E>& weights) {
  const KernelAxes& axes = weights.axes;
  const auto ascend = [](const Taps& taps) { return std::is_sorted(taps.kernel.begin(), taps.kernel.end()); };
  return pass.taps() == axes.count() && ascend(pass.taps_d) && ascend(pass.taps_h) && ascend(pass.taps_w) &&
         (axes.width == 1 || axes.column_stride == 1) && (axes.height == 1 || axes.row_stride == axes.width) &&
         (axes.depth == 1 || axes.slice_stride == axes.height * axes.width) && weights.in_stride == axes.count();
}

// to[i] = from[i · step] for i < count.
template <class E>
void copy_pixels(const E* from, int64_t step, int64_t count, E* to) {
  using Bits = std::conditional_t<sizeof(E) == 2, uint16_t, std::conditional_t<sizeof(E) == 4, uint32_t, uint64_t>>;
  constexpr int kWidth = kLanes<Bits>;
  int64_t i = 0;
  if (step == 1) {
    const auto* in = reinterpret_cast<const Bits*>(from);
    auto* out = reinterpret_cast<Bits*>(to);
    for (; i + kWidth <= count; i += kWidth) store(out + i, load(in + i));
    if (const int rest = static_cast<int>(count - i); rest > 0)
      store_partial(out + i, load_partial(in + i, rest), rest);
    return;
  }
  for (; i < count; ++i) to[i] = from[i * step];
}

// What one tap reads of a channel for every pixel of the grid, side by side; zero outside of the image.
template <class E>
E* unfold_tap(const Pass<E>& pass, const E* channel, int64_t shift_d, int64_t shift_h, int64_t shift_w, E* to) {
  const Images<E>& image = pass.image;
  // The columns whose pixels are in the image.
  const int64_t begin = std::clamp<int64_t>(ceil_div(std::max<int64_t>(0, -shift_w), pass.step_w), 0, pass.columns);
  const int64_t end =
      std::clamp<int64_t>(ceil_div(std::max<int64_t>(0, image.width - shift_w), pass.step_w), begin, pass.columns);
  for (int64_t slice = 0; slice < pass.slices; ++slice) {
    const int64_t d = slice * pass.step_d + shift_d;
    for (int64_t row = 0; row < pass.rows; ++row, to += pass.columns) {
      const int64_t h = row * pass.step_h + shift_h;
      if (d < 0 || d >= image.slices || h < 0 || h >= image.height) {
        std::fill_n(to, pass.columns, E(0.0f));
        continue;
      }
      std::fill_n(to, begin, E(0.0f));
      copy_pixels(channel + d * image.slice_stride + h * image.row_stride +
                      (begin * pass.step_w + shift_w) * image.pixel_stride,
                  pass.step_w * image.pixel_stride, end - begin, to + begin);
      std::fill_n(to + end, pass.columns - end, E(0.0f));
    }
  }
  return to;
}

}  // namespace

template <class E>
bool suits_unfolded(const Pass<E>& pass, const Weights<E>& weights) {
  constexpr bool kPairs = std::is_same_v<E, BFloat16>;
  if (kPairs ? !has_pair_kernels() || has_amx() : !std::is_same_v<E, Compute<E>>) return false;
  const int64_t depth = pass.in * pass.taps();
  const int64_t most = pass.taps() == 1 ? kFewPixelsOfOneTap : kFewPixels;
  return pass.planes() * pass.rows * pass.columns <= most && pass.channels * depth >= kManyWeights &&
         pass.out_step_d == 1 && pass.out_step_h == 1 && pass.out_step_w == 1 && pass.out.joins_pixels() &&
         are_rows(pass, weights) && (!kPairs || (depth % 2 == 0 && weights.out_stride % 2 == 0));
}

template <class E>
void convolve_unfolded(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  const Images<E>& image = pass.image;
  const int64_t images = image.count, taps = pass.taps(), pixels = pass.slices * pass.rows * pass.columns;
  const int64_t depth = pass.in * taps, channels = pass.groups * pass.in;
  // [image][group][in][tap][pixel]; planes that one tap reads as they are are that already.
  const bool is_unfolded = taps == 1 && pass.taps_d.first() == 0 && pass.taps_h.first() == 0 &&
                           pass.taps_w.first() == 0 && pass.slices == image.slices && pass.rows == image.height &&
                           pass.columns == image.width && image.joins_pixels();
  E* const unfolded = is_unfolded ? nullptr : ctx.scratch<E>(images * channels * taps * pixels);
  if (!is_unfolded) {
    ctx.parallel_ranges(images * channels, std::max<int64_t>(1, 16384 / (taps * pixels)),
                        [&](int64_t begin, int64_t end) {
                          E* to = unfolded + begin * taps * pixels;
                          for (int64_t at = begin; at < end; ++at) {
                            const E* channel = image.at(at / channels, at % channels);
                            for (const int64_t d : pass.taps_d.shifts) {
                              for (const int64_t h : pass.taps_h.shifts) {
                                for (const int64_t w : pass.taps_w.shifts) to = unfold_tap(pass, channel, d, h, w, to);
                              }
                            }
                          }
                        });
  }
  for (int64_t group = 0; group < pass.groups; ++group) {
    Gemm<E> g;
    g.m = pass.channels;
    g.n = pixels;
    g.k = depth;
    g.a = weights.data + group * weights.group_stride;
    g.a_row = weights.out_stride;
    g.a_column = 1;
    g.b = is_unfolded ? image.at(0, group * pass.in) : unfolded + group * depth * pixels;
    g.b_row = is_unfolded ? image.channel_stride : pixels;
    g.b_column = is_unfolded ? image.pixel_stride : 1;
    g.c = pass.out.at(0, group * pass.channels);
    g.c_row = pass.out.channel_stride;
    g.c_column = pass.out.pixel_stride;
    if (pass.bias != nullptr) g.bias = pass.bias + group * pass.channels * pass.bias_stride;
    g.bias_row = pass.bias_stride;
    GemmBatch batch;
    batch.rank = 1;
    batch.shape[0] = images;
    batch.b[0] = is_unfolded ? image.image_stride : channels * taps * pixels;
    batch.c[0] = pass.out.image_stride;
    gemm_batch(ctx, g, batch);
  }
}

#define HADAL_UNFOLDED(E)                                             \
  template bool suits_unfolded<E>(const Pass<E>&, const Weights<E>&); \
  template void convolve_unfolded<E>(KernelContext&, const Pass<E>&, const Weights<E>&);
HADAL_UNFOLDED(double)
HADAL_UNFOLDED(float)
HADAL_UNFOLDED(Float16)
HADAL_UNFOLDED(BFloat16)
#undef HADAL_UNFOLDED

}  // namespace hadal::cpu
