"""Products of matrices, factors, and what follows from them."""

import math

import torch

from recorder import FLOATS, Family, Fixed


def cases():
    f = Family("linalg")
    for dtype in [*FLOATS, torch.int64, torch.int32]:
        for a, b in [
            ([3, 4], [4, 2]), ([4], [4]), ([3, 4], [4]), ([4], [4, 3]), ([2, 3, 4], [2, 4, 5]), ([2, 3, 4], [4, 5]), ([3, 4], [2, 4, 5]),
            ([2, 1, 3, 4], [3, 4, 2]), ([2, 3, 4], [4]), ([4], [2, 4, 3]), ([3, 0], [0, 2]), ([0, 3], [3, 2]), ([1, 1], [1, 1]), ([17, 33], [33, 5]),
        ]:  # fmt: skip
            f.case("matmul", f.uniform(dtype, a, -2, 2), f.uniform(dtype, b, -2, 2))
        def draw(*shape):
            return f.uniform(dtype, list(shape), -2, 2)

        f.case("dot", draw(5), draw(5))
        f.case("mv", draw(3, 4), draw(4))
        f.case("bmm", draw(2, 3, 4), draw(2, 4, 5))
        f.case("outer", draw(3), draw(4))
        f.case("kron", draw(2, 3), draw(3, 2))
        f.case("kron", draw(2), draw(2, 1, 3))
        f.case("tensordot", draw(2, 3, 4), draw(3, 4, 5))
        f.case("tensordot", draw(2, 3), draw(3, 4), 1)
        f.case("tensordot", draw(2, 3, 4), draw(4, 2, 5), [[0, 2], [1, 0]])
        f.case("addmm", draw(3, 5), draw(3, 4), draw(4, 5))
        f.case("addmm", draw(5), draw(3, 4), draw(4, 5), beta=2, alpha=-1)
        f.case("baddbmm", draw(2, 3, 5), draw(2, 3, 4), draw(2, 4, 5))
        f.case("baddbmm", draw(3, 1), draw(2, 3, 4), draw(2, 4, 5), beta=-1, alpha=3)
        for equation, *shapes in [
            ("ij,jk->ik", [3, 4], [4, 2]), ("ij,jk", [3, 4], [4, 2]), ("ii->i", [4, 4]), ("ii", [3, 3]), ("ij->ji", [2, 3]), ("ij->", [2, 3]),
            ("bij,bjk->bik", [2, 3, 4], [2, 4, 5]), ("...ij,...jk->...ik", [2, 1, 3, 4], [5, 4, 2]), ("i,j->ij", [3], [4]), ("ij,ij->i", [3, 4], [3, 4]),
            ("bn,anm,bm->ba", [2, 3], [4, 3, 5], [2, 5]), ("bhtd,bhsd->bhts", [2, 2, 3, 4], [2, 2, 5, 4]), ("ab,bc,cd,de->ae", [2, 3], [3, 4], [4, 2], [2, 5]),
            ("iij,jk->ik", [3, 3, 2], [2, 4]), ("i,i->", [6], [6]), ("ij,k->jk", [2, 3], [4]), ("...a->...", [2, 3, 4]), ("a...,a...->...", [3, 2], [3, 2]),
        ]:  # fmt: skip
            if dtype != torch.int32:  # it sums to int64, sometimes
                f.case("einsum", equation, *[draw(*shape) for shape in shapes])
    for dtype in FLOATS[:2]:

        def matrix(*shape):
            return f.uniform(dtype, list(shape))

        def regular(*shape):
            return matrix(*shape) + 3 * torch.eye(shape[-1], dtype=dtype)

        def definite(*shape):
            x = regular(*shape)
            return x @ x.mT / shape[-1] + 0.5 * torch.eye(shape[-1], dtype=dtype)

        for batch in [[], [2], [2, 1]]:
            for n in [1, 3, 4]:
                square = [*batch, n, n]
                f.case("cholesky", definite(*square))
                f.case("cholesky", definite(*square), upper=True)
                for op in ["inv", "det", "slogdet"]:
                    f.case(op, regular(*square))
                f.case("eigh", definite(*square))
                f.case("eigvalsh", definite(*square))
                f.case("solve", regular(*square), matrix(*batch, n, 2))
                for exponent in [0, 1, 2, 3, 5, -1, -2]:
                    x = regular(*square) / 3
                    f.case("matrixPower", Fixed(x) if exponent == 0 else x, exponent)  # hadal's identity has no gradient
            f.case("triangularSolve", regular(*batch, 3, 3).tril(), matrix(*batch, 3, 2))
            f.case("triangularSolve", regular(*batch, 3, 3).triu(), matrix(*batch, 3, 2), upper=True)
            f.case("triangularSolve", regular(*batch, 3, 3).triu(), matrix(*batch, 3, 2), upper=True, transpose=True)
            f.case("triangularSolve", regular(*batch, 3, 3).tril(), matrix(*batch, 2, 3), left=False)
            f.case("triangularSolve", matrix(*batch, 3, 3).tril(), matrix(*batch, 3, 2), unitriangular=True)
            for m, n in [(3, 3), (4, 2), (2, 4)]:
                f.case("qr", matrix(*batch, m, n))
                if m <= n:
                    f.case("qr", matrix(*batch, m, n), mode="complete")
                f.case("svd", matrix(*batch, m, n), fullMatrices=False)
                f.case("svdvals", matrix(*batch, m, n))
                f.case("pinv", matrix(*batch, m, n))
                f.case("lstsq", matrix(*batch, m, n), matrix(*batch, m, 2))
                low = matrix(*batch, m, 1) @ matrix(*batch, 1, n)
                f.case("matrixRank", low)
                f.case("matrixRank", matrix(*batch, m, n))
                f.case("pinv", low, tolerance=1e-3)
        f.case("solve", regular(3, 3), matrix(3))
        f.case("solve", regular(2, 3, 3), matrix(3, 2))
        f.case("inv", regular(2, 0, 0))
        f.case("det", Fixed(torch.tensor([[1.0, 2], [2, 4]], dtype=dtype)))  # PyTorch's gradient is 0, not the adjugate
    return f


