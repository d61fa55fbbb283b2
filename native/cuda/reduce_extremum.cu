// amax, amin, argmax, argmin, any and all. Minima are maxima of negated numbers (of complements, for integers), and `all` is the
// absence of zeros, so that one kernel serves both of a pair. A NaN is beyond every number. Written with `=`.
#include <limits>

#include "cuda/device/reduction.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {
namespace {

// Numbers whose order is turned around on request, without loss.
template <class T>
struct Ordered {
  using Value = Compute<T>;
  std::conditional_t<std::is_integral_v<T>, T, bool> flip;

  Ordered(bool flipped, DType dtype) : flip(flipped) {
    if constexpr (std::is_integral_v<T>) flip = static_cast<T>(!flipped ? 0 : dtype == DType::kBool ? 1 : ~T{0});
  }
  __device__ Value operator()(Value x) const {
    if constexpr (std::is_integral_v<T>) return static_cast<Value>(x ^ flip);
    else return flip ? -x : x;
  }
  static __device__ Value lowest() {
    if constexpr (std::is_integral_v<T>) return std::numeric_limits<Value>::min();
    else return -std::numeric_limits<Value>::infinity();
  }
};

template <class T>
struct ExtremumReducer {
  static constexpr int kInputs = 1;
  using Element = T;
  using State = Compute<T>;
  using Running = State;

  T* y;
  Ordered<T> ordered;

  __device__ Running running() const { return Ordered<T>::lowest(); }
  __device__ State state(Running running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const Compute<T> (&x)[1][n], int64_t, int64_t) const {
#pragma unroll
    for (int i = 0; i < n; ++i) running = combine(running, ordered(x[0][i]));
  }
  // A NaN stays: it replaces anything, and nothing compares as beyond it.
  __device__ State combine(State a, State b) const { return b > a || b != b ? b : a; }
  __device__ void finish(State best, int64_t, int64_t offset) const { y[offset] = to_element<T>(ordered(best)); }
};

// The first place of the extremum; the first NaN wins.
template <class T>
struct ArgReducer {
  static constexpr int kInputs = 1;
  using Element = T;
  struct State {
    int64_t place;
    Compute<T> value;
  };
  using Running = State;

  void* index;
  bool is_wide;  // int64, otherwise int32
  Ordered<T> ordered;

  __device__ Running running() const { return {INT64_MAX, Ordered<T>::lowest()}; }
  __device__ State state(Running running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const Compute<T> (&x)[1][n], int64_t position, int64_t) const {
#pragma unroll
    for (int i = 0; i < n; ++i) running = combine(running, {position + i, ordered(x[0][i])});
  }
  __device__ State combine(State a, State b) const {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool beyond = b.value > a.value || (b_nan && !a_nan);
    const bool equal = b.value == a.value || (a_nan && b_nan);
    return beyond || (equal && b.place < a.place) ? b : a;
  }
  __device__ void finish(State best, int64_t, int64_t offset) const {
    if (is_wide) static_cast<int64_t*>(index)[offset] = best.place;
    else static_cast<int32_t*>(index)[offset] = static_cast<int32_t>(best.place);
  }
};

// Elements by their width: what counts as zero is a pattern of bits.
template <class W>
struct AnyReducer {
  static constexpr int kInputs = 1;
  using Element = W;
  using State = uint32_t;
  using Running = State;

  bool* y;
  W mask;        // without the sign of floats, whose -0 is zero
  bool flipped;  // looks for zeros, and answers whether there were none

  __device__ Running running() const { return 0; }
  __device__ State state(Running running) const { return running; }
  template <int n>
  __device__ void add(Running& running, const W (&x)[1][n], int64_t, int64_t) const {
#pragma unroll
    for (int i = 0; i < n; ++i) running |= ((x[0][i] & mask) != 0) != flipped ? 1u : 0u;
  }
  __device__ State combine(State a, State b) const { return a | b; }
  __device__ void finish(State found, int64_t, int64_t offset) const { y[offset] = (found != 0) != flipped; }
};

void any_or_all(CudaContext& ctx, const Command& cmd, bool all) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  visit_width(x.dtype, [&]<class W>() {
    const W mask = is_floating(x.dtype) ? static_cast<W>(static_cast<W>(~W{0}) >> 1) : static_cast<W>(~W{0});
    run_reduction(ctx, cmd, AnyReducer<W>{y.as<bool>(), mask, all}, {&x}, y, reduced_axes(x, y), false, false);
  });
}

// Bools are bytes of 0 and 1.
template <class F>
void visit_ordered(const Command& cmd, F&& body) {
  const DType dtype = cmd.input(0).dtype;
  if (dtype == DType::kBool) body.template operator()<uint8_t>();
  else visit_number(cmd.name(), dtype, body);
}
void extremum(CudaContext& ctx, const Command& cmd, bool smallest) {
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  visit_ordered(cmd, [&]<class T>() {
    run_reduction(ctx, cmd, ExtremumReducer<T>{y.as<T>(), {smallest, x.dtype}}, {&x}, y, reduced_axes(x, y), false,
                  false);
  });
}
void arg_extremum(CudaContext& ctx, const Command& cmd, bool smallest) {
  const TensorView& x = cmd.input(0);
  const TensorView& index = cmd.output(0);
  visit_ordered(cmd, [&]<class T>() {
    const ArgReducer<T> reducer{index.data, index.dtype == DType::kInt64, {smallest, x.dtype}};
    run_reduction(ctx, cmd, reducer, {&x}, index, reduced_axes(x, index), false, true);
  });
}

HADAL_CUDA_KERNEL(amax) { extremum(ctx, cmd, false); }
HADAL_CUDA_KERNEL(amin) { extremum(ctx, cmd, true); }
HADAL_CUDA_KERNEL(argmax) { arg_extremum(ctx, cmd, false); }
HADAL_CUDA_KERNEL(argmin) { arg_extremum(ctx, cmd, true); }
HADAL_CUDA_KERNEL(any) { any_or_all(ctx, cmd, false); }
HADAL_CUDA_KERNEL(all) { any_or_all(ctx, cmd, true); }

}  // namespace
}  // namespace hadal::cuda
