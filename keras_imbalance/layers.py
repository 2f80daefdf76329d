"""Layers that belong to losses of this package, and those that turn a trained model's scores into decisions."""

from typing import Any

import numpy as np

import keras_imbalance.backend as backend
from keras_imbalance.backend import Layer, ops, register
from keras_imbalance.decisions.costs import expected_costs, relative_costs
from keras_imbalance.decisions.priors import log_ratio


@register
class CosineDense(Layer):
    """Dense layer without bias whose outputs are cosines: x / ||x|| times w_j / ||w_j||, in [-1, 1].

    The last layer of a model trained with `LDAMLoss`, whose scale makes logits of the cosines. A row of zeros has cosine 0
    with everything.

    Args:
        units: number of outputs C.
        kernel_initializer: as in Keras. Defaults to "glorot_uniform".
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.

    Input shape: `(..., features)`. Output shape: `(..., units)`.

    Example:
    >>> import numpy as np
    >>> layer = CosineDense(2, kernel_initializer="ones")
    >>> [round(float(cosine), 4) for cosine in layer(np.array([[3.0, 4.0]]))[0]]
    [0.9899, 0.9899]

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    https://arxiv.org/abs/1906.07413
    """

    def __init__(self, units: int, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units < 1:
            raise ValueError(f"`units` must be a whole number of at least 1. Received: units={units!r}.")
        self.units = int(units)
        self.supports_masking = True
        self.kernel_initializer = backend.initializer(kernel_initializer)

    def build(self, input_shape: tuple) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        cosines = ops.matmul(_unit(ops.cast(inputs, wide), -1), _unit(ops.cast(self.kernel, wide), 0))
        return ops.cast(ops.clip(cosines, -1.0, 1.0), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        own = {"units": self.units, "kernel_initializer": backend.serialize(self.kernel_initializer)}
        return {**super().get_config(), **own}


@register
class ClassScaling(Layer):
    """One learnable factor per class on the logits: s_j z_j, with s_j = 1 at first.

    The last layer of a model that is trained with `LearnableWeightScaling`.

    Args:
        name: defaults to "class_scaling".
        **kwargs: what every Keras layer takes, such as `dtype`.

    Input shape: `(..., C)`, logits. Output shape: the same.

    Example:
    >>> import numpy as np
    >>> [float(logit) for logit in ClassScaling()(np.array([[2.0, -1.0]]))[0]]
    [2.0, -1.0]

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    def __init__(self, name: str = "class_scaling", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs * ops.cast(self.scale, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


@register
class PriorCorrection(Layer):
    """Probabilities of a model trained under one class prior, as they are under another; put on top of the trained model.

    p_k true_k / train_k, rescaled to sum 1; on logits, log(true / train) is added. The layer form of `correct_prior`, saved
    with the model in one file.

    Corrected probabilities are honest, so that few of a rare class exceed 0.5 and recall at 0.5 falls: decide by
    `MinimumExpectedCost` on top, or by `tune_thresholds` on the corrected probabilities.

    Args:
        train_prior: share of each class in what the model was trained on, `(C,)`, rescaled to sum 1, so that counts will do,
            or `BalancedBagging.train_prior`; with two classes also one number, the share of class 1.
        true_prior: share of each class where the model is used, in the same form.
        from_logits: whether the inputs are logits; the outputs then are logits too. Probabilities rounded to 0 or 1 stay so,
            logits have lost nothing. Defaults to False.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`. Computation and result are never narrower than
            float32.

    Input shape: `(..., C)` after a softmax, `(..., 1)` after a sigmoid. Output shape: the same.

    Raises:
        ValueError: for shares that are not positive, and for inputs of another number of classes.

    Example:
    >>> import numpy as np
    >>> layer = PriorCorrection(train_prior=0.5, true_prior=0.01)
    >>> [round(float(p), 4) for p in layer(np.array([[0.2], [0.6], [0.95]]))[:, 0]]
    [0.0025, 0.0149, 0.161]

    `model = keras.Sequential([trained, PriorCorrection(0.5, 0.01), MinimumExpectedCost([[0, 1], [99, 0]])])`

    References: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002; Dal Pozzolo et al.,
    Calibrating Probability with Undersampling for Unbalanced Classification, 2015.
    """

    def __init__(self, train_prior: Any, true_prior: Any, from_logits: bool = False, **kwargs: Any):
        # Without autocast, so that half precision does not round the probabilities before they are read.
        super().__init__(autocast=False, **kwargs)
        self.log_ratio = log_ratio(train_prior, true_prior)
        self.train_prior = np.asarray(train_prior).tolist()
        self.true_prior = np.asarray(true_prior).tolist()
        self.from_logits = bool(from_logits)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        _check_channels(input_shape, len(self.log_ratio), "train_prior")
        self.built = True

    def call(self, inputs: Any) -> Any:
        values = ops.cast(inputs, backend.compute_dtype(self.compute_dtype))
        one_channel = values.shape[-1] == 1
        if self.from_logits:
            shift = self.log_ratio[1:] - self.log_ratio[:1] if one_channel else self.log_ratio
            return values + ops.convert_to_tensor(shift, dtype=values.dtype)
        # Products, not logarithms: a probability of 0 then has a gradient. None of them may vanish altogether.
        factors = np.maximum(np.exp(self.log_ratio - self.log_ratio.max()), 1e-30)
        if one_channel:
            positive = values * float(factors[1])
            return positive / (positive + (1 - values) * float(factors[0]))
        products = values * ops.convert_to_tensor(factors, dtype=values.dtype)
        return products / ops.sum(products, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any) -> Any:
        dtype = backend.compute_dtype(self.compute_dtype)
        return backend.keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self) -> dict:
        own = {"train_prior": self.train_prior, "true_prior": self.true_prior, "from_logits": self.from_logits}
        return {**super().get_config(), **own}


@register
class MinimumExpectedCost(Layer):
    """The class whose expected cost is lowest, argmin_k sum_j p_j cost[j, k]; put on top of the trained model.

    The layer form of `minimum_cost_decision`, saved with the model in one file. It asks for probabilities as frequent as they
    say: after training on resampled data put `PriorCorrection` before it. It has no gradient.

    Args:
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = decision.
        from_logits: whether the inputs are logits. Defaults to False.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`. The computation is never narrower than float32.

    Input shape: `(..., C)` after a softmax, `(..., 1)` after a sigmoid, with costs `(2, 2)`. Output shape: `(...)`, int32 class
    numbers, the first among equals, -1 where the inputs hold NaN.

    Raises:
        ValueError: for a matrix that is not square, negative or not finite, and for inputs of another number of classes.

    Example:
    >>> import numpy as np
    >>> layer = MinimumExpectedCost([[0, 1], [10, 0]])
    >>> [int(decision) for decision in layer(np.array([[0.02], [0.2], [0.9]]))]
    [0, 1, 1]

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """

    def __init__(self, cost_matrix: Any, from_logits: bool = False, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.costs = relative_costs(cost_matrix)
        self.cost_matrix = np.asarray(cost_matrix).tolist()
        self.from_logits = bool(from_logits)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        _check_channels(input_shape, len(self.costs), "cost_matrix")
        self.built = True

    def call(self, inputs: Any) -> Any:
        p = ops.cast(inputs, backend.compute_dtype(self.compute_dtype))
        if p.shape[-1] == 1:
            both = (ops.sigmoid(-p), ops.sigmoid(p)) if self.from_logits else (1 - p, p)
            p = ops.concatenate(both, axis=-1)
        elif self.from_logits:
            p = ops.softmax(p, axis=-1)
        decisions = backend.largest(-expected_costs(p, ops.convert_to_tensor(self.costs, dtype=p.dtype)))
        unknown = ops.any(ops.isnan(p), axis=-1)
        return ops.where(unknown, ops.full_like(decisions, -1), decisions)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape[:-1])

    def compute_output_spec(self, inputs: Any) -> Any:
        return backend.keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="int32")

    def get_config(self) -> dict:
        return {**super().get_config(), "cost_matrix": self.cost_matrix, "from_logits": self.from_logits}


def _check_channels(input_shape, num_classes, argument):
    channels = input_shape[-1]
    if channels != num_classes and not (channels == 1 and num_classes == 2):
        raise ValueError(
            f"`{argument}` must be for as many classes as the inputs have channels (two for one sigmoid channel). "
            f"Received: {num_classes} classes and inputs of shape {tuple(input_shape)}."
        )


def _unit(vectors, axis):
    # The largest entry is taken out first, so that no square overflows or vanishes.
    largest = ops.stop_gradient(ops.max(ops.abs(vectors), axis=axis, keepdims=True))
    vectors = vectors / ops.where(largest > 0, largest, ops.ones_like(largest))
    square = ops.sum(vectors * vectors, axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.where(square > 0, square, ops.ones_like(square)))
