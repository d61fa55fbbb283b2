// Attention of 16-bit floats on tensor cores, forward and backward, after FlashAttention-2 (Dao, 2023) and, where products run beside
// the threads, FlashAttention-3 (Shah et al., 2024): scores exist only as sums in registers, from which they go straight into the
// second product. Instantiated per dtype by attention_bfloat16.cu and attention_float16.cu.
//
// A block owns rows (queries; keys for their gradients), 16 per warp, in shared memory, and passes over tiles of the other side,
// copied while the last tile is worked on. Products is what multiplies: WarpProducts, or WarpgroupProducts on sm_90a. Heads are
// padded to kDepth columns with zeros. Sums are in float; probabilities and their gradients are rounded to T for the second
// product. Everything is summed in the order of the tiles by the block that owns it.
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
  static constexpr int kStages = kStages_;      // tiles in shared memory: the one worked on, the next, the last
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

// Writes factor · sum to rows below `rows` and columns below `columns`, two at a time where they lie side by side and aligned.
template <class T, int kColumns>
__device__ __forceinline__ void write_sum(const Sum<kColumns>& sum, const float (&factor)[2], const Heads<T>& heads,
                                          T* to, bool pairs, int first, int rows, int columns) {
  const Place place;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + place.row + 8 * half;
    if (row >= rows) continue;
    T* line = to + row * heads.row;
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
      const int column = place.column + 8 * i;
      const uint32_t pair = pack_pair<T>(sum[i][2 * half] * factor[half], sum[i][2 * half + 1] * factor[half]);
      if (pairs) {
        if (column < columns) *reinterpret_cast<uint32_t*>(line + column) = pair;
      } else {
        T element;
        element.bits = static_cast<uint16_t>(pair);
        if (column < columns) line[column * heads.column] = element;
        element.bits = static_cast<uint16_t>(pair >> 16);
        if (column + 1 < columns) line[(column + 1) * heads.column] = element;
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
  bool pairs;  // y can be written two elements at a time
  int h, sharing, t, s, d, dv;
  ScoreKernelRules<float> rules;
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
  write_sum<T, kDepth>(result, inverse, g.y, g.y.at(batch, head), g.pairs, first, g.t, g.dv);
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
    const int tiles = (g.t + kRows - 1) / kRows;
    const int block = static_cast<int>(blockIdx.x);
    // Under a causal mask the last queries have most to do: they come first.
    const int first = (tiles - 1 - block % tiles) * kRows;
    const int head = block / tiles % g.h, batch = block / tiles / g.h;
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
    const int tiles = (g.t + kRows - 1) / kRows;
    const int block = static_cast<int>(blockIdx.x);
    // Under a causal mask the last queries have most to do: they come first.
    const int first = (tiles - 1 - block % tiles) * kRows;
    const int head = block / tiles % g.h, batch = block / tiles / g.h;
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
  bool pairs;  // the results can be written two elements at a time
  int h, hk, t, s, d, dv;
  float scale;
  ScoreKernelRules<float> rules;
};

// The gradients of the keys' side (kOfKeys: of keys, values, or both) or of the queries. The block's rows are one pair of tiles
// (k and v, or q and g), the other side's another; with rows r and columns c of either side,
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
  // Copies are started behind the products that they run beside, unless rules leave no registers for that.
  constexpr bool kCopiesBeside = Products::kRunBeside && !Config::kRuled;
  if constexpr (Products::kAvailable) {
    const int own_count = kOfKeys ? g.s : g.t, other_count = kOfKeys ? g.t : g.s;
    const int own_heads = kOfKeys ? g.hk : g.h, sharing = g.h / g.hk;
    const int tiles = (own_count + kRows - 1) / kRows;
    const int block = static_cast<int>(blockIdx.x), tile = block % tiles;
    // Under a causal mask the last queries and the first keys have most to do: they come first.
    const int first = (kOfKeys ? tile : tiles - 1 - tile) * kRows;
    const int own_head = block / tiles % own_heads, batch = block / tiles / own_heads;
    const uint32_t own = aligned_shared(), own_second = own + Config::kOwnBytes;
    const uint32_t stages = own_second + Config::kOwnBytes;
    const uint32_t statistics = stages + Config::kStages * kTilesBytes;

    // Tiles of the other side: of one head, or of all the heads of queries that share the keys, one after another.
    const int begin = kOfKeys && g.rules.causal ? first / kTileRows : 0;
    const int end_row = !kOfKeys && g.rules.causal ? min(other_count, first + kRows) : other_count;
    const int turn = max((end_row + kTileRows - 1) / kTileRows - begin, 0);
    const int steps = kOfKeys ? turn * sharing : turn;
    const auto copy_other = [&](int step) {
      const uint32_t stage = stages + step % Config::kStages * kTilesBytes;
      const int head = kOfKeys ? own_head * sharing + step / turn : own_head / sharing;
      const int row = (begin + (kOfKeys ? step % turn : step)) * kTileRows;
      const Heads<const T>&one = kOfKeys ? g.q : g.k, &two = kOfKeys ? g.g : g.v;
      copy_tile<kTileRows, kDepth, kThreads>(stage, one.at(batch, head), one.row, row, other_count, g.d);
      copy_tile<kTileRows, kDepth, kThreads>(stage + Config::kOtherBytes, two.at(batch, head), two.row, row,
                                             other_count, g.dv);
      if (kOfKeys && threadIdx.x < 2 * kTileRows / 4) {
        const int at = static_cast<int>(threadIdx.x) * 4;
        const int64_t query = (static_cast<int64_t>(batch) * g.h + head) * g.statistics.padded + row + at % kTileRows;
        copy_async(statistics + step % Config::kStages * kStatisticsBytes + at * 4,
                   (at < kTileRows ? g.statistics.lse : g.statistics.dot) + query, 16);
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
    const int own_row = first + place.row;
    const int warp_first = first + static_cast<int>(threadIdx.x) / kWarp * 16;
    float own_lse[2], own_dot[2];
    if constexpr (!kOfKeys) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t head_first = (static_cast<int64_t>(batch) * g.h + own_head) * g.statistics.padded;
        const int64_t at = head_first + min(own_row + 8 * half, static_cast<int>(g.statistics.padded) - 1);
        own_lse[half] = g.statistics.lse[at];
        own_dot[half] = g.statistics.dot[at];
      }
    }

    Sum<kWantsValues ? kDepth : 8> value_result = {};
    Sum<kWantsScores ? kDepth : 8> score_result = {};
    Left<kTileRows> weights, differences;
    for (int step = 0; step < steps; ++step) {
      if (Config::kStages == 1 && step > 0) {
        __syncthreads();
        copy_other(step);
      }
      copies_wait();
      Products::make_visible();
      __syncthreads();  // this tile is there, and the last one is done with
      if (!kCopiesBeside && Config::kStages > 1 && step + 1 < steps) copy_other(step + 1);
      const uint32_t other = stages + step % Config::kStages * kTilesBytes, other_second = other + Config::kOtherBytes;
      const uint32_t other_statistics = statistics + step % Config::kStages * kStatisticsBytes;

      Sum<kTileRows> scores, slopes;
      Products::begin();
      Products::template multiply_transposed<kRows, kDepth, kTileRows>(scores, own, other);
      Products::commit();
      if constexpr (kWantsScores) {
        Products::template multiply_transposed<kRows, kDepth, kTileRows>(slopes, own_second, other_second);
        Products::commit();
      }
      if (kCopiesBeside && step + 1 < steps) copy_other(step + 1);
      Products::template wait<kWantsScores ? 1 : 0>(scores);

      const int column_first = (begin + (kOfKeys ? step % turn : step)) * kTileRows;
      const int head = kOfKeys ? own_head * sharing + step / turn : own_head;
      const bool edge =
          (!kOfKeys && column_first + kTileRows > g.s) ||
          (g.rules.causal && (kOfKeys ? warp_first + 15 > column_first : column_first + kTileRows - 1 > warp_first));
      // Probabilities; negative ones are dropped, but still have a slope.
#pragma unroll
      for (int i = 0; i < kTileRows / 8; ++i) {
        float2 lse;
        if constexpr (kOfKeys) lse = load_shared(other_statistics + (place.column + 8 * i) * 4);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float& weight = scores[i][e];
          const int row = own_row + e / 2 * 8, column = column_first + place.column + 8 * i + e % 2;
          const int query = kOfKeys ? column : row, key = kOfKeys ? row : column;
          weight *= g.rules.scale;
          if constexpr (Config::kRuled) {
            if (g.rules.mask.data != nullptr && query < g.t && key < g.s) {
              weight = g.rules.masked(weight, g.rules.mask_place(batch, head), query, key);
            }
          }
          weight = exp2_fast(weight - (kOfKeys ? (e % 2 == 0 ? lse.x : lse.y) : own_lse[e / 2]));
          if (Config::kRuled && edge && (key >= g.s || (g.rules.causal && key > query))) weight = 0;
          if constexpr (Config::kRuled) {
            if (g.rules.drops) {
              const int64_t element = ((static_cast<int64_t>(batch) * g.h + head) * g.t + query) * g.s + key;
              if (g.rules.kept(element) == 0) weight = -weight;
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
            const int row = own_row + e / 2 * 8, column = column_first + place.column + 8 * i + e % 2;
            const int query = kOfKeys ? column : row, key = kOfKeys ? row : column;
            if (key >= g.s || (g.rules.causal && key > query)) scores[i][e] = 0;
          }
        }
      }
      const float kept_scale = Config::kRuled && g.rules.drops ? g.rules.kept_scale : 1.f;
      if constexpr (kWantsValues) {
        if constexpr (Config::kRuled) {
          Sum<kTileRows> kept;
#pragma unroll
          for (int i = 0; i < kTileRows / 8; ++i) {
#pragma unroll
            for (int e = 0; e < 4; ++e) kept[i][e] = signbit(scores[i][e]) ? 0.f : scores[i][e] * kept_scale;
          }
          to_left<T>(weights, kept);
        } else {
          to_left<T>(weights, scores);
        }
        Products::begin();
        Products::template multiply<kTileRows, kDepth>(value_result, weights, other_second);
        Products::commit();
      }
      if constexpr (kWantsScores) {
        Products::template wait<kWantsValues ? 1 : 0>(slopes);
#pragma unroll
        for (int i = 0; i < kTileRows / 8; ++i) {
          float2 dot;
          if constexpr (kOfKeys) dot = load_shared(other_statistics + (kTileRows + place.column + 8 * i) * 4);
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const float own = kOfKeys ? (e % 2 == 0 ? dot.x : dot.y) : own_dot[e / 2];
            if constexpr (Config::kRuled) {
              const float slope = signbit(scores[i][e]) ? 0.f : slopes[i][e] * kept_scale;
              slopes[i][e] = fabsf(scores[i][e]) * (slope - own);
            } else {
              slopes[i][e] = scores[i][e] * (slopes[i][e] - own);
            }
          }
        }
        to_left<T>(differences, slopes);
        Products::begin();
        Products::template multiply<kTileRows, kDepth>(score_result, differences, other);
        Products::commit();
      }
      if constexpr (kWantsValues) Products::template wait<0>(value_result);
      // Otherwise the product runs on into the next step.
      if constexpr (kWantsScores && Config::kStages < 3) Products::template wait<0>(score_result);
    }
    if constexpr (kWantsScores) Products::template wait<0>(score_result);

    if constexpr (kWantsValues) {
      const float one[2] = {1, 1};
      write_sum<T, kDepth>(value_result, one, g.gv, g.gv.at(batch, own_head), g.pairs, first, own_count, g.dv);
    }
    if constexpr (kWantsScores) {
      const float scale[2] = {g.scale, g.scale};
      const Heads<T>& to = kOfKeys ? g.gk : g.gq;
      write_sum<T, kDepth>(score_result, scale, to, to.at(batch, own_head), g.pairs, first, own_count, g.d);
    }
  }
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
bool writable_in_pairs(const TensorView& y) {
  bool pairs = is_aligned<T>(y.data, 2) && y.shape[3] % 2 == 0 && y.strides[3] == 1;
  for (int axis = 0; axis < 3; ++axis) pairs = pairs && (y.strides[axis] % 2 == 0 || y.shape[axis] <= 1);
  return pairs;
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
void launch_forward(CudaContext& ctx, const Command& cmd, const TilesForward<typename Config::T>& g, int64_t heads) {
  const int64_t tiles = (int64_t{g.t} + Config::kRows - 1) / Config::kRows;
  const size_t shared = Config::kOwnBytes + Config::kStages * 2 * Config::kOtherBytes + kSharedSlack;
  const auto kernel = Config::Products::kRunBeside ? overlapped_attention<Config> : tiles_attention<Config>;
  ctx.launch(cmd, kernel, static_cast<unsigned>(tiles * heads), Config::kThreads, shared, g);
}

// Blocks fit 99 KiB of shared memory, what sm_86, 89 and 120 have, and 227 KiB with warpgroups. Rows and tiles are as many as
// registers hold: a thread has kDepth / 2 elements of a result, and kTileRows / 2 of each sum of scores.
template <class T, bool kRuled>
void run_forward(CudaContext& ctx, const Command& cmd, const TilesForward<T>& g, int64_t heads, bool warpgroups) {
  const int64_t depth = std::max(g.d, g.dv);
  if (warpgroups && depth <= 64) {
    return launch_forward<TilesConfig<T, WarpgroupProducts, 12, 64, kRuled ? 64 : 128, 2, 1, kRuled>>(ctx, cmd, g,
                                                                                                      heads);
  }
  if (warpgroups && depth <= 128) {
    return launch_forward<TilesConfig<T, WarpgroupProducts, 8, 128, kRuled ? 64 : 128, 2, 1, kRuled>>(ctx, cmd, g,
                                                                                                      heads);
  }
  const auto launch = [&]<int kDepth>() {
    if constexpr (kDepth <= 64) {
      launch_forward<TilesConfig<T, WarpProducts, 8, kDepth, 64, 2, 2, kRuled>>(ctx, cmd, g, heads);
    } else if constexpr (kDepth <= 128) {
      launch_forward<TilesConfig<T, WarpProducts, 8, kDepth, 64, 2, 1, kRuled>>(ctx, cmd, g, heads);
    } else {
      launch_forward<TilesConfig<T, WarpProducts, 4, kDepth, 32, 2, 1, kRuled>>(ctx, cmd, g, heads);
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
  const TilesForward<T> g{readable<T>(ctx, cmd, q),      readable<T>(ctx, cmd, k),
                          readable<T>(ctx, cmd, v),      Heads<T>(y),
                          Heads<float>(cmd.output(1)),   writable_in_pairs<T>(y),
                          static_cast<int>(sizes.h),     static_cast<int>(sizes.h / sizes.hk),
                          static_cast<int>(sizes.t),     static_cast<int>(sizes.s),
                          static_cast<int>(sizes.d),     static_cast<int>(sizes.dv),
                          ScoreKernelRules<float>(rules)};
  const int64_t heads = sizes.b * sizes.h;
  const bool warpgroups = has_warpgroups(ctx, cmd);
  if (rules.mask.present() || rules.drops() || !(rules.scale > 0)) run_forward<T, true>(ctx, cmd, g, heads, warpgroups);
  else run_forward<T, false>(ctx, cmd, g, heads, warpgroups);
  return true;
}

template <class Config, bool kOfKeys, bool kWantsValues, bool kWantsScores>
void launch_gradient(CudaContext& ctx, const Command& cmd, const TilesBackward<typename Config::T>& g, int64_t b) {
  const int64_t tiles = (int64_t{kOfKeys ? g.s : g.t} + Config::kRows - 1) / Config::kRows;
  const size_t statistics = kOfKeys ? 2 * Config::kTileRows * sizeof(float) : 0;
  const size_t shared = 2 * Config::kOwnBytes + Config::kStages * (2 * Config::kOtherBytes + statistics) + kSharedSlack;
  ctx.launch(cmd, tiles_gradient<Config, kOfKeys, kWantsValues, kWantsScores>,
             static_cast<unsigned>(tiles * b * (kOfKeys ? g.hk : g.h)), Config::kThreads, shared, g);
}

template <class T, bool kRuled>
void run_backward(CudaContext& ctx, const Command& cmd, const TilesBackward<T>& g, int64_t b, bool warpgroups) {
  const int64_t depth = std::max(g.d, g.dv);
  if (warpgroups && depth <= 64) {
    launch_gradient<TilesConfig<T, WarpgroupProducts, 8, 64, 64, 2, 1, kRuled>, true, true, true>(ctx, cmd, g, b);
    launch_gradient<TilesConfig<T, WarpgroupProducts, 12, 64, 64, 3, 1, kRuled>, false, false, true>(ctx, cmd, g, b);
    return;
  }
  if (warpgroups && depth <= 128) {
    launch_gradient<TilesConfig<T, WarpgroupProducts, 8, 128, 64, 2, 1, kRuled>, true, true, true>(ctx, cmd, g, b);
    launch_gradient<TilesConfig<T, WarpgroupProducts, 8, 128, 64, 3, 1, kRuled>, false, false, true>(ctx, cmd, g, b);
    return;
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
                           writable_in_pairs<T>(gq) && writable_in_pairs<T>(gk) && writable_in_pairs<T>(gv),
                           static_cast<int>(sizes.h),
                           static_cast<int>(sizes.hk),
                           static_cast<int>(sizes.t),
                           static_cast<int>(sizes.s),
                           static_cast<int>(sizes.d),
                           static_cast<int>(sizes.dv),
                           static_cast<float>(rules.scale),
                           ScoreKernelRules<float>(rules)};
  const bool warpgroups = has_warpgroups(ctx, cmd);
  if (rules.mask.present() || rules.drops()) run_backward<T, true>(ctx, cmd, g, sizes.b, warpgroups);
  else run_backward<T, false>(ctx, cmd, g, sizes.b, warpgroups);
  return true;
}

}  // namespace hadal::cuda
