// The kernels over triangular factors: cholesky, triangularSolve, solve, solveTransposed, luFactor, luPermutation, inv, det, slogdet,
// cofactors; and matrixExp. Outputs are contiguous, inputs strided as they like; all are written with =, in the arithmetic of their dtype.
#include "cpu/linalg_factor.h"

#include <limits>
#include <numeric>
#include <vector>

#include "runtime/registry.h"

namespace hadal::cpu {
namespace {

std::string indefinite(int info, const std::string& where) {
  return "not positive definite: got a leading minor of order " + std::to_string(info) + " that is not positive" +
         where + ", expected a positive-definite matrix";
}

std::string bad_pivot(const std::string& op, int pivot, int64_t rows) {
  return op + ": pivot: got " + std::to_string(pivot) + ", expected one from 1 to " + std::to_string(rows);
}

// Runs body(i, begin, end) over blocks of columns of every right-hand side.
template <class F>
void each_column_block(KernelContext& ctx, int64_t count, int64_t n, int64_t columns, F&& body) {
  const int64_t blocks = n >= kLarge ? (columns + kPanel - 1) / kPanel : std::min<int64_t>(columns, 1);
  const int64_t width = n >= kLarge ? kPanel : columns;
  const int64_t work = std::max<int64_t>(1, n * n * width);
  ctx.parallel_ranges(count * blocks, (int64_t{1} << 16) / work, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % blocks * width;
      body(task / blocks, first, std::min(columns, first + width));
    }
  });
}

// The factors of all matrices of a, at lu [count, n, n] and pivots [count, n].
template <class T>
void factor_all(KernelContext& ctx, const Command& cmd, const Matrices<T>& a, T* lu, int* pivots) {
  const int64_t n = a.rows;
  if (by_panels(a.count(), n)) {
    for (int64_t i = 0; i < a.count(); ++i) {
      T* factors = lu + i * n * n;
      pack(factors, a, i);
      const int info = factor_lu_panels(ctx, factors, n, n, pivots + i * n);
      if (info != 0) {
        throw Error(ErrorCode::kLinAlg,
                    std::string(cmd.name()) + ": " + singular(info, " in matrix " + std::to_string(i)));
      }
    }
    return;
  }
  const Blas& blas = ctx.blas();
  each_matrix(
      ctx, cmd, a.count(), n * n * n,
      [&](int64_t i) {
        pack(lu + i * n * n, a, i);
        return factor_lu(blas, lu + i * n * n, n, n, pivots + i * n);
      },
      singular);
}

// x = A⁻¹·x for right-hand sides x [count, n, columns].
template <class T>
void solve_all(KernelContext& ctx, bool transposed, int64_t count, int64_t n, const T* lu, const int* pivots, T* x,
               int64_t columns) {
  const Blas& blas = ctx.blas();
  each_column_block(ctx, count, n, columns, [&](int64_t i, int64_t begin, int64_t end) {
    solve_lu(blas, transposed, lu + i * n * n, n, pivots + i * n, x + i * n * columns, columns, begin, end);
  });
}

template <class T>
void pack_all(KernelContext& ctx, T* to, const Matrices<T>& from) {
  const int64_t size = from.rows * from.columns;
  ctx.parallel_ranges(from.count(), (int64_t{1} << 16) / std::max<int64_t>(size, 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pack(to + i * size, from, i);
  });
}

// Sign and logarithm, or product, of the diagonal of factors; the sign of the permutation joins in.
template <class T>
struct Determinant {
  T sign = 1, product = 1, logarithm = 0;
  Determinant(const T* lu, int64_t n, const int* pivots) {
    for (int64_t i = 0; i < n; ++i) {
      const T d = lu[i * (n + 1)];
      const T flip = pivots[i] == i + 1 ? T(1) : T(-1);
      product *= d * flip;
      sign *= (d > 0 ? T(1) : d < 0 ? T(-1) : d) * flip;  // zero and NaN stay what they are
      logarithm += std::log(std::abs(d));
    }
    sign += T(0);  // no -0
  }
};

