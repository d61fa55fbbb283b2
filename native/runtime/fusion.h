// Which commands of a program can run piece by piece: pointwise commands that follow each other over the same number of elements.
// A device that runs them so (CpuStream) reads and writes memory once where they would do so one after another, and keeps in its
// caches what only they see. Used by binding/decode.cc when it makes a program.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/command.h"

namespace hadal {

struct FusedGroup {
  size_t word = 0;  // where its first command starts
  int commands = 0;
  int64_t elements = 0;
  // Of every tensor of every command in order: the number of the piece of scratch memory that holds it, -1 where its own memory does.
  std::vector<int> scratch;
  int scratch_count = 0;
};

// Whether a tensor is one value for all elements.
bool is_uniform(const Command& command, int tensor);

class FusionFinder {
 public:
  static constexpr size_t kNone = SIZE_MAX;  // the storage of a tensor without one

  // The next command, whose words start at `word`; the addresses of its tensors count from the start of all memory of a run. `temporaries` are
  // the numbers of its tensors' storages where those are in use only during a run, else kNone.
  void add(const Command& command, size_t word, const std::vector<size_t>& temporaries);
  std::vector<FusedGroup> groups() const;

 private:
  struct Tensor {
    const std::byte* begin;
    const std::byte* end;
    size_t temporary;
    bool uniform;
    bool output;
    bool operator==(const Tensor&) const = default;
  };
  struct Entry {
    size_t word;
    int64_t elements;  // 0: not to be fused
    std::vector<Tensor> tensors;
  };
  struct Life {
    size_t first, last;  // the commands that use it
  };

  // The group of the commands [begin, end), all over the same number of elements; with fewer than two commands where that is not safe.
  FusedGroup group(size_t begin, size_t end) const;

  std::vector<Entry> entries_;
  std::vector<Life> lives_;
};

}  // namespace hadal
