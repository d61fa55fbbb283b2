// Layer norm and RMS norm over the last axis and their gradients, in one pass over memory: a row is read once and kept in the
// registers of a warp or a block. RMS norm is layer norm with a mean of 0 (kCenters is false) and no bias. 16-bit floats compute in
// float; mean and rstd are kept in the compute type. All write with `=`.
#include "cuda/device/floating.cuh"
#include "cuda/device/reduction.cuh"
#include "cuda/device/row.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

// Registers: 4 units are 16 words a tensor. The gradient keeps two rows of two tensors and sums of both weights, for which 512
// threads have enough.
constexpr int kMaxUnits = 4;
template <class T>
inline constexpr int kMaxBackwardUnits = sizeof(T) == 2 ? 2 : 4;
constexpr int kMaxBackwardLanes = 512;
constexpr int kBackwardBlock = 256;

// A view of statistics, one value a row, as if of x's rank: all elements of a row are the same.
TensorView along_rows(const TensorView& statistics, const TensorView& x) {
  TensorView view = statistics;
  view.rank = x.rank;
  view.shape[x.rank - 1] = x.size(-1);
  view.strides[x.rank - 1] = 0;
  return view;
}

// Weights of type W: the tensors' own or the compute type, packed and aligned; null: 1 and 0.
template <class W, int kPack>
__device__ __forceinline__ void load_weights(const W* from, int64_t first, Compute<W> absent,
                                             Compute<W> (&values)[kPack]) {
  if (from == nullptr) {
#pragma unroll
    for (int i = 0; i < kPack; ++i) values[i] = absent;
  } else {
    unpack(load_pack<kPack>(from + first), values);
  }
}

template <class T, class W>
struct NormArguments {
  using C = Compute<T>;
  const T* x;
  T* y;
  C* mean;
  C* rstd;
  const W* weight;
  const W* bias;
  Lines<4> lines;  // x, y, mean, rstd
  C epsilon;
};

template <class C>
struct Sum {
  __device__ C operator()(C a, C b) const { return a + b; }
};

// y = (x − mean) · rstd · weight + bias, the variance from the differences to the mean. Block (lanes, rows), see RowShape; rows
// are made of whole units.
template <class T, class W, bool kCenters, int kPack, int kUnits>
__global__ void __launch_bounds__(1024) norm_rows(NormArguments<T, W> args) {
  using C = Compute<T>;
  __shared__ C partial[2][RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.lines.rows.count) return;  // a whole warp, of rows that need no barrier
  int64_t at[4];
  args.lines.rows.offsets(line, at);
  const int64_t n = args.lines.n;
  const auto first = [&](int u) { return (threadIdx.x + static_cast<int64_t>(u) * blockDim.x) * kPack; };

  Pack<T, kPack> packs[kUnits];
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (first(u) < n) packs[u] = load_pack<kPack>(args.x + at[0] + first(u));
  }
  C mean = 0;
  if constexpr (kCenters) {
    C total = 0;
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (first(u) >= n) break;
#pragma unroll
      for (int i = 0; i < kPack; ++i) total += load_element(packs[u].at[i]);
    }
    mean = RowGroup::reduce(total, partial[0], Sum<C>()) / static_cast<C>(n);
  }
  C squares = 0;
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (first(u) >= n) break;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const C difference = load_element(packs[u].at[i]) - mean;
      squares += difference * difference;
    }
  }
  const C variance = RowGroup::reduce(squares, partial[1], Sum<C>()) / static_cast<C>(n);
  const C rstd = C(1) / ::sqrt(variance + args.epsilon);
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (first(u) >= n) break;
    C weight[kPack], bias[kPack];
    load_weights(args.weight, first(u), C(1), weight);
    load_weights(args.bias, first(u), C(0), bias);
    Pack<T, kPack> y;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      y.at[i] = to_element<T>((load_element(packs[u].at[i]) - mean) * rstd * weight[i] + bias[i]);
    }
    store_pack(args.y + at[1] + first(u), y);
  }
  if (threadIdx.x == 0) {
    if (kCenters) args.mean[at[2]] = mean;
    args.rstd[at[3]] = rstd;
  }
}

