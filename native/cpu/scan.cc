// Scans along an axis: cumsum, cumprod, logCumSumExp, linearScan, and cummax and cummin with the places of the extrema. Sums of
// float run in double, of 16-bit floats in float, of integers in 64 bits that wrap. All write with `=`.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "cpu/reduce_fold.h"
#include "cpu/rows.h"
#include "kernels/math.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// A task of 32 Ki elements takes 20 to 50 µs.
constexpr int64_t kTaskElements = int64_t{1} << 15;
// A line is scanned in blocks that fit the L1 cache as doubles; columns side by side, as many as a block has elements.
constexpr int64_t kBlock = 1024;
// Fewer columns than this are not worth a loop of their own.
constexpr int64_t kMinColumns = 8;

// How the lines along `axis` of x and y lie: one by one, or, where the axes behind `axis` are packed in every tensor,
// as columns side by side.
struct Lines {
  int axis = 0;
  int64_t length = 1;
  int64_t columns = 1;  // packed elements behind the axis; 1: none, or lines are taken one by one
  int64_t count = 1;    // lines, or groups of columns

  Lines(const Command& cmd) {
    const TensorView& x = cmd.input(0);
    if (x.rank > 0) {
      axis = static_cast<int>(cmd.integer(0));
      length = x.shape[axis];
      columns = packed_behind(x);
      for (int i = 1; i < cmd.input_count + cmd.output_count; ++i) {
        columns = std::min(columns, packed_behind(cmd.tensors[i]));
      }
      if (columns < kMinColumns) columns = 1;
    }
    if (length > 0) count = x.numel() / (length * columns);
    else count = 0;
  }
  RowOffsets offsets(const TensorView& view) const {
    const uint32_t behind = columns == 1 ? 0u : ~0u << (axis + 1);
    return RowOffsets(view, behind | 1u << axis);
  }
  int64_t stride(const TensorView& view) const { return view.rank > 0 ? view.strides[axis] : 0; }

 private:
  int64_t packed_behind(const TensorView& view) const {
    int64_t packed = 1;
    for (int i = view.rank - 1; i > axis; --i) {
      if (view.shape[i] != 1 && view.strides[i] != packed) return 1;
      packed *= view.shape[i];
    }
    return packed;
  }
};

// --- Sums and products -----------------------------------------------------------------------------------------------

template <class T>
struct AccumulatorOf {
  using type = std::conditional_t<std::is_integral_v<T>, uint64_t,
                                  std::conditional_t<std::is_same_v<T, float>, double, Compute<T>>>;
};
template <class T>
using Accumulator = typename AccumulatorOf<T>::type;

struct Sum {
  template <class A>
  static constexpr A kIdentity = 0;
  template <class V>
  static V combine(V a, V b) {
    return a + b;
  }
};

struct Product {
  template <class A>
  static constexpr A kIdentity = 1;
  template <class V>
  static V combine(V a, V b) {
    return a * b;
  }
};

struct LogAddExp {
  template <class A>
  static constexpr A kIdentity = -std::numeric_limits<A>::infinity();
  // Long, and called at every step of a tree: one copy.
  template <class V>
  [[gnu::noinline]] static V combine(V a, V b) {
    const V max = a > b ? a : b;
    // Equal infinities have no difference.
    const V distance = (a == b) ? V{} : math::abs(a - b);
    return max + math::log1p(math::exp(-distance));
  }
};

// Scans values[0, n) in place from `carry` on and returns the carry after it. The room is padded to a whole vector.
template <class Op, class A>
A scan_block(A* values, int64_t n, A carry) {
  constexpr int kCount = kLanes<A>;
  const Vec<A> identity = broadcast(Op::template kIdentity<A>);
  constexpr auto kEachLane = std::make_integer_sequence<int, kCount>{};
  const auto combine_shifted = [&]<int kShift>(auto&& self, Vec<A> v) -> Vec<A> {
    v = [&]<int... i>(std::integer_sequence<int, i...>) {
      const Vec<A> shifted = __builtin_shufflevector(v, identity, (i < kShift ? kCount + i : i - kShift)...);
      return Op::combine(shifted, v);
    }(kEachLane);
    if constexpr (2 * kShift >= kCount) return v;
    else return self.template operator()<2 * kShift>(self, v);
  };
  for (int64_t i = n; i < (n + kCount - 1) / kCount * kCount; ++i) values[i] = Op::template kIdentity<A>;
  Vec<A> carries = broadcast(carry);
  const auto broadcast_last = []<int... i>(Vec<A> v, std::integer_sequence<int, i...>) -> Vec<A> {
    return __builtin_shufflevector(v, v, (i | (kCount - 1))...);
  };
  for (int64_t i = 0; i < n; i += kCount) {
    const Vec<A> v = combine_shifted.template operator()<1>(combine_shifted, load(values + i));
    store(values + i, Op::combine(carries, v));
    carries = Op::combine(carries, broadcast_last(v, kEachLane));
  }
  return carries[0];
}

