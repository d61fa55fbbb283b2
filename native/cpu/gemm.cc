// Blocking, packing and parallel cutting of matrix products. See gemm.h for the contract, gemm_tile.h for the inner loop.
//
// A product is cut into strips (rows of one tile) and panels (columns of one tile). Packed, a strip is [k][rows] and a panel
// [k][columns], so a tile reads both in a straight line. The panel stays in the L1 cache while the strips of a block pass by
// from L2. Which element is summed in which order follows from m, n and k alone.
#include "cpu/gemm.h"

#include <algorithm>

#include "cpu/gemm_dot_tile.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_split.h"
#include "cpu/pair_tiles.h"

namespace hadal::cpu {
namespace {

// Depth of a block of k, which is a pass as well: a panel then takes up to 192 KiB of an L2 cache and comes to L1 for each strip anew, while
// the tiles that it meets begin and end seldom (measured on Cascade Lake, of a peak of 154 GFLOP/s a core: 192 deep 120, 512 134, 1,024 136).
template <class T>
inline constexpr int64_t kDepth = 4096 / static_cast<int64_t>(sizeof(T));
// Elements of a's rows in a task, beside two such panels in an L2 cache of 1 MiB.
inline constexpr int64_t kTileBlockElements = int64_t{1} << 17;
// Depth for AMX, in pairs: a panel of 32 columns takes 16 KiB of the L1 cache, where it must stay beside a strip and its sums: a strip alone
// asks half of what L2 delivers.
inline constexpr int64_t kAmxDepth = 128;
// For float in parts, in pairs: each tile of parts serves two or more products, which leaves L2 time to deliver both operands. A pass is one
// such block, so that sums stay in registers, and the elements of a block of a fill half of an L2 cache of 2 MiB. Other depths and
// heights gain nothing.
inline constexpr int64_t kSplitDepth = 256;
inline constexpr int64_t kSplitBlockElements = int64_t{144} << 10;
inline constexpr int64_t kSplitBlockRows = 512;
// Least m · n / (m + n), and least work, for which splitting the operands costs less than it saves.
inline constexpr int64_t kLeastSplitReuse = 80;
inline constexpr int64_t kLeastSplitWork = int64_t{1} << 24;
// Depth of a pass on AMX. Sums go to memory once per pass, and a task's rows of a stay in an L2 cache of 2 MiB for one: so many elements, and
// so many rows at most (AMX outruns an L3 cache that each block reads all of b from). And the fewest rows for which a panel is brought to
// the L1 cache, unless there are no more.
inline constexpr int64_t kAmxPassDepth = 2048;
inline constexpr int64_t kAmxBlockElements = int64_t{1} << 18;
inline constexpr int64_t kBlockRows = 192;
inline constexpr int64_t kAmxBlockRows = 256;
inline constexpr int64_t kLeastBlockRows = 96;
// Tasks that are enough for a product when each takes rows of its own, and tasks that pack the same rows, each for itself, sooner than
// wait for each other.
inline constexpr int64_t kRowTasks = 4;
inline constexpr int64_t kOwnPackings = 4;
// Packed b of one pass over c: at most 16 MiB of float, what an L3 cache holds.
inline constexpr int64_t kPassElements = int64_t{1} << 22;
// Multiply-adds that are worth a task of their own: 10 µs at the 10^11 per second of one core.
inline constexpr int64_t kTaskWork = int64_t{1} << 20;
// Products of at most so many elements of c, 256 KiB of float, have k cut into slices for their tasks (split-k), of so many steps at least.
inline constexpr int64_t kSlicedResult = int64_t{1} << 16;
inline constexpr int64_t kLeastSlice = 512;
inline constexpr int64_t kMostSlices = 16;
// Elements of the operands of one of their passes, which come to L2 while the pass before multiplies, and the least steps of one.
inline constexpr int64_t kSlicePass = int64_t{1} << 16;
inline constexpr int64_t kLeastSlicePass = 64;
// What setting up a product costs, in these.
inline constexpr int64_t kProductWork = int64_t{1} << 13;
// The same where a task packs more before it begins.
inline constexpr int64_t kSplitTaskWork = int64_t{1} << 22;
// Up to this many rows, and up to so many bytes, which stay in an L2 cache, b is read where it lies: packing it would cost more than it saves.
inline constexpr int64_t kDirectRows = 24;
inline constexpr int64_t kDirectBytes = int64_t{256} << 10;
// The same where the rows of b are not at multiples of 2 KiB, in the same few sets of the caches (32 to 128 × 1000 × 1000 1.1 to 1.4 times as fast).
inline constexpr int64_t kDirectRowsApart = 128;
// Up to this many rows a product with a larger transposed b is turned: by a tenth to a third faster on Zen 5; from here on packing no longer matters.
inline constexpr int64_t kTurnedRows = 1024;
// Up to this many rows a product with transposed b is a set of dot products.
inline constexpr int64_t kDotRows = 4;
// … if k is at least this: each product ends with a sum over lanes, as long as the products of a hundred steps of k.
inline constexpr int64_t kDotDepth = 128;
// Elements of a that tiles read where they lie without falling out of the L1 cache.
inline constexpr int64_t kDirectElements = 8192;

// Dot products of rows where they lie with few columns (run_dots), from so many elements and steps on: instead of packing rows that alias, up to so many
// columns, and where columns fill less than four fifths of the lanes of a tile. On Zen 5 5 rows of a linear layer became 2 to 3 times as fast, 12 rows 1.3,
// 49 pixels 1.3 to 1.6.
inline constexpr int64_t kDotElements = int64_t{1} << 17;
inline constexpr int64_t kDotSteps = 256;
inline constexpr int64_t kDotColumns = 256;
// Bytes of a row in a block of them: six columns and what streams past them share the L1 cache. And the least tasks, and most rows of one.
inline constexpr int64_t kDotBlockBytes = 2048;
inline constexpr int64_t kDotTasks = 16;
inline constexpr int64_t kDotTaskRows = 128;

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
  static constexpr bool kHasDots = !kConverts || (std::is_same_v<E, BFloat16> && kHasMasks);
  static constexpr bool kMayUseAmx = std::is_same_v<E, BFloat16> || (std::is_same_v<E, float> && kHasMasks);

