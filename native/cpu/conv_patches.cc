#include "cpu/conv_patches.h"

#include "cpu/conv_pass.h"
#include "cpu/gemm.h"
#include "cpu/pointwise.h"

namespace hadal::cpu {
namespace {

// Whether kernels of `weight`'s shape read patches.
bool cuts_patches(const Geometry& geometry, const TensorView& weight) {
  const KernelAxes axes(weight);
  return axes.count() > 1 && geometry.groups == 1 && axes.depth == geometry.stride_d &&
         axes.height == geometry.stride_h && axes.width == geometry.stride_w && geometry.pad_d == 0 &&
         geometry.pad_h == 0 && geometry.pad_w == 0 && geometry.dilation_d == 1 && geometry.dilation_h == 1 &&
         geometry.dilation_w == 1;
}

// The windows of `images` that give `results`: [n, windows along each axis…, channel, taps along each axis…].
TensorView windows_of(const TensorView& images, const TensorView& results, const TensorView& weight) {
  TensorView view = images;
  const int axes = images.rank - 2;
  view.rank = 2 * axes + 2;
  view.shape[axes + 1] = images.shape[1];
  view.strides[axes + 1] = images.strides[1];
  for (int axis = 0; axis < axes; ++axis) {
    const int64_t taps = weight.shape[2 + axis], stride = images.strides[2 + axis];
    view.shape[1 + axis] = results.shape[2 + axis];
    view.strides[1 + axis] = stride * taps;
    view.shape[axes + 2 + axis] = taps;
    view.strides[axes + 2 + axis] = stride;
  }
  return view;
}

// A row-major tensor of the same shape, in scratch memory.
template <class E>
TensorView row_major(KernelContext& ctx, const TensorView& like) {
  TensorView view = like;
  view.data = reinterpret_cast<std::byte*>(ctx.scratch<E>(like.numel()));
  for (int64_t axis = view.rank - 1, stride = 1; axis >= 0; stride *= view.shape[axis--]) view.strides[axis] = stride;
  return view;
}

template <class E>
TensorView row_major_copy(KernelContext& ctx, const TensorView& x) {
  const TensorView copy = row_major<E>(ctx, x);
  copy_elements(ctx, x, copy);
  return copy;
}

// [n, channels, …] as [channels, n, …].
TensorView channels_first(TensorView images) {
  std::swap(images.shape[0], images.shape[1]);
  std::swap(images.strides[0], images.strides[1]);
  return images;
}

}  // namespace

template <class E>
bool patch_input_gradient(KernelContext& ctx, const Command& cmd) {
  const TensorView &g = cmd.input(0), &weight = cmd.input(1), &gx = cmd.output(0);
  if (gx.numel() == 0 || g.numel() == 0 || !cuts_patches(Geometry(cmd), weight)) return false;
  const TensorView windows = windows_of(gx, g, weight);
  if (windows.numel() != gx.numel()) return false;  // some pixels are in no window
  // Pixels of g in order, the channels of each wherever they are.
  const Images<E> own(g);
  const Images<E> results = own.joins_pixels() ? own : Images<E>(row_major_copy<E>(ctx, g));
  const TensorView rows = row_major<E>(ctx, windows);
  Gemm<E> product;
  product.m = results.slices * results.height * results.width;
  product.n = weight.numel() / weight.shape[0];
  product.k = weight.shape[0];
  product.a = results.data;
  product.a_row = results.pixel_stride;
  product.a_column = results.channel_stride;
  product.b = row_major_copy<E>(ctx, weight).template as<E>();
  product.b_row = product.n;
  product.b_column = 1;
  product.c = rows.as<E>();
  product.c_row = product.n;
  product.c_column = 1;
  GemmBatch batch;
  batch.rank = 1;
  batch.shape[0] = results.count;
  batch.a[0] = results.image_stride;
  batch.c[0] = product.m * product.n;
  gemm_batch(ctx, product, batch);
  copy_elements(ctx, rows, windows);
  return true;
}

template <class E>
bool patch_weight_gradient(KernelContext& ctx, const Command& cmd) {
  const TensorView &g = cmd.input(0), &x = cmd.input(1), &gw = cmd.output(0);
  if (gw.numel() == 0 || g.numel() == 0 || !cuts_patches(Geometry(cmd), gw)) return false;
  Gemm<E> product;
  product.m = gw.shape[0];
  product.n = gw.numel() / gw.shape[0];
  product.k = g.numel() / gw.shape[0];
  product.a = row_major_copy<E>(ctx, channels_first(g)).template as<E>();
  product.a_row = product.k;
  product.a_column = 1;
  product.b = row_major_copy<E>(ctx, windows_of(x, g, gw)).template as<E>();
  product.b_row = product.n;
  product.b_column = 1;
  const TensorView sums = row_major<E>(ctx, gw);
  product.c = sums.as<E>();
  product.c_row = product.n;
  product.c_column = 1;
  gemm(ctx, product);
  copy_elements(ctx, sums, gw);
  return true;
}

#define HADAL_PATCHES(E)                                                 \
  template bool patch_input_gradient<E>(KernelContext&, const Command&); \
  template bool patch_weight_gradient<E>(KernelContext&, const Command&);
HADAL_PATCHES(double)
HADAL_PATCHES(float)
HADAL_PATCHES(Float16)
HADAL_PATCHES(BFloat16)
#undef HADAL_PATCHES

}  // namespace hadal::cpu
