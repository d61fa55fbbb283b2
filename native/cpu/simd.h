// Vectors of the instruction-set level this file is compiled for: Vec<float> is 16 lanes on x86-64-v4, 8 on v3, 4 on v2 and
// NEON. A GCC/Clang vector type, so + - * / comparisons and `mask ? a : b` work as on scalars, and one expression serves both.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "runtime/half.h"

namespace hadal::cpu {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kVectorRegisters = 32;
#else
inline constexpr int kVectorRegisters = 16;
#endif

template <class T, int kBytes = kVectorBytes>
  requires std::is_arithmetic_v<T>
struct VecOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class V>
using LaneOf = std::remove_cvref_t<decltype(std::declval<V>()[0])>;
template <class V>
concept Vector = requires(V v) { v[0]; } && !std::is_pointer_v<V>;

#if defined(__AVX512F__)
// The mask of the zero-masking intrinsics, which serve in place of the plain ones: GCC 12 warns about the undefined source
// operand inside those.
inline constexpr __mmask16 kAllLanes = 0xffff;
#endif

template <class T>
inline Vec<T> broadcast(T value) {
  return value - Vec<T>{};
}
template <class T>
inline Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
inline void store(T* to, Vec<T> v) {
  std::memcpy(to, &v, sizeof v);
}
// A store past the caches, of a whole aligned vector.
template <class T>
inline void stream(T* to, Vec<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) _mm512_stream_ps(to, (__m512)v);
  else _mm512_stream_pd(to, (__m512d)v);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) _mm256_stream_ps(to, (__m256)v);
  else _mm256_stream_pd(to, (__m256d)v);
#elif defined(__SSE2__)
  if constexpr (sizeof(T) == 4) _mm_stream_ps(to, (__m128)v);
  else _mm_stream_pd(to, (__m128d)v);
#else
  store(to, v);
#endif
}
// After the last of them, before another thread reads what they wrote.
inline void finish_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}
// The first `count` lanes (0 < count < kLanes); the others become `fill`. Nothing beyond them is touched.
template <class T>
inline Vec<T> load_partial(const T* from, int count, T fill = T(0)) {
  Vec<T> v = broadcast(fill);
#if defined(__AVX512F__)
  const uint64_t lanes = (uint64_t{1} << count) - 1;
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm512_mask_loadu_epi64((__m512i)v, static_cast<__mmask8>(lanes), from);
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_mask_loadu_epi32((__m512i)v, static_cast<__mmask16>(lanes), from);
  if constexpr (sizeof(T) == 2) return (Vec<T>)_mm512_mask_loadu_epi16((__m512i)v, static_cast<__mmask32>(lanes), from);
  if constexpr (sizeof(T) == 1) return (Vec<T>)_mm512_mask_loadu_epi8((__m512i)v, lanes, from);
#else
#if defined(__aarch64__)
  // Without a loop: a call of memcpy would take the vectors around it out of their registers.
  if constexpr (kLanes<T> <= 4) {
    if (kLanes<T> == 2 || count == 1) {
      v[0] = from[0];
      return v;
    }
    std::memcpy(&v, from, kVectorBytes / 2);
    if (count == 3) v[2 % kLanes<T>] = from[2];
    return v;
  }
#endif
  std::memcpy(&v, from, static_cast<size_t>(count) * sizeof(T));
  return v;
#endif
}
template <class T>
inline void store_partial(T* to, Vec<T> v, int count) {
#if defined(__AVX512F__)
  const uint64_t lanes = (uint64_t{1} << count) - 1;
  if constexpr (sizeof(T) == 8) _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(lanes), (__m512i)v);
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(lanes), (__m512i)v);
  if constexpr (sizeof(T) == 2) _mm512_mask_storeu_epi16(to, static_cast<__mmask32>(lanes), (__m512i)v);
  if constexpr (sizeof(T) == 1) _mm512_mask_storeu_epi8(to, lanes, (__m512i)v);
