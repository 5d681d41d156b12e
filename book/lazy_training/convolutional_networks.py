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
# # Convolutional networks and real data
#
# **Which regime predicts better, lazy or feature, depends on the network, the data, and how fairly one compares; here all
# three are measured, live on small digits and in stored sweeps on four larger sets of images.**
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
# A network $f(x, \theta)$ with initial parameters $\theta_0$ is trained as
# $F = \alpha\,\bigl(f(x, \theta) - f(x, \theta_0)\bigr)$. A large output scale $\alpha$ makes training *lazy*: the tangent
# kernel $\Theta$ hardly changes. A small one makes the network learn *features*: $\Theta$ changes beyond recognition. Both
# are trained on the same images with the same loss. Which one should you want?
#
# Training takes minutes on digits of 8 × 8 pixels, and far longer on MNIST or CIFAR-10. So this chapter has two kinds of
# numbers. What runs on digits is computed live, by the cells you see. What concerns other data is read from two *stored
# sweeps*, which `experiments/convolutional.py` and `experiments/fully_connected.py` computed; each file names the versions
# and the SHA-256 of the data it came from. Part of each sweep is on digits, and below it is computed again and compared. The
# tests of the package do so on the other data sets as well, where they find them.

# %%
from scipy import stats

study = ntk.convolutional_regimes
convolutional, connected = map(ntk.results.load, ("convolutional", "fully_connected"))
for sweep in (convolutional, connected):
    sets = ", ".join(sorted(sweep.about["data"]))
    print(f"{sweep.name}: {len(sweep)} stored runs on {sets}")
stored = lambda method, **run: convolutional.select(method=method, **run).array("test_error")

# %% [markdown]
# We begin with a convolutional network: 3 × 3 convolutions with 24 channels and ReLU, the mean over positions (*global
# average pooling*), and a linear readout to ten outputs, one a class. MNIST is shrunk to 14 × 14 pixels (two
# convolutions), CIFAR-10 to 16 × 16 (three); 4,000 images train, 1,000 test, and the loss is the squared one. Plots in
# papers train both regimes for equally many epochs. So do the solid curves.

# %% mystnb={"image": {"alt": "ALT1"}, "figure": {"caption": "Test error of one convolutional network on MNIST and CIFAR-10, from a stored sweep with 3 seeds (bars and bands: standard errors). Solid: stochastic gradient descent at two output scales. Dashed: where the lazy run would end, solved exactly, and the network trained by Adam.", "name": "fig-convolutional-networks-surprise"}}
adam_epochs = {"mnist": [20, 80], "cifar10": [10, 40]}
solved = lambda task, n=4000: stored("exact_lazy", task=task, num_train=n).min(0)  # the best ridge
well = lambda task, n=4000: stored("trained_well", task=task, num_train=n, epochs=adam_epochs[task])[-1]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.8), sharey=True)
for ax, task in zip(axes, adam_epochs):
    at = {f"α = {a:g}, SGD": stored("equal_epochs", task=task, alpha=a) for a in (0.1, 100.0)}
    levels = {"lazy, solved": solved(task), "feature, Adam": well(task)}
    ntk.plotting.epochs_and_levels(ax, [1, 2, 5, 10, 15], at, levels)
    ax.set_title(task)
    print(f"{task}:", *(f"{e.mean():.3f}" for e in [*(a[-1] for a in at.values()), *levels.values()]))
axes[0].legend(fontsize=9), plt.show()

