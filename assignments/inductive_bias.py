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
# name: inductive_bias
# init_cell: false
# export_cell: false
# show_question_points: true
# generate: true
# tests:
#   files: true
#   ok_format: false

# %% [markdown]
# # Assignment 3: inductive bias
#
# Five tasks on the chapters of Part III, 20 points. Replace each `...` by your code and run the cell below it: it
# runs the tests that you may see. Others, on other inputs, decide with them about the points. Functions take and
# return arrays and numbers, so that they work on inputs that you have not seen.

# %%
def kernel(x1, x2):
    """Return a kernel of two vectors of the same length."""
    return jnp.exp(x1 @ x2 / len(x1))


# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4

# %% [markdown]
# **1. The spectrum on the circle.** A kernel that depends on the angle $a$ alone is given at $n$ equispaced angles
# $2\pi j/n$, $j = 0, 1, \dots$, as `values`. Write `circle_eigenvalues(values)`: its eigenvalues under the uniform
# law on these points, for the frequencies $k = 0, 1, \dots, n/2$ ($n$ is even).

# %% [raw]
# # BEGIN SOLUTION

# %%
def circle_eigenvalues(values):
    """Return the eigenvalues of frequencies 0 to n/2."""
    # BEGIN SOLUTION
    return jnp.fft.rfft(values).real / len(values)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_one_cosine(np, ntk, circle_eigenvalues):
    values = 3 + 2 * np.cos(2 * np.pi * np.arange(8) / 8)
    ntk.exercises.expect(circle_eigenvalues(values), [3.0, 1.0, 0.0, 0.0, 0.0], {
        "under the uniform law a sum over points is a mean": [24.0, 8.0, 0.0, 0.0, 0.0],
        "these are amplitudes of cosines: what does the kernel make of cos(k·)?": [3.0, 2.0, 0.0, 0.0, 0.0],
    })


