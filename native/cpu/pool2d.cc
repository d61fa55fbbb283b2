// Max and average pooling of images and their gradients. Vector lanes are planes (channels, and images where they continue
// each other), so every kernel size, stride and padding runs at the same speed; conv_layout.h turns views into rows of lanes
// and back. The one exception is the gradient of max pooling, which scatters one value at a time.
#include <algorithm>

#include "cpu/conv_layout.h"
#include "kernels/window.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Elements moved by a task: 2^16 floats take some 30 µs.
constexpr int64_t kTaskElements = 1 << 16;
// Elements of a task's window of rows: with the output's lines it stays in an L2 cache of 512 KiB or more.
constexpr int64_t kWindowElements = 48 << 10;

// The planes of two views as lanes: channels of each image, or of all images at once.
template <class E, class F>
void merge_images(Images<E>& a, Images<F>& b) {
  if (a.count > 1 && a.image_stride == a.channels * a.channel_stride &&
      b.image_stride == b.channels * b.channel_stride) {
    a.channels *= a.count;
    b.channels *= b.count;
    a.count = b.count = 1;
  }
}

// Blocks of lanes × bands of rows of the output. body(image, first plane, planes, first row, rows). Planes that are adjacent
// in memory come one after the other, in bands small enough that the cache lines they share are still there.
template <class F>
void for_each_band(KernelContext& ctx, int64_t images, int64_t planes, int64_t lanes, int64_t rows,
                   int64_t row_elements, bool adjacent, F&& body) {
  const int64_t blocks = ceil_div(planes, lanes);
  const int64_t together = adjacent ? std::min<int64_t>(blocks, 8) : 1;
  const int64_t band = std::clamp<int64_t>(kWindowElements / std::max<int64_t>(1, row_elements * together), 1, rows);
  const int64_t bands = ceil_div(rows, band);
  const int64_t grain = ceil_div(kTaskElements, std::max<int64_t>(1, band * row_elements));
  ctx.parallel_ranges(images * blocks * bands, grain, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t plane = (adjacent ? unit % blocks : unit / bands % blocks) * lanes;
      const int64_t row = (adjacent ? unit / blocks % bands : unit % bands) * band;
      body(unit / bands / blocks, plane, std::min(lanes, planes - plane), row, std::min(band, rows - row));
    }
  });
}

// Rows [first, last) of the input that the windows [row, row + rows) touch.
struct Span {
  int64_t first, last;
};
Span touched(const WindowAxis& axis, int64_t row, int64_t rows) {
  const int64_t first = std::clamp<int64_t>(axis.start(row), 0, axis.size);
  const int64_t last = std::clamp<int64_t>(
      axis.start(row + rows - 1) + (axis.taps(row + rows - 1) - 1) * axis.dilation + 1, first, axis.size);
  return {first, last};
}

template <class E>
void max_pool(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  using Position = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  constexpr int kWidth = kLanes<T>;
  Images<E> x(cmd.input(0)), y(cmd.output(0));
  Images<int32_t> index(cmd.output(1));
  const auto h = WindowAxis::of(x.height, y.height, cmd.integer(0), cmd.integer(2), cmd.integer(4), cmd.integer(6));
  const auto w = WindowAxis::of(x.width, y.width, cmd.integer(1), cmd.integer(3), cmd.integer(5), cmd.integer(7));
  if (index.image_stride == index.channels * index.channel_stride) merge_images(x, y);
  index.count = y.count;
  index.channels = y.channels;
  for_each_band(
      ctx, x.count, x.channels, kWidth, y.height, h.stride * x.width * kWidth, x.channel_stride == 1,
      [&](int64_t n, int64_t plane, int64_t planes, int64_t first_row, int64_t rows) {
        const Span span = touched(h, first_row, rows);
        const int64_t size = (span.last - span.first) * x.width * kWidth + kPackSlack;
        T* window = ctx.thread_scratch<T>(size + y.width * kWidth * 2);
        T* line = window + size;
        auto* positions = reinterpret_cast<Position*>(line + y.width * kWidth);
        to_channels_last(x, n, plane, planes, {span.first, 0, span.last - span.first, x.width}, window, kWidth);
        for (int64_t row = first_row; row < first_row + rows; ++row) {
          const int64_t first_i = h.first_tap(row), last_i = h.last_tap(row);
          for (int64_t column = 0; column < y.width; ++column) {
            const int64_t first_j = w.first_tap(column), last_j = w.last_tap(column);
            // The first position inside wins ties and all-minus-infinity windows; a NaN wins over everything before it.
            Vec<T> best = broadcast(-std::numeric_limits<T>::infinity());
            const int64_t origin =
                (h.start(row) + first_i * h.dilation) * w.size + w.start(column) + first_j * w.dilation;
            Vec<Position> where = broadcast(static_cast<Position>(first_i < last_i && first_j < last_j ? origin : 0));
            for (int64_t i = first_i; i < last_i; ++i) {
              const int64_t at = (h.start(row) + i * h.dilation) * w.size + w.start(column);
              for (int64_t j = first_j; j < last_j; ++j) {
                const int64_t position = at + j * w.dilation;
                const Vec<T> value = load(window + (position - span.first * w.size) * kWidth);
                const auto wins = (value > best) | (value != value);
                best = wins ? value : best;
                where = wins ? broadcast(static_cast<Position>(position)) : where;
              }
            }
            store(line + column * kWidth, best);
            store(positions + column * kWidth, where);
          }
          store_tile(line, kWidth, y.width, planes, y.at(n, plane) + row * y.row_stride, y.pixel_stride,
                     y.channel_stride);
          store_tile(positions, kWidth, y.width, planes, index.at(n, plane) + row * index.row_stride,
                     index.pixel_stride, index.channel_stride);
        }
      });
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse_index(int64_t position, int64_t plane_size) {
  throw Error(ErrorCode::kIndex, "maxPool2dBackward: index " + std::to_string(position) +
                                     " out of range for a plane of " + std::to_string(plane_size));
}

// sums[i · step + index_i · position_step] += g_i, i < count.
template <class E, class T>
void scatter(const E* g, int64_t g_step, const int32_t* index, int64_t index_step, int64_t count, T* sums, int64_t step,
             int64_t position_step, int64_t plane_size) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = index[i * index_step];
    if (static_cast<uint64_t>(position) >= static_cast<uint64_t>(plane_size)) refuse_index(position, plane_size);
    sums[i * step + position * position_step] += static_cast<T>(g[i * g_step]);
  }
}

