// Sampling of volumes x [n, c, d, h, w] (images have d = 1) at the places of a grid [n, od, oh, ow, axes]: every output is a weighted sum over up
// to four elements along each axis, which kernels/grid_sample.h gives. The weights serve all channels, so they are made for a
// block of outputs at a time; then channel after channel goes through the block. 16-bit floats compute in float.
#include "kernels/grid_sample.h"

#include <algorithm>

#include "cpu/gemm_pack.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Outputs whose weights are made at a time: with 16 elements each they fill about 8 KiB in float.
constexpr int64_t kBlock = 64;
// Sums over elements worth a task of their own: some 30 µs.
constexpr int64_t kTaskElements = 1 << 14;
// Sums of a gradient that a task keeps at a time.
constexpr int64_t kGradientElements = 1 << 18;

constexpr int kMostTaps = 16;  // 4 along each of 2 axes, or 2 along each of 3

// The outputs of one image, counted row by row: those of a grid [n, od, oh, ow, axes].
struct Outputs {
  explicit Outputs(const TensorView& grid)
      : height(grid.shape[2]), width(grid.shape[3]), count(grid.shape[1] * height * width) {}
  int64_t height, width, count;
};

// Where the outputs are in a view with these strides along its axes of space.
class Places {
 public:
  Places(const Outputs& outputs, const int64_t* strides)
      : outputs_(outputs),
        strides_(strides),
        packed_(strides[1] == outputs.width * strides[2] && strides[0] == outputs.height * strides[1]) {}

  // f(i, offset) for the outputs first + i, i < count.
  template <class F>
  void each(int64_t first, int64_t count, F&& f) const {
    if (packed_) {
      const int64_t step = strides_[2];
      for (int64_t i = 0; i < count; ++i) f(i, (first + i) * step);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = (first + i) / outputs_.width, column = (first + i) % outputs_.width;
      f(i, row / outputs_.height * strides_[0] + row % outputs_.height * strides_[1] + column * strides_[2]);
    }
  }

 private:
  const Outputs& outputs_;
  const int64_t* strides_;
  bool packed_;
};

// What a block of coordinates weighs along one axis.
template <class T>
struct AxisBlock {
  int32_t place[4][kBlock];
  T factor[4][kBlock];
  T slope[4][kBlock];
};
template <class T>
using FillAxis = void (*)(const T* coordinates, int64_t count, int64_t size, bool align_corners, AxisBlock<T>& block);

template <class T, GridMode kMode, GridPadding kPadding>
void fill_axis(const T* coordinates, int64_t count, int64_t size, bool align_corners, AxisBlock<T>& block) {
  const GridAxis<T, kMode, kPadding> axis(size, align_corners);
  for (int64_t i = 0; i < count; ++i) {
    const GridTaps<T> taps = axis(coordinates[i]);
    for (int k = 0; k < grid_taps(kMode); ++k) {
      block.place[k][i] = taps.place[k];
      block.factor[k][i] = taps.factor[k];
      block.slope[k][i] = taps.slope[k];
    }
  }
}
template <class T, GridMode kMode>
FillAxis<T> fill_axis_of(GridPadding padding) {
  switch (padding) {
    case GridPadding::kZeros: return fill_axis<T, kMode, GridPadding::kZeros>;
    case GridPadding::kBorder: return fill_axis<T, kMode, GridPadding::kBorder>;
    case GridPadding::kReflection: break;
  }
  return fill_axis<T, kMode, GridPadding::kReflection>;
}
template <class T>
FillAxis<T> fill_axis_of(GridMode mode, GridPadding padding) {
  switch (mode) {
    case GridMode::kNearest: return fill_axis_of<T, GridMode::kNearest>(padding);
    case GridMode::kLinear: return fill_axis_of<T, GridMode::kLinear>(padding);
    case GridMode::kCubic: break;
  }
  return fill_axis_of<T, GridMode::kCubic>(padding);
}

// The elements that a block of outputs weighs: offsets in a plane of x, -1 for what counts as zero and past the last output.
template <class T>
struct Block {
  T coordinates[kBlock];
  AxisBlock<T> along[3];
  int32_t offset[kMostTaps][kBlock];
  T weight[kMostTaps][kBlock];
};
// The same with the derivative of each weight by the coordinates of its output.
template <class T>
struct SlopeBlock : Block<T> {
  T slope[3][kMostTaps][kBlock];
};

