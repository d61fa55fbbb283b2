// What a product's views say, for both devices: sizes, strides, and a batch of as few axes as they allow. It reads and writes no
// elements. Called by cpu/matmul.cc and cuda/matmul.cu.
#pragma once

#include <cstdint>

#include "runtime/tensor_view.h"

namespace hadal {

// Many products of one shape: the axes of the batch with the distance from one matrix to the next (0: the same matrix).
struct GemmBatch {
  int rank = 0;
  int64_t shape[kMaxRank] = {};
  int64_t a[kMaxRank] = {};
  int64_t b[kMaxRank] = {};
  int64_t c[kMaxRank] = {};

  int64_t count() const {
    int64_t count = 1;
    for (int axis = 0; axis < rank; ++axis) count *= shape[axis];
    return count;
  }
};

// c [m, n] = a [m, k] · b [k, n] for every matrix of the batch, whose axes come innermost first. Strides are in elements. c must
// not be empty.
struct MatrixProduct {
  int64_t m, n, k;
  int64_t a_row, a_column;
  int64_t b_row, b_column;
  int64_t c_row, c_column;
  GemmBatch batch;

  MatrixProduct(const TensorView& a, const TensorView& b, const TensorView& y) {
    m = y.size(-2);
    n = y.size(-1);
    k = a.size(-1);
    a_row = a.stride(-2);
    a_column = a.stride(-1);
    b_row = b.stride(-2);
    b_column = b.stride(-1);
    c_row = y.stride(-2);
    c_column = y.stride(-1);
    // From the innermost batch axis out: axes of one are nothing; an axis that continues the one inside it joins it; and the
    // innermost, where all its matrices a meet the same b, is just more rows.
    for (int axis = y.rank - 3; axis >= 0; --axis) {
      const int64_t size = y.shape[axis];
      if (size == 1) continue;
      const int64_t sa = a.strides[axis], sb = b.strides[axis], sc = y.strides[axis];
      if (batch.rank == 0 && sb == 0 && (m == 1 || (sa == m * a_row && sc == m * c_row))) {
        if (m == 1) {
          a_row = sa;
          c_row = sc;
        }
        m *= size;
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

}  // namespace hadal