  explicit Product(const Gemm<E>& gemm) : g_(gemm) {
    // Columns of c lie along vector lanes: turn a c that is adjacent along its rows, and one of few columns.
    const bool column_major = g_.c_row == 1 && g_.c_column != 1 && g_.n > 1;
    if (column_major || (g_.n <= kDotRows && g_.n < g_.m)) turn();
    if constexpr (std::is_same_v<E, float>) {
      const bool pays = g_.m * g_.n >= kLeastSplitReuse * (g_.m + g_.n) && work() >= kLeastSplitWork;
      if (kHasMasks && pays && has_amx()) parts_ = kFloatParts;
    }
    // Rows times a larger transposed b (a layer's forward pass): packing b would cost more than packing a. Turned, b is read where it lies,
    // row by row, and only a is packed.
    const bool in_pairs = std::is_same_v<E, BFloat16> && !has_amx() && has_pair_kernels() && g_.k % 2 == 0;
    const bool reads_b = (!kConverts || in_pairs) && parts_ == 1 && g_.b_row == 1 && g_.b_column != 1;
    const int64_t fewest = g_.k < kDotDepth ? 1 : kDotRows;
    if (reads_b && g_.m > fewest && g_.m <= kTurnedRows && g_.m < g_.n) turn();
    if constexpr (std::is_same_v<E, BFloat16>) {
      amx_ = has_amx();
      pairs_ = amx_ || has_pair_kernels();
    } else {
      amx_ = pairs_ = parts_ > 1;
    }
    steps_ = amx_ ? ceil_div(g_.k, kPairStep) * (kPairStep / 2) : pairs_ ? ceil_div(g_.k, 2) : g_.k;
    is_dot_ = g_.m <= kDotRows && (g_.b_row == 1 || g_.k == 1) && g_.b_column != 1 && (g_.m == 1 || g_.k >= kDotDepth);
    const bool along_k = g_.a_column == 1 && g_.b_row == 1 && std::max(g_.m, g_.n) <= kWidth;  // for run_dots()
    if (!amx_ && !is_dot_ && !along_k && g_.m * g_.n <= kSlicedResult && work() >= 2 * kTaskWork) {
      slices_ = std::clamp<int64_t>(std::min(work() / kTaskWork, steps_ / kLeastSlice), 1, kMostSlices);
    }
    // Sums of slices are written to c by a pass of their own, whichever way they lie: so that fewer lanes are idle.
    if (slices_ > 1 && g_.m * ceil_div(g_.n, kWidth) > g_.n * ceil_div(g_.m, kWidth)) turn();
    vectors_ = ceil_div(g_.n, kWidth);
    widest_ = panel_vectors();
    panels_ = ceil_div(vectors_, widest_);
    direct_ = slices_ > 1 || (!kConverts && !amx_ && g_.c_column == 1);
    // AMX writes whole vectors.
    passes_in_c_ = slices_ == 1 && (direct_ || (!kConverts && g_.c_column == 1 && g_.n % kWidth == 0));
    dots_in_pairs_ = std::is_same_v<E, BFloat16> && has_pair_kernels();
    const bool lines_alias = g_.b_row * int64_t{sizeof(E)} % 2048 == 0;
    packs_b_ = kConverts || amx_ || g_.b_column != 1 ||
               (slices_ == 1 && g_.m > (lines_alias ? kDirectRows : kDirectRowsApart) &&
                g_.k * g_.b_row * int64_t{sizeof(E)} > kDirectBytes);
    const bool direct_a = parts_ > 1 ? false
                          : pairs_   ? g_.a_column == 1 && g_.a_row % 2 == 0 && g_.k % (amx_ ? kPairStep : 2) == 0
                                     : !kConverts;
    // Rows of a that are adjacent along k are as good where they lie (128³ and 256³ gain 10 % unpacked), unless their distance
    // puts them into the same few sets of the L1 cache, whose twelve or eight ways hold the panel as well.
    const int64_t distance = g_.a_column == 1 ? g_.a_row * int64_t{sizeof(E)} : 0;
    const bool aliases = g_.a_column == 1 && distance % 4096 == 0;
    const bool stays = g_.a_column == 1 ? distance % 4096 != 0
                                        : g_.a_row == 1 && (slices_ > 1 || g_.m <= kDirectRows ||
                                                            g_.k * g_.a_column * int64_t{sizeof(E)} <= kDirectBytes);
    packs_a_ = !direct_a || (panels_ > 2 && g_.m * steps_ > kDirectElements && (amx_ || !stays));
    dots_ = slices_ == 1 && direct_a && !amx_ && g_.a_column == 1 && !is_dot_ && g_.n <= kDotColumns &&
            g_.k >= kDotSteps && g_.m * g_.k >= kDotElements && (packs_a_ || 5 * g_.n < 4 * vectors_ * kWidth);
    const int64_t most = slices_ > 1 && (g_.a_row == 1 || g_.b_column == 1)
                             ? std::clamp<int64_t>(kSlicePass / (g_.m + g_.n), kLeastSlicePass, kDepth<T>)
                         : parts_ > 1 ? kSplitDepth
                         : amx_       ? kAmxDepth
                                      : kDepth<T>;
    pass_depth_ = part_depth(ceil_div(steps_, slices_), amx_ && parts_ == 1 ? kAmxPassDepth : most);
    block_depth_ = part_depth(pass_depth_, most);
    // Tiles of multiply-adds ask L1 for lines in advance, which writes past the caches hold up (3 % of a layer's product).
    streams_ = amx_ && g_.c_column == 1 && g_.activation == Activation::kNone && steps_ <= pass_depth_ &&
               g_.m * g_.n * int64_t{sizeof(E)} >= kStreamedBytes && reinterpret_cast<uintptr_t>(g_.c) % 64 == 0 &&
               g_.c_row * sizeof(E) % 64 == 0;
    const int most_rows = !amx_ && !packs_a_ && aliases ? std::min(8, strip_rows()) : strip_rows();
    strip_height_ = amx_ ? most_rows : ceil_div(g_.m, ceil_div(g_.m, most_rows));
    strips_ = ceil_div(g_.m, strip_height_);
  }

  // Elements from the operands of one product of a batch to those of another.
  struct Step {
    int64_t a = 0;
    int64_t b = 0;
    int64_t c = 0;
    Step operator-(const Step& other) const { return {a - other.a, b - other.b, c - other.c}; }
  };
  void move(const Step& step) {
    const Step own = as_turned(step);
    g_.a += own.a;
    g_.b += own.b;
    g_.c += own.c;
    if (reinterpret_cast<uintptr_t>(g_.c) % 64 != 0) streams_ = false;
  }

  int64_t work() const { return g_.m * g_.n * g_.k; }
  int64_t task_work() const { return parts_ > 1 ? kSplitTaskWork : kTaskWork; }

  // All of it on this thread, for small products and inside the tasks of a batch, where the one that is `next` away follows. Uses thread
  // scratch only.
  void run_serial(KernelContext& ctx, const Step& next = {}) const {
    const int64_t bias_size = align(bias_scratch());
    if (is_dot_) {
      T* scratch = ctx.thread_scratch<T>(bias_size + g_.m * g_.k);
      return with_dot_rows(scratch + bias_size, [&](const auto* a) { dot_range(gather_bias(scratch), a, 0, g_.n); });
    }
    const int64_t sums_size = align(slices_ > 1 ? slices_ * slice_scratch() : sums_scratch());
    T* scratch = ctx.thread_scratch<T>(bias_size + sums_size + whole_product_scratch());
    Block block;
    block.ahead = ahead_of(as_turned(next));
    const T* const bias = gather_bias(scratch);
    if (slices_ == 1) block.bias = bias;
    block.sums = scratch + bias_size;
    for (int64_t slice = 0; slice < slices_; ++slice, block.sums += slice_scratch()) {
      multiply_all(block, slice_of(slice), scratch + bias_size + sums_size);
    }
    if (slices_ > 1) add_slices(scratch + bias_size, bias, 0, g_.m);
  }

  // Products of a batch from `begin` to `end`, `at` their steps, on this thread. Where tiles are few, setting one up costs as much as running it: they are
  // recorded for the first product and moved along.
  template <class F>
  void run_range(KernelContext& ctx, int64_t begin, int64_t end, int64_t count, F&& at) {
    Step here = at(begin);
    move(here);
    const bool replays = direct_ && !is_dot_ && !packs_a_ && slices_ == 1 && steps_ <= pass_depth_ &&
                         strips_ * panels_ <= kMostTiles && g_.bias == nullptr && g_.activation == Activation::kNone;
    if (!replays) {
      for (int64_t i = begin; i < end; ++i) {
        const Step there = at(std::min(i + 1, count - 1)), next = there - here;
        run_serial(ctx, next);
        move(next);
        here = there;
      }
      return;
    }
    [[maybe_unused]] const FlushSubnormals flush;
    Tiles tiles;
    T* const b = ctx.thread_scratch<T>(panel_scratch(panels_) + kPackSlack);
    Block block;
    block.pass = block.steps = {0, steps_};
    block.strips_end = strips_;
    block.panels_end = panels_;
    block.b = b;
    block.tiles = &tiles;
    block.ahead = ahead_of(as_turned(at(std::min(begin + 1, count - 1)) - here));
    multiply(block);
    const bool packs = packs_panel(panels_ - 1);
    for (int64_t i = begin;;) {
      if (packs) pack_panels(0, 0, panels_, block.pass, b);
      for (int t = 0; t < tiles.count; ++t) {
        tiles.list[t].run(tiles.list[t].tile);
      }
      if (++i == end) return;
      const Step there = at(i), step = there - here, own = as_turned(step);
      move(step);
      here = there;
      for (int t = 0; t < tiles.count; ++t) {
        auto& [run, tile, packed, fetches_b] = tiles.list[t];
        tile.a += own.a;
        if (!packed) tile.b += own.b;
        tile.c += own.c;
        tile.fetch += int64_t{sizeof(E)} * (fetches_b ? own.b : own.a);
      }
    }
  }

