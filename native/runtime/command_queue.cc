#include "runtime/command_queue.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/command_words.h"
#include "runtime/profiler.h"
#include "runtime/spin.h"
#include "system/fence.h"

namespace hadal {

namespace {

// A sleeping thread takes 5 to 50 µs to wake; small ops follow each other faster than that.
constexpr auto kSpinTime = std::chrono::microseconds(50);

// JS may be ahead by programs that take this long, in nanoseconds: then it waits for half of them. Each wait takes a core from a kernel, to spin, to
// sleep and to wake.
constexpr int64_t kTimeAhead = 6'000'000;

// Each look at what the other thread writes takes the line away from it, and getting it back costs that thread 0.1 to 0.2 µs. Between two
// looks lie some 0.3 (AMD) to 0.8 µs (Intel), in which JS submits a few commands undisturbed.
constexpr int kPausesPerLook = 16;

// A thread that is faster than JS would look after each command. In this time a dozen gather.
constexpr auto kGatherTime = std::chrono::microseconds(4);

// Spins until ready() or the spin time is over; says whether it became ready.
template <class Ready>
bool spin_until(Ready&& ready) {
  const auto start = std::chrono::steady_clock::now();
  do {
    if (ready()) return true;
    for (int i = 0; i < kPausesPerLook; ++i) spin_pause();
  } while (std::chrono::steady_clock::now() - start < kSpinTime);
  return false;
}

// Fetches a line that the other thread has read last, to write to it. Without the instruction by name a build for every x86-64 gets one that fetches for
// reading, and the store waits for the line after all (18 ns of an op). Processors that lack it pass over it.
inline void prefetch_to_write(const void* line) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

}  // namespace

CommandQueue::CommandQueue() : ring_(std::make_unique_for_overwrite<uint64_t[]>(kRingWords)) {}

void CommandQueue::start() { thread_ = std::thread(&CommandQueue::run_thread, this); }

void CommandQueue::stop() {
  stopping_ = true;
  {
    std::lock_guard lock(mutex_);
    work_arrived_.notify_all();
  }
  thread_.join();
}

// Entries of the ring: a command as command_words.h has it, whose kind is 0; one too large for the ring, as the address of the
// same words on the heap; a Copy, as it is; the address of a ProgramRun.
enum class EntryKind : uint64_t { kCommand, kLargeCommand, kCopy, kProgram, kSkip };

uint64_t* CommandQueue::reserve(uint64_t words) {
  const uint64_t to_end = kRingWords - written_ % kRingWords;
  const uint64_t needed = words <= to_end ? words : to_end + words;
  const auto full = [&] {
    return submitted_ - completed_seen_ >= kQueueLength || written_ + needed - consumed_seen_ > kRingWords;
  };
  if (full()) {
    consumed_seen_ = consumed_.load(std::memory_order_acquire);
    completed_seen_ = completed_.load(std::memory_order_acquire);
    while (full()) {
      // Waiting for half of what is queued lets both threads run for a while without meeting.
      wait_for(submitted_ - (submitted_ - completed_seen_) / 2);
      completed_seen_ = completed_.load(std::memory_order_acquire);
      consumed_seen_ = consumed_.load(std::memory_order_acquire);
    }
  }
  if (words > to_end) {
    ring_[written_ % kRingWords] = static_cast<uint64_t>(EntryKind::kSkip);
    written_ += to_end;
  }
  return &ring_[written_ % kRingWords];
}

// Between publishing a command and the look whether the worker sleeps there must be a full fence, and so on the worker's side. It is paid by whoever
// goes to sleep, so that commit() costs none.
void CommandQueue::publish(uint64_t words) {
  written_ += words;
  ++submitted_;
  published_.store(submitted_, std::memory_order_release);
  light_fence();
  if (worker_asleep_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(mutex_);
    work_arrived_.notify_one();
  }
}

void CommandQueue::commit() {
  const uint64_t words = words_of(next_);
  if (words <= kRingWords / 4) {
    uint64_t* const start = reserve(words);
    uint64_t* const end = write_command(next_, start);
    // The queue's thread has read these lines last: they are on their way back while JS prepares the next commands.
    prefetch_to_write(end + 32);
    prefetch_to_write(end + 40);
    publish(static_cast<uint64_t>(end - start));
    return;
  }
  auto* large = new uint64_t[words];
  write_command(next_, large);
  uint64_t* const start = reserve(2);
  start[0] = static_cast<uint64_t>(EntryKind::kLargeCommand);
  start[1] = reinterpret_cast<uint64_t>(large);
  publish(2);
}

uint64_t CommandQueue::runs_ahead() const {
  const int64_t took = std::max<int64_t>(run_nanoseconds_.load(std::memory_order_relaxed), 1);
  return static_cast<uint64_t>(std::clamp<int64_t>(kTimeAhead / took, 2, kMostRunsAhead));
}

void CommandQueue::run(std::unique_ptr<ProgramRun> run) {
  const auto place = [&](uint64_t before) { return run_places_[(runs_ - before) % kMostRunsAhead]; };
  const uint64_t ahead = runs_ahead();
  if (completed() < place(ahead)) wait_for(place(ahead / 2 + 1));
  uint64_t* const start = reserve(2);
  start[0] = static_cast<uint64_t>(EntryKind::kProgram);
  start[1] = reinterpret_cast<uint64_t>(run.release());
  publish(2);
  run_places_[runs_++ % kMostRunsAhead] = submitted_;
}

void CommandQueue::commit_copy(const Copy& copy) {
  constexpr uint64_t kWords = 1 + sizeof(Copy) / sizeof(uint64_t);
  uint64_t* const start = reserve(kWords);
  start[0] = static_cast<uint64_t>(EntryKind::kCopy);
  std::memcpy(start + 1, &copy, sizeof copy);
  publish(kWords);
}

void CommandQueue::read(const std::byte* from, size_t bytes, void* to, ReadListener* listener, void* token) {
  commit_copy({to, from, bytes, nullptr, listener, token, nullptr, false});
  wanted_.store(submitted_, std::memory_order_relaxed);
}

void CommandQueue::receive(const Block& block, size_t offset, Transfer* transfer) {
  commit_copy({block.data + offset, transfer->bytes(), transfer->size(), nullptr, nullptr, nullptr, transfer, false});
}

void CommandQueue::join(std::shared_ptr<ProcessGroup> group) {
  wait_until_empty();
  group_ = std::move(group);
}

void CommandQueue::wait_for(uint64_t sequence) {
  const auto done = [&] { return completed_.load(std::memory_order_acquire) >= sequence; };
  if (done()) return;
  wanted_.store(sequence, std::memory_order_relaxed);
  if (spin_until(done)) return;
  std::unique_lock lock(mutex_);
  awaited_ = sequence;
  heavy_fence();
  work_done_.wait(lock, done);
  awaited_ = kNone;
}

bool CommandQueue::take_error(StreamError& error) {
  if (!has_error_.load(std::memory_order_acquire)) return false;
  std::lock_guard lock(error_mutex_);
  error = error_;
  has_error_ = false;
  return true;
}

void CommandQueue::keep_error(ErrorCode code, const std::string& message) {
  std::lock_guard lock(error_mutex_);
  if (has_error_) return;
  error_ = {code, message};
  has_error_.store(true, std::memory_order_release);
}

void CommandQueue::run_thread() {
  uint64_t done = 0;
  uint64_t position = 0;
  for (;;) {
    const auto ready = [&] {
      return published_.load(std::memory_order_acquire) > done || stopping_.load(std::memory_order_relaxed);
    };
    if (!spin_until(ready)) {
      std::unique_lock lock(mutex_);
      worker_asleep_ = true;
      heavy_fence();
      work_arrived_.wait(lock, ready);
      worker_asleep_ = false;
    }
    const uint64_t end = published_.load(std::memory_order_acquire);
    while (done < end) {
      if (static_cast<EntryKind>(ring_[position % kRingWords] & 0xff) == EntryKind::kSkip) {
        position += kRingWords - position % kRingWords;
      }
      position += run_entry(&ring_[position % kRingWords]);
      ++done;
      consumed_.store(position, std::memory_order_release);
      completed_.store(done, std::memory_order_release);
      light_fence();
      if (done >= awaited_.load(std::memory_order_relaxed)) {
        std::lock_guard lock(mutex_);
        work_done_.notify_all();
      }
    }
    if (stopping_.load(std::memory_order_relaxed)) return;
    let_gather(done);
  }
}

void CommandQueue::let_gather(uint64_t done) const {
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (wanted_.load(std::memory_order_relaxed) >= done) return;
      spin_pause();
    }
  } while (std::chrono::steady_clock::now() - start < kGatherTime);
}

