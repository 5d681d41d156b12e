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
# name: final_project
# init_cell: false
# export_cell: false
# show_question_points: true
# generate: true
# tests:
#   files: true
#   ok_format: false

# %% [markdown]
# # Final project: is this network lazy?
#
# A small investigation from beginning to end: one network, images of handwritten digits, the prediction of its
# linearization, its real training, and a verdict. Five tasks are graded by tests, 20 points; the report at the end is
# graded by a reader. Replace each `...` by your code and run the cell below it: it runs the tests that you may see.
# Others, on other inputs, decide with them about the points.

# %%
SEED = 0
data = ntk.datasets.digits(jax.random.key(SEED), 40, 60, classes=(3, 8), num_components=10)  # +1 for a 3, −1 for an 8
x_train, y_train, x_test, y_test = data.x_train, data.y_train[:, 0], data.x_test, data.y_test[:, 0]
net = ntk.mlp(48, 1, 1, ntk.tanh)
params0, _ = net.init(jax.random.key(SEED + 1), (10,))
t = 40.0  # training lasts until this time; the learning rate is 0.5


def outputs(params, x):
    """Return the network's outputs, a number for each row of x."""
    return jax.vmap(lambda one: net.apply(params, one)[0])(x)


# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4

# %% [markdown]
# **1. Its kernel.** Compute `ntk_train`, the tangent kernel of *this* network at `params0` on `x_train`, of shape
# `(40, 40)`. You may use the package.

# %% [raw]
# # BEGIN SOLUTION

# %%
ntk_train = ntk.gram(ntk.empirical_ntk(net.apply, params0), x_train)[:, :, 0, 0]  # SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_a_kernel_matrix(np, ntk, ntk_train):
    assert np.shape(ntk_train) == (40, 40), f"a matrix of shape (40, 40), got {np.shape(ntk_train)}: no axes of outputs"
    ntk.exercises.expect(np.transpose(ntk_train), ntk_train)  # symmetric


