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
# # Two-layer networks: from lazy to rich
#
# **The same network, data and directions: only the size of the initial weights decides whether neurons travel to the
# teacher's features or stay where they were drawn, and whether it generalizes.**
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
# The model of this chapter has one hidden layer of $m$ ReLU neurons, $\varphi(z) = \max(z, 0)$, and one output:
#
# $$
# f(x, \theta) = \sum_{j=1}^{m} a_j\, \varphi\!\left(\frac{w_j \cdot x}{\sqrt d}\right), \qquad
# \theta = (w_1, a_1, \dots, w_m, a_m), \quad w_j \in \mathbb{R}^d,\ a_j \in \mathbb{R}.
# $$ (eq-two-layer-model)
#
# All entries of $\theta$ are drawn from $\mathcal{N}(0, \tau^2)$; the *initialization scale* $\tau$ is what we vary. For
# each neuron $(w, a)$ there is a twin $(w, -a)$, so that the output is zero at the start. Lénaïc Chizat, Edouard Oyallon
# and Francis Bach {cite}`chizat2019` use this set-up for the experiment that we repeat here.

# %%
from functools import partial

def f(params, x):  # one input to a vector of one output
    return (jax.nn.relu((x / x.size**0.5) @ params["w"].T) @ params["a"])[None]

