// Layer norm and RMS norm over the last axis and their gradients, in one pass over memory: a row is read once and kept in the
// registers of a warp or a block. RMS norm is layer norm with a mean of 0 (kCenters is false) and no bias. 16-bit floats compute in
// float; mean and rstd are kept in the compute type. All write with `=`.
#include "cuda/device/floating.cuh"
#include "cuda/device/reduction.cuh"
#include "cuda/device/row.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

constexpr int kMaxUnits = 4;  // of a row in registers: 16 words

// Rows that are brought to shared memory ahead are for one block on each multiprocessor, of which 512 threads have 128 registers each:
// for weights in the compute type and two more such vectors. 64 KiB and more are under way.
constexpr int kMaxLanes = 512;
template <bool kCenters>
inline constexpr int kWeights = kCenters ? 2 : 1;
template <class T, bool kCenters>
inline constexpr int kMaxQueued = sizeof(T) == 2 && kCenters ? 3 : 4;
inline constexpr int kStages[] = {8, 6, 4, 3}, kBackwardStages[] = {6, 4, 3, 3};
template <class T, int kUnits>
using ForwardQueue = RowQueue<T, kPackSize<T>, 1, kUnits, kStages[kUnits - 1]>;
template <class T, int kUnits>
using BackwardQueue = RowQueue<T, kPackSize<T>, 2, kUnits, kBackwardStages[kUnits - 1]>;

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
      for (int i = 0; i < kPack; ++i) total += packs[u].number(i);
    }
    mean = RowGroup::reduce(total, C(0), partial[0], Plus()) / static_cast<C>(n);
  }
  C squares = 0;
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (first(u) >= n) break;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const C difference = packs[u].number(i) - mean;
      squares += difference * difference;
    }
  }
  const C variance = RowGroup::reduce(squares, C(0), partial[1], Plus()) / static_cast<C>(n);
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
      y.at[i] = to_element<T>((packs[u].number(i) - mean) * rstd * weight[i] + bias[i]);
    }
    store_pack(args.y + at[1] + first(u), y);
  }
  if (threadIdx.x == 0) {
    if (kCenters) args.mean[at[2]] = mean;
    args.rstd[at[3]] = rstd;
  }
}

// The same for short rows: each warp of a block (32, warps) takes every (gridDim.x · warps)-th row, each thread the same elements of each,
// whose weights it keeps.
template <class T, class W, bool kCenters, int kUnits>
__global__ void __launch_bounds__(kMaxLanes) norm_short_rows(NormArguments<T, W> args) {
  using C = Compute<T>;
  constexpr int kPack = kPackSize<T>;
  extern __shared__ uint4 queue_memory[];
  const int n = static_cast<int>(args.lines.n);
  const int64_t lines = args.lines.rows.count, step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const C share = C(1) / static_cast<C>(n);
  using Queue = ForwardQueue<T, kUnits>;
  Queue queue(queue_memory);
  const auto push = [&](int64_t to_come) {
    int64_t at[4] = {};
    if (to_come < lines) args.lines.rows.offsets(to_come, at);
    queue.push({args.x + at[0]}, to_come < lines ? n : 0);
  };
#pragma unroll 1
  for (int stage = 0; stage < Queue::kDepth; ++stage) push(line + stage * step);

  C weights[kUnits][kPack], biases[kUnits][kPack];
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (queue.first(u) >= n) break;
    load_weights(args.weight, queue.first(u), C(1), weights[u]);
    load_weights(args.bias, queue.first(u), C(0), biases[u]);
  }
  for (; line < lines; line += step) {
    queue.wait();
    Pack<T, kPack> packs[kUnits];
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (queue.first(u) < n) packs[u] = queue.load(0, u);
    }
    push(line + Queue::kDepth * step);
    C mean = 0;
    if constexpr (kCenters) {
      C total = 0;
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
        if (queue.first(u) >= n) break;
#pragma unroll
        for (int i = 0; i < kPack; ++i) total += packs[u].number(i);
      }
      mean = warp_reduce(total, Plus()) * share;
    }
    C squares = 0;
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (queue.first(u) >= n) break;
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const C difference = packs[u].number(i) - mean;
        squares += difference * difference;
      }
    }
    const C rstd = C(1) / ::sqrt(warp_reduce(squares, Plus()) * share + args.epsilon);
    int64_t at[4];
    args.lines.rows.offsets(line, at);
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (queue.first(u) >= n) break;
      Pack<T, kPack> y;
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const C scaled = (packs[u].number(i) - mean) * rstd * weights[u][i];
        y.at[i] = to_element<T>(kCenters ? scaled + biases[u][i] : scaled);
      }
      store_pack(args.y + at[1] + queue.first(u), y);
    }
    if (threadIdx.x == 0) {
      if (kCenters) args.mean[at[2]] = mean;
      args.rstd[at[3]] = rstd;
    }
  }
}

