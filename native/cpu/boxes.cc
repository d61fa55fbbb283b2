// Operations on boxes (x1, y1, x2, y2): features of regions (roiAlign) with their gradient, and which boxes are left when those that
// overlap a better one are dropped. Sums are formed in double.
#include "kernels/boxes.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/roi_align.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// Products worth a task of their own: some 30 µs.
constexpr int64_t kTaskElements = 1 << 15;

// The factors of the bins of an axis: bin i weighs the elements first[i] … first[i] + count[i] - 1 by factors[start[i] …].
struct BinFactors {
  std::vector<int64_t> first, count, start;
  std::vector<double> factors;

  BinFactors(const RegionAxis& axis, int64_t bins) {
    for (int64_t i = 0; i < bins; ++i) {
      const RegionAxis::Range range = axis.elements(i);
      first.push_back(range.first);
      count.push_back(range.count);
      start.push_back(static_cast<int64_t>(factors.size()));
      factors.resize(factors.size() + static_cast<size_t>(range.count), 0.0);
      axis.add_factors(i, range.first, factors.data() + start.back());
    }
  }
};

// A region of an image: factors of its rows and its columns.
struct Region {
  int64_t image;
  BinFactors rows, columns;
};

// Row k of `boxes` [k, 5]: the image's number and the box.
template <class E>
Region region_of(const Command& cmd, const TensorView& boxes, int64_t k, const TensorView& x, const TensorView& y) {
  const E* from = boxes.as<E>() + k * boxes.strides[0];
  double box[5];
  for (int i = 0; i < 5; ++i) box[i] = static_cast<double>(static_cast<Compute<E>>(from[i * boxes.strides[1]]));
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kIndex, "roiAlign: box " + std::to_string(k) + what);
  };
  if (!(box[0] >= 0 && box[0] < static_cast<double>(x.shape[0]) && box[0] == std::floor(box[0]))) {
    refuse(" names no image of " + std::to_string(x.shape[0]));
  }
  const double scale = cmd.attribute(0);
  const bool aligned = cmd.flag(2);
  for (int i = 1; i < 5; ++i) {
    box[i] = box[i] * scale - (aligned ? 0.5 : 0);
    if (!(std::fabs(box[i]) < kLargestCorner)) refuse(" is not finite");
  }
  const int64_t samples = cmd.integer(1);
  const RegionAxis rows(box[2], box[4], aligned, y.shape[2], samples, x.shape[2]);
  const RegionAxis columns(box[1], box[3], aligned, y.shape[3], samples, x.shape[3]);
  return {static_cast<int64_t>(box[0]), BinFactors(rows, y.shape[2]), BinFactors(columns, y.shape[3])};
}

// y[k, c, i, j] = Σ rows[i] columns[j] x[image, c]. Writes =.
template <class E>
void roi_align(KernelContext& ctx, const Command& cmd) {
  const TensorView &x = cmd.input(0), &boxes = cmd.input(1), &y = cmd.output(0);
  const int64_t channels = x.shape[1], height = y.shape[2], width = y.shape[3];
  ctx.parallel_ranges(y.shape[0], kTaskElements / (channels * height * width * 8), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const auto [image, rows, columns] = region_of<E>(cmd, boxes, k, x, y);
      for (int64_t c = 0; c < channels; ++c) {
        const E* from = x.as<E>() + image * x.strides[0] + c * x.strides[1];
        E* to = y.as<E>() + k * y.strides[0] + c * y.strides[1];
        for (int64_t i = 0; i < height; ++i) {
          for (int64_t j = 0; j < width; ++j) {
            const double* across = columns.factors.data() + columns.start[j];
            double sum = 0;
            for (int64_t a = 0; a < rows.count[i]; ++a) {
              const E* line = from + (rows.first[i] + a) * x.strides[2] + columns.first[j] * x.strides[3];
              double part = 0;
              for (int64_t b = 0; b < columns.count[j]; ++b) {
                part += across[b] * static_cast<double>(static_cast<Compute<E>>(line[b * x.strides[3]]));
              }
              sum += rows.factors[rows.start[i] + a] * part;
            }
            to[i * y.strides[2] + j * y.strides[3]] = static_cast<E>(static_cast<Compute<E>>(sum));
          }
        }
      }
    }
  });
}

// The adjoint: gx = Σ over the boxes of an image, in their order. Writes =.
template <class E>
void roi_align_backward(KernelContext& ctx, const Command& cmd) {
  const TensorView &g = cmd.input(0), &boxes = cmd.input(1), &gx = cmd.output(0);
  const int64_t images = gx.shape[0], channels = gx.shape[1], size = gx.shape[2] * gx.shape[3];
  std::vector<std::vector<std::pair<int64_t, Region>>> regions(images);
  for (int64_t k = 0; k < g.shape[0]; ++k) {
    Region region = region_of<E>(cmd, boxes, k, gx, g);
    regions[region.image].emplace_back(k, std::move(region));
  }
  ctx.parallel_ranges(images * channels, kTaskElements / size, [&](int64_t begin, int64_t end) {
    double* sums = ctx.thread_scratch<double>(size);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / channels, c = unit % channels;
      std::fill_n(sums, size, 0.0);
      for (const auto& [k, region] : regions[image]) {
        const auto& [_, rows, columns] = region;
        const E* from = g.as<E>() + k * g.strides[0] + c * g.strides[1];
        for (int64_t i = 0; i < g.shape[2]; ++i) {
          for (int64_t j = 0; j < g.shape[3]; ++j) {
            const auto value = static_cast<double>(static_cast<Compute<E>>(from[i * g.strides[2] + j * g.strides[3]]));
            const double* across = columns.factors.data() + columns.start[j];
            for (int64_t a = 0; a < rows.count[i]; ++a) {
              double* line = sums + (rows.first[i] + a) * gx.shape[3] + columns.first[j];
              const double factor = value * rows.factors[rows.start[i] + a];
              for (int64_t b = 0; b < columns.count[j]; ++b) line[b] += factor * across[b];
            }
          }
        }
      }
      E* to = gx.as<E>() + image * gx.strides[0] + c * gx.strides[1];
      for (int64_t h = 0; h < gx.shape[2]; ++h) {
        for (int64_t w = 0; w < gx.shape[3]; ++w) {
          to[h * gx.strides[2] + w * gx.strides[3]] =
              static_cast<E>(static_cast<Compute<E>>(sums[h * gx.shape[3] + w]));
        }
      }
    }
  });
}

// kept[i] is false where box i, of boxes [k, 4] in falling order of their scores, overlaps a kept one before it (of its class) by more than the
// threshold: the intersection over the union. Writes =.
template <class E>
void non_max_suppression(KernelContext& ctx, const Command& cmd) {
  using T = Compute<E>;
  const TensorView &boxes = cmd.input(0), &classes = cmd.input(1), &kept = cmd.output(0);
  const int64_t count = boxes.shape[0];
  const T threshold = static_cast<T>(cmd.attribute(0));
  T* sides[4];
  T* memory = ctx.scratch<T>(5 * count);
  for (int i = 0; i < 4; ++i) sides[i] = memory + i * count;
  T* areas = memory + 4 * count;
  const auto box_at = [&](int64_t k) { return Box<T>{sides[0][k], sides[1][k], sides[2][k], sides[3][k], areas[k]}; };
  auto* dropped = ctx.scratch<uint8_t>(count);
  std::vector<int64_t> labels(count, 0);
  for (int64_t k = 0; k < count; ++k) {
    const E* box = boxes.as<E>() + k * boxes.strides[0];
    for (int i = 0; i < 4; ++i) sides[i][k] = static_cast<T>(box[i * boxes.strides[1]]);
    areas[k] = make_box(sides[0][k], sides[1][k], sides[2][k], sides[3][k]).area;
    dropped[k] = 0;
    if (!classes.present()) continue;
    const int64_t at = k * classes.strides[0];
    labels[k] = classes.dtype == DType::kInt64 ? classes.as<int64_t>()[at] : classes.as<int32_t>()[at];
  }
  for (int64_t k = 0; k < count; ++k) {
    kept.as<uint8_t>()[k * kept.strides[0]] = !dropped[k];
    if (dropped[k]) continue;
    for (int64_t i = k + 1; i < count; ++i) {
      const bool overlaps = overlap(box_at(k), box_at(i)) > threshold;
      dropped[i] |= static_cast<uint8_t>(overlaps & (labels[i] == labels[k]));
    }
  }
}

}  // namespace

HADAL_CPU_KERNEL(roiAlign) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() { roi_align<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(roiAlignBackward) {
  if (cmd.output(0).numel() == 0) return;
  visit_floating(cmd.name(), cmd.output(0).dtype, [&]<class E>() { roi_align_backward<E>(ctx, cmd); });
}

HADAL_CPU_KERNEL(nonMaxSuppression) {
  visit_floating(cmd.name(), cmd.input(0).dtype, [&]<class E>() { non_max_suppression<E>(ctx, cmd); });
}

}  // namespace hadal::cpu
