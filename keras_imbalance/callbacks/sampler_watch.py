"""What a sampler draws in a fit: in the logs, and a warning where it is not what a callback asked for."""

from typing import Any

import numpy as np

from keras_imbalance._core import log_names
from keras_imbalance.callbacks.drawn_in_epoch import DrawnInEpoch
from keras_imbalance.callbacks.matched_pair import warn_of_double_correction
from keras_imbalance.callbacks.off_the_bar import SHARES, is_share, keep_off_the_bar
from keras_imbalance.callbacks.ownership import note_target
from keras_imbalance.callbacks.unused_sampler import UnusedSampler


class SamplerWatch:
    """Follows the sampler of a callback, which may set its target, through one fit; made when training begins.

    At the end of each epoch it enters the class shares that the epoch really drew into the logs, as `sampling/{class}`: so they
    are in History, and in CSVLogger, TensorBoard and mlflow where these come later in the list. Keras's progress bar leaves
    them out. An epoch that draws nothing, one that draws other shares than it was told, and a loss that is given the
    counts of the data where other shares are drawn, are a warning.

    Args:
        callback: the callback, with `sampler`, `params` and `model` of the fit.
    """

    def __init__(self, callback: Any):
        self._sampler, self._model = callback.sampler, callback.model
        self._warned = False  # of a loss that corrects what the sampler has corrected
        self._unused = UnusedSampler(callback)
        self._drawn = DrawnInEpoch(callback.sampler)
        keep_off_the_bar(callback, is_share)

    def begin_epoch(self) -> None:
        """Called when an epoch begins, after a resumed run has its state and before the target is set."""
        if not (note_target(self._sampler) or self._warned):
            self._warned = warn_of_double_correction(self._model, self._sampler)
        self._unused.begin_epoch()
        self._drawn.begin_epoch()

    def end_training(self) -> None:
        """Called when the batches of an epoch are over and validation begins."""
        self._drawn.end_training()

    def end_epoch(self, epoch: int, logs: Any) -> np.ndarray:
        """The class shares that the epoch drew `(C,)`, zeros where it drew nothing; they are in the logs then."""
        shares = self._drawn.end_epoch(epoch)
        self._unused.end_epoch(epoch, drew=bool(shares.any()))
        if logs is not None:
            names = log_names(self._sampler.class_names) or []
            logs.update({f"{SHARES}{name}": float(share) for name, share in zip(names, shares, strict=True)})
        return shares
