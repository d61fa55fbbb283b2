// One layer of a recurrent network in one direction, over all its time steps, and its gradient. The products of the inputs come in
// ready (one matrix product for all steps); here, step by step, the product of the last state is added and the gates are computed
// while their sums are in cache. The recurrent weight is packed once. Sequences do not depend on each other: where there are many
// and the weight fits a core's cache, a task takes some of them through all steps. Else a step is one parallel loop over blocks of
// hidden units: a task holds all gates of its units, so that only steps wait for each other. 16-bit floats compute in float.
#include "kernels/recurrent.h"

#include <algorithm>
#include <bit>
#include <string>

#include "cpu/gemm_pack.h"
#include "cpu/gemm_tile.h"
#include "cpu/rows.h"
#include "kernels/math.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// The widest block of units. With a panel of a gate as wide as a register tile a task needs the fewest loads; where it is only a block of a step,
// two vectors beside up to 14 rows of the batch make more blocks, of more equal size.
template <class C>
constexpr int64_t kBlock = std::min(kMaxVectors, 3) * kLanes<C>;
template <class C>
constexpr int64_t kStepBlock = 2 * kLanes<C>;
// Multiply-adds of a task, some 10 µs: below that a step's blocks share tasks.
constexpr int64_t kTaskWork = int64_t{1} << 19;

// Sequences of a task, at least: enough rows for a tile to hide the latency of its sums.
constexpr int64_t kGroupRows = 8;
// The largest weight that stays in a core's cache beside the operands of a step.
constexpr int64_t kCachedWeight = int64_t{1} << 20;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many steps each sequence has.
class Lengths {
 public:
  Lengths(const Command& cmd, const TensorView& view, int64_t steps) : view_(view), steps_(steps) {
    if (!view.present()) return;
    for (int64_t row = 0; row < view.shape[0]; ++row) {
      const int64_t length = (*this)[row];
      if (length >= 0 && length <= steps) continue;
      throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": length " + std::to_string(length) + " at position " +
                                         std::to_string(row) + " out of range for " + std::to_string(steps) + " steps");
    }
  }
  int64_t operator[](int64_t row) const {
    if (!view_.present()) return steps_;
    const int64_t at = row * view_.strides[0];
    return view_.dtype == DType::kInt64 ? view_.as<int64_t>()[at] : view_.as<int32_t>()[at];
  }

 private:
  const TensorView& view_;
  int64_t steps_;
};

// What the next step reads and writes, fetched piece by piece between the products of this one: a single core that only waits for memory gets a
// fraction of what it gives.
class Ahead {
 public:
  void add(const void* from, int64_t bytes) {
    ranges_[count_++] = {static_cast<const char*>(from), static_cast<const char*>(from) + bytes};
    bytes_ += bytes;
  }
  void add(const TensorView& view, int64_t t, int64_t row, int64_t rows) {
    const int64_t size = static_cast<int64_t>(size_of(view.dtype));
    if (view.strides[1] != view.shape[2]) return;
    add(view.data + (t * view.strides[0] + row * view.strides[1]) * size, rows * view.shape[2] * size);
  }
  void cut(int64_t pieces) { piece_ = ceil_div(bytes_, pieces); }
  template <class C>
  void give(Tile<C>& tile) {
    if (at_ == count_) return;
    auto& [begin, end] = ranges_[at_];
    tile.fetch = begin;
    begin = std::min(begin + piece_, end);
    if (begin == end) ++at_;
  }

 private:
  struct Range {
    const char* begin;
    const char* end;
  };
  Range ranges_[5] = {};
  int count_ = 0;
  int at_ = 0;
  int64_t bytes_ = 0;
  int64_t piece_ = 0;
};

