# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # When linearization fails
#
# **Four conditions make a network train like its linearization; here each is broken alone, the failure is measured, and
# the measurements become a checklist for a model of your own.**
#
# *Reading time 35 minutes; run time about a minute and a half on two CPU cores, which suffice.*

# %% tags=["hide-input"]
# Where the package is missing (Colab), install it and keep the jax that is there.
import importlib.metadata, importlib.util, subprocess, sys
SOURCE = "git+https://github.com/ntk-tutorial/ntk-tutorial@main"
if importlib.util.find_spec("ntk_tutorial") is None:
    keep = [f"{name}=={importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "numpy")]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", SOURCE, *keep], check=True)

import jax, jax.numpy as jnp, matplotlib.pyplot as plt
import ntk_tutorial as ntk
jax.config.update("jax_enable_x64", True)
plt.style.use("ntk_tutorial.ntk")

# %% [markdown]
# Throughout, a network $f(x, \theta)$ is compared with its *linearization*, its first-order Taylor expansion around the
# initial parameters $\theta_0$. Both take the same steps of gradient descent with learning rate $\eta$ on $n$ examples.
# We state learning rates as $\eta\lambda_0$, where $\lambda_0 = \lambda_{\max}(\Theta)/n$ is the decay rate of the fastest
# mode of the tangent kernel $\Theta$ at initialization: the linear model is stable up to $\eta\lambda_0 = 2$
# ({doc}`/book/linearization/training_dynamics`). Five short helpers: `kernel` and
# `train` call the package, and `unit` returns the learning rate at which $\eta\lambda_0 = 1$.

# %%
from functools import partial

stack = lambda trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
draw = lambda net, num=4: ntk.draw(net, keys[:num], (10,))
kernel = lambda f, params, x: ntk.gram(ntk.empirical_ntk(f, params), x)
unit = lambda f, params, x: ntk.max_learning_rate(kernel(f, params, x)) / 2  # η λ₀ = 1
train = lambda f, params0, x, y, rate, steps: ntk.train(
    f, params0, x, y, ntk.gradient_descent(rate), steps=steps, record=lambda p: p)

# %% [markdown]
# Four cases, each built to break one condition. The data are 32 handwritten digits, even against odd, reduced to 10
# principal components (50 more are for testing); in case 4, thirteen points on a sphere, two of them 1/8 apart with
# opposite labels. In case 3 the inputs are 32 times too large, which is the same as the activation $\tanh(32 z)$. The last
# two columns are $\eta\lambda_0$ and the number of steps.

# %%
digits = ntk.datasets.digits(jax.random.key(0), 32, 50, num_components=10)
x, y, keys = digits.x_train, digits.y_train, jax.random.split(jax.random.key(1), 4)
apart, twin = 2.0 ** -jnp.arange(-1, 5), ntk.datasets.near_duplicates
xs, ys = stack([stack([twin(k, 12, 10, float(e)) for e in apart]) for k in keys[:3]])
large, relu_net = (ntk.mlp(512, 1, 1, phi) for phi in (ntk.tanh, ntk.relu))
cases = {"1. width 4": (ntk.mlp(4, 2, 1, ntk.tanh), x, y, 0.2, 300),
         "2. large steps": (relu_net, x, y, 3.0, 60),
         "3. rough activation": (large, 32 * x, y, 0.1, 300),
         "4. near-duplicates": (large, xs[0, 4], ys[0, 4], 0.5, 12_000)}

# %% [markdown]
# The network and its linearization `ntk.linearize(f, params0)` race from the same start with the same steps. What becomes
# of the two training losses?

# %% mystnb={"image": {"alt": "Four panels of training loss against step, network solid and linear model dashed. Width 4: the network ends far below the linear model. Large steps: the linear loss explodes, the network's rises more than tenfold and then falls. Rough activation: the network ends a hundred times higher. Near-duplicates: after a common plateau the network falls earlier."}, "figure": {"caption": "Training loss of a network (solid) and of its linearization (dashed) where one condition is broken. The linear model is too pessimistic in panels 1, 2 and 4, too optimistic in panel 3.", "name": "fig-when-it-fails-surprise"}}
finished, (fig, axes) = {}, plt.subplots(2, 2, figsize=(6.6, 4.8))
for ax, (name, (net, x_n, y_n, speed, last)) in zip(axes.flat, cases.items()):
    f, params0 = net.apply, net.init(keys[0], (10,))[0]
    rate, steps = speed * unit(f, params0, x_n), jnp.geomspace(1, last, 80).astype(int)
    for model, style in ((ntk.linearize(f, params0), "C1--"), (f, "C0-")):
        run = train(model, params0, x_n, y_n, rate, steps)
        ax.plot(steps, run.loss, style)
    finished[name] = (f, params0, run.params, x_n, y_n, rate)
    ax.set(title=name, xscale="log", yscale="log", xlabel="step", ylabel="loss")
axes[0, 0].legend(["linear model", "network"]), axes[0, 1].set_ylim(1e-3, 1e4)
plt.show()

# %% [markdown]
# Four different stories, and in none of them is the network simply worse. This chapter explains them one by one.
#
# ## You will be able to
#
# - predict, before training, whether the linear approximation of a model will hold, and measure afterwards whether it did;
# - derive why some learning rates that blow up the linear model lead the network to a flatter minimum;
# - explain what width, smoothness and the data each contribute to the error;
# - run a checklist on any `f(params, x)` and read it, including where it misleads.
#
# You need the three earlier chapters, {doc}`/book/linearization/taylor_expansion`,
# {doc}`/book/linearization/tangent_kernel` and {doc}`/book/linearization/training_dynamics`. Symbols are those of
# {doc}`/book/notation`; new here are $\lambda_0$ from above, the roughness $\beta$ and the distance $\varepsilon$.
#
# ## One ratio, by hand
#
# The smallest model that can fail is a product, $f = u \cdot v / \sqrt m$ with $u, v \in \mathbb{R}^m$: a two-layer linear
# network of width $m$ on the input $x = 1$. Its Jacobian is $(v, u)/\sqrt m$, its kernel the number
# $\lambda = (\lVert u\rVert^2 + \lVert v\rVert^2)/m$. To close a residual $r = y - f_0$, the linear model moves along the
# Jacobian, $\delta u = v\, r / (\lambda\sqrt m)$ and $\delta v = u\, r/(\lambda\sqrt m)$. What it neglects is the product
# of the two moves,
#
# $$
# \frac{\delta u \cdot \delta v}{\sqrt m} = \frac{r^2 f_0}{m\,\lambda^2}.
# $$ (eq-when-it-fails-by-hand)
#
# Three of the four conditions stand in this fraction: the width $m$, the distance to go $r$, and a kernel $\lambda$ that
# must not be small. For any model, the same trial asks: *how wrong is the expansion where the linear model would end?*
# That point is $\theta_0 + J^\top \Theta^{-1} (y - f_0)$, with the Jacobian $J$ of all training outputs.

