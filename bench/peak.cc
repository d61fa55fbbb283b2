// The peaks of this machine on as many threads as asked: multiply-adds on registers in float32 and bfloat16, and bytes read and
// written in memory. Prints {"f32": GFLOP/s, "bf16": GFLOP/s or null, "memory": GB/s}.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
typedef float Vec __attribute__((vector_size(kBytes)));
constexpr int kLanes = kBytes / 4;
// Two FMA units of latency 4 need 8 chains; 16 leave no doubt.
constexpr int kChains = 16;

static double spin_f32(long rounds) {
  Vec chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = Vec{} + static_cast<float>(i);
  const Vec factor = Vec{} + 0.999999f, term = Vec{} + 1e-6f;
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + term;
  }
  float sum = 0;
  for (const Vec& chain : chains) sum += chain[0];
  volatile float sink = sum;
  (void)sink;
  return 2.0 * kLanes * kChains * rounds;
}

#if defined(__AMX_BF16__)
static double spin_bf16(long rounds) {
  constexpr int kPermission = 0x1023, kTileData = 18;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
  if (syscall(SYS_arch_prctl, kPermission, kTileData) != 0) return 0;
  alignas(64) uint8_t config[64] = {1};
  for (int tile = 0; tile < 8; ++tile) {
    config[48 + tile] = 16;
    config[16 + 2 * tile] = 64;
  }
  _tile_loadconfig(config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (long round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4.0 * 2 * 16 * 16 * 32 * rounds;
}
constexpr long kRounds16 = 8'000'000;
#elif defined(__AVX512BF16__)
static double spin_bf16(long rounds) {
  Vec chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = Vec{} + static_cast<float>(i);
  const Vec factor = Vec{} + 1e-6f;
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) {
      chains[i] = (Vec)_mm512_dpbf16_ps((__m512)chains[i], (__m512bh)factor, (__m512bh)factor);
    }
  }
  float sum = 0;
  for (const Vec& chain : chains) sum += chain[0];
  volatile float sink = sum;
  (void)sink;
  return 4.0 * kLanes * kChains * rounds;
}
constexpr long kRounds16 = 20'000'000;
#else
static double spin_bf16(long) { return 0; }
constexpr long kRounds16 = 0;
#endif

// y = 2x over buffers that no cache holds.
static double stream(long rounds) {
  constexpr size_t kCount = size_t{1} << 25;
  std::vector<float> x(kCount, 1.0f), y(kCount, 1.0f);
  const auto start = std::chrono::steady_clock::now();
  for (long round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < kCount; i += kLanes) {
      Vec v;
      std::memcpy(&v, &x[i], sizeof v);
      v = v + v;
#if defined(__AVX512F__)
      _mm512_storeu_ps(&y[i], (__m512)v);
#else
      std::memcpy(&y[i], &v, sizeof v);
#endif
    }
    asm volatile("" : : "r"(y.data()) : "memory");
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return 2.0 * sizeof(float) * kCount * rounds / seconds;
}

template <class F>
static double rate(int threads, F&& work) {
  std::vector<double> done(threads);
  std::vector<std::thread> workers;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < threads; ++i) workers.emplace_back([&, i] { done[i] = work(); });
  for (std::thread& worker : workers) worker.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double sum = 0;
  for (const double d : done) sum += d;
  return sum / seconds / 1e9;
}

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 1;
  spin_f32(4'000'000);  // to full clock speed
  const double f32 = rate(threads, [] { return spin_f32(40'000'000); });
  const double bf16 = rate(threads, [] { return spin_bf16(kRounds16); });
  std::vector<double> bytes(threads);
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back([&, i] { bytes[i] = stream(4); });
  double memory = 0;
  for (int i = 0; i < threads; ++i) {
    workers[i].join();
    memory += bytes[i] / 1e9;
  }
  std::printf("{\"f32\": %.1f, \"bf16\": ", f32);
  if (bf16 > 0) std::printf("%.1f", bf16);
  else std::printf("null");
  std::printf(", \"memory\": %.1f}\n", memory);
}
