// Softmax and log-softmax along one axis, and their gradients. Any strides; 16-bit floats compute in float.
#include <string>

#include "cpu/exp_flushed.h"
#include "cpu/rows.h"
#include "kernels/math.h"
#include "runtime/registry.h"

namespace hadal::cpu {

namespace {

// About 10 µs of work: less is not worth a hand-off to another thread.
constexpr int64_t kElementsPerTask = 32768;
// Columns handled side by side where the axis is not the innermost: whole vectors, a few cache lines wide.
constexpr int kColumnVectors = 4;

// Asks for what is read soon. A pass over data that lies in the cache would leave memory idle.
inline void fetch(const void* at) { __builtin_prefetch(at); }

template <class C, int kInputs>
using Inputs = std::array<C, kInputs>;

// Finds the rows of the inputs and the output along `axis`. Where their elements are neighbours: row(inputs, output, n,
// temporary, streaming), with n elements of C to use. Where instead the innermost axis lies in whole vectors, those are taken side by
// side: columns<kVectors>(inputs, output, strides along the axis, n, Full or Tail). All else is packed first and goes to `row`.
template <class T, int kInputs, class Row, class Columns>
void along_axis(KernelContext& ctx, const Command& cmd, Row&& row, Columns&& columns) {
  using C = Compute<T>;
  const TensorView& y = cmd.output(0);
  const int axis = static_cast<int>(cmd.integer(0));
  if (axis < 0 || axis >= std::max(y.rank, 1)) {
    throw Error(ErrorCode::kShape, std::string(cmd.name()) + ": axis " + std::to_string(axis) + " out of range");
  }
  if (y.numel() == 0) return;
  const int64_t n = y.rank == 0 ? 1 : y.shape[axis];
  const int last = y.rank - 1;
  // Strides along an axis, of the inputs and then the output.
  Inputs<int64_t, kInputs + 1> strides;
  const auto all_neighbours = [&](int of_axis) {
    bool neighbours = true;
    for (int i = 0; i <= kInputs; ++i) {
      const TensorView& view = cmd.tensors[i];
      strides[i] = view.rank == 0 || view.shape[of_axis] == 1 ? 1 : view.strides[of_axis];
      neighbours &= strides[i] == 1;
    }
    return neighbours;
  };

  if (axis < last && y.shape[last] * static_cast<int>(sizeof(C)) >= kVectorBytes / 2 && all_neighbours(last)) {
    all_neighbours(axis);
    const int64_t width = y.shape[last];
    const int64_t block = kColumnVectors * kLanes<C>;
    const int64_t blocks = (width + block - 1) / block;
    Inputs<RowOffsets, kInputs + 1> offsets;
    for (int i = 0; i <= kInputs; ++i) offsets[i] = RowOffsets(cmd.tensors[i], 1u << axis | 1u << last);
    ctx.parallel_ranges(offsets[0].rows() * blocks, kElementsPerTask / (n * block), [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t column = item % blocks * block;
        Inputs<const T*, kInputs> from;
        for (int i = 0; i < kInputs; ++i) from[i] = cmd.tensors[i].as<T>() + offsets[i](item / blocks) + column;
        T* to = y.as<T>() + offsets[kInputs](item / blocks) + column;
        if (width - column >= block) {
          columns.template operator()<kColumnVectors>(from, to, strides, n, Full{});
          continue;
        }
        for (int64_t i = column; i < width; i += kLanes<C>) {
          if (width - i >= kLanes<C>) {
            columns.template operator()<1>(from, to, strides, n, Full{});
          } else {
            columns.template operator()<1>(from, to, strides, n, Tail{static_cast<int>(width - i)});
          }
          for (auto& pointer : from) pointer += kLanes<C>;
          to += kLanes<C>;
        }
      }
    });
    return;
  }

