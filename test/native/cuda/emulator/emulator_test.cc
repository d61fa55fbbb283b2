// Checks the emulator: that it computes what a GPU does, and that it shows the mistakes it is there for. Built with it, run by
// test/native/cuda/emulated.test.ts with the name of what is to happen, in several orders of threads.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <tuple>

#include "cuda/device/wgmma.cuh"

using hadal::BFloat16;
using hadal::Float16;

namespace {

int checks = 0;

void expect(bool holds, const char* what) {
  ++checks;
  if (holds) return;
  std::printf("failed: %s\n", what);
  std::exit(1);
}

cudaStream_t stream;

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A... arguments) {
  std::tuple<P...> values(arguments...);
  std::apply(
      [&](auto&... value) {
        void* addresses[] = {static_cast<void*>(&value)..., nullptr};
        cudaLaunchKernel(kernel, grid, block, addresses, shared, stream);
      },
      values);
  if (cudaStreamSynchronize(stream) != cudaSuccess) {
    std::printf("lost: %s\n", cudaGetErrorString(cudaErrorLaunchFailure));
    std::exit(2);
  }
}

template <class T>
T* device_array(size_t count) {
  void* memory = nullptr;
  expect(cudaMalloc(&memory, count * sizeof(T)) == cudaSuccess, "memory");
  return static_cast<T*>(memory);
}

// --- What holds ----------------------------------------------------------------------------------------------------------

__global__ void sum_kernel(const int* x, int* y, int* before) {
  __shared__ int partial[4];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const unsigned place = blockIdx.x * blockDim.x + threadIdx.x;
  before[place] = partial[threadIdx.x % 4];
  __syncthreads();
  int sum = x[place];
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (lane == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) y[blockIdx.x] = partial[0] + partial[1] + partial[2] + partial[3];
}

void test_sums() {
  int *x = device_array<int>(384), *y = device_array<int>(3), *before = device_array<int>(384);
  expect(x[5] == -1, "fresh memory is full of 0xff");
  for (int i = 0; i < 384; ++i) x[i] = i;
  launch(sum_kernel, 3, 128, 0, x, y, before);
  for (int block = 0; block < 3; ++block) expect(y[block] == 128 * (128 * block) + 127 * 64, "a block's sum");
  for (int i = 0; i < 384; ++i) expect(before[i] == -1, "shared memory is new in each block");
}

__global__ void votes_kernel(unsigned* y) {
  const auto lane = threadIdx.x;
  unsigned* mine = y + lane * 4;
  mine[0] = __ballot_sync(0xffffffffu, lane % 3 == 0);
  mine[1] = __match_any_sync(0xffffffffu, lane / 8);
  mine[2] = __shfl_up_sync(0xffffffffu, lane, 3);
  mine[3] = static_cast<unsigned>(__syncthreads_count(lane < 10));
}

void test_votes() {
  auto* y = device_array<unsigned>(128);
  launch(votes_kernel, 1, 32, 0, y);
  for (unsigned lane = 0; lane < 32; ++lane) {
    expect(y[4 * lane] == 0x49249249u, "ballot");
    expect(y[4 * lane + 1] == 0xffu << (lane / 8 * 8), "match");
    expect(y[4 * lane + 2] == (lane < 3 ? lane : lane - 3), "shuffle up");
    expect(y[4 * lane + 3] == 10, "count");
  }
}

// c [16, 8] = a [16, 16] · b [8, 16]ᵀ, and · b [16, 8] where `transposed`.
template <class T>
__global__ void product_kernel(const T* a, const T* b, bool transposed, float* c) {
  using namespace hadal::cuda;
  extern __shared__ uint4 room[];
  const uint32_t left = static_cast<uint32_t>(__cvta_generic_to_shared(room)), right = left + 512;
  const int lane = static_cast<int>(threadIdx.x);
  copy_async(left + lane * 16, a + lane * 8, true);
  if (lane < 16) copy_async(right + lane * 16, b + lane * 8, true);
  copies_commit();
  copies_wait();
  __syncwarp();
  uint32_t rows[4], columns[4];
  load_matrices(rows, left + lane % 16 * 32 + lane / 16 * 16);
  if (transposed) load_matrices_transposed(columns, right + lane % 16 * 16);
  else load_matrices(columns, right + lane % 8 * 32 + lane / 8 % 2 * 16);
  float sum[4] = {};
  multiply_add<T>(sum, rows, columns[0], columns[1]);
  for (int e = 0; e < 4; ++e) c[(lane / 4 + e / 2 * 8) * 8 + lane % 4 * 2 + e % 2] = sum[e];
}

