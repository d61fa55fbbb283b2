// What pointwise kernels are made of: one kernel per functor and dtypes, instantiated twice. It walks units of kVector elements
// along the innermost axis, 16 bytes of the widest operand where strides and addresses allow and single elements otherwise;
// an operand that is broadcast along that axis is read once a unit. Contiguous operands are a walk of one axis, whose offsets
// need no division. Called by the pointwise, copy, creation and random kernels.
#pragma once

#include "cuda/cuda_context.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/element.cuh"
#include "kernels/functors.h"
#include "kernels/strides.h"

namespace hadal::cuda {

inline constexpr int kPointwiseBlock = 256;
// Units that a thread has in flight. 15 KiB a multiprocessor keep the memory of an H100 busy (3.3 TB/s at 600 ns), and 2,048
// threads with one unit of 16 bytes each have 32; single elements need more of them.
template <int kVector>
inline constexpr int kUnroll = kVector > 1 ? 1 : 2;

// A loop nest over units, the innermost axis first. Strides are in elements per unit.
template <int kOperands>
struct Walk {
  int rank;
  uint32_t units;
  Divider sizes[kMaxRank];
  int64_t strides[kOperands][kMaxRank];

  __device__ __forceinline__ void offsets(uint32_t unit, int64_t (&offset)[kOperands]) const {
#pragma unroll
    for (int k = 0; k < kOperands; ++k) offset[k] = 0;
    for (int axis = 0; axis < rank - 1; ++axis) {
      const uint32_t at = sizes[axis].pop(unit);
#pragma unroll
      for (int k = 0; k < kOperands; ++k) offset[k] += at * strides[k][axis];
    }
#pragma unroll
    for (int k = 0; k < kOperands; ++k) offset[k] += unit * strides[k][rank - 1];
  }
};

// An input: elements in memory, or one number that came with the command, as arithmetic has it.
template <class T>
struct Operand {
  const T* data;  // null: `number` everywhere
  bool repeats;   // the same element along the innermost axis
  Compute<T> number;

  template <int kVector>
  __device__ __forceinline__ Pack<T, kVector> load(int64_t offset) const {
    Pack<T, kVector> pack{};
    if (data == nullptr) return pack;
    if (!repeats) return load_pack<kVector>(data + offset);
    const T element = data[offset];
#pragma unroll
    for (int i = 0; i < kVector; ++i) pack.at[i] = element;
    return pack;
  }
  __device__ __forceinline__ Compute<T> value(const T& element) const {
    return data == nullptr ? number : load_element(element);
  }
};

// y = f(inputs…), f of numbers as arithmetic has them, giving storage elements. With kIndexed, f also gets the place of the element in the output, in logical row-major order, first.
template <bool kIndexed, int kVector, class F, class Out, class... In, size_t... k>
__device__ __forceinline__ void pointwise_body(const F& f, const Walk<1 + sizeof...(In)>& walk, int64_t first_element,
                                               Out* y, std::index_sequence<k...>, const Operand<In>&... inputs) {
  constexpr int kOperands = 1 + sizeof...(In), kUnits = kUnroll<kVector>;
  const uint32_t start = blockIdx.x * (kPointwiseBlock * kUnits) + threadIdx.x;
  std::tuple<Pack<In, kVector>...> loaded[kUnits];
  int64_t offset[kUnits][kOperands];
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    const uint32_t unit = start + u * kPointwiseBlock;
    if (unit >= walk.units) break;
    walk.offsets(unit, offset[u]);
    ((std::get<k>(loaded[u]) = inputs.template load<kVector>(offset[u][1 + k])), ...);
  }
#pragma unroll
  for (int u = 0; u < kUnits; ++u) {
    const uint32_t unit = start + u * kPointwiseBlock;
    if (unit >= walk.units) break;
    Pack<Out, kVector> result;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      if constexpr (kIndexed) {
        const int64_t element = first_element + static_cast<int64_t>(unit) * kVector + i;
        result.at[i] = f(element, inputs.value(std::get<k>(loaded[u]).at[i])...);
      } else {
        result.at[i] = f(inputs.value(std::get<k>(loaded[u]).at[i])...);
      }
    }
    store_pack(y + offset[u][0], result);
  }
}
template <bool kIndexed, int kVector, class F, class Out, class... In>
__global__ void __launch_bounds__(kPointwiseBlock)
    pointwise_kernel(F f, Walk<1 + sizeof...(In)> walk, int64_t first_element, Out* y, Operand<In>... inputs) {
  pointwise_body<kIndexed, kVector>(f, walk, first_element, y, std::index_sequence_for<In...>(), inputs...);
}

