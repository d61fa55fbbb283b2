// The p-norms of differences, for numbers and vectors of them. `add` takes one more difference into a total, `join` two totals together, `root` makes
// the distance y of a total. What y gives back to a difference is factor(g, y), once for the pair, times slope(difference, y). Used by cdist of both
// devices.
#pragma once

#include "kernels/math.h"

namespace hadal::distance {

using math::Lane;
using math::select;
using math::splat;

template <class V>
HADAL_HD inline V sign(V x) {
  return select(x == Lane<V>(0), splat<V>(0), select(x != x, x, math::with_sign(splat<V>(1), x)));
}

struct Sum {
  template <class V>
  HADAL_HD V join(V a, V b) const {
    return a + b;
  }
  template <class V>
  HADAL_HD V root(V total) const {
    return total;
  }
  template <class V>
  HADAL_HD V factor(V g, V) const {
    return g;
  }
};

// How many differences are not 0.
struct Count : Sum {
  template <class V>
  HADAL_HD V add(V total, V x) const {
    return select(x != Lane<V>(0), V(total + Lane<V>(1)), total);
  }
  template <class V>
  HADAL_HD V slope(V, V) const {
    return splat<V>(0);
  }
};

struct Absolute : Sum {
  template <class V>
  HADAL_HD V add(V total, V x) const {
    return total + math::abs(x);
  }
  template <class V>
  HADAL_HD V slope(V x, V) const {
    return sign(x);
  }
};

struct Euclidean : Sum {
  template <class V>
  HADAL_HD V add(V total, V x) const {
    return total + x * x;
  }
  template <class V>
  HADAL_HD V root(V total) const {
    return math::sqrt(total);
  }
  template <class V>
  HADAL_HD V factor(V g, V y) const {
    return y == Lane<V>(0) ? V(0) : g / y;
  }
  template <class V>
  HADAL_HD V slope(V x, V) const {
    return x;
  }
};

// Of equal largest differences each gets the whole gradient.
struct Largest : Sum {
  template <class V>
  HADAL_HD V join(V a, V b) const {
    return select((b > a) | (b != b), b, a);
  }
  template <class V>
  HADAL_HD V add(V total, V x) const {
    return join(total, math::abs(x));
  }
  template <class V>
  HADAL_HD V slope(V x, V y) const {
    return select(math::abs(x) == y, sign(x), splat<V>(0));
  }
};

// Any other order.
struct Power : Sum {
  double p;
  explicit Power(double p) : p(p) {}

  template <class V>
  HADAL_HD V add(V total, V x) const {
    return total + math::pow(math::abs(x), splat<V>(static_cast<Lane<V>>(p)));
  }
  template <class V>
  HADAL_HD V root(V total) const {
    return math::pow(total, splat<V>(static_cast<Lane<V>>(1 / p)));
  }
  // A difference of 0 gets 0, also where the slope is infinite.
  template <class V>
  HADAL_HD V slope(V x, V y) const {
    const V size = math::pow(V(math::abs(x) / y), splat<V>(static_cast<Lane<V>>(p - 1)));
    return select(x == Lane<V>(0), splat<V>(0), V(sign(x) * size));
  }
};

// Calls body(norm) with the norm of order p.
template <class F>
void visit_norm(double p, F&& body) {
  if (p == 0) body(Count());
  else if (p == 1) body(Absolute());
  else if (p == 2) body(Euclidean());
  else if (p == HUGE_VAL) body(Largest());
  else body(Power(p));
}

}  // namespace hadal::distance
