"""Scores of every class taken as the positive one. The formulas stand in `functional`."""

from typing import Any, Unpack

import numpy as np

from keras_imbalance._core import check_number
from keras_imbalance._keras import register
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.base import PerClassArguments, PerClassMetric
from keras_imbalance.metrics.confusion_matrix import CountArguments, CountingMetric


class ScoreArguments(PerClassArguments, CountArguments, total=False):
    """What a score of every class takes: see `PerClassMetric` and `CountingMetric`."""


class PerClassScore(PerClassMetric, CountingMetric):
    """Base of the scores that each class has: a subclass gives `scores` of the counts of each class.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        **kwargs: see `PerClassMetric` for class_names, zero_division, average and log_classes, `CountingMetric` for threshold
            and top_k, `ClassMetric` for multi_label, ignore_class, axis, soft_labels, name and dtype.

    Example:
    >>> import numpy as np
    >>> class PerClassMissRate(PerClassScore):
    ...     default_name = "miss_rate"
    ...
    ...     def scores(self, counts):
    ...         return 1 - functional.recall(counts)
    >>> metric = PerClassMissRate(2)
    >>> metric.update_state(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'miss_rate/0': 0.0, 'miss_rate/1': 0.5, 'miss_rate': 0.25}
    """

    def __init__(self, num_classes: int, **kwargs: Unpack[ScoreArguments]):
        super().__init__(num_classes, **kwargs)

    def scores(self, counts: functional.Tally) -> Any:
        """Scores `(C,)` from true and false positives and negatives of each class; of all classes as one, `(1,)`."""
        raise NotImplementedError

    def class_scores(self) -> tuple[Any, dict[str, Any]]:
        counts = self.tally()
        scores = self.scores(counts)
        of = {
            "macro": lambda: functional.macro_mean(scores, counts, excluded=self.excluded()),
            "weighted": lambda: functional.weighted_mean(scores, counts, excluded=self.excluded()),
            "micro": lambda: functional.micro(self.scores, counts, excluded=self.excluded()),
        }
        return scores, {average: of[average]() for average in self.average}

    def exact_scores(self) -> np.ndarray:
        return self.scores(self.exact_tally())


@register
class PerClassRecall(PerClassScore):
    """Share of each class's rows that were found, TP / (TP + FN). Logs `recall/{class}` and the macro mean as `recall`.

    See `PerClassScore` for the arguments: num_classes, and by keyword class_names, zero_division (of a class without rows),
    average, log_classes, threshold, top_k, multi_label, ignore_class, axis, soft_labels, name ("recall") and dtype.

    Example:
    >>> import numpy as np
    >>> metric = PerClassRecall(2, class_names=["ok", "fraud"])
    >>> metric.update_state(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'recall/ok': 1.0, 'recall/fraud': 0.5, 'recall': 0.75}

    `model.compile(optimizer, loss, metrics=[PerClassRecall(3)])`
    """

    default_name = "recall"

    def scores(self, counts: functional.Tally) -> Any:
        return functional.recall(counts, zero_division=self.zero_division)


@register
class PerClassPrecision(PerClassScore):
    """Share of each class's predictions that were right, TP / (TP + FP). Logs `precision/{class}`, macro mean `precision`.

    See `PerClassScore` for the arguments: num_classes, and by keyword class_names, zero_division (of a class that is never
    predicted), average, log_classes, threshold, top_k, multi_label, ignore_class, axis, soft_labels, name ("precision") and
    dtype.

    Example:
    >>> import numpy as np
    >>> metric = PerClassPrecision(2, name="p")
    >>> metric.update_state(np.array([0, 0, 1]), np.array([0.2, 0.7, 0.9])[:, None])
    >>> {key: float(value) for key, value in metric.result().items()}
    {'p/0': 1.0, 'p/1': 0.5, 'p': 0.75}
    """

    default_name = "precision"

    def scores(self, counts: functional.Tally) -> Any:
        return functional.precision(counts, zero_division=self.zero_division)


@register
class PerClassSpecificity(PerClassScore):
    """Share of the other classes' rows not taken for the class, TN / (TN + FP). Logs `specificity/{class}` and `specificity`.

    See `PerClassScore` for the arguments: num_classes, and by keyword class_names, zero_division (of a class that all rows are
    of), average, log_classes, threshold, top_k, multi_label, ignore_class, axis, soft_labels, name ("specificity") and dtype.

    Example:
    >>> import numpy as np
    >>> metric = PerClassSpecificity(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'specificity/0': 1.0, 'specificity/1': 0.5, 'specificity': 0.75}

    Reference: Yerushalmy, Statistical Problems in Assessing Methods of Medical Diagnosis, 1947.
    """

    default_name = "specificity"

    def scores(self, counts: functional.Tally) -> Any:
        return functional.specificity(counts, zero_division=self.zero_division)


@register
class PerClassIoU(PerClassScore):
    """Intersection over union of each class, TP / (TP + FN + FP). Logs `iou/{class}` and the mean, mIoU, as `iou`.

    The mean goes over the classes that are labelled or predicted; Keras's `MeanIoU` leaves out the same ones. As in the other
    metrics `ignore_class` is for void pixels, and `axis` for channels first.

    See `PerClassScore` for the arguments: num_classes, and by keyword class_names, zero_division (of a class neither labelled
    nor predicted), average, log_classes, threshold, top_k, multi_label, ignore_class, axis, soft_labels, name ("iou") and
    dtype.

    Example:
    >>> import numpy as np
    >>> metric = PerClassIoU(2, ignore_class=255)
    >>> metric.update_state(np.array([[0, 0, 1, 255]]), np.array([[0.2, 0.7, 0.9, 0.9]])[..., None])
    >>> {key: float(value) for key, value in metric.result().items()}
    {'iou/0': 0.5, 'iou/1': 0.5, 'iou': 0.5}

    Reference: Jaccard, The Distribution of the Flora in the Alpine Zone, 1912.
    """

    default_name = "iou"

    def scores(self, counts: functional.Tally) -> Any:
        return functional.iou(counts, zero_division=self.zero_division)


@register
class PerClassF1(PerClassScore):
    """F1, or F-beta, of each class: (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP). Logs `f1/{class}` and the macro mean as `f1`.

    See `PerClassScore` for the other arguments: by keyword class_names, zero_division (of a class neither labelled nor
    predicted), average, log_classes, threshold, top_k, multi_label, ignore_class, axis, soft_labels, name ("f1") and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        beta: weight of recall against precision, more than 0. Defaults to 1.

    Example:
    >>> import numpy as np
    >>> metric = PerClassF1(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> {key: round(float(value), 3) for key, value in metric.result().items()}
    {'f1/0': 0.667, 'f1/1': 0.667, 'f1': 0.667}

    Reference: van Rijsbergen, Information Retrieval, 1979.
    """

    default_name = "f1"

    def __init__(self, num_classes: int, *, beta: float = 1.0, **kwargs: Unpack[ScoreArguments]):
        super().__init__(num_classes, **kwargs)
        self.beta = check_number(beta, "beta", above=0)

    def scores(self, counts: functional.Tally) -> Any:
        return functional.f_beta(counts, beta=self.beta, zero_division=self.zero_division)

    def get_config(self) -> dict:
        return {**super().get_config(), "beta": self.beta}
