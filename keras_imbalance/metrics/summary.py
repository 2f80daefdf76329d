"""One number for all classes, in which a rare class weighs as much as a common one. The formulas stand in `functional`."""

from typing import Any, Unpack

from keras_imbalance._core import check_number, check_zero_division
from keras_imbalance._keras import more_is_better, ops, register
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.confusion_matrix import CountArguments, CountingMetric


@more_is_better
class SummaryMetric(CountingMetric):
    """Base of the metrics that give one number: `value` of the counts; with multi_label the mean over the labels.

    See `CountingMetric` for the arguments: num_classes, and by keyword threshold, top_k, multi_label, ignore_class, axis,
    soft_labels, name and dtype.
    """

    def value(self, counts: Any) -> Any:
        """The number, from a `functional.Tally` `(..., C)`, or of a metric that keeps a matrix from that, `(..., C, C)`.

        With multi_label `...` is the labels and C is 2: without and with the label.
        """
        raise NotImplementedError

    def result(self) -> Any:
        self.check_log_keys()
        if self.keeps_matrix:
            value = self.value(self.confusion())
        else:
            value = self.value(functional.each_label(self.tally()) if self.multi_label else self.tally())
        return ops.mean(value) if self.multi_label else value


@register
class BalancedAccuracy(SummaryMetric):
    """Mean recall of the classes that have rows: the accuracy if all classes were equally large.

    See `CountingMetric` for the arguments: num_classes, and by keyword threshold, top_k, multi_label (the result is the mean
    over the labels), ignore_class, axis, soft_labels, name ("balanced_accuracy") and dtype.

    Example:
    >>> import numpy as np
    >>> metric = BalancedAccuracy(2)
    >>> metric.update_state(np.array([0, 0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]))
    >>> float(metric.result())
    0.5

    `model.compile(optimizer, loss, metrics=[BalancedAccuracy(3)])`

    Reference: Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, 2010.
    """

    default_name = "balanced_accuracy"

    def value(self, counts: Any) -> Any:
        return functional.balanced_accuracy(counts, excluded=self.excluded())


@register
class GeometricMean(SummaryMetric):
    """C-th root of the product of the recalls of all classes: 0 as soon as one class is never found.

    The classes are those labelled or predicted, as in imbalanced-learn's `geometric_mean_score(average="multiclass")`.

    See `CountingMetric` for the other arguments: by keyword threshold, top_k, multi_label (the result is the mean over the
    labels), ignore_class, axis, soft_labels, name ("geometric_mean") and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        correction: what takes the place of a recall of 0, in [0, 1], so that one class does not hide the others.
            Defaults to 0.

    Example:
    >>> import numpy as np
    >>> metric = GeometricMean(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> round(float(metric.result()), 4)
    0.7071

    Reference: Kubat & Matwin, Addressing the Curse of Imbalanced Training Sets, 1997.
    """

    default_name = "geometric_mean"

    def __init__(self, num_classes: int, *, correction: float = 0.0, **kwargs: Unpack[CountArguments]):
        super().__init__(num_classes, **kwargs)
        self.correction = check_number(correction, "correction", 0, 1)

    def value(self, counts: Any) -> Any:
        return functional.geometric_mean(counts, correction=self.correction, excluded=self.excluded())

    def get_config(self) -> dict:
        return {**super().get_config(), "correction": self.correction}


@register
class MacroF1(SummaryMetric):
    """Mean of the F1 scores of the classes that are labelled or predicted; with multi_label of all labels.

    See `CountingMetric` for the other arguments: by keyword threshold, top_k, multi_label, ignore_class, axis, soft_labels,
    name ("macro_f1") and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel, whose two classes both count.
        zero_division: score of a label that is neither true nor predicted: 0, 1 or NaN. Defaults to 0.

    Example:
    >>> import numpy as np
    >>> metric = MacroF1(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> round(float(metric.result()), 4)
    0.6667

    Reference: Opitz & Burst, Macro F1 and Macro F1, 2019 (this is their averaged F1).
    """

    default_name = "macro_f1"

    def __init__(self, num_classes: int, *, zero_division: float = 0.0, **kwargs: Unpack[CountArguments]):
        super().__init__(num_classes, **kwargs)
        self.zero_division = check_zero_division(zero_division)

    def result(self) -> Any:
        self.check_log_keys()
        counts = self.tally()
        scores = functional.f_beta(counts, zero_division=self.zero_division)
        return functional.macro_mean(scores, counts, excluded=self.excluded())

    def get_config(self) -> dict:
        return {**super().get_config(), "zero_division": self.zero_division}
