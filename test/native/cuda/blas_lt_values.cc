// That cuda/blas_lt.cc has the values and the functions of cuBLASLt's header. Compiled, no more, by blas-lt.test.ts.
#include <cublasLt.h>

#include <cstddef>

#include "cuda/blas_lt.cc"
#include "same_interface.h"

namespace hadal::cuda {
namespace {

SAME(kSuccess, CUBLAS_STATUS_SUCCESS);
SAME(kInvalidValue, CUBLAS_STATUS_INVALID_VALUE);
SAME(kNotSupported, CUBLAS_STATUS_NOT_SUPPORTED);
SAME(kReal32, CUDA_R_32F);
SAME(kReal64, CUDA_R_64F);
SAME(kReal16, CUDA_R_16F);
SAME(kRealB16, CUDA_R_16BF);
SAME(kCompute32, CUBLAS_COMPUTE_32F);
SAME(kCompute64, CUBLAS_COMPUTE_64F);
SAME(kCompute32Tf32, CUBLAS_COMPUTE_32F_FAST_TF32);
SAME(kAsItIs, CUBLAS_OP_N);
SAME(kTransposed, CUBLAS_OP_T);

SAME(kTransA, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(kTransB, CUBLASLT_MATMUL_DESC_TRANSB);
SAME(kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME(kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME(kBiasDataType, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
SAME(kAuxPointer, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER);
SAME(kAuxLine, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD);
SAME(kBatchCount, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
SAME(kStridedBatchOffset, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
SAME(kMaxWorkspaceBytes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(kReductionSchemeMask, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
SAME(kMinAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME(kMinAlignmentB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
SAME(kMinAlignmentC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
SAME(kMinAlignmentD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME(kInPlace, CUBLASLT_REDUCTION_SCHEME_INPLACE);
SAME(kInComputeType, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);

SAME(kDefault, CUBLASLT_EPILOGUE_DEFAULT);
SAME(kRelu, CUBLASLT_EPILOGUE_RELU);
SAME(kBias, CUBLASLT_EPILOGUE_BIAS);
SAME(kRelu | kBias, CUBLASLT_EPILOGUE_RELU_BIAS);
SAME(kGelu, CUBLASLT_EPILOGUE_GELU);
SAME(kGelu | kBias, CUBLASLT_EPILOGUE_GELU_BIAS);
SAME(kGelu | kAux, CUBLASLT_EPILOGUE_GELU_AUX);
SAME(kGelu | kBias | kAux, CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
SAME(kGeluSlope | kAux, CUBLASLT_EPILOGUE_DGELU);
SAME(kSumsOfB, CUBLASLT_EPILOGUE_BGRADB);

static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
SAME(offsetof(HeuristicResult, workspace_bytes), offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
SAME(offsetof(HeuristicResult, state), offsetof(cublasLtMatmulHeuristicResult_t, state));

ALIKE(create, cublasLtCreate);
ALIKE(destroy, cublasLtDestroy);
ALIKE(status_string, cublasLtGetStatusString);
ALIKE(desc_create, cublasLtMatmulDescCreate);
ALIKE(desc_destroy, cublasLtMatmulDescDestroy);
ALIKE(desc_set, cublasLtMatmulDescSetAttribute);
ALIKE(layout_create, cublasLtMatrixLayoutCreate);
ALIKE(layout_destroy, cublasLtMatrixLayoutDestroy);
ALIKE(layout_set, cublasLtMatrixLayoutSetAttribute);
ALIKE(preference_create, cublasLtMatmulPreferenceCreate);
ALIKE(preference_destroy, cublasLtMatmulPreferenceDestroy);
ALIKE(preference_set, cublasLtMatmulPreferenceSetAttribute);
ALIKE(heuristic, cublasLtMatmulAlgoGetHeuristic);
ALIKE(matmul, cublasLtMatmul);

}  // namespace
}  // namespace hadal::cuda
