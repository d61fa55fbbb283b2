// Checks of the creation, copy and pointwise ops. The kernels walk all operands with the output's shape, so that is what
// they have to share; a dtype that an op does not have is refused by its kernel.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

void require_same_shapes(const Command& cmd) {
  for (int i = 0; i < cmd.input_count; ++i) {
    require_shape(same_shape(cmd.input(i), cmd.output(0)), cmd, "an input and the output differ in shape");
  }
}
// All from input `first` on have one dtype.
void require_same_dtypes(const Command& cmd, int first, DType dtype) {
  for (int i = first; i < cmd.input_count; ++i) {
    require_dtype(cmd.input(i).dtype == dtype, cmd, "the operands need one dtype");
  }
}

}  // namespace

void check_any_output(const Command&) {}

void check_floating_output(const Command& cmd) {
  require_dtype(is_floating(cmd.output(0).dtype), cmd, "the output needs a floating dtype");
}

void check_index_vector_output(const Command& cmd) {
  const TensorView& y = cmd.output(0);
  require_dtype(is_index(y.dtype), cmd, "the output needs dtype int64 or int32");
  require_shape(y.rank == 1, cmd, "the output needs one axis");
  require_shape(y.dtype == DType::kInt64 || y.shape[0] <= INT32_MAX, cmd, "too long for int32");
}

void check_pointwise(const Command& cmd) {
  require_same_shapes(cmd);
  const DType dtype = cmd.output(0).dtype;
  const bool narrow = dtype == DType::kFloat16 || dtype == DType::kBFloat16;
  for (int i = 0; i < cmd.input_count; ++i) {
    const bool wide = narrow && cmd.is_immediate(i) && cmd.input(i).dtype == DType::kFloat32;
    require_dtype(wide || cmd.input(i).dtype == dtype, cmd, "the operands need one dtype");
  }
}

void check_predicate(const Command& cmd) {
  require_same_shapes(cmd);
  require_same_dtypes(cmd, 1, cmd.input(0).dtype);
  require_dtype(cmd.output(0).dtype == DType::kBool, cmd, "the output needs dtype bool");
}

void check_where(const Command& cmd) {
  require_same_shapes(cmd);
  require_dtype(cmd.input(0).dtype == DType::kBool, cmd, "the condition needs dtype bool");
  require_same_dtypes(cmd, 1, cmd.output(0).dtype);
}

void check_same_shape(const Command& cmd) { require_same_shapes(cmd); }

void check_same_shape_and_dtype(const Command& cmd) {
  require_same_shapes(cmd);
  require_same_dtypes(cmd, 0, cmd.output(0).dtype);
}

}  // namespace hadal
