// The FMA peak of this machine: independent multiply-adds on registers, on as many threads as asked. Prints GFLOP/s in float32.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

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

static float spin(long rounds) {
  Vec chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = Vec{} + static_cast<float>(i);
  const Vec factor = Vec{} + 0.999999f, term = Vec{} + 1e-6f;
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + term;
  }
  float sum = 0;
  for (const Vec& chain : chains) sum += chain[0];
  return sum;
}

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 1;
  constexpr long kRounds = 40'000'000;
  volatile float sink = spin(kRounds / 10);  // to full clock speed
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back([&] { sink = spin(kRounds); });
  for (std::thread& worker : workers) worker.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%.1f\n", 2.0 * kLanes * kChains * kRounds * threads / seconds / 1e9);
}
