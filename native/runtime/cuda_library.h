// The CUDA backend as the addon sees it: a shared library (libhadal-cuda.so, built from native/cuda) beside it or in a package of its own,
// loaded when a device other than the CPU is first asked for. Where it, a driver or a device is missing there are no CUDA devices and a
// sentence that says why and what helps.
#pragma once

#include <memory>
#include <string>

#include "runtime/backend.h"
#include "runtime/profiler.h"

namespace hadal {

struct CudaLibrary {
  int device_count = 0;
  std::string remedy;  // empty when there is a device
  std::string (*describe)(int device) = nullptr;
  std::unique_ptr<Backend> (*open)(int device) = nullptr;
  Profiler::Recorder* recorder = nullptr;  // set by the addon, for what the library's streams run
};

// Tells where the library is if not beside the addon ("" for nowhere), and what helps where it is in neither place.
void locate_cuda_library(std::string path, std::string remedy);

// Loaded once per process.
const CudaLibrary& cuda_library();

}  // namespace hadal
