// See conv_pairs.h. Rows of a product are output channels, its columns 32 neighbouring pixels, and k runs over taps and input channels. Both
// images stay planes: what is packed of one is pairs of channels that neighbour in k, pixel by pixel, and a row of sums is
// 32 pixels of an output plane.
#include "cpu/conv_pairs.h"

#include "cpu/pair_tiles.h"

namespace hadal::cpu {

#if defined(__AVX512F__)
namespace {

constexpr int64_t kTile = 16;                      // rows of a tile, and floats or pairs of such a row
constexpr int64_t kPixels = kPairVectors * kTile;  // columns of a product
constexpr int64_t kLineElements = 32;              // of a cache line
constexpr int64_t kWeightTile = kPairRows * kPairStep;
// Bytes of windows a task holds at once: processors with AMX have 2 MiB of L2 per core, Zen 5 has 1 (384 KiB are 5 % slower forward, up to a third in gradients
// of weights).
constexpr int64_t kPairWindowBytes = 768 << 10;

using Words = Vec<uint32_t>;

uint32_t lane_mask(int64_t begin, int64_t end) {
  const auto below = [](int64_t lane) { return (uint64_t{1} << std::clamp<int64_t>(lane, 0, 32)) - 1; };
  return static_cast<uint32_t>(below(end) & ~below(begin));
}

// One line of an image: elements `step` apart, of which [begin, end) are inside.
struct Line {
  const BFloat16* data = nullptr;
  int64_t begin = 0, end = 0;
};

// Elements j … j + 15, each in a word of its own; zero outside.
template <int kStep>
[[gnu::always_inline]] inline Words load_words(const Line& line, int64_t step, int64_t j) {
  const bool whole = j >= line.begin && j + kTile <= line.end;
  const uint32_t lanes = whole ? 0xffff : lane_mask(line.begin - j, line.end - j) & 0xffff;
  if (lanes == 0) return Words{};  // a load from no address takes hundreds of cycles, masked though it is
  if constexpr (kStep == 1) {
    return (Words)_mm512_maskz_cvtepu16_epi32(kAllLanes,
                                              _mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes), line.data + j));
  } else if constexpr (kStep == 2) {
    return (Words)_mm512_maskz_loadu_epi16(_pdep_u32(lanes, 0x55555555), line.data + 2 * j);
  } else {
    Words words{};
    for (int64_t i = 0; i < kTile; ++i) {
      if (lanes >> i & 1) words[i] = line.data[(j + i) * step].bits;
    }
    return words;
  }
}

// to[j] = the pair low[j], high[j] for j < count. Writes whole vectors.
template <int kStep>
void pack_pairs_of(const Line& low, const Line& high, int64_t step, int64_t count, float* to) {
  for (int64_t j = 0; j < count; j += kTile) {
    store(to + j, (Vec<float>)(load_words<kStep>(low, step, j) | load_words<kStep>(high, step, j) << 16));
  }
}
void pack_lines(const Line& low, const Line& high, int64_t step, int64_t count, float* to) {
  if (low.begin >= low.end && high.begin >= high.end) {
    std::fill_n(to, count, 0.0f);
  } else if (step == 1) {
    pack_pairs_of<1>(low, high, step, count, to);
  } else if (step == 2) {
    pack_pairs_of<2>(low, high, step, count, to);
  } else {
    pack_pairs_of<0>(low, high, step, count, to);
  }
}

// to[i · step] = from[i] + bias for i < count ≤ 32. Reads whole vectors.
inline void store_pixels(const float* from, int64_t count, Vec<float> bias, BFloat16* to, int64_t step) {
  const __m512i halves = round_to_halves(load(from) + bias, load(from + kTile) + bias);
  if (step == 1) return _mm512_mask_storeu_epi16(to, lane_mask(0, count), halves);
  if (step == 2) {
    _mm512_mask_storeu_epi16(to, _pdep_u32(lane_mask(0, std::min(count, kTile)), 0x55555555),
                             _mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves)));
    if (count > kTile) {
      _mm512_mask_storeu_epi16(to + 2 * kTile, _pdep_u32(lane_mask(0, count - kTile), 0x55555555),
                               _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(halves, 1)));
    }
    return;
  }
  uint16_t values[kPixels];
  std::memcpy(values, &halves, sizeof values);
  for (int64_t i = 0; i < count; ++i) to[i * step].bits = values[i];
}

// Sums of 16 pixels, each a row of 32 channels, to planes: the first `pixels` of `channels`. The turn takes 64 shuffles, a quarter each of words,
// pairs, fours and eights.
void store_planes(const float* from, int64_t pixels, int64_t channels, const float* bias, BFloat16* to,
                  int64_t channel_stride) {
  const Vec<float> shift[2] = {bias == nullptr ? Vec<float>{} : load(bias),
                               bias == nullptr ? Vec<float>{} : load(bias + kTile)};
  __m512i rows[kTile], next[kTile];
  unroll<kTile>([&](auto p) __attribute__((always_inline)) {
    rows[p] = round_to_halves(load(from + p * kPixels) + shift[0], load(from + p * kPixels + kTile) + shift[1]);
  });
  unroll<kTile / 2>([&](auto i) __attribute__((always_inline)) {
    next[2 * i] = _mm512_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
    next[2 * i + 1] = _mm512_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
  });
  unroll<kTile / 2>([&](auto i) __attribute__((always_inline)) {
    constexpr int at = i / 2 * 4 + i % 2;
    rows[i / 2 * 4 + i % 2 * 2] = _mm512_maskz_unpacklo_epi32(kAllLanes, next[at], next[at + 2]);
    rows[i / 2 * 4 + i % 2 * 2 + 1] = _mm512_maskz_unpackhi_epi32(kAllLanes, next[at], next[at + 2]);
  });
  unroll<kTile / 2>([&](auto i) __attribute__((always_inline)) {
    constexpr int at = i / 4 * 8 + i % 4;
    next[i / 4 * 8 + i % 4 * 2] = _mm512_maskz_unpacklo_epi64(0xff, rows[at], rows[at + 4]);
    next[i / 4 * 8 + i % 4 * 2 + 1] = _mm512_maskz_unpackhi_epi64(0xff, rows[at], rows[at + 4]);
  });
  const __m512i lower = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0),
                upper = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
  const auto mask = static_cast<__mmask16>(lane_mask(0, pixels));
  unroll<kTile / 2>([&](auto c) __attribute__((always_inline)) {
    const __m512i halves[2] = {_mm512_permutex2var_epi64(next[c], lower, next[c + 8]),
                               _mm512_permutex2var_epi64(next[c], upper, next[c + 8])};
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      const int64_t channel = c + 8 * i;
      if (channel >= channels) return;
      const __m256i plane =
          i % 2 == 0 ? _mm512_castsi512_si256(halves[i / 2]) : _mm512_maskz_extracti64x4_epi64(0xff, halves[i / 2], 1);
      _mm256_mask_storeu_epi16(to + channel * channel_stride, mask, plane);
    });
  });
}

// How a pass becomes a product: some of its taps count as channels of their own ("lines"), which are packed each by itself; the others read
// the window further on.
struct Folding {
  // A channel at a tap.
  struct Channel {
    int64_t channel, row, column;  // in the image, from a pixel's first position
    int64_t place;                 // in the weights
  };
  // What is packed of the image: every step-th row and column from one on, of one slice.
  struct Copy {
    int64_t depth, row, column;
    bool operator==(const Copy&) const = default;
  };
  struct Tap {
    int64_t copy, row, column;  // in the copy
    int64_t place;              // in the weights
  };
  std::vector<Channel> channels;
  std::vector<Copy> copies;
  std::vector<Tap> taps;
  int64_t reach_h = 0, reach_w = 0;  // rows and columns of a copy beyond the pixels'

  // Of the taps, `folded_h` and `folded_w` tell which axes become channels.
  Folding(const Pass<BFloat16>& pass, const Weights<BFloat16>& weights, bool folded_h, bool folded_w) {
    const KernelAxes& axes = weights.axes;
    for (int64_t i = 0; i < (folded_h ? pass.taps_h.count() : 1); ++i) {
      for (int64_t j = 0; j < (folded_w ? pass.taps_w.count() : 1); ++j) {
        for (int64_t c = 0; c < pass.in; ++c) {
          channels.push_back({c, folded_h ? pass.taps_h.shifts[i] : pass.taps_h.first(),
                              folded_w ? pass.taps_w.shifts[j] : pass.taps_w.first(),
                              c * weights.in_stride + (folded_h ? pass.taps_h.kernel[i] * axes.row_stride : 0) +
                                  (folded_w ? pass.taps_w.kernel[j] * axes.column_stride : 0)});
        }
      }
    }
    for (int64_t d = 0; d < pass.taps_d.count(); ++d) {
      for (int64_t i = 0; i < (folded_h ? 1 : pass.taps_h.count()); ++i) {
        for (int64_t j = 0; j < (folded_w ? 1 : pass.taps_w.count()); ++j) {
          const int64_t row = folded_h ? 0 : pass.taps_h.shifts[i] - pass.taps_h.first();
          const int64_t column = folded_w ? 0 : pass.taps_w.shifts[j] - pass.taps_w.first();
          const Copy copy{d, row % pass.step_h, column % pass.step_w};
          const auto at = std::find(copies.begin(), copies.end(), copy);
          taps.push_back({at - copies.begin(), row / pass.step_h, column / pass.step_w,
                          pass.taps_d.kernel[d] * axes.slice_stride +
                              (folded_h ? 0 : pass.taps_h.kernel[i] * axes.row_stride) +
                              (folded_w ? 0 : pass.taps_w.kernel[j] * axes.column_stride)});
          if (at == copies.end()) copies.push_back(copy);
          reach_h = std::max(reach_h, taps.back().row);
          reach_w = std::max(reach_w, taps.back().column);
        }
      }
    }
  }
  int64_t blocks() const { return ceil_div(static_cast<int64_t>(channels.size()), kPairStep); }
  int64_t tap_count() const { return static_cast<int64_t>(taps.size()); }
  int64_t copy_count() const { return static_cast<int64_t>(copies.size()); }
  // Pixels from row to row of a window: tiles of b whose lines start in the middle of cache lines take half as long again, so rows are whole
  // tiles where taps read other rows.
  int64_t width(int64_t columns) const {
    return reach_h > 0 && reach_w == 0 ? ceil_div(columns, kTile) * kTile : columns + reach_w;
  }
  // Cycles for a row of pixels: 16 for a product of two tiles, half as much again where b is not aligned, 4 for 16 pairs.
  int64_t cost(int64_t out_channels, int64_t columns) const {
    const int64_t product = reach_w > 0 ? 24 : 16;
    return blocks() * width(columns) *
           (tap_count() * ceil_div(out_channels, kTile) * product + copy_count() * kTile * 4);
  }
};

Folding best_folding(const Pass<BFloat16>& pass, const Weights<BFloat16>& weights) {
  Folding best(pass, weights, false, false);
  for (const bool folded_h : {false, true}) {
    Folding other(pass, weights, folded_h, true);
    if (other.cost(pass.channels, pass.columns) < best.cost(pass.channels, pass.columns)) best = std::move(other);
  }
  return best;
}

// A pass of one tap over whole planes is one over lines.
Pass<BFloat16> flattened(const Pass<BFloat16>& pass) {
  const bool flat = pass.taps() == 1 && pass.step_h == 1 && pass.step_w == 1 && pass.out_step_h == 1 &&
                    pass.out_step_w == 1 && pass.taps_h.first() == 0 && pass.taps_w.first() == 0 &&
                    pass.rows == pass.image.height && pass.columns == pass.image.width &&
                    pass.image.row_stride == pass.image.width * pass.image.pixel_stride &&
                    pass.out.row_stride == pass.out.width * pass.out.pixel_stride;
  if (!flat) return pass;
  Pass<BFloat16> line = pass;
  line.rows = line.image.height = line.out.height = 1;
  line.columns = line.image.width = line.out.width = pass.rows * pass.columns;
  return line;
}

