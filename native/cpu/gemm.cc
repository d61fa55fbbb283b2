// Blocking, packing and parallel cutting of matrix products. See gemm.h for the contract, gemm_tile.h for the inner loop.
//
// A product is cut into strips (rows of one tile) and panels (columns of one tile). Packed, a strip is [k][rows] and a panel
// [k][columns], so a tile reads both in a straight line. The panel stays in the L1 cache while the strips of a block pass by
// from L2. Which element is summed in which order follows from m, n and k alone.
#include "cpu/gemm.h"

#include <algorithm>

#include "cpu/gemm_amx.h"
#include "cpu/gemm_pack.h"
#include "kernels/math.h"

namespace hadal::cpu {
namespace {

// Depth of a block of k: a panel of three vectors then takes 36 KiB and a strip of eight rows 6 KiB, which share an L1 cache
// of 48 KiB (measured: 128, 256 and 384 deep are 1 to 5 % slower). The sums of a tile go to memory and back once per
// block, 24 loads and stores against 2,300 cycles of products.
template <class T>
inline constexpr int64_t kDepth = 768 / static_cast<int64_t>(sizeof(T));
// The same for AMX, in pairs: a panel of 32 columns takes 24 KiB of the L1 cache, where it must stay: a strip alone asks half of what
// L2 delivers.
inline constexpr int64_t kAmxDepth = 192;
// Most rows of a task's block: its packed strips (160 × kDepth × 4 = 120 KiB) stay in an L2 cache of 512 KiB or more. And the fewest for
// which a panel is brought to the L1 cache, unless there are no more.
inline constexpr int64_t kBlockRows = 160;
inline constexpr int64_t kLeastBlockRows = 96;
// The same for AMX, which outruns an L3 cache that each block reads all of b from; and its elements, 1 MiB of an L2 cache of 2 MiB.
inline constexpr int64_t kAmxBlockRows = 256;
inline constexpr int64_t kAmxBlockElements = int64_t{1} << 19;
// Packed b of one pass over c: at most kPassDepth × kPassColumns elements (16 MiB of float), what an L3 cache holds.
inline constexpr int64_t kPassDepth = 2048;
inline constexpr int64_t kPassElements = int64_t{1} << 22;
// Multiply-adds that are worth a task of their own: 10 µs at the 10^11 per second of one core.
inline constexpr int64_t kTaskWork = int64_t{1} << 20;
// Up to this many rows b is read where it lies: packing it would cost more than it saves.
inline constexpr int64_t kDirectRows = 24;
// Up to this many rows a product with transposed b is a set of dot products.
inline constexpr int64_t kDotRows = 4;
// … if k is at least this: each product ends with a sum over lanes, as long as the products of a hundred steps of k.
inline constexpr int64_t kDotDepth = 128;
// Elements of a that tiles read where they lie without falling out of the L1 cache.
inline constexpr int64_t kDirectElements = 8192;

// Applies the activation in place, as the pointwise kernels compute it.
template <class T>
[[gnu::noinline]] void activate(Activation activation, T* values, int64_t count) {
  constexpr int kWidth = kLanes<T>;
  const auto map = [&](auto&& f) {
    int64_t i = 0;
    for (; i + kWidth <= count; i += kWidth) store(values + i, f(load(values + i)));
    if (i < count) {
      const int rest = static_cast<int>(count - i);
      store_columns(values + i, f(load_columns(values + i, rest)), rest);
    }
  };
  using V = Vec<T>;
  const V zero{};
  switch (activation) {
    case Activation::kNone: return;
    case Activation::kRelu: return map([&](V x) { return x < zero ? zero : x; });
    case Activation::kGelu:
      return map([](V x) { return T(0.5) * x * (T(1) + math::erf(x * T(0.70710678118654752440))); });
    case Activation::kGeluTanh:
      return map([](V x) {
        return T(0.5) * x * (T(1) + math::tanh(x * (T(0.79788456080286535588) + T(0.035677408136300125) * x * x)));
      });
    case Activation::kSilu: return map([](V x) { return x * math::sigmoid(x); });
    case Activation::kSigmoid: return map([](V x) { return math::sigmoid(x); });
    case Activation::kTanh: return map([](V x) { return math::tanh(x); });
  }
}

// The same product with c transposed: cᵀ = bᵀ · aᵀ.
template <class E>
Gemm<E> transposed(const Gemm<E>& g) {
  Gemm<E> t = g;
  t.m = g.n;
  t.n = g.m;
  t.a = g.b;
  t.a_row = g.b_column;
  t.a_column = g.b_row;
  t.b = g.a;
  t.b_row = g.a_column;
  t.b_column = g.a_row;
  t.c_row = g.c_column;
  t.c_column = g.c_row;
  t.bias_row = g.bias_column;
  t.bias_column = g.bias_row;
  return t;
}

// One product with everything that follows from its sizes.
template <class E>
class Product {
 public:
  using T = Compute<E>;
  static constexpr int kWidth = kLanes<T>;
  static constexpr bool kConverts = !std::is_same_v<E, T>;

