#include "system/process.h"

#include <windows.h>

#include <atomic>

namespace hadal {

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
