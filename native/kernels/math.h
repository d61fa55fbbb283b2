// Elementary functions, our own: one expression serves `float`, `double` (host and GPU) and the CPU's vectors of them.
// Range reduction and a minimax polynomial, no tables, no branches unless a function says so. Signed zeros, infinities, NaN
// and subnormals come out as IEEE asks. `ulp` below is the largest error found against a reference of higher precision.
// Called by the functors of pointwise ops and by every kernel that needs an exponential (softmax, attention, losses, random).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "runtime/half.h"
#if !defined(__CUDACC__)
#include "cpu/simd.h"
#endif

namespace hadal::math {

// --- What scalars and vectors have in common -------------------------------------------------------------------------

template <class V>
inline constexpr bool kIsScalar = std::is_arithmetic_v<V>;

template <class V, bool = kIsScalar<V>>
struct Traits {
  using Lane = V;
  using Bits = std::conditional_t<sizeof(V) == 8, int64_t, int32_t>;
};
#if !defined(__CUDACC__)
template <class V>
struct Traits<V, false> {
  using Lane = cpu::LaneOf<V>;
  using Bits = cpu::Vec<std::conditional_t<sizeof(Lane) == 8, int64_t, int32_t>>;
};
#endif
template <class V> using Lane = typename Traits<V>::Lane;
template <class V> using Bits = typename Traits<V>::Bits;  // integers as wide as V's lanes
template <class V>
inline constexpr bool kIsFloat = std::is_same_v<Lane<V>, float>;

template <class V>
HADAL_HD inline V splat(Lane<V> value) {
  if constexpr (kIsScalar<V>) {
    return value;
  } else {
    return value - V{};
  }
}
template <class Mask, class V>
HADAL_HD inline V select(Mask mask, V yes, V no) {
  return mask ? yes : no;
}
template <class V>
HADAL_HD inline Bits<V> to_bits(V x) {
  return std::bit_cast<Bits<V>>(x);
}
template <class V>
HADAL_HD inline V from_bits(Bits<V> bits) {
  return std::bit_cast<V>(bits);
}

template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kBias = 127, kSignBit = INT32_MIN, kMantissaMask = (1 << 23) - 1;
  static constexpr float kRoundToInteger = 0x1.8p23f;  // added and subtracted: rounds |x| < 2^22 to an integer
};
template <>
struct Format<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kBias = 1023, kSignBit = INT64_MIN, kMantissaMask = (int64_t{1} << 52) - 1;
  static constexpr double kRoundToInteger = 0x1.8p52;
};

// c[0] + c[1] x + c[2] x² + …, by Horner; the coefficients are written in that order.
template <class V, class... C>
HADAL_HD inline V polynomial(V x, Lane<V> first, C... rest) {
  if constexpr (sizeof...(C) == 0) {
    return splat<V>(first);
  } else {
    return polynomial(x, rest...) * x + first;
  }
}

template <class V>
HADAL_HD inline V abs(V x) {
  return from_bits<V>(to_bits(x) & ~Format<Lane<V>>::kSignBit);
}
template <class V>
HADAL_HD inline V copy_sign(V magnitude, V sign) {
  constexpr auto kSignBit = Format<Lane<V>>::kSignBit;
  return from_bits<V>((to_bits(magnitude) & ~kSignBit) | (to_bits(sign) & kSignBit));
}
// One operand NaN: the first of minimum and maximum's pair passes, `x` of clamped is kept.
template <class V>
HADAL_HD inline V at_most(V x, Lane<V> high) {
  return select(x > high, splat<V>(high), x);
}
template <class V>
HADAL_HD inline V at_least(V x, Lane<V> low) {
  return select(x < low, splat<V>(low), x);
}

#if defined(__CUDACC__)
template <class T> HADAL_HD inline T sqrt(T x) { return ::sqrt(x); }
template <class T> HADAL_HD inline T floor(T x) { return ::floor(x); }
template <class T> HADAL_HD inline T ceil(T x) { return ::ceil(x); }
template <class T> HADAL_HD inline T trunc(T x) { return ::trunc(x); }
template <class T> HADAL_HD inline T rint(T x) { return ::rint(x); }
#else
template <class V>
inline V sqrt(V x) {
  if constexpr (kIsScalar<V>) return std::sqrt(x);
  else return cpu::vsqrt(x);
}
template <class V>
inline V rint(V x) {  // ties to even
  if constexpr (kIsScalar<V>) return std::rint(x);
  else return cpu::round_lanes<0>(x);
}
template <class V>
inline V floor(V x) {
  if constexpr (kIsScalar<V>) return std::floor(x);
  else return cpu::round_lanes<1>(x);
}
template <class V>
inline V ceil(V x) {
  if constexpr (kIsScalar<V>) return std::ceil(x);
  else return cpu::round_lanes<2>(x);
}
template <class V>
inline V trunc(V x) {
  if constexpr (kIsScalar<V>) return std::trunc(x);
  else return cpu::round_lanes<3>(x);
}
#endif

// 2^n for an integer n within the normal range.
template <class V>
HADAL_HD inline V power_of_two(Bits<V> n) {
  using F = Format<Lane<V>>;
  return from_bits<V>((n + F::kBias) << F::kMantissaBits);
}
// x · 2^n with one rounding, for x near 1 and a result anywhere from zero over the subnormals to infinity. `n` is given both
// as a floating-point number and as an integer.
template <class V>
HADAL_HD inline V scale(V x, [[maybe_unused]] V n, [[maybe_unused]] Bits<V> integer) {
#if defined(__AVX512F__) && !defined(__CUDACC__)
  if constexpr (std::is_same_v<V, cpu::Vec<float>>) {
    return (V)_mm512_maskz_scalef_ps(cpu::kAllLanes, (__m512)x, (__m512)n);
  }
  if constexpr (std::is_same_v<V, cpu::Vec<double>>) {
    return (V)_mm512_maskz_scalef_pd(cpu::kAllLanes & 0xff, (__m512d)x, (__m512d)n);
  }
#endif
  const Bits<V> half = integer >> 1;
  return x * power_of_two<V>(half) * power_of_two<V>(integer - half);
}

// --- The exponential family ------------------------------------------------------------------------------------------

// x = n ln 2 + r with |r| <= ln 2 / 2. ln 2 is cut into a head, short enough for n · head to be exact, and a tail.
template <class V>
struct Reduced {
  V n;
  Bits<V> integer;
  V r;
};
template <class V>
HADAL_HD inline Reduced<V> reduce_by_ln2(V x) {
  using T = Lane<V>;
  constexpr T kLog2E = static_cast<T>(0x1.71547652b82fep+0);
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.62e4p-1) : static_cast<T>(0x1.62e42fefa38p-1);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(0x1.7f7d1cp-20) : static_cast<T>(0x1.ef35793c7673p-45);
  constexpr T kRound = Format<T>::kRoundToInteger;
  const V shifted = x * kLog2E + kRound;
  const V n = shifted - kRound;
  return {n, to_bits(shifted) - std::bit_cast<Bits<T>>(kRound), (x - n * kHead) - n * kTail};
}

// (e^r - 1 - r) / r² on |r| <= ln 2 / 2.
template <class V>
HADAL_HD inline V exp_tail(V r) {
  if constexpr (kIsFloat<V>) {
    return polynomial(r, 0.5f, 0x1.5554bp-3f, 0x1.555488p-5f, 0x1.1227e4p-7f, 0x1.6d98dp-10f);
  } else {
    return polynomial(r, 0.5, 0x1.5555555555559p-3, 0x1.555555555555ap-5, 0x1.111111110f6c1p-7, 0x1.6c16c16c14467p-10,
                      0x1.a01a01afdeac2p-13, 0x1.a01a01b0b07f6p-16, 0x1.71ddf8629e0f3p-19, 0x1.27e4c5ae176c0p-22,
                      0x1.af5ea6ab41d1bp-26, 0x1.1f954f9f71f48p-29);
  }
}

// e^x.
template <class V>
HADAL_HD inline V exp(V x) {
  using T = Lane<V>;
  // Beyond these the result is 0 or infinity.
  constexpr T kLow = kIsFloat<V> ? -104 : -746, kHigh = kIsFloat<V> ? 89 : 710;
  const auto [n, integer, r] = reduce_by_ln2(at_least(at_most(x, kHigh), kLow));
  return scale(exp_tail(r) * r * r + r + T(1), n, integer);
}

