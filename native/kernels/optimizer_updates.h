// What the fused optimizer ops do to one element, as function objects that both devices use: V is a number on the GPU and a vector
// (cpu::Vec) on the CPU, A what they compute in. Made from the attributes of the op in ops.def. An update has kStates and is called
// as update(g, p, states): it changes the parameter and its states. Formulas are PyTorch's.
#pragma once

#include "kernels/functors.h"
#include "runtime/command.h"

namespace hadal::updates {

// The larger of the two; a NaN stays.
template <class V>
HADAL_HD inline V larger(V a, V b) {
  return math::select((a > b) | (a != a), a, b);
}

// Gradients as the formulas take them: turned around to ascend, and with an L2 penalty.
template <class A>
struct Gradient {
  A sign, decay;
  Gradient(double decay_, bool maximize) : sign(maximize ? A(-1) : A(1)), decay(static_cast<A>(decay_)) {}

  template <class V>
  HADAL_HD V operator()(V g, V p) const {
    g *= sign;
    if (decay != A(0)) g += p * decay;
    return g;
  }
};

// Without momentum there is no state.
template <class A, int kBuffers>
struct Sgd {
  static constexpr int kStates = kBuffers;
  Gradient<A> gradient;
  A momentum, added, rate;
  bool nesterov, is_first;
  explicit Sgd(const Command& cmd)
      : gradient(cmd.attribute(3), cmd.flag(5)),
        momentum(static_cast<A>(cmd.attribute(1))),
        added(static_cast<A>(1 - cmd.attribute(2))),
        rate(static_cast<A>(cmd.attribute(0))),
        nesterov(cmd.flag(4)),
        is_first(cmd.flag(6)) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    g = gradient(g, p);
    if constexpr (kStates > 0) {
      const V buffer = is_first ? g : states[0] * momentum + g * added;
      states[0] = buffer;
      g = nesterov ? g + buffer * momentum : buffer;
    }
    p -= g * rate;
  }
};

// The exponential moving means of the gradient and of its square; with amsgrad a third state holds the largest of the latter.
template <class A, int kMoments>
struct Adam {
  static constexpr int kStates = kMoments;
  Gradient<A> gradient;
  A first_weight, second_kept, second_weight, shrink, gradient_rate, mean_rate, root_scale, tiny;
  explicit Adam(const Command& cmd)
      : gradient(cmd.attribute(3), cmd.flag(9)),
        first_weight(static_cast<A>(1 - cmd.attribute(0))),
        second_kept(static_cast<A>(cmd.attribute(1))),
        second_weight(static_cast<A>(1 - cmd.attribute(1))),
        shrink(static_cast<A>(cmd.attribute(2))),
        gradient_rate(static_cast<A>(cmd.attribute(4))),
        mean_rate(static_cast<A>(cmd.attribute(5))),
        root_scale(static_cast<A>(cmd.attribute(6))),
        tiny(static_cast<A>(cmd.attribute(7))) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    p *= shrink;
    g = gradient(g, p);
    const V m = states[0] + (g - states[0]) * first_weight;
    V v = states[1] * second_kept + g * g * second_weight;
    states[0] = m;
    states[1] = v;
    if constexpr (kStates > 2) states[2] = v = larger(v, states[2]);
    V step = m * mean_rate;
    if (gradient_rate != A(0)) step += g * gradient_rate;
    p -= step / (math::sqrt(v) * root_scale + tiny);
  }
};

template <class A, int kMoments>
struct Adamax {
  static constexpr int kStates = kMoments;
  Gradient<A> gradient;
  A rate, first_weight, kept, tiny;
  explicit Adamax(const Command& cmd)
      : gradient(cmd.attribute(4), cmd.flag(5)),
        rate(static_cast<A>(cmd.attribute(0))),
        first_weight(static_cast<A>(1 - cmd.attribute(1))),
        kept(static_cast<A>(cmd.attribute(2))),
        tiny(static_cast<A>(cmd.attribute(3))) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    g = gradient(g, p);
    states[0] += (g - states[0]) * first_weight;
    states[1] = larger(V(math::abs(g) + tiny), V(states[1] * kept));
    p -= states[0] * rate / states[1];
  }
};

