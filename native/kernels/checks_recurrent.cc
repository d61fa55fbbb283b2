// Checks of recurrent layers: shapes, layouts and dtypes for which the kernels stay inside their tensors.
#include <initializer_list>

#include "kernels/checks.h"

namespace hadal {

namespace {

using checks::require_dtype;
using checks::require_integer;
using checks::require_shape;

void require_size(const Command& cmd, const TensorView& view, std::initializer_list<int64_t> shape, const char* what) {
  bool fits = view.rank == static_cast<int>(shape.size());
  int axis = 0;
  for (const int64_t size : shape) fits = fits && view.shape[axis++] == size;
  require_shape(fits, cmd, what);
}
void require_dense(const Command& cmd, const TensorView& view) {
  require_shape(view.size(-1) <= 1 || view.stride(-1) == 1, cmd, "needs units that are adjacent");
}
void require_saved(const Command& cmd, const TensorView& view, DType dtype) {
  require_shape(view.numel() == 0 || view.is_contiguous(), cmd, "saved gates and cells need to be contiguous");
  require_dtype(view.dtype == (dtype == DType::kFloat64 ? dtype : DType::kFloat32), cmd,
                "saved gates and cells need the compute dtype");
}

struct Sizes {
  bool gru;
  bool lstm;
  int64_t gates;
  int64_t saved;
};
Sizes require_cell(const Command& cmd) {
  const int64_t cell = require_integer(cmd, 0, 0, 3, "unknown cell");
  const bool gru = cell == 2, lstm = cell == 3;
  return {gru, lstm, lstm ? 4 : gru ? 3 : 1, gru || lstm ? 4 : 1};
}
void require_lengths(const Command& cmd, const TensorView& lengths, int64_t rows) {
  if (!lengths.present()) return;
  require_size(cmd, lengths, {rows}, "lengths do not fit the batch");
  require_dtype(is_index(lengths.dtype), cmd, "lengths need dtype int64 or int32");
}

}  // namespace

// (x, weight, bias?, h0, c0?, lengths?) -> (y, hn, cn, gates, cells); cn and cells are empty vectors where there are no cells.
void check_recurrent(const Command& cmd) {
  const Sizes sizes = require_cell(cmd);
  const TensorView &x = cmd.input(0), &weight = cmd.input(1), &bias = cmd.input(2), &c0 = cmd.input(4);
  const TensorView& y = cmd.output(0);
  require_shape(y.rank == 3, cmd, "needs an output [t, b, h]");
  const int64_t t = y.shape[0], b = y.shape[1], h = y.shape[2], gates = sizes.gates * h;
  require_dtype(is_floating(x.dtype), cmd, "needs a floating dtype");
  require_size(cmd, x, {t, b, gates}, "x does not fit the output");
  require_size(cmd, weight, {gates, h}, "the weight does not fit the output");
  require_size(cmd, cmd.input(3), {b, h}, "h0 does not fit the output");
  if (bias.present()) require_size(cmd, bias, {gates}, "the bias does not fit the output");
  if (sizes.lstm && c0.present()) require_size(cmd, c0, {b, h}, "c0 does not fit the output");
  require_lengths(cmd, cmd.input(5), b);
  require_size(cmd, cmd.output(1), {b, h}, "hn does not fit the output");
  if (sizes.lstm) {
    require_size(cmd, cmd.output(2), {b, h}, "cn does not fit the output");
    require_size(cmd, cmd.output(4), {t, b, h}, "cells do not fit the output");
  }
  require_size(cmd, cmd.output(3), {t, b, sizes.saved * h}, "gates do not fit the output");
  for (const int i : {3, 4}) require_saved(cmd, cmd.output(i), x.dtype);
  for (const TensorView* view : {&x, &y}) require_dense(cmd, *view);
  for (const int i : {1, 2, 3, 4}) {
    require_dtype(!cmd.input(i).present() || cmd.input(i).dtype == x.dtype, cmd, "needs one dtype");
  }
  for (const int i : {0, 1, 2}) require_dtype(cmd.output(i).dtype == x.dtype, cmd, "needs one dtype");
}

// (gy, ghn?, gcn?, weight, h0, c0?, lengths?, y, gates, cells) -> (gx, gh, gh0, gc0); gh and gc0 are empty vectors where unused.
void check_recurrent_backward(const Command& cmd) {
  const Sizes sizes = require_cell(cmd);
  const TensorView &gy = cmd.input(0), &y = cmd.input(7);
  require_shape(gy.rank == 3, cmd, "needs a gradient [t, b, h]");
  const int64_t t = gy.shape[0], b = gy.shape[1], h = gy.shape[2], gates = sizes.gates * h;
  require_dtype(is_floating(gy.dtype), cmd, "needs a floating dtype");
  require_size(cmd, y, {t, b, h}, "y does not fit the gradient");
  require_size(cmd, cmd.input(3), {gates, h}, "the weight does not fit the gradient");
  for (const int i : {1, 2, 4, 5}) {
    const bool read = i == 1 || i == 4 || sizes.lstm;
    if (read && cmd.input(i).present()) require_size(cmd, cmd.input(i), {b, h}, "a state does not fit the gradient");
  }
  require_size(cmd, cmd.input(8), {t, b, sizes.saved * h}, "gates do not fit the gradient");
  if (sizes.lstm) {
    require_size(cmd, cmd.input(9), {t, b, h}, "cells do not fit the gradient");
    require_size(cmd, cmd.output(3), {b, h}, "gc0 does not fit the gradient");
  }
  require_lengths(cmd, cmd.input(6), b);
  require_size(cmd, cmd.output(0), {t, b, gates}, "gx does not fit the gradient");
  if (sizes.gru) require_size(cmd, cmd.output(1), {t, b, gates}, "gh does not fit the gradient");
  require_size(cmd, cmd.output(2), {b, h}, "gh0 does not fit the gradient");
  for (const int i : {8, 9}) require_saved(cmd, cmd.input(i), gy.dtype);
  for (const TensorView* view : {&gy, &y, &cmd.output(0)}) require_dense(cmd, *view);
  if (sizes.gru) require_dense(cmd, cmd.output(1));
  for (const int i : {1, 2, 3, 4, 5, 7}) {
    require_dtype(!cmd.input(i).present() || cmd.input(i).dtype == gy.dtype, cmd, "needs one dtype");
  }
  for (const int i : {0, 1, 2, 3}) require_dtype(cmd.output(i).dtype == gy.dtype, cmd, "needs one dtype");
}

}  // namespace hadal
