"""Metrics that hear every class: views over one confusion matrix."""

from keras_imbalance.metrics.agreement import CohenKappa, ExpectedCost, MatthewsCorrelation
from keras_imbalance.metrics.average_precision import PerClassAveragePrecision
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrix
from keras_imbalance.metrics.per_class import PerClassF1, PerClassPrecision, PerClassRecall, PerClassSpecificity
from keras_imbalance.metrics.report import PerClassReport
from keras_imbalance.metrics.summary import BalancedAccuracy, GeometricMean, MacroF1

__all__ = [
    "BalancedAccuracy",
    "CohenKappa",
    "ConfusionMatrix",
    "ExpectedCost",
    "GeometricMean",
    "MacroF1",
    "MatthewsCorrelation",
    "PerClassAveragePrecision",
    "PerClassF1",
    "PerClassPrecision",
    "PerClassRecall",
    "PerClassReport",
    "PerClassSpecificity",
]
