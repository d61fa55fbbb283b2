// The walk of pointwise kernels over strided operands: which operands a block kernel can read where they lie, which are
// gathered into blocks first, and how the work is cut into tasks. It knows no op; those are in pointwise_<group>.cc.
#include "cpu/pointwise.h"

#include <algorithm>
#include <cstdlib>

namespace hadal::cpu {
namespace {

// Row mode calls the block kernel once per row; on shorter rows, gathering whole blocks is cheaper (a call with its tail and
// its repeated scalars costs about 10 ns).
constexpr int64_t kShortestRow = 64;
// An operand of at least this size whose neighbours lie far apart is first copied in order, tile by tile: gathering it row by
// row would fetch every cache line once per element.
constexpr int64_t kReorderBytes = 64 << 10;

int64_t grain_of(Cost cost, size_t element) {
  switch (cost) {
    case Cost::kMemory: return static_cast<int64_t>((256 << 10) / element);
    case Cost::kTranscendental: return 8 << 10;
    default: return 2 << 10;
  }
}

struct Operand {
  std::byte* data = nullptr;
  size_t size = 0;
  bool scalar = false;      // stride 0 on every axis
  bool wide = false;        // a float among elements of 16 bits
  bool contiguous = false;  // in the order of the walk
  bool periodic = false;    // a short row, the same for every inner loop
};

// Calls body with an unsigned integer type of an element's size.
template <class F>
void visit_size(size_t size, F&& body) {
  switch (size) {
    case 8: return body.template operator()<uint64_t>();
    case 4: return body.template operator()<uint32_t>();
    case 2: return body.template operator()<uint16_t>();
    default: return body.template operator()<uint8_t>();
  }
}

void splat_bytes(std::byte* to, const std::byte* value, size_t size) {
  visit_size(size, [&]<class T>() { store(reinterpret_cast<T*>(to), broadcast(*reinterpret_cast<const T*>(value))); });
}

// Short runs are over before a call of memcpy has started: two moves that overlap serve every length up to twice theirs.
template <int64_t kMove>
inline void copy_ends(std::byte* to, const std::byte* from, int64_t bytes) {
  std::byte first[kMove], last[kMove];
  std::memcpy(first, from, kMove);
  std::memcpy(last, from + bytes - kMove, kMove);
  std::memcpy(to, first, kMove);
  std::memcpy(to + bytes - kMove, last, kMove);
}
inline void copy_bytes(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 128) std::memcpy(to, from, static_cast<size_t>(bytes));
  else if (bytes >= 64) copy_ends<64>(to, from, bytes);
  else if (bytes >= 32) copy_ends<32>(to, from, bytes);
  else if (bytes >= 16) copy_ends<16>(to, from, bytes);
  else if (bytes >= 8) copy_ends<8>(to, from, bytes);
  else if (bytes >= 4) copy_ends<4>(to, from, bytes);
  else if (bytes >= 2) copy_ends<2>(to, from, bytes);
  else *to = *from;
}
// Continues `period` bytes until there are `bytes`.
void repeat(std::byte* to, int64_t period, int64_t bytes) {
  for (int64_t filled = period; filled < bytes; filled *= 2) {
    copy_bytes(to + filled, to, std::min(filled, bytes - filled));
  }
}

// Neighbouring rows of an operand, all of `run` elements.
struct Piece {
  int64_t rows, run;
  int64_t row_stride, stride;  // from row to row and from element to element
};

// Into a buffer, in order; up to a vector behind the elements is overwritten too.
template <class T>
void gather_piece(std::byte* buffer, const std::byte* data, const Piece& piece) {
  T* to = reinterpret_cast<T*>(buffer);
  const T* from = reinterpret_cast<const T*>(data);
  const int64_t rows = piece.row_stride == 0 ? 1 : piece.rows, run = piece.run;
  const int64_t bytes = run * static_cast<int64_t>(sizeof(T));
  for (int64_t row = 0; row < rows; ++row, to += run, from += piece.row_stride) {
    if (piece.stride == 0) {
      for (int64_t i = 0; i < run; i += kLanes<T>) store(to + i, broadcast(*from));
    } else if (piece.stride == 1) {
      copy_bytes(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(from), bytes);
    } else {
      for (int64_t i = 0; i < run; ++i) to[i] = from[i * piece.stride];
    }
  }
  repeat(buffer, rows * bytes, piece.rows * bytes);
}
// Out of a buffer.
template <class T>
void scatter_piece(const std::byte* buffer, std::byte* data, const Piece& piece) {
  const T* from = reinterpret_cast<const T*>(buffer);
  T* to = reinterpret_cast<T*>(data);
  const int64_t bytes = piece.run * static_cast<int64_t>(sizeof(T));
  for (int64_t row = 0; row < piece.rows; ++row, from += piece.run, to += piece.row_stride) {
    if (piece.stride == 1) {
      copy_bytes(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(from), bytes);
    } else {
      for (int64_t i = 0; i < piece.run; ++i) to[i * piece.stride] = from[i];
    }
  }
}

// A walk from element `begin` on, in pieces of whole rows that lie along the second axis from the inside, or of a part of one
// row: where each operand's piece starts. A next piece costs one addition per operand.
class PieceWalk {
 public:
  PieceWalk(const Strides& plan, int64_t begin, int64_t end) : plan_(plan), left_(end - begin) {
    const int inner = plan.rank - 1;
    for (int axis = inner; axis > 0; --axis) {
      at_[axis] = begin % plan.shape[axis];
      begin /= plan.shape[axis];
    }
    at_[0] = begin;
    for (int k = 0; k < plan.operands; ++k) {
      for (int axis = 0; axis <= inner; ++axis) offsets_[k] += at_[axis] * plan.strides[k][axis];
    }
    measure();
  }
  bool done() const { return left_ <= 0; }
  int64_t rows() const { return rows_; }
  int64_t run() const { return run_; }
  int64_t offset(int operand) const { return offsets_[operand]; }
  Piece piece(int operand) const {
    const int64_t row_stride = rows_ > 1 ? plan_.strides[operand][plan_.rank - 2] : 0;
    return {rows_, run_, row_stride, plan_.inner_stride(operand)};
  }
  void next() {
    left_ -= rows_ * run_;
    if (left_ <= 0) return;
    int axis = plan_.rank - 1;
    step(axis, -at_[axis]);
    step(--axis, rows_);
    while (axis > 0 && at_[axis] == plan_.shape[axis]) {
      step(axis, -at_[axis]);
      step(--axis, 1);
    }
    measure();
  }

