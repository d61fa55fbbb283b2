// Max and average pooling of images and their gradients: a thread for each output, or for 16 bytes of neighbouring channels, in the
// order of its memory. Sums of 16-bit floats run in float. All write with `=`.
#include <cmath>
#include <limits>

#include "cuda/device/coordinates.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"
#include "kernels/window.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// Strides of [n, c, h, w].
struct Planes {
  int64_t n, c, h, w;
  explicit Planes(const TensorView& view)
      : n(view.strides[0]), c(view.strides[1]), h(view.strides[2]), w(view.strides[3]) {}
  __device__ int64_t at(int64_t image, int64_t channel, int64_t row = 0, int64_t column = 0) const {
    return image * n + channel * c + row * h + column * w;
  }
};
// The place of output `i`, the first of kPack channels.
template <int kPack>
struct Place {
  int64_t image, channel, row, column;
  __device__ Place(const Coordinates& places, int64_t i) {
    int64_t place[kMaxRank];
    places.find(i, place);
    image = place[3];
    channel = place[2] * kPack;
    row = place[1];
    column = place[0];
  }
};

struct Windows {
  WindowAxis h, w;
};

template <class T, int kPack>
__global__ void __launch_bounds__(kBlock) max_pool(const T* x, Planes x_planes, Windows windows, T* y, Planes y_planes,
                                                   int32_t* index, Planes index_planes, Coordinates places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  const auto [image, channel, row, column] = Place<kPack>(places, i);
  const auto& [h, w] = windows;
  const int64_t first_h = h.first_tap(row), last_h = h.last_tap(row);
  const int64_t first_w = w.first_tap(column), last_w = w.last_tap(column);
  // The first position inside wins ties and all-minus-infinity windows; a NaN wins over everything before it.
  int64_t first = 0;
  if (first_h < last_h && first_w < last_w) {
    first = (h.start(row) + first_h * h.dilation) * w.size + w.start(column) + first_w * w.dilation;
  }
  C best[kPack];
  Pack<int32_t, kPack> where;
#pragma unroll
  for (int k = 0; k < kPack; ++k) {
    best[k] = -std::numeric_limits<C>::infinity();
    where.at[k] = static_cast<int32_t>(first);
  }
  x += x_planes.at(image, channel);
  for (int64_t a = first_h; a < last_h; ++a) {
    const int64_t from_row = h.start(row) + a * h.dilation;
    for (int64_t b = first_w; b < last_w; ++b) {
      const int64_t from_column = w.start(column) + b * w.dilation;
      const auto values = load_pack<kPack>(x + from_row * x_planes.h + from_column * x_planes.w);
#pragma unroll
      for (int k = 0; k < kPack; ++k) {
        const C value = values.number(k);
        if (value > best[k] || value != value) {
          best[k] = value;
          where.at[k] = static_cast<int32_t>(from_row * w.size + from_column);
        }
      }
    }
  }
  Pack<T, kPack> maxima;
#pragma unroll
  for (int k = 0; k < kPack; ++k) maxima.at[k] = to_element<T>(best[k]);
  store_pack(y + y_planes.at(image, channel, row, column), maxima);
  store_pack(index + index_planes.at(image, channel, row, column), where);
}

// gx = Σ g of the windows whose maximum is at a position, in the order of the windows.
template <class T, int kPack>
__global__ void __launch_bounds__(kBlock)
    max_pool_backward(const T* g, Planes g_planes, int64_t g_rows, int64_t g_columns, const int32_t* index,
                      Planes index_planes, Windows windows, T* gx, Planes gx_planes, Coordinates places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  const auto [image, channel, row, column] = Place<kPack>(places, i);
  const auto& [h, w] = windows;
  const WindowAxis::Range over = h.holding(g_rows, row), across = w.holding(g_columns, column);
  const int64_t position = row * w.size + column;
  C sums[kPack] = {};
  for (int64_t a = over.first; a < over.last; ++a) {
    for (int64_t b = across.first; b < across.last; ++b) {
      const auto where = load_pack<kPack>(index + index_planes.at(image, channel, a, b));
      const auto values = load_pack<kPack>(g + g_planes.at(image, channel, a, b));
#pragma unroll
      for (int k = 0; k < kPack; ++k) {
        if (where.at[k] == position) sums[k] += values.number(k);
      }
    }
  }
  Pack<T, kPack> result;
#pragma unroll
  for (int k = 0; k < kPack; ++k) result.at[k] = to_element<T>(sums[k]);
  store_pack(gx + gx_planes.at(image, channel, row, column), result);
}

// The mean over a window's positions inside the image, or inside the padded image.
template <class T, int kPack>
__global__ void __launch_bounds__(kBlock) avg_pool(const T* x, Planes x_planes, Windows windows, bool with_padding,
                                                   T* y, Planes y_planes, Coordinates places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  const auto [image, channel, row, column] = Place<kPack>(places, i);
  const auto& [h, w] = windows;
  x += x_planes.at(image, channel);
  C sums[kPack] = {};
  for (int64_t a = h.first_tap(row); a < h.last_tap(row); ++a) {
    for (int64_t b = w.first_tap(column); b < w.last_tap(column); ++b) {
      const auto values = load_pack<kPack>(x + (h.start(row) + a) * x_planes.h + (w.start(column) + b) * x_planes.w);
#pragma unroll
      for (int k = 0; k < kPack; ++k) sums[k] += values.number(k);
    }
  }
  const auto count = static_cast<C>(max(h.count(row, with_padding) * w.count(column, with_padding), int64_t{1}));
  Pack<T, kPack> means;
#pragma unroll
  for (int k = 0; k < kPack; ++k) means.at[k] = to_element<T>(sums[k] / count);
  store_pack(y + y_planes.at(image, channel, row, column), means);
}

