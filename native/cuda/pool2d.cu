// Max and average pooling of images and their gradients: a thread for each output, in the order of its memory. Sums of 16-bit floats
// run in float. All write with `=`.
#include <cmath>
#include <limits>

#include "cuda/device/coordinates.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/indices.cuh"
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
// An output's place: numbered in row-major order, or with the channels innermost where these are neighbours in memory.
struct Places {
  Coordinates coordinates;
  bool channels_last;

  explicit Places(const TensorView& y) : coordinates(y), channels_last(false) {
    if (y.strides[1] != 1 || y.shape[1] == 1) return;
    TensorView turned = y;
    for (int axis = 1; axis < 3; ++axis) turned.shape[axis] = y.shape[axis + 1];
    turned.shape[3] = y.shape[1];
    coordinates = Coordinates(turned);
    channels_last = true;
  }
  __device__ void find(int64_t i, int64_t& image, int64_t& channel, int64_t& row, int64_t& column) const {
    int64_t place[kMaxRank];
    coordinates.find(i, place);
    image = place[3];
    channel = place[channels_last ? 0 : 2];
    row = place[channels_last ? 2 : 1];
    column = place[channels_last ? 1 : 0];
  }
};

struct Windows {
  WindowAxis h, w;
};

template <class T>
__global__ void __launch_bounds__(kBlock) max_pool(const T* x, Planes x_planes, Windows windows, T* y, Planes y_planes,
                                                   void* index, Planes index_planes, bool wide, Places places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.coordinates.count) return;
  int64_t image, channel, row, column;
  places.find(i, image, channel, row, column);
  const auto& [h, w] = windows;
  const int64_t first_h = h.first_tap(row), last_h = h.last_tap(row);
  const int64_t first_w = w.first_tap(column), last_w = w.last_tap(column);
  // The first position inside wins ties and all-minus-infinity windows; a NaN wins over everything before it.
  C best = -std::numeric_limits<C>::infinity();
  int64_t where = 0;
  if (first_h < last_h && first_w < last_w) {
    where = (h.start(row) + first_h * h.dilation) * w.size + w.start(column) + first_w * w.dilation;
  }
  x += x_planes.at(image, channel);
  for (int64_t a = first_h; a < last_h; ++a) {
    const int64_t from_row = h.start(row) + a * h.dilation;
    for (int64_t b = first_w; b < last_w; ++b) {
      const int64_t from_column = w.start(column) + b * w.dilation;
      const C value = load_element(x[from_row * x_planes.h + from_column * x_planes.w]);
      if (value > best || value != value) {
        best = value;
        where = from_row * w.size + from_column;
      }
    }
  }
  y[y_planes.at(image, channel, row, column)] = to_element<T>(best);
  const int64_t at = index_planes.at(image, channel, row, column);
  if (wide) static_cast<int64_t*>(index)[at] = where;
  else static_cast<int32_t*>(index)[at] = static_cast<int32_t>(where);
}

HADAL_CUDA_KERNEL(maxPool2d) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0), &index = cmd.output(1);
  const Windows windows{{x.shape[2], cmd.integer(0), cmd.integer(2), cmd.integer(4), cmd.integer(6)},
                        {x.shape[3], cmd.integer(1), cmd.integer(3), cmd.integer(5), cmd.integer(7)}};
  const Places places(y);
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    ctx.launch(cmd, max_pool<T>, blocks_for(places.coordinates.count, kBlock), kBlock, 0, x.as<const T>(), Planes(x),
               windows, y.as<T>(), Planes(y), index.data, Planes(index), index.dtype == DType::kInt64, places);
  });
}

// sums[index] += g over the windows of each plane, in their order. A block takes a plane after another. In each round every
// window that is left claims its position, and the first of those at one position is added: as many rounds as windows share a
// position. `sums` and `owners` have room for a plane for each block.
constexpr int kScatterBlock = 512;
constexpr int kNobody = std::numeric_limits<int>::max();

template <class T>
struct MaxPoolGradient {
  using C = Compute<T>;
  const T* g;
  T* gx;
  Indices index;
  Planes g_planes, index_planes, gx_planes;
  int64_t images, channels, windows, window_columns, size, columns;
  C* sums;
  int* owners;
  FaultSite site;
};
template <class T>
__global__ void __launch_bounds__(kScatterBlock) max_pool_backward(MaxPoolGradient<T> args) {
  using C = Compute<T>;
  C* sums = args.sums + blockIdx.x * args.size;
  int* owners = args.owners + blockIdx.x * args.size;
  for (int64_t plane = blockIdx.x; plane < args.images * args.channels; plane += gridDim.x) {
    const int64_t image = plane / args.channels, channel = plane % args.channels;
    for (int64_t i = threadIdx.x; i < args.size; i += kScatterBlock) {
      sums[i] = 0;
      owners[i] = kNobody;
    }
    __syncthreads();
    for (int64_t first = 0; first < args.windows; first += kScatterBlock) {
      const int64_t window = first + threadIdx.x;
      bool left = window < args.windows;
      int64_t position = 0;
      C value = 0;
      if (left) {
        const int64_t row = window / args.window_columns, column = window % args.window_columns;
        position = args.index[args.index_planes.at(image, channel, row, column)];
        value = load_element(args.g[args.g_planes.at(image, channel, row, column)]);
        if (is_outside(position, args.size)) {
          args.site.index_out_of_range(position, window, args.size);
          left = false;
        }
      }
      while (__syncthreads_or(left)) {
        if (left) atomicMin(&owners[position], static_cast<int>(threadIdx.x));
        __syncthreads();
        if (left && __ldcg(&owners[position]) == static_cast<int>(threadIdx.x)) {
          sums[position] += value;
          owners[position] = kNobody;
          left = false;
        }
      }
    }
    for (int64_t i = threadIdx.x; i < args.size; i += kScatterBlock) {
      args.gx[args.gx_planes.at(image, channel, i / args.columns, i % args.columns)] = to_element<T>(sums[i]);
    }
    __syncthreads();
  }
}

