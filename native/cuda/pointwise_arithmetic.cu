// Pointwise arithmetic of two operands and three.
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {

namespace fn = functors;

namespace {

// Integer division that reports a divisor of 0, and gives 0 for it.
template <class F, class T>
struct Division {
  FaultSite site;
  __device__ T operator()(T a, T b) const {
    if (b != 0) return F()(a, b);
    site.raise(FaultKind::kDivisionByZero, 0, 0, 0);
    return 0;
  }
};
template <class F>
void run_division(CudaContext& ctx, const Command& cmd) {
  if (is_floating(cmd.output(0).dtype)) return run_floating<F, 2>(ctx, cmd);
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise<T, T, T>(ctx, cmd, Division<F, T>{ctx.fault_site(cmd, "")}); });
}

template <class F>
void run_bitwise(CudaContext& ctx, const Command& cmd) {
  if (cmd.output(0).dtype == DType::kBool) return run_functor<F, uint8_t>(ctx, cmd, std::make_index_sequence<2>());
  run_integer<F, 2>(ctx, cmd);
}

template <class F, int kInputs>
void run_distribution(CudaContext& ctx, const Command& cmd) {
  visit<DType::kFloat64>(cmd.name(), cmd.output(0).dtype,
                         [&]<class T>() { run_functor<F, T>(ctx, cmd, std::make_index_sequence<kInputs>()); });
}

struct LogicalComplement {
  __device__ uint8_t operator()(uint8_t x) const { return x ^ uint8_t(1); }
};

}  // namespace

HADAL_CUDA_KERNEL(add) { run_number_or_bool<fn::Add, fn::BitwiseOr, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(sub) { run_number<fn::Sub, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(mul) { run_number_or_bool<fn::Mul, fn::BitwiseAnd, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(div) { run_floating<fn::Div, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(maximum) { run_number_or_bool<fn::Maximum, fn::BitwiseOr, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(minimum) { run_number_or_bool<fn::Minimum, fn::BitwiseAnd, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(floorDivide) { run_division<fn::FloorDivide>(ctx, cmd); }
HADAL_CUDA_KERNEL(remainder) { run_division<fn::Remainder>(ctx, cmd); }
HADAL_CUDA_KERNEL(fmod) { run_division<fn::Fmod>(ctx, cmd); }
HADAL_CUDA_KERNEL(pow) { run_number<fn::Pow, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(atan2) { run_floating<fn::Atan2, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(hypot) { run_floating<fn::Hypot, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(copySign) { run_floating<fn::CopySign, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(logAddExp) { run_floating<fn::LogAddExp, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(zeta) { run_floating<fn::Zeta, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(gammainc) { run_floating<fn::Gammainc, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(gammaincc) { run_floating<fn::Gammaincc, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(nextAfter) {
  visit<DType::kFloat64, DType::kFloat32>(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    run_functor<fn::NextAfter, T>(ctx, cmd, std::make_index_sequence<2>());
  });
}
HADAL_CUDA_KERNEL(gcd) { run_integer<fn::Gcd, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(poisson) { run_distribution<fn::Poisson, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(binomial) { run_distribution<fn::Binomial, 3>(ctx, cmd); }
HADAL_CUDA_KERNEL(standardGamma) { run_distribution<fn::StandardGamma, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(standardGammaSlope) { run_distribution<fn::StandardGammaSlope, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(bitwiseAnd) { run_bitwise<fn::BitwiseAnd>(ctx, cmd); }
HADAL_CUDA_KERNEL(bitwiseOr) { run_bitwise<fn::BitwiseOr>(ctx, cmd); }
HADAL_CUDA_KERNEL(bitwiseXor) { run_bitwise<fn::BitwiseXor>(ctx, cmd); }
HADAL_CUDA_KERNEL(leftShift) { run_integer<fn::LeftShift, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(rightShift) { run_integer<fn::RightShift, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(bitwiseNot) {
  if (cmd.output(0).dtype == DType::kBool) return run_pointwise<uint8_t, uint8_t>(ctx, cmd, LogicalComplement{});
  run_integer<fn::BitwiseNot, 1>(ctx, cmd);
}
HADAL_CUDA_KERNEL(lerp) { run_floating<fn::Lerp, 3>(ctx, cmd); }
HADAL_CUDA_KERNEL(addcmul) { run_number<fn::Addcmul, 3>(ctx, cmd); }
HADAL_CUDA_KERNEL(addcdiv) { run_floating<fn::Addcdiv, 3>(ctx, cmd); }

}  // namespace hadal::cuda
