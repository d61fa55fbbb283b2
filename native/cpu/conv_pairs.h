// Convolutions of bfloat16 as products of pairs (pair_tiles.h), over images whose channels are planes. Called by conv.cc where has_pair_tiles().
#pragma once

#include "cpu/conv_pass.h"

namespace hadal::cpu {

void convolve_pairs(KernelContext& ctx, const Pass<BFloat16>& pass, const Weights<BFloat16>& weights);
// The gradient of an input of few channels, `weights.out` of them, from `in` channels of g. Answers false, and does nothing, where that is not
// faster than a pass per remainder of the stride.
bool spread_pairs(KernelContext& ctx, const Geometry& geometry, const Images<BFloat16>& g,
                  const Weights<BFloat16>& weights, const Images<BFloat16>& gx);
// Sums of float over a fixed share of the images each, which are added in order. Writes =.
void weight_gradient_pairs(KernelContext& ctx, const WeightTap<BFloat16>& tap);

}  // namespace hadal::cpu
