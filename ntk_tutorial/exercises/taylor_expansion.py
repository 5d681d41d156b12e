"""Self-checks of the chapter `taylor_expansion`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..activations import tanh
from ..dynamics import gradient_descent
from ..linearization import taylor_expand
from ..networks import mlp
from ..training import train
from ._verdict import Verdict, agrees


def _numbers(answer, count: int) -> np.ndarray | None:
    """The answer as `count` finite floats, or None where it is not that."""
    try:
        values = np.asarray(jax.tree.leaves(answer), float)
    except (TypeError, ValueError):
        return None
    return values if values.shape == (count,) and np.all(np.isfinite(values)) else None


def check_gradient(gradient: Sequence[float]) -> Verdict:
    """(∂f/∂a, ∂f/∂b, ∂f/∂w) of f = a tanh(b tanh(w x)) at a = 2, b = −1, w = 0.5, x = 1."""
    values = _numbers(gradient, 3)
    if values is None or not isinstance(gradient, (tuple, list)):
        return Verdict(False, f"give three numbers, (df_da, df_db, df_dw), got {gradient!r}")

    def f(a, b, w):
        return a * jnp.tanh(b * jnp.tanh(w * 1.0))

    a, b, w = 2.0, -1.0, 0.5
    expected = np.array(jax.grad(f, (0, 1, 2))(a, b, w))
    if np.allclose(values, expected, rtol=1e-4):
        return Verdict(True, "the three numbers agree with jax.grad")
    if np.allclose(values[::-1], expected, rtol=1e-4):
        return Verdict(False, "the numbers are right but in reverse order: df/da comes first")
    h1 = np.tanh(w)
    h2 = np.tanh(b * h1)
    unsquared = [h2, a * (1 - h2) * h1, a * (1 - h2) * b * (1 - h1)]
    if np.allclose(values, unsquared, rtol=1e-4):
        return Verdict(False, "the derivative of tanh(z) is 1 − tanh(z)², with the square")
    if np.allclose(values, [expected[0], expected[1] / a, expected[2] / a], rtol=1e-4):
        return Verdict(False, "what comes back from the output is a, not 1: the factor a is missing in df/db and df/dw")
    if np.allclose(values[:2], expected[:2], rtol=1e-4):
        return Verdict(False, "df/da and df/db are right; on its way to w the number also passes b and the inner tanh")
    wrong = [name for name, v, e in zip("abw", values, expected, strict=True) if not np.isclose(v, e, rtol=1e-4)]
    return Verdict(False, "not right yet: " + ", ".join(f"df/d{name}" for name in wrong))


def check_half_step(factors: Sequence[float]) -> Verdict:
    """The factors on ‖f − f_lin‖ and on ‖f − f_lin‖ / ‖f − f₀‖ when a small update δ is halved."""
    values = _numbers(factors, 2)
    if values is None or not isinstance(factors, (tuple, list)):
        return Verdict(False, f"give two factors, (on the remainder, on the linearization error), got {factors!r}")
    f, params0, x = _network()
    delta = _perturbation(params0)
    expansion = taylor_expand(f, params0, 1)
    remainders, changes = [], []
    for s in (0.002, 0.001):
        params = _move(params0, delta, s)
        value = f(params, x)
        remainders.append(float(jnp.linalg.norm(value - expansion(params, x))))
        changes.append(float(jnp.linalg.norm(value - f(params0, x))))
    absolute = remainders[1] / remainders[0]
    relative = absolute / (changes[1] / changes[0])
    if np.allclose(values, [absolute, relative], rtol=0.05):
        return Verdict(True, f"measured on a tanh network: {absolute:.2f} and {relative:.2f}")
    if np.allclose(values, [relative, absolute], rtol=0.05):
        return Verdict(False, "the two are interchanged: the remainder itself comes first")
    if np.isclose(values[0], 0.5):
        return Verdict(False, "the remainder of a first-order expansion is quadratic in δ, not linear")
    if np.allclose(values, [0.25, 0.25]):
        return Verdict(False, "the linearization error divides by the change of f, and that is halved as well")
    if np.all(values > 1):
        return Verdict(False, "give the factors on the errors when δ becomes smaller: they are below one")
    return Verdict(False, f"measured on a tanh network: other factors than ({values[0]:.3g}, {values[1]:.3g})")


def check_jacobian_norm(estimator: Callable) -> Verdict:
    """estimator(f, params, x, keys): an estimate of ‖J‖_F² from one jvp along a Gaussian direction a key."""
    if not callable(estimator):
        return Verdict(False, "give the function itself, estimator(f, params, x, keys), without calling it")
    f, params, x = _network()
    jacobian = jax.vmap(lambda row: ravel_pytree(row)[0])(jax.jacrev(f)(params, x))
    num, exact = 2000, float(jnp.sum(jacobian**2))
    values = _numbers(estimator(f, params, x, jax.random.split(jax.random.key(11), num)), 1)
    if values is None:
        return Verdict(False, "estimator(f, params, x, keys) must return one finite number")
    # One sample vᵀJᵀJv of Gaussian v has variance 2 ‖JJᵀ‖_F².
    standard_error = (2 * float(jnp.sum((jacobian @ jacobian.T) ** 2)) / num) ** 0.5 / exact
    ratio = float(values[0]) / exact
    if abs(ratio - 1) < 5 * standard_error:
        return Verdict(True, "within five standard errors of the sum over all entries of jax.jacrev, squared")
    if abs(ratio * num - 1) < 0.5 or abs(ratio / num - 1) < 0.5:
        return Verdict(False, "take the mean over the keys, once")
    if abs(float(values[0]) / exact**0.5 - 1) < 0.1:
        return Verdict(False, "that is ‖J‖_F: leave the square")
    if abs(ratio * len(jacobian) - 1) < 5 * standard_error:
        return Verdict(False, f"the {len(jacobian)} outputs' squares are summed, not averaged")
    if abs(ratio * jacobian.shape[1] - 1) < 0.5:
        return Verdict(False, "that is ‖J‖_F² over the number of parameters: leave the entries of v at variance one")
    return Verdict(
        False,
        f"{ratio:.3g} times the exact value, where {num} keys should come within {5 * standard_error:.0%} of it",
    )


def check_remainder(coefficient: float) -> Verdict:
    """lim (f − f_lin) / s² for f = a tanh(w x) at a = 2, w = 0.5, x = 1 and δ = s (3/5, 4/5)."""
    values = _numbers(coefficient, 1)
    if values is None:
        return Verdict(False, f"give one number, the limit of (f − f_lin) / s², got {coefficient!r}")
    value = float(values[0])

    def f(theta):
        return theta[0] * jnp.tanh(theta[1] * 1.0)

    hessian = np.array(jax.hessian(f)(jnp.array([2.0, 0.5])))
    delta = np.array([0.6, 0.8])
    quadratic = float(delta @ hessian @ delta)
    if np.isclose(value, quadratic / 2, rtol=1e-4):
        return Verdict(True, f"½ δᵀHδ = {quadratic / 2:.4f} s², by jax.hessian as well")
    if np.isclose(value, quadratic, rtol=1e-4):
        return Verdict(False, "that is δᵀHδ: the Taylor term has a factor ½")
    if np.isclose(value, -quadratic / 2, rtol=1e-4):
        return Verdict(False, "the sign: f − f_lin, and tanh bends down for positive w x")
    if np.isclose(value, (quadratic - delta[0] * hessian[0, 1] * delta[1]) / 2, rtol=1e-4):
        return Verdict(False, "the mixed derivative stands twice in H: δᵀHδ has 2 δ_a δ_w H_aw")
    if np.isclose(value, delta[1] ** 2 * hessian[1, 1] / 2, rtol=1e-4):
        return Verdict(False, "a and w move together: the mixed derivative ∂²f/∂a∂w is missing")
    return Verdict(False, f"not {value:.4g}: write the 2 × 2 Hessian, in the order (a, w), then ½ δᵀHδ")


def order_problem():
    """f, params0, params and x of the exercise on the order of an expansion."""
    f, params0, x = _network()
    return f, params0, _move(params0, _perturbation(params0), 0.05), x


def check_order(order: int) -> Verdict:
    """The smallest order whose expansion has both outputs of `order_problem` within 1e-4."""
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or not 0 <= order <= 8:
        return Verdict(False, f"give the order, a whole number from 0 to 8, got {order!r}")
    f, params0, params, x = order_problem()

    def error(m):
        return float(jnp.max(jnp.abs(f(params, x) - taylor_expand(f, params0, m)(params, x))))

    if error(order) > 1e-4:
        return Verdict(False, f"at order {order} the expansion is still {error(order):.0e} away")
    if order > 0 and error(order - 1) <= 1e-4:
        return Verdict(False, f"order {order} is accurate enough, but so is order {order - 1}")
    return Verdict(True, f"order {order - 1} is {error(order - 1):.0e} away, order {order} only {error(order):.0e}")


def check_second_order(second_order: Callable) -> Verdict:
    """second_order(f, params0) -> expansion(params, x): the Taylor polynomial of order 2, around any params0."""
    if not callable(second_order):
        return Verdict(False, "give the function second_order(f, params0) itself, without calling it")
    f, params0, x = _network()
    inputs = jnp.array(np.random.default_rng(5).normal(size=(6, len(x))))
    trained = train(f, params0, inputs, jnp.ones((6, 2)), gradient_descent(0.5), steps=[20]).params
    for name, center in (("the initialization", params0), ("trained parameters", trained)):
        params = _move(center, _perturbation(params0), 0.3)
        expansion = second_order(f, center)
        if not callable(expansion):
            return Verdict(False, "second_order(f, params0) must return a function of (params, x)")
        answer = expansion(params, x)
        value, first, expected = (taylor_expand(f, center, m)(params, x) for m in range(3))
        if jnp.shape(answer) != expected.shape:
            return Verdict(False, f"for 2 outputs the expansion must have shape (2,), got {jnp.shape(answer)}")
        if agrees(answer, expected, rtol=1e-8):
            continue
        if agrees(answer, first, rtol=1e-8):
            return Verdict(False, "that is the first-order expansion: the second-order term is zero or missing")
        if agrees(answer, 2 * expected - first, rtol=1e-8):
            return Verdict(False, "the second-order term needs the factor ½")
        if agrees(answer, expected - first + value, rtol=1e-8):
            return Verdict(False, "the first-order term is missing")
        if agrees(answer, f(params, x), rtol=1e-8):
            return Verdict(False, "that is the network itself: evaluate f and its derivatives at params0 only")
        return Verdict(False, f"around {name} the expansion differs from taylor_expand(f, params0, 2)")
    return Verdict(True, "equal to ntk.taylor_expand(f, params0, 2), around initial and around trained parameters")


def _network():
    """f, parameters and one input of a small network with two outputs."""
    net, draw = mlp(32, 1, 2, tanh, w_std=2.0), np.random.default_rng(20)
    params = ({"w": jnp.array(draw.normal(size=(4, 32)))}, (), {"w": jnp.array(draw.normal(size=(32, 2)))})
    return net.apply, params, jnp.array([1.0, -1.0, 1.0, 1.0])


def _perturbation(params0):
    """Another draw of parameters of the same shapes."""
    draw = np.random.default_rng(22)
    return jax.tree.map(lambda leaf: jnp.array(draw.normal(size=leaf.shape)), params0)


def _move(params0, delta, s: float):
    return jax.tree.map(lambda p, d: p + s * d, params0, delta)
