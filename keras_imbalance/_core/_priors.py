"""Class shares, and the one function that moves logits from one prior to another. Losses, layers and decisions call it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance._core._check_arrays import check_table
from keras_imbalance._core._checks import MISSING, invalid, nearest, shown_of_classes

CLOSE = 1e-3  # shares that a few rows more or less change
POSITIVE = "Give a class that was not seen a small share: a probability of 0 can never be corrected."


def check_shares(
    shares: Any, argument: str, *, num_classes: int | None = None, class_names: Sequence[str] | None = None
) -> np.ndarray:
    """Class shares as float64 `(C,)` that sum to 1.

    A bare number is refused: it could be the share of class 1, or the exponent q of a target.

    Args:
        shares: "balanced", or one positive share a class, rescaled to sum 1, so that counts will do: an array `(C,)`, a
            mapping or a pandas Series from class id or name to share.
        argument: what an error calls it.
        num_classes: C, where it is known. "balanced" needs it.
        class_names: names that a mapping may use. They say how many classes there are, too.

    Raises:
        ValueError: for a number, another word, unknown or missing classes, and shares that are not positive and finite.

    Example:
    >>> check_shares("balanced", "true_prior", num_classes=4)
    array([0.25, 0.25, 0.25, 0.25])
    >>> check_shares({"ok": 98, "fraud": 2}, "true_prior", class_names=["ok", "fraud"])
    array([0.98, 0.02])
    """
    if num_classes is None and class_names is not None:
        num_classes = len(class_names)
    if isinstance(shares, str):
        return _balanced(shares, argument, num_classes)
    if hasattr(shares, "to_dict"):
        shares = shares.to_dict()  # of a pandas Series the index says which class a share is of
    if isinstance(shares, Mapping):
        shares = _in_order(shares, argument, num_classes, class_names)
    return _several(shares, argument, num_classes)


def log_ratio(
    train_prior: Any, true_prior: Any, num_classes: int | None = None, *, class_names: Sequence[str] | None = None
) -> np.ndarray:
    """log(true / train) of each class: what moves logits that speak for one prior to another.

    Args:
        train_prior: the shares that the logits speak for, as in `check_shares`.
        true_prior: the shares that they are to speak for.
        num_classes: C, where it is known. Defaults to the number of shares given.
        class_names: names that mappings may use.

    Returns:
        float64 array `(C,)`, to be added to the logits. Ratios add up: from a to b and from b to c is from a to c.

    Raises:
        ValueError: as `check_shares`.

    Example:
    >>> log_ratio([0.5, 0.5], [0.99, 0.01]).round(3)
    array([ 0.683, -3.912])

    Reference: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002.
    """
    if num_classes is None and isinstance(train_prior, str) and not isinstance(true_prior, str):
        num_classes = len(check_shares(true_prior, "true_prior", class_names=class_names))
    train = check_shares(train_prior, "train_prior", num_classes=num_classes, class_names=class_names)
    true = check_shares(true_prior, "true_prior", num_classes=len(train), class_names=class_names)
    return np.log(true) - np.log(train)


def same_shares(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether two arrays of class shares are the same but for a few rows: to 0.001 each, and 0.1 in all.

    Of thousands of classes hardly any has a share above 0.001, so that each alone would tell nothing.

    Example:
    >>> same_shares(np.array([0.9, 0.1]), np.array([0.9005, 0.0995]))
    True
    >>> same_shares(np.full(2000, 0.0005), np.repeat([0.0009, 0.0001], 1000))
    False
    """
    if np.shape(some) != np.shape(others):
        return False
    apart = np.abs(np.subtract(some, others, dtype=np.float64))
    return bool(apart.max() <= CLOSE and apart.sum() <= 100 * CLOSE)


def _several(shares, argument, num_classes):
    table = check_table(shares, argument)
    if table.ndim == 0:
        raise invalid(
            argument,
            "be 'balanced' or one share a class",
            shares,
            "A number p as the share of class 1 is written [1 - p, p]; an exponent q target_distribution(class_counts, q).",
        )
    known = num_classes in (None, len(table))
    if table.dtype.kind not in "iuf" or table.ndim != 1 or len(table) < 2 or not known:
        size = "one positive share a class" if num_classes is None else f"{num_classes} positive shares, one a class"
        raise invalid(argument, f"be 'balanced' or hold {size}", received=shown_of_classes(argument, shares))
    values = table.astype(np.float64)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        received = shown_of_classes(argument, shares, wrong)
        raise invalid(argument, "hold positive, finite shares", received=received, remedy=POSITIVE)
    return values / values.sum()


def _balanced(word, argument, num_classes):
    if word != "balanced":
        raise invalid(
            argument,
            "be 'balanced' or one share a class",
            word,
            nearest(word, ["balanced"]) or f"{argument}=class_prior(class_counts) stands for the shares of the data.",
        )
    if num_classes is None:
        raise invalid(argument, "hold shares where the number of classes is not known", word, "Pass [1 / C] * C.")
    return np.full(num_classes, 1 / num_classes)


def _in_order(shares, argument, num_classes, class_names):
    """The values of a mapping in the order of the class ids."""
    num_classes = len(shares) if num_classes is None else num_classes
    ordered: list[Any] = [MISSING] * num_classes
    for i, share in zip(ids_of_keys(shares, argument, num_classes, class_names), shares.values(), strict=True):
        ordered[i] = share
    missing = [i if class_names is None else class_names[i] for i, share in enumerate(ordered) if share is MISSING]
    if missing:
        raise invalid(argument, f"give every class a share; those of {missing[:10]} are missing", shares)
    return ordered


def ids_of_keys(
    mapping: Mapping, argument: str, num_classes: int, class_names: Sequence[str] | None = None
) -> list[int]:
    """The classes that the keys of a mapping stand for, ids or ones of `class_names`; raises for any other key."""
    names = {name: i for i, name in enumerate(class_names or ())}
    found = []
    for key in mapping:
        index = names.get(key, key)
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < num_classes:
            known = f"one of {list(names)[:10]}" if names else f"a class id from 0 to {num_classes - 1}"
            raise invalid(
                argument, f"have {known} as each key", received=f"the key {key!r}", remedy=nearest(key, names)
            )
        found.append(int(index))
    return found
