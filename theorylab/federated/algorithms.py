"""Federated algorithms by their names: each is an `Algorithm`, whose rounds `rounds` makes.

Source: FedAvg, McMahan et al. (2017), algorithm 1; FedProx, Li et al. (2020), algorithm 2;
SCAFFOLD, Karimireddy et al. (2020), algorithm 1 with option II; FedNova, Wang et al. (2020);
FedAvgM, Hsu et al. (2019); FedAdam and server optimizers, Reddi et al. (2021), algorithm 2.
"""

from dataclasses import replace
from typing import Any

import optax

from theorylab import checks
from theorylab.federated.local import LocalSGD, with_local
from theorylab.federated.rounds import AVERAGING, Algorithm


def fedavg(
    local: LocalSGD | None = None,
    *,
    server_optimizer: optax.GradientTransformation = AVERAGING,
    clients_per_round: int | None = None,
    carry_momentum: bool = False,
    **options: Any,
) -> Algorithm:
    """Make FedAvg: local SGD, then the weighted average of the client models.

    Use it as the baseline; `scaffold` corrects its drift on dissimilar clients, `fednova` its bias
    where clients make different numbers of steps.

    Args:
        local: what a client does; or give its options one by one.
        server_optimizer: any optax optimizer of the pseudo-gradient; `optax.sgd(1.0)` is plain
            averaging.
        clients_per_round: how many take part, drawn again every round; None for all.
        carry_momentum: keep the clients' momentum buffers from round to round.
        options: of `LocalSGD`: lr, epochs, steps, batch_size, ...

    Returns:
        An `Algorithm`.

    Raises:
        InputError: both `local` and options, or options that `LocalSGD` refuses.

    Examples:
        >>> import numpy as np
        >>> fedavg(lr=0.1, epochs=5, batch_size=64).local.step_counts(np.array([64, 65])).tolist()
        [5, 10]
    """
    return Algorithm(
        name="fedavg",
        local=with_local(local, options),
        server=server_optimizer,
        clients_per_round=clients_per_round,
        carry_momentum=carry_momentum,
    )


def fedprox(local: LocalSGD | None = None, *, mu: float, **options: Any) -> Algorithm:
    """Make FedProx: FedAvg with the local loss f_i(v) + mu/2 |v - w|^2.

    Use it where local training runs far from the average w; mu = 0 is `fedavg`.

    Args:
        local: what a client does; or give its options one by one.
        mu: weight of the proximal term, >= 0; the field tries 0.001, 0.01, 0.1 and 1.
        options: of `LocalSGD` and of `fedavg`.

    Returns:
        An `Algorithm`.

    Raises:
        InputError: as `fedavg`; a negative mu.
    """
    checks.number("mu", mu, 0)
    return replace(fedavg(local, prox_mu=mu, **options), name="fedprox")


def scaffold(local: LocalSGD | None = None, **options: Any) -> Algorithm:
    """Make SCAFFOLD: local steps corrected by c - c_i (option II).

    Use it where clients are dissimilar and the loss is convex or nearly so; on deep networks its
    corrections may not help. On least squares, `scaffold_gram` gives its iterates at once.
    c_i+ = c_i - c + (w - v_i) / (a_i lr), c+ = c + sum over the chosen of p_i (c_i+ - c_i), so that
    c = sum_i p_i c_i always. With momentum, a_i instead of tau_i keeps c_i in the units of a
    gradient.

    Args:
        local: what a client does; or give its options one by one.
        options: of `LocalSGD` and of `fedavg`.

    Returns:
        An `Algorithm`.

    Raises:
        InputError: as `fedavg`; momentum that is carried.
    """
    return replace(fedavg(local, **options), name="scaffold", controls=True)


def fednova(local: LocalSGD | None = None, **options: Any) -> Algorithm:
    """Make FedNova: displacements over each client's effective number of steps, then the average.

    Use it where clients make different numbers of local steps; with equal ones it is `fedavg`.

    Args:
        local: what a client does; or give its options one by one.
        options: of `LocalSGD` and of `fedavg`.

    Returns:
        An `Algorithm`.

    Raises:
        InputError: as `fedavg`; momentum that is carried.
    """
    return replace(fedavg(local, **options), name="fednova", normalised=True)


def fedavgm(
    local: LocalSGD | None = None,
    *,
    server_lr: float = 1.0,
    server_momentum: float = 0.9,
    **options: Any,
) -> Algorithm:
    """Make FedAvgM: FedAvg with momentum at the server.

    Args:
        local: what a client does; or give its options one by one.
        server_lr: step size of the server.
        server_momentum: of the server, in [0, 1[.
        options: of `LocalSGD` and of `fedavg`.

    Returns:
        An `Algorithm`.

    Raises:
        InputError: as `fedavg`; a step size or momentum out of range.
    """
    _server_rate(server_lr)
    checks.number("server_momentum", server_momentum, 0, 1, open_high=True)
    return replace(
        fedavg(local, server_optimizer=optax.sgd(server_lr, server_momentum), **options),
        name="fedavgm",
    )


def fedadam(
    local: LocalSGD | None = None,
    *,
    server_lr: float,
    b1: float = 0.9,
    b2: float = 0.99,
    tau: float = 1e-3,
    **options: Any,
) -> Algorithm:
    """Make FedAdam: FedAvg with Adam at the server.

    optax corrects the moments' bias; Reddi et al. do not.

    Args:
        local: what a client does; or give its options one by one.
        server_lr: step size of the server.
        b1, b2: decay of the two moments.
        tau: the epsilon of Adam; large ones make it less adaptive.
        options: of `LocalSGD` and of `fedavg`.

    Returns:
        An `Algorithm`.

    Raises:
        InputError: as `fedavg`; values out of range.
    """
    _server_rate(server_lr)
    for name, value in (("b1", b1), ("b2", b2)):
        checks.number(name, value, 0, 1, open_high=True)
    checks.number("tau", tau, 0, open_low=True)
    return replace(
        fedavg(local, server_optimizer=optax.adam(server_lr, b1, b2, eps=tau), **options),
        name="fedadam",
    )


def centralized(local: LocalSGD | None = None, **options: Any) -> Algorithm:
    """Make SGD on the pooled data, the upper reference of a federated run.

    A "round" is the local training of the one who holds everything. Momentum is carried over the
    rounds, as in one undisturbed run.

    Args:
        local: what is done in a round; or give its options one by one.
        options: of `LocalSGD`.

    Returns:
        An `Algorithm`, which pools the clients by itself.

    Raises:
        InputError: as `fedavg`.
    """
    local = with_local(local, options)
    return Algorithm(
        name="centralized", local=local, carry_momentum=local.momentum > 0, pooled=True
    )


def _server_rate(server_lr: Any) -> None:
    if not callable(server_lr):  # an optax schedule is
        checks.number("server_lr", server_lr, 0, open_low=True)
