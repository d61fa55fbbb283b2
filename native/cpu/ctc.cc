// Connectionist temporal classification: the likelihood of label sequences over all their alignments, and its gradient, by the
// forward and backward recursions in log space. A sequence is a task. Positions are the labels with blanks around them, 2·l + 1
// of them; a row of the recursion is a few whole-vector operations over them. 16-bit floats compute in float.
// Graves et al., 2006, Connectionist temporal classification.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "cpu/rows.h"
#include "kernels/math.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Two positions lie before the first and after the last, so that neighbours of any position can be read.
constexpr int64_t kMargin = 2;

int64_t read_index(const TensorView& view, int64_t offset) {
  return view.dtype == DType::kInt64 ? view.as<int64_t>()[offset] : view.as<int32_t>()[offset];
}
int64_t checked(const Command& cmd, int64_t value, int64_t low, int64_t high, const char* what, int64_t position) {
  if (value >= low && value <= high) return value;
  throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": " + what + " " + std::to_string(value) + " at position " +
                                     std::to_string(position) + " out of range: expected " + std::to_string(low) +
                                     " to " + std::to_string(high));
}

// log Σ exp over three vectors; -inf where all are.
template <class V>
V log_sum(V a, V b, V c) {
  using T = math::Lane<V>;
  constexpr T kNothing = -std::numeric_limits<T>::infinity();
  const V top = vmax(vmax(a, b), c);
  const V shift = math::select(top == kNothing, V{}, top);
  return math::log(V(math::exp(V(a - shift)) + math::exp(V(b - shift)) + math::exp(V(c - shift)))) + shift;
}

// One sequence: its scores, labels and the rows of the recursions.
template <class T>
class Sequence {
 public:
  using C = Compute<T>;
  static constexpr C kNothing = -std::numeric_limits<C>::infinity();

  // Inputs from `first` on are logProbs, targets, inputLengths, targetLengths.
  Sequence(const Command& cmd, int first, int64_t index, int64_t target_offset, int64_t blank)
      : scores_(cmd.input(first)), index_(index) {
    const TensorView &targets = cmd.input(first + 1), &input_lengths = cmd.input(first + 2),
                     &target_lengths = cmd.input(first + 3);
    steps_ = checked(cmd, read_index(input_lengths, index * input_lengths.strides[0]), 0, scores_.shape[0],
                     "input length", index);
    labels_ = read_index(target_lengths, index * target_lengths.strides[0]);
    positions_ = 2 * labels_ + 1;
    // Without room for every label no alignment exists.
    possible_ = labels_ <= steps_;
    if (!possible_) return;
    classes_at_ = [&, blank, target_offset, index](int64_t position) {
      if (position % 2 == 0) return blank;
      const int64_t label = position / 2;
      const int64_t at = targets.rank == 2 ? index * targets.strides[0] + label * targets.strides[1]
                                           : (target_offset + label) * targets.strides[0];
      return checked(cmd, read_index(targets, at), 0, scores_.shape[2] - 1, "target", label);
    };
  }
  bool possible() const { return possible_; }
  int64_t steps() const { return steps_; }
  int64_t positions() const { return positions_; }
  int64_t row() const { return positions_ + 2 * kMargin; }
  // Elements for tables() with `rows` rows of the recursion.
  int64_t scratch(int64_t rows) const { return (rows + 3) * row(); }

  // Lays out the tables: classes as offsets, what skipping a blank adds, emissions, and the rows.
  C* tables(C* memory, int64_t* classes) {
    skips_ = memory + kMargin;
    emissions_ = skips_ + row();
    classes_ = classes;
    std::fill(memory, memory + 2 * row(), kNothing);
    for (int64_t s = 0; s < positions_; ++s) {
      classes_[s] = classes_at_(s);
      if (s % 2 == 1 && s > 1 && classes_[s] != classes_[s - 2]) skips_[s] = 0;
    }
    return emissions_ + row();
  }
  int64_t class_of(int64_t position) const { return classes_[position]; }

