// Which commands of a program can run piece by piece: pointwise commands that follow each other over the same number of elements, whose tensors lie in their
// order, or have one value for all of them or for each row.
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
  // Elements of a row, which meet one value of an operand that is broadcast along rows, and rows after which these values repeat at the earliest. All elements are
  // one row where there is no such operand.
  int64_t row = 0, period = 1;
  // Of every tensor of every command in order: the number of the piece of scratch memory that holds it, -1 where its own memory does.
  std::vector<int> scratch;
  int scratch_count = 0;
};

// Whether a tensor is one value for all elements.
bool is_uniform(const Command& command, int tensor);

// A tensor that is broadcast along its last axes, as values for each channel of images: `row` elements have one value, and `period` rows values `stride` apart,
// before they repeat. A row of 0 where it is none.
struct RowValues {
  int64_t row = 0, period = 1, stride = 0;
};
RowValues row_values(const TensorView& view);

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
    bool repeats;  // its values, for more than one element
    bool output;
    bool operator==(const Tensor&) const = default;
  };
  struct Entry {
    size_t word;
    int64_t elements;     // 0: not to be fused
    int64_t row, period;  // of the values for each row; 0 without any
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
