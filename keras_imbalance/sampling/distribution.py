"""What a sampler is asked for, and the class shares that follow: what callbacks set and read."""

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import MatchedLosses, check_names, check_whole, invalid, target_distribution

_samplers: WeakSet = WeakSet()  # all of this process, so that a backup can tell which drew rows and is not saved


def live_samplers() -> list:
    """The samplers of this process that are still in use."""
    return list(_samplers)


class LiveDistribution:
    """Base of the samplers: a target over counted classes that is checked whenever it is set, as the `Sampler` protocol asks.

    Args:
        class_counts: rows per class, int64 `(C,)`.
        target: as in `target_distribution`.
        class_names: C names of the classes, for log keys and mappings. Defaults to the class ids as text.

    Attributes:
        matched_losses: the losses that are adjusted to what is drawn.
    """

    in_order = False  # whether every epoch is each row once, in order, as validation rows are

    def __init__(self, class_counts: np.ndarray, target: Any, class_names: Sequence[str] | None = None):
        self._counts = class_counts
        names = check_names(class_names, len(class_counts))
        self._class_names = [str(i) for i in range(len(class_counts))] if names is None else names
        self._draw_from_now_on(self._shares_of(target))
        self._target = deepcopy(target)
        self.matched_losses = MatchedLosses()
        _samplers.add(self)

    @property
    def class_counts(self) -> np.ndarray:
        """Rows of every class in the data, int64 `(C,)`."""
        return self._counts.copy()

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self._counts)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, as log keys use them."""
        return list(self._class_names)

    @property
    def target(self) -> Any:
        """What is asked for, as it was set: anything that `target_distribution` takes. Setting it acts on the next epoch."""
        return deepcopy(self._target)

    @target.setter
    def target(self, target: npt.ArrayLike | Mapping | str | float) -> None:
        self._draw_from_now_on(self._shares_of(target))
        self._target = deepcopy(target)

    @property
    def distribution(self) -> np.ndarray:
        """Share of every class in what is to be drawn, float64 `(C,)`, sum 1: what `target` stands for."""
        return self._distribution.copy()

    @property
    def history(self) -> list[np.ndarray]:
        """What every epoch so far really drew: rows of every class, a list of int64 `(C,)`."""
        raise NotImplementedError

    @property
    def drawn_prior(self) -> np.ndarray:
        """Share of every class in what the last epoch really drew, float64 `(C,)`, sum 1.

        Raises:
            ValueError: before the first epoch.
        """
        history = self.history
        if not history or not history[-1].any():
            raise invalid(
                "drawn_prior",
                "be read after an epoch",
                received="a sampler whose last epoch drew no row"
                if history
                else "a sampler that has drawn no epoch yet",
                remedy="Train an epoch first; `distribution` says what the next epoch is to draw.",
            )
        return history[-1] / history[-1].sum()

    def __repr__(self) -> str:
        # Keras shows this where a sampler is passed in the place of its dataset.
        use = "pass its .dataset() to fit" if hasattr(self, "dataset") else "the batch_sampler of a DataLoader"
        return f"<{type(self).__name__} of {self.num_classes} classes: {use}>"

    def __iter__(self):
        raise TypeError(
            f"{type(self).__name__} is not iterable. Its batches are those of `sampler.dataset()`, which `fit` takes too."
        )

    def _take_seed(self, seed: int | None) -> None:
        """Keeps the seed, and whether it was given; else it is one from Python's `random`."""
        self._seeded = seed is not None
        self.seed = random.randrange(2**31) if seed is None else check_whole(seed, "seed", 0)

    def _shares_of(self, target: Any) -> np.ndarray:
        """The shares that a target stands for; raises where the sampler cannot draw them."""
        return target_distribution(self._counts, target, class_names=self._class_names)

    def _draw_from_now_on(self, shares: np.ndarray) -> None:
        """Takes over the shares of the epochs to come."""
        self._distribution = shares

    def _check_state(self, state: Any, keys: Sequence[str], counters: Sequence[str]) -> None:
        """Raises unless a state is of a sampler of as many classes and this seed, its counters int64 `(C,)` of at least 0."""
        if not isinstance(state, Mapping) or not set(keys) <= set(state):
            raise invalid("state", f"be what `state_dict` gave, with the keys {', '.join(keys)}", state)
        counted = all(map(self._counts_rows, (*(state[key] for key in counters), *state["history"])))
        if not counted or state["seed"] != self.seed or state["epoch"] < 0:
            requirement = (
                f"be of a sampler of {self.num_classes} classes with seed {self.seed}, with counters of at least 0"
            )
            remedy = f"Build the sampler as in the run that saved it, with seed={state['seed']}."
            raise invalid("state", requirement, state, remedy)

    def _counts_rows(self, counts):
        counts = np.asarray(counts)
        return counts.shape == (self.num_classes,) and counts.dtype.kind in "iu" and bool((counts >= 0).all())

    def _json_target(self) -> Any:
        """The target as JSON types: a word, a number q, shares, or shares by class name."""
        target = self._target.to_dict() if hasattr(self._target, "to_dict") else self._target
        if isinstance(target, Mapping):
            return {k if k in self._class_names else self._class_names[k]: float(v) for k, v in target.items()}
        return target if isinstance(target, str) else np.asarray(target, dtype=np.float64).tolist()
