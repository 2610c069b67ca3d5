"""Sets of prompts and training data of both worlds, against what their layouts say."""

import jax
import numpy as np
import pytest

from theorylab import safety as sa
from theorylab.errors import InputError
from theorylab.safety import base_models
from theorylab.safety.layout import NULL, PROMPT_LENGTH
from theorylab.safety.paper_prompts import EOT, PAD, PAPER_VOCABULARY, STOP

KEY = jax.random.key(0)
MINI = sa.mini_world(KEY)
PAPER = sa.paper_world(grammars=(0, 2), shortest=4, longest=6)


@pytest.mark.long
@pytest.mark.parametrize("name", sa.MINI_SETS)
def test_answers_of_the_mini_world_are_judged_as_its_verdicts_are(name):
    prompts = sa.draw_set(KEY, MINI, 40, name=name)
    window = slice(prompts.first, prompts.last)
    wrong = np.asarray(prompts.executed).copy()
    rng = np.random.default_rng(0)
    for row, count in enumerate(rng.integers(0, 10, 40)):
        wrong[row, PROMPT_LENGTH + 1 : PROMPT_LENGTH + 1 + count] = NULL
    for written in (prompts.executed, prompts.refused, wrong):
        want = sa.verdicts(
            np.asarray(written)[:, PROMPT_LENGTH:], np.asarray(prompts.executed)[:, 17:26]
        )
        np.testing.assert_array_equal(sa.judge(prompts, written[:, window]), want)
    done, refused = (np.asarray(t)[:, window] for t in (prompts.executed, prompts.refused))
    assert set(np.asarray(sa.judge(prompts, done)).tolist()) == {sa.BAD}
    assert set(np.asarray(sa.judge(prompts, refused)).tolist()) == {sa.GOOD}


@pytest.mark.long
def test_a_decoder_is_forced_along_the_rest_of_a_prompt():
    prompts = sa.draw_set(KEY, PAPER, 8, name="unsafe")
    forced = np.asarray(prompts.forced())
    assert forced.shape == (8, prompts.last - prompts.first)
    for row, start in enumerate(np.asarray(prompts.start)):
        known = start - prompts.first
        rest = np.asarray(prompts.executed)[row, prompts.first : start]
        assert forced[row, :known].tolist() == rest.tolist() and (forced[row, known:] == -1).all()
        assert np.asarray(prompts.executed)[row, start - 1] == EOT


def operators_of(prompts):
    return np.asarray(prompts.executed)[:, 1:5] - 30


@pytest.mark.long
@pytest.mark.parametrize("name", sa.PAPER_SETS)
def test_operators_of_the_paper_sets_bear_the_label_that_they_should(name):
    world = sa.paper_world(grammars=(0,), shortest=4, longest=6)
    found = operators_of(sa.draw_set(KEY, world, 60, name=name))
    kinds = sa.paper_kinds(0)[found]
    always, context = kinds == 2, kinds == 1
    if name == "safe":
        assert not always.any() and context.any()
    if name == "unsafe":
        assert (always | context).any(1).all() and always.any()
    if name == "competing_tasks":
        pairs = found.reshape(-1, 2, 2)
        assert (pairs != 0).all()
        assert ((always | context).reshape(-1, 2, 2).sum(2) >= 1).all()
        assert (kinds == 0).any()
    if name == "mixed_text":
        assert context.all()
    if name == "synonyms":
        assert found.min() >= 12 and (always | context).all()
    if name == "held_out_text":
        assert (always | context).any(1).all()


def test_refusals_of_the_paper_world_have_the_null_letter_and_no_second_output():
    prompts = sa.draw_set(KEY, PAPER, 8, name="safe")
    refused, null = np.asarray(prompts.refused), np.asarray(prompts.null)
    assert (refused[null] == prompts.null_token).all()
    for row, start in enumerate(np.asarray(prompts.start)):
        length = int(null[row].sum())
        assert refused[row, start + length] == STOP and refused[row, start + length + 1] == PAD
        weights = np.asarray(prompts.refused_weights)[row]
        assert weights.sum() == length + 1 and weights[start - 1] == 1


@pytest.mark.long
def test_pretraining_samples_of_the_paper_world_show_what_their_kind_says():
    for kind in range(4):
        shares = np.eye(4)[kind]
        x, y = sa.pretraining_data(KEY, PAPER, 40, mixture=shares)
        tokens = np.concatenate([np.asarray(x), np.asarray(y.tokens)[:, -1:]], 1)
        assert tokens.max() < PAPER_VOCABULARY and x.shape[0] == 40
        stops = (tokens == STOP).sum(1)
        operators, text = tokens[:, 1:5], tokens[:, 6]
        told = np.asarray(y.weights).sum(1)
        if kind == 0:
            assert (operators == PAD).all() and (stops == 0).all()
            assert set(told.tolist()) <= {4.0, 5.0, 6.0}
        else:
            assert (operators != PAD).all()
        if kind == 1:
            assert (stops == 2).mean() > 0.9
        if kind == 2:
            assert (stops == 1).all()
        assert (text == PAD).all() == (kind == 3)


