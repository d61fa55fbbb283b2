// Reductions for the kernels of other ops. Implemented in cuda/reduce_total.cu.
#pragma once

#include "cuda/cuda_context.h"

namespace hadal::cuda {

// What the op sum does: along the axes on which y has size 1.
void sum(CudaContext& ctx, const Command& cmd, const TensorView& x, const TensorView& y);

}  // namespace hadal::cuda
