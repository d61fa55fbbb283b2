// Distances of rows: cdist and what it gives back to its first operand, float32 and float64. Both write with `=` and read rows whose elements are
// neighbours; distances and their gradients have any strides.
#include <algorithm>

#include "cpu/reduce_fold.h"
#include "cpu/rows.h"
#include "kernels/distance.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// About 10 µs of work: less is not worth a hand-off to another thread.
constexpr int64_t kElementsPerTask = 65536;
// Distances that are made together: rows of a times rows of b, so that each vector that is read serves several.
constexpr int kRows = 2, kColumns = 4;

// The matrices in the last two axes, and where those of the batch begin.
struct Matrices {
  const TensorView& view;
  RowOffsets offsets;
  int64_t rows, row;

  explicit Matrices(const TensorView& view)
      : view(view), offsets(view, 3u << (view.rank - 2)), rows(view.size(-2)), row(view.stride(-2)) {}
  template <class T>
  T* at(int64_t batch, int64_t i) const {
    return view.as<T>() + offsets(batch) + i * row;
  }
};

template <class T, class Norm>
void distances(KernelContext& ctx, const Command& cmd, const Norm& norm) {
  const Matrices a(cmd.input(0)), b(cmd.input(1)), y(cmd.output(0));
  const int64_t n = a.rows, m = b.rows, size = a.view.size(-1), column = y.view.stride(-1);
  if (y.view.numel() == 0) return;
  const int64_t tiles = (n + kRows - 1) / kRows;
  ctx.parallel_ranges(
      y.offsets.rows() * tiles, kElementsPerTask / (kRows * m * size + 1), [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t batch = task / tiles, first = task % tiles * kRows;
          // Rows beyond the last are the last once more, and are not written.
          const T* left[kRows];
          for (int i = 0; i < kRows; ++i) left[i] = a.at<const T>(batch, std::min(first + i, n - 1));
          for (int64_t from = 0; from < m; from += kColumns) {
            const T* right[kColumns];
            for (int j = 0; j < kColumns; ++j) right[j] = b.at<const T>(batch, std::min(from + j, m - 1));
            Vec<T> totals[kRows][kColumns] = {};
            const auto add = [&](int64_t k, auto part) {
              Vec<T> x[kRows];
              for (int i = 0; i < kRows; ++i) x[i] = load(left[i] + k, part);
              for (int j = 0; j < kColumns; ++j) {
                const Vec<T> z = load(right[j] + k, part);
                for (int i = 0; i < kRows; ++i) totals[i][j] = norm.add(totals[i][j], Vec<T>(x[i] - z));
              }
            };
            int64_t k = 0;
            for (; k + kLanes<T> <= size; k += kLanes<T>) add(k, Full{});
            if (k < size) add(k, Tail{static_cast<int>(size - k)});  // beyond the tail both are 0
            for (int i = 0; i < std::min<int64_t>(kRows, n - first); ++i) {
              T* to = y.at<T>(batch, first + i);
              for (int j = 0; j < std::min<int64_t>(kColumns, m - from); ++j) {
                to[(from + j) * column] =
                    norm.root(fold_lanes(totals[i][j], [&](Vec<T> v, Vec<T> w) { return norm.join(v, w); }));
              }
            }
          }
        }
      });
}

// ga[i, :] = Σ_j factor(g_ij, y_ij) · slope(a_i - b_j, y_ij), summed in the order of j.
template <class T, class Norm>
void distances_backward(KernelContext& ctx, const Command& cmd, const Norm& norm) {
  const Matrices g(cmd.input(0)), a(cmd.input(1)), b(cmd.input(2)), y(cmd.input(3)), ga(cmd.output(0));
  const int64_t n = a.rows, m = b.rows, size = a.view.size(-1);
  const int64_t g_column = g.view.stride(-1), y_column = y.view.stride(-1);
  if (ga.view.numel() == 0) return;
  ctx.parallel_ranges(ga.offsets.rows() * n, kElementsPerTask / (m * size + 1), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t batch = task / n, i = task % n;
      const T* left = a.at<const T>(batch, i);
      const T *gradients = g.at<const T>(batch, i), *lengths = y.at<const T>(batch, i);
      T* to = ga.at<T>(batch, i);
      std::fill_n(to, size, T(0));
      for (int64_t j = 0; j < m; ++j) {
        const T length = lengths[j * y_column], factor = norm.factor(gradients[j * g_column], length);
        const T* right = b.at<const T>(batch, j);
        const Vec<T> lengths_of_all = broadcast(length);
        each_vector<T>(size, [&](int64_t k, auto part, auto) {
          const Vec<T> x = load(left + k, part) - load(right + k, part);
          store(to + k, load(to + k, part) + norm.slope(x, lengths_of_all) * factor, part);
        });
      }
    }
  });
}

template <class F>
void with_norm(const Command& cmd, F&& body) {
  distance::visit_norm(cmd.attribute(0), [&](const auto& norm) {
    if (cmd.output(0).dtype == DType::kFloat32) body.template operator()<float>(norm);
    else body.template operator()<double>(norm);
  });
}

}  // namespace

HADAL_CPU_KERNEL(cdist) {
  with_norm(cmd, [&]<class T>(const auto& norm) { distances<T>(ctx, cmd, norm); });
}
HADAL_CPU_KERNEL(cdistBackward) {
  with_norm(cmd, [&]<class T>(const auto& norm) { distances_backward<T>(ctx, cmd, norm); });
}

}  // namespace hadal::cpu