  // Cut into tasks. Pass by pass over c, b is packed by all threads, then each task works through a block of c.
  void run(KernelContext& ctx) const {
    if constexpr (kHasDots) {
      if (dots_) return run_dots(ctx);
    }
    if (!is_dot_ && work() < 2 * kTaskWork) return run_serial(ctx);
    if (slices_ > 1) return run_slices(ctx);
    const T* bias = gather_bias(ctx.scratch<T>(bias_scratch()));
    if (is_dot_) {
      // Bound by memory: 2^18 elements of b are 1 MiB of float, some 20 µs.
      return with_dot_rows(ctx.scratch<T>(g_.m * g_.k), [&](const auto* a) {
        ctx.parallel_ranges(g_.n, ceil_div(int64_t{1} << 18, std::max<int64_t>(1, g_.k)),
                            [&](int64_t begin, int64_t end) { dot_range(bias, a, begin, end); });
      });
    }
    const int64_t passes_n =
        ceil_div(panels_, std::max<int64_t>(1, kPassElements / (parts_ * pass_depth_ * widest_ * kWidth)));
    const int64_t pass_panels = ceil_div(panels_, passes_n);
    const Cut cuts = cut(pass_panels, work() / passes_n / ceil_div(steps_, pass_depth_) / task_work());
    // Where many tasks take columns of the same rows, these are packed once for all.
    const bool shares_a = packs_a_ && cuts.column_blocks > kOwnPackings;
    const int64_t blocks = ceil_div(pass_depth_, block_depth_);
    const int64_t a_block = strips_ * strip_stride(), b_block = panel_scratch(pass_panels);
    T* sums = ctx.scratch<T>(sums_scratch());
    T* b = ctx.scratch<T>(blocks * b_block + kPackSlack);
    T* a = shares_a ? ctx.scratch<T>(blocks * a_block + kPackSlack) : nullptr;

    for (int64_t panels_begin = 0; panels_begin < panels_; panels_begin += pass_panels) {
      const int64_t panels = std::min(pass_panels, panels_ - panels_begin);
      for_each_pass({0, steps_}, [&](Range pass) {
        // Packing: tasks of 32 Ki elements, one kind after the other.
        const int64_t panel_chunk = packs_b_ ? std::max<int64_t>(1, 32768 / (block_depth_ * widest_ * kWidth)) : panels;
        const int64_t panel_tasks = ceil_div(panels, panel_chunk);
        const int64_t strip_chunk = std::max<int64_t>(1, 32768 / strip_stride());
        const int64_t strip_tasks = shares_a ? ceil_div(strips_, strip_chunk) : 0;
        ctx.parallel(blocks_of(pass) * (panel_tasks + strip_tasks), [&](int64_t task) {
          const int64_t i = task / (panel_tasks + strip_tasks), part = task % (panel_tasks + strip_tasks);
          const Range k = block_of(pass, i);
          if (part < panel_tasks) {
            const int64_t begin = panels_begin + part * panel_chunk;
            pack_panels(panels_begin, begin, std::min(panels_begin + panels, begin + panel_chunk), k, b + i * b_block);
          } else {
            const int64_t begin = (part - panel_tasks) * strip_chunk;
            pack_strips(begin, std::min(strips_, begin + strip_chunk), k, a + i * a_block + begin * strip_stride());
          }
        });
        ctx.parallel(cuts.row_blocks * cuts.column_blocks, [&](int64_t task) {
          const int64_t row = task / cuts.column_blocks, column = task % cuts.column_blocks;
          Block block;
          block.steps = {0, steps_};
          block.pass = pass;
          block.strips_begin = strips_ * row / cuts.row_blocks;
          block.strips_end = strips_ * (row + 1) / cuts.row_blocks;
          block.panels_base = panels_begin;
          block.panels_begin = panels_begin + panels * column / cuts.column_blocks;
          block.panels_end = panels_begin + panels * (column + 1) / cuts.column_blocks;
          block.b = b;
          block.b_block = b_block;
          block.bias = bias;
          block.sums = sums;
          const int64_t strips = block.strips_end - block.strips_begin, kept_size = align(kept_scratch(strips));
          const int64_t own_block = packs_a_ && !shares_a ? strips * strip_stride() : 0;
          const int64_t whole_size = align(whole_scratch());
          block.kept = ctx.thread_scratch<T>(kept_size + whole_size + blocks * own_block + kPackSlack);
          block.whole = block.kept + kept_size;
          if (shares_a) {
            block.a = a + block.strips_begin * strip_stride();
            block.a_block = a_block;
          } else if (packs_a_) {
            T* own = block.whole + whole_size;
            block.a = own;
            block.a_block = own_block;
            for (int64_t i = 0; i < blocks_of(pass); ++i) {
              pack_strips(block.strips_begin, block.strips_end, block_of(pass, i), own + i * own_block);
            }
          }
          multiply(block);
          if (streams_) finish_streaming();
        });
      });
    }
  }

 private:
  void turn() {
    g_ = transposed(g_);
    turned_ = !turned_;
  }
  Step as_turned(const Step& step) const { return turned_ ? Step{step.b, step.a, step.c} : step; }

