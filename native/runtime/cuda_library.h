// The CUDA backend as the addon sees it: a shared library beside it (libhadal-cuda.so, built from native/cuda), loaded when a
// device other than the CPU is first asked for. Where it, a driver or a device is missing there are no CUDA devices and a
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

// Loaded once per process.
const CudaLibrary& cuda_library();

}  // namespace hadal
