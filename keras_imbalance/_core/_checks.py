"""Checks of arguments: one call each, which gives the value as it is used, or raises. Those of arrays are in `_check_arrays`.

Every error says, in this order, which argument it is about, what it must be, what was received (cut at about 300 characters)
and what to do. `invalid` puts these four together, so that a check that stands in one place only reads the same.
"""

import difflib
import math
import re
import reprlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

import numpy as np

MOST_SHOWN = 300  # characters of what was received
RESERVED = ("loss", "learning_rate")
ENDS_A_FIELD = ".[:!{}"  # what `str.format` does not read as part of a key

_short = reprlib.Repr()
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = _short.maxarray = 20
_short.maxstring = _short.maxother = _short.maxlong = MOST_SHOWN
_short.maxlevel = 4


def shown(value: Any) -> str:
    """`value` as an error shows it: never more than about 300 characters, whatever its size.

    Example:
    >>> len(shown(list(range(10**6)))) < 310, shown("f2")
    (True, "'f2'")
    """
    if isinstance(value, np.ndarray):
        text = np.array2string(value, threshold=20, edgeitems=5, separator=", ").replace("\n", "")
    else:
        text = _short.repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 4]} ..."


def shown_of_classes(argument: str, values: Any, wrong: Any = None) -> str:
    """What an error received as one value a class: where it cuts them, also how many there are and the first wrong ones.

    Args:
        argument: name of the argument.
        values: what was received.
        wrong: bool array `(C,)`, of the classes whose values are wrong; None where none can be told apart.

    Example:
    >>> shown_of_classes("class_counts", np.array([3, 0]))
    'class_counts=[3, 0]'
    >>> shown_of_classes("class_counts", np.array([9] * 4998 + [0, 0]), np.arange(5000) > 4997)
    'class_counts=[9, 9, 9, 9, 9, ..., 9, 9, 9, 0, 0] of 5000 classes, 0 for class 4998 and 1 more'
    """
    text = f"{argument}={shown(values)}"
    if not hasattr(values, "__len__") or len(values) <= _short.maxlist:
        return text
    ids = np.flatnonzero(False if wrong is None else wrong)
    first = f", {np.asarray(values)[ids[0]]!s} for class {ids[0]}" if ids.size else ""
    return f"{text} of {len(values)} classes{first}" + (f" and {ids.size - 1} more" if ids.size > 1 else "")