# %% [markdown]
# After 15 epochs the lazy network is wrong on 40 % of the digits of MNIST {cite}`lecun1998`, the other one on 16 %. That looks
# like a verdict against lazy training. It is premature. A lazy run has an end, which can be computed without running: there
# its error is 17 %, about what the feature run had reached. Most of the difference was a want of steps. Nor was the feature
# run at its end: Adam brings the same network to 8 %. On CIFAR-10 {cite}`krizhevsky2009` it is 72 against 62 % after equal
# epochs, and 59 against 56 % at the ends. By how much features win, equal epochs do not tell.
#
# ## You will be able to
#
# - compute where lazy training ends, without a training step, for networks of some thousand parameters;
# - translate a number of epochs into a ridge, and tell from a kernel's spectrum whether a lazy run has converged;
# - compare two regimes fairly: the best of each, ensembles with ensembles, standard errors over draws of the data;
# - say where fully-connected networks do better when lazy, where they do not, and what convolutions gain from features.
#
# You need {doc}`/book/linearization/training_dynamics`, and of this part {doc}`/book/lazy_training/a_choice_of_scale` and {doc}`/book/lazy_training/lazy_or_feature`. Symbols are those of {doc}`/book/notation`; $n$ is the number of
# training examples, $m$ the width, and $\tilde\alpha = \sqrt m\,\alpha$ the variable on which the plane of that chapter collapses.
#
# ## Where lazy training ends
#
# As $\alpha \to \infty$ training moves $\theta$ by $\delta/\alpha$ with a finite $\delta$, and $F(x) = J(x)\,\delta$, with the Jacobian
# $J(x) = \partial f(x, \theta_0)/\partial\theta$. Write $J$ for that of all $n$ examples and $k$ outputs, $nk$ rows and $p$
# columns, one a parameter.
#
# :::{prf:proposition} Two ways to the same end
# :label: prop-convolutional-networks-dual
#
# For $\rho > 0$ the minimizer of $\lVert J\delta - y\rVert^2 + \rho\,\lVert\delta\rVert^2$ is
#
# $$
# \delta = (J^\top J + \rho)^{-1} J^\top y = J^\top (\Theta + \rho)^{-1} y, \qquad \Theta = J J^\top .
# $$ (eq-convolutional-networks-dual)
#
# :::
#
# *Proof.* The gradient vanishes where $(J^\top J + \rho)\,\delta = J^\top y$. Since
# $(J^\top J + \rho)\, J^\top = J^\top (J J^\top + \rho)$, the second expression solves the same equation. ∎
#
# The second form is kernel regression: $nk$ equations, 40,000 for 4,000 images. The first has $p$ equations, 5,640 for our
# network on MNIST. And $J^\top J$ is a sum over examples, so that $J$ is never needed as a whole. That is what
# `ntk.lazy_limit` does. Its ridges are in units of the largest eigenvalue of $\Theta$. By hand, on 100 digits and a network
# of 4 channels:

# %%
digits = {"task": "digits", "size": None, "channels": 16, "depth": 2, "num_train": 500,
          "num_test": 1000, "num_seeds": 3, "dtype": "float64"}
net, params0, data, _ = next(study.problems(**digits | {"channels": 4, "num_train": 100}))
J, y = ntk.jacobian(net.apply, params0, data.x_train).reshape(1000, -1), data.y_train.reshape(-1)
ridge = 1e-3 * jnp.linalg.norm(J, 2) ** 2
by_parameters = jnp.linalg.solve(J.T @ J + ridge * jnp.eye(J.shape[1]), J.T @ y)
by_kernel = J.T @ jnp.linalg.solve(J @ J.T + ridge * jnp.eye(1000), y)
package = ntk.lazy_limit(net.apply, params0, data.x_train, data.y_train, [1e-3])
print(f"J has shape {J.shape}: solve {J.shape[1]} equations, or {J.shape[0]}")
assert jnp.allclose(by_parameters, by_kernel, atol=1e-9)
assert jnp.allclose(jax.flatten_util.ravel_pytree(package)[0], by_kernel, atol=1e-5)

