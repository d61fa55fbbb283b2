// The kernel table of one instruction-set level, and the only symbol its shared object exports.
#include "runtime/registry.h"

namespace hadal {

CpuKernelTable& cpu_kernel_table() {
  static CpuKernelTable table;
  return table;
}

// Kernels name the op in their errors; the addon's own copy of this table also holds the checks.
static constexpr OpInfo kNames[] = {
#define HADAL_OP(name, inputs, outputs, attributes, check) {#name, #inputs, #outputs, #attributes, nullptr},
#include "ops.def"
#undef HADAL_OP
};
const OpInfo& op_info(Op op) { return kNames[static_cast<int>(op)]; }

}  // namespace hadal

extern "C" __attribute__((visibility("default"))) const hadal::CpuKernelTable* hadal_cpu_kernels() {
  return &hadal::cpu_kernel_table();
}
