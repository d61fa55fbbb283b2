// Reductions: sum, mean, prod, amax, amin, any, all, varMean, logSumExp, argmax, argmin. Axes along which the output
// has size 1 are reduced. The walk over the input and the cutting into tasks are reduce_plan.h's, the vector loops
// reduce_fold.h's; here is what each op computes in a block, how two partial results join, and what is written (always
// with `=`).
#include "cpu/reduce.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "cpu/reduce_fold.h"
#include "cpu/reduce_plan.h"
#include "kernels/math.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

template <class T>
using ByteOfBool = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
// Sums and products: floats in float (or double), integers in 64 bits that wrap.
template <class T>
using TotalOf = std::conditional_t<std::is_integral_v<T>, uint64_t, Compute<T>>;
// Minima, maxima and predicates lose nothing in the type itself.
template <class T>
using ValueOf = ByteOfBool<Compute<T>>;

template <class A>
constexpr A lowest() {
  if constexpr (std::is_floating_point_v<A>) return -std::numeric_limits<A>::infinity();
  else return std::numeric_limits<A>::min();
}
template <class A>
constexpr A highest() {
  if constexpr (std::is_floating_point_v<A>) return std::numeric_limits<A>::infinity();
  else return std::numeric_limits<A>::max();
}

template <class Y, class V>
void write(const TensorView& y, int64_t offset, V value) {
  if constexpr (std::is_same_v<Y, bool>) y.as<bool>()[offset] = value != 0;
  else y.as<Y>()[offset] = static_cast<Y>(value);
}

template <class V>
LaneOf<V> sum_lanes(V v) {
  return fold_lanes(v, [](V a, V b) { return a + b; });
}

// --- Folds: map every element, combine -------------------------------------------------------------------------------

struct Unmapped {
  template <class V>
  static V map(V x) {
    return x;
  }
};

struct SumFold : Unmapped {
  template <class A>
  static constexpr A kIdentity = 0;
  template <class V>
  static V combine(V a, V b) {
    return a + b;
  }
};

struct ProdFold : Unmapped {
  template <class A>
  static constexpr A kIdentity = 1;
  template <class V>
  static V combine(V a, V b) {
    return a * b;
  }
};

// A NaN stays: it replaces anything, and nothing compares as beyond it.
struct MaxFold : Unmapped {
  template <class A>
  static constexpr A kIdentity = lowest<A>();
  template <class V>
  static auto beyond(V a, V b) {
    return a > b;
  }
  template <class V>
  static V combine(V a, V b) {
    return ((b > a) | (b != b)) ? b : a;
  }
};

struct MinFold : Unmapped {
  template <class A>
  static constexpr A kIdentity = highest<A>();
  template <class V>
  static auto beyond(V a, V b) {
    return a < b;
  }
  template <class V>
  static V combine(V a, V b) {
    return ((b < a) | (b != b)) ? b : a;
  }
};

template <class V>
V is_nonzero(V x) {
  return (x != 0) ? V{} + 1 : V{};
}

struct AnyFold {
  template <class A>
  static constexpr A kIdentity = 0;
  template <class V>
  static V map(V x) {
    return is_nonzero(x);
  }
  template <class V>
  static V combine(V a, V b) {
    return a > b ? a : b;
  }
};

struct AllFold : AnyFold {
  template <class A>
  static constexpr A kIdentity = 1;
  template <class V>
  static V combine(V a, V b) {
    return a < b ? a : b;
  }
};

// What norms fold.
struct NonzeroCountFold : SumFold {
  template <class V>
  static V map(V x) {
    return is_nonzero(x);
  }
};

template <class Fold>
struct AbsoluteFold : Fold {
  template <class V>
  static V map(V x) {
    return math::abs(x);
  }
};

struct SquareFold : SumFold {
  template <class V>
  static V map(V x) {
    return x * x;
  }
};

// T elements, A accumulators.
template <class T, class A, class Fold>
class FoldReducer : public Reducer {
 public:
  FoldReducer() : Reducer(sizeof(T), sizeof(A), 1, true) {}

