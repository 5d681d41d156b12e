"""Self-checks of the chapter `fluctuations`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..activations import tanh
from ..datasets import digits
from ..diagnostics import jackknife_error, rms
from ..dynamics import predict
from ..empirical import layerwise
from ..gram import gram
from ..regimes import perceptron
from ._verdict import Verdict, as_number


def _call(function, *args) -> float | None:
    try:
        return as_number(function(*args))
    except Exception:  # whatever an unfinished answer raises
        return None


def _population() -> tuple[Array, Array]:
    """Outputs of 6 networks on 40 examples, and targets."""
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    mean, y = jax.random.normal(k1, (40,)), jnp.sign(jax.random.normal(k2, (40,)))
    return mean[None] + 0.7 * jax.random.normal(k3, (6, 40)), y


def check_infinite_ensemble(error: Callable[[Array, Array], float]) -> Verdict:
    """error(F, y): an unbiased estimate of the squared error of infinitely many networks, from F of N of them."""
    if not callable(error):
        return Verdict(False, "give the function itself, error(F, y), without calling it")
    f, y = _population()
    value = _call(error, f, y)
    if value is None:
        return Verdict(False, "error(F, y) must return one number, for F of shape (N, examples) and y of (examples,)")
    measured, spread = jnp.mean((f.mean(0) - y) ** 2), jnp.mean(jnp.var(f, axis=0, ddof=1))
    truth = float(measured - spread / len(f))

    def is_near(other):
        return abs(value - float(other)) < 1e-6 * abs(truth)

    if is_near(truth):
        return Verdict(
            True, f"{float(measured):.4f} for the six networks together, {truth:.4f} without what they still scatter"
        )
    if is_near(measured):
        return Verdict(False, "this is the error of the N networks at hand: their mean still has the variance s²/N")
    if is_near(measured - spread):
        return Verdict(False, "s² is the variance of one network; that of the mean of N is s²/N")
    if is_near(measured - jnp.mean(jnp.var(f, axis=0)) / len(f)):
        return Verdict(False, "divide by N − 1 in the variance (ddof=1): otherwise the estimate of s² is biased")
    return Verdict(False, f"for the test case the estimate is not {value:.4g}: start from ‖F̄ − y‖² and take s²/N off")


def check_budget(ratio: float) -> Verdict:
    """Parameters of one network of width 160, over those of ten networks of width 16 (10 inputs, 2 hidden layers)."""
    value = as_number(ratio)
    if value is None:
        return Verdict(False, f"give one number, the ratio of the parameters; got {ratio!r}")
    one, ten = _num_params(160), 10 * _num_params(16)
    if abs(value - one / ten) < 0.005 * one / ten:
        return Verdict(True, f"{one} against {ten} parameters for the same variance: the many are cheaper than the one")
    if abs(value - ten / one) < 0.005 * ten / one:
        return Verdict(False, "the other way round: the wide network's parameters belong on top")
    if abs(value - 10) < 0.01:
        return Verdict(False, "10 counts the hidden matrix only; 10 inputs and the readout are m each")
    if abs(value - one / _num_params(16)) < 0.1:
        return Verdict(False, "there are ten small networks: count the parameters of all")
    return Verdict(False, f"the ratio is not {value:.4g}: a network has 10 m + m² + m parameters")


def _num_params(width: int) -> int:
    shapes = jax.eval_shape(lambda key: perceptron(width, 2, tanh).init(key, (10,))[0], jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def check_jackknife(error: Callable[[Array], float]) -> Verdict:
    """error(F): the jackknife standard error of δF, from outputs F of shape (networks, examples)."""
    if not callable(error):
        return Verdict(False, "give the function itself, error(F), without calling it")
    f, _ = _population()
    value = _call(error, f)
    if value is None:
        return Verdict(False, "error(F) must return one number, for F of shape (networks, examples)")

    def spread(f, ddof=1):
        return rms(jnp.std(f, axis=0, ddof=ddof))

    without = jnp.stack([spread(jnp.delete(f, i, axis=0)) for i in range(len(f))])
    truth, n = float(jackknife_error(without)), len(f)

    def is_near(other):
        return abs(value - float(other)) < 1e-6 * truth

    if is_near(truth):
        return Verdict(True, f"δF = {float(spread(f)):.3f} ± {truth:.3f} in the test case")
    if is_near(jnp.std(without, ddof=1)) or is_near(jnp.std(without)):
        return Verdict(False, "leave-one-out values hardly differ from each other: the factor n − 1 makes up for that")
    if is_near(jnp.std(without, ddof=1) / n**0.5) or is_near(jnp.std(without) / n**0.5):
        return Verdict(
            False, "dividing by √n is for independent values; those without one network share all the others"
        )
    if is_near(jackknife_error(jnp.stack([spread(jnp.delete(f, i, axis=1)) for i in range(f.shape[1])]))):
        return Verdict(False, "this leaves out one example at a time; the random draws are the networks")
    if is_near(jackknife_error(jnp.stack([spread(jnp.delete(f, i, axis=0), 0) for i in range(n)]))):
        return Verdict(False, "δF divides by N − 1 (ddof=1)")
    return Verdict(False, f"not {value:.4g}: take √((n − 1)/n Σ (t_i − t̄)²) of the δF without each network in turn")


def check_crossing(crossing: Callable[[float, float, float, float], float]) -> Verdict:
    """crossing(s0, v, width, new): the α at width `new` where both sources of the spread are equal.

    At α = 1 the initial outputs contribute s0 at any width, the kernel contributes v at `width`.
    """
    if not callable(crossing):
        return Verdict(False, "give the function itself, crossing(s0, v, width, new), without calling it")
    cases = ((0.28, 0.03, 512, 128), (0.5, 0.1, 64, 4096), (1.0, 0.2, 100, 100))
    answers = [_call(crossing, *case) for case in cases]
    if None in answers:
        return Verdict(False, "crossing(s0, v, width, new) must return one number")

    def agree(other):
        return np.allclose(answers, [other(*case) for case in cases], rtol=1e-6)

    if agree(lambda s0, v, m, new: v / s0 * (m / new) ** 0.5):
        return Verdict(True, "α falls as the width to the −1/2: the crossing stands at one α̃ for all widths")
    if agree(lambda s0, v, m, new: v / s0):
        return Verdict(
            False, "that is the crossing at the old width: the kernel's part shrinks as the width to the −1/2"
        )
    if agree(lambda s0, v, m, new: v / s0 * m / new):
        return Verdict(False, "variances fall as 1/width, standard deviations as its square root")
    if agree(lambda s0, v, m, new: v / s0 * (new / m) ** 0.5):
        return Verdict(False, "right size, wrong sign: the wider the network, the smaller the kernel's part")
    if agree(lambda s0, v, m, new: s0 / v * (new / m) ** 0.5):
        return Verdict(False, "this is 1/α: the part of the initial outputs is α s0")
    return Verdict(False, "solve α s0 = v(new), where v(new) follows the law of this chapter")


def check_untrained(exponent: float) -> Verdict:
    """The exponent of δF against the width in the lazy limit, from kernels at initialization and no training."""
    value = as_number(exponent)
    if value is None:
        return Verdict(False, f"give one number, the exponent; got {exponent!r}")
    truth = _untrained_exponent()
    if abs(value - truth) < 0.12:
        return Verdict(True, f"kernels that were never trained give {truth:.2f} in the check's own draw")
    if abs(value + truth) < 0.12:
        return Verdict(False, "right size, wrong sign: the spread falls with the width")
    if abs(value - 2 * truth) < 0.15:
        return Verdict(False, "this is the exponent of the variance: δF is its root")
    if abs(value) < 0.12:
        return Verdict(
            False, "nothing falls with the width: are the initial outputs left in? Pass no f_train0 and no f_test0"
        )
    return Verdict(
        False, f"{value:.2f} is not what kernel regression gives: fit log δF against log m, 16 networks or more"
    )


@functools.cache
def _untrained_exponent() -> float:
    data = digits(jax.random.key(3), 24, 48, num_components=10)
    keys = jax.random.split(jax.random.key(11), 24)
    widths = (64, 512)

    def one(width, key):
        net = perceptron(width, 1, tanh)
        kernel = layerwise(net, net.init(key, (10,))[0])
        ntk_train, across = (gram(kernel, x, data.x_train)[:, :, 0, 0] for x in (data.x_train, data.x_test))
        return predict(ntk_train, data.y_train, 30.0, ntk_test_train=across).test[:, 0]

    spreads = [rms(jnp.std(jax.jit(jax.vmap(functools.partial(one, m)))(keys), axis=0, ddof=1)) for m in widths]
    return float(jnp.log(spreads[1] / spreads[0]) / jnp.log(widths[1] / widths[0]))
