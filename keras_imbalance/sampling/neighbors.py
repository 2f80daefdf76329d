"""Nearest rows by blocks of one matrix product each, in float32, with close calls decided in float64.

|a - b|^2 = |a|^2 + |b|^2 - 2ab is fast and loses digits; what it cannot tell apart is computed again from the differences. The
rows are centred first, so that a large offset costs no digits. No N x N matrix is ever held.
"""

from collections.abc import Iterator

import numpy as np

from keras_imbalance._core import invalid

BLOCK_BYTES = 4 << 20  # of distances that are held at a time: they stay in the cache
TILE = 4096  # rows that a block of queries is held against at a time
PAIRS = 1 << 18  # whose differences are held at a time


class Rows:
    """Rows of features, prepared for distances.

    Args:
        x: float array `(N, D)` without NaN.
    """

    def __init__(self, x: np.ndarray):
        # A power of two brings the largest value to about 1, so that no square overflows, and changes no digit.
        exact = np.asarray(x, dtype=np.float64)
        exponent = int(np.frexp(np.abs(exact).max(initial=0.0))[1])
        self.unit = 2.0**exponent
        self.exact = np.ldexp(exact, -exponent)
        centred = self.exact - self.exact.mean(axis=0)
        # Once more after centring: a large offset must leave float32 its whole range.
        spread = np.abs(centred).max(initial=0.0)
        centred = np.ldexp(centred, -int(np.frexp(spread)[1])) if spread > 0 else centred
        self.fast = centred.astype(np.float32)
        self.squares = np.einsum("ij,ij->i", self.fast, self.fast)
        # With a last column of |b|^2, one product with [-2a, 1] gives |b|^2 - 2ab.
        self.extended = np.concatenate([self.fast, self.squares[:, None]], axis=1)
        # A bound on the relative error of |a|^2 + |b|^2 - 2ab in float32, rounding of the rows included.
        self.slack = np.float32((x.shape[1] + 8) * 2.0**-23)

    def distances(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Squared distances between rows numbered `a` and `b` in squared `unit`s, float64, the same for (a, b) and (b, a)."""
        result = np.empty(len(a))
        for start in range(0, len(a), PAIRS):
            part = slice(start, start + PAIRS)
            difference = self.exact[a[part]] - self.exact[b[part]]
            result[part] = np.einsum("ij,ij->i", difference, difference)
        return result

    def blocks(
        self, queries: np.ndarray, tile: int | None = None
    ) -> Iterator[tuple[np.ndarray, Iterator[tuple[int, np.ndarray]]]]:
        """Blocks of queries, each with its squared distances to all rows, a tile of rows at a time.

        Args:
            queries: row numbers, int `(Q,)`.
            tile: rows of a tile at most. Defaults to all.

        Yields:
            The block, and an iterator of the number of a tile's first row and its squared distances less |query|^2, float32
            `(block, tile)`, where a query is infinitely far from itself. They are overwritten by the next tile.
        """
        tile = min(tile or len(self.fast), len(self.fast))
        size = max(1, min(len(queries), BLOCK_BYTES // (4 * tile)))
        buffer = np.empty(size * tile, dtype=np.float32)
        for start in range(0, len(queries), size):
            block = queries[start : start + size]
            yield block, self._tiles(block, tile, buffer)

    def _tiles(self, block, tile, buffer):
        left = np.concatenate([-2 * self.fast[block], np.ones((len(block), 1), dtype=np.float32)], axis=1)
        for first in range(0, len(self.extended), tile):
            right = self.extended[first : first + tile]
            partial = buffer[: len(block) * len(right)].reshape(len(block), len(right))
            np.matmul(left, right.T, out=partial)
            here = np.flatnonzero((block >= first) & (block < first + len(right)))
            partial[here, block[here] - first] = np.inf
            yield first, partial


def nearest_rows(rows: Rows, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows that are nearest to each query, ties included.

    Args:
        rows: the rows.
        queries: numbers of the rows to query, int `(Q,)`.

    Returns:
        Pairs as arrays: the query's row number, the neighbour's row number, and the squared distance in squared units of
        `rows.unit`, sorted by query.
    """
    found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))]
    for block, tiles in rows.blocks(queries, TILE):
        query, neighbor, distance = _candidates(rows, block, tiles)
        nearest = np.full(len(block), np.inf)
        np.minimum.at(nearest, query, distance)
        kept = np.flatnonzero(distance == nearest[query])
        kept = kept[np.argsort(query[kept], kind="stable")]
        found.append((block[query[kept]], neighbor[kept], distance[kept]))
    query, neighbor, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return query, neighbor, distance


