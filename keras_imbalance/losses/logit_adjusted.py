"""Logit adjustment."""

from collections.abc import Mapping
from typing import Any, Literal, Unpack

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    Sampler,
    check_counts_shape,
    check_shares,
    check_table,
    invalid,
    log_ratio,
    matched_losses,
)
from keras_imbalance._keras import ops, register
from keras_imbalance.losses.base import ImbalanceLoss, LossArguments, shares_of_counts
from keras_imbalance.losses.log_space import cross_entropy, sigmoid_focal


@register
class LogitAdjustedLoss(ImbalanceLoss):
    """Cross-entropy whose outputs speak for other class shares than the data: CE(z + log drawn_prior - log output_prior).

    With the default, "balanced", the outputs of the model speak for classes that are equally frequent, which raises balanced
    accuracy. Predict with argmax z, without the shift; `output_prior` is the train_prior that `correct_prior` and other
    decisions take.

    Counts must be those of the rows that are trained on: with a balanced sampler, counts of the data correct twice. Given the
    sampler itself, the loss is adjusted to what it draws, so that the two correct once: a matched pair. Where a callback of
    this package changes the target, the compiled step follows at the beginning of the epoch, and `val_loss` may step.

    The default is the balanced softmax. Menon's tau is 1 - q of `output_prior=target_distribution(class_counts, q)`.

    Args:
        class_counts: rows of every class in the training data, positive. Softmax: `(C,)`. One sigmoid channel: `(2,)`, class 0
            then class 1. multi_label: `(C, 2)`, for each label the rows without it, then those with it. Or a sampler, of which
            every class is to be drawn; not for multi_label. A saved model holds the shares, not the sampler.
        output_prior: the class shares that the outputs are to speak for: "balanced", or positive shares in the shape of
            `class_counts`, also as a mapping from class id to share; multi_label: `(C, 2)`, or `(2,)` for every label. Rescaled
            to sum 1. Defaults to "balanced".
        **kwargs: see `ImbalanceLoss` for from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, pos_weight,
            name and dtype. Labels are smoothed towards `drawn_prior`: an even share would be far more than a rare class has,
            and the adjustment would make it more still.

    Raises:
        ValueError: for counts or shares that are not positive, a bare number as `output_prior`, or counts that do not suit the
            predictions. When the sampler begins an epoch in which it draws other shares than the loss is adjusted to.

    Attributes:
        drawn_prior: the shares of the rows that are trained on, float64, in the shape of `class_counts`.
        output_prior: the shares that the outputs speak for, likewise.

    Example:
    >>> import numpy as np
    >>> loss = LogitAdjustedLoss([90, 10], from_logits=True)
    >>> print(f"{float(loss(np.array([1]), np.array([[0.0, 0.0]]))):.4f}")  # -log 0.1
    2.3026

    A matched pair:

    >>> from keras_imbalance import ClassSampler
    >>> sampler = ClassSampler(np.repeat([0, 1], [90, 10]), target=0.75)
    >>> print(LogitAdjustedLoss(sampler, from_logits=True).drawn_prior.round(3))
    [0.839 0.161]

    References: Menon et al., Long-Tail Learning via Logit Adjustment, 2021, https://arxiv.org/abs/2007.07314; Ren et
    al., Balanced Meta-Softmax, 2020, https://arxiv.org/abs/2007.10740
    """

    def __init__(
        self,
        class_counts: npt.ArrayLike | Sampler,
        *,
        output_prior: Literal["balanced"] | npt.ArrayLike | Mapping[int, float] = "balanced",
        **kwargs: Unpack[LossArguments],
    ):
        super().__init__(**kwargs)
        sampler = class_counts if isinstance(class_counts, Sampler) else None
        counts: Any = class_counts if sampler is None else self._drawn_by(sampler)
        rows = check_counts_shape(counts, self.multi_label)
        shape = np.shape(counts)
        self.class_counts = check_table(counts, "class_counts").tolist()
        self._given_output_prior = _listed(output_prior)
        of_labels = np.ndim(self._given_output_prior) == 2 and np.shape(self._given_output_prior) == shape
        given = self._given_output_prior if of_labels else [self._given_output_prior] * len(rows)
        shares = [check_shares(part, "output_prior", num_classes=rows.shape[1]) for part in given]
        self.output_prior = np.reshape(shares, shape)
        self.live_shift: Any = None  # the variable that a compiled step reads, where a callback changes the shares
        self.adjust_to(shares_of_counts(counts))
        if sampler is not None:
            matched_losses(sampler).add(self)

    def adjust_to(self, drawn_prior: np.ndarray) -> None:
        """Adjusts to rows of these class shares. Compiled functions follow where a callback has given them `live_shift`."""
        pairs = zip(_rows(self.output_prior), _rows(drawn_prior), strict=True)
        self.drawn_prior = drawn_prior
        self._shift = np.reshape([log_ratio(*pair) for pair in pairs], np.shape(drawn_prior))
        if self.live_shift is not None:
            self.live_shift.shift.assign(self._shift.astype("float32"))

    def _drawn_by(self, sampler):
        if self.multi_label:
            raise invalid("class_counts", "hold counts (C, 2) with multi_label", received=f"a {type(sampler).__name__}")
        shares = sampler.distribution
        if not (np.isfinite(shares) & (shares > 0)).all():
            names = [sampler.class_names[i] for i in np.flatnonzero(~(shares > 0))]
            requirement = "be a sampler that draws every class"
            raise invalid("class_counts", requirement, received=f"no share of {names[:10]}", remedy="Set its target.")
        return shares

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        self.check_shape(self._shift, "class_counts", num_channels, sigmoid)

    def class_shares(self) -> np.ndarray:
        return self.drawn_prior

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        return cross_entropy(logits + self._shift_like(logits), targets)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        # A sigmoid is a softmax of two logits, in which only the difference counts.
        shift = self._shift_like(logits)
        return sigmoid_focal(logits + (shift[..., 1] - shift[..., 0]), self.positives(targets), 1 - targets, 0.0)

    def _shift_like(self, logits):
        if self.live_shift is not None:
            return ops.cast(self.live_shift.shift, logits.dtype)
        return ops.convert_to_tensor(self._shift, dtype=logits.dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "class_counts": self.class_counts, "output_prior": self._given_output_prior}


def _rows(shares):
    return np.reshape(shares, (-1, np.shape(shares)[-1]))


def _listed(shares):
    """Shares as JSON knows them; those of a mapping in the order of its class ids."""
    if hasattr(shares, "to_dict"):
        shares = shares.to_dict()
    if isinstance(shares, Mapping):
        check_shares(shares, "output_prior")
        return [float(shares[class_id]) for class_id in range(len(shares))]
    return shares if isinstance(shares, str) else check_table(shares, "output_prior").tolist()
