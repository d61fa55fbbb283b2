#include "system/process.h"

#include <sys/event.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

namespace hadal {

void end_with_parent(int parent) {
  static std::atomic<bool> watched{false};
  if (parent != getppid() || watched.exchange(true)) return;
  std::thread([parent] {
    const int queue = kqueue();
    struct kevent event;
    EV_SET(&event, parent, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
    // An error means that it has ended already.
    kevent(queue, &event, 1, &event, 1, nullptr);
    kill(getpid(), SIGTERM);
  }).detach();
}

}  // namespace hadal
