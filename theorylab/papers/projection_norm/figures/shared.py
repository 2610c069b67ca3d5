"""What figures of several subjects share."""

SHORT = {
    "pn": "Projection Norm",
    "conf": "1 - ConfScore",
    "entropy": "Entropy",
    "atc": "ATC",
    "cot": "COT",
    "agree_head": "Agree, other head",
    "agree_independent": "Agree, independent",
    "rotation": "Rotation",
    "nuclear": "1 - nuclear norm",
    "pn_base": "PN to theta_hat",
}

OURS = (
    "Corruptions, networks and pre-training are our own; the paper has CIFAR-10-C and "
    "ImageNet-pre-trained networks."
)
