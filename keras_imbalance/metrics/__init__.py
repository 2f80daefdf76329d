"""Metrics of every class: Keras metrics over three sums a class, a confusion matrix or binned scores; the report of a data set.

- `functional`: the formulas of all scores, pure functions of a confusion matrix or of the counts of each class
- `confusion_matrix`, `binned`: what counts a batch inside fit; `base`: arguments, keys of the logs; `counting`: labels, weights
- `per_class`, `per_class_report`: a value a class of decisions; `average_precision`, `operating_point`: of the ranking
- `summary`, `agreement`: one number
- `classification_report`: all scores of given labels and predictions; `counted_pairs`: what it counts; `report`: the table,
  `intervals`, `report_html`
"""

from keras_imbalance.metrics import functional
from keras_imbalance.metrics.agreement import CohenKappa, ExpectedCost, MatthewsCorrelation
from keras_imbalance.metrics.average_precision import PerClassAUC, PerClassAveragePrecision
from keras_imbalance.metrics.base import ClassMetric, PerClassMetric
from keras_imbalance.metrics.binned import BinnedMetric
from keras_imbalance.metrics.classification_report import classification_report
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrix, CountingMetric
from keras_imbalance.metrics.operating_point import PerClassPrecisionAtRecall, PerClassRecallAtPrecision
from keras_imbalance.metrics.per_class import (
    PerClassF1,
    PerClassIoU,
    PerClassPrecision,
    PerClassRecall,
    PerClassScore,
    PerClassSpecificity,
)
from keras_imbalance.metrics.per_class_report import PerClassReport
from keras_imbalance.metrics.report import ClassificationReport
from keras_imbalance.metrics.summary import BalancedAccuracy, GeometricMean, MacroF1, SummaryMetric

__all__ = [
    "BalancedAccuracy",
    "BinnedMetric",
    "ClassMetric",
    "ClassificationReport",
    "CohenKappa",
    "ConfusionMatrix",
    "CountingMetric",
    "ExpectedCost",
    "GeometricMean",
    "MacroF1",
    "MatthewsCorrelation",
    "PerClassAUC",
    "PerClassAveragePrecision",
    "PerClassF1",
    "PerClassIoU",
    "PerClassMetric",
    "PerClassPrecision",
    "PerClassPrecisionAtRecall",
    "PerClassRecall",
    "PerClassRecallAtPrecision",
    "PerClassReport",
    "PerClassScore",
    "PerClassSpecificity",
    "SummaryMetric",
    "classification_report",
    "functional",
]
