// Reading and writing at places that a tensor of indices names: embedding, bags of it, gather, indexSelect, oneHot, and scatter,
// indexAdd and embedding's gradient, which combine what falls on one place in row-major order of the index, whatever
// the number of threads. Indices are checked as they are read; the error names the first bad one.
#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>

#include "cpu/rows.h"
#include "cpu/strided_copy.h"
#include "kernels/convert.h"
#include "kernels/view_axes.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// A task of 32 Ki elements takes 10 to 40 µs.
constexpr int64_t kTaskElements = int64_t{1} << 15;

inline bool is_outside(int64_t index, int64_t size) {
  return static_cast<uint64_t>(index) >= static_cast<uint64_t>(size);
}

// Whether any of n indices, `stride` apart, is outside [0, size): the largest of them as unsigned numbers is, which takes no branch. One below 0 is
// larger than all that I holds, if not than a size beyond that.
template <class I>
bool any_outside(const I* index, int64_t stride, int64_t n, int64_t size) {
  using Unsigned = std::make_unsigned_t<I>;
  Unsigned largest = 0;
  if (stride == 1) {
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, static_cast<Unsigned>(index[i]));
  } else {
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, static_cast<Unsigned>(index[i * stride]));
  }
  return n > 0 && (largest > static_cast<Unsigned>(std::numeric_limits<I>::max()) ||
                   is_outside(static_cast<int64_t>(largest), size));
}

// Called once some index is known to be outside [0, size): finds the first, in row-major order, and throws.
template <class I>
[[noreturn]] void throw_index_error(const Command& cmd, const TensorView& index, int64_t size, const char* what) {
  const RowOffsets offsets(index, 0);
  int64_t position = 0;
  while (!is_outside(index.as<I>()[offsets(position)], size)) ++position;
  throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": index " +
                                     std::to_string(index.as<I>()[offsets(position)]) + " at position " +
                                     std::to_string(position) + " out of range for " + std::to_string(size) + " " +
                                     what);
}

// A tensor of another dtype than `view`, row-major, in scratch memory.
template <class T>
TensorView packed_as(KernelContext& ctx, const TensorView& view, DType dtype) {
  TensorView packed = view;
  packed.dtype = dtype;
  packed.data = reinterpret_cast<std::byte*>(ctx.scratch<T>(view.numel()));
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    packed.strides[axis] = stride;
    stride *= view.shape[axis];
  }
  return packed;
}

// y = x, in another dtype.
template <class To, class From>
void convert_rows(KernelContext& ctx, const TensorView& y, const TensorView& x) {
  if (y.numel() == 0) return;
  const int last = std::max(y.rank - 1, 0);
  const uint32_t row_axis = y.rank > 0 ? 1u << last : 0u;
  const RowOffsets x_rows(x, row_axis), y_rows(y, row_axis);
  const int64_t n = size_along(y, last), x_stride = stride_along(x, last), y_stride = stride_along(y, last);
  ctx.parallel_ranges(y_rows.rows(), kTaskElements / n, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const From* from = x.as<From>() + x_rows(row);
      To* to = y.as<To>() + y_rows(row);
      int64_t i = 0;
      if constexpr (std::is_same_v<Compute<To>, Compute<From>>) {
        const int64_t whole = x_stride == 1 && y_stride == 1 ? n : 0;
        for (; i + kLanes<float> <= whole; i += kLanes<float>) store(to + i, load(from + i));
      }
      for (; i < n; ++i) to[i * y_stride] = convert<To>(from[i * x_stride]);
    }
  });
}

// An index as int64, so that the kernels below exist once for every element type.
TensorView as_int64(KernelContext& ctx, const TensorView& index) {
  if (index.dtype == DType::kInt64) return index;
  const TensorView wide = packed_as<int64_t>(ctx, index, DType::kInt64);
  convert_rows<int64_t, int32_t>(ctx, wide, index);
  return wide;
}

// --- Reading ---------------------------------------------------------------------------------------------------------

