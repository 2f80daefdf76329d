"""What a classifier does for every class, as a table and as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance import agreement
from keras_imbalance import confusion as tables
from keras_imbalance.class_counts import check_counts
from keras_imbalance.decisions.checks import check_weights
from keras_imbalance.labels import check_ids, label_form
from keras_imbalance.metrics.checks import check_names, check_threshold, check_zero_division

SCORES: dict[str, Any] = {
    "precision": tables.precision,
    "recall": tables.recall,
    "specificity": tables.specificity,
    "f1": tables.f_beta,
    "g_mean": tables.g_mean,
}
MANY, FEW = 100, 20


class ClassificationReport:
    """Scores of every class and of all of them, from a confusion matrix. `print(report)` shows the table.

    Args:
        confusion: `(C, C)` counts, rows the true classes, such as `ConfusionMatrix.matrix()`; or `(C, 2, 2)`, one 2 x 2 matrix
            a label.
        class_names: one name a class. Defaults to the class numbers.
        counts: training rows of each class `(C,)`, for the means over classes with many (more than 100), medium (20 to 100)
            and few (less than 20) of them. Defaults to None, no groups.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.

    Attributes:
        confusion: the counts, float64.
        support: rows of each class, float64 `(C,)`.
        scores: `{"precision": (C,), "recall": ..., "specificity": ..., "f1": ..., "g_mean": ...}`, float64.
        summary: `{"balanced_accuracy": ..., "geometric_mean": ..., "matthews_correlation": ..., "accuracy": ...}`; empty for
            multi-label counts.

    Raises:
        ValueError: for a matrix of another shape, negative or NaN counts, and names or counts of other lengths.

    Example:
    >>> report = ClassificationReport([[90, 5], [2, 3]], class_names=["ok", "fraud"])
    >>> print(report)
                          precision  recall  specificity      f1  g_mean  support
    ok                       0.9783  0.9474       0.6000  0.9626  0.7539       95
    fraud                    0.3750  0.6000       0.9474  0.4615  0.7539        5
    <BLANKLINE>
    macro mean               0.6766  0.7737       0.7737  0.7121  0.7539      100
    <BLANKLINE>
    balanced accuracy        0.7737
    geometric mean           0.7539
    Matthews correlation     0.4397
    accuracy                 0.9300
    """

    def __init__(
        self, confusion: Any, class_names: Sequence[str] | None = None, counts: Any = None, zero_division: float = 0.0
    ):
        table = np.array(confusion)
        square = table.ndim == 2 and table.shape[0] == table.shape[1] >= 2
        if table.dtype.kind not in "biuf" or not (square or (table.ndim == 3 and table.shape[1:] == (2, 2))):
            raise ValueError(
                f"`confusion` must be counts of shape (C, C) or (C, 2, 2). Received: dtype {table.dtype}, shape {table.shape}. "
                "From labels and predictions make it by classification_report(y_true, y_pred)."
            )
        counted = table.astype(np.float64)
        if not np.isfinite(counted).all() or (counted < 0).any():
            raise ValueError(f"`confusion` must hold finite counts, not negative. Received: {counted.tolist()}.")
        size = len(counted)
        self.confusion = counted
        self.class_names = check_names(class_names, size) or [str(i) for i in range(size)]
        self.counts = None if counts is None else check_counts(counts, "counts")
        if self.counts is not None and len(self.counts) != size:
            raise ValueError(f"`counts` must hold one count for each of {size} classes. Received: {self.counts}.")
        self.zero_division = check_zero_division(zero_division)
        self.support: np.ndarray = tables.support(counted)
        self.scores: dict[str, np.ndarray] = {
            name: score(counted, zero_division=self.zero_division) for name, score in SCORES.items()
        }
        self.summary = _summary(counted) if square else {}

    def macro(self) -> dict[str, float]:
        """Mean of every score over the classes that are labelled or predicted (over all with multi-label counts)."""
        return {name: float(tables.macro_mean(values, self.confusion)) for name, values in self.scores.items()}

    def groups(self) -> dict[str, dict]:
        """Means over the classes with many, medium and few training rows that have rows here (Kang et al., 2020).

        The mean recall of a group is the group accuracy of the long-tail literature.
        """
        if self.counts is None:
            return {}
        many, few = self.counts > MANY, self.counts < FEW
        found = {}
        for name, chosen in (("many", many), ("medium", ~many & ~few), ("few", few)):
            counted = chosen & (self.support > 0)
            means = {
                score: float(tables.mean_over(counted * 1.0, values, self.confusion)) if counted.any() else float("nan")
                for score, values in self.scores.items()
            }
            found[name] = {"classes": int(chosen.sum()), "support": float(self.support[chosen].sum()), **means}
        return found

    def as_dict(self) -> dict:
        """All numbers as plain Python, fit for JSON: "classes" by name, "macro", "groups" and the summary."""
        columns = {**self.scores, "support": self.support}
        classes = {
            name: {column: float(values[i]) for column, values in columns.items()}
            for i, name in enumerate(self.class_names)
        }
        return {"classes": classes, "macro": self.macro(), "groups": self.groups(), **self.summary}

    def text(self, digits: int = 4) -> str:
        """The table as plain text, columns aligned."""
        columns = (*SCORES, "support")
        classes = [
            (name, [*(values[i] for values in self.scores.values()), self.support[i]])
            for i, name in enumerate(self.class_names)
        ]
        means = [("macro mean", [*self.macro().values(), self.support.sum()])]
        for name, group in self.groups().items():
            label = f"{name} ({group['classes']} class{'' if group['classes'] == 1 else 'es'})"
            means.append((label, [*(group[score] for score in SCORES), group["support"]]))
        summary = [(_readable(name), value) for name, value in self.summary.items()]
        width = max(len(name) for name, _ in [*classes, *means, *summary])
        sizes = [max(len(column), digits + 2) for column in columns]
        lines = [" " * width + "".join(f"  {column:>{size}}" for column, size in zip(columns, sizes, strict=True))]
        for block in (classes, means):
            for name, values in block:
                support = f"{values[-1]:.2f}".removesuffix(".00")
                cells = [*(f"{value:.{digits}f}" for value in values[:-1]), support]
                row = "".join(f"  {cell:>{size}}" for cell, size in zip(cells, sizes, strict=True))
                lines.append(f"{name:<{width}}{row}")
            lines.append("")
        lines += [f"{name:<{width}}  {value:>{sizes[0]}.{digits}f}" for name, value in summary]
        return "\n".join(lines).rstrip()

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()  # as the last line of a notebook's cell, too


def classification_report(
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    counts: Any = None,
    sample_weight: Any = None,
    threshold: float = 0.5,
    multi_label: bool = False,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> ClassificationReport:
    """What a classifier did for every class of a data set.

    Args:
        y_true: class ids of any shape `(N, ...)` or with a channel axis of 1, or one-hot `(N, ..., C)`; with multi_label 0
            or 1.
        y_pred: predictions of a model: `(N, ..., C)` decided by argmax, `(N, ..., 1)`, `(N,)` with fractions, or multi_label by
            `threshold`; or class ids of the shape of `y_true`.
        class_names: one name a class. Defaults to the class numbers.
        counts: training rows of each class `(C,)`, for the many, medium and few groups. Defaults to None.
        sample_weight: `(N,)`, what each row counts, finite and not negative. Defaults to None, 1.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label also one a label `(C,)`, such as the `values`
            of `tune_thresholds`. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        num_classes: number of classes where both arguments hold ids. Defaults to the number of `class_names` or `counts`, else
            to the largest id + 1.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.

    Returns:
        A `ClassificationReport`: print it, or take `.as_dict()`.

    Raises:
        ValueError: when shapes do not line up, for soft labels, names in place of class numbers, and ids out of range.

    Example:
    >>> report = classification_report([0, 0, 1], np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> report.as_dict()["classes"]["1"]["recall"]
    1.0
    """
    y_true, y_pred = _numbers(y_true, "y_true"), _numbers(y_pred, "y_pred")
    if y_pred.ndim == 1 and y_true.shape == (len(y_pred), 1):
        y_true = y_true[:, 0]
    sizes = {"class_names": class_names, "counts": counts}
    told = next(
        ((name, len(given)) for name, given in sizes.items() if given is not None), ("num_classes", num_classes)
    )
    known = told[1]
    if y_pred.ndim == 1 and not multi_label and not _are_ids(y_true, y_pred, known):
        y_pred = y_pred[:, None]  # the sigmoids of one channel
    if not multi_label and _are_ids(y_true, y_pred, known):
        labels, decided = y_true.reshape(-1), y_pred.reshape(-1)
        size = known or int(max(labels.max(initial=1), decided.max(initial=1))) + 1
        check_ids(labels, size, "y_true")
        check_ids(decided, size, "y_pred")
        places = y_true
    else:
        labels, decided, places = _decide(y_true, y_pred, threshold, multi_label)
        size = y_pred.shape[-1] if multi_label else max(y_pred.shape[-1], 2)
        if known not in (None, size):
            raise ValueError(
                f"`{told[0]}` must be for {size} classes, as y_pred of shape {y_pred.shape} is. Received: {known} classes."
            )
    weights = check_weights(sample_weight, places.shape).reshape(places.shape)
    if multi_label:
        cells = [[(truth, decision) for decision in (0, 1)] for truth in (0, 1)]
        matrix = np.array(
            [
                [(weights * (labels == t) * (decided == d)).reshape(-1, size).sum(axis=0) for t, d in row]
                for row in cells
            ]
        ).transpose(2, 0, 1)
    else:
        pairs = labels.astype(np.int64) * size + decided.astype(np.int64)
        matrix = np.bincount(pairs, weights.reshape(-1), size * size).reshape(size, size)
    return ClassificationReport(matrix, class_names, counts, zero_division)


def _summary(counts):
    total = counts.sum()
    return {
        "balanced_accuracy": float(agreement.balanced_accuracy(counts)),
        "geometric_mean": float(agreement.geometric_mean(counts)),
        "matthews_correlation": float(agreement.matthews_correlation(counts)),
        "accuracy": float(np.trace(counts) / total) if total else 0.0,
    }


def _numbers(values, name):
    table = np.asarray(values)
    if table.dtype.kind not in "biufV":
        raise ValueError(
            f"`{name}` must hold numbers. Received: dtype {table.dtype}, shape {table.shape}. Turn names into numbers first: "
            "names, ids = numpy.unique(labels, return_inverse=True)."
        )
    return table


def _are_ids(y_true, y_pred, known):
    """Whether predictions are class ids already: whole numbers of the shape of ids."""
    whole = y_pred.dtype.kind in "iub" or (y_pred.dtype.kind == "f" and y_pred.ndim == 1 and (y_pred % 1 == 0).all())
    if not whole or y_true.shape != y_pred.shape:
        return False
    if y_true.ndim < 2 or y_true.shape[-1] == 1 or y_true.max() > 1 or known not in (None, y_true.shape[-1]):
        return True
    if (y_true.sum(axis=-1) == 1).all() and (y_pred.sum(axis=-1) == 1).all():
        return False
    if known is None:
        raise ValueError(
            f"`num_classes` must say whether whole numbers of shape {y_true.shape} are ids of two classes or one channel a "
            "class. Received: num_classes=None. Flatten ids, or decide scores by argmax."
        )
    return True


def _decide(y_true, y_pred, threshold, multi_label):
    """True and predicted classes, flat (with multi_label as they are), and the labels in the shape of the places."""
    form = label_form(y_true.shape, y_pred.shape, multi_label=multi_label)
    threshold = check_threshold(threshold, y_pred.shape[-1], multi_label)
    if np.isnan(y_pred).any():
        raise ValueError("`y_pred` must not hold NaN.")
    if form != "ids":
        if not ((y_true == 0) | (y_true == 1)).all():
            other = y_true[~((y_true == 0) | (y_true == 1))][0]
            raise ValueError(
                f"`y_true` must hold hard labels, 0 or 1. Received: {other}. Number classes of -1 and 1, or of 1 and 2, anew; "
                "decide soft labels first."
            )
        if form == "distribution" and not (y_true.sum(axis=-1) == 1).all():
            raise ValueError("`y_true` must be one-hot. For rows with several classes pass multi_label=True.")
    if multi_label:
        return y_true, y_pred > threshold, y_true
    if form == "sigmoid":
        return y_true.reshape(-1), (y_pred > threshold).reshape(-1), y_true.reshape(y_pred.shape[:-1])
    labels = y_true.argmax(axis=-1) if form == "distribution" else y_true.reshape(y_pred.shape[:-1])
    check_ids(labels, y_pred.shape[-1], "y_true")
    return labels.reshape(-1), y_pred.argmax(axis=-1).reshape(-1), labels


def _readable(name):
    return name.replace("_", " ").replace("matthews", "Matthews")
