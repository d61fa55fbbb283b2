// Takes the place of cuda/library_search.cc: NVIDIA's libraries know nothing of the emulated device. With HADAL_EMULATED_CUBLASLT or
// HADAL_EMULATED_CUDNN set there are stand-ins of those (cublas_lt.cc, cudnn.cc), in this library itself.
#include <string_view>

#include "cuda/library_search.h"

namespace hadal::cuda {

void* open_library(std::initializer_list<const char*> names) {
  const auto stands_in = [name = std::string_view(*names.begin())](const char* library, const char* wanted) {
    return name.starts_with(library) && !variable(wanted).empty();
  };
  const bool found =
      stands_in("libcublasLt", "HADAL_EMULATED_CUBLASLT") || stands_in("libcudnn", "HADAL_EMULATED_CUDNN");
  Dl_info self;
  if (!found || dladdr(reinterpret_cast<const void*>(&open_library), &self) == 0) return nullptr;
  return dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
}

}  // namespace hadal::cuda
