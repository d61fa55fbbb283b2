// Products with matrices of whole numbers of few bits, whose layout kernels/quantized.h has, and these from floats and back. A warp reads a row of codes once for up
// to four rows of x and makes floats of them in registers; sums in float. Writes `=`.
#include "cuda/device/element.cuh"
#include "cuda/device/reduce.cuh"
#include "cuda/registry.h"
#include "kernels/quantized.h"

namespace hadal::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kMostRows = 4;
constexpr int kBytes = 16;  // that a lane reads at once

template <class T, class Code>
struct QuantizedProduct {
  const T* x;
  const Code* codes;
  const T* scales;
  const T* bias;  // or null
  T* y;
  int64_t m, n, k, group;
};

// y[r, j] for the rows r from kRows · blockIdx.y on, a warp for each column j.
template <class T, class Code, int kRows>
__global__ void __launch_bounds__(kBlock) quantized_product(QuantizedProduct<T, Code> args) {
  constexpr int kPerByte = kCodesPerByte<Code>, kCodes = kBytes * kPerByte, kPack = kPackSize<T>;
  const int64_t j = static_cast<int64_t>(blockIdx.x) * (kBlock / kWarp) + threadIdx.x / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (j >= args.n) return;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kRows;
  const int64_t groups = args.k / args.group;
  float totals[kRows] = {};
  for (int64_t p = int64_t{lane} * kCodes; p < args.k; p += kWarp * kCodes) {
    const auto bytes = load_pack<kBytes>(args.codes + (j * args.k + p) / kPerByte);
    const float scale = load_element(args.scales[j * groups + p / args.group]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const T* const from = args.x + min(first + r, args.m - 1) * args.k + p;
      float sum = 0;
#pragma unroll
      for (int c = 0; c < kCodes; c += kPack) {
        const auto values = load_pack<kPack>(from + c);
#pragma unroll
        for (int i = 0; i < kPack; ++i) {
          const int byte = (c + i) % kBytes;
          const int half = (c + i) / kBytes * 4;
          const int code = kPerByte == 1 ? static_cast<int>(bytes.at[byte]) : (bytes.at[byte] >> half & 15) - 8;
          sum += static_cast<float>(code) * values.number(i);
        }
      }
      totals[r] += scale * sum;
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float total = warp_reduce(totals[r], Plus());
    if (lane != 0 || first + r >= args.m) continue;
    args.y[(first + r) * args.n + j] =
        to_element<T>(total + (args.bias == nullptr ? 0.0f : load_element(args.bias[j])));
  }
}

template <class T, class Code>
void multiply(CudaContext& ctx, const Command& cmd) {
  const TensorView &x = cmd.input(0), &codes = cmd.input(1), &scales = cmd.input(2), &bias = cmd.input(3);
  const TensorView& y = cmd.output(0);
  const QuantizedProduct<T, Code> args{x.as<const T>(),
                                       codes.as<const Code>(),
                                       scales.as<const T>(),
                                       bias.present() ? bias.as<const T>() : nullptr,
                                       y.as<T>(),
                                       y.shape[0],
                                       y.shape[1],
                                       x.shape[1],
                                       x.shape[1] / scales.shape[1]};
  if (y.numel() == 0) return;
  if (!is_aligned<T>(args.x, kPackSize<T>) || !is_aligned<Code>(args.codes, kBytes)) {
    throw Error(ErrorCode::kShape, "quantizedMatmul: needs x and codes at multiples of 16 bytes");
  }
  const auto launch = [&]<int kRows>(std::integral_constant<int, kRows>) {
    const dim3 grid(blocks_for(args.n, kBlock / kWarp), static_cast<unsigned>((args.m + kRows - 1) / kRows));
    ctx.launch(cmd, quantized_product<T, Code, kRows>, grid, kBlock, 0, args);
  };
  if (args.m == 1) launch(std::integral_constant<int, 1>());
  else launch(std::integral_constant<int, kMostRows>());
}

// A thread for each group.
template <class T, class Code>
__global__ void __launch_bounds__(kBlock)
    make_codes(const T* w, int64_t groups, int64_t group, Code* codes, T* scales) {
  const int64_t g = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (g < groups) quantize_group(w + g * group, group, codes + g * group / kCodesPerByte<Code>, scales + g);
}

// A thread for each weight.
template <class T, class Code>
__global__ void __launch_bounds__(kBlock)
    make_weights(const Code* codes, const T* scales, int64_t count, int64_t group, T* w) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  int code;
  if constexpr (kCodesPerByte<Code> == 1) {
    code = codes[i];
  } else {
    const int place = static_cast<int>(i % kCodeBlock);
    code = (codes[(i - place) / 2 + place % kBytes] >> (place / kBytes * 4) & 15) - 8;
  }
  w[i] = to_element<T>(static_cast<Compute<T>>(code) * load_element(scales[i / group]));
}

HADAL_CUDA_KERNEL(quantizedMatmul) {
  visit_codes(cmd.input(1).dtype, [&]<class Code>() {
    visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class T>() {
      if constexpr (!std::is_same_v<T, double>) multiply<T, Code>(ctx, cmd);
    });
  });
}

HADAL_CUDA_KERNEL(quantize) {
  const TensorView &w = cmd.input(0), &codes = cmd.output(0), &scales = cmd.output(1);
  const int64_t groups = scales.numel();
  if (groups == 0) return;
  visit_codes(codes.dtype, [&]<class Code>() {
    visit_floating(cmd.name(), w.dtype, [&]<class T>() {
      ctx.launch(cmd, make_codes<T, Code>, blocks_for(groups, kBlock), kBlock, 0, w.as<const T>(), groups,
                 w.numel() / groups, codes.as<Code>(), scales.as<T>());
    });
  });
}

HADAL_CUDA_KERNEL(dequantize) {
  const TensorView &codes = cmd.input(0), &scales = cmd.input(1), &w = cmd.output(0);
  const int64_t count = w.numel();
  if (count == 0) return;
  visit_codes(codes.dtype, [&]<class Code>() {
    visit_floating(cmd.name(), w.dtype, [&]<class T>() {
      ctx.launch(cmd, make_weights<T, Code>, blocks_for(count, kBlock), kBlock, 0, codes.as<const Code>(),
                 scales.as<const T>(), count, count / scales.numel(), w.as<T>());
    });
  });
}

}  // namespace
}  // namespace hadal::cuda
