"""The class shares that a sampler drew, epoch by epoch, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imbalance._core import invalid
from keras_imbalance.plots._axes import check_label, ids_or_names
from keras_imbalance.plots._over_epochs import draw_over_epochs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_sampling_distribution(
    distributions: Any,
    *,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
    label: str | None = None,
) -> Figure:
    """What share of each epoch's rows every class had.

    Args:
        distributions: class shares `(C,)`, one array an epoch, or what has drawn them: a sampler, or a callback that sets its
            target, such as DynamicSampling or ProgressiveSampling.
        class_names: one name a class. Defaults to those of the sampler, or the class ids.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the sampler, above the areas. Defaults to None.

    Returns:
        The matplotlib Figure: stacked areas, class 0 on top, and with more than 12 classes a row of colours a class.

    Raises:
        ValueError: unless there is at least one epoch, all with shares of one length.

    Example:
    >>> figure = plot_sampling_distribution([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5]], class_names=["ok", "fraud"])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel(), len(figure.axes[0].collections)
    ('epoch', 'share of the rows', 2)
    """
    if hasattr(distributions, "history"):
        sampler = getattr(distributions, "sampler", distributions)
        class_names = sampler.class_names if class_names is None else class_names
        if len(distributions.history) == 0:
            received = f"{type(distributions).__name__} before its first epoch"
            remedy = "Fit first; `summary()` of a sampler says what it will draw."
            raise invalid("distributions", "have drawn an epoch", received=received, remedy=remedy)
        distributions = [np.asarray(drawn) / np.sum(drawn) for drawn in distributions.history]
    epochs = list(distributions) if isinstance(distributions, (Sequence, np.ndarray)) else []
    shapes = sorted({np.shape(shares) for shares in epochs})
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise invalid(
            "distributions",
            "hold class shares (C,) for each epoch, all of one length, or be a sampler or a callback with its history",
            received=f"{type(distributions).__name__} of shapes {shapes}",
            remedy="Of a single one make a list: [distribution].",
        )
    table = np.array(epochs, dtype=np.float64).T
    names = ids_or_names(class_names, len(table))
    return draw_over_epochs(table, names, "share of the rows", ax, check_label(label), stacked=True)
