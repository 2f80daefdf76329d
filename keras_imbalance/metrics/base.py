"""What all metrics share: classes with names, and keys that nothing else in the logs may take."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypedDict, get_args

import numpy as np

from keras_imbalance._core import (
    MOST_CLASSES,
    check_flag,
    check_ignored,
    check_key,
    check_names,
    check_one_of,
    check_whole,
    check_zero_division,
    invalid,
    label_tensor,
    log_names,
)
from keras_imbalance._keras import (
    Metric,
    collected_together,
    concrete,
    given_name,
    more_is_better,
    names_in_logs,
    ops,
    tell_directions,
)
from keras_imbalance.metrics.counting import Positions, SoftLabels, check_channels, positions
from keras_imbalance.metrics.wrong_labels import message_of

Average = Literal["macro", "weighted", "micro"]
MOST_IN_LOGS = 100  # classes whose values a batch logs without slowing the fit by much


class MetricArguments(TypedDict, total=False):
    """What every metric takes: see `ClassMetric`."""

    multi_label: bool
    ignore_class: int | None
    axis: int
    soft_labels: SoftLabels | None
    name: str | None
    dtype: Any


class PerClassArguments(MetricArguments, total=False):
    """What a metric with a value a class takes: see `PerClassMetric`."""

    class_names: Sequence[str] | None
    zero_division: float
    average: Average | Sequence[Average]
    log_classes: bool


class ClassMetric(Metric):
    """Base of all metrics. `update_state` takes labels and predictions by the label rule, with weights a row or a position.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel, whose two classes are both reported.
        multi_label: whether the channels are independent sigmoids, each label counted for itself. Defaults to False.
        ignore_class: label whose positions count nowhere; a class that it names is in no mean over classes, predicted or not.
            Defaults to None.
        axis: channel axis of the predictions. Defaults to -1.
        soft_labels: what a label that names no single class counts as: "argmax", its likeliest class (of a sigmoid: 1 above
            0.5), or "expected", a part of every class in proportion to its share. Defaults to None, an error.
        name: name of the metric, and prefix of its keys in the logs. Defaults to the metric's own, such as "recall".
        dtype: as in Keras; what is counted is never narrower than float32.

    Raises:
        ValueError: for arguments out of range; from `update_state` for invalid or soft labels that count (inside a compiled
            graph, which cannot raise, the result is NaN, and a warning at the end of the epoch names a label and the usual
            reason); in the first batch of fit or evaluate for two metrics that write the same keys.
    """

    default_name = ""
    class_names: list[str] | None = None  # of a metric that takes them

    def __init__(
        self,
        num_classes: int,
        *,
        multi_label: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
        soft_labels: SoftLabels | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=check_key(self.default_name if name is None else name), dtype=dtype)
        self.multi_label = check_flag(multi_label, "multi_label")
        hint = "" if self.multi_label else "One sigmoid channel has 2."
        least = 1 if self.multi_label else 2
        self.num_classes = check_whole(num_classes, "num_classes", least, most=self.most_classes(), remedy=hint)
        self.ignore_class = check_ignored(ignore_class)
        self.axis = check_whole(axis, "axis")
        self.soft_labels = check_one_of(soft_labels, "soft_labels", (None, *get_args(SoftLabels)))
        self._wrong = self.add_variable((3,), "zeros", dtype="float32", name="wrong")
        self._told_kinds: set[float] = set()

    def most_classes(self) -> int:
        """The largest number of classes whose counters can be numbered in int32."""
        return MOST_CLASSES

    def batch_of(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any,
        dtype: str,
        *,
        probabilities: bool = False,
        cut_at_half: bool = False,
    ) -> Positions:
        """The positions of a batch, lined up by the label rule; what is wrong with it is kept until `tell_wrong`."""
        y_pred = ops.convert_to_tensor(y_pred)
        check_channels(y_pred, self.num_classes, self.multi_label, self.axis)
        batch = positions(
            label_tensor(y_true),
            y_pred,
            sample_weight,
            multi_label=self.multi_label,
            ignore_class=self.ignore_class,
            axis=self.axis,
            soft_labels=self.soft_labels,
            probabilities=probabilities,
            cut_at_half=cut_at_half,
            dtype=dtype,
            told=ops.convert_to_tensor(self._wrong),
        )
        self._wrong.assign(batch.told)
        return batch

    def tell_wrong(self) -> None:
        """Warns once of an invalid label that a compiled step counted, and of likely logits, where values can be read."""
        wrong = concrete(ops.add(self._wrong, 0))
        if wrong is not None and wrong[0] > 0 and float(wrong[1]) not in self._told_kinds:
            self._told_kinds.add(float(wrong[1]))
            warnings.warn(message_of(wrong, self.num_classes), stacklevel=2)

    def excluded(self) -> int | None:
        """The class that is in no mean over classes: the ignored one, where it is one of them."""
        one_of_them = not self.multi_label and self.ignore_class in range(self.num_classes)
        return self.ignore_class if one_of_them else None

    def get_config(self) -> dict:
        own = ("num_classes", "multi_label", "ignore_class", "axis", "soft_labels")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}

    def class_values(self, name: str | None = None) -> dict[str, float]:
        """`{name}/{class}` of every class so far, from exact counts; empty for a metric of one number.

        Args:
            name: what the keys start with. Defaults to None, as in the logs.
        """
        return {}

    def log_keys(self) -> list[str]:
        """The keys that this metric writes into the logs by itself, in addition to its name; usually empty."""
        return []

    def check_log_keys(self) -> None:
        """Raises when another metric that Keras collects now would overwrite this one's keys, or be overwritten.

        Where Keras does not show which metrics it collects, nothing is checked.
        """
        self.tell_wrong()
        taken, loss_keys, outputs = _keys_collected()
        if sum(metric is self for metric, _ in taken) > 1:
            raise invalid(
                "metrics",
                "be compiled once each",
                received=f"{self!r} twice, which would mix its two sets of rows",
                remedy="Make one for each output, and one each for `metrics` and `weighted_metrics`.",
            )
        own = set(self.log_keys())
        if own & loss_keys:
            received = f"{sorted(own & loss_keys)} of {self!r}"
            raise invalid("name", "not be the key of an output's loss", received=received)
        for metric, keys in taken:
            if metric is not self and own & keys:
                raise invalid(
                    "metrics",
                    "log different keys",
                    received=f"{sorted(own & keys)[:3]} of both {self!r} and {metric!r}",
                    remedy="Give one another `name` (`prefix` for PerClassReport), or it would overwrite the other.",
                )
        if taken:
            tell_directions(self, self.monitored_keys() or names_in_logs(self, outputs))

    def logged_classes(self) -> list[str]:
        """The keys `{name}/{class}` that this metric, or PerClassLogger for it, writes into the logs; empty for one number."""
        return []

    def monitored_keys(self) -> list[str]:
        """All keys that this metric, or PerClassLogger for it, writes into the logs of an epoch; empty for its name alone."""
        return []


def _keys_collected():
    """The metrics that Keras collects now, each with the keys that it may write; keys of outputs' losses; several outputs."""
    try:
        metrics, outputs = collected_together() or ([], [])
        taken = [(metric, _keys_of(metric, outputs)) for metric in metrics]
        return taken, {f"{output}_loss" for output in outputs}, outputs
    except Exception:  # whatever Keras changes: a check that only gives an error earlier must not end a training
        return [], set(), []


