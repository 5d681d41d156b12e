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
# # Lazy or feature: one plane
#
# **Whether a network learns features or trains as a linear model is decided by one number, made of its width and the scale
# of its output, and power laws describe both sides.**
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
# A network $f(x, \theta)$ with hidden layers of width $m$ is trained as $F = \alpha\,(f(x,\theta) - f(x,\theta_0))$, with an
# output scale $\alpha$. If $\alpha$ is large, parameters need to move little and the tangent kernel $\Theta$ stays
# as it was: *lazy* training. If $\alpha$ is small, the kernel changes: *feature* training. Where is the border, and what
# has it to do with the width? Mario Geiger, Stefano Spigler, Arthur Jacot and Matthieu Wyart {cite}`geiger2020` answered by
# training networks all over the plane of $\alpha$ and $m$ ($h$ in their paper).
#
# We have done the same, on a smaller scale: two sets of handwritten digits, 5 widths, 13 scales, 10 seeds a point. The
# results are stored with the package; `measured` takes values from there, seeds along the first axis. Where a network did
# not finish (ReLU units can die, and the integrator has a limit of steps) it puts NaN, and such a network is left out of all averages.

# %%
plt.rcParams["figure.dpi"] = 80  # this page has many figures
plane = ntk.results.load("crossover")
widths, scales = plane.axis("width"), jnp.array(plane.axis("scaled_alpha"))
typical = lambda values: jnp.exp(jnp.nanmean(jnp.log(values), 0))  # geometric mean

def measured(results, value, *axes, **chosen):
    table = lambda v: jnp.moveaxis(results.select(**chosen).array(v, *axes), -1, 0)
    return jnp.where(table("reached") == 1, table(value), jnp.nan)

# %% [markdown]
# Two data sets and two activations, ReLU and softplus, make four planes:

# %%
change = {(task, phi): measured(plane, "kernel_change", "width", "scaled_alpha",
                                task=task, activation=phi)
          for task in plane.axis("task") for phi in plane.axis("activation")}
for case, values in change.items():
    print(*case, "- not finished, of 130 a width:", *jnp.isnan(values).sum((0, 2)))

# %% [markdown]
# Here is what the training did to the kernel, on the left against $\alpha$, on the right against $\sqrt m\,\alpha$.

# %% mystnb={"image": {"alt": "Two panels of relative kernel change against output scale on logarithmic axes, one falling curve for each of five widths from 16 to 256. Left, against alpha, five separate parallel curves. Right, against root m times alpha, four of them lie on one another from 0.001 to about 10; width 16 is slightly above, and beyond 10 the curves fan out a little."}, "figure": {"caption": "Relative change of the tangent kernel in training, ReLU networks with two hidden layers on digits; geometric mean and standard error of 10 seeds. Left: a curve for each width. Right: the same points.", "name": "fig-lazy-or-feature-surprise"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.0), sharey=True)
for i, m in enumerate(widths):
    for ax, at in zip(axes, (scales / m**0.5, scales)):
        ntk.plotting.measured(ax, at, change["digits", "relu"][:, i], label=f"m = {m}")
axes[0].set(xlabel="output scale α", ylabel="kernel change ‖ΔΘ‖ / ‖Θ₀‖")
axes[1].set(xlabel="√m α"), axes[1].legend(fontsize=9)
plt.show()

# %% [markdown]
# Five curves became one. The kernel changes by a factor of more than a hundred thousand at one end and by less than a
# hundredth at the other, and from width 32 on the combination $\sqrt m\,\alpha$ tells which, except far on the lazy side.
#
# ## You will be able to
#
# - decide from width and output scale in which regime a network will train;
# - derive the crossover $\alpha^* \sim m^{-1/2}$ and the time $t_1 \sim \sqrt m\,\alpha$ from one estimate;
# - derive the exponent $2L/(L+1)$ of the feature side and check it against networks of one to five hidden layers;
# - explain why lazy ReLU networks have exponents of their own;
# - tell the two infinite-width limits apart, NTK and mean-field.
#
# You need {doc}`/book/linearization/tangent_kernel` and the scaled model, which {doc}`/book/lazy_training/a_choice_of_scale`
# introduces. Symbols are those of {doc}`/book/notation`. New are
#
# :::{prf:definition} Scaled output scale
# :label: def-lazy-or-feature-scale
#
# $\tilde\alpha = \sqrt m\,\alpha$. In the NTK parameterization, where $f$ is of order one at initialization, it is $\alpha$
# times the square root of the width. The *crossover* $\tilde\alpha^*$ is the value at which the relative change of the kernel,
# $\lVert\Theta - \Theta_0\rVert/\lVert\Theta_0\rVert$ on the training examples, is 1; $\alpha^* = \tilde\alpha^*/\sqrt m$.
#
# :::
#
# and $L$, the number of hidden layers. Training is gradient flow on $R(F)/\alpha^2$, so that
# $\mathrm dF/\mathrm dt = -\Theta\,\partial R/\partial F$ with the kernel of the unscaled network: the same unit of
# time for all $\alpha$.
#
# ## A chain, by hand
#
# The smallest network of depth $L$ has one unit a layer, no activation, and all its $L + 1$ weights equal to $\lambda$:
# $f = \lambda^{L+1}$ on the input 1, starting from $\lambda = 1$. By symmetry the weights stay equal. The
# tangent kernel is $\Theta = (L+1)\,\lambda^{2L}$, one term $(\lambda^L)^2$ a weight.
#
# :::{prf:theorem} Both regimes of a chain
# :label: thm-lazy-or-feature-chain
#
# When the chain, trained as $F = \alpha\,(f - 1)$, has reached $F = 1$, its kernel is
#
# $$
# \frac{\Theta}{\Theta_0} = \Bigl(1 + \frac1\alpha\Bigr)^{a}, \qquad a = \frac{2L}{L+1}.
# $$ (eq-lazy-or-feature-chain)
#
# :::
#
# *Proof.* $F = 1$ means $\lambda^{L+1} = 1 + 1/\alpha$, and $\Theta/\Theta_0 = \lambda^{2L}$. ∎
#
# For $\alpha \gg 1$ the kernel changes by $a/\alpha$: lazy. For $\alpha \ll 1$ it grows as $\alpha^{-a}$: feature. In
# between lies the crossover, at $\alpha$ of order one. When does it happen? With a loss of slope $-1$, which the hinge has
# until the goal is near, $\mathrm d\lambda/\mathrm dt = \lambda^L/\alpha$. So time counts in units of $\alpha$:
#
# $$
# t = \alpha \int_1^{\lambda} s^{-L}\,\mathrm ds
# \;\longrightarrow\; \frac{\alpha}{L-1} \quad\text{for } \lambda \to \infty,\ L \ge 2 .
# $$ (eq-lazy-or-feature-time)
#
# Seven chains with $L = 2$. The package's `train_until` follows the gradient flow until a condition holds, here $F > 1$,
# and its hinge loss rounds the kink of $\max(0, 1 - yF)$ off.

