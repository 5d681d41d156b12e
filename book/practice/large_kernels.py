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
# # Kernels of any size
#
# **What a tangent kernel costs in operations, memory and digits, which of three ways to compute it wins when, and how to
# go on when the matrix no longer fits.**
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
# One network, one set of 32 examples, one kernel matrix; three ways to compute it. How many floating-point operations
# does each take? Nothing needs to run to know: JAX hands a function over as a list of operations, and XLA, its compiler,
# counts what is in there. (The first line makes JAX see eight devices where there is one processor; it has to come before
# the first array, and serves the end of this chapter.)

# %%
jax.config.update("jax_num_cpu_devices", 8)
operations = lambda fn, *args: jax.jit(fn).lower(*args).cost_analysis()["flops"]
engines = {"Jacobian contraction": lambda f, p: ntk.jacobian_contraction(f, p),
           "NTK-vector products": lambda f, p: ntk.ntk_vector_products(f, p),
           "layerwise": lambda f, p: ntk.layerwise(f.__self__, p)}

def count(n, m, k):  # n examples of 64 numbers, width m, k outputs; one count an engine
    f, x = ntk.mlp(m, 1, k, ntk.tanh), jax.ShapeDtypeStruct((n, 64), float)
    params = jax.eval_shape(lambda key: f.init(key, (64,))[0], jax.random.key(0))
    of = lambda engine: lambda p, x: ntk.gram(engine(f.apply, p), x, batch_size=n)
    return [operations(of(engine), params, x) for engine in engines.values()]

# %% mystnb={"image": {"alt": "Operations against the number of outputs from 1 to 64 on logarithmic axes, three lines. At one output they lie within a factor of 17. Jacobian contraction rises with slope two to 270 billion, NTK-vector products with slope one to 7 billion, layerwise is lowest throughout, with 3 billion at the end."}, "figure": {"caption": "Operations for one kernel matrix of 32 examples, network of width 256: the result is the same, the work is not.", "name": "fig-large-kernels-surprise"}}
ks = [1, 4, 16, 64]
by_outputs = jnp.array([count(32, 256, k) for k in ks])
ntk.plotting.growth(plt.gca(), ks, by_outputs, [*engines], ylabel="operations")
plt.xlabel("outputs k"), plt.show()
saved = by_outputs[:, 0] / by_outputs[:, 2]
print("Jacobian contraction / layerwise:", *(f"{ratio:.0f}" for ratio in saved))
assert saved[0] > 8 and saved[-1] > 100  # counted, not timed: exact

# %% [markdown]
# A factor of 16 with one output and of 102 with 64. The choice of the way decides what is feasible, long before the
# choice of the machine.
#
# ## You will be able to
#
# - estimate operations and memory of a kernel before computing it;
# - choose among three engines, and bring in a model from another library;
# - compute and solve with matrices that do not fit in memory;
# - tell how many digits of a prediction float32 leaves;
# - spread a kernel over many devices.
#
# You need {doc}`/book/linearization/tangent_kernel`, and for the part on solving
# {doc}`/book/linearization/training_dynamics`. Symbols are those of {doc}`/book/notation`: $n$ examples, $k$ outputs, $p$
# parameters, width $m$, input dimension $d$, ridge $\rho$. New here are $F$, the operations of one forward pass,
# $\kappa$, a condition number, and $u$, the unit roundoff.
#
# ## The engines, by hand
#
# A dense layer $z = W^\top h$ has the gradient $\partial f/\partial W = h\,\delta^\top$ with $\delta = \partial
# f/\partial z$, an outer product. The inner product of two outer products is a product of two inner products:
#
# $$
# \bigl\langle h\,\delta^\top,\; h'\delta'^\top \bigr\rangle = (h \cdot h')\,(\delta \cdot \delta').
# $$ (eq-large-kernels-outer)
#
# For a matrix of $256 \times 256$ the left side takes 65,536 multiplications, the right side 513. Summed over the layers
# of a network with one hidden layer, input scale $1/\sqrt{d}$ and readout scale $1/\sqrt{m}$, this is the whole kernel:

# %%
net, key = ntk.mlp(100, depth=1, num_outputs=1, activation=ntk.tanh), jax.random.key(0)
params, x = net.init(key, (64,))[0], jax.random.normal(jax.random.key(1), (16, 64))
h = jnp.tanh(x @ params[0]["w"] / 8)
delta = (1 - h**2) * params[2]["w"][:, 0] / 10
by_hand = (x @ x.T / 64) * (delta @ delta.T) + h @ h.T / 100
for engine in engines.values():
    found = ntk.gram(engine(net.apply, params), x)[..., 0, 0]
    assert jnp.allclose(by_hand, found, rtol=1e-10)  # the same sums in another order

