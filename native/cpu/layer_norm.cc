// Layer norm and RMS norm over the last axis and their gradients, each in one pass over memory: a row is read from memory once and
// stays in cache. RMS norm is layer norm around a mean of zero, without a bias. 16-bit floats compute in float; mean and rstd are
// kept in the compute type.
#include <algorithm>
#include <cmath>

#include "cpu/packed_vector.h"
#include "cpu/rows.h"
#include "runtime/registry.h"

namespace hadal::cpu {

namespace {

// About 10 µs of work: less is not worth a hand-off to another thread.
constexpr int64_t kElementsPerTask = 32768;
// The gradient of the weights is summed per block of rows, then over the blocks. Bounds its cost: a block writes one row of
// sums where it reads at least this many rows, and there are at most this many blocks.
constexpr int64_t kMinBlockRows = 32;
constexpr int64_t kMaxBlocks = 256;

// One tensor's rows as packed elements: where they lie, or through a buffer.
template <class T>
class PackedRows {
 public:
  PackedRows(const TensorView& view, T* buffer)
      : data_(view.as<T>()),
        offsets_(view, 1u << (view.rank - 1)),
        size_(view.size(-1)),
        stride_(view.stride(-1)),
        buffer_(stride_ == 1 || size_ == 1 ? nullptr : buffer) {}
  const T* read(int64_t row) const {
    const T* from = data_ + offsets_(row);
    if (buffer_ == nullptr) return from;
    gather(buffer_, from, stride_, size_);
    return buffer_;
  }
  T* writable(int64_t row) const { return buffer_ == nullptr ? data_ + offsets_(row) : buffer_; }
  void written(int64_t row) const {
    if (buffer_ != nullptr) scatter(data_ + offsets_(row), stride_, buffer_, size_);
  }

 private:
  T* data_;
  RowOffsets offsets_;
  int64_t size_;
  int64_t stride_;
  T* buffer_;
};

// y = (x − mean) · rstd · weight + bias, the variance from the differences to the mean. Not centred: mean and bias are zero, and
// not among the tensors.
template <class T, bool kCentred>
void layer_norm(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& x = cmd.input(0);
  const TensorView& rstds = cmd.output(kCentred ? 2 : 1);
  const int64_t size = x.size(-1);
  const RowOffsets mean_offsets(cmd.output(1), 0), rstd_offsets(rstds, 0);
  const int64_t rows = rstd_offsets.rows();
  if (rows == 0) return;
  const C epsilon = static_cast<C>(cmd.attribute(0));
  const C* weight = packed_vector<C>(ctx, cmd.name(), cmd.input(1), size, C(1));
  const C* bias = kCentred ? packed_vector<C>(ctx, cmd.name(), cmd.input(2), size, C(0)) : nullptr;

  const bool stream_rows = cmd.output(0).stride(-1) == 1 && streaming<T>(rows, size);
  ctx.parallel_ranges(rows, kElementsPerTask / std::max<int64_t>(size, 1), [&](int64_t begin, int64_t end) {
    T* buffer = ctx.thread_scratch<T>(2 * size);
    const PackedRows<T> x_rows(x, buffer), y_rows(cmd.output(0), buffer + size);
    for (int64_t r = begin; r < end; ++r) {
      const T* xr = x_rows.read(r);
      T* yr = y_rows.writable(r);
      Accumulators<C> total(0), squares(0);
      if constexpr (kCentred) {
        each_vector<C>(size, [&](int64_t i, auto part, auto lane) { total.lanes[lane] += load(xr + i, part); });
      }
      const C mean = kCentred ? total.sum() / static_cast<C>(size) : C(0);
      each_vector<C>(size, [&](int64_t i, auto part, auto lane) {
        const Vec<C> difference = load(xr + i, part, mean) - mean;
        squares.lanes[lane] += difference * difference;
      });
      const C rstd = C(1) / std::sqrt(squares.sum() / static_cast<C>(size) + epsilon);
      write_row(yr, size, stream_rows, [&](int64_t i, auto part) {
        const Vec<C> scaled = (load(xr + i, part) - mean) * rstd * load(weight + i, part);
        if constexpr (kCentred) return scaled + load(bias + i, part);
        else return scaled;
      });
      y_rows.written(r);
      if constexpr (kCentred) cmd.output(1).as<C>()[mean_offsets(r)] = mean;
      rstds.as<C>()[rstd_offsets(r)] = rstd;
    }
    if (stream_rows) finish_streaming();
  });
}

// With n = (x − mean) · rstd and d = g · weight:  gx = rstd · (d − mean(d) − n · mean(d · n)),  gw = Σ g · n,  gb = Σ g.
// Not centred, mean and mean(d) are zero and there is no gb.
template <class T, bool kCentred>
void layer_norm_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& x = cmd.input(1);
  const TensorView& rstds = cmd.input(kCentred ? 4 : 3);
  const int64_t size = x.size(-1);
  const RowOffsets mean_offsets(cmd.input(3), 0), rstd_offsets(rstds, 0);
  const int64_t rows = rstd_offsets.rows();
  if (size == 0) return;
  const C* weight = packed_vector<C>(ctx, cmd.name(), cmd.input(2), size, C(1));
  const int64_t block = std::max({kElementsPerTask / size, kMinBlockRows, (rows + kMaxBlocks - 1) / kMaxBlocks});
  const int64_t blocks = (rows + block - 1) / block;
  C* sums = ctx.scratch<C>(blocks * 2 * size);  // of each block: gw, gb

