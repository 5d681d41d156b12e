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
# # Architecture chooses the kernel
#
# **In lazy training an architecture is a kernel: it says which inputs count as similar, which changes count for nothing,
# and which pixels may interact; here each of these choices is measured, gains and costs.**
#
# *Reading time 35 minutes; run time about a minute on two CPU cores, which suffice.*

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
# A wide network in the lazy regime, trained on examples $X$ with targets $y$, ends at
# $f(x) = \Theta(x, X)\,\Theta(X, X)^{-1} y$ ({doc}`/book/linearization/training_dynamics`; we leave out the output at
# initialization). The architecture enters in one place only, the tangent kernel $\Theta$. So every question about it, what
# a convolution is good for, why one pools, what a skip connection does, becomes a question about $\Theta$, and has a number.
#
# The networks of this chapter have ReLU activations, $\sigma_w = \sqrt 2$, no biases, and infinite width; `conv` takes what stands
# between the last convolution and the readout: `Flatten()` reads every position with weights of its own,
# `GlobalAvgPool()` reads their mean. Positions lie on a ring (circular padding) until "Where it breaks".

# %%
import numpy as np

relu, scale = ntk.Elementwise(ntk.relu), 2**0.5

def conv(*top, depth=2, window=(3,), padding="CIRCULAR"):
    hidden = [ntk.Conv(64, window, padding=padding, w_std=scale), relu] * depth
    return ntk.Serial([*hidden, *top, ntk.Dense(1, w_std=scale)])

flatten, pool = ntk.Flatten(), ntk.GlobalAvgPool()
dense = ntk.Serial([flatten, ntk.mlp(64, 2, 1, ntk.relu, w_std=scale)])

# %% [markdown]
# A first look at real images: 80 digits of scikit-learn, 8 × 8 pixels. We move one of them two columns to the side, those pushed out on
# the right coming back on the left, and ask which of the 80 each kernel finds most similar to it. The similarity
# is $\Theta(x, x')/\sqrt{\Theta(x, x)\,\Theta(x', x')}$, the cosine of the angle between two gradients.
# 40 more digits are for later.

# %%
digits = ntk.datasets.digits(jax.random.key(0), 80, 40, images=True, labels="one_hot")
images, both = digits.x_train, jnp.concatenate([digits.x_train, digits.x_test])
label = np.argmax(jnp.concatenate([digits.y_train, digits.y_test]), 1)

def moved(pair, s):  # all 120, moved by s columns, compared with the 80
    return np.asarray(ntk.gram(pair, jnp.roll(both, s, 2), images))

def ranking(theta, norms):  # the most similar first; the row's own norm changes no order
    return np.argsort(-theta / norms, axis=1, kind="stable")

# %% [markdown]
# Row by row: a query, then the five most similar of the 80 by either kernel.

# %% mystnb={"image": {"alt": "Four rows of six small images. Queries are a digit moved by two columns. The fully-connected kernel's five neighbours are mostly other digits; those of the pooled convolutional kernel begin with the unmoved original."}, "figure": {"caption": "Two digits moved by two columns, and the five images that each kernel finds most similar; ✗ marks another class. With pooling the first is always the original. Fully-connected, it is never among them.", "name": "fig-architecture-neighbours"}}
sides = {"dense": dense, "pooled": conv(pool, window=(3, 3))}
seen = {name: moved(ntk.infinite_ntk(net), 2) for name, net in sides.items()}
norms = {"dense": np.sqrt(np.diag(moved(ntk.infinite_ntk(dense), 0))),
         "pooled": np.sqrt(np.diag(seen["pooled"]))}  # which moving does not change
order = {name: ranking(seen[name], norms[name]) for name in sides}
fig, axes = plt.subplots(4, 6, figsize=(6.6, 5))
for row, (i, name) in zip(axes, [(i, name) for i in (4, 7) for name in sides]):
    five = order[name][i, :5]
    ntk.plotting.neighbours(row, jnp.roll(images[i], 2, 1), name, images[five], label[five], label[i])
plt.show()
own = {n: 1 + np.argmax(order[n][:80] == np.arange(80)[:, None], 1) for n in sides}
print(*(f"{n}: own original at rank {r.mean():.1f} on average" for n, r in own.items()), sep="\n")
assert np.all(own["pooled"] == 1) and own["dense"].min() > 5

# %% [markdown]
# TEXT
#
# ## You will be able to
#
# ## A convolutional network compares patches

