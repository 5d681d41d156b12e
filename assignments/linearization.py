# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [raw]
# # ASSIGNMENT CONFIG
# name: linearization
# init_cell: false
# export_cell: false
# show_question_points: true
# generate: true
# tests:
#   files: true
#   ok_format: false

# %% [markdown]
# # Assignment 1: linearization
#
# Five tasks on the chapters of Part I, 20 points. Replace each `...` by your code and run the cell below it: it runs
# the tests that you may see. Others, on other inputs, decide with them about the points. Each task asks for a
# function whose arguments and results are arrays and numbers, so that it works on inputs you have not seen; do not
# call a function of `ntk` that does the whole task.

# %%
SEED = 0
net = ntk.mlp(24, 2, 1, ntk.tanh)  # width 24, two hidden layers, one output
params0, _ = net.init(jax.random.key(SEED), (3,))
x = jax.random.normal(jax.random.key(SEED + 1), (3,))


def f(params, x):
    """Return the network's output, a number."""
    return net.apply(params, x)[0]


# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4

# %% [markdown]
# **1. The tangent, by one forward pass.** Write `tangent(params, x)`: the value at `params` of the first-order
# expansion of `f` in its parameters around `params0`. The displacement `params - params0` has the structure of the
# parameters (`jax.tree.map` subtracts leaf by leaf), and `jax.jvp` multiplies it by the Jacobian without writing that
# down.

# %% [raw]
# # BEGIN SOLUTION

# %%
def tangent(params, x):
    """Return f(params0, x) + Df(params0, x) (params - params0)."""
    # BEGIN SOLUTION
    displacement = jax.tree.map(lambda new, old: new - old, params, params0)
    value, slope = jax.jvp(lambda params: f(params, x), (params0,), (displacement,))
    return value + slope
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_it_touches_the_network(jax, ntk, f, params0, x, tangent):
    ntk.exercises.expect(tangent(params0, x), f(params0, x), {
        "at params0 the tangent and the network agree, yours is 0: the value at params0 is missing": 0.0,
    })
    once, twice = (jax.tree.map(lambda old, s=s: (1 + s) * old, params0) for s in (1, 2))
    rise = tangent(once, x) - f(params0, x)
    ntk.exercises.expect(tangent(twice, x) - f(params0, x), 2 * rise)  # linear in the displacement


# %%
# HIDDEN
def test_far_from_the_start(jax, jnp, ntk, tangent, SEED):
    net = ntk.mlp(24, 2, 1, ntk.tanh)
    f = lambda params, x: net.apply(params, x)[0]
    (start, _), (end, _) = (net.init(jax.random.key(SEED + s), (3,)) for s in (0, 11))
    x = jnp.array([0.3, -2.0, 1.1])
    slope = jax.jit(lambda at, along: jax.jvp(lambda p: f(p, x), (at,), (along,))[1])
    value, move = f(start, x), jax.tree.map(lambda a, b: a - b, end, start)
    ntk.exercises.expect(tangent(end, x), value + slope(start, move), {
        "this is only the change of f: the value at params0 is missing": slope(start, move),
        "the Jacobian multiplies the displacement params - params0, not params": value + slope(start, end),
        "this expands around params: expand around params0": f(end, x) + slope(end, move),
        "this is the network itself, not its expansion": f(end, x),
    })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 4

# %% [markdown]
# **2. What the tangent leaves out.** Along `params0 + s * direction` the remainder $f - f^{\mathrm{lin}}$ is $c\,s^2$
# for small $s$. Write `remainder_coefficient(direction, x)`, which returns $c$, with its sign, exactly: by
# derivatives, not by a small $s$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def remainder_coefficient(direction, x):
    """Return c, where f - f_lin = c s² + O(s³) at params0 + s direction."""
    # BEGIN SOLUTION
    def along(s):
        return f(jax.tree.map(lambda old, move: old + s * move, params0, direction), x)

    return jax.grad(jax.grad(along))(0.0) / 2
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_a_small_step(jax, ntk, f, params0, x, remainder_coefficient):
    at = lambda s: f(jax.tree.map(lambda old: (1 + s) * old, params0), x)
    by_steps = (at(1e-3) + at(-1e-3) - 2 * at(0.0)) / 2e-6  # up to 1e-6
    ntk.exercises.expect(remainder_coefficient(params0, x), by_steps, {
        "twice too large: write down the Taylor series of f along the direction": 2 * by_steps,
        "this is the slope, which the tangent has already": (at(1e-3) - at(-1e-3)) / 2e-3,
    }, rtol=1e-4)


