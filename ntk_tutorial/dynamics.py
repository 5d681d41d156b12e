"""Training of a linearized network, solved: gradient flow and gradient descent in function space.

The loss is the mean over n examples of ½ |f − y|². Along the flow ∂f/∂t = −(1/n) Θ (f − y), so each eigenmode of
Θ(X, X) relaxes by itself. Everything here follows from one function of a mode's rate λ / n, its *response*: what a
residual that starts at 1 has accumulated by time t, (1 − decay) / rate. Time and steps are related by
t = learning_rate · step.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PyTree, Real, ScalarLike

from ._checks import at_hand, check_finite, check_kernel_matrix, is_concrete
from ._lazy import lazy
from .empirical import empirical_ntk
from .ensembles import outputs
from .gram import as_matrix, gram
from .krylov import flow_modes, pays
from .layers import Layer
from .networks import infinite_nngp, infinite_ntk
from .spectra import Eigenmodes, eigenmodes

diffrax = lazy("diffrax")
threadpoolctl = lazy("threadpoolctl")
MANY = 512  # modes, of which covariances take a block after the other
Times = Real[ArrayLike, "*times"]
Rates = Float[Array, " mode"]


@dataclass(frozen=True)
class GradientFlow:
    """Continuous time: a residual with rate r decays as exp(−r t).

    Attributes:
        rtol: relative accuracy with which `train` integrates the flow of a real network; closed forms ignore it.
        max_steps: after so many steps `train` gives up.
    """

    rtol: float = 1e-5
    max_steps: int = 100_000

    def response(self, rate: Rates, t: Float[Array, ""]) -> Rates:
        safe = jnp.where(rate > 0, rate, 1.0)
        return jnp.where(rate > 0, -jnp.expm1(-safe * t) / safe, t)


@dataclass(frozen=True)
class HeavyBall:
    """v ← μ v + gradient, θ ← θ − η v [Polyak 1964]; gradient descent is momentum μ = 0.

    Attributes:
        learning_rate: η.
        momentum: μ in [0, 1). Steps are then 1 / (1 − μ) times as effective as t = η · step suggests.
    """

    learning_rate: ScalarLike
    momentum: ScalarLike = 0.0

    def __post_init__(self):
        if is_concrete(self.learning_rate, self.momentum) and not (self.learning_rate > 0 and 0 <= self.momentum < 1):
            raise ValueError(
                f"learning_rate must be positive and momentum in [0, 1), got {self.learning_rate} and {self.momentum}"
            )

    def response(self, rate: Rates, t: Float[Array, ""]) -> Rates:
        """Accumulated c of a mode: w ← μ w + η (1 − r c), c ← c + w, an affine map applied t / η times."""
        eta, mu = self.learning_rate, self.momentum
        rows = [[1.0 - eta * rate, mu, eta], [-eta * rate, mu, eta], [0.0, 0.0, 1.0]]
        step = jnp.stack([jnp.stack([jnp.broadcast_to(e, rate.shape) for e in row], -1) for row in rows], -2)
        return _matrix_power(step, jnp.round(t / eta))[:, 0, 2]


def _matrix_power(matrix: Float[Array, "mode 3 3"], exponent: Float[Array, ""]) -> Float[Array, "mode 3 3"]:
    """By repeated squaring; the exponent, below 2^63, may be traced, and is a float since integers may have 32 bits."""

    def square(_, carry):
        result, base, exponent = carry
        result = jnp.where(exponent % 2 == 1, _product(base, result), result)
        return result, _product(base, base), exponent // 2

    identity = jnp.broadcast_to(jnp.eye(3, dtype=matrix.dtype), matrix.shape)
    return jax.lax.fori_loop(0, 63, square, (identity, matrix, exponent))[0]


def gradient_flow(*, rtol: float = 1e-5, max_steps: int = 100_000) -> GradientFlow:
    """θ' = −∇L: gradient descent with infinitely small steps."""
    return GradientFlow(rtol, max_steps)


