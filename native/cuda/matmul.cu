// The kernels of matrix products. Three ways: a matrix whose rows lie side by side times a vector, which is a matter of memory, by a
// kernel here; other products of floats by cuBLASLt (cuda/blas_lt.h); integers, and whatever cuBLASLt is not there for or does
// not know, by a tiled kernel here. Every way sums in an order that depends on sizes, strides and alignment alone.
#include "cuda/blas_lt.h"
#include "cuda/device/pack.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/device/slice.cuh"
#include "cuda/matmul.h"
#include "cuda/reduce.h"
#include "cuda/registry.h"
#include "kernels/activation.h"
#include "kernels/matrix_product.h"

namespace hadal::cuda {
namespace {

// y = activation(a · b + bias). With `pre` what the activation is applied to is written as well, or with `is_slope`
// y = (a · b) ⊙ activation'(pre); with `row_sums` the sums of a's rows are written: those are of matrices.
struct Operands {
  TensorView a, b, bias, y;
  Activation activation = Activation::kNone;
  bool accumulate = false;  // to what y holds, before it is rounded
  TensorView pre = {};
  bool is_slope = false;
  TensorView row_sums = {};
};

template <class C>
__device__ __forceinline__ C activate(Activation activation, C x) {
  visit_activation(activation, [&](auto function, auto) { x = function(x); });
  return x;
}

// What is left to do to a finished sum, and where it goes.
template <class E>
struct Finish {
  E* c;
  const E* bias;  // or null
  int64_t bias_column;
  Activation activation;
  bool accumulate;  // to what c holds

  // `column` chooses the bias.
  template <class Sum>
  __device__ __forceinline__ void write(int64_t offset, Sum sum, int64_t column) const {
    if constexpr (std::is_integral_v<E>) {
      if (bias != nullptr) sum += static_cast<Sum>(bias[column * bias_column]);
      c[offset] = static_cast<E>(sum);
    } else {
      if (bias != nullptr) sum += load_element(bias[column * bias_column]);
      if (accumulate) sum += load_element(c[offset]);
      c[offset] = to_element<E>(activate(activation, sum));
    }
  }
};

template <class E>
Finish<E> finish_of(const Operands& o) {
  return {o.y.as<E>(), o.bias.as<const E>(), o.bias.present() ? o.bias.stride(0) : 0, o.activation, o.accumulate};
}

// --- Tiles -------------------------------------------------------------------------------------------------------------

template <class E, class Out>
struct TiledProduct {
  const E *a, *b;
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column, c_row, c_column;
  GemmBatch batch;
  int64_t batches;
  Finish<Out> finish;
};

// A block makes a tile of the product after another (device/slice.cuh). Any strides. Writes =.
template <class E, class Out>
__global__ void __launch_bounds__(kTileBlock) tiled_product(TiledProduct<E, Out> g) {
  using S = SumOf<E>;
  __shared__ Slice<S> a_slice[kSlice], b_slice[kSlice];
  const int64_t column_tiles = (g.n + kTile - 1) / kTile;
  const int64_t row = blockIdx.x / column_tiles * kTile, column = blockIdx.x % column_tiles * kTile;
  for (int64_t matrix = blockIdx.y; matrix < g.batches; matrix += gridDim.y) {
    const E *a = g.a, *b = g.b;
    int64_t c = 0, rest = matrix;
    for (int axis = 0; axis < g.batch.rank; ++axis) {
      const int64_t at = rest % g.batch.shape[axis];
      rest /= g.batch.shape[axis];
      a += at * g.batch.a[axis];
      b += at * g.batch.b[axis];
      c += at * g.batch.c[axis];
    }
    S sums[4][4];
    multiply_tiles(a, row, g.m, g.a_row, g.a_column, b, column, g.n, g.b_column, g.b_row, g.k, a_slice, b_slice, sums);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t at_row = row + threadIdx.x / 16 + 16 * i;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int64_t at_column = column + threadIdx.x % 16 + 16 * j;
        if (at_row < g.m && at_column < g.n) {
          g.finish.write(c + at_row * g.c_row + at_column * g.c_column, sums[i][j], at_column);
        }
      }
    }
  }
}

template <class E, class Out>
void run_tiled(CudaContext& ctx, const Command& cmd, const Operands& o, const MatrixProduct& p,
               const Finish<Out>& finish) {
  const TiledProduct<E, Out> product{
      o.a.as<const E>(), o.b.as<const E>(), p.m,     p.n,        p.k,     p.a_row,         p.a_column,
      p.b_row,           p.b_column,        p.c_row, p.c_column, p.batch, p.batch.count(), finish};
  const int64_t tiles = ((p.m + kTile - 1) / kTile) * ((p.n + kTile - 1) / kTile);
  const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(std::min<int64_t>(product.batches, 65535)));
  ctx.launch(cmd, tiled_product<E, Out>, grid, kTileBlock, 0, product);
}

// --- Matrix times vector -------------------------------------------------------------------------------------------------

// y[r] = w[r] · x for rows that lie side by side, at `row` elements from each other.
template <class E, class Out>
struct RowsTimesVector {
  const E *w, *x;
  int64_t rows, k, row;
  int64_t w_batch, x_batch, c_batch, c_step;
  bool bias_by_row;  // else one bias for all of them
  Finish<Out> finish;
};

// A group of kLanes threads sums kRows rows together, in packs of kVector elements: each pack of x serves them all, and a warp
// has 2 KiB in flight. Threads sum what is theirs in order, and the group adds up by halves. Writes =.
constexpr int kVectorBlock = 256, kRows = 4;

template <class E, class Out, int kVector, int kLanes>
__global__ void __launch_bounds__(kVectorBlock) rows_times_vector(RowsTimesVector<E, Out> g) {
  using C = Compute<E>;
  using P = Pack<E, kVector>;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t group = (static_cast<int64_t>(blockIdx.x) * kVectorBlock + threadIdx.x) / kLanes;
  const int64_t first = group * kRows;
  const E *w = g.w + blockIdx.y * g.w_batch, *x = g.x + blockIdx.y * g.x_batch;
  const E* row[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) row[r] = w + min(first + r, g.rows - 1) * g.row;
  C sums[kRows] = {};
  for (int64_t at = lane * kVector; at < g.k; at += kLanes * kVector) {
    const P vector = *reinterpret_cast<const P*>(x + at);
    P packs[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) packs[r] = *reinterpret_cast<const P*>(row[r] + at);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const C factor = vector.number(i);
#pragma unroll
      for (int r = 0; r < kRows; ++r) sums[r] += factor * packs[r].number(i);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      sums[r] += __shfl_xor_sync(kAllThreads, sums[r], distance);
    }
    if (lane == r && first + r < g.rows) {
      g.finish.write(blockIdx.y * g.c_batch + (first + r) * g.c_step, sums[r], g.bias_by_row ? first + r : 0);
    }
  }
}

