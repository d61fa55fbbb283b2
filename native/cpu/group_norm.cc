// Group norm of x [n, c, …] over each group of channels of an image, which lie side by side, and its gradient: a group is read from memory once
// and stays in cache. 16-bit floats compute in float; mean and rstd are kept in the compute type.
#include <cmath>

#include "cpu/packed_vector.h"
#include "cpu/row_pairs.h"
#include "runtime/registry.h"

namespace hadal::cpu {

namespace {

// About 10 µs of work: less is not worth a hand-off to another thread.
constexpr int64_t kElementsPerTask = 32768;

// The groups of all images, as rows of channels of pixels.
struct Groups {
  int64_t count, in_image, channels, pixels;

  Groups(const TensorView& x, const TensorView& statistics)
      : count(statistics.numel()),
        in_image(statistics.shape[1]),
        channels(x.shape[1] / in_image),
        pixels(count > 0 && channels > 0 ? x.numel() / (count * channels) : 0) {}
  int64_t size() const { return channels * pixels; }
  int64_t grain() const { return kElementsPerTask / std::max<int64_t>(size(), 1); }
  // Of a group, in its image.
  int64_t first_channel(int64_t group) const { return group % in_image * channels; }
};

template <class T>
void group_norm(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView& x = cmd.input(0);
  const Groups groups(x, cmd.output(1));
  const int64_t size = groups.size(), pixels = groups.pixels;
  const C epsilon = static_cast<C>(cmd.attribute(0));
  const C* weight = packed_vector<C>(ctx, cmd.name(), cmd.input(1), x.shape[1], C(1));
  const C* bias = packed_vector<C>(ctx, cmd.name(), cmd.input(2), x.shape[1], C(0));
  const bool stream_rows = streaming<T>(groups.count * groups.channels, pixels);
  ctx.parallel_ranges(groups.count, groups.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const T* from = x.as<T>() + group * size;
      T* to = cmd.output(0).as<T>() + group * size;
      Accumulators<C> total(0), squares(0);
      fold_rows<T>(size, C(0), [&](auto lane, Vec<C> v) { total.lanes[lane] += v; }, from);
      const C mean = total.sum() / static_cast<C>(size);
      const auto square = [&](auto lane, Vec<C> v) { squares.lanes[lane] += (v - mean) * (v - mean); };
      fold_rows<T>(size, mean, square, from);
      const C rstd = C(1) / std::sqrt(squares.sum() / static_cast<C>(size) + epsilon);
      for (int64_t channel = 0; channel < groups.channels; ++channel, from += pixels, to += pixels) {
        const C factor = rstd * weight[groups.first_channel(group) + channel];
        const C shift = bias[groups.first_channel(group) + channel];
        map_rows(to, pixels, stream_rows, [&](Vec<C> v) { return Vec<C>((v - mean) * factor + shift); }, from);
      }
      cmd.output(1).as<C>()[group] = mean;
      cmd.output(2).as<C>()[group] = rstd;
    }
    if (stream_rows) finish_streaming();
  });
}

// With n = (x − mean) · rstd and d = g · weight:  gx = rstd · (d − mean(d) − n · mean(d · n)),  gw = Σ g · n,  gb = Σ g.
template <class T>
void group_norm_backward(KernelContext& ctx, const Command& cmd) {
  using C = Compute<T>;
  const TensorView &g = cmd.input(0), &x = cmd.input(1);
  const Groups groups(x, cmd.input(3));
  const int64_t size = groups.size(), pixels = groups.pixels, channels = x.shape[1];
  const C* weight = packed_vector<C>(ctx, cmd.name(), cmd.input(2), channels, C(1));
  C* sums = ctx.scratch<C>(2 * groups.count * groups.channels);  // of each channel of each image: gb, gw
  const bool stream_rows = streaming<T>(groups.count * groups.channels, pixels);
  ctx.parallel_ranges(groups.count, groups.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const T *gs = g.as<T>() + group * size, *xs = x.as<T>() + group * size;
      T* to = cmd.output(0).as<T>() + group * size;
      const C mean = cmd.input(3).as<C>()[group], rstd = cmd.input(4).as<C>()[group];
      const C* weights = weight + groups.first_channel(group);
      C* own = sums + 2 * group * groups.channels;
      C of_gradient = 0, of_product = 0;  // Σ d and Σ d · n
      for (int64_t channel = 0; channel < groups.channels; ++channel) {
        Accumulators<C> total(0), products(0);
        const auto add = [&](auto lane, Vec<C> gradient, Vec<C> v) {
          total.lanes[lane] += gradient;
          products.lanes[lane] += gradient * (v - mean);
        };
        fold_rows<T>(pixels, C(0), add, gs + channel * pixels, xs + channel * pixels);
        own[2 * channel] = total.sum();
        own[2 * channel + 1] = products.sum() * rstd;
        of_gradient += weights[channel] * own[2 * channel];
        of_product += weights[channel] * own[2 * channel + 1];
      }
      const C shift = rstd * of_gradient / static_cast<C>(size);
      const C slope = rstd * rstd * of_product / static_cast<C>(size);
      for (int64_t channel = 0; channel < groups.channels; ++channel, gs += pixels, xs += pixels, to += pixels) {
        const C factor = rstd * weights[channel];
        const auto value = [&](Vec<C> gradient, Vec<C> v) {
          return Vec<C>(gradient * factor - shift - (v - mean) * slope);
        };
        map_rows(to, pixels, stream_rows, value, gs, xs);
      }
    }
    if (stream_rows) finish_streaming();
  });
  for (const int output : {1, 2}) {
    const TensorView& to = cmd.output(output);
    visit_floating(cmd.name(), to.dtype, [&]<class To>() {
      for (int64_t channel = 0; channel < channels; ++channel) {
        double total = 0;
        for (int64_t image = 0; image < x.shape[0]; ++image) {
          total += static_cast<double>(sums[2 * (image * channels + channel) + (output == 1 ? 1 : 0)]);
        }
        to.as<To>()[channel * to.strides[0]] = static_cast<To>(static_cast<C>(total));
      }
    });
  }
}

}  // namespace

HADAL_CPU_KERNEL(groupNorm) {
  visit_floating("groupNorm", cmd.output(0).dtype, [&]<class T>() { group_norm<T>(ctx, cmd); });
}

HADAL_CPU_KERNEL(groupNormBackward) {
  visit_floating("groupNormBackward", cmd.output(0).dtype, [&]<class T>() { group_norm_backward<T>(ctx, cmd); });
}

}  // namespace hadal::cpu