  void rows(const ReduceBlock& block, PartialState state) const override {
    const T* x = reinterpret_cast<const T*>(block.x);
    const auto map = [](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(Fold::map(v), Fold::template kIdentity<A>); };
    for (int64_t o = 0; o < block.width; ++o) {
      const Vec<A> total = fold_run<A>(x + o * block.output_stride, block.count, start(), map, combine<Vec<A>>);
      state.first<A>()[o] = fold_lanes(total, combine<Vec<A>>);
    }
  }

  void columns(const ReduceBlock& block, PartialState state) const override {
    const T* x = reinterpret_cast<const T*>(block.x);
    const int64_t groups = kWide / block.width;
    if (groups > 2 && block.reduced_stride == block.width && block.count >= groups) {
      return narrow_columns(x, block.width, block.count, groups, state.first<A>());
    }
    fold_rows(x, block.reduced_stride, block.count, block.width, state.first<A>());
  }

  void identity(int64_t width, PartialState state) const override {
    std::fill_n(state.first<A>(), width, Fold::template kIdentity<A>);
  }

  void merge(int64_t width, PartialState into, int64_t, PartialState from, int64_t) const override {
    for (int64_t o = 0; o < width; o += kLanes<A>) {
      A* to = into.first<A>() + o;
      store(to, combine(load(to), load(from.first<A>() + o)));
    }
  }

 private:
  static constexpr int64_t kWide = 64;

  template <class V>
  static V combine(V a, V b) {
    return Fold::template combine<V>(a, b);
  }
  static Vec<A> start() { return broadcast(Fold::template kIdentity<A>); }
  static void fold_rows(const T* x, int64_t stride, int64_t rows, int64_t width, A* to) {
    fold_columns<A>(
        x, stride, rows, width, start(), [](Vec<A> v, int64_t) { return Fold::map(v); }, combine<Vec<A>>,
        [&](int64_t column, Vec<A> total) { store(to + column, total); });
  }
  // Packed rows narrower than a vector: `groups` of them are taken as one row, and the groups folded at the end.
  static void narrow_columns(const T* x, int64_t width, int64_t count, int64_t groups, A* to) {
    const int64_t wide = groups * width;
    A totals[kWide + kLanes<A>];
    fold_rows(x, wide, count / groups, wide, totals);
    const int64_t done = count / groups * wide;
    for (int64_t i = 0; i < count * width - done; ++i) {
      totals[i] = combine<A>(totals[i], Fold::map(static_cast<A>(static_cast<Compute<T>>(x[done + i]))));
    }
    for (int64_t i = width; i < wide; ++i) totals[i % width] = combine<A>(totals[i % width], totals[i]);
    std::copy_n(totals, width, to);
  }
};

// What becomes of a total: itself, its quotient by the number of elements, its square root.
enum class Finish { kTotal, kMean, kRoot };

template <class T, class A, class Y, class Fold, Finish kFinish>
class FinishedFold final : public FoldReducer<T, A, Fold> {
 public:
  explicit FinishedFold(const TensorView& y) : y_(y) {}

  void finish(int64_t width, PartialState state, int64_t count, int64_t y_offset, int64_t y_stride) const override {
    for (int64_t o = 0; o < width; ++o) {
      A total = state.first<A>()[o];
      if constexpr (kFinish == Finish::kMean) total = total / static_cast<A>(count);
      if constexpr (kFinish == Finish::kRoot) total = std::sqrt(total);
      write<Y>(y_, y_offset + o * y_stride, total);
    }
  }

 private:
  const TensorView& y_;
};

template <class T, class A, class Y, class Fold, Finish kFinish = Finish::kTotal>
void run_fold(KernelContext& ctx, const TensorView& x, const TensorView& y) {
  const FinishedFold<T, A, Y, Fold, kFinish> reducer(y);
  Reduction(x, y, reducer, false).run(ctx);
}
template <class T, class A, class Y, class Fold, Finish kFinish = Finish::kTotal>
void run_fold(KernelContext& ctx, const Command& cmd) {
  run_fold<T, A, Y, Fold, kFinish>(ctx, cmd.input(0), cmd.output(0));
}

