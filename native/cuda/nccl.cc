#include "cuda/nccl.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "cuda/library_search.h"

namespace hadal::cuda {
namespace {

// --- NCCL 2.10 and newer, as far as it is used. The values are those of its header. ----------------------------------------

using Communicator = void*;

enum Status : int { kSuccess = 0, kInProgress = 7 };
enum DataType : int { kInt8, kUInt8, kInt32, kUInt32, kInt64, kUInt64, kFloat16, kFloat32, kFloat64, kBFloat16 };
enum Operation : int { kSum = 0, kMax = 2, kMin = 3, kAverage = 4 };

struct UniqueId {
  char bytes[128];
};

struct Library {
  int (*unique_id)(UniqueId*);
  int (*init_rank)(Communicator*, int ranks, UniqueId, int rank);
  int (*destroy)(Communicator);
  int (*abort)(Communicator);
  int (*async_error)(Communicator, int* status);
  const char* (*error_string)(int);
  int (*group_start)();
  int (*group_end)();
  int (*all_reduce)(const void*, void*, size_t elements, DataType, Operation, Communicator, cudaStream_t);
  int (*broadcast)(const void*, void*, size_t elements, DataType, int root, Communicator, cudaStream_t);
  int (*all_gather)(const void*, void*, size_t elements, DataType, Communicator, cudaStream_t);
  int (*reduce_scatter)(const void*, void*, size_t elements, DataType, Operation, Communicator, cudaStream_t);

  // Opened once in a process; null where there is none.
  static const Library* get() {
    static Library library;
    static const bool found = library.open();
    return found ? &library : nullptr;
  }

 private:
  bool open() {
    void* file = open_library({"libnccl.so.2"});
    return file != nullptr && find_function(file, "ncclGetUniqueId", unique_id) &&
           find_function(file, "ncclCommInitRank", init_rank) && find_function(file, "ncclCommDestroy", destroy) &&
           find_function(file, "ncclCommAbort", abort) && find_function(file, "ncclCommGetAsyncError", async_error) &&
           find_function(file, "ncclGetErrorString", error_string) &&
           find_function(file, "ncclGroupStart", group_start) && find_function(file, "ncclGroupEnd", group_end) &&
           find_function(file, "ncclAllReduce", all_reduce) && find_function(file, "ncclBroadcast", broadcast) &&
           find_function(file, "ncclAllGather", all_gather) && find_function(file, "ncclReduceScatter", reduce_scatter);
  }
};

DataType type_of(const Command& cmd, DType dtype) {
  switch (dtype) {
    case DType::kFloat64: return kFloat64;
    case DType::kFloat32: return kFloat32;
    case DType::kFloat16: return kFloat16;
    case DType::kBFloat16: return kBFloat16;
    case DType::kInt64: return kInt64;
    case DType::kInt32: return kInt32;
    case DType::kInt8: return kInt8;
    case DType::kUInt8:
    case DType::kBool: return kUInt8;
    default:
      throw_unsupported(cmd.name(), dtype,
                        {DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt64,
                         DType::kInt32, DType::kInt8, DType::kUInt8, DType::kBool});
  }
}

Operation operation_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::kMean: return kAverage;
    case Reduction::kMax: return kMax;
    case Reduction::kMin: return kMin;
    default: return kSum;
  }
}

std::string failure(int status) { return std::string("NCCL failed: got ") + Library::get()->error_string(status); }

constexpr auto kWatchInterval = std::chrono::milliseconds(100);

}  // namespace

Nccl::Nccl(ProcessGroup& group, int device, cudaStream_t stream, std::function<void(const Error&)> report)
    : group_(group), device_(device), stream_(stream), report_(std::move(report)) {
  const Library* library = Library::get();
  if (library == nullptr) {
    throw Error(ErrorCode::kDistributed,
                "NCCL was not found: got no libnccl.so.2, expected it for several GPUs; install NCCL or run `pip "
                "install nvidia-nccl-cu13` "
                "(-cu12), or name its folder in HADAL_CUDA_LIBS");
  }
  // Rank 0 makes the name under which all find each other, or says why it cannot.
  struct Invitation {
    int status;
    UniqueId id;
  } invitation{};
  if (group_.rank() == 0) {
    invitation.status = library->unique_id(&invitation.id);
    std::memcpy(group_.slot(0), &invitation, sizeof invitation);
  }
  group_.wait();
  std::memcpy(&invitation, group_.slot(0), sizeof invitation);
  group_.next_round();
  int status = invitation.status;
  if (status == kSuccess) status = library->init_rank(&communicator_, group_.size(), invitation.id, group_.rank());
  if (status != kSuccess) throw Error(ErrorCode::kDistributed, failure(status));
  if (cudaEventCreateWithFlags(&last_, cudaEventDisableTiming) != cudaSuccess) {
    library->abort(communicator_);
    throw Error(ErrorCode::kDevice, "NCCL did not start: got no CUDA event");
  }
  watcher_ = std::thread(&Nccl::watch, this);
}

Nccl::~Nccl() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  watcher_.join();
  if (communicator_ != nullptr) Library::get()->destroy(communicator_);
  cudaEventDestroy(last_);
}

void Nccl::begin(const Command& cmd) {
  if (communicator_ == nullptr) {
    throw Error(
        ErrorCode::kDistributed,
        std::string(cmd.name()) + ": got an earlier collective that failed, expected none; start all ranks anew");
  }
  check(cmd, Library::get()->group_start());
}

void Nccl::end(const Command& cmd) {
  check(cmd, Library::get()->group_end());
  if (cudaEventRecord(last_, stream_) == cudaSuccess) pending_ = true;
}

void Nccl::check(const Command& cmd, int status) {
  if (status == kSuccess) return;
  throw Error(ErrorCode::kDistributed, std::string(cmd.name()) + ": " + failure(status));
}

void Nccl::all_reduce(const Command& cmd, const void* from, void* to, int64_t elements, DType dtype,
                      Reduction reduction) {
  check(cmd, Library::get()->all_reduce(from, to, static_cast<size_t>(elements), type_of(cmd, dtype),
                                        operation_of(reduction), communicator_, stream_));
}

void Nccl::reduce_scatter(const Command& cmd, const void* from, void* to, int64_t elements, DType dtype,
                          Reduction reduction) {
  check(cmd, Library::get()->reduce_scatter(from, to, static_cast<size_t>(elements), type_of(cmd, dtype),
                                            operation_of(reduction), communicator_, stream_));
}

void Nccl::broadcast(const Command& cmd, const void* from, void* to, int64_t bytes, int root) {
  check(cmd, Library::get()->broadcast(from, to, static_cast<size_t>(bytes), kUInt8, root, communicator_, stream_));
}

void Nccl::all_gather(const Command& cmd, const void* from, void* to, int64_t bytes) {
  check(cmd, Library::get()->all_gather(from, to, static_cast<size_t>(bytes), kUInt8, communicator_, stream_));
}

void Nccl::watch() {
  cudaSetDevice(device_);
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kWatchInterval, [this] { return stopping_; })) {
    if (!pending_) continue;
    if (cudaEventQuery(last_) != cudaErrorNotReady) {
      pending_ = false;
      continue;
    }
    try {
      int status = kSuccess;
      Library::get()->async_error(communicator_, &status);
      if (status != kSuccess && status != kInProgress) throw Error(ErrorCode::kDistributed, failure(status));
      group_.check_peers();
    } catch (const Error& error) {
      Library::get()->abort(std::exchange(communicator_, nullptr));
      pending_ = false;
      report_(error);
    }
  }
}

}  // namespace hadal::cuda
