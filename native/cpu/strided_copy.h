// Copies between two strided views of one shape and element width, for the kernels that only move elements. Strides may
// be negative, as flip has them. Owns no memory; converts nothing (that is `copy`, in another file).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/strides.h"
#include "runtime/kernel_context.h"
#include "runtime/tensor_view.h"

namespace hadal::cpu {

template <class T>
inline void copy_row(T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t n) {
  if (to_stride == 1 && from_stride == 1) {
    std::memmove(to, from, static_cast<size_t>(n) * sizeof(T));  // of one tensor to itself, too
  } else if (to_stride == 1 && from_stride == 0) {
    std::fill(to, to + n, *from);
  } else if (to_stride == 1 && from_stride == -1) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[-i];
  } else if (to_stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * from_stride];
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

// T is an unsigned integer of the elements' width.
template <class T>
class StridedCopy {
 public:
  StridedCopy(const TensorView& to, const TensorView& from)
      : StridedCopy(to.as<T>(), from.as<T>(), in_order_of_writing(to, from)) {}
  // Along a walk of its own: of operand 0, which is written, and 1.
  StridedCopy(T* to, const T* from, const Strides& walk)
      : to_(to), from_(from), walk_(walk), pieces_((walk.inner_size() + kPiece - 1) / kPiece) {}
  int64_t count() const { return walk_.count; }

  // All of it, on this thread; the second form at other addresses.
  void run() const { run(to_, from_); }
  void run(T* to, const T* from) const {
    if (walk_.rank == 1) copy_row(to, walk_.inner_stride(0), from, walk_.inner_stride(1), walk_.count);
    else if (walk_.count > 0) run_pieces(to, from, 0, walk_.count / walk_.inner_size() * pieces_);
  }
  void run(KernelContext& ctx) const {
    if (walk_.count == 0) return;
    const int64_t pieces = walk_.count / walk_.inner_size() * pieces_;
    ctx.parallel_ranges(pieces, kPiece / std::min(walk_.inner_size(), kPiece),
                        [&](int64_t begin, int64_t end) { run_pieces(to_, from_, begin, end); });
  }

 private:
  // Inner rows are cut into pieces that take 10 to 20 µs to copy.
  static constexpr int64_t kPiece = (int64_t{1} << 18) / static_cast<int64_t>(sizeof(T));

  static Strides in_order_of_writing(const TensorView& to, const TensorView& from) {
    const TensorView* views[] = {&to, &from};
    return collapse(views, 2, true);
  }

  void run_pieces(T* to, const T* from, int64_t begin, int64_t end) const {
    int64_t place[kMaxRank] = {};
    int64_t row = begin / pieces_;
    for (int axis = walk_.rank - 2; axis >= 0; --axis) {
      place[axis] = row % walk_.shape[axis];
      row /= walk_.shape[axis];
      to += place[axis] * walk_.strides[0][axis];
      from += place[axis] * walk_.strides[1][axis];
    }
    int64_t start = begin % pieces_ * kPiece;
    for (int64_t i = begin; i < end; ++i) {
      copy_row(to + start * walk_.inner_stride(0), walk_.inner_stride(0), from + start * walk_.inner_stride(1),
               walk_.inner_stride(1), std::min(kPiece, walk_.inner_size() - start));
      start += kPiece;
      if (start < walk_.inner_size()) continue;
      start = 0;
      for (int axis = walk_.rank - 2; axis >= 0; --axis) {
        to += walk_.strides[0][axis];
        from += walk_.strides[1][axis];
        if (++place[axis] < walk_.shape[axis]) break;
        place[axis] = 0;
        to -= walk_.shape[axis] * walk_.strides[0][axis];
        from -= walk_.shape[axis] * walk_.strides[1][axis];
      }
    }
  }

  T* to_;
  const T* from_;
  Strides walk_;
  int64_t pieces_;
};

inline void copy_view(KernelContext& ctx, const TensorView& to, const TensorView& from) {
  visit_width(to.dtype, [&]<class T>() { StridedCopy<T>(to, from).run(ctx); });
}

}  // namespace hadal::cpu
