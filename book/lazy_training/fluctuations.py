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
# # Fluctuations and ensembles
#
# **A trained network is one random draw; here is how far draws scatter, how the scatter falls with the width, and why the
# mean of a few small networks does what one large network does.**
#
# *Reading time 30 minutes; run time about a minute and a half on two CPU cores, which suffice.*

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
# Mario Geiger and co-authors {cite}`geiger2020` trained fully-connected networks of width $m$ (they write $h$) as
# $F = \alpha\,(f(x, \theta) - f(x, \theta_0))$, from a random initialization $\theta_0$ until every training example has
# margin $yF > 1$, for labels $y = \pm 1$. The output scale $\alpha$ decides how: with $\tilde\alpha = \sqrt m\,\alpha$,
# training is *lazy* (the tangent kernel hardly changes) where $\tilde\alpha$ is large, and it *learns features* (the kernel
# changes many times over) where $\tilde\alpha$ is small. The package holds the results of such trainings,
# `ntk.results.load("crossover")`: two hidden layers, 128 training and 1,000 test images reduced to 10 principal components,
# even against odd digits, five widths, 13 values of $\tilde\alpha$, ten initializations each. They took too long to run
# here; below we compute some of them again. `stored` looks up a table.

# %%
plane = ntk.results.load("crossover")
widths, scales = (jnp.array(plane.axis(a)) for a in ("width", "scaled_alpha"))
tasks = plane.axis("task")
kinds = [(task, activation) for task in tasks for activation in ("relu", "softplus")]

def stored(value, task, activation="relu"):  # (width, α̃): estimate, standard error
    return ntk.regimes.tabulate(plane.select(task=task, activation=activation), value)

# %% [markdown]
# Wider networks do better: an old observation. Beside it, in the lazy regime, the error of the *mean output* of ten
# networks.

# %% mystnb={"image": {"alt": "Two panels, digits and MNIST, test error against width from 16 to 256. The error of one network falls from width to width; that of the mean of ten networks is nearly level, and at width 16 already about as low as that of one network of width 256."}, "figure": {"caption": "Test error of one ReLU network (mean over ten) and of the mean output of ten, lazy training (α̃ = 1000). Bars: standard errors over initializations; for the ensemble by the jackknife.", "name": "fig-fluctuations-surprise"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.2))
for ax, task in zip(axes, tasks):
    for name, value in (("one", "test_error"), ("mean of ten", "ensemble_error")):
        error, bar = stored(value, task)
        ax.errorbar(widths, error[:, -1], bar[:, -1], fmt="o-", label=name)
    ax.set(title=task, xscale="log")
    ntk.plotting.widths_axis(ax, widths, "test error", ylim=(0, None))
plt.show()

# %% [markdown]
# With 10 inputs, a network of width $m$ has $10m + m^2 + m$ parameters: 4,320 in ten networks of width 16, 68,352 in one of
# width 256. If the many small ones do as well, then the small network was not too small to *represent* a good solution. It
# is too *random*. This chapter measures the randomness.
#
# ## You will be able to
#
# - split the error of a population of networks exactly into the error of their mean and their spread;
# - predict how the error falls with the number of networks averaged, and with their width;
# - attach an error bar to a standard deviation, by the jackknife;
# - predict the law of lazily trained networks from two kernels, and tell its two sources apart;
# - say where averaging does not help.
#
# You need {doc}`/book/linearization/training_dynamics`, for kernel regression and the theorem on ensembles of wide networks,
# and the idea of the chapter {doc}`/book/lazy_training/lazy_or_feature`, which was repeated above. Symbols are those of
# {doc}`/book/notation`. New are the number $K$ of networks averaged, their mean $\bar F_K$, and
#
# :::{prf:definition} Fluctuation
# :label: def-fluctuations-spread
#
# $\delta F = \sqrt{\langle \operatorname{Var}_{\theta_0} F(x) \rangle_x}$, the standard deviation of the trained output over
# initializations, in root mean square over test examples $x$.
#
# :::
#
# ## Forty networks, live
#
# We train forty ReLU networks of width 32, once lazily ($\tilde\alpha = 1000$) and once learning features
# ($\tilde\alpha = 0.1$); `train_to_margin` is the experiment above for ten keys at a time.

# %%
data = ntk.datasets.digits(jax.random.key(0), 128, 1000, num_components=10)
net, y = ntk.regimes.perceptron(32, 2, ntk.relu), data.y_test[:, 0]
train = ntk.regimes.train_to_margin
seeds = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), jnp.arange(40))

def population(scaled_alpha):  # F on the test images, (40, 1000)
    ten_at_once = lambda keys: train(net, keys, scaled_alpha / 32**0.5, data).outputs
    return jnp.concatenate([ten_at_once(keys) for keys in jnp.split(seeds, 4)])

