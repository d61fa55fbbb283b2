// Fourier transforms over rows: of real ones [..., n] to spectra [..., n / 2 + 1, 2], the pairs being real and imaginary parts, of
// spectra back, and of complex ones [..., n, 2]. An even n of reals is transformed as n / 2 complex numbers (neighbours are the parts
// of one), an odd n as n of them. Rows lie side by side in the lanes of vectors; where there are few, but long ones, each is cut into
// columns instead. Computes in the tensors' own dtype from tables made in float64; writes `=`.
#include "cpu/fft.h"

#include "cpu/rows.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

using fft::AnyLongFft;
using fft::Complex;
using fft::conjugate;
using fft::LaneFft;
using fft::make_planes;
using fft::make_roots;
using fft::Planes;
using fft::point;
using fft::rounded;
using fft::scaled;
using fft::set_point;
using hadal::fft::Factors;
using hadal::fft::Lengths;
using hadal::fft::mirrored;
using hadal::fft::pack;
using hadal::fft::unpack;

// Rows of up to so many complex points stay in the second cache while they are transformed: 128 bytes a point.
constexpr int64_t kLongest = 4096;
// Fewer points are not worth being cut into columns.
constexpr int64_t kShortestLong = 1024;
// Elements worth a task of their own: some 20 µs.
constexpr int64_t kTaskElements = 1 << 14;

template <class T>
inline Complex<T>* turns(KernelContext& ctx, const Lengths& lengths) {
  if (!lengths.even) return nullptr;
  const auto roots = make_roots(ctx, lengths.n);
  auto* w = ctx.scratch<Complex<T>>(lengths.points / 2 + 1);
  for (int64_t k = 0; k <= lengths.points / 2; ++k) w[k] = rounded<T>(roots(k));
  return w;
}

// Rows of a view in the lanes of vectors [size][lane]; lanes from `count` on repeat the last.
template <class T>
void load_rows(const T* const (&rows)[kLanes<T>], int64_t size, T* to) {
  constexpr int kWidth = kLanes<T>;
  for (int64_t at = 0; at < size; at += kWidth) {
    const int here = static_cast<int>(std::min<int64_t>(kWidth, size - at));
    Vec<T> square[kWidth];
    for (int i = 0; i < kWidth; ++i) square[i] = here == kWidth ? load(rows[i] + at) : load_partial(rows[i] + at, here);
    transpose<T>(square);
    for (int i = 0; i < here; ++i) store(to + (at + i) * kWidth, square[i]);
  }
}

// Rows of a view along an axis, as they lie in memory: `size` numbers, or twice as many of pairs.
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

// Real and imaginary parts apart; a point is `stride` from the next one.
template <class T>
void take_apart(KernelContext& ctx, const T* x, int64_t stride, int64_t part_stride, int64_t count, Planes<T> z) {
  ctx.parallel_ranges(count, kTaskElements, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      z.re[j] = x[j * stride];
      z.im[j] = x[j * stride + part_stride];
    }
  });
}

// The transforms differ in what they make of a row before and after its points are transformed, in lanes() of rows in the lanes of vectors,
// whose numbers `z` has as [size][lane] and room for the plan's points, and in row() of a long one.

// Real rows to their spectra.
template <class T>
class RealToSpectra {
 public:
  static constexpr bool kFromPairs = false;
  RealToSpectra(KernelContext& ctx, const Command& cmd)
      : lengths_(cmd.input(0).size(-1)),
        factors_(cmd.attribute(0), cmd.attribute(1), lengths_),
        w_(turns<T>(ctx, lengths_)) {}
  int64_t points() const { return lengths_.points; }
  int64_t written() const { return 2 * lengths_.bins; }

  void lanes(const LaneFft<T>& plan, T* z, int lanes, T* to) const {
    if (!lengths_.even) {
      // Real parts move apart, from the last on, and zeros between them.
      for (int64_t j = lengths_.n - 1; j >= 0; --j) set_point(z, j, {load(z + j * kLanes<T>), Vec<T>{}});
    }
    plan.run(z);
    fft::store_points<T>(lengths_.bins, lanes, to, [&](int64_t k) {
      if (!lengths_.even) return scaled(point(z, plan.position(k)), factors_.at(k));
      const int64_t mirror = lengths_.points - k, lower = std::min(k, mirror), upper = lengths_.points - lower;
      const auto a = point(z, plan.position(lower));
      const auto b = point(z, plan.position(upper == lengths_.points ? 0 : upper));
      Complex<Vec<T>> bin, mirrored;
      unpack(a, b, w_[lower], bin, mirrored);
      return scaled(k <= mirror ? bin : mirrored, factors_.at(k));
    });
  }

