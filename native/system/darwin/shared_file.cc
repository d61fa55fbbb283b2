#include "system/shared_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

// Of libSystem since macOS 10.12, undocumented; what is documented (os_sync_wait_on_address) came with 14.4.
extern "C" int __ulock_wait(uint32_t operation, void* address, uint64_t value, uint32_t microseconds);
extern "C" int __ulock_wake(uint32_t operation, void* address, uint64_t value);

namespace hadal {

namespace {

constexpr uint32_t kCompareAndWaitShared = 3, kWakeAll = 0x100;

}  // namespace

std::error_code SharedFile::reserve(int64_t start, size_t bytes) {
  const off_t end = start + static_cast<off_t>(bytes);
  const int file = static_cast<int>(file_);
  struct stat status;
  if (fstat(file, &status) != 0) return {errno, std::generic_category()};
  // Other lanes may have made it longer.
  if (status.st_size >= end) return {};
  fstore_t room{F_ALLOCATEALL, F_PEOFPOSMODE, 0, end - status.st_size, 0};
  const bool done = fcntl(file, F_PREALLOCATE, &room) == 0 && ftruncate(file, end) == 0;
  return {done ? 0 : errno, std::generic_category()};
}

void SharedFile::sleep(std::atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds time) {
  __ulock_wait(kCompareAndWaitShared, &word, seen, static_cast<uint32_t>(time / std::chrono::microseconds(1)));
}

void SharedFile::wake(std::atomic<uint32_t>& word, uint32_t) {
  __ulock_wake(kCompareAndWaitShared | kWakeAll, &word, 0);
}

}  // namespace hadal
