// How kernels announce themselves: HADAL_CPU_KERNEL(name) { … } defines and registers the kernel of an op.
// Each instruction-set level is a shared object with a table of its own, handed out by hadal_cpu_kernels().
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "runtime/command.h"
#include "runtime/kernel_context.h"

namespace hadal {

// The kernels of one device, which run in a Context of that device.
template <class Context>
class KernelTable {
 public:
  using Kernel = void (*)(Context&, const Command&);

  // One kernel in the list of this shared object, filled while it loads.
  struct Registration {
    Registration(const char* op, Kernel kernel) : op(op), kernel(kernel), next(first) { first = this; }
    const char* op;
    Kernel kernel;
    const Registration* next;
    static inline const Registration* first = nullptr;
  };

  // Finds the op of every registration. Throws Error for a kernel of no op.
  KernelTable() : kernels_(static_cast<size_t>(op_count())) {
    for (const Registration* entry = Registration::first; entry != nullptr; entry = entry->next) {
      size_t op = 0;
      while (op < kernels_.size() && std::strcmp(op_info(static_cast<Op>(op)).name, entry->op) != 0) ++op;
      if (op == kernels_.size()) {
        throw Error(ErrorCode::kInternal, std::string("kernel of an op that ops.def does not list: ") + entry->op);
      }
      kernels_[op] = entry->kernel;
    }
  }

  // Null where the device has none.
  Kernel find(Op op) const { return kernels_[static_cast<size_t>(op)]; }

 private:
  std::vector<Kernel> kernels_;
};

using CpuKernelTable = KernelTable<KernelContext>;

// Defines the kernel of one op:   HADAL_CPU_KERNEL(relu) { ... uses ctx and cmd ... }
#define HADAL_CPU_KERNEL(op_name)                                                                        \
  static void op_name##_kernel(::hadal::KernelContext& ctx, const ::hadal::Command& cmd);                \
  static const ::hadal::CpuKernelTable::Registration op_name##_registration{#op_name, op_name##_kernel}; \
  static void op_name##_kernel([[maybe_unused]] ::hadal::KernelContext& ctx,                             \
                               [[maybe_unused]] const ::hadal::Command& cmd)

}  // namespace hadal
