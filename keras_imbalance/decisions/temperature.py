"""Temperature scaling: one number that makes a model as sure as it has reason to be."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance.decisions.checks import check_numbers, check_probabilities, check_weights, is_one_channel, line_up
from keras_imbalance.decisions.priors import sigmoid, softmax


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature T; see `tune_temperature`.

    Attributes:
        value: T. Above 1 the model was too sure, below 1 not sure enough.
        loss: mean negative log-likelihood of the rows that it was fitted on, after scaling.
        from_logits: whether `apply` takes logits.
        multi_label: whether the channels are independent sigmoids.
    """

    value: float
    loss: float
    from_logits: bool = False
    multi_label: bool = False

    def apply(self, predictions: Any) -> np.ndarray:
        """Calibrated probabilities, softmax(z / T) or sigmoid(z / T), float64 of the shape of `predictions`.

        Args:
            predictions: logits or probabilities, whichever the temperature was fitted on, `(N, C)` or `(..., C)`; of one
                sigmoid `(N,)` or `(..., 1)`.
        """
        logits = _logits(predictions, self.from_logits, self.multi_label) / self.value
        return sigmoid(logits) if self.multi_label or is_one_channel(logits) else softmax(logits)


def tune_temperature(
    y_true: Any, predictions: Any, from_logits: bool = False, multi_label: bool = False, sample_weight: Any = None
) -> Temperature:
    """Finds the temperature T under which probabilities softmax(z / T) fit the labels best (Guo et al., 2017).

    The mean negative log-likelihood is minimised over 1 / T, in which it is convex. No decision by argmax or at 0.5 changes;
    thresholds, costs and prior correction see better probabilities.

    Tune on validation rows that no training step saw and that were not resampled. After resampling: `correct_prior` first, then
    the temperature, then thresholds.

    Within a saved model the same is `keras.layers.Rescaling(1 / T)` between the logits and the softmax.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, or one-hot `(N, C)`; for sigmoids 0 or 1 in the shape of `predictions`.
        predictions: `(N, C)`, of one sigmoid `(N,)` or `(N, 1)`; any axes in between are places.
        from_logits: whether these are logits. Defaults to False, probabilities: what was rounded to 0 or 1 then has lost
            its logit and counts as the last one that its precision can hold.
        multi_label: whether the channels are independent sigmoids, which share the temperature. Defaults to False.
        sample_weight: `(N,)`, what each row counts. Defaults to None, 1.

    Returns:
        A `Temperature`: `.value` is T, `.apply(predictions)` gives calibrated probabilities.

    Raises:
        ValueError: when shapes do not line up, for soft labels, for predictions that are not finite, and where no finite
            temperature is best: rows that are all right (T would be 0), or rows that are wrong more than chance is.

    Example:
    >>> temperature = tune_temperature([0, 1, 1], np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]]), from_logits=True)
    >>> round(temperature.value, 4)
    5.7708
    >>> temperature.apply(np.array([[4.0, 0.0]])).round(4)
    array([[0.6667, 0.3333]])

    Reference: Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599
    """
    logits = _logits(predictions, from_logits, multi_label)
    places = logits.shape if logits.ndim == 1 else logits.shape[:-1]
    labels, rows = line_up(y_true, logits, multi_label)
    weights = check_weights(sample_weight, places)
    if labels.ndim == 2:  # every sigmoid is a softmax over itself and a 0
        weights = np.repeat(weights, rows.shape[1])
        rows = np.stack([np.zeros(rows.size), rows.reshape(-1)], axis=1)
        labels = labels.reshape(-1)
    if weights.sum() == 0:
        raise ValueError("`y_true` must hold at least one row that counts. Received none.")
    excess = (rows - np.take_along_axis(rows, labels[:, None], axis=1))[weights > 0]
    weights = weights[weights > 0] / weights.sum()
    inverse = _best_inverse(excess, weights)
    return Temperature(float(1 / inverse), _loss(excess, weights, inverse), bool(from_logits), bool(multi_label))


def _best_inverse(excess, weights):
    """The 1 / T of the lowest loss, by Newton's method kept within a bracket. `excess` holds each logit less the true one's."""
    if not (excess > 0).any():
        raise ValueError(
            "`predictions` must be wrong in at least one row. Received rows that are all right, to which every lower "
            "temperature fits better still. Pass more validation rows, and none that the model was trained on."
        )
    low, high = 0.0, 1.0
    if _slopes(excess, weights, low)[0] >= 0:
        raise ValueError(
            "`predictions` must tell more about `y_true` than chance. Received rows that fit best with a temperature of "
            "infinity. Check that the class numbers and the channels are in one order."
        )
    while _slopes(excess, weights, high)[0] < 0:
        low, high = high, 2 * high
    inverse = (low + high) / 2
    while high - low > 4 * np.spacing(high):
        slope, curvature = _slopes(excess, weights, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        newton = inverse - slope / curvature if curvature > 0 else low
        if newton == inverse:
            break
        inverse = newton if low < newton < high else (low + high) / 2
    return inverse


def _slopes(excess, weights, inverse):
    """First and second derivative of the mean loss by 1 / T: mean and variance of the excess under the probabilities."""
    p = softmax(inverse * excess)
    mean = (p * excess).sum(axis=1)
    return weights @ mean, weights @ (p * (excess - mean[:, None]) ** 2).sum(axis=1)


def _loss(excess, weights, inverse):
    scaled = inverse * excess
    highest = scaled.max(axis=1)
    return float(weights @ (highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))))


def _logits(predictions, from_logits, multi_label):
    """Finite float64 logits of the shape of `predictions`."""
    if from_logits:
        logits = check_numbers(predictions, "predictions").astype(np.float64)
        if not np.isfinite(logits).all():
            raise ValueError("`predictions` must hold finite logits. Received NaN or infinity.")
        return logits
    given = check_probabilities(predictions, multi_label, "predictions")
    p = given.astype(np.float64)
    log_p = np.log(np.maximum(p, np.finfo(given.dtype).tiny))
    if multi_label or is_one_channel(p):
        return log_p - np.log(np.maximum(1 - p, np.finfo(given.dtype).epsneg / 2))
    return log_p
