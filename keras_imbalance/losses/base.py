"""What every loss of this package shares: the label rule, masks, reduction, and probabilities turned into logits."""

from typing import Any

import numpy as np

from keras_imbalance.backend import (
    Loss,
    compute_dtype,
    given_reduction,
    kept_logits,
    keras_mask,
    name_scope,
    num_replicas,
    ops,
)
from keras_imbalance.class_counts import as_table, check_counts
from keras_imbalance.labels import Aligned, align, spread_weights
from keras_imbalance.losses.log_space import at_least, logits_of


class ImbalanceLoss(Loss):
    """Base of the losses: labels in any form of the rule, computed in float32 or wider.

    A subclass implements `softmax_loss` for one softmax over the last axis. Independent sigmoids are the same thing with the
    two classes "no" and "yes" in each channel; `sigmoid_loss` says so and may be overridden by something faster.

    Args:
        from_logits: whether `y_pred` holds logits. Defaults to False (probabilities). The logits that Keras keeps beside the
            output of a softmax or sigmoid activation, on TensorFlow and PyTorch, are used in its place; other probabilities
            have lost the digits next to 1, and a sigmoid beyond a logit of about 17 its gradient.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        label_smoothing: share s of every label that is spread evenly over the classes, in [0, 1]. Defaults to 0.
        ignore_class: label whose places count nowhere, in no mean either. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: "sum_over_batch_size" or "mean" (the mean over all places that count), "sum",
            "mean_with_sample_weight" (divided by the sum of the weights), or None.
        name: name of the loss.
        dtype: dtype of computation and result, but never narrower than float32. On JAX "float64" takes JAX_ENABLE_X64=1.
    """

    def __init__(
        self,
        from_logits: bool = False,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        check_number(label_smoothing, "label_smoothing", 0, 1)
        for argument, value in (("ignore_class", ignore_class), ("axis", axis)):
            optional = value is None and argument == "ignore_class"
            if isinstance(value, bool) or not (optional or isinstance(value, (int, np.integer))):
                raise ValueError(f"`{argument}` must be a whole number. Received: {argument}={value!r}.")
        self.from_logits = bool(from_logits)
        self.multi_label = bool(multi_label)
        self.label_smoothing = float(label_smoothing)
        self.ignore_class = None if ignore_class is None else int(ignore_class)
        self.axis = int(axis)

    before_reweighting: Any = None  # what DeferredReweighting keeps while it sets weights: those compiled, and its fit

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        """Loss `(...)` of logits `(..., C)`; targets are int32 ids `(...)` or shares `(..., C)`."""
        raise NotImplementedError

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        """Loss of each channel, `(..., C)`, of logits and labels `(..., C)`."""
        pair = ops.stack([ops.zeros_like(logits), logits], axis=-1)
        return self.softmax_loss(pair, ops.stack([1 - targets, targets], axis=-1))

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        """Raises when what the loss was built with does not suit predictions of this many channels."""

    def check_table(self, table: Any, argument: str, num_channels: int, sigmoid: bool) -> None:
        """Raises unless `table`, made from `argument`, has one value a class of predictions of this many channels."""
        expected: tuple = (2,) if sigmoid else (num_channels,)
        if self.multi_label:
            expected = (num_channels, 2)
        if np.shape(table) != expected:
            raise ValueError(
                f"`{argument}` must have the shape {expected} for predictions of {num_channels} channels. "
                f"Received: shape {np.shape(table)}."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._losses_and_valid(y_true, y_pred)[0]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with name_scope(self.name):
            y_pred = ops.convert_to_tensor(y_pred)
            losses, valid = self._losses_and_valid(label_tensor(y_true), y_pred)
            weights = keras_mask(y_pred, losses)
            counted = weights if valid is None else weights * valid
            weights = counted
            if sample_weight is not None:
                weights = counted * spread_weights(ops.convert_to_tensor(sample_weight, dtype=losses.dtype), losses)
            return self._reduce(losses, weights, counted)

    def element_losses(self, aligned: Aligned, y_true: Any, y_pred: Any) -> Any:
        """Loss of each place `(...)`, or of each channel `(..., C)` for sigmoids, before masks and means."""
        logits = aligned.predictions
        kept = kept_logits(y_pred)
        if self.from_logits and kept is not None:
            raise ValueError(
                "`from_logits` must be False for the output of a softmax or sigmoid activation. Received: from_logits=True. "
                "Leave the activation out of the last layer, or pass from_logits=False where the loss takes probabilities."
            )
        if kept is not None:
            logits = ops.moveaxis(ops.cast(kept, logits.dtype), self.axis, -1)
        elif not self.from_logits:
            logits = logits_of(logits, aligned.form == "sigmoid", half_ulp(y_pred.dtype))
        targets = self._smoothed(aligned, logits)
        return self.sigmoid_loss(logits, targets) if aligned.form == "sigmoid" else self.softmax_loss(logits, targets)

    def as_compiled(self, attribute: str) -> Any:
        """The class weights for `get_config`: a model that is saved while DeferredReweighting acts has those it was given."""
        return getattr(self, attribute) if self.before_reweighting is None else self.before_reweighting[0]

    def _losses_and_valid(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Loss of each place `(...)` and, as floats of that shape, which of them count (None: all)."""
        predictions = ops.cast(y_pred, compute_dtype(self.dtype))
        aligned = align(y_true, predictions, self.axis, self.multi_label, self.ignore_class)
        sigmoid = aligned.form == "sigmoid"
        self.check_channels(y_pred.shape[self.axis], sigmoid)
        losses, valid = self.element_losses(aligned, y_true, y_pred), aligned.valid
        if valid is not None:
            losses = ops.where(valid, losses, ops.zeros_like(losses))
            valid = ops.cast(valid, losses.dtype)
        if sigmoid and losses.shape[-1] == 1:
            losses, valid = ops.squeeze(losses, -1), None if valid is None else ops.squeeze(valid, -1)
        elif sigmoid and valid is None:
            losses = ops.mean(losses, axis=-1)
        elif sigmoid:
            number = ops.sum(valid, axis=-1)
            losses, valid = ops.sum(losses, axis=-1) / at_least(number, 1), ops.cast(number > 0, losses.dtype)
        return ops.where(aligned.wrong, ops.full_like(losses, float("nan")), losses), valid

    def _smoothed(self, aligned: Aligned, logits: Any) -> Any:
        smoothing = self.label_smoothing
        if smoothing == 0:
            return aligned.labels
        if aligned.form == "sigmoid":
            return aligned.labels * (1 - smoothing) + 0.5 * smoothing
        channels = logits.shape[-1]
        labels = aligned.labels
        if aligned.form == "ids":
            labels = ops.one_hot(labels, channels, dtype=logits.dtype)
        return labels * (1 - smoothing) + smoothing / channels

    def _reduce(self, losses, weights, counted):
        # A row that counts nowhere may hold anything, infinities too: 0 * inf is not 0.
        weighted = ops.where(weights == 0, ops.zeros_like(losses), losses * weights)
        reduction = given_reduction(self)
        if reduction in (None, "none"):
            return weighted
        total = ops.sum(weighted)
        if reduction == "sum":
            return total
        divisor = ops.sum(weights if reduction == "mean_with_sample_weight" else counted)
        nothing = ops.equal(divisor, 0)  # written out, since Keras divides in float32 on PyTorch
        mean = ops.where(nothing, ops.zeros_like(total), total / ops.where(nothing, ops.ones_like(divisor), divisor))
        return mean / num_replicas(self)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "multi_label": self.multi_label,
            "label_smoothing": self.label_smoothing,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
            "dtype": self.dtype,
        }


def check_number(value: Any, name: str, least: float = -np.inf, most: float = np.inf) -> None:
    """Raises unless `value` is a finite number in [least, most]."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or not least <= value <= most:
        limits = "" if np.isinf(least) else f" of at least {least}" if np.isinf(most) else f" in [{least}, {most}]"
        raise ValueError(f"`{name}` must be a finite number{limits}. Received: {name}={value!r}.")


def label_tensor(y_true: Any) -> Any:
    """`y_true` as a tensor; raises for text, which every backend refuses in its own words later."""
    dtype = str(np.asarray(y_true).dtype if isinstance(y_true, (list, tuple)) else getattr(y_true, "dtype", ""))
    if "str" in dtype or dtype.startswith(("<U", "|S", "object")):
        raise ValueError(
            f"`y_true` must be numbers. Received: dtype {dtype}. Turn names into numbers first: "
            "names, ids = numpy.unique(labels, return_inverse=True)."
        )
    return ops.convert_to_tensor(y_true)


def half_ulp(dtype: Any) -> float:
    """Half the distance between 1 and the number before it, in a floating dtype."""
    text = str(dtype)
    bits = {"bfloat16": 8, "float16": 11, "float64": 53}
    return 2.0 ** -(next((size for name, size in bits.items() if name in text), 24) + 1)


def check_counts_shape(class_counts: Any, multi_label: bool) -> np.ndarray:
    """Counts as float64 rows: `(1, C)`, or `(C, 2)` with `multi_label`; raises unless they are positive and finite."""
    rows = as_table(class_counts, "class_counts")
    if multi_label and (rows.ndim != 2 or rows.shape[1] != 2):
        raise ValueError(
            "`class_counts` must have the shape (C, 2) with multi_label: for each label the rows without it, then "
            f"those with it. Received: shape {rows.shape}."
        )
    return np.stack([check_counts(row, "class_counts") for row in (rows if multi_label else rows[None])])


def per_class(table: Any, targets: Any, like: Any) -> Any:
    """What `table`, one value a class `(C,)` or `(..., C)`, gives the targets: the value of an id, the mean under shares.

    Args:
        table: NumPy array `(C,)`, or any that broadcasts with shares `(..., C)`.
        targets: int32 ids `(...)` or shares `(..., C)` of the dtype of `like`.
        like: tensor whose dtype the result has.
    """
    table = ops.convert_to_tensor(table, dtype=like.dtype)
    if "int" in str(targets.dtype):
        return ops.take(table, targets, axis=0)
    return ops.sum(table * targets, axis=-1)