// to[i] = from[offset[i]], and 0 where the offset is -1, for a whole block. GCC leaves gathering loops scalar unless told otherwise.
template <class E, class T>
void gather_block(const E* from, const int32_t* offset, T* to) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<E, float>) {
    for (int64_t i = 0; i < kBlock; i += 16) {
      const __m512i at = _mm512_loadu_si512(offset + i);
      const __mmask16 inside = _mm512_cmpge_epi32_mask(at, _mm512_setzero_si512());
      _mm512_storeu_ps(to + i, _mm512_mask_i32gather_ps(_mm512_setzero_ps(), inside, at, from, 4));
    }
    return;
  } else if constexpr (std::is_same_v<E, double>) {
    for (int64_t i = 0; i < kBlock; i += 8) {
      const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offset + i));
      const __mmask8 inside = _mm512_cmpge_epi64_mask(_mm512_cvtepi32_epi64(at), _mm512_setzero_si512());
      _mm512_storeu_pd(to + i, _mm512_mask_i32gather_pd(_mm512_setzero_pd(), inside, at, from, 8));
    }
    return;
  }
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<E, float>) {
    for (int64_t i = 0; i < kBlock; i += 8) {
      const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offset + i));
      const __m256 inside = _mm256_castsi256_ps(_mm256_cmpgt_epi32(at, _mm256_set1_epi32(-1)));
      _mm256_storeu_ps(to + i, _mm256_mask_i32gather_ps(_mm256_setzero_ps(), from, at, inside, 4));
    }
    return;
  }
#endif
  for (int64_t i = 0; i < kBlock; ++i) to[i] = offset[i] < 0 ? T(0) : static_cast<T>(from[offset[i]]);
}

template <class E>
class Sampler {
 public:
  using T = Compute<E>;

  // `x` gives the sizes.
  Sampler(const Command& cmd, const TensorView& x, const TensorView& grid)
      : x_(x),
        grid_(grid),
        outputs_(grid),
        places_(outputs_, grid.strides + 1),
        axes_(static_cast<int>(grid.shape[4])),
        mode_(static_cast<GridMode>(cmd.integer(0))),
        align_corners_(cmd.flag(2)),
        fill_axis_(fill_axis_of<T>(mode_, static_cast<GridPadding>(cmd.integer(1)))) {}

  const Outputs& outputs() const { return outputs_; }
  int taps() const {
    const int each = grid_taps(mode_);
    return axes_ == 2 ? each * each : each * each * each;
  }

  // Outputs [begin, begin + count) of image n. `strides` are those of an image of x.
  template <class B>
  void fill(int64_t n, int64_t begin, int64_t count, const int64_t* strides, B& block) const {
    for (int axis = 0; axis < axes_; ++axis) {
      const E* from = grid_.as<E>() + n * grid_.strides[0] + axis * grid_.strides[4];
      places_.each(begin, count, [&](int64_t i, int64_t at) { block.coordinates[i] = static_cast<T>(from[at]); });
      fill_axis_(block.coordinates, count, x_.shape[4 - axis], align_corners_, block.along[axis]);
    }
    const auto row = static_cast<int32_t>(strides[1]), column = static_cast<int32_t>(strides[2]);
    const int each = grid_taps(mode_), depths = axes_ == 2 ? 1 : each;
    const auto& [ax, ay, az] = block.along;
    int tap = 0;
    for (int c = 0; c < depths; ++c) {
      for (int b = 0; b < each; ++b) {
        for (int a = 0; a < each; ++a, ++tap) {
          std::fill(block.offset[tap] + count, block.offset[tap] + kBlock, -1);
          for (int64_t i = 0; i < count; ++i) {
            const int32_t x = ax.place[a][i], y = ay.place[b][i];
            const bool outside = (x | y) < 0;
            block.offset[tap][i] = outside ? -1 : y * row + x * column;
            block.weight[tap][i] = outside ? T(0) : ax.factor[a][i] * ay.factor[b][i];
          }
          if constexpr (requires { block.slope; }) {
            for (int64_t i = 0; i < count; ++i) {
              block.slope[0][tap][i] = ax.slope[a][i] * ay.factor[b][i];
              block.slope[1][tap][i] = ax.factor[a][i] * ay.slope[b][i];
            }
          }
          if (axes_ == 2) continue;
          const auto slice = static_cast<int32_t>(strides[0]);
          if constexpr (requires { block.slope; }) {
            for (int64_t i = 0; i < count; ++i) {
              block.slope[0][tap][i] *= az.factor[c][i];
              block.slope[1][tap][i] *= az.factor[c][i];
              block.slope[2][tap][i] = block.weight[tap][i] * az.slope[c][i];
            }
          }
          for (int64_t i = 0; i < count; ++i) {
            const int32_t in_slice = block.offset[tap][i], z = az.place[c][i];
            const bool outside = (in_slice | z) < 0;
            block.offset[tap][i] = outside ? -1 : z * slice + in_slice;
            block.weight[tap][i] = outside ? T(0) : block.weight[tap][i] * az.factor[c][i];
          }
        }
      }
    }
  }