  void row(KernelContext& ctx, const AnyLongFft<T>& plan, const T* x, const RowShape& shape, Planes<T> z, T* y) const {
    if (lengths_.even) {
      take_apart(ctx, x, 2 * shape.stride, shape.stride, lengths_.points, z);
    } else {
      gather(z.re, x, shape.stride, lengths_.n);
      std::fill_n(z.im, lengths_.n, T(0));
    }
    plan.run(ctx, z);
    const auto put = [&](int64_t k, Complex<T> value) {
      y[2 * k] = value.re * factors_.at(k);
      y[2 * k + 1] = value.im * factors_.at(k);
    };
    if (!lengths_.even) {
      for (int64_t k = 0; k < lengths_.bins; ++k) put(k, {z.re[k], z.im[k]});
      return;
    }
    ctx.parallel_ranges(lengths_.points / 2 + 1, kTaskElements, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const int64_t mirror = lengths_.points - k;
        const int64_t other = mirror == lengths_.points ? 0 : mirror;
        Complex<T> bin, mirrored;
        unpack(Complex<T>{z.re[k], z.im[k]}, Complex<T>{z.re[other], z.im[other]}, w_[k], bin, mirrored);
        put(k, bin);
        put(mirror, mirrored);
      }
    });
  }

 private:
  Lengths lengths_;
  Factors<T> factors_;
  const Complex<T>* w_;
};

// Spectra to the real rows that they are of.
template <class T>
class SpectraToReal {
 public:
  static constexpr bool kFromPairs = true;
  SpectraToReal(KernelContext& ctx, const Command& cmd)
      : lengths_(cmd.output(0).size(-1)),
        factors_(cmd.attribute(0), cmd.attribute(1), lengths_),
        w_(turns<T>(ctx, lengths_)) {}
  int64_t points() const { return lengths_.points; }
  int64_t written() const { return lengths_.n; }

  void lanes(const LaneFft<T>& plan, T* z, int lanes, T* to) const {
    const auto bin = [&](int64_t k) {
      auto x = scaled(point(z, k), factors_.at(k) * (factors_.is_end(k) ? T(1) : T(0.5)));
      if (factors_.is_end(k)) x.im = Vec<T>{};
      return x;
    };
    if (lengths_.even) {
      for (int64_t k = 0; k <= lengths_.points / 2; ++k) {
        const int64_t mirror = lengths_.points - k;
        Complex<Vec<T>> a, b;
        pack(bin(k), bin(mirror), w_[k], a, b);
        if (mirror < lengths_.points) set_point(z, mirror, b);
        set_point(z, k, a);
      }
    } else {
      set_point(z, 0, bin(0));
      for (int64_t k = 1; k < lengths_.bins; ++k) {
        const auto x = bin(k);
        set_point(z, k, x);
        set_point(z, lengths_.n - k, conjugate(x));
      }
    }
    plan.run(z);
    const auto result = [&](int64_t j) { return point(z, plan.position(mirrored(j, lengths_.points))); };
    fft::store_lanes(lengths_.n, lanes, to, lengths_.n, [&](int64_t j) {
      if (!lengths_.even) return result(j).re;
      return j % 2 == 0 ? result(j / 2).re : result(j / 2).im;
    });
  }

  void row(KernelContext& ctx, const AnyLongFft<T>& plan, const T* x, const RowShape& shape, Planes<T> z, T* y) const {
    const auto bin = [&](int64_t k) {
      const bool end = factors_.is_end(k);
      const T factor = factors_.at(k) * (end ? T(1) : T(0.5));
      return Complex<T>{x[shape(2 * k)] * factor, end ? T(0) : x[shape(2 * k + 1)] * factor};
    };
    const auto put = [&](int64_t k, Complex<T> value) {
      z.re[k] = value.re;
      z.im[k] = value.im;
    };
    if (lengths_.even) {
      ctx.parallel_ranges(lengths_.points / 2 + 1, kTaskElements, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
          const int64_t mirror = lengths_.points - k;
          Complex<T> a, b;
          pack(bin(k), bin(mirror), w_[k], a, b);
          if (mirror < lengths_.points) put(mirror, b);
          put(k, a);
        }
      });
    } else {
      for (int64_t k = 0; k < lengths_.bins; ++k) {
        put(k, bin(k));
        if (k > 0) put(lengths_.n - k, conjugate(bin(k)));
      }
    }
    plan.run(ctx, z);
    ctx.parallel_ranges(lengths_.points, kTaskElements, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        const int64_t at = mirrored(j, lengths_.points);
        if (!lengths_.even) {
          y[j] = z.re[at];
        } else {
          y[2 * j] = z.re[at];
          y[2 * j + 1] = z.im[at];
        }
      }
    });
  }

 private:
  Lengths lengths_;
  Factors<T> factors_;
  const Complex<T>* w_;
};

