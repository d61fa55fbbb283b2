// Attention of bfloat16 and its gradients on AMX, as attention.cc and attention_backward.cc define them. Called by those.
#pragma once

#include "runtime/command.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

// False where these sizes, this dtype or this processor are not for it: then nothing has been done.
bool attention_amx(KernelContext& ctx, const Command& cmd);
bool attention_backward_amx(KernelContext& ctx, const Command& cmd);

}  // namespace hadal::cpu
