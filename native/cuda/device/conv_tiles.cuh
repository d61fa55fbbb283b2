// Convolutions of 16-bit floats as implicit matrix products on tensor cores: the columns (im2col) that the product is of exist only as
// tiles in shared memory, gathered from a tensor whose channels lie side by side. Instantiated by conv_tiles.cu.
//
// Forward, and the gradient by the input, which is the same walk the other way around (cuda/conv_shape.h):
//   y[row, o] = Σ_k x[from(row, tap), channel] · weight[o, k],  k = (block of channels, tap, channel in it)
// for rows that are positions of all images. Blocks of 64 channels go outermost, so that neighbouring taps find in the cache what they
// share. The gradient by the weight sums over those rows instead, in parts that are then added up in order:
//   gw[k, o] = Σ_row x[from(row, tap), channel] · g[row, o]
//
// A block makes a tile of 128 × 64 or 128 × 128, in steps of 64 along the sum; three steps' tiles are in shared memory, two of them
// being copied. Products is what multiplies: ConvWarpProducts, or ConvWarpgroupProducts on sm_90a. Sums are in float.
#pragma once

#include "cuda/conv_shape.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/tile.cuh"

namespace hadal::cuda {

// --- Products ------------------------------------------------------------------------------------------------------------

template <int kColumns>
using ConvSum = float[kColumns / 8][4];

// Of a block of eight warps, which stand kDown × kAcross, each with kHeight rows and 32 columns. Blocks of a sum are those of
// device/mma.cuh, four of them side by side.
template <class T, int kColumns>
struct ConvWarpProducts {
  static constexpr bool kAvailable = true;
  static constexpr bool kRunBeside = false;
  static constexpr int kAcross = kColumns / 32, kDown = kConvBlock / kWarp / kAcross, kHeight = kConvRows / kDown;

  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / kWarp / kAcross * kHeight; }
  __device__ static int first_column() { return static_cast<int>(threadIdx.x) / kWarp % kAcross * 32; }
  // Of element 0 of a block; element 1 is in the next column, 2 and 3 eight rows below.
  __device__ static int row(int block) {
    return first_row() + block / 4 * 16 + static_cast<int>(threadIdx.x) % kWarp / 4;
  }
  __device__ static int column(int block) {
    return first_column() + block % 4 * 8 + static_cast<int>(threadIdx.x) % 4 * 2;
  }

  __device__ static void make_visible() {}
  __device__ static void wait(ConvSum<kColumns>&) {}

  // sum += a · bᵀ for tiles a [128, 64] and b [kColumns, 64]; kByRows: aᵀ · b for a [64, 128] and b [64, kColumns].
  template <bool kByRows>
  __device__ __forceinline__ static void multiply(ConvSum<kColumns>& sum, uint32_t a, uint32_t b) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, row = first_row(), column = first_column();
#pragma unroll
    for (int depth = 0; depth < kConvDepth; depth += 16) {
      uint32_t right[2][4];
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        if constexpr (kByRows) {
          load_matrices_transposed(right[j],
                                   tile_address<kConvDepth>(b, depth + lane % 16, column + 16 * j + lane / 16 * 8));
        } else {
          load_matrices(right[j], tile_address<kColumns>(b, column + 16 * j + lane / 16 * 8 + lane % 8,
                                                         depth + lane / 8 % 2 * 8));
        }
      }
#pragma unroll
      for (int i = 0; i < kHeight / 16; ++i) {
        uint32_t left[4];
        if constexpr (kByRows) {
          load_matrices_transposed(
              left, tile_address<kConvDepth>(a, depth + lane / 16 * 8 + lane % 8, row + 16 * i + lane / 8 % 2 * 8));
        } else {
          load_matrices(left, tile_address<kConvRows>(a, row + 16 * i + lane % 16, depth + lane / 16 * 8));
        }
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          multiply_add<T>(sum[4 * i + 2 * j], left, right[j][0], right[j][1]);
          multiply_add<T>(sum[4 * i + 2 * j + 1], left, right[j][2], right[j][3]);
        }
      }
    }
  }
};

// The same of two warpgroups, one below the other; they run until waited for.
template <class T, int kColumns>
struct ConvWarpgroupProducts {
  static constexpr bool kAvailable = kHasWarpgroups;
  static constexpr bool kRunBeside = true;

  __device__ static int row(int) {
    return static_cast<int>(threadIdx.x) / kWarp * 16 + static_cast<int>(threadIdx.x) % kWarp / 4;
  }
  __device__ static int column(int block) { return block * 8 + static_cast<int>(threadIdx.x) % 4 * 2; }

