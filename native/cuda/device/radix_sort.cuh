// A stable sort of unsigned keys that carry values, least significant digit first, eight bits a pass. The digits of all passes are
// counted at once. A pass reads and writes each element once (Adinarayan and Merrill, 2022, Onesweep): a block counts the digits of a
// tile and tells, learns from blocks with earlier tiles how many lie before, and moves its elements, which it first orders by digit in
// shared memory so that it writes runs. Called by randperm, sort and the indexing kernels that combine what falls on one place.
#pragma once

#include <algorithm>
#include <string>

#include "cuda/cuda_context.h"
#include "cuda/device/instructions.cuh"
#include "cuda/device/reduce.cuh"

namespace hadal::cuda {

inline constexpr int kSortDigitBits = 8, kSortDigits = 1 << kSortDigitBits;
inline constexpr int kSortBlock = kSortDigits, kSortWarps = kSortBlock / kWarp;  // a thread for each digit
// Elements per thread. 16 make runs of 16 elements for each digit of evenly spread keys, 128 bytes of 64-bit keys. Of 32-bit ones, a
// tile takes 41 KiB of shared memory, with values, and a thread 64 registers: four tiles to a multiprocessor.
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

// A number of elements of one digit with a mark, in one word. Marks grow from pass to pass, so that what earlier ones left counts as nothing.
inline constexpr int kSortMarkBits = 8;
__device__ __forceinline__ uint64_t marked_count(uint32_t count, uint32_t mark) {
  return static_cast<uint64_t>(count) << kSortMarkBits | mark;
}

// What the blocks of a sort share, all 0 at first.
struct SortCounts {
  uint64_t*
      tiles;  // [tile][digit], marked: 2 pass + 1 for the tile's own, 2 pass + 2 with those of all tiles before it
  uint32_t* totals;   // [pass][digit]
  uint32_t* tickets;  // [pass]: tiles that have been taken
};

// totals [pass][digit] += keys with that digit. Additions to one word wait for each other, and keys often agree in a digit (floats in most of
// their exponent): neighbouring threads count in copies of their own, in 32 KiB.
template <class Key>
__global__ void __launch_bounds__(kSortBlock)
    sort_count_kernel(const Key* keys, uint32_t count, int passes, Key mask, uint32_t* totals) {
  constexpr int kPasses = static_cast<int>(sizeof(Key)), kCopies = 32 / kPasses;
  __shared__ uint32_t found[kCopies][kPasses][kSortDigits];
  const unsigned copy = threadIdx.x % kCopies;
#pragma unroll
  for (auto& of_copy : found) {
#pragma unroll
    for (auto& of_pass : of_copy) of_pass[threadIdx.x] = 0;
  }
  __syncthreads();
  for (uint32_t tile = blockIdx.x * kSortTile; tile < count; tile += gridDim.x * kSortTile) {
    const uint32_t here = min(count - tile, static_cast<uint32_t>(kSortTile));
    Key key[kSortItems];
#pragma unroll
    for (int i = 0; i < kSortItems; ++i) {
      const uint32_t at = threadIdx.x + i * kSortBlock;
      key[i] = at < here ? keys[tile + at] & mask : Key(0);
    }
#pragma unroll
    for (int i = 0; i < kSortItems; ++i) {
      if (threadIdx.x + i * kSortBlock >= here) break;
#pragma unroll
      for (int pass = 0; pass < kPasses; ++pass) {
        if (pass >= passes) break;
        atomicAdd(&found[copy][pass][static_cast<uint32_t>(key[i] >> (pass * kSortDigitBits)) % kSortDigits], 1u);
      }
    }
  }
  __syncthreads();
  for (int pass = 0; pass < passes; ++pass) {
    uint32_t sum = 0;
#pragma unroll
    for (const auto& of_copy : found) sum += of_copy[pass][threadIdx.x];
    if (sum > 0) atomicAdd(&totals[pass * kSortDigits + threadIdx.x], sum);
  }
}

// The lanes of the warp with the same digit, by votes: these take less time than __match_any_sync.
__device__ __forceinline__ unsigned lanes_with(uint32_t digit) {
  unsigned peers = kAllThreads;
#pragma unroll
  for (int bit = 0; bit < kSortDigitBits; ++bit) {
    const bool set = (digit >> bit & 1u) != 0;
    const unsigned vote = __ballot_sync(kAllThreads, set);
    peers &= set ? vote : ~vote;
  }
  return peers;
}

// How many elements with this thread's digit lie in the tiles before, which have been taken earlier, so that they come to tell: those
// nearest first, up to one that knows of all before it.
__device__ inline uint32_t count_before(const uint64_t* tiles, uint32_t tile, uint32_t mark) {
  constexpr uint32_t kAtOnce = 4;
  uint32_t before = 0;
  for (bool complete = tile == 0; !complete;) {
    uint64_t words[kAtOnce];
#pragma unroll
    for (uint32_t i = 0; i < kAtOnce; ++i) {
      const uint32_t earlier = tile > i ? tile - 1 - i : 0;
      words[i] = load_relaxed(tiles + static_cast<size_t>(earlier) * kSortDigits + threadIdx.x);
    }
#pragma unroll
    for (uint32_t i = 0; i < kAtOnce; ++i) {
      const uint32_t found = static_cast<uint32_t>(words[i]) % (1u << kSortMarkBits);
      if (complete || found < mark) break;
      before += static_cast<uint32_t>(words[i] >> kSortMarkBits);
      complete = found > mark;
      --tile;
    }
  }
  return before;
}

// Starts to copy what there is of a tile to shared memory.
template <class T>
__device__ __forceinline__ void copy_sort_tile(T* to, const T* from, uint32_t here) {
  constexpr uint32_t kPiece = sizeof(uint4) / sizeof(T);
#pragma unroll
  for (uint32_t i = 0; i < kSortTile / kPiece; i += kSortBlock) {
    const uint32_t at = (i + threadIdx.x) * kPiece;
    if (at >= here) break;
    copy_part_async(static_cast<uint32_t>(__cvta_generic_to_shared(to + at)), from + at,
                    static_cast<int>(min(here - at, kPiece) * sizeof(T)));
  }
}

// Takes elements in the order of a pass: how many come before, then what they are.
template <class Key, class Value>
struct PairWriter {
  Key* keys;
  Value* values;

