// What a kernel asks the system about the processor. Compiled into each level's kernels.
#pragma once

#include <cstdint>

namespace hadal {

// Bytes of the cache that the processors share; as many as a desktop's has where the system does not say.
int64_t last_level_cache();
inline constexpr int64_t kUsualCache = 32 << 20;

// Asks for the registers of AMX, which a system hands out on request only; false where it does not.
bool request_tile_registers();

}  // namespace hadal