 private:
  const TensorView& x_;
  const TensorView& grid_;
  Outputs outputs_;
  Places places_;
  int axes_;
  GridMode mode_;
  bool align_corners_;
  FillAxis<T> fill_axis_;
};

// y = Σ weights · x. Writes =.
template <class E>
void grid_sample(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  const TensorView &x = cmd.input(0), &y = cmd.output(0);
  const Sampler<E> sampler(cmd, x, cmd.input(1));
  const Outputs& outputs = sampler.outputs();
  const Places places(outputs, y.strides + 2);
  const int taps = sampler.taps();
  const int64_t channels = x.shape[1], blocks = ceil_div(outputs.count, kBlock);
  const int64_t grain = kTaskElements / (kBlock * taps * (channels + 4));
  ctx.parallel_ranges(x.shape[0] * blocks, grain, [&](int64_t begin, int64_t end) {
    auto& block = *ctx.thread_scratch<Block<T>>(1);
    T sums[kBlock], values[kBlock];
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t n = unit / blocks, first = unit % blocks * kBlock;
      const int64_t count = std::min(kBlock, outputs.count - first);
      sampler.fill(n, first, count, x.strides + 2, block);
      for (int64_t c = 0; c < channels; ++c) {
        const E* from = x.as<E>() + n * x.strides[0] + c * x.strides[1];
        std::fill_n(sums, count, T(0));
        for (int tap = 0; tap < taps; ++tap) {
          const T* weight = block.weight[tap];
          gather_block(from, block.offset[tap], values);
          for (int64_t i = 0; i < count; ++i) sums[i] += weight[i] * values[i];
        }
        E* to = y.as<E>() + n * y.strides[0] + c * y.strides[1];
        places.each(first, count, [&](int64_t i, int64_t at) { to[at] = static_cast<E>(sums[i]); });
      }
    }
  });
}

