// Included ahead of every file of a level with AVX-512 that is built with AddressSanitizer, which sees no access made by masked, streaming and
// tile instructions: this checks them too. CMakeLists.txt includes it; kernels know nothing of it.
#pragma once

#include <immintrin.h>
#include <sanitizer/asan_interface.h>

#include <bit>
#include <cstdint>
#include <cstring>

extern "C" {
void __asan_loadN(const void* from, size_t bytes);
void __asan_storeN(const void* to, size_t bytes);
}

namespace hadal::cpu::checked {

// From the first to the last lane of the mask; lanes of `size` bytes.
inline void load(uint64_t mask, const void* from, size_t size) {
  if (mask == 0) return;
  const auto first = static_cast<size_t>(std::countr_zero(mask)), end = static_cast<size_t>(std::bit_width(mask));
  __asan_loadN(static_cast<const char*>(from) + first * size, (end - first) * size);
}
inline void store(uint64_t mask, void* to, size_t size) {
  if (mask == 0) return;
  const auto first = static_cast<size_t>(std::countr_zero(mask)), end = static_cast<size_t>(std::bit_width(mask));
  __asan_storeN(static_cast<char*>(to) + first * size, (end - first) * size);
}

template <class Index>
inline void gather(uint64_t mask, Index index, const void* from, int scale, size_t size) {
  int32_t places[sizeof(Index) / sizeof(int32_t)];
  std::memcpy(places, &index, sizeof index);
  for (; mask != 0; mask &= mask - 1) {
    __asan_loadN(static_cast<const char*>(from) + int64_t{places[std::countr_zero(mask)]} * scale, size);
  }
}

// As _tile_loadconfig has it.
struct TileShapes {
  uint8_t palette, start_row, unused[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
inline thread_local TileShapes tile_shapes{};
inline void load_shapes(const void* from) { std::memcpy(&tile_shapes, from, sizeof tile_shapes); }

inline void load_tile(int tile, const void* from, int64_t stride) {
  for (int row = 0; row < tile_shapes.rows[tile]; ++row) {
    __asan_loadN(static_cast<const char*>(from) + row * stride, tile_shapes.row_bytes[tile]);
  }
}
inline void store_tile(int tile, void* to, int64_t stride) {
  for (int row = 0; row < tile_shapes.rows[tile]; ++row) {
    __asan_storeN(static_cast<char*>(to) + row * stride, tile_shapes.row_bytes[tile]);
  }
}

}  // namespace hadal::cpu::checked

// A macro does not expand its own name.
#define HADAL_CHECKED hadal::cpu::checked::
#define _mm256_maskz_loadu_epi16(mask, from) (HADAL_CHECKED load(mask, from, 2), _mm256_maskz_loadu_epi16(mask, from))
#define _mm256_mask_loadu_epi16(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 2), _mm256_mask_loadu_epi16(other, mask, from))
#define _mm256_mask_storeu_epi16(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 2), _mm256_mask_storeu_epi16(to, mask, value))
#define _mm512_maskz_loadu_epi8(mask, from) (HADAL_CHECKED load(mask, from, 1), _mm512_maskz_loadu_epi8(mask, from))
#define _mm512_maskz_loadu_epi16(mask, from) (HADAL_CHECKED load(mask, from, 2), _mm512_maskz_loadu_epi16(mask, from))
#define _mm512_maskz_loadu_epi32(mask, from) (HADAL_CHECKED load(mask, from, 4), _mm512_maskz_loadu_epi32(mask, from))
#define _mm512_maskz_loadu_epi64(mask, from) (HADAL_CHECKED load(mask, from, 8), _mm512_maskz_loadu_epi64(mask, from))
#define _mm512_maskz_loadu_ps(mask, from) (HADAL_CHECKED load(mask, from, 4), _mm512_maskz_loadu_ps(mask, from))
#define _mm512_maskz_loadu_pd(mask, from) (HADAL_CHECKED load(mask, from, 8), _mm512_maskz_loadu_pd(mask, from))
#define _mm512_mask_loadu_epi8(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 1), _mm512_mask_loadu_epi8(other, mask, from))
#define _mm512_mask_loadu_epi16(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 2), _mm512_mask_loadu_epi16(other, mask, from))
#define _mm512_mask_loadu_epi32(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 4), _mm512_mask_loadu_epi32(other, mask, from))
#define _mm512_mask_loadu_epi64(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 8), _mm512_mask_loadu_epi64(other, mask, from))
#define _mm512_mask_loadu_ps(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 4), _mm512_mask_loadu_ps(other, mask, from))
#define _mm512_mask_loadu_pd(other, mask, from) \
  (HADAL_CHECKED load(mask, from, 8), _mm512_mask_loadu_pd(other, mask, from))
#define _mm512_mask_storeu_epi8(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 1), _mm512_mask_storeu_epi8(to, mask, value))
#define _mm512_mask_storeu_epi16(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 2), _mm512_mask_storeu_epi16(to, mask, value))
#define _mm512_mask_storeu_epi32(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 4), _mm512_mask_storeu_epi32(to, mask, value))
#define _mm512_mask_storeu_epi64(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 8), _mm512_mask_storeu_epi64(to, mask, value))
#define _mm512_mask_storeu_ps(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 4), _mm512_mask_storeu_ps(to, mask, value))
#define _mm512_mask_storeu_pd(to, mask, value) \
  (HADAL_CHECKED store(mask, to, 8), _mm512_mask_storeu_pd(to, mask, value))
#define _mm512_stream_ps(to, value) (HADAL_CHECKED store(1, to, 64), _mm512_stream_ps(to, value))
#define _mm512_stream_pd(to, value) (HADAL_CHECKED store(1, to, 64), _mm512_stream_pd(to, value))
#define _mm512_stream_si512(to, value) (HADAL_CHECKED store(1, to, 64), _mm512_stream_si512(to, value))
#define _mm512_mask_i32gather_ps(other, mask, index, from, scale) \
  (HADAL_CHECKED gather(mask, index, from, scale, 4), _mm512_mask_i32gather_ps(other, mask, index, from, scale))
#define _mm512_mask_i32gather_pd(other, mask, index, from, scale) \
  (HADAL_CHECKED gather(mask, index, from, scale, 8), _mm512_mask_i32gather_pd(other, mask, index, from, scale))
#define _tile_loadconfig(from) (HADAL_CHECKED load_shapes(from), _tile_loadconfig(from))
#undef _tile_loadd
#define _tile_loadd(tile, from, stride)          \
  do {                                           \
    HADAL_CHECKED load_tile(tile, from, stride); \
    _tile_loadd_internal(tile, from, stride);    \
  } while (false)
#undef _tile_stored
#define _tile_stored(tile, to, stride)          \
  do {                                          \
    HADAL_CHECKED store_tile(tile, to, stride); \
    _tile_stored_internal(tile, to, stride);    \
  } while (false)
