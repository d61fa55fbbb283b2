// Attention of bfloat16 and its gradients as products of pairs (pair_tiles.h), and of float on AMX, as attention.cc and attention_backward.cc define them. Called by those.
#pragma once

#include "runtime/command.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

// False where this dtype, these sizes, these numbers or this processor are not for it: then the outputs hold nothing.
bool attention_pairs(KernelContext& ctx, const Command& cmd);
bool attention_backward_pairs(KernelContext& ctx, const Command& cmd);

}  // namespace hadal::cpu
