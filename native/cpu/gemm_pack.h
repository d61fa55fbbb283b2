// Packing for the register tiles: strips of a (k steps of adjacent rows) and panels of b (k steps of adjacent columns), from
// any strides and dtypes into float or double, and the way of a finished tile back. Called by gemm.cc, conv.cc, pool2d.cc.
#pragma once

#include <algorithm>
#include <bit>

#include "cpu/gemm_tile.h"
#include "runtime/dtype.h"

namespace hadal::cpu {

// Elements that packing may write beyond the end of a strip or panel: whole vectors are stored, the next one overwrites.
inline constexpr int64_t kPackSlack = 64;
// Lanes that are packed one by one.
inline constexpr int64_t kFewLanes = 3;
// Bytes of a result that is written past the caches: twice an L2 cache.
inline constexpr int64_t kStreamedBytes = int64_t{4} << 20;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

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
  if (step == 1 && padded <= kFewLanes) {  // of which most of a square would be empty
    for (int64_t lane = 0; lane < padded; ++lane) {
      for (int64_t i = 0; i < steps; ++i) {
        to[i * width + lane] = lane < lanes ? static_cast<T>(from[lane * lane_stride + i]) : T(0);
      }
    }
    return;
  }
  if (step == 1) {
    // Squares through registers. The last group of lanes first: what it stores too much, the first group overwrites.
    const int64_t groups = ceil_div(padded, kWidth);
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
          unroll<kWidth>([&](auto i)
                             __attribute__((always_inline)) { square[i] = load_as_compute(corner + i * lane_stride); });
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

// Indices leave as int64 or int32, whatever the lanes count in.
inline void store_columns(int64_t* to, Vec<int32_t> v, int count) {
  int32_t lanes[kLanes<int32_t>];
  store(lanes, v);
  for (int i = 0; i < count; ++i) to[i] = lanes[i];
}
inline void store_columns(int32_t* to, Vec<int64_t> v, int count) {
  for (int i = 0; i < count; ++i) to[i] = static_cast<int32_t>(v[i]);
}

// The way back: moves a tile of rows, `width` elements from one to the next (whole vectors), to any strides and dtype. Writes =.
template <class T, class E>
void store_tile(const T* tile, int64_t width, int64_t rows, int64_t columns, E* to, int64_t row_stride,
                int64_t column_stride) {
  constexpr int kWidth = kLanes<T>;
  if (column_stride == 1) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; c += kWidth) {
        const int count = static_cast<int>(std::min<int64_t>(kWidth, columns - c));
        store_columns(to + r * row_stride + c, load(tile + r * width + c), count);
      }
    }
    return;
  }
  if (row_stride == 1) {
    for (int64_t first = 0; first < rows; first += kWidth) {
      const int valid = static_cast<int>(std::min<int64_t>(kWidth, rows - first));
      for (int64_t c = 0; c < columns; c += kWidth) {
        Vec<T> square[kWidth];
        unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
          square[i] = i < valid ? load(tile + (first + i) * width + c) : Vec<T>{};
        });
        transpose<T>(square);
        const int count = static_cast<int>(std::min<int64_t>(kWidth, columns - c));
        unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
          if (i < count) store_columns(to + first + (c + i) * column_stride, square[i], valid);
        });
      }
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to[r * row_stride + c * column_stride] = static_cast<E>(tile[r * width + c]);
  }
}

