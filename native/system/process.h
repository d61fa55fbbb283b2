// This process and the one that has started it.
#pragma once

namespace hadal {

// Ends this process, as SIGTERM does, when its parent ends, if that is the process `parent`.
void end_with_parent(int parent);

}  // namespace hadal
