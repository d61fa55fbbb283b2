// Everything is turned: scores are held as keys × queries. A query's maximum and sum are then lanes of vectors, never folded; the
// probabilities' pairs of neighbouring keys, which the product with the values reads, are two rows; and backward the
// gradients by keys and values read the same rows as they are. Products of bfloat16 round their operands to it and sum in float;
// those of float split them into parts (pair_tiles.h), which lie one whole matrix after the other. Scores, maxima, sums and
// the differences of the gradient are of float.
#include "cpu/attention_pairs.h"

#include <atomic>

#include "cpu/attention_tile.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_split.h"
#include "cpu/pair_tiles.h"
#include "kernels/math.h"

namespace hadal::cpu {

#if defined(__AVX512F__)

using namespace attention_tile;

namespace {

constexpr int kWidth = kLanes<float>;
// Columns of a panel, rows of a product and its steps are all of this size.
constexpr int64_t kBlock = 32;
static_assert(kPairRows == kBlock && kPairVectors * kWidth == kBlock && kPairStep == kBlock);

// Tiles of queries and keys. Forward, 32 × 256 scores of float stay in the first-level cache (64 × 128: 3 % slower); backward, the wider
// the tile, the rarer sums of gradients are fetched.
constexpr int64_t kQueries = 32;
constexpr int64_t kKeys = 256;
constexpr int64_t kBackwardQueries = 128;
constexpr int64_t kBackwardKeys = 128;

// Queries that share packed keys and values, bounded as in attention.cc by the number of tasks wanted for an even load.
constexpr int64_t kLargestChunk = 1024;
constexpr int64_t kWantedTasks = 32;
constexpr int64_t kWantedBackwardTasks = 16;
// Multiply-adds worth a hand-off to another thread, about 20 µs.
constexpr int64_t kWorkPerTask = 8 << 20;
// Fewer queries leave the tiles mostly empty.
constexpr int64_t kFewQueries = 6;

bool serves(const TensorView& q) {
  return q.shape[2] > kFewQueries && (q.dtype == DType::kBFloat16 ? has_pair_tiles() : has_amx());
}

// The bfloat16 that hold an element.
template <class E>
constexpr int kParts = std::is_same_v<E, float> ? kFloatParts : 1;

// Cuts scratch memory into arrays.
class Slices {
 public:
  explicit Slices(float* memory) : next_(memory) {}
  float* floats(int64_t count) {
    float* const slice = next_;
    next_ += round_up(count, kWidth);
    return slice;
  }
  BFloat16* halves(int64_t count) { return reinterpret_cast<BFloat16*>(floats((count + 1) / 2)); }

 private:
  float* next_;
};

// 2^x for x below 127: 1 ulp for float, for bfloat16 to 3e-6, since what is made of it is rounded to that or summed. With subnormals flushed,
// -inf gives 0.
template <class E>
inline Vec<float> exp2_for(Vec<float> x) {
  constexpr bool kShort = kParts<E> == 1;
  constexpr int kToWhole = kShort ? 0x09 : 0x08;  // x - floor(x), x - nearest(x)
  const auto r = (Vec<float>)_mm512_maskz_reduce_ps(kAllLanes, (__m512)x, kToWhole);
  if constexpr (kShort) {
    const Vec<float> power = math::polynomial(r, 1.0f, 0x1.62d6c6p-1f, 0x1.ee2452p-3f, 0x1.abf868p-5f, 0x1.b7f734p-7f);
    return (Vec<float>)_mm512_maskz_scalef_ps(kAllLanes, (__m512)power, (__m512)x);
  } else {
    const Vec<float> power = math::polynomial(r, 1.0f, 0x1.62e43p-1f, 0x1.ebfbdap-3f, 0x1.c6aed4p-5f, 0x1.3b2dbcp-7f,
                                              0x1.5f456ap-10f, 0x1.41d332p-13f);
    return (Vec<float>)_mm512_maskz_scalef_ps(kAllLanes, (__m512)power, (__m512)(x - r));
  }
}

// Pairs of two such rows: lanes 0 … 15 and 16 … 31.
struct Pairs {
  __m512i low, high;
};
inline Pairs pair_rows(__m512i first, __m512i second) {
  const __m512i even = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                        5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i odd = _mm512_add_epi16(even, _mm512_set1_epi16(16));
  return {_mm512_permutex2var_epi16(first, even, second), _mm512_permutex2var_epi16(first, odd, second)};
}

// Two vectors as bfloat16, and what two such rows are as pairs.
template <class E>
class Rounded {
 public:
  Rounded(Vec<float> low, Vec<float> high) : row_(round_to_halves(low, high)) {}
  void store_row(BFloat16* to, int64_t) const { _mm512_storeu_si512(to, row_); }
  static void store_pairs(const Rounded& first, const Rounded& second, float* to, int64_t) {
    const Pairs pair = pair_rows(first.row_, second.row_);
    _mm512_storeu_si512(to, pair.low);
    _mm512_storeu_si512(to + kWidth, pair.high);
  }