# %%
chain, start, one = lambda w, x: jnp.prod(w) * x, jnp.ones(3), jnp.ones((1, 1))

def train_chain(alpha):  # L = 2, three weights
    model = ntk.scaled(chain, start, alpha)
    passed = lambda w: model(w, 1.0) > 1
    end = ntk.train_until(model, start, one, one, passed, loss=ntk.hinge)
    kernel = lambda w: ntk.gram(ntk.empirical_ntk(chain, w), one)
    ratio = jnp.sum(kernel(end.params) / kernel(start))
    return model(end.params, 1.0), ratio, end.t * alpha**2

alphas = jnp.geomspace(1e-3, 1e3, 7)
F, ratio, time = jax.jit(jax.vmap(train_chain))(alphas)
assert jnp.allclose(ratio, (1 + F / alphas) ** (4 / 3))  # the theorem, at this F
print("kernel, after / before:", *(f"{r:.3g}" for r in ratio))
print("time / α:", *(f"{t:.2f}" for t in time / alphas))

# %% [markdown]
# Training stops with the first step past the goal, so we compare at the $F$ it had reached. In the last row, at small
# $\alpha$, time approaches $\alpha/(L - 1) = \alpha$; at large $\alpha$ the goal is reached after a time of about
# $1/\Theta_0$, whatever $\alpha$. The rest of this chapter asks how much of this survives in networks with many units,
# random weights and data.
#
# ## The experiment
#
# Fully-connected networks with $L = 2$ hidden layers, no biases, all weights drawn from $\mathcal N(0,1)$, in the NTK
# parameterization, activations scaled to mean square one. Inputs are the 10 principal components of an image, scaled to length
# $\sqrt{10}$; labels are $\pm1$ for even and odd digits. Gradient flow runs until every one of $n = 128$ examples has a
# margin $y F > 1$. All that follows Geiger and co-authors; what differs is the size (they have up to ten
# thousand examples), our loss, a smooth hinge for all runs, and the integrator: an adaptive method of third order in place
# of their Euler rule.
#
# Stored numbers deserve suspicion. `ntk.regimes.crossover` is the function that made each point; it takes the stored
# configuration, and `deviation` returns the largest difference of any of its values (kernel change, time, test error, …
# of every seed) in units of that value's spread over seeds.

# %%
off = [plane.deviation(ntk.regimes.crossover, task="digits", activation="relu",
                       width=64, scaled_alpha=at) for at in (0.1, 10.0, 1000.0)]
assert max(off) < 0.1  # spreads over seeds; another compilation of it gave 0.0000

# %% [markdown]
# ## Where the two regimes meet
#
# Why $\sqrt m\,\alpha$? Follow one hidden unit. Its weights receive the gradient of $F/\alpha$, which in the NTK
# parameterization has a factor $m^{-1/2}$ for the unit's share in the output. After time $t$, its pre-activation has changed by
#
# $$
# \delta z \;\sim\; \frac{t}{\alpha\sqrt m} = \frac{t}{\tilde\alpha} .
# $$ (eq-lazy-or-feature-unit)
#
# The kernel changes noticeably once $\delta z$ is of order one, at a time $t_1 \sim \tilde\alpha$. The margin,
# meanwhile, is reached at a time of order one if the kernel stays, since $\Theta$ is of order one. So there is a race: for
# $\tilde\alpha \gg 1$ training ends before $t_1$, for $\tilde\alpha \ll 1$ the kernel changes first. The border is at
# a fixed $\tilde\alpha$, that is, at $\alpha^* \sim m^{-1/2}$.
#
# <details class="answer"><summary>Predict before you run: from m = 16 to m = 256, by what factor does α* fall? Does it depend on the activation?</summary>
#
# By a factor of 4, if the argument holds down to such small widths. The activation can change the constant; nothing in
# the argument depends on it.
#
# </details>
#
# For each seed we look where its curve crosses 1, on straight lines between points of the double logarithmic plot
# (`ntk.regimes.crossing`).

# %%
roots = jnp.sqrt(jnp.array(widths))
stars = {case: ntk.regimes.crossing(scales, values, 1.0) / roots
         for case, values in change.items()}
fits = {case: ntk.power_law(widths[1:], star[:, 1:]) for case, star in stars.items()}
for (case, star), fit in zip(stars.items(), fits.values()):
    whole = ntk.power_law(widths, star)
    print(*case, f"- slope {fit.exponent:.2f} ± {fit.standard_error:.2f} for m ≥ 32,",
          f"{whole.exponent:.2f} from 16 on; √m α* = {16 * star[:, -1].mean():.1f}")
assert all(abs(fit.exponent + 0.5) < 0.1 for fit in fits.values())  # 3 standard errors

