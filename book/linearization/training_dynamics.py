# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training, solved
#
# **When a network stays close to its linearization, the whole course of its training can be written down before the first step is taken.**
#
# *Reading time: 30 minutes. Run time: two minutes on 2 CPU cores. Hardware: a CPU suffices.*

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
# Take 32 images of handwritten digits, each reduced to 10 principal components, and ask for their parity: $y = +1$ for even digits, $-1$ for odd ones.
# The network has two hidden layers of 1,024 units.
# From its parameters at initialization, $\theta_0$, we compute two kernel matrices and then, **without training anything**, what gradient descent is going to make of its outputs on 64 images it will never train on.

# %%
x_train, y_train, x_test, y_test = ntk.datasets.digits(
    jax.random.key(0), num_train=32, num_test=64, num_components=10)
net = ntk.mlp(width=1024, depth=2, num_outputs=1, activation=ntk.tanh)
params0, _ = net.init(jax.random.key(1), (10,))
gd, ts = ntk.gradient_descent(learning_rate=0.15), 0.15 * jnp.arange(301)
solved = ntk.predict_linearized(
    net.apply, params0, x_train, y_train, ts, gd, x_test=x_test).test

# %% [markdown]
# Only now is the network trained, all of its layers, by 300 steps of full-batch gradient descent, and its outputs are drawn on top of the curves.

# %% mystnb={"image": {"alt": "Outputs on six test images against training time on a logarithmic axis. Dots from a trained network of width 1024 lie on six smooth curves computed before training; some outputs rise and some fall in training, by up to half a unit."}, "figure": {"caption": "**The surprise.** Outputs on the first six test images. Curves: computed from the kernels at initialization, before training. Dots: the real network, trained by gradient descent.", "name": "fig-training-dynamics-surprise"}}
steps = jnp.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 300])
on_train, on_test = ntk.train(
    net.apply, params0, x_train, y_train, gd, steps=steps, record=lambda p:
    [ntk.outputs(net.apply, p, x) for x in (x_train, x_test)]).record
ntk.plotting.courses(plt.gca(), ts, solved[..., 0], ts[steps], on_test[..., 0],
                     columns=range(6), ylabel="output on a test image")
plt.show()
gap = ntk.rms(on_test - solved[steps], (1, 2)).max()
print(f"RMS: gap up to {gap:.4f}, change {ntk.rms(on_test[-1] - on_test[0]):.3f}")
assert gap < 0.005  # it is of order 1/width, see the scaling experiment

# %% [markdown]
# **What we see.** The dots lie on the curves: the RMS (root mean square) gap over the 64 test images never exceeds 0.0018, while training moves those outputs by 0.523.
# Somebody who only looked at the network before training knew where it would end. This chapter derives the curves, and says when to trust them.
#
# ## You will be able to
#
# - **derive** how a network's outputs move under gradient flow, and solve it mode by mode;
# - **predict** train and test outputs after any time or number of steps, with momentum and with a ridge, and the mean and spread over initializations;
# - **compute** the largest stable learning rate before training;
# - **measure** how fast the closed form becomes exact as width grows, and **explain** why the function moves although the parameters hardly do.
#
# **Needed first:** the expansion $f^{\mathrm{lin}}$ ({doc}`/book/linearization/taylor_expansion`) and the tangent kernel $\Theta$ ({doc}`/book/linearization/tangent_kernel`); eigenvectors of symmetric matrices.
# Symbols are those of {doc}`/book/notation`. New here: the eigenvalues $\lambda_i$ and eigenvectors $u_i$ of $\Theta(X, X)$, the ridge $\rho$, momentum $\mu$, and $K$, the covariance of the outputs at initialization.
#
# ## Gradient flow, seen from the outputs
#
# **Question.** Gradient descent moves parameters. What does it do to the outputs?
# Write $f_t$ for the vector of outputs on the $n$ training inputs $X$, and take the loss $L = \frac1n \sum_i \frac12 (f(x_i) - y_i)^2$.
# *Gradient flow* is gradient descent with infinitely small steps, $\dot\theta = -\nabla L$. With the Jacobian $J = \partial f_t / \partial \theta$, the chain rule gives $\nabla L = \frac1n J^\top (f_t - y)$ and $\dot f_t = J \dot\theta$. Put together, the parameters drop out:
#
# $$ \frac{\partial f_t}{\partial t} = -\frac1n\, \Theta\, (f_t - y), \qquad \Theta = J J^\top. $$ (eq-training-dynamics-flow)
#
# For any network this holds at each instant, with the kernel $\Theta$ of that instant. For the linearization $f^{\mathrm{lin}}$, $J$ is constant, hence so is $\Theta$, and {eq}`eq-training-dynamics-flow` is a linear equation with constant coefficients.
#
# The smallest case worth a pencil has two examples that share half of their kernel, $\Theta = \begin{pmatrix} 2 & 1 \\ 1 & 2 \end{pmatrix}$, targets $y = (1, 0)$ and $f_0 = 0$. The eigenvectors are the sum $(1, 1)/\sqrt2$ with $\lambda_1 = 3$ and the difference $(1, -1)/\sqrt2$ with $\lambda_2 = 1$. Half of $y$ lies along each, and with $n = 2$
#
# $$ f_t = \tfrac12 (1 - e^{-3t/2}) \begin{pmatrix} 1 \\ 1 \end{pmatrix} + \tfrac12 (1 - e^{-t/2}) \begin{pmatrix} 1 \\ -1 \end{pmatrix}. $$ (eq-training-dynamics-two)
#
# <details class="answer"><summary>Predict before you run: the second example already has the right output, 0. Does it stay there?</summary>
#
# No. The fast sum mode pulls both outputs up together, $\dot f_0(x_2) = -\frac12 \cdot 1 \cdot (0 - 1) = \frac12$; the slower difference mode then lets the second one come back to 0.
#
# </details>

