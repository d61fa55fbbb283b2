#include "cuda/cuda_stream.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "cuda/device_memory.h"
#include "runtime/profiler.h"

namespace hadal::cuda {

namespace {

// Commands between two looks at how far the device has got; a look costs about a microsecond.
constexpr uint64_t kMilestoneInterval = 32;

// A failed call leaves the whole process without the device, and every later call reports it again.
bool is_lost(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

template <class F>
struct Restore {
  F restore;
  ~Restore() { restore(); }
};
template <class F>
Restore(F) -> Restore<F>;

}  // namespace

CudaStream::CudaStream(const DeviceProperties& device, const CudaKernelTable& kernels)
    : kernels_(kernels), allocator_(device_memory(device.index), SIZE_MAX) {
  device_ = device;
  check(cudaSetDevice(device.index));
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&upload_, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&download_, cudaStreamNonBlocking));
  check(cudaEventCreateWithFlags(&ordering_, cudaEventDisableTiming));
  for (cudaEvent_t& event : timed_) check(cudaEventCreate(&event));
  check(cudaHostAlloc(reinterpret_cast<void**>(&fault_), sizeof(Fault), cudaHostAllocMapped));
  std::memset(fault_, 0, sizeof(Fault));
  check(cudaMalloc(reinterpret_cast<void**>(&fault_claim_), sizeof(unsigned)));
  check(cudaMemsetAsync(fault_claim_, 0, sizeof(unsigned), stream_));
  graphs_ = std::make_unique<ProgramGraphs>(
      stream_, [this](const Command& command, LaunchObserver& observer, DeviceArena& scratch) {
        observer_ = &observer;
        arena_ = &scratch;
        const Restore restore{[this] {
          observer_ = nullptr;
          arena_ = &scratch_;
        }};
        kernels_.find(command.op)(*this, command);
      });
  start();
}

CudaStream::~CudaStream() {
  stop();
  cudaSetDevice(device_.index);
  for (cudaStream_t stream : {upload_, stream_, download_}) cudaStreamSynchronize(stream);
  graphs_.reset();
  cudnn_.reset();
  nccl_.reset();  // which ends what the others have left unfinished
  for (cudaStream_t stream : {upload_, stream_, download_}) cudaStreamDestroy(stream);
  cudaEventDestroy(ordering_);
  for (cudaEvent_t event : timed_) cudaEventDestroy(event);
  for (const Milestone& milestone : milestones_) cudaEventDestroy(milestone.event);
  for (cudaEvent_t event : spare_events_) cudaEventDestroy(event);
  cudaFree(fault_claim_);
  cudaFreeHost(fault_);
}

void CudaStream::check(cudaError_t status) {
  if (status != cudaSuccess) fail(status);
}

void CudaStream::fail(cudaError_t status) const {
  cudaGetLastError();
  const std::string device = "cuda:" + std::to_string(device_.index);
  if (is_lost(status)) {
    throw Error(ErrorCode::kDevice, device + ": the device context is lost (" + cudaGetErrorString(status) +
                                        "): got an error in an earlier op, expected none; restart the process");
  }
  throw Error(ErrorCode::kDevice, device + ": " + cudaGetErrorString(status));
}

MemorySource& CudaStream::source() const { return device_memory(device_.index); }

Block CudaStream::allocate(size_t bytes) { return allocator_.allocate(bytes, nullptr); }

void CudaStream::release_cache() {
  synchronize();
  allocator_.release_cache();
}

// Large uploads go in pieces, so that the first moves while the second is copied into pinned memory.
void CudaStream::write(const Block& block, size_t offset, const void* from, size_t bytes) {
  const bool idle = device_completed_.load(std::memory_order_acquire) >= block.freed_at;
  for (size_t done = 0; done < bytes;) {
    const size_t piece = std::min(bytes - done, PinnedPool::kPiece);
    std::byte* staged = pinned_.acquire(piece);
    if (staged == nullptr) throw Error(ErrorCode::kOutOfMemory, "out of pinned host memory");
    std::memcpy(staged, static_cast<const std::byte*>(from) + done, piece);
    commit_copy({block.data + offset + done, staged, piece, staged, nullptr, nullptr, nullptr, idle});
    done += piece;
  }
}

