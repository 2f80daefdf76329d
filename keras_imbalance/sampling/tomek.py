"""Tomek links: pairs of nearest neighbours of different classes."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_one_of, check_table, class_ids, invalid
from keras_imbalance.sampling.neighbors import Rows, check_features, nearest_rows

REMOVE = ("majority", "both", "not_minority")
ONE_CLASS = "Give each row one class: of soft labels y.argmax(axis=1)."


def tomek_links(x: npt.ArrayLike, y: npt.ArrayLike) -> np.ndarray:
    """Pairs of rows of different classes that are each other's nearest neighbour.

    Rows i and j are linked when y_i != y_j and no row z has d(i, z) < d(i, j) or d(j, z) < d(i, j). Equal distances and
    exact duplicates are decided by this definition, so a row can be in several links.

    Only rows outside the majority class, and the rows nearest to them, are searched: every link has such an end.

    Args:
        x: finite numbers of shape `(N, D)`; further axes are flattened. Standardise features of different scales first.
        y: class ids `(N,)` or `(N, 1)`, or one-hot `(N, C)`.

    Returns:
        int64 `(L, 2)`, pairs of row numbers, each with the smaller number first, sorted.

    Raises:
        ValueError: for NaN or infinity, labels that are no class labels, or different lengths.

    Example:
    >>> tomek_links([[0.0], [1.0], [1.1], [3.0]], [0, 0, 1, 1])
    array([[1, 2]])

    Reference: Tomek, Two Modifications of CNN, 1976.
    """
    features, labels = check_features(check_table(x, "x")), class_ids(y, None, "y", ONE_CLASS)
    if len(features) != len(labels):
        raise invalid("x", "have as many rows as `y`", received=f"{len(features)} and {len(labels)}")
    counts = np.bincount(labels)
    others = np.flatnonzero(labels != counts.argmax())
    if len(others) == 0:
        return np.empty((0, 2), dtype=np.int64)
    rows = Rows(features)
    query, neighbor, distance = nearest_rows(rows, others)
    nearest = np.full(len(labels), np.nan)
    nearest[query] = distance
    apart = labels[query] != labels[neighbor]
    query, neighbor, distance = query[apart], neighbor[apart], distance[apart]
    unknown = np.unique(neighbor[np.isnan(nearest[neighbor])])
    partner, _, from_partner = nearest_rows(rows, unknown)
    nearest[partner] = from_partner
    mutual = nearest[neighbor] == distance
    pairs = np.sort(np.stack([query[mutual], neighbor[mutual]], axis=1), axis=1)
    return np.unique(pairs, axis=0).astype(np.int64)


def tomek_keep_indices(
    x: npt.ArrayLike, y: npt.ArrayLike, *, remove: Literal["majority", "both", "not_minority"] = "majority"
) -> np.ndarray:
    """Row numbers that remain when rows in Tomek links are removed.

    Args:
        x: as in `tomek_links`.
        y: as in `tomek_links`.
        remove: "majority" removes the rows of the largest class, "both" both ends of every link, "not_minority" those of
            every class but the smallest. Defaults to "majority".

    Returns:
        int64 `(M,)`, sorted row numbers to keep.

    Raises:
        ValueError: for an unknown `remove`, and as in `tomek_links`.

    Example:
    >>> tomek_keep_indices([[0.0], [1.0], [1.1], [3.0]], [0, 0, 1, 1], remove="both")
    array([0, 3])

    Reference: Tomek, Two Modifications of CNN, 1976.
    """
    check_one_of(remove, "remove", REMOVE)
    labels = class_ids(y, None, "y", ONE_CLASS)
    linked = np.unique(tomek_links(x, y))
    counts = np.bincount(labels).astype(np.float64)
    if remove == "majority":
        linked = linked[labels[linked] == counts.argmax()]
    elif remove == "not_minority":
        smallest = np.where(counts > 0, counts, np.inf).argmin()
        linked = linked[labels[linked] != smallest]
    return np.setdiff1d(np.arange(len(labels)), linked)
