// The weights of region-of-interest alignment along one axis, as torchvision's roi_align samples a box: its bins are sampled at equal
// distances by linear interpolation. Bilinear weights are products of those of the axes, and so is the share of a bin, so that
// a bin is a box of elements with a factor for each row and each column. Plain arithmetic. Called by the kernels of roiAlign.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace hadal {

// Bin i weighs the elements first[i] … first[i] + count[i] - 1 by factors[start[i] …].
struct BinFactors {
  std::vector<int64_t> first, count, start;
  std::vector<double> factors;
};

// A box from `from` to `to`, in elements of an axis of `size`, cut into bins with `samples` samples each: 0 for one per element. Samples more
// than one element outside count as zero.
inline BinFactors bin_factors(double from, double to, bool aligned, int64_t bins, int64_t samples, int64_t size) {
  const double length = aligned ? to - from : std::max(to - from, 1.0);
  const double bin = length / static_cast<double>(bins);
  const double count = samples > 0 ? static_cast<double>(samples) : std::ceil(bin);
  const double step = count > 0 ? bin / count : 0;
  const double last = static_cast<double>(size - 1);
  BinFactors result;
  for (int64_t i = 0; i < bins; ++i) {
    const double start = from + bin * static_cast<double>(i);
    // The samples inside, and a few more.
    double low = 0, high = count;
    if (step > 0) {
      low = std::clamp(std::floor((-1 - start) / step) - 1, 0.0, count);
      high = std::clamp(std::ceil((last + 1 - start) / step) + 1, low, count);
    }
    int64_t first = size, end = 0;
    const auto each_sample = [&](auto&& body) {
      for (double k = low; k < high; k += 1) {
        const double at = start + (k + 0.5) * step;
        if (!(at >= -1 && at <= last + 1)) continue;
        const double inside = std::clamp(at, 0.0, last);
        const auto place = static_cast<int64_t>(inside);
        body(place, inside - static_cast<double>(place));
      }
    };
    each_sample([&](int64_t place, double) {
      first = std::min(first, place);
      end = std::max(end, std::min(place + 2, size));
    });
    const auto begin = static_cast<int64_t>(result.factors.size());
    const int64_t taken = std::max<int64_t>(0, end - first);
    result.first.push_back(taken > 0 ? first : 0);
    result.count.push_back(taken);
    result.start.push_back(begin);
    result.factors.resize(begin + taken, 0.0);
    each_sample([&](int64_t place, double rest) {
      result.factors[begin + place - first] += (1 - rest) / count;
      if (rest > 0) result.factors[begin + place + 1 - first] += rest / count;
    });
  }
  return result;
}

}  // namespace hadal
