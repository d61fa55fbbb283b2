// Attention for cuDNN's stand-in (cudnn.cc): graphs of operations on tensors of four axes, known by their order and computed one after the other.
#pragma once

#include <cmath>
#include <regex>
#include <string>

#include "cudnn_objects.h"

namespace hadal::cuda::dnn {

struct AttentionOperation {
  char sign;
  std::vector<Tensor> from;
  Tensor to;
  int64_t axis = -1;
};

class Attention {
 public:
  explicit Attention(const std::vector<const Object*>& operations) {
    std::string signs;
    for (const Object* operation : operations) {
      require(operation->is_final);
      operations_.push_back(read(*operation));
      signs += operations_.back().sign;
    }
    static const std::regex forward(R"(P\*(ii>\?)?M-eSl\+/P)");
    static const std::regex backward(R"(\*S\*P\*-(ii>\?)?evPS?P-\*\*vPS?vP)");
    require(std::regex_match(signs, forward) || std::regex_match(signs, backward), 3000);
    for (const AttentionOperation& operation : operations_) {
      for (const Tensor& tensor : operation.from) check(tensor);
      check(operation.to);
    }
  }

  // Of a head of q, which the products' first factor is.
  int64_t depth() const {
    for (const AttentionOperation& operation : operations_) {
      if (operation.sign == 'P') return operation.from[0].shape[3];
    }
    return 0;
  }
  // What must be in memory, each once or more.
  std::vector<Tensor> tensors() const {
    std::vector<Tensor> found;
    const auto add = [&](const Tensor& tensor) {
      if (!tensor.is_virtual) found.push_back(tensor);
    };
    for (const AttentionOperation& operation : operations_) {
      for (const Tensor& tensor : operation.from) add(tensor);
      add(operation.to);
    }
    return found;
  }

  // With NaN for its results where it does not compute. Memory is by the tensors' ids; of numbers, that of the host.
  void run(const std::map<int64_t, void*>& memory, bool computes) const {
    std::map<int64_t, std::vector<double>> temporaries;
    for (const AttentionOperation& operation : operations_) {
      const Tensor& to = operation.to;
      if (to.is_virtual) temporaries[to.id].resize(static_cast<size_t>(extent(to)));
      const auto at = [&](const Tensor& tensor, const Place& place) {
        const int64_t offset = offset_of(tensor, place);
        return tensor.is_virtual ? temporaries.at(tensor.id)[static_cast<size_t>(offset)]
                                 : load(tensor.dtype, memory.at(tensor.id), offset);
      };
      const auto put = [&](const Place& place, double value) {
        const int64_t offset = offset_of(to, place);
        if (!to.is_virtual) return store(to.dtype, memory.at(to.id), offset, computes ? value : NAN);
        if (to.dtype == kReal16 || to.dtype == kRealB16) {
          uint16_t rounded = 0;
          store(to.dtype, &rounded, 0, value);
          value = load(to.dtype, &rounded, 0);
        }
        temporaries[to.id][static_cast<size_t>(offset)] = value;
      };
      compute(operation, at, put);
    }
  }

  static AttentionOperation read(const Object& operation) {
    const auto tensor = [&](Attribute attribute) { return Tensor(operation.part(attribute, kTensor)); };
    if (operation.type == kProductOperation) {
      const Object& product = operation.part(kProductOf, kProduct);
      require(product.one<DataType>(kProductComputeType, kTypeDataType) == kReal32);
      return {'P', {tensor(kProductA), tensor(kProductB)}, tensor(kProductC)};
    }
    if (operation.type == kReductionOperation) {
      const Object& reduction = operation.part(kReductionOf, kReduction);
      require(reduction.one<DataType>(kReductionComputeType, kTypeDataType) == kReal32);
      require(reduction.flag(kReductionIsDeterministic));
      const auto mode = reduction.one<ReductionMode>(kReductionModeOf, kTypeReductionMode);
      return {mode == kMaximum ? 'M' : 'S', {tensor(kReductionX)}, tensor(kReductionY)};
    }
    if (operation.type == kReshapeOperation) return {'v', {tensor(kReshapeX)}, tensor(kReshapeY)};
    require(operation.type == kPointwiseOperation, 3000);
    const Object& pointwise = operation.part(kPointwiseOf, kPointwise);
    const auto mode = pointwise.one<PointwiseMode>(kPointwiseModeOf, kTypePointwiseMode);
    const std::map<PointwiseMode, std::pair<char, int>> known = {
        {kAdd, {'+', 2}},      {kMultiply, {'*', 2}},    {kDivide, {'/', 2}},
        {kSubtract, {'-', 2}}, {kExponential, {'e', 1}}, {kLogarithm, {'l', 1}},
        {kAtLeast, {'>', 2}},  {kIndex, {'i', 1}},       {kSelect, {'?', 3}},
    };
    require(known.contains(mode), 3000);
    const auto& [sign, count] = known.at(mode);
    AttentionOperation made{sign, {tensor(kPointwiseX)}, tensor(kPointwiseY)};
    if (count > 1) made.from.push_back(tensor(kPointwiseB));
    if (count > 2) made.from.push_back(tensor(kPointwiseT));
    if (mode == kIndex) made.axis = pointwise.number(kPointwiseAxis);
    const DataType type = pointwise.one<DataType>(kPointwiseComputeType, kTypeDataType);
    require(type == (mode == kAtLeast ? kBoolean : kReal32));
    require(made.to.dtype != kInteger32 || mode == kIndex);
    return made;
  }

