"""What must hold exactly."""

from theorylab.lab import Claim
from theorylab.papers.corrective_unlearning.claims.shared import CODE
from theorylab.papers.corrective_unlearning.measures import (
    batch_means,
    dampening,
    example,
    frozen,
    schedule,
)

IDENTITIES = (
    Claim(
        "worked_example",
        "SSD with alpha = 2 and lambda = 1 takes (1, -2, .5, 3, 4) to (.25, -2, .5, 0, .2)",
        "our derivation: the formula of SSD by hand; I_f = alpha I_r is not selected",
        ("identities",),
        example(),
        {"selection from alpha on": example("example_at_least")},
        kind="identity",
    ),
    Claim(
        "dampening",
        "SSD never enlarges a parameter, does nothing at infinite alpha or lambda, and does not "
        "depend on the common scale of the importances",
        "our derivation: the minimum with 1, and ratios alone, in the formula of SSD",
        ("identities",),
        dampening(),
        {"no minimum with 1": dampening("growth_unclipped")},
        kind="identity",
    ),
    Claim(
        "batch_means",
        "Importances of batch means are those of single samples at batch size 1 and never larger "
        "beyond; at 64 an entry is less than half",
        "our derivation: Jensen's inequality",
        ("identities",),
        batch_means(),
        {"the two semantics exchanged": batch_means(batches=False)},
        kind="identity",
    ),
    Claim(
        "frozen_layers",
        "CF-k and EU-k leave frozen layers as they are to the last bit, running statistics of "
        "batch norm included",
        f"{CODE}: layers but the last k run in eval mode",
        ("identities",),
        frozen("cf", "eu"),
        {"all layers trained": frozen("all")},
        kind="identity",
    ),
    Claim(
        "schedule",
        "The learning rate of 1,000 steps from .025: .00227 at first, .025 at step 10, .00522 at "
        "the end",
        f"{CODE}: its linear schedule",
        ("identities",),
        schedule(),
        {"a rate 1 % higher": schedule(1.01)},
        kind="identity",
    ),
)
