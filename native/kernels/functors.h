// Every pointwise op of ops.def as a function object that both devices use: on the GPU its argument is a number, on the CPU a
// vector (cpu::Vec) of the instruction set at hand. Members are the op's attributes, doubles in the order of ops.def.
// 16-bit floats arrive as float. Semantics are PyTorch's; what a functor says of NaN and zero is part of them.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/math.h"

namespace hadal {

// A functor from its op's attributes.
template <class F>
F make_functor(const double* attributes) {
  F functor{};
  if constexpr (!std::is_empty_v<F>) std::memcpy(&functor, attributes, sizeof functor);
  return functor;
}

namespace functors {

using math::Format;
using math::Lane;
using math::select;
using math::splat;

template <class V>
inline constexpr bool kIsInteger = std::is_integral_v<Lane<V>>;

// Integer arithmetic that wraps: done on unsigned lanes.
template <class V, bool = math::kIsScalar<V>>
struct UnsignedOf {
  using type = std::make_unsigned_t<V>;
};
#if !defined(__CUDACC__)
template <class V>
struct UnsignedOf<V, false> {
  using type = cpu::Vec<std::make_unsigned_t<Lane<V>>>;
};
#endif
template <class V>
HADAL_HD inline auto unsigned_lanes(V x) {
  return std::bit_cast<typename UnsignedOf<V>::type>(x);
}
template <class V, class U>
HADAL_HD inline V from_unsigned(U x) {
  return std::bit_cast<V>(static_cast<typename UnsignedOf<V>::type>(x));
}

// A double as an attribute of integer lanes: NaN becomes 0, the rest is clipped to the type's range.
template <class T>
HADAL_HD inline T saturate(double value) {
  if constexpr (!std::is_integral_v<T>) {
    return static_cast<T>(value);
  } else {
    constexpr double kLow = static_cast<double>(std::numeric_limits<T>::min());
    constexpr double kHigh = static_cast<double>(std::numeric_limits<T>::max());
    return value != value   ? T(0)
           : value <= kLow  ? std::numeric_limits<T>::min()
           : value >= kHigh ? std::numeric_limits<T>::max()
                            : static_cast<T>(value);
  }
}

// The larger and the smaller; NaN if either is.
template <class V>
HADAL_HD inline V larger(V a, V b) {
  if constexpr (kIsInteger<V>) return select(a > b, a, b);
  else return select(a != a, a, math::at_least(b, a));
}
template <class V>
HADAL_HD inline V smaller(V a, V b) {
  if constexpr (kIsInteger<V>) return select(a < b, a, b);
  else return select(a != a, a, math::at_most(b, a));
}

// --- One operand -------------------------------------------------------------------------------------------------------

#define HADAL_UNARY(Name, expression)     \
  struct Name {                           \
    template <class V>                    \
    HADAL_HD V operator()(V x) const {    \
      using T [[maybe_unused]] = Lane<V>; \
      return expression;                  \
    }                                     \
  };

HADAL_UNARY(Exp, math::exp(x))
HADAL_UNARY(Exp2, math::exp2(x))
HADAL_UNARY(Expm1, math::expm1(x))
HADAL_UNARY(Log, math::log(x))
HADAL_UNARY(Log2, math::log2(x))
HADAL_UNARY(Log10, math::log10(x))
HADAL_UNARY(Log1p, math::log1p(x))
HADAL_UNARY(Sqrt, math::sqrt(x))
HADAL_UNARY(Rsqrt, T(1) / math::sqrt(x))
HADAL_UNARY(Reciprocal, T(1) / x)
HADAL_UNARY(Sin, math::sin(x))
HADAL_UNARY(Cos, math::cos(x))
HADAL_UNARY(Tan, math::tan(x))
HADAL_UNARY(Asin, math::asin(x))
HADAL_UNARY(Acos, math::acos(x))
HADAL_UNARY(Atan, math::atan(x))
HADAL_UNARY(Sinh, math::sinh(x))
HADAL_UNARY(Cosh, math::cosh(x))
HADAL_UNARY(Tanh, math::tanh(x))
HADAL_UNARY(Asinh, math::asinh(x))
HADAL_UNARY(Acosh, math::acosh(x))
HADAL_UNARY(Atanh, math::atanh(x))
HADAL_UNARY(Erf, math::erf(x))
HADAL_UNARY(Erfc, math::erfc(x))
HADAL_UNARY(Erfinv, math::erfinv(x))
HADAL_UNARY(Erfcx, math::erfcx(x))
HADAL_UNARY(Ndtri, math::ndtri(x))
HADAL_UNARY(I0, (math::bessel_i<0, false>(x)))
HADAL_UNARY(I0e, (math::bessel_i<0, true>(x)))
HADAL_UNARY(I1, (math::bessel_i<1, false>(x)))
HADAL_UNARY(I1e, (math::bessel_i<1, true>(x)))
HADAL_UNARY(Lgamma, math::lgamma(x))
HADAL_UNARY(Digamma, math::digamma(x))
HADAL_UNARY(Sigmoid, math::sigmoid(x))
HADAL_UNARY(BitwiseNot, ~x)
#undef HADAL_UNARY

struct Polygamma {
  double order;
  template <class V>
  HADAL_HD V operator()(V x) const {
    return math::polygamma(static_cast<int>(order), x);
  }
};

struct Abs {
  template <class V>
  HADAL_HD V operator()(V x) const {
    if constexpr (!kIsInteger<V>) return math::abs(x);
    else if constexpr (std::is_unsigned_v<Lane<V>>) return x;
    else return select(x < Lane<V>(0), from_unsigned<V>(-unsigned_lanes(x)), x);
  }
};
struct Neg {
  template <class V>
  HADAL_HD V operator()(V x) const {
    if constexpr (kIsInteger<V>) return from_unsigned<V>(-unsigned_lanes(x));
    else return -x;
  }
};
// sign(±0) = 0, sign(NaN) = 0.
struct Sign {
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    const V positive = select(x > T(0), splat<V>(T(1)), splat<V>(T(0)));
    if constexpr (std::is_unsigned_v<T>) return positive;
    else return select(x < T(0), splat<V>(T(-1)), positive);
  }
};
struct Square {
  template <class V>
  HADAL_HD V operator()(V x) const {
    if constexpr (kIsInteger<V>) {
      // In 32 bits at least: the product of two 16-bit numbers promotes to int and could overflow.
      if constexpr (math::kIsScalar<V>) return static_cast<V>(uint64_t(x) * uint64_t(x));
      else return from_unsigned<V>(unsigned_lanes(x) * unsigned_lanes(x));
    } else {
      return x * x;
    }
  }
};
// Roundings leave integers as they are; round takes ties to even.
#define HADAL_ROUNDING(Name, function)       \
  struct Name {                              \
    template <class V>                       \
    HADAL_HD V operator()(V x) const {       \
      if constexpr (kIsInteger<V>) return x; \
      else return math::function(x);         \
    }                                        \
  };
HADAL_ROUNDING(Floor, floor)
HADAL_ROUNDING(Ceil, ceil)
HADAL_ROUNDING(Round, rint)
HADAL_ROUNDING(Trunc, trunc)
#undef HADAL_ROUNDING
struct Frac {
  template <class V>
  HADAL_HD V operator()(V x) const {
    return x - Trunc()(x);
  }
};

// max(x, 0); NaN stays.
struct Relu {
  template <class V>
  HADAL_HD V operator()(V x) const {
    const V zero = splat<V>(Lane<V>(0));
    if constexpr (kIsInteger<V>) return select(x > zero, x, zero);
    else return math::at_least(x, zero);
  }
};
struct LeakyRelu {
  double slope;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return select(x > T(0), x, V(x * T(slope)));
  }
};
// scale · (x, or alpha (e^(input_scale x) - 1) below 0): elu, selu with its two constants, celu with alpha = 1 / input_scale.
struct Elu {
  double alpha, scale, input_scale;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return T(scale) * select(x > T(0), x, V(T(alpha) * math::expm1(V(x * T(input_scale)))));
  }
};
// x Φ(x) = max(x, 0) - |x| Φ(-|x|), which cancels nowhere.
struct Gelu {
  template <class V>
  HADAL_HD V operator()(V x) const {
    const V t = math::at_most(math::abs(x), splat<V>(math::kNormalTailEnd<V>));
    return math::at_least(x, splat<V>(Lane<V>(0))) - t * math::normal_tail(t);
  }
};
// The inner argument of geluTanh, doubled: x/2 (1 + tanh u) = x sigmoid(2u), 2u = 2 sqrt(2/π) (x + 0.044715 x³).
template <class V>
HADAL_HD inline V gelu_tanh_argument(V x) {
  using T = Lane<V>;
  return x * (T(1.5957691216057308) + T(1.5957691216057308 * 0.044715) * (x * x));
}
struct GeluTanh {
  template <class V>
  HADAL_HD V operator()(V x) const {
    return x * math::sigmoid(gelu_tanh_argument(x));
  }
};
struct Silu {
  template <class V>
  HADAL_HD V operator()(V x) const {
    return x * math::sigmoid(x);
  }
};
// x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2).
struct Mish {
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    const V e = math::exp(math::at_most(x, splat<V>(T(22))));  // from here on the quotient rounds to 1
    const V n = e * (e + T(2));
    return x * math::quotient(n, V(n + T(2)));
  }
};
// log(1 + e^(beta x)) / beta, and x itself where beta x exceeds the threshold.
struct Softplus {
  double beta, threshold;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    const V z = x * T(beta);
    const V soft = math::at_least(z, splat<V>(T(0))) + math::log1p_unit(math::exp(V(-math::abs(z))));
    return select(z > T(threshold), x, V(soft * T(1 / beta)));
  }
};
struct LogSigmoid {
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return math::at_most(x, splat<V>(T(0))) - math::log1p_unit(math::exp(V(-math::abs(x))));
  }
};
// clamp(x + 3, 0, 6) / 6.
struct HardSigmoid {
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return math::at_most(math::at_least(V(x + T(3)), splat<V>(T(0))), splat<V>(T(6))) * T(1.0 / 6);
  }
};
struct HardSwish {
  template <class V>
  HADAL_HD V operator()(V x) const {
    return x * HardSigmoid()(x);
  }
};
struct Softsign {
  template <class V>
  HADAL_HD V operator()(V x) const {
    return x / (math::abs(x) + Lane<V>(1));
  }
};
// x moved towards 0 by the bound, and 0 within it.
struct SoftShrink {
  double bound;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return x - math::at_most(math::at_least(x, splat<V>(T(-bound))), splat<V>(T(bound)));
  }
};
struct HardShrink {
  double bound;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return select(math::abs(x) <= T(bound), splat<V>(T(0)), x);
  }
};
struct TanhShrink {
  template <class V>
  HADAL_HD V operator()(V x) const {
    return x - math::tanh(x);
  }
};
// x² / 2 up to |x| = delta, delta (|x| - delta / 2) from there on.
struct Huber {
  double delta;
  template <class V>
  HADAL_HD V operator()(V x, V target) const {
    using T = Lane<V>;
    const V size = math::abs(V(x - target));
    const V square = math::at_most(size, splat<V>(T(delta)));
    return square * (size - square * T(0.5));
  }
};
// min(max(x, low), high); an infinite bound is none.
struct Clamp {
  double low, high;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return smaller(larger(x, splat<V>(saturate<T>(low))), splat<V>(saturate<T>(high)));
  }
};

// x where it is above the bound, NaN too, else the value.
struct Threshold {
  double bound, value;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    return select(x <= T(bound), splat<V>(T(value)), x);
  }
};
// log(x / (1 - x)), of x moved into [epsilon, 1 - epsilon] where epsilon is not 0.
struct Logit {
  double epsilon;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    const V inside = epsilon == 0 ? x : smaller(larger(x, splat<V>(T(epsilon))), splat<V>(T(1 - epsilon)));
    return math::log(V(inside / (T(1) - inside)));
  }
};
struct NanToNum {
  double nan, pos_inf, neg_inf;
  template <class V>
  HADAL_HD V operator()(V x) const {
    using T = Lane<V>;
    constexpr T kInfinity = Format<T>::kInfinity;
    const V low = select(x == -kInfinity, splat<V>(T(neg_inf)), x);
    return select(x != x, splat<V>(T(nan)), select(x == kInfinity, splat<V>(T(pos_inf)), low));
  }
};

// --- Predicates: the result is a mask --------------------------------------------------------------------------------

struct IsNaN {
  template <class V>
  HADAL_HD auto operator()(V x) const {
    return x != x;
  }
};
struct IsInf {
  template <class V>
  HADAL_HD auto operator()(V x) const {
    if constexpr (kIsInteger<V>) return x != x;
    else return math::abs(x) == Format<Lane<V>>::kInfinity;
  }
};
struct IsFinite {
  template <class V>
  HADAL_HD auto operator()(V x) const {
    if constexpr (kIsInteger<V>) return x == x;
    else return math::abs(x) < Format<Lane<V>>::kInfinity;
  }
};
struct LogicalNot {
  template <class V>
  HADAL_HD auto operator()(V x) const {
    return x == Lane<V>(0);
  }
};
#define HADAL_COMPARISON(Name, expression)     \
  struct Name {                                \
    template <class V>                         \
    HADAL_HD auto operator()(V a, V b) const { \
      using T [[maybe_unused]] = Lane<V>;      \
      return expression;                       \
    }                                          \
  };
HADAL_COMPARISON(EqualTo, a == b)
HADAL_COMPARISON(NotEqual, a != b)
HADAL_COMPARISON(Less, a < b)
HADAL_COMPARISON(LessEqual, a <= b)
HADAL_COMPARISON(Greater, a > b)
HADAL_COMPARISON(GreaterEqual, a >= b)
HADAL_COMPARISON(LogicalAnd, (a != T(0)) & (b != T(0)))
HADAL_COMPARISON(LogicalOr, (a != T(0)) | (b != T(0)))
HADAL_COMPARISON(LogicalXor, (a != T(0)) ^ (b != T(0)))
#undef HADAL_COMPARISON

// --- Two operands and three --------------------------------------------------------------------------------------------

#define HADAL_ARITHMETIC(Name, symbol)                                                              \
  struct Name {                                                                                     \
    template <class V>                                                                              \
    HADAL_HD V operator()(V a, V b) const {                                                         \
      if constexpr (!kIsInteger<V>) return a symbol b;                                              \
      else if constexpr (math::kIsScalar<V>) return static_cast<V>(uint64_t(a) symbol uint64_t(b)); \
      else return from_unsigned<V>(unsigned_lanes(a) symbol unsigned_lanes(b));                     \
    }                                                                                               \
  };
HADAL_ARITHMETIC(Add, +)
HADAL_ARITHMETIC(Sub, -)
HADAL_ARITHMETIC(Mul, *)
#undef HADAL_ARITHMETIC

struct Div {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return a / b;
  }
};
struct Maximum {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return larger(a, b);
  }
};
struct Minimum {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return smaller(a, b);
  }
};
struct BitwiseAnd {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return a & b;
  }
};
struct BitwiseOr {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return a | b;
  }
};
struct BitwiseXor {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return a ^ b;
  }
};
// Shifts by less than 0 or by the width and more push every bit out: 0, and for a right shift of a negative number -1.
struct LeftShift {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    using T = Lane<V>;
    constexpr T kWidth = sizeof(T) * 8;
    const auto outside = (b < T(0)) | (b >= kWidth);
    const V by = select(outside, splat<V>(T(0)), b);
    return select(outside, splat<V>(T(0)), from_unsigned<V>(unsigned_lanes(a) << unsigned_lanes(by)));
  }
};
struct RightShift {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    using T = Lane<V>;
    constexpr T kWidth = sizeof(T) * 8;
    if constexpr (std::is_unsigned_v<T>) {
      return select(b >= kWidth, splat<V>(T(0)), V(a >> select(b >= kWidth, splat<V>(T(0)), b)));
    } else {
      return V(a >> select((b < T(0)) | (b >= kWidth), splat<V>(T(kWidth - 1)), b));
    }
  }
};

// C's remainder (of the dividend's sign), the remainder of the divisor's sign, and the division that rounds down and goes
// with it. Integers: one number at a time, and the caller has refused a zero divisor; the smallest by -1 wraps.
struct Fmod {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    if constexpr (!kIsInteger<V>) return math::fmod(a, b);
    else if constexpr (std::is_signed_v<V>) return b == -1 ? V(0) : static_cast<V>(a % b);
    else return static_cast<V>(a % b);
  }
};
struct Remainder {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    const V zero = splat<V>(Lane<V>(0));
    const V rest = Fmod()(a, b);
    return select((rest != zero) & ((rest < zero) ^ (b < zero)), Add()(rest, b), rest);
  }
};
struct FloorDivide {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    using T = Lane<V>;
    if constexpr (!kIsInteger<V>) {
      // From the remainder, so that it agrees with it: a / b alone can round up to the next integer.
      const V zero = splat<V>(T(0));
      const V ratio = a / b, rest = math::fmod(a, b);
      V quotient = (a - rest) / b;
      quotient = select((rest != zero) & ((rest < zero) ^ (b < zero)), V(quotient - T(1)), quotient);
      const V down = math::floor(quotient);
      const V nearest = select(quotient - down > T(0.5), V(down + T(1)), down);
      const V signed_zero = math::with_sign(zero, ratio);
      return select(b == zero, ratio, select(quotient == zero, signed_zero, nearest));
    } else if constexpr (std::is_signed_v<V>) {
      if (b == -1) return from_unsigned<V>(-unsigned_lanes(a));
      return static_cast<V>(a / b - ((a % b != 0) & ((a < 0) != (b < 0))));
    } else {
      return static_cast<V>(a / b);
    }
  }
};
// Integers by squaring, wrapping; a negative exponent gives 0, but 1 to any power is 1 and -1 keeps its sign's parity.
struct Pow {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    if constexpr (kIsInteger<V>) {
      if (b < 0) return a == 1 ? V(1) : a == V(-1) ? (b % 2 != 0 ? V(-1) : V(1)) : V(0);
      uint64_t result = 1, base = static_cast<uint64_t>(a);
      for (uint64_t exponent = static_cast<uint64_t>(b); exponent != 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
      }
      return static_cast<V>(result);
    } else {
      return math::pow(a, b);
    }
  }
};
struct Atan2 {
  template <class V>
  HADAL_HD V operator()(V y, V x) const {
    return math::atan2(y, x);
  }
};
struct Hypot {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return math::hypot(a, b);
  }
};
// The sign of a NaN counts as positive.
struct CopySign {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    const V size = math::abs(a);
    return select(b != b, size, math::with_sign(size, b));
  }
};
// log(e^(unit a) + e^(unit b)) / unit. Two equal infinities have no difference.
struct LogAddExp {
  double unit;
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    using T = Lane<V>;
    const V distance = select(a == b, splat<V>(T(0)), math::abs(V(a - b)));
    return larger(a, b) + math::log1p_unit(math::exp(V(distance * T(-unit)))) * T(1 / unit);
  }
};
struct Prelu {
  template <class V>
  HADAL_HD V operator()(V x, V weight) const {
    return select(x > Lane<V>(0), x, V(x * weight));
  }
};
struct Glu {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    return a * math::sigmoid(b);
  }
};
struct Zeta {
  template <class V>
  HADAL_HD V operator()(V s, V q) const {
    return math::zeta(s, q);
  }
};
struct Gammainc {
  template <class V>
  HADAL_HD V operator()(V a, V x) const {
    return math::incomplete_gamma(false, a, x);
  }
};
struct Gammaincc {
  template <class V>
  HADAL_HD V operator()(V a, V x) const {
    return math::incomplete_gamma(true, a, x);
  }
};
// The number next to a towards b, by one step of the bits; NaN if either is.
struct NextAfter {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    // Of 0 and NaN, which have results of their own, the step could leave the range of the bits.
    const auto bits = math::to_bits(select((a < Lane<V>(0)) | (a > Lane<V>(0)), a, splat<V>(Lane<V>(1))));
    const auto outwards = (a < b) ^ (a < Lane<V>(0));
    const V stepped = math::from_bits<V>(select(outwards, math::Bits<V>(bits + 1), math::Bits<V>(bits - 1)));
    const V least = math::with_sign(splat<V>(std::numeric_limits<Lane<V>>::denorm_min()), b);
    const V next = select(a == b, b, select(a == Lane<V>(0), least, stepped));
    return select((a != a) | (b != b), V(a + b), next);
  }
};
// One number at a time; |a| of the smallest number wraps.
struct Gcd {
  template <class V>
  HADAL_HD V operator()(V a, V b) const {
    auto x = unsigned_lanes(Abs()(a)), y = unsigned_lanes(Abs()(b));
    while (y != 0) {
      const auto rest = static_cast<decltype(y)>(x % y);
      x = y;
      y = rest;
    }
    return from_unsigned<V>(x);
  }
};
// One number at a time, in double.
struct Poisson {
  HADAL_HD double operator()(double rate, double uniform) const { return math::poisson_scalar(rate, uniform); }
};
struct Binomial {
  HADAL_HD double operator()(double count, double probability, double uniform) const {
    return math::binomial_scalar(count, probability, uniform);
  }
};
struct StandardGamma {
  HADAL_HD double operator()(double concentration, double uniform) const {
    return math::gamma_scalar(concentration, uniform);
  }
};
struct StandardGammaSlope {
  HADAL_HD double operator()(double concentration, double sample) const {
    return math::gamma_slope_scalar(concentration, sample);
  }
};
// a + w (b - a), from the nearer end so that w = 1 gives b.
struct Lerp {
  template <class V>
  HADAL_HD V operator()(V a, V b, V w) const {
    using T = Lane<V>;
    const V d = b - a;
    return select(math::abs(w) < T(0.5), V(a + w * d), V(b - d * (T(1) - w)));
  }
};
struct Addcmul {
  double value;
  template <class V>
  HADAL_HD V operator()(V x, V a, V b) const {
    if constexpr (kIsInteger<V>) return Add()(x, Mul()(Mul()(splat<V>(saturate<Lane<V>>(value)), a), b));
    else return x + Lane<V>(value) * a * b;
  }
};
// -t log sigmoid x - (1 - t) log sigmoid(-x): terms of one sign for t in [0, 1], of which none loses digits to another.
struct BceWithLogits {
  template <class V>
  HADAL_HD V operator()(V x, V t) const {
    using T = Lane<V>;
    const V zero = splat<V>(T(0));
    const V common = math::log1p_unit(math::exp(V(-math::abs(x))));
    return common + t * math::at_least(V(-x), zero) + (T(1) - t) * math::at_least(x, zero);
  }
};
struct Addcdiv {
  double value;
  template <class V>
  HADAL_HD V operator()(V x, V a, V b) const {
    return x + Lane<V>(value) * a / b;
  }
};

// --- Fused gradients ---------------------------------------------------------------------------------------------------

struct ReluBackward {  // from the output
  template <class V>
  HADAL_HD V operator()(V g, V y) const {
    return select(y <= Lane<V>(0), splat<V>(Lane<V>(0)), g);
  }
};
struct LeakyReluBackward {
  double slope;
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    return select(x > T(0), g, V(g * T(slope)));
  }
};
struct EluBackward {
  double alpha, scale, input_scale;
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    const V below = T(alpha * input_scale) * math::exp(V(math::at_most(x, splat<V>(T(0))) * T(input_scale)));
    return g * T(scale) * select(x > T(0), splat<V>(T(1)), below);
  }
};
struct SigmoidBackward {  // from the output
  template <class V>
  HADAL_HD V operator()(V g, V y) const {
    return g * (y * (Lane<V>(1) - y));
  }
};
struct TanhBackward {  // from the output
  template <class V>
  HADAL_HD V operator()(V g, V y) const {
    return g * (Lane<V>(1) - y * y);
  }
};
// g (Φ(x) + x φ(x)).
struct GeluBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    const V t = math::at_most(math::abs(x), splat<V>(math::kNormalTailEnd<V>));
    const V tail = math::normal_tail(t);
    const V cumulative = select(x > T(0), V(T(1) - tail), tail);
    const V density = math::exp(V(t * t * T(-0.5))) * T(0.39894228040143267794);
    return g * (cumulative + math::with_sign(V(t * density), x));
  }
};
// sigmoid x and its derivative, which 1 - sigmoid x would lose digits of.
template <class V>
struct SigmoidWithSlope {
  V value, slope;
};
template <class V>
HADAL_HD inline SigmoidWithSlope<V> sigmoid_with_slope(V x) {
  using T = Lane<V>;
  const V e = math::exp(V(-math::abs(x)));
  const V upper = math::quotient(splat<V>(T(1)), V(e + T(1))), lower = e * upper;
  return {select(x < T(0), lower, upper), upper * lower};
}
// With s = sigmoid(2u): the derivative of x s is s + x s' (2u)'.
struct GeluTanhBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    constexpr T kLinear = T(1.5957691216057308), kCubic = T(3 * 1.5957691216057308 * 0.044715);
    // Beyond 16 the derivative is 0 or 1; bounding x there keeps the cube finite.
    const V b = math::at_least(math::at_most(x, splat<V>(T(16))), splat<V>(T(-16)));
    const auto s = sigmoid_with_slope(gelu_tanh_argument(b));
    return g * (s.value + b * s.slope * (kLinear + kCubic * (b * b)));
  }
};
struct SiluBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    const V b = math::at_least(math::at_most(x, splat<V>(T(1e4))), splat<V>(T(-1e4)));
    const auto s = sigmoid_with_slope(b);
    return g * (s.value + b * s.slope);
  }
};
// With e = e^x and m = e (e + 2), tanh(softplus x) is m / (m + 2), and sigmoid x times the derivative of tanh there 4 e (e + 1) / (m + 2)².
struct MishBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    // From 22 on the derivative rounds to 1.
    const V b = math::at_most(math::at_least(x, splat<V>(T(-1e4))), splat<V>(T(22)));
    const V e = math::exp(b);
    const V m = e * (e + T(2)), over = math::quotient(splat<V>(T(1)), V(m + T(2)));
    return g * (m * over + b * (T(4) * e * over) * ((e + T(1)) * over));
  }
};
struct SoftplusBackward {
  double beta, threshold;
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    const V z = x * T(beta);
    return select(z > T(threshold), g, V(g * math::sigmoid(z)));
  }
};
struct LogSigmoidBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    return g * math::sigmoid(V(-x));
  }
};
struct HardSigmoidBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    return select(math::abs(x) < T(3), V(g * T(1.0 / 6)), splat<V>(T(0)));
  }
};
struct HardSwishBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    const V inner = g * (x * T(1.0 / 3) + T(0.5));
    return select(x <= T(-3), splat<V>(T(0)), V(select(x < T(3), inner, g)));
  }
};
struct SoftsignBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    const V size = math::abs(x) + Lane<V>(1);
    return g / size / size;
  }
};
struct ShrinkBackward {  // of both kinds
  double bound;
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    return select(math::abs(x) <= T(bound), splat<V>(T(0)), g);
  }
};
struct TanhShrinkBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    const V t = math::tanh(x);
    return g * t * t;
  }
};
// g ((1 - t) sigmoid x - t sigmoid(-x)).
struct BceWithLogitsBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x, V t) const {
    using T = Lane<V>;
    const V e = math::exp(V(-math::abs(x)));
    const V upper = math::quotient(splat<V>(T(1)), V(e + T(1))), lower = e * upper;
    const auto negative = x < T(0);
    return g * ((T(1) - t) * select(negative, lower, upper) - t * select(negative, upper, lower));
  }
};
struct LogitBackward {
  double epsilon;
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    const V gx = g / (x * (T(1) - x));
    if (epsilon == 0) return gx;
    return select((x >= T(epsilon)) & (x <= T(1 - epsilon)), gx, splat<V>(T(0)));
  }
};
struct LogAddExpBackward {
  double unit;
  template <class V>
  HADAL_HD V operator()(V g, V a, V b) const {
    using T = Lane<V>;
    const V difference = select(a == b, splat<V>(T(0)), V(a - b));
    return g * math::sigmoid(V(difference * T(unit)));
  }
};
struct PreluBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x, V weight) const {
    return select(x > Lane<V>(0), g, V(g * weight));
  }
};
struct PreluWeightBackward {
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    return select(x > Lane<V>(0), splat<V>(Lane<V>(0)), V(g * x));
  }
};
struct GluBackward {
  template <class V>
  HADAL_HD V operator()(V g, V a, V b) const {
    return g * a * sigmoid_with_slope(b).slope;
  }
};
struct ClampBackward {
  double low, high;
  template <class V>
  HADAL_HD V operator()(V g, V x) const {
    using T = Lane<V>;
    return select((x >= T(low)) & (x <= T(high)), g, splat<V>(T(0)));
  }
};

}  // namespace functors
}  // namespace hadal