// The same for log-sum-exp, as a sum of exp(value - max) wherever none of these underflows: one exponential and one
// logarithm for each value instead of a pair for each step of the tree.
template <class A>
A scan_block_of_logs(A* values, int64_t n, A carry) {
  constexpr A kInfinity = std::numeric_limits<A>::infinity();
  constexpr A kSpan = std::is_same_v<A, float> ? A(80) : A(700);
  const auto later_or_nan = [](auto a, auto b) { return ((b > a) | (b != b)) ? b : a; };
  const auto smaller = [](auto a, auto b) { return b < a ? b : a; };
  const auto value = [&](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(v, -kInfinity); };
  const auto finite = [&](Vec<A> v, Lanes lanes) {
    return lanes.or_else<A>((v == -kInfinity) ? broadcast(kInfinity) : v, kInfinity);
  };
  const A max =
      later_or_nan(carry, fold_lanes(fold_run<A>(values, n, broadcast(-kInfinity), value, later_or_nan), later_or_nan));
  const A min = smaller(carry == -kInfinity ? kInfinity : carry,
                        fold_lanes(fold_run<A>(values, n, broadcast(kInfinity), finite, smaller), smaller));
  if (!(max > -kInfinity && max - min < kSpan)) return scan_block<LogAddExp>(values, n, carry);
  const A start = math::exp(broadcast(carry - max))[0];
  for (int64_t i = 0; i < n; i += kLanes<A>) store(values + i, math::exp(load(values + i) - max));
  const A total = scan_block<Sum>(values, n, start);
  for (int64_t i = 0; i < n; i += kLanes<A>) store(values + i, math::log(load(values + i)) + max);
  return math::log(broadcast(total))[0] + max;
}

// Scans x[0, n) of a line into y, or only sums it up where y is null.
template <class Op, class A, class T, class Y>
A scan_line(const T* x, int64_t x_stride, Y* y, int64_t y_stride, int64_t n, A carry) {
  A values[kBlock + kLanes<A>];
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t size = std::min(kBlock, n - begin);
    const T* from = x + begin * x_stride;
    if (x_stride == 1) {
      for (int64_t i = 0; i < size; ++i) values[i] = static_cast<A>(static_cast<Compute<T>>(from[i]));
    } else {
      for (int64_t i = 0; i < size; ++i) values[i] = static_cast<A>(static_cast<Compute<T>>(from[i * x_stride]));
    }
    if constexpr (std::is_same_v<Op, LogAddExp>) carry = scan_block_of_logs(values, size, carry);
    else carry = scan_block<Op>(values, size, carry);
    if (y == nullptr) continue;
    Y* to = y + begin * y_stride;
    if (y_stride == 1) {
      for (int64_t i = 0; i < size; ++i) to[i] = static_cast<Y>(static_cast<Compute<Y>>(values[i]));
    } else {
      for (int64_t i = 0; i < size; ++i) to[i * y_stride] = static_cast<Y>(static_cast<Compute<Y>>(values[i]));
    }
  }
  return carry;
}

// What scan_line would carry on from the identity, in the order of a fold where that is cheaper.
template <class Op, class A, class T>
A total_of_line(const T* x, int64_t stride, int64_t n) {
  constexpr A kIdentity = Op::template kIdentity<A>;
  if constexpr (!std::is_same_v<Op, LogAddExp>) {
    if (stride == 1) {
      const auto value = [](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(v, kIdentity); };
      return fold_lanes(fold_run<A>(x, n, broadcast(kIdentity), value, Op::template combine<Vec<A>>),
                        Op::template combine<Vec<A>>);
    }
  }
  return scan_line<Op, A, T, T>(x, stride, nullptr, 0, n, kIdentity);
}

template <class Op, class A, class T, class Y>
void scan_columns(const T* x, int64_t x_stride, Y* y, int64_t y_stride, int64_t n, int64_t columns) {
  A carries[kBlock + kLanes<A>];
  std::fill_n(carries, columns, Op::template kIdentity<A>);
  constexpr int kCount = kLanes<A>;
  for (int64_t row = 0; row < n; ++row, x += x_stride, y += y_stride) {
    int64_t i = 0;
    for (; i + kCount <= columns; i += kCount) store(carries + i, Op::combine(load(carries + i), load_as<A>(x + i)));
    if (i < columns) {
      const Vec<A> tail = load_partial_as<A>(x + i, static_cast<int>(columns - i));
      store(carries + i, Op::combine(load(carries + i), tail));
    }
    for (i = 0; i < columns; ++i) y[i] = static_cast<Y>(static_cast<Compute<Y>>(carries[i]));
  }
}

