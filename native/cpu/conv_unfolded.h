// Convolutions of few pixels by many weights, as products that read the weights where they lie. Called by conv.cc.
#pragma once

#include "cpu/conv_pass.h"

namespace hadal::cpu {

// Whether a pass can be run this way, and faster than with packed weights. Depends on sizes and layouts alone.
template <class E>
bool suits_unfolded(const Pass<E>& pass, const Weights<E>& weights);

// E is float, double or, where there are pair kernels, BFloat16.
template <class E>
void convolve_unfolded(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights);

}  // namespace hadal::cpu
