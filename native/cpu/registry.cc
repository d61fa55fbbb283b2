// The kernel table of one instruction-set level, and the only symbol its shared object exports.
#include "runtime/registry.h"

extern "C" __attribute__((visibility("default"))) const hadal::CpuKernelTable* hadal_cpu_kernels() {
  static const auto& table = *new hadal::CpuKernelTable;
  return &table;
}