// False where the product is not one of a matrix with rows side by side and a vector, or has too few rows to fill the device.
template <class E, class Out>
bool run_rows_times_vector(CudaContext& ctx, const Command& cmd, const Operands& o, const MatrixProduct& p,
                           const Finish<Out>& finish) {
  if ((p.m != 1 && p.n != 1) || p.batch.rank > 1 || p.batch.count() > 65535 || p.k > INT32_MAX) return false;
  // m = 1: y = bᵀ · a. n = 1: y = a · b.
  const bool left = p.m == 1;
  const E *a = o.a.as<const E>(), *b = o.b.as<const E>();
  const int64_t w_column = left ? p.b_row : p.a_column, x_step = left ? p.a_column : p.b_row;
  RowsTimesVector<E, Out> g{left ? b : a,
                            left ? a : b,
                            left ? p.n : p.m,
                            p.k,
                            left ? p.b_column : p.a_row,
                            left ? p.batch.b[0] : p.batch.a[0],
                            left ? p.batch.a[0] : p.batch.b[0],
                            p.batch.c[0],
                            left ? p.c_column : p.c_row,
                            left,
                            finish};
  const int64_t groups = (g.rows + kRows - 1) / kRows;
  if (w_column != 1 || x_step != 1 || groups * p.batch.count() < 8 * ctx.device().multiprocessors) return false;
  constexpr int kVector = kPackSize<E>;
  const bool whole = p.k % kVector == 0 && g.row % kVector == 0 && g.w_batch % kVector == 0 &&
                     g.x_batch % kVector == 0 && is_aligned<E>(g.w, kVector) && is_aligned<E>(g.x, kVector);
  const auto launch = [&](auto kernel, int lanes) {
    const dim3 grid(blocks_for(groups * lanes, kVectorBlock), static_cast<unsigned>(p.batch.count()));
    ctx.launch(cmd, kernel, grid, kVectorBlock, 0, g);
  };
  if (!whole) launch(rows_times_vector<E, Out, 1, 32>, 32);
  else if (p.k >= 16 * kVector) launch(rows_times_vector<E, Out, kVector, 32>, 32);
  else launch(rows_times_vector<E, Out, kVector, 4>, 4);
  return true;
}

// --- cuBLASLt ------------------------------------------------------------------------------------------------------------

// activation(y + bias) in place, for what cuBLASLt could not do as it wrote.
template <class E>
struct BiasAndActivation {
  Activation activation;
  __device__ E operator()(const Compute<E>& y, const Compute<E>& bias) const {
    return to_element<E>(activate(activation, y + bias));
  }
};
template <class E>
struct ActivationAlone {
  Activation activation;
  __device__ E operator()(const Compute<E>& y) const { return to_element<E>(activate(activation, y)); }
};
template <class E>
void run_activation(CudaContext& ctx, const Command& cmd, Activation activation, const TensorView& x,
                    const TensorView& y) {
  run_pointwise_views<false, E, E>(ctx, cmd, ActivationAlone<E>{activation}, y, std::index_sequence<0>(), &x);
}
template <class E>
void finish_in_place(CudaContext& ctx, const Command& cmd, const Operands& o) {
  const TensorView &y = o.y, &bias = o.bias;
  if (!bias.present()) return run_activation<E>(ctx, cmd, o.activation, y, y);
  TensorView inputs[] = {y, y};
  inputs[1].data = bias.data;
  for (int axis = 0; axis < y.rank; ++axis) inputs[1].strides[axis] = axis == y.rank - 1 ? bias.stride(0) : 0;
  run_pointwise_views<false, E, E, E>(ctx, cmd, BiasAndActivation<E>{o.activation}, y, std::index_sequence<0, 1>(),
                                      inputs);
}

// One factor, at its batch: as a view [batch…, rows, columns] with the batch's innermost axis last but two.
struct Factor {
  TensorView view;
  BlasLayout layout;

  Factor(const TensorView& x, const GemmBatch& batch, const int64_t* distances, int64_t rows, int64_t columns,
         int64_t row, int64_t column) {
    view.data = x.data;
    view.dtype = x.dtype;
    view.rank = batch.rank + 2;
    for (int axis = 0; axis < batch.rank; ++axis) {
      view.shape[batch.rank - 1 - axis] = batch.shape[axis];
      view.strides[batch.rank - 1 - axis] = distances[axis];
    }
    view.shape[batch.rank] = rows;
    view.strides[batch.rank] = row;
    view.shape[batch.rank + 1] = columns;
    view.strides[batch.rank + 1] = column;
  }
  bool find_layout() { return BlasLayout::of(view.size(-2), view.size(-1), view.stride(-2), view.stride(-1), layout); }
  // Copies what cuBLASLt cannot read; a broadcast batch stays so.
  void make_readable(CudaContext& ctx, const Command& cmd) {
    if (find_layout()) return;
    view = packed(ctx, cmd, view, view.rank - 2);
    find_layout();
  }
  int64_t distance(int batch_axis) const { return view.strides[view.rank - 3 - batch_axis]; }
};

