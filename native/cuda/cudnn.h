// Convolutions and attention by cuDNN (9), opened at run time (cuda/library_search.h). Owns the handle and the plans (which of cuDNN's
// engines serves which problem); not what is done where it cannot help. One per stream, used on the thread that launches. Called by
// conv.cu, attention.cu and attention_backward.cu. How a problem is described is in cudnn_convolution.cc and cudnn_attention.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cuda/cuda_context.h"

namespace hadal::cuda {

namespace dnn {
struct Problem;  // cuda/cudnn_graph.h
}

// A convolution x [n, c, …], weight [o, c / groups, …], y [n, o, …] with two or three axes of space, or a gradient of it: of the
// three tensors one is written. All have one dtype and lie side by side, channels outside or inside; none is empty.
// cuDNN reads and writes them in any mixture of these, and turns what its engine wants otherwise in its workspace: nothing is copied for it.
struct DnnConvolution {
  enum Result : int64_t { kY, kGradX, kGradWeight };

  Result result;
  TensorView x, weight, y;
  int64_t stride[3] = {}, pad[3] = {}, dilation[3] = {};  // of the axes of space, as many as there are
  bool accumulate = false;                                // adds to what the result holds
};

// y = softmax(q·kᵀ·scale) · v for q [b, h, t, d], k [b, hk, s, d] and v [b, hk, s, dv], and the log-sum-exp of the scores, lse [b, h, t]; or,
// of the gradient g of y, those of q, k and v. `causal` hides keys after the query's own position, counted from the top left. All but
// lse (float32) have one 16-bit dtype.
struct DnnAttention {
  TensorView q, k, v, y, lse;
  float scale = 1;
  bool causal = false;
  TensorView g, gq, gk, gv;  // for the gradient
};

class Cudnn {
 public:
  // Null where the library is not there, or HADAL_CUDNN=0. Throws Error where it is and does not start. With HADAL_CUDNN=all it is
  // worthwhile at all times.
  static std::unique_ptr<Cudnn> open(cudaStream_t stream);
  // What to do about a missing library, for people; empty where it is there or not wanted.
  static std::string remedy();

  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  // Launch what is asked for; write =. False where cuDNN has no engine for it: then nothing is done.
  // Sums are float and rounded once. Engines that are not deterministic, or transform their tensors (Winograd, Fourier), are left out.
  // The same shapes, strides and alignments give the same engine: the first that cuDNN proposes, or with HADAL_CUDA_TUNE=1 the quickest of
  // the first kTunedEngines, measured when a problem is first met, which waits for the stream and may choose otherwise in another run.

  // Products of float32 are exact, unless HADAL_TF32=1 lets their factors be rounded to TF32.
  bool convolve(CudaContext& ctx, const Command& cmd, const DnnConvolution& convolution);
  bool attend(CudaContext& ctx, const Command& cmd, DnnAttention attention);
  // A kernel of attention is compiled when its shapes are first met, which takes most of a second: for large ones only, and no more than
  // kMostCompiled of them. Gradients pass each score's slope through memory, to be added up in order, and so are left to our own kernels
  // unless HADAL_CUDNN=all.
  bool is_worthwhile(const DnnAttention& attention) const;
  // Gradients by keys and values that heads share are rounded for each head, then added up and rounded again.
  bool attend_backward(CudaContext& ctx, const Command& cmd, DnnAttention attention);

 private:
  struct Plan;
  // What an engine depends on.
  using Key = std::vector<int64_t>;
  struct Hash {
    size_t operator()(const Key& key) const;
  };

  explicit Cudnn(cudaStream_t stream);
  // For as many such problems, whose tensors follow each other along the first axis.
  bool solve(CudaContext& ctx, const Command& cmd, dnn::Problem problem, int64_t count = 1);
  std::unique_ptr<Plan> make_plan(CudaContext& ctx, const Command& cmd, const dnn::Problem& problem) const;
  // Answers with the status of cuDNN.
  int run(const dnn::Problem& problem, void* plan, void* workspace) const;

  void* handle_ = nullptr;
  bool tf32_, tunes_, always_;
  int compiled_ = 0;
  std::unordered_map<Key, std::unique_ptr<Plan>, Hash> plans_;
};

}  // namespace hadal::cuda