# %% mystnb={"image": {"alt": "The crossover alpha star against width on logarithmic axes, four nearly coinciding lines close to the dashed slope minus one half; width 16 lies above."}, "figure": {"caption": "The crossover, mean and standard error of 10 seeds, with slope −1/2 (dashed).", "name": "fig-lazy-or-feature-crossover"}}
fig, ax = plt.subplots(figsize=(4.6, 3.0))
for case, star in stars.items():
    ntk.plotting.measured(ax, widths, star, label=", ".join(case))
borders = jnp.stack([star.mean(0) for star in stars.values()])
ax.plot(widths, borders[:, -1].mean() * roots[-1] / roots, **ntk.plotting.THEORY)
ntk.plotting.widths_axis(ax, widths, "crossover α*", ylim=(0.3, 9))
plt.show()

# %% [markdown]
# **What we see.** For widths from 32 on the slopes are −0.53 ± 0.03 on digits, for ReLU and softplus alike, and −0.52 ± 0.02 and
# −0.51 ± 0.02 on MNIST: $\alpha^* \sim m^{-1/2}$. Width 16 lies above the line and would make the slopes −0.55 to −0.61. The
# constant depends on activation and data, but little: at width 256, $\sqrt m\,\alpha^*$ is between 6.3 and 9.0.
#
# Here is all that is stored of the plane. Point at a cell, tap it, or use the arrow keys, and read its numbers; choose which of them
# is coloured, the data and activation, and the horizontal axis.

# %% mystnb={"image": {"alt": "The plane of width m, from 16 to 256, and output scale alpha, as coloured cells with the numbers of one of them. First shown is the kernel change for ReLU on digits, from huge at small alpha to tiny at large alpha; a dashed line for the crossover and a dotted one for root m alpha equal to 1 lean to the left as the width grows, a solid one for alpha equal to 1 stands upright. With root m alpha as the horizontal axis the first two stand upright and the solid one leans to the right."}, "figure": {"caption": "The stored plane; ± is a standard error. Of the kernel change, geometric means over networks; of the test error, a share of 1,000 images, means; the ensemble is the mean output of the networks; fluctuation is the standard deviation of F over networks, root mean square over test images. Lines: crossover (dashed), α = 1 (solid), √m α = 1 (dotted).", "name": "fig-lazy-or-feature-plane"}}
ntk.interactive.explorer(ntk.regimes.tables(plane), {"m": widths},
    {"α": scales / roots[:, None], "√m α": scales}, start=(2, 8),
    lines={"crossover": borders, "α = 1": 1, "√m α = 1": 1 / roots},
    alt="Plane of width and scale, coloured by what you choose")

# %% [markdown]
# **What to look for.**
#
# - *Kernel change.* Go up the solid line, $\alpha = 1$: from feature to lazy, since wider networks change less. Now take
#   $\sqrt m\,\alpha$ for the horizontal axis: the same step up a column leaves the feature side as it is, from $m = 32$ on.
# - *Test error.* On digits, single networks of width 256 err least on the lazy side. ReLU networks of width 16 err most there,
#   on both data sets. On MNIST, wide networks are about equally good everywhere.
# - *The ensemble* gains most where narrow networks are lazy: ReLU on digits, $m = 16$, $\sqrt m\,\alpha = 1000$.
#
# Collapse asks for more than one level. So we compare, at each $\tilde\alpha$, the largest and the smallest mean change
# among the widths from 32 on:

# %%
means = {case: typical(values)[1:] for case, values in change.items()}
spread = {case: values.max(0) / values.min(0) for case, values in means.items()}
for case, ratio in spread.items():
    print(*case, "-", *(f"{r:.2f}" for r in ratio))
assert max(r[scales < 11].max() for r in spread.values()) < 1.25  # a tenth is noise
assert min(r[-3:].min() for r in spread.values()) > 1.5  # the tail

# %% [markdown]
# The thirteen numbers of a line belong to $\tilde\alpha$ from 0.001 to 1000. Up to 10, where the mean change falls from
# 250,000 to one half, four widths agree within a fifth. Beyond, they do not, and we come back to that.
#
# Is one half really the best exponent? In the next picture you choose it: the horizontal axis is $m^p\,\alpha$. Drag $p$
# until the curves lie on one another. The line below compares the five crossovers.

# %% mystnb={"image": {"alt": "Curves of kernel change against m to the power p times alpha for five widths, with a slider for p from 0 to 1. At p = 0 and p = 1 the five curves are apart, at p = 0.5 they nearly coincide."}, "figure": {"caption": "Drag p, the power of the width in the horizontal axis. ReLU on digits; geometric means of 10 seeds.", "name": "fig-lazy-or-feature-slider"}}
powers = [i / 10 for i in range(11)]
places = [stars["digits", "relu"].mean(0) * jnp.array(widths) ** p for p in powers]

def frame(ax, i):
    for m, curve in zip(widths, typical(change["digits", "relu"])):
        ax.loglog(scales * m ** (powers[i] - 0.5), curve, "o-", label=f"m = {m}")
    ax.set(xlabel="m^p α", ylabel="kernel change"), ax.legend()

notes = [f"the crossovers differ by a factor {max(a) / min(a):.2f}" for a in places]
ntk.interactive.slider(frame, {"p": powers}, start=[2], notes=notes,
                       alt="Kernel change against m^p times alpha, one curve a width")

