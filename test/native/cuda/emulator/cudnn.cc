// Stands in for cuDNN on the emulated device: the functions of cuda/cudnn_api.h, which libraries.cc hands out with HADAL_EMULATED_CUDNN
// set. Descriptors are checked as cuDNN's headers demand; convolutions and attention (cudnn_attention.h) are loops, on the stream. Of what
// it proposes most must not be taken: that writes NaN. Some shapes it refuses, at each of the places where cuDNN may. With
// HADAL_EMULATED_CUDNN=log it writes what it plans and runs, as with =old, a version that computes no attention.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "cudnn_attention.h"
#include "cudnn_objects.h"

using namespace hadal;
using namespace hadal::cuda;
using namespace hadal::cuda::dnn;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Context {
  cudaStream_t stream = nullptr;
};

bool is_old() { return variable("HADAL_EMULATED_CUDNN") == "old"; }
bool logs() { return variable("HADAL_EMULATED_CUDNN") == "log" || is_old(); }

// --- Convolutions ----------------------------------------------------------------------------------------------------------

// To ten bits of mantissa.
float to_tf32(float value) {
  return std::bit_cast<float>((std::bit_cast<uint32_t>(value) + 0x1000u) & ~uint32_t{0x1fff});
}

// What an operation's descriptor says.
struct Convolution {
  DescriptorType type;
  float alpha, beta;
  Tensor weight, x, y;
  std::vector<int64_t> stride, dilation, before, after;
  int64_t groups, group_channels, group_outputs;

  static int first_of(const Object& operation) {
    return operation.type == kForward        ? kForwardFirst
           : operation.type == kBackwardData ? kBackwardDataFirst
                                             : kBackwardFilterFirst;
  }
  explicit Convolution(const Object& operation)
      : type(operation.type),
        alpha(operation.one<float>(first_of(operation), kTypeFloat)),
        beta(operation.one<float>(first_of(operation) + 1, kTypeFloat)),
        weight(operation.part(first_of(operation) + 3, kTensor)),
        x(operation.part(first_of(operation) + 4, kTensor)),
        y(operation.part(first_of(operation) + 5, kTensor)) {
    const Object& windows = operation.part(first_of(operation) + 2, kConvolution);
    stride = windows.numbers(kConvolutionStrides);
    dilation = windows.numbers(kConvolutionDilations);
    before = windows.numbers(kConvolutionPaddingBefore);
    after = windows.numbers(kConvolutionPaddingAfter);
    const size_t rank = stride.size() + 2;
    require(x.shape.size() == rank && weight.shape.size() == rank && y.shape.size() == rank);
    require(x.dtype == weight.dtype && x.dtype == y.dtype);
    for (const Tensor* tensor : {&x, &weight, &y}) tensor->check_dense();
    require(x.id != weight.id && x.id != y.id && weight.id != y.id);
    group_channels = weight.shape[1];
    require(x.shape[0] == y.shape[0] && y.shape[1] == weight.shape[0] && x.shape[1] % group_channels == 0);
    groups = x.shape[1] / group_channels;
    require(weight.shape[0] % groups == 0);
    group_outputs = weight.shape[0] / groups;
    for (size_t axis = 0; axis < stride.size(); ++axis) {
      const int64_t left =
          x.shape[2 + axis] + before[axis] + after[axis] - dilation[axis] * (weight.shape[2 + axis] - 1) - 1;
      require(left >= 0 && y.shape[2 + axis] == left / stride[axis] + 1);
    }
  }

  const Tensor& result() const { return type == kForward ? y : type == kBackwardData ? x : weight; }

  // The offsets in x, weight and y of all products, and `visit` for each.
  template <class F>
  void each_product(F&& visit) const {
    const size_t axes = stride.size();
    std::vector<int64_t> at(axes), tap(axes);
    const auto advance = [](std::vector<int64_t>& place, const Tensor& tensor) {
      for (size_t axis = place.size(); axis-- > 0;) {
        if (++place[axis] < tensor.shape[2 + axis]) return true;
        place[axis] = 0;
      }
      return false;
    };
    for (int64_t image = 0; image < x.shape[0]; ++image) {
      do {
        do {
          int64_t x_at = image * x.strides[0], w_at = 0, y_at = image * y.strides[0];
          bool inside = true;
          for (size_t axis = 0; axis < axes; ++axis) {
            const int64_t place = at[axis] * stride[axis] - before[axis] + tap[axis] * dilation[axis];
            inside = inside && place >= 0 && place < x.shape[2 + axis];
            x_at += place * x.strides[2 + axis];
            w_at += tap[axis] * weight.strides[2 + axis];
            y_at += at[axis] * y.strides[2 + axis];
          }
          if (!inside) continue;
          for (int64_t output = 0; output < weight.shape[0]; ++output) {
            for (int64_t c = 0; c < group_channels; ++c) {
              visit(x_at + (output / group_outputs * group_channels + c) * x.strides[1],
                    w_at + output * weight.strides[0] + c * weight.strides[1], y_at + output * y.strides[1]);
            }
          }
        } while (advance(tap, weight));
      } while (advance(at, y));
    }
  }
};

