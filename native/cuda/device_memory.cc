#include "cuda/device_memory.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>

namespace hadal::cuda {

namespace {

// Left to cuBLAS workspaces, scratch memory and the context itself.
constexpr size_t kReserve = size_t{256} << 20;

class DeviceMemory final : public MemorySource {
 public:
  explicit DeviceMemory(int device) : device_(device) {}

  std::byte* map(size_t bytes) override {
    if (bytes > available()) return nullptr;
    void* memory = nullptr;
    if (cudaMalloc(&memory, bytes) != cudaSuccess) {
      cudaGetLastError();  // running out is no error of the calls that follow
      return nullptr;
    }
    mapped_ += bytes;
    return static_cast<std::byte*>(memory);
  }

  void unmap(std::byte* memory, size_t bytes) override {
    cudaSetDevice(device_);
    cudaFree(memory);
    mapped_ -= bytes;
  }

  size_t available() const override {
    cudaSetDevice(device_);
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
    const size_t limit = limit_.load(), mapped = mapped_.load();
    return std::min(limit > mapped ? limit - mapped : 0, free > kReserve ? free - kReserve : 0);
  }
  void set_limit(size_t bytes) override { limit_ = bytes; }

 private:
  int device_;
  std::atomic<size_t> mapped_{0};
  std::atomic<size_t> limit_{SIZE_MAX};
};

}  // namespace

MemorySource& device_memory(int device) {
  static std::mutex mutex;
  static std::deque<DeviceMemory> memories;
  std::lock_guard lock(mutex);
  while (static_cast<int>(memories.size()) <= device) memories.emplace_back(static_cast<int>(memories.size()));
  return memories[static_cast<size_t>(device)];
}

}  // namespace hadal::cuda
