"""The reliability diagram: whether probabilities can be believed, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_flag, check_one_of, check_probabilities, check_whole, invalid
from keras_imbalance.plots._axes import (
    REFERENCE,
    check_label,
    class_word,
    colour_of,
    free_line_style,
    given_or_new,
    ids_or_names,
)
from keras_imbalance.plots._legends import legend_inside
from keras_imbalance.plots._one_against_rest import check_positive, of_class, one_against_rest
from keras_imbalance.plots._scales import SCALES, Scale, least_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Strategy = Literal["uniform", "quantile"]
MARKERS = {"-": "o", "--": "s", "-.": "^", ":": "D"}


class Believed(NamedTuple):
    """Probabilities `(M,)`, whether each came true, what each counts, what the axes call the first two, and a colour."""

    probabilities: np.ndarray
    came_true: np.ndarray
    weights: np.ndarray
    xlabel: str
    ylabel: str
    colour: str


class Bins(NamedTuple):
    """Bins of confidence: edges `(bins + 1,)`; rows by weight, mean confidence and share that is right, `(bins,)`."""

    edges: np.ndarray
    rows: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    def error(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy, weighted by rows."""
        return float((self.rows * np.abs(self.confidence - self.accuracy)).sum() / self.rows.sum())


def plot_reliability(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    positive: int | str | None = None,
    num_bins: int = 10,
    strategy: Strategy = "uniform",
    scale: Scale = "linear",
    class_names: Sequence[str] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    multi_label: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    ax: Axes | None = None,
    label: str | None = None,
) -> Figure:
    """Reliability diagram: how often predictions of a confidence are right, and how many rows have that confidence.

    With few positives nearly all rows lie in the first of the bins of equal width, so that one point stands for all of them:
    then take `strategy="quantile"`, or `scale="log"`, on which the probabilities .001 and .01 are as far apart as .1 and 1.

    The area below is the rows of each bin. The expected calibration error is the mean distance from the diagonal, weighted by
    rows. Where the model gives no more than 0.5, the axes end where its points do. On logarithmic axes a bin in which
    none came true has a hollow mark at the lower end.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, names of `class_names`, or one-hot rows; 0 and 1 with `multi_label`.
        y_prob: probabilities `(N, C)`: the largest of each row is its confidence; `(N,)` or `(N, 1)` for one sigmoid
            channel: the probability of class 1.
        positive: one class against the rest, by its id or its name. Defaults to None: the largest probability of each row; of
            one sigmoid class 1; with `multi_label` every label.
        num_bins: number of bins. Defaults to 10.
        strategy: "uniform": bins of equal width over [0, 1], or with `scale="log"` on the logarithmic axis, from the smallest
            to the largest probability; "quantile": bins of equally many rows. On linear axes the bins are those of
            scikit-learn's `calibration_curve`. Defaults to "uniform".
        scale: "linear" or "log", of both axes. Defaults to "linear".
        class_names: one name a class (2 for one channel). Defaults to the class ids.
        sample_weight: what each row counts, `(N,)`, finite and not negative; rows of another class share than that of use
            count by the ratio of the two shares of their class. Bins of
            equally many rows go by rows, not weights. Defaults to None, 1.
        multi_label: whether the channels are independent sigmoids. Then every label of every row is a prediction, and
            `y_true` `(N, C)` holds 0 and 1. Defaults to False, one softmax.
        ignore_class: label whose positions count nowhere, such as 255. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the model, in the legend. Further models in the same `ax` have other line styles. Defaults to "model".

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: when labels and probabilities do not line up, for probabilities outside [0, 1], an unknown
            class and other bins.

    Example:
    >>> figure = plot_reliability([0, 0, 1, 1], [0.1, 0.3, 0.7, 0.9], num_bins=2)
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_legend().get_texts()[1].get_text()
    ('predicted probability of class 1', 'model, error 0.200')

    Reference: Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599.
    """
    num_bins = check_whole(num_bins, "num_bins", 1)
    check_one_of(strategy, "strategy", get_args(Strategy))
    check_one_of(scale, "scale", SCALES)
    label = check_label(label) or "model"
    # Each class by itself: rows need not sum to 1.
    multi_label = check_flag(multi_label, "multi_label")
    rule: dict[str, Any] = {
        "multi_label": multi_label,
        "axis": axis,
        "ignore_class": ignore_class,
        "sample_weight": sample_weight,
    }
    truth, scores, weights = one_against_rest(y_true, y_prob, "y_prob", class_names=class_names, **rule)
    check_probabilities(scores, True, "y_prob")
    believed = _believed(truth, scores, weights, positive, class_names, multi_label)
    edges = _edges(believed.probabilities, num_bins, strategy, scale)
    bins = _fill_bins(believed, edges)
    figure, ax = given_or_new(ax, (5.2, 5.2))
    low, end = (0.0, _end_of_axes(bins, strategy)) if scale == "linear" else _ends_of_log_axes(bins)
    if _draw(ax, bins, low, believed.colour, label) > 0:
        low, end = min(low, ax.get_xlim()[0]), max(end, ax.get_xlim()[1])
    ax.set(xlabel=believed.xlabel, ylabel=believed.ylabel, xscale=scale, yscale=scale, xlim=(low, end), ylim=(low, end))
    if scale == "linear":
        ax.locator_params(nbins=6)
    legend_inside(ax, above=False)
    return figure


