"""More of the classes that do badly, less of those that do well."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback
from keras_imbalance.callbacks.ownership import check_sampler, claim, release


def per_class_values(logs: Mapping, monitor: str, class_names: list[str]) -> np.ndarray:
    """The values that a per-class metric logged, float64 `(C,)`.

    Raises:
        ValueError: when the logs lack a class, with the keys that they hold.
    """
    missing = [name for name in class_names if f"{monitor}/{name}" not in logs]
    if missing:
        raise ValueError(
            f"The logs must hold `{monitor}/<class>` for every class of the sampler. Missing: {missing}. The logs hold: "
            f"{sorted(logs)}. Compile a per-class metric with that name and the sampler's class names, and pass "
            "validation_data to fit for a key that starts with val_."
        )
    return np.array([float(logs[f"{monitor}/{name}"]) for name in class_names])


def inverse_performance(scores: np.ndarray, floor: float, drawable: np.ndarray | None = None) -> np.ndarray:
    """The class distribution proportional to 1 - score, with a smallest share for every class.

    p_j = floor / C + (1 - floor) (1 - s_j) / sum_k (1 - s_k). When every score is 1 the distribution is uniform.

    Args:
        scores: float64 `(C,)` in [0, 1].
        floor: part of an equal share that every class keeps, in [0, 1].
        drawable: bool `(C,)`, classes that may be drawn; the others get 0. Defaults to all.

    Returns:
        float64 `(C,)`, sum 1.

    Example:
    >>> inverse_performance(np.array([1.0, 0.5, 0.0]), floor=0.0)
    array([0.        , 0.33333333, 0.66666667])
    """
    drawable = np.ones(len(scores), dtype=bool) if drawable is None else drawable
    even = drawable / drawable.sum()
    error = np.where(drawable, 1 - np.clip(scores, 0.0, 1.0), 0.0)
    total = error.sum()
    return floor * even + (1 - floor) * (error / total if total > 0 else even)


class DynamicSampling(Callback):
    """Sets a sampler's class distribution after every epoch from how well each class does.

    A class's new share is proportional to 1 - F1, mixed with an equal share by `floor` and with its old share by
    `momentum`. It takes effect at the next epoch.

    Args:
        sampler: an `ArraySampler` whose `dataset()` is being fitted.
        monitor: name of a per-class metric in the logs; `{monitor}/{class}` is read for every class name of the sampler.
            Defaults to "val_f1", which PerClassF1 logs for the validation data.
        floor: part of an equal share that every class keeps, in [0, 1], so that a class that is learnt is not forgotten.
            Defaults to 0.5.
        momentum: weight of the old distribution in the new one, in [0, 1). Defaults to 0.5.
        start_epoch: first epoch after which the distribution is set. Defaults to 0.
        stop_epoch: epochs from this one on are left alone, e.g. for TwoPhaseLearning(switch_epoch=stop_epoch).
            Defaults to None.
        verbose: 1 prints the distribution after each change. Defaults to 0.

    Raises:
        ValueError: for arguments out of range; at the end of the first epoch when the logs lack the monitored keys.

    Attributes:
        history: the distribution that each epoch drew from, a list of arrays `(C,)`.

    Example: `model.fit(sampler.dataset(), shuffle=False, validation_data=(x, y), callbacks=[DynamicSampling(sampler)])`.

    Reference: Pouyanfar et al., Dynamic Sampling in Convolutional Neural Networks for Imbalanced Data Classification, IEEE
    MIPR 2018. There F1 = 1 leaves a class without samples; `floor` prevents it.
    """

    def __init__(
        self,
        sampler: Any,
        monitor: str = "val_f1",
        floor: float = 0.5,
        momentum: float = 0.5,
        start_epoch: int = 0,
        stop_epoch: int | None = None,
        verbose: int = 0,
    ):
        super().__init__()
        check_sampler(sampler)
        if not 0 <= floor <= 1:
            raise ValueError(f"`floor` must be in [0, 1]. Received: floor={floor}.")
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1). Received: momentum={momentum}.")
        if start_epoch < 0 or (stop_epoch is not None and stop_epoch <= start_epoch):
            raise ValueError(
                "`start_epoch` must not be negative, and `stop_epoch` must come after it. "
                f"Received: start_epoch={start_epoch}, stop_epoch={stop_epoch}."
            )
        self.sampler = sampler
        self.monitor = monitor
        self.floor = float(floor)
        self.momentum = float(momentum)
        self.start_epoch, self.stop_epoch = start_epoch, stop_epoch
        self.verbose = verbose
        self.history: list[np.ndarray] = []

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self.history = []
        # What is set after epoch `start_epoch` holds from the next one on.
        claim(self.sampler, self, self.start_epoch + 1, self.stop_epoch, self.params)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        release(self.sampler, self)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.history.append(self.sampler.distribution)
        # What is set now holds for the next epoch: the last one that is ours sets nothing.
        if epoch < self.start_epoch or (self.stop_epoch is not None and epoch + 1 >= self.stop_epoch):
            return
        scores = per_class_values(logs or {}, self.monitor, self.sampler.class_names)
        if np.isnan(scores).any():
            raise ValueError(
                f"`{self.monitor}` must be defined for every class. Received: {scores}. Use zero_division=0."
            )
        wanted = inverse_performance(scores, self.floor, self.sampler.class_counts > 0)
        self.sampler.distribution = self.momentum * self.sampler.distribution + (1 - self.momentum) * wanted
        if self.verbose:
            shares = zip(self.sampler.class_names, self.sampler.distribution, strict=True)
            line = ", ".join(f"{name} {share:.3f}" for name, share in shares)
            print(f"\nEpoch {epoch + 1}: class distribution {line}")  # noqa: T201, asked for by verbose
