"""Scores of every class taken as the positive one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance import confusion
from keras_imbalance.backend import given_name, ops, register
from keras_imbalance.metrics.checks import is_number
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrixMetric


class PerClassMetric(ConfusionMatrixMetric):
    """Base of the scores that each class has: logs `{name}/{class}` and the macro mean as `{name}`.

    The macro mean goes over the classes that are labelled or predicted, as in scikit-learn (with multi_label over all). With
    `log_classes=False` the result of a batch is the macro mean alone, and PerClassLogger adds the classes once an epoch.
    """

    _direction = "up"  # what EarlyStopping and ReduceLROnPlateau read in mode "auto"

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        log_classes: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            num_classes, class_names, threshold, multi_label, top_k, ignore_class, zero_division, name, dtype
        )
        self.log_classes = bool(log_classes)

    def scores(self, counts: Any) -> Any:
        """Scores `(C,)` from a confusion matrix, `(C, C)` or `(C, 2, 2)`."""
        raise NotImplementedError

    def result(self) -> Any:
        self.check_neighbours()
        counts = self.confusion()
        scores = self.scores(counts)
        macro = confusion.macro_mean(scores, counts)
        if not self.log_classes:
            return macro
        return dict(zip(self.log_keys(), [*ops.unstack(scores, self.num_classes), macro], strict=True))

    def class_values(self, name: str) -> dict[str, float]:
        return dict(zip(self.class_keys(name), map(float, self.scores(self.matrix())), strict=True))

    def log_keys(self) -> list[str]:
        name = given_name(self)
        return [*self.class_keys(name), name] if self.log_classes else []

    def get_config(self) -> dict:
        return {**super().get_config(), "log_classes": self.log_classes}


@register
class PerClassRecall(PerClassMetric):
    """Share of each class's rows that were found, TP / (TP + FN). Logs `{name}/{class}` and the macro mean as `{name}`.

    EarlyStopping and ModelCheckpoint see by themselves that more is better of `val_{name}` alone. For one class, and for all on
    tf-keras, where they would take the least, give them mode="max".

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class without rows: 0, 1 or NaN. Defaults to 0.
        log_classes: False leaves the classes out of the logs of every batch, for many classes; see PerClassLogger.
            Defaults to True.
        name: prefix of the keys. Defaults to "recall".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, class names that would break the logs, keys that another compiled metric
            writes too, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = PerClassRecall(2, class_names=["ok", "fraud"])
    >>> metric.update_state(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'recall/ok': 1.0, 'recall/fraud': 0.5, 'recall': 0.75}

    `model.compile(optimizer, loss, metrics=[PerClassRecall(3)])`
    """

    default_name = "recall"

    def scores(self, counts: Any) -> Any:
        return confusion.recall(counts, self.zero_division)


@register
class PerClassPrecision(PerClassMetric):
    """Share of each class's predictions that were right, TP / (TP + FP). Logs `{name}/{class}` and the macro mean as `{name}`.

    EarlyStopping and ModelCheckpoint see by themselves that more is better of `val_{name}` alone. For one class, and for all on
    tf-keras, where they would take the least, give them mode="max".

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class that is never predicted: 0, 1 or NaN. Defaults to 0.
        log_classes: False leaves the classes out of the logs of every batch, for many classes; see PerClassLogger.
            Defaults to True.
        name: prefix of the keys. Defaults to "precision".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, class names that would break the logs, keys that another compiled metric
            writes too, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = PerClassPrecision(2, name="p")
    >>> metric.update_state(np.array([0, 0, 1]), np.array([0.2, 0.7, 0.9])[:, None])
    >>> {key: float(value) for key, value in metric.result().items()}
    {'p/0': 1.0, 'p/1': 0.5, 'p': 0.75}
    """

    default_name = "precision"

    def scores(self, counts: Any) -> Any:
        return confusion.precision(counts, self.zero_division)


@register
class PerClassSpecificity(PerClassMetric):
    """Share of the other classes' rows that were not taken for the class, TN / (TN + FP).

    Logs `{name}/{class}` and the macro mean as `{name}`.

    EarlyStopping and ModelCheckpoint see by themselves that more is better of `val_{name}` alone. For one class, and for all on
    tf-keras, where they would take the least, give them mode="max".

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class beside which there is no other: 0, 1 or NaN. Defaults to 0.
        log_classes: False leaves the classes out of the logs of every batch, for many classes; see PerClassLogger.
            Defaults to True.
        name: prefix of the keys. Defaults to "specificity".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, class names that would break the logs, keys that another compiled metric
            writes too, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = PerClassSpecificity(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'specificity/0': 1.0, 'specificity/1': 0.5, 'specificity': 0.75}
    """

    default_name = "specificity"

    def scores(self, counts: Any) -> Any:
        return confusion.specificity(counts, self.zero_division)


@register
class PerClassF1(PerClassMetric):
    """F-score of each class, the mean of its precision and recall. Logs `{name}/{class}` and the macro mean as `{name}`.

    F_b = (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP), with b = `beta`; b = 1 is the harmonic mean.

    EarlyStopping and ModelCheckpoint see by themselves that more is better of `val_{name}` alone. For one class, and for all on
    tf-keras, where they would take the least, give them mode="max".

    Args:
        num_classes: number of classes; 2 for one sigmoid channel, whose two classes are both reported.
        class_names: names for the log keys. Defaults to the class numbers.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: score of a class that is neither labelled nor predicted: 0, 1 or NaN. Defaults to 0.
        beta: weight of recall against precision, > 0. Defaults to 1.
        log_classes: False leaves the classes out of the logs of every batch, for many classes; see PerClassLogger.
            Defaults to True.
        name: prefix of the keys. Defaults to "f1".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, class names that would break the logs, keys that another compiled metric
            writes too, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = PerClassF1(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'f1/0': 0.667, 'f1/1': 0.667, 'f1': 0.667}

    Reference: van Rijsbergen, Information Retrieval, 1979.
    """

    default_name = "f1"

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        zero_division: float = 0.0,
        beta: float = 1.0,
        log_classes: bool = True,
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
        if not is_number(beta) or not np.isfinite(beta) or beta <= 0:
            raise ValueError(f"`beta` must be a finite number and more than 0. Received: beta={beta!r}.")
        self.beta = float(beta)

    def scores(self, counts: Any) -> Any:
        return confusion.f_beta(counts, self.beta, self.zero_division)

    def get_config(self) -> dict:
        return {**super().get_config(), "beta": self.beta}