// The same for rows of any length and stride, read three times. Elements of the compute type's weights.
template <class T, bool kCenters>
__global__ void __launch_bounds__(1024) norm_long_rows(NormArguments<T, Compute<T>> args) {
  using C = Compute<T>;
  __shared__ C partial[2][RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.lines.rows.count) return;  // a whole warp, of rows that need no barrier
  int64_t at[4];
  args.lines.rows.offsets(line, at);
  const int64_t n = args.lines.n;
  const auto x = [&](int64_t i) { return load_element(args.x[at[0] + i * args.lines.strides[0]]); };
  C mean = 0;
  if constexpr (kCenters) {
    C total = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) total += x(i);
    mean = RowGroup::reduce(total, partial[0], Sum<C>()) / static_cast<C>(n);
  }
  C squares = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) squares += (x(i) - mean) * (x(i) - mean);
  const C variance = RowGroup::reduce(squares, partial[1], Sum<C>()) / static_cast<C>(n);
  const C rstd = C(1) / ::sqrt(variance + args.epsilon);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const C weight = args.weight != nullptr ? args.weight[i] : C(1), bias = args.bias != nullptr ? args.bias[i] : C(0);
    args.y[at[1] + i * args.lines.strides[1]] = to_element<T>((x(i) - mean) * rstd * weight + bias);
  }
  if (threadIdx.x == 0) {
    if (kCenters) args.mean[at[2]] = mean;
    args.rstd[at[3]] = rstd;
  }
}

// Whether rows are made of whole aligned units.
template <class T, int kTensors>
bool whole_units(const Lines<kTensors>& lines, std::initializer_list<const TensorView*> views) {
  constexpr int kPack = kPackSize<T>;
  bool whole = lines.n % kPack == 0;
  int k = 0;
  for (const TensorView* view : views) {
    whole = whole && lines.strides[k] == 1 && is_aligned<T>(view->data, kPack) && lines.rows.keeps_alignment(k, kPack);
    ++k;
  }
  return whole;
}
// Whether absent or packed, aligned weights of T.
template <class T>
bool is_packed_vector(const TensorView& view, DType dtype) {
  return !view.present() || (view.dtype == dtype && view.strides[0] == 1 && is_aligned<T>(view.data, kPackSize<T>));
}

// (x, weight?, bias?) -> (y, mean, rstd), of RMS norm (x, weight?) -> (y, rstd).
template <class T, bool kCenters>
void norm(CudaContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kPack = kPackSize<T>;
  const TensorView& x = cmd.input(0);
  const TensorView& weight = cmd.input(1);
  const TensorView bias = kCenters ? cmd.input(2) : TensorView();
  const TensorView& y = cmd.output(0);
  const TensorView mean = along_rows(cmd.output(1), x), rstd = along_rows(cmd.output(kCenters ? 2 : 1), x);
  const Lines<4> lines = lines_along<4>(x.rank - 1, {&x, &y, &mean, &rstd});
  if (lines.rows.count == 0) return;
  const int64_t n = lines.n;
  const C epsilon = static_cast<C>(cmd.attribute(0));
  const RowShape shape = shape_rows(n / kPack, kMaxUnits);
  const auto run = [&]<class W>(const W* packed_weight, const W* packed_bias) {
    const NormArguments<T, W> args{x.as<T>(),     y.as<T>(),   mean.as<C>(), rstd.as<C>(),
                                   packed_weight, packed_bias, lines,        epsilon};
    const dim3 block(shape.lanes, shape.rows);
    const unsigned grid = blocks_for(lines.rows.count, shape.rows);
    if (shape.per_thread == 1) ctx.launch(cmd, norm_rows<T, W, kCenters, kPack, 1>, grid, block, 0, args);
    else if (shape.per_thread == 2) ctx.launch(cmd, norm_rows<T, W, kCenters, kPack, 2>, grid, block, 0, args);
    else ctx.launch(cmd, norm_rows<T, W, kCenters, kPack, kMaxUnits>, grid, block, 0, args);
  };
  const bool in_registers = shape.lanes > 0 && n > 0 && whole_units<T>(lines, {&x, &y});
  if (in_registers && is_packed_vector<T>(weight, x.dtype) && is_packed_vector<T>(bias, x.dtype)) {
    return run(weight.as<const T>(), bias.as<const T>());
  }
  const C* packed_weight = weight.present() ? packed_vector<C>(ctx, cmd, weight, n, C(1)) : nullptr;
  const C* packed_bias = bias.present() ? packed_vector<C>(ctx, cmd, bias, n, C(0)) : nullptr;
  if (in_registers) return run(packed_weight, packed_bias);
  const NormArguments<T, C> args{x.as<T>(),     y.as<T>(),   mean.as<C>(), rstd.as<C>(),
                                 packed_weight, packed_bias, lines,        epsilon};
  const dim3 block = n > 256 ? dim3(512) : dim3(kWarp, 4);
  ctx.launch(cmd, norm_long_rows<T, kCenters>, blocks_for(lines.rows.count, block.y), block, 0, args);
}

