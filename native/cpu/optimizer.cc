// Optimizers over many tensors in one command: the steps of kernels/optimizer_updates.h, gradNorm, scaleTensors. All
// elements of all tensors form one line that is cut into tasks of fixed size, so that one large and many small tensors
// run alike; every element is read and written once. 16-bit parameters compute in float and keep states in float32 or
// their own type.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "cpu/reduce_fold.h"
#include "cpu/simd.h"
#include "kernels/optimizer_updates.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// 16 Ki elements of an Adam step take 10 to 20 µs.
constexpr int64_t kTaskElements = int64_t{1} << 14;
// Elements that do not lie alike in all tensors of a group are packed in pieces of this size.
constexpr int64_t kPiece = 256;

// Whether the elements fill memory without gaps, in whatever order of the axes.
bool is_dense(const TensorView& view) {
  const int rank = view.rank;
  auto left = std::count_if(view.shape, view.shape + rank, [](int64_t size) { return size != 1; });
  for (int64_t expected = 1; left > 0; --left) {
    int axis = 0;
    while (axis < rank && (view.shape[axis] == 1 || view.strides[axis] != expected)) ++axis;
    if (axis == rank) return false;
    expected *= view.shape[axis];
  }
  return true;
}
bool lie_alike(const TensorView& a, const TensorView& b) {
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.shape[axis] != 1 && a.strides[axis] != b.strides[axis]) return false;
  }
  return true;
}

// Calls body(offset, stride, start, count) for the parts of rows that make up elements [begin, end), in row-major
// order.
template <class F>
void each_row(const TensorView& view, int64_t begin, int64_t end, F&& body) {
  const int last = view.rank - 1;
  const int64_t n = view.rank > 0 ? view.shape[last] : 1;
  const int64_t stride = view.rank > 0 ? view.strides[last] : 0;
  for (int64_t i = begin; i < end;) {
    const int64_t column = i % n;
    int64_t row = i / n;
    int64_t offset = column * stride;
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += row % view.shape[axis] * view.strides[axis];
      row /= view.shape[axis];
    }
    const int64_t count = std::min(n - column, end - i);
    body(offset, stride, i - begin, count);
    i += count;
  }
}
template <class T>
void pack(T* to, const TensorView& view, int64_t begin, int64_t end) {
  each_row(view, begin, end, [&](int64_t offset, int64_t stride, int64_t start, int64_t count) {
    const T* from = view.as<T>() + offset;
    for (int64_t i = 0; i < count; ++i) to[start + i] = from[i * stride];
  });
}
template <class T>
void unpack(const TensorView& view, const T* from, int64_t begin, int64_t end) {
  each_row(view, begin, end, [&](int64_t offset, int64_t stride, int64_t start, int64_t count) {
    T* to = view.as<T>() + offset;
    for (int64_t i = 0; i < count; ++i) to[i * stride] = from[start + i];
  });
}

// Runs body(task, tensor, begin, end) over pieces of the tensors view(0) … view(count - 1) laid end to end, cut into
// tasks. Returns the number of tasks.
template <class View, class F>
int64_t each_piece(KernelContext& ctx, int count, View&& view, F&& body) {
  int64_t* starts = ctx.scratch<int64_t>(count + 1);
  starts[0] = 0;
  for (int i = 0; i < count; ++i) starts[i + 1] = starts[i] + view(i).numel();
  const int64_t total = starts[count];
  const int64_t tasks = (total + kTaskElements - 1) / kTaskElements;
  ctx.parallel(tasks, [&](int64_t task) {
    const int64_t begin = task * kTaskElements;
    const int64_t end = std::min(total, begin + kTaskElements);
    for (int64_t i = std::upper_bound(starts, starts + count + 1, begin) - starts - 1; i < count && starts[i] < end;
         ++i) {
      const int64_t first = std::max(begin, starts[i]);
      const int64_t last = std::min(end, starts[i + 1]);
      if (first < last) body(task, static_cast<int>(i), first - starts[i], last - starts[i]);
    }
  });
  return tasks;
}

// --- Steps -----------------------------------------------------------------------------------------------------------

// Vectors of a loop over n elements: whole ones, then a part of one.
template <class A, class F>
inline void each_vector(int64_t n, F&& body) {
  int64_t i = 0;
  for (; i + kLanes<A> <= n; i += kLanes<A>) body(i, -1);
  if (i < n) body(i, static_cast<int>(n - i));
}
template <class T>
inline Vec<Compute<T>> load_lanes(const T* from, int count) {
  return count < 0 ? load(from) : load_partial(from, count);
}
template <class T>
inline void store_lanes(T* to, Vec<Compute<T>> v, int count) {
  if (count < 0) store(to, v);
  else store_partial(to, v, count);
}

