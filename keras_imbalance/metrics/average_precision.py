"""Average precision of each class: how well the scores rank, whatever the threshold."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import compute_dtype, given_name, ops, register
from keras_imbalance.confusion import mean_over
from keras_imbalance.losses.base import label_tensor
from keras_imbalance.metrics import checks
from keras_imbalance.metrics.base import ClassMetric
from keras_imbalance.metrics.counting import add_exactly, check_channels, places

LARGEST_LOG_ODDS = 16.0  # beyond it float32 probabilities are 0 or 1


@register
class PerClassAveragePrecision(ClassMetric):
    """Area under each class's precision-recall curve, from binned scores. Logs `{name}/{class}` and the mean as `{name}`.

    AP = sum_b (R_b - R_(b-1)) P_b over bins of equal width in the log-odds of the score, from -16 to 16, so that rare classes,
    whose scores crowd near 0, are told apart too. Scores in one bin count as tied. With P_b and N_b the weight of positives
    and negatives in a bin, TP and FP that above it and P all positives, the exact value and this one both lie between

        sum_b P_b / P * TP / (TP + FP + N_b)   and   sum_b P_b / P * (TP + P_b) / (TP + P_b + FP)

    `bounds()` gives the two: the error is never more than their distance. It is 0 where no bin holds both. The mean goes over
    the classes that have positives.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        from_logits: whether the predictions are logits. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        num_bins: bins a class, 16 bytes each. Defaults to 2048, each a step of 1.6 % in the odds.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: value of a class without positives: 0, 1 or NaN. Defaults to 0.
        log_classes: False leaves the classes out of the logs of every batch, for many classes; see PerClassLogger.
            Defaults to True.
        name: prefix of the keys. Defaults to "average_precision".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, class names that would break the logs, keys that another compiled metric
            writes too, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = PerClassAveragePrecision(2, class_names=["ok", "fraud"])
    >>> metric.update_state(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.9])[:, None])
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'average_precision/ok': 0.833, 'average_precision/fraud': 0.833, 'average_precision': 0.833}

    Reference: Davis & Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006.
    """

    _direction = "up"  # what EarlyStopping and ReduceLROnPlateau read in mode "auto"
    default_name = "average_precision"

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        from_logits: bool = False,
        multi_label: bool = False,
        num_bins: int = 2048,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        log_classes: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes, class_names, multi_label, ignore_class, zero_division, name, dtype)
        self.log_classes = bool(log_classes)
        self.from_logits = bool(from_logits)
        self.num_bins = checks.whole_number(num_bins, 2, "num_bins")
        self.bins = self.add_variable(
            (2, self.num_classes, self.num_bins, 2), "zeros", dtype=compute_dtype(self.dtype), name="bins"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        check_channels(y_pred, self.num_classes, self.multi_label)
        y_true, dtype = label_tensor(y_true), self.bins.dtype
        batch = places(y_true, y_pred, sample_weight, self.multi_label, self.ignore_class, dtype)
        odds = log_odds(batch.predictions, self.from_logits, softmax=batch.form != "sigmoid")
        labels, weights = batch.labels, batch.weights
        if batch.form == "ids":
            labels = ops.one_hot(labels, self.num_classes, dtype=dtype)
        if batch.form != "sigmoid":
            weights = ops.broadcast_to(weights[:, None], ops.shape(odds))
        elif not self.multi_label:
            odds = ops.concatenate([-odds, odds], axis=-1)
            labels = ops.concatenate([1 - labels, labels], axis=-1)
            weights = ops.concatenate([weights, weights], axis=-1)
        self.bins.assign(add_exactly(self.bins, self._binned(odds, labels, weights)))

    def result(self) -> Any:
        self.check_neighbours()
        bins = self.bins[0] + self.bins[1]
        value, positives = average_precision(bins, ops)
        value = ops.where(ops.equal(positives, 0), ops.full_like(value, self.zero_division), value)
        macro = mean_over(ops.cast(positives > 0, value.dtype), value, bins)
        if not self.log_classes:
            return macro
        return dict(zip(self.log_keys(), [*ops.unstack(value, self.num_classes), macro], strict=True))

    def class_values(self, name: str) -> dict[str, float]:
        value, positives = average_precision(self._exact_bins(), np)
        values = np.where(positives == 0, self.zero_division, value)
        return dict(zip(self.class_keys(name), map(float, values), strict=True))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest value that the exact average precision of each class can have, each `(C,)`."""
        bins = self._exact_bins()
        above = np.cumsum(bins[:, ::-1], axis=1)[:, ::-1] - bins
        positive, negative, tp, fp = bins[..., 1], bins[..., 0], above[..., 1], above[..., 0]
        share = positive / np.maximum(positive.sum(axis=1, keepdims=True), 1e-30)
        low = tp / np.maximum(tp + fp + negative, 1e-30)
        high = (tp + positive) / np.maximum(tp + positive + fp, 1e-30)
        return (share * low).sum(axis=1), (share * high).sum(axis=1)

    def get_config(self) -> dict:
        own = {"from_logits": self.from_logits, "num_bins": self.num_bins, "log_classes": self.log_classes}
        return {**super().get_config(), **own}

    def log_keys(self) -> list[str]:
        name = given_name(self)
        return [*self.class_keys(name), name] if self.log_classes else []

    def _binned(self, odds, labels, weights):
        """Weight of negatives and positives in each bin, `(C, bins, 2)`."""
        scaled = (odds / (2 * LARGEST_LOG_ODDS) + 0.5) * self.num_bins
        place = ops.cast(ops.clip(ops.floor(scaled), 0, self.num_bins - 1), "int32")
        classes = ops.arange(self.num_classes, dtype="int32")[None, :]
        index = ((classes * self.num_bins) + place) * 2 + ops.cast(labels, "int32")
        size = (self.num_classes, self.num_bins, 2)
        counts = ops.segment_sum(
            ops.reshape(weights, (-1,)), ops.reshape(index, (-1,)), num_segments=int(np.prod(size))
        )
        return ops.reshape(counts, size)

    def _exact_bins(self):
        return np.asarray(ops.convert_to_numpy(self.bins), dtype=np.float64).sum(axis=0)


def log_odds(predictions: Any, from_logits: bool, softmax: bool) -> Any:
    """log(p / (1 - p)) of every score, at most 16 in size and never NaN unless the prediction is."""
    if from_logits and not softmax:
        odds = predictions
    else:
        p = ops.softmax(predictions, axis=-1) if from_logits else predictions
        p = ops.clip(p, 1e-37, 1.0)
        odds = ops.log(p) - ops.log(ops.maximum(1 - p, 1e-37))
    return ops.clip(odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)


def average_precision(bins: Any, xp: Any) -> tuple[Any, Any]:
    """Average precision and weight of positives of each class, from `(C, bins, 2)`; `xp` is NumPy or Keras's ops."""
    seen = xp.cumsum(xp.flip(bins, axis=1), axis=1)
    tp, fp = seen[..., 1], seen[..., 0]
    positives = tp[:, -1]
    precision = tp / xp.maximum(tp + fp, 1e-30)
    gained = xp.flip(bins, axis=1)[..., 1] / xp.maximum(positives[:, None], 1e-30)
    return xp.sum(precision * gained, axis=1), positives
