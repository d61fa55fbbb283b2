// Mean and sum of squared deviations, in one pass. Called by varMean and batch norm.
#pragma once

#include <limits>

#include "cuda/device/element.cuh"

namespace hadal::cuda {

// Partial results join in R, by Chan's formula.
template <class R>
struct Moments {
  R count, mean, squares;

  static __device__ Moments none() { return {0, 0, 0}; }
  static __device__ Moments join(const Moments& a, const Moments& b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    const R n = a.count + b.count, a_share = a.count / n, b_share = b.count / n, difference = b.mean - a.mean;
    return {n, a.mean * a_share + b.mean * b_share,
            a.squares + b.squares + difference * difference * (a.count * b_share)};
  }
};

// What a thread keeps: sums of differences to a number near the mean, in the compute type A, which now and then become
// Moments. The number is the mean so far, and at first an element: with n elements at a time the squares lose to cancellation at
// most a factor n of their precision, and for that the first has to be the one outlier. Moments are in R.
template <class A, class R = double>
struct RunningMoments {
  static constexpr int kHeld = 64;

  A shift, sum, squares;
  int held;
  Moments<R> total;

  static __device__ RunningMoments none() { return {A(0), A(0), A(0), 0, Moments<R>::none()}; }
  template <int n>
  __device__ __forceinline__ void add(const A (&x)[n]) {
    // An infinite element is no number to subtract: the mean becomes infinite by itself.
    if (held == 0 && total.count == 0) shift = x[0] - x[0] == 0 ? x[0] : A(0);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const A difference = x[i] - shift;
      sum += difference;
      squares += difference * difference;
    }
    held += n;
    if (held < kHeld) return;
    total = all();
    shift = static_cast<A>(total.mean);
    if (!(shift - shift == 0)) shift = A(0);
    sum = squares = A(0);
    held = 0;
  }
  __device__ Moments<R> all() const {
    if (held == 0) return total;
    const R n = held, d = sum;
    return Moments<R>::join(total, {n, shift + d / n, squares - d * d / n});
  }
};

}  // namespace hadal::cuda