# %% [markdown]
# ## The time when the kernel starts to change
#
# The argument rests on $t_1 \sim \tilde\alpha$. We look at it directly.
#
# :::{prf:definition} Time of departure
# :label: def-lazy-or-feature-time
#
# $t_1$ is the first time at which $\lVert\Theta - \Theta_0\rVert/\lVert\Theta_0\rVert = \tfrac12$.
#
# :::
#
# There is more to say of the time before $t_1$. While $\lvert F\rvert \ll 1$, every example pulls with the same force, and
# gradient flow follows the same path $\theta(t/\alpha)$ for all $\alpha$. Along it $f - f_0 = F/\alpha$ grows linearly, as
# $t/\alpha$. At $t_1 \sim \sqrt m\,\alpha$ it has thus grown by about $\sqrt m$.
#
# <details class="answer"><summary>Predict before you run: plot the kernel's change against t/α̃ for several widths and scales. Which curves will differ?</summary>
#
# If the argument is right none should differ much: not the scales, since the path is the same, and not the widths, since
# δz depends on t/α̃ only. The growth of f needs to be divided by √m to fall on one curve.
#
# </details>
#
# ReLU networks, 64 digits, 10 seeds, two widths, and two scales a hundred apart for the smaller. A draw of the wider
# network, cut by `ntk.regimes.narrower`, serves for both.

# %%
from functools import partial
x, y, *_ = ntk.datasets.digits(jax.random.key(0), 64, 0, num_components=10)
each = jax.lax.map  # one after the other: each takes the steps it needs, no more
net = lambda m, depth, phi: ntk.regimes.perceptron(m, depth, getattr(ntk, phi))
draw = lambda net, num: ntk.draw(net, jax.random.split(jax.random.key(2), num), (10,))
over = lambda one: lambda ps, ss: each(lambda p: each(partial(one, p), ss), ps)
kernel = lambda net, params: ntk.gram(ntk.layerwise(net, params), x)
ratios, runs = jnp.geomspace(0.2, 4, 12), {32: [0.001, 0.1], 128: [0.001]}

# %% [markdown]
# `course` trains one network and records both quantities at times `ratios` $\times\,\tilde\alpha$. The arrays that it
# returns for many have axes for seeds, scales and times.

# %%
def course(net, m, params0, scale):
    theta0, f0 = kernel(net, params0), ntk.outputs(net.apply, params0, x)
    look = lambda p: (ntk.relative_change(theta0, kernel(net, p)),
                      ntk.rms(ntk.outputs(net.apply, p, x) - f0))
    model, alpha = ntk.scaled(net.apply, params0, scale / m**0.5), scale / m**0.5
    return ntk.train(model, params0, x, y, ntk.gradient_flow(rtol=1e-4), loss=ntk.hinge,
                     ts=ratios * scale / alpha**2, record=look).record

widest = draw(net(128, 2, "relu"), 10)
courses = [over(partial(course, net(m, 2, "relu"), m))(
    ntk.regimes.narrower(widest, m), jnp.array(some)) for m, some in runs.items()]
at = jnp.vectorize(lambda t, g: jnp.interp(t, ratios, g), signature="(),(n)->()")
t1 = [jnp.array(ntk.regimes.crossing(ratios, moved, 0.5)) for moved, _ in courses]
grown = [at(t, g) for t, (_, g) in zip(t1, courses)]

# %% [markdown]
# The two scales must agree seed by seed; the widths, on average:

# %%
slopes = [ntk.power_law(list(runs), jnp.stack([one[:, 0], two[:, 0]], 1))
          for one, two in (t1, grown)]
for name, fit, (one, _) in zip(("t1 / α̃", "growth of f"), slopes, (t1, grown)):
    print(f"{name}: {one[:, 0].mean():.3f} and {one[:, 1].mean():.3f} at m = 32,",
          f"slope in m {fit.exponent:.2f} ± {fit.standard_error:.2f}")
assert all(jnp.allclose(one[:, 0], one[:, 1], rtol=0.01) for one, _ in (t1, grown))
for fit, law in zip(slopes, (0, 0.5)):
    assert abs(fit.exponent - law) < 3 * fit.standard_error

# %% [markdown]
# The whole courses, at $\tilde\alpha = 0.001$:

# %% mystnb={"image": {"alt": "Two panels against time divided by scaled alpha. Left: kernel change for widths 32 and 128, rising from below 0.1 and passing one half near 1.4, to some tens at 4. Right: growth of f divided by root m, two nearly coinciding lines, at first along a dashed line of slope one."}, "figure": {"caption": "Courses of training in the feature regime (α̃ = 0.001): geometric mean and standard error of 10 seeds. Left: kernel change; dotted: one half, which defines t₁. Right: root mean square of f − f₀ on the training set, over √m, beside linear growth (dashed).", "name": "fig-lazy-or-feature-time"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.0))
for m, (moved, g) in zip(runs, courses):
    for ax, values in zip(axes, (moved[:, 0], g[:, 0] / m**0.5)):
        ntk.plotting.measured(ax, ratios, values, label=f"m = {m}")
axes[0].axhline(0.5, color="black", linestyle=":"), axes[0].legend(fontsize=9)
axes[1].plot(ratios, ratios / ratios[0] * values[:, 0].mean(), **ntk.plotting.THEORY)
for ax, label in zip(axes, ("kernel change", "growth of f / √m")):
    ax.set(xlabel="t / α̃", ylabel=label)
    ax.set_xticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"], minor=False)
    ax.xaxis.set_minor_locator(plt.NullLocator())
plt.show()

# %% [markdown]
# **What we see.** The two scales give the same $t_1/\tilde\alpha = 1.42$ for width 32 and the same growth. From 32 to 128 the slope of
# $t_1/\tilde\alpha$ is compatible with 0, so $t_1 \sim \sqrt m\,\alpha$, and that of the growth with $\tfrac12$. Until $t_1$ the
# output is linear in time; then both quantities take off, faster than any exponential, as {eq}`eq-lazy-or-feature-time`
# has it for $L = 2$. Long before $t_1$ the kernel of the narrower network has changed more; the lazy side below tells why.
#
# ## The end of feature training, layer by layer
#
# After $t_1$ weights grow. Suppose that growth is what matters, a factor $\lambda$ in each layer. A network of
# ReLU units without biases is homogeneous: with all weights multiplied by $\lambda$, $f$ is multiplied by $\lambda^{L+1}$
# and $\Theta$ by $\lambda^{2L}$, just as for the chain. At $t_1$, $F$ was of order $\alpha\sqrt m = \tilde\alpha$, so the
# margin is reached when $\tilde\alpha\,\lambda^{L+1} \sim 1$. Hence
#
# $$
# \frac{\lVert\Delta\Theta\rVert}{\lVert\Theta_0\rVert} \sim \lambda^{2L} \sim \tilde\alpha^{-a},
# \qquad a = \frac{2L}{L+1}:\quad 1,\ \tfrac43,\ \tfrac32,\ \tfrac85,\ \tfrac53,\ \dots
# $$ (eq-lazy-or-feature-exponent)
#
# the exponent of {prf:ref}`thm-lazy-or-feature-chain`. Softplus, $\log(1 + e^{\beta z})/\beta$ with $\beta = 5$, is close to ReLU
# for large $z$, so the same should hold.
#
# <details class="answer"><summary>Predict before you run: can a reach 2?</summary>
#
# Not at finite depth: 2L/(L + 1) grows with L and tends to 2. Geiger and co-authors state a < 2, and a → 2 as depth grows.
#
# </details>
#
# A second stored sweep has networks of width 64 and one to five hidden layers at small $\tilde\alpha$, trained by the same
# function.

# %%
sweep = ntk.results.load("depth")
layers, small = sweep.axis("depth"), jnp.array(sweep.axis("scaled_alpha"))
theory = jnp.array([2 * L / (L + 1) for L in layers])
exponents, fits, ends = [], {}, {}
for phi in sweep.axis("activation"):
    ends[phi] = measured(sweep, "kernel_change", "depth", "scaled_alpha",
                         activation=phi)
    fits[phi] = [ntk.power_law(small, row) for row in typical(ends[phi])]
    exponents.append([-fit.exponent for fit in fits[phi]])
    print(f"{phi}, {jnp.isnan(ends[phi]).sum()} of {ends[phi].size} not finished:",
          *(f"{a:.2f}" for a in exponents[-1]))
a = jnp.array(exponents)  # one row an activation
assert (jnp.diff(a) > 0).all() and (a < 2).all() and (abs(a / theory - 1) < 0.1).all()

# %% [markdown]
# With the straight lines they belong to:

# %% mystnb={"image": {"alt": "Two panels. Left: kernel change against scaled alpha on logarithmic axes for ReLU networks with one to five hidden layers, straight falling lines, the steeper the deeper. Right: their exponent a against depth for ReLU and softplus, rising from 1 towards 2, close to the dashed theory."}, "figure": {"caption": "Left: kernel change at the end of feature training, ReLU, width 64, geometric mean and standard error over seeds; L is the number of hidden layers. Right: the exponents beside 2L/(L + 1), dashed.", "name": "fig-lazy-or-feature-depth"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.0))
for i, L in enumerate(layers):
    ntk.plotting.measured(axes[0], small, ends["relu"][:, i], label=f"L = {L}")
for phi, found in fits.items():
    axes[1].errorbar(layers, [-fit.exponent for fit in found],
                     [fit.standard_error for fit in found], fmt="o-", label=phi)
axes[1].plot(layers, theory, **ntk.plotting.THEORY)
axes[0].set(xlabel="√m α", ylabel="kernel change"), axes[0].legend(fontsize=9)
axes[1].set(xlabel="hidden layers L", ylabel="a", xticks=layers), axes[1].legend()
plt.show()

# %% [markdown]
# **What we see.** The exponents grow with depth and stay below 2, for both activations, and they lie within a tenth of $2L/(L+1)$,
# above it. The argument is for the limit $\tilde\alpha \to 0$.
#
# ## The lazy side is not one curve
#
# In {numref}`fig-lazy-or-feature-surprise` the curves fan out at large $\tilde\alpha$. Take one hidden layer,
# $f = m^{-1/2}\sum_i a_i\,\varphi(z_i)$, whose kernel contains the mean over units
# $\frac1m \sum_i a_i^2\,\varphi'(z_i)\,\varphi'(z_i')$. In the time of order one that lazy training takes, {eq}`eq-lazy-or-feature-unit` says that $z_i$
# moves by $\delta z_i \sim a_i / (\alpha\sqrt m)$. Expand the kernel to second order in it:
#
# - The first-order terms have the sign of $a_i$, which is random. A sum of $m$ such terms is of order $\sqrt m$, so the mean
#   changes by $m^{-1/2}\,\delta z \sim 1/(\alpha m)$.
# - The second-order terms have $a_i^2$ and all the same sign: $\delta z^2 \sim 1/(\alpha^2 m)$.
#
# $$
# \frac{\lVert\Delta\Theta\rVert}{\lVert\Theta_0\rVert} \;\approx\; \frac{c_1}{\alpha m} + \frac{c_2}{\alpha^2 m}
# \;=\; \frac{c_1}{\tilde\alpha \sqrt m} + \frac{c_2}{\tilde\alpha^2} .
# $$ (eq-lazy-or-feature-tail)
#
# The second term depends on $\tilde\alpha$ alone, the first does not, and it wins once $\alpha \gg 1$. So the collapse on
# $\sqrt m\,\alpha$ belongs to the feature side and the crossover; deep on the lazy side there is an extra $m^{-1/2}$.
#
# ReLU has no second derivative to expand with. Its $\varphi'$ jumps: a unit changes its part in the kernel only where
# $z_i$ changes sign, which happens to a share $\sim\delta z$ of the units. Those $m\,\delta z$ units contribute
# $1/m$ each with random sign, a change of $\sqrt{m\,\delta z}/m = (\tilde\alpha m)^{-1/2}$: half the exponent in $\tilde\alpha$.
#
# We train one-layer tanh networks until the margin is reached, at four scales a width. The first, $\alpha = m^{-1/2}$,
# is for the next section.

