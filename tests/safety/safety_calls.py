"""A valid call of every public function, for malformed ones and for fuzzing.

Apart from the tests, because it builds worlds and a network: collecting the tests should not.
"""

import jax
import numpy as np
import optax
from flax import nnx

from theorylab import safety as sa
from theorylab.nets import functional
from theorylab.nets.gpt import GPT
from theorylab.safety.jobs import job_items

KEY = jax.random.key(0)
SMALL = sa.Grammar({"v": [("a", 1), ("a",)], "a": [(0, 0), (2,)]}, "v", 3)
TEXTS = sa.texts([[0, 1, 1], [1, 0]])
CHAIN = sa.fit_markov(TEXTS, letters=2)
WORLD = sa.mini_world(KEY)
PROMPTS = sa.sample_prompts(KEY, WORLD, 3)
MAPS = np.array([[0, 1, 2], [2, 0, 1]])
PAIRS, LETTERS = np.array([[0, 1], [1, 1]]), np.array([[0, 2], [1, 1]])
TOKENS = np.array([[0, 1, 2, 1], [2, 2, 0, 1]])
WEIGHTS = np.ones(3)
LOGITS = np.zeros((2, 2, 3, 4), np.float32)
X, PAIR = sa.pair(TOKENS, TOKENS[::-1], WEIGHTS)
TARGETS = sa.next_tokens(TOKENS, WEIGHTS)[1]
NETWORK = GPT(4, 4, width=8, depth=1, heads=2, rngs=nnx.Rngs(0))
F, PARAMS = functional(NETWORK)
EMBEDDED, PLACES = np.ones((2, 3, 8), np.float32), np.array([[0, 1], [2, 0]])
SQUARE, ROWS = np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.5], [0.0, 2.0], [1.0, 1.0]])
PAPER_WORLD = sa.paper_world(grammars=(0,), shortest=3, longest=4)
PROMPT_SET = sa.draw_set(KEY, WORLD, 3, name="safe")
SCORES, LABELS = np.array([0.1, 0.4, 0.4]), np.array([0, 1, 0])
ITEMS = job_items(KEY, WORLD, {"new_safe": 20, "new_executed": 5})
SERVICE = sa.Service(F, lambda params, prompts: np.zeros((len(prompts), 11), int))


def decoded(tokens):
    return sa.decoded(tokens, sa.read_encoding(ITEMS, WORLD))


def even(params, tokens):
    """A network that predicts four tokens evenly."""
    return jax.numpy.zeros((*tokens.shape, 4))


def unlearning(preferred, dispreferred):
    return sa.unlearning_loss(preferred=preferred, dispreferred=dispreferred)(LOGITS, PAIR)


def dpo(preferred, dispreferred):
    return sa.dpo_loss(preferred=preferred, dispreferred=dispreferred)(LOGITS, PAIR)


def paired(f):
    return sa.paired(f)(None, X)


def activations(tokens, places):
    return sa.activations(F, PARAMS, tokens, places)["resid"]


def lipschitz(embeddings, start, of):
    return sa.local_lipschitz(F, PARAMS, embeddings, start, of=of)


def fragility(embeddings, slots, radius, steps):
    return sa.embedding_fragility(F, PARAMS, embeddings, TARGETS, slots, radius=radius, steps=steps)


SEQUENCES = sa.layout(WORLD, PROMPTS)
OUTCOMES = sa.Outcomes(np.array([[1, 9], [0, 3]]), np.array([[5, 0], [10, 2]]))
MIXTURE = sa.safety_mixture(KEY, WORLD, 2, unsafe={"none": 1.0})
TILT_LOGITS = np.zeros((2, 3, 4), np.float32)
TILT = sa.TiltTargets(np.zeros((2, 4), np.float32), np.full((2, 2, 4), -np.log(4), np.float32))


def attacked(prompts, attacks):
    def decode(params, tokens, forced):
        return np.zeros((len(tokens), 10), int)

    return sa.attack_outcomes(decode, None, WORLD, prompts, attacks)


def tilt_loss(outputs, beta):
    return sa.kl_regularised_loss(beta=beta)(outputs, TILT)


def tilted_logits(outputs):
    return sa.tilted_logits_loss(outputs, TILT)


