#include "runtime/command_words.h"

#include <algorithm>
#include <bit>

namespace hadal {

namespace {

enum class Layout : uint64_t { kContiguous, kStrided, kImmediate, kAbsent };

constexpr uint64_t kCommandHeaderWords = 2;

}  // namespace

uint64_t words_of(const Command& command) {
  uint64_t words = kCommandHeaderWords + static_cast<uint64_t>(command.attribute_count);
  const int tensors = command.input_count + command.output_count;
  for (int i = 0; i < tensors; ++i) words += 2 + 2 * static_cast<uint64_t>(command.tensors[i].rank);  // an upper bound
  return words;
}

uint64_t* write_command(const Command& command, uint64_t* word, std::vector<uint64_t*>* addresses) {
  const int tensors = command.input_count + command.output_count;
  *word++ = static_cast<uint64_t>(command.op) << 8 | static_cast<uint64_t>(command.attribute_count) << 32;
  *word++ = static_cast<uint64_t>(command.input_count) | static_cast<uint64_t>(command.output_count) << 32;
  for (int i = 0; i < tensors; ++i) {
    const TensorView& view = command.tensors[i];
    const bool immediate = command.is_immediate(i);
    const Layout layout = !view.present()        ? Layout::kAbsent
                          : immediate            ? Layout::kImmediate
                          : view.is_contiguous() ? Layout::kContiguous
                                                 : Layout::kStrided;
    *word++ =
        static_cast<uint64_t>(view.dtype) | static_cast<uint64_t>(view.rank) << 8 | static_cast<uint64_t>(layout) << 16;
    if (layout == Layout::kAbsent) continue;
    if (addresses != nullptr && !immediate) (*addresses)[static_cast<size_t>(i)] = word;
    *word++ = immediate ? std::bit_cast<uint64_t>(command.immediates[i]) : reinterpret_cast<uint64_t>(view.data);
    for (int axis = 0; axis < view.rank; ++axis) *word++ = static_cast<uint64_t>(view.shape[axis]);
    if (layout != Layout::kStrided) continue;
    for (int axis = 0; axis < view.rank; ++axis) *word++ = static_cast<uint64_t>(view.strides[axis]);
  }
  for (int i = 0; i < command.attribute_count; ++i) *word++ = std::bit_cast<uint64_t>(command.attributes[i]);
  return word;
}

const uint64_t* read_command(Command& command, const uint64_t* word) {
  command.op = static_cast<Op>((*word >> 8) & 0xffff);
  command.attribute_count = static_cast<int>(*word++ >> 32);
  command.input_count = static_cast<int>(*word & 0xffffffff);
  command.output_count = static_cast<int>(*word++ >> 32);
  const int tensors = command.input_count + command.output_count;
  command.reserve(tensors, command.attribute_count);
  for (int i = 0; i < tensors; ++i) {
    TensorView& view = command.tensors[i];
    view.dtype = static_cast<DType>(*word & 0xff);
    view.rank = static_cast<int>((*word >> 8) & 0xff);
    const auto layout = static_cast<Layout>(*word++ >> 16);
    if (layout == Layout::kAbsent) {
      view.data = nullptr;
      continue;
    }
    if (layout == Layout::kImmediate) {
      command.immediates[i] = std::bit_cast<double>(*word++);
      view.data = reinterpret_cast<std::byte*>(&command.immediates[i]);
    } else {
      view.data = reinterpret_cast<std::byte*>(*word++);
    }
    for (int axis = 0; axis < view.rank; ++axis) view.shape[axis] = static_cast<int64_t>(*word++);
    if (layout == Layout::kStrided) {
      for (int axis = 0; axis < view.rank; ++axis) view.strides[axis] = static_cast<int64_t>(*word++);
    } else if (layout == Layout::kImmediate) {
      for (int axis = 0; axis < view.rank; ++axis) view.strides[axis] = 0;
    } else {
      int64_t stride = 1;
      for (int axis = view.rank - 1; axis >= 0; --axis) {
        view.strides[axis] = stride;
        stride *= std::max<int64_t>(view.shape[axis], 1);
      }
    }
  }
  for (int i = 0; i < command.attribute_count; ++i) command.attributes[i] = std::bit_cast<double>(*word++);
  return word;
}

}  // namespace hadal
