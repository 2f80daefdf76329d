"""Which rows train, validate and test, and what their labels are: a class, one a position, or several."""

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
    check_number,
    check_whole,
    class_ids,
    invalid,
    is_frame,
    is_text,
    looks_one_hot,
    named_ids,
    shown,
)
from keras_imbalance._keras import tree
from keras_imbalance.sampling import rarest_classes

GIVEN = ("train", "validation", "test")
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


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, int64."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


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
        ValueError: for several outputs, labels that are none of this, fewer than two classes, and another number of rows.
    """
    rows, given = arrays_of(x, "x"), arrays_of(y, "y")
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
    lengths = {len(leaf) for leaf in tree.flatten(rows)}
    if lengths != {len(labels)}:
        raise invalid("x", f"have as many rows as y, {len(labels)}", received=f"{sorted(lengths)} rows")
    if len(names) < 2 and not multi_label:
        raise invalid("y", "hold at least two classes", received=shown(names))
    return Data(rows, labels, list(names), multi_label, ignore_class)


def _class_of_rows(table, size):
    remedy = "For several labels a row pass multi_label=True."
    ids = class_ids(table, size, "y", remedy)
    columns = table.shape[1] if table.ndim == 2 and table.shape[1] > 1 else int(ids.max()) + 1
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
    return table.astype(np.int32), size or int(counted.max()) + 1


def _not_ignored(ignore_class, where):
    if ignore_class is not None:
        raise invalid("ignore_class", f"be None {where}", ignore_class, "It is for masks: leave such rows out.")


def given_data(parts: dict, class_names: Sequence[str] | None = None, **form: Any) -> tuple[Data, Split]:
    """Data given as `train=, validation=, test=`, each `(x, y)`, as one, and the rows of each part; `form` as in `data_of`.

    Raises:
        ValueError: for what is no pair, a part without rows, rows or labels of another form than those of `train`, and training
            rows that lack a class.
    """
    for name, part in parts.items():
        if not isinstance(part, (tuple, list)) or len(part) != 2:
            remedy = "Pass train=, validation= and test= together, and leave x and y out."
            raise invalid(name, "be a pair (x, y)", received=f"a {type(part).__name__}", remedy=remedy)
    arrays = {name: (arrays_of(x, f"{name} x"), arrays_of(y, f"{name} y")) for name, (x, y) in parts.items()}
    lengths = {name: _length(name, part) for name, part in arrays.items()}
    forms = {
        name: {**_forms(x, arrays[name][0], "x"), **_forms(y, arrays[name][1], "y")} for name, (x, y) in parts.items()
    }
    for name in parts:
        _check_alike(name, forms[name], forms["train"])
    columns = zip(*arrays.values(), strict=True)
    x, y = (tree.map_structure(lambda *leaves: np.concatenate(leaves), *column) for column in columns)
    ends = np.cumsum(list(lengths.values()))
    data, split = data_of(x, y, class_names, **form), Split(*np.split(np.arange(ends[-1]), ends[:-1]))
    missing = _lacking(data, split.train)
    if missing:
        rows = "with and without each label" if data.multi_label else "of every class"
        remedy = "Move some from the other parts, or merge the smallest classes."
        raise invalid("train", f"hold rows {rows}", received=f"none of {shown(missing)}", remedy=remedy)
    return data, split


def _length(name, part):
    """How many rows a part has."""
    found = sorted({len(leaf) for leaf in tree.flatten(part)})
    if len(found) > 1 or found == [0]:
        received = f"{' and '.join(map(str, found))} rows"
        raise invalid(name, "hold rows, in x as many as in y", received=received)
    return found[0]


def _forms(value, array, path):
    """What a row is: for each array of a nest, by its path, the kind, the shape, and the columns where it was a frame."""
    if isinstance(array, (dict, tuple)):
        keys = array if isinstance(array, dict) else range(len(array))
        found = (_forms(value[key], array[key], f"{path}[{key!r}]") for key in keys)
        return {leaf: form for forms in found for leaf, form in forms.items()}
    kind = "text" if is_text(array) else "numbers"
    return {path: (kind, array.shape[1:], list(value.columns) if is_frame(value) else None)}


def _check_alike(name, forms, expected):
    for path in {**expected, **forms}:
        found, wanted = (table.get(path, ("nothing", (), None)) for table in (forms, expected))
        others = found[2] != wanted[2] and None not in (found[2], wanted[2])
        if found[:2] != wanted[:2] or others:
            received = f"{path}: {_told(found)}; in train: {_told(wanted)}"
            remedy = "Give all parts the same inputs, columns in one order, and labels of one kind."
            raise invalid(name, "hold rows like those of train", received=received, remedy=remedy)


def _told(form):
    kind, shape, columns = form
    if kind == "nothing":
        return kind
    sizes = ", ".join(["N", *map(str, shape)]) if shape else "N,"
    return f"{kind} of shape ({sizes})" + (f" in the columns {shown(columns)}" if columns else "")


def make_splits(data: Data, splits: Any, groups: Any, validation: float, test: float, seed: int) -> list[Split]:
    """Train, validation and test rows of every split.

    Args:
        data: all rows.
        splits: how many random splits, stratified by class; or a scikit-learn splitter, or pairs of train and test rows, of
            which the validation rows are taken off the former.
        groups: group of each row `(N,)`, none of which is in two parts, or None.
        validation: share of all rows.
        test: share of all rows, where `splits` is a number.
        seed: of the shuffles.

    Raises:
        ValueError: for shares that leave nothing to train on, classes too small to divide, a row or a group in two parts, and a
            split whose training rows lack a class.
    """
    check_number(validation, "validation", above=0, below=1)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != data.y.shape[:1]:
            raise invalid("groups", f"hold one group for each of {len(data.y)} rows", received=f"shape {groups.shape}")
    every = np.arange(len(data.y))
    if isinstance(splits, (int, np.integer)):
        check_whole(splits, "splits", 1)
        check_number(test, "test", above=0, below=1 - validation)
        pairs = _shuffled(data.strata(every), groups, splits, test, seed, "test")
    else:
        pairs = _of_splitter(data.strata(every), groups, splits)
    found = []
    for i, pair in enumerate(pairs):
        rest, held_out = (_row_numbers(rows, len(data.y), i) for rows in pair)
        _check_apart(rest, held_out, groups, i)
        share = validation * len(data.y) / len(rest)
        if share >= 1:
            raise invalid("validation", "leave rows to train on", validation)
        parts = None if groups is None else groups[rest]
        (train, validate), *_ = _shuffled(data.strata(rest), parts, 1, share, seed + i, "validation")
        split = Split(np.sort(rest[train]), np.sort(rest[validate]), np.sort(held_out))
        _check_classes(data, split, i)
        found.append(split)
    return found


def check_sklearn() -> None:
    """Raises where scikit-learn is missing."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"compare_methods needs scikit-learn, which cannot be imported. Received: {error}. Install it: "
            'pip install "keras-imbalance[comparison]".'
        ) from error