def nearest(name: Any, known: Iterable[Any]) -> str:
    """The sentence that offers the known name most like a wrong one, or nothing where no name is like it.

    Example:
    >>> nearest("blanced", ["natural", "balanced"])
    "Did you mean 'balanced'?"
    """
    if not isinstance(name, str):
        return ""
    close = difflib.get_close_matches(name, [k for k in known if isinstance(k, str)], n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


MISSING = object()


def invalid(
    argument: str, requirement: str, value: Any = MISSING, remedy: str = "", *, received: str | None = None
) -> ValueError:
    """The error of an argument: what it must be or do, what was received, what to do.

    Args:
        argument: name of the argument.
        requirement: what follows "must": "be a whole number of at least 1".
        value: what was received, shown as `argument=value`.
        remedy: one or more whole sentences. Defaults to no remedy.
        received: what was received, in words, in place of `value`; cut like it.

    Example:
    >>> print(invalid("k", "be positive", -1, "Pass k=5."))
    `k` must be positive. Received: k=-1. Pass k=5.
    """
    if received is None:
        received = "nothing" if value is MISSING else f"{argument}={shown(value)}"
    elif len(received) > MOST_SHOWN:
        received = f"{received[: MOST_SHOWN - 4]} ..."
    return ValueError(f"`{argument}` must {requirement}. Received: {received}.{' ' if remedy else ''}{remedy}")


def is_number(value: Any) -> bool:
    """Whether `value` is one real number; a bool is not, nor is an array."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_whole(
    value: Any,
    argument: str,
    least: int | None = None,
    *,
    most: int | None = None,
    optional: bool = False,
    remedy: str = "",
) -> Any:
    """`value` as int; raises unless it is a whole number in [least, most], or None where it is optional."""
    if optional and value is None:
        return None
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not _within(value, least, most, None, None):
        requirement = f"be {'None or ' if optional else ''}a whole number{_limits(least, most, None, None)}"
        raise invalid(argument, requirement, value, remedy)
    return int(value)


def check_number(
    value: Any,
    argument: str,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    optional: bool = False,
    remedy: str = "",
) -> Any:
    """`value` as float; raises unless it is a finite number in [least, most], beyond the open bounds `above` and `below`."""
    if optional and value is None:
        return None
    if not (is_number(value) and math.isfinite(value) and _within(value, least, most, above, below)):
        requirement = f"be {'None or ' if optional else ''}a finite number{_limits(least, most, above, below)}"
        raise invalid(argument, requirement, value, remedy)
    return float(value)


def _within(value, least, most, above, below):
    not_below = (least is None or value >= least) and (above is None or value > above)
    return not_below and (most is None or value <= most) and (below is None or value < below)


def _limits(least, most, above, below):
    """What an error says of bounds: " in [0, 1)", " of at least 1", or nothing where there are no bounds."""
    low = (f"[{least:g}", f"at least {least:g}") if least is not None else None
    low = (f"({above:g}", f"more than {above:g}") if above is not None else low
    high = (f"{most:g}]", f"at most {most:g}") if most is not None else None
    high = (f"{below:g})", f"less than {below:g}") if below is not None else high
    if low and high:
        return f" in {low[0]}, {high[0]}"
    return "".join(f" of {words}" for _, words in filter(None, (low, high)))


def check_flag(value: Any, argument: str, *, optional: bool = False) -> Any:
    """`value` as bool; raises unless it is True or False, or None where it is optional."""
    if not (isinstance(value, (bool, np.bool_)) or (optional and value is None)):
        raise invalid(argument, "be True, False or None" if optional else "be True or False", value)
    return None if value is None else bool(value)


def check_one_of(value: Any, argument: str, choices: Collection[Any], *, remedy: str = "") -> Any:
    """`value`; raises unless it is one of `choices`, and offers the nearest of them."""
    if not any(value is choice or (isinstance(value, type(choice)) and value == choice) for choice in choices):
        listed = ", ".join(map(repr, choices))
        raise invalid(argument, f"be one of {listed}", value, remedy or nearest(value, choices))
    return value


def check_callable(value: Any, argument: str, *, optional: bool = False, remedy: str = "") -> Any:
    """`value`; raises unless it can be called, or is None where it is optional."""
    if not (callable(value) or (optional and value is None)):
        raise invalid(argument, f"be {'None or ' if optional else ''}a function", value, remedy)
    return value


def check_names(class_names: Any, num_classes: int | None = None) -> list[str] | None:
    """`class_names` as text; raises unless there is one a class, all different and fit for a line of the logs."""
    if class_names is None:
        return None
    given = _listed(class_names)
    nested = any(isinstance(name, (list, tuple, dict, np.ndarray)) for name in given)
    names = [] if nested else [str(name) for name in given]
    if not names or len(set(names)) < len(names) or num_classes not in (None, len(names)):
        raise _not_names(class_names, num_classes)
    for name in given:
        _check_name(name)
    return names


def _not_names(given, num_classes):
    size = "" if num_classes is None else f"{num_classes} "
    remedy = "Pass [names[c] for c in range(num_classes)] of a mapping." if isinstance(given, Mapping) else ""
    requirement = f"be a list of {size}different names, one a class in the order of the class ids"
    names = [str(name) for name in _listed(given)]
    received = f"class_names={shown(given)}"
    if len(names) > _short.maxlist:
        twice = [name for name, found in Counter(names).items() if found > 1]
        received = f"{len(names)} names" + (f", {len(twice)} of them more than once: {shown(twice)}" if twice else "")
    return invalid("class_names", requirement, received=received, remedy=remedy)


def _check_name(name):
    if isinstance(name, bytes):
        raise invalid("class_names", "be text", received=shown(name), remedy="Decode it: name.decode().")
    _check_text(str(name), "class_names")


def log_names(class_names: Iterable[str] | None) -> list[str] | None:
    """Class names as the keys of logs hold them; None for None.

    In a key a `.`, `[` or `:` ends the name for `str.format`, which ModelCheckpoint calls, a `/` begins another one, and
    experiment loggers such as mlflow refuse most signs. Letters of any alphabet, digits, blanks, "-" and "_" stay; every other
    sign becomes "_". A letter and its accent become one sign (NFC) first. Where two names become one, the position of the class
    follows.

    Example:
    >>> log_names(["ok", "St. Bernard", "a/b", "a:b"])
    ['ok', 'St_ Bernard', 'a_b_2', 'a_b_3']
    """
    if class_names is None:
        return None
    names = [re.sub(r"[^\w \-]", "_", unicodedata.normalize("NFC", name)) for name in class_names]
    while len(set(names)) < len(names):
        found = Counter(names)
        names = [f"{name}_{i}" if found[name] > 1 else name for i, name in enumerate(names)]
    return names


def _listed(values):
    """The elements of an ordered collection; empty for a set, which has no order, a mapping and text."""
    unordered = isinstance(values, (Mapping, Set, str, bytes)) or not isinstance(values, Iterable)
    return [] if unordered or getattr(values, "shape", None) == () else list(values)


def check_key(name: Any, argument: str = "name") -> str:
    """A name that log keys start with; raises for one that takes another key's place or breaks a format string.

    Example:
    >>> check_key("left/"), check_key("f1_0-5")
    ('left/', 'f1_0-5')
    """
    if not isinstance(name, str):
        raise invalid(argument, "be text", name)
    text = str(name)
    _check_text(text, argument)
    if text in RESERVED or text.startswith("val_"):
        known = " or ".join(map(repr, RESERVED))
        raise invalid(argument, f"not be {known}, nor start with 'val_': these keys of the logs are Keras's own", name)
    if set(text) & set(ENDS_A_FIELD):
        remedy = f"Pass {argument}={re.sub('[' + re.escape(ENDS_A_FIELD) + ']', '_', text)!r}."
        raise invalid(
            argument,
            f"hold none of {' '.join(ENDS_A_FIELD)}, which a file name of ModelCheckpoint cannot",
            name,
            remedy,
        )
    return text


def check_key_text(key: Any, argument: str) -> str:
    """A key of the logs, Keras's own included; raises for what cannot be one."""
    if not isinstance(key, str):
        raise invalid(argument, "be text, a key of the logs", key)
    _check_text(key, argument)
    return str(key)


def _check_text(text, argument):
    if not text.isprintable() or text != text.strip() or not text:
        requirement = (
            "be printable text without blanks at its ends: it becomes a key of the logs, a column of CSVLogger and a line of "
            "the progress bar"
        )
        raise invalid(argument, requirement, received=shown(text))


def check_ignored(ignore_class: Any) -> int | None:
    """A whole number or None."""
    return check_whole(ignore_class, "ignore_class", optional=True)


def check_zero_division(zero_division: Any) -> float:
    """0, 1 or NaN."""
    is_one = np.ndim(zero_division) == 0 and np.asarray(zero_division).dtype.kind in "iuf"
    if not is_one or not (np.isnan(zero_division) or zero_division in (0, 1)):
        raise invalid("zero_division", "be 0, 1 or NaN", zero_division)
    return float(zero_division)
