// What the ways of a convolution have in common: cuDNN, or columns and cuBLASLt (cuda/conv.cu), and tensor cores (cuda/conv_tiles.cu). Tensors
// are in three axes here: x [n, c, d, h, w], weight [o, c / groups, kd, kh, kw], y [n, o, od, oh, ow], with a depth of one in two.
#pragma once

#include "cuda/cuda_context.h"

namespace hadal::cuda {

// Of the axes d, h, w.
struct ConvGeometry {
  int in[3], out[3], kernel[3];
  int64_t stride[3], pad[3], dilation[3];
  int64_t channels, group_channels, groups, outputs, group_outputs, images, taps, positions;

  ConvGeometry(const Command& cmd, const TensorView& x, const TensorView& weight, const TensorView& y);
  // Whether a window is the element at its place.
  bool is_pointwise() const;
};

// The distance between neighbouring positions, where one number tells it.
bool find_position_stride(const TensorView& volume, int64_t& stride);

// [n, c, d, h, w] as [n, d, h, w, groups, c / groups], with the channels of a group padded to a multiple of eight; a copy, where the volume
// does not lie so.
template <class T>
const T* with_channels_inside(CudaContext& ctx, const Command& cmd, const TensorView& volume, int64_t groups);

// Serve 16-bit floats by tensor cores; false where the shapes, or the strides of `gw`, are not for them. Nothing is empty but the images.
template <class T>
bool convolve_on_tensor_cores(CudaContext& ctx, const Command& cmd, const ConvGeometry& geometry, const TensorView& x,
                              const TensorView& weight, const TensorView& bias, const TensorView& y);
template <class T>
bool input_grad_on_tensor_cores(CudaContext& ctx, const Command& cmd, const ConvGeometry& geometry,
                                const TensorView& gradient, const TensorView& weight, const TensorView& gx);
template <class T>
bool weight_grad_on_tensor_cores(CudaContext& ctx, const Command& cmd, const ConvGeometry& geometry,
                                 const TensorView& gradient, const TensorView& x, const TensorView& gw);

}  // namespace hadal::cuda
