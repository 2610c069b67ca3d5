"""Flax NNX models, their pure functions `f(params, x)`, and one training loop."""

from theorylab.nets.cnn import CNN
from theorylab.nets.depthwise import DepthwiseConv, depthwise_conv
from theorylab.nets.efficientnet import (
    EfficientNetLite0,
    efficientnet_inputs,
    load_efficientnet_lite0,
)
from theorylab.nets.fit import Fit, fit, fit_seeds
from theorylab.nets.functional import count_parameters, functional, functional_train, predict
from theorylab.nets.losses import accuracy, cross_entropy, mse
from theorylab.nets.mlp import MLP, NTKLinear
from theorylab.nets.resnet import ResNet
from theorylab.nets.resnet9 import ResNet9
from theorylab.nets.runner import DivergenceError
from theorylab.nets.transformer import Transformer

__all__ = [
    "CNN",
    "MLP",
    "DepthwiseConv",
    "DivergenceError",
    "EfficientNetLite0",
    "Fit",
    "NTKLinear",
    "ResNet",
    "ResNet9",
    "Transformer",
    "accuracy",
    "count_parameters",
    "cross_entropy",
    "depthwise_conv",
    "efficientnet_inputs",
    "fit",
    "fit_seeds",
    "functional",
    "functional_train",
    "load_efficientnet_lite0",
    "mse",
    "predict",
]
