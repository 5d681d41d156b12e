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
# name: lazy_training
# init_cell: false
# export_cell: false
# show_question_points: true
# generate: true
# tests:
#   files: true
#   ok_format: false

# %% [markdown]
# # Assignment 2: lazy training
#
# Five tasks on the chapters of Part II, 20 points. Replace each `...` by your code and run the cell below it: it runs
# the tests that you may see. Others, on other inputs, decide with them about the points. Functions take and return
# arrays and numbers, so that they work on inputs that you have not seen.

# %%
SEED = 0


def model(w, x):
    """Return the output of three tanh units, a number; w holds their readout weights, then their input weights."""
    return w[:3] @ jnp.tanh(w[3:] * x)


# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4

# %% [markdown]
# **1. The relative scale of a small network.** Write `kappa(w, x, y)` for `model` on the single example `x` with
# target `y`, not centred: $\kappa = |f - y|\,\lVert D^2 f\rVert / \lVert \nabla f\rVert^2$ with derivatives in `w`.
# The norm of the second derivative is the operator norm.

# %% [raw]
# # BEGIN SOLUTION

# %%
def kappa(w, x, y):
    """Return the relative scale of `model` at w."""
    # BEGIN SOLUTION
    slope, curvature = jax.grad(model)(w, x), jax.hessian(model)(w, x)
    return abs(model(w, x) - y) * jnp.linalg.norm(curvature, 2) / jnp.sum(slope**2)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_by_hand(np, ntk, kappa):
    w = np.array([2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    ntk.exercises.expect(kappa(w, 1.0, -3.0), 0.75, {
        "the norm of the gradient enters squared": 1.5,
        "that is the Frobenius norm: the operator norm is the largest |eigenvalue|": 3 * 6**0.5 / 4,
        "how far is f from its target?": 0.0,
    })


# %%
# HIDDEN
def test_random_weights(np, ntk, kappa, SEED):
    rng = np.random.default_rng(SEED)
    for x, y in ((0.7, 2.0), (-1.4, -0.3)):
        w = rng.normal(size=6)
        a, h = w[:3], np.tanh(w[3:] * x)
        slope = np.concatenate([h, a * x * (1 - h**2)])
        cross, curved = np.diag(x * (1 - h**2)), np.diag(-2 * a * x**2 * h * (1 - h**2))
        hessian = np.block([[np.zeros((3, 3)), cross], [cross, curved]])
        scale = lambda norm, power: abs(a @ h - y) * np.linalg.norm(hessian, norm) / np.linalg.norm(slope) ** power
        ntk.exercises.expect(kappa(w, x, y), scale(2, 2), {
            "the norm of the gradient enters squared": scale(2, 1),
            "that is the Frobenius norm: the operator norm is the largest |eigenvalue|": scale("fro", 2),
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
# **2. How much does the kernel change?** The scaled model is $F = \alpha\,u v$ with two parameters, which start at $u
# = 1$, $v = 0$. Gradient flow brings $F$ to the target $y$ and conserves $u^2 - v^2$. The kernel of $f = uv$ is
# $\Theta = u^2 + v^2$. Derive the relative change $(\Theta_\infty - \Theta_0)/\Theta_0$ and write it as
# `kernel_change(alpha, y)`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def kernel_change(alpha, y):
    """Return the relative change of the kernel from the start to the end of training."""
    # BEGIN SOLUTION
    return (1 + 4 * (y / alpha) ** 2) ** 0.5 - 1  # (u² + v²)² = (u² − v²)² + 4 u²v²
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_one_scale(np, ntk, kernel_change):
    ntk.exercises.expect(kernel_change(3.0, 3 * 6**0.5), 4.0, {
        "the first order is not enough here: use what is conserved, exactly": 12.0,
        "that is the ratio of the kernels; the change is one less": 5.0,
        "u changes as well": 6.0,
    })


# %%
# HIDDEN
def test_lazy_and_rich(np, ntk, kernel_change):
    for alpha, y in ((0.1, 2.0), (1.0, -1.0), (30.0, 0.5)):
        z = y / alpha
        ntk.exercises.expect(kernel_change(alpha, y), np.sqrt(1 + 4 * z**2) - 1, {
            "the first order is not enough here: use what is conserved, exactly": 2 * z**2,
            "that is the ratio of the kernels; the change is one less": np.sqrt(1 + 4 * z**2),
            "u changes as well": z**2,
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
# **3. Why the exponents differ.** For large $\alpha$ the change in task 2 falls as a power of $\alpha$. It falls as
# another power where the same centred model $F = \alpha\,(uv - u_0v_0)$ starts at $u_0 = v_0 = 1$. Give both as
# `exponents`, a pair of (negative) numbers: that of the start $(1, 0)$, then that of the start $(1, 1)$. Why are they
# not the same?

# %% [raw]
# # BEGIN SOLUTION

# %%
exponents = (-2.0, -1.0)  # SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_two_negative_numbers(np, ntk, exponents):
    assert np.shape(exponents) == (2,), "give two numbers, (for the start (1, 0), for the start (1, 1))"
    assert max(exponents) < 0, "the change falls as α grows: the exponents are negative"


# %%
# HIDDEN
def test_both(np, ntk, exponents):
    ntk.exercises.expect(exponents, (-2.0, -1.0), {
        "interchanged: at (1, 0) the gradient of the kernel is orthogonal to that of f": (-1.0, -2.0),
        "the first is not -1: at (1, 0) the first-order change of the kernel vanishes": (-1.0, -1.0),
        "the second is not -2: at (1, 1) the kernel has a first-order change": (-2.0, -2.0),
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
# **4. How many networks?** `F` holds the outputs of `N` trained networks on `n` test examples, shape `(N, n)`; `y`
# the targets. The error of the mean of $K$ networks is $E_\infty + s^2/K$, where $s^2$ is the variance over networks,
# mean over examples. Write `needed(F, y, excess)`: the smallest $K$ for which $s^2/K$ is at most `excess` times
# $E_\infty$. Estimate both without bias: the mean of your $N$ networks has the error of $K = N$, not of infinitely
# many.

# %% [raw]
# # BEGIN SOLUTION

# %%
def needed(F, y, excess):
    """Return the smallest number of networks, an integer."""
    # BEGIN SOLUTION
    variance = jnp.var(F, axis=0, ddof=1).mean()
    limit = jnp.mean((F.mean(axis=0) - y) ** 2) - variance / len(F)
    return int(jnp.ceil(variance / (excess * limit)))
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_two_networks(np, ntk, needed):
    ntk.exercises.expect(needed(np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([3.0, 3.0]), 0.1), 7, {
        "the error of two networks still has s²/2 in it: what is E∞?": 5,
        "the variance over N networks without bias divides by N - 1": 3,
        "a number of networks is an integer: round up": 20 / 3,
        "round up: with fewer the excess is larger": 6,
    })


# %%
# HIDDEN
def test_five_networks(np, ntk, needed, SEED):
    F = np.random.default_rng(SEED + 1).normal(size=(5, 40))
    y = np.full(40, 1.5)
    error = np.mean((F.mean(axis=0) - y) ** 2)
    count = lambda s2, part: np.ceil(s2 / (0.01 * (error - part * s2 / 5)))
    s2, biased = F.var(axis=0, ddof=1).mean(), F.var(axis=0).mean()
    ntk.exercises.expect(needed(F, y, 0.01), count(s2, 1), {
        "E∞ is the error of your mean less s²/N": count(s2, 0),
        "the variance over N networks without bias divides by N - 1": count(biased, 1),
    }, rtol=1e-12)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 4

# %% [markdown]
# **5. From one width to another.** At `width` the relative kernel change was measured at several output scales:
# `changes` at `alphas`, increasing in `alphas` and falling in `changes`. Write `crossover(alphas, changes, width,
# new_width)`: the $\alpha$ at which the change is 1/2 at `new_width`. Interpolate log change linearly in log α
# between the measurements, and use that the kernel change depends on $\sqrt m\,\alpha$ only.

# %% [raw]
# # BEGIN SOLUTION

# %%
def crossover(alphas, changes, width, new_width):
    """Return the α at which the relative kernel change is one half at `new_width`."""
    # BEGIN SOLUTION
    log_alpha = jnp.interp(-jnp.log(0.5), -jnp.log(changes), jnp.log(alphas))
    return jnp.exp(log_alpha) * (width / new_width) ** 0.5
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_four_times_as_wide(np, ntk, crossover):
    ntk.exercises.expect(crossover(np.array([1.0, 20.0, 50.0]), np.array([5.0, 0.25, 0.1]), 100, 400), 5.0, {
        "the wrong way: a wider network is lazier at the same α": 20.0,
        "√m α is kept, not m α": 2.5,
        "this is the crossover at the old width": 10.0,
        "interpolate the logarithms": (1 + 19 * 4.5 / 4.75) / 2,
    })


# %%
# HIDDEN
def test_other_measurements(np, ntk, crossover):
    alphas, changes = np.array([0.1, 0.7, 2.0, 9.0]), np.array([3.0, 0.9, 0.3, 0.02])
    log = np.log(0.7) + np.log(2.0 / 0.7) * np.log(0.9 / 0.5) / np.log(3.0)
    for width, new in ((64, 500), (300, 20)):
        ratio = width / new
        ntk.exercises.expect(crossover(alphas, changes, width, new), np.exp(log) * ratio**0.5, {
            "the wrong way: a wider network is lazier at the same α": np.exp(log) / ratio**0.5,
            "√m α is kept, not m α": np.exp(log) * ratio,
            "this is the crossover at the old width": np.exp(log),
        })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION
