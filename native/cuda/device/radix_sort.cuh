// A stable sort of unsigned keys that carry values, least significant digit first, eight bits a pass. Each pass counts the digits
// of every tile, adds the counts up over the tiles, and moves each tile's elements, which it first orders by digit in shared
// memory so that it writes runs. Called by randperm, sort and the indexing kernels that combine what falls on one place.
#pragma once

#include <algorithm>
#include <string>

#include "cuda/cuda_context.h"
#include "cuda/device/reduce.cuh"

namespace hadal::cuda {

inline constexpr int kSortDigitBits = 8, kSortDigits = 1 << kSortDigitBits;
inline constexpr int kSortBlock = kSortDigits, kSortWarps = kSortBlock / kWarp;  // a thread for each digit
// Elements per thread. 16 make runs of 16 elements for each digit of evenly spread keys, 128 bytes of 64-bit keys. Of those, with
// 32-bit values, a tile takes 41 KiB of shared memory and a thread 128 registers: two tiles to a multiprocessor, 96 KiB.
inline constexpr int kSortItems = 16, kSortTile = kSortBlock * kSortItems;

// The sum of `value` over the threads before this one; every thread of a block of kSortBlock calls. Synchronises.
__device__ inline uint32_t sum_of_threads_before(uint32_t value) {
  __shared__ uint32_t warp_sums[kSortWarps];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  uint32_t inclusive = value;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint32_t below = __shfl_up_sync(kAllThreads, inclusive, distance);
    if (lane >= distance) inclusive += below;
  }
  __syncthreads();  // `warp_sums` may still be read from the last call
  if (lane == kWarp - 1) warp_sums[warp] = inclusive;
  __syncthreads();
  uint32_t before = inclusive - value;
  for (int i = 0; i < warp; ++i) before += warp_sums[i];
  return before;
}

// counts [digit][tile] = elements of the tile with that digit.
template <class Key>
__global__ void __launch_bounds__(kSortBlock)
    sort_count_kernel(const Key* keys, uint32_t count, int shift, uint32_t mask, uint32_t* counts) {
  __shared__ uint32_t found[kSortDigits];
  found[threadIdx.x] = 0;
  __syncthreads();
  const uint32_t base = blockIdx.x * kSortTile + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = base + i * kSortBlock;
    const bool inside = at < count;
    const uint32_t digit = inside ? static_cast<uint32_t>(keys[at] >> shift) & mask : kSortDigits;
    // One addition for all lanes with the same digit, so that equal keys cost no more than others.
    const unsigned peers = __match_any_sync(kAllThreads, digit);
    if (inside && __ffs(static_cast<int>(peers)) - 1 == static_cast<int>(threadIdx.x) % kWarp) {
      atomicAdd(&found[digit], static_cast<uint32_t>(__popc(peers)));
    }
  }
  __syncthreads();
  counts[static_cast<size_t>(threadIdx.x) * gridDim.x + blockIdx.x] = found[threadIdx.x];
}

// A block for each digit: its counts become sums over the tiles before, and totals[digit] their sum.
template <class Count>
__global__ void __launch_bounds__(kSortBlock) sort_scan_kernel(Count* counts, uint32_t tiles, Count* totals) {
  Count* row = counts + static_cast<size_t>(blockIdx.x) * tiles;
  __shared__ uint32_t chunk_total;
  uint32_t carry = 0;
  for (uint32_t first = 0; first < tiles; first += kSortBlock) {
    const uint32_t tile = first + threadIdx.x;
    const uint32_t value = tile < tiles ? row[tile] : 0;
    const uint32_t before = sum_of_threads_before(value);
    if (tile < tiles) row[tile] = carry + before;
    if (threadIdx.x == kSortBlock - 1) chunk_total = before + value;
    __syncthreads();
    carry += chunk_total;  // written again only after the synchronisations of the next sum
  }
  if (threadIdx.x == 0) totals[blockIdx.x] = carry;
}

