// The kernels over orthogonal factors and eigenvectors: qr, svd, svdvals, eigh, eigvalsh, eig, eigvals, pinv, lstsq. One matrix is one task, in memory of its
// thread. Outputs are contiguous, inputs strided as they like; all are written with =, in the arithmetic of their dtype.
#include "cpu/linalg.h"
#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

// The singular values of row-major a [m, n], which is destroyed, and with `job` S or A the vectors, row-major u [m, ·] and
// vt [·, n]: LAPACK sees Aᵀ = V·S·Uᵀ, and V and Uᵀ column-major are what is wanted. k = min(m, n) singular values.
template <class T>
class SingularValues {
 public:
  SingularValues(const Blas& blas, char job, int64_t m, int64_t n)
      : lapack_(blas.of<T>()),
        job_(job),
        m_(to_int(m)),
        n_(to_int(n)),
        k_(std::min(m_, n_)),
        u_columns_(job == 'A' ? m_ : k_) {
    if (k_ == 0) return;
    T answer = 0;
    const int query = -1;
    int info = 0, integer = 0;
    T nothing = 0;
    lapack_.gesdd(&job_, &n_, &m_, &nothing, &n_, &nothing, &nothing, &n_, &nothing, &u_columns_, &answer, &query,
                  &integer, &info, 1);
    work_size_ = workspace(answer);
  }
  void add(Layout& layout) {
    work_ = layout.add<T>(work_size_);
    integers_ = layout.add<int>(8 * int64_t{k_});
  }
  int operator()(std::byte* memory, T* a, T* s, T* u, T* vt) const {
    if (!all_finite(a, int64_t{m_} * n_)) return kNotFinite;
    if (k_ == 0) {
      if (job_ == 'A') {
        set_identity(u, m_);
        set_identity(vt, n_);
      }
      return 0;
    }
    int info = 0;
    lapack_.gesdd(&job_, &n_, &m_, a, &n_, s, vt, &n_, u, &u_columns_, reinterpret_cast<T*>(memory + work_),
                  &work_size_, reinterpret_cast<int*>(memory + integers_), &info, 1);
    return info;
  }

 private:
  const Lapack<T>& lapack_;
  const char job_;
  const int m_, n_, k_, u_columns_;
  int work_size_ = 0;
  int64_t work_ = 0, integers_ = 0;
};

template <class T>
void singular_value_kernel(KernelContext& ctx, const Command& cmd, char job, T* s, T* u, int64_t u_columns, T* vt,
                           int64_t vt_rows) {
  const Matrices<T> x(cmd.input(0));
  const int64_t m = x.rows, n = x.columns, k = std::min(m, n);
  SingularValues<T> values(ctx.blas(), job, m, n);
  Layout layout;
  const int64_t at_a = layout.add<T>(m * n);
  values.add(layout);
  each_matrix(
      ctx, cmd, x.count(), 8 * m * n * k,
      [&](int64_t i) {
        auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
        T* a = reinterpret_cast<T*>(memory + at_a);
        pack(a, x, i);
        return values(memory, a, s + i * k, u + i * m * u_columns, vt + i * vt_rows * n);
      },
      unconverged);
}

// Eigenvalues of the symmetric matrix in the lower triangle, ascending, and its vectors as columns unless v is null.
template <class T>
void eigenvalue_kernel(KernelContext& ctx, const Command& cmd, T* w, T* v) {
  const Matrices<T> x(cmd.input(0));
  const Lapack<T>& lapack = ctx.blas().of<T>();
  const int n = to_int(x.rows);
  const int64_t size = x.rows * x.rows;
  const char* job = v == nullptr ? "N" : "V";
  if (n == 0) return;
  T answer = 0, nothing = 0;
  int integers = 0, query = -1, info = 0;
  lapack.syevd(job, "U", &n, &nothing, &n, &nothing, &answer, &query, &integers, &query, &info, 1, 1);
  const int work_size = workspace(answer);
  Layout layout;
  const int64_t at_a = layout.add<T>(size), at_work = layout.add<T>(work_size), at_integers = layout.add<int>(integers);
  each_matrix(
      ctx, cmd, x.count(), 8 * size * n,
      [&](int64_t i) {
        auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
        T* a = reinterpret_cast<T*>(memory + at_a);
        pack(a, x, i);
        for (int row = 0; row < n; ++row) std::fill(a + row * n + row + 1, a + (row + 1) * n, T(0));
        if (!all_finite(a, size)) return kNotFinite;
        int failed = 0;
        lapack.syevd(job, "U", &n, a, &n, w + i * n, reinterpret_cast<T*>(memory + at_work), &work_size,
                     reinterpret_cast<int*>(memory + at_integers), &integers, &failed, 1, 1);
        if (v != nullptr) copy_matrix(v + i * size, int64_t{n}, int64_t{1}, a, int64_t{1}, int64_t{n}, n, n);
        return failed;
      },
      unconverged);
}

