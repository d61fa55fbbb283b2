// Takes the place of cuda/library_search.cc: NVIDIA's libraries know nothing of the emulated device. With HADAL_EMULATED_CUDNN set there is
// cuDNN's stand-in (cudnn.cc), in this library itself.
#include <string_view>

#include "cuda/library_search.h"

namespace hadal::cuda {

void* open_library(std::initializer_list<const char*> names) {
  Dl_info self;
  if (variable("HADAL_EMULATED_CUDNN").empty() || std::string_view(*names.begin()).find("libcudnn") != 0 ||
      dladdr(reinterpret_cast<const void*>(&open_library), &self) == 0) {
    return nullptr;
  }
  return dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
}

}  // namespace hadal::cuda
