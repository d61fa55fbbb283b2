// Checks of sparse products: shapes, layouts and dtypes for which the kernels stay inside their tensors. Pointers, rows and columns
// are data: the kernels check them as they read them.
#include "kernels/checks.h"

namespace hadal {

namespace {

using checks::require_dtype;
using checks::require_shape;

void require_entries(const Command& cmd, const TensorView& view, int64_t count) {
  require_shape(view.rank == 1 && view.shape[0] == count, cmd, "needs one number per entry");
}
void require_index(const Command& cmd, const TensorView& view) {
  require_dtype(is_index(view.dtype), cmd, "the index needs dtype int64 or int32");
}
void require_rows(const Command& cmd, const TensorView& view) {
  require_shape(view.rank == 2 && (view.shape[1] <= 1 || view.strides[1] == 1), cmd, "needs a matrix of adjacent rows");
}

}  // namespace

void check_csr_matmul(const Command& cmd) {
  const TensorView &pointers = cmd.input(0), &columns = cmd.input(1), &values = cmd.input(2), &x = cmd.input(3);
  const TensorView& y = cmd.output(0);
  require_rows(cmd, x);
  require_rows(cmd, y);
  require_shape(y.shape[1] == x.shape[1], cmd, "x and y differ in width");
  require_shape(pointers.rank == 1 && pointers.shape[0] == y.shape[0] + 1, cmd, "needs one pointer more than rows");
  require_shape(columns.rank == 1, cmd, "needs a vector of columns");
  require_entries(cmd, values, columns.shape[0]);
  require_index(cmd, pointers);
  require_index(cmd, columns);
  require_dtype(is_floating(y.dtype) && x.dtype == y.dtype && values.dtype == y.dtype, cmd, "needs one floating dtype");
}

void check_sampled_matmul(const Command& cmd) {
  const TensorView &rows = cmd.input(0), &columns = cmd.input(1), &a = cmd.input(2), &b = cmd.input(3);
  const TensorView& values = cmd.output(0);
  require_rows(cmd, a);
  require_rows(cmd, b);
  require_shape(a.shape[1] == b.shape[1], cmd, "a and b differ in width");
  require_shape(rows.rank == 1, cmd, "needs a vector of rows");
  require_entries(cmd, columns, rows.shape[0]);
  require_entries(cmd, values, rows.shape[0]);
  require_index(cmd, rows);
  require_index(cmd, columns);
  require_dtype(is_floating(a.dtype) && b.dtype == a.dtype && values.dtype == a.dtype, cmd, "needs one floating dtype");
}

}  // namespace hadal
