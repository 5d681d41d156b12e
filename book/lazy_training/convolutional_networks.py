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
import itertools

from scipy import stats

study = ntk.convolutional_regimes
convolutional, connected = map(ntk.results.load, ("convolutional", "fully_connected"))
for sweep in (convolutional, connected):
    print(f"{sweep.name}: {len(sweep)} stored runs on", *sorted(sweep.about["data"]))

# %% [markdown]
# Each run has several seeds, which draw the data and the network. Test errors come with seeds last, epochs or ridges before:

# %%
def stored(method, task, n=4000, **more):
    runs = convolutional.select(method=method, task=task, num_train=n, **more)
    return runs.array("test_error")

def solved(task, n=4000):
    return stored("exact_lazy", task, n).min(0)  # at the best ridge

def well(task, n=4000):
    epochs = [20, 80] if task == "mnist" else [10, 40]
    return stored("trained_well", task, n, epochs=epochs)[-1]

# %% [markdown]
# We begin with a convolutional network: 3 × 3 convolutions with 24 channels and ReLU, the mean over positions (*global
# average pooling*), and a linear readout to ten outputs, one a class. MNIST is shrunk to 14 × 14 pixels (two
# convolutions), CIFAR-10 to 16 × 16 (three); 4,000 images train, 1,000 test, and the loss is the squared one. Plots in
# papers train both regimes for equally many epochs. So do the solid curves.

# %% mystnb={"image": {"alt": "Two panels, MNIST and CIFAR-10, test error against epochs 1 to 15. On MNIST the curve for α = 0.1 falls from 0.6 to 0.16 and that for α = 100 from 0.66 to 0.40; dashed levels at 0.17, lazy solved, and 0.08, feature by Adam. On CIFAR-10 the curves end at 0.62 and 0.72, the levels are 0.59 and 0.56."}, "figure": {"caption": "Test error of one convolutional network on MNIST and CIFAR-10, from a stored sweep with 3 seeds (bars and bands: standard errors). Solid: stochastic gradient descent at two output scales. Dashed: where the lazy run would end, solved exactly, and the network trained by Adam.", "name": "fig-convolutional-networks-surprise"}}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.8), sharey=True)
for ax, task in zip(axes, ("mnist", "cifar10")):
    sgd = {a: stored("equal_epochs", task, alpha=a) for a in (0.1, 100.0)}
    curves = {f"α = {a:g}, SGD": errors for a, errors in sgd.items()}
    levels = {"lazy, solved": solved(task), "feature, Adam": well(task)}
    ntk.plotting.epochs_and_levels(ax, [1, 2, 5, 10, 15], curves, levels)
    ax.set(title=task)
    ends = [*(errors[-1] for errors in sgd.values()), *levels.values()]
    print(f"{task}:", *(f"{end.mean():.3f}" for end in ends))
axes[0].legend(fontsize=9)
plt.show()

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
# You need {doc}`/book/linearization/training_dynamics`, and of this part
# {doc}`/book/lazy_training/a_choice_of_scale` and {doc}`/book/lazy_training/lazy_or_feature`. Symbols are those of
# {doc}`/book/notation`; $n$ is the number of training examples, $m$ the width, and $\tilde\alpha = \sqrt m\,\alpha$ the variable on which the plane of that chapter collapses.
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
tiny = digits | {"channels": 4, "num_train": 100}
net, params0, data, _ = next(study.problems(**tiny))
J = ntk.jacobian(net.apply, params0, data.x_train).reshape(1000, -1)
y, ridge = data.y_train.reshape(-1), 1e-3 * jnp.linalg.norm(J, 2) ** 2
by_parameters = jnp.linalg.solve(J.T @ J + ridge * jnp.eye(J.shape[1]), J.T @ y)
by_kernel = J.T @ jnp.linalg.solve(J @ J.T + ridge * jnp.eye(len(J)), y)
print(f"J has shape {J.shape}: solve {J.shape[1]} equations, or {J.shape[0]}")
assert jnp.allclose(by_parameters, by_kernel, atol=1e-9)

# %% [markdown]
# And by the package, which finds the largest eigenvalue by iteration:

# %%
delta = ntk.lazy_limit(net.apply, params0, data.x_train, data.y_train, [1e-3])
package, _ = jax.flatten_util.ravel_pytree(delta)
assert jnp.allclose(package, by_kernel, atol=1e-4 * jnp.abs(package).max())

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
z, s = jnp.logspace(-8, -1e-9, 60)[:, None], 10.0 ** jnp.arange(1, 7)
by_steps, by_ridge = -jnp.expm1(s * jnp.log1p(-z)), s * z / (1 + s * z)
ratio = by_steps / by_ridge
print(f"fitted by steps / by ridge: {ratio.min():.2f} to {ratio.max():.2f}")
assert jnp.all(ratio > 1 - 1e-9) and jnp.all(ratio <= 2)

# %% [markdown]
# <details class="answer"><summary>Predict before you run: whose eigenvalues fall faster, those of the convolutional network with pooling or those of the fully-connected one?</summary>
#
# Pooling averages over all positions, and images of different digits differ little in such averages. Most of the kernel is
# then what all images share, the largest eigenvalue, and the rest is small beside it.
#
# </details>

# %%
net, params0, data, _ = next(study.problems(**digits))
dense = ntk.Serial([ntk.Flatten(), ntk.mlp(64, 2, 10, ntk.relu, w_std=2**0.5)])
weights, _ = dense.init(jax.random.key(0), data.x_train.shape[1:])
x, y = data.x_train[:64], data.y_train[:64].reshape(-1)

def modes(net, w):
    return ntk.eigenmodes(ntk.as_matrix(ntk.gram(ntk.empirical_ntk(net.apply, w), x)))

both = {"convolutional": modes(net, params0), "dense": modes(dense, weights)}

# %% [markdown]
# Drawn, with the share of $y$ that 6,000 steps leave:

# %% mystnb={"image": {"alt": "Eigenvalues against mode number, both axes logarithmic. After ten modes near the largest, the convolutional network's drop to a twentieth and fall to about one millionth at mode 640, crossing the dotted line; the fully-connected network's stay above one thousandth."}, "figure": {"caption": "Eigenvalues of the tangent kernel of 64 digits at initialization, relative to the largest. Dotted: 1/6000; what lies below is not fitted by 6,000 steps.", "name": "fig-convolutional-networks-spectrum"}}
left, fig = {}, plt.figure()
for name, (eigenvalues, vectors) in both.items():
    ratio = jnp.maximum(eigenvalues / eigenvalues[0], 1e-16)
    left[name] = (vectors.T @ y) ** 2 @ (1 - ratio) ** 6000 / jnp.sum(y**2)
    plt.loglog(jnp.arange(1, 641), ratio, label=name)
    print(f"{name}: {jnp.sum(ratio > 1 / 6000)} of 640 above, {left[name]:.1%} left")
plt.axhline(1 / 6000, color="black", linestyle=":", label="1/6000")
plt.gca().set(xlabel="mode", ylabel="relative eigenvalue", ylim=(1e-8, 2)), plt.legend()
plt.show()
assert left["convolutional"] > 3 * left["dense"]

# %% [markdown]
# The convolutional network has 364 of 640 modes above the line, and 6,000 steps leave 22 % of the labels unfitted (of their
# squared norm). The fully-connected one has them all above, and nothing is left. Equal epochs are not equal for both.
#
# ## The trap of equal epochs, live
#
# Now the whole comparison on digits, three draws of data and network together: a network of 16 channels, 500 images to
# train with and 1,000 to test. `equal_epochs` sets the learning rate to $n/\lambda_{\max}$ of the kernel at the beginning of each epoch, so
# that steps are as large as is stable at every $\alpha$.

# %%
ways = {
    "feature": {"method": "equal_epochs", "alpha": 0.1},
    "lazy": {"method": "equal_epochs", "alpha": 100.0},
    "solved": {"method": "exact_lazy"}, "well": {"method": "trained_well"}}
found = {}
for name, way in ways.items():
    run = convolutional.select(task="digits", **way)
    found[name] = study.train_by(**run.configurations[0])
    assert run.deviation(lambda **_: found[name]) < 0.5  # of the spread over seeds

# %% mystnb={"image": {"alt": "Test error against epochs on digits. The curve for α = 0.1 falls from 0.86 to 0.17, that for α = 100 from 0.83 to 0.31; dashed levels at 0.12, lazy solved, and 0.07, feature by Adam."}, "figure": {"caption": "The same on digits, computed above: three seeds, means and standard errors.", "name": "fig-convolutional-networks-digits"}}
error = {name: values["test_error"] for name, values in found.items()}
curves = {"α = 0.1, SGD": error["feature"], "α = 100, SGD": error["lazy"]}
levels = {"lazy, solved": error["solved"].min(0), "feature, Adam": error["well"][-1]}
ntk.plotting.epochs_and_levels(plt.gca(), [1, 2, 5, 10, 15], curves, levels)
plt.legend()
plt.show()
for name in ("feature", "lazy", "well"):
    change = found[name]["kernel_change"].mean()
    print(f"{name}: error {error[name][-1].mean():.2f}, kernel change {change:.1g}")