// gx = Σ over the outputs that weigh an element of weight · g, in the order of the outputs. Writes =.
template <class E>
void grid_sample_input_grad(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  const TensorView &g = cmd.input(0), &gx = cmd.output(0);
  const Sampler<E> sampler(cmd, gx, cmd.input(1));
  const Outputs& outputs = sampler.outputs();
  const Places places(outputs, g.strides + 2);
  const int taps = sampler.taps();
  const int64_t channels = gx.shape[1], size = gx.shape[2] * gx.shape[3] * gx.shape[4];
  const int64_t strides[3] = {gx.shape[3] * gx.shape[4], gx.shape[4], 1};
  const int64_t group = std::clamp<int64_t>(kGradientElements / size, 1, channels);
  const int64_t groups = ceil_div(channels, group);
  const int64_t work = group * (outputs.count * taps + size);
  ctx.parallel_ranges(gx.shape[0] * groups, kTaskElements / work, [&](int64_t begin, int64_t end) {
    const int64_t room = ceil_div(group * size * static_cast<int64_t>(sizeof(T)), 64) * 64;
    auto* bytes = ctx.thread_scratch<std::byte>(room + static_cast<int64_t>(sizeof(Block<T>)));
    T* sums = reinterpret_cast<T*>(bytes);
    auto& block = *reinterpret_cast<Block<T>*>(bytes + room);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t n = unit / groups, channel = unit % groups * group, many = std::min(group, channels - channel);
      std::fill_n(sums, many * size, T(0));
      for (int64_t first = 0; first < outputs.count; first += kBlock) {
        const int64_t count = std::min(kBlock, outputs.count - first);
        sampler.fill(n, first, count, strides, block);
        for (int64_t c = 0; c < many; ++c) {
          const E* from = g.as<E>() + n * g.strides[0] + (channel + c) * g.strides[1];
          T* to = sums + c * size;
          places.each(first, count, [&](int64_t i, int64_t at) {
            const T value = static_cast<T>(from[at]);
            for (int tap = 0; tap < taps; ++tap) {
              if (block.offset[tap][i] >= 0) to[block.offset[tap][i]] += block.weight[tap][i] * value;
            }
          });
        }
      }
      for (int64_t c = 0; c < many; ++c) {
        E* to = gx.as<E>() + n * gx.strides[0] + (channel + c) * gx.strides[1];
        const T* from = sums + c * size;
        for (int64_t d = 0; d < gx.shape[2]; ++d) {
          for (int64_t h = 0; h < gx.shape[3]; ++h) {
            E* row = to + d * gx.strides[2] + h * gx.strides[3];
            for (int64_t w = 0; w < gx.shape[4]; ++w) row[w * gx.strides[4]] = static_cast<E>(*from++);
          }
        }
      }
    }
  });
}

// ggrid = Σ over the channels of g · the slope of x there. Writes =.
template <class E>
void grid_sample_grid_grad(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  const TensorView &g = cmd.input(0), &x = cmd.input(1), &ggrid = cmd.output(0);
  const Sampler<E> sampler(cmd, x, cmd.input(2));
  const Outputs& outputs = sampler.outputs();
  const Places places(outputs, g.strides + 2);
  const int taps = sampler.taps(), axes = static_cast<int>(ggrid.shape[4]);
  const int64_t channels = x.shape[1], blocks = ceil_div(outputs.count, kBlock);
  const int64_t grain = kTaskElements / (kBlock * taps * (channels + 4));
  ctx.parallel_ranges(x.shape[0] * blocks, grain, [&](int64_t begin, int64_t end) {
    auto& block = *ctx.thread_scratch<SlopeBlock<T>>(1);
    T sums[3][kBlock], weights[kBlock], values[kBlock];
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t n = unit / blocks, first = unit % blocks * kBlock;
      const int64_t count = std::min(kBlock, outputs.count - first);
      sampler.fill(n, first, count, x.strides + 2, block);
      for (int axis = 0; axis < axes; ++axis) std::fill_n(sums[axis], count, T(0));
      for (int64_t c = 0; c < channels; ++c) {
        const E* from = x.as<E>() + n * x.strides[0] + c * x.strides[1];
        const E* gradient = g.as<E>() + n * g.strides[0] + c * g.strides[1];
        places.each(first, count, [&](int64_t i, int64_t at) { weights[i] = static_cast<T>(gradient[at]); });
        for (int tap = 0; tap < taps; ++tap) {
          const int32_t* offset = block.offset[tap];
          gather_block(from, offset, values);
          for (int64_t i = 0; i < count; ++i) values[i] *= weights[i];
          for (int axis = 0; axis < axes; ++axis) {
            const T* slope = block.slope[axis][tap];
            for (int64_t i = 0; i < count; ++i) sums[axis][i] += offset[i] < 0 ? T(0) : slope[i] * values[i];
          }
        }
      }
      E* to = ggrid.as<E>() + n * ggrid.strides[0];
      Places(outputs, ggrid.strides + 1).each(first, count, [&](int64_t i, int64_t at) {
        for (int axis = 0; axis < axes; ++axis) to[at + axis * ggrid.strides[4]] = static_cast<E>(sums[axis][i]);
      });
    }
  });
}

}  // namespace

HADAL_CPU_KERNEL(gridSample) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() { grid_sample<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(gridSampleInputGrad) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() { grid_sample_input_grad<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(gridSampleGridGrad) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() { grid_sample_grid_grad<E>(ctx, cmd); });
}

}  // namespace hadal::cpu
