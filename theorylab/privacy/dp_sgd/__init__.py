"""Training under differential privacy: what is printed as epsilon is what was spent.

    sigma = noise_multiplier(1.0, delta=1e-5, sampling_rate=0.01, steps=1000)
    head = LinearHead("softmax")
    training = Training(1000, step_size=0.5, clip=1.0, noise_multiplier=sigma, sampling_rate=0.01)
    found = private_descent(head, head.start(40, 10), x, y, training=training, key=key)
    training.epsilon(1e-5)                                    # 1.0
    simulate_descents(head, ..., training=grid, keys=keys)    # seeds times settings, to study

In the place of `head`: any loss, `ConvNet`, `GradientEmbedding` (GEP) or `AdaptiveScales` (AdaDPS);
before it: `private_pca`, `random_projection`. `noisy_sgd` is the algorithm of the theorem, n² steps
long. Whether all this spends what is printed: `theorylab.privacy.dp_sgd.audit`.
"""

from theorylab.privacy.dp_sgd.baselines import (
    AdaptiveScales,
    GradientEmbedding,
    private_pca,
    random_projection,
)
from theorylab.privacy.dp_sgd.calibration import noise_multiplier, spent_epsilon, total_epsilon
from theorylab.privacy.dp_sgd.cnn import ConvNet
from theorylab.privacy.dp_sgd.descent import (
    Descent,
    Training,
    private_descent,
    simulate_descents,
)
from theorylab.privacy.dp_sgd.gradients import LinearHead, PerExample
from theorylab.privacy.dp_sgd.noisy_sgd import (
    NoisySgdPlan,
    noisy_sgd,
    noisy_sgd_epsilon,
    noisy_sgd_plan,
)

__all__ = [
    "AdaptiveScales",
    "ConvNet",
    "Descent",
    "GradientEmbedding",
    "LinearHead",
    "NoisySgdPlan",
    "PerExample",
    "Training",
    "noise_multiplier",
    "noisy_sgd",
    "noisy_sgd_epsilon",
    "noisy_sgd_plan",
    "private_descent",
    "private_pca",
    "random_projection",
    "simulate_descents",
    "spent_epsilon",
    "total_epsilon",
]
