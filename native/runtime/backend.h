// What a device is to the binding: memory, one ordered stream of commands, and reads and writes from the host. Both the CPU
// and CUDA implement it; nothing above knows which one it talks to. One per environment and device, used on its JS thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/allocator.h"
#include "runtime/command.h"
#include "runtime/process_group.h"
#include "runtime/program.h"
#include "runtime/transfer.h"

namespace hadal {

// A failure on the stream, kept until the next read or synchronisation.
struct StreamError {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual bool supports(Op op) const = 0;
  // Whether 16-bit floats are multiplied by tensor cores, which want images [n, c, …] with the channels of a position side by side and rows of
  // matrices that begin at multiples of 16 bytes.
  virtual bool has_tensor_cores() const { return false; }

  // Memory, ordered by the stream. `allocate` answers with an empty block when there is none.
  virtual Block allocate(size_t bytes) = 0;
  virtual void free(Block block) = 0;
  virtual void release_cache() = 0;  // waits for the stream
  virtual const MemoryStatistics& memory() const = 0;
  virtual void reset_peak() = 0;
  virtual MemorySource& source() const = 0;

  // The command to fill next; waits while the queue is full. It runs after commit(), or never if that is not called.
  virtual Command& next_command() = 0;
  virtual void commit() = 0;
  // Runs a program's commands in one go; waits while the queue holds enough of them.
  virtual void run(std::unique_ptr<ProgramRun> run) = 0;

  // Copies between host and a block, in stream order. `write` has taken the bytes when it returns; `read` calls
  // listener->read_done(token) when they are there.
  virtual void write(const Block& block, size_t offset, const void* from, size_t bytes) = 0;
  virtual void read(const std::byte* from, size_t bytes, void* to, ReadListener* listener, void* token) = 0;
  // The same at once, on the JS thread, after synchronize().
  virtual void read_idle(const std::byte* from, size_t bytes, void* to) = 0;
  // Waits, in stream order, for what another device sends, and copies it into the block. Takes the transfer over.
  virtual void receive(const Block& block, size_t offset, Transfer* transfer) = 0;

  // Collectives submitted from now on are those of `group`.
  virtual void join(std::shared_ptr<ProcessGroup> group) = 0;

  // Waits until everything submitted so far has run.
  virtual void synchronize() = 0;
  // The oldest error since the last call, if any.
  virtual bool take_error(StreamError& error) = 0;
};

}  // namespace hadal
