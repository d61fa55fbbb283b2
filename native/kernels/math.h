// Elementary functions, our own: one expression serves `float`, `double` (host and GPU) and the CPU's vectors of them.
// Range reduction and a minimax polynomial, no tables, no branches unless a function says so. Signed zeros, infinities,
// NaN and subnormals come out as IEEE 754 asks.
//
// Largest errors found in ulp, against a reference of higher precision, over 4 × 10^7 floats of all magnitudes and 2 × 10^6
// doubles, float / double, the worst of the three x86-64 levels:
//   exp 1.2 / 1.1, exp2 1.1 / 1.2, expm1 1.7 / 1.9, log 1.0 / 1.2, log1p 1.0 / 1.2, log2 2.8 / 2.5, log10 2.0 / 2.2,
//   tanh 3.4 / 2.5, sigmoid 2.6 / 2.3, erf 2.7 / libm, sin 2.5 / 1.6, cos 2.2 / 1.8, tan 3.6 / 3.3, asin 2.4 / 2.1,
//   acos 1.1 / 1.1, atan 2.1 / 2.2, sinh 1.7 / 1.6, cosh 1.6 / 1.5, asinh, acosh, atanh 0.5 / 1.9, pow 0.5 / libm;
// over 10^3 of each, against mpmath: erfc 3.3 / 2.9, erfcx 2.6 / 1.4, lgamma 0.5 / libm, digamma 0.5 / 1.3 away from its zeros, Bessel functions
//   3.8 / 3.7, ndtri 3.7 / by iteration.
//   sqrt is correctly rounded, but on x86-64-v4 for floats below 2^-102 (0.8).
// Called by the functors of pointwise ops and by every kernel that needs an exponential (softmax, attention, losses,
// random numbers). Functions that are rare and long go through libm lane by lane, and say so.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "runtime/half.h"
#include "runtime/philox.h"
#if !defined(__CUDACC__)
#include "cpu/simd.h"
#endif

namespace hadal::math {

// --- What scalars and vectors have in common ---------------------------------------------------------------------------

template <class V>
inline constexpr bool kIsScalar = std::is_arithmetic_v<V>;

template <class V, bool = kIsScalar<V>>
struct Traits {
  using Lane = V;
  using Bits = std::conditional_t<sizeof(V) == 8, int64_t, int32_t>;
  using UnsignedBits = std::make_unsigned_t<Bits>;
};
#if !defined(__CUDACC__)
template <class V>
struct Traits<V, false> {
  using Lane = cpu::LaneOf<V>;
  using Bits = cpu::Vec<std::conditional_t<sizeof(Lane) == 8, int64_t, int32_t>>;
  using UnsignedBits = cpu::Vec<std::conditional_t<sizeof(Lane) == 8, uint64_t, uint32_t>>;
};
#endif
template <class V>
using Lane = typename Traits<V>::Lane;
template <class V>
using Bits = typename Traits<V>::Bits;  // signed integers as wide as V's lanes
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
// Sums of bit patterns wrap: lanes whose result nobody uses hold any of them.
template <class V>
HADAL_HD inline Bits<V> add_bits(Bits<V> bits, Bits<Lane<V>> number) {
  using U = typename Traits<V>::UnsignedBits;
  return std::bit_cast<Bits<V>>(std::bit_cast<U>(bits) + static_cast<typename Traits<Lane<V>>::UnsignedBits>(number));
}
template <class Mask>
HADAL_HD inline bool any(Mask mask) {
#if !defined(__CUDACC__)
  if constexpr (!kIsScalar<Mask>) return cpu::any_lane(mask);
  else
#endif
    return mask;
}

template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kBias = 127, kSignBit = INT32_MIN, kMantissaMask = (1 << 23) - 1;
  static constexpr float kRoundToInteger = 0x1.8p23f;  // added and subtracted: rounds |x| < 2^22 to an integer
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  static constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
};
template <>
struct Format<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kBias = 1023, kSignBit = INT64_MIN, kMantissaMask = (int64_t{1} << 52) - 1;
  static constexpr double kRoundToInteger = 0x1.8p52;
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
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
// The sign of `sign` on a magnitude that has none.
template <class V>
HADAL_HD inline V with_sign(V magnitude, V sign) {
  return from_bits<V>(to_bits(magnitude) | (to_bits(sign) & Format<Lane<V>>::kSignBit));
}
template <class V>
HADAL_HD inline auto sign_bit(V x) {
  return to_bits(x) < 0;
}
// Minimum and maximum that keep `x` when it is NaN.
template <class V>
HADAL_HD inline V at_most(V x, V high) {
#if !defined(__CUDACC__)
  if constexpr (!kIsScalar<V>) return cpu::vmin(high, x);
  else
#endif
    return high < x ? high : x;
}
template <class V>
HADAL_HD inline V at_least(V x, V low) {
#if !defined(__CUDACC__)
  if constexpr (!kIsScalar<V>) return cpu::vmax(low, x);
  else
#endif
    return low > x ? low : x;
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

// a / b for b (and 1 / b) well inside the normal range, within an ulp: with an estimate y of 1 / b that is off by e = 1 - b y,
// at most 2^-14, a y (1 + e) is off by e² only. Measured: 1.0 ns against the division's 2.8 per vector of 16.
template <class V>
HADAL_HD inline V quotient(V a, V b) {
#if defined(__AVX512F__) && !defined(__CUDACC__)
  if constexpr (std::is_same_v<V, cpu::Vec<float>>) {
    const V estimate = (V)_mm512_maskz_rcp14_ps(cpu::kAllLanes, (__m512)b);
    const V q = a * estimate;
    return q + q * (1.0f - b * estimate);
  }
#endif
  return a / b;
}

// 2^n for an integer n within the normal range.
template <class V>
HADAL_HD inline V power_of_two(Bits<V> n) {
  using F = Format<Lane<V>>;
  return from_bits<V>(add_bits<V>(n, F::kBias) << F::kMantissaBits);
}
// The integer nearest to x, as a number and as an integer, for |x| < 2^22.
template <class V>
struct Nearest {
  V n;
  Bits<V> integer;
};
template <class V>
HADAL_HD inline Nearest<V> nearest(V shifted) {  // of x + kRoundToInteger, so that the caller's multiplication can fuse
  constexpr auto kRound = Format<Lane<V>>::kRoundToInteger;
  return {shifted - kRound, add_bits<V>(to_bits(shifted), -std::bit_cast<Bits<Lane<V>>>(kRound))};
}
template <class V>
inline constexpr bool kHasScale =
#if defined(__AVX512F__) && !defined(__CUDACC__)
    !kIsScalar<V>;
#else
    false;
#endif
// x · 2^n with one rounding, for x near 1 and a result anywhere from zero over the subnormals to infinity. With kHasScale
// n may be anything, infinities included; without, a small integer.
template <class V>
HADAL_HD inline V scale(V x, [[maybe_unused]] Nearest<V> power) {
#if defined(__AVX512F__) && !defined(__CUDACC__)
  if constexpr (std::is_same_v<V, cpu::Vec<float>>) {
    return (V)_mm512_maskz_scalef_ps(cpu::kAllLanes, (__m512)x, (__m512)power.n);
  }
  if constexpr (std::is_same_v<V, cpu::Vec<double>>) {
    return (V)_mm512_maskz_scalef_pd(cpu::kAllLanes & 0xff, (__m512d)x, (__m512d)power.n);
  }
#endif
  const Bits<V> half = power.integer >> 1;
  return x * power_of_two<V>(half) * power_of_two<V>(power.integer - half);
}

#if !defined(__CUDACC__)
// Calls f on each lane, as doubles: for functions that are too rare to vectorise.
template <class V, class F, class... More>
inline V per_lane(F&& f, V x, More... more) {
  if constexpr (kIsScalar<V>) {
    return static_cast<V>(f(double{x}, double{more}...));
  } else {
    for (int i = 0; i < cpu::kLanes<Lane<V>>; ++i) x[i] = static_cast<Lane<V>>(f(double{x[i]}, double{more[i]}...));
    return x;
  }
}
#endif
// Evaluates f, written for double lanes, on floats: rounds once, at the end.
template <class V, class F, class... More>
HADAL_HD inline V via_double(F&& f, V x, More... more) {
#if !defined(__CUDACC__)
  if constexpr (!kIsScalar<V>) {
    return cpu::narrow(
        {f(cpu::widen(x).low, cpu::widen(more).low...), f(cpu::widen(x).high, cpu::widen(more).high...)});
  } else
#endif
    return static_cast<V>(f(double{x}, double{more}...));
}

// --- The exponential family --------------------------------------------------------------------------------------------

// x = n ln 2 + r with |r| <= ln 2 / 2. ln 2 is cut into a head, short enough for n · head to be exact, and a tail.
template <class V>
struct Reduced {
  Nearest<V> power;
  V r;
};
template <class V>
HADAL_HD inline Reduced<V> reduce_by_ln2(V x) {
  using T = Lane<V>;
  constexpr T kLog2E = static_cast<T>(0x1.71547652b82fep+0);
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.62e4p-1) : static_cast<T>(0x1.62e42fefa38p-1);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(0x1.7f7d1cp-20) : static_cast<T>(0x1.ef35793c7673p-45);
  const Nearest<V> power = nearest(V(x * kLog2E + Format<T>::kRoundToInteger));
  return {power, (x - power.n * kHead) - power.n * kTail};
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
// (2^r - 1) / r on |r| <= 1/2.
template <class V>
HADAL_HD inline V exp2_tail(V r) {
  if constexpr (kIsFloat<V>) {
    return polynomial(r, 0x1.62e43p-1f, 0x1.ebfbep-3f, 0x1.c6afbp-5f, 0x1.3b29f8p-7f, 0x1.5eed08p-10f, 0x1.445fbep-13f);
  } else {
    return polynomial(r, 0x1.62e42fefa39efp-1, 0x1.ebfbdff82c58fp-3, 0x1.c6b08d704a0c4p-5, 0x1.3b2ab6fba4e7cp-7,
                      0x1.5d87fe78a456fp-10, 0x1.430912f86a43dp-13, 0x1.ffcbfc6bf7526p-17, 0x1.62c022488624cp-20,
                      0x1.b524ef362b6ebp-24, 0x1.e4cef924bc99bp-28, 0x1.e9e72bd768aacp-32, 0x1.c4c59bbfacec8p-36);
  }
}

// e^x · 2^kShift.
template <int kShift, class V>
HADAL_HD inline V exp_shifted(V x) {
  using T = Lane<V>;
  Reduced<V> reduced;
#if defined(__AVX512F__) && !defined(__CUDACC__)
  if constexpr (kHasScale<V>) {
    // Scaling copes with any n, so only r has to be kept small where n is too large to be exact: the range instruction
    // returns the smaller magnitude with r's sign, and passes the number when r is NaN (then n is infinite or NaN).
    constexpr int kSmallerMagnitude = 2;
    reduced = reduce_by_ln2(x);
    if constexpr (kIsFloat<V>) {
      const __m512 bound = (__m512)splat<V>(0.35f);
      reduced.r = (V)_mm512_maskz_range_ps(cpu::kAllLanes, (__m512)reduced.r, bound, kSmallerMagnitude);
    } else {
      const __m512d bound = (__m512d)splat<V>(0.35);
      reduced.r = (V)_mm512_maskz_range_pd(cpu::kAllLanes & 0xff, (__m512d)reduced.r, bound, kSmallerMagnitude);
    }
  } else
#endif
  {
    // Beyond these the result is 0 or infinity.
    constexpr T kLow = (kIsFloat<V> ? -104 : -746) - kShift, kHigh = (kIsFloat<V> ? 89 : 710) - kShift;
    reduced = reduce_by_ln2(at_least(at_most(x, splat<V>(kHigh)), splat<V>(kLow)));
  }
  const V mantissa = (exp_tail(reduced.r) * reduced.r + T(1)) * reduced.r + T(1);
  if constexpr (kShift != 0) {
    reduced.power.n += T(kShift);
    reduced.power.integer += kShift;
  }
  return scale(mantissa, reduced.power);
}

// e^x.
template <class V>
HADAL_HD inline V exp(V x) {
  return exp_shifted<0>(x);
}

// 2^x.
template <class V>
HADAL_HD inline V exp2(V x) {
  using T = Lane<V>;
  constexpr T kLow = kIsFloat<V> ? -151 : -1076, kHigh = kIsFloat<V> ? 129 : 1025;
  const V bounded = at_least(at_most(x, splat<V>(kHigh)), splat<V>(kLow));
  const Nearest<V> power = nearest(V(bounded + Format<T>::kRoundToInteger));
  const V r = bounded - power.n;
  return scale(V(exp2_tail(r) * r + T(1)), power);
}

// e^x - 1.
template <class V>
HADAL_HD inline V expm1(V x) {
  using T = Lane<V>;
  constexpr T kLow = kIsFloat<V> ? -18 : -38, kHigh = kIsFloat<V> ? 89 : 710;
  constexpr T kTiny = kIsFloat<V> ? T(0x1p-25) : T(0x1p-54);
  const auto [power, r] = reduce_by_ln2(at_least(at_most(x, splat<V>(kHigh)), splat<V>(kLow)));
  const V p = exp_tail(r) * (r * r) + r;
  // Halved, so that e^x just under the largest number does not overflow on the way.
  const V half_power = power_of_two<V>(power.integer - 1);
  const V half = p * half_power + (half_power - T(0.5));
  return select(abs(x) < kTiny, x, V(half + half));
}

// tanh |x| = t / (2 - t) with t = 1 - e^(-2|x|).
template <class V>
HADAL_HD inline V tanh(V x) {
  using T = Lane<V>;
  constexpr T kHigh = kIsFloat<V> ? 9.02 : 20;  // from here on the result rounds to 1
  const V a = at_most(abs(x), splat<V>(kHigh));
  V t;
  if constexpr (kIsFloat<V>) {
    // e^(-2a) = 2^(n + r): the factor -2 log2 e in two parts.
    constexpr float kHead = -0x1.715476p+1f, kTail = -0x1.4ae0cp-25f;
    const V shifted = a * kHead + Format<float>::kRoundToInteger;
    const auto [n, integer] = nearest(shifted);
    const V r = a * kTail + (a * kHead - n);
    const V two_to_n = power_of_two<V>(integer);
    t = (1.0f - two_to_n) - exp2_tail(r) * (r * two_to_n);
  } else {
    const auto [power, r] = reduce_by_ln2(V(a * -2.0));
    const V two_to_n = power_of_two<V>(power.integer);
    t = (1.0 - two_to_n) - (exp_tail(r) * (r * r) + r) * two_to_n;
  }
  return with_sign(quotient(t, V(T(2) - t)), x);
}

// 1 / (1 + e^-x), from e^-|x| so that nothing overflows and the tail keeps its digits.
template <class V>
HADAL_HD inline V sigmoid(V x) {
  using T = Lane<V>;
  const V e = exp(-abs(x));
  return quotient(select(x < T(0), e, splat<V>(T(1))), V(e + T(1)));
}

// --- The logarithm family ----------------------------------------------------------------------------------------------

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
  if constexpr (!kIsScalar<V>) {
    V m, e;
    if constexpr (kIsFloat<V>) {
      m = (V)_mm512_maskz_getmant_ps(cpu::kAllLanes, (__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
      e = (V)_mm512_maskz_getexp_ps(cpu::kAllLanes, (__m512)x);
    } else {
      m = (V)_mm512_maskz_getmant_pd(cpu::kAllLanes & 0xff, (__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
      e = (V)_mm512_maskz_getexp_pd(cpu::kAllLanes & 0xff, (__m512d)x);
    }
    return {m, select(m < T(1), V(e + T(1)), e)};
  }
#endif
  using F = Format<T>;
  constexpr T kLift = static_cast<T>(kIsFloat<V> ? 0x1p23 : 0x1p52);  // makes a subnormal normal
  constexpr auto kThreeQuarters = std::bit_cast<Bits<T>>(T(0.75));
  const auto subnormal = x < std::numeric_limits<T>::min();
  const Bits<V> above = add_bits<V>(to_bits(select(subnormal, V(x * kLift), x)), -kThreeQuarters);
  V m = from_bits<V>((above & F::kMantissaMask) + kThreeQuarters);
  // The exponent, a small integer, as a number: placed into the low bits of kRoundToInteger.
  const Bits<V> exponent = above >> F::kMantissaBits;
  V e = from_bits<V>(add_bits<V>(exponent, std::bit_cast<Bits<T>>(F::kRoundToInteger))) - F::kRoundToInteger;
  e = select(subnormal, V(e - T(F::kMantissaBits)), e);
  const auto finite = x < F::kInfinity;
  const auto positive = x > T(0);
  const V one = splat<V>(T(1));
  m = select(positive, select(finite, m, one), select(x == T(0), one, splat<V>(F::kNaN)));
  return {m, select(positive, select(finite, e, x), splat<V>(-F::kInfinity))};
}

// log(1 + f) - f for 1 + f in [0.75, 1.5].
template <class V>
HADAL_HD inline V log_tail(V f) {
  if constexpr (kIsFloat<V>) {
    return f * f *
           polynomial(f, -0.5f, 0x1.55559ep-2f, -0x1.000082p-2f, 0x1.996c4p-3f, -0x1.54de2cp-3f, 0x1.283c14p-3f,
                      -0x1.0dfa02p-3f, 0x1.b1d222p-4f, -0x1.7b5f98p-5f);
  } else {
    // With s = f / (2 + f), log(1 + f) = 2 atanh s, whose odd series converges three times as fast.
    const V s = f / (f + 2.0), z = s * s, half_square = 0.5 * f * f;
    const V p = polynomial(z, 0x1.555555555554fp-1, 0x1.999999999bf7cp-2, 0x1.24924921fd1dp-2, 0x1.c71c747cae9c5p-3,
                           0x1.745c4edcdd5f7p-3, 0x1.3b3548d545e7fp-3, 0x1.0dd2ec4d7901bp-3, 0x1.1b52c353a91b7p-3);
    return s * (half_square + z * p) - half_square;
  }
}
// e ln 2 + log(1 + f).
template <class V>
HADAL_HD inline V log_of_split(V f, V e) {
  using T = Lane<V>;
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.62e4p-1) : static_cast<T>(0x1.62e42fefa38p-1);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(0x1.7f7d1cp-20) : static_cast<T>(0x1.ef35793c7673p-45);
  return e * kHead + (log_tail(f) + (e * kTail + f));
}

// The natural logarithm.
template <class V>
HADAL_HD inline V log(V x) {
  const auto [m, e] = split_exponent(x);
  return log_of_split(V(m - Lane<V>(1)), e);
}

// The binary logarithm, exact on powers of two.
template <class V>
HADAL_HD inline V log2(V x) {
  using T = Lane<V>;
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.715476p+0) : static_cast<T>(0x1.71547652b82fep+0);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(0x1.4ae0cp-26) : static_cast<T>(0x1.777d0ffda0d24p-56);
  const auto [m, e] = split_exponent(x);
  const V f = m - T(1);
  return e + (f * kHead + (f * kTail + log_tail(f) * kHead));
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
  const V f = select((x > kHuge) | (u <= T(0)), V(m - T(1)), V(x * power + (power - T(1))));
  return select(abs(x) < kTiny, x, log_of_split(f, e));
}

// log(1 + x) for 0 <= x <= 1: what softplus and its kin need, without the special cases.
template <class V>
HADAL_HD inline V log1p_unit(V x) {
  using T = Lane<V>;
  const auto upper = x > T(0.5);
  return log_of_split(select(upper, V(x * T(0.5) - T(0.5)), x), select(upper, splat<V>(T(1)), splat<V>(T(0))));
}

// --- The error function and the normal distribution --------------------------------------------------------------------

// erf |x| = 1 - 2^(-q), q = |x| Q(|x|) a polynomial fitted to -log2 erfc. Double: libm, lane by lane.
template <class V>
HADAL_HD inline V erf(V x) {
  if constexpr (kIsFloat<V>) {
    const V t = at_most(abs(x), splat<V>(3.95f));
    const V q = t * -0x1.a0be84p+0f - t * polynomial(t, -0x1.66ba46p-29f, 0x1.d63ec4p-1f, 0x1.2fabe4p-3f,
                                                     -0x1.c4b926p-6f, -0x1.e5467ep-13f, 0x1.3b3a9cp-9f,
                                                     -0x1.deaaf4p-11f, 0x1.63ed3cp-13f, -0x1.c01422p-17f);
    const auto [n, integer] = nearest(V(q + Format<float>::kRoundToInteger));
    const V r = q - n;
    const V two_to_n = power_of_two<V>(integer);
    return with_sign(V((1.0f - two_to_n) - exp2_tail(r) * r * two_to_n), x);
  } else {
#if defined(__CUDACC__)
    return ::erf(x);
#else
    return per_lane([](double lane) { return ::erf(lane); }, x);
#endif
  }
}

// e^(sign · a²) for a >= 0 without the rounding of a²: of the square of a's upper half, which is exact, and the rest. Beyond the bound it is
// 0 or infinity.
template <class V>
HADAL_HD inline V exp_of_square(V a, V sign) {
  using T = Lane<V>;
  using R = Format<T>;
  constexpr T kLog2E = static_cast<T>(0x1.71547652b82fep+0);
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.62e4p-1) : static_cast<T>(0x1.62e42fefa38p-1);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(0x1.7f7d1cp-20) : static_cast<T>(0x1.ef35793c7673p-45);
  constexpr int kLowBits = kIsFloat<V> ? 12 : 27;
  a = at_most(a, splat<V>(kIsFloat<V> ? T(10.2) : T(27.3)));
  const V head = from_bits<V>(to_bits(a) >> kLowBits << kLowBits);
  const V rest = (a - head) * (a + head);
  const Nearest<V> power = nearest(V(sign * (a * a) * kLog2E + R::kRoundToInteger));
  const V r = ((sign * (head * head) - power.n * kHead) + sign * rest) - power.n * kTail;
  return scale(V((exp_tail(r) * r + T(1)) * r + T(1)), power);
}
// e^(a²) erfc a for a >= 0: (1 + 2a) times it is smooth in (a - 2.5) / (a + 2.5). Chebyshev interpolants, in float to 3e-9 and in double to 1e-17,
// made from 60 digits; so are those below.
template <class V>
HADAL_HD inline V erfcx_of_positive(V a) {
  using T = Lane<V>;
  const V t = T(1) - T(5) / (a + T(2.5));
  V p;
  if constexpr (kIsFloat<V>) {
    p = polynomial(t, 1.26483822f, -0.122356802f, -0.0990245417f, 0.157631025f, -0.102967069f, 0.032751888f,
                   0.00093193684f, -0.00435011741f, 0.000491931976f, 0.000575361715f, -8.93404576e-05f,
                   -6.17724872e-05f, 8.47560932e-06f);
  } else {
    p = polynomial(t, 1.2648381843668615, -0.1223567630824043, -0.099024539573600176, 0.15762991902321719,
                   -0.10296705603865118, 0.032760893268747621, 0.00093189281875306277, -0.0043820783420874714,
                   0.00049186580106371056, 0.00063212435638852998, -8.8479189718687393e-05, -0.00011352241813210875,
                   6.2659493150315789e-06, 2.2699627382323323e-05, 2.6088164105576881e-06, -4.2172079657865836e-06,
                   -1.5846707407571937e-06, 5.2479100462670847e-07, 5.3262352790785499e-07, 3.6994139679117541e-08,
                   -1.2521834360579169e-07, -4.4413769762024382e-08, 1.9348758246912651e-08, 1.2398919223200735e-08,
                   -1.4858792994519738e-09, -1.4476834789833759e-09);
  }
  return T(0.5) * p / (a + T(0.5));
}
template <class V>
HADAL_HD inline V erfcx(V x) {
  using T = Lane<V>;
  const V a = abs(x), y = erfcx_of_positive(a);
  return select(x < T(0), V(T(2) * exp_of_square(a, splat<V>(T(1))) - y), y);
}
template <class V>
HADAL_HD inline V erfc(V x) {
  using T = Lane<V>;
  const V a = abs(x), y = erfcx_of_positive(a) * exp_of_square(a, splat<V>(T(-1)));
  return select(x < T(0), V(T(2) - y), y);
}

// The probability that a standard normal variable exceeds t >= 0. Float: 2^(-g), g a polynomial; the relative error grows
// from 2 ulp at 0 to 2^-17 at 6, and from 9 on the result stays below 1e-19.
template <class V>
HADAL_HD inline V normal_tail(V t) {
  if constexpr (kIsFloat<V>) {
    const V g = polynomial(t, 0x1.14df1ep-26f, -0x1.26aed4p+0f, -0x1.d63c32p-2f, -0x1.adbea4p-5f, 0x1.c8a34cp-8f,
                           -0x1.8975c6p-17f, -0x1.2257eep-12f, 0x1.4102bp-14f, -0x1.758344p-17f, 0x1.dc72ecp-21f,
                           -0x1.054350p-25f);
    const auto [n, integer] = nearest(V(g + Format<float>::kRoundToInteger));
    const V r = g - n;
    return (exp2_tail(r) * r + 1.0f) * power_of_two<V>(integer - 1);
  } else {
    return 0.5 * erfc(V(t * 0.70710678118654752440));
  }
}
// Where normal_tail's polynomial ends: arguments are to be bounded by this.
template <class V>
inline constexpr Lane<V> kNormalTailEnd = kIsFloat<V> ? 9 : 40;

// --- Circular functions ------------------------------------------------------------------------------------------------

// x = n π/2 + r with |r| <= π/4, for |x| <= kReducible: π/2 in parts short enough for n times each to be exact.
template <class V>
inline constexpr Lane<V> kReducible = kIsFloat<V> ? 12000 : 1.6e6;
template <class V>
HADAL_HD inline Reduced<V> reduce_by_half_pi(V x) {
  using T = Lane<V>;
  const Nearest<V> quadrant = nearest(V(x * static_cast<T>(0x1.45f306dc9c883p-1) + Format<T>::kRoundToInteger));
  V r;
  if constexpr (kIsFloat<V>) {
    r = (((x - quadrant.n * 0x1.92p+0f) - quadrant.n * 0x1.fb4p-12f) - quadrant.n * 0x1.444p-24f) -
        quadrant.n * 0x1.68c234p-39f;
  } else {
    r = ((x - quadrant.n * 0x1.921fb544p+0) - quadrant.n * 0x1.0b4611a6p-34) - quadrant.n * 0x1.3198a2e037073p-69;
  }
  return {quadrant, r};
}
// sin r and cos r for |r| <= π/4.
template <class V>
HADAL_HD inline V sin_reduced(V r) {
  const V z = r * r;
  if constexpr (kIsFloat<V>) {
    return r + r * z * polynomial(z, -0x1.555546p-3f, 0x1.110762p-7f, -0x1.994e8ep-13f);
  } else {
    return r + r * z *
                   polynomial(z, -0x1.5555555555549p-3, 0x1.111111110f8b2p-7, -0x1.a01a019c168e4p-13,
                              0x1.71de357ad4871p-19, -0x1.ae5e67fee23a9p-26, 0x1.5d935d8945cfep-33);
  }
}
template <class V>
HADAL_HD inline V cos_reduced(V r) {
  const V z = r * r;
  if constexpr (kIsFloat<V>) {
    return (1.0f - 0.5f * z) + z * z * polynomial(z, 0x1.55554ap-5f, -0x1.6c0c98p-10f, 0x1.9a053ap-16f);
  } else {
    return (1.0 - 0.5 * z) + z * z *
                                 polynomial(z, 0x1.555555555554ep-5, -0x1.6c16c16c15501p-10, 0x1.a01a019cfdb38p-16,
                                            -0x1.27e4f83a8cbc8p-22, 0x1.1eea09ad7d099p-29, -0x1.8fbcac5ba2d04p-37);
  }
}
// The sine of quarter · π/2 + r: sine or cosine of r by the quarter's first bit, negated by its second.
template <class V>
HADAL_HD inline V sin_of_quarter(Bits<V> quarter, V r) {
  constexpr int kSignShift = kIsFloat<V> ? 30 : 62;
  const V value = select((quarter & 1) != 0, cos_reduced(r), sin_reduced(r));
  return from_bits<V>(to_bits(value) ^ ((quarter & 2) << kSignShift));
}

#if defined(__CUDACC__)
template <class T> HADAL_HD inline T sin(T x) { return ::sin(x); }
template <class T> HADAL_HD inline T cos(T x) { return ::cos(x); }
template <class T> HADAL_HD inline T tan(T x) { return ::tan(x); }
template <class T> HADAL_HD inline T asin(T x) { return ::asin(x); }
template <class T> HADAL_HD inline T acos(T x) { return ::acos(x); }
template <class T> HADAL_HD inline T atan(T x) { return ::atan(x); }
template <class T> HADAL_HD inline T atan2(T y, T x) { return ::atan2(y, x); }
template <class T> HADAL_HD inline T sinh(T x) { return ::sinh(x); }
template <class T> HADAL_HD inline T cosh(T x) { return ::cosh(x); }
template <class T> HADAL_HD inline T asinh(T x) { return ::asinh(x); }
template <class T> HADAL_HD inline T acosh(T x) { return ::acosh(x); }
template <class T> HADAL_HD inline T atanh(T x) { return ::atanh(x); }
template <class T> HADAL_HD inline T log10(T x) { return ::log10(x); }
template <class T> HADAL_HD inline T lgamma(T x) { return ::lgamma(x); }
template <class T> HADAL_HD inline T pow(T x, T y) { return ::pow(x, y); }
template <class T> HADAL_HD inline T hypot(T x, T y) { return ::hypot(x, y); }
template <class T> HADAL_HD inline T fmod(T x, T y) { return ::fmod(x, y); }
#else
// Vectors with an argument beyond kReducible leave for libm: the one branch in this file.
template <class V>
inline V sin(V x) {
  if (any(abs(x) > kReducible<V>)) [[unlikely]]
    return per_lane([](double lane) { return std::sin(lane); }, x);
  const auto [quadrant, r] = reduce_by_half_pi(x);
  return select(x == Lane<V>(0), x, sin_of_quarter(quadrant.integer, r));
}
template <class V>
inline V cos(V x) {
  if (any(abs(x) > kReducible<V>)) [[unlikely]]
    return per_lane([](double lane) { return std::cos(lane); }, x);
  const auto [quadrant, r] = reduce_by_half_pi(x);
  return sin_of_quarter<V>(quadrant.integer + 1, r);
}
template <class V>
inline V tan(V x) {
  if (any(abs(x) > kReducible<V>)) [[unlikely]]
    return per_lane([](double lane) { return std::tan(lane); }, x);
  const auto [quadrant, r] = reduce_by_half_pi(x);
  const auto odd = (quadrant.integer & 1) != 0;
  const V s = sin_reduced(r), c = cos_reduced(r);
  return select(x == Lane<V>(0), x, V(select(odd, V(-c), s) / select(odd, s, c)));
}

// atan(n / d) for 0 <= n <= d, d > 0: above tan(π/8) by the difference formula around π/4.
template <class V>
inline V atan_of_ratio(V n, V d) {
  using T = Lane<V>;
  const auto upper = n > d * static_cast<T>(0.41421356237309505);
  const V u = select(upper, V(n - d), n) / select(upper, V(n + d), d);
  const V z = u * u;
  V p;
  if constexpr (kIsFloat<V>) {
    p = polynomial(z, -0x1.55554ap-2f, 0x1.9991eap-3f, -0x1.23ba68p-3f, 0x1.b2315ap-4f, -0x1.f32b0cp-5f);
  } else {
    p = polynomial(z, -0x1.5555555555543p-2, 0x1.99999999963a1p-3, -0x1.24924922e90f1p-3, 0x1.c71c70fa792e8p-4,
                   -0x1.745cfaea3d3dbp-4, 0x1.3b113a5e0135ap-4, -0x1.10ed14794f530p-4, 0x1.df21b132e9357p-5,
                   -0x1.9d205aa96894fp-5, 0x1.388f5c741c7fbp-5, -0x1.26eb4d639664cp-6);
  }
  const V r = u + u * z * p;
  constexpr T kQuarterPi = static_cast<T>(0.78539816339744831);
  constexpr T kRest = kIsFloat<V> ? static_cast<T>(-0x1.777a5cp-26) : static_cast<T>(0x1.1a62633145c07p-55);
  return select(upper, V(kQuarterPi + (r + kRest)), r);
}
template <class V>
inline V half_pi_minus(V x) {
  using T = Lane<V>;
  constexpr T kRest = kIsFloat<V> ? static_cast<T>(-0x1.777a5cp-25) : static_cast<T>(0x1.1a62633145c07p-54);
  return static_cast<T>(1.5707963267948966) - (x - kRest);
}
template <class V>
inline V atan(V x) {
  const V a = abs(x), one = splat<V>(Lane<V>(1));
  const auto inverted = a > Lane<V>(1);
  // At infinity 1 / a is 0; written as a ratio it would be inf - inf.
  const V r = atan_of_ratio(select(inverted, V(one / a), a), one);
  return with_sign(select(inverted, half_pi_minus(r), r), x);
}
template <class V>
inline V atan2(V y, V x) {
  using T = Lane<V>;
  const V a = abs(y), b = abs(x), one = splat<V>(T(1)), zero = splat<V>(T(0));
  const auto steep = a > b;
  V n = select(steep, b, a), d = select(steep, a, b);
  const auto infinite = d == Format<T>::kInfinity;
  n = select(infinite, select(n == Format<T>::kInfinity, one, zero), n);
  d = select(infinite | (d == T(0)), one, d);
  // A sum of the two could overflow, so large ones are scaled down.
  const V shrink = select(d > std::numeric_limits<T>::max() / 4, splat<V>(T(0.25)), one);
  V r = atan_of_ratio(V(n * shrink), V(d * shrink));
  r = select(steep, half_pi_minus(r), r);
  constexpr T kRest = kIsFloat<V> ? static_cast<T>(-0x1.777a5cp-24) : static_cast<T>(0x1.1a62633145c07p-53);
  r = select(sign_bit(x), V(static_cast<T>(3.1415926535897931) - (r - kRest)), r);
  return select((x != x) | (y != y), splat<V>(Format<T>::kNaN), with_sign(r, y));
}

// (asin x - x) / x³ with z = x² <= 1/4.
template <class V>
inline V asin_tail(V z) {
  if constexpr (kIsFloat<V>) {
    return polynomial(z, 0x1.5555c6p-3f, 0x1.33026p-4f, 0x1.7475a6p-5f, 0x1.8c685ep-6f, 0x1.5942c6p-5f);
  } else {
    return polynomial(z, 0x1.555555555556fp-3, 0x1.333333332ed55p-4, 0x1.6db6db719d095p-5, 0x1.f1c71aba33ec7p-6,
                      0x1.6e8bdb4dd404cp-6, 0x1.1c4a2964e76c3p-6, 0x1.ca1abba01cb32p-7, 0x1.75a98aa941b8fp-7,
                      0x1.60828955e8bacp-7, 0x1.f028a87d74e78p-9, 0x1.60b5b38c3d321p-6, -0x1.5420cf9aaa99fp-6,
                      0x1.0a2287e83ea78p-5);
  }
}
// Above 1/2 by asin a = π/2 - 2 asin sqrt((1 - a) / 2); beyond 1 the root is NaN.
template <class V>
inline V asin(V x) {
  using T = Lane<V>;
  const V a = abs(x);
  const auto upper = a > T(0.5);
  const V z = select(upper, V((T(1) - a) * T(0.5)), V(a * a));
  const V s = select(upper, sqrt(z), a);
  const V r = s + s * z * asin_tail(z);
  return with_sign(select(upper, half_pi_minus(V(r + r)), r), x);
}
template <class V>
inline V acos(V x) {
  using T = Lane<V>;
  const V a = abs(x);
  const auto upper = a > T(0.5);
  const V z = select(upper, V((T(1) - a) * T(0.5)), V(a * a));
  const V s = select(upper, sqrt(z), a);
  const V r = s + s * z * asin_tail(z);
  constexpr T kRest = kIsFloat<V> ? static_cast<T>(-0x1.777a5cp-24) : static_cast<T>(0x1.1a62633145c07p-53);
  const V twice = r + r;
  const V near_one = select(x < T(0), V(static_cast<T>(3.1415926535897931) - (twice - kRest)), twice);
  return select(upper, near_one, half_pi_minus(select(sign_bit(x), V(-r), r)));
}

// --- Hyperbolic functions ----------------------------------------------------------------------------------------------

// With h = e^|x| / 2, computed so that it overflows only where the result does: h ± 1/(4h).
template <class V>
inline V cosh(V x) {
  const V h = exp_shifted<-1>(abs(x));
  return h + Lane<V>(0.25) / h;
}
template <class V>
inline V sinh(V x) {
  using T = Lane<V>;
  const V a = abs(x), z = a * a;
  V p;
  if constexpr (kIsFloat<V>) {
    p = polynomial(z, 0x1.555556p-3f, 0x1.111136p-7f, 0x1.9ffe1ep-13f, 0x1.7a251ep-19f);
  } else {
    p = polynomial(z, 0x1.5555555555556p-3, 0x1.11111111110a2p-7, 0x1.a01a01a029038p-13, 0x1.71de3a4609fd6p-19,
                   0x1.ae64675975262p-26, 0x1.611a3eab737efp-33, 0x1.b4ce38ec01c90p-41);
  }
  const V h = exp_shifted<-1>(a);
  return with_sign(select(a < T(1), V(a + a * z * p), V(h - T(0.25) / h)), x);
}

// The inverses in double; for floats that rounds once.
template <class V>
inline V asinh(V x) {
  if constexpr (kIsFloat<V>) {
    return via_double([](auto lane) { return asinh(lane); }, x);
  } else {
    const V a = abs(x), z = a * a;
    const V near = log1p(V(a + z / (1.0 + sqrt(V(z + 1.0)))));
    return with_sign(select(a > 0x1p28, V(log(a) + 0x1.62e42fefa39efp-1), near), x);
  }
}
template <class V>
inline V acosh(V x) {
  if constexpr (kIsFloat<V>) {
    return via_double([](auto lane) { return acosh(lane); }, x);
  } else {
    const V t = x - 1.0;
    const V near = log1p(V(t + sqrt(V(t + t + t * t))));
    return select(x < 1.0, splat<V>(Format<double>::kNaN), select(x > 0x1p28, V(log(x) + 0x1.62e42fefa39efp-1), near));
  }
}
template <class V>
inline V atanh(V x) {
  if constexpr (kIsFloat<V>) {
    return via_double([](auto lane) { return atanh(lane); }, x);
  } else {
    const V a = abs(x);
    return with_sign(V(0.5 * log1p(V((a + a) / (1.0 - a)))), x);
  }
}
template <class V>
inline V log10(V x) {
  using T = Lane<V>;
  // log10 2 as a head that an exponent multiplies exactly, and a tail; the same for 1 / ln 10.
  constexpr T kTwoHead = kIsFloat<V> ? static_cast<T>(0x1.344p-2) : static_cast<T>(0x1.34413509f7p-2);
  constexpr T kTwoTail = kIsFloat<V> ? static_cast<T>(0x1.3509f8p-18) : static_cast<T>(0x1.3fde623e2566bp-43);
  constexpr T kHead = kIsFloat<V> ? static_cast<T>(0x1.bcb7b2p-2) : static_cast<T>(0x1.bcb7b1526e50ep-2);
  constexpr T kTail = kIsFloat<V> ? static_cast<T>(-0x1.5b235ep-27) : static_cast<T>(0x1.95355baaafad3p-57);
  const auto [m, e] = split_exponent(x);
  const V f = m - T(1);
  return e * kTwoHead + (f * kHead + (e * kTwoTail + (f * kTail + log_tail(f) * kHead)));
}

// --- Powers ------------------------------------------------------------------------------------------------------------

// x^y with the special cases of IEEE 754. Floats as e^(y log |x|) in double; doubles by libm, lane by lane, since the
// product would need more than double precision.
template <class V>
inline V pow(V x, V y) {
  if constexpr (kIsFloat<V>) {
    return via_double(
        [](auto base, auto exponent) {
          using D = decltype(base);
          const D one = splat<D>(1.0), a = abs(base);
          const D magnitude = exp(D(exponent * log(a)));
          // Doubles beyond 2^53 are even integers, and floats reach only that far with a fraction.
          const auto integral = rint(exponent) == exponent;
          const auto odd = integral & (rint(D(exponent * 0.5)) != exponent * 0.5);
          const auto no_root = (base < 0.0) & (a < Format<double>::kInfinity) & (rint(exponent) != exponent);
          const D value =
              select(no_root, splat<D>(Format<double>::kNaN), select(odd & sign_bit(base), D(-magnitude), magnitude));
          const auto to_one =
              (base == 1.0) | (exponent == 0.0) | ((base == -1.0) & (abs(exponent) == Format<double>::kInfinity));
          return select(to_one, one, value);
        },
        x, y);
  } else {
    return per_lane([](double base, double exponent) { return std::pow(base, exponent); }, x, y);
  }
}
// x - y trunc(x / y), exact, with x's sign. Floats in double, where quotients below 2^29 leave the product exact; a vector with a
// larger one, or with an infinity, and doubles go to libm lane by lane.
template <class V>
inline V fmod(V x, V y) {
  if constexpr (kIsFloat<V>) {
    const V ratio = abs(x) / abs(y);
    const auto ordinary = (ratio < 0x1p29f) & (abs(y) < Format<float>::kInfinity);
    if (!any(ordinary == 0)) [[likely]] {
      return via_double(
          [](auto a, auto b) {
            using D = decltype(a);
            const D divisor = abs(b);
            D rest = abs(a);
            rest = rest - trunc(D(rest / divisor)) * divisor;
            // The quotient may have rounded up to the next whole number.
            rest = select(rest < 0.0, D(rest + divisor), rest);
            return with_sign(rest, a);
          },
          x, y);
    }
  }
  return per_lane([](double a, double b) { return std::fmod(a, b); }, x, y);
}
template <class V>
inline V hypot(V x, V y) {
  if constexpr (kIsFloat<V>) {
    const V root = via_double([](auto a, auto b) { return sqrt(decltype(a)(a * a + b * b)); }, x, y);
    const auto infinite = (abs(x) == Format<float>::kInfinity) | (abs(y) == Format<float>::kInfinity);
    return select(infinite, splat<V>(Format<float>::kInfinity), root);
  } else {
    return per_lane([](double a, double b) { return std::hypot(a, b); }, x, y);
  }
}

// Doubles by libm, lane by lane, which keeps the digits around the zeros at 1 and 2; floats in double. Those below 8 are shifted up by it, by the product of what
// lies between, then Stirling's series; left of 0 by reflection, where a vector has one.
template <class V>
inline V lgamma(V x) {
  if constexpr (!kIsFloat<V>) {
    return per_lane(
        [](double lane) {
#if defined(_WIN32)
          return ::lgamma(lane);
#else
          int sign;  // which lgamma would write where all threads see it
          return ::lgamma_r(lane, &sign);
#endif
        },
        x);
  } else {
    return via_double(
        [](auto lane) {
          using D = decltype(lane);
          const auto is_low = lane < 0.0;
          const D y = select(is_low, D(1.0 - lane), lane);
          D product = y;
          for (int k = 1; k < 8; ++k) product *= y + static_cast<double>(k);
          const auto is_small = y < 8.0;
          const D z = select(is_small, D(y + 8.0), y), inverse = 1.0 / z;
          const D series = inverse * polynomial(D(inverse * inverse), 1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680,
                                                1.0 / 1188, -691.0 / 360360, 1.0 / 156, -3617.0 / 122400);
          // ½ log 2π - ½
          const D sum =
              (z - 0.5) * (log(z) - 1.0) + 0.41893853320467274 + series - log(select(is_small, product, splat<D>(1.0)));
          const D value = select((y == 1.0) | (y == 2.0), splat<D>(0.0), sum);
          if (!any(is_low)) return value;
          const D distance = lane - rint(lane);
          const D reflected = log(D(3.1415926535897931 / abs(sin(D(distance * 3.1415926535897931))))) - value;
          return select(is_low, select(y == HUGE_VAL, y, reflected), value);
        },
        x);
  }
}
#endif

// --- Special functions -------------------------------------------------------------------------------------------------

// The derivative of log Γ, in double: those below 8 shifted up by it, then the asymptotic series; left of 0 by reflection.
template <class V>
HADAL_HD inline V digamma(V x) {
  if constexpr (kIsFloat<V>) {
    return via_double([](auto lane) { return digamma(lane); }, x);
  } else {
    const auto is_low = x < 0.0;
    const V y = select(is_low, V(1.0 - x), abs(x));
    // The product of y + k, and its slope: their ratio is the sum of 1 / (y + k).
    V product = y, slope = splat<V>(1.0);
    for (int k = 1; k < 8; ++k) {
      const V next = y + static_cast<double>(k);
      slope = slope * next + product;
      product *= next;
    }
    const auto is_small = y < 8.0;
    const V z = select(is_small, V(y + 8.0), y), inverse = 1.0 / z, square = inverse * inverse;
    const V series = square * polynomial(square, 1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760,
                                         1.0 / 12, -3617.0 / 8160);
    const V value = (log(z) - 0.5 * inverse) - series - select(is_small, V(slope / product), splat<V>(0.0));
    // The nearest period keeps the tangent's digits.
    const V distance = x - rint(x);
    const V reflected = value - 3.1415926535897931 / tan(V(distance * 3.1415926535897931));
    const V left = select(distance == 0.0, splat<V>(Format<double>::kNaN), reflected);
    return select(is_low, left, select(x == 0.0, with_sign(splat<V>(HUGE_VAL), V(-x)), value));
  }
}

// The modified Bessel function of the first kind, order 0 or 1, with kScaled times e^-|x|. Below 8 as a polynomial in x² / 4, whose coefficients
// are all positive, from there on √|x| e^-|x| I(|x|) as one in 1 / |x|.
template <int kOrder, bool kScaled, class V>
HADAL_HD inline V bessel_i(V x) {
  using T = Lane<V>;
  const V a = abs(x), z = a * a * T(0.25), t = T(16) / a - T(1);
  V small, large;
  if constexpr (kIsFloat<V>) {
    if constexpr (kOrder == 0) {
      small = polynomial(z, 1.0f, 1.0f, 0.249999985f, 0.0277777929f, 0.00173610146f, 6.94478367e-05f, 1.92825496e-06f,
                         3.94785715e-08f, 6.04336137e-10f, 8.27921932e-12f, 4.88715513e-14f, 1.2115991e-15f);
      large = polynomial(t, 0.402176499f, 0.00336055318f, 0.000136156159f, 1.11221561e-05f, 1.63903985e-06f,
                         3.54761994e-07f);
    } else {
      small = polynomial(z, 1.0f, 0.5f, 0.0833333656f, 0.00694441609f, 0.0003472362f, 1.15700277e-05f, 2.76299971e-07f,
                         4.83761031e-09f, 7.44242099e-11f, 4.89614751e-13f, 1.33355851e-14f);
      large = polynomial(t, 0.389398456f, -0.00974957831f, -0.000219168272f, -1.50152755e-05f, -2.00963723e-06f,
                         -4.12091367e-07f);
    }
  } else {
    if constexpr (kOrder == 0) {
      small =
          polynomial(z, 1, 1, 0.25, 0.02777777777777778, 0.001736111111111106, 6.9444444444448795e-05,
                     1.9290123456765543e-06, 3.9367598892378866e-08, 6.1511873240097452e-10, 7.5940584868364238e-12,
                     7.5940574933844692e-14, 6.2760926161204908e-16, 4.3582869197602222e-18, 2.5796346353114483e-20,
                     1.3122104575180078e-22, 5.9765895692344508e-25, 1.9739699188457068e-27, 1.2294574273495177e-29);
      large =
          polynomial(t, 0.4021765094450081, 0.0033605519836678944, 0.00013621607439186705, 1.1143033787545386e-05,
                     1.4838475687894938e-06, 2.9735996224521226e-07, 8.8722143074517321e-08, 3.9324376995334589e-08,
                     2.1548893617586299e-08, 7.5663524876982374e-09, -6.7505522827402842e-09, -1.3466292948373959e-08,
                     -5.3944567342594381e-09, 7.7371470337809335e-09, 7.4062350490015218e-09, -3.9052306237123407e-09,
                     -5.9155605651085601e-09, 2.1053080134403423e-09, 3.5985362919394714e-09, -1.1448789558755036e-09,
                     -1.5930354799216344e-09, 5.1222121472283882e-10, 4.4789181847911815e-10, -1.5066113686101474e-10,
                     -5.9050245739951481e-11, 2.0820835852793106e-11);
    } else {
      small = polynomial(z, 1, 0.5, 0.083333333333333329, 0.0069444444444444449, 0.00034722222222222196,
                         1.1574074074074299e-05, 2.7557319223973204e-07, 4.9209498614761529e-09, 6.834652583882281e-11,
                         7.5940584584446626e-13, 6.9036889973160248e-15, 5.2300736107170654e-17, 3.35255437560049e-19,
                         1.8424569560103177e-21, 8.7533995952929739e-24, 3.7215794375522944e-26, 1.1827522120067012e-28,
                         6.6757722173040183e-31);
      large =
          polynomial(t, 0.38939845902587233, -0.0097495771932357683, -0.00021923576383382282, -1.5038547197358572e-05,
                     -1.8349101357991557e-06, -3.4838567401229716e-07, -1.0001282610189342e-07, -4.3127789201676093e-08,
                     -2.3374467872424478e-08, -8.4388009058213693e-09, 6.737493433374833e-09, 1.4088520752025449e-08,
                     5.9636457981667073e-09, -7.8169682667678977e-09, -7.8630046975550564e-09, 3.803814960536081e-09,
                     6.2029841130004429e-09, -1.9920765512031881e-09, -3.7534433873591298e-09, 1.0715528639398075e-09,
                     1.6577646994563189e-09, -4.7987515369340228e-10, -4.6561597954216946e-10, 1.4176508428695361e-10,
                     6.1359327783938119e-11, -1.9677083272584384e-11);
    }
  }
  if constexpr (kOrder == 1) small *= a * T(0.5);
  large = large / sqrt(a);
  if constexpr (kScaled) {
    small *= exp(V(-a));
  } else {
    const V root = exp(V(a * T(0.5)));  // e^a may leave the range where its product does not
    large = select(a == Format<T>::kInfinity, a, V(large * root * root));
  }
  const V y = select(a < T(8), small, large);
  return kOrder == 1 ? with_sign(y, x) : y;
}

// --- One number at a time, in double -----------------------------------------------------------------------------------

// Hurwitz' zeta function Σ_{k>=0} (q + k)^-s for s > 1 and q > 0: terms up to q + k = 20 + s, then Euler-Maclaurin.
HADAL_HD inline double zeta_of_positive(double s, double q) {
  double value = 0;
  for (; q < 20 + s; q += 1) {
    const double term = ::pow(q, -s);
    value += term;
    if (term <= value * 1e-17) return value;  // equal: both 0, or infinite
  }
  // Σ_{k>=0} (q + k)^-s = q^(1-s)/(s-1) + q^-s/2 + Σ_j B_2j/(2j)! s(s+1)…(s+2j-2) q^(-s-2j+1).
  const double bernoulli[] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6};
  value += ::pow(q, 1 - s) / (s - 1) + 0.5 * ::pow(q, -s);
  double term = s * ::pow(q, -s - 1) / 2;  // s(s+1)…/(2j)! · q^…, for j = 1
  for (int j = 1; j <= 7; ++j) {
    value += bernoulli[j - 1] * term;
    term *= (s + 2 * j - 1) * (s + 2 * j) / ((2 * j + 1) * (2 * j + 2)) / (q * q);
  }
  return value;
}
HADAL_HD inline double zeta_scalar(double s, double q) {
  if (!(s > 1)) return s == 1 ? HUGE_VAL : Format<double>::kNaN;
  if (q <= 0 && q == ::floor(q)) return HUGE_VAL;
  if (!(q < 0)) return zeta_of_positive(s, q);
  if (s != ::floor(s)) return Format<double>::kNaN;
  // The terms right of 0, and those left of it, of which there may be very many: all that lie there but those beyond q.
  const double right = q - ::floor(q), sign = ::fmod(s, 2) == 0 ? 1 : -1;
  return zeta_of_positive(s, right) + sign * (zeta_of_positive(s, 1 - right) - zeta_of_positive(s, 1 - q));
}