// Integers into the same type or int64.
template <class Fold>
void total(KernelContext& ctx, const char* op, const TensorView& x, const TensorView& y) {
  visit_any(op, x.dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      if (y.dtype == DType::kInt64) return run_fold<T, uint64_t, int64_t, Fold>(ctx, x, y);
    }
    run_fold<T, TotalOf<T>, T, Fold>(ctx, x, y);
  });
}

template <class Fold>
void extremum(KernelContext& ctx, const Command& cmd) {
  visit_any(cmd.name(), cmd.input(0).dtype, [&]<class T>() { run_fold<T, ValueOf<T>, T, Fold>(ctx, cmd); });
}

template <class Fold>
void predicate(KernelContext& ctx, const Command& cmd) {
  visit_any(cmd.name(), cmd.input(0).dtype, [&]<class T>() { run_fold<T, ValueOf<T>, bool, Fold>(ctx, cmd); });
}

// --- Variance and mean -----------------------------------------------------------------------------------------------

// The mean and the sum of squared deviations from it, in double. A block is read twice: a first mean, then the
// deviations d from it, whose own sum corrects both results for the first mean's rounding. Blocks join by Chan's
// formula.
template <class T>
class VarianceReducer final : public Reducer {
 public:
  VarianceReducer(const TensorView& variance, const TensorView& mean, double correction)
      : Reducer(sizeof(T), 2 * sizeof(double), 2), variance_(variance), mean_(mean), correction_(correction) {}

  void rows(const ReduceBlock& block, PartialState state) const override {
    for (int64_t o = 0; o < block.width; ++o) {
      const T* x = reinterpret_cast<const T*>(block.x) + o * block.output_stride;
      const auto value = [](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(v, 0); };
      const A mean = sum_lanes(fold_run<A>(x, block.count, Vec<A>{}, value, add)) / static_cast<A>(block.count);
      const auto deviation = [&](Vec<A> v, Lanes lanes) { return Deviation(lanes.or_else<A>(v - mean, 0)); };
      const Deviation total = fold_run<A>(x, block.count, Deviation(), deviation, join);
      put(state, o, mean, sum_lanes(total.d), sum_lanes(total.dd), static_cast<double>(block.count));
    }
  }

  void columns(const ReduceBlock& block, PartialState state) const override {
    const T* x = reinterpret_cast<const T*>(block.x);
    A means[Reduction::kColumnTile + kLanes<A>];
    fold_columns<A>(
        x, block.reduced_stride, block.count, block.width, Vec<A>{}, [](Vec<A> v, int64_t) { return v; }, add,
        [&](int64_t column, Vec<A> sum) { store(means + column, sum / static_cast<A>(block.count)); });
    fold_columns<A>(
        x, block.reduced_stride, block.count, block.width, Deviation(),
        [&](Vec<A> v, int64_t column) { return Deviation(v - load(means + column)); }, join,
        [&](int64_t column, Deviation total) {
          for (int i = 0; i < kLanes<A>; ++i) {
            put(state, column + i, means[column + i], total.d[i], total.dd[i], static_cast<double>(block.count));
          }
        });
  }

  void identity(int64_t width, PartialState state) const override {
    std::fill_n(mean_of(state), width, std::numeric_limits<double>::quiet_NaN());
    std::fill_n(squares_of(state), width, std::numeric_limits<double>::quiet_NaN());
  }

  void merge(int64_t width, PartialState into, int64_t into_count, PartialState from,
             int64_t from_count) const override {
    const double n = static_cast<double>(into_count + from_count);
    const double into_share = static_cast<double>(into_count) / n;
    const double from_share = static_cast<double>(from_count) / n;
    const double weight = static_cast<double>(into_count) * from_share;
    for (int64_t o = 0; o < width; ++o) {
      const double a = mean_of(into)[o];
      const double b = mean_of(from)[o];
      mean_of(into)[o] = a * into_share + b * from_share;
      squares_of(into)[o] += squares_of(from)[o] + (b - a) * (b - a) * weight;
    }
  }

