"""The networks that released weights need, with the parameter names that OpenMixup wrote."""

from .classifiers import Classifier, MixClassifier, MixedImages
from .resnet import ResNet, ResNetConfig

__all__ = ["Classifier", "MixClassifier", "MixedImages", "ResNet", "ResNetConfig"]