// Rows of a product are output channels, its columns 32 neighbouring pixels. Both images stay planes: what is packed of one is pairs of
// channels that neighbour in k, pixel by pixel, and a row of sums is 32 pixels of an output plane.
void run_planes(KernelContext& ctx, const Pass<BFloat16>& pass, const Weights<BFloat16>& weights) {
  const Folding folding = best_folding(pass, weights);
  const auto channels = static_cast<int64_t>(folding.channels.size());
  const int64_t blocks = folding.blocks(), taps = folding.tap_count(), copies = folding.copy_count();
  // Of the last block; vectors do without the zeros that fill up a tile of AMX.
  const int64_t pairs = blocks == 1 && !has_amx() ? ceil_div(channels, 2) : kTile;
  const int64_t strips = ceil_div(pass.channels, kPairRows);

  // Weights as tiles of rows: [group][strip][block of channels][tap][32 rows][32 channels].
  const int64_t strip_size = blocks * taps * kWeightTile;
  auto* packed = ctx.scratch<BFloat16>(pass.groups * strips * strip_size);
  ctx.parallel(pass.groups * strips * blocks, [&](int64_t task) {
    const int64_t block = task % blocks, strip = task / blocks % strips, group = task / (blocks * strips);
    const BFloat16* from = weights.data + group * weights.group_stride + strip * kPairRows * weights.out_stride;
    BFloat16* to = packed + task * taps * kWeightTile;
    const int64_t rows = std::min<int64_t>(kPairRows, pass.channels - strip * kPairRows);
    const int64_t valid = std::min(kPairStep, channels - block * kPairStep);
    int64_t places[kPairStep];
    for (int64_t i = 0; i < valid; ++i) places[i] = folding.channels[block * kPairStep + i].place;
    for (int64_t row = 0; row < rows; ++row, from += weights.out_stride) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const BFloat16* at = from + folding.taps[tap].place;
        BFloat16* line = to + tap * kWeightTile + row * kPairStep;
        for (int64_t i = 0; i < valid; ++i) line[i] = at[places[i]];
        std::fill(line + valid, line + kPairStep, BFloat16(0.0f));
      }
    }
  });
  const int64_t padded = strips * kPairRows;
  const float* bias = gather_bias(ctx, pass, padded);

  // Units whose windows fit the budget: [copy][pair of channels][row][column], pixels counted over rows of the window's width.
  const int64_t reach_h = folding.reach_h, reach_w = folding.reach_w;
  const int64_t room =
      std::max<int64_t>(1, kPairWindowBytes / (copies * blocks * kTile * static_cast<int64_t>(sizeof(float))));
  const int64_t piece = std::clamp<int64_t>(room / (2 * (reach_h + 1)) - reach_w,
                                            std::min<int64_t>(pass.columns, 4 * kPixels), pass.columns);
  const int64_t images = pass.planes() * pass.groups;
  const int64_t wanted =
      std::min(ceil_div(kTasks, images), std::max<int64_t>(1, pass.work() / images / (8 * kTaskWork)));
  const int64_t pieces = ceil_div(pass.columns, piece);
  const int64_t even_piece = std::min(piece, ceil_div(ceil_div(pass.columns, pieces), kPixels) * kPixels);
  const int64_t most = std::min(std::clamp<int64_t>(room / folding.width(even_piece) - reach_h, 1, pass.rows),
                                ceil_div(pass.rows, std::max<int64_t>(1, wanted / pieces)));
  const int64_t band = ceil_div(pass.rows, ceil_div(pass.rows, most));
  const Cut cut = Cut::of(pass, band, even_piece);
  const int64_t width = folding.width(cut.piece), height = cut.band + reach_h;
  // An odd number of cache lines from pair to pair, so that a tile's rows fall into different sets.
  const int64_t line = ceil_div(height * width + kPixels, 2 * kTile) * 2 * kTile + kTile;
  const int64_t copy_size = blocks * kTile * line;
  const int64_t window_size = copies * copy_size;
  const int64_t fitting = std::max<int64_t>(1, kPairWindowBytes / int64_t{sizeof(float)} / window_size);
  const int64_t unit_work = std::max<int64_t>(1, pass.work() / cut.units);
  const int64_t share = std::clamp<int64_t>(
      std::min(std::max(ceil_div(8 * kTaskWork, unit_work), cut.units / kTasks), fitting), 1, cut.units);

  std::vector<int64_t> a_offsets(static_cast<size_t>(blocks * taps)), b_offsets(a_offsets.size());
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t t = 0; t < taps; ++t) {
      const Folding::Tap& tap = folding.taps[t];
      a_offsets[block * taps + t] = (block * taps + t) * kWeightTile;
      b_offsets[block * taps + t] = tap.copy * copy_size + block * kTile * line + tap.row * width + tap.column;
    }
  }

  // Whether an output's rows continue each other, as those of the window do.
  const bool joins = width == pass.columns && pass.out_step_h == 1 &&
                     pass.out.row_stride == pass.columns * pass.out_step_w * pass.out.pixel_stride;

  const auto pack_window = [&](const Unit& unit, float* window) {
    const int64_t step = pass.step_w * pass.image.pixel_stride;
    for (int64_t k = 0; k < copies; ++k) {
      const Folding::Copy& copy = folding.copies[k];
      const int64_t slice = unit.slice * pass.step_d + pass.taps_d.shifts[copy.depth];
      const auto line_of = [&](int64_t channel, int64_t r) {
        if (channel >= channels || slice < 0 || slice >= pass.image.slices) return Line{};
        const Folding::Channel& at = folding.channels[channel];
        const int64_t y = (unit.row + r) * pass.step_h + copy.row + at.row;
        if (y < 0 || y >= pass.image.height) return Line{};
        const int64_t x = unit.column * pass.step_w + copy.column + at.column;
        return Line{pass.image.at(unit.image, unit.group * pass.in + at.channel, slice) + y * pass.image.row_stride +
                        x * pass.image.pixel_stride,
                    ceil_div(std::max<int64_t>(0, -x), pass.step_w), ceil_div(pass.image.width - x, pass.step_w)};
      };
      // From memory, for the next pair: packing alone waits for each of its many short runs (30 % of a 1 × 1 convolution's time on Zen 5).
      const auto fetch_lines = [&](int64_t begin, int64_t end) {
        for (int64_t channel = begin; channel < end; ++channel) {
          for (int64_t r = 0; r < unit.rows + reach_h; ++r) {
            const Line next = line_of(channel, r);
            for (int64_t j = std::max<int64_t>(0, next.begin); j < std::min(width, next.end); j += kLineElements) {
              __builtin_prefetch(next.data + j * step);
            }
          }
        }
      };
      for (int64_t pair = 0; pair < (blocks - 1) * kTile + pairs; ++pair) {
        float* to = window + k * copy_size + pair * line;
        fetch_lines(2 * pair + 2, 2 * pair + 4);
        for (int64_t r = 0; r < unit.rows + reach_h; ++r) {
          pack_lines(line_of(2 * pair, r), line_of(2 * pair + 1, r), step, width, to + r * width);
        }
      }
    }
  };

  ctx.parallel(ceil_div(cut.units, share), [&](int64_t task) {
    const int64_t first = task * share, last = std::min(cut.units, first + share);
    float* windows = ctx.thread_scratch<float>(window_size * (last - first));
    for (int64_t index = first; index < last; ++index) {
      pack_window(cut.at(index), windows + (index - first) * window_size);
    }
    PairTiles registers;
    PairProduct product;
    alignas(64) float sums[(kPairRows + 1) * kPixels];
    product.steps = 1;
    product.pairs = pairs;
    product.segments = blocks * taps;
    product.a_offsets = a_offsets.data();
    product.b_offsets = b_offsets.data();
    product.a_row = kPairStep;
    product.a_lower = kTile * kPairStep;
    product.b_row = line;
    product.c_row = kPixels;
    product.c = sums;
    for (int64_t strip = 0; strip < strips; ++strip) {
      const int64_t rows = std::min<int64_t>(kPairRows, pass.channels - strip * kPairRows);
      product.rows = static_cast<int>(std::min(rows, kTile));
      product.lower_rows = static_cast<int>(rows) - product.rows;
      for (int64_t index = first; index < last; ++index) {
        const Unit unit = cut.at(index);
        product.a = packed + (unit.group * strips + strip) * strip_size;
        const float* shift = bias == nullptr ? nullptr : bias + unit.group * padded + strip * kPairRows;
        const int64_t pixels = (unit.rows - 1) * width + unit.columns;
        for (int64_t pixel = 0; pixel < pixels; pixel += kPixels) {
          product.vectors = pixels - pixel > kTile ? 2 : 1;
          product.b = windows + (index - first) * window_size + pixel;
          registers.multiply(product);
          const int64_t end = std::min(pixels, pixel + kPixels);
          for (int64_t at = pixel; at < end;) {
            const int64_t row = at / width, column = at % width;
            const int64_t count = joins ? end - at : std::min(end - at, unit.columns - column);
            BFloat16* to = pass.target(unit.image, unit.slice, unit.group * pass.channels + strip * kPairRows,
                                       unit.row + row, unit.column + column);
            for (int64_t o = 0; o < rows && count > 0; ++o, to += pass.out.channel_stride) {
              store_pixels(sums + o * kPixels + at - pixel, count, broadcast(shift == nullptr ? 0.0f : shift[o]), to,
                           pass.out_step_w * pass.out.pixel_stride);
            }
            at += joins || column + count < unit.columns ? count : width - column;
          }
        }
      }
    }
  });
}

