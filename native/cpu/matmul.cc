// The kernel of matmul: reads the command's views, drops and merges batch axes, and hands the product to gemm.cc. Integer
// products, which nothing trains with, are a plain blocked loop here.
#include <type_traits>

#include "cpu/gemm.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// a [...batch, m, k] · b [...batch, k, n] (+ bias [n]) → y [...batch, m, n]. The batch axes are shared by all three views.
template <class E>
struct Operands {
  Gemm<E> product;
  GemmBatch batch;

  explicit Operands(const Command& cmd) {
    const TensorView &a = cmd.input(0), &b = cmd.input(1), &bias = cmd.input(2), &y = cmd.output(0);
    product.m = y.size(-2);
    product.n = y.size(-1);
    product.k = a.size(-1);
    product.a = a.as<E>();
    product.a_row = a.stride(-2);
    product.a_column = a.stride(-1);
    product.b = b.as<E>();
    product.b_row = b.stride(-2);
    product.b_column = b.stride(-1);
    product.c = y.as<E>();
    product.c_row = y.stride(-2);
    product.c_column = y.stride(-1);
    if (bias.present()) {
      product.bias = bias.as<E>();
      product.bias_column = bias.stride(0);
    }
    product.activation = static_cast<Activation>(cmd.integer(0));
    // From the innermost batch axis out: axes of one are nothing; an axis that continues the one inside it joins it; and the
    // innermost, where all its matrices a meet the same b, is just more rows.
    for (int axis = y.rank - 3; axis >= 0; --axis) {
      const int64_t size = y.shape[axis];
      if (size == 1) continue;
      const int64_t sa = a.strides[axis], sb = b.strides[axis], sc = y.strides[axis];
      if (batch.rank == 0 && sb == 0 &&
          (product.m == 1 || (sa == product.m * product.a_row && sc == product.m * product.c_row))) {
        if (product.m == 1) {
          product.a_row = sa;
          product.c_row = sc;
        }
        product.m *= size;
        continue;
      }
      const int last = batch.rank - 1;
      if (last >= 0 && sa == batch.a[last] * batch.shape[last] && sb == batch.b[last] * batch.shape[last] &&
          sc == batch.c[last] * batch.shape[last]) {
        batch.shape[last] *= size;
        continue;
      }
      batch.shape[batch.rank] = size;
      batch.a[batch.rank] = sa;
      batch.b[batch.rank] = sb;
      batch.c[batch.rank] = sc;
      ++batch.rank;
    }
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
  int64_t count = 1;
  for (int axis = 0; axis < batch.rank; ++axis) count *= batch.shape[axis];
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
