"""Training under differential privacy: what is printed as epsilon is what was spent.

sigma = noise_multiplier(1.0, delta=1e-5, sampling_rate=0.01, steps=1000)
head = LinearHead("softmax")
training = Training(1000, step_size=0.5, clip=1.0, noise_multiplier=sigma, sampling_rate=0.01)
found = private_descent(head, head.start(40, 10), x, y, training=training, key=key)
training.epsilon(1e-5)                                    # 1.0
simulate_descents(head, ..., training=grid, keys=keys)    # seeds times settings, to study
"""

from theorylab.privacy.dp_sgd.calibration import noise_multiplier, spent_epsilon
from theorylab.privacy.dp_sgd.descent import (
    Descent,
    Training,
    private_descent,
    simulate_descents,
)
from theorylab.privacy.dp_sgd.gradients import LinearHead, PerExample

__all__ = [
    "Descent",
    "LinearHead",
    "PerExample",
    "Training",
    "noise_multiplier",
    "private_descent",
    "simulate_descents",
    "spent_epsilon",
]