// Runs body(i, lu, pivots) with the factors of every matrix, of singular ones too. `extra` elements of scratch lie behind them.
template <class T, class F>
void each_factored(KernelContext& ctx, const Command& cmd, int64_t extra, F&& body) {
  const Matrices<T> a(cmd.input(0));
  const int64_t n = a.rows;
  const Blas& blas = ctx.blas();
  Layout layout;
  layout.add<T>(n * n);
  const int64_t at_pivots = layout.add<int>(n);
  const int64_t at_extra = layout.add<T>(extra);
  const bool panels = by_panels(a.count(), n);
  const auto one = [&](std::byte* memory, int64_t i, auto&& factor) {
    T* lu = reinterpret_cast<T*>(memory);
    int* pivots = reinterpret_cast<int*>(memory + at_pivots);
    pack(lu, a, i);
    const int info = factor(lu, pivots);
    body(i, lu, pivots, info, reinterpret_cast<T*>(memory + at_extra));
  };
  if (panels) {
    auto* memory = ctx.scratch<std::byte>(layout.bytes());
    for (int64_t i = 0; i < a.count(); ++i) {
      one(memory, i, [&](T* lu, int* pivots) { return factor_lu_panels(ctx, lu, n, n, pivots); });
    }
    return;
  }
  ctx.parallel_ranges(a.count(), (int64_t{1} << 16) / std::max<int64_t>(n * n * n, 1), [&](int64_t begin, int64_t end) {
    auto* memory = ctx.thread_scratch<std::byte>(layout.bytes());
    for (int64_t i = begin; i < end; ++i) {
      one(memory, i, [&](T* lu, int* pivots) { return factor_lu(blas, lu, n, n, pivots); });
    }
  });
}

// The cofactors of a singular matrix A = U·S·Vᵀ, of which there are n singular values: det(U·Vᵀ)·U·diag(Π of the others)·Vᵀ.
template <class T>
void singular_cofactors(const Blas& blas, const Matrices<T>& x, int64_t i, T* c, T* extra) {
  const int n = to_int(x.rows);
  const int64_t size = x.rows * x.rows;
  T *a = extra, *u = a + size, *vt = u + size, *s = vt + size;
  std::vector<int> integers(static_cast<size_t>(8 * n));
  pack(a, x, i);
  T answer = 0;
  int info = all_finite(a, size) ? 0 : kNotFinite, query = -1;
  const Lapack<T>& lapack = blas.of<T>();
  if (info == 0) lapack.gesdd("S", &n, &n, a, &n, s, vt, &n, u, &n, &answer, &query, integers.data(), &info, 1);
  if (info == 0) {
    const int room = workspace(answer);
    std::vector<T> work(static_cast<size_t>(room));
    lapack.gesdd("S", &n, &n, a, &n, s, vt, &n, u, &n, work.data(), &room, integers.data(), &info, 1);
  }
  if (info != 0) {
    std::fill_n(c, size, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  // u and vt are row-major: in LAPACK's eyes (U·Vᵀ)ᵀ = vt·u.
  const T one = 1, zero = 0;
  lapack.gemm("N", "N", &n, &n, &n, &one, vt, &n, u, &n, &zero, a, &n);
  factor_lu(blas, a, n, n, integers.data());
  const T sign = Determinant<T>(a, n, integers.data()).sign;
  for (int k = 0; k < n; ++k) {
    T others = sign;
    for (int j = 0; j < n; ++j) others *= j == k ? T(1) : s[j];
    for (int row = 0; row < n; ++row) u[row * n + k] *= others;
  }
  lapack.gemm("N", "N", &n, &n, &n, &one, vt, &n, u, &n, &zero, c, &n);
}

}  // namespace

HADAL_CPU_KERNEL(cholesky) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> x(cmd.input(0));
    T* l = cmd.output(0).as<T>();
    const int64_t n = x.rows;
    const Blas& blas = ctx.blas();
    const auto factored = [&](int64_t i, auto&& factor) {
      T* a = l + i * n * n;
      pack(a, x, i);
      const int info = factor(a);
      for (int64_t row = 0; row < n; ++row) std::fill(a + row * n + row + 1, a + (row + 1) * n, T(0));
      return info;
    };
    if (by_panels(x.count(), n)) {
      for (int64_t i = 0; i < x.count(); ++i) {
        const int info = factored(i, [&](T* a) { return factor_cholesky_panels(ctx, a, n); });
        if (info != 0) {
          throw Error(ErrorCode::kLinAlg,
                      std::string(cmd.name()) + ": " + indefinite(info, " in matrix " + std::to_string(i)));
        }
      }
      return;
    }
    each_matrix(
        ctx, cmd, x.count(), n * n * n,
        [&](int64_t i) { return factored(i, [&](T* a) { return factor_cholesky(blas, a, n); }); }, indefinite);
  });
}

