// The register tile under every matrix product and convolution: a few rows times a few vectors of columns, held in registers
// over the whole inner loop. Owns the tile kernels and the small vector helpers that packing needs; knows nothing of
// blocking, tasks or tensors. Called by gemm.cc and conv.cc.
#pragma once

#include <utility>

#include "cpu/simd.h"
#include "kernels/unroll.h"

namespace hadal::cpu {

// Widest tile in vectors, and the most rows beside `vectors` of them; and the vectors of a panel where there are many. With 32 registers 14 × 2
// wins: a panel of two vectors falls out of the L1 cache later, and fewer tiles begin and end (GFLOP/s measured on a Sapphire Rapids
// core, k of 64 to 512: 14 × 2 166 to 175, 8 × 3 158 to 171). With 16 registers 6 × 2 leaves room for two columns, a broadcast and a product.
#if defined(__SANITIZE_ADDRESS__)  // The sanitizers make each shape slow to compile, so there are few.
inline constexpr int kMaxVectors = 2, kPanelVectors = 2;
constexpr int max_rows(int) { return 3; }
#elif defined(__AVX512F__)
inline constexpr int kMaxVectors = 3, kPanelVectors = 2;
constexpr int max_rows(int vectors) { return vectors == 3 ? 8 : 14; }
#elif defined(__aarch64__)
inline constexpr int kMaxVectors = 3, kPanelVectors = 3;
constexpr int max_rows(int vectors) { return vectors == 3 ? 8 : 12; }
#else
inline constexpr int kMaxVectors = 2, kPanelVectors = 2;
constexpr int max_rows(int vectors) { return vectors == 2 ? 6 : 10; }
#endif
inline constexpr int kMaxRows = max_rows(1);

// The widest of the panels that so many vectors of columns are cut into.
inline int panel_width(int64_t vectors) {
  if (vectors <= kMaxVectors) return static_cast<int>(vectors);
  return vectors == 4 ? 2 : kPanelVectors;
}

// Steps of k from one fetched line to the next: a panel of two vectors has four lines in two steps, which the strips of a task share. A loop inside
// the loop over k would be mispredicted at each of its ends (6 % of the time).
inline constexpr int kStepsPerFetch = 2;

// What a tile starts from before the products are added.
enum class Start : uint8_t { kZero, kAccumulate, kColumnBias, kRowBias };

// c[rows, columns] = start + Σ_s Σ_p a_s[:, p] · b_s[p, :], where segment s lies a_offsets[s], b_offsets[s] elements from a, b.
// a has any strides; the columns of b are adjacent and readable up to whole vectors; c and bias are touched only where valid.
template <class T>
struct Tile {
  int64_t k = 0;  // of each segment
  int64_t segments = 1;
  const int64_t* a_offsets = nullptr;  // null: one segment at a and b themselves
  const int64_t* b_offsets = nullptr;
  const T* a = nullptr;
  int64_t a_row = 0;
  int64_t a_step = 0;
  const T* b = nullptr;
  int64_t b_step = 0;
  T* c = nullptr;
  int64_t c_row = 0;
  const T* from = nullptr;  // what kAccumulate adds to; null: c
  int64_t from_row = 0;
  const T* bias = nullptr;  // of the tile's first column or row, for kColumnBias and kRowBias
  int columns = 0;          // ends in the last of the tile's vectors
  Start start = Start::kZero;
  // What later tiles read, brought to the L2 cache between the products: as much as there is time for.
  const char* fetch = nullptr;
  int64_t fetch_step = 64;  // from line to line
};
template <class T>
using TileKernel = void (*)(const Tile<T>&);

// The kernel for 1 ≤ rows ≤ max_rows(vectors); `unit_row` promises a_row == 1. T is float or double.
template <class T>
TileKernel<T> tile_kernel(int rows, int vectors, bool unit_row);

// Treats subnormal numbers as zero while it lives. A multiply-add that meets one takes over a hundred cycles, and the tails of
// activations are full of them: a product of GELU outputs ran 27 times slower. What is lost is below 1e-38. Each tile has one; whoever runs
// many tiles holds one around them, so that those need not wait for the processor to change its mode.
class FlushSubnormals {
 public:
#if defined(__x86_64__)
  FlushSubnormals() : before_(_mm_getcsr()) {
    if ((before_ & kFlush) != kFlush) _mm_setcsr(before_ | kFlush);
  }
  ~FlushSubnormals() {
    if ((before_ & kFlush) != kFlush) _mm_setcsr(before_);
  }

 private:
  static constexpr unsigned kFlush = 0x8040;  // flush results, read operands as zero
  unsigned before_;
#endif
};

// The same tile over pairs of bfloat16: an element of a and of b is two neighbours in k, their two products are added to the
// float sums (in the processor's order, subnormals as zero), and k counts pairs. Only where has_pair_kernels(): on AMD's cores
// with the instruction, where it does twice the work of a float multiply-add. Intel's run it at half the rate of that
// (measured on Sapphire Rapids: 94 against 170 GFLOP/s), and float panels are faster.
TileKernel<float> pair_kernel(int rows, int vectors, bool unit_row);
bool has_pair_kernels();
#if defined(__AVX512F__)
// sum + Σ of the two products of each lane, by an instruction that not all processors have that the file is compiled for. By value: an
// operand of asm that is reached by reference stays in memory.
[[gnu::always_inline]] inline Vec<float> multiply_add_pairs(Vec<float> factor, Vec<float> column, Vec<float> sum) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(factor), "v"(column));
  return sum;
}
#endif

// The first `count` lanes (1 … kLanes), without a call of memcpy where the processor has masks; other lanes load as 0.
template <class T>
inline Vec<T> load_columns(const T* from, int count) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
  } else if constexpr (std::is_same_v<T, double>) {
    return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
  }
#endif
  if (count == kLanes<T>) return load(from);
#if defined(__aarch64__)
  return load_partial(from, count);
#else
  Vec<T> v{};
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
#endif
}
template <class T>
inline void store_columns(T* to, Vec<T> v, int count) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) {
    return _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
  } else if constexpr (std::is_same_v<T, double>) {
    return _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), (__m512d)v);
  }
#endif
  if (count == kLanes<T>) return store(to, v);
#if defined(__aarch64__)
  store_partial(to, v, count);
#else
  for (int i = 0; i < count; ++i) to[i] = v[i];
#endif
}
template <class Half>
  requires(sizeof(Half) == 2)
inline Vec<float> load_columns(const Half* from, int count) {
  if (count == kLanes<float>) return load(from);
  alignas(kVectorBytes) Half lanes[kLanes<float>];
#if defined(__AVX512F__)
  const __m256i masked = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1), from);
  std::memcpy(static_cast<void*>(lanes), &masked, sizeof lanes);
#else
  for (int i = 0; i < kLanes<float>; ++i) lanes[i] = i < count ? from[i] : Half(0.0f);
#endif
  return load(lanes);
}
template <class Half>
  requires(sizeof(Half) == 2)
inline void store_columns(Half* to, Vec<float> v, int count) {
  if (count == kLanes<float>) return store(to, v);
  alignas(kVectorBytes) Half lanes[kLanes<float>];
  store(lanes, v);
#if defined(__AVX512F__)
  __m256i whole;
  std::memcpy(&whole, lanes, sizeof whole);
  _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << count) - 1), whole);
#else
  for (int i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}

// Transposes a square of kLanes vectors in registers: log2(kLanes) rounds of perfect shuffles.
template <class T>
[[gnu::always_inline]] inline void transpose(Vec<T> (&rows)[kLanes<T>]) {
  constexpr int kCount = kLanes<T>;
  const auto riffle = [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    Vec<T> next[kCount];
    unroll<kCount / 2>([&](auto j) __attribute__((always_inline)) {
      const Vec<T> x = rows[j], y = rows[j + kCount / 2];
      next[2 * j] = __builtin_shufflevector(x, y, (i % 2 ? kCount + i / 2 : i / 2)...);
      next[2 * j + 1] = __builtin_shufflevector(x, y, ((i % 2 ? kCount + i / 2 : i / 2) + kCount / 2)...);
    });
    unroll<kCount>([&](auto j) __attribute__((always_inline)) { rows[j] = next[j]; });
  };
  for (int width = 1; width < kCount; width *= 2) riffle(std::make_integer_sequence<int, kCount>{});
}

}  // namespace hadal::cpu
