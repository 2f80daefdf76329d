"""A metric of every class over the epochs of a fit as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imbalance._core import check_names, check_numbers, invalid, log_names, nearest, shown
from keras_imbalance._keras import compiled_metrics
from keras_imbalance.plots._axes import check_label
from keras_imbalance.plots._over_epochs import draw_over_epochs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_per_class_history(
    history: Any,
    *,
    name: str = "val_f1",
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
    label: str | None = None,
) -> Figure:
    """A metric of every class over the epochs.

    Args:
        history: what `fit` returned, or its `history` dict.
        name: name of a per-class metric in it; the keys `{name}/{class}` are drawn. Defaults to "val_f1".
        class_names: the classes to draw, in order, by their names or as the keys hold them. Defaults to None, all that the
            history holds in the order of their ids, which the metrics of its model know. A dict knows no ids, and Keras sorts
            its keys by name: for a dict give all classes in the order of their ids, so that they have the colours of the other
            figures.
        ax: matplotlib axes to draw into. Defaults to None, a new figure.
        label: name of the model, in the legend, and above the rows of colours. Further models in the same `ax` have other line
            styles. Defaults to None.

    Returns:
        The matplotlib Figure: a line a class, and with more than 12 classes a row of colours a class.

    Raises:
        ValueError: when the history lacks the keys, with those it holds; where two keys have another number of epochs.

    Example:
    >>> history = {"val_f1/ok": [0.8, 0.9], "val_f1/fraud": [0.1, 0.4], "val_f1": [0.45, 0.65]}
    >>> figure = plot_per_class_history(history)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['ok', 'fraud', 'macro mean']

    `plot_per_class_history(model.fit(x, y, validation_data=held_out), name="val_recall")`
    """
    label = check_label(label)
    values = _values_of(history, name)
    found = [key.removeprefix(f"{name}/") for key in values if key.startswith(f"{name}/")]
    _check_found(found, values, name)
    known = _in_order_of_ids(found, getattr(history, "model", None), name)
    chosen = _chosen(known, found, name, class_names)
    in_keys, all_keys = list(chosen.values()), list(known.values())
    table, mean = _over_epochs(values, name, in_keys)
    order = in_keys if set(all_keys) == set(in_keys) and not hasattr(history, "model") else all_keys
    class_ids = [order.index(in_key) for in_key in in_keys]
    return draw_over_epochs(table, list(chosen), name, ax, label, class_ids=class_ids, mean=mean)


def _values_of(history, name):
    values = getattr(history, "history", history)
    if not isinstance(values, Mapping):
        raise invalid("history", "be what fit returned, or its history dict", received=type(history).__name__)
    if not isinstance(name, str):
        raise invalid("name", "be that of a metric in the history", name)
    return values


def _over_epochs(values, name, in_keys):
    """The values of the classes `(C, epochs)`, and their mean `(epochs,)` or None."""
    keys = [f"{name}/{in_key}" for in_key in in_keys]
    found = {key: check_numbers(values[key], f"history[{key!r}]") for key in (*keys, name) if key in values}
    epochs = len(found[keys[0]])
    for key, row in found.items():
        if row.shape != (epochs,):
            received = f"shape {row.shape} of {key!r}, {found[keys[0]].shape} of {keys[0]!r}"
            raise invalid("history", "hold one number for each epoch under every key that is drawn", received=received)
    return np.array([found[key] for key in keys], dtype=np.float64), found.get(name)


def _check_found(found, values, name):
    if not found:
        raise invalid(
            "history",
            f"hold `{name}/<class>` for the classes to draw",
            received=f"the keys {sorted(values)}",
            remedy="Compile a per-class metric, with PerClassLogger where it has log_classes=False.",
        )


def _in_order_of_ids(found, model, name):
    """The class names, in the order of the class ids where the model says it, and what stands for each in the keys."""
    bare = name.removeprefix("val_")
    for metric in () if model is None else compiled_metrics(model).values():
        if hasattr(metric, "class_keys"):
            in_keys = [key.removeprefix(f"{bare}/") for key in metric.class_keys(bare)]
            if set(found) <= set(in_keys):
                return dict(zip(metric.class_names or in_keys, in_keys, strict=True))
    numbers = all(label.isdecimal() for label in found)
    return {label: label for label in (sorted(found, key=int) if numbers else found)}


def _chosen(known, found, name, class_names):
    """The classes to draw, all of them in the history: their names, and what stands for each in the keys."""
    there = {label: in_key for label, in_key in known.items() if in_key in found}
    if class_names is None:
        return there
    names = check_names(class_names) or []
    chosen = {label: there.get(label, in_key) for label, in_key in zip(names, log_names(names) or [], strict=True)}
    unknown = [label for label, in_key in chosen.items() if in_key not in there.values()]
    if unknown:
        requirement = f"be among the classes of {name}, {shown(list(there))}"
        raise invalid("class_names", requirement, class_names, nearest(unknown[0], there))
    return chosen
