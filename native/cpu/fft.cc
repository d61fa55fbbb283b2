// Fourier transforms of real sequences and back, over rows: x [..., n] and y [..., n / 2 + 1, 2], the pairs being real and
// imaginary parts. An even n is transformed as n / 2 complex numbers (neighbours are the parts of one), an odd n as n of them. Rows lie
// side by side in the lanes of vectors; where there are few, but long ones, each is cut into columns instead. Computes in the
// tensors' own dtype from tables made in float64; writes `=`.
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

// Real rows [n][lane] to spectra, which are stored as rows [bins, 2]. `z` has room for the plan's points.
template <class T>
void transform(const LaneFft<T>& plan, const Lengths& lengths, const Complex<T>* w, const Factors<T>& factors, T* z,
               int lanes, T* to) {
  if (!lengths.even) {
    // Real parts move apart, from the last on, and zeros between them.
    for (int64_t j = lengths.n - 1; j >= 0; --j) set_point(z, j, {load(z + j * kLanes<T>), Vec<T>{}});
  }
  plan.run(z);
  Complex<Vec<T>> value{};
  fft::store_lanes(2 * lengths.bins, lanes, to, 2 * lengths.bins, [&](int64_t i) {
    if (i % 2 != 0) return value.im;
    const int64_t k = i / 2;
    if (lengths.even) {
      const int64_t mirror = lengths.points - k, lower = std::min(k, mirror), upper = lengths.points - lower;
      const auto a = point(z, plan.position(lower));
      const auto b = point(z, plan.position(upper == lengths.points ? 0 : upper));
      Complex<Vec<T>> bin, mirrored;
      unpack(a, b, w[lower], bin, mirrored);
      value = k <= mirror ? bin : mirrored;
    } else {
      value = point(z, plan.position(k));
    }
    value = scaled(value, factors.at(k));
    return value.re;
  });
}

// Spectra [bins][re, im][lane] to real rows [n].
template <class T>
void transform_back(const LaneFft<T>& plan, const Lengths& lengths, const Complex<T>* w, const Factors<T>& factors,
                    T* z, int lanes, T* to) {
  const auto bin = [&](int64_t k) {
    auto x = scaled(point(z, k), factors.at(k) * (factors.is_end(k) ? T(1) : T(0.5)));
    if (factors.is_end(k)) x.im = Vec<T>{};
    return x;
  };
  if (lengths.even) {
    for (int64_t k = 0; k <= lengths.points / 2; ++k) {
      const int64_t mirror = lengths.points - k;
      Complex<Vec<T>> a, b;
      pack(bin(k), bin(mirror), w[k], a, b);
      if (mirror < lengths.points) set_point(z, mirror, b);
      set_point(z, k, a);
    }
  } else {
    set_point(z, 0, bin(0));
    for (int64_t k = 1; k < lengths.bins; ++k) {
      const auto x = bin(k);
      set_point(z, k, x);
      set_point(z, lengths.n - k, conjugate(x));
    }
  }
  plan.run(z);
  // Backward is forward with the result in the other order.
  const auto result = [&](int64_t j) { return point(z, plan.position(j == 0 ? 0 : lengths.points - j)); };
  fft::store_lanes(lengths.n, lanes, to, lengths.n, [&](int64_t j) {
    if (!lengths.even) return result(j).re;
    return j % 2 == 0 ? result(j / 2).re : result(j / 2).im;
  });
}

// Real and imaginary parts apart and together again.
template <class T>
void take_apart(KernelContext& ctx, const T* x, int64_t stride, int64_t count, Planes<T> z) {
  ctx.parallel_ranges(count, kTaskElements, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      z.re[j] = x[2 * j * stride];
      z.im[j] = x[(2 * j + 1) * stride];
    }
  });
}

// One long row.
template <class T>
void transform_long(KernelContext& ctx, const AnyLongFft<T>& plan, const Lengths& lengths, const Complex<T>* w,
                    const Factors<T>& factors, const T* x, int64_t stride, Planes<T> z, T* y) {
  if (lengths.even) {
    take_apart(ctx, x, stride, lengths.points, z);
  } else {
    gather(z.re, x, stride, lengths.n);
    std::fill_n(z.im, lengths.n, T(0));
  }
  plan.run(ctx, z);
  const auto put = [&](int64_t k, Complex<T> value) {
    y[2 * k] = value.re * factors.at(k);
    y[2 * k + 1] = value.im * factors.at(k);
  };
  if (!lengths.even) {
    for (int64_t k = 0; k < lengths.bins; ++k) put(k, {z.re[k], z.im[k]});
    return;
  }
  ctx.parallel_ranges(lengths.points / 2 + 1, kTaskElements, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t mirror = lengths.points - k;
      const int64_t other = mirror == lengths.points ? 0 : mirror;
      Complex<T> bin, mirrored;
      unpack(Complex<T>{z.re[k], z.im[k]}, Complex<T>{z.re[other], z.im[other]}, w[k], bin, mirrored);
      put(k, bin);
      put(mirror, mirrored);
    }
  });
}