// A matrix cut into panels of columns, [k][width] each, as the tiles read them.
template <class C>
class Panels {
 public:
  // `count` panels of `k` steps in memory of ctx.
  Panels(KernelContext& ctx, int64_t count, int64_t k)
      : k_(k), stride_(k * kBlock<C>), data_(ctx.scratch<C>(count * stride_ + kPackSlack)) {}
  template <class T>
  void fill(int64_t panel, const T* from, int64_t lane_stride, int64_t step, int64_t columns) {
    const int64_t width = ceil_div(columns, kLanes<C>) * kLanes<C>;
    pack(from, lane_stride, step, columns, width, k_, data_ + panel * stride_, width);
  }
  // c[r, 0 … columns) = or += a[r, :] · panel for all rows; a is packed along k.
  void multiply(int64_t panel, const C* a, int64_t a_row, int64_t rows, int64_t columns, C* c, int64_t c_row,
                Start start, Ahead& ahead) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int vectors = static_cast<int>(ceil_div(columns, kLanes<C>));
    const int64_t strips = ceil_div(rows, max_rows(vectors));
    Tile<C> tile;
    tile.k = k_;
    tile.a_row = a_row;
    tile.a_step = 1;
    tile.b = data_ + panel * stride_;
    tile.b_step = vectors * kLanes<C>;
    tile.c_row = c_row;
    tile.columns = static_cast<int>(columns);
    tile.start = start;
    for (int64_t strip = 0; strip < strips; ++strip) {
      const int64_t begin = rows * strip / strips, end = rows * (strip + 1) / strips;
      tile.a = a + begin * a_row;
      tile.c = c + begin * c_row;
      ahead.give(tile);
      tile_kernel<C>(static_cast<int>(end - begin), vectors, false)(tile);
    }
  }

 private:
  int64_t k_;
  int64_t stride_;
  C* data_;
};

// Copies rows [rows, size] between tensors of different types and layouts.
template <class To, class From>
void copy_rows(To* to, int64_t to_row, int64_t to_stride, const From* from, int64_t from_row, int64_t from_stride,
               int64_t rows, int64_t size) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < size; ++i) {
      to[r * to_row + i * to_stride] =
          static_cast<To>(static_cast<Compute<From>>(from[r * from_row + i * from_stride]));
    }
  }
}
template <class C, class T>
C* packed_rows(KernelContext& ctx, const TensorView& view, int64_t rows, int64_t size) {
  C* packed = ctx.scratch<C>(rows * size);
  if (!view.present()) {
    std::fill(packed, packed + rows * size, C(0));
  } else {
    copy_rows(packed, size, 1, view.as<T>(), view.strides[0], view.strides[1], rows, size);
  }
  return packed;
}
template <class T, class C>
void write_rows(const TensorView& view, const C* from, int64_t rows, int64_t size) {
  copy_rows(view.as<T>(), view.strides[0], view.strides[1], from, size, 1, rows, size);
}

// The sizes of a layer and the order of its steps.
struct Layer {
  int64_t steps;
  int64_t rows;
  int64_t units;
  int64_t block;  // units of a block
  int64_t blocks;
  bool reverse;
  int64_t groups;  // of sequences that go through all steps by themselves; 1: steps are cut into blocks of units
  int64_t time(int64_t step) const { return reverse ? steps - 1 - step : step; }
};
template <class C>
Layer layer_of(const TensorView& y, bool reverse, int gates) {
  const int64_t rows = y.shape[1], units = y.shape[2];
  const bool cached = gates * units * units * static_cast<int64_t>(sizeof(C)) <= kCachedWeight;
  const int64_t groups = cached ? static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(rows / kGroupRows))) : 1;
  const int64_t block = groups > 1 ? kBlock<C> : kStepBlock<C>;
  return {y.shape[0], rows, units, block, ceil_div(units, block), reverse, groups};
}
template <class F>
void each_block(KernelContext& ctx, const Layer& layer, int gates, F&& body) {
  const int64_t work = std::max<int64_t>(1, layer.rows * layer.units * gates * layer.block);
  ctx.parallel_ranges(layer.blocks, kTaskWork / work, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t unit = block * layer.block;
      body(block, unit, std::min(layer.block, layer.units - unit));
    }
  });
}

