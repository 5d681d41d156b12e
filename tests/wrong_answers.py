"""Typical wrong answers to the assignments, two to each task, and words of the feedback written for them.

They are run behind the solution, whose own answers are there under names with `_0` at the end.
"""

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
    "lazy_training": {
        "q1": [
            (
                """
def kappa(w, x, y):
    slope, curvature = jax.grad(model)(w, x), jax.hessian(model)(w, x)
    return abs(model(w, x) - y) * jnp.linalg.norm(curvature, 2) / jnp.linalg.norm(slope)
""",
                "the gradient enters squared",
            ),
            (
                """
def kappa(w, x, y):
    slope, curvature = jax.grad(model)(w, x), jax.hessian(model)(w, x)
    return abs(model(w, x) - y) * jnp.linalg.norm(curvature) / (slope @ slope)
""",
                "Frobenius norm",
            ),
        ],
        "q2": [
            ("def kernel_change(alpha, y): return 2 * (y / alpha) ** 2", "use what is conserved"),
            ("def kernel_change(alpha, y): return (1 + 4 * (y / alpha) ** 2) ** 0.5", "the ratio of the kernels"),
        ],
        "q3": [
            ("exponents = (-1.0, -1.0)", "the first is not -1"),
            ("exponents = (-1.0, -2.0)", "interchanged"),
        ],
        "q4": [
            (
                """
def needed(F, y, excess):
    return int(jnp.ceil(F.var(0, ddof=1).mean() / (excess * jnp.mean((F.mean(0) - y) ** 2))))
""",
                "the error of your mean less s²/N",
            ),
            (
                """
def needed(F, y, excess):
    spread = F.var(0).mean()
    return int(jnp.ceil(spread / (excess * (jnp.mean((F.mean(0) - y) ** 2) - spread / len(F)))))
""",
                "divides by N - 1",
            ),
        ],
        "q5": [
            (
                """
def crossover(alphas, changes, width, new_width):
    log_alpha = jnp.interp(jnp.log(2.0), -jnp.log(changes), jnp.log(alphas))
    return jnp.exp(log_alpha) * (new_width / width) ** 0.5
""",
                "the wrong way",
            ),
            (
                """
def crossover(alphas, changes, width, new_width):
    log_alpha = jnp.interp(jnp.log(2.0), -jnp.log(changes), jnp.log(alphas))
    return jnp.exp(log_alpha) * width / new_width
""",
                "not m α",
            ),
        ],
    },
    "inductive_bias": {
        "q1": [
            ("def circle_eigenvalues(values): return jnp.fft.rfft(values).real", "divide by n"),
            (
                """
def circle_eigenvalues(values):
    means = jnp.fft.rfft(values).real / len(values)
    return means.at[1:-1].multiply(2)
""",
                "half the amplitude of its cosine",
            ),
        ],
        "q2": [
            (
                """
def learnabilities(eigenvalues, num_train, ridge):
    return 1 - learnabilities_0(eigenvalues, num_train, ridge)
""",
                "the parts that are not learned",
            ),
            (
                """
def learnabilities(eigenvalues, num_train, ridge):
    return learnabilities_0(eigenvalues, num_train, 0.0)
""",
                "add ρ/r",
            ),
        ],
        "q3": [
            (
                """
def averaged(x1, x2):
    return jnp.sum(jnp.stack([kernel(x1, jnp.roll(x2, s)) for s in range(len(x2))]))
""",
                "a mean over shifts, not a sum",
            ),
            (
                """
def averaged(x1, x2):
    return jnp.mean(jnp.stack([kernel(jnp.roll(x1, s), jnp.roll(x2, s)) for s in range(len(x2))]))
""",
                "shift one of the two",
            ),
        ],
        "q4": [
            (
                """
def layers_until(c, limit):
    layers = -1
    while c < limit:
        c, layers = float((jnp.sqrt(1 - c**2) + (jnp.pi - jnp.arccos(c)) * c) / jnp.pi), layers + 1
    return layers
""",
                "one too few",
            ),
            (
                """
def layers_until(c, limit):
    layers = 1
    while c < limit:
        c, layers = float((jnp.sqrt(1 - c**2) + (jnp.pi - jnp.arccos(c)) * c) / jnp.pi), layers + 1
    return layers
""",
                "one too many",
            ),
        ],
        "q5": [
            (
                """
from math import comb
def functions_up_to(dim, degree):
    return comb(dim + degree - 1, degree) - (comb(dim + degree - 3, degree - 2) if degree > 1 else 0)
""",
                "add those of lower degree",
            ),
            (
                """
def functions_up_to(dim, degree):
    return comb(dim + degree, degree)
""",
                "|x|² is a constant on the sphere",
            ),
        ],
    },
    "practice": {
        "q1": [
            (
                """
def rows_at_a_time(n, k, p, num_bytes, itemsize):
    return max(0, min(n, num_bytes // itemsize // (k * p + k * n * k)))
""",
                "the Jacobian of all examples is in memory",
            ),
            (
                """
def rows_at_a_time(n, k, p, num_bytes, itemsize):
    return max(0, min(n, (num_bytes // itemsize - n * k * p) // (k * p + n * k)))
""",
                "k² numbers",
            ),
        ],
        "q2": [
            (
                """
def kernel_times(w, x, v):
    return kernel_times_0(w, x, v) / len(x)
""",
                "Θ has no 1/n",
            ),
            (
                """
def kernel_times(w, x, v):
    return jax.vjp(lambda w: f(w, x), w)[1](v)[0]
""",
                "a vector of parameters",
            ),
        ],
        "q3": [
            (
                """
def iterations(kappa, accuracy):
    return int(jnp.ceil(jnp.log(accuracy) / jnp.log((kappa**0.5 - 1) / (kappa**0.5 + 1))))
""",
                "a factor 2 in front",
            ),
            (
                """
def iterations(kappa, accuracy):
    return int(jnp.ceil(jnp.log(accuracy / 2) / jnp.log((kappa - 1) / (kappa + 1))))
""",
                "the root of the condition number",
            ),
        ],
        "q4": [
            ("def from_columns(kernel, chosen): return kernel[:, chosen] @ kernel[chosen]", "has to be inverted"),
            (
                """
def from_columns(kernel, chosen):
    return kernel[:, chosen] @ jnp.linalg.inv(kernel)[jnp.ix_(chosen, chosen)] @ kernel[chosen]
""",
                "not the whole matrix",
            ),
        ],
    },
    "final_project": {
        "q1": [
            ("ntk_train = ntk.gram(ntk.infinite_ntk(net), x_train)", "the limit of infinite width"),
            (
                """
hidden = jnp.tanh(x_train @ params0[0]["w"] / 10**0.5)
ntk_train = hidden @ hidden.T / 48
""",
                "the readout layer's part",
            ),
        ],
        "q2": [
            (
                """
def predict(ntk_train, ntk_test_train, f_train0, f_test0, y, t):
    rates, modes = jnp.linalg.eigh(ntk_train)
    return f_test0 + ntk_test_train @ modes @ (-jnp.expm1(-rates * t) / rates * (modes.T @ (y - f_train0)))
""",
                "the rates are λ/n",
            ),
            (
                """
def predict(ntk_train, ntk_test_train, f_train0, f_test0, y, t):
    rates, modes = jnp.linalg.eigh(ntk_train)
    return ntk_test_train @ modes @ (-jnp.expm1(-rates * t / len(y)) / rates * (modes.T @ (y - f_train0)))
""",
                "the outputs at the start on the test set are missing",
            ),
        ],
        "q3": [
            (
                """
run = ntk.train(net.apply, params0, x_train, y_train[:, None], ntk.gradient_descent(0.5), steps=[40])
trained = outputs(run.params, x_test)
""",
                "40 steps are time 20",
            ),
            (
                """
tangent = ntk.linearize(net.apply, params0)
run = ntk.train(tangent, params0, x_train, y_train[:, None], ntk.gradient_descent(0.5), steps=[80])
trained = jax.vmap(lambda one: tangent(run.params, one)[0])(x_test)
""",
                "this is the linearization",
            ),
        ],
        "q4": [
            (
                """
def measures(kernel0, kernel, start, real, linear):
    change = jnp.linalg.norm(kernel - kernel0) / jnp.linalg.norm(kernel)
    return change, ntk.rms(real - linear) / ntk.rms(linear - start)
""",
                "relative to the kernel before, not after",
            ),
            (
                """
def measures(kernel0, kernel, start, real, linear):
    change = jnp.linalg.norm(kernel - kernel0) / jnp.linalg.norm(kernel0)
    return change, ntk.rms(real - linear) / ntk.rms(linear)
""",
                "not to their size",
            ),
        ],
        "q5": [
            (
                """
def exponent(widths, gaps):
    slopes = jnp.polyfit(jnp.log(widths), jnp.log(gaps).T, 1)[0]
    return slopes.mean(), slopes.std(ddof=1)
""",
                "the spread of one slope",
            ),
            (
                """
def exponent(widths, gaps):
    slopes = jnp.polyfit(jnp.log(widths), jnp.log(gaps).T, 1)[0]
    return slopes.mean(), slopes.std() / len(slopes) ** 0.5
""",
                "divides by N - 1",
            ),
        ],
    },
}
