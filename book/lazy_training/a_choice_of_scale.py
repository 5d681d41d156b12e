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
# # Lazy training is a choice of scale
#
# **Multiply the output of any differentiable model by a large number and it trains like its linearization: no width is
# needed, and one number, the relative scale, tells how close it comes.**
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
# It is often said that training becomes linear *in the limit of infinite width*. Here is a model with four
# parameters: a damped oscillation with an amplitude, a decay rate, a frequency and a phase. It starts at $\theta_0$ and is
# to learn the difference $y$ between the oscillation of other parameters and its own, at $n = 50$ times. We draw
# three starts.

# %%
def wave(params, t):
    amplitude, decay, frequency, phase = params
    return amplitude * jnp.exp(-decay * t) * jnp.cos(frequency * t + phase)

keys, t = jax.random.split(jax.random.key(1), 3), jnp.linspace(0, 10, 50)[:, None]
goal = jnp.array([1.3, 0.2, 1.8, 0.4])
starts = jnp.array([1, 0.1, 1.5, 0]) + 0.05 * jax.random.normal(keys[0], (3, 4))
y_wave = jnp.stack([wave(goal, t) - wave(p, t) for p in starts])

# %% [markdown]
# :::{prf:definition} Scaled model
# :label: def-a-choice-of-scale-model
#
# For an *output scale* $\alpha > 0$, the scaled model of $f$ at $\theta_0$ is
# $F(\theta) = \alpha\,\bigl(f(X, \theta) - f(X, \theta_0)\bigr)$ on the inputs $X$. It is trained by gradient flow on
# $R(F)/\alpha^2$, where $R(F) = \tfrac12\lVert F - y\rVert^2$ and $\lVert\cdot\rVert$ on outputs is the root of the mean
# square over examples.
#
# :::
#
# Gradient flow on $R/\alpha^2$ at time $t$ is gradient flow on $R$ at time $t/\alpha^2$. So nothing new is needed:
# `ntk.scaled(f, params0, alpha)` is trained at times `ts / alpha**2`. The linearization is
# $\bar F = \alpha J\,(\bar\theta - \theta_0)$, with $J$ the Jacobian of $f(X, \cdot)$ at $\theta_0$. Trained in the same way, it
# has a closed form ({doc}`/book/linearization/training_dynamics`); $\bar F$ is the same for all $\alpha$, and
# $\bar\theta - \theta_0$ proportional to $1/\alpha$.
#
# `ntk.lazy_distances` trains both and returns three distances: $\lVert\theta - \theta_0\rVert$, how far the parameters
# `moved`; $\lVert\theta - \bar\theta\rVert$, how far `apart` they are from the linear model's; and the `gap`
# $\lVert F - \bar F\rVert$ of the outputs. We take times $t = k/S^2$, where $S = \lVert J\rVert$ is the operator norm: $k = 1$ is the time
# in which the fastest mode closes 63 % of its gap.

# %%
from functools import partial

alphas, ks = jnp.array([1.0, 3, 10, 30, 100, 300, 1000]), jnp.array([1.0, 10, 1000])
kernel = lambda f, params, x: ntk.as_matrix(ntk.gram(ntk.empirical_ntk(f, params), x))
unit = lambda f, params, x: ntk.max_learning_rate(kernel(f, params, x)) / 2  # 1 / S²

@partial(jax.jit, static_argnames="f")
def race(f, params0, x, y):  # axes of what it returns: start, α, k, ...
    run = lambda p, y, alpha: ntk.lazy_distances(f, p, x, y, alpha, ks * unit(f, p, x))
    return jax.vmap(jax.vmap(run, (None, None, 0)), (0, 0, None))(params0, y, alphas)

# %% [markdown]
# What the oscillator has learned at $k = 1000$, and how far it is from the linear model:

# %% mystnb={"image": {"alt": "Left: target points of an oscillation over time; the curve for alpha 1 passes through all of them, those for alpha 3 and 100 miss them, and the one for alpha 100 lies on the dashed curve of the linear model. Right: the output gap against alpha on logarithmic axes falls along a dashed line of slope minus one."}, "figure": {"caption": "Four parameters trained to the end at several output scales (one start). Left: the model and, dashed, its linearization. Right: their distance, mean and standard error of three starts.", "name": "fig-a-choice-of-scale-surprise"}}
waves, (fig, axes) = race(wave, starts, t, y_wave), plt.subplots(1, 2, figsize=(6.4, 3))
axes[0].plot(t, y_wave[0], "ko", markersize=3.5, label="target")
for i in (0, 1, 4):
    axes[0].plot(t, waves.outputs[0, i, -1], label=f"α = {alphas[i]:g}")
axes[0].plot(t, waves.linear[0, 0, -1], **ntk.plotting.THEORY, label="linear")
fit = ntk.plotting.scaling(axes[1], alphas[2:], waves.gap[:, 2:, -1], theory=-1)
axes[0].set(xlabel="t", ylabel="F", ylim=(-1.2, 2.4)), axes[0].legend(ncol=2)
axes[1].set(xlabel="α", ylabel="output gap"), axes[1].legend()
plt.show()
assert abs(fit.exponent + 1) < 0.03 and waves.gap[0, 0, -1] > 0.05
assert jnp.allclose(waves.outputs[:, 0, -1], y_wave, atol=1e-3)

# %% [markdown]
# At $\alpha = 1$ the oscillator finds the target exactly: by construction it is in reach. At $\alpha = 100$ the same four
# parameters give what the linear model gives, which misses it. The distance falls as $\alpha^{-1}$. This chapter explains
# the exponent and says what makes a model lazy, and how lazy.
#
# ## You will be able to
#
# - compute the relative scale $\kappa$ of any model, and say before training how nearly linear training will be;
# - prove, and check against measurements, how $\theta - \theta_0$, $\theta - \bar\theta$ and $F - \bar F$ depend on
#   $\alpha$;
# - say when width makes training lazy and when it does not;
# - train at large $\alpha$ without losing digits.
#
# You need Part I, above all {doc}`/book/linearization/training_dynamics` and {doc}`/book/linearization/when_it_fails`.
# Symbols are those of {doc}`/book/notation`. New here are $S$ and $k$ from above, $F$ for the scaled outputs,
# the bound $M$ on curvature, and the relative scale $\kappa$; in {doc}`/book/practice/large_kernels` the letter $\kappa$
# denotes a condition number, which is another thing.
#
# ## One number, by hand
#
# Let one parameter move one output along a bent line, $f = \theta + \tfrac c2\theta^2$ with $\theta_0 = 0$. The scaled model
# is to reach $y$, so $\alpha\,(\theta + \tfrac c2\theta^2) = y$, while its linearization wants $\alpha\bar\theta = y$:
#
# $$
# \bar\theta = \frac y\alpha, \qquad
# \theta - \bar\theta = -\frac c2 \frac{y^2}{\alpha^2} + O(\alpha^{-3}), \qquad
# \frac{\lvert\theta-\bar\theta\rvert}{\lvert\bar\theta\rvert} \approx \frac12\,\frac{\lvert c\,y\rvert}{\alpha}.
# $$ (eq-a-choice-of-scale-by-hand)
#
# A large $\alpha$ means that a small step is enough, and on a small step a bent line is straight. The last
# fraction holds the distance to go, $\lvert y\rvert$, and the curvature $\alpha c$ of the scaled model over its
# squared slope $\alpha^2$. Lénaïc Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019` call it the relative scale.
#
# :::{prf:definition} Relative scale
# :label: def-a-choice-of-scale-kappa
#
# Let $F(\theta)$ be all outputs of a model on the training inputs. At $\theta_0$,
#
# $$
# \kappa = \lVert F(\theta_0) - y\rVert\;\frac{\lVert D^2F(\theta_0)\rVert}{\lVert DF(\theta_0)\rVert^2}
# $$ (eq-a-choice-of-scale-kappa)
#
# with $DF$ the Jacobian, $D^2F[u, v]$ the second derivative along $u$ and $v$, and operator norms: the largest
# $\lVert DF\,u\rVert$ and $\lVert D^2F[u, v]\rVert$ over unit vectors.
#
# :::
#
# A step of length $\lVert F - y\rVert / \lVert DF\rVert$ along the steepest direction would close the gap; on a step of that
# length the slope changes by at most about $\kappa$ times itself. For the bent line two derivatives suffice. For larger
# models $D^2F$ is an array of $n \times p \times p$ numbers, too many to store; `ntk.relative_scale` maximizes
# $g \cdot D^2F[u, v]$ over the unit vectors $u$, $v$, $g$ in turn, each step by one Jacobian-vector or vector-Jacobian product.

# %%
c, y_one, alpha = 0.7, -3.0, 5.0
bent = lambda theta, x: alpha * (theta + c / 2 * theta**2) * x
slope = jax.grad(lambda theta: bent(theta, 1.0))
by_hand, one = abs(y_one * jax.grad(slope)(0.0)) / slope(0.0) ** 2, jnp.ones((1, 1))
kappa = ntk.relative_scale(bent, 0.0, one, y_one * one).kappa
print(f"κ by hand {by_hand:.4f}, by the package {kappa:.4f}")
assert jnp.allclose(by_hand, kappa) and jnp.allclose(kappa, abs(c * y_one) / alpha)

# %% [markdown]
# <details class="answer"><summary>Predict before you run: what does α do to the κ of any centred model?</summary>
#
# $F(\theta_0) = 0$ whatever $\alpha$, so the residual is $\lVert y\rVert$. The second derivative is multiplied by $\alpha$ and
# the squared slope by $\alpha^2$: $\kappa$ is inversely proportional to $\alpha$.
#
# </details>
#
# ## What a large scale guarantees
#
# :::{prf:theorem} Lazy training, with constants
# :label: thm-a-choice-of-scale-lazy
#
# Let $S = \lVert J\rVert$ at $\theta_0$, train to the time $t = k/S^2$, and let $\lVert D^2 f(X, \cdot)\rVert \le M$ on the ball
# of radius $\rho = \sqrt{k/2}\;\lVert y\rVert/(\alpha S)$ around $\theta_0$. With $\kappa = M\lVert y\rVert/(\alpha S^2)$,
#
# $$
# \begin{aligned}
# \lVert\theta - \theta_0\rVert &\le \rho, \\
# \lVert F - \bar F\rVert &\le \lVert y\rVert \left(\tfrac{2\sqrt2}{3}\, k^{3/2}\kappa + \tfrac14 k^2\kappa^2\right), \\
# \lVert \theta - \bar\theta\rVert &\le \frac{\lVert y\rVert}{\alpha S}
# \left(\tfrac{\sqrt2}{3}\,k^{3/2}\,(1 + \tfrac45 k)\,\kappa + \tfrac1{12}k^3\kappa^2\right).
# \end{aligned}
# $$ (eq-a-choice-of-scale-bounds)
#
# :::
#
# So for fixed $k$ the three fall as $\alpha^{-1}$, $\alpha^{-1}$ and $\alpha^{-2}$.
#
# *Proof.* Write $J_t$ for the Jacobian at $\theta_t$, $J^\top$ for adjoints (in the norm above, so that $JJ^\top = \Theta/n$),
# and $u = \alpha(\theta - \theta_0)$. The flow is
#
# $$
# \dot u = -J_t^\top (F - y), \qquad \dot F = J_t\dot u = -J_tJ_t^\top(F - y).
# $$ (eq-a-choice-of-scale-flow)
#
# *Movement.* $\frac{\mathrm d}{\mathrm dt}\tfrac12\lVert F - y\rVert^2 = -\lVert J_t^\top(F - y)\rVert^2 = -\lVert\dot u\rVert^2$,
# so $\lVert F - y\rVert \le \lVert y\rVert$ and $\int\lVert\dot u\rVert^2 \le \tfrac12\lVert y\rVert^2$. By Cauchy–Schwarz
# $\lVert u\rVert \le \sqrt{t/2}\,\lVert y\rVert$.
#
# *Gap.* The linear model obeys {eq}`eq-a-choice-of-scale-flow` with $J$ for $J_t$. Hence $\Delta = F - \bar F$ obeys
# $\dot\Delta = -JJ^\top\Delta - (J_tJ_t^\top - JJ^\top)(F - y)$. The first term only shrinks $\Delta$, so
# $\frac{\mathrm d}{\mathrm dt}\lVert\Delta\rVert \le \lVert J_tJ_t^\top - JJ^\top\rVert\,\lVert y\rVert$. With
# $\lVert J_t - J\rVert \le M\lVert u\rVert/\alpha$ the norm on the right is at most
# $(2S + M\lVert u\rVert/\alpha)\,M\lVert u\rVert/\alpha$. Insert $\lVert u\rVert \le \sqrt{t/2}\,\lVert y\rVert$, integrate, and
# put $t = k/S^2$.
#
# *Paths.* $\dot u - \dot{\bar u} = -(J_t - J)^\top(F - y) - J^\top\Delta$ has norm at most
# $M\lVert u\rVert\lVert y\rVert/\alpha + S\lVert\Delta\rVert$. Integrate, and divide by $\alpha$. ∎
#
# Chizat, Oyallon and Bach prove statements of this kind for other losses too; the constants here are our own. They are in
# `ntk.lazy_bounds(kappa, k)`. To draw them we need a number $M$ that is proven, not estimated, on the whole ball. Take one hidden layer of $m$ tanh units on inputs of length $\sqrt d$,
# $f = \sum_j a_j \tanh(z_j)/\sqrt m$ with $z_j = w_j\cdot x/\sqrt d$, and move by $\delta = (\delta a, \delta w)$.
#
# :::{prf:theorem} Curvature of a tanh layer
# :label: thm-a-choice-of-scale-curvature
#
# Let $s^2 = \lambda_{\max}(X^\top X)/(nd)$ and $c_2 = \max\lvert\tanh''\rvert = 4/(3\sqrt3)$. Where all
# $\lvert a_j\rvert \le A$,
#
# $$
# \lVert D^2f\rVert \le \frac{s}{\sqrt m}\cdot\frac{c_2A + \sqrt{c_2^2A^2 + 4}}{2}.
# $$ (eq-a-choice-of-scale-curvature)
#
# :::
#
# *Proof.* $D^2 f[\delta,\delta] = \sum_j (2\,\delta a_j\tanh'(z_j)\,\delta z_j + a_j\tanh''(z_j)\,\delta z_j^2)/\sqrt m$ with
# $\delta z_j = \delta w_j\cdot x/\sqrt d$. Over the examples, $\delta z_j$ has root mean square at most
# $s\lVert\delta w_j\rVert$ and absolute value at most $\lVert\delta w_j\rVert$. So the norm is at most
# $\frac{s}{\sqrt m}\sum_j(2\lvert\delta a_j\rvert\lVert\delta w_j\rVert + c_2A\lVert\delta w_j\rVert^2)$, and each
# bracket is at most $\lvert\delta a_j\rvert^2 + \lVert\delta w_j\rVert^2$ times the larger eigenvalue of
# $\begin{pmatrix}0&1\\1&c_2A\end{pmatrix}$. ∎
#
# On the ball $A \le \max_j\lvert a_j\rvert + \rho$. Both theorems in code:

# %%
def bounds(params0, x, y, alpha, k):
    (w, a), size = jax.tree.leaves(params0), ntk.rms(y)
    slope = unit(net.apply, params0, x) ** -0.5
    step = size / (alpha * slope)
    bend = 4 / 27**0.5 * (jnp.abs(a).max() + (k / 2) ** 0.5 * step)  # c₂ A
    spread = jnp.linalg.norm(x, 2) / x.size**0.5  # s
    m = spread / w.shape[1] ** 0.5 * (bend + jnp.sqrt(bend**2 + 4)) / 2
    moved, apart, gap, *_ = ntk.lazy_bounds(m * step / slope, k)
    return jnp.stack([moved * step, apart * step, gap * size])

# %% [markdown]
# The experiment: 64 tanh units, 20 points on a sphere in $d = 5$ dimensions with labels $\pm1$, three seeds.

# %%
net, x = ntk.mlp(64, 1, 1, ntk.tanh), ntk.datasets.sphere(jax.random.key(0), 50, 5)
x20, y = x[:20], jnp.tile(jnp.sign(x[:, :1] * x[:, 1:2]), (3, 1, 1))
params0 = ntk.draw(net, keys, (5,))
wide = race(net.apply, params0, x20, y[:, :20])
grid = jnp.vectorize(bounds, signature="(),()->(b)", excluded=(0, 1, 2))
over_seeds = jax.jit(jax.vmap(lambda p, y: grid(p, x20, y, alphas[:, None], ks)))
proven = jnp.moveaxis(over_seeds(params0, y[:, :20]), -1, 0)

# %% [markdown]
# Does the gap ever cross its bound? And with which powers of $\alpha$ do the three distances fall?

# %% mystnb={"image": {"alt": "Three panels of distances against alpha on logarithmic axes with dashed theory lines through them: distance from the start with slope minus one, from the linear parameters with slope minus two, output gap with slope minus one. A dotted bound runs parallel above each: close to the first, far above the other two."}, "figure": {"caption": "Tanh network of width 64 at k = 10, mean and standard error of three seeds; fits from α = 10 on. Dashed: theory. Dotted: the proven bounds.", "name": "fig-a-choice-of-scale-bounds"}}
measured, (fig, axes) = jnp.stack(wide[:3]), plt.subplots(1, 3, figsize=(7, 3))
fits = ntk.plotting.laziness(
    axes, alphas, *measured[..., 1], bounds=proven[..., 1], first=2)
plt.show()
for k, row in zip(ks, (measured / proven).max((1, 2)).T):
    print(f"k = {k:4g}: largest measured / bound", *(f"{r:.2g}" for r in row))
assert (measured < proven).all()  # for every seed, scale and time
assert all(abs(fit.exponent - law) < 0.03 for fit, law in zip(fits, (-1, -2, -1)))

# %% [markdown]
# **What we see.** No measurement crosses its bound, for any seed, scale and time; this is a theorem, so a crossing would
# have meant an error in the code. For the movement the bound is within a factor of 2.5. For the other two it
# is loose, and looser the longer one trains: at $k = 1$ the gap is 0.0035 of its bound, at $k = 1000$ a millionth. The proof
# lets $\lVert F - y\rVert$ stay at $\lVert y\rVert$ for ever. The exponents are those of the theorem.
#
# ## A trick that hides one order
#
# A common way to have $f_0 = 0$ without subtracting it is the *doubling trick*: give every hidden unit $(w, a)$ a twin
# $(w, -a)$. Their outputs cancel at the start, and training separates them. It is the same function with another start, so
# we race it again: 32 units and their twins.
#
# <details class="answer"><summary>Predict before you run: does the output gap still fall as 1/α?</summary>
#
# To leading order the gap comes from the second derivative along the linear path. That path moves the two halves by opposite
# amounts, $(v, -v)$, since their Jacobians are opposite. With $g$ for the first half,
# $D^2f[(v,-v),(v,-v)] = D^2g[v,v] - D^2g[v,v] = 0$. By the same symmetry $\Theta$ does not change to first order. The
# order $1/\alpha$ cancels; expect $\alpha^{-2}$.
#
# </details>

# %% mystnb={"image": {"alt": "Output gap against alpha on logarithmic axes. The centred network falls with slope minus one. The doubled network starts slightly below it at alpha 1 and falls with slope minus two, to a thousandth of it at alpha 1000."}, "figure": {"caption": "Output gap of the centred network and of one started by the doubling trick, 64 tanh units each, k = 10; mean and standard error of three seeds.", "name": "fig-a-choice-of-scale-doubling"}}
(w, a), shape = jax.tree.flatten(ntk.draw(ntk.mlp(32, 1, 1, ntk.tanh), keys, (5,)))
twins = shape.unflatten([jnp.concatenate([w, w], 2), jnp.concatenate([a, -a], 1)])
show = lambda fit: f"{fit.exponent:.3f} ± {fit.standard_error:.3f}"
doubled, (fig, ax) = race(net.apply, twins, x20, y[:, :20]), plt.subplots()
for name, run, law in (("centred", wide, -1), ("doubled", doubled, -2)):
    fit = ntk.plotting.scaling(ax, alphas, run.gap[:, :, 1], theory=law, label=name)
    apart = ntk.power_law(alphas, run.apart[:, :, 1])
    print(f"{name}: slope of the gap {show(fit)}, of the parameters {show(apart)}")
    assert abs(fit.exponent - law) < 0.03 and abs(apart.exponent + 2) < 0.03
ax.set(xlabel="α", ylabel="output gap"), ax.legend()
plt.show()

# %% [markdown]
# **What we see.** The doubled gap falls as $\alpha^{-2}$. The bound $O(1/\alpha)$ still holds, and experiments with the
# doubling trick cannot show that it is sharp: centring does. The *parameters* are as far from the linear ones as before,
# $\alpha^{-2}$; the halves deviate alike, and their outputs cancel.
#
# ## No width at all
#
# Nothing in {prf:ref}`thm-a-choice-of-scale-lazy` asks for width, or even for more parameters than examples. We race a
# network of three hidden units, 18 parameters for 50 examples, and look at the oscillator again.

# %%
tiny = ntk.mlp(3, 1, 1, ntk.tanh)
tiny0 = ntk.draw(tiny, keys, (5,))
races = {"64 tanh units": (net.apply, params0, x20, y[:, :20], wide),
         "3 tanh units": (tiny.apply, tiny0, x, y, race(tiny.apply, tiny0, x, y)),
         "oscillator": (wave, starts, t, y_wave, waves)}
for name, (*_, run) in races.items():
    slopes = [ntk.power_law(alphas[2:], d[:, 2:, 1]) for d in run[:3]]
    print(f"{name:14}", *map(show, slopes), sep="  ")
    assert max(abs(s.exponent - law) for s, law in zip(slopes, (-1, -2, -1))) < 0.03

# %% [markdown]
# The exponents are the same, and the sizes differ. Is $\kappa$ what orders them? We compute it for each model at
# $\alpha = 1$; at other scales it is $1/\alpha$ times that.

# %%
measure = lambda f, p, x, y: ntk.relative_scale(
    ntk.scaled(f, p, 1.0), p, x, y, num_starts=8, num_iterations=60).kappa
found = {}
for name, (f, p, x_n, y_n, _) in races.items():
    first = jax.tree.map(lambda leaf: leaf[0], p)
    found[name] = jax.jit(partial(measure, f))(first, x_n, y_n[0])
    print(f"{name:14} κ = {found[name]:.2f}/α")

# %% [markdown]
# The theorem speaks of gaps relative to $\lVert y\rVert$. At $k = 1$, with $\kappa$ in the place of its upper bound:

# %% mystnb={"image": {"alt": "Relative output gap against relative scale kappa on logarithmic axes for three models, three parallel rising lines. The oscillator is highest, the two tanh networks lie close together, more than twenty times lower; a dashed bound lies above all."}, "figure": {"caption": "Relative output gap against κ at k = 1, one start of each model. Dashed: the bound of the theorem with κ in the place of its upper bound.", "name": "fig-a-choice-of-scale-kappa"}}
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for name, (*_, y_n, run) in races.items():
    kappa, gap = found[name] / alphas, run.gap[0, :, 0] / ntk.rms(y_n[0])
    top = ntk.lazy_bounds(kappa, 1.0).gap
    ax.loglog(kappa, gap, "o-", label=name), ax.plot(kappa, top, **ntk.plotting.THEORY)
    print(f"{name:14} relative gap {gap[-1] / kappa[-1]:.4f} κ")
    assert (gap < top).all()
ax.set(xlabel="relative scale κ", ylabel="relative gap"), ax.legend()
plt.show()

# %% [markdown]
# **What we see.** The three curves are parallel, and all lie below the bound, as the theorem wants: at $k = 1$ it reads
# relative gap $\le \tfrac{2\sqrt2}3\kappa + \tfrac14\kappa^2$. But the gap is 0.0055, 0.0029 and 0.13 times $\kappa$, where the
# bound has 0.94. An operator norm is the worst case over all directions, and training need not move along the worst. So
# $\kappa$ gives the exponent and a ceiling; the size below it depends on the model.
#
# ## What width has to do with it
#
# A network of $m$ hidden units is a sum, $f = \alpha_m\sum_j a_j\tanh(z_j)$. By the proof of
# {prf:ref}`thm-a-choice-of-scale-curvature` its curvature is that of the single worst unit, $\propto \alpha_m$: a
# second derivative never mixes parameters of different units. Its squared slope is a sum over units, $\propto \alpha_m^2 m$.
# Hence $\kappa \propto 1/(\alpha_m m)$. The normalization $\alpha_m = 1/\sqrt m$, the usual one, gives $m^{-1/2}$, and
# $1/m$ gives a constant. *Infinite width makes training lazy only together with a scale.*
#
# <details class="answer"><summary>Predict before you run: does it matter whether a is drawn from ±1 or from a Gaussian?</summary>
#
# For the slope no, it is an average. But the worst unit is the one with the largest $\lvert a_j\rvert$. That is 1 for signs
# at every $m$; the largest of $m$ Gaussians grows like $\sqrt{2\log m}$, which spoils the power law. So take signs.
#
# </details>
#
# One program serves all widths if unused units are switched off by a mask; a parameter without effect adds nothing to
# any norm.

# %%
@partial(jnp.vectorize, signature="(),()->(s)")
def kappas(m, key):  # 1/√m and 1/m with signs, 1/√m with Gaussian output weights
    a_key, w_key = jax.random.split(key)
    normal = jax.random.normal(a_key, (512,))
    w, used = jax.random.normal(w_key, (512, 5)), jnp.arange(512) < m
    def one(a, scale):
        f = lambda p, x: scale * ((used * p[0]) @ jnp.tanh(p[1] @ x / 5**0.5))[None]
        return measure(f, (a, w), x20, y[0, :20])
    a = jnp.stack([jnp.sign(normal), jnp.sign(normal), normal])
    return jax.vmap(one)(a, jnp.stack([m**-0.5, 1 / m, m**-0.5]))

# %% mystnb={"image": {"alt": "Kappa against width on logarithmic axes. With one over root m and signs it falls with slope about minus one half along the dashed line, with Gaussian output weights less steeply; with one over m it is constant."}, "figure": {"caption": "Relative scale at initialization, 20 examples, mean and standard error of three seeds.", "name": "fig-a-choice-of-scale-width"}}
widths = jnp.array([32.0, 64, 128, 256, 512])
found, (fig, ax) = jax.jit(kappas)(widths, keys[:, None]), plt.subplots()
names = ("1/√m, signs", "1/m, signs", "1/√m, Gaussian")
fits = [ntk.plotting.scaling(ax, widths, column, theory=law, label=name)
        for column, name, law in zip(jnp.moveaxis(found, 2, 0), names, (-0.5, 0, None))]
ntk.plotting.widths_axis(ax, widths.astype(int), "relative scale κ")
plt.show()
print(*(f"{name}: slope {show(fit)}" for name, fit in zip(names, fits)), sep="\n")
assert abs(fits[0].exponent + 0.5) < 0.1 and abs(fits[1].exponent) < 0.1

# %% [markdown]
# **What we see.** With signs and $1/\sqrt m$ the exponent is −0.46 ± 0.03, and steeper at the larger widths; the worst of few
# units tends to be less bad than the worst of many. With $1/m$ it is 0.04 ± 0.03: a network of 512 units is no lazier than one of
# 32. Gaussian output weights give −0.40 ± 0.04.
#
# ## Exponentially fast, hardly moving
#
# So far $k$ was fixed. If $\Theta$ is invertible, the statement can be made uniform in time.
#
# :::{prf:theorem} Fast and lazy for ever
# :label: thm-a-choice-of-scale-forever
#
# Let $\lambda = \lambda_{\min}(\Theta)/n > 0$ and let $M$ bound $\lVert D^2f(X,\cdot)\rVert$ on the ball of radius
# $\rho = 3S\lVert y\rVert/(\alpha\lambda)$. If $\kappa \le (\lambda/S^2)^2/18$, then for all $t$
#
# $$
# \tfrac12\lVert F - y\rVert^2 \le \tfrac12\lVert y\rVert^2\,e^{-\lambda t}, \qquad
# \lVert\theta-\theta_0\rVert \le \frac{3S\lVert y\rVert}{\alpha\lambda}.
# $$ (eq-a-choice-of-scale-forever)
#
# :::
#
# *Proof.* The condition says $M\rho \le \lambda/(6S)$. Inside the ball, therefore, $\lVert J_t - J\rVert \le \lambda/(6S) \le S/6$
# and $\lVert J_tJ_t^\top - JJ^\top\rVert \le (2S + \tfrac S6)\frac{\lambda}{6S} < \frac\lambda2$. So all eigenvalues of
# $J_tJ_t^\top$ exceed $\lambda/2$, and by {eq}`eq-a-choice-of-scale-flow` $\lVert F - y\rVert$ falls at least as fast as
# $e^{-\lambda t/2}$. The way so far is $\frac1\alpha\int\lVert J_t\rVert\,\lVert F-y\rVert\,\mathrm dt \le
# \frac1\alpha\cdot\frac{7S}6\cdot\frac2\lambda\lVert y\rVert < \rho$: the ball is never left. ∎
#
# We watch it with 200 units and 6 examples, by gradient descent with small steps. The linear model's loss ends up falling
# at the rate $2\lambda$.
#
# <details class="answer"><summary>Predict before you run: how does the final loss depend on α, and how the movement?</summary>
#
# The loss hardly, since the kernel that sets its rate does not depend on $\alpha$ once it has stopped moving. The
# movement is inversely proportional to $\alpha$.
#
# </details>

# %%
few = ntk.mlp(200, 1, 1, ntk.tanh)
x6, start = ntk.datasets.sphere(jax.random.key(0), 6, 10), few.init(keys[0], (10,))[0]
y6, theta = jnp.sign(x6[:, :1]), kernel(few.apply, start, x6)
eta, steps = ntk.max_learning_rate(theta) / 10, jnp.arange(0, 2001, 10)

def descend(alpha):
    run = ntk.train(ntk.scaled(few.apply, start, alpha), start, x6, y6,
                    ntk.gradient_descent(eta / alpha**2), steps=steps,
                    record=lambda p: ntk.parameter_change(start, p).total)
    return run.loss, run.record

loss, moved = jax.jit(jax.vmap(descend))(alphas)

