// The table of OpenBLAS's routines. The only file that names them.
#include "runtime/blas.h"

#include <algorithm>
#include <mutex>

extern "C" {
#define HADAL_LAPACK(letter, T)                                                                                        \
  void letter##gemm_(const char*, const char*, const int*, const int*, const int*, const T*, const T*, const int*,     \
                     const T*, const int*, const T*, T*, const int*);                                                  \
  void letter##trsm_(const char*, const char*, const char*, const char*, const int*, const int*, const T*, const T*,   \
                     const int*, T*, const int*);                                                                      \
  void letter##potrf_(const char*, const int*, T*, const int*, int*);                                                  \
  void letter##getrf_(const int*, const int*, T*, const int*, int*, int*);                                             \
  void letter##getri_(const int*, T*, const int*, const int*, T*, const int*, int*);                                   \
  void letter##geqrf_(const int*, const int*, T*, const int*, T*, T*, const int*, int*);                               \
  void letter##orgqr_(const int*, const int*, const int*, T*, const int*, const T*, T*, const int*, int*);             \
  void letter##gesdd_(const char*, const int*, const int*, T*, const int*, T*, T*, const int*, T*, const int*, T*,     \
                      const int*, int*, int*, size_t);                                                                 \
  void letter##syevd_(const char*, const char*, const int*, T*, const int*, T*, T*, const int*, int*, const int*,      \
                      int*, size_t, size_t);                                                                           \
  void letter##geev_(const char*, const char*, const int*, T*, const int*, T*, T*, T*, const int*, T*, const int*, T*, \
                     const int*, int*, size_t, size_t);                                                                \
  void letter##gelsd_(const int*, const int*, const int*, T*, const int*, T*, const int*, T*, const T*, int*, T*,      \
                      const int*, int*, int*);

HADAL_LAPACK(s, float)
HADAL_LAPACK(d, double)
#undef HADAL_LAPACK

// Fortran's `a // b`, padded with blanks: all that OpenBLAS's LAPACK wants of gfortran's run-time library, which then need not
// be there. Weak, where linkers know that: where that library is linked, its own goes first.
#if !defined(_WIN32)
__attribute__((weak, visibility("hidden")))
#endif
void _gfortran_concat_string(size_t length, char* to, size_t length_a, const char* a, size_t length_b, const char* b) {
  const size_t from_a = std::min(length, length_a);
  const size_t from_b = std::min(length - from_a, length_b);
  std::fill(std::copy_n(b, from_b, std::copy_n(a, from_a, to)), to + length, ' ');
}

#if !defined(__APPLE__)
// OpenBLAS without threads hands out its work buffers without a lock, so that two threads that call it at once may get the same one. The
// linker sends its calls here (--wrap, CMakeLists.txt).
void* __real_blas_memory_alloc(int position);
void __real_blas_memory_free(void* buffer);

static std::mutex blas_memory_mutex;

void* __wrap_blas_memory_alloc(int position) {
  std::lock_guard lock(blas_memory_mutex);
  return __real_blas_memory_alloc(position);
}
void __wrap_blas_memory_free(void* buffer) {
  std::lock_guard lock(blas_memory_mutex);
  __real_blas_memory_free(buffer);
}
#endif
}

namespace hadal {

namespace {

#if !defined(__APPLE__)
template <auto kRoutine>
constexpr auto routine = kRoutine;
#else
// Apple's linker has no --wrap, so that routines run one at a time.
std::mutex blas_mutex;

template <auto kRoutine, class... Arguments>
void run_alone(Arguments... arguments) {
  std::lock_guard lock(blas_mutex);
  kRoutine(arguments...);
}
template <auto kRoutine, class... Arguments>
constexpr auto alone(void (*)(Arguments...)) {
  return &run_alone<kRoutine, Arguments...>;
}
template <auto kRoutine>
constexpr auto routine = alone<kRoutine>(kRoutine);
#endif

}  // namespace

const Blas& openblas() {
  static constexpr Blas kBlas{
      {routine<sgemm_>, routine<strsm_>, routine<spotrf_>, routine<sgetrf_>, routine<sgetri_>, routine<sgeqrf_>,
       routine<sorgqr_>, routine<sgesdd_>, routine<ssyevd_>, routine<sgeev_>, routine<sgelsd_>},
      {routine<dgemm_>, routine<dtrsm_>, routine<dpotrf_>, routine<dgetrf_>, routine<dgetri_>, routine<dgeqrf_>,
       routine<dorgqr_>, routine<dgesdd_>, routine<dsyevd_>, routine<dgeev_>, routine<dgelsd_>}};
  return kBlas;
}

}  // namespace hadal