#else
#if defined(__aarch64__)
  if constexpr (kLanes<T> <= 4) {
    if (kLanes<T> == 2 || count == 1) {
      to[0] = v[0];
      return;
    }
    std::memcpy(to, &v, kVectorBytes / 2);
    if (count == 3) to[2] = v[2 % kLanes<T>];
    return;
  }
#endif
  std::memcpy(to, &v, static_cast<size_t>(count) * sizeof(T));
#endif
}

// Integers as the wider ones T of a whole vector, width by width: GCC 12 takes a conversion apart lane by lane if it
// widens by more than two, and on arm64 every one.
template <class T, class Narrow>
inline Vec<T> widen_lanes(Narrow v) {
  using Lane = LaneOf<Narrow>;
  if constexpr (sizeof(Lane) == sizeof(T)) {
    return (Vec<T>)v;
  } else {
#if defined(__aarch64__)
    constexpr bool kSigned = std::is_signed_v<Lane>;
    using Word = std::conditional_t<sizeof v == 2, uint16_t, std::conditional_t<sizeof v == 4, uint32_t, uint64_t>>;
    Word word;
    std::memcpy(&word, &v, sizeof word);  // of a longer one the first half
    const uint64x1_t low = vcreate_u64(word);
    if constexpr (sizeof(Lane) == 1) {
      if constexpr (kSigned) return widen_lanes<T>((Vec<int16_t>)vmovl_s8((int8x8_t)low));
      else return widen_lanes<T>((Vec<uint16_t>)vmovl_u8((uint8x8_t)low));
    } else if constexpr (sizeof(Lane) == 2) {
      if constexpr (kSigned) return widen_lanes<T>((Vec<int32_t>)vmovl_s16((int16x4_t)low));
      else return widen_lanes<T>((Vec<uint32_t>)vmovl_u16((uint16x4_t)low));
    } else {
      if constexpr (kSigned) return (Vec<T>)vmovl_s32((int32x2_t)low);
      else return (Vec<T>)vmovl_u32((uint32x2_t)low);
    }
#else
    using Wider =
        std::conditional_t<sizeof(Lane) == 1, uint16_t, std::conditional_t<sizeof(Lane) == 2, uint32_t, uint64_t>>;
    return widen_lanes<T>(__builtin_convertvector(v, typename VecOf<Wider, kLanes<T> * sizeof(Wider)>::type));
#endif
  }
}
// Integers of a whole vector as narrower ones, of which the low bits stay.
template <class Narrow, class V>
inline Narrow narrow_lanes(V v) {
#if defined(__aarch64__)
  if constexpr (sizeof(LaneOf<V>) > sizeof(LaneOf<Narrow>)) {
    constexpr int kHalf = sizeof(LaneOf<V>) / 2;
    using Half = Vec<std::conditional_t<kHalf == 4, uint32_t, std::conditional_t<kHalf == 2, uint16_t, uint8_t>>>;
    return [&]<int... i>(std::integer_sequence<int, i...>) {
      const auto halves = (Half)v;
      return narrow_lanes<Narrow>(Half(__builtin_shufflevector(halves, halves, (2 * i % sizeof...(i))...)));
    }(std::make_integer_sequence<int, kVectorBytes / kHalf>{});
  } else {
    Narrow narrow;
    std::memcpy(&narrow, &v, sizeof narrow);
    return narrow;
  }
#else
  return __builtin_convertvector(v, Narrow);
#endif
}

