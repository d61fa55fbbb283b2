// One short pause of a spinning thread.
#pragma once

#include <atomic>

namespace hadal {

inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // takes some tens of cycles, where `yield` does nothing on most processors
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace hadal