// y = x at the places `index`, of y's shape, along `axis`.
void gather_along(KernelContext& ctx, const Command& cmd, const TensorView& x, const TensorView& index,
                  const TensorView& y, int axis) {
  if (y.numel() == 0) return;
  const int last = std::max(y.rank - 1, 0);
  const int64_t n = size_along(y, last);
  const int64_t size = size_along(x, axis);
  // x walked at the index's shape, and in place along the gathered axis.
  TensorView held = x;
  std::copy_n(index.shape, index.rank, held.shape);
  if (x.rank > 0) held.strides[axis] = 0;
  const uint32_t row_axis = y.rank > 0 ? 1u << last : 0u;
  const RowOffsets x_rows(held, row_axis);
  const RowOffsets index_rows(index, row_axis);
  const RowOffsets y_rows(y, row_axis);
  const int64_t x_stride = stride_along(held, last);
  const int64_t x_axis_stride = stride_along(x, axis);
  const int64_t index_stride = stride_along(index, last);
  const int64_t y_stride = stride_along(y, last);
  visit_width(y.dtype, [&]<class T>() {
    visit_index(cmd.name(), index.dtype, [&]<class I>() {
      ctx.parallel_ranges(y_rows.rows(), kTaskElements / n, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const T* from = x.as<T>() + x_rows(row);
          const I* places = index.as<I>() + index_rows(row);
          T* to = y.as<T>() + y_rows(row);
          if (any_outside(places, index_stride, n, size)) {
            throw_index_error<I>(cmd, index, size, "elements of the axis");
          }
          if (index_stride == 1 && y_stride == 1) {
            if (x_stride == 0 && x_axis_stride == 1) {
              for (int64_t i = 0; i < n; ++i) to[i] = from[places[i]];
            } else {
              for (int64_t i = 0; i < n; ++i) to[i] = from[i * x_stride + places[i] * x_axis_stride];
            }
          } else {
            for (int64_t i = 0; i < n; ++i) {
              to[i * y_stride] = from[i * x_stride + places[i * index_stride] * x_axis_stride];
            }
          }
        }
      });
    });
  });
}

// Rows `index[i]` of the axis `axis` of x to place i of y, for every place on the axes before it. The index's axes
// replace that axis in y.
void select_rows(KernelContext& ctx, const Command& cmd, const TensorView& x, const TensorView& index,
                 const TensorView& y, int axis, const char* what) {
  if (y.numel() == 0) return;
  if (axis == x.rank - 1 && index.rank == 1) {
    // Rows of one element.
    TensorView places = y;
    places.data = index.data;
    places.dtype = index.dtype;
    std::fill_n(places.strides, axis, 0);
    places.strides[axis] = index.strides[0];
    return gather_along(ctx, cmd, x, places, y, axis);
  }
  const int64_t size = x.shape[axis];
  const int64_t indices = index.numel();
  const RowOffsets x_outer(leading(x, axis), 0);
  const RowOffsets y_outer(leading(y, axis), 0);
  const RowOffsets y_places(leading(trailing(y, axis), index.rank), 0);
  const RowOffsets index_places(index, 0);
  visit_width(y.dtype, [&]<class T>() {
    visit_index(cmd.name(), index.dtype, [&]<class I>() {
      const StridedCopy<T> row(trailing(y, axis + index.rank), trailing(x, axis + 1));
      const int64_t grain = kTaskElements / row.count();
      ctx.parallel_ranges(x_outer.rows() * indices, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t outer = i / indices;
          const int64_t place = i - outer * indices;
          const int64_t source = index.as<I>()[index_places(place)];
          if (is_outside(source, size)) throw_index_error<I>(cmd, index, size, what);
          T* to = y.as<T>() + y_outer(outer) + y_places(place);
          const T* from = x.as<T>() + x_outer(outer) + source * x.strides[axis];
          row.run(to, from);
        }
      });
    });
  });
}

HADAL_CPU_KERNEL(embedding) { select_rows(ctx, cmd, cmd.input(0), cmd.input(1), cmd.output(0), 0, "rows"); }

HADAL_CPU_KERNEL(indexSelect) {
  select_rows(ctx, cmd, cmd.input(0), cmd.input(1), cmd.output(0), static_cast<int>(cmd.integer(0)),
              "elements of the axis");
}

HADAL_CPU_KERNEL(gather) {
  gather_along(ctx, cmd, cmd.input(0), cmd.input(1), cmd.output(0), static_cast<int>(cmd.integer(0)));
}

