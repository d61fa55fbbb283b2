// Checks of linear algebra: shapes and dtypes for which the kernels stay inside their tensors, and LAPACK's 32-bit integers
// suffice.
#include <algorithm>
#include <climits>
#include <cstdint>
#include <initializer_list>

#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

// Every tensor has one of LAPACK's dtypes, the outputs lie without gaps.
void require_lapack(const Command& cmd, int except_output = -1) {
  const DType dtype = cmd.input(0).dtype;
  require_dtype(dtype == DType::kFloat32 || dtype == DType::kFloat64, cmd, "needs dtype float32 or float64");
  for (int i = 0; i < cmd.output_count; ++i) {
    require_shape(cmd.output(i).is_contiguous() || cmd.output(i).numel() == 0, cmd, "needs contiguous outputs");
    require_dtype(i == except_output || cmd.output(i).dtype == dtype, cmd, "input and output differ in dtype");
  }
}

// `view` is [...batch of x, ...sizes].
void require_batch(const Command& cmd, const TensorView& x, const TensorView& view,
                   std::initializer_list<int64_t> sizes, const char* what) {
  const int batch = x.rank - 2;
  bool fits = view.rank == batch + static_cast<int>(sizes.size());
  for (int axis = 0; fits && axis < batch; ++axis) fits = view.shape[axis] == x.shape[axis];
  int axis = batch;
  for (const int64_t size : sizes) {
    fits = fits && view.shape[axis] == size;
    ++axis;
  }
  require_shape(fits, cmd, what);
}

struct Sizes {
  int64_t m, n, k;
};

// Matrices [m, n] small enough for workspaces of some 12·k² + 200·max(m, n) elements, counted in 32 bits.
Sizes require_matrices(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_shape(x.rank >= 2, cmd, "needs matrices");
  const int64_t m = x.size(-2), n = x.size(-1), k = std::min(m, n);
  constexpr int64_t kLimit = INT32_MAX;
  require_shape(std::max(m, n) <= kLimit / 256 && k <= 8192 * 2 && 4 * k * (k + 8) + 256 * std::max(m, n) <= kLimit,
                cmd, "matrix too large for LAPACK");
  return {m, n, k};
}

int64_t require_square(const Command& cmd) {
  const Sizes sizes = require_matrices(cmd);
  require_shape(sizes.m == sizes.n, cmd, "needs square matrices");
  return sizes.n;
}

// A second operand [..., rows, columns]; answers the columns.
int64_t require_columns(const Command& cmd, int input, int64_t rows) {
  const TensorView &a = cmd.input(0), &b = cmd.input(input);
  require_shape(b.rank == a.rank, cmd, "operands differ in rank");
  const int64_t columns = b.size(-1);
  require_shape(columns <= INT32_MAX / 64, cmd, "too many right-hand sides for LAPACK");
  require_batch(cmd, a, b, {rows, columns}, "operands do not fit");
  require_dtype(b.dtype == a.dtype, cmd, "operands differ in dtype");
  return columns;
}

}  // namespace

// x [..., n, n] and an output of the same shape.
void check_square_matrices(const Command& cmd) {
  const int64_t n = require_square(cmd);
  require_lapack(cmd);
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, n}, "input and output differ in shape");
}

// x [..., n, n] and outputs of one number per matrix.
void check_determinant(const Command& cmd) {
  require_square(cmd);
  require_lapack(cmd);
  for (int i = 0; i < cmd.output_count; ++i) {
    require_batch(cmd, cmd.input(0), cmd.output(i), {}, "the output needs one element per matrix");
  }
}

void check_triangular_solve(const Command& cmd) {
  const int64_t n = require_square(cmd);
  require_lapack(cmd);
  const int64_t columns = require_columns(cmd, 1, n);
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, columns}, "the output needs the shape of b");
}

void check_solve(const Command& cmd) {
  const int64_t n = require_square(cmd);
  require_lapack(cmd, 2);
  const int64_t columns = require_columns(cmd, 1, n);
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, columns}, "the output needs the shape of b");
  require_batch(cmd, cmd.input(0), cmd.output(1), {n, n}, "the factors need the shape of a");
  require_batch(cmd, cmd.input(0), cmd.output(2), {n}, "there is one pivot per row");
  require_dtype(cmd.output(2).dtype == DType::kInt32, cmd, "pivots need dtype int32");
}

void check_lu_factor(const Command& cmd) {
  const auto [m, n, k] = require_matrices(cmd);
  require_lapack(cmd, 1);
  require_batch(cmd, cmd.input(0), cmd.output(0), {m, n}, "the factors need the shape of x");
  require_batch(cmd, cmd.input(0), cmd.output(1), {k}, "there is one pivot per step");
  require_dtype(cmd.output(1).dtype == DType::kInt32, cmd, "pivots need dtype int32");
}

