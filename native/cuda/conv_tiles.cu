// The host side of convolutions on tensor cores (device/conv_tiles.cuh), and the copies that they need: tensors with their channels
// side by side, padded to eight, weights in the order of the sum, and gradients of weights added up and turned back.
#include <limits>

#include "cuda/conv.h"
#include "cuda/device/conv_tiles.cuh"
#include "cuda/device/floating.cuh"
#include "cuda/device/pack.cuh"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// --- Copies --------------------------------------------------------------------------------------------------------------

// x [images, groups, channels, positions] as y [images, positions, groups, padded]; the padding becomes 0. A block turns a tile of
// kChannels channels, and reads `pieces` positions at a time.
template <class T, int kChannels>
__global__ void __launch_bounds__(kBlock)
    turn_channels(const T* x, int64_t x_image, int64_t x_channel, int64_t x_position, int pieces, int channels,
                  int positions, int position_tiles, T* y, int padded) {
  constexpr int kPositions = 4096 / kChannels, kGroups = kChannels / 8;
  __shared__ Pack<T, 2> tile[kChannels][kPositions / 2 + 1];
  const auto at_place = [&](int channel, int position) { return &tile[channel][position / 2].at[position % 2]; };
  const int thread = static_cast<int>(threadIdx.x), channel_tiles = (padded + kChannels - 1) / kChannels;
  const int first_position = static_cast<int>(blockIdx.x) % position_tiles * kPositions;
  const int64_t image = blockIdx.x / static_cast<unsigned>(position_tiles);
  const int group = static_cast<int>(blockIdx.y) / channel_tiles, groups = static_cast<int>(gridDim.y) / channel_tiles;
  const int first_channel = static_cast<int>(blockIdx.y) % channel_tiles * kChannels;
  x += image * x_image + (static_cast<int64_t>(group) * channels + first_channel) * x_channel +
       first_position * x_position;
  const int channels_left = channels - first_channel, positions_left = positions - first_position;
  const auto load = [&]<int kPiece>() {
    constexpr int kAcross = kPositions / kPiece, kPair = kPiece > 1 ? 2 : 1;
#pragma unroll
    for (int i = 0; i < kChannels * kAcross / kBlock; ++i) {
      const int at = thread + i * kBlock, channel = at / kAcross, position = at % kAcross * kPiece;
      Pack<T, kPiece> piece = {};
      if (channel < channels_left && position < positions_left) {
        piece = *reinterpret_cast<const Pack<T, kPiece>*>(x + channel * x_channel + position * x_position);
      }
#pragma unroll
      for (int j = 0; j < kPiece; j += kPair) {
        *reinterpret_cast<Pack<T, kPair>*>(at_place(channel, position + j)) =
            *reinterpret_cast<const Pack<T, kPair>*>(&piece.at[j]);
      }
    }
  };
  if (pieces == 8) load.template operator()<8>();
  else if (pieces == 4) load.template operator()<4>();
  else load.template operator()<1>();
  __syncthreads();
  for (int at = thread; at < kPositions * kGroups; at += kBlock) {
    const int position = at / kGroups, channel = at % kGroups * 8;
    if (position >= positions_left || first_channel + channel >= padded) continue;
    Pack<T, 8> piece;
#pragma unroll
    for (int i = 0; i < 8; ++i) piece.at[i] = *at_place(channel + i, position);
    store_pack(
        y + ((image * positions + first_position + position) * groups + group) * padded + first_channel + channel,
        piece);
  }
}

// weight, in any order of its axes group, row, channel and tap, as y [groups, rows, padded / block, taps, block].
template <class T>
__global__ void __launch_bounds__(kBlock)
    order_weights(const T* weight, int64_t group_stride, int64_t row_stride, int64_t channel_stride, int64_t tap_stride,
                  uint32_t rows, uint32_t channels, Divider block, Divider taps, Divider blocks, T* y, uint32_t count) {
  const uint32_t i = blockIdx.x * kBlock + threadIdx.x;
  if (i >= count) return;
  uint32_t rest = i;
  const uint32_t in_block = block.pop(rest), tap = taps.pop(rest);
  const uint32_t channel = blocks.pop(rest) * block.divisor + in_block;
  y[i] =
      channel < channels
          ? weight[rest / rows * group_stride + rest % rows * row_stride + channel * channel_stride + tap * tap_stride]
          : T{};
}

