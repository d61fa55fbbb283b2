// Page-locked host memory for copies: pinning costs milliseconds, so buffers are kept. Used by the JS thread, the queue's thread
// and the driver's.
#pragma once

#include <cuda_runtime.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace hadal::cuda {

class PinnedPool {
 public:
  // Larger copies go in pieces of this size: one moves while the next is filled.
  static constexpr size_t kPiece = size_t{8} << 20;

  PinnedPool() = default;
  PinnedPool(const PinnedPool&) = delete;
  PinnedPool& operator=(const PinnedPool&) = delete;
  ~PinnedPool();

  // At least `bytes`, at most kPiece. Waits while too much is under way. Null when the machine has none left.
  std::byte* acquire(size_t bytes);
  // To be reused once `stream` has done what it has been given so far.
  void release_after(std::byte* buffer, cudaStream_t stream);
  void release(std::byte* buffer);

 private:
  struct Pending {
    cudaEvent_t event;
    std::byte* buffer;
  };
  void collect();  // moves what the device is done with to the free buffers; under the lock

  std::mutex mutex_;
  std::condition_variable released_;
  std::unordered_map<std::byte*, size_t> sizes_;
  std::vector<std::byte*> free_;
  std::deque<Pending> pending_;
  std::vector<cudaEvent_t> spare_events_;
  size_t total_ = 0;
};

}  // namespace hadal::cuda
