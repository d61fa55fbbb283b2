// Checks of resampling, sampling and boxes: shapes, dtypes and attributes for which the kernels stay inside their tensors.
#include <cmath>

#include "kernels/checks.h"
#include "kernels/grid_sample.h"
#include "kernels/resample.h"

namespace hadal {

using namespace checks;

namespace {

// x [n, c, d, h, w] resampled to y; the factors of every axis lie inside x for any ratio that is a number.
void require_resampling(const Command& cmd, const TensorView& x, const TensorView& y) {
  require_shape(x.rank == 5 && y.rank == 5, cmd, "needs tensors [n, c, d, h, w]");
  require_dtype(is_floating(x.dtype) && x.dtype == y.dtype, cmd, "needs tensors of one floating dtype");
  require_shape(x.shape[0] == y.shape[0] && x.shape[1] == y.shape[1], cmd, "needs equal batch and channels");
  require_integer(cmd, 0, 0, kResamplingModes - 1, "unknown mode");
  for (int axis = 0; axis < 3; ++axis) {
    const double ratio = cmd.attribute(2 + axis);
    require(std::isfinite(ratio) && ratio >= 0, cmd, ErrorCode::kIndex, "ratio out of range");
    const int64_t in = x.shape[2 + axis], out = y.shape[2 + axis];
    require_shape(in >= 1 && out >= 1 && in < (int64_t{1} << 30) && out < (int64_t{1} << 30), cmd,
                  "an axis is empty or too large");
  }
}

}  // namespace

void check_resample(const Command& cmd) { require_resampling(cmd, cmd.input(0), cmd.output(0)); }

void check_resample_backward(const Command& cmd) { require_resampling(cmd, cmd.output(0), cmd.input(0)); }

namespace {

void require_space(const Command& cmd, const TensorView& x, int first) {
  for (int axis = first; axis < x.rank; ++axis) {
    require_shape(x.shape[axis] >= 1 && x.shape[axis] < (int64_t{1} << 30), cmd, "an axis is empty or too large");
  }
}

// x [n, c, d, h, w] sampled by a grid [n, od, oh, ow, axes] to y [n, c, od, oh, ow].
void require_sampling(const Command& cmd, const TensorView& x, const TensorView& grid, const TensorView& y) {
  require_shape(x.rank == 5 && grid.rank == 5 && y.rank == 5, cmd, "needs x, grid and y of rank 5");
  require_dtype(is_floating(x.dtype) && grid.dtype == x.dtype && y.dtype == x.dtype, cmd,
                "needs tensors of one floating dtype");
  const int64_t axes = grid.shape[4];
  require_shape(axes == 3 || (axes == 2 && x.shape[2] == 1), cmd, "the grid needs an axis of 2 or 3");
  require_shape(grid.shape[0] == x.shape[0] && y.shape[0] == x.shape[0] && y.shape[1] == x.shape[1], cmd,
                "needs equal batch and channels");
  for (int axis = 1; axis < 4; ++axis) {
    require_shape(y.shape[axis + 1] == grid.shape[axis], cmd, "y does not fit the grid");
  }
  require_space(cmd, x, 2);
  double extent = 0;
  for (int axis = 2; axis < 5; ++axis) {
    extent += static_cast<double>(x.shape[axis] - 1) * static_cast<double>(x.strides[axis]);
  }
  require_shape(extent < 0x1p31, cmd, "an image is too large");
  const int64_t mode = require_integer(cmd, 0, 0, kGridModes - 1, "unknown mode");
  require_integer(cmd, 1, 0, kGridPaddings - 1, "unknown padding");
  require_shape(axes == 2 || mode != static_cast<int64_t>(GridMode::kCubic), cmd, "cubic sampling needs two axes");
}

}  // namespace

void check_grid_sample(const Command& cmd) { require_sampling(cmd, cmd.input(0), cmd.input(1), cmd.output(0)); }

void check_grid_sample_input_grad(const Command& cmd) {
  require_sampling(cmd, cmd.output(0), cmd.input(1), cmd.input(0));
}

void check_grid_sample_grid_grad(const Command& cmd) {
  require_sampling(cmd, cmd.input(1), cmd.input(2), cmd.input(0));
  require_shape(same_shape(cmd.input(2), cmd.output(0)), cmd, "grid and ggrid differ in shape");
  require_dtype(cmd.output(0).dtype == cmd.input(2).dtype, cmd, "grid and ggrid differ in dtype");
}

namespace {

// x [n, c, h, w] and boxes [k, 5] give y [k, c, ph, pw].
void require_regions(const Command& cmd, const TensorView& x, const TensorView& boxes, const TensorView& y) {
  require_shape(x.rank == 4 && y.rank == 4 && boxes.rank == 2 && boxes.shape[1] == 5, cmd,
                "needs x [n, c, h, w], boxes [k, 5] and y [k, c, ph, pw]");
  require_dtype(is_floating(x.dtype) && boxes.dtype == x.dtype && y.dtype == x.dtype, cmd,
                "needs tensors of one floating dtype");
  require_shape(y.shape[0] == boxes.shape[0] && y.shape[1] == x.shape[1], cmd, "y does not fit x and boxes");
  require_space(cmd, x, 2);
  require_space(cmd, y, 2);
  require(std::isfinite(cmd.attribute(0)), cmd, ErrorCode::kIndex, "scale out of range");
  require_integer(cmd, 1, 0, 1 << 10, "samples out of range");
}

}  // namespace

void check_roi_align(const Command& cmd) { require_regions(cmd, cmd.input(0), cmd.input(1), cmd.output(0)); }

void check_roi_align_backward(const Command& cmd) { require_regions(cmd, cmd.output(0), cmd.input(1), cmd.input(0)); }

void check_non_max_suppression(const Command& cmd) {
  const TensorView &boxes = cmd.input(0), &classes = cmd.input(1), &kept = cmd.output(0);
  require_shape(boxes.rank == 2 && boxes.shape[1] == 4 && kept.rank == 1 && kept.shape[0] == boxes.shape[0], cmd,
                "needs boxes [k, 4] and kept [k]");
  require_dtype(is_floating(boxes.dtype) && kept.dtype == DType::kBool, cmd, "needs floating boxes and a bool result");
  if (!classes.present()) return;
  require_shape(classes.rank == 1 && classes.shape[0] == boxes.shape[0], cmd, "needs a class for each box");
  require_dtype(is_index(classes.dtype), cmd, "needs int32 or int64 classes");
}

}  // namespace hadal
