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
# # What is learned first
#
# **A lazily trained network learns one eigenfunction of its kernel after the other, and the eigenvalues say when, how well
# from how much data, and at what price.**
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
# A pulse on a circle: the sum of the eight waves $\cos k\vartheta$, $k = 1, \dots, 8$, in equal parts, $\vartheta$ being the
# angle of the input. A ReLU network of width 2000 with biases learns it from 32 equally spaced points by gradient descent
# (learning rate $\eta = 0.8$). We add the network's initial outputs $f_0$ to the targets, so that what it has to learn is the
# pulse and nothing else, and we make the pulse small, 0.01 for each wave, so that training is lazy: the tangent kernel stays
# what it was. Besides the pulse there are single waves, which we need later, at 0.1 and at 0.01, and all of it for three
# initializations. `change` holds what has been added to $f_0$ on 128 points.

# %%
plt.rcParams["figure.dpi"] = 80  # small files
n, x, fine = 32, ntk.datasets.circle(32), ntk.datasets.circle(128)
angle, ks = 2 * jnp.pi * jnp.arange(128) / 128, jnp.arange(1, 9)
cos = lambda k: jnp.cos(jnp.multiply.outer(k, angle))
net, eta = ntk.mlp(2000, 1, 1, ntk.relu, b_std=1.0), 0.8
steps = jnp.unique(jnp.geomspace(1, 800, 64).astype(int))
pulse, single = cos(ks).sum(0), jnp.array([2, 4, 8])
targets = jnp.stack([0.01 * pulse, *0.1 * cos(single), *0.01 * cos(single)])

# %% [markdown]
# Networks are trained one after the other, which for large ones is faster than all at once.

# %%
def course(key, target):
    params0, _ = net.init(key, (2,))
    f = lambda params, x: ntk.outputs(net.apply, params, x)
    run = ntk.train(net.apply, params0, x, f(params0, x) + target[::4, None],
        ntk.gradient_descent(eta), steps=steps, record=lambda p: f(p, fine))
    return (run.record - f(params0, fine))[..., 0]

keys, each = jax.random.split(jax.random.key(0), 3), jax.lax.map
change = jax.jit(lambda keys, targets: each(
    lambda key: each(lambda target: course(key, target), targets), keys))(keys, targets)

# %% [markdown]
# The kernel of the infinitely wide network, below, tells what each wave should have become after each step: `expected`. We
# derive it in the next sections.

# %%
row = ntk.gram(ntk.infinite_ntk(net), x[:1], x)[0]
waves = jnp.fft.rfft(row).real / n  # eigenvalues of the kernel matrix, over n
expected = 1 - (1 - eta * waves[ks]) ** steps[:, None]
share = lambda f, k: 2 / n * f[..., ::4] @ cos(k)[..., ::4].T  # of cos kϑ in f
learned = share(change[:, 0], ks) / 0.01  # (seed, step, wave)

# %% [markdown]
# Drag the control, or use the arrow keys, and watch the modes fill in.

# %% mystnb={"image": {"alt": "Left, a dashed pulse with ripples over the angle, and the network's output after 106 steps: a wide smooth bump. Right, the learned share of each of eight frequencies: dots near the theory's line, frequency 1 complete, 2 nearly, 4 about four tenths, 8 about a tenth. As steps go by the bump becomes narrower and the dots rise to one, from left to right."}, "figure": {"caption": "Modes filling in. Left: what a network of width 2000 has learned (one seed), and the pulse (dashed). Right: learned share of each wave; line: theory for infinite width.", "name": "fig-learned-first-surprise"}}
shown = range(3, len(steps), 4)

def frame(axes, i):
    ntk.plotting.filling(axes, angle, change[0, 0, shown[i]] / 0.01, pulse,
                         ks, learned[0, shown[i]], expected[shown[i]])

ntk.interactive.slider(frame, {"step": [int(steps[i]) for i in shown]}, panels=2,
    start=[7], alt="What a network has learned of a pulse, and of each of its waves.")

# %% [markdown]
# At first there is only a broad bump, then it sharpens: low frequencies come first. That networks prefer them was
# observed by Nasim Rahaman and co-authors {cite}`rahaman2019`, who called it *spectral bias*. For wide networks it is a
# computation.
#
# ## You will be able to
#
# - compute the eigenvalues of a kernel on the circle and on the sphere, and read the order of learning off them;
# - predict when a given network has learned half of a mode, and say why it takes a little longer;
# - translate a stopping time into a ridge and back, and choose either;
# - name the norm that a lazily trained network minimizes;
# - predict the test error of each mode from the number of examples.
#
# You need {doc}`/book/linearization/training_dynamics`. Symbols are those of {doc}`/book/notation`; new here are the eigenvalue
# $\lambda_k$ of a frequency $k$, $\lambda_\ell$ of a degree $\ell$, the learnability $\mathcal L_i$ and the effective ridge
# $r$.
#
# ## Modes on the circle, by hand
#
# On the circle of radius $\sqrt 2$, the kernel of a fully-connected network depends only on the angle $a$ between its
# inputs: $\Theta(x, x') = \kappa(a)$.
#
# :::{prf:theorem} Waves are the modes
# :label: thm-learned-first-waves
#
# Let $T g(\vartheta) = \frac{1}{2\pi}\int \kappa(\vartheta - \vartheta')\, g(\vartheta')\, d\vartheta'$. Then
# $T \cos k\vartheta = \lambda_k \cos k\vartheta$, likewise for $\sin k\vartheta$, with
#
# $$ \lambda_k = \frac1\pi \int_0^\pi \kappa(a) \cos(ka)\, da. $$ (eq-learned-first-waves)
#
# On $n$ equally spaced points the waves are eigenvectors of $\Theta(X, X)/n$, with eigenvalues
# $\lambda_k + \lambda_{n-k} + \lambda_{n+k} + \lambda_{2n-k} + \dots$ for $0 < k < n/2$.
#
# :::
#
# *Proof.* Substitute $\vartheta' = \vartheta + a$: $\cos k(\vartheta + a) = \cos k\vartheta \cos ka - \sin k\vartheta \sin ka$,
# and the last term vanishes because $\kappa$ is even. On a grid the integral is a sum, in which waves $k$, $n - k$,
# $n + k$, … look alike. ∎
#
# With the residual $e^{-\lambda t}$ of a mode under gradient flow ({doc}`/book/linearization/training_dynamics`; $\lambda$ is an
# eigenvalue of $\Theta/n$), each wave has a *time scale* $1/\lambda_k$. How do the $\lambda_k$ fall with $k$? What is smooth
# has fast falling Fourier coefficients, so the kinks decide. One hidden ReLU layer has
# $\Theta = K + (\cos a + \sigma_b^2)\,\frac{\pi - \phi}{2\pi} + \text{const}$, where
# $\cos\phi = \frac{\cos a + \sigma_b^2}{1 + \sigma_b^2}$ and $K$ is the covariance of the outputs at initialization.
# For small $a$, $\phi \approx |a|/\sqrt{1 + \sigma_b^2}$: the term in $\phi$ has the kink
# $-c\,|a|$ with $c = \sqrt{1 + \sigma_b^2}/2\pi$. Two integrations by parts turn it into $\lambda_k \approx c/(\pi k^2)$. The kink of $K$
# is of third order, $|a|^3$, and gives $k^{-4}$.

# %%
pairs = {"NTK": ntk.infinite_ntk(net), "NNGP": ntk.infinite_nngp(net)}
circle = {name: ntk.sphere_eigenvalues(pair, 2, 121) for name, pair in pairs.items()}
lam = circle["NTK"]
matrix = ntk.gram(pairs["NTK"], x) / n
assert jnp.allclose(matrix @ cos(ks)[:, ::4].T, waves[ks] * cos(ks)[:, ::4].T)
grid = jnp.array([lam[k] + lam[n - k] + lam[n + k] + lam[2 * n - k] for k in ks])
assert jnp.allclose(grid, waves[ks], rtol=0.06)  # further copies of the grid left out
print(f"λ k² at k = 100: {lam[100] * 1e4:.4f}, by hand {2**0.5 / (2 * jnp.pi**2):.4f}")

# %% [markdown]
# `ntk.sphere_eigenvalues` computes {eq}`eq-learned-first-waves` by quadrature, with exponentially small error; the matrix
# on 32 points agrees.
#
# <details class="answer"><summary>Predict before you run: how many times as long as k = 4 does k = 8 take, for the NTK and for the NNGP?</summary>
#
# About $2^2 = 4$ times for the NTK, about $2^4 = 16$ times for the NNGP kernel $K$, which rules when only the readout is
# trained: training the hidden layer too makes fine detail learnable much earlier.
#
# </details>

# %% mystnb={"image": {"alt": "Eigenvalues against frequency from 2 to 120 on logarithmic axes. The curve of the NTK falls along a dashed line of slope minus two, that of the NNGP along one of slope minus four."}, "figure": {"caption": "Eigenvalues on the circle, one hidden ReLU layer with biases, infinite width. Dashed: powers −2 and −4 through the last point.", "name": "fig-learned-first-circle"}}
k = jnp.arange(2, 121)
fits = ntk.plotting.falling(plt.gca(), k, {name: v[2:] for name, v in circle.items()},
    (-2, -4), since=5, xlabel="frequency k", ylabel="eigenvalue")
plt.show()
for (name, values), fit, law in zip(circle.items(), fits, (-2, -4)):
    ratio = values[4] / values[8]
    print(f"{name}: exponent {fit.exponent:.3f}; k = 8 takes {ratio:.1f} x k = 4")
    assert abs(fit.exponent - law) < 0.05  # k ≥ 5 is near, not at, the limit

# %% [markdown]
# **What we see.** The exponents are −2.013 and −4.011 for $k \ge 5$, and doubling the frequency costs a factor of 4.6 and
# 18.4. Ronen Basri and co-authors {cite}`basri2019` derived such rates and saw them in networks. All of this needs a bias;
# {doc}`/book/inductive_bias/initialization` shows what happens without.
#
# ## Modes on the sphere: how many, how slow
#
# In $d$ dimensions the role of the waves is played by harmonic polynomials (homogeneous polynomials with zero Laplacian): by
# the Funk–Hecke theorem, all of one degree $\ell$ share an eigenvalue
#
# $$ \lambda_\ell = c_d \int_0^\pi \kappa(a)\, P_\ell(\cos a)\, \sin^{d-2}a\; da, \qquad
# N(d, \ell) = \binom{\ell + d - 1}{\ell} - \binom{\ell + d - 3}{\ell - 2}, $$ (eq-learned-first-sphere)
#
# where $c_d$ makes the weight a probability, $P_\ell$ are the Gegenbauer polynomials with $P_\ell(1) = 1$, and
# $N(d, \ell)$ is the *degeneracy*, the number of independent ones. For ReLU without bias the integral is known in closed form
# {cite}`bach2017,bietti2019`: two coefficients of each degree, from the step function and the ReLU,
# are squared and mixed with their neighbours. The package has it as `ntk.relu_ntk_eigenvalues`, an independent check.

# %%
bare = ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.relu))
for d in (2, 3, 10):
    closed = ntk.relu_ntk_eigenvalues(d, 30)
    assert jnp.allclose(closed, ntk.sphere_eigenvalues(bare, d, 30), rtol=0, atol=1e-14)
    assert closed[3::2].max() == 0  # odd degrees from 3 on are absent
ten, count = ntk.sphere_eigenvalues(pairs["NTK"], 10, 6), ntk.degeneracies(10, 6)
for l in range(6):
    print(f"degree {l}: {count[l]:4d} modes, half-time {jnp.log(2) / ten[l]:8.1f}")

# %% [markdown]
# The half-time $\ln 2/\lambda_\ell$ is that of the kernel with bias. Degree 2 alone has 54 modes in ten dimensions, degree 5
# has 1,782, and each of those needs five orders of magnitude more time than degree 0. Alberto Bietti and Julien Mairal
# {cite}`bietti2019` prove $\lambda_\ell \sim \ell^{-d}$:

# %% mystnb={"image": {"alt": "Eigenvalues against the even degrees from 2 to 400 on logarithmic axes for d = 2, 3 and 5. Each falls along a straight line, steeper for larger d, and meets its dashed line of slope minus d."}, "figure": {"caption": "Eigenvalues of the bias-free ReLU NTK on the sphere, even degrees (closed form). Dashed: ℓ to the power −d through the last point.", "name": "fig-learned-first-sphere"}}
even, dims = jnp.arange(2, 401, 2), (2, 3, 5)
columns = {f"d = {d}": ntk.relu_ntk_eigenvalues(d, 401)[even] for d in dims}
fits = ntk.plotting.falling(plt.gca(), even, columns, [-d for d in dims], since=100,
                            xlabel="degree ℓ", ylabel="eigenvalue")
plt.show()
for d, fit in zip(dims, fits):
    print(f"d = {d}: exponent {fit.exponent:.3f} for ℓ ≥ 100")
    assert abs(fit.exponent + d) < 0.05  # the limit is approached like 1/ℓ

# %% [markdown]
# ## Real networks keep the time table
#
# Now the single waves: how long until a network has learned half of $0.1\cos k\vartheta$? The theory says
# $\ln 2/\lambda_k$; with finite steps, a residual shrinks by $1 - \eta\lambda_k$ a step, so $\ln 2/{-\ln(1 - \eta\lambda_k)}$
# steps. A finite network has a kernel of its own, $\Theta_m$, in which the wave $e_k$ (a unit vector) has the mean rate
# $\bar\lambda_k = e_k^\top\Theta_m e_k/n$.
#
# :::{prf:theorem} A mode is never faster than its mean rate
# :label: thm-learned-first-jensen
#
# Let $\Theta_m$ be constant, with eigenvectors $u_i$ and eigenvalues $n\lambda_i$, and let the target be $e_k$. Then under gradient flow
# the residual's part along $e_k$ is $\sum_i (u_i \cdot e_k)^2 e^{-\lambda_i t} \ge e^{-\bar\lambda_k t}$.
#
# :::
#
# *Proof.* The weights $(u_i\cdot e_k)^2$ add up to one, and their mean of $\lambda_i$ is $\bar\lambda_k$. The exponential is
# convex: Jensen's inequality. The same holds for $(1 - \eta\lambda_i)^s$ if $\eta\lambda_i \le 1$. ∎
#
# So $t_{1/2}\,\bar\lambda_k/\ln 2 \ge 1$, with equality only if $e_k$ is an eigenvector of $\Theta_m$ too. What mixes the
# waves is chance, of order $m^{-1/2}$, and enters squared.
#
# <details class="answer"><summary>Predict before you run: by what power of the width does the excess over 1 fall?</summary>
#
# Squares of entries of order $m^{-1/2}$ are of order $1/m$: the power −1.
#
# </details>

# %%
e = cos(single)[:, ::4] / (n / 2) ** 0.5

def own_kernels(net, keys):  # Θ / n of finite networks
    kernel = lambda key: ntk.empirical_ntk(net.apply, net.init(key, (2,))[0])
    return ntk.over_seeds(lambda key: ntk.gram(kernel(key), x)[..., 0, 0] / n, keys)

@jax.jit
def measure(kernels, runs):  # mean rates, shares learned, steps to one half
    learned = jnp.stack([share(runs[:, i], single[i]) for i in range(3)], -1)
    half = jax.vmap(lambda one: ntk.half_time(1 - one, steps))(learned)
    return jnp.einsum("kx,sxy,ky->sk", e, kernels, e), learned, half

kernels = own_kernels(net, keys)
own, courses, half = measure(kernels, change[:, 1:4] / 0.1)
half_small = measure(kernels, change[:, 4:] / 0.01)[-1]

# %% [markdown]
# Ratios of the measured number of steps to the predicted one, for three networks each at $k = 2$, then 4, then 8; with the network's own mean rate and
# with that of infinite width, for waves of size 0.1 and 0.01:

# %% mystnb={"image": {"alt": "Share learned against step for the waves k = 2, 4 and 8. Dots of a real network lie on curves that rise from 0 to 1 one after the other; those of k = 8 lie a little below their curve."}, "figure": {"caption": "One wave at a time, 0.1 cos kϑ, width 2000, one seed. Curves: 1 − (1 − ηλ)^step with the network's own mean rate. Dots: training.", "name": "fig-learned-first-courses"}}
fig, ax = plt.subplots()
theory = 1 - (1 - eta * own[0]) ** steps[:, None]
ntk.plotting.courses(ax, steps, theory, steps, courses[0], columns=range(3),
                     ylabel="share learned")
ax.set(xlabel="step"), ax.legend(ax.lines[::2], [f"k={k}" for k in single]), plt.show()
for name, rate in (("own", own), ("limit", waves[single])):
    for size, found in ((0.1, half), (0.01, half_small)):
        ratio = -found * jnp.log1p(-eta * rate) / jnp.log(2)
        print(f"{name:5}, size {size:<4}:", *(f"{r:.3f}" for r in ratio.T.reshape(-1)))
        assert (ratio.min() >= 1 or name == "limit") and ratio.max() < 1.4

# %% [markdown]
# **What we see.** Measured by the network's own mean rate, all ratios lie between 1 and 1.4, as the theorem asks. For waves
# of size 0.01 they stay below 1.05: mixing, and little else. At size 0.1 training of $k = 8$ takes 1.108 to 1.148 times as
# long as predicted, though the same networks need at most 1.040 times as long for the small wave: what is added is the movement of the
# kernel, which a larger target asks for. Measured by the infinite-width eigenvalue, single networks scatter from 0.940 to
# 1.174: their $\bar\lambda_k$ are random, and may be larger than $\lambda_k$.
#
# The excess that is due to mixing alone we find without training, from kernels. The kernel of one hidden layer is a mean over
# units, so the mean of the kernels of two networks of width 250 *is* the kernel of one of width 500.

# %%
narrow, widths = ntk.mlp(250, 1, 1, ntk.relu, b_std=1.0), [250, 500, 1000, 2000, 4000]
draws = own_kernels(narrow, jax.random.split(jax.random.key(1), 256))

@jax.jit
def excess(kernels):  # of half-times, for kernels (seed, n, n)
    rates, u = jnp.linalg.eigh(kernels)
    weight = (e @ u) ** 2  # (seed, wave, mode)
    mean = jnp.einsum("skm,sm->sk", weight, rates)
    ts = jnp.linspace(0.5, 2, 301)[:, None, None] * jnp.log(2) / mean
    left = jnp.einsum("skm,tskm->tsk", weight, jnp.exp(-ts[..., None] * rates[:, None]))
    return ntk.half_time(left, ts) * mean / jnp.log(2) - 1

# %% [markdown]
# Sixteen networks at each width:

# %% mystnb={"image": {"alt": "Excess over one against width from 250 to 4000 on logarithmic axes with error bars for k = 2, 4 and 8: three parallel lines with slopes near minus one, the higher the larger k; dashed slope minus one."}, "figure": {"caption": "By how much mixing lengthens the half-time, relative to the mean rate; mean and standard error of 16 networks. Dashed: slope −1.", "name": "fig-learned-first-width"}}
groups, ax = draws.reshape(16, 16, n, n), plt.gca()
slower = jnp.stack([excess(groups[:, : m // 250].mean(1)) for m in widths], 1)
for i, k in enumerate(single):
    fit = ntk.plotting.scaling(ax, widths, slower[..., i], theory=-1, label=f"k = {k}")
    print(f"k = {k}: slope {fit.exponent:.2f} ± {fit.standard_error:.2f}")
    assert slower.min() > 0 and abs(fit.exponent + 1) < 0.15  # two standard errors
ntk.plotting.widths_axis(ax, widths, "excess of the half-time")
plt.show()

# %% [markdown]
# The slopes agree with −1, for each $k$ the excess is larger than for the one before, and not one of the 240 numbers is negative.
#
# ## Stopping early and ridges are filters
#
# After time $t$, the share $1 - e^{-\lambda t}$ of each mode is let through, whatever the target. A ridge $\rho$ at the end
# of training lets $\lambda/(\lambda + \rho/n)$ through. Both pass what is fast and hold back what is slow, and they are
# interchangeable:
#
# :::{prf:theorem} Stopping at t is nearly a ridge n/t
# :label: thm-learned-first-filters
#
# Let $\rho = n/t$. In each mode the flow lets through at least as much as the ridge, and at most 1.2985 times as much. If the
# targets have independent noise of variance $\sigma^2$, the flow's expected squared error against the noise-free target, on the
# training inputs, is at most 1.69 times that of the ridge.
#
# :::
#
# *Proof.* With $z = \lambda t$ the two filters are $1 - e^{-z}$ and $z/(1 + z)$. From $e^z \ge 1 + z$ follows the first bound;
# the largest ratio, at $z = 1.79$, is 1.2985. In a mode with coefficient $c$ a filter $s$ has the
# error $(1 - s)^2c^2 + s^2\sigma^2$. The first term is not larger for the flow, the second at most
# $1.2985^2 \le 1.69$ times as large. ∎
#
# Alnur Ali, Zico Kolter and Ryan Tibshirani {cite}`ali2019` show this, and much more. We try it: the target
# $\cos\vartheta + \cos 2\vartheta$ on our 32 points with noise $\sigma = 0.5$.

# %%
modes, noise = ntk.eigenmodes(matrix), 0.5
clean, ts = cos(ks[:2]).sum(0)[::4], jnp.geomspace(0.3, 3e4, 81)
filters = {"stop at t": lambda z: -jnp.expm1(-z), "ridge n/t": lambda z: z / (1 + z)}

def risk(share):  # expected squared error of a filter
    s, c = share(modes.eigenvalues * ts[:, None]), clean @ modes.eigenvectors
    return jnp.mean(((1 - s) * c) ** 2 + (s * noise) ** 2, 1)

risks = {name: risk(filter) for name, filter in filters.items()}
y = clean[:, None] + noise * jax.random.normal(jax.random.key(2), (n, 1000))
stopped = ntk.predict(n * matrix, y, ts[::10]).train
measured = jnp.mean((stopped - clean[:, None]) ** 2, (1, 2))
assert jnp.allclose(measured, risks["stop at t"][::10], rtol=0.03)  # 1000 draws

# %% [markdown]
# The dots are kernel regression on 1,000 draws of the noise, stopped at nine times.

# %% mystnb={"image": {"alt": "Left: two filters against lambda t on a logarithmic axis, both rising from 0 to 1; stopping is steeper and slightly above the ridge. Right: expected error against time; both curves fall to a minimum near time 20 to 50 and rise again to the noise variance 0.25; dots on the curve for stopping."}, "figure": {"caption": "Left: what is let through. Right: expected squared error against the noise-free target; dots: measured, 1,000 draws of the noise.", "name": "fig-learned-first-filters"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.2))
ntk.plotting.filtered(axes, filters, ts, risks, ts[::10], measured), plt.show()
for name, values in risks.items():
    print(f"{name}: smallest error {values.min():.4f} at t = {ts[values.argmin()]:.0f}")
flow, worst = risks["stop at t"], (risks["stop at t"] / risks["ridge n/t"]).max()
print(f"errors: ratio up to {worst:.2f}; at the end {flow[-1]:.3f}")
print("half-times of k = 2 and 8:", *(f"{jnp.log(2) / lam[k]:.0f}" for k in (2, 8)))
assert worst < 1.69

# %% [markdown]
# **What we see.** Measured errors follow the sum over modes. Too short a training misses the target, too long a training learns the
# noise, up to its variance 0.250. The best stopping time, about 53, lies after the half-time of frequency 2 (14) and long
# before that of frequency 8 (594 at infinite width and infinitely many points). It even beats the best ridge, 0.0445 to 0.0561, since its filter is
# steeper; nowhere is it more than 1.36 times worse than the ridge $n/t$.
#
# ## The norm that is minimized
#
# Without noise one trains to the end. Of all functions through the data, which one is found?
#
# :::{prf:theorem} Least norm
# :label: thm-learned-first-norm
#
# For $g = \sum_i c_i v_i$ in orthonormal eigenfunctions $v_i$ of the kernel, let
# $\lVert g\rVert_\Theta^2 = \sum_i c_i^2/\lambda_i$. Among all $g$ with $g(X) = y$, the one with the least norm is
# $\Theta(\cdot, X)\,\Theta(X, X)^{-1}y$, the end of lazy training from $f_0 = 0$, and its squared norm is
# $y^\top\Theta(X,X)^{-1}y$. That is also $\lVert\theta - \theta_0\rVert^2$ of the linearized network.
#
# :::
#
# *Proof.* A linear model $g = J(\theta - \theta_0)$ has the kernel $JJ^\top$; gradient flow moves in the span of the rows
# $J(X)$, so it ends at the shortest $\delta$ with $J(X)\delta = y$, which is
# $J(X)^\top\Theta(X, X)^{-1}y$, of squared length $y^\top\Theta(X,X)^{-1}y$. In the eigenbasis $g = \sum_i \sqrt{\lambda_i}\,w_iv_i$ has
# the shortest weights $w_i = c_i/\sqrt{\lambda_i}$, of squared length $\lVert g\rVert_\Theta^2$. ∎
#
# This is the norm of the *reproducing kernel Hilbert space* (RKHS) of $\Theta$. A wave $k$ of unit size
# costs $1/\sqrt{2\lambda_k}$, about $k$ times a constant: it is slopes that are expensive. We draw three curves through the same seven points:

# %%
at, y = jnp.array([4, 16, 35, 58, 66, 90, 112]), jnp.array([1, 0, 0.5, -1, -0.5, 1, 0])
gram_fine = {name: ntk.gram(pair, fine) for name, pair in pairs.items()}
curves = {name: g[:, at] @ jnp.linalg.solve(g[at][:, at], y)
          for name, g in gram_fine.items()}
basis = jnp.concatenate([cos(jnp.arange(4)), jnp.sin(jnp.outer(ks[:3], angle))]).T
curves["polynomial"] = basis @ jnp.linalg.solve(basis[at], y)

# %% [markdown]
# The seven points are among 128 on the circle, so that norms are those of vectors, $g^\top\Theta^{-1}g$:

# %% mystnb={"image": {"alt": "Three curves over the angle through the same seven black dots. That of the NTK bends at the dots and is nearly straight between them, that of the NNGP is smoother, and the trigonometric polynomial overshoots widely between distant dots."}, "figure": {"caption": "Interpolants of seven points: least norm for the NTK, for the NNGP kernel, and the trigonometric polynomial of degree 3. In the legend: the norm of each in the RKHS of the NTK.", "name": "fig-learned-first-norm"}}
norm = lambda g: jnp.sqrt(g @ jnp.linalg.solve(gram_fine["NTK"], g))
for name, g in curves.items():
    plt.plot(jnp.degrees(angle), g, label=f"{name}: norm {norm(g):.1f}")
plt.plot(jnp.degrees(angle[at]), y, "ko", zorder=3), plt.legend()
plt.gca().set(xlabel="angle in degrees", ylabel="output"), plt.show()
print("norms:", *(f"{name} {norm(g):.2f}" for name, g in curves.items()))
shortest = jnp.sqrt(y @ jnp.linalg.solve(gram_fine["NTK"][at][:, at], y))
assert jnp.allclose(norm(curves["NTK"]), shortest) and norm(curves["NNGP"]) > shortest

# %% [markdown]
# The NTK's own interpolant is the shortest, by construction. The NNGP's curve is smoother, and costs more; the polynomial swings
# where no data hold it, and costs most. So the bias at the end of training is the same as on the way: fast modes are cheap.
#
# ## How much is learned from n examples
#
# So far the points covered the circle. With few random examples modes look alike on the data and compete. James Simon,
# Madeline Dickens, Dhruva Karkada and Michael DeWeese {cite}`simon2023` measure the outcome by one number for each mode:
#
# :::{prf:definition} Learnability
# :label: def-learned-first-learnability
#
# Train on $n$ examples of the target $v_i$ alone. $\mathcal L_i$ is the part of $v_i$ in the predictor, $\langle v_i, \hat f\rangle$,
# over all inputs; its mean over training sets is the learnability of mode $i$.
#
# :::
#
# :::{prf:theorem} Learnability is conserved
# :label: thm-learned-first-conservation
#
# Without ridge, $\sum_i \mathcal L_i = n$ for every kernel of full rank on every training set of $n$ different examples. With a ridge
# the sum is smaller.
#
# :::
#
# *Proof.* $\langle v_i, \Theta(\cdot, X)\rangle = \lambda_i v_i(X)^\top$, so
# $\mathcal L_i = \lambda_i v_i(X)^\top (\Theta(X, X) + \rho I)^{-1} v_i(X)$, and because
# $\sum_i\lambda_i v_i(X)v_i(X)^\top = \Theta(X, X)$ the sum is the trace of $\Theta(\Theta + \rho I)^{-1}$. ∎
#
# Each example buys one unit of learnability, and the eigenvalues decide who gets it. Their *eigenlearning* equations, found in
# other symbols by Blake Bordelon, Abdulkadir Canatar and Cengiz Pehlevan {cite}`bordelon2020,canatar2021`, are
#
# $$ \mathcal L_i = \frac{\lambda_i}{\lambda_i + r}, \qquad \sum_i \mathcal L_i + \frac{\rho}{r} = n, \qquad
# \text{test error} = \frac{n}{n - \sum_i \mathcal L_i^2}\,\sum_i (1 - \mathcal L_i)^2\, c_i^2, $$ (eq-learned-first-curves)
#
# with coefficients $c_i$ of a target without noise. The *effective ridge* $r$ is whatever makes the sum right: a
# ridge appears even where $\rho = 0$. `ntk.learning_curve` solves for it, and `ntk.learn_each` does the regressions.
#
# The test: all 256 points of the cube $\{\pm1\}^8$ and a ReLU network of three hidden layers. Its eigenfunctions are the 256
# *parities*, products of $k$ of the coordinates {cite}`odonnell2014`; the eigenvalue depends on the degree $k$ only. `ntk.datasets.hypercube` has
# points, parities and degrees.

# %%
cube, parities, degree = ntk.datasets.hypercube(8)
theta = ntk.gram(ntk.infinite_ntk(ntk.mlp(1, 3, 1, ntk.relu)), cube)
mixed = parities.T @ theta @ parities / 256**2
eigenvalues = jnp.diag(mixed)
assert jnp.allclose(mixed, jnp.diag(eigenvalues), atol=1e-12)  # parities are the modes

# %% [markdown]
# Fifty training sets of each size, without repetition. Errors are means over all 256 inputs, as in the theory.
#
# <details class="answer"><summary>Predict before you run: with n = 64 examples, which degrees can be learned well?</summary>
#
# There are 1, 8, 28, 56 and 70 parities of degree 0 to 4. Degrees 0 to 2 need 37 of the 64 units, and degree 3 would need 56
# more. So degree 1 well, degree 2 mostly, degree 3 in part.
#
# </details>

# %%
sizes = (16, 32, 64, 128)
mean = (degree[:, None] == jnp.arange(6)) / jnp.array([1, 8, 28, 56, 70, 56])

@jax.jit
def measured(order):  # of each training set
    found = jax.vmap(lambda at: ntk.learn_each(theta, parities, at))(order)
    return found.learnability.sum(1), found.learnability @ mean, found.test_error @ mean

def foretold(m):
    curve = ntk.learning_curve(eigenvalues, m)
    return curve.learnability @ mean, jax.vmap(curve.test_error, 1)(mean)

seeds = jax.random.split(jax.random.key(3), 50)
order = ntk.over_seeds(lambda key: jax.random.permutation(key, 256), seeds)
curves = zip(*(measured(order[:, :m]) for m in sizes))
total, *found = (jnp.stack(parts, 1) for parts in curves)
theory = jax.jit(jax.vmap(foretold))(jnp.array(sizes))
assert jnp.allclose(total, jnp.array(sizes), atol=1e-6)  # exact, for each training set

# %% [markdown]
# Measured means are dots, the theory dashed:

# %% mystnb={"image": {"alt": "Two panels against the number of examples 16, 32, 64 and 128, one colour for each degree 1 to 5, dots on dashed curves. Left, learnability rises, for degree 1 from 0.48 to 0.96, for degree 5 from 0.02 to 0.35. Right, test error falls for degrees 1 and 2; for degrees 3 to 5 it stays above one at first and falls towards 128."}, "figure": {"caption": "Learnability and test error of parities of degree 1 to 5 on the 8-dimensional cube, three-layer ReLU NTK. Dots: means of 50 training sets. Dashed: theory.", "name": "fig-learned-first-curves"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.6))
ntk.plotting.learning_curves(axes, sizes, found, theory, degrees=ks[:5]), plt.show()
off, gap = (f.mean(0) - t for f, t in zip(found, theory))
off, large = jnp.abs(off / theory[0]), jnp.abs(gap / theory[1])[theory[1] > 0.2].max()
print(f"learnability off by up to {100 * off.max():.1f} %")
print(f"error off by {jnp.abs(gap).max():.3f}; {100 * large:.1f} % where above 0.2")
print(f"degree 2 at n = 64: test error {found[1][:, 2, 2].mean():.2f}")
print("all at n = 16:", *(f"{v:.2f}" for v in found[1][:, 0].mean(0)))
assert off.max() < 0.03 and large < 0.03 and jnp.abs(gap).max() < 0.03

# %% [markdown]
# **What we see.** The sum of learnabilities is $n$ on each of the 200 training sets, up to rounding. Learnabilities agree with theory
# to 1.0 %, test errors to 2.1 % where they are above 0.2, and to 0.019 of the target's power everywhere. Small errors are predicted less well in
# relative terms: parities are $\pm1$, not Gaussian as the theory takes them, and training sets never repeat a point. With 16 examples
# the errors of degrees 3 to 5 are above 1, the error of answering 0: what is seen of such a target is put into wrong modes.
#
# ## Where it breaks
#
# **Where eigenfunctions are not random-like.** The equations {eq}`eq-learned-first-curves` treat eigenfunctions on the
# examples as independent Gaussian variables. In high dimensions that works well. On the circle it does not: 16 random points leave gaps,
# and a wave in a gap is lost. We compare errors there with the theory's (the conservation law
# holds on the circle too, it is exact):

# %%
def circle_error(key):  # cos kϑ from 16 random points
    at = jax.random.choice(key, 128, (16,), replace=False)
    return ntk.learn_each(gram_fine["NTK"], cos(ks).T, at).test_error

error = ntk.over_seeds(circle_error, jax.random.split(jax.random.key(4), 200)).mean(0)
theory = ntk.learning_curve(lam, 16, degeneracies=ntk.degeneracies(2, 121)).test_error
ratio = error / jax.vmap(theory)(jnp.eye(121)[ks])
print("measured / theory, k = 1 to 8:", *(f"{r:.1f}" for r in ratio))
assert ratio[1] > 3  # the theory's assumption fails on the circle

# %% [markdown]
# The real error of $\cos\vartheta$ is 5.5 times what the theory says, that of $\cos 8\vartheta$ 1.1 times.
#
# **Where inputs are not uniform.** Eigenfunctions depend on the law of the inputs. On real images they are neither waves nor
# harmonics; {doc}`/book/linearization/training_dynamics` finds those of digits from the matrix $\Theta(X, X)$, which always works.
#
# **Where the width does not suffice.** The excess grows with frequency, and past some frequency, at any width, a wave is no
# longer near an eigenvector of the network's own kernel.
#
# **Where the kernel moves.** At size 0.1 it was already visible: the time table then is that of a kernel that no longer exists.
# {doc}`/book/lazy_training/lazy_or_feature` shows when that happens, and {doc}`/book/lazy_training/two_layer_networks` what it is good for.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A bias-carrying ReLU network on the circle has half learned frequency 5 at time $t$. When has it half learned frequency 20?
#
# <details class="wrong"><summary>At about 4t</summary>
#
# That would be $\lambda_k \propto 1/k$. The kink of the kernel gives $1/k^2$.
#
# </details>
# <details class="right"><summary>At about 16t</summary>
#
# Yes: four times the frequency, eigenvalues fall as $k^{-2}$, times grow as $k^2$.
#
# </details>
# <details class="wrong"><summary>At about 256t</summary>
#
# This is the NNGP kernel, $k^{-4}$: it is right if only the readout is trained.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** Why does a finite network need longer than its mean rate of a wave says?
#
# <details class="wrong"><summary>Its eigenvalues are smaller than at infinite width</summary>
#
# On average they are not: the mean rate has the infinite-width value as its mean, and the ratio was taken to the network's own rate.
#
# </details>
# <details class="right"><summary>The wave is a mixture of its eigenvectors, and the slow parts last</summary>
#
# Yes: a mean of exponentials is at least the exponential of the mean rate, by Jensen's inequality.
#
# </details>
# <details class="wrong"><summary>Gradient descent takes finite steps</summary>
#
# Finite steps are faster than the flow, $1 - z < e^{-z}$, and we corrected for them.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** You interpolate 100 examples with some kernel and learn 30 modes perfectly. How much learnability is left for all others together?
#
# <details class="wrong"><summary>None, they are not in the data</summary>
#
# Interpolation spends all of its budget; what the 30 modes do not take goes elsewhere.
#
# </details>
# <details class="right"><summary>70</summary>
#
# Yes: the sum over all modes is $n = 100$, whatever the kernel.
#
# </details>
# <details class="wrong"><summary>It depends on the target</summary>
#
# Learnability is defined mode by mode and does not know the target; the test error does.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ A budget of examples
# :label: ex-learned-first-budget
#
# Inputs are uniform on the sphere in ten dimensions. How many examples are needed at least, by whatever kernel, for all modes of
# degree 0, 1 and 2 to have learnability 0.9?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Count the modes, then use {prf:ref}`thm-learned-first-conservation`. Examples come in whole numbers.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# 1 + 10 + 54 modes want 0.9 each, and n examples have n to give.
answer = int(jnp.ceil(0.9 * ntk.degeneracies(10, 3).sum()))
ntk.exercises.what_is_learned_first.check_budget(answer)

# %% [markdown]
# :::{exercise} ★ The ridge of a half-time
# :label: ex-learned-first-ridge
#
# Gradient flow has half learned some mode at time $t$. Which ridge lets through one half of this mode at the end of training? Write
# `ridge(t, n)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Find $\lambda$ from $1 - e^{-\lambda t} = \frac12$ and put it into $\lambda/(\lambda + \rho/n)$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# λ = ln 2 / t, and one half passes where ρ/n = λ.
def ridge(t, n):
    return float(n * jnp.log(2) / t)

ntk.exercises.what_is_learned_first.check_ridge(ridge)

# %% [markdown]
# :::{exercise} ★★ Without a kink
# :label: ex-learned-first-smooth
#
# Take `ntk.mlp(1, 1, 1, ntk.erf, b_std=1.0)`. How many times as long as frequency 2 does frequency 8 take on the circle, by its
# infinite-width NTK? Compare with ReLU.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `ntk.sphere_eigenvalues(pair, 2, 9)` has frequencies 0 to 8.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Times are in the ratio of the eigenvalues.
pair = ntk.infinite_ntk(ntk.mlp(1, 1, 1, ntk.erf, b_std=1.0))
smooth = ntk.sphere_eigenvalues(pair, 2, 9)
ntk.exercises.what_is_learned_first.check_smooth(float(smooth[2] / smooth[8]))

# %% [markdown]
# :::{exercise} ★★ When to stop
# :label: ex-learned-first-stopping
#
# The target of the section on filters becomes $\cos\vartheta + \cos 4\vartheta$, still on 32 points and with noise 0.5.
# At which time is the expected error smallest? Two digits are enough.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Set `clean` to the new target and use the formula in `risk`; it is compiled, so write it anew for a finer `ts`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The same sum over modes, with another target, on a fine grid of times.
target = cos(jnp.array([1, 4])).sum(0)[::4] @ modes.eigenvectors
ts = jnp.geomspace(10, 3000, 1001)
s = -jnp.expm1(-modes.eigenvalues * ts[:, None])
best = ts[jnp.argmin(jnp.sum(((1 - s) * target) ** 2 + (s * noise) ** 2, 1))]
ntk.exercises.what_is_learned_first.check_stopping(float(best))

# %% [markdown]
# :::{exercise} ★★★ The price of two coordinates
# :label: ex-learned-first-samples
#
# How many examples, by theory, bring the test error of one parity of degree 2 below 0.1, on the cube and with the kernel of this chapter?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# `jax.vmap` a function of $n$ that calls `ntk.learning_curve(eigenvalues, n).test_error(...)`. Parity 3 has degree 2.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Try all n at once, and take the first that is good enough.
@jax.jit
@jax.vmap
def pair_error(n):
    return ntk.learning_curve(eigenvalues, n).test_error(jnp.arange(256) == 3)

first = int(jnp.argmax(pair_error(jnp.arange(1, 256)) < 0.1)) + 1
ntk.exercises.what_is_learned_first.check_samples(first)

# %% [markdown]
# ## Questions readers ask
#
# **How does the NTK regime affect generalization?** It turns it into a property of one fixed kernel. The trained network is
# kernel regression with $\Theta$, plus a random part from $f_0$, which averaging removes
# ({doc}`/book/lazy_training/fluctuations`). Its test error is a sum over eigenfunctions, {eq}`eq-learned-first-curves`, in which the target enters only by its
# coefficients $c_i$. From this follow four things. *(1)* Generalization is good exactly if the target lies in modes with
# large eigenvalues: smooth on the circle, of low degree on the sphere and on the cube. *(2)* Over-parameterization does no harm by itself: of all functions
# through the data, the one of least norm is found, and the unlearned modes act as an effective ridge $r > 0$. *(3)* Noise is fitted at the end;
# stopping early or a ridge prevents it, and both are filters on the same modes. *(4)* The
# budget is $n$: all $N(d, \ell) \approx d^\ell/\ell!$ modes of a degree share one eigenvalue, so a kernel that does not know which
# coordinates matter pays for all, even if the target depends on two. On the cube, one parity of degree 2 needed 64 examples for an
# error of 0.28. Nothing that is learned makes other things easier to learn: that is the
# price of the regime, and where feature learning can win ({doc}`/book/lazy_training/two_layer_networks`).
#
# **Is "low frequency first" a law of nature?** No, of this kernel. The order is that of the eigenvalues, and the architecture and the initialization choose
# them, as the next two chapters show.
#
# **How do I get eigenvalues for my data?** `ntk.eigenmodes(kernel)` of the matrix $\Theta(X, X)$; over $n$ they estimate the $\lambda_i$, the largest best.
# `ntk.target_power` says how much of the target each mode holds.
#
# **Does a mode with a small eigenvalue never get learned?** In time it does, on the training set. On new inputs its learnability
# grows only with $n$.
#
# ## Summary
#
# - On the circle, waves are the modes of any fully-connected network's kernel. For ReLU with biases eigenvalues fall with
#   exponents −2.013 (NTK) and −4.011 (NNGP); the kink of the kernel is the reason. On the sphere the exponent is $-d$, and degeneracies grow.
# - Networks of width 2000 need between 1 and 1.15 times as many steps as their mean rates say; mixing accounts for an excess that falls as $1/m$,
#   kernel movement for the rest.
# - Stopping at $t$ is nearly a ridge $n/t$: filters differ by a factor of at most 1.2985.
# - The end of training is the interpolant of least RKHS norm, $\sum_i c_i^2/\lambda_i$.
# - Learnabilities add up to $n$, exactly; on the cube theory predicts them to 1.0 %, and test errors above 0.2 to 2.1 %.
#
# ## What is next
#
# {doc}`/book/inductive_bias/architecture` changes the eigenfunctions: what does a convolutional network find easy?
# {doc}`/book/inductive_bias/initialization` changes the eigenvalues, down to zero.
#
# ## Further reading
#
# - Basri and co-authors {cite}`basri2019`: eigenvalues on the circle and the sphere with and without bias, and measured times of deep networks.
# - Bietti and Mairal {cite}`bietti2019`: the function space of the NTK, and how it differs from that of the NNGP kernel.
# - Simon and co-authors {cite}`simon2023`: learnability, its conservation, and what follows; the derivation is short.
# - Bordelon, Canatar and Pehlevan {cite}`bordelon2020`, and with real data {cite}`canatar2021`: learning curves mode by mode.
# - Ali, Kolter and Tibshirani {cite}`ali2019`: early stopping against ridge, also for new inputs.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* The slider, with a vote on what comes next (5); {prf:ref}`thm-learned-first-waves` and the kink on the board (15);
# real networks and Jensen's inequality (10); conservation of learnability with its two-line proof (10); learning curves (10).
#
# *Plan for 90 minutes.* As above, then filters (15), exercise 4 or 5 in pairs (15), and a discussion of the first question above (10).
#
# *Misconceptions.* "Networks learn the largest parts of the target first": those with the largest eigenvalue; the pulse has equal parts.
# "Some data are better than none": degrees 3 to 5 at n = 16. "Without a ridge there is no regularization": the effective ridge.
# "Spectral bias is about frequencies": it is about eigenfunctions.
#
# </details>
