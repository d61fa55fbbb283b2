// Tensors from nothing: fill, arange and linspace, of any dtype into any strides.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "cpu/pointwise.h"
#include "runtime/registry.h"

namespace hadal {

using namespace cpu;

namespace {

template <class T>
T element_from(double value) {
  if constexpr (std::is_same_v<T, bool>) return value != 0;
  else if constexpr (std::is_arithmetic_v<T>) return functors::saturate<T>(value);
  else return T(static_cast<float>(value));
}

template <class T>
void fill_block(const void* value, const BlockArguments& block) {
  T* y = static_cast<T*>(block.y);
  std::fill(y, y + block.count, *static_cast<const T*>(value));
}

struct Progression {
  double start, step;
};
template <class T>
void arange_block(const void* functor, const BlockArguments& block) {
  const auto [start, step] = *static_cast<const Progression*>(functor);
  const double first = static_cast<double>(block.start);
  T* y = static_cast<T*>(block.y);
  // Blocks are counted in 32 bits, which every level converts in whole vectors.
  for (int i = 0; i < static_cast<int>(block.count); ++i) y[i] = element_from<T>(start + (first + i) * step);
}

// From both ends, so that both are met exactly.
struct Between {
  double start, end, step;
  int64_t count;

  Between(double start, double end, int64_t count)
      : start(start), end(end), step(count > 1 ? (end - start) / static_cast<double>(count - 1) : 0), count(count) {}
};
template <class T>
void linspace_block(const void* functor, const BlockArguments& block) {
  const Between& line = *static_cast<const Between*>(functor);
  T* y = static_cast<T*>(block.y);
  const double first = static_cast<double>(block.start);
  const double last = static_cast<double>(line.count - 1 - block.start);
  const int middle = static_cast<int>(std::clamp<int64_t>((line.count + 1) / 2 - block.start, 0, block.count));
  for (int i = 0; i < middle; ++i) y[i] = element_from<T>(line.start + (first + i) * line.step);
  for (int i = middle; i < static_cast<int>(block.count); ++i)
    y[i] = element_from<T>(line.end - (last - i) * line.step);
}

// Whether all of `count` numbers are whole, and exact in T as well as on the way there in double.
template <class T>
bool is_whole(Progression progression, int64_t count) {
  constexpr double kExact = 4503599627370496;  // 2^52: differences are exact too
  const auto fits = [&](double value) {
    return value == std::trunc(value) &&
           value >= std::max(-kExact, static_cast<double>(std::numeric_limits<T>::min())) &&
           value <= std::min(kExact, static_cast<double>(std::numeric_limits<T>::max()));
  };
  const auto [start, step] = progression;
  return step == std::trunc(step) && std::abs(step) <= kExact && fits(start) &&
         fits(start + static_cast<double>(count - 1) * step);
}
// Those, in the integers of T, which may wrap between one number and the next.
template <class T>
void whole_arange_block(const void* functor, const BlockArguments& block) {
  using U = std::make_unsigned_t<T>;
  const auto [start, step] = *static_cast<const Progression*>(functor);
  const uint64_t by = static_cast<uint64_t>(static_cast<int64_t>(step));
  U value =
      static_cast<U>(static_cast<uint64_t>(static_cast<int64_t>(start)) + static_cast<uint64_t>(block.start) * by);
  T* y = static_cast<T*>(block.y);
  for (int64_t i = 0; i < block.count; ++i) {
    y[i] = static_cast<T>(value);
    value = static_cast<U>(value + static_cast<U>(by));
  }
}

}  // namespace

HADAL_CPU_KERNEL(fill) {
  visit_element(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    const T value = element_from<T>(cmd.attribute(0));
    run_pointwise(ctx, {fill_block<T>, &value}, cmd);
  });
}

// start + i · step, computed in double or as if it were.
HADAL_CPU_KERNEL(arange) {
  const Progression progression{cmd.attribute(0), cmd.attribute(1)};
  visit_element(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    BlockKernel kernel = arange_block<T>;
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      if (is_whole<T>(progression, cmd.output(0).numel())) kernel = whole_arange_block<T>;
    }
    run_pointwise(ctx, {kernel, &progression, Cost::kMemory, true}, cmd);
  });
}

HADAL_CPU_KERNEL(linspace) {
  const Between line(cmd.attribute(0), cmd.attribute(1), cmd.output(0).numel());
  visit_element(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {linspace_block<T>, &line, Cost::kMemory, true}, cmd); });
}

}  // namespace hadal