  // A task takes some rows, and block by block of k all columns: a tile's columns stay in the L1 cache while the rows pass by from L2.
  void run_dots(KernelContext& ctx) const {
    constexpr int64_t kLine = 64 / sizeof(E);
    const E* b = g_.b;
    int64_t b_column = g_.b_column;
    if (g_.b_row != 1) {
      // An odd number of lines, so that columns fall into different sets of the caches.
      b_column = (ceil_div(g_.k, kLine) | 1) * kLine;
      E* const packed = ctx.scratch<E>(g_.n * b_column + kPackSlack);
      b = packed;
      const int64_t chunk = ceil_div(std::max<int64_t>(1, 32768 / g_.n), kLine) * kLine;
      ctx.parallel(ceil_div(g_.k, chunk), [&](int64_t task) {
        const int64_t begin = task * chunk, count = std::min(chunk, g_.k - begin);
        if constexpr (kConverts) {
          pack_half_rows(g_.b + begin * g_.b_row, g_.b_column, g_.b_row, g_.n, count, count, packed + begin, b_column,
                         32);
        } else {
          for (int64_t k = begin; k < begin + count; k += kWidth) {
            const int64_t lanes = std::min<int64_t>(kWidth, begin + count - k);
            pack(g_.b + k * g_.b_row, g_.b_row, g_.b_column, lanes, lanes, g_.n, packed + k, b_column);
          }
        }
      });
    }
    const T* const bias = gather_bias(ctx.scratch<T>(bias_scratch()));
    const int64_t block =
        ceil_div(ceil_div(g_.k, ceil_div(g_.k, kDotBlockBytes / static_cast<int64_t>(sizeof(E)))), kLine) * kLine;
    const int64_t rows = std::min(kDotTaskRows, ceil_div(g_.m, kDotTasks * kMaxDotRows) * kMaxDotRows);
    const int64_t stride = vectors_ * kWidth, pieces = ceil_div(g_.n, kMaxDotColumns);
    ctx.parallel(ceil_div(g_.m, rows), [&](int64_t task) {
      [[maybe_unused]] const FlushSubnormals flush;
      const int64_t first = task * rows, last = std::min(g_.m, first + rows);
      T* const sums = ctx.thread_scratch<T>((last - first) * stride);
      std::fill_n(sums, (last - first) * stride, T(0));
      DotTile<E> tile;
      tile.a_row = g_.a_row;
      tile.b_column = b_column;
      tile.sums_row = stride;
      for (int64_t begin = 0; begin < g_.k; begin += block) {
        tile.k = std::min(block, g_.k - begin);
        // Where this task, or the next, reads on: a row for each of the first pieces.
        const bool ends = begin + block >= g_.k;
        const int64_t ahead = !ends ? block : last < g_.m ? rows * g_.a_row - begin : 0;
        for (int64_t piece = 0; piece < pieces; ++piece) {
          const int64_t column = g_.n * piece / pieces, columns = g_.n * (piece + 1) / pieces - column;
          tile.b = b + column * b_column + begin;
          for (int64_t row = first; row < last; row += kMaxDotRows) {
            tile.a = g_.a + row * g_.a_row + begin;
            tile.fetch = tile.a + (piece < kMaxDotRows ? ahead + piece * g_.a_row : 0);
            tile.sums = sums + (row - first) * stride + column;
            dot_kernel<E>(static_cast<int>(std::min<int64_t>(kMaxDotRows, last - row)),
                          static_cast<int>(columns))(tile);
          }
        }
      }
      if (bias != nullptr) add_bias(bias, sums, stride, first, last - first, 0, g_.n);
      store_tile(sums, stride, last - first, g_.n, g_.c + first * g_.c_row, g_.c_row, g_.c_column);
      activate(first, last - first, 0, g_.n);
    });
  }

  // Steps of k: a pass over c, at whose end the sums go to memory, or a block of one, whose panels fit the L1 cache.
  struct Range {
    int64_t begin = 0;
    int64_t end = 0;
    int64_t depth() const { return end - begin; }
  };
  template <class F>
  void for_each_pass(Range steps, F&& body) const {  // at least once: without products c is the bias
    int64_t begin = steps.begin;
    do {
      const int64_t end = std::min(steps.end, begin + pass_depth_);
      body(Range{begin, end});
      begin = end;
    } while (begin < steps.end);
  }
  int64_t blocks_of(Range pass) const {
    return pass.depth() <= block_depth_ ? 1 : ceil_div(pass.depth(), block_depth_);
  }
  Range block_of(Range pass, int64_t i) const {
    const int64_t begin = pass.begin + i * block_depth_;
    return {begin, std::min(pass.end, begin + block_depth_)};
  }

  // Lines of a's and b's memory that tiles bring to the L2 cache for another product: some each.
  struct Ahead {
    const char* from[2] = {};
    int64_t lines[2] = {};
    int64_t lines_per_tile = 0;
    const char* at(int64_t tile) const {
      const int64_t line = tile * lines_per_tile;
      return line < lines[0] ? from[0] + 64 * line : from[1] + 64 * (line - lines[0]);
    }
  };
  // What the next product reads and this does not, where it is all of a piece of memory.
  Ahead ahead_of(const Step& next) const {
    Ahead ahead;
    const auto lines = [](int64_t rows, int64_t columns, int64_t row, int64_t column) {
      const bool dense = (column == 1 && row == columns) || (row == 1 && column == rows);
      return dense ? rows * columns * int64_t{sizeof(E)} / 64 : 0;
    };
    ahead.from[0] = reinterpret_cast<const char*>(g_.a + next.a);
    ahead.from[1] = reinterpret_cast<const char*>(g_.b + next.b);
    if (next.a != 0) ahead.lines[0] = lines(g_.m, g_.k, g_.a_row, g_.a_column);
    if (next.b != 0) ahead.lines[1] = lines(g_.k, g_.n, g_.b_row, g_.b_column);
    ahead.lines_per_tile = ceil_div(ahead.lines[0] + ahead.lines[1], strips_ * panels_);
    return ahead;
  }

  // The same of the steps that follow a pass.
  Ahead ahead_of(Range pass, int64_t end) const {
    Ahead ahead;
    const int64_t begin = pass.end * g_.k / steps_, count = std::min(end - pass.end, pass.depth()) * g_.k / steps_;
    const auto set = [&](int i, const E* from, int64_t lanes, int64_t lane, int64_t step) {
      ahead.from[i] = reinterpret_cast<const char*>(from + begin * step);
      if (lane == 1 && step == lanes) ahead.lines[i] = count * lanes * int64_t{sizeof(E)} / 64;
    };
    set(0, g_.a, g_.m, g_.a_row, g_.a_column);
    set(1, g_.b, g_.n, g_.b_column, g_.b_row);
    ahead.lines_per_tile = ceil_div(ahead.lines[0] + ahead.lines[1], strips_ * panels_);
    return ahead;
  }

  // Tiles to be run later.
  static constexpr int kMostTiles = 16;
  struct Tiles {
    struct Entry {
      TileKernel<T> run = nullptr;
      Tile<T> tile;
      bool packed = false;     // whether its b is
      bool fetches_b = false;  // or else a
    };
    Entry list[kMostTiles];
    int count = 0;
  };

  // Strips × panels over one pass.
  struct Block {
    Range steps;  // in passes, of which this is one
    Range pass;
    int64_t strips_begin = 0;
    int64_t strips_end = 0;
    int64_t panels_base = 0;  // the panel that packed b starts with
    int64_t panels_begin = 0;
    int64_t panels_end = 0;
    const T* a =
        nullptr;  // packed strips from strips_begin on, block of k after block of k; null: a is read where it lies
    int64_t a_block = 0;   // from one block of k to the next
    const T* b = nullptr;  // packed panels from panels_base on
    int64_t b_block = 0;
    const T* bias = nullptr;
    T* kept = nullptr;   // sums of the strips and one panel, between blocks of k and until they are finished
    T* whole = nullptr;  // for operands that are not the sums of their parts
    T* sums = nullptr;   // [m, vectors], between passes where c itself cannot hold them, and of a slice
    Ahead ahead;
    Tiles* tiles = nullptr;  // where they are kept instead of being run
  };

  // All of c over some of k: the operands are packed, what is not set of the block follows from the sizes.
  int64_t whole_product_scratch() const {
    const int64_t blocks = ceil_div(pass_depth_, block_depth_);
    return align(kept_scratch(strips_)) + align(whole_scratch()) +
           blocks * ((packs_a_ ? strips_ * strip_stride() : 0) + panel_scratch(panels_)) + kPackSlack;
  }
  void multiply_all(Block& block, Range steps, T* scratch) const {
    block.steps = steps;
    block.strips_end = strips_;
    block.panels_end = panels_;
    block.a_block = packs_a_ ? strips_ * strip_stride() : 0;
    block.b_block = panel_scratch(panels_);
    block.kept = scratch;
    block.whole = block.kept + align(kept_scratch(strips_));
    T* a = block.whole + align(whole_scratch());
    T* b = a + ceil_div(pass_depth_, block_depth_) * block.a_block;
    block.a = packs_a_ ? a : nullptr;
    block.b = b;
    for_each_pass(steps, [&](Range pass) {
      if (slices_ > 1) block.ahead = ahead_of(pass, steps.end);
      for (int64_t i = 0; i < blocks_of(pass); ++i) {
        const Range k = block_of(pass, i);
        if (packs_a_) pack_strips(0, strips_, k, a + i * block.a_block);
        pack_panels(0, 0, panels_, k, b + i * block.b_block);
      }
      block.pass = pass;
      multiply(block);
    });
  }

