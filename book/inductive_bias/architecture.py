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
# **In lazy training an architecture is a kernel: it says which inputs are similar, which changes count for nothing, and
# which pixels may interact; here each of these choices is measured, with what it gains and costs.**
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
# A wide network in the lazy regime, trained to the end on examples $X$ with targets $y$, predicts
# $f(x) = \Theta(x, X)\,\Theta(X, X)^{-1} y$ ({doc}`/book/linearization/training_dynamics`; we leave out the output at initialization,
# which is random). The architecture enters through the tangent kernel $\Theta$ only. So each question about it, what
# convolutions are good for, why one pools, what skip connections do, is a question about $\Theta$ and has a number for
# an answer.
#
# All networks here have infinite width, ReLU activations, weights of scale $\sigma_w = \sqrt 2$ and no biases. `conv`
# is given what stands between the last convolution and the readout. `Flatten()` reads each position with weights of its
# own; `GlobalAvgPool()` reads the mean over positions, and we call it *pooling*. `dense` is a fully-connected network.
# Positions lie on a ring (circular padding) until "Where it breaks".

# %%
import numpy as np
from sklearn.datasets import load_digits

relu, scale = ntk.Elementwise(ntk.relu), 2**0.5

def conv(*top, depth=2, window=(3,), padding="CIRCULAR"):
    hidden = [ntk.Conv(64, window, padding=padding, w_std=scale), relu] * depth
    return ntk.Serial([*hidden, *top, ntk.Dense(1, w_std=scale)])

flatten, pool = ntk.Flatten(), ntk.GlobalAvgPool()
dense = ntk.Serial([flatten, ntk.mlp(64, 2, 1, ntk.relu, w_std=scale)])

# %% [markdown]
# We begin with real images, scikit-learn's digits of 8 × 8 pixels. We move one of them sideways by two columns, those
# pushed out on the right coming back on the left, and ask which of 72 unmoved digits a kernel finds most similar to it.
# Similarity is $\Theta(x, x')/\sqrt{\Theta(x, x)\,\Theta(x', x')}$, the cosine of the angle between the gradients of
# the output at $x$ and $x'$. The other 36 digits are for later.

# %%
digits = load_digits()
chosen = np.random.default_rng(0).permutation(len(digits.target))[:108]
both = np.asarray(ntk.datasets.on_sphere(jnp.asarray(digits.data[chosen])))
both, label = both.reshape(-1, 8, 8, 1), digits.target[chosen]

def moved(pair, s):  # all 108, moved by s columns, compared with the first 72
    return np.asarray(ntk.gram(pair, np.roll(both, s, 2), both[:72]))

def ranking(theta, still):  # most similar first; a row's own norm changes no order
    return np.argsort(-theta / np.sqrt(np.diag(still)), axis=1, kind="stable")

# %% [markdown]
# In each row a query, and the five of the 72 that come first:

# %% mystnb={"image": {"alt": "Four rows of six small images of digits: a query moved by two columns and five neighbours. For a moved 5 and a moved 2 the dense kernel's neighbours are all of other classes; the pooled kernel's begin with the unmoved original."}, "figure": {"caption": "Two digits moved by two columns, and the five of 72 unmoved digits that each kernel finds most similar; ✗ marks another class. With pooling, the first is always the original itself.", "name": "fig-architecture-neighbours"}}
sides = {"dense": dense, "pooled": conv(pool, window=(3, 3))}
seen = {name: moved(ntk.infinite_ntk(net), 2) for name, net in sides.items()}
still = {"dense": moved(ntk.infinite_ntk(dense), 0), "pooled": seen["pooled"]}
order = {name: ranking(seen[name], still[name]) for name in sides}
fig, axes = plt.subplots(4, 6, figsize=(6.6, 5.2))
for row, (i, name) in zip(axes, [(i, name) for i in (4, 7) for name in sides]):
    five, query = order[name][i, :5], np.roll(both[i], 2, 1)
    ntk.plotting.neighbours(row, query, name, both[five], label[five], label[i])
plt.show()
own = {n: np.argmax(order[n][:72] == np.arange(72)[:, None], 1) for n in sides}
print("own original found:", *(f"{n} {np.mean(r < 5):.0%}" for n, r in own.items()))
assert np.all(own["pooled"] == 0) and np.mean(own["dense"] < 5) < 0.1

# %% [markdown]
# To the dense kernel a digit moved by two columns is a stranger: only 6 % of the 72 find their own original among the
# five most similar. To the pooled convolutional kernel the moved digit *is* the original. Behind that it has a taste of
# its own: to the moved 2 it gives four fives.
#
# ## You will be able to
#
# - derive the symmetry of a kernel from that of the layers, and check it to rounding;
# - show that pooling, data augmentation and an averaged kernel are one thing in lazy training;
# - tell from filter size, depth and pooling what a lazy network cannot learn, however many examples it sees;
# - choose how much invariance to build in, and measure what too much of it costs.
#
# You need {doc}`/book/linearization/tangent_kernel` and {doc}`/book/linearization/training_dynamics`. Symbols are those
# of {doc}`/book/notation`; new are the shift $T$ by one position and the averaged kernel $\bar\Theta$.
#
# ## A convolutional network compares patches
#
# Take one hidden convolution with filters of three entries. Each position $s$ of a sequence $x$ has a *patch*
# $x_{[s]} = (x_{s-1}, x_s, x_{s+1})$, which the network treats as a small fully-connected network treats its input: the same
# weights at each position. Let $\Theta_1$ be the tangent kernel of that small network, three inputs and one hidden
# layer. Then, with $d$ positions,
#
# $$
# \Theta_{\text{flat}}(x, x') = \frac1d \sum_s \Theta_1\bigl(x_{[s]}, x'_{[s]}\bigr), \qquad
# \Theta_{\text{pool}}(x, x') = \frac1{d^2} \sum_{s, s'} \Theta_1\bigl(x_{[s]}, x'_{[s']}\bigr).
# $$ (eq-architecture-patches)
#
# Flattening compares patches at the same place, since weights that read different places are independent. Pooling
# compares every patch with every other. By hand:

