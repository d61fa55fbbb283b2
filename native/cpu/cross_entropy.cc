// Cross entropy of rows of logits with class targets, and its gradient, each in one pass over memory: the log-sum-exp is
// found block by block, rescaled when a block raises the maximum, so that a vocabulary of any size is read once.
// 16-bit floats compute in float, which is also what loss and lse come in.
#include <algorithm>
#include <cmath>
#include <string>

#include "cpu/exp_flushed.h"
#include "cpu/rows.h"
#include "kernels/math.h"
#include "runtime/registry.h"

namespace hadal::cpu {

namespace {

// About 10 µs of work: less is not worth a hand-off to another thread.
constexpr int64_t kElementsPerTask = 32768;
// Read twice, the second time from the first-level cache.
constexpr int64_t kBlock = 2048;

// The class of each row, checked.
class Targets {
 public:
  Targets(const Command& cmd, const TensorView& view, int64_t ignored, int64_t classes)
      : name_(cmd.name()), view_(view), ignored_(ignored), classes_(classes) {}
  // -1 for an ignored row.
  int64_t operator[](int64_t row) const {
    const int64_t at = row * view_.strides[0];
    const int64_t target = view_.dtype == DType::kInt64 ? view_.as<int64_t>()[at] : view_.as<int32_t>()[at];
    if (target == ignored_) return -1;
    if (target < 0 || target >= classes_) {
      throw Error(ErrorCode::kIndex, std::string(name_) + ": target " + std::to_string(target) + " at position " +
                                         std::to_string(row) + " out of range for " + std::to_string(classes_) +
                                         " classes");
    }
    return target;
  }

 private:
  const char* name_;
  const TensorView& view_;
  int64_t ignored_;
  int64_t classes_;
};

// The weights as packed C, or null where there are none.
template <class C>
const C* packed_weights(KernelContext& ctx, const Command& cmd, const TensorView& view, int64_t classes) {
  if (!view.present()) return nullptr;
  C* packed = ctx.scratch<C>(classes);
  visit_floating(cmd.name(), view.dtype,
                 [&]<class From>() { gather(packed, view.as<From>(), view.strides[0], classes); });
  return packed;
}

template <class C>
C total_weight(const C* weight, int64_t classes) {
  if (weight == nullptr) return static_cast<C>(classes);
  Accumulators<C> total(0);
  each_vector<C>(classes, [&](int64_t i, auto part, auto lane) { total.lanes[lane] += load(weight + i, part); });
  return total.sum();
}

template <class C>
struct RowSums {
  C lse;
  C weighted;  // Σ w · x, or Σ x without weights; only where asked for
};

template <class C, bool kSmooth, class T>
RowSums<C> sum_row(const T* x, const C* weight, int64_t classes) {
  constexpr C kLowest = -std::numeric_limits<C>::infinity();
  C largest = kLowest;
  C total = 0;
  C weighted = 0;
  for (int64_t begin = 0; begin < classes; begin += kBlock) {
    const int64_t count = std::min(kBlock, classes - begin);
    const T* block = x + begin;
    Accumulators<C> maxima(kLowest), sums(0), products(0);
    each_vector<C>(count, [&](int64_t i, auto part, auto lane) {
      const Vec<C> value = load(block + i, part, kLowest);
      maxima.lanes[lane] = vmax(value, maxima.lanes[lane]);
      if constexpr (kSmooth) {
        const Vec<C> term = load(block + i, part);
        products.lanes[lane] += weight == nullptr ? term : term * load(weight + begin + i, part);
      }
    });
    const C block_largest = maxima.max();
    if (block_largest > largest) {
      total *= math::exp(largest - block_largest);
      largest = block_largest;
    }
    // While everything is -inf the sum stays zero (a NaN still shows).
    const C shift = largest == kLowest ? C(0) : largest;
    each_vector<C>(count, [&](int64_t i, auto part, auto lane) {
      sums.lanes[lane] += exp_flushed(load(block + i, part, kLowest) - shift);
    });
    total += sums.sum();
    if constexpr (kSmooth) weighted += products.sum();
  }
  return {largest + math::log(total), weighted};
}

// Smoothing s spreads s / classes of the target over all classes:
// loss = (1 − s) · w[t] · (lse − x[t]) + s / classes · Σ_c w[c] · (lse − x[c]); zero in ignored rows.
template <class T>
void cross_entropy(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& x = cmd.input(0);
  const TensorView& loss = cmd.output(0);
  const TensorView& lse = cmd.output(1);
  const int64_t rows = x.shape[0];
  const int64_t classes = x.shape[1];
  const Targets targets(cmd, cmd.input(1), cmd.integer(0), classes);
  const double smoothing = cmd.attribute(1);
  const C* weight = packed_weights<C>(ctx, cmd, cmd.input(2), classes);
  const C all_weight = smoothing != 0 ? total_weight(weight, classes) : C(0);
  const C share = classes != 0 ? static_cast<C>(smoothing / static_cast<double>(classes)) : C(0);
  const bool packed = x.strides[1] == 1 || classes <= 1;

  ctx.parallel_ranges(rows, kElementsPerTask / std::max<int64_t>(classes, 1), [&](int64_t begin, int64_t end) {
    T* copy = packed ? nullptr : ctx.thread_scratch<T>(classes);
    for (int64_t r = begin; r < end; ++r) {
      const T* row = x.as<T>() + r * x.strides[0];
      if (!packed) {
        gather(copy, row, x.strides[1], classes);
        row = copy;
      }
      const int64_t target = targets[r];
      const RowSums<C> sums =
          smoothing != 0 ? sum_row<C, true>(row, weight, classes) : sum_row<C, false>(row, weight, classes);
      C value = 0;
      if (target >= 0) {
        value = sums.lse - static_cast<C>(row[target]);
        if (weight != nullptr) value *= weight[target];
        if (smoothing != 0) {
          value = static_cast<C>(1 - smoothing) * value + share * (all_weight * sums.lse - sums.weighted);
        }
      }
      loss.as<C>()[r * loss.strides[0]] = value;
      lse.as<C>()[r * lse.strides[0]] = sums.lse;
    }
  });
}

// gx[c] = g · (a · exp(x[c] − lse) − s / classes · w[c] − (1 − s) · w[t] · [c = t]) with a = (1 − s) · w[t] + s / classes · Σ w.
template <class T>
void cross_entropy_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& g = cmd.input(0);
  const TensorView& x = cmd.input(1);
  const TensorView& lse = cmd.input(4);
  const TensorView& gx = cmd.output(0);
  const int64_t rows = x.shape[0];
  const int64_t classes = x.shape[1];
  if (x.numel() == 0) return;
  const Targets targets(cmd, cmd.input(2), cmd.integer(0), classes);
  const double smoothing = cmd.attribute(1);
  const C* weight = packed_weights<C>(ctx, cmd, cmd.input(3), classes);
  const C all_weight = smoothing != 0 ? total_weight(weight, classes) : C(0);
  const C share = static_cast<C>(smoothing / static_cast<double>(classes));
  const bool x_packed = x.strides[1] == 1 || classes == 1;
  const bool gx_packed = gx.strides[1] == 1 || classes == 1;

