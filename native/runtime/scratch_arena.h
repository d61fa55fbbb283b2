// Scratch memory of the running kernel: blocks are kept from kernel to kernel, the largest first, so that most kernels allocate
// nothing. Used on the queue's thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

namespace hadal {

// `Memory` has allocate(bytes), which answers null when there is none, and free(memory).
template <class Memory>
class ScratchArena {
 public:
  ScratchArena() = default;
  ScratchArena(const ScratchArena&) = delete;
  ScratchArena& operator=(const ScratchArena&) = delete;
  ~ScratchArena() {
    for (const Block& block : blocks_) Memory::free(block.data);
  }

  // 256-byte aligned, until the next reset(). Throws std::bad_alloc.
  void* allocate(size_t bytes) {
    bytes = (bytes + 255) & ~size_t{255};
    for (Block& block : blocks_) {
      if (block.size - block.used >= bytes) {
        void* memory = block.data + block.used;
        block.used += bytes;
        return memory;
      }
    }
    // Unused blocks go before a larger one comes, so that what is kept stays near the largest need.
    std::erase_if(blocks_, [](const Block& block) {
      if (block.used == 0) Memory::free(block.data);
      return block.used == 0;
    });
    const size_t size = std::max(bytes, size_t{1} << 16);
    auto* data = static_cast<std::byte*>(Memory::allocate(size));
    if (data == nullptr) throw std::bad_alloc();
    blocks_.push_back({data, size, bytes});
    return data;
  }
  void reset() {
    for (Block& block : blocks_) block.used = 0;
  }

 private:
  struct Block {
    std::byte* data;
    size_t size;
    size_t used;
  };
  std::vector<Block> blocks_;
};

}  // namespace hadal
