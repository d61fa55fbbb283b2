// The online log-sum-exp: a maximum and the sum of exponentials of differences to it, in one pass. Called by logSumExp,
// logCumSumExp, softmax and cross entropy.
#pragma once

#include <cmath>
#include <limits>

namespace hadal::cuda {

// C is float or double. An infinite maximum is not subtracted: then the sum is 0 or infinite by itself. A NaN shows in the sum.
template <class C>
struct LogSumExp {
  C max, sum;

  static constexpr C kInfinity = std::numeric_limits<C>::infinity();
  static __device__ LogSumExp none() { return {-kInfinity, C(0)}; }
  static __device__ C finite_or_zero(C x) { return x - x == 0 ? x : C(0); }

  // Takes x[0, n); a place to be left out holds -inf.
  template <int n>
  __device__ __forceinline__ void add(const C (&x)[n]) {
    C largest = x[0];
#pragma unroll
    for (int i = 1; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
    if (largest > max) {
      sum *= ::exp(max - largest);
      max = largest;
    }
    const C shift = finite_or_zero(max);
    C total = 0;
#pragma unroll
    for (int i = 0; i < n; ++i) total += ::exp(x[i] - shift);
    sum += total;
  }
  static __device__ __forceinline__ LogSumExp join(const LogSumExp& a, const LogSumExp& b) {
    const C max = a.max > b.max ? a.max : b.max, shift = finite_or_zero(max);
    const C a_sum = a.max == max ? a.sum : a.sum * ::exp(a.max - shift);
    const C b_sum = b.max == max ? b.sum : b.sum * ::exp(b.max - shift);
    return {max, a_sum + b_sum};
  }
  __device__ C value() const { return ::log(sum) + finite_or_zero(max); }
};

}  // namespace hadal::cuda
