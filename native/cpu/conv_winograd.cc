// See conv_winograd.h. F(4 × 4, 3 × 3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): a tile of 4 × 4 pixels of the
// output depends on 6 × 6 of the image. Both that and the kernel are polynomials, evaluated at 6 × 6 points; a product per point,
// summed over channels, and interpolation give the tile with 36 multiply-adds instead of 144. From the same 6 × 6 points a kernel of 5 × 5 gives
// 2 × 2 pixels, with 36 instead of 100. Taps in depth are sums like those over channels: each has a slice of the image of its own.
//
// The points are 0, ±3/4, ±3/2 and ∞. With the usual 0, ±1, ±2, ∞ rounding errors are four times as large; with these the largest is 0.8
// to 3.9 times that of a sum tap by tap.
//
// Lanes are channels. The image's tiles at a point are rows of a matrix [tiles][channels], its product with the weights at that point is
// [tiles][output channels]. With AMX they are of floats in parts (gemm_split.h), which the transforms write.
#include "cpu/conv_winograd.h"

#include <atomic>

#include "cpu/gemm_split.h"

namespace hadal::cpu {
namespace {

constexpr int64_t kIn = 6, kPoints = kIn * kIn;
constexpr int kLane = kLanes<float>;
constexpr float kA = 0.75f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;

// Weights at the points that stay in an L2 cache beside the tiles; larger ones pass by once, for all tiles.
constexpr int64_t kStayingBytes = 1 << 20;
// Tiles from which output channels are cut into blocks whose weights stay: enough that each block keeps many threads busy.
constexpr int64_t kLeastBlockTiles = 512;
// Tiles of a task, image's and output's.
constexpr int64_t kBlockBytes = 768 << 10;
// Tiles at a time where the weights pass by.
constexpr int64_t kChunkBytes = 24 << 20;
// Sums that shares of the tiles make of a gradient of weights, each its own.
constexpr int64_t kSharesBytes = 6 << 20;
// Depth of a block of a product, as in gemm.cc.
constexpr int64_t kDepth = 192;
// Channels, in and out, and tiles from which products are of parts (kFloatParts): with fewer, splitting costs more than it saves.
constexpr int64_t kLeastSplitChannels = 64;
constexpr int64_t kLeastSplitTiles = 192;
// What the transform of an image can enlarge or reduce its pixels by, as a power of two.
constexpr int kMargin = 8;

using V = Vec<float>;

[[gnu::always_inline]] inline void image_points(const V (&x)[kIn], V (&y)[kIn]) {
  const V even_a = x[4] - kB2 * x[2], odd_a = x[3] - kB2 * x[1];
  const V even_b = x[4] - kA2 * x[2], odd_b = x[3] - kA2 * x[1];
  y[0] = kA2 * kB2 * x[0] + (x[4] - (kA2 + kB2) * x[2]);
  y[1] = even_a + kA * odd_a;
  y[2] = even_a - kA * odd_a;
  y[3] = even_b + kB * odd_b;
  y[4] = even_b - kB * odd_b;
  y[5] = kA2 * kB2 * x[1] + (x[5] - (kA2 + kB2) * x[3]);
}

constexpr float kZero = 1 / (kA2 * kB2), kNearA = 1 / (2 * kA2 * (kA2 - kB2)), kNearB = 1 / (2 * kB2 * (kB2 - kA2));

template <int64_t kTaps>
[[gnu::always_inline]] inline void kernel_points(const V (&w)[kTaps], V (&y)[kIn]) {
  V even_a = kNearA * w[0] + kNearA * kA2 * w[2], odd_a = kNearA * kA * w[1];
  V even_b = kNearB * w[0] + kNearB * kB2 * w[2], odd_b = kNearB * kB * w[1];
  if constexpr (kTaps == 5) {
    even_a += kNearA * kA2 * kA2 * w[4];
    even_b += kNearB * kB2 * kB2 * w[4];
    odd_a += kNearA * kA2 * kA * w[3];
    odd_b += kNearB * kB2 * kB * w[3];
  }
  y[0] = kZero * w[0];
  y[1] = even_a + odd_a;
  y[2] = even_a - odd_a;
  y[3] = even_b + odd_b;
  y[4] = even_b - odd_b;
  y[5] = w[kTaps - 1];
}

template <int64_t kOut>
[[gnu::always_inline]] inline void interpolate(const V (&m)[kIn], V (&y)[kOut]) {
  const V even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
  y[0] = m[0] + even_a + even_b;
  if constexpr (kOut == 2) {
    y[1] = kA * odd_a + (kB * odd_b + m[5]);
  } else {
    y[1] = kA * odd_a + kB * odd_b;
    y[2] = kA2 * even_a + kB2 * even_b;
    y[3] = kA2 * kA * odd_a + (kB2 * kB * odd_b + m[5]);
  }
}

// The transposes of interpolate() and kernel_points() for kernels of three taps. (Those for five would sum a gradient of weights from a fourth of the pixels to a
// tile, with two to five times the rounding errors.)
[[gnu::always_inline]] inline void gradient_points(const V (&g)[4], V (&y)[kIn]) {
  const V even_a = g[0] + kA2 * g[2], odd_a = g[1] + kA2 * g[3], even_b = g[0] + kB2 * g[2], odd_b = g[1] + kB2 * g[3];
  y[0] = g[0];
  y[1] = even_a + kA * odd_a;
  y[2] = even_a - kA * odd_a;
  y[3] = even_b + kB * odd_b;
  y[4] = even_b - kB * odd_b;
  y[5] = g[3];
}

[[gnu::always_inline]] inline void kernel_sums(const V (&y)[kIn], V (&w)[3]) {
  const V even_a = kNearA * (y[1] + y[2]), odd_a = kNearA * kA * (y[1] - y[2]);
  const V even_b = kNearB * (y[3] + y[4]), odd_b = kNearB * kB * (y[3] - y[4]);
  w[0] = kZero * y[0] + (even_a + even_b);
  w[1] = odd_a + odd_b;
  w[2] = kA2 * even_a + (kB2 * even_b + y[5]);
}

// Applies `transform`, from kFrom to kTo vectors, to the rows of a square that load(row, column) reads, then to its columns;
// store(row, column, vector) takes the result, from right to left.
template <int64_t kFrom, int64_t kTo, auto kTransform, class Load, class Store>
[[gnu::always_inline]] inline void transform_square(Load&& load, Store&& store) {
  V columns[kTo][kFrom];
  unroll<kFrom>([&](auto i) __attribute__((always_inline)) {
    V x[kFrom], y[kTo];
    unroll<kFrom>([&](auto j) __attribute__((always_inline)) { x[j] = load(i, j); });
    kTransform(x, y);
    unroll<kTo>([&](auto j) __attribute__((always_inline)) { columns[j][i] = y[j]; });
  });
  for (int64_t j = kTo - 1; j >= 0; --j) {
    V y[kTo];
    kTransform(columns[j], y);
    unroll<kTo>([&](auto i) __attribute__((always_inline)) { store(i, j, y[i]); });
  }
}

int64_t whole_lanes(int64_t channels) { return ceil_div(channels, kLane) * kLane; }

// Kernels of kTaps × kTaps.
template <class E, int64_t kTaps>
class Winograd {
  static constexpr int64_t kOut = kIn - kTaps + 1, kReach = kTaps - 1;

