// NCCL, opened at run time: collectives between the GPUs of a process group, one GPU a process. It owns the communicator of one CudaStream and a
// thread that watches it; what is computed is collectives.cc. Used on the queue's thread.
#pragma once

#include <cuda_runtime.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "kernels/collectives.h"
#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/process_group.h"

namespace hadal::cuda {

class Nccl {
 public:
  // Waits until all ranks are here. `report` is called, on another thread, with what has ended a collective that was under way. Throws Error when there
  // is no NCCL, or it does not start.
  Nccl(ProcessGroup& group, int device, cudaStream_t stream, std::function<void(const Error&)> report);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  int size() const { return group_.size(); }

  // Runs `calls`, which makes some of the calls below, as one launch on the stream, once all ranks are about to do the same.
  template <class F>
  void launch(const Command& cmd, F&& calls) {
    group_.announce(cmd);
    group_.wait();
    std::lock_guard lock(mutex_);
    begin(cmd);
    calls();
    end(cmd);
  }
  void all_reduce(const Command& cmd, const void* from, void* to, int64_t elements, DType dtype, Reduction reduction);
  void reduce_scatter(const Command& cmd, const void* from, void* to, int64_t elements, DType dtype,
                      Reduction reduction);
  void broadcast(const Command& cmd, const void* from, void* to, int64_t bytes, int root);
  void all_gather(const Command& cmd, const void* from, void* to, int64_t bytes);

 private:
  void begin(const Command& cmd);
  void end(const Command& cmd);
  void check(const Command& cmd, int status);
  // Ends a collective that cannot end by itself, as a rank has gone.
  void watch();

  ProcessGroup& group_;
  const int device_;
  const cudaStream_t stream_;
  const std::function<void(const Error&)> report_;
  std::mutex mutex_;
  void* communicator_ = nullptr;  // null after it was aborted
  cudaEvent_t last_ = nullptr;    // after the last collective
  bool pending_ = false;
  bool stopping_ = false;
  std::condition_variable stopped_;
  std::thread watcher_;
};

}  // namespace hadal::cuda