# %%
def at_margin(net, params0, alpha):
    model, hidden = ntk.scaled(net.apply, params0, alpha), ntk.Serial(net.layers[:-1])
    passed = lambda p: jnp.all(y * ntk.outputs(model, p, x) > 1)
    end = ntk.train_until(model, params0, x, y, passed, loss=ntk.hinge)
    looks = partial(kernel, net), lambda p: ntk.outputs(hidden.apply, p[:-1], x)
    changes = [ntk.relative_change(look(params0), look(end.params)) for look in looks]
    return end.reached, *changes

# %% [markdown]
# It returns whether the margin was reached, and the changes of the kernel and of the hidden activations. The arrays
# have axes for seeds, widths and scales.

# %%
sizes, widest = [32, 128, 512], draw(net(512, 1, "tanh"), 4)
found = [over(partial(at_margin, net(m, 1, "tanh")))(
    ntk.regimes.narrower(widest, m), jnp.array([m**-0.5, 1, 10, 100])) for m in sizes]
reached, moved, hidden = (jnp.stack(values, 1) for values in zip(*found))
tail = lambda phi: ntk.power_law(scales[-3:], change["digits", phi][:, -1, -3:])
lines = [("tanh, in α", ntk.power_law([10, 100], moved[:, -1, 2:]), -1),
         ("tanh, in m", ntk.power_law(sizes, moved[:, :, -1]), -1),
         ("softplus, in α", tail("softplus"), -1), ("relu, in α", tail("relu"), -0.5)]
for name, fit, law in lines:
    print(f"{name}: {fit.exponent:.2f} ± {fit.standard_error:.2f}, argument {law}")
assert reached.all() and all(abs(fit.exponent - law) < 0.15 for _, fit, law in lines)

# %% [markdown]
# The last two lines are from the stored plane, two hidden layers of width 256, $\tilde\alpha$ from 100 to 1000. The limit
# 0.15 allows for corrections to the argument.

# %% mystnb={"image": {"alt": "Two panels against scaled alpha on logarithmic axes. Left: kernel change of tanh networks at widths 32, 128 and 512, parallel lines of slope minus one, the wider the lower. Right: stored results at width 256, softplus falling with slope minus one, ReLU with slope about minus one half."}, "figure": {"caption": "The lazy side. Left: tanh, one hidden layer, α = 1, 10, 100; mean and standard error of 4 seeds. Right: two hidden layers on digits, width 256, 10 seeds. Dashed: slopes −1 and −1/2.", "name": "fig-lazy-or-feature-tail"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.0))
for i, m in enumerate(sizes):
    at = m**0.5 * jnp.array([1, 10, 100])
    ntk.plotting.measured(axes[0], at, moved[:, i, 1:], label=f"tanh, m = {m}")
for phi, law in (("softplus", -1), ("relu", -0.5)):
    last, at = change["digits", phi][:, -1, -5:], scales[-5:]
    ntk.plotting.measured(axes[1], at, last, label=phi)
    axes[1].plot(at, typical(last)[-1] * (at / at[-1]) ** law, **ntk.plotting.THEORY)
for ax in axes:
    ax.set(xlabel="√m α", ylabel="kernel change"), ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# **What we see.** For tanh the exponents are −1.04 ± 0.03 in $\alpha$ and −0.98 ± 0.02 in $m$: the first term of
# {eq}`eq-lazy-or-feature-tail`, and no collapse on $\sqrt m\,\alpha$. The second term, $1/\alpha^2$, is not yet negligible for
# softplus at $\alpha = 100/16$, which makes its slope −1.12 ± 0.02. ReLU has −0.55 ± 0.04, about half.
#
# ## Two ways to infinite width
#
# As $m \to \infty$, what happens depends on what happens to $\alpha$. With $\alpha$ fixed, say at 1, $\tilde\alpha = \sqrt m$ grows and
# every network becomes lazy: the *NTK limit* {cite}`jacot2018`. With $\alpha = m^{-1/2}$, $\tilde\alpha = 1$ stays, and the
# network never becomes lazy: the *mean-field limit* {cite}`mei2018`. They are the two lines in
# {numref}`fig-lazy-or-feature-plane`. So width alone makes nothing lazy.
#
# <details class="answer"><summary>Predict before you run: how do the kernel and the hidden activations change with m in each limit?</summary>
#
# Mean-field: not at all, since α̃ is fixed. NTK: a unit moves by 1/(α√m), slope −1/2; the kernel by 1/(αm), slope −1 once
# α̃ is far beyond the crossover.
#
# </details>

# %% mystnb={"image": {"alt": "Two panels against width on logarithmic axes, one line for the mean-field scaling and two for fixed alpha. Left, kernel change: flat at about 3.4 for mean-field, falling for alpha 1, and with slope minus one for alpha 100. Right, change of the hidden activations: flat at 0.8, and falling with slope about minus one half for alpha 100."}, "figure": {"caption": "Two limits of infinite width, tanh networks with one hidden layer, mean and standard error of 4 seeds. Dashed: slopes 0, −1 (left) and −1/2 (right).", "name": "fig-lazy-or-feature-limits"}}
(fig, axes), errors = plt.subplots(1, 2, figsize=(6.6, 3.0)), []
for ax, values, name, law in zip(axes, (moved, hidden), ("Θ", "φ(z)"), (-1, -0.5)):
    for i, label, at in ((0, "√m α = 1", 0), (1, "α = 1", None), (3, "α = 100", law)):
        fit = ntk.plotting.scaling(ax, sizes, values[:, :, i], theory=at, label=label)
        errors.append(0 if at is None else abs(fit.exponent - at))
    ntk.plotting.widths_axis(ax, sizes, f"change of {name}", ylim=(None, 300))
assert max(errors) < 0.1  # 2 standard errors
plt.show()

