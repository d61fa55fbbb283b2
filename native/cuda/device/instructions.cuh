// Instructions that CUDA C++ has no functions for, in PTX: asynchronous copies into shared memory, products of a warp by ldmatrix and
// mma.sync (sm_80 on), roundings of pairs and the power of two. Addresses of 32 bits are of shared memory. Tests run kernels on an
// emulated device, which has a header of its own in this one's place.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/half.h"

namespace hadal::cuda {

// Copies 16 aligned bytes to shared memory, or writes zeros there and reads nothing. Arrives after copies_wait. kCached: for what this
// multiprocessor reads again soon.
template <bool kCached = false>
__device__ __forceinline__ void copy_async(uint32_t to, const void* from, bool copies) {
  if constexpr (kCached) {
    asm volatile(
        "{ .reg .pred ignored; setp.eq.s32 ignored, %2, 0; cp.async.ca.shared.global [%0], [%1], 16, ignored; }" ::"r"(
            to),
        "l"(__cvta_generic_to_global(from)), "r"(static_cast<int>(copies))
        : "memory");
  } else {
    asm volatile(
        "{ .reg .pred ignored; setp.eq.s32 ignored, %2, 0; cp.async.cg.shared.global [%0], [%1], 16, ignored; }" ::"r"(
            to),
        "l"(__cvta_generic_to_global(from)), "r"(static_cast<int>(copies))
        : "memory");
  }
}
void copy_async(uint32_t to, const void* from, int bytes) = delete;  // which is no truth value
// The same of the first `bytes` (0 to 16) alone, with zeros behind them.
__device__ __forceinline__ void copy_part_async(uint32_t to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
               "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits for this thread's copies but those of the last kPending groups committed; a barrier then makes those of other threads visible.
template <int kPending = 0>
__device__ __forceinline__ void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Words by which blocks that run tell each other what they know. Each is whole, and says nothing of what else they have written.
__device__ __forceinline__ uint64_t load_relaxed(const uint64_t* from) {
  uint64_t word;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(word) : "l"(__cvta_generic_to_global(from)) : "memory");
  return word;
}
__device__ __forceinline__ void store_relaxed(uint64_t* to, uint64_t word) {
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "l"(word) : "memory");
}

// 8 or 16 bytes.
template <class T>
__device__ __forceinline__ T load_shared(uint32_t address) {
  T value;
  if constexpr (std::is_same_v<T, float2>) {
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(value.x), "=f"(value.y) : "r"(address) : "memory");
  } else {
    static_assert(std::is_same_v<T, uint4>);
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(address)
                 : "memory");
  }
  return value;
}

__device__ __forceinline__ void store_shared(uint32_t address, const float (&from)[4]) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(from[0]), "f"(from[1]), "f"(from[2]),
               "f"(from[3])
               : "memory");
}

// Barrier `index` of the block, for `threads` of its threads: whole warps, some of which may only tell that they have arrived.
__device__ __forceinline__ void barrier_sync(int index, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(index), "r"(threads) : "memory");
}
__device__ __forceinline__ void barrier_arrive(int index, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(index), "r"(threads) : "memory");
}

// Four 8 × 8 matrices; lanes 8 i to 8 i + 7 give the rows of matrix i.
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

// c [16, 8] += a [16, 16] · b [16, 8], in float.
template <class T>
__device__ __forceinline__ void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, "
        "%2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
        "%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// Two numbers, rounded; the first in the lower half.
template <class T>
__device__ __forceinline__ uint32_t pack_pair(float first, float second) {
  uint32_t pair;
  if constexpr (std::is_same_v<T, BFloat16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  }
  return pair;
}

// 2^x, of the hardware (2 ulp; subnormal results are 0).
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace hadal::cuda
