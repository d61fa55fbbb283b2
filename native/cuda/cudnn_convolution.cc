// Convolutions for cuDNN: graphs of one operation.
#include <algorithm>
#include <optional>

#include "cuda/cudnn.h"
#include "cuda/cudnn_graph.h"

namespace hadal::cuda {

using namespace dnn;

namespace {

constexpr uint32_t kLessExact = bit(kTensorCore) | bit(kDownConvertInputs);  // of float32

// The padding behind an axis with which its windows are as many as y has: the same as before it, where that is right. None where even
// without any there would be more.
std::optional<int64_t> padding_after(const DnnConvolution& c, int axis) {
  const int64_t needed = (c.y.shape[2 + axis] - 1) * c.stride[axis] +
                         (c.weight.shape[2 + axis] - 1) * c.dilation[axis] + 1 - c.x.shape[2 + axis] - c.pad[axis];
  const int64_t most = needed + c.stride[axis] - 1;
  if (most < 0) return std::nullopt;
  return std::clamp(c.pad[axis], std::max<int64_t>(needed, 0), most);
}

// The tensors are 0, 1 and 2: x, weight and y.
std::vector<Descriptor> describe(Descriptors& all, const DnnConvolution& c) {
  const int axes = c.x.rank - 2;
  int64_t after[3];
  for (int axis = 0; axis < axes; ++axis) {
    const std::optional<int64_t> padding = padding_after(c, axis);
    if (!padding) all.status = kNotSupported;
    after[axis] = padding.value_or(0);
  }
  const Descriptor x = describe_tensor(all, 0, c.x), weight = describe_tensor(all, 1, c.weight),
                   y = describe_tensor(all, 2, c.y);
  const Descriptor convolution = all.make(kConvolution);
  all.set(convolution, kConvolutionComputeType, kTypeDataType, kReal32);
  all.set(convolution, kConvolutionModeOf, kTypeConvolutionMode, kCrossCorrelation);
  all.set(convolution, kConvolutionAxes, kTypeInt64, int64_t{axes});
  all.set(convolution, kConvolutionDilations, kTypeInt64, c.dilation, axes);
  all.set(convolution, kConvolutionStrides, kTypeInt64, c.stride, axes);
  all.set(convolution, kConvolutionPaddingBefore, kTypeInt64, c.pad, axes);
  all.set(convolution, kConvolutionPaddingAfter, kTypeInt64, after, axes);
  all.finalize(convolution);
  const auto [type, first] = c.result == DnnConvolution::kY       ? std::pair(kForward, kForwardFirst)
                             : c.result == DnnConvolution::kGradX ? std::pair(kBackwardData, kBackwardDataFirst)
                                                                  : std::pair(kBackwardFilter, kBackwardFilterFirst);
  const Descriptor operation = all.make(type);
  int place = first;
  for (const float scale : {1.0f, c.accumulate ? 1.0f : 0.0f}) {
    all.set(operation, static_cast<Attribute>(place++), kTypeFloat, scale);
  }
  for (const Descriptor part : {convolution, weight, x, y}) {
    all.set(operation, static_cast<Attribute>(place++), kTypeDescriptor, part);
  }
  all.finalize(operation);
  return {operation};
}

}  // namespace

bool Cudnn::convolve(CudaContext& ctx, const Command& cmd, const DnnConvolution& c) {
  Problem problem;
  problem.tensors = {c.x, c.weight, c.y};
  problem.details = {c.result, c.accumulate};
  for (const auto* of_axes : {&c.stride, &c.pad, &c.dilation}) {
    problem.details.insert(problem.details.end(), *of_axes, *of_axes + c.x.rank - 2);
  }
  problem.describe = [&](Descriptors& all, const Problem&) { return describe(all, c); };
  problem.unwanted = c.x.dtype != DType::kFloat32 ? bit(kDownConvertInputs) : tf32_ ? 0 : kLessExact;
  if (c.accumulate) problem.accumulated = 2;
  return solve(ctx, cmd, std::move(problem));
}

}  // namespace hadal::cuda
