#include "runtime/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace hadal {

namespace {

constexpr size_t kMinBlock = 64;
// Four classes an octave: a block wastes at most a quarter, and freed activations of one step fit the next.
constexpr int kClassesPerOctave = 4;
constexpr size_t kHugePage = size_t{2} << 20;
// Blocks from here up are mapped by themselves, on huge pages, and can be given back.
constexpr size_t kLargeBlock = size_t{1} << 20;
constexpr size_t kSlab = size_t{4} << 20;

std::atomic<size_t> mapped_bytes{0};

size_t first_number_in(const char* path) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!word.empty() && word[0] >= '0' && word[0] <= '9') return std::stoull(word);
  }
  return SIZE_MAX;
}

size_t default_limit() {
  size_t total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    total = std::min(total, first_number_in(path));
  }
  // A tenth is left to JavaScript, code and scratch memory.
  return total / 10 * 9;
}

std::atomic<size_t>& process_limit() {
  static std::atomic<size_t> limit{default_limit()};
  return limit;
}

size_t system_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  size_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes >> unit) {
    if (key == "MemAvailable:") return kilobytes << 10;
  }
  return SIZE_MAX;
}

}  // namespace

size_t Allocator::limit() { return process_limit(); }
void Allocator::set_limit(size_t bytes) { process_limit() = bytes; }

size_t Allocator::available() {
  const size_t mapped = mapped_bytes.load();
  const size_t within_limit = limit() > mapped ? limit() - mapped : 0;
  return std::min(within_limit, system_available());
}

int Allocator::size_class(size_t bytes) {
  bytes = std::max(bytes, kMinBlock);
  const int octave = std::bit_width(bytes - 1) - 1;  // of the largest power of two below `bytes`
  const size_t base = size_t{1} << octave;
  const size_t step = std::max(base / kClassesPerOctave, size_t{1});
  const int part = static_cast<int>((bytes - base + step - 1) / step);  // 1 … kClassesPerOctave
  return octave * kClassesPerOctave + part;
}

size_t Allocator::class_size(int size_class) {
  const int octave = (size_class - 1) / kClassesPerOctave;
  const size_t base = size_t{1} << octave;
  const size_t size = base + base / kClassesPerOctave * ((size_class - 1) % kClassesPerOctave + 1);
  const size_t unit = size >= kLargeBlock ? kHugePage : kMinBlock;
  return (size + unit - 1) / unit * unit;
}

Block Allocator::map(size_t bytes) {
  const size_t mapped = mapped_bytes.load();
  if (bytes > limit() || mapped > limit() - bytes) return {};
  // Overcommit would let the mapping pass and the kernel kill the process later; asking costs 20 µs, so only for large ones.
  if (bytes >= (size_t{64} << 20) && bytes > system_available()) return {};
  // Room to align to a huge page; the ends are given back.
  const size_t padded = bytes + kHugePage;
  void* address = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return {};
  auto* start = static_cast<std::byte*>(address);
  auto* aligned = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(start) + kHugePage - 1) & ~(kHugePage - 1));
  if (aligned != start) munmap(start, static_cast<size_t>(aligned - start));
  const size_t tail = padded - static_cast<size_t>(aligned - start) - bytes;
  if (tail != 0) munmap(aligned + bytes, tail);
  madvise(aligned, bytes, MADV_HUGEPAGE);
  mapped_bytes += bytes;
  return {aligned, bytes, 0};
}

Block Allocator::allocate(size_t bytes) {
  if (bytes > (size_t{1} << 48)) return {};
  const size_t size = class_size(size_class(bytes));
  const int wanted = size_class(size);  // rounding to whole pages may reach a later class
  if (wanted >= static_cast<int>(free_lists_.size())) free_lists_.resize(wanted + 1);
  auto& list = free_lists_[wanted];
  Block block;
  if (!list.empty()) {
    block = list.back();
    list.pop_back();
    statistics_.cached -= block.capacity;
  } else {
    if (size >= kLargeBlock) {
      block = map(size);
    } else {
      if (slabs_.empty() || slab_used_ + size > kSlab) {
        const Block slab = map(kSlab);
        if (slab.data == nullptr) return {};
        slabs_.push_back(slab);
        slab_used_ = 0;
      }
      block = {slabs_.back().data + slab_used_, size, 0};
      slab_used_ += size;
    }
    if (block.data == nullptr) return {};
  }
  statistics_.live += block.capacity;
  statistics_.peak = std::max(statistics_.peak, statistics_.live);
  ++statistics_.storages;
  return block;
}

void Allocator::free(Block block, uint64_t sequence) {
  block.freed_at = sequence;
  statistics_.live -= block.capacity;
  statistics_.cached += block.capacity;
  --statistics_.storages;
  free_lists_[size_class(block.capacity)].push_back(block);
}

void Allocator::release_cache() {
  for (auto& list : free_lists_) {
    if (list.empty() || list.front().capacity < kLargeBlock) continue;
    for (const Block& block : list) {
      munmap(block.data, block.capacity);
      mapped_bytes -= block.capacity;
      statistics_.cached -= block.capacity;
    }
    list.clear();
  }
}

Allocator::~Allocator() {
  release_cache();
  for (const Block& slab : slabs_) {
    munmap(slab.data, slab.capacity);
    mapped_bytes -= slab.capacity;
  }
}

}  // namespace hadal