def gradient_descent(learning_rate: ScalarLike) -> HeavyBall:
    """θ ← θ − η ∇L: a residual with rate r is multiplied by 1 − η r at each step."""
    return HeavyBall(learning_rate)


def heavy_ball(learning_rate: ScalarLike, momentum: ScalarLike) -> HeavyBall:
    """Gradient descent with Polyak's momentum; equivalent to `optax.sgd(learning_rate, momentum)`."""
    return HeavyBall(learning_rate, momentum)


Dynamics = GradientFlow | HeavyBall


class Prediction(NamedTuple):
    """Outputs at the times asked for, times first; `test` is None where no test kernel was given."""

    train: Float[Array, "..."]
    test: Float[Array, "..."] | None


class EnsemblePrediction(NamedTuple):
    """Mean and covariance over random initializations, times first; all outputs share the covariance."""

    mean: Float[Array, "..."]
    covariance: Float[Array, "*times m m"]


def predict(
    ntk_train: Float[Array, "n n *kk"],
    y_train: Float[Array, "n *outputs"],
    ts: Times = math.inf,
    dynamics: Dynamics = GradientFlow(),
    *,
    f_train0: Float[Array, "n *outputs"] | None = None,
    ntk_test_train: Float[Array, "m n *kk"] | None = None,
    f_test0: Float[Array, "m *outputs"] | None = None,
    ridge: ScalarLike = 0.0,
) -> Prediction:
    """Outputs of the linearized network on train and test points during training on the squared loss.

    With A(t) = response(Θ + ridge I), f(t, x) = f₀(x) + Θ(x, X) A(t) (y − f₀(X)), which at t = ∞ is kernel (ridge)
    regression on what f₀ leaves over [Lee et al. 2019, section 2.2, with the ridge added].

    Args:
        ntk_train: Θ(X, X), either (n, n), one kernel for all outputs, or (n, n, k, k).
        y_train: targets, (n, k) or (n,).
        ts: times, a number or an array; `math.inf` is the end of training.
        dynamics: `gradient_flow()`, `gradient_descent(learning_rate)` or `heavy_ball(learning_rate, momentum)`.
        f_train0, f_test0: outputs at initialization; None means zero.
        ntk_test_train: Θ(X*, X).
        ridge: weight of the penalty (ridge / 2n) ‖θ − θ₀‖²; equivalent to scikit-learn's `KernelRidge(alpha=ridge)`
            at t = ∞ from f₀ = 0.

    Cost: one eigendecomposition, O((n k)³), for all times. From n k = 1000 on, on a CPU, gradient flow up to finite
    times is first tried in a small Krylov space of the kernel, which takes a third of it or less where few eigenvalues
    λ stand out of those with λ t / n below a few tens. The outputs are then as accurate; where they would not be, the
    eigendecomposition follows. Under `jit`, `grad` and `vmap`, for gradient descent, and with t = ∞ it is always that.

    Raises:
        ValueError: if shapes disagree, values are not finite, the kernel is not symmetric positive semi-definite, a
            time or the ridge is negative, or the learning rate is past the largest stable one.
    """
    f_train0 = jnp.zeros_like(y_train) if f_train0 is None else f_train0
    _check_problem(ntk_train, y_train, f_train0, ts, ridge)
    modes = _flow_modes(dynamics, ntk_train, y_train, f_train0, ts, ridge) or eigenmodes(_as_2d(ntk_train))
    _check_stable(dynamics, modes, ridge, len(y_train))
    tests, starts = [], [f_train0]
    if ntk_test_train is not None:
        test0 = jnp.zeros((len(ntk_test_train), *y_train.shape[1:]), y_train.dtype) if f_test0 is None else f_test0
        _check_test(ntk_test_train, test0, y_train)
        tests, starts = [ntk_test_train], [*starts, test0]
    changed = _outputs(*_law(dynamics), modes, tests, starts, y_train, ts, ridge)
    return Prediction(*changed, *[None] * (2 - len(changed)))