HADAL_CPU_KERNEL(triangularSolve) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> a(cmd.input(0)), b(cmd.input(1));
    T* x = cmd.output(0).as<T>();
    const int64_t n = a.rows, columns = b.columns;
    if (n == 0 || columns == 0) return;
    pack_all(ctx, x, b);
    // A matrix with a unit stride is read where it lies, any other from a copy.
    const bool rows_lie = a.column_stride == 1 && a.row_stride >= n;
    const bool columns_lie = a.row_stride == 1 && a.column_stride >= n;
    const bool lies = (rows_lie || columns_lie) && std::max(a.row_stride, a.column_stride) <= INT32_MAX;
    const T* packed = nullptr;
    if (!lies) {
      T* copy = ctx.scratch<T>(a.count() * n * n);
      pack_all(ctx, copy, a);
      packed = copy;
    }
    // Xᵀ·Aᵀ = Bᵀ: LAPACK takes row-major A for Aᵀ, so its lower triangle for an upper one.
    const bool turned = lies && !rows_lie;
    const bool upper = cmd.flag(0) == turned;
    const int size = to_int(n), stride = to_int(columns);
    const int leading = !lies ? size : to_int(turned ? a.column_stride : a.row_stride);
    const Lapack<T>& lapack = ctx.blas().of<T>();
    each_column_block(ctx, a.count(), n, columns, [&](int64_t i, int64_t begin, int64_t end) {
      const int width = to_int(end - begin);
      const T one = 1;
      lapack.trsm("R", upper ? "U" : "L", turned ? "T" : "N", cmd.flag(1) ? "U" : "N", &width, &size, &one,
                  lies ? a[i] : packed + i * n * n, &leading, x + i * n * columns + begin, &stride);
    });
  });
}

// lu [..., n, n] and pivots [..., n] belong to LAPACK's view of a, its transpose.
HADAL_CPU_KERNEL(solve) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> a(cmd.input(0)), b(cmd.input(1));
    T *x = cmd.output(0).as<T>(), *lu = cmd.output(1).as<T>();
    int* pivots = cmd.output(2).as<int>();
    factor_all(ctx, cmd, a, lu, pivots);
    pack_all(ctx, x, b);
    solve_all(ctx, false, a.count(), a.rows, lu, pivots, x, b.columns);
  });
}

// x = A⁻ᵀ·b from the factors that solve has left.
HADAL_CPU_KERNEL(solveTransposed) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> lu(cmd.input(0)), b(cmd.input(2));
    const int* pivots = cmd.input(1).as<int>();
    const int64_t n = lu.rows;
    for (int64_t i = 0; i < lu.count() * n; ++i) {
      if (pivots[i] < 1 || pivots[i] > n) throw Error(ErrorCode::kIndex, bad_pivot(cmd.name(), pivots[i], n));
    }
    T* x = cmd.output(0).as<T>();
    pack_all(ctx, x, b);
    solve_all(ctx, true, lu.count(), n, static_cast<const T*>(lu[0]), pivots, x, b.columns);
  });
}

