// Takes the place of native/cuda/device/instructions.cuh: the same functions, on the emulated device. Fragments are those of the PTX
// ISA, "Matrix multiply-accumulate operation using mma instruction" for m16n8k16 and "ldmatrix".
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "runtime/half.h"

namespace hadal::cuda {

inline void copy_part_async(uint32_t to, const void* from, int bytes) { emulator::copy_later(to, from, bytes); }
template <bool = false>
void copy_async(uint32_t to, const void* from, bool copies) {
  copy_part_async(to, from, copies ? 16 : 0);
}
inline void copies_commit() { emulator::commit_copies(); }
template <int kPending = 0>
void copies_wait() {
  emulator::wait_for_copies(kPending);
}

EMULATOR_ATOMIC inline uint64_t load_relaxed(const uint64_t* from) {
  emulator::note_atomic(from, sizeof(*from));
  return *from;
}
EMULATOR_ATOMIC inline void store_relaxed(uint64_t* to, uint64_t word) {
  emulator::note_atomic(to, sizeof(*to));
  *to = word;
}

template <class T>
T load_shared(uint32_t address) {
  return *static_cast<const T*>(emulator::shared_memory(address, sizeof(T), sizeof(T)));
}

inline void store_shared(uint32_t address, const float (&from)[4]) {
  auto* to = static_cast<float*>(emulator::shared_memory(address, 16, 16));
  for (int i = 0; i < 4; ++i) to[i] = from[i];
  emulator::has_written();
}

inline void barrier_sync(int index, int threads) { emulator::wait(index, static_cast<unsigned>(threads), false); }
inline void barrier_arrive(int index, int threads) { emulator::arrive(index, static_cast<unsigned>(threads)); }

// Lanes 8 i to 8 i + 7 bring the addresses of the rows of matrix i.
inline void load_matrices(uint32_t (&to)[4], uint32_t address) {
  const uint32_t* all = emulator::meet(emulator::Meeting::kLoadMatrices, 0xffffffffu, &address, 1);
  const int lane = emulator::lane();
  for (int i = 0; i < 4; ++i) {
    const auto* row =
        static_cast<const uint32_t*>(emulator::shared_memory(all[(8 * i + lane / 4) * emulator::kMaxWords], 16, 16));
    to[i] = row[lane % 4];
  }
}
inline void load_matrices_transposed(uint32_t (&to)[4], uint32_t address) {
  const uint32_t* all = emulator::meet(emulator::Meeting::kLoadMatrices, 0xffffffffu, &address, 1);
  const int lane = emulator::lane();
  const auto element = [&](int i, int row, int column) -> uint32_t {
    return static_cast<const uint16_t*>(
        emulator::shared_memory(all[(8 * i + row) * emulator::kMaxWords], 16, 16))[column];
  };
  for (int i = 0; i < 4; ++i) {
    to[i] = element(i, lane % 4 * 2, lane / 4) | element(i, lane % 4 * 2 + 1, lane / 4) << 16;
  }
}

template <class T>
float number_of(uint32_t bits) {
  if constexpr (std::is_same_v<T, BFloat16>) return __uint_as_float(bits << 16);
  else return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
}

template <class T>
void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  // As numbers: a's elements, in the order of the registers, then b's.
  const uint32_t pairs[6] = {a[0], a[1], a[2], a[3], b0, b1};
  float mine[12];
  for (int i = 0; i < 6; ++i) {
    mine[2 * i] = number_of<T>(pairs[i] & 0xffff);
    mine[2 * i + 1] = number_of<T>(pairs[i] >> 16);
  }
  static_assert(emulator::kMaxWords == 12);
  uint32_t words[12];
  std::memcpy(words, mine, sizeof(mine));
  const uint32_t* all = emulator::meet(emulator::Meeting::kMultiply, 0xffffffffu, words, 12);
  const int lane = emulator::lane();
  const auto number = [&](int from, int place) { return __uint_as_float(all[from * emulator::kMaxWords + place]); };
  for (int e = 0; e < 4; ++e) {
    const int row = lane / 4, lower = e / 2, column = lane % 4 * 2 + e % 2;  // row + 8 where `lower`
    float sum = c[e];
    for (int k = 0; k < 16; ++k) {
      const int owner = k % 8 / 2, right = k / 8;
      sum += number(row * 4 + owner, 4 * right + 2 * lower + k % 2) * number(column * 4 + owner, 8 + 2 * right + k % 2);
    }
    c[e] = sum;
  }
}

template <class T>
uint32_t pack_pair(float first, float second) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return __bfloat16_as_ushort(__float2bfloat16_rn(first)) |
           static_cast<uint32_t>(__bfloat16_as_ushort(__float2bfloat16_rn(second))) << 16;
  } else {
    return __half_as_ushort(__float2half_rn(first)) | static_cast<uint32_t>(__half_as_ushort(__float2half_rn(second)))
                                                          << 16;
  }
}

inline float exp2_fast(float x) {
  const float y = ::exp2f(x);
  return y < 0x1p-126f ? 0.f : y;
}

}  // namespace hadal::cuda