# %%
kernel, y = jnp.array([[2.0, 1.0], [1.0, 2.0]]), jnp.array([1.0, 0.0])
eigenvalues, u = jnp.linalg.eigh(kernel)
for t in (0.5, 1.0, 5.0):
    f_t = y + u @ (jnp.exp(-eigenvalues * t / 2) * (u.T @ (0.0 - y)))  # mode by mode
    print(f"t = {t}: outputs {f_t[0]:.4f} and {f_t[1]:.4f}")
    pencil = jnp.array([[1, 1], [1, -1]]) @ -jnp.expm1(-t * jnp.array([1.5, 0.5])) / 2
    for same in (pencil, ntk.predict(kernel, y, t).train):
        assert jnp.allclose(f_t, same, atol=1e-12)  # nothing but rounding

# %% [markdown]
# **What we see.** At $t = 1$ the second output has been dragged up to 0.1917; by $t = 5$ it is back at 0.0408, near its target. The few lines of code are the whole theory; `ntk.predict` does the same for test points, many outputs and other dynamics, and we use it from here on.
#
# ## Each mode relaxes by itself
#
# :::{prf:theorem} Modes of training
# :label: thm-training-dynamics-modes
#
# Let $\Theta(X, X) = \sum_i \lambda_i u_i u_i^\top$ be constant. Under {eq}`eq-training-dynamics-flow` the residual in mode $i$, $c_i(t) = u_i \cdot (f_t - y)$, obeys $\dot c_i = -\frac{\lambda_i}{n} c_i$, hence
#
# $$ c_i(t) = e^{-\lambda_i t / n}\, c_i(0). $$ (eq-training-dynamics-mode)
#
# :::
#
# *Proof.* Multiply {eq}`eq-training-dynamics-flow` by $u_i^\top$ from the left and use $u_i^\top \Theta = \lambda_i u_i^\top$. ∎
#
# **Question.** The theorem is about a constant kernel. Does it describe the network of {numref}`fig-training-dynamics-surprise`?
#
# <details class="answer"><summary>Predict before you run: training ended at t = 45. Which modes have been learned?</summary>
#
# Those with $\lambda_i / n$ well above $1/45 \approx 0.022$. Modes far below still have most of their residual, and the slowest would need thousands of further steps.
#
# </details>

# %%
tangent_kernel = ntk.empirical_ntk(net.apply, params0)
ntk_train, ntk_test_train = (
    ntk.trace_outputs(ntk.gram(tangent_kernel, x, x_train)) for x in (x_train, x_test))
modes = ntk.eigenmodes(ntk_train)
rates, share = modes.eigenvalues / 32, ntk.target_power(modes, y_train)
print(f"rates from {rates[0]:.3f} to {rates[-1]:.5f}; {(rates > 1 / 45).sum()} of 32 "
      f"above 1/45, holding {share[rates > 1 / 45].sum():.2f} of the target")

# %% [markdown]
# And in time? The theorem's exponentials contain no constant to fit.

# %% mystnb={"image": {"alt": "Two panels. Left: dots for each of 32 modes, share of the target against relaxation rate on logarithmic axes; the fastest two modes hold 0.21 and 0.19 of the target. Right: residual in four modes against time, dots of the real network on exponential curves; the fastest reaches zero, the slowest has barely decreased."}, "figure": {"caption": "Left: the rate of each mode and its share of the target. Dotted: rate 1/45, above which modes are learned by the end of training. Right: residual in four modes, divided by its initial value. Dots: real network. Curves: exponentials of the theorem, with no fitted constant.", "name": "fig-training-dynamics-modes"}}
residual = (on_train - y_train)[..., 0] @ modes.eigenvectors  # (times, modes)
expected = residual[0] * jnp.exp(-jnp.outer(ts, rates))
_, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3), dpi=80)
ntk.plotting.mode_shares(left, rates, share, horizon=45)
ntk.plotting.courses(
    right, ts, expected / residual[0], ts[steps], residual / residual[0],
    columns=(0, 3, 8, 13), label="mode {}", ylabel="residual / at start")
plt.show()
error = ntk.rms(residual - expected[steps]) / ntk.rms(residual[0])
print(f"error of the exponentials, over all modes and times: {error:.4f}")
assert error < 0.02  # the kernel moves, and steps are finite

# %% [markdown]
# **What we see.** Rates span more than two decades. With no constant fitted, the exponentials miss the real residuals by 0.13 % of their initial size, over all 32 modes and all times. Ten modes have a rate above $1/45$, so that their residuals have shrunk below $1/e$ of the start; they hold 0.64 of the target.
# That most of the target sits in a few fast modes is what makes stopping early reasonable; which functions those are is the subject of the part on inductive bias.
#
# ## The end of training is kernel regression
#
# **Question.** And on inputs that were never trained on? There $\dot f_t(x_*) = -\frac1n \Theta(x_*, X)(f_t - y)$, driven by the training residual, which is now known. Integrating it over time:
#
# :::{prf:theorem} Solution on all inputs
# :label: thm-training-dynamics-solution
#
# With a constant kernel, and $A(t) = \Theta^{-1} (I - e^{-\Theta t / n})$ for $\Theta = \Theta(X, X)$,
#
# $$ f_t(x_*) = f_0(x_*) + \Theta(x_*, X)\, A(t)\, (y - f_0(X)). $$ (eq-training-dynamics-test)
#
# At $t = \infty$, $A = \Theta^{-1}$. If the loss has the extra term $\frac{\rho}{2n} \lVert \theta - \theta_0 \rVert^2$, replace $\Theta$ by $\Theta + \rho I$ in $A$; at $t = \infty$, $A = (\Theta + \rho I)^{-1}$.
#
# :::
#
# Jaehoon Lee and coauthors {cite}`lee2019` state the first part for wide networks. From $f_0 = 0$, the end of training is *kernel ridge regression* with the kernel $\Theta$, so an independent library must give the same numbers.

# %%
from sklearn.kernel_ridge import KernelRidge
for ridge in (0.0, 0.3, 3.0):
    _, ours = ntk.predict(
        ntk_train, y_train, ridge=ridge, ntk_test_train=ntk_test_train)
    theirs = KernelRidge(kernel="precomputed", alpha=ridge).fit(ntk_train, y_train)
    assert jnp.allclose(ours, theirs.predict(ntk_test_train), atol=1e-10)  # rounding
    print(f"ridge {ridge}: RMS error on the test images {ntk.rms(ours - y_test):.3f}")

# %% [markdown]
# The ridge stops slow modes from being fitted; these labels carry no noise, and here it only costs accuracy. It is meant for noisy labels, where to fit everything is to fit the noise.
#
# **Question.** Real training starts at $f_0 \ne 0$. On the training points the start is forgotten. And elsewhere? At $t = \infty$, {eq}`eq-training-dynamics-test` reads
#
# $$ f_\infty(x_*) = \underbrace{\Theta(x_*, X) \Theta^{-1} y}_{\text{regression on the targets}} + \underbrace{f_0(x_*) - \Theta(x_*, X) \Theta^{-1} f_0(X)}_{\text{what regression cannot explain of } f_0}. $$ (eq-training-dynamics-remainder)
#
# <details class="answer"><summary>Predict before you run: three networks with different random weights are trained forever on the same five points. Where do they agree?</summary>
#
# On the five points, where the second term of {eq}`eq-training-dynamics-remainder` is zero. Between them each keeps the part of its own $f_0$ that the kernel cannot interpolate from five values. Training never removes it.
#
# </details>

# %%
circle, at = ntk.datasets.circle(120), jnp.array([8, 30, 52, 74, 104])
targets = jnp.array([[1.0], [-0.5], [0.5], [-1.0], [0.2]])
ring = ntk.mlp(512, depth=1, num_outputs=1, activation=ntk.tanh, w_std=1.5, b_std=0.5)

@jax.vmap
def start_and_end(params0):
    return ntk.predict_linearized(ring.apply, params0, circle[at], targets,
                                  jnp.array([0.0, jnp.inf]), x_test=circle).test

# %% [markdown]
# Each row of `starts` below is one network; its course from $t = 0$ to $t = \infty$ is drawn by its two ends.

# %% mystnb={"image": {"alt": "Three coloured curves over the angle on a circle pass through the same five black training points and spread apart between them; thin curves of the same colours show the networks before training, far apart everywhere."}, "figure": {"caption": "Three networks on a circle of inputs, from different initializations. Thin: before training. Thick: the end of training on the five black points, by the closed form. Between the points each network keeps a part of its start.", "name": "fig-training-dynamics-start"}}
starts = ntk.draw(ring, jax.random.split(jax.random.key(5), 3), (2,))
before, after = jnp.moveaxis(start_and_end(starts)[..., 0], 1, 0)
ntk.plotting.before_and_after(
    plt.gca(), 3 * jnp.arange(120), before, after, 3 * at, targets)
plt.gca().set(xlabel="angle of the input, in degrees", ylabel="output")
plt.show()
spread = jnp.std(after, axis=0, ddof=1)
print(f"standard deviation over the three: up to {spread.max():.3f}")
assert spread[at].max() < 1e-9 and spread.max() > 0.1  # rounding; not forgotten

# %% [markdown]
# **What we see.** All three pass through the five points; elsewhere their standard deviation reaches 0.514. We return to this spread below, with a formula for its size.
#
# ## Steps instead of a flow
#
# Nobody trains with infinitely small steps. With learning rate $\eta$ and momentum $\mu$, each step is $v \leftarrow \mu v + \nabla L$, $\theta \leftarrow \theta - \eta v$; this is Boris Polyak's heavy ball {cite}`polyak1964`, and gradient descent is $\mu = 0$.
#
# :::{prf:theorem} Modes of discrete training
# :label: thm-training-dynamics-discrete
#
# With a constant kernel, write $r = \eta \lambda_i / n$. The residual in mode $i$ after $s$ steps follows
#
# $$ c_i^{(s+1)} = (1 + \mu - r)\, c_i^{(s)} - \mu\, c_i^{(s-1)}, \qquad c_i^{(1)} = (1 - r)\, c_i^{(0)}. $$ (eq-training-dynamics-recursion)
#
# For $\mu = 0$: $c_i^{(s)} = (1 - r)^s c_i^{(0)}$. In general $c_i^{(s)}$ is a combination of $z_+^s$ and $z_-^s$, where $z_\pm$ solve $z^2 - (1 + \mu - r) z + \mu = 0$. Both lie inside the unit circle, so the mode decays, exactly if $0 < r < 2 (1 + \mu)$.
#
# :::
#
# *Proof.* In mode $i$ a step reads $w \leftarrow \mu w + \frac{\lambda_i}{n} c$, $c \leftarrow c - \eta w$; eliminate $w$. For the last statement: two roots with product $\mu < 1$ leave the unit circle through $z = 1$ ($r = 0$) or $z = -1$ ($r = 2 + 2\mu$). ∎
#
# **Question.** Is this exact, or one more approximation? We run 300 real steps on the linearization of a smaller network, all of its parameters, and compare.

# %%
def real_and_solved(f, params0, dynamics, steps):
    ts, look = dynamics.learning_rate * steps, lambda p: ntk.outputs(f, p, x_test)
    run = ntk.train(f, params0, x_train, y_train, dynamics, steps=steps, record=look)
    return run, ntk.predict_linearized(
        f, params0, x_train, y_train, ts, dynamics, x_test=x_test).test

# %% [markdown]
# The function trains a model and solves its linearization; given the linearization itself, both must agree to the last digits, with momentum too.

# %%
small = ntk.mlp(width=256, depth=1, num_outputs=1, activation=ntk.tanh)
start, _ = small.init(jax.random.key(2), (10,))
linear = ntk.linearize(small.apply, start)
for dynamics in (gd, ntk.heavy_ball(0.15, momentum=0.9)):
    run, closed = real_and_solved(linear, start, dynamics, steps)
    print(f"momentum {dynamics.momentum}: loss {run.loss[-1]:.4f} after 300 steps")
    assert jnp.allclose(run.record, closed, rtol=0, atol=1e-10)  # nothing but rounding

# %% [markdown]
# **What we see.** Both agree to ten digits. With momentum 0.9 the same 300 steps bring the loss to 0.0195 instead of 0.1384, because a slow mode moves like gradient descent with learning rate $\eta / (1 - \mu)$.
#
# ## The largest stable learning rate
#
# The first mode to leave $r < 2(1 + \mu)$ is the one with the largest eigenvalue, which gives
#
# $$ \eta_{\max} = \frac{2 (1 + \mu)\, n}{\lambda_{\max}}. $$ (eq-training-dynamics-limit)
#
# Gabriel Goh {cite}`goh2017` draws this recursion in detail. **Question.** Is the limit sharp?
#
# <details class="answer"><summary>Predict before you run: at 1.01 times the limit, by what factor does the loss grow in 100 steps without momentum?</summary>
#
# The top mode has $r = 2.02$, so its residual is multiplied by $-1.02$ a step, and its part of the loss grows by $1.02^{200} \approx 52$ in 100 steps. The whole loss grows by less at first, as the other modes decay meanwhile.
#
# </details>

# %% mystnb={"image": {"alt": "Two panels. Left: training loss of the linearized network over 100 steps; at 0.99 times the limit it decays with and without momentum, at 1.01 times it grows, with momentum by many orders of magnitude. Right: the factor per step of a mode against learning rate times eigenvalue over n for momentum 0, 0.5 and 0.9; it crosses one at 2, 3 and 3.8."}, "figure": {"caption": "Left: loss of the linearized network, really trained just below and just above the limit. Right: by what factor the slower-decaying root of a mode shrinks or grows each step; dots mark the limit 2(1 + \u03bc).", "name": "fig-training-dynamics-limit"}}
fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3), dpi=80)
small_ntk = ntk.gram(ntk.empirical_ntk(small.apply, start), x_train)
losses = jax.jit(lambda rate, mu: ntk.train(linear, start, x_train, y_train,
    ntk.heavy_ball(rate, mu), steps=jnp.arange(101)).loss)
for mu, factor, style in ((0.0, 0.99, "C0"), (0.0, 1.01, "C0--"),
                          (0.9, 0.99, "C1"), (0.9, 1.01, "C1--")):
    limit = ntk.max_learning_rate(small_ntk, mu)
    loss = losses(factor * limit, mu)
    left.semilogy(loss, style, label=f"μ = {mu}, {factor} η_max")
    print(f"momentum {mu}, {factor} times {limit:.2f}: loss x {loss[-1] / loss[0]:.2g}")
    assert loss[-1] < 0.1 * loss[0] if factor < 1 else loss[-1] > 10 * loss[0]
left.set(xlabel="step", ylabel="training loss", ylim=(None, 1e26))
left.legend(fontsize=9)
ntk.plotting.heavy_ball_factor(right, (0.0, 0.5, 0.9))
plt.show()


# %% [markdown]
# **What we see.** The limits are 11.81 and, with $\mu = 0.9$, 22.44 (1.9 times as large). One per cent below, the loss shrinks in 100 steps to 0.013 of its start, with momentum to 0.00049; one per cent above, it grows 30-fold, with momentum by a factor of $3.7 \times 10^{14}$: a mode with momentum leaves the unit circle steeply, as the right panel shows.
# `ntk.predict` refuses a learning rate past the limit, and names the limit, instead of returning such numbers.
#
# The real network is not bound to that fate: beyond this limit it may move to a place with a smaller $\lambda_{\max}$, which {doc}`/book/linearization/when_it_fails` shows.
#
# ## How good is it? The scaling experiment
#
# Everything so far is exact for the linearization. The real network differs, since its kernel moves. **Question.** How fast does the gap close with width $m$, and what moves meanwhile?
# One function trains a network for real, solves its linearization in closed form, and reports three numbers: the largest RMS gap on the test images over training, the relative movement of the parameters (each layer and total), and the RMS change of the function.

# %%
def measure(width, key, activation, depth):
    net = ntk.mlp(width, depth, 1, activation)
    params0, _ = net.init(key, (10,))
    run, solved = real_and_solved(net.apply, params0, gd, steps)
    gap = ntk.rms(run.record - solved, (1, 2)).max()
    moved = ntk.rms(run.record[-1] - solved[0])
    return gap, moved, ntk.parameter_change(params0, run.params)

# %% [markdown]
# With one hidden layer we take 32 initializations at each of three widths, for tanh and for ReLU; with two hidden layers, where a step costs $m^2$, 16 initializations and widths up to 400.
#
# <details class="answer"><summary>Predict before you run: how does the gap scale with width, for a smooth activation and for ReLU?</summary>
#
# *Smooth.* Each pre-activation moves by $\delta \sim m^{-1/2}$. A unit's second-order error is then $\frac12 \varphi'' \delta^2$ times its readout weight over $\sqrt m$, so of order $m^{-3/2}$; $m$ such terms with random signs add up to $\sqrt m \cdot m^{-3/2} = m^{-1}$.
#
# *ReLU.* There is no $\varphi''$, but a kink. Only units whose pre-activation crosses zero err: a share $m^{-1/2}$ of them, so $\sqrt m$ units, each by $\delta / \sqrt m = m^{-1}$. With random signs that is $m^{1/4} \cdot m^{-1} = m^{-3/4}$: slower, since few units err but each by much more.
#
# </details>

# %%
widths, widths2 = [64, 256, 1024], [64, 160, 400]
gap, moved, change = ntk.sweep(measure, widths, 32, activation=ntk.tanh, depth=1)
gap_relu, _, _ = ntk.sweep(measure, widths, 32, activation=ntk.relu, depth=1)
gap2, moved2, change2 = ntk.sweep(measure, widths2, 16, activation=ntk.tanh, depth=2)
print(f"width 1024: gap {gap[:, -1].mean():.5f}, moved by {moved[:, -1].mean():.3f}")
assert gap[:, -1].max() < 0.005  # for each of the 32 networks

# %% [markdown]
# The gap against width, with standard errors over initializations:

# %% mystnb={"image": {"alt": "Log-log plot of the gap between the real network and the closed form against width from 64 to 1024. Tanh with one and with two hidden layers fall with slope close to minus one; ReLU lies higher and falls with slope close to minus 0.7. Dashed lines show minus one and minus three quarters."}, "figure": {"caption": "Largest RMS gap on test images between the really trained network and the closed form, mean and standard error over initializations. Dashed: the slopes argued for in the text.", "name": "fig-training-dynamics-gap"}}
for name, w, gaps, theory in (("tanh, depth 1", widths, gap, -1),
                              ("tanh, depth 2", widths2, gap2, -1),
                              ("ReLU, depth 1", widths, gap_relu, -0.75)):
    fit = ntk.plotting.scaling(plt.gca(), w, gaps, theory=theory, label=name)
    print(f"gap, {name}: slope {fit.exponent:.2f} ± {fit.standard_error:.2f}")
    assert abs(fit.exponent - theory) < 0.2  # leading order only, at finite widths
ntk.plotting.widths_axis(plt.gca(), widths, "gap on test images", ylim=(1e-4, None))
plt.show()

# %% [markdown]
# **What we see.** With tanh the gap falls with slope $-0.93 \pm 0.03$ at one hidden layer and $-0.96 \pm 0.05$ at two; at width 1,024 it is 0.00155, on outputs that moved by 0.929, and below 0.005 for each of the 32 networks. With ReLU the slope is $-0.73 \pm 0.02$: clearly not $-1$, and within one standard error of the $-\frac34$ of the argument. The argument counts leading orders only, so that slopes measured at finite widths may be a little off.
#
# ## The function moves, the parameters do not
#
# One often reads that in the infinite-width limit "the network function changes very little" in training. As worded this is **false**: a network whose function stood still would have learned nothing. **Question.** What changes very little, then?
#
# <details class="answer"><summary>Predict before you run: how does the relative movement of each layer's weights scale with width?</summary>
#
# The derivative of $f$ with respect to one weight is $\sim m^{-1/2}$ in the first layer and in the readout, and $\sim m^{-1}$ in the $m \times m$ layer between two hidden layers. Weights move in proportion, and are of order one to start with: slopes $-\frac12$, $-1$, $-\frac12$. All $m^2$ weights of the middle layer dominate $\lVert \theta_0 \rVert \sim m$, while $\lVert \theta - \theta_0 \rVert$ is of order one: total $-1$. With one hidden layer $\lVert \theta_0 \rVert \sim \sqrt m$: total $-\frac12$.
#
# The function is a sum: $m$ weights, each moved by $m^{-1/2}$ in the very direction that its derivative $m^{-1/2}$ points to, add up to a change of order one.
#
# </details>

# %% mystnb={"image": {"alt": "Log-log plot against width from 64 to 400 for networks with two hidden layers. The change of the function is flat near 0.9; the relative movements of the readout and the first layer fall in parallel to slope minus one half, those of the middle layer and of all layers together in parallel to slope minus one."}, "figure": {"caption": "What moves in training, two hidden layers, tanh: the function (RMS change on test images) and the weights of each layer (relative to their norm). Dashed: theory.", "name": "fig-training-dynamics-moves"}}
first, middle, readout = jnp.moveaxis(change2.per_layer, -1, 0)
for name, theory, values in (("function", 0, moved2), ("readout", -0.5, readout),
                             ("first layer", -0.5, first), ("middle layer", -1, middle),
                             ("all layers", -1, change2.total)):
    fit = ntk.plotting.scaling(plt.gca(), widths2, values, theory=theory, label=name)
    print(f"depth 2, {name}: slope {fit.exponent:.2f} ± {fit.standard_error:.2f}")
    assert abs(fit.exponent - theory) < 0.1  # 2.5 or more standard errors, 16 seeds
ntk.plotting.widths_axis(plt.gca(), widths2, "change", ylim=(None, 900))
plt.show()
for name, theory, values in (("function", 0, moved), ("layers", -0.5, change.total)):
    fit = ntk.power_law(widths, values)
    print(f"depth 1, {name}: slope {fit.exponent:.3f} ± {fit.standard_error:.3f}")
    assert abs(fit.exponent - theory) < 0.05  # 32 seeds resolve this much

# %% [markdown]
# **What we see.** With one hidden layer, the function's change has slope $0.039 \pm 0.025$ against width, while the relative movement of the parameters has $-0.474 \pm 0.015$. With two hidden layers it is $-0.02 \pm 0.03$ for the function; the slopes of the first, middle and readout layers are $-0.50$, $-0.98$ and $-0.49$, with standard errors of 0.02 to 0.04, and that of all parameters together is $-0.95 \pm 0.02$, on its way to the $-1$ of the middle layer.
# So the correct statement is: *as width grows, parameters, gradients and kernel change less and less, relative to their size, while the function changes by an amount that does not depend on width.* That is what makes training both useful and solvable.
#
# ## Mean and spread over initializations
#
# Equation {eq}`eq-training-dynamics-test` is linear in $f_0$. At infinite width $\Theta$ is the same for every initialization, and $f_0$ is Gaussian with covariance $K$, the NNGP kernel ({doc}`/book/linearization/tangent_kernel`). A linear map of a Gaussian is Gaussian:
#
# :::{prf:theorem} Ensembles of wide networks
# :label: thm-training-dynamics-ensemble
#
# With $G = \Theta(X_*, X) A(t)$, the outputs of infinitely wide networks at time $t$ on test inputs $X_*$ are Gaussian over initializations, with mean $G y$ and covariance
#
# $$ K(X_*, X_*) + G\, K(X, X)\, G^\top - G\, K(X, X_*) - K(X_*, X)\, G^\top. $$ (eq-training-dynamics-ensemble)
#
# :::
#
# **Question.** Does it describe real networks? We train 64 of width 512 by gradient flow up to $t = 30$ on 24 digits. Both kernels come from the architecture alone: no random draw enters the prediction.

# %%
x, y, x_new, _ = ntk.datasets.digits(jax.random.key(3), 24, 48, num_components=10)
shallow = ntk.mlp(width=512, depth=1, num_outputs=1, activation=ntk.tanh)
foretold = ntk.predict_infinite(shallow, x, y, ts=30.0, x_test=x_new)

def trained(params0):
    run = ntk.train(shallow.apply, params0, x, y, ntk.gradient_flow(rtol=1e-3), ts=30.0)
    return ntk.outputs(shallow.apply, run.params, x_new)[:, 0]

starts = ntk.draw(shallow, jax.random.split(jax.random.key(4), 64), (10,))
population = jax.lax.map(trained, starts)

# %% [markdown]
# Each of the 48 test images has a predicted mean and a predicted standard deviation; the figure shows the latter, the harder one, with a point for each image.

# %% mystnb={"image": {"alt": "Scatter plot of the measured against the predicted standard deviation of 48 test images, with error bars; between 0.1 and 0.33 the points follow the dashed diagonal, most within their bars."}, "figure": {"caption": "Standard deviation of the output on 48 test images over 64 really trained networks, against the prediction from the NTK and the NNGP kernel. Bars: one standard error. Dashed: equality.", "name": "fig-training-dynamics-ensemble"}}
std = jnp.sqrt(jnp.diag(foretold.covariance))
ntk.plotting.agreement(plt.gca(), std, population, quantity="standard deviation")
plt.show()
mean, seen = foretold.mean[:, 0], population.std(0, ddof=1)
ratio, correlation = jnp.mean(seen / std), jnp.corrcoef(seen, std)[0, 1]
error = ntk.rms(population.mean(0) - mean) / ntk.rms(mean)
print(f"std ratio {ratio:.3f}, correlation {correlation:.3f}; mean off by {error:.3f}")
assert abs(ratio - 1) < 0.1 and correlation > 0.9 and error < 0.1  # 64 draws

# %% [markdown]
# **What we see.** The predicted mean is off by 0.038 of its size, and the measured standard deviations are 1.040 times the predicted ones on average, with correlation 0.918; with 64 networks, each measured one is uncertain by 9 % ($1/\sqrt{126}$). What is left of the spread after training, between 0.12 and 0.30 in the figure, is the second term of {eq}`eq-training-dynamics-remainder`, and the part of $f_0(X)$ that was not forgotten by $t = 30$.
#
# ## Any loss
#
# For another loss only the driving force in {eq}`eq-training-dynamics-flow` changes, $\partial f_t / \partial t = -\Theta\, \partial L / \partial f$. It is no longer linear, so there are no modes, but it is still an equation for $nk$ outputs instead of $p$ parameters ($k$ outputs each), and `ntk.solve_flow` integrates it. **Question.** Does it reproduce training with cross-entropy on ten classes?

# %%
cx, cy, cx_new, _ = ntk.datasets.digits(
    jax.random.key(6), 20, 40, num_components=10, labels="one_hot")
classifier = ntk.mlp(width=512, depth=1, num_outputs=10, activation=ntk.tanh)
cparams0, _ = classifier.init(jax.random.key(7), (10,))
cts, loss = jnp.array([0.0, 1.0, 3.0, 10.0, 30.0, 100.0]), ntk.cross_entropy
flow = ntk.predict_linearized(
    classifier.apply, cparams0, cx, cy, cts, loss=loss, x_test=cx_new)

# %% [markdown]
# Against it, two real trainings with the same loss: of the linearized network, and of the network itself.

# %%
for f, tolerance in ((ntk.linearize(classifier.apply, cparams0), 1e-4),  # integration
                     (classifier.apply, 0.1)):  # finite width
    run = ntk.train(f, cparams0, cx, cy, ntk.gradient_flow(), ts=cts, loss=loss,
                    record=lambda p: ntk.outputs(f, p, cx_new))
    miss = jnp.abs(run.record - flow.test).max() / jnp.abs(flow.test).max()
    assert miss < tolerance
print(f"loss from {run.loss[0]:.3f} to {run.loss[-1]:.3f}, "
      f"real network misses {miss:.4f}")

# %% [markdown]
# **What we see.** The integrated flow is the linearized network up to the accuracy of the integration, and the real network stays within 1.4 % of the largest output. The kernel here is a $20 \times 20$ matrix of $10 \times 10$ blocks: at finite width, outputs are weakly coupled.
#
# ## Where it breaks
#
# The closed form is exact for the linearization. It fails the real network, or fails to be useful, in four ways. The first: small eigenvalues. We train the width-256 network ten times as fast and 33 times as long.

# %%
run, closed = real_and_solved(
    small.apply, start, ntk.gradient_descent(1.5), jnp.array([30, 100, 300, 1000]))
gaps = ntk.rms(run.record - closed, (1, 2))
for step, loss, gap in zip(run.ts, run.loss, gaps):
    print(f"t = {1.5 * step:6.0f}: training loss {loss:.4f}, gap {gap:.4f}")
assert gaps[-1] > 5 * gaps[0]  # later modes need larger parameter moves

# %% [markdown]
# - **Slow modes.** A mode takes a time of order $n / \lambda_i$, the inverse of its rate: from 7 to more than 2,000 for the rates printed above. To fit a slow mode, parameters must move by $\sim 1/\sqrt{\lambda_i}$ for each unit of residual, so the longer we train, the farther they go: from $t = 45$ to $t = 1500$ the loss falls from 0.1386 to 0.0002 and the gap grows from 0.0041 to 0.0607. A statement about the gap always has a time attached.
# - **Large learning rates.** Past $2(1+\mu) n / \lambda_{\max}$ the closed form diverges while the real network may not.
# - **Narrow networks.** The gap at width 64 is more than ten times that at width 1,024 ({numref}`fig-training-dynamics-gap`). {doc}`/book/linearization/when_it_fails` goes on from here.
# - **Kinks.** ReLU closes the gap as about width to the power $-\frac34$ rather than $-1$, so the same accuracy takes far wider networks.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A mode has half the eigenvalue of another. Under gradient flow, how long does it take to shrink its residual to one tenth?
#
# <details class="wrong"><summary>As long: all modes share one clock</summary>
#
# They share the time $t$, but each decays as $e^{-\lambda_i t / n}$ with its own $\lambda_i$.
#
# </details>
# <details class="wrong"><summary>√2 times as long</summary>
#
# The exponent holds $\lambda_i t$, not $\sqrt{\lambda_i}\, t$ (a square root appears with well-tuned momentum).
#
# </details>
# <details class="right"><summary>Twice as long</summary>
#
# Yes: $e^{-\lambda t / n}$ depends on the product $\lambda t$ alone.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** You train a wide network to the end, 10 times from different initializations. On which inputs do the 10 networks agree?
#
# <details class="right"><summary>On the training inputs</summary>
#
# Yes: there the residual decays to zero whatever $f_0$ was. Elsewhere the second term of {eq}`eq-training-dynamics-remainder` stays.
#
# </details>
# <details class="wrong"><summary>On all inputs: the kernel is the same for all</summary>
#
# The kernel is (nearly) the same, but $f_0(x_*)$ is not, and only the part explained by $\Theta(x_*, X)$ is removed.
#
# </details>
# <details class="wrong"><summary>On none: random weights stay random</summary>
#
# On the training inputs every network reaches $y$; {numref}`fig-training-dynamics-start` shows the curves meeting there.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** The training set is repeated, every example twice. What happens to the largest stable learning rate?
#
# <details class="wrong"><summary>It halves: λ<sub>max</sub> doubles</summary>
#
# It does double, but $n$ doubles with it, and the limit is $2n / \lambda_{\max}$.
#
# </details>
# <details class="wrong"><summary>It doubles: n doubles</summary>
#
# So does $\lambda_{\max}$: the top eigenvector now has two equal halves.
#
# </details>
# <details class="wrong"><summary>It becomes zero: the kernel matrix is singular</summary>
#
# Zero eigenvalues belong to modes that never move; they set no limit.
#
# </details>
# <details class="right"><summary>It stays the same</summary>
#
# Yes: $n$ and $\lambda_{\max}$ both double. A mean over examples is the same loss as before.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** As the width grows at a fixed training time, what stays of order one?
#
# <details class="wrong"><summary>The relative change of the parameters</summary>
#
# It falls, as $m^{-1/2}$ with one hidden layer and as $m^{-1}$ with two.
#
# </details>
# <details class="right"><summary>The change of the function</summary>
#
# Yes: its slope against width is zero within its standard error.
#
# </details>
# <details class="wrong"><summary>The gap between the network and its linearization</summary>
#
# It falls as $m^{-1}$ for smooth activations.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ Half-time of a mode
# :label: ex-training-dynamics-half-time
#
# Write a function of the eigenvalue and the number of training examples that returns the time after which gradient flow has halved the residual of that mode.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Solve $e^{-\lambda t / n} = \frac12$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Take logarithms: λ t / n = ln 2.
def half_time(eigenvalue, num_train):
    return num_train * jnp.log(2.0) / eigenvalue

ntk.exercises.training_dynamics.check_half_time(half_time)

# %% [markdown]
# :::{exercise} ★ How fast may it go?
# :label: ex-training-dynamics-rates
#
# Two examples have the kernel $\begin{pmatrix} 3 & 1 \\ 1 & 3 \end{pmatrix}$. Give the largest stable learning rate without momentum and with $\mu = 0.8$, as a pair of numbers.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The eigenvectors are the sum and the difference of the two examples, as in {eq}`eq-training-dynamics-two`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# λ_max = 3 + 1 = 4 and n = 2.
answer = (2 * 2 / 4, 2 * (1 + 0.8) * 2 / 4)

ntk.exercises.training_dynamics.check_learning_rates(answer)

# %% [markdown]
# :::{exercise} ★★ Stopping early as a ridge
# :label: ex-training-dynamics-ridge
#
# From $f_0 = 0$, stopping at time $t$ multiplies the target in mode $i$ by $1 - e^{-\lambda_i t / n}$; a ridge at $t = \infty$ multiplies it by $\lambda_i / (\lambda_i + \rho)$. Give the ridge, as a function of $n$ and $t$, for which both agree to first order on slow modes. Print the largest difference between both filters over all modes.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Expand both for small $\lambda_i$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# λ t / n = λ / ρ, hence ρ = n / t. Both filters depend on λ t / n alone.
def equivalent_ridge(num_train, t):
    return num_train / t

z = jnp.geomspace(1e-3, 1e3, 1000)  # λ t / n
print(f"largest difference: {jnp.abs(1 - jnp.exp(-z) - z / (z + 1)).max():.3f}")
ntk.exercises.training_dynamics.check_equivalent_ridge(equivalent_ridge)

# %% [markdown]
# :::{exercise} ★★ Starting at zero without changing the kernel
# :label: ex-training-dynamics-zero
#
# The spread over initializations comes from $f_0$. Write a function `(net, params0) -> (f, start)` that builds from two copies of a network a model `f(params, x)` whose parameters `start` give zero output everywhere, and whose kernel is that of `net` at `params0`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Subtract two copies with equal parameters. The Jacobian has two blocks; which factor keeps the sum of their squares at one?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Blocks J/√2 and −J/√2: the kernel is Θ/2 + Θ/2. By the remainder formula, starting at
# f₀ = 0 ends in Θ(x, X) Θ⁻¹ y everywhere, with no spread from f₀ left.
def centred(net, params0):
    def f(params, x):
        return (net.apply(params[0], x) - net.apply(params[1], x)) / jnp.sqrt(2.0)
    return f, (params0, params0)

ntk.exercises.training_dynamics.check_centred(centred)

# %% [markdown]
# :::{exercise} ★★★ The best momentum for one mode
# :label: ex-training-dynamics-momentum
#
# For $0 < r < 1$, the factor per step $\max(\lvert z_+ \rvert, \lvert z_- \rvert)$ of a mode is smallest at the momentum where both roots meet. Give it as a function of $r = \eta \lambda / n$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The discriminant $(1 + \mu - r)^2 - 4 \mu$ is a difference of squares in $\sqrt\mu$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# 1 + μ − r = 2√μ gives (1 − √μ)² = r. With more momentum the roots are complex, of size
# √μ, which grows; with less, the larger real root grows. Where they meet, |z| = 1 − √r.
def critical_momentum(r):
    return (1 - jnp.sqrt(r)) ** 2

ntk.exercises.training_dynamics.check_critical_momentum(critical_momentum)

# %% [markdown]
# :::{exercise} ★★★ Training the readout only
# :label: ex-training-dynamics-posterior
#
# If only the last layer is trained, the kernel of training is $K$ itself. Simplify {prf:ref}`thm-training-dynamics-ensemble` for $\Theta = K$, $t = \infty$, and write the mean and the covariance as a function of `(nngp_train, nngp_test_train, nngp_test, y_train)`, with `y_train` of shape `(n,)`. What is the variance at the training points?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# $G = K(X_*, X) K(X, X)^{-1}$, so all three terms with $G$ are multiples of one matrix.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# G K Gᵀ = G K(X, X*), so one of the two negative terms cancels: GP regression.
# At a training point G is a row of the identity and the variance K − K = 0.
def posterior(nngp_train, nngp_test_train, nngp_test, y_train):
    to_test = jnp.linalg.solve(nngp_train, nngp_test_train.T).T
    return to_test @ y_train, nngp_test - to_test @ nngp_test_train.T

ntk.exercises.training_dynamics.check_posterior(posterior)

# %% [markdown]
# ## Questions readers ask
#
# **Why the kernel at this network's own initialization, and not the infinite one?** The kernel at $\theta_0$ makes the closed form exact for *this* network's linearization. The infinite kernel differs from it by a random amount of order $m^{-1/2}$, larger than the $m^{-1}$ effects measured here; it is right for statements about the law of many networks, as in {prf:ref}`thm-training-dynamics-ensemble`.
#
# **My loss is a sum over examples.** Then $1/n$ disappears from {eq}`eq-training-dynamics-flow`: rates are $\lambda_i$, and the largest stable learning rate is $2(1+\mu)/\lambda_{\max}$.
#
# **What about minibatches and Adam?** Minibatch noise adds a random force to each mode; the closed form then describes the mean for small learning rates. Adam rescales each parameter's step by a changing factor, so $J J^\top$ becomes $J D J^\top$ with a $D$ that moves: neither theorem applies as it stands.
#
# **How many examples can I treat so?** One eigendecomposition of an $nk \times nk$ matrix serves all times: its cost grows as $(nk)^3$.
#
# ## Summary
#
# - Outputs obey $\partial f / \partial t = -\frac1n \Theta (f - y)$; with a constant kernel each eigenmode relaxes by itself, at rate $\lambda_i / n$. On a real network of width 1,024 the exponentials missed the residuals by 0.13 % of their initial size.
# - The end of training is kernel regression on $y - f_0(X)$, with a ridge if parameters are penalized. At test points a part of $f_0$ stays forever.
# - Discrete steps and momentum are solved as exactly; the sharp stability limit is $2(1+\mu) n / \lambda_{\max}$.
# - The gap between real network and closed form falls as $m^{-1}$ for tanh (measured $-0.93 \pm 0.03$) and more slowly for ReLU ($-0.73 \pm 0.02$), because of its kink.
# - The function moves by order one at every width (slope $0.039 \pm 0.025$); it is the parameters that move little: $m^{-1/2}$ in total with one hidden layer; $m^{-1/2}, m^{-1}, m^{-1/2}$ layer by layer and $m^{-1}$ in total with two.
# - NTK and NNGP kernels give mean and spread over initializations (std ratio 1.040, correlation 0.918 over 64 networks), and any loss can be integrated in function space.
#
# ## What is next
#
# {doc}`/book/linearization/when_it_fails` breaks the conditions one at a time: too narrow, too fast, too rough, degenerate data. It ends in a checklist for your own model.
#
# ## Further reading
#
# - Arthur Jacot, Franck Gabriel and Clément Hongler {cite}`jacot2018` derive the flow in function space and its limit of infinite width; the place where it began.
# - Jaehoon Lee, Lechao Xiao and coauthors {cite}`lee2019` give the closed forms and ensembles of this chapter, and compare them with real networks of many kinds.
# - Jaehoon Lee, Yasaman Bahri and coauthors {cite}`lee2018` treat the covariance $K$ at initialization and the regression that training the readout performs.
# - Gabriel Goh {cite}`goh2017` on momentum, mode by mode, with interactive pictures; Boris Polyak {cite}`polyak1964` is the source.
# - Roman Novak and coauthors {cite}`novak2020` describe the library that made such predictions routine.
#
# <details class="teachers"><summary>For teachers</summary>
#
# **50 minutes.** The first figure and its question (5); derivation of {eq}`eq-training-dynamics-flow` on the board (10); the two-example system by hand, with the prediction about the second output (10); modes figure (10); what stays of $f_0$ (5); the function moves, the parameters do not (10).
#
# **90 minutes.** Add the discrete recursion with the stability limit (15), the ensemble theorem (15) and the quiz in pairs (10). Exercises 3 and 5 make good homework.
#
# **Misconceptions, and the cell that dispels each.** "In the lazy regime nothing is learned": {numref}`fig-training-dynamics-moves`. "Training forgets the initialization": {numref}`fig-training-dynamics-start`. "Momentum only speeds things up": the right panel of {numref}`fig-training-dynamics-limit`. "The closed form is for infinitely small steps": the cell that agrees to ten digits.
#
# </details>