 private:
  __m512i row_;
};
// The same as parts, each `part_stride` elements from the one before.
template <>
class Rounded<float> {
 public:
  Rounded(Vec<float> low, Vec<float> high) {
    for (auto& part : parts_) {
      part[0] = take_part(low);
      part[1] = take_part(high);
    }
  }
  void store_row(BFloat16* to, int64_t part_stride) const {
    for (const auto& part : parts_) {
      _mm512_storeu_si512(to, round_to_halves(part[0], part[1]));
      to += part_stride;
    }
  }
  static void store_pairs(const Rounded& first, const Rounded& second, float* to, int64_t part_stride) {
    for (int part = 0; part < kFloatParts; ++part, to += part_stride) {
      for (int v = 0; v < 2; ++v) {
        store(to + v * kWidth, pair_parts(first.parts_[part][v], second.parts_[part][v]));
      }
    }
  }

 private:
  Vec<float> parts_[kFloatParts][2];
};

// The factors of a product: rows of bfloat16, and panels of a block of columns in pairs, `panel` floats apart. From part to part, in
// elements of each:
struct LeftMatrix {
  const BFloat16* data;
  int64_t row;
  int64_t part;
};
struct RightMatrix {
  const float* data;
  int64_t panel;
  int64_t part;
};
// c = or += a · b for `rows` rows and `columns` columns, both whole blocks.
template <class E>
void multiply(PairTiles& registers, int64_t rows, int64_t columns, int64_t depth, const LeftMatrix& a,
              const RightMatrix& b, float* c, int64_t c_row, bool accumulate) {
  PairProduct product;
  product.parts = kParts<E>;
  product.a_part = a.part;
  product.b_part = b.part;
  product.rows = 16;
  product.lower_rows = 16;
  product.vectors = 2;
  product.steps = depth / kPairStep;
  product.a_row = a.row;
  product.a_lower = 16 * a.row;
  product.b_row = kBlock;
  product.c_row = c_row;
  product.accumulate = accumulate;
  for (int64_t row = 0; row < rows; row += kBlock) {
    product.a = a.data + row * a.row;
    for (int64_t column = 0; column < columns; column += kBlock) {
      product.b = b.data + column / kBlock * b.panel;
      product.c = c + row * c_row + column;
      registers.multiply(product);
    }
  }
}

// A matrix of a head: elements [i][j] at i · row + j · column.
template <class E>
struct Rows {
  const E* data;
  int64_t row;
  int64_t column;
  Rows from(int64_t i) const { return {data + i * row, row, column}; }
};
template <class E>
Rows<E> rows_of(const TensorView& view, int64_t batch, int64_t head) {
  return {view.as<E>() + batch * view.strides[0] + head * view.strides[1], view.strides[2], view.strides[3]};
}
template <class E>
Rows<E> turned(const Rows<E>& m) {
  return {m.data, m.column, m.row};
}

void pack_left(const Rows<BFloat16>& m, int64_t rows, int64_t depth, BFloat16* to, int64_t to_row) {
  if (m.column == 1) {
    for (int64_t j = 0; j < depth; j += kBlock) {
      const auto lanes = static_cast<__mmask32>((uint64_t{1} << std::min(kBlock, depth - j)) - 1);
      for (int64_t i = 0; i < rows; ++i) {
        _mm512_storeu_si512(to + i * to_row + j, _mm512_maskz_loadu_epi16(lanes, m.data + i * m.row + j));
      }
    }
  } else {
    pack_half_rows(m.data, m.row, m.column, rows, depth, round_up(depth, kBlock), to, to_row, kBlock);
  }
  for (int64_t i = rows; i < round_up(rows, kBlock); ++i) {
    std::fill_n(to + i * to_row, round_up(depth, kBlock), BFloat16(0.0f));
  }
}
void pack_right(const Rows<BFloat16>& m, int64_t rows, int64_t depth, float* to) {
  const int64_t whole = round_up(depth, kBlock) / 2;
  for (int64_t i = 0; i < rows; i += kBlock, to += whole * kBlock) {
    pack_pairs(m.data + i * m.row, m.row, m.column, std::min(kBlock, rows - i), kBlock, depth, to, kBlock);
    std::fill(to + (depth + 1) / 2 * kBlock, to + whole * kBlock, 0.0f);
  }
}

// Packs matrices; of float it says whether they are the sums of their parts.
template <class E>
class Packer {
 public:
  // to[i][j] = m[i][j], zeros up to whole blocks of both.
  void left(const Rows<E>& m, int64_t rows, int64_t depth, BFloat16* to, int64_t to_row, int64_t part) {
    if constexpr (kParts<E> > 1) {
      split(m, rows, depth, [&](int64_t i, int64_t j) {
        return SplitTarget{reinterpret_cast<float*>(to + i * to_row + j), to_row / 2, part / 2, SplitOrder::kRows};
      });
    } else {
      pack_left(m, rows, depth, to, to_row);
    }
  }
  // Panels [rows / block][depth / 2][block] of m[i][j], j being the depth, zeros up to whole blocks of both.
  void right(const Rows<E>& m, int64_t rows, int64_t depth, float* to, int64_t part) {
    if constexpr (kParts<E> > 1) {
      const int64_t panel = round_up(depth, kBlock) / 2 * kBlock;
      split(m, rows, depth, [&](int64_t i, int64_t j) {
        float* const at = to + i / kBlock * panel + j / 2 * kBlock + i % kBlock;
        return SplitTarget{at, kBlock, part, SplitOrder::kPairs};
      });
    } else {
      pack_right(m, rows, depth, to);
    }
  }
  bool holds() const { return range_.holds(); }

 private:
  template <class F>
  void split(const Rows<E>& m, int64_t rows, int64_t depth, F&& target) {
    for (int64_t i = 0; i < round_up(rows, kBlock); i += kWidth) {
      for (int64_t j = 0; j < depth; j += kBlock) {
        split_square(m.data + i * m.row + j * m.column, m.row, m.column, std::clamp<int64_t>(rows - i, 0, kWidth),
                     std::min(kBlock, depth - j), target(i, j), range_);
      }
    }
  }
  SplitRange range_;
};
// to[i][j] = from[j][i] · factors[i] for `rows` rows and `columns` columns of a tensor; from has whole vectors of both.
template <class E>
void unpack_turned(const float* from, int64_t from_row, int64_t rows, int64_t columns, const float* factors, E* to,
                   int64_t row, int64_t column) {
  for (int64_t i = 0; i < rows; i += kWidth) {
    for (int64_t j = 0; j < columns; j += kWidth) {
      Vec<float> square[kWidth];
      for (int l = 0; l < kWidth; ++l) square[l] = load(from + (j + l) * from_row + i) * load(factors + i);
      attention_tile::transpose<float>(square);
      for (int64_t l = 0; l < std::min<int64_t>(kWidth, rows - i); ++l) {
        E* const out = to + (i + l) * row + j * column;
        if (column == 1 && columns - j >= kWidth) {
          store(out, square[l]);
        } else {
          E lanes[kWidth];
          store(lanes, square[l]);
          for (int64_t k = 0; k < std::min<int64_t>(kWidth, columns - j); ++k) out[k * column] = lanes[k];
        }
      }
    }
  }
}

// Of a tile of keys × queries, both from `key` and `query` on: adds the mask to scores (already scaled), and hides the keys past `seen`.
void mask_scores(const Mask& mask, int64_t batch, int64_t head, int64_t query, int64_t queries, int64_t key,
                 int64_t seen, int64_t keys, float* scores, int64_t ld) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  if (!mask.transparent(query, key + seen)) {
    mask.apply(batch, head, query, queries, key, seen, scores, 1, ld);
  }
  std::fill(scores + seen * ld, scores + keys * ld, kHidden);
}
void scale_scores(float scale, int64_t keys, int64_t queries, float* scores, int64_t ld) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t i = 0; i < queries; i += kWidth) store(scores + j * ld + i, load(scores + j * ld + i) * scale);
  }
}
// Dropout's factors of a tile, keys × queries; `rows` has room for queries × kKeyTile.
void turned_factors(const Dropout& dropout, int64_t first_row, int64_t queries, int64_t s, int64_t key, int64_t keys,
                    float* rows, float* to, int64_t ld) {
  std::fill_n(to, round_up(keys, kBlock) * ld, 0.0f);
  for (int64_t begin = 0; begin < keys; begin += kKeyTile) {
    const int64_t count = std::min<int64_t>(kKeyTile, keys - begin);
    dropout.factors(first_row, queries, s, key + begin, count, rows);
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = 0; j < count; ++j) to[(begin + j) * ld + i] = rows[i * kKeyTile + j];
    }
  }
}

// Running softmax of keys × kQueries scores, an even number of keys: raises maximum, makes pairs of exponentials (in panels of
// `panel` floats) and adds them up in total; factor is what the results so far must be multiplied with. Says whether it is 1 throughout.
template <class E, bool kDropout>
bool exponentiate(int64_t keys, float scale, const float* scores, const float* kept, float* pairs, int64_t panel,
                  int64_t part, float* maximum, float* total, float* factor) {
  bool same = true;
  for (int64_t column = 0; column < kQueries; column += kBlock) {
    const float* const tile = scores + column;
    Vec<float> shift[2], sums[2];
    Vec<float> largest[2][2];
    for (int v = 0; v < 2; ++v) largest[v][0] = largest[v][1] = load(tile + v * kWidth);
    for (int64_t j = 0; j < keys; j += 2) {
      for (int v = 0; v < 2; ++v) {
        largest[v][0] = vmax(load(tile + j * kQueries + v * kWidth), largest[v][0]);
        largest[v][1] = vmax(load(tile + (j + 1) * kQueries + v * kWidth), largest[v][1]);
      }
    }
    for (int v = 0; v < 2; ++v) {
      const int64_t at = column + v * kWidth;
      const Vec<float> before = load(maximum + at);
      const Vec<float> now = vmax(Vec<float>(vmax(largest[v][0], largest[v][1]) * scale), before);
      shift[v] = now == -std::numeric_limits<float>::infinity() ? Vec<float>{} : now;
      const Vec<float> decay = exp2_for<E>(before - shift[v]);
      same = same && !any_lane(decay != 1.0f);
      sums[v] = load(total + at) * decay;
      store(maximum + at, now);
      store(factor + at, decay);
    }
    float* to = pairs + column / kBlock * panel;
    for (int64_t j = 0; j < keys; j += 2, to += kBlock) {
      const auto exponentials = [&](int64_t at) __attribute__((always_inline)) {
        Vec<float> e[2];
        for (int v = 0; v < 2; ++v) {
          e[v] = exp2_for<E>(load(tile + at + v * kWidth) * scale - shift[v]);
          sums[v] += e[v];
          if constexpr (kDropout) e[v] *= load(kept + at + column + v * kWidth);
        }
        return Rounded<E>(e[0], e[1]);
      };
      const Rounded<E> first = exponentials(j * kQueries), second = exponentials((j + 1) * kQueries);
      Rounded<E>::store_pairs(first, second, to, part);
    }
    for (int v = 0; v < 2; ++v) store(total + column + v * kWidth, sums[v]);
  }
  return same;
}

// Of a block of keys × queries (kBackwardQueries apart): probabilities of queries [first, last) from their scores, and the gradients of
// the scores, as rows of bfloat16 and, the latter, as pairs of keys too, in panels of `panel` floats.
template <class E, bool kDropout>
void differentiate(int64_t first, int64_t last, float scale, const float* scores, const float* gradients,
                   const float* kept, const float* lse, const float* dots, BFloat16* probabilities,
                   BFloat16* score_gradients, int64_t row_part, float* pairs, int64_t panel, int64_t pair_part) {
  for (int64_t column = first; column < last; column += kBlock) {
    Vec<float> shift[2], dot[2];
    for (int v = 0; v < 2; ++v) {
      shift[v] = load(lse + column + v * kWidth);
      dot[v] = load(dots + column + v * kWidth);
    }
    float* to = pairs + column / kBlock * panel;
    for (int64_t j = 0; j < kBlock; j += 2, to += kBlock) {
      const auto differences = [&](int64_t row) __attribute__((always_inline)) {
        Vec<float> p[2], g[2];
        for (int v = 0; v < 2; ++v) {
          const int64_t at = row + v * kWidth;
          p[v] = exp2_for<E>(load(scores + at) * scale - shift[v]);
          if constexpr (kDropout) {
            const Vec<float> factor = load(kept + at);
            g[v] = p[v] * (load(gradients + at) * factor - dot[v]);
            p[v] *= factor;
          } else {
            g[v] = p[v] * (load(gradients + at) - dot[v]);
          }
        }
        Rounded<E>(p[0], p[1]).store_row(probabilities + row, row_part);
        const Rounded<E> rounded(g[0], g[1]);
        rounded.store_row(score_gradients + row, row_part);
        return rounded;
      };
      const Rounded<E> even = differences(j * kBackwardQueries + column);
      const Rounded<E> odd = differences((j + 1) * kBackwardQueries + column);
      Rounded<E>::store_pairs(even, odd, to, pair_part);
    }
  }
}

// Σ_j a[j] · b[j] of two rows.
template <class E>
float dot_row(const E* a, int64_t a_column, const E* b, int64_t b_column, int64_t columns) {
  Vec<float> sum = {};
  float rest = 0;
  int64_t j = 0;
  if (a_column == 1 && b_column == 1) {
    for (; j + kWidth <= columns; j += kWidth) sum += load(a + j) * load(b + j);
  }
  for (; j < columns; ++j) rest += static_cast<float>(a[j * a_column]) * static_cast<float>(b[j * b_column]);
  return horizontal_sum(sum) + rest;
}