regimes = {"lazy": 1000.0, "feature": 0.1}
F = {name: population(scale) for name, scale in regimes.items()}

# %% [markdown]
# The first ten keys are those of the stored results. `deviation` trains them once more by the function that made the stored
# numbers and compares all of them: errors, times, kernel changes, the spread. Its unit is the standard deviation over seeds.

# %%
here = dict(task="digits", activation="relu", width=32)
again = lambda scale: plane.deviation(ntk.regimes.crossover, **here, scaled_alpha=scale)
assert max(map(again, regimes.values())) < 0.05  # rounding differs between machines
for name, f in F.items():
    print(f"{name}: δF of forty networks {ntk.rms(f.std(0, ddof=1)):.3f}")

# %% [markdown]
# ## The split, by hand
#
# Take two networks that say $F_1 = 3$ and $F_2 = 0$ where the target is $g = 1$. Their squared errors are 4 and 1, in the
# mean 2.5. Their mean output 1.5 has error 0.25, and the members lie 1.5 from it, squared 2.25. The two add up:
#
# :::{prf:theorem} Error of the members = error of the mean + spread
# :label: thm-fluctuations-split
#
# For any numbers $F_1, \dots, F_N$ with mean $\bar F$, and any $g$,
#
# $$ \frac1N\sum_i (F_i - g)^2 = (\bar F - g)^2 + \frac1N \sum_i (F_i - \bar F)^2 . $$ (eq-fluctuations-split)
#
# Let $s^2 = \frac{1}{N-1}\sum_i (F_i - \bar F)^2$, and let $\bar F_S$ be the mean of a subset $S$ of size $K$. Averaged over
# all such subsets,
#
# $$ \langle (\bar F_S - g)^2 \rangle_S = (\bar F - g)^2 + s^2\Bigl(\frac1K - \frac1N\Bigr). $$ (eq-fluctuations-subsets)
#
# :::
#
# *Proof.* In the first, write $F_i - g = (F_i - \bar F) + (\bar F - g)$; the cross terms sum to zero. In the second, the
# same with $\bar F_S$, whose mean over subsets is $\bar F$ and whose variance is that of a sample drawn without replacement,
# $\frac{s^2}{K}\bigl(1 - \frac KN\bigr)$. ∎
#
# Anders Krogh and Jesper Vedelsby {cite}`krogh1994` introduced {eq}`eq-fluctuations-split` to the study of ensembles: a mean
# is never worse, in squared error, than its members are on average. For $N \to \infty$, {eq}`eq-fluctuations-subsets` is the
# bias–variance decomposition over initializations: $(\mathbb E F - g)^2 + \operatorname{Var}(F)/K$. Both are exact for every example, whatever the
# networks are. Here on the test labels, over all subsets of five lazy networks:

# %%
from itertools import combinations
five, sizes, error = F["lazy"][:5], jnp.arange(1, 6), lambda f: jnp.mean((f - y) ** 2)
subsets = [jnp.array(list(combinations(range(5), K))) for K in range(1, 6)]
seen = jnp.stack([error(five[members].mean(1)) for members in subsets])
split = error(five.mean(0)) + jnp.mean(five.var(0, ddof=1)) * (1 / sizes - 1 / 5)
for K, a, b in zip(sizes, seen, split):
    print(f"K = {K}: {a:.6f} over all subsets, {b:.6f} by the theorem")
assert jnp.allclose(seen, split, rtol=1e-12)  # an identity, up to rounding

# %% [markdown]
# ## How many networks?
#
# So the variance part falls as $1/K$. What does that mean for the *test error*, the share of wrong signs, to which no such
# identity applies? If the output at $x$ scatters as a Gaussian with mean $\mu(x)$ and variance $s^2(x)$, the mean of $K$ has the
# wrong sign with probability
#
# $$ \Phi\bigl(-y\,\mu(x)\,/\,(s(x)/\sqrt K)\bigr), $$ (eq-fluctuations-flips)
#
# where $\Phi$ is the cumulative distribution function of the standard normal law. Averaged over $x$, that predicts the test error from
# $\mu$ and $s$ alone. We estimate both from the forty networks, so that the variance is $s^2(\frac1K - \frac1{40})$ as in
# {eq}`eq-fluctuations-subsets`, and compare with 400 random subsets of each size.
#
# <details class="answer"><summary>Predict before you run: does the test error fall as 1/K too?</summary>
#
# Its excess over the limit does, once the spread is small: only examples with $\lvert\mu\rvert$ of order $s/\sqrt K$ flip at
# all, a share proportional to $s/\sqrt K$, and of these nearly as many flip to the right side as to the wrong one. What
# remains is of second order, $s^2/K$. While the spread is large the fall is slower.
#
# </details>

