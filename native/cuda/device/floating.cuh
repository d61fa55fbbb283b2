// Vectors of weights and of their gradients, of any floating dtype and stride, absent ones included: small beside the tensors they
// go with, so that the dtype is looked up for each element. Called by the kernels of norms and losses.
#pragma once

#include "cuda/cuda_context.h"
#include "cuda/device/element.cuh"

namespace hadal::cuda {

// Handed to kernels by value. C is what they compute in.
template <class C>
struct FloatingVector {
  std::byte* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t stride = 1;

  FloatingVector() = default;
  explicit FloatingVector(const TensorView& view)
      : data(view.data), dtype(view.dtype), stride(view.present() ? view.strides[0] : 1) {}
  // Elements [first, first + n).
  template <int n>
  __device__ __forceinline__ void load(int64_t first, C absent, C (&to)[n]) const {
    const auto read = [&]<class T>(const T* from) {
#pragma unroll
      for (int i = 0; i < n; ++i) to[i] = static_cast<C>(load_element(from[(first + i) * stride]));
    };
    if (data == nullptr) {
#pragma unroll
      for (int i = 0; i < n; ++i) to[i] = absent;
      return;
    }
    switch (dtype) {
      case DType::kFloat64: return read(reinterpret_cast<const double*>(data));
      case DType::kFloat32: return read(reinterpret_cast<const float*>(data));
      case DType::kFloat16: return read(reinterpret_cast<const Float16*>(data));
      default: return read(reinterpret_cast<const BFloat16*>(data));
    }
  }
  __device__ C load(int64_t i, C absent) const {
    C value[1];
    load(i, absent, value);
    return value[0];
  }
  __device__ void store(int64_t i, C value) const {
    if (data == nullptr) return;
    i *= stride;
    switch (dtype) {
      case DType::kFloat64: reinterpret_cast<double*>(data)[i] = static_cast<double>(value); break;
      case DType::kFloat32: reinterpret_cast<float*>(data)[i] = static_cast<float>(value); break;
      case DType::kFloat16: reinterpret_cast<Float16*>(data)[i] = to_element<Float16>(static_cast<float>(value)); break;
      default: reinterpret_cast<BFloat16*>(data)[i] = to_element<BFloat16>(static_cast<float>(value));
    }
  }
};

template <class C>
__global__ void copy_floating(FloatingVector<C> from, C absent, C* to, int64_t size) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < size) to[i] = from.load(i, absent);
}
// The elements as packed, aligned numbers: in place where they are that already. An absent vector reads as `absent`.
template <class C>
const C* packed_vector(CudaContext& ctx, const Command& cmd, const TensorView& view, int64_t size, C absent) {
  constexpr DType kDType = sizeof(C) == 8 ? DType::kFloat64 : DType::kFloat32;
  if (view.present() && view.dtype == kDType && (view.strides[0] == 1 || size == 1) &&
      is_aligned<C>(view.data, kPackSize<C>)) {
    return view.as<C>();
  }
  C* copy = ctx.scratch<C>(size);
  ctx.launch(cmd, copy_floating<C>, blocks_for(size, 256), 256, 0, FloatingVector<C>(view), absent, copy, size);
  return copy;
}

}  // namespace hadal::cuda