struct Rows {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};
// body(step, rows, block, unit, count, ahead) for every step in order, or backwards, and every block of units, whose `count` begin with `unit`.
// operands(ahead, step, rows) names what a step needs.
template <class F, class G>
void each_step(KernelContext& ctx, const Layer& layer, int gates, bool backwards, F&& body, G&& operands) {
  const auto step_at = [&](int64_t i) { return backwards ? layer.steps - 1 - i : i; };
  if (layer.groups > 1) {
    return ctx.parallel(layer.groups, [&](int64_t group) {
      const Rows rows{layer.rows * group / layer.groups, layer.rows * (group + 1) / layer.groups};
      for (int64_t i = 0; i < layer.steps; ++i) {
        Ahead ahead;
        if (i + 1 < layer.steps) operands(ahead, step_at(i + 1), rows);
        ahead.cut(layer.blocks * (backwards ? 1 : gates));
        for (int64_t block = 0; block < layer.blocks; ++block) {
          const int64_t unit = block * layer.block;
          body(step_at(i), rows, block, unit, std::min(layer.block, layer.units - unit), ahead);
        }
      }
    });
  }
  for (int64_t i = 0; i < layer.steps; ++i) {
    each_block(ctx, layer, gates, [&](int64_t block, int64_t unit, int64_t count) {
      Ahead nothing;
      body(step_at(i), Rows{0, layer.rows}, block, unit, count, nothing);
    });
  }
}

