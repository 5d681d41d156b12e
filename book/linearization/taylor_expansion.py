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
# # A network is almost linear around its initialization
#
# **A first-order Taylor expansion in the parameters describes a wide network even after training, because the wider
# the network, the less its parameters need to move; here you measure how well, and how far it holds.**
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
# Take a random network and write down its tangent: the function that is *linear in the parameters* and agrees with the
# network, to first order, at initialization. Now train both by the same 2,000 steps of gradient descent on the same nine
# points, once with 8 hidden units and once with 2,048.

# %%
from functools import partial

outputs, rms = ntk.outputs, ntk.rms  # of all examples; root of the mean square
xs, grid = jnp.linspace(-1, 1, 9)[:, None], jnp.linspace(-1.4, 1.4, 141)[:, None]
ys = (1 - 0.3 * xs) * jnp.sin(4 * xs)

# %% [markdown]
# `ntk.linearize` makes the tangent, `ntk.train` trains either of them; what both do is explained below.

# %% mystnb={"image": {"alt": "Two panels with the same nine data points. Left, width 8: the trained network and the trained linearization are clearly different curves. Right, width 2048: both trained curves lie on each other, far from the dotted curve at initialization."}, "figure": {"caption": "A tanh network (solid) and its linearization at initialization (dashed), trained in the same way. At width 2,048 the two cannot be told apart, although both have left the curve they started from (dotted).", "name": "fig-taylor-surprise"}}
fig, axes = plt.subplots(1, 2, sharey=True, dpi=80)
for ax, width in zip(axes, (8, 2048)):
    net = ntk.mlp(width, 1, 1, ntk.tanh, w_std=3.0, b_std=1.0)  # depth 1, one output
    params0, _ = net.init(jax.random.key(3), (1,))
    (start, real), (_, linear) = (
        ntk.train(f, params0, xs, ys, ntk.gradient_descent(0.1), steps=[0, 2000],
                  record=partial(outputs, f, x=grid)).record
        for f in (net.apply, ntk.linearize(net.apply, params0)))
    ax.plot(grid, start, "k:", grid, real, "C0", grid, linear, "C1--", xs, ys, "ko")
    ax.set(title=f"width {width}", xlabel="x")
    print(f"width {width}: moved {rms(real - start):.2f}, gap {rms(real - linear):.4f}")
fig.legend(["start", "network", "linearization", "data"],
           loc="outside upper center", ncols=4)
plt.show()
assert rms(real - linear) < 0.01 * rms(real - start)  # width 2048: a percent

# %% [markdown]
# The distances are RMS values over the curve: at width 8 the network moves by 1.54 and ends 0.3419 away from its linearization, at width
# 2,048 it moves by 1.10 and ends 0.0042 away. This chapter explains why. Three questions lead through it: what the linearization is and what it costs,
# how its error grows with the update, and how large the update of a training step is.
#
# ## You will be able to
#
# - compute the two products with a Jacobian, jvp and vjp, by hand for a small network and in JAX for any other;
# - build the first-order expansion of a network in four lines, and say in what it is linear and in what it is not;
# - predict how its error shrinks with the update, for expansions of order 1, 2 and 3, and where a ReLU spoils this;
# - say in numbers what a "small" update is, and why a wide network can be trained by one.
#
# You need gradient descent, linear algebra and the chain rule. New symbols, all in {doc}`/book/notation`: $\theta, \theta_0$
# (parameters, now and at initialization), $f(x, \theta)$ (network), $J$ (Jacobian), $f^{\mathrm{lin}}$ (linearization), $m$
# (width), $p$ and $k$ (number of parameters and of outputs). An update is written $\delta = \theta - \theta_0$, its norm
# $\lVert\delta\rVert$ is that of all parameters taken as one long vector, and RMS is the root of a mean square.
#
# ## The smallest network, by hand
#
# One input, one hidden unit, no bias: $f(x, \theta) = a \tanh(w x)$ with two parameters $\theta = (a, w)$. We evaluate it at
# two inputs and treat the two values as one output vector. With $\tanh' = 1 - \tanh^2$, its derivatives are
#
# $$
# J = \begin{pmatrix} \tanh(w x_1) & a\,x_1 \bigl(1 - \tanh^2(w x_1)\bigr) \\
#                     \tanh(w x_2) & a\,x_2 \bigl(1 - \tanh^2(w x_2)\bigr) \end{pmatrix}.
# $$ (eq-taylor-small-jacobian)
#
# In JAX parameters are a *pytree*: here a dictionary, later tuples of dictionaries of arrays. The Jacobian then has the same
# shape as the parameters, one array of derivatives for each of their arrays.

# %%
small = lambda params, x: params["a"] * jnp.tanh(params["w"] * x)  # f(x, θ)
theta, x_small = {"a": 2.0, "w": 0.5}, jnp.array([1.0, -2.0])
t = jnp.tanh(theta["w"] * x_small)
J = {"a": t, "w": theta["a"] * x_small * (1 - t**2)}  # on paper: the columns of J
print("df/da:", *(f"{e:.6f}" for e in J["a"]),
      "  df/dw:", *(f"{e:.6f}" for e in J["w"]))
in_jax = jax.jacrev(small)(theta, x_small)
assert all(jnp.allclose(J[n], in_jax[n], rtol=1e-12) for n in J)

# %% [markdown]
# ### Two ways through a Jacobian
#
# A Jacobian with a million columns is never written down. What is needed are its products with vectors, from either side.
#
# :::{prf:definition} Jacobian, jvp and vjp
# :label: def-jacobian-products
#
# For an output in $\mathbb{R}^k$ and parameters in $\mathbb{R}^p$, the *Jacobian* is the $k \times p$ matrix
# $J = \partial f / \partial \theta$. The *Jacobian–vector product* (jvp) takes a direction $v \in \mathbb{R}^p$ of the
# parameters to $J v \in \mathbb{R}^k$, the rate at which the outputs change along it. The *vector–Jacobian product* (vjp) takes
# weights $u \in \mathbb{R}^k$ of the outputs to $J^\top u \in \mathbb{R}^p$, the gradient of the number $u \cdot f$.
#
# :::
#
# By hand, a jvp carries a value and its rate of change through the network from the input on, and a vjp carries a
# weight from the output back. For our network with $z = w x$ and the direction $v = (\dot a, \dot w)$,
#
# $$
# \dot z = \dot w\, x, \quad \dot f = \dot a \tanh z + a\,(1 - \tanh^2 z)\,\dot z;
# \qquad
# \bar a = \sum_i u_i \tanh z_i, \quad \bar w = \sum_i u_i\, a\,(1 - \tanh^2 z_i)\,x_i .
# $$ (eq-taylor-products)

