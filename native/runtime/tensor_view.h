// What a kernel sees of a tensor: an address, an element type, a shape and strides in elements. It owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/dtype.h"

namespace hadal {

inline constexpr int kMaxRank = 8;

struct TensorView {
  std::byte* data = nullptr;  // of the first element, the offset already applied; null: an absent optional tensor
  DType dtype = DType::kFloat32;
  int rank = 0;
  int64_t shape[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};  // in elements; 0 along a broadcast axis; never negative

  bool present() const { return data != nullptr; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
  int64_t numel() const {
    int64_t count = 1;
    for (int axis = 0; axis < rank; ++axis) count *= shape[axis];
    return count;
  }
  // Size and stride counted from the last axis: size(-1) is the innermost.
  int64_t size(int axis) const { return shape[axis < 0 ? axis + rank : axis]; }
  int64_t stride(int axis) const { return strides[axis < 0 ? axis + rank : axis]; }
  bool is_contiguous() const {
    int64_t expected = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (shape[axis] != 1 && strides[axis] != expected) return false;
      expected *= shape[axis];
    }
    return true;
  }
};

}  // namespace hadal
