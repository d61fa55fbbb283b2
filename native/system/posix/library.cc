#include "system/library.h"

#include <dlfcn.h>

namespace hadal {

void* open_library(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

std::string library_error(const std::string&) { return dlerror(); }

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

std::string addon_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&addon_folder), &info) == 0) return ".";
  const std::string path = info.dli_fname;
  return path.substr(0, path.find_last_of('/'));
}

}  // namespace hadal
