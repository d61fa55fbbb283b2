// The weights and biases of norms as their kernels read them. Called by layer_norm.cc and group_norm.cc.
#pragma once

#include <algorithm>

#include "cpu/rows.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

// The elements of a vector as C, in place when they are that already; an absent vector reads as `fill`.
template <class C>
const C* packed_vector(KernelContext& ctx, const char* op, const TensorView& view, int64_t size, C fill) {
  if (view.present() && view.dtype == (sizeof(C) == 8 ? DType::kFloat64 : DType::kFloat32) &&
      (view.strides[0] == 1 || size == 1)) {
    return view.as<C>();
  }
  C* copy = ctx.scratch<C>(size);
  if (!view.present()) {
    std::fill(copy, copy + size, fill);
  } else {
    visit_floating(op, view.dtype, [&]<class From>() { gather(copy, view.as<From>(), view.strides[0], size); });
  }
  return copy;
}

}  // namespace hadal::cpu