def twins(key, m, d):  # m/2 neurons, each with a twin of opposite output weight
    w_key, a_key = jax.random.split(key)
    w, a = jax.random.normal(w_key, (m // 2, d)), jax.random.normal(a_key, (m // 2,))
    return {"w": jnp.concatenate([w, w]), "a": jnp.concatenate([a, -a])}

times = lambda tau, params: jax.tree.map(lambda p: tau * p, params)

# %% [markdown]
# The targets come from a *teacher*, a network {eq}`eq-two-layer-model` with three neurons only; ours is the *student*.
# Training is gradient descent on the mean of $\tfrac12 (f - y)^2$ over $n$ examples. The learning rate is $n/\lambda_{\max}(\Theta_0)$, half
# of the largest stable one for the tangent kernel $\Theta_0$ at the start
# ({doc}`/book/linearization/training_dynamics`), or `largest` where that is less, since the kernel of a small network
# grows in training.

# %%
def fit(model, params0, data, largest, steps, record=lambda params: params):
    theta = ntk.gram(ntk.empirical_ntk(model, params0), data.x_train)
    rate = jnp.minimum(largest, ntk.max_learning_rate(theta) / 2)
    descent = ntk.gradient_descent(rate)
    return ntk.train(model, params0, *data[:2], descent, steps=steps, record=record)

# %% [markdown]
# We shall measure the *test error*, in units of the variance of the targets, and the *rotation*: the angle between $w_j$
# before and after training, averaged with the weights $|a_j|\,\lVert w_j\rVert$ that neurons have in the output.

# %%
def test_error(model, params, data):  # 1 for a constant that equals the mean
    residual = jax.vmap(model, (None, 0))(params, data.x_test) - data.y_test
    return jnp.mean(residual**2) / jnp.var(data.y_test)

def rotation(before, after):  # degrees; mean over neurons with weights |a|·‖w‖
    norms = [jnp.linalg.norm(params["w"], axis=1) for params in (before, after)]
    cosine = jnp.vecdot(before["w"], after["w"]) / (norms[0] * norms[1])
    angle = jnp.degrees(jnp.arccos(jnp.clip(cosine, -1, 1)))
    return jnp.average(angle, weights=jnp.abs(after["a"]) * norms[1])

# %% [markdown]
# First in the plane, $d = 2$, where a neuron can be drawn: a ReLU neuron acts only through the arrow $|a|\,w$ and the sign
# of $a$, because $a\,\varphi(w\cdot x) = \pm\varphi(|a|\,w\cdot x)$. We train $m = 16$ neurons on $n = 15$ examples, for
# eleven values of $\tau$ and six seeds, each with a teacher, data and directions of its own.

# %%
taus, keys = 0.1 * 2 ** (jnp.arange(11) / 2), jax.random.split(jax.random.key(0), 6)
moments = jnp.append(0, jnp.geomspace(1, 6000, 40).astype(int))  # steps to record at
plane = lambda k: (*ntk.datasets.teacher_student(k, 15, 500, 2), twins(k, 16, 2))

def travel(tau, data, teacher, params):
    run = fit(f, times(tau, params), data, 1.0, moments)
    moved = ntk.parameter_change(times(tau, params), run.params).total
    return run.record, rotation(params, run.params), moved

tasks, over_taus = jax.vmap(plane)(keys), jax.vmap(travel, (0, None, None, None))
ways, turned, moved = jax.jit(jax.vmap(over_taus, (None, 0, 0, 0)))(taus, *tasks)

# %% [markdown]
# Drag the control, or use the arrow keys: it changes $\tau$, and nothing else. Only the size of the initial weights
# differs between these runs.

# %% mystnb={"image": {"alt": "Left, the ways of 16 neurons in the plane. At scale 0.1, which is shown first, they start near the origin; those with positive output weight end in a bundle between the teacher's two dashed directions of that sign, the others beside its third. At 3.2 they stay where they started, spread over many directions. Right, the learned function over the angle of the input: at 0.1 it is smooth and close to the teacher's, at 3.2 it passes through the data with small kinks between them."}, "figure": {"caption": "Neurons of a two-layer network (first seed): arrows |a|w from the start of training to the dot at its end, blue for a > 0 and orange for a < 0. Dashed: directions of the teacher's neurons. Right: the function learned (green), the teacher (dashed), the data. The axes on the left follow τ.", "name": "fig-two-layer-neurons"}}
angle = jnp.linspace(-jnp.pi, jnp.pi, 91)
circle = 2**0.5 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
data, teacher, _ = jax.tree.map(lambda leaf: leaf[0], tasks)

def frame(axes, i):
    way = jax.tree.map(lambda leaf: leaf[0, i], ways)
    ntk.plotting.neurons(axes[0], way["w"], way["a"], teacher)
    last = jax.tree.map(lambda leaf: leaf[-1], way)
    learned, target = (ntk.outputs(f, p, circle)[:, 0] for p in (last, teacher))
    ntk.plotting.over_angle(axes[1], angle, learned, target, *data[:2])

ntk.interactive.slider(
    frame, {"initialization scale τ": [f"{tau:.2g}" for tau in taus]}, panels=2,
    notes=[f"neurons turn by {degrees:.1f}°, relative movement {share:.3f}"
           for degrees, share in zip(turned[0], moved[0])],
    alt="Ways of 16 neurons in the plane, and the function they learn. At small τ they "
        "leave the origin and end in two bundles; at large τ they hardly move.")

# %% [markdown]
# At $\tau = 0.1$ the neurons leave the origin and gather: the blue ones between the teacher's two blue directions, the
# orange ones beside its orange one. At $\tau = 3.2$ the same neurons, drawn with the same directions, fit the same data
# without turning. The first is called *rich* training, or feature learning: the hidden layer learns. The second is *lazy*
# training.
#
# ## You will be able to
#
# - show that the scale of the initialization is an output scale in disguise, for any homogeneous network;
# - tell from the ways of neurons, their alignment and the movement of parameters in which regime a network was trained;
# - predict how far parameters move when a network of width $m$ is multiplied by $1/\sqrt m$ or by $1/m$;
# - explain why width alone does not make training lazy.
#
# You need {doc}`/book/linearization/training_dynamics` and {doc}`/book/linearization/when_it_fails`, and from the chapter
# {doc}`/book/lazy_training/a_choice_of_scale` the scaled model $\alpha f$. Symbols are those of {doc}`/book/notation`; new here
# are $\tau$, and the index $j$ of a neuron.
#
# ## How far they turn
#
# The picture shows one seed. For all six, here are the rotation and the relative movement
# $\lVert\theta - \theta_0\rVert / \lVert\theta_0\rVert$ of all parameters.
#
# <details class="answer"><summary>Predict before you run: how does the relative movement fall at large τ?</summary>
#
# The output must change by the same amount whatever τ is. A parameter's effect on the output is proportional to τ, through
# the other layer's weight, so a movement of order 1/τ is enough. Relative to its size τ, that is 1/τ².
#
# </details>

# %% mystnb={"image": {"alt": "Two panels against the initialization scale from 0.1 to 3.2 with error bars over seeds. Left, mean rotation of neurons in degrees: about 30 up to scale 0.3, then falling to below one. Right, relative movement on logarithmic axes, falling from 3.5 to 0.015 and parallel to a dashed line of slope minus two at its end."}, "figure": {"caption": "Left: rotation of neurons in degrees, weighted by |a|‖w‖. Right: relative movement of the parameters; dashed, slope −2. Mean and standard error of six seeds.", "name": "fig-two-layer-rotation"}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.4))
axes[0].errorbar(taus, *ntk.estimate(turned), fmt="o-", capsize=2)
axes[0].set(xscale="log", xlabel="initialization scale τ", ylabel="rotation (degrees)")
law = ntk.plotting.tail(axes[1], taus, moved, 3, theory=-2, label="τ ≥ 1.6")
axes[1].set(xlabel="initialization scale τ", ylabel="relative movement")
plt.show()

# %% [markdown]
# In numbers, the mean over seeds:

# %%
print("rotation:", *(f"{r:.1f}" for r in turned.mean(0)))
print(f"movement: {moved[:, 0].mean():.2f} … {moved[:, -1].mean():.3f}, "
      f"slope {law.exponent:.2f} ± {law.standard_error:.2f} for τ ≥ 1.6")
assert turned[:, 0].mean() > 20 and turned[:, 8:].mean(0).max() < 2
assert moved[:, 0].mean() > 100 * moved[:, -1].mean()
assert abs(law.exponent + 2) < 3 * law.standard_error

# %% [markdown]
# **What we see.** At $\tau = 0.1$ neurons turn by 33.5° on average, at 3.2 by 0.4°. The parameters move by 3.46 times their own
# size at one end and by 0.015 at the other. There is no jump in between: lazy and rich are the ends of one axis. The slope at the
# lazy end, −1.74 ± 0.15, is within two standard errors of −2; in 20 dimensions below it will be sharper.
#
# ## The scale of the start is an output scale
#
# Why should the size of weights matter at all, if training can change it? By hand, for one neuron and $d = 1$, $x = 1$:
# the output $a\,w$ with $a = \tau a'$ and $w = \tau w'$ is $\tau^2 a' w'$. That is the network $a'w'$ of scale one with its output
# multiplied by $\alpha = \tau^2$. The whole course of training carries over.
#
# :::{prf:theorem} Initialization scale and output scale
# :label: thm-two-layer-scale
#
# Let $f(x, \tau\theta) = \tau^q f(x, \theta)$ for all $\tau > 0$ ($f$ is $q$-homogeneous), and let $R$ be a differentiable
# function of the outputs. Gradient descent on $R(f(\theta))$ from $\tau\theta_0$ with learning rate $\eta$ is, at every
# step $s$, at $\tau\theta_s$, where $\theta_s$ is gradient descent on $R(\alpha f(\theta))$ from
# $\theta_0$ with $\alpha = \tau^q$ and learning rate $\eta/\tau^2$.
#
# :::
#
# *Proof.* Put $\theta = \tau\vartheta$ and $G(\vartheta) = R(f(\tau\vartheta)) = R(\tau^q f(\vartheta))$. The chain rule
# gives $\nabla G(\vartheta) = \tau\,\nabla_{\!\theta} R(f(\theta))$. So the step $\theta \leftarrow \theta - \eta\nabla_{\!\theta} R$ is
# $\vartheta \leftarrow \vartheta - (\eta/\tau^2)\nabla G(\vartheta)$. ∎
#
# The network {eq}`eq-two-layer-model` has $q = 2$, since $\varphi(\tau z) = \tau\varphi(z)$ for $\tau > 0$. So $\tau$ is
# the output scale $\alpha = \tau^2$, and large $\tau$ is lazy for the reason of {doc}`/book/lazy_training/a_choice_of_scale`: the
# network need not move far because each small step is multiplied by $\alpha$. The movement $1/\tau^2$ above is that chapter's $1/\alpha$. We
# check the theorem with the package's scaled model, $\alpha\,(f - f_0)$, where $f_0 = 0$ by the twins:

# %%
small, start = times(0.5, twins(keys[0], 16, 2)), twins(keys[0], 16, 2)
descend = lambda model, params0, rate: ntk.train(
    model, params0, *data[:2], ntk.gradient_descent(rate), steps=[100]).params
by_tau = descend(f, small, 0.2)
by_alpha = descend(ntk.scaled(f, start, 0.25), start, 0.8)
for name in ("w", "a"):
    assert jnp.allclose(by_tau[name], 0.5 * by_alpha[name], rtol=1e-9, atol=1e-9)

# %% [markdown]
# After 100 steps the two networks agree in all 48 parameters up to rounding.
#
# ## What it costs
#
# Both runs fit their data. Do they learn the same function? We go to $d = 20$ dimensions with $n = 200$ examples, 1,000
# test points and $m = 40$ neurons, where a function is not settled by its values on the data. All runs take
# 2,000 steps. Besides the test error we record the *alignment*: for each student neuron the largest cosine with a
# teacher neuron, averaged with the weights $|a_j|\,\lVert w_j\rVert$. The factor `alpha` is one until we come to width.

# %%
def alignment(params, teacher):
    unit = lambda w: w / jnp.linalg.norm(w, axis=1, keepdims=True)
    closest = jnp.max(unit(params["w"]) @ unit(teacher["w"]).T, axis=1)
    mass = jnp.abs(params["a"]) * jnp.linalg.norm(params["w"], axis=1)
    return jnp.average(closest, weights=mass)

def result(alpha, tau, steps, data, teacher, params):
    model, start = lambda p, x: alpha * f(p, x), times(tau, params)
    run = fit(model, start, data, 4 / alpha, [steps], None)
    return {"test": test_error(model, run.params, data), "loss": run.loss[-1],
            "alignment": alignment(run.params, teacher),
            "moved": ntk.parameter_change(start, run.params).total}

# %% [markdown]
# One program trains all scales of a seed; four seeds, each with a teacher of its own:

# %%
def task(key, m, num_teacher=3):  # data, teacher and student
    made = ntk.datasets.teacher_student(key, 200, 1000, 20, num_teacher)
    return *made, twins(key, m, 20)

@partial(jax.jit, static_argnames="steps")
def experiment(alphas, taus, steps, tasks):  # each of shape (seeds, settings)
    over = jax.vmap(lambda alpha, tau, t: result(alpha, tau, steps, *t), (0, 0, None))
    return jax.lax.map(lambda t: over(alphas, taus, t), tasks)

scales, ones = jnp.array([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 8.0]), jnp.ones(7)
tasks = jax.vmap(lambda key: task(key, 40))(keys[:4])
found = experiment(ones, scales, 2000, tasks)

# %% [markdown]
# For the lazy end there is a prediction without any training: the linearized network after as many steps, in closed form.
#
# <details class="answer"><summary>Predict before you run: which τ gives the smallest test error?</summary>
#
# The teacher has three neurons. A student whose neurons can turn may find these three directions; a lazy one must
# express them by the directions it was given. So the smaller τ, the better, as long as training gets anywhere: a network
# that starts at zero does not move at all.
#
# </details>

# %%
def lazy_prediction(data, teacher, params):
    theta = ntk.gram(ntk.empirical_ntk(f, params), data.x_train)
    rate = ntk.max_learning_rate(theta) / 2
    ts = jnp.stack([2000 * rate, jnp.inf])  # after as many steps; at the end
    predicted = ntk.predict_linearized(
        f, params, *data[:2], ts, ntk.gradient_descent(rate), x_test=data.x_test)
    return jnp.mean((predicted.test - data.y_test) ** 2, (1, 2)) / jnp.var(data.y_test)

lazy = jax.jit(lambda tasks: jax.lax.map(lambda t: lazy_prediction(*t), tasks))(tasks)

# %% [markdown]
# Drawn with the prediction as a dashed line:

# %% mystnb={"image": {"alt": "Test error against the initialization scale from 0.01 to 8 on logarithmic axes with error bars. It rises steadily from 0.004 at 0.01 over 0.1 at scale 0.3 to 0.44 at 8, where it meets the dashed line of the linearized network."}, "figure": {"caption": "Test error in units of the targets' variance against initialization scale; mean and standard error of four seeds. Dashed: the linearized network after as many steps.", "name": "fig-two-layer-test"}}
fig, ax = plt.subplots()
ax.errorbar(scales, *ntk.estimate(found["test"]), fmt="o-", capsize=2)
ax.axhline(lazy[:, 0].mean(), **ntk.plotting.THEORY)
ax.set(xscale="log", yscale="log", xlabel="initialization scale τ", ylabel="test error")
plt.show()

# %% [markdown]
# What is the factor between the ends, and how well does the prediction fit?

# %%
print("test error:", *(f"{e:.4f}" for e in found["test"].mean(0)))
after, at_end = lazy.mean(0)
print(f"linearized network: {after:.3f}, at the end of training {at_end:.3f}")
ratio = found["test"][:, -1].mean() / found["test"][:, :2].mean(0)
print("τ = 8 is worse by a factor of", *(f"{r:.0f}" for r in ratio))
print(f"largest training loss: {found['loss'].mean(0).max():.4f}")
assert ratio.min() > 20
assert jnp.all(abs(found["test"][:, -1] / lazy[:, 0] - 1) < 0.02)  # moved by 0.2 %

# %% [markdown]
# **What we see.** From $\tau = 0.01$ to 8 the test error rises from 0.0039 to 0.4422: worse by a factor of 113, or 75 from
# $\tau = 0.03$. All training losses are below 0.01. At $\tau = 8$ the network *is* its linearization: 0.442 against 0.444
# predicted. More steps would not help it: at the end of training the linear model has the error 0.606.
#
# What happened inside? If a small $\tau$ helps because neurons turn to the teacher's directions, the alignment must show
# it.

# %% mystnb={"image": {"alt": "Two panels against the initialization scale from 0.01 to 8 with error bars. Left, alignment with the teacher falls from 0.97 to 0.22, most steeply between 0.1 and 1. Right, relative movement falls from 19 to 0.002 on logarithmic axes, at the end along the dashed line of slope minus two."}, "figure": {"caption": "Left: alignment of the student's neurons with the teacher's; dashed, at initialization. Right: relative movement of the parameters; dashed, slope −2. Mean and standard error of four seeds.", "name": "fig-two-layer-alignment"}}
before = jax.vmap(lambda _, teacher, params: alignment(params, teacher))(*tasks).mean()
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.4))
axes[0].errorbar(scales, *ntk.estimate(found["alignment"]), fmt="o-", capsize=2)
axes[0].axhline(before, **ntk.plotting.THEORY)
law = ntk.plotting.tail(axes[1], scales, found["moved"], 2, theory=-2, label="τ ≥ 3")
for ax, name in zip(axes, ("alignment", "relative movement")):
    ax.set(xscale="log", xlabel="initialization scale τ", ylabel=name)
