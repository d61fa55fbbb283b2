// The machine's memory as a source of blocks: anonymous mappings on huge pages, within one limit for the process.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>

#include "runtime/memory_source.h"

namespace hadal {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t first_number_in(const char* path) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!word.empty() && word[0] >= '0' && word[0] <= '9') return std::stoull(word);
  }
  return SIZE_MAX;
}

size_t default_limit() {
  size_t total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    total = std::min(total, first_number_in(path));
  }
  // A tenth is left to JavaScript, code and scratch memory.
  return total / 10 * 9;
}

size_t system_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  size_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes >> unit) {
    if (key == "MemAvailable:") return kilobytes << 10;
  }
  return SIZE_MAX;
}

class HostMemory final : public MemorySource {
 public:
  std::byte* map(size_t bytes) override {
    const size_t limit = limit_.load(), mapped = mapped_.load();
    if (bytes > limit || mapped > limit - bytes) return nullptr;
    // Overcommit would let the mapping pass and the kernel kill the process later; asking costs 20 µs, so only for large ones.
    if (bytes >= (size_t{64} << 20) && bytes > system_available()) return nullptr;
    // Room to align to a huge page; the ends are given back.
    const size_t padded = bytes + kHugePage;
    void* address = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) return nullptr;
    auto* start = static_cast<std::byte*>(address);
    auto* aligned =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(start) + kHugePage - 1) & ~(kHugePage - 1));
    if (aligned != start) munmap(start, static_cast<size_t>(aligned - start));
    const size_t tail = padded - static_cast<size_t>(aligned - start) - bytes;
    if (tail != 0) munmap(aligned + bytes, tail);
    madvise(aligned, bytes, MADV_HUGEPAGE);
    mapped_ += bytes;
    return aligned;
  }

  void unmap(std::byte* memory, size_t bytes) override {
    munmap(memory, bytes);
    mapped_ -= bytes;
  }

  size_t available() const override {
    const size_t limit = limit_.load(), mapped = mapped_.load();
    return std::min(limit > mapped ? limit - mapped : 0, system_available());
  }
  void set_limit(size_t bytes) override { limit_ = bytes; }

 private:
  std::atomic<size_t> mapped_{0};
  std::atomic<size_t> limit_{default_limit()};
};

}  // namespace

MemorySource& host_memory() {
  static HostMemory& memory = *new HostMemory;
  return memory;
}

}  // namespace hadal
