"""The state that most metrics are a view of: three sums of each class, or a confusion matrix where a score needs one."""

import warnings
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from keras_imbalance._core import check_names, check_threshold, check_whole, invalid
from keras_imbalance._keras import compute_dtype, ops, register
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.base import ClassMetric, MetricArguments
from keras_imbalance.metrics.counted_pairs import MOST_OF_A_MATRIX
from keras_imbalance.metrics.counting import UNUSED, add_sums, decided_classes, true_classes, unused_threshold


class CountArguments(MetricArguments, total=False):
    """What every metric that counts decisions takes: see `CountingMetric`."""

    threshold: float | Sequence[float]
    top_k: int | None


class CountingMetric(ClassMetric):
    """Base of the metrics that count true against predicted classes; a subclass turns the counts into results.

    Kept are true positives, false negatives and false positives of each class, `(3, C)`: memory and time grow with the number
    of classes C, so that 20,000 are no more work than 200. A subclass that needs to know which class was taken for which sets
    `keeps_matrix = True`, and a matrix `(C, C)` is kept. With multi_label it is one 2 x 2 matrix a label in both cases.

    Predictions with C channels are decided by argmax (or `top_k`), independent sigmoids by `threshold`. The counters carry
    what float32 rounds away, so they go on counting past 2^24.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        threshold: a sigmoid above it is positive; with logits pass 0. With multi_label it may hold one a class.
            Defaults to 0.5; scores outside [0, 1], which may be logits, are then warned of.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        **kwargs: those of `ClassMetric`: multi_label, ignore_class, axis, soft_labels, name, dtype.
    """

    keeps_matrix = False

    def __init__(
        self,
        num_classes: int,
        *,
        threshold: float | Sequence[float] = 0.5,
        top_k: int | None = None,
        **kwargs: Unpack[MetricArguments],
    ):
        super().__init__(num_classes, **kwargs)
        self.threshold = check_threshold(threshold, self.num_classes, self.multi_label)
        self.top_k = check_whole(top_k, "top_k", 1, most=self.num_classes - 1, optional=True)
        if self.soft_labels == "expected" and self.top_k is not None:
            raise invalid("top_k", 'be None with soft_labels="expected"', top_k, "A soft label has no one true class.")
        if self.multi_label and self.top_k is not None:
            raise invalid("top_k", "be None with multi_label=True", top_k, "Use `threshold`.")
        one_class_a_row = (self.num_classes if self.keeps_matrix else 3, self.num_classes)
        size = (self.num_classes, 2, 2) if self.multi_label else one_class_a_row
        # What is counted, and what rounding took from it: their sum is exact where a float32 counter would stand still.
        self.counts = self.add_variable((2, *size), "zeros", dtype=compute_dtype(self.dtype), name="counts")

    def most_classes(self) -> int:
        return MOST_OF_A_MATRIX if self.keeps_matrix else super().most_classes()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        batch = self.batch_of(y_true, y_pred, sample_weight, self.counts.dtype, cut_at_half=self.threshold == 0.5)
        if batch.form != "sigmoid" and self.threshold not in UNUSED:
            warnings.warn(unused_threshold(self.threshold, batch.predictions.shape[-1]), stacklevel=2)
        index, weights = self._cells(batch)
        self.counts.assign(add_sums(self.counts, index, weights, batch.wrong))

    def _cells(self, batch):
        """The cell of the counts that each element is added to, and what it counts, both of one shape."""
        size, weights, labels = self.num_classes, batch.weights, batch.labels
        if batch.form == "sigmoid":
            decided = batch.predictions > ops.convert_to_tensor(self.threshold, dtype=batch.predictions.dtype)
            decided, truth = ops.cast(decided, "int32"), ops.cast(labels, "int32")
            if self.soft_labels == "expected":
                weights = ops.cast(weights, labels.dtype)
                weights = ops.stack([weights * (1 - labels), weights * labels])
                decided, truth = ops.stack([decided, decided]), ops.stack([truth * 0, truth * 0 + 1])
            if self.multi_label:
                return 4 * ops.arange(size, dtype="int32") + 2 * truth + decided, weights
            return self._cells_of_pairs(truth, decided, weights)
        if batch.form == "distribution" and self.soft_labels == "expected":
            decided = decided_classes(None, batch.predictions, None)[:, None] + ops.zeros((size,), dtype="int32")
            truth = ops.arange(size, dtype="int32") + ops.zeros_like(decided)
            return self._cells_of_pairs(truth, decided, ops.cast(weights, labels.dtype)[:, None] * labels)
        truth = true_classes(batch)
        return self._cells_of_pairs(truth, decided_classes(truth, batch.predictions, self.top_k), weights)

    def _cells_of_pairs(self, truth, decided, weights):
        """As `_cells`, of true and decided classes: a hit is one cell, a miss one of the true and one of the decided class."""
        if self.keeps_matrix:
            return truth * self.num_classes + decided, weights
        hit = ops.equal(truth, decided)
        found = ops.where(hit, truth, truth + self.num_classes)
        missed = ops.where(hit, ops.zeros_like(weights), weights)
        return ops.stack([found, decided + 2 * self.num_classes]), ops.stack([weights, missed])

    def tally(self) -> functional.Tally:
        """True and false positives and negatives of each class so far, tensors `(C,)`."""
        return self._tally_of(self.counts[0] + self.counts[1])

    def exact_tally(self) -> functional.Tally:
        """`tally` as NumPy float64 arrays: exact."""
        return self._tally_of(self._exact_counts())

    def confusion(self) -> Any:
        """The counts so far, `(C, C)`, rows the true classes; with multi_label one 2 x 2 matrix a label, `(C, 2, 2)`.

        Raises:
            ValueError: for a metric that does not keep a matrix.
        """
        self._check_matrix()
        return self.counts[0] + self.counts[1]

    def matrix(self) -> np.ndarray:
        """`confusion` as a NumPy float64 array: exact."""
        self._check_matrix()
        return self._exact_counts()

    def get_config(self) -> dict:
        return {**super().get_config(), "threshold": self.threshold, "top_k": self.top_k}

    def _check_matrix(self):
        if not (self.keeps_matrix or self.multi_label):
            kind = type(self).__name__
            raise invalid(
                "metrics",
                "hold a ConfusionMatrix where a matrix is read",
                received=repr(self),
                remedy=f"Compile a ConfusionMatrix({self.num_classes}): {kind} keeps sums of each class only.",
            )

    def _exact_counts(self):
        return np.asarray(ops.convert_to_numpy(self.counts), dtype=np.float64).sum(axis=0)

    def _tally_of(self, counts):
        sums = not (self.keeps_matrix or self.multi_label)
        return functional.tally_of(counts[0], counts[1], counts[2]) if sums else functional.tally(counts)


