"""The presets, and what each of their values means."""

from theorylab.lab import Preset

MEANINGS = {
    "data": "[data set, whether its embedded sample is taken]",
    "ridges": "ridges, relative to tr K / N",
    "splits": "random splits, one seed each",
    "sizes": "training sizes N, the analytic kernel",
    "pool": "images from which training sets are drawn, the analytic kernel",
    "tests": "test images, the analytic kernel",
    "networks": "[network, weights]: init, trained, pretrained, or its last features alone",
    "train_images": "images on which networks are trained here",
    "train_epochs": "epochs of that training",
    "network_sizes": "training sizes N, kernels of networks",
    "network_pool": "images from which training sets are drawn, kernels of networks",
    "network_tests": "test images, kernels of networks",
    "rate_sizes": "training sizes N at which GCV's error is measured on Gaussian designs",
    "rate_draws": "draws per size there",
    "control_n": "training size of the controls",
    "control_p": "features of the controls",
    "control_draws": "draws per control and seed",
    "law_sizes": "training sizes N of the local law",
    "law_draws": "draws per size of the local law; dependent designs have a quarter",
    "exponent_modes": "eigenvalues of the power laws whose slopes are tabulated",
    "selection_draws": "draws where GCV selects the ridge",
}

_RIDGES = [0.0, 1e-4, 1e-3, 1e-2, 1e-1]

_QUICK = {
    "data": [["fashion_mnist", True]],
    "ridges": _RIDGES,
    "splits": 3,
    "sizes": [125, 250, 500, 1000, 2000],
    "pool": 3000,
    "tests": 2000,
    "networks": [["cnn", "init"], ["cnn", "trained"], ["cnn", "features"]],
    "train_images": 3000,
    "train_epochs": 6,
    "network_sizes": [125, 250, 500, 1000],
    "network_pool": 1500,
    "network_tests": 1000,
    "rate_sizes": [50, 100, 200, 400],
    "rate_draws": 80,
    "control_n": 300,
    "control_p": 2000,
    "control_draws": 3,
    "law_sizes": [100, 200, 400],
    "law_draws": 60,
    "exponent_modes": 2_000_000,
    "selection_draws": 6,
}

_SMOKE = _QUICK | {
    "splits": 2,
    "sizes": [60, 120],
    "pool": 200,
    "tests": 200,
    "networks": [["cnn", "init"], ["cnn", "trained"]],
    "train_images": 128,
    "train_epochs": 1,
    "network_sizes": [40, 80],
    "network_pool": 100,
    "network_tests": 60,
    "rate_sizes": [50, 100],
    "rate_draws": 4,
    "control_n": 150,
    "control_p": 1000,
    "control_draws": 3,
    "law_sizes": [50, 100],
    "law_draws": 4,
    "exponent_modes": 20_000,
    "selection_draws": 2,
}

_MEDIUM = _QUICK | {
    "data": [["fashion_mnist", False], ["mnist", False], ["cifar10", False]],
    "sizes": [250, 500, 1000, 2000],
    "pool": 3000,
    "tests": 1000,
    "networks": [
        ["efficientnet_lite0", "init"],
        ["efficientnet_lite0", "pretrained"],
        ["efficientnet_lite0", "features"],
        ["resnet14", "init"],
        ["resnet14", "trained"],
        ["resnet14", "features"],
    ],
    "train_images": 4000,
    "train_epochs": 5,
    "network_sizes": [250, 500, 1000],
    "network_pool": 1500,
    "network_tests": 500,
}

_FULL = _QUICK | {
    "data": [["fashion_mnist", False], ["mnist", False], ["cifar10", False]],
    "splits": 6,
    "sizes": [250, 500, 1000, 2000, 5000, 10_000, 20_000],
    "pool": 30_000,
    "tests": 5000,
    "networks": [
        ["resnet14", "init"],
        ["resnet14", "trained"],
        ["resnet14", "features"],
        ["efficientnet_lite0", "init"],
        ["efficientnet_lite0", "pretrained"],
        ["efficientnet_lite0", "features"],
    ],
    "train_images": 20_000,
    "train_epochs": 20,
    "network_sizes": [250, 500, 1000, 2000, 5000, 10_000],
    "network_pool": 15_000,
    "network_tests": 5000,
    "rate_draws": 80,
    "control_draws": 20,
    "law_sizes": [100, 200, 400, 1000],
    "law_draws": 100,
    "selection_draws": 12,
}


PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits="Sizes that take seconds, for tests: most claims are not judged."
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="The embedded sample of Fashion-MNIST; networks are trained here on images that the "
        "kernels never see; none is pretrained on ImageNet; N up to 2,000 (networks: 1,000).",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="EfficientNet-Lite0 at 32 x 32 pixels in place of the ImageNet ResNets at 224, "
        "ResNet-14 trained here on 4,000 images; N up to 2,000 (networks: 1,000, in three "
        "random orders of the same 1,500 images, and 500 test images); no CIFAR-100, SVHN, "
        "Food, Flowers or Aircraft.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="EfficientNet-Lite0 in place of the ImageNet ResNets, ResNet-14 trained here, N "
        "up to 20,000 (networks: 10,000), no CIFAR-100, SVHN, Food, Flowers or Aircraft.",
    ),
}
