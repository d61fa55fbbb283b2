// sum, mean and prod. Floats accumulate in float (or double), integers in 64 bits that wrap. Written with `=`.
#include "cuda/device/reduction.cuh"
#include "cuda/reduce.h"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

template <class T, bool kProduct>
struct TotalReducer {
  static constexpr int kInputs = 1;
  using Element = T;
  using State = std::conditional_t<std::is_integral_v<T>, uint64_t, Compute<T>>;
  using Running = State;

  void* y;
  DType dtype;
  State divisor;  // of a mean, otherwise 1

  __device__ Running running() const { return kProduct ? State(1) : State(0); }
  __device__ State state(Running running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const Compute<T> (&x)[1][n], int64_t, int64_t) const {
    // By themselves first: shorter chains, smaller errors.
    State total = static_cast<State>(x[0][0]);
#pragma unroll
    for (int i = 1; i < n; ++i) total = combine(total, static_cast<State>(x[0][i]));
    running = combine(running, total);
  }
  __device__ State combine(State a, State b) const { return kProduct ? a * b : a + b; }
  __device__ void finish(State total, int64_t, int64_t offset) const {
    if constexpr (std::is_integral_v<T>) {
      if (dtype == DType::kInt64) static_cast<int64_t*>(y)[offset] = static_cast<int64_t>(total);
      else if (dtype == DType::kBool) static_cast<uint8_t*>(y)[offset] = total != 0;
      else static_cast<T*>(y)[offset] = static_cast<T>(total);
    } else {
      static_cast<T*>(y)[offset] = to_element<T>(total / divisor);
    }
  }
};

template <bool kProduct>
void total(CudaContext& ctx, const Command& cmd, const TensorView& x, const TensorView& y, bool is_mean = false) {
  const uint32_t axes = reduced_axes(x, y);
  int64_t count = 1;
  for (int axis = 0; axis < x.rank; ++axis) count *= (axes >> axis & 1u) != 0 ? x.shape[axis] : 1;
  const auto run = [&]<class T>() {
    using Reducer = TotalReducer<T, kProduct>;
    using State = typename Reducer::State;
    const Reducer reducer{y.data, y.dtype, is_mean ? static_cast<State>(count) : State(1)};
    run_reduction(ctx, cmd, reducer, {&x}, y, axes, false, false);
  };
  if (x.dtype == DType::kBool) run.template operator()<uint8_t>();
  else visit_number(cmd.name(), x.dtype, run);
}

HADAL_CUDA_KERNEL(sum) { total<false>(ctx, cmd, cmd.input(0), cmd.output(0)); }
HADAL_CUDA_KERNEL(mean) { total<false>(ctx, cmd, cmd.input(0), cmd.output(0), true); }
HADAL_CUDA_KERNEL(prod) { total<true>(ctx, cmd, cmd.input(0), cmd.output(0)); }

}  // namespace

void sum(CudaContext& ctx, const Command& cmd, const TensorView& x, const TensorView& y) {
  total<false>(ctx, cmd, x, y);
}

}  // namespace hadal::cuda
