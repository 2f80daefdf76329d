"""Temperature scaling: one number that makes the probabilities of a model as confident as they are right."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_flag,
    check_ignored,
    check_number,
    check_numbers,
    check_probabilities,
    check_whole,
    invalid,
    is_one_channel,
    line_up,
)
from keras_imbalance._keras import ops, register
from keras_imbalance.decisions.decision import Decision, log_of
from keras_imbalance.decisions.priors import sigmoid, softmax


@register
class Temperature(Decision):
    """A fitted temperature T, called on predictions to calibrate them; see `tune_temperature`, which returns it.

    It calibrates arrays in NumPy float64, and is a layer on top of a trained model, saved with it. `fold_into_head(model,
    temperature)` puts it into the weights instead.

    Args:
        value: T, positive. Above 1 the model was too confident, below 1 not confident enough.
        loss: mean negative log-likelihood of the rows that it was fitted on, after scaling. Defaults to None.
        from_logits: whether it takes logits. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        axis: channel axis of the predictions. Defaults to -1.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.

    Input shape: `(..., C)`, or `(N,)` as an array of one sigmoid. Output shape: the same, probabilities softmax(z / T) or
    sigmoid(z / T).

    Raises:
        ValueError: for a temperature that is not positive.

    Example:
    >>> temperature = Temperature(2.0)
    >>> temperature([0.5, 0.9]).round(4)
    array([0.5 , 0.75])
    """

    argument = "predictions"

    def __init__(
        self,
        value: float,
        *,
        loss: float | None = None,
        from_logits: bool = False,
        multi_label: bool = False,
        axis: int = -1,
        **kwargs: Any,
    ):
        super().__init__(axis=axis, **kwargs)
        self.value = check_number(value, "value", above=0)
        self.loss = check_number(loss, "loss", optional=True)
        self.from_logits = check_flag(from_logits, "from_logits")
        self.multi_label = check_flag(multi_label, "multi_label")

    def of_array(self, values: np.ndarray, given: Any) -> np.ndarray:
        logits = _logits(values, self.from_logits, self.multi_label, given) / self.value
        scaled = sigmoid(logits) if self.multi_label or is_one_channel(logits) else softmax(logits)
        return scaled if scaled.ndim < 2 else np.moveaxis(scaled, -1, self.axis)

    def of_tensor(self, values: Any) -> Any:
        sigmoids = self.multi_label or values.shape[-1] == 1
        if not self.from_logits:
            values = log_of(values) - log_of(1 - values) if sigmoids else log_of(values)
        scaled = values * (1 / self.value)
        return ops.moveaxis(ops.sigmoid(scaled) if sigmoids else ops.softmax(scaled, axis=-1), -1, self.axis)

    def on_logits(self, channels: int, sigmoids: bool) -> tuple[float, np.ndarray]:
        """The factor and the summand that logits need in place of this layer."""
        return 1 / self.value, np.zeros(())

    def get_config(self) -> dict:
        own = {"value": self.value, "loss": self.loss}
        return {**super().get_config(), **own, "from_logits": self.from_logits, "multi_label": self.multi_label}

    def __repr__(self) -> str:
        return f"<Temperature {self.value} loss={self.loss}>"


def tune_temperature(
    y_true: npt.ArrayLike,
    predictions: npt.ArrayLike,
    *,
    from_logits: bool = False,
    multi_label: bool = False,
    sample_weight: npt.ArrayLike | None = None,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Temperature:
    """Finds the temperature T under which probabilities softmax(z / T) fit the labels best (Guo et al., 2017).

    Tune on validation rows that no training step saw and that were not resampled. After resampling: `correct_prior` first, then
    the temperature, then thresholds.

    The mean negative log-likelihood is minimised over 1 / T, in which it is convex. No decision by argmax or at 0.5 changes;
    thresholds, costs and prior correction see better probabilities. It serves probabilities: argmax after `correct_prior` to
    "balanced" does worse with it than without.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, or one-hot `(N, C)`; for sigmoids 0 or 1 in the shape of `predictions`.
        predictions: `(N, C)`, of one sigmoid `(N,)` or `(N, 1)`; any axes in between are positions.
        from_logits: whether these are logits. Defaults to False, probabilities: what was rounded to 0 or 1 then has lost
            its logit and counts as the last one that its precision can hold.
        multi_label: whether the channels are independent sigmoids, which share the temperature. Defaults to False.
        sample_weight: what each row, position or, with multi_label, label counts: `(N,)` or any leading part of the shape of
            the labels. Where it is 0, labels and predictions may hold anything. Defaults to None, 1.
        ignore_class: label whose positions count nowhere, such as 255. Defaults to None.
        axis: channel axis of the predictions. Defaults to -1.

    Returns:
        `Temperature`: `.value` is T, and `temperature(predictions)` gives calibrated probabilities.

    Raises:
        ValueError: when shapes do not line up, for soft labels, for predictions that are not finite, and where no finite
            temperature is best: rows that are all right (T would be 0), or predictions worse than chance (T infinite).

    Example:
    >>> temperature = tune_temperature([0, 1, 1], np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]]), from_logits=True)
    >>> round(temperature.value, 4)
    5.7708
    >>> temperature(np.array([[4.0, 0.0]])).round(4)
    array([[0.6667, 0.3333]])

    Reference: Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599
    """
    from_logits, multi_label = check_flag(from_logits, "from_logits"), check_flag(multi_label, "multi_label")
    rule = {"axis": check_whole(axis, "axis"), "ignore_class": check_ignored(ignore_class)}
    numbers = check_numbers(predictions, "predictions")
    labels, rows, weights = line_up(y_true, numbers, multi_label, sample_weight=sample_weight, **rule)
    if weights.sum() == 0:
        raise invalid("y_true", "hold at least one row that counts", received=f"shape {np.shape(y_true)}")
    rows = _logits(rows, from_logits, multi_label, predictions)
    if labels.ndim == 2:  # every sigmoid is a softmax over itself and a 0
        weights = weights.reshape(-1)
        rows = np.stack([np.zeros(rows.size), rows.reshape(-1)], axis=1)
        labels = labels.reshape(-1)
    excess = (rows - np.take_along_axis(rows, labels[:, None], axis=1))[weights > 0]
    weights = weights[weights > 0] / weights.sum()
    inverse = _best_inverse(excess, weights)
    loss = _loss(excess, weights, inverse)
    return Temperature(float(1 / inverse), loss=loss, from_logits=from_logits, multi_label=multi_label, axis=axis)


def _best_inverse(excess, weights):
    """The 1 / T of the lowest loss, by Newton's method kept within a bracket. `excess` holds each logit less the true one's."""
    if not (excess > 0).any():
        remedy = "Every lower temperature fits them better still: pass more validation rows, none of them trained on."
        raise invalid("predictions", "be wrong in at least one row", received="rows that are all right", remedy=remedy)
    low, high = 0.0, 1.0
    if _slopes(excess, weights, low)[0] >= 0:
        received = "rows that fit best with a temperature of infinity"
        remedy = "Check that class ids and channels are in one order."
        raise invalid("predictions", "tell more about `y_true` than chance", received=received, remedy=remedy)
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


def _logits(predictions, from_logits, multi_label, given):
    """Finite float64 logits of the shape of `predictions`, which were taken from `given`."""
    if from_logits:
        logits = check_numbers(predictions, "predictions").astype(np.float64)
        if not np.isfinite(logits).all():
            raise invalid("predictions", "hold finite logits", received="NaN or infinity")
        return logits
    given = check_probabilities(predictions, multi_label, "predictions", given=given)
    p = given.astype(np.float64)
    log_p = np.log(np.maximum(p, np.finfo(given.dtype).tiny))
    if multi_label or is_one_channel(p):
        return log_p - np.log(np.maximum(1 - p, np.finfo(given.dtype).epsneg / 2))
    return log_p