// e^x - 1 for x <= kHigh, before the care that tiny arguments need.
template <class V>
HADAL_HD inline V expm1_bounded(V x) {
  const auto [n, integer, r] = reduce_by_ln2(x);
  const V p = exp_tail(r) * (r * r) + r;
  const V power = power_of_two<V>(integer);
  return p * power + (power - Lane<V>(1));
}

// e^x - 1.
template <class V>
HADAL_HD inline V expm1(V x) {
  using T = Lane<V>;
  constexpr T kLow = kIsFloat<V> ? -18 : -38, kHigh = kIsFloat<V> ? 89 : 710;
  constexpr T kTiny = kIsFloat<V> ? T(0x1p-25) : T(0x1p-54);
  const auto [n, integer, r] = reduce_by_ln2(at_least(at_most(x, kHigh), kLow));
  const V p = exp_tail(r) * (r * r) + r;
  // Halved, so that e^x just under the largest number does not overflow on the way.
  const V power = power_of_two<V>(integer - 1);
  const V half = p * power + (power - T(0.5));
  return select(abs(x) < kTiny, x, half + half);
}

// tanh x = t / (t + 2) with t = e^(2x) - 1, taken at |x|.
template <class V>
HADAL_HD inline V tanh(V x) {
  using T = Lane<V>;
  constexpr T kHigh = kIsFloat<V> ? 20 : 44;  // of 2x: from here on the result rounds to 1
  const V t = expm1_bounded(at_most(abs(x) * T(2), kHigh));
  return copy_sign(t / (t + T(2)), x);
}

// 1 / (1 + e^-x).
template <class V>
HADAL_HD inline V sigmoid(V x) {
  using T = Lane<V>;
  return T(1) / (T(1) + exp(-x));
}

// --- The logarithm family --------------------------------------------------------------------------------------------

