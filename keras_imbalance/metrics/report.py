"""Several per-class scores from one confusion matrix."""

from collections.abc import Sequence
from typing import Any

from keras_imbalance import confusion
from keras_imbalance.backend import ops, register
from keras_imbalance.metrics.checks import check_key
from keras_imbalance.metrics.per_class import PerClassMetric

SCORES = {
    "precision": confusion.precision,
    "recall": confusion.recall,
    "specificity": confusion.specificity,
    "f1": lambda counts, zero_division: confusion.f_beta(counts, 1.0, zero_division),
    "g_mean": confusion.g_mean,
}


@register
class PerClassReport(PerClassMetric):
    """Several scores of each class from one confusion matrix, under the keys that separate metrics would write.

    Logs `{prefix}{score}/{class}` and the macro means as `{prefix}{score}`. EarlyStopping cannot guess the direction of these
    keys: give it mode="max".

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        metrics: names of scores: "precision", "recall", "specificity", "f1", "g_mean" (the square root of recall times
            specificity). Defaults to ("precision", "recall", "f1").
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.
        log_classes: False leaves the classes out of the logs of every batch, for many classes; see PerClassLogger.
            Defaults to True.
        prefix: what the keys start with, e.g. "left_" for one of several outputs. Defaults to "".
        name: name of the metric; its keys do not hold it. Defaults to "per_class_report".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, class names that would break the logs, keys that another compiled metric
            writes too, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = PerClassReport(2, metrics=("recall", "specificity"))
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> {key: float(value) for key, value in metric.result().items()}  # doctest: +NORMALIZE_WHITESPACE
    {'recall/0': 0.5, 'recall/1': 1.0, 'recall': 0.75,
     'specificity/0': 1.0, 'specificity/1': 0.5, 'specificity': 0.75}

    `model.compile(optimizer, loss, metrics=[PerClassReport(3)])`
    """

    default_name = "per_class_report"

    def __init__(
        self,
        num_classes: int,
        metrics: Sequence[str] = ("precision", "recall", "f1"),
        class_names: Sequence[str] | None = None,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        log_classes: bool = True,
        prefix: str = "",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            num_classes,
            class_names,
            threshold,
            multi_label,
            top_k,
            ignore_class,
            zero_division,
            log_classes,
            name,
            dtype,
        )
        chosen = [] if isinstance(metrics, str) else list(metrics)
        if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(SCORES):
            raise ValueError(f"`metrics` must hold different ones of {tuple(SCORES)}. Received: metrics={metrics!r}.")
        # Metric keeps a list named `metrics` for itself.
        self.score_names = chosen
        self.prefix = "" if prefix == "" else check_key(prefix, "prefix")

    def result(self) -> dict:
        self.check_neighbours()
        counts = self.confusion()
        tally = confusion.tally(counts)
        scores = ops.stack([SCORES[name](tally, self.zero_division) for name in self.score_names])
        values = confusion.macro_mean(scores, counts)[:, None]
        if self.log_classes:
            values = ops.concatenate([scores, values], axis=-1)
        flat = ops.reshape(values, (-1,))
        return dict(zip(self.log_keys(), ops.unstack(flat, len(self.log_keys())), strict=True))

    def class_values(self, name: str) -> dict[str, float]:
        """`{prefix}{score}/{class}` of every score and class so far, whatever the name, from exact counts."""
        tally = confusion.tally(self.matrix())
        values: dict[str, float] = {}
        for score in self.score_names:
            scores = SCORES[score](tally, self.zero_division)
            values.update(zip(self.class_keys(self.prefix + score), map(float, scores), strict=True))
        return values

    def log_keys(self) -> list[str]:
        keys = []
        for score in self.score_names:
            keys += self.class_keys(self.prefix + score) if self.log_classes else []
            keys.append(self.prefix + score)
        return keys

    def get_config(self) -> dict:
        return {**super().get_config(), "metrics": self.score_names, "prefix": self.prefix}
