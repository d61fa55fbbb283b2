#include "cpu/pair_tiles.h"

#if defined(__AVX512F__)
#include <cpuid.h>
#endif

#include <algorithm>

#include "cpu/gemm_tile.h"
#include "system/processor.h"

namespace hadal::cpu {

#if defined(__AVX512F__)
namespace {

constexpr int64_t kTile = 16;  // rows of a tile, and floats of such a row

// GCC's intrinsics do not say which memory they read: what was stored before must be there.
inline void finish_stores() { asm volatile("" : : : "memory"); }

// --- In vectors ----------------------------------------------------------------------------------------------------------

// Rows of a of one distance. Fewer than eight sums in two vectors would wait for themselves.
constexpr int kVectorRows = 8;

template <int kRows, int kVectors>
void multiply_rows(const PairProduct& product, const BFloat16* a_rows, int64_t first) {
  Vec<float> sums[kRows][kVectors];
  const auto each = [](auto&& body) __attribute__((always_inline)) {
    unroll<kRows>([&](auto r) __attribute__((always_inline)) {
      unroll<kVectors>([&](auto v) __attribute__((always_inline)) { body(r, v); });
    });
  };
  each([&](auto r, auto v) __attribute__((always_inline)) { sums[r][v] = Vec<float>{}; });
  const int64_t a_row = product.a_row / 2, a_step = product.a_step / 2;  // counted in pairs
  const int64_t b_step = product.b_step != 0 ? product.b_step : kPairStep / 2 * product.b_row;
  for (int64_t segment = 0; segment < product.segments; ++segment) {
    auto* a = reinterpret_cast<const float*>(a_rows);
    const float* b = product.b;
    if (product.a_offsets != nullptr) {
      a += product.a_offsets[segment] / 2;
      b += product.b_offsets[segment];
    }
    for (int64_t step = 0; step < product.steps; ++step, a += a_step, b += b_step) {
      const float* line = b;
      for (int64_t pair = 0; pair < product.pairs; ++pair, line += product.b_row) {
        Vec<float> column[kVectors];
        unroll<kVectors>([&](auto v) __attribute__((always_inline)) { column[v] = load(line + v * product.b_right); });
        unroll<kRows>([&](auto r) __attribute__((always_inline)) {
          const Vec<float> factor = broadcast(a[r * a_row + pair]);
          unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
            sums[r][v] = multiply_add_pairs(factor, column[v], sums[r][v]);
          });
        });
      }
    }
  }
  if (product.accumulate) {
    const float* from = product.from != nullptr ? product.from : product.c;
    const int64_t from_row = product.from != nullptr ? product.from_row : product.c_row;
    each([&](auto r, auto v)
             __attribute__((always_inline)) { sums[r][v] += load(from + (first + r) * from_row + v * kTile); });
  }
  each([&](auto r, auto v)
           __attribute__((always_inline)) { store(product.c + (first + r) * product.c_row + v * kTile, sums[r][v]); });
}
template <int kRows = kVectorRows>
void multiply_rows(const PairProduct& product, int rows, const BFloat16* a, int64_t first) {
  if (rows == kRows) {
    product.vectors > 1 ? multiply_rows<kRows, 2>(product, a, first) : multiply_rows<kRows, 1>(product, a, first);
  } else if constexpr (kRows > 1) {
    multiply_rows<kRows - 1>(product, rows, a, first);
  }
}
void multiply_in_vectors(const PairProduct& product) {
  const auto multiply_tile = [&](int rows, const BFloat16* a, int64_t first) {
    for (int row = 0; row < rows; row += kVectorRows) {
      multiply_rows(product, std::min(kVectorRows, rows - row), a + row * product.a_row, first + row);
    }
  };
  multiply_tile(product.rows, product.a, 0);
  multiply_tile(product.lower_rows, product.a + product.a_lower, kTile);
}

// --- On AMX --------------------------------------------------------------------------------------------------------------

// The file is compiled for processors without AMX as well: has_amx() guards these functions.
#define HADAL_AMX_TARGET [[gnu::target("amx-tile,amx-bf16")]]

// Tiles 0 … 3 hold the sums, 4 and 5 sixteen rows of a each, 6 and 7 sixteen columns of b each.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

HADAL_AMX_TARGET void configure(int rows, int lower_rows) {
  TileConfig config;
  const auto upper = static_cast<uint8_t>(rows);
  const auto lower = static_cast<uint8_t>(lower_rows);
  const uint8_t tile_rows[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = tile_rows[tile];
  }
  asm volatile("" : : "r"(&config) : "memory");  // see finish_stores
  _tile_loadconfig(&config);
}

HADAL_AMX_TARGET void release() { _tile_release(); }

// The tiles of one step of k: of a in 4 and 5, of b in 6 and 7.
template <bool kLower>
HADAL_AMX_TARGET [[gnu::always_inline]] inline void load_a(const PairProduct& product, const BFloat16* a) {
  _tile_loadd(4, a, product.a_row * 2);
  if constexpr (kLower) _tile_loadd(5, a + product.a_lower, product.a_row * 2);
}
template <bool kRight>
HADAL_AMX_TARGET [[gnu::always_inline]] inline void load_b(const PairProduct& product, const float* b) {
  _tile_loadd(6, b, product.b_row * 4);
  if constexpr (kRight) _tile_loadd(7, b + product.b_right, product.b_row * 4);
}
template <bool kLower, bool kRight>
HADAL_AMX_TARGET [[gnu::always_inline]] inline void add_products() {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (kLower) _tile_dpbf16ps(2, 5, 6);
  if constexpr (kRight) _tile_dpbf16ps(1, 4, 7);
  if constexpr (kLower && kRight) _tile_dpbf16ps(3, 5, 7);
}

