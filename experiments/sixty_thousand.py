"""Kernel regression on 60,000 examples of 784 dimensions: the kernel in a file, then conjugate gradients.

    python experiments/sixty_thousand.py /path/with/15/GB/kernel.npy

The kernel is that of an infinite ReLU network with 3 hidden layers, in float32. It is never in memory as a whole. After
an interruption the same command goes on. The time is compared with that of the products of inputs alone, n² d
operations for the upper triangle at the rate at which this machine multiplies matrices.
"""

from __future__ import annotations

import argparse
import resource
import time

import jax
import jax.numpy as jnp
import numpy as np

import ntk_tutorial as ntk


def main() -> None:
    options = arguments()
    kernel = ntk.infinite_ntk(ntk.mlp(1, options.depth, 1, ntk.relu, w_std=2**0.5))
    x, y, x_test, y_test = problem(options)

    rate = gemm_rate()
    bound = options.num**2 * options.dim / rate
    print(
        f"n = {options.num}, d = {options.dim}: {4 * options.num**2 / 1e9:.2f} GB; products at {rate / 1e9:.0f} GFLOP/s"
    )
    stored, seconds = timed(lambda: ntk.stream_gram(kernel, x, path=options.path, memory_budget=options.memory_budget))
    print(f"stream: {seconds:.1f} s, {seconds / bound:.1f} times the bound of {bound:.1f} s; peak {peak():.2f} GB")

    preconditioner, seconds = timed(lambda: ntk.nystrom(kernel, x, options.rank, options.ridge, jax.random.key(1)))
    print(f"preconditioner of rank {options.rank}: {seconds:.1f} s; peak {peak():.2f} GB")
    operator = ntk.stored_operator(stored)
    _, seconds = timed(lambda: jax.block_until_ready(operator.mv(y)))
    print(f"one product with the kernel: {seconds:.1f} s")
    solution, seconds = timed(
        lambda: ntk.solve_kernel_regression(
            operator, y, ridge=options.ridge, rtol=options.rtol, preconditioner=preconditioner
        )
    )
    print(
        f"conjugate gradients: {int(solution.num_steps)} steps, {seconds:.1f} s, residual "
        f"{float(solution.residual):.1e}; peak {peak():.2f} GB"
    )
    f_test = jnp.matmul(ntk.gram(kernel, x_test, x), solution.coefficients, precision="highest")
    error = float(jnp.mean((f_test - y_test) ** 2) / jnp.mean(y_test**2))
    print(f"relative squared error on {len(x_test)} test points: {error:.3f}; peak {peak():.2f} GB")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="of the .npy file that holds the kernel")
    parser.add_argument("--num", type=int, default=60_000, help="examples")
    parser.add_argument("--num-test", type=int, default=100)
    parser.add_argument("--dim", type=int, default=784)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--memory-budget", type=int, default=2**30, help="bytes for a tile and what it takes")
    parser.add_argument("--rank", type=int, default=500, help="landmarks of the preconditioner")
    parser.add_argument("--ridge", type=float, default=1.0)
    parser.add_argument("--rtol", type=float, default=1e-4)
    return parser.parse_args()


def problem(options):
    """Inputs with independent entries of variance 1, the targets a product of two linear functions of them."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((options.num + options.num_test, options.dim), np.float32)
    directions = generator.standard_normal((options.dim, 2), np.float32) / options.dim**0.5
    y = jnp.asarray((1 + x @ directions).prod(1, keepdims=True))
    return x[: options.num], y[: options.num], jnp.asarray(x[options.num :]), y[options.num :]


def gemm_rate(size: int = 2048) -> float:
    """Operations a second of a product of float32 matrices, the best of five."""
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    jax.block_until_ready(product(a))
    return 2 * size**3 / min(timed(lambda: jax.block_until_ready(product(a)))[1] for _ in range(5))


def timed(call):
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def peak() -> float:
    """Largest resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
