// Gradients of scaled dot-product attention. The probabilities are computed again from the log-sum-exp, tile by tile:
//   P = exp(q·kᵀ·scale + mask − lse),  D = Σ g·y of a row,  dS = P · (g·vᵀ − D)
//   gv = Pᵀ·g,  gk = dSᵀ·q · scale,  gq = dS·k · scale
// Nothing is added to in an order that is open, so results repeat. 16-bit floats go to cuDNN (attention_cudnn.cu) or to tensor cores
// (device/attention_tiles.cuh); here are the statistics of the queries, for all but cuDNN, and the products in plain arithmetic, for
// float32 and float64 and for heads of any size, where each gradient is summed by the block that owns its rows.
#include "cuda/device/attention.cuh"
#include "cuda/device/row.cuh"
#include "cuda/device/slice.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

constexpr int kQueryThreads = 8, kStatisticsBlock = 256;
static_assert(kQueryPadding * kQueryThreads % kStatisticsBlock == 0);

// kQueryThreads threads per query, padded ones too. kWhole: elements are read 16 bytes at a time. Writes =.
template <class T, bool kWhole>
__global__ void __launch_bounds__(kStatisticsBlock)
    query_statistics(Heads<const T> g, Heads<const T> y, Heads<const Compute<T>> lse, int64_t h, int64_t t, int64_t dv,
                     QueryStatistics<Compute<T>> to) {
  using C = Compute<T>;
  constexpr int kPacked = kWhole ? kPackSize<T> : 1;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kQueryThreads;
  const int thread = static_cast<int>(threadIdx.x) % kQueryThreads;
  const int64_t query = at % to.padded, head = at / to.padded % h, batch = at / to.padded / h;
  C dot = 0, value = std::numeric_limits<C>::infinity();
  if (query < t) {
    const T *left = g.at(batch, head) + query * g.row, *right = y.at(batch, head) + query * y.row;
    for (int64_t i = thread * kPacked; i < dv; i += kQueryThreads * kPacked) {
      if constexpr (kWhole) {
        const auto a = load_pack<kPacked>(left + i), b = load_pack<kPacked>(right + i);
#pragma unroll
        for (int e = 0; e < kPacked; ++e) dot += load_element(a.at[e]) * load_element(b.at[e]);
      } else {
        dot += load_element(left[i * g.column]) * load_element(right[i * y.column]);
      }
    }
    const C sum = lse.at(batch, head)[query * lse.row];
    if (sum != negative_infinity<C>()) value = sum * static_cast<C>(kLog2E);
  }
  dot = warp_reduce(dot, Plus(), kQueryThreads);
  if (thread != 0) return;
  to.lse[at] = value;
  to.dot[at] = dot;
  if (at % kQueryTile == 0) to.turns[1 + at / kQueryTile] = 0;
  if (at == 0) to.turns[0] = 0;
}

enum class Gradient { kQueries, kKeys, kValues };

template <class T>
struct PlainBackward {
  Heads<const T> g, q, k, v;
  QueryStatistics<Compute<T>> statistics;
  Heads<T> result;
  AttentionSizes sizes;
  ScoreKernelRules<Compute<T>> rules;
  Compute<T> scale;  // of the result
  TileOrder order;
};

template <int kBlocks, class T>
struct PlainShared {
  using C = Compute<T>;
  Slice<C> a_slice[kSlice], b_slice[kSlice];
  Slice<C> weights[kTile];  // [other][own]
  C others[kSlice][16 * kBlocks];
};

