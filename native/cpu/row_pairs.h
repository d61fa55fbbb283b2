// Loops over rows by pairs of vectors, for what norms do with every element. Called by batch_norm.cc and group_norm.cc.
#pragma once

#include "cpu/rows.h"
#include "cpu/vector_pair.h"

namespace hadal::cpu {

// Calls body(lane, x...) with a vector of each of the rows at a time; `lane`, a constant, says which accumulator's turn it
// is. Where a row ends inside a vector, `fill` follows.
template <class T, class F, class... Row>
inline __attribute__((always_inline)) void fold_rows(int64_t n, Compute<T> fill, F&& body, const Row*... rows) {
  constexpr int kWidth = kLanes<Compute<T>>;
  const auto both = [&](auto first, auto second, auto... pairs) {
    body(first, pairs.first...);
    body(second, pairs.second...);
  };
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    both(Index<0>{}, Index<1>{}, load_pair(rows + i)...);
    both(Index<2>{}, Index<3>{}, load_pair(rows + i + 2 * kWidth)...);
  }
  for (; i + kWidth <= n; i += kWidth) body(Index<0>{}, load(rows + i)...);
  if (i < n) body(Index<1>{}, load_partial(rows + i, static_cast<int>(n - i), fill)...);
}

// to[i] = value(rows[i]...), past the caches if `streaming`, which 16-bit floats never are.
template <class T, class F, class... Row>
inline __attribute__((always_inline)) void map_rows(T* to, int64_t n, bool streaming, F&& value, const Row*... rows) {
  if constexpr (sizeof(T) == 2) {
    constexpr int64_t kStep = 2 * kLanes<Compute<T>>;
    const auto both = [&](auto... pairs) {
      return VectorPair<Compute<T>>{value(pairs.first...), value(pairs.second...)};
    };
    const int64_t paired = n - n % kStep;
    for (int64_t i = 0; i < paired; i += kStep) store_pair(to + i, both(load_pair(rows + i)...));
    each_vector<Compute<T>>(n - paired, [&](int64_t i, auto part, auto) {
      store(to + paired + i, value(load(rows + paired + i, part)...), part);
    });
  } else {
    write_row(to, n, streaming, [&](int64_t i, auto part) { return value(load(rows + i, part)...); });
  }
}

}  // namespace hadal::cpu
