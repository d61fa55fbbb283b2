// How kernels report what only they can see, an index out of range or an integer division by zero: the first thread to notice
// writes it down in host memory, and the stream throws it at the next read or synchronisation.
#pragma once

#include <cstdint>

namespace hadal::cuda {

// An index outside [0, size), an integer division by zero, a number outside [0, size], something that cannot be used.
enum class FaultKind : int { kIndexOutOfRange = 1, kDivisionByZero, kOutOfBounds, kUnusable };

// Lies in pinned host memory that the device can write. `whole` becomes 1 when all the rest is there; the host sets it back.
struct Fault {
  unsigned whole;
  FaultKind kind;
  const char* op;  // literals of the host, only carried by the device
  const char* subject;
  const char* what;
  long long index, position, size;
};

// Handed to kernels by value. Whoever takes `claim` from 0 to 1 fills in the fault; the stream sets it back. It lies in device memory: not every
// device, nor compute-sanitizer's memcheck, allows atomics on the host's.
struct FaultSite {
  Fault* fault;
  unsigned* claim;
  const char* op;
  const char* subject;
  const char* what;

#if defined(__CUDACC__)
  __device__ void raise(FaultKind kind, int64_t index, int64_t position, int64_t size) const {
    if (atomicCAS(claim, 0u, 1u) != 0u) return;
    fault->kind = kind;
    fault->op = op;
    fault->subject = subject;
    fault->what = what;
    fault->index = index;
    fault->position = position;
    fault->size = size;
    __threadfence_system();
    *static_cast<volatile unsigned*>(&fault->whole) = 1u;
  }
  // "op: index 7 at position 3 out of range for 5 rows". Afterwards the caller goes on with an index that is inside.
  __device__ void index_out_of_range(int64_t index, int64_t position, int64_t size) const {
    raise(FaultKind::kIndexOutOfRange, index, position, size);
  }
  // "op: length 7 at position 3 out of range: expected 0 to 5".
  __device__ void out_of_bounds(int64_t value, int64_t position, int64_t limit) const {
    raise(FaultKind::kOutOfBounds, value, position, limit);
  }
  // "op: box 3 is not finite", and with a size "op: box 3 names no image of 2".
  __device__ void unusable(int64_t position, int64_t size = 0) const { raise(FaultKind::kUnusable, 0, position, size); }
#endif
};

}  // namespace hadal::cuda