# %% [markdown]
# The rate is measured between the times when the loss passes $10^{-8}$ and $10^{-18}$, and divided by that of the
# initial kernel's slowest mode:

# %%
slowest = jnp.linalg.eigvalsh(theta)[0] / 6
factor = 2 * jnp.log1p(-eta * slowest)  # of the logarithm of the loss, each step
ends = jnp.stack([jnp.argmax(loss < level, 1) for level in (1e-8, 1e-18)], 1)
drop = jnp.diff(jnp.log(jnp.take_along_axis(loss, ends, 1)))
rates = (drop / jnp.diff(steps[ends]) / factor)[:, 0]
print("rate / rate of the initial kernel:", *(f"{rate:.3f}" for rate in rates))
print(f"relative movement at α = 100: {moved[4, -1]:.1e}")
print(f"theorem: κ ≤ {(slowest * unit(few.apply, start, x6)) ** 2 / 18:.1e}")
assert abs(rates[4] - 1) < 0.05 and moved[4, -1] < 1e-3 and loss[4, -1] < 1e-20

# %% [markdown]
# Four of the seven runs, and how far each of the seven moved:

# %% mystnb={"image": {"alt": "Left: loss against step for four output scales, straight lines on a logarithmic axis down to ten to the minus twenty that nearly coincide, with a dashed line of the same slope. Right: relative movement against alpha on logarithmic axes falls along a dashed line of slope minus one to below one thousandth."}, "figure": {"caption": "200 tanh units, 6 examples. Left: training loss; dashed, the rate of the initial kernel's slowest mode. Right: relative movement of the parameters at the end; dashed, slope −1.", "name": "fig-a-choice-of-scale-forever"}}
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.0))
axes[0].semilogy(steps, loss[::2].T, label=[f"α = {alpha:g}" for alpha in alphas[::2]])
axes[0].plot(steps, 1e-2 * jnp.exp(factor * steps), **ntk.plotting.THEORY)
axes[0].set(ylim=(1e-20, 1), xlabel="step", ylabel="loss"), axes[0].legend(fontsize=8)
axes[1].loglog(alphas, moved[:, -1], "o")
axes[1].plot(alphas, moved[-1, -1] * 1000 / alphas, **ntk.plotting.THEORY)
axes[1].set(xlabel="α", ylabel="‖θ − θ₀‖ / ‖θ₀‖")
plt.show()

# %% [markdown]
# **What we see.** From $\alpha = 1$ on the measured rate is within 1 % of the initial kernel's. At $\alpha = 100$ the loss
# falls by twenty orders of magnitude while the parameters move by 0.05 %. The theorem is far more cautious: it asks for $\kappa \le 2.5\cdot10^{-4}$, and the decay is as fast at $\alpha = 1$.
#
# ## Digits lost, and found
#
# In float32 a number is known to about seven digits. The difference $f(\theta) - f(\theta_0)$ has the rounding error of
# $f$, and $\alpha$ multiplies it. Worse, $\theta = \theta_0 + u/\alpha$, once stored, has lost the digits of $u$ that lie
# below those of $\theta_0$. Both are cured by taking $u$ itself as the parameters and by never subtracting:
#
# $$
# \alpha\bigl(f(\theta_0 + \tfrac u\alpha) - f(\theta_0)\bigr) = \int_0^1 J\bigl(\theta_0 + \tfrac{s\,u}{\alpha}\bigr)\,u\;\mathrm ds .
# $$ (eq-a-choice-of-scale-integral)
#
# Two Gauss–Legendre nodes, $s = \tfrac12 \pm \tfrac1{2\sqrt3}$, integrate polynomials in $s$ up to degree 3 exactly: two
# Jacobian-vector products. By hand, and by the package's `ntk.scaled_increment`:

# %%
def increment(f, params0, alpha, u, x):
    at = lambda s: jax.tree.map(lambda p, d: p + s * d / alpha, params0, u)
    slope = lambda s: jax.jvp(lambda p: f(p, x), (at(s),), (u,))[1]
    return sum(slope(0.5 + sign * 0.5 / 3**0.5) for sign in (-1, 1)) / 2

theta0, u = (jax.tree.map(lambda leaf: leaf[i] / (1, 6)[i], params0) for i in (0, 1))
by_package = ntk.scaled_increment(net.apply, theta0, 10.0)(u, x[0])
assert jnp.allclose(increment(net.apply, theta0, 10.0, u, x[0]), by_package, rtol=1e-12)

# %% [markdown]
# How far are the two from the true value, in float32?

# %%
low = partial(jax.tree.map, lambda leaf: leaf.astype(jnp.float32))

def errors(alpha):  # of the subtraction, and of the increment, in float32
    true = ntk.outputs(ntk.scaled_increment(net.apply, theta0, alpha, nodes=8), u, x)
    start, step, data = low((theta0, u, x))
    end = jax.tree.map(lambda p, d: p + d / alpha.astype(p.dtype), start, step)
    direct = ntk.outputs(ntk.scaled(net.apply, start, alpha), end, data)
    integral = ntk.outputs(ntk.scaled_increment(net.apply, start, alpha), step, data)
    return jnp.stack([ntk.relative_change(true, out) for out in (direct, integral)])

# %% [markdown]
# The errors are rounding errors, so we count correct digits and round their number to a whole one.

# %% mystnb={"image": {"alt": "Number of correct digits against alpha from one to ten million. With the subtraction it falls by one digit for each factor of ten, from six to none at ten to the six. With the increment it is four at alpha one and seven from alpha ten on."}, "figure": {"caption": "Correct digits of the scaled outputs in float32: minus the logarithm of the relative error to base 10, rounded.", "name": "fig-a-choice-of-scale-float32"}}
big, (fig, ax) = 10.0 ** jnp.arange(8), plt.subplots(figsize=(5.6, 3.0))
digits = jnp.maximum(jnp.round(-jnp.log10(jax.jit(jax.vmap(errors))(big))), 0)
ax.plot(big, digits, "o-", label=["subtraction", "increment"])
ax.set(xscale="log", xlabel="α", ylabel="correct digits", ylim=(-0.3, 8)), ax.legend()
plt.show()
assert digits[6, 0] == 0 and digits[2:, 1].min() >= 6

