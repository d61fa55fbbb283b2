// Programs (runtime/program.h) as CUDA graphs: the kernels of a program are captured once and then launched with one call. Owns when a
// program is captured, and how a graph follows what changes between runs; not how a command becomes launches, which is the
// kernels' business. Used by CudaStream on the queue's thread.
//
// Between runs addresses, places in random streams and attributes change. A graph remembers the words that it was made from: the
// commands whose words are others by now are run again, and instead of launching they write their arguments into their nodes.
// That serves commands that consist of kernels of ours; where another has changed (a product of cuBLASLt, say, whose operand has
// moved) the program is captured anew, and the graphs that fit other addresses are kept beside it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/command.h"
#include "runtime/program.h"
#include "runtime/scratch_arena.h"

namespace hadal::cuda {

struct DeviceScratch {
  static void* allocate(size_t bytes) {
    void* memory = nullptr;
    return cudaMalloc(&memory, bytes) == cudaSuccess ? memory : nullptr;
  }
  static void free(void* memory) { cudaFree(memory); }
};
using DeviceArena = ScratchArena<DeviceScratch>;

// Told of a command's launches while a graph is made or changed.
class LaunchObserver {
 public:
  // Takes a launch instead of the stream; false where the stream is to have it.
  virtual bool takes(const void* kernel, dim3 grid, dim3 block, size_t shared, void** arguments) = 0;
  virtual void launched() = 0;

 protected:
  ~LaunchObserver() = default;
};

class ProgramGraphs final : public LaunchObserver {
 public:
  // Runs a command: its launches go to `stream` or to the observer, its scratch memory comes from the arena.
  using RunCommand = std::function<void(const Command& command, LaunchObserver& observer, DeviceArena& scratch)>;

  ProgramGraphs(cudaStream_t stream, RunCommand run);
  ~ProgramGraphs();

  // Launches the program, whose words are bound. False where that is not done by a graph: at its first run, which finds what has to
  // be loaded and measured, where it cannot be captured, and with HADAL_CUDA_GRAPHS=0. HADAL_CUDA_GRAPHS=log writes why.
  bool launch(const std::shared_ptr<Program>& program);
  // To be asked by what cannot be captured: throws Error, after which the program runs without graphs.
  void refuse(const std::string& why) const;

  bool takes(const void* kernel, dim3 grid, dim3 block, size_t shared, void** arguments) override;
  void launched() override;

 private:
  struct CapturedCommand {
    size_t begin, end;                   // of its words
    std::vector<cudaGraphNode_t> nodes;  // its kernels
    bool is_whole;                       // they are all that it does
  };
  struct Captured {
    std::vector<uint64_t> words;
    std::vector<CapturedCommand> commands;
    DeviceArena scratch{true};
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;

    Captured() = default;
    Captured(const Captured&) = delete;
    Captured& operator=(const Captured&) = delete;
    ~Captured();
  };
  struct Entry {
    std::weak_ptr<Program> program;
    std::vector<std::unique_ptr<Captured>> graphs;  // what was launched last comes first
    int captures = 0, launches = 0;
    bool has_run = false, refused = false;
  };
  enum class Phase { kIdle, kCapturing, kChanging };

  Entry& entry_of(const std::shared_ptr<Program>& program);
  // Makes the graph do what the words say. False where it cannot: then it may be half changed if `spoiled`.
  bool follow(Captured& captured, const std::vector<uint64_t>& words, bool& spoiled);
  std::unique_ptr<Captured> capture(const std::vector<uint64_t>& words);
  // How many nodes the graph that is being captured has; `last` is set to the one that the stream goes on from.
  size_t captured_nodes(cudaGraphNode_t& last) const;
  void check(cudaError_t status) const;

  cudaStream_t stream_;
  RunCommand run_;
  bool enabled_, logs_;
  std::unordered_map<const Program*, Entry> entries_;
  Command command_;
  Phase phase_ = Phase::kIdle;
  CapturedCommand* current_ = nullptr;  // the command that runs, and of its nodes the next
  size_t next_node_ = 0;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace hadal::cuda