// gx = 0, then gx[index] += g in the order of the windows. Sums in T.
template <class E>
void max_pool_backward(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  const Images<E> g(cmd.input(0)), gx(cmd.output(0));
  const Images<int32_t> index(cmd.input(1));
  const int64_t plane_size = gx.height * gx.width;
  const bool in_place = std::is_same_v<E, T> && (gx.row_stride == gx.width * gx.pixel_stride || gx.height == 1);
  // Channels inside pixels where they are adjacent; blocks of them share cache lines.
  const int64_t block = gx.channel_stride == 1 && gx.pixel_stride != 1 ? 64 : 1;
  const int64_t blocks = ceil_div(gx.channels, block);
  ctx.parallel_ranges(
      gx.count * blocks, ceil_div(kTaskElements / 4, plane_size * block), [&](int64_t begin, int64_t end) {
        for (int64_t unit = begin; unit < end; ++unit) {
          const int64_t n = unit / blocks, first = unit % blocks * block,
                        channels = std::min(block, gx.channels - first);
          T* sums = nullptr;
          int64_t channel_step = plane_size, pixel_step = 1;
          if constexpr (std::is_same_v<E, T>) {
            if (in_place) {
              sums = gx.at(n, first);
              channel_step = gx.channel_stride;
              pixel_step = gx.pixel_stride;
            }
          }
          if (sums == nullptr) sums = ctx.thread_scratch<T>(plane_size * channels);
          if (channel_step == 1) {
            for (int64_t p = 0; p < plane_size; ++p) std::fill_n(sums + p * pixel_step, channels, T(0));
          } else if (pixel_step == 1) {
            for (int64_t c = 0; c < channels; ++c) std::fill_n(sums + c * channel_step, plane_size, T(0));
          } else {
            for (int64_t c = 0; c < channels; ++c) {
              for (int64_t p = 0; p < plane_size; ++p) sums[c * channel_step + p * pixel_step] = T(0);
            }
          }
          for (int64_t row = 0; row < g.height; ++row) {
            if (channels == 1) {
              scatter(g.at(n, first) + row * g.row_stride, g.pixel_stride, index.at(n, first) + row * index.row_stride,
                      index.pixel_stride, g.width, sums, 0, pixel_step, plane_size);
              continue;
            }
            for (int64_t column = 0; column < g.width; ++column) {
              scatter(g.at(n, first) + row * g.row_stride + column * g.pixel_stride, g.channel_stride,
                      index.at(n, first) + row * index.row_stride + column * index.pixel_stride, index.channel_stride,
                      channels, sums, channel_step, pixel_step, plane_size);
            }
          }
          if (in_place) continue;
          for (int64_t c = 0; c < channels; ++c) {
            for (int64_t row = 0; row < gx.height; ++row) {
              E* to = gx.at(n, first + c) + row * gx.row_stride;
              const T* from = sums + c * plane_size + row * gx.width;
              for (int64_t column = 0; column < gx.width; ++column)
                to[column * gx.pixel_stride] = static_cast<E>(from[column]);
            }
          }
        }
      });
}

