// Fourier transforms over rows: of real ones [..., n] to spectra [..., n / 2 + 1, 2], the pairs being real and imaginary parts, of spectra
// back, and of complex ones [..., n, 2]. An even n of reals is transformed as n / 2 complex numbers (neighbours are the parts of one), an
// odd n as n of them. A block transforms
// sequences in shared memory, by Stockham's algorithm: each radix reads from one half and writes to the other, in order. Rows that it has
// room for are read, transformed and written by one kernel; longer ones are transformed in several passes over global memory, each of
// which is such a transform of the columns of what the last has left (Govindaraju et al., 2008, High performance discrete Fourier transforms on
// graphics processors). Computes in the tensors' own dtype from tables made in float64; writes `=`.
#include "cuda/device/axes.cuh"
#include "cuda/fft_shape.h"
#include "cuda/registry.h"
#include "kernels/fft.h"

namespace hadal::cuda {
namespace {

using fft::Complex;
using fft::conjugate;
using fft::rounded;
using fft::scaled;

constexpr int kBlock = 256;
// Points of the rows that are transformed at a time where this takes several passes.
constexpr int64_t kPointsAtOnce = int64_t{1} << 23;

__device__ __forceinline__ int64_t this_thread() { return static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; }

// --- Tables ------------------------------------------------------------------------------------------------------------------

// table[k] = e^(-2πik/n) for k < count.
template <class T>
__global__ void __launch_bounds__(kBlock) fill_roots(Complex<T>* table, int64_t count, int64_t n) {
  const int64_t k = this_thread();
  if (k < count) table[k] = rounded<T>(fft::root_of_unity(k, n));
}
__global__ void __launch_bounds__(kBlock) fill_entries(Complex<double>* table, int64_t count, fft::Roots roots) {
  const int64_t i = this_thread();
  if (i < count) table[i] = roots.entry(i);
}
// chirp[j] = e^(-πij²/size), and their conjugates over `padded` places, those before 0 at the end, divided by that.
template <class T>
__global__ void __launch_bounds__(kBlock)
    fill_chirp(Complex<T>* chirp, int64_t size, Complex<T>* conjugates, int64_t padded) {
  const int64_t i = this_thread();
  if (i >= padded) return;
  const int64_t j = i < size ? i : padded - i;
  const Complex<T> w = rounded<T>(fft::root_of_unity(j * j % (2 * size), 2 * size));
  if (i < size) chirp[i] = w;
  conjugates[i] = j < size ? scaled(conjugate(w), 1 / static_cast<T>(padded)) : Complex<T>{};
}

// --- In shared memory --------------------------------------------------------------------------------------------------------

struct FftStage {
  int radix;
  int turn;         // roots from one to the next of this stage
  Divider divider;  // by the points of what earlier stages have transformed, times the sequences of a block
};
// A pass: what a block does with its sequences.
template <class T>
struct FftPass {
  int size;        // of a sequence
  int tile_shift;  // a block has 1 << tile_shift of them
  int stages;
  FftStage stage[kMostFftStages];
  const Complex<T>* roots;  // e^(-2πik/size)
  int64_t sequences;        // of the launch, or of a row where a row is cut into columns
  bool whole;  // sequences are rows; else row blockIdx.y has columns, sequence i being its points i + j · sequences
  // Earlier passes have transformed as many points each as the divider divides by; sequences are turned by e^(-2πijk·turn/n).
  Divider before;
  fft::Roots turns;
  int64_t turn;
  // For Bluestein's convolution: what the `points` of a sequence that are not zero are multiplied by, their spectrum, and the result.
  int64_t points;
  const Complex<T>* chirp;
  const Complex<T>* spectrum;  // null: the sequence is not transformed back
  // How elements are dealt out to neighbouring threads: neighbouring sequences, or neighbours in a sequence.
  bool loads_across, stores_across;
  int stored;  // of a sequence
  Divider size_divider, stored_divider;
};

// An element of a tile, from its number.
struct TilePlace {
  int sequence, element;
  __device__ TilePlace(int number, bool across, int tile_shift, const Divider& size) {
    if (across) {
      sequence = number & ((1 << tile_shift) - 1);
      element = number >> tile_shift;
    } else {
      uint32_t rest = static_cast<uint32_t>(number);
      element = static_cast<int>(size.pop(rest));
      sequence = static_cast<int>(rest);
    }
  }
};

// Points are [point][sequence]. A thread takes points that lie a kRadix-th of all apart.
template <int kRadix, class T>
__device__ __forceinline__ void transform_stage(const FftPass<T>& pass, const FftStage& stage, const Complex<T>* from,
                                                Complex<T>* to) {
  const int apart = (pass.size << pass.tile_shift) / kRadix, done = static_cast<int>(stage.divider.divisor);
  for (int i = static_cast<int>(threadIdx.x); i < apart; i += kFftBlock) {
    uint32_t rest = static_cast<uint32_t>(i);
    const int within = static_cast<int>(stage.divider.pop(rest)), turn = (within >> pass.tile_shift) * stage.turn;
    Complex<T> a[kRadix];
#pragma unroll
    for (int j = 0; j < kRadix; ++j) a[j] = from[fft_place(i + j * apart)];
    if (turn != 0) {
#pragma unroll
      for (int j = 1; j < kRadix; ++j) a[j] = a[j] * pass.roots[j * turn];
    }
    fft::butterfly<kRadix>(a);
    const int first = static_cast<int>(rest) * done * kRadix + within;
#pragma unroll
    for (int k = 0; k < kRadix; ++k) to[fft_place(first + k * done)] = a[k];
  }
}
// The same for any radix, a thread to each result.
template <class T>
__device__ __forceinline__ void transform_prime_stage(const FftPass<T>& pass, const FftStage& stage,
                                                      const Complex<T>* from, Complex<T>* to) {
  const int points = pass.size << pass.tile_shift, apart = points / stage.radix;
  const int done = static_cast<int>(stage.divider.divisor);
  for (int i = static_cast<int>(threadIdx.x); i < points; i += kFftBlock) {
    const int k = i / apart;
    uint32_t rest = static_cast<uint32_t>(i - k * apart);
    const int within = static_cast<int>(stage.divider.pop(rest));
    const int step = ((within + k * done) >> pass.tile_shift) * stage.turn;
    Complex<T> sum = from[fft_place(i - k * apart)];
    for (int j = 1, turn = step; j < stage.radix; ++j, turn += step) {
      if (turn >= pass.size) turn -= pass.size;
      sum = sum + from[fft_place(i - k * apart + j * apart)] * pass.roots[turn];
    }
    to[fft_place(static_cast<int>(rest) * done * stage.radix + within + k * done)] = sum;
  }
}

// Transforms the points at `from`, and has them there again: `from` and `to` change places with each stage.
template <class T>
__device__ __forceinline__ void transform_tile(const FftPass<T>& pass, Complex<T>*& from, Complex<T>*& to) {
  for (int s = 0; s < pass.stages; ++s) {
    const FftStage& stage = pass.stage[s];
    switch (stage.radix) {
      case 2: transform_stage<2>(pass, stage, from, to); break;
      case 3: transform_stage<3>(pass, stage, from, to); break;
      case 4: transform_stage<4>(pass, stage, from, to); break;
      case 5: transform_stage<5>(pass, stage, from, to); break;
      case 8: transform_stage<8>(pass, stage, from, to); break;
      case 16: transform_stage<16>(pass, stage, from, to); break;
      default: transform_prime_stage(pass, stage, from, to);
    }
    __syncthreads();
    Complex<T>* const results = to;
    to = from;
    from = results;
  }
}

// source(row, j) are the points of a row; sink(row, i, k, result) takes result k, of sequence i where rows are columns, from result(k).
template <class T, class Source, class Sink>
__global__ void __launch_bounds__(kFftBlock) transform_kernel(FftPass<T> pass, Source source, Sink sink) {
  extern __shared__ uint4 hadal_dynamic_shared[];
  const int tile = 1 << pass.tile_shift, points = pass.size << pass.tile_shift;
  Complex<T>* from = reinterpret_cast<Complex<T>*>(hadal_dynamic_shared);
  Complex<T>* to = from + fft_place(points);
  const int64_t first = static_cast<int64_t>(blockIdx.x) << pass.tile_shift;
  for (int i = static_cast<int>(threadIdx.x); i < points; i += kFftBlock) {
    const TilePlace place(i, pass.loads_across, pass.tile_shift, pass.size_divider);
    const int64_t sequence = first + place.sequence;
    const int64_t row = pass.whole ? sequence : blockIdx.y;
    const int64_t j = pass.whole ? place.element : sequence + place.element * pass.sequences;
    Complex<T> value{};
    if (sequence < pass.sequences && j < pass.points) {
      value = source(row, j);
      if (pass.chirp != nullptr) value = value * pass.chirp[j];
      if (pass.before.divisor > 1) {
        uint32_t rest = static_cast<uint32_t>(sequence);
        const int64_t k = pass.before.pop(rest);
        value = value * rounded<T>(pass.turns(place.element * k * pass.turn));
      }
    }
    from[fft_place((place.element << pass.tile_shift) + place.sequence)] = value;
  }
  __syncthreads();
  transform_tile(pass, from, to);
  if (pass.spectrum != nullptr) {
    for (int i = static_cast<int>(threadIdx.x); i < points; i += kFftBlock) {
      from[fft_place(i)] = from[fft_place(i)] * pass.spectrum[i >> pass.tile_shift];
    }
    __syncthreads();
    transform_tile(pass, from, to);
  }
  for (int i = static_cast<int>(threadIdx.x); i < pass.stored * tile; i += kFftBlock) {
    const TilePlace place(i, pass.stores_across, pass.tile_shift, pass.stored_divider);
    const int64_t sequence = first + place.sequence;
    if (sequence >= pass.sequences) continue;
    const int64_t row = pass.whole ? sequence : blockIdx.y;
    sink(row, sequence, place.element, [&](int64_t k) {
      const auto at = [&](int64_t p) {
        return from[fft_place((static_cast<int>(p) << pass.tile_shift) + place.sequence)];
      };
      if (pass.spectrum == nullptr) return at(k);
      // Backward is forward with the result in the other order.
      return at(fft::mirrored(k, pass.size)) * pass.chirp[k];
    });
  }
}

// --- What is read and written ------------------------------------------------------------------------------------------------

// Complex numbers side by side, rows of `size`.
template <class T>
struct Points {
  const Complex<T>* data;
  int64_t size;
  __device__ Complex<T> operator()(int64_t row, int64_t j) const { return data[row * size + j]; }
};
// Where a pass puts them: results k of sequences that earlier passes have transformed `before` points of each become neighbours of these.
template <class T>
struct PointsOfPass {
  Complex<T>* data;
  int64_t row_size;
  int size;
  Divider before;
  const Complex<T>* factors;  // of a row; null: none
  template <class F>
  __device__ void operator()(int64_t row, int64_t i, int k, F&& result) const {
    int64_t at = k;
    if (size != row_size) {
      uint32_t rest = static_cast<uint32_t>(i);
      const int64_t within = before.pop(rest);
      at = (static_cast<int64_t>(rest) * size + k) * before.divisor + within;
    }
    const Complex<T> value = result(k);
    data[row * row_size + at] = factors == nullptr ? value : value * factors[at];
  }
};

template <class T>
struct RealRows {
  const T* x;
  Axes<1> rows;
  int64_t first, stride;
  bool even;
  __device__ Complex<T> operator()(int64_t row, int64_t j) const {
    int64_t at[1];
    rows.offsets(first + row, at);
    const T* from = x + at[0];
    if (even) return {from[2 * j * stride], from[(2 * j + 1) * stride]};
    return {from[j * stride], T(0)};
  }
};
template <class T>
struct Spectra {
  const T* x;
  Axes<1> rows;
  int64_t first, bin_stride, part_stride;
  fft::Lengths lengths;
  fft::Factors<T> factors;
  const Complex<T>* w;  // e^(-2πik/n)
  __device__ Complex<T> operator()(int64_t row, int64_t j) const {
    int64_t at[1];
    rows.offsets(first + row, at);
    const auto bin = [&](int64_t k) {
      const bool end = factors.is_end(k);
      const T factor = factors.at(k) * (end ? T(1) : T(0.5));
      const T* from = x + at[0] + k * bin_stride;
      return Complex<T>{from[0] * factor, end ? T(0) : from[part_stride] * factor};
    };
    if (!lengths.even) return j < lengths.bins ? bin(j) : conjugate(bin(lengths.n - j));
    const int64_t mirror = lengths.points - j, lower = min(j, mirror);
    Complex<T> value, mirrored;
    fft::pack(bin(lower), bin(lengths.points - lower), w[lower], value, mirrored);
    return j <= mirror ? value : mirrored;
  }
};

// Pairs of a view along any axis.
template <class T>
struct ComplexRows {
  const T* x;
  Axes<1> rows;
  int64_t first, stride, part_stride;
  __device__ Complex<T> operator()(int64_t row, int64_t j) const {
    int64_t at[1];
    rows.offsets(first + row, at);
    const T* from = x + at[0] + j * stride;
    return {from[0], from[part_stride]};
  }
};

template <class T>
struct ToSpectra {
  T* y;
  int64_t first;
  fft::Lengths lengths;
  fft::Factors<T> factors;
  const Complex<T>* w;
  int64_t stored() const { return lengths.bins; }
  template <class F>
  __device__ void operator()(int64_t row, int64_t, int64_t k, F&& result) const {
    Complex<T> value;
    if (lengths.even) {
      const int64_t mirror = lengths.points - k, lower = min(k, mirror);
      Complex<T> bin, mirrored;
      fft::unpack(result(lower), result(fft::mirrored(lower, lengths.points)), w[lower], bin, mirrored);
      value = k <= mirror ? bin : mirrored;
    } else {
      value = result(k);
    }
    T* to = y + 2 * ((first + row) * lengths.bins + k);
    to[0] = value.re * factors.at(k);
    to[1] = value.im * factors.at(k);
  }
};
template <class T>
struct ToRealRows {
  T* y;
  int64_t first;
  fft::Lengths lengths;
  int64_t stored() const { return lengths.points; }
  template <class F>
  __device__ void operator()(int64_t row, int64_t, int64_t j, F&& result) const {
    const Complex<T> value = result(fft::mirrored(j, lengths.points));
    T* to = y + (first + row) * lengths.n;
    if (lengths.even) {
      to[2 * j] = value.re;
      to[2 * j + 1] = value.im;
    } else {
      to[j] = value.re;
    }
  }
};

template <class T>
struct ToComplexRows {
  T* y;
  Axes<1> rows;
  int64_t first, n, stride;
  T scale;
  bool back;
  int64_t stored() const { return n; }
  template <class F>
  __device__ void operator()(int64_t row, int64_t, int64_t k, F&& result) const {
    int64_t at[1];
    rows.offsets(first + row, at);
    *reinterpret_cast<Complex<T>*>(y + at[0] + k * stride) = fft::scaled(result(back ? fft::mirrored(k, n) : k), scale);
  }
};

// What becomes of rows of `size` points that passes have transformed; with a chirp they have been transformed back too.
template <class T, class Sink>
__global__ void __launch_bounds__(kBlock)
    finish_kernel(Points<T> points, const Complex<T>* chirp, Sink sink, int64_t rows, int64_t stored) {
  const int64_t i = this_thread();
  if (i >= rows * stored) return;
  const int64_t row = i / stored;
  sink(row, 0, i - row * stored, [&](int64_t k) {
    if (chirp == nullptr) return points(row, k);
    return points(row, fft::mirrored(k, points.size)) * chirp[k];
  });
}

// --- On the host -------------------------------------------------------------------------------------------------------------

// Transforms of rows of n points, an n without large prime factors, in one pass or several. Tables live until the kernel returns.
template <class T>
class Passes {
 public:
  Passes(CudaContext& ctx, const Command& cmd, int64_t n)
      : ctx_(ctx), cmd_(cmd), n_(n), cut_(cut_fft(n, kFftPoints<T>)) {
    for (int p = 0; p < cut_.passes; ++p) {
      const int size = cut_.sizes[p];
      const auto same = std::find(cut_.sizes, cut_.sizes + p, size) - cut_.sizes;
      if (same < p) {
        roots_[p] = roots_[same];
        continue;
      }
      auto* table = ctx.scratch<Complex<T>>(size);
      ctx.launch(cmd, fill_roots<T>, blocks_for(size, kBlock), kBlock, 0, table, size, size);
      roots_[p] = table;
    }
    if (cut_.passes == 1) return;
    const int64_t room = fft::Roots::room(n);
    auto* table = ctx.scratch<Complex<double>>(room);
    turns_ = fft::Roots(n, table);
    ctx.launch(cmd, fill_entries, blocks_for(room, kBlock), kBlock, 0, table, room, turns_);
  }

