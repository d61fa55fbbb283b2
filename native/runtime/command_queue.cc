#include "runtime/command_queue.h"

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/spin.h"

namespace hadal {

namespace {

// A sleeping thread takes 5 to 50 µs to wake; small ops follow each other faster than that.
constexpr auto kSpinTime = std::chrono::microseconds(50);

// Spins until ready() or the spin time is over; says whether it became ready.
template <class Ready>
bool spin_until(Ready&& ready) {
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      spin_pause();
    }
  } while (std::chrono::steady_clock::now() - start < kSpinTime);
  return false;
}

// Publishing a command and looking whether the worker sleeps needs a full fence between the two, and so does the worker's side.
// The fence is paid by whoever goes to sleep: membarrier() makes the other thread's stores visible, so that commit() costs none.
const bool kHasMembarrier = [] {
#if defined(__linux__)
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#else
  return false;
#endif
}();

// After a store that a thread about to sleep must see, before the load of its sleep flag.
inline void light_fence() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (!kHasMembarrier) std::atomic_thread_fence(std::memory_order_seq_cst);
}

// After announcing one's sleep, before the last look at what the other thread stores.
inline void heavy_fence() {
#if defined(__linux__)
  if (kHasMembarrier) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    return;
  }
#endif
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace

CommandQueue::CommandQueue() : ring_(std::make_unique_for_overwrite<uint64_t[]>(kRingWords)) {}

void CommandQueue::start() { thread_ = std::thread(&CommandQueue::run, this); }

void CommandQueue::stop() {
  stopping_ = true;
  {
    std::lock_guard lock(mutex_);
    work_arrived_.notify_all();
  }
  thread_.join();
}

// Entries of the ring. A command is
//   kind, op, counts of inputs, outputs and attributes
//   per tensor: dtype, rank and layout; then its address and shape, and its strides unless it is contiguous; or, for an
//   immediate operand, its value and shape
//   attributes
// and one too large for the ring holds the address of the same words on the heap. A copy is the Copy itself.
enum class EntryKind : uint64_t { kCommand, kLargeCommand, kCopy, kSkip };
enum class Layout : uint64_t { kContiguous, kStrided, kImmediate, kAbsent };

namespace {

constexpr uint64_t kCommandHeaderWords = 2;

uint64_t words_of(const Command& command) {
  uint64_t words = kCommandHeaderWords + static_cast<uint64_t>(command.attribute_count);
  const int tensors = command.input_count + command.output_count;
  for (int i = 0; i < tensors; ++i) words += 2 + 2 * static_cast<uint64_t>(command.tensors[i].rank);  // an upper bound
  return words;
}

uint64_t* write_command(const Command& command, uint64_t* word) {
  const int tensors = command.input_count + command.output_count;
  *word++ = static_cast<uint64_t>(EntryKind::kCommand) | static_cast<uint64_t>(command.op) << 8 |
            static_cast<uint64_t>(command.attribute_count) << 32;
  *word++ = static_cast<uint64_t>(command.input_count) | static_cast<uint64_t>(command.output_count) << 32;
  for (int i = 0; i < tensors; ++i) {
    const TensorView& view = command.tensors[i];
    const bool immediate = command.is_immediate(i);
    const Layout layout = !view.present()        ? Layout::kAbsent
                          : immediate            ? Layout::kImmediate
                          : view.is_contiguous() ? Layout::kContiguous
                                                 : Layout::kStrided;
    *word++ =
        static_cast<uint64_t>(view.dtype) | static_cast<uint64_t>(view.rank) << 8 | static_cast<uint64_t>(layout) << 16;
    if (layout == Layout::kAbsent) continue;
    *word++ = immediate ? std::bit_cast<uint64_t>(command.immediates[i]) : reinterpret_cast<uint64_t>(view.data);
    for (int axis = 0; axis < view.rank; ++axis) *word++ = static_cast<uint64_t>(view.shape[axis]);
    if (layout != Layout::kStrided) continue;
    for (int axis = 0; axis < view.rank; ++axis) *word++ = static_cast<uint64_t>(view.strides[axis]);
  }
  for (int i = 0; i < command.attribute_count; ++i) *word++ = std::bit_cast<uint64_t>(command.attributes[i]);
  return word;
}

const uint64_t* read_command(Command& command, const uint64_t* word) {
  command.op = static_cast<Op>((*word >> 8) & 0xffff);
  command.attribute_count = static_cast<int>(*word++ >> 32);
  command.input_count = static_cast<int>(*word & 0xffffffff);
  command.output_count = static_cast<int>(*word++ >> 32);
  const int tensors = command.input_count + command.output_count;
  command.reserve(tensors, command.attribute_count);
  for (int i = 0; i < tensors; ++i) {
    TensorView& view = command.tensors[i];
    view.dtype = static_cast<DType>(*word & 0xff);
    view.rank = static_cast<int>((*word >> 8) & 0xff);
    const auto layout = static_cast<Layout>(*word++ >> 16);
    if (layout == Layout::kAbsent) {
      view.data = nullptr;
      continue;
    }
    if (layout == Layout::kImmediate) {
      command.immediates[i] = std::bit_cast<double>(*word++);
      view.data = reinterpret_cast<std::byte*>(&command.immediates[i]);
    } else {
      view.data = reinterpret_cast<std::byte*>(*word++);
    }
    for (int axis = 0; axis < view.rank; ++axis) view.shape[axis] = static_cast<int64_t>(*word++);
    if (layout == Layout::kStrided) {
      for (int axis = 0; axis < view.rank; ++axis) view.strides[axis] = static_cast<int64_t>(*word++);
    } else if (layout == Layout::kImmediate) {
      for (int axis = 0; axis < view.rank; ++axis) view.strides[axis] = 0;
    } else {
      int64_t stride = 1;
      for (int axis = view.rank - 1; axis >= 0; --axis) {
        view.strides[axis] = stride;
        stride *= std::max<int64_t>(view.shape[axis], 1);
      }
    }
  }
  for (int i = 0; i < command.attribute_count; ++i) command.attributes[i] = std::bit_cast<double>(*word++);
  return word;
}

}  // namespace

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
    publish(static_cast<uint64_t>(write_command(next_, start) - start));
    return;
  }
  auto* large = new uint64_t[words];
  write_command(next_, large);
  uint64_t* const start = reserve(2);
  start[0] = static_cast<uint64_t>(EntryKind::kLargeCommand);
  start[1] = reinterpret_cast<uint64_t>(large);
  publish(2);
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
}

void CommandQueue::receive(const Block& block, size_t offset, Transfer* transfer) {
  commit_copy({block.data + offset, transfer->bytes(), transfer->size(), nullptr, nullptr, nullptr, transfer, false});
}

void CommandQueue::wait_for(uint64_t sequence) {
  const auto done = [&] { return completed_.load(std::memory_order_acquire) >= sequence; };
  if (spin_until(done)) return;
  std::unique_lock lock(mutex_);
  waiter_asleep_ = true;
  heavy_fence();
  work_done_.wait(lock, done);
  waiter_asleep_ = false;
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

void CommandQueue::run() {
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
      consumed_.store(position, std::memory_order_relaxed);
      completed_.store(done, std::memory_order_release);
      light_fence();
      if (waiter_asleep_.load(std::memory_order_relaxed)) {
        std::lock_guard lock(mutex_);
        work_done_.notify_all();
      }
    }
    if (stopping_.load(std::memory_order_relaxed)) return;
  }
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
      read_command(current_, large.get());
      run_current();
      return 2;
    }
    default: {
      const uint64_t* const end = read_command(current_, words);
      run_current();
      return static_cast<uint64_t>(end - words);
    }
  }
}

void CommandQueue::run_current() {
  if (stopping()) return;
  try {
    run_command(current_);
  } catch (const Error& error) {
    keep_error(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    keep_error(ErrorCode::kOutOfMemory, std::string(current_.name()) + ": out of scratch memory");
  } catch (const std::exception& error) {
    keep_error(ErrorCode::kInternal, std::string(current_.name()) + ": " + error.what());
  }
}

}  // namespace hadal
