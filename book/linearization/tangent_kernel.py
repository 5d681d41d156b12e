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
# # The tangent kernel
#
# **One kernel, built from the gradients of a network, says how its outputs move in training; the wider the network, the
# less that kernel depends on the random draw of the weights and the less it changes.**
#
# *Reading time 30 minutes; run time about a minute on two CPU cores, which suffice.*

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
# Draw ten random networks, and for each ask one question: if a gradient step raises the output at the point $x_0$, how
# much does it raise the output at another point $x$ of a circle? The answer is a function $\Theta(x_0, x)$ of the angle
# between the two. Every coloured line is one network; the dashed line is a formula in which no random number occurs.

# %%
from functools import partial

def kernels(net, stack, x1, x2=None):  # the tangent kernel of each of those networks
    of_one = lambda params: ntk.gram(ntk.empirical_ntk(net.apply, params), x1, x2)
    return jax.vmap(of_one)(stack)[..., 0, 0]

# %% [markdown]
# `ntk.draw` returns the parameters of one random network a key, stacked. It and `kernels` serve the whole chapter; what
# `empirical_ntk` and `gram` do is its subject.

# %% mystnb={"image": {"alt": "Three panels for widths 16, 128 and 2048. Each shows the tangent kernel of ten random networks against the angle to x0. At width 16 the ten curves are jagged and lie far apart; at 2048 they lie on one smooth dashed curve with its peak at angle 0."}, "figure": {"caption": "The tangent kernel Θ(x₀, x) of ten random ReLU networks with one hidden layer (colours), and the infinite-width formula (dashed). Random scribbles become one deterministic curve.", "name": "fig-tangent-kernel-surprise"}}
x_circle, degrees = ntk.datasets.circle(120), 3 * jnp.arange(120) - 180
x0, keys = x_circle[60:61], jax.random.split(jax.random.key(0), 10)
fig, axes = plt.subplots(1, 3, sharey=True, figsize=(6.8, 2.7), dpi=90)
for ax, width in zip(axes, (16, 128, 2048)):
    net = ntk.mlp(width, depth=1, num_outputs=1, activation=ntk.relu, w_std=2**0.5)
    curves = kernels(net, ntk.draw(net, keys, (2,)), x0, x_circle)[:, 0]
    ax.plot(degrees, curves.T, lw=0.9)
    ax.plot(degrees, ntk.gram(ntk.infinite_ntk(net), x0, x_circle)[0], "k--")
    ax.set(title=f"Θ(x₀, x), width {width}", xlabel="angle (degrees)")
plt.show()

# %% [markdown]
# ## You will be able to
#
# - compute the tangent kernel of any network, by hand for the smallest one and in a few lines of JAX for the others;
# - explain why it, and nothing else, decides how outputs move in a small gradient step;
# - derive its infinite-width limit, and the output covariance that comes with it, and check both by sampling;
# - measure how fast a finite network approaches that limit, and how little its kernel changes in training;
# - say where these statements fail.
#
# You need gradient descent, linear algebra, and the Jacobian from {doc}`/book/linearization/taylor_expansion`. New
# symbols, all in {doc}`/book/notation`: $\Theta$ (tangent kernel), $K$ (output covariance), $\hat\varphi$ (dual of an
# activation), $m$ (width).
#
# ## The smallest network, by hand
#
# Take one input, one hidden unit, one output and no bias: $f(x, \theta) = a\,\varphi(w x)$ with parameters
# $\theta = (w, a)$. Its Jacobian is the row of the two derivatives,
#
# $$
# J(x) = \bigl(\, a\,\varphi'(w x)\, x,\ \ \varphi(w x) \,\bigr).
# $$ (eq-tangent-kernel-small-jacobian)
#
# The inner product of the Jacobians at two inputs is a number that depends on both,
#
# $$
# \Theta(x, x') = J(x)\,J(x')^\top = a^2\, \varphi'(w x)\,\varphi'(w x')\; x x' + \varphi(w x)\,\varphi(w x').
# $$ (eq-tangent-kernel-small)
#
# One term belongs to each parameter. Nothing was averaged and nothing tends to infinity: every differentiable model has
# such a kernel at every $\theta$.
#
# :::{prf:definition} Tangent kernel
# :label: def-tangent-kernel
#
# For a model $f(x, \theta)$ with $k$ outputs and $p$ parameters, let $J(x) = \partial f(x, \theta)/\partial\theta$, a
# $k \times p$ matrix. The (empirical, neural) *tangent kernel* at $\theta$ is the $k \times k$ matrix
# $\Theta(x, x') = J(x)\, J(x')^\top$.
#
# :::
#
# The name *neural tangent kernel*, NTK, is due to Arthur Jacot, Franck Gabriel and Clément Hongler {cite}`jacot2018`. In
# the package, `ntk.empirical_ntk(f, params)` is the kernel as a function of one pair of inputs, with $k \times k$ values,
# and `ntk.gram` evaluates it on all pairs of a data set. First the formula above, at two inputs:

# %%
small = ntk.mlp(width=1, depth=1, num_outputs=1, activation=ntk.tanh)
w, a, x = 0.8, -1.5, jnp.array([[0.7], [-1.2]])
params_small = ({"w": jnp.array([[w]])}, (), {"w": jnp.array([[a]])})
J = jnp.hstack([a * (1 - jnp.tanh(w * x) ** 2) * x, jnp.tanh(w * x)])
ntk_small = ntk.gram(ntk.empirical_ntk(small.apply, params_small), x)[..., 0, 0]
assert jnp.allclose(J @ J.T, ntk_small, rtol=1e-12)  # the same sums, up to rounding

# %% [markdown]
# For more parameters, let JAX differentiate: the Jacobian is three lines, the kernel a product. Our data are 16 images of
# handwritten digits, reduced to their 10 principal components and scaled to length $\sqrt{10}$, with targets $+1$ for even
# and $-1$ for odd digits.

# %%
def jacobian(f, params, x):  # (k, p)
    parts = jax.tree.leaves(jax.jacobian(f)(params, x))
    return jnp.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

