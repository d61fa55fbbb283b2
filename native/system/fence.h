// The two fences between threads that each store, and then look at what the other stores: where the system can make all threads' stores visible
// at once, the side that goes to sleep does that, and the side that is in a hurry pays nothing.
#pragma once

#include <atomic>

namespace hadal {

// Whether heavy_fence() reaches the other threads of the process.
extern const bool heavy_fence_reaches_all;

// After a store that a thread about to sleep must see, before the load of its sleep flag.
inline void light_fence() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (!heavy_fence_reaches_all) std::atomic_thread_fence(std::memory_order_seq_cst);
}

// After announcing one's sleep, before the last look at what the other thread stores.
void heavy_fence();

}  // namespace hadal
