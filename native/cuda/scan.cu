// Scans along an axis: cumsum, cumprod, logCumSumExp, linearScan, and cummax and cummin with the places of the extrema. Lines whose elements
// are neighbours are scanned by blocks, others by threads that each walk a line beside their neighbours' lines. Lines too
// few to fill the device are cut into chunks: first the total of each chunk, then what comes before each, then the scan; in
// order, so the same bits each time. Sums of float run in double, of 16-bit floats in float, of integers in 64 bits that wrap.
#include <cmath>
#include <limits>

#include "cuda/device/axes.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/log_sum_exp.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256, kWarps = kBlock / kWarp;
// 2,048 threads.
constexpr int64_t kBlocksPerMultiprocessor = 8;
// Chunks are at least this long, so that what they need twice is a small part.
constexpr int64_t kMinChunk = 1024;

// An Op has
//   State                        what is scanned
//   kTensors                     the inputs and the outputs
//   identity(), combine(a, b)    b comes after a
//   load(offsets, position)      the state of one element, of which every tensor has an offset
//   store(state, offsets)        writes one element of every output
template <class Op>
struct ScanArguments {
  static constexpr int kTensors = Op::kTensors;
  Axes<kTensors> lines;
  int64_t n;
  int64_t start[kTensors], strides[kTensors];  // along the axis
  int64_t chunk, chunks;
  typename Op::State* totals;         // [line][chunk]; where given, only they are written
  const typename Op::State* carries;  // [line][chunk], or null
};

// An inclusive scan over the block, and the total. Synchronises.
template <class Op>
__device__ typename Op::State block_scan(const Op& op, typename Op::State value, typename Op::State& total) {
  using State = typename Op::State;
  __shared__ State warp_totals[kWarps];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const State below = shuffle(value, [&](uint32_t word) { return __shfl_up_sync(kAllThreads, word, distance); });
    if (lane >= distance) value = op.combine(below, value);
  }
  __syncthreads();  // the totals may still be read from the last call
  if (lane == kWarp - 1) warp_totals[warp] = value;
  __syncthreads();
  State before = op.identity();
  for (int i = 0; i < warp; ++i) before = op.combine(before, warp_totals[i]);
  total = before;
  for (int i = warp; i < kWarps; ++i) total = op.combine(total, warp_totals[i]);
  return op.combine(before, value);
}

// A block for each line and chunk.
template <class Op>
__global__ void __launch_bounds__(kBlock) scan_rows(Op op, ScanArguments<Op> args) {
  using State = typename Op::State;
  constexpr int kTensors = Op::kTensors;
  const int64_t line = blockIdx.x, chunk = blockIdx.y, place = line * args.chunks + chunk;
  int64_t at[kTensors];
  args.lines.offsets(line, at);
  const int64_t end = min((chunk + 1) * args.chunk, args.n);
  State carry = args.carries != nullptr ? args.carries[place] : op.identity();
  for (int64_t begin = chunk * args.chunk; begin < end; begin += kBlock) {
    const int64_t i = begin + threadIdx.x;
    int64_t here[kTensors];
#pragma unroll
    for (int k = 0; k < kTensors; ++k) here[k] = at[k] + args.start[k] + i * args.strides[k];
    State value = i < end ? op.load(here, i) : op.identity();
    State total;
    value = op.combine(carry, block_scan(op, value, total));
    carry = op.combine(carry, total);
    if (i < end && args.totals == nullptr) op.store(value, here);
  }
  if (args.totals != nullptr && threadIdx.x == 0) args.totals[place] = carry;
}

// A thread for each line, a row of blocks for each chunk.
template <class Op>
__global__ void __launch_bounds__(kBlock) scan_columns(Op op, ScanArguments<Op> args) {
  using State = typename Op::State;
  constexpr int kTensors = Op::kTensors;
  const int64_t line = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x, chunk = blockIdx.y;
  if (line >= args.lines.count) return;
  const int64_t place = line * args.chunks + chunk;
  int64_t at[kTensors];
  args.lines.offsets(line, at);
  State state = args.carries != nullptr ? args.carries[place] : op.identity();
  const int64_t end = min((chunk + 1) * args.chunk, args.n);
  for (int64_t i = chunk * args.chunk; i < end; ++i) {
    int64_t here[kTensors];
#pragma unroll
    for (int k = 0; k < kTensors; ++k) here[k] = at[k] + args.start[k] + i * args.strides[k];
    state = op.combine(state, op.load(here, i));
    if (args.totals == nullptr) op.store(state, here);
  }
  if (args.totals != nullptr) args.totals[place] = state;
}

