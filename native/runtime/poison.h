// Tells AddressSanitizer which parts of the memory that this code hands out by itself are in use. Without it an access past the end of a tensor
// would land in the next one and pass. Does nothing in other builds.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define HADAL_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HADAL_POISONS 1
#endif
#endif

#if defined(HADAL_POISONS)
#include <sanitizer/asan_interface.h>
#endif

namespace hadal {

#if defined(HADAL_POISONS)
inline constexpr bool kPoisons = true;
inline void poison(const void* memory, size_t bytes) { __asan_poison_memory_region(memory, bytes); }
inline void unpoison(const void* memory, size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
inline constexpr bool kPoisons = false;
inline void poison(const void*, size_t) {}
inline void unpoison(const void*, size_t) {}
#endif

// Kept free behind every piece of memory.
inline constexpr size_t kPoisonedGap = kPoisons ? 256 : 0;

}  // namespace hadal