// Complex rows to complex rows, forth or back.
template <class T>
class ComplexToComplex {
 public:
  static constexpr bool kFromPairs = true;
  ComplexToComplex(KernelContext&, const Command& cmd)
      : n_(cmd.input(0).size(static_cast<int>(cmd.attribute(2)))),
        scale_(static_cast<T>(cmd.attribute(0))),
        back_(cmd.attribute(1) != 0) {}
  int64_t points() const { return n_; }
  int64_t written() const { return 2 * n_; }

  void lanes(const LaneFft<T>& plan, T* z, int lanes, T* to) const {
    plan.run(z);
    fft::store_points<T>(n_, lanes, to, [&](int64_t k) { return result(plan, z, k); });
  }
  // The same for rows side by side: neighbours of a result are `stride` apart.
  void columns(const LaneFft<T>& plan, T* z, int lanes, T* to, int64_t stride) const {
    plan.run(z);
    for (int64_t k = 0; k < n_; ++k) fft::store_pairs<T>(to + k * stride, lanes, result(plan, z, k));
  }

  void row(KernelContext& ctx, const AnyLongFft<T>& plan, const T* x, const RowShape& shape, Planes<T> z, T* y,
           int64_t stride = 2) const {
    take_apart(ctx, x, shape.stride, shape.part_stride, n_, z);
    plan.run(ctx, z);
    ctx.parallel_ranges(n_, kTaskElements, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        y[k * stride] = z.re[place(k)] * scale_;
        y[k * stride + 1] = z.im[place(k)] * scale_;
      }
    });
  }

 private:
  int64_t place(int64_t k) const { return back_ ? mirrored(k, n_) : k; }
  Complex<Vec<T>> result(const LaneFft<T>& plan, const T* z, int64_t k) const {
    return scaled(point(z, plan.position(place(k))), scale_);
  }

  int64_t n_;
  T scale_;
  bool back_;
};

// Whether rows are cut into columns: rows that no cache holds, or so few that most lanes would be idle.
template <class T>
bool takes_long(int64_t rows, int64_t points) {
  return points > kLongest || (points >= kShortestLong && rows < kLanes<T> / 2);
}

// Of rows along an axis of the input, which come out one after the other.
template <template <class> class Transform, class T>
void run(KernelContext& ctx, const Command& cmd, int axis) {
  constexpr int kWidth = kLanes<T>;
  const TensorView& x = cmd.input(0);
  const Transform<T> transform(ctx, cmd);
  const RowShape shape(x, axis, Transform<T>::kFromPairs);
  const RowOffsets offsets(x, 1u << axis | 1u << (x.rank - 1));
  const int64_t points = transform.points(), written = transform.written(), rows = offsets.rows();
  const T* from = x.as<T>();
  T* to = cmd.output(0).as<T>();

  if (takes_long<T>(rows, points)) {
    const AnyLongFft<T> plan(ctx, points);
    const Planes<T> z = make_planes<T>(ctx, points);
    for (int64_t row = 0; row < rows; ++row)
      transform.row(ctx, plan, from + offsets(row), shape, z, to + row * written);
    return;
  }

  const LaneFft<T> plan(ctx, points);
  const int64_t room = std::max(plan.room(), 2 * kWidth * (points + 1));
  const int64_t blocks = (rows + kWidth - 1) / kWidth;
  ctx.parallel_ranges(blocks, kTaskElements / (kWidth * shape.size), [&](int64_t begin, int64_t end) {
    T* z = ctx.thread_scratch<T>(room + (shape.is_packed() ? 0 : kWidth * shape.size));
    for (int64_t block = begin; block < end; ++block) {
      const int count = static_cast<int>(std::min<int64_t>(kWidth, rows - block * kWidth));
      const T* lanes[kWidth];
      for (int lane = 0; lane < kWidth; ++lane) {
        lanes[lane] = from + offsets(block * kWidth + std::min(lane, count - 1));
        if (shape.is_packed()) continue;
        T* copy = z + room + lane * shape.size;
        for (int64_t i = 0; i < shape.size; ++i) copy[i] = lanes[lane][shape(i)];
        lanes[lane] = copy;
      }
      load_rows<T>(lanes, shape.size, z);
      transform.lanes(plan, z, count, to + block * kWidth * written);
    }
  });
}

