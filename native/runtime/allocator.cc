#include "runtime/allocator.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "runtime/poison.h"

namespace hadal {

namespace {

constexpr size_t kMinBlock = 64;
// Four classes an octave: a block wastes at most a quarter, and freed activations of one step fit the next.
constexpr int kClassBits = 2;
constexpr int kClassesPerOctave = 1 << kClassBits;
// Blocks from here up are mapped by themselves, in whole huge pages, and can be given back.
constexpr size_t kLargeBlock = size_t{1} << 20;
constexpr size_t kLargeUnit = size_t{2} << 20;
constexpr size_t kHugeBlock = size_t{64} << 20;
constexpr size_t kSlab = size_t{4} << 20;
constexpr size_t kLargeGap = kPoisons ? 4096 : 0;  // a page

}  // namespace

int Allocator::size_class(size_t bytes) {
  bytes = std::max(bytes, kMinBlock);
  const int octave = std::bit_width(bytes - 1) - 1;  // of the largest power of two below `bytes`
  const size_t base = size_t{1} << octave;
  const size_t step = base >> kClassBits;
  const int part = static_cast<int>((bytes - base + step - 1) >> (octave - kClassBits));  // 1 … kClassesPerOctave
  return octave * kClassesPerOctave + part;
}

size_t Allocator::class_size(int size_class) {
  const unsigned before = static_cast<unsigned>(size_class) - 1;
  const size_t base = size_t{1} << (before >> kClassBits);
  const size_t size = base + (base >> kClassBits) * (before % kClassesPerOctave + 1);
  const size_t unit = size >= kLargeBlock ? kLargeUnit : kMinBlock;
  return (size + unit - 1) & ~(unit - 1);
}

Block Allocator::allocate(size_t bytes, const std::atomic<uint64_t>* completed) {
  if (bytes > (size_t{1} << 48)) return {};
  const size_t size = class_size(size_class(bytes));
  const int wanted = size_class(size);  // rounding to whole pages may reach a later class
  // Rather than new memory, a large one takes what is up to twice as large.
  const int largest = kPoisons || size < kLargeBlock ? wanted : wanted + kClassesPerOctave;
  if (largest >= static_cast<int>(free_lists_.size())) free_lists_.resize(largest + 1);
  Block block;
  for (int c = wanted; c <= largest && block.data == nullptr; ++c) {
    auto& list = free_lists_[c];
    // What is poisoned stays so while commands of the block's last owner are queued: hence its next owner wants as many bytes.
    const auto cached =
        std::find_if(list.rbegin(), list.rend(), [&](const Block& free) { return !kPoisons || free.bytes == bytes; });
    if (cached == list.rend()) continue;
    block = *cached;
    list.erase(std::next(cached).base());
    statistics_.cached -= block.capacity;
    if (block.capacity >= kLargeBlock) cached_large_ -= block.capacity;
  }
  if (block.data == nullptr) {
    if (size >= kLargeBlock) {
      if (cached_large_ > spare_ && cached_large_ - spare_ > 2 * most_live_) return {};
      if (size >= kHugeBlock && completed != nullptr) make_room(size, completed->load(std::memory_order_acquire));
      block.data = source_.map(size + kLargeGap);
    } else {
      if (slabs_.empty() || slab_used_ + size + kPoisonedGap > kSlab) {
        std::byte* slab = source_.map(kSlab);
        if (slab == nullptr) return {};
        slabs_.push_back(slab);
        slab_used_ = 0;
      }
      block.data = slabs_.back() + slab_used_;
      slab_used_ += size + kPoisonedGap;
    }
    if (block.data == nullptr) return {};
    block.capacity = size;
    block.bytes = bytes;
    poison(block.data + bytes, size - bytes + (size >= kLargeBlock ? kLargeGap : kPoisonedGap));
  }
  statistics_.live += block.capacity;
  statistics_.peak = std::max(statistics_.peak, statistics_.live);
  most_live_ = std::max(most_live_, statistics_.live);
  ++statistics_.storages;
  return block;
}

void Allocator::free(Block block, uint64_t sequence) {
  block.freed_at = sequence;
  statistics_.live -= block.capacity;
  statistics_.cached += block.capacity;
  if (block.capacity >= kLargeBlock) cached_large_ += block.capacity;
  --statistics_.storages;
  free_lists_[size_class(block.capacity)].push_back(block);
}

void Allocator::make_room(size_t bytes, uint64_t completed) {
  size_t room = 0;
  for (auto list = free_lists_.rbegin(); list != free_lists_.rend() && room < bytes; ++list) {
    if (list->empty() || list->front().capacity < kLargeBlock) continue;
    std::erase_if(*list, [&](const Block& block) {
      if (room >= bytes || block.freed_at > completed) return false;
      room += block.capacity;
      unmap(block.data, block.capacity + kLargeGap);
      return true;
    });
  }
  statistics_.cached -= room;
  cached_large_ -= room;
}

void Allocator::release_cache() {
  for (auto& list : free_lists_) {
    if (list.empty() || list.front().capacity < kLargeBlock) continue;
    for (const Block& block : list) {
      unmap(block.data, block.capacity + kLargeGap);
      statistics_.cached -= block.capacity;
    }
    list.clear();
  }
  cached_large_ = 0;
}

Allocator::~Allocator() {
  release_cache();
  for (std::byte* slab : slabs_) unmap(slab, kSlab);
}

void Allocator::unmap(std::byte* memory, size_t bytes) {
  unpoison(memory, bytes);
  source_.unmap(memory, bytes);
}

}  // namespace hadal
