// One layer of a recurrent network in one direction, over all its time steps, and its gradient. The products of the inputs come in
// ready; each step is the product of the last state (cuda/matmul.h) and a kernel that computes the gates, a thread for each unit of a
// row. 16-bit floats compute in float, weights and states included.
#include "cuda/device/element.cuh"
#include "cuda/device/indices.cuh"
#include "cuda/device/pointwise.cuh"
#include "cuda/matmul.h"
#include "cuda/registry.h"
#include "kernels/convert.h"
#include "kernels/math.h"
#include "kernels/recurrent.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

template <class To, class From>
struct Convert {
  __device__ To operator()(const Compute<From>& x) const { return convert<To>(x); }
};

// A packed matrix of the compute type.
template <class C>
TensorView matrix(C* data, int64_t rows, int64_t columns) {
  TensorView view;
  view.data = reinterpret_cast<std::byte*>(data);
  view.dtype = sizeof(C) == 8 ? DType::kFloat64 : DType::kFloat32;
  view.rank = 2;
  view.shape[0] = rows;
  view.shape[1] = view.strides[0] = columns;
  view.strides[1] = 1;
  return view;
}
TensorView transposed(TensorView view) {
  std::swap(view.shape[0], view.shape[1]);
  std::swap(view.strides[0], view.strides[1]);
  return view;
}
// The matrix in the compute type, packed; zeros for an absent one.
template <class T>
Compute<T>* packed_matrix(CudaContext& ctx, const Command& cmd, const TensorView& from, int64_t rows, int64_t columns) {
  using C = Compute<T>;
  C* data = ctx.scratch<C>(rows * columns);
  if (!from.present()) {
    ctx.check(cmd, cudaMemsetAsync(data, 0, static_cast<size_t>(rows * columns) * sizeof(C), ctx.stream()));
  } else {
    run_pointwise_views<false, C, T>(ctx, cmd, Convert<C, T>(), matrix(data, rows, columns), std::index_sequence<0>(),
                                     &from);
  }
  return data;
}
template <class T>
void write_matrix(CudaContext& ctx, const Command& cmd, Compute<T>* data, const TensorView& to) {
  using C = Compute<T>;
  const TensorView from = matrix(data, to.shape[0], to.shape[1]);
  run_pointwise_views<false, T, C>(ctx, cmd, Convert<T, C>(), to, std::index_sequence<0>(), &from);
}

// How many steps each sequence has.
struct Lengths {
  Indices lengths;
  int64_t stride;
  bool given;

  explicit Lengths(const TensorView& view)
      : lengths(view), stride(view.present() ? view.strides[0] : 0), given(view.present()) {}
  __device__ bool holds(int64_t row, int64_t time) const { return !given || time < lengths[row * stride]; }
};
__global__ void __launch_bounds__(kBlock)
    check_lengths(Indices lengths, int64_t stride, int64_t count, int64_t steps, FaultSite site) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (row >= count) return;
  const int64_t length = lengths[row * stride];
  if (length < 0 || length > steps) site.index_out_of_range(length, row, steps);
}
void run_check_lengths(CudaContext& ctx, const Command& cmd, const TensorView& view, int64_t steps) {
  if (!view.present()) return;
  ctx.launch(cmd, check_lengths, blocks_for(view.shape[0], kBlock), kBlock, 0, Indices(view), view.strides[0],
             view.shape[0], steps, ctx.fault_site(cmd, "steps", "length"));
}

// --- Forward -------------------------------------------------------------------------------------------------------------

// One step. Strided tensors begin at it; packed ones are [rows, … · units].
template <class T>
struct StepArguments {
  using C = Compute<T>;
  int64_t rows, units, time;
  const T* x;
  int64_t x_row;
  const T* bias;
  int64_t bias_stride;
  const C* product;  // [rows, gates · units]
  const C* before;
  C* after;
  const C* cells_before;
  C* cells;
  C* saved;  // [rows, saved · units]
  T* y;
  int64_t y_row;
  Lengths lengths;
};

