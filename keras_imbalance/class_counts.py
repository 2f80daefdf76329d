"""From labels to counts, and from counts to weights, priors and target distributions. NumPy float64 throughout."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance.labels import as_table, class_ids

SCHEMES = ("inverse_frequency", "balanced", "sqrt", "effective_number")
TARGETS = ("natural", "balanced", "sqrt")
LOOKUP = (
    "Turn names into numbers first: lookup = keras.layers.StringLookup(vocabulary=class_names, num_oov_indices=0), "
    "dataset.map(lambda x, y: (x, lookup(y)))."
)
SEVERAL = "Of several labels a row count each by itself, labels.sum(axis=0); of soft labels take labels.argmax(axis=1)."
MOST_CLASSES = 10_000_000  # no data set has more, and class numbers that are hashes or keys would fill the memory


def count_classes(labels: Any, num_classes: int | None = None) -> np.ndarray:
    """Counts the rows of every class.

    Args:
        labels: class ids `(N,)` or `(N, 1)`, one-hot rows `(N, C)`, or a finite `tf.data.Dataset` of `(x, y)` or
            `(x, y, sample_weight)`, batched or not, which is read once.
        num_classes: number of classes C. Defaults to the largest id + 1, or the number of one-hot columns.

    Returns:
        int64 array `(C,)`.

    Raises:
        ValueError: when labels are not whole numbers in range, when none is left to count, or for an infinite dataset.

    Example:
    >>> count_classes([0, 0, 2, 0], num_classes=4)
    array([3, 0, 1, 0])
    """
    if num_classes is not None and (
        isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)) or num_classes < 1
    ):
        raise ValueError(
            "`num_classes` must be None or a whole number of at least 1. "
            f"Received: num_classes={num_classes!r:.80}. Labels are all that is counted: count_classes(y)."
        )
    if hasattr(labels, "element_spec"):
        return _count_dataset(labels, num_classes)
    ids = class_ids(labels, num_classes, remedy=SEVERAL)
    shape = np.shape(labels)
    return _count(ids, num_classes or (shape[1] if len(shape) == 2 and shape[1] > 1 else 0))


def class_weights(
    counts: Any, scheme: str = "inverse_frequency", beta: float = 0.9999, normalize: str | None = None
) -> np.ndarray:
    """Weights that are larger for rarer classes.

    With n_i rows of class i, N rows in all and C classes:

    - "inverse_frequency": N / n_i (Huyen, Designing Machine Learning Systems, 2022, chapter 4)
    - "balanced": N / (C n_i), as scikit-learn's `class_weight="balanced"`
    - "sqrt": sqrt(N / n_i)
    - "effective_number": (1 - beta) / (1 - beta^n_i), rescaled to sum C (Cui et al., 2019). beta = 0 gives ones,
      beta -> 1 gives weights proportional to 1 / n_i.

    Args:
        counts: rows per class `(C,)`, positive; they may be fractional.
        scheme: one of the names above. Defaults to "inverse_frequency".
        beta: for "effective_number", in [0, 1). Defaults to 0.9999.
        normalize: "sum" rescales the weights to sum C; None leaves them as the formula gives them.

    Returns:
        float64 array `(C,)`. The `class_weight` of Keras's fit is `dict(enumerate(class_weights(counts)))`.

    Raises:
        ValueError: for counts that are not positive and finite, an unknown scheme, a beta outside [0, 1).

    Example:
    >>> class_weights([80, 20])
    array([1.25, 5.  ])
    """
    counts = check_counts(counts, "counts")
    if normalize not in (None, "sum"):
        raise ValueError(f"`normalize` must be None or 'sum'. Received: normalize={normalize!r}.")
    if scheme == "inverse_frequency":
        weights = counts.sum() / counts
    elif scheme == "balanced":
        weights = counts.sum() / (len(counts) * counts)
    elif scheme == "sqrt":
        weights = np.sqrt(counts.sum() / counts)
    elif scheme == "effective_number":
        weights = _inverse_effective_number(counts, beta)
    else:
        raise ValueError(f"`scheme` must be one of {SCHEMES}. Received: scheme={scheme!r}.")
    if normalize == "sum" or scheme == "effective_number":
        weights = weights * (len(counts) / weights.sum())
    return weights


def class_prior(counts: Any) -> np.ndarray:
    """Share of every class, n_i / N.

    Args:
        counts: rows per class `(C,)`, positive.

    Returns:
        float64 array `(C,)` that sums to 1.

    Raises:
        ValueError: for counts that are not positive and finite.

    Example:
    >>> class_prior([75, 25])
    array([0.75, 0.25])
    """
    counts = check_counts(counts, "counts")
    return counts / counts.sum()


def target_distribution(counts: Any, target: Any, class_names: Sequence[str] | None = None) -> np.ndarray:
    """The class distribution that a target stands for.

    Args:
        counts: rows per class `(C,)`. A class with 0 rows may only have the share 0.
        target: one of

            - "natural": n_i / N, "balanced": 1 / C, "sqrt": proportional to sqrt(n_i)
            - a number q: q-sampling, proportional to n_i^q (Kang et al., 2020); 1 is natural, 0 is balanced
            - a mapping, or a pandas Series, from class number or name to share; classes that it leaves out divide what
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
    counts = _in_class_order(counts, "counts")
    numeric = counts.dtype.kind in "biuf" and counts.ndim == 1 and counts.size > 0
    if not numeric or not np.isfinite(counts).all() or (counts < 0).any() or counts.sum() <= 0:
        shown = np.array2string(counts, threshold=20)
        raise ValueError(f"`counts` must hold one finite count per class, not all 0. Received: counts={shown}.")
    counts = counts.astype(np.float64)
    if hasattr(target, "to_dict"):
        target = target.to_dict()  # of a pandas Series the index says which class a share is of
    if isinstance(target, Mapping):
        shares = _mapped_shares(counts, target, class_names)
    elif isinstance(target, str):
        if target not in TARGETS:
            raise ValueError(
                f"`target` must be one of {TARGETS}, a number q, a mapping or an array. Received: {target!r}."
            )
        shares = {"natural": counts, "balanced": np.ones_like(counts), "sqrt": np.sqrt(counts)}[target]
    elif target is None:
        raise ValueError(f"`target` must be one of {TARGETS}, a number q, a mapping or an array. Received: None.")
    elif np.ndim(target) == 0:
        shares = _q_shares(counts, target)
    else:
        shares = target
    return check_distribution(shares, counts, "target")


