#include "runtime/cpu_levels.h"

#include <vector>

#include "system/library.h"
#include "system/process.h"

namespace hadal {

namespace {

std::vector<std::string> levels_of_this_processor() {
  std::vector<std::string> levels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")) {
    levels.push_back("v4");
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    levels.push_back("v3");
  }
  levels.push_back("v2");
#else
  levels.push_back("neon");
#endif
  return levels;
}

CpuLevel load() {
  std::vector<std::string> levels = levels_of_this_processor();
  if (const auto wanted = environment_variable("HADAL_CPU_LEVEL")) levels = {*wanted};
  std::string tried;
  for (const std::string& level : levels) {
    const std::string path = addon_folder() + "/libhadal-cpu-" + level + ".so";
    void* library = open_library(path);
    if (library == nullptr) {
      tried += "\n  " + library_error(path);
      continue;
    }
    const auto table = reinterpret_cast<const CpuKernelTable* (*)()>(find_symbol(library, "hadal_cpu_kernels"));
    if (table != nullptr) return {level, table()};
    tried += "\n  " + path + ": no kernel table";
  }
  throw Error(ErrorCode::kDevice, "hadal: no CPU kernels for this processor could be loaded:" + tried);
}

}  // namespace

const CpuLevel& cpu_level() {
  static const CpuLevel level = load();
  return level;
}

}  // namespace hadal
