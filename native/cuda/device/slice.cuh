// Loading of tiles for products in plain arithmetic: by the tiled matrix product and the plain attention kernels.
#pragma once

#include "cuda/device/element.cuh"

namespace hadal::cuda {

// Tiles are made of kTile rows and columns, from slices of kSlice along the axis that is summed over, by blocks of kTileBlock
// threads. Thread i has the elements in rows i / 16 + 16 j and columns i % 16 + 16 j, so that neighbours read neighbours.
inline constexpr int kTile = 64, kSlice = 16, kTileBlock = 256;

// Floats are summed in Compute<E>; integers wrap, in unsigned arithmetic that is wide enough not to be promoted.
template <class E>
using SumOf =
    std::conditional_t<!std::is_integral_v<E>, Compute<E>, std::conditional_t<(sizeof(E) < 8), uint32_t, uint64_t>>;
template <class S>
using Slice = S[kTile + 4];  // the padding spreads a column over the banks

// to[i][j] = x[first + j][slice + i] of a matrix x of [size, k] with strides (stride, k_stride), 0 outside. kInner: neighbouring
// threads load along k, which lies side by side, else along the other axis.
template <bool kInner, class E>
__device__ __forceinline__ void load_slice(const E* x, int64_t first, int64_t size, int64_t stride, int64_t slice,
                                           int64_t k, int64_t k_stride, Slice<SumOf<E>>* to) {
#pragma unroll
  for (int i = 0; i < kTile * kSlice / kTileBlock; ++i) {
    const int at = static_cast<int>(threadIdx.x) + i * kTileBlock;
    const int place = kInner ? at / kSlice : at % kTile, depth = kInner ? at % kSlice : at / kTile;
    const bool inside = first + place < size && slice + depth < k;
    to[depth][place] =
        inside ? static_cast<SumOf<E>>(load_element(x[(first + place) * stride + (slice + depth) * k_stride]))
               : SumOf<E>(0);
  }
}
template <class E>
__device__ __forceinline__ void load_slice(const E* x, int64_t first, int64_t size, int64_t stride, int64_t slice,
                                           int64_t k, int64_t k_stride, Slice<SumOf<E>>* to) {
  if (k_stride == 1) load_slice<true>(x, first, size, stride, slice, k, k_stride, to);
  else load_slice<false>(x, first, size, stride, slice, k, k_stride, to);
}

// sums += aᵀ · b for two slices.
template <class S>
__device__ __forceinline__ void multiply_slices(const Slice<S>* a, const Slice<S>* b, S (&sums)[4][4]) {
  const int row = static_cast<int>(threadIdx.x) / 16, column = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int depth = 0; depth < kSlice; ++depth) {
    S left[4], right[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      left[i] = a[depth][row + 16 * i];
      right[i] = b[depth][column + 16 * i];
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[i][j] += left[i] * right[j];
    }
  }
}

// sums = a · bᵀ for a tile of kTile rows of a, from a_first on, and of b, over k columns. Synchronises the block, at the start too.
template <class E>
__device__ __forceinline__ void multiply_tiles(const E* a, int64_t a_first, int64_t a_rows, int64_t a_row,
                                               int64_t a_column, const E* b, int64_t b_first, int64_t b_rows,
                                               int64_t b_row, int64_t b_column, int64_t k, Slice<SumOf<E>>* a_slice,
                                               Slice<SumOf<E>>* b_slice, SumOf<E> (&sums)[4][4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) sums[i][j] = 0;
  }
  for (int64_t slice = 0; slice < k; slice += kSlice) {
    __syncthreads();  // the last slice may still be read
    load_slice(a, a_first, a_rows, a_row, slice, k, a_column, a_slice);
    load_slice(b, b_first, b_rows, b_row, slice, k, b_column, b_slice);
    __syncthreads();
    multiply_slices<SumOf<E>>(a_slice, b_slice, sums);
  }
}

}  // namespace hadal::cuda
