// What the attention kernels are built from: products of tiles that lie in cache, packing of a tensor's rows into such tiles,
// and the steps between the products (masks, exponentials). One thread, no allocation; used by attention.cc and
// attention_backward.cc alone.
//
// C is the compute type. Rows in a tile are padded with zeros to whole vectors, so that no product has a tail. Scores are kept
// in units of ln 2 (the queries are scaled by log2 e when packed): the exponential is then a power of two.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "cpu/philox_vector.h"
#include "cpu/simd.h"
#include "runtime/command.h"
#include "runtime/dtype.h"

namespace hadal::cpu::attention_tile {

inline constexpr double kLog2E = 1.4426950408889634;
inline constexpr double kLn2 = 0.6931471805599453;

// Register tile: 6 rows of 4 vectors take 24 of 32 registers, 6 rows of 2 take 12 of 16.
inline constexpr int kTileRows = 6;
inline constexpr int kTileVectors = kVectorRegisters == 32 ? 4 : 2;
template <class C>
inline constexpr int kTileColumns = kTileVectors * kLanes<C>;

// Queries × keys handled at once: both are multiples of kTileRows, the keys also of every kTileColumns. A tile of scores and
// the slices of Q, K and V it belongs to (d = 64) take 160 kB: they stay in the second-level cache.
inline constexpr int kQueryTile = 48;
inline constexpr int kKeyTile = 192;

constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// --- Products --------------------------------------------------------------------------------------------------------

// One factor of a product by its elements: at(m, k) = data[m · row + k · step].
template <class C>
struct Left {
  const C* data;
  int64_t row;
  int64_t step;
};
// The other in panels of kTileColumns columns, `panel` elements apart: rows `step` apart. Plain rows are panels too.
template <class C>
struct Right {
  const C* data;
  int64_t step;
  int64_t panel;
};

enum class Start { kZero, kAdd, kScale };  // c = a·b, c += a·b, c = c · scale[row] + a·b

template <class C, int kVectors, Start kStart>
[[gnu::always_inline]] inline void multiply_tile(const C* a, int64_t a_row, int64_t a_step, const C* b, int64_t b_step,
                                                 C* c, int64_t c_row, int64_t depth, const C* scale) {
  Vec<C> sum[kTileRows][kVectors];
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (kStart == Start::kZero) sum[m][v] = Vec<C>{};
      if constexpr (kStart == Start::kAdd) sum[m][v] = load(c + m * c_row + v * kLanes<C>);
      if constexpr (kStart == Start::kScale) sum[m][v] = load(c + m * c_row + v * kLanes<C>) * scale[m];
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec<C> right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes<C>);
#pragma GCC unroll 6
    for (int m = 0; m < kTileRows; ++m) {
      const C left = a[m * a_row];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[m][v] = multiply_add(left, right[v], sum[m][v]);
    }
    a += a_step;
    b += b_step;
  }
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(c + m * c_row + v * kLanes<C>, sum[m][v]);
  }
}

// c[m][n] for `rows` rows (rounded up to whole register tiles: c and a have that many) and `vectors` vectors of columns.
// Column panels outside: a panel of b stays in the first-level cache while the rows pass.
template <class C, Start kStart>
void multiply(int64_t rows, int64_t vectors, int64_t depth, Left<C> a, Right<C> b, C* c, int64_t c_row,
              const C* scale = nullptr) {
  const auto panel = [&]<int kVectors>(const C* columns, C* to) {
    for (int64_t m = 0; m < rows; m += kTileRows) {
      multiply_tile<C, kVectors, kStart>(a.data + m * a.row, a.row, a.step, columns, b.step, to + m * c_row, c_row,
                                         depth, scale + (scale != nullptr ? m : 0));
    }
  };
  for (; vectors >= kTileVectors; vectors -= kTileVectors) {
    panel.template operator()<kTileVectors>(b.data, c);
    b.data += b.panel;
    c += kTileColumns<C>;
  }
  if constexpr (kTileVectors == 4) {
    if (vectors == 3) panel.template operator()<3>(b.data, c);
    if (vectors == 2) panel.template operator()<2>(b.data, c);
  }
  if (vectors == 1) panel.template operator()<1>(b.data, c);
}

// --- Lanes -----------------------------------------------------------------------------------------------------------

