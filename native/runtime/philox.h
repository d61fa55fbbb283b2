// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; 2011), and how tensors use it. Random
// numbers are a function of the element's place alone, so they are equal on every device, at every thread count and for every
// layout of the output.
//
// An op has a key (seedLow, seedHigh) and an offset. One counter gives a block of four 32-bit words; the 128-bit counter is
// (offset + i) in its low 64 bits and 0 above. Element e of the output, in logical row-major order, uses
//   one word   (uniform, dropout, randint up to 2^20; float16 to float32):  word e % 4 of block offset + e / 4;
//   two words  (float64 uniform and normal, randint beyond 2^20, randperm):  words 2 (e % 2) and the next of block offset + e / 2.
// A normal number comes from a pair of uniform ones (Box-Muller), the words of elements 2k and 2k + 1.
// philox_blocks tells how far an op advances the offset.
#pragma once

#include <cstdint>

#include "runtime/half.h"

namespace hadal {

struct PhiloxKey {
  uint32_t low, high;
};

inline constexpr uint32_t kPhiloxMultiplier0 = 0xd2511f53, kPhiloxMultiplier1 = 0xcd9e8d57;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9e3779b9, kPhiloxWeyl1 = 0xbb67ae85;
inline constexpr int kPhiloxRounds = 10;

// The four words of one block.
HADAL_HD inline void philox(uint64_t counter, PhiloxKey key, uint32_t out[4]) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32), c2 = 0, c3 = 0;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c0;
    const uint64_t p1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key.low;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key.high;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    key.low += kPhiloxWeyl0;
    key.high += kPhiloxWeyl1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

// Blocks that `elements` elements use, at one or two words each.
constexpr int64_t philox_blocks(int64_t elements, int words_per_element) {
  const int64_t per_block = 4 / words_per_element;
  return (elements + per_block - 1) / per_block;
}

// Significant bits of a uniform number: as many as T has, so that rounding to T never reaches 1.
template <class T>
inline constexpr int kPhiloxUnitBits = 24;
template <>
inline constexpr int kPhiloxUnitBits<double> = 53;
template <>
inline constexpr int kPhiloxUnitBits<Float16> = 11;
template <>
inline constexpr int kPhiloxUnitBits<BFloat16> = 8;

// A random integer is low + floor(range · word / 2^bits): within 2^-12 (one word, up to this range) of equal chances for every
// value.
inline constexpr double kPhiloxOneWordRange = 1 << 20;

// A uniform number in [0, 1): 24 bits of a word, 53 bits of two.
HADAL_HD inline float philox_unit_float(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }
HADAL_HD inline double philox_unit_double(uint32_t low, uint32_t high) {
  return static_cast<double>((static_cast<uint64_t>(high) << 32 | low) >> 11) * 0x1p-53;
}

}  // namespace hadal
