"""Outcomes and states from records of a platform: transfers of one side, counts and means."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from theorylab.checks import count, instance, real, within
from theorylab.errors import InputError
from theorylab.matching.bandits import MatchUCB, State
from theorylab.matching.markets import AnyArray, Outcome, as_floats, as_matching, empty, pairs
from theorylab.matching.sample_means import Sums, Typed, Unstructured
from theorylab.precision import as_float64, float64_inside, is_traced


@float64_inside
def outcome_from_rows(
    row_to_col: Int[AnyArray, "n"], tau_row: Float[AnyArray, "n"], m: int
) -> Outcome:
    """The outcome in which what a row receives is paid by its partner.

    Transfers cancel within every pair: tau of the column is minus that of its row. Give both sides
    to `Outcome` itself where a platform keeps or adds something.

    Args:
        row_to_col: (n,) column of each row, -1 when alone.
        tau_row: (n,) transfers that rows receive; 0 for those who are alone.
        m: number of columns.

    Returns:
        An `Outcome`.

    Raises:
        InputError: shapes that do not fit, a column taken twice, a transfer to a row that is alone,
            which nobody would pay.

    Source:
        Jagadeesan et al. (2021), section 2: transfers within a pair sum to 0.

    Examples:
        >>> outcome = outcome_from_rows([1, -1], [-11.0, 0.0], 3)
        >>> outcome.tau_col.tolist()
        [0.0, 11.0, 0.0]
    """
    m = count("m", m, at_least=0)
    n = 0 if empty(row_to_col) else len(real("row_to_col", row_to_col, ndim=1))
    mate, tau = as_matching(row_to_col, n, m), as_floats("tau_row", tau_row)
    if tau.shape != (n,):
        raise InputError(
            f"tau_row has shape {tau.shape}; one transfer for each row of row_to_col, ({n},), is "
            "needed"
        )
    if not is_traced(mate, tau) and (np.asarray(tau)[np.asarray(mate) < 0] != 0).any():
        raise InputError("tau_row is not 0 for a row that is alone; nobody pays its transfer")
    paid = jnp.where(pairs(mate, m), tau[:, None], 0.0).sum(0)
    return Outcome(mate, tau, 0.0 - paid)


@float64_inside
def state_from_means(
    algorithm: MatchUCB,
    counts: Float[AnyArray, "a b"],
    mean_row: Float[AnyArray, "a b"],
    mean_col: Float[AnyArray, "a b"],
) -> State:
    """The state in which `MatchUCB` would be after these observations, from counts and means.

    Use it to begin with what is on record from before. The next `propose` searches prices from
    nothing, which costs time and no more: matching and prices do not depend on where it starts.

    Args:
        algorithm: what `match_ucb` makes of an `unstructured` or a `typed` model; a `linear` one
            learns from contexts that counts and means do not tell.
        counts: (n, m) how often each pair was seen, or (a, b) each pair of types.
        mean_row, mean_col: (n, m) or (a, b) mean of what the pair's row and column reported;
            ignored where the count is 0, may be NaN there.

    Returns:
        A `State`, for `propose`.

    Raises:
        InputError: another algorithm or model, shapes that do not fit, counts that are no whole
            numbers from 0, means that are not finite where something was seen.

    Source:
        Jagadeesan et al. (2021), section 4: counts and means are all that its intervals use.

    Examples:
        >>> from theorylab.matching import match_ucb, unstructured
        >>> algorithm = match_ucb(unstructured((1, 2), horizon=100, width=0.1))
        >>> state = state_from_means(algorithm, [[4, 0]], [[0.5, np.nan]], [[0.25, np.nan]])
        >>> bounds = algorithm.model.intervals(state.knowledge)
        >>> bounds.high_row.round(3).tolist(), bounds.low_col.round(3).tolist()
        ([[0.619, 1.0]], [[0.131, -1.0]])
    """
    instance("algorithm", algorithm, MatchUCB, "what match_ucb makes")
    model = algorithm.model
    instance("algorithm.model", model, (Unstructured, Typed), "an unstructured or typed model")
    start = algorithm.init()
    shape = np.shape(start.knowledge.count)
    seen = within("counts", counts, 0.0, whole=True, shape=shape)
    sums = []
    for name, mean in (("mean_row", mean_row), ("mean_col", mean_col)):
        given = as_float64(real(name, mean, shape=shape))
        sums.append(as_floats(name, jnp.where(jnp.asarray(seen) > 0, seen * given, 0.0)))
    return State(Sums(as_float64(seen), *sums), start.prices)