// The totals of the chunks of each line become what comes before each.
template <class Op>
__global__ void __launch_bounds__(kBlock)
    scan_totals(Op op, typename Op::State* totals, int64_t lines, int64_t chunks) {
  const int64_t line = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (line >= lines) return;
  typename Op::State before = op.identity();
  for (int64_t i = line * chunks; i < (line + 1) * chunks; ++i) {
    const typename Op::State total = totals[i];
    totals[i] = before;
    before = op.combine(before, total);
  }
}

template <class Op>
void run_scan(CudaContext& ctx, const Command& cmd, const Op& op, bool reverse) {
  constexpr int kTensors = Op::kTensors;
  const TensorView* views[kTensors];
  for (int k = 0; k < kTensors; ++k) views[k] = &cmd.tensors[k];
  const TensorView& x = *views[0];
  const int axis = x.rank > 0 ? static_cast<int>(cmd.integer(0)) : 0;
  ScanArguments<Op> args{};
  args.n = x.rank > 0 ? x.shape[axis] : 1;
  args.lines = axes_of(views, all_axes(x) & ~(x.rank > 0 ? 1u << axis : 0u), true);
  const int64_t lines = args.lines.count;
  if (args.n == 0 || lines == 0) return;
  for (int k = 0; k < kTensors; ++k) {
    const int64_t stride = x.rank > 0 ? views[k]->strides[axis] : 0;
    args.start[k] = reverse ? (args.n - 1) * stride : 0;
    args.strides[k] = reverse ? -stride : stride;
  }
  const bool by_rows = args.n > 1 && (lines == 1 || std::abs(args.strides[0]) <= args.lines.inner_stride(0));
  const int64_t per_block = by_rows ? 1 : kBlock;
  const int64_t blocks = (lines + per_block - 1) / per_block;
  const int64_t wanted = ctx.device().multiprocessors * kBlocksPerMultiprocessor / blocks;
  args.chunks = std::clamp<int64_t>(wanted, 1, std::min<int64_t>((args.n + kMinChunk - 1) / kMinChunk, 65535));
  args.chunk = (args.n + args.chunks - 1) / args.chunks;
  args.chunks = (args.n + args.chunk - 1) / args.chunk;
  const auto kernel = by_rows ? scan_rows<Op> : scan_columns<Op>;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(args.chunks));
  if (args.chunks > 1) {
    args.totals = ctx.scratch<typename Op::State>(lines * args.chunks);
    ctx.launch(cmd, kernel, grid, kBlock, 0, op, args);
    ctx.launch(cmd, scan_totals<Op>, blocks_for(lines, kBlock), kBlock, 0, op, args.totals, lines, args.chunks);
    args.carries = args.totals;
    args.totals = nullptr;
  }
  ctx.launch(cmd, kernel, grid, kBlock, 0, op, args);
}

// --- Sums and products -------------------------------------------------------------------------------------------------

// Bools are bytes of 0 and 1.
template <class T>
struct TotalScan {
  static constexpr int kTensors = 2;
  using State = std::conditional_t<std::is_integral_v<T>, uint64_t,
                                   std::conditional_t<std::is_same_v<T, float>, double, Compute<T>>>;
  using Output = std::conditional_t<std::is_integral_v<T>, int64_t, T>;

  const T* x;
  Output* y;
  bool is_product;

  __device__ State identity() const { return is_product ? State(1) : State(0); }
  __device__ State combine(State a, State b) const { return is_product ? a * b : a + b; }
  __device__ State load(const int64_t (&at)[2], int64_t) const { return static_cast<State>(load_element(x[at[0]])); }
  __device__ void store(State value, const int64_t (&at)[2]) const {
    y[at[1]] = to_element<Output>(static_cast<Compute<Output>>(value));
  }
};
void total(CudaContext& ctx, const Command& cmd, bool is_product, bool reverse) {
  const auto run = [&]<class T>() {
    using Output = typename TotalScan<T>::Output;
    run_scan(ctx, cmd, TotalScan<T>{cmd.input(0).as<const T>(), cmd.output(0).as<Output>(), is_product}, reverse);
  };
  if (cmd.input(0).dtype == DType::kBool) run.template operator()<uint8_t>();
  else visit_number(cmd.name(), cmd.input(0).dtype, run);
}

HADAL_CUDA_KERNEL(cumsum) { total(ctx, cmd, false, cmd.flag(1)); }
HADAL_CUDA_KERNEL(cumprod) { total(ctx, cmd, true, false); }

template <class T>
struct LogSumExpScan {
  static constexpr int kTensors = 2;
  using C = std::conditional_t<std::is_same_v<T, float>, double, Compute<T>>;
  using State = LogSumExp<C>;

  const T* x;
  T* y;

  __device__ State identity() const { return State::none(); }
  __device__ State combine(const State& a, const State& b) const { return State::join(a, b); }
  __device__ State load(const int64_t (&at)[2], int64_t) const {
    State state = State::none();
    const C values[1] = {static_cast<C>(load_element(x[at[0]]))};
    state.add(values);
    return state;
  }
  __device__ void store(const State& state, const int64_t (&at)[2]) const {
    y[at[1]] = to_element<T>(static_cast<Compute<T>>(state.value()));
  }
};
HADAL_CUDA_KERNEL(logCumSumExp) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    run_scan(ctx, cmd, LogSumExpScan<T>{cmd.input(0).as<const T>(), cmd.output(0).as<T>()}, false);
  });
}

// --- Linear recurrences ------------------------------------------------------------------------------------------------

// A run of steps turns y into sum + factor · y, in double.
template <class T>
struct LinearScan {
  static constexpr int kTensors = 3;
  struct State {
    double factor, sum;
  };

  const T *a, *b;
  T* y;
  int64_t shift;  // from an element to that which its step's factor stands beside

  __device__ State identity() const { return {1, 0}; }
  // A sum of 0 stays 0, however far the factor has grown.
  __device__ State combine(const State& first, const State& then) const {
    return {first.factor * then.factor, then.sum + (first.sum == 0 ? 0 : first.sum * then.factor)};
  }
  __device__ State load(const int64_t (&at)[3], int64_t position) const {
    return {position == 0 ? 0.0 : static_cast<double>(a[at[0] + shift]), static_cast<double>(b[at[1]])};
  }
  __device__ void store(const State& state, const int64_t (&at)[3]) const { y[at[2]] = static_cast<T>(state.sum); }
};
HADAL_CUDA_KERNEL(linearScan) {
  const TensorView &a = cmd.input(0), &b = cmd.input(1), &y = cmd.output(0);
  const bool reverse = cmd.flag(1);
  const int64_t shift = reverse && a.rank > 0 ? a.strides[cmd.integer(0)] : 0;
  const auto run = [&]<class T>() {
    run_scan(ctx, cmd, LinearScan<T>{a.as<const T>(), b.as<const T>(), y.as<T>(), shift}, reverse);
  };
  if (y.dtype == DType::kFloat32) run.template operator()<float>();
  else run.template operator()<double>();
}

// --- Running extrema -----------------------------------------------------------------------------------------------------

// The last of equal extrema is reported; from the first NaN on, the latest NaN.
template <class T>
struct ExtremumScan {
  static constexpr int kTensors = 3;
  struct State {
    int64_t place;  // -1: nothing yet
    Compute<T> value;
  };

  const T* x;
  T* y;
  int64_t* index;
  bool smallest;

  __device__ State identity() const { return {-1, Compute<T>(0)}; }
  __device__ State combine(const State& a, const State& b) const {
    if (b.place < 0) return a;
    const bool beyond = smallest ? b.value <= a.value : b.value >= a.value;
    return a.place < 0 || beyond || b.value != b.value ? b : a;
  }
  __device__ State load(const int64_t (&at)[3], int64_t position) const { return {position, load_element(x[at[0]])}; }
  __device__ void store(const State& state, const int64_t (&at)[3]) const {
    y[at[1]] = to_element<T>(state.value);
    index[at[2]] = state.place;
  }
};
void extremum(CudaContext& ctx, const Command& cmd, bool smallest) {
  const auto run = [&]<class T>() {
    const ExtremumScan<T> op{cmd.input(0).as<const T>(), cmd.output(0).as<T>(), cmd.output(1).as<int64_t>(), smallest};
    run_scan(ctx, cmd, op, false);
  };
  if (cmd.input(0).dtype == DType::kBool) run.template operator()<uint8_t>();
  else visit_number(cmd.name(), cmd.input(0).dtype, run);
}

HADAL_CUDA_KERNEL(cummax) { extremum(ctx, cmd, false); }
HADAL_CUDA_KERNEL(cummin) { extremum(ctx, cmd, true); }

}  // namespace
}  // namespace hadal::cuda
