// Connectionist temporal classification: the likelihood of label sequences over all their alignments, and its gradient, by the
// forward and backward recursions in log space. A block for each sequence, whose threads share its positions: the labels with blanks
// around them, 2·l + 1 of them. 16-bit floats compute in float. Graves et al., 2006, Connectionist temporal classification.
#include <limits>

#include "cuda/device/element.cuh"
#include "cuda/device/indices.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/registry.h"
#include "kernels/math.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;

// The positions of one label are a list.
struct Link {
  int32_t next;  // -1: none
  bool is_first;
};

template <class T>
struct CtcArguments {
  using C = Compute<T>;
  const T* scores;
  int64_t step_stride, sequence_stride, class_stride;
  int64_t steps, sequences, classes, blank;
  Indices targets, input_lengths, target_lengths;
  int64_t target_row, target_stride, input_stride, length_stride;
  bool joined;      // targets are one list
  int64_t room;     // for the labels of one sequence, or of all
  int64_t* begins;  // [n + 1]: where the labels of each sequence begin in a joined list
  int64_t row;      // elements of a row of the recursion: 2 · (most labels of a possible sequence) + 1
  C* rows;          // [n][rows][row]
  int64_t rows_each;
  int32_t* classes_at;  // [n][row]: the class of each position
  Link* links;          // [n][row]
  const C* g;
  int64_t g_stride;
  T* gx;
  int64_t gx_step, gx_sequence, gx_class;
  C* loss;
  int64_t loss_stride;
  FaultSite input_site, length_site, target_site;
};

// Where the labels begin, one thread: there are few sequences. Lengths that do not fit are faults, and count as 0.
template <class T>
__global__ void find_begins(CtcArguments<T> args) {
  int64_t total = 0;
  for (int64_t i = 0; i < args.sequences; ++i) {
    args.begins[i] = args.joined ? total : 0;
    const int64_t left = args.joined ? args.room - total : args.room,
                  length = args.target_lengths[i * args.length_stride];
    const bool fits = length >= 0 && length <= left;
    if (!fits) args.length_site.out_of_bounds(length, i, left);
    total += fits ? length : 0;
  }
}

template <class C>
__device__ C log_sum(C a, C b, C c) {
  constexpr C kNothing = -std::numeric_limits<C>::infinity();
  const C top = max(max(a, b), c), shift = top == kNothing ? C(0) : top;
  return math::log(math::exp(a - shift) + math::exp(b - shift) + math::exp(c - shift)) + shift;
}

// The sequence of a block.
template <class T>
struct Sequence {
  using C = Compute<T>;
  static constexpr C kNothing = -std::numeric_limits<C>::infinity();

  const CtcArguments<T>& args;
  int64_t index, steps, labels, positions;
  bool possible;
  const T* scores;
  int32_t* classes_at;
  C* rows;

  // Lays out the classes of the positions. All threads call; synchronises.
  __device__ explicit Sequence(const CtcArguments<T>& args) : args(args), index(blockIdx.x) {
    steps = args.input_lengths[index * args.input_stride];
    if (steps < 0 || steps > args.steps) {
      if (threadIdx.x == 0) args.input_site.out_of_bounds(steps, index, args.steps);
      steps = 0;
    }
    labels = args.target_lengths[index * args.length_stride];
    const int64_t begin = args.begins[index], left = args.joined ? args.room - begin : args.room;
    if (labels < 0 || labels > left) labels = 0;
    positions = 2 * labels + 1;
    // Without room for every label no alignment exists.
    possible = labels <= steps;
    if (!possible) positions = 0;
    scores = args.scores + index * args.sequence_stride;
    classes_at = args.classes_at + index * args.row;
    rows = args.rows + index * args.rows_each * args.row;
    for (int64_t s = threadIdx.x; s < positions; s += kBlock) {
      int64_t label = args.blank;
      if (s % 2 == 1) {
        const int64_t at =
            (args.joined ? begin * args.target_stride : index * args.target_row) + s / 2 * args.target_stride;
        label = args.targets[at];
        if (is_outside(label, args.classes)) {
          args.target_site.out_of_bounds(label, s / 2, args.classes - 1);
          label = 0;
        }
      }
      classes_at[s] = static_cast<int32_t>(label);
    }
    __syncthreads();
  }
  __device__ C score(int64_t t, int64_t s) const {
    return load_element(scores[t * args.step_stride + classes_at[s] * args.class_stride]);
  }
  // Whether a path may step from the label two positions before.
  __device__ bool skips(int64_t s) const { return s % 2 == 1 && s > 1 && classes_at[s] != classes_at[s - 2]; }
  __device__ C* row(int64_t i) const { return rows + i * args.row; }

