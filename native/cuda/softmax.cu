// Softmax and log-softmax along one axis, and their gradients: any strides, one pass over memory. 16-bit floats compute in float.
//
// Rows of neighbours are read once and kept: up to 64 KiB in the registers of a warp or a block, longer ones in shared memory; what
// is longer still, or strided, is read twice. Where instead the axis is an outer one, threads take neighbouring columns and walk
// along it twice. All write with `=`; a result may lie where an operand does.
#include "cuda/device/log_sum_exp.cuh"
#include "cuda/device/row.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

// A row op reduces the elements of its inputs' rows to a State, from which and from the elements the row of the result follows.

template <class T>
struct SoftmaxOp {
  static constexpr int kInputs = 1;
  using C = Compute<T>;
  using State = LogSumExp<T>;
  struct Result {
    C shift, by;
  };

  bool log;

  // What counts as nothing.
  static __device__ T fill() { return to_element<T>(-State::kInfinity); }
  static __device__ State none() { return State::none(); }
  template <int n>
  __device__ void add(State& state, const C (&x)[1][n]) const {
    state.add(x[0]);
  }
  static __device__ State join(const State& a, const State& b) { return State::join(a, b); }
  // A row with an infinity is all NaN.
  __device__ Result finish(const State& state) const {
    const C total = state.max == State::kInfinity ? std::numeric_limits<C>::quiet_NaN() : state.sum;
    return {state.max, log ? ::log(total) : C(1) / total};
  }
  __device__ C apply(const C (&x)[1], const Result& result) const {
    return log ? x[0] - result.shift - result.by : exp_of<T>(x[0] - result.shift) * result.by;
  }
};

// softmax: gx = y · (g − Σ g·y). log-softmax: gx = g − exp(y) · Σ g.
template <class T>
struct SoftmaxBackwardOp {
  static constexpr int kInputs = 2;
  using C = Compute<T>;
  using State = C;
  using Result = C;

  bool log;

  static __device__ T fill() { return to_element<T>(C(0)); }
  static __device__ State none() { return C(0); }
  template <int n>
  __device__ void add(State& state, const C (&x)[2][n]) const {
#pragma unroll
    for (int i = 0; i < n; ++i) state += log ? x[0][i] : x[0][i] * x[1][i];
  }
  static __device__ State join(State a, State b) { return a + b; }
  __device__ Result finish(State state) const { return state; }
  __device__ C apply(const C (&x)[2], Result total) const {
    return log ? x[0] - exp_of<T>(x[1]) * total : x[1] * (x[0] - total);
  }
};

// Inputs, then the output.
template <class Op, class T>
struct RowArguments {
  static constexpr int kInputs = Op::kInputs;
  const T* x[kInputs];
  T* y;
  Lines<kInputs + 1> lines;
};

template <class T, int kPack, int kInputs>
struct Unit {
  Pack<T, kPack> packs[kInputs];
};
template <class T, int kPack, class Op>
__device__ __forceinline__ void add_unit(const Op& op, typename Op::State& state,
                                         const Unit<T, kPack, Op::kInputs>& unit) {
  Compute<T> x[Op::kInputs][kPack];
#pragma unroll
  for (int k = 0; k < Op::kInputs; ++k) unpack(unit.packs[k], x[k]);
  op.template add<kPack>(state, x);
}
template <class T, int kPack, class Op>
__device__ __forceinline__ Pack<T, kPack> apply_unit(const Op& op, const typename Op::Result& result,
                                                     const Unit<T, kPack, Op::kInputs>& unit) {
  Pack<T, kPack> y;
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    Compute<T> x[Op::kInputs];
#pragma unroll
    for (int k = 0; k < Op::kInputs; ++k) x[k] = unit.packs[k].number(i);
    y.at[i] = to_element<T>(op.apply(x, result));
  }
  return y;
}

// The rows of one line of all tensors, which have the same units and edges.
template <class Op, class T, int kPack>
struct RowSet {
  static constexpr int kInputs = Op::kInputs;
  using Loaded = Unit<T, kPack, kInputs>;
  using Edge = Unit<T, 1, kInputs>;