# %%
def by_hand(x1, x2):  # sequences of shape (12, 1), one hidden layer
    patches = lambda x: np.stack([np.roll(x[:, 0], s) for s in (1, 0, -1)], 1)
    small = ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.relu, w_std=scale))
    between = np.asarray(ntk.gram(small, patches(x1), patches(x2)))  # 12 × 12 pairs
    return np.mean(np.diag(between)), np.mean(between)

noise = np.asarray(jax.random.normal(jax.random.key(1), (40, 12, 1)))
for top, value in zip((flatten, pool), by_hand(*noise[:2])):
    package = ntk.gram(ntk.infinite_ntk(conv(top, depth=1)), noise[:1], noise[1:2])
    assert np.allclose(package, value, rtol=1e-12)

# %% [markdown]
# With $L$ convolutions of three entries the picture stays, with windows $1 + 2L$ wide in place of patches: the
# *receptive field*.
#
# ## From the layers' symmetry to the kernel's
#
# :::{prf:theorem} Invariant networks have invariant kernels
# :label: thm-architecture-invariant
#
# If $f(Tx, \theta) = f(x, \theta)$ for all parameters $\theta$, then $\Theta(Tx, x') = \Theta(x, x')$ for all $x, x'$,
# at every $\theta$, at every width, and so in the limit.
#
# :::
#
# *Proof.* Both sides of $f(Tx, \theta) = f(x, \theta)$ have the same derivative in $\theta$, and $\Theta$ is made of
# these derivatives. ∎
#
# Circular convolution commutes with $T$, an activation acts on each position alike, and the mean over positions does not
# notice $T$: a pooled network is invariant. Without pooling a shift of *both* inputs changes nothing, but a shift of one
# does. How are the two kernels related?
#
# :::{prf:theorem} Pooling is averaging over shifts
# :label: thm-architecture-pooling
#
# For the same convolutions of stride one with circular padding, at infinite width,
# $\displaystyle \Theta_{\text{pool}}(x, x') = \frac1d \sum_{r=0}^{d-1} \Theta_{\text{flat}}(x, T^r x')$.
#
# :::
#
# *Proof.* Before the readout there is a tangent kernel $\Theta_{s,s'}(x, x')$, and a covariance, for each two
# positions. Shifting $x'$ shifts its positions: $\Theta_{s, s-r}(x, x') = \Theta_{s,s}(x, T^r x')$. Flattening averages
# this over $s$, pooling over $s$ and $r$. The readout is linear in what it gets, so the average over $r$ may be taken
# after it. ∎
#
# Zhiyuan Li and co-authors {cite}`li2019` found this. First the symmetry, on 40 inputs of Gaussian noise: the relative
# change $\lVert \Theta(X, T^s X) - \Theta(X, X)\rVert / \lVert \Theta(X, X) \rVert$, the largest over all shifts $s$.
#
# <details class="answer"><summary>Predict before you run: for which of dense, convolution with flatten, and convolution with pooling does the kernel change?</summary>
#
# For the first two, and by about as much. Convolution alone brings no invariance: a flattened kernel
# compares patches at the same place.
#
# </details>

# %%
nets = {"dense": dense, "conv, flatten": conv(flatten), "conv, pooled": conv(pool)}
pairs = {name: ntk.infinite_ntk(net) for name, net in nets.items()}
at = {name: np.stack([ntk.gram(pair, noise, np.roll(noise, s, 1)) for s in range(12)])
      for name, pair in pairs.items()}
change = {name: max(ntk.relative_change(k[0], other) for other in k[1:])
          for name, k in at.items()}
print(*(f"{name}: {c:.2f}" for name, c in change.items()), sep="\n")
assert change["conv, pooled"] < 1e-12  # rounding
assert min(change["dense"], change["conv, flatten"]) > 0.5

# %% [markdown]
# Then the same for a finite network of 64 channels, and the second theorem:

# %%
finite = nets["conv, pooled"]
params = jax.jit(lambda key: finite.init(key, (12, 1))[0])(jax.random.key(2))
pair = ntk.empirical_ntk(finite.apply, params)
before, after = (ntk.gram(pair, noise[:4], np.roll(noise[:4], s, 1)) for s in (0, 5))
assert ntk.relative_change(before, after) < 1e-12  # at every width
assert np.allclose(at["conv, pooled"][0], at["conv, flatten"].mean(0), rtol=1e-12)

# %% [markdown]
# How similar is an input to its own shifted copy?

# %% mystnb={"image": {"alt": "Similarity of an input and its copy shifted by s from 0 to 12. Pooled: constant at one. Dense and flatten drop from one to about 0.25 at the first step, stay there, and return to one at s = 12."}, "figure": {"caption": "Similarity of noise on a ring of 12 positions to its own shifted copy, mean over 40 inputs.", "name": "fig-architecture-shift"}}
for name, k in at.items():
    alike = np.mean(np.diagonal(k, axis1=1, axis2=2) / np.diag(k[0]), 1)
    plt.plot(range(13), [*alike, alike[0]], "o-", label=name)
    print(f"{name}: similarity {alike[1]:.2f} after one step")
