// Attention of 16-bit floats on tensor cores, forward and backward, after FlashAttention-2 (Dao, 2023) and, where products run beside
// the threads, FlashAttention-3 (Shah et al., 2024): scores exist only as sums in registers, from which they go straight into the
// second product. Instantiated per dtype by attention_bfloat16.cu and attention_float16.cu.
//
// A block owns rows (queries; keys for their gradients), 16 per warp, in shared memory, and passes over tiles of the other side,
// copied while the last tile is worked on. Products is what multiplies: WarpProducts, or WarpgroupProducts on sm_90a. Heads are
// padded to kDepth columns with zeros. Sums are in float; probabilities and their gradients are rounded to T for the second
// product. Everything is summed in the order of the tiles, by the block that owns it or, in joint_gradient, by blocks in turn.
#pragma once

#include "cuda/device/attention.cuh"
#include "cuda/device/tile.cuh"

namespace hadal::cuda {

// kRuled: a mask, dropout or a scale that is not positive. Without, the scale is part of the exponential.
template <class T_, template <class> class Products_, int kWarps_, int kDepth_, int kTileRows_, int kStages_,
          int kBlocks_, bool kRuled_>
struct TilesConfig {
  using T = T_;
  using Products = Products_<T>;
  static constexpr int kThreads = kWarps_ * kWarp;
  static constexpr int kRows = kWarps_ * 16;    // that a block owns
  static constexpr int kDepth = kDepth_;        // columns of a head
  static constexpr int kTileRows = kTileRows_;  // of the other side
  static constexpr int kStages = kStages_;      // tiles in shared memory: the one worked on, and the next
  static constexpr int kBlocks = kBlocks_;      // on a multiprocessor, at least
  static constexpr bool kRuled = kRuled_;
  static constexpr uint32_t kOwnBytes = kTileBytes<kRows, kDepth>;
  static constexpr uint32_t kOtherBytes = kTileBytes<kTileRows, kDepth>;
};

// Where a thread's elements of a sum are: rows row and row + 8, columns column + 8 i and the next.
struct Place {
  int row = static_cast<int>(threadIdx.x) / kWarp * 16 + static_cast<int>(threadIdx.x) % kWarp / 4;
  int column = static_cast<int>(threadIdx.x) % 4 * 2;
};

// Words of the four lanes of a quad, of a 4 × 4 matrix: lane l has column l, and gets row l.
__device__ __forceinline__ void transpose_quad(uint32_t (&words)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int distance = 1; distance <= 2; distance *= 2) {
    const bool upper = (lane & distance) != 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if ((i & distance) != 0) continue;
      uint32_t &low = words[i], &high = words[i + distance];
      const uint32_t got = __shfl_xor_sync(kAllThreads, upper ? low : high, distance);
      if (upper) low = got;
      else high = got;
    }
  }
}

// Writes factor · sum to rows below `rows` and columns below `columns`, 16 bytes at a time where `whole`. A whole warp calls.
template <class T, int kColumns>
__device__ __forceinline__ void write_sum(const Sum<kColumns>& sum, const float (&factor)[2], const Heads<T>& heads,
                                          T* to, bool whole, int first, int rows, int columns) {
  static_assert(kColumns % 32 == 0);
  const Place place;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + place.row + 8 * half;
    T* line = to + row * heads.row;
#pragma unroll
    for (int i = 0; i < kColumns / 8; i += 4) {
      uint32_t words[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float (&four)[4] = sum[i + k];
        words[k] = pack_pair<T>(four[2 * half] * factor[half], four[2 * half + 1] * factor[half]);
      }
      transpose_quad(words);
      const int column = 8 * i + 4 * place.column;  // a lane of a quad has one of its four units
      if (row >= rows) continue;
      if (whole) {
        if (column < columns) *reinterpret_cast<uint4*>(line + column) = uint4{words[0], words[1], words[2], words[3]};
        continue;
      }
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        T element;
        element.bits = static_cast<uint16_t>(words[k / 2] >> (k % 2 * 16));
        if (column + k < columns) line[(column + k) * heads.column] = element;
      }
    }
  }
}

// --- Forward -------------------------------------------------------------------------------------------------------------

template <class T>
struct TilesForward {
  Heads<const T> q, k, v;
  Heads<T> y;
  Heads<float> lse;
  bool whole;  // y can be written 16 bytes at a time
  int h, sharing, t, s, d, dv;
  ScoreKernelRules<float> rules;
  TileOrder order;
};

// What a thread's elements of the scores of a block's queries are.
struct ScoreRows {
  int row, warp_first;  // the first of its two queries, and of its warp's
  int64_t mask;         // where the mask of the head begins
  int64_t query;        // `row` among those of all heads
};

// Scales scores, and hides what a mask or the end of the keys hides.
template <class Config>
__device__ __forceinline__ void rule_scores(Sum<Config::kTileRows>& scores, const TilesForward<typename Config::T>& g,
                                            const ScoreRows& rows, int key_first) {
  const bool edge =
      key_first + Config::kTileRows > g.s || (g.rules.causal && key_first + Config::kTileRows - 1 > rows.warp_first);
  if (!Config::kRuled && !edge) return;
  const Place place;
#pragma unroll
  for (int i = 0; i < Config::kTileRows / 8; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int query = rows.row + e / 2 * 8, key = key_first + place.column + 8 * i + e % 2;
      float& score = scores[i][e];
      if constexpr (Config::kRuled) score *= g.rules.scale;
      if (key >= g.s || (g.rules.causal && key > query)) {
        score = negative_infinity<float>();
      } else if constexpr (Config::kRuled) {
        if (g.rules.mask.data != nullptr && query < g.t) score = g.rules.masked(score, rows.mask, query, key);
      }
    }
  }
}

// Of a thread's two queries: what is subtracted from scores, and this thread's part of the sum of exponentials.
struct RunningSoftmax {
  float maximum[2] = {negative_infinity<float>(), negative_infinity<float>()}, total[2] = {};
};

// By how many powers of two weights may exceed 1 before the maximum is raised, where products run beside the threads: sums in
// float keep their digits, and seldom have to be waited for and multiplied.
inline constexpr float kSlack = 8;