# %%
def linear_end(f, params0, x, y):
    f0, pull_back = jax.vjp(lambda p: jax.vmap(f, (None, 0))(p, x), params0)
    theta = ntk.as_matrix(kernel(f, params0, x))
    weights = jnp.linalg.solve(theta, (y - f0).reshape(-1)).reshape(y.shape)
    return jax.tree.map(jnp.add, params0, pull_back(weights)[0])

# %% [markdown]
# The package's `linearization_error` returns the neglected part relative to the change of $f$:
#
# :::{prf:definition} Linearization error
# :label: def-when-it-fails-error
#
# On inputs $X$, at parameters $\theta$: $\ \lVert f(X, \theta) - f^{\mathrm{lin}}(X, \theta)\rVert \,/\,
# \lVert f(X, \theta) - f(X, \theta_0)\rVert$, the share of the change that the linear model misses.
#
# :::
#
# For the product all of it is known by hand. Here $m = 512$ and $y = 5$:

# %%
product = lambda params, x: params[0] @ params[1] / len(params[0]) ** 0.5 * x
measure = lambda u, v: (jnp.vecdot(u, v) / 512**0.5, jnp.mean(u**2 + v**2, -1))  # f, λ
start, one = tuple(jax.random.normal(jax.random.key(0), (2, 512))), jnp.ones((1, 1))
(f0, lam), end = measure(*start), linear_end(product, start, one, 5 * one)
error, lost = ntk.linearization_error, (5 - f0) ** 2 * f0 / (512 * lam**2)
assert jnp.allclose(error(product, start, end, one), abs(lost / (5 - f0 + lost)))

# %% [markdown]
# At the end of the linear model we call this the *look-ahead error*: it needs no training. For networks in general there
# is no closed form, but a bound of the same shape.
#
# :::{prf:theorem} What the look-ahead error is made of
# :label: thm-when-it-fails-ratio
#
# Let $F(\theta)$ be the vector of all training outputs, $\delta = J^\top\Theta^{-1} r$ the step of the linear model, and let
# $\lVert D^2F\rVert \le C$ (operator norm) on the segment from $\theta_0$ to $\theta_0 + \delta$. Then
#
# $$
# \frac{\lVert F(\theta_0 + \delta) - F^{\mathrm{lin}}(\theta_0+\delta)\rVert}{\lVert r\rVert}
# \;\le\; \frac{C\, \lVert\delta\rVert^2}{2\,\lVert r\rVert} \;\le\; \frac{C\,\lVert r\rVert}{2\,\lambda_{\min}(\Theta)}.
# $$ (eq-when-it-fails-ratio)
#
# :::
#
# *Proof.* The first step is Taylor's theorem with remainder. The second is
# $\lVert\delta\rVert^2 = r^\top\Theta^{-1} J J^\top \Theta^{-1} r = r^\top\Theta^{-1}r \le \lVert r\rVert^2/\lambda_{\min}$. ∎
#
# Lénaïc Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019` base their theory of lazy training on a ratio of this
# kind, curvature times residual over squared slope. The curvature $C$ is where width (condition 1) and smoothness
# (3) enter; the data decide $\lambda_{\min}$ (4). The learning rate (2) is not in the ratio and has a story of its own.
#
# The look-ahead error and six other numbers make up the checklist of this chapter. It works with any `f(params, x)` that
# maps one example to a vector; we read it below.

# %%
@partial(jax.jit, static_argnames="f")
def checklist(f, params0, params, x, y, rate):
    end, theta0 = linear_end(f, params0, x, y), kernel(f, params0, x)
    residual = jax.vmap(f, (None, 0))(params0, x) - y
    size = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params0))
    flat = jnp.trace(ntk.as_matrix(theta0)) / y.size  # the mean eigenvalue
    reach, moved = (ntk.parameter_change(params0, p).total for p in (end, params))
    return {"step": rate / ntk.max_learning_rate(theta0), "reach": reach,
            "hardness": reach * jnp.sqrt(size * flat / jnp.sum(residual**2)),
            "ahead": error(f, params0, end, x), "missed": error(f, params0, params, x),
            "moved": moved, "kernel": ntk.relative_change(theta0, kernel(f, params, x))}

# %% [markdown]
# ## Condition 1: wide enough
#
# The digits with two hidden layers of tanh, $\eta = 2$ and 25 steps, so up to time $t = 50$; linearization error on the
# test images, for four seeds at five widths. In this book's normalization all weights are standard normal, hence one draw
# at width 1024 can be cut to any smaller width.
#
# <details class="answer"><summary>Predict before you run: from width 4 to 1024, by what factor does the error shrink?</summary>
#
# The bound falls as its $C$, which for the product is $m^{-1/2}$. But in {eq}`eq-when-it-fails-by-hand` the error itself
# has $m$ in its denominator. If that carries over, the factor is about 256, less what the narrowest networks lose because
# a share cannot grow much beyond one.
#
# </details>

# %%
trained_error = lambda f, x, x_test, rate, num_steps, params0: error(
    f, params0, train(f, params0, x, y, rate, [num_steps]).params, x_test)
