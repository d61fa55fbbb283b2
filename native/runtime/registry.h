// How CPU kernels announce themselves: HADAL_CPU_KERNEL(name) { … } defines and registers the kernel of an op.
// Each instruction-set level is a shared object with a table of its own, handed out by hadal_cpu_kernels().
#pragma once

#include "runtime/command.h"
#include "runtime/kernel_context.h"

namespace hadal {

using CpuKernel = void (*)(KernelContext&, const Command&);

struct CpuKernelTable {
  CpuKernel kernels[kOpCount] = {};
};
CpuKernelTable& cpu_kernel_table();

struct CpuKernelRegistration {
  CpuKernelRegistration(Op op, CpuKernel kernel) { cpu_kernel_table().kernels[static_cast<int>(op)] = kernel; }
};

// Defines the kernel of one op:   HADAL_CPU_KERNEL(relu) { ... uses ctx and cmd ... }
#define HADAL_CPU_KERNEL(op_name)                                                                             \
  static void op_name##_kernel(::hadal::KernelContext& ctx, const ::hadal::Command& cmd);                     \
  static const ::hadal::CpuKernelRegistration op_name##_registration{::hadal::Op::op_name, op_name##_kernel}; \
  static void op_name##_kernel([[maybe_unused]] ::hadal::KernelContext& ctx,                                  \
                               [[maybe_unused]] const ::hadal::Command& cmd)

}  // namespace hadal
