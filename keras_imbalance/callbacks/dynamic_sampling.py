"""More of the classes that do badly, less of those that do well."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import Sampler, check_number, check_one_of, check_target, check_whole, invalid, shown
from keras_imbalance._keras import separate_averages
from keras_imbalance.callbacks.class_scores import (
    check_monitor,
    check_scored_model,
    check_validation_data,
    class_scores,
    logged_scores,
)
from keras_imbalance.callbacks.fit_checks import check_swap_comes_first, keys_before, warn_of_late_epoch
from keras_imbalance.callbacks.off_the_bar import keys_of_metrics
from keras_imbalance.callbacks.ownership import set_target
from keras_imbalance.callbacks.per_class_logger import PerClassLogger
from keras_imbalance.callbacks.sampling_callback import SamplingCallback
from keras_imbalance.callbacks.share_changes import describe_change
from keras_imbalance.callbacks.state_schema import Kind, list_of, number, optional, whole
from keras_imbalance.metrics import functional

RULES = ("f1", "recall")


def with_floor(weights: np.ndarray, floor: float, drawable: np.ndarray) -> np.ndarray:
    """Shares in proportion to `weights` over the drawable classes, mixed with an equal share by `floor`.

    p_j = floor / D + (1 - floor) w_j / sum_k w_k over the D drawable classes; equal shares where all weights are 0.

    Args:
        weights: float64 `(C,)`, not negative.
        floor: part of an equal share that every class keeps, in [0, 1].
        drawable: bool `(C,)`, classes that may be drawn; the others get 0.

    Returns:
        float64 `(C,)`, sum 1.

    Example:
    >>> with_floor(np.array([0.0, 0.5, 1.5]), floor=0.3, drawable=np.array([True, True, True])).round(3).tolist()
    [0.1, 0.275, 0.625]
    """
    even = drawable / drawable.sum()
    weights = np.where(drawable, weights, 0.0)
    total = weights.sum()
    return floor * even + (1 - floor) * (weights / total if total > 0 else even)


class DynamicSampling(SamplingCallback):
    """Sets a sampler's target for the next epoch from how well each class does in this one.

    A class's new share is proportional to 1 - F1, mixed with an equal share by `floor` and with its old share by
    `momentum`. Where every class is perfect, or all fail alike, the shares are equal. The scores come from the logs, so
    compile a per-class metric and pass `validation_data` to fit, or give this callback its own. After training the sampler
    has the target of before.

    A class without a score keeps its share: one that `validation_data` lacks, or whose score in the logs is NaN. (With
    zero_division=0 a metric logs 0 for a class that validation lacks, which then counts as one that fails.) Epochs in which fit
    does not validate, for its `validation_freq`, change nothing.

    Args:
        sampler: an `ArraySampler` or `StreamSampler` whose `dataset()` is fitted.
        monitor: name of a per-class metric in the logs; `{monitor}/{class}` is read for every class name of the sampler. With
            `validation_data`, the score that is computed: "val_f1", "val_recall", "val_precision", "val_specificity" or
            "val_g_mean". Defaults to None: "val_f1", or "val_recall" under the rule "recall".
        rule: "f1" and "recall" draw classes in proportion to 1 - score. Or a function of the scores, float64 `(C,)` with NaN
            for a class without one, that gives a weight `(C,)` for each class, not negative, in any scale; what it gives a
            class without a score is not used. Defaults to "f1".
        floor: part of an equal share that every class keeps, in [0, 1], so that a class that is learnt is not forgotten.
            Defaults to 0.5.
        momentum: weight of the old shares in the new ones, in [0, 1). Defaults to 0.5.
        start_epoch: the first epoch whose scores count; they set the target of the epoch after it. Defaults to 0.
        end_epoch: the first epoch whose target is left alone, as for TwoPhaseLearning(sampler, switch_epoch=end_epoch).
            Defaults to None: no end.
        validation_data: None, or data to compute the scores on in place of those in the logs: arrays `(x, y)` or
            `(x, y, sample_weight)`, data frames and text as samplers take them, or a finite dataset of such batches that can be
            read again each epoch. No metric has to be compiled, and the running ones are not touched. Defaults to None.
        batch_size: rows of arrays in `validation_data` that are predicted together. Defaults to None, what `predict` takes.
        threshold: for one sigmoid channel in `validation_data`, above it is class 1; 0 for logits. Defaults to 0.5.
        verbose: 1 prints a line at the beginning of each epoch that draws other shares. Defaults to 0.

    Raises:
        ValueError: for arguments out of range, and a floor that lets scores ask for shares that the sampler refuses, as with
            `max_repeats`, `classes_per_batch` and SMOTE of a class of one row; when training begins for another callback that
            sets the target in the same epochs, for a `monitor` that no compiled metric logs, and, with `validation_data`, for
            SwapEMAWeights(swap_on_epoch=True) after this one; at the end of the first epoch with validation when the logs lack
            the monitored keys, when no class has a score, or when the rule gives no weights.

    Warns:
        UserWarning: when training begins, where no epoch follows `start_epoch`; at the end of a first epoch without validation,
            at the end of a fit in which no epoch had scores, and at the end of an epoch that drew nothing from this
            sampler, as where another one's dataset is fitted.

    Attributes:
        history: the class shares that each epoch really drew, a list of arrays `(C,)`; `plot_sampling_distribution` draws it.
        targets: the class shares that each epoch was asked for, likewise.

    Example:
    >>> import keras, numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> x, y = np.repeat([0.0, 1.0, 1.0], [40, 8, 2])[:, None], np.repeat([0, 1, 2], [40, 8, 2])
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, activation="softmax")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> model.set_weights([np.array([[-9.0, 9.0, 0.0]]), np.array([4.0, -4.0, -5.0])])  # class 2 is never found
    >>> sampler = ArraySampler(x, y, batch_size=25, seed=0)
    >>> dynamic = DynamicSampling(sampler, rule="recall", floor=0.3, momentum=0.0, validation_data=(x, y))
    >>> _ = model.fit(sampler.dataset(), shuffle=False, epochs=2, callbacks=[dynamic], verbose=0)
    >>> print(np.round(dynamic.targets, 3).tolist())
    [[0.333, 0.333, 0.333], [0.1, 0.1, 0.8]]

    Reference: Pouyanfar et al., Dynamic Sampling in Convolutional Neural Networks for Imbalanced Data Classification, IEEE
    MIPR 2018. There F1 = 1 leaves a class without samples; `floor` prevents it.
    """

    state_schema: ClassVar[Mapping[str, Kind]] = {
        **SamplingCallback.state_schema,
        "next": optional(list_of(number(least=0))),
        "updates": whole(),
    }

    def __init__(
        self,
        sampler: Sampler,
        *,
        monitor: str | None = None,
        rule: Literal["f1", "recall"] | Callable[[np.ndarray], npt.ArrayLike] = "f1",
        floor: float = 0.5,
        momentum: float = 0.5,
        start_epoch: int = 0,
        end_epoch: int | None = None,
        validation_data: Any = None,
        batch_size: int | None = None,
        threshold: float = 0.5,
        verbose: int = 0,
    ):
        super().__init__(sampler)
        self.rule = rule if callable(rule) else check_one_of(rule, "rule", RULES)
        if not (monitor is None or isinstance(monitor, str)):
            raise invalid("monitor", "be None or the name of a metric", monitor)
        self.monitor = f"val_{'f1' if callable(rule) else rule}" if monitor is None else monitor
        self.floor = check_number(floor, "floor", 0, 1)
        self._check_floor()
        self.momentum = check_number(momentum, "momentum", 0, below=1)
        self.start_epoch = check_whole(start_epoch, "start_epoch", 0)
        self.end_epoch = check_whole(end_epoch, "end_epoch", self.start_epoch + 1, optional=True)
        self.validation_data = validation_data
        self.batch_size = check_whole(batch_size, "batch_size", 1, optional=True)
        self.threshold = check_number(threshold, "threshold")
        self.verbose = check_one_of(verbose, "verbose", (0, 1))
        if validation_data is not None:
            self.validation_data = check_validation_data(validation_data, sampler.class_names)
            check_one_of(self.monitor, "monitor", [f"val_{name}" for name in functional.SCORES])
        self._next: np.ndarray | None = None  # the target that the last scores ask for
        self._updates = 0  # how often a target followed from scores in this fit
        self._unvalidated = False  # whether an epoch had no scores

    def own_epochs(self) -> tuple[int, int | None]:
        # What follows from the scores of epoch `start_epoch` holds from the next one on.
        return self.start_epoch + 1, self.end_epoch

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        super().on_train_begin(logs)
        self._next, self._updates, self._unvalidated = None, 0, False
        if self.validation_data is not None:
            check_swap_comes_first(self, "scores the weights of that moment on its validation data")
            check_scored_model(self.model, self.sampler.num_classes)
        else:
            keys = keys_before(self, lambda other: isinstance(other, PerClassLogger))
            check_monitor(self.monitor, self.sampler.class_names, keys)
        if self.start_epoch:  # in a fit of one epoch nobody expects a second
            lost = "DynamicSampling never sets the target, which follows the scores of an epoch in the next one"
            warn_of_late_epoch(self, "start_epoch", self.start_epoch, lost, needed=self.start_epoch + 1)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._next is None:
            return
        before = self.sampler.distribution
        set_target(self.sampler, self._next)
        self._next = None
        if self.verbose:
            line = describe_change(epoch, self.sampler.class_names, before, self.sampler.distribution)
            print(f"\n{line}")  # noqa: T201, asked for by verbose

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if epoch < self.start_epoch or (self.end_epoch is not None and epoch + 1 >= self.end_epoch):
            return
        scores = self._scores(logs or {})
        if scores is None:
            self._warn_of_no_validation(epoch, logs or {})
            return
        before = self.sampler.distribution
        self._next = self.momentum * before + (1 - self.momentum) * self._wanted(scores, before)
        self._updates += 1

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        if self._unvalidated and not self._updates:
            warnings.warn(
                f"DynamicSampling never set the target: no epoch of this fit logged `{self.monitor}/<class>`. The last one "
                f"logged {shown(keys_of_metrics(logs or {}))}. Lower validation_freq, or give DynamicSampling its own "
                "validation_data.",
                stacklevel=2,
            )

    def state_dict(self) -> dict:
        following = None if self._next is None else self._next.tolist()
        return {**super().state_dict(), "next": following, "updates": self._updates}

    def load_state_dict(self, state: Mapping) -> None:
        super().load_state_dict(state)
        self._next = None if state["next"] is None else np.asarray(state["next"], dtype=np.float64)
        self._updates = int(state["updates"])

    def _drawable(self):
        """Which classes may be drawn `(C,)`; a stream that was not read yet knows no class."""
        counts = self.sampler.class_counts
        return (counts > 0) | (counts.sum() == 0)

    def _check_floor(self):
        """Raises where the sampler cannot draw what scores may ask for at most: all but the floor for its rarest class."""
        drawable = self._drawable()
        rarest = np.argmin(np.where(drawable, self.sampler.class_counts, np.inf))
        most = with_floor(np.eye(len(drawable))[rarest], self.floor, drawable)
        try:
            check_target(self.sampler, most, "floor")
        except ValueError as error:
            name = self.sampler.class_names[rarest]
            raise invalid(
                "floor",
                f"leave shares that the sampler can draw where the scores ask for class {name} alone",
                received=f"floor={self.floor:g}, so a share of {most[rarest]:.3g}",
                remedy=f"Raise floor, or change the sampler: {error.__cause__}",
            ) from error

    def _scores(self, logs):
        """Score of every class `(C,)`, NaN for one without; None for an epoch without validation."""
        if self.validation_data is not None:
            # On JAX `predict` gives the memory of the weights away, which after SwapEMAWeights may be that of the averages too.
            separate_averages(self.model.optimizer)
            return class_scores(
                self.model,
                self.validation_data,
                num_classes=self.sampler.num_classes,
                score=self.monitor.removeprefix("val_"),
                batch_size=self.batch_size,
                threshold=self.threshold,
            )
        if self.monitor.startswith("val_") and not any(key.startswith("val_") for key in logs):
            return None
        return logged_scores(logs, self.monitor, self.sampler.class_names)

    def _warn_of_no_validation(self, epoch, logs):
        """Once a fit: whether it has validation data that it reads less often, a callback is not told."""
        if not self._unvalidated and not self._updates:
            warnings.warn(
                f"DynamicSampling keeps the target: epoch {epoch + 1} had no validation, so its logs lack "
                f"`{self.monitor}/<class>`. They hold {shown(keys_of_metrics(logs))}. Pass validation_data to fit or to "
                "DynamicSampling, unless a later epoch validates, as with validation_freq.",
                stacklevel=3,
            )
        self._unvalidated = True

    def _wanted(self, scores, before):
        """The shares that the scores ask for; a class without a score keeps its share."""
        drawable = self._drawable()
        scored = drawable & ~np.isnan(scores)
        if not scored.any():
            raise invalid(
                "monitor",
                "name a score that at least one class of the sampler has",
                received=f"{self.monitor} of {scores}",
                remedy="Validate on data that has the classes, and stop at NaN losses with keras.callbacks.TerminateOnNaN.",
            )
        kept = np.where(drawable & ~scored, before, 0.0)
        weights = self._rule_weights(scores, scored)
        return kept + (1 - kept.sum()) * with_floor(weights, self.floor, scored)

    def _rule_weights(self, scores, scored):
        """What the rule gives the classes with a score; raises unless they are weights."""
        if not callable(self.rule):
            return 1 - np.clip(np.where(scored, scores, 1.0), 0.0, 1.0)
        given = np.asarray(self.rule(scores.copy()))
        fits = given.shape == scores.shape and given.dtype.kind in "biuf"
        weights = np.where(scored, given.astype(np.float64), 0.0) if fits else np.full(1, np.nan)
        if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
            raise invalid(
                "rule",
                f"give a finite weight for each of {len(scores)} classes, not negative, not all 0",
                received=f"{given} for the scores {scores}",
            )
        return weights