plt.show()

# %% [markdown]
# Again in numbers:

# %%
print("alignment:", *(f"{a:.3f}" for a in found["alignment"].mean(0)))
print(f"alignment at the start: {before:.3f}")
shift = found["moved"].mean(0)
print(f"relative movement: {shift[0]:.1f} … {shift[-1]:.4f}, "
      f"slope {law.exponent:.2f} ± {law.standard_error:.2f} for τ ≥ 3")
assert found["alignment"][:, 0].min() > 0.85 and found["alignment"][:, -1].max() < 0.4
assert found["alignment"][:, -1].mean() < 0.3 and abs(law.exponent + 2) < 0.05

# %% [markdown]
# **What we see.** The alignment falls from 0.972 to 0.218, and the last value is that of the start: lazy neurons keep the
# directions they were drawn with. The movement at $\tau = 8$ is 0.0019, and its slope −1.99 ± 0.01. Alignment and test error change in the
# same range, between $\tau = 0.1$ and 1.
#
# ## Width alone does not make a network lazy
#
# It is often said that training becomes lazy in the limit of infinite width. Whether it does depends on a factor that is
# easy to overlook. Take scale $\tau = 1$, and multiply the network by $\alpha = 1/\sqrt m$, as in the NTK parameterization, or by
# $\alpha = 1/m$, the *mean-field* scaling, in which the output is an average over neurons.
#
# :::{prf:proposition} How far a wide network must go
# :label: thm-two-layer-width
#
# Let all $w_j, a_j$ be of order one. The linearization of $\alpha f$ fits residuals of order one by a
# movement with $\lVert\delta\rVert / \lVert\theta_0\rVert$ of order $1/(\alpha m)$ as $m \to \infty$, if the kernel divided by
# $\alpha^2 m$ converges to an invertible matrix.
#
# :::
#
# *Proof.* The kernel $\Theta = JJ^\top$ of $\alpha f$ is a sum over $m$ neurons, times $\alpha^2$: it is $\alpha^2 m\,\bar\Theta$ with $\bar\Theta$
# convergent. The linear model moves by $\lVert\delta\rVert^2 = r^\top\Theta^{-1} r = r^\top\bar\Theta^{-1}r/(\alpha^2m)$, where $r$ are the residuals
# ({doc}`/book/linearization/when_it_fails`), while $\lVert\theta_0\rVert^2$ is of order $m$. ∎
#
# With $1/\sqrt m$ the movement falls as $m^{-1/2}$. With $1/m$ it is of order one at every width: the linear model asks
# for so long a way that the network cannot stay in the region where that model holds. What happens then is not
# in the proposition; so we measure, at three widths and 600 steps.
#
# <details class="answer"><summary>Predict before you run: what does the test error do as m grows, for each factor?</summary>
#
# With $1/\sqrt m$ the network approaches its lazy limit, a fixed kernel, so the error approaches that kernel's. With $1/m$
# neurons keep turning, however many there are, and the error should stay near that of rich training.
#
# </details>

