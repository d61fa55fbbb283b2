// The machine's memory: how much there is, and large pieces of it.
#pragma once

#include <cstddef>

namespace hadal {

// Bytes that the machine has, or the control group that the process is in.
size_t total_memory();

// Bytes that could be had without swapping; SIZE_MAX where the system does not say.
size_t available_memory();

// New pages, huge ones where the system has them. Null when there are none.
std::byte* map_memory(size_t bytes);
void unmap_memory(std::byte* memory, size_t bytes);

inline constexpr size_t kHugePage = size_t{2} << 20;

// Of an alignment that divides `bytes`, on huge pages where it is theirs. Null when there is none.
void* allocate_aligned(size_t alignment, size_t bytes);
void free_aligned(void* memory);

}  // namespace hadal
