// Cross entropy of rows of logits with class targets, and its gradient, each in one pass over memory: the log-sum-exp is found
// online, so that a vocabulary of any size is read once. 16-bit floats compute in float, which is also what loss and lse come in.
// All write with `=`; gx may lie where the logits do.
#include "cuda/device/floating.cuh"
#include "cuda/device/log_sum_exp.cuh"
#include "cuda/device/row.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

// Units a thread has in flight.
constexpr int kUnroll = 4;

// A warp for each of four rows of up to 8 units a lane; else a block, of so many threads that they load twice or more.
dim3 block_for(int64_t units) {
  if (units <= 8 * kWarp) return dim3(kWarp, 4);
  const int64_t threads = (units + 2 * kUnroll - 1) / (2 * kUnroll);
  return dim3(static_cast<unsigned>(std::clamp<int64_t>((threads + kWarp - 1) / kWarp * kWarp, 64, 512)));
}

// The same for rows that are only read, where a thread has twice as many units in flight: smaller blocks, of which several run at once,
// so that some load while others end. All threads load equally often.
dim3 reading_block_for(int64_t units) {
  if (units <= 8 * kWarp) return dim3(kWarp, 4);
  const int64_t rounds = (units + 256 * kUnroll - 1) / (256 * kUnroll);
  const int64_t threads = (units + rounds * kUnroll - 1) / (rounds * kUnroll);
  return dim3(static_cast<unsigned>((threads + kWarp - 1) / kWarp * kWarp));
}

// Target classes, int32 or int64.
struct Targets {
  const std::byte* data;
  bool is_wide;
  int64_t stride;
  int64_t ignored;
  int64_t classes;
  FaultSite site;

  Targets(const CudaContext& ctx, const Command& cmd, const TensorView& view, int64_t classes)
      : data(view.data),
        is_wide(view.dtype == DType::kInt64),
        stride(view.strides[0]),
        ignored(cmd.integer(0)),
        classes(classes),
        site(ctx.fault_site(cmd, "classes", "target")) {}
  // -1 for a row that is ignored, or whose target is out of range; `reports` says who tells.
  __device__ int64_t load(int64_t row, bool reports) const {
    const int64_t at = row * stride;
    const int64_t target =
        is_wide ? reinterpret_cast<const int64_t*>(data)[at] : reinterpret_cast<const int32_t*>(data)[at];
    if (target == ignored) return -1;
    if (target >= 0 && target < classes) return target;
    if (reports) site.index_out_of_range(target, row, classes);
    return -1;
  }
};

// Smoothing s spreads s / classes of the target over all classes.
template <class C>
struct Smoothing {
  C kept;               // 1 − s
  C share;              // s / classes
  const C* weight;      // null: 1
  const C* all_weight;  // Σ weight, where there are weights and smoothing
  int64_t classes;

  __device__ C weight_of(int64_t c) const { return weight != nullptr ? weight[c] : C(1); }
  __device__ C total_weight() const { return all_weight != nullptr ? *all_weight : static_cast<C>(classes); }
};

// The sum of the weights, by one block.
template <class C>
__global__ void __launch_bounds__(1024) sum_weights(const C* weight, int64_t classes, C* total) {
  C sum = 0;
  for (int64_t i = threadIdx.x; i < classes; i += blockDim.x) sum += weight[i];
  sum = block_reduce(sum, C(0), Plus());
  if (threadIdx.x == 0) *total = sum;
}
template <class C>
Smoothing<C> smoothing_of(CudaContext& ctx, const Command& cmd, const TensorView& weight, int64_t classes) {
  const double s = cmd.attribute(1);
  Smoothing<C> smoothing{static_cast<C>(1 - s), static_cast<C>(classes != 0 ? s / static_cast<double>(classes) : 0),
                         nullptr, nullptr, classes};
  if (!weight.present()) return smoothing;
  smoothing.weight = packed_vector<C>(ctx, cmd, weight, classes, C(1));
  if (s == 0) return smoothing;
  C* total = ctx.scratch<C>(1);
  ctx.launch(cmd, sum_weights<C>, 1, 1024, 0, smoothing.weight, classes, total);
  smoothing.all_weight = total;
  return smoothing;
}

template <class T>
struct RowTotals {
  LogSumExp<T> exponentials;
  Compute<T> weighted;  // Σ w · x, where there is smoothing

  static __device__ RowTotals none() { return {LogSumExp<T>::none(), 0}; }
};
template <class T>
struct JoinTotals {
  __device__ RowTotals<T> operator()(const RowTotals<T>& a, const RowTotals<T>& b) const {
    return {LogSumExp<T>::join(a.exponentials, b.exponentials), a.weighted + b.weighted};
  }
};

template <class T>
struct LossArguments {
  using C = Compute<T>;
  const T* x;
  C* loss;
  C* lse;
  int64_t rows, classes;
  int64_t row_stride, class_stride, loss_stride, lse_stride;
};

