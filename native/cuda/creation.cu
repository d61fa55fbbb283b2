// Tensors from nothing: fill, arange and linspace, of any dtype into any strides.
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

// From both ends, so that both are met exactly.
template <class T>
struct Between {
  double start, end, step;
  int64_t count;
  __device__ T operator()(int64_t i) const {
    if (i < (count + 1) / 2) return element_from<T>(start + static_cast<double>(i) * step);
    return element_from<T>(end - static_cast<double>(count - 1 - i) * step);
  }
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

HADAL_CUDA_KERNEL(linspace) {
  const double start = cmd.attribute(0), end = cmd.attribute(1);
  const int64_t count = cmd.output(0).numel();
  const double step = count > 1 ? (end - start) / static_cast<double>(count - 1) : 0;
  visit_any(cmd.name(), cmd.output(0).dtype,
            [&]<class T>() { run_indexed<T>(ctx, cmd, Between<T>{start, end, step, count}); });
}

}  // namespace hadal::cuda
