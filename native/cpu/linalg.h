// What the kernels of linear algebra share: matrices inside views, copies between row- and column-major, the cut of a batch
// into tasks, and failures of single matrices. LAPACK is column-major and hadal row-major: a row-major matrix is handed over
// as it lies and taken for its transpose there, wherever that answers the same question.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "cpu/rows.h"
#include "runtime/blas.h"
#include "runtime/command.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

template <class F>
void visit_lapack(const Command& cmd, F&& body) {
  visit<DType::kFloat64, DType::kFloat32>(cmd.name(), cmd.input(0).dtype, std::forward<F>(body));
}

// The matrices in the last two axes of a view.
template <class T>
class Matrices {
 public:
  explicit Matrices(const TensorView& view)
      : rows(view.size(-2)),
        columns(view.size(-1)),
        row_stride(view.stride(-2)),
        column_stride(view.stride(-1)),
        data_(view.as<T>()),
        offsets_(view, 3u << (view.rank - 2)) {}

  const int64_t rows, columns, row_stride, column_stride;

  int64_t count() const { return offsets_.rows(); }
  T* operator[](int64_t i) const { return data_ + offsets_(i); }

 private:
  T* data_;
  RowOffsets offsets_;
};

// to[i, j] = from[i, j], in blocks that keep to the first cache whichever of the two is transposed.
template <class T>
void copy_matrix(T* to, int64_t to_row, int64_t to_column, const T* from, int64_t from_row, int64_t from_column,
                 int64_t rows, int64_t columns) {
  constexpr int64_t kBlock = 32;
  for (int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const int64_t i1 = std::min(rows, i0 + kBlock);
    for (int64_t j0 = 0; j0 < columns; j0 += kBlock) {
      const int64_t j1 = std::min(columns, j0 + kBlock);
      for (int64_t i = i0; i < i1; ++i) {
        for (int64_t j = j0; j < j1; ++j) to[i * to_row + j * to_column] = from[i * from_row + j * from_column];
      }
    }
  }
}

// Matrix i of the batch, row-major without gaps, at `to`.
template <class T>
void pack(T* to, const Matrices<T>& x, int64_t i) {
  copy_matrix(to, x.columns, int64_t{1}, static_cast<const T*>(x[i]), x.row_stride, x.column_stride, x.rows, x.columns);
}

template <class T>
void set_identity(T* to, int64_t n) {
  std::fill_n(to, n * n, T(0));
  for (int64_t i = 0; i < n; ++i) to[i * (n + 1)] = 1;
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  // A sum of products with zero is zero unless one of them is not finite.
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * T(0);
  return sum == 0;
}

// Pieces of one allocation, each 64-byte aligned: first add() them, then take the memory.
class Layout {
 public:
  template <class T>
  int64_t add(int64_t count) {
    const int64_t offset = bytes_;
    bytes_ += (std::max<int64_t>(count, 1) * static_cast<int64_t>(sizeof(T)) + 63) & ~int64_t{63};
    return offset;
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

// The answer to a workspace query. A float may have rounded it down.
template <class T>
int workspace(T answer) {
  return static_cast<int>(std::min(static_cast<double>(answer) * 1.000001 + 1, 2147483647.0));
}

inline int to_int(int64_t size) { return static_cast<int>(size); }

// Runs body(i) for the matrices of a batch; it answers LAPACK's `info`. `work` is about what one takes, in multiply-adds. If
// any failed, throws what describe(info) says of the first.
template <class F, class D>
void each_matrix(KernelContext& ctx, const Command& cmd, int64_t count, int64_t work, F&& body, D&& describe) {
  if (count == 0) return;
  int* info = ctx.scratch<int>(count);
  // Tasks of some 10 µs.
  ctx.parallel_ranges(count, (int64_t{1} << 16) / std::max<int64_t>(work, 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) info[i] = body(i);
  });
  for (int64_t i = 0; i < count; ++i) {
    if (info[i] == 0) continue;
    throw Error(ErrorCode::kLinAlg,
                std::string(cmd.name()) + ": " + describe(info[i], " in matrix " + std::to_string(i)));
  }
}

inline std::string singular(int info, const std::string& where) {
  return "singular: got a zero at position " + std::to_string(info - 1) + " of the diagonal of U" + where +
         ", expected a matrix that can be inverted";
}

// What a routine answers whose iteration has not come to an end; kNotFinite is ours.
inline constexpr int kNotFinite = -1000;
inline std::string unconverged(int info, const std::string& where) {
  return info == kNotFinite
             ? "not finite: got NaN or an infinity" + where + ", expected finite numbers"
             : "did not converge: got an iteration without end" + where + ", expected a better conditioned one";
}

}  // namespace hadal::cpu