plt.gca().set(xlabel="shift s", ylabel="similarity to the shifted copy", ylim=(0, 1.1))
plt.legend(loc="center")
plt.show()

# %% [markdown]
# **What we see.** Exact invariance with pooling. Without it the kernel changes by 0.64 (dense) and 0.66 (flatten) of
# its norm: a shift by one position makes an input about as different from itself as from any other.
#
# ## What invariance is worth
#
# Now a task that has the symmetry. `ntk.datasets.shifted_patterns` puts one of two random patterns, four entries long,
# at a random place on the ring and adds noise. *Which* of the two it is, is the label; shifts do not change it. (A
# second labelling, *where* it starts, in the first or the second half, is for later.) We draw the task and the data 12
# times. Lazy training to the end is one linear solve; a ridge of $10^{-6}\,\Theta(x, x)$ keeps it possible for kernels
# of low rank.

# %%
keys = jax.random.split(jax.random.key(3), 12)
which, where = ([ntk.datasets.shifted_patterns(k, 256, 100, labels=l) for k in keys]
                for l in ("which", "where"))

def kernels(pair, n):  # test and training examples against n training examples
    rows = [np.concatenate([d.x_test, d.x_train[:n]]) for d in which]
    return np.stack([ntk.gram(pair, r, r[100:]) for r in rows])

def errors(theta, n, tasks):  # test error after lazy training on n examples, each task
    test, train = theta[:, :100, :n], theta[:, 100 : 100 + n, :n]
    y, y_test = (np.stack(a) for a in zip(*((d.y_train[:n], d.y_test) for d in tasks)))
    f = test @ np.linalg.solve(train + 1e-6 * theta[0, 100, 0] * np.eye(n), y)
    return np.mean(np.sign(f) != y_test, (1, 2))

# %% [markdown]
# A fourth kernel joins in: the dense one, averaged over all shifts of its second argument,
# $\bar\Theta(x, x') = \frac1d \sum_r \Theta(x, T^r x')$. This makes any kernel invariant that a shift of both arguments
# leaves as it is.
#
# <details class="answer"><summary>Predict before you run: how many examples does the dense network need for each one that the pooled network needs?</summary>
#
# Without invariance each pattern has to be learned at each of the 12 places. A guess of about 12 is reasonable, and Song
# Mei, Theodor Misiakiewicz and Andrea Montanari {cite}`mei2021` prove it in their setting, many dimensions and an
# invariant target: a factor $d$ for shifts on a ring.
#
# </details>

# %%
ring = lambda x: jnp.stack([jnp.roll(x, s, 0) for s in range(12)])

def average(pair, moves):
    return lambda x1, x2: jnp.mean(jax.vmap(lambda t: pair(x1, t))(moves(x2)))

largest = {"dense": 256, "conv, flatten": 128, "conv, pooled": 32}
theta = {name: kernels(pairs[name], n) for name, n in largest.items()}
theta["dense, averaged"] = kernels(average(pairs["dense"], ring), 32)
sizes = 2 ** np.arange(2, 9)
error = {name: np.stack([errors(k, n, which) for n in sizes if n <= k.shape[2]], 1)
         for name, k in theta.items()}

# %% mystnb={"image": {"alt": "Test error against number of training examples. Dense and flatten lie together, from one half at 4 examples to about 0.1 at 128. Pooled and dense averaged lie together far below, from about 0.15 at 4 examples to about 0.04 at 32."}, "figure": {"caption": "Which of two patterns is it, wherever it is? Test error of four kernels against the number n of training examples; mean and standard error over 12 draws of task and data.", "name": "fig-architecture-examples"}}
ntk.plotting.means(plt.gca(), sizes, error, log=True, xlabel="examples", ylabel="error")
plt.show()
for i, n in enumerate((4, 8, 16, 32)):
    pooled, more = error["conv, pooled"][:, i], error["dense"][:, i + 2]
    gain, unsure = ntk.estimate(more - pooled)  # of the same task
    print(f"pooled {n}, dense {4 * n}: dense errs more, by {gain:.3f} ± {unsure:.3f}")
    assert gain > 3 * unsure

# %% [markdown]
# With four times as many examples the dense network is still behind, by more than three standard errors at each $n$.
# (The bars of the single curves are longer, as some draws have two patterns that are hard to tell apart; those are hard
# for all kernels.) How many times as many would it need?

# %%
for name in ("dense, averaged", "conv, pooled"):
    level, curve = error[name][:, 1:3].mean(0), error["dense"].mean(0)
    ratio = 2 ** np.interp(-level, -curve, np.log2(sizes)) / sizes[1:3]
    print(f"{name}: dense needs {ratio[0]:.0f} times 8, {ratio[1]:.0f} times 16")
    assert np.all((ratio > 6) & (ratio < 24))  # 12, up to a factor of two

