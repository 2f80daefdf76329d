"""What all losses share: their arguments, the label rule, masks, reductions, and probabilities turned into logits."""

from collections.abc import Sequence
from typing import Any, TypedDict, get_args

import numpy as np

from keras_imbalance._core import (
    Aligned,
    align,
    check_flag,
    check_ignored,
    check_number,
    check_one_of,
    check_table,
    check_whole,
    invalid,
    label_tensor,
    outside_of_probabilities,
    shown_of_classes,
)
from keras_imbalance._keras import (
    Loss,
    compute_dtype,
    given_reduction,
    kept_activation,
    kept_logits,
    keras_mask,
    name_scope,
    num_replicas,
    ops,
    snake_case,
)
from keras_imbalance.losses.log_space import are_ids, logits_of
from keras_imbalance.losses.reductions import (
    Reduction,
    element_weights,
    mean_of_labels,
    num_positives,
    ratio,
    weighted_losses,
)


class LossArguments(TypedDict, total=False):
    """Arguments that every loss takes; `ImbalanceLoss` says what they mean."""

    from_logits: bool
    multi_label: bool
    label_smoothing: float
    ignore_class: int | None
    axis: int
    reduction: Reduction | None
    pos_weight: float | Sequence[float] | np.ndarray | None
    name: str | None
    dtype: Any