# %% [markdown]
# ## A number of steps is a ridge
#
# Why does the lazy run of {numref}`fig-convolutional-networks-surprise` end so far from its own limit? Gradient descent on the linear
# model closes mode $i$ of $\Theta$, with eigenvalue $\lambda_i$, step by step ({doc}`/book/linearization/training_dynamics`): after $s$ steps with learning rate
# $\eta$ the share $1 - (1 - \eta\lambda_i/n)^s$ is fitted. Ridge regression fits the share $\lambda_i/(\lambda_i + \rho)$.
#
# :::{prf:theorem} Early stopping is a ridge, up to a factor of two
# :label: thm-convolutional-networks-steps
#
# Let $0 < \eta\lambda_i/n \le 1$ and $\rho = n/(\eta s)$. Then
#
# $$
# \frac{\lambda_i}{\lambda_i + \rho} \;\le\; 1 - \Bigl(1 - \frac{\eta\lambda_i}{n}\Bigr)^{s} \;\le\; \frac{2\lambda_i}{\lambda_i + \rho}.
# $$ (eq-convolutional-networks-steps)
#
# :::
#
# *Proof.* Put $z = \eta\lambda_i/n$, so that $\lambda_i/(\lambda_i + \rho) = sz/(1 + sz)$. For $z < 1$,
# $(1 - z)^{-s} \ge (1 + z)^s \ge 1 + sz$, which is the left side; $z = 1$ is its limit. On the right, Bernoulli's
# inequality $(1 - z)^s \ge 1 - sz$ bounds the share by $\min(1, sz)$, and that by $2sz/(1 + sz)$. ∎
#
# At $\eta = n/\lambda_{\max}$, $s$ steps are a ridge of $1/s$ in our units. Momentum 0.9 makes each step count for about ten.
# So 15 epochs of 40 batches are 6,000 steps, a ridge of about $1.7\cdot 10^{-4}$; modes with $\lambda_i/\lambda_{\max}$ far below are not
# fitted. A check of both bounds, then the spectrum on 64 digits, of this network and of a fully-connected one.

# %%
z, s = jnp.logspace(-8, 0, 60)[:, None], 10.0 ** jnp.arange(1, 7)
share, by_ridge = -jnp.expm1(s * jnp.log1p(-jnp.minimum(z, 1 - 1e-12))), s * z / (1 + s * z)
print(f"fitted by steps / by ridge: {(share / by_ridge).min():.2f} to {(share / by_ridge).max():.2f}")
assert jnp.all(by_ridge <= share * (1 + 1e-9)) and jnp.all(share <= 2 * by_ridge)

# %% [markdown]
# <details class="answer"><summary>Predict before you run: whose eigenvalues fall faster, those of the convolutional network with pooling or those of the fully-connected one?</summary>
#
# Pooling averages over all positions, and images of different digits differ little in such averages. Most of the kernel is
# then what all images share, the largest eigenvalue, and the rest is small beside it.
#
# </details>

# %% mystnb={"image": {"alt": "ALT2"}, "figure": {"caption": "Eigenvalues of the tangent kernel of 64 digits at initialization, relative to the largest. Dotted: 1/6000; what lies below is not fitted by 6,000 steps.", "name": "fig-convolutional-networks-spectrum"}}
net, params0, data, _ = next(study.problems(**digits))
dense = ntk.Serial([ntk.Flatten(), ntk.mlp(64, 2, 10, ntk.relu, w_std=2**0.5)])
weights, _ = dense.init(jax.random.key(0), data.x_train.shape[1:])
x, y = data.x_train[:64], data.y_train[:64].reshape(-1)
unfitted = {}
for name, f, params in (("convolutional", net.apply, params0), ("fully connected", dense.apply, weights)):
    modes = ntk.eigenmodes(ntk.as_matrix(ntk.gram(ntk.empirical_ntk(f, params), x)))
    ratio, power = modes.eigenvalues / modes.eigenvalues[0], (modes.eigenvectors.T @ y) ** 2
    unfitted[name] = power @ (1 - jnp.maximum(ratio, 0)) ** 6000 / jnp.sum(power)
    plt.loglog(jnp.arange(1, 641), jnp.maximum(ratio, 1e-9), label=name)
    print(f"{name}: {jnp.sum(ratio > 1 / 6000)} of 640 modes above, {unfitted[name]:.1%} of y left")
plt.axhline(1 / 6000, color="black", linestyle=":")
plt.xlabel("mode"), plt.ylabel("eigenvalue / largest"), plt.ylim(1e-8, 2), plt.legend(), plt.show()
assert unfitted["convolutional"] > 3 * unfitted["fully connected"]  # by far, on either side of any seed

# %% [markdown]
# SPECTRUM
#
# ## The trap of equal epochs, live
#
# Now the whole comparison on digits, three draws of data and network together: a network of 16 channels, 500 images to
# train with and 1,000 to test. `equal_epochs` sets the learning rate to $n/\lambda_{\max}$ of the kernel at the beginning of each epoch, so
# that steps are as large as is stable at every $\alpha$.

# %%
ways = {
    "feature": {"method": "equal_epochs", "alpha": 0.1}, "lazy": {"method": "equal_epochs", "alpha": 100.0},
    "solved": {"method": "exact_lazy"}, "well": {"method": "trained_well"}}
