"""What the figures share: axes to draw into, the colour of a class, the line style of a model, names, legends."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imbalance._core import check_names, cut, invalid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READABLE = 12  # classes that lines and cells can still tell apart
# Those of matplotlib without its grey, and three more. Grey is for what is of no class.
PALETTE = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf"),
    *("#1f3a5f", "#e7ba52", "#0b5d1e"),
)
# Hue, saturation and value of further classes go on by steps that stay far apart in all three (the sequence R3).
STEPS = (0.8191725134, 0.6710436067, 0.5497004779)
LINE_STYLES = ("-", "--", "-.", ":")
REFERENCE = "0.6"  # the colour of lines to compare with
LONGEST = 24  # columns of a name


def given_or_new(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The figure and axes to draw into; a new figure shows itself in a notebook and is freed with its last reference."""
    if ax is not None:
        if not hasattr(ax, "twinx"):
            raise invalid("ax", "be matplotlib axes", received=type(ax).__name__, remedy="Take one of figure.axes.")
        figure: Any = ax.figure
        return figure, ax
    from keras_imbalance.plots._figure import NotebookFigure

    figure = NotebookFigure(figsize=size, layout="compressed")
    return figure, figure.subplots()


def colour_of(class_id: int) -> Any:
    """The colour of a class, the same in every figure, whatever the number of classes."""
    if class_id < len(PALETTE):
        return PALETTE[class_id]
    hue, saturation, value = ((class_id * step) % 1 for step in STEPS)
    return colorsys.hsv_to_rgb(hue, 0.55 + 0.45 * saturation, 0.4 + 0.5 * value)


def free_line_style(ax: Axes) -> str:
    """The line style of the next model in these axes: colours tell classes apart, line styles models."""
    used = {line.get_linestyle() for line in ax.lines if line.get_color() != REFERENCE}
    return next((style for style in LINE_STYLES if style not in used), LINE_STYLES[-1])


def check_label(label: Any) -> str | None:
    """`label` as the figures show it; raises unless it is text or None."""
    if label is not None and (not isinstance(label, str) or not label.strip()):
        raise invalid("label", "be text, such as the name of the model, or None", label)
    return None if label is None else plain(label, 2 * LONGEST)


def labelled(label: str | None, text: str) -> str:
    """What the legend says of an artist, after the name of its model."""
    return text if label is None else f"{label}: {text}"


def ids_or_names(class_names: Any, size: int) -> list[str]:
    """A name a class, checked."""
    return check_names(class_names, size) or [str(i) for i in range(size)]


def class_word(class_names: Any, class_id: int) -> str:
    """What a sentence calls a class: its name, or "class 1"."""
    return f"class {class_id}" if class_names is None else plain(str(list(class_names)[class_id]))


def plain(name: str, length: int = LONGEST) -> str:
    """A name as matplotlib shows it letter by letter: short, no formula between `$`, and not hidden by a first `_`."""
    short = cut(name, length)
    return ("\u200b" if short.startswith("_") else "") + short.replace("$", r"\$")


def name_ticks(set_ticks: Callable, names: Sequence[str], *, room: float | None = None) -> None:
    """Names at the ticks: all of few classes, every k-th of many; turned where they are longer than `room` characters."""
    many = len(names) > READABLE
    step = 1 if len(names) <= 30 else 5 if len(names) <= 100 else len(names) // 20
    options = {}
    if room is not None and max(len(plain(name)) for name in names) > room:
        turned, anchored = {"rotation": 90, "ha": "center"}, {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        options = turned if many else anchored
    set_ticks(
        np.arange(0, len(names), step), [plain(name) for name in names[::step]], fontsize=7 if many else 9, **options
    )