// Sixteen-bit floats travel as float: one vector of floats from kLanes<float> half-width elements.
inline Vec<float> load(const BFloat16* from) {
  typedef uint16_t Half __attribute__((vector_size(kVectorBytes / 2)));
  Half h;
  std::memcpy(&h, from, sizeof h);
  return reinterpret_cast<Vec<float>>(widen_lanes<uint32_t>(h) << 16);
}
inline void store(BFloat16* to, Vec<float> v) {
  typedef uint16_t Half __attribute__((vector_size(kVectorBytes / 2)));
  const auto word = reinterpret_cast<Vec<uint32_t>>(v);
  const Vec<uint32_t> rounded = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
  const Vec<uint32_t> quiet = (word >> 16) | 0x40u;
  const Half h = __builtin_convertvector((v != v) ? quiet : rounded, Half);
  std::memcpy(static_cast<void*>(to), &h, sizeof h);
}
inline Vec<float> load(const Float16* from) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_maskz_cvtph_ps(kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(__F16C__)
  return (Vec<float>)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#elif defined(__aarch64__)
  float16x4_t h;
  std::memcpy(&h, from, sizeof h);
  return (Vec<float>)vcvt_f32_f16(h);
#else
  Vec<float> v;
  for (int i = 0; i < kLanes<float>; ++i) v[i] = from[i];
  return v;
#endif
}
inline void store(Float16* to, Vec<float> v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_maskz_cvtps_ph(kAllLanes, (__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__)
  const float16x4_t h = vcvt_f16_f32((float32x4_t)v);
  std::memcpy(static_cast<void*>(to), &h, sizeof h);
#else
  for (int i = 0; i < kLanes<float>; ++i) to[i] = Float16(v[i]);
#endif
}
template <class Half>
  requires(sizeof(Half) == 2 && !std::is_integral_v<Half>)
inline Vec<float> load_partial(const Half* from, int count, float fill = 0) {
  Half padded[kLanes<float>] = {};
#if defined(__AVX512F__)
  const auto lanes = static_cast<__mmask16>((1u << count) - 1);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(padded), _mm256_maskz_loadu_epi16(lanes, from));
#elif defined(__aarch64__)
  for (int i = 0; i < 3; ++i) padded[i] = i < count ? from[i] : Half();
#else
  std::memcpy(static_cast<void*>(padded), from, static_cast<size_t>(count) * sizeof(Half));
#endif
  Vec<int32_t> index;
  for (int i = 0; i < kLanes<float>; ++i) index[i] = i;
  return index < count ? load(padded) : broadcast(fill);  // not by padding: `fill` need not be a 16-bit float
}
template <class Half>
  requires(sizeof(Half) == 2 && !std::is_integral_v<Half>)
inline void store_partial(Half* to, Vec<float> v, int count) {
  Half padded[kLanes<float>];
  store(padded, v);
#if defined(__AVX512F__)
  const auto lanes = static_cast<__mmask16>((1u << count) - 1);
  _mm256_mask_storeu_epi16(to, lanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(padded)));
#elif defined(__aarch64__)
  to[0] = padded[0];
  if (count > 1) to[1] = padded[1];
  if (count > 2) to[2] = padded[2];
#else
  std::memcpy(static_cast<void*>(to), padded, static_cast<size_t>(count) * sizeof(Half));
#endif
}

// Square root and the four roundings of every lane, one instruction each where there is one. kMode counts as the
// processor does: 0 to nearest (ties to even), 1 down, 2 up, 3 towards zero.
template <int kMode, class V>
inline V round_lanes(V v) {
#if defined(__AVX512F__)
  constexpr int kControl = kMode | _MM_FROUND_NO_EXC;
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm512_maskz_roundscale_ps(kAllLanes, (__m512)v, kControl);
  else return (V)_mm512_maskz_roundscale_pd(kAllLanes & 0xff, (__m512d)v, kControl);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm256_round_ps((__m256)v, kMode | _MM_FROUND_NO_EXC);
  else return (V)_mm256_round_pd((__m256d)v, kMode | _MM_FROUND_NO_EXC);
#elif defined(__SSE4_1__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm_round_ps((__m128)v, kMode | _MM_FROUND_NO_EXC);
  else return (V)_mm_round_pd((__m128d)v, kMode | _MM_FROUND_NO_EXC);
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<V, Vec<float>>) {
    const auto x = (float32x4_t)v;
    if constexpr (kMode == 0) return (V)vrndnq_f32(x);
    if constexpr (kMode == 1) return (V)vrndmq_f32(x);
    if constexpr (kMode == 2) return (V)vrndpq_f32(x);
    if constexpr (kMode == 3) return (V)vrndq_f32(x);
  } else {
    const auto x = (float64x2_t)v;
    if constexpr (kMode == 0) return (V)vrndnq_f64(x);
    if constexpr (kMode == 1) return (V)vrndmq_f64(x);
    if constexpr (kMode == 2) return (V)vrndpq_f64(x);
    if constexpr (kMode == 3) return (V)vrndq_f64(x);
  }
#else
  for (int i = 0; i < kLanes<LaneOf<V>>; ++i) {
    if constexpr (kMode == 0) v[i] = std::nearbyint(v[i]);
    if constexpr (kMode == 1) v[i] = std::floor(v[i]);
    if constexpr (kMode == 2) v[i] = std::ceil(v[i]);
    if constexpr (kMode == 3) v[i] = std::trunc(v[i]);
  }
  return v;
#endif
}
template <class V>
inline V vsqrt(V v) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vec<float>>) {
    // From the 14-bit estimate of 1 / sqrt v by one Newton step and a correction that makes it correctly rounded: 2.3 times
    // as fast as the instruction.
    const V estimate = (V)_mm512_maskz_rsqrt14_ps(kAllLanes, (__m512)v);
    V root = v * estimate, half = estimate * 0.5f;
    const V error = 0.5f - root * half;
    root = root + root * error;
    half = half + half * error;
    root = root + (v - root * root) * half;
    return ((v == 0.0f) | (v == std::numeric_limits<float>::infinity())) ? v : root;
  } else return (V)_mm512_maskz_sqrt_pd(kAllLanes & 0xff, (__m512d)v);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm256_sqrt_ps((__m256)v);
  else return (V)_mm256_sqrt_pd((__m256d)v);
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm_sqrt_ps((__m128)v);
  else return (V)_mm_sqrt_pd((__m128d)v);
#else
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)vsqrtq_f32((float32x4_t)v);
  else return (V)vsqrtq_f64((float64x2_t)v);
#endif
}
// Whether any lane of a comparison is true.
template <class Mask>
inline bool any_lane(Mask mask) {
#if defined(__AVX512F__)
  if constexpr (sizeof(LaneOf<Mask>) == 4) return _mm512_movepi32_mask((__m512i)mask) != 0;
  else return _mm512_movepi64_mask((__m512i)mask) != 0;
#else
  uint64_t words[sizeof(Mask) / 8], found = 0;
  std::memcpy(words, &mask, sizeof mask);
  for (const uint64_t word : words) found |= word;
  return found != 0;
#endif
}

// A vector of floats as two of doubles and back, for what needs more than 24 bits on the way.
struct DoublePair {
  Vec<double> low, high;
};
typedef float HalfFloats __attribute__((vector_size(kVectorBytes / 2)));
inline DoublePair widen(Vec<float> v) {
#if defined(__aarch64__)
  const auto x = (float32x4_t)v;
  return {(Vec<double>)vcvt_f64_f32(vget_low_f32(x)), (Vec<double>)vcvt_high_f64_f32(x)};
#else
  HalfFloats halves[2];
  std::memcpy(halves, &v, sizeof v);
  return {__builtin_convertvector(halves[0], Vec<double>), __builtin_convertvector(halves[1], Vec<double>)};
#endif
}
inline Vec<float> narrow(DoublePair pair) {
#if defined(__aarch64__)
  return (Vec<float>)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)pair.low), (float64x2_t)pair.high);
