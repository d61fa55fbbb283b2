// Takes the place of native/cuda/device/wgmma.cuh: products of warpgroups on the emulated device. Descriptions of tiles and fragments
// are those of the PTX ISA, "Asynchronous warpgroup level matrix instructions", with a swizzle of 128 bytes.
#pragma once

#include "cuda/device/instructions.cuh"

namespace hadal::cuda {

inline constexpr bool kHasWarpgroups = HADAL_CAPABILITY == 90;

inline void publish_copies() { emulator::publish_copies(); }
inline void warpgroup_begin() { emulator::begin_products(); }
inline void warpgroup_commit() { emulator::commit_products(); }
template <int kPending, int kBlocks>
void warpgroup_wait(float (&sum)[kBlocks][4]) {
  emulator::wait_for_products(kPending, sum[0]);
}

// A tile that a description is of. Rows are eight to a group; its numbers are counted in 16 bytes.
struct DescribedTile {
  uint32_t address, panels, groups;

  explicit DescribedTile(uint64_t description)
      : address(static_cast<uint32_t>(description & 0x3fff) << 4),
        panels(static_cast<uint32_t>(description >> 16 & 0x3fff) << 4),
        groups(static_cast<uint32_t>(description >> 32 & 0x3fff) << 4) {
    if (description >> 62 != 1) emulator::fail("a tile without a swizzle of 128 bytes");
  }
  template <class T>
  float at(uint32_t row, uint32_t column) const {
    const uint32_t plain = address + column / 64 * panels + row / 8 * groups + row % 8 * 128 + column % 64 * 2;
    const uint32_t swizzled = plain ^ (plain >> 7 & 7) << 4;
    return number_of<T>(*static_cast<const uint16_t*>(emulator::shared_memory(swizzled, 2, 2)));
  }
};

template <class T, int kColumns, bool kByRows = false>
void warpgroup_multiply_transposed(float (&sum)[kColumns / 8][4], uint64_t a, uint64_t b, int adds) {
  const int lane = emulator::lane(), warp = emulator::warp() % 4;
  const auto added = [a = DescribedTile(a), b = DescribedTile(b), adds, lane, warp](float* sum) {
    const auto at = [](const DescribedTile& tile, int place, int k) {
      return kByRows ? tile.at<T>(k, place) : tile.at<T>(place, k);
    };
    for (int half = 0; half < 2; ++half) {
      float left[16];
      for (int k = 0; k < 16; ++k) left[k] = at(a, warp * 16 + lane / 4 + 8 * half, k);
      for (int i = 0; i < kColumns / 8; ++i) {
        for (int e = 0; e < 2; ++e) {
          float& element = sum[4 * i + 2 * half + e];
          float total = adds != 0 ? element : 0.f;
          for (int k = 0; k < 16; ++k) total += left[k] * at(b, 8 * i + lane % 4 * 2 + e, k);
          element = total;
        }
      }
    }
  };
  emulator::multiply_later({sum[0], kColumns / 2, nullptr, added});
}

template <class T, int kColumns>
void warpgroup_multiply(float (&sum)[kColumns / 8][4], const uint32_t (&a)[4], uint64_t b) {
  const int lane = emulator::lane();
  const uint32_t* all = emulator::meet(emulator::Meeting::kMultiply, 0xffffffffu, a, 4);
  struct Rows {
    float at[2][16];
  } left;
  for (int half = 0; half < 2; ++half) {
    for (int k = 0; k < 16; ++k) {
      const uint32_t pair = all[(lane / 4 * 4 + k % 8 / 2) * emulator::kMaxWords + k / 8 * 2 + half];
      left.at[half][k] = number_of<T>(k % 2 == 0 ? pair & 0xffff : pair >> 16);
    }
  }
  const auto added = [left, b = DescribedTile(b), lane](float* sum) {
    for (int i = 0; i < kColumns / 8; ++i) {
      for (int e = 0; e < 4; ++e) {
        float& element = sum[4 * i + e];
        for (int k = 0; k < 16; ++k) element += left.at[e / 2][k] * b.at<T>(k, 8 * i + lane % 4 * 2 + e % 2);
      }
    }
  };
  emulator::multiply_later({sum[0], kColumns / 2, a, added});
}

// Lanes 8 i to 8 i + 7 bring the addresses of the rows of matrix i; lane 4 row + j has two elements of a row of each.
inline void store_matrices(uint32_t address, const uint32_t (&from)[4]) {
  const uint32_t* all = emulator::meet(emulator::Meeting::kLoadMatrices, 0xffffffffu, &address, 1);
  const int lane = emulator::lane();
  for (int i = 0; i < 4; ++i) {
    auto* row = static_cast<uint32_t*>(emulator::shared_memory(all[(8 * i + lane / 4) * emulator::kMaxWords], 16, 16));
    row[lane % 4] = from[i];
  }
  emulator::has_written();
}

template <int kCount>
void release_registers() {}
template <int kCount>
void claim_registers() {}

inline void store_bulk(float* to, uint32_t from, uint32_t bytes) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || bytes % 16 != 0) emulator::fail("a misaligned bulk copy");
  const auto* stored = static_cast<const float*>(emulator::shared_memory(from, bytes, 16));
  for (uint32_t i = 0; i < bytes / sizeof(float); ++i) to[i] = stored[i];
}
inline void add_bulk(float* to, uint32_t from, uint32_t bytes) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || bytes % 16 != 0) emulator::fail("a misaligned bulk copy");
  const auto* added = static_cast<const float*>(emulator::shared_memory(from, bytes, 16));
  for (uint32_t i = 0; i < bytes / sizeof(float); ++i) to[i] += added[i];
}

inline void wait_for_turn(const unsigned* counter, unsigned turn) { emulator::wait_for_turn(counter, turn); }
inline void pass_turn(unsigned* counter, unsigned turn) { emulator::pass_turn(counter, turn); }

}  // namespace hadal::cuda
