"""Which class was taken for which: a confusion matrix, or of many classes only the cells that hold something."""

from typing import Any, NamedTuple

import numpy as np

from keras_imbalance._core import invalid
from keras_imbalance.metrics import functional

MOST_OF_A_TABLE = 1024  # classes whose matrix takes less time and memory than a sort of the rows
MOST_OF_A_MATRIX = 46_340  # a cell of a C x C matrix has a number in int32


class CountedPairs(NamedTuple):
    """The cells of a confusion matrix that hold something: memory by the rows, not by the square of the classes.

    Attributes:
        labels: int64 `(P,)`, true classes.
        predictions: int64 `(P,)`, predicted classes.
        counts: float64 `(P,)`, what each of these pairs counts.
        num_classes: number of classes C.
    """

    labels: np.ndarray
    predictions: np.ndarray
    counts: np.ndarray
    num_classes: int

    def tally(self) -> functional.Tally:
        """True and false positives and negatives of each class, float64 `(C,)`."""
        hit, size = self.labels == self.predictions, self.num_classes
        tp = np.bincount(self.labels[hit], self.counts[hit], size)
        fn = np.bincount(self.labels[~hit], self.counts[~hit], size)
        return functional.tally_of(tp, fn, np.bincount(self.predictions[~hit], self.counts[~hit], size))

    def matrix(self) -> np.ndarray:
        """The whole matrix, float64 `(C, C)`.

        Raises:
            ValueError: for more than 46,340 classes.
        """
        if self.num_classes > MOST_OF_A_MATRIX:
            received = f"a report of {self.num_classes} classes"
            requirement = f"be read of at most {MOST_OF_A_MATRIX} classes"
            raise invalid("confusion", requirement, received=received, remedy="Its scores need no matrix.")
        matrix = np.zeros((self.num_classes, self.num_classes))
        matrix[self.labels, self.predictions] = self.counts
        return matrix


def count_pairs(labels: np.ndarray, predictions: np.ndarray, *, num_classes: int, weights: np.ndarray) -> Any:
    """Counts every pair of true and predicted class: `(C, C)`, or `CountedPairs` of more than 1,024 classes.

    Args:
        labels: int64 `(N,)`, true class ids.
        predictions: int64 `(N,)`, predicted class ids.
        num_classes: number of classes C.
        weights: float64 `(N,)`, what each row counts.

    Example:
    >>> counted = count_pairs(np.array([0, 0, 9]), np.array([0, 7, 7]), num_classes=5000, weights=np.ones(3))
    >>> counted.labels, counted.predictions, counted.tally().tp[:2]
    (array([0, 0, 9]), array([0, 7, 7]), array([1., 0.]))
    """
    if num_classes <= MOST_OF_A_TABLE:
        return functional.confusion_matrix(labels, predictions, num_classes=num_classes, weights=weights)
    cells, position = np.unique(labels * num_classes + predictions, return_inverse=True)
    return CountedPairs(*np.divmod(cells, num_classes), np.bincount(position, weights, len(cells)), num_classes)
