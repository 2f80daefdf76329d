"""Which rows each member of an ensemble is trained on."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_number,
    check_one_of,
    check_whole,
    class_ids,
    invalid,
    rows_by_class,
    target_distribution,
)
from keras_imbalance._keras import tree
from keras_imbalance.estimators.checks import check_ids_are_few

Sampling = Literal["undersample", "bootstrap"]
SAMPLING = get_args(Sampling)


def deal(rows: np.ndarray, hands: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Deals rows out like cards: shuffled, `size` to each hand, shuffled anew when the deck is empty.

    Args:
        rows: different rows.
        hands: how many hands to deal.
        size: rows a hand; where they are more than there are, each hand holds every row, and is dealt what is missing.
        rng: source of the shuffles.

    Returns:
        int64 `(hands, size)`. No row comes more than once oftener than another, neither in a hand nor in all of them.

    Example:
    >>> np.sort(deal(np.arange(6), 3, 2, np.random.default_rng(0)), axis=None)
    array([0, 1, 2, 3, 4, 5])
    """
    whole, size = divmod(size, len(rows))
    dealt = np.empty((hands, size), dtype=np.int64)
    deck = rng.permutation(rows)
    for hand in dealt:
        last, deck = deck[:size], deck[size:]
        missing = size - len(last)
        hand[: len(last)] = last
        if missing:
            # The hand takes what is missing from the next deck, of which it must not take again the rows it holds.
            others = rng.permutation(np.setdiff1d(rows, last))
            hand[len(last) :] = others[:missing]
            deck = rng.permutation(np.concatenate([others[missing:], last]))
    return np.concatenate([np.tile(rows, (hands, whole)), dealt], axis=1)


