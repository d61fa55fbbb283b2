// Runs kernels. The threads of a block are fibers of one host thread, which goes from fiber to fiber where threads wait for each
// other: a warp runs as far as it comes before the next one does, and within it a lane before the next, so that a barrier
// that is missing shows as data that is not there yet, or not any more. HADAL_EMULATOR_ORDER chooses who is first: `forward`,
// `reverse`, or a number, the seed of an order that changes with each turn. What is asynchronous in a thread happens as late or as
// early as it may: copies when they are waited for and products at once, in `reverse` the other way round; with a seed copies
// are late and the products of a sum are one or the other.
//
// Blocks run one after another. Each finds its shared memory, and each thread its stack, full of 0xff. Threads that wait for
// something that cannot come, lanes that meet in different instructions and addresses that are not aligned end the kernel.
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <utility>

#include "emulator.h"
#include "races.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

// Saves the running context's callee-saved registers and stack, and goes on with another's.
extern "C" __attribute__((visibility("hidden"))) void emulator_switch(void** from, void* to);
asm(R"(
.text
.hidden emulator_switch
.globl emulator_switch
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, . - emulator_switch
)");

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = size_t{512} << 10;
#else
constexpr size_t kStackBytes = size_t{128} << 10;
#endif
constexpr size_t kGuardBytes = 4096;
constexpr size_t kFilledBytes = 1024;  // of a stack, before a thread begins
constexpr int kMaxThreads = 1024, kMaxWarps = kMaxThreads / kWarpSize, kBarriers = 16;
// Where dynamic shared memory begins, as an address of 32 bits: at a multiple of 16, and of nothing larger.
constexpr uint32_t kSharedBase = 0x1010;

struct Copy {
  void* to;
  const void* from;
  int bytes;
  bool done;
};

// One that is running, with what its left factor's registers were.
struct RunningProduct {
  Product product;  // nothing to be added where it has been
  uint32_t left[4];
};
// The sum of running products: what its registers hold again once they are waited for.
struct RunningSum {
  float* sum;
  bool is_early;
  std::vector<float> values;
};

enum class State { kFresh, kReady, kWaiting, kEnded };

struct Thread {
  State state;
  uint3 index;
  int warp, lane;
  void* context;
  std::byte* stack;
  int barrier;                                        // that it waits at, or -1
  std::vector<std::vector<Copy>> copies;              // in groups; the last is open
  std::vector<std::vector<RunningProduct>> products;  // the same
  std::vector<RunningSum> sums;
  bool copied;     // something, since it last waited for copies
  bool published;  // what it, or the copies that it waited for, have written
  bool begun;      // products, since it last waited for some
};
struct Warp {
  int first, size;  // of its threads
  int live, arrived, phase;
  Meeting meeting;
  // Of this meeting and the last one, whose words are still read while lanes arrive.
  uint32_t words[2][kWarpSize * kMaxWords];
};
struct Barrier {
  unsigned expected, arrived;
  int phase;
  int truths[2];
};

class Order {
 public:
  Order() {
    const char* variable = std::getenv("HADAL_EMULATOR_ORDER");
    const std::string text = variable == nullptr ? "" : variable;
    if (text == "reverse") kind_ = Kind::kReverse;
    else if (!text.empty() && text != "forward") kind_ = Kind::kShuffled;
    if (kind_ == Kind::kShuffled) random_.seed(static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 10)));
  }
  bool is_copy_early() const { return kind_ == Kind::kReverse; }
  bool is_product_early() { return kind_ == Kind::kForward || (kind_ == Kind::kShuffled && random_() % 2 == 0); }
  void fill(std::vector<int>& places, int count) {
    places.resize(static_cast<size_t>(count));
    std::iota(places.begin(), places.end(), 0);
    if (kind_ == Kind::kReverse) std::reverse(places.begin(), places.end());
    if (kind_ == Kind::kShuffled) std::shuffle(places.begin(), places.end(), random_);
  }

 private:
  enum class Kind { kForward, kReverse, kShuffled } kind_ = Kind::kForward;
  std::minstd_rand random_;
};

// Of the kernel that runs. What has a destructor is never destroyed, since kernels may run until the process has ended.
std::mutex running;
Launch* launched;
void** arguments;
void* scheduler;
Thread* const threads = new Thread[kMaxThreads];
Warp warps[kMaxWarps];
Barrier barriers[kBarriers];
Thread* current;
unsigned live;
uint64_t block_number;  // of all blocks that have run
std::string& failure = *new std::string;
std::byte* dynamic;  // its shared memory
size_t dynamic_bytes;
std::vector<std::byte*>& stacks = *new std::vector<std::byte*>;  // that are free

Order& order() {
  static Order& order = *new Order;
  return order;
}

std::byte* take_stack() {
  if (stacks.empty()) {
    void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuardBytes, PROT_NONE);
    stacks.push_back(static_cast<std::byte*>(memory) + kGuardBytes);
  }
  std::byte* stack = stacks.back();
  stacks.pop_back();
  return stack;
}

void to_scheduler() { emulator_switch(&current->context, scheduler); }

// What waited for all threads has them once the others have ended.
void release(Barrier& barrier) {
  barrier.arrived = 0;
  ++barrier.phase;
  barrier.truths[barrier.phase & 1] = 0;
  const int index = static_cast<int>(&barrier - barriers), meeting = races::meeting_of_barrier(index);
  for (unsigned i = 0; i < blockDim.x * blockDim.y * blockDim.z; ++i) {
    if (threads[i].state != State::kWaiting || threads[i].barrier != index) continue;
    threads[i].state = State::kReady;
    threads[i].barrier = -1;
    races::leave(meeting, static_cast<int>(i));
  }
  races::close(meeting);
}
void release_if_complete(Barrier& barrier) {
  if (barrier.arrived > 0 && barrier.arrived == (barrier.expected == 0 ? live : barrier.expected)) release(barrier);
}
void release_if_complete(Warp& warp) {
  if (warp.arrived == 0 || warp.arrived < warp.live) return;
  const int meeting = races::meeting_of_warp(static_cast<int>(&warp - warps));
  const bool orders = warp.meeting == Meeting::kBarrier;
  warp.arrived = 0;
  warp.meeting = Meeting::kNone;
  ++warp.phase;
  std::memset(warp.words[warp.phase & 1], 0xff, sizeof(warp.words[0]));
  for (int i = 0; i < warp.size; ++i) {
    Thread& thread = threads[warp.first + i];
    if (thread.state != State::kWaiting || thread.barrier >= 0) continue;
    thread.state = State::kReady;
    if (orders) races::leave(meeting, warp.first + i);
  }
  if (orders) races::close(meeting);
}

void thread_main() {
  launched->kernel.call(launched->kernel.address, arguments);
  for (const auto& group : current->copies) {
    if (!group.empty()) fail("the thread ended before its asynchronous copies");
  }
  if (!current->sums.empty()) fail("the thread ended before its products");
  current->state = State::kEnded;
  --live;
  --warps[current->warp].live;
  release_if_complete(warps[current->warp]);
  release_if_complete(barriers[0]);
  to_scheduler();
  __builtin_unreachable();
}

void resume(Thread& thread) {
  if (thread.state == State::kFresh) {
    thread.stack = take_stack();
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(thread.stack, kStackBytes);  // the last thread's first function has not returned
#endif
    auto** top = reinterpret_cast<void**>(thread.stack + kStackBytes) - 2;
    std::memset(reinterpret_cast<std::byte*>(top) - kFilledBytes, 0xff, kFilledBytes);
    top[0] = reinterpret_cast<void*>(thread_main);
    top[1] = nullptr;
    thread.context = top - 6;
  }
  thread.state = State::kReady;
  threadIdx = thread.index;
  current = &thread;
  emulator_switch(&scheduler, thread.context);
  if (thread.state == State::kEnded) stacks.push_back(thread.stack);
}

void start_block(const Launch& launch) {
  ++block_number;
  const unsigned count = launch.block.x * launch.block.y * launch.block.z;
  live = count;
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = threads[i];
    thread.state = State::kFresh;
    thread.index = {i % launch.block.x, i / launch.block.x % launch.block.y, i / launch.block.x / launch.block.y};
    thread.warp = static_cast<int>(i) / kWarpSize;
    thread.lane = static_cast<int>(i) % kWarpSize;
    thread.barrier = -1;
    thread.copies.clear();
    thread.products.clear();
    thread.sums.clear();
    thread.copied = false;
    thread.published = true;
    thread.begun = false;
  }
  for (unsigned first = 0; first < count; first += kWarpSize) {
    Warp& warp = warps[first / kWarpSize];
    warp.first = static_cast<int>(first);
    warp.size = warp.live = static_cast<int>(std::min(count - first, unsigned{kWarpSize}));
    warp.arrived = warp.phase = 0;
    warp.meeting = Meeting::kNone;
    std::memset(warp.words, 0xff, sizeof(warp.words));
  }
  for (Barrier& barrier : barriers) barrier = {};
  std::memset(dynamic, 0xff, dynamic_bytes);
  races::start_block(static_cast<int>(count));
}

std::string describe_waiting() {
  const unsigned count = blockDim.x * blockDim.y * blockDim.z;
  std::string text;
  for (int index = -1; index < kBarriers; ++index) {
    const auto waits = [&](const Thread& thread) { return thread.state == State::kWaiting && thread.barrier == index; };
    const auto number = std::count_if(threads, threads + count, waits);
    if (number == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(number) + " for " +
            (index < 0 ? "lanes of their warp" : "barrier " + std::to_string(index));
  }
  return "threads wait forever: of " + std::to_string(count) + ", " + std::to_string(count - live) + " have ended, " +
         text;
}

void run_block(const Launch& launch) {
  start_block(launch);
  const int warp_count = static_cast<int>(launch.block.x * launch.block.y * launch.block.z + kWarpSize - 1) / kWarpSize;
  static auto &warp_order = *new std::vector<int>, &lane_order = *new std::vector<int>;
  while (live > 0) {
    bool progress = false;
    order().fill(warp_order, warp_count);
    for (int place : warp_order) {
      Warp& warp = warps[place];
      for (bool again = warp.live > 0; again;) {
        again = false;
        order().fill(lane_order, warp.size);
        for (int lane : lane_order) {
          Thread& thread = threads[warp.first + lane];
          if (thread.state != State::kFresh && thread.state != State::kReady) continue;
          resume(thread);
          if (!failure.empty()) return;
          again = progress = true;
        }
      }
    }
    if (!progress) {
      failure = describe_waiting();
      return;
    }
  }
  if (std::any_of(barriers, barriers + kBarriers, [](const Barrier& barrier) { return barrier.arrived > 0; })) {
    failure = "threads have arrived at a barrier where too few came";
  }
}

std::string place_of(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

}  // namespace

Launch::Launch(const Kernel& kernel, dim3 grid, dim3 block, size_t shared, void** from)
    : kernel(kernel), grid(grid), block(block), shared(shared) {
  size_t bytes = 0;
  for (size_t i = 0; i < kernel.parameter_count; ++i) {
    const auto [size, alignment] = kernel.parameters[i];
    bytes = (bytes + alignment - 1) / alignment * alignment;
    places.push_back(bytes);
    bytes += size;
  }
  arguments.resize(bytes + 64);  // as much as alignments up to 64 need
  const size_t lead = (64 - reinterpret_cast<uintptr_t>(arguments.data()) % 64) % 64;
  for (size_t i = 0; i < kernel.parameter_count; ++i) {
    places[i] += lead;
    std::memcpy(arguments.data() + places[i], from[i], kernel.parameters[i].bytes);
  }
}

static std::string run_blocks(const Launch& launch) {
  static auto& blocks = *new std::vector<int>;
  order().fill(blocks, static_cast<int>(std::min<uint64_t>(uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z,
                                                           uint64_t{1} << 24)));
  for (int place : blocks) {
    const auto block = static_cast<unsigned>(place);
    blockIdx = {block % launch.grid.x, block / launch.grid.x % launch.grid.y, block / launch.grid.x / launch.grid.y};
    run_block(launch);
    if (failure.empty()) continue;
    // Whoever has not ended never will.
    const std::string what = name_of(launch.kernel.address) + ", block " + place_of(blockIdx) + ": " + failure;
    for (unsigned i = 0; i < blockDim.x * blockDim.y * blockDim.z; ++i) {
      if (threads[i].state == State::kEnded || threads[i].state == State::kFresh) continue;
#if defined(__SANITIZE_ADDRESS__)
      ASAN_UNPOISON_MEMORY_REGION(threads[i].stack, kStackBytes);
#endif
      stacks.push_back(threads[i].stack);
    }
    return what;
  }
  return "";
}

std::string run(Launch& launch) {
  std::lock_guard lock(running);
  std::vector<void*> addresses;
  for (size_t place : launch.places) addresses.push_back(launch.arguments.data() + place);
  launched = &launch;
  arguments = addresses.data();
  blockDim = launch.block;
  gridDim = launch.grid;
  failure.clear();
  dynamic_bytes = launch.shared;
  const std::unique_ptr<std::byte[]> room(new std::byte[dynamic_bytes]);
  dynamic = room.get();
  races::add_shared(dynamic, dynamic_bytes);
  races::start_launch();
  const std::string what = run_blocks(launch);
  races::end_launch();
  races::remove(dynamic);
  return what;
}

// Kernels are no dynamic symbols, so the table is read from the file.
std::string name_of(const void* function) {
  Dl_info info;
  if (dladdr(function, &info) == 0) return "unknown";
  std::ifstream file(info.dli_fname, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  const auto at = reinterpret_cast<uintptr_t>(function) - reinterpret_cast<uintptr_t>(info.dli_fbase);
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char* names = bytes.data() + sections[sections[i].sh_link].sh_offset;
    const auto* symbols = reinterpret_cast<const Elf64_Sym*>(bytes.data() + sections[i].sh_offset);
    for (size_t k = 0; k < sections[i].sh_size / sizeof(Elf64_Sym); ++k) {
      if (symbols[k].st_value != at || ELF64_ST_TYPE(symbols[k].st_info) != STT_FUNC) continue;
      int status = 0;
      const std::unique_ptr<char, void (*)(void*)> name(
          abi::__cxa_demangle(names + symbols[k].st_name, nullptr, nullptr, &status), std::free);
      return status == 0 ? name.get() : names + symbols[k].st_name;
    }
  }
  return "unknown";
}

// --- What device code calls ------------------------------------------------------------------------------------------------

void fail(const char* what) {
  failure = "thread " + place_of(threadIdx) + ": " + what;
  to_scheduler();
  __builtin_unreachable();
}

void fill_shared(uint64_t& filled_in, void* memory, size_t bytes) {
  if (filled_in == 0) races::add_shared(memory, bytes);
  if (filled_in == block_number) return;
  filled_in = block_number;
  std::memset(memory, 0xff, bytes);
}
void* dynamic_shared() { return dynamic; }
uint32_t shared_address(const void* memory) {
  return kSharedBase + static_cast<uint32_t>(static_cast<const std::byte*>(memory) - dynamic);
}
void* shared_memory(uint32_t address, size_t bytes, size_t alignment) {
  if (address < kSharedBase || address - kSharedBase + bytes > dynamic_bytes) fail("outside of dynamic shared memory");
  if (address % alignment != 0) fail("misaligned address in shared memory");
  return dynamic + (address - kSharedBase);
}

int thread_number() { return static_cast<int>(current - threads); }
int lane() { return current->lane; }
int warp() { return current->warp; }

const uint32_t* meet(Meeting what, unsigned mask, const uint32_t* words, int count) {
  if (mask != 0xffffffffu) fail("a mask of some lanes, which the emulator does not know");
  Warp& warp = warps[current->warp];
  if (warp.arrived > 0 && warp.meeting != what) fail("lanes of a warp meet in different instructions");
  warp.meeting = what;
  uint32_t* all = warp.words[warp.phase & 1];
  if (count > 0) std::memcpy(all + current->lane * kMaxWords, words, static_cast<size_t>(count) * sizeof(uint32_t));
  if (what == Meeting::kBarrier) races::arrive(races::meeting_of_warp(current->warp), thread_number());
  ++warp.arrived;
  current->state = State::kWaiting;
  release_if_complete(warp);
  if (current->state == State::kWaiting) to_scheduler();
  return all;
}

static Barrier& arrive_at(int index, unsigned count) {
  if (index < 0 || index >= kBarriers) fail("there are 16 barriers");
  Barrier& barrier = barriers[index];
  if (barrier.arrived > 0 && barrier.expected != count) fail("threads expect different numbers at a barrier");
  if (count % kWarpSize != 0) fail("a barrier for a number of threads that is no multiple of 32");
  barrier.expected = count;
  races::arrive(races::meeting_of_barrier(index), thread_number());
  ++barrier.arrived;
  return barrier;
}
int wait(int index, unsigned count, bool truth) {
  Barrier& barrier = arrive_at(index, count);
  const int phase = barrier.phase & 1;
  barrier.truths[phase] += truth ? 1 : 0;
  current->state = State::kWaiting;
  current->barrier = index;
  release_if_complete(barrier);
  if (current->state == State::kWaiting) to_scheduler();
  return barrier.truths[phase];
}
void arrive(int index, unsigned count) {
  if (!current->published) fail("a thread arrives before what it has written is made visible");
  release_if_complete(arrive_at(index, count));
}

static void run(const Copy& copy) {
  std::memset(copy.to, 0, 16);
  std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
}
static void finish_copies(int pending) {
  auto& groups = current->copies;
  while (static_cast<int>(groups.size()) > pending + 1) {
    for (const Copy& copy : groups.front()) {
      races::note(copy.from, static_cast<size_t>(copy.bytes), races::Access::kRead);
      races::note(copy.to, 16, races::Access::kWrite);
      if (!copy.done) run(copy);
      current->copied = true;
    }
    groups.erase(groups.begin());
  }
}
void copy_later(uint32_t to, const void* from, int bytes) {
  if (reinterpret_cast<uintptr_t>(from) % 16 != 0) fail("misaligned asynchronous copy");
  if (bytes < 0 || bytes > 16) fail("an asynchronous copy of more than 16 bytes");
  if (current->copies.empty()) current->copies.emplace_back();
  const Copy copy{shared_memory(to, 16, 16), from, bytes, order().is_copy_early()};
  races::note(copy.to, 16, races::Access::kWrite);
  if (copy.done) run(copy);
  current->copies.back().push_back(copy);
}
void commit_copies() {
  if (current->copies.empty()) current->copies.emplace_back();
  current->copies.emplace_back();
}
void wait_for_copies(int pending) {
  finish_copies(pending);
  current->published = current->published && !current->copied;
  current->copied = false;
}

void note_atomic(const void* memory, size_t bytes) { races::note(memory, bytes, races::Access::kAtomic); }

// Blocks run one after another, so that who has a turn before this one must have had it.
void wait_for_turn(const unsigned* counter, unsigned turn) {
  note_atomic(counter, sizeof(unsigned));
  if (*counter != turn) fail("a turn that does not come");
  races::take_turn(counter);
}
void pass_turn(unsigned* counter, unsigned turn) {
  note_atomic(counter, sizeof(unsigned));
  *counter = turn;
  races::pass_turn(counter);
}

void publish_copies() { current->published = true; }
void has_written() { current->published = false; }
void begin_products() { current->begun = true; }
void multiply_later(Product product) {
  auto& groups = current->products;
  auto& sums = current->sums;
  const auto same = [&](const RunningSum& running) { return running.sum == product.sum; };
  auto running = std::find_if(sums.begin(), sums.end(), same);
  if (!current->published) fail("a product before the copies are made visible to it");
  if (!current->begun && (running == sums.end() || product.left != nullptr)) fail("a product that was not begun");
  if (running == sums.end()) {
    sums.push_back({product.sum, order().is_product_early(), {product.sum, product.sum + product.size}});
    running = sums.end() - 1;
    std::memset(product.sum, 0xff, static_cast<size_t>(product.size) * sizeof(float));
  }
  if (running->is_early) std::exchange(product.added, nullptr)(running->values.data());
  if (groups.empty()) groups.emplace_back();
  groups.back().push_back({std::move(product), {}});
  RunningProduct& last = groups.back().back();
  if (last.product.left != nullptr) std::memcpy(last.left, last.product.left, sizeof(last.left));
}
void commit_products() {
  if (current->products.empty()) current->products.emplace_back();
  current->products.emplace_back();
}
void wait_for_products(int pending, const float* sum) {
  auto& groups = current->products;
  current->begun = false;
  while (static_cast<int>(groups.size()) > pending + 1) {
    for (const auto& [product, left] : groups.front()) {
      if (product.left != nullptr && std::memcmp(product.left, left, sizeof(left)) != 0) {
        fail("a left factor was written while its product ran");
      }
      if (!product.added) continue;
      for (RunningSum& running : current->sums) {
        if (running.sum == product.sum) product.added(running.values.data());
      }
    }
    groups.erase(groups.begin());
  }
  std::erase_if(current->sums, [&](const RunningSum& running) {
    for (const auto& group : groups) {
      for (const auto& queued : group) {
        if (queued.product.sum != running.sum) continue;
        if (running.sum == sum) fail("a product that is still running is used");
        return false;
      }
    }
    for (size_t i = 0; i < running.values.size(); ++i) {
      uint32_t bits;
      std::memcpy(&bits, running.sum + i, sizeof(bits));
      if (bits != 0xffffffffu) fail("a sum was written while its product ran");
    }
    std::copy(running.values.begin(), running.values.end(), running.sum);
    return true;
  });
}

}  // namespace emulator
