// What cuDNN is told: descriptors, and problems, which are graphs of operations over tensors. Described by cudnn_convolution.cc and
// cudnn_attention.cc, planned and run by cudnn.cc.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "cuda/cudnn_api.h"
#include "runtime/tensor_view.h"

namespace hadal::cuda::dnn {

// Opened once in a process; null where there is none, or none is wanted.
const Library* library();

// What an engine may use beside copies of the tensors.
inline constexpr int64_t kWorkspaceBytes = int64_t{512} << 20;

constexpr uint32_t bit(NumericalNote note) { return 1u << note; }

// Descriptors that are made one after the other of each other, and end together. After a failure nothing more is done.
class Descriptors {
 public:
  int status = kSuccess;

  Descriptors() = default;
  Descriptors(Descriptors&& other) noexcept : status(other.status), made_(std::move(other.made_)) {}
  Descriptors& operator=(Descriptors&& other) noexcept {
    std::swap(made_, other.made_);
    status = other.status;
    return *this;
  }
  ~Descriptors() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) library()->destroy_descriptor(*made);
  }

  Descriptor make(DescriptorType type) {
    Descriptor descriptor = nullptr;
    if (status == kSuccess) status = library()->create_descriptor(type, &descriptor);
    if (descriptor != nullptr) made_.push_back(descriptor);
    return descriptor;
  }
  template <class T>
  void set(Descriptor descriptor, Attribute attribute, AttributeType type, const T* values, int64_t count) {
    if (status == kSuccess) status = library()->set_attribute(descriptor, attribute, type, count, values);
  }
  template <class T>
  void set(Descriptor descriptor, Attribute attribute, AttributeType type, const T& value) {
    set(descriptor, attribute, type, &value, 1);
  }
  // How many there are.
  template <class T>
  int64_t get(Descriptor descriptor, Attribute attribute, AttributeType type, T* values, int64_t wanted) {
    int64_t count = 0;
    if (status == kSuccess) status = library()->get_attribute(descriptor, attribute, type, wanted, &count, values);
    return status == kSuccess ? count : 0;
  }
  void finalize(Descriptor descriptor) {
    if (status == kSuccess) status = library()->finalize(descriptor);
  }

 private:
  std::vector<Descriptor> made_;
};

DataType type_of(DType dtype);

// Tensors in memory, results that only other operations of the graph read, and numbers in the host's memory that are read when a plan runs.
enum class TensorKind { kInMemory, kVirtual, kValue };

Descriptor describe_tensor(Descriptors& all, int64_t id, DataType type, int rank, const int64_t* shape,
                           const int64_t* strides, int64_t alignment, TensorKind kind);
Descriptor describe_tensor(Descriptors& all, int64_t id, const TensorView& view);

struct Problem {
  // In memory; their ids are their places.
  std::vector<TensorView> tensors;
  // Numbers that are handed over when it runs; their ids come after those.
  std::vector<float> values;
  // What else the operations depend on.
  std::vector<int64_t> details;
  // Makes the operations.
  std::function<std::vector<Descriptor>(Descriptors& all, const Problem& problem)> describe;
  // Notes of engines that are not taken.
  uint32_t unwanted = 0;
  // The tensor that is added to, if one is.
  int accumulated = -1;
  // Whether a plan compiles a kernel of its own.
  bool compiles = false;
};

}  // namespace hadal::cuda::dnn
