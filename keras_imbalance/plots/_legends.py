"""A legend inside its axes that covers no curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CORNERS = {"lower right": (1, 0), "upper left": (0, 1), "lower left": (0, 0), "upper right": (1, 1)}
GAP = 0.015  # of the axes, around the legend
MOST = 0.5  # of the height of the axes, for a legend above the curves


def legend_inside(ax: Axes, *others: Axes, title: str | None = None, reverse: bool = False, above: bool = True) -> None:
    """A legend in a free corner; where there is none, above the curves, whose axis is made longer at the top.

    Limits of the axes must be set before. matplotlib's own "best" place may hide curves, and takes seconds for many points.

    Args:
        ax: the axes.
        others: axes that lie on these; the legend names their artists too.
        title: of the legend.
        reverse: whether the artist drawn last comes first.
        above: whether the axis may be made longer.
    """
    handles: list[Any] = []
    labels: list[str] = []
    for axes in (ax, *others):
        found = axes.get_legend_handles_labels()
        handles, labels = handles + found[0], labels + found[1]
    for axes in others:
        for line in axes.lines:
            line.set_clip_path(axes.patch)  # not where an earlier call cut it
    step = -1 if reverse else 1
    named = {"handles": handles[::step], "labels": labels[::step], "title": title, "framealpha": 0.85}
    named |= {"title_fontsize": 8, "alignment": "left"}
    small = {**named, "fontsize": 7.5}
    layouts = ({**named, "fontsize": 9, "ncols": 1}, {**small, "ncols": 1}, {**small, "ncols": 2})
    for layout in layouts[len(labels) > 6 :]:
        width, height = _size(ax, ax.legend(**layout, loc="upper left"))
        corner = _free_corner((ax, *others), width, height)
        if corner:
            ax.legend(**layout, loc=corner)
            return
    small["ncols"] = int(np.clip(2 / width, 1, len(labels)))
    _, height = _size(ax, ax.legend(**small, loc="upper center"))
    if not above or height > MOST:
        ax.legend(**small, loc="best")
        return
    for axes in (ax, *others):
        _make_longer(axes, 1 - height, cut=axes is not ax)


def _make_longer(axes, share, cut):
    """The vertical axis goes on above its end, without ticks; what was all of it is this share. `cut`: without lines too."""
    from matplotlib.patches import Rectangle

    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    axes.set_ylim(low, low + (high - low) / share)
    for line in axes.lines if cut else ():
        line.set_clip_path(Rectangle((0, 0), 1, share, transform=axes.transAxes))


def _size(ax, legend):
    """Width and height of a legend as shares of its axes, with a gap around it."""
    box = legend.get_window_extent()
    return box.width / ax.bbox.width + 2 * GAP, box.height / ax.bbox.height + 2 * GAP


def _free_corner(all_axes, width, height):
    """The first corner in which a box of this size meets no artist, or None."""
    from matplotlib.transforms import Bbox

    paths = list(_paths(all_axes))
    for corner, (right, top) in CORNERS.items():
        x, y = right * (1 - width), top * (1 - height)
        box = Bbox.from_bounds(x, y, width, height)
        if max(width, height) < 1 and not any(path.intersects_bbox(box, filled) for path, filled in paths):
            return corner
    return None


def _paths(all_axes: Iterable[Any]) -> Iterable[tuple[Any, bool]]:
    """Lines and areas in shares of the axes, and whether they are filled."""
    from matplotlib.cbook import STEP_LOOKUP_MAP
    from matplotlib.path import Path

    for axes in all_axes:
        for line in axes.lines:
            points = np.column_stack(STEP_LOOKUP_MAP[line.get_drawstyle()](*line.get_data()))
            if len(points):
                yield (line.get_transform() - axes.transAxes).transform_path(Path(points)), False
        for area in axes.patches:
            yield (area.get_transform() - axes.transAxes).transform_path(area.get_path()), True
        for areas in axes.collections:
            for path in areas.get_paths():
                yield (areas.get_transform() - axes.transAxes).transform_path(path), True
