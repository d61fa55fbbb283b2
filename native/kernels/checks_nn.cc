// Checks of normalisation, attention and cross entropy: shapes and dtypes for which the kernels stay inside their tensors.
#include <initializer_list>

#include "kernels/activation.h"
#include "kernels/checks.h"

namespace hadal {

namespace {

using checks::require_dtype;
using checks::require_integer;
using checks::require_shape;
using checks::same_shape;

bool has_shape(const TensorView& view, std::initializer_list<int64_t> shape) {
  if (view.rank != static_cast<int>(shape.size())) return false;
  int axis = 0;
  for (const int64_t size : shape) {
    if (view.shape[axis++] != size) return false;
  }
  return true;
}

// What 16-bit floats compute in; statistics are kept in it.
DType compute_dtype(DType dtype) { return dtype == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32; }

// Two tensors of one shape and floating dtype: data and its result or gradient.
void require_alike(const Command& cmd, const TensorView& a, const TensorView& b, const char* what) {
  require_shape(same_shape(a, b), cmd, what);
  require_dtype(is_floating(a.dtype) && a.dtype == b.dtype, cmd, "needs tensors of one floating dtype");
}

// A vector of any floating dtype, or none.
void require_vector(const Command& cmd, const TensorView& view, int64_t size, const char* what) {
  if (!view.present()) return;
  require_shape(has_shape(view, {size}), cmd, what);
  require_dtype(is_floating(view.dtype), cmd, "needs floating vectors");
}

void require_row_statistics(const Command& cmd, const TensorView& x, std::initializer_list<const TensorView*> views) {
  for (const TensorView* view : views) {
    bool fits = view->rank == x.rank - 1;
    for (int axis = 0; fits && axis < view->rank; ++axis) fits = view->shape[axis] == x.shape[axis];
    require_shape(fits, cmd, "mean and rstd need one value per row");
    require_dtype(view->dtype == compute_dtype(x.dtype), cmd, "mean and rstd need the compute dtype");
  }
}

void require_channel_statistics(const Command& cmd, const TensorView& x, const TensorView& mean,
                                const TensorView& rstd) {
  for (const TensorView* view : {&mean, &rstd}) {
    require_shape(has_shape(*view, {x.shape[1]}), cmd, "mean and rstd need one value per channel");
    require_dtype(view->dtype == compute_dtype(x.dtype), cmd, "mean and rstd need the compute dtype");
  }
}

void require_none_or_relu(const Command& cmd, int attribute) {
  const auto none = static_cast<int64_t>(Activation::kNone), relu = static_cast<int64_t>(Activation::kRelu);
  require_integer(cmd, attribute, none, relu, "the activation is neither none nor relu");
}

}  // namespace

void check_layer_norm(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_shape(x.rank >= 1, cmd, "needs at least one axis");
  require_alike(cmd, x, cmd.output(0), "x and y differ in shape");
  require_vector(cmd, cmd.input(1), x.size(-1), "weight does not fit the last axis");
  require_vector(cmd, cmd.input(2), x.size(-1), "bias does not fit the last axis");
  require_row_statistics(cmd, x, {&cmd.output(1), &cmd.output(2)});
}

void check_layer_norm_backward(const Command& cmd) {
  const TensorView& x = cmd.input(1);
  require_shape(x.rank >= 1, cmd, "needs at least one axis");
  require_alike(cmd, x, cmd.input(0), "x and g differ in shape");
  require_alike(cmd, x, cmd.output(0), "x and gx differ in shape");
  require_vector(cmd, cmd.input(2), x.size(-1), "weight does not fit the last axis");
  require_vector(cmd, cmd.output(1), x.size(-1), "gw does not fit the last axis");
  require_vector(cmd, cmd.output(2), x.size(-1), "gb does not fit the last axis");
  require_row_statistics(cmd, x, {&cmd.input(3), &cmd.input(4)});
}

void check_rms_norm(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_shape(x.rank >= 1, cmd, "needs at least one axis");
  require_alike(cmd, x, cmd.output(0), "x and y differ in shape");
  require_vector(cmd, cmd.input(1), x.size(-1), "weight does not fit the last axis");
  require_row_statistics(cmd, x, {&cmd.output(1)});
}

void check_rms_norm_backward(const Command& cmd) {
  const TensorView& x = cmd.input(1);
  require_shape(x.rank >= 1, cmd, "needs at least one axis");
  require_alike(cmd, x, cmd.input(0), "x and g differ in shape");
  require_alike(cmd, x, cmd.output(0), "x and gx differ in shape");
  require_vector(cmd, cmd.input(2), x.size(-1), "weight does not fit the last axis");
  require_vector(cmd, cmd.output(1), x.size(-1), "gw does not fit the last axis");
  require_row_statistics(cmd, x, {&cmd.input(3)});
}

namespace {

// x and a result or gradient of its shape, row-major, and statistics of each group of its channels in each image.
void require_groups(const Command& cmd, const TensorView& x, std::initializer_list<const TensorView*> tensors,
                    const TensorView& mean, const TensorView& rstd) {
  require_shape(x.rank >= 2, cmd, "needs a batch and a channel axis");
  for (const TensorView* tensor : tensors) {
    require_alike(cmd, x, *tensor, "tensors differ in shape");
    require_shape(tensor->numel() == 0 || tensor->is_contiguous(), cmd, "needs contiguous tensors");
  }
  for (const TensorView* view : {&mean, &rstd}) {
    require_shape(view->rank == 2 && view->shape[0] == x.shape[0] && view->shape[1] > 0 &&
                      x.shape[1] % view->shape[1] == 0 && (view->numel() == 0 || view->is_contiguous()),
                  cmd, "mean and rstd need one value per image and group");
    require_dtype(view->dtype == compute_dtype(x.dtype), cmd, "mean and rstd need the compute dtype");
  }
}

}  // namespace

void check_group_norm(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_groups(cmd, x, {&x, &cmd.output(0)}, cmd.output(1), cmd.output(2));
  require_vector(cmd, cmd.input(1), x.shape[1], "weight does not fit the channels");
  require_vector(cmd, cmd.input(2), x.shape[1], "bias does not fit the channels");
}

void check_group_norm_backward(const Command& cmd) {
  const TensorView& x = cmd.input(1);
  require_groups(cmd, x, {&x, &cmd.input(0), &cmd.output(0)}, cmd.input(3), cmd.input(4));
  require_vector(cmd, cmd.input(2), x.shape[1], "weight does not fit the channels");
  require_vector(cmd, cmd.output(1), x.shape[1], "gw does not fit the channels");
  require_vector(cmd, cmd.output(2), x.shape[1], "gb does not fit the channels");
}

void check_batch_norm(const Command& cmd) {
  const TensorView& x = cmd.input(0);
  require_shape(x.rank >= 2, cmd, "needs a batch and a channel axis");
  require_alike(cmd, x, cmd.output(0), "x and y differ in shape");
  require_vector(cmd, cmd.input(1), x.shape[1], "weight does not fit the channels");
  require_vector(cmd, cmd.input(2), x.shape[1], "bias does not fit the channels");
  if (cmd.input(3).present()) require_alike(cmd, x, cmd.input(3), "x and residual differ in shape");
  require_vector(cmd, cmd.input(4), 1, "momentum is not one element");
  require_channel_statistics(cmd, x, cmd.output(1), cmd.output(2));
  require_vector(cmd, cmd.output(3), x.shape[1], "runningMean does not fit the channels");
  require_vector(cmd, cmd.output(4), x.shape[1], "runningVar does not fit the channels");
  const TensorView& batches = cmd.output(5);
  if (batches.present()) {
    require_shape(batches.rank == 0, cmd, "batches is not one element");
    require_dtype(batches.dtype == DType::kInt64, cmd, "batches needs int64");
  }
  require_none_or_relu(cmd, 1);
}

void check_batch_norm_backward(const Command& cmd) {
  const TensorView& x = cmd.input(1);
  require_shape(x.rank >= 2, cmd, "needs a batch and a channel axis");
  require_alike(cmd, x, cmd.input(0), "x and g differ in shape");
  require_alike(cmd, x, cmd.output(0), "x and gx differ in shape");
  require_vector(cmd, cmd.input(2), x.shape[1], "weight does not fit the channels");
  require_vector(cmd, cmd.input(3), x.shape[1], "bias does not fit the channels");
  require_vector(cmd, cmd.output(1), x.shape[1], "gw does not fit the channels");
  require_vector(cmd, cmd.output(2), x.shape[1], "gb does not fit the channels");
  require_channel_statistics(cmd, x, cmd.input(4), cmd.input(5));
  require_none_or_relu(cmd, 0);
}

namespace {

// Inputs from `first` on are q, k, v, mask?.
void require_attention(const Command& cmd, int first, const TensorView& y, const TensorView& lse) {
  const TensorView& q = cmd.input(first);
  const TensorView& k = cmd.input(first + 1);
  const TensorView& v = cmd.input(first + 2);
  const TensorView& mask = cmd.input(first + 3);
  require_shape(q.rank == 4 && k.rank == 4 && v.rank == 4, cmd, "needs q, k and v of rank 4");
  const int64_t b = q.shape[0], h = q.shape[1], t = q.shape[2], d = q.shape[3];
  const int64_t hk = k.shape[1], s = k.shape[2], dv = v.shape[3];
  require_shape(has_shape(k, {b, hk, s, d}), cmd, "k does not fit q");
  require_shape(has_shape(v, {b, hk, s, dv}), cmd, "v does not fit k");
  require_shape(hk > 0 ? h % hk == 0 : h == 0, cmd, "the heads of k do not divide those of q");
  require_shape(has_shape(y, {b, h, t, dv}), cmd, "y does not fit q and v");
  require_shape(has_shape(lse, {b, h, t}), cmd, "lse does not fit q");
  for (const TensorView* view : {&k, &v, &y}) {
    require_dtype(is_floating(q.dtype) && view->dtype == q.dtype, cmd, "needs tensors of one floating dtype");
  }
  require_dtype(lse.dtype == compute_dtype(q.dtype), cmd, "lse needs the compute dtype");
  if (mask.present()) {
    require_shape(has_shape(mask, {b, h, t, s}), cmd, "mask does not fit q and k");
    require_dtype(mask.dtype == DType::kBool || is_floating(mask.dtype), cmd, "mask is neither bool nor floating");
  }
  const double dropout = cmd.attribute(2);
  require_shape(dropout >= 0 && dropout <= 1, cmd, "dropout lies outside [0, 1]");
}

}  // namespace

void check_attention(const Command& cmd) { require_attention(cmd, 0, cmd.output(0), cmd.output(1)); }

void check_attention_backward(const Command& cmd) {
  require_attention(cmd, 1, cmd.input(5), cmd.input(6));
  require_alike(cmd, cmd.input(0), cmd.input(5), "g and y differ in shape");
  require_alike(cmd, cmd.input(1), cmd.output(0), "q and gq differ in shape");
  require_alike(cmd, cmd.input(2), cmd.output(1), "k and gk differ in shape");
  require_alike(cmd, cmd.input(3), cmd.output(2), "v and gv differ in shape");
}

namespace {

void require_losses(const Command& cmd, const TensorView& logits, const TensorView& target, const TensorView& weight,
                    std::initializer_list<const TensorView*> per_row) {
  require_shape(logits.rank == 2, cmd, "needs logits [n, classes]");
  require_dtype(is_floating(logits.dtype), cmd, "needs floating logits");
  require_shape(has_shape(target, {logits.shape[0]}), cmd, "target does not fit the rows");
  require_dtype(is_index(target.dtype), cmd, "needs an int32 or int64 target");
  require_vector(cmd, weight, logits.shape[1], "weight does not fit the classes");
  for (const TensorView* view : per_row) {
    require_shape(has_shape(*view, {logits.shape[0]}), cmd, "needs one loss and lse per row");
    require_dtype(view->dtype == compute_dtype(logits.dtype), cmd, "loss and lse need the compute dtype");
  }
}

}  // namespace

void check_cross_entropy(const Command& cmd) {
  require_losses(cmd, cmd.input(0), cmd.input(1), cmd.input(2), {&cmd.output(0), &cmd.output(1)});
}

void check_cross_entropy_backward(const Command& cmd) {
  require_losses(cmd, cmd.input(1), cmd.input(2), cmd.input(3), {&cmd.input(0), &cmd.input(4)});
  require_alike(cmd, cmd.input(1), cmd.output(0), "logits and gx differ in shape");
}

namespace {

// Inputs from `first` on are logProbs, targets, inputLengths, targetLengths. Lengths and targets are data: the kernel checks them.
void require_ctc(const Command& cmd, int first, const TensorView& per_sequence) {
  const TensorView &scores = cmd.input(first), &targets = cmd.input(first + 1);
  require_shape(scores.rank == 3, cmd, "needs scores [t, n, classes]");
  const int64_t n = scores.shape[1];
  require_dtype(is_floating(scores.dtype), cmd, "needs floating scores");
  require_shape(targets.rank == 1 || (targets.rank == 2 && targets.shape[0] == n), cmd,
                "targets do not fit the scores");
  for (const int i : {first + 2, first + 3}) require_shape(has_shape(cmd.input(i), {n}), cmd, "needs one length each");
  for (const int i : {first + 1, first + 2, first + 3}) {
    require_dtype(is_index(cmd.input(i).dtype), cmd, "needs int32 or int64 targets and lengths");
  }
  require_shape(has_shape(per_sequence, {n}), cmd, "needs one loss per sequence");
  require_dtype(per_sequence.dtype == compute_dtype(scores.dtype), cmd, "the loss needs the compute dtype");
  checks::require_integer(cmd, 0, 0, scores.shape[2] - 1, "the blank is no class");
}

}  // namespace

void check_ctc(const Command& cmd) { require_ctc(cmd, 0, cmd.output(0)); }

void check_ctc_backward(const Command& cmd) {
  require_ctc(cmd, 1, cmd.input(0));
  require_alike(cmd, cmd.input(1), cmd.output(0), "scores and gx differ in shape");
}

}  // namespace hadal