// Channels of whole steps: rows of a product are up to 16 neighbouring pixels of a row, two such tiles at a time, and columns 32 output channels.
// Windows are channels-last, so that every tap reads whole cache lines.
void run_channels_last(KernelContext& ctx, const Pass<BFloat16>& pass, const Weights<BFloat16>& weights) {
  constexpr int64_t kColumns = kPairVectors * kLanes<float>, kTilePixels = kTile;
  const int64_t taps_d = pass.taps_d.count(), taps_h = pass.taps_h.count(), taps_w = pass.taps_w.count();
  const int64_t taps = pass.taps(), in = pass.in;
  const int64_t depth = taps * in;

  // Weights in pairs, [group][panel][depth / 2][columns of the panel].
  const int64_t vectors = ceil_div(pass.channels, kLanes<float>), panels = ceil_div(vectors, kPairVectors);
  const auto panel_begin = [&](int64_t panel) { return std::min(panel * kColumns, vectors * kLanes<float>); };
  const int64_t group_size = depth / 2 * vectors * kLanes<float>;
  auto* packed = ctx.scratch<float>(pass.groups * group_size + kPackSlack);
  // Where the kernel's elements are adjacent, they are turned together, and taps find their places; else a tap at a time.
  const KernelAxes& axes = weights.axes;
  const bool whole = taps == axes.count() && axes.column_stride == 1 && axes.row_stride == axes.width &&
                     (axes.depth == 1 || axes.slice_stride == axes.height * axes.width);
  std::vector<int64_t> places(static_cast<size_t>(taps));
  for (int64_t at = 0; at < taps; ++at) {
    places[static_cast<size_t>(at)] = pass.tap_offset(axes, at / (taps_h * taps_w), at / taps_w % taps_h, at % taps_w);
  }
  constexpr int64_t kChunk = 2 * kTile;  // of input channels
  const int64_t chunks = ceil_div(in, kChunk);
  ctx.parallel(pass.groups * panels * chunks, [&](int64_t task) {
    const int64_t group = task / (panels * chunks), panel = task / chunks % panels, first = task % chunks * kChunk;
    const int64_t count = std::min(kChunk, in - first);
    const int64_t begin = panel_begin(panel), width = panel_begin(panel + 1) - begin;
    const int64_t lanes = std::min(width, pass.channels - begin);
    const BFloat16* from =
        weights.data + group * weights.group_stride + begin * weights.out_stride + first * weights.in_stride;
    float* to = packed + group * group_size + depth / 2 * begin;
    auto* turned = ctx.thread_scratch<float>(count * taps * width + kPackSlack);  // [input channel][tap][width]
    for (int64_t c = 0; whole && c < count; ++c) {
      pack(from + c * weights.in_stride, weights.out_stride, 1, lanes, width, taps, turned + c * taps * width, width);
    }
    for (int64_t at = 0; at < taps; ++at) {
      const int64_t place = places[static_cast<size_t>(at)], step = whole ? taps * width : width;
      if (!whole) pack(from + place, weights.out_stride, weights.in_stride, lanes, width, count, turned, width);
      const float* row = turned + (whole ? place * width : 0);
      for (int64_t c = 0; c < count; c += 2, row += 2 * step) {
        for (int64_t lane = 0; lane < width; lane += kTile) {
          const auto low = (Words)load(row + lane), high = (Words)load(row + step + lane);
          store(to + (at * in + first + c) / 2 * width + lane, (Vec<float>)(low >> 16 | high));
        }
      }
    }
  });
  const int64_t padded = panels * kColumns;
  const float* bias = gather_bias(ctx, pass, padded);

  const int64_t images = pass.planes() * pass.groups;
  const int64_t wanted =
      std::min(ceil_div(kTasks, images), std::max<int64_t>(1, pass.work() / images / (8 * kTaskWork)));
  const Cut cut(pass, pass.groups, in * int64_t{sizeof(BFloat16)}, wanted);
  const Window unit_window = pass.window(0, 0, cut.band, cut.piece);
  const int64_t image_row = unit_window.columns * in;
  const int64_t slice_size = unit_window.rows * image_row;
  const int64_t window_size = taps_d * slice_size + kPackSlack;
  const int64_t unit_work = std::max<int64_t>(1, pass.work() / cut.units);
  const int64_t fitting = std::max<int64_t>(1, kWindowBytes / int64_t{sizeof(BFloat16)} / window_size);
  const int64_t share = std::clamp<int64_t>(
      std::min(std::max(ceil_div(8 * kTaskWork, unit_work), cut.units / kTasks), fitting), 1, cut.units);
  std::vector<int64_t> a_offsets(static_cast<size_t>(taps));
  for (int64_t at = 0; at < taps; ++at) {
    const int64_t d = at / (taps_h * taps_w), i = at / taps_w % taps_h, j = at % taps_w;
    a_offsets[static_cast<size_t>(at)] = d * slice_size + (pass.taps_h.shifts[i] - pass.taps_h.first()) * image_row +
                                         (pass.taps_w.shifts[j] - pass.taps_w.first()) * in;
  }

  ctx.parallel(ceil_div(cut.units, share), [&](int64_t task) {
    const int64_t first = task * share, last = std::min(cut.units, first + share);
    auto* windows = ctx.thread_scratch<BFloat16>(window_size * (last - first) + kPackSlack);
    for (int64_t index = first; index < last; ++index) {
      const Unit unit = cut.at(index);
      for (int64_t d = 0; d < taps_d; ++d) {
        to_channels_last(pass.image, unit.image, unit.group * in, in, window_of(pass, unit, cut.piece, d),
                         windows + (index - first) * window_size + d * slice_size, in);
      }
    }
    PairTiles registers;
    PairProduct product;
    alignas(64) float sums[2 * kTilePixels * kColumns];
    product.c = sums;
    product.c_row = kColumns;
    std::vector<int64_t> panel_offsets(static_cast<size_t>(taps));
    // Tiles of a unit: all of one size, so the last of a row may overlap the one before it.
    struct Place {
      int64_t row, column;
    };
    const auto multiply = [&](const Unit& unit, int64_t panel, const Place* at, int count, int64_t pixels) {
      const int64_t begin = panel_begin(panel), width = panel_begin(panel + 1) - begin;
      const int64_t channels = std::min(width, pass.channels - begin);
      product.vectors = static_cast<int>(width / kLanes<float>);
      product.b = packed + unit.group * group_size + depth / 2 * begin;
      product.b_row = width;
      registers.multiply(product);
      for (int tile = 0; tile < count; ++tile) {
        const float* from = sums + tile * kTilePixels * kColumns;
        const float* shift = bias == nullptr ? nullptr : bias + unit.group * padded + begin;
        BFloat16* to = pass.target(unit.image, unit.slice, unit.group * pass.channels + begin, unit.row + at[tile].row,
                                   unit.column + at[tile].column);
        if (pass.out.pixel_stride == 1) {
          store_planes(from, pixels, channels, shift, to, pass.out.channel_stride);
          continue;
        }
        for (int64_t c = 0; c < channels; ++c) {
          for (int64_t p = 0; p < pixels; ++p) {
            to[c * pass.out.channel_stride + p * pass.out.pixel_stride] =
                BFloat16(from[p * kColumns + c] + (shift == nullptr ? 0.0f : shift[c]));
          }
        }
      }
    };
    const auto each_pair = [&](int64_t index, auto&& body) {
      const Unit unit = cut.at(index);
      const BFloat16* origin = windows + (index - first) * window_size;
      const int64_t pieces = ceil_div(unit.columns, kTilePixels), pixels = ceil_div(unit.columns, pieces);
      const int64_t tiles = unit.rows * pieces;
      for (int64_t tile = 0; tile < tiles; tile += 2) {
        const int count = tile + 1 < tiles ? 2 : 1;
        Place places[2] = {};
        int64_t offsets[2] = {};
        for (int i = 0; i < count; ++i) {
          places[i] = {(tile + i) / pieces, std::min((tile + i) % pieces * pixels, unit.columns - pixels)};
          offsets[i] = places[i].row * pass.step_h * image_row + places[i].column * pass.step_w * in;
        }
        product.rows = static_cast<int>(pixels);
        product.lower_rows = count == 2 ? product.rows : 0;
        product.a = origin + offsets[0];
        product.a_row = pass.step_w * in;
        product.a_lower = offsets[1] - offsets[0];
        body(unit, places, count, pixels);
      }
    };
    product.steps = in / kPairStep;
    product.segments = taps;
    product.a_offsets = a_offsets.data();
    product.b_offsets = panel_offsets.data();
    for (int64_t panel = 0; panel < panels; ++panel) {
      const int64_t width = panel_begin(panel + 1) - panel_begin(panel);
      for (int64_t at = 0; at < taps; ++at) panel_offsets[static_cast<size_t>(at)] = at * in / 2 * width;
      for (int64_t index = first; index < last; ++index) {
        each_pair(index, [&](const Unit& unit, const Place* at, int count, int64_t pixels) {
          multiply(unit, panel, at, count, pixels);
        });
      }
    }
  });
}

}  // namespace

