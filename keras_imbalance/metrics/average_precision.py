"""How well the scores of each class rank, whatever the threshold: areas under two curves."""

from typing import Any

import numpy as np

from keras_imbalance._keras import register
from keras_imbalance.metrics.binned import BinnedMetric, share_of


@register
class PerClassAveragePrecision(BinnedMetric):
    """Area under each class's precision-recall curve, from binned scores. Logs `{name}/{class}` and the mean as `{name}`.

    AP = sum_b (R_b - R_(b-1)) P_b over bins of equal width in the log-odds of the score, from -16 to 16, so that scores near 0
    are told apart too. Scores in one bin count as tied; `bounds()` gives two values between which the exact one lies, and a
    larger `num_bins` brings them together. The mean goes over the classes that have positives. With P_b and N_b the weight of
    positives and negatives in a bin, TP and FP that above it and P all positives, the bounds are

        sum_b P_b / P * TP / (TP + FP + N_b)   and   sum_b P_b / P * (TP + P_b) / (TP + P_b + FP)

    See `BinnedMetric` for the arguments: num_classes, and by keyword from_logits, num_bins, class_names, zero_division (of a
    class without positives), average, log_classes, multi_label, ignore_class, axis, soft_labels, name ("average_precision") and
    dtype.

    Example:
    >>> import numpy as np
    >>> metric = PerClassAveragePrecision(2, class_names=["ok", "fraud"])
    >>> metric.update_state(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.9])[:, None])
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'average_precision/ok': 0.833, 'average_precision/fraud': 0.833, 'average_precision': 0.833}

    Reference: Davis & Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006.
    """

    default_name = "average_precision"

    def curve(self, positive: Any, negative: Any, xp: Any) -> tuple[Any, Any]:
        tp, fp = xp.cumsum(positive, axis=1), xp.cumsum(negative, axis=1)
        positives = tp[:, -1:]
        gained = share_of(positive, positives, xp)
        return xp.sum(share_of(tp, tp + fp, xp) * gained, axis=1), positives[:, 0] > 0

    def curve_bounds(self, positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tp, fp = np.cumsum(positive, axis=1) - positive, np.cumsum(negative, axis=1) - negative
        share = share_of(positive, positive.sum(axis=1, keepdims=True), np)
        low = share_of(tp, tp + fp + negative, np)
        high = share_of(tp + positive, tp + positive + fp, np)
        return (share * low).sum(axis=1), (share * high).sum(axis=1)


@register
class PerClassAUC(BinnedMetric):
    """Area under each class's ROC curve, the class against all others, from binned scores. Logs `auc/{class}` and `auc`.

    It is the probability that a row of the class has a higher score for it than a row of another class; a tie counts half. With
    few positives look at `PerClassAveragePrecision` too: an AUC of .99 may go with a precision of .1. Scores in one bin count
    as tied, so the error is at most half of sum_b P_b N_b / (P N) over the bins; `bounds()` gives the two ends. The mean goes
    over the classes that have positives and negatives.

    See `BinnedMetric` for the arguments: num_classes, and by keyword from_logits, num_bins, class_names, zero_division (of a
    class without positives, or without negatives), average, log_classes, multi_label, ignore_class, axis, soft_labels, name
    ("auc") and dtype.

    Example:
    >>> import numpy as np
    >>> metric = PerClassAUC(2, class_names=["ok", "fraud"])
    >>> metric.update_state(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.9])[:, None])
    >>> {key: float(value) for key, value in metric.result().items()}
    {'auc/ok': 0.75, 'auc/fraud': 0.75, 'auc': 0.75}

    Reference: Hanley & McNeil, The Meaning and Use of the Area under a ROC Curve, 1982.
    """

    default_name = "auc"

    def curve(self, positive: Any, negative: Any, xp: Any) -> tuple[Any, Any]:
        tp, negatives = xp.cumsum(positive, axis=1), xp.sum(negative, axis=1)
        positives = tp[:, -1:]
        found = share_of(tp - positive / 2, positives, xp)
        area = xp.sum(share_of(negative, negatives[:, None], xp) * found, axis=1)
        return area, xp.logical_and(positives[:, 0] > 0, negatives > 0)

    def curve_bounds(self, positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tp = np.cumsum(positive, axis=1)
        share = share_of(negative, negative.sum(axis=1, keepdims=True), np)
        low, high = (share_of(found, tp[:, -1:], np) for found in (tp - positive, tp))
        return (share * low).sum(axis=1), (share * high).sum(axis=1)