// The same for rows of any length and, with kPack = 1, any stride, read three times. Weights of the compute type.
template <class T, bool kCenters, int kPack>
__global__ void __launch_bounds__(1024) norm_long_rows(NormArguments<T, Compute<T>> args) {
  using C = Compute<T>;
  __shared__ C partial[2][RowGroup::kMaxWarps];
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (line >= args.lines.rows.count) return;  // a whole warp, of rows that need no barrier
  int64_t at[4];
  args.lines.rows.offsets(line, at);
  const int64_t n = args.lines.n;
  const auto each = [&](auto&& f) {
    for (int64_t i = threadIdx.x * kPack; i < n; i += blockDim.x * kPack) {
      C x[kPack];
      unpack(load_pack<kPack>(args.x + at[0] + i * args.lines.strides[0]), x);
      f(i, x);
    }
  };
  C mean = 0;
  if constexpr (kCenters) {
    C total = 0;
    each([&](int64_t, const C(&x)[kPack]) {
#pragma unroll
      for (int k = 0; k < kPack; ++k) total += x[k];
    });
    mean = RowGroup::reduce(total, C(0), partial[0], Plus()) / static_cast<C>(n);
  }
  C squares = 0;
  each([&](int64_t, const C(&x)[kPack]) {
#pragma unroll
    for (int k = 0; k < kPack; ++k) squares += (x[k] - mean) * (x[k] - mean);
  });
  const C variance = RowGroup::reduce(squares, C(0), partial[1], Plus()) / static_cast<C>(n);
  const C rstd = C(1) / ::sqrt(variance + args.epsilon);
  each([&](int64_t i, const C(&x)[kPack]) {
    C weights[kPack], biases[kPack];
    load_weights(args.weight, i, C(1), weights);
    load_weights(args.bias, i, C(0), biases);
    Pack<T, kPack> y;
#pragma unroll
    for (int k = 0; k < kPack; ++k) {
      y.at[k] = to_element<T>((x[k] - mean) * rstd * weights[k] + biases[k]);
    }
    store_pack(args.y + at[1] + i * args.lines.strides[1], y);
  });
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

// A block of groups that share out rows, each of `units` units, kUnits to a thread. No groups: one does not fit.
template <class Queue, int kUnits>
dim3 block_for(const CudaContext& ctx, int64_t rows, int64_t units) {
  const int lanes = static_cast<int>(((units + kUnits - 1) / kUnits + kWarp - 1) / kWarp * kWarp);
  const int64_t room = (ctx.device().shared_per_block - 1024) / Queue::bytes(lanes);
  const int64_t fair = (rows + ctx.device().multiprocessors - 1) / ctx.device().multiprocessors;
  return dim3(lanes, static_cast<unsigned>(std::min({int64_t{kMaxLanes / lanes}, room, fair})));
}
template <int kMax, class F>
auto with_units(int64_t units, F&& run) {
  switch (units) {
    case 1: return run(std::integral_constant<int, 1>());
    case 2: return run(std::integral_constant<int, 2>());
    case 3: return run(std::integral_constant<int, 3>());
    default: return run(std::integral_constant<int, kMax>());
  }
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
  const int64_t n = lines.n, rows = lines.rows.count, units = n / kPack;
  if (rows == 0) return;
  const C epsilon = static_cast<C>(cmd.attribute(0));
  const bool whole = n > 0 && whole_units<T>(lines, {&x, &y});
  const RowShape shape = shape_rows(units, kMaxUnits);
  const auto run = [&]<class W>(const W* packed_weight, const W* packed_bias) {
    const dim3 block(shape.lanes, shape.rows);
    const NormArguments<T, W> args{x.as<T>(),     y.as<T>(),   mean.as<C>(), rstd.as<C>(),
                                   packed_weight, packed_bias, lines,        epsilon};
    if (units > kWarp * kMaxQueued<T, kCenters>) {
      return ctx.launch(cmd, norm_rows<T, W, kCenters, kPack, kMaxUnits>, blocks_for(rows, shape.rows), block, 0, args);
    }
    with_units<kMaxQueued<T, kCenters>>(
        (units + kWarp - 1) / kWarp, [&]<int kUnits>(std::integral_constant<int, kUnits>) {
          using Queue = ForwardQueue<T, kUnits>;
          const dim3 block = block_for<Queue, kUnits>(ctx, rows, units);
          ctx.launch(cmd, norm_short_rows<T, W, kCenters, kUnits>, blocks_for_loop(ctx, rows, block.y, 1), block,
                     Queue::bytes(block.x * block.y), args);
        });
  };
  const bool in_registers = whole && shape.lanes > 0;
  if (in_registers && is_packed_vector<T>(weight, x.dtype) && is_packed_vector<T>(bias, x.dtype)) {
    return run(weight.as<const T>(), bias.as<const T>());
  }
  const C* packed_weight = weight.present() ? packed_vector<C>(ctx, cmd, weight, n, C(1)) : nullptr;
  const C* packed_bias = bias.present() ? packed_vector<C>(ctx, cmd, bias, n, C(0)) : nullptr;
  if (in_registers) return run(packed_weight, packed_bias);
  const NormArguments<T, C> args{x.as<T>(),     y.as<T>(),   mean.as<C>(), rstd.as<C>(),
                                 packed_weight, packed_bias, lines,        epsilon};
  const dim3 block = n > 256 ? dim3(512) : dim3(kWarp, 4);
  ctx.launch(cmd, whole ? norm_long_rows<T, kCenters, kPack> : norm_long_rows<T, kCenters, 1>,
             blocks_for(rows, block.y), block, 0, args);
}

// --- The gradient ------------------------------------------------------------------------------------------------------
// With n = (x − mean) · rstd and d = g · weight:  gx = rstd · (d − mean(d) − n · mean(d · n)),  gw = Σ g · n,  gb = Σ g.

template <class T>
struct NormGradientArguments {
  using C = Compute<T>;
  const T* g;
  const T* x;
  T* gx;
  const C* mean;
  const C* rstd;
  C* partial;      // [block][gw, gb][element], of RMS norm [block][element]; null: not wanted
  Lines<5> lines;  // g, x, gx, mean, rstd
};

// Block (lanes, groups): each group takes every (gridDim.x · groups)-th row. A thread has the same elements of each row, whose weights
// it keeps in registers, with the sums of their gradients; the elements it reads twice, rather than keep them too. The block adds up
// the sums of its groups, half by half, and writes one row of `partial`.
template <class T, bool kCenters, int kUnits>
__global__ void __launch_bounds__(kMaxLanes)
    norm_gradient_rows(NormGradientArguments<T> args, FloatingVector<Compute<T>> weight) {
  using C = Compute<T>;
  constexpr int kPack = kPackSize<T>;
  __shared__ C shared[2][2][RowGroup::kMaxWarps];
  extern __shared__ uint4 queue_memory[];
  const int n = static_cast<int>(args.lines.n);
  const int64_t lines = args.lines.rows.count, step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const C share = C(1) / static_cast<C>(n);
  using Queue = BackwardQueue<T, kUnits>;
  Queue queue(queue_memory);
  const auto push = [&](int64_t to_come) {
    int64_t at[5] = {};
    if (to_come < lines) args.lines.rows.offsets(to_come, at);
    queue.push({args.g + at[0], args.x + at[1]}, to_come < lines ? n : 0);
  };
#pragma unroll 1
  for (int stage = 0; stage < Queue::kDepth; ++stage) push(line + stage * step);

  struct Place {
    int64_t gx;
    C mean, rstd;
  };
  const auto place_of = [&](int64_t row) {
    int64_t at[5];
    args.lines.rows.offsets(row, at);
    return Place{at[2], kCenters ? args.mean[at[3]] : C(0), args.rstd[at[4]]};
  };
  Place next{};
  if (line < lines) next = place_of(line);
  C weights[kUnits][kPack], gw[kUnits][kPack] = {}, gb[kUnits][kPack] = {};
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (queue.first(u) < n) weight.load(queue.first(u), C(1), weights[u]);
  }
  for (int parity = 0; line < lines; line += step, parity ^= 1) {
    const Place place = next;
    if (line + step < lines) next = place_of(line + step);
    queue.wait();
    C d = 0, dn = 0;
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (queue.first(u) >= n) break;
      const Pack<T, kPack> g = queue.load(0, u), x = queue.load(1, u);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const C slope = g.number(i), product = slope * (x.number(i) - place.mean);
        gw[u][i] += product * place.rstd;
        if (kCenters) gb[u][i] += slope;
        if (kCenters) d += slope * weights[u][i];
        dn += product * weights[u][i];
      }
    }
    const auto [d_sum, dn_sum] = RowGroup::add<GroupBarrier>(SumPair<C>{d, dn}, shared[parity]);
    const C shift = d_sum * share * place.rstd, by = dn_sum * share * place.rstd * place.rstd * place.rstd;
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (queue.first(u) >= n) break;
      const Pack<T, kPack> g = queue.load(0, u), x = queue.load(1, u);
      Pack<T, kPack> gx;
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const C down = (x.number(i) - place.mean) * by + shift;
        gx.at[i] = to_element<T>(g.number(i) * weights[u][i] * place.rstd - down);
      }
      store_pack(args.gx + place.gx + queue.first(u), gx);
    }
    push(line + Queue::kDepth * step);
  }
  if (args.partial == nullptr) return;

  C* sums = reinterpret_cast<C*>(queue_memory);
  for (unsigned groups = blockDim.y; groups > 1; groups = (groups + 1) / 2) {
    const unsigned kept = (groups + 1) / 2, threads = kept * blockDim.x;
    const auto pass = [&](unsigned group, auto&& move) {
      C* to = sums + group * blockDim.x + threadIdx.x;
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
#pragma unroll
        for (int i = 0; i < kPack; ++i) {
          move(to[(u * kPack + i) * threads], gw[u][i]);
          if (kCenters) move(to[((kUnits + u) * kPack + i) * threads], gb[u][i]);
        }
      }
    };
    __syncthreads();  // rows, or the sums of the last round, may still be read
    if (threadIdx.y >= kept && threadIdx.y < groups) pass(threadIdx.y - kept, [](C& to, C sum) { to = sum; });
    __syncthreads();
    if (threadIdx.y < groups - kept) pass(threadIdx.y, [](C from, C& sum) { sum += from; });
  }
  if (threadIdx.y > 0) return;
  C* partial = args.partial + static_cast<int64_t>(blockIdx.x) * kWeights<kCenters> * n;
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    if (queue.first(u) >= n) break;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      partial[queue.first(u) + i] = gw[u][i];
      if (kCenters) partial[n + queue.first(u) + i] = gb[u][i];
    }
  }
}