def _flow_modes(dynamics, ntk_train, y_train, f_train0, ts, ridge) -> Eigenmodes | None:
    """Few modes that do for gradient flow up to the last of the times, if there are any: see `krylov`."""
    if not (isinstance(dynamics, GradientFlow) and is_concrete(ntk_train, y_train, f_train0, ts, ridge)):
        return None
    kernel, times = _as_2d(ntk_train), np.asarray(ts, float)
    residual0 = np.asarray(y_train - f_train0).reshape(len(kernel), -1)
    if not (times.size and np.all(np.isfinite(times)) and pays(*residual0.shape) and at_hand(kernel)):
        return None
    with _one_thread():
        return flow_modes(kernel, residual0, float(np.max(times)) / len(y_train), float(ridge))


def _one_thread():
    """For NumPy: more threads of its BLAS gain nothing between XLA's, and wait by spinning, at up to twice the cost."""
    return threadpoolctl.threadpool_limits(1, user_api="blas")


@functools.partial(jax.jit, static_argnames="law")
def _outputs(law, settings, modes, tests, starts, y_train, ts, ridge) -> list[Array]:
    """f₀ + kernel A(t) (y − f₀(X)) on the training points, and for each test kernel; starts are their f₀."""
    u, responses = modes.eigenvectors, _responses(law, settings, modes.eigenvalues, len(y_train), ts, ridge)
    residual0 = _product(u.T, (y_train - starts[0]).reshape(len(u), -1))
    coefficients = jnp.einsum("...m,mk->m...k", responses, residual0)
    times, flat = coefficients.shape[1:], coefficients.reshape(len(residual0), -1)

    def at_all_times(change, f0):
        change = jnp.moveaxis(change.reshape(len(change), *times), 0, -2).reshape(*times[:-1], *f0.shape)
        return jnp.broadcast_to(f0, change.shape) + change

    # On the training points Θ U = U Λ; elsewhere the product that is cheaper comes first.
    changes = [_product(u, modes.eigenvalues[:, None] * flat)]
    changes += [jnp.linalg.multi_dot([_as_2d(kernel), u, flat], precision="highest") for kernel in tests]
    return [at_all_times(change, f0) for change, f0 in zip(changes, starts, strict=True)]


def predict_linearized(
    f: Callable[[PyTree, Array], Array],
    params0: PyTree,
    x_train: Float[Array, "n *shape"],
    y_train: Float[Array, "n k"],
    ts: Times = math.inf,
    dynamics: Dynamics = GradientFlow(),
    *,
    x_test: Float[Array, "m *shape"] | None = None,
    loss: Callable[[Array, Array], Array] | None = None,
    ridge: ScalarLike = 0.0,
) -> Prediction:
    """Outputs during training of the linearization of f at params0: computes its kernels and outputs, then `predict`.

    Equivalent to `train(linearize(f, params0), params0, ...)`, without training.

    Args:
        loss: None is the squared loss, in closed form; any other is integrated by `solve_flow`, by gradient flow only.

    Cost: the kernel of n (n + m) pairs, and that of `predict`.

    Raises:
        ValueError: as `predict`, `solve_flow` and `empirical_ntk`; if a loss comes with a ridge, or without flow.
    """
    if loss is not None and not (isinstance(dynamics, GradientFlow) and isinstance(ridge, int | float) and ridge == 0):
        raise ValueError(
            f"with a loss of your own there is no closed form: it takes gradient_flow() and no ridge, "
            f"got {dynamics} and ridge={ridge}"
        )
    kernel = empirical_ntk(f, params0)
    ntk_train, f_train0 = gram(kernel, x_train), outputs(f, params0, x_train)
    test = {}
    if x_test is not None:
        test = {"ntk_test_train": gram(kernel, x_test, x_train), "f_test0": outputs(f, params0, x_test)}
    if loss is not None:
        return solve_flow(ntk_train, y_train, ts, loss, f_train0, **test)
    return predict(ntk_train, y_train, ts, dynamics, f_train0=f_train0, ridge=ridge, **test)


