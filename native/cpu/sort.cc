// sort, topk and kthValue along an axis. Elements become pairs of an unsigned key, whose order is the wanted one, and their
// place; ties are broken by place, so the order of equal elements is kept. NaN counts as larger than every number, -0
// as 0.
#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <utility>

#include "cpu/rows.h"
#include "kernels/sort_key.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// A task of 8 Ki elements takes 30 µs and more.
constexpr int64_t kTaskElements = int64_t{1} << 13;
// Keys are made in blocks that stay in registers and the L1 cache.
constexpr int64_t kKeyBlock = 64;
// A longer line is sorted by all threads together, in blocks of this size.
constexpr int64_t kSortBlock = int64_t{1} << 16;
// Shorter lines are sorted by comparisons: a radix pass costs 256 counters each.
constexpr int64_t kRadixFrom = 192;

// Key and place in one word, where both fit 32 bits.
struct NarrowItem {
  static constexpr int kKeyBytes = 4;
  uint64_t word;

  NarrowItem() = default;
  NarrowItem(uint64_t key, int64_t place) : word(key << 32 | static_cast<uint64_t>(place)) {}
  static NarrowItem last() { return {0xffffffffu, 0xffffffff}; }
  uint64_t key() const { return word >> 32; }
  int64_t place() const { return static_cast<int64_t>(word & 0xffffffffu); }
  unsigned digit(int byte) const { return static_cast<unsigned>(word >> (32 + 8 * byte) & 0xffu); }
  bool operator<(const NarrowItem& other) const { return word < other.word; }
};

struct WideItem {
  static constexpr int kKeyBytes = 8;
  uint64_t key_;
  int64_t place_;

  WideItem() = default;
  WideItem(uint64_t key, int64_t place) : key_(key), place_(place) {}
  static WideItem last() { return {~uint64_t{0}, std::numeric_limits<int64_t>::max()}; }
  uint64_t key() const { return key_; }
  int64_t place() const { return place_; }
  unsigned digit(int byte) const { return static_cast<unsigned>(key_ >> (8 * byte) & 0xffu); }
  bool operator<(const WideItem& other) const { return key_ != other.key_ ? key_ < other.key_ : place_ < other.place_; }
};

// The lines along an axis of the input and the two outputs.
template <class T>
struct Lines {
  int64_t n = 1;  // along x
  int64_t k = 1;  // along the outputs
  int64_t count = 1;
  bool descending;

  explicit Lines(const Command& cmd)
      : descending(cmd.flag(1)), x_(cmd.input(0)), y_(cmd.output(0)), index_(cmd.output(1)) {
    uint32_t axis_bit = 0;
    if (x_.rank > 0) {
      const int axis = static_cast<int>(cmd.integer(0));
      n = x_.shape[axis];
      k = y_.shape[axis];
      x_stride_ = x_.strides[axis];
      y_stride_ = y_.strides[axis];
      index_stride_ = index_.strides[axis];
      axis_bit = 1u << axis;
    }
    x_offsets_ = RowOffsets(x_, axis_bit);
    y_offsets_ = RowOffsets(y_, axis_bit);
    index_offsets_ = RowOffsets(index_, axis_bit);
    count = x_offsets_.rows();
  }

  // Of the elements [begin, end) of a line, in the wanted order.
  void keys(const T* x, int64_t begin, int64_t end, KeyOf<T>* keys) const {
    const KeyOf<T> flipped = static_cast<KeyOf<T>>(descending ? ~KeyOf<T>{0} : 0);
    const T* from = x + begin * x_stride_;
    if (x_stride_ == 1) {
      for (int64_t i = 0; i < end - begin; ++i) keys[i] = key_of(from[i]) ^ flipped;
    } else {
      for (int64_t i = 0; i < end - begin; ++i) keys[i] = key_of(from[i * x_stride_]) ^ flipped;
    }
  }
  const T* x(int64_t line) const { return x_.as<T>() + x_offsets_(line); }

