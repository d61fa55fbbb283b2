// Reductions for the kernels of other ops. Implemented in cpu/reduce.cc.
#pragma once

#include "runtime/kernel_context.h"
#include "runtime/tensor_view.h"

namespace hadal::cpu {

// What the op sum does: along the axes on which y has size 1. An error names `op`.
void sum(KernelContext& ctx, const char* op, const TensorView& x, const TensorView& y);

}  // namespace hadal::cpu
