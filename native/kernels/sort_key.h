// Unsigned keys that ascend as elements do: NaN counts as larger than every number, -0 as 0. Used by both devices; called by
// the kernels that sort and search.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "runtime/half.h"

namespace hadal {

template <int kBytes>
using UnsignedOf =
    std::conditional_t<kBytes == 8, uint64_t,
                       std::conditional_t<kBytes == 4, uint32_t, std::conditional_t<kBytes == 2, uint16_t, uint8_t>>>;

template <class T>
using KeyOf = UnsignedOf<sizeof(T)>;

// Without branches, so that loops over it become vector code.
template <class T>
HADAL_HD inline KeyOf<T> key_of(T x) {
  using Key = KeyOf<T>;
  constexpr Key kSign = static_cast<Key>(Key{1} << (8 * sizeof(T) - 1));
  if constexpr (std::is_same_v<T, bool> || std::is_unsigned_v<T>) {
    return static_cast<Key>(x);
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<Key>(static_cast<Key>(x) ^ kSign);
  } else {
    constexpr Key kInfinity = std::is_same_v<T, double>     ? static_cast<Key>(0x7ff0000000000000u)
                              : std::is_same_v<T, float>    ? static_cast<Key>(0x7f800000u)
                              : std::is_same_v<T, BFloat16> ? static_cast<Key>(0x7f80u)
                                                            : static_cast<Key>(0x7c00u);
    const Key bits = std::bit_cast<Key>(x);
    const Key magnitude = static_cast<Key>(bits & static_cast<Key>(~kSign));
    const Key signed_key = static_cast<Key>((bits & kSign) != 0 ? ~bits : bits | kSign);
    const Key key = magnitude == 0 ? kSign : signed_key;
    return magnitude > kInfinity ? static_cast<Key>(~Key{0}) : key;
  }
}

// The bits of the element that has a key; false for keys of several, which are 0 and NaN.
template <class T>
HADAL_HD inline bool bits_of_key(KeyOf<T> key, KeyOf<T>& bits) {
  using Key = KeyOf<T>;
  constexpr Key kSign = static_cast<Key>(Key{1} << (8 * sizeof(T) - 1));
  if constexpr (std::is_same_v<T, bool> || std::is_unsigned_v<T>) {
    bits = key;
    return true;
  } else if constexpr (std::is_integral_v<T>) {
    bits = static_cast<Key>(key ^ kSign);
    return true;
  } else {
    bits = static_cast<Key>((key & kSign) != 0 ? key ^ kSign : ~key);
    return key != kSign && key != static_cast<Key>(~Key{0});
  }
}

}  // namespace hadal
