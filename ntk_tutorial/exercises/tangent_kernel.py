"""Self-checks of the chapter `tangent_kernel`."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import cos, relu, tanh
from ..empirical import empirical_ntk, jacobian_contraction
from ..gram import as_matrix, gram
from ..networks import infinite_ntk, mlp
from ._verdict import Verdict


def _values(answer, arguments: list[tuple], signature: str) -> np.ndarray | Verdict:
    """The answer at each of the arguments, as one float array, or why there is none."""
    if not callable(answer):
        return Verdict(False, f"the answer must be a function {signature}, got {type(answer).__name__}.")
    try:
        return np.stack([np.asarray(answer(*each), float) for each in arguments])
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"the function {signature} failed: {type(error).__name__}: {error}")


def _close(answer: np.ndarray, expected) -> bool:
    expected = np.asarray(expected)
    atol = 1e-6 * np.abs(expected).max()
    return answer.shape == expected.shape and np.allclose(answer, expected, rtol=1e-5, atol=atol)


def check_linear_model(answer: Callable) -> Verdict:
    """Θ of z = σ_w / √d · W x + σ_b b, as a function (x1, x2, w_std, b_std)."""
    x = jax.random.normal(jax.random.key(0), (2, 3))
    cases = [(x[0], x[1], 1.5, 0.7), (x[0], x[0], 0.5, 2.0)]
    found = _values(answer, cases, "(x1, x2, w_std, b_std)")
    if isinstance(found, Verdict):
        return found
    truth = []
    for x1, x2, w_std, b_std in cases:
        net = mlp(1, 0, 1, tanh, w_std=w_std, b_std=b_std)
        truth.append(empirical_ntk(net.apply, net.init(jax.random.key(1), (3,))[0])(x1, x2)[0, 0])
    truth, bias = np.array(truth), np.array([b_std**2 for *_, b_std in cases])
    if _close(found.reshape(-1), truth):
        return Verdict(True, "Θ = σ_w² x·x′/d + σ_b², whatever the parameters: a linear model's kernel is constant.")
    for wrong, reason in (
        (truth - bias, "the bias is a parameter too: its derivative is σ_b, and adds σ_b²."),
        ((truth - bias) * 3 + bias, "the factor in front of W is σ_w/√d, so its square brings 1/d."),
        (np.sqrt(np.abs(bias)) + truth - bias, "each parameter contributes the square of its factor: σ_b², not σ_b."),
    ):
        if _close(found.reshape(-1), wrong):
            return Verdict(False, reason)
    return Verdict(False, "differentiate the output with respect to each weight and the bias, and sum the products.")


def check_relu_diagonal(answer: Callable) -> Verdict:
    """Θ_L(x, x) for ReLU, σ_w² = 2, no bias, |x|² = d, as a function of the number L of hidden layers."""
    depths = [1, 2, 3, 5]
    found = _values(answer, [(depth,) for depth in depths], "(depth)")
    if isinstance(found, Verdict):
        return found
    x, found = jnp.ones(4), found.reshape(-1)
    truth = np.array([infinite_ntk(mlp(1, depth, 1, relu, w_std=2**0.5))(x, x) for depth in depths])
    if _close(found, truth):
        return Verdict(True, "2 (L + 1): each of the L + 1 layers of weights contributes 2.")
    for wrong, reason in (
        (truth - 2, "one layer is missing: L hidden layers have L + 1 layers of weights, the readout counts."),
        (truth / 2, "each layer contributes σ_w² times its input's mean square, which is 2 times 1."),
        (2.0 * (2.0 ** (np.array(depths) + 1) - 1), "φ′ is 1 for half of the units only: E[φ′φ′] = 1/2 at x = x′."),
    ):
        if _close(found, wrong):
            return Verdict(False, reason)
    return Verdict(False, "start from Θ₀ = 2 and apply the recursion with q = 2, E[φφ] = 1, E[φ′φ′] = 1/2.")


def check_ntk_vector_product(answer: Callable) -> Verdict:
    """Θ(X, X) v without a Jacobian, as a function (f, params, x, v) with v and the result of shape (n, k)."""
    net = mlp(5, 1, 2, tanh)
    params, _ = net.init(jax.random.key(2), (3,))
    x, v = jax.random.normal(jax.random.key(3), (4, 3)), jax.random.normal(jax.random.key(4), (4, 2))
    if not callable(answer):
        return Verdict(False, f"the answer must be a function (f, params, x, v), got {type(answer).__name__}.")
    try:
        product = answer(net.apply, params, x, v)
    except Exception as error:
        return Verdict(False, f"the function failed: {type(error).__name__}: {error}")
    if jax.tree.structure(product) == jax.tree.structure(params):
        return Verdict(False, "this is Jᵀ v, a change of the parameters: one more product, with J, is to come.")
    if isinstance(product, tuple | list):
        return Verdict(False, "this is a tuple: jax.vjp's function gives a tuple, and jax.jvp two results; pick one.")
    kernel = gram(jacobian_contraction(net.apply, params), x)
    truth, product = np.asarray(as_matrix(kernel) @ v.reshape(-1)).reshape(v.shape), np.asarray(product)
    if product.shape != truth.shape:
        return Verdict(False, f"the result has shape {product.shape}, v has {v.shape}: both must be (n, k).")
    if _close(product, truth):
        return Verdict(True, "a vector–Jacobian, then a Jacobian–vector product: Θ v at the price of a few passes.")
    if _close(product, np.einsum("iiab,ib->ia", kernel, v)):
        return Verdict(False, "each example was treated alone: Θ(X, X) couples examples, so sum Jᵀ v over them first.")
    if _close(product, jax.vmap(net.apply, (None, 0))(params, x)):
        return Verdict(False, "these are the outputs f(X): jax.jvp returns the outputs first, then the product.")
    return Verdict(False, "take u = Jᵀ v with jax.vjp of the whole batch, then J u with jax.jvp.")


def check_layer_contributions(answer: Callable) -> Verdict:
    """Each layer's part of Θ(x1, x2), as a function (f, params, x1, x2) -> one number a layer, for one output."""
    net = mlp(6, 2, 1, tanh)
    params, _ = net.init(jax.random.key(5), (3,))
    x1, x2 = jax.random.normal(jax.random.key(6), (2, 3))
    found = _values(answer, [(net.apply, params, x1, x2)], "(f, params, x1, x2)")
    if isinstance(found, Verdict):
        return found
    rows = [jax.tree.leaves(jax.jacobian(net.apply)(params, x)) for x in (x1, x2)]
    truth, found = np.array([jnp.sum(a * b) for a, b in zip(*rows, strict=True)]), found.reshape(-1)
    if found.shape == (1,) and _close(found, [truth.sum()]):
        return Verdict(False, "this is all of Θ: keep one number for each layer instead of their sum.")
    if found.shape != truth.shape:
        return Verdict(False, f"three layers of weights have three contributions, got {found.size} number(s).")
    if _close(found, truth):
        return Verdict(True, "the contributions add up to Θ: it is a sum over parameters, so over layers.")
    if _close(found, truth[::-1]):
        return Verdict(False, "the order is reversed: the first number belongs to the first layer.")
    if _close(found, [jnp.sum(a * a) for a in rows[0]]):
        return Verdict(False, "x2 was not used: multiply the gradient at x1 with the gradient at x2.")
    return Verdict(False, "for each layer, multiply the gradients at x1 and x2 entry by entry and sum.")