  explicit Product(const Gemm<E>& gemm) : g_(gemm) {
    // Columns of c lie along vector lanes: turn a c that is adjacent along its rows, and one of few columns.
    const bool column_major = g_.c_row == 1 && g_.c_column != 1 && g_.n > 1;
    if (column_major || (g_.n <= kDotRows && g_.n < g_.m)) g_ = transposed(g_);
    // A few rows times a large transposed b (a layer's forward pass on a small batch): packing b would cost as much as the
    // products. Turned, b is read where it lies, row by row, and only the few rows of a are packed.
    const bool reads_b = !kConverts && g_.b_row == 1 && g_.b_column != 1;
    if (reads_b && g_.m > (g_.k < kDotDepth ? 1 : kDotRows) && g_.m <= 4 * kWidth && g_.m < g_.n) g_ = transposed(g_);
    vectors_ = ceil_div(g_.n, kWidth);
    if constexpr (std::is_same_v<E, BFloat16>) {
      amx_ = has_amx();
      pairs_ = amx_ || has_pair_kernels();
    }
    widest_ = panel_vectors();
    panels_ = ceil_div(vectors_, widest_);
    writes_c_ = !kConverts && g_.c_column == 1;
    steps_ = amx_ ? ceil_div(g_.k, kAmxStep) * (kAmxStep / 2) : pairs_ ? ceil_div(g_.k, 2) : g_.k;
    is_dot_ = g_.m <= kDotRows && (g_.b_row == 1 || g_.k == 1) && g_.b_column != 1 && (g_.m == 1 || g_.k >= kDotDepth);
    packs_b_ = kConverts || g_.b_column != 1 || g_.m > kDirectRows;
    const bool direct_a =
        pairs_ ? g_.a_column == 1 && g_.a_row % 2 == 0 && g_.k % (amx_ ? kAmxStep : 2) == 0 : !kConverts;
    // Rows of a that are adjacent along k are as good where they lie (128³ and 256³ gain 10 % unpacked), unless their distance
    // puts them into the same few sets of the L1 cache, whose twelve or eight ways hold the panel as well.
    const int64_t distance = g_.a_column == 1 ? g_.a_row * int64_t{sizeof(E)} : 0;
    const bool aliases = g_.a_column == 1 && distance % 4096 == 0;
    const bool stays = g_.a_column == 1 ? distance % 4096 != 0 : g_.m <= kDirectRows && g_.a_row == 1;
    packs_a_ = !direct_a || (panels_ > 2 && g_.m * steps_ > kDirectElements && (amx_ || !stays));
    strips_ = ceil_div(g_.m, !amx_ && !packs_a_ && aliases ? std::min(8, strip_rows()) : strip_rows());
  }

  int64_t work() const { return g_.m * g_.n * g_.k; }

  // All of it on this thread, for small products and inside the tasks of a batch. Uses thread scratch only.
  void run_serial(KernelContext& ctx) const {
    if (g_.m == 0 || g_.n == 0) return;
    const int64_t bias_size = bias_scratch();
    if (is_dot_) {
      T* scratch = ctx.thread_scratch<T>(bias_size + g_.m * g_.k);
      return dot_range(gather_bias(scratch), gather_a(scratch + bias_size), 0, g_.n);
    }
    const int64_t blocks = depth_blocks(steps_);
    const int64_t depth = largest_part(steps_, blocks);
    const int64_t a_size = packs_a_ ? strips_ * strip_stride(depth) : 0;
    const int64_t b_size = panel_scratch(0, panels_) * depth;
    const int64_t sums_size = blocks > 1 && !writes_c_ ? g_.m * vectors_ * kWidth : 0;
    T* scratch = ctx.thread_scratch<T>(align(bias_size) + align(a_size) + align(b_size) + sums_size);
    Block block;
    block.bias = gather_bias(scratch);
    T* a = scratch + align(bias_size);
    T* b = a + align(a_size);
    block.strips_end = strips_;
    block.panels_end = panels_;
    block.sums = sums_size > 0 ? b + align(b_size) : nullptr;
    for (int64_t i = 0; i < blocks; ++i) {
      block.k_begin = part_begin(steps_, blocks, i);
      block.k_end = part_begin(steps_, blocks, i + 1);
      block.first = i == 0;
      block.last = i == blocks - 1;
      if (packs_a_) pack_strips(0, strips_, block.k_begin, block.k_end, a);
      pack_panels(0, 0, panels_, block.k_begin, block.k_end, b);
      block.a = packs_a_ ? a : nullptr;
      block.b = b;
      multiply(block);
    }
  }