 public:
  explicit Winograd(const Pass<E>& pass) : pass_(pass), slices_(pass.taps_d.count()) {
    in_ = whole_lanes(pass.in);
    row_ = slices_ * in_;
    out_ = whole_lanes(pass.channels);
    const int64_t tiles_h = ceil_div(pass.rows, kOut), tiles_w = ceil_div(pass.columns, kOut);
    const bool pays = std::min(pass.in, pass.channels) >= kLeastSplitChannels &&
                      pass.planes() * tiles_h * tiles_w >= kLeastSplitTiles;
    if (kHasMasks && kTaps == 3 && slices_ == 1 && pays && has_amx()) parts_ = kFloatParts;
    // Bytes of a channel in: a float or its parts.
    const int64_t in_bytes = parts_ > 1 ? kFloatParts * 2 : 4;
    const int64_t tile_bytes = kPoints * (row_ * in_bytes + out_ * 4);
    stays_ = kPoints * row_ * out_ * in_bytes <= kStayingBytes;
    const int64_t tiles = std::max<int64_t>(8, kBlockBytes / tile_bytes);
    // Windows of 16 channels in the L1 cache.
    const int64_t wide = std::min<int64_t>(tiles_w, std::min<int64_t>(20, tiles));
    const int64_t piece = ceil_div(tiles_w, ceil_div(tiles_w, wide));
    const int64_t high = std::clamp<int64_t>(tiles / piece, 1, std::min<int64_t>(tiles_h, 4));
    const int64_t band = ceil_div(tiles_h, ceil_div(tiles_h, high));
    cut_ = Cut::of(pass, band * kOut, piece * kOut);
    unit_tiles_ = band * piece;
    const int64_t most = stays_ ? tiles : std::max(tiles, kChunkBytes / tile_bytes);
    share_ = std::clamp<int64_t>(most / unit_tiles_, 1, cut_.units);
    const int64_t shares = ceil_div(cut_.units, share_);
    share_ = ceil_div(cut_.units, shares);
    m_point_ = share_ * unit_tiles_ * out_ + kLane;
    window_size_ = (band * kOut + kReach) * (piece * kOut + kReach) * kLane + kPackSlack;
    lay_out(parts_);
  }

