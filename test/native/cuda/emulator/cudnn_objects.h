// What cuDNN's stand-in (cudnn.cc) has been told: descriptors with their attributes, and tensors.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <vector>

#include "cuda/cudnn_api.h"
#include "runtime/half.h"

namespace hadal::cuda::dnn {

struct Stop {
  int status;
};
inline void require(bool holds, int status = kBadParameter) {
  if (!holds) throw Stop{status};
}
template <class F>
int answer(F&& body) {
  try {
    body();
    return kSuccess;
  } catch (const Stop& stop) {
    return stop.status;
  }
}

struct Values {
  AttributeType type;
  int64_t count;
  std::vector<std::byte> bytes;
};
struct Object {
  DescriptorType type;
  bool is_final = false;
  std::map<int, Values> values;

  template <class T>
  std::vector<T> all(int attribute, AttributeType type) const {
    const auto found = values.find(attribute);
    require(found != values.end() && found->second.type == type);
    std::vector<T> list(static_cast<size_t>(found->second.count));
    std::memcpy(list.data(), found->second.bytes.data(), found->second.bytes.size());
    return list;
  }
  template <class T>
  T one(int attribute, AttributeType type) const {
    const std::vector<T> list = all<T>(attribute, type);
    require(list.size() == 1);
    return list[0];
  }
  // Those that are not set are false.
  bool flag(int attribute) const { return values.contains(attribute) && one<uint8_t>(attribute, kTypeBoolean) != 0; }
  int64_t number(int attribute) const { return one<int64_t>(attribute, kTypeInt64); }
  std::vector<int64_t> numbers(int attribute) const { return all<int64_t>(attribute, kTypeInt64); }
  const Object& part(int attribute, DescriptorType wanted) const {
    const auto& object = *static_cast<const Object*>(one<Descriptor>(attribute, kTypeDescriptor));
    require(object.type == wanted && object.is_final);
    return object;
  }
  template <class T>
  void keep(int attribute, AttributeType type, const std::vector<T>& list) {
    std::vector<std::byte> bytes(list.size() * sizeof(T));
    std::memcpy(bytes.data(), list.data(), bytes.size());
    values[attribute] = {type, static_cast<int64_t>(list.size()), std::move(bytes)};
  }
};

inline size_t size_of(AttributeType type) {
  switch (type) {
    case kTypeHandle:
    case kTypeInt64:
    case kTypePointer:
    case kTypeDescriptor: return 8;
    case kTypeBoolean: return 1;
    default: return 4;
  }
}

struct Tensor {
  int64_t id, alignment;
  DataType dtype;
  bool is_virtual, is_by_value;
  std::vector<int64_t> shape, strides;

  explicit Tensor(const Object& object)
      : id(object.number(kTensorId)),
        alignment(object.number(kTensorAlignment)),
        dtype(object.one<DataType>(kTensorDataType, kTypeDataType)),
        is_virtual(object.flag(kTensorIsVirtual)),
        is_by_value(object.flag(kTensorIsByValue)),
        shape(object.numbers(kTensorShape)),
        strides(object.numbers(kTensorStrides)) {
    require(!(is_virtual && is_by_value) && std::has_single_bit(static_cast<uint64_t>(alignment)));
    require((shape.size() == 4 || shape.size() == 5) && strides.size() == shape.size());
    for (size_t axis = 0; axis < shape.size(); ++axis) require(shape[axis] > 0 && strides[axis] > 0);
  }

  int64_t count() const {
    int64_t product = 1;
    for (const int64_t size : shape) product *= size;
    return product;
  }
  // Side by side, channels outside or inside.
  void check_dense() const {
    std::vector<std::array<int64_t, 2>> axes;
    for (size_t axis = 0; axis < shape.size(); ++axis) axes.push_back({strides[axis], shape[axis]});
    std::sort(axes.begin(), axes.end());
    int64_t next = 1;
    for (const auto& [stride, size] : axes) {
      require(stride == next, 3004);
      next *= size;
    }
  }
};

inline float load(DataType dtype, const void* data, int64_t at) {
  if (dtype == kReal32) return static_cast<const float*>(data)[at];
  return dtype == kReal16 ? float(static_cast<const Float16*>(data)[at])
                          : float(static_cast<const BFloat16*>(data)[at]);
}
inline void store(DataType dtype, void* data, int64_t at, double value) {
  if (dtype == kReal32) static_cast<float*>(data)[at] = static_cast<float>(value);
  else if (dtype == kReal16) static_cast<Float16*>(data)[at] = Float16(static_cast<float>(value));
  else static_cast<BFloat16*>(data)[at] = BFloat16(static_cast<float>(value));
}

}  // namespace hadal::cuda::dnn