  const bool stream_rows = cmd.output(0).stride(-1) == 1 && streaming<T>(rows, size);
  ctx.parallel(blocks, [&](int64_t task) {
    T* buffer = ctx.thread_scratch<T>(3 * size);
    const PackedRows<T> g_rows(cmd.input(0), buffer), x_rows(x, buffer + size),
        gx_rows(cmd.output(0), buffer + 2 * size);
    C* gw = sums + task * 2 * size;
    C* gb = gw + size;
    std::fill(gw, gw + 2 * size, C(0));
    for (int64_t r = task * block; r < std::min(rows, (task + 1) * block); ++r) {
      const T* gr = g_rows.read(r);
      const T* xr = x_rows.read(r);
      T* out = gx_rows.writable(r);
      const C mean = kCentred ? cmd.input(3).as<C>()[mean_offsets(r)] : C(0);
      const C rstd = rstds.as<C>()[rstd_offsets(r)];
      Accumulators<C> d_total(0), dn_total(0);
      each_vector<C>(size, [&](int64_t i, auto part, auto lane) {
        const Vec<C> g = load(gr + i, part);
        const Vec<C> n = (load(xr + i, part, mean) - mean) * rstd;
        const Vec<C> d = g * load(weight + i, part);
        store(gw + i, load(gw + i, part) + g * n, part);
        if constexpr (kCentred) {
          store(gb + i, load(gb + i, part) + g, part);
          d_total.lanes[lane] += d;
        }
        dn_total.lanes[lane] += d * n;
      });
      const C d_mean = kCentred ? d_total.sum() / static_cast<C>(size) : C(0);
      const C dn_mean = dn_total.sum() / static_cast<C>(size);
      write_row(out, size, stream_rows, [&](int64_t i, auto part) {
        const Vec<C> n = (load(xr + i, part) - mean) * rstd;
        return (load(gr + i, part) * load(weight + i, part) - d_mean - n * dn_mean) * rstd;
      });
      gx_rows.written(r);
    }
    if (stream_rows) finish_streaming();
  });

  C* totals = ctx.scratch<C>(2 * size);
  std::fill(totals, totals + 2 * size, C(0));
  ctx.parallel_ranges(2 * size, std::max<int64_t>(kElementsPerTask / std::max<int64_t>(blocks, 1), 64),
                      [&](int64_t begin, int64_t end) {
                        for (int64_t b = 0; b < blocks; ++b) {
                          const C* from = sums + b * 2 * size;
                          for (int64_t i = begin; i < end; ++i) totals[i] += from[i];
                        }
                      });
  for (int i = 0; i < (kCentred ? 2 : 1); ++i) {
    const TensorView& to = cmd.output(1 + i);
    if (!to.present()) continue;
    visit_floating(cmd.name(), to.dtype,
                   [&]<class To>() { scatter(to.as<To>(), to.strides[0], totals + i * size, size); });
  }
}

}  // namespace

HADAL_CPU_KERNEL(layerNorm) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { layer_norm<T, true>(ctx, cmd); });
}
HADAL_CPU_KERNEL(layerNormBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { layer_norm_backward<T, true>(ctx, cmd); });
}

HADAL_CPU_KERNEL(rmsNorm) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { layer_norm<T, false>(ctx, cmd); });
}
HADAL_CPU_KERNEL(rmsNormBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() { layer_norm_backward<T, false>(ctx, cmd); });
}

}  // namespace hadal::cpu
