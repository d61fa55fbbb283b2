// What pointwise kernels are made of: a block kernel does one op on a run of elements that lie side by side in memory, in
// whole vectors with a masked tail, and run_pointwise walks tensors of any strides with it. So an op is compiled once per
// dtype; layouts cost it nothing. Called by the pointwise, copy, creation and random kernels.
//
// A block kernel gets every input either as `count` elements in a row or, where scalar[k], as one value repeated over
// kSplatBytes. It may write where it reads, if the two start at the same address.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "cpu/simd.h"
#include "cpu/vector_pair.h"
#include "kernels/functors.h"
#include "kernels/strides.h"
#include "runtime/command.h"
#include "runtime/dtype.h"
#include "runtime/kernel_context.h"

namespace hadal::cpu {

inline constexpr int kSplatBytes = kVectorBytes;
inline constexpr int kMaxInputs = kMaxOperands - 1;

struct BlockArguments {
  void* y;
  const void* inputs[kMaxInputs];
  bool scalar[kMaxInputs];
  int64_t count;
  int64_t start;  // where the block starts in the tensor, for kernels of ordered walks
  // Which of the scalars are floats, whatever the op's dtype is: numbers among operands of 16 bits.
  bool wide[kMaxInputs];
};
using BlockKernel = void (*)(const void* functor, const BlockArguments& block);

// How many elements one task gets: at least a few microseconds of work, against some half a microsecond to hand it to a thread that spins.
enum class Cost {
  kMemory,          // bound by memory: 256 KiB of output
  kTranscendental,  // a few nanoseconds per vector: 8 Ki elements
  kScalar,          // tens of nanoseconds per element: 2 Ki elements
};

struct Pointwise {
  BlockKernel kernel = nullptr;
  const void* functor = nullptr;
  Cost cost = Cost::kMemory;
  // Walk in logical row-major order, in blocks that start at multiples of kBlock.
  bool ordered = false;
};
// Elements of a block where operands have to be gathered first: 4 KiB of floats each, together well inside the L1 cache.
inline constexpr int64_t kBlock = 1024;

// y = kernel(inputs…), all of one shape. The views may have different dtypes; the kernel knows them.
void run_pointwise(KernelContext& ctx, const Pointwise& op, const TensorView& y, const TensorView* inputs, int count);

inline void run_pointwise(KernelContext& ctx, const Pointwise& op, const Command& cmd) {
  run_pointwise(ctx, op, cmd.output(0), cmd.tensors, cmd.input_count);
}

// The axis along which neighbours of operand `k` lie side by side, where that is not the innermost one and both are long enough for a copy
// tile by tile; -1 if there is none.
int transposed_axis(const Strides& plan, int k);

// y = x for elements of one width, any strides (cpu/copy.cc).
void copy_elements(KernelContext& ctx, const TensorView& x, const TensorView& y);

// --- Block kernels -----------------------------------------------------------------------------------------------------

template <class T>
using Bytes = typename VecOf<uint8_t, kLanes<Compute<T>>>::type;  // one byte for each lane of a vector of T

// The inputs of a block as pointers that advance by a vector or, for a scalar, stand still.
template <class T, int kInputs>
struct Cursors {
  const T* at[kInputs];
  int64_t step[kInputs];
  bool wide[kInputs];