# %% [markdown]
# **What we see.** With $\alpha = m^{-1/2}$ neither the kernel nor the hidden units notice the width. At $\alpha = 100$ the exponents
# are those of the lazy side. $\alpha = 1$ is on its way there: at $m = 512$, $\tilde\alpha$ is only 23, not far beyond the
# crossover, and slopes are smaller.
#
# ## Where it breaks
#
# **Deep in the lazy regime**, $\tilde\alpha$ is not enough: {eq}`eq-lazy-or-feature-tail`.
#
# **Small widths.** At $m = 16$ the kernel changes more than the collapse predicts, which steepens the slope of $\alpha^*$; we fit from
# 32 on. There, some ReLU networks also never reach the margin. They are counted in the first output of this chapter and
# left out everywhere; what is left is slightly biased towards networks that train easily.
#
# **Other activations.** The exponent $2L/(L+1)$ needs $f$ to keep growing with its weights. A saturating activation such
# as tanh has hidden layers that stop growing.
#
# **The threshold is a convention.** We call 1 the border, where the curve in {numref}`fig-lazy-or-feature-surprise` passes without any kink. A tenth would move
# $\tilde\alpha^*$ to a larger value (exercise 2) and leave its exponent as it is, as long as the collapse holds there.
#
# **Which side is better?** {numref}`fig-lazy-or-feature-plane` shows no single answer: it depends on width, data, and whether one
# network or an ensemble is asked. The abstract of Geiger and co-authors reports that fully-connected networks
# perform generally better in the lazy regime, unlike convolutional ones; {doc}`/book/lazy_training/fluctuations` and *Convolutional
# networks and real data* take that up.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A ReLU network at α = 1 has width 16. Its width is raised to 10,000 with α unchanged. What happens?
#
# <details class="right"><summary>It moves from the feature side to the lazy side</summary>
#
# Yes: $\tilde\alpha$ goes from 4, below the crossover at about 6, to 100.
#
# </details>
# <details class="wrong"><summary>It stays where it was, since α decides</summary>
#
# What decides is $\sqrt m\,\alpha$, and the width has changed it by a factor of 25.
#
# </details>
# <details class="wrong"><summary>It learns more features, having more units</summary>
#
# Each unit moves by $1/(\alpha\sqrt m)$, less than before.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** In the feature regime, α is divided by 10 at fixed width. When has the kernel changed by half?
#
# <details class="wrong"><summary>Ten times later</summary>
#
# The path is the same but for its speed, which is proportional to $1/\alpha$.
#
# </details>
# <details class="right"><summary>Ten times earlier</summary>
#
# Yes, $t_1 \sim \sqrt m\,\alpha$, in the time of the objective $R/\alpha^2$.
#
# </details>
# <details class="wrong"><summary>At the same time, a property of the kernel</summary>
#
# The output $F$ has a time of order one from the kernel; parameters are driven $1/\alpha$ times as fast.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** Two lazy tanh networks have the same α̃ = 1000 and widths 64 and 256. Whose kernel changes more?
#
# <details class="wrong"><summary>Both change alike, since α̃ is the same</summary>
#
# The collapse holds on the feature side. Here the first term of the tail, with its extra $m^{-1/2}$, dominates.
#
# </details>
# <details class="right"><summary>That of width 64, about twice as much</summary>
#
# Yes: $1/(\tilde\alpha\sqrt m)$, and $\sqrt{256/64} = 2$.
#
# </details>
# <details class="wrong"><summary>That of width 64, about four times as much</summary>
#
# That is the ratio at the same $\alpha$, where the change is $1/(\alpha m)$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** Why is a smaller than 2?
#
# <details class="wrong"><summary>Because the integrator stops too early</summary>
#
# A theorem about the chain, without any integrator, has the same exponent.
#
# </details>
# <details class="wrong"><summary>Because of finite width</summary>
#
# The exponent $2L/(L+1)$ contains the depth and not the width.
#
# </details>
# <details class="right"><summary>Because Θ lacks one factor λ² of F²</summary>
#
# Yes: $F \propto \lambda^{L+1}$ and $\Theta \propto \lambda^{2L}$, so $\Theta \propto F^{2L/(L+1)}$; the missing factor matters less in deep
# networks.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ Four networks
# :label: ex-lazy-or-feature-regimes
#
# ReLU networks with two hidden layers on the digits of this chapter have $(\alpha, m)$ = (1, 10,000), (1, 16), (0.01, 10,000), (100, 16).
# Write for each "lazy" or "feature".
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# One multiplication each.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# √m α against the crossover, printed under "Where the two regimes meet".
four = [(1, 10_000), (1, 16), (0.01, 10_000), (100, 16)]
answer = ["lazy" if m**0.5 * alpha > 6.5 else "feature" for alpha, m in four]
ntk.exercises.lazy_or_feature.check_regimes(answer)

# %% [markdown]
# :::{exercise} ★ A tenth, at every width
# :label: ex-lazy-or-feature-constant
#
# You want softplus networks on digits whose kernel changes by a tenth in training, whatever their width. Find $c$
# such that $\alpha = c/\sqrt m$ does it, for $m \ge 64$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The stored plane knows: `ntk.regimes.crossing` at another level.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# c is the α̃ at which the curves pass 0.1; widths 64, 128 and 256 are the last three.
c = ntk.regimes.crossing(scales, change["digits", "softplus"][:, 2:], 0.1).mean()
ntk.exercises.lazy_or_feature.check_constant(c)

