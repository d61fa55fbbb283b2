// Exponentials for softmax and what resembles it: arguments are at most a little above zero, and a result below the smallest
// normal number is zero. Results like that would cost an assist of the processor each (25 times the time of all the rest), and
// masked scores, which are -inf, make many of them.
#pragma once

#include "cpu/simd.h"
#include "kernels/math.h"

namespace hadal::cpu {

template <class V>
inline V scale_within_normal(V mantissa, math::Nearest<V> power) {
  if constexpr (math::kHasScale<V>) {
    return math::scale(mantissa, power);
  } else {
    return mantissa * math::power_of_two<V>(power.integer);
  }
}

// e^x for x below 88 (709 in double). NaN stays. 1 ulp.
template <class V>
inline V exp_flushed(V x) {
  using T = math::Lane<V>;
  constexpr T kLow = math::kIsFloat<V> ? T(-87.3365) : T(-708.396);
  const auto [power, r] = math::reduce_by_ln2(math::at_least(x, math::splat<V>(kLow)));
  const V mantissa = (math::exp_tail(r) * r + T(1)) * r + T(1);
  return math::select(x < kLow, V{}, scale_within_normal(mantissa, power));
}

// 2^x for x below 127 (1023 in double). NaN stays. 1 ulp.
template <class V>
inline V exp2_flushed(V x) {
  using T = math::Lane<V>;
  constexpr T kLow = math::kIsFloat<V> ? T(-126) : T(-1022);
  const V bounded = math::at_least(x, math::splat<V>(kLow));
  const math::Nearest<V> power = math::nearest(V(bounded + math::Format<T>::kRoundToInteger));
  const V r = bounded - power.n;
  const V mantissa = math::exp2_tail(r) * r + T(1);
  return math::select(x < kLow, V{}, scale_within_normal(mantissa, power));
}

}  // namespace hadal::cpu