  // Items of the elements [begin, end) of a line. Returns the bits in which any of their keys differs from the line's
  // first.
  template <class Item>
  uint64_t read(int64_t line, int64_t begin, int64_t end, Item* items) const {
    const T* from = x(line);
    KeyOf<T> block[kKeyBlock];
    keys(from, 0, 1, block);
    const KeyOf<T> first = block[0];
    KeyOf<T> differing = 0;
    for (int64_t start = begin; start < end; start += kKeyBlock) {
      const int64_t stop = std::min(end, start + kKeyBlock);
      keys(from, start, stop, block);
      for (int64_t i = start; i < stop; ++i) differing |= block[i - start] ^ first;
      for (int64_t i = start; i < stop; ++i) items[i - begin] = Item(block[i - start], i);
    }
    return differing;
  }
  // Items [begin, end) of the result.
  template <class Item>
  void write(int64_t line, int64_t begin, int64_t end, const Item* items) const {
    const T* from = x(line);
    T* y = y_.as<T>() + y_offsets_(line);
    int64_t* index = index_.as<int64_t>() + index_offsets_(line);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t place = items[i - begin].place();
      y[i * y_stride_] = from[place * x_stride_];
      index[i * index_stride_] = place;
    }
  }

 private:
  const TensorView& x_;
  const TensorView& y_;
  const TensorView& index_;
  int64_t x_stride_ = 0;
  int64_t y_stride_ = 0;
  int64_t index_stride_ = 0;
  RowOffsets x_offsets_;
  RowOffsets y_offsets_;
  RowOffsets index_offsets_;
};

// Sorts by those bytes of the keys that have `differing` bits, least significant first; items start in the order of their
// places. Blocks of items are counted and moved independently, by each_block(blocks, body); `counts` has 256 cells for
// each. Returns where the result is.
template <class Item, class EachBlock>
Item* radix_sort(Item* items, Item* spare, int64_t n, uint64_t differing, int64_t block_size, int64_t* counts,
                 EachBlock&& each_block) {
  const int64_t blocks = (n + block_size - 1) / block_size;
  for (int byte = 0; byte < Item::kKeyBytes; ++byte) {
    if ((differing >> (8 * byte) & 0xffu) == 0) continue;
    each_block(blocks, [&](int64_t block) {
      int64_t* count = counts + block * 256;
      std::fill_n(count, 256, int64_t{0});
      const int64_t end = std::min(n, (block + 1) * block_size);
      for (int64_t i = block * block_size; i < end; ++i) ++count[items[i].digit(byte)];
    });
    // Counts become the places where each block's items of a digit begin.
    int64_t begin = 0;
    for (int digit = 0; digit < 256; ++digit) {
      for (int64_t block = 0; block < blocks; ++block) {
        begin += std::exchange(counts[block * 256 + digit], begin);
      }
    }
    each_block(blocks, [&](int64_t block) {
      int64_t* place = counts + block * 256;
      const int64_t end = std::min(n, (block + 1) * block_size);
      for (int64_t i = block * block_size; i < end; ++i) spare[place[items[i].digit(byte)]++] = items[i];
    });
    std::swap(items, spare);
  }
  return items;
}

// On this thread alone; items start in the order of their places, `spare` holds n more.
template <class Item>
Item* sort_items(Item* items, Item* spare, int64_t n, uint64_t differing) {
  if (n < kRadixFrom) {
    std::sort(items, items + n);
    return items;
  }
  int64_t counts[256];
  return radix_sort(items, spare, n, differing, n, counts, [](int64_t, auto&& body) { body(0); });
}

// Items of a long line, made by all threads, and the bits in which their keys differ.
template <class T, class Item>
uint64_t read_line(KernelContext& ctx, const Lines<T>& lines, int64_t line, Item* items) {
  std::atomic<uint64_t> differing = 0;
  ctx.parallel_ranges(lines.n, kSortBlock,
                      [&](int64_t begin, int64_t end) { differing |= lines.read(line, begin, end, items + begin); });
  return differing;
}

// Writes the first k of each sorted line.
template <class T, class Item>
void sort_lines(KernelContext& ctx, const Lines<T>& lines) {
  const int64_t n = lines.n;
  if (n <= kSortBlock) {
    ctx.parallel_ranges(lines.count, kTaskElements / n, [&](int64_t begin, int64_t end) {
      Item* items = ctx.thread_scratch<Item>(2 * n);
      for (int64_t line = begin; line < end; ++line) {
        const uint64_t differing = lines.read(line, 0, n, items);
        lines.write(line, 0, lines.k, sort_items(items, items + n, n, differing));
      }
    });
    return;
  }
  Item* items = ctx.scratch<Item>(2 * n);
  int64_t* counts = ctx.scratch<int64_t>((n + kSortBlock - 1) / kSortBlock * 256);
  for (int64_t line = 0; line < lines.count; ++line) {
    const uint64_t differing = read_line(ctx, lines, line, items);
    const Item* sorted = radix_sort(items, items + n, n, differing, kSortBlock, counts,
                                    [&](int64_t blocks, auto&& body) { ctx.parallel(blocks, body); });
    ctx.parallel_ranges(lines.k, kSortBlock,
                        [&](int64_t begin, int64_t end) { lines.write(line, begin, end, sorted + begin); });
  }
}

// --- topk ------------------------------------------------------------------------------------------------------------

// The k first items of a line, unordered, in memory of the thread. A buffer of candidates is cut to the best k whenever it is
// full; after that only items before the last of these are taken.
template <class T, class Item>
class Selection {
 public:
  Selection(KernelContext& ctx, const Lines<T>& lines)
      : lines_(lines),
        k_(lines.k),
        capacity_(std::max<int64_t>(4 * k_, 32)),
        sample_(std::min(lines.n, std::max<int64_t>(1024, 32 * k_))),
        groups_((4 * k_ + kKeyBlock - 1) / kKeyBlock * kKeyBlock) {
    const int64_t bytes =
        capacity_ * static_cast<int64_t>(sizeof(Item)) + (sample_ + groups_) * static_cast<int64_t>(sizeof(Key));
    items_ = reinterpret_cast<Item*>(ctx.thread_scratch<std::byte>(bytes));
    keys_ = reinterpret_cast<Key*>(items_ + capacity_);
    least_ = keys_ + sample_;
  }

  void clear() {
    size_ = 0;
    limit_ = Item::last();
  }
  void add(Item item) {
    if (!(item < limit_)) return;
    items_[size_++] = item;
    if (size_ == capacity_) cut();
  }
  // The elements [begin, end) of a line, from which the selection starts.
  void add_line(const T* x, int64_t begin, int64_t end) {
    clear();
    const int64_t sampled = std::min(sample_, end - begin);
    lines_.keys(x, begin, begin + sampled, keys_);
    if (sampled > k_) limit_ = Item(bound(sampled), end);
    for (int64_t i = 0; i < sampled; i += kKeyBlock) add_keys(keys_ + i, begin + i, std::min(kKeyBlock, sampled - i));
    for (int64_t start = begin + sampled; start < end; start += kKeyBlock) {
      const int64_t stop = std::min(end, start + kKeyBlock);
      lines_.keys(x, start, stop, keys_);
      add_keys(keys_, start, stop - start);
    }
  }
  // Moves the k first, or all where there are fewer, to the front; returns how many.
  int64_t cut() {
    if (size_ > k_) {
      std::nth_element(items_, items_ + k_ - 1, items_ + size_);
      limit_ = items_[k_ - 1];
      size_ = k_;
    }
    return size_;
  }
  Item* items() const { return items_; }

 private:
  using Key = KeyOf<T>;

  // A key that at least k of the sampled ones do not exceed, and few more: of the least ones of groups the k-th.
  Key bound(int64_t sampled) {
    std::fill_n(least_, groups_, static_cast<Key>(~Key{0}));
    for (int64_t i = 0; i < sampled; i += kKeyBlock) {
      Key* least = least_ + i % groups_;
      const int64_t count = std::min(kKeyBlock, sampled - i);
      for (int64_t j = 0; j < count; ++j) least[j] = std::min(least[j], keys_[i + j]);
    }
    int64_t groups = groups_;
    for (; groups / 2 >= 3 * k_; groups /= 2) {
      for (int64_t i = 0; i < groups / 2; ++i) least_[i] = std::min(least_[i], least_[groups / 2 + i]);
    }
    std::nth_element(least_, least_ + k_ - 1, least_ + groups);
    return least_[k_ - 1];
  }
  void add_keys(const Key* keys, int64_t place, int64_t count) {
    Key last = static_cast<Key>(limit_.key());
    if (limit_.place() < place && last-- == 0) return;  // equal keys are behind it
    uint8_t taken[kKeyBlock] = {};
    for (int64_t i = 0; i < count; ++i) taken[i] = keys[i] <= last;
    for (int64_t first = 0; first < kKeyBlock; first += 8) {
      uint64_t bits;
      std::memcpy(&bits, taken + first, sizeof bits);
      for (; bits != 0; bits &= bits - 1) {
        const int64_t i = first + std::countr_zero(bits) / 8;
        add(Item(keys[i], place + i));
      }
    }
  }

