// The worker threads that kernels split their work over. One pool serves the whole process: streams that find it busy run
// their tasks themselves, so several environments share the cores without waiting for each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/op_info.h"

namespace hadal {

class ThreadPool {
 public:
  using Body = void (*)(void* data, int64_t task);

  // Like all that streams use of the process it is never destroyed: `process.exit` leaves them running.
  static ThreadPool& instance();

  // Runs body(data, task) for every task in [0, tasks) on this thread and the workers; rethrows the first exception.
  void run(int64_t tasks, Body body, void* data);

  // Threads that take part in a loop, the caller included. Growing starts workers; shrinking leaves them asleep.
  void set_thread_count(int count);
  int thread_count() const { return thread_count_.load(std::memory_order_relaxed); }

  // Memory of the calling thread, 64-byte aligned, at least `bytes` long, reused by the next call.
  static void* thread_scratch(size_t bytes);

 private:
  ThreadPool();

  // The tasks that a thread starts with, neighbours, and the same ones of every loop over as many: what one loop leaves in a core's cache the next one
  // finds there. A thread whose share is done goes on with another's.
  struct alignas(128) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  struct Loop {
    Body body = nullptr;
    void* data = nullptr;
    Op op{};                          // whose loop it is, while it is profiled
    std::unique_ptr<Share[]> shares;  // of each thread
    int threads = 0;
    std::exception_ptr error;
    std::mutex error_mutex;
  };

  void work(int worker);
  void take_part(int worker);
  static void drain(Loop& loop, int thread);

  std::mutex owner_;  // held by the stream whose loop is running
  std::atomic<int> thread_count_{1};

  Loop loop_;
  std::atomic<uint64_t> generation_{0};  // of the current loop; even while none runs
  std::atomic<int> active_{0};           // workers inside the current loop
  std::atomic<int> sleepers_{0};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

}  // namespace hadal
