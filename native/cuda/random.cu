// Random numbers: uniform, normal, randint, randperm and dropout, the same as the CPU's. Which words of the Philox stream an
// element uses is told in runtime/philox.h; a thread makes whole blocks of them, for 16 bytes of elements or more.
#include <cmath>

#include "cuda/device/axes.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/radix_sort.cuh"
#include "cuda/registry.h"
#include "kernels/math.h"
#include "runtime/philox.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

struct Stream {
  PhiloxKey key;
  uint64_t offset;
};
// The last three attributes of every random op.
Stream stream_of(const Command& cmd) {
  const double* last = cmd.attributes + cmd.attribute_count - 3;
  return {{static_cast<uint32_t>(last[0]), static_cast<uint32_t>(last[1])}, static_cast<uint64_t>(last[2])};
}

// Whether element i of every tensor lies at i.
template <int kTensors>
bool is_line(const Axes<kTensors>& axes) {
  return axes.rank == 0 || (axes.rank == 1 && axes.is_packed());
}

// The words of `kElements` elements from `first` on, which is a multiple of kElements.
template <int kElements, int kWordsPerElement>
struct Words {
  static_assert(kElements * kWordsPerElement % 4 == 0);
  uint32_t at[kElements * kWordsPerElement];

  __device__ __forceinline__ Words(const Stream& stream, int64_t first) {
    const uint64_t counter = stream.offset + static_cast<uint64_t>(first) * kWordsPerElement / 4;
#pragma unroll
    for (int block = 0; block < kElements * kWordsPerElement / 4; ++block) {
      philox(counter + static_cast<uint64_t>(block), stream.key, at + 4 * block);
    }
  }
  __device__ __forceinline__ uint64_t wide(int element) const {
    return static_cast<uint64_t>(at[2 * element + 1]) << 32 | at[2 * element];
  }
  // The element's word, or both of them, as a number of that width.
  __device__ __forceinline__ auto word(int element) const {
    if constexpr (kWordsPerElement == 1) return at[element];
    else return wide(element);
  }
};

// Elements per thread: whole blocks, and 16 bytes at least.
template <class T, int kWordsPerElement>
inline constexpr int kPerThread = std::max(kPackSize<T>, 4 / kWordsPerElement);

// y = what `make` makes of the words: make(words, pack) fills a pack of kPerThread elements. `whole`: y is contiguous and aligned.
template <int kWordsPerElement, class T, class F>
__global__ void __launch_bounds__(kBlock) random_kernel(F make, Stream stream, Axes<1> axes, T* y, bool whole) {
  constexpr int kElements = kPerThread<T, kWordsPerElement>;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) * kElements;
  if (first >= axes.count) return;
  const Words<kElements, kWordsPerElement> words(stream, first);
  Pack<T, kElements> made;
  make(words, made);
  if (whole && first + kElements <= axes.count) {
    store_pack(y + first, made);
    return;
  }
#pragma unroll
  for (int i = 0; i < kElements; ++i) {
    if (first + i >= axes.count) break;
    int64_t offset[1];
    axes.offsets(first + i, offset);
    y[offset[0]] = made.at[i];
  }
}
template <int kWordsPerElement, class T, class F>
void run_random(CudaContext& ctx, const Command& cmd, const F& make) {
  const TensorView& y = cmd.output(0);
  const Axes<1> axes = axes_of<1>({&y}, all_axes(y));
  if (axes.count == 0) return;
  ctx.launch(cmd, random_kernel<kWordsPerElement, T, F>,
             blocks_for(axes.count, kBlock * kPerThread<T, kWordsPerElement>), kBlock, 0, make, stream_of(cmd), axes,
             y.as<T>(), is_line(axes) && is_aligned<uint64_t>(y.data, 2));
}

template <class T>
inline constexpr int kFloatWords = std::is_same_v<T, double> ? 2 : 1;

__device__ __forceinline__ float to_number(uint32_t word) { return static_cast<float>(static_cast<int32_t>(word)); }
__device__ __forceinline__ double to_number(uint64_t word) { return static_cast<double>(static_cast<int64_t>(word)); }
__device__ __forceinline__ float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ __forceinline__ double multiply_add(double a, double b, double c) { return __fma_rn(a, b, c); }

template <class T>
struct Uniform {
  Compute<T> low, high, unit;

  Uniform(double from, double to)
      : low(static_cast<Compute<T>>(from)),
        high(static_cast<Compute<T>>(to)),
        unit((high - low) / static_cast<Compute<T>>(uint64_t{1} << kPhiloxUnitBits<T>)) {}
  template <class W, int kCount>
  __device__ __forceinline__ void operator()(const W& words, Pack<T, kCount>& y) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const auto word = words.word(i);
      const Compute<T> value = multiply_add(to_number(word >> (sizeof word * 8 - kPhiloxUnitBits<T>)), unit, low);
      y.at[i] = to_element<T>(value < high ? value : low);  // the sum may round up
    }
  }
};

// Box-Muller: r = sqrt(-2 log u), and r cos 2πv and r sin 2πv. u is in (0, 1], with all the bits of its word but one.
template <class T>
struct Normal {
  Compute<T> mean, deviation;

  template <class W, int kCount>
  __device__ __forceinline__ void operator()(const W& words, Pack<T, kCount>& y) const {
    using C = Compute<T>;
#pragma unroll
    for (int i = 0; i < kCount; i += 2) {
      const auto first = words.word(i), second = words.word(i + 1);
      constexpr int kBits = sizeof first * 8;
      constexpr C kUnit =
          C(1) / static_cast<C>(uint64_t{1} << (kBits / 2)) / static_cast<C>(uint64_t{1} << (kBits / 2));
      const C u = multiply_add(to_number(first >> 1), 2 * kUnit, kUnit);
      const C r = math::sqrt(C(-2) * math::log(u)) * deviation;
      // 4v = quarter + f with |f| <= 1/2, exactly.
      const C turns = to_number(second >> (kBits - kPhiloxUnitBits<C>)) *
                      (C(4) / static_cast<C>(uint64_t{1} << kPhiloxUnitBits<C>));
      const auto [n, quarter] = math::nearest(turns + math::Format<C>::kRoundToInteger);
      const C angle = (turns - n) * static_cast<C>(1.5707963267948966);
      y.at[i] = to_element<T>(multiply_add(r, math::sin_of_quarter<C>(quarter + 1, angle), mean));
      y.at[i + 1] = to_element<T>(multiply_add(r, math::sin_of_quarter<C>(quarter, angle), mean));
    }
  }
};

template <class T>
struct RandomInteger {
  int64_t low;
  uint64_t range;

  template <class W, int kCount>
  __device__ __forceinline__ void operator()(const W& words, Pack<T, kCount>& y) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const auto word = words.word(i);
      uint64_t value;
      if constexpr (sizeof word == 4) value = word * range >> 32;
      else value = __umul64hi(word, range);
      const int64_t number = low + static_cast<int64_t>(value);
      if constexpr (std::is_arithmetic_v<T>) y.at[i] = static_cast<T>(number);
      else y.at[i] = to_element<T>(static_cast<float>(number));
    }
  }
};

// `whole`: both are contiguous and aligned. Where x is null, `number` everywhere.
template <class T>
__global__ void __launch_bounds__(kBlock) dropout_kernel(Stream stream, uint64_t threshold, Compute<T> scale,
                                                         Axes<2> axes, const T* x, T number, T* y, bool whole) {
  using C = Compute<T>;
  constexpr int kElements = kPerThread<T, 1>;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) * kElements;
  if (first >= axes.count) return;
  whole = whole && first + kElements <= axes.count;
  Pack<T, kElements> value;
  if (whole) value = load_pack<kElements>(x + first);
  const Words<kElements, 1> words(stream, first);
#pragma unroll
  for (int i = 0; i < kElements; ++i) {
    if (!whole && first + i >= axes.count) break;
    int64_t offset[2] = {};
    if (!whole) {
      axes.offsets(first + i, offset);
      value.at[i] = x == nullptr ? number : x[offset[1]];
    }
    value.at[i] = to_element<T>(words.at[i] >= threshold ? value.number(i) * scale : C(0));
    if (!whole) y[offset[0]] = value.at[i];
  }
  if (whole) store_pack(y + first, value);
}

// keys[i] = the words of element i, positions[i] = i; both have room for an even number.
__global__ void __launch_bounds__(kBlock)
    permutation_keys_kernel(Stream stream, int64_t count, uint64_t* keys, uint32_t* positions) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) * 2;
  if (first >= count) return;
  const Words<2, 2> words(stream, first);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    keys[first + i] = words.wide(i);
    positions[first + i] = static_cast<uint32_t>(first + i);
  }
}
template <class T>
__global__ void __launch_bounds__(kBlock)
    write_positions_kernel(const uint32_t* positions, int64_t count, T* y, int64_t stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i < count) y[i * stride] = static_cast<T>(positions[i]);
}

HADAL_CUDA_KERNEL(uniform) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    run_random<kFloatWords<T>, T>(ctx, cmd, Uniform<T>(cmd.attribute(0), cmd.attribute(1)));
  });
}

HADAL_CUDA_KERNEL(normal) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    using C = Compute<T>;
    run_random<kFloatWords<T>, T>(ctx, cmd,
                                  Normal<T>{static_cast<C>(cmd.attribute(0)), static_cast<C>(cmd.attribute(1))});
  });
}

// Whole numbers in [low, high).
HADAL_CUDA_KERNEL(randint) {
  const double low = cmd.attribute(0), high = cmd.attribute(1);
  constexpr double kExact = 9007199254740992;  // 2^53
  if (!(low >= -kExact && high <= kExact && low < high) || low != std::floor(low) || high != std::floor(high)) {
    throw Error(ErrorCode::kIndex, "randint: range: got " + std::to_string(low) + " and " + std::to_string(high) +
                                       ", expected whole numbers with low < high");
  }
  visit_any(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    const RandomInteger<T> make{static_cast<int64_t>(low), static_cast<uint64_t>(high - low)};
    if (high - low <= kPhiloxOneWordRange) run_random<1, T>(ctx, cmd, make);
    else run_random<2, T>(ctx, cmd, make);
  });
}

// The permutation that sorts random 64-bit keys, equal ones by their place.
HADAL_CUDA_KERNEL(randperm) {
  const TensorView& y = cmd.output(0);
  const int64_t n = y.shape[0];
  if (n == 0) return;
  require_sortable(cmd, n);
  auto pairs = sort_scratch<uint64_t, uint32_t>(ctx, n + 1);
  ctx.launch(cmd, permutation_keys_kernel, blocks_for(n, 2 * kBlock), kBlock, 0, stream_of(cmd), n, pairs.keys,
             pairs.values);
  radix_sort(ctx, cmd, pairs, n, 64);
  visit_index(cmd.name(), y.dtype, [&]<class T>() {
    ctx.launch(cmd, write_positions_kernel<T>, blocks_for(n, kBlock), kBlock, 0, pairs.values, n, y.as<T>(),
               y.strides[0]);
  });
}

// y = x / (1 - p) with probability 1 - p, else 0. The gradient is the same op on g with the same stream.
HADAL_CUDA_KERNEL(dropout) {
  const double p = cmd.attribute(0);
  if (!(p >= 0 && p <= 1)) {
    throw Error(ErrorCode::kIndex, "dropout: probability: got " + std::to_string(p) + ", expected a number in [0, 1]");
  }
  // Words below it drop their element; 2^32 drops all.
  const auto threshold = static_cast<uint64_t>(p * 4294967296.0);
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  const Axes<2> axes = axes_of<2>({&y, &x}, all_axes(y));
  if (axes.count == 0) return;
  visit_floating(cmd.name(), y.dtype, [&]<class T>() {
    T number{};
    if (cmd.is_immediate(0)) std::memcpy(&number, x.data, sizeof number);
    const bool whole =
        !cmd.is_immediate(0) && is_line(axes) && is_aligned<uint64_t>(x.data, 2) && is_aligned<uint64_t>(y.data, 2);
    ctx.launch(cmd, dropout_kernel<T>, blocks_for(axes.count, kBlock * kPerThread<T, 1>), kBlock, 0, stream_of(cmd),
               threshold, static_cast<Compute<T>>(1 / (1 - p)), axes, cmd.is_immediate(0) ? nullptr : x.as<const T>(),
               number, y.as<T>(), whole);
  });
}

}  // namespace
}  // namespace hadal::cuda