void convolve_pairs(KernelContext& ctx, const Pass<BFloat16>& pass, const Weights<BFloat16>& weights) {
  if (pass.in % kPairStep == 0 && pass.taps() > 1 && pass.out_step_w == 1) return run_channels_last(ctx, pass, weights);
  run_planes(ctx, flattened(pass), weights);
}

// With so few channels a pass would leave most rows of a tile empty. Here rows of a product are (channel, tap), columns pixels of a row of g: what each
// pixel adds to the window it came from. The last rows of g stay in a ring, and a row of gx adds up what falls on it.
bool spread_pairs(KernelContext& ctx, const Geometry& geometry, const Images<BFloat16>& g,
                  const Weights<BFloat16>& weights, const Images<BFloat16>& gx) {
  constexpr int64_t kRowsAhead = 2;  // that are fetched
  const int64_t kernel_h = weights.axes.height, kernel_w = weights.axes.width, taps = kernel_h * kernel_w;
  const int64_t in = g.channels, blocks = ceil_div(in, kPairStep), strips = ceil_div(gx.channels * taps, kPairRows);
  const int64_t step_h = geometry.stride_h, step_w = geometry.stride_w;
  const auto first_column = [&](int64_t phase,
                                int64_t j) {  // of g, for column `phase` of gx and column j of the kernel
    return (phase + geometry.pad_w - j * geometry.dilation_w) / step_w;
  };
  // A row of the ring has zeros on both sides, as far as windows reach beyond the pixels.
  const int64_t width = ceil_div(g.width, kPixels) * kPixels;
  const int64_t left = ceil_div(std::max<int64_t>(0, (kernel_w - 1) * geometry.dilation_w - geometry.pad_w), step_w);
  const int64_t out_columns = ceil_div(ceil_div(gx.width, step_w), kPixels) * kPixels;
  const int64_t right = std::max<int64_t>(0, out_columns + first_column(step_w - 1, 0) - width);
  const int64_t line = ceil_div(left, kTile) * kTile + width + ceil_div(right, kTile) * kTile;
  const int64_t origin = ceil_div(left, kTile) * kTile;
  const int64_t ring = (kernel_h - 1) * geometry.dilation_h / step_h + 2;
  const int64_t row_size = strips * kPairRows * line;
  if (gx.count == 0 || geometry.groups != 1 || gx.channels > 4 || taps < 9 || g.slices != 1 || gx.slices != 1 ||
      weights.axes.depth != 1 || ring * row_size * int64_t{sizeof(float)} > 2 * kPairWindowBytes) {
    return false;
  }

  // Weights as tiles of rows: [strip][block of g's channels][32 rows][32 channels].
  auto* packed = ctx.scratch<BFloat16>(strips * blocks * kWeightTile);
  for (int64_t row = 0; row < strips * kPairRows; ++row) {
    const BFloat16* from = weights.data + row / taps * weights.out_stride +
                           row / kernel_w % kernel_h * weights.axes.row_stride +
                           row % kernel_w * weights.axes.column_stride;
    for (int64_t k = 0; k < blocks * kPairStep; ++k) {
      packed[((row / kPairRows * blocks + k / kPairStep) * kPairRows + row % kPairRows) * kPairStep + k % kPairStep] =
          row < gx.channels * taps && k < in ? from[k * weights.in_stride] : BFloat16(0.0f);
    }
  }

  // The columns of the kernel that reach gx's columns phase, phase + step_w, …, and the column of g that column 0 of those reads.
  struct Source {
    int64_t j, column;
  };
  const int64_t phases = std::min(step_w, gx.width);
  std::vector<std::vector<Source>> reaching(static_cast<size_t>(phases));
  for (int64_t phase = 0; phase < phases; ++phase) {
    for (int64_t j = 0; j < kernel_w; ++j) {
      if (floor_mod(phase + geometry.pad_w - j * geometry.dilation_w, step_w) != 0) continue;
      reaching[static_cast<size_t>(phase)].push_back({j, first_column(phase, j)});
    }
  }

  const int64_t bands = ceil_div(gx.height, std::max(ceil_div(gx.height, ceil_div(kTasks, gx.count)), 8 * step_h));
  ctx.parallel(gx.count * bands, [&](int64_t task) {
    const int64_t n = task / bands, begin = gx.height * (task % bands) / bands,
                  end = gx.height * (task % bands + 1) / bands;
    const int64_t pair_line = width + kTile;
    float* rows = ctx.thread_scratch<float>(ring * row_size + blocks * kTile * pair_line);
    float* pairs = rows + ring * row_size;
    std::fill_n(rows, ring * row_size, 0.0f);
    std::vector<const float*> from_rows, sources;
    PairTiles registers;
    PairProduct product;
    product.rows = product.lower_rows = kTile;
    product.vectors = kPairVectors;
    product.steps = blocks;
    product.a_row = kPairStep;
    product.a_lower = kTile * kPairStep;
    product.a_step = kWeightTile;
    product.b_row = pair_line;
    product.c_row = line;
    int64_t next =
        std::max<int64_t>(0, ceil_div(begin + geometry.pad_h - (kernel_h - 1) * geometry.dilation_h, step_h));
    for (int64_t y = begin; y < end; ++y) {
      for (; next < g.height && next * step_h <= y + geometry.pad_h; ++next) {
        const auto line_of = [&](int64_t channel) {
          if (channel >= in) return Line{};
          const BFloat16* row = g.at(n, channel) + next * g.row_stride;
          for (int64_t column = 0; column < g.width; column += kPixels) {
            __builtin_prefetch(row + kRowsAhead * g.row_stride + column * g.pixel_stride, 0, 2);
          }
          return Line{row, 0, g.width};
        };
        for (int64_t pair = 0; pair < blocks * kTile; ++pair) {
          pack_lines(line_of(2 * pair), line_of(2 * pair + 1), g.pixel_stride, width, pairs + pair * pair_line);
        }
        for (int64_t strip = 0; strip < strips; ++strip) {
          product.a = packed + strip * blocks * kWeightTile;
          for (int64_t pixel = 0; pixel < width; pixel += kPixels) {
            product.b = pairs + pixel;
            product.c = rows + next % ring * row_size + strip * kPairRows * line + origin + pixel;
            registers.multiply(product);
          }
        }
      }
      from_rows.clear();
      for (int64_t i = 0; i < kernel_h; ++i) {
        const int64_t from = y + geometry.pad_h - i * geometry.dilation_h, row = from / step_h;
        if (from < 0 || from % step_h != 0 || row >= g.height) continue;
        from_rows.push_back(rows + row % ring * row_size + i * kernel_w * line + origin);
      }
      for (int64_t c = 0; c < gx.channels; ++c) {
        for (int64_t phase = 0; phase < phases; ++phase) {
          sources.clear();
          for (const float* from : from_rows) {
            for (const auto& [j, column] : reaching[static_cast<size_t>(phase)]) {
              sources.push_back(from + (c * taps + j) * line + column);
            }
          }
          const int64_t columns = ceil_div(gx.width - phase, step_w);
          BFloat16* const to = gx.at(n, c) + y * gx.row_stride + phase * gx.pixel_stride;
          for (int64_t column = 0; column < columns; column += kPixels) {
            Vec<float> low{}, high{};
            for (const float* from : sources) {
              low += load(from + column);
              high += load(from + column + kTile);
            }
            float sums[kPixels];
            store(sums, low);
            store(sums + kTile, high);
            store_pixels(sums, std::min(kPixels, columns - column), Vec<float>{},
                         to + column * step_w * gx.pixel_stride, step_w * gx.pixel_stride);
          }
        }
      }
    }
  });
  return true;
}