// ζ(2, x) for x > 0: shifted above 10, then the asymptotic series.
HADAL_HD inline double trigamma_of_positive(double x) {
  double value = 0;
  for (; x < 10; x += 1) value += 1 / (x * x);
  const double z = 1 / (x * x);
  const double series =
      z * (1.0 / 6 -
           z * (1.0 / 30 - z * (1.0 / 42 - z * (1.0 / 30 - z * (5.0 / 66 - z * (691.0 / 2730 - z * (7.0 / 6)))))));
  return value + 0.5 * z + (1 + series) / x;
}

inline constexpr int kMaxPolygammaOrder = 64;
// The order-th derivative of digamma, (-1)^(n+1) n! ζ(n + 1, x). Left of 0 by reflection, whose cotangent differentiates into
// polynomials of itself.
HADAL_HD inline double polygamma_scalar(int order, double x) {
  if (order == 0) return digamma(x);
  if (x <= 0 && x == ::floor(x)) return order % 2 == 0 ? Format<double>::kNaN : HUGE_VAL;
  double reflected = 0, factor = order % 2 == 0 ? -1 : 1;
  if (x < 0) {
    // ψ⁽ⁿ⁾(x) = (-1)ⁿ ψ⁽ⁿ⁾(1 - x) - π dⁿ/dxⁿ cot πx.
    double c[kMaxPolygammaOrder + 3] = {0, 1}, derivative[kMaxPolygammaOrder + 3];
    for (int n = 0; n < order; ++n) {
      for (int i = 0; i <= n + 2; ++i) derivative[i] = 0;
      for (int i = 1; i <= n + 1; ++i) {
        derivative[i - 1] -= i * c[i] * 3.1415926535897931;
        derivative[i + 1] -= i * c[i] * 3.1415926535897931;
      }
      for (int i = 0; i <= n + 2; ++i) c[i] = derivative[i];
      c[n + 3] = 0;
    }
    const double cotangent = 1 / ::tan(3.1415926535897931 * (x - ::rint(x)));
    double power = c[order + 1];
    for (int i = order; i >= 0; --i) power = power * cotangent + c[i];
    reflected = -3.1415926535897931 * power;
    factor = -1;
    x = 1 - x;
  }
  double factorial = 1;
  for (int i = 2; i <= order; ++i) factorial *= i;
  return factor * factorial * (order == 1 ? trigamma_of_positive(x) : zeta_scalar(order + 1, x)) + reflected;
}

