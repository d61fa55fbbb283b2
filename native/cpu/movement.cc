// Movement of elements without arithmetic: cat, pad and its gradient, flip, tril, triu. All write every element of the output, with `=`;
// runs that are contiguous on both sides are copied as memory.
#include <algorithm>
#include <cstring>

#include "cpu/pointwise.h"
#include "cpu/rows.h"
#include "cpu/strided_copy.h"
#include "kernels/pad.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// A task of 32 Ki elements takes 10 to 30 µs.
constexpr int64_t kTaskElements = int64_t{1} << 15;

template <class T>
void fill_row(T* to, int64_t stride, int64_t n, T value) {
  if (stride == 1) std::fill_n(to, n, value);
  else
    for (int64_t i = 0; i < n; ++i) to[i * stride] = value;
}

HADAL_CPU_KERNEL(cat) {
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  visit_width(y.dtype, [&]<class T>() {
    int64_t* starts = ctx.scratch<int64_t>(cmd.input_count);
    int64_t start = 0;
    for (int i = 0; i < cmd.input_count; ++i) {
      starts[i] = start;
      start += cmd.input(i).shape[axis];
    }
    const auto part = [&](int64_t i) {
      TensorView to = y;
      to.shape[axis] = cmd.input(static_cast<int>(i)).shape[axis];
      to.data += starts[i] * y.strides[axis] * static_cast<int64_t>(sizeof(T));
      return StridedCopy<T>(to, cmd.input(static_cast<int>(i)));
    };
    // Many small inputs: several to a task. Large ones: each cut into tasks.
    const int64_t average = y.numel() / std::max(cmd.input_count, 1);
    if (average < kTaskElements) {
      ctx.parallel_ranges(cmd.input_count, kTaskElements / std::max<int64_t>(average, 1),
                          [&](int64_t begin, int64_t end) {
                            for (int64_t i = begin; i < end; ++i) part(i).run();
                          });
    } else {
      for (int64_t i = 0; i < cmd.input_count; ++i) part(i).run(ctx);
    }
  });
}

HADAL_CPU_KERNEL(flip) {
  TensorView x = cmd.input(0);
  const int64_t axes = cmd.integer(0);
  if (x.numel() == 0) return;
  for (int axis = 0; axis < x.rank; ++axis) {
    if ((axes >> axis & 1) == 0) continue;
    x.data += (x.shape[axis] - 1) * x.strides[axis] * static_cast<int64_t>(size_of(x.dtype));
    x.strides[axis] = -x.strides[axis];
  }
  copy_elements(ctx, x, cmd.output(0));
}

// --- Padding ---------------------------------------------------------------------------------------------------------

template <class T>
void pad(KernelContext& ctx, const Command& cmd, T value) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const int64_t count = y.numel();
  if (count == 0) return;
  const auto mode = static_cast<PadMode>(cmd.integer(0));
  // For every axis a table of source offsets.
  int64_t* sources[kMaxRank];
  for (int axis = 0; axis < y.rank; ++axis) {
    sources[axis] = ctx.scratch<int64_t>(y.shape[axis]);
    for (int64_t place = 0; place < y.shape[axis]; ++place) {
      const int64_t source = pad_source(mode, place, cmd.integer(2 + axis), x.shape[axis]);
      sources[axis][place] = source < 0 ? -1 : source * x.strides[axis];
    }
  }
  const int last = y.rank - 1;
  const int64_t n = y.rank > 0 ? y.shape[last] : 1;
  const int64_t x_stride = y.rank > 0 ? x.strides[last] : 1;
  const int64_t y_stride = y.rank > 0 ? y.strides[last] : 1;
  // The part of a row that is x itself.
  const int64_t before = y.rank > 0 ? cmd.integer(2 + last) : 0;
  const int64_t inner_begin = std::clamp<int64_t>(before, 0, n);
  const int64_t inner_end = std::clamp<int64_t>(before + (y.rank > 0 ? x.shape[last] : 1), inner_begin, n);
  ctx.parallel_ranges(count / n, kTaskElements / n, [&](int64_t begin, int64_t end) {
    T* to = y.as<T>();
    int64_t place[kMaxRank] = {};
    int64_t rest = begin;
    for (int axis = last - 1; axis >= 0; --axis) {
      place[axis] = rest % y.shape[axis];
      rest /= y.shape[axis];
      to += place[axis] * y.strides[axis];
    }
    for (int64_t row = begin; row < end; ++row) {
      int64_t offset = 0;
      bool is_constant = false;
      for (int axis = 0; axis < last; ++axis) {
        is_constant |= sources[axis][place[axis]] < 0;
        offset += sources[axis][place[axis]];
      }
      if (is_constant) {
        fill_row(to, y_stride, n, value);
      } else {
        const T* from = x.as<T>() + offset;
        const auto edge = [&](int64_t start, int64_t stop) {
          if (mode == PadMode::kConstant) return fill_row(to + start * y_stride, y_stride, stop - start, value);
          for (int64_t i = start; i < stop; ++i) to[i * y_stride] = from[sources[last][i]];
        };
        edge(0, inner_begin);
        if (inner_end > inner_begin) {
          copy_row(to + inner_begin * y_stride, y_stride, from + (inner_begin - before) * x_stride, x_stride,
                   inner_end - inner_begin);
        }
        edge(inner_end, n);
      }
      for (int axis = last - 1; axis >= 0; --axis) {
        to += y.strides[axis];
        if (++place[axis] < y.shape[axis]) break;
        place[axis] = 0;
        to -= y.shape[axis] * y.strides[axis];
      }
    }
  });
}