# %%
Ks, found = 2 ** jnp.arange(6), {}
rank = jax.random.uniform(jax.random.key(2), (400, 40)).argsort(1).argsort(1)
for name, f in F.items():
    mu, s, left = f.mean(0), f.std(0, ddof=1), jnp.sqrt(1 / Ks - 1 / 40)
    means = (rank < Ks[:, None, None]) @ f / Ks[:, None, None]  # (K, subset, example)
    flips = jax.scipy.stats.norm.cdf(-y * mu / (s * left[:, None])).mean(1)
    errors = jnp.mean(means * y <= 0, (1, 2))
    found[name] = ((((means - mu) ** 2).mean((1, 2)), jnp.mean(s**2) * left**2),
                   (errors, flips))
    print(name, "test error:", *(f"{e:.4f}" for e in errors))
off = [jnp.abs(errors - flips).max() for _, (errors, flips) in found.values()]
assert max(off) < 0.005  # five images in 1,000

# %% [markdown]
# Left the variance part, right the test error, each with its prediction:

# %% mystnb={"image": {"alt": "Two panels against the number of networks K from 1 to 32. Left: the squared distance of the mean of K networks from the mean of forty falls on a dashed line like one over K, bent down at the end, in both regimes alike. Right: test error falls from 0.07 towards 0.045, steeply at first and then flat; dots lie on dashed predictions."}, "figure": {"caption": "Means of K of forty networks of width 32 (dots: 400 random subsets). Left: mean squared distance from the mean of all; dashed: s²(1/K − 1/40). Right: test error; dashed: predicted from each example's mean and standard deviation.", "name": "fig-fluctuations-members"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.2))
for name, pairs in found.items():
    for ax, (seen, expected) in zip(axes, pairs):
        ntk.plotting.foretold(ax, Ks, seen, expected, label=name)
axes[0].set(yscale="log", ylabel="squared distance", xlabel="K"), axes[0].legend()
axes[1].set(ylabel="test error", xlabel="K")
plt.show()

# %% [markdown]
# **What we see.** The left panel is the theorem at work. On the right, the Gaussian prediction holds within 0.005 at every
# $K$, down to a single network: two numbers for each image explain the test error. The lazy networks scatter more and gain
# more, from 0.0727 with one to 0.0443 with 32; with features learned it is 0.0663 to 0.0575. *The order of the two regimes
# depends on $K$.* A single network of this width is better off learning features, an ensemble is better off lazy. Who
# compares regimes by single networks compares variances.
#
# ## The spread falls with the width
#
# Averaging is one way to less variance. Width is another, and it has a rate.
#
# *Lazy.* $F$ is kernel regression with the network's own kernel at initialization, a smooth function of it. At
# infinite width this kernel is not random, and $f_0$ has been subtracted, so $F$ is not random either. At finite width the
# kernel is an average over $m$ hidden units in each layer, with fluctuations of order $m^{-1/2}$
# ({doc}`/book/linearization/tangent_kernel`), and $\delta F$ follows. *Feature.* At fixed $\tilde\alpha$ the network tends,
# as $m$ grows, to a deterministic dynamics for the *distribution* of its units, which Song Mei and co-authors {cite}`mei2018` prove
# for one hidden layer; it holds $m$ random ones of these units. A sample of $m$
# again fluctuates by $m^{-1/2}$.
#
# <details class="answer"><summary>Predict before you run: from width 32 to 256, by what factor does δF fall?</summary>
#
# $8^{1/2} \approx 2.8$ in both regimes, if these widths are large enough for the argument.
#
# </details>
#
# An error bar for $\delta F$ needs care, since it is itself a standard deviation. The *jackknife* leaves out each of the $n$ networks
# in turn, computes the statistic $t_i$ from the others, and takes $\sqrt{\frac{n-1}{n} \sum_i (t_i - \bar t)^2}$
# {cite}`efron1993`. It works as well for a slope fitted to several $\delta F$ at once:

# %%
def slopes(task, activation):  # of log δF against log m, m ≥ 32; and without each seed
    runs = plane.select(task=task, activation=activation)
    full, without = (jnp.log(runs.array("fluctuation" + s, "width", "scaled_alpha")[1:])
                     for s in ("", "_without"))
    log_m = jnp.log(widths[1:]) - jnp.log(widths[1:]).mean()
    weights = log_m / (log_m @ log_m)
    return weights @ full, jnp.tensordot(weights, without, 1).T

# %% [markdown]
# We average the slopes over the values of $\tilde\alpha$ in a regime, lazy from 30 on, feature from 0.01 to 1:

# %%
ranges = {"lazy": scales >= 30, "feature": (scales >= 0.01) & (scales <= 1)}
means = []
for kind in kinds:
    full, without = slopes(*kind)
    for name, at in ranges.items():
        bar = ntk.jackknife_error(without[:, at].mean(1))
        means.append(full[at].mean())
        print(f"{kind[0]}, {kind[1]}, {name}: slope {means[-1]:.3f} ± {bar:.3f}")
