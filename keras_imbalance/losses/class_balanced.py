"""Class weights inside the loss."""

from typing import Any, Literal, Unpack

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import Aligned, Scheme, check_table, invalid, shapes_fit, weights_of_counts
from keras_imbalance._keras import (
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
from keras_imbalance.losses.base import ImbalanceLoss, LossArguments, shares_of_counts, weights_of_labels
from keras_imbalance.losses.log_space import cross_entropy, sigmoid_focal
from keras_imbalance.losses.tversky import TverskyLoss
from keras_imbalance.losses.weighted_sum import WeightedSum


@register
class ClassBalancedLoss(ImbalanceLoss):
    """Weights a classification loss by the class of each row: w_y loss(y, p), with w from the class counts.

    A wrapped `loss` must not reduce: FocalLoss(reduction=None). The weights apply once; do not pass `class_weight` to fit, or
    train on rows that a balanced sampler draws, on top of them.

    The weights stand outside the loss, so that a focal modulator sees the unweighted probability. Unlike `class_weight` of fit
    they work for several outputs, for masks (N, H, W) and together with sample weights.

    Args:
        class_counts: rows of every class in the training data, positive. Softmax: `(C,)`. One sigmoid channel: `(2,)`, class 0
            then class 1. multi_label: `(C, 2)`, for each label the rows without it, then those with it.
        scheme: "balanced" (N / (C n_i)), "inverse_frequency" (N / n_i), "sqrt" or "effective_number"; see `class_weights`.
            Defaults to "balanced".
        beta: for "effective_number", in [0, 1). Defaults to 0.9999.
        normalize: "sum" rescales the weights to sum C. Defaults to None.
        loss: the loss to weight: one of this package, or one of Keras, with reduction=None. It says how it reads predictions:
            `from_logits` and `label_smoothing` belong to it, and `multi_label`, `ignore_class` and `axis` are taken from it.
            Defaults to None, cross-entropy.
        **kwargs: see `ImbalanceLoss` for from_logits, multi_label, label_smoothing, ignore_class, axis, reduction (it follows
            the weights), pos_weight, name and dtype.

    Raises:
        ValueError: for counts that are not positive or do not suit the predictions, a wrapped loss that reduces, or an argument
            that belongs to the wrapped loss.

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
        class_counts: npt.ArrayLike,
        *,
        scheme: Scheme = "balanced",
        beta: float = 0.9999,
        normalize: Literal["sum"] | None = None,
        loss: Any = None,
        **kwargs: Unpack[LossArguments],
    ):
        if isinstance(loss, dict):
            loss = deserialize(loss)
        if loss is not None:
            _check_wrapped(loss, kwargs)
            # The weights must read the labels as the wrapped loss does.
            shared = (("multi_label", False), ("ignore_class", None), ("axis", -1))
            kwargs = {**kwargs, **{name: _agreed(name, kwargs, loss, default) for name, default in shared}}  # type: ignore
        super().__init__(**kwargs)
        self.loss = loss
        self.scheme, self.beta, self.normalize = scheme, beta, normalize
        self.class_weights = weights_of_counts(class_counts, self.multi_label, scheme, beta, normalize)
        self.class_counts = check_table(class_counts, "class_counts").tolist()

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        self.check_shape(self.class_weights, "class_counts", num_channels, sigmoid)
        if isinstance(self.loss, ImbalanceLoss):
            self.loss.check_channels(num_channels, sigmoid)

    def element_losses(self, aligned: Aligned, y_true: Any, y_pred: Any) -> Any:
        losses = self._unweighted(aligned, y_true, y_pred)
        return losses * self.class_weight_of(aligned, losses)

    def class_weight_of(self, aligned: Aligned, like: Any) -> Any:
        return weights_of_labels(self.class_weights, aligned, like)

    def _unweighted(self, aligned, y_true, y_pred):
        if self.loss is None:
            return super().element_losses(aligned, y_true, y_pred)
        if isinstance(self.loss, ImbalanceLoss):
            return self.loss.element_losses(aligned, y_true, y_pred)
        if aligned.form == "sigmoid":
            losses, expected = self._keras_sigmoid(aligned, y_pred), aligned.labels.shape
        else:
            losses, expected = self._keras_softmax(aligned, y_true, y_pred), aligned.predictions.shape[:-1]
        if not shapes_fit(losses.shape, expected):
            raise invalid(
                "loss",
                f"give one value a position, shape {tuple(expected)}",
                received=f"{type(self.loss).__name__}, which gives the shape {tuple(losses.shape)} for labels of the shape "
                f"{tuple(y_true.shape)}",
                remedy="A loss that mixes rows cannot be weighted by class.",
            )
        return ops.cast(losses, aligned.predictions.dtype)

    def _keras_sigmoid(self, aligned, y_pred):
        axis = loss_argument(self.loss, "axis", -1)
        if axis != -1:
            received = f"{type(self.loss).__name__}(axis={axis})"
            remedy = "Give ClassBalancedLoss the axis of the channels."
            raise invalid("loss", "have axis=-1 for independent sigmoids", received=received, remedy=remedy)
        # Keras averages over the last axis; one of length 1 keeps the channels apart.
        predictions = self._predictions(aligned, y_pred, lambda tensor: ops.expand_dims(tensor, -1))
        return self.loss(ops.expand_dims(aligned.labels, -1), predictions)

    def _keras_softmax(self, aligned, y_true, y_pred):
        labels = aligned.labels
        if aligned.form == "ids" and takes_one_hot(self.loss):
            labels = ops.one_hot(labels, aligned.predictions.shape[-1], dtype=aligned.predictions.dtype)
        elif aligned.form == "distribution" and takes_class_ids(self.loss):
            received = (
                f"{type(self.loss).__name__}, which takes class ids, for labels of the shape {tuple(y_true.shape)}"
            )
            remedy = "Pass class ids, or use CategoricalCrossentropy."
            raise invalid("loss", "read one-hot labels", received=received, remedy=remedy)
        if loss_argument(self.loss, "axis", -1) == -1:
            return self.loss(labels, self._predictions(aligned, y_pred, lambda tensor: tensor))
        has_channels = len(labels.shape) == len(y_pred.shape)
        predictions = self._predictions(aligned, y_pred, lambda tensor: ops.moveaxis(tensor, -1, self.axis))
        return self.loss(ops.moveaxis(labels, -1, self.axis) if has_channels else labels, predictions)

    def _predictions(self, aligned, y_pred, shape):
        """Predictions for a loss of Keras, with the logits that Keras keeps for them."""
        kept = kept_logits(y_pred)
        predictions = shape(aligned.predictions)
        if kept is None:
            return predictions
        return keep_logits(predictions * 1, shape(aligned.harmless(ops.moveaxis(kept, self.axis, -1))))

    def class_shares(self) -> np.ndarray:
        return shares_of_counts(self.class_counts)

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        return cross_entropy(logits, targets)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        return sigmoid_focal(logits, self.positives(targets), 1 - targets, 0.0)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "class_counts": self.class_counts,
            "scheme": self.scheme,
            "beta": self.beta,
            "normalize": self.normalize,
            "loss": None if self.loss is None else serialize(self.loss),
        }


def _agreed(argument, given, loss, default):
    """The value of an argument that the wrapped loss has too; raises where both are given and differ."""
    outer, inner = given.get(argument, default), loss_argument(loss, argument, default)
    if outer in (default, inner):
        return inner
    if inner == default and not isinstance(loss, ImbalanceLoss):
        return outer
    raise invalid(
        argument,
        "be the same for ClassBalancedLoss and the loss that it wraps",
        received=f"{argument}={outer}, and {argument}={inner} in {type(loss).__name__}",
        remedy="Give it to the wrapped loss.",
    )


def _check_wrapped(loss, given):
    """Raises unless `loss` gives one loss a position, so that each can be weighted by its class."""
    if not is_loss(loss):
        requirement = "be a loss object of this package or of Keras, or None"
        raise invalid("loss", requirement, loss, "Pass an object, such as FocalLoss(reduction=None).")
    name = type(loss).__name__
    if loss.reduction not in (None, "none"):
        received = f"{name}(reduction={loss.reduction!r})"
        remedy = (
            'Build it with reduction=None ("none" in tf-keras); the reduction of ClassBalancedLoss follows the weights.'
        )
        raise invalid("loss", "not reduce, so that each row can be weighted", received=received, remedy=remedy)
    if not isinstance(loss_argument(loss, "axis", -1), int) or isinstance(loss, (TverskyLoss, WeightedSum)):
        remedy = "A loss that sums over the whole batch cannot be weighted by class."
        raise invalid("loss", "give one value a position", received=name, remedy=remedy)
    for argument in ("from_logits", "label_smoothing", "pos_weight"):
        if given.get(argument) not in (None, False, 0):
            raise invalid(argument, "be given to the wrapped loss", given[argument], f"Pass it to {name}.")
