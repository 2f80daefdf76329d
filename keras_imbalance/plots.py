"""Pictures of what a classifier does for every class. Each function returns a matplotlib Figure and opens no window.

With many classes, more than 12, lines and numbers that nobody could read give way to colours. `ax` draws into given axes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance.metrics.checks import check_names, whole_number

READABLE = 12  # classes that lines and cells can still tell apart
HIGHLIGHTED = 5  # curves that are named among many
STRATEGIES = ("uniform", "quantile")


def plot_confusion_matrix(
    confusion: Any, class_names: Sequence[str] | None = None, normalize: str | None = "true", ax: Any = None
) -> Any:
    """Confusion matrix: rows are the true classes, colours the share of each row, numbers the counts.

    Args:
        confusion: counts `(C, C)`, such as `ConfusionMatrix.matrix()` or `ClassificationReport.confusion`.
        class_names: one name a class. Defaults to the class numbers.
        normalize: "true" colours by share of each true class, so that rare classes show; None by count, on a logarithmic
            scale. Defaults to "true".
        ax: matplotlib axes to draw into. Defaults to None, a new figure.

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: for a matrix that is not square or holds others than finite counts, or an unknown `normalize`.
    """
    from matplotlib.colors import LogNorm, Normalize

    table = np.asarray(confusion)
    if table.dtype.kind not in "biuf" or table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(
            "`confusion` must be counts of shape (C, C), such as `ConfusionMatrix.matrix()` or "
            f"`classification_report(y_true, y_pred).confusion`. Received: {_described(confusion, table)}."
        )
    counts = table.astype(np.float64)
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(f"`confusion` must hold finite counts, not negative. Received: {counts.tolist()}.")
    if normalize not in ("true", None):
        raise ValueError(f"`normalize` must be 'true' or None. Received: normalize={normalize!r}.")
    size = len(counts)
    names = check_names(class_names, size) or [str(i) for i in range(size)]
    side = float(np.clip(2.6 + 0.62 * min(size, READABLE) + 0.06 * max(size - READABLE, 0), 3.6, 11))
    figure, ax = _axes(ax, (side + 1.2, side))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-30)
    shown = shares if normalize else np.ma.masked_equal(counts, 0)
    shade = Normalize(0, 1) if normalize else LogNorm(*_range(counts))
    image = ax.imshow(shown, cmap="Blues", norm=shade, interpolation="nearest")
    label = "share of the true class" if normalize else "rows"
    figure.colorbar(image, ax=ax, label=label, fraction=0.046, pad=0.04)
    _name_axis(ax.set_xticks, names, rotate=True)
    _name_axis(ax.set_yticks, names)
    if size <= READABLE:
        for i, j in np.ndindex(size, size):
            text = f"{counts[i, j]:.6g}"
            text += f"\n{shares[i, j]:.0%}" if normalize and size <= 6 and counts[i].sum() else ""
            dark = counts[i, j] > 0 and shade(shown[i, j]) > 0.55
            ax.text(
                j, i, text, ha="center", va="center", color="white" if dark else "black", fontsize=9 if size <= 6 else 7
            )
    ax.set(xlabel="predicted class", ylabel="true class")
    return figure


def plot_per_class_history(
    history: Any, name: str = "val_f1", class_names: Sequence[str] | None = None, ax: Any = None
) -> Any:
    """A metric of every class over the epochs.

    Args:
        history: what `fit` returned, or its `history` dict.
        name: name of a per-class metric in it; the keys `{name}/{class}` are drawn. Defaults to "val_f1".
        class_names: the classes to draw, in order. Defaults to None, all that the history holds.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.

    Returns:
        The matplotlib Figure: a line a class, and with more than 12 classes a row of colours a class.

    Raises:
        ValueError: when the history lacks the keys; it lists those it holds.
    """
    values = getattr(history, "history", history)
    if not isinstance(values, Mapping) or not isinstance(name, str):
        raise ValueError(
            "`history` must be what fit returned, or its history dict, and `name` that of a metric in it. "
            f"Received: {type(history).__name__} and name={name!r}."
        )
    found = [key.removeprefix(f"{name}/") for key in values if key.startswith(f"{name}/")]
    classes = found if class_names is None else [str(label) for label in class_names]
    if not found:
        raise ValueError(
            f"`history` must hold `{name}/<class>` for the classes to draw. Received the keys {sorted(values)}. "
            "Compile a per-class metric, with PerClassLogger where it has log_classes=False."
        )
    if not classes or not set(classes) <= set(found):
        raise ValueError(f"`class_names` must be among the classes of {name}, {found}. Received: {class_names!r}.")
    table = np.array([values[f"{name}/{label}"] for label in classes], dtype=np.float64)
    figure = _over_epochs(table, classes, name, ax, stacked=False)
    if name in values and len(classes) <= READABLE:
        axes = ax or figure.axes[0]
        axes.plot(np.arange(1, table.shape[1] + 1), values[name], color="black", linestyle="--", label="macro mean")
        _legend_beside(axes)
    return figure


def plot_precision_recall(y_true: Any, y_score: Any, class_names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Precision-recall curve of every class against the rest, with its average precision. Needs scikit-learn.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, one-hot rows, or 0 and 1 `(N, C)` for several labels a row.
        y_score: scores `(N, C)`; `(N,)` or `(N, 1)` for one sigmoid channel, whose positive class is drawn.
        class_names: one name a class (2 for one channel). Defaults to the class numbers.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.

    Returns:
        The matplotlib Figure. With more than 12 classes the five worst are named, the others grey.

    Raises:
        ValueError: when labels and scores do not line up.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    truth, scores, names = _one_against_rest(y_true, y_score, class_names)
    curves = []
    for k, label in enumerate(names):
        if truth[:, k].any():
            precision, recall, _ = precision_recall_curve(truth[:, k], scores[:, k])
            curves.append((average_precision_score(truth[:, k], scores[:, k]), label, precision, recall))
    many = len(curves) > READABLE
    worst = sorted(curves, key=lambda curve: curve[0])[:HIGHLIGHTED] if many else curves
    figure, ax = _axes(ax, (7.4, 4.6))
    if many:
        for _, _, precision, recall in curves:
            ax.step(recall, precision, where="post", color="0.75", linewidth=0.6, alpha=0.6)
        ax.plot([], [], color="0.75", label=f"all {len(curves)}, mean AP {np.mean([c[0] for c in curves]):.2f}")
    for colour, (value, label, precision, recall) in zip(_colours(len(worst)), worst, strict=True):
        ax.step(recall, precision, where="post", color=colour, linewidth=1.6, label=f"{label}, AP {value:.2f}")
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    ax.grid(alpha=0.25)
    _legend_beside(ax, "the worst of all classes" if many else None)
    return figure


def plot_reliability(
    y_true: Any,
    y_prob: Any,
    num_bins: int = 10,
    ax: Any = None,
    strategy: str = "uniform",
) -> Any:
    """Reliability diagram: how often the model is right when it is so sure, and how often it is so sure.

    The bars below are the rows of each bin. The expected calibration error is the mean distance from the diagonal, weighted by
    rows (Guo et al., 2017, https://arxiv.org/abs/1706.04599). The axes end where the model does, if that is below 0.5.

    With few positives nearly all rows lie in the first of the bins of equal width, so that one point tells all of them:
    `plot_reliability(y_true, y_prob, strategy="quantile")`.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, or one-hot rows.
        y_prob: probabilities `(N, C)`: the largest of each row is its confidence; `(N,)` or `(N, 1)` for one sigmoid
            channel: the probability of class 1.
        num_bins: number of bins. Defaults to 10.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        strategy: "uniform": bins of equal width over [0, 1]; "quantile": bins of equally many rows. The bins are those of
            scikit-learn's `calibration_curve`. Defaults to "uniform".

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: when labels and probabilities do not line up, for probabilities outside [0, 1], and for bins that are none.
    """
    num_bins = whole_number(num_bins, 1, "num_bins")
    if strategy not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {STRATEGIES}. Received: strategy={strategy!r}.")
    truth, scores, _ = _one_against_rest(y_true, y_prob, None)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("`y_prob` must hold probabilities in [0, 1]. For logits take the softmax or sigmoid first.")
    binary = truth.shape[1] == 1
    sure = scores[:, 0] if binary else scores.max(axis=1)
    right = truth[:, 0] if binary else truth[np.arange(len(truth)), scores.argmax(axis=1)]
    edges = np.linspace(0, 1, num_bins + 1)
    if strategy == "quantile":
        edges = np.percentile(sure, 100 * edges)
    place = np.searchsorted(edges[1:-1], sure)
    rows = np.bincount(place, minlength=num_bins)
    means = [np.bincount(place, part, num_bins) / np.maximum(rows, 1) for part in (sure, right)]
    error = float((rows * np.abs(means[0] - means[1])).sum() / max(rows.sum(), 1))
    figure, ax = _axes(ax, (5.2, 5.2))
    shown = rows > 0
    end = max(edges[1:][shown].max() if strategy == "uniform" else means[0].max(), means[1].max() * 1.05)
    end = 1.05 * end if strategy == "quantile" else end
    end = end if end < 0.5 else 1.0
    below = ax.twinx()
    below.bar(edges[:-1], rows, np.diff(edges), align="edge", color="0.85", edgecolor="white")
    below.set(ylim=(0, max(rows.max() * 4, 1)), yticks=[])
    ax.set_zorder(below.get_zorder() + 1)
    ax.patch.set_visible(False)
    ax.plot([0, end], [0, end], color="0.5", linestyle="--", linewidth=1, label="perfect")
    ax.plot(means[0][shown], means[1][shown], marker="o", clip_on=False, zorder=4, label=f"model, error {error:.3f}")
    ax.bar([0], [0], color="0.85", label="rows")
    said = ("predicted probability of class 1", "share that is class 1") if binary else ("confidence", "accuracy")
    ax.set(xlabel=said[0], ylabel=said[1], xlim=(0, end), ylim=(0, end))
    ax.locator_params(nbins=6)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return figure


def plot_sampling_distribution(distributions: Any, class_names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """What share of each epoch's rows every class had.

    Args:
        distributions: one distribution `(C,)` an epoch, or a callback that has them as its `history`, such as DynamicSampling
            or ProgressiveSampling.
        class_names: one name a class. Defaults to those of a callback's sampler, or the class numbers.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.

    Returns:
        The matplotlib Figure: stacked areas, and with more than 12 classes a row of colours a class.

    Raises:
        ValueError: unless there is at least one distribution, all of one length.
    """
    if hasattr(distributions, "history"):
        class_names = distributions.sampler.class_names if class_names is None else class_names
        distributions = distributions.history
    parts = list(distributions) if isinstance(distributions, (Sequence, np.ndarray)) else []
    shapes = sorted({np.shape(part) for part in parts})
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise ValueError(
            "`distributions` must hold one distribution (C,) an epoch, all of one length, or be a callback with its history. "
            f"Received: {type(distributions).__name__} of shapes {shapes}. Of a single one make a list: [distribution]."
        )
    table = np.array(parts, dtype=np.float64).T
    names = check_names(class_names, len(table)) or [str(i) for i in range(len(table))]
    return _over_epochs(table, names, "share of the rows", ax, stacked=True)


def _over_epochs(table, names, label, ax, stacked):
    """Values `(C, epochs)` over the epochs."""
    many = len(names) > READABLE
    figure, ax = _axes(ax, (7.4, float(np.clip(1.5 + 0.06 * len(names), 4.2, 9)) if many else 4.2))
    epochs = np.arange(1, table.shape[1] + 1)
    if many:
        top = None if stacked else 1.0
        extent = (0.5, len(epochs) + 0.5, len(names) - 0.5, -0.5)
        image = ax.imshow(table, aspect="auto", vmin=0, vmax=top, extent=extent, interpolation="nearest")
        figure.colorbar(image, ax=ax, label=label)
        _name_axis(ax.set_yticks, names)
        ax.set(ylabel="class")
    elif stacked:
        # An epoch is a step: its distribution holds from its first batch to its last.
        edges = np.append(epochs, len(epochs) + 1) - 0.5
        steps = np.repeat(table, 2, axis=1)
        ax.stackplot(np.repeat(edges, 2)[1:-1], steps, labels=names, colors=_colours(len(names)))
        ax.set(ylabel=label, ylim=(0, 1), xlim=(edges[0], edges[-1]))
        _legend_beside(ax)
    else:
        for colour, name, values in zip(_colours(len(names)), names, table, strict=True):
            ax.plot(epochs, values, color=colour, marker="o" if len(epochs) == 1 else None, label=name)
        ax.set(ylabel=label, ylim=(-0.02, 1.02))
        ax.grid(alpha=0.25)
        _legend_beside(ax)
    ax.set(xlabel="epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _axes(ax, size):
    """The figure and axes to draw into; a new figure belongs to nobody, so nothing shows and nothing leaks."""
    if ax is not None:
        if not hasattr(ax, "twinx"):
            raise ValueError(f"`ax` must be matplotlib axes. Received: {type(ax).__name__}. Take one of figure.axes.")
        return ax.figure, ax
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="compressed")
    return figure, figure.subplots()


def _range(counts):
    """Least and largest count that is not 0, apart enough for a logarithmic scale."""
    positive = counts[counts > 0]
    low = float(positive.min(initial=1.0))
    return low, max(float(positive.max(initial=1.0)), 10 * low)


def _colours(number):
    import matplotlib

    palette = matplotlib.colormaps["tab10" if number <= 10 else "tab20"]
    return [palette(i) for i in range(number)]


def _name_axis(set_ticks, names, rotate=False):
    """Names at the ticks: all of few classes, every k-th of many."""
    step = 1 if len(names) <= 30 else 5 if len(names) <= 100 else len(names) // 20
    places = np.arange(0, len(names), step)
    long = max(len(name) for name in names) > 3
    turned = {"rotation": 90 if len(names) > READABLE else 45, "ha": "center" if len(names) > READABLE else "right"}
    options = {**turned, "rotation_mode": "default" if len(names) > READABLE else "anchor"} if rotate and long else {}
    set_ticks(places, [_short(names[i]) for i in places], fontsize=9 if len(names) <= READABLE else 7, **options)


def _short(name, length=20):
    return name if len(name) <= length else name[: length - 1] + "…"


def _legend_beside(ax, title=None):
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, title=title, alignment="left")


def _one_against_rest(y_true, y_score, class_names):
    """0 or 1 and scores of every class, each `(N, C)`, or `(N, 1)` for one sigmoid channel, with names of the columns."""
    truth, scores = np.asarray(y_true), np.asarray(y_score)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if truth.dtype.kind not in "biuf":
        raise ValueError(
            f"Labels must be class numbers. Received: {_described(y_true, truth)}. Turn names into numbers first: "
            "names, ids = numpy.unique(labels, return_inverse=True)."
        )
    fits = scores.dtype.kind in "biufV" and scores.ndim == 2 and 0 < len(scores) == len(np.atleast_1d(truth))
    scores = scores.astype(np.float64) if fits else scores
    if not fits or np.isnan(scores).any():
        raise ValueError(
            "Labels and scores must have one row each, at least one, scores (N, C) or (N,) without NaN. "
            f"Received: shapes {truth.shape} and {np.shape(y_score)}."
        )
    size = scores.shape[1]
    names = check_names(class_names, max(size, 2)) or [str(i) for i in range(max(size, 2))]
    if truth.shape != scores.shape or size == 1:
        ids = truth.reshape(-1)
        if ids.shape != (len(scores),) or not np.isin(ids, np.arange(max(size, 2))).all():
            raise ValueError(
                f"Labels must be class ids (N,) from 0 to {max(size, 2) - 1}, or of the shape of the scores {scores.shape}. "
                f"Received: shape {truth.shape}, values from {truth.min()} to {truth.max()}."
            )
        truth = ids[:, None] == np.arange(size) if size > 1 else ids[:, None] == 1
    elif not ((truth == 0) | (truth == 1)).all():
        raise ValueError("Labels of the shape of the scores must be 0 or 1. Received soft labels.")
    return truth.astype(int), scores, names if size > 1 else names[1:]


def _described(given, table):
    return f"dtype {table.dtype}, shape {table.shape}" if table.dtype != object else type(given).__name__
