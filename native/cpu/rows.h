// Rows: the lines of a tensor along one axis, and loops over a row in whole vectors and a tail. Used by the kernels that
// reduce or normalise along an axis; owns no memory and starts no tasks.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "cpu/simd.h"
#include "runtime/dtype.h"
#include "runtime/tensor_view.h"
#include "system/processor.h"

namespace hadal::cpu {

// Offsets of the rows of a view: all axes but the skipped ones (a bit each), walked in row-major order, neighbours merged.
class RowOffsets {
 public:
  RowOffsets() = default;
  RowOffsets(const TensorView& view, uint32_t skipped) {
    for (int axis = 0; axis < view.rank; ++axis) {
      const int64_t size = view.shape[axis];
      if ((skipped >> axis & 1u) != 0 || size == 1) continue;
      rows_ *= size;
      if (rank_ > 0 && strides_[rank_ - 1] == size * view.strides[axis]) {
        shape_[rank_ - 1] *= size;
        strides_[rank_ - 1] = view.strides[axis];
      } else {
        shape_[rank_] = size;
        strides_[rank_++] = view.strides[axis];
      }
    }
  }
  int64_t rows() const { return rows_; }
  int64_t operator()(int64_t row) const {
    int64_t offset = 0;
    for (int axis = rank_ - 1; axis > 0; --axis) {
      offset += row % shape_[axis] * strides_[axis];
      row /= shape_[axis];
    }
    return rank_ > 0 ? offset + row * strides_[0] : 0;
  }

 private:
  int rank_ = 0;
  int64_t rows_ = 1;
  int64_t shape_[kMaxRank] = {};
  int64_t strides_[kMaxRank] = {};
};

// A whole vector, or the first `count` lanes of one.
struct Full {};
struct Tail {
  int count;
};

template <class T>
inline Vec<Compute<T>> load(const T* from, Full, Compute<T> = {}) {
  return load(from);
}
template <class T>
inline void store(T* to, Vec<Compute<T>> v, Full) {
  store(to, v);
}
template <class T>
inline Vec<Compute<T>> load(const T* from, Tail tail, Compute<T> fill = {}) {
  return load_partial(from, tail.count, fill);
}
template <class T>
inline void store(T* to, Vec<Compute<T>> v, Tail tail) {
  store_partial(to, v, tail.count);
}

// Whether a result of `rows` rows of n elements should be written so: lines are not fetched before they are overwritten, which
// saves a third of the traffic of a softmax. From half the last-level cache on, a result and the operand it is made from do not stay
// there, so nobody misses it; below, memory is the longer way (a softmax of 25 MB beside 480 MB of cache: 1.50 ms through it, 1.73 past it).
template <class T>
bool streaming(int64_t rows, int64_t n) {
  return sizeof(T) >= 4 && n >= 8 * kLanes<T> && rows * n * static_cast<int64_t>(sizeof(T)) >= last_level_cache() / 2;
}

// Four accumulators hide the latency of a chain of additions; body(i, part, lane) says which one, as a constant.
inline constexpr int kAccumulators = 4;
template <int kIndex>
using Index = std::integral_constant<int, kIndex>;

template <class C, class F>
inline __attribute__((always_inline)) void each_vector(int64_t n, F&& body) {
  constexpr int kWidth = kLanes<C>;
  int64_t i = 0;
  for (; i + kAccumulators * kWidth <= n; i += kAccumulators * kWidth) {
    body(i, Full{}, Index<0>{});
    body(i + kWidth, Full{}, Index<1>{});
    body(i + 2 * kWidth, Full{}, Index<2>{});
    body(i + 3 * kWidth, Full{}, Index<3>{});
  }
  for (; i + kWidth <= n; i += kWidth) body(i, Full{}, Index<0>{});
  if (i < n) body(i, Tail{static_cast<int>(n - i)}, Index<1>{});
}

// to[i] = value(i, part) for a row, past the caches if `streaming`.
template <class T, class F>
inline __attribute__((always_inline)) void write_row(T* to, int64_t n, [[maybe_unused]] bool streaming, F&& value) {
  if constexpr (sizeof(T) >= 4) {
    if (streaming) {
      const int before = static_cast<int>(-reinterpret_cast<uintptr_t>(to) % kVectorBytes / sizeof(T));
      if (before > 0) store(to, value(0, Tail{before}), Tail{before});
      int64_t i = before;
      for (; i + kLanes<T> <= n; i += kLanes<T>) stream(to + i, value(i, Full{}));
      if (i < n) store(to + i, value(i, Tail{static_cast<int>(n - i)}), Tail{static_cast<int>(n - i)});
      return;
    }
  }
  each_vector<Compute<T>>(n, [&](int64_t i, auto part, auto) { store(to + i, value(i, part), part); });
}

template <class C>
struct Accumulators {
  Vec<C> lanes[kAccumulators];
  explicit Accumulators(C start) : lanes{broadcast(start), broadcast(start), broadcast(start), broadcast(start)} {}
  C sum() const { return horizontal_sum((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])); }
  C max() const { return horizontal_max(vmax(vmax(lanes[0], lanes[1]), vmax(lanes[2], lanes[3]))); }
};

// Between strided and packed elements, converting.
template <class To, class From>
inline void gather(To* to, const From* from, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<To>(static_cast<Compute<From>>(from[i * stride]));
}
template <class To, class From>
inline void scatter(To* to, int64_t stride, const From* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i * stride] = static_cast<To>(static_cast<Compute<From>>(from[i]));
}

}  // namespace hadal::cpu
