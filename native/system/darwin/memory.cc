#include "system/memory.h"

#include <sys/mman.h>
#include <sys/sysctl.h>

#include <cstdint>
#include <cstdlib>

namespace hadal {

size_t total_memory() {
  uint64_t total = 0;
  size_t size = sizeof total;
  return sysctlbyname("hw.memsize", &total, &size, nullptr, 0) == 0 ? static_cast<size_t>(total) : SIZE_MAX;
}

// Files and compressed pages give way, and swap grows, by the system's own judgement.
size_t available_memory() { return SIZE_MAX; }

std::byte* map_memory(size_t bytes) {
  void* const address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  return address == MAP_FAILED ? nullptr : static_cast<std::byte*>(address);
}

void unmap_memory(std::byte* memory, size_t bytes) { munmap(memory, bytes); }

void* allocate_aligned(size_t alignment, size_t bytes) { return std::aligned_alloc(alignment, bytes); }

void free_aligned(void* memory) { std::free(memory); }

}  // namespace hadal
