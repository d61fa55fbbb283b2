// The discrete Fourier transform of complex sequences, Z[k] = Σ_j z[j]·e^(-2πijk/n), of any length n. LaneFft transforms kLanes
// sequences side by side, one in each lane, so that every radix is whole vectors; long_fft transforms one long sequence by cutting
// it into columns, which are such lanes. Lengths with a prime factor above kLargestRadix go through Bluestein's convolution.
// Nothing here knows tensors or what is real; fft.cc, the only caller, does.
#pragma once

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <utility>

#include "cpu/gemm_tile.h"
#include "cpu/simd.h"
#include "kernels/fft.h"
#include "kernels/unroll.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu::fft {

using hadal::fft::butterfly;
using hadal::fft::Complex;
using hadal::fft::conjugate;
using hadal::fft::is_smooth;
using hadal::fft::kLargestRadix;
using hadal::fft::kMostRadices;
using hadal::fft::mirrored;
using hadal::fft::radices_of;
using hadal::fft::Roots;
using hadal::fft::rounded;
using hadal::fft::scaled;
using hadal::fft::smooth_length;
using hadal::fft::times_i;

inline Roots make_roots(KernelContext& ctx, int64_t n) {
  auto* table = ctx.scratch<Complex<double>>(Roots::room(n));
  const Roots roots(n, table);
  for (int64_t i = 0; i < Roots::room(n); ++i) table[i] = roots.entry(i);
  return roots;
}

// A vector of real parts and one of imaginary parts.
template <class T>
inline Complex<Vec<T>> point(const T* data, int64_t i) {
  return {load(data + 2 * i * kLanes<T>), load(data + (2 * i + 1) * kLanes<T>)};
}
template <class T>
inline void set_point(T* data, int64_t i, Complex<Vec<T>> z) {
  store(data + 2 * i * kLanes<T>, z.re);
  store(data + (2 * i + 1) * kLanes<T>, z.im);
}

// Chirps of Bluestein's convolution: e^(-πij²/n), and the transform of their conjugates over `padded` places, divided by that.
template <class T>
struct Chirp {
  int64_t size, padded;
  Complex<T>* chirp;
  Complex<T>* spectrum;
};
template <class T>
Chirp<T> make_chirp(KernelContext& ctx, int64_t size) {
  const int64_t padded = smooth_length(2 * size - 1);
  Chirp<T> chirp{size, padded, ctx.scratch<Complex<T>>(size), ctx.scratch<Complex<T>>(padded)};
  const Roots roots = make_roots(ctx, 2 * size);
  // j² modulo 2·size, from one to the next.
  int64_t square = 0;
  for (int64_t j = 0; j < size; ++j) {
    chirp.chirp[j] = rounded<T>(roots(square));
    square = (square + 2 * j + 1) % (2 * size);
  }
  return chirp;
}

// Transforms kLanes sequences of `size` points in place. Points are pairs of vectors: [size][re, im][lane]; result k stands at
// position(k), with the digits of k in the other order.
template <class T>
class LaneFft {
 public:
  static constexpr int kWidth = kLanes<T>;

  // Tables come from the context's scratch memory: they live until the kernel returns.
  LaneFft(KernelContext& ctx, int64_t size) : size_(size) {
    count_ = radices_of(size, radices_);
    positions_ = ctx.scratch<int32_t>(size);
    positions_[0] = 0;
    if (size == 1 || count_ > 0) {
      const Roots roots = make_roots(ctx, size);
      roots_ = ctx.scratch<Complex<T>>(size);
      for (int64_t k = 0; k < size; ++k) roots_[k] = rounded<T>(roots(k));
      int64_t known = 1;
      for (int i = 0; i < count_; ++i) {
        const int64_t apart = size / known / radices_[i];
        for (int64_t k = known; k < known * radices_[i]; ++k) {
          positions_[k] = static_cast<int32_t>(positions_[k % known] + k / known * apart);
        }
        known *= radices_[i];
      }
      return;
    }
    std::iota(positions_, positions_ + size, 0);
    chirp_ = make_chirp<T>(ctx, size);
    inner_ = ctx.scratch<LaneFft>(1);
    new (inner_) LaneFft(ctx, chirp_.padded);
    T* values = ctx.scratch<T>(inner_->room());
    std::fill(values, values + inner_->room(), T(0));
    for (int64_t j = 0; j < size; ++j) {
      const auto w = conjugate(chirp_.chirp[j]);
      for (const int64_t at : {j, mirrored(j, chirp_.padded)})
        set_point(values, at, {broadcast(w.re), broadcast(w.im)});
    }
    inner_->run(values);
    for (int64_t k = 0; k < chirp_.padded; ++k) {
      const T* value = values + 2 * kWidth * inner_->position(k);
      chirp_.spectrum[k] = scaled(Complex<T>{value[0], value[kWidth]}, T(1) / static_cast<T>(chirp_.padded));
    }
  }