  void finish(int64_t width, PartialState state, int64_t count, int64_t y_offset, int64_t y_stride) const override {
    const double divisor = std::max(0.0, static_cast<double>(count) - correction_);
    for (int64_t o = 0; o < width; ++o) {
      write<T>(variance_, y_offset + o * y_stride, static_cast<A>(squares_of(state)[o] / divisor));
      write<T>(mean_, y_offset + o * y_stride, static_cast<A>(mean_of(state)[o]));
    }
  }

 private:
  using A = Compute<T>;
  struct Deviation {
    Vec<A> d = {}, dd = {};
    Deviation() = default;
    explicit Deviation(Vec<A> d) : d(d), dd(d * d) {}
  };
  static Vec<A> add(Vec<A> a, Vec<A> b) { return a + b; }
  static Deviation join(Deviation a, Deviation b) {
    a.d += b.d;
    a.dd += b.dd;
    return a;
  }
  static double* mean_of(PartialState state) { return state.first<double>(); }
  static double* squares_of(PartialState state) { return state.second<double, double>(); }
  static void put(PartialState state, int64_t o, double mean, double d, double dd, double count) {
    // An infinite mean is one, though no deviation from it is a number.
    mean_of(state)[o] = std::isfinite(mean) ? mean + d / count : mean;
    squares_of(state)[o] = dd - d * d / count;
  }

  const TensorView& variance_;
  const TensorView& mean_;
  double correction_;
};

// --- Log-sum-exp -----------------------------------------------------------------------------------------------------

// The maximum m and the sum of exp(x - m). An infinite maximum is not subtracted: then the sum is 0 or infinite by
// itself.
template <class T>
class LogSumExpReducer final : public Reducer {
 public:
  explicit LogSumExpReducer(const TensorView& y) : Reducer(sizeof(T), 2 * sizeof(A), 4), y_(y) {}

  void rows(const ReduceBlock& block, PartialState state) const override {
    for (int64_t o = 0; o < block.width; ++o) {
      const T* x = reinterpret_cast<const T*>(block.x) + o * block.output_stride;
      const auto value = [](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(v, lowest<A>()); };
      const A max = fold_lanes(fold_run<A>(x, block.count, broadcast(lowest<A>()), value, MaxFold::combine<Vec<A>>),
                               MaxFold::combine<Vec<A>>);
      const A shift = finite_or_zero(max);
      const auto term = [&](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(math::exp(v - shift), 0); };
      max_of(state)[o] = max;
      sum_of(state)[o] = sum_lanes(fold_run<A, 2>(x, block.count, Vec<A>{}, term, SumFold::combine<Vec<A>>));
    }
  }

  void columns(const ReduceBlock& block, PartialState state) const override {
    const T* x = reinterpret_cast<const T*>(block.x);
    A* max = max_of(state);
    fold_columns<A>(
        x, block.reduced_stride, block.count, block.width, broadcast(lowest<A>()), [](Vec<A> v, int64_t) { return v; },
        MaxFold::combine<Vec<A>>, [&](int64_t column, Vec<A> m) { store(max + column, m); });
    fold_columns<A, 1, 1>(
        x, block.reduced_stride, block.count, block.width, Vec<A>{},
        [&](Vec<A> v, int64_t column) { return math::exp(v - finite_or_zero(load(max + column))); },
        SumFold::combine<Vec<A>>, [&](int64_t column, Vec<A> sum) { store(sum_of(state) + column, sum); });
  }

  void identity(int64_t width, PartialState state) const override {
    std::fill_n(max_of(state), width, lowest<A>());
    std::fill_n(sum_of(state), width, A(0));
  }

  void merge(int64_t width, PartialState into, int64_t, PartialState from, int64_t) const override {
    for (int64_t o = 0; o < width; o += kLanes<A>) {
      const Vec<A> a = load(max_of(into) + o);
      const Vec<A> b = load(max_of(from) + o);
      const Vec<A> max = MaxFold::combine(a, b);
      const auto scaled = [&](Vec<A> m, Vec<A> sum) {
        return (m == max) ? sum : sum * math::exp(m - finite_or_zero(max));
      };
      const Vec<A> sum = scaled(a, load(sum_of(into) + o)) + scaled(b, load(sum_of(from) + o));
      store(max_of(into) + o, max);
      store(sum_of(into) + o, sum);
    }
  }

