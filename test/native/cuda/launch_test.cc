// Host-side arithmetic of the CUDA kernels at edge sizes: how work is shared out, how flat indices are taken apart. Built and run
// by launch.test.ts; prints the first mistake.
#include <cstdio>
#include <cstdlib>

#include "cuda/device/axes.cuh"
#include "cuda/device/coordinates.cuh"
#include "cuda/device/divider.cuh"
#include "cuda/launch_shape.h"

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
        for (const int unroll : {2, 4, 8}) {
          const ReductionShape shape = shape_reduction(outputs, reduced, by_rows, unroll, 132);
          expect(shape.lanes * shape.groups <= kReductionBlock && shape.lanes > 0 && shape.groups > 0, "block", outputs,
                 reduced);
          expect((shape.lanes & (shape.lanes - 1)) == 0 && (shape.groups & (shape.groups - 1)) == 0, "powers of two",
                 outputs, reduced);
          expect(shape.chunks >= 1 && shape.chunks <= 65535, "chunks", outputs, reduced, shape.chunks);
          expect(shape.chunk * shape.chunks >= reduced, "covered elements", outputs, reduced, shape.chunk);
          expect(shape.chunks == 1 || shape.chunk * (shape.chunks - 1) < reduced, "empty chunks", outputs, reduced);
          expect(shape.blocks * (by_rows ? shape.groups : shape.lanes) >= outputs, "covered outputs", outputs, reduced);
          expect(!by_rows || (shape.lanes * shape.groups) % kWarp == 0, "whole warps", outputs, reduced);
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

}  // namespace

int main() {
  test_divider();
  test_axes();
  test_reductions();
  test_rows();
  std::printf("%d checks\n", checks);
}
