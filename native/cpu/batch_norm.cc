// Batch norm of x [n, c, ...] over all axes but the channels, with the statistics of the batch, and its gradient; a residual that is
// added and ReLU are part of the same pass. 16-bit floats compute in float; mean and rstd are kept in the compute type.
//
// Sums are taken per block of at most kBlockElements that lies in cache, then over the blocks, in order and in double. Two
// layouts are walked in whole vectors: along segments of one channel (images n, c, h, w) and across channels (n, h, w, c, and
// matrices). Anything else is packed into scratch segment by segment.
#include <algorithm>
#include <cmath>

#include "cpu/packed_vector.h"
#include "cpu/row_pairs.h"
#include "kernels/activation.h"
#include "runtime/registry.h"

namespace hadal::cpu {

namespace {

// About 10 µs of work, and with two tensors no more than the second-level cache.
constexpr int64_t kBlockElements = 32768;
// Across channels, a block writes sums of every channel: of at least this many rows, so that those are few.
constexpr int64_t kMinBlockRows = 64;

bool is_relu(double activation) { return activation == static_cast<double>(Activation::kRelu); }

// How the tensors of one op, all of one shape, are walked together.
template <int kTensors>
class Walk {
 public:
  explicit Walk(const std::array<const TensorView*, kTensors>& tensors) {
    for (int i = 0; i < kTensors; ++i) views_[i] = *tensors[i];
    merge_space();
    const TensorView& shape = views_[0];
    channels_ = shape.shape[1];
    last_ = shape.rank - 1;
    for (const TensorView& view : views_) {
      neighbours_ &= view.strides[last_] == 1 || shape.shape[last_] == 1;
      across_ &= view.strides[1] == 1;
    }
    across_ &= channels_ > 1 && (!neighbours_ || shape.shape[last_] == 1);
    length_ = shape.shape[last_];
    for (int i = 0; i < kTensors; ++i) {
      rows_[i] = RowOffsets(views_[i], across_ ? 1u << 1 : 1u << 1 | 1u << last_);
      lines_[i] = RowOffsets(views_[i], 1u << last_);
    }
    segments_per_image_ = 1;
    for (int axis = 2; axis < last_; ++axis) segments_per_image_ *= shape.shape[axis];
    const int64_t row_elements = std::max<int64_t>(across_ ? channels_ : length_, 1);
    rows_per_block_ = std::max<int64_t>(kBlockElements / row_elements, across_ ? kMinBlockRows : 1);
  }

  bool across() const { return across_; }
  int64_t channels() const { return channels_; }
  // Elements of one channel.
  int64_t count() const { return rows_[0].rows() * (across_ ? 1 : length_); }
  int64_t blocks() const { return count() == 0 ? 0 : (rows_[0].rows() + rows_per_block_ - 1) / rows_per_block_; }
  int64_t count(int64_t block) const { return rows_in(block) * (across_ ? 1 : length_); }
  int64_t rows_in(int64_t block) const { return std::min(rows_per_block_, rows_[0].rows() - block * rows_per_block_); }

  // Along segments. Runs body(channel, block, segments, length, at) for every block of every channel, where at(i) gives the
  // packed i-th segment of each tensor.
  template <class T, class F>
  void each_channel_block(KernelContext& ctx, F&& body) const {
    const int64_t block_count = blocks();
    const int64_t grain = kBlockElements / std::max<int64_t>(rows_per_block_ * length_, 1);
    ctx.parallel_ranges(channels_ * block_count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t channel = task / block_count, block = task % block_count;
        const int64_t first = block * rows_per_block_, segments = rows_in(block);
        const auto segment = [&](int tensor, int64_t i) {
          return views_[tensor].template as<T>() + channel * views_[tensor].strides[1] + rows_[tensor](first + i);
        };
        if (neighbours_) {
          body(channel, block, segments, length_, [&](int64_t i) {
            std::array<const T*, kTensors> from;
            for (int tensor = 0; tensor < kTensors; ++tensor) from[tensor] = segment(tensor, i);
            return from;
          });
          continue;
        }
        T* packed = ctx.thread_scratch<T>(kTensors * segments * length_);
        std::array<const T*, kTensors> from;
        for (int tensor = 0; tensor < kTensors; ++tensor) {
          T* to = packed + tensor * segments * length_;
          from[tensor] = to;
          for (int64_t i = 0; i < segments; ++i) {
            gather(to + i * length_, segment(tensor, i), views_[tensor].strides[last_], length_);
          }
        }
        body(channel, block, int64_t{1}, segments * length_, [&](int64_t) { return from; });
      }
    });
  }

  // Across channels. Runs body(block, rows, at) for every block, where at(i) gives the i-th row of each tensor.
  template <class T, class F>
  void each_row_block(KernelContext& ctx, F&& body) const {
    ctx.parallel(blocks(), [&](int64_t block) {
      body(block, rows_in(block), [&](int64_t i) {
        std::array<T*, kTensors> from;
        for (int tensor = 0; tensor < kTensors; ++tensor) {
          from[tensor] = views_[tensor].template as<T>() + rows_[tensor](block * rows_per_block_ + i);
        }
        return from;
      });
    });
  }

  // Along segments, in memory order: body(channel, tensors, length) reads packed segments of all tensors but the last and
  // writes that one's.
  template <class T, class F>
  void each_segment(KernelContext& ctx, F&& body) const {
    ctx.parallel_ranges(
        lines_[0].rows(), kBlockElements / std::max<int64_t>(length_, 1), [&](int64_t begin, int64_t end) {
          T* packed = neighbours_ ? nullptr : ctx.thread_scratch<T>(kTensors * length_);
          for (int64_t line = begin; line < end; ++line) {
            std::array<T*, kTensors> at;
            for (int tensor = 0; tensor < kTensors; ++tensor) {
              at[tensor] = views_[tensor].template as<T>() + lines_[tensor](line);
              if (neighbours_) continue;
              T* copy = packed + tensor * length_;
              if (tensor < kTensors - 1) gather(copy, at[tensor], views_[tensor].strides[last_], length_);
              at[tensor] = copy;
            }
            body(line / segments_per_image_ % channels_, at, length_);
            if (!neighbours_) {
              const TensorView& to = views_[kTensors - 1];
              scatter(to.template as<T>() + lines_[kTensors - 1](line), to.strides[last_], at[kTensors - 1], length_);
            }
          }
        });
  }

 private:
  // Makes the axes behind the channels one, where they lie so in all tensors; a matrix gets one of size 1.
  void merge_space() {
    std::array<TensorView, kTensors> merged = views_;
    for (TensorView& view : merged) {
      int64_t size = 1, stride = 1;
      for (int axis = view.rank - 1; axis >= 2; --axis) {
        if (view.shape[axis] == 1) continue;
        if (size == 1) stride = view.strides[axis];
        if (view.strides[axis] != size * stride) return;
        size *= view.shape[axis];
      }
      view.rank = 3;
      view.shape[2] = size;
      view.strides[2] = stride;
    }
    views_ = merged;
  }

  std::array<TensorView, kTensors> views_;
  std::array<RowOffsets, kTensors> rows_;   // of one channel; across channels: of all
  std::array<RowOffsets, kTensors> lines_;  // segments of all channels
  int64_t channels_ = 0;
  int64_t length_ = 0;  // of a segment
  int64_t rows_per_block_ = 1;
  int64_t segments_per_image_ = 1;
  int last_ = 2;
  bool neighbours_ = true;
  bool across_ = true;
};

// Runs body<kVectors>(first channel, Full or Tail) over all channels, four vectors of them at a time where there are as many.
template <class C, class F>
void each_channel_group(int64_t channels, F&& body) {
  int64_t i = 0;
  for (; i + 4 * kLanes<C> <= channels; i += 4 * kLanes<C>) body.template operator()<4>(i, Full{});
  for (; i + kLanes<C> <= channels; i += kLanes<C>) body.template operator()<1>(i, Full{});
  if (i < channels) body.template operator()<1>(i, Tail{static_cast<int>(channels - i)});
}

