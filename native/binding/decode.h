// Turns a record of words, written by lib/runtime/recorder.ts, into a Command: every check that keeps memory safe is here and
// in the op's shape check. A bug in TypeScript raises an error; it cannot corrupt memory.
//
// A record is float64 words:
//   opcode, device, input count, output count, attribute count
//   per tensor: kind + 16·dtype + 256·rank, then by kind
//     stored     slot, generation, offset, shape[rank], strides[rank]     (offset and strides in elements)
//     contiguous slot, generation, offset, shape[rank]                    (the same, with row-major strides)
//     fresh      slot, generation (both written back), shape[rank]        (outputs only: a new contiguous storage)
//     immediate  value, shape[rank]                                       (inputs only: a number, broadcast)
//     absent     nothing                                                  (an optional input)
//   attributes
#pragma once

#include "binding/environment.h"

namespace hadal {

enum class TensorKind : int { kStored, kContiguous, kFresh, kImmediate, kAbsent };

// Decodes the record at the start of the environment's words, allocates its fresh outputs and submits the command. Throws
// Error and leaves everything as it was when something is wrong.
void decode_and_submit(Environment& environment);

}  // namespace hadal
