"""Probabilities that fit another class prior than that of the training data."""

import warnings
from typing import Any

import numpy as np

from keras_imbalance.decisions.checks import check_prior, check_probabilities, is_one_channel, two_channels
from keras_imbalance.losses.base import check_number
from keras_imbalance.metrics.checks import whole_number


def correct_prior(probabilities: Any, train_prior: Any, true_prior: Any) -> np.ndarray:
    """Probabilities of a model trained under one class prior, as they are under another.

    p_k true_k / train_k, rescaled to sum 1: log(true / train) added to the logits. For two classes and an undersampled
    majority of which a share beta was kept this is beta p / (beta p - p + 1) (Dal Pozzolo et al., 2015). It holds when rows of
    one class look alike in both places and only the shares of the classes differ, as after resampling.

    A correction comes with its threshold. A model trained on balanced batches finds the rare class at 0.5 because 0.5 there
    stands for a much lower true probability; corrected probabilities are honest, few of them exceed 0.5, and recall at 0.5
    falls. Decide by `minimum_cost_decision` or by the thresholds of `tune_thresholds` on corrected probabilities, not at 0.5.

    Args:
        probabilities: `(N, C)` or `(..., C)`, rows that sum to 1; or the probability of class 1, `(N,)` or `(..., 1)`.
        train_prior: share of each class in what the model was trained on, such as `sampler.distribution`: `(C,)`, rescaled to
            sum 1, so that counts will do; with two classes also one number, the share of class 1. Of `BalancedBagging` its
            `train_prior`, of other balanced draws 1 / C each; where class weights were used, the share times the weight.
        true_prior: share of each class where the model is used, in the same form; `class_prior(counts)` of data not resampled,
            or `estimate_prior`.

    Returns:
        float64 array of the shape of `probabilities`. What is exactly 0 or 1 stays so.

    Raises:
        ValueError: for probabilities outside [0, 1] or rows that do not sum to 1, and for shares that are not positive.

    Example:
    >>> balanced, fraud_is_rare = [0.5, 0.5], [0.99, 0.01]
    >>> probabilities = np.array([0.2, 0.6, 0.95])
    >>> honest = correct_prior(probabilities, balanced, fraud_is_rare)
    >>> honest.round(4)
    array([0.0025, 0.0149, 0.161 ])

    None exceeds 0.5 any more. Where a miss costs 99 times a false alarm, the decisions are those of 0.5 before:

    >>> from keras_imbalance import minimum_cost_decision
    >>> minimum_cost_decision(honest, [[0, 1], [99, 0]])
    array([0, 1, 1])

    References: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002; Dal Pozzolo et al.,
    Calibrating Probability with Undersampling for Unbalanced Classification, 2015.
    """
    p = check_probabilities(probabilities).astype(np.float64)
    num_classes = 2 if is_one_channel(p) else p.shape[-1]
    shift = log_ratio(train_prior, true_prior, num_classes)
    with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity, and comes back as 0
        if is_one_channel(p):
            return sigmoid(np.log(p) - np.log1p(-p) + (shift[1] - shift[0]))
        return softmax(np.log(p) + shift)


def log_ratio(train_prior: Any, true_prior: Any, num_classes: int | None = None) -> np.ndarray:
    """log(true / train) of each class, float64 `(C,)`: what prior correction adds to the logits."""
    train = check_prior(train_prior, "train_prior", num_classes)
    true = check_prior(true_prior, "true_prior", len(train))
    return np.log(true) - np.log(train)


def estimate_prior(
    probabilities: Any, train_prior: Any, max_iterations: int = 10_000, tolerance: float = 1e-12
) -> np.ndarray:
    """The class prior of unlabelled rows, from the probabilities that a model gives them.

    Expectation maximisation (Saerens et al., 2002): correct the probabilities to the prior believed so far, take their mean as
    the new prior, and repeat. This climbs to the prior of highest likelihood. It asks for calibrated probabilities (see
    `tune_temperature`) and for classes that look as they did in training.

    Args:
        probabilities: of the rows whose prior is wanted, as the model gives them, not corrected: `(N, C)`, or the probability
            of class 1, `(N,)` or `(N, 1)`.
        train_prior: share of each class in what the model was trained on; with two classes also one number, the share of
            class 1.
        max_iterations: most repetitions. Defaults to 10000.
        tolerance: stops as soon as no prior can have a log-likelihood a row that is better by more. Defaults to 1e-12.

    Returns:
        float64 array `(C,)` that sums to 1; `(2,)` for one sigmoid. `correct_prior` takes it as `true_prior`, unless it is 0
        for a class that is impossible in every row.

    Raises:
        ValueError: for probabilities that are none, no rows, and shares that are not positive.

    Warns:
        RuntimeWarning: when `max_iterations` did not suffice.

    Example:
    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> estimate_prior(probabilities, train_prior=[0.5, 0.5]).round(3)
    array([0.757, 0.243])

    Reference: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002.
    """
    p = two_channels(check_probabilities(probabilities).astype(np.float64))
    p = p.reshape(-1, p.shape[-1])
    if len(p) == 0:
        raise ValueError("`probabilities` must hold at least one row. Received none.")
    train = check_prior(train_prior, "train_prior", p.shape[1])
    max_iterations = whole_number(max_iterations, 1, "max_iterations")
    check_number(tolerance, "tolerance", 0)
    likelihood = p / train
    likelihood /= likelihood.max(axis=1, keepdims=True)
    prior = train
    for _ in range(max_iterations):
        # Slope of the mean log-likelihood, which is concave and whose slopes weigh 1 in the mean over the prior: the largest
        # slope less 1 bounds what is left to gain.
        slope = (1 / (likelihood @ prior)) @ likelihood / len(p)
        left = slope.max() - 1
        if left <= tolerance:
            return prior
        prior = prior * slope
        prior = prior / prior.sum()
    warnings.warn(
        f"`estimate_prior` did not converge: after max_iterations={max_iterations} up to {left:.3g} of log-likelihood a row is "
        f"left to gain, more than tolerance={tolerance}. Allow more iterations or a larger tolerance.",
        RuntimeWarning,
        stacklevel=2,
    )
    return prior


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, which may hold minus infinity."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logistic function without overflow; infinite logits give 0 and 1."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1 + small)