  bool is_one() const { return cut_.passes == 1; }

  // All in one kernel, where there is one pass.
  template <class Source, class Sink>
  void run(const Source& source, const Sink& sink, int64_t rows, int64_t points, bool across, const Complex<T>* chirp,
           const Complex<T>* spectrum) const {
    FftPass<T> pass = make_pass(0, rows, rows, 1);
    pass.loads_across = pass.stores_across = across;
    pass.points = points;
    pass.chirp = chirp;
    pass.spectrum = spectrum;
    pass.stored = static_cast<int>(sink.stored());
    pass.stored_divider = Divider(static_cast<uint32_t>(pass.stored));
    launch(pass, source, sink, 1);
  }

  // The rest of `rows` rows of which the source has the first `points`, multiplied by `chirp` if there is one, are zeros. Answers which of the two
  // pieces of memory has the results, multiplied by `factors` if there are any.
  template <class Source>
  Complex<T>* run(const Source& source, int64_t rows, Complex<T>* z, Complex<T>* other, int64_t points,
                  const Complex<T>* chirp, const Complex<T>* factors) const {
    int64_t before = 1;
    for (int p = 0; p < cut_.passes; ++p) {
      FftPass<T> pass = make_pass(p, is_one() ? rows : n_ / cut_.sizes[p], rows, before);
      const PointsOfPass<T> sink{z, n_, pass.size, pass.before, p + 1 == cut_.passes ? factors : nullptr};
      if (p == 0) {
        pass.points = points;
        pass.chirp = chirp;
        launch(pass, source, sink, rows);
      } else {
        launch(pass, Points<T>{other, n_}, sink, rows);
      }
      std::swap(z, other);
      before *= pass.size;
    }
    return other;
  }

