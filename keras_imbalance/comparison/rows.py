"""The rows of a comparison, and what their labels are: a class, one a position, or several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core import (
    arrays_of,
    check_flag,
    check_ids,
    check_ignored,
    check_names,
    class_ids,
    invalid,
    labels_of,
    looks_one_hot,
    named_ids,
    number_anew,
    shown,
)
from keras_imbalance._keras import tree
from keras_imbalance.sampling import rarest_classes

SMALLEST_STRATUM = 10  # rows: a class that is the rarest of fewer is no stratum of its own
ONE_OUTPUT = (
    "Compare one output at a time: a net that ends in it, keras.Model(model.inputs, model.get_layer(name).output), and its "
    "labels as y."
)


@dataclass
class Data:
    """All rows.

    Attributes:
        x: nest of arrays of N rows.
        y: class ids int32 `(N,)`; of masks and sequences `(N, ...)`; with several labels a row 0 and 1 `(N, L)`.
        class_names: a name a class, or a label.
        multi_label: whether a row has several labels.
        ignore_class: the id of positions that count nowhere, or None.
    """

    x: Any
    y: np.ndarray
    class_names: list[str]
    multi_label: bool = False
    ignore_class: int | None = None

    @property
    def one_class(self) -> bool:
        """Whether a row is of one class."""
        return self.y.ndim == 1

    def counted(self, rows: np.ndarray) -> np.ndarray:
        """Which labels of these rows count, bool in their shape; of several labels all."""
        y = self.y[rows]
        return np.ones(y.shape, bool) if self.ignore_class is None else y != self.ignore_class

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """What is scored: the ids of the positions that count, row by row `(P,)`, or several labels as they are `(N, L)`."""
        return self.y[rows] if self.multi_label else self.y[rows][self.counted(rows)]

    def scored(self, rows: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """The probabilities `(N, ..., C)` of what is scored, `(P, C)`."""
        return probabilities if self.multi_label else probabilities[self.counted(rows)]

    def row_of(self, rows: np.ndarray) -> np.ndarray:
        """For all that is scored the position of its row in `rows`, int64 `(P,)`."""
        return np.arange(len(rows)) if self.multi_label else np.nonzero(self.counted(rows))[0]

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Rows or positions of every class, int64 `(C,)`; of several labels `(L, 2)`, rows without and with each."""
        labels = self.labels(rows)
        if self.multi_label:
            held = labels.sum(axis=0, dtype=np.int64)
            return np.stack([len(labels) - held, held], axis=1)
        return np.bincount(labels, minlength=len(self.class_names))

    def row_classes(self, rows: np.ndarray) -> np.ndarray:
        """The class that each of these rows is divided or sampled by: its own, or the one it holds that fewest of them hold.

        A row that holds none gets C. Labels of other rows have no part in it.
        """
        if self.one_class:
            return self.y[rows]
        y = self.y[rows] if self.multi_label else self.y[rows][..., None]
        return rarest_classes(y, num_classes=len(self.class_names), ignore_class=self.ignore_class)

    def strata(self, rows: np.ndarray) -> np.ndarray:
        """What these rows are divided by at random: their classes; of masks and labels the small ones as one."""
        classes = self.row_classes(rows)
        if self.one_class:
            return classes
        counts = np.bincount(classes)
        small = counts[classes] < SMALLEST_STRATUM
        return np.where(small, -1 if small.sum() >= SMALLEST_STRATUM else counts.argmax(), classes)


def take(x: Any, rows: np.ndarray | slice) -> Any:
    """These rows of a nest of arrays."""
    return tree.map_structure(lambda leaf: np.asarray(leaf[rows]), x)