assert jnp.abs(jnp.array(means) + 0.5).max() < 0.1

# %% [markdown]
# The same runs, each $\tilde\alpha$ by itself:

# %% mystnb={"image": {"alt": "Left: delta F against width from 16 to 256 on logarithmic axes for lazy and feature training on both data sets, all falling along dashed lines of slope minus one half. Right: fitted slope against alpha tilde from 0.001 to 1000 with error bars; between 0.01 and 1000 all lie between minus 0.65 and minus 0.45, below 0.01 they scatter down to minus 0.9."}, "figure": {"caption": "Left: spread of ReLU networks against width (dashed: slope −½). Right: slopes for m ≥ 32 at each α̃, for two data sets and two activations. Bars: jackknife over ten networks.", "name": "fig-fluctuations-width"}}
fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.4))
column = {name: int(jnp.argmin(abs(scales - scale))) for name, scale in regimes.items()}
for task, style in zip(tasks, ("o-", "s:")):
    for color, (name, at) in zip(("C0", "C1"), column.items()):
        spread = [e[:, at] for e in stored("fluctuation", task)]
        axes[0].errorbar(widths, *spread, fmt=style, c=color, label=f"{task}, {name}")
for kind, style in zip(kinds, "osv^"):
    full, without = slopes(*kind)
    both = full, ntk.jackknife_error(without)
    axes[1].errorbar(scales, *both, fmt=style, label=" ".join(kind))
axes[0].plot(widths, 0.12 * (widths / 256) ** -0.5, **ntk.plotting.THEORY)
axes[1].axhline(-0.5, **ntk.plotting.THEORY), axes[1].legend(fontsize=8)
axes[0].set(xscale="log", yscale="log"), ntk.plotting.widths_axis(axes[0], widths, "δF")
axes[0].set_yticks([0.2, 0.5, 1], [0.2, 0.5, 1]), axes[0].yaxis.minorticks_off()
axes[1].set(xscale="log", xlabel="α̃", ylabel="slope", ylim=(-1.1, 0.1))
plt.show()

# %% [markdown]
# **What we see.** All eight slopes lie within 0.1 of $-\tfrac12$: the spread falls as $m^{-1/2}$ whether or not features are
# learned. All lie on the steep side, most within two of their standard errors and one, $-0.551 \pm 0.016$, by three: a
# width of 32 is not quite in the limit.
# Single values of $\tilde\alpha$ scatter, most of all below 0.01, where a large bar means that leaving out one network of
# the ten changes $\delta F$ much.
#
# ## One large network, or the mean of small ones
#
# If the mean over infinitely many networks were the same at every width, a wide network would be nothing but a cheap way to
# average. With $\operatorname{Var} \propto 1/m$, the mean of $K$ networks of width $m$ then scatters as one of width $Km$.
# Geiger and co-authors {cite}`geiger2020scaling` concluded so from the error: its excess falls as the variance, hence as
# $1/m$, and averaging removes it. We compare the mean of ten networks of width 16 with a single one of width 256:

# %%
gaps = {"lazy": [], "feature": []}
for kind in kinds:
    small, large = stored("ensemble_error", *kind), stored("test_error", *kind)
    for name, at in column.items():
        (ten, bar), (one, other) = (e[0, at] for e in small), (e[-1, at] for e in large)
        gaps[name].append(ten - one)
        print(f"{kind[0]}, {kind[1]}, {name}: ten of width 16 {ten:.4f},",
              f"one of 256 {one:.4f}; {ten - one:+.4f} ± {jnp.hypot(bar, other):.4f}")
assert max(gaps["lazy"]) < 0.005

# %% [markdown]
# Over the whole range of $\tilde\alpha$, for digits and ReLU:

