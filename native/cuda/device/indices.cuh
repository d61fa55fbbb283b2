// Tensors of indices, int64 or int32, read one at a time: the dtype is looked up for each, so that kernels exist once for both.
// Called by the kernels of indexing, sparse matrices, recurrent networks and CTC.
#pragma once

#include "cuda/cuda_context.h"

namespace hadal::cuda {

struct Indices {
  const void* data;
  bool wide;

  explicit Indices(const TensorView& view) : data(view.data), wide(view.dtype == DType::kInt64) {}
  __device__ __forceinline__ int64_t operator[](int64_t at) const {
    return wide ? static_cast<const int64_t*>(data)[at] : static_cast<const int32_t*>(data)[at];
  }
};

__device__ __forceinline__ bool is_outside(int64_t index, int64_t size) {
  return static_cast<uint64_t>(index) >= static_cast<uint64_t>(size);
}

}  // namespace hadal::cuda
