// Takes the place of runtime/allocator.cc: every tensor is an allocation of its own, of exactly its bytes, so that a kernel that reads
// what no kernel has written finds it full of 0xff, and the address sanitizer sees the end of each.
#include "runtime/allocator.h"

#include <algorithm>

namespace hadal {

namespace {

// A block is freed before the stream has come to its last use. By the time that so many bytes, or so many blocks, have been freed
// after it, it has.
constexpr size_t kHeldBytes = size_t{512} << 20, kHeldBlocks = 20000;

}  // namespace

// Blocks that are freed wait in free_lists_[0], the first from slab_used_ on.
Block Allocator::allocate(size_t bytes, const std::atomic<uint64_t>*) {
  if (bytes > (size_t{1} << 48)) return {};
  bytes = std::max<size_t>(bytes, 1);
  const Block block{source_.map(bytes), bytes, bytes, 0};
  if (block.data == nullptr) return {};
  statistics_.live += bytes;
  statistics_.peak = std::max(statistics_.peak, statistics_.live);
  ++statistics_.storages;
  return block;
}

void Allocator::free(Block block, uint64_t sequence) {
  block.freed_at = sequence;
  statistics_.live -= block.capacity;
  statistics_.cached += block.capacity;
  --statistics_.storages;
  if (free_lists_.empty()) free_lists_.resize(1);
  std::vector<Block>& held = free_lists_[0];
  held.push_back(block);
  while (statistics_.cached > kHeldBytes || held.size() - slab_used_ > kHeldBlocks) {
    const Block& oldest = held[slab_used_++];
    source_.unmap(oldest.data, oldest.capacity);
    statistics_.cached -= oldest.capacity;
  }
  if (slab_used_ > kHeldBlocks) {
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(slab_used_));
    slab_used_ = 0;
  }
}

void Allocator::release_cache() {
  if (free_lists_.empty()) return;
  for (size_t i = slab_used_; i < free_lists_[0].size(); ++i) {
    source_.unmap(free_lists_[0][i].data, free_lists_[0][i].capacity);
  }
  free_lists_[0].clear();
  slab_used_ = statistics_.cached = 0;
}

Allocator::~Allocator() { release_cache(); }

}  // namespace hadal
