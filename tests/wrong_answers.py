"""Typical wrong answers to the assignments, two to each task, and words of the feedback written for them."""

WRONG = {
    "linearization": {
        "q1": [
            (
                """
def tangent(params, x):
    move = jax.tree.map(lambda new, old: new - old, params, params0)
    return jax.jvp(lambda params: f(params, x), (params0,), (move,))[1]
""",
                "the value at params0 is missing",
            ),
            (
                """
def tangent(params, x):
    value, slope = jax.jvp(lambda params: f(params, x), (params0,), (params,))
    return value + slope
""",
                "multiplies the displacement params - params0, not params",
            ),
        ],
        "q2": [
            (
                """
def remainder_coefficient(direction, x):
    along = lambda s: f(jax.tree.map(lambda old, move: old + s * move, params0, direction), x)
    return jax.grad(jax.grad(along))(0.0)
""",
                "one half of the second derivative",
            ),
            (
                """
def remainder_coefficient(direction, x):
    along = lambda s: f(jax.tree.map(lambda old, move: old + s * move, params0, direction), x)
    return jax.grad(along)(0.0)
""",
                "this is the slope",
            ),
        ],
        "q3": [
            (
                """
def two_layer_kernel(a, w, x1, x2):
    h1, h2 = (jnp.tanh(x @ w.T / w.shape[1] ** 0.5) for x in (x1, x2))
    return (h1 @ h2.T + ((1 - h1**2) * a**2) @ (1 - h2**2).T * (x1 @ x2.T)) / len(a)
""",
                "divide x·x' by d",
            ),
            (
                """
def two_layer_kernel(a, w, x1, x2):
    h1, h2 = (jnp.tanh(x @ w.T / w.shape[1] ** 0.5) for x in (x1, x2))
    return h1 @ h2.T / len(a)
""",
                "readout weights a alone",
            ),
        ],
        "q4": [
            (
                """
def loss_at(kernel, y, t):
    rates, modes = jnp.linalg.eigh(kernel)
    return jnp.sum((jnp.exp(-rates * t) * (modes.T @ y)) ** 2) / (2 * len(y))
""",
                "the rates are eigenvalues divided by n",
            ),
            (
                """
def loss_at(kernel, y, t):
    rates, modes = jnp.linalg.eigh(kernel)
    return jnp.sum(jnp.exp(-rates * t / len(y)) * (modes.T @ y) ** 2) / (2 * len(y))
""",
                "square the factor too",
            ),
        ],
        "q5": [
            (
                """
def steps_to_double(kernel, rate):
    growth = jnp.abs(1 - rate * jnp.linalg.eigvalsh(kernel)).max()
    return jnp.where(growth > 1, jnp.log(2) / jnp.log(growth), jnp.inf)
""",
                "the factor is 1 - rate λ/n",
            ),
            (
                """
def steps_to_double(kernel, rate):
    growth = (1 - rate * jnp.linalg.eigvalsh(kernel) / len(kernel)).max()
    return jnp.where(growth > 1, jnp.log(2) / jnp.log(growth), jnp.inf)
""",
                "no mode seems to grow",
            ),
        ],
    },
}