# %% [markdown]
# Where the symmetry is all that differs, dense averaged against dense, the ratios are 14 and 10, around the number of
# shifts, 12. The pooled network, with 19 and 14, does better still: it also knows that patterns are short.
#
# Convolution *without* pooling gains nothing here: on this task the symmetry is what counts.
#
# ## Data augmentation: the other way
#
# Who cannot change the architecture changes the data: train on all shifted copies. In lazy training this is not a
# substitute, it is the same.
#
# :::{prf:theorem} Augmentation is an averaged kernel
# :label: thm-architecture-augmentation
#
# Let $\Theta(Tx, Tx') = \Theta(x, x')$ and $\rho > 0$. Kernel regression with $\Theta$ and ridge $d\rho$ on all $d$
# shifts of $n$ examples gives the same function as regression with $\bar\Theta$ and ridge $\rho$ on the $n$ examples.
#
# :::
#
# *Proof.* The solution on the augmented set is unique, and the set is the same after a shift, so the coefficient $c_i$
# of all copies of example $i$ is the same. Then
# $f(x) = \sum_i c_i \sum_r \Theta(x, T^r x_i) = \sum_i (d c_i)\,\bar\Theta(x, x_i)$, and the equation at each copy of
# $x_j$ reads $\sum_i (d c_i)\,\bar\Theta(x_j, x_i) + \rho\,(d c_j) = y_j$. ∎
#
# The kernel of any fully-connected network fulfils the condition: it depends on lengths and angles only. Mei and
# co-authors {cite}`mei2021` state the equivalence, Li and co-authors {cite}`li2019` for convolutional kernels. The
# price differs: $nd$ equations for augmentation, $d$ kernel values an entry for averaging.

# %%
data, n, ridge = which[0], 16, 1e-3
copies = np.concatenate(jax.vmap(ring)(data.x_train[:n]))  # 192 sequences
k = np.asarray(ntk.gram(pairs["dense"], np.concatenate([copies, data.x_test]), copies))
y, mean = np.asarray(data.y_train[:n]), k.reshape(-1, n, 12).mean(2)  # averaged kernel
big, ys = k[:192] + 12 * ridge * np.eye(192), np.repeat(y, 12, 0)
augmented = k[192:] @ np.linalg.solve(big, ys)
invariant = mean[192:] @ np.linalg.solve(mean[:192:12] + ridge * np.eye(n), y)
assert np.allclose(augmented, invariant, atol=1e-9)  # rounding times a condition number

# %% [markdown]
# By {prf:ref}`thm-architecture-pooling` pooling is the same once more, starting from the flattened kernel: *pooling is
# data augmentation by all shifts, built in.* Exercise 5 tries the third way, averaging predictions over shifted test
# inputs.
#
# ## Receptive field and depth
#
# What can a pooled network not learn? Its function is a sum over positions of functions of one window, $1 + 2L$ wide.
#
# :::{prf:proposition} What no window holds is not learned
# :label: prop-architecture-field
#
# Let the entries of $x$ be independent and $\pm1$ with equal probability, $f(x) = \sum_s g_s(\text{window } s)$, and
# $y(x) = \sum_s x_s x_{s+j}$ with a ring distance $j$ that no window spans. Then
# $\mathbb{E}\,(f - y)^2 \ge \mathbb{E}\,y^2$: the best such $f$ is zero.
#
# :::
#
# *Proof.* Of $x_s$ and $x_{s+j}$ each window misses one, which is independent of all in the window and has mean zero. So
# $\mathbb{E}\,f y = 0$ and $\mathbb{E}\,(f - y)^2 = \mathbb{E}\,f^2 + \mathbb{E}\,y^2$. ∎
#
# We train on 64 examples of such sign sequences and measure the share $\sum (f - y)^2 / \sum y^2$ left on 60 test
# inputs.
#
# <details class="answer"><summary>Predict before you run: what does the share look like as a function of j, for one, two and three convolutions, and for the dense network?</summary>
#
# One convolution spans three positions, distances 1 and 2, and fails from 3 on; two fail from 5 on; three span all. To
# the dense kernel, which looks the same after any permutation of positions, all distances are alike.
#
# </details>

# %%
signs = np.asarray(jax.random.rademacher(jax.random.key(4), (4, 124, 12, 1), float))

def unexplained(net):  # share of y that is left, for each draw and distance
    k = np.stack([ntk.gram(ntk.infinite_ntk(net), s, s[60:]) for s in signs])
    products = [signs * np.roll(signs, j, 2) for j in range(1, 7)]
    y, ridge = np.sum(np.stack(products, -1), (2, 3)), 1e-6 * k[0, 60, 0] * np.eye(64)
    f = k[:, :60] @ np.linalg.solve(k[:, 60:] + ridge, y[:, 60:])
    return np.sum((f - y[:, :60]) ** 2, 1) / np.sum(y[:, :60] ** 2, 1)

fields = {f"{L} conv, field {1 + 2 * L}": conv(pool, depth=L) for L in (1, 2, 3)}
left = {name: unexplained(net) for name, net in ({"dense": dense} | fields).items()}

# %% [markdown]
# The share against the distance; the assertion allows three standard errors, as 60 test inputs are not an expectation.

# %% mystnb={"image": {"alt": "Unexplained share against distance j from 1 to 6. Dense: about 0.65 everywhere. One convolution: zero at 1 and 2, above one from 3. Two: zero up to 4, above one from 5. Three: zero up to 4, then small."}, "figure": {"caption": "Share of the target Σ xₛ xₛ₊ⱼ that 64 examples leave unexplained on test inputs; mean and standard error over 4 draws. Dashed: the prediction zero.", "name": "fig-architecture-field"}}
def report(samples):
    for name, found in samples.items():
        print(f"{name}:", *(f"{m:.2f} ± {e:.2f}" for m, e in zip(*ntk.estimate(found))))

