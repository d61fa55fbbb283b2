// Fourier transforms over rows: of real ones [..., n] to spectra [..., n / 2 + 1, 2], the pairs being real and imaginary parts, of
// spectra back, and of complex ones [..., n, 2]. An even n of reals is transformed as n / 2 complex numbers (neighbours are the parts
// of one), an odd n as n of them. Short rows lie side by side in the lanes of vectors, longer ones are transformed one by one.
// Computes in the tensors' own dtype from tables made in float64; writes `=`.
#include "cpu/fft.h"

#include "cpu/rows.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

using fft::Alone;
using fft::Complex;
using fft::conjugate;
using fft::is_smooth;
using fft::kTaskElements;
using fft::LaneFft;
using fft::load_pairs;
using fft::make_roots;
using fft::Planes;
using fft::point;
using fft::RectangleFft;
using fft::rounded;
using fft::RowFft;
using fft::scaled;
using fft::set_point;
using fft::store_pairs;
using fft::swapped;
using fft::Together;
using hadal::fft::Factors;
using hadal::fft::Lengths;
using hadal::fft::pack;
using hadal::fft::unpack;

// Rows of so many points make rectangles that fill all lanes.
template <class T>
constexpr int64_t kShortestRow = kLanes<T> * kLanes<T>;
// The share of the lanes that the rectangle of a somewhat longer row is to fill.
constexpr double kLeastFilled = 0.75;
// Rows of more points leave the second cache, so all threads transform one together.
constexpr int64_t kLongestRow = 1 << 15;
// The same of columns, kLanes of which are transformed at a time.
constexpr int64_t kLongestColumn = 1 << 12;

// e^(-2πik/n) for k of the first half of the points of an even n.
template <class T>
inline Planes<T> turns(KernelContext& ctx, const Lengths& lengths) {
  const int64_t count = lengths.even ? lengths.points / 2 + 1 : 0;
  const Planes<T> w(ctx.scratch<T>(2 * count), count);
  if (count == 0) return w;
  const auto roots = make_roots(ctx, lengths.n);
  for (int64_t k = 0; k < count; ++k) w.set(k, rounded<T>(roots(k)));
  return w;
}

template <class T>
inline Vec<T> reversed(Vec<T> v) {
  return [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(v, v, (kLanes<T> - 1 - kLane)...);
  }(std::make_integer_sequence<int, kLanes<T>>{});
}
template <class T>
inline Complex<Vec<T>> reversed(Complex<Vec<T>> z) {
  return {reversed<T>(z.re), reversed<T>(z.im)};
}

// Rows in the lanes of vectors [size][lane].
template <class T>
void load_rows(const T* const (&rows)[kLanes<T>], int64_t size, T* to) {
  constexpr int kWidth = kLanes<T>;
  const auto square = [&](int64_t at, auto part) {
    Vec<T> square[kWidth];
    unroll<kWidth>([&](auto i) __attribute__((always_inline)) { square[i] = load(rows[i] + at, part); });
    transpose<T>(square);
    unroll<kWidth>([&](auto i) __attribute__((always_inline)) { store(to + (at + i) * kWidth, square[i]); });
  };
  int64_t at = 0;
  for (; at + kWidth <= size; at += kWidth) square(at, Full{});
  if (at < size) square(at, Tail{static_cast<int>(size - at)});
}
// The first `count` of them, times a factor, as rows one after the other.
template <class T>
void store_rows(const T* from, int64_t size, int count, T factor, T* to) {
  constexpr int kWidth = kLanes<T>;
  const auto square = [&](int64_t at, auto part) {
    Vec<T> square[kWidth];
    unroll<kWidth>([&](auto i) __attribute__((always_inline)) { square[i] = load(from + (at + i) * kWidth) * factor; });
    transpose<T>(square);
    unroll<kWidth>([&](auto i) __attribute__((always_inline)) {
      if (i < count) store(to + i * size + at, square[i], part);
    });
  };
  int64_t at = 0;
  for (; at + kWidth <= size; at += kWidth) square(at, Full{});
  if (at < size) square(at, Tail{static_cast<int>(size - at)});
}

// Numbers of a row along an axis, as they lie in memory.
struct RowShape {
  int64_t size, stride, part_stride;
  bool pairs;
  RowShape(const TensorView& x, int axis, bool pairs)
      : size((pairs ? 2 : 1) * x.size(axis)),
        stride(x.stride(axis)),
        part_stride(pairs ? x.stride(-1) : 0),
        pairs(pairs) {}
  bool is_packed() const { return pairs ? part_stride == 1 && (stride == 2 || size == 2) : stride == 1; }
  int64_t operator()(int64_t i) const { return pairs ? i / 2 * stride + i % 2 * part_stride : i * stride; }
};

