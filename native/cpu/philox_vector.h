// Philox blocks for kernels that need many: one block per 64-bit lane at once. What the words mean is told in runtime/philox.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "cpu/simd.h"
#include "runtime/philox.h"

namespace hadal::cpu {

inline constexpr int kPhiloxLanes = kLanes<uint64_t>;

// The product of the low halves of 64-bit lanes.
inline Vec<uint64_t> multiply_low(Vec<uint64_t> a, uint32_t b) {
  [[maybe_unused]] const Vec<uint64_t> factor = broadcast(uint64_t{b});
#if defined(__AVX512F__)
  return (Vec<uint64_t>)_mm512_maskz_mul_epu32(kAllLanes & 0xff, (__m512i)a, (__m512i)factor);
#elif defined(__AVX2__)
  return (Vec<uint64_t>)_mm256_mul_epu32((__m256i)a, (__m256i)factor);
#elif defined(__SSE2__)
  return (Vec<uint64_t>)_mm_mul_epu32((__m128i)a, (__m128i)factor);
#else
  return (Vec<uint64_t>)vmull_u32(vmovn_u64((uint64x2_t)a), vdup_n_u32(b));
#endif
}

// The 4 · kPhiloxLanes words of the blocks from `counter` on, in order. Lanes hold 32 bits of the state; their upper halves are
// not kept clean, since the multiplication reads the lower ones only.
inline void philox_vector(uint64_t counter, PhiloxKey key, uint32_t* out) {
  Vec<uint64_t> index;
  for (int i = 0; i < kPhiloxLanes; ++i) index[i] = static_cast<uint64_t>(i);
  const Vec<uint64_t> low = broadcast(counter) + index;
  Vec<uint64_t> c0 = low, c1 = low >> 32, c2{}, c3{};
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const Vec<uint64_t> p0 = multiply_low(c0, kPhiloxMultiplier0), p1 = multiply_low(c2, kPhiloxMultiplier1);
    c0 = (p1 >> 32) ^ c1 ^ broadcast(uint64_t{key.low});
    c2 = (p0 >> 32) ^ c3 ^ broadcast(uint64_t{key.high});
    c1 = p1;
    c3 = p0;
    key.low += kPhiloxWeyl0;
    key.high += kPhiloxWeyl1;
  }
  const Vec<uint64_t> mask = broadcast(uint64_t{0xffffffffu});
  const Vec<uint64_t> a = (c0 & mask) | c1 << 32, b = (c2 & mask) | c3 << 32;
  [&]<int... k>(std::integer_sequence<int, k...>) {
    const Vec<uint64_t> first = __builtin_shufflevector(a, b, (k / 2 + (k % 2) * kPhiloxLanes)...);
    const Vec<uint64_t> second = __builtin_shufflevector(a, b, (kPhiloxLanes / 2 + k / 2 + (k % 2) * kPhiloxLanes)...);
    std::memcpy(out, &first, sizeof first);
    std::memcpy(out + 2 * kPhiloxLanes, &second, sizeof second);
  }(std::make_integer_sequence<int, kPhiloxLanes>());
}

}  // namespace hadal::cpu