def tilted_data(world, mixture, scale):
    def flat(params, tokens):
        return jax.numpy.zeros((*tokens.shape, 37))

    return sa.tilt_data(flat, {}, world, mixture, scale=scale)


def tuned(steps, batch_size, weights):
    tune = sa.compiled_tuning(
        lambda p, x: x * p["w"],
        loss=lambda out, y: (out - y) ** 2,
        optimizer=optax.sgd(0.1),
        steps=steps,
        batch_size=batch_size,
    )
    x = np.ones(4, np.float32)
    return tune({"w": np.float32(0.0)}, x, x, weights, KEY)


CALLS = [
    (sa.Grammar, {"rules": {"v": [(0, 1)]}, "root": "v", "letters": 2}),
    (sa.texts, {"tokens": [[0, 1], [1]]}),
    (sa.parse_grammar, {"text": "v -> 0 1 | 1", "letters": 2, "root": "v"}),
    (sa.paper_grammar, {"index": 1, "variant": "safe"}),
    (sa.length_distribution, {"grammar": SMALL}),
    (sa.length_moments, {"grammar": SMALL}),
    (sa.letter_counts, {"grammar": SMALL}),
    (sa.sample_yields, {"key": KEY, "grammar": SMALL, "n": 2}),
    (
        sa.sample_windows,
        {"key": KEY, "grammar": SMALL, "n": 2, "shortest": 1, "longest": 1},
    ),
    (sa.fit_markov, {"sample": TEXTS, "letters": 2, "order": 0, "pseudocount": 1.0}),
    (sa.log_likelihood, {"chain": CHAIN, "sample": TEXTS}),
    (sa.paper_operators, {"start": 0}),
    (sa.paper_kinds, {"index": 2}),
    (sa.is_unsafe, {"kinds": np.array([0, 1]), "operators": PAIRS, "branch": np.array([0, 1])}),
    (sa.execute, {"maps": MAPS, "operators": PAIRS, "text": LETTERS}),
    (
        sa.paper_layout,
        {
            "maps": sa.paper_operators(0),
            "operators": np.array([[0, 1, 2, 3], [4, 5, 6, 7]]),
            "sample": TEXTS,
            "refuse": False,
            "length": 20,
        },
    ),
    (sa.sample_paper_operators, {"key": KEY, "n": 3}),
    (
        sa.make_unsafe,
        {
            "key": KEY,
            "kinds": sa.paper_kinds(0),
            "operators": np.array([[0, 1, 2, 3], [4, 5, 6, 7]]),
            "branch": np.array([0, 1]),
        },
    ),
    (sa.pretraining_mixture, {"step": 3, "warmup": 4, "steps": 9}),
    (sa.mini_world, {"key": KEY}),
    (sa.sample_prompts, {"key": KEY, "world": WORLD, "n": 3, "purpose": "safe"}),
    (sa.with_encoding, {"prompts": PROMPTS, "encoding": 2}),
    (sa.layout, {"world": WORLD, "prompts": PROMPTS, "refuse": True}),
    (sa.loss_weights, {"text": 0.3}),
    (
        sa.verdicts,
        {"answer": TOKENS, "executed": TOKENS[:, 1:], "executed_share": 0.8, "null_share": 0.5},
    ),
    (sa.verdict_rates, {"judged": np.array([0, 1, 2])}),
    (sa.next_tokens, {"tokens": TOKENS, "weights": WEIGHTS}),
    (sa.pair, {"preferred": TOKENS, "dispreferred": TOKENS[::-1], "weights": WEIGHTS}),
    (sa.sequence_nll, {"outputs": LOGITS, "targets": PAIR}),
    (sa.sft_loss, {"outputs": LOGITS[:, 0], "targets": TARGETS}),
    (unlearning, {"preferred": 1.0, "dispreferred": 0.1}),
    (dpo, {"preferred": 0.1, "dispreferred": 0.01}),
    (paired, {"f": even}),
    (sa.with_reference, {"targets": PAIR, "g": sa.paired(even), "params": {}, "x": X}),
    (sa.tilted_policy, {"policy": [0.6, 0.4], "reward": [1.0, 0.0], "beta": 0.5}),
    (
        sa.ascend_policy,
        {
            "policy": np.array([0.6, 0.4]),
            "reward": np.array([1.0, 0.0]),
            "beta": 0.5,
            "steps": 2,
            "learning_rate": 1.0,
        },
    ),
    (sa.recover_permutation, {"encoded": PAIRS, "phrases": PAIRS, "letters": 2, "limit": 2}),
    (sa.operator_pair_law, {"purpose": "safe"}),
    (sa.equality_pattern, {"items": PAIRS}),
    (
        sa.auroc,
        {
            "scores": SCORES,
            "positive": LABELS,
            "positive_weights": SCORES,
            "negative_weights": SCORES,
        },
    ),
    (sa.log_odds_inspector, {"unsafe": PAIRS, "safe": PAIRS, "symbols": 2, "pseudocount": 1.0}),
    (sa.zero_failure_bound, {"n": 5, "confidence": 0.9}),
    (sa.detection_power, {"rate": 0.2, "n": 5}),
    (
        sa.exchanges_needed,
        {"rate": 0.2, "benign_rate": 0.1, "false_alarms": 0.05, "misses": 0.1},
    ),
    (sa.paper_world, {"grammars": (0, 2), "shortest": 3, "longest": 4}),
    (sa.draw_set, {"key": KEY, "world": WORLD, "n": 3, "name": "safe"}),
    (
        sa.judge,
        {
            "prompts": PROMPT_SET,
            "written": np.zeros((3, 10), int),
            "executed_share": 0.8,
            "null_share": 0.5,
        },
    ),
    (sa.pretraining_data, {"key": KEY, "world": WORLD, "n": 3}),
    (sa.tuning_data, {"key": KEY, "world": WORLD, "n": 3, "protocol": "dpo"}),
    (activations, {"tokens": TOKENS[:, :3], "places": PLACES}),
    (sa.tau, {"a": ROWS, "safe_mean": ROWS[0], "unsafe_mean": ROWS[1]}),
    (sa.separation, {"safe": ROWS.T, "unsafe": ROWS.T + 1.0}),
    (
        sa.null_space_projection,
        {"weight": SQUARE, "change": SQUARE, "energy": 0.9, "leading": 1},
    ),
    (sa.selectivity, {"change": SQUARE, "inputs": ROWS}),
    (sa.row_space_profile, {"change": SQUARE, "inputs": ROWS, "leading": 2}),
    (sa.spectrum, {"a": ROWS, "centred": True}),
    (lipschitz, {"embeddings": EMBEDDED, "start": np.array([1, 2]), "of": "prob"}),
    (sa.along_change, {"before": {"w": 1.0}, "after": {"w": 2.0}, "amount": 0.5}),
    (
        fragility,
        {"embeddings": EMBEDDED, "slots": PLACES, "radius": 0.5, "steps": 2},
    ),
    (sa.scoreboard, {"scores": {"norm": SCORES}, "positive": LABELS, "fpr": 0.1}),
    (sa.tpr_at_fpr, {"scores": SCORES, "positive": LABELS, "fpr": 0.1}),
    (sa.encoded_items, {"tokens": ITEMS}),
    (sa.read_encoding, {"tokens": ITEMS, "world": WORLD, "items": 5}),
    (sa.operator_weights, {"world": WORLD, "key": KEY}),
    (sa.executed_as_read, {"exchanges": ITEMS, "world": WORLD, "harmless_too": True}),
    (sa.safety_overlap, {"direction": SCORES}),
    (decoded, {"tokens": ITEMS}),
    (sa.detector, {"service": SERVICE, "name": "plain_eval"}),
    (sa.probe, {"service": SERVICE, "audits": [sa.Audit(PARAMS, WORLD)]}),
    (sa.Attack, {"prefix": True, "encoding": 1, "synonym": False, "letters": 2, "right": True}),
    (sa.with_attack, {"prompts": PROMPTS, "attack": sa.ATTACKS["prefix"]}),
    (sa.forced_answer, {"sequences": SEQUENCES, "attack": sa.ATTACKS["forced_2"]}),
    (attacked, {"prompts": PROMPTS, "attacks": ("none", "prefix")}),
    (
        sa.outcome_verdicts,
        {"outcomes": OUTCOMES, "executed_share": 0.8, "null_share": 0.5},
    ),
    (
        sa.attack_table,
        {"unsafe": OUTCOMES, "safe": OUTCOMES, "executed_share": 0.8, "null_share": 0.5},
    ),
    (sa.adaptive_rate, {"success": np.array([[0, 1], [1, 1]])}),
    (sa.union_excess, {"success": np.array([[0, 1], [1, 1]])}),
    (sa.union_bounds, {"rates": np.array([0.2, 0.4])}),
    (sa.normal_halfwidth, {"rate": np.array([0.2, 0.4]), "n": 10, "confidence": 0.9}),
    (sa.partial_coverage, {"share": 0.25}),
    (sa.in_formats, {"key": KEY, "prompts": PROMPTS, "shares": {"none": 1.0}}),
    (
        sa.safety_mixture,
        {"key": KEY, "world": WORLD, "n": 3, "unsafe": {"none": 1.0}, "safe": {"none": 1.0}},
    ),
    (sa.mixture_weights, {"mixture": MIXTURE, "safe_weight": 0.7}),
    (sa.supervised_data, {"world": WORLD, "mixture": MIXTURE}),
    (sa.unlikelihood_data, {"world": WORLD, "mixture": MIXTURE}),
    (sa.coverage_rates, {"capability": SCORES, "refusal": SCORES}),
    (sa.guarded_rate, {"rate": SCORES, "flagged": SCORES}),
    (tilt_loss, {"outputs": TILT_LOGITS, "beta": 0.5}),
    (tilted_logits, {"outputs": TILT_LOGITS}),
    (tilted_data, {"world": WORLD, "mixture": MIXTURE, "scale": 1.0}),
    (sa.decision_log_odds, {"logits": np.zeros((2, 37), np.float32)}),
    (sa.guard_symbols, {"world": WORLD, "sequences": SEQUENCES}),
    (sa.guard_scores, {"weights": SCORES, "symbols": PAIRS}),
    (tuned, {"steps": 2, "batch_size": 2, "weights": np.ones(4, np.float32)}),
]
SKIP = {paired: ("f",), sa.with_reference: ("g", "params")}  # functions their caller answers for
EXCUSED = {
    "Audit": "its parts are checked where it is used",
    "Line": "a result",
    "OperatingPoint": "a result",
    "ReadEncoding": "a result",
    "Service": "its parts are checked where it is used",
    "decoded": "called here by its name",
    "probe_auroc": "fits probes of a whole job: test_safety_detectors",
    "LengthMoments": "a result",
    "MarkovText": "a result",
    "MiniWorld": "a result",
    "PairTargets": "made by pair",
    "PaperSequences": "a result",
    "Prompts": "checked where it is used: the test below",
    "Recovery": "a result",
    "Sequences": "a result",
    "Targets": "made by next_tokens",
    "Texts": "made by texts",
    "TiltedFit": "a result",
    "VerdictRates": "a result",
    "unlearning_loss": "called by unlearning",
    "dpo_loss": "called by dpo",
    "MINI_KINDS": "a constant",
    "NullSpace": "a result",
    "PaperWorld": "made by paper_world",
    "PromptSet": "made by draw_set",
    "Separation": "a result",
    "Spectrum": "a result",
    "activations": "called here by its name",
    "local_lipschitz": "called by lipschitz",
    "embedding_fragility": "called by fragility",
    "SITES": "a constant",
    "MINI_SETS": "a constant",
    "PAPER_SETS": "a constant",
    "BAD": "a constant",
    "GOOD": "a constant",
    "UNCLEAR": "a constant",
    "ATTACKS": "a constant",
    "REWRITES": "a constant",
    "FORMATS": "a constant",
    "EVERY_FORMAT": "a constant",
    "GUARD_SYMBOLS": "a constant",
    "AttackTable": "a result",
    "Mixture": "made by safety_mixture",
    "Outcomes": "checked where it is used",
    "TiltTargets": "made by tilt_data",
    "UnionBounds": "a result",
    "attack_outcomes": "called by attacked",
    "kl_regularised_loss": "called by tilt_loss",
    "tilted_logits_loss": "called by tilted_logits",
    "tilt_data": "called by tilted_data",
    "compiled_tuning": "called by tuned",
}
