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
# # Initialization chooses the kernel
#
# **Four numbers fixed before training, the scales of weights and biases, the depth and the activation, decide which function
# a wide network learns from its data, and which it cannot learn.**
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
# A wide network trains like kernel regression with its tangent kernel $\Theta$ at initialization
# ({doc}`/book/linearization/training_dynamics`), so whoever chooses the initialization chooses $\Theta$. A layer is
#
# $$
# z = \frac{\sigma_w}{\sqrt{\text{fan-in}}}\, W h + \sigma_b\, b, \qquad W, b \sim \mathcal{N}(0, 1),
# $$ (eq-initialization-layer)
#
# followed by an activation $\varphi$, in $L$ hidden layers. The inputs lie on a circle, $x = \sqrt2\,(\cos\vartheta,
# \sin\vartheta)$ with the angle $\vartheta$, so that $x\cdot x'/d = \cos(\vartheta - \vartheta')$. A kernel of an
# infinitely wide network depends on the difference of two angles only: one curve shows all of it. The helper `learned` is
# kernel regression, the function that training ends with.

# %%
angle = jnp.linspace(-jnp.pi, jnp.pi, 257)[:-1]
on_circle = lambda a: 2**0.5 * jnp.stack([jnp.cos(a), jnp.sin(a)], -1)
between = lambda a, b: jnp.cos(a[:, None] - b)  # x·x′ / d
spectrum = lambda row: jnp.fft.rfft(row).real / row.shape[-1]  # its eigenvalues λ_k

def learned(kernel, a, y, at=angle):  # from values y at the angles a
    weights = jnp.linalg.solve(kernel(between(a, a)), y[:, None])
    return (kernel(between(at, a)) @ weights)[..., 0]

# %% [markdown]
# `ntk.kernels_by_depth` computes the kernels of fully-connected networks of all depths at once; we derive its loop below.
# Here are nine points of a smooth target and the activation erf, with $\sigma_b = 0.1$. Drag the controls, or use the arrow
# keys.

# %% mystnb={"image": {"alt": "Left, a curve through nine points on the circle beside the dashed target; right, the kernel against the difference of two angles. At weight scale 1 and three layers, shown first, the curve is smooth and the kernel broad. At weight scale 4 and ten layers the kernel is a needle at zero, and the curve is zero but for a spike at each point."}, "figure": {"caption": "The function that an infinitely wide erf network learns from nine points (left; dashed, the target) and its kernel Θ relative to Θ(x, x) (right), for each weight scale and depth; biases have the scale 0.1.", "name": "fig-initialization-learned"}}
w_stds, depths = (0.5, 1.0, 1.5, 2.0, 4.0), (1, 3, 10)
wave = lambda a: jnp.sin(a) + jnp.cos(2 * a) / 2
nine = jnp.array([-2.9, -2.1, -1.5, -0.8, -0.2, 0.6, 1.1, 2.0, 2.6])
inputs, at = on_circle(nine), jnp.sort(jnp.append(angle[::4], nine))
erf_ntk = lambda cosine, w, depth=10: ntk.kernels_by_depth(
    ntk.erf, cosine, depth, w_std=w, b_std=0.1).ntk  # Θ for 0, 1, …, depth layers
both = lambda w: (learned(lambda cosine: erf_ntk(cosine, w), nine, wave(nine), at),
                  erf_ntk(jnp.cos(at), w))
curves, rows = jax.jit(jax.vmap(both))(jnp.array(w_stds))

def frame(axes, i, j):
    f, row = curves[i, depths[j]], rows[i, depths[j]]
    ntk.plotting.over_angle(axes[0], at, f, wave(at), inputs, wave(nine))
    ntk.plotting.kernel_shape(axes[1], at, row)

ntk.interactive.slider(frame, {"weight scale σ_w": w_stds, "depth L": depths}, panels=2,
                       start=(1, 1), alt="Learned function, and the kernel behind it.")

# %% [markdown]
# Nothing differs between two frames but the law from which the start was drawn. All of them fit the nine points exactly. To
# the left they prefer slow waves, to the right only the points themselves are known.
#
# ## You will be able to
#
# - compute which frequencies a given initialization makes easy, slow or impossible to learn;
# - find the edge of chaos of an activation, and say what becomes of the kernel with depth on either side of it;
# - translate unbalanced or standard-parameterized layers into learning rates per layer, and hence into a kernel;
# - remove the initial function from a prediction, and say how much of a kernel is law and how much is luck.
#
# You need {doc}`/book/linearization/tangent_kernel` and {doc}`/book/linearization/training_dynamics`. Symbols are those of
# {doc}`/book/notation`; new here are $\vartheta$, the frequency $k$, and of the correlation map $c$, $q^*$, $c^*$ and $\chi$.
#
# ## A function that cannot be learned
#
# On the circle, waves $\cos k\vartheta$ and $\sin k\vartheta$ are the eigenfunctions of $\Theta$, and its Fourier
# coefficients $\lambda_k$ the eigenvalues. By hand for one hidden layer of ReLU, $\sigma_w = 1$ and no biases: with the two
# expectations of {doc}`/book/linearization/tangent_kernel`, $\hat\varphi = (\sin\vartheta + (\pi -
# \vartheta)\cos\vartheta)/2\pi$ and $\hat\varphi' = (\pi - \vartheta)/2\pi$ at the angle $\vartheta\in[0, \pi]$ between two
# inputs,
#
# $$
# \Theta = \hat\varphi + \cos\vartheta\;\hat\varphi' = \frac{\sin\vartheta + 2(\pi - \vartheta)\cos\vartheta}{2\pi}.
# $$ (eq-initialization-by-hand)

# %%
relu_ntk = lambda cosine, b: ntk.kernels_by_depth(ntk.relu, cosine, 3, b_std=b).ntk
net, v = ntk.mlp(1, 1, 1, ntk.relu), jnp.linspace(0, jnp.pi, 9)
by_hand = (jnp.sin(v) + 2 * (jnp.pi - v) * jnp.cos(v)) / (2 * jnp.pi)
package = ntk.gram(ntk.infinite_ntk(net), on_circle(v), on_circle(v[:1]))[:, 0]
assert jnp.allclose(jnp.stack([package, relu_ntk(jnp.cos(v), 0.0)[1]]), by_hand)