// loss = (1 − s) · w[t] · (lse − x[t]) + s / classes · Σ_c w[c] · (lse − x[c]); zero in ignored rows. Block (lanes, rows). The next units
// are read while some are worked on, and what is to be known of the target meanwhile.
template <class T, int kPack, bool kSmooth>
__global__ void __launch_bounds__(256, kSmooth ? 3 : 4)
    loss_rows(LossArguments<T> args, Targets targets, Smoothing<Compute<T>> smoothing) {
  using C = Compute<T>;
  __shared__ RowTotals<T> partial[RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.rows) return;  // a whole warp, of rows that need no barrier
  const Row<const T, kPack> row(args.x + line * args.row_stride, args.classes, args.class_stride);
  const int units = static_cast<int>(row.units), step = static_cast<int>(blockDim.x);
  RowTotals<T> totals = RowTotals<T>::none();
  const auto weigh = [&](C x, int64_t c) {
    if constexpr (kSmooth) totals.weighted += x * smoothing.weight_of(c);
  };
  Pack<T, kPack> next[kUnroll];
  const auto load = [&](int unit) {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) next[u] = row.load(unit + u * step < units ? unit + u * step : unit);
  };
  int unit = static_cast<int>(threadIdx.x);
  if (unit < units) load(unit);
  int64_t target = -1;
  C hit = 0;
  if (threadIdx.x == 0) {
    target = targets.load(line, true);
    if (target >= 0) hit = load_element(row.data[target * args.class_stride]);
  }
  for (; unit < units; unit += kUnroll * step) {
    C values[kUnroll * kPack];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) values[u * kPack + i] = next[u].number(i);
    }
    if (unit + kUnroll * step < units) load(unit + kUnroll * step);
    const auto missing = [&](int u) { return unit + u * step >= units; };
    if constexpr (kSmooth) {
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (missing(u)) break;
#pragma unroll
        for (int i = 0; i < kPack; ++i) weigh(values[u * kPack + i], row.first(unit + u * step) + i);
      }
    }
    if (missing(kUnroll - 1)) {
#pragma unroll
      for (int u = 1; u < kUnroll; ++u) {
        if (!missing(u)) continue;
#pragma unroll
        for (int i = 0; i < kPack; ++i) values[u * kPack + i] = -LogSumExp<T>::kInfinity;
      }
    }
    totals.exponentials.add(values);
  }
  if (row.has_edge(threadIdx.x)) {
    const int64_t edge = row.edge(threadIdx.x);
    const C x[] = {load_element(row.data[edge])};
    totals.exponentials.add(x);
    weigh(x[0], edge);
  }
  totals = RowGroup::reduce(totals, RowTotals<T>::none(), partial, JoinTotals<T>());
  if (threadIdx.x != 0) return;
  const LogSumExp<T>& exponentials = totals.exponentials;
  // An infinite logit leaves no finite difference to it: NaN, as in the subtraction.
  const C lse = exponentials.max == LogSumExp<T>::kInfinity ? std::numeric_limits<C>::quiet_NaN()
                                                            : exponentials.max + ::log(exponentials.sum);
  C loss = 0;
  if (target >= 0) {
    loss = (lse - hit) * smoothing.weight_of(target);
    if constexpr (kSmooth) {
      loss = smoothing.kept * loss + smoothing.share * (smoothing.total_weight() * lse - totals.weighted);
    }
  }
  args.loss[line * args.loss_stride] = loss;
  args.lse[line * args.lse_stride] = lse;
}

template <class T>
void cross_entropy(CudaContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kPack = kPackSize<T>;
  const TensorView& x = cmd.input(0);
  const TensorView& loss = cmd.output(0);
  const TensorView& lse = cmd.output(1);
  const int64_t rows = x.shape[0], classes = x.shape[1];
  if (rows == 0) return;
  const Targets targets(ctx, cmd, cmd.input(1), classes);
  const Smoothing<C> smoothing = smoothing_of<C>(ctx, cmd, cmd.input(2), classes);
  const LossArguments<T> args{
      x.as<T>(),       loss.as<C>(),  lse.as<C>(), rows, classes, x.strides[0], classes > 1 ? x.strides[1] : 1,
      loss.strides[0], lse.strides[0]};
  const auto run = [&]<int kElements>(std::integral_constant<int, kElements>) {
    const dim3 block = reading_block_for(classes / kElements);
    const unsigned grid = blocks_for(rows, block.y);
    const auto kernel = cmd.attribute(1) != 0 ? loss_rows<T, kElements, true> : loss_rows<T, kElements, false>;
    ctx.launch(cmd, kernel, grid, block, 0, args, targets, smoothing);
  };
  if (args.class_stride == 1) run(std::integral_constant<int, kPack>());
  else run(std::integral_constant<int, 1>());
}

