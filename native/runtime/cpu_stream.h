// The CPU device of one environment: commands run on the queue's thread, kernels split their work over the ThreadPool, memory
// comes from the caching allocator.
#pragma once

#include <memory>
#include <vector>

#include "runtime/command_queue.h"
#include "runtime/kernel_context.h"
#include "runtime/registry.h"
#include "runtime/scratch_arena.h"
#include "runtime/scratch_memory.h"

namespace hadal {

class CpuStream final : public CommandQueue, private CollectiveContext {
 public:
  explicit CpuStream(const CpuKernelTable& kernels) : kernels_(kernels) { start(); }
  ~CpuStream() override { stop(); }

  bool supports(Op op) const override { return kernels_.find(op) != nullptr; }
  Block allocate(size_t bytes) override { return allocator_.allocate(bytes, &completed_count()); }
  void free(Block block) override { allocator_.free(block, submitted()); }
  void release_cache() override;
  const MemoryStatistics& memory() const override { return allocator_.statistics(); }
  void reset_peak() override { allocator_.reset_peak(); }
  MemorySource& source() const override { return host_memory(); }
  void write(const Block& block, size_t offset, const void* from, size_t bytes) override;
  void read_idle(const std::byte* from, size_t bytes, void* to) override;
  void synchronize() override { wait_until_empty(); }

 private:
  void run_command(const Command& command) override;
  const uint64_t* run_group(const FusedGroup& group, const uint64_t* word) override;
  void run_copy(const Copy& copy) override;
  void discard(const Copy& copy) override { delete[] copy.staged; }

  const Blas& blas() const override;
  ProcessGroup* group() const override { return process_group(); }
  void run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) override;
  void* scratch_bytes(size_t bytes) override { return scratch_.allocate(bytes); }
  void* thread_scratch_bytes(size_t bytes) override;

  const CpuKernelTable& kernels_;
  static constexpr size_t kSpareMemory = size_t{1} << 30;
  alignas(kApart) Allocator allocator_{host_memory(), kSpareMemory};  // JS thread only
  // Queue's thread only.
  alignas(kApart) ScratchArena<HostScratch> scratch_;
  std::vector<std::unique_ptr<Command>> group_;  // the commands of the group that runs
};

}  // namespace hadal
