// Copies: any dtype to any dtype, any strides to any strides. One dtype moves bytes, transposes in tiles; two convert in blocks.
#include <algorithm>

#include "cpu/pointwise.h"
#include "cpu/strided_copy.h"
#include "kernels/convert.h"
#include "runtime/registry.h"

namespace hadal {
namespace cpu {
namespace {

// Micro tile: 8 × 8 elements in registers, transposed by exchanging halves, quarters and eighths.
template <class T>
struct Octet {
  typedef T type __attribute__((vector_size(8 * sizeof(T))));
};
template <int kDistance, class V, int... k>
inline void exchange(V& a, V& b, std::integer_sequence<int, k...>) {
  const V low = __builtin_shufflevector(a, b, ((k & kDistance) == 0 ? k : 8 + k - kDistance)...);
  b = __builtin_shufflevector(a, b, ((k & kDistance) == 0 ? k + kDistance : 8 + k)...);
  a = low;
}
template <class T>
inline void transpose_octets(T* y, int64_t y_stride, const T* x, int64_t x_stride) {
  using V = typename Octet<T>::type;
  constexpr auto kLaneNumbers = std::make_integer_sequence<int, 8>();
  V rows[8];
  for (int i = 0; i < 8; ++i) std::memcpy(&rows[i], x + i * x_stride, sizeof(V));
  for (int i = 0; i < 4; ++i) exchange<4>(rows[i], rows[i + 4], kLaneNumbers);
  for (int i : {0, 1, 4, 5}) exchange<2>(rows[i], rows[i + 2], kLaneNumbers);
  for (int i : {0, 2, 4, 6}) exchange<1>(rows[i], rows[i + 1], kLaneNumbers);
  for (int i = 0; i < 8; ++i) std::memcpy(y + i * y_stride, &rows[i], sizeof(V));
}
// y[i · y_stride + j] = x[j · x_stride + i] for i < rows, j < columns.
template <class T>
void transpose_tile(T* y, int64_t y_stride, const T* x, int64_t x_stride, int64_t rows, int64_t columns) {
  const int64_t whole_rows = rows & ~7, whole_columns = columns & ~7;
  for (int64_t j = 0; j < whole_columns; j += 8) {
    for (int64_t i = 0; i < whole_rows; i += 8) {
      transpose_octets(y + i * y_stride + j, y_stride, x + j * x_stride + i, x_stride);
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j) y[i * y_stride + j] = x[j * x_stride + i];
  }
}

// Tiles of 64 × 64: whole cache lines on both sides, and both sides of a tile of floats (32 KiB) stay in the L1 and L2 caches.
constexpr int64_t kTile = 64;

// Along the last axis of the plan y is contiguous, along `across` x is.
template <class T>
void transpose(KernelContext& ctx, const Strides& plan, int across, T* y, const T* x) {
  const int along = plan.rank - 1;
  const int64_t rows = plan.shape[across], columns = plan.shape[along];
  const int64_t row_tiles = (rows + kTile - 1) / kTile, column_tiles = (columns + kTile - 1) / kTile;
  const int64_t plane = row_tiles * column_tiles;
  constexpr int64_t kTilesPerTask = 16;
  ctx.parallel_ranges(plan.count / (rows * columns) * plane, kTilesPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      int64_t y_offset = 0, x_offset = 0, batch = tile / plane;
      for (int axis = along - 1; axis >= 0; --axis) {
        if (axis == across) continue;
        const int64_t at = batch % plan.shape[axis];
        batch /= plan.shape[axis];
        y_offset += at * plan.strides[0][axis];
        x_offset += at * plan.strides[1][axis];
      }
      const int64_t row = tile % plane / column_tiles * kTile, column = tile % column_tiles * kTile;
      transpose_tile(y + y_offset + row * plan.strides[0][across] + column, plan.strides[0][across],
                     x + x_offset + column * plan.strides[1][along] + row, plan.strides[1][along],
                     std::min(kTile, rows - row), std::min(kTile, columns - column));
    }
  });
}

// An element of twice the width.
template <class T>
struct PairOf {
  struct type {
    T first, second;
  };
};
template <>
struct PairOf<uint8_t> {
  using type = uint16_t;
};
template <>
struct PairOf<uint16_t> {
  using type = uint32_t;
};
template <>
struct PairOf<uint32_t> {
  using type = uint64_t;
};

// Takes pairs of neighbours, in both tensors, for one element of twice the width, where they are all of a short row; false where they are not.
bool pair_up(Strides& plan, const void* y, const void* x, size_t alignment) {
  constexpr int64_t kLongestRow = 4;  // of elements; longer ones are copied as rows
  const int inner = plan.rank - 1;
  if (inner == 0 || plan.shape[inner] > kLongestRow || plan.shape[inner] % 2 != 0) return false;
  if ((reinterpret_cast<uintptr_t>(y) | reinterpret_cast<uintptr_t>(x)) % alignment != 0) return false;
  for (const auto& strides : {plan.strides[0], plan.strides[1]}) {
    if (strides[inner] != 1) return false;
    for (int axis = 0; axis < inner; ++axis) {
      if (strides[axis] % 2 != 0) return false;
    }
  }
  plan.count /= 2;
  plan.shape[inner] /= 2;
  for (int axis = 0; axis < inner; ++axis) {
    plan.strides[0][axis] /= 2;
    plan.strides[1][axis] /= 2;
  }
  if (plan.shape[inner] == 1) --plan.rank;
  return true;
}

// Moves an axis to the end.
void walk_along(Strides& plan, int axis) {
  std::rotate(plan.shape + axis, plan.shape + axis + 1, plan.shape + plan.rank);
  for (int k = 0; k < plan.operands; ++k) {
    std::rotate(plan.strides[k] + axis, plan.strides[k] + axis + 1, plan.strides[k] + plan.rank);
  }
}

// Whether each element of a row of x, whose elements lie side by side, is to be in y several times in a row.
bool repeats_each(const Strides& plan) {
  const int inner = plan.rank - 1;
  return inner > 0 && plan.strides[1][inner] == 0 && plan.strides[1][inner - 1] == 1 && plan.strides[0][inner] == 1 &&
         plan.strides[0][inner - 1] == plan.shape[inner];
}
template <class T>
void repeat_each(KernelContext& ctx, const Strides& plan, T* y, const T* x) {
  const int inner = plan.rank - 1;
  const int64_t times = plan.shape[inner], n = plan.shape[inner - 1];
  constexpr int64_t kTaskElements = 1 << 16;  // some 20 µs
  ctx.parallel_ranges(plan.count / times, kTaskElements / times, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      int64_t row = begin / n;
      const int64_t first = begin % n, count = std::min(n - first, end - begin);
      T* to = y + first * times;
      const T* from = x + first;
      for (int axis = inner - 2; axis >= 0; --axis) {
        const int64_t at = row % plan.shape[axis];
        row /= plan.shape[axis];
        to += at * plan.strides[0][axis];
        from += at * plan.strides[1][axis];
      }
      if (times == 2) {
        for (int64_t i = 0; i < count; ++i) to[2 * i] = to[2 * i + 1] = from[i];
      } else {
        for (int64_t i = 0; i < count; ++i) std::fill_n(to + i * times, times, from[i]);
      }
      begin += count;
    }
  });
}