// y [bags, :] = the sum or mean of the rows of weight that the index names, in its order; 0 without any. Sums in float of 16-bit floats.
template <class T>
void embedding_bag(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& weight = cmd.input(0);
  const TensorView index = as_int64(ctx, cmd.input(1));
  const bool has_offsets = cmd.input(2).present();
  const TensorView offsets = has_offsets ? as_int64(ctx, cmd.input(2)) : TensorView{};
  const TensorView& y = cmd.output(0);
  const bool is_mean = cmd.flag(0);
  const int64_t bags = y.shape[0], width = y.shape[1], rows = weight.shape[0], places = index.numel();
  const int64_t step = index.strides[index.rank - 1];
  if (bags == 0) return;
  const int64_t grain = kTaskElements / std::max<int64_t>(1, width * (places / bags + 1));
  const auto offset_of = [&](int64_t bag) {
    const int64_t offset = bag < bags ? offsets.as<int64_t>()[bag * offsets.strides[0]] : places;
    if (offset >= 0 && offset <= places) return offset;
    throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": offset " + std::to_string(offset) + " at position " +
                                       std::to_string(bag) + " out of range for " + std::to_string(places) + " places");
  };
  ctx.parallel_ranges(bags, grain, [&](int64_t begin, int64_t end) {
    for (int64_t bag = begin; bag < end; ++bag) {
      const int64_t first = has_offsets ? offset_of(bag) : 0;
      const int64_t count = has_offsets ? std::max<int64_t>(0, offset_of(bag + 1) - first) : index.shape[1];
      const int64_t* named = index.as<int64_t>() + (has_offsets ? first * step : bag * index.strides[0]);
      for (int64_t i = 0; i < count; ++i) {
        if (is_outside(named[i * step], rows)) throw_index_error<int64_t>(cmd, index, rows, "rows");
      }
      const Vec<C> divisor = broadcast(static_cast<C>(is_mean ? std::max<int64_t>(1, count) : 1));
      T* to = y.as<T>() + bag * y.strides[0];
      each_vector<C>(width, [&](int64_t column, auto part, auto) {
        Vec<C> sum{};
        for (int64_t i = 0; i < count; ++i) {
          sum += load(weight.as<T>() + named[i * step] * weight.strides[0] + column, part);
        }
        store(to + column, sum / divisor, part);
      });
    }
  });
}

HADAL_CPU_KERNEL(embeddingBag) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { embedding_bag<T>(ctx, cmd); });
}

HADAL_CPU_KERNEL(oneHot) {
  const TensorView& index = cmd.input(0);
  const TensorView& y = cmd.output(0);
  if (y.numel() == 0 && index.numel() == 0) return;
  const int64_t classes = y.size(-1);
  const RowOffsets index_places(index, 0);
  const RowOffsets y_rows(y, 1u << (y.rank - 1));
  visit_any(cmd.name(), y.dtype, [&]<class T>() {
    visit_index(cmd.name(), index.dtype, [&]<class I>() {
      ctx.parallel_ranges(y_rows.rows(), kTaskElements / std::max<int64_t>(classes, 1),
                          [&](int64_t begin, int64_t end) {
                            for (int64_t row = begin; row < end; ++row) {
                              const int64_t hot = index.as<I>()[index_places(row)];
                              if (is_outside(hot, classes)) throw_index_error<I>(cmd, index, classes, "classes");
                              T* to = y.as<T>() + y_rows(row);
                              if (y.stride(-1) == 1) std::fill_n(to, classes, T{});
                              else
                                for (int64_t i = 0; i < classes; ++i) to[i * y.stride(-1)] = T{};
                              to[hot * y.stride(-1)] = static_cast<T>(Compute<T>(1));
                            }
                          });
    });
  });
}

