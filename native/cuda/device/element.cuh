// Elements on the device: between storage types and the types that arithmetic is done in, one at a time and 16 bytes at once.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <iterator>

#include "runtime/dtype.h"

namespace hadal::cuda {

// The element as a number: 16-bit floats as float, everything else as it is.
template <class T>
__device__ __forceinline__ Compute<T> load_element(const T& x) {
  if constexpr (std::is_same_v<T, BFloat16>) return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
  else if constexpr (std::is_same_v<T, Float16>) return __half2float(__ushort_as_half(x.bits));
  else return x;
}
// A number as an element, rounded once, to nearest even.
template <class T>
__device__ __forceinline__ T to_element(Compute<T> value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    T y;
    y.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
    return y;
  } else if constexpr (std::is_same_v<T, Float16>) {
    T y;
    y.bits = __half_as_ushort(__float2half_rn(value));
    return y;
  } else {
    return value;
  }
}

// kCount elements that are loaded and stored together; aligned to their whole size, 16 bytes at most.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Pack {
  T at[kCount];

  // at[i] as a number: of a bfloat16 that is half of a word its upper bits, by one instruction.
  __device__ __forceinline__ Compute<T> number(int i) const {
    if constexpr (std::is_same_v<T, BFloat16> && kCount % 2 == 0) {
      uint32_t word;
      memcpy(&word, &at[i - i % 2], sizeof word);
      return __uint_as_float(i % 2 == 0 ? word << 16 : word & 0xffff0000u);
    } else {
      return load_element(at[i]);
    }
  }
};
// Elements in 16 bytes.
template <class T>
inline constexpr int kPackSize = 16 / static_cast<int>(sizeof(T));

// A pack in memory, as accesses of 16 bytes. An assignment of packs of 16-bit elements the compiler may take apart into accesses of 2
// bytes, which it does where the place or the value depends on a condition; writing it may take apart even as words.
template <int kCount, class T>
__device__ __forceinline__ Pack<T, kCount> load_pack(const T* from) {
  Pack<T, kCount> pack;
  if constexpr (sizeof(pack) % sizeof(uint4) == 0) {
    uint4 words[sizeof(pack) / sizeof(uint4)];
#pragma unroll
    for (size_t i = 0; i < std::size(words); ++i) words[i] = reinterpret_cast<const uint4*>(from)[i];
    memcpy(&pack, words, sizeof(pack));
  } else {
    pack = *reinterpret_cast<const Pack<T, kCount>*>(from);
  }
  return pack;
}
template <class T, int kCount>
__device__ __forceinline__ void store_pack(T* to, const Pack<T, kCount>& pack) {
  if constexpr (sizeof(pack) % sizeof(uint4) == 0) {
    uint4 words[sizeof(pack) / sizeof(uint4)];
    memcpy(words, &pack, sizeof(pack));
#pragma unroll
    for (size_t i = 0; i < std::size(words); ++i) __stwb(reinterpret_cast<uint4*>(to) + i, words[i]);
  } else {
    *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
  }
}

template <class T>
inline bool is_aligned(const void* address, int64_t elements) {
  return reinterpret_cast<uintptr_t>(address) % (sizeof(T) * static_cast<size_t>(elements)) == 0;
}

}  // namespace hadal::cuda