// cuBLASLt takes one batch axis, of at most so many matrices in one launch (what a grid's third axis holds).
constexpr int64_t kMaxBatch = 65535;

template <class E, class Out>
bool run_blas(CudaContext& ctx, const Command& cmd, const Operands& o, const MatrixProduct& p,
              const Finish<Out>& finish) {
  BlasLt* blas = p.k == 0 ? nullptr : ctx.blas();
  BlasProduct product;
  if (blas == nullptr || !BlasLayout::of(p.m, p.n, p.c_row, p.c_column, product.c_layout) ||
      product.c_layout.by_columns) {
    return false;
  }
  Factor a(o.a, p.batch, p.batch.a, p.m, p.k, p.a_row, p.a_column);
  Factor b(o.b, p.batch, p.batch.b, p.k, p.n, p.b_row, p.b_column);
  a.make_readable(ctx, cmd);
  b.make_readable(ctx, cmd);
  // The longest axis of the batch goes to cuBLASLt, the others are a loop.
  int inner = 0;
  for (int axis = 1; axis < p.batch.rank; ++axis) {
    if (p.batch.shape[axis] > p.batch.shape[inner]) inner = axis;
  }
  const int64_t inner_count = p.batch.rank == 0 ? 1 : p.batch.shape[inner];
  product.dtype = o.a.dtype;
  product.c_dtype = o.y.dtype;
  product.m = p.m;
  product.n = p.n;
  product.k = p.k;
  product.a_layout = a.layout;
  product.b_layout = b.layout;
  if (p.batch.rank > 0) {
    product.a_batch = a.distance(inner);
    product.b_batch = b.distance(inner);
    product.c_batch = p.batch.c[inner];
  }
  const int64_t loops = p.batch.count() / inner_count;
  const auto multiply = [&] {
    for (int64_t loop = 0; loop < loops; ++loop) {
      int64_t a_offset = 0, b_offset = 0, c_offset = 0, rest = loop;
      for (int axis = 0; axis < p.batch.rank; ++axis) {
        if (axis == inner) continue;
        const int64_t at = rest % p.batch.shape[axis];
        rest /= p.batch.shape[axis];
        a_offset += at * a.distance(axis);
        b_offset += at * b.distance(axis);
        c_offset += at * p.batch.c[axis];
      }
      for (int64_t begin = 0; begin < inner_count; begin += kMaxBatch) {
        product.batch = std::min(kMaxBatch, inner_count - begin);
        product.a = a.view.template as<E>() + a_offset + begin * product.a_batch;
        product.b = b.view.template as<E>() + b_offset + begin * product.b_batch;
        product.c = finish.c + c_offset + begin * product.c_batch;
        if (!blas->multiply(ctx, cmd, product)) return false;
      }
    }
    return true;
  };
  if (finish.bias == nullptr || finish.bias_column == 1 || p.n == 1) {
    product.bias = finish.bias;
    product.activation = finish.activation;
    product.accumulate = finish.accumulate;
    product.pre = o.pre.data;
    product.is_slope = o.is_slope;
    product.row_sums = o.row_sums.data;
    if (multiply()) return true;
  }
  if (o.pre.present() || o.row_sums.present()) return false;
  product.bias = nullptr;
  product.activation = Activation::kNone;
  if (!multiply()) return false;
  finish_in_place<Out>(ctx, cmd, o);
  return true;
}

template <class E, class Out>
void run_product_of(CudaContext& ctx, const Command& cmd, const Operands& o) {
  const MatrixProduct product(o.a, o.b, o.y);
  const Finish<Out> finish = finish_of<Out>(o);
  if constexpr (!std::is_integral_v<E>) {
    if (run_rows_times_vector<E>(ctx, cmd, o, product, finish) || run_blas<E>(ctx, cmd, o, product, finish)) return;
  }
  run_tiled<E>(ctx, cmd, o, product, finish);
}