# %%
v, u, g = {"a": 0.1, "w": -0.2}, jnp.array([1.0, 3.0]), partial(small, x=x_small)
forward = v["a"] * t + theta["a"] * (1 - t**2) * v["w"] * x_small  # J v
backward = {"a": u @ t, "w": u @ (theta["a"] * (1 - t**2) * x_small)}  # Jᵀu
Jv, Jtu = jax.jvp(g, (theta,), (v,))[1], jax.vjp(g, theta)[1](u)[0]
print("Jv:", *(f"{e:.6f}" for e in forward),
      "  Jᵀu:", *(f"{backward[n]:.6f}" for n in "aw"))
agree = jax.tree.map(jnp.allclose, (forward, backward), (Jv, Jtu))
assert jax.tree.all(agree)  # rounding

# %% [markdown]
# The two products belong to one matrix, so they must satisfy $\langle J v, u \rangle = \langle v, J^\top u \rangle$ for every
# $v$ and $u$. This *adjointness* is the best test of derivatives written by hand, for it needs no other derivative to compare
# with. We check it on a network that no one would differentiate on paper: two hidden layers of 64 tanh units, 32 handwritten
# digits reduced to ten principal components, all outputs at once.
#
# <details class="answer"><summary>Predict before you run: how many jvps would give all of this Jacobian, and how many vjps?</summary>
#
# A jvp along the $j$-th unit vector is column $j$, so it takes $p$ of them; a vjp with the $i$-th unit vector is row $i$, so it
# takes one for each of the 32 outputs.
#
# </details>

# %%
keys, direction_keys = jax.random.split(jax.random.key(1), (2, 16))
net = ntk.mlp(64, depth=2, num_outputs=1, activation=ntk.tanh)
stack0, directions = (ntk.draw(net, k, (10,)) for k in (keys, direction_keys))
params0, v = jax.tree.map(lambda leaf: leaf[0], (stack0, directions))  # the first seed

# %% [markdown]
# A direction is drawn like the parameters, since it has their shapes. As weights $u$ of
# the outputs we take the targets $y$. The inner product of two pytrees is that of their entries in one long vector.

# %%
digits = ntk.datasets.digits(jax.random.key(0), 32, 100, num_components=10)
x, y = digits.x_train, digits.y_train
F = partial(outputs, net.apply, x=x)
flat = lambda tree: jax.flatten_util.ravel_pytree(tree)[0]
f0, Jv = jax.jvp(F, (params0,), (v,))
left, right = jnp.vdot(Jv, y), flat(v) @ flat(jax.vjp(F, params0)[1](y)[0])  # u = y
print(f"J is {y.size} x {flat(v).size}; <Jv, u> = {left:.6f}, <v, Jᵀu> = {right:.6f}")
assert jnp.allclose(left, right, rtol=1e-10)  # sums over 4,800 parameters, in float64

# %% [markdown]
# The cost of the two is what makes them useful. Forward mode runs the network once with a tangent beside each number: a
# small multiple of one evaluation, in time and memory, *whatever* $p$. Reverse mode also costs a small multiple of one
# evaluation, *whatever* $p$, but it must keep all intermediate values until it comes back; the survey of Baydin, Pearlmutter,
# Radul and Siskind {cite}`baydin2018` has the details. Training uses vjps, because a loss is one number: one row.
# Linearization, next, uses jvps, because an update is one direction.
#
# ## The first-order expansion
#
# :::{prf:definition} Linearization
# :label: def-linearization
#
# The *linearization* of a network around $\theta_0$ is its first-order Taylor polynomial in the parameters,
#
# $$
# f^{\mathrm{lin}}(x, \theta) = f(x, \theta_0) + J(x)\,(\theta - \theta_0), \qquad
# J(x) = \frac{\partial f(x, \theta_0)}{\partial \theta}.
# $$ (eq-taylor-linearization)
#
# :::
#
# One jvp gives both terms. Written out, it is the whole algorithm:

# %%
def f_lin(params, x):
    delta = jax.tree.map(jnp.subtract, params, params0)
    f0, change = jax.jvp(lambda p: net.apply(p, x), (params0,), (delta,))
    return f0 + change

def move(params0, delta, s):  # θ₀ + s δ
    return jax.tree.map(lambda p, d: p + s * d, params0, delta)

params, package = move(params0, v, 0.1), ntk.linearize(net.apply, params0)
assert jnp.allclose(outputs(f_lin, params, x), outputs(package, params, x), rtol=1e-12)

# %% [markdown]
# From here on we use `ntk.linearize`. The word *linear* needs one more look, for it is a frequent source of confusion.
#
# <details class="answer"><summary>Predict before you run: is the linearization of a network a straight line when plotted against x?</summary>
#
# No. $f^{\mathrm{lin}}$ is affine in $\theta$ with $x$ held fixed. Against $x$ it is a sum of $f(x, \theta_0)$ and of entries of
# $J(x)$, all of which are nonlinear functions of $x$: a linear model on fixed nonlinear *features*, the entries of $J(x)$.
#
# </details>

# %% mystnb={"image": {"alt": "Left panel: four smooth, clearly curved functions of x, the linearization at four parameters. Right panel: against the step s, the network's output at two inputs bends while its linearization is a straight line that touches it at s = 0."}, "figure": {"caption": "One expansion seen twice. Left: as a function of the input, at four parameters θ₀ + sδ. Right: as a function of the step s, at two fixed inputs; the network solid and the linearization dashed.", "name": "fig-taylor-linear-in-what"}}
curved = ntk.mlp(32, depth=1, num_outputs=1, activation=ntk.tanh, w_std=3.0, b_std=1.0)
p0, d = (curved.init(jax.random.key(i), (1,))[0] for i in (5, 6))
ss = jnp.linspace(-1.5, 1.5, 61)  # one row a step s, one column an input x
path = lambda f: jax.jit(jax.vmap(lambda s: outputs(f, move(p0, d, s), grid)[:, 0]))(ss)
real, linear = path(curved.apply), path(ntk.linearize(curved.apply, p0))
fig, (left, right) = plt.subplots(1, 2, dpi=80)
left.plot(grid, linear[::20].T, label=[f"s = {s:.1f}" for s in ss[::20]])
right.plot(ss, real[:, [30, 100]], "C5", ss, linear[:, [30, 100]], "k--")
left.set(xlabel="input x"), right.set(xlabel="step s"), left.legend(fontsize=9)
plt.show()
assert jnp.allclose(jnp.diff(linear, 2, axis=0), 0, atol=1e-12)  # straight in s