def predict_ensemble(
    ntk_train: Float[Array, "n n"],
    nngp_train: Float[Array, "n n"],
    y_train: Float[Array, "n *outputs"],
    ts: Times = math.inf,
    dynamics: Dynamics = GradientFlow(),
    *,
    ntk_test_train: Float[Array, "m n"],
    nngp_test_train: Float[Array, "m n"],
    nngp_test: Float[Array, "m m"],
    ridge: ScalarLike = 0.0,
) -> EnsemblePrediction:
    """Mean and covariance, over random initializations, of infinitely wide networks trained on the squared loss.

    At initialization the outputs are Gaussian with covariance K, the NNGP kernel; training maps them linearly. With
    G = Θ(X*, X) A(t), mean = G y and covariance = K** + G K Gᵀ − G K*ᵀ − K* Gᵀ [Lee et al. 2019, corollary 1].

    For the training points pass the training kernels in the places of the test kernels. With ntk_* = nngp_*, only the
    readout is trained, and t = ∞ is Gaussian process regression.

    Cost: one eigendecomposition, O(n³); and O(m n (m + n)) for each time. Many times cost as much as about ten, from
    which the others follow, but not under `jit`.

    Raises:
        ValueError: as `predict`.
    """
    _check_problem(ntk_train, y_train, jnp.zeros_like(y_train), ts, ridge)
    check_kernel_matrix(nngp_train, "nngp_train")
    check_kernel_matrix(nngp_test, "nngp_test")
    check_finite(ntk_test_train=ntk_test_train, nngp_test_train=nngp_test_train)
    shapes = [a.shape for a in (ntk_train, nngp_train, ntk_test_train, nngp_test_train, nngp_test)]
    n, m = len(ntk_train), len(nngp_test)
    if shapes != [(n, n), (n, n), (m, n), (m, n), (m, m)]:
        raise ValueError(
            f"ntk_train, nngp_train, ntk_test_train, nngp_test_train and nngp_test have shapes {shapes}: "
            f"they must be (n, n), (n, n), (m, n), (m, n) and (m, m), rows being test points in all but the first two"
        )
    modes = eigenmodes(ntk_train)
    _check_stable(dynamics, modes, ridge, n)
    responses = _responses(*_law(dynamics), modes.eigenvalues, n, ts, ridge).reshape(-1, n)
    u, y = modes.eigenvectors, y_train.reshape(n, -1)
    to_test, across, turned = _product(ntk_test_train, u), _product(nngp_test_train, u), _product(nngp_train, u)
    mean = _product(to_test, jnp.einsum("tm,mk->tmk", responses, _product(u.T, y)))
    covariance = _covariances(responses, u, to_test, across, turned, nngp_test)
    shape = np.shape(ts)
    return EnsemblePrediction(mean.reshape(*shape, m, *y_train.shape[1:]), covariance.reshape(*shape, m, m))


