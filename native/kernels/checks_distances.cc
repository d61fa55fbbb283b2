// Checks of distances of rows: shapes, layouts and dtypes for which the kernels stay inside their tensors.
#include "kernels/checks.h"

namespace hadal {

namespace {

using checks::require_dtype;
using checks::require_shape;

// a [...batch, n, d], b [...batch, m, d] and pairs [...batch, n, m], rows of adjacent elements, of one dtype.
void require_pairs(const Command& cmd, const TensorView& a, const TensorView& b, const TensorView& pairs) {
  const int rank = a.rank;
  require_shape(rank >= 2 && b.rank == rank && pairs.rank == rank, cmd, "needs matrices of one rank");
  for (int axis = 0; axis < rank - 2; ++axis) {
    require_shape(a.shape[axis] == b.shape[axis] && a.shape[axis] == pairs.shape[axis], cmd, "batches differ");
  }
  require_shape(a.size(-1) == b.size(-1), cmd, "a and b differ in width");
  require_shape(pairs.size(-2) == a.size(-2) && pairs.size(-1) == b.size(-2), cmd, "needs one distance for each pair");
  require_shape(a.size(-1) <= 1 || (a.stride(-1) == 1 && b.stride(-1) == 1), cmd, "needs rows of adjacent elements");
  require_dtype(a.dtype == DType::kFloat32 || a.dtype == DType::kFloat64, cmd, "needs dtype float32 or float64");
  require_dtype(b.dtype == a.dtype && pairs.dtype == a.dtype, cmd, "needs one dtype");
}

}  // namespace

void check_cdist(const Command& cmd) { require_pairs(cmd, cmd.input(0), cmd.input(1), cmd.output(0)); }

void check_cdist_backward(const Command& cmd) {
  const TensorView &a = cmd.input(1), &b = cmd.input(2), &ga = cmd.output(0);
  require_pairs(cmd, a, b, cmd.input(0));
  require_pairs(cmd, a, b, cmd.input(3));
  require_pairs(cmd, ga, b, cmd.input(0));
}

}  // namespace hadal