// --- The gradient ------------------------------------------------------------------------------------------------------
// With n = (x − mean) · rstd and d = g · weight:  gx = rstd · (d − mean(d) − n · mean(d · n)),  gw = Σ g · n,  gb = Σ g.

template <class T, class W>
struct NormGradientArguments {
  using C = Compute<T>;
  const T* g;
  const T* x;
  T* gx;
  const C* mean;
  const C* rstd;
  const W* weight;
  C* partial;      // [block][gw, gb][element]
  Lines<5> lines;  // g, x, gx, mean, rstd
};

template <class C>
struct RowSums {
  C d, dn;
};
template <class C>
struct AddRowSums {
  __device__ RowSums<C> operator()(const RowSums<C>& a, const RowSums<C>& b) const { return {a.d + b.d, a.dn + b.dn}; }
};

// Block (lanes, groups): each group takes every (gridDim.x · groups)-th row. A thread has the same elements of each row, and sums
// the weights' gradients in registers; the block adds them up, group by group, and writes one row of `partial`. The next row is
// read while one is worked on. Rows are made of whole units.
template <class T, class W, bool kCenters, int kPack, int kUnits>
__global__ void __launch_bounds__(kMaxBackwardLanes) norm_gradient_rows(NormGradientArguments<T, W> args) {
  using C = Compute<T>;
  __shared__ RowSums<C> shared[2][RowGroup::kMaxWarps];
  extern __shared__ uint4 weight_sums[];  // [gw, gb][element], where there are several groups
  const int64_t n = args.lines.n, lines = args.lines.rows.count;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  const auto first = [&](int u) { return (threadIdx.x + static_cast<int64_t>(u) * blockDim.x) * kPack; };

  struct Loaded {
    Pack<T, kPack> g[kUnits], x[kUnits];
    C mean, rstd;
    int64_t gx;
  };
  const auto load = [&](int64_t line, Loaded& row) {
    int64_t at[5];
    args.lines.rows.offsets(line, at);
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (first(u) >= n) break;
      row.g[u] = load_pack<kPack>(args.g + at[0] + first(u));
      row.x[u] = load_pack<kPack>(args.x + at[1] + first(u));
    }
    row.gx = at[2];
    row.mean = kCenters ? args.mean[at[3]] : C(0);
    row.rstd = args.rstd[at[4]];
  };

  C gw[kUnits][kPack] = {}, gb[kUnits][kPack] = {};
  int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  Loaded next;
  if (line < lines) load(line, next);
  for (int parity = 0; line < lines; line += step, parity ^= 1) {
    const Loaded row = next;
    if (line + step < lines) load(line + step, next);
    RowSums<C> sums{C(0), C(0)};
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (first(u) >= n) break;
      C weight[kPack];
      load_weights(args.weight, first(u), C(1), weight);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const C g = load_element(row.g[u].at[i]);
        const C normed = (load_element(row.x[u].at[i]) - row.mean) * row.rstd;
        gw[u][i] += g * normed;
        gb[u][i] += g;
        sums.d += g * weight[i];
        sums.dn += g * weight[i] * normed;
      }
    }
    sums = RowGroup::reduce<GroupBarrier>(sums, shared[parity], AddRowSums<C>());
    const C d_mean = kCenters ? sums.d / static_cast<C>(n) : C(0), dn_mean = sums.dn / static_cast<C>(n);
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (first(u) >= n) break;
      C weight[kPack];
      load_weights(args.weight, first(u), C(1), weight);
      Pack<T, kPack> gx;
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const C normed = (load_element(row.x[u].at[i]) - row.mean) * row.rstd;
        const C d = load_element(row.g[u].at[i]) * weight[i];
        gx.at[i] = to_element<T>((d - d_mean - normed * dn_mean) * row.rstd);
      }
      store_pack(args.gx + row.gx + first(u), gx);
    }
  }
  if (args.partial == nullptr) return;

  C* sums = reinterpret_cast<C*>(weight_sums);
  for (unsigned group = 0; group < blockDim.y; ++group) {
    const bool last = group + 1 == blockDim.y;
    if (threadIdx.y == group) {
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
        if (first(u) >= n) break;
#pragma unroll
        for (int i = 0; i < kPack; ++i) {
          const int64_t element = first(u) + i;
          C* to = last ? args.partial + blockIdx.x * 2 * n : sums;
          to[element] = group == 0 ? gw[u][i] : sums[element] + gw[u][i];
          to[n + element] = group == 0 ? gb[u][i] : sums[n + element] + gb[u][i];
        }
      }
    }
    __syncthreads();
  }
}

