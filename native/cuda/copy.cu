// Copies: any dtype to any dtype, any strides to any strides. One dtype moves bytes, transposes in tiles; two convert.
#include "cuda/device/pointwise.cuh"
#include "cuda/registry.h"
#include "kernels/convert.h"

namespace hadal::cuda {

namespace {

template <class To, class From>
struct Convert {
  __device__ To operator()(const Compute<From>& x) const { return convert<To>(x); }
};

}  // namespace

HADAL_CUDA_KERNEL(copy) {
  const DType to = cmd.output(0).dtype, from = cmd.input(0).dtype;
  if (to == from) {
    visit_width(to, [&]<class T>() { run_pointwise<T, T>(ctx, cmd, Move()); });
    return;
  }
  visit_any(cmd.name(), to, [&]<class To>() {
    visit_any(cmd.name(), from, [&]<class From>() { run_pointwise<To, From>(ctx, cmd, Convert<To, From>{}); });
  });
}

}  // namespace hadal::cuda