# %%
widths, by_width = [16, 64, 256], []
for m in widths:
    alphas = jnp.array([m**-0.5, 1 / m])
    wide_tasks = jax.vmap(lambda key: task(key, m))(keys[:4])
    by_width.append(experiment(alphas, jnp.ones(2), 600, wide_tasks))
wide = jax.tree.map(lambda *v: jnp.stack(v, -1), *by_width)  # (seeds, 2, widths)

# %% [markdown]
# The learning rate follows the kernel, so both networks get the same number of equally bold steps.

# %% mystnb={"image": {"alt": "Two panels against width 16, 64, 256 on logarithmic axes with error bars. Left, relative movement: with one over root m it falls from 0.56 to 0.16 parallel to a dashed line of slope minus one half, with one over m it stays near one. Right, test error: about 0.16 at all widths with one over root m, between 0.02 and 0.04 with one over m."}, "figure": {"caption": "Left: relative movement of the parameters against width; dashed, the exponents −1/2 and 0. Right: test error. Mean and standard error of four seeds.", "name": "fig-two-layer-width"}}
fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.4))
laws = []
for i, (name, theory) in enumerate((("1/√m", -0.5), ("1/m", 0.0))):
    laws.append(ntk.plotting.scaling(
        axes[0], widths, wide["moved"][:, i], theory=theory, label=name))
    axes[1].errorbar(widths, *ntk.estimate(wide["test"][:, i]), fmt="o-", label=name)
