#include "system/processor.h"

#include <sys/sysctl.h>

namespace hadal {

int64_t last_level_cache() {
  static const int64_t size = [] {
    int64_t bytes = 0;
    size_t length = sizeof bytes;
    // Apple's own processors do not tell of theirs.
    return sysctlbyname("hw.l3cachesize", &bytes, &length, nullptr, 0) == 0 && bytes > 0 ? bytes : kUsualCache;
  }();
  return size;
}

bool request_tile_registers() { return false; }

}  // namespace hadal
