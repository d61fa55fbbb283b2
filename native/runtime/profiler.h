// Records when commands and the loops of the thread pool run, in all threads of the process. While it is off it costs two loads for each.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runtime/command.h"

namespace hadal {

class Profiler {
 public:
  struct Span {
    int32_t thread;  // of the pool from 1 on; a stream as its number from kFirstStream on
    Op op;
    int64_t start;  // nanoseconds of the steady clock
    int64_t end;
    double bytes;  // read and written, each element once; 0 for a part of a command
    double flops;  // of products and convolutions; else 0
  };
  static constexpr int32_t kFirstStream = 1 << 16;
  static constexpr size_t kMaxSpans = size_t{1} << 20;

  // What is recorded, and whether it is. The CUDA library has code of its own for all this and no recorder: it is given the addon's.
  struct Recorder {
    std::atomic<bool> enabled{false};
    std::atomic<int32_t> streams{0};
    std::mutex mutex;
    std::vector<Span> spans;
  };
  static Recorder* recorder() { return recorder_; }
  static void use(Recorder* recorder) { recorder_ = recorder; }

  static bool enabled() { return recorder_->enabled.load(std::memory_order_relaxed); }
  static void start();
  // Ends the recording; spans beyond kMaxSpans are left out.
  static std::vector<Span> stop();

  static int64_t now();
  static void add(const Span& span);
  // A number for the thread of a stream.
  static int32_t next_stream();

  // What the calling thread runs: the pool's threads record their loops under it.
  static thread_local Op current;

 private:
  static Recorder* recorder_;
};

double bytes_of(const Command& command);
double flops_of(const Command& command);

}  // namespace hadal