 private:
  void measure() {
    const int inner = plan_.rank - 1;
    run_ = std::min(left_, plan_.shape[inner] - at_[inner]);
    rows_ = 1;
    if (inner == 0 || run_ < plan_.shape[inner]) return;
    const int64_t rows = plan_.shape[inner - 1] - at_[inner - 1];
    rows_ = rows * run_ <= left_ ? rows : left_ / run_;
  }
  void step(int axis, int64_t by) {
    if (by == 0) return;
    at_[axis] += by;
    for (int k = 0; k < plan_.operands; ++k) offsets_[k] += by * plan_.strides[k][axis];
  }

  const Strides& plan_;
  int64_t left_;
  int64_t rows_;
  int64_t run_;
  int64_t at_[kMaxRank] = {};
  int64_t offsets_[kMaxOperands] = {};
};

class Walk {
 public:
  Walk(const Pointwise& op, const Strides& plan, const Operand* operands)
      : op_(op), plan_(plan), operands_(operands), inputs_(plan.operands - 1) {
    for (int k = 0; k < inputs_; ++k) {
      if (operands[k + 1].scalar) splat_bytes(splats_[k], operands[k + 1].data, operands[k + 1].size);
    }
  }

  // Operands without strides but 0 and 1 along the rows, and rows that are long: one call per row.
  void rows(int64_t begin, int64_t end) const {
    alignas(64) std::byte row_splats[kMaxInputs][kSplatBytes];
    BlockArguments block;
    block.start = begin;
    int64_t size[kMaxOperands];
    for (int k = 0; k <= inputs_; ++k) size[k] = static_cast<int64_t>(operands_[k].size);
    for (int k = 0; k < inputs_; ++k) {
      block.scalar[k] = operands_[k + 1].scalar || plan_.inner_stride(k + 1) == 0;
      block.wide[k] = operands_[k + 1].wide;
      block.inputs[k] = operands_[k + 1].scalar ? splats_[k] : row_splats[k];
    }
    for (PieceWalk walk(plan_, begin, end); !walk.done(); walk.next()) {
      block.count = walk.run();
      for (int64_t row = 0; row < walk.rows(); ++row) {
        const auto at = [&](int operand) {
          const int64_t offset = walk.offset(operand) + row * walk.piece(operand).row_stride;
          return operands_[operand].data + offset * size[operand];
        };
        block.y = at(0);
        for (int k = 0; k < inputs_; ++k) {
          if (operands_[k + 1].scalar) continue;
          if (block.scalar[k]) {
            splat_bytes(row_splats[k], at(k + 1), operands_[k + 1].size);
          } else {
            block.inputs[k] = at(k + 1);
          }
        }
        op_.kernel(op_.functor, block);
        block.start += block.count;
      }
    }
  }

