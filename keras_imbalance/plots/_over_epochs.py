"""Values of the classes over the epochs: what the figure of a history and that of a sampler share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imbalance.plots._axes import (
    READABLE,
    colour_of,
    free_line_style,
    given_or_new,
    labelled,
    name_ticks,
    plain,
)
from keras_imbalance.plots._legends import legend_inside
from keras_imbalance.plots._scales import log_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_over_epochs(
    table: np.ndarray,
    names: Sequence[str],
    quantity: str,
    ax: Axes | None,
    label: str | None,
    *,
    stacked: bool = False,
    class_ids: Sequence[int] | None = None,
    mean: np.ndarray | None = None,
) -> Figure:
    """Values `(C, epochs)` of the classes over the epochs: lines, or areas on each other, or a row of colours a class."""
    many = len(names) > READABLE
    figure, ax = given_or_new(ax, (7.4, float(np.clip(1.5 + 0.06 * len(names), 4.2, 9)) if many else 4.2))
    colours = [colour_of(i) for i in class_ids or range(len(names))]
    if many:
        _rows_of_colours(figure, ax, table, names, quantity, logarithmic=stacked)
    elif stacked:
        _areas(ax, table, names, colours)
    else:
        _lines(ax, table, names, colours, label, mean)
    if not many:
        ax.set(ylabel=quantity)
        legend_inside(ax, reverse=stacked)
    if label and (many or stacked):
        ax.set_title(label)
    ax.set(xlabel="epoch")
    locator: Any = ax.xaxis.get_major_locator()
    locator.set_params(integer=True)
    return figure


def _rows_of_colours(figure, ax, table, names, quantity, logarithmic):
    """Shares on a logarithmic scale, on which those of rare classes differ too; scores from 0 to 1."""
    from matplotlib.colors import LogNorm, Normalize

    norm = LogNorm(*log_range(table)) if logarithmic else Normalize(0, 1)
    extent = (0.5, table.shape[1] + 0.5, len(names) - 0.5, -0.5)
    image = ax.imshow(table, aspect="auto", norm=norm, extent=extent, interpolation="nearest")
    figure.colorbar(image, ax=ax, label=quantity)
    name_ticks(ax.set_yticks, names)
    ax.set(ylabel="class")


def _areas(ax, table, names, colours):
    """Class 0 on top, as in the legend. An epoch is a step: its shares hold from its first batch to its last."""
    edges = np.arange(table.shape[1] + 1) + 0.5
    steps = np.repeat(table, 2, axis=1)
    areas = ax.stackplot(np.repeat(edges, 2)[1:-1], steps[::-1], colors=colours[::-1])
    for area, name in zip(areas[::-1], names, strict=True):
        area.set_label(plain(name))
    ax.set(ylim=(0, 1), xlim=(edges[0], edges[-1]))


def _lines(ax, table, names, colours, label, mean):
    epochs = np.arange(1, table.shape[1] + 1)
    style = {"linestyle": free_line_style(ax), "marker": "o" if len(epochs) == 1 else None}
    for colour, name, values in zip(colours, names, table, strict=True):
        ax.plot(epochs, values, color=colour, label=labelled(label, plain(name)), **style)
    if mean is not None:
        ax.plot(epochs, mean, color="black", linewidth=2.2, label=labelled(label, "macro mean"), **style)
    last = max(len(line.get_xdata()) for line in ax.lines)
    ax.set(xlim=(0.5, last + 0.5), ylim=(-0.02, 1.02))
    ax.grid(alpha=0.25)