// Eigenvalues of any matrix, pairs of real and imaginary parts w [n, 2] of which the conjugate ones are neighbours, the one above
// the real axis first, and its vectors as columns, v [n, n, 2], unless v is null.
template <class T>
void general_eigenvalue_kernel(KernelContext& ctx, const Command& cmd, T* w, T* v) {
  const Matrices<T> x(cmd.input(0));
  const Lapack<T>& lapack = ctx.blas().of<T>();
  const int n = to_int(x.rows), one = 1;
  const int64_t size = x.rows * x.rows;
  const char* job = v == nullptr ? "N" : "V";
  if (n == 0) return;
  T answer = 0, nothing = 0;
  int query = -1, info = 0;
  lapack.geev("N", job, &n, &nothing, &n, &nothing, &nothing, &nothing, &one, &nothing, &n, &answer, &query, &info, 1,
              1);
  const int work_size = workspace(answer);
  Layout layout;
  const int64_t at_a = layout.add<T>(size), at_real = layout.add<T>(n), at_imaginary = layout.add<T>(n),
                at_vectors = layout.add<T>(v == nullptr ? 0 : size), at_work = layout.add<T>(work_size);
  each_matrix(
      ctx, cmd, x.count(), 24 * size * n,
      [&](int64_t i) {
        auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
        const auto at = [&](int64_t offset) { return reinterpret_cast<T*>(memory + offset); };
        T *a = at(at_a), *real = at(at_real), *imaginary = at(at_imaginary), *vectors = at(at_vectors);
        copy_matrix(a, int64_t{1}, int64_t{n}, static_cast<const T*>(x[i]), x.row_stride, x.column_stride, n, n);
        if (!all_finite(a, size)) return kNotFinite;
        int failed = 0;
        lapack.geev("N", job, &n, a, &n, real, imaginary, &nothing, &one, vectors, &n, at(at_work), &work_size, &failed,
                    1, 1);
        if (failed != 0) return failed;
        for (int64_t j = 0; j < n; ++j) {
          T* pair = w + 2 * (i * n + j);
          pair[0] = real[j];
          pair[1] = imaginary[j];
          if (v == nullptr) continue;
          // Of conjugate vectors LAPACK has the real part in the first one's place and the imaginary part in the second's.
          const T sign = imaginary[j] > 0 ? T(1) : imaginary[j] < 0 ? T(-1) : T(0);
          const T* column = vectors + (sign < 0 ? j - 1 : j) * n;
          for (int64_t row = 0; row < n; ++row) {
            T* element = v + 2 * (i * size + row * n + j);
            element[0] = column[row];
            element[1] = sign == 0 ? T(0) : sign * column[row + n];
          }
        }
        return 0;
      },
      unconverged);
}

}  // namespace

