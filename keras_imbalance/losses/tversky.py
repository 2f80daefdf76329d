"""Overlap of masks: Dice, Tversky and focal Tversky."""

from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_flag, check_number, invalid, label_tensor, outside_of_probabilities
from keras_imbalance._keras import (
    OWN_REDUCTIONS,
    compute_dtype,
    given_reduction,
    name_scope,
    num_replicas,
    ops,
    register,
)
from keras_imbalance.losses.base import ImbalanceLoss, LossArguments, check_class_weights
from keras_imbalance.losses.reductions import ratio, weighted_losses

TINY_SHARE = 1e-12


@register
class TverskyLoss(ImbalanceLoss):
    """One minus the overlap of each class's true and predicted mask, (1 - T_c)^gamma, mean over classes: for rare classes in
    masks.

    With t the label and p the probability of class c at a pixel, and w the weight of the pixel,

        T_c = sum w t p / (sum w t p + alpha sum w (1 - t) p + beta sum w t (1 - p)),

    so that alpha weighs false positives and beta false negatives, and a class of few pixels counts like any other. alpha = beta
    = 0.5 is Dice; beta > alpha finds more of a rare class at the price of false alarms. A class without true pixels in a unit,
    which is the batch or with `per_image` an image, leaves the mean of that unit. Where all pixels of a class are missed with
    certainty there is almost no gradient: add a loss of pixels, `WeightedSum([TverskyLoss(), FocalLoss()])`.

    Args:
        alpha: weight of false positives, >= 0. Defaults to 0.5.
        beta: weight of false negatives, >= 0; not 0 together with alpha. Defaults to 0.5.
        gamma: exponent, > 0; 0.75 is the 4/3 of Abraham and Khan, who write its inverse. Defaults to 1.
        class_weight: weights of the classes in the mean `(C,)`, 0 for a background that is not to count. Defaults to None, 1.
        per_image: whether each image, a row of the batch, is a unit of its own. The mean over images is one over those that
            have true pixels and a weight. Defaults to False: all pixels of the batch are one unit.
        **kwargs: see `ImbalanceLoss` for from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name and
            dtype. Sample weights of pixels enter all three sums; with `per_image` those of images `(N,)` multiply the losses of
            the images. reduction=None gives the losses of the units: `()`, or `(N,)` with `per_image`.

    Raises:
        ValueError: for arguments out of range, a `class_weight` that does not suit the predictions, `pos_weight`, and the
            reductions "mean_with_class_weight" and "sum_over_positives", which are for losses of single positions.

    Example:
    >>> import numpy as np
    >>> masks = np.array([[[0, 0], [0, 1]]])  # one image of 2 x 2 pixels
    >>> predicted = np.eye(2)[[[[0, 0], [1, 1]]]]  # one false positive of class 1
    >>> print(f"{float(TverskyLoss(class_weight=[0, 1])(masks, predicted)):.4f}")  # Dice: 2 of 3
    0.3333

    References: Salehi et al., Tversky Loss Function for Image Segmentation, 2017, https://arxiv.org/abs/1706.05721; Abraham &
    Khan, A Novel Focal Tversky Loss Function, 2019, https://arxiv.org/abs/1810.07842
    """

    def __init__(
        self,
        alpha: float = 0.5,
        *,
        beta: float = 0.5,
        gamma: float = 1.0,
        class_weight: npt.ArrayLike | None = None,
        per_image: bool = False,
        **kwargs: Unpack[LossArguments],
    ):
        super().__init__(**kwargs)
        self.alpha = check_number(alpha, "alpha", 0)
        self.beta = check_number(beta, "beta", 0)
        if self.alpha == 0 and self.beta == 0:
            raise invalid("beta", "be more than 0 where alpha is 0", beta)
        self.gamma = check_number(gamma, "gamma", above=0)
        self.class_weight = None if class_weight is None else check_class_weights(class_weight, "class_weight")
        self.per_image = check_flag(per_image, "per_image")
        if self.pos_weight is not None:
            raise invalid("pos_weight", "be None", self.pos_weight, "beta weighs what is missed, class_weight a class.")
        if given_reduction(self) in OWN_REDUCTIONS:
            remedy = "The mean over classes is one with class_weight already."
            raise invalid("reduction", "be one of Keras's", given_reduction(self), remedy)

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        if self.class_weight is not None and np.shape(self.class_weight) != (num_channels,):
            raise invalid("class_weight", f"hold {num_channels} weights, one a channel", self.class_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._losses_of_units(y_true, y_pred, None)[0]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with name_scope(self.name):
            y_pred = ops.convert_to_tensor(y_pred)
            if self._weighs_images(sample_weight):
                sample_weight = ops.convert_to_tensor(sample_weight, dtype=compute_dtype(self.dtype))
            losses, counted = self._losses_of_units(label_tensor(y_true), y_pred, sample_weight)
            weights = counted
            if self._weighs_images(sample_weight):
                weights = counted * ops.reshape(sample_weight, (-1,))
            weighted = weighted_losses(losses, weights)
            reduction = given_reduction(self)
            if reduction in (None, "none"):
                return weighted
            if reduction == "sum":
                return ops.sum(weighted)
            divisor = ops.sum(weights if reduction == "mean_with_sample_weight" else counted)
            return ratio(ops.sum(weighted), divisor) / num_replicas(self)

    def _weighs_images(self, sample_weight):
        """Whether sample weights are those of images, where images are units."""
        return self.per_image and sample_weight is not None and all(size == 1 for size in np.shape(sample_weight)[1:])

    def _losses_of_units(self, y_true, y_pred, sample_weight):
        """Loss of the batch `()` or of each image `(N,)`, and, as floats, which of them have a class that counts."""
        aligned = self.aligned(y_true, y_pred, sample_weight)
        self.check_channels(y_pred.shape[self.axis], aligned.form == "sigmoid")
        weights = self._weights(aligned, sample_weight)
        self.logits_kept(y_pred, aligned.form == "sigmoid")
        p = aligned.predictions
        if self.from_logits:
            p = ops.sigmoid(p) if aligned.form == "sigmoid" else ops.softmax(p, axis=-1)
        else:
            p = ops.where(outside_of_probabilities(p), ops.full_like(p, float("nan")), p)
        labels = aligned.labels
        if aligned.form == "ids":
            labels = ops.one_hot(labels, p.shape[-1], dtype=p.dtype)
        targets = self.smoothed(aligned, p) if self.label_smoothing else labels
        axes = tuple(range(int(self.per_image), len(p.shape) - 1))
        found, false_positives, false_negatives, true = (
            ops.sum(weights * part, axis=axes) for part in (targets * p, (1 - targets) * p, targets * (1 - p), labels)
        )
        missed = self.alpha * false_positives + self.beta * false_negatives
        # Absent classes, and what is too small to be divided by twice, leave no NaN in second derivatives.
        total, ones = found + missed, ops.ones_like(found)
        lost = ops.logical_or(ops.equal(true, 0), total < TINY_SHARE)
        share = ops.where(lost, ones, missed / ops.where(lost, ones, total))
        return self._mean_of_classes(share if self.gamma == 1 else _power(share, self.gamma), true)

    def _weights(self, aligned, sample_weight):
        """Weight of every pixel, `(..., 1)` or with weights of labels `(..., C)`; NaN where a label is invalid."""
        weights = aligned.weights
        if weights is None or self._weighs_images(sample_weight):
            ones = ops.ones_like(aligned.predictions[..., 0])
            weights = ones if aligned.counted is None else ops.cast(aligned.counted, ones.dtype)
        if len(weights.shape) < len(aligned.predictions.shape):
            weights = ops.expand_dims(weights, -1)
        return ops.where(ops.expand_dims(aligned.wrong, -1), ops.full_like(weights, float("nan")), weights)

    def _mean_of_classes(self, losses, true):
        class_weight = 1.0 if self.class_weight is None else ops.convert_to_tensor(self.class_weight, losses.dtype)
        # Not `true > 0`, which would hide the NaN of an invalid label.
        weights = ops.where(ops.equal(true, 0), ops.zeros_like(true), ops.ones_like(true)) * class_weight
        total = ops.sum(weights, axis=-1)
        mean = ratio(ops.sum(weighted_losses(losses, weights), axis=-1), total)
        return mean, ops.cast(ops.not_equal(total, 0), losses.dtype)

    def get_config(self) -> dict:
        own = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        return {**super().get_config(), **own, "class_weight": self.class_weight, "per_image": self.per_image}


def _power(base, exponent):
    """base^exponent 0 with a gradient of 0 near 0, where a root has no finite slope."""
    nothing = base < TINY_SHARE
    return ops.where(nothing, ops.zeros_like(base), ops.power(ops.where(nothing, ops.ones_like(base), base), exponent))