// gx = Σ over the windows that hold a position of g / count, in the order of the windows.
template <class T, int kPack>
__global__ void __launch_bounds__(kBlock)
    avg_pool_backward(const T* g, Planes g_planes, int64_t g_rows, int64_t g_columns, Windows windows,
                      bool with_padding, T* gx, Planes gx_planes, Coordinates places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  const auto [image, channel, row, column] = Place<kPack>(places, i);
  const auto& [h, w] = windows;
  const WindowAxis::Range over = h.holding(g_rows, row), across = w.holding(g_columns, column);
  C sums[kPack] = {};
  for (int64_t a = over.first; a < over.last; ++a) {
    for (int64_t b = across.first; b < across.last; ++b) {
      const auto count = static_cast<C>(max(h.count(a, with_padding) * w.count(b, with_padding), int64_t{1}));
      const auto values = load_pack<kPack>(g + g_planes.at(image, channel, a, b));
#pragma unroll
      for (int k = 0; k < kPack; ++k) sums[k] += values.number(k) / count;
    }
  }
  Pack<T, kPack> result;
#pragma unroll
  for (int k = 0; k < kPack; ++k) result.at[k] = to_element<T>(sums[k]);
  store_pack(gx + gx_planes.at(image, channel, row, column), result);
}

// Whether `count` neighbouring channels lie side by side, 16 aligned bytes or a multiple of them in all tensors.
bool in_packs(int count, std::initializer_list<const TensorView*> views) {
  for (const TensorView* view : views) {
    if (view->shape[1] % count != 0 || view->strides[1] != 1 || !is_aligned<uint4>(view->data, 1)) return false;
    for (const int axis : {0, 2, 3}) {
      if (view->strides[axis] * static_cast<int64_t>(size_of(view->dtype)) % 16 != 0) return false;
    }
  }
  return true;
}
// Calls body.operator()<element, channels at a time>(places of y, blocks).
template <class F>
void run_pool(const Command& cmd, const TensorView& y, std::initializer_list<const TensorView*> others, F&& body) {
  visit_floating(cmd.name(), y.dtype, [&]<class T>() {
    constexpr int kPack = kPackSize<T>;
    TensorView packs = y;
    const bool fits = in_packs(kPack, {&y}) && in_packs(kPack, others);
    if (fits) packs.shape[1] /= kPack;
    const Coordinates places(packs);
    const unsigned blocks = blocks_for(places.count, kBlock);
    if (fits) body.template operator()<T, kPack>(places, blocks);
    else body.template operator()<T, 1>(places, blocks);
  });
}

// Over planes of x; y has a place for each window.
Windows dilated_windows(const Command& cmd, const TensorView& x, const TensorView& y) {
  return {WindowAxis::of(x.shape[2], y.shape[2], cmd.integer(0), cmd.integer(2), cmd.integer(4), cmd.integer(6)),
          WindowAxis::of(x.shape[3], y.shape[3], cmd.integer(1), cmd.integer(3), cmd.integer(5), cmd.integer(7))};
}
Windows averaged_windows(const Command& cmd, const TensorView& x, const TensorView& y) {
  return {WindowAxis::of(x.shape[2], y.shape[2], cmd.integer(0), cmd.integer(2), cmd.integer(4), 1),
          WindowAxis::of(x.shape[3], y.shape[3], cmd.integer(1), cmd.integer(3), cmd.integer(5), 1)};
}

HADAL_CUDA_KERNEL(maxPool2d) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0), &index = cmd.output(1);
  run_pool(cmd, y, {&x, &index}, [&]<class T, int kPack>(const Coordinates& places, unsigned blocks) {
    ctx.launch(cmd, max_pool<T, kPack>, blocks, kBlock, 0, x.as<const T>(), Planes(x), dilated_windows(cmd, x, y),
               y.as<T>(), Planes(y), index.as<int32_t>(), Planes(index), places);
  });
}
HADAL_CUDA_KERNEL(maxPool2dBackward) {
  const TensorView &g = cmd.input(0), &index = cmd.input(1), &gx = cmd.output(0);
  run_pool(cmd, gx, {&g, &index}, [&]<class T, int kPack>(const Coordinates& places, unsigned blocks) {
    ctx.launch(cmd, max_pool_backward<T, kPack>, blocks, kBlock, 0, g.as<const T>(), Planes(g), g.shape[2], g.shape[3],
               index.as<const int32_t>(), Planes(index), dilated_windows(cmd, gx, g), gx.as<T>(), Planes(gx), places);
  });
}
HADAL_CUDA_KERNEL(avgPool2d) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  run_pool(cmd, y, {&x}, [&]<class T, int kPack>(const Coordinates& places, unsigned blocks) {
    ctx.launch(cmd, avg_pool<T, kPack>, blocks, kBlock, 0, x.as<const T>(), Planes(x), averaged_windows(cmd, x, y),
               cmd.flag(6), y.as<T>(), Planes(y), places);
  });
}
HADAL_CUDA_KERNEL(avgPool2dBackward) {
  const TensorView &g = cmd.input(0), &gx = cmd.output(0);
  run_pool(cmd, gx, {&g}, [&]<class T, int kPack>(const Coordinates& places, unsigned blocks) {
    ctx.launch(cmd, avg_pool_backward<T, kPack>, blocks, kBlock, 0, g.as<const T>(), Planes(g), g.shape[2], g.shape[3],
               averaged_windows(cmd, gx, g), cmd.flag(6), gx.as<T>(), Planes(gx), places);
  });
}

}  // namespace
}  // namespace hadal::cuda