def factors():
    """Factors of any matrix and what is composed of factors."""
    f = Family("factors")
    for dtype in FLOATS[:2]:

        def matrix(*shape):
            return f.uniform(dtype, list(shape))

        def regular(*shape):
            return matrix(*shape) + 3 * torch.eye(shape[-1], dtype=dtype)

        for batch in [[], [2], [2, 1]]:
            for m, n in [(1, 1), (3, 3), (4, 2), (2, 4), (5, 4)]:
                f.case("lu", matrix(*batch, m, n))
                f.case("luFactor", matrix(*batch, m, n))
            for n in [2, 3, 5]:
                # Eigenvalues that are apart, in conjugate pairs some of them.
                f.case("eig", matrix(*batch, n, n) + torch.arange(0, 2 * n, 2, dtype=dtype).diag())
                f.case("eigvals", matrix(*batch, n, n) + torch.arange(0, 2 * n, 2, dtype=dtype).diag())
            for upper in [False, True]:
                f.case("choleskySolve", matrix(*batch, 3, 2), regular(*batch, 3, 3), upper=upper)
                f.case("choleskyInverse", regular(*batch, 3, 3), upper=upper)
            for left in [False, True]:
                b = [*batch, 3, 2] if left else [*batch, 2, 3]
                f.case("solve", regular(*batch, 3, 3), matrix(*b), left=left)
                for transpose in [False, True]:
                    lu, pivots = torch.linalg.lu_factor(matrix(*batch, 3, 3) + torch.eye(3, dtype=dtype).flip(0))
                    f.case("luSolve", lu, pivots, matrix(*b), left=left, transpose=transpose)
            for order in ["fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2]:
                for m, n in [(3, 3), (4, 2), (2, 4)]:
                    f.case("matrixNorm", matrix(*batch, m, n), order)
                f.case("cond", regular(*batch, 3, 3), order)
            for m, n, k in [(3, 3, 3), (4, 2, 2), (4, 3, 2), (3, 2, 0)]:
                f.case("householderProduct", matrix(*batch, m, n), matrix(*batch, k))
        for order in ["fro", "nuc", math.inf, 1, 2, -2]:
            f.case("matrixNorm", matrix(2, 3, 4), order, axes=[2, 0], keepDims=True)
            f.case("matrixNorm", matrix(2, 3, 4), order, axes=[0, -2])
        for order in ["fro", "nuc", math.inf, 1, 2]:
            f.case("matrixNorm", matrix(2, 3, 0), order)
            f.case("cond", Fixed(matrix(2, 0, 0)), order)
        ties = torch.tensor([[1.0, -2], [3, 2]], dtype=dtype)
        f.case("matrixNorm", ties, 1)
        f.case("matrixNorm", torch.zeros(2, 3, dtype=dtype), "fro")
        f.case("cond", matrix(4, 2), 2)
        f.case("cond", matrix(2, 4), -2)
        singular = torch.tensor([[1.0, 2], [2, 4]], dtype=dtype)
        for order in ["fro", 1, math.inf, -1, -math.inf]:
            f.case("cond", Fixed(singular), order)
            f.case("cond", Fixed(torch.stack([singular, ties])), order)
        f.case("lu", Fixed(singular))
        f.case("luFactor", Fixed(torch.zeros(3, 3, dtype=dtype)))
        for m, n in [(0, 3), (3, 0), (0, 0)]:
            f.case("lu", Fixed(matrix(2, m, n)))
            f.case("luFactor", Fixed(matrix(2, m, n)))
        f.case("eig", matrix(2, 0, 0))
        f.case("choleskySolve", matrix(3, 2, 1), regular(2, 2))
        f.case("luSolve", *torch.linalg.lu_factor(regular(3, 1, 2, 2)), matrix(4, 2, 1))
        f.case("tensorinv", regular(6, 6).reshape(2, 3, 6))
        f.case("tensorinv", regular(6, 6).reshape(6, 3, 2), 1)
        f.case("tensorsolve", regular(6, 6).reshape(2, 3, 6), matrix(2, 3))
        f.case("tensorsolve", regular(6, 6).reshape(2, 3, 2, 3), matrix(2, 3))
        f.case("tensorsolve", regular(6, 6).reshape(6, 3, 2), matrix(3, 2), axes=[0])
        f.case("vecdot", matrix(4), matrix(4))
        f.case("vecdot", matrix(2, 1, 3), matrix(4, 3))
        f.case("vecdot", matrix(2, 1, 3), matrix(4, 3), axis=1)
    return f