x_train, y_train, *_ = ntk.datasets.digits(jax.random.key(0), 16, 0, num_components=10)
net = ntk.mlp(width=64, depth=1, num_outputs=1, activation=ntk.tanh)
params, _ = net.init(jax.random.key(2), (10,))
J = jax.vmap(partial(jacobian, net.apply, params))(x_train)[:, 0]
ntk_train = ntk.gram(ntk.empirical_ntk(net.apply, params), x_train)[..., 0, 0]
assert jnp.allclose(J @ J.T, ntk_train, rtol=1e-10)  # summed in another order

# %% [markdown]
# From here on the package's kernel is used.
#
# ## Why it governs training
#
# **Question.** One step of gradient descent on the single example $(x_0, y_0)$ changes the parameters, and so the output
# everywhere. By how much, at a point $x$ that was not trained on?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# The step is $\Delta\theta = -\eta\, J(x_0)^\top (f(x_0) - y_0)$. To first order the output at $x$ changes by
# $J(x)\,\Delta\theta = -\eta\, J(x) J(x_0)^\top (f(x_0) - y_0)$, that is $-\eta\,\Theta(x, x_0)$ times the residual.
#
# </details>
#
# :::{prf:proposition} One step in function space
# :label: prop-tangent-kernel-step
#
# Let $f(X)$ collect the outputs on $n$ training inputs $X$, with loss $\frac1n \sum_i \frac12 \lVert f(x_i) - y_i\rVert^2$. A step of
# gradient descent with learning rate $\eta$ changes the output at any $x$ by
#
# $$
# \Delta f(x) = -\frac{\eta}{n}\, \Theta(x, X)\,\bigl(f(X) - y\bigr) + O(\eta^2) .
# $$ (eq-tangent-kernel-step)
#
# :::
#
# The proof is the prediction above, summed over the examples. The figure shows the measured change, divided by $\eta$, at
# every point of the circle, for one example at angle 0 and a network of width 128.

# %% mystnb={"image": {"alt": "Change of the output per unit of learning rate, against the angle to the trained example. The curve for learning rate 2 stays below the dashed prediction at its peak at angle 0; the curve for 0.1 lies on it."}, "figure": {"caption": "What one gradient step on one example at angle 0 does to the output everywhere. The smaller the step, the closer to −Θ(x, x₀)(f(x₀) − y₀), dashed.", "name": "fig-tangent-kernel-step"}}
wide = ntk.mlp(128, depth=1, num_outputs=1, activation=ntk.tanh, w_std=2.0)
params0, _ = wide.init(jax.random.key(3), (2,))
y0, f = jnp.array([[3.0]]), jax.vmap(wide.apply, (None, 0))
kernel = ntk.gram(ntk.empirical_ntk(wide.apply, params0), x_circle, x0)[..., 0, 0]
predicted = -kernel @ (f(params0, x0) - y0)
gradient = jax.grad(lambda params: ntk.squared_loss(f(params, x0), y0))(params0)
for rate in (2.0, 0.5, 0.1):
    params1 = jax.tree.map(lambda p, g, s=rate: p - s * g, params0, gradient)
    change = (f(params1, x_circle) - f(params0, x_circle)) / rate
    print(f"η = {rate}: relative error {ntk.relative_change(predicted, change):.3f}")
    plt.plot(degrees, change, label=f"measured, η = {rate}")
plt.plot(degrees, predicted, **ntk.plotting.THEORY, label="−Θ(x, x₀)(f(x₀) − y₀)")
plt.gca().set(xlabel="angle between x and x₀ (degrees)", ylabel="Δf(x) / η")
plt.legend()
plt.show()
assert ntk.relative_change(predicted, change) < 0.02  # of order η

# %% [markdown]
# What we see: at $\eta = 2$ the first-order formula misses the change by 28 % of its size, at $0.5$ by 5.6 % and at $0.1$
# by 0.7 %: in proportion to $\eta$ once $\eta$ is small, so that the error of $\Delta f$ itself is of order $\eta^2$.
#
# :::{prf:proposition} Symmetric and positive semi-definite
# :label: prop-tangent-kernel-psd
#
# Stack the Jacobians of $n$ examples into a matrix $J$ with $nk$ rows and $p$ columns. Then $\Theta(X, X) = J J^\top$ is symmetric,
# $v^\top \Theta\, v = \lVert J^\top v\rVert^2 \ge 0$ for every $v$, and its rank is at most $p$.
#
# :::
#
# So to first order the loss never rises under {eq}`eq-tangent-kernel-step`: the residual $r = f(X) - y$ changes it by
# $-\frac{\eta}{n^2}\, r^\top \Theta\, r \le 0$. How fast each component falls is the subject of
# {doc}`/book/linearization/training_dynamics`. The rank bound bites in the network with two parameters: its kernel on ten
# inputs has rank 2, so its linearization cannot fit ten targets. With $64 \cdot 11 = 704$ parameters the kernel on the digits has full rank, 16.

# %%
ten = jnp.linspace(-2, 2, 10)[:, None]
tiny = ntk.gram(ntk.empirical_ntk(small.apply, params_small), ten)[..., 0, 0]
ranks = [int(jnp.linalg.matrix_rank(kernel)) for kernel in (tiny, ntk_train)]
assert ranks == [2, 16]

# %% [markdown]
# ## Three ways to compute it, and several outputs
#
# Novak, Sohl-Dickstein and Schoenholz {cite}`novak2022` compare the ways in detail. *Jacobian contraction* forms $J(x)$
# and $J(x')$ and multiplies: the simplest, and good while $k$ and $p$ are small. *NTK-vector products* never store a
# Jacobian; column $b$ is $J(x)\,(J(x')^\top e_b)$, a vector–Jacobian and then a Jacobian–vector product: for
# when memory is short. *Layerwise* uses that the gradient of a dense layer's weights is an outer
# product, so that inner products of vectors as long as a layer is wide replace those of length $p$: the cheapest for the
# networks of this book, and what `empirical_ntk` takes. In functions that are not made of this package's layers it looks
# for such products by tracing, and `.explain(x)` prints what it found.
#
# With $k$ outputs, `gram` returns an array of shape $(n, n, k, k)$. `ntk.as_matrix` makes it the $nk \times nk$ matrix that acts on
# outputs flattened to length $nk$; `ntk.trace_outputs` averages its diagonal over outputs.

