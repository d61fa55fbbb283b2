// Products of pairs of bfloat16, 32 × 32 sums of float at once: in the tile registers of AMX (Intel's cores since Sapphire Rapids), at
// fourteen times the rate of float multiply-adds (measured there: 6,300 against 447 GFLOP/s on two cores), and of float as sums of three
// bfloat16 (kFloatParts below) at twice the rate; or in vectors where those multiply pairs (AMD's cores since Zen 4), at twice the rate
// (measured on Zen 5: 940 against 470). Owns the instructions and the registers' set-up; packing and blocking are the
// callers': gemm.cc, conv*.cc, attention_pairs.cc.
#pragma once

#include <cstdint>

#include "cpu/simd.h"

namespace hadal::cpu {

// Most rows and vectors of columns of a product: 2 × 2 tiles of 16 × 16 sums, beside which two of a and two of b fill the eight
// registers. k comes in steps of a tile's row, 64 bytes.
inline constexpr int kPairRows = 32;
inline constexpr int kPairVectors = 2;
inline constexpr int64_t kPairStep = 32;

// A float of 24 bits is the sum of three bfloat16 of 8, each the rest of the one before, rounded to nearest. Of the nine products of two such
// sums, six are computed; the other three are less than 2⁻²³ of the whole. The tiles add up 32 of k before they round to the
// sum so far, so that all in all errors are below those of multiply-adds one after the other. What the parts cannot hold (see is_split)
// needs those.
inline constexpr int kFloatParts = 3;

// Whether processor and system have AMX with bfloat16.
bool has_amx();
// Whether PairTiles multiply bfloat16, by AMX or in vectors. Parts of float take AMX.
bool has_pair_tiles();

// c[r, j] = or += Σ_s Σ_k a_s[r, k] · b_s[k, j] for j < 16 · vectors and two tiles of up to 16 rows: r < rows, and 16 ≤ r < 16 + lower_rows with
// row 16 of a `a_lower` elements from row 0. Segment s lies a_offsets[s] elements of a and b_offsets[s] of b further on. A row of a is
// adjacent along a step of k; b holds pairs as pack_pairs writes them, a float for two neighbours in k, `b_row` floats from one pair to
// the next. Sums are of float, in the order of k; subnormals count as zero. With kFloatParts parts, largest first, each `a_part` elements
// of a and `b_part` floats of b from the one before, the product is that of their sums.
struct PairProduct {
  int rows = 0;
  int lower_rows = 0;
  int vectors = 0;
  int64_t steps = 0;              // of kPairStep, of each segment
  int64_t pairs = kPairStep / 2;  // of a step; those behind them are zero, or not there where AMX is not
  int64_t segments = 1;
  const int64_t* a_offsets = nullptr;  // null: one segment at a and b themselves
  const int64_t* b_offsets = nullptr;
  const BFloat16* a = nullptr;
  int64_t a_row = 0;
  int64_t a_lower = 0;
  int64_t a_step = kPairStep;  // from one step of k to the next
  const float* b = nullptr;
  int64_t b_row = 0;
  int64_t b_step = 0;    // from one step of k to the next; 0: that of its rows
  int64_t b_right = 16;  // from the first vector of columns to the second
  int parts = 1;         // 1 or kFloatParts
  int64_t a_part = 0;
  int64_t b_part = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  bool accumulate = false;
  const float* from = nullptr;  // what is added to; null: c
  int64_t from_row = 0;
  // What a later product reads, brought to the L2 cache between the steps; as much as there is time for.
  const char* fetch = nullptr;
  const char* fetch_end = nullptr;
};

#if defined(__AVX512F__)
// Two vectors as 32 of bfloat16, subnormals as zero. Every processor with pair tiles has the instruction, which the files are not compiled for.
inline __m512i round_to_halves(Vec<float> low, Vec<float> high) {
  __m512i halves;
  asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(halves) : "v"(high), "v"(low));
  return halves;
}
#endif
// Rounds rows of 32 sums to bfloat16; past the caches where `streams`, which asks for aligned rows.
void store_sums(const float* sums, int64_t sums_row, int64_t rows, BFloat16* to, int64_t to_row, bool streams);

// Multiplies on the calling thread. AMX's registers keep their set-up from product to product while this lives.
class PairTiles {
 public:
  PairTiles() = default;
  PairTiles(const PairTiles&) = delete;
  PairTiles& operator=(const PairTiles&) = delete;
  ~PairTiles();
  void multiply(const PairProduct& product);

 private:
  [[maybe_unused]] int rows_ = 0, lower_rows_ = 0;  // that they are set up for; 0: not at all
};

}  // namespace hadal::cpu
