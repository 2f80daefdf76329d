"""What a user passes as arrays: their lengths, and the class of every row."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_imbalance._core import (
    BY_CLASSES,
    check_ids,
    check_ignored,
    check_names,
    check_table,
    check_weight_shape,
    check_weight_values,
    check_whole,
    class_ids,
    invalid,
    is_frame,
    is_text,
    looks_one_hot,
    named_ids,
    nearest,
    warn_of_sorted_names,
)
from keras_imbalance.sampling.nests import leaves

RAREST = "rarest"
NO_LABEL = "none"
BLOCK_VALUES = 1 << 20
SMALL_IDS = 1 << 16
BY_RAREST = "Of labels (N, L) and masks classes='rarest' takes the rarest class that a row holds."
OF_LABELS = (
    "Decide soft labels first, as by y > 0.5. Labels that are not known are one whole number, not NaN: "
    "classes=sampling.rarest_classes(y, ignore_class=-1). Ids of several positions a row are masks: y[..., None]."
)
OF_MASKS = "Of masks with void pixels pass classes=sampling.rarest_classes(y, num_classes=C, ignore_class=255)."
BEYOND = 'Number the classes 0 to C - 1. Rows without a class are C in rarest_classes: class_names=[*names, "none"].'
ONE_CLASS = "Where each row has one class leave `classes` out."


def features_and_labels(x: Any, y: Any) -> tuple[Any, Any]:
    """X and y, where y may be the name of the column of x that holds the labels: x then comes without it.

    Example:
    >>> features_and_labels({"age": [40, 50], "ill": [0, 1]}, "ill")
    ({'age': [40, 50]}, [0, 1])
    """
    frame = is_frame(x)
    if not isinstance(y, str) or not (frame or isinstance(x, (Mapping, np.ndarray, list, tuple))):
        return x, y
    columns = _columns(x, frame)
    if y not in columns:
        remedy = nearest(y, columns) or "Columns are those of a data frame or a dict of arrays."
        raise invalid("y", "hold the labels, or name the column of `x` that does", y, remedy)
    if columns.count(y) > 1:
        raise invalid("y", "name one column of `x`", received=f"{y!r}, the name of {columns.count(y)} columns")
    if frame:
        return x.drop(columns=y), x[y]
    return {name: column for name, column in x.items() if name != y}, x[y]


def _columns(x, frame):
    return list(getattr(x, "columns", x)) if frame or isinstance(x, Mapping) else []


def column_names(x: Any) -> list | None:
    """The names of the columns of a data frame, else None."""
    return list(x.columns) if is_frame(x) else None


def common_length(parts: dict) -> int:
    """The number of rows that all arrays have; raises where they differ or hold no rows."""
    lengths = {name: {len(leaf) for leaf in leaves(part)} for name, part in parts.items()}
    if len(set().union(*lengths.values())) != 1:
        received = ", ".join(f"{name} of {sorted(sizes)} rows" for name, sizes in lengths.items())
        remedy = _way_to_one_length(parts, lengths)
        raise invalid("x", "have as many rows as `y` and `sample_weight`", received=received, remedy=remedy)
    rows = lengths["x"].pop()
    if rows == 0:
        raise invalid("x", "hold at least one row", received="no rows")
    return rows


def _way_to_one_length(parts, lengths):
    """What to do where a list of rows was taken for a list of inputs, or nothing."""
    for name, part in parts.items():
        if isinstance(part, tuple) and any({len(part)} == lengths[other] for other in parts if other != name):
            return f"A list of {len(part)} arrays is {len(part)} inputs: numpy.stack({name}) makes one of its rows."
    return ""


def check_weights(sample_weight: Any, y: Any = None) -> None:
    """Raises unless every weight is a finite number that is not negative, and they broadcast with y where that is an array."""
    check_weight_shape(sample_weight, y)
    for leaf in leaves(sample_weight):
        check_weight_values(np.asarray(leaf))


def class_of_rows(
    x: Any, y: Any, classes: Any, rows: int, class_names: list[str] | None
) -> tuple[np.ndarray, list[str] | None, Any]:
    """The class of every row.

    Args:
        x: nest of arrays of N rows.
        y: nest of arrays of N rows, as `arrays_of` gives it.
        classes: None, where y is the class; ids or names of all rows; or "rarest", of `rarest_classes(y)`.
        rows: N.
        class_names: names of the classes, or None.

    Returns:
        int64 ids `(N,)`; names, or None where classes have none; and y as it is drawn from. Where y is the class itself that is
        a copy, with ids in the place of text, so that no change of the user's array parts it from the ids.
    """
    num_classes = None if class_names is None else len(class_names)
    if isinstance(classes, str) and classes == RAREST:
        return *_rarest_of_rows(y, class_names), y
    if classes is None:
        labels, names = named_ids(y, class_names, "y") if isinstance(y, np.ndarray) else (y, class_names)
        ids = _class_of_labels(x, labels, rows, num_classes)
        if class_names is None and names is not None:
            warn_of_sorted_names(ids, names)
        return ids, names, np.array(labels)
    table = check_table(classes, "classes")
    if table.ndim == 0 or len(table) != rows:
        remedy = "The names of the classes are `class_names`; of labels (N, L) or masks take classes='rarest'."
        received = f"shape {table.shape}"
        raise invalid("classes", f"hold the class of each of {rows} rows", received=received, remedy=remedy)
    table, names = named_ids(table, class_names, "classes", numerals=True)
    if table.ndim == 1 and table.dtype.kind in "biuf":
        check_ids(table, num_classes, "classes", BEYOND)
    return class_ids(table, num_classes, name="classes"), names, y


def _class_of_labels(x, y, rows, num_classes):
    if not isinstance(y, np.ndarray):
        remedy = "Pass the class to sample each row by as `classes`."
        raise invalid("y", "be one array, where `classes` is not given", received="a nest of arrays", remedy=remedy)
    labels_first = isinstance(x, np.ndarray) and x.dtype.kind in "biu" and x.size == rows < y.size
    remedy = "Features come first, labels second." if labels_first else f"{BY_CLASSES} {BY_RAREST}"
    return class_ids(y, num_classes, "y", remedy)


def _rarest_of_rows(y, class_names):
    """Ids by `rarest_classes`, and names: one more where rows hold no label and names are given for the labels alone."""
    num_classes = None if class_names is None else len(class_names)
    ids = rarest_classes(y, num_classes=num_classes)
    if class_names is not None and ids.max() == num_classes:
        return ids, check_names([*class_names, NO_LABEL])
    return ids, None if class_names is None else list(class_names)


def rarest_classes(y: Any, *, num_classes: int | None = None, ignore_class: int | None = None) -> np.ndarray:
    """The class by which to sample a row of several labels, or a mask: of the classes in it the one that the fewest rows hold.

    Args:
        y: labels `(N, L)` of 0 and 1, or masks: class ids of three axes and more, `(N, H, W)` or `(N, H, W, 1)`, or one-hot
            on the last axis `(N, H, W, C)`.
        num_classes: number of classes C. Defaults to the largest id + 1, or the size of the last axis of 0 and 1.
        ignore_class: id of positions that hold no class, such as 255; of labels `(N, L)` the value of a label that is not
            known, such as -1, which counts as not set. Defaults to None: every id is that of a class.

    Returns:
        int64 `(N,)`. A row that holds no class gets C, one class more. Of equally rare classes the first is taken.

    Raises:
        ValueError: for a nest, for soft labels, and for ids out of range.

    Example:
    >>> rarest_classes([[1, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [0, 0, 0]]).tolist()
    [1, 0, 2, 1, 3]
    """
    check_whole(num_classes, "num_classes", 1, optional=True)
    check_ignored(ignore_class)
    if isinstance(y, (tuple, dict)):
        raise invalid("classes", "be given for each row, where y is a nest of arrays", received="classes='rarest'")
    table = check_table(y, "y")
    if table.ndim < 2 or table.dtype.kind not in "biuf" or is_text(table):
        received = f"dtype {table.dtype}, shape {table.shape}"
        raise invalid("y", "hold labels (N, L) of 0 and 1, or masks of class ids", received=received, remedy=ONE_CLASS)
    channels = _channels(table, num_classes, ignore_class)
    held = _held_channels(table, ignore_class) if channels else _held_ids(table, num_classes, ignore_class)
    rows = held.sum(axis=0)
    order = np.argsort(rows, kind="stable")
    first = held[:, order].argmax(axis=1)
    return np.where(held.any(axis=1), order[first], held.shape[1]).astype(np.int64)


def _channels(table, num_classes, ignore_class):
    """Whether the last axis holds one channel a class, of 0 and 1; raises for labels `(N, L)` of anything else."""
    if table.ndim == 2:
        for block in _blocks(table):
            other = block[~((block == 0) | (block == 1) | (block == ignore_class))]
            if other.size:
                raise invalid("y", "hold 0 and 1 in the shape (N, L)", received=str(other[0]), remedy=OF_LABELS)
        if num_classes not in (None, table.shape[1]):
            raise invalid("y", f"have {num_classes} columns", received=f"shape {table.shape}")
        return True
    one_hot = table.shape[-1] > 1 and ignore_class is None and num_classes in (None, table.shape[-1])
    return one_hot and all(looks_one_hot(block, None) for block in _blocks(table))


def _blocks(table: np.ndarray) -> Iterator[np.ndarray]:
    """A few rows at a time, so that a memory map of masks is never held whole."""
    size = max(1, BLOCK_VALUES * len(table) // max(table.size, 1))
    return (table[start : start + size] for start in range(0, len(table), size))


def _held_channels(table, ignore_class):
    """Which channels are 1 anywhere in a row, bool `(N, C)`."""
    held = ((block != 0) & (block != ignore_class) for block in _blocks(table))
    return np.concatenate([block.any(axis=tuple(range(1, table.ndim - 1))) for block in held])


def _held_ids(table, num_classes, ignore_class):
    """Which ids a row holds, bool `(N, C)`."""
    found = [_ids_of_row(row, num_classes, ignore_class) for row in table]
    size = num_classes or max((int(ids[-1]) + 1 for ids in found if ids.size), default=1)
    held = np.zeros((len(found), size), dtype=bool)
    for row, ids in zip(held, found, strict=True):
        row[ids] = True
    return held


def _ids_of_row(row, num_classes, ignore_class):
    values = _values_of(row.reshape(-1))
    values = values if ignore_class is None else values[values != ignore_class]
    check_ids(values, num_classes, "y", OF_MASKS)
    return values.astype(np.int64)


def _values_of(flat):
    """The different values, sorted; small ids are counted, which takes a tenth of the time of sorting them."""
    if flat.dtype.kind in "iu" and flat.min(initial=0) >= 0 and flat.max(initial=0) < SMALL_IDS:
        return np.flatnonzero(np.bincount(flat.astype(np.int64)))
    return np.unique(flat)
