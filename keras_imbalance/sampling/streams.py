"""Rebalanced batches from a stream: a pass of it an epoch, or epochs of a given length."""

import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_counts,
    check_flag,
    check_names,
    check_number,
    check_whole,
    invalid,
    target_distribution,
)
from keras_imbalance._keras import tensorflow
from keras_imbalance.sampling.distribution import LiveDistribution
from keras_imbalance.sampling.shards import one_shard
from keras_imbalance.sampling.stream_epochs import StreamEpoch
from keras_imbalance.sampling.stream_rows import StreamRows
from keras_imbalance.sampling.stream_source import StreamSource
from keras_imbalance.sampling.tf_data import AHEAD, options_of, shards_of_worker, within_strategy

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = tensorflow()

STATE_KEYS = ("seed", "epoch_size", "epoch", "counts", "whole", "owed", "source", "history", "target")


class StreamSampler(LiveDistribution):
    """Repeats and drops rows of a stream so that its classes follow a target distribution.

    A batch has the classes that its block of the stream has, so shuffle a source whose classes come sorted; with one row in
    10,000 there are batches without it. Memory holds two blocks (`block_bytes`) and a few batches.

    By default an epoch is one pass of the source: a row of class c is passed on `target_c / prior_c` times on average. With
    `epoch_size` an epoch is that many rows, and the next one goes on in the stream where it was; a source that ends begins
    anew. Either way the totals are within a row of the target. `target` may be set at any time and takes effect when the next
    epoch begins. `sampler.dataset()` cannot be sent through a tf.data service; the source may come from one.

    Args:
        dataset: a `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`, of rows or of batches, which may be ragged in one
            axis. Rows that differ in shape are filled up to the largest of their batch, as `padded_batch` does, or stay ragged.
        batch_size: rows of a batch that comes out.
        class_counts: rows per class in the stream `(C,)`, or anything in proportion to them. Defaults to None: counted on the
            way, exact after a pass.
        num_classes: number of classes C, needed where neither `class_counts` nor `class_names` is given.
        target: as in `target_distribution`; "natural" passes every row on once. Defaults to "balanced".
        epoch_size: rows an epoch. Defaults to None: one pass of the source.
        label_fn: function of a batch `(x, y)` or `(x, y, sample_weight)` that gives class ids `(N,)` where y names no class.
            Defaults to y.
        block_bytes: size of what is drawn from together. Defaults to 64 MiB. An endless source without `epoch_size`
            fills all of it before the first batch.
        batched: whether the dataset's elements are batches. Defaults to None: inferred from the shape of y; needed when that
            is ambiguous.
        padding_value: fills up rows that differ in shape; text is filled up with "". Defaults to 0.
        class_names: names of the classes, for log keys; y may hold them as text, and comes as class ids. Defaults to the class
            numbers.
        skip_on_resume: with `epoch_size`, whether `load_state_dict` skips the rows that the saved run passed, for a source that
            gives the same rows again. False: a resumed run starts where the source stands. Defaults to True.
        seed: whole number; the same seed gives the same batches. Defaults to one from Python's `random`.

    Raises:
        ValueError: for counts that are not positive, a target that cannot be read, an unknown number of classes, labels that
            cannot be class ids, sparse tensors; while reading, as an error of TensorFlow, for labels out of range, weights that
            are negative or not finite, and an epoch without a row.

    Example:
    >>> import numpy as np
    >>> rows = tf.data.Dataset.from_tensor_slices((np.arange(1000.0), np.repeat([0, 1], [900, 100])))
    >>> endless = rows.shuffle(1000, seed=0).repeat()
    >>> sampler = StreamSampler(endless, batch_size=100, num_classes=2, epoch_size=500, seed=0)
    >>> dataset = sampler.dataset()
    >>> int(dataset.cardinality()), int(sum(labels.numpy().sum() for _, labels in dataset))
    (5, 250)

    In fit: `model.fit(sampler.dataset(), shuffle=False, epochs=3)`.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        *,
        batch_size: int,
        class_counts: npt.ArrayLike | None = None,
        num_classes: int | None = None,
        target: npt.ArrayLike | Mapping | str | float = "balanced",
        epoch_size: int | None = None,
        label_fn: Callable | None = None,
        block_bytes: int = 64 << 20,
        batched: bool | None = None,
        padding_value: float = 0,
        class_names: Sequence[str] | None = None,
        skip_on_resume: bool = True,
        seed: int | None = None,
    ):
        self.batch_size = check_whole(batch_size, "batch_size", 1)
        self.epoch_size = check_whole(epoch_size, "epoch_size", 1, optional=True)
        self._block_bytes = check_whole(block_bytes, "block_bytes", 1)
        self._skips = check_flag(skip_on_resume, "skip_on_resume")
        self._take_seed(seed)
        self._known = None if class_counts is None else check_counts(class_counts, "class_counts")
        size = _size(self._known, num_classes, class_names)
        super().__init__(np.ones(size) if self._known is None else self._known, target, class_names)
        names = None if class_names is None else self._class_names
        padding = check_number(padding_value, "padding_value")
        self._rows = StreamRows(dataset, label_fn, batched, names, size, padding, self._block_bytes)
        self._dataset_of_rows = dataset if epoch_size is None else dataset.repeat()
        self._source: StreamSource | None = None
        self._last = StreamEpoch(-1, self.seed, size, rows=self.epoch_size)
        self._newest = self._last  # of those begun
        self._tokens = itertools.count()
        self._running: dict[int, tuple[StreamEpoch, Iterator]] = {}
        self._history: list[np.ndarray] = []

    @property
    def num_batches(self) -> int | None:
        """Batches an epoch, or None where an epoch is one pass of the source."""
        return None if self.epoch_size is None else -(-self.epoch_size // self.batch_size)

    @property
    def class_counts(self) -> np.ndarray:
        """Rows per class as given, or as counted `(C,)`: in a pass, or on average in `epoch_size` rows of the stream."""
        if self._known is not None:
            return self._known.copy()
        counts = self._last.counts()
        if self.epoch_size is None or not counts.any():
            return counts
        return np.maximum(np.round(counts * (self.epoch_size / counts.sum())), counts > 0).astype(np.int64)

    @property
    def distribution(self) -> np.ndarray:
        """Share of every class in what is to be drawn, float64 `(C,)`, sum 1; with learnt counts it follows what was read."""
        return self._shares(self._target, self._last.counts())

    @property
    def history(self) -> list[np.ndarray]:
        """What every epoch so far really drew: rows of every class, a list of int64 `(C,)`."""
        return [counts.copy() for counts in self._history]

    @property
    def exposure(self) -> np.ndarray:
        """Rows drawn of every class so far, int64 `(C,)`."""
        return np.sum([np.zeros(self.num_classes, dtype=np.int64), *self._history], axis=0)

    def dataset(self, *, num_shards: int = 1, shard_index: int = 0) -> tf.data.Dataset:
        """Batches `(x, y)` or `(x, y, sample_weight)` of one epoch, the next one in each iteration.

        Several workers divide each batch: every one builds the sampler alike, with the same seed, over the same stream in the
        same order, and takes its own shard. The shards of a batch have no row in common and are together the batch of one
        process, at the price that every worker reads the whole stream. The last batch may leave a worker without a row. Where
        reading is too much, give each worker its own files: `StreamSampler(rows_of(files[shard_index::num_workers]),
        batch_size=batch_size // num_workers, ...)` hits the target on each by itself.

        Args:
            num_shards: number of workers, which divides `batch_size`. Defaults to 1.
            shard_index: which of them this worker is, from 0.

        Raises:
            ValueError: for a number of workers that does not divide `batch_size`, or a sampler without a seed of its own.
        """
        return self._dataset(one_shard(num_shards, shard_index))

    def worker_dataset(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """What one worker of a `tf.distribute` strategy takes: a shard of each batch for each replica that it has.

        For a custom loop: `strategy.distribute_datasets_from_function(sampler.worker_dataset)`. `fit` and
        `experimental_distribute_dataset` divide the batches of `dataset()` by themselves.
        """
        return self._dataset(shards_of_worker(context))

    def state_dict(self) -> dict:
        """What a resumed run needs for the epochs that would have come, as JSON types."""
        known = self._last.counts_of_a_pass() if self.epoch_size is None else self._last.read
        return {
            "seed": self.seed,
            "epoch_size": self.epoch_size,
            "epoch": self._last.number + 1,
            "counts": (self._last.read if known is None else known).tolist(),
            "whole": known is not None,
            "owed": self._last.owed.tolist(),
            "source": [0, 0, 0] if self._source is None else self._source.state(self._newest.lent or []),
            "history": [counts.tolist() for counts in self._history],
            "target": self._json_target(),
        }

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what `state_dict` gave, for a sampler of the same stream.

        With `epoch_size` the rows that the saved run passed are read and skipped, unless `skip_on_resume` is False.

        Raises:
            ValueError: when the state is of a sampler of other classes, seed or epoch size, or no state of a sampler; when the
                source gives other rows than in the saved run.
        """
        self._check_state(state, STATE_KEYS, ("counts",))
        if state["epoch_size"] != self.epoch_size or np.shape(state["owed"]) != (self.num_classes,):
            requirement = f"be of a sampler of {self.num_classes} classes with epoch_size={self.epoch_size}"
            raise invalid("state", requirement, received=f"epoch_size={state['epoch_size']}, owed={state['owed']}")
        self.target = state["target"]
        if self.epoch_size is not None and self._skips:
            self._source = self._new_source()
            self._source.skip(state["source"])
        last = StreamEpoch(int(state["epoch"]) - 1, self.seed, self.num_classes, rows=self.epoch_size)
        last.read[:], last.whole = state["counts"], bool(state["whole"])
        last.owed[:] = state["owed"]
        self._last = self._newest = last
        self._history = [np.array(counts, dtype=np.int64) for counts in state["history"]]

    def _shares(self, target, read):
        """The shares that a target asks for; where counts are learnt, a class that was not read yet stands with one row."""
        counts = np.maximum(read, 1) if self._known is None else self._known
        return target_distribution(counts, target, class_names=self._class_names)

    def _dataset(self, shards):
        shards = within_strategy(shards)
        shards.check(self.batch_size, self._seeded)
        rows, size, group = self._rows, self.batch_size, self._rows.batches_at_once(self.batch_size)
        # TensorFlow keeps these functions for ever (tensorflow#57690), so they hold the sampler weakly.
        run, proceed = weakref.WeakMethod(self._run), weakref.WeakMethod(self._proceed)

        def epochs():
            yield from _alive(run)([size] * shards.probed, group * size)

        def next_batch(token, number):
            more, leaves = _alive(proceed)(int(token), counts=number == shards.probed)
            return [np.bool_(more), *leaves]

        def one_epoch(token):
            def made(numbers):
                def batch(number):
                    more, *leaves = tf.numpy_function(next_batch, [token, number], [tf.bool, *rows.types()])
                    return more, rows.packed(leaves)

                found = numbers.map(batch).take_while(lambda more, _: more)
                return found.map(lambda _, batch: batch)

            # A look at the first batch must not start the rest, so only the rest is fetched ahead.
            rest = made(tf.data.Dataset.range(shards.probed, tf.int64.max))
            rest = rest if group == 1 else rest.rebatch(size)
            return made(tf.data.Dataset.range(shards.probed)).concatenate(rest.prefetch(AHEAD))

        batches = tf.data.Dataset.from_generator(epochs, output_signature=tf.TensorSpec((), tf.int64)).flat_map(
            one_epoch
        )
        if shards.num_shards > 1:
            # The rows of a batch are in random order: every n-th is a shard like any other.
            batches = batches.flat_map(
                lambda *batch: tf.data.Dataset.range(shards.first, shards.first + shards.kept).map(
                    lambda shard: tf.nest.map_structure(lambda leaf: leaf[shard :: shards.num_shards], batch)
                )
            )
        options = options_of(shards)
        options.autotune.enabled = False  # it would fetch ahead of what counts the epochs
        dataset = batches.with_options(options)
        if self.num_batches is not None:
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(self.num_batches * shards.kept))
        dataset.rows_of_sampler = self
        return dataset

    def _run(self, first: list[int], later: int) -> Iterator[int]:
        """The token of the next epoch, whose batches, of these sizes, are made as long as its iteration is kept."""
        epoch, source = self._begin()
        blocks = iter(partial(self._block, epoch, source), None)
        token = next(self._tokens)
        self._running[token] = epoch, epoch.batches(blocks, itertools.chain(first, itertools.repeat(later)))
        try:
            yield token
        finally:  # the iteration is over, or was let go
            del self._running[token]

    def _proceed(self, token, counts):
        """Whether an epoch has a next batch, and its parts. It counts with its last batch, or where that is said."""
        epoch, batches = self._running[token]
        batch, last = next(batches, (None, True))
        if counts or last:
            self._count(epoch)
        if batch is None and (not epoch.read.any() or epoch.left):
            remedy = "Where a generator is used up, pass tf.data.Dataset.from_generator a function that begins anew."
            raise invalid("dataset", "give rows in every epoch", received="no row in this one", remedy=remedy)
        return batch is not None, self._rows.delivered(batch)

    def _begin(self):
        self.matched_losses.check(self.distribution)
        source = self._new_source() if self.epoch_size is None or self._source is None else self._source
        if self.epoch_size is not None:
            self._source = source
            if self._newest.lent:
                source.give_back(self._newest.lent)
                self._newest.lent = None
        natural = isinstance(self._target, str) and self._target == "natural"
        self._newest = StreamEpoch(
            self._last.number + 1,
            self.seed,
            self.num_classes,
            shares=None if natural else partial(self._shares, self.target),
            prior=self._known,
            rows=self.epoch_size,
            before=self._last,
        )
        return self._newest, source

    def _new_source(self):
        return StreamSource(self._rows.pieces(self._dataset_of_rows), self._block_bytes)

    def _block(self, epoch, source):
        """The next block of an epoch and its class ids, or None where the epoch has what it takes."""
        if epoch.left == 0:
            return None
        if epoch.starves:
            received = f"{epoch.idle} rows in a run without one"
            raise invalid("target", "give a share to classes that the stream has", received=received)
        block = source.take(epoch.left)
        epoch.whole = not block
        if epoch.lent is not None:
            epoch.lent.append(block)
        return self._rows.checked(block) if block else None

    def _count(self, epoch):
        """Called when an epoch counts as one. Of several iterations that began as the same epoch the first does."""
        if epoch.number == self._last.number + 1:
            epoch.lent = self._newest.lent = None
            self._last = epoch
            self._history.append(epoch.drawn)


def _alive(reference):
    method = reference()
    if method is None:
        raise RuntimeError("The sampler of this dataset was freed: neither it nor the dataset itself was kept.")
    return method


def _size(class_counts, num_classes, class_names):
    """The number of classes, by the counts, the number or the names."""
    if class_counts is None and num_classes is None:
        if class_names is None:
            raise invalid("num_classes", "be given where `class_counts` is not", received="None for both")
        num_classes = len(check_names(class_names) or ())
    size = check_whole(num_classes, "num_classes", 2) if class_counts is None else len(class_counts)
    if num_classes not in (None, size):
        raise invalid("class_counts", f"hold {num_classes} counts", received=str(size))
    return size
