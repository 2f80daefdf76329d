"""What every metric of this package has: classes with names, and keys that nothing else in the logs may take."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import Metric, collected_together, names_in_logs
from keras_imbalance.metrics import checks


class ClassMetric(Metric):
    """Base of the metrics: checks and keeps the arguments that all share.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        multi_label: whether the channels are independent sigmoids, each label counted for itself. Defaults to False.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.
        name: name of the metric, and prefix of its keys.
        dtype: as in Keras.
    """

    default_name = ""

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        multi_label: bool = False,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=checks.check_key(self.default_name if name is None else name), dtype=dtype)
        if not isinstance(multi_label, (bool, np.bool_)):
            raise ValueError(f"`multi_label` must be True or False. Received: multi_label={multi_label!r}.")
        self.multi_label = bool(multi_label)
        hint = "" if multi_label else " (2 for one sigmoid channel)"
        self.num_classes = checks.whole_number(num_classes, 1 if multi_label else 2, "num_classes", hint)
        self.class_names = checks.check_names(class_names, self.num_classes)
        self.ignore_class = checks.check_ignored(ignore_class)
        self.zero_division = checks.check_zero_division(zero_division)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "class_names": self.class_names,
            "multi_label": self.multi_label,
            "ignore_class": self.ignore_class,
            "zero_division": self.zero_division,
        }

    def class_keys(self, name: str) -> list[str]:
        """`{name}/{class}` of every class."""
        return [f"{name}/{label}" for label in self.class_names or range(self.num_classes)]

    def class_values(self, name: str) -> dict[str, float]:
        """`{name}/{class}` of every class so far, from exact counts; empty for a metric of one number."""
        return {}

    def log_keys(self) -> list[str]:
        """The keys that this metric writes into the logs by itself, past the name that Keras gives it; often none."""
        return []

    def check_neighbours(self) -> None:
        """Raises when another metric that Keras collects now would overwrite this one's keys, or be overwritten."""
        collected = collected_together()
        if collected is None:
            return
        neighbours, outputs = collected
        if sum(metric is self for metric in neighbours) > 1:
            raise ValueError(
                f"A metric must be compiled once: {self!r} is there twice, and its two sets of rows would be mixed. "
                "Make one for each output, and one each for `metrics` and `weighted_metrics`."
            )
        own = set(self.log_keys())
        losses = own & {f"{output}_loss" for output in outputs}
        if losses:
            raise ValueError(f"`name` must not be the key of an output's loss. Received: {sorted(losses)} of {self!r}.")
        for metric in neighbours:
            if metric is self:
                continue
            theirs = set(metric.log_keys()) if isinstance(metric, ClassMetric) else set()
            if theirs:
                theirs = theirs | {metric.name}
            theirs = theirs | names_in_logs(metric, outputs)
            if own & theirs:
                raise ValueError(
                    f"Metrics compiled together must log different keys. Received: {sorted(own & theirs)[:3]} of both {self!r} "
                    f"and {metric!r}; one would overwrite the other. Give one another `name` (`prefix` for PerClassReport)."
                )