found = {}
for name, way in ways.items():
    run = convolutional.select(task="digits", **way)
    found[name] = study.train_by(**run.configurations[0])
    assert run.deviation(lambda **_: found[name]) < 0.5  # the stored one, to half its spread over seeds
print("kernel change:", *(f"{name} {found[name]['kernel_change'].mean():.1g}" for name in ("feature", "lazy", "well")))

# %% mystnb={"image": {"alt": "ALT3"}, "figure": {"caption": "The same on digits, computed above: three seeds, means and standard errors.", "name": "fig-convolutional-networks-digits"}}
error = {name: values["test_error"] for name, values in found.items()}  # (epochs or ridges, seeds)
curves = {"α = 0.1, SGD": error["feature"], "α = 100, SGD": error["lazy"]}
levels = {"lazy, solved": error["solved"].min(0), "feature, Adam": error["well"][-1]}
fig, ax = plt.subplots()
ntk.plotting.epochs_and_levels(ax, [1, 2, 5, 10, 15], curves, levels)
print(*(f"{name}: {e.mean():.2f}" for name, e in ({k: c[-1] for k, c in curves.items()} | levels).items()), sep=", ")
ax.legend(), plt.show()

# %% [markdown]
# On digits the order even changes. After equal epochs the feature run is far ahead of the lazy one (0.17 against 0.31). The
# limit of the lazy run is ahead of both, and Adam ahead of it.

# %% [markdown]
# One curve holds all of it. Below is the test error of the exact lazy limit against the ridge. The dots are the lazy run by
# gradient descent, put where {prf:ref}`thm-convolutional-networks-steps` says: after $s$ steps, momentum counted tenfold, at the
# ridge $1/s$.
#
# <details class="answer"><summary>Predict before you run: where on this curve does the lazy run of 15 epochs stop?</summary>
#
# 15 epochs of 5 batches are 75 steps, or 750 with momentum: at a ridge of about 1/750, far to the right of the minimum if
# that lies at $10^{-5}$ or below.
#
# </details>

# %% mystnb={"image": {"alt": "ALT4"}, "figure": {"caption": "Lazy training on digits: test error against ridge, solved exactly (line), and after 1 to 15 epochs of gradient descent, at the ridge 1/s (dots). Three seeds; bars are standard errors.", "name": "fig-convolutional-networks-ridge"}}
ridges = jnp.asarray(convolutional.select(task="digits", method="exact_lazy").configurations[0]["ridges"])
fig, ax = plt.subplots()
by_seed = ntk.estimate(error["solved"].T), ntk.estimate(error["lazy"].T)
ax.errorbar(ridges, *by_seed[0], marker=".", label="solved")
ax.errorbar(1 / (50 * jnp.asarray([1, 2, 5, 10, 15])), *by_seed[1], fmt="o", label="gradient descent")
ax.set(xscale="log", xlabel="ridge / largest eigenvalue", ylabel="test error"), ax.legend(), plt.show()
best_ridge = ridges[jnp.argmin(by_seed[0].mean)]
print(f"best ridge {best_ridge:.0e}: {1 / (50 * best_ridge):.0f} epochs")

# %% [markdown]
# ONECURVE
#
# ## Convolutions gain from features
#
# The honest question is whether the *best* lazy predictor falls short. Both sides may choose where to stop in hindsight, on
# the test images: the lazy limit its ridge, Adam its number of epochs (80 on MNIST; on CIFAR-10 40, rather than 160).

# %% mystnb={"image": {"alt": "ALT5"}, "figure": {"caption": "Convolutional networks on MNIST and CIFAR-10: test error of the exact lazy limit against the ridge (line), and of the same network trained by Adam (band). Stored sweep, 3 seeds, means and standard errors.", "name": "fig-convolutional-networks-honest"}}
cases = [("mnist", 4000), ("cifar10", 4000), ("cifar10", 10_000)]
fig, axes = plt.subplots(1, 3, figsize=(7.4, 3.4), sharey=True)
for ax, (task, n) in zip(axes, cases):
    exact = convolutional.select(task=task, method="exact_lazy", num_train=n)
    ridges, lazy = exact.configurations[0]["ridges"], {"lazy, solved": exact.array("test_error")}
    ntk.plotting.epochs_and_levels(ax, ridges, lazy, {"feature, Adam": well(task, n)}, ylabel="")
    ax.set(title=f"{task}, n = {n}", xlabel="ridge / largest eigenvalue"), ax.set_xticks(ridges[::2])
    best = ridges[lazy["lazy, solved"].mean(1).argmin()]
    print(f"{task}, {n}: best ridge {best:.0e}, that of {1 / (10 * n / 100 * best):,.0f} epochs")
