"""The ROC curve of every class as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from keras_imbalance.plots._axes import REFERENCE, check_label, given_or_new
from keras_imbalance.plots._class_curves import class_curves, draw_class_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_roc(
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
    """ROC curve of every class against the rest, recall over the false positive rate, with the area under it.

    The area does not change with the share of the class. Of a rare class it may be .99 while most alarms are false: 1 % of
    many other rows is more than all rows of the class. `plot_precision_recall` shows that.

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
        The matplotlib Figure. With more than 12 classes the five worst are named, the others grey. A class without rows, or
        that all rows have, has no curve.

    Raises:
        ValueError: when labels and scores do not line up, for logits of several classes, an unknown class, and where no
            class has a curve.

    Example:
    >>> figure = plot_roc([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.9], class_names=["ok", "fraud"])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_legend().get_texts()[0].get_text()
    ('false positive rate', 'fraud, AUC 0.750')

    Reference: Fawcett, An Introduction to ROC Analysis, 2006.
    """
    label = check_label(label)
    curves = class_curves(
        y_true,
        y_score,
        class_names,
        positive,
        _curve,
        "both",
        sample_weight=sample_weight,
        multi_label=multi_label,
        axis=axis,
        ignore_class=ignore_class,
    )
    figure, ax = given_or_new(ax, (5.6, 5.2))
    ax.plot([0, 1], [0, 1], color=REFERENCE, linestyle="--", linewidth=1)
    draw_class_curves(ax, curves, "AUC", label, "default")
    ax.set(xlabel="false positive rate", ylabel="recall")
    return figure


def _curve(cuts):
    """Area, false positive rate and recall, without points in the middle of a straight line, as in scikit-learn."""
    bends = np.any([np.abs(np.diff(rows[1:], 2)) > 1e-12 * rows[-1] for rows in (cuts.true, cuts.false)], axis=0)
    kept = np.r_[True, True, bends, True][: len(cuts.true)]
    return cuts.area_under_roc(), (cuts.false / cuts.false[-1])[kept], cuts.recall[kept]