  void run(KernelContext& ctx, const Weights<E>& weights) {
    panels_ = pack_weights(ctx, pass_, weights);
    bias_ = gather_bias(ctx, pass_, out_);
    // Shares of images that the parts cannot hold, or all of them where the weights are such, wait for products of floats.
    std::vector<uint8_t> waits(static_cast<size_t>(ceil_div(cut_.units, share_)), 1);
    if (parts_ > 1) {
      if (split_kernel(ctx)) run_shares(ctx, waits);
      if (std::find(waits.begin(), waits.end(), 1) == waits.end()) return;
      lay_out(1);
    }
    transform_kernel(ctx);
    run_shares(ctx, waits);
  }

  // The gradient of the weights from pass.out, the output's: [tap][in][out_].
  float* run_gradient(KernelContext& ctx) {
    lay_out(1);
    const int64_t u_size = kPoints * u_point_;
    const int64_t chunks = ceil_div(cut_.units, share_);
    int64_t shares = 1;
    while (stays_ && 2 * shares <= std::min({kTasks, chunks, kSharesBytes / (u_size * int64_t{sizeof(float)})})) {
      shares *= 2;
    }
    float* u = ctx.scratch<float>(shares * u_size);
    const int64_t in_groups = in_ / kLane, out_groups = out_ / kLane;
    if (stays_) {
      ctx.parallel(shares, [&](int64_t share) {
        float* v = ctx.thread_scratch<float>(kPoints * (v_point_ + m_point_) + window_size_);
        float* m = v + kPoints * v_point_;
        float* window = m + kPoints * m_point_;
        const int64_t begin = chunks * share / shares, end = chunks * (share + 1) / shares;
        for (int64_t chunk = begin; chunk < end; ++chunk) {
          int64_t tiles = 0;
          for (int64_t index = chunk * share_; index < std::min(cut_.units, (chunk + 1) * share_); ++index) {
            const Unit unit = cut_.at(index);
            for (int64_t c = 0; c < in_; c += kLane) transform_image(unit, c, tiles, v, window);
            for (int64_t o = 0; o < out_; o += kLane) transform_gradient(unit, o, m + tiles * out_ + o, window);
            tiles += tiles_of(unit);
          }
          for (int64_t p = 0; p < kPoints; ++p) multiply_gradient(p, v, m, tiles, chunk > begin, u + share * u_size);
        }
      });
    } else {
      float* v = ctx.scratch<float>(kPoints * (v_point_ + m_point_));
      float* m = v + kPoints * v_point_;
      for (int64_t first = 0; first < cut_.units; first += share_) {
        const std::vector<int64_t> starts = starts_of(first);
        ctx.parallel((static_cast<int64_t>(starts.size()) - 1) * (in_groups + out_groups), [&](int64_t task) {
          const int64_t i = task / (in_groups + out_groups), group = task % (in_groups + out_groups);
          const int64_t start = starts[static_cast<size_t>(i)];
          float* window = ctx.thread_scratch<float>(window_size_);
          if (group < in_groups) {
            transform_image(cut_.at(first + i), group * kLane, start, v, window);
          } else {
            const int64_t o = (group - in_groups) * kLane;
            transform_gradient(cut_.at(first + i), o, m + start * out_ + o, window);
          }
        });
        ctx.parallel(kPoints, [&](int64_t p) { multiply_gradient(p, v, m, starts.back(), first > 0, u); });
      }
    }
    float* sums = ctx.scratch<float>(kTaps * kTaps * pass_.in * out_);
    ctx.parallel_ranges(pass_.in * out_groups, 32, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin * kLane; index < end * kLane; index += kLane) {
        transform_square<kIn, kTaps, kernel_sums>(
            [&](auto i, auto j) __attribute__((always_inline)) {
              V sum = load(u + (i * kIn + j) * u_point_ + index);
              for (int64_t share = 1; share < shares; ++share) {
                sum += load(u + share * u_size + (i * kIn + j) * u_point_ + index);
              }
              return sum;
            },
            [&](auto i, auto j, V y)
                __attribute__((always_inline)) { store(sums + (kTaps * i + j) * pass_.in * out_ + index, y); });
      }
    });
    return sums;
  }