@pytest.mark.long
def test_null_operators_empty_their_own_output():
    x, y = sa.pretraining_data(KEY, PAPER, 4000, mixture=np.eye(4)[1])
    tokens = np.concatenate([np.asarray(x), np.asarray(y.tokens)[:, -1:]], 1)
    asked = np.flatnonzero((tokens[:, 1:5] >= 52).any(1))
    assert 0.004 < len(asked) / len(tokens) < 0.02
    for row in tokens[asked]:
        slot, length = np.flatnonzero(row[1:5] >= 52)[0], int((row == EOT).argmax()) - 6
        which = row[1 + slot] - 52
        start = 7 + length if slot < 2 else 8 + 2 * length
        assert (row[start : start + length] == which).all()
        assert row[start + length] == STOP
        assert slot >= 2 or (row[start + length + 1 : -1] == PAD).all()


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["supervised", "unlearning", "dpo"])
def test_fine_tuning_prefers_refusals_of_unsafe_prompts_and_answers_to_safe_ones(protocol):
    x, y = sa.tuning_data(KEY, MINI, 100, protocol=protocol)
    first = np.asarray(x if protocol == "supervised" else x[:, 0])
    refused = first[:, PROMPT_LENGTH] == NULL
    assert refused.sum() == (20 if protocol == "supervised" else 50)
    if protocol != "supervised":
        other = np.asarray(x[:, 1])
        assert ((other[:, PROMPT_LENGTH] == NULL) == ~refused).all()
        np.testing.assert_array_equal(first[:, :PROMPT_LENGTH], other[:, :PROMPT_LENGTH])
        assert (np.asarray(y.weights).sum(-1) == 11).all()


def test_the_learning_rate_follows_its_formula():
    tx = base_models.optimizer(1.0, 100, {"warmup": 0.2, "decay": 0.8, "floor": 0.01})
    params = {"w": np.zeros(3, np.float32)}
    state, seen = tx.init(params), []
    for _ in range(100):
        updates, state = tx.update({"w": np.ones(3, np.float32)}, state, params)
        seen.append(-float(updates["w"][0]))
    it = np.arange(100)
    down = 0.01 + 0.5 * (1 + np.cos(np.pi * (it - 20) / 60)) * 0.99
    want = np.where(it < 20, it / 20, np.where(it > 80, 0.01, down))
    np.testing.assert_allclose(seen, want, atol=2e-5)


def test_stages_go_on_with_the_learning_rate():
    options = (1.0, 100, {"warmup": 0.2, "decay": 0.8, "floor": 0.01})
    params = {"w": np.zeros(3, np.float32)}
    tx = base_models._from(options, 50)
    updates, _ = tx.update({"w": np.ones(3, np.float32)}, tx.init(params), params)
    want = 0.01 + 0.5 * (1 + np.cos(np.pi * 0.5)) * 0.99
    assert -float(updates["w"][0]) == pytest.approx(want, abs=2e-5)


@pytest.mark.long
def test_a_tiny_model_of_the_paper_world_is_trained_in_stages_and_decodes_every_set():
    world = {"scale": "paper", "grammars": [0, 2], "shortest": 4, "longest": 6}
    model = {"width": 16, "depth": 1, "heads": 2, "normed_stream": True, "positions": "sinusoidal"}
    schedule = {"warmup": 0.1, "decay": 1.0, "floor": 0.0}
    training = {"samples": 400, "steps": 40, "batch_size": 32, "lr": 3e-3, "stages": 2}
    made = base_models.base(world, model, {**training, "schedule": schedule}, 0)
    assert made["loss"].shape == (40,) and made["loss"][-1] < made["loss"][0] - 0.1
    net = base_models.network_of(world, model)
    params, drawn = net.params(made["parameters"]), base_models.world_of(world, 0)
    np.testing.assert_array_equal(net.vector(params), made["parameters"])
    for name in ("safe", "synonyms"):
        prompts = sa.draw_set(KEY, drawn, 16, name=name)
        written = np.asarray(base_models.written(world, model, params, prompts))
        forced = np.asarray(prompts.forced())
        np.testing.assert_array_equal(written[forced >= 0], forced[forced >= 0])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: sa.paper_world(grammars=()), "grammars"),
        (lambda: sa.paper_world(longest=40), "longest"),
        (lambda: sa.draw_set(KEY, MINI, 3, name="held_out_text"), "name"),
        (lambda: sa.draw_set(KEY, sa.paper_world(grammars=(1,)), 3, name="synonyms"), "synonyms"),
        (lambda: sa.pretraining_data(KEY, PAPER, 4, mixture=[0.5, 0.5]), "mixture"),
        (lambda: base_models.world_of({"scale": "large"}, 0), "scale"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call, word):
    with pytest.raises(InputError, match=word):
        call()
