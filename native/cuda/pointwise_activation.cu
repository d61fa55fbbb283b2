// Activation functions, losses of single elements, and the fused gradients of pointwise ops.
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {

namespace fn = functors;

HADAL_CUDA_KERNEL(relu) { run_number<fn::Relu, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(clamp) { run_number<fn::Clamp, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(leakyRelu) { run_floating<fn::LeakyRelu, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(elu) { run_floating<fn::Elu, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(sigmoid) { run_floating<fn::Sigmoid, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(logSigmoid) { run_floating<fn::LogSigmoid, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(gelu) { run_floating<fn::Gelu, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(geluTanh) { run_floating<fn::GeluTanh, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(silu) { run_floating<fn::Silu, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(mish) { run_floating<fn::Mish, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(softplus) { run_floating<fn::Softplus, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(hardsigmoid) { run_floating<fn::HardSigmoid, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(hardswish) { run_floating<fn::HardSwish, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(softsign) { run_floating<fn::Softsign, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(softshrink) { run_floating<fn::SoftShrink, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(hardshrink) { run_floating<fn::HardShrink, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(tanhshrink) { run_floating<fn::TanhShrink, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(threshold) { run_floating<fn::Threshold, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(prelu) { run_floating<fn::Prelu, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(glu) { run_floating<fn::Glu, 2>(ctx, cmd); }

HADAL_CUDA_KERNEL(huber) { run_floating<fn::Huber, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(bceWithLogits) { run_floating<fn::BceWithLogits, 2>(ctx, cmd); }

HADAL_CUDA_KERNEL(reluBackward) { run_floating<fn::ReluBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(leakyReluBackward) { run_floating<fn::LeakyReluBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(clampBackward) { run_floating<fn::ClampBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(sigmoidBackward) { run_floating<fn::SigmoidBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(tanhBackward) { run_floating<fn::TanhBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(eluBackward) { run_floating<fn::EluBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(geluBackward) { run_floating<fn::GeluBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(geluTanhBackward) { run_floating<fn::GeluTanhBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(siluBackward) { run_floating<fn::SiluBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(mishBackward) { run_floating<fn::MishBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(softplusBackward) { run_floating<fn::SoftplusBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(logSigmoidBackward) { run_floating<fn::LogSigmoidBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(hardsigmoidBackward) { run_floating<fn::HardSigmoidBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(hardswishBackward) { run_floating<fn::HardSwishBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(softsignBackward) { run_floating<fn::SoftsignBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(shrinkBackward) { run_floating<fn::ShrinkBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(tanhshrinkBackward) { run_floating<fn::TanhShrinkBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(preluBackward) { run_floating<fn::PreluBackward, 3>(ctx, cmd); }
HADAL_CUDA_KERNEL(preluWeightBackward) { run_floating<fn::PreluWeightBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(gluBackward) { run_floating<fn::GluBackward, 3>(ctx, cmd); }
HADAL_CUDA_KERNEL(logitBackward) { run_floating<fn::LogitBackward, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(logAddExpBackward) { run_floating<fn::LogAddExpBackward, 3>(ctx, cmd); }
HADAL_CUDA_KERNEL(bceWithLogitsBackward) { run_floating<fn::BceWithLogitsBackward, 3>(ctx, cmd); }

}  // namespace hadal::cuda
