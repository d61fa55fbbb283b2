// Pointwise ops of one operand: elementary and special functions, roundings.
#include "cpu/pointwise.h"
#include "runtime/registry.h"

namespace hadal {

using namespace cpu;
namespace fn = functors;

HADAL_CPU_KERNEL(abs) { run_number<fn::Abs, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(neg) { run_number<fn::Neg, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(sign) { run_number<fn::Sign, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(square) { run_number<fn::Square, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(floor) { run_number<fn::Floor, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(ceil) { run_number<fn::Ceil, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(round) { run_number<fn::Round, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(trunc) { run_number<fn::Trunc, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(frac) { run_number<fn::Frac, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(sqrt) { run_floating<fn::Sqrt, 1>(ctx, cmd, Cost::kMemory); }
HADAL_CPU_KERNEL(rsqrt) { run_floating<fn::Rsqrt, 1>(ctx, cmd, Cost::kMemory); }
HADAL_CPU_KERNEL(reciprocal) { run_floating<fn::Reciprocal, 1>(ctx, cmd, Cost::kMemory); }
HADAL_CPU_KERNEL(nanToNum) { run_floating<fn::NanToNum, 1>(ctx, cmd, Cost::kMemory); }

HADAL_CPU_KERNEL(exp) { run_floating<fn::Exp, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(exp2) { run_floating<fn::Exp2, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(expm1) { run_floating<fn::Expm1, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(log) { run_floating<fn::Log, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(log2) { run_floating<fn::Log2, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(log10) { run_floating<fn::Log10, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(log1p) { run_floating<fn::Log1p, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(logit) { run_floating<fn::Logit, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(sin) { run_floating<fn::Sin, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(cos) { run_floating<fn::Cos, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(tan) { run_floating<fn::Tan, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(asin) { run_floating<fn::Asin, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(acos) { run_floating<fn::Acos, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(atan) { run_floating<fn::Atan, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(sinh) { run_floating<fn::Sinh, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(cosh) { run_floating<fn::Cosh, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(tanh) { run_floating<fn::Tanh, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(asinh) { run_floating<fn::Asinh, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(acosh) { run_floating<fn::Acosh, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(atanh) { run_floating<fn::Atanh, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(erf) { run_floating<fn::Erf, 1>(ctx, cmd, Cost::kTranscendental); }

HADAL_CPU_KERNEL(erfc) { run_floating<fn::Erfc, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(erfinv) { run_floating<fn::Erfinv, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(erfcx) { run_floating<fn::Erfcx, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(ndtri) { run_floating<fn::Ndtri, 1>(ctx, cmd, Cost::kScalar); }
HADAL_CPU_KERNEL(i0) { run_floating<fn::I0, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(i0e) { run_floating<fn::I0e, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(i1) { run_floating<fn::I1, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(i1e) { run_floating<fn::I1e, 1>(ctx, cmd, Cost::kTranscendental); }
HADAL_CPU_KERNEL(lgamma) { run_floating<fn::Lgamma, 1>(ctx, cmd, Cost::kScalar); }
HADAL_CPU_KERNEL(digamma) { run_floating<fn::Digamma, 1>(ctx, cmd, Cost::kScalar); }
HADAL_CPU_KERNEL(polygamma) {
  const double order = cmd.attribute(0);
  if (!(order >= 0 && order <= math::kMaxPolygammaOrder) || order != static_cast<int>(order)) {
    throw Error(ErrorCode::kIndex,
                "polygamma: order: got " + std::to_string(order) + ", expected a whole number from 0 to 64");
  }
  run_floating<fn::Polygamma, 1>(ctx, cmd, Cost::kScalar);
}

}  // namespace hadal