# %% [markdown]
# <details class="answer"><summary>Predict before you run: the target is cos 3ϑ. Without biases, what does this network learn?</summary>
#
# An error larger than that of predicting zero everywhere. The reason is a symmetry that holds for every width and all
# weights.
#
# </details>
#
# :::{prf:theorem} Parity gap
# :label: thm-initialization-parity
#
# Let $f$ be a ReLU network with one hidden layer and no biases, with any weights. Then $f(x) - f(-x)$ is linear in $x$.
# Hence, on the circle, neither $f$ nor its kernel at any width contains waves of odd frequency $k \ge 3$: $\lambda_k = 0$.
#
# :::
#
# *Proof.* $\varphi(z) - \varphi(-z) = z$, so $f(x) - f(-x) \propto \sum_j a_j\, w_j \cdot x$. Its derivatives with respect to
# $a_j$ and $w_j$ are linear in $x$, too. On the circle a linear function has the frequency 1 only. ∎
#
# Ronen Basri and co-authors {cite}`basri2019`, and Alberto Bietti and Julien Mairal {cite}`bietti2019`, found these zeros. We
# compare four initializations: one hidden layer with $\sigma_b = 0$, 0.1 and 1, and three hidden layers without biases.

# %%
cases = {"L = 1, σ_b = 0": (1, 0.0), "L = 1, σ_b = 0.1": (1, 0.1),
         "L = 1, σ_b = 1": (1, 1.0), "L = 3, σ_b = 0": (3, 0.0)}
fine, b_stds = jnp.cos(2 * jnp.pi * jnp.arange(2048) / 2048), jnp.array([0.0, 0.1, 1.0])
lams = jax.jit(jax.vmap(lambda b: spectrum(relu_ntk(fine, b))))(b_stds)[..., :65]
even = jnp.arange(8, 65, 2)
spectra = {name: lams[b_stds == b][0, depth] for name, (depth, b) in cases.items()}
for name, lam in spectra.items():
    slope, odd = ntk.power_law(even, lam[even]).exponent, abs(lam[3::2]).max()
    print(f"{name}: even slope {slope:.2f}, largest odd λ / λ₀ {odd / lam[0]:.4f}")
    assert (odd < 1e-14) == (name == "L = 1, σ_b = 0")  # zero up to rounding
    assert abs(slope + 2) < 0.05 or name == "L = 1, σ_b = 0.1"  # k is not yet large

# %% [markdown]
# Now learning: values of $\cos 3\vartheta$ at 64 random angles, for eight draws of the angles. Errors are relative to the
# mean square of the target, so that 1 is the error of predicting zero.

# %%
draws = jax.random.uniform(jax.random.key(0), (8, 64), minval=-jnp.pi, maxval=jnp.pi)
error = lambda f: jnp.mean((f - jnp.cos(3 * angle)) ** 2, -1) / 0.5
one = lambda b, a: learned(lambda cosine: relu_ntk(cosine, b), a, jnp.cos(3 * a))
fits = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(b_stds, draws)
fits = {name: fits[b_stds == b][0, :, depth] for name, (depth, b) in cases.items()}
for name, f in fits.items():
    print(f"{name}: error {error(f).mean():.3g} ± {ntk.estimate(error(f))[1]:.2g}")
    assert error(f).min() > 1 if name == "L = 1, σ_b = 0" else error(f).mean() < 0.1
assert max(error(fits[name]).mean() for name in list(cases)[2:]) < 0.01

# %% [markdown]
# The four spectra, and two of the functions learned from the first draw:

# %% mystnb={"image": {"alt": "Left, eigenvalues against frequency on logarithmic axes for four initializations. With bias scale one and with three layers they fall along a straight line; without biases only even frequencies and one are there; with bias scale 0.1 odd ones lie below even ones. Right, functions learned from 64 values of the cosine of three times the angle: with biases the curve covers the target; without, it passes through the data and is right on some arcs and of the wrong sign on others."}, "figure": {"caption": "Left: eigenvalues of ReLU kernels on the circle; zeros are left out. Right: what infinitely wide networks learn from 64 values of cos 3ϑ, the first of eight draws.", "name": "fig-initialization-parity"}}
fig, axes = plt.subplots(1, 2, figsize=(6, 2.4))
ntk.plotting.by_frequency(axes[0], spectra)
ntk.plotting.learned_wave(axes[1], angle, {n: fits[n][0] for n in list(cases)[::2]},
                          draws[0], jnp.cos(3 * draws[0]))
plt.show()

# %% [markdown]
# **What we see.** Without biases the error is 2.62 ± 0.25, worse than predicting zero: but for a linear part the network
# learns an even function, and where $\vartheta$ and $\vartheta + \pi$ are both near data, the data contradict it. Biases of
# scale 0.1 bring the error to 0.0478, of scale 1 to 0.0033; three layers without biases to 0.00296, since after a hidden
# layer the signals of $x$ and $-x$ are no longer negatives of each other. The theorem holds for all weights, so no training
# and no feature learning closes the gap. With $\sigma_b = 0.1$ odd frequencies are there, but with smaller eigenvalues, so
# they are learned late.
#
# ## Order, chaos, and the edge between
#
# What a layer does to two inputs of equal length is a map of two numbers. With $(u, v)$ Gaussian of variances $q$ and
# correlation $c$, the next pre-activations have the variance and the correlation
#
# $$
# q \mapsto \sigma_w^2\,\mathbb{E}[\varphi(u)^2] + \sigma_b^2, \qquad
# c \mapsto C(c) = \frac{\sigma_w^2\,\mathbb{E}[\varphi(u)\varphi(v)] + \sigma_b^2}{q^*},
# $$ (eq-initialization-map)
#
# where $q^*$ is the fixed point of the first map, to which it tends. Ben Poole and co-authors {cite}`poole2016`
# and Samuel Schoenholz and co-authors {cite}`schoenholz2017` found that everything hangs on the slope $\chi = C'(1) =
# \sigma_w^2\,\mathbb{E}[\varphi'(u)^2]$.
#
# :::{prf:theorem} Order and chaos
# :label: thm-initialization-phases
#
# Let $C$ not be linear. If $\chi \le 1$, every $c \in [0, 1]$ tends to $c^* = 1$ with depth: all inputs become alike. If
# $\chi > 1$, every $c \in [0, 1)$ tends to one $c^* < 1$, however close the inputs were.
#
# :::
#
# *Proof.* By Mehler's formula $\mathbb{E}[\varphi(u)\varphi(v)] = \sum_k a_k^2 c^k$, a power series with non-negative
# coefficients, so $C$ is increasing and convex. A convex curve that ends in $(1, 1)$ with a slope up to 1 lies above the
# diagonal; with a larger slope it starts above or on the diagonal, ends below it, and crosses it once. ∎
#
# The phases are called *ordered* ($\chi < 1$) and *chaotic* ($\chi > 1$), the line between them the *edge of chaos*. Both
# conditions, $\chi = 1$ and $q = q^*$, are linear in $\sigma_w^2$ and $\sigma_b^2$, so the edge has a closed form with
# $q^*$ as its parameter. By hand for erf, whose expectations are $\mathbb{E}[\varphi^2] = \frac2\pi\arcsin\frac{2q}{1+2q}$
# and $\mathbb{E}[\varphi'^2] = \frac4\pi(1 + 4q)^{-1/2}$:

# %%
q = jnp.geomspace(1e-3, 4, 400)
w_edge = jnp.sqrt(jnp.pi / 4) * (1 + 4 * q) ** 0.25
b_edge = jnp.sqrt(q - w_edge**2 * 2 / jnp.pi * jnp.arcsin(2 * q / (1 + 2 * q)))
assert jnp.allclose(b_edge, ntk.critical_scales(ntk.erf, q)[1])  # from w_edge
scales = jnp.array([0.75, jnp.interp(0.1, b_edge, w_edge), 2.0])
point = ntk.fixed_point(ntk.erf, scales, 0.1)
print(*(f"σ_w = {w:.3f}: χ = {chi:.3f}; " for w, chi in zip(scales, point.chi)))
assert point.chi[0] < 1 < point.chi[2] and abs(point.chi[1] - 1) < 1e-3  # interpolation

# %% [markdown]
# We compare with real networks of width 128 at these three $\sigma_w$, 24 draws: the correlation of the
# pre-activations of two inputs, 45° apart, in each of 31 layers.

# %%
measure = lambda key, w: ntk.random_correlations(
    key, ntk.erf, jnp.cos(jnp.pi / 4), 128, 30, w_std=w, b_std=0.1)
measured = jax.jit(jax.vmap(jax.vmap(measure, (0, None)), (None, 0)))(
    jax.random.split(jax.random.key(2), 24), scales)
wide = jax.vmap(lambda w: ntk.kernels_by_depth(
    ntk.erf, jnp.cos(jnp.pi / 4), 30, w_std=w, b_std=0.1))(scales)
theory, (mean, bar) = wide.nngp / wide.variance, ntk.estimate(measured.swapaxes(0, 1))
print(f"largest deviation {abs(mean - theory).max():.3f}, error {bar.max():.3f}")
assert jnp.mean(abs(mean - theory) < 2 * bar) > 0.8  # if independent, 95 %

# %% mystnb={"image": {"alt": "Left, three increasing convex curves from correlation in to correlation out on a dashed diagonal. At weight scale 0.75 the curve is above the diagonal, at the edge it touches it in the corner, at 2 it crosses it near zero. Right, correlation against layer: dots of real networks with error bars along the theory's lines, which rise to one, stay near 0.75, and fall to zero."}, "figure": {"caption": "Left: the correlation map C of erf with σ_b = 0.1 in the ordered phase, on the edge, and in the chaotic phase. Right: correlation of two inputs at each layer; lines, infinite width; dots, mean and standard error of 24 networks of width 128.", "name": "fig-initialization-correlation"}}
fig, axes = plt.subplots(1, 2, figsize=(5.8, 2.2))
ntk.plotting.signal(axes, ntk.erf, scales, 0.1, theory, measured)
plt.show()

# %% [markdown]
# ## What depth does to the kernel
#
# The tangent kernel follows $\Theta \leftarrow \sigma_w^2\,\mathbb{E}[\varphi'(u)\varphi'(v)]\,\Theta + K$, with $K$ the
# covariance of the outputs: `ntk.kernels_by_depth` is this line and {eq}`eq-initialization-map`. On the diagonal the factor
# tends to $\chi$, off it to $C'(c^*)$.
#
# <details class="answer"><summary>Predict before you run: what becomes of the condition number of Θ as L grows?</summary>
#
# Ordered: all entries become equal, so it grows without bound, by a factor 1/χ a layer. Chaotic: the diagonal grows as χ to
# the L and leaves the rest behind, so it tends to 1, a kernel that knows no neighbours. On the edge the diagonal grows as
# L; the correlation satisfies 1 − c ≈ a/L with slope C′(c) ≈ 1 − 2/L, so off the diagonal Θ grows as L/3. A matrix with
# ones on the diagonal and 1/3 elsewhere has the condition number (n + 2)/2.
#
# </details>
#
# Lechao Xiao, Jeffrey Pennington and Samuel Schoenholz {cite}`xiao2020` derive these three laws. We print the condition
# numbers of $n = 16$ points at equal angles, at $L = 20$ ordered, on the edge and chaotic; then the edge at $L = 2000$.

# %%
dots = angle[::16]
deep = jax.jit(jax.vmap(lambda w: erf_ntk(between(dots, dots), w, 2000)))(scales)
low, high = jnp.moveaxis(jnp.linalg.eigvalsh(deep), -1, 0)[jnp.array([0, -1])]
kappa = jnp.where(low > 1e-13 * high, high / low, jnp.nan)  # else lost in rounding
growth = (kappa[0, 30] / kappa[0, 20]) ** 0.1
print(f"at 20: {kappa[0, 20]:.0e}, {kappa[1, 20]:.0f}, {kappa[2, 20]:.3f}; edge, 2000:",
      f"{kappa[1, 2000]:.2f}; ordered ×{growth:.2f}, 1/χ {1 / point.chi[0]:.2f}")
assert abs(growth * point.chi[0] - 1) < 0.05  # beside the power, a factor of order 1/L
assert abs(kappa[1, 2000] / 9 - 1) < 0.1 and kappa[2, 20] < 1.01  # the edge is slow

# %% mystnb={"image": {"alt": "Left, plane of weight scale and bias scale with the edge of chaos as a rising curve, order to its left and chaos to its right, and three dots at bias scale 0.1. Right, condition number against depth on logarithmic axes: the ordered curve rises steeply, that on the edge falls slowly towards the dashed line at nine, the chaotic one falls to one within twenty layers."}, "figure": {"caption": "Left: edge of chaos of erf and ReLU; dots, the three networks. Right: condition number of Θ on 16 points against depth; dashed, the limits 9 and 1.", "name": "fig-initialization-edge"}}
fig, axes = plt.subplots(1, 2, figsize=(5.8, 2.2))
ntk.plotting.edge_of_chaos(axes[0], {"erf": ntk.erf, "ReLU": ntk.relu}, q, scales, 0.1)
ntk.plotting.conditions(axes[1], kappa, (9, 1))
plt.show()

# %% [markdown]
# **What we see.** The finite networks follow the maps; the largest deviation is 0.060, the largest standard error 0.046. A
# few layers in the wrong phase suffice: at $L = 20$ the chaotic kernel has the condition number 1.002, the identity but for
# a factor, and the ordered one 3e+07, growing by a factor 1.44 a layer, near $1/\chi = 1.48$. On the edge $\Theta$ stays
# usable at any depth, though it approaches $(n + 2)/2 = 9$ slowly: 9.47 at $L = 2000$. For ReLU the edge is one point,
# $\sigma_w = \sqrt2$ and $\sigma_b = 0$, as Soufiane Hayou, Arnaud Doucet and Judith Rousseau {cite}`hayou2019` discuss.
#
# ## One dial
#
# What does that mean for learning? We fix $L = 5$ and turn $\sigma_w$ only. Behind each $\sigma_w$ the lines below show the
# *mean frequency* of the kernel (that of $\lvert k\rvert$ with weights $\lambda_k$), its condition number on the 16 points,
# and the *total variation* $\int \lvert f'\rvert\,\mathrm d\vartheta$ of the function learned from the target's values at
# 16 equally spaced points, in eight rotations.

# %%
dial, turns = jnp.arange(0.5, 4.01, 0.25), jax.random.uniform(jax.random.key(3), (8, 1))

def turned(w):
    kernel = lambda cosine: erf_ntk(cosine, w, 5)[5]
    lam, eigs = spectrum(kernel(fine)), jnp.linalg.eigvalsh(kernel(between(dots, dots)))
    f = jax.vmap(lambda a: learned(kernel, a, wave(a)))(dots + turns)
    return (2 * jnp.arange(1025) @ lam / kernel(jnp.ones(1))[0], eigs[-1] / eigs[0],
            jnp.sum(abs(jnp.diff(f)), -1))

dialled = jax.jit(jax.vmap(turned))(dial)
for w, nu, cond, tv in list(zip(dial, *dialled))[::2]:
    print(f"{w:.1f}: {nu:.2f}, {cond:.3g}, {tv.mean():.2f} ± {ntk.estimate(tv)[1]:.2f}")
assert dialled[0][0] < 0.2 and dialled[1][0] > 1e6 and nu > 20 and cond < 2.5
assert jnp.all(tv > 3 * dialled[2][0])  # of the same eight rotations

# %% mystnb={"image": {"alt": "Three panels against the weight scale from 0.5 to 4. The mean frequency rises from 0.1 to 25, the condition number falls from above a hundred million to 2, and the total variation of the learned function is flat at that of the target up to about 1.5 and then rises."}, "figure": {"caption": "erf, five hidden layers, biases of scale 0.1. Mean frequency of the kernel, condition number on 16 points, total variation of the learned function (mean and standard error over eight rotations; dashed, that of the target).", "name": "fig-initialization-dial"}}
fig, axes = plt.subplots(1, 3, figsize=(6.6, 2.1))
panels = dict(zip(("mean frequency", "condition number", "total variation"), dialled))
ntk.plotting.dials(axes, dial, scales[1], panels, level=abs(jnp.diff(wave(at))).sum())
plt.show()

# %% [markdown]
# **What we see.** From one end to the other the mean frequency rises from 0.11 to 24.84 and the condition number falls from
# 1.71e+08 to 1.98. The total variation is that of the target (dashed) at $\sigma_w = 1$, 4.98, and still nearly so at 1.5;
# at 4 it is 19.13 ± 0.18, as the function returns towards zero between any two points. Both ends are bad in their own way:
# the ordered one needs $10^8$ times as long for its slowest mode as for its fastest, the chaotic one learns quickly and
# only by heart.
#
# ## Which layer learns
#
# $\Theta = \sum_\ell \Theta_\ell$, where $\Theta_\ell$ counts the derivatives with respect to the parameters $\theta_\ell$ of
# layer $\ell$ alone. So far all layers were drawn alike. Two common deviations are one theorem.
#
# :::{prf:theorem} Scales are learning rates
# :label: thm-initialization-rates
#
# Write $\theta_\ell = s_\ell\,\phi_\ell$ with numbers $s_\ell > 0$, and train the $\phi_\ell$ by gradient descent with
# learning rate $\eta$. The $\theta_\ell$ then follow gradient descent with the learning rates $\eta s_\ell^2$, and the
# kernel is $\sum_\ell s_\ell^2\,\Theta_\ell$.
#
# :::
#
# *Proof.* $\partial f/\partial\phi_\ell = s_\ell\,\partial f/\partial\theta_\ell$, and a step of $\phi_\ell$ moves
# $\theta_\ell$ by $s_\ell$ times as much. ∎
#
# *Unbalanced layers.* In a ReLU network let the first layer be drawn $s$ times larger, the readout $s$ times smaller. The
# function is the same, since $\varphi(sz)/s = \varphi(z)$. With the balanced parameters $\theta_\ell$ we have $\phi_1 =
# s\,\theta_1$ and $\phi_2 = \theta_2/s$, hence $s_1 = 1/s$ and $s_2 = s$.
#
# <details class="answer"><summary>Predict before you run: the first layer is drawn four times larger. Whose kernel dominates?</summary>
#
# The other layer's: Θ₂ is multiplied by 16 and Θ₁ divided by 16. A derivative with respect to one factor of a product is the
# other factor.
#
# </details>

# %%
net = ntk.Serial([ntk.Dense(256, b_std=1.0), ntk.Elementwise(ntk.relu), ntk.Dense(1)])
(first, _, last), s = net.init(jax.random.key(4), (2,))[0], 4.0
times = lambda s, layer: {name: s * w for name, w in layer.items()}
start = {1.0: (first, (), last), s: (times(s, first), (), times(1 / s, last))}
parts = {s: ntk.kernels_by_layer(net, p, inputs)[..., 0, 0] for s, p in start.items()}
assert jnp.allclose(parts[s], parts[1.0] * jnp.array([s**-2, s**2])[:, None, None])
trace = {s: jnp.trace(part, axis1=1, axis2=2) for s, part in parts.items()}
print("readout:", *(f"{t[1] / t.sum():.3f} with s = {s:g}" for s, t in trace.items()))

# %% [markdown]
# What the two parts prefer is seen at infinite width, where the readout's part is $K$, the kernel of random features, and the
# first layer's is $\Theta - K$.

# %% mystnb={"image": {"alt": "Eigenvalues against frequency on logarithmic axes: those of the first layer's kernel fall along a dashed line of slope minus two, those of the readout's along one of slope minus four."}, "figure": {"caption": "Eigenvalues of the two layers' kernels (ReLU, one hidden layer, σ_w = σ_b = 1); dashed, k⁻² and k⁻⁴.", "name": "fig-initialization-layers"}}
relu1 = lambda cosine: ntk.kernels_by_depth(ntk.relu, cosine, 1, b_std=1.0)
first = lambda cosine: relu1(cosine).ntk[1] - relu1(cosine).nngp[1]
last = lambda cosine: relu1(cosine).nngp[1] - 1  # this readout has no bias
lams = {"first layer": spectrum(first(fine))[:65], "readout": spectrum(last(fine))[:65]}
k, (fig, ax) = jnp.arange(8, 65), plt.subplots(figsize=(4.4, 2.6))
ntk.plotting.by_frequency(ax, lams, theory=(-2, -4)), plt.show()
slope1, slope2 = (ntk.power_law(k, lam[k]).exponent for lam in lams.values())
print(f"slopes: {slope1:.2f}, {slope2:.2f}")
assert abs(slope1 + 2) < 0.05 and abs(slope2 + 4) < 0.05  # k from 8 to 64

# %% [markdown]
# **What we see.** The readout has 0.530 of the trace when balanced, 0.997 after the *first* layer was enlarged. Its
# eigenvalues fall as $k^{-4.01}$, those of the first layer as $k^{-2.01}$: the larger $s$, the smoother the functions that
# the network prefers, up to those of random features.
#
# *Standard parameterization.* Most libraries draw weights from $\mathcal{N}(0, \sigma_w^2/\text{fan-in})$ and biases from
# $\mathcal{N}(0, \sigma_b^2)$, and put no factors in front. The function at the start has the same law. In the theorem,
# $\theta_\ell$ is our parameter and $\phi_\ell = \theta_\ell/s_\ell$ the library's, so $s_\ell =
# \sqrt{\text{fan-in}}/\sigma_w$ for weights and $1/\sigma_b$ for biases: one learning rate $\eta$ there is the rate
# $\eta\,\text{fan-in}/\sigma_w^2$ here, different in each layer. We train both from the same draw, and ours with equal
# rates as well.

# %%
both = [ntk.mlp(256, 1, 1, ntk.relu, w_std=2**0.5, b_std=1.0, parameterization=name)
        for name in ("standard", "ntk")]
params, y = [net.init(jax.random.key(5), (2,))[0] for net in both], wave(nine)[:, None]
f0 = [ntk.outputs(net.apply, p, on_circle(angle)) for net, p in zip(both, params)]

def end(i, descent):  # the function after 400 steps
    run = ntk.train(both[i].apply, params[i], inputs, y, descent, steps=[400])
    return ntk.outputs(both[i].apply, run.params, on_circle(angle))

f_std = end(0, ntk.gradient_descent(0.3 / 256))
f_ours = end(1, ntk.descent_by_layer(0.3 / 256, ntk.standard_rates(both[1], params[1])))
assert jnp.allclose(*f0) and jnp.allclose(f_std, f_ours, rtol=1e-8)  # rounding
print(f"one rate: {ntk.rms(f_std - end(1, ntk.gradient_descent(0.1))):.3f} apart")

# %% [markdown]
# The same function at the start, but another kernel, and after training another function, 0.064 apart. In the standard
# parameterization the readout's share grows with the width, and a fixed $\eta$ diverges beyond some width; Jascha
# Sohl-Dickstein and co-authors {cite}`sohldickstein2020` discuss what its infinite-width limit should be.
#
# ## What the draw decides
#
# "The random initialization fixes the tangent kernel" is often said. At infinite width it is the *law* that fixes it: every
# draw gives the same $\Theta$. At width $m$ the draw counts. With one hidden layer $\Theta$ is a mean over $m$ independent
# units, so it fluctuates as $m^{-1/2}$ by the central limit theorem ({doc}`/book/linearization/tangent_kernel` measures it for tanh). Of the law, only the variances remain in sums of many
# terms: readout weights $\pm1$ have the same limit as normal ones. But the first layer sums over $d = 2$ inputs only, and
# there the whole law counts.

# %%
ms, unit = [64, 128, 256, 512, 1024], ntk.mlp(1, 1, 1, ntk.relu, w_std=2.0, b_std=0.5)
grid = on_circle(jnp.append(nine, angle[16::32]))  # 9 to train, 8 to test on
plus_minus = lambda layer: layer | {"w": jnp.sign(layer["w"])}
theta = jax.vmap(lambda p: ntk.gram(ntk.empirical_ntk(unit.apply, p), grid)[..., 0, 0])
f = jax.vmap(lambda p: jax.vmap(unit.apply, (None, 0))(p, grid))

def one_draw(key):  # at each width: kernels of three laws, outputs of the first
    p = ntk.draw(unit, jax.random.split(key, 1024), (2,))
    laws = [p, (*p[:2], plus_minus(p[2])), (plus_minus(p[0]), *p[1:])]
    kernels, f0 = jax.vmap(theta)(jax.tree.map(lambda *w: jnp.stack(w), *laws)), f(p)
    return (jnp.stack([kernels[:, :m].mean(1) for m in ms], 1),
            jnp.stack([f0[:m].sum(0) / m**0.5 for m in ms]))

kernels, f0 = jax.lax.map(one_draw, jax.random.split(jax.random.key(6), 24))

# %%
limit = ntk.gram(ntk.infinite_ntk(unit), grid)
away = lambda k: jnp.linalg.norm(k - limit, axis=(-2, -1)) / jnp.linalg.norm(limit)
apart = dict(zip(("normal", "readout ±1", "first ±1"), away(kernels).swapaxes(0, 1)))
for i, (name, samples) in enumerate(apart.items()):
    law = ntk.power_law(ms, samples)
    print(f"{name}: slope {law.exponent:.2f} ± {law.standard_error:.2f}, "
          f"mean of all draws {away(kernels[:, i, -1].mean(0)):.3f} away")
    assert (abs(law.exponent + 0.5) < 3 * law.standard_error) == (i < 2)

# %% [markdown]
# **What we see.** Slopes −0.52 ± 0.04 and −0.50 ± 0.04 for the first two laws, whose mean over all draws is close to the
# limit. First-layer weights $\pm1$ have another limit: even the mean of all draws is 0.083 away, where the other two come
# within 0.009.
#
# ## The initial function
#
# Two things of a draw enter a prediction: its kernel and its initial function. At the end of training on $y$ at the points $X$,
#
# $$
# f(x) = \Theta(x, X)\,\Theta^{-1} y \;+\; \bigl[f_0(x) - \Theta(x, X)\,\Theta^{-1} f_0(X)\bigr].
# $$ (eq-initialization-f0)
#
# The bracket has nothing to do with the data's values. For infinitely wide networks it is Gaussian noise with a covariance
# that `ntk.predict_infinite` computes. Yaoyu Zhang and co-authors {cite}`zhang2020` remove it by a *symmetrized*
# initialization, the doubling trick of Lénaïc Chizat, Edouard Oyallon and Francis Bach {cite}`chizat2019`: two copies with
# equal weights, $(f(x, \theta_0) - f(x, \theta_0'))/\sqrt2$ with $\theta_0' = \theta_0$. Its output is zero, its kernel
# $\frac12\Theta + \frac12\Theta = \Theta$. A check, then predictions of all draws with $f_0$ and without:

# %%
twice = lambda p, x: (net.apply(p[0], x) - net.apply(p[1], x)) / 2**0.5
doubled = start[1.0], start[1.0]
theta2 = ntk.gram(ntk.empirical_ntk(twice, doubled), inputs)[..., 0, 0]
assert jnp.allclose(theta2, parts[1.0].sum(0))  # the same kernel, and exactly zero
assert not jnp.any(ntk.outputs(twice, doubled, inputs))

# %% [markdown]
# Now the predictions of the draws above, with $f_0$ and symmetrized. Distances are from the mean prediction of infinitely
# wide networks, $\Theta(x, X)\,\Theta^{-1}y$ of the limit, in root mean square over eight test points.

# %% mystnb={"image": {"alt": "Two panels against width from 64 to 1024 on logarithmic axes with error bars. Left, distance of kernels from the limit: normal weights and readout weights of plus or minus one follow the dashed slope of minus one half, with first-layer weights of plus or minus one the distance levels off. Right, distance of predictions: with the initial function it stays near a dotted level of 0.14, symmetrized it falls with slope minus one half."}, "figure": {"caption": "One hidden layer of ReLU on the circle; mean and standard error of 24 draws; dashed, m^(−1/2). Left: relative distance of a network's kernel from the limit for normal weights, for three laws. Right: distance of predictions from the mean of infinitely wide networks; dotted, what f₀ contributes at infinite width.", "name": "fig-initialization-draws"}}
mean, covariance = ntk.predict_infinite(unit, grid[:9], y, x_test=grid[9:])
predict = jax.jit(jax.vmap(jax.vmap(lambda k, f: ntk.predict(
    k[:9, :9], y, f_train0=f[:9], f_test0=f[9:], ntk_test_train=k[9:, :9]).test)))
noisy, clean = (predict(kernels[:, 0], f) for f in (f0, 0 * f0))
off, floor = lambda f: ntk.rms(f - mean, (-2, -1)), (jnp.trace(covariance) / 8) ** 0.5
errors = {"with f₀": off(noisy), "symmetrized": off(clean)}
fig, axes = plt.subplots(1, 2, figsize=(5.8, 2.4))
ntk.plotting.by_width(axes[0], ms, apart, ylabel="distance of kernels")
ntk.plotting.by_width(axes[1], ms, errors, level=floor, ylabel="… of predictions")
plt.show()
(mean1, bar1), (mean2, bar2) = (ntk.estimate(e[:, -1]) for e in errors.values())
twelve = off(noisy[:, -1].reshape(2, 12, 8, 1).mean(1)).mean()
print(f"with f₀ {mean1:.3f} ± {bar1:.3f}, f₀ alone {floor:.3f}; twelve averaged "
      f"{twelve:.3f}; symmetrized {mean2:.4f} ± {bar2:.4f}")
assert abs(mean1 - floor) < 3 * bar1 and twelve > mean2 + 3 * bar2
assert abs(ntk.power_law(ms, errors["symmetrized"]).exponent + 0.5) < 0.1  # 24 draws

# %% [markdown]
# **What we see.** With $f_0$ the distance hardly falls with the width, to 0.147 ± 0.008 at 1024; 0.142 is what $f_0$ alone
# contributes at infinite width. Symmetrized, only the kernel's draw is left: 0.0111 ± 0.0007 at width 1024, falling as
# $m^{-1/2}$. Averaging networks removes $f_0$ as well, but twelve of them still err by 0.030, where one symmetrized network
# errs by about a third of that. What *remains* to average away is in {doc}`/book/lazy_training/fluctuations`.
#
# ## Where it breaks
#
# **Kernels speak of lazy training.** All functions above but those of the standard parameterization are those of a fixed
# kernel. Where training changes the kernel, the initialization still decides, but by its scale: small weights learn
# features ({doc}`/book/lazy_training/two_layer_networks`), and unbalanced layers can hasten it, as Daniel Kunin and
# co-authors {cite}`kunin2024` show. Only the parity gap holds in every regime.
#
# **Depth must be small against width.** {numref}`fig-initialization-correlation` is a mean over 24 networks. The kernel of
# a single one fluctuates with a variance that grows with $L/m$ (Boris Hanin and Mihai Nica {cite}`hanin2020`), so at depth
# 2,000 the limits on the edge are those of networks that are wider still.
#
# **Symmetrization is not free.** It doubles the parameters, and its twins cancel all even orders of the Taylor expansion in
# the parameters, so that the network is lazier than its single half ({doc}`/book/lazy_training/a_choice_of_scale`).
#
# **A circle has two dimensions.** On a sphere of high dimension, waves become spherical harmonics, of which there are many
# of each degree. The phases and the theorem on rates do not depend on the inputs.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A bias-free ReLU network with one hidden layer gets ten times as many units. Can it now learn cos 3ϑ?
#
# <details class="wrong"><summary>Yes, wide networks approximate any function</summary>
#
# That theorem needs biases. Here $f(x) - f(-x)$ is linear for every width.
#
# </details>
# <details class="right"><summary>No</summary>
#
# Right: the gap is a symmetry of each unit, not a lack of units. A bias or a second hidden layer breaks it.
#
# </details>
# <details class="wrong"><summary>Only if it leaves the lazy regime</summary>
#
# The theorem holds for all weights, so also for trained ones with new features.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** A deep tanh network has χ = 1.5. What is its tangent kernel like?
#
# <details class="wrong"><summary>Nearly constant: all inputs look alike</summary>
#
# That is the ordered phase, χ below 1.
#
# </details>
# <details class="right"><summary>Nearly a multiple of the identity</summary>
#
# Yes: the diagonal grows as $\chi^L$ and leaves the other entries behind.
#
# </details>
# <details class="wrong"><summary>It has 1 on the diagonal and 1/3 elsewhere, but for a factor</summary>
#
# That is the limit on the edge of chaos, χ = 1.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** You draw the readout of a ReLU network four times larger and its first layer four times smaller. Which layer learns
# more?
#
# <details class="right"><summary>The first</summary>
#
# Yes: its gradient is proportional to the readout's weights, its share of the kernel grows by $4^4$ against the other's.
#
# </details>
# <details class="wrong"><summary>The readout, as it is larger</summary>
#
# A large layer makes the *other* one's derivatives large.
#
# </details>
# <details class="wrong"><summary>Both as before, since the function is the same</summary>
#
# The function at the start is the same. Its derivatives with respect to the new parameters are not.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** An infinitely wide network is drawn twice, from the same law. What differs after training?
#
# <details class="wrong"><summary>The kernel, hence the learned function</summary>
#
# At infinite width both have the same kernel: the draw matters as $m^{-1/2}$.
#
# </details>
# <details class="right"><summary>Only what is left of the initial function</summary>
#
# Right: the bracket in {eq}`eq-initialization-f0`, which a symmetrized initialization removes.
#
# </details>
# <details class="wrong"><summary>Nothing</summary>
#
# The initial functions differ, and away from the data they leave a trace.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ The edge of leaky ReLU
# :label: ex-initialization-critical
#
# Let $\varphi(z) = \max(z, 0) + a \min(z, 0)$. For which $\sigma_w$ is $\chi = 1$? Write it as a function of $a$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $\varphi'$ is 1 on one half of the line and $a$ on the other.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# E[φ'²] = (1 + a²) / 2, whatever the variance.
ntk.exercises.initialization.check_critical(lambda a: (2 / (1 + a**2)) ** 0.5)

# %% [markdown]
# :::{exercise} ★ Another gap
# :label: ex-initialization-missing
#
# Which of the frequencies 0 to 8 can an erf network with *three* hidden layers and no biases not learn on the circle?
# Answer with a list.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# What is $f(-x)$?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# erf is odd, and so is a composition of odd functions: f(−x) = −f(x). A wave of even
# frequency has the same value at ϑ and ϑ + π.
ntk.exercises.initialization.check_missing([0, 2, 4, 6, 8])

# %% [markdown]
# :::{exercise} ★★ How deep can a signal go?
# :label: ex-initialization-depth
#
# For erf with $\sigma_w = 2$ and $\sigma_b = 0.1$: in how many layers does a small distance $c - c^*$ fall by the factor $e$?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# A layer multiplies the distance by the slope of $C$ at its fixed point: `ntk.fixed_point`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# C'(c*)^L = 1/e at L = −1 / ln C'(c*).
slope = ntk.fixed_point(ntk.erf, 2.0, 0.1).slope
ntk.exercises.initialization.check_depth_scale(-1 / jnp.log(slope))

# %% [markdown]
# :::{exercise} ★★ A library's learning rate
# :label: ex-initialization-rates
#
# A library in the standard parameterization trains a layer with the learning rate $\eta$. Write `rates(eta, fan_in, w_std,
# b_std)`, which returns the rates of $W$ and of $b$ that do the same in {eq}`eq-initialization-layer`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The library's weight is $\sigma_w/\sqrt{\text{fan-in}}$ times ours. Use {prf:ref}`thm-initialization-rates`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# θ = s φ with the library's φ, and s = √fan-in / σ_w for weights, 1 / σ_b for biases.
def rates(eta, fan_in, w_std, b_std):
    return eta * fan_in / w_std**2, eta / b_std**2

ntk.exercises.initialization.check_rates(rates)

# %% [markdown]
# :::{exercise} ★★★ Choose the initialization
# :label: ex-initialization-choice
#
# `ntk.exercises.initialization.data()` returns 20 angles and noisy values. Among $\sigma_w = 0.5, 0.75, 1, 1.5, 2, 3, 4$,
# which one do the data choose for an infinitely wide erf network with five hidden layers and $\sigma_b = 0.1$? Judge by the
# mean squared *leave-one-out* error: predict each value from the other 19.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `erf_ntk(between(a, a), w, 5)[5]`. The error at point $i$, without fitting twenty times, is
# $[\Theta^{-1}y]_i / [\Theta^{-1}]_{ii}$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The formula follows from the inverse of a block matrix.
a, values = ntk.exercises.initialization.data()

@jax.jit
def left_out(w):
    inverse = jnp.linalg.inv(erf_ntk(between(a, a), w, 5)[5])
    return jnp.mean((inverse @ values / jnp.diag(inverse)) ** 2)

best = min((0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0), key=left_out)
ntk.exercises.initialization.check_choice(best)

# %% [markdown]
# ## Questions readers ask
#
# **Is there a best initialization?** Not without a target. The edge of chaos keeps deep kernels usable, which is a matter
# of training at all; among usable kernels the data decide, as in exercise 5.
#
# **Why do practical networks start with zero biases, then?** With a trainable bias $b$ that starts at zero, $\partial
# f/\partial b$ does not vanish: in the standard parameterization the kernel has the bias's part whatever its start. Here
# $\sigma_b$ scales draw and derivative alike, and $\sigma_b = 0$ is a network without biases.
#
# **Do normalization layers make this obsolete?** They keep the variance fixed, so only the correlation map is left:
# `ntk.LayerNorm` has an infinite-width kernel to try it with.
#
# **My library draws uniform weights.** Where a layer sums over many inputs only their variance counts. In the first layer,
# with few inputs, the law itself does, as the $\pm1$ weights show.
#
# ## Summary
#
# - Without biases, one hidden layer of ReLU cannot learn odd frequencies from 3 on: relative error 2.62 ± 0.25 for $\cos
#   3\vartheta$, and 0.0033 with biases, 0.00296 with three layers.
# - $\chi = C'(1)$ separates order and chaos. With depth, $\Theta$ becomes a constant (condition number growing by about
#   $1/\chi$ a layer), a multiple of the identity, or on the edge something between, with condition number $(n+2)/2$.
# - From $\sigma_w = 0.5$ to 4 the mean frequency of a kernel of depth 5 went from 0.11 to 24.84, the condition number from
#   1.71e+08 to 1.98.
# - Scales of layers are learning rates of layers: the layer drawn *smaller* dominates the kernel; the standard
#   parameterization is ours with rates $\eta\,\text{fan-in}/\sigma_w^2$.
# - The law fixes the kernel at infinite width; the draw adds a fluctuation of order $m^{-1/2}$ (slope −0.52 ± 0.04) and an
#   initial function, which symmetrization removes: 0.147 ± 0.008 became 0.0111 ± 0.0007.
#
# ## What is next
#
# What a kernel cannot do, whatever its initialization, and what a network gains by changing it is the subject of
# {doc}`/book/inductive_bias/limits_of_a_fixed_kernel`. To look up a symbol, see {doc}`/book/notation`.
#
# ## Further reading
#
# - Poole and co-authors {cite}`poole2016` and Schoenholz and co-authors {cite}`schoenholz2017`: order, chaos, and how deep
#   signals and gradients go.
# - Xiao, Pennington and Schoenholz {cite}`xiao2020`: what the phases do to the tangent kernel, with convolutions and
#   pooling.
# - Basri and co-authors {cite}`basri2019` and Bietti and Mairal {cite}`bietti2019`: spectra on circle and sphere, with and
#   without biases.
# - Zhang and co-authors {cite}`zhang2020`: the error that the initial function makes, and antisymmetrical initialization.
# - Sohl-Dickstein and co-authors {cite}`sohldickstein2020`: parameterizations and their infinite-width limits.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* The draggable figure and a vote on what will happen at $\sigma_w = 4$ (5); parity gap on the board,
# then the errors (15); correlation map by hand for erf, the phases (15); scales are learning rates, with the vote on the
# larger layer (10); law and draw (5).
#
# *Plan for 90 minutes.* As above, then the limits of the condition number (10), the initial function (10), exercises 2 and
# 4 in pairs (15) and "Where it breaks" (5).
#
# *Misconceptions.* "A wide network can learn anything": the parity gap. "A larger layer learns more": the trace's shares.
# "The random draw fixes the kernel": {numref}`fig-initialization-draws`, left. "Two parameterizations of one function are
# one model": the 0.064 between their trained functions.
#
# </details>
