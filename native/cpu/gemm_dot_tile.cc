// See gemm_dot_tile.h.
#include "cpu/gemm_dot_tile.h"

#include <array>

namespace hadal::cpu {
namespace {

// One of log2(kLanes) rounds of a sum over lanes: the halves of each of a vector's `kSegments` segments onto each other, and behind them those of `y`.
template <int kSegments, class V>
[[gnu::always_inline]] inline V fold_segments(V x, V y) {
  constexpr int kWidth = sizeof(V) / sizeof(x[0]), kHalf = kWidth / kSegments / 2;
  return [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(x, y, (i / kHalf * 2 * kHalf + i % kHalf)...) +
           __builtin_shufflevector(x, y, (i / kHalf * 2 * kHalf + i % kHalf + kHalf)...);
  }(std::make_integer_sequence<int, kWidth>{});
}

// The sums over the lanes of kCount ≤ kLanes vectors, each in a lane of the result.
template <int kSegments = 1, class V, int kCount>
[[gnu::always_inline]] inline V sum_lanes(const V (&v)[kCount]) {
  if constexpr (kSegments == sizeof(V) / sizeof(v[0][0])) {
    return v[0];
  } else {
    V next[(kCount + 1) / 2];
    unroll<(kCount + 1) / 2>([&](auto i) __attribute__((always_inline)) {
      next[i] = fold_segments<kSegments>(v[2 * i], v[2 * i + 1 < kCount ? 2 * i + 1 : 2 * i]);
    });
    return sum_lanes<2 * kSegments>(next);
  }
}

// The first `count` elements of a vector; others are zero.
template <class E>
[[gnu::always_inline]] inline Vec<Compute<E>> load_some(const E* from, int count) {
#if defined(__AVX512F__)
  if constexpr (!std::is_same_v<E, Compute<E>>) {
    return (Vec<float>)_mm512_maskz_loadu_epi16(static_cast<__mmask32>((1u << count) - 1), from);
  } else {
    return load_columns(from, count);
  }
#else
  return load_columns(from, count);
#endif
}

// sum + row · column; of bfloat16 two products in each lane.
template <class E, class V>
[[gnu::always_inline]] inline V add_product(V row, V column, V sum) {
#if defined(__AVX512F__)
  if constexpr (!std::is_same_v<E, Compute<E>>) return multiply_add_pairs(row, column, sum);
#endif
  return sum + row * column;
}

template <class E, int kRows, int kColumns>
void run_dots(const DotTile<E>& tile) {
  using T = Compute<E>;
  constexpr int kWidth = kLanes<T>;
  constexpr int kStep = kVectorBytes / static_cast<int>(sizeof(E));
  Vec<T> sums[kRows][kColumns] = {};
  const auto step = [&](auto&& load_from) __attribute__((always_inline)) {
    Vec<T> row[kRows];
    unroll<kRows>([&](auto r) __attribute__((always_inline)) { row[r] = load_from(tile.a + r * tile.a_row); });
    unroll<kColumns>([&](auto c) __attribute__((always_inline)) {
      Vec<T> column = load_from(tile.b + c * tile.b_column);
#if defined(__aarch64__)
      asm volatile("" : "+w"(column));  // in this order: what is loaded ahead takes registers from the sums
#endif
      unroll<kRows>([&](auto r)
                        __attribute__((always_inline)) { sums[r][c] = add_product<E>(row[r], column, sums[r][c]); });
    });
  };
  int64_t p = 0;
  for (; p + kStep <= tile.k; p += kStep) {
    __builtin_prefetch(tile.fetch + p, 0, 2);
    step([&](const E* from) __attribute__((always_inline)) { return load(reinterpret_cast<const T*>(from + p)); });
  }
  if (const int rest = static_cast<int>(tile.k - p); rest > 0) {
    step([&](const E* from) __attribute__((always_inline)) { return load_some(from + p, rest); });
  }
  // As many columns' sums at a time as a vector holds.
  unroll<kRows>([&](auto r) __attribute__((always_inline)) {
    T* const to = tile.sums + r * tile.sums_row;
    unroll<(kColumns + kWidth - 1) / kWidth>([&](auto group) __attribute__((always_inline)) {
      constexpr int kFirst = group * kWidth, kCount = kColumns - kFirst < kWidth ? kColumns - kFirst : kWidth;
      Vec<T> some[kCount];
      unroll<kCount>([&](auto c) __attribute__((always_inline)) { some[c] = sums[r][kFirst + c]; });
      store_columns(to + kFirst, load_columns(to + kFirst, kCount) + sum_lanes(some), kCount);
    });
  });
}

}  // namespace

template <class E>
DotKernel<E> dot_kernel(int rows, int columns) {
  static constexpr auto kKernels = []<int... at>(std::integer_sequence<int, at...>) {
    return std::array{run_dots<E, at / kMaxDotColumns + 1, at % kMaxDotColumns + 1>...};
  }(std::make_integer_sequence<int, kMaxDotRows * kMaxDotColumns>{});
  return kKernels[(rows - 1) * kMaxDotColumns + columns - 1];
}

template DotKernel<float> dot_kernel<float>(int, int);
template DotKernel<double> dot_kernel<double>(int, int);
#if defined(__AVX512F__)
template DotKernel<BFloat16> dot_kernel<BFloat16>(int, int);
#endif

}  // namespace hadal::cpu
