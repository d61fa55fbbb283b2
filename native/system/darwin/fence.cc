#include "system/fence.h"

namespace hadal {

const bool heavy_fence_reaches_all = false;

void heavy_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace hadal
