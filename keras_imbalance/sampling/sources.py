"""Rows of random-access sources, which are read batch by batch: what has `len()` and `[int]` or `[array]`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core import (
    ENDLESS,
    arrays_of,
    invalid,
    is_frame,
    is_text,
    labels_of,
    nearest,
    refuse_batches,
    shown,
)
from keras_imbalance._keras import PyDataset
from keras_imbalance.sampling.nests import leaf_names, leaves, mapped

PROBED = 4  # rows that are read to see what rows look like
OWN_KINDS = (np.ndarray, list, tuple, str, bytes, range, Mapping, type)
OF_NO_ROWS = ("iloc", "element_spec", "toarray")  # frames, tf.data.Datasets, sparse matrices
BY_ROW = (
    "Pass what has len() and gives a row by [int]: the .dataset of a DataLoader, a Grain MapDataset, a Hugging Face data set "
    "that is not streamed. Rows that only come in turn are drawn by StreamSampler(tf.data.Dataset.from_generator(...), ...)."
)


@dataclass(frozen=True)
class RowSpec:
    """What a row looks like: its shape, None where rows differ, and its dtype, in the byte order of this machine."""

    shape: tuple[int | None, ...]
    dtype: np.dtype


class Source:
    """Rows of a random-access source, in the place of an array.

    Items of h5py, zarr and the like, which have a shape, are asked for as `[array]`, in ascending order and each once; those of
    other sources by `__getitems__`, PyTorch's protocol, where there is one, else as `[int]`.

    Args:
        source: what has `len()` and `[int]` or `[array]`.
        name: what an error calls it.
        arrange: takes what is wanted from an item, or from the nest of many. Defaults to all of it.
    """

    def __init__(self, source: Any, name: str, arrange: Callable[[Any], Any] = lambda item: item):
        self.source, self.name, self._arrange = _in_numpy(source), name, arrange
        self.is_array = hasattr(source, "shape") and hasattr(source, "dtype")
        if len(source) >= ENDLESS:
            raise invalid(
                name, "have an end", received=f"{type(source)} without one", remedy="Pass it without `.repeat()`."
            )

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: np.ndarray) -> Any:
        """A nest of arrays with these rows."""
        if self.is_array:
            found, back = np.unique(rows, return_inverse=True)
            return taken(np.asarray(self.source[found]), back)
        return stacked(self.items(rows), self.name)

    def items(self, rows: np.ndarray) -> list:
        """These rows one by one, each a nest of arrays."""
        if self.is_array:
            found = [np.asarray(self.source[row]) for row in rows.tolist()]
        elif hasattr(self.source, "__getitems__"):
            found = self.source.__getitems__(rows.tolist())
        else:
            found = [self.source[row] for row in rows.tolist()]
        return [self._arrange(_nest_of(item)) for item in found]

    def column(self, key: Any) -> Any:
        """The part of each item that stands at `key`, of all rows, which are read one by one: labels."""
        return stacked([self.items(np.array([row]))[0][key] for row in range(len(self))], "y")

    def probed(self) -> np.ndarray:
        """The numbers of a few rows, spread over the source."""
        return np.unique(np.linspace(0, len(self) - 1, PROBED).astype(np.int64))

    def specs(self) -> Any:
        """A nest of the `RowSpec`s of a row, from a few rows spread over the source."""
        if self.is_array:
            return RowSpec(self.source.shape[1:], np.dtype(self.source.dtype).newbyteorder("="))
        items = self.items(self.probed())
        parts = [leaves(item) for item in items]
        if len({len(part) for part in parts}) > 1:
            raise invalid(self.name, "give items of one form", received=shown(items[0]))
        names = leaf_names(items[0], self.name)
        specs = iter([_common_spec(arrays, name) for *arrays, name in zip(*parts, names, strict=True)])
        return _rebuilt(items[0], specs)


def is_source(value: Any) -> bool:
    """Whether `value` is a random-access source of rows: no array in memory, no collection of Python's own, not in batches."""
    if isinstance(value, (*OWN_KINDS, PyDataset)) or not (hasattr(value, "__len__") and hasattr(value, "__getitem__")):
        return False
    if hasattr(value, "__array__"):
        return hasattr(value, "shape") and hasattr(value, "chunks")
    return not any(hasattr(value, name) for name in OF_NO_ROWS)


