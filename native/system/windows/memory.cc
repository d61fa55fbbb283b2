#include "system/memory.h"

#include <malloc.h>
#include <windows.h>

namespace hadal {

namespace {

MEMORYSTATUSEX status() {
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  GlobalMemoryStatusEx(&status);
  return status;
}

}  // namespace

size_t total_memory() { return status().ullTotalPhys; }

size_t available_memory() { return status().ullAvailPhys; }

// Huge pages are a privilege that hardly an account has.
std::byte* map_memory(size_t bytes) {
  return static_cast<std::byte*>(VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
}

void unmap_memory(std::byte* memory, size_t) { VirtualFree(memory, 0, MEM_RELEASE); }

void* allocate_aligned(size_t alignment, size_t bytes) { return _aligned_malloc(bytes, alignment); }

void free_aligned(void* memory) { _aligned_free(memory); }

}  // namespace hadal
