// One CUDA device of one environment. The queue's thread turns commands into launches on one CUDA stream, so that the JS thread
// pays what it pays on the CPU; copies to and from the host have streams of their own and go through pinned memory.
//
// Memory is ordered by the main stream: what a copy stream reads or writes, the main stream waits for before it goes on.
#pragma once

#include <atomic>
#include <deque>

#include "cuda/blas_lt.h"
#include "cuda/cuda_context.h"
#include "cuda/cudnn.h"
#include "cuda/nccl.h"
#include "cuda/pinned_pool.h"
#include "cuda/program_graphs.h"
#include "cuda/registry.h"
#include "runtime/command_queue.h"

namespace hadal::cuda {

class CudaStream final : public CommandQueue, private CudaContext {
 public:
  // Throws Error when the device cannot be opened.
  CudaStream(const DeviceProperties& device, const CudaKernelTable& kernels);
  ~CudaStream() override;

  bool supports(Op op) const override { return kernels_.find(op) != nullptr; }
  bool has_tensor_cores() const override { return true; }
  Block allocate(size_t bytes) override;
  void free(Block block) override { allocator_.free(block, submitted()); }
  void release_cache() override;
  const MemoryStatistics& memory() const override { return allocator_.statistics(); }
  void reset_peak() override { allocator_.reset_peak(); }
  MemorySource& source() const override;
  void write(const Block& block, size_t offset, const void* from, size_t bytes) override;
  void read_idle(const std::byte* from, size_t bytes, void* to) override;
  void synchronize() override;
  bool take_error(StreamError& error) override;

 private:
  // A place in the queue that the device has reached once the event has happened.
  struct Milestone {
    cudaEvent_t event;
    uint64_t sequence;
  };

  void run_command(const Command& command) override;
  void run_program(const ProgramRun& run) override;
  int64_t run_timed(const Command& command) override;
  void run_copy(const Copy& copy) override;
  void discard(const Copy& copy) override;
  void* scratch_bytes(size_t bytes) override { return arena_->allocate(bytes); }
  BlasLt* blas() override;
  Cudnn* cudnn() override;
  Nccl* nccl() override;

  void copy_to_device(const Copy& copy);
  void copy_to_host(const Copy& copy);
  // Lets `later` wait for all that `earlier` has been given so far.
  void order(cudaStream_t earlier, cudaStream_t later);
  void mark_progress();
  void renew_fault_claim();
  void check(cudaError_t status);
  [[noreturn]] void fail(cudaError_t status) const;

  const CudaKernelTable& kernels_;
  Allocator allocator_;  // keeps all it can: giving back waits for the device
  DeviceArena scratch_;
  DeviceArena* arena_ = &scratch_;  // of the command that runs
  std::unique_ptr<ProgramGraphs> graphs_;
  PinnedPool pinned_;
  std::unique_ptr<BlasLt> blas_;
  std::unique_ptr<Cudnn> cudnn_;
  bool blas_asked_ = false, cudnn_asked_ = false;
  std::unique_ptr<Nccl> nccl_;
  cudaStream_t upload_ = nullptr;
  cudaStream_t download_ = nullptr;
  cudaEvent_t ordering_ = nullptr;
  cudaEvent_t timed_[2] = {};              // before and after a command, in a profile
  std::deque<Milestone> milestones_;       // queue's thread only
  std::vector<cudaEvent_t> spare_events_;  // queue's thread only
  uint64_t since_milestone_ = 0;
  std::atomic<bool> fault_taken_{false};
  std::atomic<uint64_t> device_completed_{0};  // commands and copies that have run on the device
};

}  // namespace hadal::cuda
