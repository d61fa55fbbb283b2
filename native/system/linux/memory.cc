#include "system/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

namespace hadal {

namespace {

size_t first_number_in(const char* path) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!word.empty() && word[0] >= '0' && word[0] <= '9') return std::stoull(word);
  }
  return SIZE_MAX;
}

}  // namespace

size_t total_memory() {
  size_t total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    total = std::min(total, first_number_in(path));
  }
  return total;
}

size_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  size_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes >> unit) {
    if (key == "MemAvailable:") return kilobytes << 10;
  }
  return SIZE_MAX;
}

std::byte* map_memory(size_t bytes) {
  // Room to align to a huge page; the ends are given back.
  const size_t padded = bytes + kHugePage;
  void* address = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(address);
  auto* aligned = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(start) + kHugePage - 1) & ~(kHugePage - 1));
  if (aligned != start) munmap(start, static_cast<size_t>(aligned - start));
  const size_t tail = padded - static_cast<size_t>(aligned - start) - bytes;
  if (tail != 0) munmap(aligned + bytes, tail);
  madvise(aligned, bytes, MADV_HUGEPAGE);
  return aligned;
}

void unmap_memory(std::byte* memory, size_t bytes) { munmap(memory, bytes); }

void* allocate_aligned(size_t alignment, size_t bytes) {
  void* const memory = std::aligned_alloc(alignment, bytes);
  if (memory != nullptr && alignment == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void free_aligned(void* memory) { std::free(memory); }

}  // namespace hadal