// Turns scores into the weights of values. Answers whether what was summed before is to be multiplied with `decay`, for a query of
// the warp.
template <class Config>
__device__ __forceinline__ bool weigh_scores(Sum<Config::kTileRows>& scores, RunningSoftmax& softmax, float (&decay)[2],
                                             const TilesForward<typename Config::T>& g, const ScoreRows& rows,
                                             int key_first) {
  const float factor = Config::kRuled ? 1.f : g.rules.scale;
  float shift[2];
  bool raised[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float &maximum = softmax.maximum[half], largest = maximum;
#pragma unroll
    for (int i = 0; i < Config::kTileRows / 8; ++i) {
      largest = fmaxf(largest, fmaxf(scores[i][2 * half], scores[i][2 * half + 1]));
    }
    largest = fmaxf(largest, __shfl_xor_sync(kAllThreads, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(kAllThreads, largest, 2));
    raised[half] = !Config::Products::kRunBeside || (largest - maximum) * factor > kSlack;
    if (!raised[half]) largest = maximum;
    shift[half] = largest == negative_infinity<float>() ? 0.f : largest * factor;
    decay[half] = raised[half] ? exp2_fast(maximum * factor - shift[half]) : 1.f;
    maximum = largest;
    softmax.total[half] *= decay[half];
  }
  const Place place;
#pragma unroll
  for (int i = 0; i < Config::kTileRows / 8; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float& weight = scores[i][e];
      weight = exp2_fast(weight * factor - shift[e / 2]);
      softmax.total[e / 2] += weight;
      if constexpr (Config::kRuled) {
        if (g.rules.drops) {
          weight *= g.rules.kept((rows.query + e / 2 * 8) * g.s + key_first + place.column + 8 * i + e % 2);
        }
      }
    }
  }
  return !Config::Products::kRunBeside || __ballot_sync(kAllThreads, raised[0] || raised[1]) != 0;
}

template <int kColumns>
__device__ __forceinline__ void multiply_rows(Sum<kColumns>& sum, const float (&factor)[2]) {
#pragma unroll
  for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[i][e] *= factor[e / 2];
  }
}

template <class T, int kDepth>
__device__ __forceinline__ void write_forward(const Sum<kDepth>& result, const RunningSoftmax& softmax,
                                              const TilesForward<T>& g, int batch, int head, int first, float factor) {
  const Place place;
  float inverse[2];
  float* lse = g.lse.at(batch, head);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float total = softmax.total[half];
    total += __shfl_xor_sync(kAllThreads, total, 1);
    total += __shfl_xor_sync(kAllThreads, total, 2);
    inverse[half] = total == 0 ? 0.f : 1 / total;
    const int query = first + place.row + 8 * half;
    if (place.column == 0 && query < g.t) {
      lse[query * g.lse.row] = softmax.maximum[half] * factor * static_cast<float>(kLn2) + logf(total);
    }
  }
  write_sum<T, kDepth>(result, inverse, g.y, g.y.at(batch, head), g.whole, first, g.t, g.dv);
}

template <class Config>
__global__ void __launch_bounds__(Config::kThreads, Config::kBlocks)
    tiles_attention(const __grid_constant__ TilesForward<typename Config::T> g) {
  using T = typename Config::T;
  using Products = typename Config::Products;
  constexpr int kRows = Config::kRows, kDepth = Config::kDepth, kTileRows = Config::kTileRows;
  constexpr int kThreads = Config::kThreads;
  constexpr uint32_t kStageBytes = 2 * Config::kOtherBytes;
  if constexpr (Products::kAvailable) {
    int batch, head, tile;
    g.order.place(blockIdx.x, batch, head, tile);
    const int first = tile * kRows;
    const T *k = g.k.at(batch, head / g.sharing), *v = g.v.at(batch, head / g.sharing);
    const uint32_t own = aligned_shared(), stages = own + Config::kOwnBytes;
    const auto copy_other = [&](int step) {
      const uint32_t stage = stages + step % Config::kStages * kStageBytes;
      copy_tile<kTileRows, kDepth, kThreads>(stage, k, g.k.row, step * kTileRows, g.s, g.d);
      copy_tile<kTileRows, kDepth, kThreads>(stage + Config::kOtherBytes, v, g.v.row, step * kTileRows, g.s, g.dv);
      copies_commit();
    };

    const int visible = g.rules.causal ? min(g.s, first + kRows) : g.s;
    const int steps = (visible + kTileRows - 1) / kTileRows;
    if (steps > 0) {
      copy_tile<kRows, kDepth, kThreads>(own, g.q.at(batch, head), g.q.row, first, g.t, g.d);
      copy_other(0);
    }

    const Place place;
    const ScoreRows rows{first + place.row, first + static_cast<int>(threadIdx.x) / kWarp * 16,
                         g.rules.mask_place(batch, head),
                         (static_cast<int64_t>(batch) * g.h + head) * g.t + first + place.row};
    Sum<kDepth> result = {};
    RunningSoftmax softmax;
    for (int step = 0; step < steps; ++step) {
      if (Config::kStages == 1 && step > 0) {
        __syncthreads();
        copy_other(step);
      }
      copies_wait();
      __syncthreads();  // this tile is there, and the last one is done with
      if (Config::kStages == 2 && step + 1 < steps) copy_other(step + 1);
      const uint32_t keys = stages + step % Config::kStages * kStageBytes, values = keys + Config::kOtherBytes;

      Sum<kTileRows> scores;
      Products::template multiply_transposed<kRows, kDepth, kTileRows>(scores, own, keys);
      float decay[2];
      rule_scores<Config>(scores, g, rows, step * kTileRows);
      weigh_scores<Config>(scores, softmax, decay, g, rows, step * kTileRows);
      multiply_rows<kDepth>(result, decay);
      Left<kTileRows> weights;
      to_left<T>(weights, scores);
      Products::template multiply<kTileRows, kDepth>(result, weights, values);
    }
    write_forward<T, kDepth>(result, softmax, g, batch, head, first, Config::kRuled ? 1.f : g.rules.scale);
  }
}