// A block owns kTile rows (queries, or keys of one head) and 16 · kBlocks columns of their gradient, and passes over the other
// side, kTile at a time: it makes P or dS of the tile, and adds its product with the other side's rows. Writes =.
template <class T, Gradient kGradient, int kBlocks>
__global__ void __launch_bounds__(kTileBlock) plain_gradient(PlainBackward<T> g) {
  using C = Compute<T>;
  constexpr bool kOwnsQueries = kGradient == Gradient::kQueries;
  extern __shared__ uint4 plain_shared[];
  auto& shared = *reinterpret_cast<PlainShared<kBlocks, T>*>(plain_shared);
  const AttentionSizes& n = g.sizes;
  const int row = static_cast<int>(threadIdx.x) / 16, column = static_cast<int>(threadIdx.x) % 16;
  const int64_t own_count = kOwnsQueries ? n.t : n.s, other_count = kOwnsQueries ? n.s : n.t;
  int batch, own_head, tile;
  g.order.place(blockIdx.x, batch, own_head, tile);
  const int64_t first = int64_t{kOwnsQueries ? tile : g.order.tiles - 1 - tile} * kTile;
  const int64_t result_first = static_cast<int64_t>(blockIdx.y) * 16 * kBlocks;
  const int64_t result_columns = kGradient == Gradient::kValues ? n.dv : n.d;
  const int64_t sharing = n.h / n.hk;
  const int64_t key_head = kOwnsQueries ? own_head / sharing : own_head;
  const T *k = g.k.at(batch, key_head), *v = g.v.at(batch, key_head);

  const int64_t begin = !kOwnsQueries && g.rules.causal ? first : 0;
  const int64_t end = kOwnsQueries && g.rules.causal ? min(n.s, first + kTile) : other_count;
  C results[4][kBlocks] = {};
  for (int64_t turn = 0; turn < (kOwnsQueries ? 1 : sharing); ++turn) {
    const int64_t head = kOwnsQueries ? own_head : key_head * sharing + turn;
    const T *q = g.q.at(batch, head), *gradient = g.g.at(batch, head);
    const int64_t mask = g.rules.mask_place(batch, head);
    const C* lse = g.statistics.lse + (batch * n.h + head) * g.statistics.padded;
    const C* dot = g.statistics.dot + (batch * n.h + head) * g.statistics.padded;
    const Heads<const T>& summed_heads = kGradient == Gradient::kQueries ? g.k
                                         : kGradient == Gradient::kKeys  ? g.q
                                                                         : g.g;
    const T* summed = kGradient == Gradient::kQueries ? k : kGradient == Gradient::kKeys ? q : gradient;
    for (int64_t other_first = begin; other_first < end; other_first += kTile) {
      C scores[4][4], differences[4][4];
      if constexpr (kOwnsQueries) {
        multiply_tiles(q, first, n.t, g.q.row, g.q.column, k, other_first, n.s, g.k.row, g.k.column, n.d,
                       shared.a_slice, shared.b_slice, scores);
      } else {
        multiply_tiles(k, first, n.s, g.k.row, g.k.column, q, other_first, n.t, g.q.row, g.q.column, n.d,
                       shared.a_slice, shared.b_slice, scores);
      }
      if constexpr (kGradient == Gradient::kQueries) {
        multiply_tiles(gradient, first, n.t, g.g.row, g.g.column, v, other_first, n.s, g.v.row, g.v.column, n.dv,
                       shared.a_slice, shared.b_slice, differences);
      } else if constexpr (kGradient == Gradient::kKeys) {
        multiply_tiles(v, first, n.s, g.v.row, g.v.column, gradient, other_first, n.t, g.g.row, g.g.column, n.dv,
                       shared.a_slice, shared.b_slice, differences);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int64_t own = first + row + 16 * i, other = other_first + column + 16 * j;
          const int64_t query = kOwnsQueries ? own : other, key = kOwnsQueries ? other : own;
          C weight = 0;
          if (query < n.t && key < n.s && !(g.rules.causal && key > query)) {
            C score = scores[i][j] * g.rules.scale;
            if (g.rules.mask.data != nullptr) score = g.rules.masked(score, mask, query, key);
            weight = exp2(score - lse[query]);
            const C kept = g.rules.drops ? g.rules.kept(((batch * n.h + head) * n.t + query) * n.s + key) : C(1);
            weight *= kGradient == Gradient::kValues ? kept : differences[i][j] * kept - dot[query];
          }
          shared.weights[column + 16 * j][row + 16 * i] = weight;
        }
      }
      for (int slice = 0; slice < kTile; slice += kSlice) {
        __syncthreads();  // the weights are written, the last rows read
        for (int at = static_cast<int>(threadIdx.x); at < kSlice * 16 * kBlocks; at += kTileBlock) {
          const int64_t other = other_first + slice + at / (16 * kBlocks), to = result_first + at % (16 * kBlocks);
          shared.others[at / (16 * kBlocks)][at % (16 * kBlocks)] =
              other < other_count && to < result_columns
                  ? load_element(summed[other * summed_heads.row + to * summed_heads.column])
                  : C(0);
        }
        __syncthreads();
#pragma unroll
        for (int other = 0; other < kSlice; ++other) {
          C weight[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) weight[i] = shared.weights[slice + other][row + 16 * i];
#pragma unroll
          for (int j = 0; j < kBlocks; ++j) {
            const C value = shared.others[other][column + 16 * j];
#pragma unroll
            for (int i = 0; i < 4; ++i) results[i][j] += weight[i] * value;
          }
        }
      }
      __syncthreads();  // the weights are read
    }
  }

  T* to = g.result.at(batch, own_head);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t own = first + row + 16 * i;
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      const int64_t at = result_first + column + 16 * j;
      if (own < own_count && at < result_columns) {
        to[own * g.result.row + at * g.result.column] = to_element<T>(results[i][j] * g.scale);
      }
    }
  }
}

// Whether rows can be read 16 bytes at a time.
template <class T>
bool is_whole(const TensorView& x) {
  constexpr int kPack = kPackSize<T>;
  bool whole = is_aligned<T>(x.data, kPack) && x.strides[3] == 1 && x.shape[3] % kPack == 0;
  for (int axis = 0; axis < 3; ++axis) whole = whole && (x.strides[axis] % kPack == 0 || x.shape[axis] <= 1);
  return whole;
}

template <class T>
QueryStatistics<Compute<T>> statistics_of(CudaContext& ctx, const Command& cmd, const AttentionSizes& sizes) {
  using C = Compute<T>;
  QueryStatistics<C> statistics;
  statistics.padded = (std::max<int64_t>(sizes.t, 1) + kQueryPadding - 1) / kQueryPadding * kQueryPadding;
  const int64_t queries = sizes.b * sizes.h * statistics.padded;
  statistics.lse = ctx.scratch<C>(queries);
  statistics.dot = ctx.scratch<C>(queries);
  statistics.turns = ctx.scratch<unsigned>(1 + queries / kQueryTile);
  const bool whole = is_whole<T>(cmd.input(0)) && is_whole<T>(cmd.input(5));
  ctx.launch(cmd, whole ? query_statistics<T, true> : query_statistics<T, false>,
             blocks_for(queries * kQueryThreads, kStatisticsBlock), kStatisticsBlock, 0, Heads<const T>(cmd.input(0)),
             Heads<const T>(cmd.input(5)), Heads<const C>(cmd.input(6)), sizes.h, sizes.t, sizes.dv, statistics);
  return statistics;
}

template <class T>
void run_plain(CudaContext& ctx, const Command& cmd, const AttentionSizes& sizes,
               const QueryStatistics<Compute<T>>& statistics) {
  using C = Compute<T>;
  ScoreRules rules(cmd, 4);
  if (sizes.d == 0) rules.scale = 0;  // 1 / √0 times scores of 0
  PlainBackward<T> g{Heads<const T>(cmd.input(0)),
                     Heads<const T>(cmd.input(1)),
                     Heads<const T>(cmd.input(2)),
                     Heads<const T>(cmd.input(3)),
                     statistics,
                     Heads<T>(),
                     sizes,
                     ScoreKernelRules<C>(rules),
                     static_cast<C>(rules.scale),
                     {}};
  const auto run = [&]<Gradient kGradient>() {
    const TensorView& result = cmd.output(static_cast<int>(kGradient));
    if (result.numel() == 0) return;
    g.result = Heads<T>(result);
    if (kGradient == Gradient::kValues) g.scale = 1;
    constexpr bool kOwnsQueries = kGradient == Gradient::kQueries;
    const int64_t tiles = (result.shape[2] + kTile - 1) / kTile, sharing = sizes.h / sizes.hk;
    const int64_t bytes = (kOwnsQueries ? sizes.s : sizes.t * sharing) * (sizes.d + sizes.dv) * int64_t{sizeof(T)};
    g.order = TileOrder::of(tiles, result.shape[1], sizes.b, kOwnsQueries ? sharing : 1, bytes, ctx.device().l2_bytes);
    const auto launch = [&]<int kBlocks>() {
      const dim3 grid(static_cast<unsigned>(g.order.blocks()), blocks_for(result.shape[3], 16 * kBlocks));
      ctx.launch(cmd, plain_gradient<T, kGradient, kBlocks>, grid, kTileBlock, sizeof(PlainShared<kBlocks, T>), g);
    };
    if (result.shape[3] <= 64) launch.template operator()<4>();
    else launch.template operator()<8>();
  };
  run.template operator()<Gradient::kQueries>();
  run.template operator()<Gradient::kKeys>();
  run.template operator()<Gradient::kValues>();
}

}  // namespace

HADAL_CUDA_KERNEL(attentionBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() {
    const AttentionSizes sizes(cmd.input(1), cmd.input(2), cmd.input(3));
    if (sizes.b * sizes.h == 0) return;
    if constexpr (sizeof(T) == 2) {
      if (attention_backward_by_cudnn(ctx, cmd)) return;
    }
    const QueryStatistics<Compute<T>> statistics = statistics_of<T>(ctx, cmd, sizes);
    if constexpr (sizeof(T) == 2) {
      if (attention_backward_on_tensor_cores<T>(ctx, cmd, statistics)) return;
    }
    run_plain<T>(ctx, cmd, sizes, statistics);
  });
}

}  // namespace hadal::cuda
