// How a reduction walks its input: axes are merged, outputs are cut into tiles and the reduced axes into blocks of
// fixed size, and the blocks' partial results are merged pairwise. What is computed in a block is the Reducer's
// business, which sees only two-dimensional blocks with one contiguous side. Used by reduce.cc.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "runtime/dtype.h"
#include "runtime/kernel_context.h"
#include "runtime/tensor_view.h"

namespace hadal::cpu {

// Partial results of up to `pitch` outputs. A reducer keeps one or two numbers for each, in planes of `pitch` elements.
struct PartialState {
  std::byte* data;
  int64_t pitch;

  template <class T>
  T* first() const {
    return reinterpret_cast<T*>(data);
  }
  // The plane behind one of elements of type Before.
  template <class Before, class T>
  T* second() const {
    return reinterpret_cast<T*>(data + pitch * static_cast<int64_t>(sizeof(Before)));
  }
};

// A block of the input: `count` reduced elements for each of `width` outputs. `first` is the place of its first element
// among the reduced elements of an output. The strides are in elements.
struct ReduceBlock {
  const std::byte* x;
  int64_t output_stride;
  int64_t reduced_stride;
  int64_t width;
  int64_t count;
  int64_t first;
};

class Reducer {
 public:
  // `state_bytes` is the size of one output's partial result; `cost` weighs an element against one of a sum, and sets
  // how much work makes a task. `narrow_columns`: columns() is good at a few packed columns too.
  Reducer(int element_bytes, int state_bytes, int cost, bool narrow_columns = false)
      : element_bytes(element_bytes), state_bytes(state_bytes), cost(cost), narrow_columns(narrow_columns) {}
  // Block to state, written with `=`; count and width are at least 1. In rows the reduced stride is 1, in columns the
  // output stride.
  virtual void rows(const ReduceBlock& block, PartialState state) const = 0;
  virtual void columns(const ReduceBlock& block, PartialState state) const = 0;
  // The state of no elements.
  virtual void identity(int64_t width, PartialState state) const = 0;
  // Joins to `into` the elements that follow its own.
  virtual void merge(int64_t width, PartialState into, int64_t into_count, PartialState from,
                     int64_t from_count) const = 0;
  // Writes `width` results from element y_offset of the output on.
  virtual void finish(int64_t width, PartialState state, int64_t count, int64_t y_offset, int64_t y_stride) const = 0;

  const int element_bytes;
  const int state_bytes;
  const int cost;
  const bool narrow_columns;

 protected:
  ~Reducer() = default;
};

struct ReduceAxis {
  int64_t size = 1;
  int64_t x_stride = 0;
  int64_t y_stride = 0;
};

// The kept or the reduced axes, outermost first; there is always one. The last is cut into pieces by the driver.
struct ReduceAxes {
  int rank = 0;
  ReduceAxis axes[kMaxRank];

  const ReduceAxis& last() const { return axes[rank - 1]; }
  int64_t outer_count() const {
    int64_t count = 1;
    for (int axis = 0; axis < rank - 1; ++axis) count *= axes[axis].size;
    return count;
  }
  void append(ReduceAxis axis) {
    if (axis.size == 1 && rank > 0) return;
    if (rank > 0) {
      ReduceAxis& outer = axes[rank - 1];
      if (outer.size == 1) --rank;
      else if (outer.x_stride == axis.size * axis.x_stride && outer.y_stride == axis.size * axis.y_stride) {
        outer = {outer.size * axis.size, axis.x_stride, axis.y_stride};
        return;
      }
    }
    axes[rank++] = axis;
  }
};

// Pieces of `piece` elements of the last axis for every place on the outer ones, in row-major order.
class PieceWalker {
 public:
  PieceWalker(const ReduceAxes& axes, int64_t piece)
      : axes_(axes), piece_(piece), per_line_((axes.last().size + piece - 1) / piece) {}
  int64_t pieces() const { return axes_.outer_count() * per_line_; }
  void seek(int64_t index) {
    begin_ = index % per_line_ * piece_;
    line_ = index / per_line_;
    int64_t line = line_;
    x_line_ = y_line_ = 0;
    for (int axis = axes_.rank - 2; axis >= 0; --axis) {
      place_[axis] = line % axes_.axes[axis].size;
      line /= axes_.axes[axis].size;
      x_line_ += place_[axis] * axes_.axes[axis].x_stride;
      y_line_ += place_[axis] * axes_.axes[axis].y_stride;
    }
  }
  void next() {
    begin_ += piece_;
    if (begin_ < axes_.last().size) return;
    begin_ = 0;
    ++line_;
    for (int axis = axes_.rank - 2; axis >= 0; --axis) {
      const ReduceAxis& a = axes_.axes[axis];
      x_line_ += a.x_stride;
      y_line_ += a.y_stride;
      if (++place_[axis] < a.size) return;
      place_[axis] = 0;
      x_line_ -= a.size * a.x_stride;
      y_line_ -= a.size * a.y_stride;
    }
  }
  int64_t size() const { return std::min(piece_, axes_.last().size - begin_); }
  int64_t first() const { return line_ * axes_.last().size + begin_; }
  int64_t x_offset() const { return x_line_ + begin_ * axes_.last().x_stride; }
  int64_t y_offset() const { return y_line_ + begin_ * axes_.last().y_stride; }

