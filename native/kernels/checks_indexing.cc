// Checks of movement and indexing ops: shapes and dtypes for which the kernels stay inside their tensors. Index values
// are data: the kernels check them as they read them.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

void require_index(const Command& cmd, const TensorView& index) {
  require_dtype(is_index(index.dtype), cmd, "the index needs dtype int64 or int32");
}
void require_same_dtype(const Command& cmd, const TensorView& a, const TensorView& b) {
  require_dtype(a.dtype == b.dtype, cmd, "input and output differ in dtype");
}

// `whole` has the shape of `index` followed by that of `table` without its first axis.
void require_looked_up(const Command& cmd, const TensorView& table, const TensorView& index, const TensorView& whole) {
  require_shape(table.rank >= 1, cmd, "the table needs an axis of rows");
  bool fits = whole.rank == index.rank + table.rank - 1;
  for (int axis = 0; fits && axis < whole.rank; ++axis) {
    fits = whole.shape[axis] == (axis < index.rank ? index.shape[axis] : table.shape[axis - index.rank + 1]);
  }
  require_shape(fits, cmd, "the rows do not fit the index and the table");
}

// `index` fits into `within`, except along `axis`.
void require_inside(const Command& cmd, const TensorView& index, const TensorView& within, int axis, const char* what) {
  bool fits = index.rank == within.rank;
  for (int i = 0; fits && i < index.rank; ++i) fits = i == axis || index.shape[i] <= within.shape[i];
  require_shape(fits, cmd, what);
}

}  // namespace

void check_cat(const Command& cmd) {
  const TensorView& y = cmd.output(0);
  require_shape(y.rank >= 1, cmd, "scalars have no axis to join along");
  const int axis = require_axis(cmd, 0, y);
  int64_t size = 0;
  for (int i = 0; i < cmd.input_count; ++i) {
    const TensorView& x = cmd.input(i);
    require_shape(same_shape_except(x, y, axis), cmd, "an input does not fit the output");
    require_same_dtype(cmd, x, y);
    size += x.shape[axis];
  }
  require_shape(size == y.shape[axis], cmd, "the inputs do not fill the output");
}

namespace {

constexpr int64_t kLimit = int64_t{1} << 52;

// x padded to y by the mode and, of each axis, the attribute from `first` on.
void require_padding(const Command& cmd, const TensorView& x, const TensorView& y, int64_t mode, int first) {
  require_same_dtype(cmd, x, y);
  require_shape(x.rank == y.rank && cmd.attribute_count == first + x.rank, cmd, "needs one padding per axis");
  for (int axis = 0; axis < x.rank; ++axis) {
    const int64_t before = require_integer(cmd, first + axis, -kLimit, kLimit, "padding out of range");
    const int64_t after = y.shape[axis] - x.shape[axis] - before;
    if (mode == 0 || (before == 0 && after == 0)) continue;
    // Reflection repeats all but the edge, replication needs an edge, a circle goes round once.
    const int64_t limit = mode == 1 ? x.shape[axis] - 1 : mode == 2 ? (x.shape[axis] > 0 ? kLimit : -1) : x.shape[axis];
    require_shape(before >= 0 && after >= 0 && before <= limit && after <= limit, cmd,
                  "padding too large for the axis");
  }
}

}  // namespace

void check_pad(const Command& cmd) {
  require_padding(cmd, cmd.input(0), cmd.output(0), require_integer(cmd, 0, 0, 3, "unknown mode"), 2);
  if (is_floating(cmd.input(0).dtype)) return;
  require_integer(cmd, 1, -kLimit * 2, kLimit * 2, "the value needs to be an integer");
}

void check_pad_backward(const Command& cmd) {
  const TensorView &g = cmd.input(0), &gx = cmd.output(0);
  require_padding(cmd, gx, g, require_integer(cmd, 0, 1, 3, "unknown mode"), 1);
  require_dtype(is_floating(g.dtype), cmd, "needs gradients of a floating dtype");
  require_shape(gx.rank >= 1, cmd, "scalars have no axis to pad");
}

void check_flip(const Command& cmd) {
  require_shape(same_shape(cmd.input(0), cmd.output(0)), cmd, "input and output differ in shape");
  require_same_dtype(cmd, cmd.input(0), cmd.output(0));
  require_integer(cmd, 0, 0, (1 << kMaxRank) - 1, "axes out of range");
}

void check_matrix(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_shape(x.rank >= 2, cmd, "needs at least two axes");
  require_shape(same_shape(x, cmd.output(0)), cmd, "input and output differ in shape");
  require_same_dtype(cmd, x, cmd.output(0));
  require_integer(cmd, 0, -(int64_t{1} << 52), int64_t{1} << 52, "diagonal out of range");
}

