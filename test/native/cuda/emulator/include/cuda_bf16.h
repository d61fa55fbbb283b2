#pragma once

#include <cstdint>

struct __nv_bfloat16 {
  uint16_t bits;
};
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  if (x != x) return {0x7fff};
  const uint32_t word = __builtin_bit_cast(uint32_t, x);
  const uint32_t below = word & 0xffff, odd = word >> 16 & 1;
  return {static_cast<uint16_t>((word >> 16) + (below > 0x8000 || (below == 0x8000 && odd) ? 1 : 0))};
}
