// How places with channels are shared out to blocks. Plain arithmetic on sizes, so that it is tested without a GPU
// (test/native/cuda/launch_test.cc). Called by the host side of the kernels of sampling and boxes.
#pragma once

#include <cstdint>

namespace hadal::cuda {

// A block for kernels that do the same at a place for many channels: places side by side, and groups of threads that take
// channels in turn.
inline constexpr int kChannelBlock = 256;
struct ChannelShape {
  int places, groups;
};
// As few groups as fill the device, so that what a place has to work out once is worked out rarely; eight places at least side by
// side are whole sectors of memory.
inline ChannelShape shape_channels(int64_t places, int64_t channels, int multiprocessors) {
  const int64_t wanted = int64_t{multiprocessors} * 2048;
  int groups = 1;
  while (groups < kChannelBlock / 8 && groups < channels && places * groups < wanted) groups *= 2;
  return {kChannelBlock / groups, groups};
}

}  // namespace hadal::cuda