template <class A, int kSums>
struct Adagrad {
  static constexpr int kStates = kSums;
  Gradient<A> gradient;
  A rate, tiny;
  explicit Adagrad(const Command& cmd)
      : gradient(cmd.attribute(2), cmd.flag(3)),
        rate(static_cast<A>(cmd.attribute(0))),
        tiny(static_cast<A>(cmd.attribute(1))) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    g = gradient(g, p);
    states[0] += g * g;
    p -= g * rate / (math::sqrt(states[0]) + tiny);
  }
};

template <class A, int kMeans>
struct Adadelta {
  static constexpr int kStates = kMeans;
  Gradient<A> gradient;
  A rate, kept, added, tiny;
  explicit Adadelta(const Command& cmd)
      : gradient(cmd.attribute(3), cmd.flag(4)),
        rate(static_cast<A>(cmd.attribute(0))),
        kept(static_cast<A>(cmd.attribute(1))),
        added(static_cast<A>(1 - cmd.attribute(1))),
        tiny(static_cast<A>(cmd.attribute(2))) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    g = gradient(g, p);
    states[0] = states[0] * kept + g * g * added;
    const V delta = math::sqrt(V(states[1] + tiny)) / math::sqrt(V(states[0] + tiny)) * g;
    states[1] = states[1] * kept + delta * delta * added;
    p -= delta * rate;
  }
};

// States: the mean square; the mean gradient when centred; the momentum when there is one.
template <class A, int kMeans>
struct RmsProp {
  static constexpr int kStates = kMeans;
  Gradient<A> gradient;
  A rate, kept, added, tiny, momentum;
  bool centered;
  explicit RmsProp(const Command& cmd)
      : gradient(cmd.attribute(3), cmd.flag(6)),
        rate(static_cast<A>(cmd.attribute(0))),
        kept(static_cast<A>(cmd.attribute(1))),
        added(static_cast<A>(1 - cmd.attribute(1))),
        tiny(static_cast<A>(cmd.attribute(2))),
        momentum(static_cast<A>(cmd.attribute(4))),
        centered(cmd.flag(5)) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    g = gradient(g, p);
    V square = states[0] * kept + g * g * added;
    states[0] = square;
    if (kStates > 1 && centered) {
      states[1] += (g - states[1]) * added;
      square -= states[1] * states[1];
    }
    V step = g / (math::sqrt(square) + tiny);
    if (kStates > 1 && momentum != A(0)) {
      V& buffer = states[kStates - 1];
      step = buffer = buffer * momentum + step;
    }
    p -= step * rate;
  }
};

template <class A, int kMeans>
struct Lion {
  static constexpr int kStates = kMeans;
  A sign, rate, step_weight, mean_weight, shrink;
  explicit Lion(const Command& cmd)
      : sign(cmd.flag(4) ? A(-1) : A(1)),
        rate(static_cast<A>(cmd.attribute(0))),
        step_weight(static_cast<A>(1 - cmd.attribute(1))),
        mean_weight(static_cast<A>(1 - cmd.attribute(2))),
        shrink(static_cast<A>(cmd.attribute(3))) {}

  template <class V>
  HADAL_HD void operator()(V g, V& p, V* states) const {
    g *= sign;
    const V away = g - states[0];
    p = p * shrink - functors::Sign{}(V(states[0] + away * step_weight)) * rate;
    states[0] += away * mean_weight;
  }
};

// Moves an average towards a value.
template <class A, int kNone>
struct Lerp {
  static constexpr int kStates = kNone;
  A weight;
  explicit Lerp(const Command& cmd) : weight(static_cast<A>(cmd.attribute(0))) {}

  template <class V>
  HADAL_HD void operator()(V value, V& average, V*) const {
    average += (value - average) * weight;
  }
};

template <class A, int kNone>
struct Clamp {
  static constexpr int kStates = kNone;
  A limit;
  explicit Clamp(const Command& cmd) : limit(static_cast<A>(cmd.attribute(0))) {}

  template <class V>
  HADAL_HD void operator()(V x, V& clamped, V*) const {
    using math::splat;
    clamped = math::select(x > limit, splat<V>(limit), math::select(x < -limit, splat<V>(-limit), x));
  }
};

}  // namespace hadal::updates