def rows_of(value: Any, name: str) -> Any:
    """A nest of arrays and `Source`s, from arrays, frames, random-access sources, paths, or nests of them."""
    if is_source(value):
        return Source(value, name)
    if isinstance(value, Mapping) and any(map(is_source, value.values())):
        return {key: rows_of(part, f"{name}[{key!r}]") for key, part in value.items()}
    if isinstance(value, (list, tuple)) and any(map(is_source, value)):
        return tuple(rows_of(part, f"{name}[{i}]") for i, part in enumerate(value))
    if name == "x" and not is_frame(value):
        refuse_batches(value, name, BY_ROW)
    return arrays_of(value, name)


def labelled_rows(x: Any, y: Any, sample_weight: Any, classes: Any) -> tuple[Any, Any, Any]:
    """What is drawn from, and what tells the class of each row.

    Args:
        x: arrays, frames, random-access sources, paths, or nests of them.
        y: labels; the name of the column of a source that holds them; None where a source gives `(x, y)`.
        sample_weight: weights of rows, or None.
        classes: None, or the class of each row.

    Returns:
        `(x, y)` or `(x, y, sample_weight)`, nests of arrays and `Source`s, or one `Source` of such tuples; then labels of all
        rows, None where `classes` says all; then `classes`.
    """
    weights = () if sample_weight is None else (rows_of(sample_weight, "sample_weight"),)
    told = classes is not None and not isinstance(classes, str)  # "rarest" is told by all labels
    source = is_source(x)
    if source and y is None:
        pairs = _pairs(x, sample_weight)
        return pairs, None if told else _labels_of_pairs(pairs), classes
    if source and isinstance(y, str):
        rest, labels = _without_column(x, y)
        return (rest, labels, *weights), labels, classes
    rows, labels = rows_of(x, "x"), (rows_of if told else labels_of)(y, "y")
    if classes is None:
        _refuse_pairs(rows, labels)
    return (rows, labels, *weights), labels, classes


def _pairs(x, sample_weight):
    """A source of `(x, y)` or `(x, y, sample_weight)`; raises where it gives anything else."""
    if sample_weight is not None:
        remedy = "Let its items be (x, y, sample_weight)."
        raise invalid("sample_weight", "be None where `x` gives (x, y)", received=shown(sample_weight), remedy=remedy)
    source = Source(x, "x", _pair)
    if len(x):
        source.items(np.zeros(1, dtype=np.int64))
    return source


def _labels_of_pairs(source):
    labels = source.column(1)
    if isinstance(labels, np.ndarray) and is_text(labels):
        remedy = "Pass the names as `classes`, and turn them into numbers in `map_fn`."
        raise invalid("y", "be numbers where x is a source of (x, y)", received=f"dtype {labels.dtype}", remedy=remedy)
    return labels


def _without_column(x, column):
    """A source of dicts without one column, and that column as an array."""
    items = Source(x, "x")
    first = items.items(np.zeros(1, dtype=np.int64))[0] if len(x) else {}
    if not isinstance(first, dict) or column not in first:
        known = list(first) if isinstance(first, dict) else []
        received = f"y={shown(column)}, items with {shown(known) if known else 'no columns'}"
        raise invalid("y", "name a column of `x`", received=received, remedy=nearest(column, known))
    rest = Source(x, "x", lambda item: {key: part for key, part in item.items() if key != column})
    if hasattr(x, "column_names"):
        return rest, np.asarray(items.source[column][:])
    return rest, items.column(column)


def _refuse_pairs(source, labels):
    """Raises where the items of a source hold the very labels that are given beside it: a model would be fed them."""
    if not isinstance(source, Source) or source.is_array or not isinstance(labels, np.ndarray):
        return
    if not 0 < len(source) == len(labels):
        return
    rows = source.probed()
    pairs = zip(source.items(rows), labels[rows], strict=True)
    if all(isinstance(item, tuple) and len(item) == 2 and np.array_equal(item[1], label) for item, label in pairs):
        remedy = "Pass ArraySampler(x, classes=y): the labels in the items are delivered."
        raise invalid("y", "be None where the items of `x` are (x, y)", received="the labels once more", remedy=remedy)