# %%
net3 = ntk.mlp(256, depth=1, num_outputs=3, activation=ntk.tanh)
params3, _ = net3.init(jax.random.key(4), (10,))
engines = [ntk.layerwise(net3, params3), ntk.ntk_vector_products(net3.apply, params3),
           ntk.jacobian_contraction(net3.apply, params3)]
ntk3, *others = [ntk.gram(engine, x_train) for engine in engines]
assert all(jnp.allclose(ntk3, other, rtol=1e-9, atol=1e-11) for other in others)
print(ntk3.shape, ntk.as_matrix(ntk3).shape, ntk.trace_outputs(ntk3).shape)

# %% [markdown]
# The three agree. A fourth way forms no kernel at all: `ntk.ntk_operator` multiplies $\Theta(X, X)$ by a vector. We also
# ask how far $\Theta$ is from one $n \times n$ kernel, its mean over outputs, times the $k \times k$ identity.

# %%
v = jax.random.normal(jax.random.key(5), (16, 3))
product = ntk.ntk_operator(net3.apply, params3, x_train).mv(v)
assert jnp.allclose(ntk.as_matrix(ntk3) @ v.reshape(-1), product.reshape(-1))
one_kernel = jnp.einsum("ij,ab->ijab", ntk.trace_outputs(ntk3), jnp.eye(3))
print(f"relative distance: {ntk.relative_change(ntk3, one_kernel):.3f}")

# %% [markdown]
# A distance of 7 % at width 256 hints at what comes. At infinite width different outputs do not influence each other
# {cite}`jacot2018`, so one output is enough below.
#
# ## The infinite-width limit
#
# Take one hidden layer of width $m$ without bias, in the book's normalization (weights drawn from $\mathcal{N}(0, 1)$,
# scale $\sigma_w$ in front):
#
# $$
# f(x) = \frac{\sigma_w}{\sqrt m} \sum_{i=1}^m a_i\, \varphi(z_i), \qquad z_i = \frac{\sigma_w}{\sqrt d}\; w_i \cdot x .
# $$ (eq-tangent-kernel-network)
#
# Differentiate with respect to every $a_i$ and $w_i$ and take inner products, as for the smallest network; write $z_i'$
# for the pre-activation at $x'$:
#
# $$
# \Theta(x, x') = \sigma_w^2\, \frac1m \sum_{i=1}^m \varphi(z_i)\varphi(z_i')
#   + \sigma_w^2\, \frac{\sigma_w^2\, x \cdot x'}{d}\; \frac1m \sum_{i=1}^m a_i^2\, \varphi'(z_i)\varphi'(z_i') .
# $$ (eq-tangent-kernel-sum)
#
# Both sums are averages of $m$ independent, equally distributed terms.
#
# **Question.** What do they become as $m \to \infty$, and how large is what remains at finite $m$?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# By the law of large numbers each average tends to the mean of one term; since $a_i$ is independent of $z_i$ and
# $\mathbb{E}[a_i^2] = 1$, it drops out. By the central limit theorem the deviation from the mean is of order $m^{-1/2}$. On
# logarithmic axes the spread over seeds is a line of slope $-\tfrac12$.
#
# </details>
#
# For given $x, x'$ the pair $(z_i, z_i')$ is Gaussian with mean zero and covariances $q_{11} = \sigma_w^2\, x\cdot x/d$,
# $q_{12} = \sigma_w^2\, x \cdot x'/d$, $q_{22} = \sigma_w^2\, x'\cdot x'/d$. The two means therefore need nothing but
# three numbers and the activation. They are its *duals*,
#
# $$
# \hat\varphi(q_{11}, q_{12}, q_{22}) = \mathbb{E}[\varphi(u)\varphi(v)], \qquad
# \hat\varphi'(q_{11}, q_{12}, q_{22}) = \mathbb{E}[\varphi'(u)\varphi'(v)],
# $$ (eq-tangent-kernel-dual)
#
# with $(u, v)$ Gaussian as above. For ReLU they are the arc-cosine kernels of Cho and Saul {cite}`cho2009`, for erf a
# formula of Williams {cite}`williams1997`; for tanh the package uses quadrature. They can be checked by sampling.

# %%
cov, key = jnp.array([[1.5, 0.6], [0.6, 0.8]]), jax.random.key(6)
u, v = jax.random.multivariate_normal(key, jnp.zeros(2), cov, (400_000,)).T
for phi in (ntk.relu, ntk.erf, ntk.tanh):
    slope = jax.vmap(jax.grad(phi.fn))
    for fn, dual in ((phi.fn, phi.dual), (slope, phi.dual_derivative)):
        (mean, error), exact = ntk.estimate(fn(u) * fn(v)), dual(*cov[0], cov[1, 1])
        print(f"{phi.name:5} sampled {mean:.4f} ± {error:.4f}, exact {exact:.4f}")
        assert abs(mean - exact) < 4 * error  # each fails once in 16,000 draws

# %% [markdown]
# With more layers the argument repeats: given the layer below, units of a layer are independent and Gaussian in the limit.
#
# :::{prf:theorem} Infinite-width tangent kernel
# :label: thm-tangent-kernel-limit
#
# In a network with $L$ hidden layers without bias, as all widths grow, $\Theta(x, x')$ at initialization tends to
# $\Theta_L(x, x')$, which is not random. With $q^{(0)}_{12} = \Theta_0 = \sigma_w^2\, x\cdot x'/d$, and likewise for $q_{11}, q_{22}$,
#
# $$
# q^{(\ell)}_{12} = \sigma_w^2\, \hat\varphi\bigl(q^{(\ell-1)}_{11}, q^{(\ell-1)}_{12}, q^{(\ell-1)}_{22}\bigr), \qquad
# \Theta_\ell = q^{(\ell)}_{12} + \sigma_w^2\, \hat\varphi'\bigl(q^{(\ell-1)}_{11}, q^{(\ell-1)}_{12}, q^{(\ell-1)}_{22}\bigr)\, \Theta_{\ell-1} .
# $$ (eq-tangent-kernel-recursion)
#
# :::
#
# This is theorem 1 of Jacot, Gabriel and Hongler {cite}`jacot2018`; Greg Yang {cite}`yang2020` proves it for nearly any
# architecture. Biases add $\sigma_b^2$ to each $q$ and each $\Theta_\ell$. The first term is the new layer's own parameters;
# the second is all earlier ones, seen through $\varphi'$. For ReLU with $\sigma_w^2 = 2$ and inputs of length $\sqrt d$,
# $q_{11} = q_{22} = 2$ in every layer, and the recursion is short:

