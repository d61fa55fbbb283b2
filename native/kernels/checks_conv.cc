// Checks of convolution and pooling: shapes, dtypes and attributes for which the kernels stay inside their tensors. Kernels
// treat what lies outside an image as padding, so any output size is safe; what is bounded here is the memory they take.
#include "kernels/checks.h"

namespace hadal {

using namespace checks;

namespace {

constexpr int64_t kLargestAttribute = int64_t{1} << 31;

void require_images(const Command& cmd, const TensorView& view, DType dtype) {
  require_shape(view.rank == 4, cmd, "needs tensors [n, c, h, w]");
  require_dtype(is_floating(dtype) && view.dtype == dtype, cmd, "needs tensors of one floating dtype");
}

// Of the attributes from `first` on: strideH, strideW, padH, padW, dilationH, dilationW.
void require_geometry(const Command& cmd, int first, int64_t channels, int64_t out_h, int64_t out_w, int64_t kernel_h,
                      int64_t kernel_w, bool has_dilation) {
  int64_t values[6] = {1, 1, 0, 0, 1, 1};
  for (int i = 0; i < (has_dilation ? 6 : 4); ++i) {
    const int64_t low = i == 2 || i == 3 ? 0 : 1;
    values[i] = require_integer(cmd, first + i, low, kLargestAttribute, "stride, padding or dilation out of range");
  }
  const double window_h = static_cast<double>(out_h) * values[0] + static_cast<double>(kernel_h) * values[4];
  const double window_w = static_cast<double>(out_w) * values[1] + static_cast<double>(kernel_w) * values[5];
  require_shape(window_h * window_w * static_cast<double>(channels + 1024) < 0x1p53, cmd,
                "the padded image is too large");
}

// x [n, c, h, w], weight [o, c / groups, kh, kw], y [n, o, oh, ow].
void require_convolution(const Command& cmd, const TensorView& x, const TensorView& weight, const TensorView& y) {
  require_images(cmd, x, y.dtype);
  require_images(cmd, y, y.dtype);
  require_images(cmd, weight, y.dtype);
  const int64_t groups = require_integer(cmd, 6, 1, kLargestAttribute, "groups out of range");
  require_shape(x.shape[0] == y.shape[0], cmd, "batch sizes differ");
  require_shape(weight.shape[1] * groups == x.shape[1], cmd, "weight needs c / groups input channels");
  require_shape(weight.shape[0] == y.shape[1] && weight.shape[0] % groups == 0, cmd,
                "weight needs as many output channels as the output, divisible by groups");
  require_geometry(cmd, 0, x.shape[1] + y.shape[1], y.shape[2], y.shape[3], weight.shape[2], weight.shape[3], true);
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
  const int64_t kernel_h = require_integer(cmd, 0, 1, kLargestAttribute, "kernel size out of range");
  const int64_t kernel_w = require_integer(cmd, 1, 1, kLargestAttribute, "kernel size out of range");
  require_geometry(cmd, 2, 0, y.shape[2], y.shape[3], kernel_h, kernel_w, has_dilation);
}

}  // namespace

void check_conv2d(const Command& cmd) {
  const TensorView &bias = cmd.input(2), &y = cmd.output(0);
  require_convolution(cmd, cmd.input(0), cmd.input(1), y);
  if (bias.present()) {
    require_shape(bias.rank == 1 && bias.shape[0] == y.shape[1], cmd, "bias needs one value per output channel");
    require_dtype(bias.dtype == y.dtype, cmd, "bias needs the output's dtype");
  }
}

void check_conv2d_input_grad(const Command& cmd) {
  require_convolution(cmd, cmd.output(0), cmd.input(1), cmd.input(0));
  const TensorView& gx = cmd.output(0);
  require_geometry(cmd, 0, gx.shape[1], gx.shape[2], gx.shape[3], cmd.input(1).shape[2], cmd.input(1).shape[3], true);
}

void check_conv2d_weight_grad(const Command& cmd) {
  require_convolution(cmd, cmd.input(1), cmd.output(0), cmd.input(0));
}

void check_max_pool2d(const Command& cmd) {
  const TensorView &y = cmd.output(0), &index = cmd.output(1);
  const TensorView& x = cmd.input(0);
  require_planes(cmd, x, y);
  require_same_images(cmd, y, index, "y and index need one shape");
  require_shape(static_cast<double>(x.shape[2]) * static_cast<double>(x.shape[3]) < 0x1p31, cmd,
                "the plane is too large");
  require_dtype(is_index(index.dtype), cmd, "the index output needs dtype int64 or int32");
  require_kernel(cmd, y, true);
}

void check_max_pool2d_backward(const Command& cmd) {
  const TensorView &g = cmd.input(0), &index = cmd.input(1);
  require_planes(cmd, cmd.output(0), g);
  require_same_images(cmd, g, index, "g and index need one shape");
  require_dtype(is_index(index.dtype), cmd, "the index input needs dtype int64 or int32");
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