// tanh, relu: h = f(x + W h).
// gru:  r = σ(x_r + W_r h), z = σ(x_z + W_z h), n = tanh(x_n + r (W_n h + b_n)), h = (1 − z) n + z h.
// lstm: c = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c).
// Past its length a sequence keeps its state, and y is zero.
template <class T, Cell kCell>
__global__ void __launch_bounds__(kBlock) recurrent_step(StepArguments<T> args) {
  using C = Compute<T>;
  constexpr int kGates = gates_of(kCell), kSaved = saved_of(kCell);
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (at >= args.rows * args.units) return;
  const int64_t row = at / args.units, unit = at - row * args.units;
  T* y = args.y + row * args.y_row + unit;
  C* saved = args.saved + row * kSaved * args.units + unit;
  if (!args.lengths.holds(row, args.time)) {
    *y = T{};
    args.after[at] = args.before[at];
    if (kCell == Cell::kLstm) args.cells[at] = args.cells_before[at];
    for (int slot = 0; slot < kSaved; ++slot) saved[slot * args.units] = C(0);
    return;
  }
  C own[kGates], state[kGates];
#pragma unroll
  for (int gate = 0; gate < kGates; ++gate) {
    const int64_t place = gate * args.units + unit;
    own[gate] = load_element(args.x[row * args.x_row + place]);
    state[gate] = args.product[row * kGates * args.units + place];
    if (args.bias != nullptr) state[gate] += load_element(args.bias[place * args.bias_stride]);
  }
  C h;
  if constexpr (kCell == Cell::kTanh || kCell == Cell::kRelu) {
    const C p = own[0] + state[0];
    h = kCell == Cell::kTanh ? math::tanh(p) : p < C(0) ? C(0) : p;
    saved[0] = h;
  } else if constexpr (kCell == Cell::kGru) {
    const C reset = math::sigmoid(own[0] + state[0]), update = math::sigmoid(own[1] + state[1]);
    const C fresh = math::tanh(own[2] + reset * state[2]);
    h = fresh + update * (args.before[at] - fresh);
    saved[0] = reset;
    saved[args.units] = update;
    saved[2 * args.units] = fresh;
    saved[3 * args.units] = state[2];
  } else {
    const C in = math::sigmoid(own[0] + state[0]), forget = math::sigmoid(own[1] + state[1]);
    const C fresh = math::tanh(own[2] + state[2]), out = math::sigmoid(own[3] + state[3]);
    const C cell = forget * args.cells_before[at] + in * fresh;
    h = out * math::tanh(cell);
    args.cells[at] = cell;
    saved[0] = in;
    saved[args.units] = forget;
    saved[2 * args.units] = fresh;
    saved[3 * args.units] = out;
  }
  args.after[at] = h;
  *y = to_element<T>(h);
}

// (x, weight, bias?, h0, c0?, lengths?) -> (y, hn, cn, gates, cells)
template <class T, Cell kCell>
void recurrent(CudaContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kGates = gates_of(kCell), kSaved = saved_of(kCell);
  constexpr bool kHasCells = kCell == Cell::kLstm;
  const TensorView &x = cmd.input(0), &bias = cmd.input(2), &y = cmd.output(0);
  const int64_t steps = y.shape[0], rows = y.shape[1], units = y.shape[2];
  if (rows * units == 0) return;
  const bool reverse = cmd.flag(1);
  const auto time_of = [&](int64_t step) { return reverse ? steps - 1 - step : step; };
  run_check_lengths(ctx, cmd, cmd.input(5), steps);
  const TensorView weight =
      matrix(packed_matrix<T>(ctx, cmd, cmd.input(1), kGates * units, units), kGates * units, units);
  C* states[2] = {packed_matrix<T>(ctx, cmd, cmd.input(3), rows, units), ctx.scratch<C>(rows * units)};
  C* first_cells = kHasCells ? packed_matrix<T>(ctx, cmd, cmd.input(4), rows, units) : nullptr;
  C* product = ctx.scratch<C>(rows * kGates * units);
  C* const saved = cmd.output(3).as<C>();
  C* const cells = cmd.output(4).as<C>();
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t time = time_of(step);
    C *before = states[step % 2], *after = states[(step + 1) % 2];
    multiply(ctx, cmd, matrix(before, rows, units), transposed(weight), matrix(product, rows, kGates * units));
    const StepArguments<T> args{rows,
                                units,
                                time,
                                x.as<const T>() + time * x.strides[0],
                                x.strides[1],
                                bias.as<const T>(),
                                bias.present() ? bias.strides[0] : 0,
                                product,
                                before,
                                after,
                                step == 0 ? first_cells : cells + time_of(step - 1) * rows * units,
                                cells + time * rows * units,
                                saved + time * rows * kSaved * units,
                                y.as<T>() + time * y.strides[0],
                                y.strides[1],
                                Lengths(cmd.input(5))};
    ctx.launch(cmd, recurrent_step<T, kCell>, blocks_for(rows * units, kBlock), kBlock, 0, args);
  }
  write_matrix<T>(ctx, cmd, states[steps % 2], cmd.output(1));
  if (kHasCells) {
    write_matrix<T>(ctx, cmd, steps == 0 ? first_cells : cells + time_of(steps - 1) * rows * units, cmd.output(2));
  }
}

