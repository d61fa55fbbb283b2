// Packing weights costs as much as some fifty pixels that are multiplied by them. Where there are not many more, weights are read as they lie: a
// row of a matrix for each output channel, whose columns are its taps, and the windows of all pixels are unfolded into another (im2col).
#include "cpu/conv_unfolded.h"

#include "cpu/gemm.h"
#include "cpu/pair_tiles.h"

namespace hadal::cpu {
namespace {

// Pixels of all images together, and least weights of a group.
constexpr int64_t kFewPixels = 128;
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

// What one tap reads of a channel for every pixel of the grid, side by side; zero outside of the image.
template <class E>
E* unfold_tap(const Pass<E>& pass, const E* channel, int64_t shift_d, int64_t shift_h, int64_t shift_w, E* to) {
  const Images<E>& image = pass.image;
  for (int64_t slice = 0; slice < pass.slices; ++slice) {
    const int64_t d = slice * pass.step_d + shift_d;
    for (int64_t row = 0; row < pass.rows; ++row, to += pass.columns) {
      const int64_t h = row * pass.step_h + shift_h;
      if (d < 0 || d >= image.slices || h < 0 || h >= image.height) {
        std::fill_n(to, pass.columns, E(0.0f));
        continue;
      }
      const E* line = channel + d * image.slice_stride + h * image.row_stride;
      for (int64_t column = 0; column < pass.columns; ++column) {
        const int64_t w = column * pass.step_w + shift_w;
        to[column] = w < 0 || w >= image.width ? E(0.0f) : line[w * image.pixel_stride];
      }
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
  return pass.planes() * pass.rows * pass.columns <= kFewPixels && pass.channels * depth >= kManyWeights &&
         pass.out_step_d == 1 && pass.out_step_h == 1 && pass.out_step_w == 1 && pass.out.joins_pixels() &&
         are_rows(pass, weights) && (!kPairs || (depth % 2 == 0 && weights.out_stride % 2 == 0));
}

template <class E>
void convolve_unfolded(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  const int64_t images = pass.image.count, taps = pass.taps(), pixels = pass.slices * pass.rows * pass.columns;
  const int64_t depth = pass.in * taps, channels = pass.groups * pass.in;
  E* const columns = ctx.scratch<E>(images * channels * taps * pixels);  // [image][group][in][tap][pixel]
  ctx.parallel_ranges(images * channels, std::max<int64_t>(1, 16384 / (taps * pixels)),
                      [&](int64_t begin, int64_t end) {
                        E* to = columns + begin * taps * pixels;
                        for (int64_t at = begin; at < end; ++at) {
                          const E* channel = pass.image.at(at / channels, at % channels);
                          for (const int64_t d : pass.taps_d.shifts) {
                            for (const int64_t h : pass.taps_h.shifts) {
                              for (const int64_t w : pass.taps_w.shifts) to = unfold_tap(pass, channel, d, h, w, to);
                            }
                          }
                        }
                      });
  for (int64_t group = 0; group < pass.groups; ++group) {
    Gemm<E> g;
    g.m = pass.channels;
    g.n = pixels;
    g.k = depth;
    g.a = weights.data + group * weights.group_stride;
    g.a_row = weights.out_stride;
    g.a_column = 1;
    g.b = columns + group * depth * pixels;
    g.b_row = pixels;
    g.b_column = 1;
    g.c = pass.out.at(0, group * pass.channels);
    g.c_row = pass.out.channel_stride;
    g.c_column = pass.out.pixel_stride;
    if (pass.bias != nullptr) g.bias = pass.bias + group * pass.channels * pass.bias_stride;
    g.bias_row = pass.bias_stride;
    GemmBatch batch;
    batch.rank = 1;
    batch.shape[0] = images;
    batch.b[0] = channels * taps * pixels;
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
