"""Class weights inside the loss."""

from typing import Any

import numpy as np

from keras_imbalance.backend import (
    deserialize,
    is_loss,
    keep_logits,
    kept_logits,
    loss_argument,
    ops,
    register,
    serialize,
    takes_class_ids,
    takes_one_hot,
)
from keras_imbalance.class_counts import as_table, class_weights
from keras_imbalance.labels import Aligned
from keras_imbalance.losses.base import ImbalanceLoss, check_counts_shape, per_class
from keras_imbalance.losses.log_space import cross_entropy, sigmoid_focal


@register
class ClassBalancedLoss(ImbalanceLoss):
    """Weights a classification loss by the class of each row: w_y loss(y, p), with w from the class counts.

    The weights stand outside the loss, so a focal modulator sees the unweighted probability. Unlike `class_weight` of fit they
    work for several outputs, for masks (N, H, W) and together with sample weights.

    Args:
        class_counts: rows per class of the training data, positive. Softmax: `(C,)`. One sigmoid channel: `(2,)`, class 0 then
            class 1. multi_label: `(C, 2)`, for each label the rows without it, then those with it.
        scheme: "inverse_frequency" (N / n_i), "balanced" (N / (C n_i)), "sqrt" or "effective_number"; see
            `class_weights`. Defaults to "inverse_frequency".
        beta: for "effective_number", in [0, 1). Defaults to 0.9999.
        normalize: "sum" rescales the weights to sum C. Defaults to None.
        loss: the loss to weight: one of this package, or one of Keras with `reduction=None`. It says for itself how it reads
            predictions, so `from_logits`, `label_smoothing` and `ignore_class` then belong to it. None is
            cross-entropy with those arguments. Defaults to None.
        from_logits: whether `y_pred` holds logits. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        label_smoothing: share of every label that is spread over the classes, in [0, 1]. Defaults to 0.
        ignore_class: label whose places count nowhere. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: as in Keras; applied after the weights. Defaults to "sum_over_batch_size".
        name: defaults to "class_balanced_loss".
        dtype: as in Keras; the computation is never narrower than float32.

    Raises:
        ValueError: for counts that are not positive, counts that do not suit the predictions, a Keras loss that reduces, or an
            argument that belongs to the wrapped loss.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import FocalLoss
    >>> loss = ClassBalancedLoss([90, 10], scheme="balanced", loss=FocalLoss(gamma=2.0, reduction=None))
    >>> y_true, y_pred = np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])
    >>> print(f"{float(loss(y_true, y_pred)):.4f}")
    0.4814

    References: Huyen, Designing Machine Learning Systems, 2022; Cui et al., Class-Balanced Loss Based on Effective Number of
    Samples, 2019, https://arxiv.org/abs/1901.05555
    """

    def __init__(
        self,
        class_counts: Any,
        scheme: str = "inverse_frequency",
        beta: float = 0.9999,
        normalize: str | None = None,
        loss: Any = None,
        from_logits: bool = False,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "class_balanced_loss",
        dtype: Any = None,
    ):
        if isinstance(loss, dict):
            loss = deserialize(loss)
        if loss is not None:
            _check_wrapped(loss, from_logits, label_smoothing)
            # The weights must read the labels as the wrapped loss does.
            multi_label = _agreed("multi_label", multi_label, loss, False)
            ignore_class = _agreed("ignore_class", ignore_class, loss, None)
            axis = _agreed("axis", axis, loss, -1)
        super().__init__(from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name, dtype)
        self.loss = loss
        self.scheme, self.beta, self.normalize = scheme, beta, normalize
        self.class_counts = as_table(class_counts, "class_counts").tolist()
        rows = check_counts_shape(class_counts, self.multi_label)
        weights = np.stack([class_weights(row, scheme, beta, normalize) for row in rows])
        self.class_weights = weights.reshape(np.shape(class_counts)).tolist()

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        self.check_table(self.class_weights, "class_counts", num_channels, sigmoid)
        if isinstance(self.loss, ImbalanceLoss):
            self.loss.check_channels(num_channels, sigmoid)

    def element_losses(self, aligned: Aligned, y_true: Any, y_pred: Any) -> Any:
        losses = self._unweighted(aligned, y_true, y_pred)
        labels = aligned.labels
        if aligned.form == "sigmoid":
            labels = ops.stack([1 - labels, labels], axis=-1)
        return losses * per_class(self.class_weights, labels, losses)

    def _unweighted(self, aligned, y_true, y_pred):
        if self.loss is None:
            return super().element_losses(aligned, y_true, y_pred)
        if isinstance(self.loss, ImbalanceLoss):
            return self.loss.element_losses(aligned, y_true, y_pred)
        if aligned.form == "sigmoid":
            losses, expected = self._keras_sigmoid(aligned, y_pred), aligned.labels.shape
        else:
            losses, expected = self._keras_softmax(aligned, y_true, y_pred), aligned.predictions.shape[:-1]
        if len(losses.shape) != len(expected) or any(
            a is not None and b is not None and a != b for a, b in zip(losses.shape, expected, strict=True)
        ):
            raise ValueError(
                f"`loss` must give one value a place, of shape {tuple(expected)}. Received: {type(self.loss).__name__}, "
                f"which gives the shape {tuple(losses.shape)} for y_true.shape={tuple(y_true.shape)}. A loss that mixes rows "
                "cannot be weighted by class."
            )
        return ops.cast(losses, aligned.predictions.dtype)

    def _keras_sigmoid(self, aligned, y_pred):
        axis = loss_argument(self.loss, "axis", -1)
        if axis != -1:
            raise ValueError(
                f"`loss` must have axis=-1 for independent sigmoids; `axis` of ClassBalancedLoss says where the channels are. "
                f"Received: {type(self.loss).__name__}(axis={axis})."
            )
        # Keras averages over the last axis; one of length 1 keeps the channels apart.
        predictions = self._channels_last(aligned, y_pred, lambda tensor: ops.expand_dims(tensor, -1))
        return self.loss(ops.expand_dims(aligned.labels, -1), predictions)

    def _keras_softmax(self, aligned, y_true, y_pred):
        labels = aligned.labels
        if aligned.form == "ids" and takes_one_hot(self.loss):
            labels = ops.one_hot(labels, aligned.predictions.shape[-1], dtype=aligned.predictions.dtype)
        elif aligned.form == "distribution" and takes_class_ids(self.loss):
            raise ValueError(
                f"`loss` {type(self.loss).__name__} takes class ids. Received: y_true.shape={tuple(y_true.shape)}. Pass class "
                "ids, or use CategoricalCrossentropy."
            )
        if loss_argument(self.loss, "axis", -1) == -1:
            return self.loss(labels, self._channels_last(aligned, y_pred, lambda tensor: tensor))
        has_channels = len(labels.shape) == len(y_pred.shape)
        return self.loss(ops.moveaxis(labels, -1, self.axis) if has_channels else labels, y_pred)

    def _channels_last(self, aligned, y_pred, shape):
        """Predictions for a loss of Keras, with the logits that Keras keeps beside them."""
        kept = kept_logits(y_pred)
        predictions = shape(aligned.predictions)
        if kept is None:
            return predictions
        return keep_logits(predictions * 1, shape(ops.moveaxis(kept, self.axis, -1)))

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        return cross_entropy(logits, targets)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        return sigmoid_focal(logits, targets, 1 - targets, 0.0)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "class_counts": self.class_counts,
            "scheme": self.scheme,
            "beta": self.beta,
            "normalize": self.normalize,
            "loss": None if self.loss is None else serialize(self.loss),
        }


