// Convolutions in two and three axes and their gradients. Those of float32 and 16-bit floats go to cuDNN where it is there
// (cuda/cudnn.h). Without it those of 16-bit floats run on tensor cores where their shapes are for that (cuda/conv_tiles.cu); the
// others are matrix products (cuda/matmul.h) over columns: for every output position the elements of x that its window meets, one
// below the other. A gradient of the input is such a product turned around, whose columns are then added up by the places they came
// from, each by one thread, so without atomics. Columns are made for as many images at a time as fit kColumnBytes. Products with
// windows of one element read x as it is, with cuDNN too.
// x [n, c, d, h, w], weight [o, c / groups, kd, kh, kw], y [n, o, od, oh, ow], with a depth of one in two axes; any strides.
// 16-bit floats are summed in float and rounded once: the gradients of columns, and the parts of a sum, are float. All write with `=`.
#include "cuda/conv.h"
#include "cuda/cudnn.h"
#include "cuda/device/coordinates.cuh"
#include "cuda/device/pack.cuh"
#include "cuda/matmul.h"
#include "cuda/registry.h"

namespace hadal::cuda {

ConvGeometry::ConvGeometry(const Command& cmd, const TensorView& x, const TensorView& weight, const TensorView& y) {
  const int axes = (cmd.attribute_count - 1) / 3;
  channels = x.shape[1];
  group_channels = weight.shape[1];
  groups = cmd.integer(cmd.attribute_count - 1);
  outputs = weight.shape[0];
  group_outputs = outputs / groups;
  images = x.shape[0];
  taps = positions = 1;
  for (int axis = 0; axis < 3; ++axis) {
    in[axis] = static_cast<int>(x.shape[2 + axis]);
    out[axis] = static_cast<int>(y.shape[2 + axis]);
    kernel[axis] = static_cast<int>(weight.shape[2 + axis]);
    const int from = axis - (3 - axes);
    stride[axis] = from < 0 ? 1 : cmd.integer(from);
    pad[axis] = from < 0 ? 0 : cmd.integer(axes + from);
    dilation[axis] = from < 0 ? 1 : cmd.integer(2 * axes + from);
    taps *= kernel[axis];
    positions *= out[axis];
  }
}
bool ConvGeometry::is_pointwise() const {
  bool plain = taps == 1;
  for (int axis = 0; axis < 3; ++axis) plain = plain && stride[axis] == 1 && pad[axis] == 0 && in[axis] == out[axis];
  return plain;
}

bool find_position_stride(const TensorView& volume, int64_t& stride) {
  int64_t next = 0;
  bool found = false;
  stride = 1;
  for (int axis = 4; axis >= 2; --axis) {
    if (volume.shape[axis] == 1) continue;
    if (!found) stride = volume.strides[axis];
    else if (volume.strides[axis] != next) return false;
    next = volume.strides[axis] * volume.shape[axis];
    found = true;
  }
  return true;
}

namespace {

constexpr int kBlock = 256;
constexpr int64_t kColumnBytes = int64_t{512} << 20;

// [n, c, h, w] as [n, c, 1, h, w].
TensorView with_depth(const TensorView& view) {
  if (view.rank == 5) return view;
  TensorView volume = view;
  volume.rank = 5;
  volume.shape[2] = 1;
  volume.strides[2] = 0;
  for (int axis = 2; axis < 4; ++axis) {
    volume.shape[axis + 1] = view.shape[axis];
    volume.strides[axis + 1] = view.strides[axis];
  }
  return volume;
}

// Where the columns of a group, an image, a channel's tap and a position lie.
struct ColumnStrides {
  int64_t group, image, row;
};

// A thread for each position of a channel of an image, which makes all taps of its window. The places are ow, oh, od, c, n.
template <class T>
__global__ void __launch_bounds__(kBlock)
    make_columns(const T* x, int64_t x_image, int64_t x_channel, int64_t x_depth, int64_t x_row, int64_t x_column,
                 ConvGeometry g, Coordinates places, T* columns, ColumnStrides strides) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  int64_t place[kMaxRank];
  places.find(i, place);
  const int64_t channel = place[3], image = place[4], group = channel / g.group_channels;
  const int64_t position = (place[2] * g.out[1] + place[1]) * g.out[2] + place[0];
  T* to = columns + group * strides.group + image * strides.image +
          (channel - group * g.group_channels) * g.taps * strides.row + position;
  x += image * x_image + channel * x_channel;
  const int64_t d0 = place[2] * g.stride[0] - g.pad[0], h0 = place[1] * g.stride[1] - g.pad[1],
                w0 = place[0] * g.stride[2] - g.pad[2];
  for (int a = 0; a < g.kernel[0]; ++a) {
    const int64_t d = d0 + a * g.dilation[0];
    for (int b = 0; b < g.kernel[1]; ++b) {
      const int64_t h = h0 + b * g.dilation[1];
      const bool row_inside = d >= 0 && d < g.in[0] && h >= 0 && h < g.in[1];
      for (int c = 0; c < g.kernel[2]; ++c, to += strides.row) {
        const int64_t w = w0 + c * g.dilation[2];
        *to = row_inside && w >= 0 && w < g.in[2] ? x[d * x_depth + h * x_row + w * x_column] : T{};
      }
    }
  }
}

// gx = the sum of the columns' gradients that came from each place, in the order of the taps. The places are w, h, d, c, n.
template <class T>
__global__ void __launch_bounds__(kBlock)
    add_columns(const Compute<T>* columns, ColumnStrides strides, ConvGeometry g, Coordinates places, T* gx,
                int64_t x_image, int64_t x_channel, int64_t x_depth, int64_t x_row, int64_t x_column) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= places.count) return;
  int64_t place[kMaxRank];
  places.find(i, place);
  const int64_t channel = place[3], image = place[4], group = channel / g.group_channels;
  const Compute<T>* from = columns + group * strides.group + image * strides.image +
                           (channel - group * g.group_channels) * g.taps * strides.row;
  // The window whose tap meets a place, or -1.
  const auto window = [&](int axis, int64_t at, int tap) -> int64_t {
    const int64_t start = at + g.pad[axis] - tap * g.dilation[axis];
    const int64_t found = start / g.stride[axis];
    return start >= 0 && found * g.stride[axis] == start && found < g.out[axis] ? found : -1;
  };
  Compute<T> sum = 0;
  for (int a = 0; a < g.kernel[0]; ++a) {
    const int64_t d = window(0, place[2], a);
    for (int b = 0; b < g.kernel[1]; ++b) {
      const int64_t h = window(1, place[1], b);
      for (int c = 0; c < g.kernel[2]; ++c, from += strides.row) {
        const int64_t w = window(2, place[0], c);
        if (d >= 0 && h >= 0 && w >= 0) sum += from[(d * g.out[1] + h) * g.out[2] + w];
      }
    }
  }
  gx[image * x_image + channel * x_channel + place[2] * x_depth + place[1] * x_row + place[0] * x_column] =
      to_element<T>(sum);
}

// y = the sum of `count` vectors of `size` elements, one behind the other.
template <class T>
__global__ void __launch_bounds__(kBlock) add_parts(const Compute<T>* parts, int64_t count, int64_t size, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= size) return;
  Compute<T> sum = 0;
  for (int64_t part = 0; part < count; ++part) sum += parts[part * size + i];
  y[i] = to_element<T>(sum);
}

// --- Views ---------------------------------------------------------------------------------------------------------------

TensorView matrix_view(DType dtype, std::byte* data, std::initializer_list<int64_t> shape,
                       std::initializer_list<int64_t> strides) {
  TensorView view;
  view.data = data;
  view.dtype = dtype;
  view.rank = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), view.shape);
  std::copy(strides.begin(), strides.end(), view.strides);
  return view;
}
// The tensor itself where positions have one stride, else a packed copy.
TensorView with_one_stride(CudaContext& ctx, const Command& cmd, const TensorView& volume, int64_t& stride) {
  if (find_position_stride(volume, stride)) return volume;
  stride = 1;
  return packed(ctx, cmd, volume, 0);
}
template <class W>
void copy_view(CudaContext& ctx, const Command& cmd, const TensorView& to, const TensorView& from) {
  run_pointwise_views<false, W, W>(ctx, cmd, Move(), to, std::index_sequence<0>(), &from);
}
// Memory for an output that a product cannot write: packed, and copied to where it belongs in the end.
TensorView packed_room(CudaContext& ctx, const TensorView& like) {
  TensorView room = like;
  int64_t count = 1;
  for (int axis = like.rank - 1; axis >= 0; --axis) {
    room.strides[axis] = count;
    count *= like.shape[axis];
  }
  visit_width(like.dtype, [&]<class W>() { room.data = reinterpret_cast<std::byte*>(ctx.scratch<W>(count)); });
  return room;
}
void copy_any(CudaContext& ctx, const Command& cmd, const TensorView& to, const TensorView& from) {
  visit_width(to.dtype, [&]<class W>() { copy_view<W>(ctx, cmd, to, from); });
}
// y [n, c, …] = an element of `bias` in each channel.
void fill_channels(CudaContext& ctx, const Command& cmd, const TensorView& y, const TensorView& bias) {
  TensorView everywhere = y;
  everywhere.data = bias.data;
  for (int axis = 0; axis < y.rank; ++axis) everywhere.strides[axis] = axis == 1 ? bias.strides[0] : 0;
  copy_any(ctx, cmd, y, everywhere);
}
// Images [first, first + count).
TensorView images_of(TensorView view, int64_t first, int64_t count) {
  view.data += first * view.strides[0] * static_cast<int64_t>(size_of(view.dtype));
  view.shape[0] = count;
  return view;
}

// Whose columns of T fit kColumnBytes.
template <class T>
int64_t images_at_once(const ConvGeometry& g, int64_t images) {
  const int64_t bytes = g.channels * g.taps * g.positions * static_cast<int64_t>(sizeof(T));
  return std::clamp<int64_t>(kColumnBytes / std::max<int64_t>(bytes, 1), 1, std::max<int64_t>(images, 1));
}

template <class T>
void run_make_columns(CudaContext& ctx, const Command& cmd, const ConvGeometry& g, const TensorView& x, T* columns,
                      const ColumnStrides& strides) {
  TensorView positions = x;
  for (int axis = 0; axis < 3; ++axis) positions.shape[2 + axis] = g.out[axis];
  const Coordinates places(positions);
  ctx.launch(cmd, make_columns<T>, blocks_for(places.count, kBlock), kBlock, 0, x.as<const T>(), x.strides[0],
             x.strides[1], x.strides[2], x.strides[3], x.strides[4], g, places, columns, strides);
}

// Whether a volume is matrices, with lines that cuBLASLt reads at full speed: 16 aligned bytes.
template <class T>
bool has_whole_lines(const TensorView& volume) {
  int64_t position;
  return find_position_stride(volume, position) && (position == 1 ? volume.strides[1] : position) % kPackSize<T> == 0;
}
// Whether a convolution is a product of the tensors as they are.
template <class T>
bool is_product(const ConvGeometry& g, const TensorView& x, const TensorView& y) {
  return g.is_pointwise() && has_whole_lines<T>(x) && has_whole_lines<T>(y);
}
// The same product where y has its columns side by side, yᵀ = bᵀ · aᵀ, since cuBLASLt writes rows.
void multiply_by_lines(CudaContext& ctx, const Command& cmd, TensorView a, TensorView b, TensorView y,
                       bool accumulate = false) {
  if (y.stride(-1) == 1) return multiply(ctx, cmd, a, b, y, accumulate);
  for (TensorView* view : {&a, &b, &y}) {
    std::swap(view->shape[view->rank - 2], view->shape[view->rank - 1]);
    std::swap(view->strides[view->rank - 2], view->strides[view->rank - 1]);
  }
  multiply(ctx, cmd, b, a, y, accumulate);
}

// What sums of elements of T are kept in.
template <class T>
constexpr DType kSums = sizeof(T) == 8 ? DType::kFloat64 : DType::kFloat32;

// --- cuDNN ---------------------------------------------------------------------------------------------------------------

// [n, c, …] side by side, channels outside of positions or inside.
TensorView with_dense_strides(TensorView view, bool inside) {
  int64_t count = 1;
  const auto add = [&](int axis) {
    view.strides[axis] = count;
    count *= view.shape[axis];
  };
  if (inside) add(1);
  for (int axis = view.rank - 1; axis >= 2; --axis) add(axis);
  if (!inside) add(1);
  add(0);
  return view;
}
// Whether a view lies as cuDNN is to see it; then the strides of its axes of one are what the others' order makes them. 16-bit floats
// have their channels inside: engines for others turn all that they read and write.
bool find_dense_strides(TensorView& view) {
  for (const bool inside : {false, true}) {
    if (!inside && size_of(view.dtype) == 2) continue;
    const TensorView dense = with_dense_strides(view, inside);
    bool same = true;
    for (int axis = 0; axis < view.rank; ++axis) {
      same = same && (view.shape[axis] == 1 || view.strides[axis] == dense.strides[axis]);
    }
    if (!same) continue;
    view = dense;
    return true;
  }
  return false;
}

// Whether cuDNN has done it.
template <class T>
bool convolve_by_cudnn(CudaContext& ctx, const Command& cmd, DnnConvolution convolution, const TensorView& bias = {}) {
  if constexpr (sizeof(T) == 8) return false;
  Cudnn* cudnn = ctx.cudnn();
  if (cudnn == nullptr) return false;
  TensorView* const tensors[] = {&convolution.y, &convolution.x, &convolution.weight};
  TensorView& result = *tensors[convolution.result];
  const TensorView wanted = result;
  for (TensorView* tensor : tensors) {
    if (tensor->numel() == 0) return false;
    if (find_dense_strides(*tensor)) continue;
    const TensorView given = *tensor;
    *tensor = with_dense_strides(given, sizeof(T) == 2);
    if constexpr (sizeof(T) == 2) {
      if (tensor != &result && given.shape[1] % 8 == 0) {
        tensor->data =
            reinterpret_cast<std::byte*>(const_cast<T*>(with_channels_inside<T>(ctx, cmd, with_depth(given), 1)));
        continue;
      }
    }
    tensor->data = reinterpret_cast<std::byte*>(ctx.scratch<T>(given.numel()));
    if (tensor != &result) copy_any(ctx, cmd, *tensor, given);
  }
  const int axes = result.rank - 2;
  for (int axis = 0; axis < axes; ++axis) {
    convolution.stride[axis] = cmd.integer(axis);
    convolution.pad[axis] = cmd.integer(axes + axis);
    convolution.dilation[axis] = cmd.integer(2 * axes + axis);
  }
  convolution.accumulate = bias.present();
  if (bias.present()) fill_channels(ctx, cmd, result, bias);
  if (!cudnn->convolve(ctx, cmd, convolution)) return false;
  if (result.data != wanted.data) copy_any(ctx, cmd, wanted, result);
  return true;
}

// --- The kernels -----------------------------------------------------------------------------------------------------------

template <class T>
void convolve(CudaContext& ctx, const Command& cmd) {
  const TensorView x = with_depth(cmd.input(0)), weight = with_depth(cmd.input(1)), result = with_depth(cmd.output(0));
  const TensorView& bias = cmd.input(2);
  if (result.numel() == 0) return;
  const ConvGeometry g(cmd, x, weight, result);
  const bool is_matrices = is_product<T>(g, x, result);
  if (!is_matrices &&
      convolve_by_cudnn<T>(ctx, cmd, {DnnConvolution::kY, cmd.input(0), cmd.input(1), cmd.output(0)}, bias)) {
    return;
  }
  if constexpr (sizeof(T) == 2) {
    if (!is_matrices && convolve_on_tensor_cores<T>(ctx, cmd, g, x, weight, bias, result)) return;
  }
  const int64_t images = g.images, groups = g.groups, group_outputs = g.group_outputs, k = g.group_channels * g.taps;
  int64_t y_position = 1, x_position = 1;
  const bool in_place = find_position_stride(result, y_position);
  const TensorView y = in_place ? result : packed_room(ctx, result);
  if (!in_place) y_position = 1;
  const TensorView w = weight.is_contiguous() ? weight : packed(ctx, cmd, weight, 0);
  const bool as_it_is = g.is_pointwise() && find_position_stride(x, x_position);
  const int64_t at_once = as_it_is ? images : images_at_once<T>(g, images);
  const ColumnStrides strides{k * g.positions, g.channels * g.taps * g.positions, g.positions};
  T* columns = as_it_is ? nullptr : ctx.scratch<T>(at_once * strides.image);
  if (bias.present()) fill_channels(ctx, cmd, y, bias);
  for (int64_t first = 0; first < images; first += at_once) {
    const int64_t count = std::min(at_once, images - first);
    const TensorView from = images_of(x, first, count), to = images_of(y, first, count);
    const TensorView a = matrix_view(w.dtype, w.data, {count, groups, group_outputs, k}, {0, group_outputs * k, k, 1});
    TensorView b = matrix_view(x.dtype, from.data, {count, groups, k, g.positions},
                               {x.strides[0], g.group_channels * x.strides[1], x.strides[1], x_position});
    if (!as_it_is) {
      run_make_columns(ctx, cmd, g, from, columns, strides);
      b = matrix_view(x.dtype, reinterpret_cast<std::byte*>(columns), {count, groups, k, g.positions},
                      {strides.image, strides.group, strides.row, 1});
    }
    multiply_by_lines(ctx, cmd, a, b,
                      matrix_view(y.dtype, to.data, {count, groups, group_outputs, g.positions},
                                  {y.strides[0], group_outputs * y.strides[1], y.strides[1], y_position}),
                      bias.present());
  }
  if (!in_place) copy_any(ctx, cmd, result, y);
}