  __device__ __forceinline__ void operator()(uint32_t place, Key key, Value value) const {
    keys[place] = key;
    values[place] = value;
  }
};

// Blocks take tiles in order as they start. `values` null: elements are numbered.
template <class Key, class Value, class Writer>
__global__ void __launch_bounds__(kSortBlock, sizeof(Key) == 8 ? 3 : 4)
    sort_move_kernel(const Key* keys, const Value* values, Writer write, uint32_t count, int pass, uint32_t mask,
                     SortCounts counts) {
  __shared__ uint32_t places[kSortWarps][kSortDigits];
  __shared__ uint32_t targets[kSortDigits];
  __shared__ uint32_t ticket;
  extern __shared__ uint4 staging[];  // the tile's values and keys: first as they come, then by digit
  Value* staged_values = reinterpret_cast<Value*>(staging);
  Key* staged_keys = reinterpret_cast<Key*>(staged_values + kSortTile);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const int shift = pass * kSortDigitBits;
  const uint32_t mark = 2 * static_cast<uint32_t>(pass) + 1;

  if (thread == 0) ticket = atomicAdd(&counts.tickets[pass], 1u);
  for (int w = 0; w < kSortWarps; ++w) places[w][thread] = 0;
  __syncthreads();
  const uint32_t tile = ticket, first = tile * kSortTile, here = min(count - first, static_cast<uint32_t>(kSortTile));
  copy_sort_tile(staged_keys, keys + first, here);
  copies_commit();
  if (values != nullptr) copy_sort_tile(staged_values, values + first, here);
  copies_commit();
  const uint32_t total = counts.totals[pass * kSortDigits + thread];
  copies_wait<1>();
  __syncthreads();
  // A warp has kSortItems · 32 neighbours, an element of each 32 to a lane: by warp, round and lane they are in order. The rank of
  // an element among those of its warp with its digit is how many came in earlier rounds and in lower lanes. What lies beyond the
  // last element has the last digit, and comes after all others.
  const uint32_t own = static_cast<uint32_t>(warp * kWarp * kSortItems + lane);
  const auto key_at = [&](int i) {
    const uint32_t at = own + i * kWarp;
    return at < here ? staged_keys[at] : static_cast<Key>(~Key(0));
  };
  const auto digit_of = [&](Key k) { return static_cast<uint32_t>(k >> shift) & mask; };
  uint32_t place[kSortItems];
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t digit = digit_of(key_at(i));
    const unsigned peers = lanes_with(digit);
    const uint32_t lower = static_cast<uint32_t>(__popc(peers & ((1u << lane) - 1)));
    const uint32_t earlier = places[warp][digit];
    __syncwarp();
    if (lower == 0) places[warp][digit] = earlier + static_cast<uint32_t>(__popc(peers));
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
  uint64_t* told = counts.tiles + static_cast<size_t>(tile) * kSortDigits + thread;
  if (tile > 0) store_relaxed(told, marked_count(in_tile, mark));
  const uint32_t begin = sum_of_threads_before(in_tile);
  for (int w = 0; w < kSortWarps; ++w) places[w][thread] += begin;
  const uint32_t smaller = sum_of_threads_before(total);
  const uint32_t before = count_before(counts.tiles, tile, mark);
  store_relaxed(told, marked_count(before + in_tile, mark + 1));
  targets[thread] = smaller + before - begin;
  copies_wait();
  __syncthreads();

  Key key[kSortItems];
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    key[i] = key_at(i);
    place[i] += places[warp][digit_of(key[i])];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) staged_keys[place[i]] = key[i];
  Value value[kSortItems];
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = own + i * kWarp;
    value[i] = values != nullptr ? staged_values[at] : static_cast<Value>(first + at);
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) staged_values[place[i]] = value[i];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSortItems; ++i) {
    const uint32_t at = static_cast<uint32_t>(thread + i * kSortBlock);
    if (at >= here) break;
    const Key moved = staged_keys[at];
    write(targets[digit_of(moved)] + at, moved, staged_values[at]);
  }
}

