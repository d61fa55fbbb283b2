// Pointwise ops with a bool in them: predicates, comparisons, logic and where.
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"

namespace hadal::cuda {

namespace fn = functors;

HADAL_CUDA_KERNEL(isNaN) { run_predicate<fn::IsNaN, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(isInf) { run_predicate<fn::IsInf, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(isFinite) { run_predicate<fn::IsFinite, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(logicalNot) { run_predicate<fn::LogicalNot, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(equalTo) { run_predicate<fn::EqualTo, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(notEqual) { run_predicate<fn::NotEqual, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(less) { run_predicate<fn::Less, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(lessEqual) { run_predicate<fn::LessEqual, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(greater) { run_predicate<fn::Greater, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(greaterEqual) { run_predicate<fn::GreaterEqual, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(logicalAnd) { run_predicate<fn::LogicalAnd, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(logicalOr) { run_predicate<fn::LogicalOr, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(logicalXor) { run_predicate<fn::LogicalXor, 2>(ctx, cmd); }

namespace {

// On elements of one width, whatever they mean.
template <class T>
struct Where {
  __device__ T operator()(uint8_t condition, T a, T b) const { return condition != 0 ? a : b; }
};

}  // namespace

HADAL_CUDA_KERNEL(where) {
  visit_width(cmd.output(0).dtype, [&]<class T>() { run_pointwise<T, uint8_t, T, T>(ctx, cmd, Where<T>{}); });
}

}  // namespace hadal::cuda
