// Matrix products for the kernels of other ops. Implemented in cuda/matmul.cu.
#pragma once

#include "cuda/cuda_context.h"

namespace hadal::cuda {

// y [batch…, m, n] = a [batch…, m, k] · b [batch…, k, n], any strides, 0 along a broadcast batch axis; all of one dtype, or y of
// float32 and the others of 16-bit floats. Errors name the op of `cmd`.
// With `accumulate` the product is added to what y holds, before it is rounded.
void multiply(CudaContext& ctx, const Command& cmd, const TensorView& a, const TensorView& b, const TensorView& y,
              bool accumulate = false);

}  // namespace hadal::cuda
