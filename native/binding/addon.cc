// The exports of the addon: everything that JavaScript can call. Only numbers and buffers cross; lib/native/addon.ts holds the
// same list as types. A failure is thrown as a JS error with the ErrorCode in `nativeCode`; lib/runtime turns it into a class.
#include <napi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <span>

#include "binding/decode.h"
#include "binding/environment.h"
#include "runtime/cpu_levels.h"
#include "runtime/cuda_library.h"
#include "runtime/profiler.h"
#include "runtime/shared_memory_group.h"
#include "runtime/thread_pool.h"
#include "system/process.h"

namespace hadal {

namespace {

Napi::Error error_in_js(napi_env env, const Error& error) {
  Napi::Error failure = Napi::Error::New(env, error.what());
  failure.Set("nativeCode", Napi::Number::New(env, static_cast<int>(error.code())));
  return failure;
}

void throw_to_js(napi_env env, const Error& error) { error_in_js(env, error).ThrowAsJavaScriptException(); }

Environment& environment_of(const Napi::CallbackInfo& info) { return *static_cast<Environment*>(info.Data()); }

uint32_t uint32_argument(const Napi::CallbackInfo& info, size_t i) { return info[i].As<Napi::Number>().Uint32Value(); }

Storage& storage_argument(const Napi::CallbackInfo& info, const char* what) {
  Storage* storage = environment_of(info).storages().find(uint32_argument(info, 0), uint32_argument(info, 1));
  if (storage == nullptr) throw Error(ErrorCode::kDisposed, std::string(what) + ": the tensor was released");
  return *storage;
}

// Bytes [offset, offset + bytes) of a storage, checked.
void check_range(const Storage& storage, int64_t offset, size_t bytes, const char* what) {
  if (offset < 0 || static_cast<size_t>(offset) > storage.bytes ||
      bytes > storage.bytes - static_cast<size_t>(offset)) {
    throw Error(ErrorCode::kInternal, std::string(what) + ": outside the storage: got " + std::to_string(bytes) +
                                          " bytes from byte " + std::to_string(offset) + " on, expected them within " +
                                          std::to_string(storage.bytes));
  }
}

template <auto kFunction>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    if constexpr (std::is_void_v<decltype(kFunction(info))>) {
      kFunction(info);
      return info.Env().Undefined();
    } else {
      return kFunction(info);
    }
  } catch (const Error& error) {
    throw_to_js(info.Env(), error);
    return {};
  }
}

// Waits for the stream and throws what it kept.
void synchronize_with(Environment& environment, Backend& backend) {
  backend.synchronize();
  environment.throw_stream_error(backend);
}

// submit(owner?): runs the record in the buffer; its one output, if it is a fresh one, is freed when `owner` is collected. Answers an error instead of
// throwing it, so that JavaScript needs no handler around the call. This and track() are the hot path, so they use Node-API directly.
napi_value submit(napi_env env, napi_callback_info info) {
  void* data;
  size_t count = 1;
  napi_value owner;
  napi_get_cb_info(env, info, &count, &owner, nullptr, &data);
  auto& environment = *static_cast<Environment*>(data);
  try {
    const double* const fresh = decode_and_submit(environment);
    if (count == 1 && fresh != nullptr) {
      environment.track(owner, static_cast<uint32_t>(fresh[1]), static_cast<uint32_t>(fresh[2]));
    }
    if (environment.synchronous()) {
      synchronize_with(environment, environment.backend(static_cast<int>(environment.words()[1])));
    }
  } catch (const Error& error) {
    return error_in_js(env, error).Value();
  }
  return nullptr;
}

