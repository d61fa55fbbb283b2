// The check of matmul: shapes and dtypes for which the kernels stay inside their tensors.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

void check_matmul(const Command& cmd) {
  const TensorView &a = cmd.input(0), &b = cmd.input(1), &bias = cmd.input(2), &y = cmd.output(0);
  require_shape(y.rank >= 2 && a.rank == y.rank && b.rank == y.rank, cmd, "needs matrices of equal rank");
  for (int axis = 0; axis < y.rank - 2; ++axis) {
    require_shape(a.shape[axis] == y.shape[axis] && b.shape[axis] == y.shape[axis], cmd, "batch axes differ");
  }
  require_shape(a.size(-1) == b.size(-2), cmd, "inner sizes differ");
  require_shape(y.size(-2) == a.size(-2) && y.size(-1) == b.size(-1), cmd, "the output needs shape [..., m, n]");
  require_dtype(y.dtype != DType::kBool && a.dtype == y.dtype && b.dtype == y.dtype, cmd, "needs one numeric dtype");
  if (bias.present()) {
    require_shape(bias.rank == 1 && bias.shape[0] == y.size(-1), cmd, "bias needs shape [n]");
    require_dtype(bias.dtype == y.dtype, cmd, "bias needs the output's dtype");
  }
  const int64_t activation = require_integer(cmd, 0, 0, 6, "unknown activation");
  require_dtype(activation <= 1 || is_floating(y.dtype), cmd, "this activation needs a floating dtype");
}

}  // namespace hadal
