// Triangular factors, and solutions with them: on one thread through OpenBLAS, or, for a large matrix, in
// panels whose updates are cut into tasks. The same sizes take the same path at any thread count.
#pragma once

#include "cpu/linalg.h"

namespace hadal::cpu {

// Columns of a panel and of a task. A panel is factored on one thread, so it is kept small against the rest; 64 columns keep
// the product behind it at three quarters of the speed of a deep one.
inline constexpr int64_t kPanel = 64;
// From here on a matrix is worth more than one task.
inline constexpr int64_t kLarge = 192;
// But not where there are enough matrices.
inline bool by_panels(int64_t count, int64_t n) { return n >= kLarge && count < 8; }

// Overwrites a, m rows and n columns column-major, with the L and U of P·L·U. Answers 0, or 1 + the position of the first zero
// on U's diagonal.
template <class T>
int factor_lu(const Blas& blas, T* a, int64_t rows, int64_t columns, int* pivots) {
  const int m = to_int(rows), n = to_int(columns);
  int info = 0;
  if (m > 0 && n > 0) blas.of<T>().getrf(&m, &n, a, &m, pivots, &info);
  return info;
}

template <class T>
int factor_lu_panels(KernelContext& ctx, T* a, int64_t m, int64_t n, int* pivots) {
  const Lapack<T>& lapack = ctx.blas().of<T>();
  const int64_t k = std::min(m, n);
  const int stride = to_int(m);
  const T one = 1, minus_one = -1;
  int failed = 0;
  for (int64_t j = 0; j < k; j += kPanel) {
    const int width = to_int(std::min(kPanel, k - j));
    const int height = to_int(m - j);
    const int below = height - width;
    T* diagonal = a + j * (m + 1);
    int info = 0;
    lapack.getrf(&height, &width, diagonal, &stride, pivots + j, &info);
    if (info > 0 && failed == 0) failed = to_int(j) + info;
    for (int64_t i = j; i < j + width; ++i) pivots[i] += to_int(j);
    const int64_t blocks = (n + kPanel - 1) / kPanel;
    ctx.parallel(blocks, [&](int64_t block) {
      // A wide matrix has columns of its last block beside the panel.
      const int64_t first = block * kPanel + (block * kPanel == j ? width : 0);
      const int columns = to_int(std::min((block + 1) * kPanel, n) - first);
      if (columns <= 0) return;
      T* part = a + first * m;
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t i = j; i < j + width; ++i) std::swap(part[c * m + i], part[c * m + pivots[i] - 1]);
      }
      if (first < j) return;
      lapack.trsm("L", "L", "N", "U", &width, &columns, &one, diagonal, &stride, part + j, &stride);
      if (below > 0) {
        lapack.gemm("N", "N", &below, &columns, &width, &minus_one, diagonal + width, &stride, part + j, &stride, &one,
                    part + j + width, &stride);
      }
    });
  }
  return failed;
}

// All pointers are row-major n × n from here on; LAPACK sees the transpose M = Aᵀ = P·L·U, so that A = Uᵀ·Lᵀ·Pᵀ.

// Overwrites columns [begin, end) of the row-major x [n, columns] with the solution of A·X = X, or Aᵀ·X = X.
template <class T>
void solve_lu(const Blas& blas, bool transposed, const T* lu, int64_t size, const int* pivots, T* x, int64_t columns,
              int64_t begin, int64_t end) {
  const Lapack<T>& lapack = blas.of<T>();
  const int n = to_int(size), width = to_int(end - begin), stride = to_int(columns);
  const T one = 1;
  if (n == 0 || width == 0) return;
  x += begin;
  const auto swap_rows = [&](int64_t i) {
    const int64_t other = pivots[i] - 1;
    if (other != i) std::swap_ranges(x + i * columns, x + i * columns + width, x + other * columns);
  };
  if (transposed) {  // Xᵀ·M = …: Xᵀ·Uᵀ·Lᵀ·Pᵀ = Bᵀ
    for (int64_t i = 0; i < size; ++i) swap_rows(i);
    lapack.trsm("R", "L", "T", "U", &width, &n, &one, lu, &n, x, &stride);
    lapack.trsm("R", "U", "T", "N", &width, &n, &one, lu, &n, x, &stride);
  } else {  // Xᵀ·P·L·U = Bᵀ
    lapack.trsm("R", "U", "N", "N", &width, &n, &one, lu, &n, x, &stride);
    lapack.trsm("R", "L", "N", "U", &width, &n, &one, lu, &n, x, &stride);
    for (int64_t i = size - 1; i >= 0; --i) swap_rows(i);
  }
}

// Overwrites the lower triangle of a with the Cholesky factor of the matrix there. Answers 0, or the order of the first leading
// minor that is not positive. What is above the diagonal is destroyed.
template <class T>
int factor_cholesky(const Blas& blas, T* a, int64_t size) {
  const int n = to_int(size);
  int info = 0;
  if (n > 0) blas.of<T>().potrf("U", &n, a, &n, &info);
  for (int64_t i = 0; info == 0 && i < size; ++i) {
    if (!(a[i * (size + 1)] > 0)) info = to_int(i) + 1;  // NaN, which OpenBLAS lets pass
  }
  return info;
}

template <class T>
int factor_cholesky_panels(KernelContext& ctx, T* a, int64_t size) {
  const Lapack<T>& lapack = ctx.blas().of<T>();
  const int n = to_int(size);
  const T one = 1, minus_one = -1;
  for (int64_t j = 0; j < size; j += kPanel) {
    const int width = to_int(std::min(kPanel, size - j));
    T* diagonal = a + j * (size + 1);
    int info = 0;
    lapack.potrf("U", &width, diagonal, &n, &info);
    for (int64_t i = 0; info == 0 && i < width; ++i) {
      if (!(diagonal[i * (size + 1)] > 0)) info = to_int(i) + 1;
    }
    if (info != 0) return to_int(j) + info;
    const int64_t next = j + width;
    const int64_t blocks = (size - next + kPanel - 1) / kPanel;
    const auto columns_of = [&](int64_t block) { return to_int(std::min(kPanel, size - next - block * kPanel)); };
    ctx.parallel(blocks, [&](int64_t block) {
      const int columns = columns_of(block);
      lapack.trsm("L", "U", "T", "N", &width, &columns, &one, diagonal, &n, a + (next + block * kPanel) * size + j, &n);
    });
    // Of the symmetric rest only what is on and above the diagonal, in LAPACK's eyes.
    ctx.parallel(blocks, [&](int64_t reversed) {
      const int64_t block = blocks - 1 - reversed;  // the tallest first
      const int columns = columns_of(block);
      const int rows = to_int(block * kPanel) + columns;
      const T* panel = a + next * size + j;
      T* part = a + (next + block * kPanel) * size;
      lapack.gemm("T", "N", &rows, &columns, &width, &minus_one, panel, &n, part + j, &n, &one, part + next, &n);
    });
  }
  return 0;
}

}  // namespace hadal::cpu