# %% [markdown]
# All engines agree with it. They differ in what they form on the way:
#
# :::{prf:proposition} What three engines cost
# :label: prop-large-kernels-cost
#
# For a fully-connected network, $F \approx 2p$, the matrix of $n$ examples takes, to leading order,
#
# - **Jacobian contraction**, $J(x)\,J(x')^\top$: $\;n\,k\,F + 2\,n^2k^2p$ operations, memory $n\,k\,p$ for the Jacobians;
# - **NTK-vector products**, $J(x)\,(J(x')^\top e_b)$: between $n^2 k\,F$ and $2\,n^2k\,F$ operations, and no Jacobian in
#   memory;
# - **layerwise**, {eq}`eq-large-kernels-outer`: $\;n\,k\,F + 2\,n^2\sum_\ell (c_\ell + k^2 m_\ell)$ operations, for
#   layers of $c_\ell$ inputs and $m_\ell$ units, memory $n\,k \sum_\ell m_\ell$.
#
# :::
#
# *Proof.* A Jacobian is $k$ backward passes; one pair then takes $k^2$ inner products of length $p$. A vector product is
# one forward derivative a pair and output, with two matrix products in each layer but the first. Layerwise takes one
# inner product of inputs and $k^2$ of $\delta$'s a layer and pair. ∎
#
# Roman Novak, Jascha Sohl-Dickstein and Samuel Schoenholz {cite}`novak2022` derive such costs for many kinds of layers.
# **Question.** How does each count grow with $n$ and with $m$, with 4 outputs?
#
# <details class="answer"><summary>Predict before you run: six slopes</summary>
#
# With $n$: 2 for the first two. Layerwise has a term in $n$ and one in $n^2$, so a slope between 1 and 2, the nearer to 2
# the more examples. With $m$: here $p = dm + mk$ and every term is proportional to $m$, except the inner products of the
# inputs, so slopes of 1 or little below. In deeper networks $p$ grows as $m^2$, and layerwise is ahead by another factor
# $m$.
#
# </details>

# %% mystnb={"image": {"alt": "Two panels of operations on logarithmic axes, against examples from 8 to 128 and against width from 64 to 1024. Counts of the three engines are dots, the formulas dashed lines through them. Jacobian contraction is highest, layerwise more than ten times lower than both others."}, "figure": {"caption": "Counted operations (dots) and the formulas of the proposition (dashed), 4 outputs; left at width 256, right at 32 examples.", "name": "fig-large-kernels-counts"}}
def formulas(n, m, k, d=64):
    p, pair = d * m + m * k, d + m + k**2 * (m + k)
    return [2 * n**2 * k**2 * p, 2 * n**2 * k * (p + m * k),
            2 * n * (p + k**2 * m) + 2 * n**2 * pair]

_, axes = plt.subplots(1, 2, sharey=True)
cases = [[(n, 256, 4) for n in (8, 32, 128)], [(32, m, 4) for m in (64, 256, 1024)]]
for j, name in enumerate("nm"):
    counted, theory = (jnp.array([f(*c) for c in cases[j]]) for f in (count, formulas))
    sizes, names = [c[j] for c in cases[j]], [*engines]
    ntk.plotting.growth(axes[j], sizes, counted, names, theory=theory, xlabel=name)
    slopes = jnp.log(counted[2] / counted[1]) / jnp.log(4)
    print(f"slopes with {name}:", *(f"{slope:.2f}" for slope in slopes))
    assert jnp.all(jnp.abs(counted / theory - 1) < 0.3)  # lower-order terms
axes[0].set_ylabel("operations")
plt.show()

# %% [markdown]
# **What we see.** From 32 to 128 examples the slopes are 2.00, 1.98 and 1.94, and 1.01, 1.00 and 0.98 from width 256 to
# 1,024. The formulas are within 30 % of every count.
#
# ## When each wins
#
# Operations are not seconds: a large matrix product runs near the processor's peak, many small ones do not. So we also
# measure. `ntk.median_seconds` calls functions in turn, waits for each result, and takes medians. The times are those of
# your machine, so this page shows only whether a ratio exceeds a bound, with room to spare; add `print(times)` to see
# yours.
#
# **Question.** For 16 examples, width 256 and 10 outputs, the formulas say that layerwise saves a factor of 64 against
# Jacobian contraction and of 7 against vector products. How much of that is left in time?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# Jacobian contraction is one large matrix product, which processors do best, so some of the 64 is lost. Vector products
# are many small ones: there the advantage may even grow.
#
# </details>

# %%
net10 = ntk.mlp(256, depth=1, num_outputs=10, activation=ntk.tanh)
params10, _ = net10.init(key, (64,))
kernels = [engine(net10.apply, params10) for engine in engines.values()]
times = ntk.median_seconds(*[lambda e=e: ntk.gram(e, x) for e in kernels])
print("ratios above 8 and 3:", times[0] > 8 * times[2], times[1] > 3 * times[2])
assert times[0] > 8 * times[2] and times[1] > 3 * times[2]

# %% [markdown]
# Of the 64 and the 7, more than 8 and 3 are left. But layerwise needs a matrix that enters once, by one product. Here is
# a recurrent network whose matrix is used twice; no single $h\,\delta^\top$ is its gradient. Contracting Jacobians takes
# $k^2$ inner products a pair there, vector products $k$ forward derivatives: with 64 outputs far less. `ntk.structured`
# treats any function: it takes layers apart where it finds them, and counts which of the other two is cheaper elsewhere.

# %%
def recurrent(params, x):
    for _ in range(2):
        x = jnp.tanh(params["w"] @ x)
    return params["v"] @ x

tied = {name: jax.random.normal(key, (64, 64)) / 8 for name in "wv"}
ways = ntk.jacobian_contraction, ntk.structured, ntk.ntk_vector_products
kernels = [way(recurrent, tied) for way in ways]
work = [operations(lambda x: ntk.gram(e, x, batch_size=8), x[:8]) for e in kernels]
times = ntk.median_seconds(*[lambda e=e: ntk.gram(e, x[:8]) for e in kernels], rounds=5)
print("operations, relative:", *(f"{w / work[2]:.1f}" for w in work))
print(*(f"{row.path}: {row.rule}" for row in kernels[1].explain(x[0]).rows), sep="\n")
print("contraction is slowest:", times[0] == max(times))
assert times[0] > 2 * times[1] and times[0] > 2 * times[2]