def _shuffled(y, groups, splits, share, seed, argument):
    """Pairs of row numbers, the second with this share of the rows."""
    from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

    kind = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    try:
        return list(kind(splits, test_size=share, random_state=seed).split(np.zeros(len(y)), y, groups))
    except ValueError as error:
        remedy = "Merge the smallest classes, or pass train=, validation= and test= of your own."
        raise invalid(argument, "be a share in which the classes can be divided", share, f"{error} {remedy}") from error


def _of_splitter(y, groups, splits):
    from sklearn.model_selection import check_cv

    try:
        return list(check_cv(splits, y, classifier=True).split(np.zeros(len(y)), y, groups))
    except (TypeError, ValueError) as error:
        remedy = f"{error}" if str(error).endswith(".") else f"{error}."
        raise invalid(
            "splits", "be a number, a scikit-learn splitter or pairs of row numbers", splits, remedy
        ) from error


def _row_numbers(rows, total, i):
    """Row numbers from row numbers, or from a bool for each row."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (total,):
        return np.flatnonzero(rows)
    known = rows.ndim == 1 and len(rows) and rows.dtype.kind in "iu" and rows.min() >= 0 and rows.max() < total
    if not known or len(np.unique(rows)) < len(rows):
        requirement = f"give different row numbers from 0 to {total - 1}, or a bool for each row"
        raise invalid("splits", requirement, received=f"{shown(rows)} in split {i + 1}")
    return rows


def _check_apart(rest, held_out, groups, i):
    """Raises where a row, or a group, is both trained and tested on."""
    rows = np.intersect1d(rest, held_out)
    if len(rows):
        raise invalid("splits", "keep test rows apart", received=f"{len(rows)} rows in both parts of split {i + 1}")
    both = np.empty(0) if groups is None else np.intersect1d(groups[rest], groups[held_out])
    if len(both):
        received = f"{len(both)} groups in both parts of split {i + 1}, such as {both[0]}"
        remedy = "Pass splits=GroupKFold(5) or StratifiedGroupKFold(5) of scikit-learn, or a number."
        raise invalid("splits", "keep each of `groups` in one part", received=received, remedy=remedy)


def _check_classes(data, split, i):
    missing = _lacking(data, split.train)
    if missing:
        rows = "with and without each label" if data.multi_label else "of every class"
        remedy = "Merge the smallest classes, or choose other splits."
        received = f"none of {shown(missing)} in split {i + 1}"
        raise invalid("y", f"leave training rows {rows} in each split", received=received, remedy=remedy)


def _lacking(data, rows):
    """Names of the classes that none of these rows is of; of labels, those that all or none of them have."""
    lacking = data.counts(rows) == 0
    return [data.class_names[c] for c in np.flatnonzero(lacking if lacking.ndim == 1 else lacking.any(axis=1))]
