// Products of warpgroups, the 128 threads of four warps, by the instructions that sm_90a has for them: the right factor, and the left
// one if it likes, lie in shared memory, and the product runs beside the threads until it is waited for. Each warp has 16 of the
// 64 rows of a sum, in the fragments that device/mma.cuh tells of. Tiles are given by the descriptions that device/tile.cuh makes.
// And what else such kernels need of sm_90: registers shared out anew, and sums in memory that blocks add to in turn.
// Tests on an emulated device have a header of their own in this one's place.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/half.h"

namespace hadal::cuda {

// Whether this is code for a device that has them. sm_90 without the `a`, and every other architecture, does not.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kHasWarpgroups = true;
#else
inline constexpr bool kHasWarpgroups = false;
#endif

// Makes what this thread and its copies have written to shared memory visible to products and to copies out of it.
__device__ __forceinline__ void publish_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Before the first product, and before one whose registers the threads have written since.
__device__ __forceinline__ void warpgroup_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void warpgroup_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most kPending of the groups committed are still running; `sum` is of one that is not.
template <int kPending, int kBlocks>
__device__ __forceinline__ void warpgroup_wait(float (&sum)[kBlocks][4]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#pragma unroll
  for (int i = 0; i < kBlocks; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(sum[i][e])::"memory");  // not to be read above the wait
  }
}

#define HADAL_BLOCK(i) "+f"(sum[i][0]), "+f"(sum[i][1]), "+f"(sum[i][2]), "+f"(sum[i][3])

