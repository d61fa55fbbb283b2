// The weights and biases of norms as their kernels read them. Called by batch_norm.cc, group_norm.cc and layer_norm.cc.
#pragma once

#include <algorithm>

#include "cpu/rows.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

// A copy of the elements of a vector as C; an absent vector reads as `fill`.
template <class C>
C* copied_vector(KernelContext& ctx, const char* op, const TensorView& view, int64_t size, C fill) {
  C* copy = ctx.scratch<C>(size);
  if (!view.present()) {
    std::fill(copy, copy + size, fill);
  } else {
    visit_floating(op, view.dtype, [&]<class From>() { gather(copy, view.as<From>(), view.strides[0], size); });
  }
  return copy;
}

// The same, in place where they are that already.
template <class C>
const C* packed_vector(KernelContext& ctx, const char* op, const TensorView& view, int64_t size, C fill) {
  if (view.present() && view.dtype == (sizeof(C) == 8 ? DType::kFloat64 : DType::kFloat32) &&
      (view.strides[0] == 1 || size == 1)) {
    return view.as<C>();
  }
  return copied_vector(ctx, op, view, size, fill);
}

}  // namespace hadal::cpu