 private:
  const ReduceAxes& axes_;
  int64_t piece_;
  int64_t per_line_;
  int64_t begin_ = 0;
  int64_t line_ = 0;
  int64_t x_line_ = 0;
  int64_t y_line_ = 0;
  int64_t place_[kMaxRank] = {};
};

class Reduction {
 public:
  static constexpr int64_t kColumnTile = 1024;  // the widest block that columns() gets

  // Reduces the axes along which y's size is 1 and x's is another. With `ordered`, reduced elements are visited in
  // row-major order, for reducers that care (argmax); otherwise in the order of their addresses.
  Reduction(const TensorView& x, const TensorView& y, const Reducer& reducer, bool ordered)
      : x_(x.data), reducer_(reducer) {
    int order[kMaxRank];
    int rank = 0;
    for (int axis = 0; axis < x.rank; ++axis) {
      if (x.shape[axis] != 1) order[rank++] = axis;
    }
    if (!ordered) {
      // Outermost first by stride; broadcast axes outermost, where they cost the inner loop nothing.
      const auto key = [&](int axis) { return static_cast<uint64_t>(x.strides[axis]) - 1; };
      std::stable_sort(order, order + rank, [&](int a, int b) { return key(a) > key(b); });
    }
    for (int i = 0; i < rank; ++i) {
      const int axis = order[i];
      const bool reduced = y.shape[axis] != x.shape[axis];
      (reduced ? reduced_ : kept_).append({x.shape[axis], x.strides[axis], reduced ? 0 : y.strides[axis]});
    }
    if (kept_.rank == 0) kept_.append({});
    if (reduced_.rank == 0) reduced_.append({});
    count_ = reduced_.outer_count() * reduced_.last().size;
    choose_blocks();
  }

  void run(KernelContext& ctx) const {
    const int64_t tiles = PieceWalker(kept_, width_).pieces();
    if (tiles == 0) return;
    const int64_t task_elements = kTaskElements / reducer_.cost;
    const int64_t tile_elements = width_ * std::max<int64_t>(count_, 1);
    if (tile_elements > task_elements && tiles < kEnoughTiles) return run_in_chunks(ctx, tiles, task_elements);

    const int64_t blocks = PieceWalker(reduced_, block_).pieces();
    ctx.parallel_ranges(tiles, task_elements / tile_elements, [&](int64_t begin, int64_t end) {
      TaskMemory memory(ctx, *this, blocks);
      PieceWalker tile(kept_, width_);
      tile.seek(begin);
      for (int64_t i = begin; i < end; ++i, tile.next()) {
        const PartialState state = memory.state(0);
        if (count_ == 0) reducer_.identity(tile.size(), state);
        else reduce_blocks(tile, 0, blocks, memory);
        reducer_.finish(tile.size(), state, count_, tile.y_offset(), kept_.last().y_stride);
      }
    });
  }