class ImbalanceLoss(Loss):
    """Base of the losses, with the arguments that all of them take. All but the first of a loss are keyword-only.

    `y_true` holds class ids `(...)` or `(..., 1)`, or one-hot rows or distributions `(..., C)`; for independent sigmoids, one
    channel or multi_label=True, it holds labels in [0, 1] of the shape of `y_pred`.

    A subclass implements `softmax_loss` for one softmax over the last axis. Independent sigmoids are the same with the two
    classes "no" and "yes" in each channel; `sigmoid_loss` says so and may be overridden by something faster.

    Args:
        from_logits: whether `y_pred` holds logits, which keep more digits than probabilities. Defaults to False, probabilities.
            On TensorFlow and PyTorch the logits that Keras keeps for the output of a softmax or sigmoid activation replace the
            probabilities; without them a sigmoid beyond a logit of about 17 has no gradient.
        multi_label: whether the channels are independent sigmoids. Defaults to False, one softmax.
        label_smoothing: share of every label that is spread over the classes, in [0, 1]: evenly, or as frequent as the
            classes are where the loss is given their counts. Defaults to 0.
        ignore_class: label whose positions count nowhere, in no mean either; in one-hot rows the class to ignore. Defaults to
            None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: what becomes of the losses of the positions, each the mean over its labels with multi_label. Defaults to
            "sum_over_batch_size".

            - "sum_over_batch_size" or "mean": the mean over all positions that count, whatever their sample weights
            - "mean_with_sample_weight": the sum, divided by the sum of the sample weights
            - "mean_with_class_weight": the sum, divided by the sum of the class weights (times the sample weights), as
              PyTorch's weighted mean and the reference of LDAM-DRW; for losses that have class weights
            - "sum": the sum over positions, and with multi_label over labels
            - "sum_over_positives": that sum, divided by the number of positions with a label above 0, at least 1, as detectors
              are trained (Lin et al. 2017): predictions `(B, anchors, C)`, background rows all 0; for sigmoids
            - "none" or None: the losses `(...)`
        pos_weight: factor of the loss of a label that is set, for sigmoids: a number, or one a label `(C,)`. Defaults to
            None, 1.
        name: defaults to the name of the class in snake case, such as "focal_loss".
        dtype: dtype of computation and result, never narrower than float32. Defaults to None, Keras's default. On JAX "float64"
            takes JAX_ENABLE_X64=1.

    Raises:
        ValueError: for arguments out of range, labels and predictions that do not line up, a softmax output with multi_label
            or sigmoids without, and, outside compiled functions, for what is invalid where it counts: labels, negative
            weights, and without from_logits predictions outside [0, 1]. A compiled function cannot raise: the loss is NaN, and
            the metrics and callbacks of this package say why at the end of the epoch. A loss alone stays silent there.

    Example:
    >>> import numpy as np
    >>> class SquaredDistance(ImbalanceLoss):
    ...     def softmax_loss(self, logits, targets):
    ...         return ops.sum((targets - ops.softmax(logits)) ** 2, axis=-1)
    >>> loss = SquaredDistance(from_logits=True)
    >>> print(f"{float(loss(np.eye(2), np.zeros((2, 2)))):.2f}")
    0.50
    """

    def __init__(
        self,
        *,
        from_logits: bool = False,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: Reduction | None = "sum_over_batch_size",
        pos_weight: float | Sequence[float] | np.ndarray | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        check_one_of(reduction, "reduction", (*get_args(Reduction), None))
        if not (name is None or isinstance(name, str)):
            raise invalid("name", "be text or None", name)
        super().__init__(name=name or snake_case(type(self).__name__), reduction=reduction, dtype=dtype)
        self.from_logits = check_flag(from_logits, "from_logits")
        self.multi_label = check_flag(multi_label, "multi_label")
        self.label_smoothing = check_number(label_smoothing, "label_smoothing", 0, 1)
        self.ignore_class = check_ignored(ignore_class)
        self.axis = check_whole(axis, "axis")
        self.pos_weight = None if pos_weight is None else check_class_weights(pos_weight, "pos_weight")

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        """Loss `(...)` of logits `(..., C)`; targets are int32 ids `(...)` or shares `(..., C)`."""
        raise NotImplementedError

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        """Loss of each channel, `(..., C)`, of logits and labels `(..., C)`."""
        pair = ops.stack([ops.zeros_like(logits), logits], axis=-1)
        losses = self.softmax_loss(pair, ops.stack([1 - targets, targets], axis=-1))
        return losses if self.pos_weight is None else losses * (1 - targets + self.positives(targets))

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        """Raises when what the loss was built with does not suit predictions of this many channels."""

    def check_shape(self, table: Any, argument: str, num_channels: int, sigmoid: bool) -> None:
        """Raises unless `table`, made from `argument`, has one value a class of predictions of this many channels."""
        expected: tuple = (2,) if sigmoid else (num_channels,)
        if self.multi_label:
            expected = (num_channels, 2)
        if np.shape(table) != expected:
            raise invalid(
                argument,
                f"have the shape {expected} for predictions of {num_channels} channels",
                received=f"shape {np.shape(table)}",
            )

    def class_weight_of(self, aligned: Aligned, like: Any) -> Any:
        """The class weight of each position `(...)`, of each label `(..., C)` of sigmoids, in the dtype of `like`; or None."""
        return None

    def call(self, y_true: Any, y_pred: Any) -> Any:
        aligned = self.aligned(y_true, y_pred)
        losses = self._losses(aligned, y_true, y_pred)
        of_labels = self._of_labels(losses, y_pred)
        return mean_of_labels(losses, element_weights(aligned, losses)[1])[0] if of_labels else losses

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with name_scope(self.name):
            y_true, y_pred = label_tensor(y_true), ops.convert_to_tensor(y_pred)
            aligned = self.aligned(y_true, y_pred, sample_weight)
            losses = self._losses(aligned, y_true, y_pred)
            return self._reduce(aligned, losses, self._of_labels(losses, y_pred))

    def aligned(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Aligned:
        """Labels and predictions lined up by the label rule, with sample weights and the mask that Keras keeps."""
        predictions = ops.cast(y_pred, compute_dtype(self.dtype))
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype=predictions.dtype)
        mask = keras_mask(y_pred)
        rule = self.axis, self.multi_label, self.ignore_class
        return align(y_true, predictions, *rule, sample_weight=sample_weight, mask=mask)

    def _of_labels(self, losses, y_pred):
        """Whether there is a loss for every label of a position."""
        return len(losses.shape) == len(y_pred.shape)

    def element_losses(self, aligned: Aligned, y_true: Any, y_pred: Any) -> Any:
        """Loss of each position `(...)`, or of each channel `(..., C)` for sigmoids, before masks and means."""
        logits, sigmoid = aligned.predictions, aligned.form == "sigmoid"
        kept, outside = self.logits_kept(y_pred, sigmoid), None
        if kept is not None:
            logits = aligned.harmless(ops.moveaxis(ops.cast(kept, logits.dtype), self.axis, -1))
        elif not self.from_logits:
            outside = outside_of_probabilities(logits)
            logits = logits_of(logits, sigmoid, half_ulp(y_pred.dtype))
        if self.pos_weight is not None and not sigmoid:
            remedy = "A softmax takes weights of classes: FocalLoss(alpha=...), ClassBalancedLoss."
            raise invalid("pos_weight", "be None for a softmax", self.pos_weight, remedy)
        targets = self.smoothed(aligned, logits)
        losses = self.sigmoid_loss(logits, targets) if sigmoid else self.softmax_loss(logits, targets)
        if outside is None:
            return losses
        outside = outside if sigmoid else ops.any(outside, axis=-1)
        return ops.where(outside, ops.full_like(losses, float("nan")), losses)

    def logits_kept(self, y_pred: Any, sigmoid: bool) -> Any:
        """The logits that Keras keeps with an activation's output, or None; raises for an output that does not suit."""
        kept = kept_logits(y_pred)
        other, suited = ("softmax", "sigmoid") if sigmoid else ("sigmoid", "softmax")
        if y_pred.shape[self.axis] > 1 and kept_activation(y_pred) == other:
            requirement = f"be {not sigmoid} for the output of a {other}"
            raise invalid("multi_label", requirement, self.multi_label, f"Or end the model in a {suited}.")
        if self.from_logits and kept is not None:
            remedy = "Leave the activation out of the last layer, or pass from_logits=False where the loss takes probabilities."
            raise invalid("from_logits", "be False for the output of a softmax or sigmoid activation", True, remedy)
        return kept

    def _losses(self, aligned: Aligned, y_true: Any, y_pred: Any) -> Any:
        """Loss of each position `(...)`, or of each label `(..., C)`, NaN where one that counts is invalid."""
        sigmoid, wrong = aligned.form == "sigmoid", aligned.wrong
        self.check_channels(y_pred.shape[self.axis], sigmoid)
        losses = self.element_losses(aligned, y_true, y_pred)
        if sigmoid and losses.shape[-1] == 1:
            losses = ops.squeeze(losses, -1)
        elif sigmoid:
            wrong = ops.expand_dims(wrong, -1)
        return ops.where(wrong, ops.full_like(losses, float("nan")), losses)

    def positives(self, targets: Any) -> Any:
        """Labels `(..., C)` times `pos_weight`: what the loss of a label that is set counts."""
        if self.pos_weight is None:
            return targets
        channels = targets.shape[-1]
        if isinstance(self.pos_weight, list) and len(self.pos_weight) != channels:
            raise invalid("pos_weight", f"be one number or hold {channels}, one a label", self.pos_weight)
        return targets * ops.convert_to_tensor(self.pos_weight, dtype=targets.dtype)

    def smoothed(self, aligned: Aligned, logits: Any) -> Any:
        """Labels as the loss takes them, smoothed where that was asked for: towards `class_shares` where they are known."""
        sigmoid, shares = aligned.form == "sigmoid", self.class_shares()
        if shares is not None and sigmoid:
            shares = shares[..., 1]
        return smooth(aligned.labels, self.label_smoothing, logits, sigmoid, shares)

    def class_shares(self) -> np.ndarray | None:
        """Share of every class in the training data, in the shape of class counts, or None where the loss knows none."""
        return None

    def _reduce(self, aligned, losses, of_labels):
        weights, valid = element_weights(aligned, losses)
        weighted = weighted_losses(losses, weights)
        reduction = given_reduction(self)
        if reduction == "sum":
            return ops.sum(weighted)
        if reduction == "sum_over_positives":
            return ops.sum(weighted) / num_positives(aligned, weights) / num_replicas(self)
        if reduction == "mean_with_class_weight":
            weights = ops.ones_like(losses) if weights is None else weights
            return ratio(ops.sum(weighted), ops.sum(self._total_weights(aligned, weights))) / num_replicas(self)
        if of_labels:
            weights = None if weights is None else mean_of_labels(weights, valid)[0]
            weighted, valid = mean_of_labels(weighted, valid)
        if reduction in (None, "none"):
            return weighted
        divisor = weights if reduction == "mean_with_sample_weight" else valid
        divisor = ops.sum(ops.ones_like(weighted) if divisor is None else divisor)
        return ratio(ops.sum(weighted), divisor) / num_replicas(self)

    def _total_weights(self, aligned, weights):
        """Weights times the class weights of the labels."""
        of_class = self.class_weight_of(aligned, weights)
        if of_class is None:
            received = f"{type(self).__name__}, which has none"
            raise invalid("reduction", "be another for a loss without class weights", received=received)
        return weights * (ops.squeeze(of_class, -1) if len(of_class.shape) > len(weights.shape) else of_class)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "multi_label": self.multi_label,
            "label_smoothing": self.label_smoothing,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
            "pos_weight": self.pos_weight,
            "dtype": self.dtype,
        }


