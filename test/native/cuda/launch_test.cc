// Host-side arithmetic of the CUDA kernels at edge sizes: how work is shared out, how flat indices are taken apart. Built and run
// by launch.test.ts; prints the first mistake.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cuda/channel_shape.h"
#include "cuda/conv_shape.h"
#include "cuda/device/axes.cuh"
#include "cuda/device/coordinates.cuh"
#include "cuda/device/divider.cuh"
#include "cuda/fft_shape.h"
#include "cuda/launch_shape.h"
#include "kernels/fft.h"

using namespace hadal;
using namespace hadal::cuda;

namespace {

int checks = 0;

void expect(bool holds, const char* what, int64_t a, int64_t b = 0, int64_t c = 0) {
  ++checks;
  if (holds) return;
  std::printf("%s: %lld, %lld, %lld\n", what, static_cast<long long>(a), static_cast<long long>(b),
              static_cast<long long>(c));
  std::exit(1);
}

void test_divider() {
  const uint32_t edges[] = {1,        2,        3, 5, 7, 31, 32, 33, 255, 641, 65535, 65536, 65537, (1u << 30) - 1,
                            1u << 30, INT32_MAX};
  for (const uint32_t divisor : edges) {
    const Divider divider(divisor);
    for (const uint32_t n : {0u, 1u, 2u, 1000u, 123456789u, (1u << 30) + 1, uint32_t{INT32_MAX}}) {
      for (const uint32_t dividend : {n, n > divisor ? n - n % divisor : n, n - (n > 0 ? 1 : 0)}) {
        uint32_t rest = dividend;
        const uint32_t remainder = divider.pop(rest);
        expect(rest == dividend / divisor && remainder == dividend % divisor, "Divider", dividend, divisor, rest);
      }
    }
  }
}

TensorView view_of(std::initializer_list<int64_t> shape, std::initializer_list<int64_t> strides) {
  TensorView view;
  view.rank = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), view.shape);
  std::copy(strides.begin(), strides.end(), view.strides);
  return view;
}

// Offsets of element i by dividing step by step.
int64_t offset_of(const TensorView& view, int64_t i) {
  int64_t offset = 0;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    offset += i % view.shape[axis] * view.strides[axis];
    i /= view.shape[axis];
  }
  return offset;
}

void test_axes() {
  const TensorView views[] = {view_of({}, {}),
                              view_of({7}, {1}),
                              view_of({3, 1, 5}, {5, 77, 1}),
                              view_of({2, 3, 4}, {12, 4, 1}),
                              view_of({4, 3, 2}, {1, 4, 12}),
                              view_of({2, 2, 2, 2, 2, 2, 2, 2}, {1, 2, 4, 8, 16, 32, 64, 128}),
                              view_of({3, 4}, {0, 1}),
                              view_of({3, 4}, {8, 2}),
                              view_of({2, int64_t{1} << 31}, {int64_t{1} << 31, 1}),
                              view_of({int64_t{3} << 30, 2}, {2, 1})};
  for (const TensorView& view : views) {
    const Axes<1> axes = axes_of<1>({&view}, all_axes(view));
    const Coordinates coordinates(view);
    const int64_t count = view.numel();
    expect(axes.count == count && coordinates.count == count, "count", axes.count, coordinates.count, count);
    for (const int64_t i : {int64_t{0}, int64_t{1}, count / 3, count / 2, count - 2, count - 1}) {
      if (i < 0 || i >= count) continue;
      int64_t at[1], place[kMaxRank], offset = 0;
      axes.offsets(i, at);
      expect(at[0] == offset_of(view, i), "Axes", i, at[0], offset_of(view, i));
      coordinates.find(i, place);
      for (int axis = 0; axis < view.rank; ++axis) offset += place[axis] * view.strides[view.rank - 1 - axis];
      expect(offset == offset_of(view, i), "Coordinates", i, offset, offset_of(view, i));
    }
  }
  // Channels side by side are numbered as they lie.
  for (const TensorView& view : {view_of({2, 3, 4, 5}, {60, 1, 15, 3}), view_of({3, 4, 2}, {8, 1, 4}),
                                 view_of({2, 3, 2, 1, 4}, {24, 1, 12, 12, 3})}) {
    const Coordinates coordinates(view);
    for (int64_t i = 0; i < view.numel(); ++i) {
      int64_t place[kMaxRank], offset = 0;
      coordinates.find(i, place);
      for (int axis = 0; axis < view.rank; ++axis) offset += place[axis] * view.strides[view.rank - 1 - axis];
      expect(offset == i, "Coordinates of channels side by side", i, offset);
    }
  }
  const TensorView packed = view_of({8, 3, 16}, {48, 16, 1});
  expect(axes_of<1>({&packed}, all_axes(packed)).rank == 1, "merged axes", 1);
  Axes<1> stepped = axes_of<1>({&packed}, 0b101);
  stepped.step_inner(4);
  expect(stepped.count == 32 && stepped.shape[0] == 4 && stepped.strides[0][0] == 4, "steps", stepped.count);
}

