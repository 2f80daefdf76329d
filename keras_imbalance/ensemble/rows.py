"""Which rows each member of an ensemble is trained on, and their batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback
from keras_imbalance.backend.models import PyDataset, floatx, tree

SAMPLING = ("undersample", "bootstrap")


def deal(rows: np.ndarray, hands: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Deals rows out like cards: shuffled, `size` to each hand, shuffled anew when none is left.

    Args:
        rows: different row numbers, at least `size`.
        hands: how many hands to deal.
        size: rows a hand.
        rng: source of the shuffles.

    Returns:
        `(hands, size)`. No hand holds a row twice, and of any two rows neither is dealt more than once oftener than the other.

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


def member_rows(classes: Any, num_members: int, sampling: str = "undersample", seed: int = 0) -> np.ndarray:
    """The rows of each member: as many of every class as the smallest class has.

    Args:
        classes: class id of every row `(N,)`; ids that no row has are left out.
        num_members: how many members, M.
        sampling: "undersample" deals the rows of a class out, so that a member has none twice and the members together have
            used all before one has been used twice; "bootstrap" draws them with replacement, for each member by itself.
        seed: whole number; the same seed gives the same rows.

    Returns:
        int64 `(M, K * n)`, ascending in each member, for K classes of which the smallest has n rows. Each member holds all rows
        of the smallest class.

    Example:
    >>> member_rows([0, 0, 0, 0, 1, 1], num_members=2).tolist()
    [[0, 2, 4, 5], [1, 3, 4, 5]]
    """
    classes = np.asarray(classes)
    members = [np.flatnonzero(classes == i) for i in np.unique(classes)]
    size = min(map(len, members))
    hands = []
    for number, rows in enumerate(members):
        rng = np.random.default_rng([seed, number])
        if sampling == "undersample" or len(rows) == size:
            hands.append(deal(rows, num_members, size, rng))
        else:
            hands.append(rows[rng.integers(len(rows), size=(num_members, size))])
    return np.sort(np.concatenate(hands, axis=1), axis=1)


def epoch_order(rows: np.ndarray, seed: int, member: int, epoch: int) -> np.ndarray:
    """The rows of a member in the order in which an epoch takes them."""
    return np.random.default_rng([seed, member, epoch]).permutation(rows)


class Batches(PyDataset):
    """Batches of rows of arrays, in an order that may be set anew between epochs.

    Args:
        arrays: `(x, y)` or `(x, y, sample_weight)`, nests of arrays of N rows.
        order: row numbers `(K,)`, or `(K, M)` for M members side by side, whose batches have the shape `(B, M, ...)`.
        batch_size: rows a batch.
    """

    def __init__(self, arrays: tuple, order: np.ndarray, batch_size: int):
        super().__init__()
        self.arrays, self.order, self.batch_size = arrays, order, batch_size

    def __len__(self):
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return tree.map_structure(lambda leaf: _as_fit_takes_it(leaf.take(rows, axis=0)), self.arrays)


class OrderOfEpoch(Callback):
    """Gives `batches` the order of each epoch as it begins; the order depends on nothing but the seed, member and epoch."""

    def __init__(self, batches: Batches, rows: np.ndarray, members: range, seed: int):
        super().__init__()
        self.batches, self.rows, self.members, self.seed = batches, rows, members, seed

    def on_epoch_begin(self, epoch, logs=None):
        orders = [epoch_order(rows, self.seed, m, epoch) for m, rows in zip(self.members, self.rows, strict=True)]
        self.batches.order = orders[0] if self.batches.order.ndim == 1 else np.stack(orders, axis=1)


def arrays_of(value: Any, name: str) -> Any:
    """A nest of NumPy arrays: a list or tuple of arrays is several arrays, any other list is one."""
    if isinstance(value, Mapping) and value:
        return {key: arrays_of(part, name) for key, part in value.items()}
    if isinstance(value, (tuple, list)) and value and all(np.ndim(part) and hasattr(part, "shape") for part in value):
        return tuple(arrays_of(part, name) for part in value)
    if not hasattr(value, "element_spec") and not isinstance(value, PyDataset):
        array = np.asarray(value)
        if array.ndim and (array.dtype != object or all(isinstance(item, (str, bytes)) for item in array.flat)):
            return array
    raise ValueError(
        f"`{name}` must be an array with a row for each sample, or a nest of them: a member takes the rows that are its own. "
        f"Received: {type(value)}."
    )


def data_of(x: Any, y: Any, sample_weight: Any, prefix: str = "") -> tuple:
    """`(x, y)` or `(x, y, sample_weight)` as nests of arrays; raises unless they have the same number of rows."""
    parts = {"x": x, "y": y} if sample_weight is None else {"x": x, "y": y, "sample_weight": sample_weight}
    arrays = {name: arrays_of(value, prefix + name) for name, value in parts.items()}
    lengths = {name: sorted({len(leaf) for leaf in tree.flatten(part)}) for name, part in arrays.items()}
    found = {length for part in lengths.values() for length in part}
    if len(found) != 1 or found == {0}:
        received = ", ".join(f"{prefix}{name} of {sizes} rows" for name, sizes in lengths.items())
        raise ValueError(
            f"`x`, `y` and `sample_weight` must have the same number of rows, at least one. Received: {received}."
        )
    return tuple(arrays.values())


def num_rows(arrays: Any) -> int:
    """The number of rows of a nest of arrays."""
    return len(tree.flatten(arrays)[0])


def take(arrays: Any, rows: np.ndarray) -> Any:
    """The rows of a nest of arrays, as `Batches` gives them."""
    return tree.map_structure(lambda leaf: _as_fit_takes_it(leaf.take(rows, axis=0)), arrays)


def _as_fit_takes_it(array):
    return array.astype(floatx()) if array.dtype.kind == "f" else array
