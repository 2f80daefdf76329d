"""Training Keras models on imbalanced classes: losses, rebalancing, callbacks and per-class metrics."""

from typing import TYPE_CHECKING

from keras_imbalance.addons import load_tensorflow_addons
from keras_imbalance.callbacks import (
    BackupAndRestore,
    ClassifierRetraining,
    DeferredReweighting,
    DynamicSampling,
    LearnableWeightScaling,
    PerClassLogger,
    PerClassTensorBoard,
    Phase,
    PhasedTraining,
    ProgressiveSampling,
    TrainingState,
    TwoPhaseLearning,
)
from keras_imbalance.class_counts import class_prior, class_weights, count_classes, target_distribution
from keras_imbalance.decisions import (
    Temperature,
    Thresholds,
    correct_prior,
    estimate_prior,
    minimum_cost_decision,
    tune_temperature,
    tune_thresholds,
)
from keras_imbalance.ensemble import BalancedBagging
from keras_imbalance.layers import ClassScaling, CosineDense, MinimumExpectedCost, PriorCorrection
from keras_imbalance.losses import (
    AsymmetricLoss,
    ClassBalancedLoss,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
)
from keras_imbalance.metrics import (
    BalancedAccuracy,
    CohenKappa,
    ConfusionMatrix,
    ExpectedCost,
    GeometricMean,
    MacroF1,
    MatthewsCorrelation,
    PerClassAveragePrecision,
    PerClassF1,
    PerClassPrecision,
    PerClassRecall,
    PerClassReport,
    PerClassSpecificity,
)
from keras_imbalance.reports import ClassificationReport, classification_report
from keras_imbalance.retraining import layerwise_optimizer, tau_normalize
from keras_imbalance.version import __version__

if TYPE_CHECKING:
    from keras_imbalance.sampling import SMOTE, ArraySampler, StreamSampler, remove_tomek_links, tomek_links

__all__ = [
    "SMOTE",
    "ArraySampler",
    "AsymmetricLoss",
    "BackupAndRestore",
    "BalancedAccuracy",
    "BalancedBagging",
    "ClassBalancedLoss",
    "ClassScaling",
    "ClassificationReport",
    "ClassifierRetraining",
    "CohenKappa",
    "ConfusionMatrix",
    "CosineDense",
    "CostMatrixLoss",
    "DeferredReweighting",
    "DynamicSampling",
    "ExpectedCost",
    "FocalLoss",
    "GeometricMean",
    "LDAMLoss",
    "LearnableWeightScaling",
    "LogitAdjustedLoss",
    "MacroF1",
    "MatthewsCorrelation",
    "MinimumExpectedCost",
    "PerClassAveragePrecision",
    "PerClassF1",
    "PerClassLogger",
    "PerClassPrecision",
    "PerClassRecall",
    "PerClassReport",
    "PerClassSpecificity",
    "PerClassTensorBoard",
    "Phase",
    "PhasedTraining",
    "PriorCorrection",
    "ProgressiveSampling",
    "StreamSampler",
    "Temperature",
    "Thresholds",
    "TrainingState",
    "TwoPhaseLearning",
    "__version__",
    "class_prior",
    "class_weights",
    "classification_report",
    "correct_prior",
    "count_classes",
    "estimate_prior",
    "layerwise_optimizer",
    "load_tensorflow_addons",
    "minimum_cost_decision",
    "remove_tomek_links",
    "target_distribution",
    "tau_normalize",
    "tomek_links",
    "tune_temperature",
    "tune_thresholds",
]

_SAMPLING = ("ArraySampler", "SMOTE", "StreamSampler", "remove_tomek_links", "tomek_links")


def __getattr__(name):
    # Sampling is the one part that needs TensorFlow, whatever backend Keras runs on.
    if name in _SAMPLING or name == "sampling":
        import importlib

        sampling = importlib.import_module("keras_imbalance.sampling")
        return sampling if name == "sampling" else getattr(sampling, name)
    raise AttributeError(f"module 'keras_imbalance' has no attribute {name!r}")


def __dir__():
    # Names that load on first use are completed like the others.
    return sorted({*globals(), *_SAMPLING})
