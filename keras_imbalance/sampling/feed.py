"""The rows of a sampler as a delivery takes them: batches of a plan, in NumPy."""

from typing import Any

import numpy as np

from keras_imbalance.sampling.nests import leaves, mapped
from keras_imbalance.sampling.plan import Planner
from keras_imbalance.sampling.smote import Synthesizer
from keras_imbalance.sampling.sources import Source, row_specs, taken


class Feed:
    """Makes the batches of a planner's epochs. It outlives its sampler where a dataset needs it.

    Args:
        planner: what plans and counts the epochs.
        arrays: `(x, y)` or `(x, y, sample_weight)`, nests of arrays and `Source`s of N rows; or a `Source` of such tuples.
        synthesizer: what makes new points, or None.

    Attributes:
        images: how files of images are read, where x holds their paths, else None.
    """

    def __init__(self, planner: Planner, arrays: Any, synthesizer: Synthesizer | None = None):
        self.planner, self.arrays, self.synthesizer = planner, arrays, synthesizer
        self.images: Any = None
        self.on_disk = any(isinstance(leaf, Source) or _is_mapped(leaf) for leaf in leaves(arrays))
        self.nbytes = 0 if self.on_disk else sum(leaf.nbytes for leaf in leaves(arrays))

    def batch(
        self, rows: np.ndarray, new: np.ndarray | None = None, chances: np.ndarray | None = None, *, align: bool = True
    ) -> Any:
        """The rows of a batch, new points among them where the plan has some.

        Args:
            rows: row numbers `(B,)`.
            new: which of them are new points, bool `(B,)`.
            chances: what else decides about a new point, `(B, 2)`.
            align: whether arrays begin at a multiple of 64 bytes. TensorFlow copies others; JAX and PyTorch are slower on them.
        """
        batch = mapped(
            lambda leaf: leaf.take(rows) if isinstance(leaf, Source) else taken(leaf, rows, align), self.arrays
        )
        if self.synthesizer is not None and new is not None and chances is not None and new.any():
            positions = np.flatnonzero(new)
            self.synthesizer.move(leaves(batch[:2]), positions, rows[positions], *chances[positions].T)
        return batch

    def row(self, row: int, new: bool = False, chances: np.ndarray | None = None) -> Any:
        """One row, without the axis of the batch: what a `map_fn` takes. Rows of a source may differ in shape."""
        rows = np.array([row])
        if new and chances is not None:
            return mapped(lambda leaf: leaf[0], self.batch(rows, np.array([True]), chances[None]))
        return mapped(lambda leaf: leaf.items(rows)[0] if isinstance(leaf, Source) else leaf[row], self.arrays)

    def specs(self) -> Any:
        """What a row looks like: a nest of `RowSpec`s."""
        return row_specs(self.arrays)


def _is_mapped(array):
    """Whether an array is a view of a memory-mapped file."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