def _keys_of(metric, outputs):
    own = metric.log_keys() if isinstance(metric, ClassMetric) else []
    return {*own, *([metric.name] if own else []), *names_in_logs(metric, outputs)}


@more_is_better
class PerClassMetric(ClassMetric):
    """Base of the metrics with a value a class: logs `{name}/{class}` and the macro mean as `{name}`.

    A subclass gives `class_scores` and `exact_scores`. In the list of bases it comes before the base that counts.

    The keys are the same in every model: `name` and no name of an output stands before them, so metrics of two outputs need two
    names. In a class name, what file names, format strings and experiment loggers do not take becomes "_" (`class_keys` shows
    it). EarlyStopping, ReduceLROnPlateau and ModelCheckpoint know of all keys that more is better; on tf-keras, where they
    would keep the worst epoch and a warning says so, give them mode="max". KerasTuner takes a key with its direction:
    `keras_tuner.Objective("val_f1", "max")`.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        class_names: names for the keys. Defaults to the class ids.
        zero_division: value of a class for which there is nothing to divide by: 0, 1 or NaN. Defaults to 0.
        average: which means over the classes are logged, one or several: "macro", every class alike, as `{name}`; "weighted",
            by the rows of each class, as `{name}_weighted`; "micro", all classes counted as one, as `{name}_micro`. Defaults
            to "macro".
        log_classes: False leaves the classes out of the logs of every batch, for many classes: a batch logs the means
            alone, and PerClassLogger adds the classes once an epoch. Defaults to True.
        **kwargs: those of `ClassMetric`, and of the base that counts.

    Warns:
        UserWarning: for more than 100 classes in the logs of every batch, which make a fit many times slower.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        class_names: Sequence[str] | None = None,
        zero_division: float = 0.0,
        average: Average | Sequence[Average] = "macro",
        log_classes: bool = True,
        **kwargs: Any,
    ):
        super().__init__(num_classes, **kwargs)
        self.class_names = check_names(class_names, self.num_classes)
        self.zero_division = check_zero_division(zero_division)
        self.average = _check_average(average)
        self.log_classes = check_flag(log_classes, "log_classes")
        if self.log_classes and self.num_classes > MOST_IN_LOGS:
            warnings.warn(
                f"{type(self).__name__} of {self.num_classes} classes logs a value a class in every batch, which makes a fit "
                "many times slower. Pass log_classes=False and add PerClassLogger() to the callbacks, which logs the classes "
                "once an epoch, or PerClassTable(), which prints the worst and the best.",
                stacklevel=2,
            )
        self._labels = log_names(self.class_names) or [str(i) for i in range(self.num_classes)]

    def class_scores(self) -> tuple[Any, dict[str, Any]]:
        """The value of every class so far, a tensor `(C,)`, and each mean of `average` over them."""
        raise NotImplementedError

    def exact_scores(self) -> np.ndarray:
        """The value of every class so far, `(C,)`, computed in float64."""
        raise NotImplementedError

    def result(self) -> dict:
        self.check_log_keys()
        scores, means = self.class_scores()
        classes = ops.unstack(scores, self.num_classes) if self.log_classes else []
        return dict(zip(self.log_keys(), [*classes, *(means[average] for average in self.average)], strict=True))

    def class_keys(self, name: str) -> list[str]:
        """`{name}/{class}` of every class."""
        return [f"{name}/{label}" for label in self._labels]

    def average_keys(self, name: str) -> list[str]:
        """The key of each mean over the classes."""
        return [name if average == "macro" else f"{name}_{average}" for average in self.average]

    def class_values(self, name: str | None = None) -> dict[str, float]:
        keys = self.class_keys(given_name(self) if name is None else name)
        return dict(zip(keys, map(float, self.exact_scores()), strict=True))

    def score_keys(self) -> list[str]:
        """What the keys of each score start with: the name of a metric of one score."""
        return [given_name(self)]

    def logged_classes(self) -> list[str]:
        return [key for name in self.score_keys() for key in self.class_keys(name)]

    def log_keys(self) -> list[str]:
        if self.log_classes:
            return self.monitored_keys()
        return [key for name in self.score_keys() for key in self.average_keys(name)]

    def monitored_keys(self) -> list[str]:
        return [key for name in self.score_keys() for key in (*self.class_keys(name), *self.average_keys(name))]

    def get_config(self) -> dict:
        own = {name: getattr(self, name) for name in ("class_names", "zero_division", "average", "log_classes")}
        return {**super().get_config(), **own}


def _check_average(average):
    """A list of different means; raises unless each is one."""
    given = [average] if isinstance(average, str) or not isinstance(average, Sequence) else list(average)
    for one in given:
        check_one_of(one, "average", get_args(Average))
    if not given or len(set(given)) != len(given):
        raise invalid("average", f"hold different ones of {get_args(Average)}", average)
    return given