# %%
def by_hand(x1, x2):  # sequences of shape (12, 1), one hidden layer
    patches = lambda x: jnp.stack([jnp.roll(x[:, 0], s) for s in (1, 0, -1)], 1)
    kappa = ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.relu, w_std=scale))
    between = ntk.gram(kappa, patches(x1), patches(x2))  # all 12 × 12 pairs of patches
    return jnp.mean(jnp.diag(between)), jnp.mean(between)

x = jax.random.normal(jax.random.key(1), (40, 12, 1))
for top, value in zip((flatten, pool), by_hand(x[0], x[1])):
    assert jnp.isclose(ntk.infinite_ntk(conv(top, depth=1))(x[0], x[1]), value, rtol=1e-12)

# %% [markdown]
# ## From the layers' symmetry to the kernel's

# %%
nets = {"dense": dense, "conv, flatten": conv(flatten), "conv, pooled": conv(pool)}
pairs = {name: ntk.infinite_ntk(net) for name, net in nets.items()}
at = {name: np.stack([ntk.gram(pair, x, jnp.roll(x, s, 1)) for s in range(12)])
      for name, pair in pairs.items()}
change = {name: max(ntk.relative_change(k[0], k_s) for k_s in k[1:]) for name, k in at.items()}
print(*(f"{name}: {c:.2f}" for name, c in change.items()), sep="\n")
assert change["conv, pooled"] < 1e-12  # rounding
assert min(change["dense"], change["conv, flatten"]) > 0.5

# %% [markdown]
# and finite

# %%
params, _ = nets["conv, pooled"].init(jax.random.key(2), (12, 1))
finite = ntk.empirical_ntk(nets["conv, pooled"].apply, params)
before, after = (ntk.gram(finite, x[:4], jnp.roll(x[:4], s, 1)) for s in (0, 5))
assert ntk.relative_change(before, after) < 1e-12
assert np.allclose(at["conv, pooled"][0], at["conv, flatten"].mean(0), rtol=1e-12)  # theorem

# %% mystnb={"image": {"alt": "Similarity of an input to its own copy shifted by s, for s from 0 to 12. Pooled: constant one. Dense and flatten fall within one or two shifts to about 0.3 and return to one at s = 12."}, "figure": {"caption": "Similarity of an input to its own shifted copy, mean over 40 random inputs of 12 positions.", "name": "fig-architecture-shift"}}
for name, k in at.items():
    own = np.diagonal(k, axis1=1, axis2=2) / np.diag(k[0])
    plt.plot(range(13), [*own.mean(1), 1.0], "o-", label=name)
    print(f"{name}: {own.mean(1)[1]:.2f} after one step, {own.mean(1)[6]:.2f} after six")
plt.gca().set(xlabel="shift s", ylabel="similarity to the shifted copy", ylim=(0, 1.1))
plt.legend(loc="center")
plt.show()

# %% [markdown]
# ## What invariance is worth

# %%
keys = jax.random.split(jax.random.key(3), 12)
which, where = ([ntk.datasets.shifted_patterns(k, 256, 100, labels=l) for k in keys]
                for l in ("which", "where"))

def kernels(pair, n):  # test and training examples against n training examples
    rows = [jnp.concatenate([d.x_test, d.x_train[:n]]) for d in which]
    return np.stack([ntk.gram(pair, r, r[100:]) for r in rows])

def errors(theta, n, tasks):  # of each task, after lazy training on n examples
    test, train = theta[:, :100, :n], theta[:, 100 : 100 + n, :n]
    ridge = 1e-6 * np.mean(theta[:, 100, 0]) * np.eye(n)  # for kernels of low rank
    y = np.stack([d.y_train[:n] for d in tasks])
    wrong = np.sign(test @ np.linalg.solve(train + ridge, y)) != np.stack([d.y_test for d in tasks])
    return np.mean(wrong, (1, 2))

# %% [markdown]
# averaged

# %%
ring = lambda x: jnp.stack([jnp.roll(x, s, 0) for s in range(len(x))])
averaged = lambda x1, x2: jnp.mean(jax.vmap(lambda t: pairs["dense"](x1, t))(ring(x2)))
largest = {"dense": 256, "conv, flatten": 256, "conv, pooled": 64}
theta = {name: kernels(pairs[name], n) for name, n in largest.items()}
theta["dense, all shifts"] = kernels(averaged, 64)
sizes = 2 ** np.arange(2, 9)
error = {name: {n: errors(k, n, which) for n in sizes[sizes <= k.shape[2]]}
         for name, k in theta.items()}

