// Packing of float as sums of three bfloat16 (kFloatParts) for the tile registers of AMX: strips of a in rows, panels of b in pairs, from any
// strides. Owns the rounding and what counts as ordinary. Called by gemm.cc, attention_pairs.cc, conv_one_tap.cc,
// conv_winograd.cc.
#pragma once

#include "cpu/gemm_pack.h"
#include "cpu/pair_tiles.h"

namespace hadal::cpu {

// Where the parts of 16 lanes (rows of a, columns of b) × 32 of k go: as rows of 32 bfloat16, one per lane, or as 16 pairs of neighbours in k,
// one row of lanes each. A row is `row` floats from the one before (whole tiles: 16), a part `part` floats.
enum class SplitOrder : uint8_t { kRows, kPairs };
struct SplitTarget {
  float* to = nullptr;
  int64_t row = 16;
  int64_t part = 0;
  SplitOrder order = SplitOrder::kRows;
};

#if defined(__AVX512F__)

// Whether all floats seen so far are the sums of their parts: zero, or from 2⁻¹⁰² (below, the last part could be subnormal, which AMX takes
// for zero) to less than 2¹²⁷ (from there on the first part could be infinite, as it is for infinity and NaN).
class SplitRange {
 public:
  void see(Vec<float> x) {
    const Vec<uint32_t> magnitude = (Vec<uint32_t>)x & 0x7fffffffu;
    const Vec<uint32_t> nonzero = magnitude - 1;  // zero wraps to the largest
    most_ = magnitude > most_ ? magnitude : most_;
    least_ = nonzero < least_ ? nonzero : least_;
  }
  // … and still are when they grow or shrink by 2^margin.
  bool holds(int margin = 0) const {
    const int least = (127 - 102 + margin) << 23, end = (127 + 127 - margin) << 23;
    return _mm512_cmp_epu32_mask((__m512i)most_, _mm512_set1_epi32(end), _MM_CMPINT_NLT) == 0 &&
           _mm512_cmp_epu32_mask((__m512i)least_, _mm512_set1_epi32(least - 1), _MM_CMPINT_LT) == 0;
  }

 private:
  Vec<uint32_t> most_{};
  Vec<uint32_t> least_ = ~Vec<uint32_t>{};
};

// The next part of x, which loses it: both exact.
[[gnu::always_inline]] inline Vec<float> take_part(Vec<float>& x) {
  const auto part = (Vec<float>)(((Vec<uint32_t>)x + 0x8000u) & 0xffff0000u);
  x -= part;
  return part;
}

// Parts of neighbours in k, lane by lane.
[[gnu::always_inline]] inline Vec<float> pair_parts(Vec<float> even, Vec<float> odd) {
  return (Vec<float>)((Vec<uint32_t>)even >> 16 | (Vec<uint32_t>)odd);
}

// Stores the parts of x as bfloat16, each `part` floats behind the one before.
[[gnu::always_inline]] inline void store_parts(Vec<float> x, float* to, int64_t part) {
  unroll<kFloatParts>([&](auto i) __attribute__((always_inline)) {
    __m256i halves;
    const Vec<float> rounded = i < kFloatParts - 1 ? take_part(x) : x;
    asm("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(rounded));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i * part), halves);
  });
}

// Splits from[lane · lane_stride + k · step] for lane < lanes ≤ 16 and k < depth ≤ 32; the rest of the square becomes zero.
inline void split_square(const float* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t depth,
                         const SplitTarget& target, SplitRange& range) {
  constexpr int kWidth = kLanes<float>;
  Vec<float> words[kFloatParts][kWidth];
  const bool along_lanes = lane_stride == 1 && step != 1;
  if (along_lanes) {
    const auto mask = static_cast<__mmask16>((1u << lanes) - 1);
    const auto at = [&](int64_t k) __attribute__((always_inline)) {
      return k < depth ? (Vec<float>)_mm512_maskz_loadu_ps(mask, from + k * step) : Vec<float>{};
    };
    for (int i = 0; i < kWidth; ++i) {
      Vec<float> even = at(2 * i), odd = at(2 * i + 1);
      range.see(even);
      range.see(odd);
      unroll<kFloatParts>([&](auto part) __attribute__((always_inline)) {
        const Vec<float> low = take_part(even), high = take_part(odd);
        words[part][i] = pair_parts(low, high);
      });
    }
  } else {
    float gathered[kWidth][2 * kWidth];
    if (step != 1) {
      for (int64_t lane = 0; lane < lanes; ++lane) {
        for (int64_t k = 0; k < depth; ++k) gathered[lane][k] = from[lane * lane_stride + k * step];
      }
      from = gathered[0];
      lane_stride = 2 * kWidth;
    }
    const auto mask = static_cast<uint32_t>((uint64_t{1} << depth) - 1);
    for (int i = 0; i < kWidth; ++i) {
      Vec<float> left{}, right{};
      if (i < lanes) {
        left = (Vec<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from + i * lane_stride);
        right = (Vec<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), from + i * lane_stride + kWidth);
      }
      range.see(left);
      range.see(right);
      unroll<kFloatParts>([&](auto part) __attribute__((always_inline)) {
        const Vec<float> low = take_part(left), high = take_part(right);
        words[part][i] = (Vec<float>)round_to_halves(low, high);
      });
    }
  }
  for (int part = 0; part < kFloatParts; ++part) {
    if (along_lanes != (target.order == SplitOrder::kPairs)) transpose<float>(words[part]);
    float* const to = target.to + part * target.part;
    for (int i = 0; i < kWidth; ++i) store(to + i * target.row, words[part][i]);
  }
}

#else  // No processor that these levels are for has AMX.
class SplitRange {
 public:
  void see(Vec<float>) {}
  bool holds(int = 0) const { return false; }
};
inline void store_parts(Vec<float>, float*, int64_t) {}
inline void split_square(const float*, int64_t, int64_t, int64_t, int64_t, const SplitTarget&, SplitRange&) {}
#endif

}  // namespace hadal::cpu