// createProgram(records: Float64Array, bindingBytes: Float64Array, places: Float64Array, liveRecords: Uint32Array): what replay() takes.
// `places` are pairs of an offset and a size.
Napi::Value create_program(const Napi::CallbackInfo& info) {
  const auto numbers = [&](size_t i) {
    auto array = info[i].As<Napi::Float64Array>();
    return std::span(array.Data(), array.ElementLength());
  };
  const std::span<double> places = numbers(2);
  auto live = info[3].As<Napi::Uint32Array>();
  auto program = std::make_unique<std::shared_ptr<Program>>(decode_program(
      environment_of(info), numbers(0), numbers(1), {reinterpret_cast<const Place*>(places.data()), places.size() / 2},
      {live.Data(), live.ElementLength()}));
  return Napi::External<std::shared_ptr<Program>>::New(
      info.Env(), program.release(), [](Napi::Env, std::shared_ptr<Program>* owned) { delete owned; });
}

// replay(program, device): runs it with what the words hold: the names of the bindings' storages; a place in a Philox stream; the live
// attributes.
void replay(const Napi::CallbackInfo& info) {
  Environment& environment = environment_of(info);
  const auto& program = *info[0].As<Napi::External<std::shared_ptr<Program>>>().Data();
  Backend& backend = environment.backend(info[1].As<Napi::Number>().Int32Value());
  auto run = std::make_unique<ProgramRun>();
  run->program = program;
  const double* word = environment.words();
  if (2 * program->binding_bytes.size() + 3 + program->live_attributes.size() > environment.word_count()) {
    throw Error(ErrorCode::kInternal, "replay: more bindings than words");
  }
  for (const size_t bytes : program->binding_bytes) {
    const auto slot = static_cast<uint32_t>(*word++);
    const auto generation = static_cast<uint32_t>(*word++);
    const Storage* storage = environment.storages().find(slot, generation);
    if (storage == nullptr) throw Error(ErrorCode::kDisposed, "replay: a tensor was released");
    if (storage->backend != &backend) throw Error(ErrorCode::kDevice, "replay: tensors on different devices");
    check_range(*storage, 0, bytes, "replay");
    run->bindings.push_back(storage->block.data);
  }
  std::copy_n(word, 3, run->random.begin());
  run->live_attributes.assign(word + 3, word + 3 + program->live_attributes.size());
  backend.run(std::move(run));
  if (environment.synchronous()) synchronize_with(environment, backend);
}

// allocate(device, bytes): the storage's name is written to words 0 and 1.
void allocate(const Napi::CallbackInfo& info) {
  Environment& environment = environment_of(info);
  Backend& backend = environment.backend(info[0].As<Napi::Number>().Int32Value());
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  const Block block = environment.allocate(backend, bytes);
  const StorageTable::Name name = environment.storages().insert(&backend, block, bytes);
  environment.words()[0] = name.slot;
  environment.words()[1] = name.generation;
}

// track(owner, slot, generation)
napi_value track(napi_env env, napi_callback_info info) {
  void* data;
  size_t count = 3;
  napi_value arguments[3];
  napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
  uint32_t slot = 0, generation = 0;
  napi_get_value_uint32(env, arguments[1], &slot);
  napi_get_value_uint32(env, arguments[2], &generation);
  try {
    static_cast<Environment*>(data)->track(arguments[0], slot, generation);
  } catch (const Error& error) {
    throw_to_js(env, error);
  }
  return nullptr;
}

// release(count): frees the storages named by `count` pairs of words. A name that is gone already is passed over.
void release(const Napi::CallbackInfo& info) {
  Environment& environment = environment_of(info);
  const size_t count = std::min<size_t>(uint32_argument(info, 0), environment.word_count() / 2);
  const double* words = environment.words();
  for (size_t i = 0; i < count; ++i) {
    environment.release(static_cast<uint32_t>(words[2 * i]), static_cast<uint32_t>(words[2 * i + 1]));
  }
}

// write(slot, generation, byteOffset, view)
void write(const Napi::CallbackInfo& info) {
  Storage& storage = storage_argument(info, "write");
  const int64_t offset = info[2].As<Napi::Number>().Int64Value();
  const auto source = info[3].As<Napi::Uint8Array>();
  check_range(storage, offset, source.ByteLength(), "write");
  storage.backend->write(storage.block, static_cast<size_t>(offset), source.Data(), source.ByteLength());
}

