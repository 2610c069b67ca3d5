"""The presets, and what each of their values means."""

from theorylab.lab import Preset

MEANINGS = {
    "studies": "names of the studies with networks, in `settings.STUDIES`",
    "seeds_at_most": "an upper limit on the seeds of every study",
    "draws": "random signals per design, linear theory",
    "linear_seeds": "seeds, linear theory",
    "pairs": "[training, test samples] of the linear bounds",
    "test_sizes": "numbers of test samples, linear theory",
    "floor_sizes": "sample sizes of the norm without shift",
    "floor_draws": "draws per size there",
}

_QUICK = {
    "studies": ["fmnist sample, cnn"],
    "seeds_at_most": 100,
    "draws": 4000,
    "linear_seeds": 5,
    "pairs": [[20, 20], [30, 20], [20, 35]],
    "test_sizes": [5, 10, 20, 40, 70, 100, 120],
    "floor_sizes": [50, 200, 800],
    "floor_draws": 20,
}

_SMOKE = _QUICK | {
    "studies": ["tiny"],
    "draws": 4000,
    "linear_seeds": 2,
    "pairs": [[20, 20], [30, 20]],
    "test_sizes": [20, 70, 120],
    "floor_sizes": [50, 200],
    "floor_draws": 10,
}

_MEDIUM = _QUICK | {"studies": ["fmnist, cnn", "cifar10, resnet8"]}

_FULL = _QUICK | {
    "studies": ["full: fmnist, cnn", "full: fmnist, mlp", "full: cifar10, resnet14"],
    "draws": 100_000,
    "linear_seeds": 20,
}


PRESETS = {
    "smoke": Preset(
        "smoke",
        _SMOKE,
        omits="Networks that take seconds, for tests: only the linear theory is judged.",
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="A small CNN pre-trained here by telling rotations apart (no ImageNet weights "
        "can be had), corruptions of our own (not CIFAR-10-C), no text. The embedded sample "
        "of Fashion-MNIST, 25 test sets of 600 images, T = 100.",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="Networks pre-trained here by telling rotations apart (no ImageNet weights can "
        "be had), corruptions of our own (not CIFAR-10-C), no text. 10,000 images of each "
        "set, 76 test sets of 1,000 images (Fashion-MNIST, a small CNN, T = 150) and of 600 "
        "(CIFAR-10, ResNet-8, T = 60).",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="Networks pre-trained here by telling rotations apart (no ImageNet weights can "
        "be had), corruptions of our own (not CIFAR-10-C), no text.",
    ),
}