# %% mystnb={"image": {"alt": "Two panels, digits and MNIST. Test error against alpha tilde from 0.001 to 1000. One network of width 16 lies highest and rises to the right; the others lie below it and close together: one network of width 256, and the means of ten networks of either width. On digits these fall from 0.08 to 0.04 to the right; on MNIST they stay within 0.17 and 0.195."}, "figure": {"caption": "Test error of ReLU networks against α̃: single networks (dotted) and the mean of ten (solid) at the smallest and the largest width. Bars: standard errors over networks.", "name": "fig-fluctuations-ensembles"}}
fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.4))
for ax, task in zip(axes, tasks):
    for name, value in (("one", "test_error"), ("ten", "ensemble_error")):
        (error, bar), style = stored(value, task), "o:" if name == "one" else "s-"
        for i in (0, -1):
            ax.errorbar(scales, error[i], bar[i], fmt=style, color=f"C{-i}",
                        label=f"{name} of width {widths[i]}")
    ax.set(title=task, xscale="log", xlabel="α̃", ylabel="test error")
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# **What we see.** In the lazy regime ten networks of width 16 err no more than one of width 256, up to 0.005, on both data
# sets and with both activations: small networks are as good, only noisier. With features learned, the differences lie
# within two standard errors of zero, but on MNIST they are too uncertain to say more. On the left, the best scale for one network of width 16 is
# near $\tilde\alpha = 1$; for the mean of ten it is in the lazy regime. On MNIST, where only
# 10 principal components are left, an error of some 0.18 remains that no averaging removes.
#
# ## The Gaussian picture
#
# In {doc}`/book/linearization/training_dynamics`, infinitely wide networks trained on the squared loss had Gaussian outputs
# with mean $G y$ and a covariance $C$, both made of the tangent kernel $\Theta$ and the covariance $K(x, x')$ of the
# initial outputs. There
# $f_0$ was left in. With an output scale, and without subtracting the start, $F = \alpha f$ begins at $\alpha f_0$; its mean is
# still $Gy$, and its covariance becomes $\alpha^2 C$. So there are two sources of fluctuation:
#
# - the *initial outputs*, $\alpha f_0$. They survive at infinite width and are removed by centring, $\alpha\,(f - f_0)$;
# - the *random kernel*. It falls as $m^{-1/2}$, and centring does not remove it.
#
# In the lazy regime the two are uncorrelated. Flip the sign of all readout weights, which is as likely a draw: the
# tangent kernel stays, $f_0$ changes its sign. Hence the variances should add. One function trains either kind, because
# training $\alpha f$ towards $y$ is training $\alpha\,(f - f_0)$ towards $y - \alpha f_0$.

# %%
x, labels, x_new, _ = ntk.datasets.digits(jax.random.key(3), 24, 48, num_components=10)
shallow = ntk.regimes.perceptron(512, 1, ntk.tanh)
foretold = ntk.predict_infinite(shallow, x, labels, ts=30.0, x_test=x_new)

def trained(key, alpha, centred):  # F on the test images, at time 30
    params0, _ = shallow.init(key, (10,))
    model = ntk.scaled(shallow.apply, params0, alpha)
    start = lambda x: (1 - centred) * alpha * ntk.outputs(shallow.apply, params0, x)
    flow, towards = ntk.gradient_flow(rtol=1e-3), labels - start(x)
    run = ntk.train(model, params0, x, towards, flow, ts=30.0 / alpha**2)
    return (ntk.outputs(model, run.params, x_new) + start(x_new))[:, 0]

# %% [markdown]
# One hidden tanh layer of width 512, 24 digits, 64 initializations, at four scales from $\alpha = 4$ (lazy, $\tilde\alpha = 91$) to
# $\alpha = 1/64$ (feature, $\tilde\alpha = 0.35$).
#
# <details class="answer"><summary>Predict before you run: which source dominates where?</summary>
#
# The first is proportional to $\alpha$, the second hardly depends on it. So the initial outputs dominate at large $\alpha$, where
# the theorem then describes everything, and the kernel at small $\alpha$.
#
# </details>

# %%
alphas, keys = (4.0, 1.0, 1 / 8, 1 / 64), jax.random.split(jax.random.key(4), 64)
over = lambda a, c: ntk.over_seeds(trained, keys, jnp.array(a), jnp.array(c))
left_in, centred = (jnp.stack([over(a, c) for a in alphas]) for c in (0.0, 1.0))

# %% [markdown]
# First the spread over the predicted one, in the mean over images, and their correlation; then $\delta F$ over both sources,
# added in squares, and $\delta F$ of the centred networks:

# %%
std, mean = jnp.sqrt(jnp.diag(foretold.covariance)), foretold.mean[:, 0]
spreads = [ntk.rms(f.std(1, ddof=1), 1) for f in (left_in, centred)]
theory, seen = jnp.array(alphas) * ntk.rms(std), left_in.std(1, ddof=1)
ratio = jnp.mean(seen / std, 1) / jnp.array(alphas)
correlation = jnp.array([jnp.corrcoef(s, std)[0, 1] for s in seen])
both = spreads[0] / jnp.hypot(theory, spreads[1])
for row in zip(alphas, ratio, correlation, both, spreads[1]):
    print("α = {:.3g}: {:.3f}, corr. {:.3f}; both {:.3f}, centred {:.4f}".format(*row))
assert jnp.abs(ratio[:2] - 1).max() < 0.1 and correlation[:2].min() > 0.9  # lazy
assert jnp.abs(both - 1).max() < 0.1  # 64 draws: 3 %, three times over

# %% [markdown]
# The prediction is a whole covariance matrix, not only its diagonal. In the directions of its eigenvectors $u_j$, with
# eigenvalues $\lambda_j$, the coordinates $u_j \cdot (F - Gy) / (\alpha\sqrt{\lambda_j})$ should be independent standard
# normal numbers. We take the ten largest, 640 numbers in all.