 private:
  using Place = std::array<int64_t, 4>;

  // Tensors of 16 bits in memory are read 16 bytes at a time, along the axis of a head.
  static void check(const Tensor& tensor) {
    require(tensor.shape.size() == 4);
    if (tensor.is_virtual || tensor.dtype == kReal32) return;
    require(tensor.alignment == 16, 3005);
    int unit = 0;
    for (size_t axis = 0; axis < 4; ++axis) {
      if (tensor.strides[axis] == 1 && tensor.shape[axis] % 8 == 0 && axis >= 2) ++unit;
      else require(tensor.strides[axis] % 8 == 0, 3005);
    }
    require(unit == 1, 3005);
  }

  static int64_t extent(const Tensor& tensor) {
    int64_t last = 0;
    for (size_t axis = 0; axis < 4; ++axis) last += (tensor.shape[axis] - 1) * tensor.strides[axis];
    return last + 1;
  }
  static int64_t offset_of(const Tensor& tensor, const Place& place) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < 4; ++axis) offset += place[axis] * tensor.strides[axis];
    return offset;
  }
  template <class F>
  static void each(const std::vector<int64_t>& shape, F&& visit) {
    Place place;
    for (place[0] = 0; place[0] < shape[0]; ++place[0]) {
      for (place[1] = 0; place[1] < shape[1]; ++place[1]) {
        for (place[2] = 0; place[2] < shape[2]; ++place[2]) {
          for (place[3] = 0; place[3] < shape[3]; ++place[3]) visit(place);
        }
      }
    }
  }
  // Of a tensor with fewer elements along some axes, each of which is for several neighbours.
  static Place shared(const Place& place, const std::vector<int64_t>& of, const Tensor& tensor) {
    Place found;
    for (size_t axis = 0; axis < 4; ++axis) found[axis] = place[axis] / (of[axis] / tensor.shape[axis]);
    return found;
  }

  template <class At, class Put>
  static void compute(const AttentionOperation& operation, At&& at, Put&& put) {
    const auto& [sign, from, to, axis] = operation;
    if (sign == 'P') {
      const Tensor &a = from[0], &b = from[1];
      const int64_t inner = a.shape[3];
      require(b.shape[2] == inner && a.shape[2] == to.shape[2] && b.shape[3] == to.shape[3]);
      each(to.shape, [&](const Place& place) {
        double sum = 0;
        for (int64_t k = 0; k < inner; ++k) {
          const Place left{place[0], place[1], place[2], k};
          const Place right{place[0], place[1] / (to.shape[1] / b.shape[1]), k, place[3]};
          sum += at(a, left) * at(b, right);
        }
        put(place, sum);
      });
    } else if (sign == 'M' || sign == 'S') {
      const Tensor& x = from[0];
      each(to.shape, [&](const Place& place) {
        double result = sign == 'M' ? -INFINITY : 0;
        std::vector<int64_t> counts;
        for (size_t i = 0; i < 4; ++i) counts.push_back(x.shape[i] / to.shape[i]);
        each(counts, [&](const Place& within) {
          Place source;
          for (size_t i = 0; i < 4; ++i) source[i] = place[i] * counts[i] + within[i];
          result = sign == 'M' ? std::fmax(result, at(x, source)) : result + at(x, source);
        });
        put(place, result);
      });
    } else if (sign == 'v') {
      // The axes of a head and of a row have changed places in the description, not in memory.
      const Tensor& x = from[0];
      require(x.shape[2] == to.shape[3] && x.shape[3] == to.shape[2]);
      require(x.strides[2] == to.strides[3] && x.strides[3] == to.strides[2]);
      each(to.shape, [&](const Place& place) { put(place, at(x, {place[0], place[1], place[3], place[2]})); });
    } else {
      each(to.shape, [&](const Place& place) {
        const auto value = [&](size_t i) { return at(from[i], shared(place, to.shape, from[i])); };
        switch (sign) {
          case '+': return put(place, value(0) + value(1));
          case '*': return put(place, value(0) * value(1));
          case '/': return put(place, value(0) / value(1));
          case '-': return put(place, value(0) - value(1));
          case 'e': return put(place, std::exp(value(0)));
          case 'l': return put(place, std::log(value(0)));
          case '>': return put(place, value(0) >= value(1));
          case 'i': return put(place, static_cast<double>(place[static_cast<size_t>(axis)]));
          default: return put(place, value(2) != 0 ? value(0) : value(1));
        }
      });
    }
  }

  std::vector<AttentionOperation> operations_;
};

}  // namespace hadal::cuda::dnn