// x [..., m, n] → q [..., m, c], r [..., c, n], where c is min(m, n) or m.
HADAL_CPU_KERNEL(qr) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> x(cmd.input(0));
    const Lapack<T>& lapack = ctx.blas().of<T>();
    const int m = to_int(x.rows), n = to_int(x.columns), k = std::min(m, n), c = to_int(cmd.output(0).size(-1));
    const int widest = std::max(n, c);
    T *q = cmd.output(0).as<T>(), *r = cmd.output(1).as<T>();
    T factor_work = 0, q_work = 0, nothing = 0;
    int query = -1, info = 0;
    const int height = std::max(m, 1);
    lapack.geqrf(&m, &n, &nothing, &height, &nothing, &factor_work, &query, &info);
    lapack.orgqr(&m, &c, &k, &nothing, &height, &nothing, &q_work, &query, &info);
    const int work_size = std::max(workspace(factor_work), workspace(q_work));
    Layout layout;
    const int64_t at_a = layout.add<T>(int64_t{m} * widest), at_tau = layout.add<T>(k),
                  at_work = layout.add<T>(work_size);
    each_matrix(
        ctx, cmd, x.count(), 4 * int64_t{m} * widest * std::max(k, 1),
        [&](int64_t i) {
          auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
          T *a = reinterpret_cast<T*>(memory + at_a), *tau = reinterpret_cast<T*>(memory + at_tau);
          T* work = reinterpret_cast<T*>(memory + at_work);
          int failed = 0;
          copy_matrix(a, int64_t{1}, int64_t{m}, static_cast<const T*>(x[i]), x.row_stride, x.column_stride, m, n);
          if (k > 0) lapack.geqrf(&m, &n, a, &m, tau, work, &work_size, &failed);
          T* upper = r + i * c * n;
          copy_matrix(upper, int64_t{n}, int64_t{1}, a, int64_t{1}, int64_t{m}, c, n);
          for (int row = 0; row < c; ++row) std::fill_n(upper + int64_t{row} * n, std::min(row, n), T(0));
          if (m > 0 && c > 0) lapack.orgqr(&m, &c, &k, a, &m, tau, work, &work_size, &failed);
          copy_matrix(q + i * m * c, int64_t{c}, int64_t{1}, a, int64_t{1}, int64_t{m}, m, c);
          return failed;
        },
        unconverged);
  });
}

// x [..., m, n] → s [..., k], u [..., m, k], vt [..., k, n] of k = min(m, n), or all m and n vectors.
HADAL_CPU_KERNEL(svd) {
  visit_lapack(cmd, [&]<class T>() {
    const TensorView &s = cmd.output(0), &u = cmd.output(1), &vt = cmd.output(2);
    const bool full = u.size(-1) > s.size(-1) || vt.size(-2) > s.size(-1);
    singular_value_kernel(ctx, cmd, full ? 'A' : 'S', s.as<T>(), u.as<T>(), u.size(-1), vt.as<T>(), vt.size(-2));
  });
}

HADAL_CPU_KERNEL(svdvals) {
  visit_lapack(cmd, [&]<class T>() {
    T nothing = 0;
    singular_value_kernel(ctx, cmd, 'N', cmd.output(0).as<T>(), &nothing, 0, &nothing, 0);
  });
}

HADAL_CPU_KERNEL(eigh) {
  visit_lapack(cmd, [&]<class T>() { eigenvalue_kernel(ctx, cmd, cmd.output(0).as<T>(), cmd.output(1).as<T>()); });
}

HADAL_CPU_KERNEL(eigvalsh) {
  visit_lapack(cmd, [&]<class T>() { eigenvalue_kernel<T>(ctx, cmd, cmd.output(0).as<T>(), nullptr); });
}

HADAL_CPU_KERNEL(eig) {
  visit_lapack(cmd,
               [&]<class T>() { general_eigenvalue_kernel(ctx, cmd, cmd.output(0).as<T>(), cmd.output(1).as<T>()); });
}

HADAL_CPU_KERNEL(eigvals) {
  visit_lapack(cmd, [&]<class T>() { general_eigenvalue_kernel<T>(ctx, cmd, cmd.output(0).as<T>(), nullptr); });
}

