// The register tiles of pairs of bfloat16.
#include "cpu/gemm_tile_kernels.h"

namespace hadal::cpu {

#if defined(__AVX512F__)
TileKernel<float> pair_kernel(int rows, int vectors, bool unit_row) {
  return find_kernel<float, true>(rows, vectors, unit_row);
}
bool has_pair_kernels() {
  static const bool fast = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd");
  return fast;
}
#else
TileKernel<float> pair_kernel(int, int, bool) { return nullptr; }
bool has_pair_kernels() { return false; }
#endif

}  // namespace hadal::cpu