 private:
  // The layout of v, [point][tile][slice][in] or, in parts, [point][strip of 32 tiles][step of k][part][tile][32], and of the weights, [point][panel][slice][in][columns] or
  // [point][panel of 32 columns][step of k][part][16 columns][pair][column].
  void lay_out(int parts) {
    parts_ = parts;
    steps_ = ceil_div(in_, kPairStep);
    const int64_t tiles = share_ * unit_tiles_;
    v_point_ = parts > 1 ? ceil_div(tiles, kPairRows) * kPairRows * split_depth() + kLane : tiles * row_ + kLane;
    u_point_ = parts > 1 ? out_ * split_depth() + kLane : slices_ * pass_.in * out_ + kLane;
  }
  // Floats that all parts of all channels in take.
  int64_t split_depth() const { return steps_ * kFloatParts * kPairStep / 2; }

  // The weights at the points.
  void transform_kernel(KernelContext& ctx) {
    float* u = ctx.scratch<float>(kPoints * u_point_);
    u_ = u;
    const int64_t depth = slices_ * pass_.in;
    ctx.parallel_ranges(panels_.panels * depth, 32, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const int64_t panel = index / depth, c = index % depth;
        const int64_t first = panels_.begin(panel), width = panels_.begin(panel + 1) - first;
        for (int64_t lane = 0; lane < width; lane += kLane) {
          transform_kernel(c, panel, lane, u + depth * first + c * width + lane, u_point_);
        }
      }
    });
  }
  // Those of one channel in, of all slices, and 16 out, to rows `point` floats apart.
  void transform_kernel(int64_t c, int64_t panel, int64_t lane, float* to, int64_t point) const {
    const int64_t first = panels_.begin(panel), width = panels_.begin(panel + 1) - first;
    const int64_t slice = c / pass_.in;
    const float* from =
        panels_.data + kTaps * kTaps * pass_.in * (slices_ * first + slice * width) + c % pass_.in * width + lane;
    transform_square<kTaps, kIn, kernel_points<kTaps>>(
        [&](auto i, auto j) __attribute__((always_inline)) { return load(from + (kTaps * i + j) * pass_.in * width); },
        [&](auto i, auto j, V y) __attribute__((always_inline)) { store(to + (i * kIn + j) * point, y); });
  }
  // The same in parts, if they are the sums of these.
  bool split_kernel(KernelContext& ctx) {
    float* u = ctx.scratch<float>(kPoints * u_point_);
    u_ = u;
    std::atomic<bool> holds{true};
    const int64_t vectors = out_ / kLane;
    ctx.parallel(vectors * steps_, [&](int64_t task) {
      constexpr int64_t kSquare = kPairStep * kLane;
      const int64_t vector = task / steps_, step = task % steps_, o = vector * kLane;
      const int64_t depth = std::min(kPairStep, pass_.in - step * kPairStep);
      int64_t panel = 0;
      while (panels_.begin(panel + 1) <= o) ++panel;
      float* points = ctx.thread_scratch<float>(kPoints * kSquare);
      for (int64_t c = 0; c < depth; ++c) {
        transform_kernel(step * kPairStep + c, panel, o - panels_.begin(panel), points + c * kLane, kSquare);
      }
      const int64_t begin = vector / kPairVectors * kPairVectors,
                    width = std::min<int64_t>(kPairVectors, vectors - begin);
      const int64_t part = width * kLane * kLane;
      float* to = u + begin * kLane * split_depth() + step * kFloatParts * part + (vector - begin) * kLane * kLane;
      SplitRange range;
      for (int64_t p = 0; p < kPoints; ++p, to += u_point_) {
        split_square(points + p * kSquare, 1, kLane, kLane, depth,
                     {.to = to, .part = part, .order = SplitOrder::kPairs}, range);
      }
      if (!range.holds()) holds = false;
    });
    return holds;
  }

  // The convolution of the shares that wait; in parts, of those that these can hold.
  void run_shares(KernelContext& ctx, std::vector<uint8_t>& waits) const {
    if (stays_) {
      ctx.parallel(static_cast<int64_t>(waits.size()), [&](int64_t share) {
        if (!waits[share]) return;
        float* v = ctx.thread_scratch<float>(kPoints * (v_point_ + m_point_) + window_size_);
        float* m = v + kPoints * v_point_;
        float* window = m + kPoints * m_point_;
        const std::vector<int64_t> starts = starts_of(share * share_);
        const int64_t units = static_cast<int64_t>(starts.size()) - 1;
        const auto unit_at = [&](int64_t i) { return cut_.at(share * share_ + i); };
        for (int64_t i = 0; i < units; ++i) {
          for (int64_t c = 0; c < row_; c += kLane) {
            if (!transform_image(unit_at(i), c, starts[i], v, window)) return;
          }
        }
        {
          PairTiles registers;
          for (int64_t p = 0; p < kPoints; ++p) multiply(registers, p, v, m, 0, starts[units]);
        }
        for (int64_t i = 0; i < units; ++i) {
          for (int64_t o = 0; o < out_; o += kLane) transform_out(unit_at(i), o, m + starts[i] * out_ + o, window);
        }
        waits[share] = 0;
      });
      return;
    }
    float* v = ctx.scratch<float>(kPoints * (v_point_ + m_point_));
    float* m = v + kPoints * v_point_;
    for (int64_t share = 0; share < static_cast<int64_t>(waits.size()); ++share) {
      if (!waits[share]) continue;
      const std::vector<int64_t> starts = starts_of(share * share_);
      const int64_t units = static_cast<int64_t>(starts.size()) - 1, tiles = starts.back();
      const int64_t in_groups = row_ / kLane, out_groups = out_ / kLane;
      const auto unit_at = [&](int64_t i) { return cut_.at(share * share_ + i); };
      std::atomic<bool> holds{true};
      ctx.parallel(units * in_groups, [&](int64_t task) {
        const int64_t i = task / in_groups, c = task % in_groups * kLane;
        if (!transform_image(unit_at(i), c, starts[i], v, ctx.thread_scratch<float>(window_size_))) holds = false;
      });
      if (!holds) continue;
      const int64_t blocks = ceil_div(tiles, 256);
      ctx.parallel(kPoints * blocks, [&](int64_t task) {
        PairTiles registers;
        const auto begin = [&](int64_t block) {
          return std::min(tiles, ceil_div(ceil_div(tiles, kPairRows) * block, blocks) * kPairRows);
        };
        multiply(registers, task / blocks, v, m, begin(task % blocks), begin(task % blocks + 1));
      });
      ctx.parallel(units * out_groups, [&](int64_t task) {
        const int64_t i = task / out_groups, o = task % out_groups * kLane;
        transform_out(unit_at(i), o, m + starts[i] * out_ + o, ctx.thread_scratch<float>(window_size_));
      });
      waits[share] = 0;
    }
  }

  // Where the tiles of the units from `first` on start, and end.
  std::vector<int64_t> starts_of(int64_t first) const {
    std::vector<int64_t> starts{0};
    for (int64_t index = first; index < std::min(cut_.units, first + share_); ++index) {
      starts.push_back(starts.back() + tiles_of(cut_.at(index)));
    }
    return starts;
  }
  static int64_t tiles_of(const Unit& unit) { return ceil_div(unit.rows, kOut) * ceil_div(unit.columns, kOut); }

  // 16 channels, from c on, those of all slices in a row, of a unit's tiles, the first of which is number `tile`. False where they are not the sums of their parts.
  bool transform_image(const Unit& unit, int64_t c, int64_t tile, float* v, float* window) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t tiles_h = ceil_div(unit.rows, kOut), tiles_w = ceil_div(unit.columns, kOut);
    const int64_t channel = c % in_;
    const Window of{unit.row + pass_.taps_h.first(), unit.column + pass_.taps_w.first(), tiles_h * kOut + kReach,
                    tiles_w * kOut + kReach, unit.slice * pass_.step_d + pass_.taps_d.shifts[c / in_]};
    to_channels_last(pass_.image, unit.image, channel, std::min<int64_t>(kLane, pass_.in - channel), of, window, kLane);
    if (parts_ > 1) {
      SplitRange range;
      for (int64_t pixel = 0; pixel < of.rows * of.columns; ++pixel) range.see(load(window + pixel * kLane));
      if (!range.holds(kMargin)) return false;
    }
    const auto transform = [&](auto&& store_point) __attribute__((always_inline)) {
      for (int64_t row = 0; row < tiles_h; ++row) {
        for (int64_t column = 0; column < tiles_w; ++column, ++tile) {
          const float* from = window + (row * kOut * of.columns + column * kOut) * kLane;
          float* to = v + (parts_ > 1 ? tile / kPairRows * kPairRows * split_depth() +
                                            (c / kPairStep * kFloatParts * kPairRows + tile % kPairRows) * kLane +
                                            c % kPairStep / 2
                                      : tile * row_ + c);
          transform_square<kIn, kIn, image_points>(
              [&](auto i, auto j) __attribute__((always_inline)) { return load(from + (i * of.columns + j) * kLane); },
              [&](auto i, auto j, V y)
                  __attribute__((always_inline)) { store_point(y, to + (i * kIn + j) * v_point_); });
        }
      }
    };
    if (parts_ == 1) {
      transform([](V y, float* to) __attribute__((always_inline)) { store(to, y); });
    } else if (c + kLane == in_ && in_ % kPairStep != 0) {  // The last step lacks channels.
      transform([](V y, float* to) __attribute__((always_inline)) {
        store_parts(y, to, kSplitPart);
        store_parts(V{}, to + kLane / 2, kSplitPart);
      });
    } else {
      transform([](V y, float* to) __attribute__((always_inline)) { store_parts(y, to, kSplitPart); });
    }
    return true;
  }
  static constexpr int64_t kSplitPart = kPairRows * kLane;

  // The same of the output's gradient, at the points of the output.
  void transform_gradient(const Unit& unit, int64_t o, float* m, float* window) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t tiles_h = ceil_div(unit.rows, kOut), tiles_w = ceil_div(unit.columns, kOut);
    const Window of{unit.row + pass_.out_row, unit.column, tiles_h * kOut, tiles_w * kOut,
                    pass_.out_slice + unit.slice};
    to_channels_last(pass_.out, unit.image, o, std::min<int64_t>(kLane, pass_.channels - o), of, window, kLane);
    for (int64_t row = 0; row < tiles_h; ++row) {
      for (int64_t column = 0; column < tiles_w; ++column, m += out_) {
        const float* from = window + (row * kOut * of.columns + column * kOut) * kLane;
        transform_square<kOut, kIn, gradient_points>(
            [&](auto i, auto j) __attribute__((always_inline)) { return load(from + (i * of.columns + j) * kLane); },
            [&](auto i, auto j, V y) __attribute__((always_inline)) { store(m + (i * kIn + j) * m_point_, y); });
      }
    }
  }

  // sums[c][o] at point p = or += over tiles [begin, end).
  void multiply_gradient(int64_t p, const float* v, const float* m, int64_t tiles, bool accumulate, float* sums) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t vectors = out_ / kLane, panels = ceil_div(vectors, panel_width(vectors));
    const int64_t blocks = ceil_div(tiles, kDepth);
    Tile<float> tile;
    tile.a_row = 1;
    tile.a_step = in_;
    tile.b_step = out_;
    tile.c_row = out_;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = tiles * block / blocks;
      tile.k = tiles * (block + 1) / blocks - first;
      tile.start = block == 0 && !accumulate ? Start::kZero : Start::kAccumulate;
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t begin = vectors * panel / panels, width = vectors * (panel + 1) / panels - begin;
        const int64_t pieces = ceil_div(pass_.in, max_rows(static_cast<int>(width)));
        tile.columns = static_cast<int>(width) * kLane;
        tile.b = m + p * m_point_ + first * out_ + begin * kLane;
        for (int64_t piece = 0; piece < pieces; ++piece) {
          const int64_t row = pass_.in * piece / pieces, rows = pass_.in * (piece + 1) / pieces - row;
          tile.a = v + p * v_point_ + first * in_ + row;
          tile.c = sums + p * u_point_ + row * out_ + begin * kLane;
          tile_kernel<float>(static_cast<int>(rows), static_cast<int>(width), true)(tile);
        }
      }
    }
  }

  // Tiles [begin, end) at point p; in parts, from the first of a strip on.
  void multiply(PairTiles& registers, int64_t p, const float* v, float* m, int64_t begin, int64_t end) const {
    if (parts_ > 1) return multiply_parts(registers, p, v, m, begin, end);
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t blocks = ceil_div(pass_.in, kDepth);
    Tile<float> tile;
    tile.a_row = row_;
    tile.a_step = 1;
    tile.c_row = out_;
    for (int64_t panel = 0; panel < panels_.panels; ++panel) {
      const int64_t first = panels_.begin(panel), width = panels_.begin(panel + 1) - first;
      const int vectors = static_cast<int>(width / kLane);
      tile.b_step = tile.columns = static_cast<int>(width);
      const int64_t pieces = ceil_div(end - begin, max_rows(vectors));
      for (int64_t part = 0; part < slices_ * blocks; ++part) {
        const int64_t slice = part / blocks, block = part % blocks, k = pass_.in * block / blocks;
        tile.k = pass_.in * (block + 1) / blocks - k;
        tile.start = part == 0 ? Start::kZero : Start::kAccumulate;
        tile.b = u_ + p * u_point_ + slices_ * pass_.in * first + (slice * pass_.in + k) * width;
        for (int64_t piece = 0; piece < pieces; ++piece) {
          const int64_t row = begin + (end - begin) * piece / pieces,
                        rows = begin + (end - begin) * (piece + 1) / pieces - row;
          tile.a = v + p * v_point_ + row * row_ + slice * in_ + k;
          tile.c = m + p * m_point_ + row * out_ + first;
          tile_kernel<float>(static_cast<int>(rows), vectors, false)(tile);
        }
      }
    }
  }

  void multiply_parts(PairTiles& registers, int64_t p, const float* v, float* m, int64_t begin, int64_t end) const {
    PairProduct product;
    product.steps = steps_;
    product.parts = kFloatParts;
    product.a_row = kPairStep;
    product.a_lower = 16 * product.a_row;
    product.a_part = kPairRows * product.a_row;
    product.a_step = kFloatParts * product.a_part;
    product.b_row = kLane;
    product.b_right = kLane * kLane;
    product.c_row = out_;
    for (int64_t column = 0; column < out_; column += kPairVectors * kLane) {
      product.vectors = static_cast<int>(std::min<int64_t>(kPairVectors, (out_ - column) / kLane));
      product.b_part = product.vectors * product.b_right;
      product.b_step = kFloatParts * product.b_part;
      product.b = u_ + p * u_point_ + column * split_depth();
      for (int64_t tile = begin; tile < end; tile += kPairRows) {
        const auto rows = static_cast<int>(std::min<int64_t>(kPairRows, end - tile));
        product.rows = std::min(rows, 16);
        product.lower_rows = rows - product.rows;
        product.a = reinterpret_cast<const BFloat16*>(v + p * v_point_ + tile * split_depth());
        product.c = m + p * m_point_ + tile * out_ + column;
        registers.multiply(product);
      }
    }
  }

  // 16 output channels of a unit's tiles, from o on.
  void transform_out(const Unit& unit, int64_t o, const float* m, float* pixels) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t tiles_h = ceil_div(unit.rows, kOut), tiles_w = ceil_div(unit.columns, kOut);
    const V bias = bias_ == nullptr ? V{} : load(bias_ + o);
    for (int64_t row = 0; row < tiles_h; ++row) {
      // From right to left, as pixels of a tile are: what lies beyond the last column of a row is the first of the next, which is written later.
      for (int64_t column = tiles_w - 1; column >= 0; --column) {
        const float* from = m + (row * tiles_w + column) * out_;
        float* to = pixels + (row * kOut * unit.columns + column * kOut) * kLane;
        transform_square<kIn, kOut, interpolate<kOut>>(
            [&](auto i, auto j) __attribute__((always_inline)) { return load(from + (i * kIn + j) * m_point_); },
            [&](auto i, auto j, V y)
                __attribute__((always_inline)) { store(to + (i * unit.columns + j) * kLane, y + bias); });
      }
    }
    const int64_t channels = std::min<int64_t>(kLane, pass_.channels - o);
    const bool joins = unit.columns == pass_.columns && pass_.out.row_stride == unit.columns * pass_.out.pixel_stride;
    for (int64_t row = 0; row < (joins ? 1 : unit.rows); ++row) {
      store_tile(pixels + row * unit.columns * kLane, kLane, joins ? unit.rows * unit.columns : unit.columns, channels,
                 pass_.target(unit.image, unit.slice, o, unit.row + row, unit.column), pass_.out.pixel_stride,
                 pass_.out.channel_stride);
    }
  }

  const Pass<E>& pass_;
  Cut cut_;
  PackedWeights<float> panels_;
  const float* u_ = nullptr;
  const float* bias_ = nullptr;
  int parts_ = 1;
  bool stays_;
  int64_t slices_;  // taps in depth
  int64_t row_;     // of a tile's image: all slices' channels
  int64_t steps_, in_, out_, unit_tiles_, share_, v_point_, m_point_, u_point_, window_size_;
};

