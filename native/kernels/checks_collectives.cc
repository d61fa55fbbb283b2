// Checks of collectives. How many ranks there are is known to the stream alone, so the kernels check the axis of the ranks.
#include "kernels/checks.h"
#include "kernels/collectives.h"

namespace hadal {

using namespace checks;

namespace {

void require_alike(const Command& cmd, const TensorView& x, const TensorView& y) {
  require_dtype(x.dtype == y.dtype, cmd, "input and output differ in dtype");
  for (const TensorView* view : {&x, &y}) {
    require_shape(view->numel() == 0 || view->is_contiguous(), cmd, "needs contiguous tensors");
  }
}

// Outputs are like the inputs, one by one, and all of one dtype.
void require_pairs(const Command& cmd) {
  require_shape(cmd.input_count > 0 && cmd.output_count == cmd.input_count, cmd, "needs as many outputs as inputs");
  for (int i = 0; i < cmd.input_count; ++i) {
    require_alike(cmd, cmd.input(i), cmd.output(i));
    require_shape(same_shape(cmd.input(i), cmd.output(i)), cmd, "input and output differ in shape");
    require_dtype(cmd.input(i).dtype == cmd.input(0).dtype, cmd, "needs tensors of one dtype");
  }
}

// `whole` is `part` with the ranks as first axis.
void require_ranks_first(const Command& cmd, const TensorView& whole, const TensorView& part) {
  require_alike(cmd, whole, part);
  require_shape(whole.rank == part.rank + 1, cmd, "needs an axis for the ranks");
  for (int axis = 0; axis < part.rank; ++axis) {
    require_shape(whole.shape[axis + 1] == part.shape[axis], cmd, "input and output differ in shape");
  }
}

void require_reduction(const Command& cmd) {
  const auto reduction = static_cast<Reduction>(require_integer(cmd, 0, 0, 3, "no such reduction"));
  const DType dtype = cmd.input(0).dtype;
  require_dtype(reduction != Reduction::kMean || is_floating(dtype), cmd, "the mean needs a floating dtype");
  require_dtype(reduction != Reduction::kSum || dtype != DType::kBool, cmd, "the sum needs a dtype of numbers");
}

}  // namespace

void check_all_reduce(const Command& cmd) {
  require_pairs(cmd);
  require_reduction(cmd);
}

void check_broadcast(const Command& cmd) {
  require_pairs(cmd);
  require_integer(cmd, 0, 0, 1 << 16, "no such rank");
}

void check_all_gather(const Command& cmd) { require_ranks_first(cmd, cmd.output(0), cmd.input(0)); }

void check_reduce_scatter(const Command& cmd) {
  require_ranks_first(cmd, cmd.input(0), cmd.output(0));
  require_reduction(cmd);
}

void check_barrier(const Command& cmd) {
  require_shape(cmd.output(0).rank == 0, cmd, "needs a scalar");
  require_dtype(cmd.output(0).dtype == DType::kUInt8, cmd, "needs dtype uint8");
}

}  // namespace hadal