// Along the last axis.
template <template <class> class Transform>
void run(KernelContext& ctx, const Command& cmd) {
  if (cmd.output(0).numel() == 0) return;
  const int axis = cmd.input(0).rank - (Transform<float>::kFromPairs ? 2 : 1);
  if (cmd.output(0).dtype == DType::kFloat32) run<Transform, float>(ctx, cmd, axis);
  else run<Transform, double>(ctx, cmd, axis);
}

// The transform along an axis that others follow: `inner` rows lie side by side, as columns.
template <class T>
void run_columns(KernelContext& ctx, const Command& cmd, int axis, int64_t inner) {
  constexpr int kWidth = kLanes<T>;
  const TensorView& x = cmd.input(0);
  const ComplexToComplex<T> transform(ctx, cmd);
  const RowShape shape(x, axis, true);
  const RowOffsets offsets(x, 1u << axis | 1u << (x.rank - 1));
  const int64_t points = transform.points(), rows = offsets.rows(), stride = 2 * inner;
  const T* from = x.as<T>();
  T* to = cmd.output(0).as<T>();
  const auto result = [&](int64_t row) { return to + (row / inner * points * inner + row % inner) * 2; };

  if (points > kLongest) {
    const AnyLongFft<T> plan(ctx, points);
    const Planes<T> z = make_planes<T>(ctx, points);
    for (int64_t row = 0; row < rows; ++row) {
      transform.row(ctx, plan, from + offsets(row), shape, z, result(row), stride);
    }
    return;
  }

  const LaneFft<T> plan(ctx, points);
  const int64_t blocks = (inner + kWidth - 1) / kWidth;
  ctx.parallel_ranges(rows / inner * blocks, kTaskElements / (kWidth * shape.size), [&](int64_t begin, int64_t end) {
    T* z = ctx.thread_scratch<T>(plan.room());
    for (int64_t block = begin; block < end; ++block) {
      const int64_t column = block % blocks * kWidth, row = block / blocks * inner + column;
      const int count = static_cast<int>(std::min<int64_t>(kWidth, inner - column));
      const T* lanes[kWidth];
      bool side_by_side = shape.part_stride == 1;
      for (int lane = 0; lane < count; ++lane) {
        lanes[lane] = from + offsets(row + lane);
        side_by_side &= lanes[lane] == lanes[0] + 2 * lane;
      }
      if (side_by_side) {
        for (int64_t j = 0; j < points; ++j) set_point(z, j, fft::load_pairs(lanes[0] + j * shape.stride, count));
      } else {
        for (int lane = 0; lane < count; ++lane) {
          for (int64_t i = 0; i < shape.size; ++i) z[i * kWidth + lane] = lanes[lane][shape(i)];
        }
      }
      transform.columns(plan, z, count, result(row), stride);
    }
  });
}

template <class T>
void run_complex(KernelContext& ctx, const Command& cmd) {
  const TensorView& y = cmd.output(0);
  const auto axis = static_cast<int>(cmd.attribute(2));
  int64_t inner = 1;
  for (int after = axis + 1; after < y.rank - 1; ++after) inner *= y.shape[after];
  if (inner == 1) run<ComplexToComplex, T>(ctx, cmd, axis);
  else run_columns<T>(ctx, cmd, axis, inner);
}

}  // namespace

HADAL_CPU_KERNEL(rfft) { run<RealToSpectra>(ctx, cmd); }
HADAL_CPU_KERNEL(irfft) { run<SpectraToReal>(ctx, cmd); }
HADAL_CPU_KERNEL(fft) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) run_complex<float>(ctx, cmd);
  else run_complex<double>(ctx, cmd);
}

}  // namespace hadal::cpu
