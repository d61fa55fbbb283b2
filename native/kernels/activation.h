// The activations that products apply as they write. Called by cpu/gemm.cc and cuda/matmul.cu.
#pragma once

#include "kernels/functors.h"

namespace hadal {

// The codes of the `activation` attribute of ops.def.
enum class Activation : uint8_t { kNone, kRelu, kGelu, kGeluTanh, kSilu };

// Calls `body` with the function and with what multiplies a gradient by its slope; not at all for kNone.
template <class F>
HADAL_HD inline void visit_activation(Activation activation, F&& body) {
  switch (activation) {
    case Activation::kNone: return;
    case Activation::kRelu: return body(functors::Relu(), functors::ReluBackward());
    case Activation::kGelu: return body(functors::Gelu(), functors::GeluBackward());
    case Activation::kGeluTanh: return body(functors::GeluTanh(), functors::GeluTanhBackward());
    case Activation::kSilu: return body(functors::Silu(), functors::SiluBackward());
  }
}

}  // namespace hadal