template <class Op, class T, class Y>
void scan(KernelContext& ctx, const Command& cmd, bool reverse) {
  using A = Accumulator<T>;
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const Lines lines(cmd);
  if (lines.count == 0) return;
  const RowOffsets x_offsets = lines.offsets(x);
  const RowOffsets y_offsets = lines.offsets(y);
  const int64_t n = lines.length;
  const int64_t x_stride = reverse ? -lines.stride(x) : lines.stride(x);
  const int64_t y_stride = reverse ? -lines.stride(y) : lines.stride(y);
  const auto x_line = [&](int64_t line) { return x.as<T>() + x_offsets(line) - (reverse ? (n - 1) * x_stride : 0); };
  const auto y_line = [&](int64_t line) { return y.as<Y>() + y_offsets(line) - (reverse ? (n - 1) * y_stride : 0); };

  if (lines.columns > 1) {
    const int64_t tiles = (lines.columns + kBlock - 1) / kBlock;
    const int64_t tile_size = (lines.columns + tiles - 1) / tiles;
    ctx.parallel_ranges(lines.count * tiles, kTaskElements / (n * tile_size), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t column = i % tiles * tile_size;
        const int64_t size = std::min(tile_size, lines.columns - column);
        if (size <= 0) continue;
        scan_columns<Op, A>(x_line(i / tiles) + column, x_stride, y_line(i / tiles) + column, y_stride, n, size);
      }
    });
    return;
  }
  const A identity = Op::template kIdentity<A>;
  if (n <= 2 * kTaskElements || lines.count >= 64) {
    ctx.parallel_ranges(lines.count, kTaskElements / n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        scan_line<Op, A>(x_line(i), x_stride, y_line(i), y_stride, n, identity);
      }
    });
    return;
  }
  // Few long lines, in waves of chunks: the totals of all chunks, then each chunk from the total of those before it,
  // while the wave is in the caches.
  constexpr int64_t kWave = 16;
  for (int64_t line = 0; line < lines.count; ++line) {
    const T* from = x_line(line);
    Y* to = y_line(line);
    Vec<A> carry = broadcast(identity);
    for (int64_t wave = 0; wave < n; wave += kWave * kTaskElements) {
      A totals[kWave];
      A carries[kWave];
      const int64_t end = std::min(n, wave + kWave * kTaskElements);
      const int64_t chunks = (end - wave + kTaskElements - 1) / kTaskElements;
      const auto each_chunk = [&](auto&& body) {
        ctx.parallel(chunks, [&](int64_t i) {
          const int64_t begin = wave + i * kTaskElements;
          body(i, begin, std::min(kTaskElements, end - begin));
        });
      };
      each_chunk([&](int64_t i, int64_t begin, int64_t size) {
        totals[i] = total_of_line<Op, A>(from + begin * x_stride, x_stride, size);
      });
      for (int64_t i = 0; i < chunks; ++i) {
        carries[i] = carry[0];
        carry = Op::combine(carry, broadcast(totals[i]));
      }
      each_chunk([&](int64_t i, int64_t begin, int64_t size) {
        scan_line<Op, A>(from + begin * x_stride, x_stride, to + begin * y_stride, y_stride, size, carries[i]);
      });
    }
  }
}

template <class Op>
void scan_totals(KernelContext& ctx, const Command& cmd, bool reverse) {
  visit_any(cmd.name(), cmd.input(0).dtype,
            [&]<class T>() { scan<Op, T, std::conditional_t<std::is_integral_v<T>, int64_t, T>>(ctx, cmd, reverse); });
}

HADAL_CPU_KERNEL(cumsum) { scan_totals<Sum>(ctx, cmd, cmd.flag(1)); }
HADAL_CPU_KERNEL(cumprod) { scan_totals<Product>(ctx, cmd, false); }
HADAL_CPU_KERNEL(logCumSumExp) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { scan<LogAddExp, T, T>(ctx, cmd, false); });
}

// --- Linear recurrences ----------------------------------------------------------------------------------------------