// Runs an update on n elements: gradient and parameter of type P, states of type S.
template <class P, class S, class Update>
void step_run(const Update& update, int64_t n, const P* grad, P* param, S* const* states) {
  using A = Compute<P>;
  constexpr int kStates = Update::kStates;
  each_vector<A>(n, [&](int64_t i, int count) {
    Vec<A> p = load_lanes(param + i, count);
    Vec<A> s[kStates + 1];
    for (int k = 0; k < kStates; ++k) s[k] = load_lanes(states[k] + i, count);
    update(load_lanes(grad + i, count), p, s);
    store_lanes(param + i, p, count);
    for (int k = 0; k < kStates; ++k) store_lanes(states[k] + i, s[k], count);
  });
}

// Lists: gradients; then, as outputs, parameters and the lists of states.
template <template <class, int> class UpdateOf, int kStates>
void step(KernelContext& ctx, const Command& cmd) {
  const int n = cmd.input_count;
  bool* is_flat = ctx.scratch<bool>(n);
  for (int i = 0; i < n; ++i) {
    is_flat[i] = is_dense(cmd.input(i));
    for (int list = 0; list <= kStates; ++list) is_flat[i] &= lie_alike(cmd.input(i), cmd.output(list * n + i));
  }
  const auto typed = [&]<class P, class S>(int i, int64_t begin, int64_t end) {
    const UpdateOf<Compute<P>, kStates> update(cmd);
    const TensorView& grad = cmd.input(i);
    const TensorView& param = cmd.output(i);
    const auto state = [&](int s) -> const TensorView& { return cmd.output((1 + s) * n + i); };
    S* states[kStates + 1] = {};
    if (is_flat[i]) {
      for (int s = 0; s < kStates; ++s) states[s] = state(s).template as<S>() + begin;
      step_run<P, S>(update, end - begin, grad.as<P>() + begin, param.as<P>() + begin, states);
      return;
    }
    P packed_grad[kPiece], packed_param[kPiece];
    S packed_states[kStates + 1][kPiece];
    for (int s = 0; s < kStates; ++s) states[s] = packed_states[s];
    for (int64_t start = begin; start < end; start += kPiece) {
      const int64_t stop = std::min(end, start + kPiece);
      pack(packed_grad, grad, start, stop);
      pack(packed_param, param, start, stop);
      for (int s = 0; s < kStates; ++s) pack(packed_states[s], state(s), start, stop);
      step_run<P, S>(update, stop - start, packed_grad, packed_param, states);
      unpack(param, packed_param, start, stop);
      for (int s = 0; s < kStates; ++s) unpack(state(s), packed_states[s], start, stop);
    }
  };
  each_piece(
      ctx, n, [&](int i) -> const TensorView& { return cmd.input(i); },
      [&](int64_t, int i, int64_t begin, int64_t end) {
        visit_floating(cmd.name(), cmd.input(i).dtype, [&]<class P>() {
          if constexpr (sizeof(P) == 2 && kStates > 0) {
            if (cmd.output(n + i).dtype == DType::kFloat32) {
              return typed.template operator()<P, float>(i, begin, end);
            }
          }
          typed.template operator()<P, P>(i, begin, end);
        });
      });
}

