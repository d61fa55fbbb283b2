// The host's side of the emulated runtime. A stream is a thread with a queue, so that work is as asynchronous as on a GPU. Memory is
// new each time, full of 0xff, and is given back once the streams have done what they had been given. After a kernel has
// failed every call fails, with what went wrong.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "emulator.h"
#include "races.h"

using Clock = std::chrono::steady_clock;

// What a recorded event stands for.
struct Moment {
  bool has_come = false;
  Clock::time_point at;
};
struct EmulatedEvent {
  std::shared_ptr<Moment> moment;  // null: never recorded
};
// A node of a graph, which is a chain: a kernel, or other work.
struct EmulatedNode {
  std::shared_ptr<emulator::Launch> launch;
  std::function<void()> work;
};
struct EmulatedGraph {
  std::deque<EmulatedNode> nodes;  // whose addresses stay
};
struct EmulatedGraphExec {
  EmulatedGraph* graph;
  std::vector<std::shared_ptr<emulator::Launch>> launches;  // of its nodes; null: other work
};
struct EmulatedStream {
  EmulatedGraph* captured = nullptr;  // what it is given goes there instead
  EmulatedNode* last = nullptr;
  std::deque<std::function<void()>> work;
  bool ends = false, busy = false;
  std::thread thread;
};

namespace emulator {
namespace {

constexpr size_t kMemoryBytes = size_t{4} << 30;
// What a block may have: as GPUs of data centres, or of all others (CUDA C++ programming guide, compute capabilities).
constexpr size_t shared_kibibytes(int capability) {
  if (capability / 10 == 9 || capability / 10 == 10) return 227;
  return capability == 80 ? 163 : 99;
}
constexpr size_t kSharedBytes = shared_kibibytes(HADAL_CAPABILITY) << 10, kSharedWithoutOptIn = size_t{48} << 10;
constexpr size_t kFilledBytes = size_t{64} << 20;  // of an allocation, at most: larger ones are not meant to be written

// Never destroyed: the threads of streams go on until the process has ended.
struct Runtime {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<EmulatedStream*> streams;
  std::unordered_map<void*, size_t> allocations;
  size_t allocated = 0;
  std::unordered_map<const void*, size_t> shared_allowed;
  cudaError_t lost = cudaSuccess;
  std::string what_happened;
};
Runtime& runtime = *new Runtime;
std::mutex& mutex = runtime.mutex;
std::condition_variable& changed = runtime.changed;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t report(cudaError_t status) {
  if (status == cudaSuccess) {
    std::lock_guard lock(mutex);
    status = runtime.lost;
  }
  if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
  return status;
}

void serve(EmulatedStream* stream) {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return stream->ends || !stream->work.empty(); });
    if (stream->work.empty()) return;
    std::function<void()> work = std::move(stream->work.front());
    stream->work.pop_front();
    stream->busy = true;
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
    stream->busy = false;
    changed.notify_all();
  }
}

void enqueue(EmulatedStream* stream, std::function<void()> work, std::shared_ptr<Launch> launch = nullptr) {
  std::lock_guard lock(mutex);
  if (stream->captured != nullptr) {
    stream->captured->nodes.push_back({std::move(launch), std::move(work)});
    stream->last = &stream->captured->nodes.back();
    return;
  }
  stream->work.push_back(std::move(work));
  changed.notify_all();
}

void run_unless_lost(Launch& launch) {
  {
    std::lock_guard lock(mutex);
    if (runtime.lost != cudaSuccess) return;
  }
  std::string failure = run(launch);
  if (failure.empty()) return;
  std::lock_guard lock(mutex);
  runtime.lost = cudaErrorLaunchFailure;
  runtime.what_happened = "unspecified launch failure: " + failure;
}

// Gives memory back when the last stream lets go of it.
struct Release {
  void* memory;
  ~Release() {
    std::lock_guard lock(mutex);
    const auto found = runtime.allocations.find(memory);
    runtime.allocated -= found->second;
    runtime.allocations.erase(found);
    races::remove(memory);
    std::free(memory);
  }
};

}  // namespace

cudaError_t launch(const Kernel& kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64 || grid.x == 0 || grid.x > INT32_MAX || grid.y == 0 ||
      grid.y > 65535 || grid.z == 0 || grid.z > 65535) {
    return report(cudaErrorInvalidConfiguration);
  }
  {
    std::lock_guard lock(mutex);
    const auto allowed = runtime.shared_allowed.find(kernel.address);
    if (shared > (allowed == runtime.shared_allowed.end() ? kSharedWithoutOptIn : allowed->second)) {
      last_error = cudaErrorInvalidValue;
      return last_error;
    }
  }
  const auto launched = std::make_shared<Launch>(kernel, grid, block, shared, arguments);
  enqueue(stream, [launched] { run_unless_lost(*launched); }, launched);
  return report(cudaSuccess);
}

}  // namespace emulator

using namespace emulator;

