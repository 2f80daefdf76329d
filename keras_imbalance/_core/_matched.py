"""Losses that are adjusted to what a sampler draws."""

from typing import Any
from weakref import WeakSet

import numpy as np

from keras_imbalance._core._checks import invalid, shown

CLOSE = 1e-6


class MatchedLosses(WeakSet):
    """The losses that were given a sampler. A sampler has one, and so has whatever plans its epochs."""

    def __reduce__(self) -> tuple:
        return type(self), (list(self),)  # that of WeakSet holds what cannot be pickled

    def __deepcopy__(self, memo: dict) -> "MatchedLosses":
        return type(self)(self)

    def follow(self, shares: np.ndarray) -> None:
        """Adjusts every loss to the shares that are drawn from now on."""
        for loss in self:
            loss.adjust_to(shares)

    def check(self, shares: np.ndarray) -> None:
        """Raises where there are losses, of which some may be of earlier models, and none is adjusted to these shares."""
        adjusted = [loss.drawn_prior for loss in self]
        if adjusted and not any(np.allclose(prior, shares, rtol=CLOSE, atol=CLOSE) for prior in adjusted):
            raise invalid(
                "target",
                "give the shares that the loss is adjusted to",
                received=f"{shown(shares.round(4).tolist())} to be drawn, a loss for {shown(adjusted[-1].round(4).tolist())}",
                remedy="Build and compile the loss after setting the target, or let a callback of this package set it.",
            )


def matched_losses(sampler: Any) -> MatchedLosses:
    """The losses that are adjusted to what `sampler` draws; none where it keeps no such list."""
    found = getattr(sampler, "matched_losses", None)
    return MatchedLosses() if found is None else found