// gw [groups, outputs, channels, taps], in any order, = the sum of the parts [parts, groups, columns, outputs], in their order, whose columns are in the
// order of the weights above. Tiles of 32 × 32 go through shared memory, so that both sides are met in lines.
template <class T>
__global__ void __launch_bounds__(kBlock)
    add_weight_parts(const float* parts, int count, int64_t part, int columns, int outputs, int channels, Divider block,
                     Divider taps, T* gw, int64_t output_stride, int64_t channel_stride, int64_t tap_stride) {
  __shared__ float tile[kWarp][kWarp + 1];
  const int x = static_cast<int>(threadIdx.x) % kWarp, y = static_cast<int>(threadIdx.x) / kWarp;
  const int first_output = static_cast<int>(blockIdx.x) * kWarp, first_column = static_cast<int>(blockIdx.y) * kWarp;
  const int64_t group = blockIdx.z;
  for (int line = y; line < kWarp; line += kBlock / kWarp) {
    const int column = first_column + line, output = first_output + x;
    float sum = 0;
    if (column < columns && output < outputs) {
      const float* from = parts + (group * columns + column) * outputs + output;
      for (int i = 0; i < count; ++i) sum += from[i * part];
    }
    tile[line][x] = sum;
  }
  __syncthreads();
  if (first_column + x >= columns) return;
  uint32_t rest = static_cast<uint32_t>(first_column + x);
  const uint32_t in_block = block.pop(rest), tap = taps.pop(rest);
  const int channel = static_cast<int>(rest * block.divisor + in_block);
  if (channel >= channels) return;
  for (int line = y; line < kWarp && first_output + line < outputs; line += kBlock / kWarp) {
    gw[(group * outputs + first_output + line) * output_stride + channel * channel_stride + tap * tap_stride] =
        to_element<T>(tile[x][line]);
  }
}

// --- Plans ---------------------------------------------------------------------------------------------------------------

int64_t padded_channels(int64_t channels) { return (channels + 7) / 8 * 8; }
// Channels that go together, outside of the taps.
int64_t channel_block(int64_t padded) { return padded % 64 == 0 ? 64 : padded; }
Divider divider(int64_t divisor) { return Divider(static_cast<uint32_t>(std::max<int64_t>(divisor, 1))); }

// More taps of stride than this would be as many launches.
constexpr int64_t kMostPhases = 16;
// A group is padded to tiles of 64 and 8 channels: narrower ones are left to columns, and so is what 31 bits do not count.
bool tiles_serve(const ConvGeometry& g, bool by_elements) {
  if (g.groups > 1 && std::min(g.group_channels, g.group_outputs) < 16) return false;
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max() - kConvRows * int64_t{kConvDepth};
  int64_t places = g.images, phases = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t reach = g.kernel[axis] * g.dilation[axis];
    if (std::max({g.stride[axis], g.pad[axis], reach}) > 1 << 20) return false;
    places *= g.in[axis];
    phases *= std::min<int64_t>(g.stride[axis], g.in[axis]);
  }
  const int64_t x = places * g.groups * padded_channels(g.group_channels);
  const int64_t y = g.images * g.positions * g.groups * padded_channels(g.group_outputs);
  const int64_t weights = g.groups * padded_channels(g.group_outputs) * padded_channels(g.group_channels) * g.taps;
  return std::max({x, y, weights}) < kMost && (!by_elements || phases <= kMostPhases);
}

// How many of `count` neighbours, whose stride is 1, are always moved together: 8, 4 or 1. `axes` are those around them.
template <class T>
int find_pieces(const TensorView& volume, int64_t count, std::initializer_list<int> axes) {
  for (const int pieces : {8, 4}) {
    bool together = count % pieces == 0 && is_aligned<T>(volume.data, pieces);
    for (const int axis : axes) together = together && volume.strides[axis] % pieces == 0;
    if (together) return pieces;
  }
  return 1;
}

// Whether [n, c, d, h, w] lies as [n, d, h, w, groups, padded].
template <class T>
bool lies_inside(const TensorView& volume, int64_t groups) {
  int64_t position;
  const int64_t channels = volume.shape[1], positions = volume.shape[2] * volume.shape[3] * volume.shape[4];
  return channels / groups % 8 == 0 && is_aligned<T>(volume.data, 8) && volume.strides[1] == 1 &&
         find_position_stride(volume, position) && (positions == 1 || position == channels) &&
         (volume.shape[0] == 1 || volume.strides[0] == positions * channels);
}

