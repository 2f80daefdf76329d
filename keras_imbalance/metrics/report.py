"""Scores of every class from a confusion matrix: as a table in a terminal and in a notebook, and as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_confusion,
    check_counts,
    check_ignored,
    check_names,
    check_number,
    check_whole,
    check_zero_division,
    invalid,
    number_text,
    rows_text,
    text_table,
)
from keras_imbalance._keras import ops
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.counted_pairs import CountedPairs
from keras_imbalance.metrics.intervals import class_intervals
from keras_imbalance.metrics.report_html import html_table

MANY, FEW = 100, 20
MOST_LINES = 100  # classes that the text shows
MOST_LINES_OF_HTML = 1000


class ClassificationReport:
    """Scores of every class and of all of them, from a confusion matrix; `print(report)` and notebooks show the table.

    Of more than 100 classes `print(report)` shows the 50 with the most and the 50 with the fewest rows, of more than 1,000 a
    notebook 500 and 500; `to_frame` and `to_dict` have all.

    Args:
        confusion: `(C, C)` counts, rows the true classes, such as `ConfusionMatrix.matrix()`; or `(C, 2, 2)`, one 2 x 2 matrix
            a label; or the counts of each class alone, such as `PerClassF1.exact_tally()` after `evaluate`.
        class_names: one name a class. Defaults to the class ids.
        class_counts: training rows of each class `(C,)`, for the means over classes with many (more than 100), medium
            (20 to 100) and few (less than 20) of them. Defaults to None, no groups.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.
        ignore_class: class that is in no mean over classes and in no group. Defaults to None.
        digits: digits after the point in the table. Defaults to 3.
        confidence_level: of an interval for the precision, recall and F1 of every class, in (0, 1), such as 0.95. The table
            then shows these three with their intervals. Defaults to None, no intervals.

    Attributes:
        confusion: the counts, float64; of more than 1,024 classes they are put together where they are read.
        support: rows of each class, float64 `(C,)`.
        scores: `{"precision": (C,), "recall": ..., "specificity": ..., "f1": ..., "g_mean": ...}`, float64.
        intervals: `{"precision": (C, 2), "recall": ..., "f1": ...}`, lower and upper end, NaN where there is nothing to divide
            by; empty without `confidence_level`.
        summary: `{"balanced_accuracy": ..., "geometric_mean": ..., "matthews_correlation": ..., "accuracy": ...}`; empty for
            multi-label counts.

    Raises:
        ValueError: for a matrix of another shape, negative or NaN counts, parts of rows where intervals are asked for, and
            names or counts of other lengths.

    Example:
    >>> report = ClassificationReport([[90, 5], [1, 6]], class_names=["ok", "fraud"])
    >>> print(report)
                          precision  recall  specificity     f1  g_mean  support
    ok                        0.989   0.947        0.857  0.968   0.901       95
    fraud                     0.545   0.857        0.947  0.667   0.901        7
    <BLANKLINE>
    macro mean                0.767   0.902        0.902  0.817   0.901      102
    weighted mean             0.959   0.941        0.863  0.947   0.901      102
    <BLANKLINE>
    balanced accuracy         0.902
    geometric mean            0.901
    Matthews correlation      0.656
    accuracy                  0.941

    Seven rows say little of a recall:

    >>> report = ClassificationReport([[90, 5], [1, 6]], class_names=["ok", "fraud"], digits=2, confidence_level=0.95)
    >>> for line in str(report).splitlines()[:3]:
    ...     print(line)
                           precision [95 %]      recall [95 %]          f1 [95 %]  support
    ok                    0.99 [0.94, 1.00]  0.95 [0.88, 0.98]  0.97 [0.93, 0.99]       95
    fraud                 0.55 [0.28, 0.79]  0.86 [0.49, 0.97]  0.67 [0.40, 0.85]        7

    Reference of the intervals: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """

    def __init__(
        self,
        confusion: npt.ArrayLike | functional.Tally | CountedPairs,
        *,
        class_names: Sequence[str] | None = None,
        class_counts: npt.ArrayLike | None = None,
        zero_division: float = 0.0,
        ignore_class: int | None = None,
        digits: int = 3,
        confidence_level: float | None = None,
    ):
        self._counted = counted = _checked(confusion)
        self._tally = counted.tally() if isinstance(counted, CountedPairs) else functional.tally(counted)
        size = len(self._tally.tp)
        self.class_names = check_names(class_names, size) or [str(i) for i in range(size)]
        self.class_counts = None if class_counts is None else _counts_of(class_counts, size)
        self.zero_division = check_zero_division(zero_division)
        self.digits = check_whole(digits, "digits", 0)
        self.confidence_level = check_number(confidence_level, "confidence_level", above=0, below=1, optional=True)
        ignored = check_ignored(ignore_class)
        self._excluded = ignored if ignored in range(size) and not self._tally.multi_label else None
        self.support: np.ndarray = functional.support(self._tally)
        self.scores: dict[str, np.ndarray] = {
            name: score(self._tally, zero_division=self.zero_division) for name, score in functional.SCORES.items()
        }
        self.intervals: dict[str, np.ndarray] = self._intervals()
        self.summary: dict[str, float] = {} if self._tally.multi_label else self._numbers()

    @property
    def confusion(self) -> np.ndarray:
        """The counts, float64 `(C, C)` or `(C, 2, 2)`.

        Raises:
            ValueError: for a report of the counts of each class alone, and for more than 46,340 classes.
        """
        if isinstance(self._counted, functional.Tally):
            received = "the counts of each class alone"
            remedy = f"Compile a ConfusionMatrix({len(self.support)})."
            raise invalid("confusion", "be read of a report of pairs of classes", received=received, remedy=remedy)
        return self._counted.matrix() if isinstance(self._counted, CountedPairs) else self._counted

    def macro(self) -> dict[str, float]:
        """Mean of every score over the classes that are labelled or predicted (over all with multi-label counts)."""
        return {
            name: float(functional.macro_mean(values, self._tally, excluded=self._excluded))
            for name, values in self.scores.items()
        }

    def weighted(self) -> dict[str, float]:
        """Mean of every score over the rows, each with the score of its class; NaN scores do not count."""
        return {
            name: float(functional.weighted_mean(values, self._tally, excluded=self._excluded))
            for name, values in self.scores.items()
        }

    def groups(self) -> dict[str, dict]:
        """Means over the classes with many, medium and few training rows that have rows here (Kang et al., 2020).

        The mean recall of a group is the group accuracy of the long-tail literature. A group without a class is left out.
        """
        if self.class_counts is None:
            return {}
        many, few = self.class_counts > MANY, self.class_counts < FEW
        found = {}
        averaged = np.arange(len(self.support)) != self._excluded
        for name, of_size in (("many", many), ("medium", ~many & ~few), ("few", few)):
            chosen = of_size & averaged
            if not chosen.any():
                continue
            counted = chosen & (self.support > 0)
            means = {
                score: float(functional.mean_over(counted * 1.0, values, self._tally))
                if counted.any()
                else float("nan")
                for score, values in self.scores.items()
            }
            found[name] = {"classes": int(chosen.sum()), "support": float(self.support[chosen].sum()), **means}
        return found

    def to_dict(self) -> dict:
        """All numbers as plain Python, fit for JSON: "classes" by name, "macro", "weighted", "groups" and the summary.

        A number that is not defined is None. With `confidence_level` a class also has "recall_low", "recall_high" and the like.
        """
        columns = self._columns()
        classes = {
            name: {column: float(values[i]) for column, values in columns.items()}
            for i, name in enumerate(self.class_names)
        }
        means = {"macro": self.macro(), "weighted": self.weighted(), "groups": self.groups()}
        return _plain({"classes": classes, **means, **self.summary})

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row a class, a column a score, "support", and with `confidence_level` the ends of intervals.

        Raises:
            ImportError: where pandas is not installed.

        Example:
        >>> frame = ClassificationReport([[90, 5], [1, 6]], class_names=["ok", "fraud"]).to_frame()
        >>> frame.sort_values("recall")[["recall", "support"]].round(3)
               recall  support
        class
        fraud   0.857      7.0
        ok      0.947     95.0
        """
        import pandas as pd

        return pd.DataFrame(self._columns(), index=pd.Index(self.class_names, name="class"))

    def text(self, *, digits: int | None = None) -> str:
        """The table as plain text, columns aligned; of more than 100 classes the 50 with the most and the fewest rows.

        Args:
            digits: digits after the point. Defaults to None, those of the report.
        """
        digits = self.digits if digits is None else check_whole(digits, "digits", 0)
        header, classes, *blocks = self._cells(digits, MOST_LINES)
        return text_table([[header, *classes], *blocks])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """The table as a notebook shows it."""
        cells = self._cells(self.digits, MOST_LINES_OF_HTML)
        return html_table(*cells, align="left" if self.intervals else "right")

    def _numbers(self):
        """The numbers of all classes; an ignored class is in no mean over classes."""
        numbers = {name: number(self._tally) for name, number in functional.SUMMARIES.items()}
        for mean in (functional.balanced_accuracy, functional.geometric_mean):
            numbers[mean.__name__] = mean(self._tally, excluded=self._excluded)
        return {name: float(number) for name, number in numbers.items()}

    def _intervals(self):
        if self.confidence_level is None:
            return {}
        counts = self._counted
        if isinstance(counts, (CountedPairs, functional.Tally)):
            counts = counts.counts if isinstance(counts, CountedPairs) else np.stack(counts[:4])
        if (counts % 1 != 0).any():
            remedy = "An interval goes by the number of rows, which weights do not tell."
            raise invalid("confusion", "hold whole numbers where `confidence_level` is given", counts, remedy)
        return class_intervals(self._tally, self.confidence_level)

    def _columns(self):
        """The numbers of all classes by name, each `(C,)`."""
        columns: dict[str, np.ndarray] = {}
        for name, values in self.scores.items():
            columns[name] = values
            if name in self.intervals:
                columns[f"{name}_low"], columns[f"{name}_high"] = self.intervals[name].T
        return {**columns, "support": self.support}

    def _cells(self, digits, most):
        """The header, and blocks of rows: `most` classes, means, numbers of all classes; a row is a name and its cells."""
        shown = list(self.intervals or self.scores)
        level = f" [{100 * self.confidence_level:g} %]" if self.confidence_level is not None else ""
        header = ("", *(f"{name}{level}" for name in shown), "support")
        classes = self._cells_of_classes(shown, digits, most)
        blank = _after_interval(digits) if self.intervals else ""
        mean_rows = [
            (name, *(number_text(of[score], digits) + blank for score in shown), rows_text(rows))
            for name, of, rows in self._means()
        ]
        summary = [(_readable(name), number_text(value, digits) + blank) for name, value in self.summary.items()]
        return header, *(block for block in (classes, mean_rows, summary) if block)

    def _means(self):
        """The means over all classes and over groups of them: name, scores, rows."""
        total = float(self.support.sum())
        yield "macro mean", self.macro(), total
        yield "weighted mean", self.weighted(), total
        for name, group in self.groups().items():
            plural = "" if group["classes"] == 1 else "es"
            yield f"{name} ({group['classes']} class{plural})", group, group["support"]

    def _cells_of_classes(self, shown, digits, most):
        """A row of cells for each class; of more than `most` for those with the most and the fewest rows of the data."""

        def cells(i):
            scores = (_with_interval(self.scores[score][i], self.intervals.get(score), i, digits) for score in shown)
            return (self.class_names[i], *scores, rows_text(self.support[i]))

        number = len(self.class_names)
        if number <= most:
            return [cells(i) for i in range(number)]
        order, half = np.argsort(-self.support, kind="stable"), most // 2
        left_out = (f"... {number - most} more classes",)
        return [*map(cells, order[:half]), left_out, *map(cells, order[-half:])]


