"""How much the kernel changes in the feature regime, against α̃, for networks of one to five hidden layers.

    python experiments/depth.py --profile workstation

Profiles: laptop, a few minutes; workstation, a quarter of an hour on two cores; gpu, wider, untested on a GPU so far.
"""

from __future__ import annotations

import itertools

import numpy as np
from command import main

from ntk_tutorial.regimes import crossover


def depths(depths, width, scaled_alphas, num_seeds, num_train) -> list[dict]:
    """One configuration for each depth and scale; ReLU and softplus on digits."""
    return [
        {
            "task": "digits",
            "activation": activation,
            "depth": depth,
            "width": width,
            "scaled_alpha": float(f"{scaled_alpha:.4g}"),
            "num_components": 10,
            "num_seeds": num_seeds,
            "num_train": num_train,
            "num_test": 500,
        }
        for activation, depth, scaled_alpha in itertools.product(("relu", "softplus"), depths, scaled_alphas)
    ]


SCALES = np.geomspace(1e-3, 2e-2, 4)
PROFILES = {
    "laptop": depths([1, 2, 3], 64, SCALES[:3], 4, 64),
    "workstation": depths([1, 2, 3, 4, 5], 64, SCALES, 8, 128),
    "gpu": depths([1, 2, 3, 4, 5, 6, 7], 512, np.geomspace(1e-4, 2e-2, 6), 16, 1000),
}

if __name__ == "__main__":
    main("depth", __doc__, crossover, PROFILES)