#else
  const HalfFloats halves[2] = {__builtin_convertvector(pair.low, HalfFloats),
                                __builtin_convertvector(pair.high, HalfFloats)};
  Vec<float> v;
  std::memcpy(&v, halves, sizeof v);
  return v;
#endif
}

#if defined(__aarch64__)
// sum + v · a lane of `factors`, which is a number or a vector.
template <int kLane, class V, class F>
[[gnu::always_inline]] inline V multiply_add_lane(F factors, V v, V sum) {
  if constexpr (sizeof(sum[0]) == 4) {
    asm("fmla %0.4s, %2.4s, %1.s[%3]" : "+w"(sum) : "w"(factors), "w"(v), "n"(kLane));
  } else {
    asm("fmla %0.2d, %2.2d, %1.d[%3]" : "+w"(sum) : "w"(factors), "w"(v), "n"(kLane));
  }
  return sum;
}
#endif
// sum + factor · v.
template <class V>
[[gnu::always_inline]] inline V multiply_add(LaneOf<V> factor, V v, V sum) {
#if defined(__aarch64__)
  // The compiler would load the factor into all lanes, which the units that multiply have to help with.
  return multiply_add_lane<0>(factor, v, sum);
#else
  return sum + factor * v;
#endif
}

// Lane-wise minimum and maximum that keep the second operand when either is NaN (the hardware's rule).
template <class V>
inline V vmin(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm512_maskz_min_ps(kAllLanes, (__m512)a, (__m512)b);
  if constexpr (std::is_same_v<V, Vec<double>>) return (V)_mm512_maskz_min_pd(kAllLanes & 0xff, (__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm256_min_ps((__m256)a, (__m256)b);
  if constexpr (std::is_same_v<V, Vec<double>>) return (V)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm_min_ps((__m128)a, (__m128)b);
  if constexpr (std::is_same_v<V, Vec<double>>) return (V)_mm_min_pd((__m128d)a, (__m128d)b);
#endif
  return a < b ? a : b;
}
template <class V>
inline V vmax(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm512_maskz_max_ps(kAllLanes, (__m512)a, (__m512)b);
  if constexpr (std::is_same_v<V, Vec<double>>) return (V)_mm512_maskz_max_pd(kAllLanes & 0xff, (__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm256_max_ps((__m256)a, (__m256)b);
  if constexpr (std::is_same_v<V, Vec<double>>) return (V)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<V, Vec<float>>) return (V)_mm_max_ps((__m128)a, (__m128)b);
  if constexpr (std::is_same_v<V, Vec<double>>) return (V)_mm_max_pd((__m128d)a, (__m128d)b);
#endif
  return a > b ? a : b;
}
// Horizontal folds, in a fixed tree order: halves onto each other.
template <class V, class F>
inline LaneOf<V> fold(V v, F&& combine) {
  using T = LaneOf<V>;
  constexpr int kCount = sizeof(V) / sizeof(T);
  T lanes[kCount];
  std::memcpy(lanes, &v, sizeof v);
  for (int half = kCount / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] = combine(lanes[i], lanes[i + half]);
  }
  return lanes[0];
}
template <class V>
inline LaneOf<V> horizontal_sum(V v) {
  return fold(v, [](auto a, auto b) { return a + b; });
}
template <class V>
inline LaneOf<V> horizontal_max(V v) {
#if defined(__aarch64__)
  // The same tree in registers: numbers would be compared by branches.
  if constexpr (sizeof(LaneOf<V>) == 4) {
    v = vmax(v, V(__builtin_shufflevector(v, v, 2, 3, 0, 1)));
    return vmax(v, V(__builtin_shufflevector(v, v, 1, 0, 3, 2)))[0];
  } else {
    return vmax(v, V(__builtin_shufflevector(v, v, 1, 0)))[0];
  }
#else
  return fold(v, [](auto a, auto b) { return a > b ? a : b; });
#endif
}

}  // namespace hadal::cpu