def rows_of_classes(
    class_counts: np.ndarray,
    target: Any = "balanced",
    *,
    ratio: float = 1.0,
    max_repeats: float | None = 1.0,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """How many rows of every class a member holds, int64 `(C,)`.

    The class that the target's shares use up first, the rarest of a balanced target, is asked for `ratio` times its rows, the
    others for what follows from the shares; no class gives more than `max_repeats` times its rows.

    Args:
        class_counts: rows of every class `(C,)`; a class without rows gives none.
        target: the class shares of a member's rows, as in `target_distribution`; of every class that has rows positive.
        ratio: at least 1.
        max_repeats: more than 0, or None, no limit; below 1 it is the part of the rows that the first class gives.
        class_names: names that a mapping may use.

    Raises:
        ValueError: for other arguments than these.

    Example:
    >>> counts = np.array([900, 90, 10])
    >>> rows_of_classes(counts), rows_of_classes(counts, 0.75), rows_of_classes(counts, ratio=20)
    (array([10, 10, 10]), array([292,  52,  10]), array([200,  90,  10]))
    >>> rows_of_classes(counts, ratio=20, max_repeats=3)
    array([200, 200,  30])
    """
    shares = target_distribution(class_counts, target, class_names=class_names)
    ratio = check_number(ratio, "ratio", 1)
    limit = check_number(max_repeats, "max_repeats", above=0, optional=True)
    present = np.flatnonzero(class_counts)
    if not shares[present].all():
        left_out = ", ".join(str(i) for i in present if not shares[i])
        remedy = "Leave its rows out, and build members of fewer classes."
        raise invalid(
            "target", "give every class that has rows a share", received=f"none for class {left_out}", remedy=remedy
        )
    first = present[(class_counts[present] / shares[present]).argmin()]
    wanted = ratio * (1.0 if limit is None else min(limit, 1.0)) * class_counts[first] * (shares / shares[first])
    most = np.inf if limit is None else np.maximum(np.round(limit * class_counts), 1)
    return np.where(class_counts > 0, np.clip(np.round(wanted), 1, most), 0).astype(np.int64)


def member_rows(
    classes: npt.ArrayLike,
    *,
    num_members: int = 10,
    target: npt.ArrayLike | Mapping | str | float = "balanced",
    ratio: float = 1.0,
    max_repeats: float | None = 1.0,
    sampling: Sampling = "undersample",
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The rows of each member: in the shares of `target` as many as there are, none twice, or `ratio` times as many.

    Args:
        classes: class id of every row `(N,)`; ids that no row has are left out.
        num_members: how many members, M. Defaults to 10.
        target: the class shares of a member's rows: "balanced", "natural", "sqrt", a number q, a mapping or shares `(C,)`, as
            in `target_distribution`. Defaults to "balanced".
        ratio: how many times as many rows, at least 1; of a class that has no more, all that there are. Where the target is
            balanced these are rows of a class for each row of the smallest. Defaults to 1.
        max_repeats: how often a member may hold a row, on average over its class, more than 0; None is no limit. Below 1 every
            class leaves rows out, for out-of-bag scores. Defaults to 1.
        sampling: "undersample" deals the rows of a class out, so that no row comes more than once oftener than another, in a
            member and in all of them; "bootstrap" draws them with replacement, for each member by itself. Defaults to
            "undersample".
        class_names: names that a mapping may use. Defaults to None.
        seed: whole number, not negative; the same seed gives the same rows. Defaults to 0.

    Returns:
        int64 `(M, K)`, ascending in each member.

    Raises:
        ValueError: for labels that are not class ids, no rows, and other arguments than these.

    Example:
    >>> member_rows([0, 0, 0, 0, 1, 1], num_members=2).tolist()
    [[0, 2, 4, 5], [1, 3, 4, 5]]
    >>> member_rows([0, 0, 0, 0, 1], num_members=2, ratio=3).tolist()
    [[0, 1, 2, 4], [1, 2, 3, 4]]

    References: Liu, Wu and Zhou, Exploratory undersampling for class-imbalance learning, 2009; "bootstrap": Chen, Liaw and
    Breiman, Using random forest to learn imbalanced data, 2004.
    """
    ids = class_ids(classes, name="classes")
    num_members = check_whole(num_members, "num_members", 1)
    check_one_of(sampling, "sampling", SAMPLING)
    seed = check_whole(seed, "seed", 0)
    if not ids.size:
        raise invalid("classes", "hold at least one row")
    check_ids_are_few(ids, "classes")
    counts = np.bincount(ids)
    sizes = rows_of_classes(counts, target, ratio=ratio, max_repeats=max_repeats, class_names=class_names)
    hands, of_class = [], rows_by_class(ids)
    for position, i in enumerate(np.flatnonzero(counts)):
        rows, rng = of_class[i], np.random.default_rng([seed, position])
        if sampling == "undersample":
            hands.append(deal(rows, num_members, sizes[i], rng))
        else:
            hands.append(rows[rng.integers(len(rows), size=(num_members, sizes[i]))])
    return np.sort(np.concatenate(hands, axis=1), axis=1)


def class_shares(classes: np.ndarray, rows: np.ndarray, sample_weight: Any = None) -> np.ndarray:
    """Share of each class in what a member is trained on, every row by its weight, float64 `(C,)`: the mean over the members.

    Args:
        classes: class id of every row `(N,)`.
        rows: the rows of each member `(M, K)`.
        sample_weight: None, or weights `(N, ...)` or a nest of them.

    Raises:
        ValueError: where all rows of a class have the weight 0.

    Example:
    >>> classes = np.array([0, 0, 0, 0, 1])
    >>> class_shares(classes, member_rows(classes, num_members=2, ratio=3))
    array([0.75, 0.25])
    """
    weights = np.zeros(len(classes))
    for leaf in [np.ones(len(classes))] if sample_weight is None else tree.flatten(sample_weight):
        weights += np.asarray(leaf, dtype=np.float64).reshape(len(classes), -1).sum(axis=1)
    drawn = np.array([np.bincount(classes[own], weights[own], int(classes.max()) + 1) for own in rows])
    shares = (drawn / np.maximum(drawn.sum(axis=1, keepdims=True), np.finfo(float).tiny)).mean(axis=0)
    uncounted = ", ".join(str(i) for i in np.unique(classes) if shares[i] == 0)
    if uncounted:
        raise invalid("sample_weight", "let rows of every class count", received=f"0 for all of class {uncounted}")
    return shares
