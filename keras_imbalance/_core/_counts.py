"""From labels to counts, and from counts to weights, priors and target distributions. NumPy float64 throughout."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from keras_imbalance._core._check_arrays import (
    check_counts,
    check_counts_shape,
    check_counts_with_empty_classes,
    check_distribution,
    check_table,
)
from keras_imbalance._core._checks import (
    check_flag,
    check_ignored,
    check_names,
    check_number,
    check_one_of,
    check_whole,
    invalid,
    is_number,
    nearest,
)
from keras_imbalance._core._columns import is_text
from keras_imbalance._core._hard_labels import (
    counted_ids,
    line_up,
    named_ids,
    number_anew,
    warn_of_sorted_names,
)
from keras_imbalance._core._priors import ids_of_keys
from keras_imbalance._core._sources import has_passes, one_pass
from keras_imbalance._keras import PyDataset

Scheme = Literal["balanced", "inverse_frequency", "sqrt", "effective_number"]
TARGETS = ("natural", "balanced", "sqrt")
LOOKUP = (
    "Turn names into numbers first: lookup = keras.layers.StringLookup(vocabulary=class_names, num_oov_indices=0), "
    "dataset.map(lambda x, y: (x, lookup(y)))."
)
SEVERAL = "Of several labels a row count each by itself, labels.sum(axis=0); of soft labels take labels.argmax(axis=1)."
MOST_CLASSES = 10_000_000  # no data set has more, and class ids that are hashes or keys would fill the memory


def count_classes(
    labels: Any,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    axis: int | None = None,
    ignore_class: int | None = None,
    multi_label: bool = False,
) -> np.ndarray:
    """Counts the rows of every class, or the positions: labels have any leading shape.

    Args:
        labels: class ids `(N,)`, `(N, 1)`, masks `(N, H, W)`; one-hot rows `(N, C)`, `(N, H, W, C)`; text; or what gives
            `(x, y)` or `(x, y, sample_weight)` and is read once: a finite `tf.data.Dataset`, batched or not, a
            `keras.utils.PyDataset`, a `DataLoader` of PyTorch.
        num_classes: number of classes C. Defaults to the number of names, else to the largest id + 1, or the number of one-hot
            columns.
        class_names: C names, which text labels may use. Defaults to those among the labels in sorted order.
        axis: the axis of the classes of one-hot labels, and of labels with multi_label. Defaults to None: labels that are
            one-hot along the last axis are one-hot, others ids; -1 with multi_label.
        ignore_class: label that is not counted, such as 255 for void pixels; with multi_label a value. Defaults to None.
        multi_label: whether a row has several labels, 0 or 1 each. Defaults to False.

    Returns:
        int64 array `(C,)`; with multi_label `(C, 2)`, for each label the rows without it, then those with it, as losses take
        them.

    Raises:
        ValueError: when labels are not whole numbers in range or names, when there are no rows to count, or for what has no
            end: a repeated dataset, a generator, a PyDataset or loader without a length.

    Warns:
        UserWarning: for names of two classes without `class_names`, the rarer of which sorts first and so is class 0.

    Example:
    >>> count_classes([0, 0, 2, 0], num_classes=4)
    array([3, 0, 1, 0])
    >>> count_classes([[0, 255], [1, 1]], ignore_class=255)
    array([1, 2])
    >>> count_classes(["cat", "dog", "cat"])
    array([2, 1])
    """
    check_whole(num_classes, "num_classes", 1, most=MOST_CLASSES, optional=True)
    check_whole(axis, "axis", optional=True)
    check_ignored(ignore_class)
    names = check_names(class_names, num_classes)
    size = num_classes if names is None else len(names)
    rule = {"num_classes": size, "axis": axis, "ignore_class": ignore_class, "multi_label": multi_label}
    if hasattr(labels, "element_spec"):
        return _count_dataset(labels, names, rule)
    if isinstance(labels, PyDataset) or has_passes(labels):
        return _count_source(labels, names, rule)
    table, found = named_ids(labels, names)
    if names is None and found is not None:
        warn_of_sorted_names(table, found)
    counts = _count_of(table, rule if found is None else {**rule, "num_classes": len(found)})
    if counts.sum() == 0:
        raise invalid("labels", "hold at least one label that counts", received=f"shape {table.shape}")
    return counts


def _count_of(labels, rule):
    """Counts of an array of labels, all 0 where none is to be counted."""
    num_classes, axis, ignore_class = rule["num_classes"], rule["axis"], rule["ignore_class"]
    if check_flag(rule["multi_label"], "multi_label"):
        table = check_table(labels, "labels")
        scores = np.zeros(table.shape)
        lined = line_up(table, scores, True, axis=-1 if axis is None else axis, ignore_class=ignore_class)
        if num_classes not in (None, lined.labels.shape[1]):
            raise invalid("num_classes", f"be {lined.labels.shape[1]} for labels of shape {table.shape}", num_classes)
        with_label = (lined.labels * (lined.weights > 0)).sum(axis=0)
        return np.stack([(lined.weights > 0).sum(axis=0) - with_label, with_label], axis=1).astype(np.int64)
    ids, columns = counted_ids(labels, num_classes, axis=axis, ignore_class=ignore_class, name="labels", remedy=SEVERAL)
    return _count(ids, num_classes or columns)


@overload
def class_weights(
    class_counts: npt.ArrayLike,
    *,
    scheme: Scheme = ...,
    beta: float = ...,
    normalize: Literal["sum"] | None = ...,
    ignore_class: int | None = ...,
    as_dict: Literal[False] = ...,
) -> np.ndarray: ...
@overload
def class_weights(
    class_counts: npt.ArrayLike,
    *,
    scheme: Scheme = ...,
    beta: float = ...,
    normalize: Literal["sum"] | None = ...,
    ignore_class: int | None = ...,
    as_dict: Literal[True],
) -> dict[int, float]: ...
def class_weights(
    class_counts: npt.ArrayLike,
    *,
    scheme: Scheme = "balanced",
    beta: float = 0.9999,
    normalize: Literal["sum"] | None = None,
    ignore_class: int | None = None,
    as_dict: bool = False,
) -> np.ndarray | dict[int, float]:
    """Weights that are larger for rarer classes.

    With n_i rows of class i, N rows in all and C classes:

    - "balanced": N / (C n_i), as scikit-learn's `class_weight="balanced"`: the mean weight of a row is 1
    - "inverse_frequency": N / n_i (Huyen, Designing Machine Learning Systems, 2022, chapter 4)
    - "sqrt": sqrt(N / n_i)
    - "effective_number": (1 - beta) / (1 - beta^n_i), rescaled to sum C (Cui et al., 2019). beta = 0 gives ones,
      beta -> 1 gives weights proportional to 1 / n_i.

    Args:
        class_counts: rows per class `(C,)`, positive; they may be fractional.
        scheme: one of the names above. Defaults to "balanced".
        beta: for "effective_number", in [0, 1). Defaults to 0.9999.
        normalize: "sum" rescales the weights to sum C; None leaves them as the formula gives them.
        ignore_class: class that counts nowhere: its weight is 0 and its count, which may be 0, enters no formula. A label that
            is no class, such as 255, changes nothing. Defaults to None.
        as_dict: whether to give a mapping from class id to weight, the `class_weight` of Keras's fit. Defaults to False.

    Returns:
        float64 array `(C,)`, or with `as_dict` a dict of C floats.

    Raises:
        ValueError: for counts that are not positive and finite, an unknown scheme, a beta outside [0, 1).

    Example:
    >>> class_weights([80, 20])
    array([0.625, 2.5  ])
    >>> class_weights([80, 20], as_dict=True)  # model.fit(..., class_weight=...)
    {0: 0.625, 1: 2.5}
    """
    if check_flag(as_dict, "as_dict"):
        rule: dict[str, Any] = {"scheme": scheme, "beta": beta, "normalize": normalize, "ignore_class": ignore_class}
        return dict(enumerate(class_weights(class_counts, **rule).tolist()))
    check_ignored(ignore_class)
    table = check_table(class_counts, "class_counts")
    if ignore_class is not None and table.ndim == 1 and 0 <= ignore_class < len(table):
        others = class_weights(np.delete(table, ignore_class), scheme=scheme, beta=beta, normalize=normalize)
        return np.insert(others, ignore_class, 0.0)
    counts = check_counts(class_counts)
    formula = SCHEMES[check_one_of(scheme, "scheme", SCHEMES)]
    check_number(beta, "beta", 0, below=1, remedy="Use scheme='inverse_frequency' for the limit.")
    check_one_of(normalize, "normalize", (None, "sum"))
    weights = formula(counts, beta)
    if normalize == "sum" or scheme == "effective_number":
        weights = weights * (len(counts) / weights.sum())
    return weights


def weights_of_counts(
    class_counts: npt.ArrayLike, multi_label: bool, scheme: Scheme, beta: float, normalize: Literal["sum"] | None
) -> list:
    """`class_weights` as floats in the shape of the counts, `(C,)`, or with multi_label of each label by itself, `(C, 2)`."""
    rows = check_counts_shape(class_counts, multi_label)
    weights = [class_weights(row, scheme=scheme, beta=beta, normalize=normalize) for row in rows]
    return np.reshape(weights, np.shape(class_counts)).tolist()


def class_prior(class_counts: npt.ArrayLike) -> np.ndarray:
    """Share of every class, n_i / N.

    Args:
        class_counts: rows per class `(C,)`, positive.

    Returns:
        float64 array `(C,)` that sums to 1.

    Raises:
        ValueError: for counts that are not positive and finite.

    Example:
    >>> class_prior([75, 25])
    array([0.75, 0.25])
    """
    counts = check_counts(class_counts)
    return counts / counts.sum()


def target_distribution(
    class_counts: npt.ArrayLike, target: Any, *, class_names: Sequence[str] | None = None
) -> np.ndarray:
    """The class shares that a target stands for.

    Args:
        class_counts: rows per class `(C,)`. A class with 0 rows has the share 0.
        target: one of, each over the classes that have rows,

            - "natural": n_i / N, "balanced": equal shares, "sqrt": proportional to sqrt(n_i)
            - a number q: q-sampling, proportional to n_i^q (Kang et al., 2020); 1 is natural, 0 is balanced
            - a mapping, or a pandas Series, from class id or name to share; classes that it leaves out divide what
              remains in proportion to their counts
            - an array of C shares, rescaled to sum 1
        class_names: names that a mapping may use.

    Returns:
        float64 array `(C,)` that sums to 1.

    Raises:
        ValueError: for an unknown target, negative or NaN shares, shares that sum to 0, or an empty class with a
            positive share.

    Example:
    >>> target_distribution([900, 90, 10], {2: 0.34})
    array([0.6 , 0.06, 0.34])
    """
    counts = check_counts_with_empty_classes(class_counts)
    check_names(class_names, len(counts))
    if hasattr(target, "to_dict"):
        target = target.to_dict()  # of a pandas Series the index says which class a share is of
    if isinstance(target, Mapping):
        shares = _mapped_shares(counts, target, class_names)
    elif target is None or isinstance(target, (str, bool, np.bool_)):
        shares = _named_shares(counts, target)
    else:
        shares = check_table(target, "target")
        shares = shares if shares.ndim else _q_shares(counts, target)
    return check_distribution(shares, counts, "target")


def _inverse_effective_number(counts, beta):
    if beta == 0:
        return np.ones_like(counts)
    # expm1 and log1p keep every digit where beta^n is close to 1.
    return (1 - beta) / -np.expm1(counts * np.log1p(beta - 1))


SCHEMES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "balanced": lambda counts, beta: counts.sum() / (len(counts) * counts),
    "inverse_frequency": lambda counts, beta: counts.sum() / counts,
    "sqrt": lambda counts, beta: np.sqrt(counts.sum() / counts),
    "effective_number": _inverse_effective_number,
}


def _named_shares(counts, target):
    if not isinstance(target, str) or target not in TARGETS:
        requirement = f"be one of {', '.join(map(repr, TARGETS))}, a number q, a mapping or an array"
        raise invalid("target", requirement, target, nearest(target, TARGETS))
    return {"natural": counts, "balanced": np.sign(counts), "sqrt": np.sqrt(counts)}[target]


def _q_shares(counts, q):
    q = q.item() if isinstance(q, np.ndarray) else q
    check_number(q, "target", 0, remedy="As a number it is the q of q-sampling: 1 natural, 0 balanced.")
    # Logarithms, so that no power of a large count overflows; an empty class is never drawn.
    exponent = float(q) * np.log(np.where(counts > 0, counts, 1.0))
    return np.where(counts > 0, np.exp(exponent - exponent.max()), 0.0)


def _mapped_shares(counts, target, class_names):
    shares = np.full(len(counts), np.nan)
    for index, (key, share) in zip(
        ids_of_keys(target, "target", len(counts), class_names), target.items(), strict=True
    ):
        share = share.item() if isinstance(share, np.ndarray) and share.ndim == 0 else share
        if not is_number(share) or not np.isfinite(share) or share < 0:
            raise invalid("target", "map classes to finite shares, not negative", {key: share})
        shares[index] = share
    rest = np.isnan(shares)
    if not rest.any():
        return shares
    left = 1 - np.nansum(shares)
    if left < -1e-9:
        remedy = f"Those sum to {1 - left:g}; name every class, or leave less than 1 to some."
        raise invalid("target", "leave something for the classes that it does not name", target, remedy)
    others = np.where(rest, counts, 0.0)
    return np.where(rest, max(left, 0.0) * others / (others.sum() or 1.0), shares)


def _count(ids, num_classes):
    if not num_classes and ids.size and ids.max() >= MOST_CLASSES:
        raise invalid(
            "labels",
            "hold class ids from 0 to C - 1",
            received=str(ids.max()),
            remedy=f"{number_anew('labels')} A label that is no class goes to `ignore_class`.",
        )
    return np.bincount(ids, minlength=num_classes or 0).astype(np.int64)


def _count_dataset(dataset, names, rule):
    _check_labels_spec(dataset, names)
    labels = dataset.map(lambda x, y, *rest: y)
    single = _is_single_row(dataset.element_spec)
    if single:
        labels = labels.batch(4096)
    return _count_batches(labels.as_numpy_iterator(), names, rule, single is None)


def _count_source(source, names, rule):
    rows = (check_table(y, "labels") for y in one_pass(source, "labels"))
    may_give_rows = hasattr(source, "__getitem__") and not isinstance(source, PyDataset)
    return _count_batches((y[None] if y.ndim == 0 else y for y in rows), names, rule, may_give_rows)


def _count_batches(batches, names, rule, either):
    """The sum of the counts of these batches; `either`: they may as well be one-hot rows, which only their values tell."""
    looks_one_hot = either and not rule["multi_label"]
    total = np.zeros((0, 2) if rule["multi_label"] else rule["num_classes"] or 0, dtype=np.int64)
    for batch in filter(len, batches):
        if names is None and is_text(batch):
            raise invalid("class_names", "be given where batches hold text, in the order of the class ids", names)
        looks_one_hot = looks_one_hot and _is_one_hot_row(batch)
        counts = _count_of(named_ids(batch, names)[0], rule)
        total = np.pad(total, ((0, max(0, len(counts) - len(total))), *[(0, 0)] * (total.ndim - 1)))
        total[: len(counts)] += counts
    if total.sum() == 0:
        raise invalid("labels", "hold at least one label", received="no rows")
    if looks_one_hot:
        raise invalid(
            "labels",
            "be one-hot rows or batches of class ids; these may be either",
            received="elements that are a single 1 among 0",
            remedy="Batch them, or give class ids.",
        )
    return total


def _is_one_hot_row(batch):
    return batch.ndim == 1 and len(batch) > 1 and bool(((batch == 0) | (batch == 1)).all() and batch.sum() == 1)


def _check_labels_spec(dataset, names):
    """Raises unless a dataset is finite and its labels can be counted."""
    if int(dataset.cardinality()) == -1:
        raise invalid("labels", "be a finite dataset", received="an infinite one", remedy="Count before `.repeat()`.")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or not hasattr(spec[1], "shape"):
        raise invalid(
            "labels",
            "be a dataset that yields (x, y) or (x, y, sample_weight) with y one array",
            received=f"elements of {spec}",
            remedy="Map it to that form first.",
        )
    if names is None and spec[1].dtype.name == "string":
        remedy = f"Pass class_names=[...] in the order of the class ids. For fit: {LOOKUP}"
        raise invalid("labels", "be numbers", received="a dataset of strings", remedy=remedy)


def _is_single_row(spec):
    """Whether a dataset of this spec is unbatched: scalar labels, or one-hot labels that share no length with x.

    None where the labels of a row may as well be a batch of ids.
    """
    shape = spec[1].shape
    if shape.rank != 1:
        return shape.rank == 0
    x = spec[0]
    while isinstance(x, (Mapping, tuple, list)) and x:
        x = next(iter(x.values() if isinstance(x, Mapping) else x))
    x_shape = getattr(x, "shape", None)
    x_rows = x_shape[0] if x_shape is not None and x_shape.rank else None
    if shape[0] is None or shape[0] == 1:
        return False
    return True if x_rows != shape[0] else None
