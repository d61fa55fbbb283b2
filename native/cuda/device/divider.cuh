// Division of 32-bit numbers by a divisor that the host knows: a multiplication and a shift on the device (Granlund and
// Montgomery, Division by invariant integers using multiplication, 1994).
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/half.h"

namespace hadal::cuda {

struct Divider {
  uint32_t divisor = 1;
  uint32_t multiplier = 0;
  uint32_t shift = 0;

  Divider() = default;
  // 1 <= divisor < 2^31; dividends are below 2^31.
  explicit Divider(uint32_t divisor) : divisor(divisor) {
    shift = static_cast<uint32_t>(std::bit_width(divisor - 1));
    multiplier = static_cast<uint32_t>(((uint64_t{1} << 32) * ((uint64_t{1} << shift) - divisor)) / divisor + 1);
  }
  HADAL_HD uint32_t quotient(uint32_t n) const {
#if defined(__CUDA_ARCH__)
    return (__umulhi(n, multiplier) + n) >> shift;
#else
    return static_cast<uint32_t>(((static_cast<uint64_t>(n) * multiplier >> 32) + n) >> shift);
#endif
  }
  // Divides n in place and answers the remainder.
  HADAL_HD uint32_t pop(uint32_t& n) const {
    const uint32_t q = quotient(n);
    const uint32_t rest = n - q * divisor;
    n = q;
    return rest;
  }
};

}  // namespace hadal::cuda