  const T* x[kInputs];
  int64_t strides[kInputs];
  Row<T, kPack> y;

  __device__ __forceinline__ RowSet(const RowArguments<Op, T>& args, int64_t line)
      : RowSet(args, OffsetsOf(args.lines.rows, line)) {}
  __device__ __forceinline__ Loaded load(int64_t unit) const {
    Loaded loaded;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
      loaded.packs[k] = load_pack<kPack>(x[k] + y.first(unit) * strides[k]);
    }
    return loaded;
  }
  __device__ __forceinline__ bool has_edge() const { return y.has_edge(threadIdx.x); }
  __device__ __forceinline__ Edge load_edge() const {
    Edge edge;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) edge.packs[k].at[0] = x[k][y.edge(threadIdx.x)];
    return edge;
  }
  __device__ __forceinline__ void store_edge(const Pack<T, 1>& pack) const { y.data[y.edge(threadIdx.x)] = pack.at[0]; }

 private:
  struct OffsetsOf {
    int64_t at[kInputs + 1];
    __device__ __forceinline__ OffsetsOf(const Axes<kInputs + 1>& rows, int64_t line) { rows.offsets(line, at); }
  };
  __device__ __forceinline__ RowSet(const RowArguments<Op, T>& args, const OffsetsOf& offsets)
      : y(args.y + offsets.at[kInputs], args.lines.n, args.lines.strides[kInputs]) {
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
      x[k] = args.x[k] + offsets.at[k];
      strides[k] = kPack > 1 ? 1 : args.lines.strides[k];
    }
  }
};

// Block (lanes, rows), see RowShape: a row is read once, and kept in registers. A thread that has fewer units than kUnits reads
// its first again, so that all loads are under way before the first is waited for.
template <class Op, class T, int kPack, int kUnits>
__global__ void __launch_bounds__(1024) rows_in_registers(Op op, RowArguments<Op, T> args) {
  using Rows = RowSet<Op, T, kPack>;
  __shared__ typename Op::State partial[RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.lines.rows.count) return;  // a whole warp, of rows that need no barrier
  const Rows rows(args, line);
  const int first = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  const int units = static_cast<int>(rows.y.units);
  const bool has_edge = rows.has_edge();
  typename Rows::Loaded loaded[kUnits];
  typename Rows::Edge edge;
  if (first < units) {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) loaded[u] = rows.load(first + u * step < units ? first + u * step : first);
  }
  if (has_edge) edge = rows.load_edge();
  typename Op::State state = Op::none();
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (first + u * step < units) add_unit<T, kPack>(op, state, loaded[u]);
  }
  if (has_edge) add_unit<T, 1>(op, state, edge);
  state = RowGroup::reduce(state, Op::none(), partial, Op::join);
  const typename Op::Result result = op.finish(state);
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (first + u * step < units) rows.y.store(first + u * step, apply_unit<T, kPack>(op, result, loaded[u]));
  }
  if (has_edge) rows.store_edge(apply_unit<T, 1>(op, result, edge));
}

// A row of any length and stride: kept in shared memory if `keeps` (each thread reads what it wrote), else read twice.
template <class Op, class T, int kPack>
__global__ void __launch_bounds__(1024) long_rows(Op op, RowArguments<Op, T> args, bool keeps) {
  constexpr int kUnroll = 4 / Op::kInputs;
  using Rows = RowSet<Op, T, kPack>;
  extern __shared__ uint4 kept_bytes[];
  typename Rows::Loaded* kept = reinterpret_cast<typename Rows::Loaded*>(kept_bytes);
  __shared__ typename Op::State partial[RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.lines.rows.count) return;  // a whole warp, of rows that need no barrier
  const Rows rows(args, line);
  const int64_t units = rows.y.units, step = blockDim.x;
  const bool has_edge = rows.has_edge();
  typename Rows::Edge edge;
  if (has_edge) edge = rows.load_edge();

  typename Op::State state = Op::none();
  for (int64_t unit = threadIdx.x; unit < units; unit += kUnroll * step) {
    typename Rows::Loaded loaded[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) loaded[u] = rows.load(unit + u * step < units ? unit + u * step : unit);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (unit + u * step >= units) break;
      if (keeps) kept[unit + u * step] = loaded[u];
      add_unit<T, kPack>(op, state, loaded[u]);
    }
  }
  if (has_edge) add_unit<T, 1>(op, state, edge);
  state = RowGroup::reduce(state, Op::none(), partial, Op::join);
  const typename Op::Result result = op.finish(state);
  for (int64_t unit = threadIdx.x; unit < units; unit += kUnroll * step) {
    typename Rows::Loaded loaded[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int64_t at = unit + u * step < units ? unit + u * step : unit;
      loaded[u] = keeps ? kept[at] : rows.load(at);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (unit + u * step < units) rows.y.store(unit + u * step, apply_unit<T, kPack>(op, result, loaded[u]));
    }
  }
  if (has_edge) rows.store_edge(apply_unit<T, 1>(op, result, edge));
}