// `position` is the distance of neighbouring positions, of which `pieces` are read together.
template <class T>
void turn(CudaContext& ctx, const Command& cmd, const T* x, int64_t images, int64_t x_image, int64_t groups,
          int64_t channels, int64_t x_channel, int64_t positions, int64_t position, int pieces, T* y) {
  const int64_t padded = padded_channels(channels);
  const auto launch = [&]<int kChannels>() {
    const int64_t tiles = (positions + 4096 / kChannels - 1) / (4096 / kChannels);
    const dim3 grid(static_cast<unsigned>(tiles * images),
                    static_cast<unsigned>(groups * ((padded + kChannels - 1) / kChannels)));
    ctx.launch(cmd, turn_channels<T, kChannels>, grid, kBlock, 0, x, x_image, x_channel, position, pieces,
               static_cast<int>(channels), static_cast<int>(positions), static_cast<int>(tiles), y,
               static_cast<int>(padded));
  };
  if (padded == 8) launch.template operator()<8>();
  else launch.template operator()<64>();
}

template <class T>
Gathered<T> gathered(const ConvGeometry& g, const T* x, int64_t channels, const AxisWalk (&walk)[3]) {
  Gathered<T> from;
  const int64_t padded = padded_channels(channels);
  from.x = x;
  from.pitch = static_cast<uint32_t>(g.groups * padded);
  from.channels = static_cast<uint32_t>(padded);
  int64_t rows = g.images, taps = 1;
  for (int i = 0; i < 3; ++i) {
    from.axis[i] = walk[i];
    from.row_dividers[i] = divider(walk[i].count);
    from.tap_dividers[i] = divider(walk[i].taps);
    rows *= walk[i].count;
    taps *= walk[i].taps;
  }
  from.rows = static_cast<uint32_t>(rows);
  from.columns = static_cast<uint32_t>(taps * padded);
  from.taps = divider(taps);
  from.block = divider(channel_block(padded));
  return from;
}

// Calls body.operator()<Config>().
template <class T, class F>
void with_config(CudaContext& ctx, const Command& cmd, int columns, F&& body) {
  const bool wide = columns == 128;
  if (has_warpgroups(ctx, cmd)) {
    if (wide) body.template operator()<ConvConfig<T, ConvWarpgroupProducts, 128>>();
    else body.template operator()<ConvConfig<T, ConvWarpgroupProducts, 64>>();
  } else {
    if (wide) body.template operator()<ConvConfig<T, ConvWarpProducts, 128>>();
    else body.template operator()<ConvConfig<T, ConvWarpProducts, 64>>();
  }
}

// y at the places of `walk`, whose `axis` 0 … 2 are d, h, w, from x and the weights in order.
template <class T>
void run_convolution(CudaContext& ctx, const Command& cmd, const ConvGeometry& g, const T* x, int64_t channels,
                     const T* weight, int64_t outputs, const float* bias, const TensorView& y,
                     const AxisWalk (&walk)[3]) {
  TilesConvolution<T> product;
  product.x = gathered(g, x, channels, walk);
  product.weight = weight;
  product.bias = bias;
  product.y = y.as<T>();
  product.y_image = y.strides[0];
  product.y_channel = y.strides[1];
  int64_t position, positions = 1;
  bool every = find_position_stride(y, position) && position == 1;
  for (int i = 0; i < 3; ++i) {
    product.y += walk[i].first * y.strides[2 + i];
    product.y_axis[i] = walk[i].step * y.strides[2 + i];
    product.kernel[i] = g.kernel[i];
    every = every && walk[i].step == 1;
    positions *= walk[i].count;
  }
  product.channels_last = y.strides[1] == 1;
  product.pieces = product.channels_last ? find_pieces<T>(y, outputs, {0, 2, 3, 4})
                   : every               ? find_pieces<T>(y, positions, {0, 1})
                                         : 1;
  product.kernel_taps = static_cast<uint32_t>(g.taps);
  product.outputs = static_cast<uint32_t>(outputs);
  const int64_t row_tiles = (int64_t{product.x.rows} + kConvRows - 1) / kConvRows;
  const int columns = choose_tile_columns(row_tiles * g.groups, outputs, ctx.device().multiprocessors);
  product.column_tiles = static_cast<int>((outputs + columns - 1) / columns);
  with_config<T>(ctx, cmd, columns, [&]<class Config>() {
    const dim3 grid(static_cast<unsigned>(row_tiles * product.column_tiles), static_cast<unsigned>(g.groups));
    ctx.launch(cmd, tiles_convolution<Config>, grid, kConvBlock, Config::kStagesBytes + kSharedSlack, product);
  });
}

