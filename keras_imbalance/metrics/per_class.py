"""Scores of every class taken as the positive one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance import confusion
from keras_imbalance.backend import register
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrixMetric, is_number


class PerClassMetric(ConfusionMatrixMetric):
    """Base of the scores that each class has: logs `{name}/{class}` and the macro mean as `{name}`.

    The macro mean goes over the classes that are labelled or predicted, as in scikit-learn.
    """

    _direction = "up"  # what EarlyStopping and ReduceLROnPlateau read in mode "auto"

    def scores(self, counts: Any) -> Any:
        """Scores `(C,)` from a confusion matrix `(C, C)`."""
        raise NotImplementedError

    def result(self) -> dict:
        counts = self.confusion()
        scores = self.scores(counts)
        names = self.class_names or range(self.num_classes)
        values = {f"{self.name}/{name}": scores[i] for i, name in enumerate(names)}
        return {**values, self.name: confusion.macro_mean(scores, counts)}


@register
class PerClassRecall(PerClassMetric):
    """Share of each class's rows that were found, TP / (TP + FN). Logs `{name}/{class}` and the macro mean as `{name}`.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is class 1; 0 for logits. Defaults to 0.5.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class without rows: 0, 1 or NaN. Defaults to 0.
        name: prefix of the keys. Defaults to "recall".
        dtype: as in Keras.

    Example:
    >>> import numpy as np
    >>> metric = PerClassRecall(2, class_names=["ok", "fraud"])
    >>> metric.update_state(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'recall/ok': 1.0, 'recall/fraud': 0.5, 'recall': 0.75}
    """

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float = 0.5,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        name: str = "recall",
        dtype: Any = None,
    ):
        super().__init__(num_classes, class_names, threshold, ignore_class, zero_division, name, dtype)

    def scores(self, counts: Any) -> Any:
        return confusion.recall(counts, self.zero_division)


@register
class PerClassPrecision(PerClassMetric):
    """Share of each class's predictions that were right, TP / (TP + FP). Logs `{name}/{class}` and the macro mean as `{name}`.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is class 1; 0 for logits. Defaults to 0.5.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class that is never predicted: 0, 1 or NaN. Defaults to 0.
        name: prefix of the keys. Defaults to "precision".
        dtype: as in Keras.

    Example:
    >>> import numpy as np
    >>> metric = PerClassPrecision(2, name="p")
    >>> metric.update_state(np.array([0, 0, 1]), np.array([0.2, 0.7, 0.9])[:, None])
    >>> {key: float(value) for key, value in metric.result().items()}
    {'p/0': 1.0, 'p/1': 0.5, 'p': 0.75}
    """

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float = 0.5,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        name: str = "precision",
        dtype: Any = None,
    ):
        super().__init__(num_classes, class_names, threshold, ignore_class, zero_division, name, dtype)

    def scores(self, counts: Any) -> Any:
        return confusion.precision(counts, self.zero_division)


@register
class PerClassF1(PerClassMetric):
    """F-score of each class, the mean of its precision and recall. Logs `{name}/{class}` and the macro mean as `{name}`.

    F_b = (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP), with b = `beta`; b = 1 is the harmonic mean.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is class 1; 0 for logits. Defaults to 0.5.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class that is neither labelled nor predicted: 0, 1 or NaN. Defaults to 0.
        beta: weight of recall against precision, > 0. Defaults to 1.
        name: prefix of the keys. Defaults to "f1".
        dtype: as in Keras.

    Example:
    >>> import numpy as np
    >>> metric = PerClassF1(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'f1/0': 0.667, 'f1/1': 0.667, 'f1': 0.667}
    """

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float = 0.5,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        beta: float = 1.0,
        name: str = "f1",
        dtype: Any = None,
    ):
        super().__init__(num_classes, class_names, threshold, ignore_class, zero_division, name, dtype)
        if not is_number(beta) or not np.isfinite(beta) or beta <= 0:
            raise ValueError(f"`beta` must be a finite number and more than 0. Received: beta={beta!r}.")
        self.beta = float(beta)

    def scores(self, counts: Any) -> Any:
        return confusion.f_beta(counts, self.beta, self.zero_division)

    def get_config(self) -> dict:
        return {**super().get_config(), "beta": self.beta}
