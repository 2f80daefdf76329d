"""Several per-class scores from the same counts."""

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np

from keras_imbalance._core import check_key, check_one_of, invalid
from keras_imbalance._keras import ops, register
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.per_class import PerClassScore, ScoreArguments

Score = Literal["precision", "recall", "specificity", "f1", "g_mean"]


@register
class PerClassReport(PerClassScore):
    """Several scores of each class from the same counts, under the keys that separate metrics would write.

    Logs `{prefix}{score}/{class}` and the macro means as `{prefix}{score}`.

    See `PerClassScore` for the other arguments: by keyword class_names, zero_division, average, log_classes, threshold, top_k,
    multi_label, ignore_class, axis, soft_labels, name ("per_class_report"; the keys do not hold it) and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        metrics: names of scores: "precision", "recall", "specificity", "f1", "g_mean" (the square root of recall times
            specificity). Defaults to ("precision", "recall", "f1").
        prefix: what the keys start with, e.g. "left_" for one of several outputs. Defaults to "".

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
        *,
        metrics: Sequence[Score] = ("precision", "recall", "f1"),
        prefix: str = "",
        **kwargs: Unpack[ScoreArguments],
    ):
        super().__init__(num_classes, **kwargs)
        chosen = list(metrics) if isinstance(metrics, Sequence) and not isinstance(metrics, str) else []
        # Keras's Metric keeps a list named `metrics` for itself.
        self.score_names = [check_one_of(name, "metrics", tuple(functional.SCORES)) for name in chosen]
        if not chosen or len(set(chosen)) != len(chosen):
            raise invalid("metrics", f"hold different ones of {tuple(functional.SCORES)}", metrics)
        self.prefix = "" if prefix == "" else check_key(prefix, "prefix")

    def scores(self, counts: functional.Tally) -> Any:
        """Scores `(scores, C)` in the order of `metrics`; of all classes as one, `(scores, 1)`."""
        found = [functional.SCORES[name](counts, zero_division=self.zero_division) for name in self.score_names]
        return (np if isinstance(found[0], np.ndarray) else ops).stack(found)

    def result(self) -> dict:
        self.check_log_keys()
        scores, means = self.class_scores()
        values = ops.stack(list(means.values()), axis=-1)
        if self.log_classes:
            values = ops.concatenate([scores, values], axis=-1)
        flat = ops.reshape(values, (-1,))
        return dict(zip(self.log_keys(), ops.unstack(flat, len(self.log_keys())), strict=True))

    def class_values(self, name: str | None = None) -> dict[str, float]:
        """`{prefix}{score}/{class}` of every score and class so far, whatever the name, from exact counts."""
        values: dict[str, float] = {}
        for key, scores in zip(self.score_keys(), self.exact_scores(), strict=True):
            values.update(zip(self.class_keys(key), map(float, scores), strict=True))
        return values

    def score_keys(self) -> list[str]:
        return [self.prefix + score for score in self.score_names]

    def get_config(self) -> dict:
        return {**super().get_config(), "metrics": self.score_names, "prefix": self.prefix}