// The same by products that run beside the threads. While the exponentials of a tile are taken, the values of the last one are
// multiplied with their weights; keys are a tile ahead of values.
template <class Config>
__global__ void __launch_bounds__(Config::kThreads, Config::kBlocks)
    overlapped_attention(const __grid_constant__ TilesForward<typename Config::T> g) {
  using T = typename Config::T;
  using Products = typename Config::Products;
  constexpr int kRows = Config::kRows, kDepth = Config::kDepth, kTileRows = Config::kTileRows;
  constexpr int kThreads = Config::kThreads;
  if constexpr (Products::kAvailable) {
    int batch, head, tile;
    g.order.place(blockIdx.x, batch, head, tile);
    const int first = tile * kRows;
    const T *k = g.k.at(batch, head / g.sharing), *v = g.v.at(batch, head / g.sharing);
    const uint32_t own = aligned_shared();
    const auto keys = [&](int step) { return own + Config::kOwnBytes + step % 2 * Config::kOtherBytes; };
    const auto values = [&](int step) { return keys(step) + 2 * Config::kOtherBytes; };
    const auto copy_keys = [&](int step) {
      copy_tile<kTileRows, kDepth, kThreads>(keys(step), k, g.k.row, step * kTileRows, g.s, g.d);
    };
    const auto copy_values = [&](int step) {
      copy_tile<kTileRows, kDepth, kThreads>(values(step), v, g.v.row, step * kTileRows, g.s, g.dv);
    };

    const Place place;
    const ScoreRows rows{first + place.row, first + static_cast<int>(threadIdx.x) / kWarp * 16,
                         g.rules.mask_place(batch, head),
                         (static_cast<int64_t>(batch) * g.h + head) * g.t + first + place.row};
    Sum<kDepth> result = {};
    RunningSoftmax softmax;
    const int visible = g.rules.causal ? min(g.s, first + kRows) : g.s;
    const int last = (visible + kTileRows - 1) / kTileRows - 1;
    if (last >= 0) {
      copy_tile<kRows, kDepth, kThreads>(own, g.q.at(batch, head), g.q.row, first, g.t, g.d);
      copy_keys(0);
      copies_commit();
      if (last > 0) copy_keys(1);
      copy_values(0);
      copies_commit();
      copies_wait<1>();
      Products::make_visible();
      __syncthreads();

      Sum<kTileRows> scores;
      Left<kTileRows> weights;
      float decay[2];
      Products::begin();
      Products::template multiply_transposed<kRows, kDepth, kTileRows>(scores, own, keys(0));
      Products::commit();
      Products::template wait<0>(scores);
      rule_scores<Config>(scores, g, rows, 0);
      weigh_scores<Config>(scores, softmax, decay, g, rows, 0);
      to_left<T>(weights, scores);
      for (int step = 1; step <= last; ++step) {
        copies_wait();
        Products::make_visible();
        __syncthreads();  // these keys and the last values are there, and what was before them is done with
        Products::begin();
        Products::template multiply_transposed<kRows, kDepth, kTileRows>(scores, own, keys(step));
        Products::commit();
        Products::template multiply<kTileRows, kDepth>(result, weights, values(step - 1));
        Products::commit();
        if (step < last) copy_keys(step + 1);
        copy_values(step);
        copies_commit();
        Products::template wait<1>(scores);
        rule_scores<Config>(scores, g, rows, step * kTileRows);
        // The branch also keeps the compiler from waiting before it takes the exponentials.
        if (weigh_scores<Config>(scores, softmax, decay, g, rows, step * kTileRows)) {
          Products::template wait<0>(result);
          multiply_rows<kDepth>(result, decay);
        }
        Products::template wait<0>(result);
        to_left<T>(weights, scores);
      }
      copies_wait();
      Products::make_visible();
      __syncthreads();
      Products::begin();
      Products::template multiply<kTileRows, kDepth>(result, weights, values(last));
      Products::commit();
      Products::template wait<0>(result);
    }
    write_forward<T, kDepth>(result, softmax, g, batch, head, first, Config::kRuled ? 1.f : g.rules.scale);
  }
}

// --- Backward ------------------------------------------------------------------------------------------------------------

template <class T>
struct TilesBackward {
  Heads<const T> q, k, v, g;
  QueryStatistics<float> statistics;
  Heads<T> gq, gk, gv;
  bool whole;  // the results can be written 16 bytes at a time
  int h, hk, t, s, d, dv;
  float scale;
  ScoreKernelRules<float> rules;
  TileOrder order;  // of blocks, but for joint_gradient's
  float* sums;      // of joint_gradient, for the queries
};

__device__ __forceinline__ float element(const float4& four, int e) {
  return e == 0 ? four.x : e == 1 ? four.y : e == 2 ? four.z : four.w;
}

// Starts to copy the statistics of a tile of queries: all lse, then all D. Threads below kTileRows / 2 do something.
template <int kTileRows, class T>
__device__ __forceinline__ void copy_statistics(uint32_t to, const TilesBackward<T>& g, int batch, int head, int row,
                                                int thread) {
  if (thread >= 2 * kTileRows / 4) return;
  const int at = thread * 4;
  const int64_t query = (static_cast<int64_t>(batch) * g.h + head) * g.statistics.padded + row + at % kTileRows;
  copy_async(to + at * 4, (at < kTileRows ? g.statistics.lse : g.statistics.dot) + query, true);
}

// Where a sum of scores lies: queries by keys of a head of queries, or keys by queries (kOfKeys).
struct ScoreTile {
  int batch, head;
  int row, warp_first;  // the first of a thread's two rows, and of its warp's
  int column_first;
};

// The statistics of the queries that a thread's elements in block i of a sum are of: of its rows,
struct RowStatistics {
  float own_lse[2], own_dot[2];
  __device__ __forceinline__ float4 lse(int) const { return {own_lse[0], own_lse[0], own_lse[1], own_lse[1]}; }
  __device__ __forceinline__ float4 dot(int) const { return {own_dot[0], own_dot[0], own_dot[1], own_dot[1]}; }
};
// or of its columns, which lie in shared memory.
template <int kTileRows>
struct ColumnStatistics {
  uint32_t tile;
  __device__ __forceinline__ float4 lse(int i) const { return at(i, 0); }
  __device__ __forceinline__ float4 dot(int i) const { return at(i, kTileRows); }

 private:
  __device__ __forceinline__ float4 at(int i, int first) const {
    const float2 pair = load_shared<float2>(tile + (first + Place().column + 8 * i) * 4);
    return {pair.x, pair.y, pair.x, pair.y};
  }
};

// or of its columns, read ahead of their use.
template <int kTileRows>
struct HeldStatistics {
  float2 lse_pairs[kTileRows / 8], dot_pairs[kTileRows / 8];
  __device__ __forceinline__ float4 lse(int i) const { return twice(lse_pairs[i]); }
  __device__ __forceinline__ float4 dot(int i) const { return twice(dot_pairs[i]); }
  __device__ __forceinline__ void read_lse(uint32_t tile) { read(lse_pairs, tile); }
  __device__ __forceinline__ void read_dot(uint32_t tile) { read(dot_pairs, tile + kTileRows * 4); }

 private:
  __device__ __forceinline__ static float4 twice(const float2& pair) { return {pair.x, pair.y, pair.x, pair.y}; }
  __device__ __forceinline__ static void read(float2 (&pairs)[kTileRows / 8], uint32_t from) {
    const uint32_t own = from + Place().column * 4;
#pragma unroll
    for (int i = 0; i < kTileRows / 8; ++i) pairs[i] = load_shared<float2>(own + i * 32);
  }
};

// Turns scores into probabilities; negative ones are dropped, but still have a slope.
template <class Config, bool kOfKeys, class Statistics>
__device__ __forceinline__ void to_probabilities(Sum<Config::kTileRows>& scores,
                                                 const TilesBackward<typename Config::T>& g, const ScoreTile& tile,
                                                 const Statistics& statistics) {
  constexpr int kTileRows = Config::kTileRows;
  const Place place;
  const auto is_hidden = [&](int query, int key) { return key >= g.s || (g.rules.causal && key > query); };
  const int rows_end = tile.warp_first + 16, columns_end = tile.column_first + kTileRows;
  const bool edge =
      (kOfKeys ? rows_end : columns_end) > g.s ||
      (g.rules.causal && (kOfKeys ? rows_end - 1 > tile.column_first : columns_end - 1 > tile.warp_first));
#pragma unroll
  for (int i = 0; i < kTileRows / 8; ++i) {
    const float4 lse = statistics.lse(i);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      float& weight = scores[i][e];
      const int row = tile.row + e / 2 * 8, column = tile.column_first + place.column + 8 * i + e % 2;
      const int query = kOfKeys ? column : row, key = kOfKeys ? row : column;
      weight *= g.rules.scale;
      if constexpr (Config::kRuled) {
        if (g.rules.mask.data != nullptr && query < g.t && key < g.s) {
          weight = g.rules.masked(weight, g.rules.mask_place(tile.batch, tile.head), query, key);
        }
      }
      weight = exp2_fast(weight - element(lse, e));
      if constexpr (Config::kRuled) {
        if (edge && is_hidden(query, key)) weight = 0;
        if (g.rules.drops) {
          const int64_t at = ((static_cast<int64_t>(tile.batch) * g.h + tile.head) * g.t + query) * g.s + key;
          if (g.rules.kept(at) == 0) weight = -weight;
        }
      }
    }
  }
  // A branch of its own: the compiler would otherwise wait for the slopes before it takes the exponentials.
  if (!Config::kRuled && edge) {
#pragma unroll
    for (int i = 0; i < kTileRows / 8; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = tile.row + e / 2 * 8, column = tile.column_first + place.column + 8 * i + e % 2;
        if (is_hidden(kOfKeys ? column : row, kOfKeys ? row : column)) scores[i][e] = 0;
      }
    }
  }
}

