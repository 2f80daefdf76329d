"""Which rows each member of an ensemble is trained on, and their batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback
from keras_imbalance.backend.models import PyDataset, floatx, tree
from keras_imbalance.decisions.checks import check_weight_values

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


def member_rows(
    classes: Any, num_members: int, sampling: str = "undersample", seed: int = 0, ratio: float = 1.0
) -> np.ndarray:
    """The rows of each member: of every class `ratio` times as many as the smallest class has, or all that there are.

    Args:
        classes: class id of every row `(N,)`; ids that no row has are left out.
        num_members: how many members, M.
        sampling: "undersample" deals the rows of a class out, so that a member has none twice and the members together have
            used all before one has been used twice; "bootstrap" draws them with replacement, for each member by itself.
        seed: whole number; the same seed gives the same rows.
        ratio: rows of a class for each row of the smallest class, at least 1. Defaults to 1.

    Returns:
        int64 `(M, K)`, ascending in each member. Each member holds all rows of the smallest class, and of any other that has
        no more than its number.

    Example:
    >>> member_rows([0, 0, 0, 0, 1, 1], num_members=2).tolist()
    [[0, 2, 4, 5], [1, 3, 4, 5]]
    >>> member_rows([0, 0, 0, 0, 1], num_members=2, ratio=3).tolist()
    [[0, 1, 2, 4], [1, 2, 3, 4]]
    """
    classes = np.asarray(classes)
    members = [np.flatnonzero(classes == i) for i in np.unique(classes)]
    most = round(ratio * min(map(len, members)))
    hands = []
    for number, rows in enumerate(members):
        rng = np.random.default_rng([seed, number])
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

    Example:
    >>> classes = np.array([0, 0, 0, 0, 1])
    >>> class_shares(classes, member_rows(classes, num_members=2, ratio=3))
    array([0.75, 0.25])
    """
    weights = np.zeros(len(classes))
    for leaf in [np.ones(len(classes))] if sample_weight is None else tree.flatten(sample_weight):
        weights += np.asarray(leaf, dtype=np.float64).reshape(len(classes), -1).sum(axis=1)
    drawn = np.array([np.bincount(classes[own], weights[own], int(classes.max()) + 1) for own in rows])
    return (drawn / np.maximum(drawn.sum(axis=1, keepdims=True), np.finfo(float).tiny)).mean(axis=0)


def epoch_order(rows: np.ndarray, seed: int, member: int, epoch: int) -> np.ndarray:
    """The rows of a member in the order in which an epoch takes them."""
    return np.random.default_rng([seed, member, epoch]).permutation(rows)


class Batches(PyDataset):
    """Batches of the rows of one member, or of several side by side, each in an order of its own, anew in every epoch.

    The order depends on nothing but the seed, the member and the epoch. A fit goes through one iteration over all epochs, which
    costs a quarter of one for each where batches are few; where a step takes several batches, it must not reach into the next
    epoch, and each epoch is an iteration.

    Args:
        arrays: `(x, y)` or `(x, y, sample_weight)`, nests of arrays of N rows.
        rows: row numbers of each member `(M, K)`.
        members: the members' numbers.
        batch_size: rows a batch.
        epochs: how many epochs one iteration holds; None for the one that `FirstEpoch` names.
        seed: the ensemble's.
        side_by_side: whether batches have the shape `(B, M, ...)`, not `(B, ...)`.
    """

    def __init__(
        self,
        arrays: tuple,
        rows: np.ndarray,
        members: range,
        batch_size: int,
        epochs: int | None,
        seed: int,
        side_by_side: bool = False,
    ):
        super().__init__()
        self.arrays, self.rows, self.members, self.batch_size = arrays, rows, members, batch_size
        self.epochs, self.seed, self.side_by_side = epochs, seed, side_by_side
        self.steps = -(-rows.shape[1] // batch_size)
        self.first_epoch = 0
        self._latest: tuple[int, Any] = (-1, None)

    def __len__(self):
        return self.steps * (self.epochs or 1)

    def __getitem__(self, index):
        epoch, step = divmod(index, self.steps)
        rows = self._order(self.first_epoch + epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        return take(self.arrays, rows)

    def _order(self, epoch):
        if self._latest[0] != epoch:
            orders = [epoch_order(rows, self.seed, m, epoch) for m, rows in zip(self.members, self.rows, strict=True)]
            self._latest = epoch, np.stack(orders, axis=1) if self.side_by_side else orders[0]
        return self._latest[1]


class SameForAll(PyDataset):
    """All rows in their order, `(B, M, ...)`: the same to each of M members."""

    def __init__(self, arrays: tuple, num_members: int, batch_size: int):
        super().__init__()
        self.arrays, self.num_members, self.batch_size = arrays, num_members, batch_size

    def __len__(self):
        return -(-num_rows(self.arrays) // self.batch_size)

    def __getitem__(self, index):
        rows = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, num_rows(self.arrays)))
        return take(self.arrays, np.repeat(rows[:, None], self.num_members, axis=1))


class FirstEpoch(Callback):
    """Tells `batches` which epoch an iteration begins with."""

    def __init__(self, batches: Batches):
        super().__init__()
        self.batches, self.begun = batches, False

    def on_epoch_begin(self, epoch, logs=None):
        if self.batches.epochs is None or not self.begun:
            self.batches.first_epoch = epoch
        self.begun = True


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
    remedy = " Of weights a class take that of each row's class." if name.endswith("sample_weight") else ""
    raise ValueError(
        f"`{name}` must be an array with a row for each sample, or a nest of them: a member takes the rows that are its own. "
        f"Received: {type(value)}.{remedy}"
    )


def data_of(x: Any, y: Any, sample_weight: Any, prefix: str = "") -> tuple:
    """`(x, y)` or `(x, y, sample_weight)` as nests of arrays.

    Raises:
        ValueError: unless they have the same number of rows, and weights are finite and not negative.
    """
    parts = {"x": x, "y": y} if sample_weight is None else {"x": x, "y": y, "sample_weight": sample_weight}
    arrays = {name: arrays_of(value, prefix + name) for name, value in parts.items()}
    lengths = {name: sorted({len(leaf) for leaf in tree.flatten(part)}) for name, part in arrays.items()}
    found = {length for part in lengths.values() for length in part}
    if len(found) != 1 or found == {0}:
        received = ", ".join(f"{prefix}{name} of {sizes} rows" for name, sizes in lengths.items())
        raise ValueError(
            f"`x`, `y` and `sample_weight` must have the same number of rows, at least one. Received: {received}."
        )
    for leaf in tree.flatten(arrays.get("sample_weight", ())):
        check_weight_values(leaf, prefix + "sample_weight")
    return tuple(arrays.values())


def num_rows(arrays: Any) -> int:
    """The number of rows of a nest of arrays."""
    return len(tree.flatten(arrays)[0])


def take(arrays: Any, rows: np.ndarray) -> Any:
    """The rows of a nest of arrays, numbers with a fraction in Keras's default type, as fit takes arrays."""

    def of_leaf(leaf):
        taken = leaf.take(rows, axis=0)
        return taken.astype(floatx()) if taken.dtype.kind == "f" else taken

    return tree.map_structure(of_leaf, arrays)
