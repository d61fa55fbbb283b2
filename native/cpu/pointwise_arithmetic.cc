// Pointwise arithmetic of two operands and three.
#include "cpu/pointwise.h"
#include "runtime/registry.h"

namespace hadal {

using namespace cpu;
namespace fn = functors;

namespace {

// x^b for the exponents that come up as constants, without a logarithm.
struct Cube {
  template <class V>
  V operator()(V x) const {
    return x * x * x;
  }
};
template <class F>
void run_power(KernelContext& ctx, const Command& cmd) {
  const F functor{};
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    run_pointwise(ctx, {vector_block<F, T, 1>, &functor}, cmd.output(0), cmd.tensors, 1);
  });
}
bool one_value(const TensorView& view) {
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.shape[axis] != 1 && view.strides[axis] != 0) return false;
  }
  return view.numel() > 0;
}
double value_of(const TensorView& view) {
  double value = 0;
  visit_floating("pow", view.dtype, [&]<class T>() { value = static_cast<Compute<T>>(*view.as<T>()); });
  return value;
}

// Integer division: refuses a divisor of 0, which the processor would trap on.
template <class F, class T>
void division_block(const void* functor, const BlockArguments& block) {
  const T* b = static_cast<const T*>(block.inputs[1]);
  bool zero = false;
  for (int64_t i = 0, count = block.scalar[1] ? 1 : block.count; i < count; ++i) zero |= b[i] == 0;
  if (zero)
    throw Error(ErrorCode::kIndex,
                std::string(F::kName) + ": integer division by zero: got a divisor of 0, expected another");
  scalar_block<F, T, 2>(functor, block);
}
template <class F>
void run_division(KernelContext& ctx, const Command& cmd) {
  if (is_floating(cmd.output(0).dtype)) return run_floating<F, 2>(ctx, cmd, Cost::kScalar);
  const F functor{};
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {division_block<F, T>, &functor, Cost::kScalar}, cmd); });
}
struct FloorDivide : fn::FloorDivide {
  static constexpr const char* kName = "floorDivide";
};
struct Remainder : fn::Remainder {
  static constexpr const char* kName = "remainder";
};
struct Fmod : fn::Fmod {
  static constexpr const char* kName = "fmod";
};

template <class F>
void run_integer_or_bool(KernelContext& ctx, const Command& cmd) {
  const F functor{};
  if (cmd.output(0).dtype == DType::kBool) {
    return run_pointwise(ctx, {vector_block<F, uint8_t, 2>, &functor}, cmd);
  }
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {vector_block<F, T, 2>, &functor}, cmd); });
}
template <class F>
void run_shift(KernelContext& ctx, const Command& cmd) {
  const F functor{};
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {vector_block<F, T, 2>, &functor}, cmd); });
}
template <class F, int kInputs>
void run_distribution(KernelContext& ctx, const Command& cmd) {
  const F functor{};
  visit<DType::kFloat64>(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    run_pointwise(ctx, {scalar_block<F, T, kInputs>, &functor, Cost::kScalar}, cmd);
  });
}
struct LogicalComplement {
  template <class V>
  V operator()(V x) const {
    return x ^ uint8_t(1);
  }
};

}  // namespace