// The weights of values: probabilities that are kept, as a left factor.
template <class Config>
__device__ __forceinline__ void to_weights(Left<Config::kTileRows>& weights,
                                           const Sum<Config::kTileRows>& probabilities,
                                           const TilesBackward<typename Config::T>& g) {
  if constexpr (Config::kRuled) {
    const float kept_scale = g.rules.drops ? g.rules.kept_scale : 1.f;
    Sum<Config::kTileRows> kept;
#pragma unroll
    for (int i = 0; i < Config::kTileRows / 8; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float probability = probabilities[i][e];
        kept[i][e] = signbit(probability) ? 0.f : probability * kept_scale;
      }
    }
    to_left<typename Config::T>(weights, kept);
  } else {
    to_left<typename Config::T>(weights, probabilities);
  }
}

// The slopes of the scores, dS, as a left factor: `slopes` are those of the weights, g·v.
template <class Config, class Statistics>
__device__ __forceinline__ void to_slopes(Left<Config::kTileRows>& left, Sum<Config::kTileRows>& slopes,
                                          const Sum<Config::kTileRows>& probabilities,
                                          const TilesBackward<typename Config::T>& g, const Statistics& statistics) {
  const float kept_scale = Config::kRuled && g.rules.drops ? g.rules.kept_scale : 1.f;
#pragma unroll
  for (int i = 0; i < Config::kTileRows / 8; ++i) {
    const float4 dot = statistics.dot(i);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float probability = probabilities[i][e];
      float& slope = slopes[i][e];
      if constexpr (Config::kRuled) {
        slope = fabsf(probability) * ((signbit(probability) ? 0.f : slope * kept_scale) - element(dot, e));
      } else {
        slope = probability * (slope - element(dot, e));
      }
    }
  }
  to_left<typename Config::T>(left, slopes);
}

// By products of warps, seven in two kernels: the gradients of the keys' side (kOfKeys: of keys, values, or both) or of the queries.
// The block's rows are one pair of tiles (k and v, or q and g), the other side's another; with rows r and columns c of either side,
//   P[r, c] = exp(score − lse),  dS[r, c] = P · (g·v − D)
// are sums in registers, and the left factors of gv += P·g, gk += dS·q or gq += dS·k.
template <class Config, bool kOfKeys, bool kWantsValues, bool kWantsScores>
__global__ void __launch_bounds__(Config::kThreads, Config::kBlocks)
    tiles_gradient(const __grid_constant__ TilesBackward<typename Config::T> g) {
  using T = typename Config::T;
  using Products = typename Config::Products;
  constexpr int kRows = Config::kRows, kDepth = Config::kDepth, kTileRows = Config::kTileRows;
  constexpr int kThreads = Config::kThreads;
  // Two tiles, and for queries on the other side their statistics.
  constexpr uint32_t kStatisticsBytes = kOfKeys ? 2 * kTileRows * 4 : 0;
  constexpr uint32_t kTilesBytes = 2 * Config::kOtherBytes;
  if constexpr (Products::kAvailable) {
    const int own_count = kOfKeys ? g.s : g.t, other_count = kOfKeys ? g.t : g.s;
    const int sharing = g.h / g.hk;
    int batch, own_head, tile;
    g.order.place(blockIdx.x, batch, own_head, tile);
    const int first = (kOfKeys ? g.order.tiles - 1 - tile : tile) * kRows;
    const uint32_t own = aligned_shared(), own_second = own + Config::kOwnBytes;
    const uint32_t stages = own_second + Config::kOwnBytes;
    const uint32_t statistics = stages + Config::kStages * kTilesBytes;

    // Tiles of the other side: of one head, or of all the heads of queries that share the keys, one after another.
    const int begin = kOfKeys && g.rules.causal ? first / kTileRows : 0;
    const int end_row = !kOfKeys && g.rules.causal ? min(other_count, first + kRows) : other_count;
    const int pass = max((end_row + kTileRows - 1) / kTileRows - begin, 0);
    const int steps = kOfKeys ? pass * sharing : pass;
    const auto copy_other = [&](int step) {
      const uint32_t stage = stages + step % Config::kStages * kTilesBytes;
      const int head = kOfKeys ? own_head * sharing + step / pass : own_head / sharing;
      const int row = (begin + (kOfKeys ? step % pass : step)) * kTileRows;
      const Heads<const T>&one = kOfKeys ? g.q : g.k, &two = kOfKeys ? g.g : g.v;
      copy_tile<kTileRows, kDepth, kThreads>(stage, one.at(batch, head), one.row, row, other_count, g.d);
      copy_tile<kTileRows, kDepth, kThreads>(stage + Config::kOtherBytes, two.at(batch, head), two.row, row,
                                             other_count, g.dv);
      if constexpr (kOfKeys) {
        copy_statistics<kTileRows>(statistics + step % Config::kStages * kStatisticsBytes, g, batch, head, row,
                                   static_cast<int>(threadIdx.x));
      }
      copies_commit();
    };
    const Heads<const T>&own_one = kOfKeys ? g.k : g.q, &own_two = kOfKeys ? g.v : g.g;
    if (steps > 0) {
      copy_tile<kRows, kDepth, kThreads>(own, own_one.at(batch, own_head), own_one.row, first, own_count, g.d);
      copy_tile<kRows, kDepth, kThreads>(own_second, own_two.at(batch, own_head), own_two.row, first, own_count, g.dv);
      copy_other(0);
    }

    const Place place;
    const int warp_first = first + static_cast<int>(threadIdx.x) / kWarp * 16;
    RowStatistics own_statistics;
    if constexpr (!kOfKeys) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t head_first = (static_cast<int64_t>(batch) * g.h + own_head) * g.statistics.padded;
        const int64_t at = head_first + min(first + place.row + 8 * half, static_cast<int>(g.statistics.padded) - 1);
        own_statistics.own_lse[half] = g.statistics.lse[at];
        own_statistics.own_dot[half] = g.statistics.dot[at];
      }
    }

    Sum<kWantsValues ? kDepth : 8> value_result = {};
    Sum<kWantsScores ? kDepth : 8> score_result = {};
    for (int step = 0; step < steps; ++step) {
      if (Config::kStages == 1 && step > 0) {
        __syncthreads();
        copy_other(step);
      }
      copies_wait();
      __syncthreads();  // this tile is there, and the last one is done with
      if (Config::kStages == 2 && step + 1 < steps) copy_other(step + 1);
      const uint32_t other = stages + step % Config::kStages * kTilesBytes, other_second = other + Config::kOtherBytes;
      const ScoreTile tile_of_scores{batch, kOfKeys ? own_head * sharing + step / pass : own_head, first + place.row,
                                     warp_first, (begin + (kOfKeys ? step % pass : step)) * kTileRows};
      const auto of_queries = [&] {
        if constexpr (!kOfKeys) return own_statistics;
        else return ColumnStatistics<kTileRows>{statistics + step % Config::kStages * kStatisticsBytes};
      }();

      Sum<kTileRows> scores, slopes;
      Products::template multiply_transposed<kRows, kDepth, kTileRows>(scores, own, other);
      if constexpr (kWantsScores) {
        Products::template multiply_transposed<kRows, kDepth, kTileRows>(slopes, own_second, other_second);
      }
      to_probabilities<Config, kOfKeys>(scores, g, tile_of_scores, of_queries);
      Left<kTileRows> left;
      if constexpr (kWantsValues) {
        to_weights<Config>(left, scores, g);
        Products::template multiply<kTileRows, kDepth>(value_result, left, other_second);
      }
      if constexpr (kWantsScores) {
        to_slopes<Config>(left, slopes, scores, g, of_queries);
        Products::template multiply<kTileRows, kDepth>(score_result, left, other);
      }
    }

    if constexpr (kWantsValues) {
      const float one[2] = {1, 1};
      write_sum<T, kDepth>(value_result, one, g.gv, g.gv.at(batch, own_head), g.whole, first, own_count, g.dv);
    }
    if constexpr (kWantsScores) {
      const float scale[2] = {g.scale, g.scale};
      const Heads<T>& to = kOfKeys ? g.gk : g.gq;
      write_sum<T, kDepth>(score_result, scale, to, to.at(batch, own_head), g.whole, first, own_count, g.d);
    }
  }
}