# %% [markdown]
# What we see: the curves on the left bend, the dashed ones on the right do not; their second differences vanish up to rounding. Linearization gives up nothing of
# the network's nonlinearity in its input; it freezes the features.
#
# ## How fast the error vanishes
#
# :::{prf:theorem} Remainder of a Taylor expansion
# :label: thm-remainder
#
# Let $g(s) = f(x, \theta_0 + s\delta)$ have $q + 1$ continuous derivatives on $[0, 1]$, and let
# $T_q(\delta) = \sum_{r=0}^{q} g^{(r)}(0)/r!$ be the expansion of order $q$. Then
#
# $$
# \lVert f(x, \theta_0 + \delta) - T_q(\delta) \rVert \;\le\; \frac{1}{(q+1)!} \max_{0 \le s \le 1} \lVert g^{(q+1)}(s) \rVert ,
# \qquad g^{(q+1)}(s) = \partial_\theta^{q+1} f(x, \theta_0 + s\delta)[\delta, \dots, \delta].
# $$ (eq-taylor-remainder)
#
# :::
#
# This is Taylor's theorem on a line. The right-hand side is of degree $q + 1$ in $\delta$, so a direction of size $s$ leaves
# an error of order $s^{q+1}$: on logarithmic axes, slope $q + 1$. For $q = 1$ it reads
# $\lVert f - f^{\mathrm{lin}} \rVert \le \tfrac12 \max_s \lVert \delta^\top H \delta \rVert$ with $H$ the second derivatives, the
# *Hessian* of each output.
#
# <details class="answer"><summary>Predict before you run: which slopes do the orders 1, 2 and 3 have, and where do the lines end?</summary>
#
# Slopes 2, 3 and 4. To the left each line ends in rounding: float64 has 16 digits, so that no difference of numbers of order one
# can be known better than about $10^{-16}$. To the right, further terms of the series become visible.
#
# </details>
#
# `ntk.taylor_expand` gives an expansion of any order by differentiating along the line, as in {prf:ref}`thm-remainder`. We take 16
# random networks, a random direction for each, and the RMS remainder over the 32 digits. As the direction $\delta$ is drawn like $\theta_0$,
# it has nearly the same norm, and $s$ *is* the relative size of the update, $\lVert s\delta \rVert / \lVert \theta_0 \rVert \approx s$.

# %%
@partial(jax.jit, static_argnames=("f", "order"))
def remainder(f, stack0, directions, ss, order):  # RMS over examples; a row a seed
    def at(params0, delta, s):
        value = lambda g: outputs(g, move(params0, delta, s), x)
        return rms(value(f) - value(ntk.taylor_expand(f, params0, order)))
    return jax.vmap(jax.vmap(at, (None, None, 0)), (0, 0, None))(stack0, directions, ss)

# %% [markdown]
# The slope of each order is fitted, seed by seed, where the remainder is above rounding and the step below 0.03.

# %% mystnb={"image": {"alt": "Remainder against relative step size on logarithmic axes for expansions of order 1, 2 and 3. The three lines have slopes 2, 3 and 4, follow the dashed theory lines, and the last two end on a plateau at rounding, near ten to the minus sixteen."}, "figure": {"caption": "Remainders of the expansions of order 1, 2 and 3 (mean over 16 seeds, error bars too small to see), with slopes 2, 3 and 4 dashed. The plateau at the bottom is float64 rounding.", "name": "fig-taylor-orders"}}
ss, (fig, ax) = jnp.logspace(-6, 0, 25), plt.subplots(dpi=80)
for order in (1, 2, 3):
    errors = remainder(net.apply, stack0, directions, ss, order)
    clean = (errors.min(0) > 1e-13) & (ss < 0.03)
    fit = ntk.power_law(ss[clean], errors[:, clean])
    print(f"order {order}: slope {fit.exponent:.3f} ± {fit.standard_error:.3f}")
    label = f"order {order}: slope {fit.exponent:.2f}"
    ax.loglog(ss, errors.mean(0), "o", ms=4, label=label)
    ax.loglog(ss, fit.prefactor * ss ** (order + 1), **ntk.plotting.THEORY)
    assert abs(fit.exponent - (order + 1)) < 0.05  # the next order bends it less
ax.set(xlabel="‖δ‖ / ‖θ₀‖", ylabel="remainder (RMS)", ylim=(1e-17, 10)), ax.legend()
plt.show()

# %% [markdown]
# What we see: the slopes are 2.000, 3.000 and 4.000. The two higher orders end on a floor near $10^{-16}$, the rounding of
# float64: there a better expansion is no better. At $s = 1$, where the parameters have moved as far as they are long, the
# errors of all three orders are alike, and of order one.
#
# ## A kink
#
# The theorem asks for continuous derivatives, and ReLU has none at zero. What holds instead is more precise than "it is not
# smooth".
#
# :::{prf:proposition} ReLU networks are piecewise polynomial in their parameters
# :label: prop-relu-pieces
#
# Let $f$ be a fully connected ReLU network with $L$ hidden layers, and fix the inputs. The parameters fall into regions
# according to which units are active on which inputs. Within a region $f$ is a polynomial of degree at most $L + 1$ in $\theta$, and it is
# affine in the parameters of each single layer (piecewise multilinear). So, as long as the segment from $\theta_0$ to
# $\theta$ stays in one region, the Taylor expansion of order $L + 1$ is *exact*, and the remainder of order 1 has
# slope 2 as for a smooth network. Beyond the first kink neither holds.
#
# :::
#
# *Proof.* With the pattern of active units given, each ReLU is a multiplication by 0 or 1, so the network is a product of $L + 1$ layers,
# each affine in its own parameters. $\square$
#
# With one hidden layer the pre-activations move on straight lines, $z + s\,\dot z$, so that the first kink on the way is the
# smallest positive $-z/\dot z$ over all units and inputs. We measure each seed's steps in units of it.
#
# <details class="answer"><summary>Predict before you run: which slope does the remainder have after many kinks?</summary>
#
# A kink passed at $s_j$ adds an error that grows as $\pm(s - s_j)$: linear in $s$, with the sign of the unit's readout weight.
# At $s$ times the first kink there are about $s$ such terms, of random signs, so together they are of order
# $\sqrt{s} \cdot s = s^{3/2}$. Slope 3/2, until the smooth part, which grows as $s^2$, takes over again.
#
# </details>

