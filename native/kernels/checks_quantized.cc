// Checks of products with quantized matrices: shapes, layouts and dtypes for which the kernels stay inside their tensors.
#include "kernels/checks.h"
#include "kernels/quantized.h"

namespace hadal {

using checks::require_dtype;
using checks::require_shape;

namespace {

// Codes [n, k], of 4 bits [n, k / 2], and scales [n, groups], both row-major. Answers k.
int64_t require_codes(const Command& cmd, const TensorView& codes, const TensorView& scales) {
  require_dtype(codes.dtype == DType::kInt8 || codes.dtype == DType::kUInt8, cmd, "needs codes int8 or uint8");
  require_shape(codes.rank == 2 && scales.rank == 2 && codes.shape[0] == scales.shape[0], cmd,
                "needs codes and scales for the same rows");
  require_shape(codes.is_contiguous() && scales.is_contiguous(), cmd, "codes and scales need to be contiguous");
  const int64_t k = codes.shape[1] * (codes.dtype == DType::kInt8 ? 1 : 2), groups = scales.shape[1];
  require_shape(groups >= 1 && k >= 1 && k % groups == 0 && k / groups % kCodeBlock == 0, cmd,
                "needs groups of a multiple of 32 codes");
  return k;
}

// The same with the weights [n, k] that they stand for.
void require_matrix(const Command& cmd, const TensorView& codes, const TensorView& scales, const TensorView& w) {
  const int64_t k = require_codes(cmd, codes, scales);
  require_dtype(is_floating(w.dtype) && scales.dtype == w.dtype, cmd, "needs one floating dtype");
  require_shape(w.rank == 2 && w.is_contiguous() && w.shape[0] == codes.shape[0] && w.shape[1] == k, cmd,
                "the weights do not fit the codes");
}

}  // namespace

void check_quantized_matmul(const Command& cmd) {
  const TensorView &x = cmd.input(0), &codes = cmd.input(1), &scales = cmd.input(2), &bias = cmd.input(3);
  const TensorView& y = cmd.output(0);
  const int64_t k = require_codes(cmd, codes, scales), n = codes.shape[0];
  require_dtype(is_floating(y.dtype) && y.dtype != DType::kFloat64, cmd, "needs dtype float32, float16 or bfloat16");
  require_dtype(x.dtype == y.dtype && scales.dtype == y.dtype && (!bias.present() || bias.dtype == y.dtype), cmd,
                "needs one floating dtype");
  require_shape(x.rank == 2 && y.rank == 2 && x.shape[0] == y.shape[0] && x.shape[1] == k && y.shape[1] == n, cmd,
                "x and y do not fit the codes");
  require_shape(x.is_contiguous() && y.is_contiguous(), cmd, "x and y need to be contiguous");
  if (!bias.present()) return;
  require_shape(bias.rank == 1 && bias.shape[0] == n && bias.is_contiguous(), cmd, "the bias does not fit");
}

void check_quantize(const Command& cmd) {
  const TensorView &w = cmd.input(0), &codes = cmd.output(0), &scales = cmd.output(1);
  require_matrix(cmd, codes, scales, w);
}

void check_dequantize(const Command& cmd) { require_matrix(cmd, cmd.input(0), cmd.input(1), cmd.output(0)); }

}  // namespace hadal
