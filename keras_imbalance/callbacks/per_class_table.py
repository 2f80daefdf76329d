"""A small table of the classes in the terminal, once an epoch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_imbalance._core import (
    check_key_text,
    check_whole,
    invalid,
    nearest,
    number_text,
    rows_text,
    shown,
    text_table,
)
from keras_imbalance._keras import compiled_metrics, given_name
from keras_imbalance.callbacks.base import ImbalanceCallback
from keras_imbalance.callbacks.fit_checks import metrics_for
from keras_imbalance.metrics import ClassMetric, CountingMetric, functional

MOST = 5  # classes at each end, where not all are shown
WIDTH, LONGEST = 80, 36  # columns of a table, and of a name in it
COLUMNS = ("precision", "recall", "f1")


class Seen(NamedTuple):
    """What a metric counted in one run over the data.

    Attributes:
        title: the epoch and the run.
        run: "training" or "validation".
        names: names of the classes.
        rows: rows of each class `(C,)`.
        scores: `(C, 3)`, precision, recall and F1.
        means: `(3,)`, their macro means.
    """

    title: str
    run: str
    names: list[str]
    rows: np.ndarray
    scores: np.ndarray
    means: np.ndarray


class PerClassTable(ImbalanceCallback):
    """Prints rows, precision, recall and F1 of every class after an epoch, and how F1 changed since the table before.

    The figures are those of the validation data, or of the training epoch where it was not validated. They come from a compiled
    metric that counts decisions, such as PerClassF1, PerClassReport, MacroF1 or ConfusionMatrix; with `log_classes=False` too.
    Of more than eleven classes the five with the lowest and the five with the highest F1 are shown, among those with rows.
    A table appears when the line of the epoch is complete, and takes at most 80 columns. Put it before a ShortBar.

    Args:
        every: epochs from one table to the next; the last epoch always has one. Defaults to 1.
        metric: the metric that is read, by its name or a key that it logs, such as "left_f1" of
            `PerClassF1(3, name="left_f1")`. Defaults to None, the first one that counts decisions.

    Raises:
        ValueError: for arguments of another kind; when the model was compiled without such a metric: before the first epoch, or
            at its end where other metrics are the user's own.

    Example:
    >>> import keras, numpy as np
    >>> from keras_imbalance import PerClassF1
    >>> x, y = np.repeat([0.0, 1.0], [30, 10])[:, None], np.repeat([0, 1], [30, 10])
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile(keras.optimizers.SGD(1e-6), loss, metrics=[PerClassF1(2, class_names=["ok", "fraud"])])
    >>> _ = model.fit(x, y, validation_data=(x, y), callbacks=[PerClassTable()], verbose=0)
    Epoch 1, validation  rows  precision  recall     F1  change
    ok                     30      0.750   1.000  0.857
    fraud                  10      0.000   0.000  0.000
    macro mean             40      0.375   0.500  0.429
    <BLANKLINE>
    """

    def __init__(self, *, every: int = 1, metric: str | None = None):
        super().__init__()
        self.every = check_whole(every, "every", 1)
        self.metric = None if metric is None else check_key_text(metric, "metric")
        self._validated: tuple | None = None  # of the running epoch
        self._waiting: tuple[int, Seen] | None = None  # an epoch whose table was not printed
        self._before: dict[str, Seen] = {}  # by run, the last table

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._validated, self._waiting, self._before = None, None, {}
        metrics = metrics_for(self)
        named = {given_name(metric): metric for metric in metrics or ()}
        several = len(getattr(self.model, "output_names", None) or ()) > 1
        # Of several outputs, or of two metrics of one name, Keras makes up other names with the first batch.
        if metrics is not None and len(named) == len(metrics) and not several:
            self._chosen(named)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        # Here and not at the end of an epoch: Keras's bar completes its line after the callbacks.
        if self._waiting is not None and (self._waiting[0] + 1) % self.every == 0:
            self._print()

    def on_test_end(self, logs: Mapping | None = None) -> None:
        self._validated = self._counted()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        validated, self._validated = self._validated, None
        run = "training" if validated is None else "validation"
        self._waiting = epoch, _seen(f"Epoch {epoch + 1}, {run}", run, *(validated or self._counted()))

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        self._print()

    def _print(self) -> None:
        if self._waiting is None:
            return
        seen, self._waiting = self._waiting[1], None
        print(f"{table_of(seen, self._before.get(seen.run))}\n")  # noqa: T201, what it is for
        self._before[seen.run] = seen

    def _counted(self):
        """The metric that is read, its name where the model has several outputs, and what it counted so far."""
        name, metric = self._chosen(compiled_metrics(self.model))
        several = len(getattr(self.model, "output_names", None) or ()) > 1
        return metric, f", {name}" if several else "", metric.exact_tally()

    def _chosen(self, compiled):
        """The metric that is read and what it goes by, of compiled metrics by the name that Keras has for them."""
        counting = {key: metric for key, metric in compiled.items() if isinstance(metric, CountingMetric)}
        if not counting:
            raise _nothing_counts([key for key, metric in compiled.items() if isinstance(metric, ClassMetric)])
        known = [_name_of(key, metric) for key, metric in counting.items()]
        name, named = known[0] if self.metric is None else self.metric, _by_name(counting)
        if name not in named:
            remedy = nearest(name, named) or f"Name one of {shown(sorted(known))}."
            received = f"{name!r}, and a model compiled with {shown(sorted(known))}"
            raise invalid("metric", "name a metric that counts decisions", received=received, remedy=remedy)
        return name, named[name]


def _nothing_counts(keys):
    remedy = "Compile it with metrics=[PerClassF1(num_classes)] or another of them."
    received = f"a model compiled with {shown(sorted(keys)) if keys else 'no metric of classes'}"
    return invalid("metrics", "hold one that counts decisions for PerClassTable", received=received, remedy=remedy)


def _name_of(key, metric):
    """What the logs call a metric: its own name where its keys hold it, else what Keras calls it."""
    own = given_name(metric)
    return own if own in metric.monitored_keys() else key


def _by_name(counting):
    """The metrics by all that names one of them: the keys that they log, then what Keras calls them, then their own names."""
    own = [given_name(metric) for metric in counting.values()]
    named = {name: metric for name, metric in zip(own, counting.values(), strict=True) if own.count(name) == 1}
    named |= counting
    return named | {key: metric for metric in counting.values() for key in metric.monitored_keys()}


def _seen(title: str, run: str, metric: Any, name: str, counts: functional.Tally) -> Seen:
    zero_division = getattr(metric, "zero_division", 0.0)
    scores = [functional.SCORES[score](counts, zero_division=zero_division) for score in COLUMNS]
    means = [functional.macro_mean(values, counts, excluded=metric.excluded()) for values in scores]
    names = metric.class_names or [str(i) for i in range(metric.num_classes)]
    return Seen(title + name, run, names, functional.support(counts), np.stack(scores, axis=-1), np.array(means))


def table_of(seen: Seen, before: Seen | None) -> str:
    """The table of what was seen; `before` is what the last table showed, for the change of F1.

    Example:
    >>> scores = np.array([[0.5, 1.0, 0.667], [1.0, 0.5, 0.667]])
    >>> now = Seen("Epoch 2", "training", ["ok", "worn"], np.array([9.0, 2.0]), scores, scores.mean(axis=0))
    >>> print(table_of(now, now._replace(scores=scores - 0.1, means=now.means - 0.1)))
    Epoch 2     rows  precision  recall     F1  change
    ok             9      0.500   1.000  0.667  +0.100
    worn           2      1.000   0.500  0.667  +0.100
    macro mean    11      0.750   0.750  0.667  +0.100
    """
    change = np.full(len(seen.rows) + 1, np.nan)
    if before is not None and len(before.rows) == len(seen.rows):
        change = np.append(seen.scores[:, 2] - before.scores[:, 2], seen.means[2] - before.means[2])

    def row(name, rows, scores, gained):
        grown = "" if np.isnan(gained) else f"{gained + 0.0:+.3f}"
        return (name, rows_text(rows), *(number_text(score, 3) for score in scores), grown)

    lines: list[tuple[str, ...]] = [(seen.title, "rows", "precision", "recall", "F1", "change")]
    for i in chosen_classes(seen.rows, seen.scores[:, 2]):
        if i is None:
            lines.append((_left_out(seen.rows), ""))
        else:
            lines.append(row(seen.names[i], seen.rows[i], seen.scores[i], change[i]))
    lines.append(row("macro mean", seen.rows.sum(), seen.means, change[-1]))
    numbers = sum(max(len(row[i]) for row in lines if i < len(row)) + 2 for i in range(1, len(lines[0])))
    return text_table([lines], most=min(WIDTH - numbers, LONGEST))


def chosen_classes(rows: np.ndarray, f1: np.ndarray) -> list[int | None]:
    """The classes of a table, in order; None stands for those that are left out.

    Example:
    >>> chosen_classes(np.ones(3), np.array([0.5, 0.1, 0.9]))
    [0, 1, 2]
    >>> chosen_classes(np.ones(20), np.arange(20) / 20)
    [0, 1, 2, 3, 4, None, 15, 16, 17, 18, 19]
    """
    if len(rows) <= 2 * MOST + 1:
        return list(range(len(rows)))
    scored = np.flatnonzero((rows > 0) & ~np.isnan(f1))
    order = scored[np.argsort(f1[scored], kind="stable")].tolist()
    if len(order) <= 2 * MOST:
        return [*order, None]
    return [*order[:MOST], None, *order[-MOST:]]


def _left_out(rows):
    """How many classes a table of many leaves out, and how many of them have no rows."""
    without = int((rows == 0).sum())
    between = max(len(rows) - without - 2 * MOST, 0)
    told = [f"{between} more classes"] if between else []
    told += [f"{without} without rows"] if without else []
    return f"... {', '.join(told)}"