print(f"solved: error {error['solved'].min(0).mean():.2f}")

# %% [markdown]
# On digits the order even changes. After equal epochs the feature run is far ahead of the lazy one (0.17 against 0.31). The
# limit of the lazy run is ahead of both, and Adam ahead of it.
#
# One curve holds all of it. Below is the test error of the exact lazy limit against the ridge. The dots are the lazy run by
# gradient descent, put where {prf:ref}`thm-convolutional-networks-steps` says: after $s$ steps at the ridge $1/s$. With
# momentum 0.9 the $j$-th gradient back has built up to $10\,(1 - 0.9^j)$ steps, so that $s$ steps count for
# $10\,\bigl(s - 9\,(1 - 0.9^s)\bigr)$.
#
# <details class="answer"><summary>Predict before you run: where on this curve does the lazy run of 15 epochs stop?</summary>
#
# 15 epochs of 5 batches are 75 steps, or 660 with momentum: at a ridge of about 1/660, far to the right of the minimum if
# that lies at $10^{-5}$ or below.
#
# </details>

# %% mystnb={"image": {"alt": "Test error against ridge, logarithmic. The solved curve has its minimum of 0.12 at 1e-5 and rises to 0.64 at 0.1. Five dots of gradient descent between 0.0015 and 0.08: the two leftmost close to the curve, the others up to 0.2 above it."}, "figure": {"caption": "Lazy training on digits: test error against ridge, solved exactly (line), and after 1 to 15 epochs of gradient descent, at the ridge 1/s (dots). Three seeds; bars are standard errors.", "name": "fig-convolutional-networks-ridge"}}
exact = convolutional.select(task="digits", method="exact_lazy").configurations[0]
ridges, s = jnp.asarray(exact["ridges"]), 5 * jnp.asarray([1, 2, 5, 10, 15])
exactly, stepwise = ntk.estimate(error["solved"].T), ntk.estimate(error["lazy"].T)
at = 1 / (10 * (s - 9 * (1 - 0.9**s)))
plt.errorbar(ridges, *exactly, marker=".", label="solved")
plt.errorbar(at, *stepwise, fmt="o", label="gradient descent")
plt.gca().set(xscale="log", xlabel=r"ridge / $\lambda_{\max}$", ylabel="test error")
plt.legend()
plt.show()
print(f"best ridge: {ridges[jnp.argmin(exactly.mean)]:.0e}")

# %% [markdown]
# The best ridge is $10^{-5}$, that of 2,000 epochs, with 50 steps each: the run stops two decades before. Its last two dots lie close to the
# curve; the first three lie above it, where steps on random batches fit less than the theorem's steps on all examples.
#
# ## Convolutions gain from features
#
# The honest question is whether the *best* lazy predictor falls short. Both sides may choose where to stop in hindsight, on
# the test images: the lazy limit its ridge, Adam its number of epochs (80 on MNIST; on CIFAR-10 40, rather than 160).

# %% mystnb={"image": {"alt": "Three panels of test error against ridge, with a lower dashed band for feature training. MNIST: lazy from 0.34 down to 0.17, feature 0.08. CIFAR-10 with 4,000 images: lazy lowest at 0.59, feature 0.56. With 10,000: lazy lowest at 0.57, feature 0.49."}, "figure": {"caption": "Convolutional networks on MNIST and CIFAR-10: test error of the exact lazy limit against the ridge (line), and of the same network trained by Adam (band). Stored sweep, 3 seeds, means and standard errors.", "name": "fig-convolutional-networks-honest"}}
cases = [("mnist", 4000), ("cifar10", 4000), ("cifar10", 10_000)]
fig, axes = plt.subplots(1, 3, figsize=(7.4, 3.4), sharey=True)
for ax, (task, n) in zip(axes, cases):
    exact = convolutional.select(task=task, method="exact_lazy", num_train=n)
    ridges, lazy = exact.configurations[0]["ridges"], exact.array("test_error")
    levels = {"feature, Adam": well(task, n)}
    ntk.plotting.epochs_and_levels(ax, ridges, {"lazy, solved": lazy}, levels)
    ax.set(title=f"{task}, n = {n}", xlabel=r"ridge / $\lambda_{\max}$", ylabel="")
    ax.set_xticks(ridges[::2])
    epochs = 1 / (10 * n / 100 * ridges[lazy.mean(1).argmin()])
    print(f"{task}, {n}: the best ridge is that of {epochs:,.0f} epochs")
