"""Differences between methods over splits that share rows, and how far to trust them."""

from typing import NamedTuple

import numpy as np

ALPHA = 0.05


class Difference(NamedTuple):
    """What one method scores above another, paired by split.

    Attributes:
        mean: mean over the splits; positive is better.
        std: standard deviation over the splits, NaN of one split.
        above: splits in which it was better.
        splits: splits that both have.
        p: p-value of the corrected resampled t-test, adjusted by Holm; NaN where fewer than two splits are left, where the test
            rows were given and all differences are of one split, and where they are equal and not 0.
    """

    mean: float
    std: float
    above: int
    splits: int
    p: float


def corrected_t_test(differences: np.ndarray, ratio: float | None) -> float:
    """The two-sided p-value that differences over J splits of one data set have the mean 0.

    t = mean(d) / sqrt((1 / J + ratio) var(d)) with J - 1 degrees of freedom: the splits share training rows, so that a plain
    t-test finds differences that are not there.

    Args:
        differences: `(J,)`, paired by split.
        ratio: test rows for each training row; None of one split, which other seeds do not change.

    Returns:
        1 where all differences are 0; NaN where they are equal and not 0, which says nothing of their spread, and for fewer
        than two.

    Example:
    >>> round(corrected_t_test(np.array([0.01, 0.02, 0.03, 0.02, 0.02]), ratio=1 / 3), 3)
    0.018

    Reference: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003.
    """
    from scipy.stats import t

    if len(differences) < 2 or ratio is None:
        return float("nan")
    mean, variance = differences.mean(), differences.var(ddof=1)
    if variance == 0:
        return 1.0 if mean == 0 else float("nan")
    statistic = mean / np.sqrt((1 / len(differences) + ratio) * variance)
    return float(2 * t.sf(abs(statistic), len(differences) - 1))


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values adjusted for having made several tests, `(M,)`; NaN stays and counts nowhere.

    Example:
    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])

    Reference: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
    """
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return adjusted


def differences(
    scores: dict[str, np.ndarray], to: str, ratio: float | None, higher: bool = True
) -> dict[str, Difference]:
    """What every other method scores above `to`.

    Args:
        scores: by method, one a split `(J,)`, NaN where it was not run.
        to: the method to compare with.
        ratio: as in `corrected_t_test`.
        higher: whether more is better. Defaults to True.
    """
    sign = 1 if higher else -1
    found = {name: sign * (values - scores[to]) for name, values in scores.items() if name != to}
    found = {name: values[~np.isnan(values)] for name, values in found.items()}
    adjusted = holm(np.array([corrected_t_test(values, ratio) for values in found.values()]))
    return {
        name: Difference(
            float(values.mean()) if len(values) else float("nan"),
            float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
            int((values > 0).sum()),
            len(values),
            float(p),
        )
        for (name, values), p in zip(found.items(), adjusted, strict=True)
    }