static __global__ void __launch_bounds__(kSortBlock) sort_start_kernel(SortCounts counts, int passes) {
  const uint32_t thread = blockIdx.x * kSortBlock + threadIdx.x;
  counts.tiles[thread] = 0;
  if (blockIdx.x < static_cast<uint32_t>(passes)) counts.totals[thread] = 0;
  if (thread < static_cast<uint32_t>(passes)) counts.tickets[thread] = 0;
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

// Ascending by the bits [0, bits) of the keys; equal ones keep their order. `numbered`: the values are 0, 1, …, wherever they come from.
// `last`: takes the result, which the pairs then do not have.
template <class Key, class Value, class Writer = PairWriter<Key, Value>>
void radix_sort(CudaContext& ctx, const Command& cmd, SortedPairs<Key, Value>& pairs, int64_t count, int bits,
                bool numbered = false, const Writer* last = nullptr) {
  require_sortable(cmd, count);
  if (count <= (numbered || last != nullptr ? 0 : 1)) return;
  const int passes = (bits + kSortDigitBits - 1) / kSortDigitBits;
  const unsigned tiles = blocks_for(count, kSortTile), length = static_cast<unsigned>(count);
  const Key bits_mask = static_cast<Key>(~Key(0)) >> (8 * static_cast<int>(sizeof(Key)) - bits);
  SortCounts counts;
  counts.tiles =
      ctx.scratch<uint64_t>(static_cast<int64_t>(std::max(tiles, static_cast<unsigned>(passes))) * kSortDigits);
  counts.totals = ctx.scratch<uint32_t>(passes * kSortDigits);
  counts.tickets = ctx.scratch<uint32_t>(passes);
  ctx.launch(cmd, sort_start_kernel, std::max(tiles, static_cast<unsigned>(passes)), kSortBlock, 0, counts, passes);
  ctx.launch(cmd, sort_count_kernel<Key>, blocks_for_loop(ctx, count, kSortTile, 4), kSortBlock, 0, pairs.keys, length,
             passes, bits_mask, counts.totals);
  for (int pass = 0; pass < passes; ++pass) {
    const uint32_t mask = (1u << std::min(kSortDigitBits, bits - pass * kSortDigitBits)) - 1;
    const Value* values = numbered && pass == 0 ? nullptr : pairs.values;
    const auto move = [&]<class W>(const W& write) {
      ctx.launch(cmd, sort_move_kernel<Key, Value, W>, tiles, kSortBlock, kSortTile * (sizeof(Key) + sizeof(Value)),
                 pairs.keys, values, write, length, pass, mask, counts);
    };
    if (last != nullptr && pass == passes - 1) return move(*last);
    move(PairWriter<Key, Value>{pairs.other_keys, pairs.other_values});
    std::swap(pairs.keys, pairs.other_keys);
    std::swap(pairs.values, pairs.other_values);
  }
}

}  // namespace hadal::cuda