// The places, in row-major order, of the elements that are not 0. Blocks are counted, then each writes its own. The
// output has room for as many as there were when it was made; what x may hold more by now is left out, and what it
// holds less are places 0.
HADAL_CPU_KERNEL(nonzero) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.output(0);
  const int64_t n = x.numel();
  const int64_t room = index.shape[0];
  if (room == 0) return;
  const RowOffsets places(x, 0);
  const bool is_packed = x.is_contiguous();
  int64_t* to = index.as<int64_t>();
  visit_any(cmd.name(), x.dtype, [&]<class T>() {
    const int64_t blocks = (n + kTaskElements - 1) / kTaskElements;
    int64_t* starts = ctx.scratch<int64_t>(blocks + 1);
    const auto is_set = [&](int64_t i) {
      return static_cast<Compute<T>>(x.as<T>()[is_packed ? i : places(i)]) != Compute<T>(0);
    };
    ctx.parallel_ranges(n, kTaskElements, [&](int64_t begin, int64_t end) {
      int64_t count = 0;
      for (int64_t i = begin; i < end; ++i) count += is_set(i) ? 1 : 0;
      starts[begin / kTaskElements + 1] = count;
    });
    starts[0] = 0;
    for (int64_t block = 0; block < blocks; ++block) starts[block + 1] += starts[block];
    ctx.parallel_ranges(n, kTaskElements, [&](int64_t begin, int64_t end) {
      int64_t at = starts[begin / kTaskElements];
      const int64_t stop = std::min(room, starts[begin / kTaskElements + 1]);
      for (int64_t i = begin; i < end && at < stop; ++i) {
        to[at] = i;
        at += is_set(i) ? 1 : 0;
      }
    });
    for (int64_t at = starts[blocks]; at < room; ++at) to[at] = 0;
  });
}

// --- Writing ---------------------------------------------------------------------------------------------------------

enum class ScatterMode : int64_t { kAssign, kAdd, kMultiply, kMax, kMin };

template <ScatterMode kMode, class To, class T>
inline void combine_into(To& to, T value) {
  if constexpr (kMode == ScatterMode::kAssign) {
    to = value;
  } else if constexpr (std::is_integral_v<T> && (kMode == ScatterMode::kAdd || kMode == ScatterMode::kMultiply)) {
    // Wraps around.
    const auto a = static_cast<uint64_t>(to);
    const auto b = static_cast<uint64_t>(value);
    to = static_cast<T>(kMode == ScatterMode::kAdd ? a + b : a * b);
  } else {
    const Compute<To> a = to, b = value;
    if constexpr (kMode == ScatterMode::kAdd) to = a + b;
    if constexpr (kMode == ScatterMode::kMultiply) to = a * b;
    if constexpr (kMode == ScatterMode::kMax) to = ((b > a) | (b != b)) ? value : to;
    if constexpr (kMode == ScatterMode::kMin) to = ((b < a) | (b != b)) ? value : to;
  }
}

// y[.., index[.., p, ..], ..] (combined with) = source[.., p, ..]. Only elements of one line along the axis can fall on
// one place, so lines are independent; a task takes neighbouring lines together, to read and write memory in order.
template <ScatterMode kMode, class To, class T>
void scatter_lines(KernelContext& ctx, const Command& cmd, const TensorView& index, const TensorView& source,
                   const TensorView& y, int axis) {
  if (index.numel() == 0) return;
  const int last = std::max(index.rank - 1, 0);
  const bool is_last = axis == last;  // then a line is a row, and stands alone
  const uint32_t skipped = index.rank > 0 ? 1u << axis | 1u << last : 0u;
  const auto at_index_shape = [&](TensorView view) {
    std::copy_n(index.shape, index.rank, view.shape);
    return RowOffsets(view, skipped);
  };
  const RowOffsets index_groups = at_index_shape(index);
  const RowOffsets source_groups = at_index_shape(source);
  const RowOffsets y_groups = at_index_shape(y);
  const int64_t length = size_along(index, axis);
  const int64_t size = size_along(y, axis);
  const int64_t width = is_last ? 1 : index.shape[last];
  const int64_t tile = std::clamp<int64_t>(kTaskElements / length, std::min<int64_t>(width, 64), width);
  const int64_t tiles = (width + tile - 1) / tile;
  const int64_t index_step = stride_along(index, axis), index_stride = is_last ? 0 : index.strides[last];
  const int64_t source_step = stride_along(source, axis), source_stride = is_last ? 0 : source.strides[last];
  const int64_t y_step = stride_along(y, axis), y_stride = is_last ? 0 : y.strides[last];
  const auto checked = [&](int64_t place) {
    if (is_outside(place, size)) throw_index_error<int64_t>(cmd, index, size, "elements of the axis");
    return place;
  };
  ctx.parallel_ranges(index_groups.rows() * tiles, kTaskElements / (length * tile), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / tiles;
      const int64_t first = task % tiles * tile;
      const int64_t count = std::min(tile, width - first);
      const int64_t* places = index.as<int64_t>() + index_groups(group) + first * index_stride;
      const T* from = source.as<T>() + source_groups(group) + first * source_stride;
      To* to = y.as<To>() + y_groups(group) + first * y_stride;
      const auto each = [&](int64_t n, int64_t place_stride, int64_t value_stride, int64_t shift) {
        if (any_outside(places, place_stride, n, size)) {
          throw_index_error<int64_t>(cmd, index, size, "elements of the axis");
        }
        for (int64_t i = 0; i < n; ++i) {
          combine_into<kMode>(to[places[i * place_stride] * y_step + i * shift], from[i * value_stride]);
        }
      };
      if (is_last) {
        each(length, index_step, source_step, 0);
        continue;
      }
      for (int64_t p = 0; p < length; ++p, places += index_step, from += source_step) {
        if (index_stride == 0 && source_stride == 1 && y_stride == 1) {
          To* __restrict row = to + checked(*places) * y_step;
          const T* __restrict values = from;
          for (int64_t i = 0; i < count; ++i) combine_into<kMode>(row[i], values[i]);
        } else {
          each(count, index_stride, source_stride, y_stride);
        }
      }
    }
  });
}

