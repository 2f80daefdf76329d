"""Recall, precision and F1 over the class shares that decisions assume, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_imbalance._core import invalid
from keras_imbalance.decisions import TradeoffCurve
from keras_imbalance.plots._axes import check_label, free_line_style, given_or_new, labelled
from keras_imbalance.plots._legends import legend_inside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Not those of the classes.
COLOURS = {"recall": "#00695c", "precision": "#6a1b9a", "f1": "#b71c1c"}


def plot_tradeoff(curve: TradeoffCurve, *, ax: Axes | None = None, label: str | None = None) -> Figure:
    """Mean recall, precision and F1 of the classes over q: decisions assume class shares in proportion to n^q.

    Args:
        curve: what `tradeoff_curve` gives.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the model, in the legend. Further models in the same `ax` have other line styles. Defaults to None.

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: for what is not a `TradeoffCurve`.

    Example:
    >>> from keras_imbalance import tradeoff_curve
    >>> figure = plot_tradeoff(tradeoff_curve([0, 0, 0, 1], [0.1, 0.2, 0.4, 0.3], [0.75, 0.25]))
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['macro recall', 'macro precision', 'macro F1']

    Reference: Menon et al., Long-Tail Learning via Logit Adjustment, 2021, https://arxiv.org/abs/2007.07314
    """
    if not isinstance(curve, TradeoffCurve):
        remedy = "Pass tradeoff_curve(y_true, probabilities, train_prior)."
        raise invalid("curve", "be a TradeoffCurve", received=type(curve).__name__, remedy=remedy)
    label = check_label(label)
    figure, ax = given_or_new(ax, (6.4, 4.2))
    style = free_line_style(ax)
    for name, colour in COLOURS.items():
        text = labelled(label, f"macro {'F1' if name == 'f1' else name}")
        means = getattr(curve, name).mean(axis=1)
        marker = "o" if len(means) == 1 else None
        ax.plot(curve.q, means, color=colour, linestyle=style, marker=marker, label=text)
    ax.set(xlabel="q: 0 balanced, 1 natural class shares", ylabel="mean over classes", ylim=(-0.02, 1.02))
    ax.grid(alpha=0.25)
    legend_inside(ax)
    return figure
