"""The neural tangent kernel of any JAX function, by the structure that tracing it shows.

The gradient of a matrix W that enters one matrix product z_s = Wᵀ h_s, at positions s of one example, is Σ_s h_s δ_sᵀ
with δ_s = ∂f/∂z_s. So its part of the kernel needs h and δ only [Novak, Sohl-Dickstein & Schoenholz 2022, "Fast finite
width neural tangent kernel": structured derivatives],

    Θ_W[a, b] = Σ_{s,t} (h1_s · h2_t) (δ1_{a,s} · δ2_{b,t}),

which costs about S² (C + k² O) operations for a C x O matrix at S positions, where contracting Jacobians takes k² C O.
A convolution is a product with the patches of its input. Where this saves nothing, the sum Σ_s h_s δ_sᵀ is formed, and
where a parameter enters otherwise, its Jacobian is found by automatic differentiation; contracting them takes 2 k² C O
operations. Where that is more, each column of Θ is J(x1) (J(x2)ᵀ e_b), a forward derivative of f for each output.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun
from jaxtyping import Array, Float, PyTree

from ._checks import check_output, check_params
from ._pytree import traced
from .contractions import Factors, Gradient, InHalves

# Calls that mean nothing but their body. Those with derivatives of their own, custom_jvp and custom_vjp, stay whole.
INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat2": "jaxpr",
           "checkpoint": "jaxpr"}  # fmt: skip
# Entries moved, left out, or all negated, which leaves products of two gradients as they are.
REARRANGING = {"reshape", "transpose", "squeeze", "rev", "copy", "copy_p", "slice", "neg"}
ADDITIONS = {"add", "sub", "add_any"}


class Step(NamedTuple):
    """One equation of the traced function: `reads` and `writes` number its values."""

    home: Jaxpr
    eqn: JaxprEqn
    reads: tuple[Any, ...]  # a number, or the Literal itself
    writes: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.eqn.primitive.name

    def run(self, inputs: list) -> list:
        variables = list({v: None for v in self.eqn.invars if not isinstance(v, Literal)})
        values = {v: value for v, value in zip(self.eqn.invars, inputs, strict=True) if not isinstance(v, Literal)}
        outputs = list(self.eqn.outvars)
        body = self.home.replace(
            constvars=[], invars=variables, outvars=outputs, eqns=[self.eqn], effects=self.eqn.effects
        )
        return jaxpr_as_fun(ClosedJaxpr(body, ()))(*[values[v] for v in variables])


@dataclass(frozen=True)
class Program:
    """f as a list of steps, its calls inlined, steps without effect on the outputs left out."""

    steps: list[Step]
    constants: dict[int, Array]
    leaves: list[int]
    example: int
    output: Any

    def evaluate(self, leaves, x, change: Callable[[int, dict, Array], Array]) -> Array:
        """f, with the first output z of step number i replaced by change(i, values, z)."""
        values = {**self.constants, **dict(zip(self.leaves, leaves, strict=True)), self.example: x}
        for i, step in enumerate(self.steps):
            outputs = step.run([look_up(values, read) for read in step.reads])
            values.update(zip(step.writes, [change(i, values, outputs[0]), *outputs[1:]], strict=True))
        return look_up(values, self.output)


def look_up(values: dict, read):
    """The value of a variable, or of a literal, which carries its own."""
    return read.val if isinstance(read, Literal) else values[read]


def trace(f, params: PyTree, x) -> Program:
    """f(params, x) as a list of steps, functions called on the way taken apart into theirs."""
    leaves, structure = jax.tree.flatten(params)
    closed = jax.make_jaxpr(lambda leaves, x: f(structure.unflatten(leaves), x))(leaves, x)
    steps, constants = [], {}
    numbers = iter(range(10**9))

    def inline(jaxpr, consts, inputs):
        """Append the equations of `jaxpr`, renumbered; return where its outputs are."""
        where = dict(zip(jaxpr.invars, inputs, strict=True))
        for v, value in zip(jaxpr.constvars, consts, strict=True):
            where[v] = next(numbers)
            constants[where[v]] = value
        for eqn in jaxpr.eqns:
            reads = tuple(v if isinstance(v, Literal) else where[v] for v in eqn.invars)
            body = eqn.params.get(INLINED.get(eqn.primitive.name))
            if body is None:
                writes = tuple(next(numbers) for _ in eqn.outvars)
                steps.append(Step(jaxpr, eqn, reads, writes))
            else:
                writes = inline(getattr(body, "jaxpr", body), getattr(body, "consts", ()), reads)
            where.update(zip(eqn.outvars, writes, strict=True))
        return [v if isinstance(v, Literal) else where[v] for v in jaxpr.outvars]

    inputs = [next(numbers) for _ in closed.jaxpr.invars]
    (output,) = inline(closed.jaxpr, closed.consts, inputs)
    return Program(_needed(steps, output), constants, inputs[:-1], inputs[-1], output)


def _needed(steps: list[Step], output) -> list[Step]:
    needed, kept = {output} if isinstance(output, int) else set(), []
    for step in reversed(steps):
        if step.eqn.effects or not needed.isdisjoint(step.writes):
            needed.update(read for read in step.reads if isinstance(read, int))
            kept.append(step)
    return kept[::-1]


class Carrier(NamedTuple):
    """A value that is a parameter, entries rearranged or left out, times a scalar, plus a constant."""

    leaf: int
    scalars: tuple[tuple[bool, Any], ...] = ()  # (divides, where)
    broadcast: bool = False  # repeated along new axes: enough for additions and scales


class Use(NamedTuple):
    """Step number `step` reads a carrier as its argument number `argument`; step None: it is what f returns."""

    step: int | None
    argument: int
    carrier: Carrier

    def scale(self, values) -> Array | float:
        scalars = self.carrier.scalars
        factors = ((jnp.asarray(look_up(values, where)).reshape(()), divides) for divides, where in scalars)
        return math.prod((1 / factor if divides else factor for factor, divides in factors), start=1.0)


def find_uses(program: Program) -> list[list[Use]]:
    """For each parameter, the steps where it, or a rearrangement of it, meets something else."""
    carriers = {number: Carrier(leaf) for leaf, number in enumerate(program.leaves)}
    varying = {*program.leaves, program.example}  # what depends on parameters or on x
    spread: dict[int, Any] = {}  # a value with all entries equal -> the scalar that they equal
    uses: list[list[Use]] = [[] for _ in program.leaves]
    for i, step in enumerate(program.steps):
        if step.name == "mul" and any(isinstance(read, Literal) and np.all(read.val == 0) for read in step.reads):
            continue  # as where a model is linearized: a constant
        found = [argument for argument, read in enumerate(step.reads) if isinstance(read, int) and read in carriers]
        passed = {argument: _carry(step, argument, carriers, varying, spread) for argument in found}
        through = next((argument for argument, carrier in passed.items() if carrier is not None), None)
        if through is not None:
            carriers[step.writes[0]] = passed[through]
        if step.name != "stop_gradient":
            for argument in found:
                if argument != through:
                    carrier = carriers[step.reads[argument]]
                    uses[carrier.leaf].append(Use(i, argument, carrier))
        if step.name == "broadcast_in_dim" and math.prod(step.eqn.invars[0].aval.shape) == 1:
            (scalar,) = step.reads
            spread[step.writes[0]] = scalar if isinstance(scalar, Literal) else spread.get(scalar, scalar)
        if not varying.isdisjoint(read for read in step.reads if isinstance(read, int)):
            varying.update(step.writes)
    if program.output in carriers:
        uses[carriers[program.output].leaf].append(Use(None, 0, carriers[program.output]))
    return uses


def _carry(step: Step, j: int, carriers, varying, spread) -> Carrier | None:
    """The carrier that `step` makes of its argument number j, if it makes one."""
    carrier, shape, out = carriers[step.reads[j]], step.eqn.invars[j].aval, step.eqn.outvars[0].aval
    if step.name in REARRANGING:
        return carrier
    if step.name == "convert_element_type" and jnp.issubdtype(out.dtype, jnp.floating):
        return carrier
    if step.name == "broadcast_in_dim":
        return carrier if out.size == shape.size else carrier._replace(broadcast=True)
    if len(step.reads) != 2 or out.shape != shape.shape:
        return None
    other = step.reads[1 - j]
    if step.name in ADDITIONS and (isinstance(other, Literal) or other not in varying):
        return carrier
    if step.name == "mul" or (step.name == "div" and j == 0):
        scalar = other if math.prod(step.eqn.invars[1 - j].aval.shape) == 1 else spread.get(other)
        return None if scalar is None else carrier._replace(scalars=(*carrier.scalars, (step.name == "div", scalar)))
    return None


@dataclass(frozen=True)
class Product:
    """A step that multiplies a parameter, C x O in each of B groups, with C numbers at each of S positions."""

    use: Use
    kind: str
    groups: int
    positions: int
    fan_in: int
    units: int
    bias: Use | None = None  # of a parameter that is added to the output, of which δ is then its gradient as well

    @property
    def step(self) -> int:
        return self.use.step

    @property
    def other(self) -> int:
        """The argument that the parameter is multiplied with."""
        return 1 - self.use.argument

    def by_factors(self, k: int) -> int:
        return 2 * self.groups * self.positions**2 * (self.fan_in + k**2 * self.units + k**2)

    def by_gradient(self, k: int) -> int:
        return 2 * self.groups * k**2 * self.fan_in * self.units

    def cost(self, k: int) -> int:
        return min(self.by_factors(k), self.by_gradient(k))

    def arranged(self, eqn: JaxprEqn, h: Array) -> Array:
        """h with its axes in order: those of groups first for a matrix product, the last but one for a convolution."""
        if self.kind == "convolution":
            return _padded(eqn, h)
        contracted, batch = (axes[self.other] for axes in eqn.params["dimension_numbers"])
        free = [axis for axis in range(h.ndim) if axis not in (*contracted, *batch)]
        # The sum over contracted axes may run in any order, the same one in both examples.
        return h.transpose(*batch, *free, *contracted).reshape(self.groups, self.positions, self.fan_in)

    def offsets(self, eqn: JaxprEqn) -> list[tuple[int, ...]]:
        """The entries of a convolution's window; of a matrix product's there is one."""
        if self.kind == "matrix product":
            return [()]
        shape, axes = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"].rhs_spec[2:]
        steps = zip(axes, eqn.params["rhs_dilation"], strict=True)
        return list(itertools.product(*(range(0, shape[axis] * dilation, dilation) for axis, dilation in steps)))

    def slab(self, eqn: JaxprEqn, h: Array, offset) -> Float[Array, "groups positions rows"]:
        """What is seen of arranged h at each position through one entry of the window."""
        if self.kind == "matrix product":
            return h
        out, strides = eqn.outvars[0].aval.shape, eqn.params["window_strides"]
        stops = [out[axis] for axis in eqn.params["dimension_numbers"].out_spec[2:]]
        widths = [(stop - 1) * stride + 1 for stop, stride in zip(stops, strides, strict=True)]
        seen = jax.lax.dynamic_slice(h, (0, *offset, 0, 0), (len(h), *widths, *h.shape[-2:]))
        seen = jax.lax.slice(seen, [0] * seen.ndim, seen.shape, (1, *strides, 1, 1))
        return seen.reshape(self.positions, self.groups, -1).swapaxes(0, 1)

    def deltas(self, eqn: JaxprEqn, delta: Array) -> Float[Array, "k groups positions units"]:
        k = len(delta)
        if self.kind == "convolution":
            out = eqn.params["dimension_numbers"].out_spec
            delta = delta.transpose(0, *(axis + 1 for axis in (out[0], *out[2:], out[1])))
            return delta.reshape(k, self.positions, self.groups, self.units).swapaxes(1, 2)
        if self.use.argument == 0:  # the parameter's free axes come first: batch, units, positions
            return delta.reshape(k, self.groups, self.units, self.positions).swapaxes(2, 3)
        return delta.reshape(k, self.groups, self.positions, self.units)

    def features(
        self, eqn: JaxprEqn, h: Array, delta: Float[Array, "k groups positions units"], constant: Array | None
    ) -> Factors | Groups | Gradient:
        """What the kernel takes of arranged h, δ, and what the bias is multiplied with: what takes fewer operations."""
        k, delta, slab = len(delta), delta.swapaxes(0, 1), functools.partial(self.slab, eqn, h)
        if self.by_factors(k) < self.by_gradient(k):
            h = jnp.moveaxis(self.over_window(eqn, slab), 0, 2).reshape(self.groups, self.positions, self.fan_in)
            return Groups(Factors(h, None, delta)) if self.groups > 1 else Factors(h[0], constant, delta[0])
        columns = delta.swapaxes(2, 3).reshape(self.groups, k * self.units, self.positions)

        def part(offset):
            rows = jnp.matmul(columns, slab(offset), precision="highest")
            return rows.reshape(self.groups, k, self.units, -1).swapaxes(0, 1)

        return Gradient(self.over_window(eqn, part).swapaxes(0, 1))

    def over_window(self, eqn: JaxprEqn, function) -> Float[Array, "entry *value"]:
        """function(offset) for each entry, one after another: slabs are as large as h, and XLA would keep them all."""
        offsets = self.offsets(eqn)
        return function(offsets[0])[None] if len(offsets) == 1 else jax.lax.map(function, jnp.asarray(offsets))


class Groups(NamedTuple):
    """Factors of all groups, counted by an axis before their own."""

    factors: Factors

    def product(self, other: Groups) -> Float[Array, "n1 k n2 k"]:
        return jnp.sum(jax.vmap(Factors.product, 1)(self.factors, other.factors), axis=0)


def _padded(eqn: JaxprEqn, h: Array) -> Float[Array, "n *position group channel"]:
    """What the window of a convolution moves over."""
    lhs = eqn.params["dimension_numbers"].lhs_spec
    gaps = zip(eqn.params["padding"], eqn.params["lhs_dilation"], strict=True)
    widths = [(0, 0, 0), *((low, high, dilation - 1) for (low, high), dilation in gaps), (0, 0, 0)]
    h = jax.lax.pad(h.transpose(lhs[0], *lhs[2:], lhs[1]), jnp.zeros((), h.dtype), widths)
    return h.reshape(*h.shape[:-1], eqn.params["feature_group_count"], -1)


def find_product(program: Program, use: Use) -> Product | str:
    """The product at `use`, or why there is none."""
    if use.step is None:
        return "what f returns is the parameter itself"
    step = program.steps[use.step]
    if use.carrier.broadcast:
        return "repeated along new axes before it is used"
    if not jnp.issubdtype(step.eqn.outvars[0].aval.dtype, jnp.floating):
        return f"it enters {step.name} with complex numbers"
    if 0 in (step.eqn.outvars[0].aval.size, step.eqn.invars[use.argument].aval.size):
        return f"it enters a {step.name} without entries"
    parameter, other = use.argument, 1 - use.argument
    if step.name == "dot_general":
        dimension_numbers = step.eqn.params["dimension_numbers"]
        w, h = (step.eqn.invars[j].aval.shape for j in (parameter, other))
        contracted, batch = (axes[parameter] for axes in dimension_numbers)
        groups, fan_in = (math.prod(w[axis] for axis in axes) for axes in (batch, contracted))
        sizes = (groups, math.prod(h) // max(groups * fan_in, 1), fan_in, math.prod(w) // max(groups * fan_in, 1))
        return Product(use, "matrix product", *sizes)
    if step.name == "conv_general_dilated":
        if parameter != 1:
            return "it is the input of a convolution, not its kernel"
        p, w, out = step.eqn.params, step.eqn.invars[1].aval.shape, step.eqn.outvars[0].aval.shape
        if p["batch_group_count"] != 1:
            return "a convolution with batch groups"
        groups, channels = p["feature_group_count"], w[p["dimension_numbers"].rhs_spec[0]]
        sizes = (groups, math.prod(out) // channels, math.prod(w) // channels, channels // groups)
        return Product(use, "convolution", *sizes)
    return f"it enters {step.name}"


class Row(NamedTuple):
    """What is done with one parameter, and why; operations per pair of examples."""

    path: str
    shape: tuple[int, ...]
    rule: str
    reason: str
    operations: int
    jacobian_operations: int


@dataclass(frozen=True)
class Explanation:
    """What `structured` does with each parameter, as a table: print it, or look at `rows`."""

    rows: list[Row]
    num_outputs: int

    def __getitem__(self, path: str) -> str:
        """The rule of the parameter at `path`."""
        return {row.path: row.rule for row in self.rows}[path]

    def __str__(self) -> str:
        head = ("parameter", "shape", "rule", "operations", "by Jacobian", "reason")
        body = [
            (row.path, str(row.shape), row.rule, f"{row.operations:,}", f"{row.jacobian_operations:,}", row.reason)
            for row in self.rows
        ]
        total, by_jacobian = (sum(row[j] for row in self.rows) for j in (4, 5))
        body.append(("together", "", "", f"{total:,}", f"{by_jacobian:,}", "operations for a pair of examples"))
        widths = [max(len(line[j]) for line in (head, *body)) for j in range(5)]
        sides = ("<", "<", "<", ">", ">")
        return "\n".join(
            "  ".join([*(f"{c:{side}{w}}" for c, side, w in zip(line, sides, widths, strict=False)), line[5]])
            for line in (head, *body)
        )


@dataclass(frozen=True)
class Plan:
    """The traced function, what is done with each parameter, and the reasons."""

    program: Program
    products: dict[int, Product]  # by number of the leaf
    jacobians: list[int]
    vector_products: list[int]
    explanation: Explanation

    def parts(self, leaves: list[Array], x) -> Parts:
        program, products = self.program, self.products
        at: dict[int, list[int]] = {}  # step -> leaves: two of them where it multiplies two parameters
        for leaf, product in products.items():
            at.setdefault(product.step, []).append(leaf)
        biases = {product.bias.step: leaf for leaf, product in products.items() if product.bias is not None}

        def forward(chosen, probes):
            """f with a zero added to the output z of each product: the derivative with respect to it is δ."""
            inputs, constants = {}, {}

            def change(i, values, z):
                for leaf in at.get(i, ()):
                    product, step = products[leaf], program.steps[i]
                    h = product.arranged(step.eqn, look_up(values, step.reads[product.other]))
                    dtype = leaves[leaf].dtype
                    inputs[leaf] = (product.use.scale(values) * h.astype(dtype)).astype(dtype)
                if i in biases:
                    leaf = biases[i]
                    constants[leaf] = jnp.asarray(products[leaf].bias.scale(values), leaves[leaf].dtype)
                return z + probes[i] if i in at else z

            everything = [chosen.get(leaf, value) for leaf, value in enumerate(leaves)]
            return program.evaluate(everything, x, change), (inputs, constants)

        outputs = {i: program.steps[i].eqn.outvars[0].aval for i in at}
        probes = {i: jnp.zeros(z.shape, z.dtype) for i, z in outputs.items()}
        chosen = {leaf: leaves[leaf] for leaf in self.jacobians}
        zero = jnp.zeros(self.explanation.num_outputs, jnp.result_type(*leaves or [x]))
        examples = {tuple(self.vector_products): x} if self.vector_products else {}
        if not chosen and not probes:
            return Parts([], examples, zero)
        (jacobians, deltas), (inputs, constants) = jax.jacrev(forward, (0, 1), has_aux=True)(chosen, probes)

        def of(leaf, product):
            eqn = program.steps[product.step].eqn
            delta = product.deltas(eqn, deltas[product.step]).astype(leaves[leaf].dtype)
            return product.features(eqn, inputs[leaf], delta, constants.get(leaf))

        return Parts([*itertools.starmap(of, products.items()), *map(Gradient, jacobians.values())], examples, zero)


class Parts(NamedTuple):
    """What the kernel needs of one example."""

    gradients: list[Factors | Groups | Gradient]  # leaf by leaf
    examples: dict[tuple[int, ...], Array]  # the example itself, for the leaves that take vector products
    zero: Float[Array, " k"]  # which has the type of the kernel


def plan(f, params: PyTree, x) -> Plan:
    """Trace f and choose, parameter by parameter, the contraction that takes fewest operations."""
    k = check_output(f, params, x)
    program = trace(f, params, x)
    products, jacobians, rows = {}, [], []
    paths = jax.tree_util.tree_leaves_with_path(params)
    found = find_uses(program)
    for leaf, ((path, value), uses) in enumerate(zip(paths, found, strict=True)):
        by_jacobian = 2 * k**2 * np.size(value)
        rule, reason, product = _choose(program, uses, k)
        if product is not None:
            products[leaf] = product
        elif uses:
            jacobians.append(leaf)
        operations = 0 if not uses else by_jacobian if product is None else product.cost(k)
        rows.append(Row(jax.tree_util.keystr(path), np.shape(value), rule, reason, operations, by_jacobian))
    for leaf, (bias, use) in _biases(program, found, products, jax.tree.leaves(params), k).items():
        products[leaf] = replace(products[leaf], bias=use)
        jacobians.remove(bias)
        rows[bias] = rows[bias]._replace(reason=f"its gradient is the δ of {rows[leaf].path}", operations=2)
    others = _with_vector_products(program, rows, k)
    products = {leaf: product for leaf, product in products.items() if leaf not in others}
    jacobians = [leaf for leaf in jacobians if leaf not in others]
    return Plan(program, products, jacobians, others, Explanation(rows, k))


def _biases(
    program: Program, found: list[list[Use]], products: dict[int, Product], leaves: list, k: int
) -> dict[int, tuple[int, Use]]:
    """{leaf of a matrix: (leaf of its bias, use)} where the product's output has an entry for each of the bias.

    It may not be read elsewhere: its δ would then not be that of the sum.
    """
    readers = Counter(read for step in program.steps for read in step.reads if isinstance(read, int))
    readers.update([program.output] if isinstance(program.output, int) else [])
    factored = {leaf: product for leaf, product in products.items() if product.by_factors(k) < product.by_gradient(k)}
    outputs = {program.steps[product.step].writes[0]: leaf for leaf, product in factored.items()}
    biases = {}
    for bias, uses in enumerate(found):
        if len(uses) != 1 or uses[0].step is None or uses[0].carrier.broadcast:
            continue
        (use,) = uses
        step, value = program.steps[use.step], leaves[bias]
        z = step.reads[1 - use.argument] if step.name in ADDITIONS else None
        leaf = outputs.get(z) if isinstance(z, int) and readers[z] == 1 else None
        if leaf is None or jnp.result_type(value) != leaves[leaf].dtype:
            continue
        sizes = {np.size(value), step.eqn.invars[use.argument].aval.size, step.eqn.outvars[0].aval.size}
        if sizes == {products[leaf].units}:  # an addition may broadcast either side
            biases[leaf] = bias, use
    return biases


def _with_vector_products(program: Program, rows: list[Row], k: int) -> list[int]:
    """The leaves left to Jacobians, if k forward derivatives of f take fewer operations for all of them together.

    What is done with them, and why, is then changed in `rows`.
    """
    leaves = [leaf for leaf, row in enumerate(rows) if row.rule == "Jacobian"]
    by_jacobian = sum(rows[leaf].operations for leaf in leaves)
    by_products = 2 * k * sum(_operations(step.eqn) for step in program.steps)  # ẇ h and w ḣ where f has w h
    if by_products >= by_jacobian:
        return []
    for leaf in leaves:
        row = rows[leaf]
        rows[leaf] = row._replace(
            rule="vector products",
            reason=f"{row.reason}; {k} forward derivatives take less than {k}² products of gradients",
            operations=round(by_products * row.operations / by_jacobian),
        )
    return leaves


def _operations(eqn: JaxprEqn) -> int | float:
    """Floating-point operations of an equation; infinitely many where it has no forward derivative."""
    if eqn.primitive.name.startswith("custom_vjp"):
        return math.inf
    sizes = [v.aval.size for v in eqn.outvars]
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2 * sizes[0] * math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
    if eqn.primitive.name == "conv_general_dilated":
        shape = eqn.invars[1].aval.shape
        return 2 * sizes[0] * math.prod(shape) // shape[eqn.params["dimension_numbers"].rhs_spec[0]]
    bodies = [body for value in eqn.params.values() for body in (value if isinstance(value, tuple) else (value,))]
    bodies = [getattr(body, "jaxpr", body) for body in bodies if isinstance(body, (Jaxpr, ClosedJaxpr))]
    inside = sum(_operations(eqn) for body in bodies for eqn in body.eqns)
    return eqn.params.get("length", 1) * inside if bodies else sum(sizes)


def _choose(program: Program, uses: list[Use], k: int) -> tuple[str, str, Product | None]:
    """Rule, reason, and the product where there is one."""
    if not uses:
        return "none", "f does not depend on it", None
    if len(uses) > 1:
        names = sorted({"output" if use.step is None else program.steps[use.step].name for use in uses})
        return "Jacobian", f"used {len(uses)} times, by {', '.join(names)}", None
    (use,) = uses
    name = None if use.step is None else program.steps[use.step].name
    if name in ADDITIONS:
        return "addition", "its gradient is δ summed over positions, no larger than itself", None
    if name in ("mul", "div") and not (name == "div" and use.argument == 1):
        return "scale", "its gradient is h δ summed over positions, no larger than itself", None
    product = find_product(program, use)
    if isinstance(product, str):
        return "Jacobian", product, None
    where = f"{product.fan_in} x {product.units} at {product.positions} position(s)"
    where += f", {product.groups} groups" if product.groups > 1 else ""
    if product.by_factors(k) < product.by_gradient(k):
        return product.kind, f"{where}: from h and δ", product
    return "Jacobian", f"{product.kind}, {where}: its gradient, formed from h and δ, takes no more operations", product


@traced("params")
class Structured(InHalves):
    """See `structured`."""

    f: Callable[[PyTree, Array], Array]
    params: PyTree

    def features(self, x: Array) -> Parts:
        return plan(self.f, self.params, x).parts(jax.tree.leaves(self.params), x)

    def combine_all(self, first: Parts, second: Parts) -> Float[Array, "n1 n2 k k"]:
        zero = jnp.zeros((*first.zero.shape, *second.zero.shape), first.zero.dtype)
        products = (one.product(other) for one, other in zip(first.gradients, second.gradients, strict=True))
        total = sum(products, start=zero).swapaxes(1, 2)
        leaves, structure = jax.tree.flatten(self.params)
        for chosen, x1 in first.examples.items():

            def f(values, x, chosen=chosen):
                changed = dict(zip(chosen, values, strict=True))
                return self.f(structure.unflatten([changed.get(i, leaf) for i, leaf in enumerate(leaves)]), x)

            pair = functools.partial(vector_products, f, [leaves[i] for i in chosen])
            total += jax.vmap(jax.vmap(pair, (None, 0)), (0, None))(x1, second.examples[chosen]).astype(total.dtype)
        return total

    def explain(self, x: Array) -> Explanation:
        """What is done with each parameter for examples like x, which is one example, and why."""
        return plan(self.f, self.params, x).explanation


def vector_products(f, params: PyTree, x1: Array, x2: Array) -> Float[Array, "k k"]:
    """J(x1) J(x2)ᵀ, column by column: J(x1) (J(x2)ᵀ e_b)."""
    f_x2, vjp = jax.vjp(lambda params: f(params, x2), params)
    _, jvp = jax.linearize(lambda params: f(params, x1), params)
    return jax.vmap(lambda row: jvp(*vjp(row)), out_axes=1)(jnp.eye(len(f_x2), dtype=f_x2.dtype))


def structured(f: Callable[[PyTree, Array], Array], params: PyTree) -> Structured:
    """Θ of any JAX function, layer by layer where tracing finds products with parameters, by Jacobians elsewhere.

    A parameter counts as one layer's matrix if it is used once, by a matrix product or as the kernel of a convolution;
    transposes, reshapes, slices and products with scalars on the way there are seen through, as are `jax.jit` and
    `jax.checkpoint`. The Jacobian is contracted for parameters that are used more often, inside loops, branches or
    functions with derivatives of their own, or otherwise; and for biases and scales, where it is as good as anything,
    but for a bias that is added to one product alone, at one position: it shares the δ of the matrix. Of the former,
    all take vector products instead where these take fewer operations, as with many outputs.
    `.explain(x)` returns the choice for each parameter as a table.

    Args:
        f: f(params, x), one example to a vector of k outputs. For a Flax model it is
            `lambda params, x: model.apply({"params": params}, x[None])[0]`; for a Haiku model
            `lambda params, x: model.apply(params, None, x[None])[0]`; for an Equinox model
            `lambda params, x: eqx.combine(params, static)(x)`, where
            `params, static = eqx.partition(model, eqx.is_inexact_array)`.
        params: a pytree of real floating-point arrays.

    Raises:
        TypeError: if a parameter is not a real floating-point array.
        ValueError: if a parameter is not finite; and when the pair function is used, if f does not return a vector.
    """
    check_params(params)
    return Structured(f, params)
