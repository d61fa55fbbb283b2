// The state of one JS environment (the main thread or a worker): its record buffer, storages and device streams. Nothing of it is
// shared, so the addon loads in any number of workers and each may be terminated at any time.
#pragma once

#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

#include "runtime/backend.h"
#include "runtime/storage_table.h"

namespace hadal {

class Environment final : private ReadListener {
 public:
  static Environment* create(Napi::Env env);

  // The record buffer, written by lib/runtime/recorder.ts: one for all copies of lib that this thread has loaded. 2 MiB of address space, room
  // for a command with some 10,000 tensors.
  Napi::Float64Array words_array() const { return words_owner_.Value(); }
  double* words() const { return words_; }
  size_t word_count() const { return kWords; }

  StorageTable& storages() { return storages_; }
  // 0 is the CPU, 1 + i the CUDA device i, which opens at its first use. Throws Error where there is none.
  Backend& backend(int device) {
    const auto i = static_cast<size_t>(device);
    return i < backends_.size() && backends_[i] != nullptr ? *backends_[i] : open(device);
  }

  // Collectives on a device are those of `group` from now on.
  void join(int device, std::shared_ptr<ProcessGroup> group);

  // Memory for a new storage; tries again with an emptied cache before it throws kOutOfMemory.
  Block allocate(Backend& backend, size_t bytes);
  // Hands a storage over to the garbage collector: it is freed when `owner` is collected, even in a loop that never yields.
  void track(napi_value owner, uint32_t slot, uint32_t generation);
  void release(uint32_t slot, uint32_t generation);

  Napi::Promise read(Backend& backend, const std::byte* from, size_t bytes, Napi::ArrayBuffer to);
  void read_sync(Backend& backend, const std::byte* from, size_t bytes, void* to);
  void throw_stream_error(Backend& backend);
  bool synchronous() const { return synchronous_; }

 private:
  struct PendingRead {
    Napi::Promise::Deferred promise;
    Napi::Reference<Napi::ArrayBuffer> target;
    Backend* backend;
  };

  explicit Environment(Napi::Env env);
  void close();
  void unreference();
  void adjust_external_memory(int64_t change);
  Backend& open(int device);
  void read_done(void* token) override;
  void read_dropped(void* token) override;
  void settle_reads();
  static void finalize_storage(node_api_basic_env env, void* data, void* hint);

  static constexpr size_t kWords = size_t{1} << 18;

  napi_env env_;
  Napi::Reference<Napi::Float64Array> words_owner_;
  double* words_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::vector<std::shared_ptr<ProcessGroup>> groups_;
  StorageTable storages_;
  int64_t unreported_bytes_ = 0;
  // Alive until the environment is closed and the last finalizer has run.
  size_t references_ = 1;
  bool closed_ = false;
  bool synchronous_ = false;

  napi_threadsafe_function settle_ = nullptr;
  std::mutex reads_mutex_;
  std::vector<PendingRead*> finished_reads_;
  size_t pending_reads_ = 0;
};

}  // namespace hadal
