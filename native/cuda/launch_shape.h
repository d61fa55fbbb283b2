// How reductions, rows and tiles are shared out to blocks and threads. Plain arithmetic on sizes, so that it is tested without a GPU
// (test/native/cuda/launch_test.cc). Called by the kernels of device/reduction.cuh, device/row.cuh and device/attention_tiles.cuh, most
// of it on their host side.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "runtime/half.h"

namespace hadal::cuda {

inline constexpr int kWarp = 32;

// --- Reductions --------------------------------------------------------------------------------------------------------

inline constexpr int kReductionBlock = 256;
// Blocks for each multiprocessor, unless fewer are known to run at once: 2,048 threads.
inline constexpr int kReductionBlocks = 8;
// Loads that a thread has in flight, of packs; more registers than 32 elements take cost occupancy.
template <int kPack>
inline constexpr int kReductionUnroll = kPack >= 8 ? 32 / kPack : 4;

// How a reduction is cut. Plain numbers, made on the host.
struct ReductionShape {
  bool by_rows;
  int lanes;       // threads side by side: of one output, or of neighbouring outputs
  int groups;      // such groups in a block
  int64_t blocks;  // that cover the outputs
  int64_t chunk;   // units (rows) or elements (columns) of each chunk
  int64_t chunks;
};
// `outputs` in units of packs where columns are packed, `reduced` in units of packs where rows are. About as many blocks as run at
// once, more where a thread would take more than `longest` of what is reduced.
inline ReductionShape shape_reduction(int64_t outputs, int64_t reduced, bool by_rows, int unroll,
                                      int64_t blocks_at_once, int64_t longest) {
  ReductionShape shape{};
  shape.by_rows = by_rows;
  const auto ceil_pow2 = [](int64_t n) {
    return static_cast<int>(std::bit_ceil(static_cast<uint64_t>(std::clamp<int64_t>(n, 1, kReductionBlock))));
  };
  int64_t per_step;  // of a block, along the reduced elements
  if (by_rows) {
    // A warp reads up to 8 units a lane; above, the synchronisation of a block costs less than its idle threads.
    shape.lanes = reduced > 8 * kWarp ? kReductionBlock : std::min(ceil_pow2(reduced), kWarp);
    shape.groups = kReductionBlock / shape.lanes;
    shape.blocks = (outputs + shape.groups - 1) / shape.groups;
    per_step = int64_t{shape.lanes} * unroll;
  } else {
    shape.lanes = std::min(ceil_pow2(outputs), kWarp);
    shape.groups = std::min(kReductionBlock / shape.lanes, ceil_pow2((reduced + unroll - 1) / unroll));
    shape.blocks = (outputs + shape.lanes - 1) / shape.lanes;
    per_step = int64_t{shape.groups} * unroll;
  }
  // Chunks take two steps at least, so that joining them is a small part; a grid has at most 65,535 of them.
  shape.chunks = std::clamp<int64_t>(blocks_at_once / std::max<int64_t>(shape.blocks, 1), 1,
                                     std::max<int64_t>(reduced / (2 * per_step), 1));
  const int64_t threads = by_rows ? shape.lanes : shape.groups;
  const int64_t needed = reduced / threads / longest + 1;
  shape.chunks = std::min<int64_t>(std::max(shape.chunks, needed), 65535);
  shape.chunk = (reduced + shape.chunks - 1) / shape.chunks;
  if (!by_rows) shape.chunk = (shape.chunk + unroll - 1) / unroll * unroll;
  shape.chunks = std::max<int64_t>(shape.chunk > 0 ? (reduced + shape.chunk - 1) / shape.chunk : 1, 1);
  return shape;
}

// --- Rows ----------------------------------------------------------------------------------------------------------------

// The threads of a row that is read once and kept in registers, `per_thread` units each. 0 lanes: it is too long.
struct RowShape {
  int lanes;       // threads of a row
  int rows;        // rows of a block, side by side
  int per_thread;  // units of each
};
// A warp keeps a row of up to 4 units a lane, and needs no barrier; else up to 1,024 threads share it.
inline RowShape shape_rows(int64_t units, int max_per_thread) {
  constexpr int kBlock = 128;
  if (units <= int64_t{kWarp} * max_per_thread) {
    const uint64_t needed = static_cast<uint64_t>((std::max<int64_t>(units, 1) + kWarp - 1) / kWarp);
    return {kWarp, kBlock / kWarp, static_cast<int>(std::bit_ceil(needed))};
  }
  if (units > int64_t{1024} * max_per_thread) return {0, 1, max_per_thread};
  const int64_t threads = (units + max_per_thread - 1) / max_per_thread;
  return {static_cast<int>((threads + kWarp - 1) / kWarp * kWarp), 1, max_per_thread};
}

// --- Tiles of heads ------------------------------------------------------------------------------------------------------

// The order of blocks that have a tile of a head's rows each, of which, under a causal mask, the last have most to do (of queries; of keys
// the first): longest first, so that short ones fill what is left in the end, but of so many heads at a time as the L2 cache holds
// the other side of.
struct TileOrder {
  int tiles, heads, images, at_once;

  // `heads` of each image. `bytes` are the rows that all tiles of a head pass over, which it shares with `sharing - 1` neighbours.
  static TileOrder of(int64_t tiles, int64_t heads, int64_t images, int64_t sharing, int64_t bytes, size_t l2_bytes) {
    // A third of the cache: results pass through it too, and one group ends while the next begins.
    const int64_t kept = static_cast<int64_t>(l2_bytes / 3) / std::max<int64_t>(bytes, 1);
    const int64_t at_once = std::clamp<int64_t>(kept * sharing, sharing, std::max(heads * images, sharing));
    return {static_cast<int>(tiles), static_cast<int>(heads), static_cast<int>(images), static_cast<int>(at_once)};
  }
  int64_t blocks() const { return int64_t{tiles} * heads * images; }
  // `tile` counts from the shortest.
  HADAL_HD void place(unsigned block, int& image, int& head, int& tile) const {
    const int first = static_cast<int>(block) / (tiles * at_once) * at_once;
    const int inside = static_cast<int>(block) - first * tiles, left = heads * images - first;
    const int here = at_once < left ? at_once : left;
    tile = tiles - 1 - inside / here;
    image = (first + inside % here) / heads;
    head = (first + inside % here) % heads;
  }
};

}  // namespace hadal::cuda
