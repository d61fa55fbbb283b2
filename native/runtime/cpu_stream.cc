#include "runtime/cpu_stream.h"

#include <cstring>

#include "runtime/blas.h"
#include "runtime/thread_pool.h"

namespace hadal {

void CpuStream::release_cache() {
  synchronize();
  allocator_.release_cache();
}

void CpuStream::write(const Block& block, size_t offset, const void* from, size_t bytes) {
  std::byte* to = block.data + offset;
  if (completed() >= block.freed_at) {
    // Nothing queued can still use this memory: it is fresh, or its last user has run.
    std::memcpy(to, from, bytes);
    return;
  }
  auto* staged = new std::byte[bytes];
  std::memcpy(staged, from, bytes);
  commit_copy({to, staged, bytes, staged, nullptr, nullptr, nullptr, false});
}

void CpuStream::read_idle(const std::byte* from, size_t bytes, void* to) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

void CpuStream::run_copy(const Copy& copy) {
  if (copy.bytes != 0) std::memcpy(copy.to, copy.from, copy.bytes);
  if (copy.listener != nullptr) copy.listener->read_done(copy.token);
  delete[] copy.staged;
}

void CpuStream::run_command(const Command& command) {
  scratch_.reset();
  kernels_.find(command.op)(*this, command);
}

void CpuStream::run_tasks(int64_t tasks, void (*body)(void*, int64_t), void* data) {
  ThreadPool::instance().run(tasks, body, data);
}

void* CpuStream::thread_scratch_bytes(size_t bytes) { return ThreadPool::thread_scratch(bytes); }

const Blas& CpuStream::blas() const { return openblas(); }

}  // namespace hadal