template <class T>
void test_product() {
  T *a = device_array<T>(256), *b = device_array<T>(128);
  float* c = device_array<float>(128);
  for (int i = 0; i < 256; ++i) a[i] = T(static_cast<float>(i * 7 % 23) - 11);
  for (int i = 0; i < 128; ++i) b[i] = T(static_cast<float>(i * 5 % 19) - 9);
  for (const bool transposed : {false, true}) {
    launch(product_kernel<T>, 1, 32, 768, a, b, transposed, c);
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        float sum = 0;
        for (int k = 0; k < 16; ++k)
          sum += float(a[row * 16 + k]) * float(b[transposed ? k * 8 + column : column * 16 + k]);
        expect(c[row * 8 + column] == sum, "a product of matrices");
      }
    }
  }
}

enum class Mistake { kNone, kRead, kOverwrite, kUnbegun, kUnpublished, kWriteSum, kWriteLeft, kRunning, kUnwaited };

// c [64, 64] = a · bᵀ, plus the sum of the first 16 rows of b in each row; for a and b of [64, 64].
__global__ void warpgroup_kernel(const BFloat16* a, const BFloat16* b, Mistake mistake, float* c) {
  using namespace hadal::cuda;
  extern __shared__ uint4 room[];
  const uint32_t left = (static_cast<uint32_t>(__cvta_generic_to_shared(room)) + 1023) & ~1023u, right = left + 8192;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const auto copy = [&](uint32_t tile, const BFloat16* x) {
    for (int at = thread; at < 512; at += 128)
      copy_async(tile + at / 8 * 128 + (at ^ at / 8) % 8 * 16, x + at * 8, true);
    copies_commit();
    copies_wait();
  };
  const auto describe = [](uint32_t address) {
    return uint64_t{address >> 4} | uint64_t{1} << 16 | uint64_t{64} << 32 | uint64_t{1} << 62;
  };
  float sum[8][4];
  const auto write = [&] {
    for (int i = 0; i < 32; ++i) {
      c[(thread / 32 * 16 + lane / 4 + i % 4 / 2 * 8) * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = sum[i / 4][i % 4];
    }
  };
  copy(left, a);
  copy(right, b);
  if (mistake != Mistake::kUnpublished) publish_copies();
  __syncthreads();
  uint32_t ones[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
  if (mistake != Mistake::kUnbegun) warpgroup_begin();
  for (uint32_t k = 0; k < 4; ++k) {
    warpgroup_multiply_transposed<BFloat16, 64>(sum, describe(left + 32 * k), describe(right + 32 * k), k > 0);
  }
  warpgroup_multiply<BFloat16, 64>(sum, ones, describe(right));
  warpgroup_commit();
  if (mistake == Mistake::kWriteLeft) ones[0] = 0;
  if (mistake == Mistake::kWriteSum) sum[0][0] = 0;
  if (mistake == Mistake::kRunning) warpgroup_wait<1>(sum);
  if (mistake == Mistake::kUnwaited) return;
  if (mistake == Mistake::kRead) write();
  if (mistake == Mistake::kOverwrite) {
    __syncthreads();
    copy(right, a);
  }
  warpgroup_wait<0>(sum);
  if (mistake != Mistake::kRead) write();
}

// Of the elements of c, how many are right, and how many are no numbers.
std::tuple<int, int> multiply_warpgroup(Mistake mistake) {
  auto *a = device_array<BFloat16>(4096), *b = device_array<BFloat16>(4096);
  auto* c = device_array<float>(4096);
  for (int i = 0; i < 4096; ++i) {
    a[i] = BFloat16(static_cast<float>(i * 7 % 23) - 11);
    b[i] = BFloat16(static_cast<float>(i * 5 % 19) - 9);
  }
  launch(warpgroup_kernel, 1, 128, 2 * 8192 + 1024, a, b, mistake, c);
  int right = 0, nans = 0;
  for (int i = 0; i < 4096; ++i) {
    float sum = 0;
    for (int k = 0; k < 64; ++k) sum += float(a[i / 64 * 64 + k]) * float(b[i % 64 * 64 + k]);
    for (int k = 0; k < 16; ++k) sum += float(b[k * 64 + i % 64]);
    right += c[i] == sum;
    nans += std::isnan(c[i]);
  }
  return {right, nans};
}
void test_warpgroup_product() {
  expect(multiply_warpgroup(Mistake::kNone) == std::tuple(4096, 0), "a product of a warpgroup");
}

// y = x [16, 16], by way of fragments.
__global__ void matrices_kernel(const uint16_t* x, uint16_t* y) {
  using namespace hadal::cuda;
  extern __shared__ uint4 room[];
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(room)), to = from + 512;
  const uint32_t place = threadIdx.x % 16 * 32 + threadIdx.x / 16 * 16;
  copy_async(from + place, x + place / 2, true);
  copies_commit();
  copies_wait();
  __syncwarp();
  uint32_t rows[4];
  load_matrices(rows, from + place);
  store_matrices(to + place, rows);
  __syncwarp();
  for (uint32_t i = threadIdx.x; i < 128; i += 32) {
    std::memcpy(y + 2 * i, static_cast<const std::byte*>(::emulator::shared_memory(to + 4 * i, 4, 4)), 4);
  }
}
void test_matrices() {
  auto *x = device_array<uint16_t>(256), *y = device_array<uint16_t>(256);
  for (uint16_t i = 0; i < 256; ++i) x[i] = i;
  launch(matrices_kernel, 1, 32, 1024, x, y);
  for (uint16_t i = 0; i < 256; ++i) expect(y[i] == i, "matrices that were loaded and stored");
}

enum class Hand { kNone, kUnpublished, kEarly, kLonely };

// A warp hands numbers over to another, which adds them to y, block by block.
__global__ void handing_kernel(Hand mistake, unsigned* counter, float* y) {
  using namespace hadal::cuda;
  extern __shared__ uint4 room[];
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(room));
  __shared__ unsigned ticket;
  if (threadIdx.x == 0) ticket = atomicAdd(counter + 1, 1u);
  __syncthreads();
  const unsigned turn = ticket;
  if (threadIdx.x < 32) {
    const float four[4] = {1, 2, 3, 4};
    store_shared(from + threadIdx.x * 16, four);
    if (mistake != Hand::kUnpublished) publish_copies();
    barrier_arrive(1, 64);
  } else if (mistake != Hand::kLonely) {
    barrier_sync(1, 64);
    if (threadIdx.x == 32) {
      wait_for_turn(counter, turn + (mistake == Hand::kEarly ? 1 : 0));
      if (turn == 0) store_bulk(y, from, 512);
      else add_bulk(y, from, 512);
      pass_turn(counter, turn + 1);
    }
  }
}
void hand_over(Hand mistake) {
  auto* counter = device_array<unsigned>(2);
  auto* y = device_array<float>(128);
  counter[0] = counter[1] = 0;
  launch(handing_kernel, 5, 64, 512, mistake, counter, y);
  for (int i = 0; i < 128; ++i) expect(y[i] == 5.f * static_cast<float>(i % 4 + 1), "sums that blocks add to in turn");
}

