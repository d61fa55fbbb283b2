// Convolutions of bfloat16 in the tile registers of AMX, over images whose channels are planes. Called by conv.cc where has_amx().
#pragma once

#include "cpu/conv_pass.h"

namespace hadal::cpu {

void convolve_amx(KernelContext& ctx, const Pass<BFloat16>& pass, const Weights<BFloat16>& weights);
// Sums of float over a fixed share of the images each, which are added in order. Writes =.
void weight_gradient_amx(KernelContext& ctx, const WeightTap<BFloat16>& tap);

}  // namespace hadal::cpu
