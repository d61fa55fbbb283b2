// The register tiles of gemm_tile.h, one function per shape, and the table that finds them. Included by one file per dtype, since they take long to
// compile.
#pragma once

#include <array>

#include "cpu/gemm_tile.h"

namespace hadal::cpu {
namespace {

// sum + factor · column; with kPairs of two products of bfloat16: has_pair_kernels() guards its use.
template <bool kPairs, class V>
[[gnu::always_inline]] inline V multiply_add(V factor, V column, V sum) {
#if defined(__AVX512F__)
  // The compiler's own choice of multiply-add may overwrite the factor, and then copies sums from register to register.
  if constexpr (kPairs) {
    return multiply_add_pairs(factor, column, sum);
  } else if constexpr (sizeof(sum[0]) == 4) {
    asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(factor), "v"(column));
  } else {
    asm("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(factor), "v"(column));
  }
  return sum;
#else
  return factor * column + sum;
#endif
}

// Steps of k by which the lines of b, and of adjacent rows of a, are asked to come from L2 to L1 in advance. Panels may then be deeper than L1:
// that they come from L2 again for each strip costs nothing, and that tiles begin and end less often saves 10 % (measured on Cascade Lake).
constexpr int kStepsAhead = 8;
constexpr int kLineBytes = 64;

// Accumulates in T, in the order of k (with few accumulators: kSplit interleaved sums, added at the end). Writes =.
template <class T, int kRows, int kVectors, bool kUnitRow, bool kPairs>
void run_tile(const Tile<T>& tile) {
  constexpr int kWidth = kLanes<T>;
  // Two multiply-adds start per cycle and take four cycles: fewer than eight sums would wait for themselves.
  constexpr int kSums = kRows * kVectors;
  constexpr int kSplit = kSums >= 8 ? 1 : kSums >= 4 ? 2 : 4;
  constexpr int kGroups = (kRows + 2) / 3;
  [[maybe_unused]] const FlushSubnormals flush;
  const bool whole = tile.columns == kVectors * kWidth;
  const int last = tile.columns - (kVectors - 1) * kWidth;
  Vec<T> sums[kSplit][kRows][kVectors];

  const auto each = [](auto&& body) __attribute__((always_inline)) {
    unroll<kRows>([&](auto r) __attribute__((always_inline)) {
      unroll<kVectors>([&](auto v) __attribute__((always_inline)) { body(r, v); });
    });
  };
  const auto load_edge = [&](const T* from, auto v) __attribute__((always_inline)) {
    return v < kVectors - 1 || whole ? load(from + v * kWidth) : load_columns(from + v * kWidth, last);
  };
  unroll<kSplit>([&](auto s) __attribute__((always_inline)) {
    each([&](auto r, auto v) __attribute__((always_inline)) { sums[s][r][v] = Vec<T>{}; });
  });
  switch (tile.start) {
    case Start::kZero:
    case Start::kAccumulate: break;
    case Start::kColumnBias:
      each([&](auto r, auto v) __attribute__((always_inline)) { sums[0][r][v] = load_edge(tile.bias, v); });
      break;
    case Start::kRowBias:
      each([&](auto r, auto v) __attribute__((always_inline)) { sums[0][r][v] = broadcast(tile.bias[r]); });
      break;
  }

  // The lines of c: far away as a rule, and needed when the sums are done.
  each([&](auto r, auto v)
           __attribute__((always_inline)) { __builtin_prefetch(tile.c + r * tile.c_row + v * kWidth, 1); });
  const char* fetch = tile.fetch != nullptr ? tile.fetch : reinterpret_cast<const char*>(tile.b);
  const int64_t a_row = tile.a_row, a_step = tile.a_step, b_step = tile.b_step;
  for (int64_t segment = 0; segment < tile.segments; ++segment) {
    const T* a = tile.a;
    const T* b = tile.b;
    if (tile.a_offsets != nullptr) {
      a += tile.a_offsets[segment];
      b += tile.b_offsets[segment];
    }
    // Every third row has a pointer of its own; the others are one and two strides away, which an address can express. The
    // empty asm keeps the compiler from deriving one pointer from another and running out of registers.
    const T* rows[kGroups];
    unroll<kGroups>([&](auto g) __attribute__((always_inline)) {
      rows[g] = a + 3 * g * a_row;
      if constexpr (!kUnitRow) asm("" : "+r"(rows[g]));
    });
    const auto step = [&](auto s) __attribute__((always_inline)) {
      Vec<T> column[kVectors];
      unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
        column[v] = load(b + v * kWidth);
        if constexpr (v * kVectorBytes % kLineBytes == 0) __builtin_prefetch(b + kStepsAhead * b_step + v * kWidth);
      });
      if constexpr (kUnitRow) __builtin_prefetch(a + kStepsAhead * a_step);
#if defined(__aarch64__)
      // A multiply-add takes its factor from any lane of a register, so adjacent rows are read as vectors.
      const auto multiply = [&](auto first, auto factors) __attribute__((always_inline)) {
        asm volatile("" : "+w"(factors));  // in this order: what is loaded ahead takes registers from the sums
        unroll<sizeof factors / sizeof(T)>([&](auto lane) __attribute__((always_inline)) {
          unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
            auto& sum = sums[s][first + lane][v];
            sum = multiply_add_lane<lane>(factors, column[v], sum);
          });
        });
      };
      constexpr int kTogether = kUnitRow ? kRows / kWidth * kWidth : 0;
      unroll<kTogether / kWidth>([&](auto i) __attribute__((always_inline)) {
        multiply(std::integral_constant<int, i * kWidth>{}, load(a + i * kWidth));
      });
      unroll<kRows - kTogether>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = kTogether + i;
        multiply(std::integral_constant<int, r>{}, kUnitRow ? a[r] : rows[r / 3][(r % 3) * a_row]);
      });