@register
class ConfusionMatrix(CountingMetric):
    """Counts `n[i, j]`, the rows of class i that were predicted as class j. Adds no key to the logs.

    `matrix()` gives the counts as a NumPy array at any time, after `evaluate` as well; `PerClassTensorBoard` draws them. A
    matrix among the logs would break TensorBoard and EarlyStopping, so `result()` is an empty dict.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        class_names: names for figures. Defaults to the class ids.
        **kwargs: see `CountingMetric` for threshold and top_k, `ClassMetric` for multi_label, ignore_class, axis,
            soft_labels, name and dtype.

    Example:
    >>> import numpy as np
    >>> metric = ConfusionMatrix(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> metric.matrix()
    array([[1., 1.],
           [0., 1.]])

    `model.compile(optimizer, loss, metrics=[ConfusionMatrix(3)])`
    """

    default_name = "confusion_matrix"
    keeps_matrix = True

    def __init__(self, num_classes: int, *, class_names: Sequence[str] | None = None, **kwargs: Unpack[CountArguments]):
        super().__init__(num_classes, **kwargs)
        self.class_names = check_names(class_names, self.num_classes)

    def result(self) -> dict:
        self.check_log_keys()
        return {}

    def get_config(self) -> dict:
        return {**super().get_config(), "class_names": self.class_names}
