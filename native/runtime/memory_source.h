// Where an allocator gets large pieces of memory from, and how much there may be. One per device, shared by all environments.
#pragma once

#include <cstddef>

namespace hadal {

class MemorySource {
 public:
  // Null when the limit or the device says no.
  virtual std::byte* map(size_t bytes) = 0;
  virtual void unmap(std::byte* memory, size_t bytes) = 0;

  // Bytes that could still be mapped, by the limit and by what the device has available.
  virtual size_t available() const = 0;
  virtual void set_limit(size_t bytes) = 0;

 protected:
  ~MemorySource() = default;
};

// The machine's memory, on huge pages. The limit is nine tenths of it (or of the control group's) unless set.
MemorySource& host_memory();

}  // namespace hadal