HADAL_CPU_KERNEL(add) { run_number_or_bool<fn::Add, fn::BitwiseOr, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(sub) { run_number<fn::Sub, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(mul) { run_number_or_bool<fn::Mul, fn::BitwiseAnd, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(div) { run_floating<fn::Div, 2>(ctx, cmd, Cost::kMemory); }
HADAL_CPU_KERNEL(maximum) { run_number_or_bool<fn::Maximum, fn::BitwiseOr, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(minimum) { run_number_or_bool<fn::Minimum, fn::BitwiseAnd, 2>(ctx, cmd); }

HADAL_CPU_KERNEL(floorDivide) { run_division<FloorDivide>(ctx, cmd); }
HADAL_CPU_KERNEL(remainder) { run_division<Remainder>(ctx, cmd); }
HADAL_CPU_KERNEL(fmod) { run_division<Fmod>(ctx, cmd); }

HADAL_CPU_KERNEL(pow) {
  const DType dtype = cmd.output(0).dtype;
  if (!is_floating(dtype)) {
    const fn::Pow functor{};
    return visit_integer(cmd.name(), dtype, [&]<class T>() {
      run_pointwise(ctx, {scalar_block<fn::Pow, T, 2>, &functor, Cost::kScalar}, cmd);
    });
  }
  if (one_value(cmd.input(1))) {
    const double exponent = value_of(cmd.input(1));
    if (exponent == 2) return run_power<fn::Square>(ctx, cmd);
    if (exponent == 3) return run_power<Cube>(ctx, cmd);
    if (exponent == 0.5) return run_power<fn::Sqrt>(ctx, cmd);
    if (exponent == -1) return run_power<fn::Reciprocal>(ctx, cmd);
  }
  run_floating<fn::Pow, 2>(ctx, cmd, dtype == DType::kFloat64 ? Cost::kScalar : Cost::kTranscendental);
}
HADAL_CPU_KERNEL(atan2) { run_floating<fn::Atan2, 2>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(hypot) { run_floating<fn::Hypot, 2>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(copySign) { run_floating<fn::CopySign, 2>(ctx, cmd, Cost::kMemory); }
HADAL_CPU_KERNEL(logAddExp) { run_floating<fn::LogAddExp, 2>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(zeta) { run_floating<fn::Zeta, 2>(ctx, cmd, Cost::kScalar); }
HADAL_CPU_KERNEL(gammainc) { run_floating<fn::Gammainc, 2>(ctx, cmd, Cost::kScalar); }
HADAL_CPU_KERNEL(gammaincc) { run_floating<fn::Gammaincc, 2>(ctx, cmd, Cost::kScalar); }
HADAL_CPU_KERNEL(nextAfter) {
  const fn::NextAfter functor{};
  visit<DType::kFloat64, DType::kFloat32>(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    run_pointwise(ctx, {vector_block<fn::NextAfter, T, 2>, &functor}, cmd);
  });
}
HADAL_CPU_KERNEL(gcd) {
  const fn::Gcd functor{};
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {scalar_block<fn::Gcd, T, 2>, &functor, Cost::kScalar}, cmd); });
}
HADAL_CPU_KERNEL(poisson) { run_distribution<fn::Poisson, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(binomial) { run_distribution<fn::Binomial, 3>(ctx, cmd); }
HADAL_CPU_KERNEL(standardGamma) { run_distribution<fn::StandardGamma, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(standardGammaSlope) { run_distribution<fn::StandardGammaSlope, 2>(ctx, cmd); }

HADAL_CPU_KERNEL(bitwiseAnd) { run_integer_or_bool<fn::BitwiseAnd>(ctx, cmd); }
HADAL_CPU_KERNEL(bitwiseOr) { run_integer_or_bool<fn::BitwiseOr>(ctx, cmd); }
HADAL_CPU_KERNEL(bitwiseXor) { run_integer_or_bool<fn::BitwiseXor>(ctx, cmd); }
HADAL_CPU_KERNEL(leftShift) { run_shift<fn::LeftShift>(ctx, cmd); }
HADAL_CPU_KERNEL(rightShift) { run_shift<fn::RightShift>(ctx, cmd); }
HADAL_CPU_KERNEL(bitwiseNot) {
  if (cmd.output(0).dtype == DType::kBool) {
    const LogicalComplement functor{};
    return run_pointwise(ctx, {vector_block<LogicalComplement, uint8_t, 1>, &functor}, cmd);
  }
  const fn::BitwiseNot functor{};
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {vector_block<fn::BitwiseNot, T, 1>, &functor}, cmd); });
}

HADAL_CPU_KERNEL(lerp) { run_floating<fn::Lerp, 3>(ctx, cmd, Cost::kMemory); }
HADAL_CPU_KERNEL(addcmul) { run_number<fn::Addcmul, 3>(ctx, cmd); }
HADAL_CPU_KERNEL(addcdiv) { run_floating<fn::Addcdiv, 3>(ctx, cmd, Cost::kMemory); }

}  // namespace hadal