// --- The gradient ------------------------------------------------------------------------------------------------------
// gx[c] = g · (a · exp(x[c] − lse) − s / classes · w[c] − (1 − s) · w[t] · [c = t]) with a = (1 − s) · w[t] + s / classes · Σ w.

template <class T>
struct LossGradientArguments {
  using C = Compute<T>;
  const T* x;
  T* gx;
  const C* g;
  const C* lse;
  int64_t rows, classes;
  int64_t x_row, x_class, gx_row, gx_class, g_stride, lse_stride;
};

template <class T, int kPack, bool kSmooth>
__global__ void __launch_bounds__(512)
    loss_gradient_rows(LossGradientArguments<T> args, Targets targets, Smoothing<Compute<T>> smoothing) {
  using C = Compute<T>;
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.rows) return;
  const Row<const T, kPack> x(args.x + line * args.x_row, args.classes, args.x_class);
  const Row<T, kPack> gx(args.gx + line * args.gx_row, args.classes, args.gx_class);
  const int64_t target = targets.load(line, threadIdx.x == 0);
  const int units = static_cast<int>(x.units), step = static_cast<int>(blockDim.x);
  const C scale = args.g[line * args.g_stride], lse = args.lse[line * args.lse_stride];
  const C hit = target >= 0 ? scale * smoothing.kept * smoothing.weight_of(target) : C(0);
  const C spread = scale * smoothing.share;
  const C factor = kSmooth ? hit + spread * smoothing.total_weight() : hit;
  const auto gradient = [&]<int n>(const Pack<T, n>& logits, int64_t first) {
    C values[n];
#pragma unroll
    for (int i = 0; i < n; ++i) {
      values[i] = exp_of<T>(logits.number(i) - lse) * factor;
      if constexpr (kSmooth) values[i] -= spread * smoothing.weight_of(first + i);
    }
    if (target >= first && target < first + n) {
      const int place = static_cast<int>(target - first);
#pragma unroll
      for (int i = 0; i < n; ++i) values[i] -= i == place ? hit : C(0);
    }
    Pack<T, n> result;
#pragma unroll
    for (int i = 0; i < n; ++i) result.at[i] = to_element<T>(values[i]);
    return result;
  };
  for (int unit = static_cast<int>(threadIdx.x); unit < units; unit += kUnroll * step) {
    Pack<T, kPack> packs[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) packs[u] = x.load(unit + u * step < units ? unit + u * step : unit);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int at = unit + u * step;
      if (at >= units) break;
      if (target < 0) gx.store(at, Pack<T, kPack>{});
      else gx.store(at, gradient(packs[u], x.first(at)));
    }
  }
  if (x.has_edge(threadIdx.x)) {
    const int64_t edge = x.edge(threadIdx.x);
    gx.data[edge] = target < 0 ? T{} : gradient(Pack<T, 1>{x.data[edge]}, edge).at[0];
  }
}

template <class T>
void cross_entropy_backward(CudaContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kPack = kPackSize<T>;
  const TensorView& g = cmd.input(0);
  const TensorView& x = cmd.input(1);
  const TensorView& lse = cmd.input(4);
  const TensorView& gx = cmd.output(0);
  const int64_t rows = x.shape[0], classes = x.shape[1];
  if (x.numel() == 0) return;
  const Targets targets(ctx, cmd, cmd.input(2), classes);
  const Smoothing<C> smoothing = smoothing_of<C>(ctx, cmd, cmd.input(3), classes);
  const bool single = classes == 1;
  const LossGradientArguments<T> args{x.as<T>(),     gx.as<T>(),
                                      g.as<C>(),     lse.as<C>(),
                                      rows,          classes,
                                      x.strides[0],  single ? 1 : x.strides[1],
                                      gx.strides[0], single ? 1 : gx.strides[1],
                                      g.strides[0],  lse.strides[0]};
  const auto run = [&]<int kElements>(std::integral_constant<int, kElements>) {
    const dim3 block = block_for(classes / kElements);
    const unsigned grid = blocks_for(rows, block.y);
    const auto kernel =
        cmd.attribute(1) != 0 ? loss_gradient_rows<T, kElements, true> : loss_gradient_rows<T, kElements, false>;
    ctx.launch(cmd, kernel, grid, block, 0, args, targets, smoothing);
  };
  if (can_pack<T>(lines_along<2>(1, {&x, &gx}), {&x, &gx})) run(std::integral_constant<int, kPack>());
  else run(std::integral_constant<int, 1>());
}

HADAL_CUDA_KERNEL(crossEntropy) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { cross_entropy<T>(ctx, cmd); });
}
HADAL_CUDA_KERNEL(crossEntropyBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { cross_entropy_backward<T>(ctx, cmd); });
}

}  // namespace
}  // namespace hadal::cuda
