"""More of the classes that do badly, less of those that do well."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import fit_validates
from keras_imbalance.callbacks.class_scores import SCORES, check_validation_data, class_scores
from keras_imbalance.callbacks.ownership import claim
from keras_imbalance.callbacks.sampling_callback import SamplingCallback, whole_epoch

RULES = ("f1", "recall")
COLUMNS = 100  # what a line of `verbose` fits in


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
            "validation_data to fit for a key that starts with val_; or give DynamicSampling its own validation_data."
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
    return with_floor(1 - np.clip(scores, 0.0, 1.0), floor, drawable)


def with_floor(weights: np.ndarray, floor: float, drawable: np.ndarray) -> np.ndarray:
    """The distribution in proportion to `weights` over the drawable classes, mixed with an equal share by `floor`."""
    even = drawable / drawable.sum()
    weights = np.where(drawable, weights, 0.0)
    total = weights.sum()
    return floor * even + (1 - floor) * (weights / total if total > 0 else even)


class DynamicSampling(SamplingCallback):
    """Sets a sampler's class distribution after every epoch from how well each class does.

    A class's new share is proportional to 1 - F1, mixed with an equal share by `floor` and with its old share by
    `momentum`. It takes effect at the next epoch. Where every class is perfect, or all fail alike, the shares are equal.

    A class without a score keeps its share: one that `validation_data` lacks, or whose score in the logs is NaN, as metrics
    with zero_division=nan log it. (With zero_division=0 a metric logs 0 for a class that the validation data lacks, and the
    class then counts as one that fails.) Epochs in which fit does not validate, for its `validation_freq`, change nothing.

    Args:
        sampler: an `ArraySampler` whose `dataset()` is being fitted.
        monitor: name of a per-class metric in the logs; `{monitor}/{class}` is read for every class name of the sampler. With
            `validation_data`, the score that is computed: "val_f1", "val_recall", "val_precision", "val_specificity" or
            "val_g_mean". Defaults to None: "val_f1", or "val_recall" under the rule "recall".
        rule: "f1" and "recall" draw classes in proportion to 1 - score. Or a function of the scores, float64 `(C,)` with NaN
            for a class without one, that gives a weight `(C,)` for each class, not negative, in any scale; what it gives a
            class without a score is not used. Defaults to "f1".
        floor: part of an equal share that every class keeps, in [0, 1], so that a class that is learnt is not forgotten.
            Defaults to 0.5.
        momentum: weight of the old distribution in the new one, in [0, 1). Defaults to 0.5.
        start_epoch: first epoch after which the distribution is set. Defaults to 0.
        stop_epoch: epochs from this one on are left alone, e.g. for TwoPhaseLearning(switch_epoch=stop_epoch).
            Defaults to None.
        validation_data: None, or data to compute the scores on in place of those in the logs: arrays `(x, y)` or
            `(x, y, sample_weight)`, or a finite dataset of such batches that can be read again each epoch. No metric has to be
            compiled, and the running ones are not touched. Defaults to None.
        batch_size: rows of arrays in `validation_data` that are predicted together. Defaults to None, what `predict` takes.
        threshold: for one sigmoid channel in `validation_data`, above it is class 1; 0 for logits. Defaults to 0.5.
        verbose: 1 prints the change in a line an epoch. Defaults to 0.

    Raises:
        ValueError: for arguments out of range; at the end of the first epoch with validation when the logs lack the monitored
            keys, when no class has a score, or when the rule gives no weights.

    Warns:
        UserWarning: at the end of a fit in which no epoch had scores, and at the end of a first epoch that drew nothing from
            this sampler, as where another one's dataset is fitted.

    Attributes:
        history: the distribution that each epoch drew from, a list of arrays `(C,)`; `plot_sampling_distribution` draws it.

    Example: `model.fit(sampler.dataset(), shuffle=False, validation_data=(x, y), callbacks=[DynamicSampling(sampler)])`.

    Reference: Pouyanfar et al., Dynamic Sampling in Convolutional Neural Networks for Imbalanced Data Classification, IEEE
    MIPR 2018. There F1 = 1 leaves a class without samples; `floor` prevents it.
    """

    def __init__(
        self,
        sampler: Any,
        monitor: str | None = None,
        rule: str | Callable[[np.ndarray], Any] = "f1",
        floor: float = 0.5,
        momentum: float = 0.5,
        start_epoch: int = 0,
        stop_epoch: int | None = None,
        validation_data: Any = None,
        batch_size: int | None = None,
        threshold: float = 0.5,
        verbose: int = 0,
    ):
        super().__init__(sampler)
        if not callable(rule) and rule not in RULES:
            raise ValueError(
                f"`rule` must be one of {RULES} or a function of the scores (C,). Received: rule={rule!r}."
            )
        if not (monitor is None or isinstance(monitor, str)):
            raise ValueError(f"`monitor` must be None or the name of a metric. Received: monitor={monitor!r}.")
        if not _is_number(floor) or not 0 <= floor <= 1:
            raise ValueError(f"`floor` must be in [0, 1]. Received: floor={floor!r}.")
        if not _is_number(momentum) or not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1). Received: momentum={momentum!r}.")
        if not _is_number(threshold):
            raise ValueError(f"`threshold` must be a finite number. Received: threshold={threshold!r}.")
        self.start_epoch = whole_epoch(start_epoch, "start_epoch")
        self.stop_epoch = None if stop_epoch is None else whole_epoch(stop_epoch, "stop_epoch")
        if self.stop_epoch is not None and self.stop_epoch <= self.start_epoch:
            raise ValueError(
                f"`stop_epoch` must come after `start_epoch`. Received: start_epoch={start_epoch}, stop_epoch={stop_epoch}."
            )
        self.rule = rule
        self.monitor = f"val_{'f1' if callable(rule) else rule}" if monitor is None else monitor
        self.floor, self.momentum = float(floor), float(momentum)
        self.validation_data = validation_data
        self.batch_size = None if batch_size is None else whole_epoch(batch_size, "batch_size", least=1)
        self.threshold = float(threshold)
        self.verbose = verbose
        self._number_set = 0  # how often the distribution was set in this fit
        self._waiting = False  # whether an epoch had no scores
        if validation_data is not None:
            check_validation_data(validation_data, sampler.num_classes)
            if self.monitor.removeprefix("val_") not in SCORES:
                raise ValueError(
                    f"`monitor` must be one of {tuple(f'val_{name}' for name in SCORES)} with `validation_data`. "
                    f"Received: monitor={self.monitor!r}."
                )

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        super().on_train_begin(logs)
        self._number_set, self._waiting = 0, False
        # What is set after epoch `start_epoch` holds from the next one on.
        claim(self.sampler, self, self.start_epoch + 1, self.stop_epoch, self.params)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        if self._waiting and not self._number_set:
            warnings.warn(
                f"DynamicSampling never set the distribution: no epoch of this fit logged `{self.monitor}/<class>`. The last "
                f"one logged {sorted(logs or {})}. Lower validation_freq, or give DynamicSampling its own validation_data.",
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        # What is set now holds for the next epoch: the last one that is ours sets nothing.
        if epoch < self.start_epoch or (self.stop_epoch is not None and epoch + 1 >= self.stop_epoch):
            return
        scores = self._scores(logs or {})
        if scores is None:
            self._waiting = True
            return
        before = self.sampler.distribution
        self.sampler.distribution = self.momentum * before + (1 - self.momentum) * self._wanted(scores, before)
        self._number_set += 1
        if self.verbose:
            line = describe_change(epoch, self.sampler.class_names, before, self.sampler.distribution)
            print(f"\n{line}")  # noqa: T201, asked for by verbose

    def state_dict(self) -> dict:
        return {**super().state_dict(), "number_set": self._number_set}

    def load_state_dict(self, state: Mapping) -> None:
        super().load_state_dict(state)
        self._number_set = int(state["number_set"])

    def _scores(self, logs):
        """Score of every class `(C,)`, NaN for one without; None for an epoch without validation."""
        if self.validation_data is not None:
            return class_scores(
                self.model,
                self.validation_data,
                self.sampler.num_classes,
                self.monitor.removeprefix("val_"),
                self.batch_size,
                self.threshold,
            )
        validated = any(key.startswith("val_") for key in logs)
        if self.monitor.startswith("val_") and not validated and fit_validates(self.model):
            return None
        return per_class_values(logs, self.monitor, self.sampler.class_names)

    def _wanted(self, scores, before):
        """The distribution that the scores ask for; a class without a score keeps its share."""
        counts = self.sampler.class_counts
        drawable = (counts > 0) | (counts.sum() == 0)  # a stream that was not read yet knows no class
        scored = drawable & ~np.isnan(scores)
        if not scored.any():
            raise ValueError(
                f"`{self.monitor}` must be defined for at least one class of the sampler. Received: {scores}. Validate on data "
                "that has the classes, and stop at NaN losses with keras.callbacks.TerminateOnNaN."
            )
        kept = np.where(drawable & ~scored, before, 0.0)
        weights = self._rule_weights(scores, scored)
        return kept + (1 - kept.sum()) * with_floor(weights, self.floor, scored)

    def _rule_weights(self, scores, scored):
        """What the rule gives the classes with a score; raises unless they are weights."""
        if not callable(self.rule):
            return 1 - np.clip(np.where(scored, scores, 1.0), 0.0, 1.0)
        given = np.asarray(self.rule(scores.copy()))
        weights = np.where(scored, given.astype(np.float64), 0.0) if _are_weights(given, scores) else np.full(1, np.nan)
        if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
            raise ValueError(
                f"`rule` must give a finite weight for each of {len(scores)} classes, not negative, not all 0. "
                f"Received: {given} for the scores {scores}."
            )
        return weights


def describe_change(epoch: int, class_names: list[str], before: np.ndarray, after: np.ndarray) -> str:
    """A line of at most 100 columns about the shares before and after: of all classes, or of those that changed most.

    Example:
    >>> describe_change(0, ["ok", "worn"], np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    'Epoch 1: next class shares ok .500 -> .250, worn .500 -> .750'
    """
    start = f"Epoch {epoch + 1}: next class shares "
    entries = [
        f"{_short(name)} {_share(old)} -> {_share(new)}"
        for name, old, new in zip(class_names, before, after, strict=True)
    ]
    line = start + ", ".join(entries)
    if len(line) <= COLUMNS:
        return line
    # Python's sort keeps the order of classes among equal changes.
    order = sorted(range(len(entries)), key=lambda i: -abs(after[i] - before[i]))
    shown = len(entries)
    while shown > 1 and len(line) > COLUMNS:
        shown -= 1
        line = start + ", ".join(entries[i] for i in order[:shown]) + f", and {len(entries) - shown} that change less"
    return line


def _is_number(value):
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and bool(np.isfinite(value))


def _are_weights(given, scores):
    return given.shape == scores.shape and given.dtype.kind in "biuf"


def _share(share):
    return f"{share:.3f}".removeprefix("0")


def _short(name, length=20):
    return name if len(name) <= length else name[: length - 1] + "…"