template <class E>
bool attention(KernelContext& ctx, const Command& cmd) {
  const TensorView &q = cmd.input(0), &k = cmd.input(1), &v = cmd.input(2);
  const TensorView &y = cmd.output(0), &lse = cmd.output(1);
  const int64_t b = q.shape[0], h = q.shape[1], t = q.shape[2], d = q.shape[3];
  const int64_t s = k.shape[2], dv = v.shape[3];
  const int64_t heads_per_key = h / k.shape[1];
  const float scale = static_cast<float>(cmd.attribute(0) * kLog2E);
  const Mask mask(cmd.input(3), cmd.flag(1));
  const Dropout dropout(cmd, 2);

  const int64_t wanted_chunks =
      std::max((kWantedTasks + b * h - 1) / std::max<int64_t>(b * h, 1), ceil_div(t, kLargestChunk));
  const int64_t chunk = round_up(ceil_div(t, wanted_chunks), kQueries);
  const int64_t chunks = ceil_div(t, chunk);
  const int64_t width = round_up(d, kBlock), value_width = round_up(dv, kBlock), padded = round_up(s, kKeys);
  const int64_t panel = kKeys / 2 * kBlock;  // of pairs of probabilities

  std::atomic<bool> holds = true;
  const int64_t work = std::min(chunk, t) * s * (d + dv);
  ctx.parallel_ranges(b * h * chunks, kWorkPerTask / std::max<int64_t>(work, 1), [&](int64_t begin, int64_t end) {
    const int64_t kept_size = dropout.active() ? kQueries * (kKeys + kKeyTile) : 0;
    const int64_t key_part = padded * width, value_part = padded * value_width;
    const int64_t query_part = kQueries * width / 2, pair_part = kQueries * kKeys / 2;
    Slices slices(ctx.thread_scratch<float>(kParts<E> * ((key_part + value_part) / 2 + query_part + pair_part) +
                                            kQueries * (value_width + kKeys + 3) + kept_size + kPackSlack));
    BFloat16* const keys = slices.halves(kParts<E> * key_part);
    BFloat16* const values = slices.halves(kParts<E> * value_part);  // [tile][dv][keys]
    float* const queries = slices.floats(kParts<E> * query_part);
    float* const results = slices.floats(kQueries * value_width);  // [dv][queries]
    float* const scores = slices.floats(kQueries * kKeys);
    float* const pairs = slices.floats(kParts<E> * pair_part);
    float* const maximum = slices.floats(kQueries);
    float* const total = slices.floats(kQueries);
    float* const factor = slices.floats(kQueries);
    float* const kept = slices.floats(kept_size);
    Packer<E> packer;
    PairTiles registers;
    const FlushSubnormals flush;
    for (int64_t task = begin; task < end; ++task) {
      // Under a causal mask the last queries see most: they come first.
      const int64_t first = (chunks - 1 - task / (b * h)) * chunk;
      const int64_t batch = task % (b * h) / h, head = task % h;
      const int64_t last = std::min(first + chunk, t);
      const int64_t visible = mask.visible(last, 0, s);
      const Rows<E> key_rows = rows_of<E>(k, batch, head / heads_per_key);
      const Rows<E> value_rows = rows_of<E>(v, batch, head / heads_per_key);
      const Rows<E> query_rows = rows_of<E>(q, batch, head);
      packer.left(key_rows, visible, d, keys, width, key_part);
      for (int64_t key = 0; key < visible; key += kKeys) {
        packer.left(turned(value_rows.from(key)), dv, std::min(kKeys, visible - key), values + key * value_width, kKeys,
                    value_part);
      }

      for (int64_t query = first; query < last; query += kQueries) {
        const int64_t rows = std::min(kQueries, last - query);
        packer.right(query_rows.from(query), rows, d, queries, query_part);
        std::fill_n(maximum, kQueries, -std::numeric_limits<float>::infinity());
        std::fill_n(total, kQueries, 0.0f);
        const int64_t in_sight = mask.visible(query + rows, 0, s);
        if (in_sight == 0) std::fill_n(results, kQueries * value_width, 0.0f);
        for (int64_t key = 0; key < in_sight; key += kKeys) {
          const int64_t seen = std::min(kKeys, in_sight - key), whole = round_up(seen, kBlock);
          multiply<E>(registers, whole, kQueries, width, {keys + key * width, width, key_part},
                      {queries, width / 2 * kBlock, query_part}, scores, kQueries, false);
          float factor_of_scores = scale;
          if (!(scale > 0) || seen < whole || !mask.transparent(query, key + seen)) {
            scale_scores(scale, whole, kQueries, scores, kQueries);
            mask_scores(mask, batch, head, query, rows, key, seen, whole, scores, kQueries);
            factor_of_scores = 1;
          }
          bool same;
          if (dropout.active()) {
            turned_factors(dropout, (batch * h + head) * t + query, rows, s, key, seen, kept + kQueries * kKeys, kept,
                           kQueries);
            same = exponentiate<E, true>(whole, factor_of_scores, scores, kept, pairs, panel, pair_part, maximum, total,
                                         factor);
          } else {
            same = exponentiate<E, false>(whole, factor_of_scores, scores, kept, pairs, panel, pair_part, maximum,
                                          total, factor);
          }
          for (int64_t i = 0; i < kQueries && key > 0 && !same; i += kWidth) {
            for (int64_t j = 0; j < value_width; ++j) {
              float* const at = results + j * kQueries + i;
              store(at, load(at) * load(factor + i));
            }
          }
          multiply<E>(registers, value_width, kQueries, whole, {values + key * value_width, kKeys, value_part},
                      {pairs, panel, pair_part}, results, kQueries, key > 0);
        }

        float* const out_lse = lse.as<float>() + batch * lse.strides[0] + head * lse.strides[1];
        for (int64_t i = 0; i < rows; ++i) {
          factor[i] = total[i] == 0 ? 0 : 1 / total[i];
          out_lse[(query + i) * lse.strides[2]] = maximum[i] * static_cast<float>(kLn2) + std::log(total[i]);
        }
        unpack_turned(results, kQueries, rows, dv, factor,
                      y.as<E>() + batch * y.strides[0] + head * y.strides[1] + query * y.strides[2], y.strides[2],
                      y.strides[3]);
      }
    }
    if (!packer.holds()) holds = false;
  });
  return holds;
}