  // The elements that `data` needs room for.
  int64_t room() const { return 2 * kWidth * (inner_ == nullptr ? size_ : 2 * chirp_.padded); }
  int64_t position(int64_t k) const { return positions_[k]; }

  void run(T* data) const {
    if (inner_ != nullptr) return convolve(data);
    int64_t length = size_;
    for (int i = 0; i < count_; ++i) {
      switch (radices_[i]) {
        case 2: stage<2>(data, length); break;
        case 3: stage<3>(data, length); break;
        case 4: stage<4>(data, length); break;
        case 5: stage<5>(data, length); break;
        case 8: stage<8>(data, length); break;
        case 16: stage<16>(data, length); break;
        default: prime_stage(radices_[i], data, length);
      }
      length /= radices_[i];
    }
  }

 private:
  // One step of the algorithm of Gentleman and Sande: in every block of `length`, points that lie a kRadix-th of it apart.
  template <int kRadix>
  void stage(T* data, int64_t length) const {
    const int64_t apart = length / kRadix, turn = size_ / length;
    for (T* block = data; block < data + 2 * kWidth * size_; block += 2 * kWidth * length) {
      for (int64_t p = 0; p < apart; ++p) {
        Complex<Vec<T>> a[kRadix];
        unroll<kRadix>([&](auto j) __attribute__((always_inline)) { a[j] = point(block, p + j * apart); });
        butterfly<kRadix>(a);
        set_point(block, p, a[0]);
        unroll<kRadix - 1>([&](auto j) __attribute__((always_inline)) {
          constexpr int k = j + 1;
          set_point(block, p + k * apart, p == 0 ? a[k] : a[k] * roots_[p * k * turn]);
        });
      }
    }
  }

  // The same for an odd radix, by the sums and differences of points that mirror each other.
  void prime_stage(int radix, T* data, int64_t length) const {
    const int half = radix / 2;
    const int64_t apart = length / radix, turn = size_ / length, step = size_ / radix;
    Complex<Vec<T>> sums[kLargestRadix / 2 + 1], differences[kLargestRadix / 2 + 1];
    for (T* block = data; block < data + 2 * kWidth * size_; block += 2 * kWidth * length) {
      for (int64_t p = 0; p < apart; ++p) {
        const auto first = point(block, p);
        auto total = first;
        for (int j = 1; j <= half; ++j) {
          const auto a = point(block, p + j * apart), b = point(block, p + (radix - j) * apart);
          sums[j] = a + b;
          differences[j] = a - b;
          total = total + sums[j];
        }
        set_point(block, p, total);
        for (int k = 1; k <= half; ++k) {
          auto even = first;
          Complex<Vec<T>> odd{};
          for (int j = 1, at = k; j <= half; ++j, at += k) {
            if (at >= radix) at -= radix;
            const Complex<T> w = roots_[at * step];
            even = even + scaled(sums[j], w.re);
            odd = odd + scaled(differences[j], w.im);
          }
          set_point(block, p + k * apart, (even + times_i(odd)) * roots_[p * k * turn]);
          set_point(block, p + (radix - k) * apart, (even - times_i(odd)) * roots_[p * (radix - k) * turn]);
        }
      }
    }
  }

  void convolve(T* data) const {
    const int64_t padded = chirp_.padded;
    T* product = data + 2 * kWidth * padded;
    for (int64_t j = 0; j < size_; ++j) set_point(data, j, point(data, j) * chirp_.chirp[j]);
    std::fill(data + 2 * kWidth * size_, product, T(0));
    inner_->run(data);
    for (int64_t k = 0; k < padded; ++k) set_point(product, k, point(data, inner_->position(k)) * chirp_.spectrum[k]);
    inner_->run(product);
    for (int64_t k = 0; k < size_; ++k) {
      set_point(data, k, point(product, inner_->position(mirrored(k, padded))) * chirp_.chirp[k]);
    }
  }

  int64_t size_;
  int count_ = 0;
  int radices_[kMostRadices] = {};
  Complex<T>* roots_ = nullptr;
  int32_t* positions_;
  LaneFft* inner_ = nullptr;
  Chirp<T> chirp_{};
};

// A sequence with its real parts apart from its imaginary ones.
template <class T>
struct Planes {
  T *re, *im;
};
template <class T>
inline Planes<T> make_planes(KernelContext& ctx, int64_t size) {
  return {ctx.scratch<T>(size), ctx.scratch<T>(size)};
}

// Vectors vector(0) … vector(count - 1) as rows, one of each lane: lane i goes to to + i·stride. Only the first `lanes` are stored.
// Several squares at a time, so that lines of the result are written whole.
template <class T, class F>
inline void store_lanes(int64_t count, int lanes, T* to, int64_t stride, F&& vector) {
  constexpr int kWidth = kLanes<T>, kSquares = 4;
  alignas(kVectorBytes) T rows[kWidth][kSquares * kWidth];
  for (int64_t at = 0; at < count; at += kSquares * kWidth) {
    const int64_t here = std::min<int64_t>(kSquares * kWidth, count - at);
    for (int64_t begin = 0; begin < here; begin += kWidth) {
      Vec<T> square[kWidth] = {};
      const int64_t some = std::min<int64_t>(kWidth, here - begin);
      for (int64_t i = 0; i < some; ++i) square[i] = vector(at + begin + i);
      transpose<T>(square);
      for (int lane = 0; lane < kWidth; ++lane) store(rows[lane] + begin, square[lane]);
    }
    for (int lane = 0; lane < lanes; ++lane) {
      std::memcpy(to + lane * stride + at, rows[lane], static_cast<size_t>(here) * sizeof(T));
    }
  }
}

// The same of points, real and imaginary parts side by side: rows of `count` of them without gaps.
template <class T, class F>
inline void store_points(int64_t count, int lanes, T* to, F&& value) {
  Complex<Vec<T>> pair{};
  store_lanes(2 * count, lanes, to, 2 * count, [&](int64_t i) {
    if (i % 2 != 0) return pair.im;
    pair = value(i / 2);
    return pair.re;
  });
}

// Points of as many lanes side by side, real and imaginary parts in turns. Lanes from `count` on are zeros.
template <class T>
inline Complex<Vec<T>> load_pairs(const T* from, int count) {
  constexpr int kWidth = kLanes<T>;
  const bool is_full = count == kWidth;
  const Vec<T> low = is_full ? load(from) : load_partial(from, std::min(2 * count, kWidth));
  const Vec<T> high = is_full ? load(from + kWidth) : load_partial(from + kWidth, std::max(2 * count - kWidth, 0));
  return [&]<int... kLane>(std::integer_sequence<int, kLane...>) -> Complex<Vec<T>> {
    return {__builtin_shufflevector(low, high, (2 * kLane)...), __builtin_shufflevector(low, high, (2 * kLane + 1)...)};
  }(std::make_integer_sequence<int, kWidth>{});
}
template <class T>
inline void store_pairs(T* to, int count, Complex<Vec<T>> z) {
  constexpr int kWidth = kLanes<T>;
  const auto [low, high] = [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
    return std::pair<Vec<T>, Vec<T>>{
        __builtin_shufflevector(z.re, z.im, (kLane / 2 + kLane % 2 * kWidth)...),
        __builtin_shufflevector(z.re, z.im, (kWidth / 2 + kLane / 2 + kLane % 2 * kWidth)...)};
  }(std::make_integer_sequence<int, kWidth>{});
  if (count == kWidth) {
    store(to, low);
    store(to + kWidth, high);
  } else {
    store_partial(to, low, std::min(2 * count, kWidth));
    store_partial(to + kWidth, high, std::max(2 * count - kWidth, 0));
  }
}

// One long sequence, of a length without large prime factors, as rows [first][second]: columns are transformed, turned, and then rows.
// Bailey, 1990, FFTs in external or hierarchical memory.
template <class T>
class LongFft {
 public:
  static constexpr int kWidth = kLanes<T>;

  LongFft(KernelContext& ctx, int64_t size)
      : size_(size),
        first_(divisor(size)),
        second_(size / first_),
        columns_(ctx, first_),
        rows_(ctx, second_),
        roots_(make_roots(ctx, size)),
        steps_(ctx.scratch<T>(2 * kWidth * first_)),
        middle_(make_planes<T>(ctx, size)) {
    for (int64_t k = 0; k < first_; ++k) {
      for (int lane = 0; lane < kWidth; ++lane) {
        const auto w = rounded<T>(roots_(k * lane % size));
        steps_[2 * k * kWidth + lane] = w.re;
        steps_[(2 * k + 1) * kWidth + lane] = w.im;
      }
    }
  }

  // The length of columns: the divisor that makes the rectangle most like a square.
  static int64_t divisor(int64_t size) {
    auto best = static_cast<int64_t>(std::sqrt(static_cast<double>(size)));
    while (size % best != 0) --best;
    return best;
  }