  // Any strides: blocks of kBlock elements, with what is not contiguous gathered before and scattered after.
  void blocks(KernelContext& ctx, int64_t begin, int64_t end) const {
    // A periodic operand needs room for up to two blocks.
    constexpr int64_t kBuffer = 2 * kBlock * static_cast<int64_t>(sizeof(double));
    std::byte* buffers = ctx.thread_scratch<std::byte>((inputs_ + 1) * kBuffer);
    const int64_t period = plan_.inner_size();
    for (int k = 0; k < inputs_; ++k) {
      const Operand& x = operands_[k + 1];
      if (!x.periodic) continue;
      std::byte* row = buffers + (k + 1) * kBuffer;
      const int64_t size = static_cast<int64_t>(x.size);
      visit_size(x.size, [&]<class T>() { gather_piece<T>(row, x.data, {1, period, 0, plan_.inner_stride(k + 1)}); });
      repeat(row, period * size, (kBlock + period) * size);
    }
    for (int64_t i = begin; i < end; i += kBlock) {
      BlockArguments block;
      block.count = std::min(end - i, kBlock);
      block.start = i;
      for (int k = 0; k < inputs_; ++k) {
        const Operand& x = operands_[k + 1];
        const int64_t size = static_cast<int64_t>(x.size);
        block.scalar[k] = x.scalar;
        block.wide[k] = x.wide;
        if (x.scalar) {
          block.inputs[k] = splats_[k];
        } else if (x.contiguous) {
          block.inputs[k] = x.data + i * size;
        } else if (x.periodic) {
          block.inputs[k] = buffers + (k + 1) * kBuffer + i % period * size;
        } else {
          block.inputs[k] = buffers + (k + 1) * kBuffer;
          transfer(k + 1, buffers + (k + 1) * kBuffer, i, block.count);
        }
      }
      const Operand& y = operands_[0];
      block.y = y.contiguous ? y.data + i * static_cast<int64_t>(y.size) : buffers;
      op_.kernel(op_.functor, block);
      if (!y.contiguous) transfer(0, buffers, i, block.count);
    }
  }

 private:
  // Between an operand's elements [start, start + count) and a buffer: into the buffer, or for the output (0) out of it.
  void transfer(int operand, std::byte* buffer, int64_t start, int64_t count) const {
    const Operand& x = operands_[operand];
    const int64_t size = static_cast<int64_t>(x.size);
    visit_size(x.size, [&]<class T>() {
      for (PieceWalk walk(plan_, start, start + count); !walk.done(); walk.next()) {
        std::byte* at = x.data + walk.offset(operand) * size;
        if (operand == 0) scatter_piece<T>(buffer, at, walk.piece(operand));
        else gather_piece<T>(buffer, at, walk.piece(operand));
        buffer += walk.rows() * walk.run() * size;
      }
    });
  }