widths, two = [4, 16, 64, 256, 1024], lambda m: ntk.mlp(m, 2, 1, ntk.tanh)
widest = draw(two(1024))
cut = lambda m: jax.tree.map(lambda w: w[:, :10 if w.shape[1] == 10 else m, :m], widest)
case = lambda m: partial(trained_error, two(m).apply, x, digits.x_test, 2.0, 25)
narrow = jnp.stack([jax.jit(jax.vmap(case(m)))(cut(m)) for m in widths], 1)
print("error at each width:", *(f"{e:.4f}" for e in narrow.mean(0)))
assert narrow[:, 0].mean() > 0.3 and narrow[:, -1].max() < 0.01  # broken, and mended

# %% [markdown]
# On logarithmic axes, beside the law $1/m$:

# %% mystnb={"image": {"alt": "Linearization error against width on logarithmic axes with error bars. From width 64 to 1024 the points lie along a dashed line of slope minus one, from 0.057 to 0.0035; at widths 16 and 4 they are 0.21 and 0.51, below its continuation."}, "figure": {"caption": "Linearization error on test images after training, two hidden tanh layers, digits, t = 50; mean and standard error of 4 seeds.", "name": "fig-when-it-fails-width"}}
fig, ax = plt.subplots()
fit = ntk.plotting.scaling(ax, widths[2:], narrow[:, 2:], theory=-1, label="m ≥ 64")
ax.errorbar(widths[:2], *ntk.estimate(narrow[:, :2]), fmt="o", label="m < 64")
ax.set(xlabel="width m", ylabel="linearization error"), ax.legend()
ax.set_xticks(widths, widths), plt.show()
print(f"slope from width 64 on: {fit.exponent:.2f} ± {fit.standard_error:.2f}")
assert abs(fit.exponent + 1) < 0.15  # two standard errors of 4 seeds

# %% [markdown]
# **What we see.** At width 4 the linear model misses half of what training did (0.509), at width 1024 only 0.0035. From
# width 64 on the slope is −0.99 ± 0.08: the law $1/m$ that Ethan Dyer and Guy Gur-Ari {cite}`dyer2020` find for kernel
# changes. The factor over all widths is smaller than 256, as predicted.
#
# ## Condition 2: small enough steps
#
# With $\eta\lambda_0 > 2$ the fastest mode of the linear model is multiplied by $1 - \eta\lambda_0 < -1$ at each step: it
# explodes. The network need not. Aitor Lewkowycz and co-authors {cite}`lewkowycz2020` found this and explained it with the
# product above, trained towards $y = 0$.
#
# :::{prf:theorem} Two numbers are enough
# :label: thm-when-it-fails-catapult
#
# Gradient descent on $\tfrac12 f^2$ with $f = u\cdot v/\sqrt m$ obeys exactly
#
# $$
# f \leftarrow f\,\Bigl(1 - \eta\lambda + \frac{\eta^2 f^2}{m}\Bigr), \qquad
# \lambda \leftarrow \lambda + \frac{\eta f^2}{m}\,\bigl(\eta\lambda - 4\bigr).
# $$ (eq-when-it-fails-recursion)
#
# :::
#
# *Proof.* A step is $u \leftarrow u - \frac{\eta f}{\sqrt m} v$ and $v \leftarrow v - \frac{\eta f}{\sqrt m} u$. Multiply
# out $u\cdot v$ and $\lVert u\rVert^2 + \lVert v\rVert^2$, then replace $u\cdot v$ by $\sqrt m f$ and the squares by
# $m\lambda$. ∎
#
# The second equation of {eq}`eq-when-it-fails-recursion` holds the mechanism, the *catapult*. As long as $f^2 \ll m$,
# $\lambda$ stays and $f$ follows the linear model. If $2 < \eta\lambda < 4$, $f$ grows until $f^2$ is comparable to $m$.
# Then the kernel moves, and because $\eta\lambda - 4$ is negative it moves *down*, until $\eta\lambda < 2$ and $f$ shrinks
# again. Beyond 4 both grow. We check the theorem on 64 initializations, with $\eta\lambda_0 = 3$ and $m = 512$.

# %%
def recursion(f, lam, eta, num):
    step = lambda f, lam: (f * (1 - eta * lam + eta**2 * f**2 / 512),
                           lam + eta * f**2 / 512 * (eta * lam - 4))
    return jax.lax.scan(lambda s, _: (step(*s), s), (f, lam), length=num)[1]

start = tuple(jax.random.normal(jax.random.key(0), (2, 64, 512)))
(f0s, lams), steps = measure(*start), jnp.arange(41)
descend = lambda p, rate: train(product, p, one, 0 * one, rate, steps).record
trained = measure(*jax.jit(jax.vmap(descend))(start, 3 / lams))
iterated = jax.vmap(partial(recursion, num=41))(f0s, lams, 3 / lams)
assert all(map(partial(jnp.allclose, rtol=1e-9, atol=1e-9), trained, iterated))  # exact

# %% [markdown]
# The two numbers reproduce gradient descent on all 1,024 parameters up to rounding. So we iterate the numbers, 5,000 times,
# for several learning rates. Printed are the median peak of the loss, relative to its start, and the mean $\eta\lambda$.
#
# <details class="answer"><summary>Predict before you run: how high is the peak of the loss, relative to its start?</summary>
#
# The growth ends when $f^2$ is comparable to $m = 512$, and it starts from $f_0^2 \approx 1$. So some hundreds, and
# more at larger width.
#
# </details>

# %%
cs, runs = jnp.array([1, 1.9, 2.2, 3, 3.8, 4.2]), jax.vmap(partial(recursion, num=5001))
f, lam = jax.jit(jax.vmap(runs, (None, None, 0)))(f0s, lams, cs[:, None] / lams)
done, peak = jnp.abs(f[:, :, -1]) < 1e-6, jnp.median(jnp.max(f**2, 2) / f0s**2, 1)
flat = cs[:, None] * lam[:, :, -1] / lams  # η λ at the end
print("converged:", *(f"{share:.0%} at {c:.1f}" for c, share in zip(cs, done.mean(1))))
for c, high, end in zip(cs[:5], peak, flat.mean(1)):
    print(f"ηλ₀ = {c:.1f}: peak x {high:.0f}, ηλ {end:.2f} at the end")