template <class T>
void convolve_input_grad(CudaContext& ctx, const Command& cmd) {
  const TensorView y = with_depth(cmd.input(0)), weight = with_depth(cmd.input(1)), gx = with_depth(cmd.output(0));
  if (gx.numel() == 0) return;
  const ConvGeometry g(cmd, gx, weight, y);
  const bool is_matrices = is_product<T>(g, gx, y);
  if (!is_matrices &&
      convolve_by_cudnn<T>(ctx, cmd, {DnnConvolution::kGradX, cmd.output(0), cmd.input(1), cmd.input(0)})) {
    return;
  }
  if constexpr (sizeof(T) == 2) {
    if (!is_matrices && input_grad_on_tensor_cores<T>(ctx, cmd, g, y, weight, gx)) return;
  }
  int64_t g_position, x_position;
  const TensorView gradient = with_one_stride(ctx, cmd, y, g_position);
  const int64_t images = g.images, groups = g.groups, group_outputs = g.group_outputs, k = g.group_channels * g.taps;
  const TensorView w = weight.is_contiguous() ? weight : packed(ctx, cmd, weight, 0);
  const auto multiply_to = [&](const TensorView& from, const TensorView& columns) {
    multiply_by_lines(
        ctx, cmd,
        matrix_view(w.dtype, w.data, {columns.shape[0], groups, k, group_outputs}, {0, group_outputs * k, 1, k}),
        matrix_view(gradient.dtype, from.data, {columns.shape[0], groups, group_outputs, g.positions},
                    {gradient.strides[0], group_outputs * gradient.strides[1], gradient.strides[1], g_position}),
        columns);
  };
  if (g.is_pointwise() && find_position_stride(gx, x_position)) {
    return multiply_to(gradient, matrix_view(gx.dtype, gx.data, {images, groups, k, g.positions},
                                             {gx.strides[0], k * gx.strides[1], gx.strides[1], x_position}));
  }
  using C = Compute<T>;
  const int64_t at_once = images_at_once<C>(g, images);
  const ColumnStrides strides{k * g.positions, g.channels * g.taps * g.positions, g.positions};
  C* columns = ctx.scratch<C>(at_once * strides.image);
  for (int64_t first = 0; first < images; first += at_once) {
    const int64_t count = std::min(at_once, images - first);
    const TensorView from = images_of(gradient, first, count), to = images_of(gx, first, count);
    multiply_to(from, matrix_view(kSums<T>, reinterpret_cast<std::byte*>(columns), {count, groups, k, g.positions},
                                  {strides.image, strides.group, strides.row, 1}));
    const Coordinates places(to);
    ctx.launch(cmd, add_columns<T>, blocks_for(places.count, kBlock), kBlock, 0, columns, strides, g, places,
               to.as<T>(), to.strides[0], to.strides[1], to.strides[2], to.strides[3], to.strides[4]);
  }
}