// --- Engines ---------------------------------------------------------------------------------------------------------------

struct Engine {
  const char* name;
  std::vector<NumericalNote> notes;
  bool computes;
};
const std::array<Engine, 6> kEngines = {{
    {"nondeterministic", {kTensorCore, kNondeterministic}, false},
    {"Winograd", {kWinograd, kWinograd4x4}, false},
    {"half sums", {kTensorCore, kReducedPrecisionReduction}, false},
    {"refusing", {}, false},
    {"tensor cores", {kTensorCore}, true},
    {"plain", {kStrictNan}, true},
}};
constexpr int kEngineIndex = 1301, kWorkspaceBytes = 1 << 12;

// What a graph is.
struct Work {
  std::optional<Convolution> convolution;
  std::optional<Attention> attention;

  explicit Work(const Object& graph) {
    const auto operations = graph.all<const Object*>(kGraphOperations, kTypeDescriptor);
    for (const Object* operation : operations) require(operation->is_final);
    const DescriptorType type = operations[0]->type;
    if (type == kForward || type == kBackwardData || type == kBackwardFilter) {
      require(operations.size() == 1);
      convolution.emplace(*operations[0]);
    } else {
      attention.emplace(operations);
    }
  }

  // What it refuses: volumes with dilation and heads of 16 are not among the quick proposals; groups of one channel and heads of 24 nowhere;
  // windows of seven by seven and heads of 40 not before they run.
  bool has_quick() const {
    if (attention) return attention->depth() != 16;
    const Convolution& c = *convolution;
    return c.stride.size() == 2 || *std::max_element(c.dilation.begin(), c.dilation.end()) == 1;
  }
  bool has_plan() const {
    return attention ? attention->depth() != 24 : convolution->groups == 1 || convolution->group_channels > 1;
  }
  bool runs() const {
    return attention ? attention->depth() != 40
                     : convolution->weight.shape[2] != 7 || convolution->weight.shape[3] != 7;
  }

  std::vector<Tensor> tensors() const {
    return attention ? attention->tensors() : std::vector<Tensor>{convolution->weight, convolution->x, convolution->y};
  }
};

void convolve(const Convolution& c, const Engine& engine, const std::map<int64_t, void*>& memory) {
  void *x = memory.at(c.x.id), *weight = memory.at(c.weight.id), *y = memory.at(c.y.id);
  const DataType dtype = c.x.dtype;
  void* to = c.type == kForward ? y : c.type == kBackwardData ? x : weight;
  const int64_t count = c.result().count();
  std::vector<double> sums(static_cast<size_t>(count));
  const bool rounds = dtype == kReal32 && !engine.notes.empty() && engine.notes[0] == kTensorCore;
  const auto factor = [&](const void* data, int64_t at) -> double {
    const float value = load(dtype, data, at);
    return rounds ? to_tf32(value) : value;
  };
  c.each_product([&](int64_t x_at, int64_t w_at, int64_t y_at) {
    if (c.type == kForward) sums[static_cast<size_t>(y_at)] += factor(x, x_at) * factor(weight, w_at);
    else if (c.type == kBackwardData) sums[static_cast<size_t>(x_at)] += factor(y, y_at) * factor(weight, w_at);
    else sums[static_cast<size_t>(w_at)] += factor(x, x_at) * factor(y, y_at);
  });
  const bool turns = dtype != kReal32 && c.result().strides[1] != 1;
  for (int64_t at = 0; at < count; ++at) {
    const double old = c.beta == 0 ? 0 : c.beta * load(dtype, to, at);
    double sum = sums[static_cast<size_t>(at)];
    if (turns) {  // what an engine has written with its channels inside
      store(dtype, to, at, sum);
      sum = load(dtype, to, at);
    }
    store(dtype, to, at, engine.computes ? c.alpha * sum + old : NAN);
  }
}

struct Run {
  Work work;
  const Engine* engine;
  std::map<int64_t, void*> memory;
  std::map<int64_t, float> numbers;
  void* workspace;

  void operator()() {
    std::memset(workspace, 0x7f, kWorkspaceBytes);
    for (auto& [id, number] : numbers) memory[id] = &number;
    if (work.attention) work.attention->run(memory, engine->computes);
    else convolve(*work.convolution, *engine, memory);
  }
};
// Graphs run them again, so that they stay.
std::mutex mutex;
std::deque<Run>& all_runs = *new std::deque<Run>;