axes[0].set_ylabel("test error"), axes[0].legend(), plt.show()

# %% [markdown]
# The same in numbers, with what each draw of the data says, and with Adam for too long:

# %%
gaps = {case: solved(*case) - well(*case) for case in cases}
for (task, n), gap in gaps.items():
    print(f"{task}, {n}: lazy {solved(task, n).mean():.3f}, feature {well(task, n).mean():.3f}, gaps", gap.round(3))
long = stored("trained_well", task="cifar10", epochs=[40, 160])[-1].mean()
print(f"CIFAR-10, 4000 images, 160 epochs of Adam: {long:.3f}")
assert gaps["mnist", 4000].min() > 0.05 and gaps["cifar10", 10_000].min() > 0.04  # in every draw

# %% [markdown]
# HONEST
#
# ## Fully connected: ensembles tell
#
# For fully-connected networks Mario Geiger, Stefano Spigler, Arthur Jacot and Matthieu Wyart {cite}`geiger2020` find the
# opposite: in their tests these "generally perform better in the lazy-training regime (except when we reduce the dataset via
# PCA)". We try ten cases: digits, MNIST, Fashion-MNIST {cite}`xiao2017`, EMNIST {cite}`cohen2017` and CIFAR-10, each with
# all pixels and with 10 principal components, labels +1 and −1 for alternate classes. The networks have two hidden ReLU
# layers of $m = 64$ and are trained as in {doc}`/book/lazy_training/lazy_or_feature`, to margin 1 on $n = 256$ examples. A
# small $m$ adds noise from the initialization, and lazy training keeps most of it. So 8 networks are trained for each case
# and scale, and an *ensemble*, the mean of their outputs, is tested too. All is repeated with three draws of the data, and a
# difference is taken draw by draw.
#
# <details class="answer"><summary>Predict before you run: which comparison favours lazy training more, single networks or ensembles?</summary>
#
# Ensembles. A lazy network adds to what it learns a part of its random initial kernel; the mean of several networks loses
# most of that. Feature training forgets more of its initialization, so that it has less to gain.
#
# </details>

# %%
def errors(value, inputs):
    """Means over networks where each has one: (data sets, scales, draws of the data)."""
    runs = connected.select(num_components=inputs)
    return ntk.regimes.tabulate(runs, value, ("task", "scaled_alpha", "data_seed")).mean

# %% mystnb={"image": {"alt": "ALT6"}, "figure": {"caption": "Fully-connected networks: test error of lazy (α̃ = 1000) less that of feature training (α̃ = 0.1), in points; below zero lazy is better. Stored sweep; bars are standard errors over three draws of the data.", "name": "fig-convolutional-networks-connected"}}
lazy_less_feature, names = {}, connected.axis("task")
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.8), sharey=True)
for ax, (inputs, title) in zip(axes, ((10, "10 components"), (None, "all pixels"))):
    table = {"single": errors("test_error", inputs), "ensemble": errors("ensemble_error", inputs)}
    shown = {label: 100 * (t[:, -1] - t[:, 0]) for label, t in table.items()}
    ntk.plotting.differences(ax, names, shown, ylabel="lazy − feature, points" if inputs else "")
    ax.set(title=title), ax.tick_params(axis="x", rotation=30)
    lazy_less_feature[inputs] = shown
axes[0].legend(), plt.show()

# %% [markdown]
# Three draws estimate a standard error poorly. By Student's law, with two degrees of freedom, a mean of three is outside of
# 4.3 of its standard errors by chance in one case of twenty; with two standard errors it would be one in five. So:

# %%
clear = float(stats.t.ppf(0.975, df=2))
beyond = {}
for inputs, shown in lazy_less_feature.items():
    for number, name in enumerate(names):
        each = [ntk.estimate(shown[label][number]) for label in ("single", "ensemble")]
        print(f"{name:14s}{inputs or 'all':>4}", *(f"  {e.mean:4.1f} ± {e.standard_error:.1f}" for e in each))
        beyond[name, inputs] = [float(e.mean / e.standard_error) / clear for e in each]
assert max(beyond[name, 10][1] for name in ("digits", "mnist", "fashion_mnist")) < -1  # ensembles: lazy
assert min(beyond[name, None][0] for name in ("mnist", "emnist")) > 1  # single networks: feature

# %% [markdown]
# CONNECTED
#
# One case is computed again, here and now: digits, 10 components, the first draw of the data, 8 networks.

# %%
one_case = {"task": "digits", "num_components": 10, "data_seed": 0}
for scaled_alpha in (0.1, 1000.0):
    run = connected.select(scaled_alpha=scaled_alpha, **one_case)
    fresh = ntk.regimes.crossover(**run.configurations[0])
    assert run.deviation(lambda **_: fresh) < 0.5  # half of the spread over seeds
    print(f"α̃ = {scaled_alpha:g}: kernel change {fresh['kernel_change'].mean():.2g}, "
          f"single {fresh['test_error'].mean():.3f}, ensemble {fresh['ensemble_error']:.3f}")

# %% [markdown]
# What does averaging gain at each scale? MNIST, with the crossover $\tilde\alpha = 1$ between the two:

# %% mystnb={"image": {"alt": "ALT7"}, "figure": {"caption": "Fully-connected networks on MNIST: test error of single networks and of the ensemble of 8 at three scales, means and standard errors over three draws of the data.", "name": "fig-convolutional-networks-ensembles"}}
kinds, at = {"single": "test", "ensemble": "ensemble"}, names.index("mnist")
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
for ax, (inputs, title) in zip(axes, ((10, "10 components"), (None, "all pixels"))):
    both = {label: errors(f"{value}_error", inputs)[at] for label, value in kinds.items()}
    ntk.plotting.epochs_and_levels(ax, [0.1, 1, 1000], both, {})
    ax.set(title=title, xlabel="α̃")
    gained = both["single"].mean(1) - both["ensemble"].mean(1)
    print(f"{title}: averaging gains", *(f"{100 * g:.1f}" for g in gained), "points")
    assert gained[-1] > 2 * gained[0]  # lazy networks have more to average away
axes[0].legend(), plt.show()

