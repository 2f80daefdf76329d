"""SMOTE as part of a pipeline: new points between neighbours, made when a batch is."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from keras_imbalance._core import check_one_of, check_whole, invalid, nearest, shown
from keras_imbalance.sampling.neighbors import Rows, check_features, k_nearest
from keras_imbalance.sampling.nests import leaf_names, leaves


class SMOTE:
    """Makes new points of what an epoch draws of a class beyond its own rows: x + u (x_neighbour - x), u ~ U(0, 1).

    Pass it to `ArraySampler(..., smote=SMOTE())`. The neighbour is one of the k nearest rows of the same class. Neighbours
    are searched once for each class that needs them; points are made anew for every batch and never stored. Standardise
    features of different scales first.

    Args:
        k_neighbors: number of neighbours k, >= 1. A class with no more than k rows uses those it has. Defaults to 5.
        categorical: columns that hold categories (SMOTE-NC): names of columns of a data frame or keys of a dict of arrays, text
            among them, or positions in one feature array `(N, D)`. A new point takes the category that most of the row's k
            neighbours have, of equally many the nearest one's. A difference in a category counts as the median standard
            deviation of the other columns. Defaults to None, no such columns.
        targets: "interpolate" moves `y` as `x` is moved, where rows of one class differ in it: regression targets, soft labels,
            masks as floats. Defaults to None: such a `y` is an error.
        seed: whole number; defaults to the sampler's.

    Raises:
        ValueError: for arguments out of range; when the sampler is built, for features that are not floats or categories, NaN,
            a `y` that differs within a class, or a class with one row that would need new points.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> x, y = np.arange(20.0)[:, None], np.repeat([0, 1], [16, 4])
    >>> sampler = ArraySampler(x, y, batch_size=20, smote=SMOTE(), seed=0)
    >>> batch, labels = next(iter(sampler.dataset()))
    >>> made = [value for value in batch.numpy()[labels.numpy() == 1, 0] if value not in x]
    >>> len(made), all(16 <= value <= 19 for value in made)
    (6, True)

    Columns of a data frame, or a dict of them:

    >>> shops = {"turnover": np.arange(20.0), "town": np.repeat(["Bonn", "Ulm"], 10)}
    >>> sampler = ArraySampler(shops, y, batch_size=20, smote=SMOTE(categorical=["town"]), seed=0)
    >>> batch, labels = next(iter(sampler.dataset()))
    >>> set(batch["town"].numpy()[labels.numpy() == 1])
    {b'Ulm'}

    Reference: Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, 2002, https://arxiv.org/abs/1106.1813; section
    6.1 is SMOTE-NC.
    """

    def __init__(
        self,
        k_neighbors: int = 5,
        *,
        categorical: Sequence[int] | Sequence[str] | None = None,
        targets: Literal["interpolate"] | None = None,
        seed: int | None = None,
    ):
        self.k_neighbors = check_whole(k_neighbors, "k_neighbors", 1)
        self.categorical = _columns(categorical)
        self.targets = check_one_of(targets, "targets", (None, "interpolate"))
        self.seed = check_whole(seed, "seed", 0, optional=True)


def _columns(categorical):
    """Different positions, or different names."""
    columns = [] if categorical is None else np.asarray(categorical, dtype=object).reshape(-1).tolist()
    columns = [int(column) if isinstance(column, np.integer) else column for column in columns]
    whole = all(type(column) is int for column in columns)
    if not (whole or all(isinstance(column, str) for column in columns)) or len(set(columns)) < len(columns):
        raise invalid("categorical", "hold the names, or the positions, of different columns", categorical)
    return columns


def between(start: np.ndarray, end: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Points `start + u (end - start)`, a row for each of `u`, finite where both ends are. Both arrays are written over.

    Example:
    >>> between(np.array([[0.0, 10.0]]), np.array([[4.0, 10.0]]), np.array([0.25]))
    array([[ 1., 10.]])
    """
    step = u.astype(start.dtype).reshape(-1, *[1] * (start.ndim - 1))
    # In two halves: the difference of two large values can be infinite.
    end *= 0.5
    end -= 0.5 * start
    end *= step
    start += end
    start += end
    return start


