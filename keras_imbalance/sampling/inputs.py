"""What a user passes as arrays: nests, lengths and the class of every row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imbalance.labels import BY_CLASSES, as_table, class_ids


def arrays_of(value: Any, name: str) -> Any:
    """A nest of NumPy arrays; a list of arrays is a tuple of them, any other list is one array."""
    if isinstance(value, Mapping) and value:
        if name == "sample_weight" and all(np.ndim(part) == 0 for part in value.values()):
            raise ValueError(
                f"`sample_weight` must hold weights of rows. Received: {value}. Weights of classes are `class_weight` of fit; "
                "for each row they are numpy.array(weights)[y]."
            )
        return {key: arrays_of(part, name) for key, part in value.items()}
    if (
        isinstance(value, (tuple, list))
        and value
        and all(hasattr(part, "shape") or isinstance(part, Mapping) for part in value)
    ):
        if all(np.ndim(part) == 0 for part in value if not isinstance(part, Mapping)):
            return arrays_of(np.asarray(value), name)
        return tuple(arrays_of(part, name) for part in value)
    array = as_table(value, name)
    text = array.dtype == object and all(isinstance(item, (str, bytes)) for item in array.flat)
    if array.ndim == 0 or (array.dtype.kind not in "biufcUS" and not text):
        received = f"{type(value)}" if array.ndim == 0 else f"{type(value)}, as an array of dtype {array.dtype}"
        raise ValueError(
            f"`{name}` must be an array with a row for each sample, or a nest of them. Received: {received}."
            f"{_way_to_an_array(value, array, name)}"
        )
    return array


def _way_to_an_array(value, array, name):
    """What to do with a value that is no array: one sentence, or none."""
    if hasattr(value, "element_spec"):
        return " A tf.data.Dataset is rebalanced by StreamSampler(dataset, batch_size=..., num_classes=...)."
    if hasattr(value, "toarray"):
        return f" A sparse matrix is drawn from as {name}.toarray()."
    if name == "sample_weight" and isinstance(value, (int, str)):
        return " Other arguments go by name, as batch_size=32."
    if array.ndim and hasattr(value, "columns"):
        return " Encode columns of text as numbers, or pass a dict of columns, each an input of its own."
    if array.ndim:
        dtype = "int64" if name == "y" else "float32"
        return f" Convert it, as by {name}.astype({dtype!r}), once missing values are dropped or filled."
    return ""


def spec_of(leaf: np.ndarray) -> tf.TensorSpec:
    """What a piece of several batches of rows of `leaf` looks like."""
    dtype = tf.string if leaf.dtype.kind in "OUS" else tf.as_dtype(leaf.dtype)
    return tf.TensorSpec((None, None, *leaf.shape[1:]), dtype)


def common_length(parts: dict) -> int:
    """The number of rows that all arrays have; raises where they differ or there are none."""
    lengths = {name: {len(leaf) for leaf in tf.nest.flatten(part)} for name, part in parts.items()}
    if len(set().union(*lengths.values())) != 1:
        received = ", ".join(f"{name} of {sorted(sizes)} rows" for name, sizes in lengths.items())
        hint = ""
        for name, part in parts.items():
            if isinstance(part, tuple) and any({len(part)} == lengths[other] for other in parts if other != name):
                hint = (
                    f" A list of {len(part)} arrays is {len(part)} inputs: numpy.stack({name}) makes one of its rows."
                )
        raise ValueError(f"`x`, `y` and `sample_weight` must have the same number of rows. Received: {received}.{hint}")
    rows = lengths["x"].pop()
    if rows == 0:
        raise ValueError("`x` and `y` must hold at least one row. Received none.")
    return rows


def check_weights(sample_weight: Any) -> None:
    """Raises unless every weight is a finite number that is not negative."""
    for leaf in tf.nest.flatten(sample_weight):
        if leaf.dtype.kind not in "biuf" or not np.isfinite(leaf).all() or (leaf < 0).any():
            raise ValueError(
                "`sample_weight` must hold finite weights that are not negative. Received others. A row with the weight 0 "
                "counts nowhere."
            )


def class_of_rows(x: Any, y: Any, classes: Any, rows: int, class_names: Sequence[str] | None) -> tuple[np.ndarray, Any]:
    """Class ids of all rows, and the classes' names where they have some."""
    num_classes = None if class_names is None else len(class_names)
    if classes is None:
        if not isinstance(y, np.ndarray):
            raise ValueError("`y` is a nest of arrays: pass the class to sample each row by as `classes`.")
        labels_first = isinstance(x, np.ndarray) and x.dtype.kind in "biu" and x.size == rows < y.size
        remedy = "Features come first, labels second." if labels_first else BY_CLASSES
        return class_ids(y, num_classes, "y", remedy), class_names
    classes = np.asarray(classes)
    if classes.ndim == 0 or len(classes) != rows:
        raise ValueError(
            f"`classes` must hold the class of each of {rows} rows. Received: shape {classes.shape}. "
            "The names of the classes are `class_names`."
        )
    if classes.dtype.kind not in "OUS":
        return class_ids(classes, num_classes, name="classes"), class_names
    found, ids = np.unique(classes.astype(str), return_inverse=True)
    names = found.tolist() if class_names is None else class_names
    unknown = sorted(set(found.tolist()) - set(names))
    if unknown:
        raise ValueError(f"`class_names` must hold every name in `classes`. Received: {names}, which lacks {unknown}.")
    return np.array([names.index(name) for name in found])[ids.reshape(-1)], names


def whole_number(value: Any, name: str, least: int = 1) -> int:
    """`value` as an int; raises unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}. Received: {name}={value!r}.")
    return int(value)
