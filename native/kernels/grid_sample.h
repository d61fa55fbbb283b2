// Where a coordinate of a sampling grid falls along one axis: the elements it weighs, their factors, and how these change with the
// coordinate, in each mode and padding of PyTorch's grid_sample. Plain arithmetic. Called by the kernels of gridSample.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// The codes of the attributes `mode` and `padding`.
enum class GridMode : uint8_t { kNearest, kLinear, kCubic };
enum class GridPadding : uint8_t { kZeros, kBorder, kReflection };

inline constexpr int kGridModes = 3;
inline constexpr int kGridPaddings = 3;

HADAL_HD constexpr int grid_taps(GridMode mode) {
  return mode == GridMode::kNearest ? 1 : mode == GridMode::kLinear ? 2 : 4;
}

// Places that lie outside and count as zero are -1. `slope` is the derivative of a factor by the coordinate.
template <class T>
struct GridTaps {
  int32_t place[4];
  T factor[4];
  T slope[4];
};

// One axis of `size` elements, 1 <= size < 2^30.
template <class T, GridMode kMode, GridPadding kPadding>
class GridAxis {
 public:
  HADAL_HD GridAxis(int64_t size, bool align_corners)
      : last_(static_cast<T>(size - 1)),
        span_(static_cast<T>(align_corners ? size - 1 : size)),
        edge_(align_corners ? T(0) : T(0.5)) {}

  HADAL_HD GridTaps<T> operator()(T coordinate) const {
    const T position = (coordinate + 1) * span_ / 2 - edge_;
    GridTaps<T> taps{};
    if constexpr (kMode == GridMode::kCubic) {
      // Padding moves each element that is weighed, not the position.
      const T start = std::floor(position), t = position - start;
      const T distance[4] = {1 + t, t, 1 - t, 2 - t};
      for (int k = 0; k < 4; ++k) {
        taps.place[k] = place(padded(start + static_cast<T>(k - 1)).position);
        const bool is_near = k == 1 || k == 2;
        taps.factor[k] = is_near ? near(distance[k]) : far(distance[k]);
        const T slope = is_near ? near_slope(distance[k]) : far_slope(distance[k]);
        taps.slope[k] = slope * (k < 2 ? span_ / 2 : -span_ / 2);
      }
      return taps;
    } else {
      const Padded inside = padded(position);
      if constexpr (kMode == GridMode::kNearest) {
        taps.place[0] = place(std::nearbyint(inside.position));
        taps.factor[0] = 1;
        return taps;
      }
      const T start = std::floor(inside.position), t = inside.position - start;
      taps.place[0] = place(start);
      taps.place[1] = place(start + 1);
      taps.factor[0] = 1 - t;
      taps.factor[1] = t;
      taps.slope[0] = -inside.sign * span_ / 2;
      taps.slope[1] = inside.sign * span_ / 2;
      return taps;
    }
  }

 private:
  // A position after padding, and the sign with which it follows the one before (0 where it does not).
  struct Padded {
    T position, sign;
  };

  // -1 for what lies outside, NaN among it.
  HADAL_HD int32_t place(T position) const {
    const bool inside = (position >= 0) & (position <= last_);
    return inside ? static_cast<int32_t>(inside ? position : T(0)) : -1;
  }

  HADAL_HD Padded padded(T position) const {
    if constexpr (kPadding == GridPadding::kZeros) return {position, 1};
    T sign = 1;
    if constexpr (kPadding == GridPadding::kReflection) {
      if (span_ == 0) return {0, 0};
      const T distance = std::fabs(position + edge_);
      const T turns = std::floor(distance / span_), rest = distance - turns * span_;
      const bool odd = turns - 2 * std::floor(turns / 2) != 0;
      sign = (position < -edge_) != odd ? T(-1) : T(1);
      position = (odd ? span_ - rest : rest) - edge_;
    }
    const bool below = position <= 0, above = position >= last_;
    return {above ? last_ : below ? T(0) : position, (above | below) ? T(0) : sign};
  }

  // Keys' cubic with a = -0.75 at a distance of at most 1 and of 1 to 2, and its derivatives.
  static HADAL_HD T near(T x) { return (T(1.25) * x - T(2.25)) * x * x + 1; }
  static HADAL_HD T far(T x) { return ((T(-0.75) * x + T(3.75)) * x - 6) * x + 3; }
  static HADAL_HD T near_slope(T x) { return (T(3.75) * x - T(4.5)) * x; }
  static HADAL_HD T far_slope(T x) { return (T(-2.25) * x + T(7.5)) * x - 6; }

  T last_, span_, edge_;
};

}  // namespace hadal