// --- The device ------------------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
// Few multiprocessors: loops over what is left are longer, and launches smaller.
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {
      "emulated on the CPU", kMemoryBytes, kSharedBytes, HADAL_CAPABILITY / 10, HADAL_CAPABILITY % 10, 4, 1 << 20};
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorLaunchFailure: return runtime.what_happened.c_str();
    default: return "unknown error";
  }
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  if (static_cast<size_t>(value) > kSharedBytes) return report(cudaErrorInvalidValue);
  std::lock_guard lock(mutex);
  runtime.shared_allowed[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}
// device/attention_tiles.cuh asks for it, to know which code was loaded.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  attributes->sharedSizeBytes = HADAL_CAPABILITY == 90 ? 4096 : 0;
  return cudaSuccess;
}

// --- Memory ------------------------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  {
    std::lock_guard lock(mutex);
    if (runtime.allocated + bytes > kMemoryBytes) return last_error = cudaErrorMemoryAllocation;
  }
  if (posix_memalign(memory, 256, bytes) != 0) return report(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xff, std::min(bytes, kFilledBytes));
  std::lock_guard lock(mutex);
  runtime.allocations[*memory] = bytes;
  races::add_memory(*memory, bytes);
  runtime.allocated += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  const auto release = std::make_shared<Release>(memory);
  std::lock_guard lock(mutex);
  for (EmulatedStream* stream : runtime.streams) {
    if (stream->busy || !stream->work.empty()) stream->work.push_back([release] {});
  }
  changed.notify_all();
  return runtime.lost;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  std::lock_guard lock(mutex);
  *total = kMemoryBytes;
  *free = kMemoryBytes - runtime.allocated;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return posix_memalign(memory, 4096, bytes) == 0 ? cudaSuccess : report(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return report(cudaSuccess);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  enqueue(stream, [=] { std::memmove(to, from, bytes); });
  return report(cudaSuccess);
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=] { std::memset(to, value, bytes); });
  return report(cudaSuccess);
}

// --- Streams -----------------------------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new EmulatedStream;
  std::lock_guard lock(mutex);
  runtime.streams.insert(*stream);
  (*stream)->thread = std::thread(serve, *stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  {
    std::lock_guard lock(mutex);
    runtime.streams.erase(stream);
    stream->ends = true;
    changed.notify_all();
  }
  stream->thread.join();
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stream->work.empty() && !stream->busy; });
  }
  return report(cudaSuccess);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->moment == nullptr) return report(cudaSuccess);
  enqueue(stream, [moment = event->moment] {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return moment->has_come; });
  });
  return report(cudaSuccess);
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  enqueue(stream, [=] { function(data); });
  return report(cudaSuccess);
}

// --- Graphs ------------------------------------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->captured = new EmulatedGraph;
  stream->last = nullptr;
  return report(cudaSuccess);
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = std::exchange(stream->captured, nullptr);
  return report(cudaSuccess);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream->captured == nullptr ? cudaStreamCaptureStatusNone : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, size_t* dependency_count) {
  *id = 1;
  *graph = stream->captured;
  *dependencies = &stream->last;
  *edges = nullptr;
  *dependency_count = stream->last == nullptr ? 0 : 1;
  return cudaStreamIsCapturing(stream, status);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (nodes != nullptr) return report(cudaErrorInvalidValue);  // nobody asks
  *count = graph->nodes.size();
  return report(cudaSuccess);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new EmulatedGraphExec{graph, {}};
  for (const EmulatedNode& node : graph->nodes) (*executable)->launches.push_back(node.launch);
  return report(cudaSuccess);
}
// Launches that are under way keep what they were launched with.
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters) {
  const auto& nodes = executable->graph->nodes;
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const EmulatedNode& each) { return &each == node; });
  if (found == nodes.end() || node->launch == nullptr || node->launch->kernel.address != parameters->func) {
    return report(cudaErrorInvalidValue);
  }
  executable->launches[static_cast<size_t>(found - nodes.begin())] =
      std::make_shared<Launch>(node->launch->kernel, parameters->gridDim, parameters->blockDim,
                               parameters->sharedMemBytes, parameters->kernelParams);
  return report(cudaSuccess);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  size_t i = 0;
  for (const EmulatedNode& node : executable->graph->nodes) {
    const auto launch = executable->launches[i++];
    if (launch == nullptr) enqueue(stream, node.work);
    else enqueue(stream, [launch] { run_unless_lost(*launch); });
  }
  return report(cudaSuccess);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

// --- Events ------------------------------------------------------------------------------------------------------------------

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->moment = std::make_shared<Moment>();
  enqueue(stream, [moment = event->moment] {
    std::lock_guard lock(mutex);
    moment->has_come = true;
    moment->at = Clock::now();
    changed.notify_all();
  });
  return report(cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  {
    std::lock_guard lock(mutex);
    if (event->moment != nullptr && !event->moment->has_come) return cudaErrorNotReady;
  }
  return report(cudaSuccess);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return event->moment == nullptr || event->moment->has_come; });
  }
  return report(cudaSuccess);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->moment->at - begin->moment->at).count();
  return report(cudaSuccess);
}
