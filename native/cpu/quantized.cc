// Products with matrices of whole numbers of few bits, whose layout kernels/quantized.h has, and these as floats again. Few rows of x wait for the
// codes to come from memory, so these become floats in registers, and a pass over them serves up to four rows. Sums in float, per group and over the groups.
#include "kernels/quantized.h"

#include <algorithm>

#include "cpu/simd.h"
#include "kernels/unroll.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// What a task reads of the codes: they stay in the L2 cache from one pass to the next.
constexpr int64_t kTaskBytes = 1 << 16;
constexpr int64_t kTaskElements = 1 << 15;

constexpr int kMostRows = 4;
// Sums of groups and totals take half of the registers.
template <int kRows>
inline constexpr int kColumns = kVectorRegisters / 4 / kRows < 4 ? kVectorRegisters / 4 / kRows : 4;
static_assert(kColumns<kMostRows> >= 1);

using Floats = Vec<float>;
constexpr int kWidth = kLanes<float>;
constexpr int kVectors = kCodeBlock / kWidth;

// Neighbouring bytes as whole numbers, by one instruction where there is one: GCC 12 makes several of a conversion.
[[gnu::always_inline]] inline Vec<int32_t> widen(const int8_t* from) {
#if defined(__AVX512F__)
  return (Vec<int32_t>)_mm512_maskz_cvtepi8_epi32(kAllLanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#elif defined(__AVX2__)
  return (Vec<int32_t>)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
#elif defined(__SSE4_1__)
  return (Vec<int32_t>)_mm_cvtepi8_epi32(_mm_loadu_si32(from));
#else
  typedef int8_t Bytes __attribute__((vector_size(kWidth)));
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return widen_lanes<int32_t>(bytes);
#endif
}
[[gnu::always_inline]] inline Vec<uint32_t> widen(const uint8_t* from) {
#if defined(__AVX512F__)
  return (Vec<uint32_t>)_mm512_maskz_cvtepu8_epi32(kAllLanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#elif defined(__AVX2__)
  return (Vec<uint32_t>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
#elif defined(__SSE4_1__)
  return (Vec<uint32_t>)_mm_cvtepu8_epi32(_mm_loadu_si32(from));
#else
  typedef uint8_t Bytes __attribute__((vector_size(kWidth)));
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return widen_lanes<uint32_t>(bytes);
#endif
}

// Vector i of a block.
template <int i>
[[gnu::always_inline]] inline Floats codes_of(const int8_t* block) {
  return __builtin_convertvector(widen(block + i * kWidth), Floats);
}
template <int i>
[[gnu::always_inline]] inline Floats codes_of(const uint8_t* block) {
  constexpr int kHalf = kCodeBlock / 2, kFirst = i * kWidth;
  const Vec<uint32_t> both = widen(block + kFirst % kHalf);
#if defined(__AVX512F__)
  // A permutation looks at the lower four bits of an index alone.
  const Floats numbers{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
  const Vec<uint32_t> index = kFirst < kHalf ? both : both >> 4;
  return (Floats)_mm512_maskz_permutexvar_ps(kAllLanes, (__m512i)index, (__m512)numbers);
#else
  const Vec<uint32_t> codes = kFirst < kHalf ? both & 15u : both >> 4;
  return __builtin_convertvector((Vec<int32_t>)codes - 8, Floats);
#endif
}

template <class Code>
struct Matrix {
  const Code* codes;
  int64_t k, groups;

  const Code* row(int64_t j) const { return codes + j * (k / kCodesPerByte<Code>); }
};

// Rows of x [kRows, k] times rows of the matrix from j on: sums[r][c].
template <int kRows, int kCount, class Code>
void dot_products(const Matrix<Code>& matrix, const float* x, int64_t j, const float* scales,
                  float (&sums)[kRows][kCount]) {
  const int64_t k = matrix.k, groups = matrix.groups, group = k / groups;
  Floats totals[kRows][kCount] = {};
  const Code* block = matrix.row(j);
  // Rows of the matrix are too short for the processor to see where they lead: the next ones are asked for meanwhile.
  const Code* ahead = matrix.row(j + kCount);
  const float* from = x;
  for (int64_t g = 0; g < groups; ++g) {
    Floats parts[kRows][kCount] = {};
    for (int64_t p = 0; p < group; p += kCodeBlock) {
      unroll<kVectors>([&](auto i) __attribute__((always_inline)) {
        Floats row[kRows];
        unroll<kRows>([&](auto r) __attribute__((always_inline)) { row[r] = load(from + r * k + i * kWidth); });
        unroll<kCount>([&](auto c) __attribute__((always_inline)) {
          const Floats column = codes_of<i>(block + c * (k / kCodesPerByte<Code>));
          unroll<kRows>([&](auto r) __attribute__((always_inline)) { parts[r][c] += row[r] * column; });
        });
      });
      constexpr int kBytes = kCount * kCodeBlockBytes<Code>;
      unroll<(kBytes + 63) / 64>([&](auto line) { __builtin_prefetch(ahead + 64 * line, 0, 2); });
      ahead += kBytes;
      block += kCodeBlockBytes<Code>;
      from += kCodeBlock;
    }
    unroll<kCount>([&](auto c) __attribute__((always_inline)) {
      const Floats scale = broadcast(scales[c * groups + g]);
      unroll<kRows>([&](auto r) __attribute__((always_inline)) { totals[r][c] += scale * parts[r][c]; });
    });
  }
  unroll<kRows>([&](auto r) __attribute__((always_inline)) {
    unroll<kCount>([&](auto c) __attribute__((always_inline)) { sums[r][c] = horizontal_sum(totals[r][c]); });
  });
}

// y [kRows, n] at the columns [begin, end), whose scales are given.
template <int kRows, class E, class Code>
void multiply(const Matrix<Code>& matrix, const float* x, const float* scales, const E* bias, int64_t begin,
              int64_t end, int64_t n, E* y) {
  int64_t j = begin;
  const auto columns = [&]<int kCount>(std::integral_constant<int, kCount>) {
    for (; j + kCount <= end; j += kCount) {
      float sums[kRows][kCount];
      dot_products<kRows, kCount>(matrix, x, j, scales + (j - begin) * matrix.groups, sums);
      for (int r = 0; r < kRows; ++r) {
        for (int c = 0; c < kCount; ++c) {
          y[r * n + j + c] = E(sums[r][c] + (bias == nullptr ? 0 : static_cast<float>(bias[j + c])));
        }
      }
    }
  };
  columns(std::integral_constant<int, kColumns<kRows>>{});
  columns(std::integral_constant<int, 1>{});
}

template <class E>
const float* as_floats(const E* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
  return to;
}

template <class E, class Code>
void quantized_matmul(KernelContext& ctx, const Command& cmd) {
  const TensorView &x = cmd.input(0), &codes = cmd.input(1), &scales = cmd.input(2), &bias = cmd.input(3);
  const TensorView& y = cmd.output(0);
  const int64_t m = x.shape[0], k = x.shape[1], n = y.shape[1], groups = scales.shape[1];
  const Matrix<Code> matrix{codes.as<const Code>(), k, groups};
  const E* const given = bias.present() ? bias.as<const E>() : nullptr;
  const float* rows;
  if constexpr (std::is_same_v<E, float>) rows = x.as<const float>();
  else rows = as_floats(x.as<const E>(), m * k, ctx.scratch<float>(m * k));
  const int64_t some = std::max<int64_t>(1, kTaskBytes * kCodesPerByte<Code> / k / 4) * 4;
  ctx.parallel_ranges(n, some, [&](int64_t begin, int64_t end) {
    const E* const own = scales.as<const E>() + begin * groups;
    const int64_t count = (end - begin) * groups;
    const float* factors;
    if constexpr (std::is_same_v<E, float>) factors = own;
    else factors = as_floats(own, count, ctx.thread_scratch<float>(count));
    const auto multiply_rows = [&]<int kRows>(int64_t r, std::integral_constant<int, kRows>) {
      multiply<kRows>(matrix, rows + r * k, factors, given, begin, end, n, y.as<E>() + r * n);
    };
    int64_t r = 0;
    for (; r + kMostRows <= m; r += kMostRows) multiply_rows(r, std::integral_constant<int, kMostRows>{});
    if (m - r == 3) multiply_rows(r, std::integral_constant<int, 3>{});
    if (m - r == 2) multiply_rows(r, std::integral_constant<int, 2>{});
    if (m - r == 1) multiply_rows(r, std::integral_constant<int, 1>{});
  });
}

template <class E, class Code>
void quantize(KernelContext& ctx, const Command& cmd) {
  const TensorView &w = cmd.input(0), &codes = cmd.output(0), &scales = cmd.output(1);
  const int64_t groups = scales.numel(), group = w.numel() / groups;
  ctx.parallel_ranges(groups, kTaskElements / group, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      quantize_group(w.as<const E>() + g * group, group, codes.as<Code>() + g * group / kCodesPerByte<Code>,
                     scales.as<E>() + g);
    }
  });
}

template <class E, class Code>
void dequantize(KernelContext& ctx, const Command& cmd) {
  const TensorView &codes = cmd.input(0), &scales = cmd.input(1), &w = cmd.output(0);
  const int64_t n = w.shape[0], k = w.shape[1], groups = scales.shape[1], group = k / groups;
  ctx.parallel_ranges(n * groups, kTaskElements / group, [&](int64_t begin, int64_t end) {
    const Code* block = codes.as<const Code>() + begin * group / kCodesPerByte<Code>;
    E* to = w.as<E>() + begin * group;
    for (int64_t g = begin; g < end; ++g) {
      const auto scale = static_cast<Compute<E>>(scales.as<const E>()[g]);
      for (int64_t p = 0; p < group; p += kCodeBlock, block += kCodeBlockBytes<Code>, to += kCodeBlock) {
        unroll<kVectors>([&](auto i) {
          const Floats values = codes_of<i>(block);
          if constexpr (std::is_same_v<E, double>) {
            for (int lane = 0; lane < kWidth; ++lane) to[i * kWidth + lane] = values[lane] * scale;
          } else {
            store(to + i * kWidth, values * scale);
          }
        });
      }
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(quantizedMatmul) {
  visit_codes(cmd.input(1).dtype, [&]<class Code>() {
    visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() {
      if constexpr (!std::is_same_v<E, double>) quantized_matmul<E, Code>(ctx, cmd);
    });
  });
}

HADAL_CPU_KERNEL(quantize) {
  visit_codes(cmd.output(0).dtype, [&]<class Code>() {
    visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class E>() { quantize<E, Code>(ctx, cmd); });
  });
}

HADAL_CPU_KERNEL(dequantize) {
  visit_codes(cmd.input(0).dtype, [&]<class Code>() {
    visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() { dequantize<E, Code>(ctx, cmd); });
  });
}

}  // namespace hadal::cpu
