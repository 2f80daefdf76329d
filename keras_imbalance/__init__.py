"""Training Keras models on imbalanced classes: losses, rebalancing, callbacks and per-class metrics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# A saved model may hold what these rooms register, so importing the package is enough before loading one.
from keras_imbalance import decisions, layers, losses, metrics
from keras_imbalance.version import __version__

if TYPE_CHECKING:  # what the table below says, for type checkers and editors
    from keras_imbalance import callbacks, comparison, estimators, plots, sampling
    from keras_imbalance._core import class_prior, class_weights, count_classes, target_distribution
    from keras_imbalance._keras import load_tensorflow_addons
    from keras_imbalance.callbacks import (
        BackupAndRestore,
        ClassifierRetraining,
        DeferredReweighting,
        DynamicSampling,
        LearnableWeightScaling,
        PerClassLogger,
        PerClassTable,
        PerClassTensorBoard,
        Phase,
        PhasedTraining,
        ProgressiveSampling,
        ShortBar,
        TwoPhaseLearning,
        layerwise_optimizer,
    )
    from keras_imbalance.comparison import Comparison, Method, compare_methods, recommend
    from keras_imbalance.decisions import (
        MacroF1Decision,
        MinimumCostDecision,
        PriorCorrection,
        Temperature,
        Thresholds,
        TradeoffCurve,
        correct_prior,
        estimate_prior,
        minimum_cost_decision,
        tradeoff_curve,
        tune_macro_f1,
        tune_temperature,
        tune_thresholds,
    )
    from keras_imbalance.estimators import BalancedBagging, SampledClassifier
    from keras_imbalance.layers import ClassScaling, CosineDense, fold_into_head, initial_bias, tau_normalize
    from keras_imbalance.losses import (
        AsymmetricLoss,
        ClassBalancedLoss,
        CostMatrixLoss,
        FocalLoss,
        LDAMLoss,
        LogitAdjustedLoss,
        TverskyLoss,
        WeightedSum,
    )
    from keras_imbalance.metrics import (
        BalancedAccuracy,
        ClassificationReport,
        CohenKappa,
        ConfusionMatrix,
        ExpectedCost,
        GeometricMean,
        MacroF1,
        MatthewsCorrelation,
        PerClassAUC,
        PerClassAveragePrecision,
        PerClassF1,
        PerClassIoU,
        PerClassPrecision,
        PerClassPrecisionAtRecall,
        PerClassRecall,
        PerClassRecallAtPrecision,
        PerClassReport,
        PerClassSpecificity,
        classification_report,
    )
    from keras_imbalance.sampling import (
        SMOTE,
        ArraySampler,
        ClassSampler,
        StreamSampler,
        tomek_keep_indices,
        tomek_links,
    )

# Every public name by the room that it comes from. It loads on first use.
ROOM_OF = {
    "SMOTE": "sampling",
    "ArraySampler": "sampling",
    "AsymmetricLoss": "losses",
    "BackupAndRestore": "callbacks",
    "BalancedAccuracy": "metrics",
    "BalancedBagging": "estimators",
    "ClassBalancedLoss": "losses",
    "ClassSampler": "sampling",
    "ClassScaling": "layers",
    "ClassificationReport": "metrics",
    "ClassifierRetraining": "callbacks",
    "CohenKappa": "metrics",
    "Comparison": "comparison",
    "ConfusionMatrix": "metrics",
    "CosineDense": "layers",
    "CostMatrixLoss": "losses",
    "DeferredReweighting": "callbacks",
    "DynamicSampling": "callbacks",
    "ExpectedCost": "metrics",
    "FocalLoss": "losses",
    "GeometricMean": "metrics",
    "LDAMLoss": "losses",
    "LearnableWeightScaling": "callbacks",
    "LogitAdjustedLoss": "losses",
    "MacroF1": "metrics",
    "MacroF1Decision": "decisions",
    "MatthewsCorrelation": "metrics",
    "Method": "comparison",
    "MinimumCostDecision": "decisions",
    "PerClassAUC": "metrics",
    "PerClassAveragePrecision": "metrics",
    "PerClassF1": "metrics",
    "PerClassIoU": "metrics",
    "PerClassLogger": "callbacks",
    "PerClassPrecision": "metrics",
    "PerClassPrecisionAtRecall": "metrics",
    "PerClassRecall": "metrics",
    "PerClassRecallAtPrecision": "metrics",
    "PerClassReport": "metrics",
    "PerClassSpecificity": "metrics",
    "PerClassTable": "callbacks",
    "PerClassTensorBoard": "callbacks",
    "Phase": "callbacks",
    "PhasedTraining": "callbacks",
    "PriorCorrection": "decisions",
    "ProgressiveSampling": "callbacks",
    "SampledClassifier": "estimators",
    "ShortBar": "callbacks",
    "StreamSampler": "sampling",
    "Temperature": "decisions",
    "Thresholds": "decisions",
    "TradeoffCurve": "decisions",
    "TverskyLoss": "losses",
    "TwoPhaseLearning": "callbacks",
    "WeightedSum": "losses",
    "class_prior": "_core",
    "class_weights": "_core",
    "classification_report": "metrics",
    "compare_methods": "comparison",
    "correct_prior": "decisions",
    "count_classes": "_core",
    "estimate_prior": "decisions",
    "fold_into_head": "layers",
    "initial_bias": "layers",
    "layerwise_optimizer": "callbacks",
    "load_tensorflow_addons": "_keras",
    "minimum_cost_decision": "decisions",
    "recommend": "comparison",
    "target_distribution": "_core",
    "tau_normalize": "layers",
    "tomek_keep_indices": "sampling",
    "tomek_links": "sampling",
    "tradeoff_curve": "decisions",
    "tune_macro_f1": "decisions",
    "tune_temperature": "decisions",
    "tune_thresholds": "decisions",
}
ROOMS = ("callbacks", "comparison", "decisions", "estimators", "layers", "losses", "metrics", "plots", "sampling")
__all__ = [*ROOM_OF, *ROOMS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
