"""Nests of arrays, tuples and dicts of them: the same walk on every Keras, without TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np


def leaves(nest: Any) -> list[np.ndarray]:
    """All arrays of a nest; those of a dict in the order of its sorted keys."""
    if isinstance(nest, dict):
        return [leaf for key in sorted(nest) for leaf in leaves(nest[key])]
    return [leaf for part in nest for leaf in leaves(part)] if isinstance(nest, tuple) else [nest]


def leaf_names(nest: Any, name: str) -> list[str]:
    """What an error calls each of the `leaves` of a nest.

    Example:
    >>> leaf_names({"b": (np.zeros(3), np.zeros(3)), "a": np.zeros(3)}, "x")
    ["x['a']", "x['b'][0]", "x['b'][1]"]
    """
    if isinstance(nest, dict):
        return [leaf for key in sorted(nest) for leaf in leaf_names(nest[key], f"{name}[{key!r}]")]
    if isinstance(nest, tuple):
        return [leaf for i, part in enumerate(nest) for leaf in leaf_names(part, f"{name}[{i}]")]
    return [name]


def mapped(function: Callable[[np.ndarray], Any], nest: Any) -> Any:
    """A nest of the same form, each array replaced by what `function` gives for it.

    Example:
    >>> mapped(len, (np.zeros(3), {"a": np.zeros(2)}))
    (3, {'a': 2})
    """
    if isinstance(nest, dict):
        return {key: mapped(function, part) for key, part in nest.items()}
    return tuple(mapped(function, part) for part in nest) if isinstance(nest, tuple) else function(nest)