  __device__ __forceinline__ static void make_visible() { publish_copies(); }
  __device__ __forceinline__ static void wait(ConvSum<kColumns>& sum) { warpgroup_wait<0>(sum); }

  template <bool kByRows>
  __device__ __forceinline__ static void multiply(ConvSum<kColumns>& sum, uint32_t a, uint32_t b) {
    // Equal in all threads of the warpgroup, and known to be.
    const auto warpgroup = static_cast<uint32_t>(__shfl_sync(kAllThreads, static_cast<int>(threadIdx.x) / 128, 0));
    a += warpgroup * 64 * 128;  // 64 rows, or a panel of 64 columns
    warpgroup_begin();
#pragma unroll
    for (uint32_t depth = 0; depth < kConvDepth; depth += 16) {
      constexpr uint32_t kPanels = kByRows ? kConvDepth * 128 : 16;
      const uint32_t inside = kByRows ? depth * 128 : depth * 2;
      warpgroup_multiply_transposed<T, kColumns, kByRows>(sum, describe(a + inside, kPanels),
                                                          describe(b + inside, kPanels), 1);
    }
    warpgroup_commit();
  }
};

template <class T_, template <class, int> class Products_, int kColumns_>
struct ConvConfig {
  using T = T_;
  using Products = Products_<T, kColumns_>;
  static constexpr int kColumns = kColumns_;
  static constexpr int kStages = 3;
  static constexpr uint32_t kLeftBytes = kConvRows * kConvDepth * 2;
  static constexpr uint32_t kStageBytes = kLeftBytes + kColumns * kConvDepth * 2;
  static constexpr uint32_t kStagesBytes = kStages * kStageBytes;
  // Where a finished tile is arranged as y lies, by columns or by rows; the padding spreads them over the banks.
  static constexpr uint32_t kColumnPitch = (kConvRows + 8) * 2, kRowPitch = (kColumns + 8) * 2;
  static_assert(kColumns * kColumnPitch <= kStagesBytes && kConvRows * kRowPitch <= kStagesBytes);
};

// The sum over all steps. `copy(step, left, right)` starts the copies of a step's tiles. `after(step)` runs behind the copies that are
// started in a step, of step + 2; after(-1) behind the first ones.
template <class Config, bool kByRows, class Copy, class After>
__device__ __forceinline__ void sum_steps(ConvSum<Config::kColumns>& sum, uint32_t stages, int steps, Copy&& copy,
                                          After&& after) {
  using Products = typename Config::Products;
  constexpr int kAhead = Config::kStages - 1;
  const auto stage_of = [&](int step) {
    return stages + static_cast<uint32_t>(step % Config::kStages) * Config::kStageBytes;
  };
  const auto start = [&](int step) {
    if (step < steps) copy(step, stage_of(step), stage_of(step) + Config::kLeftBytes);
    copies_commit();
  };
#pragma unroll
  for (int i = 0; i < Config::kColumns / 8; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[i][e] = 0;
  }
  for (int step = 0; step < kAhead; ++step) start(step);
  after(-1);
  for (int step = 0; step < steps; ++step) {
    copies_wait<kAhead - 1>();
    Products::make_visible();
    __syncthreads();  // this step's tiles are there, and the last ones are done with
    if constexpr (!Products::kRunBeside) start(step + kAhead);
    Products::template multiply<kByRows>(sum, stage_of(step), stage_of(step) + Config::kLeftBytes);
    if constexpr (Products::kRunBeside) start(step + kAhead);
    after(step);
    Products::wait(sum);
  }
  copies_wait();
}

// --- What is gathered ----------------------------------------------------------------------------------------------------

inline constexpr int kNowhere = -(1 << 30);  // a place that no tap leads inside from

// x [images, d, h, w, groups, channels] and how it is walked. Offsets are numbers modulo 2^32, of which what is read is below 2^31.
template <class T>
struct Gathered {
  const T* x;
  uint32_t pitch;     // elements from one position to the next
  uint32_t channels;  // of a group, a multiple of 8
  uint32_t rows, columns;
  AxisWalk axis[3];  // d, h, w
  Divider row_dividers[3], tap_dividers[3], taps, block;

