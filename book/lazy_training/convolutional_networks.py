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
SETUP

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
study = ntk.convolutional_regimes
convolutional, connected = map(ntk.results.load, ("convolutional", "fully_connected"))
for sweep in (convolutional, connected):
    sets = ", ".join(sorted(sweep.about["data"]))
    print(f"{sweep.name}: {len(sweep)} stored runs on {sets}")

# %% [markdown]
# We begin with a convolutional network: 3 × 3 convolutions with 24 channels and ReLU, the mean over positions (*global
# average pooling*), and a linear readout to ten outputs, one a class. MNIST is shrunk to 14 × 14 pixels (two
# convolutions), CIFAR-10 to 16 × 16 (three); 4,000 images train, 1,000 test, and the loss is the squared one. Plots in
# papers train both regimes for equally many epochs. So do the solid curves.

# %% mystnb={"image": {"alt": "ALT1"}, "figure": {"caption": "Test error of one convolutional network on MNIST and CIFAR-10, from a stored sweep with 2 seeds (bars and bands: standard errors). Solid: stochastic gradient descent at two output scales. Dashed: where the lazy run would end, solved exactly, and the network trained by Adam.", "name": "fig-convolutional-networks-surprise"}}
def stored(task, method, value="test_error", num_train=4000, **fixed):
    runs = convolutional.select(task=task, method=method, num_train=num_train, **fixed)
    return runs.array(value, "task")[0]  # (epochs or ridges, seeds)

solved = lambda task: stored(task, "exact_lazy").min(0)  # the best ridge, in hindsight
well = lambda task: stored(task, "trained_well")[-1]
run = convolutional.select(task="mnist", method="equal_epochs").configurations[0]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.8), sharey=True)
for ax, task in zip(axes, ("mnist", "cifar10")):
    at = {a: stored(task, "equal_epochs", alpha=a) for a in (0.1, 100.0)}
    ends = [at[0.1][-1], at[100.0][-1], solved(task), well(task)]
    print(f"{task}:", *(f"{end.mean():.3f}" for end in ends))
    ntk.plotting.epochs_and_levels(
        ax, run["epochs"], {f"α = {a:g}, SGD": errors for a, errors in at.items()},
        {"lazy, solved": ends[2], "feature, Adam": ends[3]})
    ax.set_title(task)
axes[0].legend(fontsize=9), plt.show()

# %% [markdown]
# SURPRISE
#
# ## You will be able to
#
# - compute where lazy training ends, without a training step, for networks of some thousand parameters;
# - translate a number of epochs into a ridge, and tell from a kernel's spectrum whether a lazy run has converged;
# - compare two regimes fairly: the best of each, ensembles with ensembles, standard errors over draws of the data;
# - say where fully-connected networks do better when lazy, where they do not, and what convolutions gain from features.
#
# You need {doc}`/book/linearization/training_dynamics`, and of this part *Lazy training is a choice of scale* and *Lazy or
# feature: one plane*. Symbols are those of {doc}`/book/notation`; $P$ is the number of training examples where the papers
# call it so, $h$ the width, and $\tilde\alpha = \sqrt h\,\alpha$ the variable on which the plane of that chapter collapses.
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
digits = {"task": "digits", "size": None, "channels": 12, "depth": 2, "num_train": 500,
          "num_test": 1000, "num_seeds": 3, "dtype": "float64"}
net, params0, data, _ = next(study.problems(**digits | {"channels": 4, "num_train": 100}))
flat, unravel = jax.flatten_util.ravel_pytree(params0)
J = jax.vmap(jax.jacrev(lambda w, x: net.apply(unravel(w), x)), (None, 0))(flat, data.x_train)
J, y = J.reshape(-1, flat.size), data.y_train.reshape(-1)
ridge = 1e-3 * jnp.linalg.norm(J, 2) ** 2
by_parameters = jnp.linalg.solve(J.T @ J + ridge * jnp.eye(flat.size), J.T @ y)
by_kernel = J.T @ jnp.linalg.solve(J @ J.T + ridge * jnp.eye(len(y)), y)
delta = ntk.lazy_limit(net.apply, params0, data.x_train, data.y_train, [1e-3])
print(f"J has shape {J.shape}: solve {J.shape[1]} equations, or {J.shape[0]}")
assert jnp.allclose(by_parameters, by_kernel, atol=1e-9)
package = jax.flatten_util.ravel_pytree(delta)[0]
assert jnp.allclose(package, by_kernel, atol=1e-4 * jnp.abs(package).max())  # it finds λ_max by iteration

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
# Now the whole comparison on digits, three draws of data and network together: a network of 12 channels, 500 images to
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
    gap = run.deviation(lambda **_: found[name])
    print(f"{name}: last test error {found[name]['test_error'][-1].mean():.3f}")
    assert gap < 0.5  # the stored run is this one, to within half its spread over seeds

# %% mystnb={"image": {"alt": "ALT3"}, "figure": {"caption": "The same on digits, computed above: three seeds, means and standard errors.", "name": "fig-convolutional-networks-digits"}}
epochs = convolutional.select(task="digits", **ways["lazy"]).configurations[0]["epochs"]
solved_digits, well_digits = found["solved"]["test_error"].min(0), found["well"]["test_error"][-1]
fig, ax = plt.subplots()
ntk.plotting.epochs_and_levels(
    ax, epochs, {f"α = {ways[name]['alpha']:g}, SGD": found[name]["test_error"] for name in ("feature", "lazy")},
    {"lazy, solved": solved_digits, "feature, Adam": well_digits})
ax.legend(), plt.show()

# %% [markdown]
# LIVE