// tanh, relu: h = f(x + W h).
// gru:  r = σ(x_r + W_r h), z = σ(x_z + W_z h), n = tanh(x_n + r (W_n h + b_n)), h = (1 − z) n + z h.
// lstm: c = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c).
// Past its length a sequence keeps its state, and y is zero. Gates and cells are saved as [t, b, saved · h] and [t, b, h].
template <class T, Cell kCell>
void recurrent(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kGates = gates_of(kCell), kSaved = saved_of(kCell);
  const TensorView &x = cmd.input(0), &weight = cmd.input(1), &bias = cmd.input(2), &y = cmd.output(0);
  const Layer layer = layer_of<C>(y, cmd.flag(1), kGates);
  const int64_t rows = layer.rows, units = layer.units;
  if (rows == 0) return;
  const Lengths lengths(cmd, cmd.input(5), layer.steps);
  C* states[2] = {packed_rows<C, T>(ctx, cmd.input(3), rows, units), ctx.scratch<C>(rows * units)};
  const C* first_cells = kCell == Cell::kLstm ? packed_rows<C, T>(ctx, cmd.input(4), rows, units) : nullptr;
  C* shift = ctx.scratch<C>(kGates * units);
  if (bias.present()) gather(shift, bias.as<T>(), bias.strides[0], kGates * units);
  else std::fill(shift, shift + kGates * units, C(0));
  Panels<C> panels(ctx, layer.blocks * kGates, units);
  each_block(ctx, layer, kGates, [&](int64_t block, int64_t unit, int64_t count) {
    for (int gate = 0; gate < kGates; ++gate) {
      panels.fill(block * kGates + gate, weight.as<T>() + (gate * units + unit) * weight.strides[0], weight.strides[0],
                  weight.strides[1], count);
    }
  });

  C* const saved = cmd.output(3).as<C>();
  C* const cells = cmd.output(4).as<C>();
  const auto run_block = [&](int64_t step, Rows part, int64_t block, int64_t unit, int64_t count, Ahead& ahead) {
    const int64_t t = layer.time(step);
    const C* before = states[step % 2];
    C* after = states[(step + 1) % 2];
    const C* cells_before = step == 0 ? first_cells : cells + layer.time(step - 1) * rows * units;
    // The state's part of the sums, [rows][gate][kBlock]: where the gates are kept, rows may lie whole pages apart.
    constexpr int64_t kRow = kGates * kBlock<C>;
    C* const products = ctx.thread_scratch<C>(part.count() * kRow);
    for (int gate = 0; gate < kGates; ++gate) {
      panels.multiply(block * kGates + gate, before + part.begin * units, units, part.count(), count,
                      products + gate * kBlock<C>, kRow, Start::kZero, ahead);
    }
    for (int64_t r = part.begin; r < part.end; ++r) {
      const int64_t at = r * units + unit;
      T* out = y.as<T>() + t * y.strides[0] + r * y.strides[1] + unit;
      C* cell = kCell == Cell::kLstm ? cells + t * rows * units + at : nullptr;
      if (t >= lengths[r]) {
        std::fill(out, out + count, T(0));
        std::copy_n(before + at, count, after + at);
        if (kCell == Cell::kLstm) std::copy_n(cells_before + at, count, cell);
        continue;
      }
      const T* from = x.as<T>() + t * x.strides[0] + r * x.strides[1] + unit;
      const C* state = products + (r - part.begin) * kRow;
      C* gates = saved + (t * rows + r) * kSaved * units + unit;
      each_vector<C>(count, [&](int64_t i, auto part, auto) {
        const auto input_part = [&](int slot) { return Vec<C>(load(from + slot * units + i, part)); };
        const auto state_part = [&](int slot) {
          return Vec<C>(load(state + slot * kBlock<C> + i) + load(shift + slot * units + unit + i, part));
        };
        const auto gate = [&](int slot) { return input_part(slot) + state_part(slot); };
        const auto keep = [&](int slot, Vec<C> value) { store(gates + slot * units + i, value, part); };
        Vec<C> h;
        if constexpr (kCell == Cell::kTanh || kCell == Cell::kRelu) {
          const Vec<C> p = gate(0);
          h = kCell == Cell::kTanh ? math::tanh(p) : (p < C(0) ? Vec<C>{} : p);
          keep(0, h);
        } else if constexpr (kCell == Cell::kGru) {
          const Vec<C> reset = math::sigmoid(gate(0)), update = math::sigmoid(gate(1));
          const Vec<C> hidden = state_part(2), fresh = math::tanh(input_part(2) + reset * hidden);
          h = fresh + update * (load(before + at + i, part) - fresh);
          keep(0, reset);
          keep(1, update);
          keep(2, fresh);
          keep(3, hidden);
        } else {
          const Vec<C> in = math::sigmoid(gate(0)), forget = math::sigmoid(gate(1));
          const Vec<C> fresh = math::tanh(gate(2)), out_gate = math::sigmoid(gate(3));
          const Vec<C> c = forget * load(cells_before + at + i, part) + in * fresh;
          h = out_gate * math::tanh(c);
          store(cell + i, c, part);
          keep(0, in);
          keep(1, forget);
          keep(2, fresh);
          keep(3, out_gate);
        }
        store(after + at + i, h, part);
        store(out + i, h, part);
      });
    }
  };
  each_step(ctx, layer, kGates, false, run_block, [&](Ahead& ahead, int64_t step, Rows part) {
    const int64_t t = layer.time(step), first = t * rows + part.begin, size = static_cast<int64_t>(sizeof(C));
    ahead.add(x, t, part.begin, part.count());
    ahead.add(saved + first * kSaved * units, part.count() * kSaved * units * size);
    if (kCell == Cell::kLstm) ahead.add(cells + first * units, part.count() * units * size);
    ahead.add(y, t, part.begin, part.count());
  });
  write_rows<T>(cmd.output(1), states[layer.steps % 2], rows, units);
  if constexpr (kCell == Cell::kLstm) {
    const C* last = layer.steps == 0 ? first_cells : cells + layer.time(layer.steps - 1) * rows * units;
    write_rows<T>(cmd.output(2), last, rows, units);
  }
}