template <class Key, class Value>
__global__ void __launch_bounds__(kSortBlock)
    sort_move_kernel(const Key* keys, const Value* values, Key* keys_out, Value* values_out, uint32_t count, int shift,
                     uint32_t mask, const uint32_t* counts, const uint32_t* totals) {
  __shared__ uint32_t places[kSortWarps][kSortDigits];
  __shared__ uint32_t targets[kSortDigits];
  constexpr size_t kWidest = sizeof(Key) > sizeof(Value) ? sizeof(Key) : sizeof(Value);
  __shared__ __align__(16) unsigned char staging[kSortTile * kWidest];
  Key* staged_keys = reinterpret_cast<Key*>(staging);
  Value* staged_values = reinterpret_cast<Value*>(staging);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const uint32_t first = blockIdx.x * kSortTile, here = min(count - first, static_cast<uint32_t>(kSortTile));

  for (int w = 0; w < kSortWarps; ++w) places[w][thread] = 0;
  __syncthreads();
  // A warp has kSortItems · 32 neighbours, an element of each 32 to a lane: by warp, round and lane they are in order. The rank of
  // an element among those of its warp with its digit is how many came in earlier rounds and in lower lanes.
  const uint32_t own = static_cast<uint32_t>(warp * kWarp * kSortItems + lane);
  Key key[kSortItems];
  uint32_t place[kSortItems];
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = own + i * kWarp;
    key[i] = at < here ? keys[first + at] : Key(0);
  }
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const bool inside = own + i * kWarp < here;
    const uint32_t digit = inside ? static_cast<uint32_t>(key[i] >> shift) & mask : kSortDigits;
    const unsigned peers = __match_any_sync(kAllThreads, digit);
    const uint32_t lower = static_cast<uint32_t>(__popc(peers & ((1u << lane) - 1)));
    const uint32_t earlier = inside ? places[warp][digit] : 0;
    __syncwarp();
    if (inside && lower == 0) places[warp][digit] = earlier + static_cast<uint32_t>(__popc(peers));
    __syncwarp();
    place[i] = earlier + lower;
  }
  __syncthreads();

  // This thread's digit: where its elements of each warp begin in the tile, and how far that is from where they go.
  uint32_t in_tile = 0;
  for (int w = 0; w < kSortWarps; ++w) {
    const uint32_t in_warp = places[w][thread];
    places[w][thread] = in_tile;
    in_tile += in_warp;
  }
  const uint32_t begin = sum_of_threads_before(in_tile);
  for (int w = 0; w < kSortWarps; ++w) places[w][thread] += begin;
  const uint32_t smaller = sum_of_threads_before(totals[thread]);
  targets[thread] = smaller + counts[static_cast<size_t>(thread) * gridDim.x + blockIdx.x] - begin;
  __syncthreads();

#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    if (own + i * kWarp >= here) continue;
    place[i] += places[warp][static_cast<uint32_t>(key[i] >> shift) & mask];
    staged_keys[place[i]] = key[i];
  }
  __syncthreads();
  uint32_t target[kSortItems];
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = static_cast<uint32_t>(thread + i * kSortBlock);
    if (at >= here) continue;
    const Key moved = staged_keys[at];
    target[i] = targets[static_cast<uint32_t>(moved >> shift) & mask] + at;
    keys_out[target[i]] = moved;
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = own + i * kWarp;
    if (at < here) staged_values[place[i]] = values[first + at];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = static_cast<uint32_t>(thread + i * kSortBlock);
    if (at < here) values_out[target[i]] = staged_values[at];
  }
}

// Keys with their values, and room for as many; after a sort the result is in keys and values, which may have changed places
// with the room.
template <class Key, class Value>
struct SortedPairs {
  Key* keys;
  Value* values;
  Key* other_keys;
  Value* other_values;
};
template <class Key, class Value>
SortedPairs<Key, Value> sort_scratch(CudaContext& ctx, int64_t count) {
  SortedPairs<Key, Value> pairs;
  pairs.keys = ctx.scratch<Key>(count);
  pairs.values = ctx.scratch<Value>(count);
  pairs.other_keys = ctx.scratch<Key>(count);
  pairs.other_values = ctx.scratch<Value>(count);
  return pairs;
}

inline void require_sortable(const Command& cmd, int64_t count) {
  if (count <= int64_t{UINT32_MAX} - kSortTile) return;
  throw Error(ErrorCode::kShape, std::string(cmd.name()) + ": too many elements to sort: got " + std::to_string(count) +
                                     ", expected fewer than 2^32");
}

// Ascending by the bits [0, bits) of the keys; equal ones keep their order.
template <class Key, class Value>
void radix_sort(CudaContext& ctx, const Command& cmd, SortedPairs<Key, Value>& pairs, int64_t count, int bits) {
  require_sortable(cmd, count);
  if (count <= 1) return;
  const unsigned tiles = blocks_for(count, kSortTile);
  uint32_t* counts = ctx.scratch<uint32_t>(static_cast<int64_t>(tiles) * kSortDigits);
  uint32_t* totals = ctx.scratch<uint32_t>(kSortDigits);
  for (int shift = 0; shift < bits; shift += kSortDigitBits) {
    const uint32_t mask = (1u << std::min(kSortDigitBits, bits - shift)) - 1;
    const uint32_t length = static_cast<uint32_t>(count);
    ctx.launch(cmd, sort_count_kernel<Key>, tiles, kSortBlock, 0, pairs.keys, length, shift, mask, counts);
    ctx.launch(cmd, sort_scan_kernel<uint32_t>, kSortDigits, kSortBlock, 0, counts, tiles, totals);
    ctx.launch(cmd, sort_move_kernel<Key, Value>, tiles, kSortBlock, 0, pairs.keys, pairs.values, pairs.other_keys,
               pairs.other_values, length, shift, mask, counts, totals);
    std::swap(pairs.keys, pairs.other_keys);
    std::swap(pairs.values, pairs.other_values);
  }
}

}  // namespace hadal::cuda