assert done[:5].all() and not done[5].any() and peak[3] > 100 and flat[2:5].max() < 2

# %% [markdown]
# Inside the window every run converges, after a median peak of up to 371 times the initial loss, to a minimum that is
# flat enough for the learning rate: $\eta\lambda < 2$. Is that special to the product? Here are the digits, with one hidden layer of 512 ReLU
# units and four seeds.
#
# <details class="answer"><summary>Predict before you run: does the limit 4 hold for the ReLU network?</summary>
#
# It was derived for one example and no activation. Expect a window that starts at 2, for that is the linear model's
# limit, and ends somewhere else.
#
# </details>

# %%
def run_relu(params0, speed):  # training loss, and η λ at the end
    rate = speed * unit(relu_net.apply, params0, x)
    run = train(relu_net.apply, params0, x, y, rate, jnp.arange(151))
    return run.loss, rate / unit(relu_net.apply, run.params, x)

draws, speeds = draw(relu_net), jnp.array([1.0, 2.5, 3.0, 3.5, 4.2])
loss, flat = jax.jit(jax.vmap(jax.vmap(run_relu, (0, None)), (None, 0)))(draws, speeds)
peak = jnp.median(loss.max(2) / loss[:, :, 0], 1)
for c, high, last, end in zip(speeds, peak, loss[:, :, -1].mean(1), flat.mean(1)):
    print(f"ηλ₀ = {c:.1f}: peak x {high:.0f}, loss {last:.0e}, ηλ {end:.2f} at the end")
assert loss[:4, :, -1].max() < 0.01 and flat[1:4].max() < 2 and jnp.isnan(flat[4]).all()

# %% [markdown]
# NaN means that all four runs diverged. One of the seeds, step by step:

# %% mystnb={"image": {"alt": "Two panels of loss against step. Left, the product: at eta lambda zero 2.2, 3 and 3.8 the loss rises by factors of ten to several hundred and then falls steeply; at 1 it falls at once; at 4.2 it leaves the plot. Right, digits: 2.5, 3 and 3.5 rise more than tenfold within ten steps, then fall slowly together; 4.2 leaves the plot."}, "figure": {"caption": "Catapults (one seed). Left: the product, m = 512. Right: digits, ReLU network of width 512. Dashed: the factor 4 a step of the linear model's fastest mode at ηλ₀ = 3.", "name": "fig-when-it-fails-catapult"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.4))
for ax, labels, losses in zip(axes, (cs, speeds), (f[:, 0] ** 2 / 2, loss[:, 0])):
    for c, run in zip(labels[labels != 1.9], losses[labels != 1.9]):
        ax.plot(run[:61], label=f"{c:.1f}")
    ax.plot(losses[labels == 3.0][0, 0] * 4.0 ** jnp.arange(9), **ntk.plotting.THEORY)
    ax.set(yscale="log", ylim=(1e-4, 1e5), xlim=(0, 60), xlabel="step", ylabel="loss")
    ax.legend(title="ηλ₀", loc="upper right")
plt.show()

# %% [markdown]
# **What we see.** At $\eta\lambda_0 = 3$ the product's loss rises 254-fold and its kernel ends at $\eta\lambda = 0.22$; on
# digits the rise is 39-fold and the end 0.85. At 4.2 both diverge. The upper end of the window is not universal: exercise
# 3 finds it for this network. Jeremy Cohen and co-authors {cite}`cohen2021` show that with smaller learning
# rates the largest Hessian eigenvalue tends to *rise* during training, until $\eta$ times it is about 2: another way out of
# the linear regime.
#
# ## Condition 3: a smooth landscape
#
# Take $\varphi(z) = \tanh(\beta z)$. Its second derivative is of order $\beta^2$: the landscape gets rougher with
# $\beta$. Because $\beta W x = W(\beta x)$, a one-layer network gets the same from inputs that are $\beta$ times too
# large: *forgetting to normalize the inputs breaks this condition.* We take 512 hidden units, $\eta = 0.2$, 100 steps
# (time $t = 20$), four seeds.
#
# <details class="answer"><summary>Predict before you run: how does the error grow with β?</summary>
#
# Curvature says $\beta^2$. But the kernel grows with $\beta$ too, so that the parameters have less far to go, which
# lowers the exponent. And a share cannot grow much beyond one, so the curve must bend.
#
# </details>

# %%
betas = 2.0 ** jnp.arange(6)
run_rough = lambda params0, beta: trained_error(
    large.apply, beta * x, beta * digits.x_test, 0.2, 100, params0)
over_betas = jax.vmap(jax.vmap(run_rough, (0, None)), (None, 0), 1)
rough = jax.jit(over_betas)(draw(large), betas)

# %% [markdown]
# We fit the exponent to the left part, where the error is small:

# %% mystnb={"image": {"alt": "Linearization error against beta from 1 to 32 on logarithmic axes with error bars; it rises along a straight line from 0.0025 to about 0.08 at beta 8 and then bends over to 0.2."}, "figure": {"caption": "Linearization error on test images for the activation tanh(βz), width 512, t = 20; mean and standard error of 4 seeds.", "name": "fig-when-it-fails-smooth"}}
fig, ax = plt.subplots()
fit = ntk.plotting.scaling(ax, betas[:4], rough[:, :4], label="β ≤ 8")
ax.errorbar(betas[4:], *ntk.estimate(rough[:, 4:]), fmt="o", label="β > 8")
ax.set(xlabel="roughness β", ylabel="linearization error"), ax.legend()
ax.set_xticks(betas, betas.astype(int)), plt.show()
print("error at each β:", *(f"{e:.4f}" for e in rough.mean(0)))
print(f"slope for β ≤ 8: {fit.exponent:.2f} ± {fit.standard_error:.2f}")
assert rough[:, -1].mean() > 30 * rough[:, 0].mean() and 1.2 < fit.exponent < 1.8

