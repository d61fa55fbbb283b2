// The register tile of products whose operands both lie along k: dot products of a few rows of a with a few columns of b, lanes along k. Nothing has to be
// packed for it, and no lane is idle where columns are few; what it costs is the sum over lanes at its end. Called by gemm.cc.
#pragma once

#include "cpu/gemm_tile.h"
#include "runtime/dtype.h"

namespace hadal::cpu {

// Sums in registers, beside a vector of each row and one of a column.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr int kMaxDotRows = 2, kMaxDotColumns = 2;
#elif defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kMaxDotRows = 4, kMaxDotColumns = 6;
#else
inline constexpr int kMaxDotRows = 3, kMaxDotColumns = 3;
#endif

// sums[i, j] += Σ_p a[i, p] · b[j, p] for p < k. E is what is computed in, or BFloat16 whose pairs multiply (has_pair_kernels()).
template <class E>
struct DotTile {
  int64_t k = 0;
  const E* a = nullptr;
  int64_t a_row = 0;
  const E* b = nullptr;
  int64_t b_column = 0;
  const E* fetch = nullptr;  // k elements that later tiles read, brought to the L2 cache meanwhile
  Compute<E>* sums = nullptr;
  int64_t sums_row = 0;
};
template <class E>
using DotKernel = void (*)(const DotTile<E>&);

// The kernel for 1 ≤ rows ≤ kMaxDotRows, 1 ≤ columns ≤ kMaxDotColumns.
template <class E>
DotKernel<E> dot_kernel(int rows, int columns);

}  // namespace hadal::cpu
