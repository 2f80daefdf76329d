"""Recall against precision of every class, as the class shares that decisions assume go from natural to balanced."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_ignored,
    check_names,
    check_number,
    check_numbers,
    check_probabilities,
    check_table,
    check_whole,
    invalid,
    line_up,
    log_ratio,
    named_ids,
    target_distribution,
    two_channels,
)
from keras_imbalance.decisions.arrays import check_every_class, classes_first, largest_class
from keras_imbalance.decisions.priors import Shares
from keras_imbalance.metrics import functional


@dataclass(frozen=True, eq=False)
class TradeoffCurve:
    """Scores of every class over q; see `tradeoff_curve`.

    Attributes:
        q: exponents `(Q,)`, ascending: decisions assume shares in proportion to n^q, 0 balanced, 1 natural.
        recall: `(Q, C)`.
        precision: `(Q, C)`, 0 where nothing is decided as the class.
        f1: `(Q, C)`.
    """

    q: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    f1: np.ndarray


def tradeoff_curve(
    y_true: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    train_prior: Shares,
    *,
    q: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    ignore_class: int | None = None,
    class_names: Sequence[str] | None = None,
    axis: int = -1,
) -> TradeoffCurve:
    """Recall, precision and F1 of every class over q, where decisions assume class shares in proportion to n^q.

    Rows are decided as argmax_c (log p_c - log train_c + q log n_c), with n_c the rows of class c in `y_true`: q = 1 is argmax
    under the shares of these rows, q = 0 post-hoc logit adjustment. Read off what a gain of recall costs in precision, and pass
    `target_distribution(class_counts, q)` to `PriorCorrection` as true_prior. Do not tune q for recall alone: on validation
    rows that never beat "balanced".

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or names of `class_names`, of rows in natural shares. Every
            class must have rows.
        probabilities: `(N, C)`, rows that sum to 1; of one sigmoid `(N,)` or `(N, 1)`. Axes in between are positions.
        train_prior: the class shares that the probabilities speak for, as in `correct_prior`.
        q: exponents, finite, not negative. Defaults to None, 0 to 1 by 0.05.
        sample_weight: what each row or position counts. Defaults to None, 1.
        ignore_class: label whose positions count nowhere, such as 255. Defaults to None.
        class_names: names that `y_true` and a mapping may use, in the order of the class ids. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.

    Returns:
        `TradeoffCurve`; `plots.plot_tradeoff` draws it.

    Raises:
        ValueError: for probabilities outside [0, 1], labels that do not line up, and a class without rows.

    Example:
    >>> curve = tradeoff_curve([0, 0, 0, 1], [0.1, 0.2, 0.4, 0.3], [0.75, 0.25], q=[0, 1])
    >>> curve.recall[:, 1], curve.precision[:, 1].round(2)
    (array([1., 0.]), array([0.5, 0. ]))

    Reference: Menon et al., Long-Tail Learning via Logit Adjustment, 2021, https://arxiv.org/abs/2007.07314
    """
    numbers = check_numbers(probabilities, "probabilities")
    rule = {"axis": check_whole(axis, "axis"), "ignore_class": check_ignored(ignore_class)}
    truth = y_true if class_names is None else named_ids(y_true, class_names, "y_true")[0]
    labels, rows, weights = line_up(truth, numbers, sample_weight=sample_weight, **rule)
    p = two_channels(check_probabilities(rows, given=probabilities).astype(np.float64))
    labels, weights, size = labels.reshape(-1), weights.reshape(-1), p.shape[-1]
    check_every_class(labels, size)
    counts = np.bincount(labels, weights, size)
    names = check_names(class_names, size)
    exponents = np.arange(21) / 20 if q is None else np.sort(_exponents(q))
    with np.errstate(divide="ignore"):
        log_p = classes_first(np.log(p))
    confusions = []
    for exponent in exponents.tolist():
        shift = log_ratio(train_prior, target_distribution(counts, exponent), size, class_names=names)
        decided = largest_class(log_p + shift[:, None])
        confusions.append(functional.confusion_matrix(labels, decided, num_classes=size, weights=weights))
    confusion = np.stack(confusions)
    right, predicted = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=1)
    precision = right / np.where(predicted > 0, predicted, 1)
    return TradeoffCurve(exponents, right / counts, precision, 2 * right / (counts + predicted))


def _exponents(q):
    table = check_table(q, "q")
    if table.ndim != 1 or not table.size or table.dtype.kind not in "iuf":
        raise invalid("q", "hold one number or more", q)
    return np.array([check_number(value, "q", 0) for value in table])