  // Cut into tasks. Pass by pass over c, b is packed by all threads, then each task works through a block of c.
  void run(KernelContext& ctx) const {
    if (work() < 2 * kTaskWork) return run_serial(ctx);
    const T* bias = gather_bias(ctx.scratch<T>(bias_scratch()));
    if (is_dot_) {
      const T* a = gather_a(ctx.scratch<T>(g_.m * g_.k));
      // Bound by memory: 2^18 elements of b are 1 MiB of float, some 50 µs.
      return ctx.parallel_ranges(g_.n, ceil_div(int64_t{1} << 18, g_.k),
                                 [&](int64_t begin, int64_t end) { dot_range(bias, a, begin, end); });
    }
    // AMX keeps the sums of a panel between blocks of k, and so takes all of k at once.
    const int64_t passes_k = amx_ ? 1 : ceil_div(steps_, kPassDepth);
    const int64_t pass_depth = largest_part(steps_, passes_k);
    const int64_t pass_panels =
        std::min(panels_, std::max<int64_t>(1, kPassElements / (pass_depth * widest_ * kWidth)));
    const int64_t passes_n = ceil_div(panels_, pass_panels);

    T* sums = nullptr;
    if (!writes_c_ && !amx_ && depth_blocks(pass_depth) * passes_k > 1) sums = ctx.scratch<T>(g_.m * vectors_ * kWidth);
    T* b = nullptr;
    T* a = nullptr;
    for (int64_t pass_n = 0; pass_n < passes_n; ++pass_n) {
      const int64_t panels_begin = panels_ * pass_n / passes_n, panels_end = panels_ * (pass_n + 1) / passes_n;
      const int64_t panels = panels_end - panels_begin;
      // Where that gives one task columns of several blocks, a is packed for all of them first.
      const auto [row_blocks, column_blocks] = cut(panels, work() / passes_n / passes_k / kTaskWork);
      const bool shares_a = packs_a_ && column_blocks > 1;

      for (int64_t pass_k = 0; pass_k < passes_k; ++pass_k) {
        const int64_t pass_begin = part_begin(steps_, passes_k, pass_k),
                      pass_end = part_begin(steps_, passes_k, pass_k + 1);
        const int64_t blocks = depth_blocks(pass_end - pass_begin);
        const auto block_begin = [&](int64_t i) { return pass_begin + part_begin(pass_end - pass_begin, blocks, i); };
        const int64_t depth = largest_part(pass_end - pass_begin, blocks);
        const int64_t a_block = strips_ * strip_stride(depth);
        const int64_t b_block = panel_scratch(0, pass_panels + 1) * depth;
        if (b == nullptr) b = ctx.scratch<T>((b_block + kPackSlack) * (blocks + 1));
        if (shares_a && a == nullptr) a = ctx.scratch<T>((a_block + strip_stride(1)) * (blocks + 1));

        // Packing: tasks of 32 Ki elements, one kind after the other.
        const int64_t panel_chunk = packs_b_ ? std::max<int64_t>(1, 32768 / (depth * widest_ * kWidth)) : panels;
        const int64_t panel_tasks = ceil_div(panels, panel_chunk);
        const int64_t strip_chunk = std::max<int64_t>(1, 32768 / strip_stride(depth));
        const int64_t strip_tasks = shares_a ? ceil_div(strips_, strip_chunk) : 0;
        ctx.parallel(blocks * (panel_tasks + strip_tasks), [&](int64_t task) {
          const int64_t i = task / (panel_tasks + strip_tasks);
          int64_t part = task % (panel_tasks + strip_tasks);
          if (part < panel_tasks) {
            const int64_t begin = panels_begin + part * panel_chunk;
            pack_panels(panels_begin, begin, std::min(panels_end, begin + panel_chunk), block_begin(i),
                        block_begin(i + 1), b + i * b_block);
          } else {
            const int64_t begin = (part - panel_tasks) * strip_chunk;
            pack_strips(begin, std::min(strips_, begin + strip_chunk), block_begin(i), block_begin(i + 1),
                        a + i * a_block + begin * strip_stride(block_begin(i + 1) - block_begin(i)));
          }
        });
        ctx.parallel(row_blocks * column_blocks, [&](int64_t task) {
          const int64_t row = task / column_blocks, column = task % column_blocks;
          Block block;
          block.strips_begin = strips_ * row / row_blocks;
          block.strips_end = strips_ * (row + 1) / row_blocks;
          block.panels_base = panels_begin;
          block.panels_begin = panels_begin + panels * column / column_blocks;
          block.panels_end = panels_begin + panels * (column + 1) / column_blocks;
          block.bias = bias;
          block.sums = sums;
          const int64_t strips = block.strips_end - block.strips_begin;
          const auto select = [&](int64_t i) {
            block.k_begin = block_begin(i);
            block.k_end = block_begin(i + 1);
            block.first = block.k_begin == 0;
            block.last = block.k_end == steps_;
            block.b = b + i * b_block;
            if (shares_a) block.a = a + i * a_block + block.strips_begin * strip_stride(block.k_end - block.k_begin);
          };
          const int64_t own_block = packs_a_ && !shares_a ? strips * strip_stride(depth) : 0;
          if (amx_) {
            block.keeps_sums = blocks > 1;
            T* kept = ctx.thread_scratch<T>(strips * kAmxRows * kAmxVectors * kWidth + blocks * own_block);
            T* own = kept + strips * kAmxRows * kAmxVectors * kWidth;
            block.sums = block.keeps_sums ? kept : nullptr;
            for (int64_t i = 0; i < blocks && own_block > 0; ++i) {
              pack_strips(block.strips_begin, block.strips_end, block_begin(i), block_begin(i + 1),
                          own + i * own_block);
            }
            for (int64_t panel = block.panels_begin, end = block.panels_end; panel < end; ++panel) {
              block.panels_begin = panel;
              block.panels_end = panel + 1;
              for (int64_t i = 0; i < blocks; ++i) {
                select(i);
                if (own_block > 0) block.a = own + i * own_block;
                const int64_t after = (i + 1) % blocks;
                block.next = b + after * b_block +
                             panel_offset(panels_begin, std::min(panel + (after == 0), panels_end - 1),
                                          block_begin(after + 1) - block_begin(after));
                multiply(block);
              }
            }
            return;
          }
          T* own = own_block > 0 ? ctx.thread_scratch<T>(own_block) : nullptr;
          for (int64_t i = 0; i < blocks; ++i) {
            select(i);
            if (own_block > 0) {
              pack_strips(block.strips_begin, block.strips_end, block.k_begin, block.k_end, own);
              block.a = own;
            }
            multiply(block);
          }
        });
      }
    }
  }

