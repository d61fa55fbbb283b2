#pragma once

#include <cstdint>

struct __half {
  uint16_t bits;
};
inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
// By instruction, since GCC 12 ends with an internal error where it optimises the intrinsics.
inline float __half2float(__half x) {
  float y;
  asm("vmovd %1, %0\n\tvcvtph2ps %0, %0" : "=x"(y) : "r"(static_cast<uint32_t>(x.bits)));
  return y;
}
inline __half __float2half_rn(float x) {
  uint32_t bits = 0x7fff;
  if (x == x) asm("vcvtps2ph $0, %1, %1\n\tvmovd %1, %0" : "=r"(bits), "+x"(x));
  return {static_cast<uint16_t>(bits)};
}