 private:
  FftPass<T> make_pass(int p, int64_t sequences, int64_t rows, int64_t before) const {
    FftPass<T> pass{};
    pass.size = cut_.sizes[p];
    pass.whole = is_one();
    pass.sequences = sequences;
    const int tile = choose_fft_tile(rows, pass.size, pass.whole, kFftPoints<T>, ctx_.device().multiprocessors);
    pass.tile_shift = std::countr_zero(static_cast<unsigned>(tile));
    int radices[fft::kMostRadices];
    pass.stages = pass.size == 1 ? 0 : fft::radices_of(pass.size, radices);
    for (int s = 0, done = 1; s < pass.stages; done *= radices[s], ++s) {
      pass.stage[s] = {radices[s], pass.size / (done * radices[s]), Divider(static_cast<uint32_t>(done * tile))};
    }
    pass.roots = roots_[p];
    pass.before = Divider(static_cast<uint32_t>(before));
    pass.turns = turns_;
    pass.turn = n_ / (before * pass.size);
    pass.points = n_;
    pass.loads_across = !pass.whole;
    pass.stores_across = before > 1;
    pass.stored = pass.size;
    pass.size_divider = pass.stored_divider = Divider(static_cast<uint32_t>(pass.size));
    return pass;
  }
  template <class Source, class Sink>
  void launch(const FftPass<T>& pass, const Source& source, const Sink& sink, int64_t rows) const {
    const dim3 grid(blocks_for(pass.sequences, int64_t{1} << pass.tile_shift),
                    pass.whole ? 1 : static_cast<unsigned>(rows));
    const auto shared = 2 * static_cast<size_t>(fft_place(pass.size << pass.tile_shift)) * sizeof(Complex<T>);
    ctx_.launch(cmd_, transform_kernel<T, Source, Sink>, grid, kFftBlock, shared, pass, source, sink);
  }

