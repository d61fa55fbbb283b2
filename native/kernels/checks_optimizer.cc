// Checks of the multi-tensor optimizer ops: tensor i of every list has one shape, and the lists have one length.
#include <limits>

#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

// Outputs are `lists` lists as long as the inputs: parameters in the gradients' dtype, then states, which 16-bit floats
// keep in float32 or their own type.
void require_lists(const Command& cmd, int lists) {
  const int n = cmd.input_count;
  require_shape(cmd.output_count == n * lists, cmd, "lists of tensors differ in length");
  for (int i = 0; i < n; ++i) {
    const TensorView& grad = cmd.input(i);
    require_dtype(is_floating(grad.dtype), cmd, "needs a floating dtype");
    for (int list = 0; list < lists; ++list) {
      const TensorView& view = cmd.output(list * n + i);
      require_shape(same_shape(grad, view), cmd, "gradient, parameter and state differ in shape");
      const bool is_wide_state = list > 0 && size_of(grad.dtype) == 2 && view.dtype == DType::kFloat32;
      require_dtype(view.dtype == grad.dtype || is_wide_state, cmd, "gradient, parameter and state differ in dtype");
      require_dtype(list < 2 || view.dtype == cmd.output(n + i).dtype, cmd, "states differ in dtype");
    }
  }
}

void require_scalar(const Command& cmd, const TensorView& view) {
  require_shape(view.rank == 0, cmd, "needs a scalar");
  require_dtype(view.dtype == DType::kFloat32 || view.dtype == DType::kFloat64, cmd,
                "the scalar needs dtype float32 or float64");
}

}  // namespace

void check_sgd_step(const Command& cmd) { require_lists(cmd, cmd.attribute(1) != 0 ? 2 : 1); }

void check_adam_step(const Command& cmd) { require_lists(cmd, cmd.flag(8) ? 4 : 3); }

void check_rms_prop_step(const Command& cmd) { require_lists(cmd, 2 + cmd.flag(5) + (cmd.attribute(4) != 0)); }

void check_stateless_step(const Command& cmd) { require_lists(cmd, 1); }
void check_one_state_step(const Command& cmd) { require_lists(cmd, 2); }
void check_two_state_step(const Command& cmd) { require_lists(cmd, 3); }

void check_grad_norm(const Command& cmd) {
  for (int i = 0; i < cmd.input_count; ++i)
    require_dtype(is_floating(cmd.input(i).dtype), cmd, "needs a floating dtype");
  require_scalar(cmd, cmd.output(0));
  const double order = cmd.attribute(0);
  require(order == 1 || order == 2 || order == std::numeric_limits<double>::infinity(), cmd, ErrorCode::kIndex,
          "the order needs to be 1, 2 or infinity");
}

void check_scale_tensors(const Command& cmd) {
  require_scalar(cmd, cmd.input(0));
  for (int i = 0; i < cmd.output_count; ++i) {
    require_dtype(is_floating(cmd.output(i).dtype), cmd, "needs a floating dtype");
  }
}

}  // namespace hadal
