"""What a stream yields: which parts of it are rows, their classes, and how a `tf.data.Dataset` gives and takes them."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imbalance._core import LOOKUP, check_callable, check_flag, class_ids, invalid, named_ids, shown
from keras_imbalance._keras import tensorflow
from keras_imbalance.sampling.inputs import check_weights

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = tensorflow()

BY_LABEL_FN = "Where a row has no single class, give it by `label_fn`."
MOST_PIECE = 1024  # rows that are read at a time
AT_ONCE, MOST_AT_ONCE = 1 << 20, 16  # bytes, and batches, that are made by one call
UNKNOWN_PIECE = 32  # where the size of a row is not known before it is read


class StreamRows:
    """The rows of a dataset as lists of NumPy arrays, and back. Parts whose rows differ in shape are arrays of arrays.

    Args:
        dataset: of `(x, y)` or `(x, y, sample_weight)`, of rows or of batches.
        label_fn: gives the classes of a batch, or None where y does.
        batched: whether its elements are batches, or None to tell it by the shapes.
        class_names: names of the classes where labels are text, or None.
        num_classes: C.
        padding_value: what rows of different shape are filled up with.
        block_bytes: size of a block.

    Raises:
        ValueError: for elements of another form, parts that cannot be drawn row by row, labels that cannot be class ids.
    """

    def __init__(
        self,
        dataset: Any,
        label_fn: Callable | None,
        batched: bool | None,
        class_names: list[str] | None,
        num_classes: int,
        padding_value: float,
        block_bytes: int,
    ):
        self.spec = _spec_of_rows(dataset, label_fn)
        check_flag(batched, "batched", optional=True)
        self._num_classes, self._label_fn, self._padding = num_classes, label_fn, padding_value
        self._names = class_names
        self._batched = _is_batched(self.spec, label_fn, num_classes) if batched is None else batched
        _check_leaves(self.spec, self._batched)
        self._label = len(tf.nest.flatten(self.spec[0])) if label_fn is None else -1
        self._weights = slice(len(tf.nest.flatten(self.spec[:2])), len(tf.nest.flatten(self.spec)))
        _check_labels(self.spec[1], self._batched, label_fn, num_classes, class_names)
        self._shapes = [self._shape_of_row(leaf.shape) for leaf in tf.nest.flatten(self.spec)]
        self._varying = [shape is not None and None in shape for shape in self._shapes]
        self._specs = [self._spec_of_batch(i, leaf) for i, leaf in enumerate(tf.nest.flatten(self.spec))]
        self._row_bytes = self._bytes_of_row()
        fits = UNKNOWN_PIECE if self._row_bytes is None else max(1, block_bytes // (8 * self._row_bytes))
        self._piece = min(MOST_PIECE, fits)
        if label_fn is not None:
            _check_given_labels(self._pieces(dataset).element_spec[-1], class_names)

    def pieces(self, dataset: Any) -> Iterator[list]:
        """Reads a dataset of this form: lists of arrays, of some rows each."""
        varying = [*self._varying, False]
        for element in self._pieces(dataset).as_numpy_iterator():
            leaves = tf.nest.flatten(element)
            yield [_one_by_one(leaf) if vary else leaf for leaf, vary in zip(leaves, varying, strict=False)]

    def batches_at_once(self, batch_size: int) -> int:
        """How many batches are worth being made by one call of a Python function."""
        if self._row_bytes is None:
            return 1
        return min(MOST_AT_ONCE, max(1, AT_ONCE // (self._row_bytes * batch_size)))

    def checked(self, block: list) -> tuple[list, np.ndarray]:
        """The parts of a block, text labels as class ids, and the class of each row."""
        check_weights(tuple(block[self._weights]))
        labels = block[self._label]
        if labels.dtype == object:
            labels, _ = named_ids(labels, self._names, "y")
            if self._label_fn is None:
                block = [*block[: self._label], labels, *block[self._label + 1 :]]
        ids = class_ids(labels, self._num_classes, "y" if self._label_fn is None else "label_fn(...)", BY_LABEL_FN)
        return block[: self._weights.stop], ids

    def types(self) -> list:
        """The types of what `delivered` gives."""
        ragged = [isinstance(spec, tf.RaggedTensorSpec) for spec in self._specs]
        pairs = zip(self._specs, ragged, strict=True)
        return [dtype for spec, split in pairs for dtype in ([spec.dtype, tf.int64] if split else [spec.dtype])]

    def delivered(self, batch: list | None) -> list:
        """The parts of a batch as TensorFlow takes them: filled up to the largest, or ragged, as values and lengths."""
        if batch is None:
            batch = [
                np.empty(0, dtype=object) if vary else _nothing(spec)
                for vary, spec in zip(self._varying, self._specs, strict=True)
            ]
        parts: list[np.ndarray] = []
        for leaf, vary, spec in zip(batch, self._varying, self._specs, strict=True):
            parts += self._put_together(leaf, spec) if vary else [leaf]
        return parts

    def packed(self, leaves: list) -> Any:
        """What `delivered` gave, as tensors, in the form of the dataset's elements."""
        given = iter(leaves)
        return tf.nest.pack_sequence_as(self.spec, [_tensor(given, spec) for spec in self._specs])

    def _pieces(self, dataset):
        """A dataset of this form in batches of some rows, the last part of each what `label_fn` gives."""
        if self._batched:
            pieces = dataset if any(self._varying) else dataset.rebatch(self._piece)
        else:
            pieces = dataset.batch(1 if any(self._varying) else self._piece)
        if self._label_fn is None:
            return pieces
        return pieces.map(lambda *block: (*block, self._label_fn(*block)))

    def _shape_of_row(self, shape):
        if shape.rank is None:
            return None
        return tuple(shape.as_list()[1 if self._batched else 0 :])

    def _spec_of_batch(self, i, leaf):
        shape = None if self._shapes[i] is None else (None, *self._shapes[i])
        if isinstance(leaf, tf.RaggedTensorSpec):
            return tf.RaggedTensorSpec(shape, leaf.dtype, 1, leaf.row_splits_dtype)
        return tf.TensorSpec(shape, tf.int64 if i == self._label and leaf.dtype == tf.string else leaf.dtype)

    def _bytes_of_row(self):
        """Bytes of a row, or None where they are not known before it is read."""
        leaves = tf.nest.flatten(self.spec)
        if None in self._shapes or any(self._varying) or any(leaf.dtype == tf.string for leaf in leaves):
            return None
        sizes = [int(np.prod(shape, dtype=np.int64)) for shape in self._shapes]
        return max(1, sum(size * leaf.dtype.size for size, leaf in zip(sizes, leaves, strict=True)))

    def _put_together(self, rows, spec):
        """Rows that differ in shape as one array, or as their values and lengths."""
        dtype = spec.dtype.as_numpy_dtype
        if isinstance(spec, tf.RaggedTensorSpec):
            values = np.concatenate([np.empty((0, *spec.shape[2:]), dtype), *rows]).astype(dtype)
            return [values, np.array([len(row) for row in rows], dtype=np.int64)]
        largest = np.max([row.shape for row in rows], axis=0) if len(rows) else [0] * (spec.shape.rank - 1)
        padded = np.full((len(rows), *largest), b"" if spec.dtype == tf.string else self._padding, dtype=dtype)
        for whole, row in zip(padded, rows, strict=True):
            whole[tuple(map(slice, row.shape))] = row
        return [padded]


def _nothing(spec):
    """A batch of no rows."""
    return np.empty([0 if size is None else size for size in spec.shape or [0]], dtype=spec.dtype.as_numpy_dtype)


def _tensor(given, spec):
    """The next tensor of those given, or the ragged one that the next two make."""
    if isinstance(spec, tf.RaggedTensorSpec):
        values, lengths = next(given), next(given)
        values.set_shape((None, *spec.shape[2:]))
        lengths.set_shape((None,))
        return tf.RaggedTensor.from_row_lengths(values, tf.cast(lengths, spec.row_splits_dtype))
    tensor = next(given)
    tensor.set_shape(spec.shape)
    return tensor


def _one_by_one(leaf):
    """The rows of an array, or of arrays of different lengths, as an array of arrays `(N,)`."""
    rows = np.empty(len(leaf), dtype=object)
    for i, row in enumerate(leaf):
        rows[i] = np.asarray(row)
    return rows


def _spec_of_rows(dataset, label_fn):
    """The spec of a dataset; raises unless it yields rows and their classes can be told."""
    if not isinstance(dataset, tf.data.Dataset):
        raise invalid(
            "dataset",
            "be a tf.data.Dataset",
            received=str(type(dataset)),
            remedy="Arrays are rebalanced by ArraySampler(x, y), a generator as tf.data.Dataset.from_generator(...).",
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise invalid(
            "dataset",
            "yield (x, y) or (x, y, sample_weight)",
            received=f"elements of {spec}",
            remedy="Map it to that form first, as by dataset.map(lambda row: (row['x'], row['y'])).",
        )
    check_callable(label_fn, "label_fn", optional=True)
    for leaf in tf.nest.flatten(spec):
        if not isinstance(leaf, (tf.TensorSpec, tf.RaggedTensorSpec)):
            sparse = isinstance(leaf, tf.SparseTensorSpec)
            remedy = "Map a SparseTensor by tf.sparse.to_dense first." if sparse else ""
            raise invalid("dataset", "yield dense or ragged tensors", received=f"a part {leaf}", remedy=remedy)
    if label_fn is None and not isinstance(spec[1], tf.TensorSpec):
        raise invalid("label_fn", "give the class of each row where y is a nest of arrays, or ragged", label_fn)
    return spec


def _is_batched(spec, label_fn, num_classes):
    """Whether elements of this spec are batches, by the axis that all their parts share."""
    lengths = _lengths(spec)
    if not lengths:
        return False
    if lengths == {None}:
        return True
    if label_fn is None and lengths != {1} and all(isinstance(length, int) for length in lengths):
        found = _is_batched_by_labels(spec[1], lengths, num_classes)
        if found is not None:
            return found
    raise invalid("batched", f"say whether the dataset yields batches: its elements {shown(spec)} do not", None)


def _lengths(spec):
    """Sizes of the first axes, None where one is not known and "?" where it may be missing; empty where one is missing."""
    shapes = [leaf.shape for leaf in tf.nest.flatten(spec)]
    if any(shape.rank == 0 for shape in shapes):
        return set()
    return {"?" if shape.rank is None else shape[0] for shape in shapes}


def _is_batched_by_labels(labels, lengths, num_classes):
    """Whether labels of one axis are a batch of ids and not a one-hot row; None where they may be either."""
    if labels.shape.rank != 1:
        return None
    if len(lengths) > 1:
        return False
    return True if labels.shape[0] != num_classes else None


def _check_leaves(spec, batched):
    """Raises for rows that are taken for batches, and for parts that are ragged within a row."""
    for leaf in tf.nest.flatten(spec):
        if batched and leaf.shape.rank == 0:
            raise invalid("batched", "be False for a dataset of rows", received=f"batched=True, elements of {spec}")
        if isinstance(leaf, tf.RaggedTensorSpec) and (not batched or leaf.ragged_rank != 1):
            remedy = "Batch rows of different length by dataset.ragged_batch, or fill them up by .to_tensor()."
            raise invalid(
                "dataset", "yield tensors that are ragged in one axis", received=f"a part {leaf}", remedy=remedy
            )


def _check_given_labels(labels, class_names):
    """Raises unless what a `label_fn` gives is one tensor, of ids, or of names where these are known."""
    if not isinstance(labels, tf.TensorSpec):
        raise invalid("label_fn", "return one tensor, the class ids (N,) of a batch", received=shown(labels))
    if labels.dtype == tf.string and class_names is None:
        remedy = "Pass class_names=[...]: a part of the stream does not tell which names there are."
        raise invalid("class_names", "be given where `label_fn` returns text", None, remedy)


def _check_labels(labels, batched, label_fn, num_classes, class_names):
    """Raises for labels that can be seen to be no class ids before they are read."""
    if label_fn is not None:
        return
    if labels.dtype == tf.string and class_names is None:
        remedy = f"{LOOKUP} Or pass `class_names`."
        raise invalid("y", "be numbers where `class_names` is not given", received="dtype string", remedy=remedy)
    columns = [] if labels.shape.rank is None else labels.shape.as_list()[1 if batched else 0 :]
    if columns and columns[-1] not in (None, 1, num_classes):
        requirement = f"hold class ids or one-hot rows of {num_classes} classes"
        raise invalid("y", requirement, received=f"{labels}, batched={batched}", remedy=BY_LABEL_FN)
