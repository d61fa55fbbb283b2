// Scratch memory of the running kernel: blocks are kept from kernel to kernel, the largest first, so that most kernels allocate
// nothing. Used on the queue's thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

#include "runtime/poison.h"

namespace hadal {

// `Memory` has allocate(bytes), which answers null when there is none, and free(memory).
template <class Memory>
class ScratchArena {
 public:
  // One that `keeps` gives no memory back, since what has been launched is launched again.
  explicit ScratchArena(bool keeps = false) : keeps_(keeps) {}
  ScratchArena(const ScratchArena&) = delete;
  ScratchArena& operator=(const ScratchArena&) = delete;
  ~ScratchArena() {
    for (const Block& block : blocks_) Memory::free(block.data);
  }

  // 256-byte aligned, until the next reset(). Throws std::bad_alloc.
  void* allocate(size_t bytes) {
    const size_t room = (bytes + kPoisonedGap + 255) & ~size_t{255};
    for (Block& block : blocks_) {
      if (block.size - block.used >= room) return take(block, bytes, room);
    }
    // Unused blocks go before a larger one comes, so that what is kept stays near the largest need.
    std::erase_if(blocks_, [this](const Block& block) {
      const bool goes = block.used == 0 && !keeps_;
      if (goes) Memory::free(block.data);
      return goes;
    });
    const size_t size = std::max(room, size_t{1} << 16);
    auto* data = static_cast<std::byte*>(Memory::allocate(size));
    if (data == nullptr) throw std::bad_alloc();
    poison(data, size);
    return take(blocks_.emplace_back(Block{data, size, 0}), bytes, room);
  }
  void reset() {
    for (Block& block : blocks_) {
      poison(block.data, block.used);
      block.used = 0;
    }
  }

 private:
  struct Block {
    std::byte* data;
    size_t size;
    size_t used;
  };

  static void* take(Block& block, size_t bytes, size_t room) {
    std::byte* const memory = block.data + block.used;
    block.used += room;
    unpoison(memory, bytes);
    return memory;
  }

  bool keeps_;
  std::vector<Block> blocks_;
};

}  // namespace hadal