void check_embedding(const Command& cmd) {
  require_index(cmd, cmd.input(1));
  require_same_dtype(cmd, cmd.input(0), cmd.output(0));
  require_looked_up(cmd, cmd.input(0), cmd.input(1), cmd.output(0));
}

void check_embedding_backward(const Command& cmd) {
  const TensorView& g = cmd.input(0);
  const TensorView& gw = cmd.output(0);
  require_index(cmd, cmd.input(1));
  require_dtype(is_floating(g.dtype) && g.dtype == gw.dtype, cmd, "needs gradients of one floating dtype");
  require_looked_up(cmd, gw, cmd.input(1), g);
  require_shape(gw.numel() == 0 || gw.is_contiguous(), cmd, "the output needs to be contiguous");
  require_integer(cmd, 0, -1, int64_t{1} << 52, "padding index out of range");
}

void check_embedding_bag(const Command& cmd) {
  const TensorView &weight = cmd.input(0), &index = cmd.input(1), &offsets = cmd.input(2), &y = cmd.output(0);
  require_index(cmd, index);
  require_dtype(is_floating(y.dtype) && weight.dtype == y.dtype, cmd, "needs rows of one floating dtype");
  require_shape(weight.rank == 2 && y.rank == 2 && weight.shape[1] == y.shape[1], cmd, "the table does not fit");
  require_shape((weight.shape[1] <= 1 || weight.strides[1] == 1) && (y.shape[1] <= 1 || y.strides[1] == 1), cmd,
                "the elements of a row need to be adjacent");
  if (offsets.present()) {
    require_index(cmd, offsets);
    require_shape(index.rank == 1 && offsets.rank == 1 && offsets.shape[0] == y.shape[0], cmd,
                  "needs an offset for each bag");
  } else {
    require_shape(index.rank == 2 && index.shape[0] == y.shape[0], cmd, "needs a row of indices for each bag");
  }
}

void check_gather(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.input(1);
  require_index(cmd, index);
  require_same_dtype(cmd, x, cmd.output(0));
  require_shape(same_shape(index, cmd.output(0)), cmd, "index and output differ in shape");
  require_inside(cmd, index, x, require_axis(cmd, 0, x), "the index does not fit the input");
}

void check_scatter(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.input(1);
  const TensorView& source = cmd.input(2);
  require_index(cmd, index);
  require_same_dtype(cmd, x, cmd.output(0));
  require_same_dtype(cmd, source, cmd.output(0));
  require_shape(same_shape(x, cmd.output(0)), cmd, "input and output differ in shape");
  require_inside(cmd, index, x, require_axis(cmd, 0, x), "the index does not fit the input");
  require_inside(cmd, index, source, -1, "the index does not fit the source");
  require_integer(cmd, 1, 0, 4, "unknown reduction");
}

void check_index_select(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.input(1);
  const TensorView& y = cmd.output(0);
  require_index(cmd, index);
  require_same_dtype(cmd, x, y);
  require_shape(x.rank >= 1 && index.rank == 1, cmd, "needs an input with axes and an index vector");
  const int axis = require_axis(cmd, 0, x);
  require_shape(same_shape_except(x, y, axis) && y.shape[axis] == index.shape[0], cmd, "the output does not fit");
}

void check_index_add(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.input(1);
  const TensorView& source = cmd.input(2);
  require_index(cmd, index);
  require_same_dtype(cmd, x, cmd.output(0));
  require_same_dtype(cmd, source, cmd.output(0));
  require_shape(same_shape(x, cmd.output(0)), cmd, "input and output differ in shape");
  require_shape(x.rank >= 1 && index.rank == 1, cmd, "needs an input with axes and an index vector");
  const int axis = require_axis(cmd, 0, x);
  require_shape(same_shape_except(x, source, axis) && source.shape[axis] == index.shape[0], cmd,
                "the source does not fit");
}

void check_nonzero(const Command& cmd) {
  const TensorView& index = cmd.output(0);
  require_dtype(index.dtype == DType::kInt64, cmd, "the output needs dtype int64");
  require_shape(index.rank == 1 && index.is_contiguous() && index.shape[0] <= cmd.input(0).numel(), cmd,
                "the output needs to be a vector of at most as many elements as the input");
}

void check_one_hot(const Command& cmd) {
  const TensorView& index = cmd.input(0);
  const TensorView& y = cmd.output(0);
  require_index(cmd, index);
  bool fits = y.rank == index.rank + 1;
  for (int axis = 0; fits && axis < index.rank; ++axis) fits = y.shape[axis] == index.shape[axis];
  require_shape(fits, cmd, "the output needs the index's shape and an axis of classes");
}

}  // namespace hadal
