"""What a user passes as rows: arrays, data frames, and nests of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance._core._check_arrays import check_table
from keras_imbalance._core._checks import invalid, shown
from keras_imbalance._core._columns import NUMBERS, frame_columns, frame_table, is_frame, is_text


def arrays_of(value: Any, name: str) -> Any:
    """A nest of NumPy arrays with a row for each sample.

    A list of arrays is a tuple of them, any other list is one array. A data frame of numbers is one array `(N, D)`, of the
    dtype that holds all its columns; one with a column of text, or of categories of text, is a dict of columns `(N,)`.

    Args:
        value: arrays, data frames, Series, lists, or a nest of them.
        name: what an error calls it; the error names the key or the column too.

    Raises:
        ValueError: for anything else, for masked and missing values, and for what gives batches, such as a generator.
    """
    if is_frame(value):
        return _frame(value, name)
    if isinstance(value, Mapping) and value:
        _check_weights_of_rows(value, name)
        return {key: arrays_of(part, f"{name}[{key!r}]") for key, part in value.items()}
    if _is_list_of_arrays(value):
        return tuple(arrays_of(part, name) for part in value)
    return _one_array(value, name)


def labels_of(y: Any, name: str) -> Any:
    """Labels as `arrays_of` gives them; a data frame of one column of text is one array too, `(N, 1)`.

    Example:
    >>> labels_of([0, 1, 0], "y")
    array([0, 1, 0])
    """
    found = arrays_of(y, name)
    if is_frame(y) and isinstance(found, dict) and len(found) == 1:
        (column,) = found.values()
        return column[:, None]
    return found


def _one_array(value, name):
    array = check_table(value, name)
    if array.ndim == 0 or not (array.dtype.kind in NUMBERS or is_text(array)):
        _check_missing(array, name)
        received = f"{type(value)}" if array.ndim == 0 else f"{type(value)}, as an array of dtype {array.dtype}"
        requirement = "be an array with a row for each sample, or a nest of them"
        raise invalid(name, requirement, received=received, remedy=_way_to_an_array(value, array, name))
    if 0 in array.shape[1:]:
        remedy = "Leave out an input that has no columns."
        raise invalid(name, "have at least one value in each row", received=f"shape {array.shape}", remedy=remedy)
    return array


def _check_missing(objects, name):
    missing = [i for i, item in enumerate(objects.flat) if _is_missing(item)] if objects.ndim else []
    if missing:
        row = missing[0] // max(1, objects.size // len(objects))
        received = f"{len(missing)} missing of {objects.size}, the first in row {row}"
        raise invalid(name, "hold no missing values", received=received, remedy="Drop such rows or fill them first.")


def _is_missing(item):
    """Whether an object is None, NaN, or what pandas has for them."""
    is_nan = isinstance(item, (float, np.floating)) and bool(np.isnan(item))
    return item is None or is_nan or type(item).__name__ in ("NAType", "NaTType")


def _frame(frame, name):
    table = frame_table(frame, name)
    if table is not None:
        return arrays_of(table, name)
    if not all(isinstance(key, str) for key in frame.columns):
        remedy = f"Name them: {name}.columns = {name}.columns.astype(str)."
        raise invalid(name, "have text as names of its columns", received=str(list(frame.columns)), remedy=remedy)
    columns = list(frame.columns)
    several = sorted({key for key in columns if columns.count(key) > 1})
    if several:
        received = f"several columns called {shown(several)}"
        raise invalid(name, "have columns of different names, where one holds text", received=received)
    return frame_columns(frame, name)


def _check_weights_of_rows(value, name):
    if name.endswith("sample_weight") and all(_is_single(part) for part in value.values()):
        remedy = "Weights of classes are `class_weight` of fit; for each row they are numpy.array(weights)[y]."
        raise invalid(name, "hold weights of rows", value, remedy)


def _is_single(value):
    return np.isscalar(value) or getattr(value, "shape", None) == ()


def _is_list_of_arrays(value):
    """Whether `value` is a list of arrays or nests, and not of single numbers that are arrays without axes."""
    if not isinstance(value, (tuple, list)) or not value:
        return False
    if not all(hasattr(part, "shape") or isinstance(part, Mapping) for part in value):
        return False
    return not all(np.ndim(part) == 0 for part in value if not isinstance(part, Mapping))


def _way_to_an_array(value, array, name):
    """What to do with a value that is not an array, in a sentence, or nothing."""
    if name.endswith("sample_weight") and isinstance(value, (int, str)):
        return "Other arguments go by name, as batch_size=32."
    if isinstance(value, str):
        return f"Pass the column itself, as frame[{value!r}], and leave it out of x." if name.endswith("y") else ""
    if array.ndim:
        dtype = "int64" if name == "y" else "float32"
        return f"Convert it, as by {name}.astype({dtype!r}), once missing values are dropped or filled."
    return ""