# %%
wide = ntk.mlp(2048, depth=1, num_outputs=1, activation=ntk.relu)
wide0, wide_directions = (ntk.draw(wide, k, (10,)) for k in (keys, direction_keys))
crossings = -(x @ wide0[0]["w"]) / (x @ wide_directions[0]["w"])  # -z / z'
kink = jnp.where(crossings > 0, crossings, jnp.inf).min((1, 2))  # each seed's first
print(f"first kink at s = {kink.min():.0e} to {kink.max():.0e}")

# %% [markdown]
# Now rescale each direction so that a step of 1 ends at the first kink, and measure the expansions of order 1 and 2.

# %%
unit = jax.tree.map(lambda leaf: leaf * kink[:, None, None], wide_directions)
ss = jnp.logspace(-1.51, 2.49, 25)  # not 1 itself, where rounding would decide
early, late = ss < 0.99, ss > 29
first, second = (remainder(wide.apply, wide0, unit, ss, order) for order in (1, 2))
before, after = (ntk.power_law(ss[part], first[:, part]) for part in (early, late))
print(f"slope {before.exponent:.3f}, "
      f"then {after.exponent:.2f} ± {after.standard_error:.2f}")
assert abs(before.exponent - 2) < 0.001 and second[:, early].max() < 1e-13  # exact
assert abs(after.exponent - 1.5) < 0.1  # 3/2 within three standard errors

# %% [markdown]
# The first number is the slope before the first kink, the second that beyond 30 times its distance.

# %% mystnb={"image": {"alt": "Remainder of the linearization of ReLU networks against the distance in units of the first kink, one line a seed. All lines are straight with slope 2 up to distance 1, nearly all jump upwards just after it by one to three powers of ten, and then all run about parallel to a dashed line of slope three halves."}, "figure": {"caption": "Remainder of the linearization of 16 ReLU networks along a random line (colours), in units of the distance to the first kink. Dashed: slope 2 before it, slope 3/2 after many.", "name": "fig-taylor-kinks"}}
fig, ax = plt.subplots(dpi=80)
ax.loglog(ss, first.T, lw=0.8)
ax.loglog(ss[early], 30 * before(ss[early]), "k--",
          ss[late], 10 * after(ss[late]), "k--")
ax.set(xlabel="distance, in units of the first kink", ylabel="remainder (RMS)")
plt.show()

# %% [markdown]
# What we see: up to the first kink the slope is 2.000, and order 2 is exact up to rounding, as {prf:ref}`prop-relu-pieces` says for
# $L = 1$. But the first of 32 × 2,048 pre-activations reaches its kink early, at relative updates from 5e-06 to 3e-04. Just beyond,
# most remainders jump by a power of ten or more, and after many kinks they grow with slope 1.51 ± 0.04, near 3/2. A ReLU network too is
# nearly linear for small steps; only, no derivative at $\theta_0$ says how nearly, because none of them sees the kinks.
#
# ## What "small" means, in numbers
#
# So far the direction was random. Training does not move at random: it goes downhill, so its first step is along
# $\delta \propto -\nabla_\theta \text{loss} \propto J^\top (y - f_0)$, one vjp. We now ask of such a step what a practitioner would ask. The
# outputs have to change by order one, say by 1 in RMS over the training examples. How far must the parameters move for that, and how much of the
# change does the linearization miss?
#
# :::{prf:definition} Relative update and linearization error
# :label: def-linearization-error
#
# The *relative update* is $\lVert\delta\rVert / \lVert\theta_0\rVert$ (`ntk.parameter_change(params0, params).total`). The
# *linearization error* is $\lVert f - f^{\mathrm{lin}} \rVert / \lVert f - f_0 \rVert$ at $\theta_0 + \delta$, the share of the change that
# the expansion misses (`ntk.linearization_error`), with norms over all outputs on a set of examples.
#
# :::
#
# Counting answers both questions for one hidden layer, $f = m^{-1/2} \sum_{j=1}^m a_j\, \varphi(z_j)$ with
# $z_j = w_j \cdot x / \sqrt d$ and all parameters of order one. The derivatives $\partial f/\partial a_j = m^{-1/2} \varphi(z_j)$
# and $\partial f/\partial w_j = m^{-1/2} a_j \varphi'(z_j)\, x / \sqrt d$ are of order $m^{-1/2}$ each, so that
# $\lVert \nabla_\theta f \rVert^2$, a sum of order $m$ of their squares, is of order one.
#
# 1. **Along the gradient**, $\delta = c\, \nabla_\theta f$ changes the output by $c \lVert \nabla_\theta f \rVert^2$. Order one takes
#    $\lVert \delta \rVert$ of order one, while $\lVert \theta_0 \rVert \approx \sqrt p$ grows as $m^{1/2}$. *The relative update is of order* $m^{-1/2}$.
# 2. **Along a random direction** the changes $J\delta$ add with random signs, to about
#    $\lVert \nabla_\theta f \rVert \lVert \delta \rVert / \sqrt{p}$. Order one takes $\lVert \delta \rVert$ of order $\sqrt p$, that is
#    a relative update of order one *at every width*.
# 3. **The error** along the gradient starts with $\tfrac12 \delta^\top H \delta$, where unit $j$ contributes
#    $m^{-1/2} \bigl[\delta a_j\, \varphi'(z_j)\, \delta z_j + \tfrac12 a_j\, \varphi''(z_j)\, \delta z_j^2 \bigr]$.
#    As $\delta a_j$ and $\delta z_j$ are of order $m^{-1/2}$, this is $m^{-3/2}$. Were all signs equal, $m$ units would give
#    $m^{-1/2}$. But $\delta a_j \propto \varphi(z_j)$ and $\delta z_j \propto a_j \varphi'(z_j)$ make each term odd in $a_j$, which
#    is positive or negative with equal chance: the sum is of order $\sqrt m \cdot m^{-3/2} = m^{-1}$. The third-order terms are $m^{-2}$ each and
#    even in $a_j$: again $m^{-1}$ in total.
#
# <details class="answer"><summary>Predict before you run: what changes in point 3 for a ReLU, where φ″ is zero off the kink?</summary>
#
# A pre-activation moves by about $m^{-1/2}$, so about that fraction of the units passes its kink: $\sqrt m$ of them. Each adds
# $m^{-1/2} \cdot m^{-1/2} = m^{-1}$ with the sign of $a_j$, together $\sqrt{\sqrt m} \cdot m^{-1} = m^{-3/4}$.
# The kinks outweigh the smooth terms.
#
# </details>

