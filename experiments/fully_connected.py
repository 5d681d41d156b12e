"""Lazy against feature training of fully-connected networks on five data sets: single networks and their ensembles.

    JAX_NUM_CPU_DEVICES=8 python experiments/fully_connected.py --profile workstation

With as many CPU devices as networks in an ensemble each is trained on its own, which takes half the time. Profiles:
laptop, a few minutes; workstation, a quarter of an hour on two cores; gpu, the sizes of Geiger et al. 2020, untested on
a GPU so far. The image data are downloaded, or found in the folder that NTK_TUTORIAL_DATA names.
"""

from __future__ import annotations

import itertools

from command import main

from ntk_tutorial.regimes import crossover

TASKS = ("digits", "mnist", "fashion_mnist", "emnist", "cifar10")
SCALES = (0.1, 1.0, 1000.0)  # the kernel changes many times over; about where it changes by itself; hardly


def comparison(tasks, width, num_data_seeds, num_seeds, num_train, num_test) -> list[dict]:
    """One configuration for each data set, with 10 principal components and with all pixels, data seed and scale."""
    return [
        {
            "task": task,
            "activation": "relu",
            "depth": 2,
            "width": width,
            "scaled_alpha": scaled_alpha,
            "num_components": num_components,
            "num_seeds": num_seeds,
            "num_train": num_train,
            "num_test": num_test,
            "data_seed": data_seed,
        }
        for task, num_components, data_seed, scaled_alpha in itertools.product(
            tasks, (10, None), range(num_data_seeds), SCALES
        )
    ]


PROFILES = {
    "laptop": comparison(["digits", "mnist"], 32, 1, 8, num_train=64, num_test=500),
    "workstation": comparison(TASKS, 64, 3, 8, num_train=256, num_test=1000),
    "gpu": comparison(TASKS[1:], 512, 5, 16, num_train=10_000, num_test=10_000),
}

if __name__ == "__main__":
    main("fully_connected", __doc__, crossover, PROFILES)