void CudaStream::read_idle(const std::byte* from, size_t bytes, void* to) {
  if (bytes == 0) return;
  check(cudaSetDevice(device_.index));
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
}

void CudaStream::synchronize() {
  wait_until_empty();
  cudaSetDevice(device_.index);
  for (cudaStream_t stream : {stream_, download_}) {
    const cudaError_t status = cudaStreamSynchronize(stream);
    if (status != cudaSuccess) {
      try {
        fail(status);
      } catch (const Error& error) {
        keep_error(error.code(), error.what());
      }
    }
  }
}

bool CudaStream::take_error(StreamError& error) {
  if (CommandQueue::take_error(error)) return true;
  if (*static_cast<volatile unsigned*>(&fault_->whole) == 0) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::string op = std::string(fault_->op) + ": ", size = std::to_string(fault_->size);
  const std::string found = op + fault_->subject + " " + std::to_string(fault_->index) + " at position " +
                            std::to_string(fault_->position) + " out of range";
  error.code = ErrorCode::kIndex;
  switch (fault_->kind) {
    case FaultKind::kDivisionByZero:
      error.message = op + "integer division by zero: got a divisor of 0, expected another";
      break;
    case FaultKind::kOutOfBounds: error.message = found + ": expected 0 to " + size; break;
    case FaultKind::kIndexOutOfRange:
      error.message = found + " for " + size + (*fault_->what == '\0' ? "" : " ") + fault_->what;
      break;
    case FaultKind::kUnusable:
      error.message = op + fault_->subject + " " + std::to_string(fault_->position) + " " + fault_->what +
                      (fault_->size > 0 ? " " + size : "");
      break;
  }
  fault_->whole = 0;
  fault_taken_.store(true, std::memory_order_release);
  return true;
}

BlasLt* CudaStream::blas() {
  if (!blas_asked_) blas_ = BlasLt::open();
  blas_asked_ = true;
  return blas_.get();
}

Cudnn* CudaStream::cudnn() {
  if (!cudnn_asked_) cudnn_ = Cudnn::open(stream_);
  cudnn_asked_ = true;
  return cudnn_.get();
}

Nccl* CudaStream::nccl() {
  ProcessGroup* const group = process_group();
  if (group != nullptr && observer_ != nullptr) graphs_->refuse("processes agree before each collective");
  if (group != nullptr && nccl_ == nullptr) {
    nccl_ = std::make_unique<Nccl>(*group, device_.index, stream_,
                                   [this](const Error& error) { keep_error(error.code(), error.what()); });
  }
  return nccl_.get();
}

// --- On the queue's thread ---------------------------------------------------------------------------------------------

// The next fault may be told once the last one has been.
void CudaStream::renew_fault_claim() {
  if (fault_taken_.exchange(false, std::memory_order_acquire)) {
    check(cudaMemsetAsync(fault_claim_, 0, sizeof(unsigned), stream_));
  }
}

void CudaStream::run_command(const Command& command) {
  cudaSetDevice(device_.index);  // of this thread; a few nanoseconds when it is already
  renew_fault_claim();
  scratch_.reset();
  kernels_.find(command.op)(*this, command);
  mark_progress();
}

void CudaStream::run_program(const ProgramRun& run) {
  if (stopping()) return;
  bool launched = false;
  if (!Profiler::enabled()) {  // which tells the commands apart
    try {
      check(cudaSetDevice(device_.index));
      renew_fault_claim();
      run.program->bind(run);
      launched = graphs_->launch(run.program);
    } catch (const Error& error) {
      keep_error(error.code(), error.what());
      return;
    }
  }
  if (launched) mark_progress();
  else CommandQueue::run_program(run);
}

// Waits for the command, so that its time is its own.
int64_t CudaStream::run_timed(const Command& command) {
  cudaSetDevice(device_.index);
  check(cudaEventRecord(timed_[0], stream_));
  run_command(command);
  check(cudaEventRecord(timed_[1], stream_));
  check(cudaEventSynchronize(timed_[1]));
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, timed_[0], timed_[1]));
  return static_cast<int64_t>(1e6 * static_cast<double>(milliseconds));
}