# %%
lam, directions = ntk.eigenmodes(foretold.covariance)
coordinates = [(f - mean) @ directions[:, :10] / (a * jnp.sqrt(lam[:10]))
               for a, f in zip(alphas, left_in)]
own = [(z - z.mean(0)) / z.std(0) for z in coordinates]
for a, z, w in zip(alphas, coordinates, own):
    print(f"α = {a:.3g}: std {jnp.mean(z.std(0, ddof=1)):.2f}, distance of the mean",
          f"{ntk.rms(z.mean(0)):.2f}, excess kurtosis {jnp.mean(w**4) - 3:+.2f}")
assert abs(jnp.mean(coordinates[0] ** 2) - 1) < 0.17  # three errors √(2/640)
assert abs(jnp.mean(own[0] ** 4) - 3) < 0.6  # three errors √(24/640)

# %% [markdown]
# Shape and size, in two pictures:

# %% mystnb={"image": {"alt": "Left: quantiles of 640 coordinates against normal quantiles; both the lazy ones and those of feature learning lie on the dashed diagonal, except for the outermost few. Right: spread against alpha on logarithmic axes: with initial outputs it follows the dashed line proportional to alpha for alpha 4 and 1, then bends over to the centred networks, which lie level near 0.03 and at 0.018 for the smallest alpha; the dotted sum of both meets all points."}, "figure": {"caption": "Left: the coordinates of 64 networks in ten eigendirections of the predicted covariance, sorted, against normal quantiles; for feature learning after each was brought to mean 0 and variance 1. Right: spread with the initial outputs left in and with centring; dashed: predicted from the kernels; dotted: both sources added in squares.", "name": "fig-fluctuations-gaussian"}}
fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.4))
ntk.plotting.quantiles(axes[0], coordinates[0], label="lazy, α = 4, predicted units")
ntk.plotting.quantiles(axes[0], own[-1], label="feature, α = 1/64, own units")
axes[1].loglog(alphas, spreads[0], "o", label="initial outputs left in")
axes[1].loglog(alphas, spreads[1], "s", label="centred")
axes[1].loglog(alphas, theory, **ntk.plotting.THEORY)
axes[1].loglog(alphas, jnp.hypot(theory, spreads[1]), "k:")
axes[1].set(xlabel="α", ylabel="δF"), [ax.legend(fontsize=8) for ax in axes]
plt.show()

# %% [markdown]
# **What we see.** In the lazy regime two kernels give the law of the trained networks: standard deviations are 1.03 and 1.04
# times the predicted ones, with correlation 0.918; the means are as far off as 64 draws must be (0.09, where $1/\sqrt{64}$ is
# 0.125); the shape is Gaussian. With features learned, at $\alpha = 1/64$, the spread is 4.3 times the predicted one and the
# mean is 86 predicted standard deviations away: the networks learned something else than kernel regression does. What is left
# is the shape, with a kurtosis of $+0.11$ where 640 draws are uncertain by 0.19, and, without a proof, that the two sources
# add up: the last column stays within 4 % of one. The random kernel contributes about 0.03 at every $\alpha \ge 1/8$.
#
# ## Where it breaks
#
# **What all networks share.** Averaging removes the spread, and nothing else. At the smallest $\tilde\alpha = 0.001$ and width
# 256 there is hardly a spread left to remove. The last numbers say how many of ten networks did not arrive at margin 1, at
# widths 16 to 256:

# %%
for kind in kinds:
    one, ten = stored("test_error", *kind), stored("ensemble_error", *kind)
    runs = plane.select(task=kind[0], activation=kind[1], scaled_alpha=0.001)
    stuck = (runs.array("reached", "width") == 0).sum(1)
    print(", ".join(kind) + ": one {:.4f} ± {:.4f},".format(*(e[-1, 0] for e in one)),
          "ten {:.4f} ± {:.4f}; stuck:".format(*(e[-1, 0] for e in ten)), *stuck)