void check(Object& object) {
  switch (object.type) {
    case kTensor: Tensor{object}; break;
    case kPointwise:
    case kProduct:
    case kReduction: break;
    case kConvolution: {
      const auto axes = static_cast<size_t>(object.number(kConvolutionAxes));
      require(axes == 2 || axes == 3);
      for (const int attribute : {int{kConvolutionStrides}, int{kConvolutionDilations}}) {
        const std::vector<int64_t> list = object.numbers(attribute);
        require(list.size() == axes && *std::min_element(list.begin(), list.end()) > 0);
      }
      for (const int attribute : {int{kConvolutionPaddingBefore}, int{kConvolutionPaddingAfter}}) {
        const std::vector<int64_t> list = object.numbers(attribute);
        require(list.size() == axes && *std::min_element(list.begin(), list.end()) >= 0);
      }
      require(object.one<DataType>(kConvolutionComputeType, kTypeDataType) == kReal32);
      require(object.one<ConvolutionMode>(kConvolutionModeOf, kTypeConvolutionMode) == kCrossCorrelation);
      break;
    }
    case kForward:
    case kBackwardData:
    case kBackwardFilter: Convolution{object}; break;
    case kPointwiseOperation:
    case kProductOperation:
    case kReductionOperation:
    case kReshapeOperation: Attention::read(object); break;
    case kOperationGraph: {
      require(object.one<Handle>(kGraphHandle, kTypeHandle) != nullptr);
      Work{object};
      break;
    }
    case kHeuristic: {
      const Work work(object.part(kHeuristicGraph, kOperationGraph));
      std::vector<int64_t> proposed;
      if (object.one<HeuristicMode>(kHeuristicModeOf, kTypeHeuristicMode) == kFallback) proposed = {0, 5};
      else if (work.has_quick()) proposed = {0, 1, 2, 3, 4, 5};
      object.keep(kHeuristicResults, kTypeInt64, proposed);
      break;
    }
    case kExecutionPlan: {
      require(object.one<Handle>(kPlanHandle, kTypeHandle) != nullptr);
      const Object& config = object.part(kPlanEngineConfig, kEngineConfig);
      const Object& graph = config.part(kHeuristicGraph, kOperationGraph);
      const int64_t engine = config.number(kEngineIndex);
      require(Work(graph).has_plan() && engine != 3, 3002);
      object.keep(kPlanWorkspaceBytes, kTypeInt64, std::vector<int64_t>{kWorkspaceBytes});
      if (logs()) std::fprintf(stderr, "cuDNN: plans %s\n", kEngines[static_cast<size_t>(engine)].name);
      break;
    }
    case kVariantPack: {
      require(object.numbers(kPackIds).size() == object.all<void*>(kPackPointers, kTypePointer).size());
      object.one<void*>(kPackWorkspace, kTypePointer);
      break;
    }
    default: require(false, 2012);
  }
  object.is_final = true;
}

}  // namespace

// --- The library -------------------------------------------------------------------------------------------------------------

EXPORT size_t cudnnGetVersion() { return is_old() ? 91001 : 92400; }
EXPORT int cudnnCreate(Handle* handle) {
  if (variable("HADAL_EMULATED_CUDNN") == "broken") return 1001;
  *handle = new Context;
  return kSuccess;
}
EXPORT int cudnnDestroy(Handle handle) {
  delete static_cast<Context*>(handle);
  return kSuccess;
}
EXPORT int cudnnSetStream(Handle handle, void* stream) {
  static_cast<Context*>(handle)->stream = static_cast<cudaStream_t>(stream);
  return kSuccess;
}
EXPORT const char* cudnnGetErrorString(int status) {
  return status == kSuccess ? "CUDNN_STATUS_SUCCESS"
         : status == 1001   ? "CUDNN_STATUS_NOT_INITIALIZED"
                            : "another status";
}
EXPORT void cudnnGetLastErrorString(char* message, size_t bytes) { std::snprintf(message, bytes, "emulated"); }

