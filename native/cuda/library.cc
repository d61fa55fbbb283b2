// What the CUDA backend exports: one function, which tells the addon what devices there are and how to open them.
#include <cuda_runtime.h>

#include <string>

#include "cuda/blas_lt.h"
#include "cuda/cuda_stream.h"
#include "cuda/cudnn.h"
#include "runtime/cuda_library.h"

namespace hadal::cuda {

namespace {

// Of the oldest architecture that the kernels are built for.
constexpr int kMinimumCapability = 80;

DeviceProperties properties_of(int device) {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) return {};
  DeviceProperties result;
  result.index = device;
  result.multiprocessors = properties.multiProcessorCount;
  result.capability = 10 * properties.major + properties.minor;
  result.shared_per_block = properties.sharedMemPerBlockOptin;
  result.l2_bytes = static_cast<size_t>(properties.l2CacheSize);
  return result;
}

std::string describe(int device) {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) return "unknown";
  std::string remedies;
  for (const std::string& remedy : {BlasLt::remedy(), Cudnn::remedy()}) remedies += remedy.empty() ? "" : "; " + remedy;
  return std::string(properties.name) + ", " + std::to_string(properties.totalGlobalMem >> 20) +
         " MiB, compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) +
         remedies;
}

std::unique_ptr<Backend> open(int device) {
  static const auto& kernels = *new CudaKernelTable;
  const DeviceProperties properties = properties_of(device);
  if (properties.capability < kMinimumCapability) {
    throw Error(ErrorCode::kDevice, "cuda:" + std::to_string(device) + ": got compute capability " +
                                        std::to_string(properties.capability / 10) + "." +
                                        std::to_string(properties.capability % 10) + ", expected 8.0 or newer");
  }
  return std::make_unique<CudaStream>(properties, kernels);
}

std::string remedy_for(cudaError_t status) {
  switch (status) {
    case cudaErrorNoDevice: return "the NVIDIA driver finds no device";
    case cudaErrorInsufficientDriver:
      return "the NVIDIA driver is older than CUDA " + std::to_string(CUDART_VERSION / 1000) + "." +
             std::to_string(CUDART_VERSION % 1000 / 10) + " needs: update the driver";
    default: return std::string("the CUDA runtime could not start: ") + cudaGetErrorString(status);
  }
}

}  // namespace

}  // namespace hadal::cuda

extern "C" __attribute__((visibility("default"))) void hadal_cuda_library(hadal::CudaLibrary* library) {
  hadal::Profiler::use(library->recorder);
  cudaError_t status = cudaGetDeviceCount(&library->device_count);
  if (status == cudaSuccess && library->device_count == 0) status = cudaErrorNoDevice;
  if (status != cudaSuccess) {
    library->device_count = 0;
    library->remedy = hadal::cuda::remedy_for(status);
    return;
  }
  library->describe = hadal::cuda::describe;
  library->open = hadal::cuda::open;
}
