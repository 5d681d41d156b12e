"""Self-checks of the exercises, one module a chapter: `ntk.exercises.CHAPTER.check_NAME(answer)`.

Each returns a `Verdict`: whether the answer is right and, where it is wrong in a typical way, why.
"""

from . import convolutional_networks, large_kernels, tangent_kernel, taylor_expansion, training_dynamics, when_it_fails
from ._verdict import Verdict

__all__ = [
    "Verdict",
    "convolutional_networks",
    "large_kernels",
    "tangent_kernel",
    "taylor_expansion",
    "training_dynamics",
    "when_it_fails",
]
