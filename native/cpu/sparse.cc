// Products of a sparse matrix by compressed rows: with a dense matrix, and of two dense ones at the places of its entries. Entries
// of a row are summed in their order. 16-bit floats sum in float.
#include <algorithm>
#include <string>

#include "cpu/rows.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// About 10 µs of work: less is not worth a hand-off to another thread.
constexpr int64_t kElementsPerTask = 32768;

int64_t read_index(const TensorView& view, int64_t i) {
  const int64_t at = i * view.strides[0];
  return view.dtype == DType::kInt64 ? view.as<int64_t>()[at] : view.as<int32_t>()[at];
}
int64_t read_place(const Command& cmd, const TensorView& view, int64_t i, int64_t size, const char* what) {
  const int64_t place = read_index(view, i);
  if (place >= 0 && place < size) return place;
  throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": " + what + " " + std::to_string(place) + " at position " +
                                     std::to_string(i) + " out of range for " + std::to_string(size));
}

// y[i, :] = Σ values[k] · x[columns[k], :] over the entries k of row i. Writes =; rows of x and y are adjacent.
template <class T>
void csr_matmul(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView &pointers = cmd.input(0), &columns = cmd.input(1), &values = cmd.input(2), &x = cmd.input(3);
  const TensorView& y = cmd.output(0);
  const int64_t rows = y.shape[0], width = y.shape[1], entries = columns.shape[0];
  if (rows == 0 || width == 0) return;
  const int64_t row_work = width * (entries / rows + 1);
  ctx.parallel_ranges(rows, kElementsPerTask / row_work, [&](int64_t begin, int64_t end) {
    C* sums = ctx.thread_scratch<C>(width);
    for (int64_t row = begin; row < end; ++row) {
      std::fill(sums, sums + width, C(0));
      const int64_t first = read_index(pointers, row), last = read_index(pointers, row + 1);
      if (first < 0 || last > entries) {
        throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": row " + std::to_string(row) + " has entries " +
                                           std::to_string(first) + " to " + std::to_string(last) + " of " +
                                           std::to_string(entries));
      }
      for (int64_t k = first; k < last; ++k) {
        const int64_t column = read_place(cmd, columns, k, x.shape[0], "column");
        const T* from = x.as<T>() + column * x.strides[0];
        const C factor = static_cast<C>(values.as<T>()[k * values.strides[0]]);
        each_vector<C>(width, [&](int64_t i, auto part, auto) {
          store(sums + i, load(sums + i, part) + load(from + i, part) * factor, part);
        });
      }
      T* to = y.as<T>() + row * y.strides[0];
      each_vector<C>(width, [&](int64_t i, auto part, auto) { store(to + i, load(sums + i, part), part); });
    }
  });
}

// values[k] = a[rows[k], :] · b[columns[k], :]. Writes =; rows of a and b are adjacent.
template <class T>
void sampled_matmul(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView &rows = cmd.input(0), &columns = cmd.input(1), &a = cmd.input(2), &b = cmd.input(3);
  const TensorView& values = cmd.output(0);
  const int64_t width = a.shape[1];
  ctx.parallel_ranges(values.shape[0], kElementsPerTask / (width + 1), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const T* left = a.as<T>() + read_place(cmd, rows, k, a.shape[0], "row") * a.strides[0];
      const T* right = b.as<T>() + read_place(cmd, columns, k, b.shape[0], "column") * b.strides[0];
      Accumulators<C> total(0);
      each_vector<C>(width, [&](int64_t i, auto part, auto lane) {
        total.lanes[lane] += load(left + i, part) * load(right + i, part);
      });
      values.as<T>()[k * values.strides[0]] = static_cast<T>(total.sum());
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(csrMatmul) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { csr_matmul<T>(ctx, cmd); });
}
HADAL_CPU_KERNEL(sampledMatmul) {
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() { sampled_matmul<T>(ctx, cmd); });
}

}  // namespace hadal::cpu
