// The storages of one environment: a slot number and a generation name a block of memory on a device. A freed slot is used
// again under the next generation, so that a stale name is noticed and never reaches another tensor's memory.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/backend.h"

namespace hadal {

struct Storage {
  Block block;
  Backend* backend = nullptr;  // null: the slot is free
  size_t bytes = 0;
  uint32_t generation = 0;  // below 2^31: a small integer in JS
  bool tracked = false;     // the garbage collector frees it and has been told its size
};

class StorageTable {
 public:
  struct Name {
    uint32_t slot;
    uint32_t generation;
  };

  Name insert(Backend* backend, Block block, size_t bytes) {
    uint32_t slot;
    if (free_slots_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
    Storage& storage = slots_[slot];
    storage.block = block;
    storage.backend = backend;
    storage.bytes = bytes;
    storage.tracked = false;
    return {slot, storage.generation};
  }

  // Null unless the name is alive.
  Storage* find(uint32_t slot, uint32_t generation) {
    if (slot >= slots_.size()) return nullptr;
    Storage& storage = slots_[slot];
    return storage.backend != nullptr && storage.generation == generation ? &storage : nullptr;
  }

  void erase(uint32_t slot) {
    Storage& storage = slots_[slot];
    storage.backend->free(storage.block);
    storage.backend = nullptr;
    storage.generation = (storage.generation + 1) & INT32_MAX;
    free_slots_.push_back(slot);
  }

 private:
  std::vector<Storage> slots_;
  std::vector<uint32_t> free_slots_;
};

}  // namespace hadal
