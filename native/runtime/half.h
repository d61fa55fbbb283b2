// The two 16-bit floating types as storage. Arithmetic happens in float; only conversions live here.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__CUDACC__)
#define HADAL_HD __host__ __device__
#else
#define HADAL_HD
#endif

namespace hadal {

struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;
  HADAL_HD explicit BFloat16(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
    // Round to nearest, ties to even; a NaN keeps its sign and becomes quiet.
    bits = is_nan ? static_cast<uint16_t>((word >> 16) | 0x0040u)
                  : static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
  HADAL_HD operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

struct Float16 {
  uint16_t bits = 0;

  Float16() = default;
#if defined(__aarch64__) && !defined(__CUDACC__)
  explicit Float16(float value) : bits(std::bit_cast<uint16_t>(static_cast<__fp16>(value))) {}
  operator float() const { return std::bit_cast<__fp16>(bits); }
#else
  HADAL_HD explicit Float16(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (word >> 16) & 0x8000u;
    const uint32_t magnitude = word & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u) {
      half = 0x7e00u;  // NaN
    } else if (magnitude >= 0x477ff000u) {
      half = 0x7c00u;  // rounds to infinity
    } else if (magnitude < 0x38800000u) {
      // Subnormal: adding 0.5 aligns the mantissa so that the FPU rounds it at the right bit.
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      half = std::bit_cast<uint32_t>(shifted) - 0x3f000000u;
    } else {
      half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    }
    bits = static_cast<uint16_t>(sign | half);
  }
  HADAL_HD operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t magnitude = bits & 0x7fffu;
    uint32_t word;
    if (magnitude >= 0x7c00u) {
      word = 0x7f800000u | ((magnitude & 0x3ffu) << 13);
    } else if (magnitude >= 0x0400u) {
      word = (magnitude << 13) + 0x38000000u;
    } else {
      word = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
    }
    return std::bit_cast<float>(sign | word);
  }
#endif
};

static_assert(sizeof(BFloat16) == 2 && sizeof(Float16) == 2);

}  // namespace hadal
