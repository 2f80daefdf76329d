"""Which rows each member of an ensemble is trained on."""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_number, check_one_of, check_whole, class_ids, invalid
from keras_imbalance._keras import tree

Sampling = Literal["undersample", "bootstrap"]
SAMPLING = get_args(Sampling)


def deal(rows: np.ndarray, hands: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Deals rows out like cards: shuffled, `size` to each hand, shuffled anew when the deck is empty.

    Args:
        rows: different rows, at least `size`.
        hands: how many hands to deal.
        size: rows a hand.
        rng: source of the shuffles.

    Returns:
        int64 `(hands, size)`. No hand holds a row twice, and no row is dealt more than once oftener than another.

    Example:
    >>> np.sort(deal(np.arange(6), 3, 2, np.random.default_rng(0)), axis=None)
    array([0, 1, 2, 3, 4, 5])
    """
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
    return dealt


def member_rows(
    classes: npt.ArrayLike,
    *,
    num_members: int = 10,
    sampling: Sampling = "undersample",
    seed: int = 0,
    ratio: float = 1.0,
) -> np.ndarray:
    """The rows of each member: of every class `ratio` times as many as the smallest class has, or all that there are.

    Args:
        classes: class id of every row `(N,)`; ids that no row has are left out.
        num_members: how many members, M. Defaults to 10.
        sampling: "undersample" deals the rows of a class out, so that a member has none twice and the members together have
            used all before one has been used twice; "bootstrap" draws them with replacement, for each member by itself.
            Defaults to "undersample".
        seed: whole number, not negative; the same seed gives the same rows. Defaults to 0.
        ratio: rows of a class for each row of the smallest class, at least 1. Defaults to 1.

    Returns:
        int64 `(M, K)`, ascending in each member. Each member holds all rows of the smallest class, and of any other class that
        is as small.

    Raises:
        ValueError: for labels that are not class ids, no rows, and other arguments than these.

    Example:
    >>> member_rows([0, 0, 0, 0, 1, 1], num_members=2).tolist()
    [[0, 2, 4, 5], [1, 3, 4, 5]]
    >>> member_rows([0, 0, 0, 0, 1], num_members=2, ratio=3).tolist()
    [[0, 1, 2, 4], [1, 2, 3, 4]]
    """
    ids = class_ids(classes, name="classes")
    num_members = check_whole(num_members, "num_members", 1)
    check_one_of(sampling, "sampling", SAMPLING)
    seed = check_whole(seed, "seed", 0)
    if not ids.size:
        raise invalid("classes", "hold at least one row")
    members = [np.flatnonzero(ids == i) for i in np.unique(ids)]
    most = round(check_number(ratio, "ratio", 1) * min(map(len, members)))
    hands = []
    for position, rows in enumerate(members):
        rng = np.random.default_rng([seed, position])
        size = min(most, len(rows))
        if sampling == "undersample" or len(rows) == size:
            hands.append(deal(rows, num_members, size, rng))
        else:
            hands.append(rows[rng.integers(len(rows), size=(num_members, size))])
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