 private:
  // Strips × panels over one block of k.
  struct Block {
    int64_t strips_begin = 0;
    int64_t strips_end = 0;
    int64_t panels_base = 0;  // the panel that packed b starts with
    int64_t panels_begin = 0;
    int64_t panels_end = 0;
    int64_t k_begin = 0;
    int64_t k_end = 0;
    const T* a = nullptr;  // packed strips from strips_begin on; null: a is read where it lies
    const T* b = nullptr;  // packed panels from panels_base on
    const T* bias = nullptr;
    T* sums = nullptr;        // [m, vectors] between blocks of k where c itself cannot hold them
    const T* next = nullptr;  // what follows the last panel
    bool keeps_sums = false;  // of these strips and one panel alone
    bool first = true;
    bool last = true;
  };

  struct Cut {
    int64_t row_blocks;
    int64_t column_blocks;
  };
  // Cuts c into blocks, each the work of a task: at least `wanted` of them, up to 16.
  Cut cut(int64_t panels, int64_t wanted) const {
    wanted = std::clamp<int64_t>(wanted, 1, 16);
    if (amx_) {
      const int64_t rows = std::clamp<int64_t>(kAmxBlockElements / g_.k, 64, kAmxBlockRows);
      const int64_t row_blocks = std::clamp(ceil_div(g_.m, rows), std::min<int64_t>(4, strips_), strips_);
      return {row_blocks, std::clamp<int64_t>(wanted / row_blocks, 1, panels)};
    }
    // Enough rows: a task packs its own of a, and its sums in c stay in L2 from one block of k to the next.
    const int64_t blocks = std::max(wanted, ceil_div(g_.m, kBlockRows));
    if (g_.m >= blocks * kLeastBlockRows) return {blocks, 1};
    // Each block reads its rows of a and columns of b from an L3 cache that gives a core some 10 GB/s, so blocks are as square as their number allows.
    const int64_t columns = panels * widest_ * kWidth;
    Cut best{};
    int64_t least = INT64_MAX;
    for (int64_t rows = ceil_div(g_.m, kBlockRows); rows <= std::min(strips_, wanted); ++rows) {
      const int64_t traffic = g_.m * std::min(ceil_div(wanted, rows), panels) + columns * rows;
      if (traffic >= least) continue;
      best = {rows, std::min(ceil_div(wanted, rows), panels)};
      least = traffic;
    }
    return best;
  }

