"""Figures of class imbalance. Each function returns a matplotlib Figure and opens no window; `ax` draws into given axes.

matplotlib is imported when a figure is drawn. A new figure shows itself in a notebook. The colour of a class is the same in
every figure; of several models in the same axes each has its line style. With more than 12 classes, lines and numbers that
nobody could read give way to colours. One figure a file; files that begin with `_` hold what figures share.
"""

from keras_imbalance.plots._axes import given_or_new as given_or_new
from keras_imbalance.plots.confusion_matrix import plot_confusion_matrix
from keras_imbalance.plots.per_class_history import plot_per_class_history
from keras_imbalance.plots.precision_recall import plot_precision_recall
from keras_imbalance.plots.reliability import plot_reliability
from keras_imbalance.plots.roc import plot_roc
from keras_imbalance.plots.sampling_distribution import plot_sampling_distribution
from keras_imbalance.plots.threshold import plot_threshold
from keras_imbalance.plots.tradeoff import plot_tradeoff

__all__ = [
    "plot_confusion_matrix",
    "plot_per_class_history",
    "plot_precision_recall",
    "plot_reliability",
    "plot_roc",
    "plot_sampling_distribution",
    "plot_threshold",
    "plot_tradeoff",
]
