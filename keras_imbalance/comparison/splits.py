"""Which rows train, validate and test: random splits, those of scikit-learn, or parts that are given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core import arrays_of, check_number, check_whole, invalid, is_frame, is_text, labels_of, shown
from keras_imbalance._keras import tree
from keras_imbalance.comparison.rows import Data, data_of

GIVEN = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, int64."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def given_data(parts: dict, class_names: Sequence[str] | None = None, **form: Any) -> tuple[Data, Split]:
    """Data given as `train=, validation=, test=`, each `(x, y)`, as one, and the rows of each part; `form` as in `data_of`.

    Raises:
        ValueError: for what is no pair, a part without rows, rows or labels of another form than those of `train`, and training
            rows that lack a class.
    """
    for name, part in parts.items():
        _check_pair(name, part)
    arrays = {name: (arrays_of(x, f"{name} x"), labels_of(y, f"{name} y")) for name, (x, y) in parts.items()}
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


def _check_pair(name, part):
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        remedy = "Pass train=, validation= and test= together, and leave x and y out."
        raise invalid(name, "be a pair (x, y)", received=f"a {type(part).__name__}", remedy=remedy)


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
        groups = _checked_groups(groups, len(data.y))
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


def _checked_groups(groups, rows):
    groups = arrays_of(groups, "groups")
    if np.shape(groups) != (rows,):
        raise invalid("groups", f"hold one group for each of {rows} rows", received=f"shape {np.shape(groups)}")
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        received = f"{np.isnan(groups).sum()} missing of {rows}"
        remedy = "Drop such rows, or give each a group of its own."
        raise invalid("groups", "hold no missing values", received=received, remedy=remedy)
    return groups


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
