// How convolution and pooling see images: channels-last rows with their padding, in the type that is computed in or as they are. Owns the way
// from a view of any strides into that layout and from tiles of pixels × channels back. Called by conv.cc and pool2d.cc.
#pragma once

#include "cpu/gemm_pack.h"
#include "runtime/tensor_view.h"

namespace hadal::cpu {

// One tensor [n, c, h, w], or [n, c, d, h, w] of volumes with d slices, of any strides.
template <class E>
struct Images {
  E* data = nullptr;
  int64_t count = 0, channels = 0, slices = 1, height = 0, width = 0;
  int64_t image_stride = 0, channel_stride = 0, slice_stride = 0, row_stride = 0, pixel_stride = 0;

  Images() = default;
  explicit Images(const TensorView& view)
      : data(view.as<E>()),
        count(view.shape[0]),
        channels(view.shape[1]),
        slices(view.rank == 5 ? view.shape[2] : 1),
        height(view.size(-2)),
        width(view.size(-1)),
        image_stride(view.strides[0]),
        channel_stride(view.strides[1]),
        slice_stride(view.rank == 5 ? view.strides[2] : 0),
        row_stride(view.stride(-2)),
        pixel_stride(view.stride(-1)) {}
  E* at(int64_t image, int64_t channel, int64_t slice = 0) const {
    return data + image * image_stride + channel * channel_stride + slice * slice_stride;
  }
  // Whether the pixels of a channel are one line, `pixel_stride` apart.
  bool joins_pixels() const {
    return (row_stride == width * pixel_stride || height == 1) &&
           (slice_stride == height * width * pixel_stride || slices == 1);
  }
};

// A window of one slice of an image: the slice, rows and columns may lie outside, where it is zero.
struct Window {
  int64_t row = 0, column = 0;
  int64_t rows = 0, columns = 0;
  int64_t slice = 0;
};

template <class E>
inline void convert_row(const E* from, Compute<E>* to, int64_t count) {
  constexpr int kWidth = kLanes<Compute<E>>;
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(to + i, load_as_compute(from + i));
  if (i < count)
    store_columns(to + i, load_columns(from + i, static_cast<int>(count - i)), static_cast<int>(count - i));
}

// Pixels of neighbouring channels, from any strides: as what is computed in, or as they are.
template <class E>
inline void pack_pixels(const E* from, int64_t channel_stride, int64_t pixel_stride, int64_t channels, int64_t padded,
                        int64_t count, Compute<E>* to, int64_t pixel) {
  pack(from, channel_stride, pixel_stride, channels, padded, count, to, pixel);
}
inline void pack_pixels(const BFloat16* from, int64_t channel_stride, int64_t pixel_stride, int64_t channels,
                        int64_t padded, int64_t count, BFloat16* to, int64_t pixel) {
  pack_half_rows(from, pixel_stride, channel_stride, count, channels, padded, to, pixel, 32);
}
inline void convert_row(const BFloat16* from, BFloat16* to, int64_t count) { std::copy_n(from, count, to); }

// to[row][column][channel], `pixel` elements from one column to the next (channels ≤ pixel; what lies between is undefined
// unless `pixel` is whole vectors, then it is zero). Writes up to kPackSlack elements past the end.
template <class E, class T>
void to_channels_last(const Images<E>& images, int64_t image, int64_t first_channel, int64_t channels,
                      const Window& window, T* to, int64_t pixel) {
  const int64_t begin = std::clamp<int64_t>(-window.column, 0, window.columns);
  const int64_t end = std::clamp<int64_t>(images.width - window.column, begin, window.columns);
  const bool in_depth = window.slice >= 0 && window.slice < images.slices;
  constexpr int64_t kWidth = kLanes<Compute<T>>;
  const int64_t padded = pixel % kWidth == 0 && pixel - channels < kWidth ? pixel : channels;
  for (int64_t r = 0; r < window.rows; ++r, to += window.columns * pixel) {
    const int64_t y = window.row + r;
    if (y < 0 || y >= images.height || begin == end || !in_depth) {
      std::fill(to, to + window.columns * pixel, T(0.0f));
      continue;
    }
    const E* from = images.at(image, first_channel, window.slice) + y * images.row_stride +
                    (window.column + begin) * images.pixel_stride;
    std::fill(to, to + begin * pixel, T(0.0f));
    T* inner = to + begin * pixel;
    if ((images.channel_stride == 1 || channels == 1) && images.pixel_stride == channels && pixel == channels) {
      convert_row(from, inner, (end - begin) * channels);
    } else {
      pack_pixels(from, images.channel_stride, images.pixel_stride, channels, padded, end - begin, inner, pixel);
    }
    std::fill(to + end * pixel, to + window.columns * pixel, T(0.0f));
  }
}

// to[channel][row][column], `plane` elements from one channel to the next, at least a vector more than the window has: what
// lies between is undefined.
template <class E>
void to_planes(const Images<E>& images, int64_t image, int64_t first_channel, int64_t channels, const Window& window,
               Compute<E>* to, int64_t plane) {
  using T = Compute<E>;
  const int64_t begin = std::clamp<int64_t>(-window.column, 0, window.columns);
  const int64_t end = std::clamp<int64_t>(images.width - window.column, begin, window.columns);
  const bool in_depth = window.slice >= 0 && window.slice < images.slices;
  for (int64_t r = 0; r < window.rows; ++r, to += window.columns) {
    const int64_t y = window.row + r;
    const bool outside = y < 0 || y >= images.height || begin == end || !in_depth;
    const E* from = images.at(image, first_channel, window.slice) + y * images.row_stride +
                    (window.column + begin) * images.pixel_stride;
    if (!outside && images.pixel_stride == 1) {
      for (int64_t c = 0; c < channels; ++c)
        convert_row(from + c * images.channel_stride, to + c * plane + begin, end - begin);
    } else if (!outside) {
      pack(from, images.pixel_stride, images.channel_stride, end - begin, end - begin, channels, to + begin, plane);
    }
    for (int64_t c = 0; c < channels; ++c) {
      T* row = to + c * plane;
      std::fill(row, row + (outside ? window.columns : begin), T(0));
      if (!outside) std::fill(row + end, row + window.columns, T(0));
    }
  }
}

}  // namespace hadal::cpu
