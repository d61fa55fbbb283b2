// Finds races in kernels: two accesses to the same bytes by two threads, one of them a write, that nothing orders. Barriers order
// threads, of a block or, as __syncwarp, of a warp, and turns that are passed on order blocks; shuffles, votes and products do not.
// The compiler tells of accesses as it does for thread sanitizers (-fsanitize=thread), by functions that are in races.cc. Called by
// device.cc and runtime.cc; does nothing unless it is built with EMULATOR_RACES.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator::races {

enum class Access { kRead, kWrite, kAtomic };

// Where threads meet: a barrier of the block, or a warp.
inline constexpr int kMeetings = 48;
inline int meeting_of_barrier(int index) { return index; }
inline int meeting_of_warp(int warp) { return 16 + warp; }

#if defined(EMULATOR_RACES)

// Memory of the device, and memory that each block has anew.
void add_memory(const void* memory, size_t bytes);
void add_shared(const void* memory, size_t bytes);
void remove(const void* memory);

void start_launch();
void end_launch();
void start_block(int threads);

// What a thread has done when it arrives is done before what those do who leave.
void arrive(int meeting, int thread);
void leave(int meeting, int thread);
void close(int meeting);
// The same for blocks.
void pass_turn(const void* counter);
void take_turn(const void* counter);

// An access of the running thread that the compiler does not tell of.
void note(const void* memory, size_t bytes, Access access);

#else

inline void add_memory(const void*, size_t) {}
inline void add_shared(const void*, size_t) {}
inline void remove(const void*) {}
inline void start_launch() {}
inline void end_launch() {}
inline void start_block(int) {}
inline void arrive(int, int) {}
inline void leave(int, int) {}
inline void close(int) {}
inline void pass_turn(const void*) {}
inline void take_turn(const void*) {}
inline void note(const void*, size_t, Access) {}

#endif

}  // namespace emulator::races