// Of joint_gradient: two warpgroups multiply, and of the warps of a third two copy and two add.
template <class Config>
struct JointConfig : Config {
  static constexpr int kMultipliers = Config::kThreads, kWarpgroup = kMultipliers / 2, kCopiers = 2 * kWarp,
                       kAdders = 2;  // adders are warps
  static constexpr int kThreads = kMultipliers + kCopiers + kAdders * kWarp;
  // Registers of a thread: the 168 that all have at first are shared out anew.
  static constexpr int kMultiplierRegisters = Config::kDepth == 64 ? 232 : 240,
                       kOtherRegisters = Config::kDepth == 64 ? 40 : 24;
  static constexpr uint32_t kTilesBytes = 2 * Config::kOtherBytes, kStatisticsBytes = 2 * Config::kTileRows * 4;
  static constexpr uint32_t kSlopesBytes = kTileBytes<Config::kRows, Config::kTileRows>;
  static constexpr int kSumSize =
      Config::kTileRows * Config::kDepth;  // of a sum for queries, which one warpgroup makes
  static constexpr uint32_t kSumBytes = kSumSize * 4;
  static constexpr size_t kShared = 2 * Config::kOwnBytes + Config::kStages * (kTilesBytes + kStatisticsBytes) +
                                    2 * kSlopesBytes + kAdders * kSumBytes + kSharedSlack;
  static_assert(kMultipliers == 256 && kThreads == 384 && Config::kTileRows == 64 && kShared <= (227 << 10) - 16);
};