  // α[s] = log Σ exp(α'[s], α'[s - 1], α'[s - 2] where it may skip) + the score.
  __device__ void advance(int64_t t, const C* before, C* after) const {
    for (int64_t s = threadIdx.x; s < positions; s += kBlock) {
      if (t == 0) {
        after[s] = s < 2 ? score(0, s) : kNothing;
      } else {
        after[s] =
            log_sum(before[s], s > 0 ? before[s - 1] : kNothing, skips(s) ? before[s - 2] : kNothing) + score(t, s);
      }
    }
    __syncthreads();
  }
  // β'[s] = log Σ exp(γ[s], γ[s + 1], γ[s + 2] where that may skip), with γ = β' + the score at the step after.
  __device__ void retreat(int64_t t, const C* after, C* before) const {
    const auto gamma = [&](int64_t s) { return s < positions ? after[s] + score(t, s) : kNothing; };
    for (int64_t s = threadIdx.x; s < positions; s += kBlock) {
      const bool skipped = s + 2 < positions && skips(s + 2);
      before[s] = log_sum(gamma(s), gamma(s + 1), skipped ? gamma(s + 2) : kNothing);
    }
    __syncthreads();
  }
  // The log-likelihood by the last row.
  __device__ C total(const C* last) const {
    return log_sum(last[positions - 1], positions > 1 ? last[positions - 2] : kNothing, kNothing);
  }
};

// loss[i] = −log p(targets of i); infinite where no alignment exists.
template <class T>
__global__ void __launch_bounds__(kBlock) ctc_kernel(CtcArguments<T> args) {
  using C = Compute<T>;
  const Sequence<T> sequence(args);
  C value = Sequence<T>::kNothing;
  if (sequence.possible) {
    for (int64_t t = 0; t < sequence.steps; ++t) sequence.advance(t, sequence.row((t + 1) % 2), sequence.row(t % 2));
    // Without steps there are no labels either: the empty sequence is certain.
    value = sequence.steps == 0 ? C(0) : sequence.total(sequence.row((sequence.steps - 1) % 2));
  }
  if (threadIdx.x == 0) args.loss[blockIdx.x * args.loss_stride] = -value;
}

// gx[t, i, c] = −g[i] · (the share of alignments that are at class c at step t). Rows: α of all steps, then two of β.
template <class T>
__global__ void __launch_bounds__(kBlock) ctc_backward_kernel(CtcArguments<T> args) {
  using C = Compute<T>;
  const Sequence<T> sequence(args);
  const int64_t steps = sequence.steps, positions = sequence.positions;
  const C factor = -args.g[blockIdx.x * args.g_stride];
  T* gx = args.gx + blockIdx.x * args.gx_sequence;
  // No loss, no gradient: also of one that was infinite and is not to count.
  const bool counts = factor != C(0) && sequence.possible;
  const C fill = factor != C(0) && !sequence.possible ? std::numeric_limits<C>::quiet_NaN() : C(0);
  for (int64_t t = 0; t < args.steps; ++t) {
    const T value = to_element<T>(t < steps ? fill : C(0));
    for (int64_t c = threadIdx.x; c < args.classes; c += kBlock) gx[t * args.gx_step + c * args.gx_class] = value;
  }
  if (!counts || steps == 0) return;

  const int32_t* classes_at = sequence.classes_at;
  Link* links = args.links + blockIdx.x * args.row;
  for (int64_t s = threadIdx.x; s < positions; s += kBlock) {
    Link link{-1, true};
    for (int64_t other = s + 1; other < positions && link.next < 0; ++other) {
      if (classes_at[other] == classes_at[s]) link.next = static_cast<int32_t>(other);
    }
    for (int64_t other = 0; other < s && link.is_first; ++other) link.is_first = classes_at[other] != classes_at[s];
    links[s] = link;
  }
  for (int64_t t = 0; t < steps; ++t) sequence.advance(t, sequence.row(t - 1), sequence.row(t));
  const C total = sequence.total(sequence.row(steps - 1));
  C *beta = sequence.row(args.steps), *spare = sequence.row(args.steps + 1);
  for (int64_t s = threadIdx.x; s < positions; s += kBlock) beta[s] = s + 2 >= positions ? C(0) : Sequence<T>::kNothing;
  __syncthreads();
  for (int64_t t = steps - 1; t >= 0; --t) {
    const C* alpha = sequence.row(t);
    const auto share = [&](int64_t s) { return math::exp(alpha[s] + beta[s] - total); };
    // The blank, at every second position, is summed by all threads; it is the class of position 0.
    C blanks = 0;
    for (int64_t s = threadIdx.x; s < positions; s += kBlock) {
      if (classes_at[s] == classes_at[0]) blanks += share(s);
    }
    blanks = block_reduce(blanks, C(0), Plus());
    for (int64_t s = threadIdx.x; s < positions; s += kBlock) {
      if (!links[s].is_first) continue;
      C sum = s == 0 ? blanks : C(0);
      for (int64_t place = s; s > 0 && place >= 0; place = links[place].next) sum += share(place);
      gx[t * args.gx_step + classes_at[s] * args.gx_class] = to_element<T>(factor * sum);
    }
    __syncthreads();
    if (t > 0) {
      sequence.retreat(t, beta, spare);
      C* other = beta;
      beta = spare;
      spare = other;
    }
  }
}