  const bool packed = all_neighbours(y.rank == 0 ? 0 : axis);
  Inputs<RowOffsets, kInputs + 1> offsets;
  for (int i = 0; i <= kInputs; ++i) offsets[i] = RowOffsets(cmd.tensors[i], 1u << axis);
  const bool stream_rows = packed && streaming<T>(offsets[0].rows(), n);
  ctx.parallel_ranges(offsets[0].rows(), kElementsPerTask / n, [&](int64_t begin, int64_t end) {
    // A row of C for the op itself, then packed copies of the row of each tensor.
    C* temporary = ctx.thread_scratch<C>(n * (packed ? 1 : kInputs + 2));
    T* copies = reinterpret_cast<T*>(temporary + n);
    for (int64_t r = begin; r < end; ++r) {
      Inputs<const T*, kInputs> from, next;
      for (int i = 0; i < kInputs; ++i) {
        from[i] = cmd.tensors[i].as<T>() + offsets[i](r);
        next[i] = packed && r + 1 < offsets[i].rows() ? cmd.tensors[i].as<T>() + offsets[i](r + 1) : from[i];
        if (packed) continue;
        gather(copies + i * n, from[i], strides[i], n);
        from[i] = copies + i * n;
      }
      T* to = y.as<T>() + offsets[kInputs](r);
      row(from, next, packed ? to : copies + kInputs * n, n, temporary, stream_rows);
      if (!packed) scatter(to, strides[kInputs], copies + kInputs * n, n);
    }
    if (stream_rows) finish_streaming();
  });
}

// Three passes over a row in cache: maximum, exponentials and their sum, result. A row of -inf gives NaN.
template <class T, bool kLog>
void softmax(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  constexpr C kLowest = -std::numeric_limits<C>::infinity();
  along_axis<T, 1>(
      ctx, cmd,
      [](const Inputs<const T*, 1>& from, const Inputs<const T*, 1>& next, T* y, int64_t n, C* exponentials,
         bool streaming) {
        const T* x = from[0];
        Accumulators<C> largest(kLowest);
        each_vector<C>(n, [&](int64_t i, auto part, auto lane) {
          largest.lanes[lane] = vmax(load(x + i, part, kLowest), largest.lanes[lane]);
        });
        const C shift = largest.max();
        Accumulators<C> total(0);
        each_vector<C>(n, [&](int64_t i, auto part, auto lane) {
          fetch(next[0] + i);
          const Vec<C> e = exp_flushed(load(x + i, part, kLowest) - shift);
          if constexpr (!kLog) store(exponentials + i, e, part);
          total.lanes[lane] += e;
        });
        if constexpr (kLog) {
          const C log_total = math::log(total.sum());
          write_row(y, n, streaming, [&](int64_t i, auto part) { return load(x + i, part) - shift - log_total; });
        } else {
          const C factor = C(1) / total.sum();
          write_row(y, n, streaming, [&](int64_t i, auto part) { return load(exponentials + i, part) * factor; });
        }
      },
      [&]<int kVectors>(const Inputs<const T*, 1>& from, T* y, const Inputs<int64_t, 2>& strides, int64_t n,
                        auto part) {
        const T* x = from[0];
        Vec<C> shift[kVectors], total[kVectors] = {};
        for (int v = 0; v < kVectors; ++v) shift[v] = broadcast(kLowest);
        for (int64_t i = 0; i < n; ++i) {
          for (int v = 0; v < kVectors; ++v) shift[v] = vmax(load(x + i * strides[0] + v * kLanes<C>, part), shift[v]);
        }
        for (int64_t i = 0; i < n; ++i) {
          for (int v = 0; v < kVectors; ++v) {
            total[v] += exp_flushed(load(x + i * strides[0] + v * kLanes<C>, part) - shift[v]);
          }
        }
        for (int v = 0; v < kVectors; ++v) total[v] = kLog ? math::log(total[v]) : C(1) / total[v];
        for (int64_t i = 0; i < n; ++i) {
          for (int v = 0; v < kVectors; ++v) {
            const Vec<C> difference = load(x + i * strides[0] + v * kLanes<C>, part) - shift[v];
            store(y + i * strides[1] + v * kLanes<C>, kLog ? difference - total[v] : exp_flushed(difference) * total[v],
                  part);
          }
        }
      });
}

// softmax: gx = y · (g − Σ g·y). log-softmax: gx = g − exp(y) · Σ g.
template <class T, bool kLog>
void softmax_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const auto term = [](Vec<C> g, Vec<C> y) { return kLog ? g : g * y; };
  const auto gradient = [](Vec<C> g, Vec<C> y, auto total) {
    return kLog ? g - exp_flushed(y) * total : y * (g - total);
  };
  along_axis<T, 2>(
      ctx, cmd,
      [&](const Inputs<const T*, 2>& from, const Inputs<const T*, 2>& next, T* gx, int64_t n, C*, bool streaming) {
        const auto [g, y] = from;
        Accumulators<C> total(0);
        each_vector<C>(n, [&, g = g, y = y](int64_t i, auto part, auto lane) {
          total.lanes[lane] += term(load(g + i, part), load(y + i, part));
        });
        const C sum = total.sum();
        write_row(gx, n, streaming, [&, g = g, y = y](int64_t i, auto part) {
          fetch(next[0] + i);
          fetch(next[1] + i);
          return gradient(load(g + i, part), load(y + i, part), sum);
        });
      },
      [&]<int kVectors>(const Inputs<const T*, 2>& from, T* gx, const Inputs<int64_t, 3>& strides, int64_t n,
                        auto part) {
        const auto [g, y] = from;
        Vec<C> total[kVectors] = {};
        for (int64_t i = 0; i < n; ++i) {
          for (int v = 0; v < kVectors; ++v) {
            total[v] +=
                term(load(g + i * strides[0] + v * kLanes<C>, part), load(y + i * strides[1] + v * kLanes<C>, part));
          }
        }
        for (int64_t i = 0; i < n; ++i) {
          for (int v = 0; v < kVectors; ++v) {
            const Vec<C> gv = load(g + i * strides[0] + v * kLanes<C>, part);
            const Vec<C> yv = load(y + i * strides[1] + v * kLanes<C>, part);
            store(gx + i * strides[2] + v * kLanes<C>, gradient(gv, yv, total[v]), part);
          }
        }
      });
}

}  // namespace

HADAL_CPU_KERNEL(softmax) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { softmax<T, false>(ctx, cmd); });
}
HADAL_CPU_KERNEL(logSoftmax) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { softmax<T, true>(ctx, cmd); });
}
HADAL_CPU_KERNEL(softmaxBackward) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { softmax_backward<T, false>(ctx, cmd); });
}
HADAL_CPU_KERNEL(logSoftmaxBackward) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { softmax_backward<T, true>(ctx, cmd); });
}

}  // namespace hadal::cpu
