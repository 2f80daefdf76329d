"""Which rows an epoch draws: pure functions of a seed, the epoch and how often each class was drawn before.

Within a class the rows are drawn in passes. A pass is a permutation of the class's rows that depends on the seed, the class
and the number of the pass alone, so the whole state of a sampler is one counter a class.
"""

import numpy as np

GOLDEN = (5**0.5 - 1) / 2


def batch_classes(
    shares: np.ndarray,
    num_batches: int,
    batch_size: int,
    first_batch: int,
    rng: np.random.Generator,
    offset: float,
    exact: bool,
) -> np.ndarray:
    """The class of every place of several batches.

    exact: systematic sampling. A batch holds the classes at B equally spaced points of the cumulated shares, so each class has
    floor or ceil of B * share places; the points move by the golden ratio from batch to batch, which keeps the totals
    close as well. The order of the classes and the places within the batch are random.

    Args:
        shares: float64 `(C,)`, sum 1.
        num_batches: number of batches.
        batch_size: rows a batch, B.
        first_batch: number of the first of these batches within the epoch.
        rng: source of everything random here.
        offset: where the points of the epoch's first batch start, in [0, 1).
        exact: False draws each place by itself.

    Returns:
        int32 `(num_batches, batch_size)`.
    """
    drawn = np.flatnonzero(shares > 0)
    order = rng.permutation(drawn)
    edges = np.cumsum(shares[order])
    edges[-1] = np.inf
    if not exact:
        points = rng.random((num_batches, batch_size))
        return order[np.searchsorted(edges, points, side="right")].astype(np.int32)
    starts = (offset + GOLDEN * np.arange(first_batch, first_batch + num_batches)) % 1
    points = (np.arange(batch_size) + starts[:, None]) / batch_size
    classes = order[np.searchsorted(edges, points, side="right")].astype(np.int32)
    return rng.permuted(classes, axis=1)


class Passes:
    """Draws rows of classes, every row of a class once before any is drawn twice.

    Args:
        ids: class of every row, int64 `(N,)`.
        counts: rows per class `(C,)`.
        seed: whole number, not negative.
    """

    def __init__(self, ids: np.ndarray, counts: np.ndarray, seed: int):
        self.rows = np.argsort(ids, kind="stable")
        self.sizes = counts.astype(np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.seed = seed
        # The permutation of one pass of every class: `order[start + k]` is the k-th row of that pass.
        self._order = self.rows.copy()
        self._cached = np.full(len(counts), -1, dtype=np.int64)

    def draw(self, classes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Rows for places of given classes.

        Args:
            classes: class of every place `(P,)`, none empty.
            drawn: int64 `(C,)`, how many rows each class gave before.

        Returns:
            int64 `(P,)`, row numbers.
        """
        # A stable sort by class puts the k-th place of a class at the k-th of its run.
        by_class = np.argsort(classes, kind="stable")
        totals = np.bincount(classes, minlength=len(self.sizes))
        wanted = np.flatnonzero(totals)
        number = totals[wanted]
        run_starts = np.cumsum(number) - number
        within = np.arange(len(classes)) - np.repeat(run_starts, number)
        owner = np.repeat(wanted, number)
        passes, offsets = np.divmod(drawn[owner] + within, self.sizes[owner])
        rows = self._rows_at(owner, passes, offsets)
        result = np.empty(len(classes), dtype=np.int64)
        result[by_class] = rows
        return result

    def _rows_at(self, owner, passes, offsets):
        rows = np.empty(len(owner), dtype=np.int64)
        fresh = passes != self._cached[owner]
        kept = ~fresh
        rows[kept] = self._order[self.starts[owner[kept]] + offsets[kept]]
        if not fresh.any():
            return rows
        owner, passes, offsets = owner[fresh], passes[fresh], offsets[fresh]
        # Places come sorted by class and pass: a segment starts wherever one of them changes.
        new = np.concatenate([[True], (owner[1:] != owner[:-1]) | (passes[1:] != passes[:-1])])
        segment_of = np.cumsum(new) - 1
        classes, numbers = owner[new], passes[new]
        permuted, begins = self._permutations(classes, numbers)
        rows[fresh] = permuted[begins[segment_of] + offsets]
        self._remember(classes, numbers, permuted, begins)
        return rows

    def _permutations(self, classes, passes):
        """Permutations of several passes, one after another, and where each begins."""
        sizes = self.sizes[classes]
        begins = np.cumsum(sizes) - sizes
        segment = np.repeat(np.arange(len(classes)), sizes)
        within = np.arange(len(segment)) - begins[segment]
        key = _mix(np.uint64(self.seed) ^ _mix(classes.astype(np.uint64)) ^ _mix(_mix(passes.astype(np.uint64))))[
            segment
        ]
        keys = _mix(key + _mix(within.astype(np.uint64)))
        if len(classes) > 1:
            bits = np.uint64(int(len(classes) - 1).bit_length())
            keys = (segment.astype(np.uint64) << (np.uint64(64) - bits)) | (keys >> bits)
        order = np.argsort(keys, kind="stable")
        return self.rows[self.starts[classes][segment] + within[order]], begins

    def _remember(self, classes, passes, permuted, begins):
        last = np.concatenate([classes[1:] != classes[:-1], [True]])
        classes, passes, begins = classes[last], passes[last], begins[last]
        sizes = self.sizes[classes]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        self._order[np.repeat(self.starts[classes], sizes) + within] = permuted[np.repeat(begins, sizes) + within]
        self._cached[classes] = passes


def _mix(values):
    """splitmix64: spreads whole numbers evenly over 64 bits (Steele, Lea & Flood, 2014)."""
    values = np.asarray(values, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