// Every element of every output belongs to one chunk, and what a launch may have is kept.
void test_reductions() {
  const int64_t sizes[] = {
      0, 1, 2, 31, 32, 33, 255, 256, 257, 1000, 4096, 65535, 65536, 1 << 20, int64_t{1} << 31, int64_t{3} << 32};
  for (const int64_t outputs : sizes) {
    if (outputs == 0) continue;
    for (const int64_t reduced : sizes) {
      for (const bool by_rows : {false, true}) {
        for (const auto& [unroll, longest] : {std::pair<int, int64_t>(2, 128), {4, int64_t{1} << 40}, {8, 256}}) {
          const ReductionShape shape = shape_reduction(outputs, reduced, by_rows, unroll, 528, longest);
          expect(shape.lanes * shape.groups <= kReductionBlock && shape.lanes > 0 && shape.groups > 0, "block", outputs,
                 reduced);
          expect((shape.lanes & (shape.lanes - 1)) == 0 && (shape.groups & (shape.groups - 1)) == 0, "powers of two",
                 outputs, reduced);
          expect(shape.chunks >= 1 && shape.chunks <= 65535, "chunks", outputs, reduced, shape.chunks);
          expect(shape.chunk * shape.chunks >= reduced, "covered elements", outputs, reduced, shape.chunk);
          expect(shape.chunks == 1 || shape.chunk * (shape.chunks - 1) < reduced, "empty chunks", outputs, reduced);
          expect(shape.blocks * (by_rows ? shape.groups : shape.lanes) >= outputs, "covered outputs", outputs, reduced);
          expect(!by_rows || (shape.lanes * shape.groups) % kWarp == 0, "whole warps", outputs, reduced);
          const int64_t most = std::max(longest * (by_rows ? shape.lanes : shape.groups), reduced / 65535 + 1);
          expect(shape.chunk < most + unroll, "the longest share of a thread", outputs, reduced, shape.chunk);
        }
      }
    }
  }
}

void test_rows() {
  for (int per_thread : {1, 2, 4}) {
    for (int64_t units = 0; units < 5000; ++units) {
      const RowShape shape = shape_rows(units, per_thread);
      if (shape.lanes == 0) {
        expect(units > int64_t{1024} * per_thread, "a row that is too long", units);
        continue;
      }
      expect(shape.lanes % kWarp == 0 && shape.lanes * shape.rows <= 1024, "threads of a row", units, shape.lanes);
      expect(int64_t{shape.lanes} * shape.per_thread >= units, "units of a row", units, shape.lanes, shape.per_thread);
    }
  }
}

// Every tile of every head has one block; within a group of heads no tile comes before one with more to do.
void test_tile_order() {
  for (const int tiles : {1, 2, 7, 22}) {
    for (const int heads : {1, 3, 12, 64}) {
      for (const int images : {1, 3}) {
        for (const int sharing : {1, 3}) {
          for (const size_t l2 : {0, 30, 3 << 10, 1 << 20}) {
            const int all = heads * images;
            const TileOrder order = TileOrder::of(tiles, heads, images, sharing, 100, l2);
            expect(order.at_once % sharing == 0 || order.at_once == all, "heads that share", all, sharing, l2);
            expect(order.at_once <= std::max(static_cast<int>(l2) / 300 * sharing, sharing), "heads at once", all, l2);
            expect(order.blocks() == tiles * all, "blocks", tiles, all);
            std::vector<int> found(static_cast<size_t>(tiles * all));
            int last_group = 0, last_tile = tiles;
            for (unsigned block = 0; block < order.blocks(); ++block) {
              int image, head, tile;
              order.place(block, image, head, tile);
              expect(head >= 0 && head < heads && image >= 0 && image < images, "a head", heads, head, image);
              expect(tile >= 0 && tile < tiles, "a tile", tiles, tile, block);
              ++found[static_cast<size_t>((image * heads + head) * tiles + tile)];
              const int group = (image * heads + head) / order.at_once;
              expect(group >= last_group && (group > last_group || tile <= last_tile), "the order", tiles, all, block);
              last_group = group;
              last_tile = tile;
            }
            for (const int times : found) expect(times == 1, "a tile's blocks", tiles, all, times);
          }
        }
      }
    }
  }
}

