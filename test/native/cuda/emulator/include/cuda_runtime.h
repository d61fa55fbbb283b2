// CUDA's runtime and the built-in names of its C++, as far as native/cuda uses them, for a device that is emulated on the CPU: its
// memory is the host's, its streams are threads, and the threads of a block are fibers (device.cc). Takes the place of NVIDIA's
// header in the library that build.mjs makes for tests.
#pragma once

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

#define CUDART_VERSION 13000

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

// --- Types ---------------------------------------------------------------------------------------------------------------

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

enum cudaError_t {
  cudaSuccess,
  cudaErrorInvalidValue,
  cudaErrorMemoryAllocation,
  cudaErrorInvalidConfiguration,
  cudaErrorInsufficientDriver,
  cudaErrorNoDevice,
  cudaErrorNotReady,
  cudaErrorIllegalAddress,
  cudaErrorLaunchFailure,
  cudaErrorLaunchTimeout,
  cudaErrorHardwareStackError,
  cudaErrorIllegalInstruction,
  cudaErrorMisalignedAddress,
  cudaErrorInvalidAddressSpace,
  cudaErrorInvalidPc,
  cudaErrorAssert,
  cudaErrorStreamCaptureUnsupported,
  cudaErrorStreamCaptureInvalidated,
  cudaErrorECCUncorrectable,
  cudaErrorUnknown,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0, cudaHostAllocMapped = 2 };

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount, l2CacheSize;
};
struct cudaFuncAttributes {
  size_t sharedSizeBytes;
};

using cudaStream_t = struct EmulatedStream*;
using cudaEvent_t = struct EmulatedEvent*;
using cudaGraph_t = struct EmulatedGraph*;
using cudaGraphNode_t = struct EmulatedNode*;
using cudaGraphExec_t = struct EmulatedGraphExec*;
struct cudaGraphEdgeData;
struct cudaKernelNodeParams {
  void* func;
  dim3 gridDim, blockDim;
  unsigned sharedMemBytes;
  void** kernelParams;
  void** extra;
};
using cudaHostFn_t = void (*)(void*);

// --- Functions (runtime.cc) ------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t status);

cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, size_t* dependency_count);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count);
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data);

cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel);

namespace emulator {

struct Parameter {
  size_t bytes, alignment;
};
// A kernel with the types of its parameters forgotten: call(kernel, addresses of the arguments).
struct Kernel {
  const void* address;
  void (*call)(const void* kernel, void** arguments);
  const Parameter* parameters;
  size_t parameter_count;
};
cudaError_t launch(const Kernel& kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream);

template <class... P>
inline constexpr Parameter kParameters[] = {{sizeof(P), alignof(P)}..., {0, 1}};
template <class... P>
void call(const void* kernel, void** arguments) {
  [&]<size_t... i>(std::index_sequence<i...>) {
    reinterpret_cast<void (*)(P...)>(const_cast<void*>(kernel))(*static_cast<std::remove_const_t<P>*>(arguments[i])...);
  }(std::index_sequence_for<P...>());
}

}  // namespace emulator

template <class... P>
cudaError_t cudaLaunchKernel(void (*kernel)(P...), dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t stream) {
  return emulator::launch(
      {reinterpret_cast<const void*>(kernel), emulator::call<P...>, emulator::kParameters<P...>, sizeof...(P)}, grid,
      block, arguments, shared, stream);
}

// --- What device code sees (device.cc) ---------------------------------------------------------------------------------------

// Of the running thread. There is one: kernels run one after another.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace emulator {

// Ends the kernel with an error that names it and the thread.
[[noreturn]] void fail(const char* what);

// The meaning of a declaration of shared memory: the first thread of a block that passes it finds it full of 0xff, which as a
// floating point number is a NaN.
void fill_shared(uint64_t& filled_in, void* memory, size_t bytes);
// The launch's dynamic shared memory, which device code also knows by addresses of 32 bits.
void* dynamic_shared();
uint32_t shared_address(const void* memory);
void* shared_memory(uint32_t address, size_t bytes, size_t alignment);

enum class Meeting { kNone, kBarrier, kShuffle, kVote, kMatch, kLoadMatrices, kMultiply };
inline constexpr int kWarpSize = 32, kMaxWords = 12;
// Where the lanes of a warp that have not ended meet: each brings `count` words, and sees what the others have brought.
// Lane i's words are at [i · kMaxWords]; those of lanes that are not there are 0xffffffff.
const uint32_t* meet(Meeting what, unsigned mask, const uint32_t* words, int count);
int lane();
int warp();
// Barrier `index` of the block, for `count` threads (0: all that have not ended). Answers how many of them brought a truth.
int wait(int index, unsigned count, bool truth);
// The same for a thread that goes on. What it has written for products and bulk copies must be published.
void arrive(int index, unsigned count);

// cp.async of 16 bytes to shared memory, of which `bytes` come from memory and the rest is zeros; in groups as products are.
void copy_later(uint32_t to, const void* from, int bytes);
void commit_copies();
void wait_for_copies(int pending);