  static int64_t align(int64_t count) { return ceil_div(count, 16) * 16 + kPackSlack; }
  int64_t depth_blocks(int64_t k) const { return std::max<int64_t>(1, ceil_div(k, amx_ ? kAmxDepth : kDepth<T>)); }
  // Steps of k in equal parts, of whole steps of AMX with it.
  int64_t unit() const { return amx_ ? kAmxStep / 2 : 1; }
  int64_t part_begin(int64_t steps, int64_t parts, int64_t i) const { return steps / unit() * i / parts * unit(); }
  int64_t largest_part(int64_t steps, int64_t parts) const { return ceil_div(steps / unit(), parts) * unit(); }
  // The most rows of a strip.
  int strip_rows() const { return amx_ ? kAmxRows : max_rows(widest_); }

  // The width of a panel: three vectors where that leaves few narrow ones, fewer where rows or columns are few.
  int panel_vectors() const {
    if (vectors_ <= 2) return static_cast<int>(vectors_);
    if (amx_) return kAmxVectors;
    if (kMaxVectors < 3 || vectors_ == 4) return 2;
    return g_.m > max_rows(3) && g_.m <= max_rows(2) ? 2 : 3;
  }
  // AMX's strips are whole but the last: each other number of rows is another set-up of its registers.
  int64_t strip_begin(int64_t strip) const {
    return amx_ ? std::min<int64_t>(g_.m, strip * kAmxRows) : g_.m * strip / strips_;
  }
  int64_t panel_begin(int64_t panel) const { return vectors_ * panel / panels_ * kWidth; }
  int64_t strip_stride(int64_t depth) const { return strip_rows() * depth + kPackSlack; }

  // Whether a panel is packed: b must be adjacent along its columns and whole to be read in place.
  bool packs_panel(int64_t panel) const { return packs_b_ || (panel == panels_ - 1 && g_.n % kWidth != 0); }
  // Elements per step of k that packing [begin, end) takes.
  int64_t panel_scratch(int64_t begin, int64_t end) const {
    if (packs_b_) return panel_begin(std::min(end, panels_)) - panel_begin(begin) + widest_ * kWidth;
    return widest_ * kWidth;
  }
  int64_t panel_offset(int64_t base, int64_t panel, int64_t depth) const {
    return packs_b_ ? (panel_begin(panel) - panel_begin(base)) * depth : 0;
  }

  void pack_strips(int64_t begin, int64_t end, int64_t k_begin, int64_t k_end, T* to) const {
    const int64_t depth = k_end - k_begin;
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
      if constexpr (std::is_same_v<E, BFloat16>) {
        if (amx_) {
          pack_half_rows(g_.a + row * g_.a_row + 2 * k_begin * g_.a_column, g_.a_row, g_.a_column, rows,
                         std::min(2 * depth, g_.k - 2 * k_begin), 2 * depth,
                         reinterpret_cast<BFloat16*>(to + (strip - begin) * strip_stride(depth)), kAmxStep,
                         kAmxRows * kAmxStep);
          continue;
        }
      }
      pack_any(g_.a + row * g_.a_row, g_.a_row, g_.a_column, rows, rows, k_begin, k_end,
               to + (strip - begin) * strip_stride(depth), rows);
    }
  }

  void pack_panels(int64_t base, int64_t begin, int64_t end, int64_t k_begin, int64_t k_end, T* to) const {
    for (int64_t panel = begin; panel < end; ++panel) {
      if (!packs_panel(panel)) continue;
      const int64_t column = panel_begin(panel), width = panel_begin(panel + 1) - column;
      pack_any(g_.b + column * g_.b_column, g_.b_column, g_.b_row, std::min(width, g_.n - column), width, k_begin,
               k_end, to + panel_offset(base, panel, k_end - k_begin), width);
    }
  }
  void pack_any(const E* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t padded, int64_t begin,
                int64_t end, T* to, int64_t width) const {
    if constexpr (std::is_same_v<E, BFloat16>) {
      if (pairs_) {
        const int64_t depth = std::min(2 * end, g_.k) - 2 * begin;
        pack_pairs(from + 2 * begin * step, lane_stride, step, lanes, padded, depth, to, width);
        return std::fill(to + ceil_div(depth, 2) * width, to + (end - begin) * width, 0.0f);
      }
    }
    pack(from + begin * step, lane_stride, step, lanes, padded, end - begin, to, width);
  }
  TileKernel<T> find_kernel(int64_t rows, int64_t vectors, bool unit_row) const {
    if constexpr (std::is_same_v<T, float>) {
      if (pairs_) return pair_kernel(static_cast<int>(rows), static_cast<int>(vectors), unit_row);
    }
    return tile_kernel<T>(static_cast<int>(rows), static_cast<int>(vectors), unit_row);
  }

