// How CUDA kernels announce themselves: HADAL_CUDA_KERNEL(name) { … } defines and registers the host side of an op's kernel,
// which chooses launches from the command. It must return before the device has done anything.
#pragma once

#include "cuda/cuda_context.h"
#include "runtime/registry.h"

namespace hadal::cuda {

using CudaKernelTable = KernelTable<CudaContext>;

// HADAL_CUDA_KERNEL(relu) { ... uses ctx and cmd ... }, inside namespace hadal::cuda.
#define HADAL_CUDA_KERNEL(op_name)                                                                              \
  static void op_name##_kernel(::hadal::cuda::CudaContext& ctx, const ::hadal::Command& cmd);                   \
  static const ::hadal::cuda::CudaKernelTable::Registration op_name##_registration{#op_name, op_name##_kernel}; \
  static void op_name##_kernel([[maybe_unused]] ::hadal::cuda::CudaContext& ctx,                                \
                               [[maybe_unused]] const ::hadal::Command& cmd)

}  // namespace hadal::cuda
