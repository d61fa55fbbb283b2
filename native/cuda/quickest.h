// Measures ways to do the same, for libraries that propose several. Called by blas_lt.cc and cudnn.cc.
#pragma once

#include <limits>

#include "cuda/cuda_context.h"

namespace hadal::cuda {

// The i < count for which `run(i)`, which launches something or answers false, takes the least time; waits for the stream. 0 where
// there is no choice, or the stream is being captured.
template <class F>
size_t find_quickest(CudaContext& ctx, const Command& cmd, size_t count, F&& run) {
  constexpr int kRuns = 3;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  ctx.check(cmd, cudaStreamIsCapturing(ctx.stream(), &capture));
  if (count < 2 || capture != cudaStreamCaptureStatusNone) return 0;
  size_t best = 0;
  cudaEvent_t begin, end;
  ctx.check(cmd, cudaEventCreate(&begin));
  ctx.check(cmd, cudaEventCreate(&end));
  float least = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < count; ++i) {
    // Once to load the kernel, then measured.
    bool runs = run(i);
    ctx.check(cmd, cudaEventRecord(begin, ctx.stream()));
    for (int again = 0; again < kRuns && runs; ++again) runs = run(i);
    ctx.check(cmd, cudaEventRecord(end, ctx.stream()));
    ctx.check(cmd, cudaEventSynchronize(end));
    float milliseconds = 0;
    ctx.check(cmd, cudaEventElapsedTime(&milliseconds, begin, end));
    if (runs && milliseconds < least) {
      least = milliseconds;
      best = i;
    }
  }
  ctx.check(cmd, cudaEventDestroy(begin));
  ctx.check(cmd, cudaEventDestroy(end));
  return best;
}

}  // namespace hadal::cuda
