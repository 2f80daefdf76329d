"""One curve a class with a score in the legend: what the figures of ROC and of precision and recall share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_imbalance._core import invalid, shown
from keras_imbalance.plots._axes import (
    READABLE,
    colour_of,
    free_line_style,
    ids_or_names,
    labelled,
    plain,
)
from keras_imbalance.plots._legends import legend_inside
from keras_imbalance.plots._one_against_rest import check_positive, of_class, one_against_rest
from keras_imbalance.plots._thresholds import Cuts, cuts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HIGHLIGHTED = 5  # curves that are named among many
REST = "0.7"  # the colour of the others
MARKERS = "osD^v"  # of these: among a hundred classes two colours may be much alike


class ClassCurve(NamedTuple):
    """Class id, name, score, and the curve."""

    class_id: int
    name: str
    score: float
    x: np.ndarray
    y: np.ndarray


def class_curves(
    y_true: Any,
    y_score: Any,
    class_names: Any,
    positive: Any,
    curve: Callable[[Cuts], tuple[float, np.ndarray, np.ndarray]],
    needs: str,
    **rule: Any,
) -> list[ClassCurve]:
    """The curve of every class against the rest, in the order of the classes; of one sigmoid that of class 1.

    Args:
        y_true: labels, as `one_against_rest` takes them.
        y_score: scores.
        class_names: a name a class, or None.
        positive: the only class that has a curve, or None.
        curve: score, x and y of the cuts of a class.
        needs: "positive", or "both": the rows that a class needs to have a curve.
        rule: `sample_weight`, `multi_label`, `axis` and `ignore_class`.
    """
    truth, scores, weights = one_against_rest(y_true, y_score, "y_score", class_names=class_names, **rule)
    size = truth.shape[1]
    names = ids_or_names(class_names, max(size, 2))
    every = list(range(size)) if size > 1 else [1]
    drawn = every if positive is None else [check_positive(positive, names)]
    found = []
    for class_id in drawn:
        labels, values, counts = of_class(class_id, truth, scores, weights)
        if labels.any() and not (needs == "both" and labels.all()):
            found.append(ClassCurve(class_id, names[class_id], *curve(cuts(labels, values, counts))))
    if not found:
        raise _no_curve(drawn, names, truth, weights, needs)
    return found


def _no_curve(drawn, names, truth, weights, needs):
    """The error that no class has the rows of a curve."""
    present = [name for k, name in enumerate(names) if of_class(k, truth, truth, weights)[0].any()]
    rows = f"rows of {'a' if len(drawn) > 1 else 'the'} class"
    requirement = f"hold {rows}{' and rows of other classes' if needs == 'both' else ''}"
    received = f"rows of {shown(present)} alone, for the curve of {shown([names[k] for k in drawn])}"
    return invalid("y_true", requirement, received=received)


def draw_class_curves(ax: Axes, curves: list[ClassCurve], score: str, label: str | None, drawstyle: str) -> None:
    """A line a class in [0, 1]; with more than 12 classes all of them grey, and the five worst on top."""
    style: dict[str, Any] = {"linestyle": free_line_style(ax), "drawstyle": drawstyle}
    many = len(curves) > READABLE
    if many:
        x, y = (np.concatenate([np.append(curve[axis], np.nan) for curve in curves]) for axis in (3, 4))
        mean = np.mean([curve.score for curve in curves])
        text = labelled(label, f"all {len(curves)}, mean {score} {mean:.3f}")
        ax.plot(x, y, color=REST, linewidth=0.7, alpha=0.7, **style)
        ax.plot([], [], color=REST, linestyle=style["linestyle"], label=text)
        worst = sorted(curves, key=lambda curve: round(curve.score, 9))[:HIGHLIGHTED]
        curves = sorted(worst, key=lambda curve: curve.class_id)
    for curve, marker in zip(curves, MARKERS if many else [""] * len(curves), strict=True):
        style |= {"color": colour_of(curve.class_id), "marker": marker, "markevery": 0.12, "markersize": 4}
        text = labelled(label, f"{plain(curve.name)}, {score} {curve.score:.3f}")
        ax.plot(curve.x, curve.y, linewidth=1.6, label=text, **style)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.015))
    ax.grid(alpha=0.25)
    legend_inside(ax, title=f"all classes, and the {HIGHLIGHTED} worst" if many else None)
