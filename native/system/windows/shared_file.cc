#include "system/shared_file.h"

#include <windows.h>

#include <filesystem>

namespace hadal {

namespace {

HANDLE handle_of(intptr_t file) { return reinterpret_cast<HANDLE>(file); }

std::error_code last_error() { return {static_cast<int>(GetLastError()), std::system_category()}; }

OVERLAPPED at(int64_t offset) {
  OVERLAPPED place{};
  place.Offset = static_cast<DWORD>(offset);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return place;
}

// Locks here keep others from reading and writing what they cover, so they lie where nothing does.
constexpr int64_t kLocks = int64_t{1} << 62;

// WaitOnAddress works within one process only, so each place of the file that somebody sleeps on has a semaphore, by name, while somebody does.
HANDLE semaphore_of(intptr_t file, int64_t place) {
  BY_HANDLE_FILE_INFORMATION information;
  GetFileInformationByHandle(handle_of(file), &information);
  const std::wstring name = L"Local\\hadal-" + std::to_wstring(information.dwVolumeSerialNumber) + L"-" +
                            std::to_wstring(information.nFileIndexHigh) + L"-" +
                            std::to_wstring(information.nFileIndexLow) + L"-" + std::to_wstring(place);
  return CreateSemaphoreW(nullptr, 0, MAXLONG, name.c_str());
}

}  // namespace

SharedFile::~SharedFile() {
  if (memory_ != nullptr) UnmapViewOfFile(memory_);
  if (file_ != -1) CloseHandle(handle_of(file_));
}

std::error_code SharedFile::open(const std::string& path) {
  const std::filesystem::path wide(std::u8string(path.begin(), path.end()));
  file_ = reinterpret_cast<intptr_t>(CreateFileW(wide.c_str(), GENERIC_READ | GENERIC_WRITE,
                                                 FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                                 OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  return file_ == -1 ? last_error() : std::error_code();
}

bool SharedFile::lock(int64_t byte) {
  OVERLAPPED place = at(kLocks + byte);
  return LockFileEx(handle_of(file_), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place);
}

// By trying: two that look at once may both see the other's try, and look again later.
bool SharedFile::is_locked(int64_t byte) const {
  OVERLAPPED place = at(kLocks + byte);
  if (!LockFileEx(handle_of(file_), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) return true;
  UnlockFileEx(handle_of(file_), 0, 1, 0, &place);
  return false;
}

// CreateFileMapping makes a file as long as the mapping, and its room with it.
std::error_code SharedFile::reserve(int64_t, size_t) { return {}; }

std::error_code SharedFile::map(int64_t start, size_t bytes) {
  const auto end = static_cast<uint64_t>(start) + bytes;
  const HANDLE mapping = CreateFileMappingW(handle_of(file_), nullptr, PAGE_READWRITE, static_cast<DWORD>(end >> 32),
                                            static_cast<DWORD>(end), nullptr);
  if (mapping == nullptr) return last_error();
  memory_ = static_cast<std::byte*>(MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS,
                                                  static_cast<DWORD>(static_cast<uint64_t>(start) >> 32),
                                                  static_cast<DWORD>(start), bytes));
  const std::error_code error = memory_ == nullptr ? last_error() : std::error_code();
  CloseHandle(mapping);
  start_ = start;
  bytes_ = bytes;
  return error;
}

void SharedFile::sleep(std::atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds time) {
  const HANDLE semaphore = semaphore_of(file_, start_ + (reinterpret_cast<std::byte*>(&word) - memory_));
  // Whoever stores later finds the semaphore.
  if (word.load() == seen) WaitForSingleObject(semaphore, static_cast<DWORD>(time / std::chrono::milliseconds(1)));
  CloseHandle(semaphore);
}

void SharedFile::wake(std::atomic<uint32_t>& word, uint32_t sleepers) {
  const HANDLE semaphore = semaphore_of(file_, start_ + (reinterpret_cast<std::byte*>(&word) - memory_));
  ReleaseSemaphore(semaphore, static_cast<LONG>(sleepers), nullptr);
  CloseHandle(semaphore);
}

}  // namespace hadal