namespace {

// Elements j … j + 31, zero outside.
template <int kStep>
[[gnu::always_inline]] inline Vec<float> load_pairs(const Line& line, int64_t step, int64_t j) {
  const auto lanes = [&](int64_t first, int64_t count) __attribute__((always_inline)) {
    return first >= line.begin && first + count <= line.end
               ? static_cast<uint32_t>((uint64_t{1} << count) - 1)
               : lane_mask(line.begin - first, std::min(line.end - first, count));
  };
  if constexpr (kStep == 1) {
    const uint32_t mask = lanes(j, 32);
    return mask == 0 ? Vec<float>{} : (Vec<float>)_mm512_maskz_loadu_epi16(mask, line.data + j);
  } else {
    // Even words of two vectors; of another step, words that load_words has put together.
    const Words low = load_words<kStep>(line, step, j), high = load_words<kStep>(line, step, j + kTile);
    return (Vec<float>)_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16((__m512i)low)),
                                          _mm512_cvtepi32_epi16((__m512i)high), 1);
  }
}

// Sixteen lines side by side: to[pair · kPixels + lane], for pairs < `pairs`.
template <int kStep>
void turn_lines(const Line* lines, int64_t offset, int64_t step, int64_t pairs, float* to) {
  for (int64_t pair = 0; pair < pairs; pair += kTile) {
    Vec<float> square[kTile];
    unroll<kTile>([&](auto lane) __attribute__((always_inline)) {
      const Line line{lines[lane].data + offset, lines[lane].begin, lines[lane].end};
      square[lane] = load_pairs<kStep>(line, step, 2 * pair);
    });
    transpose<float>(square);
    const int64_t count = std::min(kTile, pairs - pair);
    float* out = to + pair * kPixels;
    unroll<kTile>([&](auto i) __attribute__((always_inline)) {
      if (i < count) store(out + i * kPixels, square[i]);
    });
  }
}

// A 1 × 1 kernel over whole planes is one over lines.
WeightTap<BFloat16> flattened(const WeightTap<BFloat16>& given) {
  const Geometry& geometry = given.geometry;
  WeightTap<BFloat16> tap = given;
  const auto joins = [](const Images<BFloat16>& images) {
    return images.height == 1 || images.row_stride == images.width * images.pixel_stride;
  };
  if (tap.axes.height == 1 && tap.axes.width == 1 && geometry.stride_h == 1 && geometry.stride_w == 1 &&
      geometry.pad_h == 0 && geometry.pad_w == 0 && joins(tap.g) && joins(tap.x)) {
    for (Images<BFloat16>* images : {&tap.g, &tap.x}) {
      images->width *= images->height;
      images->height = 1;
    }
  }
  return tap;
}

}  // namespace

