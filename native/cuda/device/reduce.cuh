// Reductions over the threads of a warp and of a block, and the same value for all of them. Every thread of the block calls.
// Values are numbers or plain structs of them.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/launch_shape.h"

namespace hadal::cuda {

inline constexpr unsigned kAllThreads = 0xffffffffu;

// The value as 32-bit words, each passed through move(word).
template <class T, class F>
__device__ __forceinline__ T shuffle(const T& value, F&& move) {
  uint32_t words[(sizeof(T) + 3) / 4] = {};
  memcpy(words, &value, sizeof(T));
#pragma unroll
  for (uint32_t& word : words) word = move(word);
  T moved;
  memcpy(&moved, words, sizeof(T));
  return moved;
}

// combine(a, b) over the warp, or over each `lanes` neighbours (a power of two), the same for all of these threads: an exchange
// pattern, so in a fixed order.
template <class T, class F>
__device__ __forceinline__ T warp_reduce(T value, F&& combine, int lanes = kWarp) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    if (distance >= lanes) continue;
    value = combine(value, shuffle(value, [&](uint32_t w) { return __shfl_xor_sync(kAllThreads, w, distance); }));
  }
  return value;
}

// The same over the block, of at most 1024 threads and a multiple of 32. Synchronises; the result is in all threads.
template <class T, class F>
__device__ __forceinline__ T block_reduce(T value, T identity, F&& combine) {
  __shared__ T partial[kWarp];
  const int thread = static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  const int warps = static_cast<int>(blockDim.x * blockDim.y * blockDim.z) / kWarp;
  value = warp_reduce(value, combine);
  __syncthreads();  // `partial` may still be read from the last call
  if (thread % kWarp == 0) partial[thread / kWarp] = value;
  __syncthreads();
  value = thread % kWarp < warps ? partial[thread % kWarp] : identity;
  return warp_reduce(value, combine);
}

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN wins.
struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a != a || a > b ? a : b;
  }
};
struct Smaller {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a != a || a < b ? a : b;
  }
};

}  // namespace hadal::cuda