# %% [markdown]
# **What we see.** Vector products take 22.7 times fewer operations than contraction, and `structured` as few: it treats
# the readout as a matrix product and the shared matrix by vector products. So there are three rules. *Layerwise* (or
# `structured`) wins wherever layers are used once, which is nearly always; *vector products* where parameters are shared
# in ways it cannot take apart and outputs are many, or where memory for Jacobians is missing; *Jacobian contraction* for
# tiny models, as the plainest program. `ntk.empirical_ntk(f, params)` takes layerwise for this package's networks and for
# everything else `structured`, which chooses among the three.
#
# ## A model from another library
#
# Everything above asks for a pure function `f(params, x)` of one example. Three lines make one of an Equinox model, and
# `.explain(x)` says what will be done with each parameter:

# %%
import equinox as eqx

model = eqx.nn.MLP(in_size=64, out_size=3, width_size=256, depth=2, key=key)
arrays, static = eqx.partition(model, eqx.is_inexact_array)
plan = ntk.empirical_ntk(lambda p, x: eqx.combine(p, static)(x), arrays).explain(x[0])
for row in plan.rows:
    print(f"{row.path:18} {row.rule:14}", row.operations, "of", row.jacobian_operations)
assert plan[".layers[1].weight"] == "matrix product"

# %% [markdown]
# The three matrices are contracted by inner products, and each bias goes with its matrix, since its gradient is the same
# $\delta$. Flax and Haiku go the same way; these lines are not run here:
#
# ```python
# params = model.init(key, x[:1])["params"]                                         # Flax (linen)
# f = lambda params, x: model.apply({"params": params}, x[None])[0]
# kernel = ntk.empirical_ntk(f, params)
#
# params = transformed.init(key, x[:1])                                             # Haiku
# f = lambda params, x: transformed.apply(params, None, x[None])[0]
# ```
#
# ## What it costs as data grow
#
# **Question.** The kernel takes $O(n^2)$ operations, solving for the end of training $O(n^3)$ by an eigendecomposition.
# From which $n$ on is the kernel the cheap part?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# An eigendecomposition with vectors takes about $9n^3$ operations {cite}`golub2013`. With $c$ operations a pair and half
# of the pairs, by symmetry, the kernel takes $c\,n^2/2$. They meet at $n = c/18$. For 784 inputs $c$ is at least $2 \cdot
# 784$: about a hundred examples.
#
# </details>

# %% mystnb={"image": {"alt": "Two panels against the number of examples from 10 to a million. Left, operations: the eigendecomposition overtakes the kernel near 100 examples and lies a factor 600 above it at 60,000, where a dotted line stands; conjugate gradients stay below the kernel throughout. Right, bytes of the matrix in float64 and float32, which cross the line of 16 GB at 45,000 and 63,000 examples."}, "figure": {"caption": "Left: operations of an infinite-width kernel (784 inputs, 3 hidden layers), of one eigendecomposition, and of 32 steps of conjugate gradients (CG). Right: bytes of the matrix. Dotted: 60,000 examples; 16 GB.", "name": "fig-large-kernels-growth"}}
deep = ntk.infinite_ntk(ntk.mlp(1, 3, 1, ntk.relu, w_std=2**0.5))
c = operations(lambda x: ntk.gram(deep, x, batch_size=64), jnp.ones((64, 784))) / 64**2
ns = 10 ** jnp.linspace(1, 6, 50)
work = jnp.stack([9 * ns**3, c * ns**2 / 2, 64 * ns**2], axis=1)
size, axes = jnp.outer(ns**2, jnp.array([8, 4])), plt.subplots(1, 2)[1]
ntk.plotting.growth(axes[0], ns, work, ["eigh", "kernel", "32 CG"], ylabel="operations")
ntk.plotting.growth(axes[1], ns, size, ["float64", "float32"], ylabel="bytes")
for ax in axes:
    ax.axvline(60_000, color="black", ls=":"), ax.set_xlabel("examples n")
axes[1].axhline(16e9, color="black", ls=":"), plt.show()
print(f"{c:.0f} operations a pair: equal at n = {c / 18:.0f}")

# %% [markdown]
# That is a count; where the seconds meet depends on the machine. Do 512 examples, with 64 inputs, lie beyond?

# %%
x512 = jax.random.normal(jax.random.key(2), (512, 64))
theta512, eigh = ntk.gram(deep, x512), jax.jit(jnp.linalg.eigh)
kernel = lambda: ntk.gram(deep, x512)
seconds = ntk.median_seconds(kernel, lambda: eigh(theta512), rounds=3)
print("the eigendecomposition takes longer:", seconds[1] > seconds[0])
assert seconds[1] > seconds[0]

# %% [markdown]
# So two limits come with large $n$: the matrix's memory, at 60,000 examples 14.4 GB in float32, and the cube.
#
# ## Memory: tiles, a budget, a file
#
# `gram` works on tiles of `batch_size` × `batch_size` pairs, and with `memory_budget` in bytes it asks the compiler how
# much tiles of each size take, until arguments, result and all temporary arrays fit. For 64 examples and 4 outputs of a
# network with 17,408 parameters, the Jacobians take 36 MB on each side of the product.

# %%
net4 = ntk.mlp(256, depth=1, num_outputs=4, activation=ntk.tanh)
kernel4, x64 = ntk.jacobian_contraction(net4.apply, net4.init(key, (64,))[0]), x512[:64]
tiled = lambda size: jax.jit(lambda x: ntk.gram(kernel4, x, batch_size=size))
compiled = [tiled(size).lower(x64).compile() for size in (64, 8)]
whole, small = (c.memory_analysis().temp_size_in_bytes for c in compiled)
print("all at once over 30 MB:", whole > 30e6, " in tiles under 15 MB:", small < 15e6)
within = ntk.gram(kernel4, x64, memory_budget=24_000_000)
assert whole > 2 * small and jnp.allclose(within, compiled[0](x64), atol=1e-12)

# %% [markdown]
# When the result itself does not fit, `ntk.stream_gram` writes it to a file, row block by row block, with a journal of
# what is finished. What happens if it is interrupted? We let its progress bar raise what Ctrl-C raises, at the third of
# six row blocks, and look into the unfinished file. The data are 384 random points on a sphere.

# %% mystnb={"image": {"alt": "An image of a matrix of 384 by 384 entries. The first three of six row blocks and, mirrored, the first three column blocks are filled; the square that remains at the lower right is blank."}, "figure": {"caption": "Entries that are in the file (blue) when the stream is interrupted after three of six row blocks: by symmetry, columns are there too.", "name": "fig-large-kernels-stream"}}
import contextlib, pathlib, tempfile, unittest.mock as mock

points = ntk.datasets.sphere(key, 484, 6)
x_train, x_test = points[:384], points[384:]
erf_kernel = ntk.infinite_ntk(ntk.mlp(1, 2, 1, ntk.erf, w_std=1.5))
folder = pathlib.Path(tempfile.mkdtemp())
stream = lambda name: ntk.stream_gram(
    erf_kernel, x_train, path=folder / name, batch_size=64, progress=False)
stop = mock.patch("tqdm.tqdm.update", side_effect=[None, None, KeyboardInterrupt])
with contextlib.suppress(KeyboardInterrupt), stop:
    stream("kernel.npy")
written = jnp.load(folder / "kernel.npy.part") != 0
plt.figure(figsize=(3.6, 3.2)), plt.grid(False)
plt.imshow(written, cmap="Blues", vmax=2), plt.show()
print(f"entries written: {written.mean():.0%}")

# %% [markdown]
# The same call again goes on from the fourth block. Are the bytes those of a stream that was never interrupted?

# %%
stored, undisturbed = stream("kernel.npy"), stream("other.npy")
same = (folder / "kernel.npy").read_bytes() == (folder / "other.npy").read_bytes()
print("same bytes:", same)
assert same and jnp.allclose(stored, ntk.gram(erf_kernel, x_train), rtol=1e-10)

# %% [markdown]
# ## Solving without a factorization
#
# Kernel regression needs $w = (\Theta + \rho I)^{-1} y$. *Conjugate gradients* (CG), by Magnus Hestenes and Eduard
# Stiefel {cite}`hestenes1952`, needs nothing but products $\Theta v$: from a file, or from tiles that are computed, used
# and forgotten. A product takes $2n^2$ operations, so all depends on the number of steps.
#
# :::{prf:theorem} Steps of conjugate gradients
# :label: thm-large-kernels-cg
#
# Let $A$ be symmetric positive definite with condition number $\kappa = \lambda_{\max}/\lambda_{\min}$. After $s$ steps
# the error, in the norm $\lVert e\rVert_A^2 = e^\top A\, e$, is at most $2\,\bigl(\tfrac{\sqrt\kappa - 1}{\sqrt\kappa +
# 1}\bigr)^s$ times that at the start. With a preconditioner $P$, $\kappa$ is that of $P^{-1/2} A\, P^{-1/2}$.
#
# :::
#
# The proof is in {cite}`golub2013`. A good $P$ comes from a few columns of the kernel, at `rank` random examples: the
# Nyström approximation of $\Theta$, of that rank, with its eigenvectors. Zachary Frangella, Joel Tropp and Madeleine
# Udell {cite}`frangella2023` show that a rank as large as the number of eigenvalues above $\rho$ makes $\kappa$ a
# constant. Below are CG and three preconditioners, of rank 0, 32 and 128. **Question.** How far does the residual fall?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# The condition numbers, printed in the figure, predict it. For $\kappa = 1681$ the factor a step is 0.952, so that 12
# steps leave about half; for $\kappa = 22$ it is 0.65, and 24 steps leave $3 \cdot 10^{-5}$, times the 2.
#
# </details>

# %%
def cg(product, precondition, y, num_steps):  # residuals, from before step 1 on
    def step(state, _):
        r, q, rho = state
        product_q = product(q)
        left = r - rho / jnp.vdot(q, product_q) * product_q
        z = precondition(left)
        b = jnp.vdot(left, z) / rho
        return (left, z + b * q, b * rho), jnp.linalg.norm(r) / jnp.linalg.norm(y)
    start = (y, precondition(y), jnp.vdot(y, precondition(y)))
    return jax.lax.scan(step, start, None, num_steps + 1)[1]

# %% [markdown]
# The system with $\rho = 0.1$, for targets that are products of the first two coordinates, and its condition numbers:

# %%
ridge, theta, falls, kappas = 0.1, jnp.asarray(stored), [], []
system, y_train = theta + ridge * jnp.eye(384), x_train[:, :1] * x_train[:, 1:2]
root = jnp.linalg.cholesky(system)
for rank in (0, 32, 128):
    P = ntk.nystrom(theta, None, rank, ridge, key) if rank else lambda v: v
    falls.append(jax.jit(lambda y: cg(lambda v: system @ v, P, y, 24))(y_train))
    lam = jnp.linalg.eigvalsh(root.T @ P(root))
    kappas.append(lam[-1] / lam[0])

# %% [markdown]
# The residuals, from before the first step on:

# %% mystnb={"image": {"alt": "Relative residual against the step of conjugate gradients, logarithmic. Without a preconditioner it rises to 5 and is at 0.4 after 12 steps; with rank 32 it reaches 0.0065 after 24 steps; with rank 128 it falls along nearly a straight line to a hundred-thousandth."}, "figure": {"caption": "Relative residual of conjugate gradients, without and with Nyström preconditioners, and the condition number κ of each. The first is drawn for 12 steps: later its course depends on rounding.", "name": "fig-large-kernels-cg"}}
for rank, kappa, residuals in zip((0, 32, 128), kappas, falls):
    shown = residuals[:25 if rank else 13]
    plt.semilogy(shown, ".-", label=f"rank {rank}: κ = {kappa:.0f}")
plt.gca().set(xlabel="step", ylabel="relative residual"), plt.legend(), plt.show()
print("residual after 12 steps:", *(f"{r[12]:.1e}" for r in falls))
print("after 24:", *(f"{r[24]:.1e}" for r in falls[1:]))
assert falls[0][12] > 2 * falls[1][12] > 20 * falls[2][12] and falls[2][24] < 2e-5

# %% [markdown]
# **What we see.** After 12 steps the residual is 0.38 without a preconditioner, 0.15 with rank 32 and 0.0039 with rank
# 128; after 24, $6.5 \cdot 10^{-3}$ and $1.1 \cdot 10^{-5}$ with the two. Each step costs the same. From here on the
# package: `solve_kernel_regression` runs the CG of `lineax` on any such operator: `stored_operator(stored)` reads the
# file, `ntk_operator` is that of a finite network, and `kernel_operator`, below, computes tiles as it goes, so that no
# matrix is ever stored. Does its prediction equal the direct one?

# %%
@jax.jit
def solve(y):
    A = ntk.kernel_operator(erf_kernel, x_train, batch_size=192)
    return ntk.solve_kernel_regression(A, y, ridge=0.1, rtol=1e-6, preconditioner=P)

w, num_steps, _ = solve(y_train)
direct, cross = jnp.linalg.solve(system, y_train), ntk.gram(erf_kernel, x_test, x_train)
miss = ntk.relative_change(cross @ direct, cross @ w)
print(f"{num_steps} steps; predictions agree to 1e-5:", bool(miss < 1e-5))
assert miss < 1e-5  # rtol, with room for the condition number

# %% [markdown]
# **At full size.** `experiments/sixty_thousand.py` in the repository does this for $n = 60{,}000$ examples of 784
# numbers, in float32. Its result on two CPU cores, stored and not computed again here: the file of 14.4 GB took 143 s,
# 8.1 times what the products of inputs alone would take at the rate of matrix products (17.7 s); the preconditioner of
# rank 500 8.8 s; 32 steps of CG 60.5 s, to a residual of $9.3 \cdot 10^{-5}$. At most 1.29 GB of memory were in use. By
# {numref}`fig-large-kernels-growth`, an eigendecomposition would take more than 8,000 times the operations of those 32
# steps, and the whole matrix in memory.
#
# ## How many digits?
#
# On accelerators float32 is the normal choice: half the memory, and several times as fast. What does it do to a
# prediction?
#
# :::{prf:proposition} Rounding is amplified by the condition number
# :label: prop-large-kernels-rounding
#
# Let the entries of $\Theta$ be rounded, $\tilde\Theta = \Theta + E$ with $\lVert E\rVert \le u\,\lVert\Theta\rVert\,
# c_n$. To first order in $E$, the solution of $\Theta w = y$ changes by $-\Theta^{-1}E\,w$, so relative to $w$ by at most
# $c_n\,u\,\kappa(\Theta)$.
#
# :::
#
# *Proof.* Expand $(\Theta + E)^{-1} = \Theta^{-1} - \Theta^{-1}E\,\Theta^{-1} + \dots$ and take norms. ∎
#
# Here $u = 2^{-24} \approx 6 \cdot 10^{-8}$ in float32, $2^{-53}$ in float64. Nicholas Higham's book {cite}`higham2002`
# treats all kinds of rounding in this way. Near-duplicates are what makes $\kappa$ large: two inputs at distance of order
# $\varepsilon$ have $\lambda_{\min} \propto \varepsilon^2$ for smooth activations and $\propto \varepsilon$ for ReLU
# ({doc}`/book/linearization/when_it_fails`).
#
# **Question.** Take 12 random inputs and a twin of the first. Round the kernel matrix to float32, solve in float64. With
# which power of $\varepsilon$ does the error of $w$ grow?
#
# <details class="answer"><summary>Predict before you run</summary>
#
# By $\kappa \propto 1/\lambda_{\min}$: as $\varepsilon^{-2}$ for erf and $\varepsilon^{-1}$ for ReLU. Where $u\,\kappa$
# reaches 1, nothing is left.
#
# </details>

# %%
apart = 2.0 ** -jnp.arange(2, 11, 2)
x13, y13 = jnp.split(jax.random.normal(key, (64, 13, 11)), [10], axis=2)
twins = jnp.stack([x13.at[:, 12].set(x13[:, 0] + e * x13[:, 12]) for e in apart], 1)

@jax.jit
def rounding_errors(exact):  # of w, for each seed and distance
    low = exact.astype(jnp.float32).astype(float)
    w, w_low = (jnp.linalg.solve(theta, y13[:, None]) for theta in (exact, low))
    return jnp.linalg.norm(w_low - w, axis=(2, 3)) / jnp.linalg.norm(w, axis=(2, 3))

# %% [markdown]
# Rounding a matrix once is a clean experiment: the same on every machine. 64 seeds, five distances:

# %% mystnb={"image": {"alt": "Relative error of the weights against the distance of two near-duplicates, logarithmic axes, error bars. For erf it grows with slope minus two as the distance shrinks, for ReLU with slope minus one, along dashed lines."}, "figure": {"caption": "What rounding Θ to float32 does to w = Θ⁻¹y with two inputs at distance ε: mean and standard error of 64 seeds, theory dashed.", "name": "fig-large-kernels-rounding"}}
fits, (fig, ax) = [], plt.subplots()
for phi, theory in ((ntk.erf, -2), (ntk.relu, -1)):
    pair = ntk.infinite_ntk(ntk.mlp(1, 1, 1, phi))
    errors = rounding_errors(jax.vmap(jax.vmap(lambda x: ntk.gram(pair, x)))(twins))
    fits.append(ntk.plotting.scaling(ax, apart, errors, theory=theory, label=str(phi)))
    print(f"{phi}: error at distance 1/1024: {errors[:, -1].mean():.2g}")
ax.set(xlabel="distance of the twins", ylabel="error of w"), ax.legend(), plt.show()
assert all(abs(fit.exponent - t) < 0.2 for fit, t in zip(fits, (-2, -1)))

# %% [markdown]
# **What we see.** For erf the slope is −2.03 ± 0.04, the theory's −2 within its error. For ReLU it is −1.10 ± 0.03:
# steeper than −1 by several standard errors, since $\lambda_{\min}$ is proportional to $\varepsilon$ only as $\varepsilon
# \to 0$. With the twin shifted by $1/1024$ of a Gaussian vector, a smooth kernel rounded to float32 misses $w$ by 8 %, a
# ReLU kernel by 0.017 %. The remedy is float64, or a ridge: it replaces $\lambda_{\min}$ by $\lambda_{\min} + \rho$.
#
# The entries themselves suffer as well. GPUs may multiply float32 matrices in TF32, which keeps 10 bits of each factor
# instead of 23. We cut the inputs in the same way, before the products of inputs that every kernel starts from:

# %%
cut = lambda bits: jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=bits)
lost = {name: ntk.relative_change(x @ x.T, cut(bits) @ cut(bits).T)
        for name, bits in (("float32", 23), ("TF32", 10), ("bfloat16", 7))}
print(*(f"{name}: {error:.1e}" for name, error in lost.items()))
assert 2**12 < lost["TF32"] / lost["float32"] < 2**14  # 13 bits
assert "HIGHEST" in jax.jit(lambda x: ntk.gram(deep, x)).lower(x).as_text()

# %% [markdown]
# TF32 misses by $1.7 \cdot 10^{-4}$ where float32 misses by $1.7 \cdot 10^{-8}$, a factor of about $2^{13}$ for 13 bits;
# bfloat16, with 7, by $1.2 \cdot 10^{-3}$. The package therefore asks for `precision="highest"` in all of its products,
# as the last line verifies for one; in your own model you must ask, by running it under
# `jax.default_matmul_precision("highest")`.
#
# ## Many devices
#
# Rows of a kernel do not need one another, so `mesh=` gives each device its share of rows. On this page the devices are
# one processor under eight names; on eight GPUs, or with `jax.distributed` in several processes, the call is the same.

# %%
mesh = jax.sharding.Mesh(jax.devices("cpu"), "rows")
spread = ntk.gram(deep, x512, mesh=mesh)
parts = spread.addressable_shards
print(len(parts), "devices, each with rows of shape", parts[0].data.shape)
assert jnp.allclose(spread, theta512, rtol=1e-12)  # the same sums, up to fusion

# %% [markdown]
# ## Colab's GPU
#
# Not tested on a GPU: nothing in this section has been run on one. In Colab choose *Runtime*, *Change runtime type*, and
# a GPU; the set-up cell keeps Colab's own JAX, and the cells should run unchanged, except that the bounds on time and
# memory were set on a CPU. Three changes pay:
#
# - **float32.** Leave out the line with `jax_enable_x64` (many GPUs are slow in float64) and read the previous section
#   before trusting $t = \infty$: a ridge of $10^{-6}\lambda_{\max}$ or more keeps $u\,\kappa$ below 0.1.
# - **Precision.** Keep `"highest"`, as above.
# - **Budget.** Take it from the device, and time with `median_seconds`, which waits for the GPU:
#
# ```python
# limit = (jax.devices()[0].memory_stats() or {"bytes_limit": 2**32})["bytes_limit"]
# theta = ntk.gram(kernel, x.astype(jnp.float32), memory_budget=limit // 2)
# ```
#
# ## Where it breaks
#
# - **Counts are not seconds.** They ignore memory traffic, and transcendental functions, which XLA counts apart.
# - **Layerwise needs layers used once.** Tied matrices, loops and functions with derivatives of their own fall back to
#   Jacobians; `.explain(x)` shows it, and {eq}`eq-large-kernels-outer` has a sum over positions in its place for
#   convolutions (exercise 4), which loses where positions are many.
# - **CG without a ridge** has to resolve the smallest eigenvalues: $\kappa$ is then that of $\Theta$, and in float32 the
#   residual stalls. The package raises an error instead of returning an unconverged answer.
# - **Nyström needs a spectrum that falls.** If most eigenvalues are close to one another, as for random inputs in high
#   dimension, no small rank helps; then again, plain CG is fast.
#
# ## Check yourself
#
# <div class="quiz">
#
# **1.** A network gets ten times as many outputs. By which factor does Jacobian contraction slow down, for many examples?
#
# <details class="wrong"><summary>10</summary>
#
# That is how its Jacobians grow. A pair of examples takes $k^2$ inner products.
#
# </details>
# <details class="right"><summary>About 100</summary>
#
# Yes, $2n^2k^2p$. With vector products it would be about 10.
#
# </details>
# <details class="wrong"><summary>It does not: p stays the same</summary>
#
# The matrix has $(nk)^2$ entries, each an inner product of length $p$.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **2.** You have twice as many examples and solve by an eigendecomposition. What grows by 8?
#
# <details class="wrong"><summary>The memory of the matrix</summary>
#
# It grows by 4, as the number of entries.
#
# </details>
# <details class="wrong"><summary>The operations for the kernel</summary>
#
# Pairs grow by 4, operations a pair stay.
#
# </details>
# <details class="right"><summary>The operations of the eigendecomposition</summary>
#
# Yes, $9n^3$. CG with a good preconditioner grows by 4.
#
# </details>
# </div>
#
# <div class="quiz">
#
# **3.** In float32 your kernel has a smallest eigenvalue of −3·10⁻⁷ and a largest of 10. What does that mean?
#
# <details class="right"><summary>Eigenvalues below about 10<sup>−6</sup> are rounding</summary>
#
# Yes: rounding moves each by up to about $u\,\lambda_{\max} = 6\cdot10^{-7}$. Use a ridge, or float64.
#
# </details>
# <details class="wrong"><summary>The kernel is not positive semi-definite: a bug</summary>
#
# The exact one is, as $J J^\top$; rounded entries need not be.
#
# </details>
# <details class="wrong"><summary>More steps of CG would repair it</summary>
#
# The matrix itself is wrong at that level; every solver inherits that.
#
# </details>
# </div>
#
# ## Exercises
#
# :::{exercise} ★ How many examples fit
# :label: ex-large-kernels-largest
#
# An eigendecomposition needs the $nk \times nk$ matrix, its eigenvectors, and as much again to work in. Write a function
# `(num_bytes, num_outputs, itemsize)` that returns the largest $n$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Three arrays of $(nk)^2$ entries, each of `itemsize` bytes.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# 3 · itemsize · (n k)² = num_bytes, solved for n.
def largest(num_bytes, num_outputs, itemsize):
    return int((num_bytes / (3 * itemsize)) ** 0.5 / num_outputs)

ntk.exercises.large_kernels.check_largest(largest)

# %% [markdown]
# :::{exercise} ★★ Which rank?
# :label: ex-large-kernels-rank
#
# If the Nyström approximation has the exact leading eigenvectors, $P^{-1}(K + \rho I)$ has the eigenvalue $\lambda_r +
# \rho$ for the first $r$ of them and $\lambda_i + \rho$ for the others. Write a function `(eigenvalues, ridge, kappa)`,
# eigenvalues descending, that returns the smallest rank $r \ge 1$ with a condition number of at most `kappa`.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# The largest eigenvalue left is $\lambda_r + \rho$, the smallest $\lambda_n + \rho$.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# The ratio falls with r, so the first r that is good enough is the smallest.
def smallest_rank(eigenvalues, ridge, kappa):
    ratio = (eigenvalues + ridge) / (eigenvalues[-1] + ridge)
    return 1 + int(jnp.argmax(ratio <= kappa))

ntk.exercises.large_kernels.check_rank(smallest_rank)

# %% [markdown]
# :::{exercise} ★★ A product without the matrix
# :label: ex-large-kernels-product
#
# Write a function `(pair, x, v)` that returns $\Theta(X, X)\,v$ with `ntk.gram` on 16 rows at a time, for any number of
# examples.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# A slice beyond the end of an array is shorter, not an error. Concatenate the pieces.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Rows of Θ are rows of the result: each block is used once and forgotten.
def product(pair, x, v):
    starts = range(0, len(x), 16)
    return jnp.concatenate([ntk.gram(pair, x[i:i + 16], x) @ v for i in starts])

ntk.exercises.large_kernels.check_product(product)

# %% [markdown]
# :::{exercise} ★★ One matrix, many positions
# :label: ex-large-kernels-shared
#
# A convolution multiplies one matrix $W$ with a patch $h_s$ at each position $s$, so that $\partial f/\partial W = \sum_s
# h_s\,\delta_s^\top$ for one output. Write a function `(h1, delta1, h2, delta2)` of arrays of shapes $(S, C)$, $(S, O)$,
# twice, that returns the part of $\Theta(x, x')$ that belongs to $W$, without ever forming an array of shape $C \times
# O$.
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# Apply {eq}`eq-large-kernels-outer` to each pair of positions.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# ⟨Σ_s h_s δ_sᵀ, Σ_t h'_t δ'_tᵀ⟩ = Σ_s Σ_t (h_s·h'_t)(δ_s·δ'_t).
def shared(h1, delta1, h2, delta2):
    return jnp.sum((h1 @ h2.T) * (delta1 @ delta2.T))

ntk.exercises.large_kernels.check_shared(shared)

# %% [markdown]
# :::{exercise} ★★★ Ten digits from float32
# :label: ex-large-kernels-refine
#
# Write a function `(theta, y)` that solves $\Theta w = y$ to a relative residual below $10^{-10}$, though it factorizes
# $\Theta$ in float32 only. Products may be in float64. For which $\kappa$ must it fail?
#
# :::
#
# <details class="hint"><summary>Hint</summary>
#
# A solution with a relative error of $10^{-3}$ is a start: solve for what it leaves of $y$, and add.
#
# </details>

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show solution", "code_prompt_hide": "Hide solution"}
# Iterative refinement: each round multiplies the error by about u κ, so κ must stay
# below 1/u = 2²⁴. The cube is paid in float32, each correction costs n² only.
def refine(theta, y):
    factor = jax.scipy.linalg.cho_factor(theta.astype(jnp.float32))
    w = jnp.zeros_like(y)
    for _ in range(8):
        left = (y - theta @ w).astype(jnp.float32)
        w = w + jax.scipy.linalg.cho_solve(factor, left).astype(y.dtype)
    return w

ntk.exercises.large_kernels.check_refine(refine)

# %% [markdown]
# ## Questions readers ask
#
# **Do I need all k × k blocks?** At large width they are close to one number times the identity
# ({doc}`/book/linearization/tangent_kernel`): take one output, `lambda p, x: f(p, x)[:1]`, and save a factor of about
# $k^2$.
#
# **Can I take a random subset of the parameters instead?** Then the kernel is another one. Fewer examples, or the
# matrix-free operators, keep the question and change the price.
#
# **Is `ntk_operator` a fourth engine?** It multiplies $\Theta(X, X)$ with one vector at the cost of about three passes
# over the data, without any kernel entry. For a few products, as with CG on a small number of outputs, nothing is
# cheaper.
#
# **Does `stream_gram` survive a crash of the machine?** Rows count as finished only once they are on the disk, and the
# journal is replaced as a whole; the same call then goes on. With other data or another kernel it refuses to.
#
# ## Summary
#
# - Counted operations follow the formulas within 30 %. Layerwise takes 16 times fewer than Jacobian contraction with one
#   output and 102 times fewer with 64; in time it is ahead as well. Vector products win where a shared matrix meets many
#   outputs.
# - An eigendecomposition takes more operations than the kernel from about 100 examples on (784 inputs, 3 layers).
# - `memory_budget` bounds what `gram` uses; `stream_gram` writes to disk, and an interrupted stream ends in the same
#   bytes.
# - Conjugate gradients need products only. A Nyström preconditioner of rank 128 brought $\kappa$ from 1681 to 22 and the
#   residual to $1.1 \cdot 10^{-5}$ in 24 steps.
# - Rounding the kernel costs $w$ a relative error of about $u\,\kappa$: twins at distance $\varepsilon$ make it
#   $\varepsilon^{-2}$ for erf and about $\varepsilon^{-1}$ for ReLU. TF32 costs four more orders of magnitude.
# - `mesh=` spreads rows over devices; the result is the same.
#
# ## What is next
#
# The kernels of this chapter are those of {doc}`/book/linearization/tangent_kernel`; with them, and at any size, go on to
# {doc}`/book/linearization/training_dynamics`, or try the checklist of {doc}`/book/linearization/when_it_fails` on a
# model of your own. All functions are in the {doc}`/book/api`.
#
# ## Further reading
#
# - Novak, Sohl-Dickstein and Schoenholz {cite}`novak2022` derive and measure the costs of finite-width kernels, with
#   convolutions and more.
# - Frangella, Tropp and Udell {cite}`frangella2023` analyse the preconditioner, and choose its rank adaptively.
# - Hestenes and Stiefel {cite}`hestenes1952`: conjugate gradients, from the beginning and still readable.
# - Gene Golub and Charles Van Loan {cite}`golub2013`: operation counts of all matrix computations.
# - Higham {cite}`higham2002`: what rounding does, and iterative refinement.
#
# <details class="teachers"><summary>For teachers</summary>
#
# *Plan for 50 minutes.* First figure and a vote on its slopes (5); the outer product on the board (10); the proposition,
# with the six slopes as a prediction in pairs (15); growth with $n$ and the two limits (5); CG figure (10); quiz (5).
#
# *Plan for 90 minutes.* As above, then rounding: proposition, prediction and figure (15), exercise 4 in pairs (15),
# exercise 5 as a demonstration (10).
#
# *Misconceptions.* "The Jacobian is the kernel's price": first figure. "Saved operations are saved seconds": the two
# timed cells. "The kernel is the expensive part": the figure of growth. "float32 costs seven digits everywhere": the
# figure of rounding.
#
# </details>
