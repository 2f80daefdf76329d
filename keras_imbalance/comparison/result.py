"""What a comparison found: the table, the picture, the method to go on with, and its code."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imbalance._core import check_one_of, check_whole, columns_of, cut, invalid, number_text, text_table, wrapped
from keras_imbalance.comparison.catalogue import PLAIN
from keras_imbalance.comparison.code import code_of
from keras_imbalance.comparison.method import Method
from keras_imbalance.comparison.remedies import OBJECTIVES
from keras_imbalance.comparison.scores import METRICS, Scored
from keras_imbalance.comparison.statistics import ALPHA, Difference, differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST = 32  # columns of a name
NARROWEST = 60  # columns: a name, the mark and a score
GAP = 2


@dataclass
class Comparison:
    """What `compare_methods` found.

    Attributes:
        methods: the methods, in the order in which they were given.
        metric: the score that it is about.
        validation: scores of the validation rows, `{method: {score: float64 (J,)}}`, one a split, NaN where it was not run. A
            decision that was tuned on validation rows is scored on those that were held out from tuning.
        test: scores of the test rows, likewise. The table shows them.
        seconds: seconds of each training, `{method: float64 (J,)}`; methods that share one have the same.
        reasons: why a method has no scores, or not of all splits.
        ratio: test rows for each training row; None where the parts were given, so that "splits" are seeds.
        context: what `settings` needs to know of the fit.
    """

    methods: list[Method]
    metric: str
    splits: int
    ratio: float | None
    context: dict = field(default_factory=dict, repr=False)
    validation: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)
    test: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)
    seconds: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, method: Method, split: int, scored: Scored, seconds: float) -> None:
        """Enters the scores of a method on a split."""
        for table, scores in ((self.validation, scored.validation), (self.test, scored.test)):
            columns = table.setdefault(method.name, {})
            for name, value in scores.items():
                columns.setdefault(name, np.full(self.splits, np.nan))[split] = value
        self.seconds.setdefault(method.name, np.full(self.splits, np.nan))[split] = seconds

    def remove(self, method: Method, reason: str) -> None:
        """Takes a method that failed, or does not suit the data, out of the scores."""
        self.reasons[method.name] = reason
        for table in (self.validation, self.test, self.seconds):
            table.pop(method.name, None)

    def end(self, complete: list[str]) -> None:
        """Drops a split that some of these methods had no time for, so that all have the same splits; then sorts."""
        runs = [~np.isnan(self.seconds[name]) for name in complete]
        unfinished = np.any(runs, axis=0) & ~np.all(runs, axis=0) if runs else np.zeros(self.splits, bool)
        for name in complete:
            for values in (*self.validation[name].values(), *self.test[name].values(), self.seconds[name]):
                values[unfinished] = np.nan
        self.in_order()

    def in_order(self) -> None:
        """Puts the methods into the order in which they were given, whatever the order in which they were trained."""
        tables: list[dict] = [self.validation, self.test, self.seconds, self.reasons]
        for table in tables:
            ordered = {method.name: table[method.name] for method in self.methods if method.name in table}
            table.clear()
            table.update(ordered)

    def compare_to(self, name: str = PLAIN, metric: str | None = None) -> dict[str, Difference]:
        """What every other method scores above this one on test rows, paired by split.

        The p-values are those of the corrected resampled t-test, adjusted by Holm for the number of methods. They say how sure
        a difference on these data is, not on others.

        Args:
            name: a method with scores. Defaults to "plain".
            metric: a score. Defaults to that of the comparison.
        """
        metric = self._metric(metric)
        check_one_of(name, "name", list(self.test))
        scores = {method: columns[metric] for method, columns in self.test.items()}
        return differences(scores, name, self.ratio, METRICS[metric].higher)

    def best(self, metric: str | None = None) -> Method:
        """The method to go on with: the one of the best mean score on validation rows, the first of equals.

        Methods that were dropped on the way are not chosen. The test rows have no part in it, so that their scores of the
        method that is chosen are honest.

        Args:
            metric: a score. Defaults to that of the comparison.
        """
        metric = self._metric(metric)
        name = self._order(self.validation, self._complete(), metric)[0]
        return next(method for method in self.methods if method.name == name)

    def equal_to_best(self, metric: str | None = None) -> list[str]:
        """The method with the best mean score on test rows, and those that the test cannot tell apart from it at 5 %."""
        metric = self._metric(metric)
        first = self._order(self.test, self._complete(), metric)[0]
        others = self.compare_to(first, metric)
        return [first, *(name for name in self._complete() if name != first and not others[name].p < ALPHA)]

    def settings(self, name: str | None = None) -> str:
        """The code of a method, to paste into a fit of one's own.

        It takes `x_train`, `y_train`, `x_validation` and `y_validation` in the form in which x and y were given here.

        Args:
            name: a method. Defaults to None, that of `best()`.
        """
        known = {method.name: method for method in self.methods}
        method = self.best() if name is None else known[check_one_of(name, "name", list(known))]
        return code_of(method, {**self.context, "objective": OBJECTIVES.get(self.metric, "f1")})

    def table(self, *, width: int = 100) -> str:
        """Means and standard deviations of the test scores over the splits, best first, as text.

        "above plain" is the difference to plain training on the same split, and "in splits" in how many it was above 0. A "="
        marks the best method and those that the test cannot tell apart from it. `compare_to` has the p-values. "splits" stands
        there where methods were dropped on the way.

        Args:
            width: columns of the terminal, 60 or more. What does not fit stands in further blocks, below. Defaults to 100.
        """
        check_whole(width, "width", NARROWEST)
        lines = self._lines()
        blocks = [text_table([block[:1], block[1:]], most=LONGEST) for block in _blocks(lines, width)]
        notes = [wrapped(note, width) for note in self._notes()]
        tables = "\n\n".join(blocks if len(lines) > 1 else [])
        return "\n\n".join(part for part in (tables, "\n".join(notes)) if part)

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, a row a method: `score`, `score_std`, and what it is above plain."""
        import pandas as pd

        above = self._above_plain()
        rows = {}
        for name in self._rows():
            row: dict[str, Any] = {"splits": self._count(name)}
            for score, values in self.test[name].items():
                row[score], row[f"{score}_std"] = _mean(values), _spread(values)
            row["seconds"] = _mean(self.seconds[name])
            if name in above:
                row.update(zip(("above_plain", "above_plain_std", "above_in", "of", "p"), above[name], strict=True))
            rows[name] = {**row, "reason": self.reasons.get(name, "")}
        left_out = {name: {"reason": reason} for name, reason in self.reasons.items() if name not in rows}
        return pd.DataFrame.from_dict({**rows, **left_out}, orient="index").rename_axis("method")

    def plot(self, *, ax: Axes | None = None) -> Figure:
        """Macro recall against macro precision of every method on test rows, with the standard deviation over the splits.

        Args:
            ax: matplotlib axes to draw into. Defaults to None, a new figure.
        """
        from keras_imbalance.plots import given_or_new

        figure, ax = given_or_new(ax, (7.2, 5.2))
        for i, name in enumerate(self._rows()):
            recall, precision = (self.test[name][score] for score in ("macro_recall", "macro_precision"))
            ax.errorbar(
                _mean(recall),
                _mean(precision),
                xerr=np.nan_to_num(_spread(recall)),
                yerr=np.nan_to_num(_spread(precision)),
                fmt="osD^v"[i // 10 % 5],
                color=f"C{i % 10}",
                label=name,
                elinewidth=0.8,
                alpha=0.85,
            )
        ax.set(xlabel="macro recall", ylabel="macro precision")
        ax.grid(alpha=0.25)
        ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return figure

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        head, *rows = self._lines()
        cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        names = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes())
        return f"<table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table>{notes}"

    def _lines(self):
        """The cells of the table, its head first."""
        first, *others = self._columns() or [self.metric]
        rows = self._rows()
        equal = self.equal_to_best() if self._tested() else []
        above = self._above_plain()
        titles = [METRICS[name].title for name in (first, *others)]
        counted = ["splits"] if len({self._count(name) for name in rows}) > 1 else []  # where some were dropped
        inside = "in seeds" if self.ratio is None else "in splits"
        lines = [("method", "", titles[0], "above plain", inside, *counted, *titles[1:], "seconds")]
        for name in rows:
            score, *cells = (_with_spread(self.test[name][score]) for score in (first, *others))
            told = [*_above(above.get(name)), str(self._count(name))][: 2 + len(counted)]
            seconds = number_text(_mean(self.seconds[name]), 1)
            lines.append((name, "=" if name in equal else "", score, *told, *cells, seconds))
        return lines

    def _columns(self):
        """The scores that the table shows, that of the comparison first; the AUC where it is asked for."""
        known = next(iter(self.test.values()), {})
        shown = [name for name in METRICS if name in known and name in (self.metric, *METRICS.keys() - {"auc"})]
        return sorted(shown, key=lambda name: name != self.metric)

    def _above_plain(self):
        return self.compare_to(PLAIN) if PLAIN in self.test else {}

    def _notes(self):
        """Sentences below the table."""
        notes = self._told_apart() if self._tested() else []
        if self.ratio is None and self.splits > 1:
            notes.append(
                "Means and spreads over seeds, on the same rows; no test says how sure a difference is on others."
            )
        elif 0 < self._most() < self.splits:
            notes.append(f"The time was over: compared on {self._most()} of {self.splits} splits.")
        return [*notes, *(f"{name}: {reason}." for name, reason in self.reasons.items())]

    def _told_apart(self):
        """What the test can tell apart, in words."""
        test = f"on {self._most()} splits (corrected resampled t-test, Holm, 5 %)"
        notes = []
        if len(self.equal_to_best()) > 1:
            notes.append(f"= cannot be told apart from the best {METRICS[self.metric].title} {test}.")
        above = self._above_plain()
        if above and not any(found.p < ALPHA for found in above.values()):
            notes.append(f"No method can be told apart from plain {test}; more splits tell more.")
        return notes

    def _rows(self):
        """Methods with scores: those of all splits first, then by how many, each by the score, best first."""
        counts = sorted({self._count(name) for name in self.test}, reverse=True)
        groups = [[name for name in self.test if self._count(name) == count] for count in counts]
        return [name for group in groups for name in self._order(self.test, group, self.metric)]

    def _order(self, table, names, metric):
        sign = 1 if METRICS[metric].higher else -1
        return sorted(names, key=lambda name: -sign * _mean(table[name][metric]))

    def _complete(self):
        """Methods that were not dropped, in the order given; all with scores where none is left."""
        scored = [method.name for method in self.methods if method.name in self.test]
        return [name for name in scored if name not in self.reasons] or scored

    def _most(self):
        """Splits that the methods have which were not dropped."""
        return max(map(self._count, self._complete()), default=0)

    def _tested(self):
        """Whether a test says how sure a difference is: one split tells nothing apart, nor do the seeds of one."""
        return self.ratio is not None and self._most() > 1

    def _count(self, name):
        return int((~np.isnan(self.seconds[name])).sum())

    def _metric(self, metric):
        if not self.test:
            raise invalid("methods", "hold one that was trained", received="none", remedy="See `reasons`.")
        known = [name for name in METRICS if name in next(iter(self.test.values()))]
        return self.metric if metric is None else check_one_of(metric, "metric", known)


def _blocks(lines, width):
    """The columns of a table in as many tables as it takes to stay within `width`, each with the names of the rows."""
    sizes = [max(columns_of(cut(row[i], LONGEST)) for row in lines) for i in range(len(lines[0]))]
    blocks: list[list[int]] = []
    kept: list[int] = []
    used = sizes[0]
    for i, size in enumerate(sizes[1:], start=1):
        if used + GAP + size > width and kept:
            blocks.append(kept)
            kept, used = [], sizes[0]
        kept.append(i)
        used += GAP + size
    return [[(row[0], *(row[i] for i in block)) for row in lines] for block in [*blocks, kept]]


def _mean(values):
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _spread(values):
    values = values[~np.isnan(values)]
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _with_spread(values):
    spread = _spread(values)
    return number_text(_mean(values), 3) + ("" if np.isnan(spread) else f" ± {spread:.3f}")


def _above(found):
    """What a method is above plain, and in how many splits; nothing of plain itself."""
    if found is None or not found.splits:
        return ["", ""]
    spread = "" if np.isnan(found.std) else f" ± {found.std:.3f}"
    return [f"{found.mean:+.3f}{spread}", f"{found.above} of {found.splits}"]
