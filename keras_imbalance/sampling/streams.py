"""Rebalanced batches from a stream, in one pass."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imbalance.backend.training import looks_at_data
from keras_imbalance.class_counts import LOOKUP, check_counts, check_distribution, target_distribution
from keras_imbalance.labels import class_ids
from keras_imbalance.sampling.distribution import LiveDistribution, check_class_names
from keras_imbalance.sampling.inputs import check_weights, whole_number
from keras_imbalance.sampling.shards import one_part, parts_of_worker

BY_LABEL_FN = "Where a row has no single class, give it by `label_fn`."
STATE_KEYS = ("seed", "epoch", "counts", "drawn", "distribution")


class _Pass:
    """One pass over the stream: the shares it draws, and what was read and given up to now.

    Args:
        number: of the pass.
        shares: function from the counts up to now to the wanted share of every class `(C,)`, or None to pass rows on as they
            come.
        prior: known share of every class in the stream `(C,)`, or None when it is learnt.
        read: rows of every class that were read before `(C,)`.
        drawn: rows of every class that were passed on before `(C,)`.
        most: copies that are made at a time, about.
        seed: the sampler's.
    """

    def __init__(
        self,
        number: int,
        shares: Callable | None,
        prior: Any,
        read: np.ndarray,
        drawn: np.ndarray,
        most: int,
        seed: int,
    ):
        self.number, self.shares, self.prior = number, shares, prior
        self.read, self.drawn = read, drawn
        self.most = most
        self.rng = np.random.default_rng([seed, number])
        # What was owed to a class and not given yet: totals stay within one row of what the shares ask.
        self.owed = self.rng.random(len(read))
        self.rows = 0
        self.counted = False
        self.look = False  # whether Keras looks at the first batch and drops the rest

    def draw(self, ids: np.ndarray) -> int:
        """Decides how often each row of a block is passed on; gives the number of pieces in which its copies come."""
        rows = np.bincount(ids, minlength=len(self.read))
        self.read = self.read + rows
        self.rows += len(ids)
        self.owed = self.owed + self._ratio() * rows
        given = np.floor(self.owed).astype(np.int64)
        self.owed = self.owed - given
        each, extra = np.divmod(given, np.maximum(rows, 1))
        # A random order within each class picks the rows that get one copy more.
        order = np.lexsort((self.rng.random(len(ids)), ids))
        rank = np.empty(len(ids), dtype=np.int64)
        rank[order] = np.arange(len(ids)) - np.repeat(np.cumsum(rows) - rows, rows)
        self.copies = each[ids] + (rank < extra[ids])
        self.shift = self.rng.random(len(ids))
        self.drawn = self.drawn + given
        self.pieces = int(-(-given.sum() // self.most))
        return self.pieces

    def piece(self, i: int) -> np.ndarray:
        """Places of the block in its i-th piece, an even part of the copies of every row, in random order: int64 `(M,)`."""
        upto = np.floor(np.outer([i, i + 1], self.copies) / self.pieces + self.shift).astype(np.int64)
        return self.rng.permutation(np.repeat(np.arange(len(self.copies)), upto[1] - upto[0]))

    def _ratio(self):
        """How often a row of each class is passed on, on average."""
        if self.shares is None:
            return np.ones(len(self.read))
        prior = self.read / self.read.sum() if self.prior is None else self.prior
        seen = prior > 0
        shares = np.where(seen, self.shares(self.read), 0.0)
        if shares.sum() == 0:
            return np.zeros(len(prior))
        return np.where(seen, shares / shares.sum() / np.where(seen, prior, 1.0), 0.0)


class StreamSampler(LiveDistribution):
    """Repeats and drops rows of a stream so that its classes follow a target distribution, in one pass.

    A row of class c is passed on `target_c / prior_c` times on average, so the stream keeps its length. The stream is read
    block by block; the copies of a block are shuffled among each other. Totals stay within one row of what the shares ask.
    Memory holds one block and a batch, however rare or absent a class is. Shuffle the source where its classes come sorted.

    The source may come from a tf.data service, `rows.apply(tf.data.experimental.service.distribute(...))`, which hands rows out
    in no fixed order, so that a seed fixes no batches then. The other way round is refused ("PyFunc is stateful"):
    `sampler.dataset()` runs in the process of the sampler alone.

    `distribution` may be set at any time and takes effect when the next pass begins.

    Args:
        dataset: a `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`, of rows or of batches.
        batch_size: rows of a batch that comes out.
        class_counts: rows per class in the stream `(C,)`, or anything in proportion to them. Defaults to None: counted on the
            way, and more exact the more was read.
        num_classes: number of classes C, needed where neither `class_counts` nor `class_names` is given.
        target: as in `target_distribution`; "natural" passes every row on once. Defaults to "balanced".
        label_fn: function of a block `(x, y)` or `(x, y, sample_weight)` that gives class ids `(N,)` where y is none.
            Defaults to y.
        block_size: rows that are drawn from together. Defaults to 4096.
        batched: whether the dataset's elements are batches. Defaults to None: inferred from the shape of y; needed when that
            is ambiguous.
        class_names: names of the classes, for log keys. Defaults to the class numbers.
        seed: whole number; the same seed gives the same batches. Defaults to one from Python's `random`.

    Raises:
        ValueError: for counts that are not positive, a target that is none, no number of classes, labels that cannot be class
            ids; while reading, as an error of TensorFlow, for labels out of range, weights that are negative or not finite, and
            a pass without a row.

    Example:
    >>> import numpy as np
    >>> rows = tf.data.Dataset.from_tensor_slices((np.arange(1000.0), np.repeat([0, 1], [900, 100])))
    >>> sampler = StreamSampler(rows.shuffle(1000, seed=0), batch_size=100, class_counts=[900, 100], seed=0)
    >>> int(sum(labels.numpy().sum() for _, labels in sampler.dataset()))
    500

    In fit: `model.fit(sampler.dataset(), shuffle=False, epochs=3)`.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        *,
        batch_size: int,
        class_counts: Any = None,
        num_classes: int | None = None,
        target: Any = "balanced",
        label_fn: Callable | None = None,
        block_size: int = 4096,
        batched: bool | None = None,
        class_names: Sequence[str] | None = None,
        seed: int | None = None,
    ):
        if not isinstance(dataset, tf.data.Dataset):
            raise ValueError(
                f"`dataset` must be a tf.data.Dataset. Received: {type(dataset)}. Arrays are rebalanced by ArraySampler(x, y), "
                "a generator as tf.data.Dataset.from_generator(...)."
            )
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise ValueError(
                f"`dataset` must yield (x, y) or (x, y, sample_weight). Received elements of {spec}. "
                "Map it to that form first, as by dataset.map(lambda row: (row['x'], row['y']))."
            )
        if label_fn is None and not hasattr(spec[1], "shape"):
            raise ValueError("`label_fn` must give the class of each row where y is a nest of arrays. Received: None.")
        if label_fn is not None and not callable(label_fn):
            raise ValueError(f"`label_fn` must be None or a function. Received: label_fn={label_fn!r}.")
        if batched not in (None, True, False):
            raise ValueError(f"`batched` must be None, True or False. Received: batched={batched!r}.")
        self.batch_size = whole_number(batch_size, "batch_size")
        self.block_size = whole_number(block_size, "block_size")
        self._seeded = seed is not None
        self.seed = random.randrange(2**31) if seed is None else whole_number(seed, "seed", least=0)
        self._known = None if class_counts is None else check_counts(class_counts, "class_counts")
        if self._known is None and num_classes is None:
            if class_names is None:
                raise ValueError("`num_classes` must be given where `class_counts` is not. Received: None for both.")
            num_classes = len(check_class_names(class_names))
        size = whole_number(num_classes, "num_classes", least=2) if self._known is None else len(self._known)
        if num_classes not in (None, size):
            raise ValueError(f"`class_counts` must hold {num_classes} counts. Received: {size}.")
        if class_names is not None and len(check_class_names(class_names)) != size:
            raise ValueError(
                f"`class_names` must hold {size} names, one a class. Received: class_names={class_names!r}."
            )
        super().__init__(np.ones(size) if self._known is None else self._known, "balanced", class_names)
        self._rows = dataset
        self._label_fn = label_fn
        self._batched = _is_batched(spec, label_fn, size) if batched is None else bool(batched)
        _check_spec(spec, self._batched, label_fn, size)
        self._next = 0
        self._read = np.zeros(size, dtype=np.int64)
        self._drawn = np.zeros(size, dtype=np.int64)
        self._passes: dict[int, _Pass] = {}
        self.set_target(target)

    @property
    def class_counts(self) -> np.ndarray:
        """Rows per class as given, or counted so far, `(C,)`."""
        self._settle()
        return self._read.copy() if self._known is None else self._known.copy()

    @property
    def distribution(self) -> np.ndarray:
        """Share of every class in what is drawn, float64 `(C,)`, sum 1. Setting it takes effect at the next pass."""
        self._settle()
        return self._shares(self._target, self._read)

    @distribution.setter
    def distribution(self, shares: Any) -> None:
        self._target: Any = check_distribution(shares, self._counts, "distribution")

    def set_target(self, target: Any) -> None:
        """Sets the distribution that a target stands for; where counts are learnt, it follows what was counted."""
        if hasattr(target, "to_dict"):
            target = target.to_dict()
        shares = target_distribution(self._counts, target, self._class_names)
        if isinstance(target, Mapping):
            self._target = {self._name_of(key): float(share) for key, share in target.items()}
        elif isinstance(target, str):
            self._target = target
        else:
            self._target = float(target) if np.ndim(target) == 0 else shares

    @property
    def exposure(self) -> np.ndarray:
        """Rows drawn of every class so far, int64 `(C,)`."""
        self._settle()
        return self._drawn.copy()

    def dataset(self, num_shards: int = 1, index: int = 0) -> tf.data.Dataset:
        """Batches `(x, y)` or `(x, y, sample_weight)` of one pass over the stream, anew in each iteration.

        Several workers divide each batch: every one builds the sampler alike, with the same seed, over the same stream in the
        same order, and takes its own part. The parts of a batch have no row in common and are together the batch of one
        process, at the price that every worker reads the whole stream. The last batch may leave a worker without a row. Where
        reading is too much, give each worker its own files: `StreamSampler(rows_of(files[index::num_workers]),
        batch_size=batch_size // num_workers, ...)` hits the target on each by itself.

        Args:
            num_shards: number of workers, which divides `batch_size`. Defaults to 1.
            index: number of this worker, from 0.

        Raises:
            ValueError: for a number of workers that does not divide `batch_size`, or a sampler without a seed of its own.
        """
        return self._dataset(one_part(num_shards, index))

    def worker_dataset(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """What one worker of a `tf.distribute` strategy takes: for each batch of all replicas, one part for each of its own.

        For a custom loop: `strategy.distribute_datasets_from_function(sampler.worker_dataset)`. `fit` and
        `experimental_distribute_dataset` divide the batches of `dataset()` by themselves.
        """
        return self._dataset(parts_of_worker(context))

    def _dataset(self, parts):
        parts.check(self.batch_size, self._seeded)
        passes = tf.data.Dataset.from_generator(self._begin, output_signature=tf.TensorSpec((), tf.int64))
        batches = passes.flat_map(self._one_pass)
        if parts.number > 1:
            # The rows of a batch are in random order: every n-th is a part like any other.
            batches = batches.flat_map(
                lambda *batch: tf.data.Dataset.range(parts.first, parts.first + parts.kept).map(
                    lambda part: tf.nest.map_structure(lambda leaf: leaf[part :: parts.number], batch)
                )
            )
        return batches.with_options(parts.options())

    def state_dict(self) -> dict:
        """What a resumed run needs for the passes that would have come, as JSON types."""
        self._settle()
        return {
            "seed": self.seed,
            "epoch": self._next,
            "counts": self._read.tolist(),
            "drawn": self._drawn.tolist(),
            "distribution": self._target.tolist() if isinstance(self._target, np.ndarray) else self._target,
        }

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what `state_dict` gave, for a sampler of the same stream.

        Raises:
            ValueError: when the state is of a sampler of other classes or seed, or is no state at all.
        """
        if not isinstance(state, Mapping) or not set(STATE_KEYS) <= set(state):
            raise ValueError(
                f"`state` must be what `state_dict` gave, with the keys {STATE_KEYS}. Received: {state!r}."
            )
        counts, drawn = (np.asarray(state[key], dtype=np.int64) for key in ("counts", "drawn"))
        counted = counts.shape == drawn.shape == self._read.shape and not ((counts < 0) | (drawn < 0)).any()
        if not counted or state["seed"] != self.seed or state["epoch"] < 0:
            raise ValueError(
                f"`state` must be of a sampler of {self.num_classes} classes with seed {self.seed}. Received: "
                f"{len(counts)} classes, seed {state['seed']}. "
                f"Build the sampler as in the run that saved it, with seed={state['seed']}."
            )
        self.set_target(state["distribution"])
        self._next, self._read, self._drawn = int(state["epoch"]), counts, drawn
        self._passes.clear()

    def _shares(self, target, read):
        """The shares that a target asks for; where counts are learnt, a class that was not read yet stands with one row."""
        counts = np.maximum(read, 1) if self._known is None else self._known
        return target_distribution(counts, target, self._class_names)

    def _name_of(self, key):
        return key if key in self._class_names else self._class_names[key]

    def _begin(self) -> Iterator[int]:
        self._settle()
        key = max(self._passes, default=-1) + 1
        self._passes = {old: kept for old, kept in self._passes.items() if old > key - 4}
        natural = isinstance(self._target, str) and self._target == "natural"
        shares = None if natural else partial(self._shares, self._target)
        prior = None if self._known is None else self._known / self._known.sum()
        self._passes[key] = _Pass(self._next, shares, prior, self._read, self._drawn, 2 * self.block_size, self.seed)
        begun = self._passes[key]
        begun.look = looks_at_data()
        yield key
        # Asked for more when the pass is over.
        if not begun.rows:
            raise ValueError(
                "`dataset` must give rows in every pass. Received none in this one. Where it is made from a generator that is "
                "used up, pass tf.data.Dataset.from_generator a function that begins anew."
            )

    def _one_pass(self, key):
        blocks = self._rows.rebatch(self.block_size) if self._batched else self._rows.batch(self.block_size)
        drawn = blocks.flat_map(lambda *block: self._drawn_block(key, block)).rebatch(self.batch_size).prefetch(2)
        # Behind what fetches ahead: a pass counts once its second batch is asked for, whether there is one or not.
        first, others = tf.data.Dataset.range(1), tf.data.Dataset.range(1).repeat()
        second = tf.data.Dataset.from_generator(self._count, output_signature=tf.TensorSpec((), tf.int64), args=(key,))
        marks = first.concatenate(second).concatenate(others)
        return tf.data.Dataset.zip(marks, drawn).map(lambda mark, batch: batch)

    def _count(self, key):
        self._passes[int(key)].counted = not self._passes[int(key)].look
        yield 0

    def _settle(self):
        """Takes over what the latest pass read and drew, unless it was a look at its first batch."""
        if self._passes:
            latest = self._passes[max(self._passes)]
            if latest.counted:
                self._next = latest.number + 1
                self._read, self._drawn = latest.read, latest.drawn

    def _drawn_block(self, key, block):
        labels = block[1] if self._label_fn is None else self._label_fn(*block)
        pieces = tf.numpy_function(self._draw, [key, labels, *tf.nest.flatten(block[2:])], tf.int64)

        def piece(i):
            places = tf.numpy_function(self._piece, [key, i], tf.int64)
            places.set_shape([None])
            return tf.nest.map_structure(lambda leaf: tf.gather(leaf, places), block)

        # Copies are made a few blocks' worth at a time: one that repeats a row a million times takes no more memory.
        return tf.data.Dataset.range(pieces).map(piece)

    def _draw(self, key, labels, *weights):
        check_weights(weights)
        name = "y" if self._label_fn is None else "label_fn(...)"
        return np.int64(self._passes[int(key)].draw(class_ids(labels, self.num_classes, name, BY_LABEL_FN)))

    def _piece(self, key, i):
        return self._passes[int(key)].piece(int(i))


def _is_batched(spec, label_fn, num_classes):
    """Whether elements of this spec are batches, by the axis that all their parts share."""
    shapes = [leaf.shape for leaf in tf.nest.flatten(spec)]
    if any(shape.rank == 0 for shape in shapes):
        return False
    lengths = {None if shape.rank is None else shape[0] for shape in shapes}
    if lengths == {None} and all(shape.rank for shape in shapes):
        return True
    label = spec[1].shape if label_fn is None and hasattr(spec[1], "shape") else None
    if label is not None and label.rank == 1 and None not in lengths and lengths != {1}:
        if len(lengths) > 1:
            return False
        if label[0] != num_classes:
            return True
    raise ValueError(
        f"`batched` must say whether the dataset yields batches: its elements {spec} do not. Received: batched=None."
    )


def _check_spec(spec, batched, label_fn, num_classes):
    """Raises for what can be seen of a dataset before it is read: rows taken for batches, and labels that are no class ids."""
    if batched and any(leaf.shape.rank == 0 for leaf in tf.nest.flatten(spec)):
        raise ValueError(f"`batched` must be False for a dataset of rows. Received: batched=True, elements of {spec}.")
    if label_fn is not None:
        return
    if spec[1].dtype == tf.string:
        raise ValueError(f"`y` must be numbers. Received: dtype string. {LOOKUP}")
    columns = [] if spec[1].shape.rank is None else spec[1].shape.as_list()[1 if batched else 0 :]
    if columns and columns[-1] not in (None, 1, num_classes):
        raise ValueError(
            f"`y` must hold class ids or one-hot rows of {num_classes} classes. Received: {spec[1]}, "
            f"batched={batched}. {BY_LABEL_FN}"
        )