// x = m · 2^e with m in [0.75, 1.5). Zero gives m = 1 and e = -inf, infinity m = 1 and e = inf, a negative number or NaN
// gives m = NaN.
template <class V>
struct Split {
  V m, e;
};
template <class V>
HADAL_HD inline Split<V> split_exponent(V x) {
  using T = Lane<V>;
#if defined(__AVX512F__) && !defined(__CUDACC__)
  if constexpr (std::is_same_v<V, cpu::Vec<float>>) {
    const V m = (V)_mm512_maskz_getmant_ps(cpu::kAllLanes, (__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    const V e = (V)_mm512_maskz_getexp_ps(cpu::kAllLanes, (__m512)x);
    return {m, select(m < T(1), e + T(1), e)};
  }
  if constexpr (std::is_same_v<V, cpu::Vec<double>>) {
    const V m = (V)_mm512_maskz_getmant_pd(cpu::kAllLanes & 0xff, (__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    const V e = (V)_mm512_maskz_getexp_pd(cpu::kAllLanes & 0xff, (__m512d)x);
    return {m, select(m < T(1), e + T(1), e)};
  }
#endif
  using F = Format<T>;
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  constexpr T kSmallestNormal = std::numeric_limits<T>::min();
  constexpr T kLift = static_cast<T>(kIsFloat<V> ? 0x1p23 : 0x1p52);  // makes a subnormal normal
  constexpr auto kThreeQuarters = std::bit_cast<Bits<T>>(T(0.75));
  const auto subnormal = x < kSmallestNormal;
  const Bits<V> above = to_bits(select(subnormal, x * kLift, x)) - kThreeQuarters;
  const Bits<V> exponent = above >> F::kMantissaBits;
  V m = from_bits<V>((above & F::kMantissaMask) + kThreeQuarters);
  // The exponent, a small integer, as a number: placed into the low bits of kRoundToInteger.
  constexpr T kRound = F::kRoundToInteger;
  V e = from_bits<V>(exponent + std::bit_cast<Bits<T>>(kRound)) - kRound;
  e = select(subnormal, e - T(F::kMantissaBits), e);
  const auto ordinary = x < kInfinity;
  m = select(ordinary, m, splat<V>(T(1)));
  e = select(ordinary, e, x);
  const auto positive = x > T(0);
  m = select(positive, m, select(x == T(0), splat<V>(T(1)), splat<V>(std::numeric_limits<T>::quiet_NaN())));
  return {m, select(positive, e, splat<V>(-kInfinity))};
}

// log(1 + f) - f for 1 + f in [0.75, 1.5].
template <class V>
HADAL_HD inline V log_tail(V f) {
  if constexpr (kIsFloat<V>) {
    const V p = polynomial(f, 0x1.55559ep-2f, -0x1.000082p-2f, 0x1.996c4p-3f, -0x1.54de2cp-3f, 0x1.283c14p-3f,
                           -0x1.0dfa02p-3f, 0x1.b1d222p-4f, -0x1.7b5f98p-5f);
    return f * f * (p * f - 0.5f);
  } else {
    // With s = f / (2 + f), log(1 + f) = 2 atanh s, whose odd series converges three times as fast.
    const V s = f / (f + 2.0), z = s * s, half_square = 0.5 * f * f;
    const V p = polynomial(z, 0x1.555555555554fp-1, 0x1.999999999bf7cp-2, 0x1.24924921fd1dp-2, 0x1.c71c747cae9c5p-3,
                           0x1.745c4edcdd5f7p-3, 0x1.3b3548d545e7fp-3, 0x1.0dd2ec4d7901bp-3, 0x1.1b52c353a91b7p-3);
    return s * (half_square + z * p) - half_square;
  }
}
template <class V>
HADAL_HD inline V log_of_split(V f, V e) {
  using T = Lane<V>;
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.62e4p-1) : static_cast<T>(0x1.62e42fefa38p-1);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(0x1.7f7d1cp-20) : static_cast<T>(0x1.ef35793c7673p-45);
  return (e * kTail + log_tail(f)) + f + e * kHead;
}

// The natural logarithm.
template <class V>
HADAL_HD inline V log(V x) {
  const auto [m, e] = split_exponent(x);
  return log_of_split(m - Lane<V>(1), e);
}

// log(1 + x).
template <class V>
HADAL_HD inline V log1p(V x) {
  using T = Lane<V>;
  constexpr T kHuge = kIsFloat<V> ? T(0x1p25) : T(0x1p54), kTiny = 1 / kHuge;
  const V u = x + T(1);
  const auto [m, e] = split_exponent(u);
  // f = (1 + x) / 2^e - 1 without the rounding of 1 + x. For huge x, and for x = -1, u is all there is.
  constexpr T kRound = Format<T>::kRoundToInteger;
  const V power = power_of_two<V>(std::bit_cast<Bits<T>>(kRound) - to_bits(V(e + kRound)));
  const V f = select(x > kHuge, m - T(1), select(u > T(0), x * power + (power - T(1)), m - T(1)));
  return select(abs(x) < kTiny, x, log_of_split(f, e));
}

// --- The error function ----------------------------------------------------------------------------------------------

// erf x: x + x P(x²) up to 0.93, beyond it 1 - e^(-t Q(t)) with t = |x|.
template <class V>
HADAL_HD inline V erf(V x) {
  if constexpr (kIsFloat<V>) {
    const V t = abs(x), z = x * x;
    const V small = x + x * polynomial(z, 0x1.06eba8p-3f, -0x1.812742p-2f, 0x1.ce2de2p-4f, -0x1.b80b0ep-6f,
                                       0x1.54a492p-8f, -0x1.a8fc7p-11f, 0x1.58948p-14f);
    const V bounded = at_most(t, 3.95f);
    const V q = bounded * polynomial(bounded, 0x1.20efb8p+0f, 0x1.452d8cp-1f, 0x1.b36834p-4f, -0x1.863906p-6f,
                                     0x1.e0decep-9f, -0x1.594d4ap-12f, 0x1.8ebf74p-17f);
    const auto [n, integer, r] = reduce_by_ln2(-q);
    const V tail = (exp_tail(r) * (r * r) + r + 1.0f) * power_of_two<V>(integer);
    return select(t > 0.93f, copy_sign(1.0f - tail, x), small);
  } else if constexpr (kIsScalar<V>) {
    return ::erf(x);
  } else {
    for (int i = 0; i < cpu::kLanes<double>; ++i) x[i] = ::erf(x[i]);
    return x;
  }
}

}  // namespace hadal::math