  void finish(int64_t width, PartialState state, int64_t, int64_t y_offset, int64_t y_stride) const override {
    for (int64_t o = 0; o < width; o += kLanes<A>) {
      A results[kLanes<A>];
      store(results, math::log(load(sum_of(state) + o)) + finite_or_zero(load(max_of(state) + o)));
      for (int64_t i = 0; i < std::min<int64_t>(kLanes<A>, width - o); ++i) {
        write<T>(y_, y_offset + (o + i) * y_stride, results[i]);
      }
    }
  }

 private:
  using A = Compute<T>;
  template <class V>
  static V finite_or_zero(V m) {
    return (m - m == 0) ? m : V{};
  }
  static A* max_of(PartialState state) { return state.first<A>(); }
  static A* sum_of(PartialState state) { return state.second<A, A>(); }

  const TensorView& y_;
};

// --- argmax, argmin --------------------------------------------------------------------------------------------------

// The extremum and where it is first. A NaN is beyond every number; the first one wins.
template <class T, class Fold>
class ArgReducer final : public Reducer {
 public:
  explicit ArgReducer(const TensorView& y) : Reducer(sizeof(T), sizeof(A) + sizeof(int64_t), 1), y_(y) {}

  void rows(const ReduceBlock& block, PartialState state) const override {
    for (int64_t o = 0; o < block.width; ++o) {
      const T* x = reinterpret_cast<const T*>(block.x) + o * block.output_stride;
      const auto value = [](Vec<A> v, Lanes lanes) { return lanes.or_else<A>(v, Fold::template kIdentity<A>); };
      const Vec<A> start = broadcast(Fold::template kIdentity<A>);
      const Vec<A> lanes = fold_run<A>(x, block.count, start, value, Fold::template combine<Vec<A>>);
      const A best = fold_lanes(lanes, Fold::template combine<Vec<A>>);
      value_of(state)[o] = best;
      index_of(state)[o] = block.first + find(x, block.count, best);
    }
  }

  void columns(const ReduceBlock& block, PartialState state) const override {
    const T* x = reinterpret_cast<const T*>(block.x);
    const auto group = [&](int64_t column, auto&& load_row) {
      Vec<A> best = load_row(x + column);
      Vec<LaneInt<A>> place = {};
      for (int64_t row = 1; row < block.count; ++row) {
        const Vec<A> v = load_row(x + row * block.reduced_stride + column);
        const auto better = is_better(v, best);
        best = better ? v : best;
        place = better ? broadcast(static_cast<LaneInt<A>>(row)) : place;
      }
      store(value_of(state) + column, best);
      for (int i = 0; i < kLanes<A>; ++i) index_of(state)[column + i] = block.first + place[i];
    };
    const auto whole = [](const T* from) { return load_as<A>(from); };
    int64_t column = 0;
    for (; column + kLanes<A> <= block.width; column += kLanes<A>) group(column, whole);
    if (column == block.width) return;
    if (block.width >= kLanes<A>) return group(block.width - kLanes<A>, whole);
    group(0, [&](const T* from) { return load_partial_as<A>(from, static_cast<int>(block.width)); });
  }

  void identity(int64_t width, PartialState state) const override {
    std::fill_n(value_of(state), width, Fold::template kIdentity<A>);
    std::fill_n(index_of(state), width, int64_t{0});
  }

  void merge(int64_t width, PartialState into, int64_t, PartialState from, int64_t) const override {
    for (int64_t o = 0; o < width; ++o) {
      if (!is_better(value_of(from)[o], value_of(into)[o])) continue;
      value_of(into)[o] = value_of(from)[o];
      index_of(into)[o] = index_of(from)[o];
    }
  }

  void finish(int64_t width, PartialState state, int64_t, int64_t y_offset, int64_t y_stride) const override {
    visit_index("argmax", y_.dtype, [&]<class I>() {
      for (int64_t o = 0; o < width; ++o) write<I>(y_, y_offset + o * y_stride, index_of(state)[o]);
    });
  }

