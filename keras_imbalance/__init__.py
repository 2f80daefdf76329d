"""Training Keras models on imbalanced classes: losses, rebalancing, callbacks and per-class metrics."""

from typing import TYPE_CHECKING

from keras_imbalance.callbacks import DynamicSampling, TwoPhaseLearning
from keras_imbalance.class_counts import class_prior, class_weights, count_classes, target_distribution
from keras_imbalance.layers import CosineDense
from keras_imbalance.losses import (
    AsymmetricLoss,
    ClassBalancedLoss,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
)
from keras_imbalance.metrics import PerClassF1, PerClassPrecision, PerClassRecall
from keras_imbalance.version import __version__

if TYPE_CHECKING:
    from keras_imbalance.sampling import SMOTE, ArraySampler, remove_tomek_links, tomek_links

__all__ = [
    "SMOTE",
    "ArraySampler",
    "AsymmetricLoss",
    "ClassBalancedLoss",
    "CosineDense",
    "CostMatrixLoss",
    "DynamicSampling",
    "FocalLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "PerClassF1",
    "PerClassPrecision",
    "PerClassRecall",
    "TwoPhaseLearning",
    "__version__",
    "class_prior",
    "class_weights",
    "count_classes",
    "remove_tomek_links",
    "target_distribution",
    "tomek_links",
]

_SAMPLING = ("ArraySampler", "SMOTE", "remove_tomek_links", "tomek_links")


def __getattr__(name):
    # Sampling is the one part that needs TensorFlow, whatever backend Keras runs on.
    if name in _SAMPLING or name == "sampling":
        import importlib

        sampling = importlib.import_module("keras_imbalance.sampling")
        return sampling if name == "sampling" else getattr(sampling, name)
    raise AttributeError(f"module 'keras_imbalance' has no attribute {name!r}")