// Output channels in blocks whose weights at the points stay in an L2 cache, where 32 and more do: that each transforms the images anew costs less than tiles that
// leave it.
template <int64_t kTaps, class E>
void run_blocks(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  constexpr int64_t kUnit = 2 * kLane;
  const int64_t channel_bytes = kPoints * pass.taps_d.count() * whole_lanes(pass.in) * int64_t{sizeof(float)};
  const int64_t most = kStayingBytes / channel_bytes / kUnit * kUnit;
  int64_t block = pass.channels;
  constexpr int64_t kOut = kIn - kTaps + 1;
  const int64_t tiles = pass.planes() * ceil_div(pass.rows, kOut) * ceil_div(pass.columns, kOut);
  if (most > 0 && tiles >= kLeastBlockTiles && !has_amx())
    block = ceil_div(ceil_div(block, ceil_div(block, most)), kUnit) * kUnit;
  for (int64_t begin = 0; begin < pass.channels; begin += block) {
    Pass<E> part = pass;
    Weights<E> of_part = weights;
    part.channels = std::min(block, pass.channels - begin);
    part.out.data += begin * pass.out.channel_stride;
    if (pass.bias != nullptr) part.bias += begin * pass.bias_stride;
    of_part.data += begin * weights.out_stride;
    Winograd<E, kTaps>(part).run(ctx, of_part);
  }
}

}  // namespace