  // The place of tap 0 of a row.
  struct alignas(16) Row {
    uint32_t offset;
    int at[3];
  };
  __device__ __forceinline__ Row find_row(uint32_t row) const {
    uint32_t rest = row, offset = 0;
    Row found;
#pragma unroll
    for (int i = 2; i >= 0; --i) {
      found.at[i] = axis[i].from_first + static_cast<int>(row_dividers[i].pop(rest)) * axis[i].from_row;
    }
    offset = rest;  // the image
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      offset = offset * static_cast<uint32_t>(axis[i].from_size) + static_cast<uint32_t>(found.at[i]);
    }
    found.offset = offset * pitch;
    return found;
  }
  // 8 channels at a tap: how far from tap 0, and where among the weights of one output. k is a multiple of 8 below `columns`.
  struct Column {
    uint32_t offset, weight;
    int by[3];
  };
  __device__ __forceinline__ Column find_column(uint32_t k, const int (&kernel)[3], uint32_t kernel_taps) const {
    Column found;
    uint32_t rest = k;
    const uint32_t channel = block.pop(rest);
    uint32_t tap = taps.pop(rest);  // the rest is the block of channels
    uint32_t offset = 0, weight = 0;
    uint32_t taps_at[3];
#pragma unroll
    for (int i = 2; i >= 0; --i) taps_at[i] = tap_dividers[i].pop(tap);
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      found.by[i] = static_cast<int>(taps_at[i]) * axis[i].from_tap;
      offset = offset * static_cast<uint32_t>(axis[i].from_size) + static_cast<uint32_t>(found.by[i]);
      weight = weight * static_cast<uint32_t>(kernel[i]) + static_cast<uint32_t>(axis[i].tap_first) +
               taps_at[i] * static_cast<uint32_t>(axis[i].tap_step);
    }
    found.offset = offset * pitch + rest * block.divisor + channel;
    found.weight = (rest * kernel_taps + weight) * block.divisor + channel;
    return found;
  }
  __device__ __forceinline__ bool inside(const int (&at)[3], const int (&by)[3]) const {
    bool is = true;
#pragma unroll
    for (int i = 0; i < 3; ++i)
      is = is && static_cast<unsigned>(at[i] + by[i]) < static_cast<unsigned>(axis[i].from_size);
    return is;
  }
};

// --- Forward, and the gradient by the input ------------------------------------------------------------------------------

template <class T>
struct TilesConvolution {
  Gathered<T> x;
  const T* weight;                        // [groups, outputs, blocks of channels, taps, channels of a block]
  const float* bias;                      // [groups · outputs], or null
  T* y;                                   // at the first of its rows' places
  int64_t y_image, y_channel, y_axis[3];  // of rows' places
  bool channels_last;                     // y_channel is 1
  int pieces;                             // channels or rows of y that are written together: 8, 4 or 1
  int kernel[3];
  uint32_t kernel_taps, outputs;  // of a group
  int column_tiles;
};

template <class Config>
__global__ void __launch_bounds__(kConvBlock, 2)
    tiles_convolution(const __grid_constant__ TilesConvolution<typename Config::T> g) {
  using T = typename Config::T;
  using Products = typename Config::Products;
  constexpr int kColumns = Config::kColumns;
  if constexpr (Products::kAvailable) {
    const auto& gathered = g.x;
    const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
    const uint32_t first_row = static_cast<uint32_t>(block / g.column_tiles * kConvRows);
    const uint32_t first_column = static_cast<uint32_t>(block % g.column_tiles * kColumns);
    const uint32_t weight_row = g.kernel_taps * gathered.channels;
    const T* x = gathered.x + blockIdx.y * gathered.channels;
    const T* weight = g.weight + static_cast<int64_t>(blockIdx.y) * g.outputs * weight_row;
    const uint32_t stages = aligned_shared();

    // A thread copies the same 8 of 64 columns in rows that are kLines apart.
    constexpr int kPieces = kConvDepth / 8, kLines = kConvBlock / kPieces;
    const int piece = thread % kPieces, line = thread / kPieces;
    typename Gathered<T>::Row rows[kConvRows / kLines];
#pragma unroll
    for (int i = 0; i < kConvRows / kLines; ++i) {
      const uint32_t row = first_row + static_cast<uint32_t>(line + i * kLines);
      rows[i] = gathered.find_row(row);
      if (row >= gathered.rows) rows[i].at[2] = kNowhere;
    }
    const auto copy = [&](int step, uint32_t left, uint32_t right) {
      const uint32_t k = static_cast<uint32_t>(step * kConvDepth + piece * 8);
      const bool is_column = k < gathered.columns;
      const auto column = gathered.find_column(k, g.kernel, g.kernel_taps);
#pragma unroll
      for (int i = 0; i < kConvRows / kLines; ++i) {
        const bool inside = is_column && gathered.inside(rows[i].at, column.by);
        copy_async<true>(tile_address<kConvRows>(left, line + i * kLines, piece * 8),
                         x + (rows[i].offset + column.offset), inside);
      }
#pragma unroll
      for (int i = 0; i < kColumns / kLines; ++i) {
        const uint32_t output = first_column + static_cast<uint32_t>(line + i * kLines);
        const bool inside = is_column && output < g.outputs;
        copy_async(tile_address<kColumns>(right, line + i * kLines, piece * 8),
                   weight + (output * weight_row + column.weight), inside);
      }
    };
    ConvSum<kColumns> sum;
    const int steps = static_cast<int>((gathered.columns + kConvDepth - 1) / kConvDepth);
    sum_steps<Config, false>(sum, stages, steps, copy, [](int) {});

    __syncthreads();
    extern __shared__ uint4 hadal_dynamic_shared[];
    std::byte* const tile = reinterpret_cast<std::byte*>(hadal_dynamic_shared) +
                            (stages - static_cast<uint32_t>(__cvta_generic_to_shared(hadal_dynamic_shared)));
    const auto at = [&](int row, int column) {
      return tile + (g.channels_last ? static_cast<uint32_t>(row) * Config::kRowPitch + column * 2
                                     : static_cast<uint32_t>(column) * Config::kColumnPitch + row * 2);
    };
    const uint32_t outputs = min(g.outputs - first_column, static_cast<uint32_t>(kColumns));
    const uint32_t first_output = blockIdx.y * g.outputs + first_column;
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = Products::row(i) + e / 2 * 8, column = Products::column(i) + e % 2;
        float value = sum[i][e];
        if (g.bias != nullptr && static_cast<uint32_t>(column) < outputs) value += g.bias[first_output + column];
        *reinterpret_cast<T*>(at(row, column)) = to_element<T>(value);
      }
    }
    __syncthreads();
    const auto write = [&](T* y, int row, int column) {
      const auto move = [&]<int kPieces>() {
        using Piece = Pack<T, kPieces>;
        *reinterpret_cast<Piece*>(y + column * g.y_channel) = *reinterpret_cast<const Piece*>(at(row, column));
      };
      if (g.pieces == 8) move.template operator()<8>();
      else if (g.pieces == 4) move.template operator()<4>();
      else move.template operator()<1>();
    };
    // Where the first output of a row is; null behind the last row.
    const auto find_row = [&](int row) -> T* {
      uint32_t rest = first_row + static_cast<uint32_t>(row);
      if (rest >= gathered.rows) return nullptr;
      int64_t offset = first_output * g.y_channel;
#pragma unroll
      for (int i = 2; i >= 0; --i) offset += gathered.row_dividers[i].pop(rest) * g.y_axis[i];
      return g.y + offset + rest * g.y_image;
    };
    // A thread writes the same pieces of lines that are `beside` apart: of rows, or of columns.
    const int pieces = (g.channels_last ? kColumns : kConvRows) / g.pieces, beside = kConvBlock / pieces;
    const int own = thread % pieces * g.pieces, first = thread / pieces;
    if (g.channels_last) {
      if (own >= static_cast<int>(outputs)) return;
      for (int row = first; row < kConvRows; row += beside) {
        T* const y = find_row(row);
        if (y == nullptr) return;
        write(y, row, own);
      }
    } else {
      T* const y = find_row(own);
      if (y == nullptr) return;
      for (int column = first; column < static_cast<int>(outputs); column += beside) write(y, own, column);
    }
  }
}

// --- The gradient by the weight ------------------------------------------------------------------------------------------

template <class T>
struct TilesWeightGrad {
  Gathered<T> x;
  const T* gradient;      // [rows, groups, gradient_pitch / groups]
  uint32_t pitch, width;  // of a row, and of a group in it
  float* parts;           // [parts, groups, columns of x, outputs]
  int kernel[3];
  uint32_t kernel_taps, outputs;  // of a group
  int column_tiles, steps;        // of a part
};

inline constexpr size_t kRowTableBytes = 2 * kConvDepth * 16;