// For two vectors and a power of two kHalf: the lanes without that bit of both (the second's moved up), and those with it
// (the first's moved down). Exchanging so at every bit transposes a square of vectors.
template <class C, int kHalf>
inline Vec<C> lower_lanes(Vec<C> a, Vec<C> b) {
  return [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(a, b, ((kLane & kHalf) == 0 ? kLane : kLanes<C> + kLane - kHalf)...);
  }(std::make_integer_sequence<int, kLanes<C>>());
}
template <class C, int kHalf>
inline Vec<C> upper_lanes(Vec<C> a, Vec<C> b) {
  return [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(a, b, ((kLane & kHalf) == 0 ? kLane + kHalf : kLanes<C> + kLane)...);
  }(std::make_integer_sequence<int, kLanes<C>>());
}

template <class C, int kHalf = kLanes<C> / 2>
inline void transpose(Vec<C>* rows) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<C>; ++i) {
    if ((i & kHalf) != 0) continue;
    const Vec<C> a = rows[i], b = rows[i + kHalf];
    rows[i] = lower_lanes<C, kHalf>(a, b);
    rows[i + kHalf] = upper_lanes<C, kHalf>(a, b);
  }
  if constexpr (kHalf > 1) transpose<C, kHalf / 2>(rows);
}

// Folds each of kLanes vectors to one value: lane i of the result belongs to rows[i].
template <class C, int kHalf = kLanes<C> / 2, class F>
inline Vec<C> fold_rows(Vec<C>* rows, F&& combine) {
#pragma GCC unroll 16
  for (int i = 0; i < kHalf; ++i) {
    rows[i] = combine(lower_lanes<C, kHalf>(rows[i], rows[i + kHalf]), upper_lanes<C, kHalf>(rows[i], rows[i + kHalf]));
  }
  if constexpr (kHalf > 1) return fold_rows<C, kHalf / 2>(rows, combine);
  else return rows[0];
}

// --- Packing ---------------------------------------------------------------------------------------------------------

// to[i][j] = factor · from[i][j] for count rows of `columns`; zero up to `ld` columns and `padded` rows.
template <class T, class C>
void pack_rows(const T* from, int64_t row, int64_t column, int64_t count, int64_t columns, C factor, C* to, int64_t ld,
               int64_t padded) {
  for (int64_t i = 0; i < count; ++i, from += row, to += ld) {
    int64_t j = 0;
    if (column == 1) {
      for (; j + kLanes<C> <= columns; j += kLanes<C>) store(to + j, load(from + j) * factor);
    }
    for (; j < columns; ++j) to[j] = static_cast<C>(from[j * column]) * factor;
    for (; j < ld; ++j) to[j] = 0;
  }
  std::fill(to, to + (padded - count) * ld, C(0));
}

// Transposed, in panels of kTileColumns rows of `from`: to[panel][j][i]. Rows past `count` are zero, to the panel's end.
template <class T, class C>
void pack_panels(const T* from, int64_t row, int64_t column, int64_t count, int64_t columns, C* to) {
  constexpr int kWidth = kLanes<C>;
  for (int64_t begin = 0; begin < count; begin += kTileColumns<C>, to += kTileColumns<C> * columns) {
    for (int64_t i = 0; i < kTileColumns<C>; i += kWidth) {
      const T* block = from + (begin + i) * row;
      const int64_t live = std::clamp<int64_t>(count - begin - i, 0, kWidth);
      int64_t j = 0;
      if (column == 1 && live == kWidth) {
        for (; j + kWidth <= columns; j += kWidth) {
          Vec<C> square[kWidth];
#pragma GCC unroll 16
          for (int l = 0; l < kWidth; ++l) square[l] = load(block + l * row + j);
          transpose<C>(square);
#pragma GCC unroll 16
          for (int l = 0; l < kWidth; ++l) store(to + (j + l) * kTileColumns<C> + i, square[l]);
        }
      }
      for (; j < columns; ++j) {
        C* line = to + j * kTileColumns<C> + i;
        for (int64_t l = 0; l < live; ++l) line[l] = static_cast<C>(block[l * row + j * column]);
        for (int64_t l = live; l < kWidth; ++l) line[l] = 0;
      }
    }
  }
}

// from[i][j] · factor into a tensor.
template <class T, class C>
void unpack_row(const C* from, int64_t columns, C factor, T* to, int64_t column) {
  int64_t j = 0;
  if (column == 1) {
    for (; j + kLanes<C> <= columns; j += kLanes<C>) store(to + j, load(from + j) * factor);
  }
  for (; j < columns; ++j) to[j * column] = static_cast<T>(from[j] * factor);
}

// Σ a[j] · b[j] over a packed row and one of a tensor.
template <class T, class C>
C dot_row(const C* a, const T* b, int64_t column, int64_t columns) {
  Vec<C> sum = {};
  C rest = 0;
  int64_t j = 0;
  if (column == 1) {
    for (; j + kLanes<C> <= columns; j += kLanes<C>) sum += load(a + j) * load(b + j);
  }
  for (; j < columns; ++j) rest += a[j] * static_cast<C>(b[j * column]);
  return horizontal_sum(sum) + rest;
}

