// See conv_one_tap.h. out[o, p] = Σ_c weight[o, c] · image[c, p]: rows of a tile are output channels, its columns neighbouring pixels, counted over all
// images. A task copies a block of pixels, all channels of them, into panels that stay in the L2 cache while the weights pass by, and the next
// task's pixels come from memory. With AMX both are floats in parts (gemm_split.h); bfloat16 is in pairs of channels.
#include "cpu/conv_one_tap.h"

#include <atomic>

#include "cpu/gemm_split.h"

namespace hadal::cpu {
namespace {

// Panels of a task, and of one in parts; where there are many channels, of four panels, so that each strip of weights serves several.
constexpr int64_t kPanelBytes = 256 << 10;
constexpr int64_t kSplitPanelBytes = 512 << 10;
constexpr int64_t kLeastPanels = 4;
// Steps of channels by which the lines of a task's pixels are asked for in advance: each channel is a short run elsewhere in memory.
constexpr int64_t kChannelsAhead = 2;
// Channels, in and out, and work from which products are of parts (kFloatParts).
constexpr int64_t kLeastSplitChannels = 32;
constexpr int64_t kLeastSplitWork = int64_t{1} << 24;

// to[i] = from[i · step] for i < count. Writes whole vectors.
template <class T>
void copy_run(const T* from, int64_t step, int64_t count, T* to) {
  constexpr int kWidth = kLanes<T>;
  int64_t i = 0;
  if (step == 1) {
    for (; i + kWidth <= count; i += kWidth) store(to + i, load(from + i));
    if (i < count) store(to + i, load_columns(from + i, static_cast<int>(count - i)));
    return;
  }
  if (step == 2) {
    for (; i + kWidth < count; i += kWidth) {
      const Vec<T> low = load(from + 2 * i), high = load(from + 2 * i + kWidth);
      store(to + i, [&]<int... lane>(std::integer_sequence<int, lane...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(low, high, (2 * lane)...);
      }(std::make_integer_sequence<int, kWidth>{}));
    }
  }
  for (; i < count; ++i) to[i] = from[i * step];
}

}  // namespace

template <class E>
bool suits_one_tap(const Pass<E>& pass) {
  return pass.taps() == 1 && pass.groups == 1 && pass.image.pixel_stride == 1 && pass.out.pixel_stride == 1 &&
         pass.out_step_h == 1 && pass.out_step_w == 1 && pass.out_step_d == 1 && pass.taps_d.first() == 0 &&
         pass.taps_h.first() == 0 && pass.taps_w.first() == 0 && (pass.slices - 1) * pass.step_d < pass.image.slices &&
         (pass.rows - 1) * pass.step_h < pass.image.height && (pass.columns - 1) * pass.step_w < pass.image.width &&
         pass.out.joins_pixels() && pass.image.width > 1;
}

namespace {

template <class E>
class OneTap {
 public:
  using T = Compute<E>;

  explicit OneTap(const Pass<E>& pass)
      : pass_(pass),
        plane_(pass.slices * pass.rows * pass.columns),
        pixels_(pass.image.count * plane_),
        panels_(ceil_div(pixels_, kColumns)),
        depth_(ceil_div(pass.in, kStep)),
        steps_(ceil_div(pass.in, kPairStep)) {
    // Where rows of pixels continue each other in the image, a plane is one run.
    joins_ = pass.step_d == 1 && pass.step_h == 1 && pass.step_w == 1 && pass.image.joins_pixels() &&
             pass.image.slices == pass.slices && pass.image.height == pass.rows && pass.image.width == pass.columns;
    run_ = joins_ ? plane_ : pass.columns;
    splits_ = std::is_same_v<E, float> && kHasMasks && has_amx() &&
              std::min(pass.in, pass.channels) >= kLeastSplitChannels &&
              pixels_ * pass.in * pass.channels >= kLeastSplitWork;
    const int64_t fitting =
        splits_ ? std::max(kLeastPanels, kSplitPanelBytes / (pass.in * kColumns * kFloatParts * 2))
                : std::max(kLeastPanels, kPanelBytes / (depth_ * kColumns * static_cast<int64_t>(sizeof(T))));
    const int64_t wanted = std::min(kTasks, std::max<int64_t>(1, pixels_ * pass.in * pass.channels / kTaskWork));
    share_ = std::clamp<int64_t>(std::min(fitting, ceil_div(panels_, wanted)), 1, panels_);
    streams_ = pass.out.image_stride % kWidth == 0 && pass.out.channel_stride % kWidth == 0 && plane_ % kColumns == 0 &&
               reinterpret_cast<uintptr_t>(pass.out.at(0, 0, pass.out_slice)) % 64 == 0 &&
               pixels_ * pass.channels * static_cast<int64_t>(sizeof(E)) >= kStreamedBytes;
  }