# %%
# HIDDEN
def test_three_times_the_direction(jax, jnp, ntk, remainder_coefficient, SEED):
    net = ntk.mlp(24, 2, 1, ntk.tanh)
    (start, _), (move, _) = (net.init(jax.random.key(SEED + s), (3,)) for s in (0, 7))
    x = jnp.array([1.5, 0.2, -0.7])
    line = lambda s: net.apply(jax.tree.map(lambda a, b: a + 3 * s * b, start, move), x)[0]
    first, second = jax.jit(lambda: (jax.grad(line)(0.0), jax.grad(jax.grad(line))(0.0)))()
    ntk.exercises.expect(remainder_coefficient(jax.tree.map(lambda a: 3 * a, move), x), second / 2, {
        "the term of second order is one half of the second derivative": second,
        "this is the slope, which the tangent has already": first,
        "c has a sign: do not take the absolute value": abs(second) / 2,
    })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3
# points: 4

# %% [markdown]
# **3. A kernel without automatic differentiation.** For $f(x) = \frac{1}{\sqrt m} \sum_j a_j \tanh(w_j \cdot x /
# \sqrt d)$ derive the tangent kernel with respect to all $a_j$ and $w_j$, and write `two_layer_kernel(a, w, x1, x2)`.
# Shapes: `a` is `(m,)`, `w` is `(m, d)`, `x1` and `x2` are `(n1, d)` and `(n2, d)`; the result is `(n1, n2)`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def two_layer_kernel(a, w, x1, x2):
    """Return the tangent kernel between the rows of x1 and those of x2."""
    # BEGIN SOLUTION
    m, d = w.shape
    h1, h2 = (jnp.tanh(x @ w.T / d**0.5) for x in (x1, x2))
    readout = h1 @ h2.T / m
    hidden = ((1 - h1**2) * a**2) @ (1 - h2**2).T / m
    return readout + hidden * (x1 @ x2.T) / d
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_where_tanh_is_straight(np, ntk, two_layer_kernel):
    x1, x2 = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [0.0, 0.0]])
    answer = two_layer_kernel(np.full(3, 2.0), np.zeros((3, 2)), x1, x2)
    ntk.exercises.expect(answer, [[22.0, 0.0]], {
        "the derivative with respect to w_j brings a factor x/√d": [[44.0, 0.0]],
        "how often does a_j occur in the product of two derivatives with respect to w_j?": [[11.0, 0.0]],
        "where are the derivatives with respect to w?": [[0.0, 0.0]],
        "the sum over units has 1/√m in both factors": [[66.0, 0.0]],
    })


# %%
# HIDDEN
def test_random_weights(jax, jnp, np, ntk, two_layer_kernel):
    rng = np.random.default_rng(21)
    a, w, x1, x2 = (rng.normal(size=shape) for shape in [(11,), (11, 5), (2, 5), (6, 5)])
    h1, h2 = (np.tanh(x @ w.T / 5**0.5) for x in (x1, x2))
    inputs, readout = x1 @ x2.T / 5, h1 @ h2.T / 11
    part = lambda power: ((1 - h1**2) * a**power) @ (1 - h2**2).T / 11
    ntk.exercises.expect(two_layer_kernel(a, w, x1, x2), readout + part(2) * inputs, {
        "the derivative with respect to w_j brings a factor x/√d: divide x·x' by d": readout + part(2) * 5 * inputs,
        "this is the part of the readout weights a alone; add that of w": readout,
        "this is the part of the hidden weights w alone; add that of a": part(2) * inputs,
        "a_j is a factor of both derivatives with respect to w_j: a_j squared": readout + part(1) * inputs,
        "the sum over units has 1/√m in both factors: divide by m": 11 * (readout + part(2) * inputs),
    })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 4