void test_rounding() {
  for (uint32_t i = 0; i < 200000; ++i) {
    const float x = __uint_as_float(i * 2654435761u);
    if (x != x) continue;
    expect(hadal::cuda::pack_pair<BFloat16>(x, 1) == (BFloat16(x).bits | 0x3f800000u), "rounding to bfloat16");
    expect(hadal::cuda::pack_pair<Float16>(x, 1) == (Float16(x).bits | 0x3c000000u), "rounding to float16");
  }
}

// --- What is found ---------------------------------------------------------------------------------------------------------

enum class Race { kNone, kUnwritten, kShuffle, kOverwrite, kAtomic, kBlocks, kCopy };

// A block reverses numbers by way of shared memory, twice, and counts. With a mistake something does not wait for something else.
__global__ void reversing_kernel(Race mistake, const float* x, float* y, unsigned* count) {
  using namespace hadal::cuda;
  extern __shared__ uint4 room[];
  auto* const all = reinterpret_cast<float*>(room);
  const unsigned thread = threadIdx.x, other = mistake == Race::kShuffle ? thread ^ 31 : 63 - thread;
  all[thread] = x[thread];
  if (mistake == Race::kShuffle) __shfl_xor_sync(0xffffffffu, thread, 31);
  else if (mistake != Race::kUnwritten) __syncthreads();
  const float turned = all[other];
  if (mistake != Race::kOverwrite) __syncthreads();
  all[thread] = turned;
  __syncthreads();
  if (thread < 16) {
    copy_async(static_cast<uint32_t>(__cvta_generic_to_shared(room)) + thread * 16, x + thread * 4, true);
    copies_commit();
    if (mistake != Race::kCopy) copies_wait();
  }
  __syncthreads();
  y[(mistake == Race::kBlocks ? 0 : blockIdx.x * 64) + thread] = all[63 - thread];
  copies_wait();
  if (mistake == Race::kAtomic && thread == 3) *count = 0;
  atomicAdd(count, 1u);
}
void reverse(Race mistake) {
  auto *x = device_array<float>(64), *y = device_array<float>(128);
  auto* count = device_array<unsigned>(1);
  for (int i = 0; i < 64; ++i) x[i] = static_cast<float>(i);
  *count = 0;
  launch(reversing_kernel, 2, 64, 256, mistake, x, y, count);
  for (int i = 0; i < 128; ++i) expect(y[i] == static_cast<float>(63 - i % 64), "numbers that were reversed");
  expect(*count == 128, "threads that were counted");
}

