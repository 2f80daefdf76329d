"""What an epoch draws, planned at once in NumPy: a function of the seed, the epoch, the shares and the counters alone."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_imbalance._core import MatchedLosses
from keras_imbalance.sampling.draws import Cycles, batch_classes, batch_starts, rounded, sorted_positions
from keras_imbalance.sampling.shards import Shards, positions_of_shard

BASES = 1 << 40  # keeps the rows that new points start from apart from the rows drawn as they are


class Plan(NamedTuple):
    """One epoch, position after position in the order of delivery.

    Attributes:
        number: of the epoch, from 0.
        rows: int64 `(P,)`, the row at every position; at a new point the row that it starts from.
        repeats: int64 `(P,)`, how often that row was drawn before.
        new: bool `(P,)`, which positions are new points, or None where the sampler makes none.
        chances: float64 `(P, 2)` in [0, 1): how far a new point goes, and to which neighbour; None where `new` is.
        ends: int64 `(K,)`, the position behind the last one of every batch.
        drawn: int64 `(C,)`, rows of every class in the batches of all workers.
        made: int64 `(C,)`, new points of every class likewise.
        counts_from: the batch, from 0, with which the epoch counts as one.
    """

    number: int
    rows: np.ndarray
    repeats: np.ndarray
    new: np.ndarray | None
    chances: np.ndarray | None
    ends: np.ndarray
    drawn: np.ndarray
    made: np.ndarray
    counts_from: int

    def of_positions(self) -> list[np.ndarray]:
        """What the plan says of each position: the row, its repeats, and whether and how it is a new point."""
        return [part for part in (self.rows, self.repeats, self.new, self.chances) if part is not None]

    def batch(self, index: int) -> slice:
        """The positions of a batch."""
        return slice(int(self.ends[index - 1]) if index else 0, int(self.ends[index]))


class Planner:
    """Plans epochs, and counts what was drawn.

    Args:
        ids: class of every row, int64 `(N,)`.
        class_counts: rows per class `(C,)`.
        batch_size: rows a batch.
        epoch_rows: rows an epoch.
        seed: whole number, not negative.
        exact: False draws the class of each position by itself.
        classes_per_batch: how many classes a batch holds, in equal parts, or None.
        most_drawn: int64 `(C,)`, rows that an epoch draws of a class before it makes new points; None makes none.
        smote_seed: seed of the rows that new points start from.

    Attributes:
        shares: share of every class in the next epoch, float64 `(C,)`.
        epoch: number of the next epoch.
        drawn: rows of every class that were drawn so far, int64 `(C,)`.
        made: new points of every class that were made so far, int64 `(C,)`.
        history: what every epoch drew, new points among it, a list of int64 `(C,)`.
        in_order: whether the rows that an epoch draws come in ascending order, as validation wants them, not shuffled.
        matched_losses: the losses that must be adjusted to the shares.
    """

    def __init__(
        self,
        ids: np.ndarray,
        class_counts: np.ndarray,
        *,
        batch_size: int,
        epoch_rows: int,
        seed: int,
        exact: bool = True,
        classes_per_batch: int | None = None,
        most_drawn: np.ndarray | None = None,
        smote_seed: int = 0,
    ):
        self.class_counts = class_counts
        self.batch_size, self.epoch_rows = batch_size, epoch_rows
        self.seed, self.exact, self.classes_per_batch = seed, exact, classes_per_batch
        self.cycles = Cycles(ids, class_counts, seed)
        self.most_drawn = most_drawn
        self.smote_seed = smote_seed
        self._bases = None if most_drawn is None else Cycles(ids, class_counts, smote_seed ^ BASES)
        self.shares = np.zeros(len(class_counts))
        self.epoch = 0
        self.drawn, self.made = np.zeros((2, len(class_counts)), dtype=np.int64)
        self.history: list[np.ndarray] = []
        self.in_order = False
        self.matched_losses = MatchedLosses()

    @property
    def num_batches(self) -> int:
        """Batches an epoch; the last one holds what remains."""
        return -(-self.epoch_rows // self.batch_size)

    def plan(self, shards: Shards) -> Plan:
        """The next epoch. It is planned alike until it counts."""
        self.matched_losses.check(self.shares)
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.classes_per_batch is None:
            classes = self._classes(rng)
        else:
            classes = _several_of_each(self.shares, self.num_batches, self.batch_size, self.classes_per_batch, rng)
        totals = np.bincount(classes, minlength=len(self.drawn))
        rows, repeats = self.cycles.draw(classes, self.drawn)
        if self.in_order:
            by_row = np.argsort(rows, kind="stable")
            classes, rows, repeats = classes[by_row], rows[by_row], repeats[by_row]
        new, chances, made = None, None, np.zeros_like(totals)
        order, ends = self._delivered(classes, shards, rng)
        if self._bases is not None:
            new = self._beyond_own_rows(classes)
            made = np.bincount(classes[new], minlength=len(totals))
            rows[new], repeats[new] = self._bases.draw(classes[new], self.made)
            chances = np.random.default_rng([self.smote_seed, self.epoch, 1]).random((len(rows), 2))
            new, chances = new[order], chances[order]
        counts_from = shards.counts_from(self.num_batches)
        return Plan(self.epoch, rows[order], repeats[order], new, chances, ends, totals - made, made, counts_from)

    def count(self, number: int, drawn: np.ndarray, made: np.ndarray) -> None:
        """Called when an epoch counts as one. Of several plans of one epoch the first does."""
        if number == self.epoch:
            self.epoch += 1
            self.drawn, self.made = self.drawn + drawn, self.made + made
            self.history.append(drawn + made)

    def state_dict(self) -> dict[str, Any]:
        """All that changes, as JSON types."""
        history = [counts.tolist() for counts in self.history]
        return {"epoch": self.epoch, "drawn": self.drawn.tolist(), "synthetic": self.made.tolist(), "history": history}

    def load_state_dict(self, state: Mapping) -> None:
        """Takes over what `state_dict` gave."""
        self.epoch = int(state["epoch"])
        self.drawn, self.made = (np.array(state[name], dtype=np.int64) for name in ("drawn", "synthetic"))
        self.history = [np.array(counts, dtype=np.int64) for counts in state["history"]]

    def _classes(self, rng):
        """The class of every position: exact in every full batch, and in the epoch, which the last batch completes."""
        shares = self.shares
        full, rest = divmod(self.epoch_rows, self.batch_size)
        order = rng.permutation(np.flatnonzero(shares > 0))
        starts = batch_starts(0, full, full, float(rng.random())) if full else np.empty(0)
        classes = batch_classes(shares, order, starts, self.batch_size, rng, self.exact).reshape(-1)
        if not rest:
            return classes
        if self.exact:
            missing = self.epoch_rows * shares - np.bincount(classes, minlength=len(shares))
            last = np.repeat(np.arange(len(shares), dtype=np.int32), rounded(missing, rest, rng, rest * shares))
            last = rng.permutation(last)
        else:
            last = batch_classes(shares, order, np.zeros(1), rest, rng, False).reshape(-1)
        return np.concatenate([classes, last])

    def _beyond_own_rows(self, classes):
        """Which positions come after as many rows of their class as the epoch draws before it makes new points."""
        totals = np.bincount(classes, minlength=len(self.drawn))
        own = np.minimum(totals, np.asarray(self.most_drawn))
        new = np.empty(len(classes), dtype=bool)
        # Of each class first its own rows, then the new points.
        runs = np.stack([own, totals - own], axis=1).reshape(-1)
        new[sorted_positions(classes, len(totals))] = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return new

    def _delivered(self, classes, shards, rng):
        """The positions in the order in which these shards take them, a slice where as they are, and the ends of batches."""
        size, full = self.batch_size, self.epoch_rows // self.batch_size
        if shards.num_shards == 1:
            return slice(None), np.minimum(np.arange(1, self.num_batches + 1) * size, self.epoch_rows)
        mine = range(shards.first, shards.first + shards.kept)
        shift = rng.integers(0, shards.num_shards, self.num_batches)
        parts = []
        for first, batches in ((0, classes[: full * size].reshape(full, size)), (full, classes[None, full * size :])):
            if batches.size:
                dealt = [positions_of_shard(batches, shards.num_shards, i, shift[first:][: len(batches)]) for i in mine]
                starts = size * (first + np.arange(len(batches)))
                parts += [shard[k] + start for k, start in enumerate(starts) for shard in dealt]
        return np.concatenate(parts), np.cumsum([len(part) for part in parts])


def _several_of_each(shares, num_batches, batch_size, classes_per_batch, rng):
    """Batches of equally many rows of each of some classes, which are chosen as often as their shares say.

    What a class is owed is carried from batch to batch, so the epoch is exact to within a batch of each class.
    """
    each, owed = classes_per_batch * shares, np.zeros(len(shares))
    chosen = []
    for _ in range(num_batches):
        owed += each
        taken = rounded(owed, classes_per_batch, rng, each)
        owed -= taken
        chosen.append(np.flatnonzero(taken))
    batches = np.repeat(np.array(chosen, dtype=np.int32), batch_size // classes_per_batch, axis=1)
    return rng.permuted(batches, axis=1).reshape(-1)


def capped_shares(shares: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The shares nearest to these with none above `most`: what is cut off goes to the others in proportion to theirs.

    Args:
        shares: float64 `(C,)`, sum 1.
        most: float64 `(C,)`, whose sum over the classes with a share is at least 1.
    """
    capped = np.zeros(len(shares), dtype=bool)
    while True:
        free = (shares > 0) & ~capped
        if not free.any():
            return np.where(capped, most, 0.0)
        scaled = shares * ((1 - most[capped].sum()) / shares[free].sum())
        over = free & (scaled > most)
        if not over.any():
            return np.where(capped, most, np.where(free, scaled, 0.0))
        capped |= over
