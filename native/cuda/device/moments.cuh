// Mean and sum of squared deviations, in one pass and without divisions on the way: sums of differences to a shift, a number near
// the mean, and of their squares. Called by varMean and batch norm.
#pragma once

#include <limits>

#include "cuda/device/element.cuh"

namespace hadal::cuda {

// What a thread adds up in float stays short, and so do its errors.
inline constexpr int kLongestMoments = 128;

// The squares lose a factor 1 + (shift − mean)² / variance of their precision. Threads that share a stretch of elements share its
// shift, the median of three of them: a lone outlier, which would make that as many as there are elements, is never chosen. A stretch
// with outliers at two of the three loses at most a factor of its length, and no other one does.
template <class A>
struct alignas(16) Moments {
  A shift, sum, squares, count;

  // An infinite element is no number to subtract: the mean becomes infinite by itself.
  __device__ __forceinline__ void shift_to(A a, A b, A c) {
    const A median = max(min(a, b), min(max(a, b), c));
    shift = median - median == 0 ? median : A(0);
  }
  template <int n>
  __device__ __forceinline__ void add(const A (&x)[n]) {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const A difference = x[i] - shift;
      sum += difference;
      squares += difference * difference;
    }
    count += n;
  }
  // Of one shift.
  __device__ Moments operator+(const Moments& other) const {
    return {shift, sum + other.sum, squares + other.squares, count + other.count};
  }
};

// Of any shifts, in double, to which the factor does not matter.
struct JoinedMoments : Moments<double> {
  template <class A>
  static __device__ JoinedMoments of(const Moments<A>& part) {
    return {{part.shift, part.sum, part.squares, part.count}};
  }
  __device__ double mean() const { return shift + sum / max(count, 1.0); }
  // Of the squares of differences to the mean; NaN stays.
  __device__ double deviations() const {
    const double result = squares - sum * sum / max(count, 1.0);
    return result < 0 ? 0 : result;
  }
  static __device__ JoinedMoments join(const JoinedMoments& a, const JoinedMoments& b) {
    if (a.count == 0) return b;
    const double by = b.shift - a.shift;
    return {{a.shift, a.sum + (b.sum + b.count * by), a.squares + (b.squares + by * (2 * b.sum + b.count * by)),
             a.count + b.count}};
  }
};

}  // namespace hadal::cuda