// pivots [..., k] and the order [..., m] of at least as many rows.
void check_lu_permutation(const Command& cmd) {
  const TensorView &pivots = cmd.input(0), &order = cmd.output(0);
  require_shape(pivots.rank >= 1 && order.rank == pivots.rank, cmd, "needs pivots and an order of their rank");
  for (int axis = 0; axis < pivots.rank - 1; ++axis) {
    require_shape(pivots.shape[axis] == order.shape[axis], cmd, "the order needs the batch of the pivots");
  }
  require_shape(order.size(-1) >= pivots.size(-1) && order.size(-1) <= INT32_MAX, cmd, "there is one pivot per step");
  require_shape(order.is_contiguous() || order.numel() == 0, cmd, "needs contiguous outputs");
  require_dtype(pivots.dtype == DType::kInt32 && order.dtype == DType::kInt32, cmd, "needs dtype int32");
}

void check_solve_transposed(const Command& cmd) {
  const int64_t n = require_square(cmd);
  require_lapack(cmd);
  const int64_t columns = require_columns(cmd, 2, n);
  const TensorView& pivots = cmd.input(1);
  require_batch(cmd, cmd.input(0), pivots, {n}, "there is one pivot per row");
  require_dtype(pivots.dtype == DType::kInt32, cmd, "pivots need dtype int32");
  require_shape(pivots.numel() == 0 || (cmd.input(0).is_contiguous() && pivots.is_contiguous()), cmd,
                "factors and pivots need to be contiguous");
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, columns}, "the output needs the shape of b");
}

void check_qr(const Command& cmd) {
  const auto [m, n, k] = require_matrices(cmd);
  require_lapack(cmd);
  require_shape(cmd.output(0).rank == cmd.input(0).rank, cmd, "q needs the rank of x");
  const int64_t columns = cmd.output(0).size(-1);
  require_shape(columns == k || columns == m, cmd, "q needs min(m, n) columns, or m");
  require_shape(columns <= INT32_MAX / std::max<int64_t>(1, m), cmd, "matrix too large for LAPACK");
  require_batch(cmd, cmd.input(0), cmd.output(0), {m, columns}, "q does not fit");
  require_batch(cmd, cmd.input(0), cmd.output(1), {columns, n}, "r does not fit");
}

void check_svd(const Command& cmd) {
  const auto [m, n, k] = require_matrices(cmd);
  require_lapack(cmd);
  const TensorView &u = cmd.output(1), &vt = cmd.output(2);
  require_shape(u.rank == cmd.input(0).rank && vt.rank == u.rank, cmd, "vectors need the rank of x");
  const bool full = u.size(-1) != k || vt.size(-2) != k;
  require_shape(!full || (m <= 16384 && n <= 16384), cmd, "matrix too large for LAPACK");
  require_batch(cmd, cmd.input(0), cmd.output(0), {k}, "s does not fit");
  require_batch(cmd, cmd.input(0), u, {m, full ? m : k}, "u does not fit");
  require_batch(cmd, cmd.input(0), vt, {full ? n : k, n}, "vt does not fit");
}

void check_svdvals(const Command& cmd) {
  const auto [m, n, k] = require_matrices(cmd);
  require_lapack(cmd);
  require_batch(cmd, cmd.input(0), cmd.output(0), {k}, "s does not fit");
}

void check_eigh(const Command& cmd) {
  const int64_t n = require_square(cmd);
  require_lapack(cmd);
  require_batch(cmd, cmd.input(0), cmd.output(0), {n}, "there is one eigenvalue per row");
  if (cmd.output_count > 1) require_batch(cmd, cmd.input(0), cmd.output(1), {n, n}, "v does not fit");
}

void check_eig(const Command& cmd) {
  const int64_t n = require_square(cmd);
  require_lapack(cmd);
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, 2}, "there is one pair per row");
  if (cmd.output_count > 1) require_batch(cmd, cmd.input(0), cmd.output(1), {n, n, 2}, "v does not fit");
}

void check_pinv(const Command& cmd) {
  const auto [m, n, k] = require_matrices(cmd);
  require_lapack(cmd);
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, m}, "the output needs the shape of the transposed input");
}

void check_lstsq(const Command& cmd) {
  const auto [m, n, k] = require_matrices(cmd);
  require_lapack(cmd, 1);
  const int64_t columns = require_columns(cmd, 1, m);
  require_shape(std::max(m, n) * std::max<int64_t>(columns, 1) <= INT32_MAX / 4, cmd,
                "too many right-hand sides for LAPACK");
  require_batch(cmd, cmd.input(0), cmd.output(0), {n, columns}, "x does not fit");
  require_batch(cmd, cmd.input(0), cmd.output(1), {}, "there is one rank per matrix");
  require_dtype(cmd.output(1).dtype == DType::kInt64, cmd, "the rank needs dtype int64");
  require_batch(cmd, cmd.input(0), cmd.output(2), {k}, "s does not fit");
}

}  // namespace hadal
