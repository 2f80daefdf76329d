"""The decision of the highest expected macro F1, found without labels."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_flag,
    check_names,
    check_number,
    check_probabilities,
    check_table,
    invalid,
    is_one_channel,
    log_ratio,
    two_channels,
)
from keras_imbalance._keras import ops, register
from keras_imbalance.decisions.arrays import classes_first, largest_class, probability_rows
from keras_imbalance.decisions.decision import ClassIds, Decision, check_channels, known_classes, probabilities_of
from keras_imbalance.decisions.prior_estimate import estimate_prior
from keras_imbalance.decisions.priors import Shares, sigmoid, softmax

LEAST_ROWS = 500
ROUNDS = 200
STARTS = (0.0, 0.5, 1.0)  # from argmax of p / prior^s


@register
class MacroF1Decision(ClassIds, Decision):
    """The class c of the largest gain_c p_c - cost_c; see `tune_macro_f1`, which finds both and returns this.

    It decides arrays in NumPy, int64, and is a layer on top of a trained model, saved with it.

    Args:
        gain: what a row adds per probability of its class, `(C,)`, positive.
        cost: what a row of a class costs, `(C,)`, not negative.
        ratio: what probabilities are multiplied by first, before they are rescaled to sum 1, `(C,)`: shares of use by shares
            that they speak for. Defaults to None, 1.
        expected_f1: macro F1 expected of the rows that it was tuned on. Defaults to None.
        from_logits: whether the inputs are logits. Defaults to False.
        axis: channel axis of the inputs. Defaults to -1.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.

    Input shape: `(..., C)` after a softmax, `(..., 1)` or, as an array, `(N,)` after one sigmoid. Output shape: `(...)`, class
    ids, the first among equals; -1 where a tensor holds NaN.

    Raises:
        ValueError: for values that are not finite or of another length, and for inputs of another count of channels.

    Example:
    >>> decision = MacroF1Decision([1.0, 4.0], [0.4, 0.8])
    >>> decision([[0.9, 0.1], [0.6, 0.4]])
    array([0, 1])
    """

    def __init__(
        self,
        gain: npt.ArrayLike,
        cost: npt.ArrayLike,
        *,
        ratio: npt.ArrayLike | None = None,
        expected_f1: float | None = None,
        from_logits: bool = False,
        axis: int = -1,
        **kwargs: Any,
    ):
        super().__init__(axis=axis, **kwargs)
        self.gain = _values(gain, "gain", None)
        size = len(self.gain)
        self.cost = _values(cost, "cost", size)
        self.ratio = np.ones(size) if ratio is None else _values(ratio, "ratio", size)
        self.expected_f1 = check_number(expected_f1, "expected_f1", optional=True)
        self.from_logits = check_flag(from_logits, "from_logits")

    def build(self, input_shape: tuple) -> None:
        check_channels(input_shape, self.axis, len(self.gain), "gain")
        self.built = True

    def of_array(self, values: np.ndarray, given: Any) -> np.ndarray:
        p = _probabilities(values) if self.from_logits else check_probabilities(values, given=given)
        p = two_channels(p.astype(np.float64))
        if p.shape[-1] != len(self.gain):
            received = f"shape {np.shape(given)}"
            raise invalid(self.argument, f"have {len(self.gain)} channels, as those tuned on", received=received)
        return _decide(p.reshape(-1, p.shape[-1]), self.gain, self.cost, self.ratio).reshape(p.shape[:-1])

    def of_tensor(self, values: Any) -> Any:
        p = probabilities_of(values, self.from_logits)
        # Multiplied by the sum that would rescale them: no division, and the same order.
        moved, gain, cost = (ops.convert_to_tensor(part, dtype=p.dtype) for part in (self.ratio, self.gain, self.cost))
        p = p * moved
        return known_classes(p * gain - ops.sum(p, axis=-1, keepdims=True) * cost)

    def get_config(self) -> dict:
        own = {name: getattr(self, name).tolist() for name in ("gain", "cost", "ratio")}
        return {**super().get_config(), **own, "expected_f1": self.expected_f1, "from_logits": self.from_logits}


def tune_macro_f1(
    probabilities: npt.ArrayLike,
    *,
    train_prior: Shares | None = None,
    true_prior: Shares | None = None,
    class_names: Sequence[str] | None = None,
    axis: int = -1,
) -> MacroF1Decision:
    """Finds the decision of the highest expected macro F1 from the probabilities of unlabelled rows.

    It needs about 500 rows and calibrated probabilities: those of cross-entropy or of a logit-adjusted loss, not of class
    weights or a focal loss. It needs no labels, so that it may use the very rows that are to be decided.

    With p the probabilities under the prior of use, n_c the expected rows of class c, m_c the rows decided as c and t_c the
    sum of their p_c, the expected F1 is F_c = 2 t_c / (n_c + m_c). The best decision is argmax_c (2 p_c - F_c) / (n_c + m_c),
    which is iterated to its fixed point from three starts; the best is kept. With two classes and one F1 it is the threshold
    F* / 2 of Lipton et al. 2014.

    Args:
        probabilities: `(N, C)` or `(..., C)`, rows that sum to 1; or the probability of class 1, `(N,)` or `(..., 1)`. Rows
            come in the shares of use.
        train_prior: the class shares that the probabilities speak for, as in `correct_prior`: `loss.output_prior` of a
            logit-adjusted loss, else `sampler.drawn_prior`. Defaults to None: they speak for the shares of use already.
        true_prior: the class shares of use. Defaults to None: with a `train_prior`, those that `estimate_prior` finds for
            these rows.
        class_names: names that mappings may use, in the order of the class ids. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.

    Returns:
        `MacroF1Decision`: decisions as `decision(probabilities)` on probabilities as given here, which it moves to the prior of
        use by itself, and a layer.

    Raises:
        ValueError: for probabilities outside [0, 1], no rows, a `true_prior` without a `train_prior`, and shares that are not
            positive.

    Warns:
        UserWarning: for fewer than 500 rows.

    Example:
    >>> rare = np.random.default_rng(0).beta(0.1, 1.9, size=1000)  # a class of 5 %
    >>> decision = tune_macro_f1(rare)
    >>> decision([0.2, 0.4, 0.6])
    array([0, 1, 1])
    >>> round(decision.expected_f1, 2)
    0.73

    References: Koyejo et al., Consistent Binary Classification with Generalized Performance Metrics, 2014; Narasimhan et al.,
    Consistent Multiclass Algorithms for Complex Performance Measures, 2015; Schultheis et al., Generalized Test Utilities for
    Long-Tail Performance, 2023.
    """
    p = probability_rows(probabilities, axis)
    names = check_names(class_names, p.shape[1])
    if train_prior is None and true_prior is not None:
        raise invalid(
            "train_prior", "be given with a `true_prior`", None, "Pass the shares that the probabilities speak for."
        )
    if len(p) < LEAST_ROWS:
        warnings.warn(
            f"`probabilities` have {len(p)} rows. `tune_macro_f1` needs about {LEAST_ROWS}: with fewer it fits chance. Add "
            "rows without labels, or decide by argmax.",
            UserWarning,
            stacklevel=2,
        )
    ratio = np.ones(p.shape[1])
    if train_prior is not None:
        if true_prior is None:
            true_prior = estimate_prior(p, train_prior, class_names=names)
        ratio = np.exp(log_ratio(train_prior, true_prior, p.shape[1], class_names=names))
        p = p * ratio
        p /= p.sum(axis=1, keepdims=True)
    gain, cost, expected = _fixed_point(classes_first(p))
    unit = gain.max()
    return MacroF1Decision(gain / unit, cost / unit, ratio=ratio / ratio.max(), expected_f1=expected, axis=axis)


def _fixed_point(p):
    """Gain and cost `(C,)` of the best decision found for probabilities `(C, N)`, and its expected macro F1."""
    rows = p.sum(axis=1)
    best: tuple = (None, None, -np.inf)
    for start in STARTS:
        gain, cost = (np.maximum(rows, 1e-12) / rows.sum()) ** -start, np.zeros(len(p))
        decided = None
        for _ in range(ROUNDS):
            before, decided = decided, largest_class(p * gain[:, None] - cost[:, None])
            expected = _expected_f1(p, rows, decided).mean()
            if expected > best[2]:
                best = (gain, cost, float(expected))
            if before is not None and (decided == before).all():
                break
            new = _coefficients(p, rows, decided)
            gain, cost = new if before is None else ((gain + new[0]) / 2, (cost + new[1]) / 2)
    return best


def _sums(p, rows, decided):
    """Sum of the probabilities of the rows decided as each class, and rows expected and decided together."""
    of_decided = np.take_along_axis(p, decided[None], axis=0)[0]
    size = len(rows)
    return np.bincount(decided, of_decided, size), rows + np.bincount(decided, minlength=size)


def _expected_f1(p, rows, decided):
    found, total = _sums(p, rows, decided)
    return 2 * found / np.maximum(total, 1e-12)


def _coefficients(p, rows, decided):
    """2 / (n + m) and F / (n + m), of a class that no row can be of 0 and more than any other gains."""
    found, total = _sums(p, rows, decided)
    possible = rows > 0
    total = np.where(possible, np.maximum(total, 1e-3), 1.0)
    gain = np.where(possible, 2 / total, 0.0)
    return gain, np.where(possible, 2 * found / total**2, gain.max())


def _decide(p, gain, cost, ratio):
    """Class ids `(N,)` of probabilities `(N, C)`."""
    moved = classes_first(p * ratio)
    return largest_class(moved * gain[:, None] - moved.sum(axis=0) * cost[:, None])


def _values(values, argument, size):
    table = check_table(values, argument)
    fits = table.ndim == 1 and table.dtype.kind in "iuf" and len(table) >= 2 and size in (None, len(table))
    if not fits or not np.isfinite(table).all() or (table < 0).any():
        raise invalid(argument, "hold one finite number a class, not negative", values)
    return table.astype(np.float64)


def _probabilities(logits):
    if not np.isfinite(logits).all():
        raise invalid("probabilities", "be finite logits", received="NaN or infinity")
    return sigmoid(logits.astype(np.float64)) if is_one_channel(logits) else softmax(logits.astype(np.float64))
