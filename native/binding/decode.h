// Turns a record of words, written by lib/runtime/recorder.ts, into a Command: every check that keeps memory safe is here and
// in the op's shape check. A bug in TypeScript raises an error; it cannot corrupt memory.
//
// A record is float64 words:
//   opcode, device, input count, output count, attribute count
//   per tensor: kind + 16·dtype + 256·rank, then by kind
//     stored     slot, generation, offset, shape[rank], strides[rank]     (offset and strides in elements)
//     contiguous slot, generation, offset, shape[rank]                    (the same, with row-major strides)
//     fresh      slot, generation (both written back), shape[rank]        (outputs only: a new contiguous storage)
//     arranged   slot, generation (both written back), shape[rank], strides[rank]  (the same, in another order or with gaps)
//     immediate  value, shape[rank]                                       (inputs only: a number, broadcast)
//     absent     nothing                                                  (an optional tensor)
//   attributes
#pragma once

#include <memory>
#include <span>

#include "binding/environment.h"

namespace hadal {

enum class TensorKind : int { kStored, kContiguous, kFresh, kImmediate, kAbsent, kArranged };

// Decodes the record at the start of the environment's words, allocates its fresh outputs and submits the command. Throws
// Error and leaves everything as it was when something is wrong. Answers where the outputs begin in the record when any of them is fresh, else null.
double* decode_and_submit(Environment& environment);

// A part of a program's arena, the block for tensors that are in use only during a run.
struct Place {
  double offset;
  double bytes;
};

// Decodes records that follow each other into a program. In them a slot is a number, and no output is fresh: the first numbers are bindings of at
// least so many bytes, those after them places in the arena, which is the last binding. The attributes of `live_records`, by their place in the list,
// are given anew by each run.
std::shared_ptr<Program> decode_program(Environment& environment, std::span<double> records,
                                        std::span<const double> binding_bytes, std::span<const Place> places,
                                        std::span<const uint32_t> live_records);

}  // namespace hadal
