// Optimizers over many tensors in one command: the steps of kernels/optimizer_updates.h, gradNorm, scaleTensors. The tensors are cut
// into chunks of fixed size, a block each; a launch takes a table of tensors as its parameter, so that a model of many small tensors
// costs a few launches and a captured graph needs no memory beside it. Every element is read and written once, in place. 16-bit
// parameters compute in float and keep states in float32 or their own type.
#include <limits>

#include "cuda/device/axes.cuh"
#include "cuda/device/element.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/registry.h"
#include "kernels/optimizer_updates.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;
// 8 Ki elements of a float Adam step are 224 KiB of traffic: enough to hide what a block costs to start, and few enough for the
// tensors of a small model to fill a device.
constexpr int64_t kChunk = int64_t{1} << 13;

// Tensors of one dtype whose elements fill memory alike in all lists, in whatever order of the axes.
template <int kLists>
struct TensorTable {
  // With its other parameters a kernel stays within the 4 KiB that every driver takes.
  static constexpr int kCapacity = 3712 / (8 * kLists + 16);

  std::byte* data[kLists][kCapacity];
  int64_t sizes[kCapacity];
  uint32_t first_block[kCapacity + 1];
  int count = 0;

  bool full() const { return count == kCapacity; }
  unsigned blocks() const { return count == 0 ? 0 : first_block[count]; }
  void add(std::byte* const (&tensors)[kLists], int64_t size) {
    if (count == 0) first_block[0] = 0;
    for (int list = 0; list < kLists; ++list) data[list][count] = tensors[list];
    sizes[count] = size;
    first_block[count + 1] = first_block[count] + static_cast<uint32_t>((size + kChunk - 1) / kChunk);
    ++count;
  }
  // The tensor that a block works on.
  HADAL_HD int find(uint32_t block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_block[middle] <= block) low = middle;
      else high = middle - 1;
    }
    return low;
  }
};

// Whether the elements fill memory without gaps.
bool is_dense(const TensorView& view) {
  const Axes<1> axes = axes_of<1>({&view}, all_axes(view), true);
  return axes.rank == 0 || (axes.rank == 1 && axes.strides[0][0] == 1);
}
bool lie_alike(const TensorView& a, const TensorView& b) {
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.shape[axis] != 1 && a.strides[axis] != b.strides[axis]) return false;
  }
  return true;
}

// --- Steps -------------------------------------------------------------------------------------------------------------
// Lists: gradient, parameter, states.

template <class P, class S, class Update>
struct StepElement {
  static constexpr int kStates = Update::kStates;
  using A = Compute<P>;

  // Elements [first, first + n) of every list.
  template <int n>
  static __device__ __forceinline__ void run(const Update& update, const P* grad, P* param,
                                             S* const (&states)[kStates + 1]) {
    const Pack<P, n> g = *reinterpret_cast<const Pack<P, n>*>(grad);
    Pack<P, n> p = *reinterpret_cast<const Pack<P, n>*>(param);
    Pack<S, n> s[kStates + 1];
#pragma unroll
    for (int k = 0; k < kStates; ++k) s[k] = *reinterpret_cast<const Pack<S, n>*>(states[k]);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      A value = p.number(i);
      A state[kStates + 1];
#pragma unroll
      for (int k = 0; k < kStates; ++k) state[k] = static_cast<A>(s[k].number(i));
      update(static_cast<A>(g.number(i)), value, state);
      p.at[i] = to_element<P>(value);
#pragma unroll
      for (int k = 0; k < kStates; ++k) s[k].at[i] = to_element<S>(state[k]);
    }
    *reinterpret_cast<Pack<P, n>*>(param) = p;
#pragma unroll
    for (int k = 0; k < kStates; ++k) *reinterpret_cast<Pack<S, n>*>(states[k]) = s[k];
  }
};

template <class P, class S, class Update>
__global__ void __launch_bounds__(kBlock) step_tensors(Update update, TensorTable<2 + Update::kStates> table) {
  constexpr int kStates = Update::kStates, kPack = kPackSize<P>;
  using Element = StepElement<P, S, Update>;
  const int tensor = table.find(blockIdx.x);
  const int64_t begin = static_cast<int64_t>(blockIdx.x - table.first_block[tensor]) * kChunk;
  const int64_t n = min(table.sizes[tensor] - begin, kChunk);
  const P* grad = reinterpret_cast<const P*>(table.data[0][tensor]) + begin;
  P* param = reinterpret_cast<P*>(table.data[1][tensor]) + begin;
  S* states[kStates + 1] = {};
  // Chunks are whole packs, so a tensor is aligned or not as its first element is.
  uintptr_t addresses = reinterpret_cast<uintptr_t>(grad) | reinterpret_cast<uintptr_t>(param);
#pragma unroll
  for (int k = 0; k < kStates; ++k) {
    states[k] = reinterpret_cast<S*>(table.data[2 + k][tensor]) + begin;
    addresses |= reinterpret_cast<uintptr_t>(states[k]);
  }
  const int64_t whole = addresses % 16 == 0 ? n / kPack * kPack : 0;
  const auto at = [&](int64_t i, auto width) {
    S* moved[kStates + 1];
#pragma unroll
    for (int k = 0; k < kStates; ++k) moved[k] = states[k] + i;
    Element::template run<decltype(width)::value>(update, grad + i, param + i, moved);
  };
  for (int64_t i = static_cast<int64_t>(threadIdx.x) * kPack; i < whole; i += kBlock * kPack) {
    at(i, std::integral_constant<int, kPack>());
  }
  for (int64_t i = whole + threadIdx.x; i < n; i += kBlock) at(i, std::integral_constant<int, 1>());
}

// One tensor whose elements lie otherwise.
template <class P, class S, class Update>
__global__ void __launch_bounds__(kBlock)
    step_strided(Update update, TensorTable<2 + Update::kStates> table, Axes<2 + Update::kStates> axes) {
  constexpr int kStates = Update::kStates;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= axes.count) return;
  int64_t offset[2 + kStates];
  axes.offsets(i, offset);
  S* states[kStates + 1] = {};
#pragma unroll
  for (int k = 0; k < kStates; ++k) states[k] = reinterpret_cast<S*>(table.data[2 + k][0]) + offset[2 + k];
  StepElement<P, S, Update>::template run<1>(update, reinterpret_cast<const P*>(table.data[0][0]) + offset[0],
                                             reinterpret_cast<P*>(table.data[1][0]) + offset[1], states);
}

// The tensors of type P with states of type S.
template <class P, class S, class Update>
void step_of(CudaContext& ctx, const Command& cmd, const Update& update, DType param_dtype, DType state_dtype) {
  constexpr int kLists = 2 + Update::kStates;
  const int n = cmd.input_count;
  TensorTable<kLists> table;
  const auto flush = [&] {
    ctx.launch(cmd, step_tensors<P, S, Update>, table.blocks(), kBlock, 0, update, table);
    table.count = 0;
  };
  for (int i = 0; i < n; ++i) {
    const TensorView& grad = cmd.input(i);
    if (grad.dtype != param_dtype || (Update::kStates > 0 && cmd.output(n + i).dtype != state_dtype)) continue;
    const int64_t size = grad.numel();
    if (size == 0) continue;
    const TensorView* views[kLists] = {&grad};
    std::byte* data[kLists] = {grad.data};
    bool is_flat = is_dense(grad);
    for (int list = 1; list < kLists; ++list) {
      views[list] = &cmd.output((list - 1) * n + i);
      data[list] = views[list]->data;
      is_flat = is_flat && lie_alike(grad, *views[list]);
    }
    if (!is_flat) {
      TensorTable<kLists> single;
      single.add(data, size);
      ctx.launch(cmd, step_strided<P, S, Update>, blocks_for(size, kBlock), kBlock, 0, update, single,
                 axes_of(views, all_axes(grad)));
      continue;
    }
    table.add(data, size);
    if (table.full()) flush();
  }
  flush();
}

template <template <class, int> class UpdateOf, int kStates>
void step(CudaContext& ctx, const Command& cmd) {
  const auto run = [&]<class P, class S>(DType param, DType state) {
    bool present = false;
    for (int i = 0; i < cmd.input_count && !present; ++i) present = cmd.input(i).dtype == param;
    if (present) step_of<P, S>(ctx, cmd, UpdateOf<Compute<P>, kStates>(cmd), param, state);
  };
  run.template operator()<double, double>(DType::kFloat64, DType::kFloat64);
  run.template operator()<float, float>(DType::kFloat32, DType::kFloat32);
  run.template operator()<Float16, Float16>(DType::kFloat16, DType::kFloat16);
  run.template operator()<BFloat16, BFloat16>(DType::kBFloat16, DType::kBFloat16);
  if constexpr (kStates > 0) {
    run.template operator()<Float16, float>(DType::kFloat16, DType::kFloat32);
    run.template operator()<BFloat16, float>(DType::kBFloat16, DType::kFloat32);
  }
}

HADAL_CUDA_KERNEL(sgdStep) {
  if (cmd.attribute(1) != 0) step<updates::Sgd, 1>(ctx, cmd);
  else step<updates::Sgd, 0>(ctx, cmd);
}
HADAL_CUDA_KERNEL(adamStep) {
  if (cmd.flag(8)) step<updates::Adam, 3>(ctx, cmd);
  else step<updates::Adam, 2>(ctx, cmd);
}
HADAL_CUDA_KERNEL(adamaxStep) { step<updates::Adamax, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(adagradStep) { step<updates::Adagrad, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(adadeltaStep) { step<updates::Adadelta, 2>(ctx, cmd); }
HADAL_CUDA_KERNEL(rmsPropStep) {
  const int means = cmd.flag(5) + (cmd.attribute(4) != 0);
  if (means == 2) step<updates::RmsProp, 3>(ctx, cmd);
  else if (means == 1) step<updates::RmsProp, 2>(ctx, cmd);
  else step<updates::RmsProp, 1>(ctx, cmd);
}
HADAL_CUDA_KERNEL(lionStep) { step<updates::Lion, 1>(ctx, cmd); }
HADAL_CUDA_KERNEL(lerpTensors) { step<updates::Lerp, 0>(ctx, cmd); }
HADAL_CUDA_KERNEL(clampTensors) { step<updates::Clamp, 0>(ctx, cmd); }

// --- Norms -------------------------------------------------------------------------------------------------------------

// |x|, x² or |x| joined by sums or, of order infinity, by the larger; in double: squares of any float fit. A NaN stays.
struct NormOrder {
  bool squares, largest;

  __device__ double term(double x) const { return squares ? x * x : ::fabs(x); }
  __device__ double operator()(double a, double b) const { return largest ? (b > a || b != b ? b : a) : a + b; }
};

// Runs body(element) over the chunk of this block, 16 bytes at a time where the tensor is aligned.
template <class T, class F>
__device__ __forceinline__ void each_of_chunk(const TensorTable<1>& table, F&& body) {
  constexpr int kPack = kPackSize<T>;
  const int tensor = table.find(blockIdx.x);
  const int64_t begin = static_cast<int64_t>(blockIdx.x - table.first_block[tensor]) * kChunk;
  const int64_t n = min(table.sizes[tensor] - begin, kChunk);
  T* x = reinterpret_cast<T*>(table.data[0][tensor]) + begin;
  const int64_t whole = reinterpret_cast<uintptr_t>(x) % 16 == 0 ? n / kPack * kPack : 0;
#pragma unroll 4
  for (int64_t i = static_cast<int64_t>(threadIdx.x) * kPack; i < whole; i += kBlock * kPack) {
    body(*reinterpret_cast<Pack<T, kPack>*>(x + i));
  }
  for (int64_t i = whole + threadIdx.x; i < n; i += kBlock) body(*reinterpret_cast<Pack<T, 1>*>(x + i));
}

template <class T>
__global__ void __launch_bounds__(kBlock) norm_of_chunks(TensorTable<1> table, NormOrder order, double* parts) {
  double total = 0;
  each_of_chunk<T>(table, [&]<int n>(const Pack<T, n>& pack) {
#pragma unroll
    for (int i = 0; i < n; ++i) total = order(total, order.term(static_cast<double>(pack.number(i))));
  });
  total = block_reduce(total, 0.0, order);
  if (threadIdx.x == 0) parts[blockIdx.x] = total;
}
template <class T>
__global__ void __launch_bounds__(kBlock) norm_of_strided(const T* x, Axes<1> axes, NormOrder order, double* parts) {
  double total = 0;
  const int64_t begin = blockIdx.x * kChunk, end = min(begin + kChunk, axes.count);
  for (int64_t i = begin + threadIdx.x; i < end; i += kBlock) {
    int64_t at[1];
    axes.offsets(i, at);
    total = order(total, order.term(static_cast<double>(load_element(x[at[0]]))));
  }
  total = block_reduce(total, 0.0, order);
  if (threadIdx.x == 0) parts[blockIdx.x] = total;
}
__global__ void __launch_bounds__(1024)
    norm_of_parts(const double* parts, int64_t count, NormOrder order, void* norm, bool is_double) {
  double total = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) total = order(total, parts[i]);
  total = block_reduce(total, 0.0, order);
  if (threadIdx.x != 0) return;
  if (order.squares) total = ::sqrt(total);
  if (is_double) *static_cast<double*>(norm) = total;
  else *static_cast<float*>(norm) = static_cast<float>(total);
}

// Groups the tensors by dtype: dense ones in tables, dense<T>(table), others one by one, strided<T>(view, axes).
template <class View, class Dense, class Strided>
void each_tensor(const Command& cmd, int count, View&& view, Dense&& dense, Strided&& strided) {
  for (const DType dtype : {DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    visit_floating(cmd.name(), dtype, [&]<class T>() {
      TensorTable<1> table;
      for (int i = 0; i < count; ++i) {
        const TensorView& x = view(i);
        if (x.dtype != dtype || x.numel() == 0) continue;
        if (!is_dense(x)) {
          strided.template operator()<T>(x, axes_of<1>({&x}, all_axes(x), true));
          continue;
        }
        table.add({x.data}, x.numel());
        if (!table.full()) continue;
        dense.template operator()<T>(table);
        table.count = 0;
      }
      if (table.count > 0) dense.template operator()<T>(table);
    });
  }
}

HADAL_CUDA_KERNEL(gradNorm) {
  const double kind = cmd.attribute(0);
  const NormOrder order{kind == 2, kind != 1 && kind != 2};
  const auto view = [&](int i) -> const TensorView& { return cmd.input(i); };
  int64_t count = 0;
  for (int i = 0; i < cmd.input_count; ++i) count += (view(i).numel() + kChunk - 1) / kChunk;
  double* parts = ctx.scratch<double>(count);
  double* next = parts;
  each_tensor(
      cmd, cmd.input_count, view,
      [&]<class T>(const TensorTable<1>& table) {
        ctx.launch(cmd, norm_of_chunks<T>, table.blocks(), kBlock, 0, table, order, next);
        next += table.blocks();
      },
      [&]<class T>(const TensorView& x, const Axes<1>& axes) {
        const unsigned blocks = blocks_for(axes.count, kChunk);
        ctx.launch(cmd, norm_of_strided<T>, blocks, kBlock, 0, x.as<const T>(), axes, order, next);
        next += blocks;
      });
  const TensorView& norm = cmd.output(0);
  ctx.launch(cmd, norm_of_parts, 1, 1024, 0, parts, count, order, norm.data, norm.dtype == DType::kFloat64);
}

struct Factor {
  const void* value;
  bool is_double;

  __device__ double get() const {
    return is_double ? *static_cast<const double*>(value) : *static_cast<const float*>(value);
  }
};
template <class T>
__global__ void __launch_bounds__(kBlock) scale_chunks(TensorTable<1> table, Factor scale) {
  const double factor = scale.get();
  if (factor == 1) return;
  const Compute<T> by = static_cast<Compute<T>>(factor);
  each_of_chunk<T>(table, [&]<int n>(Pack<T, n>& pack) {
    Pack<T, n> scaled = pack;
#pragma unroll
    for (int i = 0; i < n; ++i) scaled.at[i] = to_element<T>(scaled.number(i) * by);
    pack = scaled;
  });
}
template <class T>
__global__ void __launch_bounds__(kBlock) scale_strided(T* x, Axes<1> axes, Factor scale) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const double factor = scale.get();
  if (i >= axes.count || factor == 1) return;
  int64_t at[1];
  axes.offsets(i, at);
  x[at[0]] = to_element<T>(load_element(x[at[0]]) * static_cast<Compute<T>>(factor));
}

HADAL_CUDA_KERNEL(scaleTensors) {
  const TensorView& scalar = cmd.input(0);
  const Factor scale{scalar.data, scalar.dtype == DType::kFloat64};
  each_tensor(
      cmd, cmd.output_count, [&](int i) -> const TensorView& { return cmd.output(i); },
      [&]<class T>(const TensorTable<1>& table) {
        ctx.launch(cmd, scale_chunks<T>, table.blocks(), kBlock, 0, table, scale);
      },
      [&]<class T>(const TensorView& x, const Axes<1>& axes) {
        ctx.launch(cmd, scale_strided<T>, blocks_for(axes.count, kBlock), kBlock, 0, x.as<T>(), axes, scale);
      });
}

}  // namespace
}  // namespace hadal::cuda
