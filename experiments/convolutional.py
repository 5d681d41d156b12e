"""A convolutional network trained for equal epochs at two scales α, solved for its lazy limit, and trained well.

    python experiments/convolutional.py --profile workstation

Profiles: laptop, digits alone, a minute; workstation, 4,000 examples of MNIST and CIFAR-10, of the latter 10,000 too,
an hour on two cores; gpu, larger images, wider and deeper, untested on a GPU so far. The runs with few channels are
there to be computed again by tests. The image data are downloaded, or found in the folder that NTK_TUTORIAL_DATA names.
"""

from __future__ import annotations

from command import main

from ntk_tutorial.convolutional_regimes import train_by

LOOKS = [1, 2, 5, 10, 15]


def exact(problem, ridges) -> dict:
    """The lazy limit."""
    return {"method": "exact_lazy", "ridges": ridges, **problem}


def well(problem, epochs) -> dict:
    """Adam, looked at after each of `epochs`."""
    return {"method": "trained_well", "epochs": epochs, "learning_rate": 0.02, "batch_size": 25, **problem}


def three_ways(problem, ridges, epochs) -> list[dict]:
    """Equal epochs at both scales, Adam, and the lazy limit."""
    at = [
        {"method": "equal_epochs", "alpha": alpha, "epochs": LOOKS, "speed": 1.0, **problem} for alpha in (0.1, 100.0)
    ]
    return [*at, well(problem, epochs), exact(problem, ridges)]


def images(task, size, channels, depth, num_train, num_test, num_seeds, dtype="float32") -> dict:
    """What `ntk_tutorial.convolutional_regimes.problems` takes."""
    return {
        "task": task, "size": size, "channels": channels, "depth": depth,
        "num_train": num_train, "num_test": num_test, "num_seeds": num_seeds, "dtype": dtype,
    }  # fmt: skip


DIGITS = images("digits", None, 16, 2, 500, 1000, 3, "float64")
SMALL = three_ways(DIGITS, [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7], [60, 240])
FEW = [1e-4, 1e-5, 1e-6]
PROFILES = {
    "laptop": SMALL,
    "workstation": [
        *SMALL,
        exact(images("mnist", 14, 6, 2, 300, 1000, 3, "float64"), FEW),
        exact(images("cifar10", 16, 6, 2, 300, 1000, 3, "float64"), FEW),
        *three_ways(images("mnist", 14, 24, 2, 4000, 1000, 3), [1e-4, 1e-5, 1e-6, 1e-7, 1e-8], [20, 80]),
        *three_ways(images("cifar10", 16, 24, 3, 4000, 1000, 3), [1e-4, 1e-5, 1e-6, 1e-7], [10, 40]),
        well(images("cifar10", 16, 24, 3, 4000, 1000, 3), [40, 160]),  # for too long
        well(images("cifar10", 16, 24, 3, 10_000, 1000, 3), [10, 40]),
        exact(images("cifar10", 16, 24, 3, 10_000, 1000, 3), [1e-5, 1e-6, 1e-7, 1e-8]),
    ],
    "gpu": [
        *three_ways(images("mnist", None, 64, 3, 10_000, 10_000, 3), [1e-6, 1e-7, 1e-8], [20, 100]),
        *three_ways(images("cifar10", None, 64, 4, 10_000, 10_000, 3), [1e-5, 1e-6, 1e-7], [20, 100]),
    ],
}

if __name__ == "__main__":
    main("convolutional", __doc__, train_by, PROFILES)