// x [..., m, n] → y [..., n, m] = V·S⁺·Uᵀ, where singular values up to `tolerance` times the largest count as zero.
HADAL_CPU_KERNEL(pinv) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> x(cmd.input(0));
    const int m = to_int(x.rows), n = to_int(x.columns), k = std::min(m, n);
    T* y = cmd.output(0).as<T>();
    if (k == 0) return;
    const T tolerance = static_cast<T>(cmd.attribute(0));
    const Lapack<T>& lapack = ctx.blas().of<T>();
    SingularValues<T> values(ctx.blas(), 'S', m, n);
    Layout layout;
    const int64_t at_a = layout.add<T>(int64_t{m} * n), at_u = layout.add<T>(int64_t{m} * k);
    const int64_t at_s = layout.add<T>(k), at_vt = layout.add<T>(int64_t{k} * n);
    values.add(layout);
    each_matrix(
        ctx, cmd, x.count(), 8 * int64_t{m} * n * k,
        [&](int64_t i) {
          auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
          const auto at = [&](int64_t offset) { return reinterpret_cast<T*>(memory + offset); };
          T *u = at(at_u), *s = at(at_s), *vt = at(at_vt);
          pack(at(at_a), x, i);
          const int info = values(memory, at(at_a), s, u, vt);
          if (info != 0) return info;
          for (int j = 0; j < k; ++j) {
            const T scale = s[j] > tolerance * s[0] ? T(1) / s[j] : T(0);
            for (int64_t column = 0; column < n; ++column) vt[j * int64_t{n} + column] *= scale;
          }
          // Row-major y = (S⁺·Vᵀ)ᵀ·Uᵀ; in LAPACK's eyes yᵀ = u'ᵀ·vt'ᵀ.
          const T one = 1, zero = 0;
          lapack.gemm("T", "T", &m, &n, &k, &one, u, &k, vt, &n, &zero, y + i * m * n, &m);
          return 0;
        },
        unconverged);
  });
}

// a [..., m, n], b [..., m, columns] → x [..., n, columns], rank [...] and singular values s [..., min(m, n)].
HADAL_CPU_KERNEL(lstsq) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> a(cmd.input(0)), b(cmd.input(1));
    const Lapack<T>& lapack = ctx.blas().of<T>();
    const int m = to_int(a.rows), n = to_int(a.columns), columns = to_int(b.columns), k = std::min(m, n);
    const int leading = std::max(m, n);
    T *x = cmd.output(0).as<T>(), *s = cmd.output(2).as<T>();
    int64_t* rank = cmd.output(1).as<int64_t>();
    if (k == 0) {
      std::fill_n(x, cmd.output(0).numel(), T(0));
      std::fill_n(rank, cmd.output(1).numel(), 0);
      return;
    }
    const T tolerance = static_cast<T>(cmd.attribute(0));
    T answer = 0, nothing = 0;
    int integers = 0, query = -1, info = 0, found = 0;
    lapack.gelsd(&m, &n, &columns, &nothing, &m, &nothing, &leading, &nothing, &tolerance, &found, &answer, &query,
                 &integers, &info);
    const int work_size = workspace(answer);
    Layout layout;
    const int64_t at_a = layout.add<T>(int64_t{m} * n), at_b = layout.add<T>(int64_t{leading} * columns);
    const int64_t at_work = layout.add<T>(work_size), at_integers = layout.add<int>(integers);
    each_matrix(
        ctx, cmd, a.count(), 8 * int64_t{m} * n * k,
        [&](int64_t i) {
          auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
          T *left = reinterpret_cast<T*>(memory + at_a), *right = reinterpret_cast<T*>(memory + at_b);
          copy_matrix(left, int64_t{1}, int64_t{m}, static_cast<const T*>(a[i]), a.row_stride, a.column_stride, m, n);
          copy_matrix(right, int64_t{1}, int64_t{leading}, static_cast<const T*>(b[i]), b.row_stride, b.column_stride,
                      m, columns);
          bool finite = all_finite(left, int64_t{m} * n);
          for (int64_t column = 0; column < columns; ++column)
            finite = finite && all_finite(right + column * leading, m);
          if (!finite) return kNotFinite;
          int failed = 0, own_rank = 0;
          lapack.gelsd(&m, &n, &columns, left, &m, right, &leading, s + i * k, &tolerance, &own_rank,
                       reinterpret_cast<T*>(memory + at_work), &work_size, reinterpret_cast<int*>(memory + at_integers),
                       &failed);
          rank[i] = own_rank;
          copy_matrix(x + i * n * columns, int64_t{columns}, int64_t{1}, right, int64_t{1}, int64_t{leading}, n,
                      columns);
          return failed;
        },
        unconverged);
  });
}

}  // namespace hadal::cpu