#else
      unroll<kRows>([&](auto r) __attribute__((always_inline)) {
        Vec<T> factor = broadcast(kUnitRow ? a[r] : rows[r / 3][(r % 3) * a_row]);
#if defined(__AVX512F__)
        asm volatile("" : "+v"(factor));  // in this order: moved ahead, the loads of many factors cost 6 % of the time
#endif
        unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
          sums[s][r][v] = multiply_add<kPairs>(factor, column[v], sums[s][r][v]);
        });
      });
#endif
      b += b_step;
      if constexpr (kUnitRow) {
        a += a_step;
      } else {
        unroll<kGroups>([&](auto g) __attribute__((always_inline)) { rows[g] += a_step; });
      }
    };
    int64_t p = 0;
    if constexpr (kSplit == 1) {
      for (; p + kStepsPerFetch <= tile.k; p += kStepsPerFetch) {
        __builtin_prefetch(fetch, 0, 2);
        fetch += tile.fetch_step;
        unroll<kStepsPerFetch>([&](auto) __attribute__((always_inline)) { step(std::integral_constant<int, 0>{}); });
      }
      for (; p < tile.k; ++p) step(std::integral_constant<int, 0>{});
    } else {
      for (; p + kSplit <= tile.k; p += kSplit) {
        unroll<kSplit>(step);
      }
      for (; p < tile.k; ++p) step(std::integral_constant<int, 0>{});
    }
  }
  unroll<kSplit - 1>([&](auto s) __attribute__((always_inline)) {
    each([&](auto r, auto v) __attribute__((always_inline)) { sums[0][r][v] += sums[s + 1][r][v]; });
  });

  if (tile.start == Start::kAccumulate) {
    const T* from = tile.from != nullptr ? tile.from : tile.c;
    const int64_t from_row = tile.from != nullptr ? tile.from_row : tile.c_row;
    each([&](auto r, auto v) __attribute__((always_inline)) { sums[0][r][v] += load_edge(from + r * from_row, v); });
  }
  if (whole) {
    each([&](auto r, auto v)
             __attribute__((always_inline)) { store(tile.c + r * tile.c_row + v * kWidth, sums[0][r][v]); });
  } else {
    each([&](auto r, auto v) __attribute__((always_inline)) {
      T* to = tile.c + r * tile.c_row + v * kWidth;
      v < kVectors - 1 ? store(to, sums[0][r][v]) : store_columns(to, sums[0][r][v], last);
    });
  }
}

template <class T, int kVectors, bool kUnitRow, bool kPairs>
constexpr auto kernels_of_width() {
  return []<int... r>(std::integer_sequence<int, r...>) {
    return std::array<TileKernel<T>, kMaxRows>{
        (r < max_rows(kVectors) ? run_tile<T, (r < max_rows(kVectors) ? r + 1 : 1), kVectors, kUnitRow, kPairs>
                                : nullptr)...};
  }(std::make_integer_sequence<int, kMaxRows>{});
}
template <class T, bool kUnitRow, bool kPairs>
constexpr auto all_kernels() {
  return []<int... v>(std::integer_sequence<int, v...>) {
    return std::array{kernels_of_width<T, v + 1, kUnitRow, kPairs>()...};
  }(std::make_integer_sequence<int, kMaxVectors>{});
}
template <class T, bool kPairs>
TileKernel<T> find_kernel(int rows, int vectors, bool unit_row) {
  static constexpr auto kUnit = all_kernels<T, true, kPairs>();
  static constexpr auto kStrided = all_kernels<T, false, kPairs>();
  return (unit_row ? kUnit : kStrided)[vectors - 1][rows - 1];
}

}  // namespace

template <class T>
TileKernel<T> tile_kernel(int rows, int vectors, bool unit_row) {
  return find_kernel<T, false>(rows, vectors, unit_row);
}

}  // namespace hadal::cpu
