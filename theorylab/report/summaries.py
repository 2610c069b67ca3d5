"""What each of the seventeen papers says, in two or three plain sentences, for the head of its
page."""

from collections.abc import Mapping
from types import MappingProxyType

SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "tct": "Federated learning with dissimilar clients ends far below centralised training, "
        "because the problem is "
        "not convex. Train-Convexify-Train first runs FedAvg, then replaces the network by its "
        "tangent kernel at the "
        "weights it has reached, and solves the convex problem that results with SCAFFOLD.",
        "more_than_a_toy": "Generalised cross-validation, computed from the training set alone, "
        "predicts the test risk "
        "of kernel regression on real network representations, where norm-based bounds and the "
        "spectrum alone do not. "
        "Random-matrix theory says why, and when it must fail.",
        "projection_norm": "How wrong is a classifier on shifted data without labels? Fine-tune a "
        "fresh copy on its "
        "own pseudo-labels and measure how far its weights end from those of a reference: the "
        "farther, the larger the "
        "error out of distribution.",
        "matching_markets": "Matching markets with money, where the platform learns what agents "
        "want only from what "
        "they report of the matches they get. Subset Instability measures how far an outcome is "
        "from stable, and "
        "optimistic algorithms keep its sum over rounds near the square root of their number.",
        "learning_augmented": "Online algorithms with predictions trade consistency (good "
        "predictions) for robustness "
        "(bad ones). The paper finds the best possible trade-off for ski rental and for "
        "scheduling two jobs.",
        "covert_finetuning": "A customer can change a model through a fine-tuning interface "
        "although every data point "
        "looks innocuous and every check of the provider passes. Here as a measurement of "
        "defences, on an abstract "
        "grammar.",
        "jailbroken": "Two failure modes of safety training predict which inputs break it: "
        "competing objectives and "
        "mismatched generalisation. Here on the abstract prompts of a synthetic grammar.",
        "safety_finetuning": "What safety fine-tuning changes inside a model: a small, low-rank "
        "change of weights that "
        "moves unsafe prompts to a cluster of their own. Jailbreaks look like safe prompts to "
        "that change.",
        "wrong_line": "Accuracy in and out of distribution usually rise together. Label noise and "
        "nuisance features "
        "suffice to turn the line around: a model that memorises wrong labels does so with "
        "features that harm it "
        "after the shift.",
        "collective_action": "A few people who agree on a signal can steer a classifier trained "
        "on everybody's data. "
        "How much they can depends on the learning algorithm: re-weighting learners amplify small "
        "collectives.",
        "private_preprocessing": "Imputing, scaling or PCA on private data before a "
        "differentially private algorithm "
        "couples the records, so the guarantee of the algorithm alone is wrong. The paper bounds "
        "what it really is.",
        "dp_online": "Without privacy the number of mistakes of an online learner need not grow "
        "with the number of "
        "rounds. With differential privacy it must, as the logarithm, for every learner of a wide "
        "class.",
        "corrective_unlearning": "Remove the effect of manipulated training data when only a part "
        "of it has been "
        "found. Retraining without that part is not enough.",
        "ssl_lower_bound": "Can semi-supervised learning beat both supervised and unsupervised "
        "learning by more than a "
        "constant? For two-Gaussian mixtures the minimax rate says no, for every signal-to-noise "
        "ratio; constants can "
        "still be gained, and are.",
        "certified_training": "Training with a provable certificate costs accuracy, standard and "
        "robust, against "
        "adversarial training: the more so the more the perturbations align with the signal and "
        "the smaller the "
        "margin.",
        "semi_private": "A little private labelled data and public unlabelled data: project the "
        "private features on "
        "the principal components of the public ones, at no cost in privacy, and private training "
        "gains accuracy.",
        "certified_ensembles": "When is an ensemble of robust classifiers more robust than each "
        "member, and when less? "
        "A theory of Lipschitz continuity with respect to convex sets gives the exact certificate.",
    }
)
