// The kernels of matrix products: they hand them to gemm.cc. Integer products, which nothing trains with, are a plain blocked loop
// here.
#include <type_traits>

#include "cpu/gemm.h"
#include "cpu/pointwise.h"
#include "cpu/reduce.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// The product as gemm.h wants it: the first of the batch, with addresses, and where the others are.
template <class E>
struct Operands {
  Gemm<E> product;
  GemmBatch batch;

  Operands(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c) {
    const MatrixProduct shape(a, b, c);
    product = {.m = shape.m,
               .n = shape.n,
               .k = shape.k,
               .a = a.as<E>(),
               .a_row = shape.a_row,
               .a_column = shape.a_column,
               .b = b.as<E>(),
               .b_row = shape.b_row,
               .b_column = shape.b_column,
               .c = c.as<E>(),
               .c_row = shape.c_row,
               .c_column = shape.c_column,
               .bias = bias.as<E>(),
               .bias_column = bias.present() ? bias.stride(0) : 0};
    batch = shape.batch;
  }
};

// Rows of y, each a sum of scaled rows of b, in arithmetic that wraps. Writes =.
template <class E>
void integer_product(const Gemm<E>& g) {
  using U = std::make_unsigned_t<E>;
  // int promotion would make a product of two uint16_t signed, and its overflow undefined.
  using Wide = std::conditional_t<(sizeof(U) < 4), uint32_t, U>;
  constexpr int64_t kColumns = 512;
  U sums[kColumns];
  for (int64_t begin = 0; begin < g.n; begin += kColumns) {
    const int64_t count = std::min(kColumns, g.n - begin);
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        sums[j] = g.bias == nullptr ? U(0) : static_cast<U>(g.bias[(begin + j) * g.bias_column]);
      }
      for (int64_t p = 0; p < g.k; ++p) {
        const auto factor = static_cast<Wide>(static_cast<U>(g.a[i * g.a_row + p * g.a_column]));
        const E* row = g.b + p * g.b_row + begin * g.b_column;
        if (g.b_column == 1) {
          for (int64_t j = 0; j < count; ++j) sums[j] = static_cast<U>(sums[j] + factor * static_cast<U>(row[j]));
        } else {
          for (int64_t j = 0; j < count; ++j) {
            sums[j] = static_cast<U>(sums[j] + factor * static_cast<U>(row[j * g.b_column]));
          }
        }
      }
      for (int64_t j = 0; j < count; ++j) {
        g.c[i * g.c_row + (begin + j) * g.c_column] = static_cast<E>(sums[j]);
      }
    }
  }
}

template <class E>
void integer_matmul(KernelContext& ctx, const Operands<E>& operands) {
  const Gemm<E>& first = operands.product;
  const GemmBatch& batch = operands.batch;
  const int64_t count = batch.count();
  // Tasks of 2^16 multiply-adds: blocks of rows, over all matrices of the batch.
  const int64_t row_work = std::max<int64_t>(1, first.n * first.k);
  const int64_t grain = std::clamp<int64_t>((int64_t{1} << 16) / row_work, 1, std::max<int64_t>(1, first.m));
  const int64_t blocks = (first.m + grain - 1) / grain;
  ctx.parallel(count * blocks, [&](int64_t task) {
    Gemm<E> g = first;
    const int64_t begin = task % blocks * grain;
    int64_t index = task / blocks;
    for (int axis = 0; axis < batch.rank; ++axis) {
      const int64_t i = index % batch.shape[axis];
      index /= batch.shape[axis];
      g.a += i * batch.a[axis];
      g.b += i * batch.b[axis];
      g.c += i * batch.c[axis];
    }
    g.a += begin * g.a_row;
    g.c += begin * g.c_row;
    g.m = std::min(grain, first.m - begin);
    integer_product(g);
  });
}

Activation activation_of(const Command& cmd) { return static_cast<Activation>(cmd.integer(0)); }

// c = a · b + bias of matrices, where a and b are the command's first inputs.
template <class E>
void multiply(KernelContext& ctx, const Command& cmd, const TensorView& bias, const TensorView& c) {
  if (c.numel() > 0) gemm(ctx, Operands<E>(cmd.input(0), cmd.input(1), bias, c).product);
}

}  // namespace

HADAL_CPU_KERNEL(matmul) {
  const TensorView& y = cmd.output(0);
  if (y.numel() == 0) return;
  visit_number(cmd.name(), y.dtype, [&]<class E>() {
    Operands<E> operands(cmd.input(0), cmd.input(1), cmd.input(2), y);
    if constexpr (std::is_integral_v<E>) {
      integer_matmul(ctx, operands);
    } else {
      operands.product.activation = activation_of(cmd);
      gemm_batch(ctx, operands.product, operands.batch);
    }
  });
}

// What follows is products and then what the ops alone do, with the same bits. Tile by tile a second tensor is written no sooner, and
// read later: its lines do not follow each other.
HADAL_CPU_KERNEL(matmulActivation) {
  const TensorView &y = cmd.output(0), &pre = cmd.output(1);
  visit_floating(cmd.name(), y.dtype, [&]<class E>() {
    multiply<E>(ctx, cmd, cmd.input(2), pre);
    visit_activation(activation_of(cmd), [&]<class F>(F function, auto) {
      run_pointwise(ctx, {vector_block<F, E, 1>, &function, Cost::kTranscendental}, y, &pre, 1);
    });
  });
}

HADAL_CPU_KERNEL(matmulActivationBackward) {
  const TensorView& y = cmd.output(0);
  const TensorView inputs[] = {y, cmd.input(2)};
  visit_floating(cmd.name(), y.dtype, [&]<class E>() {
    multiply<E>(ctx, cmd, {}, y);
    visit_activation(activation_of(cmd), [&]<class S>(auto, S slope) {
      run_pointwise(ctx, {vector_block<S, E, 2>, &slope, Cost::kTranscendental}, y, inputs, 2);
    });
  });
}

HADAL_CPU_KERNEL(matmulRowSums) {
  const TensorView& y = cmd.output(0);
  visit_floating(cmd.name(), y.dtype, [&]<class E>() { multiply<E>(ctx, cmd, {}, y); });
  sum(ctx, cmd.name(), cmd.input(0), cmd.output(1));
}

}  // namespace hadal::cpu