// A product of 16-bit floats may also go to float32.
void run_product(CudaContext& ctx, const Command& cmd, const Operands& o) {
  if (o.y.numel() == 0) return;
  visit_number(cmd.name(), o.a.dtype, [&]<class E>() {
    if constexpr (sizeof(E) == 2 && !std::is_integral_v<E>) {
      if (o.y.dtype == DType::kFloat32) return run_product_of<E, float>(ctx, cmd, o);
    }
    run_product_of<E, E>(ctx, cmd, o);
  });
}

// A product with `pre` or `row_sums`, where cuBLASLt writes or reads them itself.
template <class E>
bool run_at_once(CudaContext& ctx, const Command& cmd, const Operands& o) {
  return o.y.numel() > 0 && run_blas<E>(ctx, cmd, o, MatrixProduct(o.a, o.b, o.y), finish_of<E>(o));
}

template <class E>
struct TimesSlope {
  Activation activation;
  __device__ E operator()(const Compute<E>& g, const Compute<E>& pre) const {
    Compute<E> product = g;
    visit_activation(activation, [&](auto, auto slope) { product = slope(g, pre); });
    return to_element<E>(product);
  }
};

Activation activation_of(const Command& cmd) { return static_cast<Activation>(cmd.integer(0)); }

}  // namespace

void multiply(CudaContext& ctx, const Command& cmd, const TensorView& a, const TensorView& b, const TensorView& y,
              bool accumulate) {
  run_product(ctx, cmd, {a, b, {}, y, Activation::kNone, accumulate});
}

HADAL_CUDA_KERNEL(matmul) {
  run_product(ctx, cmd, {cmd.input(0), cmd.input(1), cmd.input(2), cmd.output(0), activation_of(cmd)});
}

// cuBLASLt applies the activation before it rounds `pre`, a second kernel after.
HADAL_CUDA_KERNEL(matmulActivation) {
  const TensorView &y = cmd.output(0), &pre = cmd.output(1);
  Operands o{cmd.input(0), cmd.input(1), cmd.input(2), y, activation_of(cmd)};
  o.pre = pre;
  visit_floating(cmd.name(), y.dtype, [&]<class E>() {
    if (run_at_once<E>(ctx, cmd, o)) return;
    run_product(ctx, cmd, {o.a, o.b, o.bias, pre});
    run_activation<E>(ctx, cmd, o.activation, pre, y);
  });
}

HADAL_CUDA_KERNEL(matmulActivationBackward) {
  const TensorView& y = cmd.output(0);
  Operands o{cmd.input(0), cmd.input(1), {}, y, activation_of(cmd)};
  o.pre = cmd.input(2);
  o.is_slope = true;
  visit_floating(cmd.name(), y.dtype, [&]<class E>() {
    if (run_at_once<E>(ctx, cmd, o)) return;
    run_product(ctx, cmd, {o.a, o.b, {}, y});
    const TensorView inputs[] = {y, o.pre};
    run_pointwise_views<false, E, E, E>(ctx, cmd, TimesSlope<E>{o.activation}, y, std::index_sequence<0, 1>(), inputs);
  });
}

HADAL_CUDA_KERNEL(matmulRowSums) {
  const TensorView& y = cmd.output(0);
  Operands o{cmd.input(0), cmd.input(1), {}, y};
  o.row_sums = cmd.output(1);
  visit_floating(cmd.name(), y.dtype, [&]<class E>() {
    if (run_at_once<E>(ctx, cmd, o)) return;
    run_product(ctx, cmd, {o.a, o.b, {}, y});
    sum(ctx, cmd, o.a, o.row_sums);
  });
}

}  // namespace hadal::cuda
