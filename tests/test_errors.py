"""What the package refuses: every message says what was received and what to do."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import _checks

pytestmark = pytest.mark.usefixtures("unannotated")
KEY = jax.random.key(0)
NET = ntk.mlp(4, 1, 1, ntk.erf)
PARAMS = ntk.mlp(4, 1, 1, ntk.erf).init(KEY, (3,))[0]
X, Y, EYE = jnp.ones((2, 3)), jnp.ones((2, 1)), jnp.eye(2)
NAN, BAD = X.at[0, 0].set(jnp.nan), jnp.asarray([[1.0, 2.0], [2.0, 1.0]])
K, D = ntk.infinite_ntk(NET), ntk.gradient_descent(0.1)
POSITIONS = ntk.Serial([ntk.Dense(4), ntk.Elementwise(ntk.relu), ntk.Dense(1)])


def train(*args, x=X, y=Y, **options):
    return ntk.train(NET.apply, PARAMS, x, y, *args, **options)


def infinite(*layers):
    return ntk.gram(ntk.infinite_ntk(ntk.Serial(layers)), jnp.ones((2, 4, 4, 3)))


def solve(ts=(1.0,), f0=Y, y=Y, **options):
    return ntk.solve_flow(EYE, y, jnp.asarray(ts), ntk.squared_loss, f0, **options)


REFUSED = [  # call, kind of error, what its message says
    # activations
    (lambda: ntk.gaussian(1.0, 0.5), ValueError, r"rate of at most 0, got 0.5"),
    (
        lambda: ntk.by_quadrature(jnp.tanh, num_points=10, degree=10),
        ValueError,
        r"degree must lie between 1 and .* = 9, got 10",
    ),
    (lambda: ntk.by_quadrature(jnp.tanh, degree=0), ValueError, r"degree must lie between 1"),
    # networks
    (lambda: ntk.Dense(0), ValueError, r"at least one output, got num_outputs=0"),
    (lambda: ntk.Dense(1, w_std=-1.0), ValueError, r"cannot be negative, got w_std=-1.0"),
    (lambda: ntk.Dense(1, b_std=-1.0), ValueError, r"cannot be negative, got .*b_std=-1.0"),
    (lambda: ntk.Dense(1, parameterization="mup"), ValueError, r"\"ntk\" or \"standard\", got 'mup'"),
    (lambda: NET.apply(PARAMS, jnp.ones(5)), ValueError, r"shape \(5,\).*last axis of the example must have length 3"),
    (lambda: NET.apply(PARAMS, jnp.ones(())), ValueError, r"shape \(\).*must have length 3"),
    (lambda: NET.apply(PARAMS[:2], jnp.ones(3)), ValueError, r"2 entries for 3 layers: use those that init drew"),
    (lambda: ntk.Elementwise(jnp.tanh), TypeError, r"takes an Activation such as ntk.relu.*wrap .*by_quadrature"),
    (lambda: ntk.LayerNorm(axis=0).init(KEY, (4, 3)), ValueError, r"axis=0.*2 axes.*the last, that of channels"),
    (lambda: ntk.LayerNorm(axis=(-1, 5)).apply((), X), ValueError, r"axis=\(-1, 5\).*2 axes.*different ones"),
    (lambda: ntk.LayerNorm(axis=(1, -1)).apply((), X), ValueError, r"different ones"),
    (lambda: infinite(ntk.LayerNorm(), ntk.Dense(1)), ValueError, r"LayerNorm.*not a Gaussian process"),
    (
        lambda: infinite(ntk.Conv(4, (3, 3)), ntk.Flatten(), ntk.Elementwise(ntk.relu), ntk.Dense(1)),
        ValueError,
        r"Put a Dense layer between.*Flatten",
    ),
    (lambda: ntk.cnn(4, 0, 1, ntk.relu), ValueError, r"counts convolutions and must be positive, got 0"),
    (lambda: ntk.resnet(4, (2, 0), 1, ntk.relu), ValueError, r"positive number for each stage, got \(2, 0\)"),
    # convolution and pooling
    (lambda: ntk.Conv(0, (3, 3)), ValueError, r"at least one channel, got num_channels=0"),
    (lambda: ntk.Conv(1, (3, 3), b_std=-1.0), ValueError, r"cannot be negative"),
    (lambda: ntk.Conv(1, (3, 0)), ValueError, r"window \(3, 0\): a tuple of positive integers"),
    (lambda: ntk.Conv(1, 3), ValueError, r"window 3: a tuple of positive integers"),
    (lambda: ntk.Conv(1, (3, 3), strides=(1, -1)), ValueError, r"strides \(1, -1\): a tuple of positive integers"),
    (lambda: ntk.Conv(1, (3, 3), strides=(0, 1)), ValueError, r"strides \(0, 1\): a tuple of positive"),
    (lambda: ntk.Conv(1, (3, 3), strides=(1,)), ValueError, r"strides \(1,\): both must have one entry for sequences"),
    (lambda: ntk.Conv(1, (3, 3, 3)), ValueError, r"two for images"),
    (lambda: ntk.Conv(1, (3, 3), padding="same"), ValueError, r"got padding 'same': it is \"SAME\""),
    (lambda: ntk.AvgPool((2, 2), padding="HALF"), ValueError, r"AvgPool got padding 'HALF'"),
    (lambda: ntk.SumPool((2, 2), strides=(2, 0)), ValueError, r"SumPool got strides \(2, 0\)"),
    (
        lambda: ntk.Conv(1, (5, 5), padding="VALID").init(KEY, (4, 8, 3)),
        ValueError,
        r"positions \(4, 8\).*\(5, 5\) does not fit.*smaller or take padding=\"SAME\"",
    ),
    (lambda: ntk.Conv(1, (3, 3)).init(KEY, (4, 3)), ValueError, r"takes 2 axes of positions.*without a batch axis"),
    (lambda: ntk.AvgPool((2,)).apply((), jnp.ones(3)), ValueError, r"takes 1 axes of positions.*before Flatten"),
    (lambda: ntk.GlobalAvgPool().init(KEY, (3,)), ValueError, r"got a vector.*before Flatten"),
    (lambda: ntk.GlobalSumPool().apply((), jnp.ones(3)), ValueError, r"got a vector.*before Flatten"),
    (lambda: infinite(ntk.Flatten(), ntk.GlobalAvgPool(), ntk.Dense(1)), ValueError, r"got a vector"),
    (lambda: infinite(ntk.Conv(1, (3,)), ntk.Flatten(), ntk.Dense(1)), ValueError, r"takes 1 axes of positions"),
    (
        lambda: ntk.Conv(1, (3,)).apply(ntk.Conv(1, (3,)).init(KEY, (4, 2))[0], jnp.ones((4, 3))),
        ValueError,
        r"\(3, 2, 1\) in place of \(3, 3, 1\): use parameters that init drew",
    ),
    (
        lambda: infinite(ntk.Conv(4, (3, 3)), ntk.Residual(ntk.Conv(4, (3, 3), strides=(2, 2))), ntk.Flatten()),
        ValueError,
        r"leaves positions \(2, 2\), its shortcut \(4, 4\).*shortcut=Conv",
    ),
    # attention
    (lambda: ntk.SelfAttention(4, 0, 4), ValueError, r"must be positive"),
    (lambda: ntk.SelfAttention(4, 4, 4, key_std=-1.0), ValueError, r"cannot be negative"),
    (lambda: ntk.SelfAttention(4, 4, 4, mechanism="relu"), ValueError, r"\"softmax\" or \"identity\", got 'relu'"),
    (lambda: ntk.SelfAttention(4, 4, 4, parameterization="mup"), ValueError, r"\"ntk\" or \"standard\", got 'mup'"),
    (lambda: ntk.SelfAttention(4, 4, 4).init(KEY, (3,)), ValueError, r"got a vector.*before Flatten"),
    (
        lambda: ntk.SelfAttention(4, 4, 4).apply(ntk.SelfAttention(4, 4, 4).init(KEY, (3, 2))[0], X),
        ValueError,
        r"\(2, 3\).*last axis of the example must have length 2",
    ),
    (lambda: ntk.Serial([]), ValueError, r"at least one layer"),
    (lambda: NET.init(KEY, ()), ValueError, r"input_shape is \(\): it must be the shape of one example"),
    (lambda: ntk.mlp(4, -1, 1, ntk.relu), ValueError, r"cannot be negative, got -1"),
    (
        lambda: ntk.Residual(ntk.Dense(4)).init(KEY, (3,)),
        ValueError,
        r"\(4,\), its shortcut \(3,\).*shortcut=Dense\(4\)",
    ),
    (
        lambda: ntk.gram(ntk.infinite_ntk(ntk.Serial([ntk.Dense(4), ntk.Residual(ntk.Elementwise(ntk.relu))])), X),
        ValueError,
        r"must end in Dense.*correlated",
    ),
    (
        lambda: ntk.gram(ntk.infinite_ntk(ntk.Serial([ntk.Elementwise(ntk.relu)])), X),
        ValueError,
        r"Put a Dense layer between",
    ),
    (
        lambda: ntk.gram(ntk.infinite_nngp(POSITIONS), jnp.ones((2, 5, 3))),
        ValueError,
        r"shape \(5,\) for examples.*add Flatten\(\)",
    ),
    # empirical
    (
        lambda: ntk.layerwise(NET.apply, PARAMS),
        TypeError,
        r"made of this package's layers.*use empirical_ntk\(f, params\)",
    ),
    (
        lambda: ntk.empirical_ntk(NET.apply, {"w": jnp.ones(3, int)}),
        TypeError,
        r"params\['w'\] has dtype int64.*convert with",
    ),
    (
        lambda: ntk.jacobian_contraction(NET.apply, jnp.ones(3, complex)),
        TypeError,
        r"dtype complex128: a real floating",
    ),
    (
        lambda: ntk.ntk_vector_products(NET.apply, jnp.asarray([1.0, jnp.inf])),
        ValueError,
        r"1 non-finite value\(s\) of 2: remove",
    ),
    (
        lambda: ntk.gram(ntk.empirical_ntk(lambda p, x: p @ x, X[0]), X),
        ValueError,
        r"returned shape \(\).*or return f\[None\]",
    ),
    (
        lambda: ntk.gram(ntk.ntk_vector_products(lambda p, x: (p @ x)[None, None], X[0]), X),
        ValueError,
        r"batch axis with x\[0\]",
    ),
    (lambda: ntk.ntk_operator(NET.apply, PARAMS, NAN), ValueError, r"x holds 1 non-finite value\(s\) of 6"),
    # gram
    (lambda: ntk.gram(K, jnp.ones((2, 3), int)), TypeError, r"x1 has dtype int64: .*x1.astype\(float\)"),
    (lambda: ntk.gram(K, NAN), ValueError, r"x1 holds 1 non-finite value\(s\) of 6: remove or repair them"),
    (lambda: ntk.gram(K, X, NAN), ValueError, r"x2 holds 1 non-finite"),
    (lambda: ntk.gram(K, X, jnp.ones((2, 4))), ValueError, r"shape \(3,\) and x2 of shape \(4,\): they must agree"),
    (lambda: ntk.gram(K, jnp.asarray(1.0)), ValueError, r"x1 is a scalar: .*pass x1\[None\]"),
    (lambda: ntk.diagonal(K, jnp.asarray(1.0)), ValueError, r"x is a scalar"),
    (lambda: ntk.gram(K, X, batch_size=0), ValueError, r"batch_size must be at least 1, got 0"),
    (lambda: ntk.diagonal(K, X, batch_size=0), ValueError, r"batch_size must be at least 1, got 0"),
    # linearization
    (lambda: ntk.taylor_expand(NET.apply, PARAMS, -1), ValueError, r"order must be 0 or more, got -1"),
    (lambda: ntk.linearize(NET.apply, PARAMS)(PARAMS[:2], X[0]), ValueError, r"differ in structure.*same network"),
    (lambda: ntk.scaled(NET.apply, PARAMS, math.inf), ValueError, r"alpha holds 1 non-finite"),
    (lambda: ntk.scaled_increment(NET.apply, PARAMS, 0.0), ValueError, r"alpha must be positive .* got 0.0"),
    (lambda: ntk.scaled_increment(NET.apply, PARAMS, math.nan), ValueError, r"alpha must be positive .* got nan"),
    (lambda: ntk.scaled_increment(NET.apply, PARAMS, 1.0, nodes=0), ValueError, r"nodes must be 1 or more, got 0"),
    # spectra
    (lambda: ntk.eigenmodes(X), ValueError, r"kernel must be a square matrix, got shape \(2, 3\)"),
    (lambda: ntk.eigenmodes(jnp.ones((2, 2, 1, 1))), ValueError, r"goes through as_matrix or trace_outputs"),
    (lambda: ntk.eigenmodes(BAD.at[0, 1].set(0.0)), ValueError, r"kernel is not symmetric: .* by up to 2"),
    (
        lambda: ntk.eigenmodes(BAD),
        ValueError,
        r"not positive semi-definite: eigenvalues run from -1 to 3\. Compute .* float64",
    ),
    (lambda: ntk.eigenmodes(-EYE), ValueError, r"not positive semi-definite: eigenvalues run from -1 to -1"),
    (lambda: ntk.eigenmodes(EYE * jnp.nan), ValueError, r"kernel holds 4 non-finite"),
    # dynamics
    (lambda: ntk.gradient_descent(0.0), ValueError, r"learning_rate must be positive .* got 0.0"),
    (lambda: ntk.gradient_descent(math.nan), ValueError, r"learning_rate must be positive .* got nan"),
    (lambda: ntk.heavy_ball(0.1, 1.0), ValueError, r"momentum in \[0, 1\), got 0.1 and 1.0"),
    (lambda: ntk.predict(EYE, jnp.ones((3, 1))), ValueError, r"for 2 examples, y_train holds 3: they must agree"),
    (lambda: ntk.predict(jnp.ones((2, 2, 2, 2)), Y), ValueError, r"for 2 outputs, y_train has shape \(2, 1\)"),
    (
        lambda: ntk.predict(EYE, Y, f_train0=jnp.ones(2)),
        ValueError,
        r"f_train0 \(2,\): they must agree, with no broadcasting",
    ),
    (lambda: ntk.predict(EYE, Y * jnp.nan), ValueError, r"y_train holds 2 non-finite"),
    (lambda: ntk.predict(EYE, Y, -1.0), ValueError, r"times must be 0 or more, got -1.0"),
    (lambda: ntk.predict(EYE, Y, math.nan), ValueError, r"times must be 0 or more, got nan"),
    (lambda: ntk.predict(EYE, Y, ridge=-1.0), ValueError, r"ridge must be 0 or more, got -1.0"),
    (lambda: ntk.predict(BAD, Y), ValueError, r"not positive semi-definite"),
    (
        lambda: ntk.predict(EYE, Y, ntk_test_train=jnp.ones((2, 3))),
        ValueError,
        r"rows of ntk_test_train are test points",
    ),
    (
        lambda: ntk.predict(EYE, Y, ntk_test_train=EYE, f_test0=jnp.ones(2)),
        ValueError,
        r"f_test0 \(2,\), for 2 training",
    ),
    (
        lambda: ntk.predict(EYE, Y, 1.0, ntk.gradient_descent(4.1)),
        ValueError,
        r"4\.1 is past the largest stable one, 4 .*Take it below",
    ),
    (
        lambda: ntk.predict_ensemble(
            EYE, BAD.at[0, 1].set(0.0), Y, ntk_test_train=EYE, nngp_test_train=EYE, nngp_test=EYE
        ),
        ValueError,
        r"nngp_train is not symmetric",
    ),
    (
        lambda: ntk.predict_ensemble(EYE, EYE, Y, ntk_test_train=EYE, nngp_test_train=EYE * jnp.nan, nngp_test=EYE),
        ValueError,
        r"nngp_test_train holds 4 non-finite",
    ),
    (
        lambda: ntk.predict_ensemble(EYE, EYE, Y, ntk_test_train=jnp.ones((3, 2)), nngp_test_train=EYE, nngp_test=EYE),
        ValueError,
        r"\(3, 2\), \(2, 2\), \(2, 2\)\]: they must be",
    ),
    (lambda: ntk.max_learning_rate(X), ValueError, r"ntk_train must be a square matrix"),
    (lambda: solve(ts=(1.0, 0.5)), ValueError, r"ts must be finite times in increasing order"),
    (lambda: solve(ts=(math.inf,)), ValueError, r"ts must be finite"),
    (lambda: solve(y=jnp.ones((3, 1))), ValueError, r"y_train holds 3 targets and f_train0 2 outputs: they must agree"),
    (lambda: solve(f0=Y * jnp.nan), ValueError, r"f_train0 holds 2 non-finite"),
    # training
    (
        lambda: ntk.squared_loss(jnp.ones((2, 1)), jnp.ones(2)),
        ValueError,
        r"\(2, 1\) and targets \(2,\).*no broadcasting",
    ),
    (
        lambda: train(D, steps=[1], y=jnp.ones((3, 1))),
        ValueError,
        r"x holds 2 examples and y 3 targets: they must agree",
    ),
    (lambda: train(D, steps=[1], x=NAN), ValueError, r"x holds 1 non-finite"),
    (lambda: train(D, ts=[1.0]), ValueError, r"takes steps=\.\.\., and nothing else"),
    (lambda: train(D), ValueError, r"takes steps=\.\.\., and nothing else"),
    (lambda: train(optax.adam(0.1), ts=[1.0], steps=[1]), ValueError, r"takes steps=\.\.\., and nothing else"),
    (lambda: train(ntk.gradient_flow(), steps=[1]), ValueError, r"takes ts=\.\.\., and nothing else"),
    (lambda: train(D, steps=[2, 1]), ValueError, r"steps must be finite, 0 or more, and increasing, got \[2 1\]"),
    (lambda: train(D, steps=[-1]), ValueError, r"steps must be finite, 0 or more"),
    (lambda: train(D, steps=[]), ValueError, r"steps .*got \[\]"),
    (lambda: train(D, steps=[0.5]), ValueError, r"whole numbers, got \[0.5\]"),
    (lambda: train(ntk.gradient_flow(), ts=[math.inf]), ValueError, r"ts must be finite"),
    (
        lambda: train(ntk.gradient_flow(), ts=[1.0], batch_size=1),
        ValueError,
        r"leave batch_size out, or take gradient_descent",
    ),
    (lambda: train(D, steps=[1], batch_size=1), ValueError, r"needs key=jax.random.key\(\.\.\.\)"),
    (lambda: train(ntk.gradient_flow(max_steps=3), ts=[1e6]), RuntimeError, r"max_steps"),
    # diagnostics
    (lambda: ntk.power_law([1.0, 2.0, 0.0], [1.0, 1.0, 1.0]), ValueError, r"needs positive x and y: leave out zeros"),
    (lambda: ntk.power_law([1.0, 2.0], [1.0, 1.0]), ValueError, r"give at least 3 points"),
    (lambda: ntk.power_law([1.0, 2.0, 3.0], [1.0, 1.0]), ValueError, r"x has shape \(3,\) and y \(2,\)"),
    (
        lambda: ntk.power_law([2.0, 2.0, 2.0], [1.0, 1.0, 2.0]),
        ValueError,
        r"all values of x are 2: .*two different ones",
    ),
    (lambda: ntk.power_law([1.0, 2.0, 3.0], [1.0, math.nan, 1.0]), ValueError, r"y holds 1 non-finite"),
    (lambda: ntk.estimate(jnp.ones((1, 3))), ValueError, r"at least two samples, got 1"),
    # datasets
    (lambda: ntk.datasets.near_duplicates(KEY, 3, 4, 5.0), ValueError, r"between 0 and 2 √dim = 4, got 5.0"),
    (lambda: ntk.datasets.teacher_student(KEY, 3, 2, 0), ValueError, r"dim=0, num_neurons=3: only num_test may be 0"),
    (lambda: ntk.datasets.sparse_parity(KEY, 3, 2, 4, 5), ValueError, r"1 ≤ degree ≤ dim .* got degree=5, dim=4"),
    (lambda: ntk.datasets.sparse_parity(KEY, 3, 2, 4, 0), ValueError, r"1 ≤ degree ≤ dim .* got degree=0, dim=4"),
    (lambda: ntk.datasets.sparse_parity(KEY, 0, 2), ValueError, r"examples are needed, .* num_train=0, num_test=2"),
    (lambda: ntk.datasets.staircase(KEY, 3, 2, 2), ValueError, r"1 ≤ degree ≤ dim .* got degree=3, dim=2"),
    (lambda: ntk.datasets.staircase(KEY, 3, -1), ValueError, r"num_train=3, num_test=-1"),
    (lambda: ntk.datasets.single_index(KEY, 3, 2, 0), ValueError, r"dim ≥ 2, .* got dim=0, num_train=3"),
    (lambda: ntk.datasets.single_index(KEY, 0, 2), ValueError, r"one of them to train with, got dim=20, num_train=0"),
    (lambda: ntk.datasets.single_index(KEY, 1, 0), ValueError, r"at least two examples, .* num_train=1, num_test=0"),
    (lambda: ntk.datasets.digits(KEY, 1000, 1000), ValueError, r"1797 digits, 1000 \+ 1000 were asked for"),
    (lambda: ntk.datasets.digits(KEY, 10, 1, labels="ten"), ValueError, r"\"parity\" or \"one_hot\", got 'ten'"),
    (lambda: ntk.datasets.digits(KEY, 10, 1, num_components=11), ValueError, r"between 1 and 10, got 11"),
    (lambda: ntk.datasets.digits(KEY, 300, 66, classes=(3, 5)), ValueError, r"365 digits of the classes 3, 5, 300 \+"),
    (lambda: ntk.datasets.digits(KEY, 5, 1, classes=(3, 3)), ValueError, r"different ones from 0 to 9, got \(3, 3\)"),
    (lambda: ntk.datasets.digits(KEY, 5, 1, classes=(3,)), ValueError, r"two or more different ones .* got \(3,\)"),
    (lambda: ntk.datasets.digits(KEY, 5, 1, classes=(3, 10)), ValueError, r"from 0 to 9, got \(3, 10\)"),
    (lambda: ntk.datasets.digits(KEY, 5, 1, size=3), ValueError, r"one of 1, 2, 4, 8, to average .*, got 3"),
    (
        lambda: ntk.datasets.digits(KEY, 5, 1, images=True, num_components=2),
        ValueError,
        r"components do not form an image: leave out",
    ),
    (lambda: ntk.datasets.digits(KEY, 1, 1), ValueError, r"an image equals the training mean.*more training images"),
]


@pytest.mark.parametrize("call, kind, message", REFUSED, ids=[message for *_, message in REFUSED])
def test_refused(call, kind, message):
    with pytest.raises(kind, match=f"(?s){message}"):
        call()


@pytest.mark.parametrize("at_hand", [True, False])
def test_finite_is_told_on_any_device(at_hand, monkeypatch):
    """Also of numbers whose sum is not finite."""
    monkeypatch.setattr(_checks, "at_hand", lambda array: at_hand)
    good = {"a": jnp.full(3, 1e308), "b": np.arange(2), "c": 1.0, "d": jnp.ones(2, jnp.bfloat16)}
    _checks.check_finite(good=good, nothing=())
    for bad in (jnp.asarray([1.0, math.nan, math.inf]), np.asarray([1.0, math.inf, -math.inf])):
        with pytest.raises(ValueError, match=r"x holds 2 non-finite value\(s\) of 4"):
            _checks.check_finite(good=good, x=[bad, 1.0])


def test_nothing_is_checked_while_jax_traces():
    """Values are not there to be looked at: bad ones pass through as NaN instead of an error of JAX's own."""
    assert jnp.isnan(jax.jit(lambda x: ntk.gram(K, x))(NAN)[0, 0])
    assert jax.jit(lambda k: ntk.predict(k, Y, 1.0, ntk.gradient_descent(4.1)).train)(EYE).shape == Y.shape