  const Pointwise& op_;
  const Strides& plan_;
  const Operand* operands_;
  const int inputs_;
  alignas(64) std::byte splats_[kMaxInputs][kSplatBytes];
};

// A view of operand `k` as the walk sees it.
TensorView walked_view(const Strides& plan, int k, const TensorView& like) {
  TensorView view = like;
  view.rank = plan.rank;
  for (int axis = 0; axis < plan.rank; ++axis) {
    view.shape[axis] = plan.shape[axis];
    view.strides[axis] = plan.strides[k][axis];
  }
  return view;
}

bool far_apart(const Strides& plan, int k, size_t size) {
  return plan.count * static_cast<int64_t>(size) >= kReorderBytes && transposed_axis(plan, k) >= 0;
}

}  // namespace

int transposed_axis(const Strides& plan, int k) {
  constexpr int64_t kShortestSide = 8;  // below, a tile is mostly edge, and the general walk does as well
  if (std::abs(plan.inner_stride(k)) <= 1 || plan.inner_size() < kShortestSide) return -1;
  for (int axis = plan.rank - 2; axis >= 0; --axis) {
    if (plan.strides[k][axis] == 1 && plan.shape[axis] >= kShortestSide) return axis;
  }
  return -1;
}

void run_pointwise(KernelContext& ctx, const Pointwise& op, const TensorView& y, const TensorView* inputs, int count) {
  const TensorView* views[kMaxOperands] = {&y};
  for (int k = 0; k < count; ++k) views[k + 1] = &inputs[k];
  Strides plan = collapse(views, count + 1, !op.ordered);
  if (plan.count == 0) return;

  Operand operands[kMaxOperands];
  bool rows = plan.rank == 1 || (plan.inner_size() >= kShortestRow && !op.ordered);
  bool in_place = true;  // nothing to gather or scatter: blocks, which may span rows, cost less than rows
  for (int k = 0; k <= count; ++k) {
    Operand& operand = operands[k];
    operand.data = views[k]->data;
    operand.size = size_of(views[k]->dtype);
    operand.wide = k > 0 && views[k]->dtype == DType::kFloat32 && operands[0].size == sizeof(uint16_t);
    if (k > 0 && far_apart(plan, k, operand.size)) {
      const TensorView from = walked_view(plan, k, *views[k]);
      TensorView to = from;
      to.data = ctx.scratch<std::byte>(plan.count * static_cast<int64_t>(operand.size));
      for (int64_t axis = plan.rank - 1, stride = 1; axis >= 0; stride *= plan.shape[axis--]) to.strides[axis] = stride;
      copy_elements(ctx, from, to);
      operand.data = to.data;
      std::copy(to.strides, to.strides + plan.rank, plan.strides[k]);
    }
    const int64_t inner = plan.inner_stride(k);
    operand.contiguous = plan.contiguous(k);
    operand.periodic = plan.repeats_rows(k) && plan.inner_size() <= kBlock;
    operand.scalar = (inner == 0 && plan.repeats_rows(k)) || (operand.wide && plan.count == 1);
    rows = rows && (inner == 1 || (k > 0 && inner == 0) || plan.count == 1);
    in_place = in_place && (operand.contiguous || (k > 0 && (operand.scalar || operand.periodic)));
  }
  rows = rows && (plan.rank == 1 || !in_place);

  const Walk walk(op, plan, operands);
  const int64_t grain = grain_of(op.cost, operands[0].size);
  if (rows) {
    ctx.parallel_ranges(plan.count, grain, [&](int64_t begin, int64_t end) { walk.rows(begin, end); });
  } else {
    ctx.parallel_ranges(plan.count, grain, [&](int64_t begin, int64_t end) { walk.blocks(ctx, begin, end); });
  }
}

}  // namespace hadal::cpu
