// The windows that pooling lays over one axis. Plain arithmetic, so that both devices use it. Called by the pooling kernels.
#pragma once

#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// Window i covers the positions i · stride - pad + j · dilation, j < kernel, inside [0, size). Where `shared` is not 0, as many windows share the
// axis: window i covers what any part of [i, i + 1) · size / shared touches.
struct WindowAxis {
  int64_t size, kernel, stride, pad, dilation, shared = 0;

  // `windows` share the axis if the kernel's size is 0.
  static WindowAxis of(int64_t size, int64_t windows, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    if (kernel != 0 || windows == 0) return {size, kernel, stride, pad, dilation};
    return {size, 0, (size + windows - 1) / windows, 0, 1, windows};
  }

  HADAL_HD int64_t start(int64_t window) const { return shared != 0 ? window * size / shared : window * stride - pad; }
  HADAL_HD int64_t taps(int64_t window) const {
    return shared != 0 ? ((window + 1) * size + shared - 1) / shared - start(window) : kernel;
  }
  // The taps [first, last) that lie inside.
  HADAL_HD int64_t first_tap(int64_t window) const {
    const int64_t before = start(window) >= 0 ? 0 : (dilation - 1 - start(window)) / dilation;
    const int64_t all = taps(window);
    return before < all ? before : all;
  }
  HADAL_HD int64_t last_tap(int64_t window) const {
    const int64_t first = first_tap(window), room = size - start(window);
    if (room <= 0) return first;
    const int64_t inside = (room + dilation - 1) / dilation, all = taps(window), last = inside < all ? inside : all;
    return last > first ? last : first;
  }
  // What an average divides by: positions inside, or inside the padded axis.
  HADAL_HD int64_t count(int64_t window, bool with_padding) const {
    if (!with_padding) return last_tap(window) - first_tap(window);
    const int64_t end = start(window) + taps(window), limit = size + pad,
                  here = (end < limit ? end : limit) - start(window);
    return here > 1 ? here : 1;
  }
  // The windows [first, last) of `windows` that begin at a position or before, and end there or behind.
  struct Range {
    int64_t first, last;
  };
  HADAL_HD Range holding(int64_t windows, int64_t position) const {
    if (shared != 0) return {position * shared / size, ((position + 1) * shared + size - 1) / size};
    const int64_t from = position + pad, after = from / stride + 1, extent = (kernel - 1) * dilation + 1;
    const int64_t first = from < extent ? 0 : (from - extent) / stride + 1, last = after < windows ? after : windows;
    return {first < last ? first : last, last};
  }
};

}  // namespace hadal
