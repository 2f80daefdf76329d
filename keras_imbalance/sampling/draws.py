"""Which rows an epoch draws: pure functions of a seed, the epoch and how often each class was drawn before.

Within a class the rows are drawn in cycles. A cycle is a permutation of the class's rows that depends on the seed, the class
and how many came before it alone, so the whole state of a sampler is one counter a class.
"""

import math

import numpy as np

GOLDEN = (5**0.5 - 1) / 2
STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 times the golden ratio
LEAST_ROWS = 8  # rows; smaller parts would follow a pattern that shows


def batch_starts(first_batch: int, num_batches: int, epoch_batches: int, offset: float) -> np.ndarray:
    """Where the points of several batches start, in units of their distance: float64 `(num_batches,)` in (0, 1).

    Together the starts of an epoch are equally spaced, so the points of all its batches are too, and the totals of the epoch
    are as exact as each batch. In time they move by about the golden ratio, so those of any run of batches are close.

    Args:
        first_batch: the first of these batches within the epoch, from 0.
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
    """The class of every position of several batches.

    exact: systematic sampling. A batch holds the classes at B equally spaced points of the cumulated shares, so each class has
    floor or ceil of B * share positions, shuffled; and so it is in each half, quarter and eighth of the batch, down to 8 rows,
    for replicas.

    Args:
        shares: float64 `(C,)`, sum 1.
        order: classes in the order in which their shares are cumulated; all those with a positive share.
        starts: where the points of each batch start, `(K,)`.
        batch_size: rows a batch, B.
        rng: source of everything else that is random.
        exact: False draws each position by itself.

    Returns:
        int32 `(K, B)`.
    """
    edges = np.cumsum(shares[order])
    edges[-1] = np.inf
    if not exact:
        points = rng.random((len(starts), batch_size))
        return order[np.searchsorted(edges, points, side="right")].astype(np.int32)
    points = (np.arange(batch_size) + starts[:, None]) / batch_size
    return _scattered(order.astype(np.int32)[np.searchsorted(edges, points, side="right")], rng)


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
    parts = next((g for g in (8, 4, 2) if size % g == 0 and size // g >= LEAST_ROWS), 1)
    first = np.array({8: (0, 4, 2, 6, 1, 5, 3, 7), 4: (0, 2, 1, 3), 2: (0, 1), 1: (0,)}[parts])
    first = first ^ rng.integers(0, parts, (number, 1))
    positions = first[:, :, None] + parts * np.arange(size // parts)
    dealt = np.take_along_axis(classes, positions.reshape(number, size), axis=1)
    return rng.permuted(dealt.reshape(number * parts, size // parts), axis=1).reshape(number, size)


def sorted_positions(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Positions sorted by class, in their order within a class, int64 `(P,)`."""
    # NumPy sorts 16 bits by radix, many times faster than 32.
    return np.argsort(classes.astype(np.int16) if num_classes <= 2**15 else classes, kind="stable")


class Cycles:
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
        self.seed = seed % 2**64  # of words that are mixed

    def members(self) -> list[np.ndarray]:
        """Row numbers of every class."""
        return np.split(self.rows, self.starts[1:])

    def draw(self, classes: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows for positions of given classes.

        Args:
            classes: class of every position `(P,)`, only those that have rows.
            drawn: int64 `(C,)`, how many rows each class gave before.

        Returns:
            Two int64 `(P,)`: row numbers, and how often each of these rows was drawn before.
        """
        totals = np.bincount(classes, minlength=len(self.sizes))
        present = np.flatnonzero(totals)
        wanted, sizes = totals[present], self.sizes[present]
        cycle, skipped = np.divmod(drawn[present], sizes)
        # Of each class the cycles that are touched, whole, one after another; its draws are a run of them.
        touched = -(-(skipped + wanted) // sizes)
        owner = np.repeat(np.arange(len(present)), touched)
        cycles = cycle[owner] + np.arange(len(owner)) - np.repeat(_begins(touched), touched)
        run = np.repeat(_begins(touched * sizes) + skipped - _begins(wanted), wanted)
        run += np.arange(len(run))
        order, number = self._permutations(present[owner], cycles, run)
        by_class = sorted_positions(classes, len(self.sizes))
        rows, repeats = np.empty((2, len(classes)), dtype=np.int64)
        rows[by_class] = self.rows[order]
        repeats[by_class] = cycles[number]
        return rows, repeats

    def _permutations(self, classes, cycles, run):
        """Of the permutations of several cycles, one after another, the places `run`: which of the sorted rows, which cycle.

        A cycle's rows are sorted by a hash of seed, class, cycle and place.
        """
        sizes = self.sizes[classes]
        begins = _begins(sizes)
        places = np.arange(sizes.sum(), dtype=np.uint64)
        start = _mix(np.uint64(self.seed) ^ _mix(classes.astype(np.uint64)) ^ _mix(_mix(cycles.astype(np.uint64))))
        words = np.repeat(start - begins.astype(np.uint64) * STEP, sizes)
        words += places * STEP
        words = _mix(words)
        # In one word the cycle, the hash and the place: sorting words is several times as fast as sorting indices by them.
        of_cycle, of_place = (np.uint64(max(int(n - 1).bit_length(), 1)) for n in (len(sizes), len(places)))
        rest = np.uint64(64) - of_cycle
        words >>= of_cycle + of_place
        words <<= of_place
        words |= places
        words |= np.repeat(np.arange(len(sizes), dtype=np.uint64) << rest, sizes)
        words.sort()
        words = words[run]
        number = (words >> rest).view(np.int64)
        words &= (np.uint64(1) << of_place) - np.uint64(1)
        order = words.view(np.int64)
        order += (self.starts[classes] - begins)[number]
        return order, number


def _begins(sizes):
    """Where each of several runs begins that stand one after another."""
    return np.cumsum(sizes) - sizes


def _mix(values):
    """splitmix64: spreads whole numbers evenly over 64 bits (Steele, Lea & Flood, 2014)."""
    values = values + STEP
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    return values