ntk.plotting.means(plt.gca(), range(1, 7), left, xlabel="distance j", ylabel="share")
plt.axhline(1, **ntk.plotting.THEORY), plt.show(), report(left)
for L, share in zip((1, 2), list(left.values())[1:]):
    beyond, unsure = ntk.estimate(share[:, 2 * L :])
    assert share[:, : 2 * L].max() < 0.01 and np.all(beyond > 1 - 3 * unsure)

# %% [markdown]
# **What we see.** Cliffs, exactly where they must be. Inside its field a pooled convolutional network learns the target
# almost perfectly from 64 examples; beyond it predicts no better than nothing, which more examples would not change.
# The dense network leaves 0.58 to 0.76 at each distance: it excludes nothing, and pays everywhere. Depth moves the
# cliff, at little cost here: three convolutions leave at most 0.05. Alessandro Favero, Francesco Cagnetta and Matthieu
# Wyart {cite}`favero2021` find that locality, rather than shift invariance, decides the *exponent* with which the error
# of such kernels falls.
#
# ## How much to pool
#
# Between flatten and global pooling lies pooling over windows, followed by a readout for each. The task *where* has the
# same inputs, and a label that global pooling cannot see.
#
# <details class="answer"><summary>Predict before you run: what is the error of the globally pooled kernel on "where", after any number of examples?</summary>
#
# One half. Its value is the same for all shifts of an input, and half of them have the other label.
#
# </details>

# %% mystnb={"image": {"alt": "Test error against pooling window 1, 3, 6, 12 for two tasks. Which pattern: falls from about 0.29 to 0.04. In which half: slightly below 0.1 up to window 6, then rises to one half at 12."}, "figure": {"caption": "Test error after 32 examples against the pooling window, for two labels of the same inputs; mean and standard error over 12 draws. Window 1 is flatten, window 12 global pooling.", "name": "fig-architecture-pooling"}}
tops = {w: ntk.infinite_ntk(conv(ntk.AvgPool((w,)), flatten)) for w in (3, 6)}
windows = {1: theta["conv, flatten"], **{w: kernels(p, 32) for w, p in tops.items()},
           12: theta["conv, pooled"]}
by_task = {name: np.stack([errors(k, 32, tasks) for k in windows.values()], 1)
           for name, tasks in (("which pattern", which), ("in which half", where))}
ntk.plotting.means(plt.gca(), list(windows), by_task, xlabel="window", ylabel="error")
plt.show(), report(by_task)
half, unsure = ntk.estimate(by_task["in which half"][:, 3])
assert abs(half - 0.5) < 3 * unsure and by_task["in which half"][:, 2].mean() < 0.15

# %% [markdown]
# **What we see.** The wider the window, the better the kernel knows *which*. *Where* survives up to half of the ring
# (0.06) and is gone at the whole (0.49). Window 6 serves both tasks: it forgets the place within a half.
#
# ## Depth and skip connections
#
# In a deep dense ReLU network with $\sigma_w = \sqrt 2$ signals of different inputs become more alike from layer to
# layer. In the end the kernel hardly tells inputs apart. A *residual* block $h + W\varphi(h)$ keeps the signal, and if
# $W$ is scaled by $1/\sqrt L$, $L$ blocks together change it by a bounded amount. We compare on 300 digits as vectors,
# even against odd, half of them for training, four random halves.

# %%
def deep(depth, skip):
    block = ntk.Serial([relu, ntk.Dense(64, w_std=scale / (depth**0.5 if skip else 1))])
    blocks = [ntk.Residual(block) if skip else block] * depth
    first, last = ntk.Dense(64, w_std=scale), ntk.Dense(1, w_std=scale)
    return ntk.infinite_ntk(ntk.Serial([first, *blocks, relu, last]))

vectors, parity, *_ = map(np.asarray, ntk.datasets.digits(jax.random.key(5), 300, 0))
halves = [np.split(np.random.default_rng(i).permutation(300), 2) for i in range(4)]

def squared_error(k):  # for each split, after lazy training on one half
    solve = lambda a: np.linalg.solve(k[np.ix_(a, a)], parity[a])
    return [np.mean((k[np.ix_(b, a)] @ solve(a) - parity[b]) ** 2) for a, b in halves]

# %% mystnb={"image": {"alt": "Left: relative kernel value against cosine of the inputs at depth 31; the plain network's is flat near 0.3 and jumps to one at cosine one, the residual one's rises smoothly from 0.05 to one. Right: squared test error against depth 1, 7, 31; plain rises from 0.18 to 0.53, residual stays at 0.18."}, "figure": {"caption": "Dense networks on digits, plain and residual. Left: Θ(x, x′)/Θ(x, x) for pairs of images against the cosine of x and x′, at 31 blocks. Right: squared test error after lazy training, mean and standard error over 4 splits.", "name": "fig-architecture-depth"}}
fig, axes, depths, at_depth = *plt.subplots(1, 2, figsize=(7, 3.4)), (1, 7, 31), {}
cosine = (vectors @ vectors.T / 64)[:60, :60]
for skip, name in enumerate(("plain", "residual")):
    thetas = [np.asarray(ntk.gram(deep(L, skip), vectors)) for L in depths]
    at_depth[name] = np.asarray([squared_error(k) for k in thetas]).T
    relative = (thetas[-1] / thetas[-1][0, 0])[:60, :60]
    axes[0].plot(cosine.ravel(), relative.ravel(), ".", markersize=4)
    print(f"{name}: kernel {relative.min():.2f} to {relative[cosine < 0.99].max():.2f}")
