// How much boxes overlap, to the same bits on both devices, so that they drop the same boxes. Called by the kernels of nonMaxSuppression.
#pragma once

#include <algorithm>
#include <type_traits>

#include "runtime/half.h"

namespace hadal {

template <class T>
struct Box {
  T x1, y1, x2, y2, area;
};

// A product that is rounded before anything is added to it; nvcc would fuse the two.
template <class T>
HADAL_HD inline T rounded_product(T a, T b) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return __fmul_rn(a, b);
  else return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

template <class T>
HADAL_HD inline Box<T> make_box(T x1, T y1, T x2, T y2) {
  return {x1, y1, x2, y2, rounded_product(x2 - x1, y2 - y1)};
}

// The intersection over the union.
template <class T>
HADAL_HD inline T overlap(const Box<T>& a, const Box<T>& b) {
  const T width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const T height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const T both = rounded_product(std::max(width, T(0)), std::max(height, T(0)));
  return both / (a.area + b.area - both);
}

}  // namespace hadal
