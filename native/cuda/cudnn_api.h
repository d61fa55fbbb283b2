// The graph API of cuDNN 9, as far as it is used: building needs neither the library nor its headers. The values are those of
// cudnn_graph.h, with which test/native/cuda/cudnn_values.cc compares them. (All of cudnn_cnn.h, the older way to run a convolution,
// is deprecated.) Opened by cuda/cudnn.cc; the emulated device has a stand-in for the library of the same interface.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/library_search.h"

namespace hadal::cuda::dnn {

using Handle = void*;
using Descriptor = void*;

// Thousands tell the kind: 1 the library is not whole, 2 what it was given is wrong, 3 it does not know how.
enum Status : int { kSuccess = 0, kBadParameter = 2000, kMisaligned = 2003, kNotSupported = 3000 };
enum DataType : int { kReal32 = 0, kReal16 = 2, kInteger32 = 4, kRealB16 = 9, kBoolean = 11 };
enum ConvolutionMode : int { kCrossCorrelation = 1 };
enum PointwiseMode : int {
  kAdd = 0,
  kMultiply = 1,
  kDivide = 6,
  kSubtract = 9,
  kExponential = 13,
  kLogarithm = 15,
  kAtLeast = 303,
  kIndex = 501,
  kSelect = 601,
};
enum ReductionMode : int { kSum = 0, kMaximum = 3 };
enum HeuristicMode : int { kFallback = 2, kQuick = 3 };
enum NumericalNote : int {
  kTensorCore = 0,
  kDownConvertInputs = 1,
  kReducedPrecisionReduction = 2,
  kFourier = 3,
  kNondeterministic = 4,
  kWinograd = 5,
  kWinograd4x4 = 6,
  kWinograd6x6 = 7,
  kWinograd13x13 = 8,
  kStrictNan = 9,
};
enum DescriptorType : int {
  kPointwise = 0,
  kConvolution = 1,
  kEngine = 2,
  kEngineConfig = 3,
  kHeuristic = 4,
  kExecutionPlan = 5,
  kForward = 10,
  kBackwardFilter = 11,
  kBackwardData = 12,
  kPointwiseOperation = 13,
  kOperationGraph = 15,
  kVariantPack = 16,
  kTensor = 17,
  kProduct = 18,
  kProductOperation = 19,
  kReduction = 21,
  kReductionOperation = 22,
  kReshapeOperation = 31,
};
enum AttributeType : int {
  kTypeHandle = 0,
  kTypeDataType = 1,
  kTypeBoolean = 2,
  kTypeInt64 = 3,
  kTypeFloat = 4,
  kTypePointer = 6,
  kTypeConvolutionMode = 7,
  kTypeHeuristicMode = 8,
  kTypeNumericalNote = 11,
  kTypePointwiseMode = 14,
  kTypeDescriptor = 15,
  kTypeReductionMode = 18,
};
enum Attribute : int {
  kPointwiseModeOf = 0,
  kPointwiseComputeType = 1,
  kPointwiseAxis = 9,
  kConvolutionComputeType = 100,
  kConvolutionModeOf = 101,
  kConvolutionDilations = 102,
  kConvolutionStrides = 103,
  kConvolutionPaddingAfter = 104,
  kConvolutionPaddingBefore = 105,
  kConvolutionAxes = 106,
  kHeuristicModeOf = 200,
  kHeuristicGraph = 201,
  kHeuristicResults = 202,
  kEngineConfigEngine = 300,
  kPlanHandle = 400,
  kPlanEngineConfig = 401,
  kPlanWorkspaceBytes = 402,
  // Of an operation: alpha, beta, the convolution, weight, x and y, in this order.
  kForwardFirst = 700,
  kBackwardDataFirst = 706,
  kBackwardFilterFirst = 712,
  kPointwiseOf = 750,
  kPointwiseX = 751,
  kPointwiseB = 752,
  kPointwiseY = 753,
  kPointwiseT = 758,
  kGraphHandle = 800,
  kGraphOperations = 801,
  kTensorAlignment = 900,
  kTensorDataType = 901,
  kTensorShape = 902,
  kTensorStrides = 903,
  kTensorId = 906,
  kTensorIsVirtual = 907,
  kTensorIsByValue = 908,
  kPackIds = 1000,
  kPackPointers = 1001,
  kPackWorkspace = 1003,
  kEngineNotes = 1303,
  kProductComputeType = 1500,
  kProductA = 1520,
  kProductB = 1521,
  kProductC = 1522,
  kProductOf = 1523,
  kReductionModeOf = 1600,
  kReductionComputeType = 1601,
  kReductionIsDeterministic = 1602,  // since 9.11
  kReductionX = 1610,
  kReductionY = 1611,
  kReductionOf = 1612,
  kReshapeX = 2200,
  kReshapeY = 2201,
};

struct Library {
  size_t (*version)();  // 10,000 · major + 100 · minor + patch
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*set_stream)(Handle, void* stream);
  const char* (*status_string)(int);
  void (*last_error)(char* message, size_t bytes);
  int (*create_descriptor)(DescriptorType, Descriptor*);
  int (*destroy_descriptor)(Descriptor);
  int (*set_attribute)(Descriptor, Attribute, AttributeType, int64_t count, const void* values);
  int (*get_attribute)(Descriptor, Attribute, AttributeType, int64_t wanted, int64_t* count, void* values);
  int (*finalize)(Descriptor);
  int (*execute)(Handle, Descriptor plan, Descriptor pack);

  // False where there is none.
  bool open() {
    void* file = open_library({"libcudnn.so.9"});
    return file != nullptr && find_function(file, "cudnnGetVersion", version) &&
           find_function(file, "cudnnCreate", create) && find_function(file, "cudnnDestroy", destroy) &&
           find_function(file, "cudnnSetStream", set_stream) &&
           find_function(file, "cudnnGetErrorString", status_string) &&
           find_function(file, "cudnnGetLastErrorString", last_error) &&
           find_function(file, "cudnnBackendCreateDescriptor", create_descriptor) &&
           find_function(file, "cudnnBackendDestroyDescriptor", destroy_descriptor) &&
           find_function(file, "cudnnBackendSetAttribute", set_attribute) &&
           find_function(file, "cudnnBackendGetAttribute", get_attribute) &&
           find_function(file, "cudnnBackendFinalize", finalize) && find_function(file, "cudnnBackendExecute", execute);
  }
};

}  // namespace hadal::cuda::dnn
