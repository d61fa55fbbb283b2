// Gradients of scaled dot-product attention. The probabilities are computed again from the log-sum-exp, tile by tile:
//   P = exp(q·kᵀ·scale + mask − lse),  D = Σ g·y of a row,  dS = P · (g·vᵀ − D)
//   gv = Pᵀ·g,  gk = dSᵀ·q · scale,  gq = dS·k · scale
// A task owns the keys it sums gradients for, so nothing is added to concurrently; where there are few heads their key tiles are
// dealt to several tasks, each with its own sum of gq, and those are added in order. Results do not depend on the threads.
#include "cpu/attention_pairs.h"
#include "cpu/attention_tile.h"
#include "cpu/exp_flushed.h"
#include "runtime/registry.h"

namespace hadal::cpu {

using namespace attention_tile;

namespace {

// Where b · hk is less, key tiles are shared out so that there are about this many tasks.
constexpr int64_t kWantedTasks = 16;
// Multiply-adds worth a hand-off to another thread, about 20 µs.
constexpr int64_t kWorkPerTask = 1 << 20;

// Of a tile: scores to probabilities (with dropout's factors applied), and their gradients to gradients of the scores.
template <class C, bool kDropout>
void differentiate(int64_t rows, int64_t vectors, const C* lse, const C* dot, const C* kept, C* scores, C* gradients) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t at = i * kKeyTile; at < i * kKeyTile + vectors * kLanes<C>; at += kLanes<C>) {
      const Vec<C> p = exp2_flushed(Vec<C>(load(scores + at) - lse[i]));
      if constexpr (kDropout) {
        const Vec<C> factor = load(kept + at);
        store(scores + at, p * factor);
        store(gradients + at, p * (load(gradients + at) * factor - dot[i]));
      } else {
        store(scores + at, p);
        store(gradients + at, p * (load(gradients + at) - dot[i]));
      }
    }
  }
}

