// Collectives over a process group. Everything goes through the slots of shared memory in rounds: a rank copies a piece into its own slot, and
// reads those of the others once all are there. Each element is reduced by one rank, in the order of the ranks and in the dtype that arithmetic
// has (16-bit floats in float32, rounded once), so all ranks get the same bits, and get them again in every run. Outputs are written (=), and may be
// the inputs. Without a group there is one rank.
#include "kernels/collectives.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/process_group.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Bytes of a task: a quarter of a slot, so that four threads share a copy; one thread moves them in some 20 µs.
constexpr int64_t kTaskBytes = 256 << 10;
// Elements that are reduced at a time: two arrays of them in the first-level cache.
constexpr int64_t kBlock = 1024;
constexpr int64_t kLine = 64;

int64_t bytes_of(const TensorView& view) { return view.numel() * static_cast<int64_t>(size_of(view.dtype)); }

// Contiguous tensors as one line of bytes.
class Bytes {
 public:
  Bytes(const TensorView* tensors, int count) : tensors_(tensors), count_(count) {
    for (int i = 0; i < count; ++i) size_ += bytes_of(tensors[i]);
  }
  int64_t size() const { return size_; }
  void read(int64_t begin, int64_t end, std::byte* to) const {
    each(begin, end, [&](std::byte* piece, int64_t at, int64_t bytes) { std::memcpy(to + at, piece, bytes); });
  }
  void write(int64_t begin, int64_t end, const std::byte* from) const {
    each(begin, end, [&](std::byte* piece, int64_t at, int64_t bytes) { std::memcpy(piece, from + at, bytes); });
  }

 private:
  // Calls body(piece, at, bytes) for the pieces of tensors in [begin, end), which begin `at` bytes after `begin`.
  template <class F>
  void each(int64_t begin, int64_t end, F&& body) const {
    int64_t start = 0;
    for (int i = 0; i < count_ && start < end; ++i) {
      const int64_t stop = start + bytes_of(tensors_[i]);
      const int64_t from = std::max(begin, start), to = std::min(end, stop);
      if (from < to) body(tensors_[i].data + (from - start), from - begin, to - from);
      start = stop;
    }
  }
  const TensorView* tensors_;
  int count_;
  int64_t size_ = 0;
};

// y[i] = the reduction of x(rank)[i] over the ranks. y may be one of them.
template <class T, class X, class Combine>
void reduce_ranks(T* y, int64_t count, int ranks, bool is_mean, X&& x, Combine&& combine) {
  using C = Compute<T>;
  C total[kBlock];
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t n = std::min(kBlock, count - start);
    const T* first = x(0) + start;
    for (int64_t i = 0; i < n; ++i) total[i] = static_cast<C>(first[i]);
    for (int rank = 1; rank < ranks; ++rank) {
      const T* next = x(rank) + start;
      for (int64_t i = 0; i < n; ++i) total[i] = combine(total[i], static_cast<C>(next[i]));
    }
    if (is_mean) {
      for (int64_t i = 0; i < n; ++i) total[i] = static_cast<C>(total[i] / static_cast<C>(ranks));
    }
    for (int64_t i = 0; i < n; ++i) y[start + i] = static_cast<T>(total[i]);
  }
}

// The same for `bytes` bytes of a dtype.
template <class X>
void reduce_bytes(const Command& cmd, std::byte* y, int64_t bytes, int ranks, X&& x) {
  const DType dtype = cmd.input(0).dtype == DType::kBool ? DType::kUInt8 : cmd.input(0).dtype;
  const auto reduction = static_cast<Reduction>(cmd.integer(0));
  visit_number(cmd.name(), dtype, [&]<class T>() {
    using C = Compute<T>;
    const auto run = [&](auto&& combine) {
      reduce_ranks(
          reinterpret_cast<T*>(y), bytes / static_cast<int64_t>(sizeof(T)), ranks, reduction == Reduction::kMean,
          [&](int rank) { return reinterpret_cast<const T*>(x(rank)); }, combine);
    };
    // A NaN wins.
    switch (reduction) {
      case Reduction::kMax: return run([](C a, C b) { return b > a || b != b ? b : a; });
      case Reduction::kMin: return run([](C a, C b) { return b < a || b != b ? b : a; });
      default: return run([](C a, C b) { return static_cast<C>(a + b); });
    }
  });
}

void require_ranks(const Command& cmd, const TensorView& view, const ProcessGroup* group) {
  const int ranks = group == nullptr ? 1 : group->size();
  if (view.shape[0] != ranks) {
    throw Error(ErrorCode::kShape, std::string(cmd.name()) + ": the axis of ranks does not fit: got " +
                                       std::to_string(view.shape[0]) + ", expected " + std::to_string(ranks));
  }
}

void copy_bytes(const TensorView& from, const TensorView& to) {
  if (from.data != to.data && from.numel() != 0) std::memcpy(to.data, from.data, static_cast<size_t>(bytes_of(from)));
}

// Calls body(begin, end) for the pieces of `bytes` bytes in turn, in a round of the group each; once for none, so that ranks meet.
template <class F>
void each_round(ProcessGroup& group, int64_t bytes, int64_t piece, F&& body) {
  int64_t begin = 0;
  do {
    const int64_t end = std::min(bytes, begin + piece);
    body(begin, end);
    group.next_round();
    begin = end;
  } while (begin < bytes);
}

ProcessGroup* group_of(KernelContext& ctx) { return static_cast<CollectiveContext&>(ctx).group(); }

