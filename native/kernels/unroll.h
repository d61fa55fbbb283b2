// Loops that are unrolled by construction. Called by the kernels whose arrays have to be registers.
#pragma once

#include <utility>

#include "runtime/half.h"

namespace hadal {

// body(integral_constant<int, 0>) … body(integral_constant<int, kCount - 1>), unrolled by construction so that arrays indexed
// by the argument become registers.
template <int kCount, class F>
[[gnu::always_inline]] HADAL_HD inline void unroll(F&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, i>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

}  // namespace hadal