  const Lines<T>& lines_;
  const int64_t k_;
  const int64_t capacity_;
  const int64_t sample_;
  const int64_t groups_;
  Item* items_;
  Key* keys_;
  Key* least_;
  int64_t size_ = 0;
  Item limit_ = Item::last();
};

template <class T, class Item>
void top_lines(KernelContext& ctx, const Lines<T>& lines) {
  const int64_t n = lines.n;
  const int64_t k = lines.k;
  if (4 * k >= n) return sort_lines<T, Item>(ctx, lines);
  const auto finish = [&](int64_t line, Selection<T, Item>& selection) {
    Item* items = selection.items();
    std::sort(items, items + selection.cut());
    lines.write(line, 0, k, items);
  };
  const int64_t chunks = (n + kSortBlock - 1) / kSortBlock;
  // Chunks keep k candidates each, which is worth it while these are few.
  if (chunks <= 2 || k > kSortBlock / 16 || lines.count >= 16) {
    ctx.parallel_ranges(lines.count, 2 * kTaskElements / n, [&](int64_t begin, int64_t end) {
      Selection<T, Item> selection(ctx, lines);
      for (int64_t line = begin; line < end; ++line) {
        selection.add_line(lines.x(line), 0, n);
        finish(line, selection);
      }
    });
    return;
  }
  // Few long lines: the best k of each chunk, then of these.
  Item* candidates = ctx.scratch<Item>(chunks * k);
  int64_t* counts = ctx.scratch<int64_t>(chunks);
  for (int64_t line = 0; line < lines.count; ++line) {
    const T* x = lines.x(line);
    ctx.parallel(chunks, [&](int64_t chunk) {
      Selection<T, Item> selection(ctx, lines);
      selection.add_line(x, chunk * kSortBlock, std::min(n, (chunk + 1) * kSortBlock));
      counts[chunk] = selection.cut();
      std::copy_n(selection.items(), counts[chunk], candidates + chunk * k);
    });
    Selection<T, Item> selection(ctx, lines);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      for (int64_t i = 0; i < counts[chunk]; ++i) selection.add(candidates[chunk * k + i]);
    }
    finish(line, selection);
  }
}

// --- kthValue --------------------------------------------------------------------------------------------------------

// Item k of n in the order of their places, were they sorted: from the first byte of the keys on only those that share the item's byte are kept, in
// their order.
template <class Item>
Item select_item(Item* items, int64_t n, int64_t k, uint64_t differing) {
  for (int byte = Item::kKeyBytes - 1; byte >= 0 && n >= kRadixFrom; --byte) {
    if ((differing >> (8 * byte) & 0xffu) == 0) continue;
    int64_t counts[256] = {};
    for (int64_t i = 0; i < n; ++i) ++counts[items[i].digit(byte)];
    unsigned digit = 0;
    for (; k >= counts[digit]; ++digit) k -= counts[digit];
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i) {
      items[kept] = items[i];
      kept += items[i].digit(byte) == digit;
    }
    n = kept;
  }
  std::nth_element(items, items + k, items + n);
  return items[k];
}

// Item k - 1 of each line, were it sorted.
template <class T, class Item>
void kth_of_lines(KernelContext& ctx, const Lines<T>& lines, int64_t k) {
  const int64_t n = lines.n;
  const auto finish = [&](int64_t line, Item* items, uint64_t differing) {
    const Item item = select_item(items, n, k - 1, differing);
    lines.write(line, 0, 1, &item);
  };
  if (n <= kSortBlock) {
    ctx.parallel_ranges(lines.count, kTaskElements / n, [&](int64_t begin, int64_t end) {
      Item* items = ctx.thread_scratch<Item>(n);
      for (int64_t line = begin; line < end; ++line) finish(line, items, lines.read(line, 0, n, items));
    });
    return;
  }
  Item* items = ctx.scratch<Item>(n);
  for (int64_t line = 0; line < lines.count; ++line) finish(line, items, read_line(ctx, lines, line, items));
}

template <class F>
void with_lines(const Command& cmd, F&& body) {
  visit_any(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    const Lines<T> lines(cmd);
    if (lines.count == 0 || lines.k == 0) return;
    if constexpr (sizeof(T) <= 4) {
      if (lines.n <= int64_t{0xffffffff}) return body.template operator()<T, NarrowItem>(lines);
    }
    body.template operator()<T, WideItem>(lines);
  });
}