 private:
  // Wide enough for row numbers in the same lanes.
  using A = std::conditional_t<std::is_integral_v<T> && sizeof(T) < 4, int32_t, Compute<T>>;

  template <class V>
  static auto is_better(V v, V best) {
    return Fold::beyond(v, best) | ((v != v) & (best == best));
  }
  static int64_t find(const T* x, int64_t n, A best) {
    const bool is_nan = best != best;
    int64_t i = 0;
    for (; i + kLanes<A> <= n; i += kLanes<A>) {
      const Vec<A> v = load_as<A>(x + i);
      if (any_lane(is_nan ? v != v : v == best)) break;
    }
    for (; i < n; ++i) {
      const A v = static_cast<A>(static_cast<Compute<T>>(x[i]));
      if (is_nan ? v != v : v == best) break;
    }
    return i;
  }
  static A* value_of(PartialState state) { return state.first<A>(); }
  static int64_t* index_of(PartialState state) { return state.second<A, int64_t>(); }

  const TensorView& y_;
};

template <class Fold>
void arg_extremum(KernelContext& ctx, const Command& cmd) {
  visit_any(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    const ArgReducer<T, Fold> reducer(cmd.output(0));
    Reduction(cmd.input(0), cmd.output(0), reducer, true).run(ctx);
  });
}

HADAL_CPU_KERNEL(sum) { sum(ctx, cmd.name(), cmd.input(0), cmd.output(0)); }
HADAL_CPU_KERNEL(prod) { total<ProdFold>(ctx, cmd.name(), cmd.input(0), cmd.output(0)); }
HADAL_CPU_KERNEL(amax) { extremum<MaxFold>(ctx, cmd); }
HADAL_CPU_KERNEL(amin) { extremum<MinFold>(ctx, cmd); }
HADAL_CPU_KERNEL(any) { predicate<AnyFold>(ctx, cmd); }
HADAL_CPU_KERNEL(all) { predicate<AllFold>(ctx, cmd); }
HADAL_CPU_KERNEL(argmax) { arg_extremum<MaxFold>(ctx, cmd); }
HADAL_CPU_KERNEL(argmin) { arg_extremum<MinFold>(ctx, cmd); }

HADAL_CPU_KERNEL(mean) {
  visit_floating(cmd.name(), cmd.input(0).dtype,
                 [&]<class T>() { run_fold<T, Compute<T>, T, SumFold, Finish::kMean>(ctx, cmd); });
}

// Order 2 sums squares of floats in double, which no square overflows.
HADAL_CPU_KERNEL(norm) {
  const double order = cmd.attribute(0);
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    using A = Compute<T>;
    using Wide = std::conditional_t<std::is_same_v<T, float>, double, A>;
    if (order == 0) run_fold<T, A, T, NonzeroCountFold>(ctx, cmd);
    else if (order == 1) run_fold<T, A, T, AbsoluteFold<SumFold>>(ctx, cmd);
    else if (order == 2) run_fold<T, Wide, T, SquareFold, Finish::kRoot>(ctx, cmd);
    else if (order > 0) run_fold<T, A, T, AbsoluteFold<MaxFold>>(ctx, cmd);
    else run_fold<T, A, T, AbsoluteFold<MinFold>>(ctx, cmd);
  });
}

HADAL_CPU_KERNEL(varMean) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    const VarianceReducer<T> reducer(cmd.output(0), cmd.output(1), cmd.attribute(0));
    Reduction(cmd.input(0), cmd.output(0), reducer, false).run(ctx);
  });
}

HADAL_CPU_KERNEL(logSumExp) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    const LogSumExpReducer<T> reducer(cmd.output(0));
    Reduction(cmd.input(0), cmd.output(0), reducer, false).run(ctx);
  });
}

}  // namespace

void sum(KernelContext& ctx, const char* op, const TensorView& x, const TensorView& y) {
  total<SumFold>(ctx, op, x, y);
}

}  // namespace hadal::cpu
