"""The state that every metric of this package is a view of: one confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import compute_dtype, ops, register
from keras_imbalance.confusion import confusion_matrix, label_matrices
from keras_imbalance.losses.base import label_tensor
from keras_imbalance.metrics import checks
from keras_imbalance.metrics.base import ClassMetric
from keras_imbalance.metrics.counting import add_exactly, check_channels, decided_classes, places, true_classes


class ConfusionMatrixMetric(ClassMetric):
    """Base of the metrics: counts true against predicted classes; a subclass turns the counts into results.

    Predictions with C channels are decided by argmax (or `top_k`), independent sigmoids by `threshold`. The counters carry
    what float32 rounds away, so they go on counting past 2^24.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; with logits pass 0. With multi_label it may hold one a class.
            Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids, each label counted for itself. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.
        name: name of the metric, and prefix of its keys.
        dtype: as in Keras.
    """

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes, class_names, multi_label, ignore_class, zero_division, name, dtype)
        self.threshold = checks.check_threshold(threshold, self.num_classes, self.multi_label)
        self.top_k = None if top_k is None else checks.whole_number(top_k, 1, "top_k")
        if self.top_k is not None and (self.multi_label or self.top_k >= self.num_classes):
            raise ValueError(
                "`top_k` must be less than the number of classes, and takes one class a row. "
                f"Received: top_k={top_k}, num_classes={num_classes}, multi_label={multi_label}."
            )
        size = (self.num_classes, 2, 2) if self.multi_label else (self.num_classes, self.num_classes)
        # What is counted, and what rounding took from it: their sum is exact where a float32 counter would stand still.
        self.counts = self.add_variable((2, *size), "zeros", dtype=compute_dtype(self.dtype), name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        check_channels(y_pred, self.num_classes, self.multi_label)
        y_true, dtype = label_tensor(y_true), self.counts.dtype
        batch = places(y_true, y_pred, sample_weight, self.multi_label, self.ignore_class, dtype)
        if batch.form == "sigmoid":
            threshold = ops.convert_to_tensor(self.threshold, dtype=dtype)
            decisions = ops.cast(batch.predictions > threshold, dtype)
            if self.multi_label:
                added = label_matrices(batch.labels, decisions, batch.weights)
            else:
                added = label_matrices(batch.labels, decisions, batch.weights)[0]
        else:
            labels = true_classes(batch)
            predictions = decided_classes(labels, batch.predictions, self.top_k)
            added = confusion_matrix(labels, predictions, self.num_classes, batch.weights)
        self.counts.assign(add_exactly(self.counts, added))

    def confusion(self) -> Any:
        """The counts so far, `(C, C)`, rows the true classes; with multi_label one 2 x 2 matrix a label, `(C, 2, 2)`."""
        return self.counts[0] + self.counts[1]

    def matrix(self) -> np.ndarray:
        """The counts so far as a NumPy float64 array: exact."""
        return np.asarray(ops.convert_to_numpy(self.counts), dtype=np.float64).sum(axis=0)

    def get_config(self) -> dict:
        return {**super().get_config(), "threshold": self.threshold, "top_k": self.top_k}


@register
class ConfusionMatrix(ConfusionMatrixMetric):
    """Counts `n[i, j]`, the rows of class i that were predicted as class j, to look at: adds no key to the logs.

    `matrix()` gives the counts as a NumPy array at any time, after `evaluate` as well; `PerClassTensorBoard` draws them. A
    matrix among the logs would break TensorBoard and EarlyStopping, so `result()` is an empty dict.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel.
        class_names: names for pictures. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids; the matrix is then `(C, 2, 2)`. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: not used by the counts; 0.
        name: defaults to "confusion_matrix".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, and from `update_state` for labels that are none.

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

    def result(self) -> dict:
        self.check_neighbours()
        return {}
