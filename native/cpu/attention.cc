// Scaled dot-product attention, forward: softmax(q·kᵀ·scale + mask) · v for q [b, h, t, d], k and v [b, hk, s, ·], where hk
// divides h, and the log-sum-exp of every query's scores. Scores are never kept: tiles of queries × keys pass through the
// second-level cache with a running maximum and sum. 16-bit floats are widened when packed and compute in float; products of
// pairs go to attention_pairs.cc.
//
// `causal` hides keys after the query's own position (counted from the top left, as tril). A query that sees no key gives zeros
// and a log-sum-exp of -inf. Dropout acts on the probabilities.
#include "cpu/attention_pairs.h"
#include "cpu/attention_tile.h"
#include "cpu/exp_flushed.h"
#include "runtime/registry.h"

namespace hadal::cpu {

using namespace attention_tile;

namespace {

// Queries that share a packed tile of keys: the more, the less packing (2 % of the work at 1024). Bounded by what their rows of
// Q and of the result (1056 queries with d = 64: 540 kB) may take of the second-level cache, and by the number of tasks wanted
// for an even load of the threads.
constexpr int64_t kMaxChunkElements = 1056 * 128;
constexpr int64_t kWantedTasks = 32;
// Multiply-adds worth a hand-off to another thread, about 20 µs.
constexpr int64_t kWorkPerTask = 1 << 20;

// Up to so many queries the products read K and V where they lie: packing would cost more than it saves (decoding has one
// query per step).
constexpr int64_t kFewQueries = 6;

// scores[r][j] = queries[r] · keys[j] for rows of whole vectors.
template <class C, class T>
void score_few(const C* queries, int64_t rows, const T* keys, int64_t key_row, int64_t count, int64_t d, C* scores) {
  constexpr int kWidth = kLanes<C>;
  for (int64_t j = 0; j < count; j += kWidth) {
    const T* row[kWidth];
    for (int l = 0; l < kWidth; ++l) row[l] = keys + std::min(j + l, count - 1) * key_row;
    for (int64_t r = 0; r < rows; ++r) {
      Vec<C> sums[kWidth] = {};
      for (int64_t c = 0; c < d; c += kWidth) {
        const Vec<C> query = load(queries + r * d + c);
#pragma GCC unroll 16
        for (int l = 0; l < kWidth; ++l) sums[l] += query * load(row[l] + c);
      }
      store(scores + r * kKeyTile + j, fold_rows<C>(sums, [](Vec<C> a, Vec<C> b) { return a + b; }));
    }
  }
}

// results[r] = results[r] · factor[r] + Σ_j weights[r][j] · values[j] for rows of whole vectors.
template <class C, class T>
void weigh_few(const C* weights, int64_t rows, const T* values, int64_t value_row, int64_t count, int64_t dv,
               const C* factor, C* results) {
  constexpr int kWidth = kLanes<C>;
  const auto columns = [&]<int kVectors>(int64_t r, int64_t c) {
    C* to = results + r * dv + c;
    Vec<C> sums[kVectors];
    for (int v = 0; v < kVectors; ++v) sums[v] = load(to + v * kWidth) * factor[r];
    for (int64_t j = 0; j < count; ++j) {
      for (int v = 0; v < kVectors; ++v) {
        sums[v] += weights[r * kKeyTile + j] * load(values + j * value_row + c + v * kWidth);
      }
    }
    for (int v = 0; v < kVectors; ++v) store(to + v * kWidth, sums[v]);
  };
  for (int64_t r = 0; r < rows; ++r) {
    int64_t c = 0;
    for (; c + 4 * kWidth <= dv; c += 4 * kWidth) columns.template operator()<4>(r, c);
    for (; c < dv; c += kWidth) columns.template operator()<1>(r, c);
  }
}

// Running softmax of a tile of scores: raises maximum[row], turns scores into exponentials, and adds them to total (a vector
// per row). factor[row] is what results so far must be multiplied with.
template <class C>
void exponentiate(int64_t rows, int64_t vectors, C* scores, C* maximum, C* total, C* factor) {
  constexpr int kWidth = kLanes<C>;
  for (int64_t group = 0; group < rows; group += kWidth) {
    C* tile = scores + group * kKeyTile;
    Vec<C> largest[kWidth];
#pragma GCC unroll 16
    for (int l = 0; l < kWidth; ++l) {
      largest[l] = load(tile + l * kKeyTile);
      for (int64_t v = 1; v < vectors; ++v) largest[l] = vmax(load(tile + l * kKeyTile + v * kWidth), largest[l]);
    }
    const Vec<C> before = load(maximum + group);
    const Vec<C> now = vmax(fold_rows<C>(largest, [](Vec<C> a, Vec<C> b) { return vmax(a, b); }), before);
    const Vec<C> shift = now == -std::numeric_limits<C>::infinity() ? Vec<C>{} : now;
    const Vec<C> decay = exp2_flushed(Vec<C>(before - shift));
    store(maximum + group, now);
    store(factor + group, decay);
    for (int l = 0; l < kWidth; ++l) {
      C* row = tile + l * kKeyTile;
      C* sum = total + (group + l) * kWidth;
      Vec<C> sums = load(sum) * decay[l];
      const C row_shift = shift[l];
      for (int64_t v = 0; v < vectors; ++v) {
        const Vec<C> e = exp2_flushed(Vec<C>(load(row + v * kWidth) - row_shift));
        store(row + v * kWidth, e);
        sums += e;
      }
      store(sum, sums);
    }
  }
}

template <class T>
void attention(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kWidth = kLanes<C>;
  const TensorView &q = cmd.input(0), &k = cmd.input(1), &v = cmd.input(2);
  const TensorView &y = cmd.output(0), &lse = cmd.output(1);
  const int64_t b = q.shape[0], h = q.shape[1], t = q.shape[2], d = q.shape[3];
  const int64_t s = k.shape[2], dv = v.shape[3];
  if (b * h * t == 0) return;
  const int64_t heads_per_key = h / k.shape[1];
  const C scale = static_cast<C>(cmd.attribute(0) * kLog2E);
  const Mask mask(cmd.input(3), cmd.flag(1));
  const Dropout dropout(cmd, 2);

  const int64_t largest_chunk = std::max<int64_t>(kMaxChunkElements / std::max<int64_t>(d + dv, 1), kQueryTile);
  const int64_t wanted_chunks = std::max((kWantedTasks + b * h - 1) / (b * h), (t + largest_chunk - 1) / largest_chunk);
  const int64_t chunk = round_up((t + wanted_chunks - 1) / wanted_chunks, kQueryTile);
  const int64_t chunks = (t + chunk - 1) / chunk;
  const int64_t padded = std::min(chunk, round_up(t, kQueryTile));
  const int64_t value_width = round_up(dv, kWidth);
  const int64_t vectors = value_width / kWidth;

  const bool few = t <= kFewQueries && k.strides[3] == 1 && v.strides[3] == 1 && d % kWidth == 0 && dv % kWidth == 0;
  const int64_t work = std::min(chunk, t) * s * (d + dv);
  ctx.parallel_ranges(b * h * chunks, kWorkPerTask / std::max<int64_t>(work, 1), [&](int64_t begin, int64_t end) {
    C* queries = ctx.thread_scratch<C>(padded * (d + value_width + kWidth + 1) + kKeyTile * (d + value_width) +
                                       kQueryTile * (2 * kKeyTile + 1));
    C* results = queries + padded * d;
    C* total = results + padded * value_width;
    C* maximum = total + padded * kWidth;
    C* keys = maximum + padded;
    C* values = keys + kKeyTile * d;
    C* scores = values + kKeyTile * value_width;
    C* kept = scores + kQueryTile * kKeyTile;
    C* factor = kept + kQueryTile * kKeyTile;
    for (int64_t task = begin; task < end; ++task) {
      // Under a causal mask the last queries see most: they come first.
      const int64_t first = (chunks - 1 - task / (b * h)) * chunk;
      const int64_t batch = task % (b * h) / h;
      const int64_t head = task % h;
      const int64_t key_head = head / heads_per_key;
      const int64_t count = std::min(chunk, t - first);
      const T* from = q.as<T>() + batch * q.strides[0] + head * q.strides[1] + first * q.strides[2];
      pack_rows(from, q.strides[2], q.strides[3], count, d, scale, queries, d, padded);
      std::fill(total, total + padded * kWidth, C(0));
      std::fill(maximum, maximum + padded, -std::numeric_limits<C>::infinity());
      if (s == 0 || few) std::fill(results, results + padded * value_width, C(0));

      for (int64_t key = 0; key < mask.visible(first + count, 0, s); key += kKeyTile) {
        const int64_t key_count = std::min<int64_t>(kKeyTile, s - key);
        const T* tile_keys = k.as<T>() + batch * k.strides[0] + key_head * k.strides[1] + key * k.strides[2];
        const T* tile_values = v.as<T>() + batch * v.strides[0] + key_head * v.strides[1] + key * v.strides[2];
        if (!few) {
          pack_panels(tile_keys, k.strides[2], k.strides[3], key_count, d, keys);
          pack_rows(tile_values, v.strides[2], v.strides[3], key_count, dv, C(1), values, value_width, key_count);
        }
        for (int64_t query = 0; query < count; query += kQueryTile) {
          const int64_t rows = std::min<int64_t>(kQueryTile, count - query);
          const int64_t seen = mask.visible(first + query + rows, key, key_count);
          if (seen == 0) continue;
          const int64_t score_vectors = (seen + kWidth - 1) / kWidth;
          if (few) {
            score_few(queries, rows, tile_keys, k.strides[2], seen, d, scores);
          } else {
            multiply<C, attention_tile::Start::kZero>(rows, score_vectors, d, {queries + query * d, d, 1},
                                                      {keys, kTileColumns<C>, kTileColumns<C> * d}, scores, kKeyTile);
          }
          if (!mask.transparent(first + query, key + seen)) {
            mask.apply(batch, head, first + query, rows, key, seen, scores, kKeyTile, 1);
          }
          if (seen < score_vectors * kWidth) {
            for (int64_t i = 0; i < rows; ++i) {
              std::fill(scores + i * kKeyTile + seen, scores + i * kKeyTile + score_vectors * kWidth,
                        -std::numeric_limits<C>::infinity());
            }
          }
          exponentiate(rows, score_vectors, scores, maximum + query, total + query * kWidth, factor);
          if (dropout.active()) {
            dropout.factors((batch * h + head) * t + first + query, rows, s, key, seen, kept);
            for (int64_t i = 0; i < rows; ++i) {
              for (int64_t j = 0; j < seen; ++j) scores[i * kKeyTile + j] *= kept[i * kKeyTile + j];
            }
          }
          const Left<C> weights{scores, kKeyTile, 1};
          const Right<C> right{values, value_width, kTileColumns<C>};
          C* to = results + query * value_width;
          if (few) {
            weigh_few(scores, rows, tile_values, v.strides[2], seen, dv, factor, to);
          } else if (key == 0) {
            multiply<C, attention_tile::Start::kZero>(rows, vectors, seen, weights, right, to, value_width);
          } else {
            multiply<C, attention_tile::Start::kScale>(rows, vectors, seen, weights, right, to, value_width, factor);
          }
        }
      }

      T* out = y.as<T>() + batch * y.strides[0] + head * y.strides[1] + first * y.strides[2];
      C* out_lse = lse.as<C>() + batch * lse.strides[0] + head * lse.strides[1] + first * lse.strides[2];
      for (int64_t i = 0; i < count; ++i) {
        const C sum = horizontal_sum(load(total + i * kWidth));
        unpack_row(results + i * value_width, dv, sum == 0 ? C(0) : 1 / sum, out + i * y.strides[2], y.strides[3]);
        out_lse[i * lse.strides[2]] = maximum[i] * static_cast<C>(kLn2) + std::log(sum);
      }
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(attention) {
  if (attention_pairs(ctx, cmd)) return;
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { attention<T>(ctx, cmd); });
}

}  // namespace hadal::cpu
