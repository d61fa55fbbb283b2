// Two vectors of neighbouring elements at a time, for loops that do the same with every element. Of bfloat16 one holds the
// even places and the other the odd ones: shifts and masks part and join them, where vectors in order take shuffles. Called
// by pointwise.h, reduce_fold.h and row_pairs.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/simd.h"
#include "runtime/dtype.h"

namespace hadal::cpu {

template <class C>
struct VectorPair {
  Vec<C> first, second;
};

template <class T>
inline VectorPair<Compute<T>> load_pair(const T* from) {
  return {load(from), load(from + kLanes<Compute<T>>)};
}
template <class T>
inline void store_pair(T* to, VectorPair<Compute<T>> pair) {
  store(to, pair.first);
  store(to + kLanes<Compute<T>>, pair.second);
}

template <>
inline VectorPair<float> load_pair(const BFloat16* from) {
  Vec<uint32_t> words;
  std::memcpy(&words, from, sizeof words);
  return {reinterpret_cast<Vec<float>>(words << 16), reinterpret_cast<Vec<float>>(words & 0xffff0000u)};
}
template <>
inline void store_pair(BFloat16* to, VectorPair<float> pair) {
  const auto rounded = [](Vec<float> v) {
    const auto word = reinterpret_cast<Vec<uint32_t>>(v);
    return (v != v) ? word | 0x400000u : word + 0x7fffu + ((word >> 16) & 1u);
  };
  const Vec<uint32_t> words = (rounded(pair.first) >> 16) | (rounded(pair.second) & 0xffff0000u);
  std::memcpy(static_cast<void*>(to), &words, sizeof words);
}

}  // namespace hadal::cpu
