// Where an output of a resampled axis comes from: the neighbouring inputs and their factors, for each mode and convention of
// PyTorch's interpolate. Plain arithmetic, so that both devices use it. Called by the resampling kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// The codes of resample's `mode` attribute. Area is the mean over [⌊i · in / out⌋, ⌈(i + 1) · in / out⌉). Where an axis shrinks,
// smooth modes stretch their kernel over what an output covers; inputs outside the axis do not count.
enum class Resampling : uint8_t { kNearest, kNearestExact, kLinear, kCubic, kArea, kSmoothLinear, kSmoothCubic };

inline constexpr int kResamplingModes = 7;

HADAL_HD inline bool is_smooth(Resampling mode) {
  return mode == Resampling::kSmoothLinear || mode == Resampling::kSmoothCubic;
}

// Keys' cubic at a distance of at most 1, and from 1 to 2.
HADAL_HD inline double cubic_near(double a, double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
HADAL_HD inline double cubic_far(double a, double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; }

// The kernel of a smooth mode at a distance; it ends at smooth_reach.
HADAL_HD inline double smooth_kernel(Resampling mode, double distance) {
  const double x = std::abs(distance);
  if (mode == Resampling::kSmoothLinear) return x < 1 ? 1 - x : 0;
  if (x < 1) return cubic_near(-0.5, x);
  return x < 2 ? cubic_far(-0.5, x) : 0;
}
HADAL_HD inline double smooth_reach(Resampling mode, double ratio) {
  return (mode == Resampling::kSmoothLinear ? 1 : 2) * std::max(ratio, 1.0);
}

// Inputs first … first + count - 1, which lie inside the axis, with their factors.
struct Factors {
  Resampling mode = Resampling::kNearest;
  int64_t first = 0;
  int64_t count = 1;
  double values[4] = {1, 0, 0, 0};         // of area the first alone, of smooth modes none
  double distance = 0, step = 1, sum = 1;  // smooth: of the first input, between two, and of the kernel over all

  HADAL_HD double at(int64_t k) const {
    if (is_smooth(mode)) return smooth_kernel(mode, distance + static_cast<double>(k) * step) / sum;
    return values[mode == Resampling::kArea ? 0 : k];
  }
};

// How many factors an output has at most, for an axis resized from `in` to `out`.
HADAL_HD inline int64_t most_taps(Resampling mode, double ratio, int64_t in, int64_t out) {
  switch (mode) {
    case Resampling::kNearest:
    case Resampling::kNearestExact: return 1;
    case Resampling::kLinear: return std::min<int64_t>(2, in);
    case Resampling::kCubic: return std::min<int64_t>(4, in);
    case Resampling::kArea: return std::min((in + out - 1) / out + 1, in);
    case Resampling::kSmoothLinear:
    case Resampling::kSmoothCubic: break;
  }
  return static_cast<int64_t>(std::min(std::ceil(2 * smooth_reach(mode, ratio)) + 1, static_cast<double>(in)));
}

// Keys' cubic with a = -0.75 at the distances 1 + t, t, 1 - t and 2 - t.
HADAL_HD inline void cubic_factors(double t, double (&to)[4]) {
  constexpr double a = -0.75;
  to[0] = cubic_far(a, 1 + t);
  to[1] = cubic_near(a, t);
  to[2] = cubic_near(a, 1 - t);
  to[3] = cubic_far(a, 2 - t);
}

// What lies within the kernel's reach of the output's centre, as PyTorch counts it.
HADAL_HD inline Factors smooth_factors(Resampling mode, double ratio, int64_t in, int64_t i) {
  const double center = ratio * (static_cast<double>(i) + 0.5), reach = smooth_reach(mode, ratio);
  const double last = static_cast<double>(in - 1);
  Factors f;
  f.mode = mode;
  f.first = static_cast<int64_t>(std::clamp(std::trunc(center - reach + 0.5), 0.0, last));
  const double end = std::clamp(std::trunc(center + reach + 0.5), static_cast<double>(f.first + 1), last + 1);
  f.count = static_cast<int64_t>(end) - f.first;
  f.step = 1 / std::max(ratio, 1.0);
  f.distance = (static_cast<double>(f.first) - center + 0.5) * f.step;
  double sum = 0;
  for (int64_t k = 0; k < f.count; ++k) sum += f.at(k);
  f.sum = sum;
  return f;
}

// `ratio` is the distance in the input from one output to the next. Nearest positions are rounded in float, as in PyTorch.
HADAL_HD inline Factors factors(Resampling mode, bool align_corners, double ratio, int64_t in, int64_t out, int64_t i) {
  if (is_smooth(mode)) return smooth_factors(mode, ratio, in, i);
  Factors f;
  f.mode = mode;
  const double position = align_corners ? ratio * static_cast<double>(i) : ratio * (static_cast<double>(i) + 0.5) - 0.5;
  switch (mode) {
    case Resampling::kNearest:
    case Resampling::kNearestExact: {
      const float at = static_cast<float>(i) + (mode == Resampling::kNearestExact ? 0.5f : 0.0f);
      const float place = std::floor(at * static_cast<float>(ratio));
      f.first = std::min(static_cast<int64_t>(std::min(place, 0x1p62f)), in - 1);
      return f;
    }
    case Resampling::kLinear: {
      const double inside = std::clamp(position, 0.0, static_cast<double>(in - 1));
      f.first = static_cast<int64_t>(inside);
      const double t = inside - static_cast<double>(f.first);
      f.count = f.first + 1 < in ? 2 : 1;
      f.values[0] = 1 - t;
      f.values[1] = t;
      if (f.count == 1) f.values[0] = 1;
      return f;
    }
    case Resampling::kCubic: {
      const double within = std::clamp(position, -1.0, static_cast<double>(in));
      const auto start = static_cast<int64_t>(std::floor(within));
      double taps[4];
      cubic_factors(within - static_cast<double>(start), taps);
      // Positions outside are the edge's.
      f.first = std::clamp<int64_t>(start - 1, 0, in - 1);
      f.count = std::clamp<int64_t>(start + 2, 0, in - 1) - f.first + 1;
      f.values[0] = 0;
      for (int k = 0; k < 4; ++k) f.values[std::clamp<int64_t>(start - 1 + k, 0, in - 1) - f.first] += taps[k];
      return f;
    }
    default: break;
  }
  // i · in < 2^62: the checks bound both sizes.
  f.first = i * in / out;
  f.count = ((i + 1) * in + out - 1) / out - f.first;
  f.values[0] = 1 / static_cast<double>(f.count);
  return f;
}

}  // namespace hadal
