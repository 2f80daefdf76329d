"""What a user passes to fit: nests of arrays with a row for each sample."""

from typing import Any

import numpy as np

from keras_imbalance._core import arrays_of, check_weight_values, invalid
from keras_imbalance._keras import floatx, tree

__all__ = ["arrays_of", "data_of", "num_rows", "take"]


def data_of(x: Any, y: Any, sample_weight: Any, prefix: str = "") -> tuple:
    """`(x, y)` or `(x, y, sample_weight)` as nests of arrays.

    Raises:
        ValueError: unless they have the same count of rows, and weights are finite and not negative.
    """
    given = {"x": x, "y": y} if sample_weight is None else {"x": x, "y": y, "sample_weight": sample_weight}
    arrays = {name: arrays_of(value, prefix + name) for name, value in given.items()}
    _check_lengths(arrays, prefix)
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
    """The rows of a nest of arrays, fractions in Keras's default type, as fit takes arrays."""

    def of_leaf(leaf):
        taken = leaf.take(rows, axis=0)
        return taken.astype(floatx()) if taken.dtype.kind == "f" else taken

    return tree.map_structure(of_leaf, arrays)
