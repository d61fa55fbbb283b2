// How convolutions on tensor cores (device/conv_tiles.cuh) walk an axis and are cut into tiles. Plain arithmetic on sizes, so that it is
// tested without a GPU (test/native/cuda/launch_test.cc).
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace hadal::cuda {

// Along one axis, results i < count are at first + i · step; by each tap j < taps of the window, which is its tap
// tap_first + j · tap_step, result i reads the element from_first + i · from_row + j · from_tap, if that is one of from_size.
struct AxisWalk {
  int first, step, count;
  int tap_first, tap_step, taps;
  int from_first, from_row, from_tap, from_size;
};

inline AxisWalk walk_windows(int in, int out, int kernel, int stride, int pad, int dilation) {
  return {0, 1, out, 0, 1, kernel, -pad, stride, dilation, in};
}
// The other way around, from the elements of the input to the windows that meet them: the elements phase, phase + stride, … all meet
// the same taps. phase < stride.
inline AxisWalk walk_elements(int in, int out, int kernel, int stride, int pad, int dilation, int phase) {
  AxisWalk walk{phase, stride, phase < in ? (in - phase + stride - 1) / stride : 0, 0, 1, 0, 0, 1, 0, out};
  const int tap_step = stride / std::gcd(stride, dilation);
  for (int tap = 0; tap < std::min(tap_step, kernel); ++tap) {
    const int distance = phase + pad - tap * dilation;
    if (distance % stride != 0) continue;
    walk.tap_first = tap;
    walk.tap_step = tap_step;
    walk.taps = (kernel - tap + tap_step - 1) / tap_step;
    walk.from_first = distance / stride;
    walk.from_tap = -(dilation * tap_step / stride);
  }
  return walk;
}

// Tiles have as many rows, are summed over as many elements in each step, and are made by as many threads.
inline constexpr int kConvRows = 128, kConvDepth = 64, kConvBlock = 256;

// The columns of a tile, 64 or 128: what gives the multiprocessor with the most tiles the least to do. Half a tile takes a little more
// than half the time.
inline int choose_tile_columns(int64_t row_tiles, int64_t columns, int multiprocessors) {
  const auto work = [&](int64_t width, int64_t cost) {
    const int64_t tiles = row_tiles * ((columns + width - 1) / width);
    return (tiles + multiprocessors - 1) / multiprocessors * cost;
  };
  return work(64, 5) < work(128, 8) ? 64 : 128;
}

// How a sum of `steps` is cut into parts, so that two blocks for each multiprocessor have one each.
struct SumParts {
  int parts, steps;  // of each
};
inline SumParts choose_parts(int64_t tiles, int64_t steps, int multiprocessors) {
  constexpr int64_t kFewestSteps = 8;
  const int64_t wanted = std::clamp<int64_t>(2 * int64_t{multiprocessors} / std::max<int64_t>(tiles, 1), 1,
                                             std::max<int64_t>(steps / kFewestSteps, 1));
  const int64_t each = (steps + wanted - 1) / wanted;
  return {static_cast<int>(each == 0 ? 1 : (steps + each - 1) / each), static_cast<int>(each)};
}

}  // namespace hadal::cuda
