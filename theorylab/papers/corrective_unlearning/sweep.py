"""One training set, one original model, and every method at every identified share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import unlearning as u
from theorylab.data.augmentation import CropFlip
from theorylab.papers.corrective_unlearning.worlds import World, classifier, world

MEASURES = ("corrected", "retained", "validation", "agreement", "manipulated")
# uses of a cell's key
_DATA, _TRAIN, _FIND, _RUN, _CLEAN = range(5)
Options = Mapping[str, Any]
Run = Callable[[jax.Array, jax.Array], u.Model]  # (deletion set, key) -> model


@dataclass(frozen=True)
class Setting:
    """What all methods of a cell share."""

    net: u.Network
    data: u.TrainingSet
    questions: u.Exam
    original: u.Model
    forgets: jax.Array
    keys: jax.Array
    most: int
    together: bool
    training: Mapping[str, Any]

    def scores(self, model: u.Model, forget: jax.Array) -> u.Scores:
        return u.scores(self.net, model, self.questions, self.data, forget, most=self.most)

    def over_subsets(self, run: Callable[[jax.Array, jax.Array], Any]) -> Any:
        """`run(deletion set, key)` for every identified share: side by side, or, where batching
        over weights would make grouped convolutions, slow on a CPU, one after the other."""
        if self.together:
            return jax.vmap(run)(self.forgets, self.keys)
        runs = [run(f, k) for f, k in zip(self.forgets, self.keys, strict=True)]
        return jax.tree.map(lambda *a: jnp.stack(a), *runs)


def sweep(
    images: Mapping[str, Any],
    net: Mapping[str, Any],
    manipulation: Mapping[str, Any],
    gammas: list[float],
    methods: Mapping[str, Mapping[str, Any]],
    training: Mapping[str, Any],
    order: str,
    seed: int,
    **labels: Any,
) -> dict[str, np.ndarray]:
    """Scores of every method, arrays (identified shares, configurations, `MEASURES`), and those of
    the model that never saw a manipulated sample, "clean" (1, 1, `MEASURES`).

    images: what `world` takes, its seed apart. methods: name of a method -> its grid. training:
    steps, batch size and learning rate of pre-training; `short` is the share of the steps that
    other methods than retraining have, `augment` padding and flips, or None. order: of the trigger
    and the augmentation.
    """
    part = world(images["data"], images["pool"], tuple(images["sizes"]), seed)
    setting = _setting(part, net, manipulation, gammas, training, order, seed)
    none = setting.over_subsets(lambda f, k: setting.scores(setting.original, f))
    clean = u.retrain_without_deletion(
        setting.net,
        setting.data,
        setting.data.manipulated,
        _budget(training),
        key=_key(seed, _CLEAN),
    )
    found = {
        "none": _array(none)[:, None],
        "clean": _array(setting.scores(clean, setting.data.manipulated))[None, None],
    }
    for name, grid in methods.items():
        found[name] = METHODS[name](setting, grid)
    return found


def _setting(
    part: World,
    net: Mapping[str, Any],
    manipulation: Mapping[str, Any],
    gammas: Sequence[float],
    training: Mapping[str, Any],
    order: str,
    seed: int,
) -> Setting:
    what, augment = _manipulation(manipulation, part), training["augment"]
    classes = classifier(net, part.x_train.shape[1:])
    data = u.manipulate(
        part.x_train,
        part.y_train,
        what,
        manipulation["size"],
        key=_key(seed, _DATA),
        augment=None if augment is None else CropFlip(augment[0], bool(augment[1])),
    )
    data = u.TrainingSet(**{**vars(data), "order": order})
    questions = u.exam(what, part.x_test, part.y_test, part.x_validation, part.y_validation)
    original = u.pretrain(classes, data, _budget(training), key=_key(seed, _TRAIN))
    forgets = jnp.stack(
        [u.identified_subset(data.manipulated, g, key=_key(seed, _FIND)) for g in gammas]
    )
    keys = jax.random.split(_key(seed, _RUN), len(gammas))
    together = net["kind"] == "mlp" or jax.default_backend() != "cpu"
    most = int(data.manipulated.sum())
    return Setting(classes, data, questions, original, forgets, keys, most, together, training)


def _budget(training: Mapping[str, Any], share: float = 1.0, rate: float = 1.0) -> u.Budget:
    steps = max(1, round(share * training["steps"]))
    return u.Budget(steps, training["batch_size"], rate * training["learning_rate"])


def _manipulation(given: Mapping[str, Any], part: World) -> Any:
    if given["kind"] == "poison":
        return u.BackdoorPatch(given["patch"], float(part.x_train.max()))
    return u.InterclassConfusion(3, 5)


def _key(seed: int, use: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), use)


def _array(found: u.Scores) -> np.ndarray:
    """(..., `MEASURES`)"""
    return np.stack([np.asarray(getattr(found, name)) for name in MEASURES], -1)


def _trained(s: Setting, runs: Sequence[Run]) -> np.ndarray:
    """Scores (shares, runs, measures) of methods that give a model."""

    def graded(run: Run) -> Callable[[jax.Array, jax.Array], u.Scores]:
        return lambda f, k: s.scores(run(f, k), f)

    return np.stack([_array(s.over_subsets(graded(run))) for run in runs], 1)


def _variants(
    s: Setting, method: Callable[..., u.Model], budget: u.Budget, options: Sequence[Options]
) -> np.ndarray:
    """Scores (shares, options, measures) of a method that trains the original model further."""

    def with_option(option: Options) -> Run:
        return lambda f, k: method(s.net, s.data, s.original, f, budget, key=k, **option)

    return _trained(s, [with_option(option) for option in options])


def _short(s: Setting, rate: float = 1.0) -> u.Budget:
    return _budget(s.training, s.training["short"], rate)


def _rewod(s: Setting, grid: Options) -> np.ndarray:
    return _trained(
        s, [lambda f, k: u.retrain_without_deletion(s.net, s.data, f, _budget(s.training), key=k)]
    )


def _cf(s: Setting, grid: Options) -> np.ndarray:
    return _variants(s, u.fine_tune, _short(s), [{"layers": k} for k in grid["layers"]])


def _eu(s: Setting, grid: Options) -> np.ndarray:
    return _variants(s, u.exact_unlearn, _short(s), [{"layers": k} for k in grid["layers"]])


def _scrub(s: Setting, grid: Options) -> np.ndarray:
    options = [
        {"weight": weight, "options": u.ScrubOptions(steps, grid["ascend"])}
        for weight in grid["weights"]
        for steps in grid["ascent_steps"]
    ]
    return _variants(s, u.scrub, _short(s, 0.1), options)


def _badt(s: Setting, grid: Options) -> np.ndarray:
    options = [{"reduction": r} for r in grid["reductions"]]
    return _variants(s, u.bad_teacher, _short(s), options)


def _ssd(s: Setting, grid: Options) -> np.ndarray:
    """The whole grid on importances computed once a deletion set."""
    pairs = jnp.asarray([(a, factor * a) for a in grid["alphas"] for factor in grid["factors"]])
    size = grid["batch_size"]

    def graded(pair: jax.Array, f: jax.Array, important: Any, rest: Any) -> u.Scores:
        params = u.selective_synaptic_dampening(
            s.original.params, important, rest, alpha=pair[0], lam=pair[1]
        )
        return s.scores(u.Model(params, s.original.state), f)

    def run(f: jax.Array, k: jax.Array) -> u.Scores:
        key = None if s.data.augment is None else k
        important = u.gradient_importance(
            s.net, s.original, s.data, f, most=s.most, batch_size=size, key=key
        )
        rest = u.gradient_importance(s.net, s.original, s.data, ~f, batch_size=size, key=key)
        if s.together:
            return jax.vmap(lambda pair: graded(pair, f, important, rest))(pairs)
        runs = [graded(pair, f, important, rest) for pair in pairs]
        return jax.tree.map(lambda *a: jnp.stack(a), *runs)

    return _array(s.over_subsets(run))


def _potion(s: Setting, grid: Options) -> np.ndarray:
    search, most = u.TriggerSearch(stop=grid["stop"]), s.most if s.together else None

    def with_size(size: int) -> Run:
        return lambda f, k: (
            u.potion(s.net, s.original, s.data, f, batch_size=size, search=search, most=most).model
        )

    return _trained(s, [with_size(size) for size in grid["batch_sizes"]])


def _newton(s: Setting, grid: Options) -> np.ndarray:
    def step(damping: float, target: Any) -> Run:
        return lambda f, k: (
            u.tangent_newton_step(
                s.net,
                s.original,
                s.data,
                f,
                damping=damping,
                steps=grid["steps"],
                target=target,
            ).model
        )

    return _trained(s, [step(d, t) for d in grid["dampings"] for t in grid["targets"]])


METHODS: Mapping[str, Callable[[Setting, Options], np.ndarray]] = {
    "rewod": _rewod,
    "cf": _cf,
    "eu": _eu,
    "scrub": _scrub,
    "scrub_kl": _scrub,
    "badt": _badt,
    "ssd": _ssd,
    "ssd_batch": _ssd,
    "potion": _potion,
    "newton": _newton,
}
