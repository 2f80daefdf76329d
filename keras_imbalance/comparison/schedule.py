"""Which trainings come next, in which process, and when it is time to stop."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_imbalance._core import check_whole, invalid
from keras_imbalance.comparison.store import Store
from keras_imbalance.comparison.training import Task, Trained, train

KEPT = " (of an earlier run; retry_failed=True trains it again)"


@dataclass
class Clock:
    """The time that a comparison has and has used; what an earlier run of it used is counted.

    Args:
        limit: seconds, or None.
        jobs: trainings at a time.
        verbose: 0 writes nothing.
    """

    limit: float | None
    jobs: int
    verbose: int
    began: float = field(default_factory=time.time)
    before: float = 0.0  # seconds that trainings found on disk took
    spent: list[float] = field(default_factory=list)  # seconds of each training, on disk or not

    def count(self, trained: Trained, stored: bool) -> None:
        self.spent.append(trained.seconds)
        self.before += trained.seconds / self.jobs if stored else 0.0

    @property
    def until(self) -> float | None:
        """The time after which nothing is begun."""
        return None if self.limit is None else self.began + self.limit - self.before

    @property
    def left(self) -> float:
        return np.inf if self.until is None else self.until - time.time()

    def needs(self, trainings: int) -> float:
        """Seconds that so many trainings will take."""
        return float(np.mean(self.spent)) * trainings / self.jobs if self.spent else 0.0

    def tell(self, task: Task, trained: Trained, said: str, trainings_left: int, stored: bool = False) -> None:
        """One line of progress."""
        told = f"{trained.error}{KEPT if stored else ''}" if trained.error else said
        line = f"split {task.number + 1} - {task.method.name} - {told} - {trained.seconds:.1f} s"
        self.say(f"{line} - about {duration(self.needs(trainings_left))} left" if trainings_left else line)

    def say(self, line: str) -> None:
        """Writes a line at once."""
        if self.verbose:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def carry_out(tasks: list[Task], store: Store, clock: Clock, skip: Callable[[Task], bool]) -> Iterator:
    """Trains what is not on disk; gives each task, what was found, and whether on disk, in the order in which they end.

    Args:
        tasks: what to train.
        store: where finished trainings are kept.
        clock: of the comparison. A task that is not begun in its time is left out.
        skip: whether a task is not needed any more, asked before it begins.
    """
    waiting = []
    for task in tasks:
        found = store.load(task)
        if found is None:
            waiting.append(task)
        else:
            clock.count(found, stored=True)
            yield task, found, True
    for task in waiting:
        task.until = clock.until
    for task, trained in _in_turn(waiting, skip) if clock.jobs == 1 else _side_by_side(waiting, clock.jobs):
        if trained is not None:
            store.save(task, trained)
            clock.count(trained, stored=False)
            yield task, trained, False


def _in_turn(tasks, skip):
    for task in tasks:
        if not skip(task):
            yield task, train(task)


def _side_by_side(tasks, jobs):
    """By joblib, in whatever processes `joblib.parallel_config` says."""
    from joblib import Parallel, delayed

    results = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_numbered)(i, task) for i, task in enumerate(tasks)
    )
    return ((tasks[i], trained) for i, trained in results)


def _numbered(i, task):
    return i, train(task)


def jobs_of(n_jobs: int) -> int:
    """How many trainings run at a time; joblib knows for -1."""
    if check_whole(n_jobs, "n_jobs") == 0:
        raise invalid("n_jobs", "be a whole number other than 0", n_jobs, "-1 takes as many processes as joblib has.")
    if n_jobs == 1:
        return 1
    from joblib import effective_n_jobs

    return max(2, effective_n_jobs(n_jobs))


def better_half(scores: dict[Any, float], always: list) -> list:
    """The keys of the better half, rounded up, and those of `always`.

    Example:
    >>> better_half({"a": 0.5, "b": 0.9, "plain": 0.1, "d": 0.7}, ["plain"])
    ['b', 'd', 'plain']
    """
    order = sorted(scores, key=lambda key: -np.nan_to_num(scores[key], nan=-np.inf))
    kept = order[: -(-len(order) // 2)]
    return [*kept, *(key for key in always if key not in kept)]


def duration(seconds: float) -> str:
    """Seconds in the unit in which people read them.

    Example:
    >>> duration(42), duration(150), duration(7200)
    ('42 s', '2 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