// Products of a warpgroup, this thread's part of them, in groups of which all but the last `pending` are waited for. Until then the
// sum is NaN, and neither it nor the left factor's registers may be written.
struct Product {
  float* sum;
  int size;
  const uint32_t* left;                   // four registers, or null
  std::function<void(float* sum)> added;  // adds it to the sum
};
void publish_copies();
// Blocks take turns: waits until the counter is at `turn`, and passes it on.
void wait_for_turn(const unsigned* counter, unsigned turn);
void pass_turn(unsigned* counter, unsigned turn);
// An atomic access of the running thread.
void note_atomic(const void* memory, size_t bytes);

// To be called by what writes shared memory otherwise than by copies, for products or bulk copies.
void has_written();
void begin_products();
void multiply_later(Product product);
void commit_products();
// Ends the kernel if a product of `sum` is still running.
void wait_for_products(int pending, const float* sum);

template <class T>
T shuffle(unsigned mask, T value, int from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  constexpr int kWords = sizeof(T) / 4;
  uint32_t words[kWords];
  std::memcpy(words, &value, sizeof(T));
  const uint32_t* all = meet(Meeting::kShuffle, mask, words, kWords);
  std::memcpy(&value, all + from * kMaxWords, sizeof(T));
  return value;
}

}  // namespace emulator

inline void __syncthreads() { emulator::wait(0, 0, false); }
inline int __syncthreads_count(int truth) { return emulator::wait(0, 0, truth != 0); }
inline int __syncthreads_or(int truth) { return emulator::wait(0, 0, truth != 0) > 0; }
inline void __barrier_sync_count(unsigned index, unsigned count) {
  emulator::wait(static_cast<int>(index), count, false);
}
inline void __stwb(uint4* to, uint4 words) { *to = words; }
inline size_t __cvta_generic_to_shared(const void* memory) { return emulator::shared_address(memory); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::meet(emulator::Meeting::kBarrier, mask, nullptr, 0); }

template <class T>
T __shfl_sync(unsigned mask, T value, int from) {
  return emulator::shuffle(mask, value, from % emulator::kWarpSize);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance) {
  return emulator::shuffle(mask, value, emulator::lane() ^ distance);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  const int lane = emulator::lane(), from = lane - static_cast<int>(distance);
  return emulator::shuffle(mask, value, from < 0 ? lane : from);
}
inline unsigned __ballot_sync(unsigned mask, int truth) {
  const uint32_t word = truth != 0;
  const uint32_t* all = emulator::meet(emulator::Meeting::kVote, mask, &word, 1);
  unsigned ballot = 0;
  for (int i = 0; i < emulator::kWarpSize; ++i) ballot |= (all[i * emulator::kMaxWords] == 1 ? 1u : 0u) << i;
  return ballot;
}
// The lanes whose values are this lane's.
template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint32_t words[3] = {0, 0, 1};
  std::memcpy(words, &value, sizeof(T));
  const uint32_t* all = emulator::meet(emulator::Meeting::kMatch, mask, words, 3);
  unsigned peers = 0;
  for (int i = 0; i < emulator::kWarpSize; ++i) {
    peers |= (std::memcmp(all + i * emulator::kMaxWords, words, sizeof(words)) == 0 ? 1u : 0u) << i;
  }
  return peers;
}

// Which the compiler does not tell of; see races.h.
#define EMULATOR_ATOMIC __attribute__((noinline, no_sanitize("thread")))

template <class T>
EMULATOR_ATOMIC T atomicAdd(T* to, T value) {
  emulator::note_atomic(to, sizeof(T));
  const T old = *to;
  *to = old + value;
  return old;
}
template <class T>
EMULATOR_ATOMIC T atomicMin(T* to, T value) {
  emulator::note_atomic(to, sizeof(T));
  const T old = *to;
  if (value < old) *to = value;
  return old;
}
EMULATOR_ATOMIC inline unsigned atomicCAS(unsigned* to, unsigned expected, unsigned value) {
  emulator::note_atomic(to, sizeof(unsigned));
  const unsigned old = *to;
  if (old == expected) *to = value;
  return old;
}
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
template <class T>
T __ldcg(const T* from) {
  return *from;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline float __fmaf_rn(float a, float b, float c) { return ::fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return ::fma(a, b, c); }
// Products that are rounded before anything is added to them: what a compiler cannot see through, it cannot contract.
inline float __fmul_rn(float a, float b) {
  float product = a * b;
  asm("" : "+x"(product));
  return product;
}
inline double __dmul_rn(double a, double b) {
  double product = a * b;
  asm("" : "+x"(product));
  return product;
}
template <class T>
T rsqrt(T x) {
  return T(1) / ::sqrt(x);
}
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  const std::common_type_t<A, B> x = a, y = b;
  return y < x ? y : x;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  const std::common_type_t<A, B> x = a, y = b;
  return x < y ? y : x;
}