// Rows are the outputs of a group (axis 0) or its channels (axis 1), and what is summed over the other.
template <class T>
const T* ordered_weights(CudaContext& ctx, const Command& cmd, const ConvGeometry& g, const TensorView& weight,
                         int row_axis) {
  int64_t tap;
  const bool plain = find_position_stride(weight, tap);
  const TensorView from = plain ? weight : packed(ctx, cmd, weight, 0);
  const int64_t rows = row_axis == 0 ? g.group_outputs : g.group_channels;
  const int64_t channels = row_axis == 0 ? g.group_channels : g.group_outputs;
  const int64_t padded = padded_channels(channels), block = channel_block(padded);
  const int64_t count = g.groups * rows * padded * g.taps;
  T* y = ctx.scratch<T>(count);
  ctx.launch(cmd, order_weights<T>, blocks_for(count, kBlock), kBlock, 0, from.as<const T>(),
             g.group_outputs * from.strides[0], from.strides[row_axis], from.strides[1 - row_axis], plain ? tap : 1,
             static_cast<uint32_t>(rows), static_cast<uint32_t>(channels), divider(block), divider(g.taps),
             divider(padded / block), y, static_cast<uint32_t>(count));
  return y;
}

AxisWalk windows_of(const ConvGeometry& g, int i) {
  return walk_windows(g.in[i], g.out[i], g.kernel[i], static_cast<int>(g.stride[i]), static_cast<int>(g.pad[i]),
                      static_cast<int>(g.dilation[i]));
}

}  // namespace

template <class T>
const T* with_channels_inside(CudaContext& ctx, const Command& cmd, const TensorView& volume, int64_t groups) {
  if (lies_inside<T>(volume, groups)) return volume.as<const T>();
  int64_t position;
  const bool plain = find_position_stride(volume, position);
  const TensorView x = plain ? volume : packed(ctx, cmd, volume, 0);
  if (!plain) position = 1;
  const int64_t channels = x.shape[1] / groups, positions = x.shape[2] * x.shape[3] * x.shape[4];
  T* y = ctx.scratch<T>(x.shape[0] * positions * groups * padded_channels(channels));
  turn(ctx, cmd, x.as<const T>(), x.shape[0], x.strides[0], groups, channels, x.strides[1], positions, position,
       position == 1 ? find_pieces<T>(x, positions, {0, 1}) : 1, y);
  return y;
}

template <class T>
bool convolve_on_tensor_cores(CudaContext& ctx, const Command& cmd, const ConvGeometry& g, const TensorView& x,
                              const TensorView& weight, const TensorView& bias, const TensorView& y) {
  if (!tiles_serve(g, false)) return false;
  const T* from = with_channels_inside<T>(ctx, cmd, x, g.groups);
  const T* ordered = ordered_weights<T>(ctx, cmd, g, weight, 0);
  const float* shift = bias.present() ? packed_vector<float>(ctx, cmd, bias, g.outputs, 0) : nullptr;
  run_convolution<T>(ctx, cmd, g, from, g.group_channels, ordered, g.group_outputs, shift, y,
                     {windows_of(g, 0), windows_of(g, 1), windows_of(g, 2)});
  return true;
}