// The normal distribution's quantile: a rational start (Abramowitz and Stegun 26.2.23), then Halley's iteration, in the tail
// where erfc keeps its digits.
HADAL_HD inline double ndtri_scalar(double p) {
  const double tail = p < 0.5 ? p : 1 - p;
  if (!(tail > 0)) return tail == 0 ? (p < 0.5 ? -HUGE_VAL : HUGE_VAL) : Format<double>::kNaN;
  const double t = ::sqrt(-2 * ::log(tail));
  double y = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int step = 0; step < 3; ++step) {
    const double newton = (0.5 * ::erfc(y * 0.70710678118654752) - tail) * 2.5066282746310005 * ::exp(y * y / 2);
    y += newton / (1 + y * newton / 2);
  }
  return p < 0.5 ? -y : y;
}

// x^a e^-x / Γ(a + 1): from 10 on by Stirling's series, where the powers would cancel each other's digits.
HADAL_HD inline double gamma_density(double a, double x) {
  if (a < 10) return ::exp(a * ::log(x) - x - ::lgamma(a + 1));
  const double d = (x - a) / a, z = 1 / (a * a);
  const double correction = (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z / 1680))) / a;
  return ::exp(a * (::log1p(d) - d) - correction) / ::sqrt(6.2831853071795865 * a);
}
// The regularised incomplete gamma function, Γ(a, x) / Γ(a) with `upper`, else 1 minus that. Each is computed where it is the
// smaller: below the mean by the power series, else by the continued fraction (Lentz); for large a uniformly (Temme 1979).
HADAL_HD inline double incomplete_gamma_scalar(bool upper, double a, double x) {
  if (!(a >= 0 && x >= 0) || (a == 0 && x == 0) || (a == HUGE_VAL && x == HUGE_VAL)) return Format<double>::kNaN;
  if (x == 0 || a == HUGE_VAL) return upper ? 1 : 0;
  if (a == 0 || x == HUGE_VAL) return upper ? 0 : 1;
  if (a > 1e5) {
    const double d = (x - a) / a, half = d - ::log1p(d);  // η² / 2
    const double eta = ::copysign(::sqrt(2 * (half > 0 ? half : 0)), d);
    const double series[] = {-1.0 / 3,   1.0 / 12,        -2.0 / 135,  1.0 / 864,
                             1.0 / 2835, -139.0 / 777600, 1.0 / 25515, -571.0 / 261273600};
    double c = 0;
    for (int i = 7; i >= 0; --i) c = c * eta + series[i];
    const double decay = ::exp(-a * half);  // 0 where x / a is less than a rounding error, and η infinite
    const double rest = decay == 0 ? 0 : decay / ::sqrt(6.2831853071795865 * a) * (c - 1 / (540 * a));
    const double side = upper ? 1 : -1;
    return 0.5 * ::erfc(side * eta * ::sqrt(a / 2)) + side * rest;
  }
  const double density = gamma_density(a, x);
  if (x < 1 && upper && a < 1) {
    // 1 - x^a / Γ(a + 1) in digits that the difference would lose, and the rest of the power series.
    const double lead = a * ::log(x) - ::lgamma(a + 1);
    double term = 1, sum = 0;
    for (int k = 1; k < 40; ++k) {
      term *= -x / k;
      sum += term / (a + k);
    }
    return -::expm1(lead) - ::exp(lead) * a * sum;
  }
  if (x < a + 1) {
    double term = 1, sum = 1;
    for (double k = a + 1; term > sum * 1e-17; k += 1) sum += term *= x / k;
    return upper ? 1 - density * sum : density * sum;
  }
  double b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d;
  for (int k = 1; k < 10000; ++k) {
    const double numerator = k * (a - k);
    b += 2;
    d = 1 / (b + numerator * d);
    c = b + numerator / c;
    fraction *= c * d;
    if (::fabs(c * d - 1) < 1e-16) break;
  }
  return upper ? density * a * fraction : 1 - density * a * fraction;
}