// Sums the rows of `partial`.
template <class C>
struct PartialReducer {
  static constexpr int kInputs = 1;
  using Element = C;
  using State = C;
  using Running = C;

  FloatingVector<C> gw, gb;
  int64_t n;

  __device__ Running running() const { return C(0); }
  __device__ State state(Running running) const { return running; }
  template <int count>
  __device__ void add(Running& running, const C (&x)[1][count], int64_t, int64_t) const {
#pragma unroll
    for (int i = 0; i < count; ++i) running += x[0][i];
  }
  __device__ State combine(State a, State b) const { return a + b; }
  __device__ void finish(State total, int64_t output, int64_t) const {
    if (output < n) gw.store(output, total);
    else gb.store(output - n, total);
  }
};

// gx for rows of any length and stride, read twice.
template <class T, bool kCenters>
__global__ void __launch_bounds__(1024) norm_gradient_long_rows(NormGradientArguments<T, Compute<T>> args) {
  using C = Compute<T>;
  __shared__ RowSums<C> shared[RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.lines.rows.count) return;  // a whole warp, of rows that need no barrier
  int64_t at[5];
  args.lines.rows.offsets(line, at);
  const int64_t n = args.lines.n;
  const C mean = kCenters ? args.mean[at[3]] : C(0), rstd = args.rstd[at[4]];
  const auto normed = [&](int64_t i) {
    return (load_element(args.x[at[1] + i * args.lines.strides[1]]) - mean) * rstd;
  };
  const auto d = [&](int64_t i) {
    return load_element(args.g[at[0] + i * args.lines.strides[0]]) * (args.weight != nullptr ? args.weight[i] : C(1));
  };
  RowSums<C> sums{C(0), C(0)};
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    sums.d += d(i);
    sums.dn += d(i) * normed(i);
  }
  sums = RowGroup::reduce(sums, shared, AddRowSums<C>());
  const C d_mean = kCenters ? sums.d / static_cast<C>(n) : C(0), dn_mean = sums.dn / static_cast<C>(n);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    args.gx[at[2] + i * args.lines.strides[2]] = to_element<T>((d(i) - d_mean - normed(i) * dn_mean) * rstd);
  }
}

// gw and gb beside it: sums over the rows of g · n and g.
template <class T>
struct WeightGradientReducer {
  static constexpr int kInputs = 2;
  using Element = T;
  using C = Compute<T>;
  struct State {
    C gw, gb;
  };
  using Running = State;

  const C* mean;  // null: 0
  const C* rstd;
  Axes<2> statistics;  // of the rows, in order
  FloatingVector<C> gw, gb;

  __device__ Running running() const { return {C(0), C(0)}; }
  __device__ State state(const Running& running) const { return running; }
  template <int count>
  __device__ void add(Running& running, const C (&x)[2][count], int64_t position, int64_t) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      int64_t at[2];
      statistics.offsets(position + i, at);
      running.gw += x[0][i] * ((x[1][i] - (mean != nullptr ? mean[at[0]] : C(0))) * rstd[at[1]]);
      running.gb += x[0][i];
    }
  }
  __device__ State combine(const State& a, const State& b) const { return {a.gw + b.gw, a.gb + b.gb}; }
  __device__ void finish(const State& total, int64_t output, int64_t) const {
    gw.store(output, total.gw);
    gb.store(output, total.gb);
  }
};