# %% [markdown]
# ENSEMBLES
#
# ## Where it breaks
#
# **The lazy limit of which network?** Ours is that of *finite* networks with 24 channels. An infinitely wide one has another,
# deterministic kernel, and few examples suit it: on 10 to 640 images of CIFAR-10 Sanjeev Arora and co-authors
# {cite}`arora2020` find the convolutional tangent kernel better than a trained ResNet-34 by 1 to 3 points. No
# cell of this chapter computes that kernel.
#
# **What differs from the papers.** Lénaïc Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019` train VGG-11 and
# ResNet-18 on all of CIFAR-10; Geiger and co-authors {cite}`geiger2020` train on up to $10^4$ examples, balance the classes
# and use filters of 5 × 5. Our networks have two or three convolutions, our images are smaller, our training sets have 256
# to 4,000 examples, and the test sets 1,000. Directions can be compared, numbers cannot.
#
# **Squared loss.** A ridge solves it. With the hinge loss of the fully-connected runs the lazy limit is a margin problem
# instead, and no $p$ linear equations solve it.
#
# **Three seeds.** They suffice for gaps of five points and more. For a difference of one they rarely do.
#
# **One learning rate.** Adam's was not tuned for each data set, nor was weight decay or augmentation tried. Either may help
# the feature side further; a better kernel would help the other.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** After equally many epochs the lazy run has twice the test error. What follows?
#
# <details class="wrong"><summary>Lazy training generalizes worse</summary>
#
# Only if it has converged. Compare with the solution of the linear equations first.
#
# </details>
# <details class="right"><summary>Nothing yet: it may be far from its limit</summary>
#
# Yes. On MNIST most of the distance to the feature run was of this kind.
#
# </details>
# <details class="wrong"><summary>The learning rate was too large</summary>
#
# Too large a rate diverges. The limit is the largest eigenvalue; what lags behind are small ones.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** Gradient descent at η = n/λ<sub>max</sub> runs for 1,000 steps. With which ridge does regression fit about the same?
#
# <details class="right"><summary>λ<sub>max</sub>/1000</summary>
#
# Yes: $\rho = n/(\eta s)$, within a factor of two for the share of every mode.
#
# </details>
# <details class="wrong"><summary>1000 λ<sub>max</sub></summary>
#
# Such a ridge fits less than a thousandth of every mode. More steps mean a smaller ridge.
#
# </details>
# <details class="wrong"><summary>There is none, the shares differ too much</summary>
#
# They differ by at most a factor of two, for every eigenvalue at once.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** Why are the regimes compared by ensembles where networks are narrow?
#
# <details class="wrong"><summary>Ensembles are always better, so they are fairer</summary>
#
# Better they usually are, but by different amounts at different scales, and that is the point.
#
# </details>
# <details class="wrong"><summary>A single network has no test error</summary>
#
# It has one; it contains a part that depends on the random initialization alone.
#
# </details>
# <details class="right"><summary>Single errors mix the regime with the noise of the initialization, which lazy training keeps more of</summary>
#
# Yes: on MNIST averaging gained lazy networks several times as many points as feature networks.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ How many steps?
# :label: ex-convolutional-networks-steps
#
# Gradient descent with $\eta = n/\lambda_{\max}$ shall fit a share of a mode with $\lambda/\lambda_{\max}$ = `ratio`. Write `steps(ratio, share)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# What is left is multiplied by the same factor at each step. Take logarithms.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# (1 − ratio)^s = 1 − share; log1p keeps the digits of a small ratio.
def steps(ratio, share):
    return jnp.log(1 - share) / jnp.log1p(-ratio)

ntk.exercises.convolutional_networks.check_steps(steps)

# %% [markdown]
# :::{exercise} ★ What another factor of four costs
# :label: ex-convolutional-networks-size
#
# A network of two 3 × 3 convolutions with $c$ channels, no biases, on images with one channel, ten outputs. By what factor
# do the operations for $J^\top J$ grow from $c = 12$ to $c = 48$?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $J$ has $nk$ rows and $p$ columns. Count the weights of the three layers.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# First convolution 9 c, second 9 c², readout 10 c; JᵀJ takes n k p² operations.
num_params = lambda c: 9 * c + 9 * c**2 + 10 * c
ntk.exercises.convolutional_networks.check_network_size((num_params(48) / num_params(12)) ** 2)

# %% [markdown]
# :::{exercise} ★★ Which cases are clear?
# :label: ex-convolutional-networks-clear
#
# In how many of the ten fully-connected cases is the lazy ensemble clearly better, beyond `clear` standard errors, and in
# how many the ensemble of feature-trained networks? Give `(lazy, feature)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Take `errors("ensemble_error", inputs)`; difference along the axis of scales, then `ntk.estimate` over draws of the data.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Difference each draw first: draws that are harder are harder for both.
tables = jnp.concatenate([errors("ensemble_error", inputs) for inputs in (10, None)])
mean, error = ntk.estimate((tables[:, -1] - tables[:, 0]).T)
cases = (int(jnp.sum(mean < -clear * error)), int(jnp.sum(mean > clear * error)))
ntk.exercises.convolutional_networks.check_clear_cases(cases)

# %% [markdown]
# :::{exercise} ★★ A ridge without looking
# :label: ex-convolutional-networks-ridge
#
# The test images chose our ridge. Do without: `ntk.exercises.convolutional_networks.problem()` returns `f, params0, data`.
# Train on the first 150 examples, and choose among `ntk.exercises.convolutional_networks.RIDGES` by the error on the other 50.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `ntk.lazy_limit` takes all ridges at once; `jax.vmap` over its result evaluates `ntk.differential` for each.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# A function for both of these exercises: errors on (x, y) at each ridge.
f, start, data = ntk.exercises.convolutional_networks.problem()
ridges = ntk.exercises.convolutional_networks.RIDGES

def lazy_errors(x_train, y_train, x, y):
    deltas = ntk.lazy_limit(f, start, x_train, y_train, ridges)
    outputs = jax.vmap(lambda delta: ntk.differential(f, start, delta, x))(deltas)
    return jax.vmap(lambda out: study.classification_error(out, y))(outputs)