  // Small results of long sums: a task takes a slice of k and packs its own operands; c is the sum of what they came to, in their order.
  void run_slices(KernelContext& ctx) const {
    T* const sums = ctx.scratch<T>(slices_ * slice_scratch());
    ctx.parallel(slices_, [&](int64_t slice) {
      Block block;
      block.sums = sums + slice * slice_scratch();
      multiply_all(block, slice_of(slice), ctx.thread_scratch<T>(whole_product_scratch()));
    });
    const T* const bias = gather_bias(ctx.scratch<T>(bias_scratch()));
    ctx.parallel_ranges(g_.m, ceil_div(kSlicedResult / 8, slices_ * vectors_ * kWidth),
                        [&](int64_t begin, int64_t end) { add_slices(sums, bias, begin, end); });
  }
  Range slice_of(int64_t slice) const { return {steps_ * slice / slices_, steps_ * (slice + 1) / slices_}; }
  int64_t slice_scratch() const { return g_.m * vectors_ * kWidth; }
  void add_slices(T* sums, const T* bias, int64_t begin, int64_t end) const {
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t stride = vectors_ * kWidth;
    T* const first = sums + begin * stride;
    for (int64_t i = 0; i < (end - begin) * stride; i += kWidth) {
      Vec<T> sum = load(first + i);
      for (int64_t slice = 1; slice < slices_; ++slice) sum += load(first + slice * slice_scratch() + i);
      store(first + i, sum);
    }
    if (bias != nullptr) add_bias(bias, first, stride, begin, end - begin, 0, g_.n);
    store_tile(first, stride, end - begin, g_.n, g_.c + begin * g_.c_row, g_.c_row, g_.c_column);
    activate(begin, end - begin, 0, g_.n);
  }

  struct Cut {
    int64_t row_blocks;
    int64_t column_blocks;
  };
  // Cuts c into blocks, each the work of a task: at least `wanted` of them, up to 16.
  Cut cut(int64_t panels, int64_t wanted) const {
    wanted = std::clamp<int64_t>(wanted, 1, 16);
    const int64_t rows = parts_ > 1
                             ? std::clamp(kSplitBlockElements / (2 * pass_depth_), kLeastBlockRows, kSplitBlockRows)
                         : amx_ ? std::clamp(kAmxBlockElements / pass_depth_, kLeastBlockRows, kAmxBlockRows)
                                : std::clamp(kTileBlockElements / pass_depth_, kLeastBlockRows, kBlockRows);
    // An even number, so that two or four threads end together.
    const int64_t least_blocks = ceil_div(g_.m, rows), unit = least_blocks < 8 ? 2 : 4;
    const int64_t blocks = least_blocks == 1 ? 1 : ceil_div(least_blocks, unit) * unit;
    if (blocks >= kRowTasks || g_.m >= wanted * kLeastBlockRows) {
      return {std::max(blocks, std::min(wanted, g_.m / kLeastBlockRows) / unit * unit), 1};
    }
    // Each block reads its rows of a and columns of b from an L3 cache that gives a core some 10 GB/s, so blocks are as square as their number allows.
    const int64_t columns = panels * widest_ * kWidth;
    Cut best{};
    int64_t least = INT64_MAX;
    for (int64_t rows = blocks; rows <= std::min(strips_, wanted); ++rows) {
      const int64_t traffic = g_.m * std::min(ceil_div(wanted, rows), panels) + columns * rows;
      if (traffic >= least) continue;
      best = {rows, std::min(ceil_div(wanted, rows), panels)};
      least = traffic;
    }
    return best;
  }

  static int64_t align(int64_t count) { return ceil_div(count, 16) * 16 + kPackSlack; }
  // The depth of equal parts of `steps` that are at most `most` deep; AMX takes whole steps of its own.
  int64_t part_depth(int64_t steps, int64_t most) const {
    const int64_t unit = amx_ ? kPairStep / 2 : 1;
    const int64_t parts = std::max<int64_t>(1, ceil_div(steps, most));
    return std::max<int64_t>(1, ceil_div(ceil_div(steps, unit), parts)) * unit;
  }
  // The most rows of a strip.
  int strip_rows() const { return amx_ ? kPairRows : max_rows(widest_); }

  // The width of a panel: as wide as it may be where all rows then fit one tile.
  int panel_vectors() const {
    const int most = amx_                            ? kPairVectors
                     : g_.m <= max_rows(kMaxVectors) ? kMaxVectors
                     : g_.m <= max_rows(2)           ? 2
                                                     : panel_width(vectors_);
    return static_cast<int>(std::min<int64_t>(vectors_, most));
  }
  // Strips are equally high but the last: another number of rows is another kernel, or another set-up of AMX's registers.
  int64_t strip_begin(int64_t strip) const { return std::min(g_.m, strip * strip_height_); }
  int64_t panel_begin(int64_t panel) const { return vectors_ * panel / panels_ * kWidth; }
  int64_t strip_stride() const { return parts_ * strip_rows() * block_depth_ + kPackSlack; }
  // Whether a panel is packed: b must be adjacent along its columns and whole to be read in place.
  bool packs_panel(int64_t panel) const { return packs_b_ || (panel == panels_ - 1 && g_.n % kWidth != 0); }
  // What packing so many panels over a block of k takes.
  int64_t panel_scratch(int64_t panels) const {
    return (packs_b_ ? std::min(panels, panels_) + 1 : 1) * (parts_ * widest_ * kWidth * block_depth_ + panel_mark());
  }
  int64_t kept_scratch(int64_t strips) const { return strips * strip_rows() * widest_ * kWidth; }
  int64_t sums_scratch() const { return steps_ > pass_depth_ && !passes_in_c_ ? g_.m * vectors_ * kWidth : 0; }
  int64_t whole_scratch() const { return parts_ > 1 ? (kMaxRows + widest_ * kWidth) * 2 * block_depth_ : 0; }
  int64_t panel_offset(int64_t base, int64_t panel, int64_t depth) const {
    return packs_b_ ? (panel_begin(panel) - panel_begin(base)) * parts_ * depth + (panel - base) * panel_mark() : 0;
  }
  // Behind a strip or panel in parts stands a line whose first number says whether it is the sum of these.
  int64_t panel_mark() const { return parts_ > 1 ? 16 : 0; }

  void pack_strips(int64_t begin, int64_t end, Range k, T* to) const {
    for (int64_t strip = begin; strip < end; ++strip) {
      const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
      if constexpr (std::is_same_v<E, BFloat16>) {
        if (amx_) {
          pack_half_rows(g_.a + row * g_.a_row + 2 * k.begin * g_.a_column, g_.a_row, g_.a_column, rows,
                         std::min(2 * k.depth(), g_.k - 2 * k.begin), 2 * k.depth(),
                         reinterpret_cast<BFloat16*>(to + (strip - begin) * strip_stride()), kPairStep,
                         kPairRows * kPairStep);
          continue;
        }
      }
      if constexpr (std::is_same_v<E, float> && kHasMasks) {
        if (parts_ > 1) {
          split(g_.a + row * g_.a_row, g_.a_row, g_.a_column, rows, kPairRows, k, SplitOrder::kRows,
                to + (strip - begin) * strip_stride());
          continue;
        }
      }
      pack_any(g_.a + row * g_.a_row, g_.a_row, g_.a_column, rows, rows, k, to + (strip - begin) * strip_stride(),
               rows);
    }
  }

