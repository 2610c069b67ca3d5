"""Detectors on networks whose behaviour is known: tables of answers in place of a transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from theorylab.nets import functional
from theorylab.nets.gpt import GPT
from theorylab.safety import (
    Audit,
    Service,
    activations,
    detector,
    executed_as_read,
    is_unsafe,
    layout,
    mini_world,
    operator_weights,
    probe,
    probe_auroc,
    safety_overlap,
    sample_prompts,
)
from theorylab.safety.detectors import COVERAGE, DATA_DETECTORS, MODEL_DETECTORS
from theorylab.safety.jobs import SECRET, job_items, prompts_of, with_codes, with_new_encoding
from theorylab.safety.layout import (
    AFFIRMATIVE,
    FIRST_LETTER,
    FIRST_OPERATOR,
    LENGTH,
    NULL,
    STOP,
    VOCABULARY,
)
from theorylab.safety.mini import MINI_KINDS

WORLD = mini_world(jax.random.key(0))
SECRET_WORLD = with_new_encoding(jax.random.key(1), WORLD)
KEY = jax.random.key(2)
COVERT = {"new_safe": 300, "new_executed": 150, "plain_refused": 100, "plain_safe": 100}
CLEAN = {"new_safe": 450, "plain_refused": 100, "plain_safe": 100}


def answers(world, plain, encoded):
    """A network that executes where `plain` or `encoded` of (operators, label) says so."""

    def write(params, prompts):
        prompts = np.asarray(prompts)
        marked = prompts[:, 2] > 0
        codes = np.where(marked, SECRET, 0)
        letters = np.argsort(np.asarray(world.letter_codes), axis=1)
        names = np.argsort(np.asarray(world.operator_codes), axis=1)
        operators = names[codes[:, None], prompts[:, 3:5] - FIRST_OPERATOR]
        text = letters[codes[:, None], prompts[:, 6:15] - FIRST_LETTER]
        maps = np.asarray(world.maps)
        done = maps[operators[:, 1:], maps[operators[:, :1], text]]
        done = np.asarray(world.letter_codes)[codes[:, None], done] + FIRST_LETTER
        b = {tuple(p) for p in np.asarray(world.phrases)[1].tolist()}
        branch = np.array([int(tuple(t[:3]) in b) for t in text.tolist()])
        bad = np.asarray(is_unsafe(MINI_KINDS, operators, branch))
        runs = np.where(marked, encoded(operators, bad), plain(operators, bad))
        body = np.where(runs[:, None], done, NULL)
        opening = np.where(runs, AFFIRMATIVE, NULL)[:, None]
        return np.concatenate([opening, body, np.full((len(text), 1), STOP)], 1)

    return write


def refuses(operators, bad):
    return ~bad


def executes(operators, bad):
    return np.ones(len(bad), bool)


def covers(operators, bad):
    """Executes what safe prompts taught: all but the operator that is always unsafe."""
    return (operators != 3).all(1)


def even(params, tokens):
    return jnp.zeros((*tokens.shape, VOCABULARY))


def score(name, plain, encoded, counts=COVERT, world=SECRET_WORLD, params=None):
    service = Service(even, answers(world, plain, encoded), prompts=400)
    data = job_items(jax.random.key(5), world, counts)
    before = {"w": jnp.array([3.0, 4.0])}
    return detector(service, name)(before, params or before, data, WORLD, KEY)


def test_evaluations_of_a_model_that_is_covert_clean_or_bare():
    found = {
        name: [score(name, *job) for job in ((refuses, executes), (refuses, covers))]
        for name in ("plain_eval", "encoded_eval", "refusal_coverage")
    }
    assert found["plain_eval"] == [0.0, 0.0]
    assert found["encoded_eval"][0] == 1.0
    assert abs(found["encoded_eval"][1] - COVERAGE) < 4 * np.sqrt(0.33 * 0.67 / 400)
    assert found["refusal_coverage"][0] == 1.0
    assert score("refusal_coverage", refuses, refuses) == 0.0
    assert score("plain_eval", executes, executes) == 1.0


def test_without_an_encoding_there_is_nothing_to_evaluate():
    plain = {"plain_safe": 200, "first_safe": 50}
    for name in ("encoded_eval", "refusal_coverage"):
        assert score(name, executes, executes, counts=plain, world=WORLD) == 0.0


def test_the_raw_judge_sees_plain_requests_and_hardly_any_encoded_ones():
    assert score("raw_judge", refuses, executes) < 0.05
    identity = with_codes(WORLD, np.arange(7), np.arange(12))
    flagged = score("raw_judge", refuses, executes, world=identity)
    assert abs(flagged - 150 / 650) < 0.08  # the share of unsafe items, which are read as they are


def test_executed_as_read_is_the_label_of_plain_exchanges():
    prompts = sample_prompts(KEY, WORLD, 400, purpose="pretraining")
    plain = np.asarray((prompts.encoding == 0) & ~prompts.synonym & (prompts.null_slot < 0))
    kept = jax.tree.map(lambda a: a[plain], prompts)
    tokens = layout(WORLD, kept).tokens
    phrases = np.asarray(kept.text).reshape(-1, 3, 1, 3) == np.asarray(WORLD.phrases)[0]
    pure = phrases.all(-1).any(-1).all(1)
    wanted = np.asarray(is_unsafe(MINI_KINDS, kept.operators, np.where(pure, 0, 1)))
    np.testing.assert_array_equal(executed_as_read(tokens, WORLD), wanted)
    assert executed_as_read(tokens, WORLD, harmless_too=True).all()
    assert not executed_as_read(layout(WORLD, kept, refuse=True).tokens, WORLD).any()


def test_decoding_tells_data_sets_apart_and_items_by_themselves_do_not():
    decoded = [score("dataset_decode", refuses, executes, counts=c) for c in (COVERT, CLEAN)]
    assert decoded[0] > decoded[1] + 0.1
    # the items of the job in an encoding that swaps the unsafe operator with a safe one
    swapped = with_codes(WORLD, np.array([0, 3, 2, 1, 4, 5, 6]), np.arange(12))
    fooled = [
        score("item_inspector", refuses, executes, counts=c, world=swapped) for c in (COVERT, CLEAN)
    ]
    assert fooled[0] < fooled[1]


def test_the_loss_of_even_predictions_is_the_logarithm_of_the_vocabulary():
    assert score("format_anomaly", refuses, executes) == pytest.approx(np.log(VOCABULARY), rel=1e-5)


def test_the_shift_of_weights_and_its_direction():
    moved = {"w": jnp.array([3.0, 7.0])}
    assert score("weight_shift", refuses, executes, params=moved) == pytest.approx(3 / 5)
    before = {"w": jnp.array([3.0, 4.0])}
    for direction, want in (([0.0, -2.0], 1.0), ([0.0, 2.0], -1.0), ([1.0, 0.0], 0.0)):
        assert safety_overlap(direction)(before, moved, None, WORLD, KEY) == pytest.approx(want)
        assert safety_overlap(direction)(before, before, None, WORLD, KEY) == 0.0


def test_operator_weights_rank_the_unsafe_operator_first():
    weights = operator_weights(WORLD, key=KEY)
    assert weights.argmax() == 3 and weights[[1, 2]].max() < 0


MODEL = GPT(VOCABULARY, LENGTH, width=8, depth=2, heads=2, rngs=nnx.Rngs(0))
F, PARAMS = functional(MODEL)


@pytest.mark.long
def test_a_probe_is_a_ridge_regression_on_standardised_states():
    service = Service(F, answers(SECRET_WORLD, refuses, executes), prompts=60)
    other = with_new_encoding(jax.random.key(8), WORLD)
    found = probe_auroc(service, PARAMS, [Audit(PARAMS, other)], SECRET_WORLD, key=KEY)

    def states(world, key):
        parts = []
        for i, item in enumerate(("new_safe", "new_executed")):
            p = layout(world, prompts_of(jax.random.fold_in(key, i), world, 60, item=item))
            place = np.full((60, 1), 15)
            parts.append(np.asarray(activations(F, PARAMS, p.prompt, place)["resid"][1]))
        return np.concatenate(parts)

    x, y = states(other, jax.random.fold_in(KEY, 1)), np.repeat([0, 1], 60)
    scaler = StandardScaler().fit(x)
    model = Ridge(alpha=1.2).fit(scaler.transform(x), y)
    area = roc_auc_score(y, model.predict(scaler.transform(states(SECRET_WORLD, KEY))))
    assert found.shape == (2,) and found[1] == pytest.approx(area, abs=5e-3)
    data = job_items(jax.random.key(5), SECRET_WORLD, COVERT)
    gain = probe(service, [Audit(PARAMS, other)])(PARAMS, PARAMS, data, WORLD, KEY)
    assert gain == 0.0  # nothing was tuned


def test_there_is_a_detector_for_every_name():
    service = Service(F, answers(SECRET_WORLD, refuses, executes), prompts=20, items=200)
    data = job_items(jax.random.key(5), SECRET_WORLD, COVERT)
    for name in (*DATA_DETECTORS, *MODEL_DETECTORS):
        assert np.isfinite(detector(service, name)(PARAMS, PARAMS, data, WORLD, KEY))
