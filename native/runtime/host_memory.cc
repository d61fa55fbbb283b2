// The machine's memory as a source of blocks: anonymous mappings on huge pages, within one limit for the process.
#include <algorithm>
#include <atomic>

#include "runtime/memory_source.h"
#include "system/memory.h"

namespace hadal {

namespace {

class HostMemory final : public MemorySource {
 public:
  std::byte* map(size_t bytes) override {
    const size_t limit = limit_.load(), mapped = mapped_.load();
    if (bytes > limit || mapped > limit - bytes) return nullptr;
    // Overcommit would let the mapping pass and the kernel kill the process later; asking costs 20 µs, so only for large ones.
    if (bytes >= (size_t{64} << 20) && bytes > available_memory()) return nullptr;
    std::byte* const memory = map_memory(bytes);
    if (memory == nullptr) return nullptr;
    mapped_ += bytes;
    return memory;
  }

  void unmap(std::byte* memory, size_t bytes) override {
    unmap_memory(memory, bytes);
    mapped_ -= bytes;
  }

  size_t available() const override {
    const size_t limit = limit_.load(), mapped = mapped_.load();
    return std::min(limit > mapped ? limit - mapped : 0, available_memory());
  }
  void set_limit(size_t bytes) override { limit_ = bytes; }

 private:
  std::atomic<size_t> mapped_{0};
  // A tenth is left to JavaScript, code and scratch memory.
  std::atomic<size_t> limit_{total_memory() / 10 * 9};
};

}  // namespace

MemorySource& host_memory() {
  static HostMemory& memory = *new HostMemory;
  return memory;
}

}  // namespace hadal