HADAL_CPU_KERNEL(sort) {
  with_lines(cmd, [&]<class T, class Item>(const auto& lines) { sort_lines<T, Item>(ctx, lines); });
}
HADAL_CPU_KERNEL(topk) {
  with_lines(cmd, [&]<class T, class Item>(const auto& lines) { top_lines<T, Item>(ctx, lines); });
}

HADAL_CPU_KERNEL(kthValue) {
  with_lines(cmd, [&]<class T, class Item>(const auto& lines) { kth_of_lines<T, Item>(ctx, lines, cmd.integer(2)); });
}

// --- searchSorted ----------------------------------------------------------------------------------------------------

// index = how many elements of the line are below x (`right`: not above it). NaN is above every number, and a line is
// expected in the order that sort gives it.
template <class T, bool kRight>
void search_lines(KernelContext& ctx, const Command& cmd) {
  const TensorView& sorted = cmd.input(0);
  const TensorView& x = cmd.input(1);
  const TensorView& index = cmd.output(0);
  const int64_t n = sorted.size(-1);
  const int64_t stride = sorted.stride(-1);
  const int64_t width = x.rank > 0 ? x.size(-1) : 1;
  const RowOffsets sorted_rows(sorted, 1u << (sorted.rank - 1));
  const RowOffsets x_places(x, 0);
  const RowOffsets index_places(index, 0);
  const bool is_packed = x.is_contiguous() && index.is_contiguous();
  // The keys `key(element)` of a row of the sorted elements lie side by side from `start_of(row)` on.
  const auto search = [&](auto start_of, auto key) {
    using Place = decltype(start_of(int64_t{0}));
    ctx.parallel_ranges(x.numel(), kTaskElements / 8, [&](int64_t begin, int64_t end) {
      // Some searches at a time, which all take the same steps, so that none waits for its own last one.
      constexpr int kTogether = 16;
      for (int64_t first = begin; first < end; first += kTogether) {
        const int count = static_cast<int>(std::min<int64_t>(kTogether, end - first));
        KeyOf<T> keys[kTogether];
        Place starts[kTogether], low[kTogether];
        for (int j = 0; j < kTogether; ++j) {
          const int64_t i = first + std::min(j, count - 1);
          low[j] = starts[j] = start_of(sorted.rank > 1 ? i / width : 0);
          keys[j] = key_of(x.as<T>()[is_packed ? i : x_places(i)]);
        }
        // Without a branch on the comparison: `low` moves past half of what is left or not. One by one: vectors of places, which compilers make unless
        // they cannot see what is added, take several times as long to gather.
        for (int64_t left = n; left > 0;) {
          const int64_t half = (left + 1) / 2;
#pragma GCC unroll 1
          for (int j = 0; j < kTogether; ++j) {
            const KeyOf<T> probe = key(low[j][half - 1]);
            int64_t passed = half & -static_cast<int64_t>(kRight ? probe <= keys[j] : probe < keys[j]);
            asm("" : "+r"(passed));
            low[j] += passed;
          }
          left -= half;
        }
        for (int j = 0; j < count; ++j) {
          index.as<int64_t>()[is_packed ? first + j : index_places(first + j)] = low[j] - starts[j];
        }
      }
    });
  };
  const T* elements = sorted.as<T>();
  if (sorted.numel() > x.numel() && stride == 1) {
    return search([&](int64_t row) { return elements + sorted_rows(row); }, [](T element) { return key_of(element); });
  }
  // Fewer than are searched for: their keys are made once.
  KeyOf<T>* packed = ctx.scratch<KeyOf<T>>(sorted.numel());
  for (int64_t row = 0; n > 0 && row < sorted_rows.rows(); ++row) {
    for (int64_t at = 0; at < n; ++at) packed[row * n + at] = key_of(elements[sorted_rows(row) + at * stride]);
  }
  search([=](int64_t row) { return packed + row * n; }, [](KeyOf<T> key) { return key; });
}

HADAL_CPU_KERNEL(searchSorted) {
  visit_any(cmd.name(), cmd.input(0).dtype, [&]<class T>() {
    if (cmd.flag(0)) search_lines<T, true>(ctx, cmd);
    else search_lines<T, false>(ctx, cmd);
  });
}

}  // namespace
}  // namespace hadal::cpu