  // The score of each position's class at a step.
  const C* emissions(int64_t t) {
    const T* from = scores_.template as<T>() + t * scores_.strides[0] + index_ * scores_.strides[1];
    for (int64_t s = 0; s < positions_; ++s) emissions_[s] = static_cast<C>(from[classes_[s] * scores_.strides[2]]);
    return emissions_;
  }
  // A row from the one before it: α[s] = log Σ exp(α'[s], α'[s - 1], α'[s - 2] + skip[s]) + emission[s].
  void first_row(C* row) {
    std::fill(row - kMargin, row + positions_ + kMargin, kNothing);
    const C* scores = emissions(0);
    row[0] = scores[0];
    if (positions_ > 1) row[1] = scores[1];
  }
  void next_row(int64_t t, const C* before, C* row) {
    std::fill(row - kMargin, row, kNothing);
    std::fill(row + positions_, row + positions_ + kMargin, kNothing);
    const C* scores = emissions(t);
    each_vector<C>(positions_, [&](int64_t s, auto part, auto) {
      const Vec<C> skipped = load(before + s - 2, part, kNothing) + load(skips_ + s, part, kNothing);
      const Vec<C> sum =
          log_sum<Vec<C>>(load(before + s, part, kNothing), load(before + s - 1, part, kNothing), skipped);
      store(row + s, sum + load(scores + s, part), part);
    });
  }
  // From β'[s], without the emission at its step, to the step before: β'[s] = log Σ exp(γ[s], γ[s + 1], γ[s + 2] + skip[s + 2])
  // with γ = β' + emission. `after` is overwritten by γ.
  void previous_row(int64_t t, C* after, C* row) {
    const C* scores = emissions(t);
    each_vector<C>(positions_, [&](int64_t s, auto part, auto) {
      store(after + s, load(after + s, part) + load(scores + s, part), part);
    });
    each_vector<C>(positions_, [&](int64_t s, auto part, auto) {
      const Vec<C> skipped = load(after + s + 2, part, kNothing) + load(skips_ + s + 2, part, kNothing);
      store(row + s, log_sum<Vec<C>>(load(after + s, part, kNothing), load(after + s + 1, part, kNothing), skipped),
            part);
    });
  }
  // The log-likelihood by the last row.
  C total(const C* last) const {
    const C a = last[positions_ - 1], b = positions_ > 1 ? last[positions_ - 2] : kNothing;
    const C top = std::max(a, b);
    if (top == kNothing) return top;
    return top + std::log(std::exp(a - top) + std::exp(b - top));
  }

 private:
  const TensorView& scores_;
  int64_t index_;
  int64_t steps_ = 0;
  int64_t labels_ = 0;
  int64_t positions_ = 0;
  bool possible_ = false;
  std::function<int64_t(int64_t)> classes_at_;
  int64_t* classes_ = nullptr;
  C* skips_ = nullptr;
  C* emissions_ = nullptr;
};

// Where each sequence's targets begin in a joined list (0 for a table), and that every length fits.
int64_t* target_offsets(KernelContext& ctx, const Command& cmd, int first) {
  const TensorView &targets = cmd.input(first + 1), &lengths = cmd.input(first + 3);
  const int64_t count = lengths.shape[0];
  int64_t* offsets = ctx.scratch<int64_t>(count + 1);
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    offsets[i] = targets.rank == 1 ? total : 0;
    const int64_t room = targets.rank == 1 ? targets.shape[0] - total : targets.shape[1];
    total += checked(cmd, read_index(lengths, i * lengths.strides[0]), 0, room, "target length", i);
  }
  return offsets;
}

