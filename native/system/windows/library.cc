#include "system/library.h"

#include <windows.h>

#include <filesystem>
#include <system_error>

namespace hadal {

namespace {

std::string utf8_of(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return {text.begin(), text.end()};
}

}  // namespace

// Node loads the addon by a path that begins with `\\?\`, in which only backslashes separate.
void* open_library(const std::string& path) {
  return LoadLibraryW(std::filesystem::path(std::u8string(path.begin(), path.end())).make_preferred().c_str());
}

std::string library_error(const std::string& path) {
  return path + ": " + std::system_category().message(static_cast<int>(GetLastError()));
}

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

std::string addon_folder() {
  HMODULE addon;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<LPCWSTR>(&addon_folder), &addon);
  std::wstring path(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = GetModuleFileNameW(addon, path.data(), static_cast<DWORD>(path.size()));
    if (length < path.size()) return utf8_of(std::filesystem::path(path.substr(0, length)).parent_path());
    path.resize(2 * path.size());
  }
}

}  // namespace hadal