# %% mystnb={"image": {"alt": "Test error against number of training examples on logarithmic axes. Dense and flatten lie together, from one half at 4 examples to 0.04 at 256. Pooled, and dense with all shifts, lie together far below: 0.09 at 8 examples."}, "figure": {"caption": "Which of two patterns is there, wherever it is? Test error of four kernels; mean and standard error over 12 draws of task and data.", "name": "fig-architecture-examples"}}
for name, of in error.items():
    plt.errorbar(list(of), *ntk.estimate(np.stack(list(of.values()), 1)), marker="o", capsize=2, label=name)
plt.gca().set(xscale="log", yscale="log", xlabel="training examples n", ylabel="test error")
plt.xticks(sizes, sizes), plt.minorticks_off(), plt.legend()
plt.show()
for n in (4, 8, 16, 32):
    pooled, more = error["conv, pooled"][n], error["dense"][4 * n]
    gain, unsure = ntk.estimate(more - pooled)  # of the same task
    print(f"pooled, n = {n}: {pooled.mean():.3f}; dense, {4 * n}: {more.mean():.3f}; "
          f"difference {gain:.3f} ± {unsure:.3f}")
    assert gain > 3 * unsure

# %% [markdown]
# ratio

# %%
curve = np.stack([error["dense"][n] for n in sizes]).mean(1)
for n in (8, 16):
    level = error["conv, pooled"][n].mean()
    needed = 2 ** np.interp(-np.log(level), -np.log(curve), np.log2(sizes))
    print(f"error {level:.3f}: pooled {n} examples, dense {needed:.0f}, ratio {needed / n:.0f}")
    assert needed > 8 * n

# %% [markdown]
# ## Data augmentation: the other way

# %%
data, n, ridge = which[0], 16, 1e-3
copies = jax.vmap(ring)(data.x_train[:n]).reshape(-1, 12, 1)  # 192 sequences
k = np.asarray(ntk.gram(pairs["dense"], jnp.concatenate([copies, data.x_test]), copies))
y, mean = np.asarray(data.y_train[:n]), k.reshape(-1, n, 12).mean(2)  # the averaged kernel
augmented = k[192:] @ np.linalg.solve(k[:192] + 12 * ridge * np.eye(192), np.repeat(y, 12, 0))
invariant = mean[192:] @ np.linalg.solve(mean[:192:12] + ridge * np.eye(n), y)
assert np.allclose(augmented, invariant, atol=1e-9)

# %% [markdown]
# ## Receptive field and depth

# %%
signs = jax.random.rademacher(jax.random.key(4), (4, 164, 12, 1), float)

def unexplained(net):  # share of the variance of y, for each distance
    k = np.stack([ntk.gram(ntk.infinite_ntk(net), s, s[100:]) for s in signs])
    x, ridge = np.asarray(signs), 1e-6 * k[0, 100, 0] * np.eye(64)
    y = np.stack([np.sum(x * np.roll(x, j, 2), 2) for j in range(1, 7)], -1)[:, :, 0]
    f = k[:, :100] @ np.linalg.solve(k[:, 100:] + ridge, y[:, 100:])
    return np.sum((f - y[:, :100]) ** 2, 1) / np.sum(y[:, :100] ** 2, 1)

fields = {f"{L} conv, field {1 + 2 * L}": conv(pool, depth=L) for L in (1, 2, 3)}
left = {name: unexplained(net) for name, net in ({"dense": dense} | fields).items()}

# %% mystnb={"image": {"alt": "Unexplained share of the target against distance j from 1 to 6. Dense: about 0.6 everywhere. One convolution: zero up to 2, above one from 3. Two: zero up to 4, above one from 5. Three: near zero everywhere, rising to 0.1 at 6."}, "figure": {"caption": "Share of the variance of Σ x_s x_(s+j) that 64 examples leave unexplained on test inputs; mean and standard error over 4 draws. Above the dashed line the prediction is worse than none.", "name": "fig-architecture-field"}}
for name, share in left.items():
    plt.errorbar(range(1, 7), *ntk.estimate(share), marker="o", capsize=2, label=name)
    print(f"{name}:", *(f"{s:.2f}" for s in share.mean(0)))
plt.axhline(1, **ntk.plotting.THEORY)
plt.gca().set(xlabel="distance j", ylabel="unexplained share"), plt.legend(fontsize=9)
plt.show()
for L, share in zip((1, 2), list(left.values())[1:]):
    assert share[:, : 2 * L].max() < 0.01 and share[:, 2 * L :].mean(0).min() > 1

# %% [markdown]
# ## How much to pool