HADAL_CPU_KERNEL(pad) {
  visit_any(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    T value;
    if constexpr (std::is_same_v<T, bool>) value = cmd.flag(1);
    else if constexpr (std::is_integral_v<T>) value = static_cast<T>(cmd.integer(1));
    else value = T(static_cast<Compute<T>>(cmd.attribute(1)));
    pad<T>(ctx, cmd, value);
  });
}

// gx = the sum of g over the places that each element was padded to, row by row. Sums in float of 16-bit floats.
template <class T>
void pad_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& g = cmd.input(0);
  const TensorView& gx = cmd.output(0);
  if (gx.numel() == 0) return;
  const auto mode = static_cast<PadMode>(cmd.integer(0));
  const int last = gx.rank - 1;
  const int64_t n = gx.shape[last], padded = g.shape[last], before = cmd.integer(1 + last);
  const int64_t g_stride = g.strides[last];
  // Where what was added to a row comes from.
  int64_t* sources = ctx.scratch<int64_t>(padded);
  for (int64_t place = 0; place < padded; ++place) sources[place] = pad_source(mode, place, before, n);
  const RowOffsets rows(gx, 1u << last);
  ctx.parallel_ranges(gx.numel() / n, kTaskElements / n, [&](int64_t begin, int64_t end) {
    C* sums = ctx.thread_scratch<C>(n);
    const auto add = [&](const T* from) {
      if (g_stride == 1) {
        each_vector<C>(n, [&](int64_t i, auto part, auto) {
          store(sums + i, load(sums + i, part) + load(from + before + i, part), part);
        });
      } else {
        for (int64_t i = 0; i < n; ++i) sums[i] += static_cast<C>(from[(before + i) * g_stride]);
      }
      for (int64_t i = 0; i < before; ++i) sums[sources[i]] += static_cast<C>(from[i * g_stride]);
      for (int64_t i = before + n; i < padded; ++i) sums[sources[i]] += static_cast<C>(from[i * g_stride]);
    };
    for (int64_t row = begin; row < end; ++row) {
      PadPlaces places[kMaxRank];
      int64_t counts[kMaxRank], combinations = 1, rest = row;
      for (int axis = last - 1; axis >= 0; --axis) {
        places[axis] = pad_places(mode, rest % gx.shape[axis], cmd.integer(1 + axis), gx.shape[axis], g.shape[axis],
                                  &counts[axis]);
        combinations *= counts[axis];
        rest /= gx.shape[axis];
      }
      std::fill_n(sums, n, C(0));
      for (int64_t combination = 0; combination < combinations; ++combination) {
        int64_t offset = 0, left = combination;
        for (int axis = 0; axis < last; ++axis) {
          offset += places[axis][left % counts[axis]] * g.strides[axis];
          left /= counts[axis];
        }
        add(g.as<T>() + offset);
      }
      T* to = gx.as<T>() + rows(row);
      if (gx.strides[last] == 1) {
        each_vector<C>(n, [&](int64_t i, auto part, auto) { store(to + i, load(sums + i, part), part); });
      } else {
        scatter(to, gx.strides[last], sums, n);
      }
    }
  });
}

HADAL_CPU_KERNEL(padBackward) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { pad_backward<T>(ctx, cmd); });
}

// --- Triangles -------------------------------------------------------------------------------------------------------

// Keeps the elements of each row up to (tril) or from (triu) its diagonal on; the others become 0.
template <bool kLower>
void triangle(KernelContext& ctx, const Command& cmd) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  if (y.numel() == 0) return;
  const int64_t diagonal = cmd.integer(0);
  const int64_t m = y.size(-2);
  const int64_t n = y.size(-1);
  const RowOffsets x_rows(x, 1u << (x.rank - 1));
  const RowOffsets y_rows(y, 1u << (y.rank - 1));
  visit_width(y.dtype, [&]<class T>() {
    ctx.parallel_ranges(y_rows.rows(), kTaskElements / n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t cut = std::clamp<int64_t>(row % m + diagonal + (kLower ? 1 : 0), 0, n);
        const int64_t kept = kLower ? 0 : cut;
        const int64_t kept_end = kLower ? cut : n;
        T* to = y.as<T>() + y_rows(row);
        fill_row(to, y.stride(-1), kept, T{});
        if (kept_end > kept) {
          copy_row(to + kept * y.stride(-1), y.stride(-1), x.as<T>() + x_rows(row) + kept * x.stride(-1), x.stride(-1),
                   kept_end - kept);
        }
        fill_row(to + kept_end * y.stride(-1), y.stride(-1), n - kept_end, T{});
      }
    });
  });
}

HADAL_CPU_KERNEL(tril) { triangle<true>(ctx, cmd); }
HADAL_CPU_KERNEL(triu) { triangle<false>(ctx, cmd); }

}  // namespace
}  // namespace hadal::cpu
