"""Rebalanced batches from arrays."""

import os
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_callable, check_flag, check_names, check_whole, invalid, shown
from keras_imbalance._keras import need_keras_3
from keras_imbalance.sampling.class_sampler import ClassSampler
from keras_imbalance.sampling.feed import Feed
from keras_imbalance.sampling.image_folder import check_split, checked_images, files_and_classes, stratified_split
from keras_imbalance.sampling.inputs import (
    check_weights,
    class_of_rows,
    column_names,
    common_length,
    features_and_labels,
)
from keras_imbalance.sampling.nests import leaves
from keras_imbalance.sampling.shards import one_shard
from keras_imbalance.sampling.smote import SMOTE, Synthesizer
from keras_imbalance.sampling.sources import Source, labelled_rows

if TYPE_CHECKING:
    from keras_imbalance.sampling.py_dataset import SamplerDataset
    from keras_imbalance.sampling.tf_data import Dataset, InputContext

PARTS = ("x", "y", "sample_weight")


class ArraySampler(ClassSampler):
    """Draws batches whose classes follow a target distribution, from arrays, for `model.fit`.

    Fit `sampler.dataset()` with shuffle=False; on JAX and PyTorch `sampler.py_dataset()` is faster. `target` may be set at any
    time, by a callback too, and takes effect when the next epoch begins. Under a `tf.distribute` strategy call `dataset()`
    within `strategy.scope()`. The guide to sampling says which reads of Keras count as an epoch.

    In each full batch, and in the whole epoch, every class has its share to within one row (`exact=True`). Within a class every
    row is drawn once before any is drawn twice, across epochs and changes of the target. Arrays may be memory-mapped. Rows may
    also come from a random-access source, with `len()` and `[int]` or `[array]`: h5py and zarr arrays, Hugging Face data sets,
    PyTorch Datasets, Grain sources.

    Args:
        x: array of shape `(N, ...)`, a data frame, a random-access source of N rows, or a nest (tuple, dict) of them. A frame
            of numbers is one array `(N, D)`; one with columns of text or categories comes as a dict of columns, for
            `FeatureSpace` or `StringLookup`.
        y: labels of N rows: class ids `(N,)` or `(N, 1)`, one-hot `(N, C)`, or text, which comes as class ids; or any nest of
            arrays where `classes` is given. The name of the column that holds them, where x is a data frame, a dict, or a
            source of dicts; None where it is a source of `(x, y)` or `(x, y, sample_weight)`. Labels of a source are read once,
            when the sampler is built, unless `classes` are given.
        sample_weight: None, or weights of N rows, finite and not negative, passed on to Keras.
        batch_size: rows a batch. Defaults to 32.
        target: the class distribution to draw: "natural", "balanced", "sqrt", a number q, a mapping from class to share, or
            shares `(C,)`; see `target_distribution`. Classes that a mapping leaves out divide what remains in proportion to
            their counts. Defaults to "balanced".
        max_repeats: how often an epoch may draw a row, on average over its class, > 0. A class that the target would draw more
            often keeps what that allows, and the others share the rest. Defaults to None, no limit.
        classes_per_batch: number of classes P that a batch holds, each with batch_size / P rows, as metric learning asks for.
            What remains of an epoch behind its last full batch is left out. Defaults to None.
        epoch_size: rows an epoch: "natural" (N), "undersample" (the most rows with none drawn twice: C * min n_i when
            balanced), "oversample" (the fewest rows with every row drawn: C * max n_i when balanced), or a number.
            Defaults to "natural".
        exact: False draws the class of each row by itself, so that batches vary. Defaults to True.
        smote: a `SMOTE`, which makes new points of what an epoch draws of a class beyond the number of the class's rows.
            Defaults to None: rows are repeated.
        classes: class of each row, `(N,)`, where `y` is not a class label: several outputs, several labels a row, soft labels.
            Whole numbers from 0, or names, which are numbered as in `class_names`, by default in sorted order. "rarest" takes,
            of labels `(N, L)` or masks, the class that the fewest rows hold; rows that hold none are one class more, "none".
            See `sampling.rarest_classes`, also for masks with an id to ignore.
        class_names: names of the classes, for log keys. Defaults to the names in `classes` or `y`, in sorted order, or the
            class numbers.
        seed: whole number; the same seed gives the same batches. Defaults to one from Python's `random`, which
            `keras.utils.set_random_seed` seeds.

    Raises:
        ValueError: for arrays of different lengths, labels that name no class, weights that are negative or not
            finite, a target that cannot be read, or a positive share for a class without rows.

    Example:
    >>> import numpy as np
    >>> x, y = np.arange(100.0), np.repeat([0, 1], [90, 10])
    >>> sampler = ArraySampler(x, y, batch_size=20, seed=0)
    >>> dataset = sampler.dataset()
    >>> int(dataset.cardinality()), [int(labels.numpy().sum()) for _, labels in dataset]
    (5, [10, 10, 10, 10, 10])

    In fit: `model.fit(sampler.dataset(), shuffle=False, epochs=10)`; Keras warns that it cannot shuffle a dataset otherwise.
    fit ignores its own `batch_size`, and its `class_weight` would weigh the classes once more.
    """

    file_paths: list[str]  # of the images of `from_directory`, row by row
    class_ids: np.ndarray  # of these images, int64 `(N,)`

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        target: npt.ArrayLike | Mapping | str | float = "balanced",
        max_repeats: float | None = None,
        classes_per_batch: int | None = None,
        epoch_size: Literal["natural", "undersample", "oversample"] | int = "natural",
        exact: bool = True,
        smote: SMOTE | None = None,
        classes: npt.ArrayLike | Literal["rarest"] | None = None,
        class_names: Sequence[str] | None = None,
        seed: int | None = None,
    ):
        x, y = features_and_labels(x, y)
        self._arrays, labels, classes = labelled_rows(x, y, sample_weight, classes)
        parts = (
            {"x": self._arrays} if isinstance(self._arrays, Source) else dict(zip(PARTS, self._arrays, strict=False))
        )
        rows = common_length(parts)
        check_weights(parts.get("sample_weight", ()), labels)
        if not (smote is None or isinstance(smote, SMOTE)):
            raise invalid("smote", "be a SMOTE or None", smote, "Pass smote=SMOTE().")
        if smote is not None and any(isinstance(leaf, Source) for leaf in leaves(self._arrays)):
            raise invalid("smote", "be None where rows come from a source", smote, "It needs arrays, or memory maps.")
        self._smote = smote
        ids, names, labels = class_of_rows(parts["x"], labels, classes, rows, check_names(class_names))
        if not isinstance(self._arrays, Source):
            self._arrays = (self._arrays[0], labels, *self._arrays[2:])
        self._plan_rows(
            ids,
            names,
            batch_size=batch_size,
            target=target,
            max_repeats=max_repeats,
            classes_per_batch=classes_per_batch,
            epoch_size=epoch_size,
            exact=exact,
            seed=seed,
            smote=smote,
        )
        members = self._planner.cycles.members()
        synthesizer = None if smote is None else Synthesizer(smote, parts["x"], labels, members, column_names(x))
        self._feed = Feed(self._planner, self._arrays, synthesizer)

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike,
        *,
        labels: npt.ArrayLike | Literal["inferred"] = "inferred",
        label_mode: Literal["int", "categorical", "binary"] = "int",
        class_names: Sequence[str] | None = None,
        color_mode: Literal["rgb", "rgba", "grayscale"] = "rgb",
        batch_size: int = 32,
        image_size: int | tuple[int, int] = (256, 256),
        seed: int | None = None,
        validation_split: float | None = None,
        subset: Literal["training", "validation", "both"] | None = None,
        interpolation: str = "bilinear",
        follow_links: bool = False,
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        check_files: bool = False,
        target: npt.ArrayLike | Mapping | str | float = "balanced",
        max_repeats: float | None = None,
        classes_per_batch: int | None = None,
        epoch_size: Literal["natural", "undersample", "oversample"] | int = "natural",
        exact: bool = True,
    ) -> Any:
        """A sampler of the images in a folder for each class, with the arguments of Keras's `image_dataset_from_directory`.

        Only images that are drawn are decoded, several at a time, to the pixels that Keras's function gives. A `map_fn` of
        `dataset` gets the decoded image. Batches are those of `dataset()`, which takes TensorFlow, on every backend. The paths
        are `sampler.file_paths`, their classes `sampler.class_ids`. TensorFlow's error for a broken file does not name it:
        `check_files=True` does.

        Args:
            directory: a folder with one folder a class; a path or text.
            labels: "inferred" from the folders, or the class id of each image, in the order of the sorted paths. Defaults to
                "inferred".
            label_mode: "int", class ids int32 `(B,)`; "categorical", one-hot float32 `(B, C)`; "binary", float32 `(B, 1)`.
                Defaults to "int".
            class_names: names of the folders to take, in the order of the class ids. Defaults to all, sorted.
            color_mode: "rgb", "rgba" or "grayscale". Defaults to "rgb".
            batch_size: images a batch. Defaults to 32.
            image_size: height and width to which images are resized, or one number for both. Defaults to (256, 256).
            seed: as in the class; it decides about the split too.
            validation_split: share of the images to validate on, in (0, 1): of each class alike, to within an image. Defaults
                to None, no split.
            subset: "training"; "validation", which is drawn as it is, each image once an epoch, in the order of `file_paths`,
                whatever the argument `target` says, also of a folder of its own, without a split; or "both", a pair of
                samplers. Defaults to None: all images, to train on.
            interpolation: as in Keras. Defaults to "bilinear".
            follow_links: whether to go into folders that links point to. Defaults to False.
            crop_to_aspect_ratio: whether to cut images to the aspect ratio of `image_size` before they are resized.
            pad_to_aspect_ratio: whether to fill them up to it with black instead.
            data_format: "channels_last" or "channels_first". Defaults to that of Keras.
            check_files: True decodes every image once, here, and an error names those that cannot be decoded. Defaults to
                False.
            target: as in the class.
            max_repeats: as in the class.
            classes_per_batch: as in the class.
            epoch_size: as in the class.
            exact: as in the class.

        Raises:
            ValueError: for a folder without images, a class name without a folder, a split without a seed that says which,
                arguments that Keras does not take either, and with `check_files` for images that cannot be decoded.

        Warns:
            UserWarning: for a folder of a class without images, for a class that the split leaves none to train or to
                validate on, and for images of a format that is not read.

        Example:
        >>> import tempfile
        >>> import keras, numpy as np
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> for i, name in enumerate(["common"] * 6 + ["rare"] * 2):
        ...     (folder / name).mkdir(exist_ok=True)
        ...     keras.utils.save_img(folder / name / f"{i}.png", np.full((8, 8, 3), i))
        >>> sampler = ArraySampler.from_directory(folder, image_size=(4, 4), batch_size=4, seed=0)
        >>> sampler.class_names, [(images.shape, int(labels.numpy().sum())) for images, labels in sampler.dataset()]
        (['common', 'rare'], [(TensorShape([4, 4, 4, 3]), 2), (TensorShape([4, 4, 4, 3]), 2)])
        """
        images = checked_images(
            color_mode, image_size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, data_format
        )
        check_split(validation_split, subset, seed)
        check_flag(check_files, "check_files")
        files, ids, names = files_and_classes(directory, labels, class_names, follow_links)
        images = images.with_labels(label_mode, len(names))
        if check_files:
            images.check(files)

        def sampler(rows, in_order=False, **arguments):
            paths = [files[row] for row in rows]
            if not paths:
                raise invalid("validation_split", f"leave an image of {len(files)} in each subset", validation_split)
            made = cls(
                np.array(paths, dtype=object),
                ids[rows].astype(np.int32),
                batch_size=batch_size,
                class_names=names,
                seed=seed,
                **arguments,
            )
            made.file_paths, made.class_ids, made._feed.images = paths, ids[rows].astype(np.int64), images
            made.in_order = made._feed.planner.in_order = in_order
            return made

        def validation(rows):  # predictions line up with the files
            return sampler(rows, in_order=True, target="natural")

        asked = {
            "target": target,
            "max_repeats": max_repeats,
            "classes_per_batch": classes_per_batch,
            "epoch_size": epoch_size,
            "exact": exact,
        }
        if validation_split is None:
            rows = np.arange(len(files))
            return validation(rows) if subset == "validation" else sampler(rows, **asked)
        divider = seed if seed is not None else random.randrange(2**31)
        train, validate = stratified_split(ids, validation_split, divider)
        for rows, none, remedy in ((validate, "validates", "raise"), (train, "trains", "lower")):
            lacking = np.setdiff1d(ids, ids[rows])
            if len(lacking):
                without = shown([names[i] for i in lacking])
                warnings.warn(f"No image of {without} {none}: {remedy} `validation_split`.", stacklevel=2)
        if subset == "both":
            return sampler(train, **asked), validation(validate)
        return sampler(train, **asked) if subset == "training" else validation(validate)

    def dataset(
        self,
        *,
        map_fn: Callable[..., Any] | None = None,
        pass_repeats: bool = False,
        num_shards: int = 1,
        shard_index: int = 0,
    ) -> "Dataset":
        """Batches `(x, y)` or `(x, y, sample_weight)` of one epoch, anew in each iteration, as a finite `tf.data.Dataset`.

        `map_fn` reads, decodes or augments each row on its own, several at a time, as in `tf.data.Dataset.map`: it gets tensors
        and runs only for rows that are drawn.

        Several workers divide each batch: every one builds the sampler alike, with the same seed, and takes its own shard. The
        shards of a batch have no row in common and are together the batch that one process draws. Each has floor or ceil of its
        share of every class. State and exposure are those of whole batches, the same in every worker.

        Args:
            map_fn: function of `(x, y)`, or of `(x, y, sample_weight)` where there are weights, of one row. What it gives is
                batched. Defaults to None: rows as they are.
            pass_repeats: whether `map_fn` gets one more argument, the last: how often this row was drawn before, int64, in all
                epochs of this sampler, so that what repeats is augmented and what does not is seen as it is. Defaults to False.
            num_shards: number of workers, which divides `batch_size`. Defaults to 1.
            shard_index: which of them this worker is, from 0.

        Raises:
            ValueError: for rows that differ in shape without a `map_fn`, a number of workers that does not divide `batch_size`,
                a last batch with fewer rows than workers, or a sampler without a seed of its own.

        Example:
        >>> import numpy as np
        >>> x, y = np.arange(100.0), np.repeat([0, 1], [90, 10])
        >>> workers = [ArraySampler(x, y, batch_size=20, seed=0) for _ in range(2)]
        >>> shards = [next(iter(worker.dataset(num_shards=2, shard_index=i))) for i, worker in enumerate(workers)]
        >>> [int(labels.numpy().sum()) for _, labels in shards], set(shards[0][0].numpy()) & set(shards[1][0].numpy())
        ([5, 5], set())

        Files are read, and what repeats is flipped:

        >>> import tensorflow as tf
        >>> def load(path, label, repeats):
        ...     image = tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (224, 224))
        ...     return tf.cond(repeats > 0, lambda: tf.image.random_flip_left_right(image), lambda: image), label
        >>> sampler = ArraySampler(["a.jpg", "b.jpg", "c.jpg"], [0, 0, 1], seed=0)
        >>> sampler.dataset(map_fn=load, pass_repeats=True).element_spec[0].shape
        TensorShape([None, 224, 224, 3])
        """
        return self._dataset(one_shard(num_shards, shard_index), map_fn, pass_repeats)

    def py_dataset(
        self,
        *,
        map_fn: Callable[..., Any] | None = None,
        pass_repeats: bool = False,
        workers: int = 1,
        num_shards: int = 1,
        shard_index: int = 0,
    ) -> "SamplerDataset":
        """Batches `(x, y)` or `(x, y, sample_weight)` in NumPy, as a finite `keras.utils.PyDataset`, without TensorFlow.

        For `fit` on JAX and PyTorch, which is slower on `dataset()`; on TensorFlow `dataset()` is faster. Each epoch of fit,
        and each iteration in a loop of one's own, is one of the sampler. An index, and `shuffle` of fit, are ignored. In the
        place of `steps_per_epoch` pass `epoch_size` to the sampler. Validate on other data: validation on the same sampler
        draws epochs, and counts, like training.

        Args:
            map_fn: function of `(x, y)`, or of `(x, y, sample_weight)` where there are weights, of one row in NumPy. It gives a
                tuple of two or three, arrays or nests of them (tuple, dict), which are batched. Defaults to None: rows as they
                are.
            pass_repeats: as in `dataset`.
            workers: threads. More than one make batches ahead while the model trains, which pays where a batch takes longer
                than a thread's turn, as for SMOTE and `map_fn`, which then runs in several at a time. Defaults to 1: each batch
                is made when Keras asks for it.
            num_shards: number of workers that divide each batch, as in `dataset`. Defaults to 1.
            shard_index: which of them this worker is, from 0.

        Raises:
            ValueError: for a sampler `from_directory`, whose images TensorFlow reads, rows that differ in shape without a
                `map_fn` or after it, and shards as in `dataset`.
            ImportError: on tf-keras, whose `Sequence` is not told when an epoch begins.

        Example:
        >>> import keras, numpy as np
        >>> sampler = ArraySampler(np.arange(100.0), np.repeat([0, 1], [90, 10]), batch_size=20, seed=0)
        >>> batches = sampler.py_dataset(map_fn=lambda x, y, before: (x + 0.5 * (before > 0), y), pass_repeats=True)
        >>> x, y = next(iter(batches))
        >>> len(batches), int(y.sum()), bool((x % 1).any())  # in the first batch no row comes again
        (5, 10, False)
        """
        need_keras_3("ArraySampler.py_dataset()", remedy="Unset it, or fit `dataset()`.")
        from keras_imbalance.sampling.py_dataset import Batches, SamplerDataset

        _check_map(map_fn, pass_repeats)
        if self._feed.images is not None:
            remedy = (
                "Elsewhere pass the paths and a function that reads one: ArraySampler(paths, y).py_dataset(map_fn=...)."
            )
            raise invalid(
                "sampler",
                "deliver by `dataset()` where it is made `from_directory`",
                received="py_dataset()",
                remedy=remedy,
            )
        shards = one_shard(num_shards, shard_index)
        self._check_shards(shards)
        batches = Batches(self._feed, shards, map_fn, pass_repeats)
        return SamplerDataset(batches, check_whole(workers, "workers", 1))

    def worker_dataset(
        self, context: "InputContext", *, map_fn: Callable[..., Any] | None = None, pass_repeats: bool = False
    ) -> "Dataset":
        """What one worker of a `tf.distribute` strategy takes: a shard of each batch for each replica that it has.

        For a custom loop: `strategy.distribute_datasets_from_function(sampler.worker_dataset)`. `fit` and
        `experimental_distribute_dataset` divide the batches of `dataset()` by themselves.

        Args:
            context: what the strategy passes.
            map_fn: as in `dataset`.
            pass_repeats: as in `dataset`.
        """
        from keras_imbalance.sampling.tf_data import shards_of_worker

        return self._dataset(shards_of_worker(context), map_fn, pass_repeats)

    def __iter__(self):
        raise TypeError(
            "ArraySampler is not iterable. Its batches are those of `sampler.dataset()`, which `fit` takes too; row numbers "
            "alone are drawn by ClassSampler."
        )

    def _dataset(self, shards, map_fn, pass_repeats):
        from keras_imbalance.sampling import tf_data  # TensorFlow loads with the first dataset

        _check_map(map_fn, pass_repeats)
        self.matched_losses.check(self._distribution)
        shards = tf_data.within_strategy(shards)
        self._check_shards(shards)
        return tf_data.dataset_of(self._feed, shards, map_fn, pass_repeats)

    def _shares_of(self, target):
        shares = super()._shares_of(target)
        if self._smote is not None:
            lonely = np.flatnonzero((self._counts == 1) & (shares * self.epoch_rows > 1 + 1e-9))
            if lonely.size:
                names = [self._class_names[i] for i in lonely]
                requirement = "be None where new points are asked of a class of one row, which has no second to go to"
                remedy = f"Give it a share of at most 1 / {self.epoch_rows}, more rows, or use smote=None."
                raise invalid("smote", requirement, received=f"the classes {shown(names)}", remedy=remedy)
        return shares


def _check_map(map_fn, pass_repeats):
    check_callable(map_fn, "map_fn", optional=True)
    if check_flag(pass_repeats, "pass_repeats") and map_fn is None:
        raise invalid("pass_repeats", "be False where there is no `map_fn` to pass repeats to", pass_repeats)