// A whole number of a distribution with one mode, from one uniform number: walks outwards from the mode, whose probability is
// given, and takes the place where the sum of the probabilities passes u. `up(k)` and `down(k)` are the ratios of the
// probabilities of k + 1 and k - 1 to that of k.
template <class Up, class Down>
HADAL_HD inline double walk_from_mode(double mode, double probability, double u, Up up, Down down) {
  double above = mode, below = mode, p_above = probability, p_below = probability;
  u -= probability;
  while (u >= 0 && (p_above > 0 || p_below > 0)) {
    p_above *= up(above);
    if ((u -= p_above) < 0) return above + 1;
    above += 1;
    p_below *= down(below);
    if ((u -= p_below) < 0) return below - 1;
    below -= 1;
  }
  return mode;
}
// Beyond this variance a walk is long, and the normal distribution, bent by the skewness (Cornish and Fisher 1938), differs by some 1e-6.
inline constexpr double kLargestWalk = 1048576.0;
HADAL_HD inline double rounded_normal(double mean, double deviation, double skewness, double u) {
  const double z = ndtri_scalar(u);
  return ::floor(mean + deviation * (z + skewness * (z * z - 1) / 6) + 0.5);
}
// Numbers of the Poisson and of the binomial distribution from uniform ones.
HADAL_HD inline double poisson_scalar(double rate, double u) {
  if (!(rate > 0)) return rate == 0 ? 0 : Format<double>::kNaN;
  if (rate > kLargestWalk) return rounded_normal(rate, ::sqrt(rate), 1 / ::sqrt(rate), u);
  const double mode = ::floor(rate);
  return walk_from_mode(
      mode, gamma_density(mode, rate), u, [=](double k) { return rate / (k + 1); }, [=](double k) { return k / rate; });
}
HADAL_HD inline double binomial_scalar(double count, double p, double u) {
  if (!(count >= 0 && p >= 0 && p <= 1)) return Format<double>::kNaN;
  const double n = ::floor(count), q = 1 - p, variance = n * p * q;
  if (variance == 0) return p == 1 ? n : 0;
  if (variance > kLargestWalk) return rounded_normal(n * p, ::sqrt(variance), (q - p) / ::sqrt(variance), u);
  const double mode = ::fmin(::floor((n + 1) * p), n);
  return walk_from_mode(
      mode, gamma_density(mode, n * p) * gamma_density(n - mode, n * q) / gamma_density(n, n), u,
      [=](double k) { return (n - k) / (k + 1) * (p / q); }, [=](double k) { return k / (n - k + 1) * (q / p); });
}

