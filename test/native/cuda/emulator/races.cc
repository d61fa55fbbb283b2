#include "races.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "emulator.h"

#if defined(EMULATOR_RACES)

namespace emulator::races {
namespace {

constexpr int kMaxThreads = 1024;

// How far a thread knows the others: by number of thread, up to which time. Each counts its own times, one for what it does between
// two meetings; those of a block begin where those of the last one have ended.
using Clock = std::array<uint32_t, kMaxThreads>;

struct Past {
  uint32_t time = 0;
  uint16_t thread = 0;
  bool atomic = false;
};
// Of one byte: who has written it last, and who has read it since. Of readers two are kept, which nothing orders.
struct Byte {
  Past writer, readers[2];
};

constexpr size_t kPiece = 256, kMostPieces = 200000;
size_t piece_count;
struct Memory {
  uintptr_t begin, end;
  bool shared;
  std::vector<std::unique_ptr<std::array<Byte, kPiece>>> pieces;

  Byte& at(uintptr_t address) {
    const size_t place = address - begin;
    auto& piece = pieces[place / kPiece];
    if (piece == nullptr) {
      piece = std::make_unique<std::array<Byte, kPiece>>();
      ++piece_count;
    }
    return (*piece)[place % kPiece];
  }
};

// Never destroyed, since kernels may run until the process has ended.
std::recursive_mutex& mutex = *new std::recursive_mutex;  // held by a launch to its end
std::map<uintptr_t, Memory>& memories = *new std::map<uintptr_t, Memory>;
Memory* latest;  // that was looked up

// The times from which on something is of this launch, or of one of its blocks. No access is of time 0.
uint32_t launch_start = 1, block_start = 1, latest_time = 1;
std::vector<uint32_t>& block_starts = *new std::vector<uint32_t>;
int thread_count;
Clock* const clocks = new Clock[kMaxThreads]();
Clock* const meetings = new Clock[kMeetings]();
std::set<uint32_t>& known_blocks =
    *new std::set<uint32_t>;  // that have passed a turn on to this one, or to one of those
std::map<const void*, std::set<uint32_t>>& turns = *new std::map<const void*, std::set<uint32_t>>;

// Host code, of other threads and in between, is compiled the same way, and so may be what is called here.
thread_local bool runs_kernel, is_noting;

void add(const void* memory, size_t bytes, bool shared) {
  std::lock_guard lock(mutex);
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  memories.insert_or_assign(begin, Memory{begin, begin + bytes, shared, {}});
  memories.at(begin).pieces.resize((bytes + kPiece - 1) / kPiece);
  latest = nullptr;
}

Memory* find(uintptr_t address) {
  if (latest != nullptr && address >= latest->begin && address < latest->end) return latest;
  auto after = memories.upper_bound(address);
  if (after == memories.begin() || address >= (--after)->second.end) return nullptr;
  return latest = &after->second;
}

void join(Clock& to, const Clock& from) {
  for (int i = 0; i < thread_count; ++i) to[i] = std::max(to[i], from[i]);
}

bool is_before(const Past& past, int thread, bool shared) {
  if (past.time < (shared ? block_start : launch_start)) return true;
  if (past.time >= block_start) return past.thread == thread || clocks[thread][past.thread] >= past.time;
  const uint32_t block = *(std::upper_bound(block_starts.begin(), block_starts.end(), past.time) - 1);
  return known_blocks.contains(block);
}

std::string describe(const Memory& memory, uintptr_t address, const char* does, const Past& past, const char* has,
                     const void* from) {
  char text[200];
  std::snprintf(text, sizeof(text), "a race: it %s byte %zu of %s, which thread %d of %s block has %s (at %p)", does,
                static_cast<size_t>(address - memory.begin), memory.shared ? "shared memory" : "an allocation",
                past.thread, past.time >= block_start ? "this" : "another", has, from);
  return text;
}

// Answers what is wrong.
std::string take(const void* memory, size_t bytes, Access access, const void* from) {
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  Memory* const owner = find(begin);
  if (owner == nullptr) return "";
  const int thread = thread_number();
  const Past now{clocks[thread][thread], static_cast<uint16_t>(thread), access == Access::kAtomic};
  const auto precedes = [&](const Past& past) { return is_before(past, thread, owner->shared); };
  for (uintptr_t address = begin; address < std::min(begin + bytes, owner->end); ++address) {
    Byte& byte = owner->at(address);
    const bool both_atomic = now.atomic && byte.writer.atomic;
    if (!both_atomic && !precedes(byte.writer)) {
      return describe(*owner, address, access == Access::kRead ? "reads" : "writes", byte.writer, "written", from);
    }
    if (access == Access::kRead) {
      byte.readers[precedes(byte.readers[0]) ? 0 : 1] = now;
      continue;
    }
    for (Past& reader : byte.readers) {
      if (!precedes(reader)) return describe(*owner, address, "writes", reader, "read", from);
      reader = {};
    }
    byte.writer = now;
  }
  return "";
}

void note_from(const void* memory, size_t bytes, Access access, const void* from) {
  if (!runs_kernel || is_noting) return;
  is_noting = true;
  const std::string race = take(memory, bytes, access, from);
  is_noting = false;
  if (!race.empty()) fail(race.c_str());
}

}  // namespace

void add_memory(const void* memory, size_t bytes) { add(memory, bytes, false); }
void add_shared(const void* memory, size_t bytes) { add(memory, bytes, true); }
void remove(const void* memory) {
  std::lock_guard lock(mutex);
  memories.erase(reinterpret_cast<uintptr_t>(memory));
  latest = nullptr;
}

void start_launch() {
  mutex.lock();
  launch_start = latest_time + 1;
  block_starts.clear();
  turns.clear();
  if (piece_count > kMostPieces) {
    for (auto& [begin, memory] : memories) {
      for (auto& piece : memory.pieces) piece.reset();
    }
    piece_count = 0;
  }
  runs_kernel = true;
}
void end_launch() {
  runs_kernel = false;
  mutex.unlock();
}
void start_block(int threads) {
  block_start = ++latest_time;
  block_starts.push_back(block_start);
  thread_count = threads;
  known_blocks.clear();
  for (int i = 0; i < threads; ++i) clocks[i][i] = block_start;
}

void arrive(int meeting, int thread) {
  join(meetings[meeting], clocks[thread]);
  latest_time = std::max(latest_time, ++clocks[thread][thread]);
}
void leave(int meeting, int thread) { join(clocks[thread], meetings[meeting]); }
void close(int meeting) { std::fill_n(meetings[meeting].begin(), thread_count, 0); }

void pass_turn(const void* counter) {
  std::set<uint32_t>& blocks = turns[counter];
  blocks.insert(known_blocks.begin(), known_blocks.end());
  blocks.insert(block_start);
}
void take_turn(const void* counter) {
  const std::set<uint32_t>& blocks = turns[counter];
  known_blocks.insert(blocks.begin(), blocks.end());
}

void note(const void* memory, size_t bytes, Access access) {
  note_from(memory, bytes, access, __builtin_return_address(0));
}

}  // namespace emulator::races

