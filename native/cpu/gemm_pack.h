// Packing for the register tiles: strips of a (k steps of adjacent rows) and panels of b (k steps of adjacent columns), from
// any strides and dtypes into float or double. Called by gemm.cc and conv2d.cc.
#pragma once

#include <algorithm>

#include "cpu/gemm_tile.h"
#include "runtime/dtype.h"

namespace hadal::cpu {

// Elements that packing may write beyond the end of a strip or panel: whole vectors are stored, the next one overwrites.
inline constexpr int64_t kPackSlack = 64;

#if defined(__AVX512F__)
inline constexpr bool kHasMasks = true;
#else
inline constexpr bool kHasMasks = false;
#endif

template <class E>
inline Vec<Compute<E>> load_as_compute(const E* from) {
  return load(from);
}

// to[p * width + lane] = from[lane * lane_stride + p * step] for lane < lanes, p < steps; lanes up to `padded` become 0.
// Writes whole vectors: up to kPackSlack elements past the end are overwritten, and width ≥ padded ≥ lanes.
template <class E>
void pack(const E* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t padded, int64_t steps,
          Compute<E>* to, int64_t width) {
  using T = Compute<E>;
  constexpr int kWidth = kLanes<T>;
  if (lane_stride == 1) {
    const int64_t whole = lanes / kWidth * kWidth;
    const int rest = static_cast<int>(lanes - whole);
    for (int64_t p = 0; p < steps; ++p) {
      const E* row = from + p * step;
      T* out = to + p * width;
      int64_t lane = 0;
      for (; lane < whole; lane += kWidth) store(out + lane, load_as_compute(row + lane));
      if (rest > 0) {
        store(out + lane, load_columns(row + lane, rest));
        lane += kWidth;
      }
      for (; lane < padded; lane += kWidth) store(out + lane, Vec<T>{});
    }
    return;
  }
  int64_t p = 0;
  if (step == 1) {
    // Squares through registers. The last group of lanes first: what it stores too much, the first group overwrites.
    const int64_t groups = (padded + kWidth - 1) / kWidth;
    const int64_t end = kHasMasks || steps >= kWidth ? steps : 0;
    for (; p < end; p += kWidth) {
      // The last square may overlap the one before it.
      if (!kHasMasks && p + kWidth > steps) p = steps - kWidth;
      const int count = static_cast<int>(std::min<int64_t>(kWidth, steps - p));
      for (int64_t group = groups - 1; group >= 0; --group) {
        const E* corner = from + group * kWidth * lane_stride + p;
        const int64_t valid = std::min<int64_t>(kWidth, lanes - group * kWidth);
        Vec<T> square[kWidth];
        if (valid == kWidth && count == kWidth) {
          unroll<kWidth>([&](auto i) __attribute__((always_inline)) { square[i] = load_as_compute(corner + i * lane_stride); });
        } else {
          unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
            square[i] = i < valid ? load_columns(corner + i * lane_stride, count) : Vec<T>{};
          });
        }
        transpose<T>(square);
        T* out = to + p * width + group * kWidth;
        if (count == kWidth) {
          unroll<kWidth>([&](auto i) __attribute__((always_inline)) { store(out + i * width, square[i]); });
        } else {
          unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
            if (i < count) store(out + i * width, square[i]);
          });
        }
      }
    }
    p = end;
  }
  for (; p < steps; ++p) {
    const E* row = from + p * step;
    T* out = to + p * width;
    for (int64_t lane = 0; lane < lanes; ++lane) out[lane] = static_cast<T>(row[lane * lane_stride]);
    for (int64_t lane = lanes; lane < padded; ++lane) out[lane] = T(0);
  }
}

}  // namespace hadal::cpu
