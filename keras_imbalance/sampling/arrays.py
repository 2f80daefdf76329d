"""Rebalanced batches from arrays."""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imbalance.backend.training import looks_at_data
from keras_imbalance.class_counts import check_distribution, count_classes
from keras_imbalance.sampling.distribution import LiveDistribution, check_class_names
from keras_imbalance.sampling.draws import Passes, batch_classes, batch_starts, in_runs, rounded
from keras_imbalance.sampling.inputs import (
    arrays_of,
    check_weights,
    class_of_rows,
    common_length,
    spec_of,
    whole_number,
)
from keras_imbalance.sampling.shards import Parts, one_part, parts_of_worker, places_of_part
from keras_imbalance.sampling.smote import SMOTE, Synthesizer

EPOCH_SIZES = ("natural", "undersample", "oversample")
PIECE_BYTES = 4 << 20  # rows are gathered for as many batches at a time as fit in this
PIECE_BATCHES = 64
FEW_BATCHES = 16  # where fewer fit, batches are large enough to be fetched ahead
STATE_KEYS = ("seed", "class_counts", "batch_size", "epoch", "drawn", "synthetic", "distribution")
BASES = 1 << 40  # keeps the rows that new points start from apart from the rows drawn as they are


class _Epoch:
    """One iteration over the dataset: what it started from, and how far it came.

    Args:
        number: the epoch.
        distribution: share of every class `(C,)`.
        drawn: rows of every class that were drawn before `(C,)`.
        made: new points of every class that were made before `(C,)`.
        limit: rows of every class that the epoch draws before it makes new points `(C,)`.
        seed: the sampler's.
        parts: which parts of every batch are wanted.
        look: whether Keras looks at the first batch and drops the rest, however much of it is fetched ahead.
    """

    def __init__(
        self,
        number: int,
        distribution: np.ndarray,
        drawn: np.ndarray,
        made: np.ndarray,
        limit: np.ndarray,
        seed: int,
        parts: Parts,
        look: bool,
    ):
        self.number = number
        self.distribution = distribution
        self.drawn, self.made, self.limit = drawn, made, limit
        self.places = np.zeros_like(drawn)  # given to every class so far in this epoch
        self.seed = seed
        rng = self.rng(-1)
        self.offset = float(rng.random())
        self.order = rng.permutation(np.flatnonzero(distribution > 0))
        self.counted = False
        self.parts, self.look = parts, look

    def rng(self, piece: int, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.number, piece + 1, *purpose])

    def totals(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows drawn and points made of every class in all, once the epoch has given these places."""
        rows = np.minimum(places, self.limit)
        return self.drawn + rows, self.made + places - rows


class ArraySampler(LiveDistribution):
    """Draws batches whose classes follow a target distribution, from arrays, for `model.fit`.

    In each full batch every class has its share of the places to within one row (`exact=True`), in shuffled order, and so
    it has in the whole epoch, which a smaller last batch completes. Within a class every row is drawn
    once before any is drawn twice, across epochs and across changes of the distribution. The rows are copied only into the
    batches; the arrays stay as they are and may be memory-mapped.

    `distribution` may be set at any time, by a callback too; it takes effect when the next epoch begins. An iteration that is
    given up after its first batch does not count as an epoch, as Keras looks at one batch to build a model; one that is given
    up later counts as a whole epoch.

    Args:
        x: array of shape `(N, ...)`, or a nest (tuple, dict) of them.
        y: labels of N rows: class ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or any nest of arrays where `classes` is given.
        sample_weight: None, or weights of N rows, finite and not negative, passed on to Keras.
        batch_size: rows a batch. Defaults to 32.
        target: the class distribution to draw: "natural", "balanced", "sqrt", a number q, a mapping from class to share, or
            shares `(C,)`; see `target_distribution`. Classes that a mapping leaves out divide what remains in proportion to
            their counts. Defaults to "balanced".
        epoch_size: rows an epoch: "natural" (N), "undersample" (the most rows with none drawn twice: C * min n_i when
            balanced), "oversample" (the fewest rows with every row drawn: C * max n_i when balanced), or a number.
            Defaults to "natural".
        exact: False draws the class of each row by itself, so that batches vary. Defaults to True.
        smote: a `SMOTE`, which makes new points of what an epoch draws of a class beyond the number of the class's rows.
            Defaults to None: rows are repeated.
        classes: class of each row, `(N,)`, where `y` is not a class label: several outputs, several labels a row, soft labels.
            Whole numbers from 0, or names, which are numbered as in `class_names`, by default in sorted order.
        class_names: names of the classes, for log keys. Defaults to the names in `classes`, or the class numbers.
        seed: whole number; the same seed gives the same batches. Defaults to one from Python's `random`, which
            `keras.utils.set_random_seed` seeds.

    Raises:
        ValueError: for arrays of different lengths, labels that are no class labels, weights that are negative or not
            finite, a distribution that is none, or a positive share for a class without rows.

    Example:
    >>> import numpy as np
    >>> x, y = np.arange(100.0), np.repeat([0, 1], [90, 10])
    >>> sampler = ArraySampler(x, y, batch_size=20, seed=0)
    >>> dataset = sampler.dataset()
    >>> int(dataset.cardinality()), [int(labels.numpy().sum()) for _, labels in dataset]
    (5, [10, 10, 10, 10, 10])

    In fit: `model.fit(sampler.dataset(), shuffle=False, epochs=10)`; Keras warns that it cannot shuffle a dataset otherwise.
    The `batch_size` of fit has no say, and its `class_weight` would weigh the classes once more.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        target: Any = "balanced",
        epoch_size: str | int = "natural",
        exact: bool = True,
        smote: SMOTE | None = None,
        classes: Any = None,
        class_names: Sequence[str] | None = None,
        seed: int | None = None,
    ):
        parts = {"x": x, "y": y} if sample_weight is None else {"x": x, "y": y, "sample_weight": sample_weight}
        self._arrays = tuple(arrays_of(value, name) for name, value in parts.items())
        rows = common_length(dict(zip(parts, self._arrays, strict=True)))
        check_weights(self._arrays[2:])
        class_names = None if class_names is None else check_class_names(class_names)
        ids, names = class_of_rows(self._arrays[0], self._arrays[1], classes, rows, class_names)
        super().__init__(count_classes(ids, None if names is None else len(names)), target, names)
        self.batch_size = whole_number(batch_size, "batch_size")
        self.exact = bool(exact)
        self._seeded = seed is not None
        self.seed = random.randrange(2**31) if seed is None else whole_number(seed, "seed", least=0)
        self.epoch_rows = self._rows_of(epoch_size)
        self._passes = Passes(ids, self._counts, self.seed)
        self._limit = np.full(self.num_classes, np.iinfo(np.int64).max)
        self._synthesizer: Synthesizer | None = None
        if smote is not None:
            self._use(smote, ids)
        self._next = 0
        self._drawn = np.zeros(self.num_classes, dtype=np.int64)
        self._made = np.zeros(self.num_classes, dtype=np.int64)
        self._epochs: dict[int, _Epoch] = {}

    @property
    def num_batches(self) -> int:
        """Batches an epoch; the last one holds what remains."""
        return -(-self.epoch_rows // self.batch_size)

    @property
    def exposure(self) -> np.ndarray:
        """Rows drawn of every class so far, new points among them, int64 `(C,)`; an epoch that has begun counts whole."""
        self._settle()
        return self._drawn + self._made

    def exposure_report(self) -> dict[str, dict[str, float]]:
        """What training has seen of every class so far; an epoch that has begun counts as a whole.

        Returns:
            For each class name: `rows` in the data, `drawn` places in batches, `synthetic` new points among them,
            `distinct` rows of the data that were drawn at least once, and `passes`, how often each row was drawn on average.

        Example:
        >>> import numpy as np
        >>> sampler = ArraySampler(np.arange(6.0), [0, 0, 0, 0, 0, 1], batch_size=3, seed=0)
        >>> _ = list(sampler.dataset())
        >>> sampler.exposure_report()["1"]
        {'rows': 1, 'drawn': 3, 'synthetic': 0, 'distinct': 1, 'passes': 3.0}
        """
        self._settle()
        report: dict[str, dict[str, float]] = {}
        for i, name in enumerate(self._class_names):
            rows, drawn, made = int(self._counts[i]), int(self._drawn[i]), int(self._made[i])
            seen = {"rows": rows, "drawn": drawn + made, "synthetic": made, "distinct": min(drawn, rows)}
            report[name] = {**seen, "passes": drawn / rows if rows else 0.0}
        return report

    def dataset(self, num_shards: int = 1, index: int = 0) -> tf.data.Dataset:
        """Batches `(x, y)` or `(x, y, sample_weight)` of one epoch, anew in each iteration, as a finite `tf.data.Dataset`.

        Several workers divide each batch: every one builds the sampler alike, with the same seed, and takes its own part. The
        parts of a batch have no row in common and are together the batch that one process draws. Each has floor or ceil of its
        share of every class. State and exposure are those of whole batches, the same in every worker.

        Args:
            num_shards: number of workers, which divides `batch_size`. Defaults to 1.
            index: number of this worker, from 0.

        Raises:
            ValueError: for a number of workers that does not divide `batch_size`, a last batch with fewer rows than workers, or
                a sampler without a seed of its own.

        Example:
        >>> import numpy as np
        >>> x, y = np.arange(100.0), np.repeat([0, 1], [90, 10])
        >>> workers = [ArraySampler(x, y, batch_size=20, seed=0) for _ in range(2)]
        >>> parts = [next(iter(worker.dataset(2, i))) for i, worker in enumerate(workers)]
        >>> [int(labels.numpy().sum()) for _, labels in parts], set(parts[0][0].numpy()) & set(parts[1][0].numpy())
        ([5, 5], set())
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
        rest = self.epoch_rows % self.batch_size
        if 0 < rest < parts.number:
            raise ValueError(
                f"`epoch_size` must leave a row of the last batch for each of {parts.number} workers or replicas. "
                f"Received: {self.epoch_rows} rows, the last batch of {rest}. "
                f"Pass epoch_size={self.epoch_rows - rest or self.batch_size}."
            )
        signature = tf.nest.map_structure(spec_of, self._arrays)

        def pieces(generate, *epoch):
            return tf.data.Dataset.from_generator(generate, output_signature=signature, args=epoch).unbatch()

        if self._batches_a_piece() >= FEW_BATCHES:
            # Handing small batches from thread to thread costs more than making them where they are wanted.
            dataset = pieces(partial(self._whole_epoch, parts))
        else:
            # The first batch comes by itself: looking at it must not start the rest, which is fetched ahead.
            begin = partial(self._begin, parts)
            epochs = tf.data.Dataset.from_generator(begin, output_signature=tf.TensorSpec((), tf.int64))
            dataset = epochs.flat_map(
                lambda epoch: pieces(self._first_piece, epoch).concatenate(
                    pieces(self._other_pieces, epoch).prefetch(2)
                )
            )
        options = parts.options()
        options.autotune.enabled = False
        dataset = dataset.with_options(options)
        return dataset.apply(tf.data.experimental.assert_cardinality(self.num_batches * parts.kept))

    def state_dict(self) -> dict:
        """What a resumed run needs to go on with the batches that would have come, as JSON types."""
        self._settle()
        return {
            "seed": self.seed,
            "class_counts": self._counts.tolist(),
            "batch_size": self.batch_size,
            "epoch": self._next,
            "drawn": self._drawn.tolist(),
            "synthetic": self._made.tolist(),
            "distribution": self._distribution.tolist(),
        }

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what `state_dict` gave, for a sampler of the same data.

        Raises:
            ValueError: when the state is of a sampler of other rows per class, batch size or seed, or is no state at all.
        """
        if not isinstance(state, Mapping) or not set(STATE_KEYS) <= set(state):
            raise ValueError(
                f"`state` must be what `state_dict` gave, with the keys {STATE_KEYS}. Received: {state!r}."
            )
        drawn, made = (np.asarray(state[key], dtype=np.int64) for key in ("drawn", "synthetic"))
        counted = drawn.shape == made.shape == self._drawn.shape and not ((drawn < 0) | (made < 0)).any()
        if not counted or state["seed"] != self.seed or state["epoch"] < 0:
            raise ValueError(
                f"`state` must be of a sampler of {self.num_classes} classes with seed {self.seed}. Received: "
                f"{len(drawn)} classes, seed {state['seed']}. "
                f"Build the sampler as in the run that saved it, with seed={state['seed']}."
            )
        if state["class_counts"] != self._counts.tolist() or state["batch_size"] != self.batch_size:
            raise ValueError(
                f"`state` must be of a sampler of the same rows: {self._counts.tolist()} a class, in batches of "
                f"{self.batch_size}. Received: {state['class_counts']} a class, in batches of {state['batch_size']}. Build the "
                "sampler as in the run that saved it."
            )
        self._check_drawable(check_distribution(state["distribution"], self._counts, "distribution"))
        # As saved, not rescaled once more: the same run must draw the same rows.
        self._distribution = np.asarray(state["distribution"], dtype=np.float64)
        self._next, self._drawn, self._made = int(state["epoch"]), drawn, made
        self._epochs.clear()

    def _rows_of(self, epoch_size):
        if isinstance(epoch_size, str) or epoch_size is None:
            if epoch_size not in EPOCH_SIZES:
                raise ValueError(
                    f"`epoch_size` must be one of {EPOCH_SIZES} or a number of rows. Received: {epoch_size!r}."
                )
            if epoch_size == "natural":
                return int(self._counts.sum())
            drawn = self._distribution > 0
            per_share = self._counts[drawn] / self._distribution[drawn]
            # A share like 1/3 is no float: what lies within rounding of a whole number is meant to be that number.
            if epoch_size == "undersample":
                return max(1, int(np.floor(per_share.min() * (1 + 1e-12))))
            return int(np.ceil(per_share.max() * (1 - 1e-12)))
        return whole_number(epoch_size, "epoch_size")

    def _settle(self):
        """Takes over what the latest iteration draws, if it counts: all of it, however far what fetches ahead has come."""
        if self._epochs:
            latest = self._epochs[max(self._epochs)]
            if latest.counted and latest.number >= self._next:
                places = latest.places
                if places.sum() < self.epoch_rows:
                    places = np.zeros_like(places)
                    for first, number in self._pieces():
                        places = places + self._counted(self._classes(latest, places, first, number))
                self._next = latest.number + 1
                self._drawn, self._made = latest.totals(places)

    def _begin(self, parts: Parts) -> Iterator[int]:
        self._settle()
        key = max(self._epochs, default=-1) + 1
        self._epochs = {old: epoch for old, epoch in self._epochs.items() if old > key - 32}
        shares = self._distribution.copy()
        self._epochs[key] = _Epoch(
            self._next, shares, self._drawn, self._made, self._limit, self.seed, parts, looks_at_data()
        )
        yield key

    def _whole_epoch(self, parts):
        key = next(self._begin(parts))
        yield from self._first_piece(key)
        yield from self._other_pieces(key)

    def _first_piece(self, key):
        epoch = self._epochs[int(key)]
        epoch.counted = self.num_batches == 1 and not epoch.look
        yield from self._piece(epoch, 0, 1)

    def _other_pieces(self, key):
        epoch = self._epochs[int(key)]
        epoch.counted = not epoch.look
        for first, number in self._pieces()[1:]:
            yield from self._piece(epoch, first, number)

    def _pieces(self):
        """First batch and number of batches of each piece of an epoch."""
        most = self._batches_a_piece()
        full = self.epoch_rows // self.batch_size
        pieces = [(0, 1)] + [(first, min(most, full - first)) for first in range(1, full, most)]
        return pieces + ([(full, 1)] if max(full, 1) < self.num_batches else [])

    def _batches_a_piece(self):
        row_bytes = sum(leaf.nbytes // max(len(leaf), 1) for leaf in tf.nest.flatten(self._arrays))
        return int(np.clip(PIECE_BYTES // max(row_bytes * self.batch_size, 1), 1, PIECE_BATCHES))

    def _piece(self, epoch, first, number):
        """Batches, or the wanted parts of them, stacked `(M, b, ...)`: all at once, or one by one where sizes differ."""
        classes = self._classes(epoch, epoch.places, first, number)
        flat = classes.reshape(-1)
        drawn, made = epoch.totals(epoch.places)
        new = self._beyond_own_rows(epoch, flat)
        epoch.places = epoch.places + self._counted(classes)
        rows = np.empty(len(flat), dtype=np.int64)
        rows[~new] = self._passes.draw(flat[~new], drawn)
        if new.any():
            rows[new] = self._bases.draw(flat[new], made)
        if self._synthesizer is None or not new.any():
            for places in self._wanted(epoch, classes, first):
                yield _taken(self._arrays, rows[places])
            return
        # Every worker makes the new points of all, from the same random numbers.
        batches = _taken(self._arrays, rows)
        rng = np.random.default_rng([self._smote_seed, epoch.number, first + 1, 1])
        places = np.flatnonzero(new)
        self._synthesizer.place(tf.nest.flatten(batches[0]), places, rows[places], flat[places], rng)
        if epoch.parts.number == 1:
            yield tf.nest.map_structure(lambda leaf: leaf.reshape(*classes.shape, *leaf.shape[1:]), batches)
            return
        for places in self._wanted(epoch, classes, first):
            yield _taken(batches, places)

    def _wanted(self, epoch, classes, first):
        """Places `(M, b)` of the wanted parts of batches `(K, B)`, batch after batch, one array or one a part."""
        places = np.arange(classes.size).reshape(classes.shape)
        number, begin, kept = epoch.parts
        if number == 1:
            return [places]
        shift = epoch.rng(first, 2).integers(0, number, len(classes))
        within = [places_of_part(classes, number, part, shift) for part in range(begin, begin + kept)]
        parts = [np.take_along_axis(places, part, axis=1) for part in within]
        if len({part.shape for part in parts}) > 1:
            return parts
        return [np.stack(parts, axis=1).reshape(len(classes) * kept, -1)]

    def _beyond_own_rows(self, epoch, classes):
        """Which places, bool `(P,)`, come after all rows of their class in this epoch: those of new points."""
        new = np.zeros(len(classes), dtype=bool)
        if self._synthesizer is not None:
            places, owner, within = in_runs(classes, self.num_classes)
            new[places] = epoch.places[owner] + within >= epoch.limit[owner]
        return new

    def _use(self, smote, ids):
        if not isinstance(smote, SMOTE):
            raise ValueError(f"`smote` must be a SMOTE or None. Received: smote={smote!r}.")
        self._smote_seed = self.seed if smote.seed is None else int(smote.seed)
        self._bases = Passes(ids, self._counts, self._smote_seed ^ BASES)
        self._synthesizer = Synthesizer(smote, self._arrays[0], self._passes.members())
        # A class of one row has no neighbour to go to: what rounding gives it beyond that row repeats it.
        self._limit = np.where(self._counts > 1, self._counts, self._limit)
        self._check_drawable(self._distribution)

    def _check_drawable(self, shares):
        if self._synthesizer is None:
            return
        lonely = np.flatnonzero((self._counts == 1) & (shares * self.epoch_rows > 1 + 1e-9))
        if lonely.size:
            names = [self._class_names[i] for i in lonely]
            raise ValueError(
                f"`smote` makes new points between the rows of a class, and a class of one row has none between: {names}. "
                f"Give it a share of at most 1 / {self.epoch_rows}, more rows, or use smote=None."
            )

    def _classes(self, epoch, places, first, number):
        """Classes `(number, B)` of the batches from `first` on, when each class got these places before in the epoch."""
        full, rest = divmod(self.epoch_rows, self.batch_size)
        if first < full:
            starts = batch_starts(first, number, full, epoch.offset)
            return batch_classes(epoch.distribution, epoch.order, starts, self.batch_size, epoch.rng(first), self.exact)
        rng = epoch.rng(first)
        if not self.exact:
            return batch_classes(epoch.distribution, epoch.order, np.array([epoch.offset]), rest, rng, False)
        # The last batch brings the epoch's totals to within a row of what the shares ask.
        shares = epoch.distribution
        counts = rounded(self.epoch_rows * shares - places, rest, rng, rest * shares)
        return rng.permutation(np.repeat(np.arange(self.num_classes), counts))[None]

    def _counted(self, classes):
        return np.bincount(classes.reshape(-1), minlength=self.num_classes)


def _taken(arrays, rows):
    return tf.nest.map_structure(lambda leaf: leaf.take(rows, axis=0), arrays)