EXPORT int cudnnBackendCreateDescriptor(DescriptorType type, Descriptor* descriptor) {
  *descriptor = new Object{type, false, {}};
  return kSuccess;
}
EXPORT int cudnnBackendDestroyDescriptor(Descriptor descriptor) {
  delete static_cast<Object*>(descriptor);
  return kSuccess;
}
EXPORT int cudnnBackendSetAttribute(Descriptor descriptor, Attribute attribute, AttributeType type, int64_t count,
                                    const void* values) {
  return answer([&] {
    auto& object = *static_cast<Object*>(descriptor);
    require(!object.is_final && count > 0 && values != nullptr);
    const auto* bytes = static_cast<const std::byte*>(values);
    object.values[attribute] = {type, count, {bytes, bytes + static_cast<size_t>(count) * size_of(type)}};
  });
}
EXPORT int cudnnBackendGetAttribute(Descriptor descriptor, Attribute attribute, AttributeType type, int64_t wanted,
                                    int64_t* count, void* values) {
  return answer([&] {
    auto& object = *static_cast<Object*>(descriptor);
    require(object.is_final, 2004);
    const auto take = [&]<class T>(const std::vector<T>& list) {
      *count = static_cast<int64_t>(list.size());
      std::copy_n(list.begin(), std::min(wanted, *count), static_cast<T*>(values));
    };
    if (attribute == kPlanWorkspaceBytes) {
      require(object.type == kExecutionPlan && type == kTypeInt64);
      take(object.numbers(kPlanWorkspaceBytes));
    } else if (attribute == kEngineNotes) {
      require(object.type == kEngine && type == kTypeNumericalNote);
      take(kEngines[static_cast<size_t>(object.number(kEngineIndex))].notes);
    } else if (attribute == kEngineConfigEngine) {
      require(object.type == kEngineConfig && type == kTypeDescriptor && wanted == 1);
      auto& engine = **static_cast<Object**>(values);
      require(engine.type == kEngine);
      engine.values[kEngineIndex] = object.values[kEngineIndex];
      engine.is_final = true;
      *count = 1;
    } else {
      require(attribute == kHeuristicResults && object.type == kHeuristic && type == kTypeDescriptor);
      const std::vector<int64_t> proposed = object.numbers(kHeuristicResults);
      // There may turn out to be fewer than were told.
      *count = wanted == 0 ? static_cast<int64_t>(proposed.size()) + 2 : static_cast<int64_t>(proposed.size());
      for (size_t i = 0; i < static_cast<size_t>(std::min(wanted, *count)); ++i) {
        Object& config = *static_cast<Object**>(values)[i];
        require(config.type == kEngineConfig);
        config.values[kHeuristicGraph] = object.values[kHeuristicGraph];
        config.keep(kEngineIndex, kTypeInt64, std::vector<int64_t>{proposed[i]});
        config.is_final = true;
      }
    }
  });
}
EXPORT int cudnnBackendFinalize(Descriptor descriptor) {
  return answer([&] {
    require(!static_cast<Object*>(descriptor)->is_final);
    check(*static_cast<Object*>(descriptor));
  });
}
EXPORT int cudnnBackendExecute(Handle handle, Descriptor plan, Descriptor pack) {
  return answer([&] {
    const auto &from = *static_cast<const Object*>(plan), &with = *static_cast<const Object*>(pack);
    require(from.is_final && with.is_final && from.one<Handle>(kPlanHandle, kTypeHandle) == handle, 2004);
    const Object& config = from.part(kPlanEngineConfig, kEngineConfig);
    const Work work(config.part(kHeuristicGraph, kOperationGraph));
    require(work.runs(), kNotSupported);
    const std::vector<int64_t> ids = with.numbers(kPackIds);
    const auto pointers = with.all<void*>(kPackPointers, kTypePointer);
    std::map<int64_t, void*> memory;
    std::map<int64_t, float> numbers;
    for (const Tensor& tensor : work.tensors()) {
      const auto found = std::find(ids.begin(), ids.end(), tensor.id);
      require(found != ids.end(), 2005);
      void* pointer = pointers[static_cast<size_t>(found - ids.begin())];
      require(pointer != nullptr, 2002);
      if (tensor.is_by_value) {
        numbers[tensor.id] = *static_cast<const float*>(pointer);
      } else {
        require(reinterpret_cast<uintptr_t>(pointer) % static_cast<uint64_t>(tensor.alignment) == 0, kMisaligned);
        memory[tensor.id] = pointer;
      }
    }
    require(memory.size() + numbers.size() == ids.size());
    void* workspace = with.one<void*>(kPackWorkspace, kTypePointer);
    require(workspace != nullptr, 2002);
    const Engine& engine = kEngines[static_cast<size_t>(config.number(kEngineIndex))];
    if (logs()) std::fprintf(stderr, "cuDNN: runs %s\n", engine.name);
    std::lock_guard lock(mutex);
    all_runs.push_back({work, &engine, std::move(memory), std::move(numbers), workspace});
    const auto function = [](void* run) { (*static_cast<Run*>(run))(); };
    require(cudaLaunchHostFunc(static_cast<Context*>(handle)->stream, function, &all_runs.back()) == cudaSuccess, 5000);
  });
}