constexpr auto kSlot = static_cast<int64_t>(ProcessGroup::kSlotBytes);

HADAL_CPU_KERNEL(allReduce) {
  ProcessGroup* const group = group_of(ctx);
  if (group == nullptr) {
    for (int i = 0; i < cmd.input_count; ++i) copy_bytes(cmd.input(i), cmd.output(i));
    return;
  }
  group->announce(cmd);
  const Bytes xs(cmd.tensors, cmd.input_count), ys(cmd.tensors + cmd.input_count, cmd.output_count);
  const int ranks = group->size();
  each_round(*group, xs.size(), kSlot, [&](int64_t begin, int64_t end) {
    const int64_t bytes = end - begin;
    // Each rank reduces a part of whole cache lines, in its own slot.
    const int64_t part = (bytes + ranks * kLine - 1) / (ranks * kLine) * kLine;
    std::byte* const own = group->slot(group->rank());
    ctx.parallel_ranges(bytes, kTaskBytes,
                        [&](int64_t from, int64_t to) { xs.read(begin + from, begin + to, own + from); });
    group->wait();
    const int64_t first = std::min(bytes, part * group->rank()), last = std::min(bytes, first + part);
    ctx.parallel_ranges(last - first, kTaskBytes, [&](int64_t from, int64_t to) {
      reduce_bytes(cmd, own + first + from, to - from, ranks,
                   [&](int rank) { return group->slot(rank) + first + from; });
    });
    group->wait();
    ctx.parallel_ranges(bytes, kTaskBytes, [&](int64_t from, int64_t to) {
      for (int64_t at = from; at < to;) {
        const int64_t rank = at / part, stop = std::min(to, (rank + 1) * part);
        ys.write(begin + at, begin + stop, group->slot(static_cast<int>(rank)) + at);
        at = stop;
      }
    });
  });
}

HADAL_CPU_KERNEL(broadcast) {
  ProcessGroup* const group = group_of(ctx);
  const int ranks = group == nullptr ? 1 : group->size();
  const int root = static_cast<int>(cmd.integer(0));
  if (root >= ranks) {
    throw Error(ErrorCode::kIndex,
                "broadcast: root: got rank " + std::to_string(root) + ", expected less than " + std::to_string(ranks));
  }
  const Bytes xs(cmd.tensors, cmd.input_count), ys(cmd.tensors + cmd.input_count, cmd.output_count);
  if (group != nullptr) group->announce(cmd);
  if (group == nullptr || group->rank() == root) {
    for (int i = 0; i < cmd.input_count; ++i) copy_bytes(cmd.input(i), cmd.output(i));
  }
  if (group == nullptr) return;
  each_round(*group, xs.size(), kSlot, [&](int64_t begin, int64_t end) {
    std::byte* const shown = group->slot(root);
    const bool is_root = group->rank() == root;
    const auto copy = [&](auto&& body) {
      ctx.parallel_ranges(end - begin, kTaskBytes,
                          [&](int64_t from, int64_t to) { body(begin + from, begin + to, shown + from); });
    };
    if (is_root) copy([&](int64_t from, int64_t to, std::byte* there) { xs.read(from, to, there); });
    group->wait();
    if (!is_root) copy([&](int64_t from, int64_t to, const std::byte* there) { ys.write(from, to, there); });
  });
}

HADAL_CPU_KERNEL(allGather) {
  ProcessGroup* const group = group_of(ctx);
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  require_ranks(cmd, y, group);
  if (group == nullptr) return copy_bytes(x, y);
  group->announce(cmd);
  const int64_t size = bytes_of(x);
  each_round(*group, size, kSlot, [&](int64_t begin, int64_t end) {
    if (begin < end) std::memcpy(group->slot(group->rank()), x.data + begin, static_cast<size_t>(end - begin));
    group->wait();
    ctx.parallel(begin < end ? group->size() : 0, [&](int64_t rank) {
      std::memcpy(y.data + rank * size + begin, group->slot(static_cast<int>(rank)), static_cast<size_t>(end - begin));
    });
  });
}

HADAL_CPU_KERNEL(reduceScatter) {
  ProcessGroup* const group = group_of(ctx);
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  require_ranks(cmd, x, group);
  if (group == nullptr) return copy_bytes(x, y);
  group->announce(cmd);
  const int ranks = group->size();
  const int64_t size = bytes_of(y);
  // A slot has a part for each rank, which reduces those meant for it.
  const int64_t part = kSlot / ranks / kLine * kLine;
  each_round(*group, size, part, [&](int64_t begin, int64_t end) {
    std::byte* const own = group->slot(group->rank());
    ctx.parallel(begin < end ? ranks : 0, [&](int64_t rank) {
      std::memcpy(own + rank * part, x.data + rank * size + begin, static_cast<size_t>(end - begin));
    });
    group->wait();
    ctx.parallel_ranges(end - begin, kTaskBytes, [&](int64_t from, int64_t to) {
      reduce_bytes(cmd, y.data + begin + from, to - from, ranks,
                   [&](int rank) { return group->slot(rank) + group->rank() * part + from; });
    });
  });
}

HADAL_CPU_KERNEL(barrier) {
  *cmd.output(0).data = std::byte{0};
  if (group_of(ctx) == nullptr) return;
  group_of(ctx)->announce(cmd);
  group_of(ctx)->wait();
}

}  // namespace
}  // namespace hadal::cpu
