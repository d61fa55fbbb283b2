// Convolutions by cuDNN (9), opened at run time (cuda/library_search.h). Owns the handle and the plans (which of cuDNN's engines serves
// which convolution); not what is done where it cannot help. One per stream, used on the thread that launches. Called by conv.cu.
//
// cuDNN reads and writes tensors with channels outside of positions or inside, in any mixture, and turns what its engine wants
// otherwise in its workspace: nothing is copied for it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "cuda/cuda_context.h"

namespace hadal::cuda {

// A convolution x [n, c, …], weight [o, c / groups, …], y [n, o, …] with two or three axes of space, or a gradient of it: of the
// three tensors one is written. All have one dtype and lie side by side, channels outside or inside; none is empty.
struct DnnConvolution {
  enum Result : int64_t { kY, kGradX, kGradWeight };

  Result result;
  TensorView x, weight, y;
  int64_t stride[3] = {}, pad[3] = {}, dilation[3] = {};  // of the axes of space, as many as there are
  bool accumulate = false;                                // adds to what the result holds
};

class Cudnn {
 public:
  // Null where the library is not there, or HADAL_CUDNN=0. Throws Error where it is and does not start.
  static std::unique_ptr<Cudnn> open(cudaStream_t stream);
  // What to do about a missing library, for people; empty where it is there or not wanted.
  static std::string remedy();

  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  // Launches the convolution; writes =. Products are summed in float and rounded once; those of float32 are exact, unless HADAL_TF32=1
  // lets their factors be rounded to TF32. Engines that are not deterministic, or transform their tensors (Winograd, Fourier),
  // are left out. The same shapes, strides and alignments give the same engine: the first that cuDNN proposes, or with
  // HADAL_CUDA_TUNE=1 the quickest of the first kTunedEngines, measured when a convolution is first met, which waits for the
  // stream and may choose otherwise in another run. False where cuDNN has none: then nothing is done.
  bool convolve(CudaContext& ctx, const Command& cmd, const DnnConvolution& convolution);

 private:
  struct Plan;
  // What an engine depends on.
  using Key = std::array<int64_t, 43>;
  struct Hash {
    size_t operator()(const Key& key) const;
  };

  explicit Cudnn(cudaStream_t stream);
  std::unique_ptr<Plan> make_plan(CudaContext& ctx, const Command& cmd, const DnnConvolution& convolution) const;
  // Answers with the status of cuDNN.
  int run(const DnnConvolution& convolution, void* plan, void* workspace) const;

  void* handle_ = nullptr;
  bool tf32_, tunes_;
  std::unordered_map<Key, std::unique_ptr<Plan>, Hash> plans_;
};

}  // namespace hadal::cuda