def smooth(labels: Any, smoothing: float, logits: Any, sigmoid: bool, prior: Any = None) -> Any:
    """Labels of which a share is spread over the classes: `(..., C)`; as they are where the share is 0.

    Args:
        labels: ids `(...)`, or shares `(..., C)`.
        smoothing: that share, in [0, 1].
        logits: `(..., C)`.
        sigmoid: whether the channels are independent sigmoids.
        prior: the shares that it is spread by `(C,)`, for sigmoids of the labels that are set. Defaults to None, evenly.
    """
    if smoothing == 0:
        return labels
    if prior is not None:
        prior = ops.convert_to_tensor(prior, dtype=logits.dtype)
    if sigmoid:
        return labels * (1 - smoothing) + (0.5 if prior is None else prior) * smoothing
    channels = logits.shape[-1]
    if are_ids(labels):
        labels = ops.one_hot(labels, channels, dtype=logits.dtype)
    return labels * (1 - smoothing) + smoothing * (1 / channels if prior is None else prior)


def weights_of_labels(table: Any, aligned: Aligned, like: Any) -> Any:
    """What `table` gives each label: `(C,)` each position, for sigmoids `(2,)` or `(C, 2)` each channel by "no" and "yes"."""
    if aligned.form != "sigmoid":
        return per_class(table, aligned.labels, like)
    negative, positive = (ops.convert_to_tensor(np.asarray(table)[..., i], dtype=like.dtype) for i in (0, 1))
    return negative * (1 - aligned.labels) + positive * aligned.labels