  void pack_panels(int64_t base, int64_t begin, int64_t end, Range k, T* to) const {
    for (int64_t panel = begin; panel < end; ++panel) {
      if (!packs_panel(panel)) continue;
      const int64_t column = panel_begin(panel), width = panel_begin(panel + 1) - column;
      pack_any(g_.b + column * g_.b_column, g_.b_column, g_.b_row, std::min(width, g_.n - column), width, k,
               to + panel_offset(base, panel, k.depth()), width);
    }
  }
  void pack_any(const E* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t padded, Range k, T* to,
                int64_t width) const {
    if constexpr (std::is_same_v<E, float> && kHasMasks) {
      if (parts_ > 1) return split(from, lane_stride, step, lanes, padded, k, SplitOrder::kPairs, to);
    }
    if constexpr (std::is_same_v<E, BFloat16>) {
      if (pairs_) {
        const int64_t depth = std::min(2 * k.end, g_.k) - 2 * k.begin;
        pack_pairs(from + 2 * k.begin * step, lane_stride, step, lanes, padded, depth, to, width);
        return std::fill(to + ceil_div(depth, 2) * width, to + k.depth() * width, 0.0f);
      }
    }
    pack(from + k.begin * step, lane_stride, step, lanes, padded, k.depth(), to, width);
  }
  // One step of AMX after the other, in each its parts, in each its lanes up to `padded`.
  void split(const E* from, int64_t lane_stride, int64_t step, int64_t lanes, int64_t padded, Range k, SplitOrder order,
             T* to) const {
    constexpr int64_t kPairs = kPairStep / 2;
    const int64_t part = padded * kPairs;
    SplitRange range;
    for (int64_t at = 2 * k.begin; at < 2 * k.end; at += kPairStep, to += kFloatParts * part) {
      for (int64_t lane = 0; lane < padded; lane += kWidth) {
        const SplitTarget target{to + lane * kPairs, kPairs, part, order};
        split_square(from + lane * lane_stride + at * step, lane_stride, step,
                     std::clamp<int64_t>(lanes - lane, 0, kWidth), std::clamp<int64_t>(g_.k - at, 0, kPairStep), target,
                     range);
      }
    }
    *to = range.holds() ? 1 : 0;
  }
  TileKernel<T> find_kernel(int64_t rows, int64_t vectors, bool unit_row) const {
    if constexpr (std::is_same_v<T, float>) {
      if (pairs_) return pair_kernel(static_cast<int>(rows), static_cast<int>(vectors), unit_row);
    }
    return tile_kernel<T>(static_cast<int>(rows), static_cast<int>(vectors), unit_row);
  }

  // Panel by panel, so that the sums of one stay in a cache from one block of k to the next.
  void multiply(const Block& block) const {
    PairTiles registers;
    [[maybe_unused]] const FlushSubnormals flush;
    const int64_t blocks = blocks_of(block.pass);
    const auto at = [&](int64_t panel, int64_t i) {
      const int64_t offset = panel_offset(block.panels_base, panel, block_of(block.pass, i).depth());
      return block.b + i * block.b_block + offset;
    };
    for (int64_t number = block.panels_begin; number < block.panels_end; ++number) {
      Panel panel;
      panel.number = number;
      panel.column = panel_begin(number);
      panel.width = panel_begin(number + 1) - panel.column;
      panel.columns = std::min(panel.width, g_.n - panel.column);
      for (int64_t i = 0; i < blocks; ++i) {
        panel.k = block_of(block.pass, i);
        const bool packed = packs_panel(number);
        // E is T where b is not packed.
        panel.b = packed ? at(number, i) : reinterpret_cast<const T*>(g_.b) + panel.k.begin * g_.b_row + panel.column;
        panel.b_step = packed ? panel.width : g_.b_row;
        panel.a = block.a == nullptr ? nullptr : block.a + i * block.a_block;
        // Sums come from registers or bias at first, from memory between passes, from a cache between blocks.
        // One block: each strip is finished before the next.
        const Sums kept = blocks > 1 ? Sums{block.kept - strip_begin(block.strips_begin) * panel.width, panel.width}
                                     : Sums{block.kept, panel.width, strip_height_};
        const Sums passed = passes_in_c_ ? Sums{reinterpret_cast<T*>(g_.c) + panel.column, g_.c_row}
                                         : Sums{block.sums + panel.column, vectors_ * kWidth};
        panel.from = i == 0 ? passed : kept;
        panel.to = i < blocks - 1 || (panel.k.end == steps_ && !direct_) ? kept : passed;
        // Meanwhile the next panel, or this one's next block, comes from L3 or memory to L2: a share of its lines per strip.
        const int64_t next_block = (i + 1) % blocks, next = number + (next_block == 0);
        panel.fetched = next < block.panels_end && packs_panel(next) ? at(next, next_block) : panel.b;
        const int64_t lines = parts_ * panel.width * panel.k.depth() * int64_t{sizeof(T)} / 64;
        panel.lines_per_strip = ceil_div(lines, block.strips_end - block.strips_begin);
        if (amx_) {
          multiply_amx(block, panel, registers);
        } else {
          multiply_tiles(block, panel);
        }
      }
    }
  }
  struct Sums {
    T* row_0 = nullptr;
    int64_t stride = 0;
    int64_t rows = INT64_MAX;  // that take turns
    T* at(int64_t row) const { return row_0 + (row < rows ? row : row % rows) * stride; }
  };
  // A panel over one block of k.
  struct Panel {
    int64_t number = 0;
    int64_t column = 0;
    int64_t width = 0;
    int64_t columns = 0;  // that c has
    Range k;
    const T* a = nullptr;  // the packed strips, or null
    const T* b = nullptr;
    int64_t b_step = 0;
    Sums from;
    Sums to;
    const T* fetched = nullptr;
    int64_t lines_per_strip = 0;
  };

  void multiply_tiles(const Block& block, const Panel& panel) const {
    const bool is_last = panel.k.end == steps_ && slices_ == 1;
    Tile<T> tile;
    tile.k = panel.k.depth();
    if (panel.k.begin > block.steps.begin) {
      tile.start = Start::kAccumulate;
    } else if (block.bias != nullptr) {
      tile.start = bias_per_row() ? Start::kRowBias : Start::kColumnBias;
    }
    tile.columns = static_cast<int>(panel.columns);
    tile.b = panel.b;
    tile.b_step = panel.b_step;
    tile.from_row = panel.from.stride;
    tile.c_row = panel.to.stride;
    tile.fetch = reinterpret_cast<const char*>(panel.fetched);
    const int64_t strips = block.strips_end - block.strips_begin;
    const bool unit_row = panel.a != nullptr || (g_.a_row == 1 && !pairs_);
    int64_t known_rows = 0;
    TileKernel<T> kernel = nullptr;
    for (int64_t strip = block.strips_begin; strip < block.strips_end; ++strip) {
      const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
      if (rows != known_rows) {
        kernel = find_kernel(rows, panel.width / kWidth, unit_row);
        known_rows = rows;
      }
      if (panel.a != nullptr) {
        tile.a = panel.a + (strip - block.strips_begin) * strip_stride();
        tile.a_row = 1;
        tile.a_step = rows;
      } else {
        // Either E is T, or rows of pairs that are adjacent, two elements of E to a step.
        tile.a = reinterpret_cast<const T*>(g_.a + row * g_.a_row + panel.k.begin * g_.a_column * (pairs_ ? 2 : 1));
        tile.a_row = pairs_ ? g_.a_row / 2 : g_.a_row;
        tile.a_step = g_.a_column;
      }
      if (tile.start == Start::kColumnBias) tile.bias = block.bias + panel.column;
      if (tile.start == Start::kRowBias) tile.bias = block.bias + row;
      tile.from = panel.from.at(row);
      tile.c = panel.to.at(row);
      if (block.ahead.lines_per_tile > 0) {
        tile.fetch = block.ahead.at((panel.number - block.panels_begin) * strips + strip - block.strips_begin);
      }
      if (block.tiles != nullptr) {
        const bool fetches_b = block.tiles->count * block.ahead.lines_per_tile >= block.ahead.lines[0];
        block.tiles->list[block.tiles->count++] = {kernel, tile, packs_panel(panel.number), fetches_b};
        continue;
      }
      kernel(tile);
      tile.fetch += 64 * panel.lines_per_strip;
      if (is_last) finish(block, panel, row, rows);
    }
  }

