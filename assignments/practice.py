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
# name: practice
# init_cell: false
# export_cell: false
# show_question_points: true
# generate: true
# tests:
#   files: true
#   ok_format: false

# %% [markdown]
# # Assignment 4: kernels that do not fit
#
# Four tasks on Kernels of any size, 16 points. Replace each `...` by your code and run the cell below it: it runs the
# tests that you may see. Others, on other inputs, decide with them about the points. Functions take and return arrays
# and numbers, so that they work on inputs that you have not seen.

# %%
def f(w, x):
    """Return the outputs, one for each row of x, of a network with the parameters w in one vector of length 20."""
    return jnp.tanh(x @ w[:16].reshape(4, 4)) @ w[16:]


# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4

# %% [markdown]
# **1. How many rows at a time?** The kernel matrix of $n$ examples with $k$ outputs and $p$ parameters is computed
# block by block: $r$ examples against all. At the same time there are in memory the Jacobian of the $r$ examples, the
# Jacobian of all $n$, and the block of the matrix. Write `rows_at_a_time(n, k, p, num_bytes, itemsize)`: the largest
# $r$, at most $n$; 0 where not even one fits.

# %% [raw]
# # BEGIN SOLUTION

# %%
def rows_at_a_time(n, k, p, num_bytes, itemsize):
    """Return the number of examples in a block, an integer."""
    # BEGIN SOLUTION
    numbers = num_bytes // itemsize - n * k * p
    return max(0, min(n, numbers // (k * p + k * n * k)))
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_a_small_memory(np, ntk, rows_at_a_time):
    ntk.exercises.expect(rows_at_a_time(10, 2, 100, 8 * 4400, 8), 10, {"more rows than examples": 24 // 2 - 2})
    ntk.exercises.expect(rows_at_a_time(10, 2, 100, 8 * 3000, 8), 4, {
        "the Jacobian of all examples is in memory as well": 10,
        "a pair of examples has k² numbers in the matrix": 3000 - 2996,
    })
    ntk.exercises.expect(rows_at_a_time(10, 2, 100, 8 * 100, 8), 0)


# %%
# HIDDEN
def test_large_numbers(np, ntk, rows_at_a_time):
    n, k, p, itemsize = 5_000, 10, 20_000, 4
    for num_bytes in (4_800_000_000, 4_050_000_000, 5_600_000_000):
        numbers = num_bytes // itemsize
        rows = lambda held, block: max(0, min(n, (numbers - held) // block))
        ntk.exercises.expect(rows_at_a_time(n, k, p, num_bytes, itemsize), rows(n * k * p, k * p + k * k * n), {
            "the Jacobian of all examples is in memory as well": rows(0, k * p + k * k * n),
            "a pair of examples has k² numbers in the matrix": rows(n * k * p, k * p + k * n),
            "the block of the matrix is in memory as well": rows(n * k * p, k * p),
        }, rtol=1e-12)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 4

# %% [markdown]
# **2. A product without a matrix.** Write `kernel_times(w, x, v)`: $\Theta(X, X)\,v$ for the network `f`, of shape
# `(n,)`, by one `jax.vjp` and one `jax.jvp`. No array of $n \times n$ or $n \times p$ numbers may be formed.

# %% [raw]
# # BEGIN SOLUTION

# %%
def kernel_times(w, x, v):
    """Return J Jᵀ v."""
    # BEGIN SOLUTION
    outputs = lambda w: f(w, x)
    (pulled,) = jax.vjp(outputs, w)[1](v)
    return jax.jvp(outputs, (w,), (pulled,))[1]
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_at_zero(np, ntk, kernel_times):
    w, x = np.zeros(20), np.ones((3, 4))
    w[16:] = 1.0
    ntk.exercises.expect(kernel_times(w, x, np.array([1.0, 0.0, 1.0])), [32.0, 32.0, 32.0], {
        "Θ has no 1/n: that stands in the loss": [32 / 3] * 3,
        "this is Jᵀv, a vector of parameters: multiply it by J as well": [2.0] * 16 + [0.0] * 4,
    })


# %%
# HIDDEN
def test_seven_examples(np, ntk, kernel_times):
    rng = np.random.default_rng(40)
    w, x, v = rng.normal(size=20), rng.normal(size=(7, 4)), rng.normal(size=7)
    h = np.tanh(x @ w[:16].reshape(4, 4))
    back = (1 - h**2) * w[16:]
    jacobian = np.concatenate([np.einsum("ni,nj->nij", x, back).reshape(7, 16), h], axis=1)
    product = jacobian @ (jacobian.T @ v)
    ntk.exercises.expect(kernel_times(w, x, v), product, {
        "Θ has no 1/n: that stands in the loss": product / 7,
        "this is Jᵀv, a vector of parameters: multiply it by J as well": jacobian.T @ v,
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
# **3. How many iterations?** After $k$ steps of conjugate gradients the error, in the norm of the matrix, is at most
# $2\left(\frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}\right)^k$ of the initial one. Write `iterations(kappa, accuracy)`:
# the smallest $k$ for which this bound is at most `accuracy`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def iterations(kappa, accuracy):
    """Return the number of steps, an integer."""
    # BEGIN SOLUTION
    factor = (kappa**0.5 - 1) / (kappa**0.5 + 1)
    return int(jnp.ceil(jnp.log(accuracy / 2) / jnp.log(factor)))
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_a_factor_of_one_half(np, ntk, iterations):
    ntk.exercises.expect(iterations(9.0, 1e-3), 11, {
        "the bound has a factor 2 in front": 10,
        "the root of the condition number": 35,
        "an integer: round up": 10.965784284662087,
    }, rtol=1e-12)


# %%
# HIDDEN
def test_ill_conditioned(np, ntk, iterations):
    for kappa, accuracy in ((1e4, 1e-6), (37.0, 1e-2)):
        steps = lambda root, front: np.ceil(np.log(front / accuracy) / np.log((root + 1) / (root - 1)))
        ntk.exercises.expect(iterations(kappa, accuracy), steps(kappa**0.5, 2), {
            "the bound has a factor 2 in front": steps(kappa**0.5, 1),
            "the root of the condition number: that is the bound for gradient descent": steps(kappa, 2),
        }, rtol=1e-12)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 4

# %% [markdown]
# **4. A matrix from a few of its columns.** `kernel` is positive semi-definite, of which only the columns `chosen`
# (an array of integers) are to be used. Write `from_columns(kernel, chosen)`: its Nyström approximation, which agrees
# with the kernel in these columns.

# %% [raw]
# # BEGIN SOLUTION

# %%
def from_columns(kernel, chosen):
    """Return the Nyström approximation of `kernel`, of the same shape."""
    # BEGIN SOLUTION
    columns = kernel[:, chosen]
    return columns @ jnp.linalg.solve(columns[chosen], columns.T)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_two_examples(np, ntk, from_columns):
    ntk.exercises.expect(from_columns(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([0])), [[2.0, 1.0], [1.0, 0.5]], {
        "the columns agree with the kernel only if the block of the chosen is inverted": [[4.0, 2.0], [2.0, 1.0]],
        "invert the block of the chosen, not the whole matrix": [[8 / 3, 4 / 3], [4 / 3, 2 / 3]],
    })


# %%
# HIDDEN
def test_three_of_six(np, ntk, from_columns):
    root = np.random.default_rng(41).normal(size=(6, 6))
    kernel, chosen = root @ root.T, np.array([4, 0, 1])
    columns = kernel[:, chosen]
    between = lambda middle: columns @ middle @ columns.T
    ntk.exercises.expect(from_columns(kernel, chosen), between(np.linalg.inv(columns[chosen])), {
        "the block of the chosen has to be inverted": between(np.eye(3)),
        "invert the block of the chosen, not the whole matrix": between(np.linalg.inv(kernel)[np.ix_(chosen, chosen)]),
    })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION
