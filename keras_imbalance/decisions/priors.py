"""Probabilities that fit another class prior than that of the training data."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    channels_at_end,
    check_flag,
    check_names,
    check_numbers,
    check_probabilities,
    check_shares,
    check_table,
    check_whole,
    invalid,
    is_one_channel,
    log_ratio,
)

Shares = (
    npt.ArrayLike | Mapping[int, float] | Mapping[str, float]
)  # "balanced", or one share a class; `check_shares` has the rule


def correct_prior(
    probabilities: npt.ArrayLike,
    train_prior: Shares,
    true_prior: Shares,
    *,
    multi_label: bool = False,
    class_names: Sequence[str] | None = None,
    axis: int = -1,
) -> np.ndarray:
    """Moves the probabilities of a model from the class shares that they speak for to those where it is used.

    After a correction do not decide at 0.5, which few corrected probabilities of a rare class exceed. Decide by
    `minimum_cost_decision`, or by the thresholds of `tune_thresholds` on corrected probabilities. The probabilities must be
    those of cross-entropy, not of focal loss.

    The rule is p_k true_k / train_k, rescaled to sum 1: log(true / train) added to the logits. For two classes and an
    undersampled majority of which a share beta was kept this is beta p / (beta p - p + 1) (Dal Pozzolo et al., 2015). It holds
    where only the shares of the classes differ between training and use, and rows of one class look alike, as after resampling.

    Args:
        probabilities: `(N, C)` or `(..., C)`, rows that sum to 1; or the probability of class 1, `(N,)` or `(..., 1)`.
        train_prior: the class shares that the probabilities speak for. "balanced", or one share a class: an array `(C,)`,
            rescaled to sum 1, so that counts will do, or a mapping by class id or name. With a logit-adjusted loss they are
            `loss.output_prior`, else what was drawn: `sampler.drawn_prior`, `BalancedBagging.train_prior`; with class weights
            each share times its weight.
        true_prior: the class shares where the model is used, in the same form: `class_prior(class_counts)` of data not
            resampled, or `estimate_prior`. The share p of class 1 is written [1 - p, p]. "balanced" raises the recall of rare
            classes: argmax of the result is post-hoc logit adjustment (Menon et al. 2021).
        multi_label: whether the channels are independent sigmoids. Each prior then is `(2,)`, the shares of rows without and
            with a label, for all labels, or `(C, 2)`. Defaults to False.
        class_names: names that mappings may use, in the order of the class ids. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.

    Returns:
        float64 array of the shape of `probabilities`. What is exactly 0 or 1 stays so.

    Raises:
        ValueError: for probabilities outside [0, 1] or rows that do not sum to 1, for a bare number as a prior, and for shares
            that are not positive.

    Example:
    >>> probabilities = np.array([0.2, 0.6, 0.95])
    >>> honest = correct_prior(probabilities, train_prior="balanced", true_prior=[0.99, 0.01])
    >>> honest.round(4)
    array([0.0025, 0.0149, 0.161 ])

    None exceeds 0.5 any more. Where a miss costs 99 times a false alarm, the decisions are those of 0.5 before:

    >>> from keras_imbalance import minimum_cost_decision
    >>> minimum_cost_decision(honest, [[0, 1], [99, 0]])
    array([0, 1, 1])

    References: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002; Dal Pozzolo et al.,
    Calibrating Probability with Undersampling for Unbalanced Classification, 2015; Menon et al., Long-Tail Learning via Logit
    Adjustment, 2021, https://arxiv.org/abs/2007.07314
    """
    given = channels_at_end(check_numbers(probabilities, "probabilities"), check_whole(axis, "axis"))
    p = check_probabilities(given, check_flag(multi_label, "multi_label"), given=probabilities).astype(np.float64)
    if multi_label:
        shift = log_ratio_of_labels(train_prior, true_prior, p.shape[-1])
    else:
        num_classes = 2 if is_one_channel(p) else p.shape[-1]
        names = check_names(class_names, num_classes)
        shift = log_ratio(train_prior, true_prior, num_classes, class_names=names)
    with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity, and comes back as 0
        if multi_label or is_one_channel(p):
            corrected = sigmoid(np.log(p) - np.log1p(-p) + (shift[..., 1] - shift[..., 0]))
        else:
            corrected = softmax(np.log(p) + shift)
    return corrected if p.ndim < 2 else np.moveaxis(corrected, -1, axis)


def log_ratio_of_labels(train_prior: Shares, true_prior: Shares, num_labels: int | None = None) -> np.ndarray:
    """log(true / train) of each label's two classes, absent and set: `(C, 2)`, or `(2,)` where both priors are for all labels.

    Args:
        train_prior: `(2,)`, `(C, 2)` or "balanced".
        true_prior: the same.
        num_labels: C, where it is known.
    """
    sides: list[np.ndarray] = []
    for prior, argument in ((train_prior, "train_prior"), (true_prior, "true_prior")):
        of_labels = not isinstance(prior, (str, Mapping)) and np.ndim(check_table(prior, argument)) == 2
        rows = check_table(prior, argument) if of_labels else [prior]
        sides.append(np.array([check_shares(row, argument, num_classes=2) for row in rows]))
        if of_labels and num_labels not in (None, len(rows)):
            raise invalid(argument, f"have the shape (2,) or ({num_labels}, 2) for {num_labels} labels", prior)
    train, true = sides
    if len(train) != len(true) and 1 not in (len(train), len(true)):
        raise invalid("true_prior", f"be for {len(train)} labels, as `train_prior`", true_prior)
    ratios = np.log(true) - np.log(train)
    return ratios[0] if len(ratios) == 1 else ratios


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, which may hold minus infinity."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logistic function without overflow; infinite logits give 0 and 1."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1 + small)