uint64_t CommandQueue::run_entry(const uint64_t* words) {
  switch (static_cast<EntryKind>(words[0] & 0xff)) {
    case EntryKind::kCopy: {
      Copy copy;
      std::memcpy(&copy, words + 1, sizeof copy);
      if (copy.transfer != nullptr && !stopping()) copy.transfer->wait();
      if (stopping()) {
        if (copy.listener != nullptr) copy.listener->read_dropped(copy.token);
        discard(copy);
      } else {
        run_copy(copy);
      }
      if (copy.transfer != nullptr) copy.transfer->release();
      return 1 + sizeof copy / sizeof(uint64_t);
    }
    case EntryKind::kLargeCommand: {
      const std::unique_ptr<uint64_t[]> large(reinterpret_cast<uint64_t*>(words[1]));
      run_words(large.get());
      return 2;
    }
    case EntryKind::kProgram: {
      const std::unique_ptr<ProgramRun> run(reinterpret_cast<ProgramRun*>(words[1]));
      const auto start = std::chrono::steady_clock::now();
      run_program(*run);
      run_nanoseconds_.store((std::chrono::steady_clock::now() - start) / std::chrono::nanoseconds(1),
                             std::memory_order_relaxed);
      return 2;
    }
    default: return static_cast<uint64_t>(run_words(words) - words);
  }
}

void CommandQueue::run_program(const ProgramRun& run) {
  Program& program = *run.program;
  program.bind(run);
  const uint64_t* word = program.words.data();
  const auto run_until = [&](const uint64_t* end) {
    while (word != end && !stopping()) word = run_words(word);
  };
  for (const FusedGroup& group : program.groups) {
    run_until(program.words.data() + group.word);
    if (stopping()) return;
    // A profile tells the ops of a group apart, so it runs them one after another.
    word = Profiler::enabled() ? CommandQueue::run_group(group, word) : run_group(group, word);
  }
  run_until(program.words.data() + program.words.size());
}

const uint64_t* CommandQueue::run_group(const FusedGroup& group, const uint64_t* word) {
  for (int i = 0; i < group.commands; ++i) word = run_words(word);
  return word;
}

const uint64_t* CommandQueue::run_words(const uint64_t* word) {
  word = read_command(current_, word);
  guarded(current_, [&] { Profiler::enabled() ? run_profiled() : run_command(current_); });
  return word;
}

void CommandQueue::run_profiled() {
  static thread_local const int32_t stream = Profiler::next_stream();
  Profiler::current = current_.op;
  const int64_t start = Profiler::now();
  const int64_t took = run_timed(current_);
  const int64_t end = Profiler::now();
  Profiler::add({stream, current_.op, took < 0 ? start : end - took, end, bytes_of(current_), flops_of(current_)});
}

}  // namespace hadal
