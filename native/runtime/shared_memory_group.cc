#include "runtime/shared_memory_group.h"

#include <atomic>
#include <cstring>
#include <string_view>

#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/spin.h"

namespace hadal {

namespace {

using Clock = std::chrono::steady_clock;

static_assert(std::atomic<uint32_t>::is_always_lock_free, "ranks share these");

// A rank that comes soon costs no sleep. Ranks share the processor, so there is little to be won by spinning on.
constexpr auto kSpinTime = std::chrono::microseconds(20);
// How often a rank that sleeps looks whether the others live.
constexpr auto kLookInterval = std::chrono::milliseconds(20);

enum State : uint32_t { kAbsent, kJoined, kLeft };

// What a rank is about to do. All bytes are compared, so there is none that nobody writes.
struct Announcement {
  char op[24];
  double attribute;  // the reduction or the root
  int64_t elements;  // in all tensors
  uint64_t shapes;   // a hash of them all
  int64_t shape[kMaxRank];
  int32_t rank;
  int32_t tensors;
  int32_t dtype;
  int32_t unused;
};
static_assert(sizeof(Announcement) == 24 + 3 * 8 + kMaxRank * 8 + 4 * 4);

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kDistributed, "init: " + what); }

const char* reduction_name(double reduction) {
  constexpr const char* kNames[] = {"sum", "mean", "max", "min"};
  return reduction >= 0 && reduction < 4 ? kNames[static_cast<int>(reduction)] : "unknown";
}

std::string described(const Announcement& call) {
  const std::string_view op(call.op);
  std::string text(op);
  if (op == "barrier") return text;
  if (op == "allReduce" || op == "reduceScatter") text += std::string(" ") + reduction_name(call.attribute);
  if (op == "broadcast") text += " from rank " + std::to_string(static_cast<int>(call.attribute));
  text += " of ";
  if (call.tensors != 1) {
    return text + std::to_string(call.tensors) + " tensors with " + std::to_string(call.elements) + " elements, " +
           name_of(static_cast<DType>(call.dtype));
  }
  text += std::string(name_of(static_cast<DType>(call.dtype))) + " [";
  for (int axis = 0; axis < call.rank; ++axis) text += (axis == 0 ? "" : ", ") + std::to_string(call.shape[axis]);
  return text + "]";
}

}  // namespace

struct alignas(128) SharedMemoryGroup::Line {
  std::atomic<uint32_t> arrived;  // how often the rank has come to wait()
  std::atomic<uint32_t> sleepers;
  std::atomic<uint32_t> state;
  Announcement announcements[2];  // a rank is at most one collective ahead of another
};

// As a fresh file has it, all zeros.
struct SharedMemoryGroup::Header {
  std::atomic<uint32_t> size;
  std::atomic<uint32_t> build;
  std::atomic<uint32_t> failed;  // 1: being written; 2: `reason` says why
  char reason[1024];
  Line lines[kMaxRanks];
};

namespace {

constexpr size_t kHalves = 2;

}  // namespace

SharedMemoryGroup::SharedMemoryGroup(const std::string& path, int lane, int rank, int size, uint32_t build,
                                     std::chrono::milliseconds timeout)
    : lane_(lane), rank_(rank), size_(size), timeout_(timeout) {
  if (size < 1 || size > kMaxRanks || rank < 0 || rank >= size) {
    refuse("no such rank: got rank " + std::to_string(rank) + " of " + std::to_string(size) +
           ", expected one of at most " + std::to_string(kMaxRanks));
  }
  if (const auto error = file_.open(path)) refuse("cannot open " + path + ": " + error.message());
  if (!file_.lock(lock_of(rank))) {
    refuse("rank " + std::to_string(rank) + " is taken: got a second process for it, expected one");
  }
  const size_t header = (sizeof(Header) + kMapUnit - 1) / kMapUnit * kMapUnit;
  bytes_ = header + static_cast<size_t>(size) * kHalves * kSlotBytes;
  const int64_t start = lane * static_cast<int64_t>(bytes_);
  if (const auto error = file_.reserve(start, bytes_)) {
    refuse("no room for " + std::to_string(bytes_ >> 20) + " MiB of shared memory: " + error.message());
  }
  if (const auto error = file_.map(start, bytes_)) refuse("cannot map shared memory: " + error.message());
  auto& shared = *reinterpret_cast<Header*>(file_.memory());
  // The first rank says what the others must be like.
  uint32_t first_size = 0, first_build = 0;
  if (!shared.size.compare_exchange_strong(first_size, static_cast<uint32_t>(size)) &&
      first_size != static_cast<uint32_t>(size)) {
    refuse("ranks differ: got a world of " + std::to_string(size) + " processes on rank " + std::to_string(rank) +
           ", expected " + std::to_string(first_size) + " as elsewhere");
  }
  if (!shared.build.compare_exchange_strong(first_build, build) && first_build != build) {
    refuse("ranks differ: got another build of hadal on rank " + std::to_string(rank) + ", expected the same");
  }
  if (line(rank).state != kAbsent) {
    refuse("rank " + std::to_string(rank) + " has been here before: got a second start, expected all ranks anew");
  }
  line(rank).state = kJoined;
}

SharedMemoryGroup::~SharedMemoryGroup() { line(rank_).state = kLeft; }

SharedMemoryGroup::Line& SharedMemoryGroup::line(int rank) const {
  return reinterpret_cast<Header*>(file_.memory())->lines[rank];
}

std::byte* SharedMemoryGroup::slot(int rank) {
  const size_t number = static_cast<size_t>(rank) * kHalves + static_cast<size_t>(half_);
  return file_.memory() + bytes_ - (static_cast<size_t>(size_) * kHalves - number) * kSlotBytes;
}

void SharedMemoryGroup::announce(const Command& command) {
  op_ = command.name();
  Announcement call{};
  std::strncpy(call.op, command.name(), sizeof call.op - 1);
  const bool has_attribute = command.attribute_count > 0;
  call.attribute = has_attribute ? command.attribute(0) : 0;
  call.tensors = command.input_count;
  call.shapes = 14695981039346656037u;  // FNV-1a, a number at a time
  const auto mix = [&](int64_t number) {
    call.shapes = (call.shapes ^ static_cast<uint64_t>(number)) * 1099511628211u;
  };
  for (int i = 0; i < command.input_count; ++i) {
    const TensorView& view = command.input(i);
    call.elements += view.numel();
    mix(view.rank);
    mix(static_cast<int64_t>(view.dtype));
    for (int axis = 0; axis < view.rank; ++axis) mix(view.shape[axis]);
  }
  if (command.input_count > 0) {
    const TensorView& first = command.input(0);
    call.dtype = static_cast<int32_t>(first.dtype);
    call.rank = first.rank;
    for (int axis = 0; axis < first.rank; ++axis) call.shape[axis] = first.shape[axis];
  }
  line(rank_).announcements[(turn_ + 1) & 1] = call;
  announced_ = true;
}

void SharedMemoryGroup::wait() {
  throw_if_failed();
  const uint32_t turn = ++turn_;
  Line& own = line(rank_);
  own.arrived.store(turn);
  if (const uint32_t sleepers = own.sleepers.load(); sleepers != 0) file_.wake(own.arrived, sleepers);
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != rank_) wait_for(rank, turn);
  }
  if (announced_) compare_announced();
  announced_ = false;
}

void SharedMemoryGroup::wait_for(int rank, uint32_t turn) {
  std::atomic<uint32_t>& arrived = line(rank).arrived;
  const auto is_here = [&] { return static_cast<int32_t>(arrived.load(std::memory_order_acquire) - turn) >= 0; };
  const auto start = Clock::now();
  do {
    for (int i = 0; i < 64; ++i) {
      if (is_here()) return;
      spin_pause();
    }
  } while (Clock::now() - start < kSpinTime);
  Line& other = line(rank);
  for (;;) {
    const uint32_t seen = arrived.load();
    if (is_here()) return;
    throw_if_failed();
    if (stopping_.load(std::memory_order_relaxed)) {
      throw Error(ErrorCode::kDistributed, prefixed("this process ends: got no answer from rank " +
                                                    std::to_string(rank) + ", expected it to come"));
    }
    if (has_ended(rank)) {
      if (is_here()) return;  // it came, and then it left
      const bool by_itself = other.state == kLeft;
      fail("rank " + std::to_string(rank) + (by_itself ? " has ended" : " has died") + ": got " +
           std::to_string(size_ - 1) + " of " + std::to_string(size_) + " ranks, expected all");
    }
    if (Clock::now() - start > timeout_) {
      fail("rank " + std::to_string(rank) + (other.state == kAbsent ? " has not joined" : " has not come") + ": got " +
           std::to_string(timeout_.count()) + " ms of waiting on rank " + std::to_string(rank_) +
           ", expected it within the timeout");
    }
    other.sleepers.fetch_add(1);
    file_.sleep(arrived, seen, kLookInterval);
    other.sleepers.fetch_sub(1);
  }
}

bool SharedMemoryGroup::has_ended(int rank) const {
  return line(rank).state != kAbsent && !file_.is_locked(lock_of(rank));  // one that is absent may still come
}

void SharedMemoryGroup::check_peers() {
  throw_if_failed();
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != rank_ && has_ended(rank))
      fail("rank " + std::to_string(rank) + " has ended: got " + std::to_string(size_ - 1) + " of " +
           std::to_string(size_) + " ranks, expected all");
  }
}

void SharedMemoryGroup::compare_announced() {
  const auto call_of = [&](int rank) -> const Announcement& { return line(rank).announcements[turn_ & 1]; };
  const Announcement& own = call_of(rank_);
  for (int rank = 0; rank < size_; ++rank) {
    const Announcement& other = call_of(rank);
    if (std::memcmp(&own, &other, sizeof own) == 0) continue;
    const int low = rank < rank_ ? rank : rank_, high = rank < rank_ ? rank_ : rank;
    const std::string got = described(call_of(low)), then = described(call_of(high));
    fail("ranks differ: got " + got + " on rank " + std::to_string(low) + " and " + then + " on rank " +
         std::to_string(high) + (got == then ? ", in other shapes" : "") + ", expected the same on all");
  }
}

void SharedMemoryGroup::throw_if_failed() const {
  auto& shared = *reinterpret_cast<Header*>(file_.memory());
  if (shared.failed.load() == 2) throw Error(ErrorCode::kDistributed, prefixed(shared.reason));
}

void SharedMemoryGroup::fail(const std::string& reason) const {
  auto& shared = *reinterpret_cast<Header*>(file_.memory());
  uint32_t none = 0;
  if (shared.failed.compare_exchange_strong(none, 1)) {
    std::strncpy(shared.reason, reason.c_str(), sizeof shared.reason - 1);
    shared.failed.store(2);
  }
  // Whoever was first may have died in between; then each rank has its own reason.
  throw_if_failed();
  throw Error(ErrorCode::kDistributed, prefixed(reason));
}

std::string SharedMemoryGroup::prefixed(const std::string& message) const {
  return std::string(op_.load(std::memory_order_relaxed)) + ": " + message;
}

}  // namespace hadal
