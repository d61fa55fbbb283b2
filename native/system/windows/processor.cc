#include "system/processor.h"

#include <windows.h>

#include <cstddef>
#include <vector>

namespace hadal {

int64_t last_level_cache() {
  static const int64_t size = [] {
    DWORD bytes = 0;
    GetLogicalProcessorInformation(nullptr, &bytes);
    std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> parts(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
    if (GetLogicalProcessorInformation(parts.data(), &bytes)) {
      for (const auto& part : parts) {
        if (part.Relationship == RelationCache && part.Cache.Level == 3) return static_cast<int64_t>(part.Cache.Size);
      }
    }
    return kUsualCache;
  }();
  return size;
}

bool request_tile_registers() { return false; }

}  // namespace hadal
