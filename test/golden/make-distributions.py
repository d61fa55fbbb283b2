"""Makes distributions.safetensors with PyTorch (pip install torch safetensors): under `case/part` the parameters `p.…` of a distribution, a value `x` and
probabilities `u`, and what it says of them, with gradients `g.…` of Σ logProb·w and `h.…` of Σ entropy·w by the parameters, w = sin of the position. Of divergences
the parameters `p.…` and `q.…`; of transforms x, y and `stretch`. Read by test/distributions."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributions as D

from recording import found, put, weighted

torch.manual_seed(0)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

t = torch.tensor
p_of = lambda parameters, letter: {f"{letter}__{name}": value for name, value in parameters.items()}


def distribution(case, make, value, skip=(), **parameters):
    parameters = {name: t(x).double().requires_grad_() if not isinstance(x, int) else x for name, x in parameters.items()}
    leaves = {name: x for name, x in parameters.items() if not isinstance(x, int)}
    d = make(**parameters)
    value, u = t(value).double(), t([0.1, 0.5, 0.9])
    put(case, x=value, u=u, **p_of(leaves, "p"))
    lines = {
        "logProb": lambda: d.log_prob(value),
        "entropy": d.entropy,
        "cdf": lambda: d.cdf(value),
        "icdf": lambda: d.icdf(u),
        "mean": lambda: d.mean,
        "variance": lambda: d.variance,
        "mode": lambda: d.mode,
    }
    for name, line in lines.items():
        if name in skip:
            continue
        try:
            result = line()
        except NotImplementedError:
            continue
        put(case, **{name: result})
        if name in ("logProb", "entropy"):
            gradients = torch.autograd.grad(weighted(result), list(leaves.values()), allow_unused=True, retain_graph=True)
            for key, gradient in zip(leaves, gradients):
                if gradient is not None:
                    put(case, **{f"{'g' if name == 'logProb' else 'h'}__{key}": gradient})


loc, scale = [-1.0, 0.3, 2.0], [[0.5], [3.0]]
line = [[-4.0, 0.2, 2.5], [-1.0, 1.0, 9.0]]
half = [[0.1, 0.7, 2.5], [0.02, 1.0, 9.0]]
for name in ["Normal", "Laplace", "Cauchy", "Gumbel"]:
    distribution(name, getattr(D, name), line, loc=loc, scale=scale)
distribution("LogNormal", D.LogNormal, half, loc=loc, scale=scale)
distribution("HalfNormal", D.HalfNormal, half, scale=scale)
distribution("Uniform", D.Uniform, [-0.5, 1.0, 3.0], skip=("mode",), low=[-1.0, 0.3, 2.0], high=[[4.0], [5.0]])
distribution("Exponential", D.Exponential, half, rate=[0.2, 1.0, 30.0])
distribution("Weibull", D.Weibull, half, scale=[0.5, 1.0, 4.0], concentration=[[1.5], [3.0]])
distribution("Pareto", D.Pareto, [2.5, 5.0, 40.0], scale=[0.5, 1.0, 2.0], alpha=[[0.7], [1.5], [4.0]])
distribution("Gamma", D.Gamma, half, concentration=[0.3, 2.0, 40.0], rate=[[0.5], [3.0]])
distribution("Chi2", D.Chi2, half, df=[0.3, 2.0, 40.0])
inside = [[1e-3, 0.5, 0.99], [0.3, 0.7, 0.2]]
distribution("Beta", D.Beta, inside, concentration1=[0.3, 2.0, 40.0], concentration0=[[0.01], [3.0]])
distribution("Dirichlet", D.Dirichlet, [[0.2, 0.3, 0.5], [0.01, 0.01, 0.98]], skip=("mode",), concentration=[[0.3, 2.0, 40.0], [1.0, 1.0, 1.0]])
distribution("StudentT", D.StudentT, line, df=[0.7, 1.5, 8.0], loc=loc, scale=scale)
distribution("MultivariateNormal", lambda loc, tril: D.MultivariateNormal(loc, scale_tril=tril), line, loc=loc, tril=[[1.5, 0.0, 0.0], [0.4, 0.2, 0.0], [-1.0, 2.0, 3.0]])
covariance = [[2.0, 0.5, -0.3], [0.5, 1.0, 0.1], [-0.3, 0.1, 0.7]]
covariances = torch.stack([t(covariance), 2 * torch.eye(3)]).tolist()
distribution("MultivariateNormal.covariance", lambda loc, matrix: D.MultivariateNormal(loc, covariance_matrix=(matrix + matrix.mT) / 2), line, loc=loc, matrix=covariances)
distribution("MultivariateNormal.precision", lambda loc, matrix: D.MultivariateNormal(loc, precision_matrix=(matrix + matrix.mT) / 2), line, loc=loc, matrix=covariances)

probs, logits = [0.0001, 0.3, 0.9], [[-100.0, 0.4, 3.0], [-7.0, -0.4, 100.0]]
for name, value in [("Bernoulli", [[0, 1, 1], [1, 0, 0]]), ("Geometric", [[0, 1, 4], [3, 0, 1]])]:
    distribution(name, lambda probs: getattr(D, name)(probs=probs), value, probs=probs)
    distribution(f"{name}.logits", lambda logits: getattr(D, name)(logits=logits), value, logits=logits if name == "Bernoulli" else [[-3.0, 0.4, 3.0], [-7.0, -0.4, 1.0]])
counts = [[0, 1, 4], [7, 3, 5]]
distribution("Binomial", lambda probs: D.Binomial(7, probs=probs), counts, probs=probs)
distribution("Binomial.logits", lambda logits: D.Binomial(7, logits=logits), counts, logits=[[-3.0, 0.4, 3.0], [-7.0, -0.4, 1.0]])
distribution("NegativeBinomial", lambda totalCount, probs: D.NegativeBinomial(totalCount, probs=probs), counts, totalCount=[0.5, 3.0, 20.3], probs=probs)
distribution("NegativeBinomial.logits", lambda totalCount, logits: D.NegativeBinomial(totalCount, logits=logits), counts, totalCount=[0.5, 3.0, 20.3], logits=[-3.0, 0.4, 3.0])
distribution("Poisson", D.Poisson, counts, rate=[0.01, 2.0, 50.5])
rows, row_logits = [[0.1, 0.2, 0.7, 0.5], [1.0, 1.0, 3.0, 0.0]], [[0.5, -1.0, 2.0, -80.0], [0.0, 1.0, 3.0, 50.0]]
for suffix, key, table in [("", "probs", rows), (".logits", "logits", row_logits)]:
    with_table = lambda make: lambda **parameters: make(**{key: parameters[key]})
    distribution(f"Categorical{suffix}", with_table(D.Categorical), [[2, 1], [0, 2]], skip=("mean", "variance", "cdf", "icdf"), **{key: table})
    distribution(f"OneHotCategorical{suffix}", with_table(D.OneHotCategorical), [[0, 1, 0, 0], [0, 0, 1, 0]], **{key: table})
    distribution(f"Multinomial{suffix}", lambda **parameters: D.Multinomial(6, **parameters), [[0, 1, 5, 0], [2, 0, 4, 0]], **{key: table})
    distribution(f"RelaxedOneHotCategorical{suffix}", lambda temperature, **parameters: D.RelaxedOneHotCategorical(temperature, **parameters), [0.1, 0.2, 0.3, 0.4], temperature=0.7, **{key: table[0]})
distribution("RelaxedBernoulli", lambda temperature, probs: D.RelaxedBernoulli(temperature, probs=probs), inside, temperature=0.7, probs=probs)
distribution("RelaxedBernoulli.logits", lambda temperature, logits: D.RelaxedBernoulli(temperature, logits=logits), inside, temperature=0.7, logits=[-3.0, 0.4, 3.0])

distribution("Independent", lambda loc, scale: D.Independent(D.Normal(loc, scale), 1), line, loc=loc, scale=scale)
distribution("MixtureSameFamily", lambda logits, loc, scale: D.MixtureSameFamily(D.Categorical(logits=logits), D.Normal(loc, scale)), [-1.0, 4.0], logits=[[0.5, -1.0, 2.0], [0.0, 1.0, 3.0]], loc=loc, scale=scale)
distribution("MixtureSameFamily.vectors", lambda probs, loc: D.MixtureSameFamily(D.Categorical(probs=probs), D.Independent(D.Normal(loc, 1.0), 1)), [-1.0, 4.0], probs=[0.2, 0.8], loc=[[-1.0, 3.0], [0.5, 2.0]])
distribution("squashed", lambda loc, scale: D.TransformedDistribution(D.Normal(loc, scale), [D.TanhTransform()]), [[-0.999999, 0.2, 0.9], [1 - 1e-9, 0.0, -0.5]], loc=loc, scale=scale)
distribution("logistic", lambda loc, scale: D.TransformedDistribution(D.Uniform(torch.zeros(2, 3), 1.0), [D.SigmoidTransform().inv, D.AffineTransform(loc, scale)]), line, loc=loc, scale=scale)
distribution("falling", lambda loc, scale: D.TransformedDistribution(D.Normal(torch.zeros(2, 3), 1.0), [D.AffineTransform(loc, -scale), D.ExpTransform(), D.PowerTransform(t(-0.5))]), half, loc=loc, scale=scale)
distribution("sticks", lambda loc: D.TransformedDistribution(D.Normal(loc, 1.0), [D.StickBreakingTransform()]), [[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], loc=[loc, [0.5, 0.0, -3.0]])


def transform(case, f, x):
    x = t(x).double().requires_grad_()
    y = f(x)
    stretch = f.log_abs_det_jacobian(x, y)
    put(case, x=x, y=y, back=f.inv(y.detach()), stretch=stretch, g=torch.autograd.grad(weighted(stretch), x, allow_unused=True)[0] if stretch.requires_grad else torch.zeros_like(x))


transform("ExpTransform", D.ExpTransform(), line)
transform("SigmoidTransform", D.SigmoidTransform(), line)
transform("TanhTransform", D.TanhTransform(), line)
transform("SoftplusTransform", D.transforms.SoftplusTransform(), line)
transform("PowerTransform", D.PowerTransform(t(-1.5)), half)
transform("AffineTransform", D.AffineTransform(0.5, t([-2.0, 1.0, 0.1]), event_dim=1), line)
transform("StickBreakingTransform", D.StickBreakingTransform(), line)
transform("ComposeTransform", D.ComposeTransform([D.AffineTransform(0.5, 0.3), D.StickBreakingTransform(), D.ExpTransform()]), line)


def divergence(case, make_p, p, make_q, q):
    p, q = ({name: t(x).double().requires_grad_() for name, x in parameters.items()} for parameters in (p, q))
    result = D.kl_divergence(make_p(**p), make_q(**q))
    put(f"kl.{case}", **p_of(p, "p"), **p_of(q, "q"), kl=result)
    gradients = torch.autograd.grad(weighted(torch.where(result.isinf(), 0, result)), [*p.values(), *q.values()])
    names = [f"g.p.{name}" for name in p] + [f"g.q.{name}" for name in q]
    put(f"kl.{case}", **{name.replace(".", "__"): gradient for name, gradient in zip(names, gradients)})


normals = dict(loc=loc, scale=scale), dict(loc=[0.5, 0.0, -3.0], scale=[1.0, 2.0, 0.3])
for name in ["Normal", "Laplace", "Gumbel"]:
    divergence(name, getattr(D, name), normals[0], getattr(D, name), normals[1])
divergence("LogNormal", D.LogNormal, normals[0], D.LogNormal, normals[1])
divergence("HalfNormal", D.HalfNormal, dict(scale=scale), D.HalfNormal, dict(scale=[1.0, 2.0]))
divergence("Bernoulli", D.Bernoulli, dict(probs=[0.2, 0.9]), D.Bernoulli, dict(probs=[0.5, 0.1]))
divergence("Geometric", D.Geometric, dict(probs=[0.2, 0.9]), D.Geometric, dict(probs=[0.5, 0.1]))
divergence("Binomial", lambda probs: D.Binomial(5, probs), dict(probs=[0.2, 0.9]), lambda probs: D.Binomial(5, probs), dict(probs=[0.5, 0.1]))
divergence("Categorical", D.Categorical, dict(probs=rows), D.Categorical, dict(probs=[[0.4, 0.3, 0.2, 0.1]] * 2))
divergence("OneHotCategorical", D.OneHotCategorical, dict(probs=rows), D.OneHotCategorical, dict(probs=[[0.4, 0.3, 0.2, 0.1]] * 2))
gammas = dict(concentration=[0.3, 2.0, 40.0], rate=[[0.5], [3.0]]), dict(concentration=[1.0, 2.0, 3.0], rate=[3.0, 2.0, 0.1])
divergence("Gamma", D.Gamma, gammas[0], D.Gamma, gammas[1])
divergence("Gamma.Exponential", D.Gamma, gammas[0], D.Exponential, dict(rate=[3.0, 2.0, 0.1]))
divergence("Exponential.Gamma", D.Exponential, dict(rate=[3.0, 2.0, 0.1]), D.Gamma, gammas[0])
divergence("Beta", D.Beta, dict(concentration1=[0.3, 2.0, 40.0], concentration0=[[0.01], [3.0]]), D.Beta, dict(concentration1=[1.0, 2.0, 3.0], concentration0=[3.0, 2.0, 0.1]))
divergence("Dirichlet", D.Dirichlet, dict(concentration=[[0.3, 2.0, 40.0], [1.0, 1.0, 1.0]]), D.Dirichlet, dict(concentration=[3.0, 2.0, 0.5]))
divergence("Exponential", D.Exponential, dict(rate=[3.0, 2.0, 0.1]), D.Exponential, dict(rate=[[0.5], [3.0]]))
divergence("Exponential.Normal", D.Exponential, dict(rate=[3.0, 2.0, 0.1]), D.Normal, normals[1])
divergence("Laplace.Normal", D.Laplace, normals[0], D.Normal, normals[1])
divergence("Uniform", D.Uniform, dict(low=[0.0, 1.0], high=[2.0, 9.0]), D.Uniform, dict(low=[-1.0, 0.5], high=[3.0, 5.0]))
divergence("Uniform.Normal", D.Uniform, dict(low=[0.0, 1.0, 2.0], high=[2.0, 9.0, 4.0]), D.Normal, normals[1])
divergence("Cauchy", D.Cauchy, normals[0], D.Cauchy, normals[1])
tails = dict(scale=[0.5, 1.0, 2.0], alpha=[2.5, 4.0, 3.0])
divergence("Pareto", D.Pareto, tails, D.Pareto, dict(scale=[0.4, 1.5, 2.0], alpha=[1.0, 2.0, 5.0]))
shares = dict(concentration1=[0.3, 2.0, 40.0], concentration0=[0.5, 3.0, 2.0])
for name, p in {"Gamma": gammas[0], "Beta": shares, "Pareto": tails, "Gumbel": normals[0]}.items():
    divergence(f"{name}.Normal", getattr(D, name), p, D.Normal, normals[1])
for name, p in {"Beta": shares, "Pareto": tails}.items():
    divergence(f"{name}.Exponential", getattr(D, name), p, D.Exponential, dict(rate=[3.0, 2.0, 0.1]))
within = dict(low=[0.1, 0.2, 0.6], high=[0.9, 0.7, 0.8])
families = {"Beta": shares, "Gamma": dict(concentration=[0.3, 2.0, 40.0], rate=[0.5, 3.0, 2.0]), "Exponential": dict(rate=[3.0, 2.0, 0.1]), "Pareto": tails, "Uniform": within} | dict.fromkeys(["Normal", "Gumbel", "Laplace"], normals[0])
for pair in "Beta.Gamma Exponential.Gumbel Gamma.Gumbel Normal.Gumbel Normal.Laplace Pareto.Gamma Uniform.Beta Uniform.Exponential Uniform.Gamma Uniform.Gumbel".split():
    first, second = pair.split(".")
    divergence(pair, getattr(D, first), families[first], getattr(D, second), families[second])
divergence("Bernoulli.Poisson", D.Bernoulli, dict(probs=[0.2, 0.9]), D.Poisson, dict(rate=[3.0, 0.1]))
divergence("Beta.Uniform", D.Beta, shares, D.Uniform, dict(low=[0.0, -1.0, 0.1], high=[1.0, 2.0, 3.0]))
divergence("Uniform.Pareto", D.Uniform, within, D.Pareto, dict(scale=[0.05, 0.3, 0.5], alpha=[2.0, 3.0, 0.5]))
divergence("Poisson", D.Poisson, dict(rate=[3.0, 2.0, 0.1]), D.Poisson, dict(rate=[[0.5], [3.0]]))
vectors = lambda loc, matrix: D.MultivariateNormal(loc, covariance_matrix=(matrix + matrix.mT) / 2)
divergence("MultivariateNormal", vectors, dict(loc=loc, matrix=covariances), vectors, dict(loc=[0.0, 1.0, 2.0], matrix=torch.eye(3).tolist()))
divergence("Independent", lambda loc, scale: D.Independent(D.Normal(loc, scale), 1), normals[0], lambda loc, scale: D.Independent(D.Normal(loc, scale), 1), normals[1])
squashed = lambda loc, scale: D.TransformedDistribution(D.Normal(loc, scale), [D.TanhTransform()])
divergence("squashed", squashed, normals[0], squashed, normals[1])

# How numbers of the gamma distribution move with its concentration: at quantiles from far below to far above, by differences in float64 (PyTorch's own gradient
# keeps three digits).
a = t([0.01, 0.05, 0.3, 0.9, 1.0, 2.5, 10.0, 80.0, 1000.0, 2e5]).repeat_interleave(7)
z = t([-2.5, -2.0, -0.5, 0.0, 1.0, 2.5, 4.0]).repeat(10)


def quantile(a):
    """Of the probability of z in the normal distribution, by bisection of ln x."""
    target, rest = torch.special.ndtr(z), torch.special.ndtr(-z)
    low, high = torch.full_like(a, -700), torch.full_like(a, 14)
    for _ in range(200):
        middle = (low + high) / 2
        x = middle.exp()
        below = torch.where(target < 0.5, torch.special.gammainc(a, x) < target, torch.special.gammaincc(a, x) > rest)
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return ((low + high) / 2).exp()


step = 1e-6 * a
put("gamma-slope", a=a, x=quantile(a), slope=(quantile(a + step) - quantile(a - step)) / (2 * step))
save_file(found, Path(__file__).parent / "distributions.safetensors")