# %%
def relu_ntk(x1, x2, depth):  # for inputs of length √d
    kernel = q12 = 2 * x1 @ x2 / len(x1)
    for _ in range(depth):
        angle = jnp.arccos(jnp.clip(q12 / 2, -1, 1))  # near 1, good to 1e-8 only
        q12 = 2 * (jnp.sin(angle) + (jnp.pi - angle) * jnp.cos(angle)) / jnp.pi
        kernel = q12 + (jnp.pi - angle) / jnp.pi * kernel
    return kernel

by_hand = ntk.gram(partial(relu_ntk, depth=4), x_train)
deep = ntk.mlp(width=1, depth=4, num_outputs=1, activation=ntk.relu, w_std=2**0.5)
assert jnp.allclose(by_hand, ntk.gram(ntk.infinite_ntk(deep), x_train), rtol=1e-6)

# %% [markdown]
# ## Concentration at initialization
#
# Now the experiment: 12 random tanh networks at each of four widths, on the 16 digits. As a measure of spread take, for each
# network, the distance of its kernel matrix from the mean over networks; as a measure of convergence, its distance from
# the infinite-width kernel. Both are relative, in the Frobenius norm.

# %%
widths, keys = (32, 128, 512, 2048), jax.random.split(jax.random.key(8), 12)
nets = [ntk.mlp(m, 1, 1, ntk.tanh) for m in widths]
starts = [ntk.draw(net, keys, (10,)) for net in nets]
drawn = jnp.stack([kernels(*each, x_train) for each in zip(nets, starts)], axis=1)
limit = ntk.gram(ntk.infinite_ntk(nets[0]), x_train)
far = jnp.vectorize(ntk.relative_change, signature="(n,n),(n,n)->()")

# %% [markdown]
# Dashed in the figure is slope $-\frac12$, the central limit theorem's.

# %% mystnb={"image": {"alt": "Two log-log panels against width from 32 to 2048 with error bars. Left, relative spread over random networks; right, relative distance to the infinite-width kernel. Both fall along dashed lines of slope minus one half."}, "figure": {"caption": "Tangent kernels of random tanh networks on 16 digits, 12 networks a width: distance to their mean (left) and to the infinite-width kernel (right). Bars are standard errors; theory is dashed.", "name": "fig-tangent-kernel-concentration"}}
def panels(samples, titles, theory):  # yields by how much each slope misses theory
    _, axes = plt.subplots(1, len(samples), figsize=(2.7 * len(samples), 2.9), dpi=90)
    for ax, sample, title, rate in zip(axes, samples, titles, theory):
        fit = ntk.plotting.scaling(ax, widths, sample, theory=rate)
        ax.set(xlabel="width m", title=title)
        ax.legend(fontsize=8)
        means = " ".join(f"{mean:.4f}" for mean in sample.mean(0))
        print(f"{title}: slope {fit.exponent:.2f}, means {means}")
        yield abs(fit.exponent - rate)
    plt.show()

both = far(drawn.mean(0), drawn), far(limit, drawn)
assert max(panels(both, ("spread", "distance to limit"), (-0.5, -0.5))) < 0.1

# %% [markdown]
# What we see: both fall with slope $-0.5$, from about a quarter at width 32 to 3 % at width 2048. They nearly coincide because
# at one hidden layer {eq}`eq-tangent-kernel-sum` has exactly the limit as its mean, at every width.
#
# ## The outputs themselves: the NNGP kernel
#
# **Question.** The kernel stops depending on the draw. Does the network's function, too?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# No. In {eq}`eq-tangent-kernel-network` the sum of $m$ independent terms of mean zero is divided by $\sqrt m$, not by
# $m$: the central limit theorem applies, not the law of large numbers. Outputs stay random, of order one, and become
# Gaussian.
#
# </details>
#
# :::{prf:theorem} Wide random networks are Gaussian processes
# :label: thm-tangent-kernel-nngp
#
# As all widths grow, the outputs of a random network at any finite set of inputs become jointly Gaussian with mean zero
# and covariance $K(x, x') = q^{(L)}_{12}$ of {eq}`eq-tangent-kernel-recursion`, independently for each output.
#
# :::
#
# Radford Neal {cite}`neal1996` found this for one hidden layer, Jaehoon Lee and co-authors {cite}`lee2018` for deep
# networks. $K$ is the *NNGP kernel*. We draw 4,000 ReLU networks at each of two widths and compare the covariance of
# their outputs at 12 points of the circle with it.

# %% mystnb={"image": {"alt": "Two histograms of the output of 4,000 random networks at one input. At width 4 the histogram is more peaked, with heavier tails, than the dashed Gaussian density; at width 256 it follows the density."}, "figure": {"caption": "Output at one input over 4,000 random ReLU networks, and the Gaussian density with variance K(x, x) (dashed). Outputs are of order one at any width; what width brings is the Gaussian shape.", "name": "fig-tangent-kernel-nngp"}}
x_few, grid = x_circle[::10], jnp.linspace(-6, 6, 200)
fig, axes = plt.subplots(1, 2, sharey=True)
for ax, width in zip(axes, (4, 256)):
    net = ntk.mlp(width, depth=1, num_outputs=1, activation=ntk.relu, w_std=2**0.5)
    nngp = ntk.gram(ntk.infinite_nngp(net), x_few)
    stack = ntk.draw(net, jax.random.split(jax.random.key(9), 4000), (2,))
    f_few = jax.vmap(jax.vmap(net.apply, (None, 0)), (0, None))(stack, x_few)[:, :, 0]
    mean, error = ntk.estimate(f_few[:, :, None] * f_few[:, None, :])
    print(f"variance: sampled {mean[0, 0]:.3f} ± {error[0, 0]:.3f}, K {nngp[0, 0]:.3f}")
    ax.hist(f_few[:, 0], bins=60, range=(-6, 6), density=True, alpha=0.6)
    ax.plot(grid, jnp.exp(-(grid**2) / 4) / (4 * jnp.pi) ** 0.5, **ntk.plotting.THEORY)
    ax.set(title=f"width {width}", xlabel="output f(x)")
    assert jnp.all(abs(mean - nngp) < 4 * error)  # 78 correlated entries
