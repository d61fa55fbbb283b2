// Matrix products on the CPU: c = activation(a · b + bias) with any strides. Owns blocking, packing and the cut into tasks;
// the inner loops are gemm_tile.h. Called by matmul.cc and, for 1 × 1 kernels, by conv.cc.
#pragma once

#include "kernels/activation.h"
#include "kernels/matrix_product.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

// a [m, k], b [k, n], c [m, n]; strides in elements. bias, when there, has strides along both axes
// of c: (0, s) for one value per column, (s, 0) for one per row. 16-bit floats are summed in float and rounded once.
template <class E>
struct Gemm {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const E* a = nullptr;
  int64_t a_row = 0;
  int64_t a_column = 0;
  const E* b = nullptr;
  int64_t b_row = 0;
  int64_t b_column = 0;
  E* c = nullptr;
  int64_t c_row = 0;
  int64_t c_column = 0;
  const E* bias = nullptr;
  int64_t bias_row = 0;
  int64_t bias_column = 0;
  // Of c as it is rounded, which must be adjacent along an axis for it.
  Activation activation = Activation::kNone;
};

// E is double, float, Float16 or BFloat16. Every element of c is summed in an order that depends on the sizes alone. Not to be
// called inside a parallel loop.
template <class E>
void gemm(KernelContext& ctx, const Gemm<E>& product);
template <class E>
void gemm_batch(KernelContext& ctx, const Gemm<E>& first, const GemmBatch& batch);

}  // namespace hadal::cpu
