// Where the elements of a padded axis come from, for each mode. Plain arithmetic, so that both devices use it. Called by the
// kernels of pad.
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

}  // namespace hadal
