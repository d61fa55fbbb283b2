#include "system/fence.h"

#include <windows.h>

namespace hadal {

// Under Wine (8.0) FlushProcessWriteBuffers does nothing.
const bool heavy_fence_reaches_all = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == nullptr;

void heavy_fence() {
  if (heavy_fence_reaches_all) {
    FlushProcessWriteBuffers();
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

}  // namespace hadal