 private:
  // A task of 64 Ki elements takes 10 to 30 µs from the caches and memory, several times what handing it over costs.
  static constexpr int64_t kTaskElements = int64_t{1} << 16;
  // With this many tiles, whole tiles are tasks enough for any pool.
  static constexpr int64_t kEnoughTiles = 64;
  // A block of 4 Ki elements of a row stays in the L1 cache for reducers that read it twice.
  static constexpr int64_t kRowBlock = 4096;
  // Columns: tiles of up to kColumnTile outputs, blocks of 16 Ki elements, so that writing the state is a small part.
  static constexpr int64_t kColumnBlock = 16384;
  // States are padded to whole vectors of the smallest element type.
  static constexpr int64_t kPitchAlignment = 64;
  // Runs shorter than this are packed into columns first; see rows() of the reducers, which pay for starting a row.
  static constexpr int64_t kShortRun = 16;

  // Scratch of one task: a stack of states (one per level of the pairwise tree) and room to pack a block.
  struct TaskMemory {
    TaskMemory(KernelContext& ctx, const Reduction& r, int64_t blocks)
        : state_bytes(r.pitch_ * r.reducer_.state_bytes), pitch(r.pitch_) {
      const int64_t levels = std::bit_width(static_cast<uint64_t>(blocks)) + 1;
      const int64_t packed_bytes = r.packed_ ? r.width_ * r.block_ * r.reducer_.element_bytes : 0;
      states = ctx.thread_scratch<std::byte>(levels * state_bytes + packed_bytes);
      packed = states + levels * state_bytes;
    }
    PartialState state(int64_t level) const { return {states + level * state_bytes, pitch}; }

    int64_t state_bytes;
    int64_t pitch;
    std::byte* states;
    std::byte* packed;
  };

