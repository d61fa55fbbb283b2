// Attention of 16-bit floats by cuDNN (cuda/cudnn.h), for heads of a multiple of eight. Neither masks, of which it takes fewer forms, nor
// dropout, whose random numbers are its own. Inputs that lie otherwise than it reads them are copied.
#include "cuda/cudnn.h"
#include "cuda/device/attention.cuh"

namespace hadal::cuda {
namespace {

// Whether the elements of a row lie side by side, rows at multiples of 16 bytes, and nothing is broadcast; then the strides of axes of
// one are such too.
bool find_aligned_strides(TensorView& view) {
  constexpr int64_t kBytes = 16, kElements = 8;
  bool aligned = reinterpret_cast<uintptr_t>(view.data) % kBytes == 0 && view.strides[3] == 1;
  for (int axis = 2; axis >= 0; --axis) {
    if (view.shape[axis] == 1) view.strides[axis] = view.strides[axis + 1] * view.shape[axis + 1];
    aligned = aligned && view.strides[axis] > 0 && view.strides[axis] % kElements == 0;
  }
  return aligned;
}

// Whether cuDNN may be asked; makes the tensors such that it reads and writes them.
bool prepare(CudaContext& ctx, const Command& cmd, const ScoreRules& rules, DnnAttention& a,
             std::initializer_list<TensorView*> inputs, std::initializer_list<TensorView*> outputs) {
  const AttentionSizes n(a.q, a.k, a.v);
  a.scale = static_cast<float>(rules.scale);
  a.causal = rules.causal;
  if (ctx.cudnn() == nullptr || rules.mask.present() || rules.drops() || !(a.scale > 0 && std::isfinite(a.scale)) ||
      n.b * n.h * n.hk * n.d * n.dv == 0 || n.t < 2 || n.s < 2 || n.d % 8 != 0 || n.dv % 8 != 0 ||
      !a.lse.is_contiguous() || !ctx.cudnn()->is_worthwhile(a)) {
    return false;
  }
  for (TensorView* output : outputs) {
    if (!find_aligned_strides(*output)) return false;
  }
  for (TensorView* input : inputs) {
    if (find_aligned_strides(*input)) continue;
    *input = packed(ctx, cmd, *input, 0);
    find_aligned_strides(*input);
  }
  return true;
}

}  // namespace

bool attention_by_cudnn(CudaContext& ctx, const Command& cmd) {
  DnnAttention a;
  a.q = cmd.input(0);
  a.k = cmd.input(1);
  a.v = cmd.input(2);
  a.y = cmd.output(0);
  a.lse = cmd.output(1);
  return prepare(ctx, cmd, ScoreRules(cmd, 3), a, {&a.q, &a.k, &a.v}, {&a.y}) && ctx.cudnn()->attend(ctx, cmd, a);
}

bool attention_backward_by_cudnn(CudaContext& ctx, const Command& cmd) {
  DnnAttention a;
  a.g = cmd.input(0);
  a.q = cmd.input(1);
  a.k = cmd.input(2);
  a.v = cmd.input(3);
  a.y = cmd.input(5);
  a.lse = cmd.input(6);
  a.gq = cmd.output(0);
  a.gk = cmd.output(1);
  a.gv = cmd.output(2);
  return prepare(ctx, cmd, ScoreRules(cmd, 4), a, {&a.q, &a.k, &a.v, &a.y, &a.g}, {&a.gq, &a.gk, &a.gv}) &&
         ctx.cudnn()->attend_backward(ctx, cmd, a);
}

}  // namespace hadal::cuda
