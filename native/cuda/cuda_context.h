// What the host side of a CUDA kernel may ask of the stream that runs it: the CUDA stream, the device's properties, scratch
// memory, cuBLASLt, cuDNN, and launches whose failure becomes an Error. Implemented in cuda/cuda_stream.cc. Host code only touches
// addresses of device memory, never what lies there: a kernel's result is not known until the stream has got there.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/fault.h"
#include "cuda/program_graphs.h"
#include "runtime/command.h"

namespace hadal::cuda {

class BlasLt;  // cuda/blas_lt.h
class Cudnn;   // cuda/cudnn.h
class Nccl;    // cuda/nccl.h

struct DeviceProperties {
  int index = 0;
  int multiprocessors = 1;
  int capability = 80;          // 10 · major + minor
  size_t shared_per_block = 0;  // with the opt-in of cudaFuncSetAttribute, which launch() takes care of
  size_t l2_bytes = 0;
};

class CudaContext {
 public:
  cudaStream_t stream() const { return stream_; }
  const DeviceProperties& device() const { return device_; }

  // 256-byte aligned device memory, uninitialised, for what this kernel launches; later kernels get the same memory, in order.
  template <class T>
  T* scratch(int64_t count) {
    return static_cast<T*>(scratch_bytes(static_cast<size_t>(std::max<int64_t>(count, 1)) * sizeof(T)));
  }

  // Where a kernel reports an index out of range (cuda/fault.h). `what` completes "out of range for 5 …", `subject` is what is
  // out of range; literals.
  FaultSite fault_site(const Command& cmd, const char* what, const char* subject = "index") const {
    return {fault_, fault_claim_, cmd.name(), subject, what};
  }

  // Null when the library is not there: then the caller multiplies with its own kernel.
  virtual BlasLt* blas() = 0;
  // Null when the library is not there: then convolutions and attention run on kernels here.
  virtual Cudnn* cudnn() = 0;
  // The GPUs of other processes; null when this one computes alone.
  virtual Nccl* nccl() = 0;

  // kernel<<<grid, block, shared, stream>>>(arguments…). A grid of no blocks launches nothing.
  template <class... P, class... A>
  void launch(const Command& cmd, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A&&... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    std::tuple<std::decay_t<P>...> values(std::forward<A>(arguments)...);
    std::apply(
        [&](auto&... value) {
          void* addresses[] = {const_cast<void*>(static_cast<const void*>(&value))..., nullptr};
          const void* const address = reinterpret_cast<const void*>(kernel);
          allow_shared(cmd, address, shared);
          if (observer_ != nullptr && observer_->takes(address, grid, block, shared, addresses)) return;
          check(cmd, cudaLaunchKernel(kernel, grid, block, addresses, shared, stream_));
          if (observer_ != nullptr) observer_->launched();
        },
        values);
  }

  // Throws Error for a failed call into the CUDA runtime, naming the op.
  void check(const Command& cmd, cudaError_t status) const {
    if (status != cudaSuccess) fail(cmd, status);
  }

 protected:
  ~CudaContext() = default;
  virtual void* scratch_bytes(size_t bytes) = 0;
  // More than 48 KiB of shared memory, static ones included, have to be asked for.
  void allow_shared(const Command& cmd, const void* kernel, size_t bytes) const;
  [[noreturn]] void fail(const Command& cmd, cudaError_t status) const;

  cudaStream_t stream_ = nullptr;
  DeviceProperties device_;
  Fault* fault_ = nullptr;
  unsigned* fault_claim_ = nullptr;
  LaunchObserver* observer_ = nullptr;  // of the command that runs, where a graph is made of it
};

// Blocks of a grid that covers `count` things, `per_block` each.
inline unsigned blocks_for(int64_t count, int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}
// The same for kernels that loop over what is left: enough blocks to fill the device `waves` times, and no more.
inline unsigned blocks_for_loop(const CudaContext& ctx, int64_t count, int64_t per_block,
                                int blocks_per_multiprocessor) {
  const int64_t needed = (count + per_block - 1) / per_block;
  return static_cast<unsigned>(
      std::min<int64_t>(needed, static_cast<int64_t>(ctx.device().multiprocessors) * blocks_per_multiprocessor));
}

}  // namespace hadal::cuda