// read(slot, generation, byteOffset, target: ArrayBuffer): a promise of the filled target.
Napi::Value read(const Napi::CallbackInfo& info) {
  Storage& storage = storage_argument(info, "read");
  const int64_t offset = info[2].As<Napi::Number>().Int64Value();
  auto target = info[3].As<Napi::ArrayBuffer>();
  check_range(storage, offset, target.ByteLength(), "read");
  return environment_of(info).read(*storage.backend, storage.block.data + offset, target.ByteLength(), target);
}

// readSync(slot, generation, byteOffset, target: ArrayBuffer)
void read_sync(const Napi::CallbackInfo& info) {
  Storage& storage = storage_argument(info, "read");
  const int64_t offset = info[2].As<Napi::Number>().Int64Value();
  auto target = info[3].As<Napi::ArrayBuffer>();
  check_range(storage, offset, target.ByteLength(), "read");
  environment_of(info).read_sync(*storage.backend, storage.block.data + offset, target.ByteLength(), target.Data());
}

void synchronize(const Napi::CallbackInfo& info) {
  Environment& environment = environment_of(info);
  synchronize_with(environment, environment.backend(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value has_tensor_cores(const Napi::CallbackInfo& info) {
  const int device = info[0].As<Napi::Number>().Int32Value();
  return Napi::Boolean::New(info.Env(), environment_of(info).backend(device).has_tensor_cores());
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  Backend& backend = environment_of(info).backend(info[0].As<Napi::Number>().Int32Value());
  const MemoryStatistics& statistics = backend.memory();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("liveBytes", static_cast<double>(statistics.live));
  result.Set("cachedBytes", static_cast<double>(statistics.cached));
  result.Set("peakBytes", static_cast<double>(statistics.peak));
  result.Set("storages", static_cast<double>(statistics.storages));
  result.Set("availableBytes", static_cast<double>(backend.source().available()));
  return result;
}

void reset_peak(const Napi::CallbackInfo& info) {
  environment_of(info).backend(info[0].As<Napi::Number>().Int32Value()).reset_peak();
}

void release_cache(const Napi::CallbackInfo& info) {
  environment_of(info).backend(info[0].As<Napi::Number>().Int32Value()).release_cache();
}

// setMemoryLimit(device, bytes)
void set_memory_limit(const Napi::CallbackInfo& info) {
  Backend& backend = environment_of(info).backend(info[0].As<Napi::Number>().Int32Value());
  backend.source().set_limit(static_cast<size_t>(info[1].As<Napi::Number>().Int64Value()));
}

// transfer(slot, generation, byteOffset, bytes, toSlot, toGeneration): copies between storages of two devices.
void transfer(const Napi::CallbackInfo& info) {
  Storage& from = storage_argument(info, "to");
  const int64_t offset = info[2].As<Napi::Number>().Int64Value();
  const auto bytes = static_cast<size_t>(info[3].As<Napi::Number>().Int64Value());
  Storage* to = environment_of(info).storages().find(uint32_argument(info, 4), uint32_argument(info, 5));
  if (to == nullptr) throw Error(ErrorCode::kDisposed, "to: the tensor was released");
  check_range(from, offset, bytes, "to");
  check_range(*to, 0, bytes, "to");
  auto* transfer = new Transfer(bytes);
  from.backend->read(from.block.data + offset, bytes, transfer->bytes(), transfer, nullptr);
  to->backend->receive(to->block, 0, transfer);
}

// locateCuda(path, remedy): see locate_cuda_library.
void locate_cuda(const Napi::CallbackInfo& info) {
  locate_cuda_library(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value());
}

// What devices() tells: the names of the CUDA devices, or why there are none.
Napi::Value cuda_devices(const Napi::CallbackInfo& info) {
  const CudaLibrary& cuda = cuda_library();
  Napi::Object result = Napi::Object::New(info.Env());
  Napi::Array devices = Napi::Array::New(info.Env());
  for (int i = 0; i < cuda.device_count; ++i) devices.Set(static_cast<uint32_t>(i), cuda.describe(i));
  result.Set("devices", devices);
  result.Set("remedy", cuda.remedy);
  return result;
}

// startProfile(): the present moment, in milliseconds of the clock that spans have.
Napi::Value start_profile(const Napi::CallbackInfo& info) {
  Profiler::start();
  return Napi::Number::New(info.Env(), static_cast<double>(Profiler::now()) * 1e-6);
}

// stopProfile(): of each span its thread, op, start and duration in milliseconds, bytes and floating-point operations.
Napi::Value stop_profile(const Napi::CallbackInfo& info) {
  const std::vector<Profiler::Span> spans = Profiler::stop();
  auto result = Napi::Float64Array::New(info.Env(), spans.size() * 6);
  double* word = result.Data();
  for (const Profiler::Span& span : spans) {
    *word++ = span.thread;
    *word++ = static_cast<double>(span.op);
    *word++ = static_cast<double>(span.start) * 1e-6;
    *word++ = static_cast<double>(span.end - span.start) * 1e-6;
    *word++ = span.bytes;
    *word++ = span.flops;
  }
  return result;
}

// joinGroup(device, path, lane, rank, size, timeoutInMilliseconds): collectives on the device are those of the processes that map the lane of
// the file.
void join_group(const Napi::CallbackInfo& info) {
  // A process that `hadal launch` has started ends when that is killed.
  if (const auto launcher = environment_variable("HADAL_LAUNCHER")) end_with_parent(std::atoi(launcher->c_str()));
  const auto integer = [&](size_t i) { return info[i].As<Napi::Number>().Int32Value(); };
  environment_of(info).join(
      integer(0), std::make_shared<SharedMemoryGroup>(
                      info[1].As<Napi::String>().Utf8Value(), integer(2), integer(3), integer(4), ops_fingerprint(),
                      std::chrono::milliseconds(info[5].As<Napi::Number>().Int64Value())));
}

void set_thread_count(const Napi::CallbackInfo& info) {
  ThreadPool::instance().set_thread_count(info[0].As<Napi::Number>().Int32Value());
}

Napi::Value thread_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ThreadPool::instance().thread_count());
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  Environment* environment;
  try {
    environment = Environment::create(env);
  } catch (const Error& error) {
    throw_to_js(env, error);
    return exports;
  }
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name, environment));
  };
  const auto add_direct = [&](const char* name, napi_callback callback) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, environment, &function);
    exports.Set(name, Napi::Value(env, function));
  };
  add_direct("submit", submit);
  add_direct("track", track);
  add("createProgram", guarded<create_program>);
  add("replay", guarded<replay>);
  add("allocate", guarded<allocate>);
  add("release", guarded<release>);
  add("write", guarded<write>);
  add("read", guarded<read>);
  add("readSync", guarded<read_sync>);
  add("synchronize", guarded<synchronize>);
  add("hasTensorCores", guarded<has_tensor_cores>);
  add("memory", guarded<memory>);
  add("resetPeak", guarded<reset_peak>);
  add("releaseCache", guarded<release_cache>);
  add("setMemoryLimit", guarded<set_memory_limit>);
  add("startProfile", guarded<start_profile>);
  add("stopProfile", guarded<stop_profile>);
  add("setThreadCount", guarded<set_thread_count>);
  add("threadCount", guarded<thread_count>);
  add("transfer", guarded<transfer>);
  add("joinGroup", guarded<join_group>);
  add("locateCuda", guarded<locate_cuda>);
  add("cudaDevices", guarded<cuda_devices>);
  exports.Set("words", environment->words_array());
  exports.Set("cpuLevel", cpu_level().name);
  exports.Set("opsFingerprint", Napi::Number::New(env, ops_fingerprint()));
  return exports;
}

}  // namespace

NODE_API_MODULE(hadal, initialize)

}  // namespace hadal
