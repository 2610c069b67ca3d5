"""The presets, and what each of their values means."""

from theorylab.lab import Preset

MEANINGS = {
    "d": "dimension of the mixtures where no other is said",
    "repeats": "seeds per simulated setting",
    "replicates": "samples per seed and setting",
    "kl_draws": "draws by which the mixture's divergence is checked",
    "heat_s": "signal-to-noise ratios s of the map of gains",
    "table": "[d, [[s, n_l, n_u], ...]] of the table of risks",
    "labels_n_l": "labelled points where they are varied",
    "snr_s": "signal-to-noise ratios where they are varied",
    "snr_sizes": "[n_l, n_u] there",
    "snr_replicates": "samples per seed there",
    "snr_self_training": "whether self-training runs there",
    "grid_s": "signal-to-noise ratios of the grid",
    "grid_n_l": "labelled points of the grid",
    "grid_n_u": "unlabelled points of the grid",
    "grid_replicates": "samples per point of the grid, learners by moments; 0 leaves them out",
    "grid_em_replicates": "samples per point of the grid, learners with EM",
    "doublings": "steps by which the samples grow towards the three regimes",
    "slope_replicates": "samples per point of the rates",
    "precision_replicates": "samples where number formats are compared, all learners",
    "precision_by_moments": "samples there, learners by moments alone; 0 leaves them out",
    "explicit_replicates": "explicit samples against which the shortcut is checked",
    "tasks": "[task, whether its embedded sample is taken, numbers of labels] of the real data",
    "draws": "draws of labels per real task",
    "shuffled_tasks": "the first real tasks that are run with shuffled labels as well",
    "twonorm": "where the sample of twonorm comes from",
    "twonorm_draws": "draws from it",
}

_TABLE = [
    [20, [[1.0, 400, 1000], [0.5, 400, 4000], [1.0, 50, 5000]]],
    [10, [[0.5, 1000, 1000]]],
    [50, [[0.3, 20, 200]]],
]

_MNIST = [
    [f"mnist/{pair}", None, [4, 6, 10, 20, 40]] for pair in ("3v8", "5v9", "5v6", "1v7", "0v1")
]

_FASHION = [[f"fashion_mnist/{pair}", False, [6, 20]] for pair in ("0v6", "2v4", "7v9", "1v8")]

_TABLES = [
    [name, None, [6, 20]]
    for name in (
        "adult",
        "keel/twonorm",
        "keel/ring",
        "keel/spambase",
        "keel/satimage/2v5",
        "keel/wdbc",
        "keel/ionosphere",
        "keel/optdigits/3v8",
        "keel/optdigits/5v9",
        "keel/optdigits/1v7",
    )
]

_QUICK = {
    "d": 20,
    "repeats": 4,
    "replicates": 200,
    "kl_draws": 300_000,
    "heat_s": [0.3, 1.0, 2.0],
    "table": _TABLE,
    "labels_n_l": [50, 100, 200, 345, 400, 800, 1600],
    "snr_s": [0.15, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0],
    "snr_sizes": [200, 2000],
    "snr_replicates": 30,
    "snr_self_training": True,
    "grid_s": [0.3, 0.7, 1.0, 2.0],
    "grid_n_l": [20, 100, 400, 1600],
    "grid_n_u": [50, 200, 1000, 5000],
    "grid_replicates": 2000,
    "grid_em_replicates": 80,
    "doublings": 3,
    "slope_replicates": 2000,
    "precision_replicates": 30,
    "precision_by_moments": 2000,
    "explicit_replicates": 200,
    "tasks": _MNIST + _FASHION + _TABLES,
    "draws": 5,
    "shuffled_tasks": 2,
    "twonorm": "keel/twonorm",
    "twonorm_draws": 400,
}

_SMOKE = _QUICK | {
    "repeats": 2,
    "replicates": 8,
    "kl_draws": 20_000,
    "heat_s": [1.0],
    "table": [[20, [[1.0, 400, 1000], [0.5, 400, 1000], [1.0, 50, 1000]]]],
    "labels_n_l": [50, 345, 1600],
    "snr_s": [0.3, 0.7, 1.6],
    "snr_sizes": [200, 1000],
    "snr_replicates": 8,
    "snr_self_training": False,
    "grid_s": [0.7, 1.0],
    "grid_n_l": [20, 400],
    "grid_n_u": [200, 1000],
    "grid_replicates": 0,
    "grid_em_replicates": 8,
    "doublings": 1,
    "slope_replicates": 100,
    "precision_replicates": 2,
    "precision_by_moments": 0,
    "explicit_replicates": 16,
    "tasks": [["fashion_mnist/0v6", True, [6, 20]]],
    "draws": 2,
    "shuffled_tasks": 0,
    "twonorm": "generated",
    "twonorm_draws": 5,
}

_SIZES = [20, 50, 100, 200, 400, 800, 1600, 3200]

_MORE = [
    [f"keel/{name}", None, [20]]
    for name in ("magic", "phoneme", "sonar", "mushroom", "segment/0v3")
]

_FULL = _QUICK | {
    "repeats": 10,
    "replicates": 200,
    "kl_draws": 4_000_000,
    "snr_s": [
        0.15,
        0.27,
        0.4,
        0.52,
        0.64,
        0.77,
        0.89,
        1.01,
        1.14,
        1.26,
        1.38,
        1.51,
        1.63,
        1.75,
        1.88,
        2.0,
    ],
    "snr_replicates": 200,
    "grid_s": [0.15, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0],
    "grid_n_l": _SIZES,
    "grid_n_u": _SIZES,
    "grid_replicates": 20_000,
    "grid_em_replicates": 200,
    "slope_replicates": 10_000,
    "precision_replicates": 200,
    "precision_by_moments": 10_000,
    "explicit_replicates": 2000,
    "draws": 100,
    "twonorm_draws": 1000,
    "tasks": [
        [name, sample, [4, 6, 10, 20, 40]]
        for name, sample, _ in _MNIST + _FASHION + _TABLES + _MORE
    ],
}


PRESETS = {
    "smoke": Preset(
        "smoke", _SMOKE, omits="Sizes that take seconds, for tests: most claims are not judged."
    ),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="A few hundred replicates, 5 draws per real task, pools of at most 5,000 points; of "
        "the paper's five tables only a9a (Adult, rebuilt) is available, and others of a similar "
        "kind stand in.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits=(
            "Of the paper's five tables only a9a (Adult, rebuilt) is available; others of a "
            "similar kind stand in."
        ),
    ),
}
