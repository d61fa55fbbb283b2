// How Fourier transforms are cut into passes and shared out to blocks. Plain arithmetic on sizes, so that it is tested without a GPU
// (test/native/cuda/launch_test.cc). Called by the host side of fft.cu.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace hadal::cuda {

inline constexpr int kFftBlock = 256;
// Points that a block transforms at a time: twice as many fill 64 KiB of shared memory, less than any GPU has.
template <class T>
inline constexpr int kFftPoints = (32 << 10) / (2 * static_cast<int>(sizeof(T)));
// Points of one sequence in a pass of several. Then a block has neighbours of four sequences at least of floats, two of doubles: 32 bytes,
// which memory gives at once.
inline constexpr int kFftColumn = 1024;
inline constexpr int kMostFftPasses = 12;
// Radices of a length that a block has room for.
inline constexpr int kMostFftStages = 8;

// Where point i is in shared memory: a gap after every 16, so that what is 16 points apart is in different banks.
constexpr int fft_place(int i) { return i + i / 16; }

// A transform of n points as transforms of these sizes, whose product is n.
struct FftCut {
  int passes = 0;
  int sizes[kMostFftPasses];
};
// One pass for what a block has room for, else few passes of alike sizes. n has no prime factor above kFftColumn.
inline FftCut cut_fft(int64_t n, int room) {
  FftCut cut;
  if (n <= room) {
    cut.sizes[cut.passes++] = static_cast<int>(n);
    return cut;
  }
  while (n > 1) {
    const double passes = std::ceil(std::log(static_cast<double>(n)) / std::log(kFftColumn) - 1e-9);
    const int alike = static_cast<int>(std::ceil(std::pow(static_cast<double>(n), 1 / passes) - 1e-9));
    int size = std::min(alike, kFftColumn);
    while (size <= kFftColumn && n % size != 0) ++size;
    if (size > kFftColumn) {
      for (size = std::min(alike, kFftColumn); n % size != 0;) --size;
    }
    cut.sizes[cut.passes++] = size;
    n /= size;
  }
  return cut;
}

// Sequences of `size` points that a block transforms at a time, a power of two: for whole sequences as many as have work for its threads, but
// not so many that multiprocessors are idle; of columns as many as there is room for.
inline int choose_fft_tile(int64_t sequences, int size, bool whole, int room, int multiprocessors) {
  const int most = std::max(1, (whole ? std::min(room, 8 * kFftBlock) : room) / size);
  int tile = static_cast<int>(std::bit_floor(static_cast<unsigned>(most)));
  while (whole && tile > 1 && (sequences + tile - 1) / tile < multiprocessors) tile /= 2;
  return tile;
}

}  // namespace hadal::cuda