# %% [markdown]
# **What we see.** The error grows from 0.0025 to 0.20, with exponent 1.71 ± 0.05 before it bends: between $\beta$ and
# $\beta^2$. A caveat: all runs stop at the same time, not at the same loss, and a larger $\beta$ also means a larger
# kernel and so faster training.
#
# ## Condition 4: data the gradients can tell apart
#
# Let two inputs $x$, $x'$ at distance $\varepsilon$ carry opposite labels. Their gradients are nearly equal, yet their
# outputs must separate.
#
# :::{prf:theorem} Twins cost distance
# :label: thm-when-it-fails-twins
#
# Let $D = \lVert J(x) - J(x')\rVert$. Then $\lambda_{\min}(\Theta) \le D^2/2$, and a linear model that changes
# $f(x) - f(x')$ by $\Delta$ has moved its parameters by at least $\lvert\Delta\rvert / D$.
#
# :::
#
# *Proof.* Take the unit vector $w$ with entries $\pm1/\sqrt2$ at the twins: $w^\top\Theta w = \lVert J^\top w\rVert^2 =
# D^2/2$. And $\Delta = (J(x) - J(x'))\,(\theta - \theta_0)$, so Cauchy–Schwarz gives the rest. ∎
#
# For smooth $\varphi$ the Jacobian varies smoothly, $D \propto \varepsilon$: then $\lambda_{\min} \propto \varepsilon^2$ and the
# distance grows as $1/\varepsilon$. For an infinitely wide ReLU network, $D^2$ is dominated by the units whose kink lies
# between the twins, a share proportional to $\varepsilon$: then $\lambda_{\min} \propto \varepsilon$ and the distance
# grows as $1/\sqrt\varepsilon$. We check both on infinite-width kernels, for three draws of twelve points and a twin.

# %%
for name, phi, *laws in (("tanh", ntk.tanh, 2, -1), ("ReLU", ntk.relu, 1, -0.5)):
    pair = ntk.infinite_ntk(ntk.mlp(1, 1, 1, phi))
    theta = jax.jit(jax.vmap(jax.vmap(partial(ntk.gram, pair))))(xs)
    way = jnp.sqrt(jnp.sum(ys * jnp.linalg.solve(theta, ys), (2, 3)))
    for q, law in zip((jnp.linalg.eigvalsh(theta)[..., 0], way), laws):
        fit = ntk.power_law(apart[2:], q[:, 2:])
        print(f"{name}: {fit.exponent:.2f} ± {fit.standard_error:.2f} (theory {law})")
        assert abs(fit.exponent - law) < 0.15  # ε ≤ 1/2 is near, not at, the limit

# %% [markdown]
# For each activation the first line is $\lambda_{\min}$, the second the linear model's distance
# $\sqrt{y^\top\Theta^{-1}y}$; the fits use $\varepsilon \le 1/2$. Now real networks of width 512, trained at
# $\eta\lambda_0 = 1.2$ until the mean squared error is below 0.001, a loss of 0.0005.
#
# <details class="answer"><summary>Predict before you run: will the network go as far as the linear model says?</summary>
#
# Only as long as its kernel stays. Once the twins' gradients themselves move apart, $D$ grows during training and a shorter
# path exists. And a finite ReLU network has only a few units between close twins, so that its kernel may mislead in
# either direction.
#
# </details>

# %%
def to_goal(f, params0, x, y):  # training time and checklist at the goal
    rate, steps = 1.2 * unit(f, params0, x), jnp.geomspace(1, 3200, 80).astype(int)
    run = train(f, params0, x, y, rate, steps)
    at = jnp.argmax(run.loss < 5e-4)
    params = jax.tree.map(lambda p: p[at], run.record)
    return {"time": rate * steps[at], **checklist(f, params0, params, x, y, rate)}

# %% [markdown]
# Three seeds at each of the distances $\varepsilon = 2, 1, \tfrac12, \tfrac14$. The checklist's "reach" is the distance of
# the linear model's end from $\theta_0$, and "moved" that of the trained network, both relative to $\lVert\theta_0\rVert$:

# %%
at_goal = {}
for name, net in (("tanh", large), ("ReLU", relu_net)):
    over_twins = jax.jit(jax.vmap(jax.vmap(partial(to_goal, net.apply), (None, 0, 0))))
    q = at_goal[name] = over_twins(draw(net, 3), xs[:, :4], ys[:, :4])
    ratio, fit = q["moved"] / q["reach"], ntk.power_law(apart[:4], q["time"])
    print(f"{name}: time slope {fit.exponent:.2f} ± {fit.standard_error:.2f},",
          "moved / reach", *(f"{r:.2f}" for r in ratio.mean(0)))
    assert q["kernel"][:, 0].max() < 0.1 < q["missed"][:, 3].min()

# %% [markdown]
# The last four numbers of each line belong to the four distances, in this order.

# %% mystnb={"image": {"alt": "Three panels against the distance of the twins, for tanh and ReLU. Left: training time rises steeply as the distance falls. Middle: distance moved, solid, beside the linear prediction, dashed; tanh falls below its prediction, ReLU rises above. Right: kernel change, solid, and linearization error, dashed, both rise past 0.1."}, "figure": {"caption": "Twins with opposite labels, width 512; mean and standard error of 3 seeds. Left: time to the goal. Middle: relative movement of the parameters (solid, moved) and of the linear model (dashed, reach). Right: relative change of the kernel (solid) and linearization error (dashed).", "name": "fig-when-it-fails-twins"}}
fig, axes = plt.subplots(1, 3, figsize=(7.2, 3.2))
for ax, shown in zip(axes, (("time",), ("moved", "reach"), ("kernel", "missed"))):
    for color, found in zip(("C0", "C1"), at_goal.values()):
        for key, fmt in zip(shown, ("o-", "o--")):
            ax.errorbar(apart[:4], *ntk.estimate(found[key]), fmt=fmt, color=color)
    ax.set(xscale="log", yscale="log", xlabel="distance ε", title=", ".join(shown))
    ax.set_xticks(apart[:4], ["2", "1", "½", "¼"]), ax.xaxis.minorticks_off()
