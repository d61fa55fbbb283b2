// Reductions of strided tensors: what each op computes is a Reducer, how its input is walked is decided here. Each output is
// reduced by neighbouring threads along its own elements (rows) or, where neighbouring outputs lie side by side in memory, by
// threads that each walk a few outputs (columns); 16 bytes at a time where strides and addresses allow. Where outputs are too
// few to fill the device, their elements are cut into chunks, whose partial results a second kernel joins, in order: no
// atomics, so the same bits each time. Called by the kernels of reduce_*.cu and batch_norm.cu.
//
// A Reducer has
//   kInputs, Element            tensors of one shape that are read together, and their type
//   Running, running()          what a thread accumulates in, and its start
//   prepare(running, output)    reads what an output needs, once; may be absent
//   sample(running, a, b, c)    sees three of the elements that a block reads of an output, the same in all threads, beforehand;
//                               may be absent
//   kLean                       what it keeps of an output is a few words; absent where it is more
//   kLongest                    elements of an output that a thread may take, about; may be absent
//   State, state(Running)       a partial result, a plain struct
//   add<n>(running, x, position, output)   takes x[input][0 … n), the elements of an output from `position` on
//   combine(a, b)               joins partial results of a block, in any order
//   Total, total(State)         what those of several blocks are joined in, with combine as well; State where absent
//   finish(total, output, offset)          writes result number `output`, which lies at `offset` of the output tensor
#pragma once

#include <limits>

#include "cuda/cuda_context.h"
#include "cuda/device/axes.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/launch_shape.h"

namespace hadal::cuda {

template <class Reducer>
struct ReductionArguments {
  static constexpr int kInputs = Reducer::kInputs;
  const typename Reducer::Element* x[kInputs];
  Axes<kInputs + 1> kept;  // the inputs, then the output
  Axes<kInputs> reduced;
  int64_t chunk;
  typename Reducer::State* partial;  // [output][chunk]; null: one chunk, finished at once
};

// Blocks of columns that run at once on a multiprocessor, at least. A lean reducer leaves registers for more, with 48 KB and more of
// loads in flight; still more with kLine: the reduced elements are evenly spaced.
template <class Reducer>
inline constexpr bool kIsLean = requires { Reducer::kLean; };
template <class Reducer, bool kLine>
inline constexpr int kColumnBlocks = !kIsLean<Reducer> ? 2 : (Reducer::kInputs == 1 ? 3 : 2) + kLine;
// Shared memory of such a block.
inline constexpr size_t kColumnBytes = 16384;

template <class Reducer>
constexpr int64_t longest_share() {
  if constexpr (requires { Reducer::kLongest; }) return Reducer::kLongest;
  else return std::numeric_limits<int64_t>::max();
}

template <class Reducer>
inline constexpr bool kSamples = requires(const Reducer& reducer, typename Reducer::Running& running) {
  reducer.sample(running, Compute<typename Reducer::Element>(), Compute<typename Reducer::Element>(),
                 Compute<typename Reducer::Element>());
};

template <class Reducer>
__device__ __forceinline__ typename Reducer::Running start_running(const Reducer& reducer, int64_t output) {
  typename Reducer::Running running = reducer.running();
  if constexpr (requires { reducer.prepare(running, output); }) reducer.prepare(running, output);
  return running;
}

template <class Reducer>
__device__ __forceinline__ auto total_of(const Reducer& reducer, const typename Reducer::State& state) {
  if constexpr (requires { reducer.total(state); }) return reducer.total(state);
  else return state;
}
// The outputs of a unit are neighbours along the innermost kept axis, whose stride is given for a whole unit.
template <int kPack, class Reducer>
__device__ __forceinline__ void write_result(const Reducer& reducer, const ReductionArguments<Reducer>& args,
                                             const typename Reducer::State& state, int64_t unit, int i) {
  constexpr int kInputs = Reducer::kInputs;
  const int64_t output = unit * kPack + i;
  if (args.partial != nullptr) {
    args.partial[output * gridDim.y + blockIdx.y] = state;
    return;
  }
  int64_t start[kInputs + 1];
  args.kept.offsets(unit, start);
  const int64_t offset = start[kInputs] + (kPack > 1 ? i * (args.kept.strides[kInputs][0] / kPack) : 0);
  reducer.finish(total_of(reducer, state), output, offset);
}

// Block (lanes, groups): a group for each output, a chunk for each blockIdx.y. Units of kPack elements along the reduced axes.
template <int kPack, class Reducer>
__global__ void __launch_bounds__(kReductionBlock) reduce_rows(Reducer reducer, ReductionArguments<Reducer> args) {
  using T = typename Reducer::Element;
  constexpr int kInputs = Reducer::kInputs, kUnroll = kReductionUnroll<kPack>;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool active = row < args.kept.count;
  const int64_t output = active ? row : args.kept.count - 1;
  int64_t start[kInputs + 1];
  args.kept.offsets(output, start);
  const T* x[kInputs];
#pragma unroll
  for (int k = 0; k < kInputs; ++k) x[k] = args.x[k] + start[k];

  const int64_t begin = blockIdx.y * args.chunk;
  const int64_t end = min(begin + args.chunk, args.reduced.count);
  typename Reducer::Running running = start_running(reducer, output);
  if constexpr (kSamples<Reducer>) {
    const auto element = [&](int64_t unit) {
      int64_t offset[kInputs];
      args.reduced.offsets(unit, offset);
      return load_element(x[0][offset[0]]);
    };
    if (begin < end) reducer.sample(running, element(begin), element((begin + end) / 2), element(end - 1));
  }
  const auto load = [&](Pack<T, kPack>(&packs)[kInputs], int64_t unit) {
    int64_t offset[kInputs];
    args.reduced.offsets(unit, offset);
#pragma unroll
    for (int k = 0; k < kInputs; ++k) packs[k] = load_pack<kPack>(x[k] + offset[k]);
  };
  const auto add = [&](const Pack<T, kPack>(&packs)[kInputs], int64_t unit) {
    Compute<T> values[kInputs][kPack];
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) values[k][i] = packs[k].number(i);
    }
    reducer.template add<kPack>(running, values, unit * kPack, output);
  };
  const int step = static_cast<int>(blockDim.x);
  int64_t unit = begin + threadIdx.x;
  for (; unit + (kUnroll - 1) * step < end; unit += kUnroll * step) {
    Pack<T, kPack> packs[kUnroll][kInputs];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) load(packs[u], unit + u * step);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) add(packs[u], unit + u * step);
  }
  for (; unit < end; unit += step) {
    Pack<T, kPack> packs[kInputs];
    load(packs, unit);
    add(packs, unit);
  }

  typename Reducer::State state = reducer.state(running);
  const auto combine = [&](const auto& a, const auto& b) { return reducer.combine(a, b); };
  if (blockDim.x <= kWarp) state = warp_reduce(state, combine, static_cast<int>(blockDim.x));
  else state = block_reduce(state, reducer.state(reducer.running()), combine);
  if (threadIdx.x == 0 && active) write_result<1>(reducer, args, state, output, 0);
}

// Block (lanes, groups): a unit of kPack neighbouring outputs for each lane, whose elements the groups share; a chunk for each
// blockIdx.y.
template <int kPack, bool kLine, class Reducer>
__global__ void __launch_bounds__(kReductionBlock, kColumnBlocks<Reducer, kLine>)
    reduce_columns(Reducer reducer, ReductionArguments<Reducer> args) {
  using T = typename Reducer::Element;
  constexpr int kInputs = Reducer::kInputs, kUnroll = kReductionUnroll<kPack>;
  using State = typename Reducer::State;
  const int64_t first_unit = static_cast<int64_t>(blockIdx.x) * blockDim.x;
  const int64_t unit = min(first_unit + threadIdx.x, args.kept.count - 1);
  int64_t start[kInputs + 1];
  args.kept.offsets(unit, start);

  const int64_t begin = blockIdx.y * args.chunk;
  const int64_t end = min(begin + args.chunk, args.reduced.count);
  typename Reducer::Running running[kPack];
#pragma unroll
  for (int i = 0; i < kPack; ++i) running[i] = start_running(reducer, unit * kPack + i);
  const auto load = [&](Pack<T, kPack>(&packs)[kInputs], int64_t position) {
    int64_t offset[kInputs];
    if constexpr (kLine) {
#pragma unroll
      for (int k = 0; k < kInputs; ++k) offset[k] = position * args.reduced.strides[k][0];
    } else {
      args.reduced.offsets(position, offset);
    }
#pragma unroll
    for (int k = 0; k < kInputs; ++k) packs[k] = load_pack<kPack>(args.x[k] + start[k] + offset[k]);
  };
  if constexpr (kSamples<Reducer>) {
    if (begin < end) {
      Pack<T, kPack> a[kInputs], b[kInputs], c[kInputs];
      load(a, begin);
      load(b, (begin + end) / 2);
      load(c, end - 1);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        reducer.sample(running[i], a[0].number(i), b[0].number(i), c[0].number(i));
      }
    }
  }
  // Takes kCount elements of each output, from `position` on.
  const auto take = [&]<int kCount>(std::integral_constant<int, kCount>, int64_t position) {
    Pack<T, kPack> packs[kCount][kInputs];
#pragma unroll
    for (int u = 0; u < kCount; ++u) load(packs[u], position + u);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      Compute<T> values[kInputs][kCount];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) {
#pragma unroll
        for (int u = 0; u < kCount; ++u) values[k][u] = packs[u][k].number(i);
      }
      reducer.template add<kCount>(running[i], values, position, unit * kPack + i);
    }
  };
  for (int64_t position = begin + threadIdx.y * kUnroll; position < end; position += blockDim.y * kUnroll) {
    if (position + kUnroll <= end) {
      take(std::integral_constant<int, kUnroll>(), position);
    } else {
      for (int64_t i = position; i < end; ++i) take(std::integral_constant<int, 1>(), i);
    }
  }

  // An output's threads are those of one lane. What they have is shared out to neighbours, who join it.
  constexpr int kAtOnce = std::min<int>(kPack, kColumnBytes / (kReductionBlock * sizeof(State)));
  __shared__ State shared[kAtOnce][kReductionBlock];
  const int lanes = static_cast<int>(blockDim.x), groups = static_cast<int>(blockDim.y), threads = lanes * groups;
  const int thread = static_cast<int>(threadIdx.y) * lanes + static_cast<int>(threadIdx.x);
  const int outputs = lanes * kAtOnce;
  const int neighbours = threads < kWarp ? 1 : min(max(groups / kAtOnce, 1), kWarp);
#pragma unroll
  for (int round = 0; round < kPack; round += kAtOnce) {
    if (round > 0) __syncthreads();
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) shared[i][thread] = reducer.state(running[round + i]);
    __syncthreads();
    for (int first = 0; first < outputs; first += threads / neighbours) {
      const int place = first + thread / neighbours;
      const int lane = place % lanes, i = min(place / lanes, kAtOnce - 1);
      int group = thread % neighbours;
      State state = shared[i][group * lanes + lane];
      while ((group += neighbours) < groups) state = reducer.combine(state, shared[i][group * lanes + lane]);
      state = warp_reduce(state, [&](const auto& a, const auto& b) { return reducer.combine(a, b); }, neighbours);
      if (thread % neighbours == 0 && place < outputs && first_unit + lane < args.kept.count) {
        write_result<kPack>(reducer, args, state, first_unit + lane, round + i);
      }
    }
  }
}

// Joins the chunks of each output. Block (lanes, outputs): a warp for each output, or all of the block.
template <class Reducer>
__global__ void __launch_bounds__(kReductionBlock)
    reduce_chunks(Reducer reducer, const typename Reducer::State* partial, int64_t chunks,
                  Axes<Reducer::kInputs + 1> kept) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool active = row < kept.count;
  const int64_t output = active ? row : kept.count - 1;
  partial += output * chunks;
  const auto combine = [&](const auto& a, const auto& b) { return reducer.combine(a, b); };
  const auto none = total_of(reducer, reducer.state(reducer.running()));
  auto total = none;
  for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x) total = combine(total, total_of(reducer, partial[i]));
  total = blockDim.x == kWarp ? warp_reduce(total, combine) : block_reduce(total, none, combine);
  if (threadIdx.x != 0 || !active) return;
  int64_t start[Reducer::kInputs + 1];
  kept.offsets(output, start);
  reducer.finish(total, output, start[Reducer::kInputs]);
}

