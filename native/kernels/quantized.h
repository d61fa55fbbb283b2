// How matrices of whole numbers of few bits are laid out, for both devices. A row of k weights is cut into groups of equal length, a multiple of
// kCodeBlock, and weight = code · the group's scale. Codes of 8 bits are int8, one after the other. Two codes of 4 bits, from -8 to 7, are one uint8: byte i of
// a block of 32 has code i in its lower half and code i + 16 in its upper, both plus 8, so that halves become vectors of neighbours.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "runtime/dtype.h"
#include "runtime/half.h"

namespace hadal {

inline constexpr int kCodeBlock = 32;

template <class Code>
inline constexpr int kCodesPerByte = sizeof(Code) == 1 && Code(-1) < Code(0) ? 1 : 2;

// The bytes of a block.
template <class Code>
inline constexpr int kCodeBlockBytes = kCodeBlock / kCodesPerByte<Code>;

// body<Code>(), by the dtype of the codes.
template <class F>
void visit_codes(DType codes, F&& body) {
  if (codes == DType::kInt8) body.template operator()<int8_t>();
  else body.template operator()<uint8_t>();
}

// Scales of 4 bits are tried at so many parts of the one that the largest weight needs, in steps of 5 %: it is cut off where others gain more.
inline constexpr int kScaleParts = 6;

// The codes and the scale of a group: of 8 bits the largest weight has the largest code, of 4 the squared error is the least of some.
template <class Code, class E>
HADAL_HD inline void quantize_group(const E* from, int64_t count, Code* codes, E* scale) {
  using T = Compute<E>;
  constexpr bool kPacked = kCodesPerByte<Code> == 2;
  constexpr T kLow = kPacked ? -8 : -127, kHigh = kPacked ? 7 : 127;
  T most = 0;
  for (int64_t i = 0; i < count; ++i) {
    const T size = std::abs(static_cast<T>(from[i]));
    if (size > most || size != size) most = size;  // what is not a number stays
  }
  // Of what is not a number the lowest.
  const auto code = [&](int64_t i, T s) {
    const T x = std::rint(static_cast<T>(from[i]) / s);
    return x > kLow ? (x < kHigh ? x : kHigh) : kLow;
  };
  T chosen = 0, least = 0;
  for (int part = 0; part < (kPacked ? kScaleParts : 1); ++part) {
    // Codes go with the scale as it is stored.
    const E stored = static_cast<E>(most * (1 - static_cast<T>(0.05) * part) / kHigh);
    const T s = static_cast<T>(stored);
    T sums[kCodeBlock] = {};
    for (int64_t p = 0; kPacked && p < count; p += kCodeBlock) {
      for (int i = 0; i < kCodeBlock; ++i) {
        const T error = code(p + i, s) * s - static_cast<T>(from[p + i]);
        sums[i] += error * error;
      }
    }
    for (int i = 1; i < kCodeBlock; ++i) sums[0] += sums[i];
    if (part > 0 && !(sums[0] < least)) continue;
    chosen = s;
    least = sums[0];
    *scale = stored;
  }
  const T divisor = chosen == 0 ? T(1) : chosen;
  for (int64_t p = 0; p < count; p += kCodeBlock) {
    if constexpr (kPacked) {
      for (int i = 0; i < kCodeBlock / 2; ++i) {
        const int lower = static_cast<int>(code(p + i, divisor)),
                  upper = static_cast<int>(code(p + i + kCodeBlock / 2, divisor));
        codes[p / 2 + i] = static_cast<Code>((lower + 8) | (upper + 8) << 4);
      }
    } else {
      for (int i = 0; i < kCodeBlock; ++i) codes[p + i] = static_cast<Code>(code(p + i, divisor));
    }
  }
}

}  // namespace hadal
