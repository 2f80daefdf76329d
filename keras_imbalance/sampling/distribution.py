"""The live class distribution of a sampler: what callbacks read and set."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from keras_imbalance.class_counts import check_distribution, target_distribution


class LiveDistribution:
    """A class distribution over counted classes that is checked whenever it is set.

    Args:
        counts: rows per class, int64 `(C,)`.
        target: as in `target_distribution`.
        class_names: C names of the classes, for log keys and mappings. Defaults to the class numbers as text.
    """

    def __init__(self, counts: np.ndarray, target: Any, class_names: Sequence[str] | None = None):
        self._counts = counts
        names = [str(i) for i in range(len(counts))] if class_names is None else check_class_names(class_names)
        self._class_names = names
        self.owners: list[tuple] = []  # callbacks that set the distribution, kept by callbacks.ownership
        self._distribution = target_distribution(counts, target, names)

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
    def distribution(self) -> np.ndarray:
        """Share of every class in what is drawn, float64 `(C,)`, sum 1. Setting it takes effect at the next epoch."""
        return self._distribution.copy()

    @distribution.setter
    def distribution(self, shares: Any) -> None:
        shares = check_distribution(shares, self._counts, "distribution")
        self._check_drawable(shares)
        self._distribution = shares

    def set_target(self, target: Any) -> None:
        """Sets the distribution that a target stands for: a name, a number q, a mapping or an array of shares."""
        self.distribution = target_distribution(self._counts, target, self._class_names)

    def __repr__(self) -> str:
        # Keras shows this where a sampler is passed in the place of its dataset.
        return f"<{type(self).__name__} of {self.num_classes} classes: pass its .dataset() to fit>"

    def __iter__(self):
        raise TypeError(
            f"{type(self).__name__} is not iterable. Its batches are those of `sampler.dataset()`, which `fit` takes too."
        )

    def _check_drawable(self, shares: np.ndarray) -> None:
        """Raises when the sampler cannot draw these shares, for reasons of its own."""


def check_class_names(class_names: Any) -> list[str]:
    """`class_names` as text; raises unless they are different names."""
    # A set has no order, and of a mapping the keys may be the class numbers or the names.
    no_list = isinstance(class_names, (Mapping, Set, str, bytes)) or not isinstance(class_names, Iterable)
    names = [] if no_list else [str(name) for name in class_names]
    if not names or len(set(names)) != len(names) or "" in names:
        raise ValueError(
            "`class_names` must be a list of different names, one a class in the order of the class numbers. "
            f"Received: class_names={class_names!r}."
        )
    return names
