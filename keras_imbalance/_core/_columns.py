"""Data frames and their columns as NumPy arrays, whatever dtype pandas gives them. pandas itself is never imported."""

import os
from typing import Any

import numpy as np

from keras_imbalance._core._checks import invalid

NUMBERS = "biufc"
NUMERIC = (bool, int, float, np.bool_, np.integer, np.floating)
FILL = "Drop such rows or fill them first, as by {name}.fillna(value)."


def is_frame(value: Any) -> bool:
    """Whether `value` is a data frame: named columns, each of its own dtype."""
    return all(hasattr(value, name) for name in ("columns", "dtypes", "items"))


def is_text(array: np.ndarray) -> bool:
    """Whether an array holds text alone, as fixed-width strings or as objects."""
    return array.dtype.kind in "US" or (
        array.dtype == object and array.size > 0 and all(isinstance(item, (str, bytes)) for item in array.flat)
    )


def plain_values(array: np.ndarray) -> np.ndarray:
    """An array of objects that are all numbers, or all paths, as an array of numbers, or of text; any other as it is.

    Example:
    >>> plain_values(np.array([1, 2.5], dtype=object))
    array([1. , 2.5])
    """
    if array.dtype != object or not array.size:
        return array
    if all(isinstance(item, os.PathLike) for item in array.flat):
        return np.array([os.fspath(item) for item in array.flat], dtype=object).reshape(array.shape)
    if not all(isinstance(item, NUMERIC) for item in array.flat):
        return array
    numbers = np.array(array.tolist())
    return numbers if numbers.dtype.kind in NUMBERS else array


def column_array(column: Any, name: str) -> np.ndarray:
    """A column as numbers or as text, categories as what they stand for.

    Args:
        column: a Series of any dtype.
        name: what an error calls it.

    Raises:
        ValueError: for missing values, other than NaN among floats, and for dates and other objects.
    """
    nullable = not isinstance(column.dtype, np.dtype)
    if nullable and column.dtype.kind == "f":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = plain_values(np.asarray(column))
    missing = np.flatnonzero(np.asarray(column.isna())) if nullable or values.dtype == object else np.empty(0)
    if missing.size:
        received = f"{missing.size} missing of {len(values)}, the first in row {missing[0]}"
        raise invalid(name, "hold no missing values", received=received, remedy=FILL.format(name=name))
    if values.dtype.kind in NUMBERS or is_text(values):
        return values
    remedy = "Dates as numbers: (column - column.min()).dt.days." if values.dtype.kind in "mM" else "Encode it first."
    raise invalid(name, "hold numbers, text or categories", received=f"dtype {column.dtype}", remedy=remedy)


def frame_columns(frame: Any, name: str) -> dict[Any, np.ndarray]:
    """Every column of a data frame as an array `(N,)`; an error names the column."""
    return {key: column_array(column, f"{name}[{key!r}]") for key, column in frame.items()}


def frame_table(frame: Any, name: str) -> np.ndarray | None:
    """A data frame whose columns all hold numbers as one array `(N, D)`; None where one holds text."""
    dtypes = list(frame.dtypes)
    if all(isinstance(dtype, np.dtype) and dtype.kind in NUMBERS for dtype in dtypes):
        # One dtype for all, since bool next to float would make objects of both.
        return frame.to_numpy(dtype=np.result_type(*dtypes)) if dtypes else np.asarray(frame)
    columns = [column_array(column, f"{name}[{key!r}]") for key, column in frame.items()]
    return np.stack(columns, axis=1) if all(column.dtype.kind in NUMBERS for column in columns) else None
