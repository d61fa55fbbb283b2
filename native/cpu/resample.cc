// Resampling of volumes [n, c, d, h, w] (images have d = 1): every output is a weighted sum over a box of the input, with
// weights that are products of one factor per axis. Nearest, linear, cubic and area interpolation, smooth or not, are all of this form, and
// so are their adjoints, so one loop over tables of factors serves them all. Rows come first: the rows of the box are
// resampled along w and added up, or added up and then resampled, whichever is less work.
#include "kernels/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/gemm_pack.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Elements of the output worth a task of their own: some 30 µs.
constexpr int64_t kTaskElements = 1 << 15;
// From so many factors on, a row's sums run over the factors instead of over the outputs.
constexpr int64_t kManyTaps = 16;

// The factors of one axis: output i is Σ_k weights[i · taps + k] · input[first[i] + k] for k < count[i]; the rest are zero.
template <class T>
struct Table {
  int64_t taps = 1;
  std::vector<int32_t> first, count;
  std::vector<T> weights;

  bool plain() const {
    return taps == 1 && std::all_of(weights.begin(), weights.end(), [](T w) { return w == T(1); });
  }
};

template <class T>
Table<T> forward_table(Resampling mode, bool align_corners, double ratio, int64_t in, int64_t out) {
  Table<T> table;
  table.taps = most_taps(mode, ratio, in, out);
  table.first.resize(out);
  table.count.resize(out);
  table.weights.resize(out * table.taps);
  for (int64_t i = 0; i < out; ++i) {
    const Factors f = factors(mode, align_corners, ratio, in, out, i);
    table.first[i] = static_cast<int32_t>(f.first);
    table.count[i] = static_cast<int32_t>(f.count);
    for (int64_t k = 0; k < f.count; ++k) table.weights[i * table.taps + k] = static_cast<T>(f.at(k));
  }
  return table;
}

// The adjoint: which outputs an input went into. They are neighbours, since the boxes of neighbouring outputs are in order.
template <class T>
Table<T> adjoint(const Table<T>& table, int64_t in) {
  Table<T> turned;
  turned.first.assign(in, 0);
  turned.count.assign(in, 0);
  const auto out = static_cast<int64_t>(table.first.size());
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t k = 0; k < table.count[o]; ++k) {
      const int64_t i = table.first[o] + k;
      if (turned.count[i] == 0) turned.first[i] = static_cast<int32_t>(o);
      turned.count[i] = static_cast<int32_t>(o - turned.first[i] + 1);
    }
  }
  for (const int32_t count : turned.count) turned.taps = std::max<int64_t>(turned.taps, count);
  turned.weights.assign(in * turned.taps, T(0));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t k = 0; k < table.count[o]; ++k) {
      const int64_t i = table.first[o] + k;
      turned.weights[i * turned.taps + o - turned.first[i]] += table.weights[o * table.taps + k];
    }
  }
  return turned;
}

// One row: to[i] = Σ_k w[i][k] · from[first[i] + k]. Factors of zero are left out, so that what they would meet need not be
// finite. Reads up to kPackSlack + taps elements past the row.
template <class T>
class RowSums {
 public:
  RowSums(const Table<T>& table, int64_t out) : table_(table), out_(out) {
    if (table.taps >= kManyTaps) return;
    by_tap_.resize(table.taps * out);
    for (int64_t i = 0; i < out; ++i) {
      for (int64_t k = 0; k < table.taps; ++k) by_tap_[k * out + i] = table.weights[i * table.taps + k];
    }
  }

  void run(const T* __restrict from, T* __restrict to) const {
    const int32_t* __restrict first = table_.first.data();
    if (by_tap_.empty()) {
      for (int64_t i = 0; i < out_; ++i) {
        const T* w = table_.weights.data() + i * table_.taps;
        constexpr int kWidth = kLanes<T>;
        const T* row = from + first[i];
        const int64_t count = table_.count[i];
        Vec<T> sum{};
        int64_t k = 0;
        for (; k + kWidth <= count; k += kWidth) sum += load(w + k) * load(row + k);
        T rest = horizontal_sum(sum);
        for (; k < count; ++k) rest += w[k] * row[k];
        to[i] = rest;
      }
      return;
    }
    const T* __restrict w = by_tap_.data();
    for (int64_t i = 0; i < out_; ++i) to[i] = w[i] != T(0) ? w[i] * from[first[i]] : T(0);
    for (int64_t k = 1; k < table_.taps; ++k) {
      const T* __restrict factor = w + k * out_;
      const T* __restrict shifted = from + k;
      for (int64_t i = 0; i < out_; ++i) to[i] += factor[i] != T(0) ? factor[i] * shifted[first[i]] : T(0);
    }
  }

 private:
  const Table<T>& table_;
  int64_t out_;
  std::vector<T> by_tap_;
};