# %% [markdown]
# And can one train with it? In $u$ the kernel is that of $f$, so the learning rate needs no $\alpha^2$; and
# $\alpha = \infty$ is allowed: {eq}`eq-a-choice-of-scale-integral` is then the linearization. We train 200 steps at
# $\alpha = 10^6$ in float32, and the linear model in float64.

# %%
rate, zero = unit(net.apply, theta0, x20), jax.tree.map(jnp.zeros_like, theta0)
start, start_u, *data32 = low((theta0, zero, x20, y[0, :20]))
fall = lambda model, p, x, y, rate: ntk.train(
    model, p, x, y, ntk.gradient_descent(rate), steps=[200]).loss[0]
direct = fall(ntk.scaled(net.apply, start, 1e6), start, *data32, rate / 1e12)
integral = fall(ntk.scaled_increment(net.apply, start, 1e6), start_u, *data32, rate)
infinite = ntk.scaled_increment(net.apply, theta0, jnp.inf)
linear = fall(infinite, zero, x20, y[0, :20], rate)
print(f"final loss: linear model {linear:.4f}, increment {integral:.4f}")
assert jnp.allclose(integral, linear, rtol=1e-3) and direct > 2 * linear

# %% [markdown]
# **What we see.** The subtraction's error grows in proportion to $\alpha$: in float32 nothing of the output is left near
# $\alpha = 10^6$. Training with it ends, as asserted, at more than twice the loss, while training with the increment
# cannot be told from the linear model. At
# $\alpha = 1$ two nodes are not enough for a step of this size, and the plain subtraction is the better choice.
#
# ## Where it breaks
#
# **Lazy is not good.** In {numref}`fig-a-choice-of-scale-surprise` laziness cost the fit: the oscillator at $\alpha = 1$ found its
# target, the lazy one could not. A lazy model is a linear model with features fixed by chance; nothing in this
# chapter looked at a test error. The next chapter does.
#
# **Width alone is not enough, nor is it needed.** With $1/m$ in front, $\kappa$ does not fall. "Lazy training emerges in
# the infinite-width limit" is true for the normalization $1/\sqrt m$, and names neither the cause nor the only way.
#
# **The trick of doubling changes the order.** A measured gap of order $\alpha^{-2}$ does not contradict the theorem.
#
# **The bound grows with time.** {prf:ref}`thm-a-choice-of-scale-lazy` is for fixed $k$. If $\Theta$ is not invertible,
# {prf:ref}`thm-a-choice-of-scale-forever` does not apply, and for losses such as cross-entropy, whose minimum lies at
# infinity, $\theta$ moves on for ever.
#
# **Kinks.** A ReLU network has no $D^2f$ at some points of the ball. `relative_scale` sees the derivative between kinks only
# and returns a number that bounds nothing. It is also a local search: what it returns is a lower bound of the norm.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** The scale α is raised from 10 to 100 at the same k. What becomes of the distance between the two parameter vectors?
#
# <details class="wrong"><summary>It falls to a tenth</summary>
#
# That is the distance of either from $\theta_0$, or the gap of the outputs.
#
# </details>
# <details class="right"><summary>It falls to a hundredth</summary>
#
# Yes, $\lVert\theta - \bar\theta\rVert \propto \alpha^{-2}$. In outputs, one factor $\alpha$ multiplies it again.
#
# </details>
# <details class="wrong"><summary>It stays, only the outputs come closer</summary>
#
# If the parameters stayed apart, $\alpha$ would push the outputs apart.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** A colleague measures an output gap that falls as 1/α². What do you ask first?
#
# <details class="right"><summary>Was the network started by doubling its units?</summary>
#
# Yes: then the order $1/\alpha$ cancels by symmetry.
#
# </details>
# <details class="wrong"><summary>Is the network very wide?</summary>
#
# Width changes the size of the gap, not its power of $\alpha$.
#
# </details>
# <details class="wrong"><summary>Was the gap divided by ‖y‖?</summary>
#
# $\lVert y\rVert$ does not depend on $\alpha$, so dividing by it changes no exponent.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** A network with 1/m in front of the sum is made a hundred times as wide. Its κ …
#
# <details class="wrong"><summary>falls to a tenth</summary>
#
# That is the law for $1/\sqrt m$.
#
# </details>
# <details class="wrong"><summary>falls to a hundredth</summary>
#
# Its curvature does. But the squared slope falls by the same factor.
#
# </details>
# <details class="right"><summary>stays about the same</summary>
#
# Yes: curvature $1/m$ over squared slope $m\cdot 1/m^2$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** In float32, α = 10⁶, you take the increment as a function of θ, not of u. Does it help?
#
# <details class="wrong"><summary>Yes, the subtraction of outputs is what loses digits</summary>
#
# It is one of two losses. $\theta$ itself, about 1 in size, cannot hold a displacement of $10^{-6}$ with any accuracy.
#
# </details>
# <details class="right"><summary>Hardly: θ has already lost the digits of its displacement</summary>
#
# Yes. That is why the parameters of `scaled_increment` are $u$.
#
# </details>
# <details class="wrong"><summary>No, because two nodes are too few</summary>
#
# At this $\alpha$ the path is so short that two nodes are exact to all digits of float32.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ The product
# :label: ex-a-choice-of-scale-product
#
# For $f = u\cdot v/\sqrt m$, not centred, with target $y$, find $\kappa$ by hand and write it as `kappa(u, v, y)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $D^2f[\delta,\delta] = 2\,\delta u\cdot\delta v/\sqrt m$. How large can it be for a unit vector $(\delta u, \delta v)$?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# 2 δu·δv ≤ |δu|² + |δv|² = 1, so the curvature is 1/√m; the squared slope is λ.
def product_kappa(u, v, y):
    m = len(u)
    squared_slope = (u @ u + v @ v) / m
    return abs(u @ v / m**0.5 - y) / (m**0.5 * squared_slope)

ntk.exercises.a_choice_of_scale.check_product(product_kappa)

