// Tiles of 16-bit matrices in shared memory, laid out as device/mma.cuh tells, and products of them. Called by attention and
// convolution.
#pragma once

#include "cuda/cuda_context.h"
#include "cuda/device/mma.cuh"
#include "cuda/device/wgmma.cuh"

namespace hadal::cuda {

// Its static shared memory tells whether the code that was loaded is for an architecture with warpgroup products.
inline constexpr size_t kWarpgroupMark = 4096;
static __global__ void warpgroup_mark() {
  if constexpr (kHasWarpgroups) {
    __shared__ volatile char mark[kWarpgroupMark];
    mark[threadIdx.x] = 0;
  }
}
inline bool has_warpgroups(CudaContext& ctx, const Command& cmd) {
  if (ctx.device().capability != 90) return false;
  cudaFuncAttributes attributes;
  ctx.check(cmd, cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(warpgroup_mark)));
  return attributes.sharedSizeBytes >= kWarpgroupMark;
}

inline constexpr int kPanel = 64;  // columns
template <int kRows, int kColumns>
inline constexpr uint32_t kTileBytes = (kColumns + kPanel - 1) / kPanel * kPanel * kRows * 2;

// Where 8 elements from a column (a multiple of 8) of a row begin in a tile of kRows rows.
template <int kRows>
__device__ __forceinline__ uint32_t tile_address(uint32_t tile, int row, int column) {
  return tile +
         static_cast<uint32_t>(column / kPanel * kRows * 128 + row * 128 + ((column % kPanel / 8) ^ (row % 8)) * 16);
}

// Starts to copy a thread's pieces of 16 bytes, one of each of kPanels panels of kRows rows and those below it, kLines rows apart and
// `step` elements in memory: those of the first `left` rows, and of their elements `along`; the others become 0. The first is in
// row `line`.
template <int kRows, int kLines, int kPanels, class T>
__device__ __forceinline__ void copy_lines(uint32_t to, const T* from, int64_t step, int left, int along, int line) {
  const auto copy_pieces = [&](auto copy) {
#pragma unroll
    for (int i = 0; i < kRows; i += kLines) {
      if (kRows % kLines != 0 && i + line >= kRows) break;
#pragma unroll
      for (int panel = 0; panel < kPanels; ++panel) {
        copy(to + panel * kRows * 128 + i * 128, from + panel * kPanel, i < left, along - panel * kPanel);
      }
      from += step;
    }
  };
  if (along % 8 == 0) {
    copy_pieces([](uint32_t piece, const T* elements, bool inside, int count) {
      copy_async(piece, elements, inside && count > 0);
    });
  } else {
    copy_pieces([](uint32_t piece, const T* elements, bool inside, int count) {
      copy_part_async(piece, elements, inside ? min(max(count, 0), 8) * 2 : 0);
    });
  }
}

// Starts to copy rows from `first` on of a matrix of [rows, columns], whose rows begin at multiples of 16 bytes, into a tile;
// what lies outside becomes 0. kThreads threads call, numbered from 0.
template <int kRows, int kColumns, int kThreads, class T>
__device__ __forceinline__ void copy_tile(uint32_t tile, const T* x, int64_t row_stride, int first, int rows,
                                          int columns, int thread = static_cast<int>(threadIdx.x)) {
  constexpr int kPieces = kColumns / 8, kLines = kThreads / kPieces;
  if constexpr (kThreads % kPieces == 0 && kLines % 8 == 0) {
    const int line = thread / kPieces, column = thread % kPieces * 8;
    copy_lines<kRows, kLines, 1>(tile_address<kRows>(tile, line, column), x + (first + line) * row_stride + column,
                                 kLines * row_stride, rows - first - line, columns - column, line);
  } else {
#pragma unroll
    for (int begin = 0; begin < kRows * kPieces; begin += kThreads) {
      const int at = begin + thread;
      if (kRows * kPieces % kThreads != 0 && at >= kRows * kPieces) break;
      const int row = at / kPieces, column = at % kPieces * 8;
      const int bytes = first + row < rows ? min(max(columns - column, 0), 8) * 2 : 0;
      copy_part_async(tile_address<kRows>(tile, row, column), x + (first + row) * row_stride + column, bytes);
    }
  }
}

// A sum of 16 × kColumns per warp, and such a sum as the left factor of a product.
template <int kColumns>
using Sum = float[kColumns / 8][4];
template <int kColumns>
using Left = uint32_t[kColumns / 16][4];

// Two 8-column blocks of a sum are the four registers of a left factor of 16 columns.
template <class T, int kBlocks>
__device__ __forceinline__ void to_left(uint32_t (&left)[kBlocks / 2][4], const float (&sum)[kBlocks][4]) {
#pragma unroll
  for (int i = 0; i < kBlocks / 2; ++i) {
    left[i][0] = pack_pair<T>(sum[2 * i][0], sum[2 * i][1]);
    left[i][1] = pack_pair<T>(sum[2 * i][2], sum[2 * i][3]);
    left[i][2] = pack_pair<T>(sum[2 * i + 1][0], sum[2 * i + 1][1]);
    left[i][3] = pack_pair<T>(sum[2 * i + 1][2], sum[2 * i + 1][3]);
  }
}

