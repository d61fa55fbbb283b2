#include "runtime/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>

#include "runtime/poison.h"
#include "runtime/profiler.h"
#include "runtime/scratch_memory.h"
#include "runtime/spin.h"
#include "system/process.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hadal {

namespace {

// How long an idle worker spins before it sleeps: a wake-up costs 5 to 50 µs, and a training step leaves gaps of about
// that length between loops.
constexpr auto kSpinTime = std::chrono::microseconds(60);

struct Scratch {
  void* memory = nullptr;
  size_t size = 0;
  ~Scratch() { HostScratch::free(memory); }
};
thread_local Scratch scratch;

}  // namespace

ThreadPool& ThreadPool::instance() {
  static ThreadPool& pool = *new ThreadPool;
  return pool;
}

ThreadPool::ThreadPool() {
  const auto wanted = environment_variable("HADAL_NUM_THREADS");
  const int count = wanted ? std::atoi(wanted->c_str()) : static_cast<int>(std::thread::hardware_concurrency());
  set_thread_count(std::max(count, 1));
}

void ThreadPool::set_thread_count(int count) {
  std::lock_guard owner(owner_);
  while (static_cast<int>(workers_.size()) < count - 1) {
    workers_.emplace_back(&ThreadPool::work, this, static_cast<int>(workers_.size()) + 1);
  }
  loop_.shares = std::make_unique<Share[]>(static_cast<size_t>(count));
  loop_.threads = count;
  thread_count_ = count;
}

void ThreadPool::drain(Loop& loop, int thread) {
  for (int i = 0; i < loop.threads; ++i) {
    Share& share = loop.shares[(thread + i) % loop.threads];
    // Looking first spares the others the line of a share that is done.
    while (share.next.load(std::memory_order_relaxed) < share.end) {
      const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
      if (task >= share.end) break;
      try {
        loop.body(loop.data, task);
      } catch (...) {
        std::lock_guard lock(loop.error_mutex);
        if (!loop.error) loop.error = std::current_exception();
      }
    }
  }
}

void ThreadPool::run(int64_t tasks, Body body, void* data) {
  if (thread_count() == 1 || tasks == 1 || !owner_.try_lock()) {
    for (int64_t task = 0; task < tasks; ++task) body(data, task);
    return;
  }
  std::lock_guard owner(owner_, std::adopt_lock);
  loop_.body = body;
  loop_.data = data;
  loop_.op = Profiler::current;
  loop_.error = nullptr;
  for (int i = 0; i < loop_.threads; ++i) {
    loop_.shares[i].next.store(tasks * i / loop_.threads, std::memory_order_relaxed);
    loop_.shares[i].end = tasks * (i + 1) / loop_.threads;
  }
  generation_.fetch_add(1);  // odd: open. Sequentially consistent with the sleepers' check below.
  if (sleepers_.load() > 0) {
    std::lock_guard lock(sleep_mutex_);
    wake_.notify_all();
  }
  drain(loop_, 0);
  generation_.fetch_add(1);  // even: closed; a worker that has not entered by now stays out
  while (active_.load() != 0) spin_pause();
  if (loop_.error) std::rethrow_exception(loop_.error);
}

void ThreadPool::take_part(int worker) {
  if (!Profiler::enabled()) return drain(loop_, worker);
  const int64_t start = Profiler::now();
  drain(loop_, worker);
  Profiler::add({worker, loop_.op, start, Profiler::now(), 0, 0});
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  auto idle_since = std::chrono::steady_clock::now();
  while (true) {
    const uint64_t generation = generation_.load();
    const bool open = (generation & 1) != 0 && generation != seen;
    if (open && worker < thread_count()) {
      active_.fetch_add(1);
      // Entering and closing are ordered: if the loop is still open here, run() waits for `active_` to fall again.
      if (generation_.load() == generation) take_part(worker);
      active_.fetch_sub(1);
      seen = generation;
      idle_since = std::chrono::steady_clock::now();
      continue;
    }
    for (int i = 0; i < 64 && generation_.load(std::memory_order_relaxed) == generation; ++i) spin_pause();
    if (std::chrono::steady_clock::now() - idle_since < kSpinTime) continue;
    std::unique_lock lock(sleep_mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, [&] { return generation_.load() != generation && worker < thread_count(); });
    sleepers_.fetch_sub(1);
    idle_since = std::chrono::steady_clock::now();
  }
}

void* ThreadPool::thread_scratch(size_t bytes) {
  // A piece that is still used after the next call is an error, which a sanitizer sees when each is memory of its own.
  if (bytes > scratch.size || kPoisons) {
    HostScratch::free(scratch.memory);
    scratch.size = 0;
    scratch.memory = HostScratch::allocate(bytes);
    if (scratch.memory == nullptr) throw std::bad_alloc();
    scratch.size = bytes;
  }
  return scratch.memory;
}

}  // namespace hadal
