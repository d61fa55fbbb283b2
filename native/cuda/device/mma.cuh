// Products of 16-bit tiles on tensor cores: how tiles lie in shared memory and sums in registers. device/instructions.cuh has the
// instructions for warps, device/wgmma.cuh those for warpgroups, with the same fragments.
//
// A tile of [rows, columns] lies in panels of 64 columns: a row of a panel is 128 bytes, whose 16-byte pieces are exchanged by the
// row (piece ^ row % 8), so that eight rows of one piece meet no bank twice. It begins at a multiple of 1,024 bytes.
//
// Fragments, as the hardware has them, of thread `lane` in a warp: of a 16 × 8 block of a sum, elements 0, 1 of its four lie in
// row lane / 4, 2, 3 in row lane / 4 + 8, in columns 2 (lane % 4) and the next.
#pragma once

#include <cstdint>

#include "cuda/device/element.cuh"
#include "cuda/device/instructions.cuh"
#include "cuda/device/reduce.cuh"

namespace hadal::cuda {

// The launch's dynamic shared memory, from a multiple of 1,024 bytes on: ask for kSharedSlack bytes more.
inline constexpr size_t kSharedSlack = 1024;
__device__ __forceinline__ uint32_t aligned_shared() {
  extern __shared__ uint4 hadal_dynamic_shared[];
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(hadal_dynamic_shared));
  return (address + 1023) & ~uint32_t{1023};
}

}  // namespace hadal::cuda
