// Folds of a contiguous run or of columns with whole vectors: load and convert, map, combine. Used by the reducers of
// reduce.cc. A fold's order depends on sizes alone; many lanes and accumulators keep the error of a sum small.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "cpu/simd.h"
#include "cpu/vector_pair.h"

namespace hadal::cpu {

// kLanes<A> elements of T as a vector of A, the type a fold accumulates in. A bool is a byte that holds 0 or 1.
template <class A, class T>
inline Vec<A> load_as(const T* from) {
  if constexpr (std::is_same_v<A, T> || (sizeof(T) == 2 && !std::is_integral_v<T>)) {
    return load(from);
  } else if constexpr (std::is_same_v<T, bool>) {
    return load_as<A>(reinterpret_cast<const uint8_t*>(from));
#if defined(__aarch64__)
  } else if constexpr (std::is_integral_v<T> && sizeof(T) < sizeof(A)) {
    typename VecOf<T, sizeof(T) * kLanes<A>>::type v;
    std::memcpy(&v, from, sizeof v);
    using Wide = std::conditional_t<std::is_signed_v<T>, std::conditional_t<sizeof(A) == 8, int64_t, int32_t>,
                                    std::conditional_t<sizeof(A) == 8, uint64_t, uint32_t>>;
    return __builtin_convertvector(widen_lanes<Wide>(v), Vec<A>);
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<A, double>) {
    return (Vec<double>)vcvt_f64_f32(vld1_f32(from));
#endif
  } else if constexpr (sizeof(T) * kLanes<A> < 8) {
    Vec<A> v;
    for (int i = 0; i < kLanes<A>; ++i) v[i] = static_cast<A>(from[i]);
    return v;
  } else {
    typedef T Narrow __attribute__((vector_size(sizeof(T) * kLanes<A>)));
    Narrow v;
    std::memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, Vec<A>);
  }
}
template <class A, class T>
inline VectorPair<A> load_pair_as(const T* from) {
  if constexpr (std::is_same_v<T, BFloat16>) return load_pair(from);
  else return {load_as<A>(from), load_as<A>(from + kLanes<A>)};
}
// The first `count` lanes (0 < count < kLanes<A>); the others hold anything.
template <class A, class T>
inline Vec<A> load_partial_as(const T* from, int count) {
  if constexpr (std::is_same_v<A, T> || (sizeof(T) == 2 && !std::is_integral_v<T>)) {
    return load_partial(from, count);
  } else {
    T padded[kLanes<A>] = {};
    std::memcpy(padded, from, static_cast<size_t>(count) * sizeof(T));
    return load_as<A>(padded);
  }
}

// Integers as wide as A: the lanes of A's comparisons.
template <class A>
using LaneInt = std::conditional_t<
    sizeof(A) == 8, int64_t,
    std::conditional_t<sizeof(A) == 4, int32_t, std::conditional_t<sizeof(A) == 2, int16_t, int8_t>>>;

template <class A>
inline Vec<LaneInt<A>> lane_numbers() {
  Vec<LaneInt<A>> v;
  for (int i = 0; i < kLanes<A>; ++i) v[i] = static_cast<LaneInt<A>>(i);
  return v;
}

// All lanes combined, in a fixed tree: halves onto each other by shuffles.
template <class V, class Combine>
inline LaneOf<V> fold_lanes(V v, Combine&& combine) {
  constexpr int kCount = sizeof(V) / sizeof(LaneOf<V>);
  const auto onto = [&]<int kHalf>(auto&& self, V x) -> V {
    x = [&]<int... i>(std::integer_sequence<int, i...>) {
      return combine(x, V(__builtin_shufflevector(x, x, ((i + kHalf) % kCount)...)));
    }(std::make_integer_sequence<int, kCount>{});
    if constexpr (kHalf == 1) return x;
    else return self.template operator()<kHalf / 2>(self, x);
  };
  return onto.template operator()<kCount / 2>(onto, v)[0];
}

// Which lanes of a vector count.
struct Lanes {
  int count;  // -1: all of them

  template <class A>
  Vec<A> or_else(Vec<A> v, A other) const {
    return count < 0 ? v : (lane_numbers<A>() < static_cast<LaneInt<A>>(count)) ? v : broadcast(other);
  }
};

