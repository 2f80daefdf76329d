"""The confusion matrix as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_confusion, check_one_of, invalid
from keras_imbalance.metrics import ClassificationReport
from keras_imbalance.plots._axes import READABLE, check_label, given_or_new, ids_or_names, name_ticks
from keras_imbalance.plots._scales import log_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES_TOO = 6  # classes whose cells have room for a second line


def plot_confusion_matrix(
    confusion: npt.ArrayLike | ClassificationReport,
    *predictions: Any,
    class_names: Sequence[str] | None = None,
    normalize: Literal["true"] | None = "true",
    ax: Axes | None = None,
    label: str | None = None,
) -> Figure:
    """Confusion matrix: rows are the true classes, colours the share of each row, numbers the counts.

    Args:
        confusion: a `ClassificationReport`, or counts `(C, C)`, such as `ConfusionMatrix.matrix()`.
        *predictions: none. Labels and predictions are counted first, as by `classification_report`.
        class_names: one name a class. Defaults to those of the report, or the class ids.
        normalize: "true" colours by share of each true class, so that rare classes show; None by count, on a logarithmic
            scale. Defaults to "true".
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the model, above the matrix. Defaults to None.

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: for a matrix that is not square or holds anything but finite counts, for labels and predictions in its
            place, and for an unknown `normalize`.

    Example:
    >>> figure = plot_confusion_matrix([[90, 5], [2, 3]], class_names=["ok", "fraud"])
    >>> figure.axes[0].get_xlabel(), [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ('predicted class', ['ok', 'fraud'])

    `figure.savefig("confusion_matrix.png")`
    """
    from matplotlib.colors import LogNorm, Normalize

    if predictions:
        remedy = "Of labels and predictions: plot_confusion_matrix(classification_report(y_true, y_pred))."
        received = f"{1 + len(predictions)} arguments without a name"
        raise invalid(
            "confusion", "be counts of shape (C, C), the only argument without a name", received=received, remedy=remedy
        )
    if isinstance(confusion, ClassificationReport):
        class_names = confusion.class_names if class_names is None else class_names
        confusion = confusion.confusion
    counts = check_confusion(confusion)
    check_one_of(normalize, "normalize", ("true", None))
    label = check_label(label)
    size = len(counts)
    names = ids_or_names(class_names, size)
    side = float(np.clip(2.6 + 0.62 * min(size, READABLE) + 0.06 * max(size - READABLE, 0), 3.6, 11))
    figure, ax = given_or_new(ax, (side + 1.2, side))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-30)
    shown = shares if normalize else np.ma.masked_equal(counts, 0)
    shade = Normalize(0, 1) if normalize else LogNorm(*log_range(counts))
    image = ax.imshow(shown, cmap="Blues", norm=shade, interpolation="nearest")
    quantity = "share of the true class" if normalize else "rows"
    figure.colorbar(image, ax=ax, label=quantity, fraction=0.046, pad=0.04)
    name_ticks(ax.set_xticks, names, room=10 * side / size if size <= READABLE else 3)
    name_ticks(ax.set_yticks, names)
    if size <= READABLE:
        dark = (counts > 0) & (np.ma.filled(shade(shown), 0) > 0.55)
        _write_counts(ax, counts, shares if normalize and size <= SHARES_TOO else None, dark)
    ax.set(xlabel="predicted class", ylabel="true class")
    if label:
        ax.set_title(label)
    return figure


def _write_counts(ax, counts, shares, dark):
    """The count in every cell, and below it the share of its row where there are shares and rows."""
    fontsize = 9 if len(counts) <= SHARES_TOO or counts.max() < 1e4 else 7
    for i, j in np.ndindex(*counts.shape):
        text = f"{counts[i, j]:.6g}"
        if shares is not None and counts[i].sum():
            text += f"\n{_percent(shares[i, j])}"
        ax.text(j, i, text, ha="center", va="center", color="white" if dark[i, j] else "black", fontsize=fontsize)


def _percent(share):
    """Whole, but never 0 or 100 of what is a little more or less."""
    return f"{share:.1%}" if 0 < share < 0.01 or 0.99 < share < 1 else f"{share:.0%}"