template <class T>
void attention_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr int kWidth = kLanes<C>;
  const TensorView &g = cmd.input(0), &q = cmd.input(1), &k = cmd.input(2), &v = cmd.input(3);
  const TensorView &y = cmd.input(5), &lse = cmd.input(6);
  const TensorView &gq = cmd.output(0), &gk = cmd.output(1), &gv = cmd.output(2);
  const int64_t b = q.shape[0], h = q.shape[1], t = q.shape[2], d = q.shape[3];
  const int64_t hk = k.shape[1], s = k.shape[2], dv = v.shape[3];
  if (b * h == 0) return;
  const int64_t heads_per_key = h / hk;
  const C scale = static_cast<C>(cmd.attribute(0));
  const C query_scale = static_cast<C>(cmd.attribute(0) * kLog2E);
  const Mask mask(cmd.input(4), cmd.flag(1));
  const Dropout dropout(cmd, 2);

  const int64_t tiles = (s + kKeyTile - 1) / kKeyTile;
  const int64_t shares = std::clamp<int64_t>((kWantedTasks + b * hk - 1) / (b * hk), 1, std::max<int64_t>(tiles, 1));
  const int64_t padded = round_up(t, kQueryTile);
  const int64_t width = round_up(d, kWidth), value_width = round_up(dv, kWidth);
  const int64_t vectors = width / kWidth, value_vectors = value_width / kWidth;
  // Sums of gq of each share, [share][b][h][t][d], padded; with one share a task keeps its own.
  const int64_t share_size = b * h * padded * width;
  C* share_sums = shares > 1 ? ctx.scratch<C>(shares * share_size) : nullptr;

  // Writes gq of one head, summed over the shares.
  const auto write_queries = [&](int64_t batch, int64_t head, C* sum) {
    if (shares > 1) {
      sum = share_sums + (batch * h + head) * padded * width;
      for (int64_t share = 1; share < shares; ++share) {
        const C* more = sum + share * share_size;
        for (int64_t i = 0; i < t * width; ++i) sum[i] += more[i];
      }
    }
    T* to = gq.as<T>() + batch * gq.strides[0] + head * gq.strides[1];
    for (int64_t i = 0; i < t; ++i) unpack_row(sum + i * width, d, scale, to + i * gq.strides[2], gq.strides[3]);
  };

  const int64_t tiles_per_task = (tiles + shares - 1) / shares;
  const int64_t work = heads_per_key * t * s / shares * (d + dv) * 5 / 2;
  ctx.parallel_ranges(b * hk * shares, kWorkPerTask / std::max<int64_t>(work, 1), [&](int64_t begin, int64_t end) {
    const int64_t owned_keys = tiles_per_task * kKeyTile;
    C* queries = ctx.thread_scratch<C>(padded * (2 * width + value_width + 2) + owned_keys * (width + value_width) +
                                       kKeyTile * (d + dv + width) + 3 * kQueryTile * kKeyTile);
    C* gradients = queries + padded * width;  // of the result
    C* own_sum = gradients + padded * value_width;
    C* key_sums = own_sum + padded * width;
    C* value_sums = key_sums + owned_keys * width;
    C* key_rows = value_sums + owned_keys * value_width;
    C* scores = key_rows + kKeyTile * width;
    C* score_gradients = scores + kQueryTile * kKeyTile;
    C* kept = score_gradients + kQueryTile * kKeyTile;
    C* key_panels = kept + kQueryTile * kKeyTile;
    C* value_panels = key_panels + kKeyTile * d;
    C* row_lse = value_panels + kKeyTile * dv;
    C* dots = row_lse + padded;

    for (int64_t task = begin; task < end; ++task) {
      const int64_t share = task % shares;
      const int64_t batch = task / shares / hk;
      const int64_t key_head = task / shares % hk;
      std::fill(key_sums, key_rows, C(0));
      for (int64_t head = key_head * heads_per_key; head < (key_head + 1) * heads_per_key; ++head) {
        pack_rows(q.as<T>() + batch * q.strides[0] + head * q.strides[1], q.strides[2], q.strides[3], t, d, query_scale,
                  queries, width, padded);
        pack_rows(g.as<T>() + batch * g.strides[0] + head * g.strides[1], g.strides[2], g.strides[3], t, dv, C(1),
                  gradients, value_width, padded);
        for (int64_t i = 0; i < t; ++i) {
          const C value = lse.as<C>()[batch * lse.strides[0] + head * lse.strides[1] + i * lse.strides[2]];
          // A query that sees nothing: every probability becomes 0.
          constexpr C kInfinity = std::numeric_limits<C>::infinity();
          row_lse[i] = value == -kInfinity ? kInfinity : value * static_cast<C>(kLog2E);
          dots[i] =
              dot_row(gradients + i * value_width,
                      y.as<T>() + batch * y.strides[0] + head * y.strides[1] + i * y.strides[2], y.strides[3], dv);
        }
        C* query_sum = shares > 1 ? share_sums + share * share_size + (batch * h + head) * padded * width : own_sum;
        std::fill(query_sum, query_sum + padded * width, C(0));

        for (int64_t tile = share; tile < tiles; tile += shares) {
          const int64_t key = tile * kKeyTile;
          const int64_t key_count = std::min<int64_t>(kKeyTile, s - key);
          if (mask.visible(t, key, key_count) == 0) break;
          const T* tile_keys = k.as<T>() + batch * k.strides[0] + key_head * k.strides[1] + key * k.strides[2];
          const T* tile_values = v.as<T>() + batch * v.strides[0] + key_head * v.strides[1] + key * v.strides[2];
          pack_panels(tile_keys, k.strides[2], k.strides[3], key_count, d, key_panels);
          pack_panels(tile_values, v.strides[2], v.strides[3], key_count, dv, value_panels);
          pack_rows(tile_keys, k.strides[2], k.strides[3], key_count, d, C(1), key_rows, width, key_count);
          C* key_sum = key_sums + tile / shares * kKeyTile * width;
          C* value_sum = value_sums + tile / shares * kKeyTile * value_width;

          for (int64_t query = 0; query < t; query += kQueryTile) {
            const int64_t rows = std::min<int64_t>(kQueryTile, t - query);
            const int64_t seen = mask.visible(query + rows, key, key_count);
            if (seen == 0) continue;
            // Sums over queries run over whole register tiles of keys: those past `seen` get a probability of 0.
            const int64_t score_vectors = (round_up(seen, kTileRows) + kWidth - 1) / kWidth;
            multiply<C, Start::kZero>(rows, score_vectors, d, {queries + query * width, width, 1},
                                      {key_panels, kTileColumns<C>, kTileColumns<C> * d}, scores, kKeyTile);
            multiply<C, Start::kZero>(rows, score_vectors, dv, {gradients + query * value_width, value_width, 1},
                                      {value_panels, kTileColumns<C>, kTileColumns<C> * dv}, score_gradients, kKeyTile);
            if (!mask.transparent(query, key + seen)) {
              mask.apply(batch, head, query, rows, key, seen, scores, kKeyTile, 1);
            }
            for (int64_t i = 0; i < rows && seen < score_vectors * kWidth; ++i) {
              std::fill(scores + i * kKeyTile + seen, scores + i * kKeyTile + score_vectors * kWidth,
                        -std::numeric_limits<C>::infinity());
            }
            if (dropout.active()) {
              dropout.factors((batch * h + head) * t + query, rows, s, key, score_vectors * kWidth, kept);
              differentiate<C, true>(rows, score_vectors, row_lse + query, dots + query, kept, scores, score_gradients);
            } else {
              differentiate<C, false>(rows, score_vectors, row_lse + query, dots + query, kept, scores,
                                      score_gradients);
            }
            multiply<C, Start::kAdd>(seen, value_vectors, rows, {scores, 1, kKeyTile},
                                     {gradients + query * value_width, value_width, kTileColumns<C>}, value_sum,
                                     value_width);
            multiply<C, Start::kAdd>(seen, vectors, rows, {score_gradients, 1, kKeyTile},
                                     {queries + query * width, width, kTileColumns<C>}, key_sum, width);
            multiply<C, Start::kAdd>(rows, vectors, seen, {score_gradients, kKeyTile, 1},
                                     {key_rows, width, kTileColumns<C>}, query_sum + query * width, width);
          }
        }
        if (shares == 1) write_queries(batch, head, own_sum);
      }

      for (int64_t tile = share; tile < tiles; tile += shares) {
        for (int64_t i = 0; i < std::min<int64_t>(kKeyTile, s - tile * kKeyTile); ++i) {
          const int64_t key = tile * kKeyTile + i, row = tile / shares * kKeyTile + i;
          unpack_row(key_sums + row * width, d, static_cast<C>(kLn2),
                     gk.as<T>() + batch * gk.strides[0] + key_head * gk.strides[1] + key * gk.strides[2],
                     gk.strides[3]);
          unpack_row(value_sums + row * value_width, dv, C(1),
                     gv.as<T>() + batch * gv.strides[0] + key_head * gv.strides[1] + key * gv.strides[2],
                     gv.strides[3]);
        }
      }
    }
  });
  if (shares > 1) {
    ctx.parallel(b * h, [&](int64_t head) { write_queries(head / h, head % h, nullptr); });
  }
}

}  // namespace

HADAL_CPU_KERNEL(attentionBackward) {
  if (attention_backward_pairs(ctx, cmd)) return;
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { attention_backward<T>(ctx, cmd); });
}

}  // namespace hadal::cpu
