"""What the saved state of a callback may hold: the names that it declares, and which values each of them may have.

A callback declares its state as a mapping from names to `Kind`s. Nothing else is ever taken from a file.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_imbalance._core import is_number, shown


@dataclass(frozen=True)
class Kind:
    """The values that a name of a saved state may have.

    Attributes:
        description: what follows "must be": "a whole number of at least 0".
        fits: whether a JSON value is one of them.
    """

    description: str
    fits: Callable[[Any], bool]


FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("text", lambda value: isinstance(value, str))
# Keras takes the first value of a metric for the best, NaN too, and tf-keras begins with infinity.
SCORE = Kind("a number", is_number)


def whole(least: int = 0) -> Kind:
    """Whole numbers of at least `least`."""
    return Kind(f"a whole number of at least {least}", lambda v: isinstance(v, int) and is_number(v) and v >= least)


def number(least: float = -math.inf) -> Kind:
    """Finite numbers of at least `least`."""
    limits = "" if least == -math.inf else f" of at least {least:g}"
    return Kind(f"a finite number{limits}", lambda v: is_number(v) and math.isfinite(v) and v >= least)


def optional(kind: Kind) -> Kind:
    """Null, or one of `kind`."""
    return Kind(f"null or {kind.description}", lambda value: value is None or kind.fits(value))


def list_of(kind: Kind) -> Kind:
    """Lists of `kind`, of any length."""
    return Kind(f"a list, each {kind.description}", lambda v: isinstance(v, list) and all(map(kind.fits, v)))


def _is_plain(value):
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (bool, str)) or (is_number(value) and math.isfinite(value))


PLAIN = Kind("plain data with finite numbers", _is_plain)


def mismatch(state: Any, schema: Mapping[str, Kind]) -> str | None:
    """What is wrong with a saved state, in words; None where it has the names and values of `schema`.

    Example:
    >>> mismatch({"wait": 2}, {"wait": whole()})
    >>> mismatch({"wait": -3}, {"wait": whole()})
    "'wait': -3, which must be a whole number of at least 0"
    """
    if not isinstance(state, Mapping) or set(state) != set(schema):
        names = sorted(state) if isinstance(state, Mapping) else state
        return f"the names {shown(names)}, where {sorted(schema)} are declared"
    for name, kind in schema.items():
        if not kind.fits(state[name]):
            return f"{name!r}: {shown(state[name])}, which must be {kind.description}"
    return None