// A number of the gamma distribution of the given concentration and rate 1 (Marsaglia and Tsang 2000), by attempts whose numbers are those of
// a Philox stream that has the bits of a uniform number as its key. Concentrations below 1 are drawn one higher and taken back.
HADAL_HD inline double gamma_scalar(double concentration, double uniform) {
  if (!(concentration > 0) || concentration == HUGE_VAL) return concentration == 0 ? 0 : Format<double>::kNaN;
  const uint64_t bits = static_cast<uint64_t>(uniform * 0x1p53);
  const PhiloxKey key{static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32)};
  const bool is_low = concentration < 1;
  const double d = (is_low ? concentration + 1 : concentration) - 1.0 / 3, c = 1 / ::sqrt(9 * d);
  uint32_t words[4];
  double v = 1;
  for (uint64_t attempt = 1; attempt < 1000; ++attempt) {  // 19 of 20 succeed
    philox(attempt, key, words);
    const double radius = ::sqrt(-2 * ::log((words[0] + 0.5) * 0x1p-32));
    const double normal = radius * ::cos(6.2831853071795865 * (words[1] * 0x1p-32));
    v = 1 + c * normal;
    if (v <= 0) continue;
    v = v * v * v;
    const double chance = philox_unit_double(words[2], words[3]);
    if (::log(1 - chance) < normal * normal / 2 + d * (1 - v + ::log(v))) break;
  }
  if (!is_low) return d * v;
  philox(0, key, words);
  return d * v * ::exp(::log(1 - philox_unit_double(words[0], words[1])) / concentration);
}
// How a number x of the gamma distribution of concentration a moves with a when its share of the probability stays: -(dP/da) / (dP/dx)
// (Figurnov, Mohamed, Mnih 2018). From P by its power series or from 1 - P by its continued fraction, each differentiated, where no digits cancel;
// for large a by the distribution's expansion around the normal one (Cornish and Fisher 1938).
HADAL_HD inline double gamma_slope_scalar(double a, double x) {
  if (!(a > 0 && x >= 0) || a == HUGE_VAL || x == HUGE_VAL) return Format<double>::kNaN;
  if (x == 0) return 0;
  if (a > 1e5) {
    const double root = ::sqrt(a), w = (x - a) / root, z = w - (w * w - 1) / (3 * root);
    return 1 + z / (2 * root) - (z * z * z - 7 * z) / (72 * a * root);
  }
  if (x < a + 1) {
    double term = 1, sum = 1, inverses = 0, slope = 0;
    for (double k = a + 1; term > sum * 1e-17; k += 1) {
      term *= x / k;
      inverses += 1 / k;
      sum += term;
      slope -= term * inverses;
    }
    return -x / a * (sum * (::log(x) - digamma(a + 1)) + slope);
  }
  double b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d;
  double dc = 0, dd = d * d, dfraction = dd;
  for (int k = 1; k < 10000; ++k) {
    const double n = k * (a - k);
    b += 2;
    dc = (k - n * dc / c) / c - 1;
    c = b + n / c;
    const double next = 1 / (b + n * d);
    dd = next * next * (1 - k * d - n * dd);
    d = next;
    const double step = c * d, dstep = dc * d + c * dd;
    dfraction = dfraction * step + fraction * dstep;
    fraction *= step;
    if (::fabs(step - 1) < 1e-16 && ::fabs(dstep) < 1e-16) break;
  }
  return x * (fraction * (::log(x) - digamma(a)) + dfraction);
}

