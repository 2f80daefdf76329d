"""The bias of the last layer at which an untrained model predicts the class shares."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_counts_shape, check_table, invalid
from keras_imbalance._keras import Initializer, ops, register


@register
class InitialBias(Initializer):
    """Initializer of the bias of the last layer by the class shares; `initial_bias` gives it the name that users write.

    Args:
        class_counts: `(C,)` for a softmax, `(2,)` for one sigmoid, `(C, 2)` for independent sigmoids.
    """

    def __init__(self, class_counts: npt.ArrayLike):
        table = check_table(class_counts, "class_counts")
        of_labels = table.ndim == 2
        rows = check_counts_shape(table, of_labels)
        self.class_counts = table.tolist()
        self.log_odds = np.log(rows[:, 1] / rows[:, 0]) if of_labels or rows.shape[1] == 2 else None
        self.log_shares = None if of_labels else np.log(rows[0] / rows[0].sum())

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        for values in (self.log_shares, self.log_odds):
            if values is not None and tuple(shape) == values.shape:
                return ops.convert_to_tensor(values, dtype=dtype or "float32")
        received = f"{len(self.class_counts)} classes and a bias of shape {tuple(shape)}"
        remedy = "One sigmoid takes the counts of class 0 and 1."
        raise invalid("class_counts", "be for as many classes as the layer has units", received=received, remedy=remedy)

    def get_config(self) -> dict:
        return {"class_counts": self.class_counts}


def initial_bias(class_counts: npt.ArrayLike) -> InitialBias:
    """Initializer of the last layer's bias, so that the first predictions are the class shares.

    Without it the first steps only teach the network that rare classes are rare, at a large loss. log(n_c / N) for a softmax,
    log(n_1 / n_0) for sigmoids. Use it with the loss of natural shares and a natural sampler: outputs that speak for
    "balanced", those of `LogitAdjustedLoss` or a balanced sampler, start right from the usual zeros.

    Args:
        class_counts: rows of every class, positive: `(C,)` for a softmax of C units; `(2,)` for one sigmoid, class 0 then 1;
            for several labels `(C, 2)`, rows without and with each label.

    Returns:
        An initializer, for `bias_initializer`.

    Raises:
        ValueError: for counts that are not positive, and for a layer with another number of units.

    Example:
    >>> from keras_imbalance._keras import keras
    >>> layer = keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros", bias_initializer=initial_bias([95, 5]))
    >>> print(f"{float(layer(np.ones((1, 3)))[0, 0]):.3f}")
    0.050

    Reference: Lin et al., Focal Loss for Dense Object Detection, 2017, section 4.1, https://arxiv.org/abs/1708.02002
    """
    return InitialBias(class_counts)
