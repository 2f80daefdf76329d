"""The class prior of unlabelled rows: a likelihood ratio test, and the most likely prior where it speaks against training's."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_names, check_number, check_shares, check_whole
from keras_imbalance.decisions.arrays import probability_rows
from keras_imbalance.decisions.priors import Shares

SAMPLE = 20_000  # rows that find where to start
BLOCK = 8192  # rows at a time
LEAST_STEP = 0.5**30
MOST_STEPS = 1000  # of EM, where the likelihood ratio is close to its quantile
FAVOURED = 10  # rows in which a class is likelier than not that do not suit its absence


def estimate_prior(
    probabilities: npt.ArrayLike,
    train_prior: Shares,
    *,
    significance: float = 0.01,
    max_iterations: int = 100,
    tolerance: float = 1e-9,
    class_names: Sequence[str] | None = None,
    axis: int = -1,
) -> np.ndarray:
    """The class prior of unlabelled rows, from a model's probabilities: the train prior unless they refute it.

    The probabilities must be calibrated, and rows of one class must look as they did in training; try it on validation rows
    first. Those of focal and class-weighted losses are not calibrated: apply the `Temperature` of `tune_temperature` first.

    With a the train prior, the log-likelihood of a prior b is sum_rows log sum_c b_c p_c / a_c. If twice the ratio of its
    maximum to that of a does not exceed the quantile 1 - significance of chi-square with C - 1 degrees of freedom, the result
    is a. Otherwise it is the most likely b with one pseudo-row a class added, C rows shared out as a. That is the fixed point
    of the EM steps b_c = (sum_rows responsibility_c + C a_c) / (N + C) of Saerens et al. 2002, found by Newton's method.

    Args:
        probabilities: of the rows whose prior is wanted, as the model gives them, not corrected: `(N, C)`, or the probability
            of class 1, `(N,)` or `(N, 1)`.
        train_prior: the class shares that the probabilities speak for, as in `correct_prior`.
        significance: how often rows of the train prior may be taken for shifted ones, above 0, at most 1; 1 always estimates.
            Defaults to 0.01.
        max_iterations: most steps of Newton's method, at least 1. Defaults to 100.
        tolerance: stops as soon as no prior can be better by more log-likelihood a row. Defaults to 1e-9.
        class_names: names that a mapping may use, in the order of the class ids. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.

    Returns:
        float64 array `(C,)`, positive, that sums to 1; `(2,)` for one sigmoid. `correct_prior` takes it as `true_prior`.

    Raises:
        ValueError: for probabilities outside [0, 1], no rows, a bare number as a prior, and shares that are not positive.

    Warns:
        UserWarning: where the probabilities contradict the train prior grossly, as after a wrong `train_prior` or without
            calibration: a class that many rows favour comes out as absent, or a rare class as the majority.
        RuntimeWarning: when `max_iterations` did not suffice.

    Example:
    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> estimate_prior(probabilities, "balanced")  # four rows refute nothing
    array([0.5, 0.5])
    >>> estimate_prior(np.tile(probabilities, (50, 1)), "balanced").round(3)
    array([0.751, 0.249])

    References: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002; Wilks, The
    Large-Sample Distribution of the Likelihood Ratio, 1938.
    """
    p = probability_rows(probabilities, axis)
    names = check_names(class_names, p.shape[1])
    train = check_shares(train_prior, "train_prior", num_classes=p.shape[1], class_names=names)
    check_number(significance, "significance", above=0, most=1)
    limits = check_whole(max_iterations, "max_iterations", 1), check_number(tolerance, "tolerance", 0)
    search = _Search(p / train, train)
    prior = search.most_likely(*limits)
    if search.left > limits[1]:
        warnings.warn(
            f"`estimate_prior` did not converge: after max_iterations={max_iterations} up to {search.left:.3g} of "
            f"log-likelihood a row is left to gain, more than tolerance={tolerance}. Allow more iterations or a larger "
            "tolerance.",
            RuntimeWarning,
            stacklevel=2,
        )
    if not search.refutes_train_prior(prior, significance):
        return train
    _warn_of_unlikely_shifts(p, train, prior)
    return prior


class _Search:
    """Newton's method for the mean log-likelihood of a prior, with pseudo-rows.

    The function sum_rows log(L b) + sum_c C a_c log b_c - (N + C) sum_c b_c is concave over b > 0, and its maximum sums
    to 1 by itself, so that no constraint is left.

    Attributes:
        left: a bound on what the mean log-likelihood still can gain.
    """

    def __init__(self, likelihood, train):
        self.likelihood, self.train = likelihood, train
        self.rows, self.num_classes = likelihood.shape
        self.pseudo = self.num_classes * train
        self.left = math.inf

    def most_likely(self, max_iterations, tolerance):
        prior = self.train
        if self.rows > 2 * SAMPLE:
            part = _Search(np.ascontiguousarray(self.likelihood[:: self.rows // SAMPLE]), self.train)
            prior = part.most_likely(max_iterations, tolerance)
        at = self.with_pseudo_rows(prior)
        for _ in range(max_iterations):
            self.left = float(at[1].max()) / self.rows
            if self.left <= tolerance:
                break
            after = self._step(prior, at)
            if after is None:
                break
            prior, at = after
        return prior / prior.sum()

    def _step(self, prior, at):
        """The prior after the longest step that stays positive and gains, and what is known of it; None if there is none."""
        value, gradient, curvature = at
        direction = np.linalg.solve(curvature, gradient)
        falling = direction < 0
        most = (prior[falling] / -direction[falling]).min() if falling.any() else np.inf
        step, rounding = min(1.0, 0.9 * most), 1e-13 * (abs(value) + self.rows)
        while step > LEAST_STEP:
            changed = prior + step * direction
            at = self.with_pseudo_rows(changed)
            if at[0] >= value + 0.1 * step * (gradient @ direction) - rounding:
                return changed, at
            step /= 2
        return None

    def with_pseudo_rows(self, prior):
        """The function, its gradient, and minus its matrix of second derivatives."""
        value, gradient, curvature = self.log_likelihood(prior, curved=True)
        total = self.rows + self.num_classes
        value += self.pseudo @ np.log(prior) - total * prior.sum()
        return value, gradient + self.pseudo / prior - total, curvature + np.diag(self.pseudo / prior**2)

    def log_likelihood(self, prior, curved=False):
        """The log-likelihood, its gradient and, where it is asked for, minus its matrix of second derivatives."""
        value, gradient, curvature = 0.0, np.zeros(self.num_classes), np.zeros((self.num_classes, self.num_classes))
        for start in range(0, self.rows, BLOCK):  # what is computed of a block stays in the cache
            block = self.likelihood[start : start + BLOCK]
            mixed = block @ prior
            value += np.log(mixed).sum()
            ratios = block / mixed[:, None]
            gradient += np.ones(len(block)) @ ratios
            if curved:
                curvature += ratios.T @ ratios
        return value, gradient, curvature

    def refutes_train_prior(self, prior, significance):
        """Whether the likelihood ratio of the best prior without pseudo-rows to the train prior is significant."""
        degrees, before = self.num_classes - 1, self.log_likelihood(self.train)[0]
        for _ in range(MOST_STEPS):
            # The largest slope less 1 bounds what is left to gain, since the log-likelihood is concave.
            value, slope, _ = self.log_likelihood(prior)
            slope, ratio = slope / self.rows, 2 * (value - before)
            if chi_square_tail(ratio, degrees) <= significance:
                return True
            if chi_square_tail(ratio + 2 * self.rows * max(slope.max() - 1, 0), degrees) > significance:
                return False
            prior = prior * slope  # a step of EM
            prior = prior / prior.sum()
        return False


def _warn_of_unlikely_shifts(p, train, prior):
    """Warns where a class that many rows favour comes out as absent, or a rare one as the majority."""
    words = []
    for c in np.flatnonzero(prior * len(p) < 2 * len(train) * train):
        favoured = int((p[:, c] > 0.5).sum())
        if favoured >= FAVOURED:
            words.append(f"class {c} comes out as absent although {favoured} rows favour it")
    risen = (prior > 0.5) & (prior > 10 * train) & (train < 0.5 / len(train))
    words += [f"class {c} rises from a share of {train[c]:.2g} to {prior[c]:.2g}" for c in np.flatnonzero(risen)]
    if words:
        warnings.warn(
            f"`probabilities` contradict `train_prior` grossly: {'; '.join(words[:3])}. Unless the classes did shift that "
            "far, pass the shares that the probabilities speak for: `loss.output_prior` of a logit-adjusted loss, else "
            "`sampler.drawn_prior`; and calibrate those of focal and re-weighted losses by `tune_temperature`.",
            UserWarning,
            stacklevel=3,
        )


def chi_square_tail(value: float, degrees: int) -> float:
    """The probability that chi-square with so many degrees of freedom exceeds a value."""
    half, odd = max(value, 0.0) / 2, degrees % 2
    if half == 0:
        return 1.0
    exponents = np.arange(degrees // 2) + odd / 2
    terms = [math.exp(k * math.log(half) - half - math.lgamma(k + 1)) for k in exponents.tolist()]
    return sum(terms, math.erfc(math.sqrt(half)) if odd else 0.0)