template <class E>
inline void load_row(const E* from, int64_t stride, int64_t count, Compute<E>* to) {
  if (stride == 1) {
    constexpr int kWidth = kLanes<Compute<E>>;
    int64_t i = 0;
    for (; i + kWidth <= count; i += kWidth) store(to + i, load_as_compute(from + i));
    for (; i < count; ++i) to[i] = static_cast<Compute<E>>(from[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Compute<E>>(from[i * stride]);
  }
}
template <class E>
inline void store_row(const Compute<E>* from, int64_t count, E* to, int64_t stride) {
  if (stride == 1) {
    constexpr int kWidth = kLanes<Compute<E>>;
    for (int64_t i = 0; i < count; i += kWidth) {
      store_columns(to + i, load(from + i), static_cast<int>(std::min<int64_t>(kWidth, count - i)));
    }
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * stride] = static_cast<E>(from[i]);
  }
}
// to = factor · from, or to += factor · from. Whole vectors.
template <class T>
inline void add_row(const T* from, T factor, int64_t count, bool first, T* to) {
  constexpr int kWidth = kLanes<T>;
  const Vec<T> w = broadcast(factor);
  for (int64_t i = 0; i < count; i += kWidth) {
    const Vec<T> term = w * load(from + i);
    store(to + i, first ? term : load(to + i) + term);
  }
}

// y = the resampled x, with tables for d, h and w. Sums in T.
template <class E>
void resample(KernelContext& ctx, const TensorView& x, const TensorView& y, const Table<Compute<E>> (&tables)[3]) {
  using T = Compute<E>;
  const int64_t in_width = x.shape[4], width = y.shape[4];
  const auto &table_d = tables[0], &table_h = tables[1], &table_w = tables[2];
  const RowSums<T> row_sums(table_w, width);
  const bool same_rows = in_width == width && table_w.plain();
  // Enlarged, an input row is used by several outputs: it is resampled once and kept. Reduced, rows are added up first.
  const bool rows_first = !same_rows && y.shape[3] * table_h.taps >= x.shape[3];
  const int64_t slots = rows_first ? table_d.taps * table_h.taps : 0;
  const int64_t line = std::max(in_width + table_w.taps, width) + kPackSlack;
  const int64_t planes = y.shape[0] * y.shape[1] * y.shape[2], rows = y.shape[3];
  // A task takes several planes, or a part of the rows of one.
  const int64_t parts = std::clamp<int64_t>(rows * width / kTaskElements, 1, std::max<int64_t>(1, rows / 8));
  const int64_t grain = ceil_div(kTaskElements * parts, std::max<int64_t>(1, rows * width));
  ctx.parallel_ranges(planes * parts, grain, [&](int64_t begin, int64_t end) {
    T* input = ctx.thread_scratch<T>(line * (2 + slots));
    T* sum = input + line;
    T* kept = sum + line;
    std::vector<int64_t> held(slots, -1);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t plane = unit / parts, part = unit % parts;
      const int64_t n = plane / y.shape[2] / y.shape[1], c = plane / y.shape[2] % y.shape[1], d = plane % y.shape[2];
      const E* from = x.as<E>() + n * x.strides[0] + c * x.strides[1];
      E* to = y.as<E>() + n * y.strides[0] + c * y.strides[1] + d * y.strides[2];
      std::fill(held.begin(), held.end(), -1);
      for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
        bool first = true;
        for (int64_t a = 0; a < table_d.count[d]; ++a) {
          for (int64_t b = 0; b < table_h.count[row]; ++b) {
            const T factor = table_d.weights[d * table_d.taps + a] * table_h.weights[row * table_h.taps + b];
            if (factor == T(0)) continue;
            const int64_t slice = table_d.first[d] + a, in_row = table_h.first[row] + b;
            T* values = input;
            if (rows_first) {
              const int64_t slot = slice % table_d.taps * table_h.taps + in_row % table_h.taps;
              const int64_t key = slice * x.shape[3] + in_row;
              values = kept + slot * line;
              if (held[slot] != key) {
                load_row(from + slice * x.strides[2] + in_row * x.strides[3], x.strides[4], in_width, input);
                row_sums.run(input, values);
                held[slot] = key;
              }
            } else {
              load_row(from + slice * x.strides[2] + in_row * x.strides[3], x.strides[4], in_width, input);
            }
            add_row(values, factor, rows_first ? width : in_width, first, sum);
            first = false;
          }
        }
        if (first) std::fill_n(sum, std::max(in_width, width), T(0));
        const T* result = sum;
        if (!rows_first && !same_rows) {
          row_sums.run(sum, input);
          result = input;
        }
        store_row(result, width, to + row * y.strides[3], y.strides[4]);
      }
    }
  });
}

template <class E>
void run_resample(KernelContext& ctx, const Command& cmd, bool backward) {
  using T = Compute<E>;
  const TensorView &from = cmd.input(0), &to = cmd.output(0);
  // The sizes of the op whose adjoint the backward is.
  const TensorView &x = backward ? to : from, &y = backward ? from : to;
  const auto mode = static_cast<Resampling>(cmd.integer(0));
  Table<T> tables[3];
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t in = x.shape[2 + axis], out = y.shape[2 + axis];
    tables[axis] = forward_table<T>(mode, cmd.flag(1), cmd.attribute(2 + axis), in, out);
    if (backward) tables[axis] = adjoint(tables[axis], in);
  }
  resample<E>(ctx, from, to, tables);
}

}  // namespace

HADAL_CPU_KERNEL(resample) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating("resample", cmd.output(0).dtype, [&]<class E>() { run_resample<E>(ctx, cmd, false); });
}

HADAL_CPU_KERNEL(resampleBackward) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating("resampleBackward", cmd.output(0).dtype, [&]<class E>() { run_resample<E>(ctx, cmd, true); });
}

}  // namespace hadal::cpu