// --- Backward ------------------------------------------------------------------------------------------------------------

template <class T>
struct BackwardArguments {
  using C = Compute<T>;
  int64_t rows, units, time;
  const T* gy;
  int64_t gy_row;
  const C* product;  // what the step after gives to the state after this one; null at the last
  C* flow;           // the gradient of the state after the step, then of the state before it
  C* cell_flow;
  const C* saved;
  const C* cells;
  const C* cells_before;
  const T* state_before;  // null: the first state
  int64_t state_row, time_before;
  const C* first_states;
  C* sums;  // [rows, gates · units]
  T* gx;
  int64_t gx_row;
  T* gh;
  int64_t gh_row;
  Lengths lengths;
};

template <class T, Cell kCell>
__global__ void __launch_bounds__(kBlock) recurrent_step_backward(BackwardArguments<T> args) {
  using C = Compute<T>;
  constexpr int kGates = gates_of(kCell), kSaved = saved_of(kCell);
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (at >= args.rows * args.units) return;
  const int64_t row = at / args.units, unit = at - row * args.units;
  C by_input[kGates] = {}, by_state[kGates] = {};
  C flow = args.flow[at] + (args.product != nullptr ? args.product[at] : C(0));
  if (args.lengths.holds(row, args.time)) {
    const C* saved = args.saved + row * kSaved * args.units + unit;
    const C dh = flow + load_element(args.gy[row * args.gy_row + unit]);
    flow = 0;
    if constexpr (kCell == Cell::kTanh || kCell == Cell::kRelu) {
      const C h = saved[0];
      by_input[0] = by_state[0] = kCell == Cell::kTanh ? dh * (C(1) - h * h) : h > C(0) ? dh : C(0);
    } else if constexpr (kCell == Cell::kGru) {
      const C reset = saved[0], update = saved[args.units], fresh = saved[2 * args.units];
      const C state_part = saved[3 * args.units];
      const bool has_before = args.state_before != nullptr && args.lengths.holds(row, args.time_before);
      const C h = has_before ? load_element(args.state_before[row * args.state_row + unit]) : args.first_states[at];
      const C d_fresh = dh * (C(1) - update) * (C(1) - fresh * fresh);
      by_input[0] = by_state[0] = d_fresh * state_part * reset * (C(1) - reset);
      by_input[1] = by_state[1] = dh * (h - fresh) * update * (C(1) - update);
      by_input[2] = d_fresh;
      by_state[2] = d_fresh * reset;
      flow = dh * update;
    } else {
      const C in = saved[0], forget = saved[args.units], fresh = saved[2 * args.units], out = saved[3 * args.units];
      const C squashed = math::tanh(args.cells[at]);
      const C dc = args.cell_flow[at] + dh * out * (C(1) - squashed * squashed);
      by_input[0] = by_state[0] = dc * fresh * in * (C(1) - in);
      by_input[1] = by_state[1] = dc * args.cells_before[at] * forget * (C(1) - forget);
      by_input[2] = by_state[2] = dc * in * (C(1) - fresh * fresh);
      by_input[3] = by_state[3] = dh * squashed * out * (C(1) - out);
      args.cell_flow[at] = dc * forget;
    }
  }
  args.flow[at] = flow;
#pragma unroll
  for (int gate = 0; gate < kGates; ++gate) {
    const int64_t place = gate * args.units + unit;
    args.sums[row * kGates * args.units + place] = by_state[gate];
    args.gx[row * args.gx_row + place] = to_element<T>(by_input[gate]);
    if (kCell == Cell::kGru) args.gh[row * args.gh_row + place] = to_element<T>(by_state[gate]);
  }
}

