// The processes that compute together, as a stream of one of them sees them: where collectives meet, compare what they are about to do,
// exchange bytes, and hear of each other's end. Made by binding/environment.cc (SharedMemoryGroup), used by the kernels of collectives.
#pragma once

#include <cstddef>

#include "runtime/error.h"
#include "runtime/kernel_context.h"

namespace hadal {

struct Command;

class ProcessGroup {
 public:
  // What a rank can show the others at a time.
  static constexpr size_t kSlotBytes = size_t{1} << 20;

  virtual ~ProcessGroup() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Says which collective this rank runs now; the wait() that follows compares it with the others'.
  virtual void announce(const Command& command) = 0;
  // Waits until all ranks have called it as often. Throws Error when ranks have announced different collectives, or when one has ended, failed
  // or not come within the timeout; so does every later call, on every rank.
  virtual void wait() = 0;

  // Memory of a rank that all see, 64-byte aligned. A round is: write into one's own slot, wait(), read those of others, next_round(). With two rounds'
  // slots in turn, nothing is written over before all have read it.
  virtual std::byte* slot(int rank) = 0;
  virtual void next_round() = 0;

  // Throws Error when another rank has ended or failed. From any thread.
  virtual void check_peers() = 0;
  // Makes a wait() that goes on fail. From any thread.
  virtual void stop() = 0;
};

// The context of a CPU stream as kernels of collectives know it. They are never part of a fused group, so the context that they get is one.
class CollectiveContext : public KernelContext {
 public:
  // Null when the process computes alone.
  virtual ProcessGroup* group() const = 0;

 protected:
  ~CollectiveContext() = default;
};

}  // namespace hadal
