// The caching allocator of a stream. Ordered by the stream: a freed block may be handed out again at once, because
// every later use comes later in the stream. One per environment, used on its JS thread only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/memory_source.h"

namespace hadal {

struct MemoryStatistics {
  size_t live = 0;      // bytes of storages in use
  size_t cached = 0;    // bytes kept for reuse
  size_t peak = 0;      // highest `live`
  size_t storages = 0;  // storages in use
};

struct Block {
  std::byte* data = nullptr;
  size_t capacity = 0;
  size_t bytes = 0;       // asked for
  uint64_t freed_at = 0;  // sequence number of the last command submitted before it was freed; 0 for fresh memory
};

class Allocator {
 public:
  // Of large blocks no more is kept for reuse than `spare` bytes and twice what was in use at once: a program of ever
  // other sizes would keep some memory of each.
  Allocator(MemorySource& source, size_t spare) : source_(source), spare_(spare) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // At least max(bytes, 1), 64-byte aligned, uninitialised. An empty block when the limit or the machine says no, or when too
  // much is kept: release_cache() may help. A huge one that is new takes the place of as much that is kept, of what is idle
  // when so many commands as `completed` says have run; of nothing if that is null.
  Block allocate(size_t bytes, const std::atomic<uint64_t>* completed);
  void free(Block block, uint64_t sequence);
  // Gives cached large blocks back to the system. The stream must be idle.
  void release_cache();

  const MemoryStatistics& statistics() const { return statistics_; }
  void reset_peak() { statistics_.peak = statistics_.live; }

 private:
  static int size_class(size_t bytes);
  static size_t class_size(int size_class);
  void make_room(size_t bytes, uint64_t completed);
  void unmap(std::byte* memory, size_t bytes);

  MemorySource& source_;
  size_t spare_;
  size_t cached_large_ = 0;  // bytes of large blocks kept for reuse
  size_t most_live_ = 0;     // highest `live` ever
  std::vector<std::vector<Block>> free_lists_;
  std::vector<std::byte*> slabs_;  // mappings that small blocks are cut from
  size_t slab_used_ = 0;
  MemoryStatistics statistics_;
};

}  // namespace hadal