// x [..., m, n] → L and U in one matrix, lu [..., m, n], and pivots [..., min(m, n)], counted from 1, of x itself: x = P·L·U. A
// singular matrix has them too.
HADAL_CPU_KERNEL(luFactor) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> x(cmd.input(0));
    const int64_t m = x.rows, n = x.columns, k = std::min(m, n), size = std::max<int64_t>(m * n, 1);
    T* lu = cmd.output(0).as<T>();
    int* pivots = cmd.output(1).as<int>();
    const auto one = [&](T* a, int64_t i, auto&& factor) {
      copy_matrix(a, int64_t{1}, m, static_cast<const T*>(x[i]), x.row_stride, x.column_stride, m, n);
      factor(pivots + i * k);
      copy_matrix(lu + i * m * n, n, int64_t{1}, static_cast<const T*>(a), int64_t{1}, m, m, n);
    };
    if (by_panels(x.count(), k)) {
      T* a = ctx.scratch<T>(size);
      for (int64_t i = 0; i < x.count(); ++i) one(a, i, [&](int* to) { factor_lu_panels(ctx, a, m, n, to); });
      return;
    }
    const Blas& blas = ctx.blas();
    ctx.parallel_ranges(x.count(), (int64_t{1} << 16) / (size * std::max<int64_t>(k, 1)),
                        [&](int64_t begin, int64_t end) {
                          T* a = ctx.thread_scratch<T>(size);
                          for (int64_t i = begin; i < end; ++i)
                            one(a, i, [&](int* to) { factor_lu(blas, a, m, n, to); });
                        });
  });
}

// The rows of x in the order in which they are those of L·U, order [..., m], from its pivots [..., k].
HADAL_CPU_KERNEL(luPermutation) {
  const TensorView& pivots = cmd.input(0);
  const RowOffsets rows(pivots, 1u << (pivots.rank - 1));
  const int64_t k = pivots.size(-1), m = cmd.output(0).size(-1);
  int* order = cmd.output(0).as<int>();
  for (int64_t row = 0; row < rows.rows() && m > 0; ++row, order += m) {
    const int* from = pivots.as<int>() + rows(row);
    std::iota(order, order + m, 0);
    for (int64_t i = 0; i < k; ++i) {
      const int pivot = from[i * pivots.stride(-1)];
      if (pivot < 1 || pivot > m) throw Error(ErrorCode::kIndex, bad_pivot("luSolve", pivot, m));
      std::swap(order[i], order[pivot - 1]);
    }
  }
}

