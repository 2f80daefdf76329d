"""What gives batches and is no array: generators, PyDatasets, loaders, datasets. NumPy would read some of them for ever."""

import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any

from keras_imbalance._core._checks import invalid, shown

OF_ARRAYS = ("__array__", "__array_interface__", "__array_struct__")
ENDLESS = sys.maxsize  # rows of a source that is repeated for ever, as Grain's MapDataset tells
STREAM = "A tf.data.Dataset is rebalanced by StreamSampler(dataset, batch_size=..., num_classes=...)."
COLLECT = (
    "Collect as many batches as one pass has: numpy.concatenate([y for _, y in itertools.islice(batches, steps)]); "
    "labels of a PyDataset or a DataLoader are counted by count_classes(source)."
)


def gives_batches(value: Any) -> bool:
    """Whether `value` is read item by item and may have no end: no array, no text, no collection of Python's own kinds."""
    if isinstance(value, (type, Sequence, Mapping, Set)) or any(hasattr(value, name) for name in OF_ARRAYS):
        return False
    return hasattr(value, "element_spec") or hasattr(value, "__getitem__") or hasattr(value, "__iter__")


def has_passes(value: Any) -> bool:
    """Whether `value` gives batches of labelled rows, and tells how many: a PyDataset or a loader, not a sampler."""
    return gives_batches(value) and hasattr(value, "__len__") and not hasattr(value, "class_counts")


def refuse_batches(values: Any, argument: str, otherwise: str = COLLECT) -> None:
    """Raises where `values`, or an item of this list, would be read item by item to make an array of it.

    `otherwise` is the remedy for what has none of its own.
    """
    # One item of each type stands for all of them: a list may hold millions of numbers.
    items = {type(item): item for item in values} if isinstance(values, (list, tuple)) else {None: values}
    for item in items.values():
        if gives_batches(item):
            raise invalid(
                argument, "be an array", received=str(type(item)), remedy=_way_to_an_array(item, argument, otherwise)
            )


def _way_to_an_array(value, argument, otherwise):
    if hasattr(value, "element_spec"):
        return STREAM
    if hasattr(value, "to_tensor"):
        return f"A RaggedTensor is filled up by {argument}.to_tensor(); StreamSampler draws rows that stay ragged."
    if hasattr(value, "class_counts"):
        return "Counts of a sampler's rows are sampler.class_counts; its batches are those of sampler.dataset()."
    if hasattr(value, "toarray"):
        return f"A sparse matrix is taken as {argument}.toarray()."
    return otherwise


def one_pass(source: Any, argument: str) -> Iterator[Any]:
    """The labels of every batch, or row, that a PyDataset, a loader or a data set of `(x, y)` gives in one pass.

    Raises:
        ValueError: where the source does not tell how long a pass is, or gives anything but `(x, y)` and `(x, y, weight)`.
    """
    length = _length(source, argument)
    items = (source[i] for i in range(length)) if hasattr(source, "__getitem__") else islice(source, length)
    for item in items:
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            remedy = "Pass the labels themselves, as source['label'] where it has columns."
            raise invalid(argument, "give (x, y) or (x, y, sample_weight)", received=shown(item), remedy=remedy)
        yield item[1]


def _length(source, argument):
    try:
        length = len(source) if hasattr(source, "__len__") else getattr(source, "num_batches", None)
    except (TypeError, NotImplementedError):
        length = None
    if length is None or length >= ENDLESS:
        received = (
            f"a {type(source).__name__} that {'never ends' if length else 'does not tell how many batches a pass has'}"
        )
        raise invalid(argument, "have an end", received=received, remedy=COLLECT)
    return length
