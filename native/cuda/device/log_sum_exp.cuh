// The online log-sum-exp: a maximum and the sum of exponentials of differences to it, in one pass. Called by logSumExp,
// logCumSumExp, softmax and cross entropy.
//
// For elements of 16 bits an exponential is a multiply-add and ex2.approx: off by 2^-22 and by 2^-23 times what was subtracted, where elements
// themselves are off by 2^-9 or 2^-12. The exact one takes so many instructions that it, not memory, bounds an H100.
#pragma once

#include <cmath>
#include <limits>

#include "cuda/device/instructions.cuh"
#include "runtime/dtype.h"

namespace hadal::cuda {

// e^(x - shift), where x and the shift are elements of type T or of their size.
template <class T>
class ShiftedExp {
  using C = Compute<T>;

 public:
  // A shift that overflows once it is multiplied is so far from all other elements that any base serves: powers are 0 or 1.
  __device__ __forceinline__ explicit ShiftedExp(C shift)
      : by_(kIsShort && ::fabs(shift) < C(0x1p127) ? C(1.4426950408889634) : C(1)), addend_(-shift * by_) {}
  __device__ __forceinline__ C operator()(C x) const {
    if constexpr (kIsShort) return exp2_fast(::fma(x, by_, addend_));
    else return ::exp(x + addend_);
  }

 private:
  static constexpr bool kIsShort = sizeof(T) == 2;
  C by_, addend_;
};

// Of elements of type T, in Compute<T>. An infinite maximum is not subtracted: then the sum is 0 or infinite by itself. A NaN shows
// in the sum.
template <class T>
struct LogSumExp {
  using C = Compute<T>;
  C max, sum;

  static constexpr C kInfinity = std::numeric_limits<C>::infinity();
  static __device__ LogSumExp none() { return {-kInfinity, C(0)}; }
  static __device__ C finite_or_zero(C x) { return x - x == 0 ? x : C(0); }

  // Takes x[0, n); a place to be left out holds -inf.
  template <int n>
  __device__ __forceinline__ void add(const C (&x)[n]) {
    C largest = x[0];
#pragma unroll
    for (int i = 1; i < n; ++i) largest = ::fmax(largest, x[i]);
    if (largest > max) {
      sum *= ShiftedExp<T>(largest)(max);
      max = largest;
    }
    const ShiftedExp<T> exp(finite_or_zero(max));
    C total = 0;
#pragma unroll
    for (int i = 0; i < n; ++i) total += exp(x[i]);
    sum += total;
  }
  static __device__ __forceinline__ LogSumExp join(const LogSumExp& a, const LogSumExp& b) {
    const C max = a.max > b.max ? a.max : b.max;
    const ShiftedExp<T> exp(finite_or_zero(max));
    const C a_sum = a.max == max ? a.sum : a.sum * exp(a.max);
    const C b_sum = b.max == max ? b.sum : b.sum * exp(b.max);
    return {max, a_sum + b_sum};
  }
  __device__ C value() const { return ::log(sum) + finite_or_zero(max); }
};

}  // namespace hadal::cuda