def _candidates(rows, block, tiles):
    """Places in a block, rows that float32 cannot tell from the nearest of them, and their exact distances."""
    # What float32 can have hidden: every row whose lowest possible distance is not above a possible minimum. A bound that is
    # one number a query finds a superset at once; the few that it finds are then held against their own bounds. A tile
    # is looked at for the queries alone to which it holds a row that is as near as the nearest before it.
    own, largest = rows.squares[block], rows.squares.max()
    highest, loose = np.full((2, len(block)), np.inf, dtype=np.float32)
    found = []
    for first, partial in tiles:
        nearer = np.flatnonzero(partial.min(axis=1) <= loose)
        part = partial[nearer]
        best = part.argmin(axis=1)
        possible = part[np.arange(len(part)), best] + rows.slack * (rows.squares[first + best] + own[nearer])
        highest[nearer] = np.minimum(highest[nearer], possible)
        loose[nearer] = highest[nearer] + rows.slack * (largest + own[nearer])
        query, column = np.divmod(np.flatnonzero(part <= loose[nearer, None]), part.shape[1])
        found.append((nearer[query], first + column, part[query, column]))
    query, neighbor, partial = (np.concatenate(parts) for parts in zip(*found, strict=True))
    close = partial - rows.slack * (rows.squares[neighbor] + own[query]) <= highest[query]
    query, neighbor = query[close], neighbor[close]
    return query, neighbor, rows.distances(block[query], neighbor)


def k_nearest(rows: Rows, k: int) -> np.ndarray:
    """The k nearest other rows of each row, nearest first.

    Args:
        rows: the rows, more than k.
        k: number of neighbours.

    Returns:
        int64 `(N, k)`, row numbers.
    """
    result = np.empty((len(rows.fast), k), dtype=np.int64)
    largest = rows.squares.max()
    for block, tiles in rows.blocks(np.arange(len(rows.fast))):
        ((_, partial),) = tiles
        # Whatever float32 cannot tell from the k-th nearest is a candidate, and the exact distances decide.
        # A bound that is one number a query finds a superset at once; then each is held against its own bound.
        own = rows.squares[block]
        nearest = np.argpartition(partial, k - 1, axis=1)[:, :k]
        highest = np.take_along_axis(partial, nearest, axis=1) + rows.slack * (rows.squares[nearest] + own[:, None])
        limit = highest.max(axis=1)
        loose = limit + rows.slack * (largest + own)
        query, number = np.divmod(np.flatnonzero(partial <= loose[:, None]), partial.shape[1])
        close = partial[query, number] - rows.slack * (rows.squares[number] + own[query]) <= limit[query]
        query, number = query[close], number[close]
        order = np.lexsort((number, rows.distances(block[query], number), query))
        candidates = np.bincount(query, minlength=len(block))
        rank = np.arange(len(query)) - np.repeat(np.cumsum(candidates) - candidates, candidates)
        result[block] = number[order[rank < k]].reshape(len(block), k)
    return result


def check_features(x: np.ndarray, name: str = "x") -> np.ndarray:
    """`x` as a float matrix `(N, D)`, further axes flattened; raises for other dtypes and for values that are not finite."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or x.ndim < 2:
        remedy = (
            f"Convert it first, as by {name}.astype('float32'), or {name}.toarray() where it is sparse."
            if x.dtype.kind not in "fiub"
            else f"One feature has the shape (N, 1): {name}[:, None]. Features come first, labels second."
        )
        received = f"dtype {x.dtype}, shape {x.shape}"
        raise invalid(name, "be numbers of shape (N, D)", received=received, remedy=remedy)
    if x.size == 0:
        raise invalid(name, "hold at least one row and one column", received=f"shape {x.shape}")
    flat = x.reshape(len(x), -1)
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        bad = int(np.flatnonzero(~np.isfinite(flat).all(axis=1))[0])
        received = f"NaN or infinity in row {bad}"
        raise invalid(
            name, "be finite, or distances mean nothing", received=received, remedy="Impute or drop such rows."
        )
    return flat