# %% [markdown]
# :::{exercise} ★★ When the chain departs
# :label: ex-lazy-or-feature-chain-time
#
# For the chain with $L$ hidden layers and small $\alpha$, write `time(alpha, depth)`: the time at which its kernel has
# changed by half, $\Theta = 1.5\,\Theta_0$. Mind $L = 1$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# First the $\lambda$ at which it happens, then the integral {eq}`eq-lazy-or-feature-time`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# λ^{2L} = 1.5, and the integral of s^{−L} is a logarithm for L = 1.
def time(alpha, depth):
    size = 1.5 ** (1 / (2 * depth))
    if depth == 1:
        return alpha * float(jnp.log(size))
    return alpha * (1 - size ** (1 - depth)) / (depth - 1)

ntk.exercises.lazy_or_feature.check_chain_time(time)

# %% [markdown]
# :::{exercise} ★★ How far the weights go
# :label: ex-lazy-or-feature-displacement
#
# In the feature regime $\lVert\theta - \theta_0\rVert/\lVert\theta_0\rVert \sim \tilde\alpha^{-b}$. Derive $b$ as a
# function `exponent(depth)` of $L$, and compare it with the stored `parameter_change`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# When $\lambda \gg 1$, the displacement is proportional to $\lambda$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# α̃ λ^{L+1} ∼ 1 at the end, and the weights have grown as λ.
def exponent(depth):
    return 1 / (depth + 1)

ntk.exercises.lazy_or_feature.check_displacement(exponent)

# %% [markdown]
# :::{exercise} ★★★ Kinks
# :label: ex-lazy-or-feature-kinks
#
# Simulate the argument for ReLU: $z_i, z_i' \sim \mathcal N(0, 1)$ for $m$ units move by $\varepsilon$ times independent
# standard normal numbers. The root mean square, over many draws, of the change of $\frac1m\sum_i \varphi'(z_i)\,\varphi'(z_i')$
# goes as $\varepsilon^p m^q$ for small $\varepsilon$. Find $(p, q)$ for ReLU.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $\varphi' = 1$ for $z > 0$ and 0 otherwise. Take $\varepsilon$ from 0.001 to 0.01 and 2,000 draws.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# One slope over ε, one over m.
def jump(eps, m):
    z, step = jax.random.normal(jax.random.key(5), (2, 2, 2000, m))
    part = lambda z: jnp.mean((z > 0).all(0), 1)
    return ntk.rms(part(z + eps * step) - part(z))

eps, ms = jnp.array([0.001, 0.003, 0.01]), jnp.array([32, 128, 512])
p = ntk.power_law(eps, jnp.array([jump(e, 128) for e in eps])).exponent
q = ntk.power_law(ms, jnp.array([jump(0.01, int(m)) for m in ms])).exponent
ntk.exercises.lazy_or_feature.check_kinks((p, q))

# %% [markdown]
# ## Questions readers ask
#
# **My network has no α. Where is it in the plane?** In the NTK parameterization with $f$ as it is, $\alpha = 1$; that is
# $\tilde\alpha = \sqrt m$. Other parameterizations, losses and stopping rules shift the crossover, so measure the
# change of the kernel on a few examples rather than trust the constant.
#
# **Why subtract $f(x, \theta_0)$?** Without it, $F$ would start at $\alpha f(x,\theta_0)$, far from the labels when
# $\alpha$ is large, and the lazy side would show how a network unlearns its start.
#
# **Is all feature training the same?** No. At one $\tilde\alpha$ the limit $m \to \infty$ exists, and each $\tilde\alpha$ has its own.
# Small values go on changing the kernel, with the exponent $a$.
#
# **Does a kernel that changed by 1 mean that features were learned?** It means that the linear model no longer describes
# training. A kernel that is only multiplied by a number changes as well; the alignment measures of
# {doc}`/book/linearization/tangent_kernel` tell the two apart.
#
# ## Summary
#
# - The relative change of the kernel is a function of $\tilde\alpha = \sqrt m\,\alpha$ on the feature side and through the
#   crossover, which therefore lies at $\alpha^* \sim m^{-1/2}$.
# - The reason is a race: units change by order one at $t_1 \sim \sqrt m\,\alpha$, the lazy network is done at a time of order one. At
#   $t_1$ the output has grown by $\sqrt m$.
# - At the end of feature training $\lVert\Delta\Theta\rVert/\lVert\Theta_0\rVert \sim \tilde\alpha^{-a}$ with $a = 2L/(L+1)$.
# - On the lazy side a smooth network's kernel changes as $1/(\alpha m)$, not a function of $\tilde\alpha$; that of a ReLU network
#   as $\tilde\alpha^{-1/2}$.
# - Infinite width at fixed $\alpha$ is lazy, at fixed $\tilde\alpha$ it is not.
#
# ## What is next
#
# {doc}`/book/lazy_training/fluctuations` asks what the random initialization does to the learned function in both regimes, and what an
# average over networks gains. To look up a symbol, see {doc}`/book/notation`.
#
# ## Further reading
#
# - Geiger, Spigler, Jacot and Wyart {cite}`geiger2020`: the plane, on four data sets, with convolutional networks too.
# - Lénaïc Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019`: laziness as a choice of scale.
# - Arthur Jacot, Franck Gabriel and Clément Hongler {cite}`jacot2018`: the NTK limit.
# - Song Mei, Andrea Montanari and Phan-Minh Nguyen {cite}`mei2018`: the mean-field limit of two-layer networks.
# - Ethan Dyer and Guy Gur-Ari {cite}`dyer2020`: the powers of the width of corrections to the NTK limit.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* The left half of {numref}`fig-lazy-or-feature-surprise` and a vote on which combination makes one curve (5); the
# chain on the board (10); the race argument (10); the plane and the slider, moved by the class (5); $t_1$ (10); exponents against depth (10).
#
# *Plan for 90 minutes.* As above, then the lazy side with exercise 5 in pairs (20), the two limits (10), exercises 1 and
# 4 (10).
#
# *Misconceptions.* "Wide means lazy": the mean-field line. "α decides": the left half of the first figure. "The collapse is exact":
# the tanh tail. "ReLU follows the smooth theory": its exponent of one half.
#
# </details>
