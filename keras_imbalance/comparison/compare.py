"""Which remedy helps on a user's data."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_callable,
    check_cost_matrix,
    check_flag,
    check_number,
    check_one_of,
    check_shares,
    check_whole,
    invalid,
)
from keras_imbalance._keras import keras, need_keras_3
from keras_imbalance.comparison.catalogue import PLAIN, methods_of
from keras_imbalance.comparison.code import context_of, forms_of
from keras_imbalance.comparison.method import Method
from keras_imbalance.comparison.nets import a_few, built, check_anew, check_logits, head_of, position_of
from keras_imbalance.comparison.result import Comparison
from keras_imbalance.comparison.rows import data_of, take
from keras_imbalance.comparison.schedule import Clock, better_half, carry_out, jobs_of
from keras_imbalance.comparison.scores import METRICS, score
from keras_imbalance.comparison.splits import GIVEN, check_sklearn, given_data, make_splits
from keras_imbalance.comparison.store import Store, about
from keras_imbalance.comparison.training import Task


def compare_methods(
    build_model: Callable[[Any], Any],
    x: Any = None,
    y: Any = None,
    *,
    epochs: int,
    methods: Literal["default"] | Sequence[str | Method] = "default",
    metric: str = "macro_recall",
    splits: Any = 5,
    groups: npt.ArrayLike | None = None,
    batch_size: int = 32,
    train: tuple | None = None,
    validation: float | tuple = 0.2,
    test: float | tuple = 0.2,
    class_names: Sequence[str] | None = None,
    multi_label: bool = False,
    ignore_class: int | None = None,
    cost_matrix: npt.ArrayLike | None = None,
    prior: Literal["balanced"] | npt.ArrayLike | Mapping | None = None,
    time_limit: float | None = None,
    n_jobs: int = 1,
    directory: str | os.PathLike | None = None,
    retry_failed: bool = False,
    head: Any = None,
    seed: int = 0,
    verbose: int = 1,
) -> Comparison:
    """Trains a net with each method on the same splits of the data, and says which remedies help, and how sure that is.

    On a split every method trains the same net from the same initial weights, with the same optimizer, for as many steps. What
    a method tunes, it tunes on validation rows; test rows are predicted once, when the net is trained. Methods that share a
    training, such as decisions of the plain net, share it here too.

    Its scores are repeatable: operations are deterministic and `keras.utils.set_random_seed` is called before each training,
    however they are spread over processes. The seeds of this process change by that.

    Args:
        build_model: function of the training rows of a split that gives a net, functional or sequential, not compiled, that
            ends in logits `(N, C)`, of masks `(N, ..., C)`, or in one logit for two classes; or `(model, optimizer)`. It has
            one output. It is given the rows so that a Normalization or FeatureSpace is adapted on them alone. Each call makes
            all that trains anew, a copy of a pretrained net too. Without an optimizer all train with Adam(use_ema=True,
            ema_momentum=0.98).
        x: array of N rows, a data frame, or a nest (tuple, dict) of them. A frame with columns of text comes to the net as a
            dict of columns.
        y: the class of each row: ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or names. Masks and sequences: an id for each
            position, `(N, ...)` or `(N, ..., 1)`; scores count positions, splits and samplers take whole rows, by the rarest
            class in each. With `multi_label`: 0 and 1 `(N, L)`.
        epochs: epochs of each training.
        methods: "default", all that the package has for such labels; or a list of names and `Method`s. Plain training is always
            among them.
        metric: the score that the comparison is about: "macro_recall" (balanced accuracy; with `multi_label` its mean over the
            labels), "macro_f1", "worst_recall", "average_precision", "auc", "log_loss", "calibration_error" or "cost". Defaults
            to "macro_recall".
        splits: how many random splits, stratified by class (by group where `groups` are given); or a scikit-learn splitter, or
            pairs of row numbers. With `train`: how many seeds. Defaults to 5.
        groups: group of each row `(N,)`, such as a patient, none of which is in two parts. Defaults to None.
        batch_size: rows a batch. Defaults to 32.
        train: `(x, y)` of the training rows, in place of x and y; then `validation` and `test` are such pairs too.
        validation: share of all rows to tune and choose on. Defaults to 0.2.
        test: share of all rows to test on, where `splits` is a number. Defaults to 0.2.
        class_names: names of the classes, in the order of the class ids. Defaults to those in y.
        multi_label: whether a row has several labels, each with a sigmoid of its own. Defaults to False.
        ignore_class: id of positions of masks that count nowhere, such as 255. Defaults to None.
        cost_matrix: `(C, C)`, row = true class, column = decision; not with `multi_label`. Defaults to None.
        prior: the class shares where the net is used, if they are not those of the data: "balanced", or one share a class.
            Decisions are tuned for them, and validation and test rows weighted to them. Not with `multi_label`. Defaults to
            None: those of training.
        time_limit: seconds for all of it. After each split, where time is short, the worse half of the trainings by validation
            scores is dropped (successive halving); no training begins after the limit. Defaults to None.
        n_jobs: trainings at a time, in the processes of joblib; -1: as many as it has. `joblib.parallel_config("dask")` hands
            them to a cluster. Defaults to 1: one after another, here.
        directory: folder where each training is kept when it is finished. A comparison that was killed and is started again
            goes on there, and gives the same table. What `build_model` and the functions of a method do inside is not
            compared: take a new folder when you change them. A training that failed is kept with its reason, and tried again
            where the code of these functions, or the version of a package, has changed. Defaults to None.
        retry_failed: whether to try every failed training in `directory` again, as after a full disk. Defaults to False.
        head: the layer that retraining methods renew, or its name. Defaults to the last Dense.
        seed: whole number; split k trains with seed + k. Defaults to 0.
        verbose: 1 writes a line for each training, with the time left. Defaults to 1.

    Returns:
        A `Comparison`: `table()`, `plot()`, `best()`, `settings()`, `to_frame()`.

    Raises:
        ValueError: before any training, for arguments that do not fit together, a net that gives probabilities, a class that
            cannot be divided, and a directory of another comparison. What fails in a training is a reason in the table.
        ImportError: without scikit-learn, and on tf-keras.

    Example:
    >>> import keras
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], [180, 20])
    >>> x = (rng.normal(size=(200, 2)) + 2 * y[:, None]).astype("float32")
    >>> def build_model(x_train):
    ...     return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> methods = ["plain", "plain, adjusted afterwards"]  # one training for both
    >>> found = compare_methods(build_model, x, y, epochs=2, methods=methods, splits=1, verbose=0)
    >>> list(found.test), found.test["plain"]["macro_recall"].shape
    (['plain', 'plain, adjusted afterwards'], (1,))

    References: Nadeau and Bengio, Inference for the Generalization Error, 2003; Jamieson and Talwalkar, Non-stochastic Best Arm
    Identification and Hyperparameter Optimization, 2016.
    """
    need_keras_3("compare_methods")
    check_sklearn()
    check_callable(build_model, "build_model")
    methods_of(methods)
    options = {
        "batch_size": check_whole(batch_size, "batch_size", 1),
        "epochs": check_whole(epochs, "epochs", 1),
        "seed": check_whole(seed, "seed", 0),
        "metric": check_one_of(metric, "metric", list(METRICS)),
        "cost_matrix": None if cost_matrix is None else check_cost_matrix(cost_matrix),
    }
    check_whole(verbose, "verbose", 0)
    jobs = jobs_of(n_jobs)
    check_number(time_limit, "time_limit", above=0, optional=True)
    check_flag(retry_failed, "retry_failed")
    parts = dict(zip(GIVEN, (train, validation, test), strict=True))
    form = {"class_names": class_names, "multi_label": multi_label, "ignore_class": ignore_class}
    data, rows = _rows(x, y, parts, splits, groups, options["seed"], form)
    chosen = methods_of(methods, data)
    _check_costs(options, data)
    options["prior_of_use"] = _prior_of_use(prior, data)

    keras.utils.set_random_seed(options["seed"])
    first = take(data.x, rows[0].train)
    model, optimizer = built(build_model, first)
    check_logits(model, a_few(first), data)
    check_anew((model, optimizer), built(build_model, first))
    head = position_of(model, getattr(head, "name", head))
    tasks = [
        [Task(method, build_model, data, split, i, options, head) for method in chosen] for i, split in enumerate(rows)
    ]
    forms = forms_of(x, y, data) if train is None else forms_of(train[0], train[1], data)
    found = Comparison(
        chosen,
        metric,
        len(rows),
        None if x is None else float(np.mean([len(split.test) / len(split.train) for split in rows])),
        {**context_of(tasks[0][0].run(), model, optimizer), "forms": forms},
    )
    for i, method in enumerate(chosen):
        reason = _unsuited(method, [of_split[i] for of_split in tasks], model, optimizer)
        if reason:
            found.remove(method, f"left out: {reason}")
    store = Store(directory, {} if directory is None else about(tasks[0][0], model, optimizer), retry_failed)
    _Comparing(found, store, Clock(time_limit, jobs, verbose)).run(tasks)
    return found


class _Comparing:
    """A comparison as it goes on: which trainings are left, which methods were dropped."""

    def __init__(self, found: Comparison, store: Store, clock: Clock):
        self.found, self.store, self.clock = found, store, clock
        self.alive = [method for method in found.methods if method.name not in found.reasons]
        self.failed: dict[str, int] = {}  # by method: the first split in which it failed
        self.finished: set[tuple] = set()

    def run(self, tasks: list[list[Task]]) -> None:
        """All splits at once, or one after another where there is a limit to the time."""
        waves = [[task for of_split in tasks for task in of_split]] if self.clock.limit is None else tasks
        for i, wave in enumerate(waves):
            self._train(wave)
            if self.clock.limit is not None:
                self._drop(i + 1, len(waves))
        for method in self.alive:
            if method.name not in {**self.found.test, **self.found.reasons}:
                self.found.remove(method, "not trained: the time was over")
        self.found.end([method.name for method in self.alive if method.name in self.found.test])

    def _train(self, wave):
        """Trains what the methods that are left need, and scores it."""
        ours = [task for task in wave if task.method in self.alive]
        needed: dict[tuple, Task] = {}
        for task in ours:
            needed.setdefault((task.number, task.method.training), task)
        for task, trained, stored in carry_out(list(needed.values()), self.store, self.clock, self._is_over):
            self.finished.add((task.number, task.method.training))
            for other in ours:
                if other.number == task.number and other.method.training == task.method.training:
                    self._enter(other, trained)
            left = sum(key not in self.finished for key in needed)
            self.clock.tell(task, trained, self._said(task), left, stored)

    def _enter(self, task, trained):
        """The scores of a method on a split, or why there are none."""
        method, error = task.method, trained.error
        if error is None:
            try:
                scored = score(method, task.run(), trained)
            except Exception as raised:  # a decision that fails is a row of the table, and the others go on
                error = f"{type(raised).__name__}: {raised}"
        if error is not None and task.number < self.failed.get(method.name, len(task.data.y)):
            self.failed[method.name] = task.number
            self.found.remove(method, f"failed in split {task.number + 1}: {error.rstrip('.')}")
        elif method.name not in self.failed:
            self.found.add(method, task.number, scored, trained.seconds)

    def _said(self, task):
        scores = self.found.validation.get(task.method.name)
        if scores is None:
            return self.found.reasons.get(task.method.name, "")
        metric = self.found.metric
        return f"{METRICS[metric].title} {scores[metric][task.number]:.3f} on validation"

    def _is_over(self, task):
        """Whether all methods of this training have failed."""
        sharing = [method for method in self.alive if method.training == task.method.training]
        return all(method.name in self.failed for method in sharing)

    def _drop(self, done, splits):
        """Drops the worse half of the trainings where the time is too short for all."""
        self.alive = [method for method in self.alive if method.name not in self.failed]
        trainings = self._trainings()
        needed = self.clock.needs(len(trainings) * (splits - done))
        if done == splits or needed <= self.clock.left or len(trainings) <= 2:
            return
        kept = self._better_half(trainings)
        self.clock.say(f"after split {done} dropped: {', '.join(trainings[t] for t in trainings if t not in kept)}")
        self._keep(kept, f"dropped after split {done}, in the worse half on validation rows")

    def _keep(self, kept, reason):
        """Goes on with these trainings, and says why the methods of others have no more scores."""
        dropped = {method.name for method in self.alive if method.training not in kept}
        self.found.reasons.update(dict.fromkeys(dropped & set(self.found.test), reason))
        self.alive = [method for method in self.alive if method.training in kept]

    def _trainings(self):
        """The trainings that are left, and what each is called: by its first method."""
        trainings: dict[tuple, str] = {}
        for method in self.alive:
            trainings.setdefault(method.training, method.name)
        return trainings

    def _better_half(self, trainings):
        """Those whose best method does best on validation rows, and that of plain."""
        sign = 1 if METRICS[self.found.metric].higher else -1
        scores = dict.fromkeys(trainings, -np.inf)
        for method in self.alive:
            scores[method.training] = max(scores[method.training], sign * self._mean(method))
        return better_half(scores, [method.training for method in self.alive if method.name == PLAIN])

    def _mean(self, method):
        scores = self.found.validation.get(method.name)
        return np.nan if scores is None else float(np.nanmean(scores[self.found.metric]))


def _rows(x, y, parts, splits, groups, seed, form):
    """The data, and the rows of every split."""
    pairs = [name for name, part in parts.items() if isinstance(part, (tuple, list))]
    if parts["train"] is None and not pairs:
        data = data_of(x, y, **form)
        return data, make_splits(data, splits, groups, parts["validation"], parts["test"], seed)
    _check_given(pairs, {"x": x, "y": y, "groups": groups})
    data, split = given_data(parts, **form)
    return data, [split] * check_whole(splits, "splits", 1)


def _check_given(pairs, others):
    """Raises unless train, validation and test are all pairs, and nothing else is given."""
    given = [name for name, part in others.items() if part is not None]
    if given or len(pairs) < len(GIVEN):
        requirement = "come with validation= and test= as pairs (x, y) too, and without x, y and groups"
        received = f"pairs for {', '.join(pairs) or 'none of them'}, and {', '.join(given) or 'nothing else'}"
        raise invalid("train", requirement, received=received)


def _check_one_label(argument, value, data):
    if data.multi_label:
        raise invalid(argument, "be None with multi_label", value, "It is about rows of one class.")


def _prior_of_use(prior, data):
    """The class shares of use, or None."""
    if prior is None:
        return None
    _check_one_label("prior", prior, data)
    return check_shares(prior, "prior", class_names=data.class_names)


def _check_costs(options, data):
    costs, classes = options["cost_matrix"], len(data.class_names)
    if costs is not None:
        _check_one_label("cost_matrix", costs, data)
    if costs is not None and len(costs) != classes:
        raise invalid("cost_matrix", f"be {classes} x {classes}", received=f"shape {costs.shape}")
    if costs is None and options["metric"] == "cost":
        raise invalid("cost_matrix", "be given where the metric is 'cost'", None)


def _unsuited(method, tasks, model, optimizer):
    """Why a method does not suit the data of some split, or None."""
    for task in tasks:
        run = task.run()
        run.model, run.optimizer, run.head = model, optimizer, head_of(model, run.head)
        try:
            reason = method.unsuited(run)
        except Exception as error:  # the others go on
            reason = f"its `needs` failed: {type(error).__name__}: {error}".rstrip(".")
        if reason:
            return reason
    return None