// Products of a warp. Each warp of the block has 16 rows of the left tile: warp w rows 16 w on.
template <class T>
struct WarpProducts {
  static constexpr bool kAvailable = true;
  static constexpr bool kRunBeside = false;
  // sum = a · bᵀ over kDepth columns, for a tile a of kRows rows and b of kColumns.
  template <int kRows, int kDepth, int kColumns>
  __device__ __forceinline__ static void multiply_transposed(Sum<kColumns>& sum, uint32_t a, uint32_t b) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[i][e] = 0;
    }
#pragma unroll
    for (int depth = 0; depth < kDepth; depth += 16) {
      uint32_t left[4];
      load_matrices(left, tile_address<kRows>(a, warp * 16 + lane % 16, depth + lane / 16 * 8));
#pragma unroll
      for (int column = 0; column < kColumns; column += 16) {
        uint32_t right[4];
        load_matrices(right, tile_address<kColumns>(b, column + lane / 16 * 8 + lane % 8, depth + lane / 8 % 2 * 8));
        multiply_add<T>(sum[column / 8], left, right[0], right[1]);
        multiply_add<T>(sum[column / 8 + 1], left, right[2], right[3]);
      }
    }
  }

  // sum += left · b for a tile b of [kDepth, kColumns].
  template <int kDepth, int kColumns>
  __device__ __forceinline__ static void multiply(Sum<kColumns>& sum, const Left<kDepth>& left, uint32_t b) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int depth = 0; depth < kDepth; depth += 16) {
#pragma unroll
      for (int column = 0; column < kColumns; column += 16) {
        uint32_t right[4];
        load_matrices_transposed(right, tile_address<kDepth>(b, depth + lane % 16, column + lane / 16 * 8));
        multiply_add<T>(sum[column / 8], left[depth / 16], right[0], right[1]);
        multiply_add<T>(sum[column / 8 + 1], left[depth / 16], right[2], right[3]);
      }
    }
  }
};

// Describes a tile as device/mma.cuh lays it out (the hardware calls it a swizzle of 128 bytes) from an address on. Groups of 8 rows
// are 1,024 bytes apart. `panels`: how far apart panels of 64 columns are, where the product runs along the rows. Addresses are
// counted in 16 bytes, in the lowest bits, so that a part further on is described by a sum.
__device__ __forceinline__ uint64_t describe(uint32_t address, uint32_t panels) {
  return (address & 0x3ffff) >> 4 | static_cast<uint64_t>(panels >> 4) << 16 | uint64_t{1024 >> 4} << 32 |
         uint64_t{1} << 62;
}

// The same products of warpgroups: warp w has rows 16 w on here too. They run from `begin` until waited for, in the order in
// which they were committed.
template <class T>
struct WarpgroupProducts {
  static constexpr bool kAvailable = kHasWarpgroups;
  static constexpr bool kRunBeside = true;
  __device__ __forceinline__ static void make_visible() { publish_copies(); }
  __device__ __forceinline__ static void begin() { warpgroup_begin(); }
  __device__ __forceinline__ static void commit() { warpgroup_commit(); }
  template <int kPending, int kBlocks>
  __device__ __forceinline__ static void wait(float (&sum)[kBlocks][4]) {
    warpgroup_wait<kPending>(sum);
  }

  template <int kRows, int kDepth, int kColumns>
  __device__ __forceinline__ static void multiply_transposed(Sum<kColumns>& sum, uint32_t a, uint32_t b) {
    // Equal in all threads of the warpgroup, and known to be.
    const auto warpgroup = static_cast<uint32_t>(__shfl_sync(kAllThreads, static_cast<int>(threadIdx.x) / 128, 0));
    const uint64_t left = describe(a + warpgroup * 64 * 128, 16), right = describe(b, 16);
#pragma unroll
    for (uint32_t depth = 0; depth < kDepth; depth += 16) {
      const uint32_t panel = depth / kPanel, inside = depth % kPanel * 2;
      warpgroup_multiply_transposed<T, kColumns>(sum, left + (panel * kRows * 128 + inside) / 16,
                                                 right + (panel * kColumns * 128 + inside) / 16, depth > 0);
    }
  }

  template <int kDepth, int kColumns>
  __device__ __forceinline__ static void multiply(Sum<kColumns>& sum, const Left<kDepth>& left, uint32_t b) {
    const uint64_t right = describe(b, kDepth * 128);
#pragma unroll
    for (uint32_t depth = 0; depth < kDepth; depth += 16) {
      warpgroup_multiply<T, kColumns>(sum, left[depth / 16], right + depth * 128 / 16);
    }
  }

  // sum = aᵀ · b over kDepth rows of tiles a [kDepth, 64] and b [kDepth, kColumns], all of it by one warpgroup.
  template <int kDepth, int kColumns>
  __device__ __forceinline__ static void multiply_rows(Sum<kColumns>& sum, uint32_t a, uint32_t b) {
    const uint64_t left = describe(a, kDepth * 128), right = describe(b, kDepth * 128);
#pragma unroll
    for (uint32_t depth = 0; depth < kDepth; depth += 16) {
      warpgroup_multiply_transposed<T, kColumns, true>(sum, left + depth * 128 / 16, right + depth * 128 / 16,
                                                       depth > 0);
    }
  }

  // Writes a left factor to rows of a tile of kRows rows, each warp its own.
  template <int kRows, int kColumns>
  __device__ __forceinline__ static void store_left(uint32_t tile, const Left<kColumns>& left) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
    for (int column = 0; column < kColumns; column += 16) {
      store_matrices(tile_address<kRows>(tile, warp * 16 + lane % 16, column + lane / 16 * 8), left[column / 16]);
    }
  }
};

}  // namespace hadal::cuda
