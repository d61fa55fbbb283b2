#include "cuda/pinned_pool.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace hadal::cuda {

namespace {

// Sixteen pieces: enough for a loader that runs a few batches ahead.
constexpr size_t kMaxTotal = 16 * PinnedPool::kPiece;
constexpr size_t kMinBuffer = size_t{4} << 10;

}  // namespace

PinnedPool::~PinnedPool() {
  for (const auto& [buffer, size] : sizes_) cudaFreeHost(buffer);
  for (const Pending& pending : pending_) cudaEventDestroy(pending.event);
  for (cudaEvent_t event : spare_events_) cudaEventDestroy(event);
}

void PinnedPool::collect() {
  std::erase_if(pending_, [this](const Pending& pending) {
    if (cudaEventQuery(pending.event) == cudaErrorNotReady) return false;
    free_.push_back(pending.buffer);
    spare_events_.push_back(pending.event);
    return true;
  });
}

std::byte* PinnedPool::acquire(size_t bytes) {
  const size_t size = std::bit_ceil(std::max(bytes, kMinBuffer));
  std::unique_lock lock(mutex_);
  for (;;) {
    collect();
    for (auto buffer = free_.begin(); buffer != free_.end(); ++buffer) {
      if (sizes_[*buffer] != size) continue;
      std::byte* found = *buffer;
      free_.erase(buffer);
      return found;
    }
    if (total_ + size <= kMaxTotal) break;
    if (!free_.empty()) {  // buffers of other sizes make room
      std::byte* unused = free_.back();
      free_.pop_back();
      total_ -= sizes_[unused];
      sizes_.erase(unused);
      cudaFreeHost(unused);
      continue;
    }
    // The device's part ends without a notice.
    released_.wait_for(lock, std::chrono::microseconds(100));
  }
  void* buffer = nullptr;
  if (cudaHostAlloc(&buffer, size, cudaHostAllocDefault) != cudaSuccess) return nullptr;
  total_ += size;
  sizes_[static_cast<std::byte*>(buffer)] = size;
  return static_cast<std::byte*>(buffer);
}

void PinnedPool::release_after(std::byte* buffer, cudaStream_t stream) {
  std::lock_guard lock(mutex_);
  cudaEvent_t event;
  if (spare_events_.empty()) {
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  } else {
    event = spare_events_.back();
    spare_events_.pop_back();
  }
  cudaEventRecord(event, stream);
  pending_.push_back({event, buffer});
}

void PinnedPool::release(std::byte* buffer) {
  std::lock_guard lock(mutex_);
  free_.push_back(buffer);
  released_.notify_one();
}

}  // namespace hadal::cuda