axes[1].set(xscale="log", yscale="log")
for ax, name, ticks in zip(axes, ("relative movement", "test error"),
                           ([0.2, 0.5, 1, 2], [0.01, 0.03, 0.1, 0.3])):
    ntk.plotting.widths_axis(ax, widths, name, ylim=(ticks[0] / 2, 2 * ticks[-1]))
    ax.set_yticks(ticks, ticks), ax.yaxis.minorticks_off()
plt.show()

# %% [markdown]
# At the largest width:

# %%
lazy_end, rich_end = wide["test"][:, :, -1].mean(0)
print(f"m = 256: test error {lazy_end:.3f} with 1/√m, {rich_end:.3f} with 1/m, "
      f"ratio {lazy_end / rich_end:.1f}; alignment",
      *(f"{a:.2f}" for a in wide["alignment"][:, :, -1].mean(0)))
assert abs(laws[0].exponent + 0.5) < 0.1 and abs(laws[1].exponent) < 0.1
assert lazy_end / rich_end > 3

# %% [markdown]
# **What we see.** With $1/\sqrt m$ the relative movement falls as $m^{-0.45 \pm 0.01}$ between widths 16 and 256, close to
# the −1/2 of the limit; with $1/m$ as $m^{-0.04\pm0.01}$, so hardly at all. At width 256 the lazy network's test error is 0.168, the other's 0.037, less by a
# factor of 4.5, and its neurons are aligned with the teacher's (0.66 against 0.26). Sixteen times as many neurons did not make it
# lazy, while with $1/\sqrt m$ they did not help.
#
# :::{admonition} A statement to correct
# :class: important
#
# "Lazy training emerges in the infinite-width limit" needs a qualifier: *in a parameterization where $\alpha m \to
# \infty$*, such as the NTK parameterization. Width is not necessary, as the chapter {doc}`/book/lazy_training/a_choice_of_scale`
# shows with four parameters; and width alone is not sufficient, as $1/m$ shows here.
#
# :::
#
# The limit of $1/m$ as $m \to \infty$ is a theory of its own: neurons become a distribution that moves. Song Mei, Andrea
# Montanari and Phan-Minh Nguyen {cite}`mei2018` and Chizat and Bach {cite}`chizatbach2018` describe it by partial
# differential equations. In the language of Mario Geiger and co-authors {cite}`geiger2020` both factors are points on one
# axis: $\sqrt m\,\alpha'$, where $\alpha'$ multiplies the network that has its $1/\sqrt m$ already. Then $1/m$ is $\alpha' =
# m^{-1/2}$, and $\sqrt m\,\alpha' = \alpha m = 1$ at every width.
#
# ## Where it breaks
#
# "Start small" is no free lunch. Two limits of it can be measured.
#
# **Near zero, training waits.** At $\theta = 0$ the gradient vanishes: it is a saddle. Close to it, a neuron grows
# exponentially, as its $w$ drives its $a$ and the other way round, with a rate that does not depend on $\tau$. So each
# factor of ten in $\tau$ costs the same extra time, not a tenth more.