HADAL_CUDA_KERNEL(maxPool2dBackward) {
  const TensorView &g = cmd.input(0), &index = cmd.input(1), &gx = cmd.output(0);
  const int64_t planes = gx.shape[0] * gx.shape[1], size = gx.shape[2] * gx.shape[3];
  if (planes == 0) return;
  visit_floating(cmd.name(), g.dtype, [&]<class T>() {
    // As many blocks as run at once.
    const int64_t blocks = std::min<int64_t>(planes, ctx.device().multiprocessors * (2048 / kScatterBlock));
    const MaxPoolGradient<T> args{g.as<const T>(),
                                  gx.as<T>(),
                                  Indices(index),
                                  Planes(g),
                                  Planes(index),
                                  Planes(gx),
                                  gx.shape[0],
                                  gx.shape[1],
                                  g.shape[2] * g.shape[3],
                                  g.shape[3],
                                  size,
                                  gx.shape[3],
                                  ctx.scratch<Compute<T>>(blocks * size),
                                  ctx.scratch<int>(blocks * size),
                                  ctx.fault_site(cmd, "elements of the plane")};
    ctx.launch(cmd, max_pool_backward<T>, static_cast<unsigned>(blocks), kScatterBlock, 0, args);
  });
}

// The mean over a window's positions inside the image, or inside the padded image.
template <class T>
__global__ void __launch_bounds__(kBlock)
    avg_pool(const T* x, Planes x_planes, Windows windows, bool with_padding, T* y, Planes y_planes, Places places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.coordinates.count) return;
  int64_t image, channel, row, column;
  places.find(i, image, channel, row, column);
  const auto& [h, w] = windows;
  x += x_planes.at(image, channel);
  C sum = 0;
  for (int64_t a = h.first_tap(row); a < h.last_tap(row); ++a) {
    for (int64_t b = w.first_tap(column); b < w.last_tap(column); ++b) {
      sum += load_element(x[(h.start(row) + a) * x_planes.h + (w.start(column) + b) * x_planes.w]);
    }
  }
  const int64_t count = h.count(row, with_padding) * w.count(column, with_padding);
  y[y_planes.at(image, channel, row, column)] = to_element<T>(sum / static_cast<C>(max(count, int64_t{1})));
}

// gx = Σ over the windows that hold a position of g / count, in the order of the windows.
template <class T>
__global__ void __launch_bounds__(kBlock)
    avg_pool_backward(const T* g, Planes g_planes, int64_t g_rows, int64_t g_columns, Windows windows,
                      bool with_padding, T* gx, Planes gx_planes, Places places) {
  using C = Compute<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.coordinates.count) return;
  int64_t image, channel, row, column;
  places.find(i, image, channel, row, column);
  const auto& [h, w] = windows;
  const WindowAxis::Range over = h.holding(g_rows, row), across = w.holding(g_columns, column);
  g += g_planes.at(image, channel);
  C sum = 0;
  for (int64_t a = over.first; a < over.last; ++a) {
    for (int64_t b = across.first; b < across.last; ++b) {
      const int64_t count = h.count(a, with_padding) * w.count(b, with_padding);
      sum += load_element(g[a * g_planes.h + b * g_planes.w]) / static_cast<C>(max(count, int64_t{1}));
    }
  }
  gx[gx_planes.at(image, channel, row, column)] = to_element<T>(sum);
}

Windows averaged_windows(const Command& cmd, const TensorView& x) {
  return {{x.shape[2], cmd.integer(0), cmd.integer(2), cmd.integer(4), 1},
          {x.shape[3], cmd.integer(1), cmd.integer(3), cmd.integer(5), 1}};
}
HADAL_CUDA_KERNEL(avgPool2d) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  const Places places(y);
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    ctx.launch(cmd, avg_pool<T>, blocks_for(places.coordinates.count, kBlock), kBlock, 0, x.as<const T>(), Planes(x),
               averaged_windows(cmd, x), cmd.flag(6), y.as<T>(), Planes(y), places);
  });
}
HADAL_CUDA_KERNEL(avgPool2dBackward) {
  const TensorView &g = cmd.input(0), &gx = cmd.output(0);
  const Places places(gx);
  visit_floating(cmd.name(), g.dtype, [&]<class T>() {
    ctx.launch(cmd, avg_pool_backward<T>, blocks_for(places.coordinates.count, kBlock), kBlock, 0, g.as<const T>(),
               Planes(g), g.shape[2], g.shape[3], averaged_windows(cmd, gx), cmd.flag(6), gx.as<T>(), Planes(gx),
               places);
  });
}

}  // namespace
}  // namespace hadal::cuda