def _covariances(responses, u, to_test, across, turned, nngp_test) -> Float[Array, "times m m"]:
    """K** + G K Gᵀ − G K*ᵀ − K* Gᵀ, with G = T diag(response) in the basis of the modes, T = Θ(X*, X) U.

    A block of modes after the other, fastest first, each with itself and all that are slower: the slower the modes are,
    the fewer times tell all others.
    """
    # How much each mode of G K Gᵀ, and K**, add to the covariance; K* Gᵀ lies between, by Cauchy and Schwarz.
    variances = jnp.sum(u * turned, axis=0)
    functions = responses * (jnp.linalg.norm(to_test, axis=0) * jnp.sqrt(jnp.maximum(variances, 0.0)))[None]
    constant = jnp.sqrt(jnp.trace(nngp_test))
    n = len(u)
    edges = (0, n // 32, n // 8, n // 2, n) if n >= MANY else (0, n)
    with _one_thread():
        interpolations = [_interpolation(functions[:, start:], constant) for start in edges[:-1]]
    few, weights, all_times = [nngp_test[None]], [jnp.ones((len(responses), 1), responses.dtype)], []
    for (start, stop), (chosen, weight) in zip(itertools.pairwise(edges), interpolations, strict=True):
        own = slice(start, stop)
        part = _part(responses[chosen, start:], u[:, start:], to_test[:, start:], across[:, own], turned[:, own])
        if weight is None:
            all_times.append(part)
        else:
            few, weights = [*few, part], [*weights, weight]
    return _sum(few, weights, all_times)


@jax.jit
def _sum(few: list[Array], weights: list[Array], all_times: list[Array]) -> Array:
    """Σ weights · few, in one product, and what is there at all times."""
    return sum(all_times, jnp.tensordot(jnp.concatenate(weights, 1), jnp.concatenate(few), 1, precision="highest"))


@jax.jit
def _part(responses, u, to_test, across, turned) -> Float[Array, "times m m"]:
    """What the first modes add to the covariances with themselves, with all others, and with K*."""
    own = turned.shape[1]
    share = jnp.where(jnp.arange(to_test.shape[1]) < own, 0.5, 1.0)  # each pair of the first modes is met twice
    within = share[:, None] * _product(u.T, turned)

    def at_one_time(response):
        g = to_test * response[None]
        half = _product(_product(g, within) - across, g[:, :own].T)
        return half + half.T

    return jax.lax.map(at_one_time, responses)


def _interpolation(functions: Float[Array, "times p"], constant: Float[Array, ""]) -> tuple[Array, Array | None]:
    """A few of the times, and weights (times, few): sum(weights · values at these times) are the values at all times.

    For sums of products of two of the functions, or of one and the constant, to rounding. Functions that decay alike
    span few dimensions. The times are chosen by a pivoted QR decomposition: an interpolative decomposition [Cheng,
    Gimbutas, Martinsson & Rokhlin 2005]. Without weights, the few are all: under `jit`, and where nothing is saved.
    """
    every = jnp.arange(len(functions))
    if not is_concrete(functions):
        return every, None
    from scipy.linalg import qr, solve_triangular

    rounding = 8 * float(jnp.finfo(functions.dtype).eps)
    together = np.append(np.asarray(functions, float), np.full((len(functions), 1), float(constant)), axis=1)
    together /= np.max(np.linalg.norm(together, axis=1), initial=np.finfo(float).tiny)
    left, sizes, _ = np.linalg.svd(together, full_matrices=False)
    basis = (left * sizes)[:, sizes > rounding]
    # Products of random combinations span what all products span, as long as there are more than enough of them.
    normal = np.random.default_rng(0).standard_normal((2, basis.shape[1], 4 * basis.shape[1]))
    products = np.prod(basis @ normal, axis=0) / normal.shape[2] ** 0.5
    factor, order = qr(products.T, mode="r", pivoting=True)
    few = int(np.sum(np.abs(np.diag(factor)) > rounding))
    if few == min(factor.shape):
        return every, None
    others = solve_triangular(factor[:few, :few], factor[:few, few:])
    weights = np.concatenate([np.eye(few), others.T])[np.argsort(order)]
    return jnp.asarray(order[:few]), jnp.asarray(weights, functions.dtype)


def predict_infinite(
    net: Layer,
    x_train: Float[Array, "n *shape"],
    y_train: Float[Array, "n *outputs"],
    ts: Times = math.inf,
    dynamics: Dynamics = GradientFlow(),
    *,
    x_test: Float[Array, "m *shape"],
    ridge: ScalarLike = 0.0,
) -> EnsemblePrediction:
    """`predict_ensemble` for `net` at infinite width: computes its NTK and NNGP kernels first.

    Raises:
        ValueError: as `predict`, and where `net` has no infinite-width kernel.
    """
    x, n = jnp.concatenate([x_train, x_test]), len(x_train)
    ntk, nngp = (gram(pair(net), x) for pair in (infinite_ntk, infinite_nngp))
    return predict_ensemble(
        ntk[:n, :n],
        nngp[:n, :n],
        y_train,
        ts,
        dynamics,
        ntk_test_train=ntk[n:, :n],
        nngp_test_train=nngp[n:, :n],
        nngp_test=nngp[n:, n:],
        ridge=ridge,
    )


def max_learning_rate(ntk_train: Float[Array, "n n *kk"], momentum: ScalarLike = 0.0) -> Float[Array, ""]:
    """The learning rate past which a linearized network diverges on the squared loss: 2 (1 + μ) n / λ_max.

    Each mode's recursion z² − (1 + μ − η λ/n) z + μ has both roots inside the unit circle up to there [Goh 2017].
    """
    matrix = _as_2d(ntk_train)
    check_kernel_matrix(matrix)
    return 2.0 * (1.0 + momentum) * len(ntk_train) / eigenmodes(matrix).eigenvalues[0]


def solve_flow(
    ntk_train: Float[Array, "n n *kk"],
    y_train: Array,
    ts: Float[Array, " times"],
    loss: Callable[[Array, Array], Array],
    f_train0: Float[Array, "n *outputs"],
    *,
    ntk_test_train: Float[Array, "m n *kk"] | None = None,
    f_test0: Float[Array, "m *outputs"] | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-8,
) -> Prediction:
    """The linearized network's outputs for any loss, by integrating ∂f/∂t = −Θ(·, X) ∂L/∂f(X) with diffrax.

    Args:
        ts: finite times in increasing order, the flow starting at t = 0.
        loss: (f, y) -> L, one number for the whole training set, such as `squared_loss` or `cross_entropy`.
        f_train0, f_test0: outputs at initialization; f_test0 = None means zero.
        rtol, atol: accuracy of the integration (Tsitouras' 5(4) method).

    Raises:
        ValueError: if shapes disagree, values are not finite, or times are negative, infinite or out of order.
    """
    ts = jnp.asarray(ts)
    check_finite(y_train=y_train, f_train0=f_train0)
    if len(y_train) != len(f_train0):
        raise ValueError(f"y_train holds {len(y_train)} targets and f_train0 {len(f_train0)} outputs: they must agree")
    _check_problem(ntk_train, f_train0, f_train0, ts, 0.0)
    if is_concrete(ts) and not (ts.ndim == 1 and np.all(np.isfinite(ts)) and np.all(np.diff(ts) >= 0)):
        raise ValueError(f"ts must be finite times in increasing order, got {ts}")
    kernel = _as_2d(ntk_train)
    has_test = ntk_test_train is not None
    if has_test:
        f_test0 = jnp.zeros((len(ntk_test_train), *f_train0.shape[1:])) if f_test0 is None else f_test0
        _check_test(ntk_test_train, f_test0, f_train0)
        kernel = jnp.concatenate([kernel, _as_2d(ntk_test_train)])
    width = f_train0.size // _as_2d(ntk_train).shape[0]
    start = jnp.concatenate([f.reshape(-1, width) for f in ((f_train0, f_test0) if has_test else (f_train0,))])

    def velocity(t, f, args):
        kernel, y = args
        gradient = jax.grad(loss)(f[: kernel.shape[1]].reshape(f_train0.shape), y)
        return -kernel @ gradient.reshape(-1, width)

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        diffrax.Tsit5(),
        t0=0.0,
        t1=ts[-1],
        dt0=None,
        y0=start,
        args=(kernel, y_train),
        saveat=diffrax.SaveAt(ts=ts),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        max_steps=1_000_000,
    ).ys
    train, test = jnp.split(solution, [kernel.shape[1]], axis=1)
    return Prediction(train.reshape(-1, *f_train0.shape), test.reshape(-1, *f_test0.shape) if has_test else None)


