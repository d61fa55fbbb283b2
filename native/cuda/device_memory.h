// The memory of a CUDA device as a source of blocks, one per device and process.
#pragma once

#include "runtime/memory_source.h"

namespace hadal::cuda {

MemorySource& device_memory(int device);

}  // namespace hadal::cuda