  void choose_blocks() {
    const ReduceAxis& run = reduced_.last();
    const ReduceAxis& line = kept_.last();
    const bool reads_rows = run.x_stride == 1 && (run.size >= kShortRun || line.size < kShortRun);
    const bool reads_columns = line.x_stride == 1 && !reads_rows &&
                               (line.size >= kShortRun || (reducer_.narrow_columns && run.x_stride == line.size));
    packed_ = !reads_rows && !reads_columns;
    by_rows_ =
        reads_rows || (packed_ && (line.size < kShortRun || (run.size >= kShortRun && run.x_stride <= line.x_stride)));
    if (by_rows_) {
      block_ = std::clamp<int64_t>(run.size, 1, kRowBlock);
      width_ = std::clamp<int64_t>(kRowBlock / block_, 1, 64);
      width_ = std::clamp<int64_t>(line.size, 1, width_);
    } else {
      // Equal tiles, in whole vectors.
      const int64_t tiles = std::max<int64_t>((line.size + kColumnTile - 1) / kColumnTile, 1);
      width_ =
          std::clamp<int64_t>(((line.size + tiles - 1) / tiles + 63) / 64 * 64, 1, std::max<int64_t>(line.size, 1));
      block_ = std::clamp<int64_t>(kColumnBlock / width_, 1, std::max<int64_t>(run.size, 1));
    }
    pitch_ = (width_ + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
  }

  // Reduces the blocks [begin, end) of a tile into the state at the bottom of the stack.
  void reduce_blocks(const PieceWalker& tile, int64_t begin, int64_t end, const TaskMemory& memory) const {
    int64_t counts[64];
    int64_t depth = 0;
    PieceWalker walker(reduced_, block_);
    walker.seek(begin);
    for (int64_t i = begin; i < end; ++i, walker.next()) {
      ReduceBlock block{x_ + (tile.x_offset() + walker.x_offset()) * reducer_.element_bytes,
                        kept_.last().x_stride,
                        reduced_.last().x_stride,
                        tile.size(),
                        walker.size(),
                        walker.first()};
      if (packed_) pack(block, memory.packed);
      if (by_rows_) reducer_.rows(block, memory.state(depth));
      else reducer_.columns(block, memory.state(depth));
      counts[depth++] = block.count;
      // As when counting in binary: block 2k + 1 completes a pair, every second pair a pair of pairs, and so on.
      for (int64_t pairs = i - begin + 1; (pairs & 1) == 0; pairs >>= 1) pop(tile.size(), memory, counts, depth);
    }
    while (depth > 1) pop(tile.size(), memory, counts, depth);
  }
  void pop(int64_t width, const TaskMemory& memory, int64_t* counts, int64_t& depth) const {
    --depth;
    reducer_.merge(width, memory.state(depth - 1), counts[depth - 1], memory.state(depth), counts[depth]);
    counts[depth - 1] += counts[depth];
  }

  // Copies a block in which no side is contiguous.
  void pack(ReduceBlock& block, std::byte* to) const {
    const int64_t output_step = by_rows_ ? block.count : 1;
    const int64_t reduced_step = by_rows_ ? 1 : block.width;
    const auto copy = [&]<class T>() {
      const T* from = reinterpret_cast<const T*>(block.x);
      T* packed = reinterpret_cast<T*>(to);
      // The loop over the smaller stride inside.
      if (block.reduced_stride <= block.output_stride) {
        for (int64_t o = 0; o < block.width; ++o) {
          for (int64_t r = 0; r < block.count; ++r) {
            packed[o * output_step + r * reduced_step] = from[o * block.output_stride + r * block.reduced_stride];
          }
        }
      } else {
        for (int64_t r = 0; r < block.count; ++r) {
          for (int64_t o = 0; o < block.width; ++o) {
            packed[o * output_step + r * reduced_step] = from[o * block.output_stride + r * block.reduced_stride];
          }
        }
      }
    };
    switch (reducer_.element_bytes) {
      case 8: copy.operator()<uint64_t>(); break;
      case 4: copy.operator()<uint32_t>(); break;
      case 2: copy.operator()<uint16_t>(); break;
      default: copy.operator()<uint8_t>(); break;
    }
    block.x = to;
    block.output_stride = output_step;
    block.reduced_stride = reduced_step;
  }

  // Few outputs of many elements: the blocks of each tile are cut into chunks, a task each, whose results are then
  // merged.
  void run_in_chunks(KernelContext& ctx, int64_t tiles, int64_t task_elements) const {
    const int64_t blocks = PieceWalker(reduced_, block_).pieces();
    const int64_t chunk = std::max<int64_t>(task_elements / (width_ * block_), 1);
    const int64_t chunks = (blocks + chunk - 1) / chunk;
    const int64_t state_bytes = pitch_ * reducer_.state_bytes;
    std::byte* states = ctx.scratch<std::byte>(tiles * chunks * state_bytes);
    int64_t* counts = ctx.scratch<int64_t>(chunks + 1);
    for (int64_t i = 0; i <= chunks; ++i) {
      PieceWalker walker(reduced_, block_);
      const int64_t start = i * chunk;
      if (start < blocks) walker.seek(start);
      counts[i] = start < blocks ? walker.first() : count_;
    }
    const auto state_of = [&](int64_t tile, int64_t i) {
      return PartialState{states + (tile * chunks + i) * state_bytes, pitch_};
    };
    ctx.parallel(tiles * chunks, [&](int64_t task) {
      TaskMemory memory(ctx, *this, chunk);
      PieceWalker tile(kept_, width_);
      tile.seek(task / chunks);
      const int64_t i = task % chunks;
      reduce_blocks(tile, i * chunk, std::min(blocks, (i + 1) * chunk), memory);
      std::memcpy(state_of(task / chunks, i).data, memory.state(0).data, static_cast<size_t>(state_bytes));
    });
    const int64_t merges_per_task = std::max<int64_t>(kTaskElements / (chunks * width_), 1);
    ctx.parallel_ranges(tiles, merges_per_task, [&](int64_t begin, int64_t end) {
      PieceWalker tile(kept_, width_);
      tile.seek(begin);
      for (int64_t t = begin; t < end; ++t, tile.next()) {
        for (int64_t step = 1; step < chunks; step *= 2) {
          for (int64_t i = 0; i + step < chunks; i += 2 * step) {
            const int64_t middle = counts[i + step];
            const int64_t end_count = counts[std::min(chunks, i + 2 * step)];
            reducer_.merge(tile.size(), state_of(t, i), middle - counts[i], state_of(t, i + step), end_count - middle);
          }
        }
        reducer_.finish(tile.size(), state_of(t, 0), count_, tile.y_offset(), kept_.last().y_stride);
      }
    });
  }

  const std::byte* x_;
  const Reducer& reducer_;
  ReduceAxes kept_;
  ReduceAxes reduced_;
  int64_t count_ = 1;     // reduced elements of one output
  int64_t width_ = 1;     // outputs of a tile
  int64_t block_ = 1;     // reduced elements of a block
  int64_t pitch_ = 0;     // of a state: the width, padded
  bool by_rows_ = false;  // blocks are given to rows(), otherwise to columns()
  bool packed_ = false;   // blocks are copied first
};

}  // namespace hadal::cpu