# %% [markdown]
# One network is as good as ten there: what is wrong is wrong in all of them. And some narrow ReLU networks are stuck; all means
# and spreads above leave them out, which may flatter narrow networks.
#
# **Few networks, one training set.** All bars here are over initializations. Another draw of the 128 training images would
# move all curves together, and 1,000 test images resolve differences of some 0.005. The feature regime was reached by a small
# $\tilde\alpha$ at these widths; for a fixed $\alpha$ instead, $\tilde\alpha = \sqrt m\,\alpha$ grows with the width, and wide networks
# become lazy.
#
# **Spread is not error.** {eq}`eq-fluctuations-split` is exact for the squared error. For the test error averaging usually
# helps, but not always: at an image where most networks are wrong, their mean is wrong more surely.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** Ten networks have squared error 0.50 on average, and their mean has 0.32. What do you expect of a mean of many more?
#
# <details class="wrong"><summary>0, since errors average out</summary>
#
# Only what differs between networks averages out. What they share, the error of the mean, stays.
#
# </details>
# <details class="right"><summary>About 0.30</summary>
#
# Yes: the spread over ten is 0.18, so $s^2 = 0.18 \cdot 10/9 = 0.20$, and the mean of ten still carries $s^2/10 = 0.02$.
#
# </details>
# <details class="wrong"><summary>0.32, ten are enough</summary>
#
# Nearly, but the mean of ten still scatters with a variance $s^2/10$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** Infinitely wide, lazily trained networks $\alpha f$, with $f_0$ left in, and $\alpha(f - f_0)$, both to zero loss. Which fluctuate?
#
# <details class="wrong"><summary>Neither: at infinite width the kernel is deterministic</summary>
#
# The kernel is, but $f_0$ is not, and a part of it stays at test points.
#
# </details>
# <details class="wrong"><summary>Both: they start from random weights</summary>
#
# In the centred one the random weights enter through the kernel only, which does not fluctuate.
#
# </details>
# <details class="right"><summary>Only αf</summary>
#
# Yes: its covariance is $\alpha^2 C$ at any width. The centred one fluctuates as $m^{-1/2}$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** You want the spread of a mean of ten networks of width 32 from one network. How wide must it be, roughly?
#
# <details class="wrong"><summary>About 100, because √10 ≈ 3.2</summary>
#
# A width of 101 lowers the standard deviation by $\sqrt{3.2}$ only. Averaging ten lowers it by $\sqrt{10}$.
#
# </details>
# <details class="right"><summary>320</summary>
#
# Yes: both variances fall as one over the number, of networks or of units.
#
# </details>
# <details class="wrong"><summary>3,200, as parameters grow with the square of the width</summary>
#
# It is the width, not the number of parameters, that averages: a kernel is a mean over $m$ units in each layer.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ The error of infinitely many
# :label: ex-fluctuations-infinite
#
# From outputs `F` of $N$ networks, shape `(N, examples)`, and targets `y`, estimate without bias the mean squared error that
# the mean of infinitely many networks would have. Write `infinite(F, y)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# {eq}`eq-fluctuations-subsets` says by how much the mean of $K$ is worse. Put $K = \infty$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The mean of N still scatters with the variance s²/N, which adds to its error.
def infinite(F, y):
    spread = jnp.mean(F.var(0, ddof=1))
    return jnp.mean((F.mean(0) - y) ** 2) - spread / len(F)

ntk.exercises.fluctuations.check_infinite_ensemble(infinite)

# %% [markdown]
# :::{exercise} ★ Many small or one large
# :label: ex-fluctuations-budget
#
# By the laws $1/K$ and $1/m$, which width has the spread of the mean of ten networks of width 16? How many times as many
# parameters does it have as those ten together (10 inputs, two hidden layers, no biases)?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# A network has $10m + m^2 + m$ parameters.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Width 160 has the same variance; its hidden matrix grows with the square of the width.
count = lambda m: 10 * m + m**2 + m
ntk.exercises.fluctuations.check_budget(count(160) / (10 * count(16)))

# %% [markdown]
# :::{exercise} ★★ An error bar for a standard deviation
# :label: ex-fluctuations-jackknife
#
# Write `bar(F)`: the jackknife standard error of $\delta F$ from outputs `F` of shape `(networks, examples)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `jnp.delete(F, i, axis=0)` leaves out network `i`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# δF without each network in turn; the factor (n − 1)/n · n undoes how alike they are.
def bar(F):
    spread = lambda F: jnp.sqrt(jnp.mean(F.var(0, ddof=1)))
    t = jnp.array([spread(jnp.delete(F, i, axis=0)) for i in range(len(F))])
    return jnp.sqrt((len(F) - 1) / len(F) * jnp.sum((t - t.mean()) ** 2))

ntk.exercises.fluctuations.check_jackknife(bar)

# %% [markdown]
# :::{exercise} ★★ Where the two sources are equal
# :label: ex-fluctuations-crossing
#
# At $\alpha = 1$ the initial outputs contribute a standard deviation `s0`, at every width; the random kernel contributes
# `v` at width `width`, whatever $\alpha$ is. Write `crossing(s0, v, width, new)`, the $\alpha$ at which both are equal at
# width `new`. At which $\tilde\alpha$ do they cross, as the width changes?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The first part is $\alpha s_0$. How does the second change from `width` to `new`?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# α s0 = v √(width/new); times √new, that is one α̃ for all widths.
def crossing(s0, v, width, new):
    return v / s0 * (width / new) ** 0.5

ntk.exercises.fluctuations.check_crossing(crossing)

