"""The plane of lazy and feature training: kernel change, test error and fluctuations over width m and scale α̃ = √m α.

    python experiments/crossover.py --profile workstation

Profiles: laptop, a few minutes; workstation, half an hour on two cores; gpu, the sizes of Geiger et al. 2020, untested
on a GPU so far. The image data are downloaded, or found in the folder that NTK_TUTORIAL_DATA names.
"""

from __future__ import annotations

import itertools

import numpy as np
from command import main

from ntk_tutorial.regimes import crossover


def plane(tasks, widths, scaled_alphas, num_seeds, **sizes) -> list[dict]:
    """One configuration for each point; ReLU and softplus, two hidden layers, 10 principal components."""
    return [
        {
            "task": task,
            "activation": activation,
            "depth": 2,
            "width": width,
            "scaled_alpha": float(f"{scaled_alpha:.4g}"),
            "num_components": 10,
            "num_seeds": num_seeds,
            **sizes,
        }
        for task, activation, width, scaled_alpha in itertools.product(
            tasks, ("relu", "softplus"), widths, scaled_alphas
        )
    ]


SCALES = np.geomspace(1e-3, 1e3, 13)
PROFILES = {
    "laptop": plane(["digits"], [16, 64, 256], SCALES[::3], 4, num_train=64, num_test=1000),
    "workstation": plane(["digits", "mnist"], [16, 32, 64, 128, 256], SCALES, 10, num_train=128, num_test=1000),
    "gpu": plane(["digits", "mnist"], [2**i for i in range(4, 13)], SCALES, 16, num_train=1000, num_test=797)
    + plane(["mnist"], [256, 1024, 4096], SCALES, 16, num_train=10_000, num_test=10_000),
}

if __name__ == "__main__":
    main("crossover", __doc__, crossover, PROFILES)