axes[0].set(xlabel="cosine of x and x′", ylabel="relative kernel value")
ntk.plotting.means(axes[1], depths, at_depth, xlabel="blocks", ylabel="squared error")
axes[1].set(ylim=(0, 0.6)), plt.show(), report(at_depth)
plain, residual = (at_depth[name].mean(0) for name in ("plain", "residual"))
assert plain[2] > 2 * plain[0] and abs(residual[2] - residual[0]) < 0.02

# %% [markdown]
# **What we see.** With 31 plain blocks all pairs of different images, of 60, have kernel values between 0.29 and 0.42
# of the diagonal, and the error has grown from 0.18 to 0.53. With residual blocks the values keep their range, and the
# error stays. Kaixuan Huang and co-authors {cite}`huang2020residual` prove a contrast of this kind: as depth grows,
# functions of the plain kernel become unlearnable, those of a residual one, suitably scaled, do not.
#
# ## Whom a kernel takes for its neighbours
#
# Back to the digits of {numref}`fig-architecture-neighbours`, and to the 36 that were left out. Which share of the five
# most similar images has the query's class? And how well does lazy training on the 72 predict it? A third kernel is
# averaged over moves *by columns* only, eight of them, where pooling covers all 64 moves.
#
# <details class="answer"><summary>Predict before you run: on digits that are not moved, which kernel has neighbours of the right class most often?</summary>
#
# Digits are centred, so place carries information, which the dense kernel has and the pooled one gave away. How much
# that information is worth on digits, theory does not say.
#
# </details>

# %%
columns = lambda x: jnp.stack([jnp.roll(x, s, 1) for s in range(8)])
by_move = {"dense": [moved(pairs["dense"], s) for s in (0, 1, 2)],
           "conv, pooled": [seen["pooled"]] * 3,  # invariance is exact
           "averaged by columns": [moved(average(pairs["dense"], columns), 0)] * 3}

def judge(theta, still):  # share of neighbours of the same class, and error, each query
    near = label[ranking(theta, still)[72:, :5]]
    f = theta[72:] @ np.linalg.solve(still[:72], np.eye(10)[label[:72]])
    return np.mean(near == label[72:, None], 1), np.argmax(f, 1) != label[72:]

# %% [markdown]
# On digits moved by two columns, pooled and dense shall differ by more than three standard errors:

# %% mystnb={"image": {"alt": "Two panels against columns moved, 0 to 2. Left, share of neighbours of the same class: dense falls steeply, pooled and averaged by columns are constant, near dense at 0. Right, error: dense rises steeply, the other two are constant and low."}, "figure": {"caption": "36 digits moved by 0 to 2 columns. Left: share of the five most similar of 72 images that have the same class. Right: error of lazy training on the 72. Means and standard errors over queries.", "name": "fig-architecture-classes"}}
judged = {name: [judge(k, k3[0]) for k in k3] for name, k3 in by_move.items()}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for i, what in enumerate(("same class", "error")):
    found = {name: np.stack([1.0 * j[i] for j in js], 1) for name, js in judged.items()}
    ntk.plotting.means(axes[i], range(3), found, xlabel="columns moved", ylabel=what)
    axes[i].set(ylim=(0, 1)), print(what), report(found)
    gap, unsure = ntk.estimate(found["conv, pooled"][:, 2] - found["dense"][:, 2])
    assert abs(gap) > 3 * unsure
axes[0].get_legend().remove()
plt.show()

# %% [markdown]
# **What we see.** Moved by two columns, a digit has 12 % neighbours of its own class in the dense kernel, about what
# chance would give, and three of four are then predicted wrongly. In the other two kernels nothing changes, exactly,
# with 61 and 71 %. Unmoved, the dense kernel has 67 %: what the invariance costs on these digits, if anything, 36
# queries do not show. Nor do neighbours tell all: at 0 the errors, 0.14, 0.08 and 0.17, do not follow the shares, and
# with standard errors of 0.05 they do not order the kernels.
#
# ## What this means for designing architectures
#
# What does the kernel regime mean for those who design networks? In this regime the answer is complete: *to choose an
# architecture is to choose a similarity before seeing the data.* Each part of it makes one statement about the target,
# and this chapter has priced them.
#
# | part | what it says of the target | where true | where false |
# | --- | --- | --- | --- |
# | global pooling | place does not matter | 14 to 19 times fewer examples | no learning at all (error one half) |
# | pooling windows | place matters coarsely | serves both tasks | in between |
# | filter size, depth | what interacts is near | inside the field nothing is left unexplained | no learning at all, share above 1 |
# | convolution without pooling | places are treated alike, but read apart | as dense here | as dense here |
# | attention, pooled, without positions | order does not matter | exercise 4 | it cannot see order |
# | depth without skips | only near-equal inputs are alike | – | error 0.18 → 0.53 |
# | skips, scaled by $1/\sqrt L$ | similarity stays as at small depth | error 0.18 at 31 blocks | – |
# | augmentation | what the averaged kernel says | the same function | the same function |
#
# Width is not in the table: in this regime it only brings a network nearer to its kernel.
#
# Five rules follow. (1) *Write down the symmetries of the task first*; build in those, and no others: the same pooling
# that saves most examples on *which* learns nothing on *where*. (2) *What the kernel excludes, data cannot repair*;
# what it merely finds unlikely, they can. If in doubt leave it possible. (3) *Augment where you cannot build in*: in
# this regime it is the same function, at the price of computing. (4) *Deep needs skips*: without
# them depth alone flattened the kernel. (5) *Ask the kernel before training*: the theorems here were checked, and the failures foreseen,
# without a training step. Compare candidates by the test error of kernel regression on some hundred examples.
#
# And where training is not lazy? Invariance by {prf:ref}`thm-architecture-invariant` and the limit set by the receptive
# field hold at every $\theta$, so they bind feature learning as well. The rest does not: a trained network changes its
# kernel, and may learn from the data a symmetry that was not built in. {doc}`/book/lazy_training/convolutional_networks` shows how far apart the two can be; that an architecture has a poor kernel
# does not prove it poor.
#
# ## Where it breaks
#
# **Borders.** Images do not lie on a ring. With zero padding, convolutions see the border, and the invariance is
# approximate:

# %%
padded = ntk.infinite_ntk(conv(pool, padding="SAME"))
still, one, six = (ntk.gram(padded, noise, np.roll(noise, s, 1)) for s in (0, 1, 6))
print(*(f"{ntk.relative_change(still, k):.3f}" for k in (one, six)))
assert 0.01 < ntk.relative_change(still, one) < 0.1

# %% [markdown]
# A shift by one changes the kernel by 0.047 of its norm, by six 0.079 (here what leaves on one side still enters on the
# other). Small beside the 0.64 of the dense kernel, but not $10^{-12}$.
#
# **The output at initialization.** Our formula leaves it out. A dense network starts from a random function that is not
# invariant, and training on shifted copies does not remove all of it away from the data. A pooled network is
# invariant from the start.
#
# **Small tasks.** Sequences of 12 entries and a hundred digits: the mechanisms carry over, the numbers need not. With 36
# queries, differences below a tenth mean little.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A convolutional network flattens before its readout. What does its kernel know of shifts?
#
# <details class="wrong"><summary>It is invariant, since the filters are shared</summary>
#
# Shared filters make the *layers* commute with shifts. The readout then weighs each place by itself.
#
# </details>
# <details class="right"><summary>Only that shifting both inputs changes nothing</summary>
#
# Yes. To shift one of them changed the kernel as much as it changed that of the dense network.
#
# </details>
# <details class="wrong"><summary>Nothing at all</summary>
#
# A joint shift of both inputs leaves it as it is, which the proof that pooling averages over shifts makes use of.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** Two convolutions of three entries, then global pooling. The label is the product of two pixels at distance 6.
# What helps?
#
# <details class="wrong"><summary>More examples</summary>
#
# No window holds both pixels, so that no sum over windows correlates with the label.
#
# </details>
# <details class="wrong"><summary>Training on all shifts as well</summary>
#
# The kernel is invariant already. Augmentation changes nothing.
#
# </details>
# <details class="right"><summary>A third convolution</summary>
#
# Yes: a field of seven positions spans the distance 6.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** Why did global pooling fail on the task <em>where</em>?
#
# <details class="wrong"><summary>32 examples were too few for it</summary>
#
# It would err on one half after any number of examples.
#
# </details>
# <details class="right"><summary>It is invariant to shifts, and the label is not</summary>
#
# Yes: inputs that differ by a shift get the same output, and half of them have the other label.
#
# </details>
# <details class="wrong"><summary>It has too few parameters</summary>
#
# All kernels here are those of infinitely wide networks.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ How deep?
# :label: ex-architecture-depth
#
# Filters have `window` entries (an odd number), strides are one. Write `depth_needed(distance, window)`: the smallest
# number of convolutions with which a pooled network can learn products of pixels at this distance.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Two pixels at distance $j$ need a field of $j + 1$ positions. What does one more convolution add to the field?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The field is 1 + L (window − 1) wide and must reach distance + 1: round up.
depth_needed = lambda distance, window: -(-distance // (window - 1))
ntk.exercises.architecture.check_depth_needed(depth_needed)

# %% [markdown]
# :::{exercise} ★ What a stride leaves
# :label: ex-architecture-stride
#
# Give the first of two convolutions stride 2, on 12 positions with circular padding, and pool globally. For which
# shifts $s$ from 1 to 11 is the kernel still invariant? Return them as a set.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `ntk.Conv(64, (3,), strides=(2,), padding="CIRCULAR", w_std=scale)`, and the loop of the second section.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
strided = ntk.Conv(64, (3,), strides=(2,), padding="CIRCULAR", w_std=scale)
pair = ntk.infinite_ntk(ntk.Serial([strided, relu, conv(pool, depth=1)]))
at_shift = [ntk.gram(pair, noise[:4], np.roll(noise[:4], s, 1)) for s in range(12)]
change = [ntk.relative_change(at_shift[0], k) for k in at_shift]
shifts = {s for s in range(1, 12) if change[s] < 1e-12}
ntk.exercises.architecture.check_stride(shifts)

# %% [markdown]
# :::{exercise} ★★ A kernel for mirror images
# :label: ex-architecture-mirror
#
# Write `mirrored(pair)`: it takes a pair function of two sequences of shape (12, 1) and returns the kernel that lazy
# training with `pair` on examples and their mirror images (the positions in reverse order) amounts to.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# A group of two: leave it, or reverse it. {prf:ref}`thm-architecture-augmentation` with $d = 2$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Only the second argument is reversed: to reverse both would change nothing.
mirrored = lambda pair: lambda x1, x2: (pair(x1, x2) + pair(x1, x2[::-1])) / 2
ntk.exercises.architecture.check_mirrored(mirrored)

# %% [markdown]
# :::{exercise} ★★ What attention does not see
# :label: ex-architecture-attention
#
# In place of the second convolution and its ReLU put `ntk.SelfAttention(64, 64, 64)`, and let the first convolution
# have a window of one entry. By how much does the pooled kernel change if the positions of its second argument are
# rearranged by `jax.random.permutation(jax.random.key(7), 12)`? And that of our network of two convolutions? Give
# `(attention, convolution)`, relative changes on `noise[:8]`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Attention compares all positions with all others, and does not know which are neighbours.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Without positional encoding attention commutes with every permutation of positions.
first, top = ntk.Conv(64, (1,), w_std=scale), ntk.Dense(1, w_std=scale)
attention = ntk.Serial([first, relu, ntk.SelfAttention(64, 64, 64), pool, top])
shuffle, eight = jax.random.permutation(jax.random.key(7), 12), noise[:8]
both_orders = eight, eight[:, shuffle]

def shuffled(net):
    pair = ntk.infinite_ntk(net)
    return ntk.relative_change(*(ntk.gram(pair, eight, z) for z in both_orders))

ntk.exercises.architecture.check_shuffled((shuffled(attention), shuffled(conv(pool))))

# %% [markdown]
# :::{exercise} ★★★ Averaging at test time
# :label: ex-architecture-test-time
#
# A third way to an invariant prediction: train the dense network on the 32 examples as they are, and average its
# predictions over all shifts of a test input. What is its test error on `which`, mean over the 12 draws? Between which
# two of the chapter's numbers do you expect it?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The average prediction is $\bar\Theta(x, X)\,\Theta(X, X)^{-1} y$. `theta` has both kernels; `errors` takes test rows
# first.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Test rows of the averaged kernel over training rows of the plain one.
plain, average = theta["dense"][:, 100:132, :32], theta["dense, averaged"][:, :100]
answer = errors(np.concatenate([average, plain], 1), 32, which).mean()
ntk.exercises.architecture.check_test_time(answer)

# %% [markdown]
# ## Questions readers ask
#
# **Does sharing filters matter without pooling?** Not at infinite width. Roman Novak and co-authors {cite}`novak2019`
# show that the Gaussian process of a convolutional network without pooling is that of a network which has filters of
# its own at each place. Equation {eq}`eq-architecture-patches` shows why: only patches at the same place meet.
#
# **Is it enough to average predictions at test time?** In exercise 5 it cuts the error, but not to that of the averaged
# kernel. In many dimensions Mei, Misiakiewicz and Montanari {cite}`mei2021` find no significant gain from it: symmetrizing
# the output leaves the estimator with the examples it had, while training on shifted copies adds the missing ones.
#
# **What does a pooled kernel achieve on photographs?** Sanjeev Arora and co-authors {cite}`arora2019` compute it for
# CIFAR-10; the best accuracy is around 78 %, within 6 to 7 points of the trained network {cite}`li2019`.
#
# ## Summary
#
# - Invariant networks have invariant kernels, at every width and parameter. With circular padding and pooling the check
#   gives zero up to rounding; with flatten, or dense, a shift changes the kernel by 0.66 and 0.64 of its norm.
# - Pooling = averaging the flattened kernel over shifts = augmentation by all shifts, exactly, in lazy training.
# - On a task with that symmetry the dense network needs 19 times as many examples as the pooled one at $n = 8$, 14 times
#   at 16; with four times as many it is still behind, at each $n$ from 4 to 32.
# - The receptive field $1 + 2L$ is a cliff: inside it the target is learned from 64 examples, beyond it never.
# - Pooling over half of the ring serves *which* (0.07) and *where* (0.06); over all of it *where* is lost (0.49).
# - Plain depth flattens the kernel (squared error 0.18 to 0.53 from 1 to 31 blocks); scaled residual blocks do not
#   (0.18 and 0.18).
#
# ## What is next
#
# An architecture is one half of what decides the kernel. The other half, the scales of weights and biases and the
# activation, is the subject of {doc}`/book/inductive_bias/initialization`. How kernels compare with trained networks on real
# images, {doc}`/book/lazy_training/convolutional_networks` measures.
#
# ## Further reading
#
# - Mei, Misiakiewicz and Montanari {cite}`mei2021`: how much data invariance saves, proved in high dimension;
#   augmentation and averaging compared.
# - Li and co-authors {cite}`li2019`: pooling as augmentation, and local averages as a compromise, on CIFAR-10.
# - Novak and co-authors {cite}`novak2019`: infinitely wide convolutional networks, with and without pooling and shared
#   filters.
# - Favero, Cagnetta and Wyart {cite}`favero2021`: locality against invariance, by the exponents of learning curves.
# - Huang and co-authors {cite}`huang2020residual`: kernels of deep plain and residual networks.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* First figure and a guess at what made it (5); patches by hand on the board (10); both theorems
# of the second section with the check (10); the learning curves, with a vote on the factor (10); augmentation theorem
# (10); the table (5).
#
# *Plan for 90 minutes.* As above, then the receptive field with its proof and exercise 1 (15), pooling windows (5),
# exercise 4 in pairs (10), and a discussion: which symmetries has a task of your own (10)?
#
# *Misconceptions.* "Convolution makes a network shift-invariant": the flattened kernel. "More data always helps": the
# cliff of the receptive field. "Invariance cannot hurt": the task *where*. "Deeper is more expressive, so better": the
# plain network of 31 blocks.
#
# </details>