def check_counts(counts: Any, name: str) -> np.ndarray:
    """`counts` as float64 `(C,)`; raises unless every count is positive and finite."""
    counts = _in_class_order(counts, name)
    numeric = counts.dtype.kind in "biuf"
    if not numeric or counts.ndim != 1 or counts.size == 0 or not np.isfinite(counts).all() or (counts <= 0).any():
        shown = np.array2string(counts, threshold=20)
        raise ValueError(
            f"`{name}` must hold one positive, finite count per class. Received: {name}={shown}. "
            "Merge classes that never occur, or give them a smoothed count; of labels take count_classes(labels)."
        )
    return counts.astype(np.float64)


def check_distribution(shares: Any, counts: np.ndarray, name: str) -> np.ndarray:
    """`shares` rescaled to sum 1; raises unless they suit `counts`: C finite shares, not negative, none for an empty class."""
    if as_table(shares, name).dtype.kind not in "iuf":
        raise ValueError(
            f"`{name}` must hold one share a class. Received: {shares!r}. For a name or a mapping use `set_target`."
        )
    shares = np.asarray(shares, dtype=np.float64)
    if shares.shape != counts.shape:
        raise ValueError(
            f"`{name}` must hold one share for each of {len(counts)} classes. Received: shape {shares.shape}."
        )
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(
            f"`{name}` must hold finite shares, not negative, that sum to more than 0. Received: {shares}."
        )
    empty = np.flatnonzero((counts == 0) & (shares > 0))
    if empty.size:
        raise ValueError(
            f"`{name}` must give the share 0 to a class that has no rows. Received: a positive share for the empty "
            f"class {empty.tolist()}. Give it the share 0 (a mapping {{class: 0.0}} or an array), or renumber the classes."
        )
    return shares / shares.sum()


def _in_class_order(counts, name):
    if isinstance(counts, Mapping):
        raise ValueError(
            f"`{name}` must hold one count per class, in the order of the class numbers. Received: {name}={counts}. "
            f"Pass [{name}[c] for c in classes], or count_classes(labels)."
        )
    return as_table(counts, name)


