"""The networks that released weights need, with the parameter names that OpenMixup wrote; and timm's."""

from .classifiers import Classifier, MixClassifier, MixedImages
from .foreign import ForeignClassifier, ForeignMixClassifier
from .named import check_name, make
from .resnet import ResNet, ResNetConfig

__all__ = [
    "Classifier",
    "ForeignClassifier",
    "ForeignMixClassifier",
    "MixClassifier",
    "MixedImages",
    "ResNet",
    "ResNetConfig",
    "check_name",
    "make",
]
