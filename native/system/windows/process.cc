#include "system/process.h"

#include <windows.h>

#include <atomic>

namespace hadal {

std::optional<std::string> environment_variable(const char* name) {
  std::string value(32767, '\0');  // the most there can be
  const DWORD length = GetEnvironmentVariableA(name, value.data(), static_cast<DWORD>(value.size()));
  if (length == 0) return std::nullopt;
  value.resize(length);
  return value;
}

void end_with_parent(int parent) {
  static std::atomic<bool> watched{false};
  if (watched.exchange(true)) return;
  const HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, static_cast<DWORD>(parent));
  if (process == nullptr) return;
  HANDLE wait;
  RegisterWaitForSingleObject(
      &wait, process, [](void*, BOOLEAN) { TerminateProcess(GetCurrentProcess(), 128 + 15); }, nullptr, INFINITE,
      WT_EXECUTEONLYONCE);
}

}  // namespace hadal