# %% [markdown]
# :::{exercise} ★★★ Fluctuations without training
# :label: ex-fluctuations-untrained
#
# In the lazy limit of the centred model, $F$ is kernel regression with the kernel at initialization. Compute $\delta F$ on
# `x_new` from `ntk.regimes.perceptron(m, 1, ntk.tanh)` at $m = 64$ and 512, with 24 draws or more, time 30, and no training. What is
# its exponent in $m$?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `ntk.predict(theta, labels, 30.0, ntk_test_train=across).test`, with `ntk.gram(ntk.empirical_ntk(net.apply, params), ...)`
# of shape $(n_1, n_2, 1, 1)$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# No f_train0 and no f_test0: the start is subtracted, only the kernel is random.
def untrained(key, net):
    pair = ntk.empirical_ntk(net.apply, net.init(key, (10,))[0])
    theta, across = (ntk.gram(pair, a, x)[:, :, 0, 0] for a in (x, x_new))
    return ntk.predict(theta, labels, 30.0, ntk_test_train=across).test[:, 0]

spreads = []
for m in (64, 512):
    of_width = lambda key: untrained(key, ntk.regimes.perceptron(m, 1, ntk.tanh))
    F_m = jax.jit(jax.vmap(of_width))(keys)
    spreads.append(ntk.rms(F_m.std(0, ddof=1)))
exponent = jnp.log(spreads[1] / spreads[0]) / jnp.log(8)
ntk.exercises.fluctuations.check_untrained(exponent)

# %% [markdown]
# ## Questions readers ask
#
# **Should I average outputs, or vote?** Both reduce the variance. {prf:ref}`thm-fluctuations-split` is about averaged outputs; a
# vote throws the sizes away. **Or weights?** Not those of networks trained from different starts: their hidden units do not
# correspond to each other, so that the average of the weights belongs to a different function.
#
# **Is this how deep ensembles measure uncertainty?** Balaji Lakshminarayanan and co-authors {cite}`lakshminarayanan2017` use
# the spread over initializations for it. Note what it contains: in the centred lazy regime it falls to zero with the width,
# although the data are as few as before. The spread over initializations is not the uncertainty about the answer.
#
# **Is the ensemble a Gaussian process posterior?** Not in general: {doc}`/book/linearization/training_dynamics` shows that only training
# the readout alone gives one.
#
# **Why ten networks, and not more?** Time. The jackknife bars say what ten are worth: a standard deviation of ten
# independent normal numbers is uncertain by about a quarter, $1/\sqrt{18}$; a root mean square over 1,000 images by less.
#
# ## Summary
#
# - The squared error of the mean of $K$ networks is that of the mean of all plus $s^2/K$, exactly. A Gaussian with each image's mean and
#   variance predicts the test error within 0.005 at every $K$.
# - At width 32, one network errs less with features learned (0.0663 against 0.0727), the mean of 32 errs less when lazy (0.0443
#   against 0.0575).
# - $\delta F \sim m^{-1/2}$ in both regimes: on two data sets with two activations all slopes are within 0.1 of $-\tfrac12$.
# - In the lazy regime, ten networks of width 16 do at least as well as one of width 256, up to 0.005, with a sixteenth of the parameters.
# - With $f_0$ left in, the lazy law is Gaussian and follows from two kernels. Centring removes this source; what remains is
#   the random kernel, and their variances add.
# - Averaging removes the spread and nothing else. Deep in the feature regime nothing is left to remove.
#
# ## What is next
#
# The chapter *Convolutional networks and real data* compares lazy and feature training by their ensemble-averaged errors, for
# the reason seen here: single networks mix in a variance that depends on the width. To look up a symbol, see {doc}`/book/notation`.
#
# ## Further reading
#
# - Geiger, Spigler, Jacot and Wyart {cite}`geiger2020`: the plane of $\alpha$ and width, and $\delta F \sim m^{-1/2}$ in both
#   regimes.
# - Geiger and co-authors {cite}`geiger2020scaling`: from the fluctuations of the kernel to those of the output and of the
#   error, and the advice to average networks of moderate width.
# - Krogh and Vedelsby {cite}`krogh1994`: the split of {eq}`eq-fluctuations-split` and what it is good for.
# - Jaehoon Lee and co-authors {cite}`lee2019`: the law of wide networks after training.
# - Bradley Efron and Robert Tibshirani {cite}`efron1993`: the jackknife, the bootstrap, and when they fail.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* First figure and a vote on its reason (5); the split by hand on two networks, then
# {eq}`eq-fluctuations-subsets` (10); means of $K$ networks (10); why $m^{-1/2}$ in both regimes, with the slopes (15); small
# against large (10).
#
# *Plan for 90 minutes.* As above, then the two sources of the Gaussian picture (20), exercise 5 in pairs (15), and "Where it
# breaks" (5).
#
# *Misconceptions.* "Small networks err because they cannot represent the solution": the first figure. "An ensemble removes
# all error": {eq}`eq-fluctuations-split`. "The infinite-width limit is random because initialization is": the centred
# squares of the last figure. "Lazy networks fluctuate, feature learners find the one solution": the slopes.
#
# </details>
