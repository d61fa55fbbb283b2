// The arithmetic of discrete Fourier transforms, Z[k] = Σ_j z[j]·e^(-2πijk/n): complex numbers (of numbers, or of vectors of
// them), roots of unity, the butterflies of small radices, how lengths are cut into these, and what makes the spectrum of real
// numbers of one of complex numbers. Lengths with a prime factor above kLargestRadix go through Bluestein's convolution. Plain
// arithmetic. Called by the kernels of rfft, irfft and fft.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <type_traits>
#include <utility>

#include "kernels/unroll.h"
#include "runtime/half.h"

namespace hadal::fft {

// A butterfly of a prime radix takes radix² multiplications, Bluestein's convolution some 100 for each element.
inline constexpr int kLargestRadix = 61;
inline constexpr int kMostRadices = 64;
// Powers of two up to 2⁴ are one radix: the more at a time, the fewer passes over memory.
inline constexpr int kMostTwos = 4;

// Of numbers, it is loaded and stored as a whole.
template <class T>
struct alignas(std::is_arithmetic_v<T> ? 2 * sizeof(T) : alignof(T)) Complex {
  T re, im;
};
template <class T>
HADAL_HD inline Complex<T> operator+(Complex<T> a, Complex<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
HADAL_HD inline Complex<T> operator-(Complex<T> a, Complex<T> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class V, class T>
HADAL_HD inline Complex<V> operator*(Complex<V> a, Complex<T> w) {
  return {a.re * w.re - a.im * w.im, a.re * w.im + a.im * w.re};
}
template <class V, class T>
HADAL_HD inline Complex<V> scaled(Complex<V> a, T factor) {
  return {a.re * factor, a.im * factor};
}
template <class V>
HADAL_HD inline Complex<V> conjugate(Complex<V> a) {
  return {a.re, -a.im};
}
template <class V>
HADAL_HD inline Complex<V> times_i(Complex<V> a) {
  return {-a.im, a.re};
}
template <class T>
HADAL_HD inline Complex<T> rounded(Complex<double> w) {
  return {static_cast<T>(w.re), static_cast<T>(w.im)};
}

// --- Roots of unity ----------------------------------------------------------------------------------------------------------

// e^(-2πik/n) for 0 <= k <= n. The angle is mirrored into the first eighth of the circle, so that its rounding is at most that of π/4.
HADAL_HD inline Complex<double> root_of_unity(int64_t k, int64_t n) {
  int64_t eighths = 8 * k;
  const bool below = eighths > 4 * n;
  if (below) eighths = 8 * n - eighths;
  const bool left = eighths > 2 * n;
  if (left) eighths = 4 * n - eighths;
  const bool steep = eighths > n;
  if (steep) eighths = 2 * n - eighths;
  const double angle = std::numbers::pi / 4 * (static_cast<double>(eighths) / static_cast<double>(n));
  const double near = std::cos(angle), far = std::sin(angle);
  const double c = steep ? far : near, s = steep ? near : far;
  return {left ? -c : c, below ? s : -s};
}

// The same for 0 <= k < n as a product of two table entries, within 2 ulp of float64. Whoever owns the tables fills them: table[i] = entry(i) for
// i < room(n).
class Roots {
 public:
  Roots() = default;
  Roots(int64_t n, Complex<double>* table) : n_(n), shift_(shift(n)), table_(table) {}
  static int64_t room(int64_t n) { return (int64_t{1} << shift(n)) + (n >> shift(n)) + 1; }

  HADAL_HD Complex<double> entry(int64_t i) const {
    const int64_t fine = int64_t{1} << shift_, k = i < fine ? i : (i - fine) << shift_;
    return root_of_unity(k < n_ ? k : n_, n_);
  }
  HADAL_HD Complex<double> operator()(int64_t k) const {
    const int64_t fine = int64_t{1} << shift_;
    return table_[fine + (k >> shift_)] * table_[k & (fine - 1)];
  }

 private:
  static int shift(int64_t n) { return std::bit_width(static_cast<uint64_t>(n)) / 2; }

  int64_t n_ = 1;
  int shift_ = 0;
  Complex<double>* table_ = nullptr;
};

// Where result k of the transform back is among those of the transform forth, which is backward with the results in the other order.
HADAL_HD inline int64_t mirrored(int64_t k, int64_t n) { return k == 0 ? 0 : n - k; }

// --- Butterflies -------------------------------------------------------------------------------------------------------------

template <class V>
constexpr auto number_of() {
  if constexpr (std::is_arithmetic_v<V>) return V{};
  else return std::remove_cvref_t<decltype(std::declval<V>()[0])>{};
}
// The type of the numbers in a vector, and of a number itself.
template <class V>
using NumberOf = decltype(number_of<V>());

// cos(2πk/16).
HADAL_HD constexpr double cosine_of_sixteenths(int k) {
  constexpr double kFirst[] = {1, 0.92387953251128675613, std::numbers::sqrt2 / 2, 0.38268343236508977173, 0};
  k %= 16;
  return k <= 4 ? kFirst[k] : k <= 8 ? -kFirst[8 - k] : k <= 12 ? -kFirst[k - 8] : kFirst[16 - k];
}

// a·e^(-2πik/n) for n of 8 or 16.
template <int kSize, int kTurn, class V>
[[gnu::always_inline]] HADAL_HD inline Complex<V> turned(Complex<V> a) {
  using T = NumberOf<V>;
  constexpr int kSixteenths = kTurn * (16 / kSize);
  if constexpr (kSixteenths == 0) {
    return a;
  } else if constexpr (kSixteenths == 4) {
    return {a.im, -a.re};
  } else if constexpr (kSixteenths == 2) {
    constexpr T kHalfRoot = static_cast<T>(cosine_of_sixteenths(2));
    return scaled(Complex<V>{a.re + a.im, a.im - a.re}, kHalfRoot);
  } else if constexpr (kSixteenths == 6) {
    constexpr T kHalfRoot = static_cast<T>(cosine_of_sixteenths(2));
    return scaled(Complex<V>{a.im - a.re, -a.re - a.im}, kHalfRoot);
  } else {
    constexpr Complex<T> kTurned{static_cast<T>(cosine_of_sixteenths(kSixteenths)),
                                 static_cast<T>(cosine_of_sixteenths(kSixteenths + 4))};
    return a * kTurned;
  }
}

// The transform of a few points in registers.
template <int kRadix, class V>
[[gnu::always_inline]] HADAL_HD inline void butterfly(Complex<V> (&a)[kRadix]) {
  using T = NumberOf<V>;
  if constexpr (kRadix == 2) {
    const auto sum = a[0] + a[1];
    a[1] = a[0] - a[1];
    a[0] = sum;
  } else if constexpr (kRadix == 3) {
    const auto sum = a[1] + a[2];
    const auto turned = scaled(times_i(a[2] - a[1]), static_cast<T>(std::numbers::sqrt3 / 2));
    const auto middle = a[0] - scaled(sum, T(0.5));
    a[0] = a[0] + sum;
    a[1] = middle + turned;
    a[2] = middle - turned;
  } else if constexpr (kRadix == 4) {
    const auto even = a[0] + a[2], odd = a[1] + a[3];
    const auto difference = a[0] - a[2], turned = times_i(a[3] - a[1]);
    a[0] = even + odd;
    a[1] = difference + turned;
    a[2] = even - odd;
    a[3] = difference - turned;
  } else if constexpr (kRadix == 8 || kRadix == 16) {
    // As rows of kRadix / 4: columns of four, turned, and then rows.
    constexpr int kRow = kRadix / 4;
    unroll<kRow>([&](auto j) __attribute__((always_inline)) {
      Complex<V> column[4] = {a[j], a[j + kRow], a[j + 2 * kRow], a[j + 3 * kRow]};
      butterfly<4>(column);
      unroll<4>([&](auto k) __attribute__((always_inline)) { a[j + k * kRow] = turned<kRadix, j * k>(column[k]); });
    });
    Complex<V> result[kRadix];
    unroll<4>([&](auto k) __attribute__((always_inline)) {
      Complex<V> row[kRow];
      unroll<kRow>([&](auto j) __attribute__((always_inline)) { row[j] = a[k * kRow + j]; });
      butterfly<kRow>(row);
      unroll<kRow>([&](auto i) __attribute__((always_inline)) { result[k + 4 * i] = row[i]; });
    });
    unroll<kRadix>([&](auto i) __attribute__((always_inline)) { a[i] = result[i]; });
  } else {
    static_assert(kRadix == 5);
    constexpr T kCos1 = static_cast<T>(0.30901699437494742410), kCos2 = static_cast<T>(-0.80901699437494742410);
    constexpr T kSin1 = static_cast<T>(0.95105651629515357212), kSin2 = static_cast<T>(0.58778525229247312917);
    const auto outer = a[1] + a[4], inner = a[2] + a[3];
    const auto outer_turned = times_i(a[4] - a[1]), inner_turned = times_i(a[3] - a[2]);
    const auto first = a[0] + scaled(outer, kCos1) + scaled(inner, kCos2);
    const auto second = a[0] + scaled(outer, kCos2) + scaled(inner, kCos1);
    const auto first_turned = scaled(outer_turned, kSin1) + scaled(inner_turned, kSin2);
    const auto second_turned = scaled(outer_turned, kSin2) - scaled(inner_turned, kSin1);
    a[0] = a[0] + outer + inner;
    a[1] = first + first_turned;
    a[2] = second + second_turned;
    a[3] = second - second_turned;
    a[4] = first - first_turned;
  }
}

// --- Lengths -----------------------------------------------------------------------------------------------------------------

// The smallest length of at least `least` without prime factors above 5.
inline int64_t smooth_length(int64_t least) {
  int64_t best = std::bit_ceil(static_cast<uint64_t>(least));
  for (int64_t fives = 1; fives < best; fives *= 5) {
    for (int64_t threes = fives; threes < best; threes *= 3) {
      const auto twos = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>((least + threes - 1) / threes)));
      best = std::min(best, threes * twos);
    }
  }
  return best;
}

// Splits n into radices, few and alike those of two. Answers their number, or 0 where a prime factor is too large.
inline int radices_of(int64_t n, int (&radices)[kMostRadices]) {
  int count = 0;
  const auto take = [&](int radix) {
    for (; n % radix == 0; n /= radix) radices[count++] = radix;
  };
  int twos = std::countr_zero(static_cast<uint64_t>(n));
  n >>= twos;
  for (int left = (twos + kMostTwos - 1) / kMostTwos; left > 0; --left) {
    const int here = (twos + left - 1) / left;
    radices[count++] = 1 << here;
    twos -= here;
  }
  for (int radix = 3; radix <= kLargestRadix; radix += 2) take(radix);
  return n == 1 ? count : 0;
}
inline bool is_smooth(int64_t n) {
  int radices[kMostRadices];
  return n == 1 || radices_of(n, radices) > 0;
}

// --- Real sequences ----------------------------------------------------------------------------------------------------------

struct Lengths {
  int64_t n;       // real elements
  int64_t bins;    // n / 2 + 1
  int64_t points;  // complex numbers that are transformed
  bool even;
  explicit Lengths(int64_t n) : n(n), bins(n / 2 + 1), points(n % 2 == 0 ? n / 2 : n), even(n % 2 == 0) {}
};

// The factors of the outputs (or inputs) of a transform: bins with a conjugate partner have another.
template <class T>
struct Factors {
  T inner, ends;
  int64_t last;  // the bin n / 2, which is its own partner; none of an odd n
  Factors(double scale, double weight, const Lengths& lengths)
      : inner(static_cast<T>(scale * weight)), ends(static_cast<T>(scale)), last(lengths.even ? lengths.points : -1) {}
  HADAL_HD bool is_end(int64_t k) const { return k == 0 || k == last; }
  HADAL_HD T at(int64_t k) const { return is_end(k) ? ends : inner; }
};

// The spectrum of n real elements from that of n / 2 complex ones, a bin and its mirror image at a time, and back.
// x = even + i·odd gives Z; X[k] = (Z[k] + Z*[L - k]) / 2 - i·w·(Z[k] - Z*[L - k]) / 2 with w = e^(-2πik/n).
template <class V, class T>
HADAL_HD inline void unpack(Complex<V> a, Complex<V> b, Complex<T> w, Complex<V>& bin, Complex<V>& mirrored) {
  const auto even = scaled(a + conjugate(b), NumberOf<V>(0.5));
  const auto odd = scaled(a - conjugate(b), NumberOf<V>(0.5)) * Complex<T>{w.im, -w.re};
  bin = even + odd;
  mirrored = conjugate(even - odd);
}
// Z[k] = X[k] + X*[L - k] + i·w*·(X[k] - X*[L - k]).
template <class V, class T>
HADAL_HD inline void pack(Complex<V> a, Complex<V> b, Complex<T> w, Complex<V>& bin, Complex<V>& mirrored) {
  const auto even = a + conjugate(b);
  const auto odd = (a - conjugate(b)) * Complex<T>{w.im, w.re};
  bin = even + odd;
  mirrored = conjugate(even - odd);
}

}  // namespace hadal::fft
