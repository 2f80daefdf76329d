"""Per-class metrics: views over one confusion matrix."""

from keras_imbalance.metrics.per_class import PerClassF1, PerClassPrecision, PerClassRecall

__all__ = ["PerClassF1", "PerClassPrecision", "PerClassRecall"]
