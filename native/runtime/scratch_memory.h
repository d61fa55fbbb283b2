// Memory of kernels for the time of one command, on huge pages where it is large: a product jumps between rows of packed panels, and with pages
// of 4 KiB it would wait for address translations.
#pragma once

#include <cstddef>

#include "runtime/poison.h"
#include "system/memory.h"

namespace hadal {

struct HostScratch {
  // 256-byte aligned at least; null when there is none.
  static void* allocate(size_t bytes) {
    constexpr size_t kLarge = size_t{64} << 10;
    const size_t unit = bytes > kLarge ? kHugePage : 256;
    const size_t rounded = (bytes + unit - 1) & ~(unit - 1);
    void* const memory = allocate_aligned(unit, rounded);
    if (memory != nullptr) poison(static_cast<std::byte*>(memory) + bytes, rounded - bytes);
    return memory;
  }
  static void free(void* memory) { free_aligned(memory); }
};

}  // namespace hadal
