// Attention on tensor cores for float16. A file of its own, so that the dtypes are compiled side by side.
#include "cuda/device/attention_tiles.cuh"

namespace hadal::cuda {

template bool attention_on_tensor_cores<Float16>(CudaContext& ctx, const Command& cmd);
template bool attention_backward_on_tensor_cores<Float16>(CudaContext& ctx, const Command& cmd,
                                                          const QueryStatistics<float>& statistics);

}  // namespace hadal::cuda