// The Taylor polynomial of degree 16 of A / 2^s, whose 1-norm is at most 1/2 and the rest below 1e-19, squared s times. The
// polynomial is one in A⁴ with coefficients that are polynomials in A (Paterson and Stockmeyer 1973).
HADAL_CPU_KERNEL(matrixExp) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> a(cmd.input(0));
    const int64_t n = a.rows, size = n * n;
    T* results = cmd.output(0).as<T>();
    const Lapack<T>& lapack = ctx.blas().of<T>();
    const auto multiply = [&](const T* x, const T* y, T* product) {
      const int order = to_int(n);
      const T one = 1, zero = 0;
      lapack.gemm("N", "N", &order, &order, &order, &one, y, &order, x, &order, &zero, product, &order);
    };
    const int64_t grain = (int64_t{1} << 16) / std::max<int64_t>(8 * size * n, 1);
    ctx.parallel_ranges(n == 0 ? 0 : a.count(), grain, [&](int64_t begin, int64_t end) {
      T* powers[4];
      T* memory = ctx.thread_scratch<T>(5 * size);
      for (int k = 0; k < 4; ++k) powers[k] = memory + k * size;
      for (int64_t i = begin; i < end; ++i) {
        pack(powers[0], a, i);
        double norm = 0;
        for (int64_t column = 0; column < n; ++column) {
          double sum = 0;
          for (int64_t row = 0; row < n; ++row) sum += std::abs(static_cast<double>(powers[0][row * n + column]));
          norm = sum <= norm ? norm : sum;  // NaN stays
        }
        const int squarings = std::isfinite(norm) && norm > 0.5 ? std::ilogb(norm) + 2 : 0;
        for (int64_t k = 0; k < size; ++k) powers[0][k] = std::ldexp(powers[0][k], -squarings);
        for (int k = 1; k < 4; ++k) multiply(powers[0], powers[k - 1], powers[k]);
        T* y = results + i * size;
        T* next = memory + 4 * size;
        std::fill_n(y, size, T(0));
        double factorial = 20922789888000.0;  // 16!
        for (int part = 4; part >= 0; --part) {
          if (part < 4) {
            multiply(powers[3], y, next);
            std::copy_n(next, size, y);
          }
          for (int degree = part == 4 ? 0 : 3; degree >= 0; --degree) {
            const T coefficient = static_cast<T>(1 / factorial);
            factorial /= std::max(4 * part + degree, 1);
            if (degree == 0) {
              for (int64_t k = 0; k < n; ++k) y[k * (n + 1)] += coefficient;
            } else {
              for (int64_t k = 0; k < size; ++k) y[k] += coefficient * powers[degree - 1][k];
            }
          }
        }
        for (int k = 0; k < squarings; ++k) {
          multiply(y, y, next);
          std::copy_n(next, size, y);
        }
      }
    });
  });
}

HADAL_CPU_KERNEL(inv) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> a(cmd.input(0));
    const int64_t n = a.rows, count = a.count();
    if (count * n == 0) return;
    T *y = cmd.output(0).as<T>(), *lu = ctx.scratch<T>(count * n * n);
    int* pivots = ctx.scratch<int>(count * n);
    factor_all(ctx, cmd, a, lu, pivots);
    for (int64_t i = 0; i < count; ++i) set_identity(y + i * n * n, n);
    solve_all(ctx, false, count, n, lu, pivots, y, n);
  });
}

HADAL_CPU_KERNEL(det) {
  visit_lapack(cmd, [&]<class T>() {
    T* y = cmd.output(0).as<T>();
    const int64_t n = cmd.input(0).size(-1);
    each_factored<T>(ctx, cmd, 0, [&](int64_t i, const T* lu, const int* pivots, int, T*) {
      y[i] = Determinant<T>(lu, n, pivots).product;
    });
  });
}

HADAL_CPU_KERNEL(slogdet) {
  visit_lapack(cmd, [&]<class T>() {
    T *logarithm = cmd.output(0).as<T>(), *sign = cmd.output(1).as<T>();
    const int64_t n = cmd.input(0).size(-1);
    each_factored<T>(ctx, cmd, 0, [&](int64_t i, const T* lu, const int* pivots, int, T*) {
      const Determinant<T> determinant(lu, n, pivots);
      logarithm[i] = determinant.logarithm;
      sign[i] = determinant.sign;
    });
  });
}

// The derivative of det: c[i, j] is the determinant without row i and column j, with its sign; of singular matrices too.
HADAL_CPU_KERNEL(cofactors) {
  visit_lapack(cmd, [&]<class T>() {
    const Matrices<T> a(cmd.input(0));
    const int64_t n = a.rows;
    const Blas& blas = ctx.blas();
    T* c = cmd.output(0).as<T>();
    each_factored<T>(ctx, cmd, 3 * n * n + n, [&](int64_t i, const T* lu, const int* pivots, int info, T* extra) {
      T* out = c + i * n * n;
      if (info != 0) return singular_cofactors(blas, a, i, out, extra);
      const T determinant = Determinant<T>(lu, n, pivots).product;
      set_identity(out, n);
      for (int64_t k = 0; k < n; ++k) out[k * (n + 1)] = determinant;
      solve_lu(blas, true, lu, n, pivots, out, n, int64_t{0}, n);
    });
  });
}

}  // namespace hadal::cpu