// --- Scores ----------------------------------------------------------------------------------------------------------

// Which keys a query sees, and with what added to their scores.
class Mask {
 public:
  Mask(const TensorView& view, bool causal) : view_(view), causal_(causal) {}

  // Keys from `first` on that some query before `queries` sees, at most `count`.
  int64_t visible(int64_t queries, int64_t first, int64_t count) const {
    return causal_ ? std::clamp<int64_t>(queries - first, 0, count) : count;
  }
  // Whether every query from `query` on sees all keys before `keys`, with nothing added.
  bool transparent(int64_t query, int64_t keys) const { return !view_.present() && (!causal_ || keys <= query + 1); }

  // Masks a tile of scores: queries from `query` on, `row` elements apart, and keys from `key` on, `column` apart; one of the two is 1.
  // Hidden ones become -inf.
  template <class C>
  void apply(int64_t batch, int64_t head, int64_t query, int64_t rows, int64_t key, int64_t keys, C* scores,
             int64_t row, int64_t column) const {
    constexpr C kHidden = -std::numeric_limits<C>::infinity();
    for (int64_t i = 0; i < rows && causal_ && column == 1; ++i) {
      const int64_t seen = std::clamp<int64_t>(query + i + 1 - key, 0, keys);
      std::fill(scores + i * row + seen, scores + i * row + keys, kHidden);
    }
    for (int64_t j = 0; j < keys && causal_ && column != 1; ++j) {
      std::fill_n(scores + j * column, std::clamp<int64_t>(key + j - query, 0, rows), kHidden);
    }
    if (!view_.present()) return;
    const int64_t view_row = view_.strides[2], view_column = view_.strides[3];
    const int64_t offset = batch * view_.strides[0] + head * view_.strides[1] + query * view_row + key * view_column;
    const auto each = [&](auto* from, auto&& change) {
      from += offset;
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < keys; ++j) {
          C& score = scores[i * row + j * column];
          score = change(score, from[i * view_row + j * view_column]);
        }
      }
    };
    if (view_.dtype == DType::kBool) {
      each(view_.as<bool>(), [](C score, bool visible) { return visible ? score : kHidden; });
    } else {
      visit_floating("attention", view_.dtype, [&]<class M>() {
        each(view_.as<M>(), [](C score, M added) {
          return score + static_cast<C>(static_cast<Compute<M>>(added)) * static_cast<C>(kLog2E);
        });
      });
    }
  }

 private:
  const TensorView& view_;
  bool causal_;
};

// Which probabilities are dropped: those of the elements of a [b, h, t, s] tensor that the op `dropout` would drop with the same
// probability and Philox stream (see runtime/philox.h).
class Dropout {
 public:
  // Attributes from `first` on are the probability, seedLow, seedHigh and offset.
  Dropout(const Command& cmd, int first)
      : threshold_(static_cast<uint64_t>(cmd.attribute(first) * 4294967296.0)),
        scale_(1 / (1 - cmd.attribute(first))),
        key_{static_cast<uint32_t>(cmd.attribute(first + 1)), static_cast<uint32_t>(cmd.attribute(first + 2))},
        offset_(static_cast<uint64_t>(static_cast<int64_t>(cmd.attribute(first + 3)))) {}
  bool active() const { return threshold_ != 0; }

  // factors[i][j], kKeyTile apart: what the probability of element (first_row + i) · s + key + j is multiplied with.
  template <class C>
  void factors(int64_t first_row, int64_t rows, int64_t s, int64_t key, int64_t keys, C* factors) const {
    constexpr int64_t kWords = 4 * kPhiloxLanes;
    alignas(64) uint32_t words[round_up(kKeyTile + 3, kWords)];
    const C scale = static_cast<C>(scale_);
    for (int64_t i = 0; i < rows; ++i, factors += kKeyTile) {
      const int64_t element = (first_row + i) * s + key;
      const int64_t skipped = element % 4;
      for (int64_t made = 0; made < skipped + keys; made += kWords) {
        philox_vector(offset_ + static_cast<uint64_t>((element + made) / 4), key_, words + made);
      }
      for (int64_t j = 0; j < keys; ++j) factors[j] = words[skipped + j] >= threshold_ ? scale : C(0);
    }
  }

 private:
  uint64_t threshold_;
  double scale_;
  PhiloxKey key_;
  uint64_t offset_;
};

}  // namespace hadal::cpu::attention_tile