def _counts_of(class_counts, size):
    counts = check_counts(class_counts, "class_counts")
    if len(counts) != size:
        raise invalid("class_counts", f"hold one count for each of {size} classes", received=f"{len(counts)} counts")
    return counts


def _checked(confusion):
    """Counts as float64: a matrix, pairs that were counted, or a tally."""
    if isinstance(confusion, CountedPairs):
        return confusion
    if not isinstance(confusion, functional.Tally):
        return check_confusion(confusion, labels_too=True)
    parts = [np.asarray(ops.convert_to_numpy(part), dtype=np.float64) for part in confusion[:4]]
    if len({part.shape for part in parts}) > 1 or parts[0].ndim != 1 or not all((part >= 0).all() for part in parts):
        raise invalid("confusion", "hold counts of each class (C,), not negative", received=f"{parts[0]}")
    tp, fn, fp, tn = parts
    return functional.Tally(tp, fn, fp, tn, confusion.multi_label)


def _with_interval(value, ends, i, digits):
    """A score, and its interval where there is one."""
    text = number_text(value, digits)
    if ends is None:
        return text
    low, high = ends[i]
    return text + (_after_interval(digits) if np.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]")


def _after_interval(digits):
    """Blanks as wide as an interval, which keep the points of a column below each other."""
    return " " * len(f" [{0:.{digits}f}, {0:.{digits}f}]")


def _readable(name):
    return name.replace("_", " ").replace("matthews", "Matthews")


def _plain(value):
    """`value` with None in the place of NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if value != value else value  # noqa: PLR0124, NaN alone differs from itself