# %%
tops = {w: ntk.infinite_ntk(conv(ntk.AvgPool((w,)), flatten)) for w in (3, 6)}
by_window = {1: theta["conv, flatten"], **{w: kernels(p, 64) for w, p in tops.items()},
             12: theta["conv, pooled"]}

def at_window(w, n, tasks):
    k = by_window[w]
    return errors(k, n, tasks)

# %% mystnb={"image": {"alt": "x"}, "figure": {"caption": "x", "name": "fig-architecture-pooling"}}
for task, tasks in (("which pattern", which), ("in which half", where)):
    found = np.stack([errors(k, 32, tasks) for k in by_window.values()], 1)
    plt.errorbar(range(4), *ntk.estimate(found), marker="o", capsize=2, label=task)
    print(f"{task}:", *(f"{m:.3f} ± {e:.3f}" for m, e in zip(*ntk.estimate(found))))
plt.xticks(range(4), by_window), plt.gca().set(xlabel="pooling window", ylabel="test error")
plt.legend()
plt.show()

# %% [markdown]
# ## Depth and skip connections

# %%
def deep(depth, skip):
    size = scale / depth**0.5 if skip else scale
    block = ntk.Serial([relu, ntk.Dense(64, w_std=size)])
    blocks = [ntk.Residual(block) if skip else block] * depth
    return ntk.Serial([ntk.Dense(64, w_std=scale), *blocks, relu, ntk.Dense(1, w_std=scale)])

data = ntk.datasets.digits(jax.random.key(5), 300, 0)
x, y = np.asarray(data.x_train), np.asarray(data.y_train)
splits = [np.split(np.random.default_rng(i).permutation(300), 2) for i in range(4)]
depths, deepest = (1, 7, 31), {}

# %% mystnb={"image": {"alt": "x"}, "figure": {"caption": "x", "name": "fig-architecture-depth"}}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for skip, name in enumerate(("plain", "residual")):
    found = []
    for L in depths:
        k = np.asarray(ntk.gram(ntk.infinite_ntk(deep(L, skip)), x))
        f = [k[np.ix_(b, a)] @ np.linalg.solve(k[np.ix_(a, a)], y[a]) for a, b in splits]
        found.append([np.mean((g - y[b]) ** 2) for g, (_, b) in zip(f, splits)])
    axes[0].plot((x @ x.T)[:40, :40].ravel() / 64, (k / k[0, 0])[:40, :40].ravel(), ".", label=name)
    axes[1].errorbar(depths, *ntk.estimate(np.asarray(found).T), marker="o", label=name)
    print(name, *(f"{m:.2f} ± {e:.2f}" for m, e in zip(*ntk.estimate(np.asarray(found).T))))
plt.show()

# %% [markdown]
# ## Whom a kernel takes for neighbours

# %%
row = lambda x: jnp.stack([jnp.roll(x, s, 1) for s in range(8)])  # all moves by columns
dense_pair = ntk.infinite_ntk(dense)
sideways = lambda x1, x2: jnp.mean(jax.vmap(lambda t: dense_pair(x1, t))(row(x2)))
by_shift = {"dense": [moved(dense_pair, s) for s in (0, 1, 2)], "pooled": [seen["pooled"]] * 3,
            "dense, all columns": [moved(sideways, 0)] * 3}

def judge(theta, train):  # shares of neighbours of the same class; errors
    near = label[ranking(theta, np.sqrt(np.diag(train)))[80:, :5]]
    f = theta[80:] @ np.linalg.solve(train[:80], np.asarray(digits.y_train))
    return np.mean(near == label[80:, None], 1), np.argmax(f, 1) != label[80:]

# %% mystnb={"image": {"alt": "x"}, "figure": {"caption": "x", "name": "fig-architecture-classes"}}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for name, thetas in by_shift.items():
    judged = [judge(k, thetas[0]) for k in thetas]
    for ax, values in zip(axes, zip(*judged)):
        mean, se = ntk.estimate(np.stack(values, 1).astype(float))
        ax.errorbar((0, 1, 2), mean, se, marker="o", label=name)
        print(name, *(f"{m:.2f} ± {e:.2f}" for m, e in zip(mean, se)))
plt.show()

# %% [markdown]
# ## Where it breaks

# %%
zero = ntk.infinite_ntk(conv(pool, padding="SAME"))
x = jax.random.normal(jax.random.key(1), (40, 12, 1))
print(*(f"{ntk.relative_change(ntk.gram(zero, x), ntk.gram(zero, x, jnp.roll(x, s, 1))):.3f}" for s in (1, 6)))
