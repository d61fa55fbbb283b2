// See conv_one_tap.h. out[o, p] = Σ_c weight[o, c] · image[c, p]: rows of a tile are output channels, its columns neighbouring pixels, counted over all
// images. A task copies a block of pixels, all channels of them, into panels that stay in the L2 cache while the weights pass by.
#include "cpu/conv_one_tap.h"

namespace hadal::cpu {
namespace {

// Panels of a task; where there are many channels, of four panels, so that each strip of weights serves several.
constexpr int64_t kPanelBytes = 512 << 10;
constexpr int64_t kLeastPanels = 4;

// to[i] = from[i · step] for i < count. Writes whole vectors.
template <class T>
void copy_run(const T* from, int64_t step, int64_t count, T* to) {
  constexpr int kWidth = kLanes<T>;
  int64_t i = 0;
  if (step == 1) {
    for (; i + kWidth <= count; i += kWidth) store(to + i, load(from + i));
    if (i < count) store(to + i, load_columns(from + i, static_cast<int>(count - i)));
    return;
  }
  if (step == 2) {
    for (; i + kWidth < count; i += kWidth) {
      const Vec<T> low = load(from + 2 * i), high = load(from + 2 * i + kWidth);
      store(to + i, [&]<int... lane>(std::integer_sequence<int, lane...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(low, high, (2 * lane)...);
      }(std::make_integer_sequence<int, kWidth>{}));
    }
  }
  for (; i < count; ++i) to[i] = from[i * step];
}

}  // namespace

template <class E>
bool suits_one_tap(const Pass<E>& pass) {
  return pass.taps() == 1 && pass.groups == 1 && pass.image.pixel_stride == 1 && pass.out.pixel_stride == 1 &&
         pass.out_step_h == 1 && pass.out_step_w == 1 && pass.out_step_d == 1 && pass.taps_d.first() == 0 &&
         pass.taps_h.first() == 0 && pass.taps_w.first() == 0 && (pass.slices - 1) * pass.step_d < pass.image.slices &&
         (pass.rows - 1) * pass.step_h < pass.image.height && (pass.columns - 1) * pass.step_w < pass.image.width &&
         pass.out.joins_pixels() && pass.image.width > 1;
}

template <class E>
void convolve_one_tap(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  using T = E;
  constexpr int kWidth = kLanes<T>, kVectors = 2, kColumns = kVectors * kWidth;
  const int64_t plane = pass.slices * pass.rows * pass.columns, pixels = pass.image.count * plane;
  const int64_t in = pass.in;

  // Weights as strips [in][rows].
  const int64_t strips = ceil_div(pass.channels, max_rows(kVectors));
  const auto strip_begin = [&](int64_t strip) { return pass.channels * strip / strips; };
  T* packed = ctx.scratch<T>(pass.channels * in + kPackSlack);
  ctx.parallel_ranges(strips, ceil_div(int64_t{1} << 15, in * max_rows(kVectors)), [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
      T* turned = ctx.thread_scratch<T>(in * rows + kPackSlack);
      pack(weights.data + row * weights.out_stride, weights.out_stride, weights.in_stride, rows, rows, in, turned,
           rows);
      std::copy_n(turned, in * rows, packed + row * in);
    }
  });
  T* bias = nullptr;
  if (pass.bias != nullptr) {
    bias = ctx.scratch<T>(pass.channels);
    for (int64_t o = 0; o < pass.channels; ++o) bias[o] = pass.bias[o * pass.bias_stride];
  }