def check_dual_of_cos(answer: Callable) -> Verdict:
    """E[cos u cos v], as a function (q11, q12, q22)."""
    cases = [(1.0, 0.3, 0.5), (0.7, -0.4, 1.2), (0.2, 0.2, 0.2)]
    found = _values(answer, cases, "(q11, q12, q22)")
    if isinstance(found, Verdict):
        return found
    found, (q11, q12, q22) = found.reshape(-1), np.array(cases).T
    if _close(found, [cos.dual(*map(jnp.asarray, case)) for case in cases]):
        return Verdict(True, "exp(−(q11 + q22)/2) cosh(q12).")
    for wrong, reason in (
        (np.exp(-(q11 + q22) / 2) * np.sinh(q12), "this is the dual of sin: the product formula has a plus for cos."),
        (2 * np.exp(-(q11 + q22) / 2) * np.cosh(q12), "cos u cos v = ½ [cos(u − v) + cos(u + v)]: the ½ is missing."),
        (np.exp(-(q11 + q22 - 2 * q12) / 2), "this is E[cos(u − v)]: the mean with E[cos(u + v)] is needed."),
        (np.exp(-(q11 + q22)) * np.cosh(2 * q12), "E[cos z] = exp(−variance/2): the half in the exponent is missing."),
    ):
        if _close(found, wrong):
            return Verdict(False, reason)
    return Verdict(False, "write the product as a sum of cosines; u ± v is Gaussian of variance q11 + q22 ± 2 q12.")


def check_parameterization(answer: Callable) -> Verdict:
    """Factors of the learning rate, (hidden, readout), that turn the standard parameterization into the NTK one.

    For one hidden layer, as a function (width, dim, w_std).
    """
    cases = [(8, 3, 1.5), (20, 5, 0.8)]
    found = _values(answer, cases, "(width, dim, w_std)")
    if isinstance(found, Verdict):
        return found
    if found.shape != (2, 2):
        return Verdict(False, f"the function must return two numbers, (hidden, readout); got shape {found.shape[1:]}.")
    truth = np.array([_factors(*case) for case in cases])
    width, _, w_std = np.array(cases).T
    if _close(found, truth):
        return Verdict(True, "σ_w²/fan-in for each layer: the readout's rate must fall as 1/m, the first layer's not.")
    for wrong, reason in (
        (truth[:, ::-1], "the two are swapped: fan-in is d for the hidden layer and m for the readout."),
        (1 / truth, "this is by how much the standard kernel is larger; the learning rate has to undo it."),
        (np.sqrt(truth), "Θ holds products of two derivatives, so the factor comes squared: σ_w²/fan-in."),
        (truth / w_std[:, None] ** 2, "σ_w is missing: the NTK parameterization has σ_w/√fan-in in front of W."),
        (np.stack([w_std**2 / width] * 2, 1), "the hidden layer's fan-in is d, not m."),
    ):
        if _close(found, wrong):
            return Verdict(False, reason)
    return Verdict(False, "compare ∂f/∂W of the two parameterizations layer by layer, at the same function.")


def _factors(width: int, dim: int, w_std: float) -> list[float]:
    """Ratio of each layer's contribution to Θ, NTK over standard parameterization, at the same function."""
    parts = {}
    x = jax.random.normal(jax.random.key(7), (int(dim),))
    params, _ = mlp(int(width), 1, 1, tanh, w_std=w_std).init(jax.random.key(8), (int(dim),))
    scales = [w_std / dim**0.5, w_std / width**0.5]
    same = ({"w": scales[0] * params[0]["w"]}, (), {"w": scales[1] * params[2]["w"]})
    for kind, theta in (("ntk", params), ("standard", same)):
        net = mlp(int(width), 1, 1, tanh, w_std=w_std, parameterization=kind)
        parts[kind] = [float(jnp.sum(g**2)) for g in jax.tree.leaves(jax.jacobian(net.apply)(theta, x))]
    return [a / b for a, b in zip(parts["ntk"], parts["standard"], strict=True)]