  void run(KernelContext& ctx, const Weights<E>& weights) {
    if (pass_.bias != nullptr) {
      T* bias = ctx.scratch<T>(pass_.channels);
      for (int64_t o = 0; o < pass_.channels; ++o) bias[o] = static_cast<T>(pass_.bias[o * pass_.bias_stride]);
      bias_ = bias;
    }
    // Shares of pixels that the parts cannot hold, or all of them where the weights are such, wait for products of floats.
    std::vector<uint8_t> waits(static_cast<size_t>(ceil_div(panels_, share_)), 1);
    const auto tasks = static_cast<int64_t>(waits.size());
    if constexpr (std::is_same_v<E, float>) {
      if (splits_ && split_weights(ctx, weights)) {
        ctx.parallel(tasks, [&](int64_t task) { waits[task] = !multiply_parts(ctx, task); });
        if (std::find(waits.begin(), waits.end(), 1) == waits.end()) return;
      }
    }
    pack_weights(ctx, weights);
    ctx.parallel(tasks, [&](int64_t task) {
      if (waits[task]) multiply(ctx, task);
    });
  }

 private:
  static constexpr int kWidth = kLanes<T>, kVectors = 2, kColumns = kVectors * kWidth;
  static constexpr int64_t kSquare = kWidth * kWidth;
  static constexpr bool kPairs = std::is_same_v<E, BFloat16>;
  static constexpr int64_t kStep = kPairs ? 2 : 1;  // channels of a step of k
  static constexpr int64_t kLineElements = 64 / sizeof(E);

  struct Run {
    int64_t from, to, count;  // in the image from its first channel, in the share's pixels
  };
  std::vector<Run> runs_of(int64_t first, int64_t last) const {
    std::vector<Run> runs;
    for (int64_t pixel = first * kColumns, end = std::min(pixels_, last * kColumns); pixel < end;) {
      const int64_t n = pixel / plane_, at = pixel % plane_, line = at / run_, column = at % run_;
      const int64_t slice = line / pass_.rows, row = line % pass_.rows;
      const int64_t to = pixel - first * kColumns;
      const int64_t count = std::min({run_ - column, end - pixel, kColumns - to % kColumns});
      runs.push_back({pass_.image.at(n, 0, joins_ ? 0 : slice * pass_.step_d) - pass_.image.data +
                          (joins_ ? 0 : row * pass_.step_h * pass_.image.row_stride) + column * pass_.step_w,
                      to, count});
      pixel += count;
    }
    return runs;
  }

  int64_t strips() const { return ceil_div(pass_.channels, max_rows(kVectors)); }
  int64_t strip_begin(int64_t strip) const { return pass_.channels * strip / strips(); }

