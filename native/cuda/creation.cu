// Tensors from nothing: fill and arange, of any dtype into any strides.
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {

namespace {

template <class T>
HADAL_HD T element_from(double value) {
  if constexpr (std::is_same_v<T, bool>) return value != 0;
  else if constexpr (std::is_arithmetic_v<T>) return functors::saturate<T>(value);
  else return T(static_cast<float>(value));
}

template <class T>
struct Fill {
  T value;
  __device__ T operator()() const { return value; }
};

// start + i · step, computed in double.
template <class T>
struct Progression {
  double start, step;
  __device__ T operator()(int64_t i) const { return element_from<T>(start + static_cast<double>(i) * step); }
};

}  // namespace

HADAL_CUDA_KERNEL(fill) {
  visit_any(cmd.name(), cmd.output(0).dtype,
            [&]<class T>() { run_pointwise<T>(ctx, cmd, Fill<T>{element_from<T>(cmd.attribute(0))}); });
}

HADAL_CUDA_KERNEL(arange) {
  visit_any(cmd.name(), cmd.output(0).dtype,
            [&]<class T>() { run_indexed<T>(ctx, cmd, Progression<T>{cmd.attribute(0), cmd.attribute(1)}); });
}

}  // namespace hadal::cuda
