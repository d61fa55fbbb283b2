// What the checks of commands are written with: short conditions on shapes and dtypes, and how they fail (checks.cc). The
// checks themselves are in checks_<family>.cc; the messages that users meet are made in TypeScript, before a command is sent.
#pragma once

#include <cmath>

#include "runtime/command.h"
#include "runtime/error.h"

namespace hadal::checks {

// Throws `op: what: got …` with the dtypes and shapes of the command's tensors.
[[noreturn]] void fail(const Command& cmd, ErrorCode code, const char* what);
// Throws `op: what: got …, expected a whole number from low to high`.
[[noreturn]] void fail_integer(const Command& cmd, int attribute, int64_t low, int64_t high, const char* what);

inline void require(bool holds, const Command& cmd, ErrorCode code, const char* what) {
  if (!holds) fail(cmd, code, what);
}
inline void require_shape(bool holds, const Command& cmd, const char* what) {
  require(holds, cmd, ErrorCode::kShape, what);
}
inline void require_dtype(bool holds, const Command& cmd, const char* what) {
  require(holds, cmd, ErrorCode::kDType, what);
}

inline bool same_shape(const TensorView& a, const TensorView& b) {
  if (a.rank != b.rank) return false;
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.shape[axis] != b.shape[axis]) return false;
  }
  return true;
}
// Equal but for `axis`.
inline bool same_shape_except(const TensorView& a, const TensorView& b, int axis) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i) {
    if (i != axis && a.shape[i] != b.shape[i]) return false;
  }
  return true;
}

// An attribute that is a whole number in [low, high]; NaN and fractions are refused.
inline int64_t require_integer(const Command& cmd, int attribute, int64_t low, int64_t high, const char* what) {
  const double value = cmd.attribute(attribute);
  const bool holds =
      value == std::trunc(value) && value >= static_cast<double>(low) && value <= static_cast<double>(high);
  if (!holds) fail_integer(cmd, attribute, low, high, what);
  return static_cast<int64_t>(value);
}
// An attribute that names an axis of a tensor; a scalar counts as having one.
inline int require_axis(const Command& cmd, int attribute, const TensorView& view) {
  return static_cast<int>(require_integer(cmd, attribute, 0, view.rank > 0 ? view.rank - 1 : 0, "axis out of range"));
}

}  // namespace hadal::checks
