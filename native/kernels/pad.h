// Where the elements of a padded axis come from, for each mode. Plain arithmetic, so that both devices use it. Called by the
// kernels of pad
// and of its gradient.
#pragma once

#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// The codes of pad's `mode` attribute.
enum class PadMode : int64_t { kConstant, kReflect, kReplicate, kCircular };

// Where element `place` of an axis of `size` elements, padded with `before` in front, comes from; -1 for the constant.
HADAL_HD inline int64_t pad_source(PadMode mode, int64_t place, int64_t before, int64_t size) {
  const int64_t source = place - before;
  if (source >= 0 && source < size) return source;
  switch (mode) {
    case PadMode::kConstant: return -1;
    case PadMode::kReflect: return source < 0 ? -source : 2 * (size - 1) - source;
    case PadMode::kReplicate: return source < 0 ? 0 : size - 1;
    case PadMode::kCircular: return source < 0 ? source + size : source - size;
  }
  return -1;
}

// The places of the padded axis, `padded` long, that element `source` went to: some side by side and up to two images of it.
struct PadPlaces {
  int64_t first, count;
  int64_t images[2];

  HADAL_HD int64_t operator[](int64_t i) const { return i < count ? first + i : images[i - count]; }
};
HADAL_HD inline PadPlaces pad_places(PadMode mode, int64_t source, int64_t before, int64_t size, int64_t padded,
                                     int64_t* total) {
  const int64_t own = source + before;
  PadPlaces places{own, 1, {-1, -1}};
  *total = 1;
  if (mode == PadMode::kReplicate) {
    if (source == 0) places.first = 0;
    const int64_t last = source == size - 1 ? padded - 1 : own;
    *total = places.count = last - places.first + 1;
  } else if (mode != PadMode::kConstant) {
    const bool mirrors = mode == PadMode::kReflect;
    const int64_t front = mirrors ? before - source : own - size;
    const int64_t behind = mirrors ? before + 2 * (size - 1) - source : own + size;
    if (front >= 0 && front < before) places.images[(*total)++ - 1] = front;
    if (behind >= before + size && behind < padded) places.images[(*total)++ - 1] = behind;
  }
  return places;
}

}  // namespace hadal