# %%
# HIDDEN
def test_against_the_matrix(np, ntk, circle_eigenvalues):
    values = np.exp(np.cos(2 * np.pi * np.arange(10) / 10))
    matrix = np.stack([np.roll(values, s) for s in range(10)])
    waves = np.cos(2 * np.pi * np.outer(np.arange(6), np.arange(10)) / 10)
    expected = (waves @ matrix)[:, 0] / 10
    doubled = expected * np.array([1, 2, 2, 2, 2, 1])
    all_doubled = expected * np.array([1, 2, 2, 2, 2, 2])
    ntk.exercises.expect(circle_eigenvalues(values), expected, {
        "under the uniform law a sum over points is a mean: divide by n": 10 * expected,
        "an eigenvalue is half the amplitude of its cosine, since cos² has the mean 1/2": doubled,
        "an eigenvalue is half the amplitude of its cosine; cos² has the mean 1/2": all_doubled,
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
# **2. What is learned from n examples.** Write `learnabilities(eigenvalues, num_train, ridge)`, from $n = \sum_i
# \lambda_i/(\lambda_i + r) + \rho/r$ with the ridge $\rho$ and the effective ridge $r$, which you find by bisection
# or Newton's method: $\mathcal L_i = \lambda_i/(\lambda_i + r)$. There are more modes than examples.

# %% [raw]
# # BEGIN SOLUTION

# %%
def learnabilities(eigenvalues, num_train, ridge):
    """Return the learnability of each mode."""
    # BEGIN SOLUTION
    low, high = 0.0, jnp.sum(eigenvalues) + ridge  # the right side falls with r; at `high` it is at most 1
    for _ in range(200):
        middle = (low + high) / 2
        too_many = jnp.sum(eigenvalues / (eigenvalues + middle)) + ridge / middle > num_train
        low, high = jnp.where(too_many, middle, low), jnp.where(too_many, high, middle)
    return eigenvalues / (eigenvalues + high)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_equal_modes(np, ntk, learnabilities):
    ntk.exercises.expect(learnabilities(np.ones(10), 4, 0.0), np.full(10, 0.4), {
        "these are the parts that are not learned": np.full(10, 0.6),
    })
    ntk.exercises.expect(learnabilities(np.ones(10), 4, 8.0), np.full(10, 0.2), {
        "a ridge takes part of the examples: where is ρ/r?": np.full(10, 0.4),
        "these are the parts that are not learned": np.full(10, 0.8),
    })


# %%
# HIDDEN
def test_a_power_law(np, ntk, learnabilities):
    from scipy.optimize import brentq

    eigenvalues = np.arange(1, 51) ** -2.0
    for n, ridge in ((5, 0.0), (12, 0.03)):
        missing = lambda r, ridge: np.sum(eigenvalues / (eigenvalues + r)) + ridge / r - n
        right, without = (brentq(missing, 1e-9, 10, (rho,), xtol=1e-15) for rho in (ridge, 0.0))
        ntk.exercises.expect(learnabilities(eigenvalues, n, ridge), eigenvalues / (eigenvalues + right), {
            "these are the parts that are not learned: 1 less the learnability": right / (eigenvalues + right),
            "a ridge takes part of the examples: add ρ/r": eigenvalues / (eigenvalues + without),
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
# **3. A kernel that does not see shifts.** Write `averaged(x1, x2)`: the mean of `kernel` over all cyclic shifts of
# `x2` (`jnp.roll`). It is the kernel of a lazily trained network that sees every shift of each example.

# %% [raw]
# # BEGIN SOLUTION

# %%
def averaged(x1, x2):
    """Return the mean of kernel(x1, x2 shifted by s) over all s."""
    # BEGIN SOLUTION
    return jnp.mean(jnp.stack([kernel(x1, jnp.roll(x2, s)) for s in range(len(x2))]))
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_it_does_not_see_shifts(np, ntk, averaged):
    x, y = np.array([1.0, 0.0, -1.0]), np.array([0.5, 2.0, 1.0])
    ntk.exercises.expect(averaged(np.ones(3), np.ones(3)), np.e, {
        "a mean, not a sum: a constant sequence has the kernel it had": 3 * np.e,
    })
    ntk.exercises.expect(averaged(x, np.roll(y, 1)), averaged(x, y))


# %%
# HIDDEN
def test_five_positions(np, ntk, averaged):
    x, y = np.random.default_rng(8).normal(size=(2, 5))
    all_shifts = np.exp([x @ np.roll(y, s) / 5 for s in range(5)])
    ntk.exercises.expect(averaged(x, y), all_shifts.mean(), {
        "a mean over shifts, not a sum": all_shifts.sum(),
        "shift one of the two: the kernel of two sequences shifted together is the same": all_shifts[0],
        "there are as many shifts as positions, that by 0 among them": all_shifts[1:].mean(),
        "the mean of the kernel, not the kernel of the mean": np.exp(x.sum() * y.mean() / 5),
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
# **4. Deep ReLU networks forget the angle.** With $\sigma_w = \sqrt 2$ and no biases, a ReLU layer turns the
# correlation $c$ of two inputs into $\frac1\pi\left(\sqrt{1 - c^2} + (\pi - \arccos c)\,c\right)$. Write
# `layers_until(c, limit)`: after how many layers the correlation is first at least `limit`; 0 where it is from the
# start.

# %% [raw]
# # BEGIN SOLUTION

# %%
def layers_until(c, limit):
    """Return the number of layers, an integer."""
    # BEGIN SOLUTION
    layers = 0
    while c < limit:
        c = float((jnp.sqrt(1 - c**2) + (jnp.pi - jnp.arccos(c)) * c) / jnp.pi)
        layers += 1
    return layers
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_orthogonal_inputs(np, ntk, layers_until):
    ntk.exercises.expect(layers_until(0.5, 0.3), 0, {"no layer is needed here: count after you have looked": 1})
    ntk.exercises.expect(layers_until(0.0, 0.3), 1, {"one layer brings c = 0 to 1/π, which is above 0.3": 0})
    ntk.exercises.expect(layers_until(0.0, 0.9), 13, {
        "one too few: how many layers has c passed when it is first above the limit?": 12,
        "one too many: how many layers has c passed when it is first above the limit?": 14,
    })


# %%
# HIDDEN
def test_from_opposite_inputs(np, ntk, layers_until):
    for start, limit in ((-0.8, 0.95), (0.2, 0.99)):
        layers, c = 0, start
        while c < limit:
            c, layers = (np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c) / np.pi, layers + 1
        ntk.exercises.expect(layers_until(start, limit), layers, {
            "one too few: the layer that brings c above the limit counts": layers - 1,
            "one too many: stop at the first layer above the limit": layers + 1,
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
# **5. The price of a degree.** A kernel that treats all directions alike needs at least as many examples as there are
# independent functions it has to learn. Write `functions_up_to(dim, degree)`: the number of independent functions on
# the sphere in `dim` dimensions that are polynomials of degree at most `degree`. On the sphere $x_1^2 + \dots +
# x_d^2$ is a constant, so that $N(d, \ell) = \binom{d + \ell - 1}{\ell} - \binom{d + \ell - 3}{\ell - 2}$ are new at
# degree $\ell$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def functions_up_to(dim, degree):
    """Return how many independent functions there are, an integer."""
    # BEGIN SOLUTION
    from math import comb

    lower = comb(dim + degree - 2, degree - 1) if degree else 0
    return comb(dim + degree - 1, degree) + lower
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_three_dimensions(np, ntk, functions_up_to):
    ntk.exercises.expect(functions_up_to(3, 0), 1, {"the constant is a function too": 0})
    ntk.exercises.expect(functions_up_to(3, 2), 9, {
        "up to this degree: add those of lower degree": 5,
        "that counts polynomials: two that agree on the sphere are one function": 10,
    })


# %%
# HIDDEN
def test_more_dimensions(np, ntk, functions_up_to):
    from math import comb

    for d, degree in ((10, 3), (30, 4), (5, 1)):
        new = [comb(d + k - 1, k) - (comb(d + k - 3, k - 2) if k > 1 else 0) for k in range(degree + 1)]
        ntk.exercises.expect(functions_up_to(d, degree), sum(new), {
            "up to this degree: add those of lower degree": new[-1],
            "that counts polynomials: |x|² is a constant on the sphere, so some are the same": comb(d + degree, degree),
        }, rtol=1e-12)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION
