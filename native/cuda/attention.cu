// Scaled dot-product attention, forward: softmax(q·kᵀ·scale + mask) · v for q [b, h, t, d], k and v [b, hk, s, ·], where hk divides
// h, and the log-sum-exp of every query's scores. 16-bit floats go to cuDNN (attention_cudnn.cu) or to tensor cores
// (device/attention_tiles.cuh); here are the products in plain arithmetic, for float32 and float64, which keep all their digits, and
// for heads of any size.
//
// `causal` hides keys after the query's own position (counted from the top left, as tril). A query that sees no key gives zeros
// and a log-sum-exp of -inf. Dropout acts on the probabilities.
#include "cuda/device/attention.cuh"
#include "cuda/device/slice.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

template <class T>
struct PlainForward {
  Heads<const T> q, k, v;
  Heads<T> y;
  Heads<Compute<T>> lse;
  AttentionSizes sizes;
  ScoreKernelRules<Compute<T>> rules;
  TileOrder order;
};

// Columns of v that a block makes at once, in blocks of 16.
template <int kBlocks, class T>
struct PlainShared {
  using C = Compute<T>;
  Slice<C> a_slice[kSlice], b_slice[kSlice];
  Slice<C> weights[kTile];  // [key][query]
  C values[kSlice][16 * kBlocks];
};

// A block has kTile queries of one head and 16 · kBlocks columns of the result, and passes over the keys, kTile at a time, with a
// running maximum and sum of exponentials per query; the sums are each thread's own until the end. Writes =.
template <class T, int kBlocks>
__global__ void __launch_bounds__(kTileBlock) plain_attention(PlainForward<T> g) {
  using C = Compute<T>;
  extern __shared__ uint4 plain_shared[];
  auto& shared = *reinterpret_cast<PlainShared<kBlocks, T>*>(plain_shared);
  const AttentionSizes& n = g.sizes;
  const int row = static_cast<int>(threadIdx.x) / 16, column = static_cast<int>(threadIdx.x) % 16;
  int batch, head, tile;
  g.order.place(blockIdx.x, batch, head, tile);
  const int64_t first = int64_t{tile} * kTile;
  const int64_t value_first = static_cast<int64_t>(blockIdx.y) * 16 * kBlocks;
  const int64_t key_head = head / (n.h / n.hk);
  const T *q = g.q.at(batch, head), *k = g.k.at(batch, key_head), *v = g.v.at(batch, key_head);
  const int64_t mask = g.rules.mask_place(batch, head);

  C results[4][kBlocks] = {}, maximum[4], total[4] = {};
#pragma unroll
  for (int i = 0; i < 4; ++i) maximum[i] = negative_infinity<C>();
  const int64_t visible = g.rules.causal ? min(n.s, first + kTile) : n.s;
  for (int64_t key_first = 0; key_first < visible; key_first += kTile) {
    C scores[4][4];
    multiply_tiles(q, first, n.t, g.q.row, g.q.column, k, key_first, n.s, g.k.row, g.k.column, n.d, shared.a_slice,
                   shared.b_slice, scores);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t query = first + row + 16 * i;
      C largest = negative_infinity<C>();
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int64_t key = key_first + column + 16 * j;
        C score = scores[i][j] * g.rules.scale;
        if (key >= n.s || query >= n.t || (g.rules.causal && key > query)) score = negative_infinity<C>();
        else if (g.rules.mask.data != nullptr) score = g.rules.masked(score, mask, query, key);
        scores[i][j] = score;
        largest = score > largest ? score : largest;
      }
#pragma unroll
      for (int distance = 8; distance > 0; distance /= 2) {
        const C other = __shfl_xor_sync(kAllThreads, largest, distance);
        largest = other > largest ? other : largest;
      }
      const C now = largest > maximum[i] ? largest : maximum[i];
      const C shift = now == negative_infinity<C>() ? C(0) : now;
      const C decay = exp2(maximum[i] - shift);
      maximum[i] = now;
      total[i] *= decay;
#pragma unroll
      for (int j = 0; j < kBlocks; ++j) results[i][j] *= decay;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int64_t key = key_first + column + 16 * j;
        C weight = exp2(scores[i][j] - shift);
        total[i] += weight;
        if (g.rules.drops) weight *= g.rules.kept(((batch * n.h + head) * n.t + query) * n.s + key);
        shared.weights[column + 16 * j][row + 16 * i] = weight;
      }
    }
    for (int slice = 0; slice < kTile; slice += kSlice) {
      __syncthreads();  // the weights are written, the last values read
      for (int at = static_cast<int>(threadIdx.x); at < kSlice * 16 * kBlocks; at += kTileBlock) {
        const int64_t key = key_first + slice + at / (16 * kBlocks), to = value_first + at % (16 * kBlocks);
        shared.values[at / (16 * kBlocks)][at % (16 * kBlocks)] =
            key < n.s && to < n.dv ? load_element(v[key * g.v.row + to * g.v.column]) : C(0);
      }
      __syncthreads();
#pragma unroll
      for (int key = 0; key < kSlice; ++key) {
        C weight[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) weight[i] = shared.weights[slice + key][row + 16 * i];
#pragma unroll
        for (int j = 0; j < kBlocks; ++j) {
          const C value = shared.values[key][column + 16 * j];
#pragma unroll
          for (int i = 0; i < 4; ++i) results[i][j] += weight[i] * value;
        }
      }
    }
    __syncthreads();  // the weights are read
  }

  T* y = g.y.at(batch, head);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int distance = 8; distance > 0; distance /= 2) {
      total[i] += __shfl_xor_sync(kAllThreads, total[i], distance);
    }
    const int64_t query = first + row + 16 * i;
    if (query >= n.t) continue;
    const C factor = total[i] == C(0) ? C(0) : C(1) / total[i];
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      const int64_t to = value_first + column + 16 * j;
      if (to < n.dv) y[query * g.y.row + to * g.y.column] = to_element<T>(results[i][j] * factor);
    }
    if (blockIdx.y == 0 && column == 0) {
      g.lse.at(batch, head)[query * g.lse.row] = maximum[i] * static_cast<C>(kLn2) + log(total[i]);
    }
  }
}

template <class T>
void run_plain(CudaContext& ctx, const Command& cmd) {
  const AttentionSizes sizes(cmd.input(0), cmd.input(1), cmd.input(2));
  ScoreRules rules(cmd, 3);
  if (sizes.d == 0) rules.scale = 0;  // 1 / √0 times scores of 0
  const int64_t tiles = (sizes.t + kTile - 1) / kTile, sharing = sizes.h / std::max<int64_t>(sizes.hk, 1);
  const int64_t bytes = sizes.s * (sizes.d + sizes.dv) * static_cast<int64_t>(sizeof(T));
  const PlainForward<T> g{Heads<const T>(cmd.input(0)),
                          Heads<const T>(cmd.input(1)),
                          Heads<const T>(cmd.input(2)),
                          Heads<T>(cmd.output(0)),
                          Heads<Compute<T>>(cmd.output(1)),
                          sizes,
                          ScoreKernelRules<Compute<T>>(rules),
                          TileOrder::of(tiles, sizes.h, sizes.b, sharing, bytes, ctx.device().l2_bytes)};
  const auto launch = [&]<int kBlocks>() {
    const dim3 grid(static_cast<unsigned>(g.order.blocks()), std::max(blocks_for(sizes.dv, 16 * kBlocks), 1u));
    ctx.launch(cmd, plain_attention<T, kBlocks>, grid, kTileBlock, sizeof(PlainShared<kBlocks, T>), g);
  };
  if (sizes.dv <= 64) launch.template operator()<4>();
  else launch.template operator()<8>();
}

}  // namespace

HADAL_CUDA_KERNEL(attention) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    if (cmd.output(1).numel() == 0) return;
    if constexpr (sizeof(T) == 2) {
      if (attention_by_cudnn(ctx, cmd) || attention_on_tensor_cores<T>(ctx, cmd)) return;
    }
    run_plain<T>(ctx, cmd);
  });
}

}  // namespace hadal::cuda