axes[0].set(ylabel="test error")
axes[0].legend()
plt.show()

# %% [markdown]
# The same in numbers, with what each draw of the data says, and with Adam for too long:

# %%
gaps = {case: solved(*case) - well(*case) for case in cases}
for (task, n), gap in gaps.items():
    (mean, se), ends = ntk.estimate(gap), [solved(task, n).mean(), well(task, n).mean()]
    print(f"{task}, {n}: lazy, feature", *(f"{end:.3f}" for end in ends), end="; gap ")
    print(f"{mean:.3f} ± {se:.3f}, by draw", gap.round(3))
long = stored("trained_well", "cifar10", epochs=[40, 160])[-1].mean()
print(f"cifar10, 4000, by 160 epochs of Adam: {long:.3f}")
assert gaps["mnist", 4000].min() > 0.05 and gaps["cifar10", 10_000].min() > 0.04

# %% [markdown]
# On MNIST the best lazy predictor errs twice as often as the network that Adam trained, and no draw of the data is in doubt.
# On CIFAR-10 with 4,000 images features gain 0.7 to 6.2 points, which three draws do not settle. With 10,000 images they gain
# 7.0 to 7.8 points in every draw: more examples pay for features here. And features can be overdone. After 160 epochs on
# 4,000 images the network errs on 62 %, more than the lazy limit at its best ridge. Both sides need a stop.
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
def errors(kind, inputs):  # means over networks: (data sets, scales, draws)
    runs = connected.select(num_components=inputs)
    value = {"single": "test_error", "ensemble": "ensemble_error"}[kind]
    return ntk.regimes.tabulate(runs, value, ("task", "scaled_alpha", "data_seed")).mean

def difference(kind, inputs):  # lazy less feature, in points
    return 100 * (errors(kind, inputs)[:, -1] - errors(kind, inputs)[:, 0])

# %% [markdown]
# Drawn for all ten cases:

# %% mystnb={"image": {"alt": "Lazy less feature test error in points for five data sets, with 10 components and with all pixels. Ensembles lie below zero except on MNIST and Fashion-MNIST with all pixels, slightly above. Single networks lie near zero with 10 components and between zero and three points above it with all pixels."}, "figure": {"caption": "Fully-connected networks: test error of lazy (α̃ = 1000) less that of feature training (α̃ = 0.1), in points; below zero lazy is better. Stored sweep; bars are standard errors over three draws of the data.", "name": "fig-convolutional-networks-connected"}}
names, kinds = connected.axis("task"), ("single", "ensemble")
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.8), sharey=True)
for ax, inputs in zip(axes, (10, None)):
    samples = {kind: difference(kind, inputs) for kind in kinds}
    ntk.plotting.differences(ax, names, samples, ylabel="lazy − feature, points")
    ax.set(title="10 components" if inputs else "all pixels")
    ax.tick_params(axis="x", rotation=30)
axes[1].set(ylabel="")
axes[0].legend()
plt.show()

# %% [markdown]
# Three draws estimate a standard error poorly. Where there is no difference, by Student's law with two degrees of freedom, the
# mean of three lies beyond 4.3 of its standard errors in one case of twenty, and beyond two of them in one of five. So:

# %%
clear, beyond = stats.t.ppf(0.975, df=2), {}
print(" " * 13, *(f"{name:>13s}" for name in names))
for inputs, kind in itertools.product((10, None), kinds):
    mean, error = ntk.estimate(difference(kind, inputs).T)
    beyond[kind, inputs] = dict(zip(names, mean / error / clear))
    cells = (f"{m:7.1f} ± {e:.1f}" for m, e in zip(mean, error))
    print(f"{kind:9s}{inputs or 'all':>4}", *cells)
assert all(beyond["ensemble", 10][task] < -1 for task in names[:3])
assert all(beyond["single", None][task] > 1 for task in ("mnist", "emnist"))

