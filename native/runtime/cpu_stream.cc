#include "runtime/cpu_stream.h"

#include <algorithm>
#include <cstring>

#include "runtime/blas.h"
#include "runtime/command_words.h"
#include "runtime/thread_pool.h"

namespace hadal {

void CpuStream::release_cache() {
  synchronize();
  allocator_.release_cache();
}

void CpuStream::write(const Block& block, size_t offset, const void* from, size_t bytes) {
  std::byte* to = block.data + offset;
  if (completed() >= block.freed_at) {
    // Nothing queued can still use this memory: it is fresh, or its last user has run.
    std::memcpy(to, from, bytes);
    return;
  }
  auto* staged = new std::byte[bytes];
  std::memcpy(staged, from, bytes);
  commit_copy({to, staged, bytes, staged, nullptr, nullptr, nullptr, false});
}

void CpuStream::read_idle(const std::byte* from, size_t bytes, void* to) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

void CpuStream::run_copy(const Copy& copy) {
  if (copy.bytes != 0) std::memcpy(copy.to, copy.from, copy.bytes);
  if (copy.listener != nullptr) copy.listener->read_done(copy.token);
  delete[] copy.staged;
}

void CpuStream::run_command(const Command& command) {
  scratch_.reset();
  kernels_.find(command.op)(*this, command);
}

namespace {

// What a kernel may ask for inside one task of a group: its own tasks run one after another.
class InsideTask final : public KernelContext {
 public:
  const Blas& blas() const override { return openblas(); }

 protected:
  void run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) override {
    for (int64_t task = 0; task < tasks; ++task) body(data, task);
  }
  void* scratch_bytes(size_t bytes) override { return ThreadPool::thread_scratch(bytes); }
  void* thread_scratch_bytes(size_t bytes) override { return ThreadPool::thread_scratch(bytes); }
};

// A piece's tensors together take a quarter of the second-level cache of current processors (1 to 2 MiB), so that what one command leaves there the
// next one finds.
constexpr int64_t kPieceBytes = 256 << 10;
constexpr int64_t kLeastPiece = 2 << 10;

int64_t piece_of(const FusedGroup& group, const std::vector<std::unique_ptr<Command>>& commands) {
  int64_t bytes = group.scratch_count * static_cast<int64_t>(sizeof(float));
  const int* place = group.scratch.data();
  for (int i = 0; i < group.commands; ++i) {
    const Command& command = *commands[static_cast<size_t>(i)];
    for (int k = 0; k < command.input_count + command.output_count; ++k, ++place) {
      const TensorView& view = command.tensors[k];
      if (*place < 0 && view.present() && !is_uniform(command, k) && view.is_contiguous()) {
        bytes += static_cast<int64_t>(size_of(view.dtype));
      }
    }
  }
  return std::max(kPieceBytes / std::max<int64_t>(bytes, 1) / kLeastPiece * kLeastPiece, kLeastPiece);
}

// Elements [begin, begin + rows · length) of a command, whole rows or a part of one. `scratch(tensor)` is where those lie that only the group sees, else null.
template <class Scratch>
void cut(const Command& whole, int64_t begin, int64_t rows, int64_t length, Command& piece, Scratch&& scratch) {
  const int tensors = whole.input_count + whole.output_count;
  piece.op = whole.op;
  piece.input_count = whole.input_count;
  piece.output_count = whole.output_count;
  piece.attribute_count = whole.attribute_count;
  piece.reserve(tensors, whole.attribute_count);
  std::copy_n(whole.attributes, whole.attribute_count, piece.attributes);
  for (int i = 0; i < tensors; ++i) {
    const TensorView& from = whole.tensors[i];
    TensorView& to = piece.tensors[i];
    to.dtype = from.dtype;
    to.data = from.data;
    if (!from.present()) continue;
    to.rank = 2;
    to.shape[0] = rows;
    to.shape[1] = length;
    to.strides[0] = to.strides[1] = 0;
    const auto size = static_cast<int64_t>(size_of(from.dtype));
    if (whole.is_immediate(i)) {
      piece.immediates[i] = whole.immediates[i];
      to.data = reinterpret_cast<std::byte*>(&piece.immediates[i]);
    } else if (is_uniform(whole, i)) {
      continue;
    } else if (from.is_contiguous()) {
      to.strides[0] = length;
      to.strides[1] = 1;
      std::byte* const own = scratch(i);
      to.data = own != nullptr ? own : from.data + begin * size;
    } else {
      const RowValues values = row_values(from);
      to.strides[0] = values.stride;
      to.data = from.data + begin / values.row % values.period * values.stride * size;
    }
  }
}

}  // namespace

const uint64_t* CpuStream::run_group(const FusedGroup& group, const uint64_t* word) {
  while (group_.size() < static_cast<size_t>(group.commands)) group_.push_back(std::make_unique<Command>());
  for (int i = 0; i < group.commands; ++i) word = read_command(*group_[static_cast<size_t>(i)], word);
  int64_t piece = piece_of(group, group_);
  if (piece > group.row) piece = piece / group.row * group.row;
  const auto scratch_bytes = static_cast<size_t>(piece) * sizeof(double);
  guarded(*group_[0], [&] {
    parallel_ranges(group.elements, piece, [&](int64_t first, int64_t last) {
      thread_local Command part;
      thread_local ScratchArena<HostScratch> scratch;
      scratch.reset();
      auto* const memory =
          static_cast<std::byte*>(scratch.allocate(scratch_bytes * static_cast<size_t>(group.scratch_count)));
      InsideTask context;
      for (int64_t begin = first, rows, length; begin < last; begin += rows * length) {
        const int64_t row = begin / group.row, left = group.row - begin % group.row;
        length = std::min(left, last - begin);
        rows = length < group.row ? 1 : std::min((last - begin) / length, group.period - row % group.period);
        const int* place = group.scratch.data();
        for (int i = 0; i < group.commands; ++i) {
          const Command& whole = *group_[static_cast<size_t>(i)];
          cut(whole, begin, rows, length, part, [&](int tensor) {
            return place[tensor] < 0 ? nullptr : memory + static_cast<size_t>(place[tensor]) * scratch_bytes;
          });
          kernels_.find(whole.op)(context, part);
          place += whole.input_count + whole.output_count;
        }
      }
    });
  });
  return word;
}

void CpuStream::run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) {
  ThreadPool::instance().run(tasks, body, data);
}

void* CpuStream::thread_scratch_bytes(size_t bytes) { return ThreadPool::thread_scratch(bytes); }

const Blas& CpuStream::blas() const { return openblas(); }

}  // namespace hadal