// y = the mean over a window's positions inside the image (or inside the padded image). Sums in T.
template <class E>
void avg_pool(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  constexpr int kWidth = kLanes<T>;
  Images<E> x(cmd.input(0)), y(cmd.output(0));
  const auto h = WindowAxis::of(x.height, y.height, cmd.integer(0), cmd.integer(2), cmd.integer(4), 1);
  const auto w = WindowAxis::of(x.width, y.width, cmd.integer(1), cmd.integer(3), cmd.integer(5), 1);
  const bool with_padding = cmd.flag(6);
  merge_images(x, y);
  for_each_band(ctx, x.count, x.channels, kWidth, y.height, h.stride * x.width * kWidth, x.channel_stride == 1,
                [&](int64_t n, int64_t plane, int64_t planes, int64_t first_row, int64_t rows) {
                  const Span span = touched(h, first_row, rows);
                  const int64_t size = (span.last - span.first) * x.width * kWidth + kPackSlack;
                  T* window = ctx.thread_scratch<T>(size + y.width * kWidth);
                  T* line = window + size;
                  to_channels_last(x, n, plane, planes, {span.first, 0, span.last - span.first, x.width}, window,
                                   kWidth);
                  for (int64_t row = first_row; row < first_row + rows; ++row) {
                    for (int64_t column = 0; column < y.width; ++column) {
                      Vec<T> sum{};
                      for (int64_t i = h.first_tap(row); i < h.last_tap(row); ++i) {
                        const T* from = window + ((h.start(row) + i - span.first) * w.size + w.start(column)) * kWidth;
                        for (int64_t j = w.first_tap(column); j < w.last_tap(column); ++j)
                          sum += load(from + j * kWidth);
                      }
                      const int64_t count = h.count(row, with_padding) * w.count(column, with_padding);
                      store(line + column * kWidth, sum / broadcast(static_cast<T>(std::max<int64_t>(1, count))));
                    }
                    store_tile(line, kWidth, y.width, planes, y.at(n, plane) + row * y.row_stride, y.pixel_stride,
                               y.channel_stride);
                  }
                });
}

// gx[p] = Σ over the windows that hold p of g / count, in the order of the windows. Sums in T.
template <class E>
void avg_pool_backward(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  constexpr int kWidth = kLanes<T>;
  Images<E> g(cmd.input(0)), gx(cmd.output(0));
  const auto h = WindowAxis::of(gx.height, g.height, cmd.integer(0), cmd.integer(2), cmd.integer(4), 1);
  const auto w = WindowAxis::of(gx.width, g.width, cmd.integer(1), cmd.integer(3), cmd.integer(5), 1);
  const bool with_padding = cmd.flag(6);
  merge_images(g, gx);
  for_each_band(ctx, gx.count, gx.channels, kWidth, gx.height, gx.width * kWidth, gx.channel_stride == 1,
                [&](int64_t n, int64_t plane, int64_t planes, int64_t first_row, int64_t rows) {
                  const int64_t begin = h.holding(g.height, first_row).first;
                  const int64_t end = std::max(begin, h.holding(g.height, first_row + rows - 1).last);
                  const int64_t size = (end - begin) * g.width * kWidth + kPackSlack;
                  T* window = ctx.thread_scratch<T>(size + gx.width * kWidth);
                  T* line = window + size;
                  to_channels_last(g, n, plane, planes, {begin, 0, end - begin, g.width}, window, kWidth);
                  for (int64_t row = begin; row < end; ++row) {
                    for (int64_t column = 0; column < g.width; ++column) {
                      T* share = window + ((row - begin) * g.width + column) * kWidth;
                      const int64_t count = h.count(row, with_padding) * w.count(column, with_padding);
                      store(share, load(share) / broadcast(static_cast<T>(std::max<int64_t>(1, count))));
                    }
                  }
                  for (int64_t row = first_row; row < first_row + rows; ++row) {
                    const WindowAxis::Range over = h.holding(g.height, row);
                    for (int64_t column = 0; column < gx.width; ++column) {
                      const WindowAxis::Range across = w.holding(g.width, column);
                      Vec<T> sum{};
                      for (int64_t i = over.first; i < over.last; ++i) {
                        const T* from = window + (i - begin) * g.width * kWidth;
                        for (int64_t j = across.first; j < across.last; ++j) sum += load(from + j * kWidth);
                      }
                      store(line + column * kWidth, sum);
                    }
                    store_tile(line, kWidth, gx.width, planes, gx.at(n, plane) + row * gx.row_stride, gx.pixel_stride,
                               gx.channel_stride);
                  }
                });
}

}  // namespace

HADAL_CPU_KERNEL(maxPool2d) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating("maxPool2d", cmd.output(0).dtype, [&]<class E>() { max_pool<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(maxPool2dBackward) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating("maxPool2dBackward", cmd.output(0).dtype, [&]<class E>() { max_pool_backward<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(avgPool2d) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating("avgPool2d", cmd.output(0).dtype, [&]<class E>() { avg_pool<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(avgPool2dBackward) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating("avgPool2dBackward", cmd.output(0).dtype, [&]<class E>() { avg_pool_backward<E>(ctx, cmd); });
}

}  // namespace hadal::cpu