# %% mystnb={"image": {"alt": "Training loss against step for four initialization scales. Each curve stays on a plateau and then drops; the smaller the scale, the later, by about the same number of steps for each factor of ten."}, "figure": {"caption": "Training loss from ever smaller starts (one seed, learning rate 0.5): the plateau grows by a constant for each factor of ten in τ.", "name": "fig-two-layer-plateau"}}
tiny, (data, _, params) = 10.0 ** -jnp.arange(1, 6), jax.tree.map(lambda v: v[0], tasks)
wait = lambda tau: fit(f, times(tau, params), data, 0.5, jnp.arange(221), None).loss
losses = jax.jit(jax.vmap(wait))(tiny)
fig, ax = plt.subplots()
ax.plot(losses.T, label=[f"τ = {tau:g}" for tau in tiny])
ax.set(xlabel="step", ylabel="training loss"), ax.legend(), plt.show()
half = jnp.argmax(losses < losses[:, :1] / 2, axis=1)
print("steps to half the loss:", *half, "increments:", *jnp.diff(half))
gaps = jnp.diff(half)
assert jnp.all(abs(gaps / gaps.mean() - 1) < 0.1)  # fastest neuron takes over by and by

# %% [markdown]
# **What we see.** Half of the loss takes 32 steps at $\tau = 0.1$ and then 42, 41, 39 and 38 more for each further factor
# of ten: the wait is proportional to $\log(1/\tau)$. A run that stops too early therefore looks *worse* at very small
# $\tau$; that is a matter of time, not of generalization.
#
# **Rich is better here because the teacher is sparse.** Turning neurons pays when a few directions explain the target. We
# repeat the two ends, $\tau = 0.03$ and $8$, with teachers of 1, 10 and 100 neurons:

# %%
ends = {}
for num in (1, 10, 100):
    dense, _, students = jax.vmap(lambda key: task(key, 40, num))(keys[:4])
    dense_tasks = dense, tasks[1], students  # the alignment is not looked at here
    two = jnp.ones(2), jnp.array([0.03, 8.0])  # α, and the two ends of τ
    ends[num] = experiment(*two, 2000, dense_tasks)["test"]
    (rich, lazy), (rich_error, lazy_error) = ntk.estimate(ends[num])
    print(f"{num:3} neurons: rich {rich:.3f} ± {rich_error:.3f}, "
          f"lazy {lazy:.3f} ± {lazy_error:.3f}, ratio {lazy / rich:.3g}")
gain = [float(e[:, 1].mean() / e[:, 0].mean()) for e in ends.values()]
assert gain[0] > 100 > 10 > gain[1] > gain[2] > 1

# %% [markdown]
# **What we see.** With one teacher neuron rich training is better by a factor of 608, with ten by 3.5, with a hundred by 2.2.
# The lazy error is about the same for all, 0.40 to 0.44: a fixed kernel does not care how few directions matter. Rich training does, and what
# it gains shrinks as their number grows.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A bias-free ReLU network with two hidden layers is drawn with all weights 3 times as large. With which output
# scale α does the original network train alike?
#
# <details class="wrong"><summary>3</summary>
#
# That would be so if one layer were multiplied. All three layers of weights are.
#
# </details>
# <details class="wrong"><summary>9</summary>
#
# This is the chapter's network with one hidden layer; here there is one layer of weights more.
#
# </details>
# <details class="right"><summary>27</summary>
#
# Yes: the network is 3-homogeneous in its weights, so the scale is $3^3$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** A network of one million neurons has the factor $1/m$ in front. Its training is …
#
# <details class="wrong"><summary>lazy, because it is very wide</summary>
#
# Width makes training lazy only if the factor decays more slowly than $1/m$. Here $\alpha m = 1$ at every width.
#
# </details>
# <details class="right"><summary>rich: the relative movement does not shrink with the width</summary>
#
# Yes. The measured exponent of the movement was close to zero, and the test error stayed near the rich one.
#
# </details>
# <details class="wrong"><summary>impossible, its gradients vanish</summary>
#
# Each gradient is of order $1/m$, but the learning rate may grow as $m$, since the kernel shrinks as $1/m$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** At τ = 8 the training loss is small and the test error large. What would help?
#
# <details class="wrong"><summary>Training longer</summary>
#
# The network is its linearization there, and that one's error at the end of training is even larger, 0.606: the kernel
# does not fit the target.
#
# </details>
# <details class="right"><summary>Drawing smaller weights, so that neurons turn</summary>
#
# Yes: from τ = 8 to 0.03 the error fell by a factor of 75 on this task.
#
# </details>
# <details class="wrong"><summary>More neurons at the same factor and scale</summary>
#
# With α and τ fixed, $\alpha m\tau^2$ grows with $m$: still lazier.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **4.** Why do neurons at τ = 0.01 wait before the loss falls?
#
# <details class="right"><summary>They start near a saddle and grow exponentially from it</summary>
#
# Yes, at a rate independent of τ, so the wait grows as the logarithm of 1/τ.
#
# </details>
# <details class="wrong"><summary>The learning rate is too small</summary>
#
# A larger one shortens every wait by the same factor; the plateau is there at any learning rate.
#
# </details>
# <details class="wrong"><summary>They are stuck in a poor local minimum</summary>
#
# All of them left the plateau. The gradient is small there because both layers are.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ Deeper networks
# :label: ex-two-layer-depth
#
# A ReLU network without biases has `depth` hidden layers, all weights drawn at scale $\tau$. Write
# `output_scale(tau, depth)`, the $\alpha$ with which the network drawn at scale one trains alike.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Count the layers of weights, and use $\varphi(\tau z) = \tau\varphi(z)$ at each.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Each of the depth + 1 layers of weights contributes one factor τ.
def output_scale(tau, depth):
    return tau ** (depth + 1)

ntk.exercises.two_layer_networks.check_output_scale(output_scale)

# %% [markdown]
# :::{exercise} ★★ What a neuron cannot change
# :label: ex-two-layer-conserved
#
# Under gradient flow on {eq}`eq-two-layer-model`, one combination of $w_j$ and $a_j$ stays constant for each neuron. Find
# it, and write `conserved(w, a)` for `w` of shape $(m, d)$ and `a` of shape $(m,)$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Compare the time derivatives of $a_j^2$ and $\lVert w_j\rVert^2$; use $z\,\varphi'(z) = \varphi(z)$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Both derivatives are −2 a_j mean(r φ(w_j·x/√d)), r the residuals: so their difference
# is constant.
def conserved(w, a):
    return jnp.sum(w**2, axis=1) - a**2

ntk.exercises.two_layer_networks.check_conserved(conserved)

# %% [markdown]
# :::{exercise} ★★ One factor for another
# :label: ex-two-layer-compensation
#
# With the factor $1/m$, at which scale $\tau = m^p$ does the network train as the one with $1/\sqrt m$ and $\tau = 1$?
# Give $p$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# {prf:ref}`thm-two-layer-scale` turns $\tau$ into an output scale. Which product must agree?
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# α τ² must be 1/√m: with α = 1/m that is τ² = √m.
p = 1 / 4
ntk.exercises.two_layer_networks.check_compensation(p)

# %% [markdown]
# :::{exercise} ★★ Where the crossover lies
# :label: ex-two-layer-crossover
#
# With no factor in front ($\alpha = 1$), let $\tau_*$ be the scale at which the relative movement is $\tfrac12$. Measure
# it at widths 16 and 256 and give the exponent of $m$ in $\tau_*$. Use
# `ntk.datasets.teacher_student(jax.random.key(0), 40, 1, 5)`, `fit(…, 1.0, [400])` and the students
# `twins(jax.random.key(1), m, 5)`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The theory predicts a movement that depends on $\alpha m\tau^2$. Take six scales between 0.05 and 1.6 and interpolate
# their logarithms where the logarithm of the movement crosses that of $\tfrac12$: `jnp.interp`.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Movement falls with τ: interpolate along minus its logarithm.
data = ntk.datasets.teacher_student(jax.random.key(0), 40, 1, 5)[0]
taus = jnp.geomspace(0.05, 1.6, 6)

def movement(params, tau):
    start = times(tau, params)
    return ntk.parameter_change(start, fit(f, start, data, 1.0, [400]).params).total

crossings = []
for m in (16, 256):
    over = jax.jit(jax.vmap(movement, (None, 0)))
    moved = over(twins(jax.random.key(1), m, 5), taus)
    crossings.append(jnp.interp(jnp.log(2), -jnp.log(moved), jnp.log(taus)))
exponent = (crossings[1] - crossings[0]) / jnp.log(16)
ntk.exercises.two_layer_networks.check_crossover(exponent)

# %% [markdown]
# :::{exercise} ★★★ Lazy or rich?
# :label: ex-two-layer-mysteries
#
# `ntk.exercises.two_layer_networks.mystery(number)` returns `(f, params0, params, x)` for four trained networks. Say of each
# whether its training was "lazy" or "rich". One of them has a layer that moved by 43 times its size.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Lazy means that the linearization at the start describes the end. There is a function for the share that it misses.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Movement misleads where only the readout was trained: that network is linear in it.
mysteries = [ntk.exercises.two_layer_networks.mystery(i) for i in (1, 2, 3, 4)]
missed = [ntk.linearization_error(*mystery) for mystery in mysteries]
print("missed:", *(f"{share:.3f}" for share in missed))
regimes = ["lazy" if share < 0.1 else "rich" for share in missed]
ntk.exercises.two_layer_networks.check_regimes(regimes)

# %% [markdown]
# ## Questions readers ask
#
# **Why twins?** They make the output zero at the start, so that $\tau$ acts as an output scale and nothing else. Without
# them a large $\tau$ also starts from a large random function. The price: the twins cancel the first correction to the linear
# model, so that the outputs approach it faster than for a general network.
#
# **Does the function in the plane not look fine at τ = 3.2?** In {numref}`fig-two-layer-neurons` it passes through all
# data as well, and 15 points on a circle leave little room for error. The price shows in high dimension, in
# {numref}`fig-two-layer-test`.
#
# **Is the neurons' alignment the cause of the good test error?** The two go together in every run here. That is not a
# proof; the teachers with more neurons show that the gain shrinks where there are fewer common directions to find.
#
# **Which scale do practical networks have?** Weights of variance one over the fan-in, a usual choice, give the same function at
# the start as the factor $1/\sqrt m$ at $\tau = 1$; at finite width such networks lie somewhere between the ends. Measure
# it, as in exercise 5.
#
# **Does the learning rate play a part?** Here it was chosen so that gradient descent stays close to gradient flow. Large
# steps leave the linear regime in another way: {doc}`/book/linearization/when_it_fails`.
#
# ## Summary
#
# - For a $q$-homogeneous network the initialization scale $\tau$ is the output scale $\alpha = \tau^q$, along the
#   whole of gradient descent; for two layers, $\alpha = \tau^2$.
# - At $\tau = 0.1$ neurons in the plane turned by 33.5°, at 3.2 by 0.4°. In 20 dimensions the relative movement falls as
#   $\tau^{-2}$ at the lazy end, and alignment with the teacher from 0.972 to 0.218.
# - Test error rose from 0.0039 at $\tau = 0.01$ to 0.442 at 8, where the linearized network predicts 0.444.
# - With $1/\sqrt m$ movement falls with the width (exponent −0.45 ± 0.01, theory −1/2), with $1/m$ it does not (−0.04 ±
#   0.01): width makes training lazy only where $\alpha m\tau^2$ grows with it.
# - Rich training gains most where few directions matter: a factor of 608 with one teacher neuron, 2.2 with a hundred. Very
#   small $\tau$ costs time, proportional to $\log(1/\tau)$.
#
# ## What is next
#
# {doc}`/book/lazy_training/lazy_or_feature` draws scale and width together and locates the border between the regimes, for deep
# networks too. To look up a symbol, see {doc}`/book/notation`.
#
# ## Further reading
#
# - Chizat, Oyallon and Bach {cite}`chizat2019`: the experiment of this chapter in 100 dimensions, and the theory of the
#   output scale.
# - Blake Woodworth and co-authors {cite}`woodworth2020`: for simple homogeneous models, exactly which solution gradient
#   descent finds between the two regimes.
# - Mei, Montanari and Nguyen {cite}`mei2018` and Chizat and Bach {cite}`chizatbach2018`: the limit of infinitely many
#   neurons with the factor $1/m$.
# - Geiger and co-authors {cite}`geiger2020`: both regimes on one axis, for deep networks and real data.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* Project the first figure and drag it; let the class describe what changes (5). Theorem 1 on the
# board (10). Predict, then show test error and alignment (10). The proposition on width, with a vote on $1/m$ before the
# figure (15). Teachers with more neurons (5); quiz (5).
#
# *Plan for 90 minutes.* As above, then exercise 2 on the board (10), exercise 4 in pairs (15), exercise 5 in groups and a
# discussion of what "lazy" should mean (15).
#
# *Misconceptions.* "Wide means lazy": the figure on width. "A small initialization is the same as a small learning rate":
# it changes the place where training ends. "Large movement means rich": mystery 4 of exercise 5. "Rich is better": the
# teacher with 100 neurons.
#
# </details>