// The three gradients by five products of warpgroups. A block owns keys and passes over queries as above, but dSᵀ of a tile goes to
// shared memory too, from where one of the two warpgroups in turn multiplies it with all keys of the block, for gq. These sums of
// tiles of queries are added up in memory (`sums`) by copies that add, in a fixed order: of the blocks that see the same queries, that
// of the last keys is the first, and a counter says whose turn it is. Other warps wait for turns and for copies, so that
// multiplying does not.
//
// A warpgroup waits for the other one only before it makes a sum for queries, in every second step, so that the two share out that
// work over time. Slopes have two places: those of step s + 1 go where those of s − 1 were, and whoever multiplied these has told so
// by handing over its slopes of s.
//
// Nobody waits in vain: blocks take their places as they start, the last keys of a head first, so that those whom a block waits for
// have started, and they wait for none but others before them. Under a causal mask a block comes first at the queries it begins
// with, and then follows that of the next keys at a distance of two steps.
template <class Config>
__global__ void __launch_bounds__(Config::kThreads, 1)
    joint_gradient(const __grid_constant__ TilesBackward<typename Config::T> g) {
  using T = typename Config::T;
  using Products = typename Config::Products;
  constexpr int kRows = Config::kRows, kDepth = Config::kDepth, kTileRows = Config::kTileRows;
  constexpr int kStages = Config::kStages, kAdders = Config::kAdders, kWarpgroup = Config::kWarpgroup;
  if constexpr (Products::kAvailable) {
    // Barriers, for each stage: that its tiles are there, one for each warpgroup, that they are done with; that slopes are handed over,
    // for even and odd steps; for each adder: that a sum is there, that it is added.
    constexpr int kThere = 1, kDone = kThere + 2 * kStages, kSlopes = kDone + kStages, kSummed = kSlopes + 2,
                  kAdded = kSummed + kAdders;
    static_assert(kAdded + kAdders <= 16);
    constexpr int kOfTiles = kWarpgroup + Config::kCopiers, kOfDone = Config::kMultipliers + Config::kCopiers,
                  kOfSums = kWarpgroup + kWarp;

    __shared__ unsigned ticket;
    if (threadIdx.x == 0) ticket = atomicAdd(g.statistics.turns, 1u);
    __syncthreads();
    const int tiles = (g.s + kRows - 1) / kRows, block = static_cast<int>(ticket);
    const int tile = tiles - 1 - block % tiles, first = tile * kRows;
    const int own_head = block / tiles % g.hk, batch = block / tiles / g.hk, sharing = g.h / g.hk;
    const int query_tiles = (g.t + kTileRows - 1) / kTileRows;
    const int begin = g.rules.causal ? first / kTileRows : 0;
    const int pass = max(query_tiles - begin, 0), steps = pass * sharing;

    const uint32_t keys = aligned_shared(), values = keys + Config::kOwnBytes;
    const auto queries_of = [&](int step) { return values + Config::kOwnBytes + step % kStages * Config::kTilesBytes; };
    const auto gradients_of = [&](int step) { return queries_of(step) + Config::kOtherBytes; };
    const uint32_t all_slopes = values + Config::kOwnBytes + kStages * Config::kTilesBytes;
    const uint32_t sums = all_slopes + 2 * Config::kSlopesBytes, statistics = sums + kAdders * Config::kSumBytes;
    const auto sums_of = [&](int step) { return sums + step % kAdders * Config::kSumBytes; };
    const auto statistics_of = [&](int step) { return statistics + step % kStages * Config::kStatisticsBytes; };

    const int warp = __shfl_sync(kAllThreads, static_cast<int>(threadIdx.x) / kWarp, 0);
    const int copier = warp - Config::kMultipliers / kWarp, adder = copier - Config::kCopiers / kWarp;
    if (copier >= 0) {
      release_registers<Config::kOtherRegisters>();  // by one instruction for all warps of the warpgroup, as it must be
      if (adder >= 0) {
        for (int step = adder; step < steps; step += kAdders) {
          barrier_sync(kSummed + adder, kOfSums);
          if (threadIdx.x % kWarp == 0) {
            const int64_t head = static_cast<int64_t>(batch) * g.h + own_head * sharing + step / pass;
            const int query_tile = begin + step % pass;
            const int turn = (g.rules.causal ? min(tiles - 1, query_tile * kTileRows / kRows) : tiles - 1) - tile;
            unsigned* const turns = g.statistics.turns_of(head) + query_tile;
            float* const to = g.sums + (head * query_tiles + query_tile) * Config::kSumSize;
            wait_for_turn(turns, turn);
            if (turn == 0) store_bulk(to, sums_of(step), Config::kSumBytes);
            else add_bulk(to, sums_of(step), Config::kSumBytes);
            pass_turn(turns, turn + 1);
          }
          __syncwarp();
          if (step + kAdders < steps) barrier_arrive(kAdded + adder, kOfSums);
        }
      } else {
        // A thread copies the same pieces of each tile's panels: of rows kLines apart.
        constexpr int kLines = Config::kCopiers / 8;
        const int thread = static_cast<int>(threadIdx.x) - Config::kMultipliers;
        const int line = thread / 8, column = thread % 8 * 8;
        const auto own_part = [&](const Heads<const T>& x, int head, int row) {
          return x.at(batch, head) + (row + line) * x.row + column;
        };
        const auto copy = [&]<int kCopied>(uint32_t to, const T* from, int64_t row_stride, int left, int columns) {
          copy_lines<kCopied, kLines, kDepth / kPanel>(tile_address<kCopied>(to, line, column), from,
                                                       kLines * row_stride, left - line, columns - column, line);
        };
        if (steps > 0) {
          copy.template operator()<kRows>(keys, own_part(g.k, own_head, first), g.k.row, g.s - first, g.d);
          copy.template operator()<kRows>(values, own_part(g.v, own_head, first), g.v.row, g.s - first, g.dv);
        }
        // The multipliers begin with a step before they tell that they are done with the last.
        constexpr int kInFlight = kStages - 2;
        const T *queries = nullptr, *gradients = nullptr;
        for (int step = 0, head = own_head * sharing, query_tile = query_tiles; step < steps + kInFlight; ++step) {
          if (step < steps) {
            if (query_tile == query_tiles) {
              if (step > 0) ++head;
              query_tile = begin;
              queries = own_part(g.q, head, begin * kTileRows);
              gradients = own_part(g.g, head, begin * kTileRows);
            }
            if (step >= kStages) barrier_sync(kDone + step % kStages, kOfDone);
            const int row = query_tile++ * kTileRows;
            copy.template operator()<kTileRows>(queries_of(step), queries, g.q.row, g.t - row, g.d);
            copy.template operator()<kTileRows>(gradients_of(step), gradients, g.g.row, g.t - row, g.dv);
            copy_statistics<kTileRows>(statistics_of(step), g, batch, head, row, thread);
            queries += kTileRows * g.q.row;
            gradients += kTileRows * g.g.row;
          }
          copies_commit();
          copies_wait<kInFlight>();
          Products::make_visible();
          if (step >= kInFlight) {
            const int stage = (step - kInFlight) % kStages;
            barrier_arrive(kThere + stage, kOfTiles);
            barrier_arrive(kThere + kStages + stage, kOfTiles);
          }
        }
      }
    } else {
      claim_registers<Config::kMultiplierRegisters>();
      // Whether the scores of a step are begun before the sum for the last one's queries: for wide heads registers are too few.
      constexpr bool kAhead = kDepth == 64;
      const Place place;
      const int warpgroup = warp / 4;
      Sum<kDepth> value_result = {}, key_result = {};
      const auto slopes_of = [&](int step) { return all_slopes + step % 2 * Config::kSlopesBytes; };
      const auto multiply_scores = [&](Sum<kTileRows>& scores, Sum<kTileRows>& slopes, int step) {
        Products::begin();
        Products::template multiply_transposed<kRows, kDepth, kTileRows>(scores, keys, queries_of(step));
        Products::commit();
        Products::template multiply_transposed<kRows, kDepth, kTileRows>(slopes, values, gradients_of(step));
        Products::commit();
      };
      // Waits for the products of the last step, all but kPending after them.
      const auto finish_step = [&]<int kPending>(std::integral_constant<int, kPending>, int step) {
        Products::template wait<kPending>(value_result);
        Products::template wait<kPending>(key_result);
        if (step >= 0 && step + kStages < steps) barrier_arrive(kDone + step % kStages, kOfDone);
      };
      // The sum for a step's queries, of the warpgroup whose turn it is.
      const auto is_turn = [&](int step) { return step >= 0 && step % kAdders == warpgroup; };
      const auto begin_sum = [&](Sum<kDepth>& sum, int step) {
        barrier_sync(kSlopes + step % 2, Config::kMultipliers);
        Products::begin();
        Products::template multiply_rows<kRows, kDepth>(sum, slopes_of(step), keys);
        Products::commit();
      };
      const auto hand_over_sum = [&](Sum<kDepth>& sum, int step) {
        if (step >= kAdders) barrier_sync(kAdded + warpgroup, kOfSums);
        const uint32_t to = sums_of(step) + threadIdx.x % kWarpgroup * 16;
#pragma unroll
        for (int i = 0; i < kDepth / 8; ++i) store_shared(to + i * kWarpgroup * 16, sum[i]);
        Products::make_visible();
        barrier_arrive(kSummed + warpgroup, kOfSums);
      };

      for (int step = 0, head = own_head * sharing, query_tile = begin; step < steps; ++step) {
        barrier_sync(kThere + warpgroup * kStages + step % kStages, kOfTiles);
        Sum<kTileRows> scores, slopes;
        Sum<kDepth> sum;
        if constexpr (kAhead) multiply_scores(scores, slopes, step);
        finish_step(std::integral_constant<int, kAhead ? 2 : 0>(), step - 1);
        const bool sums = is_turn(step - 1);
        if (sums) begin_sum(sum, step - 1);
        if constexpr (!kAhead) {
          if (sums) {
            Products::template wait<0>(sum);
            hand_over_sum(sum, step - 1);
          }
          multiply_scores(scores, slopes, step);
        }
        HeldStatistics<kTileRows> of_queries;
        of_queries.read_lse(statistics_of(step));
        // With a sum after them, both products.
        Products::template wait<1>(scores);
        to_probabilities<Config, true>(
            scores, g, {batch, head, first + place.row, first + warp * 16, query_tile * kTileRows}, of_queries);
        Left<kTileRows> weights, differences;
        to_weights<Config>(weights, scores, g);
        Products::begin();
        Products::template multiply<kTileRows, kDepth>(value_result, weights, gradients_of(step));
        Products::commit();
        of_queries.read_dot(statistics_of(step));
        Products::template wait<1>(slopes);
        to_slopes<Config>(differences, slopes, scores, g, of_queries);
        Products::template store_left<kRows, kTileRows>(slopes_of(step), differences);
        Products::make_visible();
        Products::begin();
        Products::template multiply<kTileRows, kDepth>(key_result, differences, queries_of(step));
        Products::commit();
        if (step % kAdders != warpgroup) barrier_arrive(kSlopes + step % 2, Config::kMultipliers);
        if constexpr (kAhead) {
          if (sums) {
            Products::template wait<2>(sum);
            hand_over_sum(sum, step - 1);
          }
        }
        if (++query_tile < query_tiles) continue;
        query_tile = begin;
        ++head;
      }
      finish_step(std::integral_constant<int, 0>(), steps - 1);
      if (is_turn(steps - 1)) {
        Sum<kDepth> sum;
        begin_sum(sum, steps - 1);
        Products::template wait<0>(sum);
        hand_over_sum(sum, steps - 1);
      }
      const float one[2] = {1, 1}, scale[2] = {g.scale, g.scale};
      write_sum<T, kDepth>(value_result, one, g.gv, g.gv.at(batch, own_head), g.whole, first, g.s, g.dv);
      write_sum<T, kDepth>(key_result, scale, g.gk, g.gk.at(batch, own_head), g.whole, first, g.s, g.d);
    }
  }
}

