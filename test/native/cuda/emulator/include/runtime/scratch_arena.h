// Takes the place of native/runtime/scratch_arena.h: every piece of scratch memory is an allocation of its own, which the emulated
// device gives back when it has done what it was given so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

namespace hadal {

template <class Memory>
class ScratchArena {
 public:
  explicit ScratchArena(bool keeps = false) : keeps_(keeps) {}
  ScratchArena(const ScratchArena&) = delete;
  ScratchArena& operator=(const ScratchArena&) = delete;
  ~ScratchArena() { give_back(); }

  void* allocate(size_t bytes) {
    void* memory = Memory::allocate(std::max<size_t>(bytes, 1));
    if (memory == nullptr) throw std::bad_alloc();
    pieces_.push_back(memory);
    return memory;
  }
  void reset() {
    if (!keeps_) give_back();
  }

 private:
  void give_back() {
    for (void* memory : pieces_) Memory::free(memory);
    pieces_.clear();
  }

  bool keeps_;
  std::vector<void*> pieces_;
};

}  // namespace hadal
