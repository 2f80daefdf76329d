"""One number for all classes, in which a rare class weighs as much as a common one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance import agreement, confusion
from keras_imbalance.backend import ops, register
from keras_imbalance.metrics.checks import is_number
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrixMetric


class SummaryMetric(ConfusionMatrixMetric):
    """Base of the metrics that give one number: `value` of a confusion matrix; with multi_label the mean over the labels."""

    _direction = "up"  # what EarlyStopping and ReduceLROnPlateau read in mode "auto"

    def __init__(
        self,
        num_classes: int,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes, None, threshold, multi_label, top_k, ignore_class, zero_division, name, dtype)

    def value(self, counts: Any) -> Any:
        """The number, from a confusion matrix `(C, C)`."""
        raise NotImplementedError

    def result(self) -> Any:
        self.check_neighbours()
        counts = self.confusion()
        if not self.multi_label:
            return self.value(counts)
        return ops.mean(ops.stack([self.value(counts[i]) for i in range(self.num_classes)]))

    def get_config(self) -> dict:
        config = super().get_config()
        del config["class_names"]
        return config


@register
class BalancedAccuracy(SummaryMetric):
    """Mean recall of the classes that have rows: accuracy, were all classes equally large.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids; the result is the mean over them. Defaults to False.
        top_k: a row counts as found when its true class is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: not used, since only classes with rows count; 0.
        name: defaults to "balanced_accuracy".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, and from `update_state` for labels that are none or soft.

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
        return agreement.balanced_accuracy(counts)


@register
class GeometricMean(SummaryMetric):
    """C-th root of the product of the recalls of all classes: 0 as soon as one class is never found.

    The classes are those labelled or predicted, as in imbalanced-learn's `geometric_mean_score(average="multiclass")`.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel.
        correction: what takes the place of a recall of 0, in [0, 1], so that one class does not hide the others.
            Defaults to 0.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids; the result is the mean over them. Defaults to False.
        top_k: a row counts as found when its true class is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        name: defaults to "geometric_mean".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = GeometricMean(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> round(float(metric.result()), 4)
    0.7071

    Reference: Kubat & Matwin, Addressing the Curse of Imbalanced Training Sets, 1997.
    """

    default_name = "geometric_mean"

    def __init__(
        self,
        num_classes: int,
        correction: float = 0.0,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes, threshold, multi_label, top_k, ignore_class, 0.0, name, dtype)
        if not is_number(correction) or not np.isfinite(correction) or not 0 <= correction <= 1:
            raise ValueError(f"`correction` must be in [0, 1]. Received: correction={correction!r}.")
        self.correction = float(correction)

    def value(self, counts: Any) -> Any:
        return agreement.geometric_mean(counts, self.correction)

    def get_config(self) -> dict:
        config = {**super().get_config(), "correction": self.correction}
        del config["zero_division"]
        return config


@register
class MacroF1(SummaryMetric):
    """Mean of the F1 scores of the classes that are labelled or predicted; with multi_label of all labels.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes both count.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a label that is neither true nor predicted: 0, 1 or NaN. Defaults to 0.
        name: defaults to "macro_f1".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = MacroF1(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> round(float(metric.result()), 4)
    0.6667
    """

    default_name = "macro_f1"

    def result(self) -> Any:
        self.check_neighbours()
        counts = self.confusion()
        return confusion.macro_mean(confusion.f_beta(counts, 1.0, self.zero_division), counts)
