// What a CPU kernel may ask of the stream that runs it: parallel loops and scratch memory.
// Implemented in runtime/cpu_stream.cc; kernels live in shared objects of their own and see only this interface.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace hadal {

struct Blas;  // runtime/blas.h

class KernelContext {
 public:
  // Runs body(task) for every task in [0, tasks), on the pool's threads in any order. How the work is cut into tasks must
  // depend on its size alone, never on the number of threads, so that results do not. An exception in a task reaches the caller.
  template <class F>
  void parallel(int64_t tasks, F&& body) {
    using Body = std::remove_reference_t<F>;
    if (tasks == 1) {
      body(int64_t{0});
    } else if (tasks > 1) {
      run_tasks(
          tasks, [](void* data, int64_t task) { (*static_cast<Body*>(data))(task); },
          const_cast<void*>(static_cast<const void*>(&body)));
    }
  }

  // Cuts [0, count) into ranges of `grain` and runs body(begin, end) on each. A count of at most one grain runs on this thread.
  template <class F>
  void parallel_ranges(int64_t count, int64_t grain, F&& body) {
    grain = std::max<int64_t>(grain, 1);
    parallel((count + grain - 1) / grain,
             [&](int64_t task) { body(task * grain, std::min(count, (task + 1) * grain)); });
  }

  // 64-byte aligned, uninitialised, shared by all tasks, valid until the kernel returns. Call it outside parallel loops.
  template <class T>
  T* scratch(int64_t count) {
    return static_cast<T*>(scratch_bytes(static_cast<size_t>(count) * sizeof(T)));
  }
  // The same for one task: of the calling thread, valid until the task's next call of thread_scratch or its end.
  template <class T>
  T* thread_scratch(int64_t count) {
    return static_cast<T*>(thread_scratch_bytes(static_cast<size_t>(count) * sizeof(T)));
  }

  virtual const Blas& blas() const = 0;

 protected:
  ~KernelContext() = default;
  virtual void run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) = 0;
  virtual void* scratch_bytes(size_t bytes) = 0;
  virtual void* thread_scratch_bytes(size_t bytes) = 0;
};

}  // namespace hadal