# %% [markdown]
# :::{exercise} ★ Other powers of the width
# :label: ex-a-choice-of-scale-width
#
# Put $m^{-s}$ in front of the sum over units. With which power of $m$ does the $\kappa$ of the centred network change? Write it as
# `exponent(s)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The curvature belongs to one unit, the squared slope to all.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The curvature goes as m^(−s), the squared slope as m^(1 − 2s).
ntk.exercises.a_choice_of_scale.check_width(lambda s: -s - (1 - 2 * s))

# %% [markdown]
# :::{exercise} ★★ Larger initial weights
# :label: ex-a-choice-of-scale-homogeneous
#
# A linear network with $L$ hidden layers and no biases starts with all weights $\lambda$ times as large. Centred, with the same
# $y$: with which power of $\lambda$ does $\kappa$ change? Write it as `exponent(depth)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The output is a polynomial, homogeneous of degree $q = L + 1$. Each derivative lowers the degree by one.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# With q = L + 1: the curvature has degree q − 2, the squared slope 2 (q − 1).
def homogeneous_exponent(depth):
    q = depth + 1
    return (q - 2) - 2 * (q - 1)

ntk.exercises.a_choice_of_scale.check_homogeneous(homogeneous_exponent)

# %% [markdown]
# :::{exercise} ★★ How long is it lazy?
# :label: ex-a-choice-of-scale-time
#
# Up to which $k$ does {prf:ref}`thm-a-choice-of-scale-lazy` promise a relative output gap of at most one tenth? Write it
# as `time(kappa)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The bound grows with $k$: bisect, for $k$ between 0 and $10^4$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Bisection on a function that increases.
def time(kappa, low=0.0, high=1e4):
    for _ in range(60):
        k = (low + high) / 2
        bound = 8**0.5 / 3 * k**1.5 * kappa + (k * kappa) ** 2 / 4
        low, high = (k, high) if bound < 0.1 else (low, k)
    return low

ntk.exercises.a_choice_of_scale.check_how_long(time)

# %% [markdown]
# :::{exercise} ★★★ Where float32 ends
# :label: ex-a-choice-of-scale-float32
#
# `ntk.exercises.a_choice_of_scale.float32_problem()` returns `(f, params0, u, x)` in float32. At which $\alpha$ is the relative
# error of `ntk.scaled`, evaluated at $\theta_0 + u/\alpha$, about one hundredth? A factor of 3 is near enough.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `ntk.scaled_increment` gives the true value. The error is proportional to $\alpha$: one measurement is enough.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# One measurement at α = 1000, then the rule of three.
f, p0, u_low, x_low = ntk.exercises.a_choice_of_scale.float32_problem()
params = jax.tree.map(lambda p, d: p + d / 1000, p0, u_low)
direct = ntk.outputs(ntk.scaled(f, p0, 1000.0), params, x_low)
exact = ntk.outputs(ntk.scaled_increment(f, p0, 1000.0), u_low, x_low)
error = ntk.rms(direct - exact) / ntk.rms(exact)
ntk.exercises.a_choice_of_scale.check_float32(1000 * 0.01 / error)

# %% [markdown]
# ## Questions readers ask
#
# **Is α a hyperparameter that people set?** Rarely by this name. But the normalization of the last layer, the size
# of the initial weights (exercise 3) and the size of the labels all set it, knowingly or not.
#
# **Why divide the objective by α²?** So that the outputs move at a speed that does not depend on $\alpha$. Without it,
# the same learning rate would be $\alpha^2$ times too large.
#
# **Must I subtract $f(\theta_0)$?** Something must keep $\lVert F(\theta_0) - y\rVert$ from growing with $\alpha$. If it does grow,
# $\kappa = \alpha\lVert f_0\rVert\cdot\alpha\lVert D^2f\rVert/(\alpha^2S^2)$ no longer falls.
#
# **How small must κ be?** For time $k$, the theorem wants $k^{3/2}\kappa$ small. In
# {numref}`fig-a-choice-of-scale-kappa` the measured gap was far smaller than that.
#
# ## Summary
#
# - The scaled model $\alpha(f - f_0)$ with objective $R/\alpha^2$ makes any smooth model lazy: four parameters are enough.
# - The relative scale $\kappa$, residual times curvature over squared slope, is $\propto 1/\alpha$; `ntk.relative_scale` computes it.
# - For fixed $k$, with proven constants: $\lVert\theta-\theta_0\rVert \propto \alpha^{-1}$,
#   $\lVert\theta-\bar\theta\rVert \propto \alpha^{-2}$, $\lVert F-\bar F\rVert \propto \alpha^{-1}$. No measurement crossed a bound.
# - The doubling trick makes the output gap fall as $\alpha^{-2}$ and so hides the order of the bound.
# - $\kappa \propto m^{-1/2}$ for $1/\sqrt m$, constant for $1/m$: width is lazy only through the scale.
# - In float32 take `ntk.scaled_increment`, trained in $u = \alpha(\theta - \theta_0)$.
#
# ## What is next
#
# {doc}`/book/lazy_training/two_layer_networks` asks what one loses by being lazy, on a task where the answer is known.
# {doc}`/book/lazy_training/lazy_or_feature` combines $\alpha$ with the width.
#
# ## Further reading
#
# - Chizat, Oyallon and Bach {cite}`chizat2019`: lazy training as a choice of scale, for general losses, with the
#   statements uniform in time.
# - Arthur Jacot, Franck Gabriel and Clément Hongler {cite}`jacot2018`: the infinite-width limit in which laziness was
#   first seen.
# - Mario Geiger and co-authors {cite}`geiger2020`: $\alpha$ and width together, and what lies beyond the lazy regime.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* First figure and a vote: can four parameters be lazy? (5); the bent line on the board (10); proof
# of {prf:ref}`thm-a-choice-of-scale-lazy`, movement and gap only (15); bounds against measurements (10); width, with exercise
# 2 (10).
#
# *Plan for 90 minutes.* As above, then the doubling trick (10), exercises 1 and 3 in pairs (15), digits lost and found
# (15).
#
# *Misconceptions.* "Lazy means wide": the oscillator. "Wide means lazy": $1/m$. "The gap is of order $\alpha^{-2}$, I
# measured it": doubling. "Lazy training fails to train": the loss fell to $10^{-20}$. "A smaller bound means a
# smaller gap": {numref}`fig-a-choice-of-scale-kappa`.
#
# </details>