template <bool kLower, bool kRight, int kParts>
HADAL_AMX_TARGET void run(const PairProduct& product) {
  finish_stores();
  const int64_t c_bytes = product.c_row * 4;
  float* const lower_c = product.c + 16 * product.c_row;
  if (product.accumulate) {
    const float* const from = product.from != nullptr ? product.from : product.c;
    const int64_t from_row = product.from != nullptr ? product.from_row : product.c_row;
    const float* const lower = from + 16 * from_row;
    _tile_loadd(0, from, 4 * from_row);
    if constexpr (kRight) _tile_loadd(1, from + 16, 4 * from_row);
    if constexpr (kLower) _tile_loadd(2, lower, 4 * from_row);
    if constexpr (kLower && kRight) _tile_loadd(3, lower + 16, 4 * from_row);
  } else {
    _tile_zero(0);
    if constexpr (kRight) _tile_zero(1);
    if constexpr (kLower) _tile_zero(2);
    if constexpr (kLower && kRight) _tile_zero(3);
  }
  const int64_t a_part = product.a_part, b_part = product.b_part;
  const int64_t b_step = product.b_step != 0 ? product.b_step : kPairStep / 2 * product.b_row;
  // A line per product is what L3 delivers in its time; a burst of all would hold up the loads that the products wait for.
  constexpr int kLinesPerStep = kParts > 1 ? 24 : 4;
  const char* fetch = product.fetch;
  // After 1.3 µs without a multiply-add of whole vectors a core turns their unit off, and a tile's way to memory costs 0.25 µs more.
  __m512 awake = _mm512_setzero_ps();
  for (int64_t segment = 0; segment < product.segments; ++segment) {
    const BFloat16* a = product.a;
    const float* b = product.b;
    if (product.a_offsets != nullptr) {
      a += product.a_offsets[segment];
      b += product.b_offsets[segment];
    }
    for (int64_t step = 0; step < product.steps; ++step) {
      load_a<kLower>(product, a);
      if constexpr (kParts > 1) {
        load_b<kRight>(product, b + 2 * b_part);
        add_products<kLower, kRight>();
        load_b<kRight>(product, b + b_part);
        add_products<kLower, kRight>();
        load_a<kLower>(product, a + a_part);
        add_products<kLower, kRight>();
        load_b<kRight>(product, b);
        add_products<kLower, kRight>();
        load_a<kLower>(product, a + 2 * a_part);
        add_products<kLower, kRight>();
        load_a<kLower>(product, a);
      } else {
        load_b<kRight>(product, b);
      }
      add_products<kLower, kRight>();
      asm volatile("vfmadd231ps %0, %0, %0" : "+v"(awake));
      if (fetch < product.fetch_end) {
        for (int line = 0; line < kLinesPerStep; ++line) __builtin_prefetch(fetch + 64 * line, 0, 2);
        fetch += 64 * kLinesPerStep;
      }
      a += product.a_step;
      b += b_step;
    }
  }
  _tile_stored(0, product.c, c_bytes);
  if constexpr (kRight) _tile_stored(1, product.c + 16, c_bytes);
  if constexpr (kLower) _tile_stored(2, lower_c, c_bytes);
  if constexpr (kLower && kRight) _tile_stored(3, lower_c + 16, c_bytes);
}
template <int kParts>
void run(const PairProduct& product) {
  if (product.lower_rows > 0) {
    return product.vectors > 1 ? run<true, true, kParts>(product) : run<true, false, kParts>(product);
  }
  return product.vectors > 1 ? run<false, true, kParts>(product) : run<false, false, kParts>(product);
}

}  // namespace

bool has_pair_tiles() { return has_amx() || has_pair_kernels(); }

void store_sums(const float* sums, int64_t sums_row, int64_t rows, BFloat16* to, int64_t to_row, bool streams) {
  finish_stores();
  for (int64_t r = 0; r < rows; ++r, sums += sums_row, to += to_row) {
    const __m512i rounded = round_to_halves(load(sums), load(sums + 16));
    streams ? _mm512_stream_si512(reinterpret_cast<__m512i*>(to), rounded) : _mm512_storeu_si512(to, rounded);
  }
}

bool has_amx() {
  static const bool has = [] {
    // By CPUID: __builtin_cpu_supports of clang before 17 does not know of AMX.
    constexpr unsigned kBfloat16 = 1u << 22, kTile = 1u << 24;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kBfloat16) != 0 && (d & kTile) != 0 &&
           request_tile_registers();
  }();
  return has;
}

PairTiles::~PairTiles() {
  if (rows_ != 0) release();
}

void PairTiles::multiply(const PairProduct& product) {
  if (!has_amx()) return multiply_in_vectors(product);
  if (rows_ != product.rows || (product.lower_rows > 0 && lower_rows_ != product.lower_rows)) {
    rows_ = product.rows;
    lower_rows_ = product.lower_rows > 0 ? product.lower_rows : 16;
    configure(rows_, lower_rows_);
  }
  return product.parts > 1 ? run<kFloatParts>(product) : run<1>(product);
}
#else
bool has_amx() { return false; }
bool has_pair_tiles() { return false; }
PairTiles::~PairTiles() = default;
void PairTiles::multiply(const PairProduct&) {}
void store_sums(const float*, int64_t, int64_t, BFloat16*, int64_t, bool) {}
#endif

}  // namespace hadal::cpu
