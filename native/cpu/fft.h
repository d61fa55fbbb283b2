// The discrete Fourier transform of complex sequences, Z[k] = Σ_j z[j]·e^(-2πijk/n), of any length n. LaneFft transforms kLanes
// sequences side by side, one in each lane, so that every radix is whole vectors; RowFft transforms one sequence as a rectangle, whose
// columns and then rows are such lanes. Lengths with a prime factor above kLargestRadix go through Bluestein's convolution. Nothing
// here knows tensors or what is real; fft.cc, the only caller, does.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
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

// Elements worth a task of their own: some 20 µs.
inline constexpr int64_t kTaskElements = 1 << 14;

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
// The transform of these, with its results taken so too, is the transform back.
template <class V>
inline Complex<V> swapped(Complex<V> z) {
  return {z.im, z.re};
}

template <class T>
constexpr int64_t vectors(int64_t count) {
  return (count + kLanes<T> - 1) / kLanes<T>;
}

// Calls body(count), with a constant where all lanes are meant: loops over whole vectors are then without branches.
template <class T, class F>
inline void with_lanes(int count, F&& body) {
  if (count == kLanes<T>) body(std::integral_constant<int, kLanes<T>>{});
  else body(count);
}

// The first `count` elements; other lanes are zeros.
template <class T>
inline Vec<T> load_some(const T* from, int count) {
  return count == kLanes<T> ? load(from) : load_partial(from, count);
}
template <class T>
inline void store_some(T* to, int count, Vec<T> v) {
  if (count == kLanes<T>) store(to, v);
  else store_partial(to, v, count);
}

