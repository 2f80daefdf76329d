"""What an epoch of fit really drew from a sampler, and whether that is what it was told."""

import warnings

import numpy as np

from keras_imbalance._core import Sampler, shown

ROWS = 2  # of a class, within which an exact sampler draws its share
SPREADS = 5  # standard deviations, within which one does that draws each row by itself
SHARE = 0.02  # what is smaller is not worth a word


class DrawnInEpoch:
    """Follows what a sampler draws for training, epoch by epoch; what validation draws from it is left out.

    Batches come in the order in which they are drawn, so the k-th epoch of fit trains on the k-th epoch of the sampler, however
    far something between them reads ahead.

    Args:
        sampler: the sampler.
    """

    def __init__(self, sampler: Sampler):
        self._sampler = sampler
        self._told = sampler.distribution
        self._taken: int | None = None  # epochs of the sampler that were taken note of
        self._waiting: list[np.ndarray] = []  # of these, what no epoch of fit was trained on yet
        self._training = False
        self._warned = False

    def begin_epoch(self) -> None:
        """Called when an epoch begins, before its target is set."""
        self._training = True
        if self._taken is None:
            self._taken = len(self._sampler.history)

    def end_training(self) -> None:
        """Called when the batches of an epoch are over and validation begins."""
        if self._training:
            self._training, self._told = False, self._sampler.distribution
            self._waiting += self._sampler.history[self._taken :]
            self._taken = None

    def end_epoch(self, epoch: int) -> np.ndarray:
        """The class shares that the epoch drew `(C,)`, zeros where it drew nothing; warns once where they are not as told."""
        validated = not self._training
        self.end_training()
        if not validated:
            self._taken = len(self._sampler.history)
        if not self._waiting:
            return np.zeros(len(self._told))
        rows = self._waiting.pop(0)
        total = rows.sum()
        allowed = ROWS + SPREADS * np.sqrt(total * self._told * (1 - self._told)) + SHARE * total
        if not self._warned and (np.abs(rows - total * self._told) > allowed).any():
            self._warned = True
            warnings.warn(
                f"Epoch {epoch + 1} drew other class shares than its sampler was told. Received: {shown(rows / total)} for "
                f"{shown(self._told)}. What reads ahead from one epoch into the next, as .repeat().prefetch(), draws before "
                "the target is set: pass sampler.dataset() itself to fit. For a stream, check its class_counts.",
                stacklevel=3,
            )
        return rows / total
