// The kernel of matmul: hands the product to gemm.cc. Integer products, which nothing trains with, are a plain blocked loop here.
#include <type_traits>

#include "cpu/gemm.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// The product as gemm.h wants it: the first of the batch, with addresses, and where the others are.
template <class E>
struct Operands {
  Gemm<E> product;
  GemmBatch batch;

  explicit Operands(const Command& cmd) {
    const MatrixProduct shape(cmd);
    product = {.m = shape.m,
               .n = shape.n,
               .k = shape.k,
               .a = cmd.input(0).as<E>(),
               .a_row = shape.a_row,
               .a_column = shape.a_column,
               .b = cmd.input(1).as<E>(),
               .b_row = shape.b_row,
               .b_column = shape.b_column,
               .c = cmd.output(0).as<E>(),
               .c_row = shape.c_row,
               .c_column = shape.c_column,
               .bias = cmd.input(2).as<E>(),
               .bias_column = shape.bias_column,
               .activation = shape.activation};
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
        auto value = static_cast<E>(sums[j]);
        if (g.activation == Activation::kRelu && value < E(0)) value = 0;
        g.c[i * g.c_row + (begin + j) * g.c_column] = value;
      }
    }
  }
}

template <class E>
void integer_matmul(KernelContext& ctx, const Operands<E>& operands) {
  const auto& [first, batch] = operands;
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

}  // namespace

HADAL_CPU_KERNEL(matmul) {
  visit_number("matmul", cmd.output(0).dtype, [&]<class E>() {
    if (cmd.output(0).numel() == 0) return;
    const Operands<E> operands(cmd);
    if constexpr (std::is_integral_v<E>) {
      integer_matmul(ctx, operands);
    } else {
      gemm_batch(ctx, operands.product, operands.batch);
    }
  });
}

}  // namespace hadal::cpu
