#include "system/shared_file.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace hadal {

std::error_code SharedFile::reserve(int64_t start, size_t bytes) {
  return {posix_fallocate(static_cast<int>(file_), start, static_cast<off_t>(bytes)), std::generic_category()};
}

void SharedFile::sleep(std::atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds time) {
  const timespec most{time / std::chrono::seconds(1), (time % std::chrono::seconds(1)).count()};
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT, seen, &most, nullptr, 0);
}

void SharedFile::wake(std::atomic<uint32_t>& word, uint32_t) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace hadal