  // The same with AMX: tiles start from zero or from the sums so far, and the bias comes last.
  void multiply_amx(const Block& block) const {
    const int64_t depth = block.k_end - block.k_begin;
    AmxTiles registers;
    AmxProduct product;
    product.steps = depth / unit();
    product.accumulate = !block.first;
    alignas(64) float small[kAmxRows * kAmxVectors * kWidth];
    for (int64_t panel = block.panels_begin; panel < block.panels_end; ++panel) {
      const int64_t column = panel_begin(panel), width = panel_begin(panel + 1) - column;
      const int64_t columns = std::min(width, g_.n - column);
      product.vectors = static_cast<int>(width / kWidth);
      product.b = block.b + panel_offset(block.panels_base, panel, depth);
      product.b_row = width;
      // What comes after this panel comes to L2, a share of its lines per strip.
      const auto* fetched =
          reinterpret_cast<const char*>(panel + 1 < block.panels_end ? product.b + width * depth : block.next);
      const int64_t lines = fetched == nullptr ? 0 : width * depth * int64_t{sizeof(T)} / 64;
      const int64_t share = ceil_div(lines, block.strips_end - block.strips_begin);
      for (int64_t strip = block.strips_begin; strip < block.strips_end; ++strip) {
        const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
        product.rows = static_cast<int>(std::min<int64_t>(rows, 16));
        product.lower_rows = static_cast<int>(rows) - product.rows;
        if (block.a != nullptr) {
          product.a = reinterpret_cast<const BFloat16*>(block.a + (strip - block.strips_begin) * strip_stride(depth));
          product.a_row = kAmxStep;
          product.a_step = kAmxRows * kAmxStep;
        } else {
          product.a = g_.a + row * g_.a_row + 2 * block.k_begin;
          product.a_row = g_.a_row;
        }
        const int64_t line = std::min((strip - block.strips_begin) * share, lines);
        product.fetch = fetched + 64 * line;
        product.fetch_end = fetched + 64 * std::min(line + share, lines);
        product.a_lower = 16 * product.a_row;
        product.c = small;
        product.c_row = width;
        if (block.keeps_sums) {
          product.c = block.sums + (row - strip_begin(block.strips_begin)) * width;
        } else if (block.sums != nullptr) {
          product.c = block.sums + row * vectors_ * kWidth + column;
          product.c_row = vectors_ * kWidth;
        }
        registers.multiply(product);
        if (!block.last) continue;
        if (block.bias != nullptr) add_bias(block.bias, product.c, product.c_row, row, rows, column, columns);
        finish(product.c, product.c_row, row, rows, column, columns);
      }
    }
  }
  void add_bias(const T* bias, T* c, int64_t c_row, int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    const bool per_row = g_.bias_column == 0 && g_.bias_row != 0;
    for (int64_t i = 0; i < columns; i += kWidth) {
      const int count = static_cast<int>(std::min<int64_t>(kWidth, columns - i));
      const Vec<T> of_columns = per_row ? Vec<T>{} : load_columns(bias + column + i, count);
      for (int64_t r = 0; r < rows; ++r) {
        T* at = c + r * c_row + i;
        store(at, load(at) + (per_row ? broadcast(bias[row + r]) : of_columns));
      }
    }
  }

