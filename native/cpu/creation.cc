// Tensors from nothing: fill and arange, of any dtype into any strides.
#include <algorithm>

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
  T* y = static_cast<T*>(block.y);
  for (int64_t i = 0; i < block.count; ++i) {
    y[i] = element_from<T>(start + static_cast<double>(block.start + i) * step);
  }
}

}  // namespace

HADAL_CPU_KERNEL(fill) {
  visit_element(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
    const T value = element_from<T>(cmd.attribute(0));
    run_pointwise(ctx, {fill_block<T>, &value}, cmd);
  });
}

// start + i · step, computed in double.
HADAL_CPU_KERNEL(arange) {
  const Progression progression{cmd.attribute(0), cmd.attribute(1)};
  visit_element(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_pointwise(ctx, {arange_block<T>, &progression, Cost::kMemory, true}, cmd); });
}

}  // namespace hadal
