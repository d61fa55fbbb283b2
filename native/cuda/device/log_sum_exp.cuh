// The online log-sum-exp: a maximum and the sum of exponentials of differences to it, in one pass. Called by logSumExp,
// logCumSumExp, softmax and cross entropy.
//
// For elements of 16 bits an exponential is three instructions, ex2.approx of x · log2 e: off by 2^-22 and |x| · 2^-24 relative to
// itself, where the elements have 2^-9 or 2^-12. The exact one takes so many that it, not memory, bounds an H100.
#pragma once

#include <cmath>
#include <limits>

#include "cuda/device/instructions.cuh"
#include "runtime/dtype.h"

namespace hadal::cuda {

// e^x, where elements are of type T and x is a difference of them, or of one to their log-sum-exp.
template <class T>
__device__ __forceinline__ Compute<T> exp_of(Compute<T> x) {
  if constexpr (sizeof(T) == 2) {
    return exp2_fast(x * 1.4426950408889634f);
  } else {
    return ::exp(x);
  }
}

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
      sum *= exp_of<T>(max - largest);
      max = largest;
    }
    const C shift = finite_or_zero(max);
    C total = 0;
#pragma unroll
    for (int i = 0; i < n; ++i) total += exp_of<T>(x[i] - shift);
    sum += total;
  }
  static __device__ __forceinline__ LogSumExp join(const LogSumExp& a, const LogSumExp& b) {
    const C max = a.max > b.max ? a.max : b.max, shift = finite_or_zero(max);
    const C a_sum = a.max == max ? a.sum : a.sum * exp_of<T>(a.max - shift);
    const C b_sum = b.max == max ? b.sum : b.sum * exp_of<T>(b.max - shift);
    return {max, a_sum + b_sum};
  }
  __device__ C value() const { return ::log(sum) + finite_or_zero(max); }
};

}  // namespace hadal::cuda
