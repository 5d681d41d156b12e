"""Functions as pytrees, so that new parameters inside them need no new compilation."""

from __future__ import annotations

from dataclasses import dataclass

import jax


def traced(*data_fields: str):
    """Decorator: a frozen dataclass whose `data_fields` JAX traces; its other fields belong to the compiled program."""

    def register(cls):
        cls = dataclass(frozen=True)(cls)
        meta_fields = [name for name in cls.__dataclass_fields__ if name not in data_fields]
        return jax.tree_util.register_dataclass(cls, list(data_fields), meta_fields)

    return register


def as_pytree(fn):
    """`fn` itself if it is a pytree already, as this package's kernels and models are; else `fn` as a static leaf."""
    return jax.tree_util.Partial(fn) if jax.tree_util.all_leaves([fn]) else fn
