"""Which rows an epoch draws: pure functions of a seed, the epoch and how often each class was drawn before.

Within a class the rows are drawn in passes. A pass is a permutation of the class's rows that depends on the seed, the class
and the number of the pass alone, so the whole state of a sampler is one counter a class.
"""

import math

import numpy as np

GOLDEN = (5**0.5 - 1) / 2
LEAST_PART = 8  # rows; smaller parts would follow a pattern that shows


def batch_starts(first_batch: int, num_batches: int, epoch_batches: int, offset: float) -> np.ndarray:
    """Where the points of several batches start, in units of their distance: float64 `(num_batches,)` in (0, 1).

    Together the starts of an epoch are equally spaced, so the points of all its batches are too, and the totals of the epoch
    are as exact as each batch. In time they move by about the golden ratio, so those of any run of batches are close.

    Args:
        first_batch: number of the first of these batches within the epoch.
        num_batches: how many starts to give.
        epoch_batches: number of batches of this size in the whole epoch.
        offset: in [0, 1), where the whole lattice lies.
    """
    step = max(1, round(epoch_batches * GOLDEN))
    while math.gcd(step, epoch_batches) != 1:
        step += 1
    turns = np.arange(first_batch, first_batch + num_batches) * step % epoch_batches
    # Shares that give whole numbers put their edges on the lattice; a small distance keeps rounding from moving a point across.
    return (turns + np.clip(offset, 1e-6, 1 - 1e-6)) / epoch_batches


def batch_classes(
    shares: np.ndarray, order: np.ndarray, starts: np.ndarray, batch_size: int, rng: np.random.Generator, exact: bool
) -> np.ndarray:
    """The class of every place of several batches.

    exact: systematic sampling. A batch holds the classes at B equally spaced points of the cumulated shares, so each class has
    floor or ceil of B * share places, shuffled; and so it is in
    each half, quarter and eighth of the batch, down to 8 rows, for replicas.

    Args:
        shares: float64 `(C,)`, sum 1.
        order: classes in the order in which their shares are cumulated; all those with a positive share.
        starts: where the points of each batch start, `(K,)`.
        batch_size: rows a batch, B.
        rng: source of everything else that is random.
        exact: False draws each place by itself.

    Returns:
        int32 `(K, B)`.
    """
    edges = np.cumsum(shares[order])
    edges[-1] = np.inf
    if not exact:
        points = rng.random((len(starts), batch_size))
        return order[np.searchsorted(edges, points, side="right")].astype(np.int32)
    points = (np.arange(batch_size) + starts[:, None]) / batch_size
    classes = order[np.searchsorted(edges, points, side="right")].astype(np.int32)
    return _scattered(classes, rng)


def rounded(wanted: np.ndarray, total: int, rng: np.random.Generator, near: np.ndarray) -> np.ndarray:
    """Whole numbers near `wanted`, which sums to `total`: each the one below or above, as chance has it.

    Args:
        wanted: float64 `(C,)`; what is below 0 becomes 0.
        total: what the result sums to.
        rng: decides who gets one more.
        near: float64 `(C,)` with the same sum, to which the result is also the number below or above where both can be.

    Returns:
        int64 `(C,)`.
    """
    wanted, near = (np.where(np.abs(v - np.round(v)) < 1e-6, np.round(v), v) for v in (wanted, near))
    counts, most = np.maximum(np.floor(wanted), 0), np.maximum(np.ceil(wanted), 0)
    both = np.maximum(counts, np.floor(near)), np.minimum(most, np.ceil(near))
    if both[0].sum() <= total <= both[1].sum() and (both[0] <= both[1]).all():
        counts, most = both
    counts = counts.astype(np.int64)
    missing = total - int(counts.sum())
    if missing > 0:
        # A random order by weight (Efraimidis & Spirakis, 2006) of those that may get one more; the others come last.
        weights = np.clip(wanted - counts, 1e-3, 1)
        keys = np.where(most > counts, rng.random(len(wanted)) ** (1 / weights), -1.0)
        counts[np.argsort(-keys, kind="stable")[:missing]] += 1
    for _ in range(-missing):
        counts[counts.argmax()] -= 1
    return counts


def _scattered(classes, rng):
    """Puts batches `(K, B)`, sorted along equally spaced points, into random order, so that parts of a batch are alike.

    A strategy gives each replica a half, a quarter or an eighth of the batch, one after another. Part g gets every G-th
    point, so it is an equally spaced sample itself, and so are the halves and quarters, by the order of the parts.
    """
    number, size = classes.shape
    parts = next((g for g in (8, 4, 2) if size % g == 0 and size // g >= LEAST_PART), 1)
    first = np.array({8: (0, 4, 2, 6, 1, 5, 3, 7), 4: (0, 2, 1, 3), 2: (0, 1), 1: (0,)}[parts])
    first = first ^ rng.integers(0, parts, (number, 1))
    places = first[:, :, None] + parts * np.arange(size // parts)
    dealt = np.take_along_axis(classes, places.reshape(number, size), axis=1)
    return rng.permuted(dealt.reshape(number * parts, size // parts), axis=1).reshape(number, size)


def in_runs(classes: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places sorted by class, in their order within a class.

    Args:
        classes: class of every place `(P,)`.
        num_classes: number of classes.

    Returns:
        Three arrays `(P,)`: the place, its class, and how many places of that class come before it.
    """
    # NumPy sorts 16 bits by radix, many times faster than 32.
    by_class = np.argsort(classes.astype(np.int16) if num_classes <= 2**15 else classes, kind="stable")
    totals = np.bincount(classes, minlength=num_classes)
    present = np.flatnonzero(totals)
    number = totals[present]
    within = np.arange(len(classes)) - np.repeat(np.cumsum(number) - number, number)
    return by_class, np.repeat(present, number), within


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

    def members(self) -> list[np.ndarray]:
        """Row numbers of every class."""
        return np.split(self.rows, self.starts[1:])

    def draw(self, classes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Rows for places of given classes.

        Args:
            classes: class of every place `(P,)`, none empty.
            drawn: int64 `(C,)`, how many rows each class gave before.

        Returns:
            int64 `(P,)`, row numbers.
        """
        by_class, owner, within = in_runs(classes, len(self.sizes))
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
        order = np.argsort(keys)
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