  void multiply_amx([[maybe_unused]] const Block& block, [[maybe_unused]] const Panel& panel,
                    [[maybe_unused]] PairTiles& registers) const {
    if constexpr (kMayUseAmx) {
      PairProduct product;
      product.steps = panel.k.depth() / (kPairStep / 2);
      product.vectors = static_cast<int>(panel.width / kWidth);
      product.b = panel.b;
      product.b_row = parts_ > 1 ? 16 : panel.b_step;
      if (parts_ > 1) product.b_right = 16 * product.b_row;
      product.a_row = panel.a != nullptr ? kPairStep : g_.a_row;
      product.a_lower = 16 * product.a_row;
      product.parts = parts_;
      product.a_part = kPairRows * kPairStep;
      product.b_part = kPairStep / 2 * panel.b_step;
      product.b_step = parts_ * product.b_part;
      if (panel.a != nullptr) product.a_step = parts_ * product.a_part;
      // A pass over float adds up by itself: one rounding per pass beside the many of a long sum.
      const bool adds = parts_ > 1 && panel.k.begin > 0;
      product.accumulate = panel.k.begin > 0 && !adds;
      product.from_row = panel.from.stride;
      product.c_row = adds ? panel.width : panel.to.stride;
      product.fetch = reinterpret_cast<const char*>(panel.fetched);
      const bool panel_holds = parts_ == 1 || panel.b[product.steps * product.b_step] != 0;
      for (int64_t strip = block.strips_begin; strip < block.strips_end; ++strip) {
        const int64_t row = strip_begin(strip), rows = strip_begin(strip + 1) - row;
        const T* const a = panel.a == nullptr ? nullptr : panel.a + (strip - block.strips_begin) * strip_stride();
        if (parts_ > 1 && !(panel_holds && a[product.steps * product.a_step / 2] != 0)) {
          multiply_whole(block, panel, row, rows);
        } else {
          product.rows = static_cast<int>(std::min<int64_t>(rows, 16));
          product.lower_rows = static_cast<int>(rows) - product.rows;
          product.a = reinterpret_cast<const BFloat16*>(a);
          if constexpr (std::is_same_v<E, BFloat16>) {
            if (a == nullptr) product.a = g_.a + row * g_.a_row + 2 * panel.k.begin;
          }
          product.from = panel.from.at(row);
          product.c = adds ? block.kept : panel.to.at(row);
          product.fetch_end = product.fetch + 64 * panel.lines_per_strip;
          registers.multiply(product);
          product.fetch = product.fetch_end;
          if (adds) add_sums(block.kept, panel, row, rows);
        }
        if (panel.k.end == steps_) finish(block, panel, row, rows);
      }
    }
  }
  // What a pass added up for a strip joins the sums of those before.
  void add_sums(const T* passed, const Panel& panel, int64_t row, int64_t rows) const {
    for (int64_t r = 0; r < rows; ++r, passed += panel.width) {
      const T* const from = panel.from.at(row) + r * panel.from.stride;
      T* const to = panel.to.at(row) + r * panel.to.stride;
      for (int64_t i = 0; i < panel.width; i += kWidth) store(to + i, load(from + i) + load(passed + i));
    }
  }
  // A strip and panel of float that are not the sums of their parts, by multiply-adds.
  void multiply_whole(const Block& block, const Panel& panel, int64_t row, int64_t rows) const {
    if constexpr (std::is_same_v<E, float>) {
      const int64_t begin = 2 * panel.k.begin;
      Tile<float> tile;
      tile.k = std::min(2 * panel.k.end, g_.k) - begin;
      if (begin > 0) tile.start = Start::kAccumulate;
      tile.columns = static_cast<int>(panel.width);
      tile.b_step = panel.width;
      float* const b = block.whole;
      float* const a = b + panel.width * tile.k;
      pack(g_.b + panel.column * g_.b_column + begin * g_.b_row, g_.b_column, g_.b_row, panel.columns, panel.width,
           tile.k, b, panel.width);
      tile.b = b;
      tile.a = a;
      tile.a_row = 1;
      tile.from_row = panel.from.stride;
      tile.c_row = panel.to.stride;
      const int vectors = static_cast<int>(panel.width / kWidth);
      for (int64_t first = row; first < row + rows; first += tile.a_step) {
        tile.a_step = std::min<int64_t>(max_rows(vectors), row + rows - first);
        pack(g_.a + first * g_.a_row + begin * g_.a_column, g_.a_row, g_.a_column, tile.a_step, tile.a_step, tile.k, a,
             tile.a_step);
        tile.from = panel.from.at(first);
        tile.c = panel.to.at(first);
        tile.fetch = reinterpret_cast<const char*>(b);
        tile_kernel<float>(static_cast<int>(tile.a_step), vectors, true)(tile);
      }
    }
  }
  bool bias_per_row() const { return g_.bias_column == 0 && g_.bias_row != 0; }