// y_i = b_i + a_i y_(i-1), or in reverse y_i = b_i + a_(i+1) y_(i+1), of float in double. Lines are independent; columns side by side take a step together.
template <class T>
void linear_scan(KernelContext& ctx, const Command& cmd) {
  const TensorView &a = cmd.input(0), &b = cmd.input(1), &y = cmd.output(0);
  const bool reverse = cmd.flag(1);
  const Lines lines(cmd);
  if (lines.count == 0) return;
  const RowOffsets a_offsets = lines.offsets(a), b_offsets = lines.offsets(b), y_offsets = lines.offsets(y);
  const int64_t n = lines.length;
  const auto step = [&](const TensorView& view) { return reverse ? -lines.stride(view) : lines.stride(view); };
  const auto start = [&](const TensorView& view, int64_t offset) {
    return view.as<T>() + offset - (reverse ? (n - 1) * step(view) : 0);
  };
  const int64_t a_step = step(a), b_step = step(b), y_step = step(y);
  const int64_t tile = std::min(lines.columns, kBlock), tiles = (lines.columns + tile - 1) / tile;
  ctx.parallel_ranges(lines.count * tiles, kTaskElements / (n * tile), [&](int64_t begin, int64_t end) {
    double sums[kBlock];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t line = i / tiles, column = i % tiles * tile, width = std::min(tile, lines.columns - column);
      // The factor of a step stands beside the element that the step leaves or, in reverse, the one that it came from.
      const T* factors = start(a, a_offsets(line)) + column - (reverse ? a_step : 0);
      const T* terms = start(b, b_offsets(line)) + column;
      T* to = start(y, y_offsets(line)) + column;
      for (int64_t c = 0; c < width; ++c) to[c] = static_cast<T>(sums[c] = static_cast<double>(terms[c]));
      for (int64_t row = 1; row < n; ++row) {
        factors += a_step;
        terms += b_step;
        to += y_step;
        for (int64_t c = 0; c < width; ++c) {
          sums[c] = static_cast<double>(terms[c]) + static_cast<double>(factors[c]) * sums[c];
          to[c] = static_cast<T>(sums[c]);
        }
      }
    }
  });
}

HADAL_CPU_KERNEL(linearScan) {
  if (cmd.output(0).dtype == DType::kFloat32) linear_scan<float>(ctx, cmd);
  else linear_scan<double>(ctx, cmd);
}

// --- Running extrema -------------------------------------------------------------------------------------------------

// The last of equal extrema is reported; from the first NaN on, the latest NaN.
template <bool kMax, class T>
void extremum_columns(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t* index, int64_t index_stride,
                      int64_t n, int64_t columns, Compute<T>* best, int64_t* place) {
  for (int64_t i = 0; i < columns; ++i) {
    best[i] = static_cast<Compute<T>>(x[i]);
    place[i] = 0;
  }
  for (int64_t row = 0; row < n; ++row, x += x_stride, y += y_stride, index += index_stride) {
    for (int64_t i = 0; i < columns; ++i) {
      const Compute<T> v = static_cast<Compute<T>>(x[i]);
      const bool beyond = kMax ? v >= best[i] : v <= best[i];
      const bool taken = beyond | (v != v);
      best[i] = taken ? v : best[i];
      place[i] = taken ? row : place[i];
      y[i] = static_cast<T>(best[i]);
      index[i] = place[i];
    }
  }
}

template <bool kMax>
void scan_extremum(KernelContext& ctx, const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const TensorView& index = cmd.output(1);
  const Lines lines(cmd);
  if (lines.count == 0) return;
  const RowOffsets x_offsets = lines.offsets(x);
  const RowOffsets y_offsets = lines.offsets(y);
  const RowOffsets index_offsets = lines.offsets(index);
  const int64_t tile_size = std::min(lines.columns, kBlock);
  const int64_t tiles = (lines.columns + tile_size - 1) / tile_size;
  visit_any(cmd.name(), x.dtype, [&]<class T>() {
    ctx.parallel_ranges(
        lines.count * tiles, kTaskElements / (lines.length * tile_size), [&](int64_t begin, int64_t end) {
          Compute<T> best[kBlock];
          int64_t place[kBlock];
          for (int64_t i = begin; i < end; ++i) {
            const int64_t line = i / tiles;
            const int64_t column = i % tiles * tile_size;
            extremum_columns<kMax>(x.as<T>() + x_offsets(line) + column, lines.stride(x),
                                   y.as<T>() + y_offsets(line) + column, lines.stride(y),
                                   index.as<int64_t>() + index_offsets(line) + column, lines.stride(index),
                                   lines.length, std::min(tile_size, lines.columns - column), best, place);
          }
        });
  });
}

HADAL_CPU_KERNEL(cummax) { scan_extremum<true>(ctx, cmd); }
HADAL_CPU_KERNEL(cummin) { scan_extremum<false>(ctx, cmd); }

}  // namespace
}  // namespace hadal::cpu
