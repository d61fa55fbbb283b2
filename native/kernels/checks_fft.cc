// Checks of Fourier transforms: shapes and dtypes for which the kernels stay inside their tensors.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

constexpr int64_t kMostElements = int64_t{1} << 30;

void require_one_dtype(const Command& cmd) {
  const DType dtype = cmd.input(0).dtype;
  require_dtype(cmd.output(0).dtype == dtype && (dtype == DType::kFloat32 || dtype == DType::kFloat64), cmd,
                "needs tensors of float32 or float64");
  require_shape(cmd.output(0).numel() == 0 || cmd.output(0).is_contiguous(), cmd, "the output needs to be contiguous");
}

// Real rows [..., n] and their spectra [..., n / 2 + 1, 2]; rows are counted by the input, so batch sizes must agree.
void require_spectrum(const Command& cmd, const TensorView& real, const TensorView& spectrum) {
  require_one_dtype(cmd);
  require_shape(real.rank >= 1 && spectrum.rank == real.rank + 1, cmd, "needs [..., n] and [..., n / 2 + 1, 2]");
  for (int axis = 0; axis + 1 < real.rank; ++axis) {
    require_shape(real.shape[axis] == spectrum.shape[axis], cmd, "needs equal batch axes");
  }
  const int64_t n = real.size(-1);
  require_shape(n >= 1 && n < kMostElements && spectrum.size(-1) == 2 && spectrum.size(-2) == n / 2 + 1, cmd,
                "needs [..., n] and [..., n / 2 + 1, 2]");
}

}  // namespace

void check_rfft(const Command& cmd) { require_spectrum(cmd, cmd.input(0), cmd.output(0)); }

void check_irfft(const Command& cmd) { require_spectrum(cmd, cmd.output(0), cmd.input(0)); }

void check_fft(const Command& cmd) {
  require_one_dtype(cmd);
  const TensorView& x = cmd.input(0);
  require_shape(x.rank >= 2 && x.size(-1) == 2 && same_shape(x, cmd.output(0)), cmd, "needs equal shapes [..., 2]");
  const auto axis = static_cast<int>(require_integer(cmd, 2, 0, x.rank - 2, "axis out of range"));
  require_shape(x.size(axis) >= 1 && x.size(axis) < kMostElements, cmd, "needs up to 2^30 - 1 points");
}

}  // namespace hadal
