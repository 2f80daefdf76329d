"""The precision-recall curve of every class as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from keras_imbalance.plots._axes import check_label, given_or_new
from keras_imbalance.plots._class_curves import class_curves, draw_class_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_precision_recall(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    positive: int | str | None = None,
    class_names: Sequence[str] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    multi_label: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    ax: Axes | None = None,
    label: str | None = None,
) -> Figure:
    """Precision-recall curve of every class against the rest, with its average precision.

    Average precision is the sum of the precision at each step of the recall times that step.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, names of `class_names`, one-hot rows, or 0 and 1 `(N, C)` for several
            labels a row.
        y_score: probabilities `(N, C)`: apply softmax to logits first, which changes the curves. One sigmoid channel, `(N,)` or
            `(N, 1)`, whose class 1 is drawn, and several labels a row may have any scores, logits too.
        positive: the only class to draw, by its id or its name. Defaults to None, all.
        class_names: one name a class or label (2 for one channel). Defaults to the class ids.
        sample_weight: what each row counts, `(N,)`, finite and not negative; rows of another class share than that of use
            count by the ratio of the two shares of their class. Defaults to None, 1.
        multi_label: whether the channels are independent sigmoids, each a label with a curve of its own; `y_true`
            `(N, C)` holds 0 and 1. Defaults to False: labels of that shape are several a row where they are not one-hot.
        ignore_class: label whose positions count nowhere, such as 255. Defaults to None.
        axis: channel axis of the scores. Defaults to -1.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the model, in the legend. Further models in the same `ax` have other line styles. Defaults to None.

    Returns:
        The matplotlib Figure. With more than 12 classes the five worst are named, the others grey. A class without rows has no
        curve.

    Raises:
        ValueError: when labels and scores do not line up, for logits of several classes, an unknown class, and where no
            class has rows.

    Example:
    >>> figure = plot_precision_recall([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.9], class_names=["ok", "fraud"])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_legend().get_texts()[0].get_text()
    ('recall', 'fraud, AP 0.833')

    Reference: Davis & Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006.
    """
    label = check_label(label)
    curves = class_curves(
        y_true,
        y_score,
        class_names,
        positive,
        _curve,
        "positive",
        sample_weight=sample_weight,
        multi_label=multi_label,
        axis=axis,
        ignore_class=ignore_class,
    )
    figure, ax = given_or_new(ax, (6.4, 4.6))
    draw_class_curves(ax, curves, "AP", label, "steps-pre")
    ax.set(xlabel="recall", ylabel="precision")
    return figure


def _curve(cuts):
    """Average precision, recall and precision, without points in the middle of a vertical line.

    Cuts before the first row of the class is found have no part in the average precision, and none in the curve.
    """
    found = np.flatnonzero(cuts.true)
    moves = np.diff(cuts.true, prepend=-1, append=-1)[found[0] :] != 0
    kept = found[moves[:-1] | moves[1:]]
    recall, precision = cuts.recall[kept], cuts.precision[kept]
    return cuts.average_precision(), np.append(0, recall), np.append(precision[0], precision)