// Block (lanes, groups): kPack neighbouring columns for each lane, along which the groups walk. `columns` counts packs.
template <class Op, class T, int kPack>
__global__ void __launch_bounds__(256)
    columns_side_by_side(Op op, RowArguments<Op, T> args, Axes<Op::kInputs + 1> columns) {
  constexpr int kUnroll = 4, kInputs = Op::kInputs;
  __shared__ typename Op::State shared[256];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const bool active = column < columns.count;
  int64_t at[kInputs + 1];
  columns.offsets(active ? column : columns.count - 1, at);
  const int64_t n = args.lines.n, step = static_cast<int64_t>(blockDim.y) * kUnroll;
  const auto load = [&](int64_t position) {
    Unit<T, kPack, kInputs> unit;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
      if (position < n) {
        const T* from = args.x[k] + at[k] + position * args.lines.strides[k];
        unit.packs[k] = load_pack<kPack>(from);
      } else {
#pragma unroll
        for (int i = 0; i < kPack; ++i) unit.packs[k].at[i] = Op::fill();
      }
    }
    return unit;
  };

  typename Op::State states[kPack];
#pragma unroll
  for (int i = 0; i < kPack; ++i) states[i] = Op::none();
  for (int64_t position = threadIdx.y * kUnroll; position < n; position += step) {
    Unit<T, kPack, kInputs> loaded[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) loaded[u] = load(position + u);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      Compute<T> x[kInputs][kUnroll];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) {
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) x[k][u] = loaded[u].packs[k].number(i);
      }
      op.template add<kUnroll>(states[i], x);
    }
  }
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  typename Op::Result results[kPack];
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    shared[thread] = states[i];
    __syncthreads();
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
      if (threadIdx.y < half) shared[thread] = Op::join(shared[thread], shared[thread + half * blockDim.x]);
      __syncthreads();
    }
    results[i] = op.finish(shared[threadIdx.x]);
    __syncthreads();
  }
  if (!active) return;
  for (int64_t position = threadIdx.y * kUnroll; position < n; position += step) {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (position + u >= n) break;
      const Unit<T, kPack, kInputs> loaded = load(position + u);
      Pack<T, kPack> y;
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        Compute<T> x[kInputs];
#pragma unroll
        for (int k = 0; k < kInputs; ++k) x[k] = loaded.packs[k].number(i);
        y.at[i] = to_element<T>(op.apply(x, results[i]));
      }
      T* to = args.y + at[kInputs] + (position + u) * args.lines.strides[kInputs];
      store_pack(to, y);
    }
  }
}

