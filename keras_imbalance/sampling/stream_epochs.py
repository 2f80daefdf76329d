"""What an epoch of a stream passes on: how often each row of a block, and in which order. Pure NumPy."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from keras_imbalance.sampling.draws import rounded, sorted_positions

MOST_CHUNK = 2  # blocks whose copies are put in order at a time
MOST_IDLE = 10**6  # rows, and as many epochs as IDLE_EPOCHS, that are read in a run without one that is passed on
IDLE_EPOCHS = 100


class StreamEpoch:
    """One epoch of a stream: what it asks for, and what it read and passed on up to now.

    Over one pass, a row of class c comes `share_c / prior_c` times on average, and totals stay within a row of that. An epoch
    of a given length passes on as many rows of each block as it reads, classes by their shares: totals stay within a row of
    shares * rows. What a block has no row of is owed, and others come in its place until it is found.

    Args:
        number: of the epoch, from 0.
        seed: the sampler's.
        num_classes: C.
        shares: function from rows read of every class to the wanted shares `(C,)`, or None to pass rows on as they come.
        prior: known share of every class in the source `(C,)`, or None when it is learnt.
        rows: rows to pass on, or None for one pass.
        before: the epoch before this one, whose counts are the prior where it is learnt, and whose debts go on.

    Attributes:
        read: rows read of every class, int64 `(C,)`: in this pass, or in all epochs of a given length.
        drawn: rows passed on of every class, int64 `(C,)`.
        owed: what is due to a class and not given yet, float64 `(C,)`.
        whole: whether the pass was read to its end.
        lent: blocks that were read and are given back where this does not become an epoch; None where that is settled.
    """

    def __init__(
        self,
        number: int,
        seed: int,
        num_classes: int,
        *,
        shares: Callable | None = None,
        prior: np.ndarray | None = None,
        rows: int | None = None,
        before: "StreamEpoch | None" = None,
    ):
        self.number, self.shares, self.prior, self.rows = number, shares, prior, rows
        self.rng = np.random.default_rng([seed, max(number, 0)])
        self.read, self.drawn = np.zeros((2, num_classes), dtype=np.int64)
        self.whole, self.idle = False, 0
        self.lent: list | None = None if rows is None else []
        self.learnt = None if before is None else before.counts_of_a_pass()
        if rows is None:
            self.owed = self.rng.random(num_classes)
        else:
            self.read += 0 if before is None else before.read
            self.owed = np.zeros(num_classes) if before is None else self._debts(before.owed)

    def counts_of_a_pass(self) -> np.ndarray | None:
        """Rows of every class in the last whole pass `(C,)`, or None before there is one."""
        return self.read.copy() if self.whole else self.learnt

    def counts(self) -> np.ndarray:
        """Rows of every class in the last whole pass, or else in what was read, int64 `(C,)`."""
        found = None if self.rows is not None else self.counts_of_a_pass()
        return (self.read if found is None else found).copy()

    @property
    def left(self) -> int | None:
        """Rows that remain to be passed on, or None where the source ends the epoch."""
        return None if self.rows is None else self.rows - int(self.drawn.sum())

    @property
    def starves(self) -> bool:
        """Whether so many rows were read in a run without one to pass on that none can be expected."""
        return self.rows is not None and self.idle > MOST_IDLE + IDLE_EPOCHS * self.rows

    def batches(self, blocks: Iterable, sizes: Iterator[int]) -> Iterator[tuple[list, bool]]:
        """Batches of what is passed on, each a list of arrays, and whether it is the last of the epoch.

        Args:
            blocks: pairs of arrays that have a row for each sample, and the class ids `(N,)`.
            sizes: rows of each batch.
        """
        parts: list[list] = []
        held, missing = None, next(sizes)
        for block, ids in blocks:
            for order in self.draw(ids):
                while order.size:
                    taken, order = np.split(order, [missing])
                    parts.append([leaf.take(taken, axis=0) for leaf in block])
                    missing -= len(taken)
                    if not missing:
                        if held is not None:
                            yield held, False
                        held, parts, missing = joined(parts), [], next(sizes)
            del block  # before the next one is read
        if held is not None:
            yield held, not parts
        if parts:
            yield joined(parts), True

    def draw(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """Positions of a block's rows, as often as they are passed on, in random order: chunks of int64 `(M,)`."""
        rows = np.bincount(ids, minlength=len(self.read))
        self.read += rows
        given = self._given(rows)
        self.drawn += given
        self.idle = 0 if given.any() else self.idle + len(ids)
        each, extra = np.divmod(given, np.maximum(rows, 1))
        # A random order within each class picks the rows that get one copy more.
        order = self.rng.permutation(len(ids))
        order = order[sorted_positions(ids[order], len(rows))]
        rank = np.empty(len(ids), dtype=np.int64)
        rank[order] = np.arange(len(ids)) - np.repeat(np.cumsum(rows) - rows, rows)
        copies = each[ids] + (rank < extra[ids])
        chunks = -(-int(given.sum()) // (MOST_CHUNK * len(ids))) if len(ids) else 0
        shift = self.rng.random(len(ids))
        for i in range(chunks):
            # Each chunk has an even share of the copies of every row: one of a million copies takes no more memory.
            upto = np.floor(np.outer([i, i + 1], copies) / chunks + shift).astype(np.int64)
            yield self.rng.permutation(np.repeat(np.arange(len(ids)), upto[1] - upto[0]))

    def _given(self, rows):
        """How many rows of each class are passed on of a block that has these."""
        if self.shares is None:
            return rows
        shares = self.shares(self.counts())
        if self.rows is not None:
            return self._by_length(rows, shares)
        self.owed += self._ratio(shares) * rows
        given = np.floor(self.owed).astype(np.int64)
        self.owed -= given
        return given

    def _ratio(self, shares):
        """How often a row of each class is passed on, on average."""
        prior = self.counts() if self.prior is None else self.prior
        prior = np.where(prior > 0, prior, self.read) / prior.sum()  # a class that earlier passes lacked
        shares = np.where(prior > 0, shares, 0.0)
        return np.divide(shares, prior * shares.sum(), out=np.zeros(len(prior)), where=shares > 0)

    def _by_length(self, rows, shares):
        here = np.where(rows > 0, shares, 0.0)
        total = int(rows.sum())
        if not here.any():
            return np.zeros_like(rows)
        self.owed += total * shares
        wanted = np.where(here > 0, self.owed, 0.0)
        wanted = np.maximum(wanted + here / here.sum() * (total - wanted.sum()), 0.0)
        wanted *= total / wanted.sum()
        given = rounded(wanted, total, self.rng, wanted)
        self.owed -= given
        return given

    def _debts(self, owed):
        """What earlier epochs owe, whole rows and at most an epoch's, so that a class that never comes is let go."""
        if self.shares is None:
            return np.zeros_like(owed)
        most = self.rows * self.shares(self.read)
        return np.trunc(np.clip(owed, -most, most))


def joined(parts: list[list]) -> list:
    """Lists of arrays put together, array by array."""
    return parts[0] if len(parts) == 1 else [np.concatenate(leaves) for leaves in zip(*parts, strict=True)]