HADAL_CPU_KERNEL(sgdStep) {
  if (cmd.attribute(1) != 0) step<updates::Sgd, 1>(ctx, cmd);
  else step<updates::Sgd, 0>(ctx, cmd);
}
HADAL_CPU_KERNEL(adamStep) {
  if (cmd.flag(8)) step<updates::Adam, 3>(ctx, cmd);
  else step<updates::Adam, 2>(ctx, cmd);
}
HADAL_CPU_KERNEL(adamaxStep) { step<updates::Adamax, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(adagradStep) { step<updates::Adagrad, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(adadeltaStep) { step<updates::Adadelta, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(rmsPropStep) {
  const int means = cmd.flag(5) + (cmd.attribute(4) != 0);
  if (means == 2) step<updates::RmsProp, 3>(ctx, cmd);
  else if (means == 1) step<updates::RmsProp, 2>(ctx, cmd);
  else step<updates::RmsProp, 1>(ctx, cmd);
}
HADAL_CPU_KERNEL(lionStep) { step<updates::Lion, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(lerpTensors) { step<updates::Lerp, 0>(ctx, cmd); }
HADAL_CPU_KERNEL(clampTensors) { step<updates::Clamp, 0>(ctx, cmd); }

// --- Norms -----------------------------------------------------------------------------------------------------------

enum class NormOrder { kOne, kTwo, kInfinity };

template <NormOrder kOrder, class V>
inline V norm_term(V x) {
  if constexpr (kOrder == NormOrder::kTwo) return x * x;
  else return x < 0 ? -x : x;
}
template <NormOrder kOrder, class V>
inline V norm_join(V a, V b) {
  if constexpr (kOrder == NormOrder::kInfinity) return ((b > a) | (b != b)) ? b : a;
  else return a + b;
}

// The joined terms of x[0, n), n >= 1, in double: squares of any float fit.
template <NormOrder kOrder, class T>
double norm_of_run(const T* x, int64_t n) {
  Vec<double> total = {};
  if constexpr (sizeof(T) == 2) {
    each_vector<float>(n, [&](int64_t i, int count) {
      const DoublePair pair = widen(load_lanes(x + i, count));
      total = norm_join<kOrder>(total, norm_join<kOrder>(norm_term<kOrder>(pair.low), norm_term<kOrder>(pair.high)));
    });
  } else {
    const auto term = [](Vec<double> v, Lanes lanes) { return norm_term<kOrder>(lanes.or_else<double>(v, 0)); };
    total = fold_run<double>(x, n, total, term, norm_join<kOrder, Vec<double>>);
  }
  return fold_lanes(total, norm_join<kOrder, Vec<double>>);
}

template <NormOrder kOrder>
double norm_of_all(KernelContext& ctx, const Command& cmd) {
  int64_t total = 0;
  for (int i = 0; i < cmd.input_count; ++i) total += cmd.input(i).numel();
  double* parts = ctx.scratch<double>(total / kTaskElements + 1);
  std::fill_n(parts, total / kTaskElements + 1, 0.0);
  const int64_t tasks = each_piece(
      ctx, cmd.input_count, [&](int i) -> const TensorView& { return cmd.input(i); },
      [&](int64_t task, int i, int64_t begin, int64_t end) {
        const TensorView& grad = cmd.input(i);
        const auto join = [&](double part) { parts[task] = norm_join<kOrder>(parts[task], part); };
        visit_floating(cmd.name(), grad.dtype, [&]<class T>() {
          if (is_dense(grad)) return join(norm_of_run<kOrder>(grad.as<T>() + begin, end - begin));
          T packed[kPiece];
          for (int64_t start = begin; start < end; start += kPiece) {
            const int64_t stop = std::min(end, start + kPiece);
            pack(packed, grad, start, stop);
            join(norm_of_run<kOrder>(packed, stop - start));
          }
        });
      });
  double norm = 0;
  for (int64_t task = 0; task < tasks; ++task) norm = norm_join<kOrder>(norm, parts[task]);
  return kOrder == NormOrder::kTwo ? std::sqrt(norm) : norm;
}

HADAL_CPU_KERNEL(gradNorm) {
  const double order = cmd.attribute(0);
  const double norm = order == 2   ? norm_of_all<NormOrder::kTwo>(ctx, cmd)
                      : order == 1 ? norm_of_all<NormOrder::kOne>(ctx, cmd)
                                   : norm_of_all<NormOrder::kInfinity>(ctx, cmd);
  const TensorView& y = cmd.output(0);
  if (y.dtype == DType::kFloat64) *y.as<double>() = norm;
  else *y.as<float>() = static_cast<float>(norm);
}

HADAL_CPU_KERNEL(scaleTensors) {
  const TensorView& scalar = cmd.input(0);
  const double factor = scalar.dtype == DType::kFloat64 ? *scalar.as<double>() : *scalar.as<float>();
  if (factor == 1) return;
  each_piece(
      ctx, cmd.output_count, [&](int i) -> const TensorView& { return cmd.output(i); },
      [&](int64_t, int i, int64_t begin, int64_t end) {
        const TensorView& x = cmd.output(i);
        visit_floating(cmd.name(), x.dtype, [&]<class T>() {
          using A = Compute<T>;
          const A by = static_cast<A>(factor);
          const auto scale = [&](T* run, int64_t n) {
            each_vector<A>(n,
                           [&](int64_t k, int count) { store_lanes(run + k, load_lanes(run + k, count) * by, count); });
          };
          if (is_dense(x)) return scale(x.as<T>() + begin, end - begin);
          T packed[kPiece];
          for (int64_t start = begin; start < end; start += kPiece) {
            const int64_t stop = std::min(end, start + kPiece);
            pack(packed, x, start, stop);
            scale(packed, stop - start);
            unpack(x, packed, start, stop);
          }
        });
      });
}

}  // namespace
}  // namespace hadal::cpu
