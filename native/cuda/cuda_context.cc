#include "cuda/cuda_context.h"

#include <string>

#include "runtime/error.h"

namespace hadal::cuda {

void CudaContext::launch_erased(const Command& cmd, const void* kernel, dim3 grid, dim3 block, size_t shared,
                                void** arguments) {
  constexpr size_t kSharedWithoutOptIn = 48 << 10;
  if (shared > kSharedWithoutOptIn) {
    check(cmd, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  }
  check(cmd, cudaLaunchKernel(kernel, grid, block, arguments, shared, stream_));
}

void CudaContext::fail(const Command& cmd, cudaError_t status) const {
  cudaGetLastError();
  throw Error(ErrorCode::kDevice, std::string(cmd.name()) + ": CUDA error on cuda:" + std::to_string(device_.index) +
                                      ": " + cudaGetErrorString(status));
}

}  // namespace hadal::cuda