template <class C>
struct Total {
  __device__ C operator()(const C& a, const C& b) const { return a + b; }
};

// (gy, ghn?, gcn?, weight, h0, c0?, lengths?, y, gates, cells) -> (gx, gh, gh0, gc0). Steps run backwards.
template <class T, Cell kCell>
void recurrent_backward(CudaContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kGates = gates_of(kCell), kSaved = saved_of(kCell);
  constexpr bool kHasCells = kCell == Cell::kLstm, kIsGru = kCell == Cell::kGru;
  const TensorView &gy = cmd.input(0), &y = cmd.input(7), &gx = cmd.output(0), &gh = cmd.output(1);
  const int64_t steps = gy.shape[0], rows = gy.shape[1], units = gy.shape[2];
  if (rows * units == 0) return;
  const bool reverse = cmd.flag(1);
  const auto time_of = [&](int64_t step) { return reverse ? steps - 1 - step : step; };
  run_check_lengths(ctx, cmd, cmd.input(6), steps);
  const TensorView weight =
      matrix(packed_matrix<T>(ctx, cmd, cmd.input(3), kGates * units, units), kGates * units, units);
  C* flow = packed_matrix<T>(ctx, cmd, cmd.input(1), rows, units);
  C* cell_flow = kHasCells ? packed_matrix<T>(ctx, cmd, cmd.input(2), rows, units) : nullptr;
  C* first_states = kIsGru ? packed_matrix<T>(ctx, cmd, cmd.input(4), rows, units) : nullptr;
  C* first_cells = kHasCells ? packed_matrix<T>(ctx, cmd, cmd.input(5), rows, units) : nullptr;
  C* sums = ctx.scratch<C>(rows * kGates * units);
  C* product = ctx.scratch<C>(rows * units);
  const C* const saved = cmd.input(8).as<const C>();
  const C* const cells = cmd.input(9).as<const C>();
  for (int64_t step = steps - 1; step >= 0; --step) {
    const int64_t time = time_of(step), time_before = time_of(step - 1);
    const BackwardArguments<T> args{rows,
                                    units,
                                    time,
                                    gy.as<const T>() + time * gy.strides[0],
                                    gy.strides[1],
                                    step + 1 < steps ? product : nullptr,
                                    flow,
                                    cell_flow,
                                    saved + time * rows * kSaved * units,
                                    cells + time * rows * units,
                                    step == 0 ? first_cells : cells + time_before * rows * units,
                                    kIsGru && step > 0 ? y.as<const T>() + time_before * y.strides[0] : nullptr,
                                    y.strides[1],
                                    time_before,
                                    first_states,
                                    sums,
                                    gx.as<T>() + time * gx.strides[0],
                                    gx.strides[1],
                                    kIsGru ? gh.as<T>() + time * gh.strides[0] : nullptr,
                                    kIsGru ? gh.strides[1] : 0,
                                    Lengths(cmd.input(6))};
    ctx.launch(cmd, recurrent_step_backward<T, kCell>, blocks_for(rows * units, kBlock), kBlock, 0, args);
    multiply(ctx, cmd, matrix(sums, rows, kGates * units), weight, matrix(product, rows, units));
  }
  if (steps > 0) {
    const TensorView inputs[] = {matrix(flow, rows, units), matrix(product, rows, units)};
    run_pointwise_views<false, C, C, C>(ctx, cmd, Total<C>(), inputs[0], std::index_sequence<0, 1>(), inputs);
  }
  write_matrix<T>(ctx, cmd, flow, cmd.output(2));
  if (kHasCells) write_matrix<T>(ctx, cmd, cell_flow, cmd.output(3));
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

HADAL_CUDA_KERNEL(recurrent) {
  visit_cell(cmd, [&]<class T, Cell kCell>() { recurrent<T, kCell>(ctx, cmd); });
}
HADAL_CUDA_KERNEL(recurrentBackward) {
  visit_cell(cmd, [&]<class T, Cell kCell>() { recurrent_backward<T, kCell>(ctx, cmd); });
}

}  // namespace
}  // namespace hadal::cuda
