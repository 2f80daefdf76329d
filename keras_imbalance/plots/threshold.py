"""Recall, precision and cost of the decision for one class over its threshold, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_cost_matrix, check_one_of, check_probabilities, invalid
from keras_imbalance.plots._axes import (
    check_label,
    class_word,
    free_line_style,
    given_or_new,
    ids_or_names,
    labelled,
)
from keras_imbalance.plots._legends import legend_inside
from keras_imbalance.plots._one_against_rest import check_positive, of_class, one_against_rest
from keras_imbalance.plots._scales import SCALES, Scale, least_shown
from keras_imbalance.plots._thresholds import Cuts, cuts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Not those of the classes.
RECALL, PRECISION, COST = "#00695c", "#6a1b9a", "#b71c1c"
ROUNDING = 1e-12  # costs no further apart, as a share of the highest, are equal


def plot_threshold(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    positive: int | str | None = None,
    cost_matrix: npt.ArrayLike | None = None,
    scale: Scale = "linear",
    class_names: Sequence[str] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    multi_label: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    ax: Axes | None = None,
    label: str | None = None,
) -> Figure:
    """Recall and precision of one class over its threshold, and with `cost_matrix` the mean cost of a row.

    A row is taken for the class where its probability is above the threshold, as `tune_thresholds` decides. Choose the
    threshold on validation rows that are distributed as the rows to decide on, not resampled.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, names of `class_names`, one-hot rows, or 0 and 1 `(N, C)` for several
            labels a row.
        y_prob: probabilities `(N, C)`; `(N,)` or `(N, 1)` for one sigmoid channel: the probability of class 1.
        positive: the class, by its id or its name; all others are the rest. Defaults to None: class 1 of two.
        cost_matrix: `(2, 2)`, not negative; row = true, column = decision, first the rest, then the class:
            `[[0, false alarm], [miss, 0]]`. Defaults to None, no cost.
        scale: "linear", or "log" for the threshold of a rare class. Defaults to "linear".
        class_names: one name a class or label (2 for one channel). Defaults to the class ids.
        sample_weight: what each row counts, `(N,)`, finite and not negative; rows of another class share than that of use
            count by the ratio of the two shares of their class. Defaults to None, 1.
        multi_label: whether the channels are independent sigmoids, each a label with a threshold of its own; `y_true`
            `(N, C)` holds 0 and 1. Defaults to False: labels of that shape are several a row where they are not one-hot.
        ignore_class: label whose positions count nowhere, such as 255. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the model, in the legend. Further models in the same `ax` have other line styles. Defaults to None.

    Returns:
        The matplotlib Figure. Where no row is taken there is no precision. The cost has the axis at the right, which ends at
        twice the lower cost of deciding always for the class and never; a dot marks the lowest.

    Raises:
        ValueError: when labels and probabilities do not line up, for probabilities outside [0, 1], an unknown class or one
            without rows, and a cost matrix of another shape.

    Example:
    >>> y_true, y_prob = [0, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.6, 0.9]
    >>> figure = plot_threshold(y_true, y_prob, class_names=["ok", "fraud"], cost_matrix=[[0, 1], [10, 0]])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['recall of fraud', 'precision of fraud', 'cost, lowest 0.2 at 0.25']

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """
    label = check_label(label)
    check_one_of(scale, "scale", SCALES)
    costs = None if cost_matrix is None else _check_two_by_two(cost_matrix)
    rule: dict[str, Any] = {"sample_weight": sample_weight, "multi_label": multi_label, "axis": axis}
    truth, scores, weights = one_against_rest(
        y_true, y_prob, "y_prob", class_names=class_names, ignore_class=ignore_class, **rule
    )
    check_probabilities(scores, True, "y_prob")
    names = ids_or_names(class_names, max(truth.shape[1], 2))
    chosen = check_positive(positive, names)
    word = class_word(class_names, chosen)
    labels, p, counts = of_class(chosen, truth, scores, weights)
    if not labels.any():
        raise invalid("y_true", "hold rows of the class", received=f"none of {names[chosen]!r} that counts")
    found = cuts(labels, p, counts)
    figure, ax = given_or_new(ax, (6.8, 4.6))
    style: dict[str, Any] = {"linestyle": free_line_style(ax), "drawstyle": "steps-post"}
    thresholds = np.r_[0, found.scores[::-1], 1]
    precision = np.where(np.arange(len(found.true)) > 0, found.precision, np.nan)
    for colour, score, values in ((RECALL, "recall", found.recall), (PRECISION, "precision", precision)):
        ax.plot(thresholds, _over(values), color=colour, label=labelled(label, f"{score} of {word}"), **style)
    cost_axes = [] if costs is None else [_draw_cost(ax, found, thresholds, costs, label, style)]
    ax.set(xlabel=f"threshold on the probability of {word}", ylabel="recall, precision")
    ax.set(xscale=scale, xlim=_limits(p, scale, ax), ylim=(-0.01, 1.02))
    ax.grid(alpha=0.25)
    legend_inside(ax, *cost_axes)
    return figure


def _limits(p, scale, ax):
    """From 0, or where a logarithmic axis begins, to 1, or where the probabilities end if that is below 0.5; all models."""
    low, high = (0.0, float(p.max())) if scale == "linear" else (least_shown(p), 1.0)
    high = 1.05 * high if 0 < high < 0.5 else 1.0
    before = ax.get_xlim() if len(ax.lines) > 2 else (low, high)
    return min(low, before[0]), max(high, before[1])


def _over(values):
    """Values of all cuts, no row taken first, over rising thresholds; the last, where no row is taken, goes on to 1."""
    return np.append(values[::-1], values[0])


def _check_two_by_two(cost_matrix):
    costs = check_cost_matrix(cost_matrix)
    if costs.shape != (2, 2):
        remedy = "Against all others a class has the costs [[0, false alarm], [miss, 0]]."
        raise invalid("cost_matrix", "be 2 x 2", received=f"shape {costs.shape}", remedy=remedy)
    return costs


def _mean_costs(found: Cuts, costs: np.ndarray) -> np.ndarray:
    """Mean cost of a row at every cut."""
    rest, positive = found.false[-1], found.true[-1]
    of_rest = costs[0, 0] * (rest - found.false) + costs[0, 1] * found.false
    of_class = costs[1, 0] * (positive - found.true) + costs[1, 1] * found.true
    return (of_rest + of_class) / (rest + positive)


def _draw_cost(ax, found, thresholds, costs, label, style):
    """The cost on an axis at the right, one for all models in these axes."""
    from matplotlib.ticker import AutoLocator

    values = _mean_costs(found, costs)
    at, lowest = _lowest(thresholds, values[::-1])
    text = labelled(label, f"cost, lowest {lowest:.3g} at {at:.3g}")
    right = _cost_axes(ax)
    right.plot(thresholds, _over(values), color=COST, label=text, **style)
    right.plot([at], [lowest], color=COST, marker="o")
    curves = [line.get_ydata() for line in right.lines if len(line.get_ydata()) > 1]
    top = max(max(2 * min(curve[0], curve[-1]), 1.05 * curve.min()) for curve in curves)
    right.yaxis.set_major_locator(AutoLocator())
    right.set(ylabel="mean cost of a row", ylim=(0, top or 1))
    return right


def _lowest(thresholds, values):
    """The threshold of the lowest cost, midway between two probabilities, and that cost.

    Of several costs equal but for rounding, as the unit of the weights decides it, the one nearest to 0.5.
    """
    ends = np.diff(thresholds)
    ends[-1] = 1  # a threshold of 1 takes no row, even one of probability 1
    reached = np.where(ends > 0, values, np.inf)
    midway = (thresholds[:-1] + thresholds[1:]) / 2
    best = np.flatnonzero(reached <= reached.min() + ROUNDING * np.max(values))
    chosen = best[np.abs(midway[best] - 0.5).argmin()]
    return float(midway[chosen]), float(values[chosen])


def _cost_axes(ax):
    """The axes of the cost that lie on these, behind them so that no line crosses the legend."""
    for other in ax.get_shared_x_axes().get_siblings(ax):
        if other.get_label() == "cost" and other.get_position().bounds == ax.get_position().bounds:
            return other
    right = ax.twinx()
    right.set_label("cost")
    ax.set_zorder(right.get_zorder() + 1)
    ax.patch.set_visible(False)
    return right
