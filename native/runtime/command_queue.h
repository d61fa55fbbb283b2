// The queue in front of a device: the JS thread writes commands and copies into a bounded ring, a native thread takes them in
// order. What running one means is the device's business (CpuStream, CudaStream). It keeps the first error until it is asked
// for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include "runtime/backend.h"

namespace hadal {

class CommandQueue : public Backend {
 public:
  Command& next_command() final { return next_; }
  void commit() final;
  void run(std::unique_ptr<ProgramRun> run) final;
  void read(const std::byte* from, size_t bytes, void* to, ReadListener* listener, void* token) final;
  void receive(const Block& block, size_t offset, Transfer* transfer) final;
  void join(std::shared_ptr<ProcessGroup> group) final;
  bool take_error(StreamError& error) override;

 protected:
  // What one side writes lies apart from what the other side touches: a line that bounces between cores costs 0.1 to 0.2 µs, and
  // processors fetch lines in pairs.
  static constexpr size_t kApart = 128;

  // Bytes that move between the host and the device, or across it.
  struct Copy {
    void* to;
    const void* from;
    size_t bytes;
    std::byte* staged;       // memory of the copy that lies behind `from`, for discard(); else null
    ReadListener* listener;  // told when a read has arrived
    void* token;
    Transfer* transfer;   // whose bytes to wait for and to free; else null
    bool to_idle_memory;  // nothing that runs or is queued uses `to`
  };

  CommandQueue();
  ~CommandQueue() override = default;
  // The thread runs between the two: to be called at the end of the device's constructor and the start of its destructor.
  void start();
  // Drops what has not started, waits for what runs.
  void stop();

  // On the queue's thread. A command may throw Error.
  virtual void run_command(const Command& command) = 0;
  // Runs a program's commands: one after another, unless the device knows better. Does not throw.
  virtual void run_program(const ProgramRun& run);
  // Runs the commands of a group, which start at `word`; answers the word after them. One after another, unless the device knows better.
  virtual const uint64_t* run_group(const FusedGroup& group, const uint64_t* word);
  // The same for a profile: answers how many nanoseconds it took the device, or -1 where that is the time that the call took.
  virtual int64_t run_timed(const Command& command) {
    run_command(command);
    return -1;
  }
  virtual void run_copy(const Copy& copy) = 0;
  // Instead of run_copy, once the queue stops.
  virtual void discard(const Copy& copy) = 0;

  void commit_copy(const Copy& copy);
  uint64_t submitted() const { return submitted_; }  // JS thread only: commands and copies so far
  uint64_t completed() const { return completed_.load(std::memory_order_acquire); }
  // The same to be read when it is needed: its cache line is the stream's.
  const std::atomic<uint64_t>& completed_count() const { return completed_; }
  // The place in the queue of what runs: queue's thread only.
  uint64_t running() const { return completed_.load(std::memory_order_relaxed) + 1; }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  void wait_until_empty() { wait_for(submitted_); }
  ProcessGroup* process_group() const { return group_.get(); }
  void keep_error(ErrorCode code, const std::string& message);
  // Runs what starts at `word`; answers the word after it.
  const uint64_t* run_words(const uint64_t* word);
  // Calls run(), and keeps what it throws as an error of `command`.
  template <class Run>
  void guarded(const Command& command, Run&& run) {
    if (stopping()) return;
    try {
      run();
    } catch (const Error& error) {
      keep_error(error.code(), error.what());
    } catch (const std::bad_alloc&) {
      keep_error(ErrorCode::kOutOfMemory, std::string(command.name()) + ": out of scratch memory");
    } catch (const std::exception& error) {
      keep_error(ErrorCode::kInternal, std::string(command.name()) + ": " + error.what());
    }
  }

 private:
  // A command takes some 15 words, two cache lines, where the Command itself would take ten.
  // Every line written here has to come back from the other core first, so that is what an op costs most.
  static constexpr uint64_t kRingWords = uint64_t{1} << 16;
  // JS may run this far ahead: a GPT step is some 600 commands, so it submits a whole step and goes on to its next `await`.
  static constexpr uint64_t kQueueLength = 2048;

  // Room for `words` words in one piece; waits while the queue is full.
  uint64_t* reserve(uint64_t words);
  void publish(uint64_t words);
  void run_thread();
  // Gives JS time to submit more than the `done` entries that have run, unless it waits, or has just waited for the last of them.
  void let_gather(uint64_t done) const;
  // Runs what starts at `words`, or only frees it once the queue is stopping; answers how many words it took.
  uint64_t run_entry(const uint64_t* words);
  // How many programs may be in the queue: two long ones, more of short ones.
  uint64_t runs_ahead() const;
  void run_profiled();
  void wait_for(uint64_t sequence);

  // JS thread only.
  alignas(kApart) Command next_;  // filled by decode, then written to the ring
  uint64_t submitted_ = 0;        // equals published_
  uint64_t written_ = 0;          // words so far, those skipped at the ring's end included
  uint64_t completed_seen_ = 0;   // lower bounds of completed_ and consumed_
  uint64_t consumed_seen_ = 0;
  static constexpr uint64_t kMostRunsAhead = 16;
  uint64_t runs_ = 0;                         // programs so far
  uint64_t run_places_[kMostRunsAhead] = {};  // where the last of them end in the queue

  alignas(kApart) std::atomic<uint64_t> published_{0};  // written by the JS thread

  // Queue's thread only, but for completed_ and consumed_, which JS looks at when the queue seems full or it waits.
  alignas(kApart) Command current_;                     // read from the ring
  alignas(kApart) std::atomic<uint64_t> completed_{0};  // commands and copies that have run
  std::atomic<uint64_t> consumed_{0};                   // words that have been read
  std::atomic<int64_t> run_nanoseconds_{0};             // what the last program took

  // Hardly ever written.
  alignas(kApart) const std::unique_ptr<uint64_t[]> ring_;
  std::atomic<bool> worker_asleep_{false};
  static constexpr uint64_t kNone = UINT64_MAX;
  std::atomic<uint64_t> awaited_{kNone};  // what the JS thread sleeps for
  std::atomic<uint64_t> wanted_{0};       // the last entry that JS waits for, or a reader does
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::condition_variable work_done_;
  std::mutex error_mutex_;
  std::atomic<bool> has_error_{false};
  StreamError error_;
  std::shared_ptr<ProcessGroup> group_;  // changes only while the queue is empty
  std::thread thread_;
};

}  // namespace hadal
