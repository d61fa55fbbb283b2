// Random numbers: uniform, normal, randint, randperm and dropout. Which words of the Philox stream an element uses is told in
// runtime/philox.h; here they are made eight counters (on x86-64-v4) at a time and turned into numbers block by block.
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "cpu/philox_vector.h"
#include "cpu/pointwise.h"
#include "runtime/registry.h"

namespace hadal {

using namespace cpu;

namespace {

struct Stream {
  PhiloxKey key;
  uint64_t offset;
};
// The last three attributes of every random op.
Stream stream_of(const Command& cmd) {
  const double* last = cmd.attributes + cmd.attribute_count - 3;
  return {{static_cast<uint32_t>(last[0]), static_cast<uint32_t>(last[1])}, static_cast<uint64_t>(last[2])};
}

// Words are made for this many at a time, which stay in the L1 cache; a multiple of 4 kPhiloxLanes at every level.
constexpr int64_t kWords = 512;

// Calls body(element, words, count) for pieces of a block that begins at element block.start, each with the words of its
// elements.
template <int kWordsPerElement, class F>
inline void for_words(const Stream& stream, const BlockArguments& block, F&& body) {
  alignas(64) uint32_t words[kWords];
  constexpr int64_t kElements = kWords / kWordsPerElement;
  for (int64_t i = 0; i < block.count; i += kElements) {
    const int64_t count = std::min(kElements, block.count - i);
    const uint64_t counter = stream.offset + static_cast<uint64_t>((block.start + i) * kWordsPerElement / 4);
    for (int64_t made = 0; made < count * kWordsPerElement; made += 4 * kPhiloxLanes) {
      philox_vector(counter + static_cast<uint64_t>(made / 4), stream.key, words + made);
    }
    body(i, words, count);
  }
}

// Stores a piece computed in whole vectors: f(v) gives vector v of it.
template <class T, class F>
inline void store_vectors(T* y, int64_t count, F&& f) {
  constexpr int kWidth = kLanes<Compute<T>>;
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(y + i, f(i));
  if (i < count) store_partial(y + i, f(i), static_cast<int>(count - i));
}

// The integers of lanes as numbers; they are below 2^31 or 2^63, and exact.
inline Vec<float> to_numbers(Vec<uint32_t> v) { return __builtin_convertvector((Vec<int32_t>)v, Vec<float>); }
inline Vec<double> to_numbers(Vec<uint64_t> v) { return __builtin_convertvector((Vec<int64_t>)v, Vec<double>); }

struct Uniform {
  Stream stream;
  double low, high;
};
template <class T>
void uniform_block(const void* functor, const BlockArguments& block) {
  using C = Compute<T>;
  using Word = std::conditional_t<std::is_same_v<C, double>, uint64_t, uint32_t>;
  constexpr int kShift = static_cast<int>(sizeof(Word)) * 8 - kPhiloxUnitBits<T>;
  const auto& op = *static_cast<const Uniform*>(functor);
  const C low = static_cast<C>(op.low), high = static_cast<C>(op.high);
  const C unit = (high - low) / static_cast<C>(uint64_t{1} << kPhiloxUnitBits<T>);
  T* y = static_cast<T*>(block.y);
  for_words<sizeof(Word) / 4>(op.stream, block, [&](int64_t at, const uint32_t* words, int64_t count) {
    store_vectors(y + at, count, [&](int64_t i) {
      const auto word = load(reinterpret_cast<const Word*>(words) + i);
      const Vec<C> value = to_numbers(word >> kShift) * unit + low;
      return value < high ? value : broadcast(low);  // the sum may round up
    });
  });
}

struct Normal {
  Stream stream;
  double mean, deviation;
};
template <class V, int... k>
inline void split_pairs(V a, V b, V& even, V& odd, std::integer_sequence<int, k...>) {
  even = __builtin_shufflevector(a, b, (2 * k)...);
  odd = __builtin_shufflevector(a, b, (2 * k + 1)...);
}
template <class V, int... k>
inline void join_pairs(V even, V odd, V& a, V& b, std::integer_sequence<int, k...>) {
  constexpr int kCount = sizeof...(k);
  a = __builtin_shufflevector(even, odd, (k / 2 + (k % 2) * kCount)...);
  b = __builtin_shufflevector(even, odd, (kCount / 2 + k / 2 + (k % 2) * kCount)...);
}
// Box-Muller: r = sqrt(-2 log u), and r cos 2πv and r sin 2πv. u is in (0, 1], with all the bits of its word: down to 2^-33.
template <class T>
void normal_block(const void* functor, const BlockArguments& block) {
  using C = Compute<T>;
  using Word = std::conditional_t<std::is_same_v<C, double>, uint64_t, uint32_t>;
  constexpr int kWidth = kLanes<C>;
  constexpr auto kLaneNumbers = std::make_integer_sequence<int, kWidth>();
  const auto& op = *static_cast<const Normal*>(functor);
  const C mean = static_cast<C>(op.mean), deviation = static_cast<C>(op.deviation);
  T* y = static_cast<T*>(block.y);
  for_words<sizeof(Word) / 4>(op.stream, block, [&](int64_t at, const uint32_t* words, int64_t count) {
    const Word* word = reinterpret_cast<const Word*>(words);
    // In pairs of vectors; a piece ends inside one at most once, at the tensor's end, and the words behind it are there.
    for (int64_t i = 0; i < count; i += 2 * kWidth) {
      Vec<Word> first, second;
      split_pairs(load(word + i), load(word + i + kWidth), first, second, kLaneNumbers);
      constexpr int kBits = sizeof(Word) * 8;
      constexpr C kUnit =
          C(1) / static_cast<C>(uint64_t{1} << (kBits / 2)) / static_cast<C>(uint64_t{1} << (kBits / 2));
      // One bit less than the word, so that the conversion is that of a signed integer.
      const Vec<C> u = to_numbers(first >> 1) * (2 * kUnit) + kUnit;
      const Vec<C> r = math::sqrt(Vec<C>(C(-2) * math::log(u))) * deviation;
      // 4v = quarter + f with |f| <= 1/2, exactly.
      const Vec<C> turns = to_numbers(second >> (kBits - kPhiloxUnitBits<C>)) *
                           (C(4) / static_cast<C>(uint64_t{1} << kPhiloxUnitBits<C>));
      const auto [n, quarter] = math::nearest(Vec<C>(turns + math::Format<C>::kRoundToInteger));
      const Vec<C> angle = (turns - n) * static_cast<C>(1.5707963267948966);
      Vec<C> a, b;
      join_pairs(Vec<C>(r * math::sin_of_quarter<Vec<C>>(quarter + 1, angle) + mean),
                 Vec<C>(r * math::sin_of_quarter<Vec<C>>(quarter, angle) + mean), a, b, kLaneNumbers);
      const int64_t left = count - i;
      T* to = y + at + i;
      if (left >= 2 * kWidth) {
        store(to, a);
        store(to + kWidth, b);
      } else if (left > kWidth) {
        store(to, a);
        store_partial(to + kWidth, b, static_cast<int>(left - kWidth));
      } else if (left == kWidth) {
        store(to, a);
      } else {
        store_partial(to, a, static_cast<int>(left));
      }
    }
  });
}

struct RandomInteger {
  Stream stream;
  int64_t low;
  uint64_t range;
};
template <class T, int kWordsPerElement>
void randint_block(const void* functor, const BlockArguments& block) {
  const auto& op = *static_cast<const RandomInteger*>(functor);
  T* y = static_cast<T*>(block.y);
  for_words<kWordsPerElement>(op.stream, block, [&](int64_t at, const uint32_t* words, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      uint64_t value;
      if constexpr (kWordsPerElement == 1) {
        value = words[i] * op.range >> 32;
      } else {
        const uint64_t word = static_cast<uint64_t>(words[2 * i + 1]) << 32 | words[2 * i];
        value = static_cast<uint64_t>(static_cast<unsigned __int128>(word) * op.range >> 64);
      }
      const int64_t number = op.low + static_cast<int64_t>(value);
      if constexpr (std::is_arithmetic_v<T>) {
        y[at + i] = static_cast<T>(number);
      } else {
        y[at + i] = T(static_cast<float>(number));
      }
    }
  });
}

struct Dropout {
  Stream stream;
  uint64_t threshold;  // words below it drop their element; 2^32 drops all
  double scale;
};
template <class T>
void dropout_block(const void* functor, const BlockArguments& block) {
  using C = Compute<T>;
  const auto& op = *static_cast<const Dropout*>(functor);
  const C scale = static_cast<C>(op.scale);
  const T* x = static_cast<const T*>(block.inputs[0]);
  T* y = static_cast<T*>(block.y);
  const int64_t step = block.scalar[0] ? 0 : 1;
  if (op.threshold >> 32 != 0) return std::fill(y, y + block.count, T(0));
  for_words<1>(op.stream, block, [&](int64_t at, const uint32_t* words, int64_t count) {
    int64_t i = 0;
    if constexpr (std::is_same_v<C, float>) {
      for (; i + kLanes<float> <= count; i += kLanes<float>) {
        const auto kept = load(words + i) >= static_cast<uint32_t>(op.threshold);
        const Vec<float> value = load(x + (at + i) * step);
        store(y + at + i, kept ? value * scale : Vec<float>{});
      }
    }
    for (; i < count; ++i) {
      y[at + i] = T(words[i] >= op.threshold ? static_cast<C>(x[(at + i) * step]) * scale : C(0));
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(uniform) {
  const Uniform op{stream_of(cmd), cmd.attribute(0), cmd.attribute(1)};
  visit_floating(cmd.name(), cmd.output(0).dtype,
                 [&]<class T>() { run_pointwise(ctx, {uniform_block<T>, &op, Cost::kTranscendental, true}, cmd); });
}

HADAL_CPU_KERNEL(normal) {
  const Normal op{stream_of(cmd), cmd.attribute(0), cmd.attribute(1)};
  visit_floating(cmd.name(), cmd.output(0).dtype,
                 [&]<class T>() { run_pointwise(ctx, {normal_block<T>, &op, Cost::kTranscendental, true}, cmd); });
}

// Whole numbers in [low, high).
HADAL_CPU_KERNEL(randint) {
  const double low = cmd.attribute(0), high = cmd.attribute(1);
  constexpr double kExact = 9007199254740992;  // 2^53
  if (!(low >= -kExact && high <= kExact && low < high) || low != std::floor(low) || high != std::floor(high)) {
    throw Error(ErrorCode::kIndex, "randint: range: got " + std::to_string(low) + " and " + std::to_string(high) +
                                       ", expected whole numbers with low < high");
  }
  const RandomInteger op{stream_of(cmd), static_cast<int64_t>(low), static_cast<uint64_t>(high - low)};
  visit_element(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    const BlockKernel kernel = high - low <= kPhiloxOneWordRange ? randint_block<T, 1> : randint_block<T, 2>;
    run_pointwise(ctx, {kernel, &op, Cost::kTranscendental, true}, cmd);
  });
}

// The permutation that sorts random 64-bit keys (equal ones by their place): what any device gets, however it sorts. Here all
// threads spread words of a key's upper bits and its place over parts, and each part is spread over buckets of about one word
// in a thread's own cache, which leaves little for a sort by insertion.
HADAL_CPU_KERNEL(randperm) {
  const Stream stream = stream_of(cmd);
  const TensorView& y = cmd.output(0);
  const int64_t n = y.shape[0];
  if (n == 0) return;
  constexpr int64_t kTask = 1 << 15;
  constexpr int64_t kPart = 1 << 12;  // twice its words and their buckets: 96 KiB
  constexpr int kMostPartBits = 10;   // more places to write to in turn are more than the TLB knows
  int part_bits = 0;
  while (part_bits < kMostPartBits && kPart << part_bits < n) ++part_bits;
  const int64_t parts = int64_t{1} << part_bits;
  const auto part_of = [&](uint64_t key) { return static_cast<int64_t>(key >> 1 >> (63 - part_bits)); };

  // How many keys each task has for each part, then where it puts the next one.
  const int64_t tasks = (n + kTask - 1) / kTask;
  auto* places = ctx.scratch<int64_t>(tasks * parts);
  auto* keys = ctx.scratch<uint64_t>(n + kWords);
  ctx.parallel_ranges(n, kTask, [&](int64_t begin, int64_t end) {
    const BlockArguments block{nullptr, {}, {}, end - begin, begin, {}};
    for_words<2>(stream, block, [&](int64_t at, const uint32_t* words, int64_t count) {
      std::memcpy(keys + begin + at, words, static_cast<size_t>(count) * sizeof(uint64_t));
    });
    int64_t* counts = places + begin / kTask * parts;
    std::fill_n(counts, parts, 0);
    for (int64_t i = begin; i < end; ++i) ++counts[part_of(keys[i])];
  });
  int64_t next = 0;
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t task = 0; task < tasks; ++task) next += std::exchange(places[task * parts + part], next);
  }
  const uint64_t index_mask = (uint64_t{1} << std::bit_width(static_cast<uint64_t>(n))) - 1;
  auto* words = ctx.scratch<uint64_t>(n);
  ctx.parallel_ranges(n, kTask, [&](int64_t begin, int64_t end) {
    int64_t* place = places + begin / kTask * parts;
    for (int64_t i = begin; i < end; ++i) {
      words[place[part_of(keys[i])]++] = (keys[i] << part_bits & ~index_mask) | static_cast<uint64_t>(i);
    }
  });
  const auto is_less = [&](uint64_t a, uint64_t b) {
    if ((a ^ b) > index_mask) return a < b;
    const uint64_t key_a = keys[a & index_mask], key_b = keys[b & index_mask];
    return key_a != key_b ? key_a < key_b : a < b;
  };
  const int64_t* part_ends = places + (tasks - 1) * parts;
  visit_index(cmd.name(), y.dtype, [&]<class T>() {
    ctx.parallel(parts, [&](int64_t part) {
      const int64_t begin = part == 0 ? 0 : part_ends[part - 1], size = part_ends[part] - begin;
      const uint64_t* from = words + begin;
      int bits = 1;
      while (int64_t{1} << bits < size) ++bits;
      const int64_t buckets = int64_t{1} << bits;
      auto* bucket_places = ctx.thread_scratch<int64_t>(buckets + 1 + size);
      auto* sorted = reinterpret_cast<uint64_t*>(bucket_places + buckets + 1);
      std::fill_n(bucket_places, buckets + 1, 0);
      for (int64_t i = 0; i < size; ++i) ++bucket_places[(from[i] >> (64 - bits)) + 1];
      for (int64_t b = 0; b < buckets; ++b) bucket_places[b + 1] += bucket_places[b];
      for (int64_t i = 0; i < size; ++i) sorted[bucket_places[from[i] >> (64 - bits)]++] = from[i];
      for (int64_t i = 1; i < size; ++i) {
        const uint64_t moved = sorted[i];
        int64_t hole = i;
        for (; hole > 0 && is_less(moved, sorted[hole - 1]); --hole) sorted[hole] = sorted[hole - 1];
        sorted[hole] = moved;
      }
      T* to = y.as<T>() + begin * y.strides[0];
      for (int64_t i = 0; i < size; ++i) to[i * y.strides[0]] = static_cast<T>(sorted[i] & index_mask);
    });
  });
}

// y = x / (1 - p) with probability 1 - p, else 0. The gradient is the same op on g with the same stream.
HADAL_CPU_KERNEL(dropout) {
  const double p = cmd.attribute(0);
  if (!(p >= 0 && p <= 1)) {
    throw Error(ErrorCode::kIndex, "dropout: probability: got " + std::to_string(p) + ", expected a number in [0, 1]");
  }
  const Dropout op{stream_of(cmd), static_cast<uint64_t>(p * 4294967296.0), 1 / (1 - p)};
  visit_floating(cmd.name(), cmd.output(0).dtype,
                 [&]<class T>() { run_pointwise(ctx, {dropout_block<T>, &op, Cost::kTranscendental, true}, cmd); });
}

}  // namespace hadal
