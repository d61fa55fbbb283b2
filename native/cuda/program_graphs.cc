#include "cuda/program_graphs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/command_words.h"
#include "runtime/error.h"

namespace hadal::cuda {

namespace {

// Graphs of one program: as many sets of addresses as an allocator that hands blocks out again goes through.
constexpr size_t kMostGraphs = 4;
// A program that is captured so often, and more often than a graph serves it again, is not worth it.
constexpr int kMostCaptures = 16;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

ProgramGraphs::Captured::~Captured() {
  if (executable != nullptr) cudaGraphExecDestroy(executable);
  if (graph != nullptr) cudaGraphDestroy(graph);
}

ProgramGraphs::ProgramGraphs(cudaStream_t stream, RunCommand run)
    : stream_(stream),
      run_(std::move(run)),
      enabled_(variable("HADAL_CUDA_GRAPHS") != "0"),
      logs_(variable("HADAL_CUDA_GRAPHS") == "log") {}

ProgramGraphs::~ProgramGraphs() = default;

void ProgramGraphs::check(cudaError_t status) const {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Error(ErrorCode::kDevice, std::string("compile: CUDA error: ") + cudaGetErrorString(status));
}

void ProgramGraphs::refuse(const std::string& why) const { throw Error(ErrorCode::kDevice, why); }

ProgramGraphs::Entry& ProgramGraphs::entry_of(const std::shared_ptr<Program>& program) {
  const auto found = entries_.find(program.get());
  if (found != entries_.end() && !found->second.program.expired()) return found->second;
  std::erase_if(entries_, [](const auto& entry) { return entry.second.program.expired(); });
  Entry& entry = entries_[program.get()];
  entry.program = program;
  return entry;
}

bool ProgramGraphs::launch(const std::shared_ptr<Program>& program) {
  if (!enabled_) return false;
  Entry& entry = entry_of(program);
  if (entry.refused || !std::exchange(entry.has_run, true)) return false;
  for (auto graph = entry.graphs.begin(); graph != entry.graphs.end();) {
    bool spoiled = false;
    if (follow(**graph, program->words, spoiled)) {
      std::rotate(entry.graphs.begin(), graph, graph + 1);
      ++entry.launches;
      check(cudaGraphLaunch(entry.graphs.front()->executable, stream_));
      return true;
    }
    graph = spoiled ? entry.graphs.erase(graph) : graph + 1;
  }
  try {
    if (entry.captures >= kMostCaptures && entry.captures > entry.launches) {
      refuse("got other addresses in most of " + std::to_string(entry.captures + entry.launches) + " runs");
    }
    entry.graphs.insert(entry.graphs.begin(), capture(program->words));
    ++entry.captures;
  } catch (const std::exception& error) {
    if (logs_) std::fprintf(stderr, "compile: runs without a CUDA graph: %s\n", error.what());
    entry.refused = true;
    entry.graphs.clear();
    return false;
  }
  if (entry.graphs.size() > kMostGraphs) entry.graphs.pop_back();
  if (logs_) {
    std::fprintf(stderr, "compile: captured %zu commands as a CUDA graph\n", entry.graphs.front()->commands.size());
  }
  check(cudaGraphLaunch(entry.graphs.front()->executable, stream_));
  return true;
}

bool ProgramGraphs::follow(Captured& captured, const std::vector<uint64_t>& words, bool& spoiled) {
  const auto has_changed = [&](const CapturedCommand& command) {
    return std::memcmp(&captured.words[command.begin], &words[command.begin],
                       (command.end - command.begin) * sizeof(uint64_t)) != 0;
  };
  for (const CapturedCommand& command : captured.commands) {
    if (!command.is_whole && has_changed(command)) return false;
  }
  phase_ = Phase::kChanging;
  executable_ = captured.executable;
  try {
    for (CapturedCommand& command : captured.commands) {
      if (!has_changed(command)) continue;
      spoiled = true;
      current_ = &command;
      next_node_ = 0;
      captured.scratch.reset();
      read_command(command_, &words[command.begin]);
      run_(command_, *this, captured.scratch);
      if (next_node_ != command.nodes.size()) refuse("fewer launches");
      std::copy(words.begin() + static_cast<std::ptrdiff_t>(command.begin),
                words.begin() + static_cast<std::ptrdiff_t>(command.end),
                captured.words.begin() + static_cast<std::ptrdiff_t>(command.begin));
    }
    spoiled = false;
  } catch (const std::exception&) {  // what is wrong shows again where the program runs without this graph
  }
  phase_ = Phase::kIdle;
  return !spoiled;
}

std::unique_ptr<ProgramGraphs::Captured> ProgramGraphs::capture(const std::vector<uint64_t>& words) {
  auto captured = std::make_unique<Captured>();
  captured->words = words;
  // Scratch memory is allocated meanwhile, which other modes forbid.
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
  phase_ = Phase::kCapturing;
  std::string op, what;
  try {
    size_t count = 0;
    for (const uint64_t* word = words.data(); word != words.data() + words.size();) {
      const uint64_t* const end = read_command(command_, word);
      op = command_.name();
      captured->commands.push_back(
          {static_cast<size_t>(word - words.data()), static_cast<size_t>(end - words.data()), {}, true});
      current_ = &captured->commands.back();
      captured->scratch.reset();
      run_(command_, *this, captured->scratch);
      cudaGraphNode_t last;
      const size_t now = captured_nodes(last);
      current_->is_whole = now - count == current_->nodes.size();
      count = now;
      word = end;
    }
  } catch (const std::exception& error) {
    what = error.what();
    if (what.rfind(op + ":", 0) != 0) what = op + ": " + what;
  }
  phase_ = Phase::kIdle;
  const cudaError_t ended = cudaStreamEndCapture(stream_, &captured->graph);
  if (!what.empty()) {
    cudaGetLastError();
    refuse(what);
  }
  check(ended);
  check(cudaGraphInstantiate(&captured->executable, captured->graph, 0));
  return captured;
}

size_t ProgramGraphs::captured_nodes(cudaGraphNode_t& last) const {
  cudaStreamCaptureStatus status;
  unsigned long long id;
  cudaGraph_t graph = nullptr;
  const cudaGraphNode_t* before = nullptr;
  size_t before_count = 0, count = 0;
#if CUDART_VERSION >= 13000
  const cudaGraphEdgeData* edges = nullptr;
  check(cudaStreamGetCaptureInfo(stream_, &status, &id, &graph, &before, &edges, &before_count));
#else
  check(cudaStreamGetCaptureInfo_v2(stream_, &status, &id, &graph, &before, &before_count));
#endif
  if (status != cudaStreamCaptureStatusActive) refuse("the capture was ended by what cannot be captured");
  last = before_count == 1 ? before[0] : nullptr;
  check(cudaGraphGetNodes(graph, nullptr, &count));
  return count;
}

bool ProgramGraphs::takes(const void* kernel, dim3 grid, dim3 block, size_t shared, void** arguments) {
  if (phase_ != Phase::kChanging) return false;
  if (next_node_ == current_->nodes.size()) refuse("more launches");
  cudaKernelNodeParams parameters{};
  parameters.func = const_cast<void*>(kernel);
  parameters.gridDim = grid;
  parameters.blockDim = block;
  parameters.sharedMemBytes = static_cast<unsigned>(shared);
  parameters.kernelParams = arguments;
  check(cudaGraphExecKernelNodeSetParams(executable_, current_->nodes[next_node_++], &parameters));
  return true;
}

void ProgramGraphs::launched() {
  cudaGraphNode_t node;
  captured_nodes(node);
  if (node == nullptr) refuse("a launch that is no single node");
  current_->nodes.push_back(node);
}

}  // namespace hadal::cuda
