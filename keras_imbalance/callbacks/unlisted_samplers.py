"""Samplers that a fit draws from and that its backup does not save."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance.sampling import live_samplers


class UnlistedSamplers:
    """Warns after the first epoch of a fit of each sampler that drew rows in it and is not saved.

    Nothing tells a callback which data fit was given, so what counts is which samplers of this process drew meanwhile.

    Args:
        saved: what the backup saves.
    """

    def __init__(self, saved: Sequence[Any]):
        known = set(map(id, saved))
        self._before = [
            (sampler, sampler.exposure)
            for sampler in live_samplers()
            if id(sampler) not in known and not sampler.in_order  # validation rows are the same each epoch
        ]

    def end_epoch(self) -> None:
        """Called when each epoch ends; the first one tells."""
        before, self._before = self._before, []
        for sampler, exposure in before:
            if not np.array_equal(sampler.exposure, exposure):
                warnings.warn(
                    f"{type(sampler).__name__} of {sampler.num_classes} classes draws rows in this fit and is not saved, so a "
                    "run that is killed does not resume exactly. List it in `state`.",
                    stacklevel=3,
                )
