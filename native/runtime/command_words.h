// A command as words: the form in which it waits in a queue's ring (command_queue.cc) and in a program (program.h).
//   op, counts of inputs, outputs and attributes
//   per tensor: dtype, rank and layout; then its address and shape, and its strides unless it is contiguous; or, for an
//   immediate operand, its value and shape
//   attributes
// It takes some 15 words, two cache lines, where the Command itself would take ten.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/command.h"

namespace hadal {

// Room that write_command may take.
uint64_t words_of(const Command& command);
// Answers the word after the last. The lowest byte of the first word is 0, and the last words are the attributes. `addresses`, if given, gets
// the place of each tensor's address; those of tensors without memory stay as they are.
uint64_t* write_command(const Command& command, uint64_t* word, std::vector<uint64_t*>* addresses = nullptr);
const uint64_t* read_command(Command& command, const uint64_t* word);

}  // namespace hadal
