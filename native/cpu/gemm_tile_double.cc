// The register tiles of double.
#include "cpu/gemm_tile_kernels.h"

namespace hadal::cpu {
template TileKernel<double> tile_kernel<double>(int, int, bool);
}  // namespace hadal::cpu