// Rows of a product are output channels, its columns 32 lanes: input channels at the taps of a row, one line of x each. k runs over pixels of
// g, in pairs, row after row; a row of taps reads x some rows further on. What g has none of (the second of a pair at the end
// of a row) is zero on both sides.
void weight_gradient_pairs(KernelContext& ctx, const WeightTap<BFloat16>& given) {
  const WeightTap<BFloat16> tap = flattened(given);
  const Geometry& geometry = tap.geometry;
  const Images<BFloat16>&g = tap.g, &x = tap.x;
  const int64_t kernel_h = tap.axes.height, kernel_w = tap.axes.width;
  const int64_t lanes = kernel_w * tap.in, lane_blocks = ceil_div(lanes, kPixels);
  const int64_t strips = ceil_div(tap.channels, kPairRows), padded = strips * kPairRows;

  // Rows of x are kept by their remainder of the stride: a row of taps then reads neighbours.
  struct RowTap {
    int64_t copy, row;
  };
  std::vector<RowTap> row_taps;
  std::vector<int64_t> copies;
  int64_t reach = 0;
  for (int64_t i = 0; i < kernel_h; ++i) {
    const int64_t row = i * geometry.dilation_h, phase = row % geometry.stride_h;
    const auto at = std::find(copies.begin(), copies.end(), phase);
    row_taps.push_back({at - copies.begin(), row / geometry.stride_h});
    if (at == copies.end()) copies.push_back(phase);
    reach = std::max(reach, row / geometry.stride_h);
  }
  const auto copy_count = static_cast<int64_t>(copies.size());

  // Tasks are (share of the units, group, part of the lanes): shares while their sums stay within 4 MiB, then parts.
  const int64_t sums_size = kernel_h * lane_blocks * padded * kPixels;
  const int64_t planes = g.count * tap.slices;
  const int64_t most_shares =
      std::clamp<int64_t>(std::min(kTasks / tap.groups, (int64_t{1} << 20) / (sums_size * tap.groups)), 1, kTasks);
  const int64_t parts = std::clamp<int64_t>(kTasks / (2 * tap.groups * most_shares), 1, lane_blocks);
  const int64_t part_blocks = ceil_div(lane_blocks, parts);

  // Units of rows and columns whose windows fit the budget, several at once where they are small.
  const int64_t x_pair = part_blocks * copy_count * kPixels, g_pair = padded;  // floats
  const int64_t room = std::max<int64_t>(1, kPairWindowBytes / int64_t{sizeof(float)});
  const int64_t most_pairs = std::max<int64_t>(kTile, room / (x_pair * (1 + reach) + g_pair) / kTile * kTile);
  const int64_t pairs = std::min(ceil_div(g.width, 2), most_pairs), piece = 2 * pairs;
  const int64_t pieces = ceil_div(g.width, piece);
  const int64_t most_band =
      std::clamp<int64_t>((room - x_pair * reach * pairs) / ((x_pair + g_pair) * pairs), 1, g.height);
  const int64_t bands = ceil_div(g.height, most_band), band = ceil_div(g.height, bands);
  const int64_t units = planes * bands * pieces;
  const int64_t copy_size = (band + reach) * pairs * kPixels;
  const int64_t tail_size = kTile * kPixels;
  const int64_t x_size = copy_count * copy_size + kernel_h * tail_size;  // of a block of lanes
  const int64_t unit_steps = ceil_div(band * pairs, kTile);
  const int64_t g_size = unit_steps * kWeightTile;  // of a strip
  const int64_t unit_size = part_blocks * x_size + strips * g_size / 2;
  const int64_t shares = std::min(most_shares, units);
  const int64_t together = std::clamp<int64_t>(room / unit_size, 1, ceil_div(units, shares));
  auto* sums = ctx.scratch<float>(shares * tap.groups * sums_size);

  ctx.parallel(shares * tap.groups * parts, [&](int64_t task) {
    const int64_t share = task / (tap.groups * parts), group = task / parts % tap.groups, part = task % parts;
    const int64_t first = units * share / shares, last = units * (share + 1) / shares;
    const int64_t block_begin = lane_blocks * part / parts, block_end = lane_blocks * (part + 1) / parts;
    float* const own = sums + (share * tap.groups + group) * sums_size;
    auto* xs = ctx.thread_scratch<float>(together * unit_size + band * pairs + kPackSlack);
    auto* gs = reinterpret_cast<BFloat16*>(xs + together * part_blocks * x_size);
    auto* line = gs + together * strips * g_size;

    struct Piece {
      int64_t image, slice, row, rows, column, columns;
    };
    const auto piece_at = [&](int64_t unit) {
      const int64_t plane = unit / (bands * pieces), row = unit / pieces % bands * band, column = unit % pieces * piece;
      return Piece{plane / tap.slices,
                   tap.first_slice + plane % tap.slices,
                   row,
                   std::min(band, g.height - row),
                   column,
                   std::min(piece, g.width - column)};
    };
    const auto pack_g = [&](const Piece& at, int64_t o, BFloat16* to) {
      const BFloat16* from =
          g.at(at.image, group * tap.channels + o, at.slice) + at.row * g.row_stride + at.column * g.pixel_stride;
      const int64_t elements = at.rows * piece;
      const bool flat = g.pixel_stride == 1 && (at.rows == 1 || (g.row_stride == piece && at.columns == piece));
      if (!flat) {
        for (int64_t r = 0; r < at.rows; ++r) {
          BFloat16* row = line + r * piece;
          for (int64_t c = 0; c < at.columns; ++c) row[c] = from[r * g.row_stride + c * g.pixel_stride];
          std::fill(row + at.columns, row + piece, BFloat16(0.0f));
        }
        from = line;
      }
      const int64_t valid = flat && at.rows == 1 ? at.columns : elements;
      for (int64_t k = 0; k < elements; k += kPairStep, to += kWeightTile) {
        _mm512_store_si512(to, _mm512_maskz_loadu_epi16(lane_mask(0, valid - k), from + k));
      }
    };
    const auto pack_x = [&](const Piece& at, int64_t block, float* to) {
      const int64_t step = geometry.stride_w * x.pixel_stride;
      const int64_t slice = at.slice * geometry.stride_d + tap.shift;
      Line lines[kPixels];
      for (int64_t i = 0; i < kPixels; ++i) {
        const int64_t lane = block * kPixels + i;
        if (lane >= lanes) continue;
        const int64_t column = at.column * geometry.stride_w + lane / tap.in * geometry.dilation_w - geometry.pad_w;
        lines[i].data = x.at(at.image, group * tap.in + lane % tap.in, slice) + column * x.pixel_stride;
        lines[i].begin = ceil_div(std::max<int64_t>(0, -column), geometry.stride_w);
        lines[i].end = std::min(at.columns, ceil_div(x.width - column, geometry.stride_w));
      }
      for (int64_t copy = 0; copy < copy_count; ++copy) {
        for (int64_t r = 0; r < at.rows + reach; ++r) {
          float* row = to + copy * copy_size + r * pairs * kPixels;
          const int64_t y = (at.row + r) * geometry.stride_h + copies[copy] - geometry.pad_h;
          if (y < 0 || y >= x.height) {
            std::fill_n(row, pairs * kPixels, 0.0f);
            continue;
          }
          for (int64_t half = 0; half < kPixels; half += kTile) {
            if (step == 1) {
              turn_lines<1>(lines + half, y * x.row_stride, step, pairs, row + half);
            } else if (step == 2) {
              turn_lines<2>(lines + half, y * x.row_stride, step, pairs, row + half);
            } else {
              turn_lines<0>(lines + half, y * x.row_stride, step, pairs, row + half);
            }
          }
        }
      }
      // The last step of k holds what is left of the pixels, and zeros.
      const int64_t whole = at.rows * pairs / kTile * kTile, rest = at.rows * pairs - whole;
      for (int64_t i = 0; rest > 0 && i < kernel_h; ++i) {
        const float* from = to + row_taps[i].copy * copy_size + (row_taps[i].row * pairs + whole) * kPixels;
        float* tail = to + copy_count * copy_size + i * tail_size;
        std::copy_n(from, rest * kPixels, tail);
        std::fill(tail + rest * kPixels, tail + tail_size, 0.0f);
      }
    };

    PairTiles registers;
    PairProduct product;
    product.steps = 1;
    product.a_row = kPairStep;
    product.a_lower = kTile * kPairStep;
    product.b_row = kPixels;
    product.c_row = kPixels;
    std::vector<int64_t> a_offsets;
    std::vector<std::vector<int64_t>> b_offsets(static_cast<size_t>(kernel_h));
    for (int64_t start = first; start < last; start += together) {
      a_offsets.clear();
      for (auto& offsets : b_offsets) offsets.clear();
      for (int64_t u = 0; u < together && start + u < last; ++u) {
        const Piece at = piece_at(start + u);
        for (int64_t o = 0; o < tap.channels; ++o) {
          pack_g(at, o, gs + (o / kPairRows * together + u) * g_size + o % kPairRows * kPairStep);
        }
        for (int64_t block = block_begin; block < block_end; ++block) {
          pack_x(at, block, xs + ((block - block_begin) * together + u) * x_size);
        }
        const int64_t steps = ceil_div(at.rows * pairs, kTile), whole = at.rows * pairs / kTile;
        for (int64_t s = 0; s < steps; ++s) {
          a_offsets.push_back(u * g_size + s * kWeightTile);
          for (int64_t i = 0; i < kernel_h; ++i) {
            b_offsets[i].push_back(
                u * x_size + (s < whole ? row_taps[i].copy * copy_size + (row_taps[i].row * pairs + s * kTile) * kPixels
                                        : copy_count * copy_size + i * tail_size));
          }
        }
      }
      product.segments = static_cast<int64_t>(a_offsets.size());
      product.a_offsets = a_offsets.data();
      product.accumulate = start > first;
      for (int64_t strip = 0; strip < strips; ++strip) {
        const int64_t rows = std::min<int64_t>(kPairRows, tap.channels - strip * kPairRows);
        product.rows = static_cast<int>(std::min(rows, kTile));
        product.lower_rows = static_cast<int>(rows) - product.rows;
        product.a = gs + strip * together * g_size;
        for (int64_t block = block_begin; block < block_end; ++block) {
          product.vectors = lanes - block * kPixels > kTile ? 2 : 1;
          product.b = xs + (block - block_begin) * together * x_size;
          for (int64_t i = 0; i < kernel_h; ++i) {
            product.b_offsets = b_offsets[i].data();
            product.c = own + ((i * lane_blocks + block) * padded + strip * kPairRows) * kPixels;
            registers.multiply(product);
          }
        }
      }
    }
  });

  // The shares' sums, from [row of taps][block][output channel][lane] to [output channel][input channel, taps].
  ctx.parallel_ranges(
      tap.groups * tap.channels, ceil_div(int64_t{1} << 15, kernel_h * lanes), [&](int64_t begin, int64_t end) {
        auto* total = ctx.thread_scratch<float>(kernel_h * lane_blocks * kPixels + kTile);
        for (int64_t index = begin; index < end; ++index) {
          const int64_t group = index / tap.channels, o = index % tap.channels;
          for (int64_t block = 0; block < kernel_h * lane_blocks; ++block) {
            for (int64_t half = 0; half < kPixels; half += kTile) {
              const float* from = sums + group * sums_size + (block * padded + o) * kPixels + half;
              Vec<float> sum = load(from);
              for (int64_t share = 1; share < shares; ++share) sum += load(from + share * tap.groups * sums_size);
              store(total + block * kPixels + half, sum);
            }
          }
          const int64_t taps = kernel_h * kernel_w;
          const bool adjacent = tap.axes.column_stride == 1 && tap.axes.row_stride == kernel_w;
          const auto sum_of = [&](int64_t at) {
            return total + at / kernel_w * lane_blocks * kPixels + at % kernel_w * tap.in;
          };
          // Squares of sixteen input channels and as many taps.
          for (int64_t c = 0; c < tap.in; c += kTile) {
            const int64_t channels = std::min(kTile, tap.in - c);
            for (int64_t at = 0; at < taps; at += kTile) {
              const auto count = static_cast<int>(std::min(kTile, taps - at));
              Vec<float> square[kTile];
              for (int64_t i = 0; i < kTile; ++i) {
                square[i] = i < count ? load(sum_of(at + i) + c) : Vec<float>{};
              }
              transpose<float>(square);
              for (int64_t i = 0; i < channels; ++i) {
                if (adjacent) {
                  store_columns(tap.at(index, c + i, 0, 0) + at, square[i], count);
                  continue;
                }
                for (int64_t t = 0; t < count; ++t) {
                  *tap.at(index, c + i, (at + t) / kernel_w, (at + t) % kernel_w) = BFloat16(square[i][t]);
                }
              }
            }
          }
        }
      });
}

#else
void weight_gradient_pairs(KernelContext&, const WeightTap<BFloat16>&) {}
bool spread_pairs(KernelContext&, const Geometry&, const Images<BFloat16>&, const Weights<BFloat16>&,
                  const Images<BFloat16>&) {
  return false;
}
void convolve_pairs(KernelContext&, const Pass<BFloat16>&, const Weights<BFloat16>&) {}
#endif

}  // namespace hadal::cpu