// The walk from windows and the walks from elements meet the same pairs of window, tap and element, each once.
void test_convolution_walks() {
  for (int in = 1; in <= 9; ++in) {
    for (int kernel = 1; kernel <= 4; ++kernel) {
      for (int stride = 1; stride <= 4; ++stride) {
        for (int pad = 0; pad <= 5; ++pad) {
          for (int dilation = 1; dilation <= 3; ++dilation) {
            const int out = (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
            if (in + 2 * pad < dilation * (kernel - 1) + 1) continue;
            // Of window, tap and element, as a number.
            std::vector<int> forward, backward;
            const auto collect = [](const AxisWalk& walk, const auto& add) {
              for (int i = 0; i < walk.count; ++i) {
                for (int j = 0; j < walk.taps; ++j) {
                  const int from = walk.from_first + i * walk.from_row + j * walk.from_tap;
                  if (from < 0 || from >= walk.from_size) continue;
                  add(walk.first + i * walk.step, walk.tap_first + j * walk.tap_step, from);
                }
              }
            };
            collect(walk_windows(in, out, kernel, stride, pad, dilation),
                    [&](int window, int tap, int element) { forward.push_back((window * 10 + tap) * 10 + element); });
            for (int phase = 0; phase < stride; ++phase) {
              collect(
                  walk_elements(in, out, kernel, stride, pad, dilation, phase),
                  [&](int element, int tap, int window) { backward.push_back((window * 10 + tap) * 10 + element); });
            }
            std::sort(forward.begin(), forward.end());
            std::sort(backward.begin(), backward.end());
            expect(forward == backward, "the walks of a convolution", in, kernel * 10 + stride, pad * 10 + dilation);
            for (const int pair : forward) {
              const int window = pair / 100, tap = pair / 10 % 10, element = pair % 10;
              expect(element == window * stride - pad + tap * dilation, "an element of a window", pair, in, kernel);
            }
          }
        }
      }
    }
  }
}

void test_convolution_tiles() {
  expect(choose_tile_columns(392, 256, 132) == 128, "columns of many tiles", 256);
  expect(choose_tile_columns(392, 64, 132) == 64, "columns of few outputs", 64);
  expect(choose_tile_columns(98, 256, 132) == 64, "columns of few tiles", 256);
  for (const int64_t tiles : {1, 2, 36, 131, 132, 264, 265, 100000}) {
    for (const int64_t steps : {0, 1, 7, 8, 9, 100, 784, 1 << 24}) {
      const SumParts cut = choose_parts(tiles, steps, 132);
      expect(cut.parts >= 1 && cut.parts <= 264, "parts of a sum", tiles, steps, cut.parts);
      expect(int64_t{cut.parts} * cut.steps >= steps, "covered steps", tiles, steps, cut.steps);
      expect(cut.parts == 1 || int64_t{cut.parts - 1} * cut.steps < steps, "empty parts", tiles, steps, cut.parts);
    }
  }
}

void test_channels() {
  for (const int64_t places : {int64_t{1}, int64_t{49}, int64_t{1} << 16, int64_t{1} << 33}) {
    for (const int64_t channels : {1, 2, 3, 31, 32, 33, 4096}) {
      const ChannelShape shape = shape_channels(places, channels, 132);
      expect(shape.places * shape.groups == kChannelBlock && shape.places >= 8, "a block of places", places, channels);
      expect(shape.groups < 2 * channels, "groups without channels", places, channels, shape.groups);
      expect(places < 132 * 2048 || shape.groups == 1, "groups of many places", places, channels, shape.groups);
    }
  }
}

// Passes make up the whole transform, and what a block has fits its memory and the tables of its stages.
void test_transforms() {
  const int64_t lengths[] = {
      1,       2,       61,      1000,    2048,    2187,    4096,    4116,      6561,      8192,
      61 * 61, 1 << 20, 1594323, 3125000, 1 << 24, 1 << 30, 1 << 29, 887503681, 844596301, int64_t{1} << 31};
  for (const int64_t n : lengths) {
    for (const int room : {kFftPoints<double>, kFftPoints<float>}) {
      const FftCut cut = cut_fft(n, room);
      int64_t product = 1;
      for (int p = 0; p < cut.passes; ++p) {
        const int size = cut.sizes[p];
        product *= size;
        expect(size >= 1 && size <= (cut.passes == 1 ? room : kFftColumn), "a pass", n, size);
        int radices[fft::kMostRadices];
        expect(size == 1 || fft::radices_of(size, radices) <= kMostFftStages, "stages of a pass", n, size);
        for (const int64_t rows : {1, 7, 132, 100000}) {
          const bool whole = cut.passes == 1;
          const int tile = choose_fft_tile(rows, size, whole, room, 132);
          expect(tile >= 1 && (tile & (tile - 1)) == 0 && tile * size <= room, "a tile", n, rows, tile);
          expect(whole || tile * (kFftPoints<float> * 8 / room) >= 32, "whole sectors", n, tile);
        }
      }
      expect(product == n, "the points of all passes", n, product);
      expect(cut.passes <= 3 || n > int64_t{1} << 27, "passes", n, cut.passes);
    }
  }
  expect(cut_fft(1 << 20, 4096).passes == 2, "passes of 2^20", 1 << 20);
}

}  // namespace

int main() {
  test_divider();
  test_axes();
  test_reductions();
  test_rows();
  test_tile_order();
  test_channels();
  test_transforms();
  test_convolution_walks();
  test_convolution_tiles();
  std::printf("%d checks\n", checks);
}