left_out = lazy_errors(data.x_train[:150], data.y_train[:150], data.x_train[150:], data.y_train[150:])
ntk.exercises.convolutional_networks.check_ridge(ridges[jnp.argmin(left_out)])

# %% [markdown]
# :::{exercise} ★★★ Shuffled pixels
# :label: ex-convolutional-networks-shuffled
#
# Rearrange the 64 pixels of all images of that problem, training and test, by one permutation,
# `jax.random.permutation(jax.random.key(9), 64)`. A fully-connected network would not notice. Does the lazy limit of the
# convolutional one? Give its lowest test errors over `RIDGES`, trained on all 200 examples: `(as they are, shuffled)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `x.reshape(-1, 64)[:, order].reshape(x.shape)`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Neighbours are what a 3 × 3 window sees; shuffled, they have nothing to do with each other.
order = jax.random.permutation(jax.random.key(9), 64)
shuffle = lambda x: x.reshape(-1, 64)[:, order].reshape(x.shape)
plain = lazy_errors(*data).min()
shuffled = lazy_errors(shuffle(data.x_train), data.y_train, shuffle(data.x_test), data.y_test).min()
ntk.exercises.convolutional_networks.check_shuffled((plain, shuffled))

# %% [markdown]
# ## Questions readers ask
#
# **Why not simply train the lazy network longer?** One can, but not for long enough. The ridge that does best on MNIST
# corresponds to 25,000 epochs, on CIFAR-10 to 2,500. For more parameters than fit into a $p \times p$
# matrix, conjugate gradients on the kernel are the next thing to try ({doc}`/book/practice/large_kernels`).
#
# **Is a smaller test error proof of learned features?** No. It shows that the tangent kernel at initialization is not what
# predicted. That features changed, the kernel's change says,
# here 0.7 under Adam and below 0.01 at $\alpha = 100$.
#
# **Could a better kernel close the gap?** Possibly. The comparison is with the kernel of this network at its own
# initialization, because that is what lazy training of it means. Whether some other fixed kernel does as well is another
# question; Part III asks it.
#
# **Why did you choose on test images, which one must never do?** To give each side its best, so that neither can complain.
# The errors are too good for both, therefore. Exercise 4 does it properly.
#
# ## Summary
#
# - Where lazy training ends, $p$ linear equations tell, solved without a step: `ntk.lazy_limit`.
# - $s$ steps at $\eta = n/\lambda_{\max}$ fit each mode as a ridge of $\lambda_{\max}/s$ does, up to a factor of two. Equal epochs therefore
#   compare a trained network with a heavily regularized kernel.
# SUMMARYPOINTS
#
# ## What is next
#
# Part III asks where such differences come from: which functions a kernel learns first, what an architecture builds into
# it, and what no fixed kernel can do. The symbols are in {doc}`/book/notation`.
#
# ## Further reading
#
# - Geiger, Spigler, Jacot and Wyart {cite}`geiger2020`: lazy and feature training of fully-connected and convolutional
#   networks on the same four data sets, with larger networks.
# - Chizat, Oyallon and Bach {cite}`chizat2019`: deep convolutional networks lose accuracy when they are made lazy by a
#   scale.
# - Arora and co-authors {cite}`arora2020`: where few examples make the infinitely wide limit the better choice.
# - Arora and co-authors {cite}`arora2019`: that limit computed exactly for convolutions and global average pooling.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* First figure, without the dashed lines, and a vote on what it proves (5); the two forms of the
# solution on the board (10); steps as a ridge, with proof (10); the live comparison and the one curve (10); the honest
# comparison (5); fully-connected networks, single and ensemble (10).
#
# *Plan for 90 minutes.* As above, then exercises 3 and 4 in pairs (20), exercise 5 with a guess first (10), and a
# discussion of "Where it breaks": what would each student have to run to contradict this page (10)?
#
# *Misconceptions.* "Lazy training is bad": the fully-connected ensembles. "More epochs would not matter, the curve is
# flat": it is flat because small eigenvalues are slow. "The test error is a property of the regime": of regime,
# network, data and number of examples together.
#
# </details>