# %% [markdown]
# **4. The loss at time t.** The loss is $\frac{1}{2n}\lVert f - y\rVert^2$, training is gradient flow with the fixed
# kernel matrix `kernel`, and $f_0 = 0$. Write `loss_at(kernel, y, t)` in closed form, from the eigenvalues and
# eigenvectors of the kernel (`jnp.linalg.eigh`).

# %% [raw]
# # BEGIN SOLUTION

# %%
def loss_at(kernel, y, t):
    """Return the training loss at time t, for f = 0 at time 0."""
    # BEGIN SOLUTION
    n = len(y)
    rates, modes = jnp.linalg.eigh(kernel)
    residual = jnp.exp(-rates * t / n) * (modes.T @ y)
    return jnp.sum(residual**2) / (2 * n)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_two_modes(np, ntk, loss_at):
    kernel, y = np.diag([2.0, 4.0]), np.ones(2)
    ntk.exercises.expect(loss_at(kernel, y, 0.0), 0.5, {
        "at time 0 nothing is learned and the loss is 1/(2n) times the sum of y²": 1.0,
    })
    ntk.exercises.expect(loss_at(kernel, y, 1.0), 0.03841273, {
        "too fast: what does the mean over n examples do to the rates?": 0.00466278,
        "too slow: how fast does the square of a residual decay?": 0.12580368,
    })


# %%
# HIDDEN
def test_coupled_examples(np, ntk, loss_at):
    root, y = np.random.default_rng(31).normal(size=(9, 9)) / 3, np.cos(np.arange(9.0))
    kernel = root @ root.T
    rates, modes = np.linalg.eigh(kernel)
    lost = lambda t, factor: np.sum((np.exp(-factor * rates * t) * (modes.T @ y)) ** 2) / 18
    for t in (0.4, 25.0):
        ntk.exercises.expect(loss_at(kernel, y, t), lost(t, 1 / 9), {
            "the loss is a mean, so the rates are eigenvalues divided by n": lost(t, 1.0),
            "squares of the residual decay twice as fast as the residual: square the factor too": lost(t, 1 / 18),
            "the loss has a factor one half": 2 * lost(t, 1 / 9),
            "the loss is a mean over examples: divide by n": 9 * lost(t, 1 / 9),
        })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 4

# %% [markdown]
# **5. One step too long.** Gradient descent with learning rate `rate` on the same loss multiplies each mode by a
# factor. Write `steps_to_double(kernel, rate)`: after how many steps, a real number, the fastest-growing mode is
# twice as large as at the start, and infinity (`jnp.inf`) where no mode grows.

# %% [raw]
# # BEGIN SOLUTION

# %%
def steps_to_double(kernel, rate):
    """Return the number of steps after which the fastest-growing mode has doubled."""
    # BEGIN SOLUTION
    factors = jnp.abs(1 - rate * jnp.linalg.eigvalsh(kernel) / len(kernel))
    growth = float(factors.max())
    return jnp.log(2.0) / jnp.log(growth) if growth > 1 else jnp.inf
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_just_above_the_limit(np, ntk, steps_to_double):
    ntk.exercises.expect(steps_to_double(np.diag([8.0, 2.0, 1.0, 0.5]), 1.05), 7.2725409, {
        "too soon: the loss is a mean over examples": 0.3463173,
        "this is a flow that grows; a step multiplies": 0.3300701,
        "a mode does grow here: what becomes of one that changes its sign at each step?": np.inf,
    })


# %%
# HIDDEN
def test_both_sides_of_the_limit(np, ntk, steps_to_double):
    kernel = np.array([[3.0, 1.0], [1.0, 3.0]])
    for rate in (1.01, 3.0):
        ntk.exercises.expect(steps_to_double(kernel, rate), np.log(2.0) / np.log(2 * rate - 1), {
            "the loss is a mean: the factor is 1 - rate λ/n": np.log(2.0) / np.log(4 * rate - 1),
            "no mode seems to grow: what is the size of 1 - rate λ/n where that is below -1?": np.inf,
        })
    assert steps_to_double(kernel, 0.99) == np.inf, "the limit is 2n/λ, here 1: below it no mode grows"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION
