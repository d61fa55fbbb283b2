#include "system/process.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

namespace hadal {

void end_with_parent(int parent) {
  if (parent == getppid()) prctl(PR_SET_PDEATHSIG, SIGTERM);
}

}  // namespace hadal