def half_ulp(dtype: Any) -> float:
    """Half the distance from 1 to the next smaller value of a floating dtype."""
    text = str(dtype)
    bits = {"bfloat16": 8, "float16": 11, "float64": 53}
    return 2.0 ** -(next((size for name, size in bits.items() if name in text), 24) + 1)


def per_class(table: Any, targets: Any, like: Any) -> Any:
    """What `table`, one value a class `(C,)` or `(..., C)`, gives the targets: the value of an id, the mean under shares.

    Args:
        table: NumPy array `(C,)`, or any that broadcasts with shares `(..., C)`.
        targets: int32 ids `(...)` or shares `(..., C)` of the dtype of `like`.
        like: tensor whose dtype the result has.
    """
    table = ops.convert_to_tensor(table, dtype=like.dtype)
    if are_ids(targets):
        return ops.take(table, targets, axis=0)
    return ops.sum(table * targets, axis=-1)


def check_class_weights(weights: Any, argument: str, shape: tuple | None = None) -> list | float:
    """Weights of classes as floats; raises unless they are finite, not negative and, where it is given, of this shape."""
    values = check_table(weights, argument)
    known = values.ndim < 2 and values.size > 0 if shape is None else values.shape == shape
    numbers = known and values.dtype.kind in "iuf"
    wrong = ~(np.isfinite(values) & (values >= 0)) if numbers else None
    if wrong is None or wrong.any():
        of_shape = "one a class" if shape is None else f"of the shape {shape}"
        received = shown_of_classes(argument, weights, wrong if values.ndim == 1 else None)
        raise invalid(argument, f"hold finite weights {of_shape}, not negative", received=received)
    return values.astype(np.float64).tolist()


def shares_of_counts(class_counts: Any) -> np.ndarray:
    """Class shares in the shape of class counts: `(C,)`, or `(C, 2)` of labels that are not set and set."""
    counts = np.asarray(class_counts, dtype=np.float64)
    return counts / counts.sum(axis=-1, keepdims=True)