// f of doubles, lane by lane.
template <class V, class F, class... More>
HADAL_HD inline V in_double(F&& f, V x, More... more) {
#if defined(__CUDACC__)
  return static_cast<V>(f(double{x}, double{more}...));
#else
  return per_lane(f, x, more...);
#endif
}
// The inverse of erf: x times a function of w = -log(1 - x²), which is smooth, from √w = 2.5 on as one of √w. Chebyshev interpolants in
// float to 1.2e-7 and in double to 3e-16, made from 50 digits.
template <class V>
HADAL_HD inline V erfinv_ratio(V w, V root) {
  using T = Lane<V>;
  const V d = w - T(3.125);
  if constexpr (kIsFloat<V>) {
    const V inner = polynomial(d, 1.65365469f, 0.240158182f, -0.006034321f, -0.000740697887f, 0.000187276501f,
                               -1.38876039e-5f, -1.52713119e-6f, 4.25769406e-7f, -8.52794706e-9f, -4.61340219e-9f);
    const V outer = polynomial(V(root - 3.3f), 3.13416153f, 1.00576876f, 0.00484380217f, -0.00328530042f,
                               0.00209897207f, -0.00146217826f, 0.000857505988f, -0.000257871738f, -5.70043567e-6f);
    return select(w < T(6.25), inner, outer);
  } else {
    const V inner =
        polynomial(d, 1.6536545626831027, 0.24015818242558971, -0.0060336708714270113, -0.00074070253416694011,
                   0.00018673420802124272, -1.3882523361276876e-5, -1.3654691796592068e-6, 4.2347877672780653e-7,
                   -2.9070386660191429e-8, -4.1126331042976139e-9, 1.0512202440121784e-9, -5.4154417754696635e-11,
                   -1.2977505202014967e-11, 2.6335724924608484e-12, -8.1065944564384951e-14, -4.0554139746886005e-14,
                   6.5819553059292389e-15, 2.166994626283574e-17, -1.290702354613073e-16, 1.1125794759379465e-17,
                   1.1027771591500033e-18, -1.6787330615256772e-19, -2.3623696985661074e-22);
    const V middle =
        polynomial(V(root - 3.25), 3.0838856104922207, 1.0052589676941654, 0.005370914553555033, -0.003751208508224734,
                   0.0024914420979569604, -0.0016882755354488555, 0.00095328934157941372, -0.00035503781378524518,
                   2.4031512865758356e-5, 6.8287117392519557e-5, -4.7320680665446968e-5, 1.2465028224217455e-5,
                   2.93257845538535e-6, -3.9857059456481733e-6, 1.4815977874022539e-6, -2.7617162238162412e-8,
                   -2.4549818963339822e-7, 1.3158663683192966e-7, -2.091453334773126e-8, -1.5305397964152548e-8,
                   7.6802004790770527e-9);
    const V outer = polynomial(
        V(root - 5.1), 4.9509348530788713, 1.010266564502289, -0.00019885886828725879, -0.00018651301708240504,
        6.6800062432942879e-5, -1.7162636549272057e-5, 3.8899798713249018e-6, -8.3104902200158543e-7,
        1.78989529870195e-7, -4.5502439864256077e-8, 1.6831009497546422e-8, -8.0377068626703506e-9,
        3.9523129000166667e-9, -2.1419201051656484e-9, 1.0359697024830226e-9, -2.4227574105772944e-10);
    return select(w < T(6.25), inner, select(root < T(4), middle, outer));
  }
}
template <class V>
HADAL_HD inline V erfinv(V x) {
  using T = Lane<V>;
  const V w = -log(V((T(1) - x) * (T(1) + x))), ratio = erfinv_ratio(w, sqrt(w));
  return select(abs(x) == T(1), with_sign(splat<V>(Format<T>::kInfinity), x), V(x * ratio));
}
// The normal distribution's quantile, √2 erfinv(2p - 1), for which w = -log(4 p (1 - p)); doubles by iteration, lane by lane.
template <class V>
HADAL_HD inline V ndtri(V p) {
  if constexpr (kIsFloat<V>) {
    const V x = p + p - 1.0f, w = -log(V(4.0f * p * (1.0f - p))), root = sqrt(w);
    const V far = polynomial(V(root - 7.2f), 7.07071829f, 1.0083915f, -0.000507545832f, 1.06208809e-05f,
                             4.59572129e-06f, -1.333093e-06f, 2.54994347e-07f, -3.15063566e-08f, 5.05386444e-09f,
                             -1.8722266e-09f, 2.72280531e-10f);
    const V y = 1.41421356f * x * select(root < 4.0f, erfinv_ratio(w, root), far);
    return select(w == Format<float>::kInfinity, with_sign(w, x), y);
  } else {
    return in_double([](double lane) { return ndtri_scalar(lane); }, p);
  }
}
template <class V>
HADAL_HD inline V polygamma(int order, V x) {
  return in_double([order](double lane) { return polygamma_scalar(order, lane); }, x);
}
template <class V>
HADAL_HD inline V zeta(V s, V q) {
  return in_double([](double a, double b) { return zeta_scalar(a, b); }, s, q);
}
template <class V>
HADAL_HD inline V incomplete_gamma(bool upper, V a, V x) {
  return in_double([upper](double b, double lane) { return incomplete_gamma_scalar(upper, b, lane); }, a, x);
}

}  // namespace hadal::math