// Sums and products of 16-bit floats are made in float and rounded once: rounded one by one, a sum stays where it is once what is added is
// less than half a unit of its last place.
template <ScatterMode kMode, class T>
void scatter_to(KernelContext& ctx, const Command& cmd, const TensorView& index, const TensorView& source,
                const TensorView& y, int axis) {
  constexpr bool kRounds = kMode == ScatterMode::kAdd || kMode == ScatterMode::kMultiply;
  if constexpr (kRounds && !std::is_arithmetic_v<T>) {
    const TensorView total = packed_as<float>(ctx, y, DType::kFloat32);
    convert_rows<float, T>(ctx, total, y);
    scatter_lines<kMode, float, T>(ctx, cmd, index, source, total, axis);
    convert_rows<T, float>(ctx, y, total);
  } else {
    scatter_lines<kMode, T, T>(ctx, cmd, index, source, y, axis);
  }
}

void copy_unless_same(KernelContext& ctx, const TensorView& to, const TensorView& from) {
  bool is_same = to.data == from.data;
  for (int axis = 0; axis < to.rank; ++axis) is_same &= to.strides[axis] == from.strides[axis];
  if (!is_same) copy_view(ctx, to, from);
}

HADAL_CPU_KERNEL(scatter) {
  const TensorView index = as_int64(ctx, cmd.input(1));
  const TensorView& source = cmd.input(2);
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  copy_unless_same(ctx, y, cmd.input(0));
  const auto run = [&]<ScatterMode kMode>() {
    visit_any(cmd.name(), y.dtype, [&]<class T>() { scatter_to<kMode, T>(ctx, cmd, index, source, y, axis); });
  };
  switch (static_cast<ScatterMode>(cmd.integer(1))) {
    case ScatterMode::kAssign:
      return visit_width(y.dtype,
                         [&]<class T>() { scatter_to<ScatterMode::kAssign, T>(ctx, cmd, index, source, y, axis); });
    case ScatterMode::kAdd: return run.template operator()<ScatterMode::kAdd>();
    case ScatterMode::kMultiply: return run.template operator()<ScatterMode::kMultiply>();
    case ScatterMode::kMax: return run.template operator()<ScatterMode::kMax>();
    case ScatterMode::kMin: return run.template operator()<ScatterMode::kMin>();
  }
}

// scatter by addition with an index that is the same for all of a row.
HADAL_CPU_KERNEL(indexAdd) {
  const TensorView places = as_int64(ctx, cmd.input(1));
  const TensorView& source = cmd.input(2);
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  TensorView index = source;
  index.data = places.data;
  index.dtype = places.dtype;
  std::fill_n(index.strides, index.rank, int64_t{0});
  index.strides[axis] = places.strides[0];
  copy_unless_same(ctx, y, cmd.input(0));
  visit_any(cmd.name(), y.dtype,
            [&]<class T>() { scatter_to<ScatterMode::kAdd, T>(ctx, cmd, index, source, y, axis); });
}