// Writes the sums for a tile of queries that joint_gradient has made, in the order in which its threads had them.
template <class Config>
__global__ void __launch_bounds__(Config::kWarpgroup)
    write_query_sums(const __grid_constant__ TilesBackward<typename Config::T> g) {
  using T = typename Config::T;
  constexpr int kDepth = Config::kDepth;
  const int tiles = (g.t + Config::kTileRows - 1) / Config::kTileRows, block = static_cast<int>(blockIdx.x);
  const int head = block / tiles % g.h, batch = block / tiles / g.h;
  const auto* from = reinterpret_cast<const float4*>(g.sums + static_cast<int64_t>(block) * Config::kSumSize);
  Sum<kDepth> sum = {};
  if (g.s > 0) {
#pragma unroll
    for (int i = 0; i < kDepth / 8; ++i) {
      const float4 four = from[i * Config::kWarpgroup + threadIdx.x];
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[i][e] = element(four, e);
    }
  }
  const float scale[2] = {g.scale, g.scale};
  write_sum<T, kDepth>(sum, scale, g.gq, g.gq.at(batch, head), g.whole, block % tiles * Config::kTileRows, g.t, g.d);
}

// --- Launching -----------------------------------------------------------------------------------------------------------

inline constexpr int kMaxDepth = 256;
inline constexpr int64_t kMaxLength = int64_t{1} << 30;  // of a sequence, which kernels count in 32 bits

// Whether these kernels serve such heads and scores.
inline bool tiles_serve(const AttentionSizes& sizes, const ScoreRules& rules) {
  return sizes.d > 0 && std::max(sizes.d, sizes.dv) <= kMaxDepth && std::max(sizes.t, sizes.s) <= kMaxLength &&
         std::isfinite(static_cast<float>(rules.scale * kLog2E));
}

// A tensor as the tiles are copied from: elements of a row side by side, rows at multiples of 16 bytes. Copied where it is not so.
template <class T>
Heads<const T> readable(CudaContext& ctx, const Command& cmd, const TensorView& x) {
  bool aligned = is_aligned<T>(x.data, 8) && (x.strides[3] == 1 || x.shape[3] <= 1);
  for (int axis = 0; axis < 3; ++axis) aligned = aligned && (x.strides[axis] % 8 == 0 || x.shape[axis] <= 1);
  Heads<const T> heads(aligned || x.numel() == 0 ? x : packed(ctx, cmd, x, 2, 8));
  // The strides of axes of one, which anything may be.
  if (x.shape[0] <= 1) heads.batch = 0;
  if (x.shape[1] <= 1) heads.head = 0;
  if (x.shape[2] <= 1) heads.row = 0;
  return heads;
}
template <class T>
bool writable_whole(const TensorView& y) {
  bool whole = is_aligned<T>(y.data, 8) && y.shape[3] % 8 == 0 && y.strides[3] == 1;
  for (int axis = 0; axis < 3; ++axis) whole = whole && (y.strides[axis] % 8 == 0 || y.shape[axis] <= 1);
  return whole;
}

// Calls body.operator()<kDepth>() with the smallest of the depths that holds the heads.
template <int kFirst, int... kRest, class F>
void with_depth(int64_t depth, F&& body) {
  if constexpr (sizeof...(kRest) == 0) {
    body.template operator()<kFirst>();
  } else {
    if (depth <= kFirst) body.template operator()<kFirst>();
    else with_depth<kRest...>(depth, std::forward<F>(body));
  }
}

template <class Config>
void launch_forward(CudaContext& ctx, const Command& cmd, TilesForward<typename Config::T> g, int64_t b) {
  const int64_t tiles = (int64_t{g.t} + Config::kRows - 1) / Config::kRows;
  const int64_t bytes = int64_t{g.s} * (g.d + g.dv) * static_cast<int64_t>(sizeof(typename Config::T));
  g.order = TileOrder::of(tiles, g.h, b, g.sharing, bytes, ctx.device().l2_bytes);
  const size_t shared = Config::kOwnBytes + Config::kStages * 2 * Config::kOtherBytes + kSharedSlack;
  const auto kernel = [] {
    if constexpr (Config::Products::kRunBeside) return overlapped_attention<Config>;
    else return tiles_attention<Config>;
  }();
  ctx.launch(cmd, kernel, static_cast<unsigned>(g.order.blocks()), Config::kThreads, shared, g);
}

// Blocks fit 99 KiB of shared memory, what sm_86, 89 and 120 have, and 227 KiB with warpgroups. Rows and tiles are as many as
// registers hold: a thread has kDepth / 2 elements of a result, and kTileRows / 2 of each sum of scores.
template <class T, bool kRuled>
void run_forward(CudaContext& ctx, const Command& cmd, const TilesForward<T>& g, int64_t b, bool warpgroups) {
  const int64_t depth = std::max(g.d, g.dv);
  if (warpgroups && depth <= 64) {
    return launch_forward<TilesConfig<T, WarpgroupProducts, 12, 64, kRuled ? 64 : 128, 2, 1, kRuled>>(ctx, cmd, g, b);
  }
  if (warpgroups && depth <= 128) {
    return launch_forward<TilesConfig<T, WarpgroupProducts, 8, 128, kRuled ? 64 : 128, 2, 1, kRuled>>(ctx, cmd, g, b);
  }
  const auto launch = [&]<int kDepth>() {
    if constexpr (kDepth <= 64) {
      launch_forward<TilesConfig<T, WarpProducts, 8, kDepth, 64, 2, 2, kRuled>>(ctx, cmd, g, b);
    } else if constexpr (kDepth <= 128) {
      launch_forward<TilesConfig<T, WarpProducts, 8, kDepth, 64, 2, 1, kRuled>>(ctx, cmd, g, b);
    } else {
      launch_forward<TilesConfig<T, WarpProducts, 4, kDepth, 32, 2, 1, kRuled>>(ctx, cmd, g, b);
    }
  };
  if constexpr (kRuled) with_depth<64, 128, 256>(depth, launch);
  else with_depth<32, 64, 96, 128, 192, 256>(depth, launch);
}