// The gradients of the gates' sums: gx by the inputs' part, gh by the state's part where it differs (gru); and those of the first
// state and cell. Steps run backwards; the gradient of the state before a step, gates · W, is formed as the step before it starts.
template <class T, Cell kCell>
void recurrent_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kGates = gates_of(kCell), kSaved = saved_of(kCell);
  const TensorView &gy = cmd.input(0), &weight = cmd.input(3), &y = cmd.input(7);
  const TensorView &gx = cmd.output(0), &gh = cmd.output(1);
  const Layer layer = layer_of<C>(gy, cmd.flag(1), kGates);
  const int64_t rows = layer.rows, units = layer.units;
  if (rows == 0) return;
  const Lengths lengths(cmd, cmd.input(6), layer.steps);
  C* const flow = packed_rows<C, T>(ctx, cmd.input(1), rows, units);  // of the state after the step
  C* const cell_flow = kCell == Cell::kLstm ? packed_rows<C, T>(ctx, cmd.input(2), rows, units) : nullptr;
  const C* first_states = kCell == Cell::kGru ? packed_rows<C, T>(ctx, cmd.input(4), rows, units) : nullptr;
  const C* first_cells = kCell == Cell::kLstm ? packed_rows<C, T>(ctx, cmd.input(5), rows, units) : nullptr;
  // Rows lie a line more apart than they are long: whole pages apart, those of a tile would share a set of the first-level cache.
  const int64_t sums_row = ceil_div(kGates * units, kLanes<C>) * kLanes<C> + 64 / static_cast<int64_t>(sizeof(C));
  C* sums[2] = {ctx.scratch<C>(rows * sums_row), ctx.scratch<C>(rows * sums_row)};
  Panels<C> panels(ctx, layer.blocks, kGates * units);
  each_block(ctx, layer, kGates, [&](int64_t block, int64_t unit, int64_t count) {
    panels.fill(block, weight.as<T>() + unit * weight.strides[1], weight.strides[1], weight.strides[0], count);
  });

  const C* const saved = cmd.input(8).as<C>();
  const C* const cells = cmd.input(9).as<C>();
  const auto run_block = [&](int64_t step, Rows part, int64_t block, int64_t unit, int64_t count, Ahead& ahead) {
    const int64_t t = layer.time(step);
    const int64_t t_before = layer.time(step - 1);
    const C* cells_before = step == 0 ? first_cells : cells + t_before * rows * units;
    C* const now = sums[step % 2];
    if (step + 1 < layer.steps) {
      panels.multiply(block, sums[(step + 1) % 2] + part.begin * sums_row, sums_row, part.count(), count,
                      flow + part.begin * units + unit, units, Start::kAccumulate, ahead);
    }
    for (int64_t r = part.begin; r < part.end; ++r) {
      const int64_t at = r * units + unit;
      const int64_t length = lengths[r];
      C* own = now + r * sums_row + unit;
      T* by_input = gx.as<T>() + t * gx.strides[0] + r * gx.strides[1] + unit;
      T* by_state = kCell == Cell::kGru ? gh.as<T>() + t * gh.strides[0] + r * gh.strides[1] + unit : nullptr;
      if (t >= length) {
        for (int gate = 0; gate < kGates; ++gate) {
          std::fill_n(own + gate * units, count, C(0));
          std::fill_n(by_input + gate * units, count, T(0));
          if (kCell == Cell::kGru) std::fill_n(by_state + gate * units, count, T(0));
        }
        continue;
      }
      const T* from = gy.as<T>() + t * gy.strides[0] + r * gy.strides[1] + unit;
      const C* gates = saved + (t * rows + r) * kSaved * units + unit;
      const bool has_before = step > 0 && t_before < length;
      const T* state_before =
          kCell == Cell::kGru && has_before ? y.as<T>() + t_before * y.strides[0] + r * y.strides[1] + unit : nullptr;
      each_vector<C>(count, [&](int64_t i, auto part, auto) {
        const auto gate = [&](int slot) { return load(gates + slot * units + i, part); };
        const auto give = [&](int slot, Vec<C> value) {
          store(own + slot * units + i, value, part);
          store(by_input + slot * units + i, value, part);
          if constexpr (kCell == Cell::kGru) store(by_state + slot * units + i, value, part);
        };
        const Vec<C> dh = load(flow + at + i, part) + load(from + i, part);
        if constexpr (kCell == Cell::kTanh || kCell == Cell::kRelu) {
          const Vec<C> h = gate(0);
          give(0, kCell == Cell::kTanh ? dh * (C(1) - h * h) : (h > C(0) ? dh : Vec<C>{}));
          store(flow + at + i, Vec<C>{}, part);
        } else if constexpr (kCell == Cell::kGru) {
          const Vec<C> reset = gate(0), update = gate(1), fresh = gate(2), state_part = gate(3);
          const Vec<C> h = has_before ? load(state_before + i, part) : load(first_states + at + i, part);
          const Vec<C> d_fresh = dh * (C(1) - update) * (C(1) - fresh * fresh);
          give(0, d_fresh * state_part * reset * (C(1) - reset));
          give(1, dh * (h - fresh) * update * (C(1) - update));
          store(own + 2 * units + i, d_fresh * reset, part);
          store(by_input + 2 * units + i, d_fresh, part);
          store(by_state + 2 * units + i, d_fresh * reset, part);
          store(flow + at + i, dh * update, part);
        } else {
          const Vec<C> in = gate(0), forget = gate(1), fresh = gate(2), out_gate = gate(3);
          const Vec<C> squashed = math::tanh(load(cells + t * rows * units + at + i, part));
          const Vec<C> dc = load(cell_flow + at + i, part) + dh * out_gate * (C(1) - squashed * squashed);
          give(0, dc * fresh * in * (C(1) - in));
          give(1, dc * load(cells_before + at + i, part) * forget * (C(1) - forget));
          give(2, dc * in * (C(1) - fresh * fresh));
          give(3, dh * squashed * out_gate * (C(1) - out_gate));
          store(cell_flow + at + i, dc * forget, part);
          store(flow + at + i, Vec<C>{}, part);
        }
      });
    }
  };
  each_step(ctx, layer, kGates, true, run_block, [&](Ahead& ahead, int64_t step, Rows part) {
    const int64_t t = layer.time(step), first = t * rows + part.begin, size = static_cast<int64_t>(sizeof(C));
    ahead.add(saved + first * kSaved * units, part.count() * kSaved * units * size);
    ahead.add(gx, t, part.begin, part.count());
    ahead.add(gy, t, part.begin, part.count());
    if (kCell == Cell::kLstm && step > 0) {
      ahead.add(cells + (layer.time(step - 1) * rows + part.begin) * units, part.count() * units * size);
    }
    if (kCell == Cell::kGru) ahead.add(gh, t, part.begin, part.count());
  });
  if (layer.steps > 0) {
    each_block(ctx, layer, kGates, [&](int64_t block, int64_t unit, int64_t count) {
      Ahead nothing;
      panels.multiply(block, sums[0], sums_row, rows, count, flow + unit, units, Start::kAccumulate, nothing);
    });
  }
  write_rows<T>(cmd.output(2), flow, rows, units);
  if constexpr (kCell == Cell::kLstm) write_rows<T>(cmd.output(3), cell_flow, rows, units);
}

template <class F>
void visit_cell(const Command& cmd, F&& body) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    switch (static_cast<Cell>(cmd.integer(0))) {
      case Cell::kTanh: return body.template operator()<T, Cell::kTanh>();
      case Cell::kRelu: return body.template operator()<T, Cell::kRelu>();
      case Cell::kGru: return body.template operator()<T, Cell::kGru>();
      case Cell::kLstm: return body.template operator()<T, Cell::kLstm>();
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(recurrent) {
  visit_cell(cmd, [&]<class T, Cell kCell>() { recurrent<T, kCell>(ctx, cmd); });
}
HADAL_CPU_KERNEL(recurrentBackward) {
  visit_cell(cmd, [&]<class T, Cell kCell>() { recurrent_backward<T, kCell>(ctx, cmd); });
}

}  // namespace hadal::cpu