plt.show()

# %% [markdown]
# The covariance agrees at both widths, within sampling error: at one hidden layer it is exact at every width, and only
# the shape needs width.
#
# $K$ and $\Theta$ come from one recursion but answer different questions. $K$ says how outputs vary from one random
# network to the next, $\Theta$ how one network's outputs move together in training. As $\Theta_L = K + (\text{earlier
# layers})$, training only the last layer has the tangent kernel $K$.

# %% mystnb={"image": {"alt": "Two panels, ReLU and erf: both kernels, scaled to one at angle 0, against the angle from 0 to 180 degrees, for one and five hidden layers. NTK curves, solid, fall faster than NNGP curves, dotted, of the same depth; the deep ReLU NTK has a sharp peak and then a plateau."}, "figure": {"caption": "NTK (solid) and NNGP kernel (dotted) on the circle, scaled to one at angle 0, for one and five hidden layers, σ_w² = 2.", "name": "fig-tangent-kernel-circle"}}
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(6.6, 3.2), dpi=90)
kinds = {"NTK": (ntk.infinite_ntk, "-"), "NNGP": (ntk.infinite_nngp, ":")}
for ax, phi in zip(axes, (ntk.relu, ntk.erf)):
    for depth, color in ((1, "C0"), (5, "C1")):
        for name, (kind, style) in kinds.items():
            kernel = kind(ntk.mlp(1, depth, 1, phi, w_std=2**0.5))
            k = ntk.gram(kernel, x0, x_circle[60:])[0]
            ax.plot(degrees[60:], k / k[0], style, color=color, label=f"{name} {depth}")
            print(f"{phi.name} {name}, depth {depth}: {k[15] / k[0]:.3f} at 45 degrees")
    ax.set(title=phi.name, xlabel="angle (degrees)", xticks=[0, 90, 180])
axes[1].legend(title="kernel, depth")
plt.show()

# %% [markdown]
# What we see: at equal depth the NTK falls faster than the NNGP kernel; at 45 degrees, with one ReLU layer, to 0.643
# of its peak instead of 0.755. With five layers the two part further, to 0.505 and 0.863. For ReLU depth lifts the far
# side to a plateau; for erf, an odd function, opposite points keep opposite values.
#
# ## Stability in training
#
# Now train the same networks, from the same draws, by 200 steps of gradient descent with learning rate 0.3.
#
# **Question.** Suppose the Jacobian changes by a relative amount of order $m^{-1/2}$. The kernel is $J J^\top$. By what
# order does it change?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# $\Delta\Theta = J_0\,\Delta J^\top + \Delta J\, J_0^\top + \Delta J\,\Delta J^\top$. The last term is of relative order
# $(m^{-1/2})^2 = m^{-1}$. The first two look like $m^{-1/2}$, and would be, if $\Delta J$ lay along $J_0$. It is nearly
# orthogonal to it, and the answer is $m^{-1}$.
#
# </details>
#
# :::{prf:proposition} Orders of change, one hidden layer, smooth activation
# :label: prop-tangent-kernel-orders
#
# Train {eq}`eq-tangent-kernel-network` for a fixed time on fixed data. As $m \to \infty$, to leading order,
#
# $$
# \frac{\lVert\Delta J\rVert}{\lVert J_0\rVert} \sim m^{-1/2}, \qquad
# \frac{\lVert J_0\,\Delta J^\top\rVert}{\lVert J_0\rVert\,\lVert\Delta J\rVert} \sim m^{-1/2}, \qquad
# \frac{\lVert\Delta\Theta\rVert}{\lVert\Theta_0\rVert} \sim m^{-1} .
# $$ (eq-tangent-kernel-orders)
#
# :::
#
# The argument: each $a_i$ and $w_i$ has a gradient of order $m^{-1/2}$ and moves by that much, so each of the $m$ units'
# entries of $J$, themselves of order $m^{-1/2}$, changes by order $m^{-1}$; in total $\lVert\Delta J\rVert \sim \sqrt{m \cdot m^{-2}} = m^{-1/2}$.
# In $J_0\,\Delta J^\top$ each unit contributes a product of order $m^{-3/2}$, which to leading order is odd in $a_i$:
# where $w_i$ moves, it moves in proportion to $a_i$, and where $a_i$ moves, the entry it changes is multiplied by another
# $a_i$ in $J_0$. The signs of the $a_i$ are random, so $m$ such terms add up to $\sqrt m\, m^{-3/2} = m^{-1}$, where equal
# signs would have made $m^{-1/2}$. For deep networks Ethan Dyer and Guy Gur-Ari {cite}`dyer2020` obtain $1/m$ from a rule that
# counts powers of $m$, in part a conjecture; Jiaoyang Huang and Horng-Tzer Yau {cite}`huang2020` prove a bound of that order up to
# logarithms.

# %%
@partial(jax.jit, static_argnames="net")
def train_many(net, stack, alpha, x, y):  # alpha scales the output
    def one(p0):
        f, norm = lambda p, x: alpha * net.apply(p, x), jnp.linalg.norm
        *_, p1 = ntk.train(f, p0, x, y, ntk.gradient_descent(0.3 / alpha**2), steps=200)
        J0, J = (jax.vmap(partial(jacobian, net.apply, p))(x)[:, 0] for p in (p0, p1))
        flips = jnp.mean((x @ p0[0]["w"] > 0) != (x @ p1[0]["w"] > 0))
        cosine = norm(J0 @ (J - J0).T) / norm(J0) / norm(J - J0)
        of_ntk = ntk.relative_change(J0 @ J0.T, J @ J.T)
        return jnp.stack([ntk.relative_change(J0, J), of_ntk, cosine, flips])
    return jax.vmap(one)(stack)