template <class T>
bool input_grad_on_tensor_cores(CudaContext& ctx, const Command& cmd, const ConvGeometry& g, const TensorView& gradient,
                                const TensorView& weight, const TensorView& gx) {
  if (!tiles_serve(g, true)) return false;
  const T* from = with_channels_inside<T>(ctx, cmd, gradient, g.groups);
  const T* ordered = ordered_weights<T>(ctx, cmd, g, weight, 1);
  const auto walk = [&](int i, int phase) {
    return walk_elements(g.in[i], g.out[i], g.kernel[i], static_cast<int>(g.stride[i]), static_cast<int>(g.pad[i]),
                         static_cast<int>(g.dilation[i]), phase);
  };
  for (int d = 0; d < std::min<int64_t>(g.stride[0], g.in[0]); ++d) {
    for (int h = 0; h < std::min<int64_t>(g.stride[1], g.in[1]); ++h) {
      for (int w = 0; w < std::min<int64_t>(g.stride[2], g.in[2]); ++w) {
        run_convolution<T>(ctx, cmd, g, from, g.group_outputs, ordered, g.group_channels, nullptr, gx,
                           {walk(0, d), walk(1, h), walk(2, w)});
      }
    }
  }
  return true;
}

template <class T>
bool weight_grad_on_tensor_cores(CudaContext& ctx, const Command& cmd, const ConvGeometry& g,
                                 const TensorView& gradient, const TensorView& x, const TensorView& gw) {
  int64_t tap;
  if (!tiles_serve(g, false) || !find_position_stride(gw, tap)) return false;
  TilesWeightGrad<T> product;
  product.gradient = with_channels_inside<T>(ctx, cmd, gradient, g.groups);
  product.width = static_cast<uint32_t>(padded_channels(g.group_outputs));
  product.pitch = product.width * static_cast<uint32_t>(g.groups);
  product.x = gathered(g, with_channels_inside<T>(ctx, cmd, x, g.groups), g.group_channels,
                       {windows_of(g, 0), windows_of(g, 1), windows_of(g, 2)});
  for (int i = 0; i < 3; ++i) product.kernel[i] = g.kernel[i];
  product.kernel_taps = static_cast<uint32_t>(g.taps);
  product.outputs = static_cast<uint32_t>(g.group_outputs);
  const int64_t columns = product.x.columns, row_tiles = (columns + kConvRows - 1) / kConvRows;
  // Parts fill the device whatever the tiles are: they are narrow only where that wastes less.
  const int width = choose_tile_columns(1, g.group_outputs, 1);
  product.column_tiles = static_cast<int>((g.group_outputs + width - 1) / width);
  const int64_t tiles = row_tiles * product.column_tiles;
  const SumParts parts = choose_parts(tiles * g.groups, (int64_t{product.x.rows} + kConvDepth - 1) / kConvDepth,
                                      ctx.device().multiprocessors);
  const int64_t size = g.groups * columns * g.group_outputs;
  product.steps = parts.steps;
  product.parts = ctx.scratch<float>(parts.parts * size);
  with_config<T>(ctx, cmd, width, [&]<class Config>() {
    const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(g.groups), static_cast<unsigned>(parts.parts));
    ctx.launch(cmd, tiles_weight_grad<Config>, grid, kConvBlock, Config::kStagesBytes + kRowTableBytes + kSharedSlack,
               product);
  });
  const dim3 grid(blocks_for(g.group_outputs, kWarp), blocks_for(columns, kWarp), static_cast<unsigned>(g.groups));
  ctx.launch(cmd, add_weight_parts<T>, grid, kBlock, 0, product.parts, parts.parts, size, static_cast<int>(columns),
             static_cast<int>(g.group_outputs), static_cast<int>(g.group_channels), product.x.block, product.x.taps,
             gw.as<T>(), gw.strides[0], gw.strides[1], tap);
  return true;
}

#define HADAL_CONV_TILES(T)                                                                                          \
  template const T* with_channels_inside<T>(CudaContext&, const Command&, const TensorView&, int64_t);               \
                                                                                                                     \
  template bool convolve_on_tensor_cores<T>(CudaContext&, const Command&, const ConvGeometry&, const TensorView&,    \
                                            const TensorView&, const TensorView&, const TensorView&);                \
  template bool input_grad_on_tensor_cores<T>(CudaContext&, const Command&, const ConvGeometry&, const TensorView&,  \
                                              const TensorView&, const TensorView&);                                 \
  template bool weight_grad_on_tensor_cores<T>(CudaContext&, const Command&, const ConvGeometry&, const TensorView&, \
                                               const TensorView&, const TensorView&)
HADAL_CONV_TILES(BFloat16);
HADAL_CONV_TILES(Float16);

}  // namespace hadal::cuda