# %% [markdown]
# With 10 components the lazy ensembles are ahead on all five sets, clearly so on digits, MNIST and Fashion-MNIST. With all
# pixels no ensemble of feature-trained networks is clearly ahead either. *Single* networks of this width tell the opposite:
# with all pixels features are clearly better on MNIST and EMNIST, by 3.1 and 1.5 points. "Better when lazy" is a statement
# about ensembles, or about networks so wide that one is as good as many. The exception that Geiger and co-authors make, for
# data reduced by PCA, we do not find: there our lazy ensembles gain most. Their training sets are up to 40 times larger, and
# which of the differences decides this page has not tested.
#
# One case is computed again, here and now: digits, 10 components, the first draw of the data, 8 networks.

# %%
one_case = {"task": "digits", "num_components": 10, "data_seed": 0}
for scaled_alpha in (0.1, 1000.0):
    run = connected.select(scaled_alpha=scaled_alpha, **one_case)
    fresh = ntk.regimes.crossover(**run.configurations[0])
    assert run.deviation(lambda **_: fresh) < 0.5  # of the spread over seeds
    single, ensemble = fresh["test_error"].mean(), fresh["ensemble_error"]
    print(f"α̃ = {scaled_alpha:g}: single {single:.3f}, ensemble {ensemble:.3f}")

# %% [markdown]
# What does averaging gain at each scale? MNIST, with the crossover $\tilde\alpha = 1$ between the two:

# %% mystnb={"image": {"alt": "Test error on MNIST at α̃ = 0.1, 1 and 1000, single networks and ensembles. With 10 components the ensemble falls from 0.158 to 0.135 while single networks stay near 0.16. With all pixels single networks rise from 0.127 to 0.157 while the ensemble stays near 0.12."}, "figure": {"caption": "Fully-connected networks on MNIST: test error of single networks and of the ensemble of 8 at three scales, means and standard errors over three draws of the data.", "name": "fig-convolutional-networks-ensembles"}}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
for ax, inputs in zip(axes, (10, None)):
    both = {kind: errors(kind, inputs)[names.index("mnist")] for kind in kinds}
    ntk.plotting.epochs_and_levels(ax, [0.1, 1, 1000], both, {})
    ax.set(title="10 components" if inputs else "all pixels", xlabel="α̃")
    gained = 100 * (both["single"] - both["ensemble"]).mean(1)
    print(inputs or "all", "inputs: averaging gains", *(f"{g:.1f}" for g in gained))
    assert gained[-1] > 2 * gained[0]  # lazy networks have more to average away
axes[0].legend()
plt.show()

# %% [markdown]
# Averaging gains 2.0 and 3.7 points when lazy, 0.3 and 0.8 when features are learned. With all pixels that is the whole
# difference between the regimes: 3.1 points for single networks, 0.2 ± 0.3 for ensembles.
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
factor = (num_params(48) / num_params(12)) ** 2
ntk.exercises.convolutional_networks.check_network_size(factor)

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
# Take `difference("ensemble", inputs)`, then `ntk.estimate` over draws of the data.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Difference each draw first: draws that are harder are harder for both.
ten = jnp.concatenate([difference("ensemble", inputs) for inputs in (10, None)])
mean, error = ntk.estimate(ten.T)
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

x, y = data.x_train, data.y_train
left_out = lazy_errors(x[:150], y[:150], x[150:], y[150:])
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
# Neighbours are what a 3 × 3 window sees; shuffled, they are strangers.
order = jax.random.permutation(jax.random.key(9), 64)
shuffle = lambda x: x.reshape(-1, 64)[:, order].reshape(x.shape)
plain = lazy_errors(*data).min()
x, y, x_test, y_test = data
shuffled = lazy_errors(shuffle(x), y, shuffle(x_test), y_test).min()
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
# on digits 0.7 under Adam and below 0.01 at $\alpha = 100$.
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
# - The exact lazy limit of a convolutional network errs on 17 % of MNIST, the same network trained by Adam on 8 %. On
#   CIFAR-10 features are ahead by 7 points with 10,000 images, and not reliably with 4,000.
# - Feature training needs a stop as lazy training needs a ridge: trained for too long it falls behind the lazy limit.
# - Fully-connected ensembles are as good or better when lazy, clearly on digits, MNIST and Fashion-MNIST with 10 components.
#   Single networks are not: lazy training keeps the noise of the initialization, and pays up to 3 points for it.
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