void find_missing_wait() {
  expect(multiply_warpgroup(Mistake::kRead) == std::tuple(0, 4096), "a sum is read before its product is waited for");
}

__global__ void divergent_kernel() {
  if (threadIdx.x < 32) __shfl_xor_sync(0xffffffffu, 1, threadIdx.x < 16 ? 1 : 2);
  if (threadIdx.x % 32 < 16) __syncthreads();
  else __syncwarp();
}
__global__ void outside_kernel() { hadal::cuda::load_shared<float2>(0x1010 + 64); }

}  // namespace

int main(int, char** arguments) {
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  const std::string what = arguments[1];
  if (what == "sound") {
    test_sums();
    test_votes();
    test_product<BFloat16>();
    test_product<Float16>();
    test_rounding();
    test_warpgroup_product();
    test_matrices();
    hand_over(Hand::kNone);
    reverse(Race::kNone);
    find_missing_wait();
  }
  if (what == "divergent") launch(divergent_kernel, 1, 64, 0);
  if (what == "outside") launch(outside_kernel, 1, 32, 64);
  if (what == "unbegun") multiply_warpgroup(Mistake::kUnbegun);
  if (what == "unpublished") multiply_warpgroup(Mistake::kUnpublished);
  if (what == "written sum") multiply_warpgroup(Mistake::kWriteSum);
  if (what == "written left") multiply_warpgroup(Mistake::kWriteLeft);
  if (what == "running") multiply_warpgroup(Mistake::kRunning);
  if (what == "overwritten factor") multiply_warpgroup(Mistake::kOverwrite);
  if (what == "unwaited") multiply_warpgroup(Mistake::kUnwaited);
  if (what == "unpublished numbers") hand_over(Hand::kUnpublished);
  if (what == "early turn") hand_over(Hand::kEarly);
  if (what == "unwritten") reverse(Race::kUnwritten);
  if (what == "shuffle") reverse(Race::kShuffle);
  if (what == "overwritten") reverse(Race::kOverwrite);
  if (what == "atomic") reverse(Race::kAtomic);
  if (what == "blocks") reverse(Race::kBlocks);
  if (what == "copy") reverse(Race::kCopy);
  if (what == "lonely") hand_over(Hand::kLonely);
  std::printf("%d checks\n", checks);
  std::fflush(stdout);
  std::_Exit(0);
}