// Elements per unit: 16 bytes of the widest type.
template <class... T>
inline constexpr int kVectorOf = 16 / static_cast<int>(std::max({sizeof(T)...}));

template <class T>
Operand<T> operand_of(const Command& cmd, const TensorView& view) {
  Operand<T> operand{view.as<const T>(), true, {}};
  for (int i = 0; i < cmd.input_count; ++i) {
    if (&view == &cmd.input(i) && cmd.is_immediate(i)) {
      if (size_of(view.dtype) == sizeof(T)) operand.number = static_cast<Compute<T>>(*view.as<const T>());
      else std::memcpy(&operand.number, view.data, sizeof operand.number);  // 16-bit operands, a float
      operand.data = nullptr;
    }
  }
  return operand;
}

// y = f(inputs…) over strided views of y's shape. `ordered`: element i of the walk is
// element i in row-major order, for kIndexed.
template <bool kIndexed, class Out, class... In, class F, size_t... k>
void run_pointwise_views(CudaContext& ctx, const Command& cmd, const F& f, const TensorView& y,
                         std::index_sequence<k...>, const TensorView* inputs) {
  constexpr int kOperands = 1 + static_cast<int>(sizeof...(In));
  constexpr int kVector = kVectorOf<Out, In...>;
  const TensorView* views[] = {&y, &inputs[k]...};
  Strides plan = collapse(views, kOperands, !kIndexed);
  if (plan.count == 0) return;
  std::tuple<Operand<In>...> operands(operand_of<In>(cmd, inputs[k])...);
  ((std::get<k>(operands).repeats = plan.inner_size() > 1 && plan.inner_stride(1 + k) == 0), ...);

  // Whole units: the innermost axis is made of them, and they lie side by side and aligned, or repeat.
  bool whole = plan.inner_size() % kVector == 0 && plan.inner_stride(0) == 1 && is_aligned<Out>(y.data, kVector);
  ((whole = whole && (plan.inner_stride(1 + k) == 0 ||
                      (plan.inner_stride(1 + k) == 1 && is_aligned<In>(inputs[k].data, kVector)))),
   ...);
  for (int operand = 0; operand < kOperands; ++operand) {
    for (int axis = 0; axis < plan.rank - 1; ++axis) whole = whole && plan.strides[operand][axis] % kVector == 0;
  }
  const int64_t unit = whole ? kVector : 1;
  plan.shape[plan.rank - 1] /= unit;
  for (int operand = 0; operand < kOperands; ++operand) plan.strides[operand][plan.rank - 1] *= unit;
  if (!whole) ((std::get<k>(operands).repeats = false), ...);

  Walk<kOperands> walk{};
  walk.rank = plan.rank;
  int64_t inner = 1;  // units inside the outermost axis
  for (int axis = 0; axis < plan.rank; ++axis) {
    const int from = plan.rank - 1 - axis;
    if (axis < plan.rank - 1) {
      walk.sizes[axis] = Divider(static_cast<uint32_t>(std::min<int64_t>(plan.shape[from], INT32_MAX)));
      inner *= plan.shape[from];
    }
    for (int operand = 0; operand < kOperands; ++operand) walk.strides[operand][axis] = plan.strides[operand][from];
  }
  // Units are counted in 32 bits; what is larger goes in slices of the outermost axis, and, should one index of that axis still
  // be too much, recursively along the axes inside it.
  constexpr int64_t kMaxUnits = int64_t{1} << 30;
  if (inner > kMaxUnits) {
    TensorView slice_views[kOperands];
    for (int64_t i = 0; i < y.shape[0]; ++i) {
      for (int operand = 0; operand < kOperands; ++operand) {
        slice_views[operand] = *views[operand];
        TensorView& slice = slice_views[operand];
        slice.data += i * slice.strides[0] * static_cast<int64_t>(size_of(slice.dtype));
        for (int axis = 1; axis < slice.rank; ++axis) {
          slice.shape[axis - 1] = slice.shape[axis];
          slice.strides[axis - 1] = slice.strides[axis];
        }
        --slice.rank;
      }
      run_pointwise_views<kIndexed, Out, In...>(ctx, cmd, f, slice_views[0], std::index_sequence<k...>(),
                                                slice_views + 1);
    }
    return;
  }
  const int64_t outer = plan.shape[0], rows = std::max<int64_t>(kMaxUnits / inner, 1);
  for (int64_t begin = 0; begin < outer; begin += rows) {
    walk.units = static_cast<uint32_t>(std::min(rows, outer - begin) * inner);
    const unsigned grid = blocks_for(walk.units, kPointwiseBlock * (whole ? kUnroll<kVector> : kUnroll<1>));
    Out* to = y.as<Out>() + begin * walk.strides[0][plan.rank - 1];
    std::tuple<Operand<In>...> from = operands;
    ((std::get<k>(from).data += std::get<k>(from).data == nullptr ? 0 : begin * walk.strides[1 + k][plan.rank - 1]),
     ...);
    const int64_t first_element = begin * inner * unit;
    if (whole) {
      ctx.launch(cmd, pointwise_kernel<kIndexed, kVector, F, Out, In...>, grid, kPointwiseBlock, 0, f, walk,
                 first_element, to, std::get<k>(from)...);
    } else {
      ctx.launch(cmd, pointwise_kernel<kIndexed, 1, F, Out, In...>, grid, kPointwiseBlock, 0, f, walk, first_element,
                 to, std::get<k>(from)...);
    }
  }
}
template <class Out, class... In, class F>
void run_pointwise(CudaContext& ctx, const Command& cmd, const F& f) {
  run_pointwise_views<false, Out, In...>(ctx, cmd, f, cmd.output(0), std::index_sequence_for<In...>(), cmd.tensors);
}
// f(place, numbers…): for kernels whose result depends on the place, creation and random numbers.
template <class Out, class... In, class F>
void run_indexed(CudaContext& ctx, const Command& cmd, const F& f) {
  run_pointwise_views<true, Out, In...>(ctx, cmd, f, cmd.output(0), std::index_sequence_for<In...>(), cmd.tensors);
}

// A functor of numbers (kernels/functors.h) on elements of one dtype.
template <class F, class T>
struct OnElements {
  F f;
  template <class... In>
  __device__ T operator()(const In&... inputs) const {
    return to_element<T>(f(inputs...));
  }
};
// An element as it is.
struct Move {
  template <class T>
  __device__ T operator()(const T& x) const {
    return x;
  }
};
// A functor whose result is a truth value.
template <class F, class T>
struct Predicate {
  F f;
  template <class... In>
  __device__ uint8_t operator()(const In&... inputs) const {
    return f(inputs...) ? 1 : 0;
  }
};

template <class F, class T, size_t... k>
void run_functor(CudaContext& ctx, const Command& cmd, std::index_sequence<k...>) {
  const OnElements<F, T> f{make_functor<F>(cmd.attributes)};
  run_pointwise<T, std::enable_if_t<(k >= 0), T>...>(ctx, cmd, f);
}
template <class F, int kInputs>
void run_floating(CudaContext& ctx, const Command& cmd) {
  visit_floating(cmd.name(), cmd.output(0).dtype,
                 [&]<class T>() { run_functor<F, T>(ctx, cmd, std::make_index_sequence<kInputs>()); });
}
template <class F, int kInputs>
void run_integer(CudaContext& ctx, const Command& cmd) {
  visit_integer(cmd.name(), cmd.output(0).dtype,
                [&]<class T>() { run_functor<F, T>(ctx, cmd, std::make_index_sequence<kInputs>()); });
}
template <class F, int kInputs>
void run_number(CudaContext& ctx, const Command& cmd) {
  if (is_floating(cmd.output(0).dtype)) run_floating<F, kInputs>(ctx, cmd);
  else run_integer<F, kInputs>(ctx, cmd);
}
// Numbers by F, bools, as bytes of 0 and 1, by B.
template <class F, class B, int kInputs>
void run_number_or_bool(CudaContext& ctx, const Command& cmd) {
  if (cmd.output(0).dtype == DType::kBool) {
    run_functor<B, uint8_t>(ctx, cmd, std::make_index_sequence<kInputs>());
  } else {
    run_number<F, kInputs>(ctx, cmd);
  }
}
template <class F, class T, size_t... k>
void run_predicate_of(CudaContext& ctx, const Command& cmd, std::index_sequence<k...>) {
  run_pointwise<uint8_t, std::enable_if_t<(k >= 0), T>...>(ctx, cmd, Predicate<F, T>{make_functor<F>(cmd.attributes)});
}
// Any dtype to bool.
template <class F, int kInputs>
void run_predicate(CudaContext& ctx, const Command& cmd) {
  if (cmd.input(0).dtype == DType::kBool) {
    run_predicate_of<F, uint8_t>(ctx, cmd, std::make_index_sequence<kInputs>());
  } else {
    visit_number(cmd.name(), cmd.input(0).dtype,
                 [&]<class T>() { run_predicate_of<F, T>(ctx, cmd, std::make_index_sequence<kInputs>()); });
  }
}

}  // namespace hadal::cuda
