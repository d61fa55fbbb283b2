#include "cuda/cuda_context.h"

#include <string>

#include "runtime/error.h"

namespace hadal::cuda {

void CudaContext::allow_shared(const Command& cmd, const void* kernel, size_t bytes) const {
  constexpr size_t kWithoutAsking = 32 << 10;  // leaves 16 KiB for static shared memory
  if (bytes <= kWithoutAsking) return;
  check(cmd, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
}

void CudaContext::fail(const Command& cmd, cudaError_t status) const {
  cudaGetLastError();
  throw Error(ErrorCode::kDevice, std::string(cmd.name()) + ": CUDA error on cuda:" + std::to_string(device_.index) +
                                      ": " + cudaGetErrorString(status));
}

}  // namespace hadal::cuda
