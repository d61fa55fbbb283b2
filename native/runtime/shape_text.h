// A shape as errors print it.
#pragma once

#include <string>

#include "runtime/tensor_view.h"

namespace hadal {

// [2, 3]
inline std::string shape_text(const TensorView& view) {
  std::string text = "[";
  for (int axis = 0; axis < view.rank; ++axis) text += (axis > 0 ? ", " : "") + std::to_string(view.shape[axis]);
  return text + "]";
}

}  // namespace hadal