// The images of a chunk are one axis with the positions, which the product sums over; the sums of several chunks are added up.
template <class T>
void convolve_weight_grad(CudaContext& ctx, const Command& cmd) {
  const TensorView gradient = with_depth(cmd.input(0)), x = with_depth(cmd.input(1)),
                   result = with_depth(cmd.output(0));
  if (result.numel() == 0 ||
      convolve_by_cudnn<T>(ctx, cmd, {DnnConvolution::kGradWeight, cmd.input(1), cmd.output(0), cmd.input(0)})) {
    return;
  }
  const ConvGeometry g(cmd, x, result, gradient);
  const int64_t images = g.images, groups = g.groups, group_outputs = g.group_outputs, k = g.group_channels * g.taps;
  if constexpr (sizeof(T) == 2) {
    if (weight_grad_on_tensor_cores<T>(ctx, cmd, g, gradient, x, result)) return;
  }
  const bool in_place = result.is_contiguous();
  const TensorView gw = in_place ? result : packed_room(ctx, result);
  const int64_t size = g.outputs * k;
  const int64_t at_once = images_at_once<T>(g, images);
  const int64_t chunks = std::max<int64_t>((images + at_once - 1) / at_once, 1);
  using C = Compute<T>;
  C* parts = chunks == 1 ? nullptr : ctx.scratch<C>(chunks * size);
  T* columns = ctx.scratch<T>(at_once * g.channels * g.taps * g.positions);
  // [o, n, d, h, w], so that images and positions are one axis.
  TensorView turned = gradient;
  std::swap(turned.shape[0], turned.shape[1]);
  std::swap(turned.strides[0], turned.strides[1]);
  turned.shape[1] = at_once;
  TensorView rows = packed_room(ctx, turned);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t first = chunk * at_once, count = std::min(at_once, images - first);
    const int64_t length = count * g.positions;
    const ColumnStrides strides{k * length, g.positions, length};
    run_make_columns(ctx, cmd, g, images_of(x, first, count), columns, strides);
    TensorView from = turned;
    from.data = images_of(gradient, first, count).data;
    from.shape[1] = rows.shape[1] = count;
    rows.strides[0] = length;
    copy_any(ctx, cmd, rows, from);
    multiply(
        ctx, cmd, matrix_view(x.dtype, rows.data, {groups, group_outputs, length}, {group_outputs * length, length, 1}),
        matrix_view(x.dtype, reinterpret_cast<std::byte*>(columns), {groups, length, k}, {strides.group, 1, length}),
        matrix_view(chunks == 1 ? x.dtype : kSums<T>,
                    chunks == 1 ? gw.data : reinterpret_cast<std::byte*>(parts + chunk * size),
                    {groups, group_outputs, k}, {group_outputs * k, k, 1}));
  }
  if (chunks > 1) ctx.launch(cmd, add_parts<T>, blocks_for(size, kBlock), kBlock, 0, parts, chunks, size, gw.as<T>());
  if (!in_place) copy_any(ctx, cmd, result, gw);
}

void conv(CudaContext& ctx, const Command& cmd) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { convolve<T>(ctx, cmd); });
}
void conv_input_grad(CudaContext& ctx, const Command& cmd) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { convolve_input_grad<T>(ctx, cmd); });
}
void conv_weight_grad(CudaContext& ctx, const Command& cmd) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { convolve_weight_grad<T>(ctx, cmd); });
}
HADAL_CUDA_KERNEL(conv2d) { conv(ctx, cmd); }
HADAL_CUDA_KERNEL(conv3d) { conv(ctx, cmd); }
HADAL_CUDA_KERNEL(conv2dInputGrad) { conv_input_grad(ctx, cmd); }
HADAL_CUDA_KERNEL(conv3dInputGrad) { conv_input_grad(ctx, cmd); }
HADAL_CUDA_KERNEL(conv2dWeightGrad) { conv_weight_grad(ctx, cmd); }
HADAL_CUDA_KERNEL(conv3dWeightGrad) { conv_weight_grad(ctx, cmd); }

}  // namespace
}  // namespace hadal::cuda
