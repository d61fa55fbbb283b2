// Opens NVIDIA's libraries that are used where they are there and done without elsewhere (cuBLASLt, cuDNN, NCCL): building links none
// of them. Owns the places they are looked for, not what they are used for. Called by blas_lt.cc, cudnn.cc and nccl.cc.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <initializer_list>
#include <string>

namespace hadal::cuda {

// An environment variable; empty where it is not set.
inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Opens the first library found of `names` (file names, the preferred first), or answers null. Looked for in the folders of
// HADAL_CUDA_LIBS (separated by colons), then where the loader looks, CUDA_PATH, the usual folders of an installation, and NVIDIA's
// Python wheels (site-packages/nvidia/*/lib) of the active environment, of the Python on PATH, of the user and of the system.
// Costs file lookups at each call, so a caller keeps the answer; the library is never closed.
void* open_library(std::initializer_list<const char*> names);

// Sets `function` to the library's function of that name; false where it has none.
template <class F>
bool find_function(void* library, const char* name, F*& function) {
  function = reinterpret_cast<F*>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace hadal::cuda