# %%
cs = jnp.logspace(-2, 2, 17)  # RMS change of the outputs, as the linearization has it

@partial(jax.jit, static_argnames="f")
def measure(f, stack0, directions):  # no directions: downhill; one row a seed
    def one(params0, delta):
        F = partial(outputs, f, x=x)
        delta = delta or jax.grad(lambda p: -ntk.squared_loss(F(p), y))(params0)
        slope = rms(jax.jvp(F, (params0,), (delta,))[1])
        step = lambda c: move(params0, delta, c / slope)
        error = lambda c: ntk.linearization_error(f, params0, step(c), x)
        return ntk.parameter_change(params0, step(1.0)).total, jax.vmap(error)(cs)
    return jax.vmap(one)(stack0, directions)

# %% [markdown]
# The smaller networks are cut from the wide ones: as all parameters are drawn from $\mathcal N(0, 1)$, the first $m$ units are a
# random network of width $m$. Three widths, 16 seeds at each, three cases: a tanh network moved downhill, the same network moved at random, and a ReLU network
# moved downhill.

# %%
def narrow(stack, width):  # the first hidden units
    return ({"w": stack[0]["w"][..., :width]}, (), {"w": stack[2]["w"][:, :width]})

widths, updates, errors = [32, 256, 2048], {}, {}
for case, phi, given in (("tanh, random", ntk.tanh, wide_directions),
                         ("ReLU, downhill", ntk.relu, None),
                         ("tanh, downhill", ntk.tanh, None)):
    rows = [measure(ntk.mlp(m, 1, 1, phi).apply, narrow(wide0, m),
                    given and narrow(given, m)) for m in widths]
    updates[case], errors[case] = (jnp.stack(values, 1) for values in zip(*rows))

# %% [markdown]
# `updates` and `errors` have a row for each seed and a column for each width; `errors` also an axis for the 17 step
# sizes, of which number 8 changes the outputs by 1.

# %% mystnb={"image": {"alt": "Two panels against width on logarithmic axes. Left: the relative update that changes the outputs by one falls with slope minus one half for both downhill cases and stays near one at random. Right: the linearization error falls with slope minus one for tanh and minus three quarters for ReLU, both downhill, and stays near 0.8 for a random direction."}, "figure": {"caption": "A step that changes the outputs by 1 (RMS), at three widths, mean and standard error over 16 seeds. Left: the relative update it takes. Right: the share of the change that the linearization misses. Dashed: theory.", "name": "fig-taylor-widths"}}
theory = {"tanh, random": (0, 0), "ReLU, downhill": (-0.5, -0.75),
          "tanh, downhill": (-0.5, -1)}
fig, axes = plt.subplots(1, 2, figsize=(6.8, 4), dpi=80)
for case, slopes in theory.items():
    for ax, values, slope in zip(axes, (updates[case], errors[case][:, :, 8]), slopes):
        fit = ntk.plotting.scaling(ax, widths, values, theory=slope, label=case)
        assert abs(fit.exponent - slope) < 0.1  # three standard errors at most
ylabels = ("relative update", "linearization error")
for ax, what, low in zip(axes, ylabels, (1e-3, 1e-6)):
    ntk.plotting.widths_axis(ax, widths, what, ylim=(low, 3), fontsize=8)
plt.show()

# %% [markdown]
# What we see: downhill, the relative update needed falls with slope −0.50 ± 0.01 (theory −1/2). At random it stays near one
# (0.00 ± 0.02): the parameters would have to be replaced, at any width. So width alone does not make a network linear. It lets the *gradient*,
# which adds up small contributions of all parameters with the right signs, do its work in an ever smaller relative update.
#
# The error of the downhill step falls with slope −0.96 ± 0.03 for tanh (theory −1) and −0.79 ± 0.04 for ReLU (theory −3/4). Compare the
# bound of {prf:ref}`thm-remainder`. The Hessian couples only the parameters of one unit, with entries of order $m^{-1/2}$, so (up to a logarithm) it gives
# $\tfrac12 \lVert H \rVert \lVert \delta \rVert^2$ of order $m^{-1/2}$. Lénaïc Chizat, Edouard Oyallon and Francis
# Bach {cite}`chizat2019` argue with norms in this way. It holds for every direction of that length; the direction of
# training does better, because random signs cancel. *A bound is not a rate.* That kernels of wide networks change as $m^{-1}$ was found by Ethan
# Dyer and Guy Gur-Ari {cite}`dyer2020`, who count such terms by diagrams.
#
# A curve for each width says how far the expansion holds.

# %% mystnb={"image": {"alt": "Linearization error against relative update on logarithmic axes for widths 32, 256 and 2048. Each curve rises first with slope one, then more steeply, and the three come together where the error is about a tenth. A dot on each curve marks the step that changes the outputs by one; it moves down and left with width."}, "figure": {"caption": "Linearization error of a downhill step against its relative size (tanh, mean over 16 seeds). Dots: the step that changes the outputs by 1 (RMS).", "name": "fig-taylor-small"}}
fig, ax = plt.subplots(dpi=80)
for i, width in enumerate(widths):
    u, e = (values["tanh, downhill"][:, i].mean(0) for values in (updates, errors))
    ax.loglog(u * cs, e, "o-", markevery=[8], ms=8, label=f"width {width}")
    tenth = u * jnp.exp(jnp.interp(jnp.log(0.1), jnp.log(e[:14]), jnp.log(cs[:14])))
    print(f"width {width}: update {u:.3f}, error {e[8]:.5f}; a tenth at {tenth:.2f}")
    assert 0.2 < tenth < 0.4  # the same at all widths, up to second-order terms
