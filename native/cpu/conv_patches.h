// Gradients of convolutions that cut images into patches: their kernel is as large as its stride, so that a pixel is in one window or in none, and
// windows are rows of a matrix that a permuted copy makes. Called by conv.cc.
#pragma once

#include "runtime/command.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

// The kernels of convInputGrad and convWeightGrad, if the windows of the convolution are patches; false, and nothing done, if they are not. E is any
// floating type.
template <class E>
bool patch_input_gradient(KernelContext& ctx, const Command& cmd);
template <class E>
bool patch_weight_gradient(KernelContext& ctx, const Command& cmd);

}  // namespace hadal::cpu