template <class T>
void transform_back_long(KernelContext& ctx, const AnyLongFft<T>& plan, const Lengths& lengths, const Complex<T>* w,
                         const Factors<T>& factors, const T* x, int64_t stride, int64_t part, Planes<T> z, T* y) {
  const auto bin = [&](int64_t k) {
    const bool end = factors.is_end(k);
    const T factor = factors.at(k) * (end ? T(1) : T(0.5));
    return Complex<T>{x[k * stride] * factor, end ? T(0) : x[k * stride + part] * factor};
  };
  const auto put = [&](int64_t k, Complex<T> value) {
    z.re[k] = value.re;
    z.im[k] = value.im;
  };
  if (lengths.even) {
    ctx.parallel_ranges(lengths.points / 2 + 1, kTaskElements, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const int64_t mirror = lengths.points - k;
        Complex<T> a, b;
        pack(bin(k), bin(mirror), w[k], a, b);
        if (mirror < lengths.points) put(mirror, b);
        put(k, a);
      }
    });
  } else {
    for (int64_t k = 0; k < lengths.bins; ++k) {
      put(k, bin(k));
      if (k > 0) put(lengths.n - k, conjugate(bin(k)));
    }
  }
  plan.run(ctx, z);
  ctx.parallel_ranges(lengths.points, kTaskElements, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const int64_t at = j == 0 ? 0 : lengths.points - j;
      if (!lengths.even) {
        y[j] = z.re[at];
      } else {
        y[2 * j] = z.re[at];
        y[2 * j + 1] = z.im[at];
      }
    }
  });
}

// Whether rows are cut into columns: rows that no cache holds, or so few that most lanes would be idle.
template <class T>
bool takes_long(int64_t rows, int64_t points) {
  return points > kLongest || (points >= kShortestLong && rows < kLanes<T> / 2);
}

template <class T>
void run(KernelContext& ctx, const Command& cmd, bool back) {
  constexpr int kWidth = kLanes<T>;
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const Lengths lengths(back ? y.size(-1) : x.size(-1));
  const Factors<T> factors(cmd.attribute(0), cmd.attribute(1), lengths);
  const Complex<T>* w = turns<T>(ctx, lengths);
  // The axes of a row, and its sizes as it is read and written.
  const uint32_t own = back ? 1u << (x.rank - 1) | 1u << (x.rank - 2) : 1u << (x.rank - 1);
  const RowOffsets offsets(x, own);
  const int64_t read = back ? 2 * lengths.bins : lengths.n, written = back ? lengths.n : 2 * lengths.bins;
  const int64_t rows = offsets.rows();
  const T* from = x.as<T>();
  T* to = y.as<T>();

  if (takes_long<T>(rows, lengths.points)) {
    const AnyLongFft<T> plan(ctx, lengths.points);
    const Planes<T> z = make_planes<T>(ctx, lengths.points);
    for (int64_t row = 0; row < rows; ++row) {
      if (back) {
        transform_back_long(ctx, plan, lengths, w, factors, from + offsets(row), x.stride(-2), x.stride(-1), z,
                            to + row * written);
      } else {
        transform_long(ctx, plan, lengths, w, factors, from + offsets(row), x.stride(-1), z, to + row * written);
      }
    }
    return;
  }

  const LaneFft<T> plan(ctx, lengths.points);
  const bool packed = back ? x.stride(-1) == 1 && (x.stride(-2) == 2 || lengths.bins == 1) : x.stride(-1) == 1;
  const int64_t room = std::max(plan.room(), 2 * kWidth * (lengths.points + 1));
  const int64_t blocks = (rows + kWidth - 1) / kWidth;
  ctx.parallel_ranges(blocks, kTaskElements / (kWidth * lengths.n), [&](int64_t begin, int64_t end) {
    T* z = ctx.thread_scratch<T>(room + (packed ? 0 : kWidth * read));
    for (int64_t block = begin; block < end; ++block) {
      const int count = static_cast<int>(std::min<int64_t>(kWidth, rows - block * kWidth));
      const T* lanes[kWidth];
      for (int lane = 0; lane < kWidth; ++lane) {
        lanes[lane] = from + offsets(block * kWidth + std::min(lane, count - 1));
        if (packed) continue;
        T* copy = z + room + lane * read;
        for (int64_t i = 0; i < read; ++i) {
          copy[i] = back ? lanes[lane][i / 2 * x.stride(-2) + i % 2 * x.stride(-1)] : lanes[lane][i * x.stride(-1)];
        }
        lanes[lane] = copy;
      }
      load_rows<T>(lanes, read, z);
      T* result = to + block * kWidth * written;
      if (back) transform_back(plan, lengths, w, factors, z, count, result);
      else transform(plan, lengths, w, factors, z, count, result);
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(rfft) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) run<float>(ctx, cmd, false);
  else run<double>(ctx, cmd, false);
}

HADAL_CPU_KERNEL(irfft) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) run<float>(ctx, cmd, true);
  else run<double>(ctx, cmd, true);
}

}  // namespace hadal::cpu
