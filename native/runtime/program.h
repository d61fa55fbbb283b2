// A program: commands that were recorded once and run again with other memory, random numbers and attributes. Its tensors lie in
// bindings, blocks of memory that each run names anew. Made by binding/decode.cc, run by a CommandQueue.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/fusion.h"

namespace hadal {

struct ProgramRun;

struct Program {
  // A word that holds an address: `offset` bytes into a binding.
  struct Address {
    size_t word;
    size_t binding;
    int64_t offset;
  };

  std::vector<uint64_t> words;  // of the commands, as in command_words.h
  std::vector<Address> addresses;
  // Words of the first of three attributes that are a place in a Philox stream: (seedLow, seedHigh, offset), the offset counted from
  // the start of the run.
  std::vector<size_t> random_streams;
  std::vector<double> random_offsets;
  std::vector<size_t> live_attributes;  // words of the attributes that each run gives
  std::vector<FusedGroup> groups;       // in the order of the commands
  std::vector<size_t> binding_bytes;    // what each binding must hold

  // Writes what a run brings into the words. On the queue's thread, before the commands run.
  void bind(const ProgramRun& run);
};

struct ProgramRun {
  std::shared_ptr<Program> program;
  std::vector<std::byte*> bindings;
  std::array<double, 3> random;  // seedLow, seedHigh, offset
  std::vector<double> live_attributes;
};

inline void Program::bind(const ProgramRun& run) {
  for (const Address& address : addresses) {
    words[address.word] = reinterpret_cast<uint64_t>(run.bindings[address.binding] + address.offset);
  }
  for (size_t i = 0; i < random_streams.size(); ++i) {
    uint64_t* const word = &words[random_streams[i]];
    word[0] = std::bit_cast<uint64_t>(run.random[0]);
    word[1] = std::bit_cast<uint64_t>(run.random[1]);
    word[2] = std::bit_cast<uint64_t>(run.random[2] + random_offsets[i]);
  }
  for (size_t i = 0; i < live_attributes.size(); ++i) {
    words[live_attributes[i]] = std::bit_cast<uint64_t>(run.live_attributes[i]);
  }
}

}  // namespace hadal