def _inverse_effective_number(counts, beta):
    if not isinstance(beta, (int, float, np.integer, np.floating)) or not 0 <= beta < 1:
        raise ValueError(
            f"`beta` must be in [0, 1). Received: beta={beta!r}. Use scheme='inverse_frequency' for the limit."
        )
    if beta == 0:
        return np.ones_like(counts)
    # expm1 and log1p keep every digit where beta^n is close to 1.
    return (1 - beta) / -np.expm1(counts * np.log1p(beta - 1))


def _q_shares(counts, q):
    if isinstance(q, (bool, np.bool_)) or np.asarray(q).dtype.kind not in "iuf" or not np.isfinite(q) or q < 0:
        raise ValueError(
            f"`target` as a number is the q of q-sampling and must be finite, not negative. Received: {q!r}."
        )
    # Logarithms, so that no power of a large count overflows; an empty class is never drawn.
    exponent = float(q) * np.log(np.where(counts > 0, counts, 1.0))
    return np.where(counts > 0, np.exp(exponent - exponent.max()), 0.0)


def _mapped_shares(counts, target, class_names):
    names = {name: i for i, name in enumerate(class_names or ())}
    shares = np.full(len(counts), np.nan)
    for key, share in target.items():
        index = names.get(key, key)
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < len(counts):
            known = list(names) if names else f"0 to {len(counts) - 1}"
            raise ValueError(f"`target` must map classes to shares; the classes are {known}. Received the key {key!r}.")
        if np.ndim(share) or np.asarray(share).dtype.kind not in "iuf" or not np.isfinite(share) or share < 0:
            raise ValueError(f"`target` must map classes to finite shares, not negative. Received: {key!r}: {share}.")
        shares[index] = share
    rest = np.isnan(shares)
    if not rest.any():
        return shares
    left = 1 - np.nansum(shares)
    if left < -1e-9:
        raise ValueError(
            f"`target` must leave something for the classes not named. Received shares that sum to {1 - left}."
        )
    others = np.where(rest, counts, 0.0)
    return np.where(rest, max(left, 0.0) * others / (others.sum() or 1.0), shares)


def _count(ids, num_classes):
    if ids.size == 0:
        raise ValueError("`labels` must hold at least one label. Received none.")
    if not num_classes and ids.max() >= MOST_CLASSES:
        raise ValueError(
            f"`labels` must number the classes 0 to C - 1. Received: {ids.max()}. Number them anew: "
            "names, ids = numpy.unique(labels, return_inverse=True)."
        )
    return np.bincount(ids, minlength=num_classes or 0).astype(np.int64)


def _count_dataset(dataset, num_classes):
    if int(dataset.cardinality()) == -1:
        raise ValueError("`labels` must be a finite dataset. Received an infinite one: count before `.repeat()`.")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or not hasattr(spec[1], "shape"):
        raise ValueError(
            "`labels` as a dataset must yield (x, y) or (x, y, sample_weight) with y one array. "
            f"Received elements of {spec}. Map it to that form first."
        )
    if spec[1].dtype.name == "string":
        raise ValueError(f"`labels` must be numbers. Received: a dataset of strings. {LOOKUP}")
    labels = dataset.map(lambda x, y, *rest: y)
    single = _is_single_row(spec)
    if single:
        labels = labels.batch(4096)
    looks_one_hot = single is None
    total = np.zeros(num_classes or 0, dtype=np.int64)
    for batch in labels.as_numpy_iterator():
        if len(batch) == 0:
            continue
        looks_one_hot = looks_one_hot and bool(((batch == 0) | (batch == 1)).all() and batch.sum() == 1)
        counts = count_classes(batch, num_classes)
        total = np.pad(total, (0, max(0, len(counts) - len(total))))
        total[: len(counts)] += counts
    if total.sum() == 0:
        raise ValueError("`labels` must hold at least one label. Received an empty dataset.")
    if looks_one_hot:
        raise ValueError(
            f"`labels` may be one-hot rows or batches of class ids: every element is a single 1 among 0 in {spec[1]}. "
            "Batch the dataset, or map it to class ids."
        )
    return total


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
