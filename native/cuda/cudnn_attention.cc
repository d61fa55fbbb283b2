// Attention for cuDNN: graphs of its products, of the softmax in parts, and of what is between them, which cuDNN knows by their pattern and
// runs as a kernel or two. (Operations that are attention by name are younger, and have no causal mask of their own.)
#include <array>
#include <limits>
#include <tuple>

#include "cuda/cudnn.h"
#include "cuda/cudnn_graph.h"

namespace hadal::cuda {

using namespace dnn;

namespace {

using Shape = std::array<int64_t, 4>;

// NVIDIA's own callers compute no attention with 9.10.0 and 9.10.1, for their bugs, and hide keys otherwise in older ones; up to 9.15.0
// they pad keys of gradients that do not fill tiles of 128.
constexpr size_t kFirstVersion = 91002, kLastWholeTiles = 91500;
constexpr int64_t kKeyTile = 128;

// Multiplications and additions, of the forward products, that take some 20 µs.
constexpr double kLeastWork = 8e9;

// Operations, made one after the other; their results are described before. Scores have the shape [b, h, t, s], a column has
// [b, h, t, 1].
class Graph {
 public:
  Graph(Descriptors& all, const DnnAttention& attention, const Problem& problem)
      : b(attention.q.shape[0]),
        h(attention.q.shape[1]),
        t(attention.q.shape[2]),
        s(attention.k.shape[2]),
        type(type_of(attention.q.dtype)),
        all_(all),
        first_number_(static_cast<int64_t>(problem.tensors.size())),
        last_number_(static_cast<int64_t>(problem.values.size()) - 1) {}

  const int64_t b, h, t, s;
  const DataType type;
  std::vector<Descriptor> operations;

  Descriptor tensor(int id, const TensorView& view) { return describe_tensor(all_, id, view); }
  // With its last two axes exchanged.
  Descriptor turned(int id, TensorView view) {
    std::swap(view.shape[2], view.shape[3]);
    std::swap(view.strides[2], view.strides[3]);
    return tensor(id, view);
  }
  // One of those of problem_of().
  Descriptor scale() { return number(0); }
  Descriptor one() { return number(1); }
  Descriptor temporary(const Shape& shape, const Shape& strides, DataType type) {
    return describe_tensor(all_, next_++, type, 4, shape.data(), strides.data(), kAlignment, TensorKind::kVirtual);
  }
  Descriptor temporary(const Shape& shape, DataType type = kReal32) {
    return temporary(shape, {shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1}, type);
  }
  Descriptor scores(DataType type = kReal32) { return temporary({b, h, t, s}, type); }
  Descriptor column() { return temporary({b, h, t, 1}); }

  // result = left · right.
  Descriptor multiply(Descriptor result, Descriptor left, Descriptor right) {
    const Descriptor product = all_.make(kProduct);
    all_.set(product, kProductComputeType, kTypeDataType, kReal32);
    all_.finalize(product);
    return add(kProductOperation, {{kProductOf, product}, {kProductA, left}, {kProductB, right}, {kProductC, result}});
  }
  // Of every element of x and, as the mode has it, of others.
  Descriptor point(PointwiseMode mode, Descriptor result, Descriptor x, Descriptor other = nullptr,
                   Descriptor condition = nullptr) {
    return point_as(kReal32, mode, result, x, other, condition);
  }
  // The scores with -inf for keys after the query's own position.
  Descriptor hide_later(Descriptor x) {
    const auto indices = [&](int64_t axis) {
      return point_as(kReal32, kIndex, scores(kInteger32), x, nullptr, nullptr, axis);
    };
    const Descriptor queries = indices(2), keys = indices(3);
    const Descriptor seen = point_as(kBoolean, kAtLeast, scores(kBoolean), queries, keys, nullptr);
    return point(kSelect, scores(), x, number(last_number_), seen);
  }
  // Over the axes along which the result has fewer elements.
  Descriptor reduce(ReductionMode mode, Descriptor result, Descriptor x) {
    const Descriptor reduction = all_.make(kReduction);
    all_.set(reduction, kReductionComputeType, kTypeDataType, kReal32);
    all_.set(reduction, kReductionModeOf, kTypeReductionMode, mode);
    if (library()->version() >= 91100) all_.set(reduction, kReductionIsDeterministic, kTypeBoolean, true);
    all_.finalize(reduction);
    return add(kReductionOperation, {{kReductionOf, reduction}, {kReductionX, x}, {kReductionY, result}});
  }
  // The same elements in the same places.
  Descriptor view(Descriptor result, Descriptor x) {
    return add(kReshapeOperation, {{kReshapeX, x}, {kReshapeY, result}});
  }

 private:
  static constexpr int64_t kAlignment = 16, kFirstTemporary = 100;

  Descriptor number(int64_t place) {
    const Shape ones{1, 1, 1, 1};
    return describe_tensor(all_, first_number_ + place, kReal32, 4, ones.data(), ones.data(), kAlignment,
                           TensorKind::kValue);
  }

  Descriptor point_as(DataType type, PointwiseMode mode, Descriptor result, Descriptor x, Descriptor other,
                      Descriptor condition, int64_t axis = -1) {
    const Descriptor pointwise = all_.make(kPointwise);
    all_.set(pointwise, kPointwiseModeOf, kTypePointwiseMode, mode);
    all_.set(pointwise, kPointwiseComputeType, kTypeDataType, type);
    if (axis >= 0) all_.set(pointwise, kPointwiseAxis, kTypeInt64, axis);
    all_.finalize(pointwise);
    return add(kPointwiseOperation, {{kPointwiseOf, pointwise},
                                     {kPointwiseX, x},
                                     {kPointwiseB, other},
                                     {kPointwiseT, condition},
                                     {kPointwiseY, result}});
  }
  // The last of the parts is the result.
  Descriptor add(DescriptorType type, std::initializer_list<std::pair<Attribute, Descriptor>> parts) {
    const Descriptor operation = all_.make(type);
    for (const auto& [attribute, part] : parts) {
      if (part != nullptr) all_.set(operation, attribute, kTypeDescriptor, part);
    }
    all_.finalize(operation);
    operations.push_back(operation);
    return parts.end()[-1].second;
  }

  Descriptors& all_;
  const int64_t first_number_, last_number_;
  int64_t next_ = kFirstTemporary;
};

// The tensors are 0 to 4: q, k, v, y and the log-sum-exp as a column.
std::vector<Descriptor> describe_forward(Descriptors& all, const DnnAttention& a, const Problem& problem) {
  Graph graph(all, a, problem);
  Descriptor scores = graph.multiply(graph.scores(), graph.tensor(0, a.q), graph.turned(1, a.k));
  scores = graph.point(kMultiply, graph.scores(), scores, graph.scale());
  if (a.causal) scores = graph.hide_later(scores);
  const Descriptor largest = graph.reduce(kMaximum, graph.column(), scores);
  const Descriptor differences = graph.point(kSubtract, graph.scores(), scores, largest);
  const Descriptor exponentials = graph.point(kExponential, graph.scores(), differences);
  const Descriptor sums = graph.reduce(kSum, graph.column(), exponentials);
  const Descriptor logarithms = graph.point(kLogarithm, graph.column(), sums);
  graph.point(kAdd, graph.tensor(4, a.lse), largest, logarithms);
  const Descriptor weights = graph.point(kDivide, graph.scores(graph.type), exponentials, sums);
  graph.multiply(graph.tensor(3, a.y), weights, graph.tensor(2, a.v));
  return std::move(graph.operations);
}

// The tensors are 0 to 9: q, k, v, y, lse, g, gq, gk, gv and Σ g·y of a row, the last a column in memory as lse is. gq is written by a product:
// cuDNN keeps the slopes, which it adds up in order. (With a sum in float beside gq the order is not fixed, of which its notes do not tell.)
std::vector<Descriptor> describe_backward(Descriptors& all, const DnnAttention& a, const Problem& problem) {
  Graph graph(all, a, problem);
  const Descriptor q = graph.tensor(0, a.q), k = graph.turned(1, a.k), v = graph.turned(2, a.v),
                   g = graph.tensor(5, a.g);
  const Descriptor products =
      graph.point(kMultiply, graph.temporary({graph.b, graph.h, graph.t, a.v.shape[3]}), g, graph.tensor(3, a.y));
  const Descriptor sums = graph.reduce(kSum, graph.column(), products);
  const Descriptor dots = graph.point(kMultiply, graph.tensor(9, problem.tensors[9]), sums, graph.one());
  const Descriptor scale = graph.scale();
  Descriptor scores = graph.multiply(graph.scores(), q, k);
  scores = graph.point(kMultiply, graph.scores(), scores, scale);
  scores = graph.point(kSubtract, graph.scores(), scores, graph.tensor(4, a.lse));
  if (a.causal) scores = graph.hide_later(scores);
  const Descriptor weights = graph.point(kExponential, graph.scores(), scores);
  // The scores' transpose times rows of queries; summed over the heads that share keys.
  const auto gather = [&](const TensorView& result, int id, Descriptor from, Descriptor rows) {
    const auto& [b, h, t, s] = std::tie(graph.b, graph.h, graph.t, graph.s);
    const Descriptor turned = graph.view(graph.temporary({b, h, s, t}, {h * t * s, t * s, 1, s}, graph.type), from);
    if (result.shape[1] == h) {
      graph.multiply(graph.tensor(id, result), turned, rows);
    } else {
      const Descriptor each = graph.multiply(graph.temporary({b, h, s, result.shape[3]}, graph.type), turned, rows);
      graph.reduce(kSum, graph.tensor(id, result), each);
    }
  };
  gather(a.gv, 8, weights, g);
  Descriptor slopes = graph.multiply(graph.scores(), g, v);
  slopes = graph.point(kSubtract, graph.scores(), slopes, dots);
  slopes = graph.point(kMultiply, graph.scores(), slopes, weights);
  slopes = graph.point(kMultiply, graph.scores(), slopes, scale);
  gather(a.gk, 7, slopes, q);
  const Shape shape{a.k.shape[0], a.k.shape[1], a.k.shape[2], a.k.shape[3]};
  const Shape strides{a.k.strides[0], a.k.strides[1], a.k.strides[2], a.k.strides[3]};
  const Descriptor keys = graph.view(graph.temporary(shape, strides, graph.type), k);
  graph.multiply(graph.tensor(6, a.gq), slopes, keys);
  return std::move(graph.operations);
}

Problem problem_of(const DnnAttention& a, std::vector<TensorView> tensors, std::vector<float> values) {
  Problem problem;
  problem.tensors = std::move(tensors);
  problem.values = std::move(values);
  if (a.causal) problem.values.push_back(-std::numeric_limits<float>::infinity());
  problem.details = {a.causal};
  problem.compiles = true;
  return problem;
}

TensorView as_column(TensorView lse) {
  lse.rank = 4;
  lse.shape[3] = lse.strides[3] = 1;
  return lse;
}

}  // namespace

bool Cudnn::is_worthwhile(const DnnAttention& a) const {
  if (a.g.present()) return always_;
  const auto work = 2 * static_cast<double>(a.q.numel()) * static_cast<double>(a.k.shape[2]) *
                    (1 + static_cast<double>(a.v.shape[3]) / static_cast<double>(a.q.shape[3]));
  return always_ || work >= kLeastWork;
}

bool Cudnn::attend(CudaContext& ctx, const Command& cmd, DnnAttention a) {
  if (library()->version() < kFirstVersion) return false;
  a.lse = as_column(a.lse);
  Problem problem = problem_of(a, {a.q, a.k, a.v, a.y, a.lse}, {a.scale});
  problem.describe = [&](Descriptors& all, const Problem& p) { return describe_forward(all, a, p); };
  return solve(ctx, cmd, std::move(problem));
}

bool Cudnn::attend_backward(CudaContext& ctx, const Command& cmd, DnnAttention a) {
  const size_t version = library()->version();
  if (version < kFirstVersion || (version <= kLastWholeTiles && a.k.shape[2] % kKeyTile != 0)) return false;
  // There the same graph does not make it deterministic.
  if (ctx.device().capability >= 100) return false;
  // Slopes are as many as scores: so many images at once that they fit, their columns at multiples of 16 bytes.
  const int64_t column = a.q.shape[1] * a.q.shape[2];
  int64_t images = a.q.shape[0];
  while (images % 2 == 0 && images * column * a.k.shape[2] * 2 > kWorkspaceBytes && images / 2 * column % 4 == 0) {
    images /= 2;
  }
  const int64_t count = a.q.shape[0] / images;
  a.lse = as_column(a.lse);
  TensorView dot = a.lse;
  dot.data = reinterpret_cast<std::byte*>(ctx.scratch<float>(dot.numel()));
  for (TensorView* view : {&a.q, &a.k, &a.v, &a.y, &a.lse, &a.g, &a.gq, &a.gk, &a.gv, &dot}) view->shape[0] = images;
  Problem problem = problem_of(a, {a.q, a.k, a.v, a.y, a.lse, a.g, a.gq, a.gk, a.gv, dot}, {a.scale, 1});
  problem.describe = [&](Descriptors& all, const Problem& p) { return describe_backward(all, a, p); };
  return solve(ctx, cmd, std::move(problem), count);
}

}  // namespace hadal::cuda