def data_of(
    x: Any,
    y: Any,
    class_names: Sequence[str] | None = None,
    *,
    multi_label: bool = False,
    ignore_class: int | None = None,
) -> Data:
    """Rows and their labels.

    Args:
        x: array of N rows, a data frame, or a nest (tuple, dict) of them.
        y: class ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or names; masks and sequences of ids `(N, ...)` or `(N, ..., 1)`, or
            one-hot; with multi_label 0 and 1 `(N, L)`.
        class_names: names of the classes. Defaults to those in y, in sorted order, or the class numbers.
        multi_label: whether a row has several labels.
        ignore_class: the id of positions that count nowhere.

    Raises:
        ValueError: for several outputs, labels of another form, fewer than two classes, and x and y of different lengths.
    """
    rows, given = arrays_of(x, "x"), labels_of(y, "y")
    if not isinstance(given, np.ndarray):
        raise invalid("y", "hold the labels of one output", received="several outputs", remedy=ONE_OUTPUT)
    table, names = named_ids(given, check_names(class_names), "y")
    check_ignored(ignore_class)
    size = None if names is None else len(names)
    if check_flag(multi_label, "multi_label"):
        labels, classes = _several_labels(table, size)
        ignore_class = _not_ignored(ignore_class, "with multi_label")
    elif _holds_positions(table):
        labels, classes = _ids_of_positions(table, size, ignore_class)
    else:
        labels, classes = _class_of_rows(table, size)
        ignore_class = _not_ignored(ignore_class, "where a row has one class")
    names = [str(i) for i in range(classes)] if names is None else names
    _check_lengths(rows, labels)
    if len(names) < 2 and not multi_label:
        raise invalid("y", "hold at least two classes", received=shown(names))
    return Data(rows, labels, list(names), multi_label, ignore_class)


def _check_lengths(rows, labels):
    lengths = {len(leaf) for leaf in tree.flatten(rows)}
    if lengths != {len(labels)}:
        raise invalid("x", f"have as many rows as y, {len(labels)}", received=f"{sorted(lengths)} rows")


def _class_of_rows(table, size):
    remedy = "For several labels a row pass multi_label=True."
    ids = class_ids(table, size, "y", remedy)
    columns = table.shape[1] if table.ndim == 2 and table.shape[1] > 1 else int(ids.max()) + 1
    _check_all_there(ids, size or columns)
    return ids.astype(np.int32), columns


def _several_labels(table, size):
    if table.ndim != 2 or table.dtype.kind not in "biuf" or not ((table == 0) | (table == 1)).all():
        raise invalid("y", "hold 0 and 1 in the shape (N, L) with multi_label", received=f"shape {table.shape}")
    if size not in (None, table.shape[1]):
        raise invalid("y", f"have {size} columns, one a name", received=f"shape {table.shape}")
    return table.astype(np.int32), table.shape[1]


def _holds_positions(table):
    """Whether labels are of positions: of three axes and more, or whole numbers `(N, T)` that are not 0 and 1."""
    several = table.ndim == 2 and table.shape[1] > 1 and table.dtype.kind in "iu"
    return table.ndim > 2 or (several and not ((table == 0) | (table == 1)).all())


def _ids_of_positions(table, size, ignore_class):
    if table.ndim > 2 and table.shape[-1] == 1:
        table = table[..., 0]
    elif table.ndim > 2 and ignore_class is None and looks_one_hot(table, None):
        size, table = table.shape[-1], table.argmax(axis=-1)
    counted = table[table != ignore_class] if ignore_class is not None else table.reshape(-1)
    if not len(counted):
        raise invalid("y", "hold a position that counts", received=f"ignore_class={ignore_class} alone")
    check_ids(counted, size, "y")
    classes = size or int(counted.max()) + 1
    _check_all_there(counted, classes, " A label that is no class goes to `ignore_class`.")
    return table.astype(np.int32), classes


def _check_all_there(ids, classes, more=""):
    """Raises where a class has no row at all, as where class ids begin at 1."""
    missing = np.setdiff1d(np.arange(classes), ids)
    if len(missing):
        requirement = f"hold rows of every class from 0 to {classes - 1}"
        raise invalid(
            "y", requirement, received=f"none of class {shown(missing.tolist())}", remedy=number_anew("y") + more
        )


def _not_ignored(ignore_class, where):
    if ignore_class is not None:
        raise invalid("ignore_class", f"be None {where}", ignore_class, "It is for masks: leave such rows out.")
