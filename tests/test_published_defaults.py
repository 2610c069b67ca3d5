"""Defaults that were published are those of the publication.

Every other test gives these arguments, so none would see another default.
"""

import inspect

import jax
import pytest

from theorylab import collective, federated, mixtures, rmt, shift
from theorylab.ntk import infinite

PUBLISHED = [
    # Yu, Yang, Wei, Ma, Steinhardt 2022: the code of the Projection Norm
    (
        shift.FineTuning,
        {"steps": 500, "lr": 0.001, "momentum": 0.9, "batch_size": 128, "schedule": "cosine"},
    ),
    # Reddi et al. 2021, section 5: b1, b2 and tau are held at these
    (federated.fedadam, {"b1": 0.9, "b2": 0.99, "tau": 1e-3}),
    (federated.fedavgm, {"server_lr": 1.0, "server_momentum": 0.9}),
    # Li, Diao, Chen, He 2022: min_require_size of their code
    (federated.dirichlet_partition, {"min_size": 10}),
    # McMahan et al. 2017: plain descent, every client weighs by its examples
    (federated.LocalSGD, {"momentum": 0.0, "weight_decay": 0.0, "prox_mu": 0.0}),
    (federated.pad_clients, {"weights": "size"}),
    # Zhang & Sabuncu 2018; Nam et al. 2020
    (collective.gce_loss, {"q": 0.7}),
    (collective.LfF, {"q": 0.7, "ema": 0.7, "twin_rate": 1.0}),
    # Sagawa et al. 2020
    (collective.GroupDRO, {"step": 0.01}),
    # Miller et al. 2021
    (shift.accuracy_line, {"transform": "probit"}),
    # scikit-learn: C = 1 and fit_intercept, reg_covar
    (mixtures.fit_logistic, {"l2": 1.0, "intercept": True}),
    (mixtures.fit_mixture, {"floor": 1e-6}),
    # neural-tangents: W_std, b_std, eps
    (infinite.dense, {"sigma_w": 1.0, "sigma_b": 0.0}),
    (infinite.conv, {"sigma_w": 1.0, "sigma_b": 0.0, "strides": 1, "padding": "VALID"}),
    (infinite.layer_norm, {"eps": 1e-12}),
    (infinite.erf, {"a": 1.0, "b": 1.0, "c": 0.0}),
    (infinite.leaky_relu, {"negative_slope": float(-jax.nn.leaky_relu(-1.0))}),
    # the standard laws
    (rmt.MarchenkoPastur, {"s2": 1.0, "companion": False}),
    (rmt.Semicircle, {"s2": 1.0}),
    (rmt.bbp_covariance, {"s2": 1.0}),
]


@pytest.mark.parametrize(
    ("function", "published"), PUBLISHED, ids=[f.__name__ for f, _ in PUBLISHED]
)
def test_defaults_are_the_published_ones(function, published):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in published} == pytest.approx(published)
