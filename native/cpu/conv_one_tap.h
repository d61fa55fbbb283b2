// Convolutions with kernels of one tap over planes. Called by conv.cc.
#pragma once

#include "cpu/conv_pass.h"

namespace hadal::cpu {

// Whether a pass is a product per image whose pixels are adjacent, of which every step-th may count.
template <class E>
bool suits_one_tap(const Pass<E>& pass);

// E is float, double or, where has_pair_kernels(), BFloat16, of which each pixel counts.
template <class E>
void convolve_one_tap(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights);

}  // namespace hadal::cpu