// --- Embedding's gradient --------------------------------------------------------------------------------------------

// gw [rows, ...] = the sum of the rows of g whose index names each row, added in the order of the index, in float for
// 16-bit floats. Rows that no index names become 0. The positions are first sorted by row (counting sort, stable), so
// that each task owns a range of rows and a range of columns, and writes every element of them once.
template <class T>
void embedding_backward(KernelContext& ctx, const Command& cmd) {
  using A = Compute<T>;
  const TensorView& g = cmd.input(0);
  const TensorView index = as_int64(ctx, cmd.input(1));
  const TensorView& gw = cmd.output(0);
  const int64_t padding = cmd.integer(0);
  const int64_t rows = gw.shape[0];
  const int64_t positions = index.numel();
  const TensorView g_row = trailing(g, index.rank);
  const int64_t width = g_row.numel();

  int64_t* row_of = ctx.scratch<int64_t>(positions);
  int64_t* row_end = ctx.scratch<int64_t>(rows + 1);
  std::fill_n(row_end, rows + 1, int64_t{0});
  const RowOffsets index_places(index, 0);
  for (int64_t i = 0; i < positions; ++i) {
    row_of[i] = index.as<int64_t>()[index_places(i)];
    if (is_outside(row_of[i], rows)) throw_index_error<int64_t>(cmd, index, rows, "rows");
    if (row_of[i] != padding) ++row_end[row_of[i] + 1];
  }
  if (width == 0) return;
  // row_end[r] is where row r's positions start in `sorted`, and once they are filled in, where they end.
  for (int64_t r = 0; r < rows; ++r) row_end[r + 1] += row_end[r];
  int64_t* sorted = ctx.scratch<int64_t>(positions);
  for (int64_t i = 0; i < positions; ++i) {
    if (row_of[i] != padding) sorted[row_end[row_of[i]]++] = i;
  }

  // Ranges of rows with about the same number of row reads and writes.
  constexpr int64_t kColumns = 512;
  const int64_t columns = std::min(width, kColumns);
  const int64_t column_tiles = (width + columns - 1) / columns;
  const int64_t range_work = std::max<int64_t>(kTaskElements / columns, 1);
  int64_t* range_end = ctx.scratch<int64_t>((rows + positions) / range_work + 1);
  int64_t ranges = 0;
  for (int64_t r = 0, work = 0, done = 0; r < rows; ++r) {
    work += 1 + row_end[r] - done;
    done = row_end[r];
    if (work < range_work && r + 1 < rows) continue;
    range_end[ranges++] = r + 1;
    work = 0;
  }

  const RowOffsets g_rows(leading(g, index.rank), 0);
  const RowOffsets g_columns(g_row, 0);
  const bool is_packed = g_row.is_contiguous();
  ctx.parallel(ranges * column_tiles, [&](int64_t task) {
    const int64_t range = task / column_tiles;
    const int64_t first = task % column_tiles * columns;
    const int64_t count = std::min(columns, width - first);
    A total[kColumns];
    int64_t offsets[kColumns];
    if (!is_packed) {
      for (int64_t c = 0; c < count; ++c) offsets[c] = g_columns(first + c);
    }
    const int64_t first_row = range == 0 ? 0 : range_end[range - 1];
    int64_t next = first_row == 0 ? 0 : row_end[first_row - 1];
    for (int64_t r = first_row; r < range_end[range]; ++r) {
      std::fill_n(total, count, A(0));
      for (; next < row_end[r]; ++next) {
        const T* from = g.as<T>() + g_rows(sorted[next]);
        if (is_packed) {
          for (int64_t c = 0; c < count; ++c) total[c] += static_cast<A>(from[first + c]);
        } else {
          for (int64_t c = 0; c < count; ++c) total[c] += static_cast<A>(from[offsets[c]]);
        }
      }
      T* to = gw.as<T>() + r * width + first;
      for (int64_t c = 0; c < count; ++c) to[c] = static_cast<T>(total[c]);
    }
  });
}

HADAL_CPU_KERNEL(embeddingBackward) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { embedding_backward<T>(ctx, cmd); });
}

}  // namespace
}  // namespace hadal::cpu