// loss[i] = −log p(targets of i); infinite where no alignment exists.
template <class T>
void ctc(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& loss = cmd.output(0);
  const int64_t* offsets = target_offsets(ctx, cmd, 0);
  ctx.parallel(loss.shape[0], [&](int64_t i) {
    Sequence<T> sequence(cmd, 0, i, offsets[i], cmd.integer(0));
    C value = Sequence<T>::kNothing;
    if (sequence.possible()) {
      const int64_t row = sequence.row();
      auto* memory = ctx.thread_scratch<std::byte>((sequence.scratch(2) * int64_t{sizeof(C)}) + row * 8 + 64);
      auto* classes = reinterpret_cast<int64_t*>(memory);
      C* rows[2];
      rows[0] = sequence.tables(reinterpret_cast<C*>(memory + row * 8), classes);
      rows[1] = rows[0] + row;
      if (sequence.steps() == 0) {
        value = C(0);  // no labels either: the empty sequence is certain
      } else {
        sequence.first_row(rows[0]);
        for (int64_t t = 1; t < sequence.steps(); ++t) sequence.next_row(t, rows[(t - 1) % 2], rows[t % 2]);
        value = sequence.total(rows[(sequence.steps() - 1) % 2]);
      }
    }
    loss.as<C>()[i * loss.strides[0]] = -value;
  });
}

// gx[t, i, c] = −g[i] · (the share of alignments that are at class c at step t). Writes =.
template <class T>
void ctc_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView &g = cmd.input(0), &scores = cmd.input(1), &gx = cmd.output(0);
  const int64_t classes = scores.shape[2];
  const int64_t* offsets = target_offsets(ctx, cmd, 1);
  ctx.parallel(g.shape[0], [&](int64_t i) {
    Sequence<T> sequence(cmd, 1, i, offsets[i], cmd.integer(0));
    const int64_t row = sequence.row(), steps = sequence.steps();
    const int64_t rows = sequence.possible() ? steps + 2 : 0;
    auto* memory = ctx.thread_scratch<std::byte>(
        ((sequence.possible() ? sequence.scratch(rows) : 0) + classes) * int64_t{sizeof(C)} + row * 8 + 128);
    auto* places = reinterpret_cast<int64_t*>(memory);
    C* shares = reinterpret_cast<C*>(memory + (sequence.possible() ? row * 8 : 0));
    const C factor = -g.as<C>()[i * g.strides[0]];
    C* alphas = nullptr;
    C* after = nullptr;
    C* betas = nullptr;
    C total = 0;
    if (sequence.possible() && steps > 0) {
      alphas = sequence.tables(shares + classes, places);
      after = alphas + steps * row;
      betas = after + row;
      sequence.first_row(alphas);
      for (int64_t t = 1; t < steps; ++t) sequence.next_row(t, alphas + (t - 1) * row, alphas + t * row);
      total = sequence.total(alphas + (steps - 1) * row);
      for (C* table : {after, betas}) {
        std::fill(table - kMargin, table + sequence.positions() + kMargin, Sequence<T>::kNothing);
      }
      betas[sequence.positions() - 1] = 0;
      if (sequence.positions() > 1) betas[sequence.positions() - 2] = 0;
    }
    for (int64_t t = scores.shape[0] - 1; t >= 0; --t) {
      std::fill(shares, shares + classes, C(0));
      if (factor == C(0)) {
        // No loss, no gradient: also of one that was infinite and is not to count.
      } else if (t < steps && !sequence.possible()) {
        std::fill(shares, shares + classes, std::numeric_limits<C>::quiet_NaN());
      } else if (t < steps) {
        const C* alpha = alphas + t * row;
        for (int64_t s = 0; s < sequence.positions(); ++s) {
          shares[sequence.class_of(s)] += math::exp(C(alpha[s] + betas[s] - total));
        }
        if (t > 0) {
          std::swap(after, betas);
          sequence.previous_row(t, after, betas);
        }
      }
      T* to = gx.as<T>() + t * gx.strides[0] + i * gx.strides[1];
      for (int64_t c = 0; c < classes; ++c) to[c * gx.strides[2]] = static_cast<T>(factor * shares[c]);
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(ctc) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { ctc<T>(ctx, cmd); });
}
HADAL_CPU_KERNEL(ctcBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { ctc_backward<T>(ctx, cmd); });
}

}  // namespace hadal::cpu