// Sums the rows of `partial`, [rows][size]. Block (32, 32): neighbouring elements of every 32nd row.
template <class C>
__global__ void __launch_bounds__(kWarp* kWarp)
    add_partials(const C* partial, int rows, int64_t size, int64_t n, FloatingVector<C> gw, FloatingVector<C> gb) {
  constexpr int kUnroll = 4;
  __shared__ C shared[kWarp][kWarp + 1];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kWarp;
  const C* from = partial + min(first + threadIdx.x, size - 1);
  C sum = 0;
  for (int row = static_cast<int>(threadIdx.y); row < rows; row += kUnroll * kWarp) {
    C values[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) values[u] = row + u * kWarp < rows ? from[(row + u * kWarp) * size] : C(0);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) sum += values[u];
  }
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  sum = warp_reduce(shared[threadIdx.x][threadIdx.y], Plus());
  const int64_t element = first + threadIdx.y;
  if (threadIdx.x > 0 || element >= size) return;
  if (element < n) gw.store(element, sum);
  else gb.store(element - n, sum);
}

// gx for rows of any length and stride, read twice.
template <class T, bool kCenters>
__global__ void __launch_bounds__(1024)
    norm_gradient_long_rows(NormGradientArguments<T> args, const Compute<T>* weight) {
  using C = Compute<T>;
  __shared__ C shared[2][RowGroup::kMaxWarps];
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
    return load_element(args.g[at[0] + i * args.lines.strides[0]]) * (weight != nullptr ? weight[i] : C(1));
  };
  SumPair<C> sums{};
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    sums.first += d(i);
    sums.second += d(i) * normed(i);
  }
  sums = RowGroup::add<BlockBarrier>(sums, shared);
  const C d_mean = kCenters ? sums.first / static_cast<C>(n) : C(0), dn_mean = sums.second / static_cast<C>(n);
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

  const auto arguments = [&](C* partial) {
    return NormGradientArguments<T>{g.as<T>(), x.as<T>(), gx.as<T>(), mean.as<C>(), rstd.as<C>(), partial, lines};
  };
  const auto run = [&]<int kUnits>(std::integral_constant<int, kUnits>) {
    using Queue = BackwardQueue<T, kUnits>;
    const dim3 block = block_for<Queue, kUnits>(ctx, rows, n / kPack);
    if (block.y == 0) return false;
    const unsigned grid = blocks_for_loop(ctx, rows, block.y, 1);
    const int64_t size = kWeights<kCenters> * n;
    C* partial = wants_weights ? ctx.scratch<C>(grid * size) : nullptr;
    ctx.launch(cmd, norm_gradient_rows<T, kCenters, kUnits>, grid, block, Queue::bytes(block.x * block.y),
               arguments(partial), FloatingVector<C>(weight));
    if (wants_weights) {
      ctx.launch(cmd, add_partials<C>, blocks_for(size, kWarp), dim3(kWarp, kWarp), 0, partial, static_cast<int>(grid),
                 size, n, gw, gb);
    }
    return true;
  };
  constexpr int kMax = kMaxQueued<T, kCenters>, kUsual = sizeof(T) == 2 ? 2 : 4;
  const int64_t units = n / kPack;
  if (rows > 0 && units > 0 && units <= kMaxLanes * kMax && whole_units<T>(lines, {&g, &x, &gx})) {
    // A warp needs no barrier.
    const int64_t per_thread = units <= kWarp * kMax         ? (units + kWarp - 1) / kWarp
                               : units <= kMaxLanes * kUsual ? kUsual
                                                             : kMax;
    if (with_units<kMax>(per_thread, run)) return;
  }

  if (rows > 0) {
    const C* packed = weight.present() ? packed_vector<C>(ctx, cmd, weight, n, C(1)) : nullptr;
    const dim3 block = n > 256 ? dim3(512) : dim3(kWarp, 4);
    ctx.launch(cmd, norm_gradient_long_rows<T, kCenters>, blocks_for(rows, block.y), block, 0, arguments(nullptr),
               packed);
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
