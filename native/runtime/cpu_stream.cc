#include "runtime/cpu_stream.h"

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/blas.h"
#include "runtime/thread_pool.h"

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

CpuStream::CpuStream(const CpuKernelTable& kernels)
    : kernels_(kernels), queue_(std::make_unique<Entry[]>(kQueueLength)), thread_(&CpuStream::run, this) {}

CpuStream::~CpuStream() {
  stopping_ = true;
  {
    std::lock_guard lock(mutex_);
    work_arrived_.notify_all();
  }
  thread_.join();
  for (const ScratchBlock& block : scratch_) std::free(block.data);
}

CpuStream::Entry& CpuStream::next_entry() {
  if (submitted_ - completed_seen_ >= kQueueLength) {
    completed_seen_ = completed_.load(std::memory_order_acquire);
    if (submitted_ - completed_seen_ >= kQueueLength) {
      wait_for(submitted_ - kQueueLength / 2);
      completed_seen_ = completed_.load(std::memory_order_acquire);
    }
  }
  return queue_[submitted_ % kQueueLength];
}

Command& CpuStream::next_command() {
  Entry& entry = next_entry();
  entry.is_copy = false;
  return entry.command;
}

void CpuStream::commit() {
  ++submitted_;
  published_.store(submitted_, std::memory_order_release);
  light_fence();
  if (worker_asleep_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(mutex_);
    work_arrived_.notify_one();
  }
}

void CpuStream::write(const Block& block, size_t offset, const void* from, size_t bytes) {
  std::byte* to = block.data + offset;
  if (completed_.load(std::memory_order_acquire) >= block.freed_at) {
    // Nothing queued can still use this memory: it is fresh, or its last user has run.
    std::memcpy(to, from, bytes);
    return;
  }
  Entry& entry = next_entry();
  entry.is_copy = true;
  entry.staged = std::make_unique_for_overwrite<std::byte[]>(bytes);
  std::memcpy(entry.staged.get(), from, bytes);
  entry.from = entry.staged.get();
  entry.to = to;
  entry.bytes = bytes;
  entry.listener = nullptr;
  commit();
}

void CpuStream::read(const std::byte* from, size_t bytes, void* to, ReadListener* listener, void* token) {
  Entry& entry = next_entry();
  entry.is_copy = true;
  entry.from = from;
  entry.to = to;
  entry.bytes = bytes;
  entry.listener = listener;
  entry.token = token;
  commit();
}

void CpuStream::wait_for(uint64_t sequence) {
  const auto done = [&] { return completed_.load(std::memory_order_acquire) >= sequence; };
  if (spin_until(done)) return;
  std::unique_lock lock(mutex_);
  waiter_asleep_ = true;
  heavy_fence();
  work_done_.wait(lock, done);
  waiter_asleep_ = false;
}

void CpuStream::synchronize() { wait_for(submitted_); }

void CpuStream::release_cache() {
  synchronize();
  allocator_.release_cache();
}

bool CpuStream::take_error(StreamError& error) {
  if (!has_error_.load(std::memory_order_acquire)) return false;
  std::lock_guard lock(error_mutex_);
  error = error_;
  has_error_ = false;
  return true;
}

void CpuStream::run() {
  uint64_t done = 0;
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
    if (stopping_) return;
    const uint64_t end = published_.load(std::memory_order_acquire);
    while (done < end && !stopping_.load(std::memory_order_relaxed)) {
      run_entry(queue_[done % kQueueLength], done + 1);
      ++done;
      completed_.store(done, std::memory_order_release);
      light_fence();
      if (waiter_asleep_.load(std::memory_order_relaxed)) {
        std::lock_guard lock(mutex_);
        work_done_.notify_all();
      }
    }
  }
}

void CpuStream::run_entry(Entry& entry, uint64_t sequence) {
  if (entry.is_copy) {
    if (entry.bytes != 0) std::memcpy(entry.to, entry.from, entry.bytes);
    entry.staged.reset();
    if (entry.listener != nullptr) entry.listener->read_done(entry.token);
    return;
  }
  const auto keep_error = [&](ErrorCode code, const std::string& message) {
    std::lock_guard lock(error_mutex_);
    if (has_error_) return;
    error_ = {code, message, sequence};
    has_error_.store(true, std::memory_order_release);
  };
  try {
    kernels_.kernels[static_cast<int>(entry.command.op)](*this, entry.command);
  } catch (const Error& error) {
    keep_error(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    keep_error(ErrorCode::kOutOfMemory, std::string(entry.command.name()) + ": out of scratch memory");
  } catch (const std::exception& error) {
    keep_error(ErrorCode::kInternal, std::string(entry.command.name()) + ": " + error.what());
  }
  for (ScratchBlock& block : scratch_) block.used = 0;
}

void CpuStream::run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) {
  ThreadPool::instance().run(tasks, body, data);
}

void* CpuStream::scratch_bytes(size_t bytes) {
  bytes = (bytes + 63) & ~size_t{63};
  for (ScratchBlock& block : scratch_) {
    if (block.size - block.used >= bytes) {
      void* memory = block.data + block.used;
      block.used += bytes;
      return memory;
    }
  }
  // Unused blocks go before a larger one comes, so that what is kept stays near the largest need.
  std::erase_if(scratch_, [](const ScratchBlock& block) {
    if (block.used == 0) std::free(block.data);
    return block.used == 0;
  });
  const size_t size = std::max(bytes, size_t{1} << 16);
  auto* data = static_cast<std::byte*>(std::aligned_alloc(64, size));
  if (data == nullptr) throw std::bad_alloc();
  scratch_.push_back({data, size, bytes});
  return data;
}

void* CpuStream::thread_scratch_bytes(size_t bytes) { return ThreadPool::thread_scratch(bytes); }

extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*, const int*,
            const float*, const int*, const float*, float*, const int*);
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*, const int*,
            const double*, const int*, const double*, double*, const int*);
}

const Blas& CpuStream::blas() const {
  static constexpr Blas kBlas{sgemm_, dgemm_};
  return kBlas;
}

}  // namespace hadal
