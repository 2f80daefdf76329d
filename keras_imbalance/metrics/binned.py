"""Scores of each class over all thresholds, from scores counted in bins: the base, and what bins hold."""

from typing import Any, Unpack

import numpy as np

from keras_imbalance._core import check_flag, check_whole
from keras_imbalance._keras import compute_dtype, ops
from keras_imbalance.metrics.base import PerClassArguments, PerClassMetric
from keras_imbalance.metrics.counting import add_sums
from keras_imbalance.metrics.functional import mean_over

LARGEST_LOG_ODDS = 16.0  # beyond it float32 probabilities are 0 or 1
FEWEST_BINS, MOST_BINS, BINS_IN_ALL = 2**11, 2**15, 2**17
MOST_CLASSES_IN_BINS = 2**18


class BinnedMetric(PerClassMetric):
    """Base of the metrics of ranking: scores `(rows, C)` counted in bins of equal width in their log-odds, from -16 to 16.

    Rare classes, whose scores crowd near 0, are told apart there too. Scores in one bin count as tied. A subclass gives
    `curve` and `curve_bounds`; `bounds()` gives what the exact value cannot be below and above.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel, whose two classes are both reported.
        from_logits: whether the predictions are logits. Defaults to False.
        num_bins: bins a class, 16 bytes each. Defaults to None: 32,768 for up to 4 classes, each a step of 0.1 % in the odds,
            fewer for more classes, and 2,048, steps of 1.6 %, from 64 classes on.
        **kwargs: those of `PerClassMetric`: class_names, zero_division, average, log_classes, multi_label, ignore_class, ...
    """

    def __init__(
        self,
        num_classes: int,
        *,
        from_logits: bool = False,
        num_bins: int | None = None,
        **kwargs: Unpack[PerClassArguments],
    ):
        super().__init__(num_classes, **kwargs)
        self.from_logits = check_flag(from_logits, "from_logits")
        self.num_bins = check_whole(num_bins, "num_bins", 2, optional=True) or bins_of(self.num_classes)
        self.bins = self.add_variable(
            (2, self.num_classes, self.num_bins, 2), "zeros", dtype=compute_dtype(self.dtype), name="bins"
        )

    def most_classes(self) -> int:
        return MOST_CLASSES_IN_BINS

    def curve(self, positive: Any, negative: Any, xp: Any) -> tuple[Any, Any]:
        """The value of each class `(C,)`, and whether it is defined.

        Args:
            positive: weight of the positives in each bin, `(C, bins)`, the highest scores first.
            negative: weight of the negatives, likewise.
            xp: NumPy or Keras's ops.
        """
        raise NotImplementedError

    def curve_bounds(self, positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest value, each `(C,)`, that the exact scores may have, from the arguments of `curve`."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        probabilities = not self.from_logits
        batch = self.batch_of(y_true, y_pred, sample_weight, self.bins.dtype, probabilities=probabilities)
        predictions = ops.where(ops.isnan(batch.predictions), ops.zeros_like(batch.predictions), batch.predictions)
        odds = log_odds(predictions, self.from_logits, softmax=batch.form != "sigmoid")
        labels, weights = batch.labels, batch.weights
        if len(labels.shape) == 1:
            labels = ops.one_hot(labels, self.num_classes, dtype=odds.dtype)
        if batch.form != "sigmoid":
            weights = ops.broadcast_to(weights[:, None], ops.shape(odds))
        elif not self.multi_label:
            odds = ops.concatenate([-odds, odds], axis=-1)
            labels = ops.concatenate([1 - labels, labels], axis=-1)
            weights = ops.concatenate([weights, weights], axis=-1)
        index = self._bin(odds)
        if self.soft_labels == "expected" and batch.form != "ids":
            weights = ops.cast(weights, labels.dtype)
            index, weights = ops.stack([index, index + 1]), ops.stack([weights * (1 - labels), weights * labels])
        else:
            index = index + ops.cast(labels, "int32")
        self.bins.assign(add_sums(self.bins, index, weights, batch.wrong))

    def class_scores(self) -> tuple[Any, dict[str, Any]]:
        bins = self.bins[0] + self.bins[1]
        value, defined = self._values(bins, ops)
        defined = ops.cast(defined, value.dtype)  # an ignored class has no positives
        of = {
            "macro": lambda: mean_over(defined, value, bins),
            "weighted": lambda: mean_over(defined * ops.sum(bins[..., 1], axis=1), value, bins),
            "micro": lambda: self._micro(bins),
        }
        return value, {average: of[average]() for average in self.average}

    def exact_scores(self) -> np.ndarray:
        return self._values(self._exact_bins(), np)[0]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest value that the exact score of each class can have, each `(C,)`."""
        bins = self._exact_bins()
        low, high = (_nan_where_wrong(bins, ends, np) for ends in self.curve_bounds(*_from_the_top(bins, np)))
        return low, high

    def get_config(self) -> dict:
        return {**super().get_config(), "from_logits": self.from_logits, "num_bins": self.num_bins}

    def _bin(self, odds):
        """The index of the negatives of each score's bin in the flat bins; that of the positives comes next."""
        scaled = (odds / (2 * LARGEST_LOG_ODDS) + 0.5) * self.num_bins
        position = ops.cast(ops.clip(ops.floor(scaled), 0, self.num_bins - 1), "int32")
        classes = ops.arange(self.num_classes, dtype="int32")[None, :]
        return ((classes * self.num_bins) + position) * 2

    def _values(self, bins, xp):
        """Value of each class, `zero_division` where it is not defined, and whether it is."""
        positive, negative = _from_the_top(bins, xp)
        value, defined = self.curve(positive, negative, xp)
        return _nan_where_wrong(bins, xp.where(defined, value, xp.full_like(value, self.zero_division)), xp), defined

    def _micro(self, bins):
        """The value of all classes as one, as if each row gave a score and a label a class."""
        of_classes = ops.sum(bins, axis=(1, 2))
        if self.excluded() is not None:
            chosen = np.arange(self.num_classes) != self.excluded()
            bins = ops.where(chosen[:, None, None], bins, ops.zeros_like(bins))
        value = self._values(ops.sum(bins, axis=0, keepdims=True), ops)[0]
        return mean_over(ops.ones_like(value), value, of_classes)

    def _exact_bins(self):
        return np.asarray(ops.convert_to_numpy(self.bins), dtype=np.float64).sum(axis=0)


def bins_of(num_classes: int) -> int:
    """The default number of bins a class: a power of 2, fewer for many classes.

    Example:
    >>> [bins_of(size) for size in (2, 10, 100, 1000)]
    [32768, 8192, 2048, 2048]
    """
    share = 2 ** int(np.log2(max(BINS_IN_ALL / num_classes, 1)))
    return min(max(share, FEWEST_BINS), MOST_BINS)


def log_odds(predictions: Any, from_logits: bool, softmax: bool) -> Any:
    """log(p / (1 - p)) of every score, at most 16 in size and never NaN unless the prediction is."""
    if from_logits and not softmax:
        odds = predictions
    else:
        p = ops.softmax(predictions, axis=-1) if from_logits else predictions
        p = ops.clip(p, 1e-37, 1.0)
        odds = ops.log(p) - ops.log(ops.maximum(1 - p, 1e-37))
    return ops.clip(odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)


def share_of(part: Any, whole: Any, xp: Any) -> Any:
    """Part / whole, 0 where the whole is 0, however small the weights are that both sum."""
    return part / xp.where(whole > 0, whole, xp.ones_like(whole))


def _nan_where_wrong(bins, value, xp):
    """`value` `(C,)`, NaN after a wrong batch, which makes every bin NaN: comparisons with NaN would give a number."""
    return xp.where(xp.isnan(bins[:, 0, 0]), xp.full_like(value, float("nan")), value)


def _from_the_top(bins, xp):
    """Positives and negatives of each bin, `(C, bins)` each, the highest scores first."""
    falling = xp.flip(bins, axis=1)
    return falling[..., 1], falling[..., 0]