  CudaContext& ctx_;
  const Command& cmd_;
  int64_t n_;
  FftCut cut_;
  const Complex<T>* roots_[kMostFftPasses];
  fft::Roots turns_;
};

// Transforms `rows` rows of `points` that the source has into what the sink writes. `across`: rows are neighbours in memory, rather than the
// points of one.
template <class T, class Source, class Sink>
void transform_rows(CudaContext& ctx, const Command& cmd, Source source, Sink sink, int64_t rows, int64_t points,
                    bool across = false) {
  const bool is_smooth = fft::is_smooth(points);
  const int64_t size = is_smooth ? points : fft::smooth_length(2 * points - 1);
  const Passes<T> passes(ctx, cmd, size);
  Complex<T>* chirp = nullptr;
  Complex<T>* spectrum = nullptr;
  if (!is_smooth) {
    chirp = ctx.scratch<Complex<T>>(points);
    auto* conjugates = ctx.scratch<Complex<T>>(size);
    ctx.launch(cmd, fill_chirp<T>, blocks_for(size, kBlock), kBlock, 0, chirp, points, conjugates, size);
    auto *z = ctx.scratch<Complex<T>>(size), *other = ctx.scratch<Complex<T>>(size);
    spectrum = passes.run(Points<T>{conjugates, size}, 1, z, other, size, nullptr, nullptr);
  }
  if (passes.is_one()) return passes.run(source, sink, rows, points, across, chirp, spectrum);

  const int64_t round = std::clamp<int64_t>(kPointsAtOnce / size, 1, rows);
  auto *z = ctx.scratch<Complex<T>>(round * size), *other = ctx.scratch<Complex<T>>(round * size);
  for (int64_t first = 0; first < rows; first += round) {
    const int64_t here = std::min(round, rows - first);
    source.first = sink.first = first;
    Complex<T>* results = passes.run(source, here, z, other, points, chirp, spectrum);
    if (!is_smooth) {
      // From where they are to the other piece first.
      Complex<T>* const free = results == z ? other : z;
      results = passes.run(Points<T>{results, size}, here, free, results, size, nullptr, nullptr);
    }
    const int64_t stored = sink.stored();
    ctx.launch(cmd, finish_kernel<T, Sink>, blocks_for(here * stored, kBlock), kBlock, 0, Points<T>{results, size},
               chirp, sink, here, stored);
  }
}

template <class T>
void transform(CudaContext& ctx, const Command& cmd, bool back) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  const fft::Lengths lengths(back ? y.size(-1) : x.size(-1));
  const fft::Factors<T> factors(cmd.attribute(0), cmd.attribute(1), lengths);
  const int own_axes = back ? 2 : 1;
  const Axes<1> rows = axes_of<1>({&x}, (1u << (x.rank - own_axes)) - 1);
  Complex<T>* w = nullptr;
  if (lengths.even) {
    const int64_t count = lengths.points / 2 + 1;
    w = ctx.scratch<Complex<T>>(count);
    ctx.launch(cmd, fill_roots<T>, blocks_for(count, kBlock), kBlock, 0, w, count, lengths.n);
  }
  if (back) {
    const Spectra<T> source{x.as<const T>(), rows, 0, x.stride(-2), x.stride(-1), lengths, factors, w};
    transform_rows<T>(ctx, cmd, source, ToRealRows<T>{y.as<T>(), 0, lengths}, rows.count, lengths.points);
  } else {
    const RealRows<T> source{x.as<const T>(), rows, 0, x.stride(-1), lengths.even};
    transform_rows<T>(ctx, cmd, source, ToSpectra<T>{y.as<T>(), 0, lengths, factors, w}, rows.count, lengths.points);
  }
}

template <class T>
void transform_complex(CudaContext& ctx, const Command& cmd) {
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  const auto axis = static_cast<int>(cmd.attribute(2));
  const uint32_t others = ((1u << (x.rank - 1)) - 1) & ~(1u << axis);
  const Axes<1> rows = axes_of<1>({&x}, others);
  const ComplexRows<T> source{x.as<const T>(), rows, 0, x.stride(axis), x.stride(-1)};
  const ToComplexRows<T> sink{y.as<T>(),
                              axes_of<1>({&y}, others),
                              0,
                              x.size(axis),
                              y.stride(axis),
                              static_cast<T>(cmd.attribute(0)),
                              cmd.attribute(1) != 0};
  transform_rows<T>(ctx, cmd, source, sink, rows.count, x.size(axis), y.stride(axis) > 2);
}

HADAL_CUDA_KERNEL(rfft) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) transform<float>(ctx, cmd, false);
  else transform<double>(ctx, cmd, false);
}

HADAL_CUDA_KERNEL(irfft) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) transform<float>(ctx, cmd, true);
  else transform<double>(ctx, cmd, true);
}

HADAL_CUDA_KERNEL(fft) {
  if (cmd.output(0).numel() == 0) return;
  if (cmd.output(0).dtype == DType::kFloat32) transform_complex<float>(ctx, cmd);
  else transform_complex<double>(ctx, cmd);
}

}  // namespace
}  // namespace hadal::cuda
