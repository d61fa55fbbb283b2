// Conversion of one element between any two dtypes, for both devices: a float to an integer truncates, clips to the integer's range
// and turns NaN into 0; an integer to a narrower one keeps its low bits; to bool is != 0; to a 16-bit float rounds once, to nearest
// even. Called by the copy kernels.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "runtime/half.h"

namespace hadal {

// Towards odd: inexact results end in a one bit, so that a second rounding to fewer bits is as good as one.
HADAL_HD inline float round_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  const double back = static_cast<double>(nearest);
  if (back == value || value != value) return nearest;
  const uint32_t bits = std::bit_cast<uint32_t>(nearest);
  const bool away = ::fabs(back) > ::fabs(value);
  return std::bit_cast<float>((bits - (away ? 1u : 0u)) | 1u);
}

template <class To, class From>
HADAL_HD inline To convert(From x) {
  constexpr bool kHalf = sizeof(To) == 2 && !std::is_arithmetic_v<To>;
  if constexpr (!std::is_arithmetic_v<From>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (kHalf && std::is_same_v<From, double>) {
    return To(round_to_odd(x));
  } else if constexpr (kHalf && sizeof(From) >= 4 && std::is_integral_v<From>) {
    return To(round_to_odd(static_cast<double>(x)));
  } else if constexpr (kHalf) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The largest To plus one is a power of two, so exact in From. The conversion itself is of a number in range, whatever x.
    constexpr From kEnd = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
    constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
    From inside = x > kLow ? x : From(0);
    inside = x < kEnd ? inside : From(0);
    To value = static_cast<To>(inside);
    value = x >= kEnd ? std::numeric_limits<To>::max() : value;
    return x <= kLow ? std::numeric_limits<To>::min() : value;
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace hadal
