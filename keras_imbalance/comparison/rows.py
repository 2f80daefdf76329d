"""Which rows train, validate and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core import (
    arrays_of,
    check_names,
    check_number,
    check_whole,
    class_ids,
    invalid,
    named_ids,
    shown,
)
from keras_imbalance._keras import tree

GIVEN = ("train", "validation", "test")


@dataclass
class Data:
    """All rows: a nest of arrays, class ids int32 `(N,)`, and a name a class."""

    x: Any
    y: np.ndarray
    class_names: list[str]


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, int64."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def take(x: Any, rows: np.ndarray | slice) -> Any:
    """These rows of a nest of arrays."""
    return tree.map_structure(lambda leaf: np.asarray(leaf[rows]), x)


def data_of(x: Any, y: Any, class_names: Sequence[str] | None = None) -> Data:
    """Rows and the class of each; raises unless each row has one class.

    Args:
        x: array of N rows, a data frame, or a nest (tuple, dict) of them.
        y: class ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or names.
        class_names: names of the classes. Defaults to those in y, in sorted order, or the class numbers.
    """
    rows, labels = arrays_of(x, "x"), arrays_of(y, "y")
    if not isinstance(labels, np.ndarray):
        raise invalid("y", "hold one class a row", received="several outputs", remedy="Compare one output at a time.")
    table, names = named_ids(labels, check_names(class_names), "y")
    remedy = "Masks and several labels a row are not compared."
    ids = class_ids(table, None if names is None else len(names), "y", remedy)
    if names is None:
        names = [
            str(i) for i in range(table.shape[1] if table.ndim == 2 and table.shape[1] > 1 else int(ids.max()) + 1)
        ]
    lengths = {len(leaf) for leaf in tree.flatten(rows)}
    if lengths != {len(ids)}:
        raise invalid("x", f"have as many rows as y, {len(ids)}", received=f"{sorted(lengths)} rows")
    if len(names) < 2:
        raise invalid("y", "hold at least two classes", received=shown(names))
    return Data(rows, ids.astype(np.int32), list(names))


def given_data(parts: dict, class_names: Sequence[str] | None = None) -> tuple[Data, Split]:
    """Data given as `train=, validation=, test=`, each `(x, y)`, as one, and the rows of each part."""
    for name, part in parts.items():
        if not isinstance(part, (tuple, list)) or len(part) != 2:
            remedy = "Pass train=, validation= and test= together, and leave x and y out."
            raise invalid(name, "be a pair (x, y)", received=f"a {type(part).__name__}", remedy=remedy)
    arrays = [(arrays_of(x, f"{name} x"), arrays_of(y, f"{name} y")) for name, (x, y) in parts.items()]
    x, y = (tree.map_structure(lambda *leaves: np.concatenate(leaves), *column) for column in zip(*arrays, strict=True))
    ends = np.cumsum([len(labels) for _, labels in arrays])
    return data_of(x, y, class_names), Split(*np.split(np.arange(ends[-1]), ends[:-1]))


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
        ValueError: for shares that leave nothing to train on, classes too small to divide, and a split whose training rows lack
            a class.
    """
    check_number(validation, "validation", above=0, below=1)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != data.y.shape:
            raise invalid("groups", f"hold one group for each of {len(data.y)} rows", received=f"shape {groups.shape}")
    if isinstance(splits, (int, np.integer)):
        check_whole(splits, "splits", 1)
        check_number(test, "test", above=0, below=1 - validation)
        pairs = _shuffled(data.y, groups, splits, test, seed, "test")
    else:
        pairs = _of_splitter(data.y, groups, splits)
    found = []
    for i, (rest, held_out) in enumerate(pairs):
        rest = np.asarray(rest)
        share = validation * len(data.y) / len(rest)
        if share >= 1:
            raise invalid("validation", "leave rows to train on", validation)
        parts = None if groups is None else groups[rest]
        (train, validate), *_ = _shuffled(data.y[rest], parts, 1, share, seed + i, "validation")
        split = Split(np.sort(rest[train]), np.sort(rest[validate]), np.sort(np.asarray(held_out)))
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


def _check_classes(data, split, i):
    missing = [data.class_names[c] for c in np.setdiff1d(np.arange(len(data.class_names)), data.y[split.train])]
    if missing:
        remedy = "Merge the smallest classes, or choose other splits."
        received = f"none of {shown(missing)} in split {i + 1}"
        raise invalid("y", "leave training rows of every class in each split", received=received, remedy=remedy)