// Complex numbers of as many lanes side by side, real and imaginary parts in turns. Lanes from `count` on are zeros.
template <class T>
inline Complex<Vec<T>> load_pairs(const T* from, int count = kLanes<T>) {
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

// A sequence with its real parts apart from its imaginary ones.
template <class T>
struct Planes {
  T *re = nullptr, *im = nullptr;
  Planes() = default;
  Planes(T* memory, int64_t size) : re(memory), im(memory + size) {}
  Complex<T> operator[](int64_t i) const { return {re[i], im[i]}; }
  void set(int64_t i, Complex<T> z) const {
    re[i] = z.re;
    im[i] = z.im;
  }
  Complex<Vec<T>> load(int64_t i, int count = kLanes<T>) const {
    return {load_some(re + i, count), load_some(im + i, count)};
  }
  void store(int64_t i, int count, Complex<Vec<T>> z) const {
    store_some(re + i, count, z.re);
    store_some(im + i, count, z.im);
  }
};

// Transforms kLanes sequences, of a length without large prime factors.
template <class T>
class LaneFft {
 public:
  static constexpr int kWidth = kLanes<T>;

  // The tables come from the context's scratch memory: they live until the kernel returns. `roots` are of a multiple of the length.
  LaneFft(KernelContext& ctx, int64_t size, const Roots& roots, int64_t multiple = 1)
      : size_(size), count_(radices_of(size, radices_)), roots_(ctx.scratch<Complex<T>>(size)) {
    for (int64_t k = 0; k < size; ++k) roots_[k] = rounded<T>(roots(k * multiple));
    if (size == 1) radices_[count_++] = 1;
    int64_t length = size;
    for (int i = 0; i + 1 < count_; ++i) {
      const int64_t turn = size / length;
      Complex<T>* w = ctx.scratch<Complex<T>>(length);
      turns_[i] = w;
      length /= radices_[i];
      for (int64_t p = 0; p < length; ++p) {
        for (int k = 1; k < radices_[i]; ++k) *w++ = roots_[p * k * turn];
      }
    }
  }

  // The elements of [size][re, im][lane].
  int64_t room() const { return 2 * kWidth * size_; }

  // Results in order, each times a point of `turns` if there are such, from points that lie `pitch` elements apart. `data` is overwritten; it
  // may be `from`.
  void run(const T* from, int64_t pitch, T* data, T* result, const T* turns = nullptr) const {
    part(0, from, pitch, data, size_, result, turns);
  }

 private:
  static constexpr int kPoint = 2 * kWidth;  // elements

  // The step of a level of the algorithm of Gentleman and Sande: of points that lie a radix-th of `length` apart. Those that come out next to each
  // other are transformed to the end while they are in the cache. Results are size / length points apart.
  void part(int level, const T* from, int64_t pitch, T* data, int64_t length, T* result, const T* turns) const {
    if (level + 1 == count_) return last(from, pitch, 1, 0, result, turns);
    const int radix = radices_[level];
    switch (radix) {
      case 2: stage<2>(level, from, pitch, data, length); break;
      case 3: stage<3>(level, from, pitch, data, length); break;
      case 4: stage<4>(level, from, pitch, data, length); break;
      case 5: stage<5>(level, from, pitch, data, length); break;
      case 8: stage<8>(level, from, pitch, data, length); break;
      case 16: stage<16>(level, from, pitch, data, length); break;
      default: prime_stage(level, from, pitch, data, length);
    }
    const int64_t apart = length / radix, step = kPoint * (size_ / length);
    if (level + 2 == count_) return last(data, kPoint, radix, step, result, turns);
    for (int k = 0; k < radix; ++k) {
      T* block = data + kPoint * k * apart;
      part(level + 1, block, kPoint, block, apart, result + k * step, turns == nullptr ? nullptr : turns + k * step);
    }
  }

  template <int kRadix>
  [[gnu::noinline]] void stage(int level, const T* from, int64_t pitch, T* data, int64_t length) const {
    const int64_t apart = length / kRadix;
    const Complex<T>* w = turns_[level];
    for (int64_t p = 0; p < apart; ++p, from += pitch, data += kPoint, w += kRadix - 1) {
      Complex<Vec<T>> a[kRadix];
      unroll<kRadix>([&](auto j) __attribute__((always_inline)) { a[j] = point(from + j * apart * pitch, 0); });
      butterfly<kRadix>(a);
      set_point(data, 0, a[0]);
      unroll<kRadix - 1>([&](auto j)
                             __attribute__((always_inline)) { set_point(data, (j + 1) * apart, a[j + 1] * w[j]); });
    }
  }

  // Steps of the last level: of blocks of so many points as its radix is, whose results begin `step` elements apart.
  void last(const T* from, int64_t pitch, int blocks, int64_t step, T* result, const T* turns) const {
    switch (radices_[count_ - 1]) {
      case 1: last<1>(from, pitch, blocks, step, result, turns); break;
      case 2: last<2>(from, pitch, blocks, step, result, turns); break;
      case 3: last<3>(from, pitch, blocks, step, result, turns); break;
      case 4: last<4>(from, pitch, blocks, step, result, turns); break;
      case 5: last<5>(from, pitch, blocks, step, result, turns); break;
      case 8: last<8>(from, pitch, blocks, step, result, turns); break;
      case 16: last<16>(from, pitch, blocks, step, result, turns); break;
      default: last_prime(from, pitch, blocks, step, result, turns);
    }
  }

  template <int kRadix>
  [[gnu::noinline]] void last(const T* from, int64_t pitch, int blocks, int64_t step, T* result, const T* turns) const {
    const int64_t apart = size_ / kRadix;
    for (; blocks > 0; --blocks, from += kRadix * pitch, result += step) {
      Complex<Vec<T>> a[kRadix];
      unroll<kRadix>([&](auto j) __attribute__((always_inline)) { a[j] = point(from + j * pitch, 0); });
      if constexpr (kRadix > 1) butterfly<kRadix>(a);
      if (turns == nullptr) {
        unroll<kRadix>([&](auto k) __attribute__((always_inline)) { set_point(result, k * apart, a[k]); });
      } else {
        unroll<kRadix>([&](auto k) __attribute__((always_inline)) {
          set_point(result, k * apart, a[k] * point(turns, k * apart));
        });
        turns += step;
      }
    }
  }

  // The same for any odd radix.
  void prime_stage(int level, const T* from, int64_t pitch, T* data, int64_t length) const {
    const int radix = radices_[level];
    const int64_t apart = length / radix;
    const Complex<T>* w = turns_[level];
    for (int64_t p = 0; p < apart; ++p, from += pitch, data += kPoint, w += radix - 1) {
      prime_butterfly(radix, from, apart * pitch,
                      [&](int k, Complex<Vec<T>> z) { set_point(data, k * apart, k == 0 ? z : z * w[k - 1]); });
    }
  }
  void last_prime(const T* from, int64_t pitch, int blocks, int64_t step, T* result, const T* turns) const {
    const int radix = radices_[count_ - 1];
    const int64_t apart = size_ / radix;
    for (; blocks > 0; --blocks, from += radix * pitch, result += step) {
      prime_butterfly(radix, from, pitch, [&](int k, Complex<Vec<T>> z) {
        set_point(result, k * apart, turns == nullptr ? z : z * point(turns, k * apart));
      });
      if (turns != nullptr) turns += step;
    }
  }

  // By the sums and differences of points that mirror each other.
  template <class F>
  void prime_butterfly(int radix, const T* from, int64_t pitch, F&& put) const {
    const int half = radix / 2;
    const int64_t step = size_ / radix;
    Complex<Vec<T>> sums[kLargestRadix / 2 + 1], differences[kLargestRadix / 2 + 1];
    const auto first = point(from, 0);
    auto total = first;
    for (int j = 1; j <= half; ++j) {
      const auto a = point(from + j * pitch, 0), b = point(from + (radix - j) * pitch, 0);
      sums[j] = a + b;
      differences[j] = a - b;
      total = total + sums[j];
    }
    put(0, total);
    for (int k = 1; k <= half; ++k) {
      auto even = first;
      Complex<Vec<T>> odd{};
      for (int j = 1, at = k; j <= half; ++j, at += k) {
        if (at >= radix) at -= radix;
        const Complex<T> w = roots_[at * step];
        even = even + scaled(sums[j], w.re);
        odd = odd + scaled(differences[j], w.im);
      }
      put(k, even + times_i(odd));
      put(radix - k, even - times_i(odd));
    }
  }

  int64_t size_;
  int radices_[kMostRadices] = {};
  int count_;
  Complex<T>* roots_;
  const Complex<T>* turns_[kMostRadices] = {};  // of each level, those of a point after the other
};

// How a transform of one sequence is run: each(count, grain, body) calls body(begin, end, memory for lanes) for ranges of [0, count).
// On the calling thread, where others have sequences of their own:
template <class T>
struct Alone {
  T* memory;
  template <class F>
  void operator()(int64_t count, int64_t, F&& body) const {
    body(int64_t{0}, count, memory);
  }
};
// On all threads, in ranges of `grain`:
template <class T>
struct Together {
  KernelContext& ctx;
  int64_t room;
  template <class F>
  void operator()(int64_t count, int64_t grain, F&& body) const {
    ctx.parallel_ranges(count, grain,
                        [&](int64_t begin, int64_t end) { body(begin, end, ctx.thread_scratch<T>(room)); });
  }
};

// One sequence, of a length without large prime factors, as rows [first][second]: columns are transformed, turned, and then rows.
// Bailey, 1990, FFTs in external or hierarchical memory.
template <class T>
class RectangleFft {
 public:
  static constexpr int kWidth = kLanes<T>;

  RectangleFft(KernelContext& ctx, int64_t size) : RectangleFft(ctx, size, divisor(size), make_roots(ctx, size)) {}

  // The elements of memory for lanes, and of that for the points between the two steps.
  int64_t lane_room() const {
    return std::max(2 * columns_.room() + 2 * kWidth * kWidth * vectors<T>(first_), 2 * rows_.room());
  }
  int64_t room() const { return pitch_ * kWidth * vectors<T>(second_); }
  // How many of the lanes a sequence fills.
  static double filled(int64_t size) {
    return 2 * static_cast<double>(size) / static_cast<double>(work(size, divisor(size)));
  }

  // load(j, count) answers points from j on, the others as zeros; store(k, count, z) takes results from k on. Results are stored when all
  // points have been loaded.
  template <class Each, class Load, class Store>
  void run(const Each& each, T* middle, Load&& load, Store&& store) const {
    const auto lanes = [](int64_t at, int64_t size) { return static_cast<int>(std::min<int64_t>(kWidth, size - at)); };
    each(vectors<T>(second_), grain(first_), [&](int64_t begin, int64_t end, T* data) {
      T *memory = data + columns_.room(), *result = memory + columns_.room();
      std::fill(result + 2 * kWidth * first_, result + 2 * kWidth * kWidth * vectors<T>(first_), T(0));
      for (int64_t block = begin; block < end; ++block) {
        const int64_t at = block * kWidth;
        const int count = lanes(at, second_);
        with_lanes<T>(count, [&](auto count) {
          for (int64_t j = 0; j < first_; ++j) set_point(data, j, load(j * second_ + at, count));
        });
        columns_.run(data, 2 * kWidth, data, result, turn(block, memory));
        transpose_columns(result, middle + at * pitch_);
      }
    });
    each(vectors<T>(first_), grain(second_), [&](int64_t begin, int64_t end, T* data) {
      T* result = data + rows_.room();
      for (int64_t block = begin; block < end; ++block) {
        const int64_t at = block * kWidth;
        const int count = lanes(at, first_);
        rows_.run(middle + 2 * kWidth * block, pitch_, data, result);
        with_lanes<T>(count, [&](auto count) {
          for (int64_t k = 0; k < second_; ++k) store(k * first_ + at, count, point(result, k));
        });
      }
    });
  }

 private:
  // Up to here the turns have a table; it costs as much as a few rows.
  static constexpr int64_t kTableSize = 1 << 13;

  RectangleFft(KernelContext& ctx, int64_t size, int64_t first, const Roots& roots)
      : first_(first),
        second_(size / first),
        columns_(ctx, first_, roots, second_),
        rows_(ctx, second_, roots, first_),
        roots_(roots),
        // Places of a column that are a power of two apart would share few sets of the cache.
        pitch_(2 * kWidth * (vectors<T>(first_) >= 16 ? vectors<T>(first_) | 1 : vectors<T>(first_))),
        has_table_(size <= kTableSize),
        turns_(ctx.scratch<T>(2 * kWidth * first_ * (has_table_ ? vectors<T>(second_) : 1))) {
    for (int64_t block = 0; block < (has_table_ ? vectors<T>(second_) : 1); ++block) {
      for (int64_t k = 0; k < first_; ++k) {
        T* to = turns_ + 2 * kWidth * (block * first_ + k);
        for (int64_t lane = 0, column = block * kWidth; lane < kWidth; ++lane, ++column) {
          const auto w = column < second_ ? rounded<T>(roots(k * column)) : Complex<T>{};
          to[lane] = w.re;
          to[kWidth + lane] = w.im;
        }
      }
    }
  }

  // The length of columns: of the divisors that make the rectangle nearly a square, that which leaves the fewest lanes idle.
  static int64_t divisor(int64_t size) {
    const auto root = static_cast<int64_t>(std::sqrt(static_cast<double>(size)));
    int64_t best = 1;
    for (int64_t first = root; first > 1 && (best == 1 || first > root / 4); --first) {
      if (size % first == 0 && (best == 1 || work(size, first) < work(size, best))) best = first;
    }
    return best;
  }
  // The points of both steps, with those of idle lanes.
  static int64_t work(int64_t size, int64_t first) {
    return kWidth * (vectors<T>(size / first) * first + vectors<T>(first) * (size / first));
  }
  static int64_t grain(int64_t length) { return kTaskElements / (2 * kWidth * length); }

  // e^(-2πik·column/n) for the columns of a block, in `memory` if there is no table of them.
  const T* turn(int64_t block, T* memory) const {
    if (has_table_) return turns_ + 2 * kWidth * block * first_;
    for (int64_t k = 0; k < first_; ++k)
      set_point(memory, k, point(turns_, k) * rounded<T>(roots_(block * kWidth * k)));
    return memory;
  }

  // Columns as rows.
  [[gnu::noinline]] void transpose_columns(const T* columns, T* rows) const {
    for (int64_t k = 0; k < 2 * vectors<T>(first_); ++k) {
      const T* from = columns + (k / 2 * 2 * kWidth + k % 2) * kWidth;
      Vec<T> square[kWidth];
      unroll<kWidth>([&](auto i) __attribute__((always_inline)) { square[i] = load(from + 2 * i * kWidth); });
      transpose<T>(square);
      T* to = rows + k * kWidth;
      unroll<kWidth>([&](auto i) __attribute__((always_inline)) { store(to + i * pitch_, square[i]); });
    }
  }

  int64_t first_, second_;
  LaneFft<T> columns_, rows_;
  Roots roots_;
  int64_t pitch_;  // elements from one row to the next between the two steps
  bool has_table_;
  T* turns_;
};

// One sequence of any length.
template <class T>
class RowFft {
 public:
  RowFft(KernelContext& ctx, int64_t size)
      : size_(size), padded_(is_smooth(size) ? size : padded_length(size)), plan_(ctx, padded_) {
    if (padded_ == size) return;
    chirp_ = Planes<T>(ctx.scratch<T>(2 * size), size);
    spectrum_ = Planes<T>(ctx.scratch<T>(2 * padded_), padded_);
    // Bluestein's chirps e^(-πij²/n), and the transform of their conjugates over padded_ places, divided by that.
    const Roots roots = make_roots(ctx, 2 * size);
    std::fill_n(spectrum_.re, 2 * padded_, T(0));
    for (int64_t j = 0, square = 0; j < size; ++j) {
      const auto w = rounded<T>(roots(square));
      chirp_.set(j, w);
      for (const int64_t at : {j, mirrored(j, padded_)}) spectrum_.set(at, conjugate(w));
      square = (square + 2 * j + 1) % (2 * size);  // modulo 2n, from one to the next
    }
    const T scale = T(1) / static_cast<T>(padded_);
    plan_.run(
        Together<T>{ctx, lane_room()}, ctx.scratch<T>(plan_.room()),
        [&](int64_t j, int count) { return spectrum_.load(j, count); },
        [&](int64_t k, int count, Complex<Vec<T>> z) { spectrum_.store(k, count, scaled(z, scale)); });
  }

  int64_t lane_room() const { return plan_.lane_room(); }
  int64_t room() const { return plan_.room() + (padded_ == size_ ? 0 : 2 * padded_); }

  // As RectangleFft::run.
  template <class Each, class Load, class Store>
  void run(const Each& each, T* memory, Load&& load, Store&& store) const {
    if (padded_ == size_) return plan_.run(each, memory, load, store);
    const auto here = [&](int64_t at, int count) { return static_cast<int>(std::min<int64_t>(count, size_ - at)); };
    const Planes<T> product(memory + plan_.room(), padded_);
    plan_.run(
        each, memory,
        [&](int64_t j, int count) {
          if (j >= size_) return Complex<Vec<T>>{};
          return load(j, here(j, count)) * chirp_.load(j, here(j, count));
        },
        [&](int64_t k, int count, Complex<Vec<T>> z) { product.store(k, count, z * spectrum_.load(k, count)); });
    plan_.run(
        each, memory, [&](int64_t j, int count) { return swapped(product.load(j, count)); },
        [&](int64_t k, int count, Complex<Vec<T>> z) {
          if (k < size_) store(k, here(k, count), swapped(z) * chirp_.load(k, here(k, count)));
        });
  }

 private:
  // A length for the convolution whose rectangles leave no lanes idle.
  static int64_t padded_length(int64_t size) {
    constexpr int64_t kSquare = kLanes<T> * kLanes<T>;
    return kSquare * smooth_length((2 * size - 1 + kSquare - 1) / kSquare);
  }

  int64_t size_, padded_;
  RectangleFft<T> plan_;
  Planes<T> chirp_, spectrum_;
};

}  // namespace hadal::cpu::fft