template <class T>
bool attention_on_tensor_cores(CudaContext& ctx, const Command& cmd) {
  const TensorView &q = cmd.input(0), &k = cmd.input(1), &v = cmd.input(2), &y = cmd.output(0);
  const AttentionSizes sizes(q, k, v);
  const ScoreRules rules(cmd, 3);
  if (!tiles_serve(sizes, rules)) return false;
  const TilesForward<T> g{readable<T>(ctx, cmd, q),       readable<T>(ctx, cmd, k),
                          readable<T>(ctx, cmd, v),       Heads<T>(y),
                          Heads<float>(cmd.output(1)),    writable_whole<T>(y),
                          static_cast<int>(sizes.h),      static_cast<int>(sizes.h / sizes.hk),
                          static_cast<int>(sizes.t),      static_cast<int>(sizes.s),
                          static_cast<int>(sizes.d),      static_cast<int>(sizes.dv),
                          ScoreKernelRules<float>(rules), {}};
  const bool warpgroups = has_warpgroups(ctx, cmd);
  if (rules.mask.present() || rules.drops() || !(rules.scale > 0))
    run_forward<T, true>(ctx, cmd, g, sizes.b, warpgroups);
  else run_forward<T, false>(ctx, cmd, g, sizes.b, warpgroups);
  return true;
}

template <class Config, bool kOfKeys, bool kWantsValues, bool kWantsScores>
void launch_gradient(CudaContext& ctx, const Command& cmd, TilesBackward<typename Config::T> g, int64_t b) {
  const int64_t tiles = (int64_t{kOfKeys ? g.s : g.t} + Config::kRows - 1) / Config::kRows, sharing = g.h / g.hk;
  const int64_t bytes = (kOfKeys ? g.t * sharing : int64_t{g.s}) * (g.d + g.dv) * 2;
  g.order = TileOrder::of(tiles, kOfKeys ? g.hk : g.h, b, kOfKeys ? 1 : sharing, bytes, ctx.device().l2_bytes);
  const size_t statistics = kOfKeys ? 2 * Config::kTileRows * sizeof(float) : 0;
  const size_t shared = 2 * Config::kOwnBytes + Config::kStages * (2 * Config::kOtherBytes + statistics) + kSharedSlack;
  ctx.launch(cmd, tiles_gradient<Config, kOfKeys, kWantsValues, kWantsScores>, static_cast<unsigned>(g.order.blocks()),
             Config::kThreads, shared, g);
}

template <class Config>
void launch_joint_gradient(CudaContext& ctx, const Command& cmd, TilesBackward<typename Config::T> g, int64_t b) {
  const int64_t blocks = (int64_t{g.s} + Config::kRows - 1) / Config::kRows * b * g.hk;
  const int64_t query_tiles = (int64_t{g.t} + Config::kTileRows - 1) / Config::kTileRows * b * g.h;
  g.sums = ctx.scratch<float>(query_tiles * Config::kSumSize);
  ctx.launch(cmd, joint_gradient<Config>, static_cast<unsigned>(blocks), Config::kThreads, Config::kShared, g);
  ctx.launch(cmd, write_query_sums<Config>, static_cast<unsigned>(query_tiles), Config::kWarpgroup, 0, g);
}

template <class T, bool kRuled>
void run_backward(CudaContext& ctx, const Command& cmd, const TilesBackward<T>& g, int64_t b, bool warpgroups) {
  const int64_t depth = std::max(g.d, g.dv);
  if (warpgroups && depth <= 64) {
    using Config = TilesConfig<T, WarpgroupProducts, 8, 64, 64, 3, 1, kRuled>;
    return launch_joint_gradient<JointConfig<Config>>(ctx, cmd, g, b);
  }
  if (warpgroups && depth <= 128) {
    using Config = TilesConfig<T, WarpgroupProducts, 8, 128, 64, 2, 1, kRuled>;
    return launch_joint_gradient<JointConfig<Config>>(ctx, cmd, g, b);
  }
  const auto launch = [&]<int kDepth>() {
    if constexpr (kDepth <= 128) {
      using Config = TilesConfig<T, WarpProducts, kDepth <= 64 ? 8 : 4, kDepth, 64, 2, 1, kRuled>;
      launch_gradient<Config, true, true, true>(ctx, cmd, g, b);
      launch_gradient<Config, false, false, true>(ctx, cmd, g, b);
    } else {
      // The sums of both gradients would not fit the registers together.
      using Config = TilesConfig<T, WarpProducts, 4, kDepth, 32, 1, 1, kRuled>;
      launch_gradient<Config, true, true, false>(ctx, cmd, g, b);
      launch_gradient<Config, true, false, true>(ctx, cmd, g, b);
      launch_gradient<Config, false, false, true>(ctx, cmd, g, b);
    }
  };
  if constexpr (kRuled) with_depth<64, 128, 256>(depth, launch);
  else with_depth<32, 64, 96, 128, 192, 256>(depth, launch);
}

template <class T>
bool attention_backward_on_tensor_cores(CudaContext& ctx, const Command& cmd,
                                        const QueryStatistics<float>& statistics) {
  const TensorView &q = cmd.input(1), &k = cmd.input(2), &v = cmd.input(3);
  const TensorView &gq = cmd.output(0), &gk = cmd.output(1), &gv = cmd.output(2);
  const AttentionSizes sizes(q, k, v);
  const ScoreRules rules(cmd, 4);
  if (!tiles_serve(sizes, rules)) return false;
  const TilesBackward<T> g{readable<T>(ctx, cmd, q),
                           readable<T>(ctx, cmd, k),
                           readable<T>(ctx, cmd, v),
                           readable<T>(ctx, cmd, cmd.input(0)),
                           statistics,
                           Heads<T>(gq),
                           Heads<T>(gk),
                           Heads<T>(gv),
                           writable_whole<T>(gq) && writable_whole<T>(gk) && writable_whole<T>(gv),
                           static_cast<int>(sizes.h),
                           static_cast<int>(sizes.hk),
                           static_cast<int>(sizes.t),
                           static_cast<int>(sizes.s),
                           static_cast<int>(sizes.d),
                           static_cast<int>(sizes.dv),
                           static_cast<float>(rules.scale),
                           ScoreKernelRules<float>(rules),
                           {},
                           nullptr};
  const bool warpgroups = has_warpgroups(ctx, cmd);
  if (rules.mask.present() || rules.drops()) run_backward<T, true>(ctx, cmd, g, sizes.b, warpgroups);
  else run_backward<T, false>(ctx, cmd, g, sizes.b, warpgroups);
  return true;
}

}  // namespace hadal::cuda
