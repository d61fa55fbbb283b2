// varMean and logSumExp. Written with `=`.
#include "cuda/device/log_sum_exp.cuh"
#include "cuda/device/moments.cuh"
#include "cuda/device/reduction.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

template <class T>
struct VarianceReducer {
  static constexpr int kInputs = 1;
  static constexpr bool kLean = true;
  using Element = T;
  using A = Compute<T>;
  using State = Moments<A>;
  using Running = State;
  using Total = JoinedMoments;
  static constexpr int kLongest = kLongestMoments;

  T* variance;
  T* mean;
  double correction;

  __device__ Running running() const { return {}; }
  __device__ void sample(Running& running, A a, A b, A c) const { running.shift_to(a, b, c); }
  __device__ State state(const Running& running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const A (&x)[1][n], int64_t, int64_t) const {
    running.add(x[0]);
  }
  __device__ State combine(const State& a, const State& b) const { return a + b; }
  __device__ Total total(const State& state) const { return Total::of(state); }
  __device__ Total combine(const Total& a, const Total& b) const { return Total::join(a, b); }
  __device__ void finish(const Total& total, int64_t, int64_t offset) const {
    const double divisor = max(0.0, total.count - correction);
    const double none = std::numeric_limits<double>::quiet_NaN();
    variance[offset] = to_element<T>(static_cast<A>(total.count == 0 ? none : total.deviations() / divisor));
    mean[offset] = to_element<T>(static_cast<A>(total.count == 0 ? none : total.mean()));
  }
};

template <class T>
struct LogSumExpReducer {
  static constexpr int kInputs = 1;
  using Element = T;
  using State = LogSumExp<Compute<T>>;
  using Running = State;

  T* y;

  __device__ Running running() const { return State::none(); }
  __device__ State state(const Running& running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const Compute<T> (&x)[1][n], int64_t, int64_t) const {
    running.add(x[0]);
  }
  __device__ State combine(const State& a, const State& b) const { return State::join(a, b); }
  __device__ void finish(const State& total, int64_t, int64_t offset) const {
    y[offset] = to_element<T>(total.value());
  }
};

HADAL_CUDA_KERNEL(varMean) {
  const TensorView& x = cmd.input(0);
  const TensorView& variance = cmd.output(0);
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    const VarianceReducer<T> reducer{variance.as<T>(), cmd.output(1).as<T>(), cmd.attribute(0)};
    run_reduction(ctx, cmd, reducer, {&x}, variance, reduced_axes(x, variance), false, false);
  });
}
HADAL_CUDA_KERNEL(logSumExp) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  visit_floating(cmd.name(), x.dtype, [&]<class T>() {
    run_reduction(ctx, cmd, LogSumExpReducer<T>{y.as<T>()}, {&x}, y, reduced_axes(x, y), false, false);
  });
}

}  // namespace
}  // namespace hadal::cuda