// Packing for pairs of bfloat16 (see pair_kernel): to[p * width + lane] holds from[lane * lane_stride + 2p * step] and its
// neighbour in k, for 2p < depth; an odd depth is filled up with a zero.
inline void pack_pairs(const BFloat16* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t padded,
                       int64_t depth, float* to, int64_t width) {
  int64_t p = 0;
#if defined(__AVX512F__)
  constexpr int kWidth = kLanes<float>;
  using Word = Vec<uint32_t>;
  const auto join = [](Word low, Word high) { return (Vec<float>)(low | high << 16); };
  const auto load_words = [](const BFloat16* at, int count) {
    return (Word)_mm512_maskz_cvtepu16_epi32(kAllLanes,
                                             _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1), at));
  };
  if (lane_stride == 1) {
    for (; 2 * p < depth; ++p) {
      const BFloat16* row = from + 2 * p * step;
      float* out = to + p * width;
      for (int64_t lane = 0; lane < padded; lane += kWidth) {
        const int count = static_cast<int>(std::clamp<int64_t>(lanes - lane, 0, kWidth));
        const Word high = 2 * p + 1 < depth ? load_words(row + step + lane, count) : Word{};
        store(out + lane, join(load_words(row + lane, count), high));
      }
    }
    return;
  }
  if (step == 1) {
    const int64_t groups = ceil_div(padded, kWidth);
    for (; 2 * p < depth; p += kWidth) {
      const int count = static_cast<int>(std::min<int64_t>(2 * kWidth, depth - 2 * p));
      const auto mask = static_cast<__mmask32>((uint64_t{1} << count) - 1);
      for (int64_t group = groups - 1; group >= 0; --group) {
        const BFloat16* corner = from + group * kWidth * lane_stride + 2 * p;
        const int64_t valid = std::min<int64_t>(kWidth, lanes - group * kWidth);
        Vec<float> square[kWidth];
        unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
          square[i] = i < valid ? (Vec<float>)_mm512_maskz_loadu_epi16(mask, corner + i * lane_stride) : Vec<float>{};
        });
        transpose<float>(square);
        float* out = to + p * width + group * kWidth;
        unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
          if (2 * i < count) store(out + i * width, square[i]);
        });
      }
    }
    return;
  }
#endif
  for (; 2 * p < depth; ++p) {
    const BFloat16* row = from + 2 * p * step;
    for (int64_t lane = 0; lane < padded; ++lane) {
      uint32_t word = 0;
      if (lane < lanes) {
        word = row[lane * lane_stride].bits;
        if (2 * p + 1 < depth) word |= static_cast<uint32_t>(row[lane * lane_stride + step].bits) << 16;
      }
      to[p * width + lane] = std::bit_cast<float>(word);
    }
  }
}

// Moves bfloat16 into rows: to[k / 32 · to_tile + row · to_row + k % 32] = from[row · row_stride + k · step] for k < depth, and 0 from there
// to `padded`. With to_row = 32 these are the tiles of AMX; with to_tile = 32 plain rows.
inline void pack_half_rows(const BFloat16* from, int64_t row_stride, int64_t step, int64_t rows, int64_t depth,
                           int64_t padded, BFloat16* to, int64_t to_row, int64_t to_tile) {
  constexpr int64_t kTile = 32;
  for (int64_t k = 0; k < padded; k += kTile, to += to_tile) {
    const int64_t valid = std::clamp<int64_t>(depth - k, 0, kTile), count = std::min(kTile, padded - k);
#if defined(__AVX512F__)
    constexpr int kWidth = kLanes<float>;
    if (row_stride == 1 && step != 1) {  // Sixteen rows by sixteen pairs, turned in registers.
      const auto columns = static_cast<__mmask32>((uint64_t{1} << count) - 1);
      for (int64_t row = 0; row < rows; row += kWidth) {
        const int lanes = static_cast<int>(std::min<int64_t>(kWidth, rows - row));
        const auto mask = static_cast<__mmask16>((1u << lanes) - 1);
        const auto words = [&](int64_t i) {
          if (i >= valid) return Vec<uint32_t>{};
          return (Vec<uint32_t>)_mm512_maskz_cvtepu16_epi32(
              kAllLanes, _mm256_maskz_loadu_epi16(mask, from + (k + i) * step + row));
        };
        Vec<float> square[kWidth];
        unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
          square[i] = (Vec<float>)(words(2 * i) | words(2 * i + 1) << 16);
        });
        transpose<float>(square);
        unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
          if (i < lanes) _mm512_mask_storeu_epi16(to + (row + i) * to_row, columns, (__m512i)square[i]);
        });
      }
      continue;
    }
#endif
    for (int64_t row = 0; row < rows; ++row) {
      const BFloat16* in = from + row * row_stride + k * step;
      BFloat16* out = to + row * to_row;
      if (step == 1) {
        std::memcpy(static_cast<void*>(out), in, static_cast<size_t>(valid) * sizeof(BFloat16));
      } else {
        for (int64_t i = 0; i < valid; ++i) out[i] = in[i * step];
      }
      std::fill(out + valid, out + count, BFloat16(0.0f));
    }
  }
}

}  // namespace hadal::cpu