// Bytes by which a run's lines are asked for in advance: processors do not look beyond the page that they read.
inline constexpr int64_t kFetchAhead = 4096;

// Folds x[0, n). `map(x, lanes)` makes an Acc (a vector or a struct of vectors) from a vector, neutral in the lanes
// that do not count; `start` is the result of no elements. kChains hide the latency of the combination; a long map
// needs fewer.
template <class A, int kChains = 8, class T, class Acc, class Map, class Combine>
inline Acc fold_run(const T* x, int64_t n, Acc start, Map&& map, Combine&& combine) {
  constexpr int kStep = kLanes<A>;
  Acc total = start;
  int64_t i = 0;
  if (n >= kChains * kStep) {
    Acc chains[kChains];
    for (Acc& chain : chains) chain = start;
    for (; i + kChains * kStep <= n; i += kChains * kStep) {
      for (int k = 0; k < kChains; k += 2) {
        const T* from = x + i + k * kStep;
        for (int ahead = 0; ahead < 2; ++ahead) {
          __builtin_prefetch(reinterpret_cast<const char*>(from + ahead * kStep) + kFetchAhead);
        }
        const VectorPair<A> pair = load_pair_as<A>(from);
        chains[k] = combine(chains[k], map(pair.first, Lanes{-1}));
        chains[k + 1] = combine(chains[k + 1], map(pair.second, Lanes{-1}));
      }
    }
    for (int half = kChains / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) chains[k] = combine(chains[k], chains[k + half]);
    }
    total = chains[0];
  }
  for (; i + kStep <= n; i += kStep) total = combine(total, map(load_as<A>(x + i), Lanes{-1}));
  if (i < n) {
    const int count = static_cast<int>(n - i);
    total = combine(total, map(load_partial_as<A>(x + i, count), Lanes{count}));
  }
  return total;
}

// Folds each of `width` columns over `rows` rows, `stride` elements apart. `map(x, column)` as above with the vector's
// first column, `emit(column, Acc)` takes a vector of results. A last vector may overlap the one before it; fewer
// columns than lanes leave lanes that hold anything, so `emit` writes to room padded to whole vectors. kVectors vectors
// of columns are folded side by side, and kRows (4 or 1) rows as a tree; a long map needs neither.
template <class A, int kVectors = 4, int kRows = 4, class T, class Acc, class Map, class Combine, class Emit>
inline void fold_columns(const T* x, int64_t stride, int64_t rows, int64_t width, Acc start, Map&& map,
                         Combine&& combine, Emit&& emit) {
  constexpr int kStep = kLanes<A>;
  const auto group = [&]<int kCount>(int64_t column) {
    const auto value = [&](int64_t row, int k) {
      return map(load_as<A>(x + row * stride + column + k * kStep), column + k * kStep);
    };
    Acc acc[kCount];
    for (Acc& a : acc) a = start;
    int64_t row = 0;
    if constexpr (kRows == 4) {
      for (; row + 4 <= rows; row += 4) {
        for (int k = 0; k < kCount; ++k) {
          acc[k] = combine(acc[k], combine(combine(value(row, k), value(row + 1, k)),
                                           combine(value(row + 2, k), value(row + 3, k))));
        }
      }
    }
    for (; row < rows; ++row) {
      for (int k = 0; k < kCount; ++k) acc[k] = combine(acc[k], value(row, k));
    }
    for (int k = 0; k < kCount; ++k) emit(column + k * kStep, acc[k]);
  };
  int64_t column = 0;
  for (; column + kVectors * kStep <= width; column += kVectors * kStep) group.template operator()<kVectors>(column);
  if constexpr (kVectors > 1) {
    for (; column + kStep <= width; column += kStep) group.template operator()<1>(column);
  }
  if (column == width) return;
  if (width >= kStep) return group.template operator()<1>(width - kStep);
  const int count = static_cast<int>(width);
  Acc acc = start;
  for (int64_t row = 0; row < rows; ++row) {
    acc = combine(acc, map(load_partial_as<A>(x + row * stride, count), int64_t{0}));
  }
  emit(int64_t{0}, acc);
}

}  // namespace hadal::cpu
