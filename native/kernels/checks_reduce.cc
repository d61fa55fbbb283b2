// Checks of reductions, scans, sorting and topk: shapes and dtypes for which the kernels stay inside their tensors.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

// y has x's rank, and along every axis x's size or 1.
void require_reduced(const Command& cmd, const TensorView& x, const TensorView& y) {
  bool fits = x.rank == y.rank;
  for (int axis = 0; fits && axis < x.rank; ++axis) fits = y.shape[axis] == x.shape[axis] || y.shape[axis] == 1;
  require_shape(fits, cmd, "every axis of the output needs the input's size or 1");
}

void require_int64(const Command& cmd, const TensorView& index) {
  require_dtype(index.dtype == DType::kInt64, cmd, "the index output needs dtype int64");
}

}  // namespace

void check_total_reduction(const Command& cmd) {
  require_reduced(cmd, cmd.input(0), cmd.output(0));
  const DType x = cmd.input(0).dtype;
  const DType y = cmd.output(0).dtype;
  require_dtype(y == x || (!is_floating(x) && y == DType::kInt64), cmd,
                "the output needs the input's dtype, or int64 for integers");
}

void check_reduction(const Command& cmd) {
  require_reduced(cmd, cmd.input(0), cmd.output(0));
  require_dtype(cmd.output(0).dtype == cmd.input(0).dtype, cmd, "the output needs the input's dtype");
}

void check_floating_reduction(const Command& cmd) {
  const TensorView& y = cmd.output(0);
  for (int i = 0; i < cmd.output_count; ++i) {
    require_reduced(cmd, cmd.input(0), cmd.output(i));
    require_dtype(is_floating(y.dtype) && cmd.output(i).dtype == cmd.input(0).dtype, cmd,
                  "input and output need one floating dtype");
    // Outputs are walked with one set of strides.
    for (int axis = 0; axis < y.rank; ++axis) {
      const bool alike = cmd.output(i).shape[axis] == y.shape[axis] &&
                         (y.shape[axis] == 1 || cmd.output(i).strides[axis] == y.strides[axis]);
      require_shape(alike, cmd, "outputs differ in shape or layout");
    }
  }
}

void check_norm(const Command& cmd) {
  check_floating_reduction(cmd);
  const double order = cmd.attribute(0);
  require_shape(order == 0 || order == 1 || order == 2 || std::isinf(order), cmd,
                "the order needs to be 0, 1, 2 or infinite");
}

void check_reduction_predicate(const Command& cmd) {
  require_reduced(cmd, cmd.input(0), cmd.output(0));
  require_dtype(cmd.output(0).dtype == DType::kBool, cmd, "the output needs dtype bool");
}

void check_arg_reduction(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.output(0);
  require_reduced(cmd, x, index);
  require_dtype(is_index(index.dtype), cmd, "the index output needs dtype int64 or int32");
  require_shape(x.numel() > 0 || index.numel() == 0, cmd, "no elements to choose from");
  // One axis is reduced, or (-1) all of them are; the kernel finds which by the sizes.
  const int64_t reduced = require_integer(cmd, 0, -1, x.rank > 0 ? x.rank - 1 : 0, "axis out of range");
  for (int axis = 0; axis < x.rank; ++axis) {
    const int64_t expected = reduced == -1 || axis == reduced ? 1 : x.shape[axis];
    require_shape(index.shape[axis] == expected, cmd, "the output does not fit the axis");
  }
}

void check_scan(const Command& cmd) {
  require_shape(same_shape(cmd.input(0), cmd.output(0)), cmd, "input and output differ in shape");
  const DType x = cmd.input(0).dtype;
  require_dtype(cmd.output(0).dtype == (is_floating(x) ? x : DType::kInt64), cmd,
                "the output needs the input's dtype, for integers int64");
  require_axis(cmd, 0, cmd.input(0));
}

void check_floating_scan(const Command& cmd) {
  check_scan(cmd);
  require_dtype(is_floating(cmd.input(0).dtype), cmd, "needs a floating dtype");
}

void check_linear_scan(const Command& cmd) {
  const TensorView& y = cmd.output(0);
  require_shape(same_shape(cmd.input(0), y) && same_shape(cmd.input(1), y), cmd, "inputs and output differ in shape");
  require_dtype((y.dtype == DType::kFloat32 || y.dtype == DType::kFloat64) && cmd.input(0).dtype == y.dtype &&
                    cmd.input(1).dtype == y.dtype,
                cmd, "needs one dtype, float32 or float64");
  require_axis(cmd, 0, y);
}

void check_indexed_scan(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_shape(same_shape(x, cmd.output(0)) && same_shape(x, cmd.output(1)), cmd, "input and outputs differ in shape");
  require_dtype(cmd.output(0).dtype == x.dtype, cmd, "the output needs the input's dtype");
  require_int64(cmd, cmd.output(1));
  require_axis(cmd, 0, x);
}

void check_topk(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const int axis = require_axis(cmd, 0, x);
  require_shape(same_shape_except(x, y, axis) && same_shape(y, cmd.output(1)), cmd, "outputs do not fit the input");
  require_shape(x.rank == 0 || y.shape[axis] <= x.shape[axis], cmd, "k is larger than the axis");
  require_dtype(y.dtype == x.dtype, cmd, "the output needs the input's dtype");
  require_int64(cmd, cmd.output(1));
}

void check_kth_value(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  check_topk(cmd);
  const int axis = require_axis(cmd, 0, x);
  require_integer(cmd, 1, 0, 0, "the order is ascending");
  const int64_t n = x.rank > 0 ? x.shape[axis] : 1;
  require_shape(x.rank == 0 || cmd.output(0).shape[axis] == 1, cmd, "one element of each line is wanted");
  require_integer(cmd, 2, 1, n, "k is out of the axis");
}

void check_search_sorted(const Command& cmd) {
  const TensorView& sorted = cmd.input(0);
  const TensorView& x = cmd.input(1);
  const TensorView& index = cmd.output(0);
  require_dtype(sorted.dtype == x.dtype, cmd, "inputs differ in dtype");
  require_int64(cmd, index);
  require_shape(same_shape(x, index), cmd, "values and output differ in shape");
  require_shape(sorted.rank == 1 || (sorted.rank >= 1 && same_shape_except(sorted, x, x.rank - 1)), cmd,
                "the lines need to be one, or one for each line of values");
  require_integer(cmd, 0, 0, 1, "the side is 0 or 1");
}

}  // namespace hadal
