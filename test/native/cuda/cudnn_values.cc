// That cuda/cudnn_api.h has the values and the functions of cuDNN's header. Compiled, no more, by cudnn.test.ts.
#include <cudnn_graph.h>

#include <type_traits>

#include "cuda/cudnn_api.h"

using namespace hadal::cuda::dnn;

#define SAME(ours, theirs) static_assert(static_cast<int>(ours) == static_cast<int>(theirs))

SAME(kSuccess, CUDNN_STATUS_SUCCESS);
SAME(kBadParameter, CUDNN_STATUS_BAD_PARAM);
SAME(kMisaligned, CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
SAME(kNotSupported, CUDNN_STATUS_NOT_SUPPORTED);
SAME(1, CUDNN_STATUS_NOT_INITIALIZED / 1000);
SAME(1, CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH / 1000);

SAME(kReal32, CUDNN_DATA_FLOAT);
SAME(kReal16, CUDNN_DATA_HALF);
SAME(kRealB16, CUDNN_DATA_BFLOAT16);
SAME(kCrossCorrelation, CUDNN_CROSS_CORRELATION);
SAME(kFallback, CUDNN_HEUR_MODE_FALLBACK);
SAME(kQuick, CUDNN_HEUR_MODE_A);

SAME(kTensorCore, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
SAME(kDownConvertInputs, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
SAME(kReducedPrecisionReduction, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
SAME(kFourier, CUDNN_NUMERICAL_NOTE_FFT);
SAME(kNondeterministic, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
SAME(kWinograd, CUDNN_NUMERICAL_NOTE_WINOGRAD);
SAME(kWinograd4x4, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4);
SAME(kWinograd6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6);
SAME(kWinograd13x13, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13);

SAME(kConvolution, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
SAME(kEngine, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
SAME(kEngineConfig, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
SAME(kHeuristic, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
SAME(kExecutionPlan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
SAME(kForward, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
SAME(kBackwardFilter, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
SAME(kBackwardData, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
SAME(kOperationGraph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
SAME(kVariantPack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
SAME(kTensor, CUDNN_BACKEND_TENSOR_DESCRIPTOR);

SAME(kTypeHandle, CUDNN_TYPE_HANDLE);
SAME(kTypeDataType, CUDNN_TYPE_DATA_TYPE);
SAME(kTypeInt64, CUDNN_TYPE_INT64);
SAME(kTypeFloat, CUDNN_TYPE_FLOAT);
SAME(kTypePointer, CUDNN_TYPE_VOID_PTR);
SAME(kTypeConvolutionMode, CUDNN_TYPE_CONVOLUTION_MODE);
SAME(kTypeHeuristicMode, CUDNN_TYPE_HEUR_MODE);
SAME(kTypeNumericalNote, CUDNN_TYPE_NUMERICAL_NOTE);
SAME(kTypeDescriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR);

SAME(kConvolutionComputeType, CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
SAME(kConvolutionModeOf, CUDNN_ATTR_CONVOLUTION_CONV_MODE);
SAME(kConvolutionDilations, CUDNN_ATTR_CONVOLUTION_DILATIONS);
SAME(kConvolutionStrides, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
SAME(kConvolutionPaddingAfter, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
SAME(kConvolutionPaddingBefore, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
SAME(kConvolutionAxes, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
SAME(kHeuristicModeOf, CUDNN_ATTR_ENGINEHEUR_MODE);
SAME(kHeuristicGraph, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
SAME(kHeuristicResults, CUDNN_ATTR_ENGINEHEUR_RESULTS);
SAME(kEngineConfigEngine, CUDNN_ATTR_ENGINECFG_ENGINE);
SAME(kPlanHandle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
SAME(kPlanEngineConfig, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
SAME(kPlanWorkspaceBytes, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
SAME(kForwardFirst, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA);
SAME(kForwardFirst + 1, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
SAME(kForwardFirst + 2, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
SAME(kForwardFirst + 3, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
SAME(kForwardFirst + 4, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
SAME(kForwardFirst + 5, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
SAME(kBackwardDataFirst, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA);
SAME(kBackwardDataFirst + 1, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA);
SAME(kBackwardDataFirst + 2, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC);
SAME(kBackwardDataFirst + 3, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W);
SAME(kBackwardDataFirst + 4, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
SAME(kBackwardDataFirst + 5, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
SAME(kBackwardFilterFirst, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA);
SAME(kBackwardFilterFirst + 1, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA);
SAME(kBackwardFilterFirst + 2, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC);
SAME(kBackwardFilterFirst + 3, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW);
SAME(kBackwardFilterFirst + 4, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X);
SAME(kBackwardFilterFirst + 5, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
SAME(kGraphHandle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
SAME(kGraphOperations, CUDNN_ATTR_OPERATIONGRAPH_OPS);
SAME(kTensorAlignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
SAME(kTensorDataType, CUDNN_ATTR_TENSOR_DATA_TYPE);
SAME(kTensorShape, CUDNN_ATTR_TENSOR_DIMENSIONS);
SAME(kTensorStrides, CUDNN_ATTR_TENSOR_STRIDES);
SAME(kTensorId, CUDNN_ATTR_TENSOR_UNIQUE_ID);
SAME(kPackIds, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
SAME(kPackPointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
SAME(kPackWorkspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
SAME(kEngineNotes, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE);

// Enumerations and pointers pass alike, whatever their names.
template <class T>
struct AsPassed {
  using type = std::conditional_t<std::is_enum_v<T>, int, std::conditional_t<std::is_pointer_v<T>, void*, T>>;
};
template <class Ours, class Theirs>
struct Alike : std::false_type {};
template <class R, class... P, class S, class... Q>
struct Alike<R (*)(P...), S (*)(Q...)> {
  static constexpr bool value = std::is_same_v<void(typename AsPassed<R>::type, typename AsPassed<P>::type...),
                                               void(typename AsPassed<S>::type, typename AsPassed<Q>::type...)>;
};
#define ALIKE(ours, theirs) static_assert(Alike<decltype(Library::ours), decltype(&theirs)>::value)

ALIKE(create, cudnnCreate);
ALIKE(destroy, cudnnDestroy);
ALIKE(set_stream, cudnnSetStream);
ALIKE(status_string, cudnnGetErrorString);
ALIKE(create_descriptor, cudnnBackendCreateDescriptor);
ALIKE(destroy_descriptor, cudnnBackendDestroyDescriptor);
ALIKE(set_attribute, cudnnBackendSetAttribute);
ALIKE(get_attribute, cudnnBackendGetAttribute);
ALIKE(finalize, cudnnBackendFinalize);
ALIKE(execute, cudnnBackendExecute);
static_assert(std::is_same_v<decltype(Library::last_error), decltype(&cudnnGetLastErrorString)>);