// Tasks and their order of summing are those of attention_backward.cc.
template <class E>
bool attention_backward(KernelContext& ctx, const Command& cmd) {
  const TensorView &g = cmd.input(0), &q = cmd.input(1), &k = cmd.input(2), &v = cmd.input(3);
  const TensorView &y = cmd.input(5), &lse = cmd.input(6);
  const TensorView &gq = cmd.output(0), &gk = cmd.output(1), &gv = cmd.output(2);
  const int64_t b = q.shape[0], h = q.shape[1], t = q.shape[2], d = q.shape[3];
  const int64_t hk = k.shape[1], s = k.shape[2], dv = v.shape[3];
  if (b * h == 0) return true;
  const int64_t heads_per_key = h / hk;
  const auto scale = static_cast<float>(cmd.attribute(0));
  const float scale_of_scores = static_cast<float>(cmd.attribute(0) * kLog2E);
  const Mask mask(cmd.input(4), cmd.flag(1));
  const Dropout dropout(cmd, 2);

  constexpr int64_t kQ = kBackwardQueries, kK = kBackwardKeys;
  const int64_t tiles = ceil_div(s, kK);
  const int64_t shares = std::clamp<int64_t>(ceil_div(kWantedBackwardTasks, b * hk), 1, std::max<int64_t>(tiles, 1));
  const int64_t padded = round_up(t, kQ);
  const int64_t width = round_up(d, kBlock), value_width = round_up(dv, kBlock);
  const int64_t panel = kK / 2 * kBlock;  // of pairs of the gradients of scores
  // Sums of gq, [tile of queries][d][kQ]; those of each share of each head with several shares, else a task's own.
  const int64_t sum_size = padded * width;
  float* const share_sums = shares > 1 ? ctx.scratch<float>(shares * b * h * sum_size) : nullptr;

  const auto write_turned = [&](const float* sums, int64_t ld, int64_t rows, int64_t columns, float factor,
                                const TensorView& to, int64_t batch, int64_t head, int64_t first) {
    alignas(64) float factors[std::max(kQ, kK)];
    std::fill(std::begin(factors), std::end(factors), factor);
    unpack_turned(sums, ld, rows, columns, factors,
                  to.as<E>() + batch * to.strides[0] + head * to.strides[1] + first * to.strides[2], to.strides[2],
                  to.strides[3]);
  };
  // Writes gq of one head, summed over the shares.
  const auto write_queries = [&](int64_t batch, int64_t head, float* sums) {
    for (int64_t share = 1; share < shares; ++share) {
      const float* more = sums + share * b * h * sum_size;
      for (int64_t i = 0; i < sum_size; ++i) sums[i] += more[i];
    }
    for (int64_t query = 0; query < t; query += kQ) {
      write_turned(sums + query * width, kQ, std::min(kQ, t - query), d, scale, gq, batch, head, query);
    }
  };

  std::atomic<bool> holds = true;
  const int64_t tiles_per_task = ceil_div(tiles, shares);
  const int64_t work = heads_per_key * t * s / shares * (d + dv) * 5 / 2;
  ctx.parallel_ranges(b * hk * shares, kWorkPerTask / std::max<int64_t>(work, 1), [&](int64_t begin, int64_t end) {
    const int64_t owned_keys = tiles_per_task * kK;
    const int64_t kept_size = dropout.active() ? kBlock * kQ + kQ * kKeyTile : 0;
    constexpr int64_t kPart = kK * kQ / 2, kRowPart = kBlock * kQ;
    const int64_t query_part = padded * width / 2, gradient_part = padded * value_width / 2;
    const int64_t key_part = kK * width, value_part = kK * value_width;
    Slices slices(ctx.thread_scratch<float>(
        kParts<E> * (2 * (query_part + gradient_part) + key_part + value_part / 2 + kRowPart + kPart) + sum_size +
        owned_keys * (width + value_width) + 2 * kRowPart + 2 * padded + kept_size + kPackSlack));
    float* const query_columns = slices.floats(kParts<E> * query_part);  // pairs along d
    float* const query_pairs = slices.floats(kParts<E> * query_part);    // of queries, [tile of queries][kQ / 2][d]
    float* const gradient_columns = slices.floats(kParts<E> * gradient_part);
    float* const gradient_pairs = slices.floats(kParts<E> * gradient_part);
    float* const own_sums = slices.floats(sum_size);
    float* const key_sums = slices.floats(owned_keys * width);
    float* const value_sums = slices.floats(owned_keys * value_width);
    BFloat16* const keys = slices.halves(kParts<E> * key_part);
    BFloat16* const turned_keys = slices.halves(kParts<E> * key_part);
    BFloat16* const values = slices.halves(kParts<E> * value_part);
    float* const scores = slices.floats(kBlock * kQ);
    float* const gradients = slices.floats(kBlock * kQ);
    BFloat16* const probabilities = slices.halves(kParts<E> * kRowPart);
    BFloat16* const score_gradients = slices.halves(kParts<E> * kRowPart);
    float* const pairs = slices.floats(kParts<E> * kPart);
    float* const row_lse = slices.floats(padded);
    float* const dots = slices.floats(padded);
    float* const kept = slices.floats(kept_size);
    Packer<E> packer;
    PairTiles registers;
    const FlushSubnormals flush;

    for (int64_t task = begin; task < end; ++task) {
      const int64_t share = task % shares, batch = task / shares / hk, key_head = task / shares % hk;
      const Rows<E> key_rows = rows_of<E>(k, batch, key_head), value_rows = rows_of<E>(v, batch, key_head);
      std::fill_n(key_sums, owned_keys * width, 0.0f);
      std::fill_n(value_sums, owned_keys * value_width, 0.0f);
      for (int64_t head = key_head * heads_per_key; head < (key_head + 1) * heads_per_key; ++head) {
        const Rows<E> query_rows = rows_of<E>(q, batch, head), gradient_rows = rows_of<E>(g, batch, head);
        const Rows<E> result_rows = rows_of<E>(y, batch, head);
        for (int64_t query = 0; query < t; query += kQ) {
          const int64_t rows = std::min(kQ, t - query);
          const Rows<E> own_queries = query_rows.from(query), own_gradients = gradient_rows.from(query);
          packer.right(own_queries, rows, d, query_columns + query * width / 2, query_part);
          packer.right(own_gradients, rows, dv, gradient_columns + query * value_width / 2, gradient_part);
          packer.right(turned(own_queries), d, rows, query_pairs + query * width / 2, query_part);
          packer.right(turned(own_gradients), dv, rows, gradient_pairs + query * value_width / 2, gradient_part);
        }
        // A query that sees nothing, or is none: every probability becomes 0.
        constexpr float kInfinity = std::numeric_limits<float>::infinity();
        std::fill_n(row_lse, padded, kInfinity);
        std::fill_n(dots, padded, 0.0f);
        for (int64_t i = 0; i < t; ++i) {
          const float value = lse.as<float>()[batch * lse.strides[0] + head * lse.strides[1] + i * lse.strides[2]];
          if (value != -kInfinity) row_lse[i] = value * static_cast<float>(kLog2E);
          dots[i] = dot_row(gradient_rows.from(i).data, gradient_rows.column, result_rows.from(i).data,
                            result_rows.column, dv);
        }
        float* const query_sums = shares > 1 ? share_sums + (share * b * h + batch * h + head) * sum_size : own_sums;
        std::fill_n(query_sums, sum_size, 0.0f);

        for (int64_t tile = share; tile < tiles; tile += shares) {
          const int64_t key = tile * kK, key_count = std::min(kK, s - key);
          if (mask.visible(t, key, key_count) == 0) break;
          packer.left(key_rows.from(key), key_count, d, keys, width, key_part);
          packer.left(turned(key_rows.from(key)), d, key_count, turned_keys, kK, key_part);
          packer.left(value_rows.from(key), key_count, dv, values, value_width, value_part);
          float* const tile_key_sums = key_sums + tile / shares * kK * width;
          float* const tile_value_sums = value_sums + tile / shares * kK * value_width;

          for (int64_t query = 0; query < t; query += kQ) {
            const int64_t rows = std::min(kQ, t - query), whole = round_up(rows, kBlock);
            const int64_t seen = mask.visible(query + rows, key, key_count);
            for (int64_t block = 0; block < seen; block += kBlock) {
              const int64_t block_keys = std::min(kBlock, key_count - block);
              // Queries before the first that sees one of these keys are left out, in whole blocks.
              int64_t first = 0;
              while (mask.visible(query + first + kBlock, key + block, block_keys) == 0) first += kBlock;
              const int64_t columns = whole - first;
              multiply<E>(registers, kBlock, columns, width, {keys + block * width, width, key_part},
                          {query_columns + (query + first) * width / 2, width / 2 * kBlock, query_part}, scores + first,
                          kQ, false);
              multiply<E>(
                  registers, kBlock, columns, value_width, {values + block * value_width, value_width, value_part},
                  {gradient_columns + (query + first) * value_width / 2, value_width / 2 * kBlock, gradient_part},
                  gradients + first, kQ, false);
              float factor_of_scores = scale_of_scores;
              if (block_keys < kBlock || !mask.transparent(query + first, key + block + block_keys)) {
                scale_scores(scale_of_scores, kBlock, whole, scores, kQ);
                mask_scores(mask, batch, head, query, rows, key + block, block_keys, kBlock, scores, kQ);
                factor_of_scores = 1;
              }
              float* const block_pairs = pairs + block / 2 * kBlock;
              if (dropout.active()) {
                turned_factors(dropout, (batch * h + head) * t + query, rows, s, key + block, block_keys,
                               kept + kBlock * kQ, kept, kQ);
                differentiate<E, true>(first, whole, factor_of_scores, scores, gradients, kept, row_lse + query,
                                       dots + query, probabilities, score_gradients, kRowPart, block_pairs, panel,
                                       kPart);
              } else {
                differentiate<E, false>(first, whole, factor_of_scores, scores, gradients, kept, row_lse + query,
                                        dots + query, probabilities, score_gradients, kRowPart, block_pairs, panel,
                                        kPart);
              }
              const int64_t pair_panel = whole / 2 * kBlock;
              multiply<E>(registers, kBlock, value_width, columns, {probabilities + first, kQ, kRowPart},
                          {gradient_pairs + query * value_width / 2 + first / 2 * kBlock, pair_panel, gradient_part},
                          tile_value_sums + block * value_width, value_width, true);
              multiply<E>(registers, kBlock, width, columns, {score_gradients + first, kQ, kRowPart},
                          {query_pairs + query * width / 2 + first / 2 * kBlock, pair_panel, query_part},
                          tile_key_sums + block * width, width, true);
            }
            for (int64_t column = 0; column < whole; column += kBlock) {
              const int64_t depth = round_up(mask.visible(query + column + kBlock, key, key_count), kBlock);
              if (depth == 0) continue;
              multiply<E>(registers, width, kBlock, depth, {turned_keys, kK, key_part},
                          {pairs + column / kBlock * panel, panel, kPart}, query_sums + query * width + column, kQ,
                          true);
            }
          }
        }
        if (shares == 1) write_queries(batch, head, own_sums);
      }

      for (int64_t tile = share; tile < tiles; tile += shares) {
        const int64_t key = tile * kK, own = tile / shares * kK;
        for (int64_t i = 0; i < std::min(kK, s - key); ++i) {
          unpack_row(key_sums + (own + i) * width, d, scale,
                     gk.as<E>() + batch * gk.strides[0] + key_head * gk.strides[1] + (key + i) * gk.strides[2],
                     gk.strides[3]);
          unpack_row(value_sums + (own + i) * value_width, dv, 1.0f,
                     gv.as<E>() + batch * gv.strides[0] + key_head * gv.strides[1] + (key + i) * gv.strides[2],
                     gv.strides[3]);
        }
      }
    }
    if (!packer.holds()) holds = false;
  });
  if (shares > 1) {
    ctx.parallel(b * h, [&](int64_t head) { write_queries(head / h, head % h, share_sums + head * sum_size); });
  }
  return holds;
}

}  // namespace

bool attention_pairs(KernelContext& ctx, const Command& cmd) {
  if (!serves(cmd.input(0))) return false;
  switch (cmd.input(0).dtype) {
    case DType::kBFloat16: return attention<BFloat16>(ctx, cmd);
    case DType::kFloat32: return attention<float>(ctx, cmd);
    default: return false;
  }
}
bool attention_backward_pairs(KernelContext& ctx, const Command& cmd) {
  if (!serves(cmd.input(1))) return false;
  switch (cmd.input(1).dtype) {
    case DType::kBFloat16: return attention_backward<BFloat16>(ctx, cmd);
    case DType::kFloat32: return attention_backward<float>(ctx, cmd);
    default: return false;
  }
}

#else
bool attention_pairs(KernelContext&, const Command&) { return false; }
bool attention_backward_pairs(KernelContext&, const Command&) { return false; }
#endif

}  // namespace hadal::cpu
