#include "binding/environment.h"

#include <cstdlib>
#include <utility>

#include "runtime/cpu_levels.h"
#include "runtime/cpu_stream.h"
#include "runtime/cuda_library.h"
#include "system/process.h"

namespace hadal {

namespace {

// Telling V8 about memory costs about 50 ns, so changes are collected until they matter to its heuristics.
constexpr int64_t kReportGranularity = int64_t{1} << 20;

}  // namespace

Environment::Environment(Napi::Env env)
    : env_(env),
      words_owner_(Napi::Reference<Napi::Float64Array>::New(Napi::Float64Array::New(env, kWords), 1)),
      words_(words_owner_.Value().Data()) {
  backends_.push_back(std::make_unique<CpuStream>(*cpu_level().kernels));
  synchronous_ = environment_variable("HADAL_SYNC") == "1";
}

Environment* Environment::create(Napi::Env env) {
  auto* environment = new Environment(env);
  napi_value name = Napi::String::New(env, "hadal reads");
  napi_create_threadsafe_function(
      env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, environment,
      [](napi_env env, napi_value, void* context, void*) {
        if (env != nullptr) static_cast<Environment*>(context)->settle_reads();
      },
      &environment->settle_);
  napi_unref_threadsafe_function(env, environment->settle_);  // only pending reads keep the process alive
  // Hooks run last in, first out: the streams stop before the function above is torn down.
  napi_add_env_cleanup_hook(env, [](void* data) { static_cast<Environment*>(data)->close(); }, environment);
  return environment;
}

Backend& Environment::open(int device) {
  const CudaLibrary& cuda = cuda_library();
  if (device < 0 || device > cuda.device_count) {
    const std::string remedy = cuda.device_count == 0 ? "; " + cuda.remedy : "";
    throw Error(ErrorCode::kDevice, "no such device: got cuda:" + std::to_string(device - 1) + ", this machine has " +
                                        std::to_string(cuda.device_count) + " CUDA devices" + remedy);
  }
  backends_.resize(std::max(backends_.size(), static_cast<size_t>(device) + 1));
  backends_[static_cast<size_t>(device)] = cuda.open(device - 1);
  return *backends_[static_cast<size_t>(device)];
}

void Environment::join(int device, std::shared_ptr<ProcessGroup> group) {
  backend(device).join(group);
  groups_.push_back(std::move(group));
}

void Environment::close() {
  closed_ = true;
  for (const auto& group : groups_) group->stop();
  backends_.clear();  // waits for running kernels; nothing touches JS memory after this
  for (PendingRead* read : finished_reads_) delete read;
  words_owner_.Reset();
  unreference();
}

void Environment::unreference() {
  if (--references_ == 0) delete this;
}

Block Environment::allocate(Backend& backend, size_t bytes) {
  Block block = backend.allocate(bytes);
  if (block.data == nullptr) {
    backend.release_cache();
    block = backend.allocate(bytes);
  }
  if (block.data == nullptr) {
    throw Error(ErrorCode::kOutOfMemory, "out of memory: got " + std::to_string(bytes) +
                                             " bytes wanted, expected at most " +
                                             std::to_string(backend.source().available()) + " free; " +
                                             std::to_string(backend.memory().live) + " are in live tensors");
  }
  return block;
}

void Environment::adjust_external_memory(int64_t change) {
  unreported_bytes_ += change;
  if (std::abs(unreported_bytes_) < kReportGranularity) return;
  int64_t total;
  napi_adjust_external_memory(env_, unreported_bytes_, &total);
  unreported_bytes_ = 0;
}

void Environment::track(napi_value owner, uint32_t slot, uint32_t generation) {
  Storage* storage = storages_.find(slot, generation);
  if (storage == nullptr || storage->tracked) return;
  const uintptr_t name = (static_cast<uintptr_t>(generation) << 32) | slot;
  if (napi_add_finalizer(env_, owner, reinterpret_cast<void*>(name), finalize_storage, this, nullptr) != napi_ok) {
    throw Error(ErrorCode::kInternal, "track: the owner takes no finalizer");
  }
  ++references_;
  storage->tracked = true;
  adjust_external_memory(static_cast<int64_t>(storage->block.capacity));
}

void Environment::finalize_storage(node_api_basic_env, void* data, void* hint) {
  const auto name = reinterpret_cast<uintptr_t>(data);
  auto* environment = static_cast<Environment*>(hint);
  if (!environment->closed_) {
    environment->release(static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32));
  }
  environment->unreference();
}

void Environment::release(uint32_t slot, uint32_t generation) {
  Storage* storage = storages_.find(slot, generation);
  if (storage == nullptr) return;
  // Only counted here: this may run inside the collection. The next track() reports it.
  if (storage->tracked) unreported_bytes_ -= static_cast<int64_t>(storage->block.capacity);
  storages_.erase(slot);
}

void Environment::throw_stream_error(Backend& backend) {
  StreamError error;
  if (backend.take_error(error)) throw Error(error.code, error.message);
}

Napi::Promise Environment::read(Backend& backend, const std::byte* from, size_t bytes, Napi::ArrayBuffer to) {
  auto* pending =
      new PendingRead{Napi::Promise::Deferred::New(env_), Napi::Reference<Napi::ArrayBuffer>::New(to, 1), &backend};
  if (pending_reads_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  backend.read(from, bytes, to.Data(), this, pending);
  return pending->promise.Promise();
}

void Environment::read_done(void* token) {
  bool first;
  {
    std::lock_guard lock(reads_mutex_);
    first = finished_reads_.empty();
    finished_reads_.push_back(static_cast<PendingRead*>(token));
  }
  if (first) napi_call_threadsafe_function(settle_, nullptr, napi_tsfn_nonblocking);
}

// Happens only while the environment closes, when no promise can be settled any more: close() frees it, on the JS thread.
void Environment::read_dropped(void* token) {
  std::lock_guard lock(reads_mutex_);
  finished_reads_.push_back(static_cast<PendingRead*>(token));
}

void Environment::settle_reads() {
  if (closed_) return;
  std::vector<PendingRead*> finished;
  {
    std::lock_guard lock(reads_mutex_);
    finished.swap(finished_reads_);
  }
  Napi::HandleScope scope(env_);
  for (PendingRead* read : finished) {
    StreamError error;
    if (read->backend->take_error(error)) {
      Napi::Error failure = Napi::Error::New(env_, error.message);
      failure.Set("nativeCode", Napi::Number::New(env_, static_cast<int>(error.code)));
      read->promise.Reject(failure.Value());
    } else {
      read->promise.Resolve(read->target.Value());
    }
    delete read;
  }
  pending_reads_ -= finished.size();
  if (pending_reads_ == 0 && !finished.empty()) napi_unref_threadsafe_function(env_, settle_);
}

void Environment::read_sync(Backend& backend, const std::byte* from, size_t bytes, void* to) {
  backend.synchronize();
  throw_stream_error(backend);
  backend.read_idle(from, bytes, to);
}

}  // namespace hadal