template <class Op, class T>
void run_columns(CudaContext& ctx, const Command& cmd, const Op& op, const RowArguments<Op, T>& args, bool aligned) {
  constexpr int kTensors = Op::kInputs + 1, kPack = kPackSize<T>;
  Axes<kTensors> columns = args.lines.rows;
  bool packs = aligned && columns.shape[0] % kPack == 0;
  for (int k = 0; k < kTensors; ++k) {
    packs = packs && args.lines.strides[k] % kPack == 0 && columns.keeps_alignment(k, kPack, 1);
  }
  if (packs) columns.step_inner(kPack);
  // A cache line for each step along the axis: what a block reads twice should stay in the L2 cache in between.
  const int lanes = static_cast<int>(packs ? 8 : std::min<size_t>(128 / sizeof(T), 32));
  const int groups =
      static_cast<int>(std::min<uint64_t>(256 / lanes, std::bit_ceil(static_cast<uint64_t>(args.lines.n + 3) / 4)));
  const dim3 block(lanes, groups);
  const unsigned grid = blocks_for(columns.count, lanes);
  if (packs) ctx.launch(cmd, columns_side_by_side<Op, T, kPack>, grid, block, 0, op, args, columns);
  else ctx.launch(cmd, columns_side_by_side<Op, T, 1>, grid, block, 0, op, args, columns);
}

template <template <class> class OpOf>
void along_axis(CudaContext& ctx, const Command& cmd, bool log) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    using Op = OpOf<T>;
    constexpr int kInputs = Op::kInputs, kPack = kPackSize<T>;
    const Op op{log};
    const TensorView* views[kInputs + 1];
    for (int k = 0; k <= kInputs; ++k) views[k] = &cmd.tensors[k];
    RowArguments<Op, T> args{};
    args.lines = lines_along(static_cast<int>(cmd.integer(0)), views);
    const int64_t lines = args.lines.rows.count, n = args.lines.n;
    if (lines == 0 || n == 0) return;
    bool aligned = true, neighbours = true;
    for (int k = 0; k <= kInputs; ++k) {
      aligned = aligned && is_aligned<T>(views[k]->data, kPack);
      neighbours = neighbours && args.lines.strides[k] == 1;
    }
    for (int k = 0; k < kInputs; ++k) args.x[k] = views[k]->template as<T>();
    args.y = cmd.output(0).as<T>();
    if (!neighbours && args.lines.rows.is_packed()) return run_columns(ctx, cmd, op, args, aligned);

    const bool packs = can_pack<T>(args.lines, views);
    const int64_t units = packs ? n / kPack : n;
    constexpr int kMaxUnits =
        4 / kInputs;  // 16 words of registers; of two inputs 32 do not fit the 64 that 1,024 threads have
    const RowShape shape = shape_rows(units, kMaxUnits);
    const dim3 block(shape.lanes, shape.rows);
    const unsigned grid = blocks_for(lines, shape.rows);
    if (packs && shape.lanes > 0) {
      if (shape.per_thread == 1) ctx.launch(cmd, rows_in_registers<Op, T, kPack, 1>, grid, block, 0, op, args);
      else if (shape.per_thread == 2) ctx.launch(cmd, rows_in_registers<Op, T, kPack, 2>, grid, block, 0, op, args);
      else ctx.launch(cmd, rows_in_registers<Op, T, kPack, kMaxUnits>, grid, block, 0, op, args);
    } else if (packs) {
      const size_t bytes = static_cast<size_t>(units) * sizeof(Unit<T, kPack, kInputs>);
      const bool keeps = bytes + 1024 <= ctx.device().shared_per_block;
      ctx.launch(cmd, long_rows<Op, T, kPack>, static_cast<unsigned>(lines), 1024, keeps ? bytes : 0, op, args, keeps);
    } else {
      const dim3 strided = shape.lanes > 0 ? block : dim3(1024);
      ctx.launch(cmd, long_rows<Op, T, 1>, blocks_for(lines, strided.y), strided, 0, op, args, false);
    }
  });
}

HADAL_CUDA_KERNEL(softmax) { along_axis<SoftmaxOp>(ctx, cmd, false); }
HADAL_CUDA_KERNEL(logSoftmax) { along_axis<SoftmaxOp>(ctx, cmd, true); }
HADAL_CUDA_KERNEL(softmaxBackward) { along_axis<SoftmaxBackwardOp>(ctx, cmd, false); }
HADAL_CUDA_KERNEL(logSoftmaxBackward) { along_axis<SoftmaxBackwardOp>(ctx, cmd, true); }

}  // namespace
}  // namespace hadal::cuda