template <class E>
bool suits_winograd(const Pass<E>& pass) {
  const int64_t taps = pass.taps_h.count();
  return (taps == 3 || taps == 5) && pass.taps_w.count() == taps && pass.taps_h.adjacent() && pass.taps_w.adjacent() &&
         pass.step_h == 1 && pass.step_w == 1 && pass.out_step_h == 1 && pass.out_step_w == 1 && pass.groups == 1 &&
         pass.in >= 16 && pass.channels >= 16 && pass.planes() * pass.rows * pass.columns >= 256;
}

template <class E>
void convolve_winograd(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  if (pass.taps_h.count() == 3) return run_blocks<3>(ctx, pass, weights);
  run_blocks<5>(ctx, pass, weights);
}

template <class E>
const float* kernel_sums_winograd(KernelContext& ctx, const Pass<E>& pass) {
  return Winograd<E, 3>(pass).run_gradient(ctx);
}

template bool suits_winograd<float>(const Pass<float>&);
template bool suits_winograd<Float16>(const Pass<Float16>&);
template bool suits_winograd<BFloat16>(const Pass<BFloat16>&);
template void convolve_winograd<float>(KernelContext&, const Pass<float>&, const Weights<float>&);
template void convolve_winograd<Float16>(KernelContext&, const Pass<Float16>&, const Weights<Float16>&);
template void convolve_winograd<BFloat16>(KernelContext&, const Pass<BFloat16>&, const Weights<BFloat16>&);

template const float* kernel_sums_winograd<float>(KernelContext&, const Pass<float>&);
template const float* kernel_sums_winograd<Float16>(KernelContext&, const Pass<Float16>&);
template const float* kernel_sums_winograd<BFloat16>(KernelContext&, const Pass<BFloat16>&);

}  // namespace hadal::cpu
