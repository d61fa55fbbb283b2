// The checks of matrix products: shapes and dtypes for which the kernels stay inside their tensors.
#include "kernels/activation.h"
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

// a, b and y, and a bias where there is one.
void require_product(const Command& cmd, const TensorView& bias = {}) {
  const TensorView &a = cmd.input(0), &b = cmd.input(1), &y = cmd.output(0);
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
}

bool is_row_major(const TensorView& view) { return view.numel() == 0 || view.is_contiguous(); }

void require_activation(const Command& cmd, Activation first) {
  const TensorView& y = cmd.output(0);
  const auto low = static_cast<int64_t>(first), high = static_cast<int64_t>(Activation::kSilu);
  if (require_integer(cmd, 0, low, high, "unknown activation") == 0) return;
  require_dtype(is_floating(y.dtype), cmd, "an activation needs a floating dtype");
  require_shape(is_row_major(y), cmd, "an activation needs a contiguous output");
}

// Matrices, and what an activation reads or leaves behind.
void require_pre(const Command& cmd, const TensorView& pre) {
  const TensorView& y = cmd.output(0);
  require_activation(cmd, Activation::kRelu);
  require_shape(y.rank == 2 && same_shape(pre, y) && is_row_major(pre) && is_row_major(y), cmd,
                "needs contiguous matrices of one shape");
  require_dtype(pre.dtype == y.dtype && is_floating(y.dtype), cmd, "needs one floating dtype");
}

}  // namespace

void check_matmul(const Command& cmd) {
  require_product(cmd, cmd.input(2));
  require_activation(cmd, Activation::kNone);
}

void check_matmul_activation(const Command& cmd) {
  require_product(cmd, cmd.input(2));
  require_pre(cmd, cmd.output(1));
}

void check_matmul_activation_backward(const Command& cmd) {
  require_product(cmd);
  require_pre(cmd, cmd.input(2));
}

void check_matmul_row_sums(const Command& cmd) {
  const TensorView &y = cmd.output(0), &sums = cmd.output(1);
  require_product(cmd);
  require_shape(y.rank == 2 && sums.rank == 2 && sums.shape[0] == y.shape[0] && sums.shape[1] == 1, cmd,
                "needs matrices, and sums [m, 1]");
  require_dtype(sums.dtype == y.dtype && is_floating(y.dtype), cmd, "needs one floating dtype");
}

}  // namespace hadal