// y = (x − mean) · factor + bias + residual, or ReLU of it.
template <class T, bool kAdds, bool kRelu>
void normalise(KernelContext& ctx, const Command& cmd, const Compute<T>* means, const Compute<T>* factors,
               const Compute<T>* biases) {
  using C = Compute<T>;
  constexpr int kTensors = kAdds ? 3 : 2;
  std::array<const TensorView*, kTensors> tensors{&cmd.input(0), &cmd.input(3)};
  tensors.back() = &cmd.output(0);
  const Walk<kTensors> apply(tensors);
  const auto finish = [](Vec<C> y, auto... residual) {
    ((y += residual), ...);
    if constexpr (kRelu) y = functors::Relu()(y);
    return y;
  };
  if (apply.across()) {
    apply.template each_row_block<T>(ctx, [&](int64_t, int64_t rows, auto at) {
      for (int64_t r = 0; r < rows; ++r) {
        const auto row = at(r);
        each_vector<C>(apply.channels(), [&](int64_t i, auto part, auto) {
          const Vec<C> centred = load(row[0] + i, part) - load(means + i, part);
          Vec<C> y = centred * load(factors + i, part) + load(biases + i, part);
          if constexpr (kAdds) y = finish(y, load(row[1] + i, part));
          else y = finish(y);
          store(row.back() + i, y, part);
        });
      }
    });
  } else {
    apply.template each_segment<T>(ctx, [&](int64_t channel, const std::array<T*, kTensors>& at, int64_t length) {
      const C mean = means[channel], factor = factors[channel], bias = biases[channel];
      const auto value = [&](Vec<C> x, auto... residual) { return finish((x - mean) * factor + bias, residual...); };
      if constexpr (kAdds) map_rows(at.back(), length, false, value, at[0], at[1]);
      else map_rows(at.back(), length, false, value, at[0]);
    });
  }
}

// Moves a running statistic, where there is one, towards the batch's.
template <class C>
void move_running(KernelContext& ctx, const Command& cmd, const TensorView& running, const C* batch, C momentum) {
  if (!running.present()) return;
  const int64_t channels = running.shape[0];
  C* moved = copied_vector<C>(ctx, cmd.name(), running, channels, C(0));
  for (int64_t i = 0; i < channels; ++i) moved[i] = functors::Lerp()(moved[i], batch[i], momentum);
  visit_floating(cmd.name(), running.dtype,
                 [&]<class To>() { scatter(running.as<To>(), running.strides[0], moved, channels); });
}

template <class T>
void batch_norm(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const Walk<1> statistics({&cmd.input(0)});
  const int64_t channels = statistics.channels();
  const int64_t blocks = statistics.blocks();
  // [block][mean, sum of squared differences to it][channel]
  C* partial = ctx.scratch<C>(blocks * 2 * channels);

  if (statistics.across()) {
    statistics.each_row_block<T>(ctx, [&](int64_t block, int64_t rows, auto at) {
      C* means = partial + block * 2 * channels;
      each_channel_group<C>(channels, [&]<int kVectors>(int64_t i, auto part) {
        Vec<C> mean[kVectors] = {}, squares[kVectors] = {};
        for (int64_t r = 0; r < rows; ++r) {
          const T* x = at(r)[0] + i;
          for (int v = 0; v < kVectors; ++v) mean[v] += load(x + v * kLanes<C>, part);
        }
        for (int v = 0; v < kVectors; ++v) mean[v] /= static_cast<C>(rows);
        for (int64_t r = 0; r < rows; ++r) {
          const T* x = at(r)[0] + i;
          for (int v = 0; v < kVectors; ++v) {
            const Vec<C> difference = load(x + v * kLanes<C>, part) - mean[v];
            squares[v] += difference * difference;
          }
        }
        for (int v = 0; v < kVectors; ++v) {
          store(means + i + v * kLanes<C>, mean[v], part);
          store(means + channels + i + v * kLanes<C>, squares[v], part);
        }
      });
    });
  } else {
    statistics.each_channel_block<T>(
        ctx, [&](int64_t channel, int64_t block, int64_t segments, int64_t length, auto at) {
          Accumulators<C> total(0), squares(0);
          for (int64_t s = 0; s < segments; ++s) {
            const T* x = at(s)[0];
            fold_rows<T>(length, C(0), [&](auto lane, Vec<C> v) { total.lanes[lane] += v; }, x);
          }
          const C mean = total.sum() / static_cast<C>(segments * length);
          for (int64_t s = 0; s < segments; ++s) {
            const T* x = at(s)[0];
            const auto square = [&](auto lane, Vec<C> v) { squares.lanes[lane] += (v - mean) * (v - mean); };
            fold_rows<T>(length, mean, square, x);
          }
          partial[block * 2 * channels + channel] = mean;
          partial[(block * 2 + 1) * channels + channel] = squares.sum();
        });
  }

  C* means = ctx.scratch<C>(channels);
  C* variances = ctx.scratch<C>(channels);  // unbiased
  C* factors = copied_vector<C>(ctx, cmd.name(), cmd.input(1), channels, C(1));
  const C* biases = copied_vector<C>(ctx, cmd.name(), cmd.input(2), channels, C(0));
  const double count = static_cast<double>(std::max<int64_t>(statistics.count(), 1));
  for (int64_t channel = 0; channel < channels; ++channel) {
    double mean = 0, squares = 0;
    for (int64_t block = 0; block < blocks; ++block) {
      mean += static_cast<double>(statistics.count(block)) * partial[block * 2 * channels + channel];
    }
    mean /= count;
    for (int64_t block = 0; block < blocks; ++block) {
      const double difference = partial[block * 2 * channels + channel] - mean;
      squares += partial[(block * 2 + 1) * channels + channel] +
                 static_cast<double>(statistics.count(block)) * difference * difference;
    }
    const double rstd = 1 / std::sqrt(squares / count + cmd.attribute(0));
    means[channel] = static_cast<C>(mean);
    variances[channel] = static_cast<C>(squares / (count - 1));
    factors[channel] *= static_cast<C>(rstd);
    cmd.output(1).as<C>()[channel * cmd.output(1).strides[0]] = static_cast<C>(mean);
    cmd.output(2).as<C>()[channel * cmd.output(2).strides[0]] = static_cast<C>(rstd);
  }

  const C momentum = *copied_vector<C>(ctx, cmd.name(), cmd.input(4), 1, static_cast<C>(cmd.attribute(2)));
  move_running(ctx, cmd, cmd.output(3), means, momentum);
  move_running(ctx, cmd, cmd.output(4), variances, momentum);
  if (cmd.output(5).present()) ++*cmd.output(5).as<int64_t>();

  const bool adds = cmd.input(3).present(), relu = is_relu(cmd.attribute(1));
  const auto run = adds ? (relu ? normalise<T, true, true> : normalise<T, true, false>)
                        : (relu ? normalise<T, false, true> : normalise<T, false, false>);
  run(ctx, cmd, means, factors, biases);
}

// With n = (x − mean) · rstd:  gb = Σ g,  gw = Σ g · n,  gx = weight · rstd · (g − mean(g) − n · mean(g · n)).
// kRelu: g is that of ReLU's result, and counts where what ReLU was given, which is computed again, is positive.
template <class T, bool kRelu>
void batch_norm_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const Walk<2> sums({&cmd.input(0), &cmd.input(1)});
  const Walk<3> apply({&cmd.input(0), &cmd.input(1), &cmd.output(0)});
  const int64_t channels = sums.channels();
  const int64_t blocks = sums.blocks();
  const C* biases = copied_vector<C>(ctx, cmd.name(), cmd.input(3), channels, C(0));
  const C* means = copied_vector<C>(ctx, cmd.name(), cmd.input(4), channels, C(0));
  const C* rstds = copied_vector<C>(ctx, cmd.name(), cmd.input(5), channels, C(1));
  C* factors = copied_vector<C>(ctx, cmd.name(), cmd.input(2), channels, C(1));
  for (int64_t channel = 0; channel < channels; ++channel) factors[channel] *= rstds[channel];
  // `centred` is x − mean.
  const auto through_relu = [](Vec<C> g, Vec<C> centred, auto factor, auto bias) {
    if constexpr (kRelu) return functors::ReluBackward()(g, Vec<C>(centred * factor + bias));
    else return g;
  };
  C* partial = ctx.scratch<C>(blocks * 2 * channels);  // [block][Σ g, Σ g · n][channel]

  if (sums.across()) {
    sums.each_row_block<T>(ctx, [&](int64_t block, int64_t rows, auto at) {
      C* to = partial + block * 2 * channels;
      each_channel_group<C>(channels, [&]<int kVectors>(int64_t i, auto part) {
        Vec<C> mean[kVectors], factor[kVectors], bias[kVectors], total[kVectors] = {}, products[kVectors] = {};
        for (int v = 0; v < kVectors; ++v) {
          mean[v] = load(means + i + v * kLanes<C>, part);
          factor[v] = load(factors + i + v * kLanes<C>, part);
          bias[v] = load(biases + i + v * kLanes<C>, part);
        }
        for (int64_t r = 0; r < rows; ++r) {
          const auto [g, x] = at(r);
          for (int v = 0; v < kVectors; ++v) {
            const Vec<C> centred = load(x + i + v * kLanes<C>, part) - mean[v];
            const Vec<C> gradient = through_relu(load(g + i + v * kLanes<C>, part), centred, factor[v], bias[v]);
            total[v] += gradient;
            products[v] += gradient * centred;
          }
        }
        for (int v = 0; v < kVectors; ++v) {
          store(to + i + v * kLanes<C>, total[v], part);
          store(to + channels + i + v * kLanes<C>, products[v] * load(rstds + i + v * kLanes<C>, part), part);
        }
      });
    });
  } else {
    sums.each_channel_block<T>(ctx, [&](int64_t channel, int64_t block, int64_t segments, int64_t length, auto at) {
      const C mean = means[channel], factor = factors[channel], bias = biases[channel];
      Accumulators<C> total(0), products(0);
      for (int64_t s = 0; s < segments; ++s) {
        const auto [gradients, xs] = at(s);
        const auto add = [&](auto lane, Vec<C> g, Vec<C> x) {
          const Vec<C> centred = x - mean;
          const Vec<C> gradient = through_relu(g, centred, factor, bias);
          total.lanes[lane] += gradient;
          products.lanes[lane] += gradient * centred;
        };
        fold_rows<T>(length, C(0), add, gradients, xs);
      }
      partial[block * 2 * channels + channel] = total.sum();
      partial[(block * 2 + 1) * channels + channel] = products.sum() * rstds[channel];
    });
  }

  C* totals = ctx.scratch<C>(2 * channels);  // gb, gw
  C* shifts = ctx.scratch<C>(2 * channels);  // of g, and per difference to the mean
  const double count = static_cast<double>(std::max<int64_t>(sums.count(), 1));
  for (int64_t channel = 0; channel < channels; ++channel) {
    double total = 0, products = 0;
    for (int64_t block = 0; block < blocks; ++block) {
      total += partial[block * 2 * channels + channel];
      products += partial[(block * 2 + 1) * channels + channel];
    }
    totals[channel] = static_cast<C>(total);
    totals[channels + channel] = static_cast<C>(products);
    shifts[channel] = static_cast<C>(total / count);
    shifts[channels + channel] = static_cast<C>(products / count) * rstds[channel];
  }
  for (int i = 0; i < 2; ++i) {
    const TensorView& to = cmd.output(1 + i);
    if (!to.present()) continue;
    visit_floating(cmd.name(), to.dtype,
                   [&]<class To>() { scatter(to.as<To>(), to.strides[0], totals + (1 - i) * channels, channels); });
  }

  const C* slopes = shifts + channels;
  if (apply.across()) {
    apply.each_row_block<T>(ctx, [&](int64_t, int64_t rows, auto at) {
      for (int64_t r = 0; r < rows; ++r) {
        const auto [g, x, gx] = at(r);
        each_vector<C>(channels, [&, g = g, x = x, gx = gx](int64_t i, auto part, auto) {
          const Vec<C> centred = load(x + i, part) - load(means + i, part), factor = load(factors + i, part);
          const Vec<C> gradient = through_relu(load(g + i, part), centred, factor, load(biases + i, part));
          store(gx + i, (gradient - load(shifts + i, part) - centred * load(slopes + i, part)) * factor, part);
        });
      }
    });
  } else {
    apply.each_segment<T>(ctx, [&](int64_t channel, const std::array<T*, 3>& at, int64_t length) {
      const C mean = means[channel], factor = factors[channel], bias = biases[channel];
      const C shift = shifts[channel], slope = slopes[channel];
      const auto value = [&](Vec<C> g, Vec<C> x) {
        const Vec<C> centred = x - mean;
        return Vec<C>((through_relu(g, centred, factor, bias) - shift - centred * slope) * factor);
      };
      map_rows(at[2], length, false, value, at[0], at[1]);
    });
  }
}

}  // namespace

HADAL_CPU_KERNEL(batchNorm) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class T>() { batch_norm<T>(ctx, cmd); });
}
HADAL_CPU_KERNEL(batchNormBackward) {
  visit_floating(cmd.name(), cmd.input(1).dtype, [&]<class T>() {
    if (is_relu(cmd.attribute(0))) batch_norm_backward<T, true>(ctx, cmd);
    else batch_norm_backward<T, false>(ctx, cmd);
  });
}

}  // namespace hadal::cpu