_product = functools.partial(jnp.matmul, precision="highest")


def _law(dynamics: Dynamics) -> tuple[type, dict[str, ScalarLike]]:
    """Its class, and the numbers on which its response depends: what a compiled program takes."""
    return type(dynamics), vars(dynamics) if isinstance(dynamics, HeavyBall) else {}


@functools.partial(jax.jit, static_argnames="law")
def _responses(law, settings, eigenvalues, num_train, ts, ridge) -> Float[Array, "*times n"]:
    """For each t, a response for each mode: A(t) = response((Θ + ridge) / n, t) / n = U diag(...) Uᵀ."""
    rates = (eigenvalues + ridge) / num_train
    # Below rounding, a mode is not there: at t = ∞ its inverse would only magnify noise.
    present = rates > len(rates) * jnp.finfo(rates.dtype).eps * rates[0]

    def response(t):
        finite = law(**settings).response(rates, jnp.where(jnp.isinf(t), 0.0, t))
        return jnp.where(jnp.isinf(t), jnp.where(present, 1.0 / jnp.where(present, rates, 1.0), 0.0), finite)

    times = jnp.asarray(ts, rates.dtype)
    return jax.vmap(response)(times.reshape(-1)).reshape(*times.shape, len(rates)) / num_train


def _as_2d(kernel):
    return as_matrix(kernel) if kernel.ndim == 4 else kernel