# %% [markdown]
# One call returns for each network the relative change of $J$ and of $\Theta$, and the cosine in the middle of
# {eq}`eq-tangent-kernel-orders`; the share of sign changes is for ReLU, and `alpha` for another scaling, both below.

# %% mystnb={"image": {"alt": "Three log-log panels against width from 32 to 2048. The relative change of the Jacobian falls with slope about minus one half, that of the kernel with slope about minus one, the cosine between the old Jacobian and its change with slope about minus one half. Theory dashed."}, "figure": {"caption": "From initialization to the end of training, tanh networks on 16 digits: change of the Jacobian (left) and of the kernel (middle), and the cosine ‖J₀ΔJᵀ‖ / (‖J₀‖‖ΔJ‖) that reconciles the two (right).", "name": "fig-tangent-kernel-stability"}}
def changes(nets, alphas=(1.0, 1.0, 1.0, 1.0)):  # (quantity, network, width)
    runs = [train_many(*each, x_train, y_train) for each in zip(nets, starts, alphas)]
    return jnp.stack(runs, axis=-1).swapaxes(0, 1)

titles = ("‖ΔJ‖ / ‖J₀‖", "‖ΔΘ‖ / ‖Θ₀‖", "cosine of J₀ and ΔJ")
assert max(panels(changes(nets)[:3], titles, (-0.5, -1, -0.5))) < 0.1  # errors < 0.03

# %% [markdown]
# What we see: the Jacobian changes by 37 % at width 32 and 4.7 % at 2048, the kernel by 13 % and 0.22 %. The slopes are
# $-0.50$ and $-0.99$, and the cosine, falling with slope $-0.48$, makes up the difference. A wide network is trained with
# nearly the kernel it was born with.
#
# ## Where it breaks
#
# **Kinks.** ReLU has no second derivative at zero, and the argument above used one.
#
# <details class="answer"><summary>Predict before you run</summary>
#
# A unit whose $z_i$ is within $m^{-1/2}$ of zero can change sign: a share $m^{-1/2}$ of all. Its entries of $J$ then jump
# by their full size $m^{-1/2}$. There are $\sqrt m$ such units, so
# $\lVert\Delta J\rVert \sim \sqrt{m^{1/2} \cdot m^{-1}} = m^{-1/4}$. In $\Theta$ a unit switched on adds a term of order
# $1/m$ and one switched off removes one: $\sqrt m$ terms of random sign give $m^{1/4}/m = m^{-3/4}$.
#
# </details>

# %% mystnb={"image": {"alt": "Three log-log panels against width from 32 to 2048 for ReLU networks: the share of units that change sign falls with slope about minus one half, the Jacobian's change with about minus 0.3, the kernel's change with about minus three quarters. Theory dashed."}, "figure": {"caption": "The same for ReLU: share of (unit, example) pairs whose pre-activation changes sign (left), change of the Jacobian (middle) and of the kernel (right). The exponents are −1/2, −1/4 and −3/4.", "name": "fig-tangent-kernel-relu"}}
relu_nets = [ntk.mlp(m, 1, 1, ntk.relu, w_std=2**0.5) for m in widths]
change_j, change_ntk, _, flips = changes(relu_nets)
titles, quantities = ("flipped units", *titles[:2]), (flips, change_j, change_ntk)
assert max(panels(quantities, titles, (-0.5, -0.25, -0.75))) < 0.1  # at these widths

# %% [markdown]
# What we see: slopes of $-0.51$, $-0.32$ and $-0.73$. The Jacobian's is steeper than $-\frac14$, as one expects where units
# that do not flip still add a change of order $m^{-1/2}$.
#
# **The law, not the draw.** It is sometimes said that random initialization fixes the kernel. At finite width the draw
# matters; at infinite width it drops out, and only the *law* of the weights, here $\sigma_w$, remains.

# %%
other_law = ntk.gram(ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.tanh, w_std=2.0)), x_train)
own, other = (far(law, drawn[:, -1]).mean() for law in (limit, other_law))
print(f"distance at width 2048: to the limit {own:.3f}, to that of σ_w = 2 {other:.3f}")
assert other > 10 * own

# %% [markdown]
# **Another scale.** The limit rests on the factor $1/\sqrt m$. Put $1/m$ there instead, the *mean-field* scaling, that is
# multiply the output by $\alpha = m^{-1/2}$: the kernel becomes $\alpha^2\Theta$ and vanishes as $1/m$. With the learning rate
# divided by $\alpha^2$ outputs still move at the same pace, but each parameter now has to move by order one.

# %%
mean_field = changes(nets, [m**-0.5 for m in widths])[1]
print("‖ΔΘ‖ / ‖Θ₀‖", *(f"{mean:.2f}" for mean in mean_field.mean(0)))
assert abs(ntk.power_law(jnp.array(widths), mean_field).exponent) < 0.05

# %% [markdown]
# The kernel changes by 1.74 to 1.79 times its size at every width: width alone does not make training linear, as Lénaïc
# Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019` point out.
#
# **Depth.** The limit is width to infinity at fixed depth. For ReLU with $\sigma_w^2 = 2$ and one hidden layer the relative
# variance of $\Theta(x, x)$ is $3/m$ exactly. Boris Hanin and Mihai Nica {cite}`hanin2020` show that for deep networks it
# is governed by the ratio $L/m$, and grows exponentially in it. At width 32, with the mean $2(L + 1)$ of the exercise on
# ReLU below:

# %%
keys = jax.random.split(jax.random.key(10), 1000)
stack = ntk.draw(ntk.mlp(32, 8, 1, ntk.relu), keys, (10,))
for depth in (1, 2, 4, 8):  # the first layers and the readout form a network
    net = ntk.mlp(32, depth, 1, ntk.relu, w_std=2**0.5)
    values = kernels(net, stack[: 2 * depth] + stack[-1:], x_train[:1])[:, 0, 0]
    mean, error = ntk.estimate((values / (2 * depth + 2) - 1) ** 2)
    print(f"depth {depth}: {mean:.3f} ± {error:.3f}, 3L/m = {3 * depth / 32:.3f}")
    assert mean > 3 * depth / 32 - 4 * error

# %% [markdown]
# What we see: the variance starts at $3/m$ and grows faster than $3L/m$: at depth 8 it is $1.4 \pm 0.2$, where $3L/m$ is 0.75.
# At that depth a width of 32 is not wide: single networks have kernels far from the limit.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** You double the width of a tanh network four times, from $m$ to $16m$. By what factor does $\lVert\Delta\Theta\rVert/\lVert\Theta_0\rVert$ in
# training fall?
#
# <details class="wrong"><summary>2</summary>
#
# That would be the rate $m^{-1/4}$, which belongs to the Jacobian of a ReLU network.
#
# </details>
# <details class="wrong"><summary>4</summary>
#
# This is how the Jacobian's change falls, as $m^{-1/2}$. In $J J^\top$ the change is nearly orthogonal to what was there.
#
# </details>
# <details class="right"><summary>16</summary>
#
# Yes: for smooth activations the kernel's relative change goes as $1/m$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** Two networks of infinite width are drawn with different seeds. What do they share?
#
# <details class="right"><summary>The tangent kernel, but not the function</summary>
#
# Yes: $\Theta$ obeys the law of large numbers; the function is one draw from a Gaussian process with covariance $K$.
#
# </details>
# <details class="wrong"><summary>The function, but not the tangent kernel</summary>
#
# The other way round: outputs are sums divided by $\sqrt m$ and stay random, the kernel is an average.
#
# </details>
# <details class="wrong"><summary>Both</summary>
#
# Outputs stay random of order one at every width, as the histogram shows.
#
# </details>
# <details class="wrong"><summary>Neither: everything depends on the seed</summary>
#
# The kernel's spread falls as $m^{-1/2}$, to nothing at infinite width.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** A model has 100 parameters and one output. Its kernel matrix on 300 examples
#
# <details class="wrong"><summary>is positive definite if no two examples coincide</summary>
#
# It is $J J^\top$ with $J$ of 100 columns, so at least 200 eigenvalues are zero.
#
# </details>
# <details class="right"><summary>has at least 200 zero eigenvalues</summary>
#
# Yes: the rank of $J J^\top$ is at most the number of parameters.
#
# </details>
# <details class="wrong"><summary>has exactly 100 negative eigenvalues</summary>
#
# None is negative: $v^\top\Theta\,v = \lVert J^\top v\rVert^2$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** Which kernel gives the covariance of outputs over random initializations?
#
# <details class="wrong"><summary>Θ, since it is built from the network's gradients</summary>
#
# $\Theta$ says how outputs move together in training, not how they vary over draws.
#
# </details>
# <details class="wrong"><summary>Θ − K, the part of the hidden layers</summary>
#
# That is what training the hidden layers adds to the kernel of training the readout alone.
#
# </details>
# <details class="right"><summary>K, the NNGP kernel</summary>
#
# Yes: $K$ is the last covariance $q^{(L)}_{12}$ of the recursion, and at one hidden layer exact at any width.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ The kernel of a linear model
# :label: ex-tangent-kernel-linear
#
# Compute $\Theta(x, x')$ of the model $f(x) = \frac{\sigma_w}{\sqrt d}\, w \cdot x + \sigma_b\, b$ with parameters $w, b$.
# Write it as a function `(x1, x2, w_std, b_std)`. Does it change in training?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The Jacobian is $\bigl(\frac{\sigma_w}{\sqrt d}\, x,\ \sigma_b\bigr)$. It does not contain the parameters.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# J J′ᵀ: weights give σ_w² x·x′ / d, the bias σ_b². Constant: J contains no parameter.
def linear_ntk(x1, x2, w_std, b_std):
    return w_std**2 * x1 @ x2 / len(x1) + b_std**2

ntk.exercises.tangent_kernel.check_linear_model(linear_ntk)

# %% [markdown]
# :::{exercise} ★★ Each layer's share
# :label: ex-tangent-kernel-shares
#
# $\Theta$ is a sum over parameters. Write a function `(f, params, x1, x2)` that returns, for a network with one output and
# without biases, the contribution of each layer, in order.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `jax.jacobian(f)(params, x)` has the structure of `params`; `jax.tree.leaves` lists one array a layer.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The gradients at both inputs, layer by layer, multiplied entry by entry and summed.
def contributions(f, params, x1, x2):
    rows = [jax.tree.leaves(jax.jacobian(f)(params, x)) for x in (x1, x2)]
    return jnp.stack([jnp.sum(a * b) for a, b in zip(*rows)])

ntk.exercises.tangent_kernel.check_layer_contributions(contributions)

# %% [markdown]
# :::{exercise} ★★ ReLU at x = x′
# :label: ex-tangent-kernel-relu
#
# For ReLU with $\sigma_w^2 = 2$, no bias, and $\lVert x\rVert^2 = d$, compute $\Theta_L(x, x)$ as a function of the number
# $L$ of hidden layers. Which layer contributes most?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# At $x = x'$: $\mathbb{E}[\varphi(u)^2] = q/2$ and $\mathbb{E}[\varphi'(u)^2] = \frac12$, as $u$ is positive half of the time.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# q stays 2, so Θ_ℓ = 2 + 2 · ½ Θ_{ℓ−1} with Θ_0 = 2: every layer contributes 2.
ntk.exercises.tangent_kernel.check_relu_diagonal(lambda depth: 2 * (depth + 1))