class Synthesizer:
    """New points for the rows of one sampler.

    Args:
        smote: the settings.
        x: nest of arrays of N rows.
        y: nest of arrays of N rows.
        members: row numbers of every class, a list of int64 arrays.
        columns: names of the columns of x where it was a data frame and is one array. Defaults to None.
    """

    def __init__(self, smote: SMOTE, x: Any, y: Any, members: list[np.ndarray], columns: list | None = None):
        self.smote = smote
        self.members = members
        self._x = leaves(x)
        self._categorical = _categorical_of(smote.categorical, x, columns)
        self._class = np.empty(len(self._x[0]), dtype=np.int64)
        self._within = np.empty(len(self._x[0]), dtype=np.int64)
        for number, rows in enumerate(members):
            self._class[rows], self._within[rows] = number, np.arange(len(rows))
        self._neighbors: dict[int, np.ndarray] = {}
        self._donors: dict[int, np.ndarray] = {}
        for leaf, name, categorical in zip(self._x, leaf_names(x, "x"), self._categorical, strict=True):
            _check_leaf(leaf, name, categorical)
        self._moved = [self._is_moved(leaf, name) for leaf, name in zip(leaves(y), leaf_names(y, "y"), strict=True)]
        self._y = leaves(y)

    def move(
        self, batch: list[np.ndarray], positions: np.ndarray, base: np.ndarray, u: np.ndarray, choice: np.ndarray
    ) -> None:
        """Moves rows of a batch from where they are to somewhere on the way to a neighbour.

        Args:
            batch: arrays like the leaves of x, then those of y, changed in place.
            positions: which rows of the batch become new points, int `(M,)`.
            base: the row number at each of these positions, int `(M,)`.
            u: how far each goes, in [0, 1), `(M,)`.
            choice: which neighbour each goes to, in [0, 1), `(M,)`.
        """
        for rows, made in zip(batch, self.points(base, self.ends(base, choice), u), strict=True):
            if made is not None:
                rows[positions] = made

    def ends(self, base: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """The neighbour that each row goes to, int64 `(M,)`, by numbers from [0, 1); a row without neighbours stays."""
        end = base.copy()
        for own, known in self._by_class(base, self.neighbors_of):
            if known.shape[1]:
                column = (choice[own] * known.shape[1]).astype(np.int64)
                end[own] = known[self._within[base[own]], column]
        return end

    def points(self, base: np.ndarray, end: np.ndarray, u: np.ndarray) -> list[np.ndarray | None]:
        """New points, a part `u` of the way from rows `base` to rows `end`.

        Args:
            base: row numbers, int `(M,)`.
            end: row numbers of their neighbours, int `(M,)`.
            u: float `(M,)` in [0, 1).

        Returns:
            Arrays of M rows for each leaf of x, then of y; None where they are those of the rows `base`.
        """
        donors = self._categories_from(base)
        made: list[np.ndarray | None] = []
        for leaf, categorical in zip(self._x, self._categorical, strict=True):
            own, donors = donors[:, : len(categorical)], donors[:, len(categorical) :]
            made.append(_point(leaf, categorical, own, base, end, u))
        moved = zip(self._y, self._moved, strict=True)
        return made + [between(leaf.take(base, 0), leaf.take(end, 0), u) if moves else None for leaf, moves in moved]

    def neighbors_of(self, number: int) -> np.ndarray:
        """Nearest rows of each row of a class, nearest first, row numbers int64 `(n, k)`; k is 0 for a class of one row."""
        if number not in self._neighbors:
            rows = self.members[number]
            k = min(self.smote.k_neighbors, len(rows) - 1)
            local = k_nearest(Rows(self.features(rows)), k) if k > 0 else np.empty((1, 0), int)
            self._neighbors[number] = rows[local] if k > 0 else local
        return self._neighbors[number]

    def donors_of(self, number: int) -> np.ndarray:
        """Rows that give each row of a class its categories, row numbers int64 `(n, categorical columns)`."""
        if number not in self._donors:
            rows, near = self.members[number], self.neighbors_of(number)
            columns = self._category_columns(rows)
            donors = np.repeat(rows[:, None], len(columns), axis=1)
            for column, codes in enumerate(columns if near.shape[1] else []):
                found = codes[self._within[near]]
                votes = sum((found == found[:, [j]]).astype(np.int64) for j in range(found.shape[1]))
                donors[:, column] = np.take_along_axis(near, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
            self._donors[number] = donors
        return self._donors[number]

    def features(self, rows: np.ndarray) -> np.ndarray:
        """What distances are taken between, float64 `(n, D)`: numbers, and categories as one column each."""
        plain = [
            np.delete(leaf.take(rows, axis=0).reshape(len(rows), -1), categorical, axis=1).astype(np.float64)
            for leaf, categorical in zip(self._x, self._categorical, strict=True)
            if leaf.dtype.kind == "f"
        ]
        numbers = np.concatenate([np.empty((len(rows), 0)), *plain], axis=1)
        weight = np.median(numbers.std(axis=0)) if numbers.shape[1] else 1.0
        # Two rows that differ in a category differ in two of its columns: the squares sum to weight^2.
        encoded = [
            (codes[:, None] == np.arange(codes.max() + 1)) * (weight / np.sqrt(2))
            for codes in self._category_columns(rows)
        ]
        return np.concatenate([numbers, *encoded], axis=1)

    def _category_columns(self, rows):
        """Codes of the categories of each categorical column in these rows, a list of int64 `(n,)`."""
        return [
            np.unique(leaf.reshape(len(leaf), -1)[rows, column], return_inverse=True)[1].reshape(-1)
            for leaf, categorical in zip(self._x, self._categorical, strict=True)
            for column in categorical
        ]

    def _categories_from(self, base):
        """The rows that the categories of new points come from, int64 `(M, categorical columns)`."""
        rows = np.repeat(base[:, None], sum(map(len, self._categorical)), axis=1)
        if rows.shape[1]:
            for own, donors in self._by_class(base, self.donors_of):
                rows[own] = donors[self._within[base[own]]]
        return rows

    def _by_class(self, base, of_class):
        """Positions of each class among rows `base`, and what `of_class` gives for that class."""
        classes = self._class[base]
        for number in np.flatnonzero(np.bincount(classes)):
            yield np.flatnonzero(classes == number), of_class(int(number))

    def _is_moved(self, leaf, name):
        """Whether this part of y is moved with x; raises where rows of a class differ in it and it cannot be."""
        different = next((number for number, rows in enumerate(self.members) if _differs(leaf, rows)), None)
        if different is None:
            return False
        if self.smote.targets is None:
            requirement = f"be None, or SMOTE(targets='interpolate'), where rows of one class differ in `{name}`"
            received = f"rows of class {different} that differ"
            raise invalid("smote", requirement, received=received, remedy="A new point moves x, not y.")
        if leaf.dtype.kind != "f":
            remedy = "Convert numbers to float32; class ids have nothing between them, their one-hot form has."
            raise invalid(name, "hold floats, for targets='interpolate'", received=f"dtype {leaf.dtype}", remedy=remedy)
        check_features(leaf if leaf.ndim > 1 else leaf[:, None], name)
        return True


def _differs(leaf, rows):
    """Whether these rows of an array differ; the first are compared before all, since most arrays differ there."""
    return any(len(some) > 1 and bool((leaf.take(some, axis=0) != leaf[some[0]]).any()) for some in (rows[:8], rows))


def _point(leaf, categorical, donors, base, end, u):
    """New points in one leaf of x: between two rows, except for the categories, which are those of the rows `donors`."""
    columns = leaf.reshape(len(leaf), -1)
    if len(categorical) == columns.shape[1]:
        return columns[donors, categorical].reshape(len(base), *leaf.shape[1:])
    made = between(leaf.take(base, axis=0), leaf.take(end, axis=0), u)
    if len(categorical):
        made[:, categorical] = columns[donors, categorical]
    return made


def _categorical_of(wanted, x, columns):
    """The categorical columns of each leaf of x, a list of lists of positions."""
    if isinstance(x, dict):
        return _categorical_leaves(wanted, x)
    if not wanted:
        return [[] for _ in leaves(x)]
    if isinstance(x, tuple) or x.ndim != 2:
        required = "be None unless x is one array (N, D), a data frame or a dict of columns"
        raise invalid("categorical", required, received="x as a tuple, or of more axes")
    return [_positions(wanted, x, columns)]


def _positions(wanted, x, columns):
    known = list(range(x.shape[1])) if isinstance(wanted[0], int) or columns is None else columns
    unknown = [column for column in wanted if column not in known]
    if unknown:
        raise invalid("categorical", f"be columns of x, {_listed(known)}", wanted, nearest(unknown[0], known))
    return list(map(known.index, wanted))


def _categorical_leaves(wanted, x):
    for key in wanted:
        if key not in x or not isinstance(x[key], np.ndarray):
            raise invalid("categorical", f"name arrays of x, {shown(sorted(x))}", wanted, nearest(key, x))
    return [list(range(leaf[:1].size)) if key in wanted else [] for key in sorted(x) for leaf in leaves(x[key])]


def _listed(columns):
    return f"0 to {len(columns) - 1}" if columns and columns[0] == 0 else shown(columns)


def _check_leaf(leaf, name, categorical):
    """Raises unless numbers of a leaf of x are finite floats, where they are no categories."""
    if leaf.dtype.kind == "f":
        check_features(leaf if leaf.ndim > 1 else leaf[:, None], name)
    elif leaf[:1].size > len(categorical):
        remedy = "Convert it to float32, or name columns that hold categories as SMOTE(categorical=[...])."
        raise invalid(name, "hold floats, for `smote` to go between", received=f"dtype {leaf.dtype}", remedy=remedy)