# %%
# HIDDEN
def test_all_layers(jax, np, ntk, ntk_train, SEED):
    x = ntk.datasets.digits(jax.random.key(SEED), 40, 60, classes=(3, 8), num_components=10).x_train
    net = ntk.mlp(48, 1, 1, ntk.tanh)
    params0, _ = net.init(jax.random.key(SEED + 1), (10,))
    kernel = ntk.gram(ntk.empirical_ntk(net.apply, params0), x)[:, :, 0, 0]
    hidden = np.tanh(x @ params0[0]["w"] / 10**0.5)
    ntk.exercises.expect(ntk_train, kernel, {
        "this is the limit of infinite width, not this network's kernel": ntk.gram(ntk.infinite_ntk(net), x),
        "this is the readout layer's part: the weights of the first layer are trained as well": hidden @ hidden.T / 48,
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
# **2. What it should do.** Write `predict(ntk_train, ntk_test_train, f_train0, f_test0, y, t)`: the linearized
# network's test outputs at time $t$ of gradient flow on the mean squared loss $\frac1{2n}\lVert f - y\rVert^2$. No
# matrix may be inverted that has tiny eigenvalues: $(1 - e^{-\lambda t/n})/\lambda$ is `-jnp.expm1(-λ t / n) / λ`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def predict(ntk_train, ntk_test_train, f_train0, f_test0, y, t):
    """Return the linearized network's outputs on the test set at time t."""
    # BEGIN SOLUTION
    rates, modes = jnp.linalg.eigh(ntk_train)
    weights = modes @ (-jnp.expm1(-rates * t / len(y)) / rates * (modes.T @ (y - f_train0)))
    return f_test0 + ntk_test_train @ weights
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_one_example(np, ntk, predict):
    one = np.array([[2.0]]), np.array([[1.0]]), np.array([0.5]), np.array([3.0]), np.array([1.5])
    ntk.exercises.expect(predict(*one, 0.0), [3.0], {"at time 0 the network has the outputs it starts with": [0.0]})
    ntk.exercises.expect(predict(*one, 0.5 * np.log(2.0)), [3.25], {
        "training starts at f_train0: what is left to learn is y less that": [3.375],
    })


# %%
# HIDDEN
def test_five_examples(np, ntk, predict, SEED):
    rng = np.random.default_rng(SEED + 50)
    root, across, f0, g0, y = (rng.normal(size=s) for s in ((5, 5), (3, 5), 5, 3, 5))
    kernel = root @ root.T + np.eye(5)
    rates, modes = np.linalg.eigh(kernel)
    learned = lambda rate, target: across @ modes @ (-np.expm1(-rates * rate) / rates * (modes.T @ target))
    t = 2.3
    ntk.exercises.expect(predict(kernel, across, f0, g0, y, t), g0 + learned(t / 5, y - f0), {
        "the loss is a mean, so the rates are λ/n": g0 + learned(t, y - f0),
        "the outputs at the start on the test set are missing": learned(t / 5, y - f0),
        "training starts at f_train0: what is left to learn is y - f_train0": g0 + learned(t / 5, y),
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
# **3. What it does.** Train the network itself by gradient descent with learning rate 0.5 until time `t = 40`, on all
# examples at each step, with the loss of task 2. Give its test outputs as `trained`, of shape `(60,)`. You may use
# `ntk.train`, which takes targets of the shape of the outputs, `(40, 1)`.

# %% [raw]
# # BEGIN SOLUTION

# %%
descent = ntk.gradient_descent(0.5)  # SOLUTION NO PROMPT
run = ntk.train(net.apply, params0, x_train, y_train[:, None], descent, steps=[80])  # SOLUTION NO PROMPT
trained = outputs(run.params, x_test)  # SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_sixty_outputs(np, ntk, trained, params0, x_test, outputs):
    assert np.shape(trained) == (60,), f"one output for each of the 60 test images, got shape {np.shape(trained)}"
    assert ntk.rms(np.asarray(trained) - outputs(params0, x_test)) > 0.05, "these are the outputs before training"


# %%
# HIDDEN
def test_the_same_training(jax, np, ntk, trained, SEED):
    data = ntk.datasets.digits(jax.random.key(SEED), 40, 60, classes=(3, 8), num_components=10)
    net = ntk.mlp(48, 1, 1, ntk.tanh)
    params0, _ = net.init(jax.random.key(SEED + 1), (10,))
    run = lambda f, steps: ntk.train(f, params0, data.x_train, data.y_train, ntk.gradient_descent(0.5), steps=steps,
                                     record=lambda params: ntk.outputs(f, params, data.x_test)[:, 0]).record
    short, right = run(net.apply, [40, 80])
    ntk.exercises.expect(trained, right, {
        "time is learning rate times steps: 40 steps are time 20": short,
        "this is the linearization, trained: train the network": run(ntk.linearize(net.apply, params0), [80])[0],
    }, rtol=1e-5)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 4

# %% [markdown]
# **4. Two measures.** Write `measures(kernel0, kernel, start, real, linear)`, which returns a pair: the relative
# change of the kernel from `kernel0` to `kernel`, in the Frobenius norm; and the gap between the test outputs `real`
# of the network and `linear` of its linearization, relative to how far the linear ones have moved from `start`, both
# as root mean squares.

# %% [raw]
# # BEGIN SOLUTION

# %%
def measures(kernel0, kernel, start, real, linear):
    """Return (relative kernel change, relative gap)."""
    # BEGIN SOLUTION
    change = jnp.linalg.norm(kernel - kernel0) / jnp.linalg.norm(kernel0)
    return change, ntk.rms(real - linear) / ntk.rms(linear - start)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_by_hand(np, ntk, measures):
    answer = measures(np.diag([3.0, 4.0]), np.diag([6.0, 8.0]), np.zeros(2), np.array([1.0, 2.0]), np.array([2.0, 2.0]))
    ntk.exercises.expect(answer, (1.0, 8**-0.5), {
        "the change is relative to the kernel before": (0.5, 8**-0.5),
        "how far has the linear prediction moved? Not the network": (1.0, 5**-0.5),
    })


# %%
# HIDDEN
def test_random(np, ntk, measures):
    rng = np.random.default_rng(60)
    before, after, start, real, linear = (rng.normal(size=s) for s in ((4, 4), (4, 4), 9, 9, 9))
    size = np.linalg.norm
    change, gap = size(after - before) / size(before), size(real - linear) / size(linear - start)
    ntk.exercises.expect(measures(before, after, start, real, linear), (change, gap), {
        "the change is relative to the kernel before, not after": (size(after - before) / size(after), gap),
        "relative to the change of the linear outputs, not to their size": (change, size(real - linear) / size(linear)),
        "relative to the change of the linear outputs, not of the real ones": (
            change, size(real - linear) / size(real - start)),
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
# **5. With an error bar.** The gap was measured for several seeds and widths: `gaps` has the shape `(seeds, widths)`.
# Write `exponent(widths, gaps)`, which returns a pair: the mean over seeds of the slope of log gap against log width
# (a straight line fitted by least squares to each seed), and the standard error of this mean.

# %% [raw]
# # BEGIN SOLUTION

# %%
def exponent(widths, gaps):
    """Return (mean slope, its standard error)."""
    # BEGIN SOLUTION
    x = jnp.log(widths) - jnp.log(widths).mean()
    slopes = jnp.log(gaps) @ x / (x @ x)
    return slopes.mean(), slopes.std(ddof=1) / len(slopes) ** 0.5
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
def test_two_exact_powers(np, ntk, exponent):
    widths = np.array([16.0, 64.0, 256.0])
    ntk.exercises.expect(exponent(widths, np.stack([widths**-0.4, 3 * widths**-0.6])), (-0.5, 0.1), {
        "the standard error of a mean of N values is their standard deviation over √N": (-0.5, 0.1 * 2**0.5),
        "the standard deviation of a sample divides by N - 1": (-0.5, 0.1 / 2**0.5),
    })


# %%
# HIDDEN
def test_five_seeds(np, ntk, exponent, SEED):
    widths = np.array([32.0, 64.0, 128.0, 512.0])
    gaps = widths**-0.5 * np.exp(0.2 * np.random.default_rng(SEED + 70).normal(size=(5, 4)))
    slopes = np.polyfit(np.log(widths), np.log(gaps).T, 1)[0]
    error = slopes.std(ddof=1) / 5**0.5
    ntk.exercises.expect(exponent(widths, gaps), (slopes.mean(), error), {
        "that is the spread of one slope: the mean of N has it over √N": (slopes.mean(), error * 5**0.5),
        "the standard deviation of a sample divides by N - 1": (slopes.mean(), error * 0.8**0.5),
        "a line through the logarithms: these are slopes of the gaps themselves": (
            np.polyfit(widths, gaps.T, 1)[0].mean(), np.polyfit(widths, gaps.T, 1)[0].std(ddof=1) / 5**0.5),
    })


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## The report
#
# In this cell and below, one page: predict before you measure how kernel change and gap depend on the width; measure
# both for at least three widths and four seeds with the functions of tasks 4 and 5; show one figure; answer the
# question in the title, and say what would change your answer. Four criteria, on the page of projects, decide:
# question and prediction, experiment, explanation, reproducibility.
