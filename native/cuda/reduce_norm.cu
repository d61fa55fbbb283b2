// norm: of orders 0 (how many are not zero), 1, 2 and ±infinity. Order 2 sums squares of floats in double, which no square
// overflows. Written with `=`.
#include <cmath>
#include <limits>

#include "cuda/device/reduction.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

enum class Norm { kCount, kSum, kRoot, kLargest, kSmallest };

template <class T>
struct NormReducer {
  static constexpr int kInputs = 1;
  using Element = T;
  using State = std::conditional_t<std::is_same_v<T, float>, double, Compute<T>>;
  using Running = State;

  T* y;
  Norm norm;

  __device__ Running running() const {
    return norm == Norm::kSmallest ? std::numeric_limits<State>::infinity() : State(0);
  }
  __device__ State state(Running running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const Compute<T> (&x)[1][n], int64_t, int64_t) const {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const State value = static_cast<State>(x[0][i]);
      running = combine(running, norm == Norm::kCount  ? State(value != 0)
                                 : norm == Norm::kRoot ? value * value
                                                       : ::fabs(value));
    }
  }
  // A NaN stays: it replaces anything, and nothing compares as beyond it.
  __device__ State combine(State a, State b) const {
    if (norm == Norm::kLargest) return b > a || b != b ? b : a;
    if (norm == Norm::kSmallest) return b < a || b != b ? b : a;
    return a + b;
  }
  __device__ void finish(State total, int64_t, int64_t offset) const {
    y[offset] = to_element<T>(static_cast<Compute<T>>(norm == Norm::kRoot ? ::sqrt(total) : total));
  }
};

HADAL_CUDA_KERNEL(norm) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  const double order = cmd.attribute(0);
  const Norm norm = order == 0   ? Norm::kCount
                    : order == 1 ? Norm::kSum
                    : order == 2 ? Norm::kRoot
                    : order > 0  ? Norm::kLargest
                                 : Norm::kSmallest;
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    run_reduction(ctx, cmd, NormReducer<T>{y.as<T>(), norm}, {&x}, y, reduced_axes(x, y), false, false);
  });
}

}  // namespace
}  // namespace hadal::cuda