// --- What instrumented code calls --------------------------------------------------------------------------------------------

using emulator::races::Access;

#define HADAL_ACCESS(name, bytes, access)                                                   \
  extern "C" void __tsan_##name(void* memory) {                                             \
    emulator::races::note_from(memory, bytes, Access::access, __builtin_return_address(0)); \
  }
#define HADAL_ACCESSES(bytes)                       \
  HADAL_ACCESS(read##bytes, bytes, kRead)           \
  HADAL_ACCESS(write##bytes, bytes, kWrite)         \
  HADAL_ACCESS(unaligned_read##bytes, bytes, kRead) \
  HADAL_ACCESS(unaligned_write##bytes, bytes, kWrite)
HADAL_ACCESSES(1)
HADAL_ACCESSES(2)
HADAL_ACCESSES(4)
HADAL_ACCESSES(8)
HADAL_ACCESSES(16)

extern "C" {
void __tsan_read_range(void* memory, size_t bytes) {
  emulator::races::note_from(memory, bytes, Access::kRead, __builtin_return_address(0));
}
void __tsan_write_range(void* memory, size_t bytes) {
  emulator::races::note_from(memory, bytes, Access::kWrite, __builtin_return_address(0));
}
void __tsan_atomic_thread_fence(int) {}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
}

#endif
