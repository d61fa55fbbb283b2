// A file that several processes map: what one stores the others see, one can sleep until another stores, and locks tell who lives.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

namespace hadal {

// What `start` of a mapping must be a multiple of, on every system: pages of some arm64 systems, and Windows, are the coarsest.
inline constexpr size_t kMapUnit = size_t{64} << 10;

class SharedFile {
 public:
  SharedFile() = default;
  ~SharedFile();
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  std::error_code open(const std::string& path);

  // A lock for each byte, which belongs to this opened file and not to the process: two that lock may be threads of one. The system drops it
  // however the process ends. `byte` may lie beyond the end.
  bool lock(int64_t byte);
  // Whether another opened file has the lock.
  bool is_locked(int64_t byte) const;

  // Maps [start, start + bytes), once, with room in the file for all of it: a file system that is full must show here, not as a fault later.
  std::error_code reserve(int64_t start, size_t bytes);
  std::error_code map(int64_t start, size_t bytes);
  std::byte* memory() const { return memory_; }

  // Sleeps while `word`, of the memory, is `seen`, at most for `time`; may wake early.
  void sleep(std::atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds time);
  // Wakes the `sleepers` that sleep on it.
  void wake(std::atomic<uint32_t>& word, uint32_t sleepers);

 private:
  intptr_t file_ = -1;
  std::byte* memory_ = nullptr;
  int64_t start_ = 0;
  size_t bytes_ = 0;
};

}  // namespace hadal