  void multiply(const Block& block) const {
    const int64_t depth = block.k_end - block.k_begin;
    if constexpr (std::is_same_v<E, BFloat16>) {
      if (amx_) return multiply_amx(block);
    }
    Tile<T> tile;
    tile.k = depth;
    if (!block.first) {
      tile.start = Start::kAccumulate;
    } else if (block.bias != nullptr) {
      tile.start = g_.bias_column != 0 || g_.bias_row == 0 ? Start::kColumnBias : Start::kRowBias;
    }
    const bool unit_row = block.a != nullptr || (g_.a_row == 1 && !pairs_);
    alignas(64) T small[kMaxRows * kMaxVectors * kWidth];
    [[maybe_unused]] const FlushSubnormals flush;
    for (int64_t panel = block.panels_begin; panel < block.panels_end; ++panel) {
      const int64_t column = panel_begin(panel), width = panel_begin(panel + 1) - column;
      tile.columns = static_cast<int>(std::min(width, g_.n - column));
      if (packs_panel(panel)) {
        tile.b = block.b + panel_offset(block.panels_base, panel, depth);
        tile.b_step = width;
      } else {
        // E is T here: b of another type is always packed.
        tile.b = reinterpret_cast<const T*>(g_.b) + block.k_begin * g_.b_row + column;
        tile.b_step = g_.b_row;
      }
      // While the strips pass by this panel, the next one comes from L3 or memory to L2, a share of its lines per strip.
      const bool fetches = panel + 1 < block.panels_end && packs_panel(panel + 1);
      const auto* fetched = reinterpret_cast<const char*>(block.b + panel_offset(block.panels_base, panel + 1, depth));
      const int64_t lines =
          fetches ? (panel_begin(panel + 2) - panel_begin(panel + 1)) * depth * int64_t{sizeof(T)} / 64 : 0;
      const int64_t share = ceil_div(lines, block.strips_end - block.strips_begin);
      int64_t known_rows = 0;
      TileKernel<T> kernel = nullptr;
      for (int64_t strip = block.strips_begin; strip < block.strips_end; ++strip) {
        const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
        if (rows != known_rows) {
          kernel = find_kernel(rows, width / kWidth, unit_row);
          known_rows = rows;
        }
        if (block.a != nullptr) {
          tile.a = block.a + (strip - block.strips_begin) * strip_stride(depth);
          tile.a_row = 1;
          tile.a_step = rows;
        } else {
          // Either E is T, or rows of pairs that are adjacent, two elements of E to a step.
          tile.a = reinterpret_cast<const T*>(g_.a + row * g_.a_row + block.k_begin * g_.a_column * (pairs_ ? 2 : 1));
          tile.a_row = pairs_ ? g_.a_row / 2 : g_.a_row;
          tile.a_step = g_.a_column;
        }
        if (tile.start == Start::kColumnBias) tile.bias = block.bias + column;
        if (tile.start == Start::kRowBias) tile.bias = block.bias + row;
        if (writes_c_) {
          tile.c = reinterpret_cast<T*>(g_.c) + row * g_.c_row + column;
          tile.c_row = g_.c_row;
        } else if (block.sums != nullptr) {
          tile.c = block.sums + row * vectors_ * kWidth + column;
          tile.c_row = vectors_ * kWidth;
        } else {
          tile.c = small;
          tile.c_row = width;
        }
        const int64_t line = std::min((strip - block.strips_begin) * share, lines);
        tile.fetch = fetched + 64 * line;
        tile.fetch_end = fetched + 64 * std::min(line + share, lines);
        kernel(tile);
        if (block.last && (!writes_c_ || g_.activation != Activation::kNone)) {
          finish(tile.c, tile.c_row, row, rows, column, tile.columns);
        }
      }
    }
  }

  // Applies the activation to a tile's sums and moves them to c where they are not there yet.
  void finish(T* sums, int64_t sums_row, int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    if (g_.activation != Activation::kNone) {
      for (int64_t r = 0; r < rows; ++r) activate(g_.activation, sums + r * sums_row, columns);
    }
    if (writes_c_) return;
    store_tile(sums, sums_row, rows, columns, g_.c + row * g_.c_row + column * g_.c_column, g_.c_row, g_.c_column);
  }

  // bias as adjacent values of T, in place where it is that already.
  int64_t bias_scratch() const { return g_.bias == nullptr ? 0 : std::max(g_.m, g_.n); }
  const T* gather_bias(T* scratch) const {
    if (g_.bias == nullptr) return nullptr;
    const bool per_row = g_.bias_column == 0 && g_.bias_row != 0;
    const int64_t count = per_row ? g_.m : g_.n, stride = per_row ? g_.bias_row : g_.bias_column;
    if constexpr (!kConverts) {
      if (stride == 1) return g_.bias;
    }
    for (int64_t i = 0; i < count; ++i) scratch[i] = static_cast<T>(g_.bias[i * stride]);
    return scratch;
  }

