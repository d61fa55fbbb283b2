// Checks of resampling: shapes, dtypes and attributes for which the kernels stay inside their tensors.
#include <cmath>

#include "kernels/checks.h"
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

}  // namespace hadal
