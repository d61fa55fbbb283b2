// Where an output of a resampled axis comes from: the neighbouring inputs and their factors, for each mode and convention of
// PyTorch's interpolate. Plain arithmetic, so that both devices use it. Called by the resampling kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// The codes of resample's `mode` attribute. Area is the mean over [⌊i · in / out⌋, ⌈(i + 1) · in / out⌉).
enum class Resampling : uint8_t { kNearest, kNearestExact, kLinear, kCubic, kArea };

inline constexpr int kResamplingModes = 5;

// Inputs first … first + count - 1, which lie inside the axis, with their factors.
struct Factors {
  int64_t first = 0;
  int64_t count = 1;
  bool equal = false;  // every factor is values[0]
  double values[4] = {1, 0, 0, 0};

  HADAL_HD double at(int64_t k) const { return values[equal ? 0 : k]; }
};

// How many factors an output has at most, for an axis resized from `in` to `out`.
HADAL_HD inline int64_t most_taps(Resampling mode, int64_t in, int64_t out) {
  switch (mode) {
    case Resampling::kNearest:
    case Resampling::kNearestExact: return 1;
    case Resampling::kLinear: return 2;
    case Resampling::kCubic: return 4;
    case Resampling::kArea: break;
  }
  return (in + out - 1) / out + 1;
}

// Keys' cubic with a = -0.75 at the distances 1 + t, t, 1 - t and 2 - t.
HADAL_HD inline void cubic_factors(double t, double (&to)[4]) {
  constexpr double a = -0.75;
  const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  to[0] = far(1 + t);
  to[1] = near(t);
  to[2] = near(1 - t);
  to[3] = far(2 - t);
}

// `ratio` is the distance in the input from one output to the next. Nearest positions are rounded in float, as in PyTorch.
HADAL_HD inline Factors factors(Resampling mode, bool align_corners, double ratio, int64_t in, int64_t out, int64_t i) {
  Factors f;
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
    case Resampling::kArea: break;
  }
  // i · in < 2^62: the checks bound both sizes.
  f.first = i * in / out;
  f.count = ((i + 1) * in + out - 1) / out - f.first;
  f.equal = true;
  f.values[0] = 1 / static_cast<double>(f.count);
  return f;
}

}  // namespace hadal