// Calls vector(k, mirror) for kLanes bins from k on and their mirror images, which end with bin points - k, or number(k, points - k) for one of
// each, so that all have been.
template <class T, class Each, class Vector, class Number>
void each_mirrored(const Each& each, int64_t points, Vector&& vector, Number&& number) {
  constexpr int kWidth = kLanes<T>;
  const int64_t blocks = points / 2 / kWidth;
  each(blocks, kTaskElements / (4 * kWidth), [&](int64_t begin, int64_t end, T*) {
    for (int64_t k = 1 + begin * kWidth; k < 1 + end * kWidth; k += kWidth) vector(k, points - k - kWidth + 1);
  });
  number(0, points);
  for (int64_t k = 1 + blocks * kWidth; k <= points / 2; ++k) number(k, points - k);
}

// The transforms differ in what they make of a row before and after its points are transformed: in lanes() of rows in the lanes of vectors,
// from [size][lane] to [written][lane] (both with room for a point more than the plan has) but for a factor(), and in row() of a packed one.

// Real rows to their spectra.
template <class T>
class RealToSpectra {
 public:
  static constexpr bool kFromPairs = false, kToPairs = true;
  RealToSpectra(KernelContext& ctx, const Command& cmd)
      : lengths_(cmd.input(0).size(-1)),
        factors_(cmd.attribute(0), cmd.attribute(1), lengths_),
        w_(turns<T>(ctx, lengths_)) {}
  int64_t points() const { return lengths_.points; }
  int64_t written() const { return 2 * lengths_.bins; }
  int64_t room() const { return 2 * lengths_.points; }

  void lanes(const LaneFft<T>& plan, T* z, T* y) const {
    if (!lengths_.even) {
      // Real parts move apart, from the last on, and zeros between them.
      for (int64_t j = lengths_.n - 1; j >= 0; --j) set_point(z, j, {load(z + j * kLanes<T>), Vec<T>{}});
    }
    plan.run(z, 2 * kLanes<T>, z, y);
    if (lengths_.even) {
      set_point(y, lengths_.points, point(y, 0));
      for (int64_t k = 0; k <= lengths_.points / 2; ++k) {
        const int64_t mirror = lengths_.points - k;
        Complex<Vec<T>> bin, mirrored;
        unpack(point(y, k), point(y, mirror), w_[k], bin, mirrored);
        set_point(y, k, bin);
        set_point(y, mirror, mirrored);
      }
    }
    const T ends = factors_.ends / factors_.inner;
    if (ends == 1) return;
    set_point(y, 0, scaled(point(y, 0), ends));
    if (lengths_.even) set_point(y, lengths_.points, scaled(point(y, lengths_.points), ends));
  }
  T factor() const { return factors_.inner; }

  template <class Each>
  void row(const Each& each, const RowFft<T>& plan, const T* x, T* memory, T* y) const {
    if (!lengths_.even) {
      return plan.run(
          each, memory, [&](int64_t j, int count) { return Complex<Vec<T>>{fft::load_some(x + j, count), Vec<T>{}}; },
          [&](int64_t k, int count, Complex<Vec<T>> bin) {
            if (k >= lengths_.bins) return;
            Vec<T> factor = broadcast(factors_.inner);
            if (k == 0) factor[0] = factors_.ends;
            store_pairs(y + 2 * k, static_cast<int>(std::min<int64_t>(count, lengths_.bins - k)), scaled(bin, factor));
          });
    }
    const Planes<T> z(memory + plan.room(), lengths_.points);
    plan.run(
        each, memory, [&](int64_t j, int count) { return load_pairs(x + 2 * j, count); },
        [&](int64_t k, int count, Complex<Vec<T>> value) { z.store(k, count, value); });
    const auto put = [&](int64_t k, Complex<T> bin) {
      y[2 * k] = bin.re * factors_.at(k);
      y[2 * k + 1] = bin.im * factors_.at(k);
    };
    each_mirrored<T>(
        each, lengths_.points,
        [&](int64_t k, int64_t mirror) {
          Complex<Vec<T>> bin, mirrored;
          unpack(z.load(k), reversed<T>(z.load(mirror)), w_.load(k), bin, mirrored);
          store_pairs(y + 2 * k, kLanes<T>, scaled(bin, factors_.inner));
          store_pairs(y + 2 * mirror, kLanes<T>, scaled(reversed<T>(mirrored), factors_.inner));
        },
        [&](int64_t k, int64_t mirror) {
          Complex<T> bin, mirrored;
          unpack(z[k], z[mirror % lengths_.points], w_[k], bin, mirrored);
          put(k, bin);
          put(mirror, mirrored);
        });
  }