def taken(leaf: np.ndarray, rows: np.ndarray, align: bool = True) -> np.ndarray:
    """Rows of an array, where `align` says so in memory that TensorFlow takes without a copy: from a multiple of 64 bytes."""
    if leaf.dtype.kind in "OUS":
        return leaf.take(rows, axis=0)
    if not (leaf.flags.c_contiguous and leaf.flags.aligned and leaf.dtype.isnative):
        # np.take would copy the whole array first.
        return leaf[rows].astype(leaf.dtype.newbyteorder("="), order="C", copy=False)
    if not align:
        return leaf.take(rows, axis=0)
    out = aligned((len(rows), *leaf.shape[1:]), leaf.dtype)
    return np.take(leaf, rows, axis=0, out=out, mode="clip")  # "raise" would fill a buffer first


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that begins at a multiple of 64 bytes.

    Example:
    >>> aligned((3, 5), np.dtype("float32")).ctypes.data % 64
    0
    """
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def stacked(items: Sequence[Any], name: str) -> Any:
    """One nest of arrays from the nests of several rows; raises where rows differ in shape.

    Example:
    >>> stacked([(np.zeros(2), np.array(1)), (np.ones(2), np.array(0))], "x")
    (array([[0., 0.],
           [1., 1.]]), array([1, 0]))
    """
    parts = []
    for arrays in zip(*map(leaves, items), strict=True):
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            remedy = "Pass a `map_fn` that brings each row to one shape."
            raise invalid(name, "give rows of one shape", received=f"shapes {shown(sorted(shapes))}", remedy=remedy)
        out = np.empty if arrays[0].dtype.kind in "OUS" else aligned
        dtype = np.result_type(*{array.dtype for array in arrays})
        parts.append(np.stack(arrays, out=out((len(arrays), *arrays[0].shape), dtype)))
    return _rebuilt(items[0], iter(parts))


def _rebuilt(nest, parts):
    """A nest of the same form with these leaves, which come in the order of `leaves`."""
    if isinstance(nest, dict):
        found = {key: _rebuilt(nest[key], parts) for key in sorted(nest)}
        return {key: found[key] for key in nest}
    return tuple(_rebuilt(part, parts) for part in nest) if isinstance(nest, tuple) else next(parts)


def _nest_of(item):
    """An item as a nest of arrays; a list of numbers is one array."""
    if isinstance(item, Mapping):
        return {key: _nest_of(part) for key, part in item.items()}
    several = isinstance(item, list) and any(hasattr(part, "shape") or isinstance(part, Mapping) for part in item)
    if isinstance(item, tuple) or several:
        return tuple(_nest_of(part) for part in item)
    return np.asarray(item)


def _common_spec(arrays, name):
    ranks = {array.ndim for array in arrays}
    if len(ranks) > 1:
        raise invalid(name, "give rows of one rank", received=f"rows of {sorted(ranks)} axes")
    for array in arrays:
        check_tensor(array, name)
    sizes = zip(*(array.shape for array in arrays), strict=True)
    return RowSpec(
        tuple(axis[0] if len(set(axis)) == 1 else None for axis in sizes),
        np.result_type(*{array.dtype for array in arrays}),
    )


def check_tensor(array: np.ndarray, name: str) -> None:
    """Raises for an array of objects that are no text, such as None: no tensor holds them."""
    if array.dtype == object and not is_text(array):
        remedy = "Fill or drop what is missing; the `map_fn` of `py_dataset` takes objects of any kind."
        raise invalid(name, "give numbers or text in each row", received=shown(array.tolist()), remedy=remedy)


def _pair(item):
    if not isinstance(item, tuple) or len(item) not in (2, 3):
        remedy = "Pass y: the labels of all rows, or the name of the column that holds them."
        raise invalid(
            "x", "give (x, y) or (x, y, sample_weight) where `y` is None", received=shown(item), remedy=remedy
        )
    return item


def _in_numpy(source):
    """A Hugging Face data set in the NumPy format, where the user chose none: float32 stays so, images are arrays."""
    formats = getattr(source, "format", None)
    if hasattr(source, "with_format") and isinstance(formats, dict) and formats.get("type") is None:
        return source.with_format("numpy")
    return source


def row_specs(arrays: Any) -> Any:
    """A nest of the `RowSpec`s of rows of arrays and sources."""
    return mapped(
        lambda leaf: (
            leaf.specs() if isinstance(leaf, Source) else RowSpec(leaf.shape[1:], leaf.dtype.newbyteorder("="))
        ),
        arrays,
    )