axes[0].legend(at_goal)
plt.show()

# %% [markdown]
# **What we see.** As twins approach, training takes longer, the kernel changes by more than a tenth, and the linear model
# misses more than a tenth, for both activations. The real distance follows the linear prediction for tanh down to
# $\varepsilon = 1$ (ratios 0.95 and 0.93) and then falls short of it (0.78 at $\tfrac14$): the twins' gradients move apart
# and open a shorter way. For ReLU the two agree only for $\varepsilon \ge 1$ (0.99 and 1.06); at $\tfrac14$ the network
# goes 1.71 times as far as its initial kernel predicts. Training time grows with exponents −1.58 and −1.87 here, short of
# the −2 that $1/\lambda_{\min}$ would give tanh, and beyond the −1 of an infinitely wide ReLU network.
#
# ## A checklist for your own model
#
# These are the numbers that `checklist` returns, with limits to judge them by.
#
# | number | what it asks | limit | why |
# | --- | --- | --- | --- |
# | step | learning rate over the largest stable one | 1 | exact for the linear model |
# | hardness | distance of the linear solution, if 1 is that for a kernel of equal eigenvalues | 5 | convention: five times as far as with equal eigenvalues |
# | reach | that distance, over $\lVert\theta_0\rVert$ | – | to compare with "moved" |
# | ahead | look-ahead error on the training set | 0.1 | the linear model would miss a tenth of the change |
# | missed | linearization error after training | 0.1 | it did miss a tenth |
# | moved | distance of the trained parameters, over $\lVert\theta_0\rVert$ | 0.1 | convention |
# | kernel | relative change of $\Theta$ | 0.1 | the rates of the linear model were off by about as much |
#
# The first four need no training. We run it on the cases of {numref}`fig-when-it-fails-surprise` and on a model that knows
# nothing of this package: plain JAX, parameters in a dictionary, the usual initialization with standard deviation
# $1/\sqrt{\text{fan-in}}$, two outputs.

# %%
def plain(params, x):  # no layer of this package, two outputs
    return jax.nn.gelu(x @ params["in"]) @ params["out"]

start = {"in": jax.random.normal(keys[0], (10, 512)) / 10**0.5,
         "out": jax.random.normal(keys[1], (512, 2)) / 512**0.5}
rate, y_two = 0.4 * unit(plain, start, x), jnp.concatenate([y, jnp.sign(x[:, :1])], 1)
params = train(plain, start, x, y_two, rate, [300]).params
finished["5. plain JAX"] = (plain, start, params, x, y_two, rate)

# %% [markdown]
# Flags are marked with an exclamation mark:

# %%
limits = dict(step=1, hardness=5, ahead=0.1, missed=0.1, moved=0.1, kernel=0.1)
table = {name: checklist(*case) for name, case in finished.items()}
flags = {name: [k for k in limits if row[k] > limits[k]] for name, row in table.items()}
print(" " * 22, *(f"{key:>9}" for key in limits))
for name, row in table.items():
    print(f"{name:22}", *(f"{row[k]:8.3f}{' !'[k in flags[name]]}" for k in limits))
assert all("missed" in flags[name] for name in cases) and not flags["5. plain JAX"]
assert [flags[name][0] for name in cases] == ["hardness", "step", "ahead", "hardness"]

