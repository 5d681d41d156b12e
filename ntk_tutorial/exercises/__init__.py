"""Self-checks of the exercises, one module a chapter: `ntk.exercises.CHAPTER.check_NAME(answer)`.

Each returns a `Verdict`: whether the answer is right and, where it is wrong in a typical way, why. `expect` does the same for
the tests of assignments, as an assertion.
"""

from . import (
    a_choice_of_scale,
    architecture,
    convolutional_networks,
    fluctuations,
    initialization,
    large_kernels,
    lazy_or_feature,
    limits_of_a_fixed_kernel,
    tangent_kernel,
    taylor_expansion,
    training_dynamics,
    two_layer_networks,
    what_is_learned_first,
    when_it_fails,
)
from ._expect import expect
from ._verdict import Verdict

__all__ = [
    "Verdict",
    "a_choice_of_scale",
    "architecture",
    "convolutional_networks",
    "expect",
    "fluctuations",
    "initialization",
    "large_kernels",
    "lazy_or_feature",
    "limits_of_a_fixed_kernel",
    "tangent_kernel",
    "taylor_expansion",
    "training_dynamics",
    "two_layer_networks",
    "what_is_learned_first",
    "when_it_fails",
]
