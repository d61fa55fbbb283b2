// Products of a sparse matrix by compressed rows: with a dense matrix, and of two dense ones at the places of its entries. Entries
// of a row are summed in their order. 16-bit floats sum in float. Writes `=`.
#include <bit>

#include "cuda/device/element.cuh"
#include "cuda/device/indices.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

template <class T>
struct CsrProduct {
  Indices pointers, columns;
  int64_t pointer_stride, column_stride, value_stride;
  const T *values, *x;
  T* y;
  int64_t rows, width, entries, x_rows, x_row, y_row;
  FaultSite pointer_site, column_site;
};

// y[i, :] = Σ values[k] · x[columns[k], :] over the entries k of row i. Block (lanes, rows): a column to each lane.
template <class T>
__global__ void __launch_bounds__(kBlock) csr_product(CsrProduct<T> args) {
  using C = Compute<T>;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= args.rows) return;
  const int64_t first = args.pointers[row * args.pointer_stride], last = args.pointers[(row + 1) * args.pointer_stride];
  if (first < 0 || last > args.entries) {
    if (threadIdx.x == 0) {
      args.pointer_site.out_of_bounds(first < 0 ? first : last, first < 0 ? row : row + 1, args.entries);
    }
    return;
  }
  for (int64_t column = blockIdx.y * blockDim.x + threadIdx.x; column < args.width; column += gridDim.y * blockDim.x) {
    C sum = 0;
    for (int64_t k = first; k < last; ++k) {
      int64_t from = args.columns[k * args.column_stride];
      if (is_outside(from, args.x_rows)) {
        args.column_site.index_out_of_range(from, k, args.x_rows);
        break;
      }
      sum += load_element(args.x[from * args.x_row + column]) * load_element(args.values[k * args.value_stride]);
    }
    args.y[row * args.y_row + column] = to_element<T>(sum);
  }
}

HADAL_CUDA_KERNEL(csrMatmul) {
  const TensorView &pointers = cmd.input(0), &columns = cmd.input(1), &values = cmd.input(2), &x = cmd.input(3);
  const TensorView& y = cmd.output(0);
  visit_floating(cmd.name(), y.dtype, [&]<class T>() {
    const CsrProduct<T> args{Indices(pointers),
                             Indices(columns),
                             pointers.strides[0],
                             columns.strides[0],
                             values.strides[0],
                             values.as<const T>(),
                             x.as<const T>(),
                             y.as<T>(),
                             y.shape[0],
                             y.shape[1],
                             columns.shape[0],
                             x.shape[0],
                             x.strides[0],
                             y.strides[0],
                             ctx.fault_site(cmd, "", "row pointer"),
                             ctx.fault_site(cmd, "", "column")};
    const int64_t width = std::clamp<int64_t>(args.width, 1, kBlock);
    const int lanes = static_cast<int>(std::bit_ceil(static_cast<uint64_t>(width)));
    const dim3 block(lanes, kBlock / lanes);
    const int64_t across = std::min<int64_t>((args.width + lanes - 1) / lanes, 65535);
    ctx.launch(cmd, csr_product<T>, dim3(blocks_for(args.rows, block.y), static_cast<unsigned>(across)), block, 0,
               args);
  });
}

template <class T>
struct SampledProduct {
  Indices rows, columns;
  int64_t row_stride, column_stride;
  const T *a, *b;
  T* values;
  int64_t value_stride, entries, width, a_rows, b_rows, a_row, b_row;
  FaultSite row_site, column_site;
};

// values[k] = a[rows[k], :] · b[columns[k], :], a warp for each.
template <class T>
__global__ void __launch_bounds__(kBlock) sampled_product(SampledProduct<T> args) {
  using C = Compute<T>;
  const int64_t k = static_cast<int64_t>(blockIdx.x) * (kBlock / kWarp) + threadIdx.x / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (k >= args.entries) return;
  const int64_t row = args.rows[k * args.row_stride], column = args.columns[k * args.column_stride];
  const bool bad_row = is_outside(row, args.a_rows), bad_column = is_outside(column, args.b_rows);
  if (bad_row || bad_column) {
    if (lane == 0 && bad_row) args.row_site.index_out_of_range(row, k, args.a_rows);
    if (lane == 0 && bad_column) args.column_site.index_out_of_range(column, k, args.b_rows);
    return;
  }
  const T *left = args.a + row * args.a_row, *right = args.b + column * args.b_row;
  C sum = 0;
  for (int64_t i = lane; i < args.width; i += kWarp) sum += load_element(left[i]) * load_element(right[i]);
  sum = warp_reduce(sum, Plus());
  if (lane == 0) args.values[k * args.value_stride] = to_element<T>(sum);
}

HADAL_CUDA_KERNEL(sampledMatmul) {
  const TensorView &rows = cmd.input(0), &columns = cmd.input(1), &a = cmd.input(2), &b = cmd.input(3);
  const TensorView& values = cmd.output(0);
  visit_floating(cmd.name(), values.dtype, [&]<class T>() {
    const SampledProduct<T> args{Indices(rows),
                                 Indices(columns),
                                 rows.strides[0],
                                 columns.strides[0],
                                 a.as<const T>(),
                                 b.as<const T>(),
                                 values.as<T>(),
                                 values.strides[0],
                                 values.shape[0],
                                 a.shape[1],
                                 a.shape[0],
                                 b.shape[0],
                                 a.strides[0],
                                 b.strides[0],
                                 ctx.fault_site(cmd, "", "row"),
                                 ctx.fault_site(cmd, "", "column")};
    ctx.launch(cmd, sampled_product<T>, blocks_for(args.entries, kBlock / kWarp), kBlock, 0, args);
  });
}

}  // namespace
}  // namespace hadal::cuda
