"""SMOTE as part of a pipeline: new points between neighbours, made when a batch is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imbalance.sampling.neighbors import Rows, check_features, k_nearest


class SMOTE:
    """What an epoch draws of a class beyond the class's own rows becomes new points: x + u (x_neighbour - x), u ~ U(0, 1).

    Pass it to `ArraySampler(..., smote=SMOTE())`. The neighbour is one of the k nearest rows of the same class. Neighbours
    are searched once for each class that needs them; points are made anew for every batch and never stored. Standardise
    features of different scales first.

    Args:
        k_neighbors: number of neighbours k, >= 1. A class with no more than k rows uses those it has. Defaults to 5.
        categorical: numbers of the columns, of one feature array `(N, D)`, that hold categories: a new point takes its
            neighbour's value there. As in SMOTE-NC, a difference in a category counts as the median standard deviation
            of the other columns. Defaults to none.
        seed: whole number; defaults to the sampler's.

    Raises:
        ValueError: for arguments out of range; when the sampler is built, for features that are not floats, NaN, or a class
            with one row that would need new points.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> x, y = np.arange(20.0)[:, None], np.repeat([0, 1], [16, 4])
    >>> sampler = ArraySampler(x, y, batch_size=20, smote=SMOTE(), seed=0)
    >>> batch, labels = next(iter(sampler.dataset()))
    >>> made = [value for value in batch.numpy()[labels.numpy() == 1, 0] if value not in x]
    >>> len(made), all(16 <= value <= 19 for value in made)
    (6, True)

    Reference: Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, 2002, https://arxiv.org/abs/1106.1813
    """

    def __init__(self, k_neighbors: int = 5, categorical: Sequence[int] | None = None, seed: int | None = None):
        if isinstance(k_neighbors, bool) or not isinstance(k_neighbors, (int, np.integer)) or k_neighbors < 1:
            raise ValueError(
                f"`k_neighbors` must be a whole number of at least 1. Received: k_neighbors={k_neighbors!r}."
            )
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ValueError(f"`seed` must be None or a whole number of at least 0. Received: seed={seed!r}.")
        columns = np.asarray([] if categorical is None else categorical).reshape(-1)
        if columns.size and (columns.dtype.kind not in "iu" or len(np.unique(columns)) < len(columns)):
            raise ValueError(f"`categorical` must be different column numbers. Received: categorical={categorical!r}.")
        self.k_neighbors = int(k_neighbors)
        self.categorical = columns.tolist()
        self.seed = seed


class Synthesizer:
    """New points for the rows of one sampler.

    Args:
        smote: the settings.
        x: nest of arrays of N rows.
        members: row numbers of every class, a list of int64 arrays.
    """

    def __init__(self, smote: SMOTE, x: Any, members: list[np.ndarray]):
        self.smote = smote
        self.leaves = tf.nest.flatten(x)
        self.members = members
        self._neighbors: dict[int, np.ndarray] = {}
        self._place = np.empty(len(self.leaves[0]), dtype=np.int64)
        for rows in members:
            self._place[rows] = np.arange(len(rows))
        self._check()

    def place(
        self, batch: list[np.ndarray], places: np.ndarray, base: np.ndarray, classes: np.ndarray, rng: Any
    ) -> None:
        """Moves rows of a batch from where they are to somewhere on the way to a neighbour.

        Args:
            batch: arrays like the leaves of x, changed in place.
            places: which rows of the batch become new points, int `(M,)`.
            base: the row number that stands in each of these places, int `(M,)`.
            classes: class of each of these places, int `(M,)`.
            rng: source of randomness.
        """
        u, choice = rng.random((2, len(base)))
        neighbor = base.copy()
        for number in np.flatnonzero(np.bincount(classes)):
            own = np.flatnonzero(classes == number)
            known = self._neighbors_of(int(number))
            if known.shape[1]:
                column = (choice[own] * known.shape[1]).astype(np.int64)
                neighbor[own] = known[self._place[base[own]], column]
        for leaf, rows in zip(self.leaves, batch, strict=True):
            start, end = rows.take(places, axis=0), leaf.take(neighbor, axis=0)
            step = u.astype(leaf.dtype).reshape(-1, *[1] * (leaf.ndim - 1))
            categories = end[:, self.smote.categorical] if self.smote.categorical else None
            # In two halves: the difference of two large values can be infinite.
            end *= 0.5
            end -= 0.5 * start
            end *= step
            start += end
            start += end
            if categories is not None:
                start[:, self.smote.categorical] = categories
            rows[places] = start

    def _neighbors_of(self, number):
        if number not in self._neighbors:
            rows = self.members[number]
            k = min(self.smote.k_neighbors, len(rows) - 1)
            local = k_nearest(Rows(self._features(rows)), np.arange(len(rows)), k) if k > 0 else np.empty((1, 0), int)
            self._neighbors[number] = rows[local] if k > 0 else local
        return self._neighbors[number]

    def _features(self, rows):
        parts = [leaf.take(rows, axis=0).reshape(len(rows), -1) for leaf in self.leaves]
        features = np.concatenate(parts, axis=1).astype(np.float64)
        if not self.smote.categorical:
            return features
        plain = np.delete(features, self.smote.categorical, axis=1)
        weight = np.median(plain.std(axis=0)) if plain.shape[1] else 1.0
        # Two rows that differ in a category differ in two of its columns: the squares sum to weight^2.
        encoded = [
            (features[:, [column]] == np.unique(features[:, column])) * (weight / np.sqrt(2))
            for column in self.smote.categorical
        ]
        return np.concatenate([plain, *encoded], axis=1)

    def _check(self):
        for leaf in self.leaves:
            if leaf.dtype.kind != "f":
                raise ValueError(
                    f"`smote` needs features that are floats, to go between them. Received: dtype {leaf.dtype}. "
                    "Convert x to float32, and name columns that hold categories as `categorical`."
                )
            check_features(leaf if leaf.ndim > 1 else leaf[:, None])
        columns = self.smote.categorical
        if columns and (len(self.leaves) > 1 or self.leaves[0].ndim != 2):
            raise ValueError("`categorical` needs one feature array of shape (N, D). Received a nest or more axes.")
        if columns and not (min(columns) >= 0 and max(columns) < self.leaves[0].shape[1]):
            raise ValueError(
                f"`categorical` must be columns of x, 0 to {self.leaves[0].shape[1] - 1}. Received: {columns}."
            )
