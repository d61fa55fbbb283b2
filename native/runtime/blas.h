// The BLAS and LAPACK routines that kernels call, as a table: OpenBLAS is linked once, into the addon, and called on one
// thread at a time. Fortran conventions: column-major, arguments by address, and behind them the lengths of the strings, for
// routines that are Fortran.
#pragma once

#include <cstddef>
#include <type_traits>

namespace hadal {

// The routines in one precision. Those of LAPACK answer with `info`: 0, or what their documentation says.
template <class T>
struct Lapack {
  void (*gemm)(const char* transa, const char* transb, const int* m, const int* n, const int* k, const T* alpha,
               const T* a, const int* lda, const T* b, const int* ldb, const T* beta, T* c, const int* ldc);
  void (*trsm)(const char* side, const char* uplo, const char* trans, const char* diag, const int* m, const int* n,
               const T* alpha, const T* a, const int* lda, T* b, const int* ldb);
  // The Cholesky factor; P·L·U and the inverse from it.
  void (*potrf)(const char* uplo, const int* n, T* a, const int* lda, int* info);
  void (*getrf)(const int* m, const int* n, T* a, const int* lda, int* pivots, int* info);
  void (*getri)(const int* n, T* a, const int* lda, const int* pivots, T* work, const int* lwork, int* info);
  // Q·R as Householder vectors, and Q from those.
  void (*geqrf)(const int* m, const int* n, T* a, const int* lda, T* tau, T* work, const int* lwork, int* info);
  void (*orgqr)(const int* m, const int* n, const int* k, T* a, const int* lda, const T* tau, T* work, const int* lwork,
                int* info);
  // Singular values and vectors; eigenvalues and vectors of a symmetric matrix; both by divide and conquer.
  void (*gesdd)(const char* jobz, const int* m, const int* n, T* a, const int* lda, T* s, T* u, const int* ldu, T* vt,
                const int* ldvt, T* work, const int* lwork, int* iwork, int* info, size_t jobz_length);
  void (*syevd)(const char* jobz, const char* uplo, const int* n, T* a, const int* lda, T* w, T* work, const int* lwork,
                int* iwork, const int* liwork, int* info, size_t jobz_length, size_t uplo_length);
  // Eigenvalues and vectors of any square matrix.
  void (*geev)(const char* jobvl, const char* jobvr, const int* n, T* a, const int* lda, T* wr, T* wi, T* vl,
               const int* ldvl, T* vr, const int* ldvr, T* work, const int* lwork, int* info, size_t jobvl_length,
               size_t jobvr_length);
  // The least-squares solution of least norm, through singular values.
  void (*gelsd)(const int* m, const int* n, const int* nrhs, T* a, const int* lda, T* b, const int* ldb, T* s,
                const T* rcond, int* rank, T* work, const int* lwork, int* iwork, int* info);
};

struct Blas {
  Lapack<float> float32;
  Lapack<double> float64;

  template <class T>
  const Lapack<T>& of() const {
    if constexpr (std::is_same_v<T, float>) return float32;
    else return float64;
  }
};

const Blas& openblas();

}  // namespace hadal
