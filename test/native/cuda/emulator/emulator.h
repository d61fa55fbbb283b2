// What the two halves of the emulator share: runtime.cc (memory, streams, events) has device.cc run kernels.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <vector>

namespace emulator {

// A launch that holds its arguments.
struct Launch {
  Kernel kernel;
  dim3 grid, block;
  size_t shared = 0;
  std::vector<std::byte> arguments;  // see argument()
  std::vector<size_t> places;

  Launch(const Kernel& kernel, dim3 grid, dim3 block, size_t shared, void** arguments);
};

// Runs it to its end; kernels of all streams take turns. Answers what went wrong, or nothing.
std::string run(Launch& launch);

// The name of a function of this library, as C++ writes it.
std::string name_of(const void* function);

// Of the running thread, in its block.
int thread_number();

}  // namespace emulator