// Events are polled only here, so progress is noticed while there is work; an idle device is known to be so by synchronize().
void CudaStream::mark_progress() {
  if (++since_milestone_ < kMilestoneInterval) return;
  since_milestone_ = 0;
  while (!milestones_.empty() && cudaEventQuery(milestones_.front().event) == cudaSuccess) {
    device_completed_.store(milestones_.front().sequence, std::memory_order_release);
    spare_events_.push_back(milestones_.front().event);
    milestones_.pop_front();
  }
  cudaEvent_t event;
  if (spare_events_.empty()) {
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  } else {
    event = spare_events_.back();
    spare_events_.pop_back();
  }
  check(cudaEventRecord(event, stream_));
  milestones_.push_back({event, running()});
}

void CudaStream::order(cudaStream_t earlier, cudaStream_t later) {
  check(cudaEventRecord(ordering_, earlier));
  check(cudaStreamWaitEvent(later, ordering_, 0));
}

void CudaStream::run_copy(const Copy& copy) {
  try {
    check(cudaSetDevice(device_.index));
    if (copy.listener != nullptr) copy_to_host(copy);
    else copy_to_device(copy);
  } catch (const Error& error) {
    keep_error(error.code(), error.what());
    if (copy.listener != nullptr) copy.listener->read_done(copy.token);  // which finds the error
  }
}

void CudaStream::discard(const Copy& copy) {
  if (copy.staged != nullptr) pinned_.release(copy.staged);
}

void CudaStream::copy_to_device(const Copy& copy) {
  if (copy.staged != nullptr) {
    cudaStream_t stream = copy.to_idle_memory ? upload_ : stream_;
    const cudaError_t status = cudaMemcpyAsync(copy.to, copy.from, copy.bytes, cudaMemcpyHostToDevice, stream);
    pinned_.release_after(copy.staged, stream);
    check(status);
    if (copy.to_idle_memory) order(upload_, stream_);
    return;
  }
  // From another device: through pinned memory in pieces.
  for (size_t done = 0; done < copy.bytes;) {
    const size_t piece = std::min(copy.bytes - done, PinnedPool::kPiece);
    std::byte* staged = pinned_.acquire(piece);
    if (staged == nullptr) throw Error(ErrorCode::kOutOfMemory, "to: out of pinned host memory");
    std::memcpy(staged, static_cast<const std::byte*>(copy.from) + done, piece);
    const cudaError_t status =
        cudaMemcpyAsync(static_cast<std::byte*>(copy.to) + done, staged, piece, cudaMemcpyHostToDevice, stream_);
    pinned_.release_after(staged, stream_);
    check(status);
    done += piece;
  }
}

namespace {

// What the driver's thread does when a piece has arrived in pinned memory.
struct Arrival {
  PinnedPool* pool;
  std::byte* staged;
  void* to;
  size_t bytes;
  ReadListener* listener;  // null but for the last piece
  void* token;
};
void arrive(void* data) {
  auto* arrival = static_cast<Arrival*>(data);
  if (arrival->bytes != 0) {
    std::memcpy(arrival->to, arrival->staged, arrival->bytes);
    arrival->pool->release(arrival->staged);
  }
  if (arrival->listener != nullptr) arrival->listener->read_done(arrival->token);
  delete arrival;
}

}  // namespace

void CudaStream::copy_to_host(const Copy& copy) {
  order(stream_, download_);
  size_t done = 0;
  do {
    const size_t piece = std::min(copy.bytes - done, PinnedPool::kPiece);
    std::byte* staged = piece == 0 ? nullptr : pinned_.acquire(piece);
    if (piece != 0 && staged == nullptr) throw Error(ErrorCode::kOutOfMemory, "read: out of pinned host memory");
    if (piece != 0) {
      check(cudaMemcpyAsync(staged, static_cast<const std::byte*>(copy.from) + done, piece, cudaMemcpyDeviceToHost,
                            download_));
    }
    const bool last = done + piece == copy.bytes;
    if (last) order(download_, stream_);  // whatever reuses the memory comes after the copy, though not after arrive()
    check(cudaLaunchHostFunc(download_, arrive,
                             new Arrival{&pinned_, staged, static_cast<std::byte*>(copy.to) + done, piece,
                                         last ? copy.listener : nullptr, copy.token}));
    done += piece;
  } while (done < copy.bytes);
}

}  // namespace hadal::cuda