// Reduces the axes with a bit in `axes`. `y` has the layout of the results (its sizes along reduced axes do not matter). Outputs
// are numbered, and with `ordered` elements are too, in row-major order; without, in the order of memory.
template <class Reducer>
void run_reduction(CudaContext& ctx, const Command& cmd, const Reducer& reducer,
                   const TensorView* const (&inputs)[Reducer::kInputs], const TensorView& y, uint32_t axes,
                   bool ordered_outputs, bool ordered) {
  using T = typename Reducer::Element;
  constexpr int kInputs = Reducer::kInputs, kPack = kPackSize<T>;
  const TensorView* views[kInputs + 1];
  for (int k = 0; k < kInputs; ++k) views[k] = inputs[k];
  views[kInputs] = &y;
  ReductionArguments<Reducer> args{};
  args.kept = axes_of(views, all_axes(*inputs[0]) & ~axes, !ordered_outputs);
  args.reduced = axes_of(inputs, axes, !ordered);
  const Axes<kInputs + 1> outputs = args.kept;
  if (outputs.count == 0) return;
  bool aligned = true;
  for (int k = 0; k < kInputs; ++k) {
    args.x[k] = inputs[k]->template as<T>();
    aligned = aligned && is_aligned<T>(inputs[k]->data, kPack);
  }

  Axes<kInputs + 1>& kept = args.kept;
  Axes<kInputs>& reduced = args.reduced;
  bool columns_packed = kept.rank > 0;
  for (int k = 0; k < kInputs; ++k) columns_packed = columns_packed && kept.strides[k][0] == 1;
  const bool by_rows = reduced.rank > 0 && (kept.rank == 0 || reduced.is_packed() ||
                                            (!columns_packed && reduced.strides[0][0] <= kept.strides[0][0]));
  bool packs = aligned && (by_rows ? reduced.is_packed() && reduced.shape[0] % kPack == 0
                                   : columns_packed && kept.shape[0] % kPack == 0);
  for (int k = 0; k < kInputs; ++k) {
    packs =
        packs && kept.keeps_alignment(k, kPack, by_rows ? 0 : 1) && reduced.keeps_alignment(k, kPack, by_rows ? 1 : 0);
  }
  if (packs && by_rows) reduced.step_inner(kPack);
  if (packs && !by_rows) kept.step_inner(kPack);

  const auto launch = [&]<int kElements>(std::integral_constant<int, kElements>) {
    constexpr bool kLine = kElements > 1;
    const bool line = kLine && reduced.rank == 1;
    const int blocks_at_once = by_rows || !kIsLean<Reducer> ? kReductionBlocks
                               : line                       ? kColumnBlocks<Reducer, kLine>
                                                            : kColumnBlocks<Reducer, false>;
    const ReductionShape shape = shape_reduction(kept.count, reduced.count, by_rows, kReductionUnroll<kElements>,
                                                 int64_t{blocks_at_once} * ctx.device().multiprocessors,
                                                 longest_share<Reducer>() / (by_rows ? kElements : 1));
    args.chunk = shape.chunk;
    if (shape.chunks > 1) args.partial = ctx.template scratch<typename Reducer::State>(outputs.count * shape.chunks);
    const dim3 grid(static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.chunks));
    const dim3 block(shape.lanes, shape.groups);
    const auto run = [&](auto kernel) { ctx.launch(cmd, kernel, grid, block, 0, reducer, args); };
    if (by_rows) run(reduce_rows<kElements, Reducer>);
    else if (line) run(reduce_columns<kElements, kLine, Reducer>);
    else run(reduce_columns<kElements, false, Reducer>);
    if (shape.chunks > 1) {
      const unsigned lanes = shape.chunks > 4 * kWarp ? kReductionBlock : kWarp;
      const dim3 chunk_block(lanes, kReductionBlock / lanes);
      ctx.launch(cmd, reduce_chunks<Reducer>, blocks_for(outputs.count, chunk_block.y), chunk_block, 0, reducer,
                 args.partial, shape.chunks, outputs);
    }
  };
  if (packs) launch(std::integral_constant<int, kPack>());
  else launch(std::integral_constant<int, 1>());
}

// The axes along which a reduction's output has size 1, but not its input.
inline uint32_t reduced_axes(const TensorView& x, const TensorView& y) {
  uint32_t axes = 0;
  for (int axis = 0; axis < x.rank; ++axis) {
    if (x.shape[axis] != y.shape[axis]) axes |= 1u << axis;
  }
  return axes;
}

}  // namespace hadal::cuda