  const int64_t panels = ceil_div(pixels, kColumns);
  const int64_t fitting = std::max(kLeastPanels, kPanelBytes / (in * kColumns * static_cast<int64_t>(sizeof(T))));
  const int64_t wanted = std::min(kTasks, std::max<int64_t>(1, pixels * in * pass.channels / kTaskWork));
  const int64_t share = std::clamp<int64_t>(std::min(fitting, ceil_div(panels, wanted)), 1, panels);
  // Where rows of pixels continue each other in the image, a plane is one run.
  const bool joins = pass.step_d == 1 && pass.step_h == 1 && pass.step_w == 1 && pass.image.joins_pixels() &&
                     pass.image.slices == pass.slices && pass.image.height == pass.rows &&
                     pass.image.width == pass.columns;
  const int64_t run = joins ? plane : pass.columns;

  struct Run {
    int64_t from, to, count;  // in the image from its first channel, in the panels from theirs
  };
  ctx.parallel(ceil_div(panels, share), [&](int64_t task) {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t first = task * share, last = std::min(panels, first + share);
    // An odd number of cache lines, so that panels fall into different sets.
    const int64_t panel_size = in * kColumns + kWidth;
    T* const window = ctx.thread_scratch<T>((last - first) * panel_size + kPackSlack);
    std::vector<Run> runs;
    for (int64_t pixel = first * kColumns, end = std::min(pixels, last * kColumns); pixel < end;) {
      const int64_t n = pixel / plane, at = pixel % plane, line = at / run, column = at % run;
      const int64_t slice = line / pass.rows, row = line % pass.rows;
      const int64_t to = pixel - first * kColumns;
      const int64_t count = std::min({run - column, end - pixel, kColumns - to % kColumns});
      runs.push_back({pass.image.at(n, 0, joins ? 0 : slice * pass.step_d) - pass.image.data +
                          (joins ? 0 : row * pass.step_h * pass.image.row_stride) + column * pass.step_w,
                      to / kColumns * panel_size + to % kColumns, count});
      pixel += count;
    }
    // A run writes whole vectors, beyond its end too: what comes after overwrites that, in this channel or the next.
    for (int64_t c = 0; c < in; ++c) {
      const T* from = pass.image.data + c * pass.image.channel_stride;
      for (const Run& one : runs) copy_run(from + one.from, pass.step_w, one.count, window + one.to + c * kColumns);
    }
    Tile<T> tile;
    tile.k = in;
    tile.b_step = kColumns;
    tile.start = bias == nullptr ? Start::kZero : Start::kRowBias;
    alignas(64) T small[kMaxRows * kColumns];
    for (int64_t strip = 0; strip < strips; ++strip) {
      const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
      tile.a = packed + row * in;
      tile.a_step = rows;
      tile.a_row = 1;
      tile.bias = bias + row;
      for (int64_t panel = first; panel < last; ++panel) {
        const int64_t pixel = panel * kColumns, count = std::min<int64_t>(kColumns, pixels - pixel);
        tile.b = window + (panel - first) * panel_size;
        const int vectors = static_cast<int>(ceil_div(count, kWidth));
        tile.columns = static_cast<int>(count);
        const auto target = [&](int64_t at) { return pass.out.at(at / plane, row, pass.out_slice) + at % plane; };
        const bool whole = pixel / plane == (pixel + count - 1) / plane;
        tile.c = whole ? target(pixel) : small;
        tile.c_row = whole ? pass.out.channel_stride : kColumns;
        tile_kernel<T>(static_cast<int>(rows), vectors, true)(tile);
        for (int64_t at = pixel; !whole && at < pixel + count;) {
          const int64_t some = std::min(plane - at % plane, pixel + count - at);
          for (int64_t r = 0; r < rows; ++r) {
            std::copy_n(small + r * kColumns + at - pixel, some, target(at) + r * pass.out.channel_stride);
          }
          at += some;
        }
      }
    }
  });
}

template bool suits_one_tap<float>(const Pass<float>&);
template bool suits_one_tap<double>(const Pass<double>&);
template void convolve_one_tap<float>(KernelContext&, const Pass<float>&, const Weights<float>&);
template void convolve_one_tap<double>(KernelContext&, const Pass<double>&, const Weights<double>&);

}  // namespace hadal::cpu