  const bool stream_rows = gx_packed && streaming<T>(rows, classes);
  ctx.parallel_ranges(rows, kElementsPerTask / classes, [&](int64_t begin, int64_t end) {
    T* copies = x_packed && gx_packed ? nullptr : ctx.thread_scratch<T>(2 * classes);
    for (int64_t r = begin; r < end; ++r) {
      const T* row = x.as<T>() + r * x.strides[0];
      T* to = gx.as<T>() + r * gx.strides[0];
      T* out = gx_packed ? to : copies + classes;
      const int64_t target = targets[r];
      if (target < 0) {
        std::fill(out, out + classes, T(0));
      } else {
        const C scale = g.as<C>()[r * g.strides[0]];
        const C log_total = lse.as<C>()[r * lse.strides[0]];
        const C hit = scale * static_cast<C>(1 - smoothing) * (weight != nullptr ? weight[target] : C(1));
        const C factor = hit + scale * share * all_weight;
        const C spread = scale * share;
        // Read before the loop writes: gx may lie where x does.
        const C probability = math::exp(static_cast<C>(row[target * x.strides[1]]) - log_total);
        if (!x_packed) {
          gather(copies, row, x.strides[1], classes);
          row = copies;
        }
        if (smoothing == 0) {
          write_row(out, classes, stream_rows,
                    [&](int64_t i, auto part) { return exp_flushed(load(row + i, part) - log_total) * factor; });
        } else if (weight == nullptr) {
          write_row(out, classes, stream_rows, [&](int64_t i, auto part) {
            return exp_flushed(load(row + i, part) - log_total) * factor - spread;
          });
        } else {
          write_row(out, classes, stream_rows, [&](int64_t i, auto part) {
            return exp_flushed(load(row + i, part) - log_total) * factor - load(weight + i, part) * spread;
          });
        }
        const C background = smoothing == 0 ? C(0) : spread * (weight != nullptr ? weight[target] : C(1));
        out[target] = static_cast<T>(probability * factor - background - hit);
      }
      if (!gx_packed) scatter(to, gx.strides[1], out, classes);
    }
    if (stream_rows) finish_streaming();
  });
}

}  // namespace

HADAL_CPU_KERNEL(crossEntropy) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { cross_entropy<T>(ctx, cmd); });
}
HADAL_CPU_KERNEL(crossEntropyBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { cross_entropy_backward<T>(ctx, cmd); });
}

}  // namespace hadal::cpu
