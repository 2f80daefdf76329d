"""The state that every metric of this package is a view of: one confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import Metric, compute_dtype, concrete, keras_mask, ops
from keras_imbalance.confusion import confusion_matrix
from keras_imbalance.labels import align, spread_weights


class ConfusionMatrixMetric(Metric):
    """Base of the metrics: counts true against predicted classes; a subclass turns the counts into results.

    Predictions with C channels are decided by argmax, with one sigmoid channel by `threshold`. The counters carry what float32
    rounds away, so they go on counting past 2^24.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is class 1. With logits pass 0. Defaults to 0.5.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.
        name: name of the metric, and prefix of its keys.
        dtype: as in Keras.
    """

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float = 0.5,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)) or num_classes < 2:
            raise ValueError(
                "`num_classes` must be a whole number of at least 2 (2 for one sigmoid channel). "
                f"Received: num_classes={num_classes!r}."
            )
        if not is_number(threshold) or not np.isfinite(threshold):
            raise ValueError(f"`threshold` must be a finite number. Received: threshold={threshold!r}.")
        if not is_number(zero_division) or not (np.isnan(zero_division) or zero_division in (0, 1)):
            raise ValueError(f"`zero_division` must be 0, 1 or NaN. Received: zero_division={zero_division!r}.")
        if ignore_class is not None and (
            isinstance(ignore_class, bool) or not isinstance(ignore_class, (int, np.integer))
        ):
            raise ValueError(f"`ignore_class` must be a whole number or None. Received: ignore_class={ignore_class!r}.")
        self.num_classes = int(num_classes)
        self.class_names = _check_class_names(class_names, self.num_classes)
        self.threshold = float(threshold)
        self.ignore_class = None if ignore_class is None else int(ignore_class)
        self.zero_division = float(zero_division)
        # What is counted, and what rounding took from it: their sum is exact where a float32 counter would stand still.
        self.counts = self.add_variable(
            (2, self.num_classes, self.num_classes), "zeros", dtype=compute_dtype(self.dtype), name="counts"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        channels = y_pred.shape[-1]
        if channels is not None and self.num_classes != max(channels, 2):
            raise ValueError(
                f"`num_classes` must be {max(channels, 2)} for predictions of {channels} channels. "
                f"Received: num_classes={self.num_classes}, y_pred.shape={tuple(y_pred.shape)}."
            )
        aligned = align(ops.convert_to_tensor(y_true), y_pred, ignore_class=self.ignore_class)
        labels, predictions, valid = self._decided(aligned)
        dtype = self.counts.dtype
        weights = ops.cast(keras_mask(y_pred, ops.cast(labels, dtype)), dtype)
        if valid is not None:
            weights = weights * ops.cast(valid, dtype)
        if sample_weight is not None:
            weights = weights * spread_weights(ops.convert_to_tensor(sample_weight, dtype=dtype), weights)
        weights = ops.where(aligned.wrong, ops.full_like(weights, float("nan")), weights)
        labels = ops.clip(labels, 0, self.num_classes - 1)
        flat = [ops.reshape(part, (-1,)) for part in (labels, predictions, weights)]
        self._add(confusion_matrix(flat[0], flat[1], self.num_classes, flat[2]))

    def result(self) -> Any:
        raise NotImplementedError

    def confusion(self) -> Any:
        """The confusion matrix so far, float `(C, C)`: rows are the true classes, columns the predicted ones."""
        return self.counts[0] + self.counts[1]

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "class_names": self.class_names,
            "threshold": self.threshold,
            "ignore_class": self.ignore_class,
            "zero_division": self.zero_division,
        }

    def _decided(self, aligned):
        """True and predicted class of every place, and which places count."""
        if aligned.form == "sigmoid":
            labels, valid = ops.squeeze(aligned.labels, -1), aligned.valid
            self._refuse_soft(labels)
            predictions = ops.squeeze(aligned.predictions, -1) > self.threshold
            valid = None if valid is None else ops.squeeze(valid, -1)
            return ops.cast(labels, "int32"), ops.cast(predictions, "int32"), valid
        labels = aligned.labels
        if aligned.form == "distribution":
            self._refuse_soft(labels)
            labels = ops.argmax(labels, axis=-1)
        predictions = ops.argmax(aligned.predictions, axis=-1)
        return ops.cast(labels, "int32"), ops.cast(predictions, "int32"), aligned.valid

    def _refuse_soft(self, labels):
        values = concrete(labels)
        if values is not None and not ((values == 0) | (values == 1)).all():
            raise ValueError(
                "`y_true` must name one class a row for a metric that counts classes. Received soft labels. "
                "Use hard labels for evaluation, or decide them first, e.g. by argmax."
            )

    def _add(self, batch):
        total, carried = self.counts[0], self.counts[1]
        wanted = batch + carried
        updated = total + wanted
        self.counts.assign(ops.stack([updated, wanted - (updated - total)]))


def is_number(value: Any) -> bool:
    """Whether `value` is one real number."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"


def _check_class_names(class_names, num_classes):
    if class_names is None:
        return None
    names = [str(name) for name in class_names]
    if isinstance(class_names, str) or len(names) != num_classes or len(set(names)) != num_classes or "" in names:
        raise ValueError(
            f"`class_names` must hold {num_classes} different names, one a class. Received: class_names={class_names!r}."
        )
    return names
