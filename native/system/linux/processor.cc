#include "system/processor.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace hadal {

int64_t last_level_cache() {
#if defined(_SC_LEVEL3_CACHE_SIZE)
  static const int64_t size = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (size > 0) return size;
#endif
  return kUsualCache;
}

bool request_tile_registers() {
#if defined(SYS_arch_prctl)
  constexpr int kRequestPermission = 0x1023,
                kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: for the process
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace hadal
