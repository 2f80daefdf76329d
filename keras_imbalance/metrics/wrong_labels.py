"""What a metric says of an invalid label that a compiled step, which cannot raise, has counted."""

import numpy as np

from keras_imbalance._core import UNKNOWN
from keras_imbalance.metrics.counting import KINDS, LARGEST_SHOWN

SEVERAL = "Several labels a row need multi_label=True, in the metrics and in the loss."
LOGITS = (
    "`y_pred` held values outside [0, 1], and a metric takes what is above its threshold of 0.5 for class 1. Logits need "
    "threshold=0.0 in the metric."
)
FILLER = "Leave a filler label out with ignore_class={label:g}, in the metrics and in the loss, or give its rows a weight of 0."


def message_of(told: np.ndarray, num_classes: int) -> str:
    """One warning: what is wrong, and the usual reason.

    Args:
        told: `(3,)`: how many batches told it, its index in `KINDS`, the label. Several told at once on several devices, whose
            values were added up: then no value is shown.
        num_classes: number of classes C.

    Example:
    >>> print(message_of(np.array([1, 0, 3]), 3))
    A metric became NaN: `y_true` held the class id 3, and 3 classes have the ids 0 to 2. Ids that start at 1 need y_true - 1.
    """
    one = told[0] == 1
    kind = KINDS[int(told[1])] if one else "label"
    label = float(told[2]) if one and abs(told[2]) < LARGEST_SHOWN else float("nan")
    if told[1] == told[0] * KINDS.index("logits"):  # the largest index, so all who told it did
        return LOGITS
    return f"A metric became NaN: {_WORDS[kind](label, num_classes)}"


def _of_ids(label, size):
    if label == size:
        reason = "Ids that start at 1 need y_true - 1."
    elif np.isfinite(label) and label == round(label):
        reason = FILLER.format(label=label)
    else:
        reason = "Class ids are whole numbers; soft labels have one channel a class."
    return f"`y_true` held the class id {label:g}, and {size} classes have the ids 0 to {size - 1}. {reason}"


def _of_distributions(total, size):
    if total == 0:
        reason = "Give a row without a class a weight of 0, or name the class that it stands for as ignore_class."
    else:
        reason = SEVERAL if total > 1 else "Shares of the classes are not negative and sum to 1."
    return f"`y_true` held a row that sums to {total:g} where there is one channel a class. {reason}"


def _of_sigmoids(label, size):
    if label == 255:
        reason = "Masks of 0 and 255 need y_true / 255; void pixels ignore_class=255."
    elif label == -1:
        reason = "Classes -1 and 1 need (y_true + 1) / 2; a label that is not known ignore_class=-1."
    elif label == 2 and size == 2:
        reason = "Classes 1 and 2 need y_true - 1; more than two classes need one channel each."
    elif np.isfinite(label) and label == round(label):
        reason = FILLER.format(label=label)
    else:
        reason = UNKNOWN
    return f"`y_true` held {label:g}, and labels of sigmoids lie in [0, 1]. {reason}"


def _of_soft(label, size):
    reason = 'Pass soft_labels="argmax" or "expected" to the metrics, or use hard labels.'
    return f"`y_true` held soft labels, as of MixUp or label smoothing, and a metric counts classes. {reason}"


def _of_predictions(label, size):
    reason = (
        "Training diverged: lower the learning rate, look for NaN in x, or pass from_logits=True to a loss of logits."
    )
    return f"`y_pred` held NaN. {reason}"


def _of_weights(weight, size):
    return f"`sample_weight` held {weight:g}. Weights are finite and not negative; a row that must not count has 0."


def _of_probabilities(label, size):
    return "`y_pred` held values outside [0, 1]. Logits need from_logits=True, in the metric and in the loss."


_WORDS = {
    "probability": _of_probabilities,
    "ids": _of_ids,
    "distribution": _of_distributions,
    "sigmoid": _of_sigmoids,
    "soft": _of_soft,
    "prediction": _of_predictions,
    "weight": _of_weights,
    "label": lambda label, size: (
        f"`y_true` held an invalid label. Check its values: ids run from 0 to {size - 1}. {SEVERAL}"
    ),
}