 private:
  Lengths lengths_;
  Factors<T> factors_;
  Planes<T> w_;
};

// Spectra to the real rows that they are of.
template <class T>
class SpectraToReal {
 public:
  static constexpr bool kFromPairs = true, kToPairs = false;
  SpectraToReal(KernelContext& ctx, const Command& cmd)
      : lengths_(cmd.output(0).size(-1)),
        factors_(cmd.attribute(0), cmd.attribute(1), lengths_),
        w_(turns<T>(ctx, lengths_)) {}
  int64_t points() const { return lengths_.points; }
  int64_t written() const { return lengths_.n; }
  int64_t room() const { return 2 * lengths_.points; }

  void lanes(const LaneFft<T>& plan, T* z, T* y) const {
    const auto bin = [&](int64_t k) {
      auto x = scaled(point(z, k), factor_of(k));
      if (factors_.is_end(k)) x.im = Vec<T>{};
      return x;
    };
    if (lengths_.even) {
      for (int64_t k = 0; k <= lengths_.points / 2; ++k) {
        const int64_t mirror = lengths_.points - k;
        Complex<Vec<T>> a, b;
        pack(bin(k), bin(mirror), w_[k], a, b);
        set_point(z, mirror, swapped(b));
        set_point(z, k, swapped(a));
      }
    } else {
      set_point(z, 0, swapped(bin(0)));
      for (int64_t k = 1; k < lengths_.bins; ++k) {
        const auto x = bin(k);
        set_point(z, k, swapped(x));
        set_point(z, lengths_.n - k, swapped(conjugate(x)));
      }
    }
    plan.run(z, 2 * kLanes<T>, z, y);
    for (int64_t j = 0; j < lengths_.points; ++j) {
      const auto value = point(y, j);
      if (lengths_.even) set_point(y, j, swapped(value));
      else store(y + j * kLanes<T>, value.im);
    }
  }
  T factor() const { return T(1); }

  template <class Each>
  void row(const Each& each, const RowFft<T>& plan, const T* x, T* memory, T* y) const {
    const Planes<T> z(memory + plan.room(), lengths_.points);
    const auto bin = [&](int64_t k) {
      return Complex<T>{x[2 * k] * factor_of(k), factors_.is_end(k) ? T(0) : x[2 * k + 1] * factor_of(k)};
    };
    if (lengths_.even) {
      each_mirrored<T>(
          each, lengths_.points,
          [&](int64_t k, int64_t mirror) {
            Complex<Vec<T>> a, b;
            pack(scaled(load_pairs(x + 2 * k), factor_of(k)),
                 reversed<T>(scaled(load_pairs(x + 2 * mirror), factor_of(k))), w_.load(k), a, b);
            z.store(k, kLanes<T>, a);
            z.store(mirror, kLanes<T>, reversed<T>(b));
          },
          [&](int64_t k, int64_t mirror) {
            Complex<T> a, b;
            pack(bin(k), bin(mirror), w_[k], a, b);
            if (mirror < lengths_.points) z.set(mirror, b);
            z.set(k, a);
          });
    } else {
      each_mirrored<T>(
          each, lengths_.points,
          [&](int64_t k, int64_t mirror) {
            const auto a = scaled(load_pairs(x + 2 * k), factor_of(k));
            z.store(k, kLanes<T>, a);
            z.store(mirror, kLanes<T>, reversed<T>(conjugate(a)));
          },
          [&](int64_t k, int64_t mirror) {
            if (mirror < lengths_.points) z.set(mirror, conjugate(bin(k)));
            z.set(k, bin(k));
          });
    }
    plan.run(
        each, memory, [&](int64_t j, int count) { return swapped(z.load(j, count)); },
        [&](int64_t j, int count, Complex<Vec<T>> value) {
          if (lengths_.even) store_pairs(y + 2 * j, count, swapped(value));
          else fft::store_some(y + j, count, value.im);
        });
  }

 private:
  T factor_of(int64_t k) const { return factors_.at(k) * (factors_.is_end(k) ? T(1) : T(0.5)); }

  Lengths lengths_;
  Factors<T> factors_;
  Planes<T> w_;
};

