// Chooses and loads the kernels for this processor: one shared object per instruction-set level lies beside the addon.
#pragma once

#include <string>

#include "runtime/registry.h"

namespace hadal {

struct CpuLevel {
  std::string name;  // "v4", "v3", "v2", "neon"
  const CpuKernelTable* kernels = nullptr;
};

// The best level that the processor runs and that lies in the addon's folder; HADAL_CPU_LEVEL names another. Loaded once per
// process. Throws Error when there is none.
const CpuLevel& cpu_level();

}  // namespace hadal