# %% [markdown]
# **What we see.** Read from the left, the first flags name the cause. "step" singles out the large steps. "hardness" stands
# at the near-duplicates, and also at width 4, whose 60 parameters serve 32 examples, so that its kernel is nearly singular:
# widen a network before you blame the data. "ahead" alone means curvature: a rough activation, or too few units. The columns
# after it confirm the failure. In case 3 the parameters move by 0.037 only, yet the kernel changes by 0.619: *small movement
# does not prove linearity.* The plain model passes everywhere.
#
# ## Where it breaks
#
# The checklist asks one thing, whether the linear model describes training. It misleads where more is read into it.
#
# **Linear does not mean good.** No number of the checklist looks at a test label. A run without flags predicts what kernel
# regression with its initial kernel predicts, and that can be poor.
#
# **The conditions are sufficient, not necessary.** Chizat, Oyallon and Bach {cite}`chizat2019` make any model linear by
# training $\alpha\,(f(x,\theta) - f(x,\theta_0))$ with a large $\alpha$: the output moves as far while parameters move
# less. Exercise 5 does it to networks of width 4.
#
# **ReLU has its own exponents.** {prf:ref}`thm-when-it-fails-ratio` needs a second derivative, which a kink does not have.
# And between twins at distance $\tfrac14$ lies the kink of only about one unit in forty, so that the kernel of a finite
# network is far from its limit there.
#
# **A flag is not a defect.** In three of the four panels of {numref}`fig-when-it-fails-surprise` the network ends lower than
# its linearization. Mario Geiger and co-authors {cite}`geiger2020` study the regime beyond, where features are learned; a
# flag only says that this theory no longer describes the run. And "ahead" is strict: it looks at the end of training, which
# a run that stops early never reaches.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** The product model with $m = 512$ is trained at $\eta\lambda_0 = 2.5$. What happens?
#
# <details class="wrong"><summary>It diverges, because ηλ₀ is beyond the limit 2</summary>
#
# That is the linear model. In the network, $\lambda$ falls as soon as $f^2$ is comparable to $m$.
#
# </details>
# <details class="right"><summary>The loss rises, then falls, and λ ends smaller than it began</summary>
#
# Yes: $\eta\lambda_0$ lies between 2 and 4, so $\eta\lambda - 4 < 0$ lowers $\lambda$ while $f$ is large.
#
# </details>
# <details class="wrong"><summary>The loss falls from the first step on</summary>
#
# The factor of the first step is $1 - 2.5 = -1.5$ up to a term of order $1/m$, so $\lvert f\rvert$ grows at first.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** All inputs of a one-layer tanh network without bias are multiplied by 20. Which condition is in danger?
#
# <details class="wrong"><summary>Only the learning rate</summary>
#
# The kernel does grow, so the largest stable $\eta$ shrinks. But the error is larger at a small $\eta$ as well.
#
# </details>
# <details class="wrong"><summary>None, the network can rescale its weights</summary>
#
# Its weights start from the same distribution as before; rescaling them is a long way in parameter space.
#
# </details>
# <details class="right"><summary>Smoothness: it is the same as the activation tanh(20z)</summary>
#
# Yes, $\beta W x = W(\beta x)$. From $\beta = 1$ to 32 the error grew from 0.0025 to 0.20.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** Two inputs at distance ε with opposite labels, a wide tanh network: ε is halved. The linear model's distance …
#
# <details class="right"><summary>about doubles</summary>
#
# Yes: it is at least $\Delta/D$ with $D \propto \varepsilon$. The measured exponent was −0.97 ± 0.03.
#
# </details>
# <details class="wrong"><summary>grows by √2</summary>
#
# That is the ReLU law at infinite width, where $D^2$ and not $D$ is proportional to $\varepsilon$.
#
# </details>
# <details class="wrong"><summary>becomes four times as large</summary>
#
# Training *time* grows like $1/\lambda_{\min} \propto \varepsilon^{-2}$; distance only like its square root.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** The checklist shows step 0.3, hardness 1.2, ahead 0.6. What is the likely cause?
#
# <details class="wrong"><summary>Near-duplicates with different labels</summary>
#
# Then the target would need small eigenvalues and hardness would be large; 1.2 is close to that of equal eigenvalues.
#
# </details>
# <details class="right"><summary>Curvature: too narrow, or too rough an activation</summary>
#
# Yes: the step is stable and the data are easy, so what remains in the ratio is the curvature.
#
# </details>
# <details class="wrong"><summary>The learning rate is too small</summary>
#
# A small learning rate follows the gradient flow closely; it never harms the linear approximation.
#
# </details>
# <details class="wrong"><summary>Nothing is wrong, the step is below 1</summary>
#
# A stable step is one condition of four. An error of 0.6 where the linear model would end is far above 0.1.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ The window for another loss
# :label: ex-when-it-fails-window
#
# The product $f = u\cdot v/\sqrt m$ is trained on the loss $\tfrac{c}{2} f^2$. Derive the learning rates
# $\eta_{\text{low}} < \eta_{\text{high}}$ between which it is catapulted at large $m$, and write them as a function
# `window(c, lam)` of $c$ and $\lambda_0$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Write down one step. In how many places does $c$ appear without $\eta$?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The gradient of c f²/2 is c f ∂f, so every η in the recursion comes with a c. Then f
# is multiplied by 1 − η c λ and grows once η c λ > 2; λ falls while η c λ − 4 < 0.
def window(c, lam):
    return 2 / (c * lam), 4 / (c * lam)

ntk.exercises.when_it_fails.check_window(window)

# %% [markdown]
# :::{exercise} ★ How far apart must twins be?
# :label: ex-when-it-fails-distance
#
# Take `ntk.datasets.near_duplicates(jax.random.key(10), 12, 10, distance)` and the infinite-width kernel of one hidden
# tanh layer, `ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.tanh))`. At which distance is the linear model's way
# $\sqrt{y^\top\Theta^{-1}y}$ twice as long as at distance 3?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The way grows as the twins approach: bisect. Two digits are enough.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Bisection, since the way gets longer as the twins approach.
def way(e):
    x, y = ntk.datasets.near_duplicates(jax.random.key(10), 12, 10, e)
    theta = ntk.gram(ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.tanh)), x)
    return jnp.sqrt(y[:, 0] @ jnp.linalg.solve(theta, y[:, 0]))

low, high, target = 0.1, 3.0, 2 * way(3.0)
for _ in range(8):
    middle = (low + high) / 2
    low, high = (middle, high) if way(middle) > target else (low, middle)
ntk.exercises.when_it_fails.check_distance(middle)

# %% [markdown]
# :::{exercise} ★★ The edge of a real network
# :label: ex-when-it-fails-edge
#
# For `relu_net` with parameters `relu_net.init(jax.random.key(1), (10,))[0]` on the digits, try $\eta\lambda_0 = 2.0, 2.1,
# \dots, 5.0$ for 150 steps each. What is the largest value such that it and all below it end with a loss under 0.01?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `jax.vmap` over the learning rate trains all 31 networks in one program. A diverged loss is NaN, and NaN < 0.01 is false.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Train them all at once, then look for the first that fails.
start = relu_net.init(jax.random.key(1), (10,))[0]
unit = ntk.max_learning_rate(ntk.gram(ntk.empirical_ntk(relu_net.apply, start), x)) / 2

def end_loss(speed):
    optimizer = ntk.gradient_descent(speed * unit)
    return ntk.train(relu_net.apply, start, x, y, optimizer, steps=[150]).loss[-1]

speeds = jnp.arange(20, 51) / 10
stable = jax.jit(jax.vmap(end_loss))(speeds) < 0.01
ntk.exercises.when_it_fails.check_edge(speeds[jnp.argmin(stable) - 1])

# %% [markdown]
# :::{exercise} ★★ Width against roughness
# :label: ex-when-it-fails-trade
#
# Measure the linearization error on the test images at $\beta = 1, 2, 4$ and widths 64 and 512 (one hidden tanh layer,
# $\eta = 0.5$, 40 steps, at least 4 seeds) and fit error $\approx C\,\beta^p\,m^q$. How much wider must a network be if its activation gets twice as
# rough?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `trained_error` does the work. $\log$ error is linear in $\log\beta$ and $\log m$: `jnp.linalg.lstsq`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# A plane through the logarithms; its slopes are p and q.
b, errors = jnp.array([1.0, 2.0, 4.0]), []
for m in (64, 512):
    net = ntk.mlp(m, 1, 1, ntk.tanh)
    run = lambda params0, beta: trained_error(
        net.apply, beta * x, beta * digits.x_test, 0.5, 40, params0)
    over_betas = jax.jit(jax.vmap(jax.vmap(run, (0, None)), (None, 0)))
    errors.append(over_betas(draw(net), b).mean(1))
