// The BLAS and LAPACK routines that kernels call, as a table: OpenBLAS is linked once, into the addon, and called on one
// thread at a time. Fortran conventions: column-major, arguments by address.
#pragma once

namespace hadal {

struct Blas {
  void (*sgemm)(const char* transa, const char* transb, const int* m, const int* n, const int* k, const float* alpha,
                const float* a, const int* lda, const float* b, const int* ldb, const float* beta, float* c,
                const int* ldc);
  void (*dgemm)(const char* transa, const char* transb, const int* m, const int* n, const int* k, const double* alpha,
                const double* a, const int* lda, const double* b, const int* ldb, const double* beta, double* c,
                const int* ldc);
};

}  // namespace hadal
