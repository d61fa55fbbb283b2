// The weights of region-of-interest alignment along one axis, as torchvision's roi_align samples a box: its bins are sampled at equal
// distances by linear interpolation. Bilinear weights are products of those of the axes, and so is the share of a bin, so that
// a bin is a box of elements with a factor for each row and each column. Plain arithmetic. Called by the kernels of roiAlign.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// Corners of boxes, scaled, are below this.
inline constexpr double kLargestCorner = 0x1p40;

// A box from `from` to `to`, in elements of an axis of `size`, cut into bins with `samples` samples each: 0 for one per element. Samples more
// than one element outside count as zero.
class RegionAxis {
 public:
  // The elements [first, first + count), whose factors sum up to 1 where all samples are inside.
  struct Range {
    int64_t first, count;
  };

  HADAL_HD RegionAxis(double from, double to, bool aligned, int64_t bins, int64_t samples, int64_t size)
      : from_(from), bins_(bins), size_(size) {
    bin_ = (aligned ? to - from : std::max(to - from, 1.0)) / static_cast<double>(bins);
    count_ = samples > 0 ? static_cast<double>(samples) : std::ceil(bin_);
    step_ = count_ > 0 ? bin_ / count_ : 0;
  }

  HADAL_HD Range elements(int64_t bin) const {
    int64_t first = size_, end = 0;
    each_sample(bin, [&](int64_t place, double) {
      first = std::min(first, place);
      end = std::max(end, std::min(place + 2, size_));
    });
    return end > first ? Range{first, end - first} : Range{0, 0};
  }

  // Adds the factors of the elements of a bin to factors[0 …].
  template <class T>
  HADAL_HD void add_factors(int64_t bin, int64_t first, T* factors) const {
    each_sample(bin, [&](int64_t place, double rest) {
      factors[place - first] += static_cast<T>((1 - rest) / count_);
      if (rest > 0) factors[place + 1 - first] += static_cast<T>(rest / count_);
    });
  }

  // Where the factors of a bin may begin among room() for those of all: neighbouring bins share two elements, and one more by rounding.
  HADAL_HD int64_t place_of_factors(int64_t bin, int64_t first) const {
    return first + kShared * (step_ < 0 ? bins_ - 1 - bin : bin);
  }
  static HADAL_HD int64_t room(int64_t bins, int64_t size) { return size + kShared * bins; }

 private:
  static constexpr int64_t kShared = 3;

  // body(place, rest) for a sample `rest` behind an element.
  template <class F>
  HADAL_HD void each_sample(int64_t bin, F&& body) const {
    const double start = from_ + bin_ * static_cast<double>(bin), last = static_cast<double>(size_ - 1);
    // The samples inside, and a few more.
    double low = 0, high = count_;
    if (step_ > 0) {
      low = std::clamp(std::floor((-1 - start) / step_) - 1, 0.0, count_);
      high = std::clamp(std::ceil((last + 1 - start) / step_) + 1, low, count_);
    }
    for (double k = low; k < high; k += 1) {
      const double at = start + (k + 0.5) * step_;
      if (!(at >= -1 && at <= last + 1)) continue;
      const double inside = std::clamp(at, 0.0, last);
      const auto place = static_cast<int64_t>(inside);
      body(place, inside - static_cast<double>(place));
    }
  }

  double from_, bin_, count_, step_;
  int64_t bins_, size_;
};

}  // namespace hadal
