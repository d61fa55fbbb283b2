// The register tiles of float.
#include "cpu/gemm_tile_kernels.h"

namespace hadal::cpu {
template TileKernel<float> tile_kernel<float>(int, int, bool);
}  // namespace hadal::cpu