ax.set(xlabel="relative update, ‖δ‖ / ‖θ₀‖", ylabel="linearization error"), ax.legend()
plt.show()

# %% [markdown]
# What we see: each curve has two parts. To the left the error grows in proportion to the step, and wider networks err less at the same
# relative step: these are the second-order terms with their random signs. Farther right the slope is nearly two and the curves
# come together: these are the third-order terms, which add up whatever the width. A tenth of the change is missed at relative updates of
# 0.24, 0.30 and 0.32, nearly the same for all three. So, for this architecture, small means *well below a quarter of the parameters' norm*.
# Width hardly moves this limit. It moves the step that training needs, from 0.141 at width 32 to 0.018 at width 2,048, where the
# expansion misses 0.05060 and 0.00092 of the change.
#
# ## A first taste of training
#
# Training takes many steps, and each starts where the last one ended. Does the expansion around $\theta_0$ still hold at the
# end? We train network and linearization side by side, from the same start and with the same learning rate, on the parity of
# the 32 digits (+1 for even, −1 for odd), and compare their outputs on 100 digits that neither has seen.
#
# <details class="answer"><summary>Predict before you run: by which factor does the gap between the two shrink from width 16 to width 1,024?</summary>
#
# If the count for one step carries over to all of training, the gap goes as $m^{-1}$: a factor of 64.
#
# </details>

# %%
eight = jax.tree.map(lambda leaf: leaf[:8], wide0)
steps, gaps = jnp.arange(0, 201, 10), []
run = lambda f, params0: ntk.train(
    f, params0, x, y, ntk.gradient_descent(0.5), steps=steps,
    record=lambda p: outputs(f, p, digits.x_test)[:, 0]).record

# %% [markdown]
# `run` trains one model from given parameters and records its test outputs on the way; `jax.vmap` trains eight seeds at once.

# %% mystnb={"image": {"alt": "Two panels, widths 16 and 1024: outputs on five test digits against training time. At width 16 the dashed curves drift away from the solid ones; at width 1024 they coincide."}, "figure": {"caption": "Outputs on five test digits during training, for one seed: the network solid and blue, the linearization dashed and orange. Targets are +1 for even and −1 for odd digits.", "name": "fig-taylor-training"}}
fig, axes = plt.subplots(1, 2, sharey=True, dpi=80)
for ax, width in zip(axes, (16, 1024)):
    f = ntk.mlp(width, depth=1, num_outputs=1, activation=ntk.tanh).apply
    both = lambda p, f=f: (run(f, p), run(ntk.linearize(f, p), p))
    real, linear = jax.jit(jax.vmap(both))(narrow(eight, width))  # seed, time, digit
    ax.plot(0.5 * steps, real[0, :, :5], "C0", 0.5 * steps, linear[0, :, :5], "C1--")
    ax.set(title=f"outputs, width {width}", xlabel="time t = η · step")
    moved, gap = (rms(real[:, -1] - other, 1) for other in (real[:, 0], linear[:, -1]))
    print(f"width {width}: moved by {moved.mean():.2f}, gap {gap.mean():.4f}")
    gaps.append(gap)
plt.show()
fit = ntk.power_law([16, 1024], jnp.stack(gaps, 1))
print(f"gap against width: slope {fit.exponent:.2f} ± {fit.standard_error:.2f}")
assert abs(fit.exponent + 1) < 0.2  # leading order −1; width 16 is not yet asymptotic

# %% [markdown]
# What we see: at both widths the outputs move by about one, 0.90 and 0.98, and the gap to the linearization falls from 0.1142 to
# 0.0029. As a power of the width that is −0.88 ± 0.03, less steep than the leading order −1: at width 16 higher orders still
# count. {doc}`/book/linearization/training_dynamics` measures this over more widths and writes down the dashed curves
# without any training.
#
# ## Where it breaks
#
# **Large steps.** At the right end of {numref}`fig-taylor-small` the error passes one: the linearization is wrong by more than the
# change itself. There the tanh units saturate and the network stops changing, while a straight line goes on. A higher order is
# no remedy: in {numref}`fig-taylor-orders` orders 2 and 3 lose their advantage as $s$ comes near 1.
#
# **Kinks.** For ReLU all orders beyond the degree of the polynomial give the same expansion, and all are blind to kinks passed on
# the way. Errors extrapolated from a tiny step are then too small, as in {numref}`fig-taylor-kinks`: measure them at the step you mean.
#
# **Narrow networks.** At width 8 the first figure shows a network 0.3419 away from its linearization after a change of 1.54. More ways to
# fail, among them too large a learning rate, are the subject of {doc}`/book/linearization/when_it_fails`.
#
# **Low precision.** A difference quotient $(f(\theta_0 + hv) - f(\theta_0))/h$ looks like a cheap substitute for a jvp. Its error
# has two parts: the remainder, which by {prf:ref}`thm-remainder` grows as $h$, and rounding, which is divided by $h$ and grows as $1/h$.
#
# <details class="answer"><summary>Predict before you run: how accurate can the quotient be in float32, and the jvp?</summary>
#
# Rounding contributes $\epsilon/h$ with $\epsilon \approx 10^{-7}$, so the sum $h + \epsilon/h$ is least at $h \approx \sqrt\epsilon$,
# where it is about $3 \cdot 10^{-4}$: half of the digits are lost. A jvp subtracts nothing and keeps an error near $\epsilon$ itself.
#
# </details>

# %%
low = jax.tree.map(lambda leaf: leaf.astype("float32"), (params0, v, x))
F32, hs = jax.jit(partial(outputs, net.apply, x=low[2])), [10.0**-k for k in range(9)]
values = [(F32(move(*low[:2], h)) - F32(low[0])) / h for h in hs]
values += [jax.jvp(F32, low[:1], low[1:2])[1]]  # and last the jvp, in float32 as well
*of_quotients, of_jvp = (rms(value - Jv) / rms(Jv) for value in values)
print("best quotient within 1e-5:", min(of_quotients) < 1e-5, "| jvp:", of_jvp < 1e-5)
assert of_jvp < 1e-5 < min(of_quotients)  # eps = 1e-7; its square root is 3e-4