template <class Config>
__global__ void __launch_bounds__(kConvBlock, 2)
    tiles_weight_grad(const __grid_constant__ TilesWeightGrad<typename Config::T> g) {
  using T = typename Config::T;
  using Products = typename Config::Products;
  constexpr int kColumns = Config::kColumns;
  if constexpr (Products::kAvailable) {
    const auto& gathered = g.x;
    const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
    // Of the sum: rows are columns of x, columns are outputs. What is summed over are rows of x.
    const uint32_t first_row = static_cast<uint32_t>(block / g.column_tiles * kConvRows);
    const uint32_t first_column = static_cast<uint32_t>(block % g.column_tiles * kColumns);
    const uint32_t begin = blockIdx.z * static_cast<uint32_t>(g.steps * kConvDepth);
    const uint32_t end = min(gathered.rows, begin + static_cast<uint32_t>(g.steps * kConvDepth));
    const int steps = begin < end ? static_cast<int>((end - begin + kConvDepth - 1) / kConvDepth) : 0;
    const T* x = gathered.x + blockIdx.y * gathered.channels;
    const T* gradient = g.gradient + blockIdx.y * g.width + first_column;
    const uint32_t stages = aligned_shared();

    // Where the 64 rows of a step are, of two steps: found by one thread each.
    extern __shared__ uint4 hadal_dynamic_shared[];
    using Row = typename Gathered<T>::Row;
    static_assert(2 * kConvDepth * sizeof(Row) == kRowTableBytes);
    Row* const table = reinterpret_cast<Row*>(
        reinterpret_cast<std::byte*>(hadal_dynamic_shared) +
        (stages - static_cast<uint32_t>(__cvta_generic_to_shared(hadal_dynamic_shared))) + Config::kStagesBytes);
    const auto find_rows = [&](int step) {
      if (thread >= kConvDepth || step >= steps) return;
      const uint32_t row = begin + static_cast<uint32_t>(step * kConvDepth + thread);
      Row found = gathered.find_row(row);
      if (row >= end) found.at[2] = kNowhere;
      table[step % 2 * kConvDepth + thread] = found;
    };

    constexpr int kLeftPieces = kConvRows / 8, kLeftLines = kConvBlock / kLeftPieces;
    constexpr int kRightPieces = kColumns / 8, kRightLines = kConvBlock / kRightPieces;
    const int left_piece = thread % kLeftPieces, left_line = thread / kLeftPieces;
    const int right_piece = thread % kRightPieces, right_line = thread / kRightPieces;
    const uint32_t k = first_row + static_cast<uint32_t>(left_piece * 8);
    const auto column = gathered.find_column(k, g.kernel, g.kernel_taps);
    const bool is_output = first_column + static_cast<uint32_t>(right_piece * 8) < g.width;
    const auto copy = [&](int step, uint32_t left, uint32_t right) {
#pragma unroll
      for (int i = 0; i < kConvDepth / kLeftLines; ++i) {
        const int line = left_line + i * kLeftLines;
        const Row row = table[step % 2 * kConvDepth + line];
        const bool inside = k < gathered.columns && gathered.inside(row.at, column.by);
        copy_async<true>(tile_address<kConvDepth>(left, line, left_piece * 8), x + (row.offset + column.offset),
                         inside);
      }
#pragma unroll
      for (int i = 0; i < kConvDepth / kRightLines; ++i) {
        const int line = right_line + i * kRightLines;
        const uint32_t row = begin + static_cast<uint32_t>(step * kConvDepth + line);
        const bool inside = is_output && row < end;
        copy_async(tile_address<kConvDepth>(right, line, right_piece * 8),
                   gradient + (row * g.pitch + static_cast<uint32_t>(right_piece * 8)), inside);
      }
    };
    find_rows(0);
    find_rows(1);
    __syncthreads();
    ConvSum<kColumns> sum;
    sum_steps<Config, true>(sum, stages, steps, copy, [&](int step) {
      if (step < 0) __syncthreads();  // step 2 takes the place of step 0
      find_rows(step + 3);
    });

    float* part = g.parts + (blockIdx.z * int64_t{gridDim.y} + blockIdx.y) * gathered.columns * g.outputs;
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t row = first_row + static_cast<uint32_t>(Products::row(i) + 8 * half);
        const uint32_t output = first_column + static_cast<uint32_t>(Products::column(i));
        if (row >= gathered.columns) continue;
        float* to = part + int64_t{row} * g.outputs + output;
        if (g.outputs % 2 == 0) {
          if (output < g.outputs) *reinterpret_cast<float2*>(to) = {sum[i][2 * half], sum[i][2 * half + 1]};
        } else {
          if (output < g.outputs) to[0] = sum[i][2 * half];
          if (output + 1 < g.outputs) to[1] = sum[i][2 * half + 1];
        }
      }
    }
  }
}

}  // namespace hadal::cuda
