"""Delivery of batches as a `keras.utils.PyDataset`: NumPy arrays, for every backend, without TensorFlow."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from keras_imbalance._core import invalid
from keras_imbalance._keras import PyDataset
from keras_imbalance.sampling.feed import Feed
from keras_imbalance.sampling.nests import mapped
from keras_imbalance.sampling.plan import Plan
from keras_imbalance.sampling.shards import Shards
from keras_imbalance.sampling.sources import stacked


class Batches:
    """Makes the batches of a plan, each by itself.

    Args:
        feed: the rows and the planner.
        shards: which shard of every batch is wanted.
        map_fn: None, or a function of the parts of a row.
        pass_repeats: whether its last argument is how often the row was drawn before.
    """

    def __init__(self, feed: Feed, shards: Shards, map_fn: Callable | None = None, pass_repeats: bool = False):
        self.feed, self.shards, self.map_fn, self.pass_repeats = feed, shards, map_fn, pass_repeats

    def make(self, plan: Plan, index: int) -> tuple:
        """A batch of the plan, rows of which `map_fn` makes what it does."""
        positions = [part[plan.batch(index)] for part in plan.of_positions()]
        if self.map_fn is None:
            rows, _, *new = positions
            return self.feed.batch(rows, *new, align=False)
        return stacked([self._row(*values) for values in zip(*positions, strict=True)], "map_fn")

    def _row(self, number, repeats, *new):
        parts = self.feed.row(number, *new)
        row = self.map_fn(*parts, int(repeats)) if self.pass_repeats else self.map_fn(*parts)  # type: ignore[misc]
        if not isinstance(row, tuple) or len(row) not in (2, 3):
            requirement = "return a tuple (x, y) or (x, y, sample_weight) of a row"
            raise invalid("map_fn", requirement, received=f"a function that returned {type(row)}")
        return mapped(np.asarray, row)


class Epoch:
    """One epoch, batch after batch. Threads make the next ones ahead where there are some.

    Args:
        batches: what makes them.
        threads: None, or the threads that make batches ahead.
        ahead: batches that are being made or wait.
    """

    def __init__(self, batches: Batches, threads: ThreadPoolExecutor | None = None, ahead: int = 0):
        self._batches, self._threads, self._ahead = batches, threads, ahead
        self._plan = batches.feed.planner.plan(batches.shards)
        self._waiting: deque[Future] = deque()
        self._given = 0

    @property
    def used_up(self) -> bool:
        """Whether the last batch was given."""
        return self._given == len(self._plan.ends)

    def next(self, counts: bool) -> tuple:
        """The next batch. The epoch counts as one with the second, or the last, where `counts` says that it may."""
        plan, index = self._plan, self._given
        if counts and index == plan.counts_from:
            self._batches.feed.planner.count(plan.number, plan.drawn, plan.made)
        self._given += 1
        if self._threads is None:
            return self._batches.make(plan, index)
        last = min(len(plan.ends), index + self._ahead) if counts else index + 1
        for later in range(index + len(self._waiting), last):
            self._waiting.append(self._threads.submit(self._batches.make, plan, later))
        return self._waiting.popleft().result()

    def stop(self) -> None:
        """Drops what was made ahead."""
        for future in self._waiting:
            future.cancel()


class SamplerDataset(PyDataset):
    """The batches of an array sampler's epochs, in the order of their plans whatever index is asked for.

    Keras reads one or two batches before training, on TensorFlow without calling `on_epoch_begin`. These are no epoch.

    Args:
        batches: what makes them.
        threads: how many threads make batches ahead; 1 makes each where it is asked for.
    """

    def __init__(self, batches: Batches, threads: int = 1):
        super().__init__(workers=1)  # more would mix the batches of two epochs
        self._batches, self._num_threads = batches, threads
        self._threads = None if threads == 1 else ThreadPoolExecutor(threads)
        self._lock = threading.Lock()
        self._epoch: Epoch | None = None
        self._begun = False

    def __len__(self) -> int:
        return self._batches.feed.planner.num_batches

    def __getitem__(self, index: int) -> tuple:
        with self._lock:
            if self._epoch is None or self._epoch.used_up:
                self._epoch = self._new_epoch()
            return self._epoch.next(self._begun)

    def __iter__(self) -> Iterator[tuple]:
        """The batches of an epoch of its own."""
        epoch = self._new_epoch()
        try:
            while not epoch.used_up:
                yield epoch.next(counts=True)
        finally:
            epoch.stop()

    def on_epoch_begin(self) -> None:
        """The next batch is the first of a new plan, which sees the target of that moment."""
        with self._lock:
            if self._epoch is not None:
                self._epoch.stop()
            self._epoch, self._begun = None, True

    def on_epoch_end(self) -> None:
        """What is read from now on, until the next epoch begins, does not count."""
        with self._lock:
            self._begun = False

    def _new_epoch(self):
        return Epoch(self._batches, self._threads, 2 * self._num_threads)