// (g, x, weight?, mean, rstd) -> (gx, gw, gb), of RMS norm (g, x, weight?, rstd) -> (gx, gw).
template <class T, bool kCenters>
void norm_backward(CudaContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kPack = kPackSize<T>;
  const TensorView& g = cmd.input(0);
  const TensorView& x = cmd.input(1);
  const TensorView& weight = cmd.input(2);
  const TensorView& gx = cmd.output(0);
  const TensorView mean = along_rows(cmd.input(3), x), rstd = along_rows(cmd.input(kCenters ? 4 : 3), x);
  const FloatingVector<C> gw(cmd.output(1)), gb = kCenters ? FloatingVector<C>(cmd.output(2)) : FloatingVector<C>();
  const Lines<5> lines = lines_along<5>(x.rank - 1, {&g, &x, &gx, &mean, &rstd});
  const int64_t n = lines.n, rows = lines.rows.count;
  if (n == 0) return;
  const bool wants_weights = gw.data != nullptr || gb.data != nullptr;

  const int64_t units = n / kPack;
  const int per_thread = units <= kMaxBackwardLanes ? 1 : units <= 2 * kMaxBackwardLanes ? 2 : kMaxBackwardUnits<T>;
  if (rows > 0 && units <= kMaxBackwardLanes * per_thread && whole_units<T>(lines, {&g, &x, &gx})) {
    const int lanes = static_cast<int>(((units + per_thread - 1) / per_thread + kWarp - 1) / kWarp * kWarp);
    const int groups = std::max(kBackwardBlock / lanes, 1);
    // As many as run at once with about 64 registers a thread, so that there are few rows to add up.
    const int blocks_at_once = std::max(1024 / (lanes * groups), 1);
    const unsigned grid = blocks_for_loop(ctx, rows, groups, blocks_at_once);
    C* partial = wants_weights ? ctx.scratch<C>(grid * 2 * n) : nullptr;
    const size_t bytes = groups > 1 ? static_cast<size_t>(2 * n) * sizeof(C) : 0;
    const auto run = [&]<class W>(const W* packed) {
      const NormGradientArguments<T, W> args{g.as<T>(),    x.as<T>(), gx.as<T>(), mean.as<C>(),
                                             rstd.as<C>(), packed,    partial,    lines};
      const dim3 block(lanes, groups);
      if (per_thread == 1) ctx.launch(cmd, norm_gradient_rows<T, W, kCenters, kPack, 1>, grid, block, bytes, args);
      else if (per_thread == 2) ctx.launch(cmd, norm_gradient_rows<T, W, kCenters, kPack, 2>, grid, block, bytes, args);
      else ctx.launch(cmd, norm_gradient_rows<T, W, kCenters, kPack, kMaxBackwardUnits<T>>, grid, block, bytes, args);
    };
    if (is_packed_vector<T>(weight, x.dtype)) run(weight.as<const T>());
    else run(packed_vector<C>(ctx, cmd, weight, n, C(1)));
    if (!wants_weights) return;
    TensorView sums;
    sums.data = reinterpret_cast<std::byte*>(partial);
    sums.rank = 2;
    sums.shape[0] = grid;
    sums.shape[1] = sums.strides[0] = 2 * n;
    sums.strides[1] = 1;
    run_reduction(ctx, cmd, PartialReducer<C>{gw, gb, n}, {&sums}, sums, 1u, true, false);
    return;
  }

  if (rows > 0) {
    const C* packed = weight.present() ? packed_vector<C>(ctx, cmd, weight, n, C(1)) : nullptr;
    const NormGradientArguments<T, C> args{g.as<T>(),    x.as<T>(), gx.as<T>(), mean.as<C>(),
                                           rstd.as<C>(), packed,    nullptr,    lines};
    const dim3 block = n > 256 ? dim3(512) : dim3(kWarp, 4);
    ctx.launch(cmd, norm_gradient_long_rows<T, kCenters>, blocks_for(rows, block.y), block, 0, args);
  }
  if (!wants_weights) return;
  const uint32_t row_axes = all_axes(x) & ~(1u << (x.rank - 1));
  const Axes<2> statistics = axes_of<2>({&mean, &rstd}, row_axes);
  const WeightGradientReducer<T> reducer{kCenters ? mean.as<C>() : nullptr, rstd.as<C>(), statistics, gw, gb};
  run_reduction(ctx, cmd, reducer, {&g, &x}, x, row_axes, true, true);
}

HADAL_CUDA_KERNEL(layerNorm) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { norm<T, true>(ctx, cmd); });
}
HADAL_CUDA_KERNEL(layerNormBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { norm_backward<T, true>(ctx, cmd); });
}
HADAL_CUDA_KERNEL(rmsNorm) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { norm<T, false>(ctx, cmd); });
}
HADAL_CUDA_KERNEL(rmsNormBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { norm_backward<T, false>(ctx, cmd); });
}

}  // namespace
}  // namespace hadal::cuda
