"""The best that each class can reach at a given precision or recall, over all thresholds."""

from typing import Any, Unpack

import numpy as np

from keras_imbalance._core import check_number
from keras_imbalance._keras import register
from keras_imbalance.metrics.base import PerClassArguments
from keras_imbalance.metrics.binned import BinnedMetric, share_of


class BinnedArguments(PerClassArguments, total=False):
    """What a metric of binned scores takes: see `BinnedMetric`."""

    from_logits: bool
    num_bins: int | None


class OperatingPoint(BinnedMetric):
    """Base of the metrics of the best threshold: a subclass gives `best` of the curve's points."""

    def best(self, recall: Any, precision: Any, xp: Any) -> Any:
        """The value of each class `(C,)`, from recall and precision at each threshold, `(C, bins)`."""
        raise NotImplementedError

    def curve(self, positive: Any, negative: Any, xp: Any) -> tuple[Any, Any]:
        tp, fp = xp.cumsum(positive, axis=1), xp.cumsum(negative, axis=1)
        return self._best(tp, fp, xp), tp[:, -1] > 0

    def curve_bounds(self, positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tp, fp = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
        # At best all positives of a bin have higher scores than its negatives.
        return self._best(tp, fp, np), self._best(tp, fp - negative, np)

    def _best(self, tp, fp, xp):
        return self.best(share_of(tp, tp[:, -1:], xp), share_of(tp, tp + fp, xp), xp)


@register
class PerClassRecallAtPrecision(OperatingPoint):
    """Largest recall of each class among the thresholds whose precision is `precision` or more; 0 where none is.

    Logs `recall_at_precision/{class}` and the mean as `recall_at_precision`. As Keras's `RecallAtPrecision`, of every class
    against all others, with a threshold between any two bins of scores. The exact value is never less than this one, and
    `bounds()` tells how much more it may be. The mean goes over the classes that have positives.

    See `BinnedMetric` for the other arguments: by keyword from_logits, num_bins, class_names, zero_division (of a class without
    positives), average, log_classes, multi_label, ignore_class, axis, soft_labels, name ("recall_at_precision") and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        precision: the precision that is asked for, in [0, 1].

    Example:
    >>> import numpy as np
    >>> metric = PerClassRecallAtPrecision(2, precision=0.7)
    >>> metric.update_state(np.array([0, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.4, 0.6, 0.9])[:, None])
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'recall_at_precision/0': 1.0, 'recall_at_precision/1': 0.5, 'recall_at_precision': 0.75}

    Reference: Eban et al., Scalable Learning of Non-Decomposable Objectives, 2017.
    """

    default_name = "recall_at_precision"

    def __init__(self, num_classes: int, *, precision: float, **kwargs: Unpack[BinnedArguments]):
        super().__init__(num_classes, **kwargs)
        self.precision = check_number(precision, "precision", 0, 1)

    def best(self, recall: Any, precision: Any, xp: Any) -> Any:
        return xp.max(xp.where(precision >= self.precision, recall, xp.zeros_like(recall)), axis=1)

    def get_config(self) -> dict:
        return {**super().get_config(), "precision": self.precision}


@register
class PerClassPrecisionAtRecall(OperatingPoint):
    """Largest precision of each class among the thresholds whose recall is `recall` or more.

    Logs `precision_at_recall/{class}` and the mean as `precision_at_recall`. As Keras's `PrecisionAtRecall`, of every class
    against all others, with a threshold between any two bins of scores. The exact value is never less than this one, and
    `bounds()` tells how much more it may be. The mean goes over the classes that have positives.

    See `BinnedMetric` for the other arguments: by keyword from_logits, num_bins, class_names, zero_division (of a class without
    positives), average, log_classes, multi_label, ignore_class, axis, soft_labels, name ("precision_at_recall") and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        recall: the recall that is asked for, in [0, 1].

    Example:
    >>> import numpy as np
    >>> metric = PerClassPrecisionAtRecall(2, recall=1.0)
    >>> metric.update_state(np.array([0, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.4, 0.6, 0.9])[:, None])
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'precision_at_recall/0': 0.75, 'precision_at_recall/1': 0.667, 'precision_at_recall': 0.708}

    Reference: Eban et al., Scalable Learning of Non-Decomposable Objectives, 2017.
    """

    default_name = "precision_at_recall"

    def __init__(self, num_classes: int, *, recall: float, **kwargs: Unpack[BinnedArguments]):
        super().__init__(num_classes, **kwargs)
        self.recall = check_number(recall, "recall", 0, 1)

    def best(self, recall: Any, precision: Any, xp: Any) -> Any:
        return xp.max(xp.where(recall >= self.recall, precision, xp.zeros_like(precision)), axis=1)

    def get_config(self) -> dict:
        return {**super().get_config(), "recall": self.recall}