  // Weights as strips [step][rows].
  void pack_weights(KernelContext& ctx, const Weights<E>& weights) {
    T* packed = ctx.scratch<T>(pass_.channels * depth_ + kPackSlack);
    weights_ = packed;
    const int64_t grain = ceil_div(int64_t{1} << 15, depth_ * max_rows(kVectors));
    ctx.parallel_ranges(strips(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t strip = begin; strip < end; ++strip) {
        const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
        T* turned = ctx.thread_scratch<T>(depth_ * rows + kPackSlack);
        pack_steps(weights.data + row * weights.out_stride, weights.out_stride, weights.in_stride, rows, pass_.in,
                   turned, rows);
        std::copy_n(turned, depth_ * rows, packed + row * depth_);
      }
    });
  }
  static void pack_steps(const E* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t depth, T* to,
                         int64_t width) {
    if constexpr (kPairs) {
      pack_pairs(from, lane_stride, step, lanes, lanes, depth, to, width);
    } else {
      pack(from, lane_stride, step, lanes, lanes, depth, to, width);
    }
  }
  // The same as strips of 32 rows, [step][part][row][32], if they are the sums of their parts.
  bool split_weights(KernelContext& ctx, const Weights<float>& weights) {
    constexpr int64_t kPart = kPairRows * kPairStep / 2;
    float* packed = ctx.scratch<float>(ceil_div(pass_.channels, kPairRows) * steps_ * kFloatParts * kPart);
    weights_ = packed;
    std::atomic<bool> holds{true};
    ctx.parallel_ranges(ceil_div(pass_.channels, kPairRows) * steps_, 32, [&](int64_t begin, int64_t end) {
      SplitRange range;
      for (int64_t index = begin; index < end; ++index) {
        const int64_t row = index / steps_ * kPairRows, c = index % steps_ * kPairStep;
        for (int64_t lane = 0; lane < kPairRows; lane += 16) {
          split_square(weights.data + (row + lane) * weights.out_stride + c * weights.in_stride, weights.out_stride,
                       weights.in_stride, std::clamp<int64_t>(pass_.channels - row - lane, 0, 16),
                       std::min(kPairStep, pass_.in - c),
                       {.to = packed + index * kFloatParts * kPart + lane * kPairStep / 2,
                        .part = kPart,
                        .order = SplitOrder::kRows},
                       range);
        }
      }
      if (!range.holds()) holds = false;
    });
    return holds;
  }

  void multiply(KernelContext& ctx, int64_t task) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t first = task * share_, last = std::min(panels_, first + share_);
    // An odd number of cache lines, so that panels fall into different sets.
    const int64_t panel_size = depth_ * kColumns + kWidth;
    T* const window = ctx.thread_scratch<T>((last - first) * panel_size + kPackSlack);
    pack_pixels(runs_of(first, last), panel_size, window);
    // What the next task packs, by cache lines of a channel; a tile fetches that of as many channels as it has time for.
    const std::vector<const E*> lines = lines_of(last, std::min(panels_, last + share_));
    const int64_t channels = std::max<int64_t>(1, depth_ / kStepsPerFetch), parts = ceil_div(pass_.in, channels);
    int64_t fetched = 0;
    Tile<T> tile;
    tile.k = depth_;
    tile.b_step = kColumns;
    tile.start = bias_ == nullptr ? Start::kZero : Start::kRowBias;
    alignas(64) T small[kMaxRows * kColumns + kWidth];
    for (int64_t strip = 0; strip < strips(); ++strip) {
      const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
      tile.a = weights_ + row * depth_;
      tile.a_step = rows;
      tile.a_row = 1;
      tile.bias = bias_ + row;
      for (int64_t panel = first; panel < last; ++panel) {
        const int64_t pixel = panel * kColumns, count = std::min<int64_t>(kColumns, pixels_ - pixel);
        tile.b = window + (panel - first) * panel_size;
        tile.columns = static_cast<int>(count);
        const bool whole = pixel / plane_ == (pixel + count - 1) / plane_, direct = whole && !kPairs;
        tile.c = small;
        tile.c_row = kColumns;
        if constexpr (!kPairs) {
          if (direct) {
            tile.c = target(pixel, row);
            tile.c_row = pass_.out.channel_stride;
          }
        }
        const int64_t at = fetched++ / parts;
        if (at < static_cast<int64_t>(lines.size())) {
          tile.fetch =
              reinterpret_cast<const char*>(lines[at] + (fetched - 1) % parts * channels * pass_.image.channel_stride);
          tile.fetch_step = pass_.image.channel_stride * static_cast<int64_t>(sizeof(E));
        } else {
          tile.fetch = nullptr;
          tile.fetch_step = 64;
        }
        find_kernel(static_cast<int>(rows), static_cast<int>(ceil_div(count, kWidth)))(tile);
        if constexpr (kPairs) {
          if (whole && count == kColumns) {
            store_sums(small, kColumns, rows, target(pixel, row), pass_.out.channel_stride, false);
            continue;
          }
        }
        if (!direct) store_pieces(small, pixel, count, row, rows);
      }
    }
  }
  static TileKernel<T> find_kernel(int rows, int vectors) {
    if constexpr (kPairs) {
      return pair_kernel(rows, vectors, true);
    } else {
      return tile_kernel<T>(rows, vectors, true);
    }
  }
  void pack_pixels(const std::vector<Run>& runs, int64_t panel_size, T* window) const {
    // A run writes whole vectors, beyond its end too: what comes after overwrites that, in this channel or the next.
    for (int64_t step = 0; step < depth_; ++step) {
      const int64_t c = step * kStep, count = std::min(kStep, pass_.in - c);
      const E* from = pass_.image.data + c * pass_.image.channel_stride;
      const int64_t ahead = step + kChannelsAhead < depth_ ? kChannelsAhead * kStep * pass_.image.channel_stride : 0;
      for (const Run& one : runs) {
        for (int64_t i = 0; i < one.count * pass_.step_w; i += kLineElements) {
          for (int64_t j = 0; j < kStep; ++j) {
            __builtin_prefetch(from + one.from + ahead + j * pass_.image.channel_stride + i);
          }
        }
        T* const to = window + one.to / kColumns * panel_size + one.to % kColumns + step * kColumns;
        if constexpr (kPairs) {
          pack_pairs(from + one.from, 1, pass_.image.channel_stride, one.count, one.count, count, to, kColumns);
        } else {
          copy_run(from + one.from, pass_.step_w, one.count, to);
        }
      }
    }
  }
  // The cache lines of those panels' pixels, of the first channel.
  std::vector<const E*> lines_of(int64_t first, int64_t last) const {
    std::vector<const E*> lines;
    for (const Run& one : runs_of(first, last)) {
      for (int64_t i = 0; i < one.count * pass_.step_w; i += kLineElements) {
        lines.push_back(pass_.image.data + one.from + i);
      }
    }
    return lines;
  }

