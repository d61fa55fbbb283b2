#include "system/shared_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace hadal {

namespace {

std::error_code error_of(int error) { return {error, std::generic_category()}; }

struct flock lock_of(int64_t byte) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

}  // namespace

SharedFile::~SharedFile() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
  if (file_ != -1) close(static_cast<int>(file_));
}

std::error_code SharedFile::open(const std::string& path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  return error_of(file_ == -1 ? errno : 0);
}

bool SharedFile::lock(int64_t byte) {
  struct flock lock = lock_of(byte);
  return fcntl(static_cast<int>(file_), F_OFD_SETLK, &lock) == 0;
}

bool SharedFile::is_locked(int64_t byte) const {
  struct flock lock = lock_of(byte);
  return fcntl(static_cast<int>(file_), F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

std::error_code SharedFile::map(int64_t start, size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(file_), start);
  if (memory == MAP_FAILED) return error_of(errno);
  memory_ = static_cast<std::byte*>(memory);
  bytes_ = bytes;
  return {};
}

}  // namespace hadal