  void finish(const Block& block, const Panel& panel, int64_t row, int64_t rows) const {
    if (!direct_) write(block, panel, row, rows);
    activate(row, rows, panel.column, panel.columns);
  }
  // Of a piece of c that is written and still in a cache, as pointwise kernels compute it.
  void activate(int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    const bool by_rows = g_.c_column == 1;
    const int64_t lines = by_rows ? rows : columns, length = by_rows ? columns : rows;
    const int64_t distance = by_rows ? g_.c_row : g_.c_column;
    visit_activation(g_.activation, [&](auto function, auto) {
      E* line = g_.c + row * g_.c_row + column * g_.c_column;
      for (int64_t l = 0; l < lines; ++l, line += distance) {
        for (int64_t i = 0; i < length; i += kWidth) {
          const int count = static_cast<int>(std::min<int64_t>(kWidth, length - i));
          store_columns(line + i, function(load_columns(line + i, count)), count);
        }
      }
    });
  }
  // What is left to do with the sums of a tile before they go to c: AMX's lack the bias.
  void write(const Block& block, const Panel& panel, int64_t row, int64_t rows) const {
    T* const sums = panel.to.at(row);
    const int64_t stride = panel.to.stride;
    if (amx_ && block.bias != nullptr) add_bias(block.bias, sums, stride, row, rows, panel.column, panel.columns);
    E* const c = g_.c + row * g_.c_row + panel.column * g_.c_column;
    if constexpr (std::is_same_v<E, BFloat16>) {
      if (amx_ && panel.columns == kPairVectors * kWidth && g_.c_column == 1) {
        return store_sums(sums, stride, rows, c, g_.c_row, streams_);
      }
    }
    if constexpr (std::is_same_v<E, float>) {
      if (streams_ && panel.columns == panel.width) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < panel.width; i += kWidth) stream(c + r * g_.c_row + i, load(sums + r * stride + i));
        }
        return;
      }
    }
    store_tile(sums, stride, rows, panel.columns, c, g_.c_row, g_.c_column);
  }
  void add_bias(const T* bias, T* sums, int64_t sums_row, int64_t row, int64_t rows, int64_t column,
                int64_t columns) const {
    for (int64_t i = 0; i < columns; i += kWidth) {
      const int count = static_cast<int>(std::min<int64_t>(kWidth, columns - i));
      const Vec<T> of_columns = bias_per_row() ? Vec<T>{} : load_columns(bias + column + i, count);
      for (int64_t r = 0; r < rows; ++r) {
        T* at = sums + r * sums_row + i;
        store(at, load(at) + (bias_per_row() ? broadcast(bias[row + r]) : of_columns));
      }
    }
  }

  // bias as adjacent values of T, in place where it is that already.
  int64_t bias_scratch() const { return g_.bias == nullptr ? 0 : std::max(g_.m, g_.n); }
  const T* gather_bias(T* scratch) const {
    if (g_.bias == nullptr) return nullptr;
    const bool per_row = bias_per_row();
    const int64_t count = per_row ? g_.m : g_.n, stride = per_row ? g_.bias_row : g_.bias_column;
    if constexpr (!kConverts) {
      if (stride == 1) return g_.bias;
    }
    for (int64_t i = 0; i < count; ++i) scratch[i] = static_cast<T>(g_.bias[i * stride]);
    return scratch;
  }

  // Calls f with a as adjacent rows, for the dot products: of T, or as they are where those go in pairs.
  template <class F>
  void with_dot_rows(T* scratch, F&& f) const {
    const auto gather = [&](auto* rows) {
      for (int64_t i = 0; i < g_.m; ++i) {
        const E* row = g_.a + i * g_.a_row;
        for (int64_t p = 0; p < g_.k; ++p) {
          rows[i * g_.k + p] = static_cast<std::remove_pointer_t<decltype(rows)>>(row[p * g_.a_column]);
        }
      }
      f(rows);
    };
    if (dots_in_pairs_) gather(reinterpret_cast<E*>(scratch));
    else gather(scratch);
  }
  template <class A>
  void dot_range(const T* bias, const A* a, int64_t begin, int64_t end) const {
    switch (g_.m) {
      case 1: dot_columns<1>(bias, a, begin, end); break;
      case 2: dot_columns<2>(bias, a, begin, end); break;
      case 3: dot_columns<3>(bias, a, begin, end); break;
      default: dot_columns<4>(bias, a, begin, end);
    }
    activate(0, g_.m, begin, end - begin);
  }
  // c[0 … kRows, j] = a · b[:, j]: b is read once, along k; four columns at a time keep enough sums in flight.
  template <int kRows, class A>
  void dot_columns(const T* bias, const A* a, int64_t begin, int64_t end) const {
    int64_t j = begin;
    for (; j + 4 <= end; j += 4) dot_tile<kRows, 4>(bias, a, j);
    for (; j < end; ++j) dot_tile<kRows, 1>(bias, a, j);
  }
  template <int kRows, int kColumns, class A>
  void dot_tile(const T* bias, const A* a, int64_t column) const {
    Vec<T> sums[kRows][kColumns] = {};
    const E* b[kColumns];
    for (int j = 0; j < kColumns; ++j) b[j] = g_.b + (column + j) * g_.b_column;
    const auto add = [&](auto&& load_from, auto&& multiply_add) __attribute__((always_inline)) {
      Vec<T> row[kRows];
      unroll<kRows>([&](auto i) __attribute__((always_inline)) { row[i] = load_from(a + i * g_.k); });
      unroll<kColumns>([&](auto j) __attribute__((always_inline)) {
        const Vec<T> v = load_from(b[j]);
        unroll<kRows>([&](auto i) __attribute__((always_inline)) { sums[i][j] = multiply_add(row[i], v, sums[i][j]); });
      });
    };
    const auto one_by_one = [](Vec<T> factor, Vec<T> v, Vec<T> sum)
                                __attribute__((always_inline)) { return sum + factor * v; };
    // What these columns hold eight lines on meanwhile, at their ends the columns after them: each column is a stream of its own, which the
    // processor notices late.
    const auto fetch_next = [&](int64_t p) __attribute__((always_inline)) {
      constexpr int64_t kAhead = 8 * 64 / sizeof(E);
      const int64_t offset = p + kAhead < g_.k ? p + kAhead : p + kAhead - g_.k + kColumns * g_.b_column;
      for (int j = 0; j < kColumns; ++j) __builtin_prefetch(b[j] + offset);
    };
    int64_t p = 0;
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<A, BFloat16>) {
      // Not widened: 57 GB/s of a matrix of 4096² instead of 37, on two cores of Zen 5.
      for (; p + 2 * kWidth <= g_.k; p += 2 * kWidth) {
        fetch_next(p);
        add([&](const BFloat16* from)
                __attribute__((always_inline)) { return load(reinterpret_cast<const float*>(from + p)); },
            [](Vec<float> factor, Vec<float> v, Vec<float> sum)
                __attribute__((always_inline)) { return multiply_add_pairs(factor, v, sum); });
      }
    }
#endif
    for (; p + kWidth <= g_.k; p += kWidth) {
      fetch_next(p);
      add([&](const auto* from) __attribute__((always_inline)) { return load(from + p); }, one_by_one);
    }
    if (const int rest = static_cast<int>(g_.k - p); rest > 0) {
      add([&](const auto* from) __attribute__((always_inline)) { return load_columns(from + p, rest); }, one_by_one);
    }
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kColumns; ++j) {
        T sum = horizontal_sum(sums[i][j]);
        if (bias != nullptr) sum += bias[bias_per_row() ? i : column + j];
        g_.c[i * g_.c_row + (column + j) * g_.c_column] = static_cast<E>(sum);
      }
    }
  }

  Gemm<E> g_;
  bool turned_ = false;  // whether a and b have changed places
  bool amx_ = false;     // through PairTiles
  int parts_ = 1;        // of an element that these take
  bool pairs_ = false;   // bfloat16 in pairs, through those or pair_kernel
  int64_t steps_ = 0;    // of k: its elements or pairs
  int64_t slices_ = 1;   // of k, each a task: run_slices()
  int64_t vectors_ = 0;  // of a row of c
  int widest_ = 0;       // panel, in vectors
  int64_t panels_ = 0;
  int64_t pass_depth_ = 0;  // steps, also:
  int64_t block_depth_ = 0;
  int64_t strip_height_ = 0;
  int64_t strips_ = 0;
  bool passes_in_c_ = false;  // sums go to c between passes
  bool direct_ = false;       // tiles write c itself: same type, adjacent columns
  bool streams_ = false;      // c is written past the caches
  bool dots_ = false;         // run_dots()
  bool is_dot_ = false, dots_in_pairs_ = false;
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
  using Step = typename Product<E>::Step;
  const Product<E> product(first);
  const auto at = [&](int64_t index) {
    Step step;
    for (int axis = batch.rank - 1; axis >= 0; --axis) {
      const int64_t i = index % batch.shape[axis];
      index /= batch.shape[axis];
      step.a += i * batch.a[axis];
      step.b += i * batch.b[axis];
      step.c += i * batch.c[axis];
    }
    return step;
  };
  // Few and large: each product is cut. Many or small: whole products are the tasks, several to a task when they are tiny.
  const int64_t work = std::max<int64_t>(1, product.work());
  if (count == 1 || (count < 16 && work >= 8 * kTaskWork) || work >= 64 * kTaskWork) {
    for (int64_t i = 0; i < count; ++i) {
      Product<E> one = product;
      one.move(at(i));
      one.run(ctx);
    }
    return;
  }
  // An even number of tasks, so that two threads end together.
  const int64_t tasks = std::min(count, ceil_div(ceil_div(count * (work + kProductWork), kTaskWork), 2) * 2);
  ctx.parallel(tasks, [&](int64_t task) {
    Product<E>(product).run_range(ctx, count * task / tasks, count * (task + 1) / tasks, count, at);
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
