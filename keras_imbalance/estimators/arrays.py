"""What a user passes to fit: nests of arrays with a row for each sample."""

from typing import Any

import numpy as np

from keras_imbalance._core import (
    arrays_of,
    check_weight_shape,
    check_weight_values,
    invalid,
    is_frame,
    is_text,
    labels_of,
)
from keras_imbalance._keras import floatx, text_tensor, tree


def data_of(x: Any, y: Any, sample_weight: Any, prefix: str = "") -> tuple:
    """`(x, y)` or `(x, y, sample_weight)` as nests of arrays.

    Raises:
        ValueError: unless they have the same count of rows, and weights are finite and not negative.
    """
    given = {"x": x, "y": y} if sample_weight is None else {"x": x, "y": y, "sample_weight": sample_weight}
    arrays = {name: (labels_of if name == "y" else arrays_of)(value, prefix + name) for name, value in given.items()}
    _check_lengths(arrays, prefix)
    check_weight_shape(arrays.get("sample_weight"), arrays["y"], f"{prefix}sample_weight")
    for leaf in tree.flatten(arrays.get("sample_weight", ())):
        check_weight_values(leaf, f"{prefix}sample_weight")
    return tuple(arrays.values())


def _check_lengths(arrays, prefix):
    lengths = {name: sorted({len(leaf) for leaf in tree.flatten(part)}) for name, part in arrays.items()}
    found = {length for part in lengths.values() for length in part}
    if len(found) != 1 or 0 in found:
        received = ", ".join(f"{name} of {sizes} rows" for name, sizes in lengths.items())
        raise invalid(f"{prefix}x", "have the same number of rows as y and sample_weight", received=received)


def num_rows(arrays: Any) -> int:
    """How many rows a nest of arrays has."""
    return len(tree.flatten(arrays)[0])


def take(arrays: Any, rows: np.ndarray) -> Any:
    """The rows of a nest of arrays, as fit takes them."""
    return as_fit_takes_it(tree.map_structure(lambda leaf: leaf.take(rows, axis=0), arrays))


def as_fit_takes_it(arrays: Any) -> Any:
    """A nest of arrays, fractions in Keras's default type; text, which NumPy and Keras hold in different ways, as tensors."""

    def of_leaf(leaf):
        if is_text(leaf):
            return text_tensor(leaf)
        return leaf.astype(floatx(), copy=False) if leaf.dtype.kind == "f" else leaf

    return tree.map_structure(of_leaf, arrays)


def rows_to_predict(x: Any) -> Any:
    """Rows as the members take them, in the forms that `fit` takes; tensors and datasets are left to Keras."""
    in_memory = isinstance(x, (list, tuple, dict, np.ndarray)) or is_frame(x) or hasattr(x, "to_numpy")
    return as_fit_takes_it(arrays_of(x, "x")) if in_memory else x