template <class T>
void move(KernelContext& ctx, Strides plan, const TensorView& x, const TensorView& y) {
  if constexpr (std::is_integral_v<T>) {
    using Pair = typename PairOf<T>::type;
    if (pair_up(plan, y.data, x.data, alignof(Pair))) return move<Pair>(ctx, plan, x, y);
  }
  T* to = y.as<T>();
  const T* from = x.as<const T>();
  if (repeats_each(plan)) return repeat_each(ctx, plan, to, from);
  if constexpr (std::is_integral_v<T>) {
    const int across = plan.inner_stride(0) == 1 ? transposed_axis(plan, 1) : -1;
    if (across >= 0) return transpose(ctx, plan, across, to, from);
  }
  // Few elements of a row of y lie far apart in x: rows of x are longer.
  const int inner = plan.rank - 1;
  for (int axis = 0; axis < inner && plan.strides[1][inner] > 1; ++axis) {
    if (plan.strides[1][axis] == 1 && plan.shape[axis] > plan.shape[inner]) {
      walk_along(plan, axis);
      break;
    }
  }
  StridedCopy<T>(to, from, plan).run(ctx);
}

}  // namespace

void copy_elements(KernelContext& ctx, const TensorView& x, const TensorView& y) {
  const TensorView* views[] = {&y, &x};
  const Strides plan = collapse(views, 2, true);
  if (plan.count == 0) return;
  visit_width(y.dtype, [&]<class T>() { move<T>(ctx, plan, x, y); });
}

namespace {

template <class To, class From>
void convert_block(const void*, const BlockArguments& block) {
  To* y = static_cast<To*>(block.y);
  const From* x = static_cast<const From*>(block.inputs[0]);
  const int64_t count = block.count;
  if (block.scalar[0]) {
    std::fill(y, y + count, convert<To>(*x));
    return;
  }
  int64_t i = 0;
  constexpr bool kFloats = std::is_same_v<Compute<To>, float> && std::is_same_v<Compute<From>, float>;
  if constexpr (kFloats) {
    for (; i + kLanes<float> <= count; i += kLanes<float>) store(y + i, load(x + i));
  }
  for (; i < count; ++i) y[i] = convert<To>(x[i]);
}

}  // namespace
}  // namespace cpu

HADAL_CPU_KERNEL(copy) {
  using namespace cpu;
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  if (x.dtype == y.dtype) return copy_elements(ctx, x, y);
  BlockKernel kernel = nullptr;
  visit_element(cmd.name(), y.dtype, [&]<class To>() {
    visit_element(cmd.name(), x.dtype, [&]<class From>() { kernel = convert_block<To, From>; });
  });
  run_pointwise(ctx, {kernel}, cmd);
}

}  // namespace hadal
