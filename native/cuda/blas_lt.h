// Matrix products by cuBLASLt, opened at run time (cuda/library_search.h): building needs neither it nor its headers. Owns the handle,
// the plans (which algorithm serves which product) and how strided matrices become cuBLASLt's layouts; not the batch's axes, nor
// what is done where it cannot help. One per stream, used on the thread that launches. Called by matmul.cu and conv kernels.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>

#include "cuda/cuda_context.h"
#include "kernels/activation.h"
#include "kernels/matrix_product.h"

namespace hadal::cuda {

// How cuBLASLt sees a matrix [rows, columns]: lines `line` elements apart, whose elements lie side by side. A line is a row, or
// a column where `by_columns`.
struct BlasLayout {
  bool by_columns = false;
  int64_t line = 0;

  // False where neither rows nor columns are lines: no stride is 1, or the lines overlap. An axis of one has any stride.
  static bool of(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride, BlasLayout& layout) {
    const auto lines = [&](int64_t count, int64_t length, int64_t between, int64_t inside) {
      if (length > 1 && inside != 1) return false;
      layout.line = count > 1 ? between : length;
      return layout.line >= length && layout.line > 0;
    };
    layout.by_columns = false;
    if (lines(rows, columns, row_stride, column_stride)) return true;
    layout.by_columns = true;
    return lines(columns, rows, column_stride, row_stride);
  }
};

// c [m, n] = activation(a [m, k] · b [k, n] + bias [n]), `batch` times at the given distances in elements (0: the same matrix).
// No size is 0; c lies by rows; the bias, where there is one, lies side by side. What has `pre` or `row_sums` is one product.
struct BlasProduct {
  DType dtype = DType::kFloat32;    // of a and b
  DType c_dtype = DType::kFloat32;  // of c and the bias: the same, or float32 where those have 16 bits
  int64_t m = 0, n = 0, k = 0, batch = 1;
  const void *a = nullptr, *b = nullptr, *bias = nullptr;
  void* c = nullptr;
  BlasLayout a_layout, b_layout, c_layout;
  int64_t a_batch = 0, b_batch = 0, c_batch = 0;
  Activation activation = Activation::kNone;
  bool accumulate = false;   // adds to c
  void* pre = nullptr;       // what the activation is applied to, written as c lies
  bool is_slope = false;     // c = (a · b) ⊙ activation'(pre) instead
  void* row_sums = nullptr;  // [m] sums of a, side by side, of c's dtype; without a bias and an activation
};

class BlasLt {
 public:
  // Null where the library is not there. Throws Error where it is and does not start.
  static std::unique_ptr<BlasLt> open();
  // What to do about a missing library, for people; empty where it is there.
  static std::string remedy();

  ~BlasLt();
  BlasLt(const BlasLt&) = delete;
  BlasLt& operator=(const BlasLt&) = delete;

  // Whether products of float32 may round their operands to TF32 (10 bits of mantissa). Off, unless HADAL_TF32=1.
  void allow_tf32(bool allowed) { tf32_ = allowed; }

  // Launches the product; writes =. 16-bit floats are summed in float. The same sizes, strides and alignments give the same
  // algorithm, and so the same bits; with HADAL_CUDA_TUNE=1 it is the quickest one of those proposed, measured when a product
  // is first met, which waits for the stream and may choose otherwise in another run. False where cuBLASLt has no algorithm
  // for it, with this dtype, these layouts or this epilogue: then nothing is done.
  bool multiply(CudaContext& ctx, const Command& cmd, const BlasProduct& product);

 private:
  struct Plan;
  // What an algorithm depends on. Compared as bytes: it has no padding.
  struct Key {
    int64_t sizes[4];       // m, n, k, batch
    int64_t lines[3];       // of a, b, c
    int64_t distances[3];   // of a, b, c
    uint8_t alignments[5];  // of a, b, c, bias or sums, pre; powers of two
    uint8_t dtypes, layouts, tf32;
    uint64_t epilogue;

    bool operator==(const Key& other) const { return std::memcmp(this, &other, sizeof(Key)) == 0; }
  };
  static_assert(sizeof(Key) == 12 * sizeof(int64_t));
  struct Hash {
    size_t operator()(const Key& key) const;
  };

  BlasLt();
  Plan& plan_for(CudaContext& ctx, const Command& cmd, const BlasProduct& product, uint32_t epilogue);
  std::unique_ptr<Plan> make_plan(CudaContext& ctx, const Command& cmd, const BlasProduct& product, const Key& key,
                                  uint32_t epilogue);
  // Answers with the status of cuBLASLt.
  int run(CudaContext& ctx, const Plan& plan, const BlasProduct& product, const void* algorithm, void* workspace,
          size_t workspace_bytes) const;

  void* handle_ = nullptr;
  bool tf32_, tunes_;
  std::unordered_map<Key, std::unique_ptr<Plan>, Hash> plans_;
};

}  // namespace hadal::cuda
