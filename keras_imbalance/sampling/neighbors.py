"""Nearest rows by blocks of one matrix product each, in float32, with close calls decided in float64.

|a - b|^2 = |a|^2 + |b|^2 - 2ab is fast and loses digits; what it cannot tell apart is computed again from the differences. The
rows are centred first, so that a large offset costs no digits. No N x N matrix is ever held.
"""

from collections.abc import Iterator

import numpy as np

from keras_imbalance._core import invalid

BLOCK_BYTES = 16 << 20
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

    def blocks(self, queries: np.ndarray, among: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of queries and their squared distances less |query|^2, float32 `(block, M)`; itself is infinity."""
        extended = self.extended if among is None else self.extended[among]
        size = max(1, min(len(queries), BLOCK_BYTES // (4 * len(extended))))
        buffer = np.empty((size, len(extended)), dtype=np.float32)
        for start in range(0, len(queries), size):
            block = queries[start : start + size]
            left = np.concatenate([-2 * self.fast[block], np.ones((len(block), 1), dtype=np.float32)], axis=1)
            partial = np.matmul(left, extended.T, out=buffer[: len(block)])
            own = block if among is None else np.searchsorted(among, block)
            partial[np.arange(len(block)), own] = np.inf
            yield block, partial


def nearest_rows(rows: Rows, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows that are nearest to each query, ties included.

    Args:
        rows: the rows.
        queries: numbers of the rows to query, int `(Q,)`.

    Returns:
        Pairs as arrays: the query's row number, the neighbour's row number, and the squared distance in squared units of
        `rows.unit`, sorted by query.
    """
    found = []
    largest = rows.squares.max(initial=0)
    for block, partial in rows.blocks(queries):
        # What float32 can have hidden: every row whose lowest possible distance is not above a possible minimum. A bound that
        # is one number a query finds a superset at once; the few that it finds are then held against their own bounds.
        best = partial.argmin(axis=1)
        own = rows.squares[block]
        highest = partial[np.arange(len(block)), best] + rows.slack * (rows.squares[best] + own)
        loose = highest + rows.slack * (largest + own)
        query, neighbor = np.divmod(np.flatnonzero(partial <= loose[:, None]), partial.shape[1])
        margin = rows.slack * (rows.squares[neighbor] + own[query])
        close = partial[query, neighbor] - margin <= highest[query]
        query, neighbor = query[close], neighbor[close]
        distance = rows.distances(block[query], neighbor)
        nearest = np.full(len(block), np.inf)
        np.minimum.at(nearest, query, distance)
        kept = distance == nearest[query]
        found.append((block[query[kept]], neighbor[kept], distance[kept]))
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    query, neighbor, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return query, neighbor, distance


def k_nearest(rows: Rows, among: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other rows of each of the rows `among`, nearest first.

    Args:
        rows: the rows.
        among: sorted row numbers, int `(M,)`, M > k: both the queries and what they may find.
        k: number of neighbours.

    Returns:
        int64 `(M, k)`, row numbers.
    """
    result = np.empty((len(among), k), dtype=np.int64)
    largest = rows.squares[among].max(initial=0)
    done = 0
    for block, partial in rows.blocks(among, among):
        # Whatever float32 cannot tell from the k-th nearest is a candidate, and the exact distances decide.
        # A bound that is one number a query finds a superset at once; then each is held against its own bound.
        own = rows.squares[block]
        nearest = np.argpartition(partial, k - 1, axis=1)[:, :k]
        highest = np.take_along_axis(partial, nearest, axis=1) + rows.slack * (
            rows.squares[among[nearest]] + own[:, None]
        )
        limit = highest.max(axis=1)
        loose = limit + rows.slack * (largest + own)
        query, column = np.divmod(np.flatnonzero(partial <= loose[:, None]), len(among))
        number = among[column]
        close = partial[query, column] - rows.slack * (rows.squares[number] + own[query]) <= limit[query]
        query, number = query[close], number[close]
        order = np.lexsort((number, rows.distances(block[query], number), query))
        candidates = np.bincount(query, minlength=len(block))
        rank = np.arange(len(query)) - np.repeat(np.cumsum(candidates) - candidates, candidates)
        result[done : done + len(block)] = number[order[rank < k]].reshape(len(block), k)
        done += len(block)
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