  // a as adjacent rows of T, for the dot products.
  const T* gather_a(T* scratch) const {
    for (int64_t i = 0; i < g_.m; ++i) {
      const E* row = g_.a + i * g_.a_row;
      for (int64_t p = 0; p < g_.k; ++p) scratch[i * g_.k + p] = static_cast<T>(row[p * g_.a_column]);
    }
    return scratch;
  }
  void dot_range(const T* bias, const T* a, int64_t begin, int64_t end) const {
    switch (g_.m) {
      case 1: return dot_columns<1>(bias, a, begin, end);
      case 2: return dot_columns<2>(bias, a, begin, end);
      case 3: return dot_columns<3>(bias, a, begin, end);
      default: return dot_columns<4>(bias, a, begin, end);
    }
  }
  // c[0 … kRows, j] = a · b[:, j]: b is read once, along k; four columns at a time keep enough sums in flight.
  template <int kRows>
  void dot_columns(const T* bias, const T* a, int64_t begin, int64_t end) const {
    int64_t j = begin;
    for (; j + 4 <= end; j += 4) dot_tile<kRows, 4>(bias, a, j);
    for (; j < end; ++j) dot_tile<kRows, 1>(bias, a, j);
  }
  template <int kRows, int kColumns>
  void dot_tile(const T* bias, const T* a, int64_t column) const {
    Vec<T> sums[kRows][kColumns] = {};
    const E* b[kColumns];
    for (int j = 0; j < kColumns; ++j) b[j] = g_.b + (column + j) * g_.b_column;
    const auto add = [&](auto&& load_a, auto&& load_b) __attribute__((always_inline)) {
      Vec<T> row[kRows];
      unroll<kRows>([&](auto i) __attribute__((always_inline)) { row[i] = load_a(a + i * g_.k); });
      unroll<kColumns>([&](auto j) __attribute__((always_inline)) {
        const Vec<T> v = load_b(b[j]);
        unroll<kRows>([&](auto i) __attribute__((always_inline)) { sums[i][j] += row[i] * v; });
      });
    };
    int64_t p = 0;
    for (; p + kWidth <= g_.k; p += kWidth) {
      const auto at = [&](const auto* from) __attribute__((always_inline)) { return load(from + p); };
      add(at, at);
    }
    if (const int rest = static_cast<int>(g_.k - p); rest > 0) {
      const auto at = [&](const auto* from) __attribute__((always_inline)) { return load_columns(from + p, rest); };
      add(at, at);
    }
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kColumns; ++j) {
        T sum = horizontal_sum(sums[i][j]);
        if (bias != nullptr) sum += bias[g_.bias_column == 0 && g_.bias_row != 0 ? i : column + j];
        activate(g_.activation, &sum, 1);
        g_.c[i * g_.c_row + (column + j) * g_.c_column] = static_cast<E>(sum);
      }
    }
  }

  Gemm<E> g_;
  bool amx_ = false;     // bfloat16 through AmxTiles
  bool pairs_ = false;   // bfloat16 in pairs, through those or pair_kernel
  int64_t steps_ = 0;    // of k: its elements or pairs
  int64_t vectors_ = 0;  // of a row of c
  int widest_ = 0;       // panel, in vectors
  int64_t panels_ = 0;
  int64_t strips_ = 0;
  bool writes_c_ = false;  // tiles write c itself: same type, adjacent columns
  bool is_dot_ = false;
  bool packs_a_ = false;
  bool packs_b_ = false;
};

}  // namespace

template <class E>
void gemm(KernelContext& ctx, const Gemm<E>& product) {
  if (product.m == 0 || product.n == 0) return;
  Product<E>(product).run(ctx);
}

template <class E>
void gemm_batch(KernelContext& ctx, const Gemm<E>& first, const GemmBatch& batch) {
  int64_t count = 1;
  for (int axis = 0; axis < batch.rank; ++axis) count *= batch.shape[axis];
  if (count == 0 || first.m == 0 || first.n == 0) return;
  const auto at = [&](int64_t index) {
    Gemm<E> g = first;
    for (int axis = batch.rank - 1; axis >= 0; --axis) {
      const int64_t i = index % batch.shape[axis];
      index /= batch.shape[axis];
      g.a += i * batch.a[axis];
      g.b += i * batch.b[axis];
      g.c += i * batch.c[axis];
    }
    return g;
  };
  // Few and large: each product is cut. Many or small: whole products are the tasks, several to a task when they are tiny.
  const int64_t work = std::max<int64_t>(1, first.m * first.n * first.k);
  if (count == 1 || (count < 16 && work >= 8 * kTaskWork) || work >= 64 * kTaskWork) {
    for (int64_t i = 0; i < count; ++i) gemm(ctx, at(i));
    return;
  }
  ctx.parallel_ranges(count, ceil_div(kTaskWork, work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) Product<E>(at(i)).run_serial(ctx);
  });
}

template void gemm<double>(KernelContext&, const Gemm<double>&);
template void gemm<float>(KernelContext&, const Gemm<float>&);
template void gemm<Float16>(KernelContext&, const Gemm<Float16>&);
template void gemm<BFloat16>(KernelContext&, const Gemm<BFloat16>&);
template void gemm_batch<double>(KernelContext&, const Gemm<double>&, const GemmBatch&);
template void gemm_batch<float>(KernelContext&, const Gemm<float>&, const GemmBatch&);
template void gemm_batch<Float16>(KernelContext&, const Gemm<Float16>&, const GemmBatch&);
template void gemm_batch<BFloat16>(KernelContext&, const Gemm<BFloat16>&, const GemmBatch&);

}  // namespace hadal::cpu