# %% [markdown]
# :::{exercise} ★★ The dual of the cosine
# :label: ex-tangent-kernel-cos
#
# Compute $\mathbb{E}[\cos u \cos v]$ for a centred Gaussian pair with covariances $q_{11}, q_{12}, q_{22}$, as a function of the three.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $\cos u \cos v = \frac12[\cos(u - v) + \cos(u + v)]$, and $\mathbb{E}[\cos z] = e^{-s/2}$ for a centred Gaussian $z$ of variance $s$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# u ± v has variance q11 + q22 ± 2 q12; the mean of both exponentials is a cosh.
def cos_dual(q11, q12, q22):
    return jnp.exp(-(q11 + q22) / 2) * jnp.cosh(q12)

ntk.exercises.tangent_kernel.check_dual_of_cos(cos_dual)

# %% [markdown]
# :::{exercise} ★★ A product without a matrix
# :label: ex-tangent-kernel-product
#
# Write a function `(f, params, x, v)` that returns $\Theta(X, X)\,v$ for $v$ of shape $(n, k)$ without forming any
# Jacobian, in at most four lines.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $\Theta v = J (J^\top v)$: `jax.vjp` of the batch's outputs gives $J^\top v$, `jax.jvp` along it gives the rest.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Jᵀ v is a change of the parameters; J turns it into a change of the outputs.
def ntk_times(f, params, x, v):
    outputs = lambda params: jax.vmap(f, (None, 0))(params, x)
    (direction,) = jax.vjp(outputs, params)[1](v)
    return jax.jvp(outputs, (params,), (direction,))[1]

ntk.exercises.tangent_kernel.check_ntk_vector_product(ntk_times)

# %% [markdown]
# :::{exercise} ★★★ From the standard parameterization
# :label: ex-tangent-kernel-parameterization
#
# Most libraries write $z = W h$ with $W \sim \mathcal{N}(0, \sigma_w^2/\text{fan-in})$ instead of the book's
# $z = \frac{\sigma_w}{\sqrt{\text{fan-in}}} W h$. The function is the same, the tangent kernel is not. By which factors must the
# learning rates of the two layers of a one-hidden-layer network be multiplied, so that the standard one trains
# like the book's? Write a function `(width, dim, w_std)` that returns `(hidden, readout)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# A learning rate of its own for a layer multiplies that layer's contribution to $\Theta$. Compare $\partial z/\partial W$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# With W_standard = σ_w/√fan_in · W, derivatives with respect to W carry that factor,
# and Θ its square. So standard learning rates times σ_w²/fan_in give the book's kernel.
def factors(width, dim, w_std):
    return w_std**2 / dim, w_std**2 / width

ntk.exercises.tangent_kernel.check_parameterization(factors)

# %% [markdown]
# ## Questions readers ask
#
# **Is the tangent kernel an approximation?** The kernel is exact: a product of derivatives at given parameters. That it stays what
# it is during training is the approximation, and this chapter measured its error.
#
# **Why is the NTK not the covariance of the gradients?** It is their inner product, not centred, at fixed parameters; the
# sum runs over parameters, not over draws.
#
# **Do I need the infinite limit if I have a finite network?** Not to compute a kernel: the linearization of that network
# has its own kernel at initialization. The limit says what all wide networks of one law have in common.
#
# **Does a fixed kernel mean that nothing is learned?** The function changes by order one; only its gradients hardly do.
# Features in the sense of new directions in $J$ are not learned, which later parts of the book examine.
#
# ## Summary
#
# - $\Theta(x, x') = J(x) J(x')^\top$ is symmetric, positive semi-definite, of rank at most $p$, and to first order decides
#   how outputs move: $\Delta f(x) = -\frac{\eta}{n}\Theta(x, X)(f(X) - y)$.
# - At infinite width it is given by a recursion over layers that needs only the duals $\hat\varphi, \hat\varphi'$; finite kernels
#   approach it, and their spread falls, with slope $-0.5$ (12 tanh networks, widths 32 to 2048).
# - Outputs at initialization become Gaussian with covariance $K$ and stay of order one.
# - In training, the Jacobian changes as $m^{-1/2}$ and the kernel as $m^{-1}$ for tanh, since the change of $J$ is nearly orthogonal to $J$;
#   for ReLU, as about $m^{-0.3}$ and $m^{-0.7}$ at these widths.
# - Only the law of the weights fixes the limit. In mean-field scaling the kernel changes by about 1.75 times its
#   size at every width; and depth has to stay small against width.
#
# ## What is next
#
# With a kernel that stays put, gradient flow is a linear equation, and
# {doc}`/book/linearization/training_dynamics` solves it. When the conditions fail, see
# {doc}`/book/linearization/when_it_fails`.
#
# ## Further reading
#
# - Arthur Jacot, Franck Gabriel and Clément Hongler {cite}`jacot2018` introduce the NTK and prove its limit and constancy, layer after layer.
# - Jaehoon Lee and co-authors {cite}`lee2019` show that wide networks train as linear models, with the experiments.
# - Sanjeev Arora and co-authors {cite}`arora2019` give bounds at finite width, and the kernel of convolutional networks.
# - Roman Novak and co-authors {cite}`novak2020` describe the library neural-tangents; Novak, Jascha Sohl-Dickstein and
#   Samuel Schoenholz {cite}`novak2022` the fast finite-width kernels.
# - Ethan Dyer and Guy Gur-Ari {cite}`dyer2020` count powers of the width with Feynman diagrams, a short route to $1/m$.
# - Boris Hanin and Mihai Nica {cite}`hanin2020` study depth and width growing together.
#
# <details class="teachers"><summary>For teachers</summary>
#
# **50 minutes.** First figure and its question (5); smallest network on the board (10); one step, with the prediction made
# aloud (10); law of large numbers for {eq}`eq-tangent-kernel-sum` and the concentration figure (15); stability figure, slopes guessed first (10).
#
# **90 minutes.** The above, then the recursion for ReLU with students filling in the code (15), NNGP against NTK (10), ReLU's
# exponents as group work (10), quiz (5). Exercises 1 to 3 as homework, 6 for those who use standard libraries.
#
# **Misconceptions, and the cell that dispels each.** "Infinite width makes the function deterministic": the histogram at
# width 256. "The kernel must change as the Jacobian does": the three panels of the stability figure. "Random initialization fixes the kernel": the cell
# that compares draws with laws. "Any wide network is in the kernel regime": the mean-field cell.
#
# </details>
