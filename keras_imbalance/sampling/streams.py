"""Rebalanced batches from a stream, in one pass."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imbalance.class_counts import check_counts, check_distribution, target_distribution
from keras_imbalance.labels import class_ids
from keras_imbalance.sampling.arrays import whole_number
from keras_imbalance.sampling.distribution import LiveDistribution

STATE_KEYS = ("seed", "epoch", "counts", "drawn", "distribution")


class _Pass:
    """One pass over the stream: the shares it draws, and what it has read and given so far.

    Args:
        number: of the pass.
        shares: wanted share of every class `(C,)`, or None to pass rows on as they come.
        prior: known share of every class in the stream `(C,)`, or None when it is learnt.
        counts: rows of every class that were counted before `(C,)`.
        seed: the sampler's.
    """

    def __init__(self, number: int, shares: Any, prior: Any, counts: np.ndarray, seed: int):
        self.number, self.shares, self.prior = number, shares, prior
        self.before = counts
        self.read = np.zeros_like(counts)
        self.drawn = np.zeros_like(counts)
        self.rng = np.random.default_rng([seed, number])
        # What was owed to a class and not given yet: totals stay within one row of what the shares ask.
        self.owed = self.rng.random(len(counts))
        self.blocks = 0

    def draw(self, ids: np.ndarray) -> np.ndarray:
        """Places of a block to pass on, each as often as its class asks, in random order: int64 `(M,)`."""
        self.blocks += 1
        rows = np.bincount(ids, minlength=len(self.read))
        self.read = self.read + rows
        ratio = self._ratio()
        self.owed = self.owed + ratio * rows
        given = np.floor(self.owed).astype(np.int64)
        self.owed = self.owed - given
        each, extra = np.divmod(given, np.maximum(rows, 1))
        copies = each[ids]
        # A random order within each class picks the rows that get one copy more.
        order = np.lexsort((self.rng.random(len(ids)), ids))
        rank = np.empty(len(ids), dtype=np.int64)
        rank[order] = np.arange(len(ids)) - np.repeat(np.cumsum(rows) - rows, rows)
        copies = copies + (rank < extra[ids])
        self.drawn = self.drawn + given
        return self.rng.permutation(np.repeat(np.arange(len(ids)), copies))

    def _ratio(self):
        """How often a row of each class is passed on, on average."""
        if self.shares is None:
            return np.ones(len(self.read))
        counts = self.before + self.read
        prior = counts / counts.sum() if self.prior is None else self.prior
        seen = prior > 0
        shares = np.where(seen, self.shares, 0.0)
        if shares.sum() == 0:
            return np.zeros(len(prior))
        return np.where(seen, shares / shares.sum() / np.where(seen, prior, 1.0), 0.0)


class StreamSampler(LiveDistribution):
    """Repeats and drops rows of a stream so that its classes follow a target distribution, in one pass.

    A row of class c is passed on `target_c / prior_c` times on average, so the stream keeps its length. The stream is read
    block by block; the copies of a block are shuffled among each other. Totals stay within one row of what the shares ask.
    Memory holds one block and a batch, however rare or absent a class is. Shuffle the source where its classes come sorted.

    `distribution` may be set at any time and takes effect when the next pass begins.

    Args:
        dataset: a `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`, of rows or of batches.
        batch_size: rows of a batch that comes out.
        class_counts: rows per class in the stream `(C,)`, or anything in proportion to them. Defaults to None: counted on the
            way, and more exact the more was read.
        num_classes: number of classes C, needed where `class_counts` is not given.
        target: as in `target_distribution`; "natural" passes every row on once. Defaults to "balanced".
        label_fn: function of a block `(x, y)` or `(x, y, sample_weight)` that gives class ids `(N,)`, where y is no class label.
            Defaults to y.
        block_size: rows that are drawn from together. Defaults to 4096.
        batched: whether the dataset's elements are batches. Defaults to None: inferred from the shape of y; needed when that
            is ambiguous.
        class_names: names of the classes, for log keys. Defaults to the class numbers.
        seed: whole number; the same seed gives the same batches. Defaults to one from Python's `random`.

    Raises:
        ValueError: for counts that are not positive, a target that is none, no number of classes; while reading, for labels
            that are no class ids.

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
            raise ValueError(f"`dataset` must be a tf.data.Dataset. Received: {type(dataset)}.")
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise ValueError(f"`dataset` must yield (x, y) or (x, y, sample_weight). Received elements of {spec}.")
        self.batch_size = whole_number(batch_size, "batch_size")
        self.block_size = whole_number(block_size, "block_size")
        self.seed = random.randrange(2**31) if seed is None else whole_number(seed, "seed", least=0)
        self._known = None if class_counts is None else check_counts(class_counts, "class_counts")
        if self._known is None and num_classes is None:
            raise ValueError("`num_classes` must be given where `class_counts` is not. Received: None for both.")
        size = whole_number(num_classes, "num_classes", least=2) if self._known is None else len(self._known)
        if num_classes not in (None, size):
            raise ValueError(f"`class_counts` must hold {num_classes} counts. Received: {size}.")
        super().__init__(np.ones(size) if self._known is None else self._known, "balanced", class_names)
        self._rows = dataset
        self._label_fn = label_fn
        self._batched = _is_batched(spec, label_fn, size) if batched is None else bool(batched)
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
        return target_distribution(self._reference(), self._target, self._class_names)

    @distribution.setter
    def distribution(self, shares: Any) -> None:
        self._target = check_distribution(shares, self._counts, "distribution")

    def set_target(self, target: Any) -> None:
        """Sets the distribution that a target stands for; where counts are learnt, it follows what was counted."""
        target_distribution(self._counts, target, self._class_names)
        self._target = target

    @property
    def exposure(self) -> np.ndarray:
        """Rows drawn of every class so far, int64 `(C,)`."""
        self._settle()
        return self._drawn.copy()

    def dataset(self) -> tf.data.Dataset:
        """Batches `(x, y)` or `(x, y, sample_weight)` of one pass over the stream, anew in each iteration."""
        blocks = self._rows.rebatch(self.block_size) if self._batched else self._rows.batch(self.block_size)
        passes = tf.data.Dataset.from_generator(self._begin, output_signature=tf.TensorSpec((), tf.int64))
        numbered = tf.data.Dataset.zip(passes.flat_map(lambda key: tf.data.Dataset.from_tensors(key).repeat()), blocks)
        options = tf.data.Options()
        options.deterministic = True
        return numbered.flat_map(self._drawn_block).rebatch(self.batch_size).prefetch(2).with_options(options)

    def state_dict(self) -> dict:
        """What a resumed run needs for the passes that would have come, as JSON types."""
        self._settle()
        return {
            "seed": self.seed,
            "epoch": self._next,
            "counts": self._read.tolist(),
            "drawn": self._drawn.tolist(),
            "distribution": self._target if isinstance(self._target, (str, float, int)) else self.distribution.tolist(),
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
        if counts.shape != self._read.shape or drawn.shape != self._read.shape or state["seed"] != self.seed:
            raise ValueError(
                f"`state` must be of a sampler of {self.num_classes} classes with seed {self.seed}. Received: "
                f"{len(counts)} classes, seed {state['seed']}. Build the sampler as in the run that saved it."
            )
        self.set_target(state["distribution"])
        self._next, self._read, self._drawn = int(state["epoch"]), counts, drawn
        self._passes.clear()

    def _reference(self):
        """The counts that a target is taken over: given, counted, or, before anything was read, even."""
        if self._known is not None:
            return self._known
        self._settle()
        return self._read.astype(np.float64) if (self._read > 0).all() else self._counts

    def _begin(self) -> Iterator[int]:
        self._settle()
        key = max(self._passes, default=-1) + 1
        self._passes = {old: kept for old, kept in self._passes.items() if old > key - 4}
        natural = isinstance(self._target, str) and self._target == "natural"
        prior = None if self._known is None else self._known / self._known.sum()
        shares = None if natural else self.distribution
        self._passes[key] = _Pass(self._next, shares, prior, self._read, self.seed)
        yield key

    def _settle(self):
        """Takes over what the latest pass read and drew; one that never went past its first block was a look."""
        if self._passes:
            latest = self._passes[max(self._passes)]
            single = 0 <= self._num_blocks() <= 1
            if latest.blocks > 1 or (single and latest.blocks == 1):
                self._next = latest.number + 1
                self._read = latest.before + latest.read
                self._drawn = self._drawn + latest.drawn
                latest.before, latest.read = self._read, np.zeros_like(latest.read)
                latest.drawn = np.zeros_like(latest.drawn)

    def _num_blocks(self):
        """Blocks in the stream, or a negative number where that is not known."""
        number = int(self._rows.cardinality())
        return -1 if self._batched or number < 0 else -(-number // self.block_size)

    def _drawn_block(self, key, block):
        labels = block[1] if self._label_fn is None else self._label_fn(*block)
        places = tf.numpy_function(self._draw, [key, labels], tf.int64)
        places.set_shape([None])
        pieces = tf.data.Dataset.range(0, tf.size(places, tf.int64), self.block_size)
        # Copies are made a block's worth at a time: one that repeats a rare class a thousand times takes no more memory.
        return pieces.map(
            lambda first: tf.nest.map_structure(
                lambda leaf: tf.gather(leaf, places[first : first + self.block_size]), block
            )
        )

    def _draw(self, key, labels):
        ids = class_ids(labels, self.num_classes, name="y")
        return self._passes[int(key)].draw(ids)


def _is_batched(spec, label_fn, num_classes):
    """Whether elements of this spec are batches, by the axis that all their parts share."""
    shapes = [leaf.shape for leaf in tf.nest.flatten(spec)]
    if any(shape.rank == 0 for shape in shapes):
        return False
    lengths = {None if shape.rank is None else shape[0] for shape in shapes}
    if lengths == {None} and all(shape.rank for shape in shapes):
        return True
    label = spec[1].shape if label_fn is None and hasattr(spec[1], "shape") else None
    if label is not None and label.rank == 1 and None not in lengths:
        if len(lengths) > 1:
            return False
        if label[0] != num_classes:
            return True
    raise ValueError(
        f"`batched` must say whether the dataset yields batches: its elements {spec} do not. Received: batched=None."
    )
