// The process group of one machine: a file that all ranks map. Each rank has a line in it, with how often it has come to wait() and what it has
// announced, and memory for what it shows the others. Kernel locks tell who lives: a rank holds one on a byte of the file, which the system drops
// however the process ends. The file itself is made by whoever starts the ranks (lib/cli/launch.ts: on Linux without a name, so that nothing is left).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "runtime/process_group.h"
#include "system/shared_file.h"

namespace hadal {

class SharedMemoryGroup final : public ProcessGroup {
 public:
  static constexpr int kMaxRanks = 64;

  // Does not wait for the others. `lane` is the part of the file for one stream of each rank; `build` must be the same on all ranks. Throws Error
  // when the file cannot be used, or the rank is taken.
  SharedMemoryGroup(const std::string& path, int lane, int rank, int size, uint32_t build,
                    std::chrono::milliseconds timeout);
  ~SharedMemoryGroup() override;
  SharedMemoryGroup(const SharedMemoryGroup&) = delete;
  SharedMemoryGroup& operator=(const SharedMemoryGroup&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void announce(const Command& command) override;
  void wait() override;
  std::byte* slot(int rank) override;
  void next_round() override { half_ ^= 1; }
  void check_peers() override;
  void stop() override { stopping_.store(true, std::memory_order_relaxed); }

 private:
  struct Header;
  struct Line;

  Line& line(int rank) const;
  int64_t lock_of(int rank) const { return lane_ * kMaxRanks + rank; }
  void wait_for(int rank, uint32_t turn);
  bool has_ended(int rank) const;
  void compare_announced();
  void throw_if_failed() const;
  // Makes this the reason why the group has failed, unless there is one, and throws the reason.
  [[noreturn]] void fail(const std::string& reason) const;
  std::string prefixed(const std::string& message) const;

  const int lane_;
  const int rank_;
  const int size_;
  const std::chrono::milliseconds timeout_;
  SharedFile file_;
  size_t bytes_ = 0;
  // Of the stream's thread.
  uint32_t turn_ = 0;
  int half_ = 0;
  bool announced_ = false;
  std::atomic<const char*> op_{"init"};  // of ops.def
  std::atomic<bool> stopping_{false};
};

}  // namespace hadal
