// Checks of convolution and pooling: shapes, dtypes and attributes for which the kernels stay inside their tensors. Kernels
// treat what lies outside an image as padding, so any output size is safe; what is bounded here is the memory they take.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

constexpr int64_t kLargestAttribute = int64_t{1} << 31;

void require_rank(const Command& cmd, const TensorView& view, DType dtype, int rank) {
  require_shape(view.rank == rank, cmd, rank == 4 ? "needs tensors [n, c, h, w]" : "needs tensors [n, c, d, h, w]");
  require_dtype(is_floating(dtype) && view.dtype == dtype, cmd, "needs tensors of one floating dtype");
}
void require_images(const Command& cmd, const TensorView& view, DType dtype) { require_rank(cmd, view, dtype, 4); }

// Of the attributes from `first` on: the strides of all axes, then their paddings, then their dilations. `out` and `kernel` are
// the last `axes` sizes of the windows' grid and of a window.
void require_geometry(const Command& cmd, int first, int axes, int64_t channels, const int64_t* out,
                      const int64_t* kernel, bool has_dilation) {
  double padded = static_cast<double>(channels + 1024);
  for (int axis = 0; axis < axes; ++axis) {
    const char* what = "stride, padding or dilation out of range";
    const int64_t stride = require_integer(cmd, first + axis, 1, kLargestAttribute, what);
    require_integer(cmd, first + axes + axis, 0, kLargestAttribute, what);
    const int64_t dilation =
        has_dilation ? require_integer(cmd, first + 2 * axes + axis, 1, kLargestAttribute, what) : 1;
    padded *= static_cast<double>(out[axis]) * static_cast<double>(stride) +
              static_cast<double>(kernel[axis]) * static_cast<double>(dilation);
  }
  require_shape(padded < 0x1p53, cmd, "the padded image is too large");
}

// x [n, c, …], weight [o, c / groups, …], y [n, o, …] with two or three axes of space.
void require_convolution(const Command& cmd, const TensorView& x, const TensorView& weight, const TensorView& y) {
  const int axes = (cmd.attribute_count - 1) / 3;
  require_rank(cmd, x, y.dtype, 2 + axes);
  require_rank(cmd, y, y.dtype, 2 + axes);
  require_rank(cmd, weight, y.dtype, 2 + axes);
  const int64_t groups = require_integer(cmd, 3 * axes, 1, kLargestAttribute, "groups out of range");
  require_shape(x.shape[0] == y.shape[0], cmd, "batch sizes differ");
  require_shape(weight.shape[1] * groups == x.shape[1], cmd, "weight needs c / groups input channels");
  require_shape(weight.shape[0] == y.shape[1] && weight.shape[0] % groups == 0, cmd,
                "weight needs as many output channels as the output, divisible by groups");
  require_geometry(cmd, 0, axes, x.shape[1] + y.shape[1], y.shape + 2, weight.shape + 2, true);
}

void require_same_images(const Command& cmd, const TensorView& a, const TensorView& b, const char* what) {
  require_shape(a.rank == 4 && b.rank == 4 && same_shape(a, b), cmd, what);
}

// The planes of x [n, c, h, w] and y [n, c, oh, ow].
void require_planes(const Command& cmd, const TensorView& x, const TensorView& y) {
  require_images(cmd, x, x.dtype);
  require_images(cmd, y, x.dtype);
  require_shape(x.shape[0] == y.shape[0] && x.shape[1] == y.shape[1], cmd, "needs equal batch and channels");
}

void require_kernel(const Command& cmd, const TensorView& y, bool has_dilation) {
  const int64_t kernel[] = {require_integer(cmd, 0, 0, kLargestAttribute, "kernel size out of range"),
                            require_integer(cmd, 1, 0, kLargestAttribute, "kernel size out of range")};
  require_geometry(cmd, 2, 2, 0, y.shape + 2, kernel, has_dilation);
}

}  // namespace

void check_conv(const Command& cmd) {
  const TensorView &bias = cmd.input(2), &y = cmd.output(0);
  require_convolution(cmd, cmd.input(0), cmd.input(1), y);
  if (bias.present()) {
    require_shape(bias.rank == 1 && bias.shape[0] == y.shape[1], cmd, "bias needs one value per output channel");
    require_dtype(bias.dtype == y.dtype, cmd, "bias needs the output's dtype");
  }
}

void check_conv_input_grad(const Command& cmd) {
  require_convolution(cmd, cmd.output(0), cmd.input(1), cmd.input(0));
  const TensorView& gx = cmd.output(0);
  require_geometry(cmd, 0, gx.rank - 2, gx.shape[1], gx.shape + 2, cmd.input(1).shape + 2, true);
}

void check_conv_weight_grad(const Command& cmd) { require_convolution(cmd, cmd.input(1), cmd.output(0), cmd.input(0)); }

void check_max_pool2d(const Command& cmd) {
  const TensorView &y = cmd.output(0), &index = cmd.output(1);
  const TensorView& x = cmd.input(0);
  require_planes(cmd, x, y);
  require_same_images(cmd, y, index, "y and index need one shape");
  require_shape(static_cast<double>(x.shape[2]) * static_cast<double>(x.shape[3]) < 0x1p31, cmd,
                "the plane is too large");
  require_dtype(index.dtype == DType::kInt32, cmd, "the index output needs dtype int32");
  require_kernel(cmd, y, true);
}

void check_max_pool2d_backward(const Command& cmd) {
  const TensorView &g = cmd.input(0), &index = cmd.input(1);
  require_planes(cmd, cmd.output(0), g);
  require_same_images(cmd, g, index, "g and index need one shape");
  require_dtype(index.dtype == DType::kInt32, cmd, "the index input needs dtype int32");
  require_kernel(cmd, g, true);
}

void check_avg_pool2d(const Command& cmd) {
  require_planes(cmd, cmd.input(0), cmd.output(0));
  require_kernel(cmd, cmd.output(0), false);
}

void check_avg_pool2d_backward(const Command& cmd) {
  require_planes(cmd, cmd.output(0), cmd.input(0));
  require_kernel(cmd, cmd.input(0), false);
}

}  // namespace hadal