# %% [markdown]
# What we see: in float32 none of the steps from 1 to $10^{-8}$ gives five digits, while the jvp does. The same cancellation waits in
# $f(\theta) - f(\theta_0)$ when the parameters hardly move; this book computes in float64 throughout.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** In which variable is $f^{\mathrm{lin}}(x, \theta)$ affine?
#
# <details class="wrong"><summary>in x, for fixed θ</summary>
#
# No: $f(x, \theta_0)$ and $J(x)$ are nonlinear functions of $x$, see {numref}`fig-taylor-linear-in-what`.
#
# </details>
# <details class="right"><summary>in θ, for fixed x</summary>
#
# Yes: $J(x)$ is taken at $\theta_0$, so $\theta$ occurs only in $\theta - \theta_0$.
#
# </details>
# <details class="wrong"><summary>in both, taken together</summary>
#
# No: the product of $J(x)$ and $\theta - \theta_0$ is not affine in the pair, and $J(x)$ alone is already nonlinear in $x$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** What does it take to evaluate $f^{\mathrm{lin}}$ at one $\theta$, for a network with a million parameters and one output?
#
# <details class="wrong"><summary>the whole Jacobian, stored once</summary>
#
# It would do, but a million numbers an example are stored for nothing when only one product with them is wanted.
#
# </details>
# <details class="wrong"><summary>a vjp</summary>
#
# A vjp gives $J^\top u$, a million numbers. Here their product with $\theta - \theta_0$ is wanted: one number.
#
# </details>
# <details class="wrong"><summary>a million jvps, one a parameter</summary>
#
# That would give all columns of $J$; only one combination of them is needed.
#
# </details>
# <details class="right"><summary>a single jvp along θ − θ₀</summary>
#
# Yes: it returns $f(x, \theta_0)$ and $J(x)(\theta - \theta_0)$ together, at the cost of a few evaluations.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** Why does a wide network, trained to change its outputs by order one, stay close to its linearization?
#
# <details class="right"><summary>many parameters contribute a little each, so the relative update is small</summary>
#
# Yes: the gradient collects $m$ contributions of one sign, so each parameter need move only by about $m^{-1/2}$.
#
# </details>
# <details class="wrong"><summary>its function hardly changes</summary>
#
# No: the outputs moved by about one at both widths in {numref}`fig-taylor-training`. Parameters move little, the function does not.
#
# </details>
# <details class="wrong"><summary>wide networks are linear, whatever the update</summary>
#
# No: along a random direction the error of a change of order one is the same at all widths, and near one.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** A ReLU network has one hidden layer, and no unit changes between active and inactive on the way. Which expansion is exact?
#
# <details class="wrong"><summary>order 1</summary>
#
# No: input and readout weights multiply each other, so moving both leaves a term of second order.
#
# </details>
# <details class="right"><summary>order 2</summary>
#
# Yes: two layers, each affine in its own parameters, make a polynomial of degree two.
#
# </details>
# <details class="wrong"><summary>none, as ReLU is not differentiable</summary>
#
# It is differentiable everywhere but at the kink, and none is met on this way.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} A vjp by hand
# :label: ex-taylor-expansion-gradient
#
# ★ Let $f = a \tanh(b \tanh(w x))$. Go backwards from the output, as reverse mode does, and find $\partial f/\partial a$,
# $\partial f/\partial b$ and $\partial f/\partial w$ at $a = 2$, $b = -1$, $w = 0.5$, $x = 1$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Write $h_1 = \tanh(w x)$ and $h_2 = \tanh(b h_1)$. The weight that arrives at $b h_1$ is $a (1 - h_2^2)$; it serves for $b$ and for all that lies before.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# One weight travels back; each parameter on the way takes its share of it.
a, b, w = 2.0, -1.0, 0.5
h1 = jnp.tanh(w)
h2 = jnp.tanh(b * h1)
weight = a * (1 - h2**2)  # at b h1
gradient = (h2, weight * h1, weight * b * (1 - h1**2))
ntk.exercises.taylor_expansion.check_gradient(gradient)

# %% [markdown]
# :::{exercise} Half the step
# :label: ex-taylor-expansion-half-step
#
# ★ A small update $\delta$ of a tanh network is halved. By which factors do the remainder $\lVert f - f^{\mathrm{lin}} \rVert$ and the
# linearization error $\lVert f - f^{\mathrm{lin}} \rVert / \lVert f - f_0 \rVert$ change? Give both.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# By {prf:ref}`thm-remainder` the one is quadratic in $\delta$. And how does $\lVert f - f_0 \rVert$ depend on a small $\delta$?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Remainder ~ δ², change of f ~ δ, so their ratio ~ δ.
ntk.exercises.taylor_expansion.check_half_step((1 / 4, 1 / 2))

# %% [markdown]
# :::{exercise} The size of a Jacobian nobody wrote down
# :label: ex-taylor-expansion-jacobian-norm
#
# ★★ If the entries of $v$ are independent with mean 0 and variance 1, then $\mathbb{E}\, \lVert J v \rVert^2 = \lVert J \rVert_F^2$, the sum of all
# squared entries of $J$ (Hutchinson's estimator). Prove it, and write `estimator(f, params, x, keys)`, which averages one jvp a key.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $\lVert Jv \rVert^2 = \sum_{i,j,l} J_{ij} J_{il} v_j v_l$, and $\mathbb{E}\, v_j v_l$ is 1 if $j = l$ and else 0. In the code,
# `jax.flatten_util.ravel_pytree(params)` gives the flat vector, and the function that turns one back into a pytree.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Only the terms with j = l survive the mean: one random jvp sees all columns at once.
def estimator(f, params, x, keys):
    vector, unravel = jax.flatten_util.ravel_pytree(params)
    def sample(key):
        v = unravel(jax.random.normal(key, vector.shape))
        return jnp.sum(jax.jvp(lambda p: f(p, x), (params,), (v,))[1] ** 2)
    return jnp.mean(jax.vmap(sample)(keys))

ntk.exercises.taylor_expansion.check_jacobian_norm(estimator)

# %% [markdown]
# :::{exercise} The remainder from the Hessian
# :label: ex-taylor-expansion-hessian
#
# ★★ For $f = a \tanh(w x)$ at $a = 2$, $w = 0.5$, $x = 1$, and the update $\delta = s\,(3/5, 4/5)$ of $(a, w)$, show that
# $f - f^{\mathrm{lin}} = c\, s^2 + O(s^3)$, and compute $c$ from the Hessian. Which bound on $\lvert c \rvert$ holds for all directions of length $s$?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $c = \tfrac12\, e^\top H e$ with $e = (3/5, 4/5)$. With $t = \tanh(w x)$, the second derivatives are $0$ (twice in $a$), $x (1 - t^2)$ (mixed),
# and $-2 a x^2\, t\,(1 - t^2)$ (twice in $w$).
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# c = ½ eᵀHe. For every direction |c| ≤ ½ max |eigenvalue of H|.
t = jnp.tanh(0.5)
H = jnp.array([[0.0, 1 - t**2], [1 - t**2, -2 * 2.0 * t * (1 - t**2)]])
e = jnp.array([0.6, 0.8])
bound = jnp.abs(jnp.linalg.eigvalsh(H)).max() / 2
print(f"|c| = {abs(e @ H @ e / 2):.4f}, at most {bound:.4f}")
ntk.exercises.taylor_expansion.check_remainder(e @ H @ e / 2)

# %% [markdown]
# :::{exercise} Which order suffices?
# :label: ex-taylor-expansion-order
#
# ★★ `f, params0, params, x = ntk.exercises.taylor_expansion.order_problem()` gives a network with two outputs and parameters near its
# initialization. Find the smallest order whose expansion has both outputs within $10^{-4}$ of `f(params, x)`. Before you search, compute the errors of orders 1 and
# 2, and guess.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `ntk.taylor_expand(f, params0, order)(params, x)`. If each order gains about the same factor, two errors tell when $10^{-4}$ is passed.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Raise the order until the larger of the two errors is below the goal.
f, start, end, point = ntk.exercises.taylor_expansion.order_problem()
order, error = 0, jnp.inf
while error > 1e-4:
    order += 1
    expansion = ntk.taylor_expand(f, start, order)(end, point)
    error = jnp.abs(f(end, point) - expansion).max()
    print(f"order {order}: error {error:.1e}")
ntk.exercises.taylor_expansion.check_order(order)

# %% [markdown]
# :::{exercise} Second order, around any parameters
# :label: ex-taylor-expansion-second-order
#
# ★★★ Write `second_order(f, params0)`, which returns a function of `(params, x)`: the Taylor polynomial of order 2, from `jax.jvp` alone and without a
# Hessian. Nothing in it may need $\theta_0$ to be an initialization: the check expands around trained parameters as well. Then
# try it on a function of your own.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# If `D(g)` is the function $\theta \mapsto \partial g(\theta)[\delta]$, one jvp, then `D(D(g))` at $\theta_0$ is $\delta^\top H \delta$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# A jvp is a function of θ too, so it has a jvp: g + Dg + ½ DDg, all at θ₀ along δ.
def second_order(f, params0):
    def expansion(params, x):
        delta = jax.tree.map(jnp.subtract, params, params0)
        D = lambda g: lambda p: jax.jvp(g, (p,), (delta,))[1]
        g = lambda p: f(p, x)
        return g(params0) + D(g)(params0) + D(D(g))(params0) / 2
    return expansion

ntk.exercises.taylor_expansion.check_second_order(second_order)

# %% [markdown]
# ## Questions readers ask
#
# **If the linearized model is so good, why train networks at all?** At width 1,024 it is good because the network has learned almost nothing new: its
# features, the entries of $J(x)$, are nearly those of the random start.
#
# **Is the relative update of 0.018 the size of a change in *every* layer?** No, it is that of all parameters together. The readout weights are few, and
# the update has about equal norms in both layers, so that theirs is larger. {doc}`/book/linearization/training_dynamics` takes the layers apart.
#
# ## Summary
#
# - A jvp gives $Jv$, a vjp gives $J^\top u$, each at the cost of a few evaluations; adjointness tests them.
# - $f^{\mathrm{lin}}$ is one jvp. It is affine in $\theta$ and as nonlinear in $x$ as the network.
# - The remainder of order $q$ has slope $q + 1$: measured 2.000, 3.000 and 4.000. For ReLU it is 2.000 up to the first kink, then
#   1.51 ± 0.04 after many.
# - To change the outputs by one, a downhill step needs a relative update that falls with slope −0.50 ± 0.01 in width, and the
#   expansion misses a share that falls with −0.96 ± 0.03 (ReLU −0.79 ± 0.04). In a random direction neither falls.
# - Small means, here, well below a quarter of the parameters' norm: beyond 0.24 to 0.32 a tenth of the change is missed.
# - On digits the gap after training fell from 0.1142 at width 16 to 0.0029 at width 1,024, while the outputs moved by about one at both.
#
# ## What is next
#
# A gradient step moves the parameters along $J^\top$ and the outputs along $J J^\top$. This matrix, the tangent kernel, is the subject of
# {doc}`/book/linearization/tangent_kernel`; it decides what a linearized network learns, and when.
#
# ## Further reading
#
# - Jaehoon Lee and co-authors {cite}`lee2019` compare wide networks of many kinds with their linearization during training; the experiment of
#   {numref}`fig-taylor-training` is theirs in small.
# - Lénaïc Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019` say when any model, wide or not, is trained close to its linearization.
# - Ethan Dyer and Guy Gur-Ari {cite}`dyer2020` count powers of the width for deep networks, and for products of any number of derivatives of $f$.
# - Atılım Güneş Baydin and co-authors {cite}`baydin2018` survey automatic differentiation, forward and reverse.
#
# <details class="teachers"><summary>For teachers</summary>
#
# **50 minutes.** First figure, before any definition: why do the curves agree? (5) Jacobian, jvp and vjp of $a \tanh(wx)$ on the board (15).
# Linearization, and the prediction on what it is linear in (10). Remainder slopes (10). The counting of the relative update, points 1 and 2 (10).
#
# **90 minutes.** The same, then point 3 of the counting with the signs (15), the ReLU kinks (10), exercise
# {ref}`ex-taylor-expansion-hessian` in pairs (10), and the digits with a change of the width by the class (5).
#
# **Misconceptions, and the cell that dispels each.** "The linearized network is a linear function of its input": {numref}`fig-taylor-linear-in-what`.
# "Wide networks are linear": the random direction in {numref}`fig-taylor-widths`. "Nothing changes in lazy training": the printed
# moves beside {numref}`fig-taylor-training`. "Taylor expansion needs the Hessian or the Jacobian as matrices": the four lines of `f_lin`.
#
# </details>