  // The same in parts, if the pixels are the sums of theirs. A panel is [step][part][vector][pair][16].
  bool multiply_parts(KernelContext& ctx, int64_t task) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t first = task * share_, last = std::min(panels_, first + share_);
    const int64_t panel_size = steps_ * kFloatParts * kVectors * kSquare + kWidth;
    float* const window = ctx.thread_scratch<float>((last - first) * panel_size);
    if (!split_pixels(runs_of(first, last), panel_size, window)) return false;
    PairTiles registers;
    PairProduct product;
    product.steps = steps_;
    product.vectors = kVectors;
    product.parts = kFloatParts;
    product.a_row = kPairStep;
    product.a_lower = 16 * product.a_row;
    product.a_part = kPairRows * product.a_row;
    product.a_step = kFloatParts * product.a_part;
    product.b_row = kWidth;
    product.b_right = kSquare;
    product.b_part = kVectors * kSquare;
    product.b_step = kFloatParts * product.b_part;
    alignas(64) float small[kPairRows * kColumns];
    product.c = small;
    product.c_row = kColumns;
    for (int64_t row = 0; row < pass_.channels; row += kPairRows) {
      const int64_t rows = std::min<int64_t>(kPairRows, pass_.channels - row);
      product.rows = static_cast<int>(std::min<int64_t>(rows, 16));
      product.lower_rows = static_cast<int>(rows) - product.rows;
      product.a = reinterpret_cast<const BFloat16*>(weights_ + row * steps_ * kFloatParts * kPairStep / 2);
      for (int64_t panel = first; panel < last; ++panel) {
        const int64_t pixel = panel * kColumns, count = std::min<int64_t>(kColumns, pixels_ - pixel);
        product.b = window + (panel - first) * panel_size;
        registers.multiply(product);
        for (int64_t r = 0; bias_ != nullptr && r < rows; ++r) {
          for (int64_t i = 0; i < kColumns; i += kWidth) {
            float* const at = small + r * kColumns + i;
            store(at, load(at) + broadcast(bias_[row + r]));
          }
        }
        if (streams_) {
          for (int64_t r = 0; r < rows; ++r) {
            float* const to = target(pixel, row) + r * pass_.out.channel_stride;
            for (int64_t i = 0; i < kColumns; i += kWidth) stream(to + i, load(small + r * kColumns + i));
          }
        } else {
          store_pieces(small, pixel, count, row, rows);
        }
      }
    }
    if (streams_) finish_streaming();
    return true;
  }
  bool split_pixels([[maybe_unused]] const std::vector<Run>& runs, [[maybe_unused]] int64_t panel_size,
                    [[maybe_unused]] float* window) const {
#if defined(__AVX512F__)
    SplitRange range;
    alignas(64) float gathered[2][kColumns + kPackSlack] = {};
    for (int64_t c = 0; c < steps_ * kPairStep; c += 2) {
      const float* const from = pass_.image.data + c * pass_.image.channel_stride;
      const int count = static_cast<int>(std::clamp<int64_t>(pass_.in - c, 0, 2));
      float* const to = window + c / kPairStep * kFloatParts * kVectors * kSquare + c % kPairStep / 2 * kWidth;
      for (const Run& one : runs) {
        const float* rows[2] = {gathered[0], gathered[1]};
        const int64_t at = one.to % kColumns;
        for (int i = 0; i < 2; ++i) {
          const float* const row = from + i * pass_.image.channel_stride + one.from;
          if (i >= count) {
            std::fill_n(gathered[i], kColumns, 0.0f);
          } else if (one.count == kColumns && pass_.step_w == 1) {
            rows[i] = row;
          } else {
            copy_run(row, pass_.step_w, one.count, gathered[i] + at);
          }
        }
        const bool fills = at + one.count == kColumns || &one == &runs.back();
        for (int64_t vector = 0; fills && vector < kVectors; ++vector) {
          Vec<float> even = load(rows[0] + vector * kWidth), odd = load(rows[1] + vector * kWidth);
          range.see(even);
          range.see(odd);
          unroll<kFloatParts>([&](auto part) __attribute__((always_inline)) {
            store(to + one.to / kColumns * panel_size + (part * kVectors + vector) * kSquare,
                  pair_parts(take_part(even), take_part(odd)));
          });
        }
      }
    }
    return range.holds();
#else
    return false;
#endif
  }

  E* target(int64_t pixel, int64_t row) const {
    return pass_.out.at(pixel / plane_, row, pass_.out_slice) + pixel % plane_;
  }
  // A tile [row][kColumns], whose pixels may be of several images.
  void store_pieces(const T* tile, int64_t pixel, int64_t count, int64_t row, int64_t rows) const {
    for (int64_t at = pixel; at < pixel + count;) {
      const int64_t some = std::min(plane_ - at % plane_, pixel + count - at);
      store_tile(tile + at - pixel, kColumns, rows, some, target(at, row), pass_.out.channel_stride, 1);
      at += some;
    }
  }

  const Pass<E>& pass_;
  int64_t plane_, pixels_, panels_, depth_, steps_;
  int64_t run_, share_;
  bool joins_, splits_, streams_;
  const T* weights_ = nullptr;
  const T* bias_ = nullptr;
};

}  // namespace

template <class E>
void convolve_one_tap(KernelContext& ctx, const Pass<E>& pass, const Weights<E>& weights) {
  OneTap<E>(pass).run(ctx, weights);
}

template bool suits_one_tap<float>(const Pass<float>&);
template bool suits_one_tap<double>(const Pass<double>&);
template bool suits_one_tap<BFloat16>(const Pass<BFloat16>&);
template void convolve_one_tap<float>(KernelContext&, const Pass<float>&, const Weights<float>&);
template void convolve_one_tap<double>(KernelContext&, const Pass<double>&, const Weights<double>&);
template void convolve_one_tap<BFloat16>(KernelContext&, const Pass<BFloat16>&, const Weights<BFloat16>&);

}  // namespace hadal::cpu
