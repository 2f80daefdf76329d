"""Checks of the arguments that the metrics share."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

RESERVED = ("loss", "learning_rate")


def is_number(value: Any) -> bool:
    """Whether `value` is one real number."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"


def whole_number(value: Any, least: int, name: str, hint: str = "") -> int:
    """`value` as int; raises unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}{hint}. Received: {name}={value!r}.")
    return int(value)


def check_names(class_names: Any, num_classes: int) -> list[str] | None:
    """`class_names` as text; raises unless there is one a class, all different and fit for a line of the logs."""
    if class_names is None:
        return None
    if isinstance(class_names, (Mapping, Set)):
        raise ValueError(
            "`class_names` must be a list, in the order of the class numbers. "
            f"Received: class_names={class_names!r}. Pass [names[c] for c in range({num_classes})] of a mapping."
        )
    given = [] if isinstance(class_names, (str, bytes)) or not isinstance(class_names, Iterable) else list(class_names)
    names = [str(name) for name in given]
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ValueError(
            f"`class_names` must hold {num_classes} different names, one a class. Received: class_names={class_names!r}."
        )
    for name, text in zip(given, names, strict=True):
        if isinstance(name, bytes):
            raise ValueError(f"`class_names` must be text. Received: {name!r}. Decode it: name.decode().")
        _check_text(text, "class_names")
    return names


def check_key(name: Any, argument: str = "name") -> str:
    """A name that log keys start with; raises for those that would take another key's place."""
    text = str(name)
    _check_text(text, argument)
    if text in RESERVED or text.startswith("val_"):
        raise ValueError(
            f"`{argument}` must not be {' or '.join(map(repr, RESERVED))}, nor start with 'val_': these keys of the logs are "
            f"Keras's own. Received: {argument}={name!r}."
        )
    return text


def check_threshold(threshold: Any, num_classes: int, multi_label: bool) -> float | list[float]:
    """One finite threshold, or with multi_label one a class."""
    if is_number(threshold) and np.isfinite(threshold):
        return float(threshold)
    several = np.asarray(threshold) if isinstance(threshold, (Sequence, np.ndarray)) else np.asarray(None)
    numbers = several.dtype.kind in "iuf" and several.shape == (num_classes,) and np.isfinite(several).all()
    if not multi_label or not numbers:
        raise ValueError(
            "`threshold` must be a finite number, or with multi_label=True one a class. "
            f"Received: threshold={threshold!r}, num_classes={num_classes}, multi_label={multi_label}."
        )
    return [float(value) for value in several]


def check_zero_division(zero_division: Any) -> float:
    """0, 1 or NaN."""
    if not is_number(zero_division) or not (np.isnan(zero_division) or zero_division in (0, 1)):
        raise ValueError(f"`zero_division` must be 0, 1 or NaN. Received: zero_division={zero_division!r}.")
    return float(zero_division)


def check_ignored(ignore_class: Any) -> int | None:
    """A whole number or None."""
    if ignore_class is None:
        return None
    if isinstance(ignore_class, bool) or not isinstance(ignore_class, (int, np.integer)):
        raise ValueError(f"`ignore_class` must be a whole number or None. Received: ignore_class={ignore_class!r}.")
    return int(ignore_class)


def _check_text(text, argument):
    if not text.isprintable() or text != text.strip() or not text:
        raise ValueError(
            f"`{argument}` must be printable text without blanks at its ends: it becomes a key of the logs, a column of "
            f"CSVLogger and a line of the progress bar. Received: {text!r}."
        )