// Inputs from `first` on are logProbs, targets, inputLengths, targetLengths.
template <class T>
CtcArguments<T> ctc_arguments(CudaContext& ctx, const Command& cmd, int first, int64_t rows_each) {
  const TensorView &scores = cmd.input(first), &targets = cmd.input(first + 1), &inputs = cmd.input(first + 2),
                   &lengths = cmd.input(first + 3);
  const bool joined = targets.rank == 1;
  const int64_t sequences = lengths.shape[0], room = targets.shape[joined ? 0 : 1];
  const int64_t row = 2 * std::min(room, scores.shape[0]) + 1;
  CtcArguments<T> args{scores.as<const T>(),
                       scores.strides[0],
                       scores.strides[1],
                       scores.strides[2],
                       scores.shape[0],
                       sequences,
                       scores.shape[2],
                       cmd.integer(0),
                       Indices(targets),
                       Indices(inputs),
                       Indices(lengths),
                       joined ? 0 : targets.strides[0],
                       targets.strides[joined ? 0 : 1],
                       inputs.strides[0],
                       lengths.strides[0],
                       joined,
                       room,
                       ctx.scratch<int64_t>(sequences),
                       row,
                       ctx.scratch<Compute<T>>(sequences * rows_each * row),
                       rows_each,
                       ctx.scratch<int32_t>(sequences * row),
                       nullptr,
                       nullptr,
                       0,
                       nullptr,
                       0,
                       0,
                       0,
                       nullptr,
                       0,
                       ctx.fault_site(cmd, "", "input length"),
                       ctx.fault_site(cmd, "", "target length"),
                       ctx.fault_site(cmd, "", "target")};
  ctx.launch(cmd, find_begins<T>, 1, 1, 0, args);
  return args;
}

HADAL_CUDA_KERNEL(ctc) {
  const TensorView& loss = cmd.output(0);
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    CtcArguments<T> args = ctc_arguments<T>(ctx, cmd, 0, 2);
    args.loss = loss.as<Compute<T>>();
    args.loss_stride = loss.strides[0];
    ctx.launch(cmd, ctc_kernel<T>, static_cast<unsigned>(args.sequences), kBlock, 0, args);
  });
}
HADAL_CUDA_KERNEL(ctcBackward) {
  const TensorView &g = cmd.input(0), &gx = cmd.output(0);
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() {
    CtcArguments<T> args = ctc_arguments<T>(ctx, cmd, 1, cmd.input(1).shape[0] + 2);
    args.links = ctx.scratch<Link>(args.sequences * args.row);
    args.g = g.as<const Compute<T>>();
    args.g_stride = g.strides[0];
    args.gx = gx.as<T>();
    args.gx_step = gx.strides[0];
    args.gx_sequence = gx.strides[1];
    args.gx_class = gx.strides[2];
    ctx.launch(cmd, ctc_backward_kernel<T>, static_cast<unsigned>(args.sequences), kBlock, 0, args);
  });
}

}  // namespace
}  // namespace hadal::cuda
