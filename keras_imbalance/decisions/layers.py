"""Layers that turn the scores of a trained model into decisions, saved with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_flag, check_names, check_shares, invalid, log_ratio
from keras_imbalance._keras import ops, register
from keras_imbalance.decisions.costs import expected_costs, relative_costs
from keras_imbalance.decisions.decision import (
    ClassIds,
    OutputLayer,
    check_channels,
    known_classes,
    log_of,
    probabilities_of,
)
from keras_imbalance.decisions.priors import Shares, log_ratio_of_labels

LEAST_RATIO = np.log(1e-30)  # of one class to another: beyond it float32 has no digits left


@register
class PriorCorrection(OutputLayer):
    """Layer on top of a trained model that moves its probabilities to other class shares, as `correct_prior` does.

    After a correction do not decide at 0.5: few corrected probabilities of a rare class exceed it. Decide by
    `MinimumCostDecision` on top, or by `tune_thresholds` on the corrected probabilities.

    The rule is p_k true_k / train_k, rescaled to sum 1; on logits, log(true / train) is added. The layer form of
    `correct_prior`, saved with the model in one file.

    Args:
        train_prior: the class shares that the inputs speak for: "balanced", an array `(C,)`, rescaled to sum 1, so that counts
            will do, or a mapping by class id or name. See `correct_prior`.
        true_prior: the class shares where the model is used, in the same form. The share p of class 1 is written [1 - p, p].
            "balanced" raises the recall of rare classes: argmax of the result is post-hoc logit adjustment (Menon et al. 2021).
            `target_distribution(class_counts, 0.75)` gives a part of that gain at hardly any loss of precision.
        from_logits: whether the inputs are logits; the outputs then are logits too. Probabilities rounded to 0 or 1 stay so,
            logits have lost nothing. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Each prior then is `(2,)`, the shares of rows without and
            with a label, for all labels, or `(C, 2)`. Defaults to False, one softmax.
        class_names: names that mappings may use, in the order of the class ids. Saved as shares. Defaults to None.
        axis: channel axis of the inputs. Defaults to -1.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`. Computation and result are never narrower than
            float32.

    Input shape: `(..., C)` after a softmax or several sigmoids, `(..., 1)` after one sigmoid. Output shape: the same.

    Raises:
        ValueError: for a bare number as a prior, shares that are not positive, "balanced" twice, and inputs of another count of
            channels.

    Example:
    >>> import numpy as np
    >>> layer = PriorCorrection(train_prior="balanced", true_prior=[0.99, 0.01])
    >>> [round(float(p), 4) for p in layer(np.array([[0.2], [0.6], [0.95]]))[:, 0]]
    [0.0025, 0.0149, 0.161]

    `model = keras.Sequential([trained, PriorCorrection("balanced", [0.99, 0.01]), MinimumCostDecision([[0, 1], [99, 0]])])`.
    `fold_into_head(trained, correction)` puts the correction into the weights, for a model that is served without this package.

    References: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002; Dal Pozzolo et al.,
    Calibrating Probability with Undersampling for Unbalanced Classification, 2015; Menon et al., Long-Tail Learning via Logit
    Adjustment, 2021, https://arxiv.org/abs/2007.07314
    """

    def __init__(
        self,
        train_prior: Shares,
        true_prior: Shares,
        *,
        from_logits: bool = False,
        multi_label: bool = False,
        class_names: Sequence[str] | None = None,
        axis: int = -1,
        **kwargs: Any,
    ):
        super().__init__(axis=axis, **kwargs)
        self.multi_label = check_flag(multi_label, "multi_label")
        names = check_names(class_names)
        train_prior = _in_order(train_prior, "train_prior", names)
        true_prior = _in_order(true_prior, "true_prior", names)
        self.log_ratio = (log_ratio_of_labels if multi_label else log_ratio)(train_prior, true_prior)
        self.train_prior, self.true_prior = _as_json(train_prior), _as_json(true_prior)
        self.from_logits = check_flag(from_logits, "from_logits")

    def build(self, input_shape: tuple) -> None:
        self._check_inputs(input_shape, self.axis)
        self.built = True

    def _check_inputs(self, shape, axis):
        if not self.multi_label:
            check_channels(shape, axis, len(self.log_ratio), "train_prior")
        elif self.log_ratio.ndim == 2 and len(self.log_ratio) != shape[axis]:
            received = f"{len(self.log_ratio)} labels and inputs of shape {tuple(shape)}"
            raise invalid("train_prior", "be for as many labels as there are channels", received=received)

    def of_tensor(self, values: Any) -> Any:
        return ops.moveaxis(self._corrected(values), -1, self.axis)

    def _corrected(self, values):
        sigmoids = self.multi_label or values.shape[-1] == 1
        if self.from_logits:
            shift = self.log_ratio[..., 1] - self.log_ratio[..., 0] if sigmoids else self.log_ratio
            return values + ops.convert_to_tensor(shift, dtype=values.dtype)
        # A softmax of shifted logarithms, since int8 converters know no division by a sum of probabilities.
        shift = np.maximum(self.log_ratio - self.log_ratio.max(axis=-1, keepdims=True), LEAST_RATIO)
        if sigmoids:
            difference = ops.convert_to_tensor(shift[..., 1] - shift[..., 0], dtype=values.dtype)
            corrected = ops.sigmoid(log_of(values) - log_of(1 - values) + difference)
        else:
            corrected = ops.softmax(log_of(values) + ops.convert_to_tensor(shift, dtype=values.dtype), axis=-1)
        return ops.where(values > 0, corrected, ops.zeros_like(corrected))

    def on_logits(self, channels: int, sigmoids: bool) -> tuple[float, np.ndarray]:
        """The factor and the summand, `(C,)` or `()`, that logits need in place of this layer.

        Args:
            channels: how many logits there are; raises unless the priors are for so many.
            sigmoids: whether each goes through a sigmoid of its own.
        """
        self._check_inputs((None, channels), -1)
        return 1.0, self.log_ratio[..., 1] - self.log_ratio[..., 0] if sigmoids else self.log_ratio

    def get_config(self) -> dict:
        own = {"train_prior": self.train_prior, "true_prior": self.true_prior}
        return {**super().get_config(), **own, "from_logits": self.from_logits, "multi_label": self.multi_label}


@register
class MinimumCostDecision(ClassIds):
    """Layer on top of a trained model that gives the class of the lowest expected cost, argmin_k sum_j p_j cost[j, k].

    The probabilities must be calibrated: after training on resampled data put `PriorCorrection` before it. It has no gradient.
    The layer form of `minimum_cost_decision`, saved with the model in one file.

    Args:
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = decision.
        from_logits: whether the inputs are logits. Defaults to False.
        axis: channel axis of the inputs. Defaults to -1.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`. The computation is never narrower than float32.

    Input shape: `(..., C)` after a softmax, `(..., 1)` after a sigmoid, with costs `(2, 2)`. Output shape: `(...)`, int32 class
    ids, the first among equals, -1 where the inputs hold NaN.

    Raises:
        ValueError: for a matrix that is not square, negative or not finite, and for inputs of another count of channels.

    Example:
    >>> import numpy as np
    >>> layer = MinimumCostDecision([[0, 1], [10, 0]])
    >>> [int(decision) for decision in layer(np.array([[0.02], [0.2], [0.9]]))]
    [0, 1, 1]

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """

    def __init__(self, cost_matrix: npt.ArrayLike, *, from_logits: bool = False, axis: int = -1, **kwargs: Any):
        super().__init__(axis=axis, **kwargs)
        self.costs = relative_costs(cost_matrix)
        self.cost_matrix = np.asarray(cost_matrix).tolist()
        self.from_logits = check_flag(from_logits, "from_logits")

    def build(self, input_shape: tuple) -> None:
        check_channels(input_shape, self.axis, len(self.costs), "cost_matrix")
        self.built = True

    def of_tensor(self, values: Any) -> Any:
        p = probabilities_of(values, self.from_logits)
        return known_classes(-expected_costs(p, ops.convert_to_tensor(self.costs, dtype=p.dtype)))

    def get_config(self) -> dict:
        return {**super().get_config(), "cost_matrix": self.cost_matrix, "from_logits": self.from_logits}


def _in_order(shares, argument, names):
    """Shares without keys: a mapping becomes an array in the order of the class ids. JSON has no whole numbers as keys."""
    if isinstance(shares, Mapping) or hasattr(shares, "to_dict"):
        return check_shares(shares, argument, class_names=names)
    return shares


def _as_json(shares):
    """Shares as `get_config` gives them."""
    return np.asarray(shares).tolist()