def _believed(truth, scores, weights, positive, class_names, multi_label):
    size = truth.shape[1]
    names = ids_or_names(class_names, max(size, 2))
    if not multi_label and size > 1 and (truth.sum(axis=1) != 1).any():
        remedy = "For rows with several classes pass multi_label=True."
        raise invalid("y_true", "be one-hot", received="rows with several 1, or only 0", remedy=remedy)
    if positive is not None or size == 1:
        chosen = check_positive(positive, names)
        right, sure, counts = of_class(chosen, truth, scores, weights)
        word = class_word(class_names, chosen)
        words = f"predicted probability of {word}", f"share that is {word}"
        return Believed(sure, right, counts, *words, colour_of(chosen))
    if multi_label:
        words = "predicted probability of a label", "share that has it"
        counted = weights > 0
        return Believed(scores[counted], truth[counted], weights[counted], *words, "black")
    rows = np.arange(len(truth))
    right = truth[rows, scores.argmax(axis=1)]
    return Believed(scores.max(axis=1), right, weights[:, 0], "confidence", "accuracy", "black")


def _edges(probabilities, num_bins, strategy, scale):
    """Edges of the bins `(bins + 1,)`."""
    if strategy == "quantile":
        return np.percentile(probabilities, 100 * np.linspace(0, 1, num_bins + 1))
    if scale == "linear":
        return np.linspace(0, 1, num_bins + 1)
    return np.geomspace(least_shown(probabilities), probabilities.max() or 1, num_bins + 1)


def _fill_bins(believed, edges):
    size = len(edges) - 1
    bin_of = np.searchsorted(edges[1:-1], believed.probabilities)
    rows = np.bincount(bin_of, believed.weights, size)
    sums = (np.bincount(bin_of, believed.weights * values, size) for values in believed[:2])
    confidence, accuracy = (total / np.where(rows > 0, rows, 1) for total in sums)
    return Bins(edges, rows, confidence, accuracy)


def _draw(ax, bins, low, colour, label):
    """The points of a model; with the first the diagonal, and at the bottom the rows. Gives the number of models before it."""
    before = sum(line.get_marker() in MARKERS.values() and line.get_linestyle() in MARKERS for line in ax.lines)
    style = free_line_style(ax)
    heights = 0.25 * bins.rows / bins.rows.max()
    at_bottom = {"transform": ax.get_xaxis_transform()}
    if before:  # outlines, which can be told apart where they overlap
        ax.stairs(heights, bins.edges, color="0.4", linestyle=style, zorder=0.6, **at_bottom)
    else:
        widths = np.diff(bins.edges)
        of_rows: dict[str, Any] = {"color": "0.87", "edgecolor": "white", "label": "rows", "zorder": 0.5}
        ax.bar(bins.edges[:-1], heights, widths, align="edge", **of_rows, **at_bottom)
    if not before:
        ax.plot([1e-30, 1], [1e-30, 1], color=REFERENCE, linestyle="--", linewidth=1, label="perfect")
    shown = bins.rows > 0
    points = {"color": colour, "marker": MARKERS[style], "markersize": 5, "clip_on": False, "zorder": 4}
    below = shown & (bins.accuracy < low)
    x, y = np.maximum(bins.confidence, low), np.where(below, np.nan, bins.accuracy)
    ax.plot(x[shown], y[shown], linestyle=style, label=f"{label}, error {bins.error():.3f}", **points)
    if below.any():
        hollow = {**points, **at_bottom, "markerfacecolor": "white", "linestyle": "none"}
        ax.plot(x[below], np.full(below.sum(), 0.012), label=None if before else "share 0", **hollow)
    return before


def _end_of_axes(bins, strategy):
    """Where both axes end: 1, or where the model does if that is below 0.5."""
    highest = bins.accuracy.max() * 1.05
    if strategy == "quantile":
        end = 1.05 * max(bins.confidence.max(), highest)
    else:
        end = max(bins.edges[1:][bins.rows > 0].max(), highest)
    return end if 0 < end < 0.5 else 1.0


def _ends_of_log_axes(bins):
    """Where both axes begin and end."""
    points = np.concatenate([bins.confidence, bins.accuracy])
    low = max(points[points > 0].min(initial=1), bins.edges[0])
    return float(low / 1.5), float(min(1.5 * points.max(), 1)) if points.max() else 1.0