// sum [64, kColumns] = a [64, 16] · bᵀ, or += it, both of them 16 columns of tiles; kByRows: aᵀ · b, both of them 16 rows.
template <class T, int kColumns, bool kByRows = false>
__device__ __forceinline__ void warpgroup_multiply_transposed(float (&sum)[kColumns / 8][4], uint64_t a, uint64_t b,
                                                              int adds) {
  static_assert(kColumns == 64 || kColumns == 128);
  if constexpr (kColumns == 64 && std::is_same_v<T, BFloat16>) {
    asm volatile(
        "{ .reg .pred adds; setp.ne.b32 adds, %34, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, "
        "%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, "
        "%27, %28, %29, %30, %31}, %32, %33, adds, 1, 1, %35, %35; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7)
        : "l"(a), "l"(b), "r"(adds), "n"(kByRows ? 1 : 0));
  } else if constexpr (kColumns == 64 && std::is_same_v<T, Float16>) {
    asm volatile(
        "{ .reg .pred adds; setp.ne.b32 adds, %34, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, "
        "%10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, "
        "%28, %29, %30, %31}, %32, %33, adds, 1, 1, %35, %35; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7)
        : "l"(a), "l"(b), "r"(adds), "n"(kByRows ? 1 : 0));
  } else if constexpr (kColumns == 128 && std::is_same_v<T, BFloat16>) {
    asm volatile(
        "{ .reg .pred adds; setp.ne.b32 adds, %66, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, "
        "%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, "
        "%27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, "
        "%45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, "
        "%63}, %64, %65, adds, 1, 1, %67, %67; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7), HADAL_BLOCK(8), HADAL_BLOCK(9), HADAL_BLOCK(10), HADAL_BLOCK(11),
          HADAL_BLOCK(12), HADAL_BLOCK(13), HADAL_BLOCK(14), HADAL_BLOCK(15)
        : "l"(a), "l"(b), "r"(adds), "n"(kByRows ? 1 : 0));
  } else if constexpr (kColumns == 128 && std::is_same_v<T, Float16>) {
    asm volatile(
        "{ .reg .pred adds; setp.ne.b32 adds, %66, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, "
        "%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, "
        "%27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, "
        "%45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, "
        "%63}, %64, %65, adds, 1, 1, %67, %67; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7), HADAL_BLOCK(8), HADAL_BLOCK(9), HADAL_BLOCK(10), HADAL_BLOCK(11),
          HADAL_BLOCK(12), HADAL_BLOCK(13), HADAL_BLOCK(14), HADAL_BLOCK(15)
        : "l"(a), "l"(b), "r"(adds), "n"(kByRows ? 1 : 0));
  }
}
// sum [64, kColumns] += a [64, 16] · b for 16 rows of a tile b.
template <class T, int kColumns>
__device__ __forceinline__ void warpgroup_multiply(float (&sum)[kColumns / 8][4], const uint32_t (&a)[4], uint64_t b) {
  static_assert(kColumns == 64 || kColumns == 128);
  if constexpr (kColumns == 64 && std::is_same_v<T, BFloat16>) {
    asm volatile(
        "{ .reg .pred adds; setp.eq.b32 adds, 0, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, "
        "%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, "
        "%27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, adds, 1, 1, 1; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  } else if constexpr (kColumns == 64 && std::is_same_v<T, Float16>) {
    asm volatile(
        "{ .reg .pred adds; setp.eq.b32 adds, 0, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, "
        "%10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, "
        "%28, %29, %30, %31}, {%32, %33, %34, %35}, %36, adds, 1, 1, 1; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  } else if constexpr (kColumns == 128 && std::is_same_v<T, BFloat16>) {
    asm volatile(
        "{ .reg .pred adds; setp.eq.b32 adds, 0, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, "
        "%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, "
        "%27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, "
        "%45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, "
        "%63}, {%64, %65, %66, %67}, %68, adds, 1, 1, 1; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7), HADAL_BLOCK(8), HADAL_BLOCK(9), HADAL_BLOCK(10), HADAL_BLOCK(11),
          HADAL_BLOCK(12), HADAL_BLOCK(13), HADAL_BLOCK(14), HADAL_BLOCK(15)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  } else if constexpr (kColumns == 128 && std::is_same_v<T, Float16>) {
    asm volatile(
        "{ .reg .pred adds; setp.eq.b32 adds, 0, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, "
        "%9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, "
        "%27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, "
        "%45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, "
        "%63}, {%64, %65, %66, %67}, %68, adds, 1, 1, 1; }"
        : HADAL_BLOCK(0), HADAL_BLOCK(1), HADAL_BLOCK(2), HADAL_BLOCK(3), HADAL_BLOCK(4), HADAL_BLOCK(5),
          HADAL_BLOCK(6), HADAL_BLOCK(7), HADAL_BLOCK(8), HADAL_BLOCK(9), HADAL_BLOCK(10), HADAL_BLOCK(11),
          HADAL_BLOCK(12), HADAL_BLOCK(13), HADAL_BLOCK(14), HADAL_BLOCK(15)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  }
}
#undef HADAL_BLOCK

// Four 8 × 8 matrices to shared memory; lanes 8 i to 8 i + 7 give the rows of matrix i.
__device__ __forceinline__ void store_matrices(uint32_t address, const uint32_t (&from)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(from[0]),
               "r"(from[1]), "r"(from[2]), "r"(from[3])
               : "memory");
}

// All threads of a warpgroup have kCount registers each from now on, fewer than before, or more once others have released them.
template <int kCount>
__device__ __forceinline__ void release_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void claim_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// Writes floats from shared memory to memory, or adds them to what is there, and waits until that is done. Of a multiple of 16 bytes.
__device__ __forceinline__ void store_bulk(float* to, uint32_t from, uint32_t bytes) {
  asm volatile(
      "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
      "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;" ::"l"(__cvta_generic_to_global(to)),
      "r"(from), "r"(bytes)
      : "memory");
}
__device__ __forceinline__ void add_bulk(float* to, uint32_t from, uint32_t bytes) {
  asm volatile(
      "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;"
      "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;" ::"l"(__cvta_generic_to_global(to)),
      "r"(from), "r"(bytes)
      : "memory");
}

// Waits until the counter is at `turn`: then what was added before it was passed on is there for the copies above to add to.
__device__ __forceinline__ void wait_for_turn(const unsigned* counter, unsigned turn) {
  unsigned now;
  do {
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(__cvta_generic_to_global(counter)) : "memory");
  } while (now != turn);
  asm volatile("fence.proxy.async.global;" ::: "memory");
}
__device__ __forceinline__ void pass_turn(unsigned* counter, unsigned turn) {
  asm volatile("fence.proxy.async.global; st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(counter)),
               "r"(turn)
               : "memory");
}

#else  // named, never called

__device__ void warpgroup_begin();
__device__ void warpgroup_commit();
template <int kPending, int kBlocks>
__device__ void warpgroup_wait(float (&)[kBlocks][4]);
template <class T, int kColumns, bool kByRows = false>
__device__ void warpgroup_multiply_transposed(float (&)[kColumns / 8][4], uint64_t, uint64_t, int);
template <class T, int kColumns>
__device__ void warpgroup_multiply(float (&)[kColumns / 8][4], const uint32_t (&)[4], uint64_t);
__device__ void store_matrices(uint32_t, const uint32_t (&)[4]);
template <int kCount>
__device__ void release_registers();
template <int kCount>
__device__ void claim_registers();
__device__ void store_bulk(float*, uint32_t, uint32_t);
__device__ void add_bulk(float*, uint32_t, uint32_t);
__device__ void wait_for_turn(const unsigned*, unsigned);
__device__ void pass_turn(unsigned*, unsigned);

#endif

}  // namespace hadal::cuda
