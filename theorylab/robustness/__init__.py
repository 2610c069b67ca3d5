"""Robustness: attacks on any classifier `f(params, x)`.

An attack takes a batch of samples with their labels and gives samples of the same shape:

    x_adv = pgd(f, params, x, y, eps=8 / 255)                  # l-inf, 10 steps, inside [0, 1]
    x_adv = fgsm(f, params, x, y, eps=1.0, norm="l2")          # one step
"""

from theorylab.robustness.attacks import fgsm, pgd, project

__all__ = ["fgsm", "pgd", "project"]