  // Both may be the same planes.
  void run(KernelContext& ctx, Planes<T> from, Planes<T> to) const {
    each_block(ctx, second_, columns_, [&](int64_t column, int count, T* z) {
      for (int64_t j = 0; j < first_; ++j) {
        const int64_t at = j * second_ + column;
        set_point(z, j, {load_some(from.re + at, count), load_some(from.im + at, count)});
      }
      columns_.run(z);
      for (int64_t k = 0; k < first_; ++k) {
        const int64_t at = columns_.position(k);
        set_point(z, at, point(z, at) * rounded<T>(roots_(column * k)) * point(steps_, k));
      }
      T* re = middle_.re + column * first_;
      T* im = middle_.im + column * first_;
      store_lanes(first_, count, re, first_, [&](int64_t k) { return point(z, columns_.position(k)).re; });
      store_lanes(first_, count, im, first_, [&](int64_t k) { return point(z, columns_.position(k)).im; });
    });
    each_block(ctx, first_, rows_, [&](int64_t k, int count, T* z) {
      for (int64_t j = 0; j < second_; ++j) {
        const int64_t at = j * first_ + k;
        set_point(z, j, {load_some(middle_.re + at, count), load_some(middle_.im + at, count)});
      }
      rows_.run(z);
      for (int64_t i = 0; i < second_; ++i) {
        const auto value = point(z, rows_.position(i));
        store_some(to.re + i * first_ + k, value.re, count);
        store_some(to.im + i * first_ + k, value.im, count);
      }
    });
  }

 private:
  static Vec<T> load_some(const T* from, int count) { return count == kWidth ? load(from) : load_partial(from, count); }
  static void store_some(T* to, Vec<T> v, int count) {
    if (count == kWidth) store(to, v);
    else store_partial(to, v, count);
  }

  // Calls body(first lane, lanes, memory for points) for all lanes of [0, size).
  template <class F>
  void each_block(KernelContext& ctx, int64_t size, const LaneFft<T>& plan, F&& body) const {
    ctx.parallel((size + kWidth - 1) / kWidth, [&](int64_t block) {
      const int64_t at = block * kWidth;
      body(at, static_cast<int>(std::min<int64_t>(kWidth, size - at)), ctx.thread_scratch<T>(plan.room()));
    });
  }

  int64_t size_, first_, second_;
  LaneFft<T> columns_, rows_;
  Roots roots_;
  T* steps_;
  Planes<T> middle_;
};

// A long sequence of any length, in place.
template <class T>
class AnyLongFft {
 public:
  AnyLongFft(KernelContext& ctx, int64_t size)
      : size_(size), plan_(ctx, is_smooth(size) ? size : smooth_length(2 * size - 1)) {
    if (is_smooth(size)) return;
    chirp_ = make_chirp<T>(ctx, size);
    padded_ = make_planes<T>(ctx, chirp_.padded);
    std::fill_n(padded_.re, chirp_.padded, T(0));
    std::fill_n(padded_.im, chirp_.padded, T(0));
    for (int64_t j = 0; j < size; ++j) {
      for (const int64_t at : {j, mirrored(j, chirp_.padded)}) {
        padded_.re[at] = chirp_.chirp[j].re;
        padded_.im[at] = -chirp_.chirp[j].im;
      }
    }
    plan_.run(ctx, padded_, padded_);
    for (int64_t k = 0; k < chirp_.padded; ++k) {
      chirp_.spectrum[k] = scaled(Complex<T>{padded_.re[k], padded_.im[k]}, T(1) / static_cast<T>(chirp_.padded));
    }
  }

  void run(KernelContext& ctx, Planes<T> z) const {
    if (chirp_.chirp == nullptr) return plan_.run(ctx, z, z);
    for (int64_t j = 0; j < chirp_.padded; ++j) {
      const auto value = j < size_ ? Complex<T>{z.re[j], z.im[j]} * chirp_.chirp[j] : Complex<T>{};
      padded_.re[j] = value.re;
      padded_.im[j] = value.im;
    }
    plan_.run(ctx, padded_, padded_);
    for (int64_t k = 0; k < chirp_.padded; ++k) {
      const auto value = Complex<T>{padded_.re[k], padded_.im[k]} * chirp_.spectrum[k];
      padded_.re[k] = value.re;
      padded_.im[k] = value.im;
    }
    plan_.run(ctx, padded_, padded_);
    for (int64_t k = 0; k < size_; ++k) {
      const int64_t at = mirrored(k, chirp_.padded);
      const auto value = Complex<T>{padded_.re[at], padded_.im[at]} * chirp_.chirp[k];
      z.re[k] = value.re;
      z.im[k] = value.im;
    }
  }

 private:
  int64_t size_;
  LongFft<T> plan_;
  Chirp<T> chirp_{};
  Planes<T> padded_{};
};

}  // namespace hadal::cpu::fft
