"""The configurations of Coloured MNIST: two of reference, and those of the search for a negative
line.

A search setting changes one or a few things against `_SEARCH`: half-size images, eight channels of
which the class's colour lights four, an RBF machine that interpolates, and a shift of the colours'
pixel noise or of their agreement.

What the values mean is said at `images.coloured`.
"""

from typing import Any

Setting = dict[str, Any]
_REFERENCE: Setting = {
    "learner": "rbf",
    "loss": "squared",
    "width": 0.03,
    "ridge": 1e-4,
    "relative": False,
    "half": True,
    "agree": 0.9,
    "agree_ood": 0.1,
    "noise": 0.0,
    "noise_ood": 0.0,
    "colours": 2,
    "epochs": 0,
    "classes": None,
}
_SEARCH: Setting = _REFERENCE | {
    "width": 0.01,
    "ridge": 1e-6,
    "relative": True,
    "agree": 0.75,
    "agree_ood": 0.75,
    "noise": 0.12,
    "noise_ood": 1.0,
    "colours": 8,
}
_FLIP = {"agree": 0.9, "agree_ood": 0.1, "noise": 0.0, "noise_ood": 0.0, "colours": 2}
_LOGISTIC = {"loss": "logistic", "ridge": 1e-6, "relative": False}
_CNN = {"learner": "cnn", "epochs": 300}
_PAIR = {"classes": [1, 7]}

SETTINGS: dict[str, Setting] = {
    "interpolating": _REFERENCE,
    "ridge": _REFERENCE | {"ridge": 1.0},
    # the shift reverses the colour's agreement
    "flip, rbf": _SEARCH | _FLIP,
    "flip, ntk": _SEARCH | _FLIP | {"learner": "ntk"},
    "flip, cnn": _SEARCH | _FLIP | _CNN,
    "flip, rbf, 8 channels with noise": _SEARCH
    | _FLIP
    | {"noise": 0.12, "noise_ood": 0.12, "colours": 8},
    "flip and noise x8, rbf": _SEARCH | {"agree": 0.9, "agree_ood": 0.1},
    # the colour agrees as before, the colour noise of single pixels grows fourfold or eightfold
    "noise x4, rbf": _SEARCH | {"noise_ood": 0.5},
    "noise x8, rbf": _SEARCH,
    "noise x8, rbf, 2 channels": _SEARCH | {"colours": 2},
    "noise x8, rbf, no colour": _SEARCH | {"agree": 0.5, "agree_ood": 0.5},
    "noise x8, rbf narrow": _SEARCH | {"width": 0.03},
    "noise x8, rbf wide": _SEARCH | {"width": 0.003},
    "noise x8, rbf wide, ridge": _SEARCH | {"width": 0.003, "ridge": 0.3},
    "noise x8, rbf logistic": _SEARCH | _LOGISTIC,
    "noise x8, linear logistic": _SEARCH | _LOGISTIC | {"learner": "linear"},
    "noise x8, ntk": _SEARCH | {"learner": "ntk"},
    "noise x8, cnn": _SEARCH | _CNN,
    # an easier task, which clean labels do not force to memorise
    "1 v 7, noise x4, rbf logistic": _SEARCH | _LOGISTIC | _PAIR | {"noise_ood": 0.5},
    "1 v 7, noise x8, rbf logistic": _SEARCH | _LOGISTIC | _PAIR,
    "1 v 7, noise x4, rbf wide logistic": _SEARCH
    | _LOGISTIC
    | _PAIR
    | {"noise_ood": 0.5, "width": 0.003},
    "1 v 7, noise x4, linear logistic": _SEARCH
    | _LOGISTIC
    | _PAIR
    | {"noise_ood": 0.5, "learner": "linear"},
    "1 v 7, noise x8, linear logistic": _SEARCH | _LOGISTIC | _PAIR | {"learner": "linear"},
    "1 v 7, noise x4, rbf logistic, penalty": _SEARCH
    | _LOGISTIC
    | _PAIR
    | {"noise_ood": 0.5, "ridge": 0.1},
    "1 v 7, noise x4, cnn": _SEARCH | _CNN | _PAIR | {"noise_ood": 0.5},
}
