#include "runtime/addon_folder.h"

#include <dlfcn.h>

namespace hadal {

std::string addon_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&addon_folder), &info) == 0) return ".";
  const std::string path = info.dli_fname;
  return path.substr(0, path.find_last_of('/'));
}

}  // namespace hadal