// Complex rows to complex rows, forth or back.
template <class T, bool kBack>
class ComplexToComplex {
 public:
  static constexpr bool kFromPairs = true, kToPairs = true;
  ComplexToComplex(KernelContext&, const Command& cmd)
      : n_(cmd.input(0).size(static_cast<int>(cmd.attribute(2)))), scale_(static_cast<T>(cmd.attribute(0))) {}
  int64_t points() const { return n_; }
  int64_t written() const { return 2 * n_; }
  int64_t room() const { return 0; }

  Complex<Vec<T>> before(Complex<Vec<T>> z) const { return kBack ? swapped(z) : z; }
  Complex<Vec<T>> after(Complex<Vec<T>> z) const { return scaled(before(z), scale_); }

  void lanes(const LaneFft<T>& plan, T* z, T* y) const {
    const auto turn_back = [&](T* points) {
      for (int64_t j = 0; j < n_; ++j) set_point(points, j, swapped(point(points, j)));
    };
    if (kBack) turn_back(z);
    plan.run(z, 2 * kLanes<T>, z, y);
    if (kBack) turn_back(y);
  }
  T factor() const { return scale_; }

  template <class Each>
  void row(const Each& each, const RowFft<T>& plan, const T* x, T* memory, T* y) const {
    plan.run(
        each, memory, [&](int64_t j, int count) { return before(load_pairs(x + 2 * j, count)); },
        [&](int64_t k, int count, Complex<Vec<T>> value) { store_pairs(y + 2 * k, count, after(value)); });
  }

 private:
  int64_t n_;
  T scale_;
};
template <class T>
using Forth = ComplexToComplex<T, false>;
template <class T>
using Back = ComplexToComplex<T, true>;

// A transform along an axis of the input that `inner` rows side by side follow.
template <template <class> class Transform, class T>
struct Pass {
  static constexpr int kWidth = kLanes<T>;

  Pass(KernelContext& ctx, const Command& cmd, int axis, int64_t inner)
      : ctx(ctx),
        transform(ctx, cmd),
        shape(cmd.input(0), axis, Transform<T>::kFromPairs),
        offsets(cmd.input(0), 1u << axis | 1u << (cmd.input(0).rank - 1)),
        points(transform.points()),
        written(transform.written()),
        rows(offsets.rows()),
        inner(inner),
        is_side_by_side(shape.part_stride == 1),
        from(cmd.input(0).as<T>()),
        to(cmd.output(0).as<T>()) {
    int64_t stride = 2;
    for (int after = cmd.input(0).rank - 2; after > axis; --after) {
      is_side_by_side &= cmd.input(0).shape[after] == 1 || cmd.input(0).strides[after] == stride;
      stride *= cmd.input(0).shape[after];
    }
  }

  void run() const {
    const bool is_short =
        points < kShortestRow<T> || (points < 4 * kShortestRow<T> && RectangleFft<T>::filled(points) < kLeastFilled);
    if (!is_smooth(points) || points > kLongestColumn) run_rows();
    else if (inner > 1 && (inner >= kWidth / 4 || is_short)) run_columns();
    else if (is_short) run_lanes();
    else run_rows();
  }

  void copy_row(int64_t row, int64_t begin, int64_t end, T* copy) const {
    const T* x = from + offsets(row);
    for (int64_t i = begin; i < end; ++i) copy[i] = x[shape(i)];
  }
  T* result(int64_t row) const { return to + row / inner * written * inner + row % inner * 2; }

  // kWidth rows at a time, which come out one after the other.
  void run_lanes() const {
    const LaneFft<T> plan(ctx, points, make_roots(ctx, points));
    const int64_t room = 2 * kWidth * (points + 1) + kWidth * kWidth;
    ctx.parallel_ranges((rows + kWidth - 1) / kWidth, kTaskElements / (kWidth * shape.size),
                        [&](int64_t begin, int64_t end) {
                          T* z = ctx.thread_scratch<T>(2 * room + kWidth * shape.size);
                          for (int64_t block = begin; block < end; ++block) {
                            const int count = static_cast<int>(std::min<int64_t>(kWidth, rows - block * kWidth));
                            const T* lanes[kWidth];
                            for (int lane = 0; lane < kWidth; ++lane) {
                              const int64_t row = block * kWidth + std::min(lane, count - 1);
                              T* copy = z + 2 * room + lane * shape.size;
                              if (!shape.is_packed()) copy_row(row, 0, shape.size, copy);
                              lanes[lane] = shape.is_packed() ? from + offsets(row) : copy;
                            }
                            load_rows<T>(lanes, shape.size, z);
                            transform.lanes(plan, z, z + room);
                            store_rows(z + room, written, count, transform.factor(), result(block * kWidth));
                          }
                        });
  }

