// The CPU device of one environment: a native thread that runs commands in order, a bounded queue in front of it, and the
// caching allocator. Kernels split their work over the ThreadPool.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/backend.h"
#include "runtime/kernel_context.h"
#include "runtime/registry.h"

namespace hadal {

class CpuStream final : public Backend, private KernelContext {
 public:
  explicit CpuStream(const CpuKernelTable& kernels);
  // Drops what has not started, waits for the kernel that runs.
  ~CpuStream() override;

  bool supports(Op op) const override { return kernels_.find(op) != nullptr; }
  Block allocate(size_t bytes) override { return allocator_.allocate(bytes); }
  void free(Block block) override { allocator_.free(block, submitted_); }
  void release_cache() override;
  const MemoryStatistics& memory() const override { return allocator_.statistics(); }
  void reset_peak() override { allocator_.reset_peak(); }
  size_t available_memory() const override { return Allocator::available(); }
  Command& next_command() override;
  void commit() override;
  void write(const Block& block, size_t offset, const void* from, size_t bytes) override;
  void read(const std::byte* from, size_t bytes, void* to, ReadListener* listener, void* token) override;
  void synchronize() override;
  bool take_error(StreamError& error) override;

 private:
  // The queue is a ring of words: a command takes some 15 of them, two cache lines, where the Command itself would take ten.
  // Every line written here has to come back from the other core first, so that is what an op costs most.
  static constexpr uint64_t kRingWords = uint64_t{1} << 16;
  // JS may run this far ahead: a GPT step is some 600 commands, so it submits a whole step and goes on to its next `await`.
  static constexpr uint64_t kQueueLength = 2048;

  struct Copy {
    void* to;
    const void* from;
    size_t bytes;
    std::byte* staged;  // what `from` points to, when the copy owns it; else null
    ReadListener* listener;
    void* token;
  };

  // Room for `words` words in one piece; waits while the queue is full.
  uint64_t* reserve(uint64_t words);
  void publish(uint64_t words);
  void commit_copy(const Copy& copy);
  void run();
  // Runs what starts at `words`, or only frees it once the stream is stopping; answers how many words it took.
  uint64_t run_entry(const uint64_t* words, uint64_t sequence);
  void run_command(uint64_t sequence);
  void run_copy(const Copy& copy);
  void wait_for(uint64_t sequence);

  const Blas& blas() const override;
  void run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) override;
  void* scratch_bytes(size_t bytes) override;
  void* thread_scratch_bytes(size_t bytes) override;

  const CpuKernelTable& kernels_;
  Allocator allocator_;
  Command next_;     // JS thread only: filled by decode, then written to the ring
  Command current_;  // stream thread only: read from the ring
  std::unique_ptr<uint64_t[]> ring_;
  // Each line is written by one side only, and the flags hardly ever: a line that bounces between cores costs 0.1 to 0.2 µs.
  uint64_t submitted_ = 0;       // JS thread only: commands and copies so far; equals published_
  uint64_t written_ = 0;         // JS thread only: words so far, those skipped at the ring's end included
  uint64_t completed_seen_ = 0;  // JS thread only: lower bounds of completed_ and consumed_
  uint64_t consumed_seen_ = 0;
  alignas(64) std::atomic<uint64_t> published_{0};
  alignas(64) std::atomic<uint64_t> completed_{0};  // commands and copies that have run
  std::atomic<uint64_t> consumed_{0};               // words that have been read
  alignas(64) std::atomic<bool> worker_asleep_{false};
  std::atomic<bool> waiter_asleep_{false};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::condition_variable work_done_;
  std::mutex error_mutex_;
  std::atomic<bool> has_error_{false};
  StreamError error_;
  // Scratch of the running kernel: blocks are kept, the largest first, and reset after each command.
  struct ScratchBlock {
    std::byte* data;
    size_t size;
    size_t used;
  };
  std::vector<ScratchBlock> scratch_;
  std::thread thread_;
};

}  // namespace hadal