table = jnp.array([[1.0, jnp.log(beta), jnp.log(m)] for m in (64, 512) for beta in b])
_, p, q = jnp.linalg.lstsq(table, jnp.log(jnp.concatenate(errors)))[0]
ntk.exercises.when_it_fails.check_trade_off((p, q))

# %% [markdown]
# :::{exercise} ★★ A narrow network made linear
# :label: ex-when-it-fails-alpha
#
# Train the four networks of width 4 of condition 1 as $\alpha\,(f - f_0)$, `ntk.scaled(f, params0, alpha)`, with
# $\alpha = 1, 10, 100$ and learning rate $2/\alpha^2$ for 25 steps. With which power of $\alpha$ does the linearization
# error fall?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `trained_error(ntk.scaled(...), ...)`, with `jax.vmap` over the networks `cut(4)`, and once more over $\alpha$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Scaling the output by α multiplies the kernel by α²; the learning rate undoes that.
def scaled_error(params0, alpha):
    model = ntk.scaled(two(4).apply, params0, alpha)
    return trained_error(model, x, digits.x_test, 2 / alpha**2, 25, params0)

alphas = jnp.array([1.0, 10.0, 100.0])
over_all = jax.jit(jax.vmap(jax.vmap(scaled_error, (None, 0)), (0, None)))
errors = over_all(cut(4), alphas)
ntk.exercises.when_it_fails.check_alpha(ntk.power_law(alphas, errors).exponent)

# %% [markdown]
# :::{exercise} ★★★ Three mysteries
# :label: ex-when-it-fails-mysteries
#
# `ntk.exercises.when_it_fails.mystery(number)` returns the arguments of `checklist` for a run that left the linear regime,
# for `number` 1, 2, 3. Name the cause of each: "learning rate", "duplicates" or "curved".
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Read the columns from the left; the first flag among "step", "hardness" and "ahead" is the cause.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The first flag from the left names the cause.
causes = {"step": "learning rate", "hardness": "duplicates", "ahead": "curved"}
answers = []
for number in (1, 2, 3):
    found = checklist(*ntk.exercises.when_it_fails.mystery(number))
    answers.append(next(causes[key] for key in causes if found[key] > limits[key]))
print(answers)
ntk.exercises.when_it_fails.check_diagnoses(answers)

# %% [markdown]
# ## Questions readers ask
#
# **I train with Adam. Is the checklist of use?** All but "step". The tangent kernel describes gradient descent; for
# Adam the path to the linear solution differs. "ahead", "kernel" and "missed" only compare functions at two points, however
# you came there.
#
# **My model is too large for an $nk \times nk$ kernel.** Take some tens of examples. "step" and "hardness" depend on
# the number of examples, "ahead", "kernel" and "missed" depend on it weakly.
#
# **Is a catapult good for generalization?** Lewkowycz and co-authors {cite}`lewkowycz2020` report that the best performance
# was often found at such learning rates. Nothing in this chapter tests that.
#
# **Does early stopping restore linearity?** In {numref}`fig-when-it-fails-surprise` the two curves agree at first in every
# panel. A run that ends there is still described by the linear model, whatever "ahead" says.
#
# ## Summary
#
# - One trial needs no training: evaluate the network where the linear model would end. The error there is at most
#   curvature times residual over $2\lambda_{\min}$.
# - Too narrow: the linear model misses 0.509 of the change at width 4 and 0.0035 at width 1024, slope −0.99 ± 0.08 from
#   width 64 on.
# - Too large a step: between $\eta\lambda_0 = 2$ and 4 the product's loss peaks and its kernel shrinks until
#   $\eta\lambda < 2$, by an exact recursion of two numbers. A ReLU network did the same up to 3.5 and diverged at 4.2.
# - Too rough: the error grew from 0.0025 at $\beta = 1$ to 0.20 at 32, exponent 1.71 ± 0.05 for $\beta \le 8$.
# - Twins with opposite labels: $\lambda_{\min} \propto \varepsilon^2$ (tanh) or $\varepsilon$ (ReLU). Training time, kernel
#   change and linearization error all grow as $\varepsilon \to 0$.
# - The first flag among "step", "hardness" and "ahead" names the cause; "missed" and "kernel" confirm the failure.
#
# ## What is next
#
# Part II asks what this chapter left open: how the scale of the output alone decides between the linear regime and feature
# learning, and what a network gains beyond it. To look up a symbol, see {doc}`/book/notation`.
#
# ## Further reading
#
# - Lewkowycz and co-authors {cite}`lewkowycz2020`: the catapult, with the recursion of this chapter and experiments on
#   realistic networks.
# - Chizat, Oyallon and Bach {cite}`chizat2019`: laziness as a choice of scale, and bounds on the distance between the two
#   paths.
# - Jaehoon Lee and co-authors {cite}`lee2019`: wide networks trained by gradient descent as linear models, with the
#   conditions under which that is proved.
# - Dyer and Gur-Ari {cite}`dyer2020`: which power of the width governs each correction to the infinite-width limit.
# - Cohen and co-authors {cite}`cohen2021`: full-batch gradient descent at the edge of stability.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* First figure and a vote on which panel is which (5); the product by hand (10); condition 1 (5);
# catapult: derive {eq}`eq-when-it-fails-recursion` on the board, run the sweep (15); twins theorem (10); the table of
# flags (5).
#
# *Plan for 90 minutes.* As above, then condition 3 with exercise 4 in pairs (15), exercise 6 in groups (15), and a
# discussion of "Where it breaks" (10).
#
# *Misconceptions.* "Beyond $2/\lambda_0$ training diverges": the catapult sweep. "Far from linear means
# worse": the first figure. "Width is the only thing that matters": conditions 3 and 4. "Small movement
# means linear": case 3 in the table.
#
# </details>
