#include "system/fence.h"

#include <windows.h>

namespace hadal {

const bool heavy_fence_reaches_all = true;

void heavy_fence() { FlushProcessWriteBuffers(); }

}  // namespace hadal