def _check_problem(ntk_train, y_train, f_train0, ts, ridge) -> None:
    check_kernel_matrix(_as_2d(ntk_train))
    check_finite(y_train=y_train, f_train0=f_train0)
    if len(ntk_train) != len(y_train):
        raise ValueError(f"ntk_train is for {len(ntk_train)} examples, y_train holds {len(y_train)}: they must agree")
    if ntk_train.ndim == 4 and y_train.shape[1:] != ntk_train.shape[2:3]:
        raise ValueError(f"ntk_train is for {ntk_train.shape[2]} outputs, y_train has shape {y_train.shape}")
    if y_train.shape != f_train0.shape:
        raise ValueError(
            f"y_train has shape {y_train.shape}, f_train0 {f_train0.shape}: they must agree, with no broadcasting"
        )
    if is_concrete(ts) and not np.all(np.asarray(ts) >= 0):
        raise ValueError(f"times must be 0 or more, got {ts}")
    if is_concrete(ridge) and ridge < 0:
        raise ValueError(f"ridge must be 0 or more, got {ridge}")


def _check_test(ntk_test_train, f_test0, y_train) -> None:
    check_finite(ntk_test_train=ntk_test_train, f_test0=f_test0)
    if ntk_test_train.shape[1] != len(y_train) or f_test0.shape != (len(ntk_test_train), *y_train.shape[1:]):
        raise ValueError(
            f"ntk_test_train has shape {ntk_test_train.shape}, f_test0 {f_test0.shape}, for {len(y_train)} training "
            f"examples with outputs of shape {y_train.shape[1:]}: rows of ntk_test_train are test points, columns "
            f"training points"
        )


def _check_stable(dynamics: Dynamics, modes: Eigenmodes, ridge: ScalarLike, num_train: int) -> None:
    if not isinstance(dynamics, HeavyBall):
        return
    if is_concrete(modes, ridge, dynamics.learning_rate, dynamics.momentum):
        fastest = (np.asarray(modes.eigenvalues)[0] + ridge) / num_train
        largest = float(2.0 * (1.0 + dynamics.momentum) / fastest)
        if dynamics.learning_rate > largest * (1 + 1e-9):
            raise ValueError(
                f"learning rate {dynamics.learning_rate:.6g} is past the largest stable one, {largest:.6g} "
                f"(2 (1 + momentum) n / λ_max): the linearized network diverges. "
                f"Take it below max_learning_rate(ntk_train)"
            )