  // kWidth rows side by side at a time, which come out side by side.
  void run_columns() const {
    if constexpr (Transform<T>::kToPairs && Transform<T>::kFromPairs) {
      const LaneFft<T> plan(ctx, points, make_roots(ctx, points));
      const int64_t blocks = (inner + kWidth - 1) / kWidth;
      const int64_t grain = kTaskElements / (kWidth * shape.size);
      ctx.parallel_ranges(rows / inner * blocks, grain, [&](int64_t begin, int64_t end) {
        T *z = ctx.thread_scratch<T>(2 * plan.room()), *results = z + plan.room();
        for (int64_t block = begin; block < end; ++block) {
          const int64_t column = block % blocks * kWidth, row = block / blocks * inner + column;
          const int count = static_cast<int>(std::min<int64_t>(kWidth, inner - column));
          const T* x = from + offsets(row);
          if (is_side_by_side) {
            fft::with_lanes<T>(count, [&](auto count) {
              for (int64_t j = 0; j < points; ++j) {
                set_point(z, j, transform.before(load_pairs(x + j * shape.stride, count)));
              }
            });
          } else {
            for (int lane = 0; lane < count; ++lane) {
              x = from + offsets(row + lane);
              for (int64_t i = 0; i < shape.size; ++i) z[i * kWidth + lane] = x[shape(i)];
            }
            for (int64_t j = 0; j < points; ++j) set_point(z, j, transform.before(point(z, j)));
          }
          plan.run(z, 2 * kWidth, z, results);
          T* y = result(row);
          fft::with_lanes<T>(count, [&](auto count) {
            for (int64_t k = 0; k < points; ++k) {
              store_pairs(y + k * 2 * inner, count, transform.after(point(results, k)));
            }
          });
        }
      });
    }
  }

  // Row by row.
  void run_rows() const {
    const RowFft<T> plan(ctx, points);
    const int64_t room = plan.room() + transform.room();
    const int64_t copies = (shape.is_packed() ? 0 : shape.size) + (inner > 1 ? written : 0);
    const auto run_row = [&](const auto& each, int64_t row, T* memory) {
      const T* x = from + offsets(row);
      T* copy = memory + room;
      if (!shape.is_packed()) {
        each(shape.size, kTaskElements, [&](int64_t begin, int64_t end, T*) { copy_row(row, begin, end, copy); });
        x = copy;
        copy += shape.size;
      }
      T* y = result(row);
      transform.row(each, plan, x, memory, inner > 1 ? copy : y);
      if (inner == 1) return;
      each(points, kTaskElements, [&](int64_t begin, int64_t end, T*) {
        for (int64_t k = begin; k < end; ++k) std::copy_n(copy + 2 * k, 2, y + k * 2 * inner);
      });
    };

    if (points > kLongestRow || rows < 8) {
      T* memory = ctx.scratch<T>(room + copies);
      for (int64_t row = 0; row < rows; ++row) run_row(Together<T>{ctx, plan.lane_room()}, row, memory);
    } else {
      ctx.parallel_ranges(rows, kTaskElements / shape.size, [&](int64_t begin, int64_t end) {
        T* lanes = ctx.thread_scratch<T>(plan.lane_room() + room + copies);
        for (int64_t row = begin; row < end; ++row) run_row(Alone<T>{lanes}, row, lanes + plan.lane_room());
      });
    }
  }

  KernelContext& ctx;
  Transform<T> transform;
  RowShape shape;
  RowOffsets offsets;
  int64_t points, written, rows, inner;
  bool is_side_by_side;  // the rows, in the input
  const T* from;
  T* to;
};

template <template <class> class Transform>
void run(KernelContext& ctx, const Command& cmd, int axis, int64_t inner = 1) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) Pass<Transform, float>(ctx, cmd, axis, inner).run();
  else Pass<Transform, double>(ctx, cmd, axis, inner).run();
}

}  // namespace

HADAL_CPU_KERNEL(rfft) { run<RealToSpectra>(ctx, cmd, cmd.input(0).rank - 1); }
HADAL_CPU_KERNEL(irfft) { run<SpectraToReal>(ctx, cmd, cmd.input(0).rank - 2); }
HADAL_CPU_KERNEL(fft) {
  const TensorView& y = cmd.output(0);
  const auto axis = static_cast<int>(cmd.attribute(2));
  int64_t inner = 1;
  for (int after = axis + 1; after < y.rank - 1; ++after) inner *= y.shape[after];
  if (cmd.attribute(1) == 0) run<Forth>(ctx, cmd, axis, inner);
  else run<Back>(ctx, cmd, axis, inner);
}

}  // namespace hadal::cpu