def _agreed(argument, outer, loss, default):
    """The value of an argument that the wrapped loss has too; raises where both are given and differ."""
    inner = loss_argument(loss, argument, default)
    if outer == default or inner == outer:
        return inner
    if inner == default and not isinstance(loss, ImbalanceLoss):
        return outer
    raise ValueError(
        f"`{argument}` must be the same for ClassBalancedLoss and the loss that it wraps. Received: {argument}={outer}, and "
        f"{argument}={inner} in {type(loss).__name__}. Give it to the wrapped loss."
    )


def _check_wrapped(loss, from_logits, label_smoothing):
    if not is_loss(loss):
        raise ValueError(
            f"`loss` must be a loss object of this package or of Keras, or None. Received: loss={loss!r}. "
            "Pass an object, such as FocalLoss(reduction=None)."
        )
    if loss.reduction not in (None, "none"):
        raise ValueError(
            "`loss` must not reduce, or the rows it mixes cannot be weighted. "
            f"Received: loss={type(loss).__name__}(reduction={loss.reduction!r}). Build it with reduction=None "
            '("none" in tf-keras); the reduction of ClassBalancedLoss follows the weights.'
        )
    if not isinstance(loss_argument(loss, "axis", -1), int):
        raise ValueError(
            f"`loss` must give one value a place. Received: {type(loss).__name__}, which sums over the whole batch and so "
            "cannot be weighted by class."
        )
    if from_logits or label_smoothing:
        raise ValueError(
            "`from_logits` and `label_smoothing` belong to the wrapped loss. "
            f"Received: from_logits={from_logits}, label_smoothing={label_smoothing}, loss={type(loss).__name__}."
        )