  explicit Cursors(const BlockArguments& block) {
    for (int k = 0; k < kInputs; ++k) {
      at[k] = static_cast<const T*>(block.inputs[k]);
      step[k] = block.scalar[k] ? 0 : kLanes<Compute<T>>;
      wide[k] = block.wide[k];
    }
  }
  auto read(int k, int64_t vectors) const {
    if constexpr (sizeof(T) < sizeof(Compute<T>)) {
      if (wide[k]) return load(reinterpret_cast<const Compute<T>*>(at[k]));
    }
    return load(at[k] + vectors * step[k]);
  }
  template <class F, size_t... k>
  auto apply(const F& f, int64_t vectors, std::index_sequence<k...>) const {
    return f(read(k, vectors)...);
  }
  VectorPair<Compute<T>> read_pair(int k) const {
    if constexpr (std::is_same_v<T, BFloat16>) {
      if (!wide[k]) return load_pair(at[k]);
    }
    return {read(k, 0), read(k, 1)};
  }
  template <class F, size_t... k>
  VectorPair<Compute<T>> apply_pair(const F& f, std::index_sequence<k...>) const {
    const VectorPair<Compute<T>> x[] = {read_pair(k)...};
    return {f(x[k].first...), f(x[k].second...)};
  }
  template <class F, size_t... k>
  auto apply_partial(const F& f, int lanes, std::index_sequence<k...>) const {
    return f((step[k] == 0 ? read(k, 0) : load_partial(at[k], lanes))...);
  }
  void advance(int64_t vectors) {
    for (int k = 0; k < kInputs; ++k) at[k] += vectors * step[k];
  }
};

template <class F, class T, int kInputs>
void vector_block(const void* functor, const BlockArguments& block) {
  constexpr int kWidth = kLanes<Compute<T>>;
  constexpr auto kIndices = std::make_index_sequence<kInputs>();
  const F f = *static_cast<const F*>(functor);
  T* y = static_cast<T*>(block.y);
  Cursors<T, kInputs> cursors(block);
  int64_t left = block.count;
  for (; left >= 2 * kWidth; left -= 2 * kWidth, y += 2 * kWidth) {
    store_pair(y, cursors.apply_pair(f, kIndices));
    cursors.advance(2);
  }
  if (left >= kWidth) {
    store(y, cursors.apply(f, 0, kIndices));
    cursors.advance(1);
    left -= kWidth;
    y += kWidth;
  }
  if (left > 0) store_partial(y, cursors.apply_partial(f, static_cast<int>(left), kIndices), static_cast<int>(left));
}

// Masks become bytes of 0 and 1.
template <class F, class T, int kInputs>
void predicate_block(const void* functor, const BlockArguments& block) {
  constexpr int kWidth = kLanes<Compute<T>>;
  constexpr auto kIndices = std::make_index_sequence<kInputs>();
  const F f = *static_cast<const F*>(functor);
  uint8_t* y = static_cast<uint8_t*>(block.y);
  Cursors<T, kInputs> cursors(block);
  int64_t left = block.count;
  for (; left >= kWidth; left -= kWidth, y += kWidth) {
    const auto bytes = narrow_lanes<Bytes<T>>(cursors.apply(f, 0, kIndices) & 1);
    std::memcpy(y, &bytes, kWidth);
    cursors.advance(1);
  }
  if (left > 0) {
    const auto mask = cursors.apply_partial(f, static_cast<int>(left), kIndices);
    const auto bytes = narrow_lanes<Bytes<T>>(mask & 1);
    std::memcpy(y, &bytes, static_cast<size_t>(left));
  }
}

// One number at a time, for functors that take no vectors.
template <class F, class T, int kInputs>
void scalar_block(const void* functor, const BlockArguments& block) {
  const F f = *static_cast<const F*>(functor);
  T* y = static_cast<T*>(block.y);
  const T* inputs[kInputs];
  int64_t step[kInputs];
  for (int k = 0; k < kInputs; ++k) {
    inputs[k] = static_cast<const T*>(block.inputs[k]);
    step[k] = block.scalar[k] ? 0 : 1;
  }
  for (int64_t i = 0; i < block.count; ++i) {
    [&]<size_t... k>(std::index_sequence<k...>) {
      y[i] = f(inputs[k][i * step[k]]...);
    }(std::make_index_sequence<kInputs>());
  }
}

// --- Kernels of whole ops: the functor for each dtype that has one -----------------------------------------------------

template <class F, int kInputs>
void run_floating(KernelContext& ctx, const Command& cmd, Cost cost) {
  const F functor = make_functor<F>(cmd.attributes);
  visit_floating(cmd.name(), cmd.output(0).dtype,
                 [&]<class T>() { run_pointwise(ctx, {vector_block<F, T, kInputs>, &functor, cost}, cmd); });
}
// Integers too, on vectors.
template <class F, int kInputs>
void run_number(KernelContext& ctx, const Command& cmd, Cost cost = Cost::kMemory) {
  const F functor = make_functor<F>(cmd.attributes);
  visit_number(cmd.name(), cmd.output(0).dtype,
               [&]<class T>() { run_pointwise(ctx, {vector_block<F, T, kInputs>, &functor, cost}, cmd); });
}
// Numbers by F, bool, whose bytes are 0 and 1, by B.
template <class F, class B, int kInputs>
void run_number_or_bool(KernelContext& ctx, const Command& cmd) {
  if (cmd.output(0).dtype != DType::kBool) return run_number<F, kInputs>(ctx, cmd);
  const B functor{};
  run_pointwise(ctx, {vector_block<B, uint8_t, kInputs>, &functor}, cmd);
}
template <class F>
void visit_element(const char* op, DType dtype, F&& body) {
  if (dtype == DType::kBool) return body.template operator()<bool>();
  visit_number(op, dtype, std::forward<F>(body));
}
// Any dtype to bool.
template <class F, int kInputs>
void run_predicate(KernelContext& ctx, const Command& cmd) {
  const F functor{};
  const DType dtype = cmd.input(0).dtype;
  if (dtype == DType::kBool) return run_pointwise(ctx, {predicate_block<F, uint8_t, kInputs>, &functor}, cmd);
  visit_number(cmd.name(), dtype,
               [&]<class T>() { run_pointwise(ctx, {predicate_block<F, T, kInputs>, &functor}, cmd); });
}

}  // namespace hadal::cpu
