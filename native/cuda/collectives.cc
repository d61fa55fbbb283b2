// Collectives over the GPUs of a process group, by NCCL, on the stream of the device. Outputs are written (=), and may be the inputs. Without a
// group there is one rank, which copies.
#include <string>

#include "cuda/nccl.h"
#include "cuda/registry.h"

namespace hadal::cuda {

namespace {

int64_t bytes_of(const TensorView& view) { return view.numel() * static_cast<int64_t>(size_of(view.dtype)); }

void copy(CudaContext& ctx, const Command& cmd, const TensorView& from, const TensorView& to) {
  if (from.data == to.data || from.numel() == 0) return;
  ctx.check(cmd, cudaMemcpyAsync(to.data, from.data, static_cast<size_t>(bytes_of(from)), cudaMemcpyDeviceToDevice,
                                 ctx.stream()));
}

void require_ranks(const Command& cmd, const TensorView& view, const Nccl* nccl) {
  const int ranks = nccl == nullptr ? 1 : nccl->size();
  if (view.shape[0] != ranks) {
    throw Error(ErrorCode::kShape, std::string(cmd.name()) + ": the axis of ranks does not fit: got " +
                                       std::to_string(view.shape[0]) + ", expected " + std::to_string(ranks));
  }
}

}  // namespace

HADAL_CUDA_KERNEL(allReduce) {
  Nccl* const nccl = ctx.nccl();
  const auto each = [&](auto&& body) {
    for (int i = 0; i < cmd.input_count; ++i) body(cmd.input(i), cmd.output(i));
  };
  if (nccl == nullptr) return each([&](const TensorView& x, const TensorView& y) { copy(ctx, cmd, x, y); });
  const auto reduction = static_cast<Reduction>(cmd.integer(0));
  nccl->launch(cmd, [&] {
    each([&](const TensorView& x, const TensorView& y) {
      nccl->all_reduce(cmd, x.data, y.data, x.numel(), x.dtype, reduction);
    });
  });
}

HADAL_CUDA_KERNEL(broadcast) {
  Nccl* const nccl = ctx.nccl();
  const int root = static_cast<int>(cmd.integer(0)), ranks = nccl == nullptr ? 1 : nccl->size();
  if (root >= ranks) {
    throw Error(ErrorCode::kIndex,
                "broadcast: root: got rank " + std::to_string(root) + ", expected less than " + std::to_string(ranks));
  }
  const auto each = [&](auto&& body) {
    for (int i = 0; i < cmd.input_count; ++i) body(cmd.input(i), cmd.output(i));
  };
  if (nccl == nullptr) return each([&](const TensorView& x, const TensorView& y) { copy(ctx, cmd, x, y); });
  nccl->launch(cmd, [&] {
    each([&](const TensorView& x, const TensorView& y) { nccl->broadcast(cmd, x.data, y.data, bytes_of(x), root); });
  });
}

HADAL_CUDA_KERNEL(allGather) {
  Nccl* const nccl = ctx.nccl();
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  require_ranks(cmd, y, nccl);
  if (nccl == nullptr) return copy(ctx, cmd, x, y);
  nccl->launch(cmd, [&] { nccl->all_gather(cmd, x.data, y.data, bytes_of(x)); });
}

HADAL_CUDA_KERNEL(reduceScatter) {
  Nccl* const nccl = ctx.nccl();
  const TensorView& x = cmd.input(0);
  const TensorView& y = cmd.output(0);
  require_ranks(cmd, x, nccl);
  if (nccl == nullptr) return copy(ctx, cmd, x, y);
  nccl->launch(cmd, [&] {
    nccl->reduce_scatter(cmd, x.data, y.data, y.numel(), y.dtype, static_cast<Reduction>(cmd.integer(0)));
  });
}

HADAL_CUDA_KERNEL(barrier) {
  Nccl* const nccl = ctx.nccl();
  const TensorView& y = cmd.output(0);
  ctx.check(cmd, cudaMemsetAsync(y.data, 0, 1, ctx.stream()));
  if (nccl == nullptr) return;
  nccl->launch(cmd, [&] { nccl->all_reduce(cmd, y.data, y.data, 1, y.dtype, Reduction::kMax); });
}

}  // namespace hadal::cuda
