// Convolutions with kernels of 3 × 3 and 5 × 5, in each slice of a volume, and a stride of 1 there in Winograd's minimal filtering form. Called by conv.cc.
#pragma once

#include "cpu/conv_pass.h"

namespace hadal::cpu {

// Whether a pass can be run this way, and faster than tap by tap. Depends on sizes alone.
template <class E>
bool suits_winograd(const Pass<E>& pass);

// E is float or a 16-bit float, computed in float.
template <class E>
void convolve_winograd(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights);

// The gradient of the weights of such a pass of one tap in depth and 3 × 3, whose `out` is the output's gradient: [tap][in][output channels in whole vectors].
template <class E>
const float* kernel_sums_winograd(KernelContext& ctx, const Pass<E>& pass);

}  // namespace hadal::cpu
